"""Create ``.venv`` beside this package and install the locked packages into it.

With ``oldest`` as its argument: ``.venv-oldest``, with the oldest packages that pyproject.toml allows.
Run as a file by whatever Python the machine has, before anything is installed: standard
library only, and written so that an old Python reaches the sentence that says it is too old.
"""

import hashlib
import os
import shutil
import subprocess
import sys

try:
    import fcntl
except ImportError:  # not on this system: two of these at once are left to their luck
    fcntl = None  # type: ignore[assignment]

OLDEST, NEWEST = (3, 11), (3, 13)
NEWEST_OF_OLDEST = (3, 12)  # the oldest packages were never built for later Pythons
NEEDED_GB = 5.0
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class SetupError(Exception):
    """One sentence for a person: what is wrong and what to do."""


def check_python(version, newest=NEWEST):
    """Raise unless this Python is one that the locked packages support."""
    if not OLDEST <= tuple(version[:2]) <= newest:
        raise SetupError(
            "Python %d.%d is not supported: install Python %d.%d to %d.%d, or name one with "
            "'make PYTHON=/path/to/python3.12'." % (tuple(version[:2]) + OLDEST + newest)
        )


def check_disk(folder, free_gb=None):
    """Raise unless the packages fit on the disk."""
    if free_gb is None:
        free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < NEEDED_GB:
        raise SetupError(
            "Only %.1f GB are free in %s: the packages need %.0f GB. Free some space and run it again."
            % (free_gb, folder, NEEDED_GB)
        )


def fingerprint(root, lock="requirements.lock"):
    """What the environment was made from: the lock, and its place. Another Python does not make it anew."""
    digest = hashlib.sha256()
    with open(os.path.join(root, lock), "rb") as file:
        digest.update(file.read())
    digest.update(root.encode())
    return digest.hexdigest()


def explain(log):
    """The one line that says why pip failed, from what it printed."""
    if "No space left" in log:
        return "The disk is full: free %.0f GB and run it again." % NEEDED_GB
    offline = ("Temporary failure in name resolution", "Failed to establish a new connection", "NewConnectionError")
    offline += ("ProxyError", "ConnectTimeout", "Read timed out", "Max retries")
    if any(sign in log for sign in offline):
        return "The package index can't be reached: check the network and run it again (it goes on from pip's cache)."
    if "DO NOT MATCH THE HASHES" in log:
        return "A downloaded package does not match requirements.lock: clear pip's cache ('pip cache purge') and retry."
    last = [line for line in log.splitlines() if line.strip()][-1:]
    return "Installing failed: %s" % (last[0].strip() if last else "pip printed nothing")


def run(command, log_path):
    """Run a command with its output in a log file; raise with one line when it fails."""
    with open(log_path, "ab") as log:
        status = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    if status:
        with open(log_path, "rb") as log:
            text = log.read().decode("utf-8", "replace")
        raise SetupError("%s Details: %s" % (explain(text), os.path.relpath(log_path, ROOT)))


def install(root, name=".venv", lock="requirements.lock"):
    """Make the environment, unless it stands already."""
    venv = os.path.join(root, name)
    python = os.path.join(venv, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
    stamp = os.path.join(venv, ".ready")
    wanted = fingerprint(root, lock)
    if is_ready(stamp, python, wanted):
        return  # before anything is written: the checkout may be for reading alone
    os.makedirs(os.path.join(root, ".cache"), exist_ok=True)
    with open(os.path.join(root, ".cache", "setup.lock"), "w") as alone:
        wait_for(alone)
        if not is_ready(stamp, python, wanted):
            create(root, name, lock, python, stamp)


def wait_for(file):
    """Hold a file's lock until it is closed, so that a second make waits for the first."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a disk without locks: as on a system without them
        pass


def is_ready(stamp, python, wanted):
    """Whether the environment stands and was made from what is wanted."""
    if not (os.path.exists(stamp) and os.path.exists(python)):
        return False
    with open(stamp) as file:
        return file.read() == wanted


def create(root, name, lock, python, stamp):
    """Make the environment anew, in the place of the one that stands there."""
    venv = os.path.dirname(stamp)
    check_disk(root)
    log = os.path.join(root, ".cache", "setup.log")
    with open(log, "wb"):
        pass
    print("Setting up %s once: about 4 GB and a few minutes (log: .cache/setup.log) ..." % name)
    sys.stdout.flush()
    if os.path.exists(stamp):
        os.remove(stamp)  # before all else: what is half removed is not ready
    shutil.rmtree(venv, ignore_errors=True)
    maker = getattr(sys, "_base_executable", sys.executable)  # this may be the Python of the environment that was there
    try:
        run([maker, "-m", "venv", venv], log)
    except SetupError:
        raise SetupError(
            "%s can't create a virtual environment: install its venv module (Debian: apt install python3-venv) "
            "or name another Python with 'make PYTHON=...'." % maker
        )
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run(pip + ["--no-deps", "--require-hashes", "-r", lock], log)
    run(pip + ["--no-deps", "--no-build-isolation", "--editable", "."], log)
    with open(stamp, "w") as file:
        file.write(fingerprint(root, lock))
    print("Ready.")


def main():
    """Check, install, and turn what goes wrong into one line."""
    try:
        if "oldest" in sys.argv[1:]:
            check_python(sys.version_info, NEWEST_OF_OLDEST)
            install(ROOT, ".venv-oldest", "requirements-oldest.lock")
        else:
            check_python(sys.version_info)
            install(ROOT)
    except SetupError as error:
        sys.stderr.write("setup: %s\n" % error)
        return 1
    except (OSError, KeyboardInterrupt) as error:
        sys.stderr.write("setup: stopped: %s\n" % (str(error) or "interrupted"))
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

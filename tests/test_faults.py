"""Kills, full disks and locked folders: nothing is lost, nothing half-written is read as whole."""

import contextlib
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import files, runs
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError

EPOCHS = 60


TINY = ["train_images=48", f"epochs={EPOCHS}", "batch_size=16", "options.width=0.05", "options.dense_units=8"]


COMMAND = [sys.executable, "-m", "alexnet_tf", "train", "int305-adam"] + [f"--set={item}" for item in TINY]


def wait_for(lock, seconds=300):
    """Hold a lock as soon as its holder lets go."""
    for _ in range(seconds * 10):
        with contextlib.suppress(LabError), contextlib.ExitStack() as held:
            held.enter_context(files.locked(lock, "it is held"))
            return held.pop_all()
        time.sleep(0.1)
    return pytest.fail(f"{lock} is still held")


def the_lock(store):
    """The lock of the one run of a store, or of none yet."""
    store.mkdir(exist_ok=True)
    return next(store.rglob("scratch/lock"), store / "no-lock")


def start(store, *words, epochs=EPOCHS, **kwargs):
    """A training in a process of its own; what it says goes into a file beside the store."""
    command = [word.replace(f"epochs={EPOCHS}", f"epochs={epochs}") for word in COMMAND]
    with store.with_suffix(".said").open("w") as said:
        return subprocess.Popen([*command, "--runs", str(store), *words], stdout=said, stderr=said, **kwargs)


def finish(process):
    return process.wait(timeout=900)


def the_run(store):
    (run,) = runs.listing(store)
    return run


def epochs_done(store):
    found = list(store.rglob("begun.json"))
    return json.loads(found[0].read_text()).get("epochs", 0) if found else 0


def kill(process, store, goal, pause):
    """Kill a process some seconds after so many epochs are done; False when it was faster than its killer."""
    while process.poll() is None and epochs_done(store) < goal:
        time.sleep(0.005)
    time.sleep(pause)
    if process.poll() is not None:
        return False
    process.kill()
    process.wait()
    return True


REPORTS = """
import sys
from pathlib import Path
from alexnet_tf import reports, runs
runs.home = lambda: Path(sys.argv[1])
sys.exit(not all(report.ok for report in reports.make("quick")))
"""


def write_notebook(home, *sources):
    """One notebook in a laboratory of its own."""
    import nbformat

    parameters = nbformat.v4.new_code_cell("budget: str = 'quick'  # x\nfresh: bool = False  # x")
    parameters.metadata["tags"] = ["parameters"]
    spec = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[parameters, *map(nbformat.v4.new_code_cell, sources)], metadata=spec)
    (home / "notebooks").mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, home / "notebooks" / "01_x.ipynb")


def start_reports(home):
    with (home / "said").open("w") as said:
        return subprocess.Popen([sys.executable, "-c", REPORTS, str(home)], stdout=said, stderr=said)


@pytest.mark.slow
def test_reports_killed_in_the_middle_of_a_notebook_change_nothing(tmp_path):
    """The good report stays until the next is whole; its training goes on where its kernel died."""
    folder, store = tmp_path / "reports" / "quick", tmp_path / "killed"
    write_notebook(tmp_path, "print('the first')")
    assert finish(start_reports(tmp_path)) == 0
    before = {file.name: file.read_bytes() for file in folder.glob("[!.]*")}
    changes = {key: json.loads(value) for key, _, value in (item.partition("=") for item in TINY)}
    train = f"training.train('int305-adam', 'quick', 0, {changes}, store={str(store)!r})"
    write_notebook(tmp_path, "from alexnet_tf import training", f"print(len({train}.history), 'epochs')")
    rng, kills = random.Random(1), 0
    while kills < 6:
        goal = epochs_done(store) + rng.choice([0, 1, 3])
        if not kill(start_reports(tmp_path), store, goal, rng.random() * (8 if goal == 0 else 0.2)):
            break
        kills += 1
        assert {file.name: file.read_bytes() for file in folder.glob("[!.]*")} == before
        with wait_for(the_lock(store)):  # its kernel notices within a second or two
            pass
    assert kills == 6
    assert finish(start_reports(tmp_path)) == 0, (tmp_path / "said").read_text()
    assert f"{EPOCHS} epochs" in (folder / "01_x.html").read_text()
    assert not list(folder.glob(".*.part.*"))
    assert finish(start(tmp_path / "whole")) == 0
    assert the_run(store).history == the_run(tmp_path / "whole").history


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    """Killed at twenty random moments of its training and resumed: the very numbers of an undisturbed one."""
    assert finish(start(tmp_path / "whole")) == 0
    rng, kills = random.Random(0), 0
    while kills < 20:
        began, goal = epochs_done(tmp_path / "killed"), rng.choice([0, 0, 1, 1, 2])
        pause = rng.random() * (3.0 if goal == 0 else 0.15)
        if not kill(start(tmp_path / "killed"), tmp_path / "killed", began + goal, pause):
            break
        kills += 1
        assert not the_run(tmp_path / "killed").finished
    assert kills == 20
    assert finish(start(tmp_path / "killed")) == 0
    whole, killed = the_run(tmp_path / "whole"), the_run(tmp_path / "killed")
    assert [row["epoch"] for row in killed.history] == list(range(1, EPOCHS + 1))
    assert killed.history == whole.history
    np.testing.assert_array_equal(killed.outputs["test_logits"], whole.outputs["test_logits"])


@pytest.mark.slow
def test_a_disk_that_is_full_is_told_and_once_there_is_room_the_training_goes_on(tmp_path):
    """On a disk of its own, which is gone with the process that made it."""
    words = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    code = f"""
from pathlib import Path
from alexnet_tf import runs
from alexnet_tf.__main__ import main
disk = Path({str(tmp_path)!r})
words = {COMMAND[3:]} + ["--runs", str(disk / "runs"), "--seed"]
assert main([*words, "0"]) == 0
first = {{file: file.read_bytes() for file in disk.rglob("*") if file.is_file()}}
filler = disk / "filler"
with open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
assert main([*words, "1"]) == 1
assert all(file.read_bytes() == content for file, content in first.items())
assert not list(disk.rglob("*.part")), "a full disk gets its room back"
filler.unlink()
assert main([*words, "1"]) == 0
assert [len(run.history) for run in runs.listing(disk / "runs")] == [{EPOCHS}] * 2
"""
    inside = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -c "$3"'
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", inside, "sh", str(tmp_path), sys.executable, code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, cwd=runs.home())
    assert done.returncode == 0, done.stderr
    assert "alexnet_tf: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_of_two_processes_on_one_run_one_wins_and_the_other_says_so(tmp_path):
    first = start(tmp_path / "runs")
    while first.poll() is None and epochs_done(tmp_path / "runs") < 1:
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # in the middle of its training
    try:
        told = subprocess.run([*COMMAND, "--runs", str(tmp_path / "runs")], capture_output=True, text=True, timeout=900)
    finally:
        first.send_signal(signal.SIGCONT)
    assert (told.returncode, told.stdout) == (1, "")
    assert "is being trained by another process" in told.stderr
    assert finish(first) == 0
    assert len(the_run(tmp_path / "runs").history) == EPOCHS


def test_photographs_that_vanish_in_a_training_are_told(tmp_path, monkeypatch):
    from test_datasets import make_folder

    from alexnet_tf import callbacks, training

    make_folder(tmp_path / "photos", count=12)
    changes = {"dataset": str(tmp_path / "photos"), "train_images": None, "epochs": 3, "batch_size": 4}
    monkeypatch.setattr(callbacks.Progress, "on_epoch_end", lambda *args: shutil.rmtree(tmp_path / "photos", True))
    with pytest.raises(LabError, match=r"There is no image .*photos"):
        training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")
    assert epochs_done(tmp_path / "runs") >= 1


@pytest.mark.slow
def test_a_photograph_that_only_tensorflow_finds_damaged_is_named(tmp_path, monkeypatch):
    from test_datasets import make_folder

    from alexnet_tf import folders, training

    make_folder(tmp_path / "photos", count=12)
    file = tmp_path / "photos" / "cat" / "whole.jpg"
    Image.new("RGB", (40, 40), (9, 99, 9)).save(file)
    content = file.read_bytes()
    file.write_bytes(content[:-30] + b"\xff\xd8" + content[-30:])  # whole by its first and last bytes
    monkeypatch.setattr(folders, "damaged", lambda _: set())  # as where another decoder takes it
    changes = {"dataset": str(tmp_path / "photos"), "train_images": None, "epochs": 1, "batch_size": 4}
    with pytest.raises(LabError, match=r"cat/whole\.jpg is damaged inside"):
        training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")


def test_a_file_that_can_not_grow_is_told_and_harms_no_earlier_run(tmp_path):
    """The kernel refuses to write more, as on a full disk."""
    assert finish(start(tmp_path / "runs", epochs=1)) == 0
    before = (the_run(tmp_path / "runs").path / "record.json").read_bytes()

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    assert finish(start(tmp_path / "runs", "--fresh", epochs=1, preexec_fn=small_disk)) == 1
    said = (tmp_path / "runs.said").read_text()
    assert said.strip().splitlines()[-1].startswith("alexnet_tf: File too large")
    assert "Traceback" not in said
    assert (the_run(tmp_path / "runs").path / "record.json").read_bytes() == before


def test_a_folder_without_permission_is_one_line(tmp_path, as_nobody, capsys):
    from alexnet_tf import training  # noqa: F401  (nobody may not read where packages lie)

    (tmp_path / "runs").mkdir(mode=0o555)
    with as_nobody(tmp_path):
        assert main(["train", "int305-cnn", "--runs", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_store_that_vanishes_in_a_training_is_made_again(tmp_path):
    process = start(tmp_path / "runs")
    while process.poll() is None and epochs_done(tmp_path / "runs") < 2:
        time.sleep(0.01)
    everything = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    for file in everything:
        if file.suffix not in (".lock", ".part"):  # it would be missed: it is just being written
            file.unlink(missing_ok=True)
    assert finish(process) == 0
    assert len(the_run(tmp_path / "runs").history) == EPOCHS

"""Set-up fails with one clear line."""

import errno
import os
import sys
from pathlib import Path

import pytest

from alexnet_tf import bootstrap


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 10), (3, 14)])
def test_unsupported_pythons_are_named(version):
    with pytest.raises(bootstrap.SetupError, match=rf"Python {version[0]}\.{version[1]} is not supported"):
        bootstrap.check_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12, 1), (3, 13)])
def test_supported_pythons_pass(version):
    bootstrap.check_python(version)


def test_the_oldest_packages_need_an_older_python():
    with pytest.raises(bootstrap.SetupError, match=r"Python 3\.13 is not supported: install Python 3\.11 to 3\.12"):
        bootstrap.check_python((3, 13), bootstrap.NEWEST_OF_OLDEST)


def test_a_full_disk_is_told_with_the_remedy(tmp_path):
    with pytest.raises(bootstrap.SetupError, match=r"Only 0\.5 GB are free .* need 5 GB"):
        bootstrap.check_disk(str(tmp_path), free_gb=0.5)
    bootstrap.check_disk(str(tmp_path), free_gb=50)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("x\nOSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection", "check the network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "does not match requirements.lock"),
        ("something else broke\n\n", "something else broke"),
        ("", "printed nothing"),
    ],
)
def test_what_pip_prints_becomes_one_line(log, said):
    assert said in bootstrap.explain(log)
    assert "\n" not in bootstrap.explain(log)


def test_a_failing_command_is_explained_from_its_log(tmp_path):
    with pytest.raises(bootstrap.SetupError, match="check the network"):
        bootstrap.run(["sh", "-c", "echo NewConnectionError; exit 1"], str(tmp_path / "log"))


def test_the_environment_is_made_again_when_the_lock_changes(tmp_path):
    (tmp_path / "requirements.lock").write_text("a")
    before = bootstrap.fingerprint(str(tmp_path))
    (tmp_path / "requirements.lock").write_text("b")
    assert bootstrap.fingerprint(str(tmp_path)) != before


@pytest.mark.parametrize("last", [1, 2, 3])
def test_an_environment_is_made_anew_where_the_lock_changed_and_not_ready_before_its_end(tmp_path, monkeypatch, last):
    asked = []

    def interrupted(command, log):
        asked.append(command)
        if len(asked) == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "run", interrupted)
    monkeypatch.setattr(bootstrap, "check_disk", lambda _: None)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(sys, "executable", str(python))  # its environment is active, and will be gone
    (tmp_path / "requirements.lock").write_text("a")
    (tmp_path / ".venv" / ".ready").write_text(bootstrap.fingerprint(str(tmp_path)))
    bootstrap.install(str(tmp_path))
    assert not asked
    (tmp_path / "requirements.lock").write_text("b")
    with pytest.raises(KeyboardInterrupt):
        bootstrap.install(str(tmp_path))
    assert len(asked) == last
    assert not (tmp_path / ".venv").exists()
    assert Path(asked[0][0]).exists()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with a lock and nothing installed; how often an environment is made in it."""
    made = []
    (tmp_path / "requirements.lock").write_text("a")
    monkeypatch.setattr(bootstrap, "create", lambda *words: made.append(words))
    return made


@pytest.mark.parametrize(("system", "place"), [("posix", "bin/python"), ("nt", "Scripts/python.exe")])
def test_an_environment_that_is_ready_is_left_alone_and_nothing_is_written(
    checkout, tmp_path, monkeypatch, system, place
):
    python = tmp_path / ".venv" / place
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / ".venv" / ".ready").write_text(bootstrap.fingerprint(str(tmp_path)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", system)
        bootstrap.install(str(tmp_path))
    assert not checkout
    assert not (tmp_path / ".cache").exists()


def test_a_disk_without_locks_gets_its_environment(checkout, tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", no_locks)
    bootstrap.install(str(tmp_path))
    assert len(checkout) == 1


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (bootstrap.SetupError("no room"), 1, "setup: no room"),
        (PermissionError("may not write"), 1, "setup: stopped: may not write"),
        (KeyboardInterrupt(), 130, "setup: stopped: interrupted"),
    ],
)
def test_what_goes_wrong_ends_with_one_line_and_a_status(monkeypatch, capsys, error, status, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.setattr(bootstrap, "install", fail)
    assert bootstrap.main() == status
    assert capsys.readouterr().err == f"{said}\n"
    monkeypatch.setattr(bootstrap, "install", lambda *_: None)
    assert bootstrap.main() == 0

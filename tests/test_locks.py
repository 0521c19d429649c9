"""One run is trained by one process at a time."""

import contextlib
import errno
import threading

import pytest
from conftest import TINY, train_tiny

from alexnet_tf import files, runs, training
from alexnet_tf.errors import LabError


def test_two_processes_do_not_train_one_run(tmp_path):
    run = runs.locate("cifar10-bn64", "quick", 0, TINY, store=tmp_path)
    with run.locked(), pytest.raises(LabError, match="another process"):
        train_tiny(tmp_path)
    assert train_tiny(tmp_path).finished


def test_a_disk_without_locks_is_told_once_and_trained_on(tmp_path, monkeypatch, capsys):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for _ in range(2):
        with files.locked(tmp_path / "lock", "It is being trained"):
            pass
    assert capsys.readouterr().err == (
        f"{tmp_path} lies on a disk without locks (No locks available): see that no other process trains there.\n"
    )
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(BlockingIOError()))
    with (
        pytest.raises(LabError, match="It is being trained by another process"),
        files.locked(tmp_path / "lock", "It is being trained"),
    ):
        pass


def test_notebooks_side_by_side_wait_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_HEADLESS", "1")
    run, order = runs.locate("cifar10-bn64", "quick", 0, TINY, store=tmp_path), []

    def other():
        with run.locked():
            order.append("second")

    thread = threading.Thread(target=other)
    with run.locked():
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.slow
def test_a_run_that_another_process_finished_meanwhile_is_not_trained_again(tmp_path, monkeypatch):
    locked, fit = runs.Run.locked, training.fit

    @contextlib.contextmanager
    def late(run):
        with monkeypatch.context() as patch:
            patch.setattr(runs.Run, "locked", locked)
            train_tiny(tmp_path, epochs=1)  # the other process
        monkeypatch.setattr(training, "fit", lambda *args: pytest.fail("trained again"))
        with locked(run):
            yield

    monkeypatch.setattr(runs.Run, "locked", late)
    assert train_tiny(tmp_path, epochs=1).finished
    assert training.fit is not fit

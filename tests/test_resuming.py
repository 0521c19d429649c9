"""Training interrupted: resumed equals uninterrupted, and nothing half-written counts."""

import copy
import itertools
import json
import os
import shlex
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TINY, train_tiny

from alexnet_tf import callbacks, datasets, finishing, recipes, runs, training
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError
from alexnet_tf.optimizers import make_optimizer
from alexnet_tf.quiet import keras


class Killed(BaseException):
    """Stands for a process that dies: nothing in the training catches it."""


def kill_after(monkeypatch, epochs):
    """Die in the middle of the epoch that follows `epochs` finished ones."""
    original = callbacks.Progress.on_train_batch_end

    def die(self, batch, logs=None):
        if batch == 1 and self.epoch_number == epochs:
            raise Killed
        original(self, batch, logs)

    begin = callbacks.Progress.on_epoch_begin

    def count(self, epoch, logs=None):
        self.epoch_number = epoch
        begin(self, epoch, logs)

    monkeypatch.setattr(callbacks.Progress, "on_train_batch_end", die)
    monkeypatch.setattr(callbacks.Progress, "on_epoch_begin", count)


def test_a_killed_training_resumed_equals_an_uninterrupted_one(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train_tiny(tmp_path, epochs=3)
    (row,) = [run.summary() for run in runs.listing(tmp_path)]
    assert (row["status"], row["epochs"], row["test_accuracy"]) == ("unfinished", 1, None)
    resumed = train_tiny(tmp_path, epochs=3)
    assert resumed.history == finished.history
    np.testing.assert_array_equal(resumed.outputs["test_logits"], finished.outputs["test_logits"])


def test_a_schedule_goes_on_where_it_was(tmp_path, monkeypatch):
    cycle = {"schedule": "linear", "warmup": 0.5, "epochs": 4}
    whole = train_tiny(tmp_path / "whole", **cycle)
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=3)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "killed", **cycle)
    assert train_tiny(tmp_path / "killed", **cycle).history == whole.history
    rates = [row["learning_rate"] for row in whole.history]  # as each epoch begins; three steps an epoch
    peak = recipes.get(whole.recipe).at("quick").learning_rate
    np.testing.assert_allclose(rates, peak * np.array([1 / 6, 4 / 6, 1, 0.5]), rtol=1e-5)


@pytest.fixture
def heeded():
    """Ctrl-C means what it means in a terminal: shells put it aside for what they run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("epochs", [0, 1])
def test_ctrl_c_lets_the_batch_end_and_the_training_goes_on_at_the_next(finished, tmp_path, monkeypatch, epochs, capfd):
    original, calls = callbacks.Progress.on_train_batch_end, []

    def press(self, batch, logs=None):
        original(self, batch, logs)
        calls.append(batch)
        if len(calls) == 3 * epochs + 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "on_train_batch_end", press)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tmp_path, epochs=3)
    assert f"saved after step 2 of epoch {epochs + 1}" in capfd.readouterr().err
    resumed = train_tiny(tmp_path, epochs=3)
    assert resumed.history == finished.history
    np.testing.assert_array_equal(resumed.outputs["test_logits"], finished.outputs["test_logits"])


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_in_an_epochs_last_batch_stops_after_the_epoch(tmp_path, monkeypatch, capfd):
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.StopOnNaN, "on_epoch_end", lambda *_: signal.raise_signal(signal.SIGINT), raising=False)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tmp_path)
    assert "saved after epoch 1" in capfd.readouterr().err
    assert [row["epoch"] for row in train_tiny(tmp_path).history] == [1, 2]


def test_where_ctrl_c_was_put_aside_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with callbacks.heeding_ctrl_c(SimpleNamespace(alone=True)):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_long_epoch_is_saved_within(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "SAVE_EVERY", 0.0)
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train_tiny(tmp_path, epochs=3)
    (run,) = runs.listing(tmp_path)
    with np.load(run.state) as state:
        about = json.loads(str(state["about"]))
    assert (len(about["history"]), about["step"]) == (1, 2)
    assert train_tiny(tmp_path, epochs=3).history == finished.history


def test_killed_before_the_first_epoch_ends(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=0)
        with pytest.raises(Killed):
            train_tiny(tmp_path)
    assert [row["epoch"] for row in train_tiny(tmp_path).history] == [1, 2]


def test_the_plateau_remembers_across_a_kill(tmp_path, monkeypatch):
    """With patience 1 the rate falls; a resumed training must fall in the same epochs."""
    changes = {"epochs": 5, "train_images": 40, "options.dropout": 0.3, "learning_rate": 0.05, "image_size": 67}
    changes = {**TINY, "options.width": 0.05, **changes, "plateau": [0.1, 1]}
    whole = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=3)
        with pytest.raises(Killed):
            training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "cut")
    cut = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "cut")
    assert cut.history == whole.history
    assert whole.history[-1]["learning_rate"] < whole.history[0]["learning_rate"]
    best = max(range(5), key=lambda i: whole.history[i]["val_accuracy"])
    assert whole.record["kept_epoch"] == cut.record["kept_epoch"] == best + 1
    assert cut.record["metrics"]["test_accuracy"] == pytest.approx(whole.history[best]["val_accuracy"])


def test_an_older_recipe_is_told_finished_or_not(finished, tmp_path, monkeypatch):
    store = finished.path.parent.parent.parent
    record = json.loads((finished.path / "record.json").read_text())
    record["recipe"]["batch_size"]["value"] = 99
    old = runs.locate("cifar10-bn64", "quick", 5, {**TINY, "epochs": 3}, store=store)
    old.path.mkdir(parents=True)
    record.update(seed=5, checksum=runs.checksum({**record, "seed": 5}))
    (old.path / "record.json").write_text(json.dumps(record))
    with pytest.raises(LabError, match=r"older recipe .*batch_size was 99 and is now 16.*--fresh"):
        train_tiny(store, seed=5, epochs=3)
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train_tiny(tmp_path)
    (run,) = runs.listing(tmp_path)
    begun = json.loads((run.scratch / "begun.json").read_text())
    begun["recipe"]["loss"]["value"] = "bce"
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    with pytest.raises(LabError, match=r"begun with an older recipe \(changed since: loss\).*--fresh"):
        train_tiny(tmp_path)
    begun["recipe"]["loss"]["value"] = "crossentropy"
    del begun["recipe"]["label_smoothing"]  # begun before there was such a field: it meant its default
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    other = {**begun, "provenance": {**begun["provenance"], "backend": "tea"}}
    (run.scratch / "begun.json").write_text(json.dumps(other))
    with pytest.raises(LabError, match=r"begun with KERAS_BACKEND=tea, and this is .*--fresh"):
        train_tiny(tmp_path)
    seen = begun["provenance"]["dataset_fingerprint"]
    begun["provenance"]["dataset_fingerprint"] = "others"
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    with pytest.raises(LabError, match=r"begun on other images .*--fresh"):
        train_tiny(tmp_path)
    begun["provenance"]["dataset_fingerprint"] = seen
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    assert train_tiny(tmp_path).finished


def test_a_damaged_state_is_told(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train_tiny(tmp_path)
    (run,) = runs.listing(tmp_path)
    run.state.write_bytes(run.state.read_bytes()[:1000])
    with pytest.raises(LabError, match=r"saved weights of .* damaged"):
        train_tiny(tmp_path)


def test_a_fresh_training_replaces_the_old_run_only_when_it_is_whole(tmp_path, monkeypatch, capsys):
    old = train_tiny(tmp_path).record
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "load", lambda *args: (_ for _ in ()).throw(LabError("no data")))
        with pytest.raises(LabError, match="no data"):
            training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path, fresh=True)
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path, fresh=True)
    (run,) = runs.listing(tmp_path)
    assert run.record == old
    changes = shlex.split(" ".join(runs.options(TINY)))
    for told in "finished in", "was finished already":
        assert main(["train", "cifar10-bn64", "--runs", str(tmp_path), *changes]) == 0
        assert told in capsys.readouterr().out
    (again,) = runs.listing(tmp_path)
    assert again.record["provenance"]["resumed"] == 1
    assert again.history == old["history"]
    assert not again.begun


@pytest.mark.slow
def test_a_disk_that_fills_up_at_the_end_of_a_fresh_training_spares_the_old_run(tmp_path, monkeypatch):
    old = train_tiny(tmp_path, epochs=1)
    record, logits = old.record, old.outputs["test_logits"]
    with monkeypatch.context() as patch:
        patch.setattr(finishing, "exported", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            training.train("cifar10-bn64", "quick", 0, {**TINY, "epochs": 1}, store=tmp_path, fresh=True)
    (run,) = runs.listing(tmp_path)
    assert run.record == record
    np.testing.assert_array_equal(run.outputs["test_logits"], logits)


def test_wherever_a_process_dies_while_a_run_is_put_in_anothers_place_they_are_never_mixed(tmp_path, monkeypatch):
    """Before each write, renaming and removal in turn: whole, as the one or the other, or told unfinished."""
    from alexnet_tf import fitting
    from alexnet_tf.predict import load

    slower = lambda recipe, steps: make_optimizer(recipe.change({"learning_rate": 1e-6}), steps)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "make_optimizer", slower)
        old = train_tiny(tmp_path / "store", epochs=1)
    ready, finish = [], training.finish
    with monkeypatch.context() as patch:
        patch.setattr(training, "finish", lambda *args: ready.append(args))
        training.train("cifar10-bn64", "quick", 0, {**TINY, "epochs": 1}, store=tmp_path / "store", fresh=True)
    ((_, recipe, splits, model, begun),) = ready

    def weights(run):
        return np.concatenate([part.ravel() for part in load(run.weights).get_weights()])

    def state_of(run):
        """Which of the two a run is, by its record, its outputs and its weights."""
        record, outputs = run.record, run.outputs["test_logits"]
        kinds = {
            record["provenance"]["finished"] == "old",
            bool((outputs == logits).all()),
            np.array_equal(weights(run), kept),
        }
        assert len(kinds) == 1, "a mixture"
        return kinds.pop()

    record = json.loads((old.path / "record.json").read_text())
    record["provenance"]["finished"] = "old"
    record["checksum"] = runs.checksum(record)
    (old.path / "record.json").write_text(json.dumps(record))
    logits, kept, seen = old.outputs["test_logits"], weights(old), []
    for deadly in itertools.count():
        shutil.copytree(tmp_path / "store", tmp_path / str(deadly))
        (run,), died = runs.listing(tmp_path / str(deadly)), False
        with monkeypatch.context() as patch:
            counted = itertools.count()
            for place, name in (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"), (os, "fsync"):
                patch.setattr(place, name, dying(getattr(place, name), counted, deadly))
            try:
                finish(run, recipe, splits, model, copy.deepcopy(begun))
            except Killed:
                died = True
        (run,) = runs.listing(tmp_path / str(deadly))
        seen.append(state_of(run) if run.finished else None)
        if not died:
            break
        assert run.begun or seen[-1] is False, "the next training goes on"
    assert seen[-1] is False
    assert {True, None} < set(seen), "it died before, in the middle and after"


def dying(act, counted, deadly):
    """The act, but for the time that is deadly."""

    def act_or_die(*args, **settings):
        if next(counted) == deadly:
            raise Killed
        return act(*args, **settings)

    return act_or_die


def test_a_state_without_its_beginning_is_not_gone_on_from(finished, tmp_path, monkeypatch):
    """Nothing says which recipe it belongs to."""
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train_tiny(tmp_path, epochs=3, learning_rate=0.5)
    (run,) = runs.listing(tmp_path)
    place = runs.locate("cifar10-bn64", "quick", 0, {**TINY, "epochs": 3}, store=tmp_path)
    place.scratch.mkdir(parents=True)
    run.state.rename(place.state)
    (place.scratch / "begun.json").write_text("nonsense")
    assert train_tiny(tmp_path, epochs=3).history == finished.history


@pytest.fixture
def begin(tmp_path):
    """What saves the state of a training that keeps its best epoch, as each part of it begins anew."""

    def saver():
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        network.compile("sgd", "mse")
        recipe = SimpleNamespace(keep="best", decay=0.0)
        found = callbacks.SaveState(runs.Run(tmp_path / "r/b/seed-0", tmp_path), recipe, {})
        found.set_model(network)
        return found

    return saver


def test_a_later_part_knows_the_best_epoch_and_the_time_of_an_earlier_one(begin, tmp_path):
    first = begin()
    first.seconds = 100.0
    first.on_train_begin(), first.on_epoch_begin(0), first.on_epoch_end(0, {"val_accuracy": 0.9})
    best = (tmp_path / "best.npz").read_bytes()
    later = begin()
    assert later.load() == 1
    assert later.seconds >= 100
    later.model.layers[0].kernel.assign([[7.0], [7.0]])
    later.on_train_begin(), later.on_epoch_begin(1), later.on_epoch_end(1, {"val_accuracy": 0.9})
    assert (tmp_path / "best.npz").read_bytes() == best  # of equal ones the first
    assert later.keep_best() == 1

"""Training: resumed equals uninterrupted, nothing half-written counts, odd runs are told."""

import json

import numpy as np
import pytest
from conftest import TINY

from alexnet_tf import callbacks, datasets, optimizers, predict, recipes, runs, training
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.quiet import keras
from alexnet_tf.splits import Split, read_image


def train(store, name="cifar10-bn64", seed=0, **changes):
    return training.train(name, "quick", seed, {**TINY, **changes}, store=store)


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


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished tiny run, shared by the tests that only read it."""
    return train(tmp_path_factory.mktemp("runs"), epochs=3)


def test_a_record_holds_what_the_contract_says(finished):
    record = finished.record
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} <= record["history"][0].keys()
    assert record["recipe"]["epochs"] == {"value": 3, "mark": "ours", "changed_by": "override"}
    assert record["recipe"]["dataset"]["changed_by"] == "quick"
    assert record["recipe"]["standardize"] == {"value": "per_image", "mark": "given"}
    assert record["metrics"]["val_accuracy"] is None
    wanted = {"versions", "hardware", "backend", "precision", "dataset_fingerprint", "commit", "started", "minutes"}
    assert wanted <= record["provenance"].keys()
    assert not list(finished.scratch.glob("state*"))


def test_outputs_are_float16_logits_of_every_test_image(finished):
    outputs = finished.outputs
    assert outputs["test_logits"].dtype == np.float16
    assert outputs["test_logits"].shape == (1000, 10)
    share = (outputs["test_logits"].argmax(axis=1) == outputs["test_labels"]).mean()
    assert share == pytest.approx(finished.record["metrics"]["test_accuracy"], abs=0.003)


def test_a_finished_run_is_not_trained_again(finished, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *args: pytest.fail("trained again"))
    again = train(finished.path.parent.parent.parent, epochs=3)
    assert again.record == finished.record


def test_a_killed_training_resumed_equals_an_uninterrupted_one(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train(tmp_path, epochs=3)
    (row,) = [run.summary() for run in runs.listing(tmp_path)]
    assert (row["status"], row["epochs"], row["test_accuracy"]) == ("unfinished", 1, None)
    resumed = train(tmp_path, epochs=3)
    assert resumed.history == finished.history
    np.testing.assert_array_equal(resumed.outputs["test_logits"], finished.outputs["test_logits"])


def test_killed_before_the_first_epoch_ends(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=0)
        with pytest.raises(Killed):
            train(tmp_path)
    assert [row["epoch"] for row in train(tmp_path).history] == [1, 2]


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


def test_a_loss_that_is_no_number_stops_with_the_step(tmp_path):
    changes = {"train_images": 48, "batch_size": 16, "learning_rate": 1e6, "optimizer": "sgd"}
    with pytest.raises(callbacks.DivergedError, match=r"loss became (nan|inf) at step \d+ of epoch 1.*learning_rate"):
        training.train("cifar10-simple", "quick", 0, changes, store=tmp_path)
    (run,) = runs.listing(tmp_path)
    assert run.state.exists()
    with np.load(run.state) as saved:
        assert all(np.isfinite(saved[name]).all() for name in saved.files if name != "about")


def test_an_older_recipe_is_told_finished_or_not(finished, tmp_path, monkeypatch):
    store = finished.path.parent.parent.parent
    record = json.loads((finished.path / "record.json").read_text())
    record["recipe"]["batch_size"]["value"] = 99
    old = runs.locate("cifar10-bn64", "quick", 5, {**TINY, "epochs": 3}, store=store)
    old.path.mkdir(parents=True)
    (old.path / "record.json").write_text(json.dumps({**record, "seed": 5}))
    with pytest.raises(LabError, match=r"older recipe .*batch_size was 99 and is now 16.*--fresh"):
        train(store, seed=5, epochs=3)
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train(tmp_path)
    (run,) = runs.listing(tmp_path)
    begun = json.loads((run.scratch / "begun.json").read_text())
    begun["recipe"]["loss"]["value"] = "bce"
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    with pytest.raises(LabError, match=r"begun with an older recipe \(changed since: loss\).*--fresh"):
        train(tmp_path)


def test_a_damaged_state_is_told(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, epochs=1)
        with pytest.raises(Killed):
            train(tmp_path)
    (run,) = runs.listing(tmp_path)
    run.state.write_bytes(run.state.read_bytes()[:1000])
    with pytest.raises(LabError, match=r"saved weights of .* damaged"):
        train(tmp_path)


def test_the_exported_model_takes_raw_images_of_any_size(finished):
    model = predict.load(finished.weights)
    splits = datasets.load("paintbox")
    shown = np.asarray(model(splits.test.images[:50]))
    np.testing.assert_allclose(shown.sum(axis=1), 1, atol=1e-5)
    expected = finished.outputs["test_logits"][:50]
    exact = np.exp(expected - expected.max(axis=1, keepdims=True).astype("float32"))
    np.testing.assert_allclose(shown, exact / exact.sum(axis=1, keepdims=True), atol=5e-3)
    assert np.asarray(model(np.zeros((1, 50, 71, 3), "uint8"))).shape == (1, 10)


def test_the_honest_protocol_measures_both_parts(tmp_path):
    run = training.train("cifar10-bn64", "quick", 0, TINY, protocol="honest", store=tmp_path)
    assert run.record["metrics"]["val_accuracy"] is not None
    assert len(run.outputs["val_labels"]) == 400
    assert run.record["protocol"] == "honest"
    assert run.path != runs.locate("cifar10-bn64", "quick", 0, TINY, store=tmp_path).path


def test_an_untrained_network_is_measured_as_it_was_built(tmp_path):
    changes = {"train_images": 20}
    run = training.train("cifar10-resnet18-untrained", "quick", 0, changes, store=tmp_path)
    assert run.record["history"] == []
    assert run.summary()["epochs"] == 0
    assert 0.0 < run.record["metrics"]["test_accuracy"] < 0.3
    with pytest.raises(UsageError, match="epochs must be a whole number from 0 to 0"):
        training.train("cifar10-resnet18-untrained", "quick", 0, {"epochs": 1}, store=tmp_path)


def test_overrides_are_checked_before_anything_runs():
    for bad, said in (
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "received 0"),
        ({"epochs": "many"}, "received 'many'"),
        ({"learning_rate": -1}, "received -1"),
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
        ({"augment.flp": 1}, "did you mean 'flip'"),
        ({"loss.x": 1}, "loss has no parts"),
        ({"name": "x"}, "no recipe field 'name'"),
    ):
        with pytest.raises(UsageError, match=said):
            recipes.get("lab-base").at("quick").change(bad)


def weights_after(optimizer, steps=3):
    variable = keras.Variable(np.array([1.0, -2.0, 3.0], "float32"))
    optimizer.build([variable])
    gradient = keras.ops.convert_to_tensor(np.array([0.1, 0.2, -0.3], "float32"))
    for _ in range(steps):
        optimizer.apply([gradient])
    return np.asarray(variable)


def test_without_extras_the_optimizers_are_keras_own():
    pairs = (
        (optimizers.SourceSGD(0.1, momentum=0.9), keras.optimizers.SGD(0.1, momentum=0.9)),
        (optimizers.SourceAdam(0.1, beta_1=0.95), keras.optimizers.Adam(0.1, beta_1=0.95)),
    )
    for ours, theirs in pairs:
        np.testing.assert_array_equal(weights_after(ours), weights_after(theirs))


def test_decay_and_l2_mean_what_the_sources_meant():
    weight, gradient, velocity = np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2, -0.3]), np.zeros(3)
    for step in range(3):
        rate = 0.1 / (1 + 0.5 * step)
        velocity = 0.9 * velocity - rate * (gradient + 0.01 * weight)
        weight = weight + velocity
    ours = weights_after(optimizers.SourceSGD(0.1, momentum=0.9, l2=0.01, decay=0.5))
    np.testing.assert_allclose(ours, weight, rtol=1e-5)


def test_optimizers_reload_with_their_extras():
    optimizer = optimizers.SourceAdam(0.1, l2=0.3, decay=0.2)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert (again.l2, again.decay) == (0.3, 0.2)


def test_a_fresh_training_replaces_the_old_run_only_when_it_is_whole(tmp_path, monkeypatch):
    old = train(tmp_path).record
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
    again = train(tmp_path)
    assert again.record["provenance"]["resumed"] == 1
    assert again.history == old["history"]
    assert not again.begun


def test_two_processes_do_not_train_one_run(tmp_path):
    run = runs.locate("cifar10-bn64", "quick", 0, TINY, store=tmp_path)
    with run.locked(), pytest.raises(LabError, match="another process"):
        train(tmp_path)
    assert train(tmp_path).finished


def test_the_recorded_rate_is_the_one_that_the_epoch_began_with(tmp_path):
    changes = {**TINY, "epochs": 4, "decay": 0.5, "steps": [2, 0.1]}
    rates = [row["learning_rate"] for row in training.train("zeng-aug", "quick", 0, changes, store=tmp_path).history]
    steps = 3  # an epoch
    base = recipes.get("zeng-aug").at("quick").learning_rate
    expected = [base * 0.1 ** (i // 2) / (1 + 0.5 * steps * i) for i in range(4)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_a_file_that_is_no_image_is_named_before_or_in_training_or_left_out(tmp_path, monkeypatch):
    from test_datasets import make_folder

    make_folder(tmp_path / "photos", count=12)
    (tmp_path / "photos" / "cat" / "0.png").write_text("no image")
    changes = {"dataset": str(tmp_path / "photos"), "train_images": None, "epochs": 1, "batch_size": 4}
    with pytest.raises(LabError, match=r"1 of 24 files .* cat.0\.png.*--skip-damaged"):
        training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")
    run = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs", skip_damaged=True)
    assert run.record["provenance"]["skipped"] == ["cat/0.png"]
    assert run.record["images"]["train"] + run.record["images"]["test"] == 23
    monkeypatch.setattr("alexnet_tf.folders.CHECKED", 0)  # as in a folder of a million
    datasets._whole.cache_clear()
    with pytest.raises(LabError, match=r"cat.0\.png can't be read as an image"):
        training.train("flowers-lrn", "quick", 1, changes, store=tmp_path / "runs")


def test_a_folder_of_photographs_trains_and_turns_them_upright(tmp_path, monkeypatch):
    from PIL import Image
    from test_datasets import make_folder

    for part in "train", "val":
        make_folder(tmp_path / "flowers" / part, count=8)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 60, 3), "uint8")
    pixels[:20] = 255  # white above; a quarter turn brings it to the right
    Image.fromarray(pixels).save(tmp_path / "flowers" / "val" / "cat" / "turned.jpg", exif=exif, quality=95)
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    changes = {"dataset": "flowers", "train_images": None, "epochs": 1, "batch_size": 4}
    run = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")
    place = int(np.flatnonzero(run.outputs["test_ids"] == "cat/turned.jpg")[0])
    shown = np.asarray(predict.load(run.weights)(read_image(tmp_path / "flowers/val/cat/turned.jpg")[None]))
    logits = run.outputs["test_logits"][place].astype("float64")
    np.testing.assert_allclose(shown[0], np.exp(logits) / np.exp(logits).sum(), atol=5e-3)


def test_files_must_be_resized_first(tmp_path):
    from PIL import Image

    from alexnet_tf import pipeline
    from alexnet_tf.preprocess import Preprocess

    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    split = Split(np.arange(1), np.zeros(1, "int64"), files=(str(tmp_path / "x.png"),))
    with pytest.raises(LabError, match="resized first"):
        pipeline.evaluation_stream(split, 2, Preprocess(8, resize_first=False))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": True}, {"momentum": "abc"}, {"momentum": 2}, {"momentum": None}, {"l2": -1}, {"decay": "x"},
        {"plateau": 3}, {"plateau": [0.1]}, {"plateau": [2, 5]}, {"augment": 3}, {"augment.flip": "abc"},
        {"augment.zoom": -3}, {"options": 5}, {"options.": 3}, {"options.width": -1}, {"options.dropout": 2},
        {"options.dense_units": 1.5}, {"drop_remainder": "no"}, {"resize_first": "yes"}, {"train_images": "abc"},
        {"train_images": 0}, {"epochs": True}, {"batch_size": 1.5}, {"epsilon": 0}, {"steps": [0, 0.1]},
    ],
)  # fmt: skip
def test_odd_values_are_one_sentence(change):
    with pytest.raises(UsageError, match=r"\.$"):
        recipes.get("cifar10-bn64").at("quick").change(change)


def test_an_unknown_option_of_the_network_is_told(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'width'"):
        train(tmp_path, **{"options.widht": 0.5})

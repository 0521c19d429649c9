"""Learning without labels, from few of them, and from other images."""

import dataclasses
import hashlib

import numpy as np
import pytest
from conftest import TINY, train_tiny
from PIL import Image

from alexnet_tf import (
    callbacks,
    datasets,
    finetune,
    layers,
    models,
    plan,
    predict,
    recipes,
    runs,
    search,
    training,
    verdicts,
)
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.models import transfer
from alexnet_tf.quiet import keras
from alexnet_tf.recipes import few

NARROW = {"options.width": 0.1, "options.dense_units": 8}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Quick runs lie where no other test looks."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))


def test_what_was_searched_has_the_best_of_its_rates():
    """Of those that were tried, on held-out images; of all ways that have a rate of their own."""
    tried = search.along_rates("laptop", "few-")
    flowers = {f"few-flowers-{trunk}-100" for trunk in few.TRUNKS}
    assert {f"few-{way}-10" for way in few.RATES} | flowers <= tried.keys()
    for name, curve in tried.items():
        rate = recipes.get(name).learning_rate
        best = max(found.mean for found in curve.values())
        if name == "few-flowers-turned-100":  # flowers share a rate
            assert rate == few.FLOWER_RATE
            assert curve[rate].high > best
        else:
            assert curve[rate].mean == best, name


def test_turned_images_are_turned_as_their_class_says():
    whole, turned = datasets.load("paintbox"), datasets.load("paintbox-turned")
    count = len(whole.train)
    assert len(turned.train) == 4 * count
    assert len(set(turned.train.ids)) == 4 * count
    for turn, name in enumerate(("upright", "turned left", "upside down", "turned right")):
        place = 7 + turn * count
        assert turned.class_names[turned.train.labels[place]] == name
        np.testing.assert_array_equal(np.rot90(turned.train.image(place), -turn), whole.train.image(7))


def test_an_image_is_held_out_in_all_its_turns(own_cache):
    honest, whole = datasets.load("paintbox-turned", "honest"), datasets.load("paintbox")
    kept, held = ({name.rpartition("-")[0] for name in split.ids} for split in (honest.train, honest.val))
    assert len(kept) + len(held) == len(whole.train) == len(honest.train) / 4 + len(honest.val) / 4
    assert len(held) == len(whole.train) // 10
    with pytest.raises(UsageError, match="tested on images that it trained on turned"):
        datasets.load("paintbox-turned", part=(0, 5))
    for trunk in "few-turned/{budget}/{seed}", "few-turned/quick/0", "cifar10":
        changes = {"fold": [0, 5], "pretrained": trunk}
        with pytest.raises(UsageError, match=f"tested on images that {trunk.partition('/{')[0]} may have seen"):
            training.train("few-turned-tuned-10", "quick", 0, changes)


def test_turned_images_lie_where_the_images_lie(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    assert datasets.found("cifar10-turned") is None
    assert main(["data"]) == 0
    assert "cifar10-turned" in capsys.readouterr().out
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert datasets.found("cifar10-turned") == datasets.found("cifar10")


def test_hidden_patches_are_whole_and_only_hidden_in_training():
    images = np.random.default_rng(0).normal(size=(40, 28, 28, 3)).astype("float32")
    layer = layers.HidePatches(0.3, side=4, seed=0)
    np.testing.assert_array_equal(layer(images), images)
    seen = np.asarray(layer(images, training=True))
    hidden = (seen == 0).all(axis=-1)
    blocks = hidden.reshape(40, 7, 4, 7, 4).mean(axis=(2, 4))
    assert set(np.unique(blocks)) == {0, 1}
    assert blocks.mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(seen[~hidden], images[~hidden])
    again = layers.HidePatches.from_config(layer.get_config())
    np.testing.assert_array_equal(again(images, training=True), seen)
    assert layers.HidePatches(0.9, side=5)(images[:, :13], training=True).shape == (40, 13, 28, 3)


@pytest.mark.parametrize(("share", "side"), [(1.0, 4), (-0.1, 4), (0.5, 0)])
def test_patches_that_make_no_sense_are_refused(share, side):
    with pytest.raises(ValueError, match="received"):
        layers.HidePatches(share, side)


def test_a_rebuilder_never_looks_at_labels():
    network = models.build("rebuilder-32", 28, 10, seed=0, hidden_share=0.0, width=0.1)
    network.compile(loss="mean_squared_error")
    images = np.random.default_rng(0).normal(size=(8, 28, 28, 3)).astype("float32")
    losses = [float(network.test_on_batch(images, np.full((8, 10), label))) for label in (0.0, 9.0)]
    assert losses[0] == losses[1]
    assert losses[0] == pytest.approx(float(np.mean((np.asarray(network(images)) - images) ** 2)), rel=1e-4)


def test_a_run_that_rebuilds_keeps_pictures_and_claims_no_accuracy(own_cache, tmp_path, capsys):
    run = training.train("few-rebuilt", "quick", 0, {"train_images": 40, "epochs": 1})
    assert run.outputs["test_seen"].shape == run.outputs["test_rebuilt"].shape == (8, 28, 28, 3)
    assert run.record["metrics"]["test_accuracy"] is None
    assert run.record["metrics"]["test_loss"] > 0
    assert main(["evaluate", "few-rebuilt"]) == 1
    assert "it has no accuracy" in capsys.readouterr().err
    assert main(["train", "few-rebuilt", "--set", "train_images=40", "--set", "epochs=1"]) == 0
    assert "test loss" in capsys.readouterr().out
    assert verdicts.results(["few-rebuilt"], "quick", tmp_path / "runs") == []
    for shade, name in enumerate(f"{kind}/{place}.png" for kind in "ab" for place in range(10)):
        picture = tmp_path / "photographs" / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28, 3), shade, "uint8")).save(picture)
    tiny = {"dataset": str(tmp_path / "photographs"), "train_images": 8, "epochs": 1, "batch_size": 8}
    assert training.train("few-rebuilt", "quick", 0, tiny).outputs["test_seen"].shape == (7, 28, 28, 3)
    for words, told in (
        (["compare", "few-rebuilt", "few-rebuilt"], "it has no accuracy"),
        (["release", "few-rebuilt", "painter"], "it has no accuracy"),
        (["export", "few-rebuilt", "--formats", "litert", "--to", str(tmp_path / "x")], "it has no accuracy"),
        (["predict", str(picture), "--model", "few-rebuilt"], "rebuilds images and names no class"),
    ):
        assert main(words) == 1
        assert told in capsys.readouterr().err
    assert "painter" not in predict.released()
    assert main(["tensorboard", "few-rebuilt", "--to", str(tmp_path / "events")]) == 0
    with pytest.raises(LabError, match="No trained model is here"):
        predict.find_model(None, tmp_path / "runs")
    with pytest.raises(UsageError, match="no accuracy to be searched by"):
        training.validated("few-rebuilt", "quick", 0, {}, tmp_path / "x", print)
    assert main(["search", "few-rebuilt", "--trials", "2", "--to", str(tmp_path / "x")]) == 2
    with pytest.raises(LabError, match="rebuilds images and has no last layer"):
        finetune.finetune(str(tmp_path / "photographs"), str(run.path), tmp_path / "tuned")
    with pytest.raises(UsageError, match="set keep to last"):
        recipes.get("few-rebuilt").change({"keep": "best", "watch": True})


def test_passes_are_epochs_by_another_name(tmp_path):
    small = {**NARROW, "train_images": 40, "batch_size": 16, "schedule": "constant", "warmup": 0.0}
    runs_ = [
        training.train("few-scratch-10", "quick", 0, {**small, "epochs": epochs, "passes": passes}, store=tmp_path)
        for epochs, passes in ((4, 1), (2, 2))
    ]
    np.testing.assert_array_equal(*[run.outputs["test_predicted"] for run in runs_])
    kernels = [transfer.parts(predict.load(run.weights))[1].get_layer("conv3").get_weights()[0] for run in runs_]
    np.testing.assert_array_equal(*kernels)
    assert [len(run.history) for run in runs_] == [4, 2]


def test_a_training_that_is_cut_in_a_pass_goes_on_there(tmp_path, monkeypatch):
    small = {**NARROW, "train_images": 40, "batch_size": 16, "epochs": 2, "passes": 3}  # three batches a pass
    whole = training.train("few-scratch-10", "quick", 0, small, store=tmp_path / "whole")
    save = callbacks.SaveState.on_train_batch_end
    for batches in 5, 7:  # in the second pass of the first epoch; after the first pass of the second
        left = [batches]

        def cut(self, batch, logs=None, left=left):
            save(self, batch, logs)
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        monkeypatch.setattr(callbacks, "SAVE_EVERY", 0.0)
        monkeypatch.setattr(callbacks.SaveState, "on_train_batch_end", cut)
        with pytest.raises(KeyboardInterrupt):
            training.train("few-scratch-10", "quick", 0, small, store=tmp_path / "cut")
        monkeypatch.undo()
    resumed = training.train("few-scratch-10", "quick", 0, small, store=tmp_path / "cut")
    assert resumed.record["provenance"]["resumed"] == 2
    assert resumed.history == whole.history  # with the rates that the epochs began with
    kernels = [transfer.parts(predict.load(run.weights))[1].get_weights() for run in (whole, resumed)]
    for ours, theirs in zip(*kernels, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("few-scratch-10", {"loss": "rebuilding"}, "go together"),
        ("few-rebuilt", {"loss": "crossentropy"}, "go together"),
        ("few-scratch-10", {"taken": "conv5"}, "taken says what is taken of a network that pretrained names"),
        ("few-scratch-10", {"pretrained": "imagenet"}, "fit the model mobilenet alone"),
        ("few-scratch-10", {"pretrained": "{x}"}, r"no recipe or run '\{x\}'"),
        ("few-scratch-10", {"pretrained": "{"}, r"no recipe or run '\{'"),
        ("few-scratch-10", {"whiten": True}, "whiten needs a conv1 of 24 kernels of 2 x 2"),
        ("cifar10-resnet18-untrained", {"whiten": True}, "whiten needs a conv1 of 24 kernels of 2 x 2"),
        ("few-scratch-10", {"drop_remainder": True, "batch_size": 999}, "A batch of 999 is larger than the 200"),
    ],
)
def test_what_does_not_fit_together_is_told(name, changes, told, tmp_path):
    with pytest.raises(LabError, match=told):
        training.train(name, "quick", 0, changes, store=tmp_path)


def test_a_trunk_is_looked_for_beside_the_run_first(own_cache, tmp_path):
    start = train_tiny(tmp_path / "own", "few-scratch-10", passes=1, epochs=1)
    elsewhere = train_tiny(None, "few-scratch-10", passes=1, epochs=1, learning_rate=0.002)
    assert start.weights.exists()
    assert elsewhere.weights.exists()
    changes = {**TINY, "pretrained": "few-scratch-10", "taken": "conv5", "frozen": "conv5", "passes": 1, "epochs": 1}
    for store, trunk in (tmp_path / "own", start), (tmp_path / "other", elsewhere):
        run = training.train("few-turned-tuned-10", "quick", 0, changes, store=store)
        digest = hashlib.sha256(trunk.weights.read_bytes()).hexdigest()
        assert run.record["provenance"]["started_from"]["sha256"] == digest


def test_weights_made_again_stand_in_for_those_that_are_gone(own_cache):
    start = train_tiny(None, "few-scratch-10", passes=1, epochs=1)
    start.weights.unlink()
    changes = {**TINY, "pretrained": "few-scratch-10", "taken": "conv5", "passes": 1, "epochs": 1}
    with pytest.raises(LabError, match=r"weights of .* are not here"):
        training.train("few-turned-tuned-10", "quick", 0, changes)
    again = train_tiny(runs.spares(), "few-scratch-10", passes=1, epochs=1)
    run = training.train("few-turned-tuned-10", "quick", 0, changes)
    digest = hashlib.sha256(again.weights.read_bytes()).hexdigest()
    assert run.record["provenance"]["started_from"]["sha256"] == digest


def test_a_trunk_of_an_older_recipe_is_not_taken(own_cache, monkeypatch):
    start = train_tiny(None, "few-scratch-10", passes=1, epochs=1)
    today = dataclasses.replace(recipes.get("few-scratch-10"), momentum=0.5)
    monkeypatch.setitem(recipes.RECIPES, today.name, today)
    changes = {**TINY, "pretrained": "few-scratch-10", "taken": "conv5", "passes": 1, "epochs": 1}
    told = (
        rf"{start}, which .* starts from, is of an older recipe \(momentum was 0.9 and is now 0.5\): 'python.*--fresh'"
    )
    with pytest.raises(LabError, match=told):
        training.train("few-turned-tuned-10", "quick", 0, changes)


def test_a_trunk_comes_from_the_run_of_the_same_seed_and_nothing_else_does(own_cache, monkeypatch):
    small = {**NARROW, "train_images": 40, "epochs": 1, "passes": 1}
    with pytest.raises(LabError, match="no finished run 'few-turned/quick/1'"):
        training.train("few-turned-tuned-10", "quick", 1, small)
    for seed in 0, 1:
        trunk = training.train("few-turned", "quick", seed, small)
    trunk.path.parent.rename(runs.locate("few-turned", "quick", 1).path.parent)  # as if they had no overrides
    run = training.train("few-turned-linear-10", "quick", 1, small)
    ours, other, theirs = (
        transfer.parts(predict.load(one.weights))[1]
        for one in (run, runs.locate("few-turned", "quick", 0), runs.locate("few-turned", "quick", 1))
    )
    for name in "conv1", "conv5":
        kernel = ours.get_layer(name).get_weights()[0]
        np.testing.assert_array_equal(kernel, theirs.get_layer(name).get_weights()[0])
        assert np.abs(kernel - other.get_layer(name).get_weights()[0]).max() > 0
    assert run.record["provenance"]["started_from"]["layers"] == [f"conv{number}" for number in range(1, 6)]
    assert run.outdated() == []
    monkeypatch.setitem(recipes.RECIPES, "few-turned", dataclasses.replace(recipes.get("few-turned"), momentum=0.5))
    assert run.outdated() == ["few-turned's momentum was 0.9 and is now 0.5"]


@pytest.mark.parametrize("budget", recipes.get("few-turned").budgets)
def test_every_way_has_the_same_computation_in_all(budget):
    def seen(name, images):
        recipe = recipes.get(name).at(budget)
        return plan.computation(recipe, recipe.train_images or images)

    whole = few.LABELS[100]
    for percent in few.LABELS:
        scratch = seen(f"few-scratch-{percent}", whole)
        for trunk, images in ("turned", 4 * whole), ("rebuilt", whole):
            both = seen(f"few-{trunk}", images) + seen(f"few-{trunk}-tuned-{percent}", whole)
            assert both == pytest.approx(scratch, rel=0.03), (trunk, percent)


MOBILENET = "keras.src.applications.mobilenet_v2.file_utils.get_file"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The network of Keras' ImageNet weights with made ones, which stand where a download would put its own."""
    keras.utils.set_random_seed(3)
    network = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None)
    file = tmp_path / "made.weights.h5"
    network.save_weights(file)
    monkeypatch.setattr(MOBILENET, lambda *args, **kwargs: str(file))
    return network


def test_kerass_own_weights_go_into_the_trunk_or_are_told_to_be_missing(made, monkeypatch):
    network = models.build("mobilenet", 96, 5)
    transfer.from_imagenet(network)
    trunk = network.get_layer("trunk")
    for ours, theirs in zip(trunk.get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    def no_network(*args, **kwargs):
        raise OSError("no way there")

    monkeypatch.setattr(MOBILENET, no_network)
    with pytest.raises(LabError, match="ImageNet weights are not here and can't be downloaded"):
        transfer.from_imagenet(network)


@pytest.mark.slow
def test_one_layer_learns_on_kerass_weights_which_stay_as_they_are(made, tmp_path):
    run = training.train("few-flowers-imagenet-5", "quick", 0, {"epochs": 1}, store=tmp_path)
    started = run.record["provenance"]["started_from"]
    assert (started["layers"], len(started["sha256"])) == (["trunk"], 64)
    _, network = transfer.parts(predict.load(run.weights))
    for ours, theirs in zip(network.get_layer("trunk").get_weights(), made.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    recipe = recipes.get("few-flowers-imagenet-5").at("quick")
    newborn = models.build("mobilenet", recipe.image_size, 5, seed=0).layers[-1].get_weights()[0]
    assert np.abs(network.layers[-1].get_weights()[0] - newborn).max() > 0

"""Layer by layer, prediction, growth: counts that agree with the plan's, names that the page reads."""

import json

import numpy as np
import pytest

from alexnet_tf import plan, recipes
from alexnet_tf.bench import fits, growth, kernels, layers, page, predictions

pytestmark = pytest.mark.usefixtures("garbage_stays")


@pytest.mark.parametrize("name", ["int305-cnn", "cifar10-bn64", "flowers-lrn"])
def test_the_layers_operations_are_the_networks(name):
    recipe, classes = fits.chosen(name, {} if name == "int305-cnn" else {"options.width": 0.1})
    counts = layers.counted(fits.compiled(recipe, classes), batch=3)
    assert sum(one["flop"] for one in counts.values()) == pytest.approx(3 * plan.count(recipe, classes).flop)
    assert all(one["bytes"] > 0 for one in counts.values())


def test_bytes_by_hand():
    recipe, classes = fits.chosen("int305-cnn")  # conv1: 32 x 32 x 3 to 28 x 28 x 6, pool1: to 14 x 14 x 6
    counts = layers.counted(fits.compiled(recipe, classes), batch=2)
    first, pooled = 2 * 28 * 28 * 6, 2 * 14 * 14 * 6
    assert counts["conv1"]["flop"] == 2 * 2 * 2 * 28 * 28 * 6 * 75  # forward, and for its weights
    assert counts["conv1"]["bytes"] == 4 * (2 * 2 * 32 * 32 * 3 + 3 * first) + 12 * (75 * 6 + 6)
    assert counts["pool1"] == {"flop": 0.0, "bytes": 4.0 * (3 * first + 3 * pooled)}
    half, _ = fits.chosen("int305-cnn", {"precision": "mixed_bfloat16"})
    assert layers.counted(fits.compiled(half, classes), 2)["pool1"]["bytes"] == 2 * 3 * (first + pooled)


@pytest.mark.slow
def test_every_layer_is_timed_in_both_precisions():
    found = layers.layers(rounds=1, recipes=["int305-cnn"], turn=0.001, size=16, numbers=256)["layers"]
    assert set(found) == {"int305-cnn/float32", "int305-cnn/bfloat16"}
    for entry in found.values():
        names = [layer.name for layer in fits.compiled(*fits.chosen("int305-cnn")).layers]
        assert [one["name"] for one in entry["layers"]] == names
        assert min(one["microseconds"]["median"] for one in entry["layers"]) > 0
        assert min(entry[key]["median"] for key in ("flops", "bandwidth", "step")) > 0


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_ours_and_stock_layers_compute_the_same(name):
    kernel = kernels.KERNELS[name]
    images = np.random.default_rng(0).normal(size=(1, *kernel.shape[1:])).astype("float32")
    ours = kernel.make(dtype=kernel.dtype)
    ours.build(images.shape)
    theirs = kernels.stock(ours)
    assert type(theirs) is not type(ours)
    theirs.build(images.shape)
    weights = ours.get_weights()
    if "groups" in name:  # ours keeps a kernel a group
        weights = [np.concatenate(pair, axis=-1) for pair in (weights[::2], weights[1::2])]
    theirs.set_weights(weights)
    found = [np.asarray(layer(images, training=True)).astype("float32") for layer in (ours, theirs)]
    near = 0.02 if "bfloat16" in kernel.dtype else 1e-4
    np.testing.assert_allclose(*found, rtol=near, atol=near * np.abs(found[1]).max())


def test_kernels_are_raced_and_told_on_the_page(tmp_path):
    found = kernels.kernels(rounds=1, turn=0.0, scale=0.01)["ratios"]
    assert set(found) == {f"kernel/{name}" for name in (*kernels.KERNELS, kernels.MOTION)}
    (tmp_path / "ratios.json").write_text(json.dumps(found))
    told = "\n".join(page.kernels(page.read(tmp_path)))
    assert all(f"`{name}`" in told for name in found)


def test_what_was_written_is_made_of_stock_layers():
    recipe, classes = fits.chosen("flowers-lrn", {"options.width": 0.1, "options.dense_units": 8})
    kinds = {type(layer) for layer in fits.as_written(recipe, classes).layers}
    assert kernels.StockNormalization in kinds
    assert not kinds & set(kernels.STOCK)


def test_predictions_are_timed_by_batch_and_over_a_test_set():
    costs = predictions.predictions(rounds=1, recipes=["int305-cnn"], batches=(1, 3), tested=8, turn=0.001)["costs"]
    assert set(costs) == {f"predict/int305-cnn/{side}" for side in ("batch-1", "batch-3", "evaluate")}


def test_ten_crops_are_timed_where_the_recipe_crops(monkeypatch):
    tiny = {"options.width": 0.0625, "options.dense_units": 8, "image_size": 67, "crop_from": 75}
    monkeypatch.setattr(fits, "chosen", lambda name: (recipes.get(name).change(tiny), 3))
    costs = predictions.predictions(rounds=1, recipes=["imagenet-2012"], batches=(1, 2), tested=2, turn=0.001)["costs"]
    assert "predict/imagenet-2012/ten-crop" in costs


def test_an_exponent_is_that_of_each_round():
    amounts = [1, 2, 4, 8]
    costs = np.array([[3 * amount**power for power in (0.5, 2.0)] for amount in amounts])
    np.testing.assert_allclose(growth.exponent(amounts, costs), [0.5, 2.0])


def test_growth_is_measured_along_each_axis(monkeypatch):
    asked = []
    monkeypatch.setattr(growth, "server", lambda kind, name, **options: asked.append((kind, options)) or options)
    monkeypatch.setattr(growth, "once", lambda options: 100.0 * options["changes"]["batch_size"])
    monkeypatch.setattr(
        growth, "by_workers", lambda sides, rounds: {name: np.full(rounds, float(name) ** 2) for name in sides}
    )
    found = growth.growth(rounds=2)
    assert set(found["ratios"]) == {
        f"growth/cifar10-bn64/{what}" for what in ("images", "image_size", "batch_size", "width", "memory")
    }
    assert found["ratios"]["growth/cifar10-bn64/images"] == {"median": 2.0, "low": 2.0, "high": 2.0, "n": 2}
    assert found["ratios"]["growth/cifar10-bn64/memory"]["median"] == 1.0
    assert found["costs"]["growth/cifar10-bn64/images/8192"]["median"] == pytest.approx(8192**2, rel=1e-5)
    options = [one for kind, one in asked if kind == "epoch"]
    assert options[0]["images"] == growth.AXES["images"][0]
    assert "changes" not in options[0]
    assert options[-1]["changes"] == {"options.width": growth.AXES["options.width"][-1]}
    for one in options:  # recipes that can be built
        recipe, _ = fits.chosen("cifar10-bn64", one.get("changes"))
        assert recipe.batch_size <= one["images"]


def test_an_epoch_is_measured(tmp_path):
    assert fits.epoch("int305-cnn", str(tmp_path), {"batch_size": 8}, images=16)() > 0

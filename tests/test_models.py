"""Architectures: counts, shapes, names, knobs, and equal predictions after reloading."""

import numpy as np
import pytest

from alexnet_tf import models
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.quiet import keras

LAST_MAPS = {"alexnet-lrn": (5, 5, 256), "bn64": (1, 1, 256), "lab3": (6, 6, 256)}
SMALLEST = {"alexnet-lrn": 67, "bn64": 56, "lab3": 67}


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_parameters_and_shapes_are_the_sources(name):
    network = models.build(name)
    assert network.count_params() == models.ARCHITECTURES[name].parameters
    assert network.get_layer("pool5").output.shape[1:] == LAST_MAPS[name]
    assert network.output_shape == (None, models.ARCHITECTURES[name].classes)


def test_source_b_has_2304_frozen_parameters():
    frozen = models.build("bn64").non_trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in frozen) == 2304


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_layers_carry_the_papers_names(name):
    names = [layer.name for layer in models.build(name, SMALLEST[name], width=0.1, dense_units=8).layers]
    assert {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"} <= set(names)


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_too_small_images_are_one_sentence(name):
    with pytest.raises(LabError, match="20 px are too small"):
        models.build(name, image_size=20)


def test_a_wrong_name_or_option_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean 'bn64'"):
        models.build("bn46")
    with pytest.raises(UsageError, match="does not have that option"):
        models.build("bn64", depth=3)
    with pytest.raises(UsageError, match="received 7"):
        models.build("lab3", 67, convolutions=7)
    with pytest.raises(UsageError, match="no norm 'layer'"):
        models.build("lab3", 67, norm="layer")


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({"convolutions": 3}, {"conv3", "pool3"}, {"conv4", "pool5"}),
        ({"dense_layers": 1}, {"fc6"}, {"fc7", "drop6"}),
        ({"dense_layers": 4}, {"fc9", "drop7"}, {"drop8"}),
        ({"norm": "none"}, {"conv1"}, {"norm1"}),
        ({"head": "sigmoid"}, {"sigmoid", "as_logits"}, set()),
    ],
)
def test_lab3_knobs_change_what_they_say(options, present, absent):
    names = {layer.name for layer in models.build("lab3", 67, width=0.1, dense_units=8, **options).layers}
    assert present <= names
    assert not absent & names


def test_the_sigmoid_head_is_not_undone_by_the_loss():
    """Keras' losses look through a sigmoid activation; the source's loss saw its output."""
    network = models.build("lab3", 67, 10, seed=0, width=0.1, dense_layers=1, head="sigmoid")
    image = np.random.default_rng(0).normal(0, 30, (4, 67, 67, 3)).astype("float32")
    one_hot = np.eye(10, dtype="float32")[[0, 1, 2, 3]]
    network.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    shown = network.predict(image, verbose=0)
    exact = np.log(np.exp(shown).sum(axis=1)) - (shown * one_hot).sum(axis=1)
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert network.evaluate(image, one_hot, verbose=0) == pytest.approx(exact.mean(), rel=1e-4)


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_reloaded_networks_predict_the_same(name, tmp_path):
    network = models.build(name, SMALLEST[name], seed=1, width=0.1, dense_units=8)
    image = np.random.default_rng(0).random((2, SMALLEST[name], SMALLEST[name], 3), dtype="float32")
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(network.predict(image, verbose=0), again.predict(image, verbose=0))


def test_the_policy_of_the_caller_is_left_alone():
    network = models.build("bn64", precision="mixed_bfloat16", width=0.1, dense_units=8)
    assert keras.config.dtype_policy().name == "float32"
    assert network.get_layer("conv1").compute_dtype == "bfloat16"
    assert network.get_layer("fc8").compute_dtype == "float32"


def test_the_same_seed_builds_the_same_weights():
    first, second = (models.build("bn64", seed=3, width=0.1, dense_units=8).get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))

"""Architectures: counts, shapes, names, knobs, and equal predictions after reloading."""

import numpy as np
import pytest

from alexnet_tf import claims, models
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.layers import LocalResponseNormalization
from alexnet_tf.models import today
from alexnet_tf.quiet import keras

# The last maps before the dense part, and what makes a small network for a quick step.
LAST = {
    "alexnet-lrn": ("pool5", (5, 5, 256)),
    "bn64": ("pool5", (1, 1, 256)),
    "lab3": ("pool5", (6, 6, 256)),
    "simple": ("pool3", (4, 4, 256)),
    "resnet18": ("block5_2", (1, 1, 512)),
    "lenet": ("pool2", (5, 5, 16)),
    "int305": ("pool5", (2, 2, 384)),
    "zeng": ("pool5", (4, 4, 128)),
    "alexnet-2012": ("pool5", (6, 6, 256)),
    "alexnet-32": ("pool5", (2, 2, 128)),
    "four-layer": ("pool3", (4, 4, 64)),
    "today-flowers": ("act5", (8, 8, 384)),
    "today-cifar": ("pool5", (3, 3, 256)),
    "mobilenet": ("average", (1280,)),
    "rebuilder-32": ("act5", (4, 4, 128)),
}
NARROW = {"width": 0.125, "dense_units": 8}
SMALL = {
    "alexnet-lrn": (67, NARROW),
    "bn64": (64, NARROW),
    "lab3": (67, NARROW),
    "int305": (32, NARROW),
    "zeng": (32, NARROW),
    "alexnet-2012": (67, NARROW),
    "alexnet-32": (28, NARROW),
    "today-flowers": (32, NARROW),
    "today-cifar": (32, NARROW),
    "rebuilder-32": (28, {"width": 0.125}),
}


def small(name, **options):
    """The architecture at the smallest size that has all of its layers."""
    size, narrow = SMALL.get(name, (32, {}))
    return models.build(name, size, 3, seed=1, **{**narrow, **options})


@pytest.mark.parametrize(
    ("name", "options", "constants"),
    [
        ("alexnet-lrn", {}, (5, 1.0, 1e-4, 0.75)),  # source A
        ("alexnet-2012", {}, (2, 2.0, 1e-4, 0.75)),  # the paper: five maps, and here as in the next the sum undivided
        ("lab3", {"norm": "lrn"}, (2, 2.0, 1e-4, 0.75)),
        ("four-layer", {"lrn": True}, (2, 2.0, 1e-4, 0.75)),
        ("alexnet-32", {"norm": "lrn"}, (2, 2.0, 1e-4, 0.75)),
        ("alexnet-32", {"norm": "lrn-scaled"}, (2, 2.0, 1.625625, 0.75)),
        ("alexnet-32", {"norm": "lrn-a"}, (5, 1.0, 1e-4, 0.75)),
    ],
)
def test_each_normalization_has_its_sources_constants(name, options, constants):
    normalizations = [layer for layer in small(name, **options).layers if isinstance(layer, LocalResponseNormalization)]
    assert normalizations
    for layer in normalizations:
        assert (layer.depth_radius, layer.bias, layer.alpha, layer.beta) == pytest.approx(constants)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in models.ARCHITECTURES if name != "mobilenet"),
        ("lab3", {"dense_layers": 5}),
        ("alexnet-32", {"groups": 2, "init": "paper", "dense_layers": 5}),
    ],
)
def test_no_two_layers_begin_with_the_same_weights(name, options):
    kernels = [np.asarray(weight) for weight in small(name, **options).weights if weight.name == "kernel"]
    drawn = [kernel.tobytes() for kernel in kernels if len(np.unique(kernel)) > 1]
    assert len(set(drawn)) == len(drawn) > 2


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_parameters_and_shapes_are_the_sources(name):
    network = models.build(name)
    architecture = models.ARCHITECTURES[name]
    assert network.count_params() - architecture.uncounted == architecture.parameters
    layer, shape = LAST[name]
    assert network.get_layer(layer).output.shape[1:] == shape
    out = network.input_shape[1:] if name == "rebuilder-32" else (models.ARCHITECTURES[name].classes,)
    assert network.output_shape == (None, *out)


def test_the_2012_network_has_62_million_in_one_tower():
    network = models.build("alexnet-2012", groups=1)
    assert network.count_params() == 62_378_344
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert shapes["conv1"] == (55, 55, 96)
    assert (shapes["conv2"], shapes["conv3"], shapes["conv5"]) == ((27, 27, 256), (13, 13, 384), (13, 13, 256))
    biases = {layer.name: float(np.mean(layer.get_weights()[1])) for layer in network.layers if layer.get_weights()}
    assert {name for name, bias in biases.items() if bias == 1} == {"conv2", "conv4", "conv5", "fc6", "fc7"}


def test_two_convolutions_hold_more_of_the_paper_than_it_says():
    network = models.build("alexnet-2012")
    shares = {layer.name: layer.count_params() / network.count_params() for layer in network.layers}
    (told,) = [row for row in claims.DISAGREEMENTS if row.source == "F" and "parameters" in row.subject]
    assert told.other == f"by its own sizes conv3 holds {shares['conv3']:.2%} and conv4 {shares['conv4']:.2%}".replace(
        "%", " %"
    )


def test_a_wider_baseline_has_more_of_everything_but_classes():
    shapes = {layer.name: layer.output.shape[-1] for layer in models.build("lenet", width=2).layers}
    wanted = {"conv1": 12, "conv2": 32, "fc3": 240, "fc4": 168, "fc5": 10}
    assert {name: shapes[name] for name in wanted} == wanted
    narrow = models.build("lenet", width=0.05)  # no layer is left without units
    assert min(layer.output.shape[-1] for layer in narrow.layers) > 0


def test_resnet18_counts_as_torchvision_does():
    weights = models.build("resnet18").trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in weights) == 11_181_642


def test_source_b_has_2304_frozen_parameters():
    frozen = models.build("bn64").non_trainable_weights
    assert sum(int(np.prod(weight.shape)) for weight in frozen) == 2304


@pytest.mark.parametrize(
    "name", ["alexnet-lrn", "bn64", "lab3", "int305", "zeng", "alexnet-2012", "today-flowers", "today-cifar"]
)
def test_layers_carry_the_papers_names(name):
    names = [layer.name for layer in small(name).layers]
    assert {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"} <= set(names)


@pytest.mark.parametrize(
    "name",
    sorted(
        set(models.ARCHITECTURES)
        - {"resnet18", "four-layer", "alexnet-32", "today-flowers", "rebuilder-32", "mobilenet"}
    ),
)  # they pad
def test_too_small_images_are_one_sentence(name):
    with pytest.raises(LabError, match="px are too small"):
        models.build(name, image_size=20 if SMALL.get(name, (0,))[0] > 32 else 1)


def test_a_wrong_name_or_option_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean 'bn64'"):
        models.build("bn46")
    with pytest.raises(UsageError, match="no option of bn64 'depth'"):
        models.build("bn64", depth=3)
    with pytest.raises(UsageError, match="received 7"):
        models.build("lab3", 67, convolutions=7)
    with pytest.raises(UsageError, match="no norm 'layer'"):
        models.build("lab3", 67, norm="layer")
    for wrong in {"groups": 3}, {"width": 0.001}, {"without": 1, "groups": 2}:
        with pytest.raises(UsageError, match="There is no alexnet-32 with"):
            models.build("alexnet-32", **wrong)
    with pytest.raises(LabError, match="paints 20 px: it can't rebuild images of 24 px"):
        models.build("rebuilder-32", 24)
    assert models.build("rebuilder-32", dense_layers=2).count_params() == models.build("rebuilder-32").count_params()
    for name, option in ("alexnet-32", "flatten"), ("rebuilder-32", "flatten"), ("today-cifar", "identity"):
        with pytest.raises(UsageError, match=rf"options\.{option} must be true or false; received 5"):
            models.build(name, **{option: 5})


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


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({"without": 3}, {"conv2", "conv4"}, {"conv3", "act3"}),
        ({"without": 1}, {"conv1_left_out", "pool1"}, {"conv1", "norm1"}),
        ({"flatten": False, "dense_layers": 1}, {"average", "fc6"}, {"flatten", "fc7", "drop6"}),
        ({"dropout": 0.0}, {"fc8"}, {"drop6", "drop7"}),
        ({"norm": "none"}, {"conv1", "conv2"}, {"norm1", "norm2"}),
    ],
)
def test_the_grids_knobs_change_what_they_say(options, present, absent):
    names = {layer.name for layer in small("alexnet-32", **options).layers}
    assert present <= names
    assert not absent & names


def test_leaving_a_convolution_out_keeps_the_size_of_all_maps():
    """Else the dense part would change with it, and the comparison with it."""
    for number in range(6):
        maps = {layer.name: layer.output.shape[1:3] for layer in small("alexnet-32", without=number).layers[:-6]}
        assert (maps["pool1"], maps["pool2"], maps["pool5"]) == ((7, 7), (4, 4), (2, 2))


def test_batch_normalization_stands_where_the_knob_says():
    before, after = (
        [layer.name for layer in small("alexnet-32", norm=f"batch-{place}").layers] for place in ("before", "after")
    )
    assert before[:4] == ["conv1", "norm1", "act1", "pool1"]
    assert after[:4] == ["conv1", "act1", "norm1", "pool1"]


def test_the_papers_initialization_is_its_own():
    network = models.build("alexnet-32", 28, init="paper", seed=0)
    biases = {layer.name: float(np.mean(layer.get_weights()[1])) for layer in network.layers if layer.get_weights()}
    assert {name for name, bias in biases.items() if bias == 1} == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert network.get_layer("fc6").get_weights()[0].std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("bad", [{"pooling": "max"}, {"norm": "batch"}, {"init": "xavier"}, {"activation": "swish"}])
def test_a_wrong_knob_is_named(bad):
    with pytest.raises(UsageError, match=f"no {next(iter(bad))}"):
        small("alexnet-32", **bad)
    with pytest.raises(UsageError, match="received 6"):
        small("alexnet-32", without=6)


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
def test_each_trains_a_step_and_reloads_to_equal_predictions(name, tmp_path):
    network = small(name)
    rng = np.random.default_rng(0)
    image = rng.random((4, *network.input_shape[1:]), dtype="float32")
    before = [weight.copy() for weight in network.get_weights()]
    paints = name == "rebuilder-32"
    network.compile("sgd", "mse" if paints else keras.losses.CategoricalCrossentropy(from_logits=True))
    loss = network.train_on_batch(image, np.eye(3, dtype="float32")[[0, 1, 2, 0]])
    assert np.isfinite(loss)
    after = network.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True) if a.size > 1]
    assert np.mean(moved) > 0.7
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


def test_todays_network_for_cifar_has_the_shape_that_is_asked_for():
    network = small(
        "today-cifar", width=1.0, filters="6-7-8-9", pool5="plain", dense_norm=True, dropout=0.1, identity=True
    )
    assert [network.get_layer(f"conv{number}").output.shape[-1] for number in range(2, 6)] == [6, 7, 8, 9]
    assert network.get_layer("pool5").output.shape[1:] == (3, 3, 9)
    assert network.get_layer("flatten").output.shape[1:] == (81,)
    names = [layer.name for layer in network.layers]
    assert names[names.index("fc6") :][:4] == ["fc6", "norm6", "act6", "drop6"]
    kernel = network.get_layer("conv3").get_weights()[0]
    np.testing.assert_array_equal(kernel[1, 1, :, :6], np.eye(6))
    assert np.count_nonzero(kernel[..., :6]) == 6
    assert kernel[..., 6].std() == pytest.approx((2 / (9 * 6)) ** 0.5, rel=0.4)


@pytest.mark.parametrize(
    "filters", ["96-256-256", "96-256-256-0", "a-b-c-d", "96--256-256-256", "1-1-1-999999", 96, "+96-1-1-1"]
)
def test_filters_that_are_not_four_counts_are_told(filters):
    with pytest.raises(UsageError, match="as 64-128-256-256; received"):
        models.build("today-cifar", filters=filters)
    with pytest.raises(UsageError, match="no pool5 'average'"):
        models.build("today-cifar", pool5="average")


def test_whitened_patches_have_unit_variance_and_no_correlation():
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(64, 1, 1, 3)) + 0.3 * rng.normal(
        size=(64, 32, 32, 3)
    )  # neighbours agree, as in photographs
    network = small("today-cifar")
    today.whiten(network, smooth.astype("float32"))
    found = np.asarray(network.get_layer("conv1")(smooth.astype("float32"))).reshape(-1, 24)
    np.testing.assert_allclose(found[:, :12], -found[:, 12:], atol=1e-5)
    covariance = found[:, :12].T @ found[:, :12] / len(found)
    np.testing.assert_allclose(covariance, np.eye(12), atol=0.02)


def test_what_pytorch_draws_and_leaks_is_drawn_and_leaked():
    assert float(models.parts.activate("leaky", "x")(np.array([-1.0]))[0]) == pytest.approx(-0.01)
    kernel = np.asarray(models.build("simple", seed=0).get_layer("conv3").kernel)
    assert np.abs(kernel).max() == pytest.approx((9 * 128) ** -0.5, rel=0.01)
    kernel = np.asarray(models.build("simple", 64, seed=0).get_layer("fc4").kernel)
    assert np.abs(kernel).max() == pytest.approx(len(kernel) ** -0.5, rel=0.01)
    kernel = np.asarray(models.build("lab3", 67, seed=0, width=0.25, dense_units=8).get_layer("conv3").kernel)
    assert kernel.std() == pytest.approx((2 / np.prod(kernel.shape[:3])) ** 0.5, rel=0.05)

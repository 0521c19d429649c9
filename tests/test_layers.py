"""Local response normalization against an independent rewrite."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf.layers import (
    BatchNormalization,
    GroupedConv2D,
    LocalResponseNormalization,
    ResidualBlock,
    StridedConv2D,
)
from alexnet_tf.quiet import keras

CONSTANTS = [
    {"depth_radius": 5, "bias": 1.0, "alpha": 1e-4, "beta": 0.75},  # source A
    {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75},  # the 2012 paper
    {"depth_radius": 1, "bias": 0.5, "alpha": 1.0, "beta": 0.5},  # strong, so that errors show
    {"depth_radius": 0, "bias": 1.0, "alpha": 0.1, "beta": 1.0},  # no neighbours
]


def by_hand(x, depth_radius, bias, alpha, beta):
    """The equation, one channel at a time, in float64."""
    out = np.empty(x.shape)
    for c in range(x.shape[-1]):
        window = x[..., max(0, c - depth_radius) : c + depth_radius + 1].astype("float64")
        out[..., c] = x[..., c] / (bias + alpha * (window**2).sum(axis=-1)) ** beta
    return out


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("training", [True, False])
def test_it_equals_the_equation(training, constants):
    x = np.random.default_rng(0).normal(0, 3, (2, 3, 4, 12)).astype("float32")
    layer = LocalResponseNormalization(**constants)
    np.testing.assert_allclose(np.asarray(layer(x, training=training)), by_hand(x, **constants), rtol=2e-5, atol=2e-6)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)),
    depth_radius=st.integers(0, 12),
    bias=st.floats(1e-3, 10),
    alpha=st.floats(0, 10),
    beta=st.floats(-1, 2),
    power=st.integers(-3, 3),
)
def test_any_shape_and_constants_equal_the_equation_and_tensorflows_gradient(shape, power, **constants):
    import tensorflow as tf

    layer = LocalResponseNormalization(**constants)
    x = tf.constant(np.random.default_rng(0).normal(0, 10.0**power, shape), tf.float32)
    gradients = []
    for way in partial(layer, training=True), lambda x: tf.nn.local_response_normalization(x, *constants.values()):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = way(x)
        np.testing.assert_allclose(y, by_hand(x.numpy(), **constants), rtol=1e-4)
        gradients.append(tape.gradient(y, x).numpy())
    assert np.isfinite(gradients).all()
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-4 * np.abs(gradients).max())


@pytest.mark.parametrize("training", [True, False])
def test_whole_numbers_are_taken_as_numbers(training):
    layer = LocalResponseNormalization(2, 2.0)
    x = np.arange(24, dtype="int32").reshape(1, 2, 2, 6)
    np.testing.assert_allclose(np.asarray(layer(x, training=training)), by_hand(x, 2, 2.0, 1e-4, 0.75), rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_keeps_its_type_and_float32_arithmetic(training):
    x = np.random.default_rng(0).normal(0, 3, (1, 2, 2, 8)).astype("float32")
    layer = LocalResponseNormalization(2, 2.0, dtype="mixed_bfloat16")
    y = layer(keras.ops.cast(x, "bfloat16"), training=training)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(np.asarray(keras.ops.cast(y, "float32")), by_hand(x, 2, 2.0, 1e-4, 0.75), rtol=0.02)


def test_gradients_flow():
    import tensorflow as tf

    layer = LocalResponseNormalization(1, 1.0, 1.0, 0.5)
    x = tf.constant(np.random.default_rng(1).normal(size=(1, 1, 1, 5)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, training=True))
    step = 1e-3
    bump = np.zeros(x.shape, "float32")
    bump[..., 2] = step
    numeric = (by_hand(x.numpy() + bump, 1, 1, 1, 0.5) - by_hand(x.numpy() - bump, 1, 1, 1, 0.5)).sum() / (2 * step)
    assert tape.gradient(total, x).numpy()[..., 2].item() == pytest.approx(numeric, rel=1e-2)


def test_config_and_shape_survive():
    layer = LocalResponseNormalization(depth_radius=2, bias=2.0, name="norm1")
    again = LocalResponseNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 5, 5, 7)) == (None, 5, 5, 7)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"depth_radius": -1}, "received -1"),
        ({"depth_radius": 2.5}, "received 2.5"),
        ({"depth_radius": True}, "received True"),
        ({"bias": 0}, "received 0"),
        ({"alpha": -1e-4}, "received -0.0001"),
        ({"bias": float("nan")}, "received nan"),
        ({"alpha": float("inf")}, "received inf"),
        ({"beta": float("nan")}, "received nan"),
    ],
)
def test_bad_constants_say_what_they_received(bad, said):
    with pytest.raises(ValueError, match=said):
        LocalResponseNormalization(**bad)


def test_flat_inputs_are_refused():
    with pytest.raises(ValueError, match=r"expected images .* received \(2, 8\)"):
        LocalResponseNormalization()(np.ones((2, 8), "float32"))


def test_two_groups_equal_keras_own_grouped_convolution():
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 8)).astype("float32")
    ours = GroupedConv2D(12, 3, padding="same", activation="relu")
    theirs = keras.layers.Conv2D(12, 3, groups=2, padding="same", activation="relu")
    ours(x), theirs.build(x.shape)
    (first, bias1), (second, bias2) = (part.get_weights() for part in ours.parts)
    theirs.set_weights([np.concatenate([first, second], axis=-1), np.concatenate([bias1, bias2])])
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), atol=1e-5)
    assert ours.compute_output_shape((None, 6, 6, 8)) == (None, 6, 6, 12)


def test_groups_must_divide():
    with pytest.raises(ValueError, match="received 5 filters, 2 groups"):
        GroupedConv2D(5, 3)
    with pytest.raises(ValueError, match="received 3"):
        GroupedConv2D(4, 3)(np.ones((1, 4, 4, 3), "float32"))


@pytest.mark.parametrize(("channels", "strides"), [(8, 1), (4, 1), (8, 2)])
def test_a_residual_block_is_its_equation(channels, strides):
    x = np.random.default_rng(0).normal(size=(2, 6, 6, channels)).astype("float32")
    block = ResidualBlock(8, strides)
    y = np.asarray(block(x, training=False))
    assert y.shape == block.compute_output_shape(x.shape)
    way = x
    for layer in block.chain:
        way = layer(way)
    around = x
    for layer in block.shortcut:
        around = layer(around)
    assert len(block.shortcut) == (0 if (channels, strides) == (8, 1) else 2)
    np.testing.assert_allclose(y, np.maximum(np.asarray(way) + np.asarray(around), 0), atol=1e-5)
    with pytest.raises(ValueError, match="received 0"):
        ResidualBlock(0)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("momentum", [0.99, 0.5])
def test_fused_batch_normalization_is_kerass(policy, momentum):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    images = rng.normal(3, 2, (6, 5, 4, 8)).astype("float32")
    weights = [rng.uniform(0.5, 2, 8) for _ in range(4)]
    layers = [kind(momentum=momentum, dtype=policy) for kind in (BatchNormalization, keras.layers.BatchNormalization)]
    found = []
    for layer in layers:
        layer.build(images.shape)
        layer.set_weights(weights)
        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(tf.cast(y, "float32")))
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        assert y.dtype == layer.compute_dtype
        found.append([y, *gradients, layer.moving_mean, layer.moving_variance, layer(x, training=False)])
    tolerance = 1e-4 if policy == "float32" else 0.05
    for ours, kerass in zip(*found, strict=True):
        np.testing.assert_allclose(np.array(ours, "float32"), np.array(kerass, "float32"), tolerance, tolerance)
    assert np.abs(np.array(found[0][-2]) - weights[3]).max() > 0.005  # the averages have moved


def test_batch_normalization_is_fused_only_where_it_may_be(monkeypatch):
    monkeypatch.setattr(BatchNormalization, "_fused", lambda self, inputs: pytest.fail("fused"))
    images = np.ones((2, 4, 4, 3), "float32")
    layer = BatchNormalization()
    layer(images, training=False)
    with pytest.raises(pytest.fail.Exception):
        layer(images, training=True)
    layer.trainable = False
    layer(images, training=True)
    for other in BatchNormalization(axis=1), BatchNormalization(scale=False), BatchNormalization(synchronized=True):
        other(images, training=True)
    BatchNormalization()(np.ones((2, 3), "float32"), training=True)


@pytest.mark.parametrize(
    ("side", "size", "step"), [(64, 11, 4), (67, 11, 4), (227, 11, 4), (20, 5, 2), (21, 3, 5), (9, 4, 2)]
)
def test_a_stride_undone_gives_the_numbers_and_gradients_of_float32(side, size, step):
    """Those of Keras' own in float32: its gradient of a bias in bfloat16 stops growing at 256 on a processor."""
    import tensorflow as tf

    images = tf.cast(tf.constant(np.random.default_rng(0).normal(size=(2, side, side, 3))), tf.bfloat16)
    options = {"strides": step, "activation": "softplus", "bias_initializer": "ones"}  # smooth: nothing flips
    ours = StridedConv2D(4, size, dtype="mixed_bfloat16", **options)
    exact = keras.layers.Conv2D(4, size, **options)
    for layer in ours, exact:
        layer.build(images.shape)
    exact.set_weights(ours.get_weights())
    assert ours._dense
    found = []
    for layer, seen in (ours, images), (exact, tf.cast(images, tf.float32)):
        with tf.GradientTape() as tape:
            tape.watch(seen)
            y = layer(seen)
        assert layer.compute_output_shape(seen.shape) == y.shape
        gradients = tape.gradient(y, [seen, *(weight.value for weight in layer.trainable_variables)])
        found.append([np.asarray(tf.cast(value, tf.float32)) for value in (y, *gradients)])
    for mine, other in zip(*found, strict=True):
        assert np.linalg.norm(mine - other) < 0.02 * np.linalg.norm(other)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"padding": "same"},
        {"strides": 1},
        {"strides": (2, 1)},
        {"dilation_rate": 2, "strides": 1},
    ],
)
def test_where_nothing_is_won_it_is_keras_own(options):
    options = {"strides": 2, "dtype": "mixed_bfloat16", **options}
    images = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype("float32")
    ours, own = StridedConv2D(4, 3, **options), keras.layers.Conv2D(4, 3, **options)
    first, _ = ours(images), own(images)
    own.set_weights(ours.get_weights())
    assert not ours._dense
    assert np.array_equal(np.asarray(first), np.asarray(own(images)))


def test_a_strided_convolution_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((20, 20, 3)), StridedConv2D(4, 5, strides=2, dtype="mixed_bfloat16")])
    images = np.random.default_rng(0).normal(size=(1, 20, 20, 3)).astype("float32")
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert type(again.layers[0]) is StridedConv2D
    assert np.array_equal(model.predict(images, verbose=0), again.predict(images, verbose=0))

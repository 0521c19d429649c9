"""Optimizers: what older frameworks meant, and Muon against an independent rewrite."""

import numpy as np
import pytest

from alexnet_tf import optimizers, recipes
from alexnet_tf.quiet import keras


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
        (optimizers.SourceSGD(0.1), keras.optimizers.SGD(0.1)),
        (optimizers.SourceSGD(0.1, momentum=0.9, nesterov=True), keras.optimizers.SGD(0.1, 0.9, nesterov=True)),
        (optimizers.SourceAdam(0.1, beta_1=0.95), keras.optimizers.Adam(0.1, beta_1=0.95)),
        (optimizers.SourceAdam(0.1, amsgrad=True), keras.optimizers.Adam(0.1, amsgrad=True)),
        (optimizers.SourceAdamW(0.1, weight_decay=0.2), keras.optimizers.AdamW(0.1, weight_decay=0.2)),
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(weights_after(ours), weights_after(theirs), rtol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "optimizer"),
    [
        ("ResourceApplyKerasMomentum", optimizers.SourceSGD(0.1, momentum=0.9)),
        ("ResourceApplyAdam", optimizers.SourceAdam(0.1)),
        ("ResourceApplyAdam", optimizers.SourceAdamW(0.1)),
    ],
)
def test_on_one_device_one_kernel_updates(kernel, optimizer, monkeypatch):
    import tensorflow as tf

    used, own = [], getattr(tf.raw_ops, kernel)
    monkeypatch.setattr(tf.raw_ops, kernel, lambda **settings: used.append(kernel) or own(**settings))
    weights_after(optimizer, steps=2)
    assert used == [kernel, kernel]


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


def test_l1_pulls_every_weight_towards_zero_alike():
    variable = keras.Variable(np.array([2.0, -3.0, 0.0], "float32"))
    optimizer = optimizers.SourceSGD(0.1, l1=0.5)
    optimizer.build([variable])
    optimizer.apply([np.zeros(3, "float32")])
    np.testing.assert_allclose(variable.numpy(), [1.95, -2.95, 0.0], atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 10), (10, 40), (3, 3, 8, 16)])
def test_muon_moves_along_the_nearest_orthogonal_matrix(shape):
    """Newton and Schulz end near the matrix with the same singular vectors and singular values about one."""
    rng = np.random.default_rng(0)
    start, gradient = (rng.normal(size=shape).astype("float32") for _ in range(2))
    kernel, last = keras.Variable(start, name="kernel"), keras.Variable(np.ones((4, 2), "float32"), name="last")
    optimizer = optimizers.SourceMuon(0.1, beta_1=0.9, weight_decay=0.0)
    optimizer.build([kernel, last])
    optimizer.apply([gradient, np.ones((4, 2), "float32")])
    moved = (start - kernel.numpy()).reshape(-1, shape[-1])
    left, _, right = np.linalg.svd(gradient.reshape(moved.shape), full_matrices=False)
    size = 0.1 * 0.2 * max(moved.shape) ** 0.5
    inner = left.T @ moved @ right.T / size
    assert np.diag(inner).min() > 0.6
    assert np.diag(inner).max() < 1.3
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)
    np.testing.assert_allclose(last.numpy(), 0.9, atol=1e-4)  # the last kernel is AdamW's: a first step has the rate


def test_every_optimizer_of_a_recipe_carries_what_the_recipe_says():
    base = recipes.get("grid-base")
    for name, kind in ("sgd", "SourceSGD"), ("adam", "SourceAdam"), ("adamw", "SourceAdamW"), ("muon", "SourceMuon"):
        decay = 0.05 if name in ("adamw", "muon") else 0.0
        optimizer = optimizers.make_optimizer(base.change({"optimizer": name, "l1": 0.25, "weight_decay": decay}))
        config = optimizer.get_config()
        assert (type(optimizer).__name__, config["l1"], config["l2"]) == (kind, 0.25, 5e-4)
        assert (config["weight_decay"] or 0.0) == decay


def test_momentum_and_epsilon_of_a_recipe_reach_its_optimizer():
    source = recipes.get("int305-sgd")
    assert optimizers.make_optimizer(source).momentum == 0.9
    assert optimizers.make_optimizer(source.change({"momentum": 0})).momentum == 0  # as `--set momentum=0` gives it
    adam = optimizers.make_optimizer(recipes.get("lab-base"))
    assert (adam.beta_1, adam.epsilon, adam.l2) == (0.95, 1e-8, 5e-4)


def test_a_cosine_is_half_way_down_in_the_middle():
    rate = optimizers.OneCycle(0.4, 10, shape="cosine")
    assert [float(rate(step)) for step in (0, 5, 10)] == pytest.approx([0.4, 0.2, 0], abs=1e-6)


def test_muon_goes_along_its_momentum_and_not_along_the_last_gradient():
    rng = np.random.default_rng(0)
    start, first, second = (rng.normal(size=(20, 8)).astype("float32") for _ in range(3))
    kernel, last, rest = keras.Variable(start), keras.Variable(np.ones((4, 2), "float32")), np.ones((4, 2), "float32")
    muon = optimizers.SourceMuon(0.1, beta_1=0.9, weight_decay=0.0)
    muon.build([kernel, last])
    muon.apply([first, rest])
    before = kernel.numpy()
    muon.apply([second, rest])
    left, _, right = np.linalg.svd(1.9 * second + 0.81 * first, full_matrices=False)  # Nesterov's
    along = left.T @ (before - kernel.numpy()) @ right.T
    np.testing.assert_allclose(along, np.diag(np.diag(along)), atol=1e-3)

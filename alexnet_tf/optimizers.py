"""Optimizers that mean what older Keras and PyTorch meant."""

from __future__ import annotations

from typing import Any

from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe

ops = keras.ops


class _SourceUpdate:
    """Adds what today's Keras dropped or never had to an optimizer's update.

    `l2` times the weights is added to the gradient, as PyTorch's and the 2012 paper's weight decay
    (Keras' `weight_decay` is decoupled), and `l1` times their signs. `decay` divides the rate by
    ``1 + decay * step``, as older Keras' argument of that name (today's ignores it).
    """

    def __init__(self, *args: Any, l2: float = 0.0, l1: float = 0.0, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.l2, self.l1, self.decay = l2, l1, decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.l2:
            gradient = ops.add(gradient, ops.multiply(self.l2, ops.cast(variable, gradient.dtype)))
        if self.l1:
            gradient = ops.add(gradient, ops.multiply(self.l1, ops.sign(ops.cast(variable, gradient.dtype))))
        if self.decay:
            step = ops.cast(self.iterations, learning_rate.dtype)  # type: ignore[attr-defined]
            learning_rate = learning_rate / (1.0 + self.decay * step)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2, "l1": self.l1, "decay": self.decay}  # type: ignore[misc]


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceSGD(_SourceUpdate, keras.optimizers.SGD):
    """SGD with L2 in the gradient and the older Keras' decay."""


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceAdam(_SourceUpdate, keras.optimizers.Adam):
    """Adam with L2 in the gradient and the older Keras' decay."""


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceAdamW(_SourceUpdate, keras.optimizers.AdamW):
    """AdamW: its decay is decoupled from the gradient."""


def orthogonal(matrix: Any, steps: int = 5) -> Any:
    """The nearest orthogonal matrix, roughly: five steps of Newton and Schulz with Jordan's coefficients."""
    tall = matrix.shape[0] > matrix.shape[1]
    near = ops.transpose(matrix) if tall else matrix
    near = near / (ops.norm(near) + 1e-7)
    for _ in range(steps):
        square = ops.matmul(near, ops.transpose(near))
        near = 3.4445 * near + ops.matmul(-4.7750 * square + 2.0315 * ops.matmul(square, square), near)
    return ops.transpose(near) if tall else near


class Muon(keras.optimizers.AdamW):
    """Momentum made orthogonal (Jordan 2024) for every kernel but the last layer's; AdamW for the rest.

    Keras' own takes matrices only; here a convolution's kernel is one too, a row for each weight
    that an output sees. The step has the size of Adam's (Liu et al. 2025), so that one rate fits both.
    """

    def build(self, variables: Any) -> None:
        super().build(variables)
        kernels = [place for place, variable in enumerate(variables) if len(variable.shape) in (2, 4)]
        self.orthogonalized = set(kernels[:-1])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        place = self._get_variable_index(variable)
        if place not in self.orthogonalized:
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self._momentums[place]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(velocity, ops.add(ops.multiply(velocity, self.beta_1), gradient))
        ahead = ops.reshape(gradient + self.beta_1 * velocity, (-1, variable.shape[-1]))
        size = 0.2 * max(ahead.shape) ** 0.5
        step = ops.reshape(orthogonal(ahead) * size, variable.shape)
        self.assign_sub(variable, ops.multiply(ops.cast(learning_rate, variable.dtype), step))


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceMuon(_SourceUpdate, Muon):
    """Muon with L1 or L2 in the gradient."""


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe."""
    common = {"learning_rate": recipe.learning_rate, "l2": recipe.l2, "l1": recipe.l1, "decay": recipe.decay}
    if recipe.optimizer == "sgd":
        return SourceSGD(momentum=recipe.momentum, **common)
    if recipe.optimizer == "adam":
        return SourceAdam(beta_1=recipe.momentum, epsilon=recipe.epsilon, **common)
    common.update(weight_decay=recipe.weight_decay, beta_1=recipe.momentum, epsilon=recipe.epsilon)
    return SourceAdamW(**common) if recipe.optimizer == "adamw" else SourceMuon(**common)

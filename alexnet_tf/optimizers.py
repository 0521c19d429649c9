"""Optimizers that mean what older Keras and PyTorch meant."""

from __future__ import annotations

from typing import Any

from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe

ops = keras.ops


class _SourceUpdate:
    """Adds two things that today's Keras dropped or never had to an optimizer's update.

    `l2` is added to the gradient, as PyTorch's and the 2012 paper's weight decay (Keras'
    `weight_decay` is decoupled). `decay` divides the rate by ``1 + decay * step``, as older
    Keras' argument of that name (today's ignores it).
    """

    def __init__(self, *args: Any, l2: float = 0.0, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.l2, self.decay = l2, decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.l2:
            gradient = ops.add(gradient, ops.multiply(self.l2, ops.cast(variable, gradient.dtype)))
        if self.decay:
            step = ops.cast(self.iterations, learning_rate.dtype)  # type: ignore[attr-defined]
            learning_rate = learning_rate / (1.0 + self.decay * step)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "l2": self.l2, "decay": self.decay}  # type: ignore[misc]


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceSGD(_SourceUpdate, keras.optimizers.SGD):
    """SGD with L2 in the gradient and the older Keras' decay."""


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceAdam(_SourceUpdate, keras.optimizers.Adam):
    """Adam with L2 in the gradient and the older Keras' decay."""


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe."""
    common = {"learning_rate": recipe.learning_rate, "l2": recipe.l2, "decay": recipe.decay}
    if recipe.optimizer == "adam":
        return SourceAdam(beta_1=recipe.momentum, epsilon=recipe.epsilon, **common)
    return SourceSGD(momentum=recipe.momentum, **common)

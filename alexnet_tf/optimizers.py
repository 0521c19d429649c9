"""Optimizers that mean what older Keras and PyTorch meant."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe

ops = keras.ops


@keras.saving.register_keras_serializable("alexnet_tf")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """From nearly zero up to `peak` within a share `warmup` of all `steps`, then down to zero.

    It falls in a straight line or, as "cosine", in half a wave.

    >>> rate = OneCycle(0.4, steps=10, warmup=0.5, shape="linear")
    >>> [round(float(rate(step)), 2) for step in range(10)]
    [0.08, 0.16, 0.24, 0.32, 0.4, 0.4, 0.32, 0.24, 0.16, 0.08]
    """

    def __init__(self, peak: float, steps: int, warmup: float = 0.0, shape: str = "cosine") -> None:
        super().__init__()
        self.peak, self.steps, self.warmup, self.shape = peak, steps, warmup, shape

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rising = (step + 1) / max(self.warmup * self.steps, 1)
        fallen = ops.clip((step / self.steps - self.warmup) / (1 - self.warmup), 0.0, 1.0)
        falling = 1 - fallen if self.shape == "linear" else (1 + ops.cos(np.pi * fallen)) / 2
        return self.peak * ops.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup, "shape": self.shape}


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


def _one_kernel() -> bool:
    """Whether TensorFlow's own kernels can update: one pass over the weights where Keras makes a dozen."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()  # there a variable is several


class _OneKernelSGD(keras.optimizers.SGD):
    """Keras' SGD with momentum in one kernel where there is one; the same numbers to rounding."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum or not _one_kernel():
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=tf.cast(gradient, variable.dtype),
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class _OneKernelAdam(keras.optimizers.Adam):
    """Keras' Adam in one kernel where there is one; the same numbers to rounding."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.amsgrad or not _one_kernel():
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        place, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, learning_rate.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceSGD(_SourceUpdate, _OneKernelSGD):
    """SGD with L2 in the gradient and the older Keras' decay."""


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceAdam(_SourceUpdate, _OneKernelAdam):
    """Adam with L2 in the gradient and the older Keras' decay."""


@keras.saving.register_keras_serializable("alexnet_tf")
class SourceAdamW(_SourceUpdate, _OneKernelAdam, keras.optimizers.AdamW):
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


class Muon(_OneKernelAdam, keras.optimizers.AdamW):
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


def make_optimizer(recipe: Recipe, steps: int = 1) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe; `steps` are those of the whole training, which a schedule divides up."""
    rate: Any = recipe.learning_rate
    if recipe.schedule != "constant":
        rate = OneCycle(rate, steps, recipe.warmup, recipe.schedule)
    common = {"learning_rate": rate, "l2": recipe.l2, "l1": recipe.l1, "decay": recipe.decay}
    if recipe.optimizer == "sgd":
        return SourceSGD(momentum=float(recipe.momentum), **common)  # Keras refuses a whole number
    if recipe.optimizer == "adam":
        return SourceAdam(beta_1=recipe.momentum, epsilon=recipe.epsilon, **common)
    common.update(weight_decay=recipe.weight_decay, beta_1=recipe.momentum, epsilon=recipe.epsilon)
    return SourceAdamW(**common) if recipe.optimizer == "adamw" else SourceMuon(**common)

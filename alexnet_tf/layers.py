"""Layers that Keras does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet_tf.quiet import keras

ops = keras.ops


@keras.saving.register_keras_serializable("alexnet_tf")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each activation by a power of the energy of its neighbouring channels.

    ``y[c] = x[c] / (bias + alpha * sum(x[j]**2 for |j - c| <= depth_radius)) ** beta``

    This is TensorFlow's convention: the window spans ``2 * depth_radius + 1`` channels and
    `alpha` is not divided by it. The 2012 paper (k 2, n 5, alpha 1e-4, beta 0.75) is
    ``depth_radius=2, bias=2``; the defaults here are those of source A's custom layer, whose
    depth_radius of 5 is a window of eleven channels. PyTorch and ONNX divide `alpha` by the
    window, so there the paper is ``size=5, alpha=5e-4, k=2``.

    The arithmetic is float32 under any dtype policy, since TensorFlow has no bfloat16 kernel.

    >>> layer = LocalResponseNormalization(depth_radius=2, bias=2.0)
    >>> layer(np.ones((1, 4, 4, 8), "float32")).shape
    TensorShape([1, 4, 4, 8])
    """

    def __init__(
        self, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(depth_radius, bool) or not isinstance(depth_radius, int) or depth_radius < 0:
            raise ValueError(f"depth_radius must be a whole number of channels, 0 or more; received {depth_radius!r}")
        if not bias > 0:
            raise ValueError(f"bias must be positive, or silent channels divide by zero; received {bias!r}")
        if alpha < 0:
            raise ValueError(f"alpha must not be negative; received {alpha!r}")
        self.depth_radius = depth_radius
        self.bias = float(bias)
        self.alpha = float(alpha)
        self.beta = float(beta)

    def call(self, inputs: Any) -> Any:
        if len(inputs.shape) != 4:
            raise ValueError(f"expected images of shape (batch, height, width, channels); received {inputs.shape}")
        x = ops.cast(inputs, "float32")
        normalize = self._native if keras.backend.backend() == "tensorflow" else self._portable
        return ops.cast(normalize(x), self.compute_dtype)

    def _native(self, x: Any) -> Any:
        import tensorflow as tf

        return tf.nn.local_response_normalization(x, self.depth_radius, self.bias, self.alpha, self.beta)

    def _portable(self, x: Any) -> Any:
        channel = np.arange(x.shape[-1])
        window = (abs(channel[:, None] - channel) <= self.depth_radius).astype("float32")
        energy = ops.matmul(ops.square(x), window)  # sum over each channel's neighbourhood
        return x / ops.power(self.bias + self.alpha * energy, self.beta)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"depth_radius": self.depth_radius, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}

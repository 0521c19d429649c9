"""Layers, and how one may begin, that Keras does not have, or not in a form that is fast and exports everywhere."""

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

    How much is divided hangs on the scale of the images: the paper's pixels were bytes less their mean. For pixels
    within 1 the same `alpha` leaves little but the constant ``bias ** -beta``; ``alpha=1e-4 * 127.5**2`` normalizes
    alike.

    The neighbours are added by a product with a band of ones, and the power is taken by a logarithm: forward and back
    that is more than twice as fast on a processor as TensorFlow's own kernel (``python -m alexnet_tf.bench kernels``),
    and runs on any backend. Outside of training TensorFlow's kernel is taken, where its limits for graphics cards allow
    it: exported, it is one operation that other runtimes and eight bits know. All is float32 under any dtype policy.

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
        if not 0 < bias < np.inf:
            raise ValueError(f"bias must be positive, or silent channels divide by zero; received {bias!r}")
        if not 0 <= alpha < np.inf:
            raise ValueError(f"alpha must not be negative; received {alpha!r}")
        if not np.isfinite(beta):
            raise ValueError(f"beta must be a finite number; received {beta!r}")
        self.depth_radius = depth_radius
        self.bias = float(bias)
        self.alpha = float(alpha)
        self.beta = float(beta)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if len(inputs.shape) != 4:
            raise ValueError(f"expected images of shape (batch, height, width, channels); received {inputs.shape}")
        x = ops.cast(inputs, "float32")
        within = 1 <= self.depth_radius <= 7 and self.beta >= 0.01 and self.bias >= 1e-5
        if keras.backend.backend() == "tensorflow" and within and not training:
            import tensorflow as tf

            y = tf.nn.local_response_normalization(x, self.depth_radius, self.bias, self.alpha, self.beta)
            return ops.cast(y, self.compute_dtype)
        channel = np.arange(x.shape[-1])
        band = self.alpha * (abs(channel[:, None] - channel) <= self.depth_radius).astype("float32")
        energy = ops.matmul(ops.square(x), band)  # of each channel's neighbourhood
        y = x * ops.exp(-self.beta * ops.log(self.bias + energy))
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"depth_radius": self.depth_radius, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("alexnet_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' own, but one fused kernel of TensorFlow's and not a dozen passes where one device trains on images.

    >>> BatchNormalization()(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    TensorShape([2, 4, 4, 3])
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        plain = (self.axis, self.center, self.scale) == (-1, True, True) and not getattr(self, "renorm", False)
        alone = keras.backend.backend() == "tensorflow" and not self.synchronized
        if training and self.trainable and plain and alone and mask is None and len(inputs.shape) == 4:
            return self._fused(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _fused(self, inputs: Any) -> Any:
        import tensorflow as tf

        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[], epsilon=self.epsilon, is_training=True
        )
        count = ops.cast(ops.size(inputs) // inputs.shape[-1], "float32")
        variance = result.batch_variance * (count - 1) / count  # the kernel's is that of a sample
        for moving, new in (self.moving_mean, result.batch_mean), (self.moving_variance, variance):
            moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return result.y


@keras.saving.register_keras_serializable("alexnet_tf")
class StridedConv2D(keras.layers.Conv2D):
    """Keras' convolution with a stride; the same numbers, in bfloat16 sooner.

    Each square of ``strides`` pixels becomes one place of many channels, and so does the kernel, filled up with zeros:
    what is left is a dense convolution without a stride, for which bfloat16 has fast instructions where three
    channels have none (``python -m alexnet_tf.bench kernels``). In float32 the stride itself is faster, and stays.

    >>> StridedConv2D(8, 11, strides=4)(np.ones((1, 64, 64, 3), "float32")).shape
    TensorShape([1, 14, 14, 8])
    """

    def call(self, inputs: Any) -> Any:
        step, size = self.strides[0], self.kernel_size[0]
        squares = -(-size // step)  # along a side of the kernel
        if not self._dense or None in inputs.shape[1:]:
            return super().call(inputs)
        kernel = ops.pad(ops.cast(self.kernel, self.compute_dtype), [[0, squares * step - size]] * 2 + [[0, 0]] * 2)
        kernel = _in_squares(ops.reshape(kernel, (1, squares * step, squares * step, -1)), step)
        kernel = ops.reshape(kernel, (squares, squares, -1, self.filters))
        height, width = (((side - size) // step + squares) * step for side in inputs.shape[1:3])
        seen = inputs[:, :height, :width]  # what no kernel reaches is left out, what only its zeros reach filled up
        beyond = [[0, height - seen.shape[1]], [0, width - seen.shape[2]]]
        y = ops.conv(_in_squares(ops.pad(seen, [[0, 0], *beyond, [0, 0]]), step), kernel, data_format="channels_last")
        y = y + ops.cast(self.bias, y.dtype) if self.use_bias else y
        return self.activation(y)

    @property
    def _dense(self) -> bool:
        """Whether there is a square stride to be undone, and something to be won."""
        square = len({*self.strides}) == len({*self.kernel_size}) == 1 < self.strides[0]
        plain = (self.padding, self.groups, self.data_format) == ("valid", 1, "channels_last")
        return self.compute_dtype == "bfloat16" and square and plain and {*self.dilation_rate} == {1}


def _in_squares(images: Any, step: int) -> Any:
    """Every square of pixels as one place with the channels of all of them."""
    _, height, width, channels = images.shape
    split = ops.reshape(images, (-1, height // step, step, width // step, step, channels))
    together = ops.transpose(split, (0, 1, 3, 2, 4, 5))
    return ops.reshape(together, (-1, height // step, width // step, step * step * channels))


@keras.saving.register_keras_serializable("alexnet_tf")
class HandOn(keras.initializers.HeNormal):
    """The first filters of a convolution hand on one channel each, as far as there are channels; the rest is He's."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """The kernel."""
        kernel = np.array(ops.convert_to_numpy(super().__call__(shape, "float32")))
        height, width, seen, filters = shape
        channels = np.arange(min(seen, filters))
        kernel[..., channels] = 0
        kernel[height // 2, width // 2, channels, channels] = 1
        return ops.convert_to_tensor(kernel, dtype)


@keras.saving.register_keras_serializable("alexnet_tf")
class Scale(keras.layers.Layer):
    """Times a constant. Keras' `Rescaling` asks for TensorFlow under any backend once it is compiled.

    >>> Scale(0.25)(np.full((1, 2), 8.0)).numpy().tolist()
    [[2.0, 2.0]]
    """

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = float(factor)

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("alexnet_tf")
class HidePatches(keras.layers.Layer):
    """In training, square patches of an image become zero, each with probability `share`; else nothing happens.

    >>> HidePatches(0.5, side=4)(np.ones((1, 8, 8, 3), "float32")).shape
    TensorShape([1, 8, 8, 3])
    """

    def __init__(self, share: float, side: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= share < 1:
            raise ValueError(f"share must lie from 0 to below 1; received {share!r}")
        if side < 1:
            raise ValueError(f"side must be a number of pixels, 1 or more; received {side!r}")
        self.share, self.side, self.seed = share, side, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.share:
            return inputs
        height, width = inputs.shape[1:3]
        shape = (ops.shape(inputs)[0], -(-height // self.side), -(-width // self.side), 1)
        shown = keras.random.uniform(shape, seed=self.seed_generator) >= self.share
        shown = ops.repeat(ops.repeat(shown, self.side, axis=1), self.side, axis=2)[:, :height, :width]
        return ops.where(shown, inputs, 0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share, "side": self.side, "seed": self.seed}


@keras.saving.register_keras_serializable("alexnet_tf")
class GroupedConv2D(keras.layers.Layer):
    """The 2012 paper's convolution in groups: each half of the filters sees one half of the channels.

    Keras' own ``Conv2D(groups=2)`` computes the same numbers; on TensorFlow and a CPU it takes
    many times as long. Here the channels are split, convolved apart and put together again.

    >>> GroupedConv2D(8, 3, padding="same")(np.ones((1, 5, 5, 4), "float32")).shape
    TensorShape([1, 5, 5, 8])
    """

    def __init__(self, filters: int, kernel_size: int, groups: int = 2, **kwargs: Any) -> None:
        own = {key: kwargs.pop(key) for key in ("name", "dtype", "trainable") if key in kwargs}
        super().__init__(**own)
        if groups < 1 or filters % groups:
            raise ValueError(f"filters must divide into groups; received {filters!r} filters, {groups!r} groups")
        self.filters, self.kernel_size, self.groups = filters, kernel_size, groups
        self.convolution = kwargs  # padding, activation, initializers: what each group's Conv2D gets
        self.parts = [self._part(number + 1) for number in range(groups)]

    def _part(self, number: int) -> keras.layers.Layer:
        """One group's convolution, with draws of its own: one initializer would give all groups the same weights."""
        given = self.convolution
        drawn = {key: keras.initializers.get(given[key]).clone() for key in given if key.endswith("initializer")}
        count, policy = self.filters // self.groups, self.dtype_policy
        return keras.layers.Conv2D(count, self.kernel_size, dtype=policy, name=f"group{number}", **{**given, **drawn})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        if channels is None or channels % self.groups:
            raise ValueError(f"channels must divide into {self.groups} groups; received {channels!r}")
        for part in self.parts:
            part.build((*input_shape[:-1], channels // self.groups))

    def call(self, inputs: Any) -> Any:
        pieces = ops.split(inputs, self.groups, axis=-1)
        return ops.concatenate([part(piece) for part, piece in zip(self.parts, pieces, strict=True)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        piece = (*input_shape[:-1], (input_shape[-1] or 0) // self.groups)
        return (*self.parts[0].compute_output_shape(piece)[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "groups": self.groups}
        return {**super().get_config(), **own, **self.convolution}


@keras.saving.register_keras_serializable("alexnet_tf")
class ResidualBlock(keras.layers.Layer):
    """Two 3 x 3 convolutions and a way around them, as torchvision's ResNet-18 has it.

    ``relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))``; the shortcut is a 1 x 1 convolution with
    batch normalization where the shape changes, else the identity. Padding is symmetric and
    batch normalization takes PyTorch's constants.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < 1 or strides < 1:
            raise ValueError(f"filters and strides must be positive; received {filters!r} and {strides!r}")
        self.filters, self.strides = filters, strides

        def norm() -> keras.layers.Layer:
            return BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=self.dtype_policy)

        def conv(size: int, step: int) -> keras.layers.Layer:
            he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
            return keras.layers.Conv2D(
                filters, size, step, use_bias=False, kernel_initializer=he, dtype=self.dtype_policy
            )

        def pad() -> keras.layers.Layer:
            return keras.layers.ZeroPadding2D(1, dtype=self.dtype_policy)

        relu = keras.layers.ReLU(dtype=self.dtype_policy)
        self.chain = [pad(), conv(3, strides), norm(), relu, pad(), conv(3, 1), norm()]
        self.shortcut = [conv(1, strides), norm()]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.strides == 1 and input_shape[-1] == self.filters:
            self.shortcut = []
        for chain in self.chain, self.shortcut:
            shape = input_shape
            for layer in chain:
                if not layer.built:
                    layer.build(shape)
                shape = layer.compute_output_shape(shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        def run(chain: list[keras.layers.Layer]) -> Any:
            x = inputs
            for layer in chain:
                normalizing = isinstance(layer, keras.layers.BatchNormalization)
                x = layer(x, training=training) if normalizing else layer(x)
            return x

        return ops.relu(run(self.chain) + run(self.shortcut))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        height, width = (None if side is None else -(-side // self.strides) for side in input_shape[1:3])
        return (input_shape[0], height, width, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}

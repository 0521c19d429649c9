"""Our layers, and our motion of images, against stock ones that compute the same, each on what a recipe gives it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from alexnet_tf.augment import moved
from alexnet_tf.bench import ROUNDS, in_turns_of, interleaved, summary
from alexnet_tf.bench.layers import way
from alexnet_tf.layers import BatchNormalization, GroupedConv2D, LocalResponseNormalization, StridedConv2D
from alexnet_tf.quiet import keras


class StockNormalization(keras.layers.Layer):
    """Local response normalization by TensorFlow's own kernel, as source A calls it."""

    def __init__(self, depth_radius: int, bias: float, alpha: float, beta: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.constants = depth_radius, bias, alpha, beta

    def call(self, inputs: Any) -> Any:
        """Normalize in float32, which is all that the kernel knows."""
        import tensorflow as tf

        return tf.cast(tf.nn.local_response_normalization(tf.cast(inputs, "float32"), *self.constants), inputs.dtype)


STOCK: dict[type, type[keras.layers.Layer]] = {
    BatchNormalization: keras.layers.BatchNormalization,
    GroupedConv2D: keras.layers.Conv2D,
    LocalResponseNormalization: StockNormalization,
    StridedConv2D: keras.layers.Conv2D,
}


def stock(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A stock layer of the same numbers in place of ours; any other as it is."""
    kind = STOCK.get(type(layer))
    return kind.from_config(layer.get_config()) if kind else layer


@dataclass(frozen=True)
class Kernel:
    """A layer of ours as a recipe has it."""

    make: Callable[..., keras.layers.Layer]
    shape: tuple[int, ...]  # of what it is given
    dtype: str = "float32"
    seen: bool = True  # whether what it is given wants a gradient


def _strided(count: int, batch: int, side: int, dtype: str) -> Kernel:
    return Kernel(partial(StridedConv2D, count, 11, strides=4), (batch, side, side, 3), dtype, seen=False)


KERNELS = {
    "lrn/flowers-lrn": Kernel(LocalResponseNormalization, (32, 26, 26, 96)),
    "lrn/grid-base": Kernel(partial(LocalResponseNormalization, 2, 2.0), (128, 14, 14, 48)),
    "stride/cifar10-bn64/float32": _strided(128, 128, 64, "float32"),
    "stride/cifar10-bn64/bfloat16": _strided(128, 128, 64, "mixed_bfloat16"),
    "stride/flowers-lrn/float32": _strided(96, 32, 224, "float32"),
    "stride/flowers-lrn/bfloat16": _strided(96, 32, 224, "mixed_bfloat16"),
    "batch-normalization/cifar10-bn64": Kernel(BatchNormalization, (128, 14, 14, 128)),
    "groups/imagenet-2012": Kernel(partial(GroupedConv2D, 256, 5, padding="same"), (32, 27, 27, 96)),
}


MOTION = "motion/flowers-lrn"
TURN_15_DEGREES = [[0.966, 0.259, -25.4], [-0.259, 0.966, 33.1], [0.0, 0.0, 1.0]]  # about the middle of 227 pixels


def _motions(scale: float, turn: float) -> dict[str, Callable[[], float]]:
    """Seconds in which our loop moves a batch of photographs, and Keras' own transform."""
    import tensorflow as tf

    images = 255 * tf.random.stateless_uniform((math.ceil(32 * scale), 227, 227, 3), [0, 0])
    matrices = tf.tile(tf.constant([TURN_15_DEGREES]), (len(images), 1, 1))
    flat = tf.reshape(matrices, (-1, 9))[:, :8]
    move = partial(moved, images, matrices, whole_pixels=False, outside="border")
    transform = partial(keras.ops.image.affine_transform, images, flat, interpolation="bilinear", fill_mode="nearest")
    return {
        "ours": in_turns_of(turn, lambda count: [move() for _ in range(count)]),
        "stock": in_turns_of(turn, lambda count: [transform() for _ in range(count)]),
    }


def kernels(rounds: int = ROUNDS, turn: float = 0.25, scale: float = 1.0) -> dict[str, Any]:
    """How many times as fast as the stock one ours goes, a layer forward and back; `scale` shrinks the batches."""
    import tensorflow as tf

    ratios = {}
    for name, kernel in KERNELS.items():
        batch, *shape = kernel.shape
        images = tf.random.stateless_normal((math.ceil(batch * scale), *shape), [0, 0])
        sides = {}
        for side, layer in ("ours", kernel.make(dtype=kernel.dtype)), ("stock", stock(kernel.make(dtype=kernel.dtype))):
            inputs = tf.cast(images, layer.compute_dtype)
            sides[side] = way(layer, inputs, tf.ones_like(layer(inputs, training=True)), kernel.seen, turn)
        seconds = interleaved(sides, rounds)
        ratios[f"kernel/{name}"] = summary(seconds["stock"] / seconds["ours"])
    seconds = interleaved(_motions(scale, turn), rounds)
    ratios[f"kernel/{MOTION}"] = summary(seconds["stock"] / seconds["ours"])
    return {"ratios": ratios}

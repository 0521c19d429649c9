"""What may happen to a picture: nine corruptions at five severities, the same for the same image each time.

After Hendrycks and Dietterich (2019), with strengths of our own for small pictures. Each takes and
gives float32 batches from 0 to 255, eagerly or in tf.data; `Spoilt` is a split under all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError, choose
from alexnet_tf.quiet import keras
from alexnet_tf.splits import Split

import tensorflow as tf  # isort: skip  (after Keras, which loads it quietly)

SEVERITIES = (1, 2, 3, 4, 5)


def _noise(images: tf.Tensor, places: tf.Tensor, strength: float) -> tf.Tensor:
    """Gaussian noise of a deviation, drawn from each image's own place in the split."""

    def one(place: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_normal(images.shape[1:], [tf.cast(place, tf.int32), 2012])

    return images + strength * tf.map_fn(one, places, fn_output_signature=tf.float32)


def _blur(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """A Gaussian blur of a deviation in pixels."""
    reach = int(np.ceil(3 * strength))
    line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / strength) ** 2)
    kernel = np.tile((line / line.sum())[:, None, None, None], (1, 1, 3, 1)).astype("float32")
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "SYMMETRIC")
    down = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    return tf.nn.depthwise_conv2d(down, kernel.swapaxes(0, 1), [1, 1, 1, 1], "VALID")


def _contrast(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """The share of contrast that is left."""
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + strength * (images - mean)


def _brightness(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    return images + strength


def _jpeg(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """JPEG at a quality."""

    def one(image: tf.Tensor) -> tf.Tensor:
        return tf.image.adjust_jpeg_quality(tf.cast(image, tf.uint8), int(strength))

    return tf.cast(tf.map_fn(one, tf.round(images), fn_output_signature=tf.uint8), tf.float32)


def _pixelate(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """A share of the resolution that is left."""
    size = images.shape[1]
    small = tf.image.resize(images, [max(1, round(size * strength))] * 2, method="area")
    return tf.image.resize(small, [size, size], method="nearest")


def _fog(images: tf.Tensor, places: tf.Tensor, strength: float) -> tf.Tensor:
    """Uneven white, thicker in some parts than in others."""

    def one(place: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([4, 4, 1], [tf.cast(place, tf.int32), 2024])

    thick = tf.image.resize(tf.map_fn(one, places, fn_output_signature=tf.float32), images.shape[1:3], method="bicubic")
    veil = strength * (0.6 + 0.8 * tf.clip_by_value(thick, 0.0, 1.0))
    return images * (1 - tf.minimum(veil, 1.0)) + 255.0 * tf.minimum(veil, 1.0)


def _moved(images: tf.Tensor, matrix: list[float]) -> tf.Tensor:
    every = tf.tile(tf.constant([matrix], tf.float32), [tf.shape(images)[0], 1])
    return keras.ops.image.affine_transform(images, every, interpolation="bilinear", fill_mode="nearest")


def _rotation(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """Degrees about the centre."""
    turn, lean, centre = np.cos(np.radians(strength)), np.sin(np.radians(strength)), (images.shape[1] - 1) / 2
    across, down = centre - turn * centre + lean * centre, centre - lean * centre - turn * centre
    return _moved(images, [turn, -lean, across, lean, turn, down, 0.0, 0.0])


def _shift(images: tf.Tensor, _: tf.Tensor, strength: float) -> tf.Tensor:
    """A share of the width, to the right and downwards."""
    pixels = -strength * images.shape[1]
    return _moved(images, [1.0, 0.0, pixels, 0.0, 1.0, pixels, 0.0, 0.0])


Corruption = Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]
# Each with its strengths at severities 1 to 5, in units of pixels of 32 px images where they are pixels.
CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "noise": (_noise, (8, 14, 20, 28, 40)),
    "blur": (_blur, (0.4, 0.6, 0.8, 1.1, 1.5)),
    "contrast": (_contrast, (0.75, 0.5, 0.35, 0.2, 0.1)),
    "brightness": (_brightness, (15, 30, 50, 75, 100)),
    "jpeg": (_jpeg, (80, 60, 40, 25, 12)),
    "pixelate": (_pixelate, (0.85, 0.7, 0.55, 0.45, 0.35)),
    "fog": (_fog, (0.2, 0.3, 0.4, 0.5, 0.65)),
    "rotation": (_rotation, (5, 10, 15, 22, 30)),
    "shift": (_shift, (0.03, 0.06, 0.1, 0.15, 0.2)),
}


def corrupt(images: tf.Tensor, places: tf.Tensor, kind: str, severity: int) -> tf.Tensor:
    """A batch corrupted; `places` are the images' places in their split, which seed what is random."""
    function, strengths = CORRUPTIONS[choose("corruption", kind, CORRUPTIONS)]
    if severity not in SEVERITIES:
        raise LabError(f"A severity is a whole number from 1 to 5; received {severity!r}.")
    return tf.clip_by_value(function(images, places, float(strengths[severity - 1])), 0.0, 255.0)


@dataclass(frozen=True)
class Spoilt:
    """A split under every corruption at every severity; made once, when first asked for, for all networks."""

    split: Split

    @cached_property
    def images(self) -> dict[tuple[str, int], NDArray[np.uint8]]:
        """(kind, severity) -> the raw images, spoilt."""
        return {(kind, severity): self._one(kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES}

    def _one(self, kind: str, severity: int) -> NDArray[np.uint8]:
        pixels = tf.convert_to_tensor(self.split.pixels)

        def spoil(places: tf.Tensor) -> tf.Tensor:
            raw = tf.cast(tf.gather(pixels, places), tf.float32)
            return tf.cast(tf.round(corrupt(raw, places, kind, severity)), tf.uint8)

        batches = tf.data.Dataset.range(len(self.split)).batch(250).map(spoil, num_parallel_calls=tf.data.AUTOTUNE)
        return np.concatenate(list(batches.as_numpy_iterator()))

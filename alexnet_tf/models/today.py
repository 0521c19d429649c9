"""The shape of 2012 with what was learned since: still five convolutions and three dense layers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.layers import BatchNormalization, HandOn, Scale
from alexnet_tf.models.parts import Layers, hidden, layers, logits
from alexnet_tf.quiet import keras


def today_flowers(classes: int, width: float = 1.0, dense_units: int = 512, dropout: float = 0.3) -> Layers:
    """For photographs of about 128 px: batch normalization, a finer first stride, an average before the dense part.

    The average leaves most of the parameters in the convolutions, where 2012 had them in the dense layers.
    """
    for number, (count, kernel) in enumerate([(48, 7), (128, 5), (256, 3), (256, 3), (384, 3)], start=1):
        yield layers.Conv2D(
            round(count * width),
            kernel,
            strides=2 if number == 1 else 1,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{number}",
        )
        yield BatchNormalization(name=f"norm{number}")
        yield layers.Activation("relu", name=f"act{number}")
        if number in (1, 2, 4):
            yield layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")
    yield layers.GlobalAveragePooling2D(name="average")
    yield from hidden([dense_units, dense_units], "relu", dropout, kernel_initializer="he_normal")
    yield logits(classes, 8)


PATCH = 2  # pixels, of the first convolution for CIFAR-10


def today_cifar(
    classes: int,
    filters: str = "64-128-256-256",
    width: float = 1.0,
    pool5: str = "plain",
    dense_units: int = 256,
    dense_norm: bool = True,
    dropout: float = 0.0,
    scale: float = 1.0,
    identity: bool = True,
) -> Layers:
    """For 32 px: whitening first, pooling before normalization, a dense part that still sees places.

    The first convolution is `whiten`'s, two outputs for each number of a patch: one and its negative. The shape is
    that of airbench (Jordan 2024) with fewer convolutions. `filters` are those of the other four
    convolutions, times `width`; with `identity` as many of them as there are channels begin by handing one on each.
    Three by three places are left for the dense part, or with "global" for `pool5` each channel's maximum; its hidden
    layers are normalized too with `dense_norm`. `scale` multiplies the logits.
    """
    counts = _counts(filters)
    choose("pool5", pool5, ("global", "plain"))
    yield layers.Conv2D(2 * 3 * PATCH**2, PATCH, use_bias=False, name="conv1")
    yield layers.Activation("gelu", name="act1")
    for number, count in enumerate(counts, start=2):
        yield layers.Conv2D(
            max(1, round(count * width)),
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=HandOn() if identity else "he_normal",
            name=f"conv{number}",
        )
        if number in (2, 3):
            yield layers.MaxPooling2D(2, name=f"pool{number}")
        elif number == 5 and pool5 == "plain":
            yield layers.MaxPooling2D(2, name="pool5")
        yield BatchNormalization(momentum=0.9, name=f"norm{number}")
        yield layers.Activation("gelu", name=f"act{number}")
    yield layers.Flatten(name="flatten") if pool5 == "plain" else layers.GlobalMaxPooling2D(name="pool5")
    for number in 6, 7:
        yield layers.Dense(dense_units, use_bias=not dense_norm, kernel_initializer="he_normal", name=f"fc{number}")
        if dense_norm:
            yield BatchNormalization(momentum=0.9, name=f"norm{number}")
        yield layers.Activation("gelu", name=f"act{number}")
        if dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")
    yield logits(classes, 8)
    yield Scale(scale, dtype="float32", name="scale")


def _counts(filters: str) -> list[int]:
    """The filters of four convolutions from their numbers with dashes between.

    >>> _counts("64-128-256-256")
    [64, 128, 256, 256]
    """
    counts = [int(count) for count in str(filters).split("-") if count.isdecimal()]
    if len(counts) != 4 or not all(1 <= count <= 65_536 for count in counts) or "-".join(map(str, counts)) != filters:
        raise UsageError(
            f"filters are those of the second to the fifth convolution, as 64-128-256-256; received {filters!r}."
        )
    return counts


def whiten(network: keras.Sequential, images: Iterable[NDArray[np.floating]]) -> None:
    """Let conv1 put out the principal components of the images' patches at unit variance, and their negatives."""
    size = 3 * PATCH**2
    conv1 = next((layer for layer in network.layers if layer.name == "conv1"), None)
    if conv1 is None or [weight.shape for weight in conv1.get_weights()] != [(PATCH, PATCH, 3, 2 * size)]:
        raise LabError(
            f"whiten needs a conv1 of {2 * size} kernels of {PATCH} x {PATCH} without biases, as today-cifar has it; "
            f"{network.name} has another."
        )
    products, count = np.zeros((size, size)), 0
    for image in images:  # the patches of all at once would take many times the memory of the images
        windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH), axis=(0, 1))
        patches = np.moveaxis(windows, 2, -1).reshape(-1, size).astype("float64")
        products, count = products + patches.T @ patches, count + len(patches)
    values, vectors = np.linalg.eigh(products / count)
    scaled = (vectors / np.sqrt(values + 5e-4)).astype("float32")
    kernel = scaled.reshape(PATCH, PATCH, 3, -1)
    network.get_layer("conv1").set_weights([np.concatenate([kernel, -kernel], axis=-1)])

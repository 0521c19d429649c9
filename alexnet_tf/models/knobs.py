"""One small AlexNet whose every choice can be turned: the base of the experiments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from alexnet_tf.errors import UsageError, choose
from alexnet_tf.layers import BatchNormalization, GroupedConv2D, LocalResponseNormalization
from alexnet_tf.models.parts import Layers, activate, layers, logits
from alexnet_tf.quiet import keras

POOLINGS = {
    "overlapping": (layers.MaxPooling2D, 3),
    "plain": (layers.MaxPooling2D, 2),
    "average": (layers.AveragePooling2D, 3),
}
# How to normalize, and whether before the activation.
NORMS: dict[str, tuple[Any, bool]] = {
    "none": (None, False),
    "lrn": (functools.partial(LocalResponseNormalization, depth_radius=2, bias=2.0), False),
    # The paper's constants are for pixels up to 127.5 from the mean; for pixels up to 1 this alpha normalizes alike.
    "lrn-scaled": (
        functools.partial(LocalResponseNormalization, depth_radius=2, bias=2.0, alpha=1e-4 * 127.5**2),
        False,
    ),
    "lrn-a": (functools.partial(LocalResponseNormalization, depth_radius=5, bias=1.0), False),
    "batch-before": (BatchNormalization, True),
    "batch-after": (BatchNormalization, False),
}
INITS: dict[str, Callable[[], dict[str, Any]]] = {
    "he": lambda: {"kernel_initializer": "he_normal"},
    "glorot": lambda: {"kernel_initializer": "glorot_uniform"},
    "paper": lambda: {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01), "bias_initializer": "ones"},
}


def alexnet32(
    classes: int,
    activation: str = "relu",
    norm: str = "lrn",
    pooling: str = "overlapping",
    groups: int = 1,
    without: int = 0,
    kernels: float = 1.0,
    width: float = 1.0,
    flatten: bool = True,
    dense_layers: int = 3,
    dense_units: int = 1024,
    dropout: float = 0.5,
    init: str = "he",
) -> Layers:
    """Five convolutions and three dense layers for images of about 32 px, every choice a knob.

    The shape of 2012 at half its kernels, as one of its two GPUs held them: a strided first
    convolution, normalization after the first two, pooling after the first, second and last.
    `kernels` scales the first four convolutions only, as the paper's one-tower comparison did.
    Without its first convolution the network halves the image by averaging, as the stride would.
    """
    choose("pooling", pooling, POOLINGS)
    choose("init", init, INITS)
    if without not in range(6):
        raise UsageError(f"without is the number of the convolution to leave out, or 0 for none; received {without!r}")
    new = INITS[init]  # for each layer: one initializer would give layers of one shape the same weights
    for number, count in enumerate((48, 128, 192, 192, 128), start=1):
        count = round(count * width * (kernels if number < 5 else 1))
        if number != without:
            yield _convolution(number, count, groups, new())
            yield from _activated(number, activation, norm)
        elif number == 1:
            yield layers.AveragePooling2D(2, name="conv1_left_out")
        if number in (1, 2, 5):
            kind, size = POOLINGS[pooling]
            yield kind(size, strides=2, padding="same", name=f"pool{number}")
    yield layers.Flatten(name="flatten") if flatten else layers.GlobalAveragePooling2D(name="average")
    for number in range(6, 5 + dense_layers):
        yield layers.Dense(dense_units, name=f"fc{number}", **new())
        yield activate(activation, f"act{number}")
        if dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")
    yield logits(classes, 5 + dense_layers, kernel_initializer=new()["kernel_initializer"])


def _convolution(number: int, count: int, groups: int, weights: dict[str, Any]) -> keras.layers.Layer:
    """A convolution of the small AlexNet; the second, fourth and fifth see only their own group."""
    size, strides = {1: (5, 2), 2: (5, 1)}.get(number, (3, 1))
    if number in (1, 3):  # the paper's biases of 1 stand in the other layers
        weights = {"kernel_initializer": weights["kernel_initializer"]}
    if groups > 1 and number in (2, 4, 5):
        return GroupedConv2D(count, size, groups, padding="same", name=f"conv{number}", **weights)
    return layers.Conv2D(count, size, strides=strides, padding="same", name=f"conv{number}", **weights)


def _activated(number: int, activation: str, norm: str) -> Layers:
    """The activation of a convolution, with normalization before or after it for the first two."""
    choose("norm", norm, NORMS)
    kind, first = NORMS[norm]
    normalize = [kind(name=f"norm{number}")] if kind and number <= 2 else []
    act = activate(activation, f"act{number}")
    yield from [*normalize, act] if first else [act, *normalize]

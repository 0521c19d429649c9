"""The networks that call themselves AlexNet, source by source."""

from __future__ import annotations

from typing import Any

from alexnet_tf.errors import UsageError, choose
from alexnet_tf.layers import BatchNormalization, GroupedConv2D, LocalResponseNormalization, Scale, StridedConv2D
from alexnet_tf.models.parts import Layers, activate, hidden, layers, logits, torch_init
from alexnet_tf.quiet import keras


def alexnet_lrn(
    classes: int,
    width: float = 1.0,
    dense_units: int = 4096,
    dropout: float = 0.5,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
) -> Layers:
    """Source A: AlexNet in one tower, local response normalization *after* each of two poolings.

    At 224 px the unpadded first convolution leaves 54 x 54, not the paper's 55 x 55.
    """
    lrn = {"depth_radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta}
    yield StridedConv2D(round(96 * width), 11, strides=4, activation="relu", name="conv1")
    yield layers.MaxPooling2D(3, strides=2, name="pool1")
    yield LocalResponseNormalization(**lrn, name="norm1")  # type: ignore[arg-type]
    yield layers.Conv2D(round(256 * width), 5, padding="same", activation="relu", name="conv2")
    yield layers.MaxPooling2D(3, strides=2, name="pool2")
    yield LocalResponseNormalization(**lrn, name="norm2")  # type: ignore[arg-type]
    yield layers.Conv2D(round(384 * width), 3, padding="same", activation="relu", name="conv3")
    yield layers.Conv2D(round(384 * width), 3, padding="same", activation="relu", name="conv4")
    yield layers.Conv2D(round(256 * width), 3, padding="same", activation="relu", name="conv5")
    yield layers.MaxPooling2D(3, strides=2, name="pool5")
    yield layers.Flatten(name="flatten")
    yield from hidden([dense_units, dense_units], "relu", dropout)
    yield logits(classes, 8)


def bn64(classes: int, width: float = 1.0, dense_units: int = 1024, dropout: float = 0.5) -> Layers:
    """Source B: batch normalization after each activation; conv4 and conv5 are 1 x 1."""
    yield StridedConv2D(round(128 * width), 11, strides=4, activation="relu", name="conv1")
    yield BatchNormalization(name="norm1")
    yield layers.MaxPooling2D(2, name="pool1")
    yield layers.Conv2D(round(256 * width), 5, padding="same", activation="relu", name="conv2")
    yield BatchNormalization(name="norm2")
    yield layers.MaxPooling2D(3, name="pool2")
    for number, kernel in (3, 3), (4, 1), (5, 1):
        yield layers.Conv2D(round(256 * width), kernel, padding="same", activation="relu", name=f"conv{number}")
        yield BatchNormalization(name=f"norm{number}")
    yield layers.MaxPooling2D(2, name="pool5")
    yield layers.Flatten(name="flatten")
    yield from hidden([dense_units, dense_units], "relu", dropout)
    yield logits(classes, 8)


def lab3(
    classes: int,
    convolutions: int = 5,
    dense_layers: int = 3,
    norm: str = "batch",
    dropout: float = 0.5,
    activation: str = "relu",
    head: str = "linear",
    width: float = 1.0,
    dense_units: int = 4096,
) -> Layers:
    """Source C: AlexNet at 227 px, normalization after conv1 and conv2, He initialization, knobs.

    Whatever the depth, the last convolution has 256 channels, so that the dense part stays the
    same: the source says so of four convolutions and not of three. Batch normalization and
    LeakyReLU take PyTorch's defaults, as the source's code did. `head` is "linear" or "sigmoid":
    the source's one-layer variant classifies with sigmoid outputs.
    """
    if not 2 <= convolutions <= 5:
        raise UsageError(f"lab3 has 2 to 5 convolutions; received {convolutions!r}")
    if dense_layers < 1:
        raise UsageError(f"lab3 needs at least 1 dense layer; received {dense_layers!r}")
    choose("norm", norm, ["batch", "lrn", "none"])
    choose("activation", activation, ["relu", "leaky", "tanh"])
    choose("head", head, ["linear", "sigmoid"])

    def init() -> dict[str, Any]:
        """For each layer its own: one initializer gives layers of one shape the same weights."""
        # PyTorch's He initialization is not truncated, Keras' he_normal is.
        return {"kernel_initializer": keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")}

    channels = [96, 256, 384, 384, 256][:convolutions]
    channels[-1] = 256
    for number, count in enumerate(channels, start=1):
        kernel, stride, padding = {1: (11, 4, "valid"), 2: (5, 1, "same")}.get(number, (3, 1, "same"))
        kind = StridedConv2D if stride > 1 else layers.Conv2D
        yield kind(round(count * width), kernel, strides=stride, padding=padding, name=f"conv{number}", **init())
        if number <= 2 and norm == "batch":
            yield BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")
        if number <= 2 and norm == "lrn":
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, name=f"norm{number}")
        yield activate(activation, f"act{number}")
        if number <= 2 or number == convolutions:
            yield layers.MaxPooling2D(3, strides=2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    for number in range(6, 5 + dense_layers):
        yield layers.Dense(dense_units, name=f"fc{number}", **init())
        yield activate(activation, f"act{number}")
        if number <= 7 and dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")
    yield logits(classes, 5 + dense_layers, **init())
    if head == "sigmoid":
        yield layers.Activation("sigmoid", dtype="float32", name="sigmoid")
        # Keras' losses look through a sigmoid to its input; one more operation hides it from them.
        yield Scale(1.0, dtype="float32", name="as_logits")


def int305(classes: int, width: float = 1.0, dense_units: int = 4096, dropout: float = 0.0) -> Layers:
    """Source D: AlexNet for 32 px, three convolutions of 384, with or without dropout after the dense layers."""
    channels = [round(count * width) for count in (96, 256, 384, 384, 384)]
    seen = [3, *channels]
    yield layers.ZeroPadding2D(2, name="pad1")  # PyTorch pads both sides alike
    yield layers.Conv2D(channels[0], 5, strides=2, activation="relu", name="conv1", **torch_init(25 * 3))
    yield layers.MaxPooling2D(2, name="pool1")
    for number, kernel in (2, 5), (3, 3), (4, 3), (5, 3):
        init = torch_init(kernel**2 * seen[number - 1])
        count = channels[number - 1]
        yield layers.Conv2D(count, kernel, padding="same", activation="relu", name=f"conv{number}", **init)
        if number in (2, 5):
            yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield from hidden([dense_units], "relu", dropout, **torch_init(4 * channels[-1]))
    yield from hidden([dense_units], "relu", dropout, first=7, **torch_init(dense_units))
    yield logits(classes, 8, **torch_init(dense_units))


def zeng(classes: int, width: float = 1.0, dense_units: int = 1024, dropout: float = 0.5) -> Layers:
    """Source E gives five convolutions and three dense layers, and no sizes.

    Ours: one GPU's half of the 2012 network (48-128-192-192-128 channels) with 3 x 3 kernels.
    """
    for number, count in enumerate((48, 128, 192, 192, 128), start=1):
        yield layers.Conv2D(round(count * width), 3, padding="same", activation="relu", name=f"conv{number}")
        if number in (1, 2, 5):
            yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield from hidden([dense_units, dense_units], "relu", dropout)
    yield logits(classes, 8)


def alexnet2012(
    classes: int,
    groups: int = 2,
    lrn: bool = True,
    width: float = 1.0,
    dense_units: int = 4096,
    dropout: float = 0.5,
    spread: float = 0.01,
) -> Layers:
    """The 2012 paper's network, in its two groups or in one tower.

    Its 55 x 55 maps need 227 px, or the padding of three pixels that 224 px get here. Weights
    N(0, spread); biases 1 in conv2, conv4, conv5 and the hidden dense layers, which gives ReLUs
    something to work with from the start. A narrow network needs a larger `spread` than the
    paper's 0.01, or nothing of the image is left at its end.
    """

    def weights() -> dict[str, Any]:
        """For each layer its own: one initializer gives layers of one shape the same weights."""
        return {"kernel_initializer": keras.initializers.RandomNormal(stddev=spread)}

    def one() -> dict[str, Any]:
        return {**weights(), "bias_initializer": "ones"}

    def conv(number: int, count: int, size: int, split: bool, **init: Any) -> keras.layers.Layer:
        kwargs = {"padding": "same", "activation": "relu", "name": f"conv{number}", **init}
        if split and groups > 1:
            return GroupedConv2D(round(count * width), size, groups, **kwargs)
        return layers.Conv2D(round(count * width), size, **kwargs)

    yield layers.ZeroPadding2D(((1, 2), (1, 2)), name="pad1")
    yield StridedConv2D(round(96 * width), 11, strides=4, activation="relu", name="conv1", **weights())
    for number in 1, 2:
        if number == 2:
            yield conv(2, 256, 5, True, **one())
        if lrn:
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, name=f"norm{number}")
        yield layers.MaxPooling2D(3, strides=2, name=f"pool{number}")
    yield conv(3, 384, 3, False, **weights())
    yield conv(4, 384, 3, True, **one())
    yield conv(5, 256, 3, True, **one())
    yield layers.MaxPooling2D(3, strides=2, name="pool5")
    yield layers.Flatten(name="flatten")
    for number in 6, 7:
        yield from hidden([dense_units], "relu", dropout, first=number, **one())
    yield logits(classes, 8, **weights())

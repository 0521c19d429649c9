"""The architectures, side by side so that a reader can compare them.

Every builder returns a named `keras.Sequential` that ends in logits: softmax (or sigmoid) lives
in the loss and in the exported model, which gives the same numbers in a stabler way. Layers are
called ``conv1`` ... ``fc8`` as in the 2012 paper, whatever stands between them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.layers import GroupedConv2D, LocalResponseNormalization, ResidualBlock
from alexnet_tf.quiet import keras

layers = keras.layers

Layers = Iterator[Any]


def _dense(units: list[int], activation: str, dropout: float, first: int = 6, **kwargs: Any) -> Layers:
    """The hidden dense layers, each followed by dropout when there is any."""
    for number, width in enumerate(units, start=first):
        yield layers.Dense(width, activation=activation, name=f"fc{number}", **kwargs)
        if dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")


def _logits(classes: int, number: int, **kwargs: Any) -> keras.layers.Layer:
    """The last dense layer, in float32 under any policy so that the loss keeps its precision."""
    return layers.Dense(classes, name=f"fc{number}", dtype="float32", **kwargs)


def _torch(fan_in: int) -> dict[str, Any]:
    """PyTorch's default initialization: weights and biases uniform within 1 / sqrt(fan_in)."""
    bound = fan_in**-0.5
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }


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
    yield layers.Conv2D(round(96 * width), 11, strides=4, activation="relu", name="conv1")
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
    yield from _dense([dense_units, dense_units], "relu", dropout)
    yield _logits(classes, 8)


def bn64(classes: int, width: float = 1.0, dense_units: int = 1024, dropout: float = 0.5) -> Layers:
    """Source B: batch normalization after each activation; conv4 and conv5 are 1 x 1."""
    yield layers.Conv2D(round(128 * width), 11, strides=4, activation="relu", name="conv1")
    yield layers.BatchNormalization(name="norm1")
    yield layers.MaxPooling2D(2, name="pool1")
    yield layers.Conv2D(round(256 * width), 5, padding="same", activation="relu", name="conv2")
    yield layers.BatchNormalization(name="norm2")
    yield layers.MaxPooling2D(3, name="pool2")
    for number, kernel in (3, 3), (4, 1), (5, 1):
        yield layers.Conv2D(round(256 * width), kernel, padding="same", activation="relu", name=f"conv{number}")
        yield layers.BatchNormalization(name=f"norm{number}")
    yield layers.MaxPooling2D(2, name="pool5")
    yield layers.Flatten(name="flatten")
    yield from _dense([dense_units, dense_units], "relu", dropout)
    yield _logits(classes, 8)


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
    # PyTorch's He initialization is not truncated, Keras' he_normal is.
    init = {"kernel_initializer": keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")}

    def activate(name: str) -> keras.layers.Layer:
        if activation == "leaky":
            return layers.LeakyReLU(negative_slope=0.01, name=name)
        return layers.Activation(activation, name=name)

    channels = [96, 256, 384, 384, 256][:convolutions]
    channels[-1] = 256
    for number, count in enumerate(channels, start=1):
        kernel, stride, padding = {1: (11, 4, "valid"), 2: (5, 1, "same")}.get(number, (3, 1, "same"))
        yield layers.Conv2D(round(count * width), kernel, strides=stride, padding=padding, name=f"conv{number}", **init)
        if number <= 2 and norm == "batch":
            yield layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{number}")
        if number <= 2 and norm == "lrn":
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, name=f"norm{number}")
        yield activate(f"act{number}")
        if number <= 2 or number == convolutions:
            yield layers.MaxPooling2D(3, strides=2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    for number in range(6, 5 + dense_layers):
        yield layers.Dense(dense_units, name=f"fc{number}", **init)
        yield activate(f"act{number}")
        if number <= 7 and dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")
    yield _logits(classes, 5 + dense_layers, **init)
    if head == "sigmoid":
        yield layers.Activation("sigmoid", dtype="float32", name="sigmoid")
        # Keras' losses look through a sigmoid to its input; one more operation hides it from them.
        yield layers.Rescaling(1.0, dtype="float32", name="as_logits")


def simple(classes: int, dropout: float = 0.5) -> Layers:
    """Source A's second network: three 3 x 3 convolutions, one hidden layer, PyTorch's initialization."""
    for number, (channels, seen) in enumerate([(64, 3), (128, 64), (256, 128)], start=1):
        init = _torch(9 * seen)
        yield layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv{number}", **init)
        yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield layers.Dropout(dropout, name="drop3")
    yield from _dense([512], "relu", dropout, first=4, **_torch(256 * 4 * 4))
    yield _logits(classes, 5, **_torch(512))


def resnet18(classes: int) -> Layers:
    """torchvision's ResNet-18 as source A applied it to 32 px: stem 7 x 7 / 2, pooling, four stages."""
    he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    yield layers.ZeroPadding2D(3, name="pad1")
    yield layers.Conv2D(64, 7, strides=2, use_bias=False, kernel_initializer=he, name="conv1")
    yield layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm1")
    yield layers.ReLU(name="act1")
    yield layers.ZeroPadding2D(1, name="pad2")  # after a ReLU zeros pad a maximum as well as minus infinity
    yield layers.MaxPooling2D(3, strides=2, name="pool1")
    for stage, filters in enumerate([64, 128, 256, 512], start=2):
        for block in 1, 2:
            strides = 2 if stage > 2 and block == 1 else 1
            yield ResidualBlock(filters, strides, name=f"block{stage}_{block}")
    yield layers.GlobalAveragePooling2D(name="average")
    yield _logits(classes, 6, **_torch(512))


def lenet(classes: int) -> Layers:
    """The baseline of source D, which does not describe its own: PyTorch's tutorial network."""
    for number, (channels, seen) in enumerate([(6, 3), (16, 6)], start=1):
        yield layers.Conv2D(channels, 5, activation="relu", name=f"conv{number}", **_torch(25 * seen))
        yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield layers.Dense(120, activation="relu", name="fc3", **_torch(400))
    yield layers.Dense(84, activation="relu", name="fc4", **_torch(120))
    yield _logits(classes, 5, **_torch(84))


def int305(classes: int, width: float = 1.0, dense_units: int = 4096, dropout: float = 0.0) -> Layers:
    """Source D: AlexNet for 32 px, three convolutions of 384, with or without dropout after the dense layers."""
    channels = [round(count * width) for count in (96, 256, 384, 384, 384)]
    seen = [3, *channels]
    yield layers.ZeroPadding2D(2, name="pad1")  # PyTorch pads both sides alike
    yield layers.Conv2D(channels[0], 5, strides=2, activation="relu", name="conv1", **_torch(25 * 3))
    yield layers.MaxPooling2D(2, name="pool1")
    for number, kernel in (2, 5), (3, 3), (4, 3), (5, 3):
        init = _torch(kernel**2 * seen[number - 1])
        count = channels[number - 1]
        yield layers.Conv2D(count, kernel, padding="same", activation="relu", name=f"conv{number}", **init)
        if number in (2, 5):
            yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield from _dense([dense_units], "relu", dropout, **_torch(4 * channels[-1]))
    yield from _dense([dense_units], "relu", dropout, first=7, **_torch(dense_units))
    yield _logits(classes, 8, **_torch(dense_units))


def zeng(classes: int, width: float = 1.0, dense_units: int = 1024, dropout: float = 0.5) -> Layers:
    """Source E gives five convolutions and three dense layers, and no sizes.

    Ours: one GPU's half of the 2012 network (48-128-192-192-128 channels) with 3 x 3 kernels.
    """
    for number, count in enumerate((48, 128, 192, 192, 128), start=1):
        yield layers.Conv2D(round(count * width), 3, padding="same", activation="relu", name=f"conv{number}")
        if number in (1, 2, 5):
            yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield from _dense([dense_units, dense_units], "relu", dropout)
    yield _logits(classes, 8)


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
    weights = {"kernel_initializer": keras.initializers.RandomNormal(stddev=spread)}
    one = {**weights, "bias_initializer": "ones"}

    def conv(number: int, count: int, size: int, split: bool, **init: Any) -> keras.layers.Layer:
        kwargs = {"padding": "same", "activation": "relu", "name": f"conv{number}", **init}
        if split and groups > 1:
            return GroupedConv2D(round(count * width), size, groups, **kwargs)
        return layers.Conv2D(round(count * width), size, **kwargs)

    yield layers.ZeroPadding2D(((1, 2), (1, 2)), name="pad1")
    yield layers.Conv2D(round(96 * width), 11, strides=4, activation="relu", name="conv1", **weights)
    for number in 1, 2:
        if number == 2:
            yield conv(2, 256, 5, True, **one)
        if lrn:
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, name=f"norm{number}")
        yield layers.MaxPooling2D(3, strides=2, name=f"pool{number}")
    yield conv(3, 384, 3, False, **weights)
    yield conv(4, 384, 3, True, **one)
    yield conv(5, 256, 3, True, **one)
    yield layers.MaxPooling2D(3, strides=2, name="pool5")
    yield layers.Flatten(name="flatten")
    yield from _dense([dense_units, dense_units], "relu", dropout, **one)
    yield _logits(classes, 8, **weights)


def four_layer(classes: int, activation: str = "relu", lrn: bool = False, overlapping: bool = True) -> Layers:
    """A stand-in for the paper's four-layer CIFAR-10 network, which it does not describe.

    Three 5 x 5 convolutions and one dense layer, as in the author's own CIFAR-10 examples of the time.
    """
    choose("activation", activation, ["relu", "tanh"])
    for number, count in enumerate((32, 32, 64), start=1):
        yield layers.Conv2D(count, 5, padding="same", activation=activation, name=f"conv{number}")
        pool = layers.MaxPooling2D if number == 1 else layers.AveragePooling2D
        yield pool(3 if overlapping else 2, strides=2, padding="same", name=f"pool{number}")
        if lrn and number < 3:
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, name=f"norm{number}")
    yield layers.Flatten(name="flatten")
    yield _logits(classes, 4)


def table(model: keras.Sequential) -> str:
    """The network layer by layer: name, kind, output shape, parameters."""
    lines = [f"{'layer':<10}{'kind':<28}{'output':<18}{'parameters':>12}"]
    for layer in model.layers:
        shape = " x ".join(str(side) for side in layer.output.shape[1:])
        lines.append(f"{layer.name:<10}{type(layer).__name__:<28}{shape:<18}{layer.count_params():>12,}")
    lines.append(f"{'in all':<56}{model.count_params():>12,}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Architecture:
    """A builder with the size and the parameter count of its source's network."""

    layers: Callable[..., Layers]
    image_size: int
    classes: int
    parameters: int  # as its source counts them
    uncounted: int = 0  # moving averages, which PyTorch does not count as parameters


ARCHITECTURES = {
    "alexnet-lrn": Architecture(alexnet_lrn, 224, 5, 46_767_493),
    "bn64": Architecture(bn64, 64, 10, 2_915_338),
    "lab3": Architecture(lab3, 227, 10, 58_323_722),
    "simple": Architecture(simple, 32, 10, 2_473_610),
    "resnet18": Architecture(resnet18, 32, 10, 11_181_642, uncounted=9_600),
    "lenet": Architecture(lenet, 32, 10, 62_006),
    "int305": Architecture(int305, 32, 10, 27_279_882),
    "zeng": Architecture(zeng, 32, 10, 3_989_450),
    "alexnet-2012": Architecture(alexnet2012, 224, 1000, 60_965_224),
    "four-layer": Architecture(four_layer, 32, 10, 89_578),
}


def build(
    name: str,
    image_size: int | None = None,
    classes: int | None = None,
    precision: str = "float32",
    seed: int | None = None,
    **options: Any,
) -> keras.Sequential:
    """Build a network by name; size and classes default to the source's.

    >>> build("bn64").count_params()
    2915338
    """
    architecture = ARCHITECTURES[choose("architecture", name, ARCHITECTURES)]
    known = [option for option in inspect.signature(architecture.layers).parameters if option != "classes"]
    for option in options:
        choose(f"option of {name}", option, known)
    size = architecture.image_size if image_size is None else image_size
    if seed is not None:
        keras.utils.set_random_seed(seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        stack = architecture.layers(architecture.classes if classes is None else classes, **options)
        return keras.Sequential([keras.Input((size, size, 3), name="image"), *stack], name=name.replace("-", "_"))
    except ValueError as error:
        if "negative dimension" in str(error) or "output size" in str(error) or "<= 0" in str(error):
            raise LabError(f"Images of {size} px are too small for {name}: a layer would have no output.") from error
        raise
    finally:
        keras.config.set_dtype_policy(policy)

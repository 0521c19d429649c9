"""The networks that the sources compare with AlexNet, and the paper's small one."""

from __future__ import annotations

from alexnet_tf.errors import choose
from alexnet_tf.layers import BatchNormalization, LocalResponseNormalization, ResidualBlock
from alexnet_tf.models.parts import Layers, hidden, layers, logits, torch_init
from alexnet_tf.quiet import keras


def simple(classes: int, dropout: float = 0.5) -> Layers:
    """Source A's second network: three 3 x 3 convolutions, one hidden layer, PyTorch's initialization."""
    for number, (channels, seen) in enumerate([(64, 3), (128, 64), (256, 128)], start=1):
        init = torch_init(9 * seen)
        yield layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv{number}", **init)
        yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield layers.Dropout(dropout, name="drop3")
    yield from hidden([512], "relu", dropout, first=4, **torch_init(256 * 4 * 4))
    yield logits(classes, 5, **torch_init(512))


def resnet18(classes: int) -> Layers:
    """torchvision's ResNet-18 as source A applied it to 32 px: stem 7 x 7 / 2, pooling, four stages."""
    he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    yield layers.ZeroPadding2D(3, name="pad1")
    yield layers.Conv2D(64, 7, strides=2, use_bias=False, kernel_initializer=he, name="conv1")
    yield BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm1")
    yield layers.ReLU(name="act1")
    yield layers.ZeroPadding2D(1, name="pad2")  # after a ReLU zeros pad a maximum as well as minus infinity
    yield layers.MaxPooling2D(3, strides=2, name="pool1")
    for stage, filters in enumerate([64, 128, 256, 512], start=2):
        for block in 1, 2:
            strides = 2 if stage > 2 and block == 1 else 1
            yield ResidualBlock(filters, strides, name=f"block{stage}_{block}")
    yield layers.GlobalAveragePooling2D(name="average")
    yield logits(classes, 6, **torch_init(512))


def lenet(classes: int, width: float = 1.0) -> Layers:
    """The baseline of source D, which does not describe its own: PyTorch's tutorial network."""
    conv1, conv2, dense3, dense4 = (max(1, round(width * count)) for count in (6, 16, 120, 84))
    for number, (channels, seen) in enumerate([(conv1, 3), (conv2, conv1)], start=1):
        yield layers.Conv2D(channels, 5, activation="relu", name=f"conv{number}", **torch_init(25 * seen))
        yield layers.MaxPooling2D(2, name=f"pool{number}")
    yield layers.Flatten(name="flatten")
    yield layers.Dense(dense3, activation="relu", name="fc3", **torch_init(25 * conv2))
    yield layers.Dense(dense4, activation="relu", name="fc4", **torch_init(dense3))
    yield logits(classes, 5, **torch_init(dense4))


def four_layer(
    classes: int, activation: str = "relu", lrn: bool = False, overlapping: bool = True, alpha: float = 1e-4
) -> Layers:
    """A stand-in for the paper's two four-layer networks on CIFAR-10.

    Three 5 x 5 convolutions and one dense layer, as in the author's own CIFAR-10 examples of the time. The network of
    the paper's race is not described; that of its normalization stands in files which its author published with
    cuda-convnet, and has two layers that share no weights. `alpha` is the normalization's.
    """
    choose("activation", activation, ["relu", "tanh"])
    for number, count in enumerate((32, 32, 64), start=1):
        yield layers.Conv2D(count, 5, padding="same", activation=activation, name=f"conv{number}")
        pool = layers.MaxPooling2D if number == 1 else layers.AveragePooling2D
        yield pool(3 if overlapping else 2, strides=2, padding="same", name=f"pool{number}")
        if lrn and number < 3:
            yield LocalResponseNormalization(depth_radius=2, bias=2.0, alpha=alpha, name=f"norm{number}")
    yield layers.Flatten(name="flatten")
    yield logits(classes, 4)


def mobilenet(classes: int) -> Layers:
    """MobileNetV2's convolutions with an average and one layer on them: for Keras' own ImageNet weights."""
    yield keras.applications.MobileNetV2(input_shape=(None, None, 3), include_top=False, weights=None, name="trunk")
    yield layers.GlobalAveragePooling2D(name="average")
    yield logits(classes, 8)

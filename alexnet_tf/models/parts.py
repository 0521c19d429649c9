"""What several architectures share: dense parts, logits, another framework's initialization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alexnet_tf.errors import choose
from alexnet_tf.quiet import keras

layers = keras.layers

Layers = Iterator[Any]
ACTIVATIONS = ("relu", "leaky", "tanh", "elu", "gelu")


def activate(activation: str, name: str) -> keras.layers.Layer:
    """An activation as a layer of its own; the leaky one with PyTorch's slope."""
    choose("activation", activation, ACTIVATIONS)
    if activation == "leaky":
        return layers.LeakyReLU(negative_slope=0.01, name=name)
    return layers.Activation(activation, name=name)


def hidden(units: list[int], activation: str, dropout: float, first: int = 6, **kwargs: Any) -> Layers:
    """The hidden dense layers, each followed by dropout when there is any."""
    for number, width in enumerate(units, start=first):
        yield layers.Dense(width, activation=activation, name=f"fc{number}", **kwargs)
        if dropout:
            yield layers.Dropout(dropout, name=f"drop{number}")


def logits(classes: int, number: int, **kwargs: Any) -> keras.layers.Layer:
    """The last dense layer, in float32 under any policy so that the loss keeps its precision."""
    return layers.Dense(classes, name=f"fc{number}", dtype="float32", **kwargs)


def torch_init(fan_in: int) -> dict[str, Any]:
    """PyTorch's default initialization: weights and biases uniform within 1 / sqrt(fan_in)."""
    bound = fan_in**-0.5
    return {
        "kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),  # of what it sees
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }

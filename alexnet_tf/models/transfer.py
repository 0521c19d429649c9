"""What a network takes over from one that was trained before."""

from __future__ import annotations

from alexnet_tf.errors import LabError, choose
from alexnet_tf.quiet import keras


def parts(model: keras.Sequential) -> tuple[keras.layers.Layer, keras.Sequential]:
    """The preprocessing and the bare network, from prepared images to logits, of a saved model."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Sequential)]
    if len(inner) != 1:
        raise LabError("This model was not saved by a training of this laboratory: its network can't be found.")
    return model.layers[model.layers.index(inner[0]) - 1], inner[0]


def take(network: keras.Sequential, trained: keras.Sequential) -> list[str]:
    """Copy the weights of all layers that have the same name and shapes in both; return their names."""
    theirs, taken = {layer.name: layer.get_weights() for layer in trained.layers}, []
    for layer in network.layers:
        weights = theirs.get(layer.name, [])
        if weights and [one.shape for one in weights] == [one.shape for one in layer.get_weights()]:
            layer.set_weights(weights)
            taken.append(layer.name)
    if not taken:
        raise LabError(f"Nothing of {trained.name} fits into {network.name}: no layer has the same name and shapes.")
    return taken


def freeze(network: keras.Sequential, last: str) -> None:
    """Keep the layers up to and with `last` as they are; batch normalizations among them use their averages."""
    names = [layer.name for layer in network.layers]
    for layer in network.layers[: names.index(choose("layer", last, names)) + 1]:
        layer.trainable = False
    if not network.trainable_variables:
        raise LabError(f"With everything frozen up to {last}, nothing of {network.name} is left to train.")

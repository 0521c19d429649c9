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


def take(network: keras.Sequential, trained: keras.Sequential, last: str | None = None) -> list[str]:
    """Copy the weights of all layers, or of those up to `last`, that have the same name and shapes in both.

    Returns their names.
    """
    theirs, taken = {layer.name: layer.get_weights() for layer in trained.layers}, []
    for layer in up_to(network, last) if last else network.layers:
        weights = theirs.get(layer.name, [])
        if weights and [one.shape for one in weights] == [one.shape for one in layer.get_weights()]:
            layer.set_weights(weights)
            taken.append(layer.name)
    if not taken:
        raise LabError(f"Nothing of {trained.name} fits into {network.name}: no layer has the same name and shapes.")
    return taken


def from_imagenet(network: keras.Sequential) -> None:
    """Give the layer `trunk` the weights that Keras learned from ImageNet, downloaded once."""
    try:
        learned = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights="imagenet")
    except Exception as error:  # whatever a download raises where there is no way to it
        raise LabError(
            "Keras' ImageNet weights are not here and can't be downloaded: where there is a network, "
            "'keras.applications.MobileNetV2(include_top=False)' gets them once into ~/.keras/models."
        ) from error
    network.get_layer("trunk").set_weights(learned.get_weights())


def up_to(network: keras.Sequential, last: str) -> list[keras.layers.Layer]:
    """The layers up to and with the one of this name."""
    names = [layer.name for layer in network.layers]
    return network.layers[: names.index(choose("layer", last, names)) + 1]


def freeze(network: keras.Sequential, last: str) -> None:
    """Keep the layers up to and with `last` as they are; batch normalizations among them use their averages."""
    for layer in up_to(network, last):
        layer.trainable = False
    if not network.trainable_variables:
        raise LabError(f"With everything frozen up to {last}, nothing of {network.name} is left to train.")

"""A network that learns from images alone: it paints what was hidden of them."""

from __future__ import annotations

from typing import Any

from alexnet_tf.layers import HidePatches
from alexnet_tf.models.knobs import alexnet32
from alexnet_tf.models.parts import Layers, layers
from alexnet_tf.quiet import keras


@keras.saving.register_keras_serializable("alexnet_tf")
class Rebuilder(keras.Sequential):
    """Its target is its own input, whatever labels come along."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The compiled loss, of the input against what was made of it."""
        return super().compute_loss(x=x, y=x, y_pred=y_pred, sample_weight=sample_weight, training=training)


def rebuilder32(classes: int, hidden_share: float = 0.5, **trunk: Any) -> Layers:
    """The convolutions of the small AlexNet on images of which patches are hidden, and a way back to 28 pixels.

    A denoising autoencoder (Vincent et al., 2008) whose noise is hidden patches, as in Pathak et al. (2016): what the
    trunk can't see it has to guess from around. All pixels count; theirs were the hidden ones alone.
    `classes` is nobody's here. The last pooling is left out, since what is left of places is needed for painting.
    """
    del classes
    yield HidePatches(hidden_share, side=4, name="hide")
    for layer in alexnet32(2, **{"dense_layers": 1, **trunk}):
        if layer.name == "pool5":
            break
        yield layer
    for number, (count, side) in enumerate([(96, 7), (64, 14), (48, 28)], start=1):
        yield layers.Conv2DTranspose(count, 3, strides=2, padding="same", activation="relu", name=f"up{number}")
        if number == 1:
            yield layers.Cropping2D(((0, 1), (0, 1)), name=f"crop_to_{side}")
    yield layers.Conv2D(3, 3, padding="same", dtype="float32", name="paint")

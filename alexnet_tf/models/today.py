"""The shape of 2012 with what was learned since: still five convolutions and three dense layers."""

from __future__ import annotations

from alexnet_tf.models.parts import Layers, hidden, layers, logits


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
        yield layers.BatchNormalization(name=f"norm{number}")
        yield layers.Activation("relu", name=f"act{number}")
        if number in (1, 2, 4):
            yield layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")
    yield layers.GlobalAveragePooling2D(name="average")
    yield from hidden([dense_units, dense_units], "relu", dropout, kernel_initializer="he_normal")
    yield logits(classes, 8)

"""One training on several devices of one machine: each takes its share of every batch.

TensorFlow mirrors the network on each device (`tf.distribute.MirroredStrategy`), JAX shards the batch
(`keras.distribution.DataParallel`). The batch of a recipe stays the whole one, so that the numbers stay
those of one device but for the order of additions; batch normalization is synchronized to that end.
Dropout draws its masks per device: networks with dropout train equally well, not equally.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from alexnet_tf.errors import LabError, choose
from alexnet_tf.quiet import keras

DEVICES = ("one", "all")


def available() -> list[str]:
    """The devices that the backend would spread a batch over: accelerators, else processors."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        ]
    if keras.backend.backend() == "jax":
        return keras.distribution.list_devices()
    return ["one"]


@contextlib.contextmanager
def spread(devices: str, batch_size: int) -> Iterator[int]:
    """Build, compile and fit inside; gives the number of devices."""
    choose("devices", devices, DEVICES)
    names = available() if devices == "all" else ["one"]
    if batch_size % len(names):
        raise LabError(
            f"A batch of {batch_size} can't be shared equally by {len(names)} devices: "
            f"choose a multiple with --set batch_size={-(-batch_size // len(names)) * len(names)}."
        )
    if len(names) == 1:
        yield 1
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(names).scope():
            yield len(names)
    else:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names))
        try:
            yield len(names)
        finally:
            keras.distribution.set_distribution(None)


def synchronize(model: keras.Sequential) -> None:
    """Let batch normalization take its statistics from the whole batch and not from one device's share."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = keras.backend.backend() == "tensorflow"  # JAX sees the whole batch anyway

"""One training on several devices, of one machine or of many: each takes its share of every batch.

TensorFlow mirrors the network on each device (`tf.distribute.MirroredStrategy`), JAX shards the batch
(`keras.distribution.DataParallel`), also among processes that have met (see `cluster`). The batch of a
recipe stays the whole one, so that the numbers stay those of one device but for the order of additions;
batch normalization is synchronized to that end. Dropout draws its masks per device under TensorFlow:
networks with dropout train equally well there, not equally.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet_tf import cluster
from alexnet_tf.errors import LabError, choose
from alexnet_tf.quiet import keras

DEVICES = ("one", "all")


@dataclass(frozen=True)
class Share:
    """What of every batch this process computes: one of so many equal parts."""

    process: int = 0
    processes: int = 1
    devices: int = 1  # of all processes together

    def rows(self, count: int) -> np.ndarray:
        """The places of this process' images in a batch of `count`."""
        part = count // self.processes
        return np.arange(self.process * part, (self.process + 1) * part)

    def whole(self, count: int) -> int:
        """The next number from `count` on that the devices share equally."""
        return -(-count // self.devices) * self.devices


def place() -> tuple[int, int]:
    """Which process this is, and of how many."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def first() -> bool:
    """Whether this process is the one that writes and tells."""
    return place()[0] == 0


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


def _must_divide(batch_size: int, rest: int, count: int) -> None:
    if batch_size % count:
        raise LabError(
            f"A batch of {batch_size} can't be shared equally by {count} devices: "
            f"choose a multiple with --set batch_size={-(-batch_size // count) * count}."
        )
    if rest % count:
        raise LabError(
            f"The last {rest} images of an epoch can't be shared equally by {count} devices: "
            "choose another batch_size, or leave them out with --set drop_remainder=true."
        )


@contextlib.contextmanager
def spread(devices: str, batch_size: int, rest: int = 0) -> Iterator[Share]:
    """Build, compile and fit inside; several processes always use all devices.

    `rest` are the images of an epoch's last, smaller batch: JAX can't share what does not divide, and TensorFlow
    would weigh its images unequally, or leave a device without any.
    """
    choose("devices", devices, DEVICES)
    if devices == "all" and keras.backend.backend() == "torch":
        raise LabError("A batch is shared among devices with KERAS_BACKEND=tensorflow or jax alone.")
    names = available() if devices == "all" or place()[1] > 1 else ["one"]
    _must_divide(batch_size, rest, len(names))
    if len(names) == 1:
        yield Share()
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(names).scope():
            yield Share(devices=len(names))
    else:
        # Every process prepares its own part of a batch, so Keras must not cut it once more.
        shared = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        with shared.scope(), cluster.peers_watched() if place()[1] > 1 else contextlib.nullcontext():
            yield Share(*place(), len(names))


def synchronize(model: keras.Sequential) -> None:
    """Let batch normalization take its statistics from the whole batch and not from one device's share."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = keras.backend.backend() == "tensorflow"  # JAX sees the whole batch anyway


def agree(what: Mapping[str, Any]) -> None:
    """Wait for all processes, and stop all of them with one sentence where they were given different things."""
    if place()[1] == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    with cluster.peers_watched():
        sums = np.array([zlib.crc32(json.dumps(value, sort_keys=True).encode()) for value in what.values()], "uint32")
        everyones = process_allgather(sums)
    differing = [name for name, column in zip(what, everyones.T, strict=True) if len(set(column.tolist())) > 1]
    if differing:
        cluster.leave()
        raise LabError(
            f"The processes of this training differ in {' and '.join(differing)}: start all with the same command, "
            "version and data, and name one folder of runs on a disk that they share with --runs."
        )


def wait() -> None:
    """Go on when all processes have come here."""
    if place()[1] > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        with cluster.peers_watched():
            sync_global_devices("wait")


def part(model: keras.Sequential) -> keras.Sequential:
    """The trained network in this process alone; where several have trained it, they part here."""
    if place()[1] == 1:
        return model
    weights = model.get_weights()  # every process holds them all
    with cluster.peers_watched():
        cluster.leave()
    own = keras.Sequential.from_config(model.get_config())
    own.set_weights(weights)
    return own

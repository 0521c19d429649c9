"""Streams without TensorFlow: the images lie on the device, and so does the augmentation.

For the JAX and PyTorch backends. The same promises as `pipeline`: a batch is a function of
(seed, epoch, step) and of nothing else, each image gets its own draw, evaluation drops nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from alexnet_tf.augment import Draw, augment, color_components
from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.splits import Split

ops = keras.ops


def _keyed(key: Any, count: int) -> Draw:
    """Uniform numbers, one an image, from a key: a JAX key inside `jit`, a whole number elsewhere."""

    def draw(what: str, low: Any, high: Any) -> Any:
        own = zlib.crc32(what.encode()) & 0x7FFFFFFF
        if keras.backend.backend() == "jax":
            import jax

            return jax.random.uniform(jax.random.fold_in(key, own), (count,), minval=low, maxval=high)
        seed = int(np.random.SeedSequence([int(key), own]).generate_state(1)[0] >> 1)
        return low + (high - low) * keras.random.uniform((count,), seed=seed)

    return draw


def _compiled(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """The function in one piece on the device where the backend can do that."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(prepare)
    return prepare


def _key(seed: int, epoch: int, step: int) -> Any:
    number = int(np.random.SeedSequence([seed, epoch, step]).generate_state(1)[0] >> 1)
    if keras.backend.backend() == "jax":
        import jax

        return jax.random.key(number)
    return number


def _in_memory(split: Split) -> Any:
    if split.images is None:
        raise LabError("Images in files need the TensorFlow backend: unset KERAS_BACKEND, or choose cifar10.")
    return ops.convert_to_tensor(split.images)


def training_stream(
    split: Split,
    classes: int,
    preprocess: Preprocess,
    batch_size: int,
    seed: int,
    augmentations: Mapping[str, float] | None = None,
    drop_remainder: bool = False,
    first_epoch: int = 0,
) -> Iterator[tuple[Any, Any]]:
    """An endless stream of augmented batches, epoch after epoch, each in its own order."""
    if batch_size > len(split) and drop_remainder:
        raise LabError(f"A batch of {batch_size} is larger than the {len(split)} training images: take a smaller one.")
    amounts = dict(augmentations or {})
    images, one_hot = _in_memory(split), np.eye(classes, dtype="float32")[split.labels]
    components = color_components(np.asarray(split.images)[:500]) if amounts.get("pca") else None

    def prepare(raw: Any, labels: Any, key: Any) -> tuple[Any, Any]:
        raw = preprocess.before_augmentation(raw)
        raw, labels = augment(raw, labels, amounts, _keyed(key, raw.shape[0]), components)
        return preprocess.after_augmentation(raw), labels

    run = _compiled(prepare)
    epoch = first_epoch
    while True:
        order = np.random.default_rng([seed, epoch]).permutation(len(split)).astype("int32")
        stop = len(order) - len(order) % batch_size if drop_remainder else len(order)
        for step, start in enumerate(range(0, stop, batch_size)):
            places = order[start : min(start + batch_size, stop)]
            yield run(ops.take(images, places, axis=0), one_hot[places], _key(seed, epoch, step))
        epoch += 1


class _Evaluation(keras.utils.PyDataset):
    """Every image once, in order; the last batch may be smaller."""

    def __init__(self, images: Any, labels: np.ndarray, preprocess: Preprocess, batch_size: int) -> None:
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.prepare = _compiled(lambda raw: preprocess.after_augmentation(preprocess.before_augmentation(raw)))

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        return self.prepare(self.images[part]), self.labels[part]


def evaluation_stream(
    split: Split, classes: int, preprocess: Preprocess, batch_size: int = 250
) -> keras.utils.PyDataset:
    """Every image once, in order, as it is."""
    return _Evaluation(_in_memory(split), np.eye(classes, dtype="float32")[split.labels], preprocess, batch_size)

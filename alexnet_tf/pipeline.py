"""tf.data streams: fetch, resize, augment, standardize, shuffle, batch, prefetch.

The training stream is a pure function of (seed, epoch, step): it repeats bit for bit under a
parallel map, and a resumed training sees exactly the batches that an uninterrupted one would.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np

from alexnet_tf import order
from alexnet_tf.augment import TURN, augment, color_components
from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import Split, encoded, plain_jpeg, read_image, some_pixels

import tensorflow as tf  # isort: skip  (after Keras, which loads it quietly)

ENDLESS = 1 << 40
HELD = 1_100_000_000  # bytes: photographs that take no more are decoded once, and not in every epoch
CHUNK = 64  # of them at a time


def stateless_draw(
    key: tf.Tensor, count: tf.Tensor, turns: tf.Tensor | None = None
) -> Callable[[str, float, float], tf.Tensor]:
    """Uniform numbers, one an image, that depend on the key and on what they are for; or whose turn it is."""

    def draw(what: str, low: float, high: float) -> tf.Tensor:
        if what == TURN and turns is not None:
            return turns
        own = tf.random.experimental.stateless_fold_in(key, zlib.crc32(what.encode()) & 0x7FFFFFFF)
        return tf.random.stateless_uniform([count], own, tf.cast(low, tf.float32), tf.cast(high, tf.float32))

    return draw


# The columns on both sides of a window that its outer ones need: chroma is interpolated between blocks, each of up to
# 32 pixels.
MARGIN = 32


def _look(name: bytes, preprocess: Preprocess) -> tuple[bytes, np.ndarray, np.ndarray]:
    """An image file's bytes, the box to decode with the columns of it to keep, and whether it is a plain JPEG."""
    content = encoded(name.decode())
    size = plain_jpeg(content)
    if size is None:
        return content, np.zeros(6, "int32"), np.array(False)
    top, left, height, width = preprocess.window(*size)
    first, last = max(left - MARGIN, 0), min(left + width + MARGIN, size[1])
    return content, np.array([top, first, height, last - first, left - first, width], "int32"), np.array(True)


def _careful(name: bytes, preprocess: Preprocess) -> np.ndarray:
    """The window of an image in any format and orientation."""
    image = read_image(name.decode())
    top, left, height, width = preprocess.window(*image.shape[:2])
    return image[top : top + height, left : left + width]


def decode(file: tf.Tensor, preprocess: Preprocess) -> tf.Tensor:
    """One image file, resized so that files of different sizes fit into a batch.

    Of a plain JPEG only the window that the resizing looks at is decoded, to the very pixels that
    `read_image` gives: the accurate transform, and not the quicker one that is TensorFlow's default.
    (Decoding at a half or a quarter of the size would give others.)
    """
    content, box, plain = tf.numpy_function(
        lambda name: _look(name, preprocess), [file], [tf.string, tf.int32, tf.bool]
    )
    for tensor, shape in (content, []), (box, [6]), (plain, []):
        tensor.set_shape(shape)

    def fused() -> tf.Tensor:
        wide = tf.io.decode_and_crop_jpeg(content, box[:4], channels=3, dct_method="INTEGER_ACCURATE")
        return wide[:, box[4] : box[4] + box[5]]

    image = tf.cond(plain, fused, lambda: tf.numpy_function(lambda name: _careful(name, preprocess), [file], tf.uint8))
    image.set_shape([None, None, 3])
    return preprocess.before_augmentation(image[None])[0]


def undecodable(split: Split) -> str | None:
    """The first file of a split that looks whole and that TensorFlow can't decode."""
    for file in split.files:
        content = encoded(file)
        if plain_jpeg(content) is not None:
            try:
                tf.io.decode_jpeg(content)
            except tf.errors.InvalidArgumentError:
                return file
    return None


def _fetch(
    split: Split, classes: int, preprocess: Preprocess, decoded: tf.Tensor | None = None
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function from places in a split to (images before augmentation, one-hot labels)."""
    if split.files and not preprocess.resize_first:
        raise LabError("Images of different sizes in files must be resized first: leave resize_first true.")
    labels = tf.constant(split.labels)
    images = None if split.images is None else tf.convert_to_tensor(split.images)
    files = tf.constant(split.files, tf.string)

    def fetch(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if decoded is not None:
            batch = tf.gather(decoded, places)
        elif images is not None:
            batch = preprocess.before_augmentation(tf.gather(images, places))
        else:
            batch = tf.map_fn(
                lambda file: decode(file, preprocess), tf.gather(files, places), fn_output_signature=tf.float32
            )
            batch.set_shape([None, preprocess.side, preprocess.side, 3])
        return batch, tf.one_hot(tf.gather(labels, places), classes)

    return fetch


def _decoded(split: Split, preprocess: Preprocess) -> tf.Tensor | None:
    """All photographs of a split as the network sees them before augmentation; none of a split too large to be held."""
    side = preprocess.side
    if not split.files or not preprocess.resize_first or len(split) * side * side * 3 * 4 > HELD:
        return None
    files = tf.data.Dataset.from_tensor_slices(tf.constant(split.files))
    batches = files.map(lambda file: decode(file, preprocess), tf.data.AUTOTUNE).batch(CHUNK)
    images = np.empty((len(split), side, side, 3), "float32")
    for first, batch in zip(range(0, len(split), CHUNK), batches, strict=True):
        images[first : first + CHUNK] = batch
    return tf.convert_to_tensor(images)


def _order(split: Split, key: tf.Tensor) -> tf.Tensor:
    """The places of an epoch's images, from the key of seed and epoch."""
    if not order.in_blocks(split):
        return tf.random.experimental.stateless_shuffle(tf.range(len(split)), key)
    places = tf.numpy_function(lambda key: order.of_epoch(len(split), int(key[0]), int(key[1])), [key], tf.int32)
    return tf.ensure_shape(places, [len(split)])


def training_stream(
    split: Split,
    classes: int,
    preprocess: Preprocess,
    batch_size: int,
    seed: int,
    augmentations: Mapping[str, float] | None = None,
    drop_remainder: bool = False,
    begin: tuple[int, int] = (0, 0),
) -> tf.data.Dataset:
    """An endless stream of augmented batches from an epoch's step on, each epoch in its own order."""
    if batch_size > len(split) and drop_remainder:
        raise LabError(f"A batch of {batch_size} is larger than the {len(split)} training images: take a smaller one.")
    amounts = dict(augmentations or {})
    decoded, parity = _decoded(split, preprocess), tf.constant(order.turns(len(split), seed))
    fetch = _fetch(split, classes, preprocess, decoded)
    components = color_components(some_pixels(split)) if amounts.get("pca") else None

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        batches = tf.data.Dataset.from_tensor_slices(_order(split, key)).batch(batch_size, drop_remainder)
        return batches.enumerate().map(lambda step, places: (key, step, places))

    def asked_ahead(key: tf.Tensor, step: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, ...]:
        def ask(number: np.ndarray, step: np.ndarray, count: np.ndarray) -> np.ndarray:
            order.ask_ahead(split, order.of_epoch(len(split), seed, int(number)), int(step) * batch_size, int(count))
            return step

        step = tf.numpy_function(ask, [key[1], step, tf.size(places)], tf.int64)
        return key, tf.ensure_shape(step, []), places

    def prepare(key: tf.Tensor, step: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = fetch(places)
        turns = (tf.gather(parity, places) + tf.cast(key[1], tf.int32)) % 2
        draw = stateless_draw(tf.random.experimental.stateless_fold_in(key, step), tf.shape(places)[0], turns)
        images, labels = augment(images, labels, amounts, draw, components, preprocess.remains)
        return preprocess.after_augmentation(images), labels

    first, step = begin
    batches = tf.data.Dataset.range(first, ENDLESS).flat_map(epoch).skip(step)
    if order.in_blocks(split) and decoded is None:
        batches = batches.map(asked_ahead)
    return batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def lives(
    image: np.ndarray, preprocess: Preprocess, augmentations: Mapping[str, float], count: int, seed: int = 0
) -> np.ndarray:
    """One image as `count` steps of a training would show it, before standardization: for looking at."""
    copies = preprocess.before_augmentation(np.repeat(image[None], count, axis=0))
    draw = stateless_draw(tf.constant([seed, 0], tf.int64), tf.constant(count))
    labels, components = tf.one_hot(tf.zeros(count, tf.int32), 2), color_components(image)
    moved, _ = augment(copies, labels, augmentations, draw, components, preprocess.remains)
    return np.clip(np.asarray(preprocess.middle(moved)), 0, 255).astype("uint8")


def arrays(split: Split, preprocess: Preprocess) -> np.ndarray:
    """All images of a split, preprocessed, in memory: for models that are no networks."""
    batches = [np.asarray(images) for images, _ in evaluation_stream(split, 1, preprocess)]
    return np.concatenate(batches)


def evaluation_stream(split: Split, classes: int, preprocess: Preprocess, batch_size: int = 250) -> tf.data.Dataset:
    """Every image once, in order, as it is; the last batch may be smaller and is not dropped."""
    fetch = _fetch(split, classes, preprocess)

    def prepare(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = fetch(places)
        return preprocess.after_augmentation(images), labels

    batches = tf.data.Dataset.range(len(split)).batch(batch_size)
    return batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

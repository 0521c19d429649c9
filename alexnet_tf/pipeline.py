"""From raw images to batches: resize, augment, standardize, shuffle, batch, prefetch.

The training stream is a pure function of (seed, epoch, step): it repeats bit for bit under a
parallel map, and a resumed training sees exactly the batches that an uninterrupted one would.
Preprocessing is one layer, `Preprocess`: the stream calls it, evaluation calls it, and it is
the head of every exported model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from alexnet_tf.datasets import Split
from alexnet_tf.errors import LabError, choose
from alexnet_tf.quiet import keras
from alexnet_tf.recipes import AUGMENTATIONS, CHOICES

import tensorflow as tf  # isort: skip  (after Keras, which loads it quietly)

ops = keras.ops

ENDLESS = 1 << 40


@keras.saving.register_keras_serializable("alexnet_tf")
class Preprocess(keras.layers.Layer):
    """uint8 images of any size in, standardized float32 images of `size` out.

    `standardize`: "rescale" is x/255; "symmetric" is x/127.5 - 1; "per_image" gives each image
    zero mean and unit deviation. With `resize_first` the image is resized before augmentation
    and standardization, else after both, as source B does.
    """

    def __init__(
        self,
        size: int,
        standardize: str = "rescale",
        resize_first: bool = True,
        interpolation: str = "bilinear",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        choose("standardize", standardize, CHOICES["standardize"])
        choose("interpolation", interpolation, CHOICES["interpolation"])
        self.size = size
        self.standardize = standardize
        self.resize_first = resize_first
        self.interpolation = interpolation

    def resize(self, images: Any) -> Any:
        if tuple(images.shape[1:3]) == (self.size, self.size):
            return images
        return ops.image.resize(images, (self.size, self.size), interpolation=self.interpolation)

    def before_augmentation(self, images: Any) -> Any:
        images = ops.cast(images, "float32")
        return self.resize(images) if self.resize_first else images

    def after_augmentation(self, images: Any) -> Any:
        images = images / 255.0
        if self.standardize == "symmetric":
            images = images * 2.0 - 1.0
        elif self.standardize == "per_image":  # as TensorFlow's: a flat image must not divide by zero
            mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
            deviation = ops.std(images, axis=(1, 2, 3), keepdims=True)
            pixels = ops.cast(ops.prod(ops.shape(images)[1:]), "float32")
            images = (images - mean) / ops.maximum(deviation, 1.0 / ops.sqrt(pixels))
        return images if self.resize_first else self.resize(images)

    def call(self, images: Any) -> Any:
        return self.after_augmentation(self.before_augmentation(images))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.size, self.size, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        own = {
            "size": self.size,
            "standardize": self.standardize,
            "resize_first": self.resize_first,
            "interpolation": self.interpolation,
        }
        return {**super().get_config(), **own}


# --- Augmentation -------------------------------------------------------------------------------
# Every geometric augmentation is a 3 x 3 matrix an image, from places in the output to places in
# the input, about the centre; their product moves the pixels once, in one parallel op.


def _matrices(rows: list[list[tf.Tensor | float]], count: tf.Tensor) -> tf.Tensor:
    cells = [tf.broadcast_to(tf.cast(cell, tf.float32), [count]) for row in rows for cell in row]
    return tf.reshape(tf.stack(cells, axis=-1), [-1, 3, 3])


def _geometry(name: str, amount: float, count: tf.Tensor, size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One matrix an image for one augmentation, with the meanings of Keras' ImageDataGenerator."""

    def uniform(low: float, high: float, stream: int = 0) -> tf.Tensor:
        return tf.random.stateless_uniform([count], tf.random.experimental.stateless_fold_in(seed, stream), low, high)

    if name == "flip":  # amount: the probability
        mirrored = tf.where(uniform(0, 1) < amount, -1.0, 1.0)
        return _matrices([[mirrored, 0, 0], [0, 1, 0], [0, 0, 1]], count)
    if name == "crop":  # amount: pixels of padding on each side; a whole-pixel offset an image
        steps = float(2 * round(amount) + 1)
        across, down = (tf.floor(uniform(0, steps, i)) - round(amount) for i in range(2))
        return _matrices([[1, 0, across], [0, 1, down], [0, 0, 1]], count)
    if name == "shift":  # amount: the largest share of the width and the height
        across, down = (uniform(-amount, amount, i) * size for i in range(2))
        return _matrices([[1, 0, across], [0, 1, down], [0, 0, 1]], count)
    if name == "zoom":  # amount: width and height scaled independently by 1 - amount to 1 + amount
        across, down = (uniform(1 - amount, 1 + amount, i) for i in range(2))
        return _matrices([[across, 0, 0], [0, down, 0], [0, 0, 1]], count)
    angle = uniform(-amount, amount) * (np.pi / 180)  # shear and rotation: degrees
    if name == "shear":
        return _matrices([[tf.cos(angle), 0, 0], [-tf.sin(angle), 1, 0], [0, 0, 1]], count)
    turn, lean = tf.cos(angle), tf.sin(angle)
    return _matrices([[turn, lean, 0], [-lean, turn, 0], [0, 0, 1]], count)


def augment(images: tf.Tensor, amounts: Mapping[str, float], seed: tf.Tensor) -> tf.Tensor:
    """Move the pixels of each image of a batch by its own draw; float32 in, float32 out.

    A padded crop leaves black outside, as torchvision's; everything else repeats the border and
    interpolates, as Keras' ImageDataGenerator. The same seed gives the same batch.
    """
    for name in amounts:
        choose("augmentation", name, AUGMENTATIONS)
    active = [name for name in AUGMENTATIONS if amounts.get(name)]
    if not active:
        return images
    shape = tf.shape(images)
    count, size = shape[0], tf.cast(shape[1], tf.float32)
    centre = (size - 1) / 2
    to_centre = _matrices([[1, 0, centre], [0, 1, centre], [0, 0, 1]], count)
    matrix = to_centre
    for stream, name in enumerate(active):
        own = tf.random.experimental.stateless_fold_in(seed, stream)
        matrix = matrix @ _geometry(name, amounts[name], count, size, own)
    matrix = matrix @ _matrices([[1, 0, -centre], [0, 1, -centre], [0, 0, 1]], count)
    whole_pixels = set(active) <= {"flip", "crop"}
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(matrix, [-1, 9])[:, :8],
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="NEAREST" if whole_pixels else "BILINEAR",
        fill_mode="CONSTANT" if "crop" in active else "NEAREST",
    )


# --- Streams ------------------------------------------------------------------------------------


def _decode(file: tf.Tensor, preprocess: Preprocess) -> tf.Tensor:
    """One image file, resized so that files of different sizes fit into a batch."""
    image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    size = (preprocess.size, preprocess.size)
    return tf.cast(tf.image.resize(image, size, method=preprocess.interpolation), tf.float32)


def _fetch(split: Split, classes: int, preprocess: Preprocess) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function from places in a split to (images before augmentation, one-hot labels)."""
    labels = tf.constant(split.labels)
    images = None if split.images is None else tf.convert_to_tensor(split.images)
    files = tf.constant(split.files, tf.string)

    def fetch(places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if images is not None:
            batch = preprocess.before_augmentation(tf.gather(images, places))
        else:
            batch = tf.map_fn(
                lambda file: _decode(file, preprocess), tf.gather(files, places), fn_output_signature=tf.float32
            )
            batch.set_shape([None, preprocess.size, preprocess.size, 3])
        return batch, tf.one_hot(tf.gather(labels, places), classes)

    return fetch


def training_stream(
    split: Split,
    classes: int,
    preprocess: Preprocess,
    batch_size: int,
    seed: int,
    augmentations: Mapping[str, float] | None = None,
    drop_remainder: bool = False,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """An endless stream of augmented batches, epoch after epoch, each in its own order."""
    if batch_size > len(split) and drop_remainder:
        raise LabError(f"A batch of {batch_size} is larger than the {len(split)} training images: take a smaller one.")
    amounts = dict(augmentations or {})
    fetch = _fetch(split, classes, preprocess)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        order = tf.random.experimental.stateless_shuffle(tf.range(len(split)), key)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder)
        return batches.enumerate().map(lambda step, places: (key, step, places))

    def prepare(key: tf.Tensor, step: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = fetch(places)
        images = augment(images, amounts, tf.random.experimental.stateless_fold_in(key, step))
        return preprocess.after_augmentation(images), labels

    epochs = tf.data.Dataset.range(first_epoch, ENDLESS).flat_map(epoch)
    return epochs.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(images: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches in an epoch."""
    return images // batch_size if drop_remainder else -(-images // batch_size)


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

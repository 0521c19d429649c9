"""Streams without TensorFlow: the images lie on the device, or in files, and are augmented there.

For the JAX and PyTorch backends. The same promises as `pipeline`: a batch is a function of
(seed, epoch, step) and of nothing else, each image gets its own draw, evaluation drops nothing.
Of several processes each prepares its share of a batch, with the draws that the whole one would have.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from alexnet_tf import order
from alexnet_tf.ahead import Decoder
from alexnet_tf.augment import TURN, Draw, augment, color_components
from alexnet_tf.devices import Share
from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.splits import Split, some_pixels

ops = keras.ops
WHOLE = Share()
MIXING = ("mixup", "cutmix")  # each takes something from an image's left neighbour in the batch


def _keyed(key: Any, count: int, rows: Any = None, turns: Any = None) -> Draw:
    """Uniform numbers, one an image, from a key: a JAX key inside `jit`, a whole number elsewhere; or whose turn it is.

    With `rows`, those of some images of a batch of `count`.
    """

    def draw(what: str, low: Any, high: Any) -> Any:
        if what == TURN and turns is not None:
            return turns
        own = zlib.crc32(what.encode()) & 0x7FFFFFFF
        if keras.backend.backend() == "jax":
            import jax

            drawn = jax.random.uniform(jax.random.fold_in(key, own), (count,), minval=low, maxval=high)
            return drawn if rows is None else drawn[rows]
        seed = int(np.random.SeedSequence([int(key), own]).generate_state(1)[0] >> 1)
        return low + (high - low) * keras.random.uniform((count,), seed=seed)

    return draw


def _compiled(prepare: Callable[..., Any], fixed: Sequence[str] = ()) -> Callable[..., Any]:
    """The function in one piece on the device where the backend can do that; once for each `fixed` value."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(prepare, static_argnames=fixed)
    return prepare


def _key(seed: int, epoch: int, step: int) -> Any:
    number = int(np.random.SeedSequence([seed, epoch, step]).generate_state(1)[0] >> 1)
    if keras.backend.backend() == "jax":
        import jax

        return jax.random.key(number)
    return number


def _source(split: Split, preprocess: Preprocess) -> tuple[Callable[..., Any], Callable[..., Iterator[Any]]]:
    """How a split's images come: those at some places; and batch after batch, each with what came along."""
    if split.images is None:
        decoder = Decoder(split, preprocess)
        return decoder.batch, decoder.batches
    images = ops.convert_to_tensor(split.images)

    def take(places: Any) -> Any:
        return ops.take(images, places, axis=0)

    return take, lambda asked: ((take(places), along) for places, along in asked)


def _steps(
    split: Split,
    batch_size: int,
    seed: int,
    drop_remainder: bool,
    begin: tuple[int, int],
    share: Share,
    neighbours: int,
) -> Iterator[tuple[np.ndarray, Any, np.ndarray | None, int, np.ndarray]]:
    """Step after step: the places of its images, its key, of a share which rows of how many these are, and turns."""
    (epoch, first), images, large = begin, len(split), order.in_blocks(split)
    parity = order.turns(images, seed)
    while True:
        if large:
            whole = order.of_epoch(images, seed, epoch)
        else:
            whole = np.random.default_rng([seed, epoch]).permutation(images).astype("int32")
        stop = images - images % batch_size if drop_remainder else images
        for step in range(first, -(-stop // batch_size)):
            start = step * batch_size
            places = whole[start : min(start + batch_size, stop)]
            count, rows = len(places), None
            if large and share.processes == 1:  # of several each would fetch what the others read
                order.ask_ahead(split, whole, start, count)
            if share.processes > 1:
                own = share.rows(count)
                rows = np.arange(own[0] - neighbours, own[-1] + 1) % count
                places = places[rows]
            yield places, _key(seed, epoch, step), rows, count, (parity[places] + epoch) % 2
        epoch, first = epoch + 1, 0


def training_stream(
    split: Split,
    classes: int,
    preprocess: Preprocess,
    batch_size: int,
    seed: int,
    augmentations: Mapping[str, float] | None = None,
    drop_remainder: bool = False,
    begin: tuple[int, int] = (0, 0),
    share: Share = WHOLE,
) -> Iterator[tuple[Any, Any]]:
    """An endless stream of augmented batches from an epoch's step on, each epoch in its own order; or a share."""
    if batch_size > len(split) and drop_remainder:
        raise LabError(f"A batch of {batch_size} is larger than the {len(split)} training images: take a smaller one.")
    amounts = dict(augmentations or {})
    _, batches = _source(split, preprocess)
    one_hot = np.eye(classes, dtype="float32")
    components = color_components(some_pixels(split)) if amounts.get("pca") else None
    # A share comes with the neighbours that its first images are mixed with, and gives them away again.
    neighbours = 0 if share.processes == 1 else sum(bool(amounts.get(name)) for name in MIXING)

    def prepare(raw: Any, labels: Any, key: Any, rows: Any, turns: Any, count: int) -> tuple[Any, Any]:
        raw = preprocess.before_augmentation(raw)
        draw = _keyed(key, count, rows, turns)
        raw, labels = augment(raw, labels, amounts, draw, components, preprocess.remains)
        return preprocess.after_augmentation(raw[neighbours:]), labels[neighbours:]

    run = _compiled(prepare, fixed=("count",))
    steps = _steps(split, batch_size, seed, drop_remainder, begin, share, neighbours)
    asked = ((places, (one_hot[split.labels[places]], *along)) for places, *along in steps)
    for raw, (labels, key, rows, count, turns) in batches(asked):
        yield run(raw, labels, key, rows, turns, count=count)


class _Evaluation(keras.utils.PyDataset):
    """Every image once, in order; the last batch may be smaller.

    Where devices could not share the last batch equally, it repeats its last image with weight zero. The others
    weigh accordingly more, for Keras divides a batch's loss by all of its images: the mean stays that of each once.
    """

    def __init__(self, split: Split, classes: int, preprocess: Preprocess, batch_size: int, share: Share) -> None:
        super().__init__()
        self.take, self.labels, self.share = _source(split, preprocess)[0], split.labels, share
        self.one_hot = np.eye(classes, dtype="float32")
        self.batch_size, self.padded = share.whole(batch_size), share.whole(len(split))
        self.prepare = _compiled(lambda raw: preprocess.after_augmentation(preprocess.before_augmentation(raw)))

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        start, count = number * self.batch_size, len(self.labels)
        stop = min(start + self.batch_size, self.padded)
        if self.share.devices == 1:
            return self._taken(np.arange(start, min(stop, count)))
        places = start + self.share.rows(stop - start)
        weights = np.where(places < count, self.padded / count, 0.0).astype("float32")
        places = np.minimum(places, count - 1)
        return *self._taken(places), weights

    def _taken(self, places: np.ndarray) -> tuple[Any, np.ndarray]:
        return self.prepare(self.take(places)), self.one_hot[self.labels[places]]


def evaluation_stream(
    split: Split, classes: int, preprocess: Preprocess, batch_size: int = 250, share: Share = WHOLE
) -> keras.utils.PyDataset:
    """Every image once, in order, as it is; or a share of them."""
    return _Evaluation(split, classes, preprocess, batch_size, share)

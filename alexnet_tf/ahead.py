"""Photographs in files as batches without TensorFlow: threads decode them a couple of batches ahead.

To the pixels of `pipeline.decode`, which resizes likewise. Images of many sizes would make JAX compile a
program for each, so NumPy resizes them, one at a time, and only what has one size goes to the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import Split

T = TypeVar("T")
AHEAD = 2  # batches


def _resized(image: NDArray[np.uint8], side: int, interpolation: str) -> NDArray[np.float32]:
    """An image as `side` times `side` pixels: neighbours along one axis and then the other, as TensorFlow does."""
    found = np.asarray(image, "float32")
    for axis in (0, 1):
        length = found.shape[axis]
        places = (np.arange(side, dtype="float32") + 0.5) * np.float32(length / side)
        if interpolation == "nearest":
            found = found.take(places.astype(int).clip(0, length - 1), axis)
            continue
        below = np.floor(places - 0.5)
        share = (places - 0.5 - below).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        low, high = (found.take((below + step).clip(0, length - 1).astype(int), axis) for step in (0, 1))
        found = low + (high - low) * share
    return found


class Decoder:
    """A split's photographs, each resized so that they fit into a batch."""

    def __init__(self, split: Split, preprocess: Preprocess) -> None:
        if not preprocess.resize_first:
            raise LabError("Images of different sizes in files must be resized first: leave resize_first true.")
        self.split, self.preprocess = split, preprocess
        self.pool = ThreadPoolExecutor(thread_name_prefix="decoder")

    def image(self, place: int) -> NDArray[np.float32]:
        """One photograph before augmentation."""
        image = self.split.image(place)
        top, left, height, width = self.preprocess.window(*image.shape[:2])
        window = image[top : top + height, left : left + width]
        return _resized(window, self.preprocess.side, self.preprocess.interpolation)

    def batch(self, places: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """The photographs at these places."""
        return np.stack(list(self.pool.map(self.image, places)))

    def batches(self, asked: Iterable[tuple[NDArray[np.integer], T]]) -> Iterator[tuple[NDArray[np.float32], T]]:
        """Batch after batch of the places asked for, each with what came along; the next ones are under way."""
        under_way: deque[tuple[list, T]] = deque()
        for places, along in asked:
            under_way.append(([self.pool.submit(self.image, place) for place in places], along))
            if len(under_way) > AHEAD:
                images, first = under_way.popleft()
                yield np.stack([image.result() for image in images]), first
        for images, first in under_way:
            yield np.stack([image.result() for image in images]), first

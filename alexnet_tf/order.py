"""In which order an epoch reads records that no memory holds: shuffled, and yet in long reads.

A disk that is asked for one photograph here and one there waits for most of them. So an epoch takes blocks of
consecutive records in a random order, and shuffles the records of a window of many blocks. Smaller sets, and
photographs in files of their own, are shuffled whole by the streams.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import prepared
from alexnet_tf.splits import Split

BLOCK = 32  # records that lie one behind the other
WINDOW = 4096  # records that are shuffled among each other, about 450 MB of photographs


def in_blocks(split: Split) -> bool:
    """Whether a split is of records, and of more than a window of them."""
    return len(split) > WINDOW and bool(split.files) and prepared.is_place(split.files[0])


def turns(images: int, seed: int) -> NDArray[np.int32]:
    """1 for each image whose turn is in the even epochs, 0 where it is in the odd ones; a function of the seed."""
    return np.random.default_rng([seed, 0, 1]).integers(0, 2, images, dtype="int32")


@functools.lru_cache(maxsize=2)
def of_epoch(images: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """Each of the places once; a function of the seed and the epoch."""
    rng, size = np.random.default_rng([seed, epoch]), WINDOW // BLOCK
    blocks = rng.permutation(-(-images // BLOCK))
    windows = []
    for start in range(0, len(blocks), size):
        places = (blocks[start : start + size, None] * BLOCK + np.arange(BLOCK)).ravel()
        windows.append(rng.permutation(places[places < images]))
    order = np.concatenate(windows).astype("int32")
    order.flags.writeable = False  # it is kept
    return order


def ask_ahead(split: Split, order: NDArray[np.int32], start: int, count: int) -> None:
    """Before a batch is read: as it comes to a new window, have the system fetch the one behind it."""
    window = -(-start // WINDOW)
    if window * WINDOW < start + count:
        here = order[0 if start == 0 else (window + 1) * WINDOW : (window + 2) * WINDOW]
        prepared.read_ahead([split.files[place] for place in here])

"""How cost grows: seconds of an epoch against images, their size, the batch and the width; memory against the batch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from alexnet_tf.bench import ROUNDS, by_workers, once, server, summary

GROWN = ("cifar10-bn64",)
IMAGES = 1024  # of an epoch, where their number is not what grows
# What grows, from a value to a larger one; the rest stays as the recipe has it.
AXES: dict[str, tuple[float, ...]] = {
    "images": (1024, 2048, 4096, 8192),
    "image_size": (64, 96, 128, 192),
    "batch_size": (8, 32, 128, 512),
    "options.width": (0.5, 1.0, 2.0, 4.0),
}
HELD = (32, 128, 512, 1024)  # batches whose memory is measured


def exponent(amounts: Sequence[float], costs: np.ndarray) -> np.ndarray:
    """The slope of a line through logarithms, of each column of costs: twice the amount costs 2**slope as much.

    >>> exponent([1, 2, 4], np.array([[3.0], [12.0], [48.0]])).round(6)
    array([2.])
    """
    return np.polyfit(np.log(amounts), np.log(costs), 1)[0]


def growth(rounds: int = ROUNDS, recipes: Sequence[str] | None = None) -> dict[str, Any]:
    """Seconds of an epoch of the recipe's own training, the values of an axis taking turns, each in its process.

    The exponents stand among the ratios, each fitted to a round of its own; the memory's to the one measurement
    of each batch.
    """
    ratios, costs = {}, {}
    for name in recipes or GROWN:
        for axis, values in AXES.items():
            short = axis.rpartition(".")[2]
            with tempfile.TemporaryDirectory() as folder:
                workers = {
                    f"{value:g}": server("epoch", name, folder=f"{folder}/{value:g}", **_options(axis, value))
                    for value in values
                }
                seconds = by_workers(workers, rounds)
            ratios[f"growth/{name}/{short}"] = summary(exponent(values, np.array(list(seconds.values()))))
            costs.update({f"growth/{name}/{short}/{value}": summary(taken) for value, taken in seconds.items()})
        peaks = {batch: once(server("peak", name, changes={"batch_size": batch})) for batch in HELD}
        ratios[f"growth/{name}/memory"] = summary(exponent(HELD, np.array([*peaks.values()])[:, None]))
        costs.update({f"growth/{name}/memory/{batch}": summary(np.array([mib])) for batch, mib in peaks.items()})
    return {"ratios": ratios, "costs": costs}


def _options(axis: str, value: float) -> dict[str, Any]:
    """What an epoch is told for one value of an axis."""
    if axis == "images":
        return {"images": int(value)}
    return {"images": IMAGES, "changes": {axis: int(value) if axis != "options.width" else value}}

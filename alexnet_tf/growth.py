"""How accuracy grows with the number of training images, and what the curve promises for more of them.

Over a few doublings the error of most networks falls like a power of the number of images: a straight line
when both are drawn by their logarithms (Hestness et al., 2017, "Deep Learning Scaling is Predictable,
Empirically"). Such a line knows nothing of a floor, so what it promises far beyond the images at hand is too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.intervals import LEVEL, Interval

DRAWS = 2000


@dataclass(frozen=True)
class PowerLaw:
    """Error = exp(level) * images ** slope: fitted (the first of each array), and fitted to resampled tests."""

    levels: NDArray[np.float64]
    slopes: NDArray[np.float64]

    @property
    def grows(self) -> bool:
        """Whether the test images suffice to say that more training images helped at all."""
        return float(np.quantile(self.slopes[1:], (1 + LEVEL) / 2)) < 0

    def accuracy(self, images: float) -> Interval:
        """What it expects of so many training images."""
        found = 1 - np.minimum(np.exp(self.levels + self.slopes * np.log(images)), 1)
        low, high = np.quantile(found[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(float(found[0]), float(low), float(high), 1)


def power_law(images: Sequence[int], right: NDArray[np.bool_ | np.floating]) -> PowerLaw:
    """The line through the errors of networks trained on so many images each, tested on the same ones.

    `right` has a row a size and a column a test image: whether it was right, or of several trainings how often.
    The interval is the test images' (bootstrap, a network's answers kept together); what another draw of training
    images would change is not in it.
    """
    if len(images) < 3 or len(images) != len(right):
        raise ValueError(f"a curve needs three sizes or more, each with its answers; received {len(images)}")
    tested = right.shape[1]
    draws = np.random.default_rng(0).integers(0, tested, (DRAWS, tested))
    wrong = 1.0 - right
    errors = np.array([wrong.mean(axis=1), *(wrong[:, draw].mean(axis=1) for draw in draws)])
    errors = np.maximum(errors, 0.5 / tested)  # half an image: a logarithm needs something
    return PowerLaw(*lines(images, errors.T))


def lines(sizes: Sequence[float], errors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels and slopes of the straight lines through the logarithms of sizes and errors; `errors` has a row a size."""
    slopes, levels = np.polyfit(np.log(np.asarray(sizes, float)), np.log(errors), 1)
    return levels, slopes


def exponent(accuracies: Mapping[int, float]) -> float:
    """The power of the size like which the error falls.

    >>> round(exponent({100: 1 - 0.4, 400: 1 - 0.2, 1600: 1 - 0.1}), 6)
    -0.5
    """
    return float(lines([*accuracies], 1 - np.array([*accuracies.values()]))[1])

"""How far trainings lie apart by luck, told by many recipes together, and who stands out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats


@dataclass(frozen=True)
class Luck:
    """How far trainings of one recipe lie apart in accuracy (a standard deviation), taken to be alike for all recipes.

    Estimated with so many degrees of freedom; what a seed does to all recipes is not in it. `wavering` is the same of
    being right about one image, as a variance, on average over the images.
    """

    apart: float
    freedom: int
    wavering: float

    def error(self, weights: Sequence[float], seeds: int) -> float:
        """The standard error of a weighted sum of recipes' means over so many seeds."""
        return self.apart * math.sqrt(sum(weight**2 for weight in weights) / seeds)


def left_over(rates: NDArray[np.floating], right: NDArray[np.floating]) -> Luck | None:
    """What is left of accuracies, a row a recipe and a column a seed, without each recipe's and each seed's share.

    `right` has the same of every test image. None with fewer than two recipes, or two seeds. Of two recipes it is what
    their paired difference has.
    """
    if rates.ndim < 2 or min(rates.shape) < 2:
        return None
    freedom = (rates.shape[0] - 1) * (rates.shape[1] - 1)
    spread, wavering = ((_own(each) ** 2).sum(axis=(0, 1)) / freedom for each in (rates, right))
    return Luck(float(np.sqrt(spread)), freedom, float(wavering.mean()))


def _own(found: NDArray[np.floating]) -> NDArray[np.floating]:
    """Without the mean of its row and that of its column."""
    rows, columns, whole = (found.mean(axis=axis, keepdims=True) for axis in (1, 0, (0, 1)))
    return found - rows - columns + whole


def dunnett(distances: Sequence[float] | NDArray[np.floating], freedom: float, among: int | None = None) -> list[float]:
    """How likely any of so many recipes would lie at least so far from one base, in standard errors, were all equals.

    `among` counts those, too, that were meant to be compared and are not there yet.

    Exactly, where all have as many trainings, and nearly so where some have fewer: given the base's own luck and how
    well luck is known, the others are independent. (`scipy.stats.dunnett` draws lots instead, and takes half a minute
    for sixty recipes.)

    >>> [round(p, 3) for p in dunnett([2.0], 10)]  # Student's, for there is but one
    [0.073]
    """
    base, weights = np.polynomial.hermite_e.hermegauss(64)
    known = np.sqrt(stats.chi2.ppf((np.arange(500) + 0.5) / 500, freedom) / freedom)
    found = []
    for distance in distances:
        reach = math.sqrt(2) * abs(distance) * known
        inside = special.ndtr(base[:, None] + reach) - special.ndtr(base[:, None] - reach)
        found.append(float(1 - weights @ (inside ** (among or len(distances))).mean(axis=1) / weights.sum()))
    return found

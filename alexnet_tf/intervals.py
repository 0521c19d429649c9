"""A figure with its interval: how it is told, how far it lies from zero, and what would make it narrower."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95  # of every interval


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; `n` counts seeds."""

    mean: float
    low: float
    high: float
    n: int
    tested: float = 0.0  # of half the width, what the test images' luck alone would have, which no seed takes away

    def __str__(self) -> str:
        runs = "single run" if self.n == 1 else f"n = {self.n}"
        return f"{self.mean:.2%} [{self.low:.2%}, {self.high:.2%}] ({runs})"

    @property
    def side(self) -> int:
        """Of a difference: on which side of zero all of it lies, 1 or -1; 0 where it contains zero.

        >>> Interval(0.02, 0.01, 0.03, 3).side, Interval(-0.02, -0.03, -0.01, 3).side, Interval(0.0, -0.1, 0.1, 3).side
        (1, -1, 0)
        """
        return int(self.low > 0) - int(self.high < 0)

    @property
    def points(self) -> str:
        """A difference of accuracies, in percentage points.

        >>> Interval(0.012, -0.003, 0.027, 3).points
        '+1.20 points [-0.30, +2.70]'
        """
        mean, low, high = (100 * value for value in (self.mean, self.low, self.high))
        return f"{mean:+.2f} points [{low:+.2f}, {high:+.2f}]"

    @property
    def factor(self) -> str:
        """Of something that multiplies.

        >>> Interval(1.03, 0.99, 1.07, 3).factor
        '1.030 [0.990, 1.070]'
        """
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def distance(difference: Interval, freedom: float) -> float:
    """How many standard errors a difference lies from zero, by its interval of Student's t."""
    error = (difference.high - difference.mean) / float(stats.t.ppf((1 + LEVEL) / 2, freedom))
    return abs(difference.mean) / error if error else 0.0 if difference.mean == 0 else math.inf


def chance(difference: Interval, freedom: float) -> float:
    """How likely so large a difference would be if there were none, of an interval by Student's t."""
    return float(2 * stats.t.sf(distance(difference, freedom), freedom))


def seeds_to_decide(interval: Interval, margin: float) -> int | None:
    """About how many seeds would decide a difference like this one; None with one seed, or where none would.

    It is decided once the interval leaves zero or fits into the margin, at today's spread and on these test images.
    """
    if interval.n < 2:
        return None

    def half(n: int, spread: float = 1.0) -> float:
        return spread * float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) / math.sqrt(n)

    by_seeds = math.sqrt(max(((interval.high - interval.low) / 2) ** 2 - interval.tested**2, 0.0))
    spread = by_seeds / half(interval.n)
    goal = max(abs(interval.mean), margin - abs(interval.mean))
    more = range(interval.n + 1, 10_001)
    return next((n for n in more if math.hypot(half(n, spread), interval.tested) < goal), None)

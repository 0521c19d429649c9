"""One style for all figures: colour-blind-safe, names beside the lines instead of legends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

P = ParamSpec("P")

# Okabe and Ito's palette: told apart by colour-blind readers and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#666666"
SERIES = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "black", "#999933", "#882255"]
STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.bbox": "tight",
    "font.size": 11,
    "text.parse_math": False,  # a class may be called $a$
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, SKY]),
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the laboratory's style without changing the reader's own settings."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return drawn


class Titled(Figure):
    """A figure that a page can describe in words: they become the image's alternative text."""

    def __repr__(self) -> str:
        axes = [text for ax in self.axes for place in ("left", "center") if (text := ax.get_title(loc=place))]
        return "Figure: " + "; ".join([text for text in [self.get_suptitle(), *axes] if text])


def figure(
    width: float, height: float, columns: int = 1, rows: int = 1, heights: Sequence[float] | None = None
) -> tuple[Figure, Any]:
    """A figure with its axes, laid out so that nothing overlaps; rows are as high as said, or all alike."""
    return plt.subplots(
        rows, columns, figsize=(width, height), layout="constrained", height_ratios=heights, FigureClass=Titled
    )


def whole_epochs(ax: Axes, last: float, first: int = 1) -> None:
    """Whole epochs as ticks, none beyond the last, and room at the right for names."""
    ticks = [tick for tick in MaxNLocator(8, integer=True).tick_values(first, last) if first <= tick <= last]
    ax.set_xticks(ticks)
    ax.set_xlim(first - 0.04 * last, last * 1.22)


def in_points(difference: float, _: float | None = None) -> str:
    """A difference of accuracies as an axis of differences tells it.

    >>> in_points(0.02), in_points(-0.005), in_points(0)
    ('+2', '−0.5', '0')
    """
    told = round(100 * difference, 6)
    return f"{told:+g}".replace("-", "−") if told else "0"


def name_ends(ax: Axes, ends: Mapping[str, tuple[float, float, str]], at: float | None = None) -> None:
    """Write each name beside the end (x, y, colour) of its curve, or all `at` one x, moved apart where they overlap."""
    from sklearn.isotonic import IsotonicRegression

    low, high = ax.get_ylim()
    names = sorted((name for name, (_, y, _) in ends.items() if np.isfinite(y)), key=lambda name: ends[name][1])
    if not names:
        return
    steps = np.arange(len(names)) * (high - low) / 18  # a line of text each, roughly
    wanted = [ends[name][1] for name in names]
    places = IsotonicRegression().fit_transform(np.arange(len(names)), wanted - steps) + steps
    for place, name in zip(places, names, strict=True):
        x, _, color = ends[name]
        line = {"color": color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
        pointer = {"arrowstyle": "-", "relpos": (0, 0.5), **line}  # it ends where the name begins
        ax.annotate(
            name,
            (x, ends[name][1]),
            xytext=(at or x + 0.03 * (ax.get_xlim()[1] - ax.get_xlim()[0]), place),
            arrowprops=pointer,
            color=color,
            va="center",
            fontsize=9,
        )
    half = (high - low) / 36
    ax.set_ylim(min(low, places[0] - half), max(high, places[-1] + half))

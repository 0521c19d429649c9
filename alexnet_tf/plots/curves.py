"""What happens over epochs, steps or amounts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet_tf.plots.style import BLUE, GREEN, GREY, ORANGE, SERIES, figure, name_ends, styled, whole_epochs

if TYPE_CHECKING:
    from alexnet_tf.intervals import Interval


@styled
def curves(
    history: Sequence[Mapping[str, float]],
    title: str,
    monitored: str = "test",
    reference: Sequence[float] | float | None = None,
    reference_name: str = "source",
    mark_rate_cuts: bool = False,
) -> Figure:
    """Loss and accuracy by epoch, the source's accuracy drawn in as a curve or a level; no others if not watched."""
    fig, (left, right) = figure(11, 3.8, columns=2)
    epochs = [row["epoch"] for row in history]
    for ax, key in (left, "loss"), (right, "accuracy"):
        ends = {}
        for prefix, name, color in ("", "training", ORANGE), ("val_", monitored, BLUE):
            values = [row[prefix + key] for row in history if prefix + key in row]
            if not values:
                continue
            ax.plot(epochs, values, color=color, marker="o" if len(epochs) < 30 else None, markersize=3.5)
            ends[name] = (epochs[-1], values[-1], color)
        ax.set(xlabel="epoch", title=key)
        whole_epochs(ax, epochs[-1])
        if key == "accuracy" and isinstance(reference, (int, float)):
            ax.plot(epochs, [reference] * len(epochs), color=GREY, linestyle="--", linewidth=1)
            ends[f"{reference_name} {reference:.1%}"] = (epochs[-1], reference, GREY)
        elif key == "accuracy" and isinstance(reference, Sequence):
            ax.plot(range(1, len(reference) + 1), reference, color=GREY, linestyle="--", linewidth=1.3)
            ends[reference_name] = (epochs[-1], reference[-1], GREY)
        name_ends(ax, ends)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    if mark_rate_cuts:
        for before, after in itertools.pairwise(history):
            if after["learning_rate"] < before["learning_rate"] * 0.99:
                left.axvline(after["epoch"], color=GREEN, linestyle=":", linewidth=1)
                top = left.get_ylim()[1]
                left.text(after["epoch"], top, "rate cut", color=GREEN, rotation=90, va="top", ha="right", fontsize=8)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def lines(series: Mapping[str, Sequence[float]], title: str, x: str, y: str, first: int = 1) -> Figure:
    """Several curves over their places, counted from `first`, each named at its end."""
    fig, ax = figure(9, 4.8)
    ends = {}
    for number, (name, values) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        places = range(first, first + len(values))
        ax.plot(places, values, color=color, linestyle=["-", "--", ":"][number // len(SERIES) % 3])
        ends[name] = (places[-1], values[-1], color)
    longest = first + max(map(len, series.values())) - 1
    ax.set(xlabel=x, ylabel=y, title=title)
    whole_epochs(ax, longest, first)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    name_ends(ax, ends)
    return fig


@styled
def against_time(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, levels: Mapping[str, float] | None = None
) -> Figure:
    """Accuracy against seconds of training, a curve a system named at its end; dashed levels to be reached."""
    fig, ax = figure(10, 5)
    ends = {}
    for number, (name, (seconds, rates)) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        style = ["-", "--", ":"][number // len(SERIES) % 3]
        ax.plot(seconds, rates, color=color, linestyle=style, marker="o" if len(rates) == 1 else None)
        ends[name] = (seconds[-1], rates[-1], color)
    for name, level in (levels or {}).items():
        ax.axhline(level, color=GREY, linestyle="--", linewidth=1)
        ax.annotate(name, (0.01, level), xycoords=("axes fraction", "data"), va="bottom", fontsize=9, color=GREY)
    ax.set_xscale("log")
    name_ends(ax, ends, at=1.1 * ax.get_xlim()[1])
    ax.set(xlabel="seconds of training", ylabel="accuracy", title=title)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    return fig


@styled
def growth(
    measured: Mapping[str, Mapping[Any, Interval]],
    title: str,
    expected: Mapping[int, Interval] | None = None,
    x: str = "training images",
    y: str = "test accuracy",
) -> Figure:
    """What changes with training images, epochs or a rate, with intervals; dashed what a fit expects."""
    fig, ax = figure(9, 4.8)
    for color, (name, points) in zip(itertools.cycle(SERIES), measured.items(), strict=False):
        means = [found.mean for found in points.values()]
        spread = [[found.mean - found.low for found in points.values()], [f.high - f.mean for f in points.values()]]
        ax.errorbar(list(points), means, yerr=spread, color=color, marker="o", markersize=4, capsize=3, label=name)
    if any(found.low < 0 for points in measured.values() for found in points.values()):
        ax.axhline(0, color=GREY, linewidth=1)
    if expected:
        sizes = list(expected)
        ax.plot(
            sizes,
            [found.mean for found in expected.values()],
            color=GREY,
            linestyle="--",
            linewidth=1.3,
            label="promised",
        )
        lows, highs = zip(*[(found.low, found.high) for found in expected.values()], strict=True)
        ax.fill_between(sizes, lows, highs, color=GREY, alpha=0.15, linewidth=0)
    ax.set_xscale("log")
    ticks = sorted({size for points in (*measured.values(), expected or {}) for size in points})
    ax.set_xticks(ticks, [f"{size:,g}" for size in ticks])
    ax.minorticks_off()
    ax.set(xlabel=x, ylabel=y, title=title)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.legend(loc="best")
    return fig

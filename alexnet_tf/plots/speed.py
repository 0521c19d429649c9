"""Speed and cost: under a roof, against batches, as they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from alexnet_tf.plots.style import BLUE, GREY, ORANGE, SERIES, figure, styled

Spread = tuple[float, float, float]  # the median, and the quartiles below and above it


@dataclass(frozen=True)
class Roof:
    """What a machine reaches at most, and what the layers of a network reach under it."""

    flops: float  # operations a second
    bandwidth: float  # bytes a second
    layers: Mapping[str, tuple[float, float]]  # operations a byte, and operations a second
    moving: Mapping[str, float]  # of layers without products: their share of the bandwidth


@styled
def roofline(panels: Mapping[str, Roof], title: str) -> Figure:
    """Above, operations a second of each layer against those a byte, under what the machine allows; a panel each.

    Below, what layers without products reach of the machine's bandwidth.
    """
    moving = max(len(roof.moving) for roof in panels.values())
    fig, axes = figure(6.2 * len(panels), 5 + 0.24 * moving, columns=len(panels), rows=2)
    above, below = np.reshape(axes, (2, -1))
    above[0].get_gridspec().set_height_ratios([18, max(moving, 1)])
    for upper, lower, (name, roof) in zip(above, below, panels.items(), strict=True):
        _roof(upper, roof)
        upper.set_title(name)
        lower.barh(list(roof.moving), list(roof.moving.values()), color=ORANGE)
        lower.invert_yaxis()
        lower.tick_params(axis="y", labelsize=9)
        lower.set(xlabel="share of the bandwidth", xlim=(0, max([1.0, *roof.moving.values()])))
        lower.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


def _roof(ax: Axes, roof: Roof) -> None:
    """One panel: the roof, and a point a layer; points that lie together are named together."""
    known = [intensity for intensity, _ in roof.layers.values()]
    ridge = roof.flops / roof.bandwidth
    places = np.geomspace(min([ridge, *known]) / 3, max([ridge, *known]) * 4, 200)
    ax.plot(places, np.minimum(roof.flops, places * roof.bandwidth) / 1e9, color=GREY, linewidth=1.5)
    reached = f"product of matrices: {roof.flops / 1e9:,.0f} GFLOP/s"
    ax.annotate(reached, (ridge, roof.flops / 1e9), va="bottom", color=GREY, fontsize=9)
    groups: dict[tuple[int, int], list[str]] = {}
    for layer, (intensity, flops) in roof.layers.items():
        ax.plot(intensity, flops / 1e9, "o", color=BLUE, markersize=6)
        groups.setdefault((round(np.log10(intensity) / 0.3), round(np.log10(flops) / 0.08)), []).append(layer)
    for number, names in enumerate(groups.values()):
        intensity, flops = np.max([roof.layers[name] for name in names], axis=0)
        under = number % 2
        ax.annotate(
            ", ".join(names), (intensity, flops / 1e9), fontsize=9, color=BLUE, va="top" if under else "bottom",
            xytext=(5, -2 if under else 2), textcoords="offset points",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="GFLOP/s")
    _plain(ax.yaxis)
    _plain(ax.xaxis, (1.0,))


def _plain(axis: Axis, steps: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Numbers instead of powers of ten, few of them."""
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


@styled
def rates(series: Mapping[str, Mapping[int, Spread]], title: str, x: str, y: str) -> Figure:
    """Rates against an amount, both on scales of powers, with their quartiles; each named at its end."""
    fig, ax = figure(8, 4.8)
    for number, (name, points) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        medians, lows, highs = zip(*points.values(), strict=True)
        ax.fill_between(list(points), lows, highs, color=color, alpha=0.2, linewidth=0)
        ax.plot(list(points), medians, color=color, marker="o", markersize=4)
        ax.annotate(
            name, (list(points)[-1], medians[-1]), xytext=(6, 0), textcoords="offset points", color=color, va="center",
            fontsize=9,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel=x, ylabel=y, title=title)
    _ticks(ax, sorted({amount for points in series.values() for amount in points}))
    ax.set_xlim(right=ax.get_xlim()[1] * 2.2)
    _plain(ax.yaxis)
    return fig


def _ticks(ax: Axes, amounts: Sequence[float]) -> None:
    """The amounts that were measured, and no others."""
    ax.set_xticks(amounts, [f"{amount:,g}" for amount in amounts])
    ax.xaxis.minorticks_off()


@styled
def powers(panels: Mapping[str, tuple[Mapping[float, Spread], float]], title: str, units: Sequence[str]) -> Figure:
    """Costs against what grows, a panel each, with the power that was fitted to them in grey."""
    fig, axes = figure(3.3 * len(panels), 3.6, columns=len(panels))
    for ax, unit, (name, (points, power)) in zip(np.atleast_1d(axes), units, panels.items(), strict=True):
        amounts = np.array(list(points), float)
        medians, lows, highs = (np.array(side) for side in zip(*points.values(), strict=True))
        level = np.exp(np.mean(np.log(medians) - power * np.log(amounts)))
        ax.plot(amounts, level * amounts**power, color=GREY, linestyle="--", linewidth=1.3)
        ax.errorbar(amounts, medians, yerr=[medians - lows, highs - medians], color=BLUE, marker="o", capsize=3)
        ax.set(xscale="log", yscale="log", xlabel=name, ylabel=unit, title=f"power {power:.2f}")
        ax.set_ylim(lows.min() / 1.5, highs.max() * 1.5)
        _ticks(ax, list(points))
        _plain(ax.yaxis)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig

"""Speed and cost: under a roof, against batches, as they grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    """Each layer's operations a second against those a byte, under what the machine allows; a panel each.

    Layers without products have no place there: they stand, in orange, as far below the slope as their bytes a second
    are below the bandwidth, side by side.
    """
    fig, axes = figure(6.2 * len(panels), 5, columns=len(panels))
    for ax, (name, roof) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        _roof(ax, roof)
        ax.set_title(name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


def _roof(ax: Axes, roof: Roof) -> None:
    """One panel: the roof, and a point a layer."""
    known = [intensity for intensity, _ in roof.layers.values()]
    ridge = roof.flops / roof.bandwidth
    low, high = min([1.0, *known]) / 1.5, max([ridge, *known]) * 4
    places = np.geomspace(low, high, 200)
    ax.plot(places, np.minimum(roof.flops, places * roof.bandwidth) / 1e9, color=GREY, linewidth=1.5)
    ax.annotate(
        f"product of matrices: {roof.flops / 1e9:,.0f} GFLOP/s", (high, roof.flops / 1e9), ha="right", va="bottom",
        color=GREY, fontsize=9, xytext=(0, 3), textcoords="offset points",
    )  # fmt: skip
    for number, (layer, (intensity, flops)) in enumerate(roof.layers.items()):
        ax.plot(intensity, flops / 1e9, "o", color=BLUE, markersize=6)
        ax.annotate(
            layer, (intensity, flops / 1e9), fontsize=9, color=BLUE, va="top" if number % 2 else "bottom",
            xytext=(5, -3 if number % 2 else 3), textcoords="offset points",
        )  # fmt: skip
    for place, (layer, share) in enumerate(roof.moving.items()):
        x = 1.2 * low * (ridge / low / 1.5) ** (place / len(roof.moving))
        ax.plot(x, x * roof.bandwidth * share / 1e9, "D", color=ORANGE, markersize=4)
        ax.annotate(
            layer, (x, x * roof.bandwidth * share / 1e9), fontsize=8, color=ORANGE, va="top",
            xytext=(4, -3), textcoords="offset points",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="GFLOP/s")


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
        _ticks(ax, list(points))
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig

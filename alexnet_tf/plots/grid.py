"""Ablations: every knob by itself, and all variants in one order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet_tf.plots.style import BLUE, GREY, RED, figure, in_points, styled

if TYPE_CHECKING:
    from alexnet_tf.ablation import Effect


MOST = 0.9  # of the variants; who lies more than twice as far off as these is told beside an arrow


def _far(effect: Effect) -> float:
    """How far from zero its interval ends."""
    return max(abs(effect.gain.low), abs(effect.gain.high))


def _reach(found: Sequence[Effect], others: Iterable[float] = ()) -> float:
    """How far from zero a scale should go: a few that lie far off, or did not learn, must not flatten all others."""
    shown = [effect for effect in found if effect.learned] or found
    ends = [_far(effect) for effect in shown]
    usual = float(np.quantile(ends, MOST))
    return 1.15 * max(*(end for end in ends if end <= 2 * usual), *map(abs, others), 0.01)


def _unit(found: Sequence[Effect]) -> str:
    hollow = "" if all(effect.whole for effect in found) else "; hollow: of fewer trainings"
    return f"points of test accuracy against the base, with their 95 % interval{hollow}"


def _rows(ax: Axes, found: Sequence[Effect], names: Sequence[str], reach: float) -> None:
    """A row a variant, from above: its gain with interval; grey where the interval contains zero, hollow a first look.

    What lies beyond the scale is an arrow at its edge, with the points; so is what did not learn, without.
    """
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_xlim(-reach, reach)
    for place, effect in zip(range(len(found))[::-1], found, strict=True):
        color = BLUE if effect.clear else "#999999"
        inside = color if effect.whole else "w"
        if not effect.learned or _far(effect) > reach:
            side = 1 if effect.gain.mean > 0 else -1
            ax.plot(
                side * reach, place, "<>"[side > 0], color=color, markersize=8, markerfacecolor=inside, clip_on=False
            )
            told = in_points(round(effect.gain.mean, 2)) if effect.learned else "at chance"
            end = "right" if side > 0 else "left"
            ax.text(0.9 * side * reach, place, told, va="center", ha=end, fontsize=8, color=color)
            continue
        ax.plot([effect.gain.low, effect.gain.high], [place, place], color=color, linewidth=2, solid_capstyle="butt")
        ax.plot(effect.gain.mean, place, "o", color=color, markersize=5, markerfacecolor=inside)
    ax.set_yticks(range(len(found))[::-1], names)
    ax.set_ylim(-0.6, len(found) - 0.4)
    ax.xaxis.set_major_formatter(in_points)


@styled
def knobs(found: Sequence[Effect], title: str, columns: int = 3) -> Figure:
    """A panel a knob, all on one scale, so that a knob that matters lies far from the middle."""
    names = list(dict.fromkeys(effect.knob for effect in found))
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    fig, axes = figure(4.2 * columns, 0.6 + 1.75 * rows, columns, rows)
    reach = _reach(found)
    places = list(np.ravel(axes))
    for ax, name in zip(places, names, strict=False):
        of_knob = [effect for effect in found if effect.knob == name]
        _rows(ax, of_knob, [effect.variant for effect in of_knob], reach)
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
    for ax in places[len(names) :]:
        ax.set_axis_off()
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    fig.supxlabel(_unit(found), fontsize=9)
    return fig


@styled
def worth(found: Sequence[Effect], title: str, published: Mapping[str, Sequence[float]] | None = None) -> Figure:
    """All variants in one order, with what each costs beside what it gains; red what was published of it."""
    fig, ax = figure(11, 1.4 + 0.24 * len(found))
    known = published or {}
    marks = {effect.variant: known.get(effect.variant, ()) for effect in found}
    reach = _reach(found, itertools.chain.from_iterable(marks.values()))
    _rows(ax, found, [f"{effect.knob}: {effect.variant}" for effect in found], reach)
    for place, effect in zip(range(len(found))[::-1], found, strict=True):
        for gain in marks[effect.variant]:
            ax.plot(gain, place, "|", color=RED, markersize=9, markeredgewidth=2)
    if any(marks.values()):
        ax.plot([], [], "|", color=RED, markersize=9, markeredgewidth=2, label="published, of other data")
        fig.legend(loc="outside lower right", fontsize=8)
    ax.tick_params(axis="y", labelsize=8)
    ax.set(xlabel=_unit(found), title=title)
    columns = {"parameters": "{0.parameters:,}", "MFLOP": "{1:.0f}", "time": "{0.took}", "seconds": "{0.lasts}"}
    for number, (name, form) in enumerate(columns.items()):
        x = 1.13 + 0.13 * number
        ax.text(x, 1.0, name, transform=ax.transAxes, ha="right", va="bottom", fontsize=8, color=GREY)
        for place, effect in zip(range(len(found))[::-1], found, strict=True):
            told = form.format(effect, effect.flop / 1e6)
            ax.text(x, place, told, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=8)
    return fig

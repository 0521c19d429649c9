"""Ablations: every knob by itself, and all variants in one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet_tf.plots.style import BLUE, GREY, RED, figure, styled

if TYPE_CHECKING:
    from alexnet_tf.ablation import Effect


def _ends(found: Sequence[Effect], others: Iterable[float] = ()) -> list[float]:
    """What a scale should show: the intervals' ends, but of variants that did not learn."""
    shown = [effect for effect in found if effect.learned] or found
    return [*(end for effect in shown for end in (effect.gain.low, effect.gain.high)), *others, 0.0]


def _rows(ax: Axes, found: Sequence[Effect], names: Sequence[str], low: float, high: float) -> None:
    """A row a variant, from above: its gain with interval; grey where the interval contains zero.

    What lies farther down than the scale is an arrow at its edge.
    """
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_xlim(low, high)
    for place, effect in zip(range(len(found))[::-1], found, strict=True):
        color = BLUE if effect.clear else "#999999"
        if effect.gain.mean < low:
            ax.plot(low, place, "<", color=color, markersize=8, clip_on=False)
            continue
        ax.plot([effect.gain.low, effect.gain.high], [place, place], color=color, linewidth=2, solid_capstyle="butt")
        ax.plot(effect.gain.mean, place, "o", color=color, markersize=5)
    ax.set_yticks(range(len(found))[::-1], names)
    ax.set_ylim(-0.6, len(found) - 0.4)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


@styled
def knobs(found: Sequence[Effect], title: str, columns: int = 3) -> Figure:
    """A panel a knob, all on one scale, so that a knob that matters lies far from the middle."""
    names = list(dict.fromkeys(effect.knob for effect in found))
    columns = min(columns, len(names))
    rows = -(-len(names) // columns)
    fig, axes = figure(4.2 * columns, 0.6 + 1.75 * rows, columns, rows)
    reach = 1.08 * max(map(abs, _ends(found)))
    places = list(np.ravel(axes))
    for ax, name in zip(places, names, strict=False):
        of_knob = [effect for effect in found if effect.knob == name]
        _rows(ax, of_knob, [effect.variant for effect in of_knob], -reach, reach)
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
    for ax in places[len(names) :]:
        ax.set_axis_off()
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def worth(found: Sequence[Effect], title: str, published: Mapping[str, float] | None = None) -> Figure:
    """All variants in one order, with what each costs beside what it gains; red what was published of it."""
    fig, ax = figure(11, 1.4 + 0.24 * len(found))
    known = published or {}
    ends = _ends(found, (known[effect.variant] for effect in found if effect.variant in known))
    edge = 0.05 * (max(ends) - min(ends))
    _rows(ax, found, [f"{effect.knob}: {effect.variant}" for effect in found], min(ends) - edge, max(ends) + edge)
    for place, effect in zip(range(len(found))[::-1], found, strict=True):
        if effect.variant in known:
            ax.plot(known[effect.variant], place, marker="|", color=RED, markersize=9, markeredgewidth=2)
    ax.tick_params(axis="y", labelsize=8)
    ax.set(xlabel="test accuracy against the base, with its 95 % interval", title=title)
    columns = {"parameters": "{0.parameters:,}", "MFLOP": "{1:.0f}", "minutes": "{0.minutes:.1f}"}
    for number, (name, form) in enumerate(columns.items()):
        x = 1.13 + 0.15 * number
        ax.text(x, 1.0, name, transform=ax.transAxes, ha="right", va="bottom", fontsize=8, color=GREY)
        for place, effect in zip(range(len(found))[::-1], found, strict=True):
            told = form.format(effect, effect.flop / 1e6)
            ax.text(x, place, told, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=8)
    return fig

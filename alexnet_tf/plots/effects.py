"""Figures with their intervals, beside what the sources say."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet_tf.claims import DIFFERENCES
from alexnet_tf.plots.style import BLUE, GREEN, GREY, ORANGE, RED, figure, in_points, styled

if TYPE_CHECKING:
    from alexnet_tf.verdicts import Verdict

VERDICT_COLORS = {
    "reproduced": GREEN,
    "exceeded": BLUE,
    "not reproduced": RED,
    "contradicted": RED,
    "no effect": ORANGE,
    "inconclusive": ORANGE,
    "no figure": "#666666",
    "not run": "#bbbbbb",
}


@styled
def effects(
    names: Sequence[str],
    means: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    title: str,
    references: Sequence[float | None] | None = None,
    unit: str = "accuracy",
    difference: bool = False,
) -> Figure:
    """One row a variant: mean with interval, and the source's figure as a mark; differences count in points."""
    fig, ax = figure(9, 1.2 + 0.42 * len(names))
    places = np.arange(len(names))[::-1]
    if difference:
        ax.axvline(0, color=GREY, linewidth=1)
    spread = [np.subtract(means, lows), np.subtract(highs, means)]
    ax.errorbar(means, places, xerr=spread, fmt="o", color=BLUE, capsize=3, label="ours, 95 % interval")
    for place, reference in zip(places, references or [], strict=False):
        if reference is not None:
            ax.plot(reference, place, marker="|", color=RED, markersize=16, markeredgewidth=2.5)
    if references and any(reference is not None for reference in references):
        ax.plot([], [], marker="|", color=RED, linestyle="", markersize=12, markeredgewidth=2.5, label="source")
        ax.legend(loc="lower right", fontsize=9)
    ax.set_yticks(places, names)
    ax.xaxis.set_major_formatter(in_points if difference else PercentFormatter(1.0))
    ax.set(xlabel=f"{unit}, points" if difference else unit, ylim=(-0.6, len(names) - 0.4), title=title)
    return fig


@styled
def pairs(names: Sequence[str], groups: Mapping[str, Sequence[float]], title: str, unit: str) -> Figure:
    """A row a name with one dot a group; a line joins the dots to zero."""
    fig, ax = figure(9, 1.4 + 0.36 * len(names))
    places = np.arange(len(names))[::-1]
    ax.axvline(0, color="#bbbbbb", zorder=1)
    for (group, values), color, shift in zip(groups.items(), (BLUE, ORANGE), (0.12, -0.12), strict=False):
        ax.hlines(places + shift, 0, values, color=color, linewidth=1.5, alpha=0.5, zorder=1)
        ax.scatter(values, places + shift, color=color, s=50, label=group, zorder=2)
    ax.set_yticks(places, names)
    ax.set(xlabel=unit, title=title)
    if len(groups) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=10)
    return fig


def _outcome(row: Verdict) -> str:
    if row.verdict == "not run":
        return row.verdict
    return f"{row.verdict} ({row.budget}, single run)" if row.n == 1 else f"{row.verdict} ({row.budget})"


@styled
def scorecard(verdicts: Sequence[Verdict]) -> Figure:
    """Every claim on a line: the source's figure, our interval, the verdict; differences have a panel of their own."""
    panels = [[row for row in verdicts if (row.claim in DIFFERENCES) == apart] for apart in (False, True)]
    panels = [rows for rows in panels if rows]
    fig, axes = figure(11, 1.2 + 0.34 * len(verdicts), rows=len(panels), heights=[len(rows) for rows in panels])
    for ax, rows in zip(np.atleast_1d(axes), panels, strict=True):
        _claims(ax, rows)
    counts = Counter(row.verdict for row in verdicts)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    fig.axes[0].set_title(textwrap.fill(f"{len(verdicts)} claims: {said}", 80))
    return fig


def _claims(ax: Any, verdicts: Sequence[Verdict]) -> None:
    """Claims on accuracies, or claims on differences, a line each."""
    differences = verdicts[0].claim in DIFFERENCES
    beside = ax.get_yaxis_transform()  # x in widths of the panel
    for place, row in zip(range(len(verdicts))[::-1], verdicts, strict=True):
        color = VERDICT_COLORS[row.verdict]
        if row.reported is not None and row.reported > 1:  # how many times faster: no place on an axis of accuracies
            end = "no end" if row.high is None else f"{row.high:.1f}"
            ours = "" if row.measured is None else f", ours {row.measured:.1f}× [{row.low:.1f}, {end}]"
            ax.text(0.02, place, f"{row.reported:g}× faster{ours}", va="center", fontsize=9)
            ax.text(1.02, place, _outcome(row), color=color, va="center", fontsize=9, transform=beside)
            continue
        if row.reported is not None:
            ax.plot(row.reported, place, marker="|", color="black", markersize=12, markeredgewidth=2)
        if row.measured is not None:
            ax.plot([row.low, row.high], [place, place], color=color, linewidth=3, alpha=0.6, solid_capstyle="butt")
            ax.plot(row.measured, place, "o", color=color, markersize=5)
        ax.text(1.02, place, _outcome(row), color=color, va="center", fontsize=9, transform=beside)
    ax.set_yticks(range(len(verdicts))[::-1], [f"{row.source}  {row.claim}" for row in verdicts], fontsize=9)
    ax.set_ylim(-0.7, len(verdicts) - 0.3)
    ax.set_xlabel("difference of accuracies, points" if differences else "accuracy")
    ax.xaxis.set_major_formatter(in_points if differences else PercentFormatter(1.0))
    if differences:
        ax.axvline(0, color="#bbbbbb", linewidth=0.8)
    else:
        ax.set_xlim(0, 1)

"""Points of several kinds: classes in a plane, confidence against accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from alexnet_tf.plots.style import BLUE, GREY, SERIES, figure, styled

if TYPE_CHECKING:
    from alexnet_tf.trust import Against, Reliability


@styled
def plane(points: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str], title: str) -> Figure:
    """Points of several classes, each class named at its middle."""
    fig, ax = figure(8, 6)
    palette = plt.get_cmap("tab10")
    for label, name in enumerate(names):
        own = points[labels == label]
        color = palette(label % 10)
        ax.scatter(own[:, 0], own[:, 1], s=9, color=color, alpha=0.6)
        middle = np.median(own, axis=0)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
        ax.text(*middle, name, ha="center", va="center", fontsize=10, weight="bold", color=color, bbox=box)
    ax.set(xticks=[], yticks=[], title=title)
    return fig


@styled
def reliability(diagrams: Mapping[str, Reliability], title: str) -> Figure:
    """How often right against how sure, a panel a network; bubbles grow with the number of images."""
    fig, axes = figure(4.6 * len(diagrams), 4.4, columns=len(diagrams))
    for ax, (name, found) in zip(np.atleast_1d(axes), diagrams.items(), strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        ax.plot(found.confidence, found.accuracy, color=BLUE, linewidth=1)
        ax.scatter(
            found.confidence, found.accuracy, s=10 + 300 * found.count / found.count.sum(), color=BLUE, alpha=0.7
        )
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="how sure", ylabel="how often right", title=name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def thresholds(classes: Mapping[str, Against], title: str) -> Figure:
    """Each class against all others at every threshold: ROC at the left, precision against recall at the right."""
    fig, (left, right) = figure(12, 4.4, columns=2)
    for number, (name, found) in enumerate(classes.items()):
        look = {"color": SERIES[number % len(SERIES)], "linestyle": ["-", "--"][number // len(SERIES) % 2]}
        left.plot(found.false_alarms, found.found, **look)
        label = f"{name} {found.area:.3f}, {found.average_precision:.3f}"
        right.plot(found.recall, found.precision, label=label, **look)
    left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    left.set(xlabel="false alarms among the others", ylabel="found of the class", title="ROC")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall", ylim=(0, 1.03))
    heading = "area under ROC, average precision"
    right.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9, title=heading, title_fontsize=9)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def trials(
    settings: Mapping[str, Sequence[Any]], accuracies: Sequence[float], finished: Sequence[bool], title: str
) -> Figure:
    """A search's accuracy against each setting; hollow what did not come to its end."""
    columns = min(4, len(settings))
    rows = -(-len(settings) // columns)
    fig, axes = figure(1 + 3.4 * columns, 0.6 + 3.2 * rows, columns=columns, rows=rows)
    panels = np.atleast_1d(axes).ravel()
    for ax in panels[len(settings) :]:
        ax.set_axis_off()
    done = np.asarray(finished)
    for number, (name, values) in enumerate(settings.items()):
        ax = panels[number]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        places = np.array(values if numbers else [str(value) for value in values])
        ax.scatter(places[done], np.asarray(accuracies)[done], s=24, color=BLUE)
        ax.scatter(places[~done], np.asarray(accuracies)[~done], s=24, facecolors="none", edgecolors=GREY)
        if numbers and min(values) > 0 and max(values) / min(values) >= 10:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(xlabel=name, ylabel="" if number % columns else "validation accuracy")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig

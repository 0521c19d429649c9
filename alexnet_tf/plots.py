"""Arrays in, Figure out: one style, colour-blind-safe, direct labels, sources as reference marks."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

    from alexnet_tf.trust import Reliability
    from alexnet_tf.verdicts import Verdict

P = ParamSpec("P")

# Okabe and Ito's palette: told apart by colour-blind readers and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#666666"
SERIES = [BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "black", "#999933", "#882255"]
STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.bbox": "tight",
    "font.size": 11,
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


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the laboratory's style without changing the reader's own settings."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return drawn


def _figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Figure, Any]:
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained")


def _epochs(ax: Axes, last: float, first: int = 1) -> None:
    """Whole epochs as ticks, none beyond the last, and room at the right for names."""
    ticks = [tick for tick in MaxNLocator(8, integer=True).tick_values(first, last) if first <= tick <= last]
    ax.set_xticks(ticks)
    ax.set_xlim(first - 0.04 * last, last * 1.22)


def _name_ends(ax: Axes, ends: Mapping[str, tuple[float, float, str]]) -> None:
    """Write each name beside the end (x, y, colour) of its curve, moved apart where they would overlap."""
    from sklearn.isotonic import IsotonicRegression

    low, high = ax.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][1])
    steps = np.arange(len(names)) * (high - low) / 18  # a line of text each, roughly
    wanted = [ends[name][1] for name in names]
    places = IsotonicRegression().fit_transform(np.arange(len(names)), wanted - steps) + steps
    for place, name in zip(places, names, strict=True):
        x, _, color = ends[name]
        pointer = {"arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
        ax.annotate(
            name,
            (x, ends[name][1]),
            xytext=(x + 0.03 * (ax.get_xlim()[1] - ax.get_xlim()[0]), place),
            arrowprops=pointer,
            color=color,
            va="center",
            fontsize=9,
        )
    ax.set_ylim(min(low, places[0]), max(high, places[-1]))


@_styled
def images(pictures: Sequence[NDArray[Any]], titles: Sequence[str], title: str = "", columns: int = 8) -> Figure:
    """Pictures in a grid, each with its name above; small ones are shown pixel by pixel."""
    rows = -(-len(pictures) // columns)
    fig, axes = _figure(1.35 * columns, 1.6 * rows + 0.3, columns, rows)
    flat = np.atleast_1d(axes).ravel()
    for ax in flat:
        ax.axis("off")
    for ax, picture, name in zip(flat, pictures, titles, strict=False):
        ax.imshow(picture, interpolation="nearest" if len(picture) < 100 else "antialiased")
        ax.set_title(name, fontsize=9, loc="center")
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def curves(
    history: Sequence[Mapping[str, float]],
    title: str,
    monitored: str = "test",
    reference: Sequence[float] | float | None = None,
    reference_name: str = "source",
    mark_rate_cuts: bool = False,
) -> Figure:
    """Loss and accuracy by epoch, the source's accuracy drawn in as a curve or a level."""
    fig, (left, right) = _figure(11, 3.8, columns=2)
    epochs = [row["epoch"] for row in history]
    for ax, key in (left, "loss"), (right, "accuracy"):
        ends = {}
        for prefix, name, color in ("", "training", ORANGE), ("val_", monitored, BLUE):
            values = [row[prefix + key] for row in history]
            ax.plot(epochs, values, color=color, marker="o" if len(epochs) < 30 else None, markersize=3.5)
            ends[name] = (epochs[-1], values[-1], color)
        ax.set(xlabel="epoch", title=key)
        _epochs(ax, epochs[-1])
        if key == "accuracy" and isinstance(reference, (int, float)):
            ax.axhline(reference, color=GREY, linestyle="--", linewidth=1)
            ends[f"{reference_name} {reference:.1%}"] = (epochs[-1], reference, GREY)
        elif key == "accuracy" and isinstance(reference, Sequence):
            ax.plot(range(1, len(reference) + 1), reference, color=GREY, linestyle="--", linewidth=1.3)
            ends[reference_name] = (epochs[-1], reference[-1], GREY)
        _name_ends(ax, ends)
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if mark_rate_cuts:
        for before, after in itertools.pairwise(history):
            if after["learning_rate"] < before["learning_rate"] * 0.99:
                left.axvline(after["epoch"], color=GREEN, linestyle=":", linewidth=1)
                top = left.get_ylim()[1]
                left.text(after["epoch"], top, "rate cut", color=GREEN, rotation=90, va="top", ha="right", fontsize=8)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def heat(pictures: Sequence[NDArray[Any]], maps: Mapping[str, Sequence[NDArray[Any]]], title: str) -> Figure:
    """A row a picture, a column a method: the picture, then each map over it, bright where the answer rests."""
    fig, axes = _figure(1.7 * (len(maps) + 1), 1.7 * len(pictures) + 0.5, len(maps) + 1, len(pictures))
    for row, picture in zip(np.atleast_2d(axes), range(len(pictures)), strict=True):
        for ax in row:
            ax.axis("off")
        row[0].imshow(pictures[picture])
        for ax, (name, found) in zip(row[1:], maps.items(), strict=True):
            ax.imshow(np.asarray(pictures[picture]).mean(axis=2), cmap="gray")
            ax.imshow(np.asarray(found[picture], "float32"), cmap="inferno", alpha=0.65, vmin=0, vmax=1)
            if picture == 0:
                ax.set_title(name, fontsize=9, loc="center")
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def reliability(diagrams: Mapping[str, Reliability], title: str) -> Figure:
    """How often right against how sure, a panel a network; bubbles grow with the number of images."""
    fig, axes = _figure(4.6 * len(diagrams), 4.4, columns=len(diagrams))
    for ax, (name, found) in zip(np.atleast_1d(axes), diagrams.items(), strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        ax.plot(found.confidence, found.accuracy, color=BLUE, linewidth=1)
        ax.scatter(
            found.confidence, found.accuracy, s=10 + 300 * found.count / found.count.sum(), color=BLUE, alpha=0.7
        )
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="how sure", ylabel="how often right", title=name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def plane(points: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str], title: str) -> Figure:
    """Points of several classes, each class named at its middle."""
    fig, ax = _figure(8, 6)
    palette = plt.get_cmap("tab10")
    for label, name in enumerate(names):
        own = points[labels == label]
        ax.scatter(own[:, 0], own[:, 1], s=9, color=palette(label % 10), alpha=0.6)
        middle = np.median(own, axis=0)
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
        ax.text(*middle, name, ha="center", va="center", fontsize=10, weight="bold", bbox=box)
    ax.set(xticks=[], yticks=[], title=title)
    return fig


def _heat(ax: Axes, matrix: NDArray[np.integer], names: Sequence[str], fontsize: int, **kwargs: Any) -> None:
    """A matrix of counts on an axis, each cell with its number."""
    import seaborn as sns

    sns.heatmap(
        matrix,
        annot=True,
        fmt="d",
        cbar=False,
        square=True,
        linewidths=0.5,
        xticklabels=names,
        yticklabels=names,
        annot_kws={"fontsize": fontsize},
        ax=ax,
        **{"cmap": "Blues", **kwargs},
    )
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)


@_styled
def confusion(matrix: NDArray[np.integer], class_names: Sequence[str], title: str) -> Figure:
    """A confusion matrix as a heat map; the diagonal is right."""
    side = 1.8 + 0.58 * len(class_names)
    fig, ax = _figure(side + 1, side)
    _heat(ax, matrix, class_names, 9)
    ax.set(xlabel="predicted", ylabel="true", title=title)
    return fig


@_styled
def beside(ours: NDArray[np.integer], theirs: NDArray[np.integer], class_names: Sequence[str], title: str) -> Figure:
    """Two confusion matrices and their difference: red where ours has more."""
    fig, axes = _figure(15.5, 5.4, columns=3)
    _heat(axes[0], ours, class_names, 7)
    _heat(axes[1], theirs, class_names, 7)
    most = np.abs(ours - theirs).max()
    _heat(axes[2], ours - theirs, class_names, 7, cmap="RdBu_r", vmin=-most, vmax=most)
    for ax, name in zip(axes, ("ours", "the source's", "ours minus theirs"), strict=True):
        ax.set(xlabel="predicted", ylabel="true" if name == "ours" else "", title=name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def pairs(names: Sequence[str], groups: Mapping[str, Sequence[float]], title: str, unit: str) -> Figure:
    """A row a name with one dot a group; a line joins the dots to zero."""
    fig, ax = _figure(9, 1.4 + 0.36 * len(names))
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


KINDS = {
    "Conv2D": ("convolution", BLUE),
    "Dense": ("dense", ORANGE),
    "MaxPooling2D": ("pooling", GREEN),
    "BatchNormalization": ("normalization", PURPLE),
    "LocalResponseNormalization": ("normalization", PURPLE),
}


@_styled
def diagram(model: keras.Sequential, title: str) -> Figure:
    """The network as boxes: height is the side of the map, width its channels (both by their roots)."""
    shown = [layer for layer in model.layers if type(layer).__name__ in KINDS]
    largest = max(layer.output.shape[1] for layer in shown if len(layer.output.shape) == 4)
    fig, ax = _figure(12, 3.4)
    ax.axis("off")
    left, seen = 0.0, {}
    for layer in shown:
        kind, color = KINDS[type(layer).__name__]
        shape = layer.output.shape[1:]
        side = shape[0] if len(shape) == 3 else 0
        width, height = 0.25 + np.sqrt(shape[-1]) / 20, 0.5 + 5.5 * np.sqrt(side / largest)
        ax.add_patch(Rectangle((left, -height / 2), width, height, color=color, linewidth=0))
        size = " × ".join(str(part) for part in shape)
        centre = left + width / 2
        ax.text(centre, -height / 2 - 0.25, layer.name, ha="right", va="top", fontsize=9, rotation=45)
        ax.text(centre, height / 2 + 0.25, size, ha="left", va="bottom", fontsize=8, rotation=45, color=GREY)
        left += width + 0.4
        seen[kind] = color
    for place, (kind, color) in enumerate(seen.items()):
        ax.text(left * (0.45 + 0.15 * place), 5.6, f"■ {kind}", color=color, fontsize=10)
    ax.set(xlim=(-0.8, left + 1.2), ylim=(-5, 6))
    fig.suptitle(f"{title} ({model.count_params():,} parameters in all)", x=0.01, ha="left", fontsize=12)
    return fig


@_styled
def effects(
    names: Sequence[str],
    means: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    title: str,
    references: Sequence[float | None] | None = None,
    unit: str = "accuracy",
) -> Figure:
    """One row a variant: mean with interval, and the source's figure as a mark."""
    fig, ax = _figure(9, 1.2 + 0.42 * len(names))
    places = np.arange(len(names))[::-1]
    spread = [np.subtract(means, lows), np.subtract(highs, means)]
    ax.errorbar(means, places, xerr=spread, fmt="o", color=BLUE, capsize=3, label="ours, 95 % interval")
    for place, reference in zip(places, references or [], strict=False):
        if reference is not None:
            ax.plot(reference, place, marker="|", color=RED, markersize=16, markeredgewidth=2.5)
    if references and any(reference is not None for reference in references):
        ax.plot([], [], marker="|", color=RED, linestyle="", markersize=12, markeredgewidth=2.5, label="source")
        ax.legend(loc="lower right", fontsize=9)
    ax.set_yticks(places, names)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel=unit, ylim=(-0.6, len(names) - 0.4), title=title)
    return fig


@_styled
def lines(series: Mapping[str, Sequence[float]], title: str, x: str, y: str, first: int = 1) -> Figure:
    """Several curves over their places, counted from `first`, each named at its end."""
    fig, ax = _figure(9, 4.8)
    ends = {}
    for number, (name, values) in enumerate(series.items()):
        color = SERIES[number % len(SERIES)]
        places = range(first, first + len(values))
        ax.plot(places, values, color=color, linestyle=["-", "--", ":"][number // len(SERIES) % 3])
        ends[name] = (places[-1], values[-1], color)
    longest = first + max(map(len, series.values())) - 1
    ax.set(xlabel=x, ylabel=y, title=title)
    _epochs(ax, longest, first)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _name_ends(ax, ends)
    return fig


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


@_styled
def scorecard(verdicts: Sequence[Verdict]) -> Figure:
    """Every claim on a line: the source's figure, our interval, the verdict."""
    counts = Counter(row.verdict for row in verdicts)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    title = f"{len(verdicts)} claims: {said}"
    fig, ax = _figure(11, 1.2 + 0.34 * len(verdicts))
    for place, row in zip(range(len(verdicts))[::-1], verdicts, strict=True):
        color = VERDICT_COLORS[row.verdict]
        if row.reported is not None:
            ax.plot(row.reported, place, marker="|", color="black", markersize=12, markeredgewidth=2)
        if row.measured is not None:
            ax.plot([row.low, row.high], [place, place], color=color, linewidth=3, alpha=0.6)
            ax.plot(row.measured, place, "o", color=color, markersize=5)
        budget = "" if row.verdict == "not run" else f" ({row.budget})"
        ax.text(1.02, place, row.verdict + budget, color=color, va="center", fontsize=9)
    ax.set_yticks(range(len(verdicts))[::-1], [f"{row.source}  {row.claim}" for row in verdicts], fontsize=9)
    ax.axvline(0, color="#bbbbbb", linewidth=0.8)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(
        xlim=(-0.2, 1.0), ylim=(-0.7, len(verdicts) - 0.3), xlabel="accuracy, or difference of accuracies", title=title
    )
    return fig

"""Confusion matrices, alone and beside a source's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexnet_tf.plots.style import figure, styled

READABLE = 40  # classes; names and numbers of more would be too small on any page


def _heat(ax: Axes, matrix: NDArray[np.integer], names: Sequence[str], fontsize: int, **kwargs: Any) -> None:
    """A matrix of counts on an axis, each cell with its number unless there are too many classes to read them."""
    import seaborn as sns

    readable = len(names) <= READABLE
    sns.heatmap(
        matrix,
        annot=readable,
        fmt="d",
        cbar=False,
        square=True,
        linewidths=0.5 if readable else 0,
        xticklabels=names if readable else False,
        yticklabels=names if readable else False,
        annot_kws={"fontsize": fontsize},
        ax=ax,
        **{"cmap": "Blues", **kwargs},
    )
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)


@styled
def confusion(matrix: NDArray[np.integer], class_names: Sequence[str], title: str) -> Figure:
    """A confusion matrix as a heat map; the diagonal is right."""
    side = 1.8 + 0.58 * min(len(class_names), READABLE)
    fig, ax = figure(side + 1, side)
    _heat(ax, matrix, class_names, 9)
    ax.set(xlabel="predicted", ylabel="true", title=title)
    return fig


@styled
def beside(ours: NDArray[np.integer], theirs: NDArray[np.integer], class_names: Sequence[str], title: str) -> Figure:
    """Two confusion matrices and their difference: red where ours has more."""
    fig, axes = figure(15.5, 5.4, columns=3)
    _heat(axes[0], ours, class_names, 7)
    _heat(axes[1], theirs, class_names, 7)
    most = np.abs(ours - theirs).max()
    _heat(axes[2], ours - theirs, class_names, 7, cmap="RdBu_r", vmin=-most, vmax=most)
    rates = [f"{matrix.trace() / matrix.sum():.1%} right" for matrix in (ours, theirs)]
    names = (f"ours: {rates[0]}", f"the source's: {rates[1]}", "ours minus theirs")
    for ax, name in zip(axes, names, strict=True):
        ax.set(xlabel="predicted", ylabel="true" if ax is axes[0] else "", title=name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def shares(
    tables: Mapping[str, NDArray[np.floating]], rows: Sequence[str], columns: Sequence[str], x: str, title: str
) -> Figure:
    """Tables of shares side by side, in percent and in the same colours, a panel a name."""
    import seaborn as sns

    fig, axes = figure(1.6 + 2.6 * len(tables), 1.6 + 0.36 * len(rows), columns=len(tables))
    least = min(table.min() for table in tables.values())
    for ax, (name, table) in zip(np.atleast_1d(axes), tables.items(), strict=True):
        first = ax is np.atleast_1d(axes)[0]
        sns.heatmap(
            100 * table,
            annot=True,
            fmt=".0f",
            cbar=False,
            cmap="viridis",
            vmin=100 * least,
            vmax=100,
            linewidths=0.5,
            xticklabels=columns,
            yticklabels=rows if first else False,
            annot_kws={"fontsize": 9},
            ax=ax,
        )
        ax.tick_params(axis="y", rotation=0)
        ax.set(xlabel=x, title=name)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig

"""Pictures in a grid, maps over pictures, a network as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from alexnet_tf.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, figure, styled

if TYPE_CHECKING:
    import keras


KINDS = {
    "Conv2D": ("convolution", BLUE),
    "GroupedConv2D": ("convolution", BLUE),
    "StridedConv2D": ("convolution", BLUE),
    "Dense": ("dense", ORANGE),
    "MaxPooling2D": ("pooling", GREEN),
    "BatchNormalization": ("normalization", PURPLE),
    "LocalResponseNormalization": ("normalization", PURPLE),
}


@styled
def images(pictures: Sequence[NDArray[Any]], titles: Sequence[str], title: str = "", columns: int = 8) -> Figure:
    """Pictures in a grid, each with its name above; small ones are shown pixel by pixel."""
    rows = -(-len(pictures) // columns)
    fig, axes = figure(1.35 * columns, 1.6 * rows + 0.3, columns, rows)
    flat = np.atleast_1d(axes).ravel()
    for ax in flat:
        ax.axis("off")
    for ax, picture, name in zip(flat, pictures, titles, strict=False):
        ax.imshow(picture, interpolation="nearest" if len(picture) < 100 else "antialiased")
        ax.set_title(name, fontsize=9, loc="center")
    fig.suptitle(title, x=0.01, ha="left", fontsize=12)
    return fig


@styled
def heat(pictures: Sequence[NDArray[Any]], maps: Mapping[str, Sequence[NDArray[Any]]], title: str) -> Figure:
    """A row a picture, a column a method: the picture, then each map over it, bright where the answer rests."""
    fig, axes = figure(1.7 * (len(maps) + 1), 1.7 * len(pictures) + 0.5, len(maps) + 1, len(pictures))
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


@styled
def diagram(model: keras.Sequential, title: str) -> Figure:
    """The network as boxes: height is the side of the map, width its channels (both by their roots)."""
    shown = [layer for layer in model.layers if type(layer).__name__ in KINDS]
    largest = max(layer.output.shape[1] for layer in shown if len(layer.output.shape) == 4)
    fig, ax = figure(12, 3.4)
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

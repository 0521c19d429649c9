"""The README's pictures, drawn from the committed runs: ``make pictures``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from matplotlib.figure import Figure

from alexnet_tf import models, plots, printed, runs, verdicts
from alexnet_tf.commands.told import told


def source_b() -> Figure:
    """Source B's printed curve between two trainings of its code."""
    names = {"today": "cifar10-bn64/paper/0", "TensorFlow 1.15 to 2.4": "cifar10-bn64-tf24/paper/0"}
    series = {name: [row["val_accuracy"] for row in runs.find(place).history] for name, place in names.items()}
    series["source B"] = [row[3] for row in printed.SOURCE_B_LOG]
    return plots.lines(
        series, "Test accuracy of source B's code under two versions of one function", "epoch", "test accuracy"
    )


def in_words(rows: Iterable[verdicts.Verdict]) -> str:
    """What the picture of the scorecard shows of runs, kept within its file: whoever changes one must draw it anew."""

    def short(figure: float | None) -> str:
        return "–" if figure is None else f"{figure:.4f}"

    return "\n".join(
        f"{row.claim}: {row.verdict}, {short(row.measured)}, {short(row.low)} to {short(row.high)}"
        for row in rows
        if row.verdict != "not run"
    )


def main() -> None:
    """Draw all of them into reports/."""
    folder, rows = runs.home() / "reports", verdicts.scorecard(runs.store_for("paper"))
    drawn = {
        "alexnet": (plots.diagram(models.build("alexnet-lrn"), "AlexNet as source A builds it"), 90, ""),
        "scorecard": (plots.scorecard(rows), 80, in_words(rows)),
        "source-b": (source_b(), 80, ""),
    }
    for name, (figure, dpi, words) in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=dpi, metadata={"Description": words} if words else None)


if __name__ == "__main__":
    sys.exit(told(main))

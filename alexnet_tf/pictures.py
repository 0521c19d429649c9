"""The README's pictures, drawn from the committed runs: ``make pictures``."""

from __future__ import annotations

from matplotlib.figure import Figure

from alexnet_tf import models, plots, printed, runs, verdicts


def source_b() -> Figure:
    """Source B's printed curve between two trainings of its code."""
    names = {"today": "cifar10-bn64/paper/0", "TensorFlow 1.15 to 2.4": "cifar10-bn64-tf24/paper/0"}
    series = {name: [row["val_accuracy"] for row in runs.find(place).history] for name, place in names.items()}
    series["source B"] = [row[3] for row in printed.SOURCE_B_LOG]
    return plots.lines(
        series, "Test accuracy of source B's code under two versions of one function", "epoch", "test accuracy"
    )


def main() -> None:
    """Draw all of them into reports/."""
    folder = runs.home() / "reports"
    drawn = {
        "alexnet": (plots.diagram(models.build("alexnet-lrn"), "AlexNet as source A builds it"), 90),
        "scorecard": (plots.scorecard(verdicts.scorecard()), 80),
        "source-b": (source_b(), 80),
    }
    for name, (figure, dpi) in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=dpi)


if __name__ == "__main__":
    main()

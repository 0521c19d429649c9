"""Figures are drawn from arrays, say what they found, and leave the reader's settings alone."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from alexnet_tf import models, plots, trust
from alexnet_tf.intervals import Interval
from alexnet_tf.verdicts import Verdict

HISTORY = [
    {
        "epoch": i + 1,
        "loss": 2 - i / 5,
        "accuracy": i / 5,
        "val_loss": 2.0,
        "val_accuracy": i / 6,
        "learning_rate": rate,
    }
    for i, rate in enumerate([0.1, 0.1, 0.01, 0.01])
]


def texts(figure):
    figure.canvas.draw()
    found = [text.get_text() for ax in figure.axes for text in ax.texts]
    return found + [ax.get_title(loc) for ax in figure.axes for loc in ("left", "center")]


@pytest.mark.parametrize("reference", [None, 0.7, [0.1, 0.5, 0.6, 0.7, 0.75]])
def test_curves_show_the_source(reference):
    figure = plots.curves(HISTORY, "what was found", "test", reference, "source B", mark_rate_cuts=True)
    found = texts(figure)
    assert figure.get_suptitle() == "what was found"
    assert any("source B" in text for text in found) == (reference is not None)
    assert found.count("rate cut") == 1


def test_names_at_the_ends_do_not_overlap():
    figure = plots.lines({name: [0.1, 0.5 + i / 1000] for i, name in enumerate("abcdef")}, "t", "epoch", "accuracy")
    figure.canvas.draw()
    boxes = sorted((Text.get_window_extent(text) for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 6
    assert all(below.y0 + 0.6 * below.height < above.y0 for below, above in itertools.pairwise(boxes))


@pytest.mark.parametrize("name", ["alexnet-lrn", "alexnet-2012", "bn64", "lab3"])
def test_the_diagram_shows_every_layer_with_weights(name):
    network = models.build(name, classes=10, width=0.1, dense_units=8)
    found = texts(plots.diagram(network, "title"))
    assert {layer.name for layer in network.layers if layer.name.startswith(("conv", "fc"))} <= set(found)


def test_the_diagram_needs_no_graphviz():
    network = models.build("bn64", width=0.1, dense_units=8)
    found = texts(plots.diagram(network, "title"))
    assert {"conv1", "fc8", "14 × 14 × 13"} <= set(found)


def test_the_other_figures_are_drawn():
    plots.images([np.zeros((4, 4, 3))] * 3, list("abc"), "three", columns=2)
    plots.confusion(np.eye(3, dtype=int), list("abc"), "right")
    difference = plots.beside(np.eye(2, dtype=int) * 5, np.eye(2, dtype=int) * 3, list("ab"), "two").axes[2]
    assert [text.get_text() for text in difference.texts] == ["2", "0", "0", "2"]
    assert plots.pairs(["a", "b"], {"x": [1, -2], "y": [0, 3]}, "t", "points").axes[0].get_legend() is not None
    plots.effects(["a", "b"], [0.5, 0.6], [0.4, 0.5], [0.6, 0.7], "t", [0.55, None])
    gains = plots.effects(["a"], [0.01], [-0.005], [0.025], "t", unit="gain", difference=True).axes[0]
    assert (gains.get_xlabel(), gains.xaxis.get_major_formatter()(-0.005, 0)) == ("gain, points", "−0.5")
    rows = [
        Verdict("x", "A", 0.7, 0.71, 0.7, 0.72, 3, "paper", "reproduced", ""),
        Verdict("y", "A", None, None, None, None, None, "paper", "not run", ""),
    ]
    assert "reproduced (paper)" in texts(plots.scorecard(rows))
    rows.append(Verdict("lab-bce/against-base", "C", 0.1, 0.02, -0.03, 0.07, 3, "laptop", "inconclusive", ""))
    levels, differences = plots.scorecard(rows).axes
    assert (levels.get_xlabel(), differences.get_xlabel()) == ("accuracy", "difference of accuracies, points")
    assert [label.get_text() for label in differences.get_yticklabels()] == ["C  lab-bce/against-base"]


def test_shares_are_shown_in_percent_and_in_the_same_colours():
    figure = plots.shares({"a": np.array([[0.5, 0.25]]), "b": np.array([[1.0, 0.75]])}, ["blur"], ["1", "2"], "x", "t")
    first, second = figure.axes
    assert [text.get_text() for ax in (first, second) for text in ax.texts] == ["50", "25", "100", "75"]
    assert first.collections[0].get_clim() == second.collections[0].get_clim() == (25, 100)


def test_thresholds_name_each_class_with_its_areas():
    rows = trust.by_class(np.log([[0.8, 0.2], [0.4, 0.6], [0.6, 0.4]]), np.array([0, 1, 1]))
    figure = plots.thresholds({"cat": rows[0], "dog": rows[1]}, "t")
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert labels == ["cat 1.000, 1.000", "dog 1.000, 1.000"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), rows[0].found)


def test_the_readers_style_is_left_alone():
    before = dict(plt.rcParams)
    plots.images([np.zeros((4, 4, 3))], ["a"])
    assert dict(plt.rcParams) == before


def test_the_readmes_curve_is_the_committed_runs():
    from alexnet_tf import pictures, printed, runs

    drawn = {tuple(np.round(line.get_ydata(), 4)) for line in pictures.source_b().axes[0].lines}
    assert tuple(row[3] for row in printed.SOURCE_B_LOG) in drawn
    ours = runs.find("cifar10-bn64-tf24/paper/0").history
    assert tuple(np.round([row["val_accuracy"] for row in ours], 4)) in drawn


@pytest.mark.parametrize("name", ["$a$", "$\\nonsense{$", "<b>a</b>", "a\nb", "\U0001f337"])
@pytest.mark.filterwarnings("ignore:Glyph")  # fonts lack flowers
def test_any_folder_may_name_a_class(name):
    drawn = plots.confusion(np.eye(2, dtype=int), [name, "b"], title=name)
    drawn.canvas.draw()
    assert drawn.axes[0].get_xticklabels()[0].get_text() == name


def test_curves_that_end_in_no_number_are_drawn_without_a_name():
    rows = [{"epoch": e, "loss": 1.0, "accuracy": 0.5, "val_loss": np.nan, "val_accuracy": 0.4} for e in (1, 2)]
    left, right = plots.curves(rows, "x").axes
    assert [text.get_text() for text in left.texts] == ["training"]
    assert {text.get_text() for text in right.texts} == {"training", "test"}


def test_a_matrix_of_many_classes_stays_a_page():
    names = [f"class {number}" for number in range(300)]
    fig = plots.confusion(np.eye(300, dtype=int), names, "x")
    assert max(fig.get_size_inches()) < 30
    assert not fig.axes[0].texts


def test_curves_against_time_end_with_their_names():
    figure = plots.against_time({"one": ([10, 20], [0.5, 0.6]), "two": ([1, 300], [0.4, 0.9])}, "x", {"level": 0.6})
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    assert {text.get_text() for text in ax.texts} == {"one", "two", "level"}
    sprint = plots.against_time({"sprint": ([53], [0.8]), "long": ([1, 2], [0.1, 0.2])}, "x").axes[0]
    assert [line.get_marker() for line in sprint.lines] == ["o", "None"]  # a single epoch draws no line


def test_growth_ticks_what_was_measured_and_what_was_promised():
    measured = {size: Interval(rate, rate - 0.1, rate + 0.1, 1) for size, rate in ((20, 0.4), (80, 0.6))}
    figure = plots.growth({"one": measured}, "grows", {160: Interval(0.7, 0.6, 0.8, 1)})
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["20", "80", "160"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["promised", "one"]

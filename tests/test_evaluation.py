"""Figures against numbers worked out by hand."""

import numpy as np
import pytest

from alexnet_tf import evaluation
from alexnet_tf.errors import LabError

LABELS = np.array([0, 0, 1, 1, 2, 2])
LOGITS = np.eye(3)[[0, 1, 1, 1, 2, 0]] * 4.0


def test_accuracy_confusion_and_mistakes():
    assert evaluation.accuracy(LABELS, LOGITS) == pytest.approx(4 / 6)
    matrix = evaluation.confusion(LABELS, LOGITS.argmax(axis=1), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    found = evaluation.most_confused(matrix, "abc", 2)
    assert {pair[:2] for pair in found} == {("a", "b"), ("c", "a")}


def test_mean_recall_equals_accuracy_on_a_balanced_set():
    matrix = evaluation.confusion(LABELS, LOGITS.argmax(axis=1), 3)
    assert (matrix.diagonal() / matrix.sum(axis=1)).mean() == pytest.approx(evaluation.accuracy(LABELS, LOGITS))


def test_scores_come_from_the_matrix_alone():
    found = evaluation.scores(np.array([[3, 1], [2, 4]]))
    np.testing.assert_allclose(found[0], [3 / 5, 3 / 4, 2 * 3 / (5 + 4)])
    np.testing.assert_allclose(found[1], [4 / 5, 4 / 6, 2 * 4 / (5 + 6)])


def test_probabilities_by_hand():
    np.testing.assert_allclose(evaluation.probabilities(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])
    np.testing.assert_allclose(evaluation.probabilities(np.array([[0.0, np.log(3)]]), "bce"), [[0.5, 0.75]])


def test_the_report_names_a_class_without_answers():
    text = evaluation.report(LABELS, np.zeros(6, int), ["a", "b", "c"])
    assert text.count("0.00") >= 4


def test_intervals_are_the_textbooks():
    found = evaluation.binomial_interval(282, 364)  # Wilson: source A's own figure
    assert (found.low, found.high) == (pytest.approx(0.729, abs=1e-3), pytest.approx(0.815, abs=1e-3))
    seeds = evaluation.mean_interval([0.70, 0.72, 0.74])
    assert seeds.mean == pytest.approx(0.72)
    assert seeds.high - seeds.mean == pytest.approx(4.3027 * 0.02 / np.sqrt(3), rel=1e-4)
    assert str(seeds).endswith("(n = 3)")
    assert str(found).endswith("(single run)")
    with pytest.raises(ValueError, match="received 1"):
        evaluation.mean_interval([0.5])


def test_one_seed_pairs_over_images_and_several_over_seeds(make_run):
    better, worse = [True] * 80 + [False] * 20, [True] * 60 + [False] * 40
    one = evaluation.paired_difference([make_run("lab-bce", better)], [make_run("lab-base", worse)])
    gain = np.repeat([0, 1, 0], [60, 20, 20])
    assert one.mean == pytest.approx(0.2)
    assert one.high - one.mean == pytest.approx(1.96 * gain.std(ddof=1) / 10, rel=1e-3)
    ours = [make_run("lab-4conv", np.arange(100) < right, seed=s) for s, right in enumerate([90, 60, 30])]
    theirs = [make_run("lab-3conv", np.arange(100) < right, seed=s) for s, right in enumerate([80, 50, 22])]
    found = evaluation.paired_difference(ours, theirs[::-1])
    assert (found.n, found.mean) == (3, pytest.approx(np.mean([0.10, 0.10, 0.08])))
    assert found.high - found.low < 0.1  # the levels spread over 0.6; the pairs do not
    with pytest.raises(ValueError, match="share no seed"):
        evaluation.paired_difference(ours[:1], theirs[1:])


def test_an_interaction_is_a_contrast_of_four(make_run):
    right = {"lab-base": 70, "lab-3conv": 72, "lab-bce": 75, "lab-best": 80}
    found = {name: [make_run(name, np.arange(100) < count)] for name, count in right.items()}
    signs = {"lab-best": 1, "lab-bce": -1, "lab-3conv": -1, "lab-base": 1}
    assert evaluation.contrast([(found[name], sign) for name, sign in signs.items()]).mean == pytest.approx(0.03)


def test_runs_on_different_images_are_not_paired(make_run):
    with pytest.raises(LabError, match="different images"):
        evaluation.paired_difference([make_run("lab-bce", [True] * 3)], [make_run("lab-base", [True] * 2)])


def test_how_many_seeds_would_decide():
    """A spread of 0.0161 between seeds, by Student's t: the half-width must fall below the goal."""
    wide = evaluation.Interval(0.01, -0.03, 0.05, 3)  # goal: leave zero, 0.01
    near = evaluation.Interval(0.005, -0.035, 0.045, 3)  # goal: leave zero or fit into the margin, 0.005
    assert evaluation.seeds_to_decide(wide, 0.01) == 13
    assert evaluation.seeds_to_decide(near, 0.01) == 43
    none = evaluation.Interval(0.0, -0.04, 0.04, 3)  # goal: fit into the margin, 0.01
    assert evaluation.seeds_to_decide(none, 0.01) == 13
    assert evaluation.seeds_to_decide(evaluation.Interval(0.01, 0, 0.02, 1), 0.01) is None

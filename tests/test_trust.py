"""Calibration, abstaining and strangers on numbers worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_tf import evaluation, trust


def overconfident(n=4000, share=0.8, sure=0.99):
    """Two classes; the network says `sure` each time and is right in `share` of the cases."""
    labels = np.arange(n) % 2
    right = np.random.default_rng(0).random(n) < share
    answers = np.where(right, labels, 1 - labels)
    return np.eye(2)[answers] * np.log(sure / (1 - sure)), labels, right.mean()


def test_the_calibration_error_is_the_gap_between_sure_and_right():
    logits, labels, right = overconfident()
    found = trust.reliability(logits, labels)
    assert found.error == pytest.approx(0.99 - right)
    gain = trust.calibration_gain(logits, labels, trust.fitted_temperature(logits, labels))
    as_sure, as_right = (
        -(right * np.log(0.99) + (1 - right) * np.log(0.01)),
        -(right * np.log(right) + (1 - right) * np.log(1 - right)),
    )
    assert gain.mean == pytest.approx(as_sure - as_right, rel=1e-3)
    assert 0 < gain.low < gain.mean < gain.high
    nothing = trust.calibration_gain(logits, labels, 1.0)
    assert (nothing.low, nothing.mean, nothing.high) == (0, 0, 0)


def test_the_errors_interval_covers_the_truth_and_luck_is_told():
    """A hundred networks whose calibration is known: sure by 0.99 or 0.8, right in 0.8."""
    covered, above_luck = {0.99: 0, 0.8: 0}, {0.99: 0, 0.8: 0}
    for sure in covered:
        for draw in range(100):
            right = np.random.default_rng(draw).random(500) < 0.8
            labels = np.arange(500) % 2
            logits = np.eye(2)[np.where(right, labels, 1 - labels)] * np.log(sure / (1 - sure))
            found, luck = trust.calibration_error(logits, labels, draws=100)
            covered[sure] += found.low <= sure - 0.8 + 1e-9 <= found.high
            above_luck[sure] += found.mean > luck
    assert covered[0.99] >= 88
    assert above_luck[0.99] == 100
    assert above_luck[0.8] <= 12  # five are meant
    assert covered[0.8] >= 60  # an error can't be below its true zero: the interval reaches it only by luck


def test_one_bin_by_hand():
    logits = np.log([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]])
    found = trust.reliability(logits, np.array([0, 1, 0]), bins=2)
    assert found.count.tolist() == [3]
    assert found.error == pytest.approx(abs((0.6 + 0.7 + 0.9) / 3 - 2 / 3))


def test_temperature_mends_overconfidence_and_changes_no_answer():
    logits, labels, right = overconfident()
    temperature = trust.fitted_temperature(logits, labels)
    assert temperature == pytest.approx(np.log(99) / np.log(right / (1 - right)), rel=1e-2)
    assert trust.reliability(logits, labels, temperature).error < 0.01
    assert (np.argmax(logits / temperature, axis=1) == np.argmax(logits, axis=1)).all()


def test_selective_prediction_by_hand():
    logits = np.array([[3.0, 0], [2, 0], [1, 0]])
    coverage, accuracy = trust.selective(logits, np.array([0, 1, 0]))
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(accuracy, [1, 1 / 2, 2 / 3])


def test_strangers_are_told_apart_by_rank():
    assert trust.told_apart(np.array([3.0, 4]), np.array([1.0, 2])).mean == 1
    assert trust.told_apart(np.array([1.0, 4]), np.array([2.0, 3])).mean == 0.5
    logits = np.array([[0.0, np.log(3)]])
    assert trust.familiarity(logits, "confidence")[0] == pytest.approx(0.75)
    assert trust.familiarity(logits, "energy")[0] == pytest.approx(np.log(4))
    assert trust.familiarity(logits, "largest logit")[0] == pytest.approx(np.log(3))


def test_classes_against_all_others():
    logits = np.log([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3]])
    labels = np.array([0, 1, 2, 2])
    found = trust.by_class(logits, labels)
    assert [row.area for row in found] == [1, 1, 1]
    assert [row.average_precision for row in found] == [1, 1, 1]
    first, _, third = trust.by_class(logits[:, [1, 0, 2]], labels)  # the first two columns taken for each other
    assert (first.area, third.area) == (0, 1)
    assert first.average_precision == pytest.approx(1 / 4)  # found last of four
    assert (first.false_alarms[0], first.found[-1]) == (0, 1)
    assert (first.recall[0], first.precision[-1]) == (1, 1)


@given(st.integers(0, 1000), st.integers(1, 80), st.integers(2, 6), st.floats(0.01, 30), st.integers(1, 20))
def test_calibration_and_abstaining_keep_their_identities(draw, images, classes, spread, bins):
    rng = np.random.default_rng(draw)
    logits, labels = rng.normal(0, spread, (images, classes)), rng.integers(0, classes, images)
    found, right = trust.reliability(logits, labels, bins=bins), evaluation.accuracy(labels, logits)
    assert found.count.sum() == images
    assert found.accuracy @ found.count == pytest.approx(right * images)
    assert abs(found.confidence @ found.count / images - right) - 1e-9 <= found.error <= 1
    one = trust.reliability(logits, labels, bins=1)
    assert one.error <= found.error + 1e-9  # finer bins hide nothing
    coverage, accuracy = trust.selective(logits, labels)
    assert (coverage[-1], accuracy[-1]) == (1, pytest.approx(right))
    assert (np.diff(coverage) > 0).all()


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20).map(np.array),
    st.lists(st.integers(0, 9), min_size=1, max_size=20).map(np.array),
)
def test_the_area_is_the_share_of_pairs_in_order(known, strange):
    above, even = (known[:, None] > strange).mean(), (known[:, None] == strange).mean()
    found, turned = trust.told_apart(known, strange), trust.told_apart(strange, known)
    assert found.mean == pytest.approx(above + even / 2)
    assert found.mean + turned.mean == pytest.approx(1)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_the_areas_interval_covers_the_truth():
    """Two normal crowds a deviation apart: one of the first lies above one of the second in 76 % of pairs."""
    truth, covered = 0.7602, 0
    for draw in range(200):
        rng = np.random.default_rng(draw)
        found = trust.told_apart(rng.normal(1, 1, 80), rng.normal(0, 1, 50))
        covered += found.low <= truth <= found.high
    assert 180 <= covered <= 199

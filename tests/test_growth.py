"""The curve of accuracy against training images."""

import numpy as np
import pytest

from alexnet_tf import growth


def answers(rates, tested=2000, seed=0):
    """Rows of right and wrong: an image that a worse network gets, a better one gets too."""
    hardness = np.random.default_rng(seed).random(tested)
    return np.array([hardness < rate for rate in rates])


def test_a_power_law_is_found_again_and_foretells():
    images = [100, 200, 400, 800]
    law = growth.power_law(images, answers([1 - 2.0 * n**-0.4 for n in images], 20_000))
    expected = 1 - 2.0 * 1600**-0.4
    found = law.accuracy(1600)
    assert found.mean == pytest.approx(expected, abs=0.01)
    assert found.low < expected < found.high
    assert law.slopes[0] == pytest.approx(-0.4, abs=0.03)


def test_fewer_test_images_know_less_and_perfect_networks_do_not_break_it():
    images, rates = [100, 200, 400], [0.6, 0.7, 0.78]
    spans = []
    for tested in 100, 10_000:
        found = growth.power_law(images, answers(rates, tested)).accuracy(800)
        spans.append(found.high - found.low)
    assert spans[0] > 3 * spans[1]
    assert 0.9 < growth.power_law(images, answers([1, 1, 1], 50)).accuracy(800).mean <= 1


def test_two_points_are_no_curve():
    with pytest.raises(ValueError, match="three sizes or more"):
        growth.power_law([1, 2], answers([0.5, 0.6]))

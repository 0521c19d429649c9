"""The embedded dataset is deterministic, balanced, and no easy prey for a linear model."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from alexnet_tf import datasets, paintbox

KITS = {"objects": (paintbox.OBJECTS, 10), "flowers": (paintbox.FLOWERS, 5)}


@pytest.mark.parametrize("kit", KITS)
def test_same_seed_same_pixels(kit):
    (first, labels), (second, _) = (paintbox.draw(KITS[kit][0], 40, 32, seed=5) for _ in range(2))
    other, _ = paintbox.draw(KITS[kit][0], 40, 32, seed=6)
    assert first.dtype == np.uint8
    assert first.shape == (40, 32, 32, 3)
    np.testing.assert_array_equal(first, second)
    assert (first != other).mean() > 0.5
    assert set(np.bincount(labels)) == {40 // KITS[kit][1]}


def test_flowers_can_be_drawn_at_224():
    images, _ = paintbox.draw(paintbox.FLOWERS, 5, 224, seed=0)
    assert images.shape == (5, 224, 224, 3)


@pytest.mark.parametrize("kit", KITS)
def test_every_drawing_stands_out_from_its_ground(kit):
    """A class without visible strokes (a polygon turned inside out, say) would look like its ground."""
    kit_ = KITS[kit][0]
    for name in kit_.classes:
        rng = np.random.default_rng(0)
        drawn = paintbox._paint(kit_, name, 20, 48, rng)
        empty = paintbox._paint(
            paintbox.Kit({name: []}, kit_.colors, kit_.grounds), name, 20, 48, np.random.default_rng(0)
        )
        covered = (np.abs(drawn.astype(int) - empty).max(axis=-1) > 60).mean()
        assert 0.05 < covered < 0.7, name


def test_a_polygon_does_not_depend_on_the_order_of_its_corners():
    u, v = np.meshgrid(np.linspace(-1, 1, 9, dtype="float32"), np.linspace(-1, 1, 9, dtype="float32"))
    corners = [(0.0, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    np.testing.assert_allclose(paintbox.polygon(*corners)(u, v), paintbox.polygon(*corners[::-1])(u, v), atol=1e-6)
    assert paintbox.polygon(*corners)(np.zeros(1), np.zeros(1)) < 0


def test_a_linear_model_fails_on_the_objects():
    splits = datasets.load("paintbox", train_images=1000)
    flat = [part.images.reshape(len(part), -1) / 255 - 0.5 for part in (splits.train, splits.test)]
    linear = LogisticRegression(C=0.001, max_iter=100).fit(flat[0], splits.train.labels)
    assert linear.score(flat[1], splits.test.labels) < 0.35

"""Corruptions are the same for the same image, grow with severity, and leave the original alone."""

import numpy as np
import pytest
import tensorflow as tf

from alexnet_tf import corruptions, paintbox
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.splits import Split

PIXELS, _ = paintbox.draw(paintbox.OBJECTS, 10, 32, seed=0)
PLACES = np.arange(10)


def spoil(kind, severity, places=PLACES):
    return np.asarray(corruptions.corrupt(tf.constant(PIXELS[places], tf.float32), tf.constant(places), kind, severity))


@pytest.mark.parametrize("kind", corruptions.CORRUPTIONS)
def test_each_severity_spoils_more_and_stays_a_picture(kind):
    distances = []
    for severity in corruptions.SEVERITIES:
        found = spoil(kind, severity)
        assert found.shape == PIXELS.shape
        assert found.min() >= 0
        assert found.max() <= 255
        distances.append(np.abs(found - PIXELS).mean())
    assert distances[0] > 0.5
    assert distances == sorted(distances)


@pytest.mark.parametrize("kind", corruptions.CORRUPTIONS)
def test_an_image_is_spoilt_alike_in_any_batch_and_pipeline(kind):
    whole, part = spoil(kind, 3), spoil(kind, 3, np.array([4, 1]))
    np.testing.assert_allclose(part, whole[[4, 1]], atol=1e-3)
    split = Split(PLACES.astype("int32"), PLACES, PIXELS)
    streamed = corruptions.Spoilt(split)._one(kind, 3)
    np.testing.assert_allclose(streamed, np.round(whole), atol=1)


@pytest.mark.parametrize("kind", ["noise", "fog"])
def test_what_is_random_is_each_images_own(kind):
    one, other = np.asarray(corruptions.corrupt(tf.fill([2, 32, 32, 3], 128.0), tf.constant([0, 1]), kind, 3))
    assert np.abs(one - other).max() > 1


def test_by_hand():
    np.testing.assert_allclose(spoil("brightness", 2), np.minimum(PIXELS + 30.0, 255))
    grey = PIXELS.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(spoil("contrast", 2), grey + 0.5 * (PIXELS - grey), atol=1e-3)
    noise = spoil("noise", 1) - PIXELS
    inside = (PIXELS > 60) & (PIXELS < 195)
    assert noise[inside].std() == pytest.approx(8, rel=0.05)
    np.testing.assert_allclose(spoil("shift", 3)[:, 10, 10], PIXELS[:, 6:8, 6:8].mean(axis=(1, 2)), atol=60)


def test_wrong_names_are_told():
    with pytest.raises(UsageError, match="did you mean 'noise'"):
        spoil("noize", 1)
    with pytest.raises(LabError, match="from 1 to 5; received 6"):
        spoil("noise", 6)
    with pytest.raises(LabError, match="in memory"):
        _ = corruptions.Spoilt(Split(np.arange(1), np.arange(1), files=("x.png",))).images


def test_a_picture_turns_about_its_middle():
    image = np.zeros((1, 9, 9, 3), "float32")
    image[0, 4, 4] = 255
    found = np.asarray(corruptions.corrupt(tf.constant(image), tf.constant([0]), "rotation", 5))
    assert np.unravel_index(found[0, ..., 0].argmax(), (9, 9)) == (4, 4)

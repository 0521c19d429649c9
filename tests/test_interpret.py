"""Maps on a network whose reason is known, and the two tests that a map must pass."""

import numpy as np
import pytest

from alexnet_tf import interpret, models, paintbox, predict
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.models import transfer
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras


@pytest.fixture(scope="module")
def lit():
    """Four pictures with a bright top left corner, and the answer of a network that looks there alone."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 100, (4, 32, 32, 3), dtype="uint8")
    pictures[:, :8, :8] = random.integers(200, 255, (4, 8, 8, 3))
    return interpret.spotlight(), pictures, np.ones(4, int)


@pytest.fixture(scope="module")
def small():
    """A small AlexNet as a run saves it, untrained."""
    network = models.build("bn64", 64, 3, seed=1, width=0.05, dense_units=8)
    image = keras.Input((None, None, 3), dtype="uint8")
    head = keras.layers.Activation("softmax")
    return keras.Sequential([image, Preprocess(64, "per_image", False), network, head])


def test_the_spotlight_sees_its_corner_only(lit):
    model, pictures, classes = lit
    dark = pictures.copy()
    dark[:, :8, :8] = 0
    elsewhere = pictures.copy()
    elsewhere[:, 8:] = 0
    whole = interpret.beliefs(model, pictures, classes)
    assert (whole > 0.6).all()
    assert (interpret.beliefs(model, dark, classes) < 0.1).all()
    np.testing.assert_allclose(interpret.beliefs(model, elsewhere, classes), whole, atol=1e-6)


@pytest.mark.parametrize("name", ["integrated gradients", "unsigned gradients", "occlusion", "SHAP"])
def test_a_known_reason_is_found(lit, name):
    found = interpret.METHODS[name](*lit)
    assert found.shape == (4, 32, 32)
    assert 0 <= found.min() <= found.max() == 1
    assert (found[:, :8, :8].sum(axis=(1, 2)) > 0.7 * found.sum(axis=(1, 2))).all()  # a sixteenth of the picture


@pytest.mark.parametrize("name", ["Grad-CAM", "integrated gradients", "occlusion"])
def test_maps_lie_where_their_pixels_do_when_only_the_middle_is_seen(name):
    _, network = transfer.parts(interpret.spotlight())
    image = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Sequential([image, Preprocess(32, crop_from=40), network, keras.layers.Activation("softmax")])
    pictures = np.zeros((1, 40, 40, 3), "uint8")
    pictures[:, 4:12, 4:12] = 250  # the corner of the middle
    found = interpret.METHODS[name](model, pictures, np.ones(1, int))
    assert found.shape == (1, 40, 40)
    assert found[0, 4:12, 4:12].sum() > 0.5 * found.sum()
    rows, columns = (np.average(np.arange(40), weights=found[0].sum(axis=axis)) for axis in (1, 0))
    assert (rows, columns) == (pytest.approx(7.5, abs=2), pytest.approx(7.5, abs=2))


def test_gradcam_counts_nothing_that_an_activation_of_its_own_lets_not_through():
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(1, 1, name="conv1"),
            keras.layers.ReLU(name="act1"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="fc2"),
        ]
    )
    sides = np.where(np.arange(8) < 4, -1.0, 0.5)  # what is let through counts against the class
    weights = np.stack([np.zeros(64), np.tile(sides, 8)], axis=1)
    network.set_weights([np.full((1, 1, 3, 1), 1.0), np.full(1, -1.5), weights, np.zeros(2)])
    image = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Sequential([image, Preprocess(8), network, keras.layers.Activation("softmax")])
    picture = np.full((1, 8, 8, 3), 200, "uint8")
    picture[:, :, 4:] = 10  # dark: below zero, and dead
    found = interpret.gradcam(model, picture, np.ones(1, int), "conv1")
    assert found[0, :, 4:].max() == 0
    with pytest.raises(UsageError, match="fc2 has no maps to look at: take one of conv1"):
        interpret.gradcam(model, picture, np.ones(1, int), "fc2")


@pytest.mark.parametrize("name", interpret.METHODS)
def test_nothing_to_explain_gives_zeros_not_nan(lit, name):
    flat = np.stack([np.full((32, 32, 3), level, "uint8") for level in (0, 1, 120, 128, 200, 255)])
    found = interpret.METHODS[name](lit[0], flat, np.ones(len(flat), int))
    if name == "Grad-CAM":  # compares with no other picture
        found = found[:1]
    np.testing.assert_array_equal(found, 0)


def test_gradcam_is_the_papers_formula(small):
    pictures = np.random.default_rng(1).integers(0, 255, (2, 32, 32, 3), dtype="uint8")
    _, network = transfer.parts(small)
    maps = np.asarray(interpret.activations(small, pictures, ["conv2"])["conv2"])
    found = interpret.gradcam(small, pictures, np.array([2, 0]), "conv2")
    place = [layer.name for layer in network.layers].index("conv2") + 1

    def logit(values):
        return np.asarray(interpret._through(network.layers[place:], values))[[0, 1], [2, 0]]

    slopes = np.zeros((2, maps.shape[-1]))
    for channel in range(maps.shape[-1]):  # the mean slope of a map is the answer to raising all of it a little
        raised = maps.copy()
        raised[..., channel] += 1e-2
        slopes[:, channel] = (logit(raised) - logit(maps)) / 1e-2
    expected = np.maximum((maps * slopes[:, None, None]).sum(axis=-1), 0)
    small_found = found[:, 2::5, 2::5]
    for ours, theirs in zip(small_found, expected, strict=True):
        if theirs.max() > 0:
            assert (
                np.corrcoef(ours.ravel()[:36], interpret._enlarged(theirs[None], 32, 1.0)[0, 2::5, 2::5].ravel()[:36])[
                    0, 1
                ]
                > 0.9
            )


def test_contributions_sum_up_to_what_the_logit_gains(released):
    model, pictures, said = released
    prepare, network = transfer.parts(model)
    ready = np.asarray(prepare(pictures))
    grey = np.broadcast_to(ready.mean(axis=(1, 2), keepdims=True), ready.shape)
    gained = [np.asarray(network(x))[np.arange(len(said)), said] for x in (ready, grey)]
    found = interpret.contributions(model, pictures, said, steps=64).sum(axis=(1, 2))
    np.testing.assert_allclose(found, gained[0] - gained[1], atol=0.3, rtol=0.05)


@pytest.fixture(scope="module")
def released():
    """The network that came with the checkout, twelve drawn pictures, and what it calls them."""
    model = predict.load(predict.find_model("cifar10")[0])
    pictures, _ = paintbox.draw(paintbox.OBJECTS, 12, 32, seed=4)
    return model, pictures, np.asarray(model(pictures)).argmax(axis=1)


@pytest.mark.parametrize("name", [name for name in interpret.METHODS if name != "unsigned gradients"])
def test_what_was_learned_decides_where_a_map_looks(released, name):
    """And its brightest pixels are worth more than random ones; not so Grad-CAM's, which are few and large."""
    model, pictures, said = released
    method = interpret.METHODS[name]
    maps = method(model, pictures, said)
    alike = interpret.likeness(maps, method(interpret.randomized(model), pictures, said))
    assert interpret.forgets(alike) == "passes"
    chance = np.random.default_rng(0).random(maps.shape).astype("float32")
    by_map, by_chance = (interpret.deletion(model, pictures, said, one).mean() for one in (maps, chance))
    assert by_map < by_chance or name == "Grad-CAM"


@pytest.mark.parametrize("name", interpret.METHODS)
def test_a_map_depends_on_its_own_image_alone(released, name):
    model, pictures, said = released
    method = interpret.METHODS[name]
    np.testing.assert_allclose(
        method(model, pictures[:3], said[:3])[1], method(model, pictures[1:2], said[1:2])[0], atol=1e-3
    )


def test_blank_maps_pass_nothing():
    assert interpret.forgets(np.array([np.nan, np.nan])) == "says nothing: all maps are blank"
    assert interpret.forgets(np.array([0.9, np.nan])).startswith("fails")
    assert interpret.forgets(np.array([0.1, -0.2])) == "passes"


def test_deletion_falls_faster_for_a_true_map(lit):
    model, pictures, classes = lit
    pictures = pictures.copy()
    pictures[:, 8:] = pictures[:, :, 8:] = 0  # so that the mean colour is not the corner's
    true = np.zeros((4, 32, 32), "float32")
    true[:, :8, :8] = 1
    by_map = interpret.deletion(model, pictures, classes, true).mean()
    by_chance = interpret.deletion(model, pictures, classes, np.zeros_like(true)).mean()
    assert by_map < by_chance - 0.1


def test_forgetting_changes_weights_and_nothing_else(small):
    newborn = interpret.randomized(small, seed=5)
    ours, theirs = (transfer.parts(model)[1] for model in (small, newborn))
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert not np.allclose(np.asarray(ours.layers[0].kernel), np.asarray(theirs.layers[0].kernel))
    pictures = np.zeros((1, 20, 20, 3), "uint8")
    assert np.asarray(newborn(pictures)).sum() == pytest.approx(1, abs=1e-5)


def test_likeness_is_a_rank_correlation():
    ramp = np.arange(9, dtype="float32").reshape(1, 3, 3)
    assert interpret.likeness(ramp, ramp**2) == pytest.approx(1)
    assert interpret.likeness(ramp, -ramp) == pytest.approx(-1)
    assert np.isnan(interpret.likeness(ramp, np.zeros_like(ramp))).all()  # a blank map is no passed test


def test_occlusion_reaches_the_last_pixel_whatever_the_size():
    spotlight = interpret.spotlight()

    def far_end(images, training):
        return spotlight(images[:, ::-1, ::-1].copy(), training=training)

    picture = np.zeros((1, 30, 30, 3), "uint8")
    picture[:, -8:, -8:] = 255
    found = interpret.occlusion(far_end, picture, np.ones(1, int))
    assert found[0, -2:, -2:].min() > 0.5
    assert interpret.occlusion(far_end, picture[:, 26:, 26:].copy(), np.ones(1, int)).shape == (1, 4, 4)  # no error


def test_convolutions_within_blocks_are_one_sentence():
    with pytest.raises(LabError, match="inside blocks"):
        interpret.last_large(models.build("resnet18"))


def test_gradcam_looks_where_maps_still_have_places(small):
    _, network = transfer.parts(small)
    assert interpret.last_large(network) == "conv2"  # 7 x 7; later ones have 2 x 2
    assert interpret.last_large(network, side=100) == "conv5"
    assert interpret.convolutions(network) == [f"conv{number}" for number in range(1, 6)]
    assert interpret.convolutions(models.build("alexnet-32", without=1)) == ["conv2", "conv3", "conv4", "conv5"]


def test_filters_embeddings_and_neighbours(small):
    found = interpret.filters(transfer.parts(small)[1])
    assert found.shape[1:] == (11, 11, 3)
    assert (found.min(), found.max()) == (0, 1)
    pictures = np.random.default_rng(2).integers(0, 255, (7, 32, 32, 3), dtype="uint8")
    rows = interpret.embeddings(small, pictures, "fc7", batch=3)
    assert rows.shape == (7, 8)
    np.testing.assert_allclose(rows[4], interpret.embeddings(small, pictures[4:5], "fc7")[0], atol=1e-5)
    known = np.eye(4)
    assert interpret.neighbours(known, np.array([[0, 5, 1, 0.1]]), 2).tolist() == [[1, 2]]
    assert interpret.plane(np.random.default_rng(0).normal(size=(12, 5))).shape == (12, 2)


def test_what_can_not_be_explained_is_told(small):
    with pytest.raises(UsageError, match="did you mean 'conv5'"):
        interpret.gradcam(small, np.zeros((1, 8, 8, 3), "uint8"), np.zeros(1, int), "cnv5")
    with pytest.raises(LabError, match="not saved by a training of this laboratory"):
        transfer.parts(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))

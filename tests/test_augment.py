"""Augmentations: the same eagerly and in a parallel stream, one draw an image, and what each does."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf import augment as room
from alexnet_tf.augment import augment
from alexnet_tf.errors import UsageError
from alexnet_tf.pipeline import stateless_draw
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.recipe import AUGMENTATIONS

AMOUNTS = {
    "resized_crop": 0.3, "rotation": 15.0, "shift": 0.2, "shear": 10.0, "zoom": 0.2, "flip": 0.5, "alternate": 1,
    "crop": 4, "reflect": 4,
    "color": 0.4, "hue": 0.1, "pca": 0.1, "randaugment": 9, "cutout": 6, "mixup": 0.4, "cutmix": 1.0,
}  # fmt: skip
LABELS = np.eye(6, dtype="float32")


def some_images(count=6, size=16):
    smooth = scipy.ndimage.gaussian_filter(np.random.default_rng(0).random((count, size, size, 3)), (0, 2, 2, 0))
    return ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype("float32")


def apply(images, amounts, labels=None, key=(7, 3), remains=1.0):
    draw = stateless_draw(tf.constant(key, tf.int64), tf.constant(len(images)))
    labels = np.eye(len(images), dtype="float32") if labels is None else labels
    moved, mixed = augment(images, labels, amounts, draw, room.color_components(images), remains)
    return np.asarray(moved), np.asarray(mixed)


def test_every_augmentation_is_tested_here():
    assert set(AMOUNTS) == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", AMOUNTS)
def test_each_is_the_same_eagerly_and_in_a_parallel_map(name):
    images = some_images()
    components = room.color_components(images)
    eager, mixed = apply(images, {name: AMOUNTS[name]})

    def mapped(x, y):
        draw = stateless_draw(tf.constant((7, 3), tf.int64), tf.shape(x)[0])
        return augment(x, y, {name: AMOUNTS[name]}, draw, components)

    stream = tf.data.Dataset.from_tensors((images, LABELS)).repeat(4).map(mapped, num_parallel_calls=tf.data.AUTOTUNE)
    runs = list(stream.as_numpy_iterator())
    for batch, labels in runs:
        np.testing.assert_array_equal(batch, runs[0][0])
        np.testing.assert_allclose(batch, eager, atol=1e-2)
        np.testing.assert_allclose(labels, mixed, atol=1e-6)
    assert eager.shape == images.shape
    assert np.abs(eager - images).max() > 1
    assert np.isfinite(eager).all()


@pytest.mark.parametrize("name", [name for name in AMOUNTS if name not in ("mixup", "cutmix")])
def test_each_image_has_its_own_draw(name):
    same = np.repeat(some_images(2)[:1], 12, axis=0)
    moved, _ = apply(same, {name: AMOUNTS[name]})
    assert any(np.abs(moved[0] - other).max() > 0.5 for other in moved[1:])


@pytest.mark.parametrize("name", AMOUNTS)
def test_another_key_gives_another_draw(name):
    images = some_images(12)
    (one, _), (other, _) = (apply(images, {name: AMOUNTS[name]}, key=(7, step)) for step in range(2))
    assert np.abs(one - other).max() > 0.5


def test_an_amount_of_zero_does_nothing():
    images = some_images()
    np.testing.assert_array_equal(apply(images, dict.fromkeys(AMOUNTS, 0))[0], images)


def test_flip_mirrors_about_half_of_the_images():
    images = some_images(200)
    moved, _ = apply(images, {"flip": 0.5})
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(moved, images, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(moved, images, strict=True)]
    assert all(m or k for m, k in zip(mirrored, kept, strict=True))
    assert 70 < sum(mirrored) < 130


@pytest.mark.parametrize(("name", "outside"), [("crop", "constant"), ("reflect", "symmetric")])
def test_a_crop_is_a_whole_pixel_window_of_the_padded_image(name, outside):
    images = some_images(40)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), outside)
    offsets = set()
    for moved, wide in zip(apply(images, {name: 4})[0], padded, strict=True):
        found = [(y, x) for y in range(9) for x in range(9) if np.array_equal(moved, wide[y : y + 16, x : x + 16])]
        assert found
        offsets.add(found[0])
    assert len(offsets) > 15


def test_the_composed_motion_is_the_image_data_generators():
    """scipy.ndimage with the generator's matrices: rotation, shift, shear, zoom in rows and columns."""
    image = scipy.ndimage.gaussian_filter(some_images(1, 32)[0], (2, 2, 0))
    names = ["rotation", "shift", "shear", "zoom"]
    draw = stateless_draw(tf.constant((7, 3), tf.int64), tf.constant(1))
    product = np.eye(3)
    for name in names:
        product = product @ np.asarray(room.motion(name, AMOUNTS[name], 32.0, draw))[0]
    rows = product[:2, :2][::-1, ::-1]  # from (x, y) to (row, column)
    centre = np.array([15.5, 15.5])
    offset = product[:2, 2][::-1] + centre - rows @ centre
    expected = np.stack(
        [scipy.ndimage.affine_transform(image[..., c], rows, offset, order=1, mode="nearest") for c in range(3)], -1
    )
    moved, _ = apply(image[None], {name: AMOUNTS[name] for name in names}, labels=np.ones((1, 1), "float32"))
    np.testing.assert_allclose(moved[0], expected, atol=0.5)  # of 255


@pytest.mark.parametrize(
    ("outside", "mode"), [("border", "nearest"), ("mirrored", "reflect"), ("black", "grid-constant")]
)
def test_what_moved_lies_between_four_pixels_and_beyond_the_border_as_told(outside, mode):
    images = some_images(2, 20)
    turn, lean = np.cos(0.4), np.sin(0.4)
    matrices = np.array([[[turn, lean, 2], [-lean, turn, 5], [0, 0, 1]], [[1.2, 0, -3], [0, 0.7, 4], [0, 0, 1]]])
    found = room.moved(images, matrices.astype("float32"), False, outside)
    for image, matrix, shown in zip(images, matrices, found, strict=True):
        rows, offset = matrix[:2, :2][::-1, ::-1], matrix[:2, 2][::-1]
        theirs = [scipy.ndimage.affine_transform(image[..., c], rows, offset, order=1, mode=mode) for c in range(3)]
        np.testing.assert_allclose(shown, np.stack(theirs, -1), atol=0.05)  # of 255


def test_a_resized_crop_shows_a_part_of_the_image_and_nothing_else():
    across = np.tile(np.linspace(0, 255, 64, dtype="float32")[None, :, None], (64, 1, 3))
    moved, _ = apply(np.repeat(across[None], 50, axis=0), {"resized_crop": 0.1})
    spans = moved[:, 30, -1, 0] - moved[:, 30, 0, 0]
    assert spans.min() < 0.5 * 255 < 0.9 * 255 < spans.max()
    assert moved.min() >= 0
    assert moved.max() <= 255


def test_a_resized_crop_fills_what_remains():
    whole = np.zeros((1, 64, 64, 3), "float32")
    whole[:, 16:48, 16:48] = 255.0
    labels = np.zeros((1, 2), "float32")
    moved, _ = augment(
        whole, labels, {"resized_crop": 1}, lambda name, low, high: np.full(1, (low + high) / 2, "float32"), remains=0.5
    )
    seen = np.asarray(moved)[0, 16:48, 16:48, 0]  # the whole image in half its size
    assert seen[:7].max() == seen[-7:].max() == seen[:, :7].max() == 0
    assert seen[9:23, 9:23].min() == 255


def test_saturation_and_contrast_leave_grey_images_grey():
    grey = np.repeat(some_images()[..., :1], 3, axis=-1)
    moved, _ = apply(grey, {"color": 0.4, "hue": 0.5})
    np.testing.assert_allclose(moved[..., 0], moved[..., 1], atol=0.1)
    np.testing.assert_allclose(moved[..., 0], moved[..., 2], atol=0.1)


def test_pca_noise_is_the_papers():
    """One offset for all pixels of an image, along the principal components, with their deviations."""
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, [30, 20, 10], (3000, 4, 4, 3)), 60, 200).astype("float32")
    components = room.color_components(images)
    moved, _ = apply(images, {"pca": 0.1})
    offsets = (moved - images).reshape(3000, 16, 3)
    np.testing.assert_allclose(offsets, np.repeat(offsets[:, :1], 16, axis=1), atol=1e-3)
    np.testing.assert_allclose(offsets[:, 0].std(axis=0), 0.1 * np.abs(components).max(axis=0), rtol=0.1)


def test_cutout_covers_a_square_with_the_images_mean():
    images = some_images(40)
    moved, _ = apply(images, {"cutout": 6})
    changed = np.abs(moved - images).max(axis=-1) > 1e-3
    assert changed.sum(axis=(1, 2)).max() <= 49
    assert changed.sum(axis=(1, 2)).max() >= 30
    place = np.argwhere(changed[0])[0]
    np.testing.assert_allclose(moved[0][tuple(place)], images[0].mean(axis=(0, 1)), atol=0.1)


def test_mixup_blends_images_and_labels_alike():
    images = some_images()
    moved, labels = apply(images, {"mixup": 0.4})
    share = labels.diagonal()
    neighbour = np.roll(images, 1, axis=0)
    expected = share[:, None, None, None] * images + (1 - share[:, None, None, None]) * neighbour
    np.testing.assert_allclose(moved, expected, atol=1e-2)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_mixups_share_follows_its_distribution():
    draw = stateless_draw(tf.constant((1, 1), tf.int64), tf.constant(20_000))
    share = np.asarray(room._share(0.4, draw, "mixup"))
    assert share.mean() == pytest.approx(0.5, abs=0.01)
    assert share.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.005)


@pytest.mark.parametrize("left", [16, 13])
def test_cutmix_labels_are_the_areas_of_what_remains(left):
    images = np.repeat(np.arange(6, dtype="float32")[:, None, None, None] * 40, 16, axis=1).repeat(16, 2).repeat(3, 3)
    moved, labels = apply(images, {"cutmix": 1.0}, remains=left / 16)
    preprocess = Preprocess(left, crop_from=16)
    own = np.asarray(preprocess.middle(np.isclose(moved, images))).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(labels.diagonal(), own, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_randaugment_changes_most_images_and_more_with_magnitude():
    images = some_images(200)
    mild, strong = (np.abs(apply(images, {"randaugment": m})[0] - images).mean(axis=(1, 2, 3)) for m in (2, 9))
    assert (strong > 1).mean() > 0.8
    assert strong.mean() > 1.5 * mild.mean()


def test_an_unknown_augmentation_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean 'rotation'"):
        apply(some_images(), {"rotatoin": 3})


@settings(max_examples=8)
@given(
    st.dictionaries(st.sampled_from(list(AUGMENTATIONS)), st.just(0.0) | st.floats(1e-6, 1), max_size=5),
    st.integers(1, 5),
    st.integers(2, 12),
)
def test_any_mixture_leaves_pixels_pixels_and_labels_shares(amounts, count, size):
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")
    moved, labels = apply(images, {**amounts, "resized_crop": max(amounts.get("resized_crop", 1), 0.01)})
    assert (moved.shape, moved.dtype) == (images.shape, np.float32)
    assert moved.min() >= -0.5
    assert moved.max() <= 255.5
    assert labels.min() >= 0
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)


def three_quarters(name, low, high):
    return np.full(1, low + 0.75 * (high - low), "float32")


def test_motions_are_in_degrees_and_shares_and_go_both_ways():
    assert np.asarray(room.motion("rotation", 20.0, 32.0, three_quarters))[0, 1, 0] == pytest.approx(
        -np.sin(np.radians(10))
    )
    assert np.asarray(room.motion("shift", 0.2, 32.0, three_quarters))[0, 0, 2] == pytest.approx(0.1 * 32)
    least = room.motion("shift", 0.2, 32.0, lambda name, low, high: np.full(1, low, "float32"))
    assert np.asarray(least)[0, 0, 2] == pytest.approx(-0.2 * 32)


def test_a_flip_has_its_probability():
    images = np.random.default_rng(0).uniform(0, 255, (400, 4, 4, 3)).astype("float32")
    draw = stateless_draw(tf.constant((7, 3), tf.int64), tf.constant(400))
    moved = np.asarray(augment(images, np.eye(400, dtype="float32"), {"flip": 0.9}, draw)[0])
    assert 340 < (moved == images[:, :, ::-1]).all(axis=(1, 2, 3)).sum() < 380


@pytest.mark.parametrize(
    ("factor", "expected"), [("brightness", [150, 210]), ("contrast", [90, 150]), ("saturation", [100, 140])]
)
def test_each_factor_of_color_by_hand(factor, expected):
    image = np.array([100.0, 140.0], "float32").reshape(1, 1, 2, 1).repeat(3, -1)

    def draw(name, low, high):
        return np.full(1, high if name == factor else 1.0, "float32")

    found = np.asarray(augment(image, np.ones((1, 1), "float32"), {"color": 0.5}, draw)[0])
    np.testing.assert_allclose(found[0, 0, :, 0], expected, atol=0.1)


@pytest.mark.parametrize(
    ("operation", "amount", "expected"),
    [
        ("posterize", 12.5, [0, 96, 192]),
        ("solarize", 6, [10, 100, 55]),
        ("autocontrast", 10, [0, 120.857, 255]),
        ("identity", 10, [10, 100, 200]),
    ],
)
def test_operations_on_pixels_by_hand(operation, amount, expected):
    place = room.OPERATIONS.index(operation) + 0.5

    def draw(name, low, high):
        fixed = {"operation 0": place, "operation 1": 0.5}
        return np.full(1, fixed.get(name, 0.25 if "sign" in name else 1.0), "float32")

    image = np.array([10.0, 100, 200], "float32").reshape(1, 1, 3, 1).repeat(3, 1).repeat(3, -1)
    found = np.asarray(room._pixel_operations(image, amount, draw))
    np.testing.assert_allclose(found[0, 0, :, 0], expected, atol=0.1)

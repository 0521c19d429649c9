"""The pipeline: equal eagerly and in a parallel stream, bit for bit, one draw an image."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alexnet_tf import fitting, pipeline
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.splits import Split, plain_jpeg, read_image

AMOUNTS = {
    "flip": 0.5,
    "crop": 4,
    "shift": 0.2,
    "zoom": 0.2,
    "shear": 10.0,
    "rotation": 15.0,
    "color": 0.3,
    "mixup": 0.2,
}


def some_images(count=6, size=16):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


def stream(splits, **changes):
    settings = {"batch_size": 8, "seed": 1, "augmentations": AMOUNTS, **changes}
    return pipeline.training_stream(splits.train, 3, Preprocess(24), **settings)


def batches(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def test_the_stream_repeats_bit_for_bit(tiny_splits):
    first, second = (batches(stream(tiny_splits), 15) for _ in range(2))
    for (a, y), (b, z) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(y, z)
    other = batches(stream(tiny_splits, seed=2), 1)
    assert not np.array_equal(first[0][0], other[0][0])


def test_a_resumed_stream_goes_on_where_the_whole_one_was(tiny_splits):
    whole, resumed = batches(stream(tiny_splits), 15), batches(stream(tiny_splits, begin=(2, 3)), 2)
    for (a, _), (b, _) in zip(whole[13:], resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def mirrored_by_image(stream, images, epochs):
    """Of each image, whether it came mirrored, epoch after epoch."""
    known = {image.tobytes(): (place, False) for place, image in enumerate(images)}
    known |= {image[:, ::-1].tobytes(): (place, True) for place, image in enumerate(images)}
    found = {place: [] for place in range(len(images))}
    for _ in range(epochs * len(images) // 8):
        for image in np.asarray(next(stream)[0]):
            place, mirrored = known[(image * 255).round().astype("uint8").tobytes()]
            found[place].append(mirrored)
    return found


def test_images_are_mirrored_in_every_other_epoch_and_half_of_them_in_the_first(tiny_splits):
    dataset = pipeline.training_stream(tiny_splits.train, 3, Preprocess(32), 8, 1, {"alternate": 1})
    found = mirrored_by_image(iter(dataset), tiny_splits.train.images, epochs=3)
    assert {tuple(turns) for turns in found.values()} == {(True, False, True), (False, True, False)}
    assert 10 < sum(turns[0] for turns in found.values()) < 30
    resumed = pipeline.training_stream(tiny_splits.train, 3, Preprocess(32), 8, 1, {"alternate": 1}, begin=(1, 2))
    np.testing.assert_array_equal(batches(dataset, 8)[7][0], batches(resumed, 1)[0][0])


def test_an_epoch_sees_every_image_once_in_a_new_order(tiny_splits):
    plain = stream(tiny_splits, augmentations={}, batch_size=12)
    taken = [images.reshape(len(images), -1).mean(axis=1) for images, _ in batches(plain, 8)]
    first, second = np.concatenate(taken[:4]), np.concatenate(taken[4:])
    assert [len(part) for part in taken[:4]] == [12, 12, 12, 4]
    np.testing.assert_allclose(np.sort(first), np.sort(second), rtol=1e-6)
    assert not np.array_equal(first, second)
    assert len(np.unique(first)) == 40


def test_labels_stay_with_their_images(tiny_splits):
    wanted = {
        float(image.mean()): label
        for image, label in zip(tiny_splits.train.images, tiny_splits.train.labels, strict=True)
    }
    raw = pipeline.training_stream(tiny_splits.train, 3, Preprocess(32), 8, 1)
    for images, labels in batches(raw, 5):
        for image, label in zip(images, labels, strict=True):
            nearest = min(wanted, key=lambda mean: abs(mean - image.mean() * 255))
            assert wanted[nearest] == label.argmax()


def test_evaluation_drops_nothing_and_keeps_the_order(tiny_splits):
    parts = list(pipeline.evaluation_stream(tiny_splits.test, 3, Preprocess(32), 7).as_numpy_iterator())
    images, labels = (np.concatenate([part[i] for part in parts]) for i in range(2))
    np.testing.assert_allclose(images * 255, tiny_splits.test.images, atol=1e-3)
    np.testing.assert_array_equal(labels.argmax(axis=1), tiny_splits.test.labels)
    np.testing.assert_array_equal(pipeline.arrays(tiny_splits.test, Preprocess(32)), images)


def test_a_batch_larger_than_the_set_is_told(tiny_splits):
    with pytest.raises(LabError, match="batch of 64 is larger than the 40"):
        stream(tiny_splits, batch_size=64, drop_remainder=True)


def test_files_give_the_same_stream_as_their_pixels(tmp_path):
    pixels = some_images(6, 20).astype("uint8")
    files = [str(tmp_path / f"{i}.png") for i in range(6)]
    for file, picture in zip(files, pixels, strict=True):
        Image.fromarray(picture).save(file)
    on_disk = Split(np.arange(6), np.arange(6) % 2, files=tuple(files))
    in_memory = Split(np.arange(6), np.arange(6) % 2, pixels)
    for preprocess in Preprocess(16), Preprocess(16, interpolation="nearest"):
        np.testing.assert_allclose(
            pipeline.arrays(on_disk, preprocess), pipeline.arrays(in_memory, preprocess), atol=1e-5
        )


def test_photographs_that_memory_holds_are_decoded_once_and_give_the_same_stream(tmp_path, monkeypatch):
    files = [photograph(tmp_path / f"{i}.jpg", 83 + i, 131) for i in range(6)]
    split = Split(np.arange(6), np.arange(6) % 2, files=tuple(map(str, files)))
    looked = []
    monkeypatch.setattr(
        pipeline, "_look", lambda name, preprocess, look=pipeline._look: looked.append(name) or look(name, preprocess)
    )

    def two_epochs():
        return batches(pipeline.training_stream(split, 2, Preprocess(16), 4, 3, {"flip": 0.5}), 4)

    once = two_epochs()
    assert len(looked) == len(set(looked)) == 6
    monkeypatch.setattr(pipeline, "HELD", 6 * 16 * 16 * 3 * 4 - 1)
    again = two_epochs()
    assert len(looked) >= 6 + 12
    for one, other in zip(once, again, strict=True):
        for held, decoded in zip(one, other, strict=True):
            np.testing.assert_array_equal(held, decoded)


PLAIN = {
    "420": {}, "422": {"subsampling": 1}, "444": {"subsampling": 0}, "progressive": {"progressive": True},
    "rgb": {"keep_rgb": True},
}  # fmt: skip


def photograph(path, height=83, width=131, mode="RGB", **settings):
    """Strong colours that change from pixel to pixel, so that every interpolation shows."""
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype="uint8")
    Image.fromarray(noise).convert(mode).save(path, "JPEG", quality=90, **settings)
    return path


def decoded(path, preprocess):
    fast = tf.function(lambda name: pipeline.decode(name, preprocess))(tf.constant(str(path)))
    slow = preprocess.before_augmentation(read_image(path)[None])[0]
    return np.asarray(fast), np.asarray(slow)


@pytest.mark.parametrize("size", [(83, 131), (131, 83), (64, 96), (16, 400), (1, 9)])
@pytest.mark.parametrize("settings", PLAIN.values(), ids=PLAIN)
def test_a_window_decoded_alone_has_the_very_pixels_of_the_whole(tmp_path, size, settings):
    path = photograph(tmp_path / "x.jpg", *size, **settings)
    assert plain_jpeg(path.read_bytes()) == size
    for preprocess in Preprocess(20, crop_from=24), Preprocess(20):
        np.testing.assert_array_equal(*decoded(path, preprocess))


def test_what_is_no_plain_upright_jpeg_goes_the_careful_way(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    photograph(tmp_path / "turned.jpg", exif=turned)
    photograph(tmp_path / "ink.jpg", mode="CMYK")
    (tmp_path / "tail.jpg").write_bytes(photograph(tmp_path / "good.jpg").read_bytes() + b"more")
    Image.open(tmp_path / "good.jpg").save(tmp_path / "other.png")
    for name in "turned.jpg", "ink.jpg", "tail.jpg", "other.png":
        assert plain_jpeg((tmp_path / name).read_bytes()) is None
        np.testing.assert_array_equal(*decoded(tmp_path / name, Preprocess(20, crop_from=24)))
    assert plain_jpeg(photograph(tmp_path / "grey.jpg", mode="L").read_bytes())
    np.testing.assert_array_equal(*decoded(tmp_path / "grey.jpg", Preprocess(20, crop_from=24)))


def test_a_photograph_cut_short_is_told_by_its_name(tmp_path):
    path = photograph(tmp_path / "cut.jpg")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(Exception, match=r"LabError: .*cut\.jpg can't be read"):
        decoded(path, Preprocess(20))


def test_standardizations_are_what_they_say():
    images = some_images(3, 12).astype("uint8")
    images[2] = 77  # flat
    per_image = Preprocess(12, "per_image")(images)
    expected = np.stack([tf.image.per_image_standardization(image).numpy() for image in images])
    np.testing.assert_allclose(np.asarray(per_image), expected, atol=1e-4)
    np.testing.assert_allclose(np.asarray(Preprocess(12, "symmetric")(images)), (images / 255 - 0.5) / 0.5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(Preprocess(12)(images)), images / 255, atol=1e-6)


def test_old_tensorflow_cut_standardized_images_to_uint8():
    picture = np.arange(12, dtype="uint8").reshape(1, 2, 2, 3) * 20
    cut = np.asarray(Preprocess(2, "per_image_uint8", resize_first=False)(picture)).ravel()
    # What TensorFlow 2.4.4 returned for this picture.
    np.testing.assert_array_equal(cut, [0, 0, 0, 0, 0, 0, 34, 104, 173, 242, 255, 255])


def test_source_b_standardizes_before_it_resizes():
    images = some_images(2, 12).astype("uint8")
    ours = np.asarray(Preprocess(24, "per_image", resize_first=False)(images))
    for image, mine in zip(images, ours, strict=True):
        theirs = tf.image.resize(tf.image.per_image_standardization(image), (24, 24)).numpy()
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_the_papers_window_is_anywhere_inside_and_the_middle_in_evaluation():
    ramp = np.broadcast_to(np.arange(20, dtype="uint8")[None, :, None] * 10, (8, 20, 20, 3))
    preprocess = Preprocess(12, crop_from=20)
    split = Split(np.arange(8), np.zeros(8, "int64"), np.ascontiguousarray(ramp))
    np.testing.assert_allclose(pipeline.arrays(split, preprocess)[:, 0, 0, 0] * 255, 40, atol=1e-3)
    stream = pipeline.training_stream(split, 2, preprocess, 8, seed=0, augmentations={"crop": 4})
    corners = np.concatenate([images.numpy()[:, 0, 0, 0] * 25.5 for images, _ in stream.take(20)]).round(3)
    assert set(corners) == set(range(9))  # every offset from 0 to 8, no padding among them


def test_a_wide_photograph_keeps_its_proportions_and_loses_its_sides():
    wide = np.zeros((1, 10, 30, 3), "uint8")
    wide[:, :, 10:20] = 255
    assert np.asarray(Preprocess(8, crop_from=10)(wide)).min() == 1.0


def test_mean_color_is_subtracted_from_raw_pixels():
    grey = np.full((1, 4, 4, 3), 120, "uint8")
    expected = [120 - 123.68, 120 - 116.779, 120 - 103.939]
    np.testing.assert_allclose(np.asarray(Preprocess(4, "mean_color")(grey))[0, 0, 0], expected, rtol=1e-5)


def test_preprocessing_survives_saving_and_refuses_nonsense(tmp_path):
    layer = Preprocess(24, "per_image", False, "nearest", name="prepare")
    model = keras.Sequential([keras.Input((None, None, 3), dtype="uint8"), layer])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    images = some_images(1, 10).astype("uint8")
    np.testing.assert_array_equal(np.asarray(model(images)), np.asarray(again(images)))
    with pytest.raises(UsageError, match="did you mean 'rescale'"):
        Preprocess(24, "rescal")


@settings(max_examples=5)
@given(
    images=st.integers(1, 12),
    batch_size=st.integers(1, 14),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 3),
    names=st.sets(st.sampled_from(sorted(AMOUNTS)), max_size=3),
)
def test_any_stream_is_a_function_of_seed_epoch_and_step(images, batch_size, size, seed, epoch, names):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 9, 9, 3), dtype="uint8")
    split = Split(np.arange(images), np.arange(images) % 3, pixels)
    settings = (split, 3, Preprocess(size), batch_size, seed, {name: AMOUNTS[name] for name in names})
    steps = -(-images // batch_size)
    step = seed % steps
    whole = batches(pipeline.training_stream(*settings), (epoch + 1) * steps)[-steps:]
    resumed = batches(pipeline.training_stream(*settings, begin=(epoch, step)), steps - step)
    for (x, y), (again, labels) in zip(whole[step:], resumed, strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
        assert (x.shape[1:], x.dtype, y.shape[1:], y.dtype) == ((size, size, 3), np.float32, (3,), np.float32)
        assert np.isfinite(x).all()
    assert [len(x) for x, _ in whole[:-1]] == [batch_size] * (steps - 1)
    assert sum(len(x) for x, _ in whole) == images
    if "mixup" not in names:
        seen = np.concatenate([y for _, y in whole]).sum(axis=0)
        np.testing.assert_array_equal(seen, np.bincount(split.labels, minlength=3))


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 30)),
    size=st.integers(1, 24),
    more=st.none() | st.integers(0, 9),
    standardize=st.sampled_from(["rescale", "symmetric", "per_image", "per_image_uint8", "mean_color"]),
    resize_first=st.booleans(),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
)
def test_any_preprocessing_of_any_image_has_its_size_and_finite_pixels(shape, size, more, **settings):
    images = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype="uint8")
    if more is not None:
        settings["resize_first"] = True  # as recipes do
    layer = Preprocess(size, crop_from=None if more is None else size + more, **settings)
    found = np.asarray(layer(images))
    assert (found.shape, found.dtype) == ((shape[0], size, size, 3), np.float32)
    assert found.shape == tuple(layer.compute_output_shape(images.shape))
    assert np.isfinite(found).all()


STREAMED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from alexnet_tf import pipeline
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import Split

files, side = sorted(map(str, Path(sys.argv[1]).iterdir())) * 1200, 256
split = Split(np.arange(len(files)), np.arange(len(files)) % 2, files=tuple(files))
stream = iter(pipeline.training_stream(split, 2, Preprocess(224, crop_from=side), 16, 0, {"flip": 0.5}))
[next(stream) for _ in range(8)]  # every thread and buffer is there
whole = len(files) * side * side * 3 * 4
held = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (held + whole // 3,) * 2)
try:
    np.empty(whole, "uint8")
except MemoryError:
    print("the set itself finds no room")
print("streamed", sum(len(next(stream)[0]) for _ in range(len(files) // 16)), "of", len(files))
del stream  # its threads call Python: an iterator that outlives the interpreter waits for them for ever
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say how much memory is used")
def test_a_training_set_streams_where_the_system_gives_a_third_of_the_memory_that_it_would_fill(tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "x.jpg")
    done = subprocess.run([sys.executable, "-c", STREAMED, tmp_path], capture_output=True, text=True)
    told = ["the set itself finds no room", "streamed 1200 of 1200"]
    assert done.stdout.splitlines() == told, (done.returncode, done.stderr[-2000:])


def test_each_step_of_an_epoch_draws_anew():
    one = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype="uint8"), 16, axis=0)
    split = Split(np.arange(16), np.zeros(16, int), one)
    stream = pipeline.training_stream(split, 2, Preprocess(16), 8, 1, {"crop": 4})
    (first, _), (second, _) = stream.take(2).as_numpy_iterator()
    assert not np.array_equal(first, second)


def test_what_does_not_fill_a_batch_is_left_out_where_a_recipe_says_so(tiny_splits):
    stream = pipeline.training_stream(tiny_splits.train, 3, Preprocess(8), 12, 1, drop_remainder=True)
    assert [len(images) for images, _ in stream.take(7).as_numpy_iterator()] == [12] * 7
    assert (fitting.steps_per_pass(40, 12, True), fitting.steps_per_pass(40, 12, False)) == (3, 4)

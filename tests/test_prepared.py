"""What TensorFlow Datasets prepares, made here with its own writer and read both ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_tf import datasets, pipeline, prepared
from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import encoded, read_image


@pytest.fixture(autouse=True)
def data_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    datasets._whole.cache_clear()
    yield tmp_path / "data"
    datasets._whole.cache_clear()


def picture(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def prepare(data_dir, name, parts, shape, labels, encoding="png"):
    """Write a dataset as `tfds build` does: `parts` is part -> its images; labels are names or a number."""
    import tensorflow_datasets as tfds

    known = {"names": labels} if isinstance(labels, list) else {"num_classes": labels}
    features = {
        "image": tfds.features.Image(shape=shape, encoding_format=encoding),
        "label": tfds.features.ClassLabel(**known),
    }
    rows = {
        part: [(i, {"image": image, "label": i % 5}) for i, image in enumerate(images)]
        for part, images in parts.items()
    }
    if name == "cifar10":
        features["id"] = tfds.features.Text()
        for part, entries in rows.items():
            for i, row in entries:
                row["id"] = f"{part}_{len(entries) - i:05}"
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="3.0.1",
        features=tfds.features.FeaturesDict(features),
        split_datasets=rows,
        data_dir=data_dir,
        disable_shuffling=True,
    )
    return data_dir / name / "3.0.1"


@pytest.mark.parametrize(("name", "channels"), [("cifar10", 3), ("fashion_mnist", 1)])
def test_small_sets_are_read_the_same_with_and_without_tensorflow(data_dir, monkeypatch, name, channels):
    shape = (28, 28, channels)
    images = {"train": [picture(i, shape) for i in range(12)], "test": [picture(i, shape) for i in range(50, 55)]}
    prepare(data_dir, name, images, shape, 10)
    through_tfds = datasets.load(name)
    datasets._whole.cache_clear()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(datasets, "_through_tfds", None)
    alone = datasets.load(name)
    assert len(alone.train) == 12
    for ours, theirs in (alone.train, through_tfds.train), (alone.test, through_tfds.test):
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.ids, theirs.ids)
    last = images["train"][11 if name == "cifar10" else 0]  # the ids of the made CIFAR-10 count down
    np.testing.assert_array_equal(alone.train.images[0], np.broadcast_to(last, (28, 28, 3)))


def test_photographs_stay_in_their_records(data_dir):
    images = [picture(i, (20 + i, 30, 3)) for i in range(40)]
    names = ["dandelion", "daisy", "tulips", "sunflowers", "roses"]
    prepare(data_dir, "tf_flowers", {"train": images}, (None, None, 3), names)
    splits = datasets.load("tf_flowers")
    assert (len(splits.train), len(splits.test), splits.class_names) == (36, 4, tuple(names))
    assert splits.train.images is None
    for split in splits.train, splits.test:
        for place in range(len(split)):
            number = int(split.ids[place].partition("-")[2])
            np.testing.assert_array_equal(split.image(place), images[number])
            assert split.labels[place] == number % 5
    decoded = pipeline.arrays(splits.test, Preprocess(16))
    number = int(splits.test.ids[0].partition("-")[2])
    np.testing.assert_allclose(decoded[0], np.asarray(Preprocess(16)(images[number][None]))[0], atol=1e-5)


def test_imagenet_has_its_two_parts_and_the_names_it_lists(data_dir):
    parts = {part: [picture(i, (40, 50, 3)) for i in range(6)] for part in ("train", "validation")}
    home = prepare(data_dir, "imagenet2012", parts, (None, None, 3), 1000, "jpeg")
    splits = datasets.load("imagenet2012")
    assert (len(splits.train), len(splits.test), splits.classes) == (6, 6, 1000)
    assert splits.class_names[7] == "class-7"
    (home / "label.labels.txt").write_text("\n".join(f"n{i:08}" for i in range(1000)) + "\n")
    datasets._whole.cache_clear()
    assert datasets.load("imagenet2012").class_names[999] == "n00000999"


def test_imagenet_in_its_usual_shards_is_read_by_the_same_door(data_dir):
    """Labels from 1, and features that nobody here asks for: boxes as floats, texts, lists that are empty."""
    import tensorflow as tf

    folder, shots = data_dir / "imagenet2012", {}
    folder.mkdir(parents=True)
    for part in "train", "validation":
        for shard in range(2):
            with tf.io.TFRecordWriter(str(folder / f"{part}-0000{shard}-of-00002")) as writer:
                for number in range(3):
                    shots[part, shard, number] = picture(10 * shard + number, (9, 12, 3))
                    png = tf.io.encode_png(shots[part, shard, number]).numpy()
                    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[1000 - number]))
                    features = {
                        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
                        "image/class/label": label,
                        "image/object/bbox/xmin": tf.train.Feature(float_list=tf.train.FloatList(value=[0.1, 0.5])),
                        "image/object/bbox/label": tf.train.Feature(int64_list=tf.train.Int64List()),
                        "image/class/text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a fish"])),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    writer.write(example.SerializeToString())
    splits = datasets.load("imagenet2012")
    assert datasets.found("imagenet2012") == str(folder)
    for part, split in ("train", splits.train), ("validation", splits.test):
        assert split.labels.tolist() == [999, 998, 997] * 2
        for place in range(6):
            np.testing.assert_array_equal(split.image(place), shots[part, place // 3, place % 3])
    (folder / "train-00001-of-00002").unlink()
    datasets._whole.cache_clear()
    with pytest.raises(LabError, match="has 1 files of train"):
        datasets.load("imagenet2012")


def test_the_newest_version_is_taken(data_dir):
    for version in "3.0.1", "3.0.10", "3.0.9", "nonsense.of.ours":
        (data_dir / "x" / version).mkdir(parents=True)
        (data_dir / "x" / version / "file").touch()
    (data_dir / "x" / "9.0.0").mkdir()  # prepared, and then emptied
    assert prepared.newest(data_dir, "x").name == "3.0.10"
    assert prepared.newest(data_dir, "y") is None


@pytest.mark.parametrize("damage", ["cut", "empty", "shard"])
@pytest.mark.parametrize("read", [prepared.images, prepared.index])
def test_damaged_files_are_told(data_dir, damage, read):
    home = prepare(data_dir, "cifar10", {"test": [picture(i, (8, 8, 3)) for i in range(4)]}, (8, 8, 3), 10)
    (file,) = home.glob("*.tfrecord-*")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif damage == "empty":
        file.write_bytes(b"\x05" + b"\0" * 11 + b"\xff" * 9)
    else:
        file.rename(str(file).replace("of-00001", "of-00002"))
    with pytest.raises(LabError, match=r"(truncated|damaged).*prepare it anew"):
        read(home, "test")


@pytest.mark.data
def test_both_ways_read_the_same_cifar10(monkeypatch):
    monkeypatch.undo()
    home = prepared.newest(datasets.data_dir(), "cifar10")
    for ours, theirs in zip(prepared.images(home, "test"), datasets._through_tfds(home, "test"), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def shard(data_dir):
    """A small TFRecord file and its folder."""
    home = prepare(data_dir, "cifar10", {"test": [picture(i, (8, 8, 3)) for i in range(4)]}, (8, 8, 3), 10)
    (file,) = home.glob("*.tfrecord-*")
    return home, file


def test_any_flipped_bit_of_a_shard_is_told_whichever_way_it_is_read(shard):
    """By sets in memory, by the index, and by each record for itself, whose place a kept index knows."""
    home, file = shard
    content = file.read_bytes()
    places, _ = prepared.index(home, "test")
    whole = {place: read_image(place) for place in places}
    spans = {place: [int(number) for number in place.rpartition("#")[2].split("+")] for place in places}

    @given(st.integers(0, len(content) - 1), st.integers(0, 7))
    def flip(place, bit):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        file.write_bytes(damaged)
        for read in prepared.images, prepared.index:
            with pytest.raises(LabError, match="prepare it anew"):
                read(home, "test")
        for one, (offset, length) in spans.items():
            if offset <= place < offset + length + 4:  # in its bytes or in their checksum
                for ask in encoded, read_image:
                    with pytest.raises(LabError, match="bits have flipped"):
                        ask(one)
            else:
                np.testing.assert_array_equal(read_image(one), whole[one])

    flip()


def test_the_making_of_a_large_index_is_told(shard, monkeypatch, tmp_path, capsys):
    home, _ = shard
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "LARGE", 1)
    datasets._indexed(home, "test")
    assert "of test are read and checked, this once" in capsys.readouterr().err
    datasets._indexed(home, "test")
    assert capsys.readouterr().err == ""


@given(st.binary(max_size=4 * prepared.BLOCK // 3) | st.integers(0, 3 * prepared.BLOCK).map(bytes))
def test_checksums_are_the_ones_that_tensorflow_writes(tmp_path, content):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(content)
    written = (tmp_path / "x").read_bytes()
    assert prepared.checksum(content) == written[-4:]
    assert list(prepared.records(tmp_path / "x", checked=True)) == [(12, content)]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_told(content):
    try:
        assert isinstance(prepared.example(content), dict)
    except ValueError as error:
        assert str(error)

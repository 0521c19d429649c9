"""ImageNet as TensorFlow Datasets' own builder prepares it, from made archives of all its thousand classes."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import datasets, evaluation, prepared, training
from alexnet_tf.__main__ import main
from alexnet_tf.splits import read_image

SMALL = {
    "image_size": 67, "crop_from": 72, "augment.crop": 2, "epochs": 2, "batch_size": 128,
    "options.width": 0.125, "options.dense_units": 16,
}  # fmt: skip


def photograph(rng):
    content = io.BytesIO()
    shape = (*rng.integers(20, 60, 2), 3)
    Image.fromarray(rng.integers(0, 256, shape, dtype="uint8")).save(content, "JPEG", quality=30)
    return content.getvalue()


def archive(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A thousand training photographs, one a class, and forty for validation, in four shards each."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.datasets.imagenet2012 import imagenet2012_dataset_builder as real

    base, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    manual = base / "manual"
    manual.mkdir()
    train = {}
    for name in real.imagenet_common.label_names_file().read_text().split():
        archive(manual / "class.tar", {f"{name}_1.JPEG": photograph(rng)})
        train[f"{name}.tar"] = (manual / "class.tar").read_bytes()
    archive(manual / "ILSVRC2012_img_train.tar", train)
    val = {f"ILSVRC2012_val_{number:08}.JPEG": photograph(rng) for number in range(1, 41)}
    archive(manual / "ILSVRC2012_img_val.tar", val)
    config = tfds.download.DownloadConfig(manual_dir=manual, num_shards=4)
    real.Builder(data_dir=base).download_and_prepare(download_config=config)
    return base


@pytest.fixture
def home(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(data_dir))
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    datasets._whole.cache_clear()
    yield prepared.newest(data_dir, "imagenet2012")
    datasets._whole.cache_clear()


def test_every_class_is_found_with_its_name_and_pixels(home):
    import tensorflow_datasets as tfds

    splits = datasets.load("imagenet2012")
    assert (len(splits.train), len(splits.test), splits.classes) == (1000, 40, 1000)
    assert sorted(splits.train.labels) == list(range(1000))
    assert splits.class_names[0] == "n01440764"
    read = tfds.ReadConfig(interleave_cycle_length=1)
    raw = {"image": tfds.decode.SkipDecoding()}  # theirs is the quicker transform, up to three grey levels off
    theirs = tfds.builder_from_directory(str(home)).as_dataset(split="validation", read_config=read, decoders=raw)
    for place, row in enumerate(tfds.as_numpy(theirs)):
        assert splits.test.labels[place] == row["label"]
        np.testing.assert_array_equal(splits.test.image(place), read_image(io.BytesIO(row["image"])))


def test_shards_are_read_once_until_one_changes(home, monkeypatch):
    first = datasets.load("imagenet2012")
    datasets._whole.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "records", lambda *_, **__: pytest.fail("read again"))
        again = datasets.load("imagenet2012")
    assert again.train.files == first.train.files
    np.testing.assert_array_equal(again.train.labels, first.train.labels)
    shard = prepared.shards(home, "train")[0]
    content = shard.read_bytes()
    datasets._whole.cache_clear()
    try:
        shard.write_bytes(content[: len(content) // 2])
        with pytest.raises(datasets.LabError, match="truncated"):
            datasets.load("imagenet2012")
    finally:
        shard.write_bytes(content)


def test_the_papers_recipe_trains_on_a_thousand_classes(home, tmp_path, capsys):
    run = training.train("imagenet-2012", "paper", 0, SMALL, store=tmp_path / "runs")
    assert np.isfinite([row["loss"] for row in run.history]).tolist() == [True, True]
    assert run.outputs["test_logits"].shape == (40, 1000)
    assert main(["evaluate", str(run.path), "--ten-crop"]) == 0
    said = capsys.readouterr().out
    one = evaluation.ranks(run.outputs["test_labels"], run.outputs["test_logits"])
    assert f"one crop: top-1 {evaluation.top(1, one)}, top-5 {evaluation.top(5, one)}" in said
    assert "ten crops: top-1" in said
    assert run.record["provenance"]["peak_mib"] > 100


@pytest.mark.slow
def test_the_papers_recipe_trains_on_a_thousand_class_folders(tmp_path):
    rng = np.random.default_rng(0)
    for part in "train", "val":
        for number in range(1000):
            folder = tmp_path / "photos" / part / f"n{number:08}"
            folder.mkdir(parents=True)
            (folder / "x.jpg").write_bytes(photograph(rng))
    changes = {**SMALL, "dataset": str(tmp_path / "photos"), "epochs": 1}
    run = training.train("imagenet-2012", "paper", 0, changes, store=tmp_path / "runs")
    assert run.record["class_names"][999] == "n00000999"
    assert run.outputs["test_logits"].shape == (1000, 1000)
    assert sorted(run.outputs["test_labels"]) == list(range(1000))

"""CIFAR-10 through its python version: made files in the real format, hostile ones, a local server."""

import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest

from alexnet_tf import datasets, doors
from alexnet_tf.errors import LabError


class Payload:
    """A pickle of this would write a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Batches of twenty, and no CIFAR-10 of this machine's own."""
    monkeypatch.setattr(doors, "PER_BATCH", 20)
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ALEXNET_KAGGLE_INPUT", str(tmp_path / "kaggle"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    datasets._whole.cache_clear()
    yield
    datasets._whole.cache_clear()


def batch(seed):
    """One batch as the python version has it: red, green and blue planes, one after the other."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(0, 256, (20, 3072), dtype="uint8")
    labels = (np.arange(20) % 10).tolist()
    return pickle.dumps({b"batch_label": b"x", b"labels": labels, b"data": planes, b"filenames": [b"x"] * 20}, 2)


def make_folder(base):
    base.mkdir(parents=True)
    for seed, name in enumerate((*doors.TRAIN, "test_batch")):
        (base / name).write_bytes(batch(seed))
    return base


def make_archive(path, outside=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for seed, name in enumerate((*doors.TRAIN, "test_batch")):
            member = tarfile.TarInfo(f"{outside or doors.FOLDER}/{name}")
            content = batch(seed)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_folder_and_archive_hold_the_same_images(tmp_path):
    (train, test), (again, _) = (
        doors.read_python_version(make_folder(tmp_path / doors.FOLDER)),
        doors.read_python_version(make_archive(tmp_path / doors.ARCHIVE)),
    )
    assert train[0].shape == (100, 32, 32, 3)
    assert test[0].shape == (20, 32, 32, 3)
    np.testing.assert_array_equal(train[0], again[0])
    planes = pickle.loads(batch(0))[b"data"]
    assert train[0][3, 5, 7].tolist() == [planes[3, 1024 * c + 32 * 5 + 7] for c in range(3)]


@pytest.mark.parametrize(
    "place",
    [
        f"data/{doors.FOLDER}", f"data/{doors.ARCHIVE}", f"kaggle/cifar10-python/{doors.FOLDER}",
        f"keras/datasets/{doors.FOLDER}", f"keras/datasets/{doors.FOLDER}-target/{doors.FOLDER}",
    ],
)  # fmt: skip
def test_cifar10_is_found_where_machines_keep_it(tmp_path, place):
    path = tmp_path / place
    make_archive(path) if place.endswith(".gz") else make_folder(path)
    splits = datasets.load("cifar10")
    assert (len(splits.train), len(splits.test)) == (100, 20)
    assert splits.class_names[3] == "cat"
    assert splits.train.ids.tolist() == list(range(100))


def test_a_pickle_with_a_payload_does_not_run(tmp_path):
    folder = make_folder(tmp_path / doors.FOLDER)
    target = tmp_path / "written"
    (folder / "data_batch_2").write_bytes(pickle.dumps({b"data": Payload(str(target))}, 2))
    with pytest.raises(LabError, match=r"data_batch_2 is no batch .* _?io\.open, which no array needs"):
        doors.read_python_version(folder)
    assert not target.exists()


def test_members_that_climb_out_are_read_in_memory_only(tmp_path):
    archive = make_archive(tmp_path / "in" / doors.ARCHIVE, outside="../../climbed")
    doors.read_python_version(archive)
    assert not list(tmp_path.rglob("climbed"))
    assert not (tmp_path.parent / "climbed").exists()


@pytest.mark.parametrize("damage", ["cut", "missing", "labels", "archive"])
def test_damaged_files_are_told(tmp_path, damage):
    folder = make_folder(tmp_path / doors.FOLDER)
    if damage == "cut":
        (folder / "data_batch_3").write_bytes(batch(2)[:500])
    elif damage == "missing":
        (folder / "test_batch").unlink()
    elif damage == "labels":
        wrong = {**pickle.loads(batch(0)), b"labels": [12] * 20}
        (folder / "data_batch_1").write_bytes(pickle.dumps(wrong, 2))
    else:
        folder = tmp_path / doors.ARCHIVE
        folder.write_bytes(b"no archive")
    with pytest.raises(LabError, match=r"is no (whole )?(batch of )?CIFAR-10|is no batch of CIFAR-10"):
        doors.read_python_version(folder)


@pytest.fixture
def server(tmp_path):
    """Files of a folder over HTTP on the loopback interface."""
    (tmp_path / "www").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(tmp_path / "www"), **kwargs)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_download_is_checked_and_falls_back(tmp_path, server):
    good = make_archive(tmp_path / "www" / "good.tar.gz").read_bytes()
    (tmp_path / "www" / "bad.tar.gz").write_bytes(b"something else")
    right = hashlib.sha256(good).hexdigest()
    target = tmp_path / "data" / doors.ARCHIVE
    sources = [f"{server}/missing.tar.gz", f"{server}/bad.tar.gz", f"{server}/good.tar.gz"]
    assert doors.download(target, sources, right).read_bytes() == good
    assert len(datasets.load("cifar10").train) == 100
    other = tmp_path / "other" / doors.ARCHIVE
    with pytest.raises(LabError, match=r"can't be had.*(?i:not found).*not CIFAR-10.*yourself"):
        doors.download(other, sources[:2], right)
    assert not list(other.parent.iterdir())


def test_prepared_records_are_read_without_tensorflow(tmp_path):
    import tensorflow as tf

    def png(seed):
        image = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype="uint8")
        return image, tf.io.encode_png(image).numpy()

    path = tmp_path / "cifar10-test.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in (300, 7, 150):
            values = {
                "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"test_{number:05}".encode()])),
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(number)[1]])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString())
    ids, labels, images = doors.read_prepared(tmp_path, "test")
    assert ids.tolist() == labels.tolist() == [7, 150, 300]
    np.testing.assert_array_equal(images[1], png(150)[0])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(LabError, match="is truncated"):
        doors.read_prepared(tmp_path, "test")
    path.write_bytes(b"")
    with pytest.raises(LabError, match="is damaged"):
        doors.read_prepared(tmp_path, "test")


@pytest.mark.data
def test_both_ways_read_the_same_cifar10(monkeypatch):
    monkeypatch.undo()
    folder = datasets.data_dir() / "cifar10" / "3.0.2"
    for ours, theirs in zip(doors.read_prepared(folder, "test"), datasets._through_tfds(folder, "test"), strict=True):
        np.testing.assert_array_equal(ours, theirs)

"""Files in the real formats, hostile ones, and downloads from a local server."""

import gzip
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

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
        f"kaggle/datasets/owner/cifar10-python/{doors.FOLDER}", f"kaggle/datasets/owner/slug/inside/{doors.ARCHIVE}",
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


class Addresses:
    """A pickle of this would make numpy take eight bytes of the file for the address of an object."""

    def __reduce__(self):
        return np.ndarray, ((20, 3072), np.dtype("O"), b"A" * 20 * 3072 * 8)


def test_a_pickle_does_not_reach_numpy(tmp_path):
    content = pickle.dumps({b"data": Addresses(), b"labels": [0] * 20}, 2)
    with pytest.raises(LabError, match="x is no batch of CIFAR-10"):
        doors.unpickle_batch(content, "x")


@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_a_batch_with_any_byte_changed_or_cut_away_is_whole_or_told(place, flip, cut):
    content = bytearray(batch(0))
    place = place % 200 if place % 2 else place % len(content)  # half of them where the pickle says what it holds
    content[place] ^= flip
    try:
        images, labels = doors.unpickle_batch(bytes(content[:place] if cut else content), "x")
    except LabError as error:
        assert "x is no" in str(error)
    else:  # a pixel, a label or an unread name; the format has no checksum
        assert (images.shape, images.dtype, labels.shape) == ((20, 32, 32, 3), np.uint8, (20,))


@given(st.binary(max_size=80))
def test_any_bytes_are_no_batch(content):
    with pytest.raises(LabError, match="x is no"):
        doors.unpickle_batch(content, "x")


def test_archives_that_grow_without_end_are_not_read_to_it(tmp_path, monkeypatch):
    """A few kilobytes that unpack into more than a set can hold."""
    monkeypatch.setattr(doors, "LARGEST", 100_000)
    archive = make_archive(tmp_path / doors.ARCHIVE)
    with tarfile.open(archive, "w:gz") as packed:
        for name in (*doors.TRAIN, "test_batch"):
            member = tarfile.TarInfo(f"{doors.FOLDER}/{name}")
            member.size = 10_000_000
            packed.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(LabError, match="more than 0 MB: it is not what it seems"):
        doors.read_python_version(archive)
    folder = make_fashion(tmp_path / "fashion")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(LabError, match="it is not what it seems"):
        doors.read_fashion(folder)


@given(st.integers(0, 39), st.integers(1, 255), st.booleans())
def test_a_fashion_file_with_any_byte_of_its_head_changed_is_whole_or_told(tmp_path, place, flip, packed):
    folder = tmp_path / f"fashion-{packed}"
    if not folder.is_dir():
        make_fashion(folder, packed)
    (file,) = folder.glob("t10k-images*")
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[place] ^= flip
    file.write_bytes(damaged)
    try:
        _, (images, labels) = doors.read_fashion(folder)
        assert len(images) == len(labels)
    except LabError as error:
        assert "get it anew" in str(error)
    finally:
        file.write_bytes(whole)


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
def server(tmp_path, monkeypatch):
    """Files of a folder over HTTP on the loopback interface."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "www").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(tmp_path / "www"), **kwargs)

        def log_message(self, *args):
            pass

        def do_GET(self):
            if self.path == "/portal":
                self.wfile.write(b"Please log in first.\r\n")
            else:
                super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def wanted(content, *sources, target=doors.ARCHIVE):
    return doors.Download(target, sources, hashlib.sha256(content).hexdigest(), 1)


def test_a_download_is_checked_and_falls_back(tmp_path, server):
    good = make_archive(tmp_path / "www" / "good.tar.gz").read_bytes()
    (tmp_path / "www" / "bad.tar.gz").write_bytes(b"something else")
    sources = [f"{server}/{name}" for name in ("missing.tar.gz", "bad.tar.gz", "portal", "good.tar.gz")]
    assert doors.download("cifar10", wanted(good, *sources), tmp_path / "data").read_bytes() == good
    assert len(datasets.load("cifar10").train) == 100
    other = tmp_path / "other"
    with pytest.raises(
        LabError, match=r"cifar10 can't be had.*(?i:not found).*is not cifar10.*Please log in.*yourself"
    ):
        doors.download("cifar10", wanted(good, *sources[:3]), other)
    assert not list(other.iterdir())


def test_an_interrupted_download_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(source, target):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(doors, "_fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        doors.download("cifar10", wanted(b"", "http://127.0.0.1/x"), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_flower_photos_are_unpacked_and_split(tmp_path, server, monkeypatch):
    photos = tmp_path / "flower_photos"
    for number, name in enumerate(("daisy", "roses")):
        (photos / name).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (9, 9), (i, number, 0)).save(photos / name / f"{i}.jpg")
    (photos / "LICENSE.txt").write_text("free")
    packed = tmp_path / "www" / "flower_photos.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(photos, "flower_photos")
    item = wanted(packed.read_bytes(), f"{server}/flower_photos.tgz", target="flower_photos.tgz")
    monkeypatch.setattr(doors, "DOWNLOADS", {"flowers": (item,)})
    assert doors.get("flowers", tmp_path / "data") == tmp_path / "data" / "flower_photos"
    splits = datasets.load("flowers")
    assert (len(splits.train), len(splits.test), splits.class_names) == (36, 4, ("daisy", "roses"))
    assert not set(splits.train.ids) & set(splits.test.ids)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["flower_photos"]
    with pytest.raises(LabError, match="flower_photos is there already: remove it"):
        doors.get("flowers", tmp_path / "data")


def test_photographs_that_are_half_unpacked_are_not_there(tmp_path, server, monkeypatch):
    """The disk fills up in the middle of the archive."""
    packed = tmp_path / "www" / "flower_photos.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        for i in range(3):
            archive.addfile(tarfile.TarInfo(f"flower_photos/daisy/{i}.jpg"), io.BytesIO())
    item = wanted(packed.read_bytes(), f"{server}/flower_photos.tgz", target="flower_photos.tgz")
    monkeypatch.setattr(doors, "DOWNLOADS", {"flowers": (item,)})

    def full(self, path, *args, **kwargs):
        (doors.Path(path) / "flower_photos" / "daisy").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", full)
        with pytest.raises(LabError, match=r"can't be unpacked .*No space left"):
            doors.get("flowers", tmp_path / "data")
    assert datasets.found("flowers") is None
    assert doors.get("flowers", tmp_path / "data").is_dir()
    assert datasets.found("flowers")


def test_members_that_climb_out_are_not_unpacked(tmp_path, server, monkeypatch):
    packed = tmp_path / "www" / "flower_photos.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo("../climbed.txt")
        archive.addfile(member, io.BytesIO())
    item = wanted(packed.read_bytes(), f"{server}/flower_photos.tgz", target="flower_photos.tgz")
    monkeypatch.setattr(doors, "DOWNLOADS", {"flowers": (item,)})
    with pytest.raises(LabError, match="can't be unpacked"):
        doors.get("flowers", tmp_path / "data")
    assert not list(tmp_path.rglob("climbed.txt"))


def make_fashion(base, packed=True):
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in ("train", 30), ("t10k", 10):
        images = b"\0\0\x08\x03" + np.array([count, 28, 28], ">u4").tobytes()
        labels = b"\0\0\x08\x01" + np.array([count], ">u4").tobytes()
        images += rng.integers(0, 256, (count, 28, 28), dtype="uint8").tobytes()
        labels += (np.arange(count) % 10).astype("uint8").tobytes()
        for name, content in (f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels):
            path = base / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
    return base


def test_all_files_of_a_dataset_are_got(tmp_path, server, monkeypatch):
    made = make_fashion(tmp_path / "www" / "fashion")
    items = tuple(
        wanted(file.read_bytes(), f"{server}/fashion/{file.name}", target=f"fashion-mnist/{file.name}")
        for file in sorted(made.iterdir())
    )
    monkeypatch.setattr(doors, "DOWNLOADS", {"fashion_mnist": items})
    assert doors.get("fashion_mnist", tmp_path / "data") == tmp_path / "data" / "fashion-mnist"
    assert len(datasets.load("fashion_mnist").train) == 30


@pytest.mark.parametrize(
    "place",
    [
        *("data/fashion-mnist", "data", "kaggle/fashionmnist", "kaggle/datasets/owner/fashionmnist"),
        "keras/datasets/fashion-mnist",
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_fashion_mnist_is_found_where_machines_keep_it(tmp_path, place, packed):
    make_fashion(tmp_path / place, packed)
    splits = datasets.load("fashion_mnist")
    assert (len(splits.train), len(splits.test)) == (30, 10)
    assert splits.train.images.shape == (30, 28, 28, 3)
    assert (splits.train.images[..., 0] == splits.train.images[..., 2]).all()
    assert splits.class_names[splits.test.labels[9]] == "Ankle boot"


@pytest.mark.parametrize("damage", ["cut", "no idx", "missing", "counts"])
def test_a_damaged_fashion_mnist_is_told(tmp_path, damage):
    folder = make_fashion(tmp_path / "data", packed=False)
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if damage == "cut":
        images.write_bytes(images.read_bytes()[:-50])
    elif damage == "no idx":
        images.write_bytes(b"something else altogether")
    elif damage == "missing":
        images.unlink()
    else:
        labels.write_bytes(b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + b"\0\1\2")
    with pytest.raises(LabError, match="get it anew"):
        datasets.load("fashion_mnist")


def test_every_download_is_offered_and_pinned():
    from alexnet_tf.commands.listings import GETTABLE

    assert set(GETTABLE) == set(doors.DOWNLOADS)
    for item in [item for items in doors.DOWNLOADS.values() for item in items]:
        assert len(item.sha256) == 64
        assert all(source.startswith("http") for source in item.sources)

"""A name becomes ``Splits(train, val, test, class_names)``: raw uint8 images, never augmented.

Real data are read from ``ALEXNET_DATA_DIR`` and nothing takes their place: a dataset that was
asked for and can't be had is an error with the remedy. Splits are fixed, apart from the seed of
a training. Two protocols:

- ``source``: all training images; the curve that training records is the test set's, as the
  sources recorded theirs. There is no validation set.
- ``honest``: a fixed, stratified tenth of the training images is held out for every choice, and
  the test set is touched once, at the end.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import doors, paintbox
from alexnet_tf.errors import LabError, choose
from alexnet_tf.recipe import PROTOCOLS

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
HELD_OUT = 0.1


@dataclass(frozen=True)
class Split:
    """Examples with their ids and labels: images in memory, or the files that hold them."""

    ids: NDArray[np.str_] | NDArray[np.int32]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | None = None
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.int64] | Sequence[int]) -> Split:
        """The examples at these places, in this order."""
        images = None if self.images is None else self.images[chosen]
        files = tuple(self.files[i] for i in chosen) if self.files else ()
        return Split(self.ids[chosen], self.labels[chosen], images, files)

    def image(self, place: int) -> NDArray[np.uint8]:
        """One raw image, decoded if it lies in a file."""
        return self.images[place] if self.images is not None else read_image(self.files[place])


@dataclass(frozen=True)
class Splits:
    """What a training sees: `val` is None under the source protocol."""

    train: Split
    val: Split | None
    test: Split
    class_names: tuple[str, ...]

    @property
    def monitored(self) -> Split:
        """What the curve of a training is measured on."""
        return self.test if self.val is None else self.val

    def fingerprint(self) -> str:
        """A short hash of every label and pixel (or file), so that a record says what it saw."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            if split is None:
                continue
            digest.update(np.ascontiguousarray(split.labels).tobytes())
            if split.images is not None:
                digest.update(np.ascontiguousarray(split.images).data)
            for file in split.files:
                digest.update(Path(file).read_bytes())
        return digest.hexdigest()[:16]


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image file as upright RGB pixels, whatever its mode."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits a pixel: PIL would cut, not scale
                upright = Image.fromarray((np.asarray(upright) / 257).clip(0, 255).astype("uint8"))
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise LabError(f"There is no image {path}: check the path.") from error
    except Image.DecompressionBombError as error:
        raise LabError(f"{path} has too many pixels to be opened safely: make it smaller.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise LabError(f"{path} can't be read as an image: is it whole, and a JPEG or PNG?") from error


def data_dir() -> Path:
    """The folder of the real data."""
    named = os.environ.get("ALEXNET_DATA_DIR")
    return Path(named) if named else Path.home() / "tensorflow_datasets"


def _missing(name: str, wanted: str, remedy: str) -> LabError:
    named = "ALEXNET_DATA_DIR" if os.environ.get("ALEXNET_DATA_DIR") else "ALEXNET_DATA_DIR is not set; the default"
    return LabError(
        f"The dataset {name} is not there: {wanted} was looked for in {data_dir()} ({named}). "
        f"{remedy} Or use --budget quick, which draws its own images."
    )


def _drawn(kit: paintbox.Kit, size: int, train: int, test: int) -> Splits:
    """An embedded set; the seeds are part of the dataset's definition."""
    parts = []
    for count, seed, prefix in (train, 2012, "train"), (test, 2024, "test"):
        images, labels = paintbox.draw(kit, count, size, seed)
        parts.append(Split(np.array([f"{prefix}-{i}" for i in range(count)]), labels, images))
    return Splits(parts[0], None, parts[1], tuple(kit.classes))


def _paintbox() -> Splits:
    return _drawn(paintbox.OBJECTS, size=32, train=4000, test=1000)


def _paintbox_flowers() -> Splits:
    return _drawn(paintbox.FLOWERS, size=112, train=640, test=200)


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _cifar10() -> Splits:
    """All 60,000 images: as TensorFlow Datasets prepares them, else the python version."""
    prepared = data_dir() / "cifar10" / "3.0.2"
    if prepared.is_dir() and any(prepared.iterdir()):
        return _cifar10_prepared()
    for path in doors.python_versions(data_dir()):
        print(f"cifar10: read from {path}", file=sys.stderr)
        parts = [
            Split(np.arange(len(labels), dtype="int32"), labels, images)
            for images, labels in doors.read_python_version(path)
        ]
        return Splits(parts[0], None, parts[1], CIFAR10_CLASSES)
    raise _missing(
        "cifar10",
        f"cifar10/3.0.2, {doors.FOLDER} or {doors.ARCHIVE}",
        "'python -m alexnet_tf data --get cifar10' downloads it (170 MB).",
    )


def _cifar10_prepared() -> Splits:
    """Through TensorFlow Datasets; under another backend, the same files without TensorFlow."""
    folder = data_dir() / "cifar10" / "3.0.2"
    parts = []
    for name in "train", "test":
        if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
            ids, labels, images = _through_tfds(folder, name)
        else:
            ids, labels, images = doors.read_prepared(folder, name)
        parts.append(Split(ids, labels, images))
    return Splits(parts[0], None, parts[1], CIFAR10_CLASSES)


def _through_tfds(folder: Path, part: str) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    from alexnet_tf import quiet  # noqa: F401  (loads TensorFlow without its log lines)

    import tensorflow_datasets as tfds  # isort: skip

    try:
        loaded = tfds.load("cifar10", split=part, data_dir=str(data_dir()), download=False, batch_size=-1)
        arrays = tfds.as_numpy(loaded)
    except Exception as error:  # whatever a damaged folder makes TensorFlow Datasets raise
        raise LabError(f"{folder} is damaged ({type(error).__name__}): remove it and prepare it anew.") from error
    ids = np.array([int(i.decode().rsplit("_", 1)[1]) for i in arrays["id"]], "int32")
    order = ids.argsort()
    return ids[order], arrays["label"][order].astype("int64"), arrays["image"][order]


def _flowers() -> Splits:
    """Five kinds of flowers: ``flowers/train`` and ``flowers/val``, a folder a class."""
    base = data_dir() / "flowers"
    if not (base / "train").is_dir() or not (base / "val").is_dir():
        raise _missing("flowers", "flowers/train and flowers/val", "Put one folder of photographs a class into each.")
    train, names = folder(base / "train")
    test, test_names = folder(base / "val")
    if names != test_names:
        raise LabError(f"flowers/train has the classes {names} and flowers/val has {test_names}: make them equal.")
    return Splits(train, None, test, names)


def folder(path: Path | str) -> tuple[Split, tuple[str, ...]]:
    """A folder of class folders as one split, in the order of the names."""
    base = Path(path)
    if not base.is_dir():
        raise LabError(f"There is no folder {base}: name one that holds a folder of images a class.")
    names = tuple(sorted(entry.name for entry in base.iterdir() if entry.is_dir() and entry.name[0] != "."))
    files, labels = [], []
    for label, name in enumerate(names):
        listed = sorted((base / name).iterdir())
        found = [file for file in listed if file.suffix.lower() in IMAGE_ENDINGS and file.is_file()]
        if not found:
            raise LabError(f"The class folder {base / name} holds no image: fill it or remove it.")
        files += found
        labels += [label] * len(found)
    if len(names) < 2:
        raise LabError(f"{base} has {len(names)} class folder(s): a classifier needs at least two.")
    ids = np.array([str(file.relative_to(base)) for file in files])
    return Split(ids, np.array(labels, "int64"), files=tuple(map(str, files))), names


LOADERS: dict[str, Callable[[], Splits]] = {
    "cifar10": _cifar10,
    "flowers": _flowers,
    "paintbox": _paintbox,
    "paintbox-flowers": _paintbox_flowers,
}


def stratified(labels: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.int64]:
    """Places of `count` examples with the classes in proportion, fixed by the seed alone."""
    rng = np.random.default_rng(seed)
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(rank, kind="stable")[:count])


@lru_cache(maxsize=3)
def _whole(name: str, folder: Path) -> Splits:
    """A dataset as it is, kept in memory for the next run of the same process."""
    return LOADERS[name]()


def load(name: str, protocol: str = "source", train_images: int | None = None) -> Splits:
    """The splits of a dataset under a protocol, with `train_images` stratified ones to train on."""
    choose("protocol", protocol, PROTOCOLS)
    whole = _whole(choose("dataset", name, LOADERS), data_dir())
    train, val = whole.train, whole.val
    if protocol == "honest":
        held = stratified(train.labels, round(HELD_OUT * len(train)))
        rest = np.setdiff1d(np.arange(len(train)), held)
        train, val = train.take(rest), train.take(held)
    if train_images is not None:
        if not 1 <= train_images <= len(train):
            raise LabError(f"train_images must lie between 1 and {len(train)} for {name}; received {train_images}.")
        train = train.take(stratified(train.labels, train_images))
    return Splits(train, val, whole.test, whole.class_names)


def found(name: str) -> str | None:
    """Where a dataset lies on this machine; None where it has to be got first."""
    if name.startswith("paintbox"):
        return "drawn by code"
    if name == "cifar10":
        prepared = data_dir() / "cifar10" / "3.0.2"
        if prepared.is_dir() and any(prepared.iterdir()):
            return str(prepared)
        return next((str(path) for path in doors.python_versions(data_dir())), None)
    return str(data_dir() / "flowers") if (data_dir() / "flowers" / "train").is_dir() else None

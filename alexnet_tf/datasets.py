"""A name becomes ``Splits(train, val, test, class_names)``: raw uint8 images, never augmented.

A name is one of `LOADERS`, or a path (with a slash) to a user's own folder of class folders.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import doors, paintbox, prepared
from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.recipe import PROTOCOLS

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
HELD_OUT = 0.1
CHECKED = 20_000  # a folder of more images is not opened file by file before a training


@dataclass(frozen=True)
class Split:
    """Examples with their ids and labels: images in memory, or the files that hold them."""

    ids: NDArray[np.str_] | NDArray[np.int32]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | None = None
    files: tuple[str, ...] = ()  # paths, or places of records (prepared.py)

    def __post_init__(self) -> None:
        if self.labels.dtype.kind not in "iu":
            raise LabError(f"Labels must be whole numbers; received {self.labels.dtype}.")
        if self.images is not None and (self.images.dtype != np.uint8 or self.images.shape[3:] != (3,)):
            told = f"{self.images.dtype} of shape {self.images.shape}"
            raise LabError(f"Images must be uint8 of shape (n, height, width, 3), raw and in RGB; received {told}.")
        held = len(self.files) if self.images is None else len(self.images)
        if not len(self.ids) == len(self.labels) == held:
            raise LabError(f"A split needs as many ids and labels as its {held} images; received {len(self.labels)}.")

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
    skipped: tuple[str, ...] = ()  # damaged files that were left out because that was asked for

    def __post_init__(self) -> None:
        for split in (self.train, self.val, self.test):
            if split is not None and len(split) and not 0 <= split.labels.min() <= split.labels.max() < self.classes:
                low, high = split.labels.min(), split.labels.max()
                raise LabError(f"Labels must lie from 0 to {self.classes - 1}; received {low} to {high}.")

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

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
                in_record = prepared.is_place(file)  # shards may be terabytes: their places stand for them
                digest.update(Path(file).name.encode() if in_record else Path(file).read_bytes())
        return digest.hexdigest()[:16]


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """An image file as upright RGB pixels, whatever its mode."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(prepared.encoded(str(path)) if prepared.is_place(str(path)) else path) as image:
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


# What is looked for, and how it is got.
WANTED = {
    "cifar10": (
        f"cifar10/3.0.2, {doors.FOLDER} or {doors.ARCHIVE}",
        "'python -m alexnet_tf data --get cifar10' downloads it (170 MB)",
    ),
    "fashion_mnist": (
        "fashion_mnist/3.0.1 or fashion-mnist/*-ubyte.gz",
        "'python -m alexnet_tf data --get fashion_mnist' downloads it (31 MB)",
    ),
    "flowers": (
        "flowers/train and flowers/val, or flower_photos,",
        "'python -m alexnet_tf data --get flowers' downloads 3,670 photographs (229 MB)",
    ),
    "tf_flowers": (
        "tf_flowers/3.0.1",
        "TensorFlow Datasets prepares it: tfds build tf_flowers --data_dir=$ALEXNET_DATA_DIR",
    ),
    "imagenet2012": (
        "imagenet2012/5.1.0",
        "get its archives from image-net.org; TensorFlow Datasets prepares them: tfds build imagenet2012",
    ),
}


def _missing(name: str) -> LabError:
    named = "ALEXNET_DATA_DIR" if os.environ.get("ALEXNET_DATA_DIR") else "ALEXNET_DATA_DIR is not set; the default"
    wanted, remedy = WANTED[name]
    return LabError(
        f"The dataset {name} is not there: {wanted} was looked for in {data_dir()} ({named}). "
        f"{remedy}. Or use --budget quick, which draws its own images."
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


FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def _small(
    name: str,
    class_names: tuple[str, ...],
    files: Callable[[Path], Iterator[Path]],
    read: Callable[[Path], tuple[doors.Images, doors.Images]],
) -> Splits:
    """A set that fits in memory: as TensorFlow Datasets prepares it, else from the files it is published in."""
    home = prepared.newest(data_dir(), name)
    if home:
        through_tfds = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
        reader = _through_tfds if through_tfds else prepared.images  # the same files without TensorFlow
        parts = [Split(*reader(home, part)) for part in ("train", "test")]
        return Splits(parts[0], None, parts[1], class_names)
    for path in files(data_dir()):
        print(f"{name}: read from {path}", file=sys.stderr)
        parts = [Split(np.arange(len(labels), dtype="int32"), labels, images) for images, labels in read(path)]
        return Splits(parts[0], None, parts[1], class_names)
    raise _missing(name)


def _cifar10() -> Splits:
    return _small("cifar10", CIFAR10_CLASSES, doors.python_versions, doors.read_python_version)


def _fashion_mnist() -> Splits:
    return _small("fashion_mnist", FASHION_CLASSES, doors.fashion_folders, doors.read_fashion)


def _through_tfds(home: Path, part: str) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Ids, labels and RGB images of a part, in the order of the ids."""
    from alexnet_tf import quiet  # noqa: F401  (loads TensorFlow without its log lines)

    import tensorflow_datasets as tfds  # isort: skip

    try:
        builder = tfds.builder_from_directory(str(home))
        rows = tfds.as_numpy(builder.as_dataset(split=part, batch_size=-1))
    except Exception as error:  # whatever a damaged folder makes TensorFlow Datasets raise
        raise LabError(f"{home} is damaged ({type(error).__name__}): remove it and prepare it anew.") from error
    images, labels = rows["image"], rows["label"].astype("int64")
    ids = np.arange(len(labels), dtype="int32")
    if "id" in rows:
        ids = np.array([int(i.decode().rsplit("_", 1)[1]) for i in rows["id"]], "int32")
    order = ids.argsort()
    return ids[order], labels[order], np.repeat(images, 3 // images.shape[3], axis=3)[order]


FLOWERS_HELD_OUT = 364 / 3670  # source A's share of validation photographs


def _flowers() -> Splits:
    """Five kinds of flowers: ``flowers/train`` and ``flowers/val``, else ``flower_photos``, which is split here."""
    for name in "flowers", "flower_photos":
        if (data_dir() / name).is_dir():
            return own_folder(data_dir() / name, share=FLOWERS_HELD_OUT)
    raise _missing("flowers")


def _records(name: str, parts: tuple[str, ...], class_names: tuple[str, ...]) -> Splits:
    """Photographs in TFRecord files, which stay there; of one part alone, a tenth becomes the test set."""
    home = prepared.newest(data_dir(), name)
    if not home:
        raise _missing(name)
    splits = []
    for part in parts:
        places, labels = prepared.index(home, part)
        splits.append(Split(np.array([f"{part}-{i}" for i in range(len(labels))]), labels, files=tuple(places)))
    train, test = splits if len(splits) == 2 else _split_off(splits[0], HELD_OUT)
    return Splits(train, None, test, prepared.class_names(home, class_names))


def _tf_flowers() -> Splits:
    return _records("tf_flowers", ("train",), ("dandelion", "daisy", "tulips", "sunflowers", "roses"))


def _imagenet2012() -> Splits:
    return _records("imagenet2012", ("train", "validation"), tuple(f"class-{i}" for i in range(1000)))


def _split_off(split: Split, share: float) -> tuple[Split, Split]:
    """A split without, and with only, a fixed stratified share of its examples."""
    held = stratified(split.labels, round(share * len(split)))
    return split.take(np.setdiff1d(np.arange(len(split)), held)), split.take(held)


def own_folder(base: Path, share: float = HELD_OUT, skip_damaged: bool = False) -> Splits:
    """A folder with ``train`` and ``val`` (or ``test``) inside, or with class folders, of which a share is held out."""
    parts = [base / name for name in ("val", "test") if (base / name).is_dir()]
    if not (base / "train").is_dir() or not parts:
        split, names, skipped = folder(base, skip_damaged)
        if len(split) * share < len(names):
            raise LabError(f"{base} has {len(split)} images of {len(names)} classes: too few to hold some out as test.")
        train, test = _split_off(split, share)
        return Splits(train, None, test, names, skipped)
    train, names, skipped = folder(base / "train", skip_damaged)
    test, test_names, more = folder(parts[0], skip_damaged)
    if names != test_names:
        raise LabError(f"{base}/train has the classes {names} and {parts[0]} has {test_names}: make them equal.")
    return Splits(train, None, test, names, skipped + more)


def folder(path: Path | str, skip_damaged: bool = False) -> tuple[Split, tuple[str, ...], tuple[str, ...]]:
    """A folder of class folders as one split, its class names, and the damaged files that were skipped."""
    base = Path(path)
    if not base.is_dir():
        raise LabError(f"There is no folder {base}: name one that holds a folder of images a class.")
    names = tuple(sorted(entry.name for entry in base.iterdir() if entry.is_dir() and entry.name[0] != "."))
    if len(names) < 2:
        raise LabError(f"{base} has {len(names)} class folder(s): a classifier needs at least two.")
    files = [
        [file for file in sorted((base / name).iterdir()) if file.suffix.lower() in IMAGE_ENDINGS and file.is_file()]
        for name in names
    ]
    bad = damaged([file for found in files for file in found])
    if bad and not skip_damaged:
        listed = ", ".join(str(file.relative_to(base)) for file in bad[:5]) + (", …" if len(bad) > 5 else "")
        raise LabError(
            f"{len(bad)} of {sum(map(len, files))} files in {base} can't be read as images: {listed}. "
            "Repair or remove them, or leave them out with --skip-damaged."
        )
    files = [[file for file in found if file not in set(bad)] for found in files]
    for name, found in zip(names, files, strict=True):
        if not found:
            raise LabError(f"The class folder {base / name} holds no image: fill it or remove it.")
    flat = [file for found in files for file in found]
    labels = np.repeat(np.arange(len(names)), [len(found) for found in files])
    ids = np.array([str(file.relative_to(base)) for file in flat])
    skipped = tuple(str(file.relative_to(base)) for file in bad)
    return Split(ids, labels.astype("int64"), files=tuple(map(str, flat))), names, skipped


def damaged(files: Sequence[Path]) -> list[Path]:
    """The files that can't be read as images; each is decoded, small where its format allows."""

    def is_damaged(file: Path) -> bool:
        from PIL import Image

        try:
            with Image.open(file) as image:
                image.draft("RGB", (32, 32))
                image.load()
        except PermissionError:
            raise
        except Exception:  # whatever a hostile file makes its decoder raise
            return True
        return False

    if len(files) > CHECKED:
        return []
    with ThreadPoolExecutor() as pool:
        return [file for file, bad in zip(files, pool.map(is_damaged, files), strict=True) if bad]


LOADERS: dict[str, Callable[[], Splits]] = {
    "cifar10": _cifar10,
    "fashion_mnist": _fashion_mnist,
    "flowers": _flowers,
    "tf_flowers": _tf_flowers,
    "imagenet2012": _imagenet2012,
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
def _whole(name: str, folder: Path, skip_damaged: bool) -> Splits:
    """A dataset as it is, kept in memory for the next run of the same process."""
    if "/" in name:
        return own_folder(Path(name).expanduser(), skip_damaged=skip_damaged)
    if skip_damaged:
        raise UsageError(f"--skip-damaged is for a folder of your own (--set dataset=PATH); received {name}.")
    return LOADERS[name]()


def load(name: str, protocol: str = "source", train_images: int | None = None, skip_damaged: bool = False) -> Splits:
    """The splits of a dataset under a protocol, with `train_images` stratified ones to train on."""
    choose("protocol", protocol, PROTOCOLS)
    if "/" not in name:
        choose("dataset", name, LOADERS)
    whole = _whole(name, data_dir(), skip_damaged)
    train, val = whole.train, whole.val
    if protocol == "honest":
        train, val = _split_off(train, HELD_OUT)
    if train_images is not None:
        if not 1 <= train_images <= len(train):
            raise LabError(f"train_images must lie between 1 and {len(train)} for {name}; received {train_images}.")
        train = train.take(stratified(train.labels, train_images))
    return replace(whole, train=train, val=val)


def found(name: str) -> str | None:
    """Where a dataset lies on this machine; None where it has to be got first."""
    if name.startswith("paintbox"):
        return "drawn by code"
    if name == "flowers":
        places = [data_dir() / folder for folder in ("flowers", "flower_photos")]
        return next((str(place) for place in places if place.is_dir()), None)
    files = {"cifar10": doors.python_versions, "fashion_mnist": doors.fashion_folders}.get(name)
    home = prepared.newest(data_dir(), name) or (next(files(data_dir()), None) if files else None)
    return str(home) if home else None

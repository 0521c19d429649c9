"""What TensorFlow Datasets prepared, read without TensorFlow: TFRecord files of tf.train.Examples.

Small images of one size are read into memory (`images`). Photographs of many sizes stay where
they are: `index` names each record's place, ``FILE#OFFSET+LENGTH``, and `encoded` reads one.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError

_PLACE = re.compile(r"(.+)#(\d+)\+(\d+)")


def newest(data_dir: Path, name: str) -> Path | None:
    """The folder of the newest version of a dataset that is prepared under a data folder.

    Or the dataset's folder itself, where it holds shards as ImageNet is usually cut: ``train-00000-of-01024``.
    """
    versions = [path for path in (data_dir / name).glob("*.*.*") if path.is_dir() and any(path.iterdir())]
    usual = data_dir / name if any((data_dir / name).glob("train-*-of-*")) else None
    numbered = [path for path in versions if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    return max(numbered, key=lambda path: tuple(map(int, path.name.split("."))), default=usual)


def records(path: Path, checked: bool = False) -> Iterator[tuple[int, bytes]]:
    """The records of a TFRecord file as (offset, content): each has a length and a checksum, its content, another.

    Comparing the checksums takes some two seconds a gigabyte: it is done where that was asked for.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(12):
            offset, length = file.tell(), int.from_bytes(head[:8], "little")
            if len(head) < 12 or offset + length + 4 > size:
                raise LabError(f"{path} is truncated: remove its folder and prepare it anew.")
            content, tail = file.read(length), file.read(4)
            if checked and (checksum(head[:8]), checksum(content)) != (head[8:], tail):
                raise _flipped(path)
            yield offset, content


def _flipped(path: Path | str) -> LabError:
    return LabError(f"{path} is damaged (bits have flipped): remove its folder and prepare it anew.")


BLOCK = 4096  # bytes whose parts of a checksum are looked up at once


@functools.cache
def _parts() -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """What each value of a byte adds to a CRC-32C, a row for each number of bytes of its block that follow it.

    With where the rows of a whole block's bytes begin, its first byte's first.
    """
    parts = np.zeros((BLOCK, 256), "uint32")
    parts[0] = np.arange(256)
    for _ in range(8):
        parts[0] = parts[0] >> 1 ^ np.where(parts[0] & 1, np.uint32(0x82F63B78), np.uint32(0))
    for place in range(1, BLOCK):
        parts[place] = parts[place - 1] >> 8 ^ parts[0][parts[place - 1] & 255]
    return parts.ravel(), np.arange(BLOCK - 1, -1, -1) * 256


def checksum(content: bytes) -> bytes:
    """The masked CRC-32C that TFRecord files carry beside what they hold."""
    (parts, rows), state = _parts(), 0xFFFFFFFF
    for start in range(0, len(content), BLOCK):
        block = np.frombuffer(content[start : start + BLOCK], "uint8").copy()
        first = min(4, len(block))
        block[:first] ^= np.frombuffer(state.to_bytes(4, "little"), "uint8")[:first]
        state = state >> 8 * first ^ int(np.bitwise_xor.reduce(parts.take(rows[-len(block) :] + block)))
    state ^= 0xFFFFFFFF
    return ((state >> 15 | state << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer as (number, whole number or bytes)."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        if key & 7 == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
        elif key & 7 == 2:
            length, place = _varint(message, place)
            place += length
            if place > len(message):
                raise ValueError("a field that is cut")
            yield key >> 3, message[place - length : place]
        else:
            raise ValueError(f"a field of wire type {key & 7}, which no example has")


def example(message: bytes) -> dict[str, Any]:
    """A tf.train.Example as name -> its first value, bytes or a whole number."""
    found: dict[str, Any] = {}
    try:
        for _, features in _fields(message):
            for _, entry in _fields(features):
                pair = dict(_fields(entry))
                for kind, values in _fields(pair[2]):
                    first = next((value for _, value in _fields(values)), b"")
                    packed = kind == 3 and isinstance(first, bytes)  # whole numbers lie in one packed field
                    found[pair[1].decode()] = (_varint(first, 0)[0] if first else 0) if packed else first
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"no example: {error}") from error
    return found


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """The whole number of seven bits a byte that begins at a place, and the place behind it."""
    value = shift = 0
    while shift <= 63:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("a number that does not end")


def shards(folder: Path, part: str) -> list[Path]:
    """The shards of one part, in order; a set of which one is missing is told."""
    files = sorted(folder.glob(f"{folder.parent.name}-{part}.tfrecord-*-of-*")) or sorted(folder.glob(f"{part}-*-of-*"))
    if not files or len(files) != int(files[0].name.rpartition("-of-")[2]):
        raise LabError(f"{folder} is damaged (it has {len(files)} files of {part}): remove it and prepare it anew.")
    return files


def _photograph(record: bytes) -> tuple[Any, Any]:
    """The image file and the label in a record, as TensorFlow Datasets or as ImageNet's usual shards name them."""
    row = example(record)
    if "image/encoded" in row:
        return row["image/encoded"], row["image/class/label"] - 1  # theirs begin at 1
    return row.get("image"), row["label"]


def images(folder: Path, part: str) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """Ids, labels and RGB images of a part whose images have one size, in the order of the ids."""
    from PIL import Image

    try:
        rows = [example(record) for file in shards(folder, part) for _, record in records(file, checked=True)]
        pixels = [np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB")) for row in rows]
        labels = np.array([row["label"] for row in rows], "int64")
        numbers = [int(row["id"].decode().rsplit("_", 1)[1]) if "id" in row else i for i, row in enumerate(rows)]
        ids, stacked = np.array(numbers, "int32"), np.stack(pixels)
    except LabError:
        raise
    except Exception as error:  # whatever a damaged image makes its decoder raise
        raise LabError(f"{folder} is damaged ({error}): remove it and prepare it anew.") from error
    order = ids.argsort()
    return ids[order], labels[order], stacked[order]


def index(folder: Path, part: str) -> tuple[list[str], NDArray[np.int64]]:
    """The place and the label of each record of a part; its images stay in their files."""
    places, labels = [], []
    try:
        for file in shards(folder, part):
            for offset, record in records(file, checked=True):
                places.append(f"{file}#{offset}+{len(record)}")
                labels.append(_photograph(record)[1])
        return places, np.array(labels, "int64")
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise LabError(f"{folder} is damaged ({error}): remove it and prepare it anew.") from error


def class_names(folder: Path, default: tuple[str, ...]) -> tuple[str, ...]:
    """The names that the folder lists, or those it is known to have."""
    listed = folder / "label.labels.txt"
    if not listed.is_file():
        return default
    try:
        names = tuple(listed.read_text(encoding="utf-8").split("\n")[: len(default)])
    except UnicodeDecodeError as error:
        raise LabError(f"{listed} holds no text in UTF-8 ({error.reason}): mend or remove it.") from error
    if len(names) < len(default) or not all(names):
        raise LabError(
            f"{listed} names {len([name for name in names if name])} of {len(default)} classes: mend or remove it."
        )
    return names


def is_place(name: str) -> bool:
    """Whether a name is a record's place and no path of an image file."""
    return _PLACE.fullmatch(name) is not None


def encoded(place: str) -> io.BytesIO:
    """The image file inside the record that a place names; bits that have flipped in it are told."""
    found = _PLACE.fullmatch(place)
    assert found is not None
    with Path(found[1]).open("rb") as file:
        file.seek(int(found[2]))
        content, tail = file.read(int(found[3])), file.read(4)
    if checksum(content) != tail:
        raise _flipped(found[1])
    try:
        image, _ = _photograph(content)
    except (KeyError, TypeError, ValueError):
        image = None
    if not isinstance(image, bytes):
        raise LabError(f"{place} is a record without an image: remove its folder and prepare it anew.")
    return io.BytesIO(image)


GAP = 2**16  # bytes between records that are read rather than skipped


def runs_of(places: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """The stretches (file, begin, end) that these records lie in, neighbours in one."""
    found = (_PLACE.fullmatch(place) for place in places)
    records = sorted((one[1], int(one[2]), int(one[2]) + int(one[3]) + 4) for one in found if one)
    file, begin, end = "", 0, 0
    for name, start, stop in records:
        if name == file and start <= end + GAP:
            end = max(end, stop)
            continue
        if file:
            yield file, begin, end
        file, begin, end = name, start, stop
    if file:
        yield file, begin, end


def read_ahead(places: Iterable[str]) -> None:
    """Have the system fetch these records meanwhile; where it takes no such advice they are read when needed."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file, stretches in itertools.groupby(runs_of(places), key=lambda run: run[0]):
        with contextlib.suppress(OSError), Path(file).open("rb") as opened:  # what is missing is told when it is read
            for _, begin, end in stretches:
                os.posix_fadvise(opened.fileno(), begin, end - begin, os.POSIX_FADV_WILLNEED)

"""Folders of images: a class a folder, as users and data sets keep them; damaged files are counted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from alexnet_tf.errors import LabError
from alexnet_tf.splits import HELD_OUT, Split, Splits, read_image, split_off

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
CHECKED = 20_000  # a folder of more images is not opened file by file before a training


TESTS = ("test", "val", "valid", "validation")  # what a folder of test images beside ``train`` may be called
FEW = 60  # so many test images are held out at least, but never more than a third


def own_folder(base: Path, share: float | None = None, skip_damaged: bool = False) -> Splits:
    """A folder with ``train`` and one of `TESTS` inside, or with class folders, of which a share is held out.

    Of few images more than a tenth is held out, unless a share is given. Copies are left out, but where a given share
    is held out: a photograph must not be learned and tested.
    """
    inside = {entry.name for entry in base.iterdir() if _in_sight(entry)} if base.is_dir() else set()
    tests = [name for name in TESTS if name in inside]
    if "train" not in inside or not (tests or inside == {"train"}):
        return _held_out(base, share, skip_damaged)
    if not tests:
        return _held_out(base / "train", share, skip_damaged)
    train, names, skipped = folder(base / "train", skip_damaged)
    test, test_names, more = folder(base / tests[0], skip_damaged)
    if names != test_names:
        raise LabError(f"{base}/train has the classes {names} and {base / tests[0]} has {test_names}: make them equal.")
    train = _without_copies(train, test)
    if gone := _lacking(train, names, 1):
        raise LabError(
            f"In {base}/train no image of {gone} is left, without those that equal a test image: add others."
        )
    if unused := tests[1:]:
        print(f"The test images are those in {base / tests[0]}; {', '.join(unused)} is left out.", file=sys.stderr)
    return Splits(train, None, test, names, skipped + more)


def _held_out(base: Path, share: float | None, skip_damaged: bool) -> Splits:
    """Class folders, a share of which is the test: of each class at least one."""
    split, names, skipped = folder(base, skip_damaged)
    split = split if share else _without_copies(split)
    if single := _lacking(split, names, 2):
        raise LabError(f"In {base} no two images show {single}: to learn a class and to be tested on it takes two.")
    rest, test = split_off(split, share or max(HELD_OUT, min(1 / 3, FEW / len(split))), least=1)
    return Splits(rest, None, test, names, skipped)


def _lacking(split: Split, names: Sequence[str], least: int) -> str:
    """The first few classes that have fewer images than that."""
    counts = np.bincount(split.labels, minlength=len(names))
    return ", ".join([name for name, count in zip(names, counts, strict=True) if count < least][:5])


def _without_copies(split: Split, other: Split | None = None) -> Split:
    """A split without files that equal an earlier one or one of the other; very large ones are not looked through."""
    if len(split) + len(other or ()) > CHECKED:
        return split
    seen, kept = set(other.digests() if other else ()), []
    for place, digest in enumerate(split.digests()):
        if digest not in seen:
            kept.append(place)
        seen.add(digest)
    if copies := sorted({*range(len(split))} - {*kept}):
        print(
            f"{len(copies)} of {len(split)} photographs are copies of others, such as {split.ids[copies[0]]}, and are "
            "left out: what is learned must not be tested.",
            file=sys.stderr,
        )
    return split.take(np.array(kept, int))


def folder(path: Path | str, skip_damaged: bool = False) -> tuple[Split, tuple[str, ...], tuple[str, ...]]:
    """A folder of class folders as one split, its class names, and the damaged files that were skipped."""
    base = Path(path)
    if not base.is_dir():
        raise LabError(f"There is no folder {base}: name one that holds a folder of images a class.")
    names = tuple(sorted(entry.name for entry in base.iterdir() if _in_sight(entry)))
    if len(names) < 2:
        raise LabError(f"{base} has {len(names)} class folder(s): a classifier needs at least two.")
    inside: dict[str, list[Path]] = {name: [] for name in names}
    for file in images_among(base, (file for name in names for file in (base / name).iterdir())):
        inside[file.parent.name].append(file)
    _tell_of_deeper(base, names)
    files = list(inside.values())
    count = sum(map(len, files))
    bad = damaged([file for found in files for file in found]) if skip_damaged or count <= CHECKED else set()
    if bad and not skip_damaged:
        listed = ", ".join(str(file.relative_to(base)) for file in sorted(bad)[:5]) + (", …" if len(bad) > 5 else "")
        raise LabError(
            f"{len(bad)} of {count} files in {base} can't be read as images: {listed}. "
            "Repair or remove them; --skip-damaged leaves them out of a folder of your own."
        )
    files = [[file for file in found if file not in bad] for found in files]
    for name, found in zip(names, files, strict=True):
        if not found:
            raise LabError(f"The class folder {base / name} holds no image: fill it or remove it.")
    flat = [file for found in files for file in found]
    labels = np.repeat(np.arange(len(names)), [len(found) for found in files])
    ids = np.array([str(file.relative_to(base)) for file in flat])
    skipped = tuple(str(file.relative_to(base)) for file in sorted(bad))
    return Split(ids, labels.astype("int64"), files=tuple(map(str, flat))), names, skipped


def _tell_of_deeper(base: Path, names: Iterable[str]) -> None:
    """A folder inside a class folder is no part of the class, which somebody might expect."""
    entries = [entry for name in names for entry in (base / name).iterdir()]
    deeper = sorted(filter(_in_sight, entries))
    if deeper:
        print(
            f"{len(deeper)} folder(s) inside the classes of {base} are left out, such as "
            f"{deeper[0].relative_to(base)}: images lie directly in the folder of their class.",
            file=sys.stderr,
        )


def images_among(base: Path, files: Iterable[Path]) -> list[Path]:
    """The files in plain sight with an image's ending, in order; of others it is told how many are left out."""
    there = sorted(file for file in files if file.is_file() and not _hidden(file.relative_to(base)))
    images = [file for file in there if file.suffix.lower() in IMAGE_ENDINGS]
    others = [file for file in there if file.suffix.lower() not in IMAGE_ENDINGS]
    if unreadable := [file for file in images if str(file).encode(errors="replace").decode() != str(file)]:
        raise LabError(f"The name of {str(unreadable[0])!r} is not in UTF-8: rename it ({len(unreadable)} such files).")
    if others:
        endings = ", ".join(sorted({file.suffix.lower() or "none" for file in others}))
        print(
            f"{len(others)} of {len(images) + len(others)} files in {base} are left out for their endings ({endings}): "
            f"images end in {', '.join(IMAGE_ENDINGS)}.",
            file=sys.stderr,
        )
    return images


def _hidden(file: Path) -> bool:
    """Whether a file or a folder above it is out of sight, or what macOS packs beside the files of an archive."""
    return any(part[0] == "." or part == "__MACOSX" for part in file.parts)


def _in_sight(folder: Path) -> bool:
    return folder.is_dir() and not _hidden(Path(folder.name))


def damaged(files: Sequence[Path]) -> set[Path]:
    """The files that can't be read as images; each is decoded, small where its format allows."""

    def is_damaged(file: Path) -> bool:
        from PIL import Image

        try:
            with Image.open(file) as image:
                small = image.format == "JPEG"  # which can be shown, if it can be read
                image.draft("RGB", (32, 32))
                image.load()
            if not small:
                read_image(file)
        except PermissionError:
            raise
        except Exception:  # whatever a hostile file makes its decoder raise
            return True
        return False

    with ThreadPoolExecutor() as pool:
        return {file for file, bad in zip(files, pool.map(is_damaged, files), strict=True) if bad}

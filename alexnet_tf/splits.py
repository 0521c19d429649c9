"""Examples with labels: what a dataset is made of, and how a fixed part of it is held out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet_tf import prepared
from alexnet_tf.errors import LabError

HELD_OUT = 0.1  # the share of examples that is held out where nothing says otherwise

READ_WHOLE = 100_000  # files: of more than these a fingerprint takes names and sizes, not hours


def read_image(path: str | Path | io.BytesIO) -> NDArray[np.uint8]:
    """An image file as upright RGB pixels, whatever its mode; what is transparent shows white behind it."""
    from PIL import Image, ImageOps

    named = "What was uploaded" if isinstance(path, io.BytesIO) else path
    try:
        with Image.open(prepared.encoded(str(path)) if prepared.is_place(str(path)) else path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("F", "I") and image.format != "PNG":  # a PNG's 16 bits are mode I in older PILs
                raise LabError(f"{named} has 32 bits a pixel, and nothing says which is white: save it with 8 or 16.")
            if upright.mode.startswith("I"):  # 16 bits a pixel: PIL would cut, not scale
                wide, clear = np.asarray(upright), upright.info.get("transparency")
                shown = np.where(wide == clear, 255, (wide / 257).clip(0, 255)).astype("uint8")
                upright = Image.fromarray(shown)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
            return np.asarray(upright.convert("RGB"))
    except FileNotFoundError as error:
        raise LabError(f"There is no image {path}: check the path.") from error
    except (LabError, PermissionError):
        raise
    except Image.DecompressionBombError as error:
        raise LabError(f"{named} has too many pixels to be opened safely: make it smaller.") from error
    except Exception as error:  # whatever a hostile file makes its decoder raise
        raise LabError(
            f"{named} can't be read as an image: is it whole, and a JPEG, PNG, WebP, TIFF, BMP or GIF?"
        ) from error


def encoded(name: str) -> bytes:
    """The bytes of an image file, or of the one inside a record."""
    try:
        return prepared.encoded(name).read() if prepared.is_place(name) else Path(name).read_bytes()
    except FileNotFoundError as error:
        raise LabError(f"There is no image {name}: check the path.") from error


def plain_jpeg(content: bytes) -> tuple[int, int] | None:
    """Height and width of a whole, upright JPEG in grey or RGB, which any decoder reads alike; None for all else."""
    from PIL import Image

    if not content.endswith(b"\xff\xd9"):  # cut short, or followed by what is no image
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = image.getexif().get(0x0112, 1) == 1
            plain = image.format == "JPEG" and image.mode in ("RGB", "L") and upright
            return (image.height, image.width) if plain else None
    except Exception:  # whatever a hostile file makes its decoder raise: `read_image` will tell
        return None


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

    def and_also(self, other: Split) -> Split:
        """The examples of both, this one's first."""
        images = None if self.images is None else np.concatenate([self.images, other.pixels])
        ids = np.concatenate([np.char.add(name, part.ids.astype(str)) for name, part in (("a-", self), ("b-", other))])
        return Split(ids, np.concatenate([self.labels, other.labels]), images, self.files + other.files)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The images in memory, for what needs them all at once."""
        if self.images is None:
            raise LabError("This needs images of one size in memory, and these lie in files of their own sizes.")
        return self.images

    def digests(self) -> list[str]:
        """A short hash of each file: equal ones are copies."""
        return [hashlib.sha256(encoded(file)).hexdigest()[:16] for file in self.files]

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
                if prepared.is_place(file):  # shards may be terabytes: their places stand for them
                    digest.update(Path(file).name.encode())
                elif len(split.files) > READ_WHOLE:
                    digest.update(f"{Path(file).name} {Path(file).stat().st_size}".encode())
                else:
                    digest.update(Path(file).read_bytes())
        return digest.hexdigest()[:16]


LOOKED_AT = 500  # images, enough to know the colours of a set
THINNED = 2**14  # pixels: of a larger image only some ten thousand are looked at


def some_pixels(split: Split) -> NDArray[np.uint8]:
    """Pixels enough to know the colours of a split: a few millions, however large its photographs are."""

    def thinned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pixels if len(pixels) <= THINNED else pixels[:: -(-len(pixels) // 10_000)].copy()

    places = np.linspace(0, len(split) - 1, min(len(split), LOOKED_AT)).astype(int)
    return np.concatenate([thinned(split.image(place).reshape(-1, 3)) for place in places])


def stratified(labels: NDArray[np.int64], count: int, seed: int = 0, least: int = 0) -> NDArray[np.int64]:
    """Places of `count` examples with the classes in proportion, but at least so many of each; fixed by the seed."""
    rng = np.random.default_rng(seed)
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        rank[members[:least]] = 0
    return np.sort(np.argsort(rank, kind="stable")[: max(count, (rank == 0).sum())])


def split_off(split: Split, share: float, copies: int = 1, least: int = 0) -> tuple[Split, Split]:
    """A split without, and with only, a fixed stratified share of its examples, at least so many of each class.

    Where each example stands there in several copies, block after block, all of one go the same way.
    """
    count = len(split) // copies
    held = stratified(split.labels[:count], round(share * count), least=least)
    held = np.concatenate([held + block * count for block in range(copies)])
    return split.take(np.setdiff1d(np.arange(len(split)), held)), split.take(held)


def without_part(split: Split, which: int, of: int) -> tuple[Split, Split]:
    """A split without, and with only, one of several equal, stratified parts: for cross-validation."""
    from sklearn.model_selection import StratifiedKFold

    if (most := np.bincount(split.labels).max()) < of:
        raise LabError(f"No class has enough images for {of} parts, at most {most}: ask for fewer folds.")
    rest, part = list(StratifiedKFold(of, shuffle=True, random_state=0).split(split.labels, split.labels))[which]
    return split.take(rest), split.take(part)


def fold(whole: Splits, which: int, of: int) -> Splits:
    """All examples, of which one of several equal, stratified parts is the test set."""
    train, test = without_part(whole.train.and_also(whole.test), which, of)
    return Splits(train, None, test, whole.class_names, whole.skipped)

"""Images of each dataset's kind and size, drawn: what is measured here needs no real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alexnet_tf.splits import Split, Splits

# Bytes of the sets that memory holds, with the height and width of their images; the size of photographs in files.
HELD = {
    "cifar10": (60_000 * 32 * 32 * 3, 32, 32),
    "cifar10-turned": (4 * 60_000 * 32 * 32 * 3, 32, 32),
    "fashion_mnist": (70_000 * 28 * 28 * 3, 28, 28),
}
PHOTOGRAPHS = {"flowers": (240, 320), "imagenet2012": (375, 500)}
COUNTS = {"flowers": 3_306, "imagenet2012": 1_281_167}  # of them, to train on
IMAGES = COUNTS["flowers"]  # of a drawn set, unless more are asked for: what a training of these holds is held here
FILES = 64  # different photographs; a larger set has them several times


def size_of(dataset: str) -> tuple[int, int]:
    """Height and width of a dataset's images; of an unknown one CIFAR-10's."""
    return PHOTOGRAPHS.get(dataset) or HELD.get(dataset, HELD["cifar10"])[1:]


def photographs(folder: Path, count: int, height: int = 375, width: int = 500) -> list[str]:
    """JPEG files of ImageNet's usual size, about 110 kB each: drawn, since the real ones may not be passed on."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rng, files = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype="uint8")).resize((width, height))
        grain = rng.normal(0, 9, (height, width, 1))
        image = Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype("uint8"))
        files.append(str(folder / f"{number}.jpg"))
        image.save(files[-1], quality=92)
    return files


def pixels(count: int, height: int, width: int) -> np.ndarray:
    """So many images of noise."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype="uint8")


def splits(dataset: str, classes: int, train: int, test: int, folder: Path) -> Splits:
    """So many images of a dataset's kind and size: photographs in files below a folder, others in memory."""
    height, width = size_of(dataset)
    files = photographs(folder, FILES, height, width) if dataset in PHOTOGRAPHS else []

    def part(count: int) -> Split:
        ids, labels = np.arange(count, dtype="int32"), np.arange(count) % classes
        if files:
            return Split(ids, labels, files=tuple(files * -(-count // len(files)))[:count])
        return Split(ids, labels, pixels(count, height, width))

    return Splits(part(train), None, part(test), tuple(map(str, range(classes))))

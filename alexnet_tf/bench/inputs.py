"""What a training's input costs: augmentations, decoding, whether a training waits for it, what it holds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf.bench import ROUNDS, TURN, Summary, by_workers, drawn, in_turns_of, interleaved, server, summary, timed

# Each augmentation at an amount that recipes use; "none" fetches, resizes, standardizes and batches.
AMOUNTS: dict[str, dict[str, float]] = {
    "none": {},
    **{name: {name: amount} for name, amount in {
        "flip": 0.5, "alternate": 1, "crop": 4, "reflect": 3,
        "shift": 0.2, "zoom": 0.2, "shear": 10.0, "rotation": 15.0, "resized_crop": 0.3,
        "color": 0.3, "hue": 0.1, "pca": 0.1, "cutout": 16, "mixup": 0.2, "cutmix": 1.0, "randaugment": 9,
    }.items()},
    "source A's five": {"shear": 0.2, "zoom": 0.2, "flip": 0.5, "rotation": 15.0, "shift": 0.2},
}  # fmt: skip
# With the batch that they are measured at where that is not their own: of `laptop`, which keeps a turn short.
PIPED: dict[str, dict[str, int]] = {
    "cifar10-bn64": {},
    "today-cifar": {},
    "flowers-lrn": {"batch_size": 32},
    "today-flowers": {},
}
HOLDING = ("today-cifar", "today-flowers")  # one set in memory, one in files
LEAST = 8  # batches of a turn: a stream that begins has some ready, and a training waits for the first
EPOCHS = 20  # over which memory should stay flat; those of the first SETTLED may raise it
SETTLED = 5
LAST = 5  # of which it is told; a slow leak shows at the end
FIVE = "flowers-lrn"  # whose source has the five augmentations from ImageDataGenerator
IMAGES = 256  # for them, at its size


def augmentations(rounds: int = ROUNDS, images: int = 4096, size: int = 64) -> dict[str, dict[str, Summary]]:
    """Microseconds an image that each augmentation adds to a stream of this size, in batches of 64."""
    from alexnet_tf import pipeline
    from alexnet_tf.preprocess import Preprocess
    from alexnet_tf.splits import Split

    split = Split(np.arange(images, dtype="int32"), np.arange(images) % 10, drawn.pixels(images, size, size))

    def drain(amounts: Mapping[str, float]) -> Callable[[], float]:
        stream = pipeline.training_stream(split, 10, Preprocess(size), 64, seed=0, augmentations=amounts)

        def measure() -> float:  # a new iterator each turn: one that lives on prefetches in the others' turns
            iterator = iter(stream)
            next(iterator)
            return timed(lambda: [next(iterator) for _ in range(images // 64)])()

        return measure

    seconds = interleaved({name: drain(amounts) for name, amounts in AMOUNTS.items()}, rounds)
    costs = {
        name: (taken - (0 if name == "none" else seconds["none"])) / images * 1e6 for name, taken in seconds.items()
    }
    return {"costs": {f"augment/{size}px/{name}": summary(cost) for name, cost in costs.items()}}


def decoding(rounds: int = ROUNDS, images: int = 256) -> dict[str, Any]:
    """Photographs to 256 pixels: decoded and cropped in one step, against decoded whole and cropped afterwards.

    And the input of imagenet-2012's training, all its augmentations included. Microseconds of a core an
    image: a decoder keeps as many cores busy as it is given.
    """
    import tensorflow as tf

    from alexnet_tf import pipeline
    from alexnet_tf.bench import fits
    from alexnet_tf.fitting import make_preprocess
    from alexnet_tf.splits import Split, read_image

    recipe, _ = fits.chosen("imagenet-2012", {"batch_size": 32})
    preprocess = make_preprocess(recipe)

    def whole(file: Any) -> Any:
        image = tf.numpy_function(lambda name: read_image(name.decode()), [file], tf.uint8)
        image.set_shape([None, None, 3])
        return preprocess.before_augmentation(image[None])[0]

    def stream(decode: Callable[[Any], Any]) -> Any:
        batches = tf.data.Dataset.from_tensor_slices(files).repeat().batch(32)
        return batches.map(lambda batch: (tf.map_fn(decode, batch, fn_output_signature=tf.float32),), tf.data.AUTOTUNE)

    def drain(endless: Any) -> Callable[[], float]:
        def measure() -> float:
            iterator, taken = iter(endless), 0
            next(iterator)
            began = time.process_time()
            while taken < images:
                taken += len(next(iterator)[0])
            return (time.process_time() - began) / taken

        return measure

    with tempfile.TemporaryDirectory() as folder:
        files = drawn.photographs(Path(folder), images)
        split = Split(np.arange(images, dtype="int32"), np.arange(images) % 10, files=tuple(files))
        fused = stream(lambda file: pipeline.decode(file, preprocess))
        own = fits.stream_of(recipe, 10, split)
        seconds = interleaved({"fused": drain(fused), "whole": drain(stream(whole)), "input": drain(own)}, rounds)
    costs = {f"decode/500x375/{side}": summary(seconds[side] * 1e6) for side in ("fused", "whole")}
    costs["input/imagenet-2012"] = summary(seconds["input"] * 1e6)
    return {"ratios": {"decode/500x375/vs-whole": summary(seconds["whole"] / seconds["fused"])}, "costs": costs}


def stream(
    name: str,
    folder: str | None = None,
    changes: Mapping[str, Any] | None = None,
    images: int = drawn.IMAGES,
    turn: float = TURN,
) -> Callable[[], float]:
    """Seconds an image of a recipe's stream with nobody who trains; without a folder its images lie in memory, at the
    size of the network's.

    Each turn begins a new iteration and is timed from its first batch on.
    """
    from alexnet_tf.bench import fits
    from alexnet_tf.splits import Split

    recipe, classes = fits.chosen(name, changes)
    if folder:
        train = drawn.splits(recipe.dataset, classes, images, 1, Path(folder)).train
    else:
        pixels = drawn.pixels(images, recipe.image_size, recipe.image_size)
        train = Split(np.arange(images, dtype="int32"), np.arange(images) % classes, pixels)
    endless = fits.stream_of(recipe, classes, train)

    begun: list[Any] = []

    def begin() -> None:
        begun[:] = [iter(endless)]
        next(begun[0])

    def drain(batches: int) -> None:
        for _ in range(batches):
            next(begun[0])
        begun.clear()  # or it would go on in the others' turns

    measure = in_turns_of(turn, drain, begin, LEAST)
    return lambda: measure() / recipe.batch_size


def generator(
    name: str, threads: int = 1, changes: Mapping[str, Any] | None = None, images: int = IMAGES, turn: float = TURN
) -> Callable[[], float]:
    """Seconds an image of Keras' older ImageDataGenerator at source A's five augmentations, as the source used it.

    With several threads it prepares as many batches at a time, which the source's code did not ask for.
    """
    from alexnet_tf.bench import fits

    import tensorflow as tf  # isort: skip  (after Keras, which loads it quietly)

    recipe, classes = fits.chosen(name, changes)
    five = AMOUNTS["source A's five"]
    moved = tf.keras.preprocessing.image.ImageDataGenerator(
        rescale=1 / 255,
        shear_range=five["shear"],
        zoom_range=five["zoom"],
        rotation_range=five["rotation"],
        width_shift_range=five["shift"],
        height_shift_range=five["shift"],
        horizontal_flip=True,
    )
    labels = np.eye(classes, dtype="float32")[np.arange(images) % classes]
    batches = moved.flow(drawn.pixels(images, recipe.image_size, recipe.image_size), labels, recipe.batch_size)
    whole = images // recipe.batch_size
    pool = ThreadPoolExecutor(threads)
    measure = in_turns_of(
        turn, lambda count: list(pool.map(lambda place: batches[place % whole], range(count))), least=threads
    )
    return lambda: measure() / recipe.batch_size


def held(name: str, folder: str, changes: Mapping[str, Any] | None = None, images: int = 1024) -> Callable[[], float]:
    """MiB that this process holds after one more epoch on the recipe's own stream."""
    import psutil

    from alexnet_tf.bench import fits

    train = fits.epoch(name, folder, changes, images)

    def measure() -> float:
        train()
        return psutil.Process().memory_info().rss / 2**20

    return measure


def inputs(rounds: int = ROUNDS, recipes: Sequence[str] | None = None, **size: Any) -> dict[str, Any]:
    """Training on a recipe's own stream against training on one batch in memory; the stream alone against both.

    The images are drawn ones of the dataset's kind, photographs in files. All processes have the same cores.
    """
    ratios, costs = {}, {}
    for name in recipes or PIPED:
        with tempfile.TemporaryDirectory() as folder:
            kinds = {kind: {"folder": f"{folder}/{kind}"} for kind in ("piped", "stream")}
            common = {"changes": PIPED.get(name), **size}
            alone = {key: value for key, value in common.items() if key != "images"}
            workers = {"fixed": server("fixed", name, least=LEAST, **alone)}
            workers |= {kind: server(kind, name, **place, **common) for kind, place in kinds.items()}
            seconds = by_workers(workers, rounds)
        ratios[f"input/{name}/piped-vs-fixed"] = summary(seconds["fixed"] / seconds["piped"])
        ratios[f"input/{name}/vs-step"] = summary(seconds["fixed"] / seconds["stream"])
        costs.update({f"input/{name}/{side}": summary(taken * 1e6) for side, taken in seconds.items()})
    return {"ratios": ratios, "costs": costs}


def generators(rounds: int = ROUNDS, images: int = IMAGES, **size: Any) -> dict[str, Any]:
    """Source A's five augmentations by our stream and by ImageDataGenerator: same images, same cores.

    The older one is asked as the source did, and with a thread a core; the ratio is against the faster of the two.
    """
    from alexnet_tf import provenance

    size = {"images": images, **size}
    workers = {"stream": server("stream", FIVE, **size), "generator": server("generator", FIVE, **size)}
    workers["generator-threads"] = server("generator", FIVE, threads=provenance.cores(), **size)
    seconds = by_workers(workers, rounds)
    faster = min(("generator", "generator-threads"), key=lambda side: float(np.median(seconds[side])))
    return {
        "ratios": {f"input/{FIVE}/vs-image-data-generator": summary(seconds[faster] / seconds["stream"])},
        "costs": {f"input/{FIVE}/five-{side}": summary(taken * 1e6) for side, taken in seconds.items()},
    }


def holding(
    rounds: int = ROUNDS, recipes: Sequence[str] | None = None, epochs: int = EPOCHS, **size: Any
) -> dict[str, Any]:
    """What a process holds after the last of many epochs, over what it held after the first few."""
    del rounds  # an epoch each
    ratios, costs = {}, {}
    for name in recipes or HOLDING:
        with tempfile.TemporaryDirectory() as folder:
            worker = server("held", name, folder=folder, **size)
            try:
                mib = np.array([worker() for _ in range(epochs)])
            finally:
                worker.close()
        first = min(SETTLED, epochs - 1)
        ratios[f"input/{name}/memory-over-epochs"] = summary(mib[max(first, epochs - LAST) :] / mib[first - 1])
        costs[f"held/{name}"] = summary(mib[first:])
    return {"ratios": ratios, "costs": costs}

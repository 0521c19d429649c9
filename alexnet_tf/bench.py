"""Speed, measured and not believed: interleaved, warmed up, medians, ratios within one run.

``make bench`` runs every part and writes `reports/bench/`: `ratios.json` (name -> median, low, high,
n), `costs.json` (microseconds an image, likewise) and `conditions.json` (what it was measured on).
Let nothing else run beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf.recipes import RECIPES

ROUNDS = 7
# Each augmentation at an amount that recipes use; "none" fetches, resizes, standardizes and batches.
AMOUNTS: dict[str, dict[str, float]] = {
    "none": {},
    **{name: {name: amount} for name, amount in {
        "flip": 0.5, "crop": 4, "shift": 0.2, "zoom": 0.2, "shear": 10.0, "rotation": 15.0, "resized_crop": 0.3,
        "color": 0.3, "hue": 0.1, "pca": 0.1, "cutout": 16, "mixup": 0.2, "cutmix": 1.0, "randaugment": 9,
    }.items()},
    "source A's five": {"shear": 0.2, "zoom": 0.2, "flip": 0.5, "rotation": 15.0, "shift": 0.2},
}  # fmt: skip

Summary = dict[str, float]


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, np.ndarray]:
    """Seconds of each side over the rounds; all sides take turns, so that a slow minute hits them alike."""
    for side in sides.values():
        side()  # warm up
    rows = [[side() for side in sides.values()] for _ in range(rounds)]
    return dict(zip(sides, np.array(rows).T, strict=True))


def summary(values: np.ndarray) -> Summary:
    """The median with the quartiles of some measurements."""
    low, median, high = np.percentile(values, (25, 50, 75))
    return {
        "median": round(float(median), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "n": len(values),
    }


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """The work as a function that says how long it took."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return measure


def augmentations(rounds: int = ROUNDS, images: int = 4096, size: int = 64) -> dict[str, dict[str, Summary]]:
    """Microseconds an image that each augmentation adds to a stream of this size, in batches of 64."""
    from alexnet_tf import pipeline
    from alexnet_tf.preprocess import Preprocess
    from alexnet_tf.splits import Split

    pixels = np.random.default_rng(0).integers(0, 256, (images, size, size, 3), dtype="uint8")
    split = Split(np.arange(images, dtype="int32"), np.arange(images) % 10, pixels)

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


class Worker:
    """A process with its own backend that runs an epoch whenever it is told to."""

    def __init__(self, backend: str, recipe: str) -> None:
        environment = {**os.environ, "KERAS_BACKEND": backend}
        command = [sys.executable, "-m", "alexnet_tf.bench", "--epochs-of", recipe]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def epoch(self) -> float:
        """Seconds that an epoch took over there."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def serve_epochs(name: str) -> None:
    """Train a recipe on the 4,000 paintbox images, an epoch for each line on standard input."""
    from alexnet_tf import datasets, fitting, models, recipes
    from alexnet_tf.optimizers import make_optimizer

    recipe = recipes.get(name).change({"dataset": "paintbox"})
    splits = datasets.load(recipe.dataset)
    model = models.build(recipe.model, recipe.image_size, splits.classes, recipe.precision, 0, **recipe.options)
    model.compile(optimizer=make_optimizer(recipe), loss=fitting.make_loss(recipe), metrics=["accuracy"])
    stream = fitting.streams.training_stream(
        splits.train, splits.classes, fitting.make_preprocess(recipe), 128, 0, recipe.augment, True
    )
    steps = len(splits.train) // 128
    for _ in sys.stdin:
        print(timed(lambda: model.fit(stream, steps_per_epoch=steps, verbose=0, shuffle=False))(), flush=True)


def backends(rounds: int = ROUNDS, recipes: tuple[str, ...] = ("int305-cnn", "cifar10-bn64")) -> dict[str, Any]:
    """Epochs under JAX against epochs under TensorFlow, both on this machine, taking turns."""
    ratios, costs = {}, {}
    for recipe in recipes:
        workers = {backend: Worker(backend, recipe) for backend in ("tensorflow", "jax")}
        seconds = interleaved({backend: worker.epoch for backend, worker in workers.items()}, rounds)
        for backend, worker in workers.items():
            worker.close()
            costs[f"epoch/{recipe}/{backend}"] = summary(seconds[backend] / (4000 // 128 * 128) * 1e6)
        ratios[f"epoch/{recipe}/tensorflow-vs-jax"] = summary(seconds["jax"] / seconds["tensorflow"])
    return {"ratios": ratios, "costs": costs}


def photographs(folder: Path, count: int, height: int = 375, width: int = 500) -> list[str]:
    """JPEG files of ImageNet's usual size, about 110 kB each: drawn, since the real ones may not be passed on."""
    from PIL import Image

    rng, files = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype="uint8")).resize((width, height))
        grain = rng.normal(0, 9, (height, width, 1))
        image = Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype("uint8"))
        files.append(str(folder / f"{number}.jpg"))
        image.save(files[-1], quality=92)
    return files


def decoding(rounds: int = ROUNDS, images: int = 256) -> dict[str, Any]:
    """Photographs to 256 pixels: decoded and cropped in one step, against decoded whole and cropped afterwards.

    And the input of imagenet-2012's training, all its augmentations included. Microseconds of a core an
    image: a decoder keeps as many cores busy as it is given.
    """
    import tensorflow as tf

    from alexnet_tf import fitting, pipeline, recipes
    from alexnet_tf.splits import Split, read_image

    recipe = recipes.get("imagenet-2012")
    preprocess = fitting.make_preprocess(recipe)

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
        files = photographs(Path(folder), images)
        split = Split(np.arange(images, dtype="int32"), np.arange(images) % 10, files=tuple(files))
        training_stream = pipeline.training_stream(split, 10, preprocess, 32, 0, recipe.augment)
        fused = stream(lambda file: pipeline.decode(file, preprocess))
        seconds = interleaved(
            {
                "fused": drain(fused),
                "whole": drain(stream(whole)),
                "input": drain(training_stream),
            },
            rounds,
        )
    costs = {f"decode/500x375/{side}": summary(seconds[side] * 1e6) for side in ("fused", "whole")}
    costs["input/imagenet-2012"] = summary(seconds["input"] * 1e6)
    return {"ratios": {"decode/500x375/vs-whole": summary(seconds["whole"] / seconds["fused"])}, "costs": costs}


def serve_steps(name: str, steps: int) -> None:
    """Train a recipe at its paper settings on one batch of noise; print core-seconds an image."""
    from alexnet_tf import fitting, models, recipes
    from alexnet_tf.optimizers import make_optimizer

    recipe = recipes.get(name)
    classes = models.ARCHITECTURES[recipe.model].classes
    model = models.build(recipe.model, recipe.image_size, classes, recipe.precision, 0, **recipe.options)
    model.compile(optimizer=make_optimizer(recipe), loss=fitting.make_loss(recipe))
    shape = (recipe.batch_size, recipe.image_size, recipe.image_size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    labels = np.eye(classes, dtype="float32")[np.arange(recipe.batch_size) % classes]
    model.train_on_batch(images, labels)  # warm up
    clock = [time.process_time()]
    for _ in range(steps):
        model.train_on_batch(images, labels)
        clock.append(time.process_time())
    seconds = (np.diff(clock) / recipe.batch_size).tolist()
    print(json.dumps({"seconds": seconds}), flush=True)


# Bytes of the sets that memory holds, with the height and width of their images; the size of photographs in files.
HELD = {"cifar10": (60_000 * 32 * 32 * 3, 32, 32), "fashion_mnist": (70_000 * 28 * 28 * 3, 28, 28)}
PHOTOGRAPHS = {"flowers": (240, 320), "imagenet2012": (375, 500)}


BATCHES = 4  # of an epoch whose memory is measured
# How often a set that is held takes its size: reading CIFAR-10 left 3.3 times as much (834 MiB became 1,442), and the
# streams have the images once more, as a tensor.
COPIES = 4.3


def _stand_in(dataset: str, classes: int, train: int, test: int, folder: Path) -> Any:
    """So many images of a dataset's kind and size, drawn."""
    from alexnet_tf.splits import Split, Splits

    def part(count: int) -> Split:
        ids, labels = np.arange(count, dtype="int32"), np.arange(count) % classes
        if dataset in PHOTOGRAPHS:
            return Split(ids, labels, files=tuple(files * -(-count // len(files)))[:count])
        pixels = np.random.default_rng(0).integers(0, 256, (count, *HELD[dataset][1:], 3), dtype="uint8")
        return Split(ids, labels, pixels)

    files = photographs(folder, 64, *PHOTOGRAPHS[dataset]) if dataset in PHOTOGRAPHS else []
    return Splits(part(train), None, part(test), tuple(map(str, range(classes))))


def serve_memory(name: str, batches: int) -> None:
    """Train a recipe at its paper settings, an epoch of some batches, as a run with all that belongs to it.

    Prints the process's peak memory, and what holding the whole set would add. The streams keep batches ready, each
    epoch saves the state, and the end writes the network for use: each may be what takes most.
    """
    from alexnet_tf import datasets, models, provenance, recipes, training

    recipe = recipes.get(name)
    classes, held = models.ARCHITECTURES[recipe.model].classes, HELD.get(recipe.dataset, (0,))[0]
    with tempfile.TemporaryDirectory() as folder:
        drawn = _stand_in(recipe.dataset, classes, batches * recipe.batch_size, 500, Path(folder))
        datasets.LOADERS[recipe.dataset] = lambda: drawn
        training.train(name, "paper", 0, {"epochs": min(1, recipe.epochs)}, store=Path(folder) / "runs")
    print(json.dumps({"peak_mib": round((provenance.peak_memory() or 0) + COPIES * held / 2**20)}), flush=True)


def _in_own_process(part: str, name: str, steps: int) -> dict[str, Any]:
    """What `serve_steps` or `serve_memory` prints of a recipe."""
    command = [sys.executable, "-m", "alexnet_tf.bench", f"--{part}-of", name, "--rounds", str(steps)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def steps(rounds: int = ROUNDS, recipes: Sequence[str] | None = None) -> dict[str, Any]:
    """Core-microseconds an image of a step of each recipe at its paper settings: a process each."""
    found = {name: _in_own_process("steps", name, rounds)["seconds"] for name in recipes or RECIPES}
    return {"costs": {f"step/{name}": summary(np.array(seconds) * 1e6) for name, seconds in found.items()}}


def memory(rounds: int = 1, recipes: Sequence[str] | None = None) -> dict[str, Any]:
    """Peak MiB of a process that trains each recipe at its paper settings; see `serve_memory`.

    A whole training may hold more, as its memory scatters: where a committed run did, its peak counts.
    """
    del rounds  # a peak is the same each time
    found = {
        name: max(_in_own_process("memory", name, BATCHES)["peak_mib"], _held(name)) for name in recipes or RECIPES
    }
    return {"costs": {f"memory/{name}": summary(np.array([peak])) for name, peak in found.items()}}


def _held(name: str) -> int:
    """The most that a committed run of a recipe as its source has it held; 0 where none tells."""
    from alexnet_tf import runs

    ours = [run.record for run in runs.listing(runs.store_for("paper")) if run.finished and run.recipe == name]
    whole = [record for record in ours if record["budget"] == "paper" and not record["overrides"]]
    return max((record["provenance"].get("peak_mib") or 0 for record in whole), default=0)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "augmentations": augmentations,
    "backends": backends,
    "decode": decoding,
    "steps": steps,
    "memory": memory,
}


def save(folder: Path, part: str, results: Mapping[str, Any]) -> None:
    """Put the results of a part beside those of the others, with what they were measured on."""
    from alexnet_tf import provenance
    from alexnet_tf.files import write_atomically

    conditions = {"hardware": provenance.hardware(), "versions": provenance.versions(), "commit": provenance.commit()}
    for name, entries in (*results.items(), ("conditions", {part: conditions})):
        path = folder / f"{name}.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        write_atomically(path, (json.dumps({**known, **entries}, indent=1, sort_keys=True) + "\n").encode())


def main() -> None:
    """Run the parts that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="alexnet_tf.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--epochs-of", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument("--steps-of", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument("--memory-of", metavar="RECIPE", help=argparse.SUPPRESS)
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help=f"measurements each (default: {ROUNDS})"
    )
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="of the parts steps and memory (default: all)")
    args = parser.parse_args()
    if args.epochs_of:
        serve_epochs(args.epochs_of)
        return
    if args.steps_of:
        serve_steps(args.steps_of, args.rounds)
        return
    if args.memory_of:
        serve_memory(args.memory_of, args.rounds)
        return
    from alexnet_tf.runs import home

    for part in args.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part!r}: choose from {', '.join(PARTS)}")
    for part in args.parts or PARTS:
        chosen = {"recipes": args.recipes} if part in ("steps", "memory") else {}
        results = PARTS[part](rounds=args.rounds, **chosen)
        save(home() / "reports" / "bench", part, results)
        for entries in results.values():
            for name, entry in entries.items():
                print(f"{name:<45} {entry['median']:>10.3f}  [{entry['low']:.3f}, {entry['high']:.3f}]  n={entry['n']}")


if __name__ == "__main__":
    main()

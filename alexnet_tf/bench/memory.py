"""The most memory that a training holds: of each recipe, as its source has it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf.bench import drawn, once, server, summary
from alexnet_tf.recipe import Recipe
from alexnet_tf.recipes import RECIPES

BATCHES = 4  # of an epoch whose memory is measured
# How often a set that is held takes its size: reading CIFAR-10's 176 MiB left 3.5 times as much (834 MiB became 1,442),
# and the streams have the images once more, as a tensor. Of the same images in four orientations it is as often.
COPIES = 4.5
DECODED_COPIES = 2  # of photographs that are decoded once: an array, and the tensor that is made of it
# What a recipe starts from need not be there, and it takes all drawn images once: what is held stays the same.
FREE = {"pretrained": None, "taken": None, "train_images": None, "passes": 1}
# Trainings that differ only in these and in augmentation hold as much as each other, and are measured once.
INDIFFERENT = {
    *FREE,
    *("epochs", "learning_rate", "momentum", "epsilon", "l2", "l1", "weight_decay", "decay", "plateau", "steps"),
    *("schedule", "warmup", "label_smoothing", "keep"),
}


def peak(name: str, batches: int = BATCHES, changes: Mapping[str, Any] | None = None) -> Callable[[], float]:
    """Peak MiB of this process when it trains a recipe for an epoch of some batches, as a run with all that belongs
    to it, and what holding the whole set would add.

    The streams keep batches ready, each epoch saves the state, and the end writes the network for use: each may be
    what takes most.
    """
    from alexnet_tf import datasets, models, provenance, recipes, training

    own = dict(changes or {})
    recipe = recipes.get(name).change(own)
    classes = models.ARCHITECTURES[recipe.model].classes
    added = COPIES * drawn.HELD.get(recipe.dataset, (0,))[0] + DECODED_COPIES * _decoded(recipe)

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            splits = drawn.splits(recipe.dataset, classes, batches * recipe.batch_size, 500, Path(folder))
            datasets.LOADERS[recipe.dataset] = lambda: splits
            short = {**FREE, **own, "epochs": min(1, recipe.epochs)}
            training.train(name, "paper", 0, short, store=Path(folder) / "runs")
        return round((provenance.peak_memory() or 0) + added / 2**20)

    return measure


def _decoded(recipe: Recipe) -> int:
    """Bytes of all photographs as a training holds them; 0 where it decodes them again and again."""
    from alexnet_tf.pipeline import HELD

    side = recipe.crop_from or recipe.image_size
    most = drawn.COUNTS.get(recipe.dataset, 0) * side * side * 3 * 4
    return most if recipe.resize_first and most <= HELD else 0


def memory(rounds: int = 1, recipes: Sequence[str] | None = None) -> dict[str, Any]:
    """Peak MiB of a process that trains each recipe at its paper settings; see `peak`.

    A whole training may hold more, as its memory scatters: where a committed run did, its peak counts.
    """
    del rounds  # a peak is the same each time
    peaks: dict[str, float] = {}
    found = {}
    for name in recipes or RECIPES:
        kind = _kind(name)
        if kind not in peaks:
            peaks[kind] = once(server("peak", name))
        found[name] = max(peaks[kind], _held(name))
    return {"costs": {f"memory/{name}": summary(np.array([most])) for name, most in found.items()}}


def _kind(name: str) -> str:
    """What a recipe's memory depends on."""
    fields = RECIPES[name].fields().items()
    return json.dumps([item for item in fields if item[0] not in INDIFFERENT and not item[0].startswith("augment.")])


def _held(name: str) -> int:
    """The most that a committed run of a recipe as its source has it held; 0 where none tells."""
    from alexnet_tf import runs

    ours = [run for run in runs.listing(runs.store_for("paper")) if run.recipe == name and run.finished]
    whole = [run for run in ours if (run.record["budget"], run.record["overrides"]) == ("paper", {})]
    peaks = [run.record["provenance"].get("peak_mib") or 0 for run in whole if not run.outdated()]
    return max(peaks, default=0)

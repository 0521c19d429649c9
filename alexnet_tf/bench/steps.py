"""Training steps: what they cost, against PyTorch, against the sources' code, against what the machine can do."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from alexnet_tf import bench
from alexnet_tf.bench import ROUNDS, TURN, Worker, by_workers, interleaved, server, summary
from alexnet_tf.bench.peers import NETS
from alexnet_tf.recipe import Recipe
from alexnet_tf.recipes import RECIPES, get
from alexnet_tf.recipes.grid import BASE, KNOBS

TRAINED = ("cifar10-bn64", "int305-adam", "flowers-lrn")
# Images a step when frameworks are compared, besides those of the recipe itself.
BATCHES = {"cifar10-bn64": 128, "int305-adam": 128, "flowers-lrn": 32}
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
SIZE = 3072  # of the matrices whose product says what the machine can do

Sides = dict[str, np.ndarray]


def steps(rounds: int = ROUNDS, recipes: Sequence[str] | None = None) -> dict[str, Any]:
    """Core-microseconds an image of a step of each recipe at its paper settings: a process each."""
    found = {name: by_workers({name: server("core-seconds", name)}, rounds)[name] for name in recipes or RECIPES}
    return {"costs": {f"step/{name}": summary(seconds * 1e6) for name, seconds in found.items()}}


def knobs(rounds: int = ROUNDS, recipes: Sequence[str] | None = None, turn: float = TURN / 2) -> dict[str, Any]:
    """How long a training of each variant of the grid takes in units of its base's, which takes turns with it.

    Both as a whole, with their own streams, at their paper settings; and the microseconds an image of the base.
    """
    names = recipes or [f"grid-{name}" for variants in KNOBS.values() for name, _, _ in variants]
    ratios, of_base = {}, []
    with tempfile.TemporaryDirectory() as folder:

        def worker(name: str) -> contextlib.closing[Worker]:
            return contextlib.closing(server("piped", name, folder=folder, turn=turn))

        with worker(BASE.name) as base:
            for name in names:
                with worker(name) as variant:
                    seconds = interleaved({"variant": variant, "base": base}, rounds)
                ratios[f"grid/{name}"] = summary(seconds["variant"] / seconds["base"])
                of_base.append(1e6 * seconds["base"])
    return {"ratios": ratios, "costs": {f"grid/{BASE.name}": summary(np.concatenate(of_base))}}


def peer(recipe: Recipe, precision: str, turn: float) -> Worker:
    """A process that trains a recipe's network in PyTorch."""
    from alexnet_tf import models

    options = {
        "classes": models.ARCHITECTURES[recipe.model].classes,
        "image_size": recipe.image_size,
        "batch_size": recipe.batch_size,
        "optimizer": recipe.optimizer,
        "learning_rate": recipe.learning_rate,
        "momentum": recipe.momentum,
        "epsilon": recipe.epsilon,
        "dropout": recipe.options["dropout"],
        "precision": precision,
        "turn": turn,
    }
    return Worker("peers", recipe.model, json.dumps(options), python=bench.peer_python())


def best(sides: Sides, whose: str) -> np.ndarray:
    """The seconds of the faster setting of one framework, by the median."""
    return min((taken for side, taken in sides.items() if side.startswith(whose)), key=lambda taken: np.median(taken))


def training(
    rounds: int = ROUNDS, recipes: Sequence[str] | None = None, turn: float = TURN, size: int = SIZE
) -> dict[str, Any]:
    """`model.fit` on one batch in memory, against PyTorch, the source's code and a large product of matrices.

    At the recipe's own batch, where the source's code belongs, and at one that fills the cores better. Of each
    framework the faster of float32 and bfloat16 counts. All sides of a batch take turns in one run.
    """
    version = bench.peer_version()
    if version is None:
        print(bench.NO_PEER, file=sys.stderr)
    results: dict[str, Any] = {"ratios": {}, "costs": {}, "versions": {"torch": version} if version else {}}
    for name in recipes or TRAINED:
        own = get(name).batch_size
        large = BATCHES.get(name, own)
        for batch in dict.fromkeys((large, own)):
            recipe = get(name).change({"batch_size": batch})
            workers = _workers(recipe, turn, size, peers=version is not None, written=batch == own)
            seconds = by_workers(workers, rounds)
            place = f"step/{name}" if batch == large else f"step/{name}/batch-{batch}"
            results["ratios"].update(_ratios(recipe, place, seconds, size, written=f"step/{name}"))
            for side, taken in seconds.items():
                each = f"product/{size}/{side}" if side in PRECISIONS else f"step/{name}/batch-{batch}/{side}"
                results["costs"][each] = summary(taken * 1e6)
    return results


def _workers(recipe: Recipe, turn: float, size: int, peers: bool, written: bool) -> dict[str, Worker]:
    """The processes that take turns: ours, PyTorch's, the source's, and the product in each precision."""
    changes = {"batch_size": recipe.batch_size}
    workers = {
        f"keras-{short}": server("fixed", recipe.name, changes={**changes, "precision": policy}, turn=turn)
        for short, policy in PRECISIONS.items()
    }
    if peers and recipe.model in NETS:
        workers.update({f"pytorch-{short}": peer(recipe, short, turn) for short in PRECISIONS})
    elif peers:
        print(f"{recipe.name}: there is no {recipe.model} in PyTorch to compare with.", file=sys.stderr)
    if written:
        workers["as-written"] = server("fixed", recipe.name, changes=changes, written=True, turn=turn)
    return workers | {short: server("product", short, size=size, turn=turn) for short in PRECISIONS}


def _ratios(recipe: Recipe, place: str, seconds: Sides, size: int, written: str) -> dict[str, bench.Summary]:
    """How many times as fast ours is, and its share of the product's operations a second."""
    from alexnet_tf import models, plan

    flop = plan.count(recipe, models.ARCHITECTURES[recipe.model].classes).flop
    ours = best(seconds, "keras-")
    found = {f"{place}/bfloat16-vs-float32": seconds["keras-float32"] / seconds["keras-bfloat16"]}
    for short in PRECISIONS:
        share = (flop / seconds[f"keras-{short}"]) / (2 * size**3 / seconds[short])
        found[f"{place.replace('step/', 'share/')}/{short}"] = share
    if "pytorch-bfloat16" in seconds:
        found[f"{place}/vs-pytorch"] = best(seconds, "pytorch-") / ours
    if "as-written" in seconds:
        found[f"{written}/vs-as-written"] = seconds["as-written"] / ours
        found[f"{written}/float32-vs-as-written"] = seconds["as-written"] / seconds["keras-float32"]
    return {name: summary(values) for name, values in found.items()}

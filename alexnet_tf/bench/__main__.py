"""``python -m alexnet_tf.bench [PART ...]``: measure some parts or all, and write the page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alexnet_tf import bench, recipes
from alexnet_tf.bench import (
    ROUNDS,
    accelerator,
    growth,
    inputs,
    kernels,
    layers,
    memory,
    page,
    predictions,
    races,
    startup,
    steps,
)
from alexnet_tf.errors import LabError, choose


def backends(rounds: int = ROUNDS, recipes: tuple[str, ...] = ("int305-cnn", "cifar10-bn64")) -> dict[str, Any]:
    """Epochs under JAX against epochs under TensorFlow, both on this machine, taking turns."""
    ratios, costs = {}, {}
    for recipe in recipes:
        seconds = bench.by_workers(
            {
                backend: bench.Worker("servers", "paintbox-epochs", recipe, "{}", KERAS_BACKEND=backend)
                for backend in ("tensorflow", "jax")
            },
            rounds,
        )
        for backend, taken in seconds.items():
            costs[f"epoch/{recipe}/{backend}"] = bench.summary(taken / (4000 // 128 * 128) * 1e6)
        ratios[f"epoch/{recipe}/tensorflow-vs-jax"] = bench.summary(seconds["jax"] / seconds["tensorflow"])
    return {"ratios": ratios, "costs": costs}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "training": steps.training,
    "layers": layers.layers,
    "kernels": kernels.kernels,
    "inputs": inputs.inputs,
    "generators": inputs.generators,
    "holding": inputs.holding,
    "predictions": predictions.predictions,
    "growth": growth.growth,
    "startup": startup.startup,
    "augmentations": inputs.augmentations,
    "backends": backends,
    "decode": inputs.decoding,
    "steps": steps.steps,
    "knobs": steps.knobs,
    "memory": memory.memory,
    "races": races.races,
    "accelerator": accelerator.accelerator,
}
FIXED = ("generators", "kernels", "races", "startup", "augmentations", "decode")  # these have no choice of recipes
UNASKED = ("accelerator",)  # what few machines have is measured only when it is named


def save(folder: Path, part: str, results: Mapping[str, Any]) -> None:
    """Put the results of a part beside those of the others, with what they were measured on."""
    from alexnet_tf import provenance
    from alexnet_tf.files import read_object, write_atomically

    conditions = {
        "hardware": provenance.hardware(),
        "versions": {**provenance.versions(), **results.get("versions", {})},
        "commit": provenance.commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    for name, entries in (*results.items(), ("conditions", {part: conditions})):
        if name != "versions":
            path = folder / f"{name}.json"
            known = read_object(path)
            write_atomically(path, (json.dumps({**known, **entries}, indent=1, sort_keys=True) + "\n").encode())


def tell(results: Mapping[str, Any]) -> None:
    """Print ratios and costs, a line each."""
    for name, entry in (*results.get("ratios", {}).items(), *results.get("costs", {}).items()):
        print(f"{name:<55} {entry['median']:>12.3f}  [{entry['low']:.3f}, {entry['high']:.3f}]  n={entry['n']}")


def parser() -> argparse.ArgumentParser:
    """What the command line may say."""
    found = argparse.ArgumentParser(prog="alexnet_tf.bench", description=bench.__doc__)
    found.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"some of {', '.join(PARTS)}, or page, which measures nothing; by default all but accelerator",
    )
    found.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"measurements each (default: {ROUNDS})")
    found.add_argument("--recipes", nargs="+", metavar="RECIPE", help="of the parts that measure recipes")
    return found


def main() -> None:
    """Run the parts that are named, or all of them, and write the page."""
    line = parser()
    args = line.parse_args()
    if args.rounds < 1:
        line.error(f"--rounds must be 1 or more; received {args.rounds}")
    from alexnet_tf.runs import home

    try:
        for part in args.parts:
            choose("part", part, (*PARTS, "page"))
        for name in args.recipes or ():
            recipes.get(name)
    except LabError as error:
        line.error(str(error))
    parts = args.parts or [part for part in PARTS if part not in UNASKED]
    sys.exit(run(parts, args.rounds, args.recipes, home() / "reports" / "bench"))


def run(parts: Sequence[str], rounds: int, names: Sequence[str] | None, folder: Path) -> int:
    """Measure some parts and write the page; a part that fails is told and spoils no other. The exit status."""
    status = 0
    for part in parts:
        own = {"recipes": names} if names and part not in FIXED else {}
        try:
            results = {} if part == "page" else PARTS[part](rounds=rounds, **own)
        except Exception as error:  # whatever it is: the others' hours are not lost
            told = error if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
            print(f"alexnet_tf.bench {part}: {told}", file=sys.stderr)
            status = getattr(error, "status", 1)
            continue
        if results:
            save(folder, f"{part} ({' '.join(names)})" if own and names else part, results)
            tell(results)
    page.write(folder)
    return status


if __name__ == "__main__":
    main()

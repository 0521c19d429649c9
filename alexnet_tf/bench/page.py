"""The page of what was measured, `reports/bench/README.md`, and its pictures: every figure from the JSON beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet_tf import claims
from alexnet_tf.bench import ROUNDS, inputs, steps
from alexnet_tf.bench.accelerator import SIZE as LARGEST
from alexnet_tf.bench.figures import draw, exponents, roofs
from alexnet_tf.bench.races import GOALS
from alexnet_tf.files import read_object, write_atomically

HEAD = """# Speed

Written by `make bench` from the JSON files beside it; `python -m alexnet_tf.bench PART` measures a part anew.
Ratios compare sides that took turns in one run, all warmed up: the median, and the quartiles around it. Absolute
figures of a part are of one machine and one hour, which the last table names: read them as shares of each other.
"""


@dataclass(frozen=True)
class Target:
    """What a ratio should reach: at least the floor, better the goal; or at most the floor."""

    name: str
    floor: float
    goal: float | None = None
    at_most: bool = False

    def outcome(self, median: float) -> str:
        """Whether the median is there."""
        if self.at_most:
            return "met" if median <= self.floor else "**not met**"
        if median < self.floor:
            return "**not met**"
        return "met" if self.goal is None else "goal met" if median >= self.goal else "floor met"


TARGETS = (
    *(Target(f"step/{name}/vs-pytorch", 1.0, 1.25) for name in steps.TRAINED),
    *(Target(f"step/{name}/vs-as-written", 1.5) for name in steps.TRAINED),
    Target("share/cifar10-bn64/float32", 0.75),
    Target("share/cifar10-bn64/bfloat16", 0.65),
    *(Target(f"input/{name}/piped-vs-fixed", 0.85) for name in inputs.PIPED),
    *(Target(f"input/{name}/vs-step", 3.0) for name in inputs.PIPED),
    Target(f"input/{inputs.FIVE}/vs-image-data-generator", 10.0),
    *(Target(f"input/{name}/memory-over-epochs", 1.05, at_most=True) for name in inputs.HOLDING),
    Target("race/sprint-b/sooner", 15.0),
    Target("race/sprint-c/sooner", 1.0),
)
# What the last word of a name says.
MEANINGS = {
    "vs-pytorch": "times PyTorch's speed, each framework in the faster of float32 and bfloat16",
    "vs-as-written": "times the speed of the source's code as written: stock optimizer, softmax inside, float32",
    "float32-vs-as-written": "the same with ours in float32 too",
    "bfloat16-vs-float32": "times the speed of float32 that bfloat16 gives ours",
    "float32": f"of the operations a second that a product of {steps.SIZE}² matrices reaches in float32",
    "bfloat16": "the same in bfloat16",
    "piped-vs-fixed": "of the speed on one batch in memory that training on the real stream reaches",
    "vs-step": "times the speed of a step that the stream alone reaches",
    "vs-image-data-generator": "times the speed of ImageDataGenerator at its source's five augmentations",
    "memory-over-epochs": (
        f"times the memory after epoch {inputs.SETTLED} that the last {inputs.LAST} of {inputs.EPOCHS} hold"
    ),
    "tensorflow-vs-jax": "times the speed of JAX that TensorFlow reaches over an epoch",
    "sooner": "times sooner at its goal than source B's own recipe is at its source's",
    "of-product": f"of the operations a second that a product of {LARGEST}² matrices reaches in bfloat16",
    "vs-whole": "times the speed of decoding whole photographs that decoding their windows reaches",
}

Table = list[list[str]]


def number(value: float) -> str:
    """Three significant digits, more where there are more before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(entry: Mapping[str, float]) -> list[str]:
    """Median, quartiles and number of measurements; too few are pointed out."""
    few = " (few)" if 1 < entry["n"] < ROUNDS else " (single)" if entry["n"] == 1 else ""
    return [number(entry["median"]), f"{number(entry['low'])} to {number(entry['high'])}", f"{entry['n']}{few}"]


def table(columns: Sequence[str], rows: Table) -> list[str]:
    """A table of Markdown."""
    lines = [list(columns), ["---"] * len(columns), *rows]
    return ["", *(f"| {' | '.join(cells)} |" for cells in lines)]


def missing(part: str) -> list[str]:
    """What is said where a part was not run yet."""
    return ["", f"Not measured yet: `python -m alexnet_tf.bench {part}`."]


@dataclass(frozen=True)
class Found:
    """All that lies in the folder."""

    ratios: dict[str, Any]
    costs: dict[str, Any]
    layers: dict[str, Any]
    spent: dict[str, Any]
    conditions: dict[str, Any]

    def under(self, kind: str, *starts: str) -> dict[str, Any]:
        """The ratios or costs whose names begin so."""
        entries = getattr(self, kind)
        return {name: entry for name, entry in entries.items() if name.startswith(starts)}


def read(folder: Path) -> Found:
    """What was measured so far."""
    return Found(*(read_object(folder / f"{name}.json") for name in Found.__annotations__))


def targets(found: Found) -> list[str]:
    """What was wanted, and whether it is reached."""
    rows: Table = []
    for target in TARGETS:
        entry = found.ratios.get(target.name)
        wanted = f"{'at most' if target.at_most else 'at least'} {target.floor:g}"
        wanted += "" if target.goal is None else f", better {target.goal:g}"
        told = (
            [*spread(entry), wanted, target.outcome(entry["median"])] if entry else ["", "", "", wanted, "not measured"]
        )
        rows.append([f"`{target.name}`", *told])
    return ["", "## What was wanted", *table(["ratio", "median", "quartiles", "n", "wanted", "outcome"], rows)]


def _ratios(found: Found, *starts: str) -> list[str]:
    """The ratios whose names begin so, each with its meaning."""
    entries = found.under("ratios", *starts)
    rows = [[f"`{name}`", *spread(entry), MEANINGS.get(name.split("/")[-1], "")] for name, entry in entries.items()]
    return table(["ratio", "median", "quartiles", "n", "what it is"], rows)


def _a_second(entries: Mapping[str, Any]) -> list[str]:
    """Microseconds an image as images a second."""
    rows: Table = []
    for name, entry in sorted(entries.items()):
        turned = {"median": 1e6 / entry["median"], "low": 1e6 / entry["high"], "high": 1e6 / entry["low"]}
        rows.append([f"`{name}`", *spread({**turned, "n": entry["n"]})])
    return table(["what", "images/s", "quartiles", "n"], rows)


def training(found: Found) -> Iterator[str]:
    """Steps against peers and the machine."""
    yield from ("", "## Training steps")
    if not found.under("ratios", "share/"):
        yield from missing("training")
        return
    yield ""
    yield (
        "`model.fit` on one batch in memory. PyTorch: channels last, fused updates, autocast. Where a name has a "
        "batch, that is the source's own; `vs-as-written` is at the source's own too, the others at "
        + ", ".join(f"{batch} ({name})" for name, batch in steps.BATCHES.items())
        + "."
    )
    yield from _ratios(found, "step/", "share/")
    if not any(name.endswith("vs-pytorch") for name in found.ratios):
        yield from ("", "PyTorch was not installed: nothing was compared with it (`pip install '.[peers]'`).")
    yield ""
    yield "What bfloat16 costs in accuracy, by pairs of trainings that share their seeds, is a row of the table in"
    yield "[03_ablations](../laptop/03_ablations.ipynb)."
    yield from _a_second({name: cost for name, cost in found.under("costs", "step/").items() if "/batch-" in name})


def layers(found: Found) -> Iterator[str]:
    """Where a step's time goes."""
    yield from ("", "## Layer by layer")
    if not found.layers:
        yield from missing("layers")
        return
    yield ""
    yield "Each layer's way forward and back by itself, again and again. Its limit is what its operations allow at the "
    yield "speed of a product of matrices, or its bytes at that of memory; what stays in a cache may be beyond."
    for recipe in dict.fromkeys(name.split("/")[0] for name in found.layers):
        yield from ("", f"![The layers of {recipe} under the roof](roofline-{recipe}.png)")
        for precision in steps.PRECISIONS:
            if f"{recipe}/{precision}" in found.layers:
                yield from _layers(f"{recipe}/{precision}", found.layers[f"{recipe}/{precision}"])


def _layers(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """The layers of one network in one precision."""
    roof, whole = roofs(entry), sum(one["microseconds"]["median"] for one in entry["layers"])
    share = f"{whole / entry['step']['median']:.0%}"
    yield from ("", f"**{name}**, batch {entry['batch']}: one by one the layers take {share} of a whole step.")
    rows = []
    for one in entry["layers"]:
        took = one["microseconds"]["median"]
        limit = max(one["flop"] / roof.flops, one["bytes"] / roof.bandwidth) * 1e6
        flops = f"{one['flop'] / took / 1e3:,.0f}" if one["flop"] else ""
        rows.append([one["name"], number(took), f"{took / whole:.1%}", flops, f"{limit / took:.0%}"])
    yield from table(["layer", "µs", "of all", "GFLOP/s", "of its limit"], rows)


def kernels(found: Found) -> Iterator[str]:
    """Our layers beside stock ones."""
    yield from ("", "## Our layers beside stock ones")
    if not (entries := found.under("ratios", "kernel/")):
        yield from missing("kernels")
        return
    yield from (
        "",
        "How many times as fast as Keras' or TensorFlow's own ours goes forward and back (images are moved one way), "
        "to equal numbers:",
    )
    yield from table(["layer/recipe", "ratio", "quartiles", "n"], [[f"`{n}`", *spread(e)] for n, e in entries.items()])


def streams(found: Found) -> Iterator[str]:
    """The input."""
    yield from ("", "## Input")
    if any(name.startswith("input/") for name in found.ratios):
        yield from _ratios(found, "input/")
        rates = found.under("costs", "input/")
        yield from _a_second({name: cost for name, cost in rates.items() if name != "input/imagenet-2012"})
        rows = [[f"`{name}`", *spread(cost)] for name, cost in found.under("costs", "held/").items()]
        yield from table(["held over epochs", "MiB", "quartiles", "n"], rows) if rows else ()
    else:
        yield from missing("inputs generators holding")
    if found.under("costs", "augment/"):
        yield from (
            "",
            "Microseconds that an augmentation adds to a stream; those of a core that a photograph takes:",
        )
        costs = found.under("costs", "augment/", "decode/") | {
            name: cost for name, cost in found.costs.items() if name == "input/imagenet-2012"
        }
        yield from table(["cost", "µs an image", "quartiles", "n"], [[f"`{n}`", *spread(c)] for n, c in costs.items()])


def knobs(found: Found) -> Iterator[str]:
    """What turning a knob of the grid costs."""
    yield from ("", "## The grid's knobs")
    if not (entries := found.under("ratios", "grid/")):
        yield from missing("knobs")
        return
    yield from ("", "How long a training takes, its stream included, in units of the base's, which took turns with it:")
    if base := found.costs.get("grid/grid-base"):
        yield from ("", f"An image takes the base {number(base['median'])} µs.")
    ordered = sorted(entries.items(), key=lambda item: -item[1]["median"])
    yield from table(["recipe", "ratio", "quartiles", "n"], [[f"`{n[5:]}`", *spread(e)] for n, e in ordered])


def predictions(found: Found) -> Iterator[str]:
    """Images a second."""
    yield from ("", "## Evaluation and prediction")
    if not (entries := found.under("costs", "predict/")):
        yield from missing("predictions")
        return
    yield from ("", "![Images a second against the batch](predictions.png)")
    yield from _a_second(entries)


def growth(found: Found) -> Iterator[str]:
    """The fitted powers."""
    yield from ("", "## How cost grows")
    if not (powers := exponents(found.ratios)):
        yield from missing("growth")
        return
    for name, axes in powers.items():
        yield from ("", f"![What an epoch of {name} costs, as it grows](growth-{name}.png)")
        rows = [[axis, *spread(entry), f"{2 ** entry['median']:.2f}"] for axis, entry in axes.items()]
        yield from table([f"{name}: what grows", "power", "quartiles", "n", "twice of it costs times"], rows)
    yield ""
    yield "The power is of an epoch's seconds; of `memory`, of a training's MiB, its data included, against its batch."


def races(found: Found) -> Iterator[str]:
    """Seconds to an accuracy."""
    yield from ("", "## Races")
    if not (entries := found.under("costs", "race/")):
        yield from missing("races")
        return
    yield ""
    yield "Seconds of training until held-out training images are answered as well as a source says of its test images."
    yield from _ratios(found, "race/")
    rows = []
    for name, entry in entries.items():
        whose = GOALS[name.removeprefix("race/")]
        rows.append([f"`{name}`", *spread(entry), f"{claims.reported(whose, 'paper'):.2%} (`{whose}`)"])
    yield from table(["recipe", "seconds", "quartiles", "n", "until"], rows)


def accelerator(found: Found) -> Iterator[str]:
    """Images a second on a graphics card, and how much of it they use."""
    yield from ("", "## On a graphics card")
    if not (entries := found.under("costs", "accelerator/")):
        yield from missing("accelerator")
        return
    yield ""
    yield "`model.fit` under JAX, in bfloat16, on one batch in memory: of the recipe's own size, and of a large one."
    yield from _a_second(entries)
    yield from _ratios(found, "accelerator/")


def startup(found: Found) -> Iterator[str]:
    """Where seconds go besides."""
    yield from ("", "## Start-up, reports and tests")
    if not (entries := found.under("costs", "startup/")):
        yield from missing("startup")
        return
    rows: Table = [[name.removeprefix("startup/"), *spread(entry)] for name, entry in entries.items()]
    yield from table(["a process from start to end", "seconds", "quartiles", "n"], rows)
    if notebooks := found.spent.get("reports"):
        kinds = list(next(iter(notebooks.values())))
        rows = [[name, *(f"{took[kind]:.1f}" for kind in kinds)] for name, took in notebooks.items()]
        rows.append(["sum", *(f"{sum(took[kind] for took in notebooks.values()):.1f}" for kind in kinds)])
        yield from table(["`make reports`, seconds", *kinds], rows)
    else:
        yield from ("", "There were no reports to look at: `make reports` first.")
    if tests := found.spent.get("tests"):
        longest = sorted(tests, key=lambda name: -tests[name])[:12]
        rows = [*([name, f"{tests[name]:.1f}"] for name in longest), ["all files", f"{sum(tests.values()):.0f}"]]
        yield from table(["`make test`, the longest files", "seconds"], rows)
    else:
        yield from ("", "There were no tests to look at: `make test` first.")


def conditions(found: Found) -> Iterator[str]:
    """What it was measured on."""
    yield from ("", "## Measured on")
    rows = []
    for part, own in sorted(found.conditions.items()):
        versions = ", ".join(f"{name} {version}" for name, version in own["versions"].items())
        rows.append([part, own.get("date", ""), own["hardware"], versions, str(own["commit"] or "")])
    yield from table(["part", "date", "hardware", "versions", "commit"], rows)


def markdown(folder: Path) -> str:
    """The whole page."""
    found = read(folder)
    lines = [HEAD.rstrip(), *targets(found)]
    for section in (training, layers, kernels, streams, knobs, predictions, growth, races, accelerator, startup):
        lines += section(found)
    if found.under("ratios", "epoch/", "decode/"):
        lines += ["", "## Backends and decoders", *_ratios(found, "epoch/", "decode/")]
    return "\n".join([*lines, *conditions(found)]) + "\n"


def write(folder: Path) -> None:
    """The page and its pictures."""
    found = read(folder)
    draw(folder, found.layers, found.costs, found.ratios)
    write_atomically(folder / "README.md", markdown(folder).encode())

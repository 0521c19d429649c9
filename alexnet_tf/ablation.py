"""A grid of trainings around one base: what each knob is worth, at what cost, and along which sizes it stays so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet_tf import evaluation, growth, plan, recipes
from alexnet_tf.evaluation import Interval
from alexnet_tf.recipes import grid
from alexnet_tf.runs import Run, locate

Trained = Mapping[str, Sequence[Run]]


GUESSING = 0.2  # of ten classes: a training below this has learned next to nothing
UNSTEADY = 4  # times the usual spread over seeds: by luck alone one recipe in 60,000 has it, of three seeds


@dataclass(frozen=True)
class Effect:
    """One variant beside the base; cost is of the variant itself."""

    knob: str
    variant: str
    gain: Interval  # of test accuracy, paired with the base
    learned: bool  # every training did better than guessing
    p: float | None  # how likely so large a gain would be if all were equal, corrected; None: they were not compared
    parameters: int
    flop: float  # of one image in a training
    minutes: float  # of the fastest training: others shared their machine

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.gain.side != 0


def finished(budget: str, seeds: int) -> list[str]:
    """The recipes of the grid of which all trainings are there, none of an older recipe or being made anew."""

    def stands(name: str, seed: int) -> bool:
        run = locate(name, budget, seed)
        return run.finished and not run.begun and not run.outdated()

    names = [recipe.name for recipe in grid.RECIPES]
    return [name for name in names if all(stands(name, seed) for seed in range(seeds))]


def learned(runs: Sequence[Run]) -> bool:
    """Whether every training did better than guessing."""
    return min(evaluation.accuracy_of(run) for run in runs) >= GUESSING


def effects(trained: Trained) -> list[Effect]:
    """Every trained variant of the grid's knobs against the base, the largest gain first.

    A variant of which a training did not learn, or whose trainings lie much farther apart than is usual, has no p: its
    spread would be everybody's. If the base is such a one, nobody has.
    """
    if "grid-base" not in trained:
        return []
    base, tried = trained["grid-base"], []
    for knob, variants in grid.KNOBS.items():
        tried += [(knob, name, trained[f"grid-{name}"]) for name, _, _ in variants if f"grid-{name}" in trained]
    steady = _steady({"base": base, **{name: runs for _, name, runs in tried if learned(runs)}})
    compared = [(name, runs) for _, name, runs in tried if {"base", name} <= steady]
    corrected = evaluation.against_one([runs for _, runs in compared], base)
    chances = dict(zip((name for name, _ in compared), corrected, strict=True))
    found = [
        Effect(knob, name, evaluation.paired_difference(runs, base), learned(runs), chances.get(name), *_cost(runs))
        for knob, name, runs in tried
    ]
    return sorted(found, key=lambda effect: -effect.gain.mean)


def _steady(trained: Trained) -> set[str]:
    """Those whose trainings lie no farther apart than is usual; of two, who is far is luck."""
    spreads = {name: np.std([evaluation.accuracy_of(run) for run in runs]) for name, runs in trained.items()}
    far = UNSTEADY * np.median([*spreads.values()])
    return {name for name, spread in spreads.items() if spread <= far or len(trained[name]) < 3}


def _cost(runs: Sequence[Run]) -> tuple[int, float, float]:
    """Parameters, FLOP of one image in a training, and minutes of a training."""
    record = runs[0].record
    network = plan.count(recipes.get(record["name"]).at(record["budget"]), len(record["class_names"]))
    return network.parameters, network.flop, min(run.record["provenance"]["minutes"] for run in runs)


def table(found: Sequence[Effect], base: Sequence[Run]) -> str:
    """The variants, a row each: gain with interval, corrected p, and cost; then what the base itself reaches."""
    told = f"{'points':>7}  {'95 % interval':<18}{'p':>7}{'parameters':>12}{'MFLOP':>7}{'minutes':>9}"
    lines = [f"{'variant':<18}{'knob':<22}{told}"]
    for effect in found:
        p = "none" if effect.p is None else f"{effect.p:.3f}" if effect.p >= 0.0005 else "<0.001"
        between = f"[{100 * effect.gain.low:+.1f}, {100 * effect.gain.high:+.1f}]"
        lines.append(
            f"{effect.variant:<18}{effect.knob:<22}{100 * effect.gain.mean:>+7.1f}  {between:<18}{p:>7}"
            f"{effect.parameters:>12,}{effect.flop / 1e6:>7.0f}{effect.minutes:>9.1f}"
        )
    parameters, flop, minutes = _cost(base)
    told = f"{'base':<18}{evaluation.accuracy_interval(base)!s:<54}"
    lines.append(f"{told}{parameters:>12,}{flop / 1e6:>7.0f}{minutes:>9.1f}")
    return "\n".join(lines)


def interaction(trained: Trained, one: str, other: str) -> Interval:
    """By how much two knobs together gain more than the sum of what each gains alone."""
    both, alone, other_alone = (trained[f"grid-{name}"] for name in (f"{one}-{other}", one, other))
    return evaluation.contrast([(both, 1.0), (alone, -1.0), (other_alone, -1.0), (trained["grid-base"], 1.0)])


def size(run: Run, knob: str) -> int:
    """What a training had of what grows: images, or epochs."""
    return run.record["images"]["train"] if knob == "training images" else len(run.history)


def _along(trained: Trained, knob: str, variant: str | None = None) -> list[Sequence[Run]]:
    """Those trained by which something grows, from small to large: how many epochs the base has is its budget's."""
    found = [trained[name] for name in grid.along(knob, variant) if name in trained]
    return sorted(found, key=lambda runs: size(runs[0], knob))


def curve(trained: Trained, knob: str, variant: str | None = None) -> dict[int, Interval]:
    """Accuracy along a growing size, of the base or a variant."""
    return {size(runs[0], knob): evaluation.accuracy_interval(runs) for runs in _along(trained, knob, variant)}


def gaps(trained: Trained, knob: str, variant: str) -> dict[int, Interval]:
    """A variant's gain against the base along a growing size, paired."""
    base = {size(runs[0], knob): runs for runs in _along(trained, knob)}
    ours = {size(runs[0], knob): runs for runs in _along(trained, knob, variant)}
    return {each: evaluation.paired_difference(ours[each], base[each]) for each in ours if each in base}


def shift(trained: Trained, knob: str, variant: str) -> Interval | None:
    """By how much more a variant gains at the largest size than at the smallest; None with fewer than two shared seeds.

    Not `evaluation.contrast`: a record tells by one fingerprint which images taught a network and which tested it.
    """
    ours, base = ({size(runs[0], knob): runs for runs in _along(trained, knob, each)} for each in (variant, None))
    sizes = sorted(ours.keys() & base.keys())
    if len(sizes) < 2:
        return None
    corners = [ours[sizes[-1]], base[sizes[-1]], ours[sizes[0]], base[sizes[0]]]
    rates = [{run.record["seed"]: evaluation.accuracy_of(run) for run in runs} for runs in corners]
    seeds = set.intersection(*map(set, rates))
    changes = [np.dot([1, -1, -1, 1], [each[seed] for each in rates]) for seed in sorted(seeds)]
    return evaluation.mean_interval(changes) if len(changes) > 1 else None


def promised(trained: Trained, knob: str) -> dict[int, Interval]:
    """What a power law expects of the base at every size, having seen all but the largest."""
    found = _along(trained, knob)
    sizes = [size(runs[0], knob) for runs in found]
    right = np.array([np.mean([evaluation.correct(run) for run in runs], axis=0) for runs in found[:-1]])
    law = growth.power_law(sizes[:-1], right)
    return {each: law.accuracy(each) for each in sizes}

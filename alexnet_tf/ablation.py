"""A grid of trainings around one base: what each knob is worth, at what cost, and along which sizes it stays so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet_tf import evaluation, growth, plan, recipes
from alexnet_tf.evaluation import Interval
from alexnet_tf.recipes import grid
from alexnet_tf.runs import Run

Trained = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Effect:
    """One variant beside the base; cost is of the variant itself."""

    knob: str
    variant: str
    gain: Interval  # of test accuracy, paired with the base
    p: float  # how likely so large a gain would be between equals
    parameters: int
    flop: float  # of one image in a training
    minutes: float  # of a training, the median over seeds

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.gain.low > 0 or self.gain.high < 0


def effects(trained: Trained) -> list[Effect]:
    """Every trained variant of the grid's knobs against the base, the largest gain first."""
    base = trained["grid-base"]
    found = []
    for knob, variants in grid.KNOBS.items():
        for variant, _, _ in variants:
            runs = trained.get(f"grid-{variant}")
            if runs:
                gain, p = evaluation.paired_difference(runs, base), evaluation.difference_p(runs, base)
                found.append(Effect(knob, variant, gain, p, *_cost(runs)))
    return sorted(found, key=lambda effect: -effect.gain.mean)


def _cost(runs: Sequence[Run]) -> tuple[int, float, float]:
    """Parameters, FLOP of one image in a training, and minutes of a training."""
    record = runs[0].record
    network = plan.count(recipes.get(record["name"]).at(record["budget"]), len(record["class_names"]))
    return network.parameters, network.flop, float(np.median([run.record["provenance"]["minutes"] for run in runs]))


def table(found: Sequence[Effect]) -> str:
    """The variants, a row each: gain with interval, p corrected for their number, and cost."""
    corrected = evaluation.holm([effect.p for effect in found])
    told = f"{'gain':>7}  {'95 % interval':<18}{'p, Holm':>8}{'parameters':>12}{'MFLOP':>7}{'minutes':>9}"
    lines = [f"{'variant':<18}{'knob':<22}{told}"]
    for effect, p in zip(found, corrected, strict=True):
        between = f"[{effect.gain.low:+.1%}, {effect.gain.high:+.1%}]"
        lines.append(
            f"{effect.variant:<18}{effect.knob:<22}{effect.gain.mean:>+7.1%}  {between:<18}{p:>8.3f}"
            f"{effect.parameters:>12,}{effect.flop / 1e6:>7.0f}{effect.minutes:>9.1f}"
        )
    return "\n".join(lines)


def interaction(trained: Trained, one: str, other: str) -> Interval:
    """By how much two knobs together gain more than the sum of what each gains alone."""
    both, alone, other_alone = (trained[f"grid-{name}"] for name in (f"{one}-{other}", one, other))
    return evaluation.contrast([(both, 1.0), (alone, -1.0), (other_alone, -1.0), (trained["grid-base"], 1.0)])


def size(run: Run, knob: str) -> int:
    """What a training had of what grows: images, or epochs."""
    return run.record["images"]["train"] if knob == "training images" else len(run.history)


def _along(trained: Trained, knob: str, variant: str | None = None) -> list[Sequence[Run]]:
    """The trainings by which something grows, from small to large: how many epochs the base has is its budget's."""
    return sorted((trained[name] for name in grid.along(knob, variant)), key=lambda runs: size(runs[0], knob))


def curve(trained: Trained, knob: str, variant: str | None = None) -> dict[int, Interval]:
    """Accuracy along a growing size, of the base or a variant."""
    return {size(runs[0], knob): evaluation.accuracy_interval(runs) for runs in _along(trained, knob, variant)}


def gaps(trained: Trained, knob: str, variant: str) -> dict[int, Interval]:
    """A variant's gain against the base along a growing size, paired."""
    pairs = zip(_along(trained, knob, variant), _along(trained, knob), strict=True)
    return {size(ours[0], knob): evaluation.paired_difference(ours, base) for ours, base in pairs}


def promised(trained: Trained, knob: str, variant: str | None = None) -> dict[int, Interval]:
    """What a power law expects of every size that has seen all but the largest."""
    found = _along(trained, knob, variant)
    sizes = [size(runs[0], knob) for runs in found]
    right = np.array([np.mean([evaluation.correct(run) for run in runs], axis=0) for runs in found[:-1]])
    law = growth.power_law(sizes[:-1], right)
    return {each: law.accuracy(each) for each in sizes}

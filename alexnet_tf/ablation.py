"""A grid of trainings around one base: what each knob is worth, at what cost, and along which sizes it stays so."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet_tf import costs, evaluation, growth, literature, plan, recipes
from alexnet_tf.intervals import Interval, chance
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
    whole: bool  # it was trained with every seed of the base
    learned: bool  # every training did better than guessing
    p: float | None  # how likely so large a gain would be if all were equal, corrected; None: they were not compared
    parameters: int
    flop: float  # of one image in a training
    time: float | None  # of a training, in units of the base's: measured side by side; None: it was not
    seconds: float | None  # of a training as long as this one, where the base's pace was measured

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.gain.side != 0

    @property
    def took(self) -> str:
        """Its time in words."""
        return times(self.time)

    @property
    def lasts(self) -> str:
        """Its seconds in words."""
        return told(self.seconds)


def finished(budget: str, seeds: int) -> list[str]:
    """The recipes of the grid of which all trainings are there, none of an older recipe or being made anew.

    Those that diverged among them.
    """
    names = [recipe.name for recipe in grid.RECIPES]
    return [name for name in names if all(map(_stands, _runs(name, budget, seeds)))]


def first_looks(budget: str, seeds: int, diverged: Container[str] = ()) -> dict[str, list[Run]]:
    """What is trained, from the first seed on, of the recipes but the base that lack one, and did not diverge."""
    found = {}
    for recipe in grid.RECIPES:
        runs = _runs(recipe.name, budget, seeds)
        there = [*itertools.takewhile(_stands, runs)]
        lost = recipe.name in diverged or any(run.diverged for run in runs)
        if recipe is not grid.BASE and 0 < len(there) < seeds and not lost:
            found[recipe.name] = there
    return found


def _runs(name: str, budget: str, seeds: int) -> list[Run]:
    return [locate(name, budget, seed) for seed in range(seeds)]


def _stands(run: Run) -> bool:
    """Whether it tells something of today's recipe."""
    return bool(run.diverged) or (run.finished and not run.begun and not run.outdated())


def missing(trained: Container[str]) -> str:
    """The recipes of which not all is trained, in words, by what they turn."""
    groups = {**grid.KNOBS, **grid.GROWTH}
    names = {"base": [grid.BASE.name]}
    names |= {knob: [f"grid-{name}" for name, _, _ in variants] for knob, variants in groups.items()}
    names["two at once"] = [grid.both(*pair) for pair in grid.PAIRS]
    lines = ["Not trained yet, not with every seed, or of an older recipe:"]
    for knob, all_ in names.items():
        if left := [name.removeprefix("grid-") for name in all_ if name not in trained]:
            line = f"{knob + ':':<22}{len(left)} of {len(all_)}: {', '.join(left)}"
            lines.append(textwrap.fill(line, 100, subsequent_indent=" " * 22, break_on_hyphens=False))
    return "\n".join(lines) if lines[1:] else "Every recipe of the grid is trained with every seed."


def learned(runs: Sequence[Run]) -> bool:
    """Whether every training did better than guessing."""
    return min(evaluation.accuracy_of(run) for run in runs) >= GUESSING


def _of_one_size() -> list[tuple[str, str]]:
    """The pairs whose trainings are as long as the base's, on as many images: others have a luck of their own."""
    grown = {name for variants in grid.GROWTH.values() for name, _, _ in variants}
    return [pair for pair in grid.INTERACTIONS if not grown.intersection(pair)]


def _alike(trained: Trained) -> dict[str, Sequence[Run]]:
    """The base, its variants and pairs, but those that did not learn or lie farther apart than is usual.

    Of two trainings, who is far is luck. What is left tells by how much luck moves any of them.
    """
    names = [f"grid-{name}" for variants in grid.KNOBS.values() for name, _, _ in variants]
    names = ["grid-base", *names, *(grid.both(*pair) for pair in _of_one_size())]
    found = {name: trained[name] for name in names if name in trained and learned(trained[name])}
    rates = {name: [evaluation.accuracy_of(run) for run in runs] for name, runs in found.items() if len(runs) > 2}
    spreads = {name: np.std(each) for name, each in rates.items()}
    far = UNSTEADY * np.median([*spreads.values()]) if spreads else 0.0
    return {name: runs for name, runs in found.items() if spreads.get(name, 0.0) <= far}


def effects(trained: Trained) -> list[Effect]:
    """Every trained variant of the grid's knobs against the base, the largest gain first.

    Of all that are alike the luck is taken together: three trainings of one variant alone know little of theirs. The
    others, and all if the base is not alike, have the interval of their own trainings, and no p. It is corrected for
    all variants of the grid, trained or not. What has fewer trainings than the base is left out where its luck is not
    everybody's, or nobody tells it.
    """
    if "grid-base" not in trained:
        return []
    base, alike = trained["grid-base"], _alike(trained)
    alike = alike if "grid-base" in alike else {}
    luck = evaluation.luck_of([*alike.values()])
    knobs = {name: knob for knob, variants in grid.KNOBS.items() for name, _, _ in variants}
    known = {name for name, runs in trained.items() if len(runs) == len(base) or (luck and name in alike)}
    tried = {name: knob for name, knob in knobs.items() if f"grid-{name}" in known}
    compared = [name for name in tried if f"grid-{name}" in alike]
    corrected = evaluation.against_one([alike[f"grid-{name}"] for name in compared], base, luck, len(knobs))
    chances = dict(zip(compared, corrected, strict=True))
    found = []
    for name, knob in tried.items():
        runs = trained[f"grid-{name}"]
        gain = evaluation.paired_difference(runs, base, luck if name in chances else None)
        whole = len(runs) == len(base)
        found.append(Effect(knob, name, gain, whole, learned(runs), chances.get(name), *_cost(runs)))
    return sorted(found, key=lambda effect: -effect.gain.mean)


def difference(trained: Trained, one: str, other: str) -> Interval | None:
    """Accuracy of one recipe of the grid minus another's, with the luck of all where both are alike.

    None where there is no such luck, and one has fewer trainings.
    """
    alike = _alike(trained)
    luck = evaluation.luck_of([*alike.values()]) if alike.keys() >= {one, other} else None
    if not luck and len(trained[one]) != len(trained[other]):
        return None
    return evaluation.paired_difference(trained[one], trained[other], luck)


def beside(trained: Trained, effect: Effect) -> list[str]:
    """What others report of a variant beside what it is worth here, in lines."""
    lines = []
    for theirs in literature.FINDINGS.get(effect.variant, ()):
        versus, found = f"grid-{theirs.against}", "not trained"
        ours = effect.gain if theirs.against == "base" else None
        if not ours and versus in trained:
            ours, found = difference(trained, f"grid-{effect.variant}", versus), "of too few trainings"
        if ours:
            signs = "same sign" if ours.mean * theirs.gain > 0 else "other sign"
            where = "inside" if ours.low <= theirs.gain <= ours.high else "outside"
            signs = signs if ours.side and abs(theirs.gain) >= 0.005 else "open"
            found = f"{points(ours, len(trained['grid-base']))}: {signs}, theirs {where}"
        lines.append(f"{effect.variant:<17}against {theirs.against}, theirs {100 * theirs.gain:+.1f}; ours {found}")
        lines.append(f"{'':<17}{theirs.who}: {theirs.where}")
    gain = points(effect.gain, len(trained["grid-base"]))
    return lines or [f"{effect.variant:<17}{gain}; no published figure was found"]


def points(gain: Interval, seeds: int) -> str:
    """A difference, and how many trainings it is of where these are fewer than usual.

    >>> points(Interval(0.012, -0.003, 0.027, 1), 3)
    '+1.20 points [-0.30, +2.70] (n = 1)'
    """
    return gain.points if gain.n >= seeds else f"{gain.points} (n = {gain.n})"


def _cost(runs: Sequence[Run]) -> tuple[int, float, float | None, float | None]:
    """Parameters, FLOP of one image in a training, and the time of a training in units of the base's and in seconds."""
    record = runs[0].record
    network = plan.count(recipes.get(record["name"]).at(record["budget"]), len(record["class_names"]))
    ratio = 1.0 if record["name"] == grid.BASE.name else costs.ratio(f"grid/{record['name']}")
    # Microseconds an image, of the network at its full size: at `quick` it is another one.
    of_base = costs.median(f"grid/{grid.BASE.name}") if record["budget"] != "quick" else None
    seen = record["images"]["train"] * len(runs[0].history)
    return network.parameters, network.flop, ratio, ratio * of_base * seen / 1e6 if ratio and of_base else None


def table(found: Sequence[Effect], base: Sequence[Run]) -> str:
    """The variants, a row each: gain with interval, corrected p, and cost; then what the base itself reaches."""
    gains = f"{'points':>7}  {'95 % interval':<17}{'n':>2}{'p':>7}"
    lines = [f"{'variant':<18}{'knob':<22}{gains}{'parameters':>12}{'MFLOP':>7}{'time':>7}{'seconds':>9}"]
    for effect in found:
        between = f"[{100 * effect.gain.low:+.1f}, {100 * effect.gain.high:+.1f}]"
        gains = f"{100 * effect.gain.mean:>+7.1f}  {between:<17}{effect.gain.n:>2}{likely(effect.p):>7}"
        lines.append(
            f"{effect.variant:<18}{effect.knob:<22}{gains}"
            f"{effect.parameters:>12,}{effect.flop / 1e6:>7.0f}{effect.took:>7}{effect.lasts:>9}"
        )
    parameters, flop, ratio, seconds = _cost(base)
    reached = f"{'base':<18}{evaluation.accuracy_interval(base)!s:<57}"
    lines.append(f"{reached}{parameters:>12,}{flop / 1e6:>7.0f}{times(ratio):>7}{told(seconds):>9}")
    return "\n".join(lines)


def likely(p: float | None) -> str:
    """A p-value in three digits.

    >>> likely(0.0312), likely(0.0002), likely(None)
    ('0.031', '<0.001', 'none')
    """
    return "none" if p is None else f"{p:.3f}" if p >= 0.0005 else "<0.001"


def times(of_base: float | None) -> str:
    """A time in units of the base's, in words: a machine's pace moves by a tenth while it is measured.

    >>> times(1.234), times(None)
    ('× 1.2', '–')
    """
    return "–" if of_base is None else f"× {of_base:.1f}"


def told(seconds: float | None) -> str:
    """Whole seconds to two digits, for a machine moves by more than the third.

    >>> told(187.3), told(None)
    ('190', '–')
    """
    return "–" if seconds is None else f"{float(f'{seconds:.2g}'):.0f}"


@dataclass(frozen=True)
class Interaction:
    """Two knobs turned at once."""

    one: str
    other: str
    extra: Interval  # by how much more both gain together than the sum of what each gains alone
    learned: bool  # every training of the four recipes did better than guessing
    p: float | None  # how likely so large an extra would be if all added up, corrected; None: not compared

    @property
    def name(self) -> str:
        """Both variants."""
        return f"{self.one} and {self.other}"


def interactions(trained: Trained) -> list[Interaction]:
    """All pairs of which the four recipes are trained; with every seed, if they have a luck of their own."""
    alike = _alike(trained)
    luck = evaluation.luck_of([*alike.values()])
    found = []
    for one, other in grid.INTERACTIONS:
        names = [grid.both(one, other), f"grid-{one}", f"grid-{other}", "grid-base"]
        if not trained.keys() >= set(names):
            continue
        terms = [(trained[name], sign) for name, sign in zip(names, (1.0, -1.0, -1.0, 1.0), strict=True)]
        together = luck if alike.keys() >= set(names) else None
        if not together and len({len(runs) for runs, _ in terms}) > 1:
            continue
        extra = evaluation.contrast(terms, together)
        p = chance(extra, together.freedom) if together else None
        found.append(Interaction(one, other, extra, all(learned(runs) for runs, _ in terms), p))
    corrected = iter(evaluation.holm([each.p for each in found if each.p is not None], len(_of_one_size())))
    return [each if each.p is None else dataclasses.replace(each, p=next(corrected)) for each in found]


def size(run: Run, knob: str) -> int:
    """What a training had of what grows: images, or epochs."""
    return run.record["images"]["train"] if knob == "training images" else len(run.history)


def _along(trained: Trained, knob: str, variant: str | None = None) -> list[Sequence[Run]]:
    """Those trained by which something grows, from small to large: how many epochs the base has is its budget's.

    Of each the trainings with the seeds that all have: one that lacks a seed would lack its luck, too.
    """
    found = [trained[name] for name in grid.along(knob, variant) if name in trained]
    seeds = set.intersection(*({run.record["seed"] for run in runs} for runs in found)) if found else set()
    shared = [[run for run in runs if run.record["seed"] in seeds] for runs in found]
    return sorted(shared, key=lambda runs: size(runs[0], knob))


def curve(trained: Trained, knob: str, variant: str | None = None) -> dict[int, Interval]:
    """Accuracy along a growing size, of the base or a variant."""
    return {size(runs[0], knob): evaluation.accuracy_interval(runs) for runs in _along(trained, knob, variant)}


def fit(trained: Trained, knob: str) -> str:
    """How many of its training images the base has right in its last epoch, and how many test images, along a size."""
    shares = []
    for runs in _along(trained, knob):
        learned_by_heart = np.mean([run.history[-1]["accuracy"] for run in runs])
        shares.append(
            f"{size(runs[0], knob):,}: {learned_by_heart:.0%} and {evaluation.accuracy_interval(runs).mean:.0%}"
        )
    return f"right of training images and of test images: {'; '.join(shares)}"


def gaps(trained: Trained, knob: str, variant: str) -> dict[int, Interval]:
    """A variant's gain against the base along a growing size, paired."""
    base = {size(runs[0], knob): runs for runs in _along(trained, knob)}
    ours = {size(runs[0], knob): runs for runs in _along(trained, knob, variant)}
    return {each: evaluation.paired_difference(ours[each], base[each]) for each in ours if each in base}


def drift(trained: Trained, knob: str, variant: str) -> Interval | None:
    """By what factor a variant's errors change against the base's, each time the size doubles; 1 if never.

    The power of the size like which the ratio of errors goes, over the seeds that all have; None with fewer than two.
    """
    ours, base = ({size(runs[0], knob): runs for runs in _along(trained, knob, each)} for each in (variant, None))
    sizes = sorted(ours.keys() & base.keys())
    if len(sizes) < 2:
        return None
    errors = [[_errors(found[each]) for each in sizes] for found in (ours, base)]
    seeds = sorted(set.intersection(*(set(each) for side in errors for each in side)))
    if len(seeds) < 2:
        return None
    mine, other = (np.array([[each[seed] for seed in seeds] for each in side]) for side in errors)
    power = evaluation.mean_interval((growth.lines(sizes, mine)[1] - growth.lines(sizes, other)[1]).tolist())
    return Interval(2**power.mean, 2**power.low, 2**power.high, power.n)


def _errors(runs: Sequence[Run]) -> dict[int, float]:
    """The error of each seed; half a test image at least, for its logarithm's sake."""
    return {
        run.record["seed"]: max(1 - evaluation.accuracy_of(run), 0.5 / run.record["images"]["test"]) for run in runs
    }


def promised(trained: Trained, knob: str) -> dict[int, Interval]:
    """What a power law expects of the base at every size, having seen all but the largest."""
    found = _along(trained, knob)
    sizes = [size(runs[0], knob) for runs in found]
    right = np.array([np.mean([evaluation.correct(run) for run in runs], axis=0) for runs in found[:-1]])
    law = growth.power_law(sizes[:-1], right)
    return {each: law.accuracy(each) for each in sizes}


def kept(trained: Trained, knob: str, variant: str | None = None) -> Interval | None:
    """Accuracy at the largest size minus what a power law through the smaller ones promised, over seeds.

    Both were tested on the same images, and a seed with its own line. None with fewer than two seeds.
    """
    found = _along(trained, knob, variant)
    errors = [_errors(runs) for runs in found]
    seeds = sorted(errors[0]) if len(found) > 2 else []
    if len(seeds) < 2:
        return None
    sizes = [size(runs[0], knob) for runs in found]
    rows = np.array([[each[seed] for seed in seeds] for each in errors])
    levels, slopes = growth.lines(sizes[:-1], rows[:-1])
    promise = np.exp(levels + slopes * np.log(sizes[-1]))
    return evaluation.mean_interval((promise - rows[-1]).tolist())


def law(trained: Trained, knob: str, variant: str | None = None) -> str | None:
    """How the error of the base or a variant falls along a size, and what that promises, in words; None: too few sizes.

    One line goes through all sizes but the largest, which is measured against it; one through all of them.
    """
    means = {size(runs[0], knob): np.mean([*_errors(runs).values()]) for runs in _along(trained, knob, variant)}
    if len(means) < 3:
        return None
    sizes, errors = [*means], np.array([*means.values()])
    level, power = growth.lines(sizes, errors)
    *_, before, largest = sizes
    if power >= 0:
        return f"error does not fall with more {knob}"
    twice = 1 - np.exp(level + power * np.log(2 * largest))
    told = (
        f"error falls like the {knob} to the power of {growth.lines(sizes[:-1], errors[:-1])[1]:.2f} up to {before:,}; "
        f"up to {largest:,} to that of {power:.2f}, which would leave {twice:.1%} right at {2 * largest:,}"
    )
    missed = kept(trained, knob, variant)
    return told + (f"; at {largest:,}, measured minus promised: {missed.points}" if missed else "")

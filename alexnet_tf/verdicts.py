"""Claims against runs: the scorecard. Computed from what lies on disk; nothing here trains."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet_tf import evaluation, recipes, runs
from alexnet_tf.claims import CLAIMS, Claim, reported
from alexnet_tf.errors import LabError
from alexnet_tf.intervals import Interval, chance, seeds_to_decide
from alexnet_tf.recipe import PROTOCOLS
from alexnet_tf.runs import Run

RACE_TO = 0.25  # the training error of the 2012 paper's race between activations


@dataclass(frozen=True)
class Verdict:
    """One row of the scorecard; the numbers are None where nothing was measured."""

    claim: str
    source: str
    reported: float | None
    measured: float | None
    low: float | None
    high: float | None
    n: int | None
    budget: str
    verdict: str
    why: str


def judge_level(found: Interval, claimed: float, margin: float, form: str = ".1%") -> tuple[str, str]:
    """The rule for "scores a": where the interval lies against a and its margin."""
    low, high = format(found.low, form), format(found.high, form)
    where = f"95 % interval {low} to {high} against {format(claimed, form)} ± {format(margin, form)}"
    if found.low > claimed + margin:
        return "exceeded", where
    if found.low >= claimed - margin:
        return "reproduced", where
    if found.high < claimed - margin:
        return "not reproduced", where
    return "inconclusive", where


def judge_difference(found: Interval, sign: int, margin: float) -> tuple[str, str]:
    """The rule for "X beats Y": where the paired interval lies against zero."""
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    between = f"95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f} points"
    where = f"{between}, claimed {'above' if sign > 0 else 'below'} zero"
    if low > 0:
        return "reproduced", where
    if high < 0:
        return "contradicted", where
    if low >= -margin and high <= margin:
        return "no effect", f"{where}; all of it within ± {100 * margin:g} points"
    more = seeds_to_decide(found, margin)
    if more:
        return "inconclusive", f"{where}; about {more} seeds might decide"
    return "inconclusive", f"{where}; needs more {'seeds' if found.n < 2 else 'test images'}"


def _countable(recipe: str | None, protocol: str, budget: str, found: Sequence[Run]) -> list[Run]:
    """Finished runs of the recipe as it stands: no overrides, not outdated."""
    fitting = [
        run
        for run in found
        if run.record["name"] == recipe
        and (run.record["protocol"], run.record["budget"]) == (protocol, budget)
        and not run.record["overrides"]
        and not run.outdated()
    ]
    seen = {run.record["provenance"]["dataset_fingerprint"] for run in fitting}
    if len(seen) > 1:
        raise LabError(
            f"The {budget} runs of {recipe} saw different data ({', '.join(sorted(seen))}): train them anew."
        )
    return fitting


def measure(claim: Claim, ours: Sequence[Run], theirs: Sequence[Run]) -> Interval | None:
    """What a claim's runs came to, by its rule; None where they don't suffice for it."""
    shared = {run.record["seed"] for run in ours} & {run.record["seed"] for run in theirs}
    if claim.rule == "level":
        return evaluation.accuracy_interval(ours, claim.best) if ours else None
    if claim.rule == "ten crops":
        return evaluation.averaging_gain(ours)
    if claim.rule == "overfitting":
        return evaluation.overfitting(ours, theirs)
    if claim.rule == "race":
        return evaluation.race(ours, theirs, RACE_TO) if len(shared) > 1 else None
    return evaluation.paired_difference(ours, theirs) if shared else None


def chance_of(claim: Claim, ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """How likely a difference as large as a claim's runs show would be if there were none; 1 without a measurement."""
    found = measure(claim, ours, theirs)
    if found and claim.rule == "difference":
        return evaluation.difference_p(ours, theirs)
    return chance(found, found.n - 1 or math.inf) if found else 1.0


def decide(claim: Claim, found: Interval) -> tuple[str, str]:
    """The verdict on what was measured, and why."""
    if claim.is_difference:
        verdict, why = judge_difference(found, claim.sign, claim.margin)
        if claim.reported is not None and not found.low <= claim.reported <= found.high:
            why += f"; the source's {100 * claim.reported:+.1f} lies outside"
        return verdict, why
    if claim.reported is None:
        return "no figure", "the source asks and reports nothing"
    if claim.rule == "race":
        verdict, why = judge_level(found, claim.reported, claim.margin, ".1f")
        return verdict, f"{why}; faster all the same" if verdict == "not reproduced" and found.low > 1 else why
    return judge_level(found, claim.reported, claim.margin)


def beside(claim: Claim, trained: Mapping[str, Sequence[Run]], budget: str) -> str:
    """A line of a chapter: what trained runs came to, beside the source's figure where that can be compared."""
    found = measure(claim, trained.get(claim.recipe or "", []), trained.get(claim.versus or "", []))
    name = claim.name.partition("/")[2]
    if not found:
        return f"{name:<20} not tried at {budget} with these seeds"
    times = claim.rule == "race"
    told = f"{found.mean:.1f} times [{found.low:.1f}, {found.high:.1f}]" if times else found.points
    if math.isinf(found.high):
        told = f"{found.mean:.1f} times, if whoever never got there had done so in its last epoch"
    if budget == "quick" or claim.reported is None:
        return f"{name:<20} {told}"
    return f"{name:<20} {told}; the source: {f'{claim.reported:.1f}' if times else f'{100 * claim.reported:+.1f}'}"


def _needed(claim: Claim) -> str:
    """What it takes to run a claim that nobody ran."""
    if claim.recipe is None:
        return f"needs {claim.needs}"
    both = [recipes.get(name) for name in (claim.recipe, claim.versus) if name]
    needed = [*both, *map(recipes.get, {recipe.trunk for recipe in both if recipe.trunk})]
    hours = sum(recipe.budgets[claim.budget].minutes for recipe in needed) * claim.seeds / 60
    told = f"{claim.seeds} seed(s) at {claim.budget}: about {hours:.1f} hours on two cores"
    return f"needs {claim.needs}{both[0].dataset}, {told}"


def judge(claim: Claim, found: Sequence[Run]) -> Verdict:
    """One claim against runs of the budget that settles it, else of the largest that has any; quick never counts."""
    lacking = ""
    for budget in dict.fromkeys((claim.budget, "paper", "laptop")) if claim.recipe else ():
        try:
            ours = _countable(claim.recipe, claim.protocol, budget, found)
            theirs = _countable(claim.versus, claim.protocol, budget, found) if claim.versus else []
            if interval := measure(claim, ours, theirs):
                break
        except LabError as error:
            lacking = lacking or str(error)
        else:
            if claim.rule in ("ten crops", "overfitting") and ours and (theirs or not claim.versus):
                measures = f"python -m alexnet_tf reports --budget {budget} --only 04_paper_claims"
                lacking = lacking or f"its runs are there and not what it asks of them: '{measures}' measures it"
    else:
        why = lacking or _needed(claim)
        return Verdict(claim.name, claim.source, claim.reported, None, None, None, None, claim.budget, "not run", why)
    verdict, why = decide(claim, interval)
    if interval.n < claim.seeds:
        why += f"; {interval.n} of {claim.seeds} seeds"
    if interval.n == 1 < claim.seeds and claim.rule != "level":
        verdict = "inconclusive"  # else more trainings would only ever take a verdict back
        why += ", so of single trainings and not yet of recipes"
    if lacking:  # at the budget that would have settled it
        why += f"; {lacking}"
    high = interval.high if math.isfinite(interval.high) else None  # a race that one side never ended
    numbers = (interval.mean, interval.low, high, interval.n)
    return Verdict(claim.name, claim.source, claim.reported, *numbers, budget, verdict, why)


def _finished(store: Path | str | None) -> list[Run]:
    return [run for run in runs.listing(store) if run.finished and run.recipe in recipes.RECIPES]


def scorecard(store: Path | str | None = None, claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """Every claim with its verdict, in the order of the sources."""
    found = _finished(store)
    return [judge(claim, found) for claim in claims]


@dataclass(frozen=True)
class Result:
    """What all seeds of one recipe came to, at one budget and protocol, beside the source's figure."""

    recipe: str
    source: str
    budget: str
    protocol: str
    reported: float | None
    found: Interval
    minutes: float
    runs: tuple[Run, ...]


def results(names: Iterable[str], budget: str | None = None, store: Path | str | None = None) -> list[Result]:
    """Every recipe named, at every real budget (or at one) and protocol with finished runs; what is amiss is told."""
    listed = _finished(store)
    rows = []
    for name in names:
        for size in (budget,) if budget else ("laptop", "paper"):
            for protocol in PROTOCOLS:
                try:
                    ours = _countable(name, protocol, size, listed)
                except LabError as error:
                    print(error, file=sys.stderr)
                    continue
                if ours and recipes.get(name).loss != "rebuilding":  # which has no accuracy
                    rows.append(_result(name, size, protocol, ours))
    return rows


def _result(name: str, budget: str, protocol: str, ours: Sequence[Run]) -> Result:
    minutes = sum(run.record["provenance"]["minutes"] for run in ours) / len(ours)
    found = evaluation.accuracy_interval(ours)
    return Result(name, recipes.get(name).source, budget, protocol, reported(name, budget), found, minutes, tuple(ours))


def results_table(rows: Iterable[Result]) -> str:
    """Recipe, what its source reports, what we found, and what that took."""
    rows = list(rows)
    width = max((len(row.recipe) for row in rows), default=0) + 2
    lines = [
        f"{'recipe':<{width}}{'budget':<8}{'protocol':<10}{'reported':>8}{'ours':>9}  {'95 % interval':<19}{'n':>2}"
        f"{'minutes':>8}"
    ]
    for row in rows:
        theirs = "-" if row.reported is None else f"{row.reported:.2%}"
        between = f"[{row.found.low:.2%}, {row.found.high:.2%}]"
        lines.append(
            f"{row.recipe:<{width}}{row.budget:<8}{row.protocol:<10}{theirs:>8}{row.found.mean:>9.2%}  {between:<19}"
            f"{row.found.n:>2}{row.minutes:>8.1f}"
        )
    return "\n".join(lines)


def shown(value: float | None, rule: str = "level") -> str:
    """A figure of the scorecard for people: of a race how many times, else a share or a difference of shares.

    >>> shown(0.615), shown(0.8, "race"), shown(None)
    ('61.50%', '0.8×', '–')
    """
    if value is None:
        return "–"
    return f"{value:.1f}×" if rule == "race" else f"{value:.2%}"


def as_rows(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """The rows of ``scorecard --json``."""
    return [asdict(verdict) for verdict in verdicts]

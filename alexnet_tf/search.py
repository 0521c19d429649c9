"""Look for better settings of a recipe, judged on held-out training images alone.

Optuna proposes (its Bayesian sampler; of lists of choices each combination at most once), stops hopeless trials
early and keeps them in one journal file, which several processes may share without a server, as KerasTuner's need
one; it wants no say in how a model is built.
Each trial is a training of the laboratory under the `honest` protocol that never sees the test images; one that
was killed is gone on with by the next call.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import files, models, recipes, runs, training
from alexnet_tf.errors import DivergedError, LabError, UsageError
from alexnet_tf.evaluation import binomial_interval
from alexnet_tf.intervals import Interval
from alexnet_tf.recipe import Recipe, is_whole, parse_value

HINT = "as learning_rate=0.001..0.1 or options.dropout=0,0.3,0.5"


@dataclass(frozen=True)
class Axis:
    """A field of the recipe with its bounds, or with the values to choose from."""

    name: str
    low: float = 0
    high: float = 0
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        values = ",".join(map(json.dumps, self.choices)) if self.choices else f"{self.low:g}..{self.high:g}"
        return f"{self.name}={values}"

    @property
    def by_factors(self) -> bool:
        """Whether the bounds lie so far apart that factors count, not differences."""
        return not self.choices and self.low > 0 and self.high / self.low >= 10

    def suggest(self, trial: Any) -> Any:
        """A value from the trial's sampler."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        suggest = trial.suggest_int if is_whole(self.name) else trial.suggest_float
        return suggest(self.name, self.low, self.high, log=self.by_factors)


def axis(text: str) -> Axis:
    """An axis from KEY=LOW..HIGH or KEY=VALUE,VALUE,…

    >>> print(axis("learning_rate=0.001..0.1"), axis("loss=bce,crossentropy").choices)
    learning_rate=0.001..0.1 ('bce', 'crossentropy')
    """
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise UsageError(f"--space takes KEY=VALUES, {HINT}; received {text!r}.")
    low, between, high = values.partition("..")
    if not between:
        named = [parse_value(value) for value in values.split(",")]
        if any(isinstance(value, list | dict) for value in named):
            raise UsageError(f"--space chooses among numbers and words, not lists, {HINT}; received {text!r}.")
        choices = tuple(dict.fromkeys(named))
        if len(choices) < 2:
            raise UsageError(f"--space {name} has one value only: fix it with --set, or name several, {HINT}.")
        return Axis(name, choices=choices)
    bounds = [_number(bound) for bound in (low, high)]
    if not bounds[0] < bounds[1]:  # nor is NaN below anything
        raise UsageError(f"--space takes a lower and a higher bound, {HINT}; received {text!r}.")
    return Axis(name, bounds[0], bounds[1])


def _number(text: str) -> float:
    """The finite number that a text names; NaN where it names none."""
    value = parse_value(text)
    try:
        return value if math.isfinite(value) and not isinstance(value, bool) else math.nan
    except (TypeError, OverflowError):  # no number, or more digits than a float holds
        return math.nan


def usual(recipe: Recipe) -> list[Axis]:
    """What nearly every recipe should be asked first: its rate, its decay of weights, its dropout."""
    found = [Axis("learning_rate", recipe.learning_rate / 10, recipe.learning_rate * 10)]
    decay = "weight_decay" if recipe.optimizer in ("adamw", "muon") else "l2"
    own = getattr(recipe, decay) or 1e-4
    found.append(Axis(decay, own / 100, own * 10))
    if "dropout" in recipe.options:
        found.append(Axis("options.dropout", 0.0, 0.7))
    return found


@dataclass(frozen=True)
class Found:
    """What a search has learned so far."""

    folder: Path
    trials: list[dict[str, Any]]  # number, state, accuracy (of the last epoch it reached), epochs, and its values
    importances: dict[str, float]  # shares of the accuracy's variance

    @property
    def best(self) -> dict[str, Any] | None:
        """The trial that came to its end with the highest accuracy."""
        done = [trial for trial in self.trials if trial["state"] == "complete"]
        return max(done, key=lambda trial: trial["accuracy"], default=None)


def search(
    name: str,
    trials: int,
    budget: str = "quick",
    axes: Sequence[Axis] = (),
    fixed: Mapping[str, Any] | None = None,
    folder: Path | str | None = None,
    seed: int = 0,
    patient: bool = False,
    folds: int = 1,
) -> Found:
    """Go on until the study has `trials` trials, those of other processes and earlier calls included.

    Without patience a trial that is worse than half of the others were after as many epochs is stopped; or after as
    many folds, where each trial is a cross-validation inside the training images.

    If every axis is a list, no combination is tried twice: as many as there are trials for, drawn at random.
    """
    try:
        import optuna
    except ImportError as error:
        raise LabError("A search needs Optuna: install it with pip install 'alexnet_tf[search]'.") from error
    optuna.logging.set_verbosity(logging.WARNING)
    recipe = recipes.get(name).at(budget).change(fixed or {})
    training.searchable(recipe)
    axes = axes or [one for one in usual(recipe) if one.name not in (fixed or {})]
    if not axes:
        raise UsageError(f"All that is usually asked of {name} is fixed: name something with --space, {HINT}.")
    names = [one.name for one in axes] + list(fixed or {})
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{', '.join(sorted(twice))} is given twice: search for it once, or fix it with --set.")
    for one in axes:  # a wrong name or an impossible value is told before anything is trained
        for value in one.choices or (one.low, one.high):
            changed = recipe.change({one.name: value})
            models.check(changed.model, changed.options)
    place = Path(folder) if folder else runs.cache() / "search" / f"{name}-{budget}"
    place.mkdir(parents=True, exist_ok=True)
    with _asking(place):
        study = _study(place, recipe, axes, seed, folds)

    def train(trial: Any) -> float:
        values = {one.name: one.suggest(trial) for one in axes}
        print(f"trial {trial.number + 1}: {told(values)}", file=sys.stderr)

        def watch(step: int, accuracy: float) -> None:
            trial.report(accuracy, step)
            if not patient and trial.should_prune():
                raise optuna.TrialPruned

        changes = {**(fixed or {}), **values}
        if folds == 1:
            return training.validated(name, budget, seed, changes, place / "runs", watch)
        reached: list[float] = []
        for part in range(folds):
            done = f"fold {part} of {json.dumps(changes, sort_keys=True)}"  # perhaps before the search was killed
            if done not in study.user_attrs:
                store = place / "runs" / f"fold-{part}"
                accuracy = training.validated(name, budget, seed, changes, store, lambda *_: None, (part, folds))
                study.set_user_attr(done, accuracy)
            reached.append(study.user_attrs[done])
            watch(part, sum(reached) / len(reached))
        return sum(reached) / folds

    states = optuna.trial.TrialState
    while True:
        with contextlib.ExitStack() as held:
            with _asking(place):
                if all(one.choices for one in axes):
                    trials = _ask_each_once(study, axes, trials, seed)
                if len(_begun(study)) >= trials:
                    break
                trial = study.ask()
                held.enter_context(
                    files.locked(_lock(place, trial.number), f"Trial {trial.number + 1} is being trained")
                )
            # A number of its own for each trial, or processes that begin together would all ask the same.
            study.sampler = optuna.samplers.TPESampler(seed=seed + 1000 * trial.number, constant_liar=True)
            try:
                study.tell(trial, train(trial))
            except optuna.TrialPruned:
                study.tell(trial, state=states.PRUNED)
            except DivergedError as error:  # a trial that taught something
                study.tell(trial, state=states.PRUNED)
                print(f"trial {trial.number + 1}: {error}", file=sys.stderr)
            except LabError:
                study.tell(trial, state=states.FAIL)
                raise
        _lock(place, trial.number).unlink()
    return _found(study, place)


def _begun(study: Any, waiting: bool = False) -> list[Any]:
    """The trials that count: trained, stopped early, or being trained; on request those that wait for it, too."""
    from optuna.trial import TrialState

    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING] + [TrialState.WAITING] * waiting
    return study.get_trials(deepcopy=False, states=tuple(states))


def _ask_each_once(study: Any, axes: Sequence[Axis], trials: int, seed: int) -> int:
    """Let as many combinations of the choices be asked as there are trials for; how many that are."""
    names = [one.name for one in axes]
    every = [dict(zip(names, values, strict=True)) for values in itertools.product(*(one.choices for one in axes))]
    if trials < len(every):
        every = [every[place] for place in np.random.default_rng(seed).permutation(len(every))]
    asked = [_settings(trial) for trial in _begun(study, waiting=True)]
    for combination in [one for one in every if one not in asked][: max(0, trials - len(asked))]:
        study.enqueue_trial(combination)
    return min(trials, len(every))


def _settings(trial: Any) -> dict[str, Any]:
    """What a trial was told to try, though its process may have died before it asked for it; else what it drew."""
    return trial.system_attrs.get("fixed_params", trial.params)


def _asking(place: Path) -> contextlib.AbstractContextManager[None]:
    """One process at a time counts the trials, asks for another and locks it: who reads then finds no half of that."""
    return files.locked(place / "ask.lock", f"The search in {place} is being asked", wait=True)


def _lock(place: Path, number: int) -> Path:
    return place / f"trial-{number}.lock"


def told(values: Mapping[str, Any]) -> str:
    """Settings as a line."""
    rounded = {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in rounded.items())


def _study(place: Path, recipe: Recipe, axes: Sequence[Axis], seed: int, folds: int) -> Any:
    """The study of a folder; what a killed process was training is asked again, after what waits already."""
    import optuna

    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(place / "journal.log")))
    study = optuna.create_study(study_name=recipe.name, storage=storage, load_if_exists=True, direction="maximize")
    warmup = max(1, recipe.epochs // 5) if folds == 1 else 0
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup)
    asked = {"recipe": recipe.fields(), "space": sorted(map(str, axes)), "seed": seed}
    if folds > 1:
        asked["folds"] = folds
    begun = study.user_attrs.get("asked", asked)
    if begun != asked:
        inside = f"; folds {begun.get('folds', 1)}, now {folds}" if begun.get("folds", 1) != folds else ""
        fields = {key: {"value": value} for key, value in begun["recipe"].items()}
        changed = runs.changed_fields(fields, recipe.fields()).items()
        others = "".join(f"; {name} {old!r}, now {new!r}" for name, (old, new) in changed)
        raise LabError(
            f"The search in {place} asked something else ({'; '.join(begun['space'])}; seed {begun['seed']}{inside}"
            f"{others}): ask the same, or name another folder with --to."
        )
    study.set_user_attr("asked", asked)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        try:
            with files.locked(_lock(place, trial.number), "It is being trained"):
                stopped = study.tell(trial.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
        except LabError:
            continue  # another process is at it
        if stopped.state.name == "FAIL":  # and was not finished a moment ago
            study.enqueue_trial(_settings(trial))
    return study


def _found(study: Any, place: Path) -> Found:
    import optuna

    trials = []
    for trial in (one for one in study.trials if one.state.name != "WAITING"):
        reached = list(trial.intermediate_values.values())
        trials.append(
            {
                "number": trial.number + 1,
                "state": trial.state.name.lower(),
                "accuracy": trial.value if trial.value is not None else reached[-1] if reached else None,
                "epochs": 1 + max(trial.intermediate_values, default=-1),  # one that was gone on with tells its last
                "values": trial.params,
            }
        )
    complete = [trial["accuracy"] for trial in trials if trial["state"] == "complete"]
    varied = len(set(complete)) > 1 and len(study.best_params) > 1
    importances = optuna.importance.get_param_importances(study) if varied else {}
    return Found(place, trials, {name: float(share) for name, share in importances.items()})


def committed() -> list[dict[str, Any]]:
    """What each search in `reports/search` found."""
    pages = sorted((runs.home() / "reports" / "search").glob("*/search.json"))
    return [json.loads(page.read_text(encoding="utf-8")) for page in pages]


def along_rates(budget: str, family: str = "") -> dict[str, dict[float, Interval]]:
    """How accuracy on the held-out images changes with the rate, of each recipe whose searches asked for it.

    `family`: how the recipes' names begin.
    """
    curves: dict[str, dict[float, Interval]] = {}
    for found in committed():
        if found["budget"] != budget or not found["name"].startswith(family):
            continue
        done = [trial for trial in found["trials"] if trial["state"] == "complete"]
        if all([*trial["values"]] == ["learning_rate"] for trial in done):
            held_out = found["held_out"]
            reached = {trial["values"]["learning_rate"]: trial["accuracy"] for trial in done}
            right = {rate: round(accuracy * held_out) for rate, accuracy in reached.items()}
            curve = {rate: binomial_interval(n, held_out) for rate, n in right.items()}
            curves[found["name"]] = dict(sorted({**curves.get(found["name"], {}), **curve}.items()))
    return curves

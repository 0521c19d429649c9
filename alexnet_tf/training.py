"""A recipe and a seed become a Run: compile, fit, save, go on after a kill.

The state of a training (every variable, the dropout seeds, the plateau's memory, the history)
is one file, replaced atomically at the end of each epoch and within long ones. Together with a stream that is a
function of (seed, epoch, step), a resumed training gives the numbers of an uninterrupted one.
Keras' BackupAndRestore keeps neither dropout seeds nor callback state, hence our own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet_tf import datasets, devices, provenance, recipes, runs
from alexnet_tf.errors import DivergedError, LabError, UsageError
from alexnet_tf.finishing import finish
from alexnet_tf.fitting import damage_told, fit
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe, choose_budget
from alexnet_tf.runs import Run


def train(
    name: str,
    budget: str = "quick",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    protocol: str = "source",
    store: Path | str | None = None,
    fresh: bool = False,
    skip_damaged: bool = False,
    on: str = "one",
) -> Run:
    """One run: finished ones are returned as they are, unfinished ones are gone on with.

    `on` "all" shares every batch among the devices of this machine; processes that have met share it in any case,
    and then the first of them alone writes: the others return with nothing but the run's name.

    Raises `LabError` when the run on disk was made by an older version of the recipe.
    """
    recipe = recipes.get(name).at(budget).change(overrides or {})
    run = runs.locate(name, budget, seed, overrides, protocol, store)
    command = [recipe.fields(), seed, protocol, fresh]
    devices.agree({"what they were told to train": command, f"what is finished in {run.path}": run.finished})
    if run.finished and not run.begun and not fresh:
        changed = run.outdated()
        if not changed:
            return run
        told = f"{run} is of an older recipe ({'; '.join(changed)})"
        if store is not None or budget != "quick":
            raise LabError(f"{told}: train it anew with --fresh.")
        _tell(f"{told}: trained anew, as it takes seconds.")
    with run.locked() if devices.first() else contextlib.nullcontext():
        now = runs.Run(run.path, run.scratch)
        fresh = fresh and not _made_for_these_reports(now)
        if fresh and devices.first():
            run.discard_state()
        if not fresh and now.finished and not now.begun and not now.outdated():
            return now  # another process finished it while this one loaded or waited
        devices.wait()  # nobody reads before the first has discarded
        provenance.forget_peak()  # that of an earlier training of this process is not this one's
        begun = _begin(run, recipe, name, budget, seed, overrides or {}, protocol)
        if recipe.precision == "mixed_bfloat16" and provenance.slow_in_bfloat16():
            told = "This processor has no instructions for bfloat16 and computes it many times slower than float32"
            _tell(f"{told}: '--set precision=float32' spares the wait.")
        splits = _images(run, recipe, protocol, begun, skip_damaged)
        if splits.skipped:
            begun["provenance"]["skipped"] = list(splits.skipped)
            _tell(f"{len(splits.skipped)} damaged files left out: {', '.join(splits.skipped[:5])}")
        rest = 0 if recipe.drop_remainder else len(splits.train) % recipe.batch_size
        try:
            with devices.spread(on, recipe.batch_size, rest) as share:
                begun["provenance"].update(devices=share.devices, processes=share.processes)
                model, saver = fit(run, recipe, splits, seed, begun, share)
        except DivergedError as error:
            if devices.first():
                run.keep_divergence(str(error), begun)
            kept = f"The weights that were saved last are kept in {run.state}"
            raise DivergedError(f"{error} {kept}. Try a smaller rate: --set learning_rate=...") from error
        model = devices.part(model)
        if devices.first():
            saver.set_model(model)
            begun["kept_epoch"] = saver.keep_best()
            with damage_told(splits):
                finish(run, recipe, splits, model, begun)
    return runs.Run(run.path, run.scratch)


def _made_for_these_reports(run: Run) -> bool:
    """Whether it was finished since the reports began that are being made: fresh once is enough for all of them."""
    began = os.environ.get("ALEXNET_REPORTS_BEGAN", "")
    return began != "" and run.finished and run.record["provenance"].get("finished", "") > began


def searchable(recipe: Recipe) -> None:
    """Raise unless a training of the recipe has an accuracy to be judged by."""
    if recipe.loss == "rebuilding":
        raise UsageError(f"{recipe.name} rebuilds images: it has no accuracy to be searched by.")
    if recipe.untrained:
        raise UsageError(f"{recipe.name} is not trained: no setting of its training matters.")


def validated(
    name: str,
    budget: str,
    seed: int,
    overrides: Mapping[str, Any],
    store: Path | str,
    watch: Callable[[int, float], None],
    held: tuple[int, int] | None = None,
) -> float:
    """The accuracy on held-out training images, and nothing else: no test image is looked at, no run is kept.

    Held out is a tenth, or `held` (which part, of how many). `watch` is told each epoch's accuracy and may stop the
    training with an exception. One that was killed, or that a full disk has stopped, goes on where it was.
    """
    recipe = recipes.get(name).at(budget).change(overrides)
    searchable(recipe)
    run = runs.locate(name, budget, seed, overrides, "honest", store)
    with run.locked():
        begun = _begin(run, recipe, name, budget, seed, overrides, "honest")
        splits = _images(run, recipe, "honest", begun, held=held)
        told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: watch(epoch, logs["val_accuracy"]))
        try:
            with devices.spread("one", recipe.batch_size, 0) as share:
                _, saver = fit(run, recipe, splits, seed, begun, share, [told])
        except OSError:  # of the disk, not of the settings: what was saved last is gone on with
            raise
        except Exception:
            run.discard_state()
            raise
        run.discard_state()
    rates = [row["val_accuracy"] for row in saver.history]
    return max(rates) if recipe.keep == "best" else rates[-1]


SEEDS = {"quick": 1, "laptop": 3, "paper": 3}  # trainings of a recipe, where nothing else is asked for


def train_all(
    names: Sequence[str],
    budget: str = "quick",
    seeds: int = 1,
    fresh: bool = False,
    diverged: list[str] | None = None,
) -> dict[str, list[Run]]:
    """Every recipe with every seed; says before each training how many remain and about how long they take.

    All recipes are trained once before any is twice, but what a missing one starts from before it. A training that
    diverges ends all, unless there is a list for such recipes' names: then the others go on without them, and without
    those of which it is known.
    """
    if diverged is not None and not fresh:
        diverged += [name for name in names if any(runs.locate(name, budget, seed).diverged for seed in range(seeds))]
    wanted = [(name, seed) for seed in range(seeds) for name in names if name not in (diverged or ())]
    missing = [(name, seed) for name, seed in wanted if fresh or not runs.locate(name, budget, seed).finished]
    trunks = dict.fromkeys((trunk, seed) for name, seed in missing if (trunk := recipes.get(name).trunk))
    lost = [pair for pair in trunks if pair not in missing and not _weights_are_here(*pair, budget)]
    left, total = [*lost, *missing], len(lost) + len(wanted)

    def tell(name: str, seed: int) -> None:
        if (name, seed) in left:
            minutes = sum(recipes.get(each).budgets[budget].minutes for each, _ in left)
            told = f"{len(left)} of {total} runs to train, about {minutes:.0f} minutes"
            print(f"{told}; next: {name}, seed {seed}", file=sys.stderr)
            left.remove((name, seed))

    for name, seed in lost:
        tell(name, seed)
        _make_weights(name, seed, budget)
    trained = {}
    for name, seed in dict.fromkeys([*(pair for pair in trunks if pair in missing), *wanted]):
        if name in (diverged or ()):
            continue
        tell(name, seed)
        try:
            trained[name, seed] = train(name, budget, seed, fresh=fresh)
        except DivergedError as error:
            if diverged is None:
                raise
            _tell(str(error))
            diverged.append(name)
            left = [pair for pair in left if pair[0] != name]
    whole = [name for name in names if name not in (diverged or ())]
    return {name: [trained[name, seed] for seed in range(seeds)] for name in whole}


def _is_good(run: Run) -> bool:
    return run.finished and not run.outdated()


def _weights_are_here(name: str, seed: int, budget: str) -> bool:
    """Whether a training may start from this run, or from one that was made again for its weights."""
    run, spare = (runs.locate(name, budget, seed, store=store) for store in (None, runs.spares()))
    return _is_good(run) and (run.has_weights or (_is_good(spare) and spare.has_weights))


def make_trunk(name: str, seed: int, budget: str) -> None:
    """Train what a recipe starts from where its weights are not here."""
    trunk = recipes.get(name).trunk
    if trunk and not _weights_are_here(trunk, seed, budget):
        minutes = recipes.get(trunk).budgets[budget].minutes
        _tell(f"{name} starts from {trunk}, whose weights are not here: first that, about {minutes:g} minutes")
        _make_weights(trunk, seed, budget)


def _make_weights(name: str, seed: int, budget: str) -> None:
    """Train a run that others start from; one that is good, and has lost its weights alone, stays as it is."""
    if not _is_good(runs.locate(name, budget, seed)):
        train(name, budget, seed)
        return
    spare = runs.locate(name, budget, seed, store=runs.spares())
    train(name, budget, seed, store=runs.spares(), fresh=spare.finished and not spare.begun)


def _tell(line: str) -> None:
    """To the person, once, however many processes train."""
    if devices.first():
        print(line, file=sys.stderr)


def _begin(
    run: Run, recipe: Recipe, name: str, budget: str, seed: int, overrides: Mapping[str, Any], protocol: str
) -> dict[str, Any]:
    """What the record will say of how the training was begun; a resumed one must be the same."""
    begun: dict[str, Any] = {
        "name": name,
        "budget": budget,
        "seed": seed,
        "protocol": protocol,
        "overrides": dict(overrides),
        "dataset": recipe.dataset,
        "recipe": _marked(recipe, budget, overrides),
        "provenance": {**provenance.collect(recipe.precision), "resumed": 0},
    }
    earlier = run.begun
    if not earlier:
        run.discard_state()  # nothing says which recipe a state without its beginning belongs to
        return begun
    changed = runs.changed_fields(earlier.get("recipe", {}), recipe.fields())
    if changed:
        raise LabError(
            f"{run} was begun with an older recipe (changed since: {', '.join(changed)}): train it anew with --fresh."
        )
    backends = [about["provenance"].get("backend", "tensorflow") for about in (earlier, begun)]
    if backends[0] != backends[1]:  # whose shuffle and draws are others
        raise LabError(
            f"{run} was begun with KERAS_BACKEND={backends[0]}, and this is {backends[1]}: "
            "go on with that one, or train it anew with --fresh."
        )
    begun["provenance"].update(
        {name: earlier["provenance"][name] for name in ("started", "started_from") if name in earlier["provenance"]}
    )
    begun["provenance"]["resumed"] = earlier["provenance"]["resumed"] + 1
    return begun


def _images(
    run: Run,
    recipe: Recipe,
    protocol: str,
    begun: dict[str, Any],
    skip_damaged: bool = False,
    held: tuple[int, int] | None = None,
) -> datasets.Splits:
    """What a training sees, told in its record; a resumed one must go on with what it began with."""
    if recipe.fold and recipe.pretrained and recipe.pretrained != "imagenet":
        origin = recipe.pretrained.partition("/{")[0]
        trunk = recipes.RECIPES.get(origin.partition("/")[0])
        seen_by = trunk.at(begun["budget"]).dataset if trunk else recipe.dataset  # who knows what else has seen
        if datasets.untouched(seen_by) == datasets.untouched(recipe.dataset):
            raise UsageError(f"A fold would be tested on images that {origin} may have seen: leave folds out.")
    splits = datasets.load(recipe.dataset, protocol, recipe.train_images, skip_damaged, recipe.fold, held)
    seen = splits.fingerprint()
    if run.begun.get("provenance", {}).get("dataset_fingerprint", seen) != seen:
        raise LabError(f"{run} was begun on other images than lie here today: train it anew with --fresh.")
    begun["provenance"]["dataset_fingerprint"] = seen
    return splits


def _marked(recipe: Recipe, budget: str, overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every field with its value and mark; what a budget or an override changed says so."""
    budgeted = choose_budget(recipe, budget).changes
    marked = {}
    for field, value in recipe.fields().items():
        mark = "ours" if field in budgeted or field in overrides else recipe.mark(field)
        marked[field] = {"value": value, "mark": mark}
        if field in budgeted or field in overrides:
            marked[field]["changed_by"] = "override" if field in overrides else budget
    return marked

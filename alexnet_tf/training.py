"""A recipe and a seed become a Run: compile, fit, save after each epoch, go on after a kill.

The state of a training (every variable, the dropout seeds, the plateau's memory, the history)
is one file, replaced atomically at the end of each epoch. Together with a stream that is a
function of (seed, epoch, step), a resumed training gives the numbers of an uninterrupted one.
Keras' BackupAndRestore keeps neither dropout seeds nor callback state, hence our own.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import datasets, devices, models, provenance, recipes, runs
from alexnet_tf.callbacks import Progress, SaveState, StopOnNaN
from alexnet_tf.errors import LabError
from alexnet_tf.optimizers import make_optimizer
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe, choose_budget
from alexnet_tf.runs import Run, write_atomically
from alexnet_tf.splits import Split, Splits

if keras.backend.backend() == "tensorflow":
    from alexnet_tf import pipeline as streams
else:
    from alexnet_tf import arrays as streams  # type: ignore[no-redef]


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """The loss of a recipe, on logits and one-hot labels."""
    if recipe.loss == "bce":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True)


def make_preprocess(recipe: Recipe) -> Preprocess:
    """The preprocessing of a recipe."""
    return Preprocess(
        recipe.image_size,
        recipe.standardize,
        recipe.resize_first,
        recipe.interpolation,
        recipe.crop_from,
        name="prepare",
    )


def steps_per_epoch(images: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches in an epoch."""
    return images // batch_size if drop_remainder else -(-images // batch_size)


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

    `on` "all" shares every batch among the devices of this machine.

    Raises `LabError` when the run on disk was made by an older version of the recipe.
    """
    recipe = recipes.get(name).at(budget).change(overrides or {})
    run = runs.locate(name, budget, seed, overrides, protocol, store)
    if run.finished and not run.begun and not fresh:
        changed = run.outdated()
        if not changed:
            return run
        told = f"{run} is of an older recipe ({'; '.join(changed)})"
        if store is not None or budget != "quick":
            raise LabError(f"{told}: train it anew with --fresh.")
        print(f"{told}: trained anew, as it takes seconds.", file=sys.stderr)
    with run.locked():
        if fresh:
            run.discard_state()
        begun = _begin(run, recipe, name, budget, seed, overrides or {}, protocol)
        splits = datasets.load(recipe.dataset, protocol, recipe.train_images, skip_damaged, recipe.fold)
        begun["provenance"]["dataset_fingerprint"] = splits.fingerprint()
        if splits.skipped:
            begun["provenance"]["skipped"] = list(splits.skipped)
            print(f"{len(splits.skipped)} damaged files left out: {', '.join(splits.skipped[:5])}", file=sys.stderr)
        with devices.spread(on, recipe.batch_size) as count:
            begun["provenance"]["devices"] = count
            model = fit(run, recipe, splits, seed, begun)
        _finish(run, recipe, splits, model, begun)
    return runs.Run(run.path, run.scratch)


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
        return begun
    now, before = json.loads(json.dumps(begun["recipe"])), earlier.get("recipe", {})
    values = [{field: entry["value"] for field, entry in marked.items()} for marked in (now, before)]
    changed = [field for field in now.keys() | before.keys() if values[0].get(field) != values[1].get(field)]
    if changed:
        raise LabError(
            f"{run} was begun with an older recipe (changed since: {', '.join(sorted(changed))}): "
            "train it anew with --fresh."
        )
    begun["provenance"]["started"] = earlier["provenance"]["started"]
    begun["provenance"]["resumed"] = earlier["provenance"]["resumed"] + 1
    return begun


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


def fit(run: Run, recipe: Recipe, splits: Splits, seed: int, begun: dict[str, Any]) -> keras.Sequential:
    """Train, saving each epoch, and return the network with the weights that the recipe keeps."""
    classes = len(splits.class_names)
    steps = steps_per_epoch(len(splits.train), recipe.batch_size, recipe.drop_remainder)
    model = models.build(recipe.model, recipe.image_size, classes, recipe.precision, seed, **recipe.options)
    if begun["provenance"]["devices"] > 1:
        devices.synchronize(model)
    model.compile(optimizer=make_optimizer(recipe), loss=make_loss(recipe), metrics=["accuracy"])
    plateau = None
    if recipe.plateau:
        factor, patience = recipe.plateau
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=factor, patience=patience)
    stepped = []
    if recipe.steps:
        every, factor = recipe.steps
        rates = [recipe.learning_rate * factor ** (epoch // every) for epoch in range(recipe.epochs)]
        stepped = [keras.callbacks.LearningRateScheduler(lambda epoch, _: rates[epoch])]
    saver = SaveState(run, recipe, begun, plateau)
    saver.set_model(model)
    done = saver.load()
    preprocess = make_preprocess(recipe)
    if done < recipe.epochs:
        stream = streams.training_stream(
            splits.train,
            classes,
            preprocess,
            recipe.batch_size,
            seed,
            recipe.augment,
            recipe.drop_remainder,
            first_epoch=done,
        )
        callbacks = [
            StopOnNaN(run),
            *stepped,
            *([plateau] if plateau else []),
            saver,
            Progress(run, recipe.epochs, steps, "test" if splits.val is None else "validation"),
        ]
        _fit_or_tell(
            model,
            stream,
            epochs=recipe.epochs,
            initial_epoch=done,
            steps_per_epoch=steps,
            validation_data=streams.evaluation_stream(splits.monitored, classes, preprocess),
            callbacks=callbacks,
            shuffle=False,  # the stream has shuffled
            verbose=0,
        )
    begun["history"] = saver.history
    begun["kept_epoch"] = saver.keep_best()
    begun["seconds"] = saver.seconds + (time.perf_counter() - saver.started if done < recipe.epochs else 0.0)
    return model


def _fit_or_tell(model: keras.Sequential, stream: Any, **settings: Any) -> None:
    """Fit; an image that can't be read is told in its own sentence, not in TensorFlow's."""
    try:
        model.fit(stream, **settings)
    except Exception as error:
        told = re.search(r"LabError: (.*)", str(error))
        if told and not isinstance(error, LabError):
            raise LabError(told[1]) from error
        raise


def logits_of(model: keras.Model, split: Split, classes: int, preprocess: Preprocess) -> np.ndarray:
    """The network's outputs for every example of a split, in order."""
    return np.asarray(model.predict(streams.evaluation_stream(split, classes, preprocess), verbose=0), "float32")


def exported(model: keras.Sequential, preprocess: Preprocess, recipe: Recipe) -> keras.Sequential:
    """The network for use: uint8 images of any size in, probabilities out."""
    last = "sigmoid" if recipe.loss == "bce" else "softmax"
    bare = keras.Sequential.from_config(model.get_config())  # without the optimizer, which only a training needs
    bare.set_weights(model.get_weights())
    tail = keras.layers.Activation(last, dtype="float32", name="probabilities")
    return keras.Sequential([keras.Input((None, None, 3), dtype="uint8", name="image"), preprocess, bare, tail])


def _finish(run: Run, recipe: Recipe, splits: Splits, model: keras.Sequential, begun: dict[str, Any]) -> None:
    """Measure the kept weights once, save the model for use, and write the record last."""
    classes, preprocess = len(splits.class_names), make_preprocess(recipe)
    outputs: dict[str, np.ndarray] = {}
    metrics: dict[str, float | None] = {"val_accuracy": None, "val_loss": None}
    for part, split in (("val", splits.val), ("test", splits.test)):
        if split is None:
            continue
        logits = logits_of(model, split, classes, preprocess)
        outputs.update({f"{part}_ids": split.ids, f"{part}_labels": split.labels.astype("int16")})
        outputs[f"{part}_logits"] = np.clip(logits, -65504, 65504).astype("float16")  # float16's range
        one_hot = np.eye(classes, dtype="float32")[split.labels]
        metrics[f"{part}_accuracy"] = float((logits.argmax(axis=1) == split.labels).mean())
        metrics[f"{part}_loss"] = float(make_loss(recipe)(one_hot, logits))
    content = io.BytesIO()
    np.savez_compressed(content, **outputs)  # type: ignore[arg-type]
    shutil.rmtree(run.path / "measurements", ignore_errors=True)  # of the weights that are being replaced
    write_atomically(run.path / "outputs.npz", content.getvalue())
    run.scratch.mkdir(parents=True, exist_ok=True)
    partial = run.weights.with_name("part.keras")
    exported(model, preprocess, recipe).save(partial)
    partial.replace(run.weights)
    seconds = begun.pop("seconds")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    begun["provenance"].update(minutes=round(seconds / 60, 3), finished=now)
    record = {"format": runs.FORMAT, **begun, "class_names": list(splits.class_names), "metrics": metrics}
    record["images"] = {"train": len(splits.train), "val": len(splits.val or ()), "test": len(splits.test)}
    write_atomically(run.path / "record.json", (json.dumps(record, indent=1) + "\n").encode())
    run.discard_state()

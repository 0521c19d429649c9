"""A recipe's network, compiled and fitted: what it starts from, what changes its rate, epoch after epoch."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import devices, models, predict, runs
from alexnet_tf.callbacks import Progress, SaveState, StopOnNaN, heeding_ctrl_c
from alexnet_tf.errors import LabError
from alexnet_tf.models import today, transfer
from alexnet_tf.optimizers import make_optimizer
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe
from alexnet_tf.runs import Run
from alexnet_tf.splits import Split, Splits

if keras.backend.backend() == "tensorflow":
    from alexnet_tf import pipeline as streams
else:
    from alexnet_tf import arrays as streams  # type: ignore[no-redef]


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """The loss of a recipe, on logits and one-hot labels; or between an image and what was rebuilt of it."""
    if recipe.loss == "rebuilding":
        return keras.losses.MeanSquaredError()
    kinds = {"bce": keras.losses.BinaryCrossentropy, "crossentropy": keras.losses.CategoricalCrossentropy}
    return kinds[recipe.loss](from_logits=True, label_smoothing=recipe.label_smoothing)


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


def steps_per_pass(images: int, batch_size: int, drop_remainder: bool) -> int:
    """Batches in one pass over the training images."""
    return images // batch_size if drop_remainder else -(-images // batch_size)


def fit(
    run: Run,
    recipe: Recipe,
    splits: Splits,
    seed: int,
    begun: dict[str, Any],
    share: devices.Share,
    watching: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Sequential, SaveState]:
    """Train, saving each epoch, and return the network as the last epoch leaves it, with what has saved it."""
    classes = len(splits.class_names)
    if recipe.drop_remainder and recipe.batch_size > len(splits.train):
        told = f"{recipe.batch_size} is larger than the {len(splits.train)} training images"
        raise LabError(f"A batch of {told}, and drop_remainder leaves it out: take a smaller one.")
    model = models.build(recipe.model, recipe.image_size, classes, recipe.precision, seed, **recipe.options)
    _start(model, run, recipe, splits.train, begun)
    if share.devices > 1:
        devices.synchronize(model)
    in_a_pass = steps_per_pass(len(splits.train), recipe.batch_size, recipe.drop_remainder)
    compile_as(model, recipe, recipe.epochs * recipe.passes * in_a_pass)
    schedules, plateau = _schedules(recipe)
    saver = SaveState(run, recipe, begun, plateau, alone=share.processes == 1, first=devices.first())
    saver.set_model(model)
    done = saver.load()
    devices.agree(
        {
            "their images": begun["provenance"]["dataset_fingerprint"],
            f"the epochs done in {run.scratch}": [done, saver.step],
        }
    )
    cut = done + 1 if saver.step else done  # an epoch that was cut is a fit of its own, with fewer steps
    with heeding_ctrl_c(saver):
        for epochs in filter(None, (range(done, cut), range(cut, recipe.epochs))):
            _go_on(model, recipe, splits, seed, epochs, schedules, saver, share, watching)
    begun["history"], begun["seconds"] = saver.history, saver.seconds
    return model, saver


def compile_as(model: keras.Sequential, recipe: Recipe, steps: int) -> None:
    """Freeze what the recipe freezes, and give the network its loss and its optimizer for so many steps."""
    if recipe.frozen:
        transfer.freeze(model, recipe.frozen)
    # Weighted, because images that fill up a shared batch of validation weigh nothing.
    metrics = [] if recipe.loss == "rebuilding" else ["accuracy"]
    model.compile(optimizer=make_optimizer(recipe, steps), loss=make_loss(recipe), weighted_metrics=metrics)


LOOKED_AT = 5000  # training images whose patches are whitened


def _prepared(split: Split, preprocess: Preprocess) -> Iterable[np.ndarray]:
    """The images of a split as the network sees them; photographs one by one, since each has its own size."""
    if split.images is not None:
        return np.asarray(preprocess(split.images))
    return (np.asarray(preprocess(split.image(place)[None]))[0] for place in range(len(split)))


def whiten(model: keras.Sequential, recipe: Recipe, train: Split) -> None:
    """Let the first convolution whiten patches of the training images, as the network sees them."""
    count = min(len(train), LOOKED_AT)  # of photographs from all of the folder, which is sorted by class
    few = train.take(np.linspace(0, len(train) - 1, count).astype(int) if train.files else np.arange(count))
    today.whiten(model, _prepared(few, make_preprocess(recipe)))


def _start(model: keras.Sequential, run: Run, recipe: Recipe, train: Split, begun: dict[str, Any]) -> None:
    """Start from the weights that the recipe asks for, unless the run has begun."""
    if recipe.whiten and not run.state.exists():
        whiten(model, recipe, train)
    if recipe.pretrained == "imagenet" and not run.state.exists():
        transfer.from_imagenet(model)
        learned = b"".join(weight.tobytes() for weight in model.get_layer("trunk").get_weights())
        begun["provenance"]["started_from"] = {"sha256": hashlib.sha256(learned).hexdigest(), "layers": ["trunk"]}
    elif recipe.pretrained and not run.state.exists():
        name = recipe.pretrained.replace("{budget}", begun["budget"]).replace("{seed}", str(begun["seed"]))
        path, theirs = _trained_before(name, run)
        taken = transfer.take(model, transfer.parts(predict.load(path))[1], recipe.taken)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        begun["provenance"]["started_from"] = {"sha256": digest, "layers": taken, **theirs}


def _trained_before(name: str, run: Run) -> tuple[Path, dict[str, Any]]:
    """The weights that a name stands for: those of the run's own folder of runs, if they are there, or made again.

    With the recipe that they were trained by, where it is known.
    """
    if name.endswith(".keras") or name in predict.released():
        return predict.find_model(name)[0], {}
    own = run.path.parents[2]
    earlier = None
    if own not in runs.stores():
        with contextlib.suppress(LabError):
            earlier = runs.find(name, own, having_weights=True)
    earlier = earlier or runs.find(name, having_weights=True)
    if not earlier.has_weights:
        with contextlib.suppress(LabError):
            earlier = runs.find(name, runs.spares(), having_weights=True)
    if changed := earlier.outdated():
        raise LabError(
            f"{earlier}, which {run} starts from, is of an older recipe ({'; '.join(changed)}): "
            f"'{earlier.anew}' trains it anew."
        )
    return predict.weights_of(earlier), {key: earlier.record[key] for key in ("recipe", "overrides")}


def _schedules(recipe: Recipe) -> tuple[list[keras.callbacks.Callback], Any]:
    """What changes the rate as the recipe wants it; the plateau, if any, once more by itself for its memory."""
    found: list[keras.callbacks.Callback] = []
    if recipe.steps:
        every, factor = recipe.steps
        rates = [recipe.learning_rate * factor ** (epoch // every) for epoch in range(recipe.epochs)]
        found.append(keras.callbacks.LearningRateScheduler(lambda epoch, _: rates[epoch]))
    plateau = None
    if recipe.plateau:
        factor, patience = recipe.plateau
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=factor, patience=patience)
        found.append(plateau)
    return found, plateau


def _go_on(
    model: keras.Sequential,
    recipe: Recipe,
    splits: Splits,
    seed: int,
    epochs: range,
    schedules: list[keras.callbacks.Callback],
    saver: SaveState,
    share: devices.Share,
    watching: Sequence[keras.callbacks.Callback],
) -> None:
    """Some epochs, from the step at which the first of them was cut."""
    classes, preprocess = len(splits.class_names), make_preprocess(recipe)
    in_a_pass = steps_per_pass(len(splits.train), recipe.batch_size, recipe.drop_remainder)
    passed, step = divmod(saver.step, in_a_pass)
    # Under TensorFlow it is Keras that shares the batches among the devices.
    shared: dict[str, Any] = {"share": share} if keras.backend.backend() == "jax" else {}
    with damage_told(splits):
        stream = streams.training_stream(
            splits.train,
            classes,
            preprocess,
            recipe.batch_size,
            seed,
            recipe.augment,
            recipe.drop_remainder,
            begin=(epochs.start * recipe.passes + passed, step),
            **shared,
        )
    steps = recipe.passes * in_a_pass - saver.step
    watched = recipe.watch or splits.val is not None
    monitored = streams.evaluation_stream(splits.monitored, classes, preprocess, **shared) if watched else None
    callbacks = [StopOnNaN(saver.step), *schedules, saver]
    if devices.first():
        part = "test" if splits.val is None else "validation"
        callbacks = [*callbacks, Progress(saver.run, recipe.epochs, steps, part)]
    callbacks = [*callbacks, *watching]
    with damage_told(splits):
        model.fit(
            stream,
            epochs=epochs.stop,
            initial_epoch=epochs.start,
            steps_per_epoch=steps,
            validation_data=monitored,
            callbacks=callbacks,
            shuffle=False,  # the stream has shuffled
            verbose=0,
        )


@contextlib.contextmanager
def damage_told(splits: Splits) -> Iterator[None]:
    """An image that can't be read is told by its name, in its own sentence and not in TensorFlow's."""
    try:
        yield
    except Exception as error:
        told = re.search(r"LabError: (.*)", str(error))
        if told and not isinstance(error, LabError):
            raise LabError(told[1]) from error
        if "Invalid JPEG data" in str(error):  # a whole file by its looks, whose inside TensorFlow does not take
            parts = (splits.train, splits.val, splits.test)
            found = (streams.undecodable(part) for part in parts if part is not None)
            name = next((file for file in found if file), "A photograph")
            raise LabError(f"{name} is damaged inside, though some programs show it: remove or replace it.") from error
        raise

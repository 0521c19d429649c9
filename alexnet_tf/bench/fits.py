"""Trainings to be timed: compiled as `fitting` compiles, on one batch again and again or on a real stream.

Each function prepares a recipe and returns a measurement.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import datasets, fitting, models, recipes
from alexnet_tf.bench import TURN, drawn, inputs, kernels, timed
from alexnet_tf.errors import LabError
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe
from alexnet_tf.splits import Split, Splits

Measure = Callable[[], float]


def chosen(name: str, changes: Mapping[str, Any] | None = None) -> tuple[Recipe, int]:
    """A recipe at its paper settings but for some changes, and how many classes its network tells apart."""
    recipe = recipes.get(name).change(changes or {})
    return recipe, models.ARCHITECTURES[recipe.model].classes


def compiled(recipe: Recipe, classes: int, steps: int = 10_000) -> keras.Sequential:
    """A recipe's network, ready for a training of so many steps."""
    model = models.build(recipe.model, recipe.image_size, classes, recipe.precision, 0, **recipe.options)
    fitting.compile_as(model, recipe, steps)
    return model


def as_written(recipe: Recipe, classes: int) -> keras.Sequential:
    """The network as the source's code has it: stock layers and optimizer, softmax at its end, nothing but defaults."""
    network = models.ARCHITECTURES[recipe.model]
    *stack, _ = network.layers(classes, **recipe.options)
    last = keras.layers.Dense(classes, activation="softmax")
    shape = (recipe.image_size, recipe.image_size, 3)
    model = keras.Sequential([keras.Input(shape), *map(kernels.stock, stack), last])
    stock = {
        "sgd": lambda: keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum),
        "adam": lambda: keras.optimizers.Adam(recipe.learning_rate, beta_1=recipe.momentum),
    }
    model.compile(optimizer=stock[recipe.optimizer](), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def batch_of(recipe: Recipe, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch of noise with labels."""
    shape = (recipe.batch_size, recipe.image_size, recipe.image_size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    return images, np.eye(classes, dtype="float32")[np.arange(recipe.batch_size) % classes]


class FromTheSecondStep(keras.callbacks.Callback):
    """Counts the seconds after the first step: a fit begins once, and a training is hundreds of turns long."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Nothing has been done yet."""
        self.began = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Go, after the first."""
        self.began = self.began or time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.began


def _fit_in_turns(model: keras.Sequential, stream: Any, turn: float, least: int) -> Measure:
    """Seconds of a step of `model.fit`, of which a turn has some at least, the first one aside."""

    def each(steps: int) -> float:
        gc.collect()
        clock = FromTheSecondStep()
        model.fit(stream, steps_per_epoch=steps + 1, callbacks=[clock], verbose=0, shuffle=False)
        return clock.seconds / steps

    each(1)  # whatever happens once: tracing, compiling, allocating
    count = max(least, round(turn / each(2)))
    return lambda: each(count)


def fixed(
    name: str, changes: Mapping[str, Any] | None = None, written: bool = False, turn: float = TURN, least: int = 1
) -> Measure:
    """Seconds an image of `model.fit` on one batch in memory, again and again."""
    recipe, classes = chosen(name, changes)
    model = (as_written if written else compiled)(recipe, classes)
    measure = _fit_in_turns(model, _again(batch_of(recipe, classes)), turn, least)
    return lambda: measure() / recipe.batch_size


def _again(batch: tuple[np.ndarray, np.ndarray]) -> Any:
    """One batch without end, where the backend wants it: no copying is timed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensors(batch).repeat()
    held = tuple(map(keras.ops.convert_to_tensor, batch))
    return (held for _ in itertools.count())


def stream_of(recipe: Recipe, classes: int, train: Split) -> Any:
    """The stream that a training on these images has, all its augmentations included; batches are whole."""
    preprocess = fitting.make_preprocess(recipe)
    return fitting.streams.training_stream(train, classes, preprocess, recipe.batch_size, 0, recipe.augment, True)


def piped(
    name: str, folder: str, changes: Mapping[str, Any] | None = None, images: int = drawn.IMAGES, turn: float = TURN
) -> Measure:
    """Seconds an image of `model.fit` on the recipe's own stream, from images of its dataset's kind."""
    recipe, classes = chosen(name, changes)
    train = drawn.splits(recipe.dataset, classes, images, 1, Path(folder)).train
    measure = _fit_in_turns(compiled(recipe, classes), stream_of(recipe, classes, train), turn, inputs.LEAST)
    return lambda: measure() / recipe.batch_size


def epoch(name: str, folder: str, changes: Mapping[str, Any] | None = None, images: int = 2048) -> Measure:
    """Seconds of an epoch over so many images, which are of the recipe's own size."""
    recipe, classes = chosen(name, changes)
    train = drawn.splits(recipe.dataset, classes, images, 1, Path(folder)).train
    model, stream = compiled(recipe, classes), stream_of(recipe, classes, train)
    return timed(lambda: model.fit(stream, steps_per_epoch=images // recipe.batch_size, verbose=0, shuffle=False))


def paintbox_epochs(name: str) -> Measure:
    """Seconds of an epoch on the 4,000 paintbox images in batches of 128, on any backend."""
    recipe, _ = chosen(name, {"dataset": "paintbox", "batch_size": 128})
    splits = datasets.load(recipe.dataset)
    model, stream = compiled(recipe, splits.classes), stream_of(recipe, splits.classes, splits.train)
    steps = len(splits.train) // recipe.batch_size
    return timed(lambda: model.fit(stream, steps_per_epoch=steps, verbose=0, shuffle=False))


def core_seconds(name: str) -> Measure:
    """Core-seconds an image of a step on one batch of noise: what all cores together are busy."""
    recipe, classes = chosen(name)
    model = compiled(recipe, classes)
    images, labels = batch_of(recipe, classes)

    def measure() -> float:
        began = time.process_time()
        model.train_on_batch(images, labels)
        return (time.process_time() - began) / recipe.batch_size

    return measure


CHECKS = 5  # looks at the validation images in an epoch, where a training races


class Clock(keras.callbacks.Callback):
    """Counts the seconds of training, not of looking, and stops when the validation images are answered well."""

    def __init__(self, goal: float, look: Callable[[], float]) -> None:
        super().__init__()
        self.goal, self.look = goal, look
        self.seconds = self.accuracy = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Go."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hold the clock, and look."""
        self.seconds += time.perf_counter() - self.began
        self.accuracy = self.look()
        if self.accuracy >= self.goal:
            self.model.stop_training = True


def until(name: str, goal: float, changes: Mapping[str, Any] | None = None, splits: Splits | None = None) -> Measure:
    """Seconds of training until the accuracy on held-out training images is at the goal; a new seed each time.

    What comes before the first step, such as whitening the first layer, is not counted.
    """
    recipe, _ = chosen(name, changes)
    splits = splits or datasets.load(recipe.dataset, "honest")
    assert splits.val is not None
    preprocess = fitting.make_preprocess(recipe)
    steps = fitting.steps_per_pass(len(splits.train), recipe.batch_size, recipe.drop_remainder)
    model = compiled(recipe, splits.classes, steps * recipe.epochs)
    model.optimizer.build(model.trainable_variables)
    untouched = [np.array(variable) for variable in model.optimizer.variables]
    looking = fitting.streams.evaluation_stream(splits.val, splits.classes, preprocess)
    seeds = itertools.count()

    def start(seed: int) -> Any:
        """Everything as before the first step, and the images in an order of this seed's."""
        new = models.build(recipe.model, recipe.image_size, splits.classes, recipe.precision, seed, **recipe.options)
        model.set_weights(new.get_weights())
        if recipe.whiten:
            fitting.whiten(model, recipe, splits.train)
        for variable, value in zip(model.optimizer.variables, untouched, strict=True):
            variable.assign(value)
        return fitting.streams.training_stream(
            splits.train, splits.classes, preprocess, recipe.batch_size, seed, recipe.augment, recipe.drop_remainder
        )

    def look() -> float:
        return model.evaluate(looking, verbose=0, return_dict=True)["accuracy"]

    def measure() -> float:
        clock = Clock(goal, look)
        part = max(1, steps // CHECKS)
        parts = -(-steps * recipe.epochs // part)
        model.fit(start(next(seeds)), epochs=parts, steps_per_epoch=part, callbacks=[clock], shuffle=False, verbose=0)
        if clock.accuracy < goal:
            raise LabError(f"{name} ended at {clock.accuracy:.1%}: it has not reached {goal:.1%}.")
        return clock.seconds

    model.fit(start(0), steps_per_epoch=2, shuffle=False, verbose=0)  # traced and compiled before any race
    look()
    return measure

"""Evaluation and prediction: what an image costs, alone or in batches, as one look or as ten crops."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf.bench import ROUNDS, TURN, drawn, in_turns_of, interleaved, summary

PREDICTED = ("cifar10-bn64", "int305-adam", "flowers-lrn", "imagenet-2012")
BATCHES = (1, 4, 16, 64, 256)
TESTED = 500  # images of a test set, which `evaluate` streams


def predictions(
    rounds: int = ROUNDS,
    recipes: Sequence[str] | None = None,
    batches: Sequence[int] = BATCHES,
    tested: int = TESTED,
    turn: float = TURN / 2,
) -> dict[str, Any]:
    """Microseconds an image of `predict_on_batch` on raw pictures, of evaluating a test set, and of ten crops.

    The network is the one that a run exports, its preprocessing inside, at the recipe's own precision.
    """
    costs = {}
    for name in recipes or PREDICTED:
        with tempfile.TemporaryDirectory() as folder:
            sides = _sides(name, batches, tested, turn, Path(folder))
            seconds = interleaved(sides, rounds)
        costs.update({f"predict/{name}/{side}": summary(taken * 1e6) for side, taken in seconds.items()})
    return {"costs": costs}


def _sides(name: str, batches: Sequence[int], tested: int, turn: float, folder: Path) -> dict[str, Callable[[], float]]:
    """What takes turns: a batch of each size, a test set, and ten crops where the recipe has them."""
    from alexnet_tf import finishing, fitting
    from alexnet_tf.bench import fits

    recipe, classes = fits.chosen(name)
    network, preprocess = fits.compiled(recipe, classes), fitting.make_preprocess(recipe)
    whole = finishing.exported(network, preprocess, recipe)
    height, width = drawn.size_of(recipe.dataset)
    test = drawn.splits(recipe.dataset, classes, 1, tested, folder).test

    def an_image(work: Callable[[], Any], images: int) -> Callable[[], float]:
        measure = in_turns_of(turn, lambda count: [work() for _ in range(count)])
        return lambda: measure() / images

    def predicted(images: np.ndarray) -> Callable[[], Any]:
        return lambda: whole.predict_on_batch(images)

    sides = {f"batch-{count}": an_image(predicted(drawn.pixels(count, height, width)), count) for count in batches}
    sides["evaluate"] = an_image(lambda: finishing.logits_of(network, test, classes, preprocess), tested)
    if recipe.crop_from:
        few = drawn.pixels(batches[-1] // 10 or 1, height, width)

        def ten_crops() -> Any:
            crops = np.asarray(preprocess.ten_crops(few))
            return network.predict_on_batch(crops.reshape(-1, *crops.shape[2:]))

        sides["ten-crop"] = an_image(ten_crops, len(few))
    return sides

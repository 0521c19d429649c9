"""How fast an accelerator trains, and its share of what that computes at most.

It takes JAX (``KERAS_BACKEND=jax python -m alexnet_tf.bench accelerator``): a wheel that knows graphics cards is all it
needs, and no image either, since the batches are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alexnet_tf.bench import ROUNDS, by_workers, server, summary
from alexnet_tf.errors import LabError
from alexnet_tf.recipes import get

# A recipe of each source and of ours, of many networks.
MEASURED = (
    *("flowers-lrn", "cifar10-bn64", "lab-base", "cifar10-simple", "cifar10-resnet18", "int305-cnn", "int305-adam"),
    *("zeng-aug", "imagenet-2012", "paper-lrn-scaled", "grid-base", "today-flowers", "today-cifar"),
)
LARGE = 1024  # images a step, where it is asked what the card could do with more of them
SIZE = 8192  # of the matrices whose product says what the card can do
TURN = 0.25  # seconds


def accelerator(
    rounds: int = ROUNDS, recipes: Sequence[str] | None = None, turn: float = TURN, size: int = SIZE
) -> dict[str, Any]:
    """`model.fit` in bfloat16 on one batch in memory, at the recipe's own batch and at a large one.

    A process each, and one for the product; those of a recipe take turns.
    """
    from alexnet_tf import models, plan, provenance
    from alexnet_tf.quiet import keras

    if keras.backend.backend() != "jax" or not provenance.accelerators():
        raise LabError("This needs an accelerator and KERAS_BACKEND=jax: it is left out.")
    results: dict[str, dict[str, Any]] = {"ratios": {}, "costs": {}}
    for recipe in map(get, recipes or MEASURED):
        workers = {"product": server("product", "bfloat16", size=size, turn=turn)}
        for batch in dict.fromkeys((recipe.batch_size, LARGE)):
            changes = {"precision": "mixed_bfloat16", "batch_size": batch}
            workers[str(batch)] = server("fixed", recipe.name, changes=changes, turn=turn)
        seconds = by_workers(workers, rounds)
        product = seconds.pop("product")
        flop = plan.count(recipe, models.ARCHITECTURES[recipe.model].classes).flop
        for side, taken in seconds.items():
            place = f"accelerator/{recipe.name}/batch-{side}"
            results["costs"][place] = summary(taken * 1e6)
            results["ratios"][f"{place}/of-product"] = summary((flop / taken) / (2 * size**3 / product))
    return results

"""Source D: a course report that compares a baseline with AlexNet under two optimizers."""

from __future__ import annotations

from typing import Any

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes.quick import OBJECTS_QUICK


def _int305(name: str, title: str, parameters: int, model: str, given: str, **own: Any) -> Recipe:
    """Source D's systems share everything but the network and the optimizer.

    The source's 300 epochs of 5,000 steps at 1e-4 add up to 150. Where the rate is raised for
    `laptop`, epochs times 391 steps times the rate come near that: the weights may go as far.
    """
    laptop = {"lenet": {"epochs": 40, "learning_rate": 0.01}, "int305": {"epochs": 12, "learning_rate": 0.03}}[model]
    if own.get("optimizer") == "adam":
        laptop = {"epochs": 12, "learning_rate": 3e-4}
    small = {} if model == "lenet" else {"options.width": 0.25, "options.dense_units": 256}
    if own.get("options"):
        small["options.dropout"] = 0.2
    sizes = {} if model == "lenet" else {"width": 1.0, "dense_units": 4096, "dropout": 0.0}
    quick = {**OBJECTS_QUICK, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.001, **small}
    settings: dict[str, Any] = {"learning_rate": 1e-4, "momentum": 0.9, "epsilon": 1e-8, **own}
    settings["options"] = {**sizes, **own.get("options", {})}
    return Recipe(
        name=name,
        source="D",
        title=title,
        parameters=parameters,
        model=model,
        dataset="cifar10",
        image_size=32,
        standardize="symmetric",
        epochs=300,
        batch_size=10,
        given="dataset " + given,
        inferred="image_size loss keep precision l2 decay plateau train_images drop_remainder",
        budgets={
            "paper": Budget(minutes=6000 if model == "int305" else 600),
            "laptop": Budget(minutes=4 if model == "lenet" else 35, changes={"batch_size": 128, **laptop}),
            "quick": Budget(minutes=0.2, changes=quick),
        },
        **settings,
    )


RECIPES = (
    _int305(
        "int305-cnn", "A small convolutional network as the baseline", 62_006, "lenet",
        "epochs batch_size optimizer learning_rate momentum",
    ),
    _int305(
        "int305-sgd", "AlexNet for 32 px with SGD, no dropout", 27_279_882, "int305",
        "model optimizer learning_rate momentum",
    ),
    _int305(
        "int305-adam", "The same with Adam and dropout", 27_279_882, "int305",
        "model optimizer options.dropout", optimizer="adam", options={"dropout": 0.5},
    ),
)  # fmt: skip

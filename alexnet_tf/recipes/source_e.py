"""Source E: AlexNet with five augmentations on CIFAR-10."""

from __future__ import annotations

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes.quick import OBJECTS_QUICK

ZENG_AUG = Recipe(
    name="zeng-aug",
    source="E",
    title="AlexNet for CIFAR-10 with five augmentations; sizes and rates are ours",
    parameters=3_989_450,
    model="zeng",
    dataset="cifar10",
    image_size=32,
    standardize="symmetric",
    epochs=30,
    batch_size=64,
    learning_rate=0.02,
    momentum=0.9,
    options={"width": 1.0, "dense_units": 1024, "dropout": 0.5},
    steps=(12, 0.2),
    augment={"rotation": 10.0, "shift": 0.1, "crop": 2, "zoom": 0.1, "flip": 0.5},
    given="dataset optimizer loss",
    inferred="image_size",
    budgets={
        "paper": Budget(minutes=44),
        "laptop": Budget(minutes=44),
        "quick": Budget(
            minutes=0.2,
            changes={
                **OBJECTS_QUICK,
                "optimizer": "adam",
                "learning_rate": 0.001,
                "options.width": 0.5,
                "options.dense_units": 256,
                "options.dropout": 0.2,
                "batch_size": 32,
            },
        ),
    },
)

RECIPES = (ZENG_AUG,)

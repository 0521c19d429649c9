"""Ours: how far the shape of 2012 goes with what is known today."""

from __future__ import annotations

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes.quick import OBJECTS_QUICK

# First guesses, chosen on nothing: no search has been run yet. The schedule is fixed and the last weights are kept.
TODAY_FLOWERS = Recipe(
    name="today-flowers",
    source="ours",
    title="Today's recipe on five kinds of flowers: a small network with batch normalization",
    parameters=2_396_757,
    model="today-flowers",
    dataset="flowers",
    image_size=128,
    standardize="symmetric",
    epochs=90,
    batch_size=32,
    optimizer="adamw",
    learning_rate=0.001,
    momentum=0.9,
    weight_decay=0.05,
    schedule="cosine",
    warmup=0.05,
    label_smoothing=0.1,
    augment={"resized_crop": 0.25, "flip": 0.5, "color": 0.3, "mixup": 0.2},
    precision="mixed_bfloat16",
    options={"width": 1.0, "dense_units": 512, "dropout": 0.3},
    budgets={
        "paper": Budget(minutes=35),
        "laptop": Budget(minutes=12, changes={"epochs": 30}),
        "quick": Budget(
            minutes=0.2,
            changes={
                "dataset": "paintbox-flowers",
                "image_size": 64,
                "epochs": 4,
                "batch_size": 16,
                "options.width": 0.25,
                "options.dense_units": 64,
                "options.dropout": 0.0,
                "precision": "float32",
            },
        ),
    },
)

# First guesses too. The epochs are as many as 0.8 PFLOP allow.
TODAY_CIFAR = Recipe(
    name="today-cifar",
    source="ours",
    title="Today's recipe on CIFAR-10: whitened patches, wide early convolutions, Muon",
    parameters=1_559_466,
    model="today-cifar",
    dataset="cifar10",
    image_size=32,
    standardize="symmetric",
    epochs=20,
    batch_size=256,
    optimizer="muon",
    learning_rate=0.003,
    momentum=0.9,
    weight_decay=0.05,
    schedule="linear",
    warmup=0.2,
    label_smoothing=0.2,
    augment={"crop": 2, "flip": 0.5, "cutout": 8},
    whiten=True,
    frozen="conv1",
    precision="mixed_bfloat16",
    options={"width": 1.0, "dense_units": 256, "dropout": 0.0, "scale": 0.25},
    budgets={
        "paper": Budget(minutes=25),
        "laptop": Budget(minutes=8, changes={"epochs": 6}),
        "quick": Budget(
            minutes=0.2,
            changes={
                **OBJECTS_QUICK,
                "batch_size": 32,
                "options.width": 0.25,
                "options.dense_units": 64,
                "precision": "float32",
            },
        ),
    },
)

RECIPES = (TODAY_FLOWERS, TODAY_CIFAR)

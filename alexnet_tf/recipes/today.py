"""Ours: how far the shape of 2012 goes with what is known today."""

from __future__ import annotations

from alexnet_tf.recipe import Budget, Recipe

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

RECIPES = (TODAY_FLOWERS,)

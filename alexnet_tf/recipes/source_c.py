"""Source C: the nine variants of Lab 3, one change each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alexnet_tf.recipe import Budget, Recipe

LAB_QUICK = {
    "dataset": "paintbox",
    "image_size": 67,
    "epochs": 4,
    "batch_size": 16,
    "train_images": 1000,
    "learning_rate": 0.0005,
    "options.width": 0.25,
    "options.dense_units": 256,
    "options.dropout": 0.2,
}


LAB_INFERRED = (
    "options.convolutions options.dense_layers options.dropout options.activation options.head options.width"
    " options.dense_units epsilon loss optimizer learning_rate momentum l2 resize_first keep decay plateau"
    " train_images drop_remainder interpolation precision"
)


def _lab(name: str, title: str, parameters: int, changes: Mapping[str, Any], given: str = "") -> Recipe:
    """One variant of Lab 3: the base with some fields changed."""
    base = Recipe(
        name=name,
        source="C",
        title=title,
        parameters=parameters,
        model="lab3",
        dataset="cifar10",
        image_size=227,
        standardize="symmetric",
        epochs=10,
        batch_size=128,
        optimizer="adam",
        learning_rate=1e-4,
        momentum=0.95,
        l2=5e-4,
        epsilon=1e-8,
        options={
            "convolutions": 5,
            "dense_layers": 3,
            "norm": "batch",
            "dropout": 0.5,
            "activation": "relu",
            "head": "linear",
            "width": 1.0,
            "dense_units": 4096,
        },
        given="model dataset image_size epochs batch_size options.norm " + given,
        inferred=" ".join(field for field in LAB_INFERRED.split() if field not in given.split()),
        budgets={
            "paper": Budget(minutes=210),
            "laptop": Budget(minutes=12, changes={"image_size": 67, "epochs": 5, "precision": "mixed_bfloat16"}),
            "quick": Budget(minutes=0.1, changes=LAB_QUICK),
        },
    )
    return base.change(changes)


RECIPES = (
    _lab("lab-base", "Lab 3's AlexNet at 227 px", 58_323_722, {}, given="options.dropout loss"),
    _lab(
        "lab-4conv", "Without the fifth convolution", 56_996_234,
        {"options.convolutions": 4}, given="options.convolutions",
    ),
    _lab(
        "lab-3conv", "With three convolutions", 55_816_202,
        {"options.convolutions": 3}, given="options.convolutions",
    ),
    _lab(
        "lab-2fc", "Without the second dense layer", 41_542_410,
        {"options.dense_layers": 2}, given="options.dense_layers",
    ),
    # The source names a sigmoid and no loss; a different loss is tried in a later section, so
    # cross-entropy, applied to what the sigmoid puts out, is what its code most likely did.
    _lab(
        "lab-1fc", "With the last dense layer only, sigmoid outputs", 3_840_778,
        {"options.dense_layers": 1, "options.head": "sigmoid", "options.dropout": 0.0},
        given="options.dense_layers options.head",
    ),
    _lab(
        "lab-4fc", "With one more dense layer", 75_105_034,
        {"options.dense_layers": 4}, given="options.dense_layers",
    ),
    _lab(
        "lab-leaky", "LeakyReLU everywhere", 58_323_722,
        {"options.activation": "leaky"}, given="options.activation",
    ),
    _lab("lab-bce", "Binary cross-entropy in place of cross-entropy", 58_323_722, {"loss": "bce"}, given="loss"),
    _lab(
        "lab-best", "Three convolutions and binary cross-entropy", 55_816_202,
        {"options.convolutions": 3, "loss": "bce"},
        given="options.convolutions optimizer learning_rate momentum l2 loss",
    ),
)  # fmt: skip

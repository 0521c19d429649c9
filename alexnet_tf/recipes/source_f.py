"""Source F: the 2012 paper, its network and its experiments on CIFAR-10."""

from __future__ import annotations

import dataclasses

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes.quick import OBJECTS_QUICK

IMAGENET_2012 = Recipe(
    name="imagenet-2012",
    source="F",
    title="The 2012 paper's network, in its two groups, and its training on ImageNet",
    parameters=60_965_224,
    model="alexnet-2012",
    dataset="imagenet2012",
    image_size=224,
    crop_from=256,
    standardize="mean_color",
    epochs=90,
    batch_size=128,
    learning_rate=0.01,
    momentum=0.9,
    l2=5e-4,
    plateau=(0.1, 3),
    # A whole-pixel shift by up to 16 of 256 pixels, of which the middle 224 remain: any window.
    augment={"crop": 16, "flip": 0.5, "pca": 0.1},
    given="model dataset image_size crop_from epochs batch_size optimizer learning_rate momentum l2"
    " augment.crop augment.flip augment.pca loss train_images",
    inferred="interpolation resize_first keep precision decay drop_remainder",
    budgets={
        "paper": Budget(minutes=49_000),
        "laptop": Budget(
            minutes=20,
            changes={
                "dataset": "cifar10",
                "crop_from": 72,
                "image_size": 67,
                "augment.crop": 2,
                "epochs": 4,
            },
        ),
        "quick": Budget(
            minutes=0.5,
            changes={
                **OBJECTS_QUICK,
                "crop_from": 72,
                "image_size": 67,
                "augment.crop": 2,
                "batch_size": 32,
                "optimizer": "adam",
                "learning_rate": 0.0005,
                "l2": 0.0,
                "options.width": 0.25,
                "options.dense_units": 256,
                "options.dropout": 0.0,
                "options.spread": 0.05,
            },
        ),
    },
)

# Stand-ins for the paper's four-layer networks on CIFAR-10: that of the race it does not describe, that of 13 and 11 %
# its footnote 3 leaves to cuda-convnet's files, and ours is plainer.
# There each network had the rate that trained it fastest. Here each was searched for it by held-out accuracy after four
# epochs, with one seed and five to eight trials: around 0.037 all four did well, within a point of noise.
# `search paper-tanh --budget laptop --trials 5 --space learning_rate=0.005..0.2 --set epochs=4`, likewise paper-no-lrn
# and paper-lrn; paper-relu with six trials in 0.003..0.1 and two in 0.03..0.12.
PAPER_RELU = Recipe(
    name="paper-relu",
    source="F",
    title="Four layers with ReLU on CIFAR-10, without any regularization",
    parameters=89_578,
    model="four-layer",
    dataset="cifar10",
    image_size=32,
    standardize="symmetric",
    epochs=12,
    batch_size=128,
    learning_rate=0.037,
    momentum=0.9,
    options={"activation": "relu", "lrn": False, "overlapping": True},
    given="dataset options.activation",
    inferred="image_size options.lrn train_images",
    small_record=True,
    budgets={
        "paper": Budget(minutes=5),
        "laptop": Budget(minutes=5),
        "quick": Budget(minutes=0.1, changes={**OBJECTS_QUICK, "batch_size": 32, "learning_rate": 0.02}),
    },
)

PAPER_TANH = dataclasses.replace(
    PAPER_RELU.change({"options.activation": "tanh", "epochs": 20}),
    name="paper-tanh",
    title="The same with tanh, for more epochs",
    budgets={**PAPER_RELU.budgets, "paper": Budget(minutes=8), "laptop": Budget(minutes=8)},
)

PAPER_NO_LRN = dataclasses.replace(
    PAPER_RELU.change({"crop_from": 32, "image_size": 28, "augment": {"crop": 2, "flip": 0.5}, "l2": 5e-4}),
    name="paper-no-lrn",
    title="Four layers on CIFAR-10 without normalization",
    epochs=24,
    steps=(10, 0.1),
    given="dataset options.lrn",
    inferred="train_images",
    budgets={
        "paper": Budget(minutes=8),
        "laptop": Budget(minutes=8),
        "quick": Budget(minutes=0.1, changes={**OBJECTS_QUICK, "batch_size": 32, "learning_rate": 0.02, "steps": None}),
    },
)

PAPER_LRN = dataclasses.replace(
    PAPER_NO_LRN.change({"options.lrn": True}),
    name="paper-lrn",
    title="The same with local response normalization after the first two poolings",
)

# With pixels within 1, as here, the paper's alpha leaves of its normalization a factor of 2 ** -0.75 and no more.
# Scaled it wants a higher rate: of eight trials searched likewise, three of them in 0.06..0.25, 0.07 was the best.
PAPER_LRN_SCALED = dataclasses.replace(
    PAPER_LRN.change({"options.alpha": 1e-4 * 127.5**2, "learning_rate": 0.07}),
    name="paper-lrn-scaled",
    title="The same with the normalization's alpha scaled to our pixels, as the paper's to its own",
)

RECIPES = (IMAGENET_2012, PAPER_RELU, PAPER_TANH, PAPER_NO_LRN, PAPER_LRN, PAPER_LRN_SCALED)

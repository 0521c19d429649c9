"""What to run: one recipe per system of the sources, at three budgets. Data, no machinery.

`recipe.py` says what the fields mean; `claims.py` holds what the sources report, with lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from alexnet_tf.errors import choose
from alexnet_tf.recipe import Budget, Recipe

# --- Source A -----------------------------------------------------------------------------------

FLOWERS_QUICK = {
    "dataset": "paintbox-flowers",
    "image_size": 67,
    "epochs": 10,
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 0.0005,
    "augment.shift": 0.05,
    "augment.zoom": 0.05,
    "augment.rotation": 5.0,
    "options.width": 0.5,
    "options.dense_units": 256,
    "options.dropout": 0.0,
}

FLOWERS_LRN = Recipe(
    name="flowers-lrn",
    source="A",
    title="AlexNet with local response normalization on five kinds of flowers",
    parameters=46_767_493,
    model="alexnet-lrn",
    dataset="flowers",
    image_size=224,
    standardize="rescale",
    epochs=90,
    batch_size=128,
    learning_rate=0.01,
    momentum=0.9,
    plateau=(0.1, 5),
    # ImageDataGenerator's units: shear is an angle in *degrees*, so 0.2 shears by next to nothing.
    augment={"shear": 0.2, "zoom": 0.2, "flip": 0.5, "rotation": 15.0, "shift": 0.2},
    interpolation="nearest",
    keep="best",
    options={
        "width": 1.0,
        "dense_units": 4096,
        "dropout": 0.5,
        "depth_radius": 5,
        "bias": 1.0,
        "alpha": 1e-4,
        "beta": 0.75,
    },
    given="model image_size standardize epochs batch_size optimizer learning_rate momentum plateau loss keep"
    " augment.shear augment.zoom augment.flip augment.rotation augment.shift train_images options.dense_units"
    " options.dropout options.depth_radius options.bias options.alpha options.beta",
    inferred="options.width interpolation resize_first drop_remainder precision l2 decay",
    budgets={
        "paper": Budget(minutes=120),
        "laptop": Budget(minutes=20, changes={"image_size": 115, "epochs": 60, "batch_size": 32}),
        "quick": Budget(minutes=0.2, changes=FLOWERS_QUICK),
    },
)

FLOWERS_LRN_DECAY = dataclasses.replace(
    FLOWERS_LRN,
    name="flowers-lrn-decay",
    title="The same with the rate decaying per step, as `decay=0.0005` meant in older Keras",
    decay=0.0005,
    given=FLOWERS_LRN.given + " decay",
    inferred=FLOWERS_LRN.inferred.replace(" decay", ""),
)

# --- Source B -----------------------------------------------------------------------------------

CIFAR10_BN64 = Recipe(
    name="cifar10-bn64",
    source="B",
    title="AlexNet with batch normalization on CIFAR-10 enlarged to 64 px",
    parameters=2_915_338,
    model="bn64",
    dataset="cifar10",
    image_size=64,
    standardize="per_image",
    resize_first=False,
    epochs=20,
    batch_size=32,
    learning_rate=0.001,
    drop_remainder=True,
    options={"width": 1.0, "dense_units": 1024, "dropout": 0.5},
    given="model dataset image_size standardize resize_first epochs batch_size optimizer learning_rate loss"
    " drop_remainder train_images options.dense_units options.dropout",
    inferred="options.width momentum interpolation precision l2 decay keep plateau",
    budgets={
        "paper": Budget(minutes=35),
        "laptop": Budget(minutes=14, changes={"epochs": 8}),
        "quick": Budget(
            minutes=0.2,
            changes={
                "dataset": "paintbox",
                "epochs": 6,
                "train_images": 2000,
                "optimizer": "adam",
                "momentum": 0.9,
                "options.width": 0.5,
                "options.dense_units": 256,
                "options.dropout": 0.2,
            },
        ),
    },
)

# The source's version of TensorFlow is unknown. Up to 2.4, `per_image_standardization` turned its
# result back into the dtype of its input: uint8, which loses all that lies below an image's mean.
CIFAR10_BN64_TF24 = dataclasses.replace(
    CIFAR10_BN64,
    name="cifar10-bn64-tf24",
    title="The same code as TensorFlow up to 2.4 ran it: standardized images cut to uint8",
    standardize="per_image_uint8",
    given=CIFAR10_BN64.given.replace(" standardize", ""),
    inferred=CIFAR10_BN64.inferred + " standardize",
)

# Source A asks for Fashion-MNIST and reports nothing: source B's recipe as it stands, on those images.
FASHION_BN64 = dataclasses.replace(
    CIFAR10_BN64,
    name="fashion-bn64",
    source="A",
    title="Source B's recipe on Fashion-MNIST, which source A only asks for",
    dataset="fashion_mnist",
    given="dataset",
    inferred="",
    budgets={**CIFAR10_BN64.budgets, "paper": Budget(minutes=42), "laptop": Budget(minutes=17, changes={"epochs": 8})},
)

# --- Source C -----------------------------------------------------------------------------------

LAB_QUICK = {
    "dataset": "paintbox",
    "image_size": 67,
    "epochs": 4,
    "batch_size": 16,
    "train_images": 1200,
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
            "laptop": Budget(minutes=7, changes={"image_size": 67, "epochs": 5}),
            "quick": Budget(minutes=0.1, changes=LAB_QUICK),
        },
    )
    return base.change(changes)


LAB = (
    _lab("lab-base", "Lab 3's AlexNet at 227 px", 58_323_722, {}, given="options.dropout"),
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

# --- Source A, its second data set ---------------------------------------------------------------

OBJECTS_QUICK = {"dataset": "paintbox", "train_images": 2000, "epochs": 5}

CIFAR10_SIMPLE = Recipe(
    name="cifar10-simple",
    source="A",
    title="Three convolutions and two dense layers on CIFAR-10, called SimpleAlexNet",
    parameters=2_473_610,
    model="simple",
    dataset="cifar10",
    image_size=32,
    standardize="symmetric",
    epochs=10,
    batch_size=64,
    optimizer="adam",
    learning_rate=0.001,
    momentum=0.9,
    epsilon=1e-8,
    options={"dropout": 0.5},
    given="model dataset standardize epochs batch_size optimizer learning_rate loss",
    inferred="options.dropout epsilon image_size momentum keep precision l2 decay plateau train_images drop_remainder",
    budgets={
        "paper": Budget(minutes=12),
        "laptop": Budget(minutes=12),
        "quick": Budget(minutes=0.1, changes={**OBJECTS_QUICK, "batch_size": 32, "train_images": 1200, "epochs": 4}),
    },
)

# The source trains a second time at batch 4 with augmentation, and reports no figure.
CIFAR10_SIMPLE_AUGMENTED = dataclasses.replace(
    CIFAR10_SIMPLE,
    name="cifar10-simple-augmented",
    title="The same at batch 4 with flip and padded crop",
    batch_size=4,
    augment={"flip": 0.5, "crop": 4},
    given=CIFAR10_SIMPLE.given + " augment.flip augment.crop",
    budgets={
        "paper": Budget(minutes=60),
        "laptop": Budget(minutes=12, changes={"batch_size": 64}),
        "quick": Budget(minutes=0.2, changes={**OBJECTS_QUICK, "batch_size": 32, "augment.crop": 2}),
    },
)

# What the source lists beside its ResNet-18 and never ran.
CIFAR10_RESNET18 = Recipe(
    name="cifar10-resnet18",
    source="A",
    title="torchvision's ResNet-18 on 32 px, trained from scratch as the source only listed it",
    parameters=11_181_642,
    model="resnet18",
    dataset="cifar10",
    image_size=32,
    standardize="symmetric",
    epochs=10,
    batch_size=64,
    learning_rate=0.01,
    momentum=0.9,
    steps=(5, 0.1),
    augment={"flip": 0.5, "crop": 4},
    given="model dataset standardize learning_rate momentum optimizer steps augment.flip augment.crop",
    inferred="image_size loss batch_size epochs keep precision l2 decay plateau train_images drop_remainder",
    budgets={
        "paper": Budget(minutes=25),
        "laptop": Budget(minutes=25),
        "quick": Budget(
            minutes=0.2,
            changes={
                **OBJECTS_QUICK,
                "train_images": 800,
                "epochs": 3,
                "batch_size": 32,
                "augment.crop": 2,
                "optimizer": "adam",
                "learning_rate": 0.001,
            },
        ),
    },
)

# What the source measured: it puts a new head on the network and trains neither. Its other weights
# were torchvision's from ImageNet, which can't be had here; a head of random weights decides either way.
CIFAR10_RESNET18_UNTRAINED = dataclasses.replace(
    CIFAR10_RESNET18,
    name="cifar10-resnet18-untrained",
    title="The same with a head that nobody trained, as the source evaluated it",
    untrained=True,
    epochs=0,
    augment={},
    steps=None,
    given="model dataset standardize untrained",
    inferred="image_size epochs loss batch_size optimizer learning_rate momentum train_images",
    budgets={
        "paper": Budget(minutes=0.7),
        "laptop": Budget(minutes=0.7),
        "quick": Budget(minutes=0.2, changes={"dataset": "paintbox"}),
    },
)

# --- Source D ------------------------------------------------------------------------------------


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
            "laptop": Budget(minutes=4 if model == "lenet" else 25, changes={"batch_size": 128, **laptop}),
            "quick": Budget(minutes=0.2, changes=quick),
        },
        **settings,
    )


INT305 = (
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

# --- Source E ------------------------------------------------------------------------------------

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
        "paper": Budget(minutes=30),
        "laptop": Budget(minutes=30),
        "quick": Budget(
            minutes=0.2,
            changes={
                **OBJECTS_QUICK,
                "train_images": 1500,
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

# --- Source F ------------------------------------------------------------------------------------

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
        "paper": Budget(minutes=500_000),
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

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        FLOWERS_LRN,
        FLOWERS_LRN_DECAY,
        CIFAR10_SIMPLE,
        CIFAR10_SIMPLE_AUGMENTED,
        CIFAR10_RESNET18,
        CIFAR10_RESNET18_UNTRAINED,
        FASHION_BN64,
        CIFAR10_BN64,
        CIFAR10_BN64_TF24,
        *LAB,
        *INT305,
        ZENG_AUG,
        IMAGENET_2012,
    )
}


def get(name: str) -> Recipe:
    """A recipe by name; a wrong name gets the nearest one as a hint."""
    return RECIPES[choose("recipe", name, RECIPES)]


def table(name: str, budget: str) -> str:
    """Every field of a recipe at a budget, with its mark and what the budget changed.

    >>> print(table("cifar10-bn64", "laptop").splitlines()[1])
    batch_size          32                given
    """
    recipe = get(name)
    before, now = recipe.fields(), recipe.at(budget).fields()
    lines = [f"{'field':<20}{'value':<18}mark"]
    for field_name in sorted(now):
        mark = recipe.mark(field_name)
        if now[field_name] != before.get(field_name):
            was = before.get(field_name, "the architecture's own")
            mark = f"changed by {budget}; {mark}: {was}" if field_name in before else f"changed by {budget}"
        lines.append(f"{field_name:<20}{now[field_name]!s:<18}{mark}")
    return "\n".join(lines)

"""Source A: flowers with local response normalization; a small net and a ResNet-18 on CIFAR-10."""

from __future__ import annotations

import dataclasses

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes.quick import OBJECTS_QUICK
from alexnet_tf.recipes.source_b import CIFAR10_BN64

FLOWERS_QUICK = {
    "dataset": "paintbox-flowers",
    "image_size": 67,
    "epochs": 6,
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
        "paper": Budget(minutes=150),
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
        "quick": Budget(minutes=0.1, changes={**OBJECTS_QUICK, "batch_size": 32, "train_images": 1000, "epochs": 3}),
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
        "paper": Budget(minutes=33),
        "laptop": Budget(minutes=33),
        "quick": Budget(
            minutes=0.2,
            changes={
                **OBJECTS_QUICK,
                "train_images": 500,
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

RECIPES = (
    FLOWERS_LRN,
    FLOWERS_LRN_DECAY,
    CIFAR10_SIMPLE,
    CIFAR10_SIMPLE_AUGMENTED,
    CIFAR10_RESNET18,
    CIFAR10_RESNET18_UNTRAINED,
    FASHION_BN64,
)

"""Source B: AlexNet with batch normalization on CIFAR-10, by two versions of one function."""

from __future__ import annotations

import dataclasses

from alexnet_tf.recipe import Budget, Recipe

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
                "epochs": 4,
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

RECIPES = (CIFAR10_BN64, CIFAR10_BN64_TF24)

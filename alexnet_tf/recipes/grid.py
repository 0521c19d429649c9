"""Our experiments: one small AlexNet on CIFAR-10, and one knob turned at a time.

A line of `KNOBS` is a variant: what it is called, which fields it changes, and its parameters. An optimizer has the
best of five or six rates on held-out images (`reports/search`); the base has its first guess, and twice that is better:
`sgd-tuned`, which the other optimizers are to be compared with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from alexnet_tf.recipe import Budget, Recipe

ALL_IMAGES, TESTED = 50_000, 10_000
DRAWN = 25  # of so many images of CIFAR-10 a quick training draws one
SLIM = 0.5  # times as wide is its network

BASE = Recipe(
    name="grid-base",
    source="ours",
    title="The shape of 2012 at half its kernels on 28-pixel crops of CIFAR-10: the base of the grid",
    parameters=2_517_194,
    model="alexnet-32",
    dataset="cifar10",
    image_size=28,
    crop_from=32,
    standardize="symmetric",
    epochs=40,
    batch_size=128,
    learning_rate=0.02,
    momentum=0.9,
    l2=5e-4,
    steps=(30, 0.1),
    # A whole-pixel shift by up to 2 of 32 pixels, of which the middle 28 remain: any window, as in 2012.
    augment={"crop": 2, "flip": 0.5},
    options={
        "activation": "relu",
        "norm": "lrn",
        "pooling": "overlapping",
        "groups": 1,
        "without": 0,
        "kernels": 1.0,
        "width": 1.0,
        "flatten": True,
        "dense_layers": 3,
        "dense_units": 1024,
        "dropout": 0.5,
        "init": "he",
    },
    small_record=True,
    budgets={
        "paper": Budget(minutes=15),
        "laptop": Budget(minutes=3, changes={"epochs": 8, "steps": [6, 0.1]}),
        "quick": Budget(
            minutes=0.1,
            changes={
                "dataset": "paintbox",
                "train_images": ALL_IMAGES // DRAWN,
                "epochs": 3,
                "batch_size": 32,
                "steps": None,
                "options.width": SLIM,
                "options.dropout": 0.2,
            },
        ),
    },
)

# A training takes so many times the base's time, where it is not about the same (`reports/bench`).
COST = {
    "muon": 2.6,
    "half-width": 0.5,
    "double-width": 3.6,
    "dense-4096": 2.0,
    "batch-32": 1.4,
    "size-20": 0.6,
    "size-40": 1.6,
    "without-conv1": 0.7,
    "without-conv2": 0.6,
    "half-tower": 0.5,
}

Variant = tuple[str, Mapping[str, Any], int]  # name, changes, parameters
SAME = BASE.parameters

KNOBS: dict[str, tuple[Variant, ...]] = {
    "activation": (
        ("leaky", {"options.activation": "leaky"}, SAME),
        ("tanh", {"options.activation": "tanh", "options.init": "glorot"}, SAME),
        ("tanh-he", {"options.activation": "tanh"}, SAME),
        ("elu", {"options.activation": "elu"}, SAME),
        ("gelu", {"options.activation": "gelu"}, SAME),
    ),
    "normalization": (
        ("no-norm", {"options.norm": "none"}, SAME),
        ("lrn-scaled", {"options.norm": "lrn-scaled"}, SAME),
        ("lrn-a", {"options.norm": "lrn-a"}, SAME),
        ("batch-before", {"options.norm": "batch-before"}, 2_517_898),
        ("batch-after", {"options.norm": "batch-after"}, 2_517_898),
    ),
    "pooling": (
        ("plain-pooling", {"options.pooling": "plain"}, SAME),
        ("average-pooling", {"options.pooling": "average"}, SAME),
    ),
    "dropout": (
        ("dropout-0", {"options.dropout": 0.0}, SAME),
        ("dropout-30", {"options.dropout": 0.3}, SAME),
        ("dropout-70", {"options.dropout": 0.7}, SAME),
    ),
    "optimizer": (
        ("sgd-tuned", {"learning_rate": 0.04}, SAME),
        ("sgd-plain", {"momentum": 0.0, "learning_rate": 0.2}, SAME),
        ("adam", {"optimizer": "adam", "learning_rate": 0.0005}, SAME),
        ("adamw", {"optimizer": "adamw", "learning_rate": 0.0005, "l2": 0.0, "weight_decay": 0.05}, SAME),
        ("muon", {"optimizer": "muon", "learning_rate": 0.002, "l2": 0.0, "weight_decay": 0.05}, SAME),
    ),
    "rate": (
        ("rate-fifth", {"learning_rate": 0.004}, SAME),
        ("rate-fivefold", {"learning_rate": 0.1}, SAME),
    ),
    "penalty": (
        ("no-penalty", {"l2": 0.0}, SAME),
        ("l2-tenfold", {"l2": 5e-3}, SAME),
        ("l1", {"l2": 0.0, "l1": 1e-5}, SAME),
    ),
    "initialization": (
        ("glorot", {"options.init": "glorot"}, SAME),
        ("paper-init", {"options.init": "paper"}, SAME),
    ),
    "width": (
        ("half-width", {"options.width": 0.5}, 1_557_098),
        ("double-width", {"options.width": 2.0}, 5_829_002),
    ),
    "dense part": (
        ("dense-4096", {"options.dense_units": 4096}, 19_855_562),
        ("dense-256", {"options.dense_units": 256}, 1_131_722),
        ("global-average", {"options.flatten": False, "options.dense_layers": 1}, 933_322),
    ),
    "loss": (
        # Keras takes the mean over ten yes-or-no questions: with ten times the rate it is their sum, as is the base's
        # loss, and with a tenth of the penalty this weighs as much.
        ("bce", {"loss": "bce", "learning_rate": 0.2, "l2": 5e-5}, SAME),
        ("smoothing", {"label_smoothing": 0.1}, SAME),
    ),
    "batch": (
        ("batch-32", {"batch_size": 32, "learning_rate": 0.005}, SAME),
        ("batch-512", {"batch_size": 512, "learning_rate": 0.08}, SAME),
    ),
    "standardization": (("per-image", {"standardize": "per_image"}, SAME),),
    "image size": (
        ("size-20", {"crop_from": 24, "image_size": 20}, SAME),
        ("size-40", {"crop_from": 46, "image_size": 40, "augment.crop": 3}, 3_172_554),
    ),
    "augmentation": (
        ("no-augment", {"augment.crop": 0, "augment.flip": 0.0}, SAME),
        ("crop", {"augment.flip": 0.0}, SAME),
        ("flip", {"augment.crop": 0}, SAME),
        ("rotation", {"augment.rotation": 10.0}, SAME),
        ("color", {"augment.color": 0.3}, SAME),
        ("pca", {"augment.pca": 0.1}, SAME),
        ("cutout", {"augment.cutout": 8}, SAME),
        ("mixup", {"augment.mixup": 0.2}, SAME),
        ("cutmix", {"augment.cutmix": 1.0}, SAME),
        (
            "all-augment",
            {"augment.rotation": 10.0, "augment.color": 0.3, "augment.pca": 0.1, "augment.cutout": 8},
            SAME,
        ),
    ),
    "convolution left out": (
        ("without-conv1", {"options.without": 1}, 2_369_546),
        ("without-conv2", {"options.without": 2}, 2_225_226),
        ("without-conv3", {"options.without": 3}, 2_185_226),  # in one tower the same network as without its fourth
        ("without-conv5", {"options.without": 5}, 2_558_026),
    ),
    "dense layers": (
        ("two-dense", {"options.dense_layers": 2}, 1_467_594),
        ("one-dense", {"options.dense_layers": 1}, 937_162),
        ("four-dense", {"options.dense_layers": 4}, 3_566_794),
    ),
    "precision": (("bfloat16", {"precision": "mixed_bfloat16"}, SAME),),
    "towers": (
        ("two-groups", {"options.groups": 2}, 2_163_914),
        ("half-tower", {"options.kernels": 0.5}, 1_874_602),
    ),
}


# How accuracy grows, of the base and with some of its variants. Fewer images are seen more often: so many passes over
# them are called an epoch that every training has as many steps as the base's, or up to 3 % more or fewer.
GROWTH: dict[str, tuple[Variant, ...]] = {
    "training images": (
        ("images-500", {"train_images": 500, "passes": 98}, SAME),
        ("images-1250", {"train_images": 1250, "passes": 39}, SAME),
        ("images-5000", {"train_images": 5000, "passes": 10}, SAME),
        ("images-12500", {"train_images": 12_500, "passes": 4}, SAME),
    ),
    "epochs": (
        ("epochs-4", {"epochs": 4, "steps": (3, 0.1)}, SAME),
        ("epochs-16", {"epochs": 16, "steps": (12, 0.1)}, SAME),
        ("epochs-32", {"epochs": 32, "steps": (24, 0.1)}, SAME),
    ),
}
ALONG = {"training images": ("no-augment", "batch-after"), "epochs": ("no-augment", "dropout-0")}
# Knobs that are known to depend on each other, both turned at once.
# And the base's rate is below its best: what is ahead there may only suit it better, so some have `sgd-tuned`, too.
INTERACTIONS: tuple[tuple[str, str], ...] = (
    ("lrn-scaled", "rate-fifth"),
    ("lrn-scaled", "sgd-tuned"),
    ("lrn-scaled", "rate-fivefold"),
    ("batch-before", "rate-fifth"),
    ("batch-before", "sgd-tuned"),
    ("batch-before", "rate-fivefold"),
    ("batch-after", "dropout-0"),
    ("dropout-0", "sgd-tuned"),
    ("tanh", "sgd-tuned"),
    ("elu", "sgd-tuned"),
    ("tanh-he", "glorot"),
    ("no-augment", "epochs-32"),  # stands in ALONG, too
)
TOGETHER = {("tanh-he", "glorot"): "tanh"}  # both at once are a variant already

VARIANTS = {variant[0]: variant for group in (KNOBS, GROWTH) for variants in group.values() for variant in variants}
PAIRS = tuple(
    dict.fromkeys(
        [pair for pair in INTERACTIONS if pair not in TOGETHER]
        + [(one, name) for knob, others in ALONG.items() for one in others for name, _, _ in GROWTH[knob]]
    )
)


def both(one: str, other: str) -> str:
    """The recipe that has two variants at once."""
    return f"grid-{TOGETHER.get((one, other), f'{one}-{other}')}"


def along(knob: str, variant: str | None = None) -> list[str]:
    """The recipes by which the base, or a variant of it, grows along a knob of GROWTH, from small to large."""
    middle = f"grid-{variant or 'base'}"
    names = [f"grid-{variant}-{name}" if variant else f"grid-{name}" for name, _, _ in GROWTH[knob]]
    smaller = len(names) if knob == "training images" else 1  # the base has all images, and epochs between
    return [*names[:smaller], middle, *names[smaller:]]


def _work(recipe: Recipe) -> float:
    """How long its epochs take, in images trained; a test image takes a third of one."""
    return recipe.epochs * (recipe.passes * (recipe.train_images or ALL_IMAGES) + TESTED / 3)


def _drawn(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What the same turn of a knob is at `quick`, where all is smaller than in the base's own fields."""
    quick = BASE.at("quick")
    found: dict[str, Any] = {}
    if "train_images" in changes:
        images = found["train_images"] = changes["train_images"] // DRAWN
        steps = -(-(ALL_IMAGES // DRAWN) // quick.batch_size)
        found["passes"] = round(steps / -(-images // quick.batch_size))
    if "options.width" in changes:
        found["options.width"] = SLIM * changes["options.width"]
    if "batch_size" in changes:
        found["batch_size"] = changes["batch_size"] * quick.batch_size // BASE.batch_size
    if "epochs" in changes:
        found["epochs"] = round(changes["epochs"] * quick.epochs / BASE.at("laptop").epochs)
        found["steps"] = quick.steps
    return found


def _variant(knob: str, name: str, changes: Mapping[str, Any], parameters: int) -> Recipe:
    """The base with a knob turned, which no budget turns back."""
    said = ", ".join(f"{key.partition('.')[2] or key} {value}" for key, value in changes.items())
    budgets = {}
    for size, budget in BASE.budgets.items():
        kept = {key: value for key, value in budget.changes.items() if key not in changes}
        kept |= _drawn(changes) if size == "quick" else {}
        work = _work(BASE.change(changes).change(kept)) / _work(BASE.change(budget.changes)) * COST.get(name, 1.0)
        budgets[size] = Budget(max(0.1, round(budget.minutes * work, 1)), kept)
    return dataclasses.replace(
        BASE.change(changes),
        name=f"grid-{name}",
        title=f"The grid's base with one knob turned, {knob}: {said}",
        parameters=parameters,
        budgets=budgets,
    )


def _together(one: str, other: str) -> Recipe:
    """Two variants at once, of which at most one changes the number of parameters."""
    (_, changes, count), (_, more, other_count) = VARIANTS[one], VARIANTS[other]
    return _variant(
        "pair of knobs", f"{one}-{other}", {**changes, **more}, count if other_count == SAME else other_count
    )


RECIPES = (
    BASE,
    *(_variant(knob, *each) for group in (KNOBS, GROWTH) for knob, variants in group.items() for each in variants),
    *(_together(*pair) for pair in PAIRS),
)

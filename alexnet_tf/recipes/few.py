"""Ours: what a network learns without labels, or from other images, and what that is worth where labels are few.

All have the trunk of the grid's base. On CIFAR-10 every way has the same computation in all, so many
images through the network and back: a fifth of them is left for the labels of a trunk that was trained before,
or all of them go into a training from scratch. Two ways have that fifth and nothing before: a shorter training from
scratch, and one layer on a trunk that learned nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from alexnet_tf.recipe import Budget, Recipe
from alexnet_tf.recipes import grid

SEEN = {"laptop": 1_000_000, "paper": 4_000_000}  # images through a network and back, pre-training included
QUICK_SEEN = 10_000
TUNED = 0.2  # the share of them that is left after pre-training
LABELS = {1: 500, 5: 2500, 10: 5000, 100: 50_000}  # percent of CIFAR-10, and images
DRAWN = {1: 20, 5: 100, 10: 200, 100: 2000}  # of the paintbox
# An image costs the painter this many times what it costs a classifier, forward and back; a test counts.
PAINTER, SLIM_PAINTER = 1.42, 2.33

QUICK = {
    "optimizer": "adam",
    "learning_rate": 0.001,
    "l2": 0.0,
    "options.width": grid.SLIM,
    "options.dropout": 0.2,
    "batch_size": 32,
}

A_CLASS = (5, 20, 100, 660)  # photographs of a kind of flower, on average: the classes keep their proportions
PHOTOGRAPHS = {"laptop": 66_000, "paper": 264_000}  # seen in a training that begins with a trained trunk
LONGER = 3  # times as many where nothing was trained before
QUICK_PHOTOGRAPHS = 600


def _passes(seen: float, images: int, most: int = 10) -> dict[str, int]:
    """As many whole passes as come nearest to so many images, give or take 3 %, in up to `most` equal epochs."""
    wanted = max(1, round(seen / images))
    near = [epochs for epochs in range(1, most + 1) if abs(epochs * round(wanted / epochs) - wanted) <= 0.03 * wanted]
    return {"epochs": near[-1], "passes": round(wanted / near[-1])}


def _recipe(
    name: str,
    title: str,
    parameters: int,
    changes: Mapping[str, Any],
    budgets: Mapping[str, tuple[float, Mapping[str, Any]]],
) -> Recipe:
    """The grid's base with some fields changed, a budget's own (minutes, changes) beside."""
    # Test images are looked at once, at the end: ten thousand an epoch would be a part of what few labels cost.
    own = {"schedule": "cosine", "warmup": 0.05, "steps": None, "watch": False, **changes, **budgets["paper"][1]}
    return dataclasses.replace(
        grid.BASE.change(own),
        name=name,
        title=title,
        parameters=parameters,
        budgets={
            size: Budget(round(minutes, 1), budget if size != "paper" else {})
            for size, (minutes, budget) in budgets.items()
        },
    )


def _pretrained(
    name: str, title: str, parameters: int, images: int, costs: tuple[float, float], changes: Mapping[str, Any]
) -> Recipe:
    """`costs`: of an image, in units of what a classifier's costs, at full width and at `quick`."""
    cost, slim = costs
    drawn = str(changes.get("dataset", "cifar10")).replace("cifar10", "paintbox")
    budgets: dict[str, tuple[float, Mapping[str, Any]]] = {
        size: (seen / 160_000, _passes(seen * (1 - TUNED) / cost, images, most=40)) for size, seen in SEEN.items()
    }
    once = {"train_images": round(QUICK_SEEN * (1 - TUNED) / slim / 4), "epochs": 4, "passes": 1}
    budgets["quick"] = (0.1, {**QUICK, "dataset": drawn, **once})
    return _recipe(name, title, parameters, changes, budgets)


TURNED = _pretrained(
    "few-turned",
    "Pre-training without labels: which way up is the image? (Gidaris et al. 2018)",
    2_511_044,
    4 * LABELS[100],
    (1.0, 1.0),
    # No flip: a mirrored image that was turned left looks like one that was turned right.
    {"dataset": "cifar10-turned", "augment": {"crop": 2}, "learning_rate": 0.04},
)
REBUILT = _pretrained(
    "few-rebuilt",
    "Pre-training without labels: what was there before half was hidden? (Vincent et al. 2008, Pathak et al. 2016)",
    1_127_075,
    LABELS[100],
    (PAINTER, SLIM_PAINTER),
    {
        "model": "rebuilder-32",
        "loss": "rebuilding",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "l2": 0.0,
        "options": {"hidden_share": 0.5},
    },
)
# A trunk that stays as it is, and one layer on it.
LINEAR, LINEAR_PARAMETERS = {"frozen": "pool5", "options.dense_layers": 1}, 937_162
# How a network comes to its labels: in words, its parameters, and the fields that change.
WAYS: dict[str, tuple[str, int, Mapping[str, Any]]] = {
    "scratch": ("from scratch", grid.SAME, {}),
    "scratch-short": ("from scratch, with a fifth of the computation: what is left after pre-training", grid.SAME, {}),
    "scratch-linear": ("one layer on a trunk that learned nothing and stays as it is", LINEAR_PARAMETERS, LINEAR),
}
for _trunk, _task in ("turned", "learned to tell orientations"), ("rebuilt", "learned to paint hidden patches"):
    _from = {"pretrained": f"few-{_trunk}/{{budget}}/{{seed}}", "taken": "conv5"}
    WAYS[f"{_trunk}-tuned"] = (f"from the trunk that {_task}, all of it trained", grid.SAME, _from)
    _told = f"one layer on the trunk that {_task}, which stays as it is"
    WAYS[f"{_trunk}-linear"] = (_told, LINEAR_PARAMETERS, {**_from, **LINEAR})
# The rate at which each way classified held-out images best at 10 % of the labels (`reports/search`).
RATES = {
    "scratch": 0.04,
    "scratch-short": 0.04,
    "scratch-linear": 0.6,
    "turned-tuned": 0.02,
    "turned-linear": 0.6,
    "rebuilt-tuned": 0.04,
    "rebuilt-linear": 0.02,
}


def _labelled(way: str, percent: int) -> Recipe:
    title, parameters, changes = WAYS[way]
    share = 1.0 if way == "scratch" else TUNED
    images = LABELS[percent]
    budgets: dict[str, tuple[float, Mapping[str, Any]]] = {
        size: (seen * share / 150_000, _passes(seen * share, images, most=20)) for size, seen in SEEN.items()
    }
    drawn = _passes(QUICK_SEEN * share, DRAWN[percent], most=5)
    rate = {"learning_rate": 0.01} if way.endswith("linear") else {}
    budgets["quick"] = (0.1, {**QUICK, **rate, "dataset": "paintbox", "train_images": DRAWN[percent], **drawn})
    title = f"{percent} % of the labels of CIFAR-10, {title}"
    own: dict[str, Any] = {"learning_rate": RATES[way]} if way in RATES else {}
    if percent != 100:
        own["train_images"] = images
    return _recipe(f"few-{way}-{percent}", title, parameters, {**changes, **own}, budgets)


TRUNKS = {"scratch": None, "labels": "grid-base", "turned": "few-turned", "rebuilt": "few-rebuilt"}
# With 100 of a kind three of the four classified held-out photographs best at it, and the fourth can't tell it from
# twice as much (`reports/search`), at which 25 photographs teach it nothing.
FLOWER_RATE = 0.01
FROZEN = ("conv1", "conv2", "conv3", "conv4", "conv5")


def _photographs(a_class: int) -> str:
    return "All photographs" if a_class == A_CLASS[-1] else f"{5 * a_class:,} photographs"


def _flowers(trunk: str, a_class: int, frozen: str | None = None) -> Recipe:
    seen = {size: count * (1 if TRUNKS[trunk] else LONGER) for size, count in PHOTOGRAPHS.items()}
    budgets: dict[str, tuple[float, Mapping[str, Any]]] = {
        size: (count / 40_000, _passes(count, 5 * a_class, most=4)) for size, count in seen.items()
    }
    drawn = _passes(QUICK_PHOTOGRAPHS, 5 * min(a_class, 128), 2)
    budgets["quick"] = (0.1, {**QUICK, "dataset": "paintbox-flowers", **drawn})
    changes = {
        "dataset": "flowers",
        "crop_from": 64,
        "image_size": 56,
        "augment": {"crop": 4, "flip": 0.5, "color": 0.3},
        "learning_rate": FLOWER_RATE,
        "train_images": None if a_class == A_CLASS[-1] else 5 * a_class,
        "pretrained": f"{TRUNKS[trunk]}/{{budget}}/{{seed}}" if TRUNKS[trunk] else None,
        "taken": "conv5" if TRUNKS[trunk] else None,
        "frozen": frozen,
    }
    name = f"few-flowers-{trunk}-{a_class}" + (f"-frozen-{frozen}" if frozen else "")
    start = f"a trunk from {TRUNKS[trunk]}" if TRUNKS[trunk] else "scratch"
    title = f"{_photographs(a_class)} of five flowers, from {start}" + (f", frozen up to {frozen}" if frozen else "")
    return _recipe(name, title, 4_084_933, changes, budgets)


def _imagenet(a_class: int) -> Recipe:
    """The trunk that Keras learned from ImageNet, as it is, with one layer on it."""
    flowers = _flowers("labels", a_class)
    title = f"{_photographs(a_class)} of five flowers, from Keras' ImageNet weights"
    changes = {"model": "mobilenet", "image_size": 96, "crop_from": 110, "pretrained": "imagenet", "taken": None}
    network = flowers.change({**changes, "frozen": "trunk", "options": {}})
    budgets = {
        size: Budget(2 * budget.minutes, {key: value for key, value in budget.changes.items() if "." not in key})
        for size, budget in flowers.budgets.items()
    }
    return dataclasses.replace(
        network, name=f"few-flowers-imagenet-{a_class}", title=title, parameters=2_264_389, budgets=budgets
    )


RECIPES = (
    TURNED,
    REBUILT,
    *(_labelled(way, percent) for way in WAYS for percent in LABELS),
    *(_flowers(trunk, a_class) for trunk in TRUNKS for a_class in A_CLASS),
    *(_imagenet(a_class) for a_class in A_CLASS),
    *(_flowers("labels", 100, frozen) for frozen in FROZEN),
)

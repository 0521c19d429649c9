"""What a recipe is: a frozen value whose fields are checked, marked and shrunk by budgets.

Each field is **given** (the source states it), **inferred** (it follows from the source's code,
from shapes or from its framework's defaults) or **ours** (the source is silent). The `paper`
budget is the recipe as it stands; `laptop` and `quick` change the fields that they list, and a
report prints every change. The recipes themselves stand in ``recipes/``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alexnet_tf.errors import UsageError, choose

BUDGETS = ("quick", "laptop", "paper")
PROTOCOLS = ("source", "honest")
CHOICES = {
    "optimizer": ("sgd", "adam", "adamw", "muon"),
    "loss": ("crossentropy", "bce", "rebuilding"),
    "standardize": ("rescale", "symmetric", "per_image", "per_image_uint8", "mean_color"),
    "interpolation": ("bilinear", "nearest"),
    "keep": ("last", "best"),
    "precision": ("float32", "mixed_bfloat16"),
    "schedule": ("constant", "linear", "cosine"),
}
DATASETS = (
    *("cifar10", "fashion_mnist", "flowers", "tf_flowers", "imagenet2012", "paintbox", "paintbox-flowers"),
    *("cifar10-turned", "paintbox-turned"),
)
REBUILDERS = ("rebuilder-32",)  # the models whose output is an image
# What a number may be: its type, its least and its largest value.
RANGES: dict[str, tuple[type, float, float]] = {
    "epochs": (int, 1, 100_000),
    "passes": (int, 1, 100_000),
    "batch_size": (int, 1, 1_000_000),
    "image_size": (int, 1, 10_000),
    "learning_rate": (float, 1e-12, 1e6),
    "momentum": (float, 0, 0.9999),
    "epsilon": (float, 1e-12, 1),
    "l2": (float, 0, 1),
    "l1": (float, 0, 1),
    "weight_decay": (float, 0, 10),
    "label_smoothing": (float, 0, 0.9),
    "decay": (float, 0, 1),
    "warmup": (float, 0, 0.9),
}
PAIRS = {
    "plateau": ((float, 1e-6, 0.9999), (int, 0, 100_000)),
    "steps": ((int, 1, 100_000), (float, 1e-6, 1)),
    "fold": ((int, 0, 99), (int, 2, 100)),
}
# In the order in which they are applied; 0 leaves one out. `augment` says what the numbers mean.
AUGMENTATIONS: dict[str, tuple[type, float, float]] = {
    "resized_crop": (float, 0, 1),
    "rotation": (float, 0, 180),
    "shift": (float, 0, 1),
    "shear": (float, 0, 89),
    "zoom": (float, 0, 0.99),
    "flip": (float, 0, 1),
    "alternate": (int, 0, 1),
    "crop": (int, 0, 10_000),
    "reflect": (int, 0, 10_000),
    "color": (float, 0, 1),
    "hue": (float, 0, 0.5),
    "pca": (float, 0, 10),
    "randaugment": (float, 0, 10),
    "cutout": (float, 0, 10_000),
    "mixup": (float, 0, 100),
    "cutmix": (float, 0, 100),
}
OPTIONS: dict[str, tuple[type, float, float]] = {
    "width": (float, 0.01, 16),
    "dense_units": (int, 1, 65_536),
    "dropout": (float, 0, 0.99),
    "spread": (float, 1e-6, 10),
    "depth_radius": (int, 0, 1_000),
    "bias": (float, 1e-6, 1e6),
    "alpha": (float, 0, 1e6),
    "beta": (float, 0, 100),
    "convolutions": (int, 2, 5),
    "without": (int, 0, 5),
    "groups": (int, 1, 64),
    "kernels": (float, 0.01, 16),
    "dense_layers": (int, 1, 10),
    "hidden_share": (float, 0, 0.99),
    "scale": (float, 1e-3, 1e3),
}


def _check(name: str, value: Any, kind: type, low: float, high: float) -> None:
    """Raise with what was received unless a value is a number of its kind within its bounds."""
    fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        words = "a whole number" if kind is int else "a number"
        bounds = f"{words} from {low:g} to {high:g}" if low < high else f"{low:g} in this recipe"
        raise UsageError(f"{name} must be {bounds}; received {value!r}.")


@dataclass(frozen=True)
class Budget:
    """How much of a recipe to run: the fields that change, and about how long it takes on two cores."""

    minutes: float
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One system: data, preprocessing, network, optimization, and what is kept."""

    name: str
    source: str  # a key of claims.SOURCES
    title: str
    parameters: int  # of the network at the paper budget; a test counts them
    model: str  # a key of models.ARCHITECTURES
    dataset: str  # one of DATASETS, or a path with a slash to a folder of class folders
    image_size: int
    standardize: str  # rescale: x/255; symmetric: x/127.5 - 1; per_image…: see preprocess.Preprocess
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    passes: int = 1  # over the training images in what the history calls an epoch: more where these are few
    momentum: float = 0.0  # for Adam: beta_1
    epsilon: float = 1e-7  # of Adam: Keras' default; PyTorch's is 1e-8
    l2: float = 0.0  # times the weights, added to the gradient: not decoupled
    l1: float = 0.0  # times the weights' signs, added to the gradient
    weight_decay: float = 0.0  # decoupled, of AdamW and Muon
    decay: float = 0.0  # lr / (1 + decay * step), as `decay=` meant in older Keras
    plateau: tuple[float, int] | None = None  # (factor, patience) of ReduceLROnPlateau on the loss
    steps: tuple[int, float] | None = None  # (epochs, factor): the rate falls every so many epochs
    schedule: str = "constant"  # linear, cosine: the rate falls to zero, step by step, in this shape
    warmup: float = 0.0  # the share of all steps in which it first rises from zero
    loss: str = "crossentropy"  # rebuilding: the network's own input is its target, and no label is looked at
    label_smoothing: float = 0.0  # this share of each label is spread over all classes
    augment: Mapping[str, float] = field(default_factory=dict)
    resize_first: bool = True  # False: standardize the small image, then enlarge it
    crop_from: int | None = None  # resize the shorter side to this, keep the middle `image_size` of it
    interpolation: str = "bilinear"
    drop_remainder: bool = False
    watch: bool = True  # False: no test image is looked at before the training's end; validation images are
    keep: str = "last"  # which weights: the last epoch's, or the best monitored accuracy's
    precision: str = "float32"
    untrained: bool = False  # measured as initialized, after no epoch at all: a diagnosis
    # A run or a .keras file: layers of the same name and shapes start from its weights. {budget} and {seed} are the
    # run's own. "imagenet": Keras' own weights.
    pretrained: str | None = None
    taken: str | None = None  # the last layer that does so; None: all that fit
    whiten: bool = False  # conv1 starts as the principal components of the training images' patches
    frozen: str | None = None  # this layer and all before it are not trained
    train_images: int | None = None  # None: all of them
    fold: tuple[int, int] | None = None  # (which, of how many): this stratified part of all images is the test set
    options: Mapping[str, Any] = field(default_factory=dict)  # of the architecture
    given: str = ""  # names of the fields that the source states, separated by spaces
    inferred: str = ""
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    small_record: bool = False  # keep the class predicted for each test image, not its logits: one of very many runs

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            choose(f"{name} (recipe {self.name})", getattr(self, name), allowed)
        for name, (kind, low, high) in RANGES.items():
            none = self.untrained and name == "epochs"
            _check(name, getattr(self, name), kind, 0 if none else low, 0 if none else high)
        for name in ("resize_first", "drop_remainder", "untrained", "whiten", "watch"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be true or false; received {getattr(self, name)!r}.")
        for name in ("pretrained", "taken", "frozen"):
            if not isinstance(getattr(self, name), str | None):
                raise UsageError(f"{name} is a name; received {getattr(self, name)!r}.")
        for name in ("augment", "options"):
            if not isinstance(getattr(self, name), Mapping):
                raise UsageError(f"{name} has parts: set one as {name}.NAME=VALUE; received {getattr(self, name)!r}.")
        for name, value in self.augment.items():
            choose("augmentation", name, AUGMENTATIONS)
            _check(f"augment.{name}", value, *AUGMENTATIONS[name])
        for pair in (("flip", "alternate"), ("crop", "reflect")):
            if all(self.augment.get(name) for name in pair):
                raise UsageError(
                    f"augment.{pair[0]} and augment.{pair[1]} do the same in two ways: set one of them to 0."
                )
        for name, value in self.options.items():
            if name in OPTIONS:
                _check(f"options.{name}", value, *OPTIONS[name])
        if not isinstance(self.dataset, str) or "/" not in self.dataset:
            try:
                choose("dataset", str(self.dataset), DATASETS)
            except UsageError as error:
                raise UsageError(f"{error} A folder of your own needs a slash, as ./photos.") from None
        if self.train_images is not None:
            _check("train_images", self.train_images, int, 1, 10**8)
        if self.crop_from is not None:
            _check("crop_from", self.crop_from, int, self.image_size, 10_000)
            if not self.resize_first:
                raise UsageError("crop_from keeps the middle of a resized image: leave resize_first true.")
        setting = [name for name in ("plateau", "steps") if getattr(self, name) is not None]
        setting += ["schedule"] * (self.schedule != "constant")
        if len(setting) > 1:
            raise UsageError(f"{' and '.join(setting)} both set the learning rate: leave one of them as it was.")
        if self.warmup and self.schedule == "constant":
            raise UsageError("warmup is the beginning of a schedule: set schedule to linear or cosine.")
        if self.weight_decay and self.optimizer not in ("adamw", "muon"):
            raise UsageError(f"weight_decay is of adamw and muon: {self.optimizer} has l2, so leave weight_decay at 0.")
        for name, (first, second) in PAIRS.items():
            pair = getattr(self, name)
            if pair is not None:
                if not isinstance(pair, list | tuple) or len(pair) != 2:
                    raise UsageError(f"{name} must be a pair such as [0.1, 5]; received {pair!r}.")
                _check(f"{name}'s first number", pair[0], *first)
                _check(f"{name}'s second number", pair[1], *second)
        if (self.loss == "rebuilding") != (self.model in REBUILDERS):
            raise UsageError(
                f"The loss rebuilding and the model {' or '.join(REBUILDERS)} go together: received the loss "
                f"{self.loss!r} for {self.model!r}."
            )
        if self.taken is not None and self.pretrained in (None, "imagenet"):
            raise UsageError("taken says what is taken of a network that pretrained names: set that, or leave taken.")
        if self.pretrained == "imagenet" and self.model != "mobilenet":
            raise UsageError(f"Keras' ImageNet weights fit the model mobilenet alone; received {self.model!r}.")
        if not self.watch and (self.keep == "best" or self.plateau):
            raise UsageError("The best weights and a plateau are found by watching: set watch to true.")
        if self.loss == "rebuilding" and self.keep == "best":
            raise UsageError("Rebuilding images has no accuracy by which the best could be kept: set keep to last.")
        if self.fold is not None and self.fold[0] >= self.fold[1]:
            raise UsageError(
                f"fold counts from 0: the last of {self.fold[1]} is {self.fold[1] - 1}; received {self.fold[0]}."
            )

    @property
    def trunk(self) -> str | None:
        """The recipe whose run, at the same budget and with the same seed, this one starts from, if there is one."""
        name, _, run = (self.pretrained or "").partition("/")
        return name if run == "{budget}/{seed}" else None

    def mark(self, name: str) -> str:
        """Whether a field (or ``options.NAME``) is given, inferred or ours.

        What a source does not mention and a recipe leaves at its neutral default is inferred: nothing
        was chosen.
        """
        if name in self.given.split():
            return "given"
        untouched = name in DEFAULTS and getattr(self, name) == DEFAULTS[name]
        return "inferred" if untouched or name in self.inferred.split() else "ours"

    def fields(self) -> dict[str, Any]:
        """Every field that decides a training, options and augmentations flattened with a dot."""
        flat: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name in ("options", "augment"):
                flat.update({f"{item.name}.{key}": value[key] for key in sorted(value)})
            elif item.name not in ABOUT:
                flat[item.name] = list(value) if isinstance(value, tuple) else value
        return flat

    def change(self, changes: Mapping[str, Any]) -> Recipe:
        """The recipe with some fields changed; ``options.NAME`` and ``augment.NAME`` reach inside."""
        top: dict[str, Any] = {}
        if any(not key.partition(".")[2] for key in changes if "." in key):
            raise UsageError("A part needs a name: set it as options.NAME=VALUE.")
        settable = sorted({item.name for item in dataclasses.fields(self)} - set(ABOUT))
        for key, value in changes.items():
            outer, _, inner = key.partition(".")
            choose("recipe field", outer, settable)
            if inner and outer not in ("options", "augment"):
                raise UsageError(f"{outer} has no parts: set it as {outer}=VALUE, not {key}.")
            if inner:
                top[outer] = {**top.get(outer, getattr(self, outer)), inner: value}
            else:
                top[outer] = value
        return dataclasses.replace(self, **top)

    def at(self, budget: str) -> Recipe:
        """The recipe as a budget runs it."""
        choose("budget", budget, BUDGETS)
        return self.change(choose_budget(self, budget).changes)


ABOUT = ("name", "source", "title", "parameters", "given", "inferred", "budgets", "small_record")
DEFAULTS = {item.name: item.default for item in dataclasses.fields(Recipe) if item.default is not dataclasses.MISSING}


def choose_budget(recipe: Recipe, budget: str) -> Budget:
    """The budget of a recipe by name, or a sentence saying which it has."""
    return recipe.budgets[choose(f"budget (recipe {recipe.name})", budget, recipe.budgets)]


def is_whole(name: str) -> bool:
    """Whether a field, or a part as `options.NAME`, holds whole numbers alone."""
    table, _, part = name.rpartition(".")
    if table:
        kinds = {"augment": AUGMENTATIONS, "options": OPTIONS}.get(table, {})
        return kinds.get(part, (float,))[0] is int
    return Recipe.__annotations__.get(name, "").startswith("int")


def parse_value(text: str) -> Any:
    """Read the VALUE of ``--set KEY=VALUE``: JSON if it is, else a plain word."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or numbers and brackets without end
        return {"None": None, "True": True, "False": False}.get(text, text)


def override_hash(overrides: Mapping[str, Any], protocol: str = "source") -> str:
    """A short name for overrides and a protocol that is not the recipe's own; empty for neither."""
    if not overrides and protocol == "source":
        return ""
    text = json.dumps([protocol, dict(overrides)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]

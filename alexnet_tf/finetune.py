"""A trained network learns the classes of a user's own folder: its last layer first, then all of it.

Every step is a run of the laboratory, so that each goes on where it was stopped: the last layer is trained on a
quarter, a half and all of the images with everything before it frozen, which also draws the learning curve; then
the whole network, from where the last layer stands.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import datasets, evaluation, files, growth, models, plots, predict, recipes, runs, training
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.files import read_object
from alexnet_tf.intervals import Interval
from alexnet_tf.runs import Run
from alexnet_tf.splits import Splits, stratified

# From 200 photographs of flowers the last layer of `cifar10` learned 46.0 % of 500 others like this, and 34.2 % at a
# tenth of the rate with 70 steps.
HEAD = {"learning_rate": 1e-2, "epochs": 10}
HEAD_STEPS = 300  # at least, and as many for few images as for all: the learning curve is to tell of images alone
# All of it learned 69.5 % of 200 others at this rate, and 54 % at a third of it. One training each.
WHOLE = {"learning_rate": 1e-3, "epochs": 20}
SHARES = (4, 2, 1)  # parts of the images that the learning curve is drawn from
BATCH = 32
OWN = {"dataset", "train_images", "fold", "pretrained", "frozen", "taken", "passes"}  # what `changes` can't change
FEW = 30  # with fewer test photographs nothing is concluded

REPORT = """# {folder}: {classes} classes, {train} photographs to learn from

{source} learned them. It was tested on {test} photographs that it was not shown here.{flattered}

| | test accuracy |
|---|---|
| always the class with most to learn from | {guess:.1%} |
| the last layer alone | {head} |
| the whole network | {whole} |

The whole network minus the last layer alone: {gain}, paired over the
photographs. {verdict}{sure}

![Loss and accuracy](curves.png)

![Confusion matrix](confusion.png)

{confused}{hardly}

## Would more photographs help?

![Accuracy against photographs](growth.png)

{advice}

## The network

`python -m alexnet_tf predict PHOTO --model {model}` names the class of a photograph. `test-folder`, `evaluate`
and `export` take {folder_here} like any network. Of the one in `last-layer.keras` the last layer alone learned.

```
{report}
```
"""


TOO_FEW = (
    f"With fewer than {FEW} test photographs a learning curve is mostly luck: collect more, or hold more out in a "
    "folder `val` beside `train`."
)


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning left behind."""

    folder: Path
    head: list[Run]  # the last layer trained on a quarter, a half and all of the images
    whole: Run

    @property
    def model(self) -> Path:
        """The whole network, for use."""
        return self.folder / "model.keras"


def started_from(name: str | None, store: Path | str | None = None) -> tuple[Path, dict[str, Any]]:
    """The weights to start from and the record of the run that made them."""
    path, _ = predict.find_model(name, store)
    beside = [folder / "record.json" for folder in (path.parent, path.parent.parent)]
    for file in [*beside, *(run.path / "record.json" for run in runs.listing(store) if run.weights == path)]:
        record = read_object(file)
        if runs.is_whole(record):
            return path, record
    raise LabError(f"Nothing says how {path} was trained: fine-tuning starts from a run or from a released model.")


def before_last(network: Any) -> str:
    """The layer before the last that has weights; a network may scale its logits after that one."""
    last = max(place for place, layer in enumerate(network.layers) if layer.weights)
    return network.layers[last - 1].name


def _passes(sizes: Sequence[int], batch: int) -> list[int]:
    """How often the last layer sees each number of photographs in an epoch: about as many steps for all of them."""
    steps = [HEAD["epochs"] * -(-size // batch) for size in sizes]
    return [round(max(HEAD_STEPS, steps[-1]) / each) or 1 for each in steps]


def finetune(
    folder: str,
    name: str | None = None,
    to: Path | str = "finetuned",
    seed: int = 0,
    store: Path | str | None = None,
    skip_damaged: bool = False,
    changes: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Tuned:
    """Teach a trained network the classes of a folder, and write what came of it into `to`.

    `changes` are fields of the recipe for all stages.
    """
    if own := sorted(OWN & {*(changes or {})}):
        raise UsageError(f"Fine-tuning decides {', '.join(own)} itself, stage by stage: leave out --set {own[0]}=….")
    place, target = Path(folder).expanduser().resolve().as_posix(), Path(to)
    if target.resolve().is_relative_to(place):
        raise UsageError(f"{target} lies among the photographs of {folder}: name another folder with --to.")
    earlier = read_object(target / "record.json").get("recipe", {}).get("dataset", {}).get("value", place)
    if earlier != place:
        raise LabError(f"{target} holds what {earlier} taught: name another folder with --to, or remove that one.")
    splits = datasets.load(place, skip_damaged=skip_damaged)
    sizes = [len(splits.train) // share for share in SHARES]
    shown = splits.train.labels[stratified(splits.train.labels, sizes[0])]
    if hidden := [name for label, name in enumerate(splits.class_names) if label not in shown]:
        raise LabError(
            f"{folder} has {len(splits.train)} photographs to train on, and a quarter of them would not show "
            f"{', '.join(hidden[:5])}: add some."
        )
    weights, record = started_from(name, store)
    recipe = recipes.get(record["name"]).at(record["budget"]).change(record["overrides"])
    if recipe.loss == "rebuilding":
        raise LabError(
            f"{record['name']} rebuilds images and has no last layer for classes: start from one that was trained on "
            "classes, such as few-rebuilt-tuned-10."
        )
    network = models.build(recipe.model, recipe.image_size, len(splits.class_names), **recipe.options)
    shared = {
        **record["overrides"],
        "dataset": place,
        "train_images": None,
        "fold": None,
        "resize_first": True,  # photographs have sizes of their own
        "passes": 1,
        "taken": None,
        "whiten": False,
        "optimizer": "adam",
        "momentum": 0.9,
        "weight_decay": 0.0,  # of other optimizers
        "schedule": "constant",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "batch_size": BATCH,
        "drop_remainder": False,
        "plateau": None,
        "steps": None,
        "decay": 0.0,
        "keep": "last",
        "watch": True,
        "untrained": False,
    }

    taught = predict.learned_by(weights)
    if flattered := sum(digest in taught for digest in splits.test.digests()):
        print(f"{flattered} of {len(splits.test)} test photographs taught the network to start from.", file=sys.stderr)
    taught.update(splits.train.digests())

    # What other photographs taught, or another network began, is not gone on with.
    began = hashlib.sha256(weights.read_bytes() + json.dumps(splits.class_names).encode()).hexdigest()[:8]
    store = target / "runs" / f"{splits.fingerprint()}-{began}"

    def train(told: str, **own: Any) -> Run:
        print(told, file=sys.stderr)
        overrides = {**shared, **own, **(changes or {})}
        return training.train(
            record["name"], record["budget"], seed, overrides, store=store, fresh=fresh, skip_damaged=skip_damaged
        )

    frozen = {"pretrained": str(weights.resolve()), "frozen": before_last(network), **HEAD}
    passes = _passes(sizes, recipe.change({"batch_size": BATCH, **(changes or {})}).batch_size)
    stages = len(sizes) + 1
    head = [
        train(f"{stage} of {stages}: the last layer, on {size} photographs", **frozen, train_images=size, passes=often)
        for stage, (size, often) in enumerate(zip(sizes, passes, strict=True), start=1)
    ]
    started = str(head[-1].weights.resolve())
    whole = train(f"{stages} of {stages}: the whole network, on all of them", pretrained=started, frozen=None, **WHOLE)
    target.mkdir(parents=True, exist_ok=True)
    files.write_atomically(target / "record.json", (whole.path / "record.json").read_bytes())
    files.write_atomically(target / "classes.json", (json.dumps(list(splits.class_names)) + "\n").encode())
    files.write_atomically(target / predict.TRAINED_ON, (json.dumps(sorted(taught)) + "\n").encode())
    files.write_atomically(target / "last-layer.keras", head[-1].weights.read_bytes())
    files.write_atomically(target / "model.keras", whole.weights.read_bytes())  # last: it says that a network is there
    tuned = Tuned(target, head, whole)
    source = f"{record['name']} ({record['budget']}, seed {record['seed']})"
    _report(tuned, place, source, splits, flattered)
    return tuned


def as_text(name: str) -> str:
    """A name from a disk as one line of Markdown that shows it and does nothing else.

    >>> as_text("<b>`a`")
    '&lt;b&gt;&#96;a&#96;'
    """
    return re.sub(r"[`*\\\[\]|]", lambda found: f"&#{ord(found[0])};", html.escape(" ".join(name.split())))


def _sure(whole: Run) -> str:
    """What its confidence is worth, where the run keeps enough to tell."""
    if "test_logits" not in whole.outputs:
        return ""
    loss = whole.record["recipe"]["loss"]["value"]
    sure = evaluation.probabilities(whole.outputs["test_logits"], loss).max(axis=1).mean()
    return f" The whole network is {sure:.0%} sure on average, and right of {evaluation.accuracy_of(whole):.0%}."


def _report(tuned: Tuned, folder: str, source: str, splits: Splits, flattered: int = 0) -> None:
    """Write the page and its pictures."""
    whole, head = tuned.whole, tuned.head[-1]
    names, labels = splits.class_names, splits.test.labels
    answers = whole.outputs.get("test_predicted")  # all that a recipe of a grid keeps
    answers = whole.outputs["test_logits"].argmax(axis=1) if answers is None else answers
    matrix, gain = evaluation.confusion(labels, answers, len(names)), evaluation.few_paired(whole, head)
    reached = evaluation.accuracy_interval([whole])
    told = [as_text(name) for name in names]
    mistakes = [f"{a} taken for {b} ({n})" for a, b, n in evaluation.most_confused(matrix, told, 3) if n]
    hardly = [told[label] for label, count in enumerate(np.bincount(labels, minlength=len(names))) if count < 5]
    sizes = [run.record["images"]["train"] for run in tuned.head]
    measured = {size: evaluation.accuracy_interval([run]) for size, run in zip(sizes, tuned.head, strict=True)}
    law = growth.power_law(sizes, np.array([evaluation.correct(run) for run in tuned.head]))
    expected = {sizes[-1] * times: law.accuracy(sizes[-1] * times) for times in (1, 2, 4)}
    figures = {
        "curves.png": plots.curves(whole.history, f"The whole network: {reached.mean:.1%} of {len(labels)} are right"),
        "confusion.png": plots.confusion(matrix, names, "Rows are the folders, columns the answers"),
        "growth.png": plots.growth({"last layer": measured}, "The last layer on more and more images", expected),
    }
    for name, figure in figures.items():
        figure.savefig(tuned.folder / name, dpi=120)
        plots.plt.close(figure)
    few = len(labels) < FEW
    verdict = {
        1: "It is better.",
        0: "So many test photographs can't tell them apart.",
        -1: "It is worse: take `last-layer.keras`.",
    }
    page = REPORT.format(
        folder=as_text(Path(folder).name),
        classes=len(names),
        train=sizes[-1],
        test=len(labels),
        source=source,
        flattered=f" But {flattered} of them taught what it started from: accuracy is flattered." * bool(flattered),
        guess=(labels == np.bincount(splits.train.labels).argmax()).mean(),
        head=evaluation.accuracy_interval([head]),
        whole=reached,
        gain=gain.points,
        verdict=verdict[0 if few else gain.side],
        sure=_sure(whole),
        confused=f"Most confused: {'; '.join(mistakes) or 'nothing'}.",
        hardly=f" Hardly tested, on fewer than five photographs: {', '.join(hardly)}." if hardly else "",
        advice=TOO_FEW if few else advice(measured, law),
        model=shlex.quote(str(tuned.model)),
        folder_here=f"`{shlex.quote(str(tuned.folder))}`",
        report=evaluation.report(labels, answers, [" ".join(name.split()) for name in names]),  # no line closes it
    )
    files.write_atomically(tuned.folder / "report.md", page.encode())


def advice(measured: Mapping[int, Interval], law: growth.PowerLaw) -> str:
    """What the learning curve says about collecting more photographs."""
    smallest, largest = min(measured), max(measured)
    said = f"From {smallest} to {largest} photographs the last layer went from {measured[smallest].mean:.1%} to "
    said += f"{measured[largest].mean:.1%}. "
    here, *more = [(times * largest, law.accuracy(times * largest)) for times in (1, 2, 4)]
    told = ", ".join(f"{size} photographs {found.mean:.1%} [{found.low:.1%}, {found.high:.1%}]" for size, found in more)
    said += f"If the error goes on falling like this, expect of {told}, with the last layer alone. "
    if not law.grows:
        said += "So many test photographs can't tell whether it grew at all, so this may be luck. "
    if more[0][1].mean - here[1].mean < 0.005:
        said += "That promises next to nothing: look at the ones it gets wrong instead. "
    return said + (
        "The intervals are those of the test photographs; the curve knows of no floor, so take the last one as a hope."
    )

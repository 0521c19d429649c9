"""Networks that travel with the checkout: small enough to commit, and beside each what is known of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import tempfile
import textwrap
import zipfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_tf import datasets, evaluation, export, files, predict, recipes, runs
from alexnet_tf.errors import LabError, UsageError, choose

if TYPE_CHECKING:
    import numpy as np

LIMIT = 16_000_000  # bytes: a clone should stay small

CARD = """# {name}: {title}

| | |
|---|---|
| trained by | `{command}` |
| at commit | {commit}, in {minutes:.0f} minutes on {hardware} |
| data | {dataset}: {train:,} images to train on, {test:,} to test on |
| accuracy on the test images | {accuracy} |
| protocol `{protocol}` | {meaning} |
| takes | uint8 images of any size, values 0 to 255 |
| gives | probabilities of {classes} |
| `model.keras` | {size:.1f} MB, each weight in 16 bits; once loaded in 32 |
| its SHA-256 | `{digest}` |

{use}
"""
USE = (
    "What it was trained on decides what it may be used for: whatever it is shown, it names one of its {count} "
    "classes. It carries no more rights than its data do. {terms}"
)
EXPORTED = """
## For other runtimes

`python -m alexnet_tf export {name} --images {images}` wrote it in other formats and asked each about the same
{images:,} test images, on {hardware}:

{table}
"""
MEANING = {
    "source": "its settings are the source's, which may have been chosen on the test images",
    "honest": "nothing was chosen on the test images",
    "unwatched": "no test image was looked at before the end of the training",
    "ours": "the test images were watched and nothing was chosen on them: settings and weights are fixed beforehand",
}
# Under which terms the images may be used; the README says the same.
TERMS = {
    "cifar10": "CIFAR-10 names no licence, its pictures are their owners', and its author asks to be cited.",
    "fashion_mnist": "Fashion-MNIST is under the MIT licence.",
    "flowers": "The flower photographs, from Flickr, are their photographers', under Creative Commons BY 2.0.",
    "tf_flowers": "tf_flowers holds the same photographs under the same licence; its LICENSE.txt names who took them.",
    "imagenet2012": "ImageNet's pictures are their owners', for non-commercial research and teaching alone.",
}
OWN = "They are not published, and whoever released it knows their terms."


class Released(runs.Run):
    """A released network in the place of the run that it was: record and weights lie side by side."""

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """What the network says of the test images, asked now: its folder keeps no answers."""
        import numpy as np

        test = datasets.again(self.record).test
        print(f"asking {self} about {len(test):,} test images", file=sys.stderr)
        belief = predict.confidences(predict.load(self.weights), (test.image(place) for place in range(len(test))))
        logits = np.log(np.maximum(belief, np.finfo("float32").tiny))
        return {"test_ids": test.ids, "test_labels": test.labels, "test_logits": logits}

    def __str__(self) -> str:
        return self.path.name


def find(name: str, store: Path | str | None = None, having_weights: bool = False) -> runs.Run:
    """A released network by its name or folder, unless a store is named; else a run, as `runs.find` does."""
    for known, file in ({} if store else predict.released()).items():
        if name == known or Path(name).resolve() == file.parent.resolve():
            return Released(file.parent, file.parent)
    if all((Path(name) / file).exists() for file in ("record.json", "model.keras")):  # as `finetune` leaves it
        return Released(Path(name), Path(name))
    if not store and "/" not in name:
        choose("recipe, run or released network", name, [*recipes.RECIPES, *predict.released()])
    return runs.find(name, store, having_weights)


def card(folder: Path) -> str:
    """What is known of a released network, from the files beside it."""
    run = Released(folder, folder)
    record, provenance, dataset = run.record, run.record["provenance"], run.record["recipe"]["dataset"]["value"]
    kind, said = record["protocol"], record["recipe"]
    if kind == "source" and recipes.get(record["name"]).source == "ours" and said["keep"]["value"] == "last":
        kind = "ours" if said.get("watch", {"value": True})["value"] else "unwatched"
    terms = TERMS.get(
        datasets.untouched(dataset), "They were drawn by this project." if dataset.startswith("paintbox") else OWN
    )
    content = run.weights.read_bytes()
    own = Path(dataset).is_absolute()  # a user's photographs
    text = CARD.format(
        name=folder.name,
        title=f"{record['name']}, fine-tuned" if own else recipes.get(record["name"]).title,
        command="python -m alexnet_tf finetune FOLDER" if own else run.command,
        minutes=provenance["minutes"],
        hardware=provenance["hardware"],
        commit=provenance["commit"],
        dataset=f"a folder {Path(dataset).name}" if own else dataset,
        train=record["images"]["train"],
        test=record["images"]["test"],
        accuracy=evaluation.accuracy_interval([run]),
        protocol=record["protocol"],
        meaning=MEANING[kind],
        classes=", ".join(record["class_names"]),
        size=len(content) / 1e6,
        digest=hashlib.sha256(content).hexdigest(),
        use=textwrap.fill(USE.format(count=len(record["class_names"]), terms=terms), 110),
    )
    if (folder / "export.json").exists():
        found = files.read_object(folder / "export.json")
        text += EXPORTED.format(
            name=folder.name, images=found["images"], hardware=found["hardware"], table=export.markdown(found)
        )
    return text


def halved(model: bytes) -> bytes:
    """A ``.keras`` file with its weights in 16 bits, which Keras brings back to 32 when it loads them."""
    import h5py
    import numpy as np

    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kept = io.BytesIO()
    with h5py.File(io.BytesIO(parts["model.weights.h5"])) as weights, h5py.File(kept, "w") as smaller:

        def halve(name: str, value: h5py.Group | h5py.Dataset) -> None:
            if isinstance(value, h5py.Group):
                smaller.require_group(name)
            else:
                fits = value.dtype.kind == "f" and (abs(value[()]) <= np.finfo("float16").max).all()
                smaller[name] = value[()].astype("float16" if fits else value.dtype)
            smaller[name].attrs.update(value.attrs)

        weights.visititems(halve)
    parts["model.weights.h5"] = kept.getvalue()
    with zipfile.ZipFile(whole := io.BytesIO(), "w") as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part)  # without the time: the same network is the same file
    return whole.getvalue()


def release(run: runs.Run, name: str) -> Path:
    """Put a run's weights where `predict --model NAME` finds them, with the names of its classes and a card."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise UsageError(f"A released model's name is made of a-z, 0-9 and hyphens; received {name!r}.")
    evaluation.accuracy_of(run)  # before anything is written
    record, content = run.record, halved(predict.weights_of(run).read_bytes())
    if len(content) > LIMIT:
        raise LabError(
            f"The weights of {run} take {len(content) / 1e6:.0f} MB; a released model may take {LIMIT / 1e6:.0f}."
        )
    target = runs.home() / "reports" / "models" / name
    if target.exists():
        raise LabError(f"A network of the name {name} is released already: take another name, or remove {target}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as scratch:
        part = Path(scratch, name)
        files.write_atomically(part / "model.keras", content)
        files.write_atomically(part / "classes.json", (json.dumps(record["class_names"]) + "\n").encode())
        files.write_atomically(part / "record.json", (run.path / "record.json").read_bytes())
        files.write_atomically(part / "README.md", card(part).encode())
        part.replace(target)  # whole or not there
    return target


def keep(run: runs.Run, found: dict[str, Any]) -> None:
    """Keep beside a released network how its exports compare, as `export.keep` does, and show it on its card."""
    if export.keep(run.path / "export.json", found):
        files.write_atomically(run.path / "README.md", card(run.path).encode())

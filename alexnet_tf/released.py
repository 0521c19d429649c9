"""Networks that travel with the checkout: small enough to commit, and beside each what is known of it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from alexnet_tf import recipes, runs
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.evaluation import accuracy_interval
from alexnet_tf.predict import weights_of

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
| SHA-256 of `model.keras` | `{digest}` |

What it was trained on decides what it may be used for: it names one of its {count} classes, whatever it is
shown. It carries no more rights than its data do.
"""
MEANING = {
    "source": "its settings are the source's, which may have been chosen on the test images",
    "honest": "nothing was chosen on the test images",
}


def release(run: runs.Run, name: str) -> Path:
    """Put a run's weights where `predict --model NAME` finds them, with the names of its classes and a card."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise UsageError(f"A released model's name is made of a-z, 0-9 and hyphens; received {name!r}.")
    record, content = run.record, weights_of(run).read_bytes()
    if len(content) > LIMIT:
        raise LabError(
            f"The weights of {run} take {len(content) / 1e6:.0f} MB; a released model may take {LIMIT / 1e6:.0f}."
        )
    provenance, target = record["provenance"], runs.home() / "reports" / "models" / name
    card = CARD.format(
        name=name,
        title=recipes.get(record["name"]).title,
        command=run.command,
        minutes=provenance["minutes"],
        hardware=provenance["hardware"],
        commit=provenance["commit"],
        dataset=record["recipe"]["dataset"]["value"],
        train=record["images"]["train"],
        test=record["images"]["test"],
        accuracy=accuracy_interval([run]),
        protocol=record["protocol"],
        meaning=MEANING[record["protocol"]],
        classes=", ".join(record["class_names"]),
        count=len(record["class_names"]),
        digest=hashlib.sha256(content).hexdigest(),
    )
    runs.write_atomically(target / "model.keras", content)
    runs.write_atomically(target / "classes.json", (json.dumps(record["class_names"]) + "\n").encode())
    runs.write_atomically(target / "record.json", (run.path / "record.json").read_bytes())
    runs.write_atomically(target / "README.md", card.encode())
    return target

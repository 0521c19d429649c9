"""Classify images with a trained network whose preprocessing is inside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import runs
from alexnet_tf.errors import LabError
from alexnet_tf.splits import read_image


def find_model(name: str | None, store: Path | str | None = None) -> tuple[Path, list[str]]:
    """A ``.keras`` file with its class names: by path, by run, or the newest run that has weights."""
    if name and name.endswith(".keras"):
        path = Path(name)
        if not path.exists():
            raise LabError(f"There is no model {path}: check the path.")
        beside = path.parent / "classes.json"
        return path, json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else []
    if name:
        run = runs.find(name, store, having_weights=True)
    else:
        trained = [run for run in runs.listing(store) if run.finished and run.weights.exists()]
        if not trained:
            raise LabError(
                "No trained model is here: train one first, for example 'python -m alexnet_tf train cifar10-bn64'."
            )
        run = max(trained, key=lambda run: run.weights.stat().st_mtime)
    weights = weights_of(run)
    print(f"using {run}", file=sys.stderr)
    return weights, run.record["class_names"]


def weights_of(run: runs.Run) -> Path:
    """The saved network of a run, or a sentence that says how to make it again."""
    if not run.weights.exists():
        minutes, budget, seed = run.record["provenance"]["minutes"], run.record["budget"], run.record["seed"]
        raise LabError(
            f"The weights of {run} are not here: 'train {run.recipe} --budget {budget} --seed {seed} --fresh' makes "
            f"them again, in about {minutes:.0f} minutes."
        )
    return run.weights


def load(path: Path) -> Any:
    """A saved network for use: uint8 images of any size in, probabilities out."""
    import alexnet_tf.layers
    import alexnet_tf.preprocess  # noqa: F401  (both register the layers that a saved model needs)
    from alexnet_tf.quiet import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        raise LabError(f"{path} is no model that this version can read: is it a whole .keras file?") from error


def predict(
    images: Sequence[str], name: str | None = None, store: Path | str | None = None, top: int = 5
) -> list[dict[str, Any]]:
    """The best classes of each image file with the network's confidence."""
    pixels = [read_image(path) for path in images]  # a wrong path is told before a model is loaded
    path, names = find_model(name, store)
    model = load(path)
    rows = []
    for image, file in zip(pixels, images, strict=True):
        confidence = np.asarray(model(image[None], training=False))[0]
        best = np.argsort(confidence)[::-1][:top]
        classes = names or [str(i) for i in range(len(confidence))]
        ranked = [{"class": classes[i], "confidence": round(float(confidence[i]), 6)} for i in best]
        rows.append({"path": str(file), "top": ranked})
    return rows

"""The end of a training: the kept weights are measured once, saved for use, and the record is written last."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf import predict, provenance, runs
from alexnet_tf.files import write_atomically
from alexnet_tf.fitting import make_loss, make_preprocess, streams
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe
from alexnet_tf.runs import Run
from alexnet_tf.splits import READ_WHOLE, Split, Splits


def logits_of(model: keras.Model, split: Split, classes: int, preprocess: Preprocess) -> np.ndarray:
    """The network's outputs for every example of a split, in order."""
    return np.asarray(model.predict(streams.evaluation_stream(split, classes, preprocess), verbose=0), "float32")


def exported(model: keras.Sequential, preprocess: Preprocess, recipe: Recipe) -> keras.Sequential:
    """The network for use: uint8 images of any size in, probabilities out."""
    last = {"bce": "sigmoid", "rebuilding": "linear"}.get(recipe.loss, "softmax")
    bare = keras.Sequential.from_config(model.get_config())  # without the optimizer, which only a training needs
    bare.set_weights(model.get_weights())
    tail = keras.layers.Activation(last, dtype="float32", name="probabilities")
    return keras.Sequential([keras.Input((None, None, 3), dtype="uint8", name="image"), preprocess, bare, tail])


def _kept(part: str, split: Split, logits: np.ndarray, small: bool) -> dict[str, np.ndarray]:
    """What a record keeps of a split: ids, labels and logits; a small one the answers and which were right."""
    predicted = logits.argmax(axis=1)
    if small:
        return {
            f"{part}_predicted": predicted.astype("uint8" if logits.shape[1] <= 256 else "uint16"),
            f"{part}_right": np.packbits(predicted == split.labels),
        }
    within = np.clip(logits, -65472, 65472).astype("float16")  # float16's range, less a step
    tied = np.flatnonzero(within.argmax(axis=1) != predicted)  # by rounding: the answer goes ahead by a step
    within[tied, predicted[tied]] = np.nextafter(within[tied].max(axis=1), np.float16(np.inf))
    return {f"{part}_ids": split.ids, f"{part}_labels": split.labels.astype("int16"), f"{part}_logits": within}


def _rebuilt(split: Split, model: keras.Sequential, preprocess: Preprocess) -> dict[str, np.ndarray]:
    """What a record keeps of a network that rebuilds images: a few, as it saw them and as it painted them."""
    few = split.take(np.arange(min(8, len(split))))
    images, _ = next(iter(streams.evaluation_stream(few, 1, preprocess)))
    seen = model.get_layer("hide")(images, training=True)
    painted = model(seen, training=False)
    return {
        "test_ids": few.ids,
        "test_seen": keras.ops.convert_to_numpy(seen).astype("float16"),
        "test_rebuilt": keras.ops.convert_to_numpy(painted).astype("float16"),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an epoch with as few digits as tell a float32, which is what they were."""
    return {name: float(str(np.float32(value))) if isinstance(value, float) else value for name, value in row.items()}


def finish(run: Run, recipe: Recipe, splits: Splits, model: keras.Sequential, begun: dict[str, Any]) -> None:
    """Measure the kept weights once, save the model for use, and write the record last."""
    classes, preprocess = len(splits.class_names), make_preprocess(recipe)
    outputs: dict[str, np.ndarray] = {}
    metrics: dict[str, float | None] = dict.fromkeys(("val_accuracy", "val_loss", "test_accuracy"))
    for part, split in (("val", splits.val), ("test", splits.test)):
        if split is None:
            continue
        if recipe.loss == "rebuilding":
            metrics[f"{part}_loss"] = float(
                model.evaluate(streams.evaluation_stream(split, classes, preprocess), verbose=0)
            )
            outputs = _rebuilt(split, model, preprocess)
            continue
        logits = logits_of(model, split, classes, preprocess)
        outputs.update(_kept(part, split, logits, recipe.small_record))
        one_hot = np.eye(classes, dtype="float32")[split.labels]
        metrics[f"{part}_accuracy"] = float((logits.argmax(axis=1) == split.labels).mean())
        metrics[f"{part}_loss"] = float(make_loss(recipe)(one_hot, logits))
    content = io.BytesIO()
    np.savez_compressed(content, **outputs)  # type: ignore[arg-type]
    run.scratch.mkdir(parents=True, exist_ok=True)
    partial = run.weights.with_name("part.keras")
    try:  # the largest file first: a full disk spares the earlier run, and needs its room back
        exported(model, preprocess, recipe).save(partial)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if splits.train.files and len(splits.train) <= READ_WHOLE:
        taught = set(splits.train.digests())
        if start := recipe.pretrained:
            taught |= predict.learned_by(predict.released().get(start, Path(start)))
        write_atomically(run.scratch / predict.TRAINED_ON, (json.dumps(sorted(taught)) + "\n").encode())
    seconds = begun.pop("seconds")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    begun["provenance"].update(minutes=round(seconds / 60, 3), finished=now, peak_mib=provenance.peak_memory())
    record = {"format": runs.FORMAT, **begun, "class_names": list(splits.class_names), "metrics": metrics}
    record["images"] = {"train": len(splits.train), "val": len(splits.val or ()), "test": len(splits.test)}
    record["outputs_sha256"] = hashlib.sha256(content.getvalue()).hexdigest()
    if recipe.small_record:
        record["history"] = [_short(row) for row in record["history"]]
    record["checksum"] = runs.checksum(record)
    text = json.dumps(record, indent=None if recipe.small_record else 1)
    run.put(partial, content.getvalue(), f"{text}\n".encode())
    run.discard_state()

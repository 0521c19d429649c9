"""The history of runs as TensorBoard's event files, for runs of any backend and any age."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alexnet_tf import quiet  # noqa: F401  (loads TensorFlow without its log lines)
from alexnet_tf.runs import Run

import tensorflow as tf  # isort: skip


def write(runs: Sequence[Run], folder: Path) -> None:
    """One folder a run; training and monitored curves share a chart, as Keras' own callback names them."""
    scalars = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
    for run in runs:
        for part, prefix in ("train", ""), ("validation", "val_"):
            if not any(f"{prefix}loss" in row for row in run.history):
                continue  # it was not watched
            target = folder / run.recipe / run.path.parent.name / run.path.name / part
            target.mkdir(parents=True, exist_ok=True)  # where it can't be, TensorFlow has no plain error
            for earlier in target.glob("events.out.tfevents.*"):
                earlier.unlink()  # TensorBoard would draw its points, too
            with tf.summary.create_file_writer(str(target)).as_default():
                for row in run.history:
                    for name in [name for name in ("loss", "accuracy") if prefix + name in row]:
                        value = tf.constant(row[prefix + name], tf.float32)
                        tf.summary.write(f"epoch_{name}", value, row["epoch"], metadata=scalars)

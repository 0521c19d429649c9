"""Event files hold every epoch of a run, under the names that TensorBoard groups by."""

import numpy as np
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from alexnet_tf.__main__ import main


def test_curves_become_event_files(make_run, tmp_path, capsys):
    run = make_run("cifar10-simple", np.arange(100) < 70)
    assert main(["tensorboard", "cifar10-simple/paper", "--to", str(tmp_path / "logs"), "--runs", str(tmp_path)]) == 0
    assert "1 run(s) written" in capsys.readouterr().out
    found = {}
    for file in (tmp_path / "logs").rglob("events.out.tfevents.*"):
        part = file.parent.name
        for record in tf.data.TFRecordDataset(str(file)):
            event = Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found[part, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    for row in run.history:
        for part, prefix in ("train", ""), ("validation", "val_"):
            for name in "loss", "accuracy":
                np.testing.assert_allclose(found[part, f"epoch_{name}", row["epoch"]], row[prefix + name], rtol=1e-6)
    assert len(found) == 4 * len(run.history)


def test_what_is_written_again_takes_the_place_of_what_was_there(make_run, tmp_path):
    make_run("cifar10-simple", np.arange(100) < 70)
    for _ in range(2):
        assert main(["tensorboard", "cifar10-simple", "--to", str(tmp_path / "logs"), "--runs", str(tmp_path)]) == 0
        parts = [file.parent.name for file in (tmp_path / "logs").rglob("events.out.tfevents.*")]
        assert sorted(parts) == ["train", "validation"]


def test_a_place_that_can_not_be_written_is_one_line(make_run, tmp_path, capsys):
    make_run("cifar10-simple", np.arange(100) < 70)
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["tensorboard", "cifar10-simple", "--to", str(tmp_path / "notes.txt"), "--runs", str(tmp_path)]) == 1
    assert "where a folder is needed" in capsys.readouterr().err

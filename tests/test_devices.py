"""Two devices train as one: virtual processors, each backend in a process of its own."""

import json
import os
import re
import subprocess
import sys

import pytest

TRAIN = """
import json, sys
{before}
from alexnet_tf import layers, training
layers.BatchNormalization.call = layers.keras.layers.BatchNormalization.call  # the fused kernel rounds otherwise
changes = dict(train_images=60, epochs=2, batch_size=20, optimizer="sgd", learning_rate=0.05, momentum=0.9)
changes |= {{"options.dropout": 0.0, "options.width": 0.1, "options.dense_units": 8}}
for on in "one", "all":
    run = training.train("cifar10-bn64", "quick", 0, changes, store=sys.argv[1] + "/" + on, on=on)
    losses, logits = [epoch["loss"] for epoch in run.history], run.outputs["test_logits"][:3].tolist()
    print(json.dumps([run.record["provenance"]["devices"], losses, logits]))
"""
VIRTUAL = {
    "tensorflow": """
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
""",
    "jax": "",
}


CUT = """
import json, signal, sys
{before}
from alexnet_tf import callbacks, runs, training
changes = dict(train_images=60, epochs=2, batch_size=20, optimizer="sgd", learning_rate=0.05, momentum=0.9)
changes |= {{"options.dropout": 0.0, "options.width": 0.1, "options.dense_units": 8}}
def train(name):
    return training.train("cifar10-bn64", "quick", 0, changes, store=sys.argv[1] + "/" + name, on="all")
whole, usual, steps = train("whole"), callbacks.Progress.on_train_batch_end, []
signal.signal(signal.SIGINT, signal.default_int_handler)
def press(self, batch, logs=None):
    usual(self, batch, logs)
    steps.append(batch)
    if len(steps) in (1, 3):  # in the first batch of each epoch
        signal.raise_signal(signal.SIGINT)
callbacks.Progress.on_train_batch_end = press
for _ in range(2):
    try:
        train("cut")
    except KeyboardInterrupt:
        pass
again = train("cut")
print(json.dumps([whole.record["provenance"]["devices"], again.record["provenance"]["resumed"]]))
print(json.dumps([[row["loss"] for row in run.history] for run in (whole, again)]))
print(json.dumps([run.outputs["test_logits"][:3].tolist() for run in (whole, again)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", VIRTUAL)
def test_ctrl_c_within_an_epoch_is_heeded_on_two_devices_too(tmp_path, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    code = CUT.format(before=VIRTUAL[backend])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.findall(r"saved after step (\d) of epoch (\d)", done.stderr) == [("2", "1"), ("2", "2")]
    told, losses, logits = map(json.loads, done.stdout.splitlines()[-3:])
    assert told == [2, 2]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for ours, theirs in zip(*logits, strict=True):
        assert theirs == pytest.approx(ours, abs=4e-3)


@pytest.mark.slow
@pytest.mark.parametrize("backend", VIRTUAL)
def test_two_devices_follow_the_curve_of_one(tmp_path, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    code = TRAIN.format(before=VIRTUAL[backend])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (one, losses, logits), (two, shared_losses, shared_logits) = map(json.loads, done.stdout.splitlines()[-2:])
    assert (one, two) == (1, 2)
    assert shared_losses == pytest.approx(losses, rel=1e-5)
    for ours, theirs in zip(logits, shared_logits, strict=True):
        assert theirs == pytest.approx(ours, abs=4e-3)  # float16 keeps steps of 0.002


def test_a_batch_that_can_not_be_shared_is_told(monkeypatch):
    from alexnet_tf import devices
    from alexnet_tf.errors import LabError

    monkeypatch.setattr(devices, "available", lambda: ["a", "b", "c"])
    with (
        pytest.raises(LabError, match=r"128 can't be shared equally by 3 devices: .* batch_size=129"),
        devices.spread("all", 128),
    ):
        pass
    with devices.spread("one", 128) as share:
        assert share == devices.Share()


@pytest.mark.parametrize("backend", VIRTUAL)
def test_a_last_batch_that_can_not_be_shared_is_told(monkeypatch, backend):
    from alexnet_tf import devices
    from alexnet_tf.errors import LabError

    monkeypatch.setattr(devices, "available", lambda: ["cpu:0", "cpu:1"])
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(devices, "place", lambda: (0, 1))
    with pytest.raises(LabError, match=r"last 5 images .* drop_remainder=true"), devices.spread("all", 128, 5):
        pass

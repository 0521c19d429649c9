"""Several processes train as one: who is who, the numbers of one process, and what happens when one dies."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_datasets import make_folder

from alexnet_tf import cluster, runs
from alexnet_tf.cluster import Seat, find
from alexnet_tf.errors import LabError

JAX = {"KERAS_BACKEND": "jax"}
SLURM = {**JAX, "SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "4097", "SLURM_STEP_NODELIST": "n[07,09]"}
JOB = {**JAX, "ALEXNET_PROCESSES": "2", "ALEXNET_COORDINATOR": "job-0.job:5555", "JOB_COMPLETION_INDEX": "1"}


def without(environment, *names):
    return {name: value for name, value in environment.items() if name not in names}


@pytest.mark.parametrize(
    ("flags", "environment", "seat"),
    [
        ((), JAX, Seat()),
        ((2, 1, "a:1"), JAX, Seat(1, 2, "a:1")),
        ((2, 1, "a:1"), SLURM, Seat(1, 2, "a:1")),
        ((), SLURM, Seat(2, 4, "n07:61441")),
        ((1,), SLURM, Seat()),
        ((), {**SLURM, "SLURM_NTASKS": "1"}, Seat()),
        ((), JOB, Seat(1, 2, "job-0.job:5555")),
        ((), {**JAX, "JOB_COMPLETION_INDEX": "1"}, Seat()),
    ],
)
def test_a_seat_comes_from_flags_slurm_or_an_indexed_job(flags, environment, seat):
    assert find(*flags, environment=environment) == seat


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        ((2, 0), JAX, "Received --processes 2, --process 0 but not --coordinator: give all three"),
        ((2, 2, "a:1"), JAX, "--process must be a whole number from 0 and below --processes"),
        ((2, -1, "a:1"), JAX, "--process must be a whole number"),
        ((2, 0, "a"), JAX, "HOST:PORT where process 0 will listen"),
        ((2, 0, "a:1"), {}, "with the tensorflow backend.*KERAS_BACKEND=jax"),
        ((), without(SLURM, "SLURM_STEP_NODELIST"), "not SLURM_STEP_NODELIST: start with srun, or say --processes 1"),
        ((), {**SLURM, "SLURM_PROCID": "x"}, "SLURM_PROCID must be a whole number"),
        ((), without(JOB, "JOB_COMPLETION_INDEX"), "but not JOB_COMPLETION_INDEX"),
        ((), without(JOB, "ALEXNET_COORDINATOR"), "Received ALEXNET_PROCESSES 2, JOB_COMPLETION_INDEX 1 but not"),
    ],
)
def test_wrong_or_partial_settings_are_told(flags, environment, told):
    with pytest.raises(LabError, match=told):
        find(*flags, environment=environment)


def test_an_older_keras_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setattr(cluster.metadata, "version", lambda name: "3.10.0")
    with pytest.raises(LabError, match=r"needs Keras 3\.11 or newer; this is 3\.10\.0"):
        cluster.guarded(Seat(0, 2, "localhost:1"), lambda: pytest.fail("started"))


WORDS = ["train", "cifar10-bn64", "--set", "options.width=0.05", "--set", "options.dense_units=8"]
WORDS += ["--set", "train_images=40", "--set", "batch_size=20", "--set", "optimizer=sgd", "--set", "learning_rate=0.02"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(store, *words, before="", devices=1):
    """The command in a process of its own; what it says goes into files beside the store."""
    code = (
        f"import sys\nfrom alexnet_tf import cluster\nfrom alexnet_tf.__main__ import main\n{before}\nsys.exit(main())"
    )
    environment = {**os.environ, **JAX, "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    who = words[words.index("--process") + 1] if "--process" in words else "alone"
    command = [sys.executable, "-c", code, *WORDS, "--runs", str(store), *words]
    with Path(f"{store}.{who}.out").open("w") as out, Path(f"{store}.{who}.err").open("w") as err:
        return subprocess.Popen(command, stdout=out, stderr=err, env=environment)


def start_two(store, *words, second=(), **settings):
    """Two processes that meet; `second` are words for the second one alone."""
    seats = ["--processes", "2", "--coordinator", f"127.0.0.1:{free_port()}"]
    return [
        start(store, *words, *seats, "--process", str(number), *(second * number), **settings) for number in range(2)
    ]


def said(store, number, kind="err"):
    return Path(f"{store}.{number}.{kind}").read_text()


def finish(*processes):
    return [process.wait(timeout=600) for process in processes]


def epochs_done(store):
    found = list(store.rglob("begun.json"))
    return json.loads(found[0].read_text()).get("epochs", 0) if found else 0


def weights(run):
    from alexnet_tf.predict import load

    return load(run.weights).get_weights()


@pytest.mark.slow
@pytest.mark.parametrize("images", ["held in memory", "photographs"])
def test_two_processes_are_one_with_two_devices(tmp_path, images):
    """Network, curve and outputs; the second process writes and says nothing."""
    pytest.importorskip("jax", reason="the jax extra is not installed")
    epochs = ["--set", "epochs=2", "--set", "augment.mixup=0.2"]
    if images == "photographs":
        make_folder(tmp_path / "photos", count=30)
        epochs += ["--set", f"dataset={tmp_path / 'photos'}", "--set", "resize_first=true"]
    assert finish(start(tmp_path / "one", *epochs, "--devices", "all", devices=2)) == [0]
    elsewhere = ("--runs", str(tmp_path / "never"))
    assert finish(*start_two(tmp_path / "two", *epochs, second=elsewhere)) == [0, 0], said(tmp_path / "two", 0)
    assert not (tmp_path / "never").exists()
    (one,), (two,) = runs.listing(tmp_path / "one"), runs.listing(tmp_path / "two")
    assert [run.record["provenance"]["processes"] for run in (one, two)] == [1, 2]
    assert [run.record["provenance"]["devices"] for run in (one, two)] == [2, 2]
    for ours, theirs in zip(one.history, two.history, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-5)
    for ours, theirs in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)
    assert "epoch 2/2" in said(tmp_path / "two", 0)
    assert said(tmp_path / "two", 0, "out").startswith(f"{two} finished")
    assert said(tmp_path / "two", 1) + said(tmp_path / "two", 1, "out") == ""


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_all_go_on_together(tmp_path):
    """First the one that listens, then the other; in the end the numbers of a training that nobody killed."""
    pytest.importorskip("jax", reason="the jax extra is not installed")
    epochs, store, kept = ["--set", "epochs=60"], tmp_path / "killed", 0
    for victim in 0, 1:
        processes = start_two(store, *epochs)
        while epochs_done(store) < kept + 2 and processes[0].poll() is None:
            time.sleep(0.02)
        processes[victim].kill()
        assert finish(*processes)[1 - victim] == 1
        assert "another process of this training has ended" in said(store, 1 - victim).splitlines()[-1]
        assert kept + 2 <= epochs_done(store) < 60
        assert f"epoch {kept}/60" not in said(store, 0)
        kept = epochs_done(store)
    assert finish(*start_two(store, *epochs), *start_two(tmp_path / "whole", *epochs)) == [0] * 4, said(store, 0)
    (run,), (whole,) = runs.listing(store), runs.listing(tmp_path / "whole")
    assert run.record["provenance"]["resumed"] == 2
    assert run.history == whole.history


@pytest.mark.slow
def test_processes_that_differ_or_do_not_come_are_told(tmp_path):
    pytest.importorskip("jax", reason="the jax extra is not installed")
    store, port = tmp_path / "runs", free_port()
    seats = ["--processes", "2", "--coordinator", f"127.0.0.1:{port}"]
    other = [start(store, *seats, "--process", str(number), "--seed", str(number)) for number in range(2)]
    assert finish(*other) == [1, 1]
    for number in range(2):
        assert "differ in what they were told to train" in said(store, number)
    assert finish(start(store, *seats, "--process", "0", before="cluster.PATIENCE = 3")) == [1]
    assert f"did not all meet at 127.0.0.1:{port} within 3 seconds" in said(store, 0)
    assert said(store, 0).count("\n") == 1
    assert not list(runs.listing(store)) if store.exists() else True

"""Kills, full disks, locked folders and hostile files: nothing is lost, nothing half-written is read as whole."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alexnet_tf import reports, runs
from alexnet_tf.__main__ import main

EPOCHS = 30
TINY = ["train_images=48", f"epochs={EPOCHS}", "batch_size=16", "options.width=0.05", "options.dense_units=8"]
COMMAND = [sys.executable, "-m", "alexnet_tf", "train", "int305-adam"] + [
    part for item in TINY for part in ("--set", item)
]


def start(store, **kwargs):
    """A training in a process of its own; what it says goes into a file beside the store."""
    with store.with_suffix(".said").open("w") as said:
        return subprocess.Popen([*COMMAND, "--runs", str(store)], stdout=said, stderr=said, **kwargs)


def finish(process):
    return process.wait(timeout=300)


def the_run(store):
    (run,) = runs.listing(store)
    return run


def epochs_done(store):
    found = list(store.rglob("begun.json"))
    return json.loads(found[0].read_text()).get("epochs", 0) if found else 0


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    """Killed at twenty random moments of its training and resumed: the very numbers of an undisturbed one."""
    assert finish(start(tmp_path / "whole")) == 0
    rng, kills = random.Random(0), 0
    while kills < 20:
        began, goal = epochs_done(tmp_path / "killed"), rng.choice([0, 0, 1, 1, 2])
        process = start(tmp_path / "killed")
        while process.poll() is None and epochs_done(tmp_path / "killed") < began + goal:
            time.sleep(0.005)
        time.sleep(rng.random() * (3.0 if goal == 0 else 0.15))
        if process.poll() is not None:
            break  # it was faster than its killer
        process.kill()
        process.wait()
        kills += 1
        assert not the_run(tmp_path / "killed").finished
    assert kills >= 15
    assert finish(start(tmp_path / "killed")) == 0
    whole, killed = the_run(tmp_path / "whole"), the_run(tmp_path / "killed")
    assert [row["epoch"] for row in killed.history] == list(range(1, EPOCHS + 1))
    assert killed.history == whole.history
    np.testing.assert_array_equal(killed.outputs["test_logits"], whole.outputs["test_logits"])


def test_a_file_that_can_not_grow_is_told_and_harms_no_earlier_run(tmp_path):
    """The kernel refuses to write more, as on a full disk."""
    assert finish(start(tmp_path / "runs")) == 0
    before = (the_run(tmp_path / "runs").path / "record.json").read_bytes()

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    assert finish(start(tmp_path / "full", preexec_fn=small_disk)) == 1
    said = (tmp_path / "full.said").read_text()
    assert said.strip().splitlines()[-1].startswith("alexnet_tf: File too large")
    assert "Traceback" not in said
    assert not any(run.finished for run in runs.listing(tmp_path / "full"))
    assert (the_run(tmp_path / "runs").path / "record.json").read_bytes() == before


def test_a_folder_without_permission_is_one_line(tmp_path, as_nobody, capsys):
    from alexnet_tf import training  # noqa: F401  (nobody may not read where packages lie)

    (tmp_path / "runs").mkdir(mode=0o555)
    with as_nobody(tmp_path):
        assert main(["train", "int305-cnn", "--runs", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert said.count("\n") == 1


def test_a_store_that_vanishes_in_a_training_is_made_again(tmp_path):
    process = start(tmp_path / "runs")
    while process.poll() is None and epochs_done(tmp_path / "runs") < 2:
        time.sleep(0.01)
    for file in [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and path.suffix != ".lock"]:
        file.unlink(missing_ok=True)
    assert finish(process) == 0
    assert len(the_run(tmp_path / "runs").history) == EPOCHS


def test_a_model_file_with_code_in_it_is_not_run(tmp_path, capsys):
    from PIL import Image

    from alexnet_tf.quiet import keras

    target = tmp_path / "written"
    code = keras.layers.Lambda(lambda x: (open("TARGET", "w").close(), x)[1])  # noqa: PTH123
    keras.Sequential([keras.Input((4,)), code]).save(tmp_path / "hostile.keras")
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    os.chdir(tmp_path)
    assert main(["predict", str(tmp_path / "x.png"), "--model", str(tmp_path / "hostile.keras")]) == 1
    assert "no model that this version can read" in capsys.readouterr().err
    assert not target.exists()
    assert not (tmp_path / "TARGET").exists()


def test_names_with_html_are_escaped_in_reports(tmp_path):
    import nbformat

    cell = nbformat.v4.new_code_cell("print(kinds)")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="<script>alert(1)</script>")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "x.ipynb")
    page = reports.render(tmp_path / "x.ipynb").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("place", range(0, 400, 37))
def test_flipped_bits_in_a_record_never_pass_as_a_run(make_run, tmp_path, place):
    run = make_run("cifar10-simple", np.arange(50) < 30)
    file = run.path / "outputs.npz"
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x40
    file.write_bytes(bytes(content))
    again = next(iter(runs.listing(tmp_path)))
    try:
        outputs = again.outputs
    except Exception as error:
        assert type(error).__name__ == "LabError", error
    else:  # the flip hit a byte that carries no content
        np.testing.assert_array_equal(outputs["test_logits"], run.outputs["test_logits"])

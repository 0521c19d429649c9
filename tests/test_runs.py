"""The run store: whole or nothing, found by name, told when damaged."""

import pytest

from alexnet_tf import runs
from alexnet_tf.errors import LabError, UsageError

KEYS = [
    "recipe",
    "budget",
    "seed",
    "protocol",
    "dataset",
    "overrides",
    "status",
    "epochs",
    "val_accuracy",
    "test_accuracy",
    "minutes",
    "backend",
    "precision",
    "hardware",
    "path",
]


def test_paths_are_the_contracts(tmp_path):
    assert runs.locate("lab-base", "paper", 2, store=tmp_path).path == tmp_path / "lab-base" / "paper" / "seed-2"
    changed = runs.locate("lab-base", "paper", 2, {"epochs": 1}, store=tmp_path)
    assert changed.path.parent.name.startswith("paper-")
    assert changed.path != runs.locate("lab-base", "paper", 2, {"epochs": 2}, store=tmp_path).path


def test_committed_runs_keep_their_weights_in_the_cache():
    run = runs.locate("lab-base", "paper", 0)
    assert run.path.is_relative_to(runs.home() / "reports" / "runs")
    assert run.weights.is_relative_to(runs.cache())


def test_a_summary_has_the_contracts_keys(make_run):
    run = make_run("lab-base", [True, False])
    assert list(run.summary()) == KEYS
    assert run.summary()["status"] == "finished"


def test_runs_are_found_by_parts_of_their_name(make_run, tmp_path):
    run = make_run("lab-base", [True], seed=3)
    for name in ("lab-base", "lab-base/paper", "lab-base/paper/3", "lab-base/paper/seed-3", str(run.path)):
        assert runs.find(name, tmp_path).path.samefile(run.path)
    with pytest.raises(LabError, match="no finished run 'lab-base/paper/4'"):
        runs.find("lab-base/paper/4", tmp_path)
    with pytest.raises(UsageError, match="did you mean 'lab-base'"):
        runs.find("lab-bsae", tmp_path)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(LabError, match="There is no folder"):
        list(runs.listing(tmp_path / "nowhere"))


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_truncated_record_is_told_and_the_run_is_unfinished(make_run, tmp_path, keep):
    run = make_run("lab-base", [True])
    make_run("lab-bce", [True])
    file = run.path / "record.json"
    file.write_bytes(file.read_bytes()[:keep])
    assert not run.finished
    rows = {one.recipe: one.summary()["status"] for one in runs.listing(tmp_path)}
    assert rows == {"lab-base": "unfinished", "lab-bce": "finished"}
    with pytest.raises(LabError, match=r"truncated or damaged: train it again"):
        _ = runs.Run(run.path, run.scratch).record


def test_damaged_outputs_are_told(make_run):
    run = make_run("lab-base", [True])
    (run.path / "outputs.npz").write_bytes(b"PK nonsense")
    with pytest.raises(LabError, match="missing or damaged"):
        _ = run.outputs


def test_another_format_is_told(make_run):
    run = make_run("lab-base", [True])
    file = run.path / "record.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(LabError, match="format 2"):
        _ = runs.Run(run.path, run.scratch).record


def test_writing_leaves_no_half_file(tmp_path, monkeypatch):
    target = tmp_path / "x" / "file"
    runs.write_atomically(target, b"whole")
    monkeypatch.setattr(runs.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        runs.write_atomically(target, b"new and longer")
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize("content", ["[]", "{}", '{"recipe": 3}', "nonsense"])
def test_a_damaged_beginning_does_not_break_the_list(tmp_path, content):
    run = runs.locate("lab-base", "quick", 4, store=tmp_path)
    run.scratch.mkdir(parents=True)
    (run.scratch / "begun.json").write_text(content)
    (row,) = [one.summary() for one in runs.listing(tmp_path)]
    assert list(row) == KEYS
    assert (row["recipe"], row["budget"], row["seed"], row["status"]) == ("lab-base", "quick", 4, "unfinished")


def test_predicting_prefers_a_run_that_has_weights(make_run, tmp_path):
    make_run("lab-base", [True], seed=0)
    other = make_run("lab-base", [True], seed=1)
    other.scratch.mkdir()
    other.weights.write_bytes(b"")
    assert runs.find("lab-base", tmp_path).path.name == "seed-0"
    assert runs.find("lab-base", tmp_path, having_weights=True).path.name == "seed-1"

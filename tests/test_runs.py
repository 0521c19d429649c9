"""The run store: whole or nothing, found by name, told when damaged."""

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf import files, runs
from alexnet_tf.commands import told
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


def test_an_unfinished_committed_run_is_listed_by_whatever_path(monkeypatch, tmp_path):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    begun = tmp_path / "weights" / "lab-base" / "paper" / "seed-9" / "begun.json"
    begun.parent.mkdir(parents=True)
    begun.write_text(json.dumps({"provenance": {}}))
    monkeypatch.chdir(runs.home())
    for store in None, "reports/runs", runs.home() / "reports" / "runs":
        assert "lab-base/paper/seed-9" in map(str, runs.listing(store))


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
    for path in "./lab-base/paper/3", str(tmp_path / "lab-base" / "paper" / "seed-4"), "lab-base/paper/3/more":
        with pytest.raises(LabError, match="No finished run lies at"):
            runs.find(path, tmp_path)


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
    files.write_atomically(target, b"whole")
    monkeypatch.setattr(files.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(target, b"new and longer")
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]  # a full disk gets its room back


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


def test_weights_of_another_record_are_not_here(sealed, make_run):
    partial = sealed.path / "part.keras"
    partial.write_bytes(b"a network")
    record, outputs = ((sealed.path / name).read_bytes() for name in ("record.json", "outputs.npz"))
    sealed.scratch.mkdir()
    sealed.put(partial, outputs, record)
    assert sealed.has_weights
    newer = json.loads(record) | {"history": [{"epoch": 1}]}
    newer["checksum"] = runs.checksum(newer)
    (sealed.path / "record.json").write_text(json.dumps(newer))  # as a checkout brings it
    assert not runs.Run(sealed.path, sealed.scratch).has_weights


def test_an_unfinished_run_names_its_own_command(tmp_path):
    run = runs.locate("lab-base", "laptop", 4, {"epochs": 3}, "honest", tmp_path)
    run.scratch.mkdir(parents=True)
    begun = {"budget": "laptop", "protocol": "honest", "overrides": {"epochs": 3}, "provenance": {}}
    (run.scratch / "begun.json").write_text(json.dumps(begun))
    with pytest.raises(
        LabError, match="train lab-base --budget laptop --seed 4 --protocol honest --set epochs=3' trains"
    ):
        _ = run.record


@pytest.mark.parametrize("value", ["./my photos", "a/b.c", "~/x"])
def test_what_is_printed_to_train_again_is_read_back_as_it_was(value):
    asked = told.overrides_of([f"dataset={value}", "pretrained=tuned/model.keras", "epochs=3"])
    assert Path(asked["pretrained"]).is_absolute()
    again = [item for option in runs.options(asked) for item in shlex.split(option) if item != "--set"]
    assert told.overrides_of(again) == asked


def test_a_run_that_left_damaged_photographs_out_says_so_in_its_command(make_run):
    run = make_run("lab-base", [True])
    run.record["provenance"]["skipped"] = ["a.jpg"]
    assert run.command.endswith(" --skip-damaged")


def test_a_run_is_outdated_once_the_file_that_it_started_from_is_another(make_run, tmp_path):
    start = tmp_path / "model.keras"
    start.write_bytes(b"one")
    run = make_run("few-turned-tuned-5", [True], budget="quick", overrides={"pretrained": start.as_posix()})
    run.record["provenance"]["started_from"] = {"sha256": hashlib.sha256(b"one").hexdigest()}
    assert not run.outdated()
    start.write_bytes(b"two")
    assert run.outdated() == [f"{start} was another network than it is now"]
    start.unlink()
    assert not run.outdated()


CHANGES = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def spoilt(content, place, flip):
    """The bytes with those at one place changed."""
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= flip
    return bytes(damaged)


@pytest.fixture
def sealed(make_run):
    """A run whose record carries its checksums, as training writes them."""
    run = make_run("lab-base", np.arange(40) < 30)
    record = json.loads((run.path / "record.json").read_text())
    record["outputs_sha256"] = hashlib.sha256((run.path / "outputs.npz").read_bytes()).hexdigest()
    record["checksum"] = runs.checksum(record)
    (run.path / "record.json").write_text(json.dumps(record, indent=1))
    return run


def test_a_record_with_any_byte_changed_or_cut_away_is_never_another_record(sealed):
    file = sealed.path / "record.json"
    whole, content = sealed.record, file.read_bytes()

    @given(CHANGES, st.booleans())
    def damage(change, cut):
        file.write_bytes(content[: int(change[0] * len(content))] if cut else spoilt(content, *change))
        again = runs.Run(sealed.path, sealed.scratch)
        told = again.summary()
        if again.finished:
            kept = {key: value for key, value in again.record.items() if key in whole}
            assert {**whole, **kept} == whole  # blanks may differ, and the name of the checksum
        else:
            assert told["status"] == "unfinished"
            with pytest.raises(LabError, match="train it again"):
                _ = again.record

    damage()


def test_outputs_with_any_byte_changed_are_told(sealed):
    file = sealed.path / "outputs.npz"
    content = file.read_bytes()

    @given(CHANGES)
    def damage(change):
        file.write_bytes(spoilt(content, *change))
        with pytest.raises(LabError, match=r"train (it )?anew with --fresh"):
            _ = runs.Run(sealed.path, sealed.scratch).outputs

    damage()


@settings(max_examples=20)
@given(JSON.map(json.dumps).map(str.encode) | st.binary() | st.dictionaries(st.sampled_from(KEYS), JSON).map(
    lambda found: json.dumps({**found, "provenance": found.get("hardware")}).encode()
))  # fmt: skip
def test_whatever_a_beginning_holds_the_list_goes_on(tmp_path, content):
    run = runs.locate("lab-base", "quick", 4, store=tmp_path)
    run.scratch.mkdir(parents=True, exist_ok=True)
    (run.scratch / "begun.json").write_bytes(content)
    (row,) = [one.summary() for one in runs.listing(tmp_path)]
    assert list(row) == KEYS
    assert row["status"] == "unfinished"


@given(st.text(max_size=30))
def test_whatever_is_asked_for_is_found_or_told(tmp_path, name):
    try:
        assert runs.find(name, tmp_path).finished
    except LabError as error:
        assert str(error)


@pytest.mark.parametrize("content", ["[" * 100_000, "1" * 5000, '{"format": ' + "9" * 5000 + "}"])
def test_brackets_and_digits_without_end_are_no_record(make_run, content):
    run = make_run("lab-base", [True])
    (run.path / "record.json").write_text(content)
    assert not run.finished


def test_what_a_killed_process_was_writing_is_swept_by_the_next(sealed):
    sealed.scratch.mkdir()
    left = [sealed.path / "outputs.npz.123.part", sealed.scratch / "state.npz.45.part", sealed.scratch / "part.keras"]
    for partial in left:
        partial.write_bytes(b"half")
    with sealed.locked():
        assert not any(partial.exists() for partial in left)
    assert runs.Run(sealed.path, sealed.scratch).finished

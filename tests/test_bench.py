"""Benchmarks take turns, warm up, and write what they say; no test asserts a time."""

import io
import json

import numpy as np
import pytest

from alexnet_tf import bench, costs, runs
from alexnet_tf.recipes import RECIPES


def test_sides_take_turns_after_a_warm_up():
    calls = []

    def side(name, seconds):
        return lambda: calls.append(name) or seconds

    seconds = bench.interleaved({"a": side("a", 1.0), "b": side("b", 3.0)}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert bench.summary(seconds["b"] / seconds["a"]) == {"median": 3.0, "low": 3.0, "high": 3.0, "n": 2}


def test_every_augmentation_has_a_cost():
    from alexnet_tf.recipe import AUGMENTATIONS

    costs = bench.augmentations(rounds=1, images=64, size=16)["costs"]
    assert {name.split("/")[-1] for name in costs} >= set(AUGMENTATIONS)
    assert costs["augment/16px/none"]["median"] > 0


def test_a_worker_trains_an_epoch_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("go\ngo\n"))
    bench.serve_epochs("int305-cnn")
    assert [float(line) > 0 for line in capsys.readouterr().out.split()] == [True, True]


def test_decoding_is_measured_both_ways():
    found = bench.decoding(rounds=1, images=32)
    assert found["ratios"]["decode/500x375/vs-whole"]["median"] > 0
    assert {"decode/500x375/fused", "decode/500x375/whole", "input/imagenet-2012"} == set(found["costs"])


def test_steps_and_memory_are_measured_in_their_own_process():
    assert bench.steps(rounds=2, recipes=["int305-cnn"])["costs"]["step/int305-cnn"]["n"] == 2
    assert bench.memory(recipes=["int305-cnn"])["costs"]["memory/int305-cnn"]["median"] > 100


def test_the_memory_of_every_recipe_was_measured():
    missing = [name for name in RECIPES if costs.median(f"memory/{name}") is None]
    assert not missing, f"run 'python -m alexnet_tf.bench memory --recipes {' '.join(missing)}'"
    assert costs.median("memory/nothing") is None


def test_the_memory_that_is_stated_is_not_below_what_trainings_held():
    """Of the committed runs of whole recipes, but for the tenth that a system is free to hold or not."""
    held = [
        (run.recipe, run.record["provenance"].get("peak_mib"))
        for run in runs.listing(runs.home() / "reports" / "runs")
        if run.finished and run.record["budget"] == "paper" and not run.record["overrides"]
    ]
    below = {name: peak for name, peak in held if peak and costs.median(f"memory/{name}") < 0.9 * peak}
    assert not below, f"run 'python -m alexnet_tf.bench memory --recipes {' '.join(below)}'"


def test_parts_are_kept_beside_each_other(tmp_path):
    entry = bench.summary(np.array([1.0, 2.0, 9.0]))
    bench.save(tmp_path, "augmentations", {"costs": {"x": entry}})
    bench.save(tmp_path, "backends", {"ratios": {"r": entry}, "costs": {"y": entry}})
    assert set(json.loads((tmp_path / "costs.json").read_text())) == {"x", "y"}
    assert json.loads((tmp_path / "ratios.json").read_text())["r"]["median"] == 2.0
    assert json.loads((tmp_path / "conditions.json").read_text())["backends"]["hardware"]


def test_an_unknown_part_is_told(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench", "speed"])
    with pytest.raises(SystemExit, match="2"):
        bench.main()
    assert "there is no part 'speed'" in capsys.readouterr().err

"""Benchmarks take turns, warm up, and write what they say; no test asserts a time."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from alexnet_tf import bench, costs, runs
from alexnet_tf.bench import __main__ as line
from alexnet_tf.bench import memory, servers, steps
from alexnet_tf.errors import LabError
from alexnet_tf.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("garbage_stays")


def test_sides_take_turns_after_a_warm_up():
    calls = []

    def side(name, seconds):
        return lambda: calls.append(name) or seconds

    seconds = bench.interleaved({"a": side("a", 1.0), "b": side("b", 3.0)}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert bench.summary(seconds["b"] / seconds["a"]) == {"median": 3.0, "low": 3.0, "high": 3.0, "n": 2}


def test_small_costs_keep_their_digits():
    assert bench.summary(np.array([1.23456789e-6] * 3))["median"] == 1.23457e-6


def test_a_turn_is_as_many_times_as_fit(monkeypatch):
    clock = iter(range(0, 1000, 4))  # two times take four seconds
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    times = []
    measure = bench.in_turns_of(10.0, times.append)
    assert times == [1, 2]
    assert measure() == pytest.approx(4 / 5)
    assert times == [1, 2, 5]


def test_a_turn_has_some_at_least_and_what_happens_before_it_is_not_timed():
    done = []
    measure = bench.in_turns_of(1e-9, done.append, lambda: done.append("before"), least=3)
    assert measure() < 1
    assert done == ["before", 1, "before", 2, "before", 3]


def test_a_worker_trains_an_epoch_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("go\ngo\n"))
    monkeypatch.setattr("sys.argv", ["servers", "paintbox-epochs", "int305-cnn", "{}"])
    servers.main()
    assert [float(said) > 0 for said in capsys.readouterr().out.split()] == [True, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fixed", "int305-cn", "{}"), "There is no recipe 'int305-cn': did you mean 'int305-cnn'"),
        (("fixd", "int305-cnn", "{}"), "There is no kind of measurement 'fixd': did you mean 'fixed'"),
    ],
    ids=["recipe", "kind"],
)
def test_a_worker_knows_what_it_can_not_measure(words, told, monkeypatch):
    monkeypatch.setattr("sys.argv", ["servers", *words])
    with pytest.raises(LabError, match=told):
        servers.main()


def test_a_worker_that_dies_says_why():
    with pytest.raises(LabError, match="JSONDecodeError"):
        bench.once(bench.Worker("servers", "fixed", "int305-cnn", "{"))


def test_a_worker_that_is_killed_is_told():
    worker = bench.server("product", "float32", size=4, turn=0.001)
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(LabError, match=r"product float32.* ended with status"):
        bench.by_workers({"one": worker}, rounds=1)
    assert worker.errors.closed


def test_steps_and_memory_are_measured_in_their_own_process():
    assert steps.steps(rounds=2, recipes=["int305-cnn"])["costs"]["step/int305-cnn"]["n"] == 2
    assert memory.memory(recipes=["int305-cnn"])["costs"]["memory/int305-cnn"]["median"] > 100


def test_the_memory_of_every_recipe_was_measured():
    # A line adds a knob to the grid: until it is measured, `list` shows that it was not.
    missing = [name for name in RECIPES if costs.median(f"memory/{name}") is None and not name.startswith("grid-")]
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
    line.save(tmp_path, "augmentations", {"costs": {"x": entry}})
    line.save(tmp_path, "training", {"ratios": {"r": entry}, "costs": {"y": entry}, "versions": {"torch": "2.9"}})
    assert set(json.loads((tmp_path / "costs.json").read_text())) == {"x", "y"}
    assert json.loads((tmp_path / "ratios.json").read_text())["r"] == {"median": 2.0, "low": 1.5, "high": 5.5, "n": 3}
    conditions = json.loads((tmp_path / "conditions.json").read_text())
    assert conditions["augmentations"]["hardware"]
    assert conditions["training"]["versions"]["torch"] == "2.9"
    assert not (tmp_path / "versions.json").exists()


@pytest.fixture
def part(monkeypatch, tmp_path):
    """A part that measures nothing, in an empty house; what it was told."""
    told = {}
    entry = bench.summary(np.array([2.0]))
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    monkeypatch.setattr(line, "PARTS", {"one": lambda **own: told.update(own) or {"ratios": {"r/x": entry}}})
    return told


def run(monkeypatch, *words):
    """The exit status."""
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    with pytest.raises(SystemExit) as ended:
        line.main()
    return ended.value.code


def test_parts_are_run_told_and_written_down(part, monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, "--rounds", "2", "--recipes", "int305-cnn") == 0
    assert part == {"rounds": 2, "recipes": ["int305-cnn"]}
    conditions = json.loads((tmp_path / "reports" / "bench" / "conditions.json").read_text())
    assert list(conditions) == ["one (int305-cnn)"]
    assert "r/x" in capsys.readouterr().out
    assert "| one (int305-cnn) | " in (tmp_path / "reports" / "bench" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["speed"], "There is no part 'speed'"),
        (["--rounds", "0"], "--rounds must be 1 or more; received 0"),
        (["--recipes", "int305-cn"], "There is no recipe 'int305-cn': did you mean"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_measured(part, monkeypatch, capsys, words, told):
    assert run(monkeypatch, *words) == 2
    assert told in capsys.readouterr().err
    assert not part


@pytest.mark.parametrize(
    ("error", "told"),
    [(LabError("It was killed."), "It was killed."), (KeyError("median"), "KeyError: 'median'")],
    ids=["told", "unforeseen"],
)
def test_a_part_that_fails_is_one_sentence_and_spoils_no_other(part, monkeypatch, capsys, error, told):
    def fail(**_):
        raise error

    monkeypatch.setattr(line, "PARTS", {"bad": fail, **line.PARTS})
    assert run(monkeypatch, "--rounds", "1") == 1
    assert capsys.readouterr().err == f"alexnet_tf.bench bad: {told}\n"
    assert part["rounds"] == 1


def test_what_few_machines_have_is_measured_only_when_it_is_named(part, monkeypatch):
    asked = []
    monkeypatch.setattr(line, "PARTS", {"accelerator": lambda **own: asked.append(own) or {}, **line.PARTS})
    assert run(monkeypatch) == 0
    assert part
    assert not asked
    assert run(monkeypatch, "accelerator") == 0
    assert asked


def test_the_peak_of_a_process_is_not_its_parents():
    child = "from alexnet_tf import provenance; print(provenance.peak_memory())"
    parent = (
        f"import numpy, subprocess, sys; x = numpy.ones(5 * 10**7); subprocess.run([sys.executable, '-c', {child!r}])"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 1 < int(done.stdout) < 300


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.pretrained])
def test_the_memory_of_a_recipe_that_starts_from_another_can_be_measured(name, monkeypatch):
    """It needs no trained trunk, nor so many images as the recipe asks for."""
    changed = RECIPES[name].change({**memory.FREE, "epochs": 1})
    assert changed.pretrained is None
    asked = []
    monkeypatch.setattr("alexnet_tf.training.train", lambda *words, store: asked.append(words))
    monkeypatch.setattr("alexnet_tf.datasets.LOADERS", {})
    assert memory.peak(name)() > 0
    assert asked == [(name, "paper", 0, {**memory.FREE, "epochs": 1})]

"""A search: what it may ask, what it keeps, how it goes on, and that it looks at no test image."""

import contextlib
import json
import re
import threading

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pytest
from conftest import TINY

from alexnet_tf import datasets, recipes, runs, search, search_report, training
from alexnet_tf.__main__ import main
from alexnet_tf.errors import DivergedError, LabError, UsageError
from alexnet_tf.splits import Split

RATE = search.axis("learning_rate=0.0001..0.1")


def pretend(monkeypatch, accuracy):
    """Trials that train nothing: `accuracy` of their settings after each of ten epochs."""
    asked = []

    def validated(name, budget, seed, overrides, store, watch, held=None):
        asked.append(dict(overrides) if held is None else {**overrides, "held": held})
        for epoch in range(10):
            watch(epoch, accuracy(overrides) * (epoch + 1) / 10)
        return accuracy(overrides)

    monkeypatch.setattr(training, "validated", validated)
    return asked


def peak(overrides):
    return 0.9 - abs(np.log10(overrides["learning_rate"]) + 2) / 5


BEYOND = "9" * 400  # more digits than a float holds


@pytest.mark.parametrize(
    "text",
    [
        "learning_rate",
        "=1..2",
        "l2=",
        "l2=3..1",
        "l2=a..b",
        "l2=0.1",
        "l2=0..1e999",
        f"l2=0..{BEYOND}",
        "whiten=false..true",
        "fold=[1],[2]",
        'options={},{"dropout":0.5}',
    ],
)
def test_a_space_that_says_nothing_is_refused(text):
    with pytest.raises(UsageError, match=r"learning_rate=0\.001\.\.0\.1"):
        search.axis(text)


def test_a_search_finds_the_peak_stops_the_hopeless_and_says_what_mattered(monkeypatch, tmp_path):
    pretend(monkeypatch, peak)
    found = search.search("cifar10-bn64", 25, axes=[RATE, search.axis("l2=0,0.001")], folder=tmp_path)
    assert len(found.trials) == 25
    assert found.best["values"]["learning_rate"] == pytest.approx(0.01, rel=0.6)
    assert {trial["state"] for trial in found.trials} == {"complete", "pruned"}
    assert all(trial["epochs"] < 10 for trial in found.trials if trial["state"] == "pruned")
    assert found.importances["learning_rate"] > 0.9
    page = search_report.write(found, "cifar10-bn64", "quick", 0, {}, 400).read_text()
    assert f"--set learning_rate={found.best['values']['learning_rate']}" in page
    assert "--protocol honest" in page
    assert (tmp_path / "search.png").stat().st_size > 5000


def test_a_report_tells_what_was_cut_short_and_draws_any_number_of_settings(tmp_path):
    settings = {f"options.{name}": 1.0 for name in "abcde"}
    states = ["complete", "complete", "pruned", "fail", "running", "waiting"]
    trials = [
        {"number": n, "state": state, "accuracy": None if state == "waiting" else 0.5 + n / 100, "epochs": 1,
         "values": dict.fromkeys(settings, 10.0 ** n)}
        for n, state in enumerate(states)
    ]  # fmt: skip
    page = search_report.write(search.Found(tmp_path, trials, {}), "cifar10-bn64", "quick", 0, {}, 400).read_text()
    assert "5 trials of the budget `quick`, seed 0: 2 to their end, 1 stopped early, 2 under way or cut short." in page
    width, height = plt.imread(tmp_path / "search.png").shape[1::-1]
    assert width < 3 * height  # five panels in two rows


def test_a_patient_search_stops_no_trial(monkeypatch, tmp_path):
    pretend(monkeypatch, peak)
    found = search.search("cifar10-bn64", 12, axes=[RATE], folder=tmp_path, patient=True)
    assert {(trial["state"], trial["epochs"]) for trial in found.trials} == {("complete", 10)}


def test_folds_hold_each_part_out_once_and_stop_what_is_hopeless(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, lambda settings: settings["momentum"])
    axis = search.axis("momentum=0.8,0.7,0.6,0.5,0.4,0.3,0.2,0.1")
    found = search.search("cifar10-bn64", 8, axes=[axis], folder=tmp_path, folds=3)
    assert [settings["held"] for settings in asked[:3]] == [(0, 3), (1, 3), (2, 3)]
    assert found.best["accuracy"] == pytest.approx(0.8)
    assert {trial["state"] for trial in found.trials} == {"complete", "pruned"}
    page = search_report.write(found, "cifar10-bn64", "quick", 0, {}, 3306, 3).read_text()
    assert "each of 3 parts of the training images was held out once" in page
    assert "| trial | accuracy | folds |" in page
    with pytest.raises(LabError, match=r"asked something else \(.*; seed 0; folds 3, now 4\)"):
        search.search("cifar10-bn64", 9, axes=[axis], folder=tmp_path, folds=4)
    with pytest.raises(LabError, match="folds 3, now 1"):
        search.search("cifar10-bn64", 9, axes=[axis], folder=tmp_path)


def test_a_killed_search_keeps_the_folds_that_were_done(monkeypatch, tmp_path):
    asked = []

    def validated(name, budget, seed, overrides, store, watch, held):
        asked.append(held)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return 0.1 * len(asked)

    monkeypatch.setattr(training, "validated", validated)
    axis = search.axis("momentum=0.1,0.2")
    with pytest.raises(KeyboardInterrupt):
        search.search("cifar10-bn64", 2, axes=[axis], folder=tmp_path, patient=True, folds=2)
    found = search.search("cifar10-bn64", 2, axes=[axis], folder=tmp_path, patient=True, folds=2)
    assert asked == [(0, 2), (1, 2), (0, 2), (1, 2), (1, 2)]  # the other setting was waiting already
    reached = {trial["values"]["momentum"]: trial["accuracy"] for trial in found.trials if trial["state"] == "complete"}
    assert reached == pytest.approx({0.1: (0.1 + 0.5) / 2, 0.2: (0.3 + 0.4) / 2})


def test_processes_that_begin_together_ask_different_things(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    recipe = recipes.get("cifar10-bn64").at("quick")
    (tmp_path / "runs").mkdir()
    studies = [search._study(tmp_path, recipe, [RATE], 0, 1) for _ in range(2)]  # before either has a trial
    monkeypatch.setattr(search, "_study", lambda *_: studies.pop())
    for _ in range(2):
        search.search("cifar10-bn64", 2 - len(studies) + 1, axes=[RATE], folder=tmp_path)
    assert len({overrides["learning_rate"] for overrides in asked}) == len(asked) > 1


def test_processes_that_begin_together_repeat_no_combination(monkeypatch, tmp_path):
    asked, begun, both = pretend(monkeypatch, peak), search._begun, threading.Barrier(2)

    def read_at_once(*args, **kwargs):
        found = begun(*args, **kwargs)
        with contextlib.suppress(threading.BrokenBarrierError):  # the other may not read yet
            both.wait(1)
        return found

    monkeypatch.setattr(search, "_begun", read_at_once)
    axes = [search.axis("learning_rate=0.001,0.01,0.1"), search.axis("l2=0,0.001")]
    words = {"trials": 5, "axes": axes, "folder": tmp_path}
    threads = [threading.Thread(target=search.search, args=["cifar10-bn64"], kwargs=words) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({(each["learning_rate"], each["l2"]) for each in asked}) == len(asked) == 5


def test_a_process_that_died_before_it_locked_its_trial_uses_none_up(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    axes = [search.axis("learning_rate=0.001,0.01")]
    study = search._study(tmp_path, recipes.get("cifar10-bn64").at("quick"), axes, 0, 1)
    search._ask_each_once(study, axes, 2, 0)
    study.ask()
    search.search("cifar10-bn64", 2, axes=axes, folder=tmp_path)
    assert sorted(each["learning_rate"] for each in asked) == [0.001, 0.01]


def test_trials_that_suffice_for_all_choices_try_each_once(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    axes = [search.axis("learning_rate=0.001,0.01,0.1"), search.axis("l2=0,0.001")]
    for trials in 6, 9:
        found = search.search("cifar10-bn64", trials, axes=axes, folder=tmp_path)
        tried = [(each["learning_rate"], each["l2"]) for each in asked]
        assert tried == [(rate, l2) for rate in (0.001, 0.01, 0.1) for l2 in (0, 0.001)]
    assert found.best["values"]["learning_rate"] == 0.01


def test_a_report_in_its_place_is_found_again(monkeypatch, tmp_path):
    pretend(monkeypatch, peak)
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    assert search.along_rates("quick") == {}
    folder = tmp_path / "reports" / "search" / "cifar10-bn64-quick"
    found = search.search("cifar10-bn64", 2, axes=[search.axis("learning_rate=0.001,0.01")], folder=folder)
    search_report.write(found, "cifar10-bn64", "quick", 0, {}, 400)
    assert search.along_rates("laptop") == {}
    (kept,) = search.committed()
    cut = {**kept["trials"][0], "state": "fail", "accuracy": 0.1}  # tells nothing of its rate
    (folder / "search.json").write_text(json.dumps({**kept, "trials": [*kept["trials"], cut]}))
    axes = [search.axis("learning_rate=0.001,0.01"), search.axis("l2=0,0.1")]
    several = search.search("cifar10-bn64", 4, axes=axes, folder=folder.with_name("several"))
    search_report.write(several, "cifar10-bn64", "quick", 0, {}, 400)  # no curve along the rate
    more = search.search(
        "cifar10-bn64", 2, axes=[search.axis("learning_rate=0.1,1")], folder=folder.with_name("higher")
    )
    search_report.write(more, "cifar10-bn64", "quick", 0, {}, 400)  # beyond an edge, on the same curve
    ((name, curve),) = search.along_rates("quick").items()
    assert list(curve) == [0.001, 0.01, 0.1, 1]
    curve = {rate: curve[rate] for rate in (0.001, 0.01)}
    assert name == "cifar10-bn64"
    assert {rate: found.mean for rate, found in curve.items()} == {0.001: pytest.approx(0.7), 0.01: pytest.approx(0.9)}
    assert curve[0.01].low < 0.87


def test_it_goes_on_and_refuses_another_question(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    search.search("cifar10-bn64", 3, axes=[RATE], folder=tmp_path)
    found = search.search("cifar10-bn64", 5, axes=[RATE], folder=tmp_path)
    assert len(asked) == len(found.trials) == 5
    with pytest.raises(LabError, match=r"asked something else \(.*; seed 0; l2 0.0, now 0.1\)"):
        search.search("cifar10-bn64", 5, axes=[RATE], fixed={"l2": 0.1}, folder=tmp_path)
    with pytest.raises(UsageError, match="learning_rate is given twice"):
        search.search("cifar10-bn64", 5, axes=[RATE, search.axis("learning_rate=0.1,0.2")], folder=tmp_path)
    with pytest.raises(UsageError, match="learning_rate is given twice"):
        search.search("cifar10-bn64", 5, axes=[RATE], fixed={"learning_rate": 0.1}, folder=tmp_path)
    with pytest.raises(UsageError, match="untrained is not trained"):
        search.search("cifar10-resnet18-untrained", 5, axes=[RATE], folder=tmp_path)
    with pytest.raises(LabError, match=r"asked something else \(learning_rate=0.0001..0.1; seed 0\)"):
        search.search("cifar10-bn64", 5, axes=[search.axis("l2=0,0.1")], folder=tmp_path)


def test_what_a_killed_process_was_at_is_asked_again_first(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "validated", killed)
    with pytest.raises(KeyboardInterrupt):
        search.search("cifar10-bn64", 3, axes=[RATE], folder=tmp_path)
    (left,) = optuna.load_study(study_name="cifar10-bn64", storage=storage(tmp_path)).trials
    asked = pretend(monkeypatch, peak)
    found = search.search("cifar10-bn64", 3, axes=[RATE], folder=tmp_path)
    assert asked[0] == left.params
    assert len(asked) == 3
    assert [trial["state"] for trial in found.trials].count("fail") == 1


def test_a_trial_that_was_gone_on_with_tells_all_its_epochs(monkeypatch, tmp_path):
    def resumed(name, budget, seed, overrides, store, watch, held=None):
        for epoch in range(6, 10):
            watch(epoch, 0.5)
        return 0.5

    monkeypatch.setattr(training, "validated", resumed)
    (trial,) = search.search("cifar10-bn64", 1, axes=[RATE], folder=tmp_path).trials
    assert trial["epochs"] == 10


def test_what_is_fixed_is_not_searched_for(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    found = search.search("cifar10-bn64", 1, fixed={"learning_rate": 0.01}, folder=tmp_path)
    every = {one.name: one.low for one in search.usual(recipes.get("cifar10-bn64"))}
    assert {*found.trials[0]["values"], "learning_rate"} == set(every)
    assert asked[0]["learning_rate"] == 0.01
    with pytest.raises(UsageError, match="All that is usually asked of cifar10-bn64 is fixed"):
        search.search("cifar10-bn64", 1, fixed=every, folder=tmp_path)


def storage(folder):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    return optuna.storages.JournalStorage(backend)


def test_a_trial_that_diverges_is_one_that_taught_something(monkeypatch, tmp_path, capsys):
    def diverges(*_):
        raise DivergedError("The loss became NaN.")

    monkeypatch.setattr(training, "validated", diverges)
    found = search.search("cifar10-bn64", 2, axes=[RATE], folder=tmp_path)
    assert [trial["state"] for trial in found.trials] == ["pruned", "pruned"]
    assert "became NaN" in capsys.readouterr().err
    with pytest.raises(LabError, match=r"No trial in .* has come to its end"):
        search_report.write(found, "cifar10-bn64", "quick", 0, {}, 400)


def test_what_keeps_a_training_from_beginning_ends_the_search_and_uses_up_no_trial(monkeypatch, tmp_path):
    def lacks_its_trunk(*_):
        raise LabError("There is no finished run 'few-turned'.")

    monkeypatch.setattr(training, "validated", lacks_its_trunk)
    axes = [search.axis("learning_rate=0.001,0.01")]
    with pytest.raises(LabError, match="no finished run"):
        search.search("cifar10-bn64", 2, axes=axes, folder=tmp_path)
    asked = pretend(monkeypatch, peak)
    found = search.search("cifar10-bn64", 2, axes=axes, folder=tmp_path)
    assert sorted(each["learning_rate"] for each in asked) == [0.001, 0.01]
    assert [trial["state"] for trial in found.trials].count("complete") == 2


def test_of_listed_choices_none_is_tried_twice(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    axes = [search.axis("learning_rate=1e-3,0.001,0.01,0.1"), search.axis("l2=0,0.001")]
    assert axes[0].choices == (0.001, 0.01, 0.1)
    for trials in 3, 5, 5, 8:
        search.search("cifar10-bn64", trials, axes=axes, folder=tmp_path)
        tried = {(each["learning_rate"], each["l2"]) for each in asked}
        assert len(tried) == len(asked) == min(trials, 6)


@pytest.mark.parametrize("name", ["today-cifar", "grid-adamw", "cifar10-bn64", "grid-no-penalty"])
def test_the_usual_space_has_the_recipe_inside(name):
    recipe = recipes.get(name)
    for one in search.usual(recipe):
        field, _, part = one.name.partition(".")
        own = recipe.options[part] if part else getattr(recipe, field)
        assert one.low < own < one.high or own == 0


def test_what_counts_whole_things_is_asked_for_whole_numbers(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, lambda overrides: overrides["batch_size"] / 100)
    spaces = ["batch_size=16..64", "train_images=100..999", "options.width=1..2", "augment.crop=1..30", "l2=0..1"]
    search.search("cifar10-bn64", 6, axes=[search.axis(space) for space in spaces], folder=tmp_path)
    for one in asked:
        assert isinstance(one["batch_size"], int) and 16 <= one["batch_size"] <= 64
        assert isinstance(one["augment.crop"], int) and 1 <= one["augment.crop"] <= 30
        assert isinstance(one["train_images"], int) and 100 <= one["train_images"] <= 999
        assert isinstance(one["options.width"], float) and 1 <= one["options.width"] <= 2
        assert isinstance(one["l2"], float)
    assert len({one["batch_size"] for one in asked}) > 1


def test_wrong_names_are_told_before_anything_trains(monkeypatch, tmp_path):
    asked = pretend(monkeypatch, peak)
    for text in (
        "learning_rat=0.1..1",
        "batch_size=8,ninety",
        "options.dropout=0.1..7",
        "options.dropot=0,0.5",
        "batch_size=16.5..64",
    ):
        with pytest.raises(UsageError):
            search.search("cifar10-bn64", 2, axes=[search.axis(text)], folder=tmp_path)
    assert not asked


def test_a_real_trial_sees_no_test_image_and_keeps_no_run(monkeypatch, tmp_path):
    loaded = datasets.load

    def without_test(*args, **kwargs):
        splits = loaded(*args, **kwargs)
        object.__setattr__(splits, "test", Split(np.array([]), np.array([], int)))
        return splits

    monkeypatch.setattr(datasets, "load", without_test)
    seen = []
    reached = training.validated("cifar10-bn64", "quick", 0, TINY, tmp_path, lambda *told: seen.append(told))
    assert [epoch for epoch, _ in seen] == [0, 1]
    assert reached == seen[-1][1]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.slow
def test_images_that_are_not_here_use_up_no_trial(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    assert main(["search", "grid-base", "--budget", "laptop", "--trials", "2", "--to", str(tmp_path / "study")]) == 1
    assert "cifar10" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_command_line_searches_for_real(tmp_path, capsys):
    fixed = [word for key, value in TINY.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    words = ["search", "cifar10-bn64", "--trials", "3", "--space", "learning_rate=1e-4..1e-1", *fixed]
    assert main([*words, "--to", str(tmp_path)]) == 0
    assert re.search(r"\| \d \| \d+\.\d% \| 2 \| learning_rate", capsys.readouterr().out)

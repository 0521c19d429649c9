"""A trained network learns a folder of photographs: what is frozen, what is written, and what is told."""

import dataclasses
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import datasets, evaluation, export, finetune, growth, models, paintbox, predict, training
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.models import transfer

TINY = {"epochs": 1}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Drawn flowers of three kinds, in a folder a kind."""
    base = tmp_path_factory.mktemp("photographs")
    images, labels = paintbox.draw(paintbox.FLOWERS, 150, 40, seed=5)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label < 3:
            (base / "abc"[label]).mkdir(exist_ok=True)
            Image.fromarray(image).save(base / "abc"[label] / f"{place}.png")
    return base


@pytest.fixture(scope="module")
def tuned(photographs, finished, tmp_path_factory):
    target = tmp_path_factory.mktemp("tuned")
    return finetune.finetune(str(photographs), str(finished.path), target, changes=TINY)


@pytest.mark.slow
def test_only_the_last_layer_learns_first_and_then_all(tuned, finished):
    networks = [transfer.parts(predict.load(run.weights))[1] for run in (finished, tuned.head[-1], tuned.whole)]
    *trunks, last = zip(*(network.layers for network in networks), strict=True)
    for before, head, _ in trunks:
        for one, other in zip(before.get_weights(), head.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert any(
        not np.array_equal(one, other)
        for _, head, whole in trunks
        for one, other in zip(head.get_weights(), whole.get_weights(), strict=True)
    )
    assert last[1].units == 3
    assert [run.record["images"]["train"] for run in tuned.head] == [15, 30, 60]
    assert tuned.whole.record["provenance"]["started_from"]["layers"][-1] == last[1].name


@pytest.mark.slow
def test_what_a_recipe_takes_freezes_and_repeats_is_its_own_and_not_the_folders(photographs, tmp_path):
    small = {"options.width": 0.1, "epochs": 1, "passes": 1}
    first = training.train("few-scratch-10", "quick", 0, {**small, "options.dense_units": 8}, store=tmp_path)
    trunk = {**small, "pretrained": str(first.weights), "passes": 2}
    run = training.train("few-turned-linear-10", "quick", 0, trunk, store=tmp_path)
    tuned = finetune.finetune(str(photographs), str(run.path), tmp_path / "tuned", changes=TINY)
    used = {name: entry["value"] for name, entry in tuned.whole.record["recipe"].items()}
    assert (used["passes"], used["taken"], used["frozen"]) == (1, None, None)
    head, whole = (transfer.parts(predict.load(one.weights))[1] for one in (tuned.head[-1], tuned.whole))
    assert tuned.whole.record["provenance"]["started_from"]["layers"][-1] == head.layers[-1].name
    assert np.abs(head.get_layer("conv1").get_weights()[0] - whole.get_layer("conv1").get_weights()[0]).max() > 0
    assert "Most confused" in (tuned.folder / "report.md").read_text()  # though the grid keeps no logits


def test_the_network_comes_last_of_what_is_written(photographs, finished, tmp_path, monkeypatch):
    """A process that dies in between leaves no network without its classes, and without what it learned from."""
    written = []
    monkeypatch.setattr(training, "train", lambda *_, **__: finished)
    monkeypatch.setattr(finetune, "_report", lambda *_: None)
    monkeypatch.setattr(finetune.files, "write_atomically", lambda path, _: written.append(path.name))
    finetune.finetune(str(photographs), str(finished.path), tmp_path / "tuned")
    assert {"record.json", "classes.json", predict.TRAINED_ON} < {*written}
    assert written[-1] == "model.keras"


def test_logits_that_are_scaled_are_not_the_last_layer_to_learn():
    for name, before in ("today-cifar", "act7"), ("alexnet-32", "drop7"):
        assert finetune.before_last(models.build(name, width=0.1, dense_units=8)) == before


@pytest.mark.slow
def test_the_model_answers_with_the_folders_names_and_the_page_says_how_well(tuned, photographs):
    file = next((photographs / "b").glob("*.png"))
    (row,) = predict.predict([str(file)], str(tuned.model))
    assert {entry["class"] for entry in row["top"]} == {"a", "b", "c"}
    page = (tuned.folder / "report.md").read_text()
    assert str(evaluation.accuracy_interval([tuned.whole])) in page
    assert "60 photographs to learn from" in page
    for picture in "curves.png", "confusion.png", "growth.png":
        assert f"({picture})" in page
        assert (tuned.folder / picture).stat().st_size > 5000


@pytest.mark.slow
def test_a_curve_tells_of_images_and_not_of_steps(tuned):
    recipes = [run.record["recipe"] for run in tuned.head]
    steps = [
        recipe["passes"]["value"] * -(-run.record["images"]["train"] // finetune.BATCH)
        for recipe, run in zip(recipes, tuned.head, strict=True)
    ]
    assert steps == [finetune.HEAD_STEPS // finetune.HEAD["epochs"]] * 3


@pytest.mark.parametrize("batch", [8, 32, 128])
def test_batches_of_any_size_leave_the_curve_one_of_images(batch):
    sizes = [15, 30, 60]
    steps = [often * -(-size // batch) for size, often in zip(sizes, finetune._passes(sizes, batch), strict=True)]
    assert max(steps) < 1.5 * min(steps)


@pytest.mark.slow
def test_of_few_test_photographs_nothing_is_concluded(tuned, photographs, monkeypatch):
    monkeypatch.setattr(finetune, "FEW", 31)
    splits = datasets.load(str(photographs))
    test = dataclasses.replace(splits.test, labels=np.repeat([0, 1, 2], [14, 12, 4]))
    finetune._report(tuned, "photos", "a network", dataclasses.replace(splits, test=test), flattered=2)
    page = (tuned.folder / "report.md").read_text()
    assert "But 2 of them taught what it started from" in page
    assert finetune.TOO_FEW in page
    assert "can't tell them apart" in page
    assert "Hardly tested, on fewer than five photographs: c." in page


@pytest.mark.slow
def test_what_it_leaves_is_a_network_like_any_other(tuned, photographs, monkeypatch, capsys):
    assert main(["evaluate", str(tuned.folder)]) == 0
    assert f"test accuracy {evaluation.accuracy_interval([tuned.whole])}" in capsys.readouterr().out
    assert finetune.started_from(str(tuned.folder)) == finetune.started_from(str(tuned.model))
    assert predict.find_model(str(tuned.folder)) == (tuned.model, ["a", "b", "c"])
    page = (tuned.folder / "report.md").read_text()
    assert re.search(r"The whole network is \d+% sure on average, and right of \d+%", page)
    assert main(["predict", str(next((photographs / "a").iterdir())), "--model", str(tuned.folder)]) == 0
    assert main(["release", str(tuned.folder), "cifar10"]) == 1
    assert "is released already" in capsys.readouterr().err
    places = []
    monkeypatch.setattr(export, "make", lambda run, formats, folder, images: places.append(folder) or {})
    with pytest.raises((IndexError, KeyError)):  # nothing was made that could be told
        main(["export", str(tuned.folder)])
    assert places == [tuned.folder / "export"]
    alone = transfer.parts(predict.load(tuned.folder / "last-layer.keras"))[1].get_weights()
    head = transfer.parts(predict.load(tuned.head[-1].weights))[1].get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(alone, head, strict=True))


@pytest.mark.slow
def test_a_folder_is_measured_without_what_was_learned_of_it(tuned, photographs, tmp_path, capsys):
    assert main(["test-folder", str(photographs), "--model", str(tuned.folder)]) == 0
    told = capsys.readouterr()
    assert "60 of 90 images trained this network and are left out" in told.err
    assert f"of 30 are right: {evaluation.accuracy_interval([tuned.whole])}" in told.out
    splits = datasets.load(str(photographs))
    for file, label in zip(splits.train.files, splits.train.labels, strict=True):
        (tmp_path / "abc"[label]).mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "abc"[label])
    with pytest.raises(LabError, match="All 60 images trained this network"):
        predict.measured_on(str(tmp_path), str(tuned.model))


def test_it_writes_neither_among_the_photographs_nor_over_what_others_taught(photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(photographs)
    with pytest.raises(UsageError, match="lies among the photographs"):
        finetune.finetune(".", "cifar10")
    record = {"recipe": {"dataset": {"value": "/other/photographs"}}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    with pytest.raises(LabError, match="holds what /other/photographs taught"):
        finetune.finetune(".", "cifar10", tmp_path)


@pytest.mark.slow
def test_it_goes_on_where_it_was(tuned, photographs, finished, capsys):
    before = tuned.whole.weights.stat().st_mtime_ns
    again = finetune.finetune(str(photographs), str(finished.path), tuned.folder, changes=TINY)
    assert again.whole.weights.stat().st_mtime_ns == before
    told = capsys.readouterr().err
    assert "epoch" not in told
    assert "3 of 4: the last layer, on 60 photographs" in told


def test_what_other_photographs_taught_is_not_gone_on_with(photographs, finished, tmp_path, monkeypatch):
    stores = []

    def train(*args, store, **kwargs):
        stores.append(store)
        raise LabError("enough")

    monkeypatch.setattr(training, "train", train)
    other = shutil.copytree(photographs, tmp_path / "other")
    next((other / "a").iterdir()).rename(other / "b" / "moved.png")
    renamed = shutil.copytree(photographs, tmp_path / "renamed")
    (renamed / "a").rename(renamed / "aa")
    for folder in photographs, other, renamed:
        with pytest.raises(LabError, match="enough"):
            finetune.finetune(str(folder), str(finished.path), tmp_path / "tuned")
    assert len(set(stores)) == 3


def test_photographs_that_taught_an_earlier_stage_are_told_and_stay_known(photographs, finished, tmp_path, monkeypatch):
    earlier = tmp_path / "one"
    earlier.mkdir()
    shutil.copy(finished.weights, earlier / "model.keras")
    shutil.copy(finished.path / "record.json", earlier)
    splits = datasets.load(str(photographs))
    (earlier / predict.TRAINED_ON).write_text(json.dumps(["0" * 16, *splits.test.digests()[:2]]))
    told = []
    monkeypatch.setattr(finetune, "_report", lambda *given: told.append(given[-1]))
    monkeypatch.setattr(training, "train", lambda *given, **more: finished)
    tuned = finetune.finetune(str(photographs), str(earlier), tmp_path / "two")
    assert told == [2]
    assert predict.learned_by(tuned.model) == {"0" * 16, *splits.test.digests()[:2], *splits.train.digests()}


def test_a_training_on_photographs_says_which_taught_it(photographs, tmp_path):
    changes = {"dataset": str(photographs), "train_images": None, "resize_first": True, **TINY}
    run = training.train("cifar10-simple", "quick", 0, changes, store=tmp_path)
    assert predict.learned_by(run.weights) == set(datasets.load(str(photographs)).train.digests())


def test_too_few_photographs_and_a_network_of_unknown_origin_are_told(photographs, tmp_path, capsys):
    for part, kind in itertools.product(("train", "val"), "ab"):
        (tmp_path / "few" / part / kind).mkdir(parents=True)
        chosen = sorted((photographs / kind).glob("*.png"))[3 * (part == "val") :][:3]
        for place, file in enumerate(chosen):
            shutil.copy(file, tmp_path / "few" / part / kind / f"{place}.png")
    assert main(["finetune", str(tmp_path / "few")]) == 1
    told = capsys.readouterr().err
    assert "few has 6 photographs to train on, and a quarter of them would not show b" in told
    (tmp_path / "model.keras").touch()
    with pytest.raises(LabError, match="Nothing says how"):
        finetune.started_from(str(tmp_path / "model.keras"))


def test_advice_follows_the_curve():
    hardness = np.random.default_rng(0).random(2000)

    def advised(*rates, tested=2000):
        right = np.array([hardness[:tested] < rate for rate in rates])
        sizes = [20, 40, 80]
        measured = {
            size: evaluation.binomial_interval(row.sum(), tested) for size, row in zip(sizes, right, strict=True)
        }
        return finetune.advice(measured, growth.power_law(sizes, right))

    assert re.search(r"expect of 160 photographs 8\d\.\d% \[", advised(0.5, 0.64, 0.74))
    assert "next to nothing" in advised(0.98, 0.983, 0.986)
    flat = advised(0.5, 0.52, 0.5, tested=60)  # the forecast is told all the same: luck must not choose when it is
    assert "can't tell whether it grew" in flat
    assert "expect of 160 photographs" in flat

"""Training: what a run holds, what is checked before it, odd runs told."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TINY, train_tiny

from alexnet_tf import (
    callbacks,
    claims,
    datasets,
    evaluation,
    events,
    finishing,
    fitting,
    models,
    pipeline,
    plots,
    predict,
    provenance,
    recipes,
    runs,
    training,
)
from alexnet_tf.__main__ import main
from alexnet_tf.errors import DivergedError, LabError, UsageError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import BUDGETS
from alexnet_tf.splits import Split, read_image


def test_a_record_holds_what_the_contract_says(finished):
    record = finished.record
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"} <= record["history"][0].keys()
    assert record["recipe"]["epochs"] == {"value": 3, "mark": "ours", "changed_by": "override"}
    assert record["recipe"]["dataset"]["changed_by"] == "quick"
    assert record["recipe"]["standardize"] == {"value": "per_image", "mark": "given"}
    assert record["metrics"]["val_accuracy"] is None
    wanted = {"versions", "hardware", "backend", "precision", "dataset_fingerprint", "commit", "started", "minutes"}
    assert wanted <= record["provenance"].keys()
    assert not list(finished.scratch.glob("state*"))


def test_outputs_are_float16_logits_of_every_test_image(finished):
    outputs = finished.outputs
    assert outputs["test_logits"].dtype == np.float16
    assert outputs["test_logits"].shape == (1000, 10)
    share = (outputs["test_logits"].argmax(axis=1) == outputs["test_labels"]).mean()
    assert share == pytest.approx(finished.record["metrics"]["test_accuracy"], abs=0.003)


def test_answers_survive_float16():
    """Two classes that float16 can't tell apart, the later one ahead; one beyond its range."""
    logits = np.array([[0.99990, 0.99991, 0.1], [1e6, 2e6, 0.0], [0.2, 0.1, 0.3]], "float32")
    split = Split(np.arange(3), np.arange(3), np.zeros((3, 2, 2, 3), "uint8"))
    kept = finishing._kept("test", split, logits, small=False)["test_logits"]
    assert kept.argmax(axis=1).tolist() == [1, 1, 2]
    assert np.isfinite(kept).all()
    np.testing.assert_allclose(kept[0], logits[0], atol=2e-3)


def test_a_finished_run_is_not_trained_again(finished, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *args: pytest.fail("trained again"))
    again = train_tiny(finished.path.parent.parent.parent, epochs=3)
    assert again.record == finished.record


def test_a_fresh_run_is_trained_once_for_all_notebooks_of_a_call(finished, monkeypatch):
    def fit(*_):
        raise LabError("trained again")

    def train():
        return training.train("cifar10-bn64", "quick", 0, {**TINY, "epochs": 3}, store=store, fresh=True)

    store = finished.path.parents[2]
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setenv("ALEXNET_REPORTS_BEGAN", "2012-09-30T00:00:00+00:00")
    assert train().record == finished.record
    for began in finished.record["provenance"]["finished"], "":
        monkeypatch.setenv("ALEXNET_REPORTS_BEGAN", began)
        with pytest.raises(LabError, match="trained again"):
            train()


def test_a_loss_that_is_no_number_stops_with_the_step(tmp_path):
    changes = {"train_images": 48, "batch_size": 16, "learning_rate": 1e6, "optimizer": "sgd"}
    with pytest.raises(DivergedError, match=r"loss became (nan|inf) at step \d+ of epoch 1.*learning_rate"):
        training.train("cifar10-simple", "quick", 0, changes, store=tmp_path)
    (run,) = runs.listing(tmp_path)
    assert run.state.exists()
    assert run.diverged.startswith("The loss became")
    watch = callbacks.StopOnNaN(done=100)  # an epoch that was cut goes on
    for epoch, step in (1, 101), (2, 1):
        watch.on_epoch_begin(epoch)
        with pytest.raises(DivergedError, match=rf"at step {step} of epoch {epoch + 1}\.$"):  # and of no kept weights
            watch.on_train_batch_end(0, {"loss": np.nan})
        watch.on_epoch_end(epoch)
    with np.load(run.state) as saved:
        assert all(np.isfinite(saved[name]).all() for name in saved.files if name != "about")


def test_the_exported_model_takes_raw_images_of_any_size(finished):
    model = predict.load(finished.weights)
    splits = datasets.load("paintbox")
    shown = np.asarray(model(splits.test.images[:50]))
    np.testing.assert_allclose(shown.sum(axis=1), 1, atol=1e-5)
    expected = finished.outputs["test_logits"][:50]
    exact = np.exp(expected - expected.max(axis=1, keepdims=True).astype("float32"))
    np.testing.assert_allclose(shown, exact / exact.sum(axis=1, keepdims=True), atol=5e-3)
    assert np.asarray(model(np.zeros((1, 50, 71, 3), "uint8"))).shape == (1, 10)


def test_the_honest_protocol_measures_both_parts(tmp_path):
    run = training.train("cifar10-bn64", "quick", 0, TINY, protocol="honest", store=tmp_path)
    assert run.record["metrics"]["val_accuracy"] is not None
    assert len(run.outputs["val_labels"]) == 400
    assert run.record["protocol"] == "honest"
    assert run.path != runs.locate("cifar10-bn64", "quick", 0, TINY, store=tmp_path).path


def test_what_is_not_watched_looks_at_test_images_once_at_the_end(tmp_path, monkeypatch, capsys):
    looks = []
    stream = pipeline.evaluation_stream
    monkeypatch.setattr(pipeline, "evaluation_stream", lambda *words: looks.append(len(words[0])) or stream(*words))
    run = training.train("cifar10-bn64", "quick", 0, {**TINY, "watch": False}, store=tmp_path)
    assert looks == [run.record["images"]["test"]]
    assert [sorted(row) for row in run.history] == [["accuracy", "epoch", "learning_rate", "loss"]] * TINY["epochs"]
    assert 0 <= run.record["metrics"]["test_accuracy"] <= 1
    assert "test" not in capsys.readouterr().err.replace(str(tmp_path), "")
    assert len(plots.curves(run.history, "no test").axes[1].lines) == 1
    events.write([run], tmp_path / "logs")
    assert {file.parent.name for file in (tmp_path / "logs").rglob("events.*")} == {"train"}
    with pytest.raises(LabError, match="looked at no test image before its end"):
        evaluation.accuracy_interval([run], best=True)
    held_out = training.train("cifar10-bn64", "quick", 0, {**TINY, "watch": False}, "honest", tmp_path)
    assert all("val_accuracy" in row for row in held_out.history)


@pytest.mark.parametrize("change", [{"keep": "best"}, {"plateau": [0.1, 3]}])
def test_what_needs_watching_is_told(change):
    with pytest.raises(UsageError, match="set watch to true"):
        recipes.get("cifar10-bn64").change({"watch": False, **change})


def test_an_untrained_network_is_measured_as_it_was_built(tmp_path):
    changes = {"train_images": 20}
    run = training.train("cifar10-resnet18-untrained", "quick", 0, changes, store=tmp_path)
    assert run.record["history"] == []
    assert run.summary()["epochs"] == 0
    assert 0.0 < run.record["metrics"]["test_accuracy"] < 0.3
    with pytest.raises(UsageError, match="epochs must be 0 in this recipe"):
        training.train("cifar10-resnet18-untrained", "quick", 0, {"epochs": 1}, store=tmp_path)


def test_overrides_are_checked_before_anything_runs():
    for bad, said in (
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "received 0"),
        ({"epochs": "many"}, "received 'many'"),
        ({"learning_rate": -1}, "received -1"),
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
        ({"augment.flp": 1}, "did you mean 'flip'"),
        ({"loss.x": 1}, "loss has no parts"),
        ({"name": "x"}, "no recipe field 'name'"),
    ):
        with pytest.raises(UsageError, match=said):
            recipes.get("lab-base").at("quick").change(bad)


def test_all_are_trained_once_and_what_remains_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    trained = []

    def pretend(name, budget, seed, fresh):
        trained.append((name, seed))
        run = runs.locate(name, budget, seed)
        run.path.mkdir(parents=True, exist_ok=True)
        (run.path / "record.json").write_text(json.dumps({key: kind() for key, kind in runs.RECORD.items()}))
        return run

    monkeypatch.setattr(training, "train", pretend)
    pretend("paper-tanh", "quick", 0, False)  # of an earlier call that was stopped
    found = training.train_all(["paper-relu", "paper-tanh"], seeds=2)
    assert {name: len(group) for name, group in found.items()} == {"paper-relu": 2, "paper-tanh": 2}
    assert trained[1:] == [("paper-relu", 0), ("paper-tanh", 0), ("paper-relu", 1), ("paper-tanh", 1)]
    told = capsys.readouterr().err.splitlines()
    assert [line[:18] for line in told] == ["3 of 4 runs to tra", "2 of 4 runs to tra", "1 of 4 runs to tra"]
    assert told[-1].endswith("next: paper-tanh, seed 1")


def test_what_diverges_ends_all_or_is_left_out_and_named(monkeypatch, tmp_path, capsys):
    begun = []

    def pretend(name, budget, seed, fresh):
        begun.append((name, seed))
        if (name, seed) == ("paper-relu", 1):
            raise DivergedError("no number")
        return runs.locate(name, budget, seed, store=tmp_path)

    monkeypatch.setattr(training, "train", pretend)
    names = ["paper-relu", "paper-tanh"]
    with pytest.raises(DivergedError):
        training.train_all(names, seeds=2)
    diverged = []
    begun.clear()
    monkeypatch.setattr(runs, "store_for", lambda budget: tmp_path)
    found = training.train_all(names, seeds=3, diverged=diverged)
    assert begun == [("paper-relu", 0), ("paper-tanh", 0), ("paper-relu", 1), ("paper-tanh", 1), ("paper-tanh", 2)]
    assert (list(found), diverged) == (["paper-tanh"], ["paper-relu"])
    assert [run.path.name for run in found["paper-tanh"]] == ["seed-0", "seed-1", "seed-2"]
    told = capsys.readouterr().err
    assert "no number" in told
    assert "1 of 6 runs to train" in told  # those that are not begun any more don't count
    recipe = {field: {"value": value} for field, value in recipes.get("paper-relu").at("quick").fields().items()}
    known = {"name": "paper-relu", "budget": "quick", "overrides": {}, "recipe": recipe}
    kept = runs.locate("paper-relu", "quick", 2)
    kept.keep_divergence("no number", known)
    begun.clear()
    diverged = []
    training.train_all(names, seeds=3, diverged=diverged)
    assert begun == [("paper-tanh", 0), ("paper-tanh", 1), ("paper-tanh", 2)]
    assert diverged == ["paper-relu"]
    kept.keep_divergence("no number", known | {"recipe": {**recipe, "momentum": {"value": 0.1}}})
    assert not kept.diverged  # an older recipe's is tried anew


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """What is trained where training takes no time: recipe, seed, and whether in another run's place."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    monkeypatch.setattr(runs.Run, "outdated", lambda run: [])
    trained = []

    def pretend(name, budget, seed, overrides=None, protocol="source", store=None, fresh=False, *others):
        run = runs.locate(name, budget, seed, overrides, protocol, store)
        if not run.finished or fresh:
            trained.append((name, seed, store is not None))
            run.scratch.mkdir(parents=True, exist_ok=True)
            run.weights.write_bytes(b"")
            empty = {key: kind() for key, kind in runs.RECORD.items()}
            metrics = {"test_loss": 1.0, "test_accuracy": 0.5}
            told = {"format": runs.FORMAT, "metrics": metrics, "provenance": {"minutes": 1.0}}
            (run.path / "record.json").write_text(json.dumps({**empty, **told}))
        return run

    monkeypatch.setattr(training, "train", pretend)
    return trained


@pytest.mark.parametrize("names", [["few-turned-tuned-10"], ["few-turned-tuned-10", "few-turned"]])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_trunk_is_trained_before_what_starts_from_it(pretended, names, fresh, capsys):
    assert list(training.train_all(names, fresh=fresh)) == names
    assert pretended == [("few-turned", 0, False), ("few-turned-tuned-10", 0, False)]
    assert "2 of 2 runs to train" in capsys.readouterr().err
    training.train_all(names, fresh=fresh)
    named = [("few-turned", 0, False)] * ("few-turned" in names)
    assert pretended[2:] == ([*named, ("few-turned-tuned-10", 0, False)] if fresh else [])


def test_weights_that_are_gone_are_made_again_and_the_run_stays(pretended):
    training.train_all(["few-turned"])
    run = runs.locate("few-turned", "quick", 0)
    before = (run.path / "record.json").stat().st_mtime_ns
    run.weights.unlink()
    training.train_all(["few-turned-tuned-10", "few-turned-linear-10", "few-turned"])
    assert pretended[1:] == [
        ("few-turned", 0, True),
        ("few-turned-tuned-10", 0, False),
        ("few-turned-linear-10", 0, False),
    ]
    assert (run.path / "record.json").stat().st_mtime_ns == before
    (run.path / "record.json").unlink()  # weights in the cache that belong to no run any more
    run.weights.write_bytes(b"")
    training.train_all(["few-turned-tuned-100"])
    assert pretended[-2:] == [("few-turned", 0, False), ("few-turned-tuned-100", 0, False)]


def test_the_command_trains_the_trunk_first_and_leaves_a_finished_one_as_it_is(pretended, capsys):
    command = ["train", "few-turned-tuned-10"]
    assert main(command) == 0
    assert pretended == [("few-turned", 0, False), ("few-turned-tuned-10", 0, False)]
    assert "starts from few-turned, whose weights are not here" in capsys.readouterr().err
    runs.locate("few-turned", "quick", 0).weights.unlink()
    assert main(command) == 0  # finished: it needs no trunk
    assert main(["train", "few-turned-tuned-5", "--set", "pretrained=cifar10"]) == 0
    assert pretended[2:] == [("few-turned-tuned-5", 0, False)]
    begun = runs.locate("few-turned-linear-5", "quick", 0)
    begun.scratch.mkdir(parents=True)
    begun.state.write_bytes(b"")
    assert main(["train", begun.recipe]) == 0  # it goes on from its own state
    assert pretended.pop() == (begun.recipe, 0, False)
    assert main([*command, "--fresh"]) == 0
    assert pretended[3:] == [("few-turned", 0, True), ("few-turned-tuned-10", 0, False)]


def test_as_many_seeds_as_claims_ask():
    asked = {field.name: field.default for field in dataclasses.fields(claims.Claim)}["seeds"]
    assert {budget: 1 if budget == "quick" else asked for budget in BUDGETS} == training.SEEDS


def test_a_small_record_keeps_answers_and_no_logits(tmp_path):
    run = training.train("grid-base", "quick", 0, {"train_images": 64, "epochs": 1}, store=tmp_path)
    assert set(run.outputs) == {"test_predicted", "test_right"}
    assert evaluation.correct(run).mean() == pytest.approx(run.record["metrics"]["test_accuracy"])
    assert sum(file.stat().st_size for file in run.path.glob("*.*")) < 15_000


def test_label_smoothing_is_shared_among_all_classes():
    logits, label = np.array([[2.0, 0.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0, 0.0]])
    loss = fitting.make_loss(recipes.get("grid-smoothing"))
    shares = np.log(np.exp(logits).sum()) - logits[0]
    assert float(loss(label, logits)) == pytest.approx(0.9 * shares[0] + 0.1 * shares.mean())


def test_the_same_seed_gives_the_same_numbers_bit_for_bit(finished, tmp_path):
    again, other = train_tiny(tmp_path, epochs=3), train_tiny(tmp_path, seed=1, epochs=3)
    assert again.history == finished.history
    assert again.outputs.keys() == finished.outputs.keys()
    for name, values in again.outputs.items():
        np.testing.assert_array_equal(values, finished.outputs[name])
    assert other.history != finished.history


def test_the_recorded_rate_is_the_one_that_the_epoch_began_with(tmp_path):
    changes = {**TINY, "epochs": 4, "decay": 0.5, "steps": [2, 0.1]}
    rates = [row["learning_rate"] for row in training.train("zeng-aug", "quick", 0, changes, store=tmp_path).history]
    steps = 3  # an epoch
    base = recipes.get("zeng-aug").at("quick").learning_rate
    expected = [base * 0.1 ** (i // 2) / (1 + 0.5 * steps * i) for i in range(4)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_a_file_that_is_no_image_is_named_before_or_in_training_or_left_out(tmp_path, monkeypatch):
    from test_datasets import make_folder

    make_folder(tmp_path / "photos", count=12)
    (tmp_path / "photos" / "cat" / "0.png").write_text("no image")
    changes = {"dataset": str(tmp_path / "photos"), "train_images": None, "epochs": 1, "batch_size": 4}
    with pytest.raises(LabError, match=r"1 of 24 files .* cat.0\.png.*--skip-damaged"):
        training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")
    run = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs", skip_damaged=True)
    assert run.record["provenance"]["skipped"] == ["cat/0.png"]
    assert run.record["images"]["train"] + run.record["images"]["test"] == 23
    monkeypatch.setattr("alexnet_tf.folders.CHECKED", 0)  # as in a folder of a million
    datasets._whole.cache_clear()
    with pytest.raises(LabError, match=r"cat.0\.png can't be read as an image"):
        training.train("flowers-lrn", "quick", 1, changes, store=tmp_path / "runs")


def test_a_folder_of_photographs_trains_and_turns_them_upright(tmp_path, monkeypatch):
    from PIL import Image
    from test_datasets import make_folder

    for part in "train", "val":
        make_folder(tmp_path / "flowers" / part, count=8)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 60, 3), "uint8")
    pixels[:20] = 255  # white above; a quarter turn brings it to the right
    Image.fromarray(pixels).save(tmp_path / "flowers" / "val" / "cat" / "turned.jpg", exif=exif, quality=95)
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    changes = {"dataset": "flowers", "train_images": None, "epochs": 1, "batch_size": 4}
    run = training.train("flowers-lrn", "quick", 0, changes, store=tmp_path / "runs")
    place = int(np.flatnonzero(run.outputs["test_ids"] == "cat/turned.jpg")[0])
    shown = np.asarray(predict.load(run.weights)(read_image(tmp_path / "flowers/val/cat/turned.jpg")[None]))
    logits = run.outputs["test_logits"][place].astype("float64")
    np.testing.assert_allclose(shown[0], np.exp(logits) / np.exp(logits).sum(), atol=5e-3)


def test_files_must_be_resized_first(tmp_path):
    from PIL import Image

    from alexnet_tf import pipeline
    from alexnet_tf.preprocess import Preprocess

    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    split = Split(np.arange(1), np.zeros(1, "int64"), files=(str(tmp_path / "x.png"),))
    with pytest.raises(LabError, match="resized first"):
        pipeline.evaluation_stream(split, 2, Preprocess(8, resize_first=False))


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": True}, {"momentum": "abc"}, {"momentum": 2}, {"momentum": None}, {"l2": -1}, {"decay": "x"},
        {"plateau": 3}, {"plateau": [0.1]}, {"plateau": [2, 5]}, {"augment": 3}, {"augment.flip": "abc"},
        {"augment.zoom": -3}, {"augment.zoom": 1.5}, {"augment.flip": 50}, {"augment.color": 3}, {"augment.crop": 2.5},
        {"options": 5}, {"options.": 3}, {"options.width": -1}, {"options.dropout": 2},
        {"options.dense_units": 1.5}, {"drop_remainder": "no"}, {"resize_first": "yes"}, {"watch": 1},
        {"augment.alternate": 0.5}, {"augment.alternate": 1, "augment.flip": 0.5},
        {"augment.crop": 1, "augment.reflect": 1},
        {"train_images": "abc"}, {"train_images": 0}, {"epochs": True}, {"batch_size": 1.5}, {"epsilon": 0},
        {"steps": [0, 0.1]},
    ],
)  # fmt: skip
def test_odd_values_are_one_sentence(change):
    with pytest.raises(UsageError, match=r"\.$"):
        recipes.get("cifar10-bn64").at("quick").change(change)


def test_an_unknown_option_of_the_network_is_told(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'width'"):
        train_tiny(tmp_path, **{"options.widht": 0.5})


SAYS = "model name\t: A maker's\ncpu family\t: 25\n{}\n\nmodel name\t: the second core\n"


@pytest.mark.parametrize(
    ("said", "slow"),
    [
        ("flags\t\t: fpu avx2", True),
        ("flags\t\t: avx512f avx512_bf16", False),
        ("flags\t\t: amx_bf16 avx2", False),
        ("Features\t: asimd bf16", False),
        ("Features\t: asimd", True),
        ("", False),  # nothing is known
    ],
)
def test_processors_without_bfloat16_are_known(said, slow, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "accelerators", list)
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "cpuinfo")
    assert not provenance.slow_in_bfloat16()  # not a Linux
    provenance.CPUINFO.write_text(SAYS.format(said))
    assert provenance.slow_in_bfloat16() == slow
    assert "A maker's (family 25), " in provenance.hardware()


@pytest.mark.parametrize(("precision", "told"), [("mixed_bfloat16", True), ("float32", False)])
def test_who_computes_bfloat16_slowly_is_told(precision, told, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "accelerators", list)
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "cpuinfo")
    provenance.CPUINFO.write_text(SAYS.format("flags\t\t: avx2"))

    def fit(*_):
        raise LabError("enough")

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(LabError, match="enough"):
        train_tiny(tmp_path / "runs", epochs=1, precision=precision)
    assert ("--set precision=float32" in capsys.readouterr().err) == told


def test_binary_cross_entropy_asks_of_each_class_by_itself():
    logits, label = np.array([[2.0, -1.0, 0.5]]), np.array([[1.0, 0.0, 0.0]])
    belief = 1 / (1 + np.exp(-logits))
    exact = -(label * np.log(belief) + (1 - label) * np.log(1 - belief)).mean()
    recipe = recipes.get("lab-bce")
    assert float(fitting.make_loss(recipe)(label, logits)) == pytest.approx(exact)
    use = finishing.exported(models.build("lenet"), Preprocess(32), recipe)
    assert use.layers[-1].activation is keras.activations.sigmoid


def test_the_rate_falls_by_what_a_plateau_is_told():
    (_, plateau) = fitting._schedules(recipes.get("flowers-lrn"))
    assert (plateau.monitor, plateau.factor, plateau.patience) == ("val_loss", 0.1, 5)


def test_a_training_sees_what_its_recipe_and_seed_say(tmp_path, monkeypatch):
    asked = []

    def stream(*words, **_):
        asked.append(words)
        raise LabError("enough")

    monkeypatch.setattr(fitting.streams, "training_stream", stream)
    told = []
    for seed, name in enumerate(("today-cifar", "cifar10-bn64")):
        with pytest.raises(LabError, match="enough"):
            train_tiny(tmp_path, name, seed=seed)
        recipe = recipes.get(name).at("quick")
        told.append((TINY["batch_size"], seed, recipe.augment, recipe.drop_remainder))
    assert [words[3:] for words in asked] == told
    assert bool(told[0][2]) != bool(told[1][2])
    assert told[0][3] != told[1][3]


def test_folds_are_those_of_the_images(tmp_path, monkeypatch):
    seen = []

    def fit(run, recipe, splits, *_):
        seen.append(splits)
        raise LabError("enough")

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(LabError, match="enough"):
        train_tiny(tmp_path, fold=[1, 4])
    with pytest.raises(LabError, match="enough"):
        training.validated("cifar10-bn64", "quick", 0, TINY, tmp_path, print, held=(1, 3))
    fold = datasets.load("paintbox", "source", TINY["train_images"], part=[1, 4])
    held = datasets.load("paintbox", "honest", TINY["train_images"], held=(1, 3))
    assert (seen[0].test.ids == fold.test.ids).all()
    assert (seen[1].val.ids == held.val.ids).all()
    assert len(seen[0].test) != len(datasets.load("paintbox").test)


@pytest.mark.parametrize(
    ("error", "kept"),
    [(OSError(28, "No space left on device"), True), (DivergedError("The loss became nan."), False)],
    ids=["full-disk", "diverged"],
)
def test_what_a_search_has_trained_survives_a_full_disk_and_no_divergence(tmp_path, monkeypatch, error, kept):
    def fit(run, *_):
        run.state.touch()
        raise error

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(type(error)):
        training.validated("cifar10-bn64", "quick", 0, TINY, tmp_path, print)
    assert runs.locate("cifar10-bn64", "quick", 0, TINY, "honest", tmp_path).state.exists() == kept


def test_a_setting_is_judged_by_the_epoch_that_it_keeps(tmp_path, monkeypatch):
    epochs = SimpleNamespace(history=[{"val_accuracy": rate} for rate in (0.2, 0.6, 0.4)])
    monkeypatch.setattr(training, "fit", lambda *_: (None, epochs))
    for keep, reached in ("last", 0.4), ("best", 0.6):
        assert training.validated("cifar10-bn64", "quick", 0, {"keep": keep}, tmp_path, print) == reached

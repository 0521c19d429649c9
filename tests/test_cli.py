"""The command line: exit status, JSON, one clear line, and light imports."""

import inspect
import io
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import (
    datasets,
    doors,
    finetune,
    pictures,
    plots,
    released,
    reports,
    runs,
    search,
    site,
    training,
    upload,
)
from alexnet_tf.__main__ import main, parser
from alexnet_tf.commands.told import told
from alexnet_tf.errors import LabError
from alexnet_tf.recipes import RECIPES

TINY = ["--set", "train_images=48", "--set", "batch_size=16", "--set", "options.width=0.05"]


def run(*words, **kwargs):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600, **kwargs)


def test_importing_the_package_and_listing_load_nothing_heavy():
    code = "import sys, alexnet_tf.__main__ as m; m.main(['list']); m.main(['runs']); print(sorted(sys.modules))"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    for heavy in ("'tensorflow'", "'keras'", "'numpy'", "'matplotlib'", "'scipy'"):
        assert heavy not in done.stdout


def test_list_as_json(capsys):
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    row = {row["name"]: row for row in rows}["cifar10-bn64"]
    assert (row["source"], row["model"], row["dataset"], row["parameters"]) == ("B", "bn64", "cifar10", 2_915_338)
    assert row["budgets"]["paper"]["epochs"] == 20
    assert row["budgets"]["quick"]["minutes"] > 0


def test_data_says_what_is_where_and_how_to_get_the_rest(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    (tmp_path / "flowers" / "train").mkdir(parents=True)
    (tmp_path / "flowers" / "train" / "x.jpg").write_bytes(b"0" * 2_000_000)
    assert main(["data", "--json"]) == 0
    rows = {row["dataset"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["flowers"]["megabytes"], rows["flowers"]["how"]) == (2, "")
    assert rows["cifar10"]["found"] is None
    assert "--get cifar10" in rows["cifar10"]["how"]
    assert rows["paintbox"]["found"] == "drawn by code"


@pytest.mark.parametrize("words", [["reports"], ["tensorboard", "cifar10-bn64", "--to", "events"]])
def test_what_takes_tensorflow_says_so_under_another_backend(words, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert main(words) == 1
    assert "takes TensorFlow, whatever a run was trained with: leave KERAS_BACKEND unset" in capsys.readouterr().err


def test_relative_folders_begin_at_the_checkout_from_any_working_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA_DIR", "some/data")
    monkeypatch.setenv("ALEXNET_CACHE", "some/cache")
    before = datasets.data_dir(), runs.cache()
    monkeypatch.chdir(tmp_path)
    assert (datasets.data_dir(), runs.cache()) == before == (runs.home() / "some/data", runs.home() / "some/cache")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "lab-bas"], "did you mean 'lab-base'"),
        (["train", "lab-base", "--budget", "quik"], "did you mean 'quick'"),
        (["train", "lab-base", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "lab-base", "--set", "epochs"], "KEY=VALUE"),
        (["train", "lab-base", "--set", "epochs=3", "--set", "epochs=4"], "--set epochs is given twice"),
        (["train", "zeng-aug", "--set", "plateau=[0.1,5]"], "leave one of them as it was"),
        (["train", "zeng-aug", "--set", "dataset=photos"], "needs a slash, as ./photos"),
        (["reports", "--budget", "papre"], "did you mean 'paper'"),
        (["reports", "--only", "01_flower"], "did you mean '01_flowers'"),
        (["train", "nothing"], f"grid-… ({sum(name.startswith('grid-') for name in RECIPES)} of them)"),
        (["evaluate", "cifar-bn64"], "did you mean 'cifar10-bn64'"),
        (["evaluate", "flower"], "did you mean 'flowers'"),
        (["export", "cifar"], "did you mean 'cifar10'"),
        (["evaluate", "cifar10-bn64/papr/0"], "did you mean 'paper'"),
        (["reports", "--only", ","], "--only takes names of notebooks"),
        (["train", "cifar10-resnet18-untrained", "--set", "epochs=3"], "epochs must be 0 in this recipe"),
        (["plan", "imagenet-2012", "--utilization", "2"], "at most 1; received 2"),
        (["predict", "x.png", "--layer", "conv1"], "give --explain DIR, too"),
        (["finetune", "photos", "--set", "pretrained=x"], "Fine-tuning decides pretrained itself"),
    ],
)
def test_wrong_names_are_one_line_and_status_2(words, said, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_that_can_not_be_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["train", "cifar10-bn64", *TINY, "--runs", str(tmp_path / "file" / "runs")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_broken_model_file_is_one_line(tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "m.keras").write_text("no model")
    assert main(["predict", str(tmp_path / "x.png"), "--model", str(tmp_path / "m.keras")]) == 1
    assert "no model that this version can read" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**40)])
def test_odd_seeds_are_status_2(seed, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "lab-base", f"--seed={seed}"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "lab-base", "--sede", "3"], "--sede"),
        (["train", "lab-base", "--seed", "²"], "a seed is a whole number"),
        (["train", "lab-base", "--processes", "0"], "above 0"),
        (["plan", "imagenet-2012", "--tflops", "inf"], "received 'inf'"),
        (["predict", ""], "is a variable of the shell not set?"),
        (["predict", "x.png", "--model", ""], "is a variable of the shell not set?"),
        (["finetune", ""], "is a variable of the shell not set?"),
    ],
)
def test_a_wrong_flag_is_status_2(words, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("backend", "said"),
    [("jaxx", "did you mean 'jax'"), ("torch", "which is not installed: install it, or leave it unset")],
)
def test_a_backend_that_is_not_there_is_one_line(backend, said, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from alexnet_tf.__main__ import main; sys.exit(main(sys.argv[1:]))"
    Image.new("RGB", (5, 5)).save(tmp_path / "x.png")
    done = run("-c", code, "predict", str(tmp_path / "x.png"), env={**os.environ, "KERAS_BACKEND": backend})
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_things_are_one_line_and_status_1(capsys, tmp_path):
    assert main(["predict", "nowhere.png", "--runs", str(tmp_path)]) == 1
    assert main(["runs", "--runs", str(tmp_path / "none")]) == 1
    assert main(["evaluate", "lab-base", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 3


def test_paths_on_standard_input_need_no_encoding(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nowhere/caf\xe9.png\n"), "utf-8"))
    assert main(["predict", "-"]) == 1
    assert "There is no image nowhere/caf" in capfd.readouterr().err


def folder_and_pattern(tmp_path, store, answer, capsys):
    """A folder, a pattern and paths on standard input name the same file; --explain draws; folders are measured."""
    (tmp_path / "some").mkdir()
    shutil.copy(tmp_path / "grey.png", tmp_path / "some" / "grey.png")
    for name in "some", "some/*.png":
        assert main(["predict", str(tmp_path / name), "--json", *store]) == 0
        assert json.loads(capsys.readouterr().out)[0]["top"] == answer["top"]
    piped = run("-m", "alexnet_tf", "predict", "-", "--json", *store, input=f"{tmp_path / 'grey.png'}\n\n")
    assert json.loads(piped.stdout) == [answer], piped.stderr
    figures = plots.plt.get_fignums()
    assert main(["predict", str(tmp_path / "grey.png"), "--explain", str(tmp_path / "why"), *store]) == 0
    assert plots.plt.get_fignums() == figures
    assert (
        main(["predict", str(tmp_path / "grey.png"), "--explain", str(tmp_path / "why"), "--layer", "cnv1", *store])
        == 2
    )
    assert "did you mean 'conv1'" in capsys.readouterr().err
    with Image.open(tmp_path / "why" / "000-grey.png") as drawn:
        assert drawn.size[0] > 100
    (bare := tmp_path / "bare").mkdir()  # a network without its classes' names
    shutil.copy(next(tmp_path.rglob("model.keras")), bare)
    words = ["predict", str(tmp_path / "grey.png"), "--model", str(bare / "model.keras")]
    assert main([*words, "--explain", str(bare / "why")]) == 0
    assert re.search(r"grey.png: \d \d", capsys.readouterr().out)
    (bare / "classes.json").write_text('["cat", "dog"]')
    assert main([*words, "--explain", str(bare / "why")]) == 1
    assert "has 10 classes, and 2 names are listed beside it" in capsys.readouterr().err
    for name in "cat", "tree":
        (tmp_path / "labelled" / name).mkdir(parents=True)
        Image.new("RGB", (20, 30 if name == "cat" else 20)).save(tmp_path / "labelled" / name / "x.png")
    capsys.readouterr()
    assert main(["test-folder", str(tmp_path / "labelled"), *store]) == 0
    assert " of 2 are right" in capsys.readouterr().out
    (tmp_path / "labelled" / "tree").rename(tmp_path / "labelled" / "treee")
    assert main(["test-folder", str(tmp_path / "labelled"), *store]) == 1
    assert "no class for: treee. It knows bird" in capsys.readouterr().err


def test_train_evaluate_runs_predict(tmp_path, capsys):
    store = ["--runs", str(tmp_path)]
    assert main(["train", "cifar10-bn64", *TINY, "--set", "epochs=1", *store]) == 0
    assert "finished in" in capsys.readouterr().out
    assert main(["train", "cifar10-bn64", *TINY, "--set", "epochs=1", *store]) == 0
    assert "was finished already" in capsys.readouterr().out
    assert main(["runs", "--json", *store]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["overrides"]["options.width"] == 0.05
    assert main(["compare", row["path"], row["path"], *store]) == 0
    assert "+0.00 points [+0.00, +0.00]; the interval contains zero" in capsys.readouterr().out
    assert main(["evaluate", row["path"], *store]) == 0
    assert "precision" in capsys.readouterr().out
    Image.fromarray(np.zeros((40, 60), "uint8")).save(tmp_path / "grey.png")
    assert main(["predict", str(tmp_path / "grey.png"), "--json", *store]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert len(answer["top"]) == 5
    confidences = [entry["confidence"] for entry in answer["top"]]
    assert confidences == sorted(confidences, reverse=True)
    done = run("-m", "alexnet_tf", "predict", str(tmp_path / "grey.png"), "--json", *store)  # a process of its own
    assert json.loads(done.stdout) == [answer], done.stderr
    folder_and_pattern(tmp_path, store, answer, capsys)
    assert main(["scorecard", "--json", *store]) == 0
    assert {row["verdict"] for row in json.loads(capsys.readouterr().out)} == {"not run"}


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path):
    words = ["-m", "alexnet_tf", "train", "cifar10-bn64", *TINY, "--set", "epochs=400", "--runs", str(tmp_path)]
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # what shells put aside does not
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True, **heeding) as process:
        for line in process.stderr:
            if "epoch 2/400" in line:
                break
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert "saved after" in told
        assert "goes on from there" in told
    assert process.returncode == 130
    done = run("-m", "alexnet_tf", "runs", "--json", "--runs", str(tmp_path))
    (row,) = json.loads(done.stdout)
    assert row["status"] == "unfinished"
    assert row["epochs"] >= 2


@pytest.mark.parametrize("module", [pictures, upload, site])
def test_what_has_a_door_of_its_own_tells_errors_in_one_line_too(module, monkeypatch, capsys):
    def lost():
        raise LabError("There is no checkout: clone one.")

    file = Path(module.__file__)
    monkeypatch.setattr(runs, "home", lost)
    with pytest.raises(SystemExit, match="1"):
        runpy.run_path(str(file.with_name("__main__.py") if file.stem == "__init__" else file), run_name="__main__")
    assert capsys.readouterr().err == "alexnet_tf: There is no checkout: clone one.\n"


def test_what_is_stopped_says_how_to_go_on(capsys):
    def interrupted():
        raise KeyboardInterrupt

    said = []
    for words in ["train", "lab-base"], ["train", "lab-base", "--fresh"], ["list"]:
        assert told(interrupted, parser().parse_args(words)) == 130
        said.append(capsys.readouterr().err.strip())
    assert "The same command goes on from there" in said[0]
    assert "The same command without --fresh goes on from there" in said[1]
    assert said[2] == "alexnet_tf: stopped."


def test_large_families_are_folded_until_they_are_asked_for(capsys):
    assert main(["list"]) == 0
    short = capsys.readouterr().out
    assert "grid-base" in short
    assert "grid-gelu" not in short
    assert "more of this kind: list 'grid-*'" in short
    assert main(["list", "grid-g*"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]} == {
        "grid-gelu", "grid-glorot", "grid-global-average"
    }  # fmt: skip
    assert main(["list", "sprint"]) == 0
    assert {line.partition("-")[0] for line in capsys.readouterr().out.splitlines()[1:]} == {"sprint"}
    assert main(["list", "lab-bse"]) == 2
    assert "did you mean 'lab-base'" in capsys.readouterr().err
    assert main(["list", "lab-*", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 9


def test_compare_takes_the_second_from_the_first(make_run, tmp_path, capsys):
    make_run("lab-bce", np.arange(100) < 80), make_run("lab-base", np.arange(100) < 70)
    assert main(["compare", "lab-bce", "lab-base", "--runs", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "+10.00 points" in said.out
    assert not said.err
    make_run("lab-3conv", np.arange(100) < 70, seed=1)
    assert main(["compare", "lab-bce", "lab-3conv/paper/1", "--runs", str(tmp_path)]) != 0
    make_run("lab-4conv", np.arange(100) < 70, budget="laptop")
    capsys.readouterr()
    assert main(["compare", "lab-bce", "lab-4conv", "--runs", str(tmp_path)]) == 0
    assert "mind that they differ in more than the recipe: budget paper and laptop" in capsys.readouterr().err


def test_train_hands_on_what_it_was_told(tmp_path, monkeypatch):
    asked = []

    def train(*words):
        asked.append(words)
        raise LabError("enough")

    monkeypatch.setattr(training, "train", train)
    words = ["train", "lab-base", "--protocol", "honest", "--seed", "3", "--runs", str(tmp_path)]
    assert main([*words, "--fresh", "--skip-damaged", "--devices", "all"]) == 1
    assert main(words) == 1
    assert asked[0][2:] == (3, {}, "honest", str(tmp_path), True, True, "all")
    assert asked[1][2:] == (3, {}, "honest", str(tmp_path), False, False, "one")


@pytest.mark.parametrize(("error", "status"), [("", 0), ("boom", 1)])
def test_reports_hands_on_what_it_was_told_and_fails_where_one_fails(error, status, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(reports, "make", lambda *words: asked.append(words) or [reports.Report("01_x", "x", 1, error)])
    assert main(["reports", "--budget", "laptop", "--only", "01_flowers,02_cifar10", "--fresh"]) == status
    assert asked == [("laptop", ["01_flowers", "02_cifar10"], True)]


def test_a_plan_assumes_what_it_was_told(capsys):
    assert main(["plan", "imagenet-2012", "--cores", "3", "--disk", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "| 3 | as the command line says |" in told
    assert "| 0.5 | as the command line says |" in told


def test_data_gets_what_it_was_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(doors, "get", lambda name, place: place / name)
    assert main(["data", "--get", "flowers"]) == 0
    assert f"flowers lies in {tmp_path / 'flowers'}" in capsys.readouterr().err


def bound(function, seen):
    """A stand-in that keeps what each parameter of a function was given, whichever way, and ends there."""

    def instead(*args, **kwargs):
        given = inspect.signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        seen.append(given.arguments)
        raise LabError("enough")

    return instead


def test_search_hands_on_what_it_was_told(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(search, "search", bound(search.search, seen))
    words = [
        "--trials",
        "7",
        "--space",
        "l2=0,0.1",
        "--set",
        "momentum=0.5",
        "--seed",
        "3",
        "--folds",
        "4",
        "--patient",
    ]
    assert main(["search", "cifar10-bn64", *words, "--patient", "--to", str(tmp_path)]) == 1
    (axis,) = seen[0].pop("axes")
    assert (axis.name, axis.choices) == ("l2", (0, 0.1))
    expected = {"name": "cifar10-bn64", "trials": 7, "budget": "quick", "fixed": {"momentum": 0.5}, "folder": tmp_path}
    assert seen == [{**expected, "seed": 3, "patient": True, "folds": 4}]


def test_finetune_hands_on_what_it_was_told(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(finetune, "finetune", bound(finetune.finetune, seen))
    words = ["--model", "cifar10", "--to", str(tmp_path / "to"), "--seed", "2", "--runs", str(tmp_path), "--fresh"]
    assert main(["finetune", "photos", *words, "--skip-damaged", "--set", "l2=0.1"]) == 1
    places = {"folder": "photos", "name": "cifar10", "to": tmp_path / "to", "store": str(tmp_path)}
    assert seen == [{**places, "seed": 2, "skip_damaged": True, "changes": {"l2": 0.1}, "fresh": True}]


def test_release_hands_on_what_it_was_told(make_run, tmp_path, monkeypatch):
    run, seen = make_run("int305-cnn", np.ones(20, bool)), []
    run.weights.parent.mkdir(parents=True, exist_ok=True)
    run.weights.write_bytes(b"weights")
    monkeypatch.setattr(released, "release", bound(released.release, seen))
    assert main(["release", str(run.path), "mine"]) == 1
    assert [(told["run"].path, told["name"]) for told in seen] == [(run.path, "mine")]

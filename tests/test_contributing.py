"""The page for contributors, followed to the letter."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alexnet_tf import claims, cluster, datasets, recipe, recipes, training, verdicts
from alexnet_tf.__main__ import parser

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE, re.S))


def test_each_takes_less_than_twenty_lines():
    assert set(BLOCKS) == {"recipe", "claim", "dataset"}
    assert all(block.count("\n") < 20 for block in BLOCKS.values())


def test_what_was_tried_to_break_it_is_in_tests():
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    section = PAGE.partition("## What was tried to break it")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", section)
    assert len(named) > 20
    missing = [name for name in named if f"def {name}(" not in tests]
    assert not missing
    assert all("`test_" in row for row in re.findall(r"^\|(.*)\|$", section, re.M)[2:])


def test_the_manifest_is_an_indexed_job_whose_words_the_command_line_knows():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    job = yaml.safe_load(text)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pods = job["spec"]
    assert pods["completionMode"] == "Indexed"
    assert pods["completions"] == pods["parallelism"]
    (container,) = pods["template"]["spec"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    for index in range(pods["completions"]):
        seat = cluster.find(environment={**environment, "JOB_COMPLETION_INDEX": str(index)})
        assert (seat.process, seat.processes) == (index, pods["completions"])
        assert seat.coordinator == f"{job['metadata']['name']}-0.{pods['template']['spec']['subdomain']}:5555"
    assert container["command"][:3] == ["python", "-m", "alexnet_tf"]
    assert parser().parse_args(container["command"][3:]).recipe == "cifar10-bn64"


@pytest.fixture
def followed(monkeypatch):
    """The three blocks, executed where the page says they belong, and undone afterwards."""
    monkeypatch.setattr(recipes, "RECIPES", dict(recipes.RECIPES))
    monkeypatch.setattr(datasets, "LOADERS", dict(datasets.LOADERS))
    monkeypatch.setattr(recipe, "DATASETS", (*recipe.DATASETS, "stripes"))
    room = dict(vars(recipes.source_a))
    exec(BLOCKS["recipe"], room)
    recipes.RECIPES["cifar10-simple-flip"] = room["CIFAR10_SIMPLE_FLIP"]
    exec(BLOCKS["dataset"], {**vars(datasets)})
    return eval(BLOCKS["claim"], vars(claims))


def test_the_new_recipe_trains_on_the_new_dataset_and_decides_the_new_claim(followed, tmp_path):
    assert verdicts.scorecard(tmp_path, [followed])[0].verdict == "not run"
    changes = {"dataset": "stripes", "train_images": None, "epochs": 1, "augment.flip": 0.0}
    run = training.train("cifar10-simple-flip", "quick", 0, changes, store=tmp_path)
    assert run.record["class_names"] == ["down", "across"]
    assert run.record["images"] == {"train": 60, "val": 0, "test": 20}
    assert np.isfinite(run.record["metrics"]["test_loss"])
    assert recipes.get("cifar10-simple-flip").mark("augment.flip") == "ours"


CHANGES = ("--set", "dataset=stripes", "--set", "train_images=None", "--set", "epochs=1")


PASTED = (  # into which file, before what, and what
    ("recipes/source_a.py", "\nRECIPES = (\n", "\n" + BLOCKS["recipe"]),
    ("recipes/source_a.py", "    CIFAR10_SIMPLE_AUGMENTED,\n", "    CIFAR10_SIMPLE_FLIP,\n"),
    ("claims.py", ")  # fmt: skip\n\nDIFFERENCES", BLOCKS["claim"].rstrip() + ",\n"),
    ("recipe.py", '"paintbox", "paintbox-flowers")', '"stripes", '),
    ("datasets.py", '    "cifar10": (\n', '    "stripes": ("nothing", "they are drawn"),\n'),
)


@pytest.mark.parametrize("file, before", [place[:2] for place in PASTED])
def test_each_block_has_one_place(file, before):
    assert (ROOT / "alexnet_tf" / file).read_text().count(before) == 1


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout into which the three blocks were pasted, as the page says."""
    tree = tmp_path_factory.mktemp("copy") / "alexnet"
    left_out = shutil.ignore_patterns(".venv*", ".git", ".cache", ".*_cache", ".hypothesis", "__pycache__", "dist")
    shutil.copytree(ROOT, tree, ignore=left_out)

    for file, before, text in PASTED:
        path = tree / "alexnet_tf" / file
        path.write_text(path.read_text().replace(before, text + before))
    with (tree / "alexnet_tf" / "datasets.py").open("a") as file:
        file.write("\n\n" + BLOCKS["dataset"])
    costs = tree / "reports" / "bench" / "costs.json"  # as if its memory had been measured
    known = json.loads(costs.read_text())
    costs.write_text(json.dumps({**known, "memory/cifar10-simple-flip": known["memory/cifar10-simple"]}))
    return tree


def told(tree, *words):
    """What a command prints that ends well."""
    own = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run([sys.executable, "-m", *words], cwd=tree, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_whoever_pastes_the_blocks_finds_them_in_every_list(copy):
    assert "cifar10-simple-flip" in told(copy, "alexnet_tf", "list")
    assert re.search("cifar10-simple-flip/against-simple .* not run", told(copy, "alexnet_tf", "scorecard"))
    assert "stripes" in told(copy, "alexnet_tf", "data")
    assert "test accuracy" in told(copy, "alexnet_tf", "train", "cifar10-simple-flip", *CHANGES)


@pytest.mark.slow
def test_whoever_pastes_the_blocks_breaks_no_test(copy):
    files = [f"tests/test_{name}.py" for name in ("recipes", "verdicts", "project", "bench", "site", "plots")]
    told(copy, "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *files, "-k", "not worker and not steps")

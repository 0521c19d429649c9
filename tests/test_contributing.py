"""The page for contributors, followed to the letter."""

import re
from pathlib import Path

import numpy as np
import pytest

from alexnet_tf import claims, datasets, recipe, recipes, training, verdicts

PAGE = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE, re.S))


def test_each_takes_less_than_twenty_lines():
    assert set(BLOCKS) == {"recipe", "claim", "dataset"}
    assert all(block.count("\n") < 20 for block in BLOCKS.values())


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

"""What several tests share: a tiny training, made runs, and what to do without real data."""

import contextlib
import gc
import json
import os
import sys

import hypothesis
import numpy as np
import pytest

from alexnet_tf import datasets, recipes, runs
from alexnet_tf.splits import Split, Splits
from tests.shared_cores import pytest_configure  # noqa: F401  (a hook)

# Properties are tried on the same examples, on a slow machine too, until a constant of the package changes.
hypothesis.settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")

TINY = {"train_images": 48, "epochs": 2, "batch_size": 16, "options.width": 0.05, "options.dense_units": 8}


def pytest_collection_modifyitems(items):
    """Tests that need real data skip with a reason where there is none; slow ones may take an hour each."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))
    absent = {name for name in ("cifar10", "flowers") if datasets.found(name) is None}
    if not absent:
        return
    reason = f"real data ({', '.join(sorted(absent))}) not in ALEXNET_DATA_DIR={os.environ.get('ALEXNET_DATA_DIR')}"
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Matplotlib warns of more than twenty, and a warning is an error here."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(autouse=True)
def nobodys_data(request, monkeypatch, tmp_path_factory):
    """What the person who runs the tests keeps in the Keras cache or on Kaggle is none of most tests' business."""
    if not request.node.get_closest_marker("data"):
        for name in "KERAS_HOME", "ALEXNET_KAGGLE_INPUT":
            monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / "nobody"))


@pytest.fixture
def garbage_stays(monkeypatch):
    """What is measured waits until garbage is collected: most of the time where nothing is measured in earnest."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture
def tiny_splits():
    """Sixty random images of three classes."""
    rng = np.random.default_rng(0)

    def split(count):
        images = rng.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
        return Split(np.arange(count).astype("int32"), np.arange(count) % 3, images)

    return Splits(split(40), None, split(20), ("a", "b", "c"))


@pytest.fixture
def as_nobody():
    """A context without root's right to read everything."""

    @contextlib.contextmanager
    def act(folder):
        if os.geteuid() != 0:
            yield
            return
        for parent in [folder, *folder.parents][:4]:  # pytest's own folders let nobody in
            parent.chmod(parent.stat().st_mode | 0o755)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return act


@pytest.fixture
def make_run(tmp_path):
    """Write a finished run whose test answers are right in given places, and return it."""

    def write(recipe, right, seed=0, budget="paper", protocol="source", overrides=None):
        run = runs.locate(recipe, budget, seed, overrides, protocol, tmp_path)
        right = np.asarray(right, bool)
        labels = np.zeros(len(right), "int16")
        logits = np.where(right[:, None], [1.0, 0.0], [0.0, 1.0]).astype("float16")
        resolved = recipes.get(recipe).at(budget).change(overrides or {})
        record = {
            "format": runs.FORMAT,
            "name": recipe,
            "budget": budget,
            "seed": seed,
            "protocol": protocol,
            "overrides": overrides or {},
            "recipe": {
                name: {"value": value, "mark": resolved.mark(name)} for name, value in resolved.fields().items()
            },
            "history": [{"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}],
            "metrics": {"val_accuracy": None, "test_accuracy": float(right.mean())},
            "images": {"train": 1, "val": 0, "test": len(right)},
            "class_names": ["right", "wrong"],
            "provenance": {
                "dataset_fingerprint": "made",
                "minutes": 1.0,
                "backend": "tensorflow",
                "precision": "float32",
                "hardware": "made",
            },
        }
        run.path.mkdir(parents=True)
        np.savez(run.path / "outputs.npz", test_ids=np.arange(len(right)), test_labels=labels, test_logits=logits)
        (run.path / "record.json").write_text(json.dumps(record))
        return run

    return write


def train_tiny(store, name="cifar10-bn64", seed=0, **changes):
    """A training of a second or two."""
    from alexnet_tf import training

    return training.train(name, "quick", seed, {**TINY, **changes}, store=store)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """One finished tiny run, shared by the tests that only read it."""
    return train_tiny(tmp_path_factory.mktemp("runs"), epochs=3)

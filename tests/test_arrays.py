"""The JAX backend: the same promises without TensorFlow, each test in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

PREPARE = """
import sys, json
import numpy as np
from alexnet_tf import arrays
from alexnet_tf.splits import Split
from alexnet_tf.preprocess import Preprocess
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (40, 16, 16, 3), dtype="uint8")
split = Split(np.arange(40), np.arange(40) % 4, images)
amounts = {"flip": 0.5, "crop": 2, "cutout": 4, "color": 0.3, "mixup": 0.2}
def stream(**more):
    return arrays.training_stream(split, 4, Preprocess(16), 12, 1, **{"augmentations": amounts, **more})
"""


def in_jax(code):
    """Run code under the JAX backend and return what it prints as JSON."""
    pytest.importorskip("jax", reason="the jax extra is not installed")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", PREPARE + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_stream_repeats_resumes_and_sees_every_image_once():
    found = in_jax("""
def take(stream, count):
    return [[np.asarray(part) for part in next(stream)] for _ in range(count)]
whole, again = take(stream(), 12), take(stream(), 12)
resumed = take(stream(first_epoch=2), 2)
plain = take(stream(augmentations={}), 4)
means = np.sort(np.concatenate([batch[0].mean(axis=(1, 2, 3)) for batch in plain]))
same = lambda a, b: all(np.array_equal(x[0], y[0]) and np.array_equal(x[1], y[1]) for x, y in zip(a, b, strict=True))
evaluation = arrays.evaluation_stream(split, 4, Preprocess(16), 15)
seen = np.concatenate([np.asarray(evaluation[i][0]) for i in range(len(evaluation))])
print(json.dumps({
    "repeats": same(whole, again),
    "resumes": same(whole[8:10], resumed),
    "another epoch": not np.array_equal(whole[0][0], whole[4][0]),
    "sizes": [len(batch[0]) for batch in plain],
    "each once": bool(np.allclose(means, np.sort(images.mean(axis=(1, 2, 3)) / 255), atol=1e-5)),
    "evaluation": bool(np.allclose(seen * 255, images, atol=1e-3)),
    "augmented": bool(np.abs(whole[0][0] - plain[0][0]).max() > 0.05),
}))
""")
    assert found.pop("sizes") == [12, 12, 12, 4]
    assert all(found.values()), found


def test_a_recipe_trains_without_tensorflow(tmp_path):
    found = in_jax(f"""
from alexnet_tf import predict, training
changes = {{"train_images": 400, "epochs": 3, "augment.rotation": 0.0, "augment.shift": 0.0, "augment.zoom": 0.0,
            "augment.cutout": 6, "options.width": 0.25, "options.dense_units": 32, "options.dropout": 0.0}}
run = training.train("zeng-aug", "quick", 0, changes, store={str(tmp_path)!r})
shown = np.asarray(predict.load(run.weights)(np.zeros((1, 40, 50, 3), "uint8")))
print(json.dumps({{
    "tensorflow": sys.modules.get("tensorflow") is not None,
    "backend": run.record["provenance"]["backend"],
    "losses": [row["loss"] for row in run.history],
    "shown": float(shown.sum()),
}}))
""")
    assert found["tensorflow"] is False
    assert found["backend"] == "jax"
    assert found["losses"][-1] < found["losses"][0]
    assert found["shown"] == pytest.approx(1, abs=1e-3)


def test_images_in_files_are_told():
    said = in_jax("""
from alexnet_tf.errors import LabError
files = Split(np.arange(1), np.zeros(1, "int64"), files=("x.png",))
try:
    next(arrays.training_stream(files, 2, Preprocess(16), 1, 0))
except LabError as error:
    print(json.dumps(str(error)))
""")
    assert "need the TensorFlow backend" in said

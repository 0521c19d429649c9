"""The accelerator's bench: what it asks of whom, its shares, and when it is left out."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from alexnet_tf import plan, provenance, recipes
from alexnet_tf.bench import accelerator
from alexnet_tf.errors import LabError
from alexnet_tf.quiet import keras


def test_each_batch_is_measured_against_the_product_of_matrices(monkeypatch):
    asked = {}

    def turns(workers, rounds):
        asked.update(workers)
        return {side: np.full(rounds, 0.01 if side == "product" else 2.0) for side in workers}

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(provenance, "accelerators", lambda: ["a card"])
    monkeypatch.setattr(accelerator, "server", lambda kind, name, **options: (kind, name, options))
    monkeypatch.setattr(accelerator, "by_workers", turns)
    found = accelerator.accelerator(rounds=3, recipes=["int305-adam"], size=1000)
    assert list(asked) == ["product", "10", "1024"]
    assert asked["product"][2]["size"] == 1000
    assert asked["10"][2]["changes"] == {"precision": "mixed_bfloat16", "batch_size": 10}
    flop = plan.count(recipes.get("int305-adam"), 10).flop
    share = found["ratios"]["accelerator/int305-adam/batch-10/of-product"]
    assert share["median"] == pytest.approx(flop / 2.0 / (2e9 / 0.01), rel=1e-5)
    assert found["costs"]["accelerator/int305-adam/batch-1024"]["median"] == 2e6


def test_without_an_accelerator_it_is_left_out():
    with pytest.raises(LabError, match="needs an accelerator and KERAS_BACKEND=jax"):
        accelerator.accelerator()


@pytest.mark.slow
def test_its_workers_measure_under_jax():
    pytest.importorskip("jax", reason="the jax extra is not installed")
    code = """
import json, sys
from alexnet_tf.bench import fits, layers
sizes = {"turn": 0.01}
print(json.dumps([
    layers.product("bfloat16", size=64, **sizes)() > 0,
    fits.fixed("int305-cnn", {"precision": "mixed_bfloat16"}, **sizes)() > 0,
    sys.modules.get("tensorflow") is not None,
]))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, env=environment, check=True
    )
    assert json.loads(done.stdout) == [True, True, False]

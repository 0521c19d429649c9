"""Networks that travel with the checkout: what a release writes, and that `predict` finds it."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import predict, released, runs
from alexnet_tf.errors import LabError, UsageError


@pytest.fixture
def checkout(monkeypatch, tmp_path, finished):
    """A checkout with nothing in it, and a finished run from elsewhere."""
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    Image.fromarray(np.full((40, 50, 3), 90, "uint8")).save(tmp_path / "photo.png")
    return tmp_path


def test_a_released_network_answers_by_its_name_and_where_none_is_named(checkout, finished, capsys):
    target = released.release(finished, "small")
    by_name = predict.predict([str(checkout / "photo.png")], "small")
    by_default = predict.predict([str(checkout / "photo.png")])
    theirs = predict.predict([str(checkout / "photo.png")], str(finished.path), finished.path.parents[2])
    assert by_name == by_default == theirs
    with pytest.raises(UsageError, match="did you mean 'small'"):
        predict.predict([str(checkout / "photo.png")], "smal")
    assert "using small" in capsys.readouterr().err
    card = (target / "README.md").read_text()
    assert hashlib.sha256((target / "model.keras").read_bytes()).hexdigest() in card
    assert finished.command in card
    assert json.loads((target / "classes.json").read_text()) == finished.record["class_names"]


def test_what_is_too_large_or_ill_named_is_not_released(checkout, finished, monkeypatch):
    with pytest.raises(LabError, match=r"a-z, 0-9 and hyphens; received '\.\./up'"):
        released.release(finished, "../up")
    monkeypatch.setattr(released, "LIMIT", 1000)
    with pytest.raises(LabError, match="a released model may take"):
        released.release(finished, "small")
    assert not predict.released()

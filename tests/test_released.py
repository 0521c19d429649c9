"""Networks that travel with the checkout: what a release writes, and that `predict` finds it."""

import dataclasses
import hashlib
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import datasets, evaluation, export, files, paintbox, predict, recipes, released, runs
from alexnet_tf.__main__ import main
from alexnet_tf.commands import networks
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
    assert by_name == by_default
    said, meant = ({row["class"]: row["confidence"] for row in rows[0]["top"]} for rows in (by_name, theirs))
    assert said == pytest.approx(meant, abs=1e-3)
    with pytest.raises(UsageError, match="did you mean 'small'"):
        predict.predict([str(checkout / "photo.png")], "smal")
    assert "using small" in capsys.readouterr().err
    card = (target / "README.md").read_text()
    assert hashlib.sha256((target / "model.keras").read_bytes()).hexdigest() in card
    assert finished.command in card
    assert json.loads((target / "classes.json").read_text()) == finished.record["class_names"]


def test_a_run_whose_weights_are_gone_has_those_of_the_network_that_it_became(checkout, finished):
    bare = runs.Run(finished.path, checkout / "nothing")
    assert predict.weights_here(finished) == finished.weights
    assert predict.weights_here(bare) is None
    target = released.release(finished, "small")
    assert predict.weights_of(bare) == target / "model.keras"
    assert predict.weights_here(finished) == finished.weights
    record = json.loads((target / "record.json").read_text())
    (target / "record.json").write_text(json.dumps({**record, "seed": 7}))
    with pytest.raises(LabError, match=f"are not here: '{re.escape(finished.command)} --fresh --runs "):
        predict.weights_of(bare)  # where it lies, and in no place of another


def test_weights_take_half_the_room_and_keras_brings_them_back(checkout, finished):
    target = released.release(finished, "small")
    before, after = (predict.load(path) for path in (finished.weights, target / "model.keras"))
    wide, narrow = finished.weights.read_bytes(), (target / "model.keras").read_bytes()
    assert len(wide) - len(narrow) > 1.9 * before.count_params()  # two bytes of four, but for alignment
    assert released.halved(narrow) == narrow == released.halved(wide)
    for was, now in zip(before.weights, after.weights, strict=True):
        assert now.dtype == was.dtype
        np.testing.assert_allclose(now.numpy(), was.numpy(), rtol=2**-11, atol=2**-25)


def test_what_16_bits_cannot_hold_keeps_its_32(tmp_path):
    from alexnet_tf.quiet import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.array([[1e6, 1]], "float32"), np.array([0.1, 0.2], "float32")])
    model.save(path := tmp_path / "model.keras")
    path.write_bytes(released.halved(path.read_bytes()))
    kernel, bias = keras.saving.load_model(path).get_weights()
    assert kernel.tolist() == [[1e6, 1]]
    np.testing.assert_array_equal(bias, np.float16([0.1, 0.2]))


def test_a_network_is_not_measured_on_other_images_than_it_was_tested_on(checkout, finished, monkeypatch):
    released.release(finished, "small")
    load = datasets.load

    def split_otherwise(*arguments):  # what was tested is trained on, and the other way about
        splits = load(*arguments)
        return dataclasses.replace(splits, train=splits.test, test=splits.train)

    monkeypatch.setattr(datasets, "load", split_otherwise)
    with pytest.raises(LabError, match="cifar10-bn64 was trained and tested on other images, or split otherwise"):
        released.find("small").outputs  # noqa: B018


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("cifar10-bn64", {}, "may have been chosen on the test images"),
        ("today-flowers", {}, "watched and nothing was chosen on them"),
        ("today-cifar", {"watch": False}, "no test image was looked at before the end"),
    ],
)
def test_a_card_says_what_was_chosen_on_the_test_images(checkout, finished, name, changes, said):
    target = released.release(finished, "small")
    record = json.loads((target / "record.json").read_text())
    fields = recipes.get(name).at("quick").change(changes).fields()
    told = {"name": name, "recipe": {field: {"value": value} for field, value in fields.items()}}
    record = {**record, **told}
    (target / "record.json").write_text(json.dumps({**record, "checksum": runs.checksum(record)}))
    assert said in released.card(target)


def test_what_is_too_large_or_ill_named_is_not_released(checkout, finished, monkeypatch):
    with pytest.raises(LabError, match=r"a-z, 0-9 and hyphens; received '\.\./up'"):
        released.release(finished, "../up")
    monkeypatch.setattr(released, "LIMIT", 1000)
    with pytest.raises(LabError, match="a released model may take"):
        released.release(finished, "small")
    assert not predict.released()


def test_a_release_that_fails_leaves_nothing(checkout, finished, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(released, "CARD", released.CARD + "{lacking}")
        with pytest.raises(KeyError):
            released.release(finished, "small")
    assert not list((checkout / "reports" / "models").iterdir())
    assert (released.release(finished, "small") / "README.md").read_text().startswith("# small: ")


def test_a_name_is_given_once_and_cifar10_stays_the_default(checkout, finished, capsys):
    released.release(finished, "cifar10")
    released.release(finished, "birds")
    predict.find_model(None)
    assert "using cifar10" in capsys.readouterr().err
    with pytest.raises(LabError, match="name birds is released already"):
        released.release(finished, "birds")


def test_a_released_network_is_measured_and_exported_by_its_name(checkout, finished, capsys, monkeypatch):
    target = released.release(finished, "small")
    assert main(["evaluate", "small"]) == 0
    rate = f"{finished.record['metrics']['test_accuracy']:.2%}"
    assert f"small: test accuracy {rate}" in (told := capsys.readouterr()).out
    assert "asking small about" in told.err
    asked = released.find("small")
    assert str(released.find(str(target))) == "small"
    np.testing.assert_array_equal(asked.outputs["test_labels"], finished.outputs["test_labels"])
    assert evaluation.correct(asked).mean() == pytest.approx(evaluation.correct(finished).mean())
    if not importlib.util.find_spec("tf2onnx"):
        pytest.skip("the export extra is not installed")
    assert main(["export", "small", "--to", str(checkout / "to"), "--formats", "saved-model", "--images", "20"]) == 0
    assert not (target / "export.json").exists()  # a card tells of all formats
    monkeypatch.setattr(networks, "EXPORTS", ("saved-model",))
    assert main(["export", "small", "--images", "20"]) == 0
    found = json.loads((target / "export.json").read_text())
    assert list(found["formats"]) == ["keras", "saved-model"]
    assert export.markdown(found) in (target / "README.md").read_text()
    assert not (target / "measurements").exists()
    before = {path: path.read_bytes() for path in target.iterdir()}
    assert main(["export", "small", "--images", "10"]) == 0
    assert "export.json stays: it compares 20 images" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in target.iterdir()} == before

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", "export.json")

    monkeypatch.setattr(released, "keep", forbidden)
    assert main(["export", "small", "--images", "10"]) == 0  # all that was asked for is done
    assert "is not kept: [Errno 13] Permission denied: 'export.json'" in capsys.readouterr().err


COMMITTED = predict.released()
README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_network_is_what_its_card_says(name):
    folder = COMMITTED[name].parent
    assert (folder / "README.md").read_text() == released.card(folder)  # its SHA-256 among all the rest
    model, kinds = predict.load(COMMITTED[name]), json.loads((folder / "classes.json").read_text())
    assert kinds == files.read_object(folder / "record.json")["class_names"]
    drawn = paintbox.draw(paintbox.OBJECTS, 3, 32, seed=1)[0]
    belief = predict.confidences(model, [drawn[0], np.kron(drawn[1], np.ones((2, 3, 1), "uint8")), drawn[2]])
    assert belief.shape == (3, len(kinds))
    np.testing.assert_allclose(belief.sum(axis=1), 1, atol=1e-5)
    assert len({tuple(row.round(4)) for row in belief}) == 3


@pytest.mark.data
@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_network_is_as_good_as_its_card_says(name):
    run = released.find(name)
    test = datasets.again(run.record).test
    few = test.take(np.arange(min(2000, len(test))))
    belief = predict.confidences(predict.load(run.weights), (few.image(place) for place in range(len(few))))
    right = belief.argmax(axis=1) == few.labels
    said = evaluation.accuracy_interval([run])
    assert said.low <= right.mean() <= said.high


def test_the_terms_of_all_data_are_told():
    assert set(released.TERMS) == set(datasets.WANTED)
    for terms in released.TERMS.values():
        assert terms in " ".join(README.split())


def test_the_readme_shows_how_the_network_that_comes_along_fares_elsewhere():
    found = json.loads((COMMITTED["cifar10"].parent / "export.json").read_text())
    assert set(found["formats"]) == {"keras", *export.FORMATS}
    assert found["images"] == 10_000
    assert export.markdown(found) in README

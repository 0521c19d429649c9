"""Exported networks answer as Keras does, with their preprocessing inside; eight bits are eight bits."""

import importlib.util
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from alexnet_tf import export, models, predict, training
from alexnet_tf.__main__ import main
from alexnet_tf.commands.networks import EXPORTS
from alexnet_tf.errors import LabError
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import Split
from tests.conftest import TINY
from tests.test_models import SMALL

pytest.importorskip("tf2onnx", reason="the export extra is not installed")

EXACT = ("saved-model", "litert", "onnx")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run whose images are standardized one by one and enlarged after it, in every format."""
    store = tmp_path_factory.mktemp("runs")
    run = training.train("cifar10-bn64", "quick", 0, TINY, store=store)
    found = export.make(run, list(export.FORMATS), store / "to", 40)
    export.keep(run.path / "measurements" / "export.json", found)
    return run, found, store / "to"


def multiplied(file):
    """The kinds of weights that a LiteRT file convolves and multiplies with."""
    interpreter = export._interpreter(model_path=str(file))
    kinds = {value["index"]: value["dtype"] for value in interpreter.get_tensor_details()}
    steps = [step for step in interpreter._get_ops_details() if step["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    assert len(steps) > 1
    return {kinds[step["inputs"][1]] for step in steps}


def loaded(folder, name):
    return export.FORMATS[name].load(folder / export.FORMATS[name].file)


def test_every_format_answers_as_keras(exported):
    run, found, folder = exported
    rows = found["formats"]
    assert list(rows) == ["keras", *export.FORMATS]
    for name in EXACT:
        assert rows[name]["largest_difference"] < 1e-5
        assert rows[name]["equal_answers"] == 1
        assert rows[name]["against_keras"] == {"mean": 0, "low": 0, "high": 0}
    assert rows["litert-int8"]["largest_difference"] < 0.05
    assert json.loads((run.path / "measurements" / "export.json").read_text()) == found
    assert json.loads((folder / "classes.json").read_text()) == run.record["class_names"]
    lines = export.table(found)
    assert [line["format"] for line in lines] == list(rows)
    assert lines[0]["minus Keras"] == "+0.00 points [+0.00, +0.00]"


def test_pictures_go_in_and_probabilities_come_out(exported):
    run, _, folder = exported
    model = predict.load(run.weights)
    rng = np.random.default_rng(0)
    for size in (32, 32), (40, 25):  # of LiteRT the dataset's own size alone
        pictures = rng.integers(0, 256, (3, *size, 3), dtype="uint8")
        for name in export.FORMATS if size == (32, 32) else ("saved-model", "onnx"):
            answers = loaded(folder, name)(pictures)
            assert answers.dtype == np.float32
            np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
            tolerance = 0.05 if name == "litert-int8" else 1e-5
            np.testing.assert_allclose(answers, model.predict_on_batch(pictures), atol=tolerance)


def test_eight_bits_are_eight_bits_and_smaller(exported):
    _, found, folder = exported
    sizes = {name: found["formats"][name]["bytes"] for name in export.FORMATS}
    assert sizes["litert-int8"] < sizes["litert"]
    interpreter = export._interpreter(model_path=str(folder / "model-int8.tflite"))
    (taken,) = interpreter.get_input_details()
    assert (taken["dtype"], taken["shape_signature"].tolist()) == (np.uint8, [-1, 32, 32, 3])
    assert multiplied(folder / "model-int8.tflite") == {np.int8}
    assert multiplied(folder / "model.tflite") == {np.float32}


def test_a_wrong_format_is_one_line(capsys):
    assert main(["export", "cifar10-bn64", "--formats", "saved-model,onxx"]) == 2
    err = capsys.readouterr().err
    assert "There is no format 'onxx': did you mean 'onnx'?" in err
    assert err.count("\n") == 1
    assert tuple(export.FORMATS) == EXPORTS
    with pytest.raises(SystemExit, match="2"):
        main(["export", "cifar10-bn64", "--images", "1"])


def test_what_is_missing_is_told(monkeypatch, tmp_path, make_run, capsys):
    make_run("cifar10-bn64", [True, False])
    assert main(["export", "cifar10-bn64", "--runs", str(tmp_path)]) == 1
    assert "train cifar10-bn64 --budget paper" in capsys.readouterr().err
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else there(name))
    with pytest.raises(LabError, match="'pip install onnx onnxruntime tf2onnx', or leave it out of --formats"):
        export.make(None, ["litert", "onnx"], tmp_path)
    assert main(["export", "cifar"]) == 2  # a wrong name goes before what is missing
    assert "did you mean 'cifar10'" in capsys.readouterr().err
    assert export.chosen("litert,litert") == ["litert"]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(LabError, match="leave KERAS_BACKEND unset"):
        export.make(None, ["litert"], tmp_path)


def test_what_a_converter_can_not_do_is_one_sentence(exported, tmp_path, monkeypatch, capfd):
    run, _, _ = exported

    def fail(source, path):
        raise RuntimeError("no such operation\nand pages more")

    monkeypatch.setitem(export.FORMATS, "litert", export.Format("model.tflite", fail, print))
    assert main(["export", str(run.path), "--to", str(tmp_path), "--formats", "litert"]) == 1
    assert capfd.readouterr().err.splitlines()[1:] == [
        f"alexnet_tf: {run} can't be exported as litert: RuntimeError: no such operation"
    ]


def test_the_command_prints_a_table(exported, tmp_path, capsys):
    run, _, _ = exported
    copy = shutil.copytree(run.path, tmp_path / "cifar10-bn64" / "quick" / "seed-0")
    words = ["export", str(copy), "--to", str(tmp_path / "to"), "--formats", "saved-model", "--images", "8"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[:3]] == ["format", "keras", "saved-model"]
    assert out[3].startswith("8 test images; differences of accuracy paired")
    assert out[4].startswith("Milliseconds are medians on this machine")
    assert (tmp_path / "to" / "saved-model" / "saved_model.pb").exists()


def test_a_comparison_on_more_images_stays_unless_a_format_is_new(exported, tmp_path, capsys):
    _, found, _ = exported
    file, fewer = tmp_path / "export.json", {**found, "images": 20}
    assert export.keep(file, found)
    assert not export.keep(file, fewer)
    assert json.loads(file.read_text()) == found
    assert f"{file} stays: it compares 40 images" in capsys.readouterr().err
    assert export.keep(file, {**fewer, "formats": {**found["formats"], "another": {}}})
    assert export.keep(file, found)


def test_photographs_are_brought_to_the_size_that_the_network_wants(tmp_path):
    for number, size in enumerate([(60, 40), (30, 50)]):
        Image.new("RGB", size, (10 * number, 200, 30)).save(tmp_path / f"{number}.png")
    files = tuple(str(tmp_path / f"{number}.png") for number in range(2))
    split = Split(np.arange(2, dtype="int32"), np.arange(2), files=files)
    pictures = export._pictures(split, Preprocess(28, crop_from=32))
    assert (pictures.shape, pictures.dtype) == ((2, 32, 32, 3), np.uint8)
    assert pictures[1, 5, 5].tolist() == [10, 200, 30]


def whole(pictures, prepare, name, **options):
    """A small network for use, as a training saves it, with weights that let every layer tell pictures apart."""
    size, narrow = SMALL.get(name, (32, {}))
    network = models.build(name, size, 3, seed=1, **{**narrow, **options})
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if len(weight.shape) > 1:
            inputs = np.prod(weight.shape[:2] if "depthwise" in weight.path else weight.shape[:-1])
            weight.assign(rng.normal(0, (2 / inputs) ** 0.5, weight.shape))
    head = Preprocess(size, name="prepare", **prepare)
    logits, last = network.predict_on_batch(head(pictures)), network.layers[-1]
    if isinstance(last, keras.layers.Dense):
        last.kernel.assign(last.kernel / logits.std(axis=0).mean())
        last.bias.assign(-logits.mean(axis=0) / logits.std(axis=0).mean())
    tail = keras.layers.Activation("softmax", dtype="float32", name="probabilities")
    return keras.Sequential([keras.Input((None, None, 3), dtype="uint8", name="image"), head, network, tail])


CASES = [
    *[({}, name, {}) for name in models.ARCHITECTURES],
    *[({"standardize": kind}, "lenet", {}) for kind in ("symmetric", "per_image", "per_image_uint8")],
    ({"standardize": "mean_color", "crop_from": 72}, "alexnet-2012", {}),
    ({"interpolation": "nearest"}, "bn64", {}),
    ({"resize_first": False, "standardize": "per_image_uint8"}, "bn64", {}),
    ({}, "lab3", {"norm": "lrn", "head": "sigmoid", "activation": "leaky"}),
    ({}, "alexnet-32", {"groups": 2, "norm": "lrn-a", "pooling": "average", "activation": "gelu"}),
    ({}, "alexnet-32", {"norm": "batch-before", "activation": "elu", "flatten": False}),
    ({}, "bn64", {"precision": "mixed_bfloat16"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("prepare", "name", "options"), CASES)
def test_everything_of_the_laboratory_can_leave_it(prepare, name, options, tmp_path):
    rng = np.random.default_rng(0)
    pictures = (rng.integers(0, 256, (40, 32, 32, 3)) * rng.random((40, 1, 1, 3))).astype("uint8")
    model = whole(pictures, prepare, name, **options)
    source = export.Source(export._in_float32(model), pictures)
    answers = model.predict_on_batch(pictures)
    assert answers.std(axis=0).max() > 0.003  # equal answers to all would prove nothing
    for kind, form in export.FORMATS.items():
        form.write(source, tmp_path / form.file)
        given = form.load(tmp_path / form.file)(pictures)
        if kind == "litert-int8":  # roundings add up with depth: far nearer to its own answers than to a neighbour's
            assert np.abs(given - answers).mean() < 0.4 * np.abs(given - np.roll(answers, 1, axis=0)).mean()
        else:
            np.testing.assert_allclose(given, answers, atol=0.05 if "precision" in options else 1e-4)
    assert multiplied(tmp_path / "model-int8.tflite") == {np.int8}

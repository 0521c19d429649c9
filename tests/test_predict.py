"""Photographs of users: a few in memory at a time, each with its own answer."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from alexnet_tf import models, predict
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.quiet import keras


def mean_colour(images, training):
    """Stands for a network: the answer is the picture's colour."""
    return images.mean(axis=(1, 2)) / 255


def test_photographs_are_read_a_few_at_a_time_and_answered_in_order(monkeypatch):
    read, most = [], []
    images = [np.full((4 + i % 3, 5, 3), i, "uint8") for i in range(20)]

    def coming():
        for image in images:
            read.append(image)
            yield image

    def network(batch, training):
        most.append(len(read) - sum(most))
        return mean_colour(batch, training)

    monkeypatch.setattr(predict, "HELD", 400)  # bytes: of pictures of some sixty to ninety
    found = predict.confidences(network, coming())
    np.testing.assert_allclose(found[:, 0] * 255, np.arange(20))
    assert 1 < most[0] < 8
    monkeypatch.setattr(predict, "HELD", 0)
    assert [len(chunk) for chunk in predict._chunks(images)] == [1] * 20


def test_a_wrong_path_is_told_before_a_network_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(predict, "load", None)
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    with pytest.raises(LabError, match="There is no image nowhere"):
        predict.predict([str(tmp_path / "a.png"), "nowhere.png"])


def test_a_mixed_folder_tells_what_it_leaves_out(tmp_path, capsys):
    for name in ("a.jpg", "b.webp", "deep/c.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (5, 5)).save(tmp_path / name)
    (tmp_path / "d.heic").touch()
    assert len(predict.listed([str(tmp_path)])) == 3
    assert f"1 of 4 files in {tmp_path} are left out for their endings (.heic)" in capsys.readouterr().err


@pytest.mark.parametrize("name", predict.released())
def test_what_newer_versions_of_keras_ask_is_left_out_for_older_ones(tmp_path, name):
    """Colab's Keras 3.10 refuses words that it does not know; the released networks were saved with 3.15."""
    file, words = predict.released()[name], {}
    for newer in predict.NEWER.values():
        words.update(newer)
    plain = predict._for_older(file, str(tmp_path), words)
    for path, asked in (file, True), (plain, False):
        with zipfile.ZipFile(path) as parts:
            assert ("quantization_config" in parts.read("config.json").decode()) == asked
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype="uint8")
    one, other = (predict.confidences(predict.load(path), pictures) for path in (file, plain))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_released_network_answers_thousands_of_pictures():
    pictures = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype="uint8")
    answers = predict.confidences(predict.load(predict.released()["cifar10"]), pictures)
    assert answers.shape == (2000, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-3)


def test_every_network_is_read_by_a_process_that_has_built_none(tmp_path):
    """What a saved network needs is registered by loading it, not by what else was imported."""
    from test_models import small

    for name in models.ARCHITECTURES:
        keras.Sequential.from_config(small(name).get_config()).save(tmp_path / f"{name}.keras")  # as runs are saved
    code = "import sys; from pathlib import Path; from alexnet_tf import predict; " + (
        "print(sum(predict.load(path).count_params() > 0 for path in Path(sys.argv[1]).glob('*.keras')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == str(len(models.ARCHITECTURES)), done.stderr


def test_a_damaged_picture_among_others_is_told_and_the_others_are_answered(tmp_path, capsys, monkeypatch):
    for name in "ab":
        Image.new("RGB", (5, 5)).save(tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    monkeypatch.setattr(predict, "find_model", lambda *_: (tmp_path, ["r", "g", "b"]))
    monkeypatch.setattr(predict, "load", lambda _: mean_colour)
    assert main(["predict", str(tmp_path), "--json"]) == 1
    told = capsys.readouterr()
    assert [row["path"] for row in json.loads(told.out)] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert "bad.png can't be read as an image" in told.err
    assert "1 of 3 images have no answer" in told.err
    assert main(["predict", str(tmp_path / "bad.png")]) == 1
    assert "No image could be read" in capsys.readouterr().err


def test_a_picture_that_may_not_be_read_does_not_keep_the_others_from_an_answer(
    tmp_path, capsys, monkeypatch, as_nobody
):
    for name in "ab":
        Image.new("RGB", (5, 5)).save(tmp_path / f"{name}.png")
    (tmp_path / "a.png").chmod(0)
    monkeypatch.setattr(predict, "find_model", lambda *_: (tmp_path, ["r", "g", "b"]))
    monkeypatch.setattr(predict, "load", lambda _: mean_colour)
    with as_nobody(tmp_path):
        assert main(["predict", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{tmp_path / 'b.png'}: ")
    assert f"{tmp_path / 'a.png'}: Permission denied" in told.err


def test_where_no_explanation_can_be_written_nothing_is_asked(tmp_path, capsys, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setattr(predict, "find_model", lambda *_: pytest.fail("it was asked"))
    assert main(["predict", str(tmp_path), "--explain", str(tmp_path / "notes.txt")]) == 1
    assert "where a folder is needed" in capsys.readouterr().err


@pytest.mark.parametrize("tested", ["test", "valid"])
def test_a_split_folder_is_measured_part_by_part(tmp_path, tested):
    for part in "train", tested:
        (tmp_path / part / "cats").mkdir(parents=True)
    with pytest.raises(UsageError, match=f"is split in {', '.join(sorted(['train', tested]))}: name one"):
        predict.measured_on(str(tmp_path))


def test_a_folder_of_some_of_the_classes_is_measured_by_their_names(tmp_path, monkeypatch, capsys):
    for name, colour in ("blue", (0, 0, 255)), ("red", (255, 0, 0)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (5, 5), colour).save(tmp_path / name / "x.png")

    class Colours:
        output_shape = (None, 3)

        def __call__(self, images, training):
            return mean_colour(images, training)

    monkeypatch.setattr(predict, "find_model", lambda *_: (tmp_path / "model.keras", ["red", "green", "blue"]))
    monkeypatch.setattr(predict, "load", lambda _: Colours())
    labels, answers, names = predict.measured_on(str(tmp_path))
    assert [names[label] for label in labels] == [names[answer] for answer in answers] == ["blue", "red"]
    assert "No list says which images taught this network" in capsys.readouterr().err


def test_what_lies_out_of_sight_is_not_asked_about(tmp_path):
    for name in ("a.png", ".thumbs/a.png", "__MACOSX/a.png", "deep/.b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (5, 5)).save(tmp_path / name)
    assert predict.listed([str(tmp_path)]) == [str(tmp_path / "a.png")]
    assert predict.listed([str(tmp_path / "*")]) == [str(tmp_path / "a.png")]  # and no folder is an image

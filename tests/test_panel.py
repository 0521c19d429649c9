"""The panel: a still picture where nobody can click; elsewhere each choice is answered, a wrong file by a sentence."""

import datetime
import io

import ipywidgets
import numpy as np
import pytest
import traitlets
from PIL import Image

from alexnet_tf import paintbox, panel, plots, predict

PICTURES, _ = paintbox.draw(paintbox.OBJECTS, 3, 32, seed=1)
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(scope="module")
def released():
    return predict.load(predict.find_model("cifar10")[0])


@pytest.fixture
def opened(released, monkeypatch):
    """The panel's widgets on three drawn pictures, and what it was asked to show: (picture, layer) each."""
    asked = []
    monkeypatch.delenv("ALEXNET_HEADLESS", raising=False)
    monkeypatch.setattr(panel, "still", lambda model, image, names, layer: asked.append((image, layer)))
    box = panel.explore(released, PICTURES, NAMES)
    return (*box.children[0].children, asked)


def uploaded(content):
    about = {"name": "own", "type": "", "size": len(content), "last_modified": datetime.datetime.now(datetime.UTC)}
    return ({**about, "content": memoryview(content)},)


def test_without_a_reader_a_still_example_is_drawn(released, monkeypatch):
    monkeypatch.setenv("ALEXNET_HEADLESS", "1")
    drawn = panel.explore(released, PICTURES, NAMES)
    assert isinstance(drawn, plots.Figure)
    assert "Grad-CAM at conv4" in repr(drawn)


def test_an_oblong_picture_is_explained_as_the_network_sees_it(released, monkeypatch):
    """All of it, squeezed, where that is how it is answered; not the middle, which may hold something else."""
    asked = []
    monkeypatch.setattr(panel.interpret, "gradcam", lambda model, images, *_: asked.append(images) or images[..., 0])
    oblong = np.concatenate([PICTURES[0], PICTURES[1], PICTURES[2]], axis=1)
    panel.still(released, oblong, NAMES)
    answers = [np.asarray(released(images)) for images in (asked[0], oblong[None])]
    assert asked[0].shape[1] == asked[0].shape[2]
    np.testing.assert_allclose(*answers, atol=0.05)


def test_every_choice_is_answered(opened):
    which, own, where, asked = opened
    assert list(where.options) == [f"conv{number}" for number in range(1, 6)]
    where.value, which.value = "conv1", 1
    content = io.BytesIO()
    Image.fromarray(np.full((50, 40, 3), 200, "uint8")).save(content, "PNG")
    own.value = uploaded(content.getvalue())
    which.value = 2
    assert own.value == ()  # a picture that is chosen again takes the uploaded one's place
    expected = [(0, "conv4"), (0, "conv1"), (1, "conv1"), (None, "conv1"), (2, "conv1")]
    for (image, layer), (place, wanted) in zip(asked[:5], expected, strict=True):
        assert layer == wanted
        np.testing.assert_array_equal(image, np.full((50, 40, 3), 200) if place is None else PICTURES[place])


class UploadOfSeven(ipywidgets.DOMWidget):
    """What an upload is in ipywidgets 7, which Colab has: files by name, and nobody may assign them."""

    accept, description = traitlets.Unicode(), traitlets.Unicode()
    value = traitlets.Dict(read_only=True)


def test_an_older_panel_takes_pictures_too(released, monkeypatch):
    asked = []
    monkeypatch.delenv("ALEXNET_HEADLESS", raising=False)
    monkeypatch.setattr(panel, "still", lambda model, image, names, layer: asked.append(image))
    monkeypatch.setattr(ipywidgets, "FileUpload", UploadOfSeven)
    which, own, _ = panel.explore(released, PICTURES, NAMES).children[0].children
    content = io.BytesIO()
    Image.fromarray(PICTURES[2]).save(content, "PNG")
    own.set_trait("value", {"own.png": {"metadata": {"name": "own.png"}, "content": content.getvalue()}})
    np.testing.assert_array_equal(asked[-1], PICTURES[2])
    which.value = 1
    assert own.value == {}
    np.testing.assert_array_equal(asked[-1], PICTURES[1])


def test_a_file_that_is_no_image_is_one_sentence(opened, capsys):
    _, own, _, asked = opened
    own.value = uploaded(b"no picture")
    assert (
        "What was uploaded can't be read as an image: is it whole, and a JPEG, PNG, WebP, TIFF, BMP or GIF?"
        in capsys.readouterr().out
    )
    assert len(asked) == 1

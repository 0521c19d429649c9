"""Pictures of any size, mode, format and damage: pixels, or told."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_datasets import make_folder

from alexnet_tf.errors import LabError
from alexnet_tf.folders import folder
from alexnet_tf.splits import Split, read_image, some_pixels


@pytest.mark.parametrize("size", [(1, 1), (20_000, 3), (1, 500)])
def test_images_of_any_size_are_taken(tmp_path, size):
    from alexnet_tf import pipeline
    from alexnet_tf.preprocess import Preprocess

    base = make_folder(tmp_path)
    Image.new("RGB", size, (200, 100, 0)).save(base / "cat" / "odd.png")
    split, _, _ = folder(base)
    for preprocess in Preprocess(16), Preprocess(16, crop_from=20):
        images = pipeline.arrays(split, preprocess)
        np.testing.assert_allclose(images[split.ids.tolist().index("cat/odd.png"), 8, 8], [200 / 255, 100 / 255, 0])


def saved(image, path, **options):
    image.save(path, **options)
    return read_image(path)


COLOR = (200, 100, 40)


@pytest.mark.parametrize(
    ("mode", "color", "ending", "shown"),
    [
        ("RGB", COLOR, "png", COLOR),
        ("RGB", COLOR, "bmp", COLOR),
        ("RGB", COLOR, "tif", COLOR),
        ("L", 90, "png", (90, 90, 90)),
        ("1", 1, "png", (255, 255, 255)),
        ("LA", (90, 255), "png", (90, 90, 90)),
        ("RGBA", (*COLOR, 255), "webp", COLOR),
        ("CMYK", (0, 255, 255, 0), "tiff", (255, 0, 0)),
        ("CMYK", (0, 0, 0, 255), "tiff", (0, 0, 0)),
        ("I;16", 25700, "png", (100, 100, 100)),
    ],
)
def test_images_of_any_mode_show_their_colours(mode, color, ending, shown, tmp_path):
    options = {"lossless": True} if ending == "webp" else {}
    pixels = saved(Image.new(mode, (7, 5), color), tmp_path / f"x.{ending}", **options)
    assert pixels.shape == (5, 7, 3)
    np.testing.assert_allclose(pixels, np.broadcast_to(shown, (5, 7, 3)), atol=1)


def dotted(mode):
    """A red dot on nothing, whose hidden colour is black."""
    image = Image.new("RGBA", (5, 5), (0, 0, 0, 0))
    image.putpixel((3, 1), (255, 0, 0, 255))
    image.putpixel((1, 1), (0, 0, 0, 128))
    return image.quantize(4) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "ending"), [("RGBA", "png"), ("RGBA", "webp"), ("LA", "png"), ("P", "png"), ("RGBA", "gif")]
)
def test_what_is_transparent_is_white(mode, ending, tmp_path):
    options = {"lossless": True} if ending == "webp" else {}
    pixels = saved(dotted(mode), tmp_path / f"x.{ending}", **options)
    assert pixels[1, 3].tolist() == ([76] * 3 if mode == "LA" else [255, 0, 0])
    assert (pixels[[0, 4]] == 255).all()
    assert ending == "gif" or abs(pixels[1, 1].astype(int) - 127).max() <= 1  # GIF has no half


def test_one_colour_that_stands_for_nothing_is_white(tmp_path):
    image = Image.new("RGB", (4, 4), (0, 0, 0))
    image.putpixel((2, 0), (10, 20, 30))
    pixels = saved(image, tmp_path / "x.png", transparency=(0, 0, 0))
    assert pixels[0, 2].tolist() == [10, 20, 30]
    assert pixels[3, 3].tolist() == [255, 255, 255]


# Where the camera says that the picture's first row and column belong: (row, column) of the marked corner.
CORNERS = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_photographs_are_turned_upright(orientation, ending, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (48, 32), (20, 20, 20))
    image.paste((240, 20, 20), (0, 0, 16, 16))
    image.paste((20, 240, 20), (16, 0, 48, 16))  # the rest of the first row
    pixels = saved(image, tmp_path / f"x.{ending}", exif=exif).astype(int)
    assert pixels.shape == ((48, 32, 3) if orientation > 4 else (32, 48, 3))
    row, column = CORNERS[orientation]
    np.testing.assert_allclose(pixels[row, column], (240, 20, 20), atol=25)
    end = (-1 - row, column) if orientation > 4 else (row, -1 - column)
    np.testing.assert_allclose(pixels[end], (20, 240, 20), atol=25)


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    Image.fromarray(np.full((4, 4), 32896, "uint16")).save(tmp_path / "x.png")
    assert set(read_image(tmp_path / "x.png").ravel()) == {128}
    levels = np.array([[0, 32896]], "uint16")
    Image.fromarray(levels).save(tmp_path / "x.png", transparency=0)  # what is clear shows white
    assert read_image(tmp_path / "x.png")[0, :, 0].tolist() == [255, 128]


def test_a_bomb_is_not_opened(tmp_path, monkeypatch):
    Image.new("L", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(LabError, match="too many pixels"):
        read_image(tmp_path / "x.png")


def encoded(kind):
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype="uint8")).save(content, kind)
    return content.getvalue()


FILES = {kind: encoded(kind) for kind in ("jpeg", "png", "gif", "bmp", "tiff", "webp")}


@pytest.mark.filterwarnings("ignore")  # decoders warn of what they then refuse
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_an_image_with_any_byte_changed_or_cut_away_is_pixels_or_told(tmp_path, kind, place, flip, cut):
    content = bytearray(FILES[kind])
    number = int(place**3 * len(content))  # most of them in the head
    content[number] ^= flip
    (tmp_path / "x").write_bytes(content[:number] if cut else content)
    try:
        image = read_image(tmp_path / "x")
        assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)
    except LabError as error:
        assert "image" in str(error) or "pixels" in str(error)


def test_what_is_no_image_is_told(tmp_path):
    (tmp_path / "x.jpg").write_text("no image")
    with pytest.raises(LabError, match="can't be read as an image"):
        read_image(tmp_path / "x.jpg")
    with pytest.raises(LabError, match="There is no image"):
        read_image(tmp_path / "y.jpg")
    with pytest.raises(LabError, match=r"^What was uploaded can't be read as an image"):
        read_image(io.BytesIO(b"no image"))


def test_the_colours_of_large_photographs_are_known_from_some_of_their_pixels(tmp_path):
    large = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype="uint8")
    Image.fromarray(large).save(tmp_path / "x.png")
    split = Split(np.arange(600), np.zeros(600, "int64"), files=(str(tmp_path / "x.png"),) * 20 + ("no such",) * 580)
    pixels = some_pixels(split.take(range(20)))
    assert 20 * 9_000 < len(pixels) <= 20 * 10_000
    assert pixels.base is None, "the whole photographs are let go"
    np.testing.assert_allclose(pixels.mean(axis=0), large.reshape(-1, 3).mean(axis=0), atol=2)
    small = np.random.default_rng(0).integers(0, 256, (700, 128, 128, 3), dtype="uint8")
    places = np.linspace(0, 699, 500).astype(int)
    every = some_pixels(Split(np.arange(700), np.zeros(700, "int64"), small))
    np.testing.assert_array_equal(every, small[places].reshape(-1, 3))

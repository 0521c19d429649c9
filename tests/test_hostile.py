"""Hostile and damaged files: code is not run, changed bytes are told, names are only names."""

import contextlib
import json
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf import datasets, reports, runs
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError


def test_a_model_file_with_code_in_it_is_not_run(tmp_path, capsys, monkeypatch):
    from PIL import Image

    from alexnet_tf.quiet import keras

    monkeypatch.chdir(tmp_path)
    code = keras.layers.Lambda(lambda x: (open("TARGET", "w").close(), x)[1])  # noqa: PTH123
    keras.Sequential([keras.Input((4,)), code]).save(tmp_path / "hostile.keras")
    (tmp_path / "TARGET").unlink()  # building the layer has run it
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    assert main(["predict", str(tmp_path / "x.png"), "--model", str(tmp_path / "hostile.keras")]) == 1
    assert "no model that this version can read" in capsys.readouterr().err
    assert not (tmp_path / "TARGET").exists()


def test_a_model_file_that_asks_for_a_function_is_not_run(tmp_path):
    """Keras 3.10 would let a Lambda of its own `get_file` through, which copies whatever it is told to."""
    from alexnet_tf import predict
    from alexnet_tf.quiet import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(abs)]).save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as plain:
        parts = {name: plain.read(name) for name in plain.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][-1]["config"] = {
        "name": "copy",
        "function": {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": ""},
        "arguments": {"origin": (tmp_path / "plain.keras").as_uri(), "cache_dir": str(tmp_path / "copied")},
    }
    with zipfile.ZipFile(tmp_path / "hostile.keras", "w") as hostile:
        for name, content in {**parts, "config.json": json.dumps(config).encode()}.items():
            hostile.writestr(name, content)
    with pytest.raises(LabError, match="no model that this version can read") as told:
        predict.load(tmp_path / "hostile.keras")
    assert "asks for a" in str(told.value.__cause__)
    assert not (tmp_path / "copied").exists()


def test_a_model_file_with_any_byte_changed_is_read_or_told(tmp_path):
    from alexnet_tf import predict
    from alexnet_tf.quiet import keras

    file = tmp_path / "m.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(file)
    content = file.read_bytes()

    @settings(max_examples=20)
    @given(st.integers(0, len(content) - 1), st.integers(1, 255), st.booleans())
    def damage(place, flip, cut):
        damaged = bytearray(content)
        damaged[place] ^= flip
        file.write_bytes(damaged[:place] if cut else damaged)
        try:
            assert predict.load(file).output_shape == (None, 2)
        except LabError as error:
            assert "no model that this version can read" in str(error)

    damage()


@pytest.mark.parametrize("content", ["no list", "[1, 2]", '{"a": 1}', '["only one"]'])
def test_class_names_beside_a_model_are_as_many_as_its_classes(tmp_path, content):
    from PIL import Image

    from alexnet_tf import predict
    from alexnet_tf.quiet import keras

    layers = [keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(LabError, match=r"no list of class names|has 3 classes, and 1 names"):
        predict.predict([str(tmp_path / "x.png")], str(tmp_path / "m.keras"))


HOSTILE = "<img src=x onerror=alert(1)>"


def rendered(tmp_path, cell):
    import nbformat

    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "x.ipynb")
    return reports.render(tmp_path / "x.ipynb").read_text()


def test_a_class_folder_named_like_html_is_escaped_in_reports(tmp_path):
    """Printed by a notebook, and as a table."""
    import nbformat
    import pandas as pd
    from test_datasets import make_folder

    make_folder(tmp_path / "photos", classes=(HOSTILE, "b"), count=20)
    names = datasets.load(str(tmp_path / "photos")).class_names
    assert HOSTILE in names
    cell = nbformat.v4.new_code_cell("names")
    table = {"text/html": pd.DataFrame({"class": names})._repr_html_()}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=str(names)),
        nbformat.v4.new_output("display_data", table),
    ]
    page = rendered(tmp_path, cell)
    assert not re.search("<img [^>]*onerror", page)
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2


@pytest.mark.parametrize("name", [HOSTILE, f"a\n```\n{HOSTILE}", "[b](javascript:alert(1))", f"`{HOSTILE}`"])
def test_a_folder_or_class_named_like_html_is_only_a_name_in_a_fine_tunings_page(make_run, tmp_path, name):
    import nbformat

    from alexnet_tf import finetune

    rights = [np.arange(60) < count for count in (30, 40, 45, 50)]
    *head, whole = [make_run("cifar10-simple", right, overrides={"epochs": n}) for n, right in enumerate(rights, 1)]
    for size, run in zip((10, 20, 40, 40), [*head, whole], strict=True):
        run.record["class_names"] = [name, "other"]
        run.record["images"]["train"] = size
    finetune._report(finetune.Tuned(tmp_path, head, whole), f"/photos/{name}", "a network")
    page = rendered(tmp_path, nbformat.v4.new_markdown_cell((tmp_path / "report.md").read_text()))
    assert not re.search("<img [^>]*onerror", page)
    assert 'javascript:alert(1)"' not in page
    assert page.count("alert(1)") >= 3  # heading, mistakes and table still name it


@pytest.mark.parametrize("place", range(0, 400, 37))
def test_flipped_bits_in_a_record_never_pass_as_a_run(make_run, tmp_path, place):
    run = make_run("cifar10-simple", np.arange(50) < 30)
    file = run.path / "outputs.npz"
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x40
    file.write_bytes(bytes(content))
    again = next(iter(runs.listing(tmp_path)))
    try:
        outputs = again.outputs
    except Exception as error:
        assert type(error).__name__ == "LabError", error
    else:  # the flip hit a byte that carries no content
        np.testing.assert_array_equal(outputs["test_logits"], run.outputs["test_logits"])


def test_a_file_that_would_unpack_to_far_more_than_it_is_is_not_opened(tmp_path):
    """A gigabyte of zeros in one megabyte; while a record of a million like answers is read."""
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array_header_1_0(entry, {"descr": "|u1", "fortran_order": False, "shape": (10**9,)})
        for _ in range(100):
            entry.write(bytes(10**7))
    with pytest.raises(LabError, match=r"holds 1\.0 MB and would unpack to 1,000 MB"):
        runs.read_arrays(bomb, "The outputs")
    np.savez_compressed(tmp_path / "plain.npz", answers=np.zeros(10**6))
    assert runs.read_arrays(tmp_path / "plain.npz", "The outputs")["answers"].shape == (10**6,)


def test_any_bytes_are_arrays_or_told(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", a=np.arange(9), b=np.array("text"))
    whole = (tmp_path / "whole.npz").read_bytes()

    @settings(max_examples=300)
    @given(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=3), st.booleans())
    def read(place, other, cut):
        damaged = whole[:place] + other + (b"" if cut else whole[place + len(other) :])
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with contextlib.suppress(LabError):
            assert runs.read_arrays(tmp_path / "damaged.npz", "The outputs").keys() <= {"a", "b"}

    read()

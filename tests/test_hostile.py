"""Hostile and damaged files: code is not run, changed bytes are told, names are only names."""

import contextlib
import json
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf import datasets, files, predict, reports, runs
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.splits import Split, Splits


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


@pytest.mark.parametrize("kind", sorted(predict.CODE))
def test_no_part_that_runs_code_is_asked_for(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
        file.writestr("config.json", json.dumps({"config": {"layers": [{"class_name": kind}]}}))
    with pytest.raises(LabError) as told:
        predict.load(tmp_path / "model.keras")
    assert str(told.value.__cause__) == f"it asks for a {kind}"


def test_arrays_that_would_run_code_are_refused(tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path / "TARGET").touch, ()

    np.savez(tmp_path / "outputs.npz", test_logits=np.array([Payload()], object))
    with pytest.raises(LabError):
        files.read_arrays(tmp_path / "outputs.npz", "the run")
    assert not (tmp_path / "TARGET").exists()


@pytest.mark.parametrize("bomb", ["config.json", "model.weights.h5"])
def test_a_model_file_that_unpacks_without_end_is_refused(tmp_path, bomb):
    from alexnet_tf.quiet import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as plain:
        parts = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            more = 11_000_000 if bomb == "config.json" else 70_000_000
            packed.writestr(name, content + b" " * more if name == bomb else content)
        if bomb == "config.json":  # not for its growth as a whole
            packed.writestr("noise", np.random.default_rng(0).bytes(1_000_000))
    with pytest.raises(LabError, match="no model that this version can read") as told:
        predict.load(tmp_path / "bomb.keras")
    assert ("its layers alone" if bomb == "config.json" else "would unpack to 70 MB") in str(told.value.__cause__)


def test_a_model_file_with_any_byte_changed_is_read_or_told(tmp_path):
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
    tested = Split(np.arange(60), whole.outputs["test_labels"], np.zeros((60, 8, 8, 3), "uint8"))
    splits = Splits(tested, None, tested, (name, "other"))
    finetune._report(finetune.Tuned(tmp_path, head, whole), f"/photos/{name}", "a network", splits)
    page = rendered(tmp_path, nbformat.v4.new_markdown_cell((tmp_path / "report.md").read_text()))
    assert not re.search("<img [^>]*onerror", page)
    assert 'javascript:alert(1)"' not in page
    assert page.count("alert(1)") >= 3  # heading, mistakes and table still name it


@pytest.mark.parametrize("place", range(0, 400, 37))
def test_flipped_bits_in_a_record_never_pass_as_a_run(make_run, tmp_path, place):
    run = make_run("cifar10-simple", np.arange(50) < 30)
    file, whole = run.path / "outputs.npz", run.outputs["test_logits"]
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 0x40
    file.write_bytes(bytes(content))
    again = next(iter(runs.listing(tmp_path)))
    try:
        outputs = again.outputs
    except Exception as error:
        assert type(error).__name__ == "LabError", error
    else:  # the flip hit a byte that carries no content
        np.testing.assert_array_equal(outputs["test_logits"], whole)


def test_a_file_that_would_unpack_to_far_more_than_it_is_is_not_opened(tmp_path):
    """A gigabyte of zeros in one megabyte; while a record of a million like answers is read."""
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array_header_1_0(entry, {"descr": "|u1", "fortran_order": False, "shape": (10**9,)})
        for _ in range(100):
            entry.write(bytes(10**7))
    with pytest.raises(LabError, match=r"holds 1\.0 MB and would unpack to 1,000 MB"):
        files.read_arrays(bomb, "The outputs")
    np.savez_compressed(tmp_path / "plain.npz", answers=np.zeros(10**6))
    assert files.read_arrays(tmp_path / "plain.npz", "The outputs")["answers"].shape == (10**6,)


def test_any_bytes_are_arrays_or_told(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", a=np.arange(9), b=np.array("text"))
    whole = (tmp_path / "whole.npz").read_bytes()

    @settings(max_examples=300)
    @given(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=3), st.booleans())
    def read(place, other, cut):
        damaged = whole[:place] + other + (b"" if cut else whole[place + len(other) :])
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with contextlib.suppress(LabError):
            assert files.read_arrays(tmp_path / "damaged.npz", "The outputs").keys() <= {"a", "b"}

    read()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def saver(tmp_path):
    """What saves and loads the state of a tiny network."""
    from types import SimpleNamespace

    from alexnet_tf.callbacks import SaveState
    from alexnet_tf.quiet import keras

    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    (tmp_path / "scratch").mkdir()
    found = SaveState(runs.Run(tmp_path / "r" / "b" / "seed-0", tmp_path / "scratch"), SimpleNamespace(), {})
    found.set_model(network)
    found.save()
    return found


def test_any_state_of_a_training_is_gone_on_from_or_told(saver):
    file, whole = saver.run.state, saver.run.state.read_bytes()
    with np.load(file) as arrays:
        known = dict(arrays)
    about = json.loads(str(known.pop("about")))

    @given(st.sampled_from([*about, None]), ANY, st.integers(0, len(whole) - 1), st.integers(1, 255))
    def load(key, value, place, flip):
        damaged = bytearray(whole)
        damaged[place] ^= flip
        file.write_bytes(damaged)
        with contextlib.suppress(LabError):
            saver.load()
        np.savez(file, about=json.dumps({**about, key: value} if key else value), **known)
        with contextlib.suppress(LabError):
            assert saver.load() == len(saver.history)

    load()


def test_an_index_that_is_damaged_is_made_again(tmp_path, monkeypatch):
    from test_prepared import picture, prepare

    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    home = prepare(tmp_path, "cifar10", {"test": [picture(i, (8, 8, 3)) for i in range(4)]}, (8, 8, 3), 10)
    places, labels = datasets._indexed(home, "test")
    (kept,) = (tmp_path / "cache" / "indexes").iterdir()
    whole = kept.read_bytes()

    @settings(max_examples=40)
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255), st.booleans())
    def damage(place, flip, cut):
        damaged = bytearray(whole)
        damaged[place] ^= flip
        kept.write_bytes(damaged[:place] if cut else damaged)
        found = datasets._indexed(home, "test")
        assert found[0] == places
        np.testing.assert_array_equal(found[1], labels)

    damage()


NUMBERS = st.sampled_from(["1", "1e999", "-Infinity", "NaN", "true", "0.1", "9" * 400, "9" * 5000, "[" * 9000])


@given(st.text(max_size=30) | st.tuples(NUMBERS, NUMBERS).map(lambda two: f"learning_rate={two[0]}..{two[1]}"))
def test_any_axis_of_a_search_is_one_or_told(text):
    from alexnet_tf.search import axis

    with contextlib.suppress(UsageError):
        found = axis(text)
        assert str(found)
        assert found.choices or (np.isfinite([found.low, found.high]).all() and found.low < found.high)
        assert found.by_factors in (True, False)


HOSTS = st.text("node[0-9],-] \n\u0663\u00b2", max_size=30)
COUNTS = st.sampled_from(["2", "1", "0", "-1", "x", "", "\u00b2", "\u0663", "9" * 5000, "1.5"])


@given(HOSTS, COUNTS, COUNTS, COUNTS)
def test_whatever_slurm_sets_is_a_seat_or_told(nodes, tasks, process, job):
    from alexnet_tf.cluster import Seat, find

    names = ("SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_ID")
    told = dict(zip(names, (nodes, tasks, process, job), strict=True))
    with contextlib.suppress(UsageError):
        assert isinstance(find(environment={**told, "KERAS_BACKEND": "jax"}), Seat)


@pytest.mark.parametrize("kind", ["classes.json", "label.labels.txt"])
@given(content=st.binary(max_size=40) | ANY.map(lambda value: json.dumps(value).encode()))
def test_any_list_of_class_names_is_one_or_told(tmp_path, kind, content):
    from alexnet_tf import predict, prepared

    (tmp_path / kind).write_bytes(content)
    with contextlib.suppress(LabError):
        beside = kind == "classes.json"
        names = predict._classes_beside(tmp_path / "m.keras") if beside else prepared.class_names(tmp_path, ("a", "b"))
        assert all(isinstance(name, str) for name in names)


def test_class_names_that_are_no_utf8_or_too_few_are_told(tmp_path):
    from alexnet_tf import prepared

    for content, told in (b"caf\xe9\n", "holds no text in UTF-8"), (b"a\n", "names 1 of 2 classes"):
        (tmp_path / "label.labels.txt").write_bytes(content)
        with pytest.raises(LabError, match=told):
            prepared.class_names(tmp_path, ("a", "b"))

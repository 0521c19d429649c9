"""Splits, protocols, folders, and errors with a remedy."""

import os
import re
import shutil
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from alexnet_tf import datasets, folders
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.folders import folder
from alexnet_tf.splits import Split, Splits, fold, read_image, split_off, stratified


def make_folder(base, classes=("cat", "dog"), count=3):
    for number, name in enumerate(classes):
        (base / name).mkdir(parents=True)
        for i in range(count):
            image = Image.new("RGB", (20 + i, 30), (number * 100, i * 50, 0))
            own = zlib.crc32(str(base / name).encode()).to_bytes(4)  # no two folders hold copies
            image.putpixel((0, 0), tuple(own[:3]))
            image.putpixel((1, 0), (own[3], 0, 0))
            image.save(base / name / f"{i}.png")
    return base


def test_the_honest_protocol_holds_out_a_fixed_stratified_tenth():
    whole, honest = datasets.load("paintbox"), datasets.load("paintbox", "honest")
    again = datasets.load("paintbox", "honest")
    assert whole.val is None
    assert whole.monitored is whole.test
    assert len(honest.val) == len(whole.train) // 10
    assert set(np.bincount(honest.val.labels)) == {len(honest.val) // 10}
    assert not set(honest.val.ids) & set(honest.train.ids)
    assert set(honest.val.ids) | set(honest.train.ids) == set(whole.train.ids)
    np.testing.assert_array_equal(honest.val.ids, again.val.ids)
    assert honest.monitored is honest.val


def test_folds_are_stratified_and_meet_every_image_once():
    whole = datasets.load("paintbox-flowers")
    folds = [datasets.load("paintbox-flowers", part=(i, 4)) for i in range(4)]
    tested = [identity for one in folds for identity in one.test.ids]
    assert len(tested) == len(set(tested)) == len(whole.train) + len(whole.test)
    for one in folds:
        assert not set(one.train.ids) & set(one.test.ids)
        counts = np.bincount(one.test.labels)
        assert counts.max() - counts.min() <= 1
    with pytest.raises(LabError, match="No class has enough images for 7 parts, at most 3"):
        fold(Splits(whole.train.take(np.arange(6)), None, whole.train.take(np.arange(0)), whole.class_names), 0, 7)
    inner = [datasets.load("paintbox-flowers", "honest", held=(i, 3)) for i in range(3)]
    assert sorted(str(i) for one in inner for i in one.val.ids) == sorted(map(str, whole.train.ids))
    assert all(set(one.test.ids) == set(whole.test.ids) and not set(one.val.ids) & set(one.train.ids) for one in inner)
    place = [str(i) for i in folds[2].test.ids].index(str(folds[2].test.ids[5]))
    source, _, rest = str(folds[2].test.ids[5]).partition("-")
    split = whole.train if source == "a" else whole.test
    np.testing.assert_array_equal(folds[2].test.image(place), split.image(split.ids.tolist().index(rest)))


def test_training_images_are_taken_in_proportion():
    splits = datasets.load("paintbox", train_images=100)
    assert set(np.bincount(splits.train.labels)) == {10}
    with pytest.raises(LabError, match=r"between 1 and 4000 .* received 5000"):
        datasets.load("paintbox", train_images=5000)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.floats(0, 1), st.integers(0, 5))
def test_any_part_is_held_out_in_proportion_and_nothing_is_lost(labels, share, seed):
    split = Split(np.arange(len(labels)) + 100, np.array(labels), np.zeros((len(labels), 1, 1, 3), "uint8"))
    kept, held = split_off(split, share)
    assert len(held) == round(share * len(labels))
    assert sorted([*kept.ids, *held.ids]) == split.ids.tolist()
    chosen = stratified(split.labels, len(held), seed)
    assert len(set(chosen)) == len(held)
    for label in set(labels):
        wanted = len(held) / len(labels) * labels.count(label)
        assert abs((split.labels[chosen] == label).sum() - wanted) <= 2


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 30))
def test_folds_of_any_number_meet_every_example_once(of, each, more):
    labels = np.r_[np.tile(np.arange(3), of * each), np.zeros(more, int)]
    half = len(labels) // 2
    parts = [
        Split(np.arange(len(some)), some, np.zeros((len(some), 1, 1, 3), "uint8"))
        for some in (labels[:half], labels[half:])
    ]
    whole = Splits(parts[0], None, parts[1], ("a", "b", "c"))
    folds = [fold(whole, which, of) for which in range(of)]
    assert len({identity for one in folds for identity in one.test.ids}) == len(labels)
    for one in folds:
        assert not set(one.train.ids) & set(one.test.ids)
        assert len(one.train) + len(one.test) == len(labels)
        np.testing.assert_allclose(np.bincount(one.test.labels, minlength=3), np.bincount(labels) / of, atol=1)


def test_the_fingerprint_sees_every_pixel():
    splits = datasets.load("paintbox", train_images=50)
    changed = splits.train.images.copy()
    changed[7, 3, 3, 0] ^= 1
    other = Splits(Split(splits.train.ids, splits.train.labels, changed), None, splits.test, splits.class_names)
    assert splits.fingerprint() != other.fingerprint()
    assert splits.fingerprint() == datasets.load("paintbox", train_images=50).fingerprint()


def test_unknown_names_get_a_hint():
    with pytest.raises(UsageError, match="did you mean 'paintbox'"):
        datasets.load("paintbax")
    with pytest.raises(UsageError, match="did you mean 'honest'"):
        datasets.load("paintbox", "honst")


@pytest.mark.parametrize("name", datasets.WANTED)
def test_missing_data_are_an_error_with_the_remedy(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    assert datasets.found(name) is None
    with pytest.raises(LabError, match=f"dataset {name} is not there.*{tmp_path.name}.*quick"):
        datasets.load(name)


def test_a_folder_of_class_folders(tmp_path):
    split, names, skipped = folder(make_folder(tmp_path))
    assert (names, skipped) == (("cat", "dog"), ())
    assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert split.image(1).shape == (30, 21, 3)
    assert split.take([4]).files == (split.files[4],)


def test_odd_folders_are_told(tmp_path):
    with pytest.raises(LabError, match="There is no folder"):
        folder(tmp_path / "nowhere")
    with pytest.raises(LabError, match="1 class folder"):
        folder(make_folder(tmp_path / "one", classes=("cat",)))
    (make_folder(tmp_path / "two") / "empty").mkdir()
    with pytest.raises(LabError, match="empty holds no image"):
        folder(tmp_path / "two")


@pytest.mark.parametrize("name", ["__MACOSX", ".ipynb_checkpoints"])
def test_what_others_put_beside_classes_is_no_class(tmp_path, name):
    (make_folder(tmp_path / "train") / name).mkdir()
    (tmp_path / name).mkdir()
    assert folder(tmp_path / "train")[1] == ("cat", "dog")
    assert folders.own_folder(tmp_path).class_names == ("cat", "dog")


def spoil(base):
    """Six files that no decoder takes, among the good ones."""
    good = (base / "cat" / "0.png").read_bytes()
    Image.new("RGB", (64, 64), (9, 9, 9)).save(base / "dog" / "whole.jpg")
    photo = (base / "dog" / "whole.jpg").read_bytes()
    for name, content in {
        "cat/cut.png": good[: len(good) // 2], "cat/empty.png": b"", "cat/text.jpg": b"no image",
        "dog/cut.jpg": photo[:-200], "dog/noise.gif": b"GIF89a" + bytes(9), "dog/page.jpeg": b"<html></html>",
    }.items():  # fmt: skip
        (base / name).write_bytes(content)
    return base


def test_damaged_files_are_named_and_counted_and_skipped_only_when_asked(tmp_path):
    base = spoil(make_folder(tmp_path / "photos"))
    with pytest.raises(LabError, match=r"6 of 13 files .* cat/cut\.png, .*, ….*--skip-damaged"):
        datasets.load(f"{base}")
    split, _, skipped = folder(base, skip_damaged=True)
    assert (len(split), len(skipped)) == (7, 6)
    assert all(split.image(place).shape[2] == 3 for place in range(7))
    for file in (base / "cat").glob("?.png"):
        file.unlink()
    with pytest.raises(LabError, match="cat holds no image"):
        folder(base, skip_damaged=True)


def test_what_no_reader_can_show_is_damaged_too(tmp_path):
    base = make_folder(tmp_path / "photos")
    Image.fromarray(np.ones((8, 8), "float32")).save(base / "cat" / "deep.tiff")
    with pytest.raises(LabError, match=r"1 of 7 files .* cat/deep\.tiff"):
        folder(base)
    assert folder(base, skip_damaged=True)[2] == ("cat/deep.tiff",)


def test_a_large_folder_is_opened_file_by_file_only_when_damaged_ones_shall_be_left_out(tmp_path, monkeypatch):
    base = spoil(make_folder(tmp_path / "photos"))
    monkeypatch.setattr(folders, "CHECKED", 5)
    assert len(folder(base)[0]) == 13
    split, _, skipped = folder(base, skip_damaged=True)
    assert (len(split), len(skipped)) == (7, 6)


def test_hidden_and_deeper_files_are_no_images_of_a_class(tmp_path, capsys):
    base = make_folder(tmp_path)
    (base / "cat" / "._0.png").write_bytes(b"what macOS keeps beside a file")
    (base / "dog" / "more").mkdir()
    Image.new("RGB", (5, 5)).save(base / "dog" / "more" / "x.png")
    assert len(folder(base)[0]) == 6
    assert f"1 folder(s) inside the classes of {base} are left out, such as dog/more" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
def test_a_name_that_is_no_text_is_told(tmp_path):
    base = make_folder(tmp_path)
    (base / "cat" / "0.png").rename(os.fsdecode(os.fsencode(base / "cat") + b"/caf\xe9.png"))
    with pytest.raises(LabError, match=r"caf.*png' is not in UTF-8: rename it \(1 such files\)"):
        folder(base)


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_a_folder_of_test_images_has_many_names(tmp_path, name):
    for part, count in ("train", 4), (name, 2):
        make_folder(tmp_path / part, count=count)
    splits = datasets.load(str(tmp_path))
    assert (len(splits.train), len(splits.test)) == (8, 4)


def test_train_alone_is_split_and_of_two_test_folders_one_is_left_out_and_named(tmp_path, capsys):
    make_folder(tmp_path / "one" / "train", count=9)
    assert len(datasets.load(str(tmp_path / "one")).test) == 6
    for part, count in {"train": 4, "val": 2, "test": 3}.items():
        make_folder(tmp_path / "three" / part, count=count)
    assert len(datasets.load(str(tmp_path / "three")).test) == 6
    assert "val is left out" in capsys.readouterr().err
    make_folder(tmp_path / "vehicles", classes=("train", "ship"), count=9)
    assert datasets.load(str(tmp_path / "vehicles")).class_names == ("ship", "train")


def test_every_class_of_a_folder_is_tested_and_learned(tmp_path):
    make_folder(tmp_path, classes=("common",), count=190)
    make_folder(tmp_path, classes=("rare",), count=2)
    splits = datasets.load(str(tmp_path))
    assert [np.bincount(part.labels, minlength=2).min() for part in (splits.train, splits.test)] == [1, 1]
    (tmp_path / "rare" / "0.png").unlink()
    datasets._whole.cache_clear()
    with pytest.raises(LabError, match="no two images show rare"):
        datasets.load(str(tmp_path))


def test_copies_alone_teach_no_class(tmp_path):
    make_folder(tmp_path / "flat" / "a", classes=(".",))
    shutil.copytree(tmp_path / "flat" / "a", tmp_path / "flat" / "b")
    with pytest.raises(LabError, match="no two images show b"):
        datasets.load(str(tmp_path / "flat"))
    make_folder(tmp_path / "split" / "train")
    shutil.copytree(tmp_path / "split" / "train", tmp_path / "split" / "val")
    with pytest.raises(LabError, match="no image of cat, dog is left"):
        datasets.load(str(tmp_path / "split"))


def test_skipping_is_for_folders(tmp_path):
    with pytest.raises(UsageError, match="--skip-damaged is for a folder of your own"):
        datasets.load("paintbox", skip_damaged=True)


def test_a_folder_of_ones_own_is_a_dataset(tmp_path):
    flat = make_folder(tmp_path / "flat", count=30)
    splits = datasets.load(str(flat), "honest")
    assert (len(splits.train), len(splits.val), len(splits.test)) == (36, 4, 20)  # a third, of so few
    assert set(np.bincount(splits.test.labels)) == {10}
    assert len(datasets.load(str(make_folder(tmp_path / "more", count=150))).test) == 60
    assert len(datasets.load(str(make_folder(tmp_path / "many", count=350))).test) == 70  # a tenth
    make_folder(tmp_path / "split" / "train", count=4)
    make_folder(tmp_path / "split" / "test", count=2)
    splits = datasets.load(str(tmp_path / "split"))
    assert (len(splits.train), len(splits.test)) == (8, 4)
    for file in (tmp_path / "split" / "train" / "cat").iterdir():
        file.with_stem(f"{file.stem}-more").write_bytes(b"x" + file.read_bytes())
        break
    with pytest.raises(LabError, match="1 of 9 files"):
        datasets.load(str(tmp_path / "split"))
    (tmp_path / "split" / "test" / "dog").rename(tmp_path / "split" / "test" / "cow")
    next((tmp_path / "split" / "train" / "cat").glob("*-more*")).unlink()
    with pytest.raises(LabError, match=r"has the classes .*make them equal"):
        datasets.load(str(tmp_path / "split"))


def test_a_folder_without_permission_is_told(tmp_path, as_nobody):
    base = make_folder(tmp_path)
    (base / "dog").chmod(0)
    with as_nobody(tmp_path), pytest.raises(PermissionError, match="dog"):
        datasets.load(f"{base}/")


def test_labels_and_pixels_are_checked():
    ids, images = np.arange(4), np.zeros((4, 8, 8, 3), "uint8")
    whole = Split(ids, np.array([0, 1, 2, 3]), images)
    with pytest.raises(LabError, match="from 0 to 2; received 0 to 3"):
        Splits(whole, None, whole, ("a", "b", "c"))
    minus = Split(ids, np.array([0, 1, 2, -1]), images)
    with pytest.raises(LabError, match="received -1 to 2"):
        Splits(whole, None, minus, ("a", "b", "c", "d"))
    with pytest.raises(LabError, match=r"whole numbers; received float64"):
        Split(ids, np.zeros(4), images)
    with pytest.raises(LabError, match=r"uint8 .* received float32"):
        Split(ids, np.arange(4), images.astype("float32"))
    with pytest.raises(LabError, match=r"in RGB; received uint8 of shape \(4, 8, 8, 1\)"):
        Split(ids, np.arange(4), images[..., :1])
    with pytest.raises(LabError, match=r"4 images; received 3"):
        Split(ids, np.arange(3), images)


def test_files_left_out_for_their_endings_are_counted(tmp_path, capsys):
    base = make_folder(tmp_path)
    Image.new("RGB", (5, 5)).save(base / "cat" / "a.webp")
    Image.new("RGB", (5, 5)).save(base / "dog" / "b.TIF", "TIFF")
    split, _, _ = folder(base)
    assert {"cat/a.webp", "dog/b.TIF"} <= set(split.ids.tolist())
    assert not capsys.readouterr().err
    for name in ("x.heic", "notes.txt", ".hidden"):
        (base / "cat" / name).write_text("")
    assert len(folder(base)[0]) == len(split)
    assert "2 of 10 files in" in (told := capsys.readouterr().err)
    assert "are left out for their endings (.heic, .txt): images end in .jpg" in told


def test_a_damaged_cifar10_is_told(tmp_path, monkeypatch):
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    monkeypatch.setenv("ALEXNET_DATA_DIR", str(tmp_path))
    with pytest.raises(LabError, match="dataset cifar10 is not there"):
        datasets.load("cifar10")
    (tmp_path / "cifar10" / "3.0.2" / "dataset_info.json").write_text("nonsense")
    with pytest.raises(LabError, match=r"damaged .*prepare it anew"):
        datasets.load("cifar10")


@pytest.mark.data
def test_cifar10_is_the_real_one():
    splits = datasets.load("cifar10")
    assert (len(splits.train), len(splits.test)) == (50_000, 10_000)
    assert [splits.class_names[i] for i in splits.test.labels[:4]] == ["cat", "ship", "ship", "airplane"]
    means = splits.train.images.reshape(-1, 3).mean(axis=0, dtype="float64") / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)
    assert set(np.bincount(splits.train.labels)) == {5000}


@pytest.mark.data
def test_flowers_are_a_folder_of_photographs():
    splits = datasets.load("flowers")
    assert (len(splits.train), len(splits.test)) == (3306, 364)
    assert splits.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert splits.train.image(0).shape[-1] == 3


def test_copies_are_not_both_learned_and_tested(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for kind in "ab":
        (tmp_path / kind).mkdir()
        for place in range(12):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype="uint8")
            for name in f"{place}.png", f"{place}-copy.png":
                Image.fromarray(pixels).save(tmp_path / kind / name)
    splits = datasets.load(str(tmp_path))
    assert len(splits.train) + len(splits.test) == 24
    assert not set(splits.train.digests()) & set(splits.test.digests())
    assert re.search(r"24 of 48 photographs are copies of others, such as \w/\d+\.png", capsys.readouterr().err)
    apart = tmp_path / "apart"
    for part in "train", "test":
        shutil.copytree(tmp_path / "a", apart / part / "a")
        shutil.copytree(tmp_path / "b", apart / part / "b")
    for grey, kind in enumerate("ab"):
        Image.fromarray(np.full((8, 8, 3), grey, "uint8")).save(apart / "train" / kind / "new.png")
    splits = datasets.load(str(apart))
    assert splits.train.ids.tolist() == ["a/new.png", "b/new.png"]
    assert len(splits.test) == 48


@pytest.mark.parametrize(("mode", "dtype"), [("F", "float32"), ("I", "int32")])
def test_a_picture_of_32_bits_a_pixel_is_not_read_as_black(tmp_path, mode, dtype):
    pixels = np.linspace(0, 1 if mode == "F" else 255, 64).reshape(8, 8).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    with pytest.raises(LabError, match="32 bits a pixel"):
        read_image(tmp_path / "x.tif")


def test_fewer_training_images_are_none_of_those_held_out():
    whole, few = (datasets.load("paintbox", "honest", images) for images in (None, 1000))
    assert few.val.ids.tolist() == whole.val.ids.tolist()
    assert set(few.train.ids) <= set(whole.train.ids)


def test_the_fingerprint_sees_both_parts_and_their_labels():
    images = np.zeros((4, 2, 2, 3), "uint8")
    other = images.copy()
    other[3, 1, 1, 2] = 1

    def of(train=images, test=images, labels=(0, 1, 0, 1)):
        parts = Split(np.arange(4), np.array(labels), train), Split(np.arange(4), np.array([0, 1, 0, 1]), test)
        return Splits(parts[0], None, parts[1], ("a", "b")).fingerprint()

    assert len({of(), of(train=other), of(test=other), of(labels=(1, 1, 0, 0))}) == 4


def test_the_fingerprint_sees_a_photograph_that_was_edited(tmp_path):
    def of(content):
        (tmp_path / "x.png").write_bytes(content)
        part = Split(np.arange(1), np.zeros(1, int), files=(str(tmp_path / "x.png"),))
        return Splits(part, None, part, ("a",)).fingerprint()

    assert of(b"one") != of(b"two")

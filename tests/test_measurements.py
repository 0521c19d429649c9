"""Measurements are made once, kept beside the run, and say what to do when the weights are gone."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from alexnet_tf import corruptions, datasets, evaluation, interpret, measurements, predict, runs, training
from alexnet_tf.__main__ import main
from alexnet_tf.errors import LabError
from alexnet_tf.models import transfer
from alexnet_tf.splits import Split, Splits

TINY = {"train_images": 60, "epochs": 1, "batch_size": 16, "options.width": 0.05, "options.dense_units": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path_factory.mktemp("runs"))
    whole = datasets.load("paintbox", train_images=60)
    return run, Splits(whole.train, None, whole.test.take(np.arange(40)), whole.class_names)


def test_what_was_measured_is_read_and_not_measured_again(trained):
    run, _ = trained
    first = measurements.measured(run, "x", lambda model: {"n": np.array(len(model.layers))})
    again = measurements.measured(run, "x", lambda model: pytest.fail("measured twice"))
    assert first["n"] == again["n"] > 0
    assert (run.path / "measurements" / "x.npz").exists()
    other = measurements.measured(run, "x", lambda model: {"n": np.array(-1)}, inputs=[1, "other"])
    assert other["n"] == -1


def test_without_weights_the_command_is_told(trained):
    run, _ = trained
    hidden = run.weights.rename(run.weights.with_name("away"))
    try:
        with pytest.raises(
            LabError, match=r"train cifar10-bn64 --budget quick --seed 0 --protocol source --set .* --fresh"
        ):
            measurements.measured(run, "y", lambda model: {})
    finally:
        hidden.rename(run.weights)


def test_what_was_measured_of_replaced_weights_is_not_kept(tmp_path):
    run = training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path)

    def compute(model):
        training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path, fresh=True)  # another process, meanwhile
        return {"n": np.array(1)}

    assert measurements.measured(run, "x", compute)["n"] == 1
    assert runs.Run(run.path, run.scratch).measurement("x") is None


def test_a_damaged_measurement_has_a_remedy_of_seconds(make_run):
    run = make_run("lab-base", [True])
    (run.path / "measurements").mkdir()
    (run.path / "measurements" / "twins.npz").write_bytes(b"junk")
    with pytest.raises(LabError, match="remove the file, and they are measured anew"):
        run.measurement("twins")


def test_a_new_training_forgets_old_measurements(tmp_path):
    run = training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path)
    measurements.measured(run, "x", lambda model: {"n": np.array(1)})
    run = training.train("cifar10-bn64", "quick", 0, TINY, store=tmp_path, fresh=True)
    assert not (run.path / "measurements").exists()


def test_corruptions_strangers_and_twins(trained, monkeypatch):
    run, splits = trained
    found = measurements.corrupted(run, corruptions.Spoilt(splits.test))
    answers = run.outputs["test_logits"][:40].argmax(axis=1)
    assert float(found["clean"]) == pytest.approx((answers == splits.test.labels).mean(), abs=0.03)
    assert found["rates"].shape == (9, 5)
    assert found["times_right"].shape == (40,)
    assert found["times_right"].mean() / 45 == pytest.approx(found["rates"].mean())
    logits = measurements.strangers(run, {"noise": np.zeros((3, 20, 20, 3), "uint8")})["noise"]
    assert logits.shape == (3, 10)
    both = {"noise": np.ones((3, 20, 20, 3), "uint8"), "no noise": np.zeros((2, 20, 20, 3), "uint8")}
    assert [len(part) for part in measurements.strangers(run, both).values()] == [3, 2]
    (run.path / "measurements" / "strangers-noise.npz").unlink()  # one kind does not need the others
    monkeypatch.setattr(predict, "load", lambda *_: pytest.fail("asked the network anew"))
    assert measurements.strangers(run, {"no noise": both["no noise"]})["no noise"].shape == (2, 10)
    monkeypatch.undo()
    five = splits.train.take(np.arange(5))
    five = Split(five.ids, five.labels, np.concatenate([five.pixels[:3], five.pixels[3:, :, ::-1]]))
    known = Splits(splits.train, None, five, splits.class_names)
    twins = measurements.twins(run, known)  # the test images are training images, some of them mirrored
    assert twins["nearest"].tolist() == [0, 1, 2, 3, 4]
    assert twins["pixels_apart"].max() == 0
    assert twins["mirrored"].tolist() == [False, False, False, True, True]
    np.testing.assert_array_equal(splits.train.labels[twins["nearest"]], splits.train.labels[:5])


def test_the_readme_counts_the_near_duplicates_as_they_were_measured():
    run = runs.locate("cifar10-bn64", "paper", 0, protocol="honest")
    twins = np.load(run.path / "measurements" / "twins.npz")
    same = twins["pixels_apart"] < 12
    readme = " ".join((Path(__file__).parent.parent / "README.md").read_text().split())
    assert twins["mirrored"][same].all()
    assert f"near-duplicates of {same.sum()} of CIFAR-10's test pictures, all mirrored" in readme
    assert f"Among the {run.record['images']['train']:,} training pictures" in readme


@pytest.fixture
def photographs(tmp_path):
    """Two classes of wide and high pictures of noise."""
    rng = np.random.default_rng(0)
    for name, shape in ("high", (40, 25, 3)), ("wide", (30, 50, 3)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            noise = Image.fromarray(rng.integers(0, 256, shape, dtype="uint8"))
            noise.save(tmp_path / "photos" / name / f"{number}.jpg")
    return f"{tmp_path}/photos"


def belief_by_hand(network, image, side, size):
    """The mean of ten softmaxes, one crop at a time."""
    height, width = image.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    square = tf.image.resize(image[top : top + least, left : left + least], (side, side)).numpy()
    total, far, middle = 0, side - size, (side - size) // 2
    for y, x in (0, 0), (0, far), (far, 0), (far, far), (middle, middle):
        for step in 1, -1:
            crop = square[y : y + size, x : x + size][:, ::step] - [123.68, 116.779, 103.939]
            powers = np.exp(np.asarray(network(crop[None].astype("float32")), "float64")[0])
            total = total + powers / powers.sum() / 10
    return total


def test_what_a_network_knows_of_its_training_images(trained):
    run, splits = trained
    kept = np.unpackbits(measurements.training(run)["right"])
    few = splits.train.take(np.arange(56))  # of 60, in whole bytes
    said = np.asarray(predict.load(run.weights)(few.pixels)).argmax(axis=1)
    assert np.array_equal(kept, said == few.labels)


@pytest.mark.parametrize(("norm", "competes"), [("lrn", False), ("lrn-scaled", True), ("none", None)])
def test_what_a_normalization_multiplies_by(tmp_path, norm, competes):
    tiny = {**TINY, "options.width": 0.25, "options.norm": norm}
    run = training.train("grid-base", "quick", 0, tiny, store=tmp_path)
    if competes is None:
        with pytest.raises(LabError, match="norm1"):
            measurements.normalization(run)
        return
    low, middle, high = measurements.normalization(run)["factors"]
    assert low <= middle <= high <= 2**-0.75 + 1e-6  # without any neighbours
    assert (high - low > 0.01) == competes


def test_ten_crops_are_averaged_image_by_image(tmp_path, photographs, capsys):
    small = {"dataset": photographs, "train_images": 40, "epochs": 1, "options.width": 0.125, "options.dense_units": 8}
    run = training.train("imagenet-2012", "quick", 0, small, store=tmp_path / "runs")
    found = measurements.ten_crops(run)
    network = transfer.parts(predict.load(run.weights))[1]
    split = datasets.load(photographs).test
    for place in range(len(split)):
        belief = belief_by_hand(network, split.image(place), 72, 67)
        assert found["ten_crops"][place] == (belief > belief[split.labels[place]]).sum()
    gain = evaluation.averaging_gain([run])
    assert gain.mean == pytest.approx((found["ten_crops"] == 0).mean() - run.record["metrics"]["test_accuracy"])
    assert main(["evaluate", str(run.path), "--ten-crop"]) == 0
    said = capsys.readouterr().out
    assert f"ten crops: top-1 {evaluation.top(1, found['ten_crops'])}, top-5 100.00%" in said


def test_both_looks_are_averaged(trained):
    run, _ = trained
    found = measurements.mirrored(run)["mirrored"]
    prepare, network = transfer.parts(predict.load(run.weights))
    images = datasets.again(run.record).test
    powers = [np.exp(np.asarray(network(prepare(x)), "float64")) for x in (images.pixels, images.pixels[:, :, ::-1])]
    belief = sum(power / power.sum(axis=1, keepdims=True) for power in powers)
    assert (found == 0).mean() == pytest.approx((belief.argmax(axis=1) == images.labels).mean(), abs=0.002)
    assert evaluation.averaging_gain([run], "mirrored").n == 1


def test_ten_crops_need_a_margin(trained):
    with pytest.raises(LabError, match="ten crops need a recipe with crop_from"):
        measurements.ten_crops(trained[0])


def test_an_image_through_the_layers(trained):
    run, splits = trained
    found = measurements.through(run, splits, image=7)
    assert {name: maps.shape for name, maps in found.items()} == {
        "conv1": (3, 14, 14), "conv2": (3, 7, 7), "conv3": (3, 2, 2), "conv4": (3, 2, 2), "conv5": (3, 2, 2)
    }  # fmt: skip
    whole = interpret.activations(predict.load(run.weights), splits.test.pixels[7:8], ["conv2"])["conv2"][0]
    np.testing.assert_allclose(found["conv2"][0].std(), whole.std(axis=(0, 1)).max(), rtol=1e-2)
    assert not np.array_equal(found["conv1"], measurements.through(run, splits, image=8)["conv1"])


def test_inside_is_whole_and_small(trained, monkeypatch):
    run, splits = trained
    methods = {"Grad-CAM": interpret.gradcam, "SHAP": interpret.gradcam}  # test_interpret has each method itself
    monkeypatch.setattr(interpret, "METHODS", methods)
    found = measurements.inside(run, splits, tested=3, mapped=40)
    assert found["plane"].shape == (40, 2)
    assert found["near_by_features"].shape == (8, 5)
    assert found["deletion SHAP"].shape == found["deletion random"].shape == (3, 11)
    model = predict.load(run.weights)
    strongest = interpret.activations(model, splits.test.pixels[:40], ["conv5"])["conv5"].max(axis=(1, 2))
    assert found["exciting"][0, 0] == strongest[:, found["units"][0]].argmax()
    assert (run.path / "measurements" / "inside.npz").stat().st_size < 400_000

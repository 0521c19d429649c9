"""The JAX backend: the same promises without TensorFlow, each test in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PREPARE = """
import sys, json
import numpy as np
from alexnet_tf import arrays
from alexnet_tf.splits import Split
from alexnet_tf.preprocess import Preprocess
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (40, 16, 16, 3), dtype="uint8")
split = Split(np.arange(40), np.arange(40) % 4, images)
amounts = {"flip": 0.5, "crop": 2, "cutout": 4, "color": 0.3, "mixup": 0.2}
def stream(**more):
    return arrays.training_stream(split, 4, Preprocess(16), 12, 1, **{"augmentations": amounts, **more})
"""


def in_jax(code):
    """Run code under the JAX backend and return what it prints as JSON."""
    pytest.importorskip("jax", reason="the jax extra is not installed")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", PREPARE + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_stream_repeats_resumes_and_sees_every_image_once():
    found = in_jax("""
def take(stream, count):
    return [[np.asarray(part) for part in next(stream)] for _ in range(count)]
whole, again = take(stream(), 12), take(stream(), 12)
resumed = take(stream(begin=(2, 1)), 4)
plain = take(stream(augmentations={}), 4)
alike = Split(np.arange(24), np.zeros(24, int), np.repeat(images[:1], 24, axis=0))
first, second = take(arrays.training_stream(alike, 2, Preprocess(16), 12, 1, {"crop": 2}), 2)
means = np.sort(np.concatenate([batch[0].mean(axis=(1, 2, 3)) for batch in plain]))
same = lambda a, b: all(np.array_equal(x[0], y[0]) and np.array_equal(x[1], y[1]) for x, y in zip(a, b, strict=True))
evaluation = arrays.evaluation_stream(split, 4, Preprocess(16), 15)
seen = np.concatenate([np.asarray(evaluation[i][0]) for i in range(len(evaluation))])
known = {image.tobytes(): place % 4 for place, image in enumerate(images)}
batches = [*plain, *([np.asarray(part) for part in evaluation[i]] for i in range(len(evaluation)))]
labelled = [pair for batch in batches for pair in zip((batch[0] * 255).round().astype("uint8"), batch[1], strict=True)]
print(json.dumps({
    "repeats": same(whole, again),
    "resumes": same(whole[9:], resumed[:3]),
    "another epoch": not np.array_equal(whole[0][0], whole[4][0]),
    "another step": not np.array_equal(first[0], second[0]),
    "sizes": [len(batch[0]) for batch in plain],
    "each once": bool(np.allclose(means, np.sort(images.mean(axis=(1, 2, 3)) / 255), atol=1e-5)),
    "evaluation": bool(np.allclose(seen * 255, images, atol=1e-3)),
    "labels": all(known[image.tobytes()] == label.argmax() for image, label in labelled),
    "augmented": bool(np.abs(whole[0][0] - plain[0][0]).max() > 0.05),
}))
""")
    assert found.pop("sizes") == [12, 12, 12, 4]
    assert all(found.values()), found


def test_images_are_mirrored_in_every_other_epoch():
    found = in_jax("""
plain = arrays.training_stream(split, 4, Preprocess(16), 8, 1)
turned = arrays.training_stream(split, 4, Preprocess(16), 8, 1, {"alternate": 1})
turns = {place: [] for place in range(40)}
known = {image.tobytes(): place for place, image in enumerate(images)}
for _ in range(15):
    for as_is, image in zip(*(np.asarray(next(one)[0]) for one in (plain, turned)), strict=True):
        place = known[(as_is * 255).round().astype("uint8").tobytes()]
        turns[place].append(1 if np.array_equal(image, as_is[:, ::-1]) else 0 if np.array_equal(image, as_is) else 2)
print(json.dumps([sorted(set(map(str, turns.values()))), sum(each[0] for each in turns.values())]))
""")
    assert found[0] == ["[0, 1, 0]", "[1, 0, 1]"]
    assert 10 < found[1] < 30


@pytest.mark.slow
def test_every_network_trains_without_tensorflow():
    code = """
from alexnet_tf import models
found = {}
for name in models.ARCHITECTURES:
    try:
        options = {"width": 0.1} if "today" in name else {}
        network = models.build(name, None if name != "resnet18" else 32, 3, **options)
        network.compile("sgd", "mse")
        shapes = [(2, *side[1:]) for side in (network.input_shape, network.output_shape)]
        batch = tuple(np.zeros(shape, "float32") for shape in shapes)
        network.fit((batch for _ in range(2)), steps_per_epoch=1, verbose=0)
    except Exception as error:
        found[name] = str(error)
found["tensorflow"] = sys.modules.get("tensorflow") is not None
print(json.dumps(found))
"""
    assert in_jax("sys.modules['tensorflow'] = None\n" + code) == {"tensorflow": False}


@pytest.mark.slow
def test_a_recipe_trains_without_tensorflow(tmp_path):
    found = in_jax(f"""
from alexnet_tf import predict, training
changes = {{"train_images": 400, "epochs": 3, "augment.rotation": 0.0, "augment.shift": 0.0, "augment.zoom": 0.0,
            "augment.cutout": 6, "options.width": 0.25, "options.dense_units": 32, "options.dropout": 0.0}}
run = training.train("zeng-aug", "quick", 0, changes, store={str(tmp_path)!r})
shown = np.asarray(predict.load(run.weights)(np.zeros((1, 40, 50, 3), "uint8")))
print(json.dumps({{
    "tensorflow": sys.modules.get("tensorflow") is not None,
    "backend": run.record["provenance"]["backend"],
    "losses": [row["loss"] for row in run.history],
    "shown": float(shown.sum()),
}}))
""")
    assert found["tensorflow"] is False
    assert found["backend"] == "jax"
    assert found["losses"][-1] < found["losses"][0]
    assert found["shown"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("settings", [{}, {"crop_from": 40}, {"interpolation": "nearest"}])
def test_photographs_have_the_pixels_that_tensorflow_gives_them(tmp_path, settings):
    import tensorflow as tf
    from PIL import Image

    from alexnet_tf import ahead, pipeline
    from alexnet_tf.preprocess import Preprocess
    from alexnet_tf.splits import Split

    rng, files = np.random.default_rng(0), []
    for number, shape in enumerate([(83, 131), (131, 83), (36, 36), (40, 40), (9, 70)]):
        files.append(str(tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}"))
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype="uint8")).save(files[-1])
    preprocess = Preprocess(36, **settings)
    found = ahead.Decoder(Split(np.arange(5), np.zeros(5, "int64"), files=tuple(files)), preprocess).batch(range(5))
    for image, file in zip(found, files, strict=True):
        theirs = tf.function(lambda name: pipeline.decode(name, preprocess))(tf.constant(file))
        np.testing.assert_allclose(image, theirs, atol=0.01)


PHOTOGRAPHS = """
import tempfile
from PIL import Image
from alexnet_tf.ahead import Decoder
folder = tempfile.mkdtemp()
def photographs(count=40):
    files = [f"{folder}/{number}.png" for number in range(count)]
    for file, image in zip(files, images):
        Image.fromarray(image).save(file)
    return Split(np.arange(count), np.arange(count) % 4, files=tuple(files))
"""


def test_photographs_are_streamed_and_evaluated_like_images_in_memory():
    found = in_jax(
        PHOTOGRAPHS
        + """
held, split = split, photographs()
def taken(split, **more):
    one = arrays.training_stream(split, 4, Preprocess(16), 12, 1, amounts, **more)
    return [[np.asarray(part) for part in next(one)] for _ in range(6)]
def evaluated(split):
    stream = arrays.evaluation_stream(split, 4, Preprocess(16), 15)
    return [[np.asarray(part) for part in stream[i]] for i in range(len(stream))]
def same(one, other):
    return all(np.allclose(a, b, atol=1e-5) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
print(json.dumps([
    same(taken(held), taken(split)), same(taken(held, begin=(2, 1)), taken(split, begin=(2, 1))),
    same(evaluated(held), evaluated(split)),
]))
"""
    )
    assert found == [True, True, True]


def test_each_process_decodes_its_own_rows_a_few_batches_ahead():
    found = in_jax(
        PHOTOGRAPHS
        + """
from alexnet_tf.devices import Share
split, decode, batches = photographs(), Decoder.image, Decoder.batches
rows = []
for process in range(2):
    decoded, asked = [], []  # of this one: an earlier one's threads may still be under way
    Decoder.image = lambda self, place, own=decoded: own.append(int(place)) or decode(self, place)
    Decoder.batches = lambda self, those: batches(self, (asked.append(pair[0].tolist()) or pair for pair in those))
    one = arrays.training_stream(split, 4, Preprocess(16), 10, 1, {"flip": 0.5}, share=Share(process, 2, 2))
    next(one)
    ahead = len(decoded)
    [next(one) for _ in range(3)]
    one.close()
    rows.append([ahead, sum(asked[:4], []), set(sum(asked, [])) >= set(decoded)])  # an epoch: four batches of five
print(json.dumps(rows))
"""
    )
    (ahead, first, _), (_, second, _) = found
    assert all(only_what_was_asked_for for *_, only_what_was_asked_for in found)
    assert ahead <= 15, "two batches of five besides the first"
    assert sorted(first + second) == list(range(40))


@pytest.mark.slow
def test_the_papers_recipe_trains_on_photographs_under_jax(tmp_path):
    from test_datasets import make_folder

    make_folder(tmp_path / "photos", count=12)
    found = in_jax(f"""
from alexnet_tf import training
changes = {{"dataset": {str(tmp_path / "photos")!r}, "train_images": None, "image_size": 67, "crop_from": 72,
    "augment.crop": 2, "epochs": 2, "batch_size": 8, "options.width": 0.125, "options.dense_units": 16}}
run = training.train("imagenet-2012", "quick", 0, changes, store={str(tmp_path / "runs")!r})
print(json.dumps([[row["loss"] for row in run.history], list(run.outputs["test_logits"].shape),
    sys.modules.get("tensorflow") is not None]))
""")
    assert np.isfinite(found[0]).all()
    assert found[1:] == [[8, 2], False]


def test_shares_of_a_batch_are_parts_of_the_whole_one():
    """Two processes prepare, between them, the very images of one: each its own, mixed with its true neighbours."""
    found = in_jax("""
from alexnet_tf.devices import Share
amounts = {"alternate": 1, "reflect": 2, "mixup": 0.2, "cutmix": 0.5}
streams = [stream(), *[stream(share=Share(process, 2, 2)) for process in range(2)]]
same, sizes = True, []
for step in range(5):
    (whole, labels), *shares = [[np.asarray(part) for part in next(one)] for one in streams]
    same &= np.allclose(whole, np.concatenate([share[0] for share in shares]), atol=1e-5)
    same &= np.allclose(labels, np.concatenate([share[1] for share in shares]), atol=1e-5)
    sizes.append([len(share[0]) for share in shares])
print(json.dumps({"same": bool(same), "sizes": sizes}))
""")
    assert found == {"same": True, "sizes": [[6, 6], [6, 6], [6, 6], [2, 2], [6, 6]]}


def test_shared_evaluation_counts_each_image_once():
    """Forty images for two processes of three devices: two are added, and weigh nothing in loss and accuracy."""
    found = in_jax("""
import keras
from alexnet_tf.devices import Share
network = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
loss = keras.losses.CategoricalCrossentropy(from_logits=True)
network.compile("sgd", loss, weighted_metrics=["accuracy"])
plain = arrays.evaluation_stream(split, 4, Preprocess(16), 15)
shared = [arrays.evaluation_stream(split, 4, Preprocess(16), 15, Share(process, 2, 6)) for process in range(2)]
class Together(keras.utils.PyDataset):
    def __len__(self):
        return len(shared[0])
    def __getitem__(self, number):
        return tuple(np.concatenate(parts) for parts in zip(*[part[number] for part in shared]))
batches = [Together()[i] for i in range(len(shared[0]))]
print(json.dumps({
    "numbers": [network.evaluate(stream, verbose=0) for stream in (plain, Together())],
    "sizes": [len(batch[0]) for batch in batches],
    "counted": sum(int((batch[2] > 0).sum()) for batch in batches),
}))
""")
    numbers, shared = found.pop("numbers")
    assert shared == pytest.approx(numbers, rel=1e-4)
    assert found == {"sizes": [18, 18, 6], "counted": 40}


@pytest.mark.slow
def test_a_training_killed_within_an_epoch_goes_on_bit_for_bit():
    found = in_jax("""
import tempfile
from alexnet_tf import callbacks, training
class Killed(BaseException):
    pass
tiny = {"train_images": 48, "batch_size": 16, "options.width": 0.05, "options.dense_units": 8, "epochs": 3}
def train(store):
    return training.train("cifar10-bn64", "quick", 0, tiny, store=store)
whole, cut, ended, steps = train(tempfile.mkdtemp()), tempfile.mkdtemp(), callbacks.Progress.on_train_batch_end, []
def die(self, batch, logs=None):
    steps.append(batch)
    if len(steps) == 5:  # the second of the second epoch
        raise Killed
callbacks.Progress.on_train_batch_end, callbacks.SAVE_EVERY = die, 0.0
try:
    train(cut)
except Killed:
    callbacks.Progress.on_train_batch_end, callbacks.SAVE_EVERY = ended, 300.0
again = train(cut)
print(json.dumps({
    "resumed": again.record["provenance"]["resumed"] == 1,
    "history": again.history == whole.history,
    "outputs": bool((again.outputs["test_logits"] == whole.outputs["test_logits"]).all()),
}))
""")
    assert all(found.values()), found

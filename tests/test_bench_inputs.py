"""What input costs: every augmentation, both ways of decoding, streams with and without somebody who trains."""

import numpy as np
import pytest

from alexnet_tf.bench import drawn, inputs
from alexnet_tf.recipe import AUGMENTATIONS

SMALL = {"batch_size": 8}
pytestmark = pytest.mark.usefixtures("garbage_stays")


def test_every_augmentation_has_a_cost():
    costs = inputs.augmentations(rounds=1, images=64, size=16)["costs"]
    assert {name.split("/")[-1] for name in costs} >= set(AUGMENTATIONS)
    assert costs["augment/16px/none"]["median"] > 0


def test_decoding_is_measured_both_ways():
    found = inputs.decoding(rounds=1, images=32)
    assert found["ratios"]["decode/500x375/vs-whole"]["median"] > 0
    assert {"decode/500x375/fused", "decode/500x375/whole", "input/imagenet-2012"} == set(found["costs"])


def test_drawn_sets_are_like_their_datasets(tmp_path):
    photographs = drawn.splits("flowers", 5, 70, 3, tmp_path)
    assert photographs.train.image(69).shape == (240, 320, 3)
    assert len(set(photographs.train.files)) == drawn.FILES
    held = drawn.splits("cifar10", 10, 20, 5, tmp_path)
    assert held.train.pixels.shape == (20, 32, 32, 3)
    assert (len(held.test), held.classes) == (5, 10)
    assert drawn.size_of("paintbox") == (32, 32)


@pytest.mark.parametrize("files", [True, False], ids=["files", "memory"])
def test_a_stream_alone_is_timed(files, tmp_path):
    folder = str(tmp_path) if files else None
    assert inputs.stream("flowers-lrn", folder, {**SMALL, "image_size": 32}, images=16, turn=0.001)() > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")  # of SciPy, by the generator
def test_the_older_generator_is_timed(threads):
    assert inputs.generator("flowers-lrn", threads, {**SMALL, "image_size": 16}, images=16, turn=0.001)() > 0


def test_what_a_process_holds_after_an_epoch(tmp_path):
    measure = inputs.held("int305-cnn", str(tmp_path), SMALL, images=16)
    assert [measure() > 100, measure() > 100] == [True, True]


@pytest.fixture
def answers(monkeypatch):
    """Processes that are not started, and what they answer."""

    class Worker:
        def __init__(self, kind, name, **options):
            self.seconds = {"fixed": 6.0, "piped": 8.0, "stream": 2.0, "generator": 30.0, "held": 100.0}[kind]
            self.threads, self.kind = options.get("threads", 1), kind

        def __call__(self):
            self.seconds += self.kind == "held"
            return self.seconds / self.threads

        def close(self):
            pass

    monkeypatch.setattr(inputs, "server", Worker)


def test_the_ratios_say_which_side_is_faster(answers, monkeypatch):
    found = inputs.inputs(rounds=1, recipes=["today-cifar"])
    assert found["ratios"]["input/today-cifar/piped-vs-fixed"]["median"] == 0.75
    assert found["ratios"]["input/today-cifar/vs-step"]["median"] == 3.0
    monkeypatch.setattr("alexnet_tf.provenance.cores", lambda: 2)
    found = inputs.generators(rounds=1)
    assert found["ratios"]["input/flowers-lrn/vs-image-data-generator"]["median"] == 7.5  # against two threads


def test_memory_over_epochs_is_against_the_first_few(answers):
    entry = inputs.holding(recipes=["today-cifar"], epochs=7)["ratios"]["input/today-cifar/memory-over-epochs"]
    assert entry["n"] == 2
    assert entry["median"] == pytest.approx(np.mean([106, 107]) / 105, rel=1e-5)


@pytest.mark.slow
def test_training_on_a_stream_is_measured_in_processes_beside_training_on_a_batch():
    found = inputs.inputs(rounds=1, recipes=["int305-cnn"], images=64, turn=0.001, changes=SMALL)
    assert {name.rpartition("/")[2] for name in found["costs"]} == {"fixed", "piped", "stream"}

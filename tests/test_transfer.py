"""Starting from another network's layers, and freezing some of them."""

import numpy as np
import pytest

from alexnet_tf import models, predict, training
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.models import transfer

SMALL = {"width": 0.1, "dense_units": 8}


def test_layers_of_the_same_name_and_shapes_are_taken_and_the_head_is_new():
    old, new = models.build("bn64", 64, 10, seed=1, **SMALL), models.build("bn64", 64, 3, seed=2, **SMALL)
    head = new.layers[-1].get_weights()
    taken = transfer.take(new, old)
    assert {"conv1", "conv5"} <= set(taken)
    assert new.layers[-1].name not in taken
    np.testing.assert_array_equal(new.get_layer("conv1").get_weights()[0], old.get_layer("conv1").get_weights()[0])
    np.testing.assert_array_equal(new.layers[-1].get_weights()[0], head[0])
    with pytest.raises(LabError, match="Nothing of lenet fits into bn64"):
        transfer.take(new, models.build("lenet"))


def test_freezing_leaves_something_to_train():
    network = models.build("bn64", 64, 10, **SMALL)
    before = len(network.trainable_variables)
    transfer.freeze(network, "conv3")
    assert not network.get_layer("conv3").trainable
    assert network.get_layer("conv4").trainable
    assert 0 < len(network.trainable_variables) < before
    with pytest.raises(UsageError, match="did you mean 'conv3'"):
        transfer.freeze(network, "cnv3")
    with pytest.raises(LabError, match="nothing of bn64 is left to train"):
        transfer.freeze(network, network.layers[-1].name)


def test_a_run_starts_from_another_keeps_what_is_frozen_and_says_so(finished, tmp_path):
    recipe = finished.record["name"]
    changes = {**finished.record["overrides"], "pretrained": str(finished.weights), "frozen": "conv2"}
    run = training.train(recipe, seed=1, overrides=changes, store=tmp_path)
    old, new = (transfer.parts(predict.load(one.weights))[1] for one in (finished, run))
    for name in "conv1", "conv2":
        np.testing.assert_array_equal(old.get_layer(name).get_weights()[0], new.get_layer(name).get_weights()[0])
    assert np.abs(old.get_layer("conv3").get_weights()[0] - new.get_layer("conv3").get_weights()[0]).max() > 0
    assert "conv1" in run.record["provenance"]["started_from"]["layers"]
    with pytest.raises(UsageError, match="frozen is a name; received 3"):
        training.train(recipe, overrides={**changes, "frozen": 3}, store=tmp_path)


def test_a_whitening_convolution_is_made_from_the_training_images_and_stays(tmp_path):
    changes = {
        "train_images": 200,
        "epochs": 1,
        "options.width": 0.05,
        "options.dense_units": 8,
        "precision": "float32",
    }
    kernels = []
    for seed in 0, 1:
        run = training.train("today-cifar", "quick", seed, changes, store=tmp_path)
        kernels.append(transfer.parts(predict.load(run.weights))[1].get_layer("conv1").get_weights()[0])
    np.testing.assert_array_equal(kernels[0], kernels[1])  # of the images, not of the seed
    np.testing.assert_allclose(kernels[0][..., :12], -kernels[0][..., 12:])

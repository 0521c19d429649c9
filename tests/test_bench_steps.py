"""Training steps against others: the right ratios of the right sides, and networks that are the same."""

import json
import subprocess
import sys

import numpy as np
import pytest

from alexnet_tf import bench, models, plan, recipes
from alexnet_tf.bench import fits, peers, steps
from alexnet_tf.errors import LabError
from alexnet_tf.quiet import keras
from alexnet_tf.recipes import grid

SECONDS = {"keras-float32": 2.0, "keras-bfloat16": 1.0, "pytorch-float32": 5.0, "pytorch-bfloat16": 1.5}


@pytest.fixture
def asked(monkeypatch):
    """What processes would be asked for; none is started, and each answers with its name's seconds."""
    found = []

    def turns(workers, rounds):
        found.append(workers)
        known = {**SECONDS, "as-written": 4.0, "float32": 0.01, "bfloat16": 0.005}
        return {side: np.full(rounds, known[side]) for side in workers}

    monkeypatch.setattr(steps, "server", lambda kind, name, **options: (kind, name, options))
    monkeypatch.setattr(steps, "Worker", lambda module, name, options, python: (module, name, json.loads(options)))
    monkeypatch.setattr(steps, "by_workers", turns)
    monkeypatch.setattr(bench, "peer_version", lambda: "2.9.0")
    return found


def test_frameworks_are_compared_at_a_large_batch_and_the_source_at_its_own(asked):
    results = steps.training(rounds=3, recipes=["int305-adam"], size=1000)
    assert [next(iter(side.values()))[2]["changes"]["batch_size"] for side in asked] == [128, 10]
    assert ["as-written" in sides for sides in asked] == [False, True]
    ratios = {name: entry["median"] for name, entry in results["ratios"].items()}
    assert ratios["step/int305-adam/vs-pytorch"] == 1.5  # the faster of each
    assert ratios["step/int305-adam/batch-10/vs-pytorch"] == 1.5
    assert ratios["step/int305-adam/vs-as-written"] == 4.0
    assert ratios["step/int305-adam/float32-vs-as-written"] == 2.0
    assert ratios["step/int305-adam/bfloat16-vs-float32"] == 2.0
    flop = plan.count(recipes.get("int305-adam"), 10).flop
    assert ratios["share/int305-adam/float32"] == pytest.approx(flop / 2.0 / (2e9 / 0.01), rel=1e-5)
    assert ratios["share/int305-adam/bfloat16"] == pytest.approx(flop / 1.0 / (2e9 / 0.005), rel=1e-5)
    assert results["costs"]["step/int305-adam/batch-10/as-written"]["median"] == 4e6
    assert results["versions"] == {"torch": "2.9.0"}


def test_a_variant_takes_turns_with_the_base_which_is_prepared_once(monkeypatch):
    asked, turns = [], []

    class Pretended:
        def __init__(self, kind, name, folder, turn):
            asked.append((kind, name))
            self.seconds = 3.0 if name == "grid-muon" else 1.5
            self.name = name

        def __call__(self):
            turns.append(self.name)
            return self.seconds

        def close(self):
            turns.append("closed")

    monkeypatch.setattr(steps, "server", Pretended)
    measured = steps.knobs(rounds=2)
    found = measured["ratios"]
    assert measured["costs"]["grid/grid-base"]["median"] == 1.5e6
    assert measured["costs"]["grid/grid-base"]["n"] == 2 * len(found)
    assert len(found) == len(asked) - 1 == sum(map(len, grid.KNOBS.values()))
    assert (found["grid/grid-muon"]["median"], found["grid/grid-leaky"]["median"]) == (2.0, 1.0)
    assert asked[:2] == [("piped", "grid-base"), ("piped", "grid-leaky")]
    assert turns[:7] == [*["grid-leaky", "grid-base"] * 3, "closed"]  # one of them to warm up


def test_the_peer_is_told_what_the_recipe_says(asked):
    steps.training(rounds=1, recipes=["int305-adam"])
    module, name, options = asked[0]["pytorch-bfloat16"]
    assert (module, name) == ("peers", "int305")
    assert options["optimizer"] == "adam"
    assert (options["batch_size"], options["image_size"], options["classes"]) == (128, 32, 10)
    assert (options["dropout"], options["learning_rate"], options["precision"]) == (0.5, 1e-4, "bfloat16")


def test_without_pytorch_the_rest_is_measured_and_it_is_said(asked, monkeypatch, capsys):
    monkeypatch.setattr(bench, "peer_version", lambda: None)
    results = steps.training(rounds=1, recipes=["cifar10-bn64"])
    assert "step/cifar10-bn64/vs-as-written" in results["ratios"]
    assert not [name for name in results["ratios"] if "pytorch" in name]
    assert capsys.readouterr().err.count("pip install 'alexnet_tf[peers]'") == 1


def test_a_network_that_pytorch_has_not_is_said(asked, capsys):
    results = steps.training(rounds=1, recipes=["int305-cnn"])
    assert not [name for name in results["ratios"] if "pytorch" in name]
    assert "int305-cnn: there is no lenet in PyTorch" in capsys.readouterr().err


def test_an_interpreter_for_the_peer_that_is_none_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv(bench.PEER, str(tmp_path / "none"))
    with pytest.raises(LabError, match="ALEXNET_PEER_PYTHON must name a Python interpreter; received"):
        bench.peer_version()


def test_an_interpreter_without_pytorch_is_no_peer(monkeypatch, tmp_path):
    lacking = tmp_path / "python"
    lacking.write_text("#!/bin/sh\nexit 1\n")
    lacking.chmod(0o755)
    monkeypatch.setenv(bench.PEER, str(lacking))
    assert bench.peer_version() is None


def test_the_sources_code_has_its_softmax_inside_and_a_stock_optimizer():
    for name, stock in ("cifar10-bn64", keras.optimizers.SGD), ("int305-adam", keras.optimizers.Adam):
        recipe, classes = fits.chosen(name, {"options.width": 0.1, "options.dense_units": 8})
        written, ours = fits.as_written(recipe, classes), fits.compiled(recipe, classes)
        assert type(written.optimizer) is stock
        assert written.layers[-1].activation is keras.activations.softmax
        assert written.count_params() == ours.count_params()
        assert ours.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("written", [False, True], ids=["ours", "as-written"])
def test_a_step_on_one_batch_is_timed(written):
    assert fits.fixed("int305-cnn", {"batch_size": 4}, written=written, turn=0.001)() > 0


needs_torch = pytest.mark.skipif(bench.peer_version() is None, reason=bench.NO_PEER)


@needs_torch
@pytest.mark.parametrize("name", peers.NETS)
def test_pytorchs_networks_have_our_parameters(name):
    ours = models.build(name)
    averages = sum(weight.shape[0] for weight in ours.non_trainable_weights if len(weight.shape) == 1)
    classes = models.ARCHITECTURES[name].classes
    options = json.dumps({"classes": classes, "count": True})
    counted = bench.once(bench.Worker("peers", name, options, python=bench.peer_python()))
    seeds = sum(int(np.prod(weight.shape)) for layer in ours.layers for weight in layer.non_trainable_variables)
    assert counted == ours.count_params() - averages
    assert seeds >= averages


@needs_torch
@pytest.mark.parametrize(
    ("name", "optimizer", "size"), [("bn64", "sgd", 64), ("int305", "adam", 32), ("alexnet-lrn", "sgd", 224)]
)
def test_pytorch_trains(name, optimizer, size):
    options = {"classes": 3, "image_size": size, "batch_size": 2, "optimizer": optimizer, "turn": 0.001}
    worker = bench.Worker("peers", name, json.dumps({**options, "precision": "bfloat16"}), python=bench.peer_python())
    assert bench.once(worker) > 0


ANSWER = """
import sys, numpy, torch
from alexnet_tf.bench import peers
given = numpy.load(sys.argv[2])
net = peers.build(sys.argv[1], int(given["classes"]), 0.5).eval()
weights = [torch.from_numpy(given[f"w{number}"]) for number in range(int(given["count"]))]
state = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
net.load_state_dict(dict(zip(state, weights, strict=True)), strict=False)
with torch.no_grad():
    numpy.save(sys.argv[3], net(torch.from_numpy(given["images"])).numpy())
"""


def theirs(model):
    """The weights of a network in PyTorch's order and layout."""
    spatial = None
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.Flatten):
            spatial = layer.input.shape[1:]
        if isinstance(layer, keras.layers.Conv2D):
            weights[0] = weights[0].transpose(3, 2, 0, 1)
        if isinstance(layer, keras.layers.Dense):
            kernel = weights[0]
            if spatial:  # PyTorch flattens channels first
                kernel, spatial = kernel.reshape(*spatial, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1), None
            weights[0] = kernel.T
        if not isinstance(layer, keras.layers.Dropout):
            yield from weights


@needs_torch
@pytest.mark.parametrize("name", peers.NETS)
def test_pytorchs_networks_answer_as_ours(name, tmp_path):
    """Not merely as many weights: the same ones give the same logits, local response normalization included."""
    model = models.build(name, seed=0)
    rng = np.random.default_rng(0)
    size = models.ARCHITECTURES[name].image_size
    images = rng.normal(0, 20, (2, size, size, 3)).astype("float32")  # large, so that normalization matters
    weights = {f"w{number}": np.ascontiguousarray(weight) for number, weight in enumerate(theirs(model))}
    classes = models.ARCHITECTURES[name].classes
    np.savez(
        tmp_path / "given.npz",
        images=np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        classes=classes,
        count=len(weights),
        **weights,
    )
    command = [bench.peer_python(), "-c", ANSWER, name, str(tmp_path / "given.npz"), str(tmp_path / "answer.npy")]
    root = str(recipes.__path__[0]).rpartition("/alexnet_tf")[0]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": root}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours = np.asarray(model(images, training=False))
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), ours, rtol=1e-3, atol=1e-3 * abs(ours).max())


def test_peers_need_neither_keras_nor_tensorflow():
    check = "import sys; from alexnet_tf.bench import peers; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)

"""The page says what was measured, what was wanted, and what was not measured; its figures come from the files."""

import json

import matplotlib.pyplot as plt
import pytest

from alexnet_tf import plots, runs
from alexnet_tf.bench import figures, page


def entry(median, n=7):
    return {"median": median, "low": median * 0.9, "high": median * 1.1, "n": n}


def layer(name, flop, moved, took):
    return {"name": name, "flop": flop, "bytes": moved, "microseconds": entry(took)}


LAYERS = {
    f"cifar10-bn64/{kind}": {
        "batch": 128,
        "flops": entry(4e11),
        "bandwidth": entry(2e10),
        "step": entry(5000.0),
        "layers": [layer("conv1", 1e9, 1e6, 4000.0), layer("pool1", 0.0, 2e6, 500.0)],
    }
    for kind in ("float32", "bfloat16")
}
RATIOS = {
    "step/cifar10-bn64/vs-pytorch": entry(1.3),
    "step/int305-adam/vs-pytorch": entry(1.1),
    "step/flowers-lrn/vs-pytorch": entry(0.9, n=1),
    "share/cifar10-bn64/float32": entry(0.8),
    "kernel/lrn/grid-base": entry(3.5),
    "grid/grid-muon": entry(2.5),
    "input/today-cifar/memory-over-epochs": entry(1.2),
    "input/today-cifar/vs-step": entry(4.0, n=3),
    "growth/cifar10-bn64/images": entry(1.0),
    "growth/cifar10-bn64/memory": entry(0.2, n=1),
    "epoch/int305-cnn/tensorflow-vs-jax": entry(3.0),
    "race/sprint-b/sooner": entry(16.0, n=3),
    "accelerator/lab-base/batch-128/of-product": entry(0.25),
}
COSTS = {
    "grid/grid-base": entry(500.0),
    **{f"predict/{name}/batch-{count}": entry(1000 / count) for name in ("a", "b") for count in (1, 16)},
    "predict/a/evaluate": entry(50.0),
    **{f"growth/cifar10-bn64/images/{count}": entry(count / 500) for count in (1024, 2048)},
    **{f"growth/cifar10-bn64/memory/{count}": entry(900 + count, n=1) for count in (32, 64)},
    "step/cifar10-bn64/batch-128/keras-float32": entry(500.0),
    "startup/NumPy": entry(0.1),
    "augment/64px/flip": entry(3.0),
    "held/today-cifar": entry(700.0),
    "race/sprint-b": entry(20.5, n=3),
    "accelerator/lab-base/batch-128": entry(100.0),
}
SPENT = {"reports": {"01_x": {"loading": 1.0, "all": 2.0}}, "tests": {"test_a": 3.5, "test_b": 4.0}}
CONDITIONS = {"training": {"date": "2026-01-02", "hardware": "two cores", "versions": {"keras": "3"}, "commit": None}}


@pytest.fixture
def measured(tmp_path):
    for name in "ratios", "costs", "layers", "spent", "conditions":
        (tmp_path / f"{name}.json").write_text(json.dumps(globals()[name.upper()]))
    yield tmp_path
    plt.close("all")


def test_the_page_judges_what_was_wanted(measured):
    text = page.markdown(measured)
    assert "| `step/cifar10-bn64/vs-pytorch` | 1.3 | 1.17 to 1.43 | 7 | at least 1, better 1.25 | goal met |" in text
    assert "| `step/int305-adam/vs-pytorch` | 1.1 | 0.99 to 1.21 | 7 | at least 1, better 1.25 | floor met |" in text
    assert "| `step/flowers-lrn/vs-pytorch` | 0.9 | 0.81 to 0.99 | 1 (single) | at least 1, better 1.25 | **not" in text
    assert "| `input/today-cifar/memory-over-epochs` | 1.2 | 1.08 to 1.32 | 7 | at most 1.05 | **not met** |" in text
    assert "| `input/today-cifar/vs-step` | 4 | 3.6 to 4.4 | 3 (few) | at least 3 | met |" in text
    assert "| `share/cifar10-bn64/bfloat16` |  |  |  | at least 0.65 | not measured |" in text


def test_the_page_has_every_part(measured):
    text = page.markdown(measured)
    assert "Not measured yet" not in text
    assert "one by one the layers take 90% of a whole step" in text
    assert "| `accelerator/lab-base/batch-128` | 10,000 |" in text  # images a second
    assert "| 7 | of the operations a second that a product of 8192² matrices reaches in bfloat16 |" in text
    assert "| `grid-muon` | 2.5 |" in text
    assert "An image takes the base 500 µs." in text
    assert "| conv1 | 4,000 | 88.9% | 250 | 62% |" in text  # 1e9 operations at 4e11 a second take 2,500 µs
    assert "| `predict/a/batch-16` | 16,000 |" in text
    assert "| images | 1 | 0.9 to 1.1 | 7 | 2.00 |" in text
    assert "| sum | 1.0 | 2.0 |" in text
    assert "| test_b | 4.0 |\n| test_a | 3.5 |" in text
    assert "| training | 2026-01-02 | two cores | keras 3 |  |" in text


def test_an_empty_folder_is_a_page_that_says_so(tmp_path):
    page.write(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.count("Not measured yet: `python -m alexnet_tf.bench ") == 10
    assert list(tmp_path.iterdir()) == [tmp_path / "README.md"]


def test_every_picture_of_the_page_is_there(measured):
    page.write(measured)
    text = (measured / "README.md").read_text()
    names = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert sorted(names) == sorted(path.name for path in measured.glob("*.png"))
    assert len(names) == 3


def test_titles_say_what_was_found(monkeypatch, tmp_path):
    drawn = {}
    for name in "roofline", "rates", "powers":
        draw = getattr(plots, name)

        def kept(*args, name=name, draw=draw):
            drawn[name] = args
            return draw(*args)

        monkeypatch.setattr(plots, name, kept)
    figures.draw(tmp_path, LAYERS, COSTS, RATIOS)
    assert drawn["roofline"][1] == "cifar10-bn64, layer by layer (float32: conv1 takes 89%; bfloat16: conv1 takes 89%)"
    assert drawn["rates"][1] == "In batches of 16, 16.0 to 16.0 times as many images a second as in those of 1"
    assert "images 2.00" in drawn["powers"][1]
    roof = drawn["roofline"][0]["float32"]
    assert roof.layers == {"conv1": (1000.0, pytest.approx(2.5e11))}
    assert roof.moving == {"pool1": pytest.approx(0.2)}


def test_the_committed_page_is_what_its_files_say():
    folder = runs.home() / "reports" / "bench"
    assert (folder / "README.md").read_text() == page.markdown(folder), "run 'python -m alexnet_tf.bench page'"

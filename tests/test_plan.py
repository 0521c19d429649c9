"""A plan: counts that agree with hand arithmetic, limits that move with what is assumed."""

import dataclasses

import pytest

from alexnet_tf import costs, plan, recipes, runs
from alexnet_tf.__main__ import main
from alexnet_tf.commands.trainings import ASSUMED
from alexnet_tf.errors import LabError, UsageError

RECIPE = recipes.get("imagenet-2012")
COSTS = {"input": 4000.0, "step": 20_000.0, "memory": 3000.0}
# The paper's layers: places of the output, and weights of the kernels (two groups in conv2, conv4 and conv5).
FIRST = 55**2 * 11 * 11 * 3 * 96
PRODUCTS = (
    FIRST + 27**2 * 5 * 5 * 48 * 256 + 13**2 * 9 * (256 * 384 + 192 * 384 + 192 * 256)
    + 9216 * 4096 + 4096 * 4096 + 4096 * 1000
)  # fmt: skip


@pytest.fixture(scope="module")
def network():
    return plan.count(RECIPE, 1000)


def test_the_network_is_counted_and_not_typed(network):
    assert network.parameters == RECIPE.parameters
    assert network.flop == 6 * PRODUCTS - 2 * FIRST  # nobody asks for the gradient of an image
    assert network.activations > 55**2 * 96 + 27**2 * 256


def test_one_gpu_waits_for_its_input_or_its_input_for_it(network):
    assumed = plan.Assumed(images=1000, tflops=network.flop / 1e12, utilization=0.5, cores=2)  # half an image a second
    slow = plan.row(1, 128, 90, network, core_seconds=1.0, assumed=assumed)
    assert (slow.images_per_second, slow.limit) == (pytest.approx(0.5), "GPUs and their exchange")
    assert slow.hours == pytest.approx(1000 * 90 / 0.5 / 3600)
    assert slow.cores == pytest.approx(0.5)
    fed = plan.row(1, 128, 90, network, core_seconds=8.0, assumed=assumed)
    assert (fed.images_per_second, fed.limit) == (pytest.approx(0.25), "cores that decode")
    apart = dataclasses.replace(assumed, photo=2.0, disk=0.0001)  # MB, and GB/s: one photograph in twenty seconds
    starved = plan.row(1, 128, 90, network, core_seconds=1.0, assumed=apart)
    assert (starved.images_per_second, starved.limit) == (pytest.approx(0.05), "disk")
    assert starved.megabytes == pytest.approx(0.5 * 2)
    assert plan.row(16, 2048, 90, network, 0.0001, apart).images_per_second == pytest.approx(0.1), "a disk a server"


def test_gpus_that_share_a_small_batch_mostly_talk(network):
    rows = [plan.row(gpus, 128, 90, network, 0.0001, plan.Assumed()) for gpus in plan.GPUS]
    assert rows[1].images_per_second < 8 * rows[0].images_per_second
    large = plan.row(64, 128 * 64, 90, network, 0.0001, plan.Assumed())
    assert large.images_per_second > rows[2].images_per_second
    assert large.gigabytes == pytest.approx(rows[0].gigabytes)
    assert rows[2].gigabytes < rows[0].gigabytes


def test_the_page_says_where_each_number_is_from():
    text = plan.page(RECIPE, 1000, COSTS, plan.Assumed(cores=3))
    assert "| parameters | 60,965,224 | counted |" in text
    assert "| cores | 3 | as the command line says |" in text
    assert "| images | 1,281,167 | assumed: training images, as the organizers" in text
    assert text.count("\n| 64 |") == 2
    assert "no better than what is guessed: utilization, network, disk." in text


def test_the_committed_page_is_what_the_command_prints(capsys):
    assert main(["plan", "imagenet-2012"]) == 0
    committed = runs.home() / "reports" / "bench" / "imagenet-2012.md"
    told = "run 'python -m alexnet_tf plan imagenet-2012 > reports/bench/imagenet-2012.md'"
    assert capsys.readouterr().out == committed.read_text(), told


@pytest.mark.parametrize("words", [("--cores", "0"), ("--link", "-1"), ("--photo", "much"), ("--images", "1.5")])
def test_amounts_that_no_machine_has_are_told(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["plan", "imagenet-2012", *words])
    assert ended.value.code == 2
    assert f"number above 0 is needed; received '{words[1]}'" in capsys.readouterr().err


def test_what_was_not_measured_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(costs, "home", lambda: tmp_path)
    with pytest.raises(LabError, match="not measured yet"):
        plan.measured("imagenet-2012")


def test_every_assumption_can_be_set():
    assert list(ASSUMED) == [field.name for field in dataclasses.fields(plan.Assumed)]


def test_todays_recipe_keeps_within_its_computation():
    recipe = recipes.get("today-cifar")
    assert plan.computation(recipe, 50_000) <= 0.8e15


def test_a_plan_of_another_recipe_is_refused_with_what_would_help():
    with pytest.raises(UsageError, match="Plans are for imagenet-2012 alone"):
        plan.measured("today-cifar")

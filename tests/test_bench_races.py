"""A race stops at its goal, counts training alone, starts anew with each seed, and says who never arrives."""

import numpy as np
import pytest

from alexnet_tf import datasets, fitting, recipes
from alexnet_tf.bench import fits, races
from alexnet_tf.errors import LabError

SMALL = {
    **recipes.get("sprint-b").budgets["quick"].changes,
    "epochs": 2,
    "batch_size": 16,
    "train_images": 320,
    "options.width": 0.1,
}
pytestmark = pytest.mark.usefixtures("garbage_stays")


@pytest.fixture(scope="module")
def few():
    return datasets.load("paintbox", "honest", 320)


def test_the_clock_holds_while_the_runner_is_looked_at(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fits.time, "perf_counter", lambda: now[0])

    def look():
        now[0] += 100
        return 0.4

    clock = fits.Clock(0.5, look)
    for seconds in 2, 3:
        clock.on_epoch_begin(0)
        now[0] += seconds
        clock.on_epoch_end(0)
    assert (clock.seconds, clock.accuracy) == (5, 0.4)


def test_a_race_is_run_again_from_the_start(few, monkeypatch):
    seen = []
    whiten = fitting.whiten
    monkeypatch.setattr(fitting, "whiten", lambda model, *given: seen.append(model) or whiten(model, *given))
    measure = fits.until("sprint-b", 0.0, SMALL, few)
    begun, model = len(seen), seen[0]
    assert min(measure(), measure()) > 0
    assert len(seen) == begun + 2
    first_look = len(few.train) // 16 // fits.CHECKS
    assert int(model.optimizer.iterations.numpy()) == first_look


def test_who_never_arrives_is_told(few):
    measure = fits.until("sprint-b", 1.01, SMALL, few)
    with pytest.raises(LabError, match=r"sprint-b ended at \d+\.\d%: it has not reached 101\.0%"):
        measure()


def test_ours_are_compared_with_source_b(monkeypatch):
    asked = {}
    monkeypatch.setattr(races, "server", lambda kind, name, **options: asked.setdefault(name, (kind, options)))
    taken = {"cifar10-bn64": 300.0, "sprint-b": 15.0, "sprint-c": 60.0}
    monkeypatch.setattr(
        races, "by_workers", lambda sides, rounds, warm: {name: np.full(rounds, taken[name]) for name in sides}
    )
    found = races.races(rounds=7)
    assert asked["sprint-c"][1]["goal"] == pytest.approx(0.8137, abs=1e-4)
    assert asked["sprint-b"][1]["goal"] == asked["cifar10-bn64"][1]["goal"] == pytest.approx(0.615)
    assert found["ratios"]["race/sprint-b/sooner"] == {"median": 20.0, "low": 20.0, "high": 20.0, "n": races.MOST}
    assert found["ratios"]["race/sprint-c/sooner"]["median"] == 5.0
    assert set(found["costs"]) == {f"race/{name}" for name in taken}

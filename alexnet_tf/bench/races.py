"""Races: how long a recipe trains until its network answers as well as a source says of its own."""

from __future__ import annotations

from typing import Any

from alexnet_tf import claims
from alexnet_tf.bench import ROUNDS, by_workers, server, summary

FIRST = "cifar10-bn64"  # source B's own recipe, which the others are compared with
# Whose accuracy a recipe has to reach.
GOALS = {FIRST: FIRST, "sprint-b": FIRST, "sprint-c": "lab-best"}
MOST = 3  # races of each, which take minutes


def races(rounds: int = ROUNDS) -> dict[str, Any]:
    """Source B's own recipe to its source's accuracy against ours to that of sources B and C, taking turns."""
    goals = {name: claims.reported(whose, "paper") for name, whose in GOALS.items()}
    sides = {name: server("race", name, goal=goal) for name, goal in goals.items()}
    seconds = by_workers(sides, min(rounds, MOST), warm=False)
    return {
        "ratios": {f"race/{name}/sooner": summary(seconds[FIRST] / seconds[name]) for name in GOALS if name != FIRST},
        "costs": {f"race/{name}": summary(taken) for name, taken in seconds.items()},
    }

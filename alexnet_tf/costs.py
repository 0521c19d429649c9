"""What `make bench` measured, by name: microseconds an image, the memory that a recipe's training holds at most."""

from __future__ import annotations

from alexnet_tf.files import read_object
from alexnet_tf.runs import home


def median(name: str, file: str = "costs") -> float | None:
    """A cost by name, such as `memory/flowers-lrn` (MiB) or `step/flowers-lrn`; None if it was not measured yet."""
    return read_object(home() / "reports" / "bench" / f"{file}.json").get(name, {}).get("median")


def ratio(name: str) -> float | None:
    """How many times as long one thing took as another that took turns with it, such as `grid/grid-tanh`."""
    return median(name, "ratios")

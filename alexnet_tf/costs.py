"""What `make bench` measured, by name: microseconds an image, the memory that a recipe's training holds at most."""

from __future__ import annotations

import json

from alexnet_tf.runs import home


def median(name: str) -> float | None:
    """A cost by name, such as `memory/flowers-lrn` (MiB) or `step/flowers-lrn`; None if it was not measured yet."""
    file = home() / "reports" / "bench" / "costs.json"
    costs = json.loads(file.read_text()) if file.exists() else {}
    return costs.get(name, {}).get("median")

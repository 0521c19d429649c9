"""Processes that measure: ``python -m alexnet_tf.bench.servers KIND NAME JSON``.

Each prepares itself, then prints a number for each line on its standard input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from alexnet_tf.bench import fits, inputs, memory
from alexnet_tf.bench.layers import product
from alexnet_tf.errors import choose

KINDS: dict[str, Callable[..., Callable[[], float]]] = {
    "core-seconds": fits.core_seconds,
    "epoch": fits.epoch,
    "fixed": fits.fixed,
    "generator": inputs.generator,
    "held": inputs.held,
    "paintbox-epochs": fits.paintbox_epochs,
    "peak": memory.peak,
    "piped": fits.piped,
    "product": product,
    "race": fits.until,
    "stream": inputs.stream,
}


def main() -> None:
    """Measure whenever a line says so, until there are no more."""
    kind, name, options = sys.argv[1:]
    measure = KINDS[choose("kind of measurement", kind, KINDS)](name, **json.loads(options))
    for _ in sys.stdin:
        print(measure(), flush=True)


if __name__ == "__main__":
    main()

"""Where seconds go before anything is computed, and where those of ``make reports`` and ``make test`` went."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet_tf.bench import ROUNDS, environment, interleaved, summary, timed
from alexnet_tf.errors import LabError

STEP = '{"turn": 0.001}'
STARTS: dict[str, Sequence[str]] = {
    "Python alone": ["-c", "pass"],
    "NumPy": ["-c", "import numpy"],
    "Keras on TensorFlow": ["-c", "import alexnet_tf.quiet"],
    "the figures": ["-c", "import alexnet_tf.plots"],
    "the command `list`": ["-m", "alexnet_tf", "list"],
    "the first steps of a training": ["-m", "alexnet_tf.bench.servers", "fixed", "int305-cnn", STEP],
}


def _begin(words: Sequence[str]) -> Callable[[], float]:
    """A process from its start to its end."""
    own = environment()

    def work() -> None:
        done = subprocess.run([sys.executable, *words], input="go\n", capture_output=True, text=True, env=own)
        if done.returncode:
            raise LabError(f"{' '.join(words)} failed: {(done.stderr.strip() or 'no word').splitlines()[-1]}")

    return timed(work)


def startup(rounds: int = ROUNDS, starts: Mapping[str, Sequence[str]] = STARTS) -> dict[str, Any]:
    """Seconds of processes from start to end, taking turns; and what the last reports and tests took, if there are."""
    from alexnet_tf import runs

    seconds = interleaved({name: _begin(words) for name, words in starts.items()}, rounds)
    return {
        "costs": {f"startup/{name}": summary(taken) for name, taken in seconds.items()},
        "spent": {"reports": reports(runs.home() / "reports" / "quick"), "tests": tests(runs.cache() / "tests.xml")},
    }


def reports(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of each executed notebook of a folder: loading packages, training, all other cells, and the rest.

    The rest is what passes outside of cells: mostly the start of the notebook's own process.
    """
    found = {}
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        if path.name.endswith(".failed.ipynb"):
            continue
        notebook = json.loads(path.read_text(encoding="utf-8"))
        parts: dict[str, float] = defaultdict(float)
        for cell in notebook["cells"]:
            parts[_kind("".join(cell["source"]))] += _duration(cell)
        whole = _duration(notebook)
        rest = max(whole - sum(parts.values()), 0.0)
        kinds = {kind: round(parts[kind], 2) for kind in ("loading", "training", "cells")}
        found[path.stem] = {**kinds, "rest": round(rest, 2), "all": round(whole, 2)}
    return found


def _kind(source: str) -> str:
    """What a cell spends its time on."""
    if "training.train" in source:
        return "training"
    return "loading" if any(line.startswith(("import ", "from ")) for line in source.splitlines()) else "cells"


def _duration(part: Mapping[str, Any]) -> float:
    """Seconds that papermill noted of a cell or a notebook."""
    return float(part["metadata"].get("papermill", {}).get("duration") or 0.0)


def tests(file: Path) -> dict[str, float]:
    """Seconds of each file of tests, as pytest noted them when ``make test`` last ran to its end, if ever."""
    took: dict[str, float] = defaultdict(float)
    try:
        cases = ElementTree.parse(file).iter("testcase")  # noqa: S314  (written by our own pytest)
    except (FileNotFoundError, ElementTree.ParseError):  # none, or one that was cut
        return {}
    for case in cases:
        took[case.get("classname", "").removeprefix("tests.")] += float(case.get("time", 0))
    return {name: round(seconds, 2) for name, seconds in sorted(took.items(), key=lambda one: -one[1])}

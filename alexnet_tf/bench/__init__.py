"""Speed, measured and not believed: interleaved, warmed up, medians, ratios within one run.

``make bench`` runs every part and writes `reports/bench/`: `ratios.json` (name -> median, low, high,
n), `costs.json` (likewise: microseconds an image; MiB of `memory`, `held` and `growth/…/memory`; seconds of
other `growth`, of `race` and of `startup`), `layers.json`, `spent.json`, `conditions.json` (what each part was
measured on, and when) and `README.md` with its pictures.
Let nothing else run beside it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet_tf.errors import LabError

ROUNDS = 7
TURN = 2.0  # seconds that a measurement lasts, about
PEER = "ALEXNET_PEER_PYTHON"  # the interpreter that has PyTorch, where that is not this one

Summary = dict[str, float]


def interleaved(
    sides: Mapping[str, Callable[[], float]], rounds: int = ROUNDS, warm: bool = True
) -> dict[str, np.ndarray]:
    """Seconds of each side over the rounds; all sides take turns, so that a slow minute hits them alike.

    A side that warms up by itself says so by `warm` being false.
    """
    for side in sides.values() if warm else ():
        side()
    rows = [[side() for side in sides.values()] for _ in range(rounds)]
    return dict(zip(sides, np.array(rows).T, strict=True))


def summary(values: np.ndarray) -> Summary:
    """The median with the quartiles of some measurements, to six digits."""
    low, median, high = (float(f"{value:.6g}") for value in np.percentile(values, (25, 50, 75)))
    return {"median": median, "low": low, "high": high, "n": len(values)}


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """The work as a function that says how long it took."""

    def measure() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return measure


def in_turns_of(
    seconds: float, work: Callable[[int], Any], before: Callable[[], Any] = lambda: None, least: int = 1
) -> Callable[[], float]:
    """Seconds that `work`, told how often, takes each time: warmed up, and as often as fits into a turn, or `least`.

    What happens `before` each turn is not timed.
    """

    def each(count: int) -> float:
        gc.collect()  # an iterator that lives on would prefetch in the others' turns
        before()
        return timed(lambda: work(count))() / count

    each(1)  # whatever happens once: tracing, compiling, allocating
    count = max(least, round(seconds / each(2)))
    return lambda: each(count)


def environment(**changed: str) -> dict[str, str]:
    """This process's variables for one that finds this package wherever it runs."""
    package = str(Path(__file__).resolve().parents[2])
    known = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": known, **changed}


class Worker:
    """A process that does one measurement for each line on its standard input, and prints a number.

    It runs a module of this package, and is itself a side of `interleaved`.
    """

    def __init__(self, module: str, *words: str, python: str = sys.executable, **changed: str) -> None:
        self.name = " ".join((module, *words))
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  (`close` does)
        self.process = subprocess.Popen(
            [python, "-m", f"alexnet_tf.bench.{module}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(**changed),
        )

    def __call__(self) -> float:
        """What the process measures when it is told to."""
        assert self.process.stdin
        assert self.process.stdout
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        try:
            return float(line)
        except ValueError:
            raise LabError(f"Measuring ({self.name}) failed: {line.strip() or self._last_words()}") from None

    def _last_words(self) -> str:
        """The last line that the process has written to its standard error."""
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"it ended with status {self.process.returncode}."

    def close(self) -> None:
        """Let the process end."""
        with contextlib.suppress(BrokenPipeError), self.process:  # which closes its input, and waits
            pass
        self.errors.close()


def server(kind: str, name: str, **options: Any) -> Worker:
    """A process that measures one kind of thing (see `servers.KINDS`) of a recipe."""
    return Worker("servers", kind, name, json.dumps(options))


def by_workers(workers: Mapping[str, Worker], rounds: int = ROUNDS, warm: bool = True) -> dict[str, np.ndarray]:
    """As `interleaved`, by processes, which end afterwards."""
    try:
        return interleaved(workers, rounds, warm)
    finally:
        for worker in workers.values():
            worker.close()


def once(worker: Worker) -> float:
    """One measurement of a process, which ends afterwards."""
    try:
        return worker()
    finally:
        worker.close()


def peer_python() -> str:
    """The interpreter that runs PyTorch: this one, unless ``ALEXNET_PEER_PYTHON`` names another."""
    return os.environ.get(PEER) or sys.executable


def peer_version() -> str | None:
    """The version of PyTorch that there is to compare with; None where there is none."""
    command = [peer_python(), "-c", "import numpy, torch; print(torch.__version__)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise LabError(f"{PEER} must name a Python interpreter; received {peer_python()!r}.") from error
    return done.stdout.strip() if done.returncode == 0 else None


NO_PEER = (
    f"PyTorch is not installed (pip install 'alexnet_tf[peers]', or let {PEER} name a Python that has it): left out."
)

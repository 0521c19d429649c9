"""What watches a training: stop on NaN, save the whole state, tell how far it is."""

from __future__ import annotations

import contextlib
import io
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from alexnet_tf import files
from alexnet_tf.errors import DivergedError, LabError
from alexnet_tf.files import write_atomically
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import Recipe
from alexnet_tf.runs import Run

ops = keras.ops


class StopOnNaN(keras.callbacks.Callback):
    """Stop a training whose loss is NaN or infinite, saying at which step."""

    def __init__(self, done: int = 0) -> None:
        super().__init__()
        self.done = done  # steps of its first epoch that an earlier process took

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.done = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise DivergedError(f"The loss became {loss} at step {self.done + batch + 1} of epoch {self.epoch + 1}.")


# Seconds after which the state is saved in the middle of an epoch.
SAVE_EVERY = 300.0


class SaveState(keras.callbacks.Callback):
    """Keeps the whole state of a training on disk, and the best weights if the recipe wants them.

    It saves after each epoch and, where one process trains, also within long epochs and when it is asked to
    stop (see `heeding_ctrl_c`). Of several processes all read it and one writes it.
    """

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        begun: dict[str, Any],
        plateau: Any = None,
        alone: bool = True,
        first: bool = True,
    ) -> None:
        super().__init__()
        self.run, self.recipe, self.begun, self.plateau = run, recipe, begun, plateau
        self.alone, self.writes = alone, first
        self.history: list[dict[str, float]] = []
        self.best = -1.0
        self.seconds = self.started = self.saved = 0.0
        self.step = 0  # batches done of the epoch that is not finished
        self.rate = math.nan  # that this epoch began with
        self.sums: list[np.ndarray] = []  # what its metrics have summed up over them
        self.remembered: dict[str, Any] | None = None  # the plateau's memory, which each fit would reset
        self.stop = False

    def variables(self) -> list[Any]:
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *optimizer.variables]

    def load(self) -> int:
        """Put the saved state back; return how many epochs are done."""
        if not self.run.state.exists():
            return 0
        saved = files.read_arrays(self.run.state, f"The saved weights of {self.run}")
        try:
            about = json.loads(str(saved["about"]))
            values = [saved[f"v{i}"] for i in range(about["variables"])]
            sums = [saved[f"m{i}"] for i in range(about.get("sums", 0))]
            history = [dict(row) for row in about["history"]]
            rate = float(about.get("rate") or math.nan)
            best, seconds, step = float(about["best"]), float(about["seconds"]), int(about.get("step", 0))
            remembered = about["plateau"] and {key: float(about["plateau"][key]) for key in ("best", "wait")}
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise LabError(f"The saved weights of {self.run} are damaged: train it anew with --fresh.") from error
        variables = self.variables()
        alike = [tuple(v.shape) for v in variables] == [value.shape for value in values]
        if not alike or any(value.dtype.kind in "SU" for value in values):
            raise LabError(f"The state of {self.run} belongs to another network: train it anew with --fresh.")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.history, self.best, self.seconds = history, best, seconds
        self.sums, self.remembered, self.step, self.rate = sums, remembered, step, rate
        return len(self.history)

    def save(self) -> None:
        if not self.writes:
            return
        if self.plateau and self.history:
            self.remembered = {"best": float(self.plateau.best), "wait": int(self.plateau.wait)}
        arrays = {f"v{i}": ops.convert_to_numpy(v) for i, v in enumerate(self.variables())}
        sums = {
            f"m{i}": ops.convert_to_numpy(v) for i, v in enumerate(self.model.metrics_variables if self.step else ())
        }
        seconds = self.seconds + time.perf_counter() - self.started
        about = {
            "variables": len(arrays),
            "sums": len(sums),
            "step": self.step,
            "rate": self.rate if self.step else None,
            "history": self.history,
            "best": self.best,
            "seconds": seconds,
            "plateau": self.remembered,
        }
        content = io.BytesIO()
        np.savez(content, about=json.dumps(about), **arrays, **sums)
        write_atomically(self.run.state, content.getvalue())
        self.saved = time.perf_counter()
        done = {"epochs": len(self.history), "minutes": seconds / 60}
        write_atomically(self.run.scratch / "begun.json", json.dumps({**self.begun, **done}).encode())

    def on_train_begin(self, logs: Any = None) -> None:
        self.started = self.saved = time.perf_counter()
        if self.plateau and self.remembered:
            self.plateau.best, self.plateau.wait = self.remembered["best"], self.remembered["wait"]
        if not self.history and not self.step:
            self.save()

    def on_train_end(self, logs: Any = None) -> None:
        self.seconds += time.perf_counter() - self.started

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the rate that the epoch begins with, before a plateau changes it for the next.

        An epoch that was cut has begun with another than it goes on with, where a schedule falls step by step.
        """
        if self.step and math.isfinite(self.rate):
            return
        optimizer = self.model.optimizer
        steps = int(ops.convert_to_numpy(optimizer.iterations))
        self.rate = float(ops.convert_to_numpy(optimizer.learning_rate)) / (1 + self.recipe.decay * steps)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        due = self.stop or time.perf_counter() - self.saved > SAVE_EVERY
        due = due and self.alone and batch + 1 < self.params["steps"]  # the epoch's end saves by itself
        if (due or self.sums) and keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        if self.sums:  # added to those of the first batch since the restart, which has made the metrics' variables
            for variable, value in zip(self.model.metrics_variables, self.sums, strict=True):
                variable.assign(ops.convert_to_numpy(variable) + value)  # adding in place is not for mirrored ones
            self.sums = []
        if due:
            self.save()
            self.stop_if_asked(f"step {self.step} of epoch {len(self.history) + 1}")

    def stop_if_asked(self, done: str) -> None:
        if self.stop:
            print(f"{self.run}: saved after {done}", file=sys.stderr)
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items() if name != "learning_rate"}
        row["learning_rate"] = self.rate
        self.history.append({"epoch": epoch + 1, **row})
        if self.recipe.keep == "best" and row["val_accuracy"] > self.best:
            self.best = row["val_accuracy"]
            self.save_best()
        self.step = 0
        self.save()
        self.stop_if_asked(f"epoch {epoch + 1}")

    def save_best(self) -> None:
        if not self.writes:
            return
        content = io.BytesIO()
        np.savez(content, *[ops.convert_to_numpy(v) for v in self.model.variables])
        write_atomically(self.run.scratch / "best.npz", content.getvalue())

    def keep_best(self) -> int:
        """Put the best weights back if the recipe keeps them; return the epoch of the weights kept."""
        if self.recipe.keep == "last":
            return len(self.history)
        best = files.read_arrays(self.run.scratch / "best.npz", f"The best weights of {self.run}")
        for variable, value in zip(self.model.variables, best.values(), strict=True):
            variable.assign(value)
        return 1 + max(range(len(self.history)), key=lambda i: self.history[i]["val_accuracy"])


@contextlib.contextmanager
def heeding_ctrl_c(saver: SaveState) -> Iterator[None]:
    """Ctrl-C once lets the batch end, saves and then stops; twice, it stops at once."""
    usual = signal.getsignal(signal.SIGINT)
    if (
        not saver.alone
        or usual is not signal.default_int_handler
        or threading.current_thread() != threading.main_thread()
    ):
        yield
        return

    def ask(*_: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        saver.stop = True

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


class Progress(keras.callbacks.Callback):
    """A line an epoch; in a terminal also where the epoch stands."""

    def __init__(self, run: Run, epochs: int, steps: int, part: str) -> None:
        super().__init__()
        self.run, self.epochs, self.steps, self.part = run, epochs, steps, part
        self.live = sys.stderr.isatty()
        self.shown = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if self.live and now - self.shown > 1:
            self.shown = now
            print(f"\r{self.run}: step {batch + 1}/{self.steps} ", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs, seconds = logs or {}, time.perf_counter() - self.began
        left = seconds * (self.epochs - epoch - 1) / 60
        rated = "accuracy" in logs
        shown = f"loss {logs['loss']:.3f}" + (f", accuracy {logs['accuracy']:.1%}" if rated else "")
        watched = logs.get("val_accuracy" if rated else "val_loss")
        if watched is not None:
            shown += f", {self.part} " + (f"{watched:.1%}" if rated else f"{watched:.3f}")
        line = f"{self.run}: epoch {epoch + 1}/{self.epochs}: {shown} ({seconds:.0f} s, {left:.1f} min left)"
        print(("\r" if self.live else "") + line, file=sys.stderr, flush=True)

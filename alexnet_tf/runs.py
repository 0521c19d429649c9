"""A run on disk: the waist of the hourglass. Above it things train, below it things are judged.

``<runs>/<recipe>/<budget>[-<hash>]/seed-<n>/`` holds ``record.json`` (written last and atomically: without a whole
record a run is unfinished), ``outputs.npz`` (ids, labels, float16 logits; in small records answers alone) and
``measurements/``; of a training that diverged, ``diverged.json``. Weights and begun trainings lie under ``.cache/``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_tf import recipes
from alexnet_tf.errors import LabError, choose
from alexnet_tf.files import locked, read_arrays, read_object, write_atomically, write_beside
from alexnet_tf.recipe import BUDGETS, DEFAULTS, override_hash

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
# What a whole record holds.
RECORD = {
    "format": int, "name": str, "budget": str, "seed": int, "protocol": str, "overrides": dict, "recipe": dict,
    "history": list, "metrics": dict, "images": dict, "class_names": list, "provenance": dict,
}  # fmt: skip


def home() -> Path:
    """The checkout this package lies in, or the working folder where it was installed from a wheel."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def cache() -> Path:
    """Where everything that can be made again lies; ``ALEXNET_CACHE`` moves it, a relative one from the checkout."""
    return home() / (os.environ.get("ALEXNET_CACHE") or ".cache")


def store_for(budget: str) -> Path:
    """Where the runs of a budget lie unless a folder is named: quick ones are not committed."""
    return cache() / "runs" if budget == "quick" else home() / "reports" / "runs"


def spares() -> Path:
    """Where runs lie that were made once more for their weights: what is committed has none."""
    return cache() / "spares"


def checksum(record: Mapping[str, Any]) -> str:
    """What all of a record but its own checksum hashes to, however it is laid out."""
    text = json.dumps({key: value for key, value in record.items() if key != "checksum"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record holds all it should and what was written into it; older ones carry no checksum."""
    typed = all(isinstance(record.get(key), kind) for key, kind in RECORD.items())
    return typed and record.get("checksum", checksum(record)) == checksum(record)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def changed_fields(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of a recipe that a record's differ from: (value then, value now).

    A field that one side does not know had the value that it has by default.
    """
    before, today = {name: entry["value"] for name, entry in then.items()}, json.loads(json.dumps(now))
    names = sorted(before.keys() | today.keys())
    pairs = {name: tuple(side.get(name, DEFAULTS.get(name)) for side in (before, today)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


DIVERGED = "diverged.json"  # in place of a record: what became of a training that has none

# What the outputs of a run may be.
KEPT = ("test_ids test_labels test_logits", "test_right", "test_ids test_seen test_rebuilt")


@dataclass(frozen=True)
class Run:
    """One recipe at one budget with one seed; cheap to name, read when asked."""

    path: Path
    scratch: Path  # weights and the state of an unfinished training

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """The whole record of a finished run."""
        file = self.path / "record.json"
        if not file.exists():
            raise LabError(f"{self} is not finished: '{self.command}' trains it or goes on with it.")
        record = read_object(file)
        if not is_whole(record):
            raise LabError(f"The record of {self} is truncated or damaged: train it again ({file}).")
        if record["format"] != FORMAT:
            raise LabError(
                f"{self} was written in format {record['format']} and this version reads format {FORMAT}: "
                "train it anew with --fresh, or read it with the version that wrote it."
            )
        return record

    @functools.cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """Ids, labels and logits for validation and test, as ``val_ids`` ... ``test_logits``.

        A small record holds ``test_predicted`` and ``test_right`` (packed bits) in place of all three, what a
        notebook carries ``test_right`` alone; a network that rebuilds images has ``test_seen`` and ``test_rebuilt``.
        """
        file = self.path / "outputs.npz"
        found = read_arrays(file, f"The outputs of {self}")
        if not any(set(kept.split()) <= found.keys() for kept in KEPT):
            raise LabError(f"The outputs of {self} are not whole: train it anew with --fresh.")
        wanted = self.record.get("outputs_sha256")  # older records know none
        if wanted and _digest(file) != wanted:
            raise LabError(f"The outputs of {self} are not its record's: train it anew with --fresh.")
        return found

    @property
    def recipe(self) -> str:
        return self.path.parent.parent.name

    @property
    def finished(self) -> bool:
        """A run without a whole record is unfinished."""
        return is_whole(read_object(self.path / "record.json"))

    @property
    def begun(self) -> dict[str, Any]:
        """What an unfinished training was begun with; empty when none is under way."""
        found = read_object(self.scratch / "begun.json")
        return found if isinstance(found.get("provenance"), dict) else {}

    @property
    def weights(self) -> Path:
        """The trained model with its preprocessing inside; git-ignored, so perhaps not there."""
        return self.scratch / "model.keras"

    @property
    def _weights_of(self) -> Path:
        """The checksum of the record that the weights belong to: a checkout brings other records, and no weights."""
        return self.weights.with_suffix(".record")

    @property
    def has_weights(self) -> bool:
        """Whether the trained model is here, and this record's; of older ones nothing tells whose they are."""
        if not self.weights.exists():
            return False
        return not self._weights_of.exists() or self._weights_of.read_text() == checksum(self.record)

    @property
    def state(self) -> Path:
        """What an unfinished training goes on from."""
        return self.scratch / "state.npz"

    @property
    def command(self) -> str:
        """How to train it again, or to go on with it as it was begun."""
        about = self.summary()
        words = [about["recipe"], "--budget", about["budget"], "--seed", str(about["seed"])]
        words += ["--protocol", about["protocol"] or "source", *options(about["overrides"])]
        words += ["--skip-damaged"] * bool(self.finished and self.record["provenance"].get("skipped"))
        return f"python -m alexnet_tf train {' '.join(words)}"

    @property
    def anew(self) -> str:
        """How to train it again in its own place."""
        store = self.path.parents[2]
        usual = store.resolve() == store_for(self.record["budget"]).resolve()
        return f"{self.command} --fresh" + ("" if usual else f" --runs {shlex.quote(str(store))}")

    @property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch, each epoch exactly once."""
        return self.record["history"]

    @property
    def diverged(self) -> str:
        """How a training by today's recipe ended whose loss was no number any more; empty if none did."""
        found = read_object(self.path / DIVERGED)
        if self.finished or not found:
            return ""
        recipe = recipes.get(found["name"]).at(found["budget"]).change(found["overrides"])
        return "" if changed_fields(found["recipe"], recipe.fields()) else found["told"]

    def measurement(self, name: str) -> dict[str, np.ndarray] | None:
        """What was measured with the weights, if it was kept."""
        file = self.path / "measurements" / f"{name}.npz"
        told = f"The numbers of the measurement {name} of {self}", "remove the file, and they are measured anew"
        return read_arrays(file, *told) if file.exists() else None

    def outdated(self) -> list[str]:
        """What differs between the recipe as this run trained it and as it stands today; its trunk's likewise."""
        record = self.record
        recipe = recipes.get(record["name"]).at(record["budget"]).change(record["overrides"])
        pairs = changed_fields(record["recipe"], recipe.fields())
        found = [f"{name} was {old!r} and is now {new!r}" for name, (old, new) in pairs.items()]
        began = record["provenance"].get("started_from", {})
        start = Path(recipe.pretrained or "")
        if start.suffix == ".keras" and start.exists() and _digest(start) != began.get("sha256"):
            found.append(f"{start} was another network than it is now")
        if recipe.trunk and "recipe" in began:
            trunk = recipes.get(recipe.trunk).at(record["budget"]).change(began["overrides"])
            more = changed_fields(began["recipe"], trunk.fields()).items()
            found += [f"{recipe.trunk}'s {name} was {old!r} and is now {new!r}" for name, (old, new) in more]
        return found

    def put(self, weights: Path, outputs: bytes, record: bytes) -> None:
        """Let a finished training take the place of an earlier one; `weights` is a file beside theirs.

        At no moment does a whole record stand over files of another: all are written before the earlier record
        goes, and the new one comes last. A process that dies in between leaves an unfinished run.
        """
        beside = [
            (weights, self.weights),
            *(
                (write_beside(place, content), place)
                for place, content in (
                    (self._weights_of, checksum(json.loads(record)).encode()),
                    (self.path / "outputs.npz", outputs),
                    (self.path / "record.json", record),
                )
            ),
        ]
        (self.path / "record.json").unlink(missing_ok=True)
        shutil.rmtree(self.path / "measurements", ignore_errors=True)  # of the weights that are being replaced
        for partial, place in beside:
            partial.replace(place)
        (self.path / DIVERGED).unlink(missing_ok=True)

    def keep_divergence(self, told: str, begun: Mapping[str, Any]) -> None:
        """Write down how a training ended that has no result, unless an earlier one has."""
        if not self.finished:
            content = json.dumps({"told": told, **begun}, indent=1) + "\n"
            write_atomically(self.path / DIVERGED, content.encode())

    def discard_state(self) -> None:
        """Forget an unfinished training; a finished run stays until a new one replaces it."""
        for leftover in ("begun.json", "state.npz", "best.npz"):
            (self.scratch / leftover).unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one process. Another is told who has it; notebooks that run side by side wait."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with locked(self.scratch / "lock", f"{self} is being trained", wait=bool(os.environ.get("ALEXNET_HEADLESS"))):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what killed processes were in the middle of writing; only the holder of the lock may."""
        for folder in self.path, self.scratch:
            for partial in (*folder.glob("*.part"), folder / "part.keras"):
                partial.unlink(missing_ok=True)

    def summary(self) -> dict[str, Any]:
        """The row of ``runs --json``."""
        if not self.finished:
            return self._unfinished_summary()
        record = self.record
        metrics, provenance = record["metrics"], record["provenance"]
        return {
            "recipe": record["name"],
            "budget": record["budget"],
            "seed": record["seed"],
            "protocol": record["protocol"],
            "dataset": record["recipe"]["dataset"]["value"],
            "overrides": record["overrides"],
            "status": "finished",
            "epochs": len(record["history"]),
            "val_accuracy": metrics["val_accuracy"],
            "test_accuracy": metrics["test_accuracy"],
            "minutes": provenance["minutes"],
            "backend": provenance["backend"],
            "precision": provenance["precision"],
            "hardware": provenance["hardware"],
            "path": str(self.path),
        }

    def _unfinished_summary(self) -> dict[str, Any]:
        begun, seed = self.begun, self.path.name.removeprefix("seed-")
        provenance = begun.get("provenance", {})
        return {
            "recipe": self.recipe,
            "budget": begun.get("budget", self.path.parent.name.partition("-")[0]),
            "seed": int(seed) if seed.isdigit() else None,
            "protocol": begun.get("protocol"),
            "dataset": begun.get("dataset"),
            "overrides": begun.get("overrides", {}),
            "status": "unfinished",
            "epochs": begun.get("epochs", 0),
            "val_accuracy": None,
            "test_accuracy": None,
            "minutes": begun.get("minutes", 0.0),
            **{key: provenance.get(key) for key in ("backend", "precision", "hardware")},
            "path": str(self.path),
        }

    def __str__(self) -> str:
        return f"{self.recipe}/{self.path.parent.name}/{self.path.name}"


def locate(
    recipe: str,
    budget: str,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    protocol: str = "source",
    store: Path | str | None = None,
) -> Run:
    """The place of a run, whether it exists or not."""
    digest = override_hash(overrides or {}, protocol)
    name = Path(recipe) / (f"{budget}-{digest}" if digest else budget) / f"seed-{seed}"
    base = Path(store) if store else store_for(budget)
    return _at(base, name)


def options(overrides: Mapping[str, Any]) -> list[str]:
    """Overrides as a shell takes them.

    >>> options({"learning_rate": 0.1, "fold": [0, 3]})
    ['--set learning_rate=0.1', "--set 'fold=[0, 3]'"]
    """
    return [f"--set {shlex.quote(f'{key}={json.dumps(value)}')}" for key, value in overrides.items()]


def _committed(store: Path) -> bool:
    return store.resolve() == store_for("paper").resolve()


def _at(store: Path, name: Path) -> Run:
    """Scratch lies beside the run, except for committed runs: theirs lies under the cache."""
    return Run(store / name, cache() / "weights" / name if _committed(store) else store / name / "scratch")


def stores(store: Path | str | None = None) -> list[Path]:
    """The folders to look into: the one named, or the committed and the quick one."""
    if store is None:
        return [store_for("paper"), store_for("quick")]
    if not Path(store).is_dir() and not _committed(Path(store)):  # committed runs may well be none
        raise LabError(f"There is no folder {store}: name one that holds runs with --runs DIR.")
    return [Path(store)]


def listing(store: Path | str | None = None) -> Iterator[Run]:
    """All runs, finished or begun, in order of their names."""
    for base in stores(store):
        found = {path.parent.relative_to(base) for path in base.glob("*/*/seed-*/record.json")}
        found |= {path.parent.parent.relative_to(base) for path in base.glob("*/*/seed-*/scratch/begun.json")}
        if _committed(base):
            weights = cache() / "weights"
            found |= {path.parent.relative_to(weights) for path in weights.glob("*/*/seed-*/begun.json")}
        for name in sorted(found):
            yield _at(base, name)


def find(name: str, store: Path | str | None = None, having_weights: bool = False) -> Run:
    """A run by path, or by RECIPE[/BUDGET[/SEED]]: the first finished one that fits, with weights if asked."""
    path = Path(name)
    if (path / "record.json").exists():
        base = path.resolve().parent.parent.parent
        return _at(base, path.resolve().relative_to(base))
    parts = name.strip("/").split("/")
    if name.startswith((".", "/", "~")) or len(parts) > 3:
        raise LabError(f"No finished run lies at {name}: 'python -m alexnet_tf runs' lists what there is.")
    choose("recipe or run", parts[0], recipes.RECIPES)
    if len(parts) > 1:
        choose("budget", parts[1].partition("-")[0], BUDGETS)
    wanted = parts[:2] + [part if part.startswith("seed-") else f"seed-{part}" for part in parts[2:3]]
    fitting = []
    for run in listing(store):
        here = [run.recipe, run.path.parent.name, run.path.name]
        if run.finished and here[: len(wanted)] == wanted:
            fitting.append(run)
    if having_weights:
        fitting.sort(key=lambda run: not run.has_weights)
    if fitting:
        return fitting[0]
    raise LabError(f"There is no finished run {name!r}: 'python -m alexnet_tf runs' lists what there is.")

"""Notebooks as single files that run alone, for Colab, Kaggle or any JupyterLab: ``make upload``.

The first cell of each carries this package as a wheel and puts it into a folder beside the notebook, one a wheel;
nothing that the machine has is installed again. Where a notebook judges the committed runs, it carries
what a verdict needs of them, too. For Kaggle each lies in a folder of its own with the metadata that
``kaggle kernels push`` reads.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat

from alexnet_tf import files, recipes, reports, runs
from alexnet_tf.claims import CLAIMS
from alexnet_tf.commands.told import told

FIRST_CELL = """# Run me first: I carry the laboratory (alexnet_tf {version}) and put it beside this notebook.
import base64, contextlib, importlib.util, os, pathlib, subprocess, sys, tempfile

WHEEL = "{wheel}"
RUNS = "{runs}"  # what verdicts need of the committed runs, where this notebook judges them
if importlib.util.find_spec("alexnet_tf") is None:
    place = pathlib.Path("alexnet_packages", "{digest}").resolve()
    place.parent.mkdir(exist_ok=True)
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            file, part = pathlib.Path(scratch, "{name}"), pathlib.Path(scratch, "part")
            file.write_bytes(base64.b85decode(WHEEL))
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
            subprocess.run([*pip, "--target", str(part), str(file)], check=True)
            with contextlib.suppress(OSError):  # another notebook was faster
                part.rename(place)
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])

from alexnet_tf import upload

upload.add_missing()
upload.unpack(RUNS)
upload.welcome({minutes})"""
# What lessons import and neither TensorFlow nor JupyterLab brings, with what that needs in turn: what fails without it.
EXTRAS = {
    "hardly a lesson runs": (
        *("scipy", "matplotlib", "contourpy", "cycler", "fontTools", "kiwisolver", "PIL", "pyparsing"),
        *("sklearn", "joblib", "narwhals", "threadpoolctl", "statsmodels", "pandas"),
    ),
    "01, 02 and 06 can't draw their matrices, all else runs": ("seaborn",),
    "05 can't compute SHAP values, all else runs": ("shap", "slicer", "numba", "llvmlite", "cloudpickle", "tqdm"),
    "05 has no panel to click on, all else runs": ("ipywidgets",),
}
CALLED = {"PIL": "pillow", "sklearn": "scikit-learn"}  # packages that are imported by another name
# The recipes that a notebook trains at quick, where it does not name each of them.
TRAINS = {
    "01_flowers": ("flowers-lrn", "flowers-lrn", "flowers-lrn-decay"),
    "02_cifar10": (
        *("cifar10-simple", "cifar10-resnet18*", "cifar10-bn64*"),
        *("int305-cnn", "int305-cnn", "int305-sgd", "int305-adam", "zeng-aug"),
    ),
    "03_ablations": (
        *("lab-*", "grid-base", "grid-per-image", "grid-no-augment", "grid-batch-after", "grid-dropout-0"),
        *("grid-batch-after-dropout-0", "grid-images-*"),
    ),
    "04_paper_claims": ("paper-*", "grid-base", "grid-lrn-scaled", "grid-no-norm", "grid-dropout-0"),
    "07_todays_recipe": ("today-flowers", "ladder-1", "ladder-3", "ladder-7"),
    "09_few_labels": (
        *("few-turned", "few-rebuilt", "few-*-10", "grid-base"),
        *("few-flowers-scratch-20", "few-flowers-labels-20"),
        *("few-flowers-labels-100", "few-flowers-labels-100-frozen-conv5"),
    ),
    "06_trust": (
        *("cifar10-bn64", "cifar10-simple", "int305-cnn", "zeng-aug"),
        *("grid-base", "grid-per-image", "grid-no-augment", "grid-batch-after"),
        *["flowers-lrn"] * 3,
    ),
}
# The claims that a notebook judges, by how their names begin.
JUDGES = {"04_paper_claims": "paper/", "08_scorecard": "", "09_few_labels": "few-labels/"}
SPEED = 455.0  # billions of operations a second in a float32 matrix product, on the two cores that minutes are told for


def machine() -> str:
    """What kind of place this is: Colab, Kaggle, or somebody's own."""
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "Kaggle"
    try:
        return "Colab" if importlib.util.find_spec("google.colab") else "Jupyter"
    except ModuleNotFoundError:
        return "Jupyter"


def add_missing() -> None:
    """Put what this machine lacks beside the notebook, or say which lesson lacks what for it."""
    place = Path(__file__).resolve().parents[1]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries", "1"]
    for fails, names in EXTRAS.items():
        lacking = _absent(names)
        if lacking and place.parent.name == "alexnet_packages":  # somebody's own environment is left alone
            packages = [CALLED.get(name, name) for name in lacking]
            with tempfile.TemporaryDirectory(dir=place) as scratch:  # whole or not there, while others import from it
                subprocess.run([*pip, "--target", scratch, *packages], capture_output=True)
                for part in Path(scratch).iterdir():
                    with contextlib.suppress(OSError):  # another notebook was faster
                        part.rename(place / part.name)
            importlib.invalidate_caches()
            lacking = _absent(names)
        if lacking:
            print(f"Not here, and can't be installed (no internet?): {', '.join(lacking)}. Without, {fails}.")


def _absent(names: Iterable[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name) is None]


def unpack(content: str) -> None:
    """Put the runs that a notebook carries where committed ones lie, anew where an earlier notebook's lie there.

    A checkout has its own, and so may a reader.
    """
    if (runs.home() / "pyproject.toml").exists() or not content:
        return
    store = runs.store_for("paper")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(content)), mode="r:xz") as packed:
        carried = {store / member.name: file.read() for member in packed if (file := packed.extractfile(member))}
    records = [path for path in carried if path.name == "record.json"]
    free = {path.parent for path in records if _is_free(path, carried[path])}
    for path, kept in carried.items():  # of each run the record comes last
        if free & {*path.parents}:
            files.write_atomically(path, kept)


def _is_free(place: Path, record: bytes) -> bool:
    """Whether a carried record has no whole one in its place but another that a notebook carried."""
    there = files.read_object(place)
    return not there or ("carried" in there and there != json.loads(record))


def speed(seconds: float = 1.0) -> float:
    """Billions of operations a second in the fastest of the matrix products that fit into a time."""
    import numpy as np

    side = 2048
    matrix = np.ones((side, side), "float32")
    end, best = time.perf_counter() + seconds, float("inf")
    while (began := time.perf_counter()) < end:
        np.matmul(matrix, matrix)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def welcome(minutes: float) -> None:
    """Say where we are, what was found, and how long it will take; point at a mounted drive's data."""
    from alexnet_tf import datasets, provenance

    where = machine()
    drive = Path(os.environ.get("ALEXNET_DRIVE", "/content/drive/MyDrive")) / "alexnet-data"
    if "ALEXNET_DATA_DIR" not in os.environ and drive.is_dir():
        os.environ["ALEXNET_DATA_DIR"] = str(drive)
    print(f"This is {where}: {provenance.hardware()}.")
    here = speed()
    print(
        f"At the quick budget this notebook takes about {max(1, minutes * SPEED / here):.0f} minute(s) here: "
        f"{minutes:.1f} where a matrix product runs at {SPEED:.0f} GFLOP/s; here it runs at {here:.0f}."
    )
    for name in "cifar10", "flowers":
        place = datasets.found(name)
        print(f"Real data, {name}: {place or 'not found; quick needs none. ' + datasets.WANTED[name][1]}")


def code_of(notebook: nbformat.NotebookNode) -> str:
    """All code of a notebook."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def trained(name: str, code: str) -> list[str]:
    """The recipes that a notebook trains at quick, each as often as it does."""
    named = [recipe for recipe in recipes.RECIPES if f'"{recipe}"' in code] if "training." in code else []
    patterns = TRAINS.get(name, named)
    return [recipe for pattern in patterns for recipe in fnmatch.filter(recipes.RECIPES, pattern)]


def minutes_of(name: str, code: str) -> float:
    """How long a notebook takes at quick on two cores: its trainings, and one minute for all that is drawn."""
    return 1 + sum(recipes.get(recipe).budgets["quick"].minutes for recipe in trained(name, code))


def packed_runs(claims: str = "") -> bytes:
    """What the verdicts on some claims need of the committed runs, packed; claims are named by how they begin.

    That is records, for paired differences who was right where, and measurements that a rule asks for.
    """
    judged = [claim for claim in CLAIMS if claim.name.startswith(claims)]
    needed = {name for claim in judged for name in (claim.recipe, claim.versus)}
    # Of all claims: what one notebook unpacks must serve another.
    paired = {name for claim in CLAIMS if claim.rule != "level" for name in (claim.recipe, claim.versus)}
    store, target = runs.store_for("paper"), io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as packed:  # one stream: records resemble each other
        for run in runs.listing(store):
            if run.recipe in needed and run.finished and not run.record["overrides"]:
                outputs = _right(run) if run.recipe in paired else b""
                contents = {"outputs.npz": outputs}
                for measured in "ten_crops", "training":
                    if (file := run.path / "measurements" / f"{measured}.npz").exists():
                        contents[f"measurements/{measured}.npz"] = file.read_bytes()
                contents["record.json"] = _record(run, outputs)  # last: it says that a run is there
                for name, content in contents.items():
                    if content:
                        member = tarfile.TarInfo(f"{run.path.relative_to(store).as_posix()}/{name}")
                        member.size = len(content)
                        packed.addfile(member, io.BytesIO(content))
    return target.getvalue()


def _right(run: runs.Run) -> bytes:
    """A run's outputs, cut down to which test images it gets right."""
    import numpy as np

    from alexnet_tf import evaluation  # not above: what it needs may still have to be added

    content = io.BytesIO()
    np.savez(content, test_right=np.packbits(evaluation.correct(run)))
    return content.getvalue()


def _record(run: runs.Run, outputs: bytes) -> bytes:
    """A run's record, marked as carried by a notebook and not made where it lies."""
    record = {**run.record, "carried": True}
    if outputs:
        record["outputs_sha256"] = hashlib.sha256(outputs).hexdigest()
    return json.dumps({**record, "checksum": runs.checksum(record)}).encode()


def build_wheel(folder: Path) -> Path:
    """This package as a wheel, without its long description, its benchmarks and its site, which no lesson asks for.

    It is built from a copy: two builds at once in one checkout break each other.
    """
    source = folder / "source"

    def left_out(folder: str, names: list[str]) -> set[str]:
        benchmarks = set(names) - {"__init__.py"} if Path(folder).name == "bench" else set()  # `export` takes turns
        return benchmarks | {"__pycache__", "site"}

    shutil.copytree(runs.home() / "alexnet_tf", source / "alexnet_tf", ignore=left_out)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(runs.home() / name, source)
    (source / "README.md").write_text("The laboratory, carried by a notebook.\n")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True, cwd=folder)
    return next(folder.glob("alexnet_tf-*.whl"))


def make(target: Path | None = None) -> list[Path]:
    """Write every notebook as a single file, and for Kaggle in a folder with its metadata."""
    target = target or runs.home() / "dist" / "upload"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch))
        content = wheel.read_bytes()
        for name, path in reports.notebooks().items():
            notebook = nbformat.read(path, as_version=4)
            code = code_of(notebook)
            first = FIRST_CELL.format(
                version=wheel.name.split("-")[1],
                wheel=base64.b85encode(content).decode(),
                digest=hashlib.sha256(content).hexdigest()[:12],
                runs=base64.b64encode(packed_runs(JUDGES[name])).decode() if name in JUDGES else "",
                name=wheel.name,
                minutes=round(minutes_of(name, code), 1),
            )
            cell = nbformat.v4.new_code_cell(first, id="laboratory")
            cell.metadata["jupyter"] = {"source_hidden": True}
            notebook.cells.insert(1, cell)
            for one in notebook.cells:
                if one.cell_type == "code":
                    one.outputs, one.execution_count = [], None
            nbformat.write(notebook, target / path.name)
            written.append(target / path.name)
            _for_kaggle(target / "kaggle" / name, target / path.name)
    return written


def _for_kaggle(folder: Path, notebook: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(notebook, folder)
    about = {  # Kaggle makes the name in the id of the title, and takes no other
        "id": f"INSERT_YOUR_NAME/alexnet-{notebook.stem.replace('_', '-')}",
        "title": f"AlexNet {notebook.stem.replace('_', ' ')}",
        "code_file": notebook.name,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": False,
        "enable_internet": False,
        "dataset_sources": ["pankrzysiu/cifar10-python"],
    }
    (folder / "kernel-metadata.json").write_text(json.dumps(about, indent=1) + "\n")


def main() -> None:
    """Make all of them, and say how large each is."""
    for file in make():
        print(f"{file} ({file.stat().st_size // 1000} KB)")


if __name__ == "__main__":
    sys.exit(told(main))

"""Notebooks as single files that run alone, for Colab, Kaggle or any JupyterLab: ``make upload``.

The first cell of each carries this package as a wheel and puts it into a folder beside the notebook;
nothing that the machine has is installed again. For Kaggle each lies in a folder of its own with the
metadata that ``kaggle kernels push`` reads.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from alexnet_tf import recipes, reports, runs

FIRST_CELL = """# Run me first: I carry the laboratory (alexnet_tf {version}) and put it beside this notebook.
import base64, importlib.util, os, pathlib, subprocess, sys

WHEEL = "{wheel}"
if importlib.util.find_spec("alexnet_tf") is None:
    place = pathlib.Path("alexnet_packages").resolve()
    place.mkdir(exist_ok=True)
    file = place / "{name}"
    file.write_bytes(base64.b64decode(WHEEL))
    missing = [name for name in {extras} if importlib.util.find_spec(name) is None]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(place)]
    subprocess.run([*pip, str(file), *missing], check=True)  # numpy, keras and tensorflow stay as they are
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])

from alexnet_tf import upload

upload.welcome({minutes})"""
EXTRAS = ("shap", "slicer", "ipywidgets", "seaborn")  # what a lesson needs and a machine may lack


def machine() -> str:
    """What kind of place this is: Colab, Kaggle, or somebody's own."""
    import importlib.util
    import os

    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "Kaggle"
    try:
        return "Colab" if importlib.util.find_spec("google.colab") else "Jupyter"
    except ModuleNotFoundError:
        return "Jupyter"


def welcome(minutes: float) -> None:
    """Say where we are, what was found, and how long it will take; point at a mounted drive's data."""
    import os

    from alexnet_tf import datasets, provenance

    where = machine()
    drive = Path(os.environ.get("ALEXNET_DRIVE", "/content/drive/MyDrive")) / "alexnet-data"
    if "ALEXNET_DATA_DIR" not in os.environ and drive.is_dir():
        os.environ["ALEXNET_DATA_DIR"] = str(drive)
    print(f"This is {where}: {provenance.hardware()}.")
    print(f"At the quick budget this notebook takes about {minutes:.0f} minute(s) on two cores.")
    for name in "cifar10", "flowers":
        place = datasets.found(name)
        print(f"Real data, {name}: {place or 'not found; quick needs none. ' + datasets.WANTED[name][1]}")


def minutes_of(notebook: nbformat.NotebookNode) -> float:
    """About how long a notebook takes at quick: its recipes' minutes and one for all that is drawn."""
    text = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    named = [recipe for name, recipe in recipes.RECIPES.items() if f'"{name}"' in text]
    return 1 + sum(recipe.budgets["quick"].minutes for recipe in named)


def build_wheel(folder: Path) -> Path:
    """This package as a wheel, built from the checkout with what is installed."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(runs.home())], check=True, cwd=folder)
    return next(folder.glob("alexnet_tf-*.whl"))


def make(target: Path | None = None) -> list[Path]:
    """Write every notebook as a single file, and for Kaggle in a folder with its metadata."""
    target = target or runs.home() / "dist" / "upload"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch))
        content = base64.b64encode(wheel.read_bytes()).decode()
        for name, path in reports.notebooks().items():
            notebook = nbformat.read(path, as_version=4)
            first = FIRST_CELL.format(
                version=wheel.name.split("-")[1],
                wheel=content,
                name=wheel.name,
                extras=EXTRAS,
                minutes=minutes_of(notebook),
            )
            cell = nbformat.v4.new_code_cell(first, id="laboratory")
            cell.metadata["jupyter"] = {"source_hidden": True}
            notebook.cells.insert(1, cell)
            for one in notebook.cells:
                if one.cell_type == "code":
                    one.outputs, one.execution_count = [], None
            nbformat.write(notebook, target / path.name)
            written.append(target / path.name)
            _for_kaggle(target / "kaggle" / name, target / path.name, reports.title_of(path))
    return written


def _for_kaggle(folder: Path, notebook: Path, title: str) -> None:
    folder.mkdir(parents=True)
    shutil.copy(notebook, folder)
    about = {
        "id": f"INSERT_YOUR_NAME/alexnet-{notebook.stem.replace('_', '-')}",
        "title": f"AlexNet {notebook.stem.replace('_', ' ')}: {title}"[:50],
        "code_file": notebook.name,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": False,
        "enable_internet": False,
        "dataset_sources": ["pankrzysiu/cifar10-python"],
    }
    (folder / "kernel-metadata.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    for file in make():
        print(f"{file} ({file.stat().st_size // 1000} KB)")

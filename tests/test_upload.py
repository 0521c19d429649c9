"""One notebook file alone, in an empty folder with an empty home, on machines that imitate Colab and Kaggle."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig

import nbformat
import pytest

from alexnet_tf import upload

EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
first = [cell for cell in notebook.cells if cell.cell_type == "code"][0]
print("".join(output.get("text", "") for output in first.outputs))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upload") / "dist"
    return {path.stem: path for path in upload.make(folder)}


def alone(file, folder, **environment):
    """Execute a copy of the file where this package is not installed; return what its first cell says."""
    (folder / "home").mkdir(parents=True)
    (folder / "work").mkdir()
    shutil.copy(file, folder / "work")
    paths = [environment.pop("extra", ""), sysconfig.get_paths()["purelib"]]
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    env = {**kept, "HOME": str(folder / "home"), "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    base = [sys._base_executable, "-c"]
    lacking = subprocess.run([*base, "import alexnet_tf"], cwd=folder, env=env, capture_output=True, text=True)
    assert "No module named 'alexnet_tf'" in lacking.stderr
    done = subprocess.run(
        [*base, EXECUTE, file.name], cwd=folder / "work", env=env, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_colab_runs_a_file_alone(files, tmp_path):
    (tmp_path / "colab" / "google" / "colab").mkdir(parents=True)
    (tmp_path / "colab" / "google" / "colab" / "__init__.py").touch()
    drive = tmp_path / "drive" / "alexnet-data" / "flowers"
    drive.mkdir(parents=True)
    said = alone(
        files["10_audit"], tmp_path / "x", extra=str(tmp_path / "colab"), ALEXNET_DRIVE=str(tmp_path / "drive")
    )
    assert "This is Colab" in said
    assert f"flowers: {drive}" in said
    assert "about 1 minute(s)" in said


def test_kaggle_finds_its_input(files, tmp_path):
    (tmp_path / "input" / "cifar10-python" / "cifar-10-batches-py").mkdir(parents=True)
    said = alone(
        files["10_audit"],
        tmp_path / "x",
        KAGGLE_KERNEL_RUN_TYPE="Interactive",
        ALEXNET_KAGGLE_INPUT=str(tmp_path / "input"),
    )
    assert "This is Kaggle" in said
    assert f"cifar10: {tmp_path / 'input' / 'cifar10-python'}" in said


@pytest.mark.slow
def test_a_lesson_that_trains_runs_alone(files, tmp_path):
    said = alone(files["01_flowers"], tmp_path / "x")
    assert "This is Jupyter" in said
    assert (tmp_path / "x" / "work" / ".cache" / "runs" / "flowers-lrn" / "quick" / "seed-0" / "record.json").exists()
    assert not list((tmp_path / "x" / "home").rglob("model.keras"))


def test_files_are_small_and_kaggle_has_its_metadata(files):
    for name, file in files.items():
        assert file.stat().st_size < 400_000
        about = json.loads((file.parent / "kaggle" / name / "kernel-metadata.json").read_text())
        assert (file.parent / "kaggle" / name / about["code_file"]).exists()
        assert len(about["title"]) <= 50
        assert nbformat.read(file, as_version=4).cells[1].id == "laboratory"

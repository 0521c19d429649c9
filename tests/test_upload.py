"""One notebook file alone, in an empty folder with an empty home, on machines that imitate Colab and Kaggle."""

import collections
import concurrent.futures
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from test_doors import make_folder

from alexnet_tf import recipes, reports, runs, upload, verdicts

EXECUTE = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=3300, kernel_name="python3").execute()
code = [cell for cell in notebook.cells if cell.cell_type == "code"]
print(json.dumps(["".join(output.get("text", "") for output in cell.outputs) for cell in code]))
"""
WITHOUT_TRAINING = ("00_building_blocks", "08_scorecard")
NAMES = [
    name if name in WITHOUT_TRAINING else pytest.param(name, marks=pytest.mark.slow)
    for name in reports.notebooks()
    if name != "10_audit"  # as on Colab and on Kaggle, below
]
# Whether a file runs alone does not depend on how long it trains: here, an epoch of a hundred images at most.
SHORTEN = """
import dataclasses
from alexnet_tf import recipes

for name, recipe in recipes.RECIPES.items():
    quick = recipe.at("quick")
    fewer = {"train_images": min(quick.train_images or 100, 100), "epochs": min(quick.epochs, 1), "passes": 1}
    budget = dataclasses.replace(recipe.budgets["quick"], changes={**recipe.budgets["quick"].changes, **fewer})
    recipes.RECIPES[name] = dataclasses.replace(recipe, budgets={**recipe.budgets, "quick": budget})
"""
LOAD = "from alexnet_tf import datasets, doors\ndoors.PER_BATCH = 20\nprint(len(datasets.load('cifar10').train))"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upload") / "dist"
    return {path.stem: path for path in upload.make(folder)}


def alone(file, folder, lacking="", cell="", **environment):
    """Execute a copy of the file, its trainings shortened, where this package is not installed.

    Returns what its cells print.
    """
    (folder / "home").mkdir(parents=True)
    (folder / "content").mkdir(exist_ok=True)
    (folder / "start").mkdir()
    (folder / "start" / "sitecustomize.py").write_text(
        f"import sys\nfor name in {lacking.split()}: sys.modules[name] = None"
    )
    notebook = nbformat.read(file, as_version=4)
    first = [item.id for item in notebook.cells].index("laboratory")
    notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(SHORTEN))
    if cell:
        notebook.cells.append(nbformat.v4.new_code_cell(cell))
    nbformat.write(notebook, folder / "content" / file.name)
    paths = [str(folder / "start"), environment.pop("extra", ""), sysconfig.get_paths()["purelib"]]
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    env = {**kept, "HOME": str(folder / "home"), "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    base = [sys._base_executable, "-c"]
    absent = subprocess.run([*base, "import alexnet_tf"], cwd=folder, env=env, capture_output=True, text=True)
    assert "No module named 'alexnet_tf'" in absent.stderr
    done = subprocess.run(
        [*base, EXECUTE, file.name], cwd=folder / "content", env=env, capture_output=True, text=True, timeout=3500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def trained_in(folder):
    """How many runs of each recipe lie where the notebook ran."""
    records = (folder / "content" / ".cache" / "runs").glob("*/*/seed-*/record.json")
    return collections.Counter(record.parents[2].name for record in records)


@pytest.mark.timeout(3600)  # it trains everything anew, which takes a slow machine many minutes
@pytest.mark.parametrize("name", NAMES)
def test_every_file_runs_alone(files, tmp_path, name):
    said = alone(files[name], tmp_path)
    assert "This is Jupyter" in said[0]
    (place,) = (tmp_path / "content" / "alexnet_packages").iterdir()
    packages = {path.name for path in place.iterdir()}
    assert "alexnet_tf" in packages
    assert not packages & {"numpy", "keras", "tensorflow"}
    assert trained_in(tmp_path) == collections.Counter(upload.trained(name, upload.code_of(read(name))))
    assert not list((tmp_path / "home").rglob("model.keras"))
    if name == "08_scorecard":
        rows = verdicts.scorecard(runs.store_for("paper"))
        for row in rows:
            assert f"{row.claim}: {row.verdict} (" in "".join(said) or row.verdict == "not run"
        counts = collections.Counter(row.verdict for row in rows)
        told = [re.sub(" +([0-9]+ at .*)?$", "", line) for line in "\n".join(said).splitlines()]
        assert {f"{count:>3} {verdict}" for verdict, count in counts.items()} <= {*told}
        assert counts["reproduced"] > 0


def test_notebooks_that_start_at_once_share_one_folder_and_a_later_one_leaves_it_alone(files, tmp_path):
    first = nbformat.read(files["00_building_blocks"], as_version=4).cells[1].source
    installs = f"{first.partition('from alexnet_tf import upload')[0]}\nimport alexnet_tf; print(alexnet_tf.__file__)"
    env = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    (tmp_path / "cell.py").write_text(installs)

    def start(_):
        command = [sys._base_executable, str(tmp_path / "cell.py")]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        places = {*pool.map(start, range(3))}
    (folder,) = (tmp_path / "alexnet_packages").iterdir()
    assert places == {f"{folder / 'alexnet_tf' / '__init__.py'}\n"}
    before = {path: path.stat().st_ino for path in folder.rglob("*.py")}
    assert {start(3)} == places
    assert {path: path.stat().st_ino for path in folder.rglob("*.py")} == before


def read(name):
    return nbformat.read(reports.notebooks()[name], as_version=4)


def test_colab_finds_a_mounted_drive(files, tmp_path):
    (tmp_path / "colab" / "google" / "colab").mkdir(parents=True)
    (tmp_path / "colab" / "google" / "colab" / "__init__.py").touch()
    drive = tmp_path / "content" / "drive" / "MyDrive"
    (drive / "alexnet-data" / "flowers").mkdir(parents=True)
    said = alone(files["10_audit"], tmp_path, extra=str(tmp_path / "colab"), ALEXNET_DRIVE=str(drive))
    assert "This is Colab" in said[0]
    assert not trained_in(tmp_path)
    assert f"flowers: {drive / 'alexnet-data' / 'flowers'}" in said[0]


def test_kaggle_without_internet_tells_what_it_lacks_and_a_cell_loads_its_input(files, tmp_path):
    """The input as source B had it, in a folder that nobody may write into."""
    batches = make_folder(tmp_path / "input" / "cifar10-python" / "cifar-10-batches-py")
    places = sorted((tmp_path / "input").rglob("*"))
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    said = alone(
        files["10_audit"],
        tmp_path / "x",
        lacking="shap seaborn",
        cell=LOAD,
        PIP_NO_INDEX="1",
        KAGGLE_KERNEL_RUN_TYPE="Interactive",
        ALEXNET_KAGGLE_INPUT=str(tmp_path / "input"),
    )
    assert "This is Kaggle" in said[0]
    assert "Not here, and can't be installed (no internet?): shap. Without, 05 can't compute SHAP values" in said[0]
    assert "(no internet?): seaborn. Without, 01, 02 and 06" in said[0]
    assert "ipywidgets" not in said[0]
    assert f"cifar10: {batches.parent}" in said[0]
    assert said[-1].startswith("100\n")
    assert sorted((tmp_path / "input").rglob("*")) == places


HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Hidden())
import {modules}
"""


def brought_by(*names):
    """Packages with all that they need in turn."""
    found, wanted = set(), list(names)
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name not in found:
            found.add(name)
            needs = map(Requirement, importlib.metadata.requires(name) or ())
            wanted += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return found


def test_the_first_cell_brings_all_that_tensorflow_and_jupyterlab_do_not():
    """Their packages and the extras are enough for everything, and theirs alone for the module that adds the extras."""
    base = brought_by("tensorflow", "keras", "jupyterlab", "pip") | {"alexnet-tf"}
    extras = {name for names in upload.EXTRAS.values() for name in names}
    added = {canonicalize_name(upload.CALLED.get(name, name)) for name in extras}
    assert not added & base
    rooms = ["measurements", "panel", "trust"]
    every = [*extras, *(f"alexnet_tf.{room}" for room in rooms), "statsmodels.stats.multitest", "sklearn.manifold"]
    for there, modules in (base, ["alexnet_tf.upload"]), (base | added, every):
        owners = importlib.metadata.packages_distributions().items()
        hidden = {name for name, packages in owners if not there & {*map(canonicalize_name, packages)}}
        code = HIDE.format(hidden=hidden, modules=", ".join(modules))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=runs.home())
        assert done.returncode == 0, done.stderr[-1000:]


def test_the_time_told_is_that_of_all_that_is_trained_and_of_this_machine(monkeypatch, capsys):
    minutes = {name: upload.minutes_of(name, upload.code_of(read(name))) for name in reports.notebooks()}
    lab = [recipe for name, recipe in recipes.RECIPES.items() if name.startswith("lab-")]
    assert minutes["03_ablations"] >= sum(recipe.budgets["quick"].minutes for recipe in lab) > 0.8
    assert minutes["10_audit"] == 1
    assert minutes["06_trust"] > minutes["05_inside_alexnet"] > 1
    for speed, told in (upload.SPEED, "about 3 minute(s) here"), (upload.SPEED / 10, "about 30 minute(s) here"):
        monkeypatch.setattr(upload, "speed", lambda speed=speed: speed)
        upload.welcome(3)
        assert told in capsys.readouterr().out
    monkeypatch.undo()
    assert upload.speed(0.1) > 0.1


def test_carried_runs_give_the_verdicts_of_whole_ones(monkeypatch, tmp_path):
    whole = verdicts.scorecard(runs.store_for("paper"))
    carried = upload.base64.b64encode(upload.packed_runs()).decode()
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    assert {row.verdict for row in verdicts.scorecard(runs.store_for("paper"))} == {"not run"}
    upload.unpack(carried)
    assert verdicts.scorecard(runs.store_for("paper")) == whole
    measured = next(tmp_path.rglob("measurements/*.npz"))
    measured.unlink()  # a reader's own training has not been measured
    own = measured.parent.parent / "record.json"
    own.write_text('{"whose": "a reader\'s own"}')
    upload.unpack(carried)
    assert not measured.exists()
    assert "a reader's own" in own.read_text()
    shutil.rmtree(tmp_path / "reports")
    (tmp_path / "pyproject.toml").touch()  # a checkout has its own
    upload.unpack(carried)
    assert not (tmp_path / "reports").exists()


def test_carried_runs_are_renewed_and_repaired(monkeypatch, tmp_path):
    """A newer notebook brings its own, whatever an older one left, and what was cut by a kill is made whole."""
    one, two, *_ = (run for run in runs.listing() if run.recipe == "lab-bce" and run.finished)
    monkeypatch.setattr(runs, "listing", lambda *_: iter([one, two]))
    carried = upload.base64.b64encode(upload.packed_runs()).decode()
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    upload.unpack(carried)
    places = [tmp_path / "reports" / "runs" / str(run) for run in (one, two)]
    whole = {path: path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    older, cut = (place / "record.json" for place in places)
    older.write_text(json.dumps({**json.loads(whole[older]), "name": "an older one"}))
    cut.write_bytes(whole[cut][:100])
    (places[0] / "outputs.npz").write_bytes(b"an older one's")
    upload.unpack(carried)
    assert {path: path.read_bytes() for path in whole} == whole


def test_files_are_small_and_kaggle_has_its_metadata(files):
    for name, file in files.items():
        carries = re.search('RUNS = "(.*?)"', file.read_text().replace("\\", ""))[1]
        code = upload.code_of(nbformat.read(reports.notebooks()[name], as_version=4))
        assert bool(carries) == (name in upload.JUDGES) == ("verdicts.scorecard(" in code)
        assert file.stat().st_size < (600_000 if carries else 400_000)
        about = json.loads((file.parent / "kaggle" / name / "kernel-metadata.json").read_text())
        assert (file.parent / "kaggle" / name / about["code_file"]).exists()
        assert len(about["title"]) <= 50
        assert about["id"].partition("/")[2] == about["title"].lower().replace(" ", "-")
        assert nbformat.read(file, as_version=4).cells[1].id == "laboratory"


def test_two_who_build_at_once_do_not_break_each_other(tmp_path):
    places = [tmp_path / str(number) for number in range(3)]
    for place in places:
        place.mkdir()
    left = runs.home() / "build"
    before = left.exists()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        wheels = list(pool.map(upload.build_wheel, places))
    contents = [zipfile.ZipFile(wheel).namelist() for wheel in wheels]
    assert contents[0] == contents[1] == contents[2]
    ours = {str(path.relative_to(runs.home())) for path in (runs.home() / "alexnet_tf").rglob("*.py")}
    stays = {name for name in ours if name.startswith(("alexnet_tf/bench/", "alexnet_tf/site/"))}
    assert ours - stays | {"alexnet_tf/bench/__init__.py"} == {
        one for one in contents[0] if one.startswith("alexnet_tf/")
    }
    assert left.exists() == before

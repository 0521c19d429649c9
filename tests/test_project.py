"""The project's own order: pins that agree, arrows that imports follow, targets that explain themselves."""

import ast
import collections
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "alexnet_tf").rglob("*.py"))
LOCK = (ROOT / "requirements.lock").read_text()
PINS = dict(re.findall(r"^([a-z0-9_-]+)==([^ \\;]+)", LOCK, re.M))

# Which rooms a room may know: the arrows of the house, read from below. Rooms not named know only these.
COMMON = {"errors", "files", "quiet"}
ALLOWED = {
    "claims": set(),
    "printed": set(),
    "literature": {"claims"},
    "recipe": set(),
    "recipes": {"recipe"},
    "layers": set(),
    "models": {"layers"},
    "paintbox": set(),
    "doors": set(),
    "prepared": set(),
    "splits": {"prepared"},
    "folders": {"splits"},
    "datasets": {"doors", "folders", "paintbox", "prepared", "printed", "recipe", "runs", "splits"},
    "preprocess": {"recipe"},
    "augment": {"recipe"},
    "ahead": {"preprocess", "splits"},
    "order": {"prepared", "splits"},
    "arrays": {"ahead", "order", "augment", "devices", "preprocess", "splits"},
    "pipeline": {"augment", "order", "preprocess", "splits"},
    "provenance": set(),
    "runs": {"recipe", "recipes"},
    "optimizers": {"recipe"},
    "callbacks": {"recipe", "runs"},
    "fitting": {
        "arrays",
        "callbacks",
        "devices",
        "models",
        "optimizers",
        "pipeline",
        "predict",
        "preprocess",
        "recipe",
        "runs",
        "splits",
    },
    "finishing": {"fitting", "predict", "preprocess", "provenance", "recipe", "runs", "splits"},
    "training": {"datasets", "devices", "finishing", "fitting", "provenance", "recipe", "recipes", "runs"},
    "intervals": set(),
    "luck": set(),
    "evaluation": {"intervals", "luck", "runs"},
    "verdicts": {"claims", "evaluation", "intervals", "recipe", "recipes", "runs"},
    "search": {"evaluation", "intervals", "models", "recipe", "recipes", "runs", "training"},
    "search_report": {"plots", "provenance", "runs", "search"},
    "growth": {"intervals"},
    "finetune": {
        *(
            "datasets",
            "evaluation",
            "growth",
            "intervals",
            "models",
            "plots",
            "predict",
            "recipes",
            "runs",
            "splits",
            "training",
        ),
    },
    "ablation": {"costs", "evaluation", "growth", "intervals", "literature", "plan", "recipes", "runs"},
    "plots": {"ablation", "claims", "intervals", "trust", "verdicts"},
    "predict": {"folders", "layers", "preprocess", "recipes", "runs", "splits"},
    "released": {"datasets", "evaluation", "export", "predict", "recipes", "runs"},
    "interpret": {"models", "preprocess"},
    "trust": {"evaluation", "intervals"},
    "corruptions": {"preprocess", "splits"},
    "measurements": {"corruptions", "datasets", "evaluation", "interpret", "models", "predict", "runs", "splits"},
    "panel": {"interpret", "models", "plots", "splits"},
    "reports": {"recipe", "runs"},
    "bench": {
        "augment",
        "claims",
        "layers",
        "datasets",
        "finishing",
        "fitting",
        "models",
        "optimizers",
        "pipeline",
        "plan",
        "plots",
        "preprocess",
        "provenance",
        "recipe",
        "recipes",
        "runs",
        "splits",
        "training",
    },
    "costs": {"runs"},
    "plan": {"costs", "models", "recipe"},
    "bootstrap": set(),
    "events": {"runs"},
    "cluster": set(),
    "devices": {"cluster"},
    "export": {"bench", "datasets", "evaluation", "intervals", "predict", "provenance", "runs", "splits"},
    "pictures": {"commands", "models", "plots", "printed", "runs", "verdicts"},
    "site": {"claims", "commands", "plots", "provenance", "recipes", "reports", "runs", "verdicts"},
    "upload": {"claims", "commands", "datasets", "evaluation", "provenance", "recipes", "reports", "runs"},
    "errors": set(),
    "files": set(),
    "quiet": set(),
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("alexnet_tf"):
            parts = node.module.split(".")
            yield from parts[1:2] or [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            yield from [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("alexnet_tf.")]


def room(path):
    """A file of the package, or the folder that it shares with others."""
    return path.relative_to(ROOT / "alexnet_tf").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{room(path)}-{path.stem}")
def test_imports_follow_the_arrows(path):
    if room(path) in ("__init__", "__main__", "commands"):  # doors to all rooms
        return
    assert set(imports(path)) - COMMON - {room(path)} <= ALLOWED[room(path)]


DATA = {"claims", "literature", "printed"}  # what sources say: they grow with the sources


def test_every_room_fits_on_a_few_screens():
    """The whole grows with the chapters of the laboratory; a room that grows becomes two."""
    for path in FILES:
        lines = [line.strip() for line in path.read_text().splitlines()]
        count = sum(bool(line) and not line.startswith("#") for line in lines)
        assert path.stem in DATA or count <= 320, f"{path.name} has {count} lines: split it"


def test_the_lock_pins_every_dependency_by_hash_and_names_no_host():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: items for name, items in project["optional-dependencies"].items() if name != "peers"}
    wanted = project["dependencies"] + [item for items in extras.values() for item in items]
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9_-]+", requirement)[0].lower().replace("_", "-")
        assert name in PINS, f"{name} is not locked: compile requirements.lock again"
    assert "://" not in LOCK
    blocks = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.M)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_oldest_lock_holds_the_floors():
    """What pyproject.toml promises to run with is what `make test-oldest` runs with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "requirements-oldest.lock").read_text()
    pins = re.findall(r"^([a-z0-9_-]+)==([^ \\;]+)", text, re.M)  # several of a name: later Pythons need later ones
    wanted = project["dependencies"] + project["optional-dependencies"]["jax"]
    for name, floor in (re.match(r"([\w-]+)>=([\d.]+)", requirement).groups() for requirement in wanted):
        locked = [pin for pinned, pin in pins if pinned == name.replace("_", "-")]
        assert any(f"{pin}.".startswith(f"{floor}.") for pin in locked), f"{name} is locked at {locked}: compile again"
    assert "://" not in text


def test_the_conda_environment_agrees_with_the_lock():
    text = (ROOT / "environment.yml").read_text()
    pinned = re.findall(r"- ([a-z0-9-]+)==?([0-9][^ \n]*)", text)
    assert {name for name, _ in pinned} >= {"tensorflow", "keras", "numpy", "jupyterlab", "papermill", "nbval"}
    for name, version in pinned:
        if name != "python":
            assert any(pin == (name, version) for pin in re.findall(r"^([a-z0-9_-]+)==([^ \\;]+)", LOCK, re.M)), name


def test_make_prints_every_target_with_its_help():
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    shown = dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", done.stdout, re.M))
    assert set(targets) - {"help"} <= set(shown) | {"help"}
    assert {"reports", "test", "lab"} <= set(shown)


def test_make_clean_leaves_what_took_hours(tmp_path):
    kept = {"runs", "weights", "spares", "search", "indexes"}
    for name in kept | {"data", "tests.xml"}:
        (tmp_path / ".cache" / name).mkdir(parents=True)
    subprocess.run(["make", "-C", str(tmp_path), "-f", str(ROOT / "Makefile"), "clean"], check=True)
    assert {path.name for path in (tmp_path / ".cache").iterdir()} == kept


def test_the_readme_names_every_room_and_notebook():
    readme = (ROOT / "README.md").read_text()
    files = [path for path in (ROOT / "alexnet_tf").rglob("[a-z]*.py") if not path.stem.startswith("source_")]
    for path in [*files, *(ROOT / "notebooks").glob("*.ipynb")]:
        assert path.name in readme, path.name


def tracked():
    """The files that git knows and that are there."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def test_runs_and_reports_stay_small():
    """A run's record and outputs, a released model, and all but the models together, measurements among them."""
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in tracked() if path.is_relative_to(ROOT / "reports")}
    runs, rest, models = collections.Counter(), 0, collections.Counter()
    for path, size in sizes.items():
        if path.parts[1] == "models":
            models[path.parent] += size
            continue
        rest += size
        if path.parts[1] == "runs" and path.name in ("record.json", "outputs.npz"):
            runs[path.parent] += size
    assert runs and models
    limits = {path: 15_000 if path.parts[2].startswith("grid-") else 400_000 for path in runs}
    assert not {str(path): size for path, size in runs.items() if size > limits[path]}
    assert not {str(path): size for path, size in models.items() if size > 16_000_000}
    assert rest <= 40_000_000


def test_tracked_files_hold_no_path_of_a_machine():
    here = str(Path.home()).rstrip("/")
    if not here.startswith(("/home/", "/root", "/Users/")):
        pytest.skip("no home folder whose name would tell of a machine")
    for path in tracked():
        if path.suffix in (".py", ".md", ".toml", ".yml", ".ipynb", ".json", ".lock"):
            assert f"{here}/" not in path.read_text(encoding="utf-8"), path


def test_an_old_python_can_read_the_set_up_script():
    """No syntax newer than Python 3.5: no f-strings, annotations or walrus."""
    source = (ROOT / "alexnet_tf" / "bootstrap.py").read_text()
    tree = ast.parse(source)
    assert not any(isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr) for node in ast.walk(tree))
    assert compile(source, "bootstrap.py", "exec")
    assert sys.version_info >= (3, 11)

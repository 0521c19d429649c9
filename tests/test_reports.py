"""Reports: executed, rendered, indexed; a failing cell is told and leaves its page."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import psutil
import pytest

from alexnet_tf import files, reports, runs
from alexnet_tf.errors import LabError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with small notebooks of its own."""

    def write(name, *sources):
        parameters = nbformat.v4.new_code_cell("budget: str = 'quick'  # x\nfresh: bool = False  # x")
        parameters.metadata["tags"] = ["parameters"]
        title = nbformat.v4.new_markdown_cell(f"# About <{name}>")
        notebook = nbformat.v4.new_notebook(
            cells=[title, parameters, *map(nbformat.v4.new_code_cell, sources)],
            metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}},
        )
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")

    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    return write


def test_notebooks_become_reports(lab, tmp_path, capsys):
    lab("01_good", "print(budget, fresh)")
    lab("02_bad", "1 / 0", "print('never')")
    done = reports.make("laptop", fresh=True)
    assert [report.ok for report in done] == [True, False]
    assert "ZeroDivisionError: division by zero" in done[1].error
    folder = tmp_path / "reports" / "laptop"
    assert "laptop True" in (folder / "01_good.html").read_text()
    assert str(tmp_path) not in (folder / "01_good.ipynb").read_text()
    page = (folder / "index.html").read_text()
    assert "About &lt;01_good&gt;" in page
    assert "02_bad.failed.html" in page
    assert 'href="02_bad.failed.ipynb"' in page
    assert 'href="02_bad.ipynb"' not in page  # there is none
    assert "ZeroDivisionError" in (folder / "02_bad.failed.html").read_text()
    assert "http" not in page
    assert not list(folder.glob(".*.part.*"))
    said = capsys.readouterr().err
    assert "[1/2] 01_good: ok" in said
    assert "[2/2] 02_bad: FAILED" in said
    text = reports.summary(done, folder)
    assert "1 of 2 reports" in text
    assert str(folder / "index.html") in text
    reports.make("laptop", ["01_good"])
    assert "02_bad.failed.html" in (folder / "index.html").read_text()


MEETS = """
import pathlib, time
pathlib.Path({mine!r}).touch()
for _ in range(3000):
    if pathlib.Path({other!r}).exists():
        break
    time.sleep(0.1)
print("met" if pathlib.Path({other!r}).exists() else "alone")
"""


def test_quick_reports_are_made_two_at_a_time_and_told_in_order(lab, tmp_path):
    one, other = (str(tmp_path / name) for name in ("one", "other"))
    lab("01_x", MEETS.format(mine=one, other=other), "import time; time.sleep(1)")
    lab("02_y", MEETS.format(mine=other, other=one))
    done = reports.make("quick")
    assert [report.name for report in done] == ["01_x", "02_y"]
    for name in "01_x", "02_y":
        assert "met" in nbformat.read(tmp_path / "reports" / "quick" / f"{name}.ipynb", 4).cells[3].outputs[0].text


def test_the_longest_of_the_quick_reports_begin_first(lab, tmp_path):
    (tmp_path / "reports" / "bench").mkdir(parents=True)
    spent = {"02_y": {"all": 5.0}, "03_z": {"all": 9.0}}
    (tmp_path / "reports" / "bench" / "spent.json").write_text(json.dumps({"reports": spent}))
    for name in "01_x", "02_y", "03_z":
        lab(name, "1")
    done = reports.make("quick")
    assert [report.name for report in done] == ["01_x", "02_y", "03_z"]
    assert done[0].began > max(report.began for report in done[1:])
    (tmp_path / "reports" / "bench" / "spent.json").write_text("{")
    assert reports._longest_first(["01_x", "02_y"]) == ["01_x", "02_y"]


def test_the_summary_counts_the_time_that_passed(tmp_path):
    done = [reports.Report("01_x", "x", 20.0, began=100.0), reports.Report("02_y", "y", 15.0, began=110.0)]
    assert "2 of 2 reports in 25 s" in reports.summary(done, tmp_path)


STOPPED = """
import pathlib, sys
from alexnet_tf import reports, runs
runs.home = lambda: pathlib.Path(sys.argv[1])
reports.make("quick")
"""


def test_ctrl_c_ends_the_kernels_and_leaves_nothing_half_made(lab, tmp_path):
    lab("01_x", "import os, pathlib, time", f"pathlib.Path({str(tmp_path)!r}, 'pid').write_text(str(os.getpid()))",
        "time.sleep(300)")  # fmt: skip
    command = [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler)" + STOPPED]
    process = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    for _ in range(1500):
        time.sleep(0.2)
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=300)[1]
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert [path.name for path in (tmp_path / "reports" / "quick").iterdir()] == [".lock"]


def test_a_failure_keeps_the_good_report_and_a_success_clears_the_failure(lab, tmp_path):
    folder = tmp_path / "reports" / "quick"
    for source, failed in ("print('first')", False), ("1 / 0", True), ("print('third')", False):
        lab("01_x", source)
        (report,) = reports.make("quick")
        assert report.ok != failed
        page = (folder / "01_x.html").read_text()
        assert ("third" in page) if source.endswith("'third')") else ("first" in page)
        assert (folder / "01_x.failed.html").exists() == failed
        assert ("failed" in (folder / "index.html").read_text()) == failed


def test_a_parameter_that_a_notebook_lacks_is_told(lab, tmp_path):
    lab("01_good")
    path = tmp_path / "notebooks" / "01_good.ipynb"
    path.write_text(path.read_text().replace("fresh: bool", "frehs: bool"))
    with pytest.raises(LabError, match="no parameter 'fresh'"):
        reports.make("quick")


def test_a_checkout_may_lie_in_a_folder_with_braces(lab, tmp_path, monkeypatch):
    lab("01_x", "1")
    home = tmp_path / "{mine}"
    home.mkdir()
    (tmp_path / "notebooks").rename(home / "notebooks")
    monkeypatch.setattr(runs, "home", lambda: home)
    (report,) = reports.make("quick")
    assert report.ok
    assert (home / "reports" / "quick" / "01_x.html").exists()


def test_notebooks_are_told_when_their_reports_began_and_nobody_afterwards(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_HEADLESS", "0")
    lab("01_x", "import os; print(os.environ['ALEXNET_REPORTS_BEGAN'], os.environ['ALEXNET_HEADLESS'])")
    before = datetime.now(UTC).isoformat(timespec="seconds")
    reports.make("quick")
    began, headless = nbformat.read(tmp_path / "reports" / "quick" / "01_x.ipynb", 4).cells[3].outputs[0].text.split()
    assert before <= began <= datetime.now(UTC).isoformat(timespec="seconds")
    assert headless == "1"
    assert os.environ["ALEXNET_HEADLESS"] == "0"
    assert "ALEXNET_REPORTS_BEGAN" not in os.environ


def test_no_notebooks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    with pytest.raises(LabError, match="There are no notebooks"):
        reports.make("quick")


def test_a_disk_that_fills_up_keeps_the_good_report(lab, tmp_path, monkeypatch):
    import papermill

    folder = tmp_path / "reports" / "quick"
    lab("01_x", "print('first')")
    reports.make("quick")
    before = {file.name: file.read_bytes() for file in folder.glob("01_x*")}

    def cut(source, target, *args, **kwargs):
        reports.Path(target).write_text('{"cells": [')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", cut)
    (report,) = reports.make("quick")
    assert "No space left" in report.error
    assert {file.name: file.read_bytes() for file in folder.glob("01_x*")} == before
    assert not list(folder.glob(".*.part.*"))


def test_a_page_that_can_not_be_written_replaces_nothing(lab, tmp_path, monkeypatch):
    folder = tmp_path / "reports" / "quick"
    lab("01_x", "print('first')")
    reports.make("quick")
    before = {file.name: file.read_bytes() for file in folder.glob("01_x*")}
    lab("01_x", "print('second')")
    monkeypatch.setattr(files, "write_atomically", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        reports.make("quick")
    assert {file.name: file.read_bytes() for file in folder.glob("01_x*")} == before


def test_two_processes_do_not_make_the_same_reports(lab, tmp_path):
    lab("01_x", "print('first')")
    folder = tmp_path / "reports" / "quick"
    folder.mkdir(parents=True)
    with files.locked(folder / ".lock", "x"), pytest.raises(LabError, match="are being made by another process"):
        reports.make("quick")


COMMITTED = sorted(path for budget in ("laptop", "paper") for path in (ROOT / "reports" / budget).glob("*.ipynb"))


def code_of(path):
    """The code cells of a notebook, but for the parameters that papermill put in."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in code if "injected-parameters" not in cell["metadata"].get("tags", [])]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_committed_report_came_from_the_notebook_as_it_is(path):
    own, now = code_of(path), code_of(ROOT / "notebooks" / path.name)
    assert own == now, f"outdated: make reports BUDGET={path.parent.name} ONLY={path.stem}"
    said = [output for cell in json.loads(path.read_text())["cells"] for output in cell.get("outputs", [])]
    assert said, "never executed"

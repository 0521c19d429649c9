"""Where seconds go: processes from start to end, notebooks cell by cell, tests file by file."""

import json

import pytest

from alexnet_tf import runs
from alexnet_tf.bench import startup
from alexnet_tf.errors import LabError


def cell(source, seconds):
    return {"cell_type": "code", "source": source, "metadata": {"papermill": {"duration": seconds}}}


@pytest.fixture
def notebook(tmp_path):
    """A folder with a notebook that papermill has executed, and one that failed."""
    cells = [
        cell(["import numpy\n", "from alexnet_tf import plots"], 3.0),
        cell("run = training.train('x')", 20.0),
        cell("plots.curves(run)", 1.5),
        {"cell_type": "markdown", "source": "words", "metadata": {}},
        cell("nothing", None),
    ]
    folder = tmp_path / "reports" / "quick"
    folder.mkdir(parents=True)
    whole = {"cells": cells, "metadata": {"papermill": {"duration": 26.0}}}
    (folder / "01_x.ipynb").write_text(json.dumps(whole))
    (folder / "02_y.failed.ipynb").write_text("{")
    return folder


def test_a_report_is_divided_among_loading_training_and_the_rest(notebook):
    found = startup.reports(notebook)
    assert found == {"01_x": {"loading": 3.0, "training": 20.0, "cells": 1.5, "rest": 1.5, "all": 26.0}}
    assert startup.reports(notebook / "nowhere") == {}


def test_tests_are_summed_by_file_the_longest_first(tmp_path):
    cases = [("tests.test_a", 1.5), ("tests.test_b", 4.0), ("tests.test_a", 2.0)]
    inside = "".join(f'<testcase classname="{name}" time="{seconds}"/>' for name, seconds in cases)
    (tmp_path / "tests.xml").write_text(f"<testsuites><testsuite>{inside}</testsuite></testsuites>")
    assert list(startup.tests(tmp_path / "tests.xml").items()) == [("test_b", 4.0), ("test_a", 3.5)]
    assert startup.tests(tmp_path / "none.xml") == {}
    (tmp_path / "cut.xml").write_text("<testsuites><testsu")
    assert startup.tests(tmp_path / "cut.xml") == {}


def test_processes_are_timed_from_start_to_end(monkeypatch, tmp_path, notebook):
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    monkeypatch.setattr(runs, "cache", lambda: tmp_path)
    found = startup.startup(rounds=1, starts={"nothing": ["-c", "pass"]})
    assert found["costs"]["startup/nothing"]["median"] > 0
    assert set(found["spent"]["reports"]) == {"01_x"}
    assert found["spent"]["tests"] == {}


def test_a_start_that_fails_is_told():
    with pytest.raises(LabError, match="-c 1/0 failed: ZeroDivisionError"):
        startup.startup(rounds=1, starts={"bad": ["-c", "1/0"]})


def test_the_starts_that_are_measured_start():
    for name in "NumPy", "the first steps of a training":
        assert startup._begin(startup.STARTS[name])() > 0

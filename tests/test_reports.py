"""Reports: executed, rendered, indexed; a failing cell is told and leaves its page."""

import nbformat
import pytest

from alexnet_tf import reports, runs
from alexnet_tf.errors import LabError


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
    page = (folder / "index.html").read_text()
    assert "About &lt;01_good&gt;" in page
    assert "ZeroDivisionError" in page
    assert "http" not in page
    assert not list(folder.glob(".*"))
    said = capsys.readouterr().err
    assert "[1/2] 01_good: ok" in said
    assert "[2/2] 02_bad: FAILED" in said
    text = reports.summary(done, folder)
    assert "1 of 2 reports" in text
    assert str(folder / "index.html") in text
    reports.make("laptop", ["01_good"])
    assert "02_bad" in (folder / "index.html").read_text()


def test_a_parameter_that_a_notebook_lacks_is_told(lab, tmp_path):
    lab("01_good")
    path = tmp_path / "notebooks" / "01_good.ipynb"
    path.write_text(path.read_text().replace("fresh: bool", "frehs: bool"))
    with pytest.raises(LabError, match="no parameter 'fresh'"):
        reports.make("quick")


def test_no_notebooks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "home", lambda: tmp_path)
    with pytest.raises(LabError, match="There are no notebooks"):
        reports.make("quick")

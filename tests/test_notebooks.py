"""Notebooks are lessons: their form, their parameters, and which outputs they keep."""

import ast
import re
import statistics

import nbformat
import pytest
from refresh_notebooks import FLAG

from alexnet_tf import reports

NOTEBOOKS = reports.notebooks()


def cells(name, kind):
    return [cell for cell in nbformat.read(NOTEBOOKS[name], as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_form_of_a_lesson(name):
    code, prose = cells(name, "code"), cells(name, "markdown")
    assert 20 <= len(code) + len(prose) <= 32
    assert len(prose) / (len(code) + len(prose)) >= 0.4
    assert statistics.median(len(cell.source.splitlines()) for cell in code) <= 8
    assert prose[0].source.startswith("# ")
    for cell in code:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 5, f"{name}: {node.name} belongs into the package"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_one_parameters_cell_with_a_help_a_line(name):
    (cell,) = [cell for cell in cells(name, "code") if "parameters" in cell.metadata.get("tags", [])]
    known = {}
    for line in cell.source.splitlines():
        (node,) = ast.parse(line).body
        assert isinstance(node, ast.AnnAssign), line
        assert "  # " in line
        known[node.target.id] = ast.literal_eval(node.value)
    assert known["budget"] == "quick"
    assert known["fresh"] is False
    if "seeds" in known:  # as many as the claims ask, unless the reader says otherwise
        assert known["seeds"] == 0
        assert any("seeds = seeds or training.SEEDS[budget]\n" in cell.source for cell in cells(name, "code"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_compared_cells_keep_their_output_and_no_other_does(name):
    flagged = [cell for cell in cells(name, "code") if FLAG in cell.source]
    assert len(flagged) >= 3
    for cell in flagged:
        assert cell.outputs, f"{name}: run 'make refresh'"
        assert all(output.output_type == "stream" and output.name == "stdout" for output in cell.outputs)
        assert cell.execution_count is not None
    for cell in cells(name, "code"):
        if FLAG not in cell.source:
            assert not cell.outputs, f"{name}: run 'make refresh'"
            assert cell.execution_count is None


def test_the_folder_holds_the_lessons_and_the_page_that_leads_to_them():
    folder = next(iter(NOTEBOOKS.values())).parent
    assert {path.stem for path in folder.glob("*.ipynb")} == {"START", *NOTEBOOKS}
    (page,) = nbformat.read(folder / "START.ipynb", as_version=4).cells
    assert re.findall(r"\((\d\d_\w+)\.ipynb\)", page.source) == list(NOTEBOOKS)

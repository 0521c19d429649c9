"""The page for teachers: it names every lesson, and its solutions hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from alexnet_tf import evaluation, printed, recipes, reports

PAGE = (Path(__file__).parent.parent / "TEACHING.md").read_text()
SECTIONS = dict(re.findall(r"^### (\d\d) [^\n]*\n(.*?)(?=^### |\Z)", PAGE, re.M | re.S))
BLOCKS = {number: code for number, text in SECTIONS.items() for code in re.findall(r"```python\n(.*?)```", text, re.S)}
TOOLS = {"np": np, "pytest": pytest, "stats": stats, "evaluation": evaluation, "printed": printed, "recipes": recipes}


def exercises(text):
    return re.findall(r"\((\d)\)", text)


@pytest.mark.parametrize("name", reports.notebooks())
def test_every_exercise_of_every_lesson_has_a_solution(name):
    lesson = reports.notebooks()[name].read_text().split("**Exercises.**")[1]
    assert f"`{name}`" in PAGE
    assert sorted(set(exercises(SECTIONS[name[:2]]))) == exercises(lesson)


@pytest.mark.parametrize("number", BLOCKS)
def test_the_arithmetic_of_a_solution_holds(number):
    exec(BLOCKS[number], dict(TOOLS))

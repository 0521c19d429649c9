"""Which runs a chapter stands on: names of runs in its outputs become links, and their pages are listed at its end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import nbformat
from markupsafe import Markup, escape

from alexnet_tf.recipes import RECIPES
from alexnet_tf.verdicts import Result

NAME = re.compile(r"[a-z0-9-]+/(?:laptop|paper)(?:-[0-9a-f]{8})?/seed-\d+")
ROW = re.compile(r"^([a-z0-9-]+) +(laptop|paper) +(source|honest) ", re.M)  # as `verdicts.results_table` prints it
FAMILY = re.compile(r"^from alexnet_tf\.recipes import (\w+)$", re.M)


@dataclass(frozen=True)
class Place:
    """The page of the runs of one recipe, and what it is called there."""

    page: str
    recipe: str
    budget: str
    protocol: str
    runs: tuple[str, ...]

    @property
    def words(self) -> str:
        """The page's name for a reader."""
        return f"{self.recipe} at {self.budget}, protocol {self.protocol}"


def place(result: Result, page: str) -> Place:
    """Where the runs of a result are told of."""
    return Place(page, result.recipe, result.budget, result.protocol, tuple(map(str, result.runs)))


def linked(text: str, places: Iterable[Place]) -> Markup:
    """An output whose names of runs lead to their pages."""
    pages = {run: one.page for one in places for run in one.runs}

    def link(found: re.Match[str]) -> str:
        page = pages.get(found[0])
        return f'<a href="{page}.html">{found[0]}</a>' if page else found[0]

    return Markup(NAME.sub(link, str(escape(text))))  # noqa: S704  (escaped in this line)


def printed(notebook: nbformat.NotebookNode) -> str:
    """All that the cells of a notebook print."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.text for output in outputs if output.output_type == "stream")


def behind(notebook: nbformat.NotebookNode, budget: str, places: Sequence[Place]) -> list[Place]:
    """The pages of the runs that a chapter stands on, in the order of the places.

    A run that it names counts, and a row of a table of results; where it trains, so does each recipe that it prints a
    figure of, at the budget that it was executed at and as the source's protocol has it. Of a family that it imports,
    such as the grid, the variant's name is enough.
    """
    said = printed(notebook)
    named, rows = set(NAME.findall(said)), set(ROW.findall(said))
    told = {run.partition("/")[0] for run in named} | {row[0] for row in rows}
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    words = set(re.findall(r"(?<![\w/-])[a-z0-9-]+(?![\w/-])", said)) if "training." in code else set()
    words |= {f"{family}-{word}" for family in FAMILY.findall(code) for word in words}
    words &= RECIPES.keys()
    rows |= {(recipe, budget, "source") for recipe in words - told}
    return [one for one in places if named & set(one.runs) or (one.recipe, one.budget, one.protocol) in rows]

"""What the pages say: every command line parses, and the version is one and the same everywhere."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import alexnet_tf
from alexnet_tf.__main__ import parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", "TEACHING.md")}
LINES = [
    (name, words)
    for name, page in PAGES.items()
    for words in [
        *(
            shlex.split(line, comments=True)
            for line in re.findall(r"python -m alexnet_tf ([^`\n|;&>]+?)(?: 2?>|[`\n|;&])", page)
        ),
        *(re.split(r", *", line) for line in re.findall(r"\[python, -m, alexnet_tf, ([^\]]+)\]", page)),
    ]
]


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_a_command_line_of_a_page_is_one(page, words):
    assert parser().parse_args(words).handler


def test_the_pages_show_every_command():
    (commands,) = (action.choices for action in parser()._actions if action.choices)
    assert {words[0] for _, words in LINES} >= set(commands) - {"reports"}  # that one has its make target
    assert {name for name, _ in LINES} == set(PAGES)


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)[1]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert {project["version"], cited, newest} == {alexnet_tf.__version__}

"""The reports as a site of static pages: ``make site``. Scorecard first, then chapters, each number with its runs.

Made from what is committed alone, so it needs no data, no training and no network. A chapter is shown as
it was executed at the largest budget that is committed, else as the notebook stands.
"""

from __future__ import annotations

import base64
import itertools
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from markupsafe import Markup

from alexnet_tf import claims, plots, provenance, recipes, reports, runs, verdicts
from alexnet_tf.site.trail import Place, behind, linked, place
from alexnet_tf.verdicts import Result, Verdict, shown

SHORT = 12  # lines of code that are shown unfolded
PICTURE = Markup(
    '<figure><a href="{0}"><img src="{0}" alt="{1}" loading="lazy"></a><figcaption>{1}</figcaption></figure>'
)


@dataclass(frozen=True)
class Chapter:
    """One notebook as the site shows it."""

    name: str
    title: str
    path: Path
    budget: str  # that it was executed at; empty where it was not
    state: str


def chapters() -> list[Chapter]:
    """Every notebook, as executed at `paper`, else at `laptop`, else as it stands."""
    found = []
    for name, source in reports.notebooks().items():
        executed = {budget: runs.home() / "reports" / budget / source.name for budget in ("paper", "laptop")}
        budget = next((budget for budget, path in executed.items() if path.exists()), "")
        state = (
            f"Executed at {budget}."
            if budget
            else "Not executed at a real budget yet: the text and its checked outputs."
        )
        found.append(Chapter(name, reports.title_of(source), executed.get(budget, source), budget, state))
    return found


class _Pages:
    """Where pages go and what all of them share."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.chapters = folder, chapters()
        self.commit = provenance.commit() or "a working copy"
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        self.environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)

    def write(self, name: str, template: str, title: str, **content: Any) -> None:
        root = "../" * name.count("/")
        shared = {"title": title, "root": root, "chapters": self.chapters, "commit": self.commit}
        page = self.environment.get_template(template).render(
            **shared, current=Path(name).stem, picture=PICTURE.format, **content
        )
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")

    def save(self, name: str, content: bytes) -> str:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return name


def _row(row: Verdict, claim: claims.Claim, pages: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """A line of the scorecard, with the page of the runs behind it."""
    measured, rule = row.measured is not None, claim.rule
    behind = [
        (name, pages[name, row.budget, claim.protocol]) for name in (claim.recipe, claim.versus) if measured and name
    ]
    return {
        **{key: getattr(row, key) for key in ("claim", "source", "budget", "verdict", "why")},
        "says": claim.says,
        "reported": shown(row.reported, rule),
        "measured": shown(row.measured, rule) if measured else "",
        "interval": f"[{shown(row.low, rule)}, {shown(row.high, rule)}]",
        "n": row.n or "",
        "runs": behind,
    }


def _run_page(pages: _Pages, result: Result) -> str:
    """Where the numbers of one recipe at one budget come from; the name of its page."""
    first = result.runs[0].record
    lines = []
    for run in result.runs:
        record, about = run.record, run.record["provenance"]
        versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
        lines.append(
            {
                "seed": record["seed"],
                "accuracy": shown(record["metrics"]["test_accuracy"]),
                "epochs": len(record["history"]),
                "minutes": f"{about['minutes']:.1f}",
                "finished": str(about.get("finished", ""))[:10],
                "hardware": about["hardware"],
                "versions": versions,
                "commit": str(about.get("commit") or "")[:9],
            }
        )
    name = f"runs/{result.recipe}-{result.budget}-{result.protocol}"
    content = {
        "recipe": result.recipe,
        "budget": result.budget,
        "protocol": result.protocol,
        "about": recipes.get(result.recipe).title,
        "interval": str(result.found),
        "reported": "" if result.reported is None else shown(result.reported),
        "runs": lines,
        "fields": sorted(first["recipe"].items()),
    }
    pages.write(
        f"{name}.html", "run.html", f"{result.recipe} at {result.budget}, protocol {result.protocol}", **content
    )
    return name


def _parts(pages: _Pages, chapter: Chapter, notebook: Any, places: Sequence[Place]) -> Iterator[dict[str, Any]]:
    """The cells of a notebook, one part after another; pictures become files."""
    from nbconvert.filters import Highlight2HTML, markdown2html

    highlight, heading = partial(Highlight2HTML(), language="python"), chapter.title
    described: Counter[str] = Counter()
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            heading = next(iter(re.findall(r"^#+ (.+)$", cell.source, re.M)), heading)
            yield {"kind": "text", "html": Markup(markdown2html(cell.source))}  # noqa: S704  (our own texts)
            continue
        code = cell.source.replace("# NBVAL_CHECK_OUTPUT\n", "")
        yield {"kind": "code", "html": Markup(highlight(code)), "short": code.count("\n") < SHORT}  # noqa: S704
        for count, output in enumerate(_joined(cell.get("outputs", []))):
            data = output.get("data", {})
            if _prints(output):
                yield {"kind": "output", "html": linked(output.text.rstrip(), places)}
            elif "image/png" in data:
                words = _described(str(data.get("text/plain", "")), heading, described)
                file = f"pictures/{chapter.name}-{number}-{count}.png"
                yield {"kind": "picture", "file": pages.save(file, base64.b64decode(data["image/png"])), "text": words}
            elif "text/plain" in data:
                yield {"kind": "output", "html": linked(data["text/plain"], places)}


def _prints(output: Any) -> bool:
    return output.output_type == "stream" and output.name == "stdout"


def _joined(outputs: Sequence[Any]) -> Iterator[Any]:
    """The outputs of a cell; what it printed piece by piece, as kernels send it, is one."""
    for printed, some in itertools.groupby(outputs, _prints):
        if printed:
            text = "".join(output.text for output in some)
            yield nbformat.v4.new_output("stream", name="stdout", text=text)
        else:
            yield from some


def _described(shown: str, heading: str, before: Counter[str]) -> str:
    """What a picture shows, in words that no other picture of its page has: its own, else its section's heading."""
    words = f"{heading}: a picture"
    if shown.startswith("Figure: "):
        parts = [
            (part, len(list(same))) for part, same in itertools.groupby(shown.removeprefix("Figure: ").split("; "))
        ]
        words = "; ".join(part if count == 1 else f"{part} ({count} times)" for part, count in parts)
    before[words] += 1
    return words if before[words] == 1 else f"{words} ({before[words]})"


def _index(pages: _Pages) -> list[Place]:
    """The scorecard, claim by claim, and the way to the chapters; returns where the runs are told of."""
    found = verdicts.scorecard(runs.store_for("paper"))
    results = verdicts.results(recipes.RECIPES, store=runs.store_for("paper"))
    where = {(result.recipe, result.budget, result.protocol): _run_page(pages, result) for result in results}
    rows = [_row(row, claim, where) for row, claim in zip(found, claims.CLAIMS, strict=True)]
    drawing = plots.scorecard(found)
    drawing.savefig(pages.folder / "scorecard.png", dpi=110)
    counts = Counter(row.verdict for row in found).most_common()
    pages.write("index.html", "index.html", "An AlexNet laboratory", rows=rows, counts=counts, words=repr(drawing)[8:])
    return [place(result, where[result.recipe, result.budget, result.protocol]) for result in results]


def _colors(style: str) -> str:
    """How a style colours code; what it says of white space, marked lines and line numbers has no use here."""
    from pygments.formatters import HtmlFormatter

    rules = HtmlFormatter(style=style).get_style_defs(".highlight").splitlines()
    return "\n".join(rule for rule in rules if re.match(r"\.highlight \.(?!w |hll )", rule))


def _style() -> str:
    """The site's own style with the colours of code, for light and for dark screens."""
    schemes = (("light", "xcode"), ("dark", "github-dark"))
    colors = [f"@media (prefers-color-scheme: {scheme}) {{\n{_colors(style)}\n}}" for scheme, style in schemes]
    own = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    plain = ".highlight, .highlight pre { background: var(--shade); }"
    return "\n".join([*colors, own, plain, ""])


def build(folder: Path | None = None) -> Path:
    """Write the whole site anew; returns its first page."""
    folder = folder or runs.home() / "dist" / "site"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pages = _Pages(folder)
    pages.save("style.css", _style().encode())
    places = _index(pages)
    for chapter in pages.chapters:
        notebook = nbformat.read(chapter.path, as_version=4)
        parts = list(_parts(pages, chapter, notebook, places if chapter.budget else ()))
        stands_on = behind(notebook, chapter.budget, places) if chapter.budget else []
        pages.write(
            f"{chapter.name}.html", "chapter.html", chapter.title, parts=parts, chapter=chapter, behind=stands_on
        )
    return folder / "index.html"

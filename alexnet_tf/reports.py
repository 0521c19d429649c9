"""Execute the notebooks with papermill, render them, index them, say what came of it.

A report is a notebook executed and rendered. Each notebook runs in a kernel process of its own, two at a time
where their trainings take seconds; progress is a line a notebook in a log and a moving line in a terminal.
"""

from __future__ import annotations

import contextlib
import html
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alexnet_tf import files, runs
from alexnet_tf.errors import LabError, choose, needs_tensorflow
from alexnet_tf.recipe import BUDGETS

AT_ONCE = {"quick": 2, "laptop": 1, "paper": 1}  # a long training has all cores to itself
CELL_TIMEOUT = {"quick": 600, "laptop": 86_400, "paper": 7 * 86_400}  # seconds; a training is one cell


@dataclass(frozen=True)
class Report:
    """What became of one notebook."""

    name: str
    title: str
    seconds: float
    error: str = ""
    began: float = 0.0  # on a clock that only differences make sense of

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.error


def notebooks() -> dict[str, Path]:
    """The numbered notebooks by name, in order."""
    found = sorted((runs.home() / "notebooks").glob("[0-9]*.ipynb"))
    if not found:
        raise LabError(f"There are no notebooks in {runs.home() / 'notebooks'}: run this from a checkout.")
    return {path.stem: path for path in found}


def title_of(path: Path) -> str:
    """The first heading of a notebook."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line[2:].strip()
    return path.stem


class _Progress:
    """Where the execution stands: a moving line in a terminal, whole lines in a log."""

    def __init__(self, name: str, number: int, of: int) -> None:
        self.name, self.number, self.of = name, number, of
        self.live = sys.stderr.isatty()
        self.began = self.told = time.monotonic()

    def cell(self, place: int, cells: int) -> None:
        now = time.monotonic()
        line = f"[{self.number}/{self.of}] {self.name}: cell {place}/{cells}, {now - self.began:.0f} s"
        if self.live:
            print(f"\r{line}   ", end="", file=sys.stderr, flush=True)
        elif now - self.told > 30:
            self.told = now
            print(line, file=sys.stderr, flush=True)

    def done(self, report: Report) -> None:
        start = "\r" if self.live else ""
        outcome = "ok" if report.ok else f"FAILED: {report.error}"
        print(f"{start}[{self.number}/{self.of}] {self.name}: {outcome}, {report.seconds:.0f} s   ", file=sys.stderr)


def _engine(progress: _Progress) -> str:
    """Register a papermill engine that tells `progress` about each cell."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
            begin = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
                progress.cell((cell_index or 0) + 1, len(nb_man.nb.cells))
                begin(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)

    name = f"alexnet-{progress.name}"
    papermill_engines.register(name, Engine)
    return name


def execute(name: str, source: Path, target: Path, parameters: dict[str, Any], progress: _Progress) -> Report:
    """Run one notebook into `target`; an error becomes part of the report, not a traceback."""
    import papermill

    began = time.monotonic()
    for logger in ("papermill", "traitlets"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    known = papermill.inspect_notebook(_plain(source))
    for parameter in parameters:
        if parameter not in known:
            raise LabError(f"{source.name} has no parameter {parameter!r}: add it to its parameters cell.")
    error = ""
    try:
        papermill.execute_notebook(
            _plain(source),
            _plain(target),
            parameters,
            engine_name=_engine(progress),
            kernel_name="python3",
            progress_bar=False,
            stderr_file=None if parameters["budget"] == "quick" else sys.stderr,  # how far the trainings are
            execution_timeout=CELL_TIMEOUT[parameters["budget"]],
            extra_arguments=["--IPKernelApp.log_level=50"],  # silent about loopback connections and Ctrl-C
        )
    except papermill.PapermillExecutionError as failure:
        error = (
            f"cell {failure.exec_count}: {failure.ename}: {failure.evalue.splitlines()[0] if failure.evalue else ''}"
        )
    except (OSError, RuntimeError, TimeoutError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    report = Report(name, title_of(source), time.monotonic() - began, error, began)
    progress.done(report)
    return report


def _plain(path: Path) -> str:
    """A path for papermill, to whom braces are places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def render(notebook: Path) -> Path:
    """An executed notebook as an HTML page beside it, without scripts from elsewhere."""
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", embed_images=True)
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = exporter.mermaid_js_url = ""
    page, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4))
    target = notebook.with_suffix(".html")
    files.write_atomically(target, page.encode())
    return target


INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>AlexNet laboratory: {budget}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}}
.bad{{color:#b00}}</style></head><body>
<h1>AlexNet laboratory: the {budget} reports</h1>
<p>{words}</p>
<table><tr><th>Report</th><th>Notebook</th><th>Seconds</th></tr>
{rows}
</table></body></html>
"""
WORDS = {
    "quick": "Embedded, drawn images and tiny networks: no number on these pages compares with a paper.",
    "laptop": "Real data, the recipes shrunk for two cores; every change is printed beside its result.",
    "paper": "Every field that a source gives, as it gives it.",
}


def index(folder: Path, budget: str, reports: Sequence[Report]) -> Path:
    """The page that leads to all reports of a folder, those of earlier calls too."""
    seconds = {report.name: report for report in reports}
    rows = []
    for name, source in notebooks().items():
        good, failed = ((folder / f"{name}{kind}.html").exists() for kind in ("", ".failed"))
        if not good and not failed:
            continue
        report = seconds.get(name)
        took = "" if report is None else f"{report.seconds:.0f}"
        title = html.escape(title_of(source))
        link = f'<a href="{name}.html">{title}</a>' if good else title
        if failed:
            link += f'<br><a class="bad" href="{name}.failed.html">The last execution failed: see where</a>'
        notebook = f"{name}.ipynb" if good else f"{name}.failed.ipynb"
        rows.append(f'<tr><td>{link}</td><td><a href="{notebook}">{name}</a></td><td>{took}</td></tr>')
    page = INDEX.format(budget=budget, words=WORDS[budget], rows="\n".join(rows))
    target = folder / "index.html"
    files.write_atomically(target, page.encode())
    return target


def make(budget: str, only: Sequence[str] = (), fresh: bool = False, folder: Path | None = None) -> list[Report]:
    """Execute, render and index the notebooks of a budget."""
    choose("budget", budget, BUDGETS)
    needs_tensorflow("Executing the notebooks")
    known = notebooks()
    chosen = list(dict.fromkeys(choose("notebook", name, known) for name in only)) or list(known)
    begin = _longest_first(chosen) if AT_ONCE[budget] > 1 else chosen
    folder = folder or runs.home() / "reports" / budget
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    from jupyter_core.utils import ensure_event_loop

    done: list[Report] = []

    def work(number: int, name: str) -> Report:
        progress = _Progress(name, number, len(chosen))
        try:
            return execute(name, known[name], _partial(folder, name), {"budget": budget, "fresh": fresh}, progress)
        finally:
            ensure_event_loop().close()  # nbclient makes one in each thread and leaves it open

    with (
        _headless(),
        files.locked(folder / ".lock", f"The reports in {folder} are being made"),
        contextlib.chdir(runs.home() / "notebooks"),
        ThreadPoolExecutor(AT_ONCE[budget]) as pool,
    ):
        begun = [pool.submit(work, chosen.index(name) + 1, name) for name in begin]
        try:
            for one in as_completed(begun):
                report = one.result()
                if _partial(folder, report.name).exists():  # not when the kernel never started
                    _keep(_partial(folder, report.name), folder, report)
                done.append(report)
                index(folder, budget, done)
        except BaseException:
            _stop(begun)
            for name in chosen:
                _partial(folder, name).unlink(missing_ok=True)
            raise
    return sorted(done, key=lambda report: chosen.index(report.name))


def _longest_first(names: Sequence[str]) -> list[str]:
    """So that none is left to run alone at the end; by what each took when it was measured."""
    spent = files.read_object(runs.home() / "reports" / "bench" / "spent.json").get("reports", {})
    return sorted(names, key=lambda name: -spent.get(name, {}).get("all", 0))


@contextlib.contextmanager
def _headless() -> Iterator[None]:
    """Kernels that start meanwhile know that nobody can click, wait for each other's trainings and share fresh ones."""
    told = {"ALEXNET_HEADLESS": "1", "ALEXNET_REPORTS_BEGAN": datetime.now(UTC).isoformat(timespec="seconds")}
    before = {name: os.environ[name] for name in told if name in os.environ}
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            del os.environ[name]
        os.environ.update(before)


def _partial(folder: Path, name: str) -> Path:
    """Where a notebook lies while it is executed."""
    return folder / f".{name}.part.ipynb"


def _stop(begun: Sequence[Future[Report]]) -> None:
    """Begin no further notebook and end the kernels of those that run; what they have saved of a training stays."""
    import psutil

    for one in begun:
        one.cancel()
    while not all(one.done() for one in begun):
        for kernel in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "ipykernel_launcher" in kernel.cmdline():
                    kernel.terminate()
        time.sleep(0.2)


def _without_paths(notebook: Path) -> None:
    """Forget where on this machine papermill found and put a notebook: a committed report tells nobody's folders."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for key in "input_path", "output_path":
        content["metadata"].get("papermill", {}).pop(key, None)
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _keep(partial: Path, folder: Path, report: Report) -> None:
    """Put a notebook and its page in the place of earlier ones; a failure does not take a good report's."""
    good, failed = folder / f"{report.name}.ipynb", folder / f"{report.name}.failed.ipynb"
    kept = good if report.ok else failed
    try:
        _without_paths(partial)
        page = render(partial)  # before anything is replaced
        page.replace(kept.with_suffix(".html"))
        partial.replace(kept)
    except (OSError, ValueError):
        partial.unlink(missing_ok=True)
        if report.ok:  # else the report says what cut its notebook short, such as a full disk
            raise
    if report.ok:
        failed.unlink(missing_ok=True)
        failed.with_suffix(".html").unlink(missing_ok=True)


def summary(reports: Sequence[Report], folder: Path) -> str:
    """One screen: what ran, how long, what failed, where to look."""
    lines = [f"{'notebook':<24} {'seconds':>8}  outcome"]
    for report in reports:
        lines.append(f"{report.name:<24} {report.seconds:>8.0f}  {report.error or 'ok'}")
    failed = sum(not report.ok for report in reports)
    ends = [report.began + report.seconds for report in reports]
    total = max(ends) - min(report.began for report in reports)  # less than their sum where two ran at a time
    lines.append(f"{len(reports) - failed} of {len(reports)} reports in {total:.0f} s. Open {folder / 'index.html'}")
    return "\n".join(lines)

"""What a reader sees in a browser: the site on a phone and on a desk, and a notebook in JupyterLab."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image

from alexnet_tf import reports, site

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# Where tests are run for others (CI=true) a browser that could be had must be there; .ci/run says where none could.
MUST = os.environ.get("CI") == "true" and not os.environ.get("ALEXNET_NO_CHROMIUM")
pytestmark = pytest.mark.skipif(not CHROMIUM and not MUST, reason="there is no chromium here: apt-get install chromium")
SHOTS = os.environ.get("ALEXNET_SCREENSHOTS")  # a folder for pictures of what is tested, for a person to look at


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "CI=true asks for a browser: apt-get install chromium, or set ALEXNET_NO_CHROMIUM=1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def first_page(tmp_path_factory):
    return site.build(tmp_path_factory.mktemp("site"))


LOOK = "Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))"
LINKS = "[...document.querySelectorAll('a[href]')].map(link => link.href)"


def shoot(page, name):
    """Keep a picture of a page where somebody wants to look at it."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=page.evaluate("document.body.scrollHeight") < 12_000)


def pages_of(first_page):
    return sorted(first_page.parent.rglob("*.html"))


def test_every_page_fits_the_screen_and_says_nothing_on_the_console(browser, first_page):
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in pages_of(first_page):
        page.goto(path.as_uri())
        page.evaluate(LOOK)  # raises where a picture is broken
        for width, scheme in itertools.product((360, 1280), ("light", "dark")):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
            shoot(page, f"{path.stem}-{width}-{scheme}")
    page.close()
    assert not said


def test_every_link_into_a_page_leads_to_a_place_on_it(browser, first_page):
    page, wanted = browser.new_page(), {}
    for path in pages_of(first_page):
        page.goto(path.as_uri())
        for link in page.evaluate(LINKS):
            target, _, fragment = link.partition("#")
            if fragment:
                wanted.setdefault(target, set()).add(fragment)
    assert wanted
    for target, fragments in wanted.items():
        page.goto(target)
        there = set(page.evaluate("[...document.querySelectorAll('[id]')].map(part => part.id)"))
        lost = [fragment for fragment in fragments if not {fragment, unquote(fragment)} & there]  # as browsers look
        assert not lost, target
    page.close()


def test_a_reader_gets_from_the_scorecard_to_the_runs_and_to_a_larger_picture(browser, first_page):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(first_page.as_uri())
    page.click("tbody a >> nth=0")
    assert "Its trainings" in page.inner_text("main")
    chapter = next(path for path in pages_of(first_page) if re.search(r'class="output".*href="runs/', path.read_text()))
    for start in first_page, chapter:
        page.goto(start.as_uri())
        page.evaluate(LOOK)
        shown = page.eval_on_selector("figure img", "image => image.clientWidth")
        assert shown <= 360
        page.click("figure a")
        assert page.url.endswith(".png")
        assert page.evaluate("document.images[0].naturalWidth") > shown
    page.goto(chapter.as_uri())
    page.click("pre.output a >> nth=0")
    assert "Its trainings" in page.inner_text("main")
    page.goto(chapter.as_uri())
    page.click("h2#runs ~ ul a >> nth=0")
    assert "Its trainings" in page.inner_text("main")
    page.close()


ROOT = Path(__file__).resolve().parent.parent


SETTINGS = {
    # Every cell in the page, not only those in view; no question which kernel.
    "@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none", "autoStartDefaultKernel": true}',
    # What widgets show is saved with the notebook, so that it can be read.
    "@jupyter-widgets/jupyterlab-manager/plugin": '{"saveState": true}',
}


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of the notebooks, on a free port of this machine and with nothing of the user's."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name, setting in SETTINGS.items():
        file = tmp_path / "lab" / "user-settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(setting)
    folders = ("HOME", "JUPYTER_CONFIG_DIR", "ALEXNET_CACHE")
    own = {**os.environ, **dict.fromkeys(folders, str(tmp_path)), "PYTHONPATH": str(ROOT)}
    own.pop("ALEXNET_HEADLESS", None)
    words = ["-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port=0"]
    words += ["--IdentityProvider.token=lab", "--notebook-dir", str(tmp_path / "notebooks")]
    log = tmp_path / "log"
    with log.open("w") as file:
        server = subprocess.Popen([sys.executable, *words], env=own, stdout=file, stderr=file, cwd=tmp_path)
    try:
        for _ in range(1500):
            found = re.search(r"http://127\.0\.0\.1:(\d+)/lab", log.read_text())
            if found or server.poll() is not None:
                break
            time.sleep(0.2)
        assert found, log.read_text()
        yield f"http://127.0.0.1:{found[1]}/lab"
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:  # on a busy machine it waits long for a kernel that has only just begun
            server.kill()
            server.wait()


IDLE = "#jp-main-statusbar >> text=/ipykernel.*Idle/"


def saved(page, lab):
    """The notebook as it is now, saved; None while it is being written."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(2_000)  # a second save during the first would be refused
    found = page.request.get(f"{lab.removesuffix('/lab')}/api/contents/05_inside_alexnet.ipynb?token=lab")
    return found.json()["content"] if found.ok else None


def executed(saved):
    """Whether all code cells of a notebook have run, and what they said that went wrong."""
    cells = [cell for cell in nbformat.from_dict(saved).cells if cell.cell_type == "code"]
    wrong = [output.evalue for cell in cells for output in cell.outputs if output.output_type == "error"]
    return all(cell.execution_count for cell in cells), wrong


@pytest.mark.slow
def test_jupyterlab_opens_on_a_page_that_leads_to_every_lesson(browser, lab):
    start = re.search(r"default_url=/lab(\S+)", (ROOT / "Makefile").read_text())
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(300_000)
    page.goto(f"{lab}{start[1]}?token=lab")
    page.wait_for_selector(".jp-RenderedMarkdown h1:has-text('AlexNet laboratory')")
    links = page.eval_on_selector_all(".jp-RenderedMarkdown td a", "found => found.map(link => link.textContent)")
    assert [link[:2] for link in links] == [name[:2] for name in reports.notebooks()]
    page.click("a:text-is('08 Scorecard')")
    page.wait_for_selector(".jp-RenderedMarkdown h1:has-text('scorecard')")
    page.close()


@pytest.mark.slow
def test_a_notebook_runs_to_its_end_in_jupyterlab_and_the_panel_answers(browser, lab, tmp_path):
    notebook = tmp_path / "notebooks" / "05_inside_alexnet.ipynb"
    fresh = nbformat.read(notebook, 4)
    for cell in (cell for cell in fresh.cells if cell.cell_type == "code"):
        cell.update(outputs=[], execution_count=None)
    nbformat.write(fresh, notebook)
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(300_000)
    page.goto(f"{lab}/tree/{notebook.name}?token=lab")
    page.wait_for_selector(IDLE, state="attached")
    page.click(".lm-MenuBar-itemLabel:text-is('Run')")
    page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    for _ in range(1000):
        page.wait_for_timeout(1_000)
        found = saved(page, lab)
        done, wrong = executed(found) if found else (False, [])
        if done or wrong:
            break
    assert (done, wrong) == (True, [])
    assert page.locator(".jp-RenderedImage img").count() > 5
    the_panel_answers(page, lab, tmp_path)
    page.close()


PANEL = ".jp-OutputArea .jupyter-widgets"


def the_panel_answers(page, lab, tmp_path):
    """Another layer and a picture of the reader's own are shown in the panel, and a wrong file is told there."""
    pictures = page.locator(f"{PANEL} img")

    def changed(before, caption):
        """Wait for another picture in the panel and for its caption among what the notebook keeps of widgets."""
        page.wait_for_function(
            "([where, old]) => { const last = [...document.querySelectorAll(where + ' img')].at(-1);"
            " return last && last.src !== old && last.naturalWidth > 0; }",
            arg=[PANEL, before],
        )
        for _ in range(10):
            if caption in (kept := json.dumps((saved(page, lab) or {}).get("metadata", {}).get("widgets", {}))):
                break
        assert caption in kept
        no_traceback()
        return pictures.last.get_attribute("src")

    def no_traceback():
        assert "Traceback" not in page.inner_text(f"{PANEL} >> nth=0")
        assert page.locator(f"{PANEL} [data-mime-type*=stderr], {PANEL} [data-mime-type*=error]").count() == 0

    def upload(file):
        with page.expect_file_chooser() as chooser:  # the button's field for files is not on the page
            page.click(f"{PANEL} button.widget-upload, {PANEL} button:has-text('or your own')")
        chooser.value.set_files(str(file))

    page.locator(PANEL).first.scroll_into_view_if_needed()
    layers = page.locator(f"{PANEL} select").last
    names = layers.locator("option").all_text_contents()
    assert names == [f"conv{number}" for number in range(1, 6)]  # all that the network has
    for name in names[0], names[2]:
        before = pictures.last.get_attribute("src")
        layers.select_option(label=name)
        at_layer = changed(before, f"Grad-CAM at {name}")
        shoot(page, f"panel-{name}")
    Image.new("RGB", (60, 40), (200, 30, 30)).save(tmp_path / "own.png")
    (tmp_path / "words.txt").write_text("no picture")
    upload(tmp_path / "own.png")
    changed(at_layer, f"Grad-CAM at {names[2]}")
    shoot(page, "panel-upload")
    upload(tmp_path / "words.txt")
    page.wait_for_selector(f"{PANEL} >> text=What was uploaded can't be read as an image")
    no_traceback()
    shoot(page, "panel-refusal")

"""The site: every link leads somewhere, every picture has words, and colours can be read."""

import collections
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from alexnet_tf import claims, runs, site, verdicts
from alexnet_tf.site import trail

STYLE = (Path(site.__file__).parent / "style.css").read_text()


class Page(HTMLParser):
    """The tags of a page: (name, attributes)."""

    def __init__(self, path):
        super().__init__()
        self.path, self.tags = path, []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def every(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    first = site.build(tmp_path_factory.mktemp("site"))
    return {str(path.relative_to(first.parent)): Page(path) for path in first.parent.rglob("*.html")}


def test_every_link_and_picture_is_there_and_nothing_comes_from_elsewhere(pages):
    for page in pages.values():
        loaded = [tag["src"] for tag in page.every("img")] + [tag["href"] for tag in page.every("link")]
        led_to = [tag["href"] for tag in page.every("a") if not re.match("#|https://", tag["href"])]
        assert not page.every("script")
        for place in [*loaded, *led_to]:
            assert place == "data:," or (page.path.parent / place.partition("#")[0]).exists(), (
                f"{page.path.name}: {place}"
            )


def test_every_picture_has_words(pages):
    pictures = [tag for page in pages.values() for tag in page.every("img")]
    assert pictures
    assert all(len(tag["alt"]) > 10 for tag in pictures)
    assert not [tag["alt"] for tag in pictures if "<Figure" in tag["alt"] or "0x" in tag["alt"]]
    for page in pages.values():
        words = [tag["alt"] for tag in page.every("img")]
        assert len(set(words)) == len(words), page.path.name


def test_pictures_without_words_are_told_apart_by_their_section():
    before = collections.Counter()
    shown = [
        "<Figure size 640x480 with 1 Axes>",
        "Figure: curves",
        "<Figure size 640x480 with 1 Axes>",
        "Figure: curves",
    ]
    words = [site._described(text, "Filters", before) for text in shown]
    assert words == ["Filters: a picture", "curves", "Filters: a picture (2)", "curves (2)"]
    assert site._described("Figure: Six; cat; cat; dog; cat", "", before) == "Six; cat (2 times); dog; cat"


def test_what_a_cell_prints_piece_by_piece_is_one_output():
    pieces = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n", "c\n")]
    pieces.insert(2, nbformat.v4.new_output("display_data", data={"text/plain": "x"}))
    assert [output.get("text", "-") for output in site._joined(pieces)] == ["a\nb\n", "-", "c\n"]


def test_executed_chapters_lead_to_the_runs_behind_them(pages):
    executed = [chapter for chapter in site.chapters() if chapter.budget]
    assert executed
    for chapter in executed:
        text = pages[f"{chapter.name}.html"].path.read_text()
        body, end = text.split('<h2 id="runs">Runs behind this chapter</h2>')
        trains_or_judges = any(word in chapter.path.read_text() for word in ("training.train", "results_table"))
        assert ('<a href="runs/' in end) == trains_or_judges, chapter.name
        for name in set(re.findall(r"[a-z0-9-]+/paper(?:-[0-9a-f]{8})?/seed-[0-9]", body)):
            assert f'.html">{name}</a>' in body
    assert (
        'href="runs/cifar10-bn64-paper-honest.html">cifar10-bn64/paper-'
        in pages["05_inside_alexnet.html"].path.read_text()
    )


def lesson(code, said):
    cell = nbformat.v4.new_code_cell(code)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=said)]
    return nbformat.v4.new_notebook(cells=[cell])


def test_runs_rows_and_printed_figures_stand_behind_a_chapter():
    def place(recipe, budget, protocol, *seeds):
        return trail.Place(f"runs/{recipe}-{budget}-{protocol}", recipe, budget, protocol, seeds)

    places = [
        place("lab-base", "paper", "source", "lab-base/paper/seed-0"),
        place("lab-base", "paper", "honest", "lab-base/paper-0123abcd/seed-0"),
        place("lab-bce", "paper", "source", "lab-bce/paper/seed-0"),
        place("lab-bce", "laptop", "source", "lab-bce/laptop/seed-0"),
        place("grid-tanh", "paper", "source", "grid-tanh/paper/seed-0"),
    ]

    def found(code, said, budget="paper"):
        return [one.page.removeprefix("runs/") for one in trail.behind(lesson(code, said), budget, places)]

    train = "training.train('lab-base')"
    assert found(train, "lab-base/paper-0123abcd/seed-0: 70 %") == ["lab-base-paper-honest"]
    assert found(train, "lab-bce                     laptop  source      70 %") == ["lab-bce-laptop-source"]
    assert found(train, "lab-base  80.1%\nlab-bce 70 %") == ["lab-base-paper-source", "lab-bce-paper-source"]
    assert found(train, "lab-bce 70 %", "laptop") == ["lab-bce-laptop-source"]
    assert found("print(1)", "lab-base  80.1%") == []
    assert found(f"from alexnet_tf.recipes import grid\n{train}", "tanh  +3.3 points") == ["grid-tanh-paper-source"]
    assert found(train, "tanh  +3.3 points") == []
    shown = trail.linked("<b> lab-bce/laptop/seed-0 and lab-bce/paper/seed-7", places)
    assert (
        shown
        == '&lt;b&gt; <a href="runs/lab-bce-laptop-source.html">lab-bce/laptop/seed-0</a> and lab-bce/paper/seed-7'
    )


def test_every_number_of_ours_leads_to_its_runs(pages):
    rows = verdicts.scorecard(runs.store_for("paper"))
    text = pages["index.html"].path.read_text()
    for row, claim in zip(rows, claims.CLAIMS, strict=True):
        part = text.split(f'id="{row.claim}"')[1].split("</tr>")[0]
        wanted = {claim.recipe, claim.versus} - {None} if row.measured is not None else set()
        linked = re.findall(r'href="(runs/[^"]+)"', part)
        assert {name for name in wanted if any(name in link for link in linked)} == wanted
        assert len(linked) == len(wanted)
        for link in linked:
            words = pages[link].path.read_text()
            assert "EPYC" in words or "cores" in words  # the hardware
            assert "tensorflow 2" in words or "jax" in words  # the versions


def test_pages_have_one_heading_a_language_and_their_own_name(pages):
    titles = set()
    for page in pages.values():
        text = page.path.read_text()
        assert len(page.every("h1")) == 1, page.path.name
        assert page.every("html")[0]["lang"] == "en"
        titles.add(re.search(r"<title>(.*?)</title>", text)[1])
    assert len(titles) == len(pages)


def test_what_others_wrote_is_escaped():
    assert "<b>" not in site.PICTURE.format("x.png", "a <b>bold</b> class")


def brightness(color):
    digits = color.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted([brightness(one), brightness(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    """At least 4.5 to 1, as WCAG asks of text."""
    block = re.findall(r":root \{(.*?)\}", STYLE, re.S)[scheme]
    colors = dict(re.findall(r"--(\w+): (#\w+)", block))
    for name in ("ink", "soft", "link", "good", "bad", "open"):
        for ground in ("paper", "shade"):
            assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_stands_out_from_its_ground(scheme):
    """Every kind of token, whether our lessons have one or not."""
    ground = dict(re.findall(r"--(\w+): (#\w+)", re.findall(r":root \{(.*?)\}", STYLE, re.S)[scheme == "dark"]))
    (block,) = re.findall(rf"@media \(prefers-color-scheme: {scheme}\) \{{\n(\.highlight.*?)\n\}}", site._style(), re.S)
    rules = re.findall(r"(\.highlight \.\w+) \{ (.*?) \}", block)
    assert len(rules) > 40
    for token, rule in rules:
        told = dict(re.findall(r"([\w-]+): (#\w+)", rule))
        against = told.get("background-color", ground["shade"])
        assert contrast(told.get("color", ground["ink"]), against) >= 4.5, (token, rule)

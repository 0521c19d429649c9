"""The site: every link leads somewhere, every picture has words, and colours can be read."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alexnet_tf import claims, runs, site, verdicts

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


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    """At least 4.5 to 1, as WCAG asks of text."""
    block = re.findall(r":root \{(.*?)\}", STYLE, re.S)[scheme]
    colors = dict(re.findall(r"--(\w+): (#\w+)", block))
    for name in ("ink", "soft", "link", "good", "bad", "open"):
        for ground in ("paper", "shade"):
            low, high = sorted([brightness(colors[name]), brightness(colors[ground])])
            assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)

"""The README, followed to the letter: each command of its console blocks prints what stands below it."""

import re

import pytest
import refresh_readme

from alexnet_tf import datasets


def shape(text):
    """What is printed, but for figures, the widths of columns and the machine's name, which differ between machines."""
    text = re.sub(r"(?<=taking turns: ).*", "a machine", text)
    return re.sub(r"[\s0-9.,%+-]+", " ", text).strip()


def test_a_transcript_is_read_and_figures_alone_may_differ():
    assert refresh_readme.transcript("$ a b\none\ntwo\n$ c\n") == [("a b", "one\ntwo\n"), ("c", "")]
    assert shape("right in 79.3 %,  12 s\n") == shape("right in 8 %, 1,003.5 s")
    assert shape("right in 1 %") != shape("wrong in 1 %")
    assert shape("in 2 ms, all taking turns: one.\nmore") == shape("in 3 ms, all taking turns: another, 8 cores.\nmore")


@pytest.mark.slow
@pytest.mark.data
def test_every_command_prints_what_the_readme_shows(tmp_path):
    refresh_readme.lay_out(tmp_path, datasets.data_dir())
    blocks = [block[0] for block in refresh_readme.BLOCK.finditer(refresh_readme.README.read_text())]
    commands = [pair for block in blocks for pair in refresh_readme.transcript(block)]
    assert len(commands) > 10
    for command, shown in commands:
        status, printed = refresh_readme.run(command, tmp_path)
        assert shape(printed) == shape(shown), command
        assert (status == 0) != printed.startswith("alexnet_tf: "), command  # one shows what a wrong name is told

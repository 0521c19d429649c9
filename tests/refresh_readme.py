"""Run the commands of the README's console blocks and put what they print below them.

Run ``python tests/refresh_readme.py`` after a change of what a command prints, and read the difference.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.M | re.S)
PHOTOS = 12  # of each class


def transcript(block):
    """The commands of a console block, each with the lines that stand below it."""
    pieces = re.split(r"^\$ (.*)\n", block, flags=re.M)[1:]
    return list(zip(pieces[::2], pieces[1::2], strict=True))


def lay_out(folder, data):
    """What a reader would have: a photograph, and a folder of a few for each of their classes."""
    for kind in sorted((Path(data) / "flowers" / "val").iterdir()):
        files = sorted(kind.iterdir())
        (folder / "photos" / kind.name).mkdir(parents=True)
        for file in files[:PHOTOS]:
            shutil.copy(file, folder / "photos" / kind.name)
        if kind.name == "tulips":
            shutil.copy(files[-1], folder / "photo.jpg")


def run(command, folder):
    """What a command prints in that folder, as a terminal would show it, but for progress and widths of tables."""
    before = os.environ["PATH"]
    own = {"PATH": f"{Path(sys.executable).parent}:{before}", "ALEXNET_CACHE": str(folder / "cache")}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = done.stdout.replace(str(folder.resolve()), "…").replace(str(ROOT), "…")
    return done.returncode, "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, os.environ["ALEXNET_DATA_DIR"])

        def again(match):
            return "".join(f"$ {command}\n{run(command, folder)[1]}" for command, _ in transcript(match[0]))

        README.write_text(BLOCK.sub(again, README.read_text()))


if __name__ == "__main__":
    main()

"""What the commands say: errors in one line, rows as aligned text or JSON, options as fields."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.recipe import parse_value

GO_ON = ("train", "search", "finetune", "reports")  # what a second call goes on with


def told(work: Callable[[], int | None], args: argparse.Namespace | None = None) -> int:
    """The exit status of a command's work, its errors told."""
    try:
        return work() or 0
    except LabError as error:
        print(f"alexnet_tf: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = error.filename or "check the path and the disk"
        remedy = ", where a folder is needed" if isinstance(error, NotADirectoryError | FileExistsError) else ""
        print(f"alexnet_tf: {error.strerror or error}: {where}{remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        same = "The same command without --fresh" if getattr(args, "fresh", False) else "The same command"
        goes_on = args and args.command in GO_ON
        onward = f"; what was finished is saved. {same} goes on from there" if goes_on else ""
        print(f"\nalexnet_tf: stopped{onward}.", file=sys.stderr)
        return 130


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as aligned text; fractions as percentages."""

    def cell(row: dict[str, Any], column: str) -> str:
        value = row[column]
        if value is None:
            return "–"
        if isinstance(value, float):
            return f"{value:.1f}" if column == "minutes" else f"{value:.2%}"
        return f"{value:,}" if column == "parameters" else str(value)

    texts = [list(columns), *[[cell(row, column) for column in columns] for row in rows]]
    widths = [max(len(text[i]) for text in texts) for i in range(len(columns))]
    return "\n".join("  ".join(part.ljust(width) for part, width in zip(text, widths, strict=True)) for text in texts)


def show(rows: list[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    print(json.dumps(rows, indent=1) if as_json else table(rows, columns))


def _is_path(key: str, value: str) -> bool:
    return bool(re.search(r"[/\\]", value)) if key == "dataset" else key == "pretrained" and value.endswith(".keras")


def overrides_of(items: Sequence[str]) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE; received {item!r}.")
        if key in overrides:
            raise UsageError(f"--set {key} is given twice: decide for one value.")
        found = parse_value(value)
        if isinstance(found, str) and _is_path(key, found):  # a run of it is the same from any working directory
            found = Path(found).expanduser().resolve().as_posix()
        overrides[key] = found
    return overrides

"""Errors that speak to a person: what was wrong, what was received, what to do."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable

LARGE = 10  # names of one family, from which on a text counts them instead of naming each


class LabError(Exception):
    """One clear sentence and a remedy; the command line prints it without a traceback."""

    status = 1


class UsageError(LabError):
    """A name, value or flag that the caller mistyped: exit status 2."""

    status = 2


class DivergedError(LabError):
    """A training's loss is no number any more."""


def needs_tensorflow(what: str) -> None:
    """Raise where Keras has another backend, beside which TensorFlow is not loaded."""
    if (os.environ.get("KERAS_BACKEND") or "tensorflow") != "tensorflow":
        raise LabError(f"{what} takes TensorFlow, whatever a run was trained with: leave KERAS_BACKEND unset.")


def choose(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return `name` if it is one of `choices`, else raise with the nearest one.

    >>> choose("budget", "quick", ["quick", "paper"])
    'quick'
    """
    known = sorted(choices)
    if name in known:
        return name
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from: {', '.join(_folded(known))}."
    raise UsageError(f"There is no {kind} {name!r}: {hint}")


def _folded(names: list[str]) -> list[str]:
    families = Counter(name.partition("-")[0] for name in names)
    told = {family: f"{family}-… ({count} of them)" for family, count in families.items() if count >= LARGE}
    return list(dict.fromkeys(told.get(name.partition("-")[0], name) for name in names))

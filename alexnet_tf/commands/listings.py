"""What there is: recipes, data, runs, and the sources' claims against them."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path
from typing import Any

from alexnet_tf import costs
from alexnet_tf.commands.told import show
from alexnet_tf.errors import LARGE, choose
from alexnet_tf.files import bytes_in
from alexnet_tf.recipe import BUDGETS
from alexnet_tf.recipes import RECIPES


def _listed(pattern: str | None) -> tuple[list[str], list[str]]:
    """The names to list, and a line for each family of which only the first is among them."""
    if pattern:
        found = fnmatch.filter(RECIPES, pattern) or fnmatch.filter(RECIPES, f"{pattern}-*")
        return found or [choose("recipe", pattern, RECIPES)], []
    families: dict[str, list[str]] = {}
    for name in RECIPES:
        families.setdefault(name.partition("-")[0], []).append(name)
    folded = {family: names for family, names in families.items() if len(names) >= LARGE}
    hidden = {name for names in folded.values() for name in names[1:]}
    told = [f"{len(names) - 1} more of this kind: list '{family}-*'" for family, names in folded.items()]
    return [name for name in RECIPES if name not in hidden], told


def do_list(args: argparse.Namespace) -> None:
    names, more = (list(RECIPES), []) if args.json and not args.pattern else _listed(args.pattern)
    rows: list[dict[str, Any]] = []
    for recipe in [RECIPES[name] for name in names]:
        budgets = {
            name: {"epochs": recipe.at(name).epochs, "minutes": budget.minutes}
            for name, budget in recipe.budgets.items()
        }
        rows.append(
            {
                "name": recipe.name,
                "source": recipe.source,
                "model": recipe.model,
                "dataset": recipe.dataset,
                "parameters": recipe.parameters,
                "memory_mib": costs.median(f"memory/{recipe.name}"),
                "budgets": budgets,
                "title": recipe.title,
            }
        )
    for row in [] if args.json else rows:
        row["MiB"] = "not measured" if row["memory_mib"] is None else f"{row['memory_mib']:,.0f}"
        row["minutes q/l/p"] = " / ".join(f"{row['budgets'][name]['minutes']:g}" for name in BUDGETS)
    show(rows, ("name", "source", "dataset", "parameters", "MiB", "minutes q/l/p", "title"), args.json)
    if not args.json:
        print(*more, sep="\n", end="\n" if more else "")


GETTABLE = ("cifar10", "fashion_mnist", "flowers")


def do_data(args: argparse.Namespace) -> None:
    from alexnet_tf import datasets, doors

    if args.get:
        print(f"{args.get} lies in {doors.get(args.get, datasets.data_dir())}", file=sys.stderr)
    rows: list[dict[str, Any]] = []
    for name in datasets.LOADERS:
        place = datasets.found(name)
        rows.append(
            {
                "dataset": name,
                "found": place,
                "megabytes": _megabytes(place),
                "how": "" if place else datasets.WANTED[datasets.untouched(name)][1],
            }
        )
    if not args.json:
        print(f"ALEXNET_DATA_DIR: {datasets.data_dir()}")
    show(rows, ("dataset", "found", "megabytes", "how"), args.json)


def _megabytes(place: str | None) -> int | None:
    return round(bytes_in(Path(place)) / 1e6) if place and Path(place).exists() else None


def do_runs(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import listing

    rows = [run.summary() for run in listing(args.runs)]
    if not rows and not args.json:
        print("No runs yet: 'python -m alexnet_tf train RECIPE' makes one.", file=sys.stderr)
    columns = ["run", "protocol", "status", "epochs", "val_accuracy", "test_accuracy", "minutes", "changed"]
    for row in [] if args.json else rows:
        row["run"] = "/".join(Path(row["path"]).parts[-3:]).replace("seed-", "")
        row["changed"] = " ".join(f"{key}={value}" for key, value in row["overrides"].items())
    show(rows, columns, args.json)


def do_scorecard(args: argparse.Namespace) -> None:
    from alexnet_tf.claims import CLAIMS
    from alexnet_tf.verdicts import as_rows, scorecard, shown

    rows = as_rows(scorecard(args.runs))
    for row, claim in [] if args.json else zip(rows, CLAIMS, strict=True):
        row.update({figure: shown(row[figure], claim.rule) for figure in ("reported", "measured", "low", "high")})
    columns = ("claim", "source", "reported", "measured", "low", "high", "n", "budget", "verdict")
    show(rows, columns, args.json)
    if not args.json:
        print("\nWhere n is 1, a verdict speaks of that training and not yet of the recipe. --json says why.")

"""What each command does: thin doors to the functions of the other rooms, which load when they are opened."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alexnet_tf import costs
from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.recipe import BUDGETS, parse_value
from alexnet_tf.recipes import RECIPES


def told(work: Callable[[], int | None]) -> int:
    """The exit status of some work, its errors told."""
    try:
        return work() or 0
    except LabError as error:
        print(f"alexnet_tf: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(
            f"alexnet_tf: {error.strerror or error}: {error.filename or 'check the path and the disk'}", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print(
            "\nalexnet_tf: stopped; what was finished is saved. The same command goes on from there.", file=sys.stderr
        )
        return 130


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
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


def _show(rows: list[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    print(json.dumps(rows, indent=1) if as_json else _table(rows, columns))


FOLDED = 10  # recipes of one family, from which on only the first is listed unless they are asked for


def _listed(pattern: str | None) -> tuple[list[str], list[str]]:
    """The names to list, and a line for each family of which only the first is among them."""
    if pattern:
        found = fnmatch.filter(RECIPES, pattern)
        return found or [choose("recipe", pattern, RECIPES)], []
    families: dict[str, list[str]] = {}
    for name in RECIPES:
        families.setdefault(name.partition("-")[0], []).append(name)
    folded = {family: names for family, names in families.items() if len(names) >= FOLDED}
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
    _show(rows, ("name", "source", "dataset", "parameters", "MiB", "minutes q/l/p", "title"), args.json)
    if not args.json:
        print(*more, sep="\n", end="\n" if more else "")


EXPORTS = ("saved-model", "litert", "onnx", "litert-int8")
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
    _show(rows, ("dataset", "found", "megabytes", "how"), args.json)


def _megabytes(place: str | None) -> int | None:
    if place is None or not Path(place).exists():
        return None
    files = [Path(place)] if Path(place).is_file() else Path(place).rglob("*")
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6)


def _overrides(items: Sequence[str]) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE; received {item!r}.")
        if key in overrides:
            raise UsageError(f"--set {key} is given twice: decide for one value.")
        overrides[key] = parse_value(value)
    return overrides


def do_train(args: argparse.Namespace) -> int:
    overrides = _overrides(args.set)
    from alexnet_tf import cluster
    from alexnet_tf.recipes import get

    get(args.recipe).at(args.budget).change(overrides)  # a wrong name is told before TensorFlow loads
    seat = cluster.find(args.processes, args.process, args.coordinator)
    if seat.processes == 1:
        return _train_here(args, overrides)
    return cluster.guarded(seat, lambda: told(lambda: _train_here(args, overrides, seat.process == 0)))


def _train_here(args: argparse.Namespace, overrides: dict[str, Any], tells: bool = True) -> int:
    from alexnet_tf.runs import locate

    place = locate(args.recipe, args.budget, args.seed, overrides, args.protocol, args.runs)
    finished = place.finished and not args.fresh
    from alexnet_tf import training

    run = training.train(
        args.recipe,
        args.budget,
        args.seed,
        overrides,
        args.protocol,
        args.runs,
        args.fresh,
        args.skip_damaged,
        args.devices,
    )
    if not tells:
        return 0
    metrics, minutes = run.record["metrics"], run.record["provenance"]["minutes"]
    state = "was finished already" if finished else f"finished in {minutes:.1f} minutes of training"
    told = f"test loss {metrics['test_loss']:.3f}"
    if metrics["test_accuracy"] is not None:
        told = f"test accuracy {metrics['test_accuracy']:.2%}"
    print(f"{run} {state}: {told}. It lies in {run.path}")
    return 0


def do_runs(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import listing

    rows = [run.summary() for run in listing(args.runs)]
    if not rows and not args.json:
        print("No runs yet: 'python -m alexnet_tf train RECIPE' makes one.", file=sys.stderr)
    columns = ["run", "protocol", "status", "epochs", "val_accuracy", "test_accuracy", "minutes", "changed"]
    for row in [] if args.json else rows:
        row["run"] = "/".join(Path(row["path"]).parts[-3:]).replace("seed-", "")
        row["changed"] = " ".join(f"{key}={value}" for key, value in row["overrides"].items())
    _show(rows, columns, args.json)


def do_evaluate(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation, released

    run = released.find(args.run, args.runs)
    print(f"using {run}", file=sys.stderr)
    outputs, record = run.outputs, run.record
    print(f"{run}: test accuracy {evaluation.accuracy_interval([run])}, protocol {record['protocol']}")
    if args.ten_crop:
        from alexnet_tf import measurements

        _tops("ten crops", measurements.ten_crops(run)["ten_crops"])
    if "test_labels" not in outputs:
        print("It is one of many and keeps no labels: no report class by class.")
        return
    labels, logits = outputs["test_labels"], outputs["test_logits"]
    if logits.shape[1] > FEW_CLASSES:
        _tops("one crop", evaluation.ranks(labels, logits))
    print(evaluation.report(labels, logits.argmax(axis=1), record["class_names"]))


FEW_CLASSES = 10  # of up to so many, the first five are no achievement


def _tops(how: str, ranks: Any) -> None:
    from alexnet_tf import evaluation

    print(f"{how}: top-1 {evaluation.top(1, ranks)}, top-5 {evaluation.top(5, ranks)}")


def do_compare(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation
    from alexnet_tf.runs import find

    ours, theirs = find(args.run, args.runs), find(args.other, args.runs)
    if ours.record["seed"] != theirs.record["seed"]:
        raise LabError(f"{ours} and {theirs} have different seeds: compare runs that share one.")
    gap = evaluation.paired_difference([ours], [theirs])
    told = "leaves zero out" if gap.low > 0 or gap.high < 0 else "contains zero: these two runs can't tell"
    print(f"{ours} minus {theirs}: {gap.mean:+.2%} [{gap.low:+.2%}, {gap.high:+.2%}]; the interval {told}.")


def do_tensorboard(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import find

    found = [find(name, args.runs) for name in args.names]
    from alexnet_tf import events

    events.write(found, args.to)
    print(f"{len(found)} run(s) written. To look at them: pip install tensorboard; tensorboard --logdir {args.to}")


def do_export(args: argparse.Namespace) -> None:
    from alexnet_tf import export, released, runs

    formats = export.chosen(args.formats)
    run = released.find(args.run, args.runs, having_weights=True)
    print(f"using {run}", file=sys.stderr)
    own = isinstance(run, released.Released)
    folder = args.to or (runs.cache() / "exported" / str(run) if own else run.scratch / "export")
    found = export.make(run, formats, folder, args.images or export.IMAGES)
    (released.exported if own else export.keep)(run, found)
    rows = export.table(found)
    print(_table(rows, list(rows[0])))
    print(f"{found['images']} test images; differences of accuracy paired over them, with 95 % intervals.")
    print(f"Milliseconds are medians on this machine, all formats taking turns: {found['hardware']}.")
    print(f"The files lie in {folder}.")


def do_predict(args: argparse.Namespace) -> None:
    from alexnet_tf.predict import predict

    rows = predict(args.images, args.model, args.runs)
    if args.explain:
        _explain(rows, args)
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        best = ", ".join(f"{entry['class']} {entry['confidence']:.1%}" for entry in row["top"])
        print(f"{row['path']}: {best}")


def _explain(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Write beside each answer what it rests on."""
    from alexnet_tf import panel
    from alexnet_tf.predict import find_model, load
    from alexnet_tf.splits import read_image

    path, names = find_model(args.model, args.runs)
    model = load(path)
    args.explain.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        target = args.explain / f"{number:03}-{Path(row['path']).stem}.png"
        panel.still(model, read_image(row["path"]), names, args.layer).savefig(target, dpi=120)
        print(f"{row['path']}: explained in {target}", file=sys.stderr)


def do_test_folder(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation
    from alexnet_tf.predict import measured_on

    labels, answers, names = measured_on(args.folder, args.model, args.runs, args.skip_damaged)
    right = int((labels == answers).sum())
    print(f"{right} of {len(labels)} are right: {evaluation.binomial_interval(right, len(labels))}")
    print(evaluation.report(labels, answers, names))
    matrix = evaluation.confusion(labels, answers, len(names))
    print("rows are the folders, columns the answers:")
    width = max(map(len, names))
    for name, row in zip(names, matrix, strict=True):
        print(f"{name:<{width}} " + "".join(f"{count:>6}" for count in row))


def do_release(args: argparse.Namespace) -> None:
    from alexnet_tf.released import release
    from alexnet_tf.runs import find

    print(f"released in {release(find(args.run, args.runs, having_weights=True), args.name)}")


def do_finetune(args: argparse.Namespace) -> None:
    from alexnet_tf.finetune import finetune

    tuned = finetune(args.folder, args.model, args.to, args.seed, args.runs, args.skip_damaged)
    print((tuned.folder / "report.md").read_text(encoding="utf-8"))
    print(f"Report and figures: {tuned.folder / 'report.md'}", file=sys.stderr)


def do_search(args: argparse.Namespace) -> None:
    from alexnet_tf.recipes import get

    fixed = _overrides(args.set)
    recipe = get(args.recipe).at(args.budget).change(fixed)  # a wrong name is told before TensorFlow loads
    from alexnet_tf import datasets, search

    axes = [search.axis(text) for text in args.space]
    found = search.search(args.recipe, args.trials, args.budget, axes, fixed, args.to, args.seed)
    held_out = datasets.load(recipe.dataset, "honest", recipe.train_images).val
    page = search.report(found, args.recipe, args.budget, args.seed, fixed, len(held_out or ()))
    print(page.read_text(encoding="utf-8"))
    print(f"Report and picture: {page}", file=sys.stderr)


def do_plan(args: argparse.Namespace) -> None:
    from alexnet_tf.recipes import get

    recipe = get(args.recipe).at("paper")
    from alexnet_tf import models, plan

    named = {name: value for name, value in vars(args).items() if name in ASSUMED and value is not None}
    classes = models.ARCHITECTURES[recipe.model].classes
    print(plan.page(recipe, classes, plan.measured(recipe.name), plan.Assumed(**named)))


# What a plan assumes unless it is told (`plan.Assumed` says from where).
ASSUMED: dict[str, tuple[type, str]] = {
    "images": (int, "training images"),
    "tflops": (float, "peak of a GPU"),
    "utilization": (float, "the share of it that is reached"),
    "cores": (int, "processor cores a GPU"),
    "link": (float, "GB/s between the GPUs of a server"),
    "network": (float, "GB/s a GPU between servers"),
    "photo": (float, "MB a photograph"),
    "disk": (float, "GB/s that a server's disk reads"),
}


def do_scorecard(args: argparse.Namespace) -> None:
    from alexnet_tf.verdicts import as_rows, scorecard, shown

    rows = as_rows(scorecard(args.runs))
    for row in [] if args.json else rows:
        row.update({figure: shown(row[figure]) for figure in ("reported", "measured", "low", "high")})
    columns = ("claim", "source", "reported", "measured", "low", "high", "n", "budget", "verdict")
    _show(rows, columns, args.json)


def do_reports(args: argparse.Namespace) -> int:
    from alexnet_tf import reports
    from alexnet_tf.runs import home

    only = [name for name in (args.only or "").split(",") if name]
    done = reports.make(args.budget, only, args.fresh)
    print(reports.summary(done, home() / "reports" / args.budget))
    return 0 if all(report.ok for report in done) else 1

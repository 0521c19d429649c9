"""The command line: thin doors to the functions of the other rooms."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet_tf import __version__
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.recipe import BUDGETS, PROTOCOLS, parse_value
from alexnet_tf.recipes import RECIPES


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as aligned text; fractions as percentages."""

    def cell(row: dict[str, Any], column: str) -> str:
        value = row[column]
        if value is None:
            return "-"
        if isinstance(value, float):
            return f"{value:.1f}" if column == "minutes" else f"{value:.2%}"
        return f"{value:,}" if column == "parameters" else str(value)

    texts = [list(columns), *[[cell(row, column) for column in columns] for row in rows]]
    widths = [max(len(text[i]) for text in texts) for i in range(len(columns))]
    return "\n".join("  ".join(part.ljust(width) for part, width in zip(text, widths, strict=True)) for text in texts)


def _show(rows: list[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    print(json.dumps(rows, indent=1) if as_json else _table(rows, columns))


def _list(args: argparse.Namespace) -> None:
    rows: list[dict[str, Any]] = []
    for recipe in RECIPES.values():
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
                "budgets": budgets,
                "title": recipe.title,
            }
        )
    for row in [] if args.json else rows:
        row["minutes q/l/p"] = " / ".join(f"{row['budgets'][name]['minutes']:g}" for name in BUDGETS)
    _show(rows, ("name", "source", "dataset", "parameters", "minutes q/l/p", "title"), args.json)


GETTABLE = ("cifar10", "fashion_mnist", "flowers")


def _data(args: argparse.Namespace) -> None:
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
                "how": "" if place else datasets.WANTED[name][1],
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


def _train(args: argparse.Namespace) -> None:
    overrides = {}
    for item in args.set:
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE; received {item!r}.")
        if key in overrides:
            raise UsageError(f"--set {key} is given twice: decide for one value.")
        overrides[key] = parse_value(value)
    from alexnet_tf.recipes import get
    from alexnet_tf.runs import locate

    get(args.recipe).at(args.budget).change(overrides)  # a wrong name is told before TensorFlow loads
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
    metrics, minutes = run.record["metrics"], run.record["provenance"]["minutes"]
    state = "was finished already" if finished else f"finished in {minutes:.1f} minutes of training"
    print(f"{run} {state}: test accuracy {metrics['test_accuracy']:.2%}. It lies in {run.path}")


def _runs(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import listing

    rows = [run.summary() for run in listing(args.runs)]
    if not rows and not args.json:
        print("No runs yet: 'python -m alexnet_tf train RECIPE' makes one.", file=sys.stderr)
    columns = ["run", "protocol", "status", "epochs", "val_accuracy", "test_accuracy", "minutes", "changed"]
    for row in [] if args.json else rows:
        row["run"] = "/".join(Path(row["path"]).parts[-3:]).replace("seed-", "")
        row["changed"] = " ".join(f"{key}={value}" for key, value in row["overrides"].items())
    _show(rows, columns, args.json)


def _evaluate(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation
    from alexnet_tf.runs import find

    run = find(args.run, args.runs)
    print(f"using {run}", file=sys.stderr)
    outputs, record = run.outputs, run.record
    print(f"{run}: test accuracy {evaluation.accuracy_interval([run])}, protocol {record['protocol']}")
    predicted = outputs["test_logits"].argmax(axis=1)
    print(evaluation.report(outputs["test_labels"], predicted, record["class_names"]))


def _compare(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation
    from alexnet_tf.runs import find

    ours, theirs = find(args.run, args.runs), find(args.other, args.runs)
    if ours.record["seed"] != theirs.record["seed"]:
        raise LabError(f"{ours} and {theirs} have different seeds: compare runs that share one.")
    gap = evaluation.paired_difference([ours], [theirs])
    told = "leaves zero out" if gap.low > 0 or gap.high < 0 else "contains zero: these two runs can't tell"
    print(f"{ours} minus {theirs}: {gap.mean:+.2%} [{gap.low:+.2%}, {gap.high:+.2%}]; the interval {told}.")


def _tensorboard(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import find

    found = [find(name, args.runs) for name in args.names]
    from alexnet_tf import events

    events.write(found, args.to)
    print(f"{len(found)} run(s) written. To look at them: pip install tensorboard; tensorboard --logdir {args.to}")


def _predict(args: argparse.Namespace) -> None:
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


def _test_folder(args: argparse.Namespace) -> None:
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


def _scorecard(args: argparse.Namespace) -> None:
    from alexnet_tf.verdicts import as_rows, scorecard

    columns = ("claim", "source", "reported", "measured", "low", "high", "n", "budget", "verdict")
    _show(as_rows(scorecard(args.runs)), columns, args.json)


def _reports(args: argparse.Namespace) -> int:
    from alexnet_tf import reports
    from alexnet_tf.runs import home

    only = [name for name in (args.only or "").split(",") if name]
    done = reports.make(args.budget, only, args.fresh)
    print(reports.summary(done, home() / "reports" / args.budget))
    return 0 if all(report.ok for report in done) else 1


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to {2**31 - 1}; received {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="alexnet_tf", description=__doc__)
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(handler=run)
        return sub

    def stores(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--runs", metavar="DIR", help="folder of runs (default: reports/runs, and .cache/runs for quick)"
        )

    def as_json(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--json", action="store_true", help="print one JSON array on standard output")

    as_json(command("list", _list, "list the recipes"))
    data = command("data", _data, "what data are found where, and how to get what is missing")
    data.add_argument("--get", choices=GETTABLE, help="download it into ALEXNET_DATA_DIR")
    as_json(data)
    train = command("train", _train, "train one run, or go on with an unfinished one")
    train.add_argument("recipe", metavar="RECIPE")
    train.add_argument("--budget", default="quick", metavar="B", help=f"one of {', '.join(BUDGETS)} (default: quick)")
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="a whole number from 0 (default: 0)")
    train.add_argument("--protocol", default="source", choices=PROTOCOLS, help="what is held out (default: source)")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field of the recipe")
    train.add_argument("--fresh", action="store_true", help="train anew, whatever is there")
    train.add_argument("--devices", default="one", choices=("one", "all"), help="share each batch among all devices")
    train.add_argument("--skip-damaged", action="store_true", help="leave out files of a folder that can't be read")
    stores(train)
    for name, run, help in (
        ("runs", _runs, "list finished and unfinished runs"),
        ("scorecard", _scorecard, "the sources' claims against the runs"),
    ):
        sub = command(name, run, help)
        stores(sub)
        as_json(sub)
    evaluate = command("evaluate", _evaluate, "measure a finished run")
    evaluate.add_argument("run", metavar="RUN", help="a path, or RECIPE[/BUDGET[/SEED]]")
    stores(evaluate)
    compare = command("compare", _compare, "the difference of two runs, paired over the test images")
    compare.add_argument("run", metavar="RUN")
    compare.add_argument("other", metavar="RUN")
    stores(compare)
    board = command("tensorboard", _tensorboard, "write the curves of runs as TensorBoard's event files")
    board.add_argument("names", nargs="+", metavar="RUN")
    board.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder for the event files")
    stores(board)
    predict = command("predict", _predict, "classify images with a trained run")
    predict.add_argument(
        "images", nargs="+", metavar="IMAGE", help="a file, a folder, a pattern, or - for paths on stdin"
    )
    predict.add_argument(
        "--explain", type=Path, metavar="DIR", help="write into it what each answer rests on (Grad-CAM)"
    )
    predict.add_argument("--layer", help="a layer for --explain (default: the last convolution whose maps have places)")
    predict.add_argument("--model", metavar="NAME|PATH", help="a run or a .keras file (default: the newest trained)")
    stores(predict)
    as_json(predict)
    tested = command("test-folder", _test_folder, "measure a network on a labelled folder, a class a folder")
    tested.add_argument("folder", metavar="FOLDER")
    tested.add_argument("--model", metavar="NAME|PATH", help="a run or a .keras file (default: the newest trained)")
    tested.add_argument("--skip-damaged", action="store_true", help="leave out files that can't be read")
    stores(tested)
    report = command("reports", _reports, "execute and render the notebooks")
    report.add_argument("--budget", default="quick", metavar="B")
    report.add_argument("--only", metavar="NAME,…", help="some notebooks, by name")
    report.add_argument("--fresh", action="store_true", help="train anew what they need")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line, Ctrl-C is 130."""
    args = parser().parse_args(arguments)
    try:
        return int(args.handler(args) or 0)
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


if __name__ == "__main__":
    sys.exit(main())

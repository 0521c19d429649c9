"""The command line: which commands there are, and what they take."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alexnet_tf import __version__
from alexnet_tf.commands import listings, networks, trainings
from alexnet_tf.commands.told import told
from alexnet_tf.recipe import BUDGETS, PROTOCOLS

MODELS = "a released model (cifar10, flowers), a run or a .keras file (default: cifar10; with --runs its newest)"
NAMED = "a path, RECIPE[/BUDGET[/SEED]], or a released model (cifar10, flowers)"

SPACE = "bounds, or KEY=A,B,C to choose from; repeat it for several fields (default: rate, weight decay, dropout)"


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 to {2**31 - 1}; received {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"a whole number from 2 is needed; received {text!r}")
    return int(text)


def _positive(kind: type) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        with contextlib.suppress(ValueError):
            if 0 < (value := kind(text)) < math.inf:
                return value
        wanted = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{wanted} above 0 is needed; received {text!r}")

    return parsed


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the name is empty: is a variable of the shell not set?")
    return text


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="alexnet_tf",
        description="An AlexNet laboratory: train recipes, judge claims by statistics, classify your own images.",
    )
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=help, description=help)
        sub.set_defaults(handler=run)
        return sub

    def stores(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--runs", metavar="DIR", help="folder of runs (default: reports/runs, and .cache/runs for quick)"
        )

    def as_json(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--json", action="store_true", help="print one JSON array on standard output")

    listing = command("list", listings.do_list, "list the recipes")
    as_json(listing)
    listing.add_argument("pattern", nargs="?", metavar="PATTERN", help="only those so called, as 'grid-*'")
    data = command("data", listings.do_data, "what data are found where, and how to get what is missing")
    data.add_argument("--get", choices=listings.GETTABLE, help="download it into ALEXNET_DATA_DIR")
    as_json(data)
    train = command("train", trainings.do_train, "train one run, or go on with an unfinished one")
    train.add_argument("recipe", metavar="RECIPE")
    train.add_argument("--budget", default="quick", metavar="B", help=f"one of {', '.join(BUDGETS)} (default: quick)")
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="a whole number from 0 (default: 0)")
    train.add_argument("--protocol", default="source", choices=PROTOCOLS, help="what is held out (default: source)")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field of the recipe")
    train.add_argument("--fresh", action="store_true", help="train anew, whatever is there")
    train.add_argument("--devices", default="one", choices=("one", "all"), help="share each batch among all devices")
    train.add_argument("--skip-damaged", action="store_true", help="leave out files of a folder that can't be read")
    train.add_argument(
        "--processes", type=_positive(int), metavar="N", help="train as one of N, on all their devices (1: alone)"
    )
    train.add_argument("--process", type=int, metavar="I", help="which of them this is, from 0")
    train.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens, for all of them")
    stores(train)
    for name, run, help in (
        ("runs", listings.do_runs, "list finished and unfinished runs"),
        ("scorecard", listings.do_scorecard, "the sources' claims against the runs"),
    ):
        sub = command(name, run, help)
        stores(sub)
        as_json(sub)
    evaluate = command("evaluate", networks.do_evaluate, "measure a finished run")
    evaluate.add_argument("run", metavar="RUN", help=NAMED)
    evaluate.add_argument("--ten-crop", action="store_true", help="also the average over ten crops of each test image")
    stores(evaluate)
    compare = command("compare", networks.do_compare, "the difference of two runs, paired over the test images")
    compare.add_argument("run", metavar="RUN")
    compare.add_argument("other", metavar="RUN")
    stores(compare)
    board = command("tensorboard", networks.do_tensorboard, "write the curves of runs as TensorBoard's event files")
    board.add_argument("names", nargs="+", metavar="RUN")
    board.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder for the event files")
    stores(board)
    export = command("export", networks.do_export, "write a run for other runtimes, and compare each with Keras")
    export.add_argument("run", metavar="RUN", help=NAMED)
    export.add_argument("--to", type=Path, metavar="FOLDER", help="where to write (default: beside the weights)")
    export.add_argument(
        "--formats", default=",".join(networks.EXPORTS), metavar="NAME,…", help="default: all, %(default)s"
    )
    export.add_argument("--images", type=_count, metavar="N", help="test images to compare on (default: some hundreds)")
    stores(export)
    predict = command("predict", networks.do_predict, "classify images with a trained run")
    predict.add_argument(
        "images", nargs="+", type=_name, metavar="IMAGE", help="a file, a folder, a pattern, or - for paths on stdin"
    )
    predict.add_argument(
        "--explain", type=Path, metavar="DIR", help="write into it what each answer rests on (Grad-CAM)"
    )
    predict.add_argument("--layer", help="a layer for --explain (default: the last convolution whose maps have places)")
    predict.add_argument("--model", type=_name, metavar="NAME|PATH", help=MODELS)
    stores(predict)
    as_json(predict)
    tested = command("test-folder", networks.do_test_folder, "measure a network on a labelled folder, a class a folder")
    tested.add_argument("folder", type=_name, metavar="FOLDER")
    tested.add_argument("--model", type=_name, metavar="NAME|PATH", help=MODELS)
    tested.add_argument("--skip-damaged", action="store_true", help="leave out files that can't be read")
    stores(tested)
    search = command("search", trainings.do_search, "look for better settings of a recipe, on validation images alone")
    search.add_argument("recipe", metavar="RECIPE")
    search.add_argument(
        "--trials", type=_count, required=True, metavar="N", help="how many the study shall have in all"
    )
    search.add_argument("--patient", action="store_true", help="let every trial come to its end, however it begins")
    told = "cross-validate each trial inside the training images (default: hold a tenth of them out)"
    search.add_argument("--folds", type=_count, default=1, metavar="K", help=told)
    search.add_argument("--budget", default="quick", metavar="B", help=f"one of {', '.join(BUDGETS)} (default: quick)")
    search.add_argument("--space", action="append", default=[], metavar="KEY=LOW..HIGH", help=SPACE)
    search.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a field in all trials"
    )
    search.add_argument("--seed", type=_seed, default=0, metavar="N", help="a whole number from 0 (default: 0)")
    search.add_argument("--to", type=Path, metavar="DIR", help="default: .cache/search/RECIPE-BUDGET")
    tune = command("finetune", networks.do_finetune, "teach a trained network the classes of your own folder")
    told = "a folder of photographs a class, with or without train and val"
    tune.add_argument("folder", type=_name, metavar="FOLDER", help=told)
    told = "a released model (cifar10, flowers) or a run to start from (default: cifar10; with --runs its newest)"
    tune.add_argument("--model", type=_name, metavar="NAME", help=told)
    tune.add_argument("--to", type=Path, default=Path("finetuned"), metavar="DIR", help="default: finetuned")
    tune.add_argument("--seed", type=_seed, default=0, metavar="N", help="a whole number from 0 (default: 0)")
    tune.add_argument("--skip-damaged", action="store_true", help="leave out files that can't be read")
    tune.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field in all stages")
    tune.add_argument("--fresh", action="store_true", help="train anew, even if it was done or begun before")
    stores(tune)
    release = command("release", networks.do_release, "put a run's weights where predict --model NAME finds them")
    release.add_argument("run", metavar="RUN", help="a path, or RECIPE[/BUDGET[/SEED]]")
    release.add_argument("name", metavar="NAME")
    stores(release)
    plan = command("plan", trainings.do_plan, "hours and memory of a training on 1, 8 and 64 GPUs, as Markdown")
    plan.add_argument("recipe", metavar="RECIPE", help="imagenet-2012, whose input and steps 'make bench' measures")
    for name, (kind, meaning) in trainings.ASSUMED.items():
        plan.add_argument(f"--{name}", type=_positive(kind), metavar="N", help=meaning)
    report = command("reports", trainings.do_reports, "execute and render the notebooks")
    report.add_argument("--budget", default="quick", metavar="B")
    report.add_argument("--only", metavar="NAME,…", help="some notebooks, by name")
    report.add_argument("--fresh", action="store_true", help="train anew what they need")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line, Ctrl-C is 130."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")  # the name of a file may be in no encoding
    args = parser().parse_args(arguments)
    return told(lambda: args.handler(args), args)


if __name__ == "__main__":
    sys.exit(main())

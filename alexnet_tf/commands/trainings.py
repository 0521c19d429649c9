"""What takes hours: a training, a search, the reports, and a plan of a training too large for here."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from alexnet_tf.commands.told import overrides_of, told
from alexnet_tf.errors import UsageError


def do_train(args: argparse.Namespace) -> int:
    overrides = overrides_of(args.set)
    from alexnet_tf import cluster
    from alexnet_tf.recipes import get

    get(args.recipe).at(args.budget).change(overrides)  # a wrong name is told before TensorFlow loads
    seat = cluster.find(args.processes, args.process, args.coordinator)
    if seat.processes == 1:
        return _train_here(args, overrides)
    return cluster.guarded(seat, lambda: told(lambda: _train_here(args, overrides, seat.process == 0), args))


def _train_here(args: argparse.Namespace, overrides: dict[str, Any], tells: bool = True) -> int:
    from alexnet_tf.files import read_object
    from alexnet_tf.runs import locate

    place = locate(args.recipe, args.budget, args.seed, overrides, args.protocol, args.runs)
    before = read_object(place.path / "record.json")
    from alexnet_tf import training

    starts = args.fresh or not (place.finished or place.state.exists())
    if starts and not args.runs and "pretrained" not in overrides:
        training.make_trunk(args.recipe, args.seed, args.budget)
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
    state = "was finished already" if run.record == before else f"finished in {minutes:.1f} minutes of training"
    told = f"test loss {metrics['test_loss']:.3f}"
    if metrics["test_accuracy"] is not None:
        told = f"test accuracy {metrics['test_accuracy']:.2%}"
    print(f"{run} {state}: {told}. It lies in {run.path}")
    return 0


def do_search(args: argparse.Namespace) -> None:
    from alexnet_tf.recipes import get

    fixed = overrides_of(args.set)
    recipe = get(args.recipe).at(args.budget).change(fixed)  # a wrong name is told before TensorFlow loads
    from alexnet_tf import datasets, search, search_report

    axes = [search.axis(text) for text in args.space]
    # Before any trial: a data set that is not here would be the end of each.
    part = datasets.load(recipe.dataset, "honest", recipe.train_images, part=recipe.fold).val or ()
    held_out = len(part if args.folds == 1 else datasets.load(recipe.dataset, part=recipe.fold).train)
    found = search.search(
        args.recipe, args.trials, args.budget, axes, fixed, args.to, args.seed, args.patient, args.folds
    )
    page = search_report.write(found, args.recipe, args.budget, args.seed, fixed, held_out, args.folds)
    print(page.read_text(encoding="utf-8"))
    print(f"Report and picture: {page}", file=sys.stderr)


def do_plan(args: argparse.Namespace) -> None:
    from alexnet_tf.recipes import get

    recipe = get(args.recipe).at("paper")
    if (args.utilization or 0) > 1:
        raise UsageError(f"--utilization is a share, and at most 1; received {args.utilization:g}.")
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


def do_reports(args: argparse.Namespace) -> int:
    from alexnet_tf import reports
    from alexnet_tf.runs import home

    only = [name for name in (args.only or "").split(",") if name]
    if args.only is not None and not only:
        raise UsageError(f"--only takes names of notebooks, with commas between; received {args.only!r}.")
    done = reports.make(args.budget, only, args.fresh)
    print(reports.summary(done, home() / "reports" / args.budget))
    return 0 if all(report.ok for report in done) else 1

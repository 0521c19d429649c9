"""What a trained network is good for: measuring, comparing, exporting, answering, teaching it more."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from alexnet_tf.commands.told import overrides_of, table
from alexnet_tf.errors import LabError, UsageError, needs_tensorflow

EXPORTS = ("saved-model", "litert", "onnx", "litert-int8")
FEW_CLASSES = 10  # of up to so many, the first five are no achievement


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


def _tops(how: str, ranks: Any) -> None:
    from alexnet_tf import evaluation

    print(f"{how}: top-1 {evaluation.top(1, ranks)}, top-5 {evaluation.top(5, ranks)}")


def do_compare(args: argparse.Namespace) -> None:
    from alexnet_tf import evaluation
    from alexnet_tf.runs import find

    ours, theirs = find(args.run, args.runs), find(args.other, args.runs)
    if ours.record["seed"] != theirs.record["seed"]:
        raise LabError(f"{ours} and {theirs} have different seeds: compare runs that share one.")
    for kind in "budget", "protocol":
        one, other = ours.record[kind], theirs.record[kind]
        if one != other:
            print(f"mind that they differ in more than the recipe: {kind} {one} and {other}", file=sys.stderr)
    gap = evaluation.paired_difference([ours], [theirs])
    told = "leaves zero out" if gap.side else "contains zero: these two runs can't tell"
    print(f"{ours} minus {theirs}: {gap.points}; the interval {told}.")


def do_tensorboard(args: argparse.Namespace) -> None:
    from alexnet_tf.runs import find

    needs_tensorflow("Writing for TensorBoard")
    found = [find(name, args.runs) for name in args.names]
    from alexnet_tf import events

    events.write(found, args.to)
    print(f"{len(found)} run(s) written. To look at them: pip install tensorboard; tensorboard --logdir {args.to}")


def do_export(args: argparse.Namespace) -> None:
    from alexnet_tf import export, predict, released, runs

    formats = export.chosen(args.formats)
    run = released.find(args.run, args.runs, having_weights=True)
    print(f"using {run}", file=sys.stderr)
    own = isinstance(run, released.Released)
    committed = run.weights in predict.released().values()  # a checkout takes no more in
    folder = args.to or (runs.cache() / "exported" / str(run) if committed else run.scratch / "export")
    found = export.make(run, formats, folder, args.images or export.IMAGES)
    rows = export.table(found)
    print(table(rows, list(rows[0])))
    print(f"{found['images']} test images; differences of accuracy paired over them, with 95 % intervals.")
    print(f"Milliseconds are medians on this machine, all formats taking turns: {found['hardware']}.")
    print(f"The files lie in {folder}.")
    try:
        if not own:
            export.keep(run.path / "measurements" / "export.json", found)
        elif set(formats) == set(EXPORTS) and not args.to:  # as the command that its card names makes it
            released.keep(run, found)
    except OSError as error:  # nobody may write where the network lies, and all else was done
        print(f"The comparison is not kept: {error}.", file=sys.stderr)


def do_predict(args: argparse.Namespace) -> None:
    from alexnet_tf.predict import predict

    if args.layer and not args.explain:
        raise UsageError("--layer says which layer --explain looks at: give --explain DIR, too.")
    if args.explain:  # before the work: a place that nobody can write to
        args.explain.mkdir(parents=True, exist_ok=True)
    lost: list[str] = []
    rows = predict(args.images, args.model, args.runs, lost=lost)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            best = ", ".join(f"{entry['class']} {entry['confidence']:.1%}" for entry in row["top"])
            print(f"{row['path']}: {best}")
    if args.explain:
        _explain(rows, args)
    if lost:
        raise LabError(f"{len(lost)} of {len(lost) + len(rows)} images have no answer.")


def _explain(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Write beside each answer what it rests on."""
    from alexnet_tf import panel, plots
    from alexnet_tf.predict import find_model, load, named
    from alexnet_tf.splits import read_image

    path, names = find_model(args.model, args.runs)
    model = load(path)
    names = named(names, model.output_shape[-1], path)
    for number, row in enumerate(rows):
        target = args.explain / f"{number:03}-{Path(row['path']).stem}.png"
        figure = panel.still(model, read_image(row["path"]), names, args.layer)
        figure.savefig(target, dpi=120)
        plots.plt.close(figure)
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
    from alexnet_tf.released import find, release

    print(f"released in {release(find(args.run, args.runs, having_weights=True), args.name)}")


def do_finetune(args: argparse.Namespace) -> None:
    from alexnet_tf.finetune import finetune

    changes = overrides_of(args.set)
    tuned = finetune(args.folder, args.model, args.to, args.seed, args.runs, args.skip_damaged, changes, args.fresh)
    print((tuned.folder / "report.md").read_text(encoding="utf-8"))
    print(f"Report and figures: {tuned.folder / 'report.md'}", file=sys.stderr)

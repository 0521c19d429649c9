"""The page that tells what a search tried and what mattered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet_tf import files, provenance, runs, search
from alexnet_tf.errors import LabError

REPORT = """# A search for better settings of {name}

{count} trials of the budget `{budget}`, seed {seed}: {ended}. Accuracy is that
{on}; no test image was looked at.

![Accuracy against each setting]({picture})

| trial | accuracy | {steps} | settings |
|---|---|---|---|
{rows}

{importances}

The best of many is flattered by having been chosen: {standard_error:.1%} is what the {held_out} held-out images alone
leave open in one trial. To measure the settings on the test images, with other seeds:

```
{command}
```
"""


def write(
    found: search.Found, name: str, budget: str, seed: int, fixed: Mapping[str, Any], held_out: int, folds: int = 1
) -> Path:
    """Write what was tried and what mattered as a page with its picture."""
    from alexnet_tf import plots

    best = found.best
    if best is None:
        raise LabError(f"No trial in {found.folder} has come to its end: ask for more with --trials.")
    measured = [trial for trial in found.trials if trial["accuracy"] is not None]
    figure = plots.trials(
        {axis: [trial["values"].get(axis) for trial in measured] for axis in best["values"]},
        [trial["accuracy"] for trial in measured],
        [trial["state"] == "complete" for trial in measured],
        f"The best of {len(measured)} trials: {best['accuracy']:.1%} of the held-out images",
    )
    figure.savefig(found.folder / "search.png", dpi=120)
    plots.plt.close(figure)
    ranked = sorted(measured, key=lambda trial: (trial["state"] == "complete", trial["accuracy"]), reverse=True)
    rows = [
        f"| {t['number']} | {t['accuracy']:.1%} | {t['epochs']} | {search.told(t['values'])} |" for t in ranked[:10]
    ]
    shares = "; ".join(f"{axis} {share:.0%}" for axis, share in found.importances.items())
    settings = {**fixed, **best["values"]}
    command = f"python -m alexnet_tf train {name} --budget {budget} --seed {seed + 1} --protocol honest"
    command = " ".join([command, *runs.options(settings)])
    states = [trial["state"] for trial in measured]
    ended = f"{states.count('complete')} to their end, {states.count('pruned')} stopped early"
    if others := len(states) - states.count("complete") - states.count("pruned"):
        ended += f", {others} under way or cut short"
    page = REPORT.format(
        name=name,
        count=len(measured),
        budget=budget,
        seed=seed,
        ended=ended,
        on="on a tenth of the training images, held out"
        if folds == 1
        else f"of a cross-validation: each of {folds} parts of the training images was held out once",
        steps="epochs" if folds == 1 else "folds",
        picture="search.png",
        rows="\n".join(rows),
        importances=f"Of the differences between trials these explain, as a forest of decision trees guesses: {shares}."
        if shares
        else "",
        standard_error=(best["accuracy"] * (1 - best["accuracy"]) / held_out) ** 0.5,
        held_out=held_out,
        command=command,
    )
    target = found.folder / "search.md"
    files.write_atomically(target, page.encode())
    kept = {"name": name, "budget": budget, "seed": seed, "fixed": fixed, "held_out": held_out, "trials": found.trials}
    kept |= {"folds": folds} if folds > 1 else {}
    kept |= {"hardware": provenance.hardware(), "versions": provenance.versions((*provenance.PACKAGES, "optuna"))}
    files.write_atomically(found.folder / "search.json", (json.dumps(kept, indent=1) + "\n").encode())
    return target

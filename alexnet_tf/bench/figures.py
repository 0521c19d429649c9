"""The pictures of the page, each with a title that says what was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_tf.bench.steps import PRECISIONS

if TYPE_CHECKING:
    from alexnet_tf.plots import Roof

UNITS = {"memory": "MiB of a training"}
AMOUNTS = {"image_size": "pixels a side", "batch_size": "batch", "memory": "batch"}

Entries = Mapping[str, Any]


def roofs(entry: Entries) -> Roof:
    """A network's layers and the machine's limits, from what `layers` has measured."""
    from alexnet_tf.plots import Roof

    placed, moving = {}, {}
    bandwidth = entry["bandwidth"]["median"]
    for one in entry["layers"]:
        seconds = one["microseconds"]["median"] / 1e6
        if one["flop"]:
            placed[one["name"]] = (one["flop"] / one["bytes"], one["flop"] / seconds)
        else:
            moving[one["name"]] = one["bytes"] / seconds / bandwidth
    return Roof(entry["flops"]["median"], bandwidth, placed, moving)


def slowest(entry: Entries) -> tuple[str, float]:
    """The layer that takes most, and its share of all layers' time."""
    took = {one["name"]: one["microseconds"]["median"] for one in entry["layers"]}
    name = max(took, key=lambda layer: took[layer])
    return name, took[name] / sum(took.values())


def exponents(ratios: Entries) -> dict[str, dict[str, Any]]:
    """The fitted powers by recipe and by what grows."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in ratios.items():
        if name.startswith("growth/"):
            _, recipe, axis = name.split("/")
            found.setdefault(recipe, {})[axis] = entry
    return found


def points(costs: Entries, start: str) -> dict[float, tuple[float, float, float]]:
    """Amounts with their costs, of names that end in the amount."""
    found = {
        float(name.removeprefix(start)): (cost["median"], cost["low"], cost["high"])
        for name, cost in costs.items()
        if name.startswith(start) and name.removeprefix(start).replace(".", "").isdigit()
    }
    return dict(sorted(found.items()))


def draw(folder: Path, layers: Entries, costs: Entries, ratios: Entries) -> None:
    """All pictures for which something was measured."""
    found = {**_rooflines(layers), **_predictions(costs), **_growth(costs, ratios)}
    for name, fig in found.items():
        from alexnet_tf.plots import plt

        fig.savefig(folder / f"{name}.png", dpi=110)
        plt.close(fig)


def _rooflines(layers: Entries) -> dict[str, Any]:
    from alexnet_tf import plots

    found = {}
    for recipe in dict.fromkeys(name.split("/")[0] for name in layers):
        own = {kind: layers[f"{recipe}/{kind}"] for kind in PRECISIONS if f"{recipe}/{kind}" in layers}
        said = "; ".join(f"{kind}: {slowest(entry)[0]} takes {slowest(entry)[1]:.0%}" for kind, entry in own.items())
        panels = {kind: roofs(entry) for kind, entry in own.items()}
        found[f"roofline-{recipe}"] = plots.roofline(panels, f"{recipe}, layer by layer ({said})")
    return found


def _predictions(costs: Entries) -> dict[str, Any]:
    from alexnet_tf import plots

    series = {}
    for recipe in dict.fromkeys(name.split("/")[1] for name in costs if name.startswith("predict/")):
        took = points(costs, f"predict/{recipe}/batch-")
        if took:
            series[recipe] = {int(n): (1e6 / mid, 1e6 / high, 1e6 / low) for n, (mid, low, high) in took.items()}
    if not series:
        return {}
    gains = [rates[max(rates)][0] / rates[min(rates)][0] for rates in series.values()]
    least, most = min(map(min, series.values())), max(map(max, series.values()))
    gain = f"{min(gains):.1f} to {max(gains):.1f}"
    title = f"In batches of {most}, {gain} times as many images a second as in those of {least}"
    return {"predictions": plots.rates(series, title, "images in a batch", "images a second")}


def _growth(costs: Entries, ratios: Entries) -> dict[str, Any]:
    from alexnet_tf import plots

    found = {}
    for recipe, axes in exponents(ratios).items():
        panels, units, said = {}, [], []
        for axis, entry in axes.items():
            measured = points(costs, f"growth/{recipe}/{axis}/")
            what = AMOUNTS.get(axis, axis)
            panels[f"{what} (memory)" if axis == "memory" else what] = (measured, entry["median"])
            units.append(UNITS.get(axis, "seconds of an epoch"))
            said.append(f"{axis} {2 ** entry['median']:.2f}")
        title = f"{recipe}: twice as much costs so many times: {', '.join(said)}"
        found[f"growth-{recipe}"] = plots.powers(panels, title, units)
    return found

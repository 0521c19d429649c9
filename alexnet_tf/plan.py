"""What a large training would take: hours and memory on so many GPUs, and where its input becomes the limit.

Parameters, operations and activations are counted in the network. What its input costs was measured
here (``make bench``). What a GPU, a link or a server gives is assumed, and each assumption is an
argument. The arithmetic is meant to show which of them binds, not to promise a date.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from alexnet_tf import costs
from alexnet_tf.errors import LabError, UsageError
from alexnet_tf.recipe import Recipe

PLANNED = "imagenet-2012"  # whose photographs `make bench` reads and decodes
GPUS = (1, 8, 64)
IN_A_SERVER = 8  # GPUs: more of them speak over the network
FLOAT = 4  # bytes


def _assume(value: Any, origin: str) -> Any:
    return field(default=value, metadata={"origin": origin})


@dataclass(frozen=True)
class Assumed:
    """What nobody measured here: the figures of an A100 server as its makers state them, and guesses of ours."""

    images: int = _assume(1_281_167, "training images, as the organizers of ILSVRC 2012 state")
    tflops: float = _assume(156.0, "of a GPU: an A100's TensorFloat-32 peak, as NVIDIA states it")
    utilization: float = _assume(0.25, "the share of it that a training reaches: our guess")
    cores: int = _assume(16, "a GPU, 128 in a server of eight: our guess")
    link: float = _assume(300.0, "GB/s each way between a server's GPUs: NVLink 3, as NVIDIA states it")
    network: float = _assume(25.0, "GB/s a GPU between servers, a port of 200 Gb/s each: our guess")
    photo: float = _assume(0.11, "MB a photograph, as those whose decoding was measured")
    disk: float = _assume(2.0, "GB/s that a server's own disk reads: our guess")


@dataclass(frozen=True)
class Network:
    """What a network asks, an image or once."""

    parameters: int
    flop: float  # of one image in a training: a pass forward and two like it back, but for the first layer
    activations: int  # numbers that one image leaves behind for the way back


@dataclass(frozen=True)
class Row:
    """A training on so many GPUs."""

    images_per_second: float
    hours: float
    gigabytes: float  # of each GPU
    cores: float  # a GPU that its input needs, or else waits for it
    megabytes: float  # a second that all of them together read
    limit: str


def count(recipe: Recipe, classes: int) -> Network:
    """What a recipe's network asks: each weight of a kernel is used once for each place of its layer's output.

    A transposed convolution's is used once for each place of its input. On the way back each is used twice, for
    the gradient of its input and for its own; nobody asks for the gradient of the image, so once in the first layer.
    """
    options = json.dumps(dict(recipe.options), sort_keys=True)
    return _counted(recipe.model, recipe.image_size, classes, recipe.precision, options)


@functools.cache
def _counted(name: str, size: int, classes: int, precision: str, options: str) -> Network:
    from alexnet_tf import models

    model = models.build(name, size, classes, precision, 0, **json.loads(options))
    counted = [products(layer) for layer in model.layers]
    first = next(filter(None, counted), 0)
    activations = sum(int(np.prod(layer.output.shape[1:])) for layer in model.layers)
    return Network(model.count_params(), 2.0 * (3 * sum(counted) - first), activations)


def computation(recipe: Recipe, images: int, classes: int = 10) -> float:
    """The FLOP of a training on so many images, without each epoch's validation."""
    return count(recipe, classes).flop * images * recipe.epochs * recipe.passes


def products(layer: Any) -> int:
    """The multiplications of one image's way forward through a layer: its kernels' weights at each of their places."""
    from alexnet_tf.quiet import keras

    kernels = sum(int(np.prod(weight.shape)) for weight in layer.weights if len(weight.shape) > 1)
    back = isinstance(layer, keras.layers.Conv2DTranspose)
    places = layer.input.shape[1:-1] if back else layer.output.shape[1:-1]
    return kernels * int(np.prod(places))


def row(gpus: int, batch: int, epochs: int, network: Network, core_seconds: float, assumed: Assumed) -> Row:
    """A training whose batch is shared by GPUs that add up their gradients in a ring after each step.

    What it needs of cores and disks, it needs so as not to wait for them.
    """
    share = batch / gpus
    compute = share * network.flop / (assumed.tflops * 1e12 * assumed.utilization)
    bandwidth = (assumed.link if gpus <= IN_A_SERVER else assumed.network) * 1e9
    exchange = 2 * (gpus - 1) / gpus * FLOAT * network.parameters / bandwidth
    asked = batch / (compute + exchange)
    servers = -(-gpus // IN_A_SERVER)
    rates = {
        "GPUs and their exchange": asked,
        "cores that decode": assumed.cores * gpus / core_seconds,
        "disk": 1000 * assumed.disk * servers / assumed.photo,
    }
    limit = min(rates, key=lambda name: rates[name])
    rate = rates[limit]
    memory = FLOAT * (3 * network.parameters + share * network.activations)  # weights, gradients, momentum
    hours = assumed.images * epochs / rate / 3600
    return Row(rate, hours, memory / 1e9, asked * core_seconds / gpus, asked * assumed.photo, limit)


def measured(name: str) -> dict[str, float]:
    """What `make bench` measured of a recipe: core-microseconds an image of its input and a step, and peak MiB."""
    found = {key: costs.median(f"{key}/{name}") for key in ("input", "step", "memory")}
    known = {key: cost for key, cost in found.items() if cost is not None}
    if len(known) < len(found):
        if name != PLANNED:
            raise UsageError(f"Plans are for {PLANNED} alone, whose photographs 'make bench' reads and decodes.")
        raise LabError(f"The input and the steps of {name} were not measured yet: run 'python -m alexnet_tf.bench'.")
    return known


def _origin(item: Any, assumed: Assumed) -> str:
    stands = getattr(assumed, item.name) == item.default
    return f"assumed: {item.metadata['origin']}" if stands else "as the command line says"


def page(recipe: Recipe, classes: int, costs: Mapping[str, float], assumed: Assumed) -> str:
    """The plan as Markdown: what was counted, measured and assumed, and the rows that follow."""
    network = count(recipe, classes)
    core_seconds = costs["input"] / 1e6
    here = assumed.images * recipe.epochs * costs["step"] / 1e6 / 3600
    facts: list[tuple[str, Any, str]] = [
        ("parameters", f"{network.parameters:,}", "counted"),
        ("GFLOP a training image", f"{network.flop / 1e9:.2f}", "counted"),
        ("activations an image (MB)", f"{FLOAT * network.activations / 1e6:.1f}", "counted"),
        ("epochs, batch", f"{recipe.epochs}, {recipe.batch_size}", "the recipe"),
        ("input: core-µs an image", f"{costs['input']:,.0f}", "measured: read, decode, resize, augment"),
        ("images/s that a core feeds", f"{1 / core_seconds:,.0f}", "measured"),
        ("step here: core-µs an image", f"{costs['step']:,.0f}", "measured"),
        ("memory here (MiB)", f"{costs['memory']:,.0f}", "measured: the process's peak in a training"),
        ("core-hours here, input aside", f"{here:,.0f}", "from these"),
        *[(each.name, f"{getattr(assumed, each.name):,}", _origin(each, assumed)) for each in fields(assumed)],
    ]
    guesses = [each.name for each in fields(assumed) if "our guess" in _origin(each, assumed)]
    lines = [f"# {recipe.name}: what it takes", "", "Training alone, without each epoch's validation."]
    lines += [f"The rows are no better than what is guessed: {', '.join(guesses)}." if guesses else "", ""]
    lines += ["| | value | from |", "|---|---|---|"]
    lines += [f"| {name} | {value} | {origin} |" for name, value, origin in facts]
    for title, batches in (
        (f"The recipe's batch of {recipe.batch_size}, shared", [recipe.batch_size] * len(GPUS)),
        (
            f"{recipe.batch_size} images a GPU: another training than the recipe's",
            [recipe.batch_size * n for n in GPUS],
        ),
    ):
        lines += ["", f"## {title}", ""]
        lines += ["| GPUs | batch | images/s | hours | GB a GPU | cores a GPU needs | MB/s to read | the limit |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for gpus, batch in zip(GPUS, batches, strict=True):
            found = row(gpus, batch, recipe.epochs, network, core_seconds, assumed)
            lines += [
                f"| {gpus} | {batch} | {found.images_per_second:,.0f} | {found.hours:,.1f} | {found.gigabytes:.1f} "
                f"| {found.cores:.1f} | {found.megabytes:,.0f} | {found.limit} |"
            ]
    return "\n".join(lines)

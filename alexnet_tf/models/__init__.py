"""The architectures, side by side so that a reader can compare them.

Every builder returns a named `keras.Sequential` that ends in logits: softmax (or sigmoid) lives
in the loss and in the exported model, which gives the same numbers in a stabler way. Layers are
called ``conv1`` ... ``fc8`` as in the 2012 paper, whatever stands between them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.models.alexnets import alexnet2012, alexnet_lrn, bn64, int305, lab3, zeng
from alexnet_tf.models.knobs import alexnet32
from alexnet_tf.models.others import four_layer, lenet, mobilenet, resnet18, simple
from alexnet_tf.models.parts import Layers
from alexnet_tf.models.rebuilding import Rebuilder, rebuilder32
from alexnet_tf.models.today import today_cifar, today_flowers
from alexnet_tf.quiet import keras


@dataclass(frozen=True)
class Architecture:
    """A builder with the size and the parameter count of its source's network."""

    layers: Callable[..., Layers]
    image_size: int
    classes: int
    parameters: int  # as its source counts them
    uncounted: int = 0  # moving averages, which PyTorch does not count as parameters
    kind: type[keras.Sequential] = keras.Sequential


ARCHITECTURES = {
    "alexnet-lrn": Architecture(alexnet_lrn, 224, 5, 46_767_493),
    "bn64": Architecture(bn64, 64, 10, 2_915_338),
    "lab3": Architecture(lab3, 227, 10, 58_323_722),
    "simple": Architecture(simple, 32, 10, 2_473_610),
    "resnet18": Architecture(resnet18, 32, 10, 11_181_642, uncounted=9_600),
    "lenet": Architecture(lenet, 32, 10, 62_006),
    "int305": Architecture(int305, 32, 10, 27_279_882),
    "zeng": Architecture(zeng, 32, 10, 3_989_450),
    "alexnet-2012": Architecture(alexnet2012, 224, 1000, 60_965_224),
    "alexnet-32": Architecture(alexnet32, 28, 10, 2_517_194),
    "today-flowers": Architecture(today_flowers, 128, 5, 2_396_757),
    "today-cifar": Architecture(today_cifar, 32, 10, 1_635_370),
    "rebuilder-32": Architecture(rebuilder32, 28, 10, 1_127_075, kind=Rebuilder),
    "mobilenet": Architecture(mobilenet, 96, 5, 2_264_389),
    "four-layer": Architecture(four_layer, 32, 10, 89_578),
}


def build(
    name: str,
    image_size: int | None = None,
    classes: int | None = None,
    precision: str = "float32",
    seed: int | None = None,
    **options: Any,
) -> keras.Sequential:
    """Build a network by name; size and classes default to the source's.

    >>> build("bn64").count_params()
    2915338
    """
    check(name, options)
    architecture = ARCHITECTURES[name]
    size = architecture.image_size if image_size is None else image_size
    if seed is not None:
        keras.utils.set_random_seed(seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        stack = architecture.layers(architecture.classes if classes is None else classes, **options)
        network = architecture.kind([keras.Input((size, size, 3), name="image"), *stack], name=name.replace("-", "_"))
        too_small = any(0 in layer.output.shape for layer in network.layers)  # Keras 3.10 lets them pass
    except ValueError as error:
        if not any(sign in str(error) for sign in ("negative dimension", "output size", "<= 0")):
            usual = options_of(architecture.layers)
            given = [f"{option}={value}" for option, value in options.items() if value != usual[option]]
            if not given:
                raise
            told = str(error).partition("\n")[0]
            raise UsageError(f"There is no {name} with {', '.join(given)}: {told}") from error
        too_small = True
    finally:
        keras.config.set_dtype_policy(policy)
    if too_small:
        raise LabError(f"Images of {size} px are too small for {name}: a layer would have no output.")
    if architecture.kind is Rebuilder and network.output_shape[1] != size:
        raise LabError(f"{name} paints {network.output_shape[1]} px: it can't rebuild images of {size} px.")
    return network


def check(name: str, options: Mapping[str, Any]) -> None:
    """Raise unless there is such a network, and it has such options."""
    known = options_of(ARCHITECTURES[choose("architecture", name, ARCHITECTURES)].layers)
    for option, value in options.items():
        if isinstance(known[choose(f"option of {name}", option, known)], bool) and not isinstance(value, bool):
            raise UsageError(f"options.{option} must be true or false; received {value!r}.")


def options_of(builder: Callable[..., Layers]) -> dict[str, Any]:
    """What a builder can be told, besides the number of classes, and what it takes untold."""
    found = inspect.signature(builder).parameters
    own = {n: option.default for n, option in found.items() if n != "classes" and option.kind != option.VAR_KEYWORD}
    return {**options_of(alexnet32), **own} if len(own) + 1 < len(found) else own


def table(model: keras.Sequential) -> str:
    """The network layer by layer: name, kind, output shape, parameters."""
    lines = [f"{'layer':<10}{'kind':<28}{'output':<18}{'parameters':>12}"]
    for layer in model.layers:
        shape = " x ".join(str(side) for side in layer.output.shape[1:])
        lines.append(f"{layer.name:<10}{type(layer).__name__:<28}{shape:<18}{layer.count_params():>12,}")
    lines.append(f"{'in all':<56}{model.count_params():>12,}")
    return "\n".join(lines)

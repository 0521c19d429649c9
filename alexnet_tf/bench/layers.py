"""Where a step's time goes: each layer by itself, against what the machine computes and moves at most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from alexnet_tf.bench import ROUNDS, TURN, in_turns_of, interleaved, summary

LAYERED = ("cifar10-bn64", "int305-adam", "flowers-lrn")
NUMBERS = 2**26  # float32 in each of two arrays that are added: 256 MiB, more than any cache
FLOAT = 4  # bytes


def product(name: str, size: int = 3072, turn: float = TURN) -> Callable[[], float]:
    """Seconds of a product of two square matrices, in float32 or bfloat16."""
    from alexnet_tf.quiet import keras

    if keras.backend.backend() == "jax":
        return _product_by_jax(name, size, turn)
    import tensorflow as tf

    left, right = (tf.cast(tf.random.stateless_normal((size, size), [seed, 0]), name) for seed in (0, 1))
    multiply = tf.function(tf.matmul)
    return in_turns_of(turn, lambda count: [multiply(left, right) for _ in range(count)])


def _product_by_jax(name: str, size: int, turn: float) -> Callable[[], float]:
    import jax

    left, right = (jax.random.normal(jax.random.key(seed), (size, size), dtype=name) for seed in (0, 1))
    multiply = jax.jit(jax.numpy.matmul)

    def work(count: int) -> None:
        for _ in range(count):
            result = multiply(left, right)
        result.block_until_ready()  # the device computes them in order

    return in_turns_of(turn, work)


def addition(numbers: int = NUMBERS, turn: float = TURN) -> Callable[[], float]:
    """Seconds of adding one array to another in its place: two numbers read and one written for each."""
    import tensorflow as tf

    total, added = tf.Variable(tf.zeros(numbers)), tf.ones(numbers)
    return in_turns_of(turn, lambda count: [total.assign_add(added, read_value=False) for _ in range(count)])


def counted(model: Any, batch: int) -> dict[str, dict[str, float]]:
    """Operations of each layer on a batch, there and back, and the least bytes that they must move.

    An operation is a product or a sum of a kernel's weights; other layers have none. Forward, a layer reads its input
    and its weights and writes its output; backward it reads input, output, weights and its output's gradient,
    and writes the gradients of its weights and, but for the first layer with weights and what stands before
    it, of its input. Weights are float32 in any precision.
    """
    from alexnet_tf import plan

    found, seen = {}, False
    for layer in model.layers:
        here, there = (batch * math.prod(value.shape[1:]) for value in (layer.input, layer.output))
        products = batch * plan.products(layer)
        item = FLOAT if layer.compute_dtype == "float32" else 2
        numbers = 2 * here + 3 * there + (here if seen else 0)
        weights = sum(math.prod(weight.shape) for weight in layer.trainable_weights)
        found[layer.name] = {
            "flop": 2.0 * products * (3 if seen else 2),
            "bytes": float(item * numbers + 3 * FLOAT * weights),
        }
        seen = seen or products > 0
    return found


def ways(model: Any, batch: int, turn: float) -> dict[str, Callable[[], float]]:
    """Seconds of each layer's way forward and back on numbers that stay the same, so that caches may hold some."""
    import tensorflow as tf

    found, seen, dtype = {}, False, "float32"
    for layer in model.layers:
        inputs = tf.cast(tf.random.stateless_normal((batch, *layer.input.shape[1:]), [0, 0]), dtype)
        outputs = layer(inputs, training=True)
        found[layer.name] = way(layer, inputs, tf.ones_like(outputs), seen, turn)
        dtype = layer.compute_dtype
        seen = seen or any(len(weight.shape) > 1 for weight in layer.weights)
    return found


def way(layer: Any, inputs: Any, gradient: Any, seen: bool, turn: float) -> Callable[[], float]:
    """One layer's; its input has a gradient where a layer with weights has been seen before it."""
    import tensorflow as tf

    @tf.function
    def there_and_back(inputs: Any, gradient: Any) -> Any:
        with tf.GradientTape() as tape:
            if seen:
                tape.watch(inputs)
            outputs = layer(inputs, training=True)
        sources = [*([inputs] if seen else []), *(weight.value for weight in layer.trainable_variables)]
        return outputs, tape.gradient(outputs, sources, output_gradients=gradient)

    traced = there_and_back.get_concrete_function(inputs, gradient)
    return in_turns_of(turn, lambda count: [traced(inputs, gradient) for _ in range(count)])


def layers(
    rounds: int = ROUNDS,
    recipes: Sequence[str] | None = None,
    turn: float = 0.25,
    size: int = 3072,
    numbers: int = NUMBERS,
    batches: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Each layer of a network, the whole step, the product and the addition, taking turns."""
    from alexnet_tf.bench import fits, steps

    found: dict[str, Any] = {}
    for name in recipes or LAYERED:
        for short, policy in steps.PRECISIONS.items():
            own = fits.chosen(name)[0].batch_size
            batch = (batches or steps.BATCHES).get(name, own)
            changes = {"precision": policy, "batch_size": batch}
            recipe, classes = fits.chosen(name, changes)
            model = fits.compiled(recipe, classes)
            sides = {f"layer {layer}": way for layer, way in ways(model, batch, turn).items()}
            sides["step"] = fits.fixed(name, changes, turn=turn)
            sides |= {"product": product(short, size, turn), "addition": addition(numbers, turn)}
            seconds = interleaved(sides, rounds)
            found[f"{name}/{short}"] = {
                "batch": batch,
                "flops": summary(2 * size**3 / seconds["product"]),
                "bandwidth": summary(3 * FLOAT * numbers / seconds["addition"]),
                "step": summary(seconds["step"] * batch * 1e6),
                "layers": [
                    {"name": layer, **counts, "microseconds": summary(seconds[f"layer {layer}"] * 1e6)}
                    for layer, counts in counted(model, batch).items()
                ],
            }
    return {"layers": found}

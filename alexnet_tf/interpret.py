"""What a network has learned, and why it answers as it does: arrays out, nothing drawn.

Everything works on the network for use that a run saves: `parts` takes it apart into its
preprocessing and its bare network. A map says, pixel by pixel, how much of the answer rests
there; `deletion` and `randomized` ask whether it means anything.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet_tf.errors import LabError, UsageError, choose
from alexnet_tf.models.transfer import parts
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.quiet import keras

ops = keras.ops
VERSION = 2  # of what the maps compute; what was measured by another is measured anew
Images = NDArray[np.uint8]
Maps = NDArray[np.float32]


def _layer(network: keras.Sequential, name: str) -> int:
    names = [layer.name for layer in network.layers]
    return names.index(choose("layer", name, names))


def _through(layers: Sequence[keras.layers.Layer], x: Any) -> Any:
    for layer in layers:
        x = layer(x, training=False)
    return x


# --- What it has learned --------------------------------------------------------------------------


def filters(network: keras.Sequential) -> NDArray[np.float32]:
    """The kernels of the first convolution as small pictures, each stretched from 0 to 1."""
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    kernels = np.moveaxis(np.asarray(first.kernel, "float32"), -1, 0)
    low, high = (edge(kernels, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return (kernels - low) / np.maximum(high - low, 1e-12)


def activations(model: keras.Sequential, images: Images, layers: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """What each of some layers puts out for some raw images."""
    prepare, network = parts(model)
    x, found = prepare(images), {}
    wanted = {_layer(network, name): name for name in layers}
    for place in range(max(wanted) + 1):
        x = network.layers[place](x, training=False)
        if place in wanted:
            found[wanted[place]] = ops.convert_to_numpy(x).astype("float32")
    return found


def embeddings(model: keras.Sequential, images: Images, layer: str = "fc7", batch: int = 250) -> NDArray[np.float32]:
    """A layer's answer to each image as one row."""
    rows = [activations(model, images[i : i + batch], [layer])[layer] for i in range(0, len(images), batch)]
    return np.concatenate([row.reshape(len(row), -1) for row in rows])


def neighbours(known: NDArray[np.floating], asked: NDArray[np.floating], count: int = 5) -> NDArray[np.int64]:
    """The places of the nearest rows of `known` for each row of `asked`, by the angle between them."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=count, metric="cosine").fit(known).kneighbors(asked, return_distance=False)


def plane(rows: NDArray[np.floating], seed: int = 0) -> NDArray[np.float32]:
    """Rows of many numbers as points in a plane, neighbours kept together (t-SNE after 30 principal components)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    few = PCA(min(30, *rows.shape), random_state=seed).fit_transform(rows)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(few).astype("float32")


# --- Why this answer ------------------------------------------------------------------------------


def _gradient(score: Callable[[Any], Any], x: Any) -> NDArray[np.float32]:
    """The derivative of a score by its input, on whatever backend computes."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = score(x)
        return np.asarray(tape.gradient(value, x), "float32")
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(score)(x), "float32")
    x = x.detach().clone().requires_grad_()
    score(x).backward()
    return np.asarray(x.grad.cpu(), "float32")


def _logit(layers: Sequence[keras.layers.Layer], classes: NDArray[np.integer]) -> Callable[[Any], Any]:
    """The sum of each image's logit for its class: images don't mix, so its gradient is each image's own."""

    def score(x: Any) -> Any:
        logits = ops.cast(_through(layers, x), "float32")
        return ops.sum(logits * np.eye(logits.shape[-1], dtype="float32")[classes])

    return score


def _unit(maps: NDArray[np.floating], least: float = 0.0) -> Maps:
    """Each map from 0 to 1; one that nowhere exceeds `least` is zero everywhere."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > least).astype("float32")


def _enlarged(maps: NDArray[np.floating], size: int, remains: float) -> NDArray[np.float32]:
    """Maps as large as the raw images; what the network never saw around the middle that `remains` is zero."""
    side = round(remains * size)
    before = (size - side) // 2
    found = ops.convert_to_numpy(ops.image.resize(maps[..., None].astype("float32"), (side, side)))[..., 0]
    return np.pad(found, ((0, 0), *[(before, size - side - before)] * 2))


def convolutions(network: keras.Sequential) -> list[str]:
    """The names of the convolutions, in their order."""
    return [layer.name for layer in network.layers if re.fullmatch(r"conv\d+", layer.name)]


def _activated(network: keras.Sequential, name: str) -> int:
    """The place of the layer that puts out a convolution's maps after its activation, where that is a layer beside."""
    names = [layer.name for layer in network.layers]
    activation = name.replace("conv", "act")
    return names.index(activation) if activation in names else _layer(network, name)


def last_large(network: keras.Sequential, side: int = 5) -> str:
    """The last convolution whose maps still have places: at least `side` by `side`, or else the last one."""
    found = convolutions(network)
    others = [weight for layer in network.layers if layer.name not in found for weight in layer.weights]
    if not found or (len(found) == 1 and any(len(weight.shape) == 4 for weight in others)):
        raise LabError("This network keeps its convolutions inside blocks: there are no maps to explain it by.")
    large = [name for name in found if network.layers[_activated(network, name)].output.shape[1] >= side]
    return (large or found)[-1]


def gradcam(model: keras.Sequential, images: Images, classes: NDArray[np.integer], layer: str | None = None) -> Maps:
    """Grad-CAM (Selvaraju et al., 2017): a layer's maps, weighted by how much the class's logit rests on each.

    A convolution's are taken after its activation: what that lets not through is no evidence.
    """
    prepare, network = parts(model)
    place = _activated(network, layer or last_large(network)) + 1
    maps = _through(network.layers[:place], prepare(images))
    if len(maps.shape) != 4:
        raise UsageError(f"{layer} has no maps to look at: take one of {', '.join(convolutions(network))}.")
    slopes = _gradient(_logit(network.layers[place:], classes), maps)
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    found = np.maximum((np.asarray(maps, "float32") * weights).sum(axis=-1), 0)
    return _unit(_enlarged(found, images.shape[1], prepare.remains))


def contributions(
    model: keras.Sequential, images: Images, classes: NDArray[np.integer], steps: int = 16
) -> NDArray[np.float32]:
    """Integrated gradients (Sundararajan et al., 2017): what each prepared pixel adds to the class's logit.

    The way goes from each image's mean colour to the image; over all pixels they sum up to what the logit gains.
    """
    prepare, network = parts(model)
    whole = np.asarray(prepare(images), "float32")
    start = np.broadcast_to(whole.mean(axis=(1, 2), keepdims=True), whole.shape)
    total = np.zeros_like(whole)
    for share in (np.arange(steps) + 0.5) / steps:
        on_the_way = ops.convert_to_tensor((start + share * (whole - start)).astype("float32"))
        total += _gradient(_logit(network.layers, classes), on_the_way) / steps
    return ((whole - start) * total).sum(axis=-1)


def integrated_gradients(
    model: keras.Sequential, images: Images, classes: NDArray[np.integer], signed: bool = True
) -> Maps:
    """Where the pixels lie that raised the class; unsigned, also those that lowered it."""
    prepare, _ = parts(model)
    found = contributions(model, images, classes)
    found = np.maximum(found, 0) if signed else np.abs(found)
    return _unit(_enlarged(found, images.shape[1], prepare.remains), least=1e-5)  # of a logit, less is rounding


def beliefs(model: keras.Sequential, images: Images, classes: NDArray[np.integer], batch: int = 250) -> Maps:
    """How probable the network finds each image's class."""
    found = [ops.convert_to_numpy(model(images[i : i + batch], training=False)) for i in range(0, len(images), batch)]
    return np.concatenate(found)[np.arange(len(images)), classes].astype("float32")


def occlusion(
    model: keras.Sequential, images: Images, classes: NDArray[np.integer], window: int = 8, step: int = 4
) -> Maps:
    """How much of the class's probability is lost when a grey square hides each part (Zeiler and Fergus, 2014)."""
    size = images.shape[1]
    whole, loss, seen = beliefs(model, images, classes), np.zeros(images.shape[:3]), np.zeros((size, size))
    last = max(size - window, 0)
    places = sorted({*range(0, last, step), last})  # the last square ends at the edge
    for y, x in itertools.product(places, places):
        hidden = images.copy()
        hidden[:, y : y + window, x : x + window] = images.mean(axis=(1, 2), keepdims=True).astype("uint8")
        loss[:, y : y + window, x : x + window] += (whole - beliefs(model, hidden, classes))[:, None, None]
        seen[y : y + window, x : x + window] += 1
    return _unit(np.maximum(loss / np.maximum(seen, 1), 0))


def shapley(model: keras.Sequential, images: Images, classes: NDArray[np.integer], evaluations: int = 200) -> Maps:
    """SHAP's partition explainer (after Lundberg and Lee, 2017), which sees only pixels in and probabilities out."""
    import shap

    def ask(pixels: Any) -> NDArray[np.float32]:
        return ops.convert_to_numpy(model(np.asarray(pixels).astype("uint8"), training=False))

    own = np.zeros(images.shape[:3])
    for place, image in enumerate(images):  # each with its own grey, or a map would depend on its neighbours
        masker = shap.maskers.Image(np.broadcast_to(image.mean(axis=(0, 1)), image.shape), image.shape)
        found = shap.Explainer(ask, masker)(image[None], max_evals=evaluations, batch_size=50, silent=True)
        own[place] = found.values[0, ..., classes[place]].sum(axis=-1)
    return _unit(np.maximum(own, 0))


METHODS: dict[str, Callable[..., Maps]] = {
    "Grad-CAM": gradcam,
    "integrated gradients": integrated_gradients,
    "unsigned gradients": functools.partial(integrated_gradients, signed=False),
    "occlusion": occlusion,
    "SHAP": shapley,
}


# --- Does a map mean anything? --------------------------------------------------------------------


def spotlight(size: int = 32, corner: int = 8) -> keras.Sequential:
    """A network whose reason is known: it answers 1 when its top left corner is bright, and sees nothing else."""
    network = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(1, 1, name="conv5"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="fc8"),
        ]
    )
    lit = np.zeros((size, size))
    lit[:corner, :corner] = 8 / corner**2
    network.set_weights(
        [
            np.full((1, 1, 3, 1), 1 / 3),
            np.zeros(1),
            np.stack([np.zeros(size**2), lit.ravel()], axis=1),
            np.array([4.0, 0.0]),
        ]
    )
    image = keras.Input((None, None, 3), dtype="uint8")
    return keras.Sequential([image, Preprocess(size), network, keras.layers.Activation("softmax")])


def randomized(model: keras.Sequential, seed: int = 0) -> keras.Sequential:
    """The same network with the weights of a newborn one: its maps should look like nothing learned."""
    fresh = keras.models.clone_model(model)
    keras.utils.set_random_seed(seed)
    _, network = parts(fresh)
    network.set_weights(keras.Sequential.from_config(network.get_config()).get_weights())
    return fresh


def likeness(ours: Maps, theirs: Maps) -> NDArray[np.float64]:
    """The rank correlation of each pair of maps: 1 for the same order, 0 for unrelated, NaN for blank ones."""
    from scipy.stats import spearmanr

    pairs = [(a.ravel(), b.ravel()) for a, b in zip(ours, theirs, strict=True)]
    return np.array([spearmanr(a, b).statistic if a.std() and b.std() else np.nan for a, b in pairs])


def forgets(alike: NDArray[np.floating]) -> str:
    """Whether maps passed the test of `randomized`, given their `likeness` to the newborn network's."""
    kept = alike[np.isfinite(alike)]
    if not len(kept):
        return "says nothing: all maps are blank"
    return "fails: much of it does not depend on what was learned" if kept.mean() > 0.5 else "passes"


def deletion(
    model: keras.Sequential, images: Images, classes: NDArray[np.integer], maps: Maps, steps: int = 10
) -> NDArray[np.float32]:
    """The class's probability as the pixels of highest value take the image's mean colour, a row an image.

    A map that means something makes it fall fast: the smaller the mean of a row, the better.
    """
    noise = np.random.default_rng(0).random(maps.shape) * 1e-6  # equal values fall in no order
    order = np.argsort(-(maps + noise).reshape(len(maps), -1), axis=1)
    flat = images.reshape(len(images), -1, 3).copy()
    mean, rows = images.mean(axis=(1, 2)).astype("uint8"), [beliefs(model, images, classes)]
    for places in np.array_split(order, steps, axis=1):
        np.put_along_axis(flat, places[..., None], mean[:, None], axis=1)
        rows.append(beliefs(model, flat.reshape(images.shape), classes))
    return np.stack(rows, axis=1)

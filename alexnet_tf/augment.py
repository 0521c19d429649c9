"""Augmentations in the arithmetic of any Keras backend; each image gets its own draw.

An augmentation is a name and an amount; `augment` applies those that a recipe names. It draws
from a `Draw`, a source of random numbers that is a function of its key and of nothing else, so a
stream repeats bit for bit under a parallel map. All motions of an image are one matrix, so the
pixels move once; all changes of colour are another.

These are ours, because Keras' layers draw one crop for a whole batch, do not repeat under
tf.data's parallel map, and take milliseconds an image for RandAugment. Images come in and go out
as float32 from 0 to 255, labels one-hot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from alexnet_tf.errors import choose
from alexnet_tf.quiet import keras
from alexnet_tf.recipe import AUGMENTATIONS

ops = keras.ops

Draw = Callable[[str, float, float], Any]  # (what for, low, high) -> a number for each image
GREY = np.array([0.299, 0.587, 0.114], "float32")
MOTIONS = ("resized_crop", "rotation", "shift", "shear", "zoom", "flip", "alternate", "crop", "reflect")  # their order
TURN = "turn"  # what a stream that knows its images answers with 0 or 1, each epoch the other
STEPS = 4096  # of the table that turns a uniform draw into MixUp's share


def augment(
    images: Any,
    labels: Any,
    amounts: Mapping[str, float],
    draw: Draw,
    components: Any = None,
    remains: float = 1.0,
) -> tuple[Any, Any]:
    """Augment a batch: motion, colour, RandAugment's pixel operations, cutout, MixUp, CutMix.

    `components` are the principal components of the training pixels' colours, for ``pca``. Of each side the middle
    `remains` will be left: that is what a ``resized_crop`` fills, and what CutMix counts.
    """
    for name in amounts:
        choose("augmentation", name, AUGMENTATIONS)
    active = {name: amounts[name] for name in AUGMENTATIONS if amounts.get(name)}
    images = _move(images, active, draw, remains)
    images = _tint(images, active, draw, components)
    if "randaugment" in active:
        images = _pixel_operations(images, active["randaugment"], draw)
    if "cutout" in active:
        images = _cut_out(images, active["cutout"], draw)
    if "mixup" in active:
        images, labels = _mix(images, labels, active["mixup"], draw)
    if "cutmix" in active:
        images, labels = _cut_and_mix(images, labels, active["cutmix"], draw, remains)
    return images, labels


# --- Motion: a 3 x 3 matrix an image, from places in the output to places in the input -----------


def _matrices(rows: list[list[Any]], like: Any) -> Any:
    cells = [ops.zeros_like(like) + cell for row in rows for cell in row]
    return ops.reshape(ops.stack(cells, axis=-1), (-1, 3, 3))


def motion(name: str, amount: float, size: float, draw: Draw, remains: float = 1.0) -> Any:
    """One matrix an image about its centre, with the meanings of Keras' ImageDataGenerator."""
    if name in ("flip", "alternate"):  # amount: the probability; or 1: in every other epoch, some first in even ones
        chosen = draw("flip", 0, 1) < amount if name == "flip" else draw(TURN, 0, 2) >= 1
        mirrored = ops.where(chosen, -1.0, 1.0)
        return _matrices([[mirrored, 0, 0], [0, 1, 0], [0, 0, 1]], mirrored)
    if name in ("crop", "reflect"):  # amount: pixels of padding on each side; a whole-pixel offset an image
        most = 2.0 * round(amount) + 1
        across, down = (ops.floor(draw(f"crop {axis}", 0, most)) - round(amount) for axis in "xy")
    elif name == "shift":  # amount: the largest share of the width and the height
        across, down = (draw(f"shift {axis}", -amount, amount) * size for axis in "xy")
    elif name == "zoom":  # amount: width and height scaled independently by 1 - amount to 1 + amount
        wide, high = (draw(f"zoom {axis}", 1 - amount, 1 + amount) for axis in "xy")
        return _matrices([[wide, 0, 0], [0, high, 0], [0, 0, 1]], wide)
    elif name == "resized_crop":  # amount: the smallest share of the area; aspect 3/4 to 4/3
        area, aspect = draw("crop area", amount, 1), ops.exp(draw("crop aspect", -np.log(4 / 3), np.log(4 / 3)))
        wide, high = ops.minimum(ops.sqrt(area * aspect), 1.0), ops.minimum(ops.sqrt(area / aspect), 1.0)
        across = draw("crop left", -0.5, 0.5) * (1 - wide) * size
        down = draw("crop top", -0.5, 0.5) * (1 - high) * size
        return _matrices([[wide / remains, 0, across], [0, high / remains, down], [0, 0, 1]], wide)
    else:  # shear and rotation: degrees
        angle = draw(name, -amount, amount) * np.float32(np.pi / 180)
        turn, lean = ops.cos(angle), ops.sin(angle)
        if name == "shear":
            return _matrices([[turn, 0, 0], [-lean, 1, 0], [0, 0, 1]], angle)
        return _matrices([[turn, lean, 0], [-lean, turn, 0], [0, 0, 1]], angle)
    return _matrices([[1, 0, across], [0, 1, down], [0, 0, 1]], across)


def _move(images: Any, active: Mapping[str, float], draw: Draw, remains: float) -> Any:
    """A padded crop leaves black outside, as torchvision's, "reflect" mirrors; everything else repeats the border."""
    moving = [name for name in MOTIONS if name in active]
    size = float(images.shape[1])
    matrices = [motion(name, active[name], size, draw, remains) for name in moving]
    if "randaugment" in active:
        matrices.append(_random_motion(active["randaugment"], size, draw))
    if not matrices:
        return images
    centre = (size - 1) / 2
    like = matrices[0][:, 0, 0]
    product = _matrices([[1, 0, centre], [0, 1, centre], [0, 0, 1]], like)
    for matrix in matrices:
        product = ops.matmul(product, matrix)
    product = ops.matmul(product, _matrices([[1, 0, -centre], [0, 1, -centre], [0, 0, 1]], like))
    whole_pixels = set(moving) <= {"flip", "alternate", "crop", "reflect"} and "randaugment" not in active
    outside = "black" if "crop" in active else "mirrored" if "reflect" in active else "border"
    return moved(images, product, whole_pixels, outside)


def moved(images: Any, matrices: Any, whole_pixels: bool, outside: str) -> Any:
    """Square images, each pixel from where its image's matrix says: from the nearest one there, or between four.

    Ours, because XLA makes one loop of it: a quarter of the time of TensorFlow's projective transform.
    """
    size = images.shape[1]
    steps = ops.arange(size, dtype="float32")
    cells = matrices[:, :2, :, None, None]
    places = cells[:, :, 0] * steps[None, None, None, :] + cells[:, :, 1] * steps[None, None, :, None] + cells[:, :, 2]
    across, down = places[:, 0], places[:, 1]
    flat = ops.reshape(images, (-1, images.shape[3]))
    first = (ops.arange(ops.shape(images)[0]) * size * size)[:, None, None]

    def pixels(column: Any, row: Any) -> Any:
        inside = ops.logical_and(ops.logical_and(column >= 0, column < size), ops.logical_and(row >= 0, row < size))
        if outside == "mirrored":
            column, row = (ops.where(i < 0, -1 - i, ops.where(i < size, i, 2 * size - 1 - i)) for i in (column, row))
        column, row = (ops.clip(i, 0, size - 1) for i in (column, row))
        found = ops.take(flat, first + row * size + column, axis=0)
        return ops.where(inside[..., None], found, 0.0) if outside == "black" else found

    if whole_pixels:
        return pixels(*(ops.cast(ops.floor(place + 0.5), "int32") for place in (across, down)))
    left, top = ops.floor(across), ops.floor(down)
    right_share, lower_share = (across - left)[..., None], (down - top)[..., None]
    column, row = ops.cast(left, "int32"), ops.cast(top, "int32")
    upper = pixels(column, row) * (1 - right_share) + pixels(column + 1, row) * right_share
    lower = pixels(column, row + 1) * (1 - right_share) + pixels(column + 1, row + 1) * right_share
    return upper * (1 - lower_share) + lower * lower_share


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    moved = tf.function(moved, jit_compile=True, autograph=False)


# --- Colour: a 3 x 3 matrix and an offset an image -----------------------------------------------

TO_YIQ = np.array([GREY, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], "float32")


def _tint(images: Any, active: Mapping[str, float], draw: Draw, components: Any) -> Any:
    """Brightness, contrast, saturation, hue and the paper's colour noise, in one product."""
    if not {"color", "hue", "pca", "randaugment"} & set(active):
        return images
    one = draw("brightness", 1, 1)
    bright = contrast = saturation = one
    hue = ops.zeros_like(one)
    if "color" in active:  # amount: each of the three scaled by 1 - amount to 1 + amount, as torchvision's
        low, high = 1 - active["color"], 1 + active["color"]
        bright, contrast, saturation = (draw(name, low, high) for name in ("brightness", "contrast", "saturation"))
    if "hue" in active:  # amount: the largest share of the colour circle
        hue = draw("hue", -active["hue"], active["hue"]) * np.float32(2 * np.pi)
    if "randaugment" in active:
        factors = _random_tint(active["randaugment"], draw)
        bright, contrast, saturation = bright * factors[0], contrast * factors[1], saturation * factors[2]
    turn, lean = ops.cos(hue), ops.sin(hue)
    rotated = _matrices([[1, 0, 0], [0, turn, -lean], [0, lean, turn]], hue)
    grey = ops.convert_to_tensor(np.tile(GREY, (3, 1)))
    keep = saturation[:, None, None]
    mixed = keep * np.eye(3, dtype="float32") + (1 - keep) * grey
    matrix = ops.matmul(ops.matmul(np.linalg.inv(TO_YIQ).astype("float32"), ops.matmul(rotated, TO_YIQ)), mixed)
    matrix = (bright * contrast)[:, None, None] * matrix
    level = ops.sum(ops.mean(images, axis=(1, 2)) * GREY, axis=-1)
    offset = ((1 - contrast) * bright * level)[:, None] * np.ones(3, "float32")
    if "pca" in active:  # amount: the deviation of the noise along each component
        normal = ops.stack([_normal(draw, f"pca {i}") for i in range(3)], axis=-1) * active["pca"]
        offset = offset + ops.matmul(normal, ops.convert_to_tensor(components, "float32"))
    shape = ops.shape(images)
    flat = ops.reshape(images, (-1, shape[1] * shape[2], 3))
    tinted = ops.matmul(flat, ops.transpose(matrix, (0, 2, 1))) + offset[:, None, :]
    return ops.clip(ops.reshape(tinted, (-1, *images.shape[1:])), 0.0, 255.0)


def _normal(draw: Draw, what: str) -> Any:
    """A standard normal number an image, by Box and Muller from two uniform ones."""
    radius = ops.sqrt(-2.0 * ops.log(draw(f"{what} radius", 1e-7, 1)))
    return radius * ops.cos(draw(f"{what} angle", 0, 2 * np.pi))


def color_components(images: np.ndarray) -> np.ndarray:
    """The principal components of the colours of all pixels, each as long as its deviation: 3 x 3, a row each."""
    pixels = images.reshape(-1, 3).astype("float64")
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False))
    return (vectors * np.sqrt(np.maximum(values, 0))).T.astype("float32")


# --- RandAugment: two operations an image, drawn from twelve; amount: the magnitude, 0 to 10 ------
# The original applies them one after the other; here motions come first, then colour, then pixels.

OPERATIONS = (
    "identity", "rotate", "shear x", "shear y", "shift x", "shift y",
    "brightness", "contrast", "saturation", "posterize", "solarize", "autocontrast",
)  # fmt: skip
ROUNDS = 2


def _chosen(operation: str, number: int, draw: Draw) -> Any:
    """Where the images draw this operation in this round."""
    place = OPERATIONS.index(operation)
    drawn = draw(f"operation {number}", 0, len(OPERATIONS))
    return ops.logical_and(drawn >= place, drawn < place + 1)


def _signed(operation: str, number: int, most: float, draw: Draw) -> Any:
    """The operation's strength with a random sign where it is chosen, zero elsewhere."""
    sign = ops.where(draw(f"sign {number}", 0, 1) < 0.5, -1.0, 1.0)
    return ops.where(_chosen(operation, number, draw), sign * most, 0.0)


def _random_motion(magnitude: float, size: float, draw: Draw) -> Any:
    strength, product = magnitude / 10, None
    for number in range(ROUNDS):
        angle = _signed("rotate", number, float(np.pi / 6) * strength, draw)
        turn, lean = ops.cos(angle), ops.sin(angle)
        shear_x, shear_y = (_signed(f"shear {axis}", number, 0.3 * strength, draw) for axis in "xy")
        across, down = (_signed(f"shift {axis}", number, 0.3 * strength * size, draw) for axis in "xy")
        matrix = _matrices([[turn, lean + shear_x, across], [shear_y - lean, turn, down], [0, 0, 1]], angle)
        product = matrix if product is None else ops.matmul(product, matrix)
    return product


def _random_tint(magnitude: float, draw: Draw) -> list[Any]:
    factors = []
    for operation in "brightness", "contrast", "saturation":
        strengths = [_signed(operation, number, 0.09 * magnitude, draw) for number in range(ROUNDS)]
        factors.append((1 + strengths[0]) * (1 + strengths[1]))
    return factors


def _pixel_operations(images: Any, magnitude: float, draw: Draw) -> Any:
    step = 2.0 ** round(magnitude / 10 * 4)  # up to four bits fewer
    threshold = 256.0 - 25.6 * magnitude
    for number in range(ROUNDS):
        low = ops.min(images, axis=(1, 2), keepdims=True)
        high = ops.max(images, axis=(1, 2), keepdims=True)
        changed = {
            "posterize": ops.floor(images / step) * step,
            "solarize": ops.where(images >= threshold, 255.0 - images, images),
            "autocontrast": (images - low) * (255.0 / ops.maximum(high - low, 1.0)),
        }
        for operation, result in changed.items():
            images = ops.where(_chosen(operation, number, draw)[:, None, None, None], result, images)
    return images


# --- Cutout, MixUp, CutMix -----------------------------------------------------------------------


def _window(images: Any, wide: Any, high: Any, draw: Draw, what: str) -> Any:
    """Which pixels lie in a rectangle whose centre is anywhere: (images, height, width, 1)."""
    height, width = images.shape[1:3]
    inside = []
    for axis, length, half in ("y", height, high / 2), ("x", width, wide / 2):
        centre = draw(f"{what} {axis}", 0, length)[:, None]
        places = ops.convert_to_tensor(np.arange(length, dtype="float32") + 0.5)[None]
        inside.append(ops.abs(places - centre) <= half)
    return ops.logical_and(inside[0][:, :, None, None], inside[1][:, None, :, None])


def _cut_out(images: Any, amount: float, draw: Draw) -> Any:
    """A square of `amount` pixels, perhaps partly outside, takes the image's mean colour."""
    side = draw("cutout side", amount, amount)[:, None]
    mean = ops.mean(images, axis=(1, 2), keepdims=True)
    return ops.where(_window(images, side, side, draw, "cutout"), mean, images)


def _share(amount: float, draw: Draw, what: str) -> Any:
    """A share from Beta(amount, amount) for each image, from a table of its quantiles."""
    middles = (np.arange(STEPS) + 0.5) / STEPS
    table = ops.convert_to_tensor(stats.beta.ppf(middles, amount, amount).astype("float32"))
    return ops.take(table, ops.cast(ops.floor(draw(what, 0, 1) * (STEPS - 1e-3)), "int32"), axis=0)


def _mix(images: Any, labels: Any, amount: float, draw: Draw) -> tuple[Any, Any]:
    """Each image blended with its neighbour in the batch, labels likewise."""
    share = _share(amount, draw, "mixup")
    wide = share[:, None, None, None]
    blended = wide * images + (1 - wide) * ops.roll(images, 1, axis=0)
    return blended, share[:, None] * labels + (1 - share[:, None]) * ops.roll(labels, 1, axis=0)


def _cut_and_mix(images: Any, labels: Any, amount: float, draw: Draw, remains: float) -> tuple[Any, Any]:
    """A rectangle of each image comes from its neighbour in the batch; labels by the area that did, of what remains."""
    cut = ops.sqrt(1 - _share(amount, draw, "cutmix"))
    height, width = images.shape[1:3]
    inside = _window(images, (cut * width)[:, None], (cut * height)[:, None], draw, "cutmix")
    side = round(remains * width)
    edge = (width - side) // 2
    seen = inside[:, edge : edge + side, edge : edge + side]
    kept = 1 - ops.mean(ops.cast(seen, "float32"), axis=(1, 2, 3))[:, None]
    cut_in, theirs = ops.roll(images, 1, axis=0), ops.roll(labels, 1, axis=0)
    return ops.where(inside, cut_in, images), kept * labels + (1 - kept) * theirs

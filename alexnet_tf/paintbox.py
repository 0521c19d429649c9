"""The embedded dataset, drawn by code: ten kinds of objects at 32 px, five kinds of flowers.

Every picture puts a drawing of random pose and colours on a cluttered ground. No class has a
colour or a place of its own, so a linear model on pixels fails where a small convolutional
network succeeds. All images of a class are drawn at once with numpy. The same seed gives the
same pixels on processors of one family; from one to another numpy's float32 functions round
differently, and a few values in a million differ by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]  # one value a pixel of each image: (images, size, size)
Part = tuple[str, Callable[[Field, Field], Field]]  # ("main" | "accent" | "third", signed distance)


# --- Shapes: signed distances, negative inside --------------------------------------------------


def ellipse(x: float, y: float, a: float, b: float) -> Callable[[Field, Field], Field]:
    return lambda u, v: (np.hypot((u - x) / a, (v - y) / b) - 1) * min(a, b)


def ring(x: float, y: float, radius: float, width: float) -> Callable[[Field, Field], Field]:
    return lambda u, v: np.abs(np.hypot(u - x, v - y) - radius) - width


def polygon(*corners: tuple[float, float]) -> Callable[[Field, Field], Field]:
    """A convex polygon, its corners in order."""
    points = np.array(corners, "float32")
    edges = np.roll(points, -1, axis=0) - points
    turn = edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) * np.sign(turn)
    normals = outward / np.hypot(edges[:, 0], edges[:, 1])[:, None]

    def distance(u: Field, v: Field) -> Field:
        sides = [n[0] * (u - p[0]) + n[1] * (v - p[1]) for n, p in zip(normals, points, strict=True)]
        return functools.reduce(np.maximum, sides)

    return distance


def box(x: float, y: float, half_width: float, half_height: float) -> Callable[[Field, Field], Field]:
    return lambda u, v: np.maximum(np.abs(u - x) - half_width, np.abs(v - y) - half_height)


@dataclass(frozen=True)
class Kit:
    """Classes as lists of parts, the colours they come in (None: any), and how their pose varies.

    Pose and colours set how hard a kit is: a linear model fails, a small network learns it.
    """

    classes: dict[str, list[Part]]
    colors: Field | None = None
    grounds: Field | None = None
    turn: float = 0.15  # radians, either way
    scale: tuple[float, float] = (0.75, 1.0)  # of half the picture
    shift: float = 0.1


OBJECT_CLASSES: dict[str, list[Part]] = {
    "bird": [
        ("main", ellipse(-0.05, 0.1, 0.6, 0.38)),
        ("main", ellipse(0.5, -0.35, 0.27, 0.27)),
        ("accent", polygon((0.72, -0.45), (1.0, -0.3), (0.72, -0.2))),
        ("main", polygon((-0.95, -0.2), (-0.4, -0.1), (-0.5, 0.3))),
        ("accent", ellipse(-0.1, 0.05, 0.35, 0.17)),
        ("third", ellipse(0.57, -0.4, 0.06, 0.06)),
    ],
    "boat": [
        ("main", polygon((-0.9, 0.35), (0.9, 0.35), (0.55, 0.8), (-0.55, 0.8))),
        ("third", box(0.0, -0.3, 0.05, 0.65)),
        ("accent", polygon((0.1, -0.9), (0.7, 0.2), (0.1, 0.2))),
        ("accent", polygon((-0.1, -0.6), (-0.1, 0.2), (-0.5, 0.2))),
    ],
    "car": [
        ("main", box(0.0, 0.15, 0.9, 0.25)),
        ("main", polygon((-0.45, -0.4), (0.3, -0.4), (0.6, -0.05), (-0.65, -0.05))),
        ("accent", polygon((-0.35, -0.3), (0.2, -0.3), (0.4, -0.08), (-0.45, -0.08))),
        ("third", ellipse(-0.5, 0.42, 0.22, 0.22)),
        ("third", ellipse(0.5, 0.42, 0.22, 0.22)),
    ],
    "cat": [
        ("main", ellipse(0.0, 0.15, 0.65, 0.58)),
        ("main", polygon((-0.62, -0.85), (-0.1, -0.3), (-0.6, 0.0))),
        ("main", polygon((0.62, -0.85), (0.6, 0.0), (0.1, -0.3))),
        ("accent", ellipse(0.0, 0.38, 0.28, 0.18)),
        ("third", ellipse(-0.26, 0.02, 0.1, 0.12)),
        ("third", ellipse(0.26, 0.02, 0.1, 0.12)),
    ],
    "cup": [
        ("main", ring(0.6, 0.05, 0.3, 0.09)),
        ("main", polygon((-0.6, -0.55), (0.6, -0.55), (0.45, 0.7), (-0.45, 0.7))),
        ("accent", ellipse(0.0, -0.55, 0.6, 0.14)),
    ],
    "fish": [
        ("main", ellipse(0.15, 0.0, 0.65, 0.4)),
        ("main", polygon((-0.95, -0.45), (-0.35, 0.0), (-0.95, 0.45))),
        ("accent", polygon((0.0, -0.65), (0.35, -0.33), (-0.1, -0.33))),
        ("accent", ellipse(0.0, 0.1, 0.22, 0.1)),
        ("third", ellipse(0.5, -0.1, 0.08, 0.08)),
    ],
    "house": [
        ("main", box(0.0, 0.35, 0.62, 0.45)),
        ("accent", polygon((0.0, -0.85), (0.85, -0.1), (-0.85, -0.1))),
        ("third", box(0.0, 0.5, 0.15, 0.3)),
        ("accent", box(-0.38, 0.25, 0.12, 0.12)),
    ],
    "mushroom": [
        ("accent", box(0.0, 0.4, 0.2, 0.45)),
        ("main", lambda u, v: np.maximum(ellipse(0.0, 0.05, 0.85, 0.8)(u, v), v - 0.1)),
        ("accent", ellipse(-0.35, -0.2, 0.15, 0.13)),
        ("accent", ellipse(0.25, -0.35, 0.17, 0.14)),
    ],
    "plane": [
        ("main", ellipse(0.0, 0.0, 0.95, 0.17)),
        ("accent", polygon((0.2, -0.1), (-0.35, -0.85), (-0.2, -0.1))),
        ("accent", polygon((0.2, 0.1), (-0.2, 0.1), (-0.35, 0.85))),
        ("main", polygon((-0.6, 0.0), (-0.95, -0.4), (-0.85, 0.0))),
        ("main", polygon((-0.6, 0.0), (-0.85, 0.0), (-0.95, 0.4))),
        ("third", ellipse(0.6, 0.0, 0.12, 0.08)),
    ],
    "tree": [
        ("third", box(0.0, 0.65, 0.12, 0.3)),
        ("main", polygon((0.0, -0.3), (0.75, 0.4), (-0.75, 0.4))),
        ("main", polygon((0.0, -0.95), (0.55, -0.1), (-0.55, -0.1))),
        ("accent", ellipse(0.1, 0.1, 0.1, 0.1)),
    ],
}


def petals(count: int, inner: float, outer: float, sharp: float = 1.0) -> Callable[[Field, Field], Field]:
    """A corolla: the radius swings `count` times between `inner` and `outer`."""

    def distance(u: Field, v: Field) -> Field:
        swing = np.abs(np.cos(count / 2 * np.arctan2(v, u))) ** sharp
        return (np.float32(0.7) * (np.hypot(u, v) - inner - (outer - inner) * swing)).astype("float32")

    return distance


def spiral(turns: float, radius: float, width: float) -> Callable[[Field, Field], Field]:
    """A line that winds out from the centre."""

    def distance(u: Field, v: Field) -> Field:
        r = np.hypot(u, v)
        phase = (turns * r / radius - np.arctan2(v, u) / (2 * np.pi)) % 1.0
        return np.maximum(np.abs(phase - 0.5) * np.float32(radius / turns) - width, r - radius).astype("float32")

    return distance


FLOWER_CLASSES: dict[str, list[Part]] = {
    "daisy": [("main", petals(13, 0.25, 0.9, 0.6)), ("accent", ellipse(0, 0, 0.24, 0.24))],
    "dandelion": [
        ("main", petals(46, 0.62, 0.85)),
        ("accent", spiral(4.0, 0.6, 0.02)),
        ("main", ellipse(0, 0, 0.16, 0.16)),
    ],
    "rose": [
        ("main", petals(5, 0.68, 0.82, 0.5)),
        ("third", spiral(2.5, 0.72, 0.035)),
        ("accent", ellipse(0, 0, 0.12, 0.12)),
    ],
    "sunflower": [
        ("main", petals(22, 0.5, 0.95)),
        ("third", ellipse(0, 0, 0.5, 0.5)),
        ("accent", ring(0, 0, 0.3, 0.03)),
    ],
    "tulip": [
        ("third", box(0.0, 0.7, 0.05, 0.35)),
        ("main", ellipse(0.0, 0.05, 0.48, 0.5)),
        ("main", polygon((-0.48, -0.7), (-0.1, -0.05), (-0.47, 0.1))),
        ("main", polygon((0.48, -0.7), (0.47, 0.1), (0.1, -0.05))),
        ("accent", polygon((0.0, -0.75), (0.22, 0.0), (-0.22, 0.0))),
    ],
}


PETAL_COLORS = np.array(
    [
        [1, 1, 0.95],
        [1, 0.85, 0.1],
        [0.95, 0.5, 0.1],
        [0.85, 0.1, 0.15],
        [0.95, 0.55, 0.7],
        [0.5, 0.2, 0.6],
        [0.35, 0.2, 0.1],
    ],
    "float32",
)
GROUND_COLORS = np.array(
    [[0.1, 0.3, 0.1], [0.25, 0.45, 0.15], [0.4, 0.5, 0.3], [0.3, 0.25, 0.15], [0.45, 0.6, 0.75]], "float32"
)

OBJECTS = Kit(OBJECT_CLASSES)
FLOWERS = Kit(FLOWER_CLASSES, PETAL_COLORS, GROUND_COLORS, scale=(0.65, 0.95), shift=0.15)


# --- Painting -----------------------------------------------------------------------------------


def _over(canvas: Field, distance: Field, color: Field, pixel: float) -> None:
    """Lay one colour an image over the canvas where the shape is, with soft edges."""
    cover = np.clip(0.5 - distance / pixel, 0.0, 1.0)[..., None]
    canvas += cover * (color[:, None, None, :] - canvas)


def _pick(rng: np.random.Generator, palette: Field | None, shape: tuple[int, ...]) -> Field:
    """Colours: any, or near one of a palette."""
    if palette is None:
        return rng.random((*shape, 3), dtype="float32")
    near = rng.normal(0, 0.06, (*shape, 3)).astype("float32")
    return np.clip(palette[rng.integers(len(palette), size=shape)] + near, 0, 1)


def _ground(rng: np.random.Generator, palette: Field | None, count: int, x: Field, y: Field) -> Field:
    """A tilted colour gradient with a stray disc or bar on it."""
    slope = rng.normal(size=(2, count, 1, 1)).astype("float32")
    blend = 1 / (1 + np.exp(-2 * (slope[0] * x + slope[1] * y)))[..., None]
    first, second = _pick(rng, palette, (2, count))[:, :, None, None, :]
    canvas = first + blend * (second - first)
    cx, cy = rng.uniform(-1.1, 1.1, (2, count, 1, 1)).astype("float32")
    a, b = rng.uniform(0.08, 0.4, (2, count, 1, 1)).astype("float32")
    square = rng.random((count, 1, 1)) < 0.5
    bar = np.maximum(np.abs(x - cx) - a, np.abs(y - cy) - b)
    disc = (np.hypot((x - cx) / a, (y - cy) / b) - 1) * np.minimum(a, b)
    _over(canvas, np.where(square, bar, disc), _pick(rng, palette, (count,)), 2 / x.shape[-1])
    return canvas


def _colors(rng: np.random.Generator, palette: Field | None, ground: Field) -> dict[str, Field]:
    """Colours of a drawing: unlike each other and unlike the middle of the ground."""
    behind = ground.mean(axis=(1, 2))

    def unlike(*others: Field) -> Field:
        drawn = _pick(rng, palette, (6, len(behind)))
        gap = np.min([np.linalg.norm(drawn - other, axis=-1) for other in others], axis=0)
        return drawn[gap.argmax(axis=0), np.arange(len(behind))]

    main = unlike(behind)
    accent = unlike(main, behind)
    return {"main": main, "accent": accent, "third": unlike(main, accent)}


def _paint(kit: Kit, name: str, count: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """`count` pictures of one class."""
    axis = ((np.arange(size) + 0.5) / size * 2 - 1).astype("float32")
    x, y = np.broadcast_to(axis, (count, size, size)), np.broadcast_to(axis[:, None], (count, size, size))
    canvas = _ground(rng, kit.grounds, count, x, y)
    colors = _colors(rng, kit.colors, canvas)
    turn = rng.uniform(-kit.turn, kit.turn, (count, 1, 1)).astype("float32")
    scale = rng.uniform(*kit.scale, (2, count, 1, 1)).astype("float32")
    scale[1] = scale[0] * rng.uniform(0.8, 1.25, (count, 1, 1))
    shift = rng.uniform(-kit.shift, kit.shift, (2, count, 1, 1)).astype("float32")
    mirror = np.where(rng.random((count, 1, 1)) < 0.5, -1, 1).astype("float32")
    dx, dy = x - shift[0], y - shift[1]
    u = mirror * (np.cos(turn) * dx + np.sin(turn) * dy) / scale[0]
    v = (np.cos(turn) * dy - np.sin(turn) * dx) / scale[1]
    for role, distance in kit.classes[name]:
        _over(canvas, distance(u, v) * scale.min(axis=0), colors[role], 2 / size)
    light = rng.uniform(0.75, 1.1, (count, 1, 1, 1)).astype("float32")
    noise = np.float32(0.03) * rng.standard_normal(canvas.shape, dtype="float32")
    return np.clip((canvas * light + noise) * 255, 0, 255).astype("uint8")


def draw(kit: Kit, count: int, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`count` labelled pictures in balanced, shuffled classes.

    >>> images, labels = draw(OBJECTS, count=20, size=32, seed=0)
    >>> images.shape, labels.shape
    ((20, 32, 32, 3), (20,))
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(kit.classes))
    images = np.empty((count, size, size, 3), "uint8")
    block = max(1, 2_000_000 // size**2)  # bounds the memory of one block
    for label, name in enumerate(kit.classes):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), block):
            chosen = members[start : start + block]
            images[chosen] = _paint(kit, name, len(chosen), size, rng)
    return images, labels

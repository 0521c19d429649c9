"""Arrays in, Figure out: one style, colour-blind-safe, direct labels, sources as reference marks."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from alexnet_tf.plots.curves import against_time, curves, growth, lines
from alexnet_tf.plots.effects import effects, pairs, scorecard
from alexnet_tf.plots.grid import knobs, worth
from alexnet_tf.plots.images import diagram, heat, images
from alexnet_tf.plots.matrices import beside, confusion, shares
from alexnet_tf.plots.points import plane, reliability, thresholds, trials
from alexnet_tf.plots.speed import Roof, powers, rates, roofline

__all__ = [
    "Figure",
    "Roof",
    "against_time",
    "beside",
    "confusion",
    "curves",
    "diagram",
    "effects",
    "growth",
    "heat",
    "images",
    "knobs",
    "lines",
    "pairs",
    "plane",
    "plt",
    "powers",
    "rates",
    "reliability",
    "roofline",
    "scorecard",
    "shares",
    "thresholds",
    "trials",
    "worth",
]

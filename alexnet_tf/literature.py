"""What others report of the knobs that our grid turns: data, no computation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A published figure about one knob, turned as our variant turns it; networks and data are theirs."""

    who: str
    where: str
    gain: float  # of accuracy, the variant against what it replaces


# By variant of the grid: single figures without an interval. Only what was read in its source stands here.
FINDINGS = {
    "plain-pooling": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet", -0.004),
    "pca": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet", 0.01),
    "without-conv2": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
    "without-conv3": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
    "without-conv4": Finding("Krizhevsky et al., 2012", "AlexNet on ImageNet, a middle convolution", -0.02),
}

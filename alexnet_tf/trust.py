"""How far to believe a network: calibration, abstaining, strangers. From logits and labels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from alexnet_tf.evaluation import LEVEL, Interval

Logits = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Reliability:
    """In each bin of confidence: how sure the network was, how often it was right, how many images."""

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap between sure and right, weighted by images."""
        return float((np.abs(self.confidence - self.accuracy) * self.count).sum() / self.count.sum())


def _sure_and_right(
    logits: Logits, labels: Labels, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    belief = special.softmax(np.asarray(logits, "float64") / temperature, axis=1)
    return belief.max(axis=1), belief.argmax(axis=1) == labels


def reliability(logits: Logits, labels: Labels, temperature: float = 1.0, bins: int = 15) -> Reliability:
    """The reliability diagram's numbers, over bins of equal width; empty bins are left out."""
    sure, right = _sure_and_right(logits, labels, temperature)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    kept = count > 0
    means = [np.bincount(place, weights=values, minlength=bins)[kept] / count[kept] for values in (sure, right)]
    return Reliability(means[0], means[1], count[kept])


def calibration_gain(logits: Logits, labels: Labels, temperature: float, draws: int = 200) -> Interval:
    """How much a temperature lowers the calibration error, with its bootstrap interval paired over images.

    The error itself has no honest interval: with finite bins it is biased upwards and never comes out as zero.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        chosen = rng.integers(0, len(labels), len(labels))
        part = logits[chosen], labels[chosen]
        found.append(reliability(*part).error - reliability(*part, temperature).error)
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    gain = reliability(logits, labels).error - reliability(logits, labels, temperature).error
    return Interval(gain, float(low), float(high), 1)


def fitted_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature whose softmax makes the labels most likely (Guo et al., 2017): fit it on validation images."""
    exact = np.asarray(logits, "float64")

    def loss(log_temperature: float) -> float:
        return -float(special.log_softmax(exact / np.exp(log_temperature), axis=1)[range(len(labels)), labels].mean())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-3, 4), method="bounded").x))


def selective(logits: Logits, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(coverage, accuracy): how often it is right on the share of images that it is surest about."""
    sure, right = _sure_and_right(logits, labels, 1.0)
    order = np.argsort(-sure, kind="stable")
    answered = np.arange(1, len(labels) + 1)
    return answered / len(labels), np.cumsum(right[order]) / answered


SCORES = ("confidence", "largest logit", "energy")


def familiarity(logits: Logits, score: str) -> NDArray[np.float64]:
    """How familiar each image looks: the highest probability, the highest logit, or the log of the sum of exponents."""
    exact = np.asarray(logits, "float64")
    if score == "confidence":
        return special.softmax(exact, axis=1).max(axis=1)
    return exact.max(axis=1) if score == "largest logit" else special.logsumexp(exact, axis=1)


def told_apart(known: NDArray[np.floating], strange: NDArray[np.floating]) -> float:
    """The area under the ROC curve: how often a known image looks more familiar than a strange one."""
    from sklearn.metrics import roc_auc_score

    truth = np.r_[np.ones(len(known)), np.zeros(len(strange))]
    return float(roc_auc_score(truth, np.r_[known, strange]))


def by_class(logits: Logits, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each class against all others: the area under its ROC curve and its average precision."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    belief = special.softmax(np.asarray(logits, "float64"), axis=1)
    one_hot = np.eye(belief.shape[1])[labels]
    return roc_auc_score(one_hot, belief, average=None), average_precision_score(one_hot, belief, average=None)

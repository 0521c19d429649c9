"""How far to believe a network: calibration, abstaining, strangers. From logits and labels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from alexnet_tf.evaluation import gain_interval
from alexnet_tf.intervals import LEVEL, Interval

Logits = NDArray[np.floating]
Labels = NDArray[np.integer]
BINS = 15  # of confidence, as in Guo et al.


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


def reliability(logits: Logits, labels: Labels, temperature: float = 1.0, bins: int = BINS) -> Reliability:
    """The reliability diagram's numbers, over bins of equal width; empty bins are left out."""
    sure, right = _sure_and_right(logits, labels, temperature)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    kept = count > 0
    means = [np.bincount(place, weights=values, minlength=bins)[kept] / count[kept] for values in (sure, right)]
    return Reliability(means[0], means[1], count[kept])


def calibration_error(
    logits: Logits, labels: Labels, temperature: float = 1.0, draws: int = 200
) -> tuple[Interval, float]:
    """The expected calibration error with its interval, and what luck alone makes of it.

    With finite bins the error is biased upwards, and more so in every resample: the interval is the *basic*
    bootstrap's, which turns most of that bias around, and is approximate. The second number is the error below which
    95 of 100 networks stay that are as sure and are right exactly as often as they say.
    """
    rng, sure, right = np.random.default_rng(0), *_sure_and_right(logits, labels, temperature)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)

    def gap(chosen: NDArray[np.integer] | slice, right: NDArray[np.bool_]) -> float:
        gaps = np.bincount(place[chosen], weights=(sure - right)[chosen], minlength=BINS)
        return float(np.abs(gaps).sum() / len(sure))

    error = gap(slice(None), right)
    resampled = [gap(rng.integers(0, len(sure), len(sure)), right) for _ in range(draws)]
    high, low = 2 * error - np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    by_luck = [gap(slice(None), rng.random(len(sure)) < sure) for _ in range(draws)]
    return Interval(error, max(float(low), 0.0), float(high), 1), float(np.quantile(by_luck, LEVEL))


def _surprise(logits: Logits, labels: Labels, temperature: float) -> NDArray[np.float64]:
    """How unlikely each image's label is by the softmax at a temperature: its negative logarithm."""
    exact = np.asarray(logits, "float64") / temperature
    return -special.log_softmax(exact, axis=1)[range(len(labels)), labels]


def calibration_gain(logits: Logits, labels: Labels, temperature: float) -> Interval:
    """How much likelier a temperature makes the labels, in nats an image, paired by image.

    That is what it is fitted for. Of a difference of calibration errors in bins no interval can be had by resampling:
    each resample adds bias again, most of it where a network is calibrated already.
    """
    return gain_interval(_surprise(logits, labels, 1.0) - _surprise(logits, labels, temperature))


def fitted_temperature(logits: Logits, labels: Labels) -> float:
    """The temperature whose softmax makes the labels most likely (Guo et al., 2017): fit it on validation images."""

    def loss(log_temperature: float) -> float:
        return float(_surprise(logits, labels, np.exp(log_temperature)).mean())

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


def told_apart(known: NDArray[np.floating], strange: NDArray[np.floating]) -> Interval:
    """The area under the ROC curve: how often a known image looks more familiar than a strange one.

    With the interval of DeLong et al. (1988), from how the images of either kind differ in that share.
    """

    def below(scores: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
        ordered = np.sort(others)
        return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / 2 / len(others)

    known_above, strange_below = below(known, strange), 1 - below(strange, known)
    area = float(known_above.mean())
    squared = sum(shares.var(ddof=1) / len(shares) for shares in (known_above, strange_below) if len(shares) > 1)
    reach = float(stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(squared))
    return Interval(area, max(area - reach, 0.0), min(area + reach, 1.0), 1)


@dataclass(frozen=True)
class Against:
    """One class against all others, at every threshold: its ROC curve and its precision against recall."""

    false_alarms: NDArray[np.float64]
    found: NDArray[np.float64]
    area: float
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average_precision: float


def by_class(logits: Logits, labels: Labels) -> list[Against]:
    """Each class against all others."""
    from sklearn import metrics

    belief = special.softmax(np.asarray(logits, "float64"), axis=1)
    rows = []
    for place, own in enumerate(belief.T):
        truth = labels == place
        false_alarms, found, _ = metrics.roc_curve(truth, own)
        precision, recall, _ = metrics.precision_recall_curve(truth, own)
        area, average = metrics.roc_auc_score(truth, own), metrics.average_precision_score(truth, own)
        rows.append(Against(false_alarms, found, float(area), recall, precision, float(average)))
    return rows

"""From labels and logits to figures: accuracy, reports, confusion, intervals, paired differences.

Every figure comes from one pair, labels and predictions; nothing here touches a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from alexnet_tf import luck
from alexnet_tf.errors import LabError
from alexnet_tf.intervals import LEVEL, Interval, chance, distance
from alexnet_tf.luck import Luck

if TYPE_CHECKING:
    from alexnet_tf.runs import Run


def probabilities(logits: NDArray[np.floating], loss: str = "crossentropy") -> NDArray[np.float64]:
    """What the network believes: softmax, or one sigmoid a class after binary cross-entropy."""
    exact = np.asarray(logits, "float64")
    return special.expit(exact) if loss == "bce" else special.softmax(exact, axis=1)


def accuracy(labels: NDArray[np.integer], logits: NDArray[np.floating]) -> float:
    """The share of examples whose highest logit is their label's.

    >>> accuracy(np.array([0, 1]), np.array([[2.0, 1.0], [3.0, 0.0]]))
    0.5
    """
    return float((np.argmax(logits, axis=1) == labels).mean())


def ranks(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """How many classes stand before each example's own; of equal ones the first, as in argmax. Top five is below 5.

    Scores that are no numbers are below all others.

    >>> ranks(np.array([0, 1, 1]), np.array([[2.0, 1.0], [3.0, 3.0], [np.nan, np.nan]]))
    array([0, 1, 1])
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    return ((scores > own) | ((scores == own) & earlier)).sum(axis=1)


def top(count: int, found: NDArray[np.integer]) -> Interval:
    """The share of examples whose own class is among the first `count`, from their `ranks`."""
    return binomial_interval(int((found < count).sum()), len(found))


def confusion(labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Counts, a row a true class and a column a predicted one."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(labels, predicted, labels=np.arange(classes))


def report(labels: NDArray[np.integer], predicted: NDArray[np.integer], class_names: Sequence[str]) -> str:
    """Precision, recall and F1 of each class, as scikit-learn prints them."""
    from sklearn.metrics import classification_report

    return classification_report(
        labels, predicted, labels=np.arange(len(class_names)), target_names=list(class_names), zero_division=0
    )


def by_class(right: int, of: int = 1000) -> str:
    """A class's accuracy in source D's form, whole percents cut and not rounded.

    >>> by_class(619)
    '61% (619/1000)'
    """
    return f"{100 * right // of}% ({right}/{of})"


def scores(matrix: NDArray[np.integer]) -> NDArray[np.float64]:
    """Precision, recall and F1 of each class, a row each, from a confusion matrix alone."""
    from sklearn.metrics import precision_recall_fscore_support

    places = np.arange(len(matrix))
    labels, answers = np.repeat(places, matrix.sum(axis=1)), np.repeat(np.tile(places, len(matrix)), np.ravel(matrix))
    found = precision_recall_fscore_support(labels, answers, labels=places, zero_division=0)
    return np.array(found[:3]).T


def binomial_interval(correct: int, total: int) -> Interval:
    """An accuracy with Wilson's interval: what the size of the test set leaves open."""
    found = stats.binomtest(correct, total).proportion_ci(LEVEL, method="wilson")
    return Interval(correct / total, float(found.low), float(found.high), 1)


def mean_interval(values: Sequence[float]) -> Interval:
    """A mean over at least two seeds with Student's interval."""
    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs at least two values; received {len(values)}")
    mean, error = float(np.mean(values)), float(stats.sem(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return Interval(mean, mean - half, mean + half, len(values))


def accuracy_of(run: Run) -> float:
    """The test accuracy of a run, or a sentence: one that rebuilds images names no class."""
    rate = run.record["metrics"]["test_accuracy"]
    if rate is None:
        raise LabError(f"{run} rebuilds images: it has no accuracy.")
    return rate


def accuracy_interval(runs: Sequence[Run], best: bool = False) -> Interval:
    """The test accuracy of runs that differ in seed: Student's with several, Wilson's with one.

    `best` takes the best epoch of the test curve, as some sources report it, in place of the
    weights kept.
    """
    rates = [accuracy_of(run) for run in runs]
    if best:
        unwatched = [str(run) for run in runs if not all("val_accuracy" in row for row in run.history)]
        if unwatched:
            raise LabError(f"{unwatched[0]} looked at no test image before its end: it has no best epoch.")
        rates = [max(row["val_accuracy"] for row in run.history) for run in runs]
    if len(rates) > 1:
        return mean_interval(rates)
    total = runs[0].record["images"]["test"]
    return binomial_interval(round(rates[0] * total), total)


def correct(run: Run) -> NDArray[np.bool_]:
    """Which test images a run gets right, in the order of its ids."""
    outputs = run.outputs
    if "test_rebuilt" in outputs:
        accuracy_of(run)
    if "test_right" in outputs:
        return np.unpackbits(outputs["test_right"], count=run.record["images"]["test"]).astype(bool)
    return np.argmax(outputs["test_logits"], axis=1) == outputs["test_labels"]


def _same_images(one: Run, other: Run) -> bool:
    """Whether two runs were tested on the same images in the same order; ids alone may be those of other data."""
    kept = ("test_ids", "test_labels")
    if all(name in run.outputs for run in (one, other) for name in kept):
        return all(np.array_equal(one.outputs[name], other.outputs[name]) for name in kept)
    data = [(run.record["provenance"]["dataset_fingerprint"], run.record["images"]["test"]) for run in (one, other)]
    return data[0] == data[1]


def _refuse_others(one: Run, other: Run) -> None:
    if not _same_images(one, other):
        raise LabError(f"{one} and {other} were tested on different images: train one anew.")


def gain_interval(gain: NDArray[np.floating]) -> Interval:
    """What was gained image by image, on average, with its interval: paired over the test images."""
    mean, half = float(gain.mean()), _of_images([gain])
    return Interval(mean, mean - half, mean + half, 1)


def luck_of(groups: Sequence[Sequence[Run]]) -> Luck | None:
    """By how much luck moves a training of any of several recipes, told by those that have enough of them.

    That is as many trainings as tell most: where a few recipes have three and all have two, all tell by two.
    """
    numbers = sorted({len(group) for group in groups})
    told = [(number - 1) * (sum(len(group) >= number for group in groups) - 1) for number in numbers]
    if not any(told):
        return None
    enough = numbers[int(np.argmax(told))]
    by_seed = [{run.record["seed"]: run for run in group} for group in groups if len(group) >= enough]
    shared = sorted(set.intersection(*map(set, by_seed)))
    if len(shared) < 2:
        return None
    rates = np.array([[accuracy_of(found[seed]) for seed in shared] for found in by_seed])
    return luck.left_over(rates, np.array([[correct(found[seed]) for seed in shared] for found in by_seed], float))


def contrast(terms: Sequence[tuple[Sequence[Run], float]], of_all: Luck | None = None) -> Interval:
    """A weighted sum of recipes' accuracies, paired over their shared seeds; with one seed, over test images.

    ``[(a, 1), (b, -1)]`` is a difference; four terms of ± 1 are an interaction. An interval over seeds knows the luck
    of trainings, or the one that more trainings than these have told, and that of having these test images. With
    the luck that others have told, one seed has such an interval, too.
    """
    by_seed = [({run.record["seed"]: run for run in group}, weight) for group, weight in terms]
    shared = sorted(set.intersection(*(set(group) for group, _ in by_seed)))
    if not shared:
        raise ValueError("the recipes share no seed")
    gains = []
    for seed in shared:
        chosen = [(group[seed], weight) for group, weight in by_seed]
        for run, _ in chosen[1:]:
            _refuse_others(chosen[0][0], run)
        gains.append(np.sum([weight * correct(run) for run, weight in chosen], axis=0))
    if not of_all:
        return _with_tested(gains)
    weights = [weight for _, weight in terms]
    half = float(stats.t.ppf((1 + LEVEL) / 2, of_all.freedom)) * of_all.error(weights, len(gains))
    return _with_tested(gains, half, of_all.wavering * sum(weight**2 for weight in weights))


def _with_tested(
    gains: Sequence[NDArray[np.floating]], half: float | None = None, wavering: float | None = None
) -> Interval:
    """What trainings gained image by image, with their luck and that of having these test images, the same for all.

    Of trainings `half` is half the interval, or what these alone tell.
    """
    if len(gains) == 1 and half is None:
        return gain_interval(gains[0])
    mean, tested = float(np.mean(gains)), _of_images(gains, wavering)
    if half is None:
        found = mean_interval([float(gain.mean()) for gain in gains])
        half = found.high - found.mean
    half = math.hypot(half, tested)
    return Interval(mean, mean - half, mean + half, len(gains), tested)


def _of_images(gains: Sequence[NDArray[np.floating]], wavering: float | None = None) -> float:
    """Half the interval that the luck of having these images gives to the mean of some trainings' gains.

    By how much trainings differ on an image is taken out: that is in what the seeds tell (crossed random effects).
    Of a single training it is `wavering`, or stays in.
    """
    each = np.array(gains, float)
    if each.shape[1] < 2:
        return 1.0  # a single image leaves everything open
    spread = each.mean(axis=0).var(ddof=1)
    if len(each) > 1:
        wavering = each.var(axis=0, ddof=1).mean() / len(each)
    spread = max(spread - (wavering or 0.0), 0.0)
    return float(stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt(spread / each.shape[1]))


def paired_difference(ours: Sequence[Run], theirs: Sequence[Run], of_all: Luck | None = None) -> Interval:
    """Accuracy of one recipe minus another's, paired."""
    return contrast([(ours, 1.0), (theirs, -1.0)], of_all)


def few_paired(ours: Run, theirs: Run) -> Interval:
    """The difference of two trainings on few test images, where a mean's usual interval is too sure of itself.

    Bonett and Price's (2012): to the images that one alone gets right, an image is added on either side. The mean
    stays as it was counted.
    """
    gain = correct(ours).astype(float) - correct(theirs)
    count = len(gain) + 2
    ahead, behind = ((gain == side).sum() + 1 for side in (1, -1))
    middle = (ahead - behind) / count
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * ((ahead + behind) / count - middle**2) ** 0.5 / count**0.5
    return Interval(float(gain.mean()), float(middle - half), float(middle + half), 1)


def averaging_gain(runs: Sequence[Run], looks: str = "ten_crops") -> Interval | None:
    """What several looks at an image are worth against one, paired by image; None unless it was measured of a run."""
    measured = [(run, run.measurement(looks)) for run in runs]
    gains = [(kept[looks] == 0).astype("float64") - correct(run) for run, kept in measured if kept]
    return _with_tested(gains) if gains else None


def difference_p(ours: Sequence[Run], theirs: Sequence[Run]) -> float:
    """How likely so large a difference would be between equals: by its interval over seeds; McNemar's test with one.

    McNemar's speaks of two trained networks, not of two recipes: another seed of the same recipe differs, too.
    """
    by_seed = {run.record["seed"]: run for run in theirs}
    pairs = [(correct(run), correct(by_seed[run.record["seed"]])) for run in ours if run.record["seed"] in by_seed]
    if len(pairs) > 1:
        return chance(paired_difference(ours, theirs), len(pairs) - 1)
    from statsmodels.stats.contingency_tables import mcnemar

    one, other = pairs[0]
    table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), (~one & ~other).sum()]]
    return float(mcnemar(table, exact=True).pvalue)


def holm(p_values: Sequence[float], among: int | None = None) -> list[float]:
    """Each p-value raised for there being several: below 0.05 a difference stands among all that were tried.

    `among` counts those, too, that are meant to be tried and are not there yet.

    >>> holm([0.01, 0.04]), holm([0.01, 0.04], among=10)
    ([0.02, 0.04], [0.1, 0.36])
    """
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    lacking = [1.0] * ((among or 0) - len(p_values))
    return [float(p) for p in multipletests([*p_values, *lacking], method="holm")[1][: len(p_values)]]


def against_one(
    groups: Sequence[Sequence[Run]], base: Sequence[Run], of_all: Luck | None = None, among: int | None = None
) -> list[float]:
    """How likely each recipe's distance from one base would be if all were equals, corrected for their number.

    Dunnett's comparison: it pools the luck of all recipes, taken to be alike, and knows that all are compared with the
    same few trainings. Where all have a single seed there is no such spread: McNemar's test and Holm's correction then,
    which speak of the networks trained and not of their recipes. `among` counts those, too, that are not there yet.
    """
    if of_all := of_all or luck_of([base, *groups]):
        gaps = [paired_difference(group, base, of_all) for group in groups]
        return luck.dunnett([distance(gap, of_all.freedom) for gap in gaps], of_all.freedom, among)
    return holm([difference_p(group, base) for group in groups], among)


def beside(groups: Sequence[Sequence[Run]], base: Sequence[Run], tables: int = 1) -> list[tuple[Interval, str]]:
    """Each recipe's difference from one base, and whether it helps or hurts among so many tables like this one.

    The luck of a training is that of all recipes of the table together.
    """
    pooled = luck_of([base, *groups])
    found = []
    for group, p in zip(groups, against_one(groups, base, pooled), strict=True):
        gain = paired_difference(group, base, pooled)
        clear = gain.side if tables * p < 0.05 else 0
        found.append((gain, {1: "helps", -1: "hurts"}.get(clear, "can't be told")))
    return found


def overfitting(ours: Sequence[Run], theirs: Sequence[Run]) -> Interval | None:
    """By how much farther one recipe's accuracy on training images lies above that on test images than another's.

    Over the seeds of which both were measured on training images; with one, over the images. None without any.
    """
    measured = [
        {run.record["seed"]: (run, kept["right"]) for run in group if (kept := run.measurement("training"))}
        for group in (ours, theirs)
    ]
    gaps = []
    for seed in sorted(measured[0].keys() & measured[1].keys()):
        (mine, known), (other, known_there) = (group[seed] for group in measured)
        _refuse_others(mine, other)
        learned = np.unpackbits(known).astype(float) - np.unpackbits(known_there)
        gaps.append((learned, correct(mine).astype(float) - correct(other)))
    if not gaps:
        return None
    by_seed = [float(known.mean() - unknown.mean()) for known, unknown in gaps]
    mean, tested = float(np.mean(by_seed)), math.hypot(*map(_of_images, zip(*gaps, strict=True)))
    half = tested if len(gaps) < 2 else math.hypot(tested, mean_interval(by_seed).high - mean)
    return Interval(mean, mean - half, mean + half, len(gaps), tested)


def epochs_to(run: Run, error: float) -> float | None:
    """After how many epochs, to a part of one, the training error is down to this; None: never."""
    errors = [1 - row["accuracy"] for row in run.history]
    for epoch, reached in enumerate(errors):
        if reached <= error:
            before = errors[epoch - 1]
            return epoch + (before - error) / (before - reached) if epoch else 1.0
    return None


def race(ours: Sequence[Run], theirs: Sequence[Run], error: float) -> Interval | None:
    """How many times as many epochs the others need to a training error, over the seeds that both have.

    Whoever never gets there counts with all the epochs it had: where the others don't, the mean is the least that it
    can be, where ours does not, the most. How far the ratios lie apart is then not known, and the interval has no ends.
    None where fewer than two seeds are shared.
    """
    slower = {run.record["seed"]: run for run in theirs}
    ratios, open_ended = [], False
    for run in ours:
        if other := slower.get(run.record["seed"]):
            mine, arrived = epochs_to(run, error), epochs_to(other, error)
            ratios.append((arrived or len(other.history)) / (mine or len(run.history)))
            open_ended = open_ended or mine is None or arrived is None
    if len(ratios) < 2:
        return None
    found = mean_interval(ratios)
    return Interval(found.mean, 0.0, math.inf, found.n) if open_ended else found


def most_confused(
    matrix: NDArray[np.integer], class_names: Sequence[str], count: int = 3
) -> list[tuple[str, str, int]]:
    """The most frequent mistakes as (true, predicted, how often)."""
    wrong = np.array(matrix)
    np.fill_diagonal(wrong, 0)
    places = np.argsort(wrong, axis=None, kind="stable")[::-1][:count]
    rows, columns = np.unravel_index(places, wrong.shape)
    return [(class_names[r], class_names[c], int(wrong[r, c])) for r, c in zip(rows, columns, strict=True)]

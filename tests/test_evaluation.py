"""Figures against numbers worked out by hand."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alexnet_tf import evaluation, luck
from alexnet_tf.errors import LabError
from alexnet_tf.intervals import Interval, seeds_to_decide
from alexnet_tf.luck import Luck

LABELS = np.array([0, 0, 1, 1, 2, 2])
LOGITS = np.eye(3)[[0, 1, 1, 1, 2, 0]] * 4.0


def test_accuracy_confusion_and_mistakes():
    assert evaluation.accuracy(LABELS, LOGITS) == pytest.approx(4 / 6)
    matrix = evaluation.confusion(LABELS, LOGITS.argmax(axis=1), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    found = evaluation.most_confused(matrix, "abc", 2)
    assert {pair[:2] for pair in found} == {("a", "b"), ("c", "a")}


def test_mean_recall_equals_accuracy_on_a_balanced_set():
    matrix = evaluation.confusion(LABELS, LOGITS.argmax(axis=1), 3)
    assert (matrix.diagonal() / matrix.sum(axis=1)).mean() == pytest.approx(evaluation.accuracy(LABELS, LOGITS))


def test_scores_come_from_the_matrix_alone():
    found = evaluation.scores(np.array([[3, 1], [2, 4]]))
    np.testing.assert_allclose(found[0], [3 / 5, 3 / 4, 2 * 3 / (5 + 4)])
    np.testing.assert_allclose(found[1], [4 / 5, 4 / 6, 2 * 4 / (5 + 6)])


def test_probabilities_by_hand():
    np.testing.assert_allclose(evaluation.probabilities(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])
    np.testing.assert_allclose(evaluation.probabilities(np.array([[0.0, np.log(3)]]), "bce"), [[0.5, 0.75]])


def test_the_report_names_a_class_without_answers():
    text = evaluation.report(LABELS, np.zeros(6, int), ["a", "b", "c"])
    assert text.count("0.00") >= 4


def test_intervals_are_the_textbooks():
    found = evaluation.binomial_interval(282, 364)  # Wilson: source A's own figure
    assert (found.low, found.high) == (pytest.approx(0.729, abs=1e-3), pytest.approx(0.815, abs=1e-3))
    seeds = evaluation.mean_interval([0.70, 0.72, 0.74])
    assert seeds.mean == pytest.approx(0.72)
    assert seeds.high - seeds.mean == pytest.approx(4.3027 * 0.02 / np.sqrt(3), rel=1e-4)
    assert str(seeds).endswith("(n = 3)")
    assert str(found).endswith("(single run)")
    with pytest.raises(ValueError, match="received 1"):
        evaluation.mean_interval([0.5])


def test_one_seed_pairs_over_images_and_several_over_seeds(make_run):
    better, worse = [True] * 80 + [False] * 20, [True] * 60 + [False] * 40
    one = evaluation.paired_difference([make_run("lab-bce", better)], [make_run("lab-base", worse)])
    gain = np.repeat([0, 1, 0], [60, 20, 20])
    assert one.mean == pytest.approx(0.2)
    assert one.high - one.mean == pytest.approx(1.96 * gain.std(ddof=1) / 10, rel=1e-3)
    many = np.arange(1000) / 10
    ours = [make_run("lab-4conv", many < right, seed=s) for s, right in enumerate([90, 60, 30])]
    theirs = [make_run("lab-3conv", many < right, seed=s) for s, right in enumerate([80, 50, 22])]
    found = evaluation.paired_difference(ours, theirs[::-1])
    assert (found.n, found.mean) == (3, pytest.approx(np.mean([0.10, 0.10, 0.08])))
    assert found.high - found.low < 0.1  # the levels spread over 0.6; the pairs do not
    with pytest.raises(ValueError, match="share no seed"):
        evaluation.paired_difference(ours[:1], theirs[1:])


def test_test_images_are_luck_too(make_run):
    """The same tenth of the images more is right with every seed: what having these images is worth is all there is."""
    for count, pair in {100: ("lab-bce", "lab-base"), 2000: ("lab-4conv", "lab-3conv")}.items():
        right = np.arange(count) < count // 2
        more = right | (np.arange(count) < count * 6 // 10)
        ours, theirs = (
            [make_run(name, answers, seed=seed) for seed in range(3)]
            for name, answers in zip(pair, (more, right), strict=True)
        )
        found = evaluation.paired_difference(ours, theirs)
        tested = 1.96 * (more & ~right).std(ddof=1) / np.sqrt(count)
        assert found.tested == pytest.approx(tested, rel=1e-3)
        assert found.high - found.mean == pytest.approx(found.tested)


@pytest.mark.parametrize("images", [0.0, 0.3])
def test_intervals_cover_the_truth_over_seeds_and_images(images):
    """Worlds whose gain is known: a part is the seed's, a part the image's, a part both's."""
    covered, tested = 0, []
    for world in range(400):
        rng = np.random.default_rng(world)
        gains = 0.02 + rng.normal(0, 0.01, (3, 1)) + rng.normal(0, images, (1, 400)) + rng.normal(0, 0.4, (3, 400))
        found = evaluation._with_tested(list(gains))
        covered += found.low < 0.02 < found.high
        tested.append(found.tested / 1.96)
    assert covered / 400 > 0.93
    assert np.median(tested) == pytest.approx(images / np.sqrt(400), abs=0.004)


def test_an_interaction_is_a_contrast_of_four(make_run):
    right = {"lab-base": 70, "lab-3conv": 72, "lab-bce": 75, "lab-best": 80}
    found = {name: [make_run(name, np.arange(100) < count)] for name, count in right.items()}
    signs = {"lab-best": 1, "lab-bce": -1, "lab-3conv": -1, "lab-base": 1}
    assert evaluation.contrast([(found[name], sign) for name, sign in signs.items()]).mean == pytest.approx(0.03)


def test_runs_on_different_images_are_not_paired(make_run):
    with pytest.raises(LabError, match="different images"):
        evaluation.paired_difference([make_run("lab-bce", [True] * 3)], [make_run("lab-base", [True] * 2)])
    ours, theirs = make_run("lab-4conv", [True] * 3), make_run("lab-3conv", [True] * 3)
    evaluation.paired_difference([ours], [theirs])
    theirs.outputs["test_labels"][0] = 1  # those of another data set, whose images have the same numbers
    with pytest.raises(LabError, match="different images"):
        evaluation.paired_difference([ours], [theirs])


def test_small_records_pair_like_whole_ones(make_run):
    right = np.arange(100) % 10 < 7
    run, other = make_run("lab-bce", right), make_run("lab-base", ~right)
    whole = evaluation.paired_difference([run], [other])
    with np.load(run.path / "outputs.npz") as arrays:
        predicted = arrays["test_logits"].argmax(axis=1).astype("uint8")
    for made, hits in (run, right), (other, ~right):
        np.savez(made.path / "outputs.npz", test_predicted=predicted, test_right=np.packbits(hits))
        made.__dict__.pop("outputs")
    np.testing.assert_array_equal(evaluation.correct(run), right)
    assert evaluation.paired_difference([run], [other]) == whole
    other.record["provenance"]["dataset_fingerprint"] = "another"
    with pytest.raises(LabError, match="different images"):
        evaluation.paired_difference([run], [other])


def test_p_values_are_the_textbooks(make_run):
    """One seed: McNemar on 3 against 12 discordant images, a binomial tail; several: Student's paired t."""
    ours = np.repeat([True, True, False, False], [60, 12, 3, 25])
    theirs = np.repeat([True, False, True, False], [60, 12, 3, 25])
    tail = sum(math.comb(15, k) for k in range(4)) / 2**15
    found = evaluation.difference_p([make_run("lab-bce", ours)], [make_run("lab-base", theirs)])
    assert found == pytest.approx(2 * tail)
    counts = {"lab-4conv": [90, 60, 30], "lab-3conv": [80, 52, 22]}
    first, second = (
        [make_run(name, np.arange(100) < right, seed=seed) for seed, right in enumerate(rights)]
        for name, rights in counts.items()
    )
    gains = np.array([0.10, 0.08, 0.08])
    t = gains.mean() / (gains.std(ddof=1) / np.sqrt(3))
    assert evaluation.difference_p(first, second[::-1]) == pytest.approx(2 * stats.t.sf(t, 2))


def test_holm_multiplies_the_smallest_by_their_number():
    assert evaluation.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def run_with_errors(make_run, recipe, errors, seed=0):
    run = make_run(recipe, [True], seed=seed)
    run.record["history"] = [{"epoch": e, "accuracy": 1 - error} for e, error in enumerate(errors, 1)]
    return run


def test_a_race_counts_parts_of_epochs_and_who_never_arrives(make_run):
    fast = [run_with_errors(make_run, "paper-relu", [0.5, 0.3, 0.2], seed) for seed in (0, 1)]
    slow = [
        run_with_errors(make_run, "paper-tanh", errors, seed) for seed, errors in enumerate([[0.4] * 10, [0.4, 0.2]])
    ]
    assert evaluation.epochs_to(fast[0], 0.25) == pytest.approx(2.5)
    assert evaluation.epochs_to(fast[0], 0.6) == 1
    assert evaluation.epochs_to(slow[0], 0.25) is None
    found = evaluation.race(fast, slow, 0.25)
    assert (found.mean, found.n) == (pytest.approx((10 / 2.5 + 1.75 / 2.5) / 2), 2)
    assert evaluation.race([fast[0], run_with_errors(make_run, "paper-relu", [0.5], 2)], slow, 0.25) is None


def test_a_race_that_ours_never_ends_is_counted_and_not_left_out(make_run):
    ours = [run_with_errors(make_run, "paper-relu", [0.5] * 10, seed) for seed in (0, 1)]
    theirs = [run_with_errors(make_run, "paper-tanh", [0.4, 0.3, 0.2], seed) for seed in (0, 1)]
    found = evaluation.race(ours, theirs, 0.25)
    assert (found.mean, found.low, found.high) == (pytest.approx(2.5 / 10), 0.0, np.inf)


def test_a_single_image_leaves_a_difference_open():
    gap = evaluation.gain_interval(np.array([1.0]))
    assert (gap.mean, gap.low, gap.high) == (1.0, 0.0, 2.0)


def test_all_against_one_pool_their_spread_and_tell_what_one_pair_alone_can_not(make_run):
    def group(name, *rights):
        return [make_run(name, np.arange(1000) < right, seed=seed) for seed, right in enumerate(rights)]

    base = group("grid-base", 700, 704, 708)
    better, same = group("grid-elu", 780, 776, 784), group("grid-gelu", 705, 700, 704)
    others = [group(f"grid-{name}", 703, 707, 701) for name in ("leaky", "tanh", "l1")]
    stands, falls, *_ = evaluation.against_one([better, same, *others], base)
    assert stands < 0.001 < 0.5 < falls
    alone = evaluation.holm([evaluation.difference_p(each, base) for each in (better, same, *others)])[0]
    assert alone > 10 * stands
    single = [each[:1] for each in (better, same)]
    assert evaluation.against_one(single, base[:1]) == evaluation.holm(
        [evaluation.difference_p(each, base[:1]) for each in single]
    )
    assert evaluation.against_one([], base) == []
    assert evaluation.against_one([better], base, among=60)[0] > evaluation.against_one([better], base)[0]
    assert evaluation.against_one(single, base[:1], among=60)[0] > evaluation.against_one(single, base[:1])[0]


def test_what_stands_in_one_table_need_not_stand_among_many(make_run):
    def group(name, *rights):
        return [make_run(name, np.arange(1000) < right, seed=seed) for seed, right in enumerate(rights)]

    base = group("grid-base", 700, 710, 708)
    groups = group("grid-elu", 728, 742, 730), group("grid-gelu", 705, 700, 712), group("grid-tanh", 560, 566, 570)
    assert [told for _, told in evaluation.beside(groups, base)] == ["helps", "can't be told", "hurts"]
    assert [told for _, told in evaluation.beside(groups, base, 60)] == ["can't be told", "can't be told", "hurts"]
    pooled = evaluation.luck_of([base, *groups])
    assert evaluation.beside(groups, base)[0][0] == evaluation.paired_difference(groups[0], base, pooled)
    assert evaluation.beside([one[:1] for one in groups], base[:1])[2][1] == "hurts"  # with one seed, by the images


def test_dunnett_is_scipys():
    rng = np.random.default_rng(1)
    groups = [rng.normal(place, 1, 3) for place in (0, 0, 2, 3)]
    apart = np.sqrt(np.mean([group.var(ddof=1) for group in groups]))
    distances = [(group.mean() - groups[0].mean()) / (apart * np.sqrt(2 / 3)) for group in groups[1:]]
    found = stats.dunnett(*groups[1:], control=groups[0], random_state=np.random.default_rng(0))
    assert luck.dunnett(distances, 8) == pytest.approx(found.pvalue, abs=0.002)
    assert luck.dunnett(distances[:1], 8, among=3) == luck.dunnett(distances, 8)[:1]


def test_luck_needs_two_recipes_and_two_seeds(make_run):
    one, other = ([make_run(name, [True, False], seed=seed) for seed in range(2)] for name in ("grid-l1", "grid-elu"))
    assert evaluation.luck_of([one]) is evaluation.luck_of([one[:1], other]) is evaluation.luck_of([]) is None
    assert evaluation.luck_of([one, other]) == Luck(0.0, 1, 0.0)
    assert evaluation.against_one([one], other) == [1.0]


def test_how_many_seeds_would_decide():
    """A spread of 0.0161 between seeds, by Student's t: the half-width must fall below the goal."""
    wide = Interval(0.01, -0.03, 0.05, 3)  # goal: leave zero, 0.01
    near = Interval(0.005, -0.035, 0.045, 3)  # goal: leave zero or fit into the margin, 0.005
    assert seeds_to_decide(wide, 0.01) == 13
    assert seeds_to_decide(near, 0.01) == 43
    none = Interval(0.0, -0.04, 0.04, 3)  # goal: fit into the margin, 0.01
    assert seeds_to_decide(none, 0.01) == 13
    assert seeds_to_decide(Interval(0.01, 0, 0.02, 1), 0.01) is None
    by_images = Interval(0.01, -0.03, 0.05, 3, tested=0.009)  # which no seed takes away
    assert seeds_to_decide(by_images, 0.01) > 43
    assert seeds_to_decide(dataclasses.replace(by_images, tested=0.011), 0.01) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_all_figures_of_one_matrix_agree(pairs):
    labels, predicted = np.array(pairs).T
    matrix = evaluation.confusion(labels, predicted, 5)
    assert matrix.sum() == len(pairs)
    assert matrix.trace() / matrix.sum() == pytest.approx(evaluation.accuracy(labels, np.eye(5)[predicted]))
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=5))
    np.testing.assert_array_equal(evaluation.confusion(predicted, labels, 5), matrix.T)
    precision, recall, f1 = evaluation.scores(matrix).T
    np.testing.assert_allclose(recall @ matrix.sum(axis=1), matrix.trace())
    np.testing.assert_allclose(precision @ matrix.sum(axis=0), matrix.trace())
    assert (f1 <= np.maximum(precision, recall) + 1e-12).all()
    mistakes = evaluation.most_confused(matrix, "abcde", 25)
    assert sum(count for *_, count in mistakes) == matrix.sum() - matrix.trace()


@given(st.integers(1, 5000), st.floats(0, 1), st.integers(2, 50))
def test_an_interval_of_counts_holds_its_mean_and_shrinks_with_the_test_set(total, share, times):
    correct = round(share * total)
    few, many = (
        evaluation.binomial_interval(correct, total),
        evaluation.binomial_interval(correct * times, total * times),
    )
    mirrored = evaluation.binomial_interval(total - correct, total)
    for found in few, many:
        assert 0 <= found.low <= found.mean + 1e-12
        assert found.mean - 1e-12 <= found.high <= 1
    assert many.high - many.low < few.high - few.low
    assert mirrored.low == pytest.approx(1 - few.high, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.floats(-1, 1))
def test_an_interval_over_seeds_holds_its_mean_moves_with_it_and_shrinks(values, shift):
    found = evaluation.mean_interval(values)
    moved = evaluation.mean_interval([value + shift for value in values])
    doubled = evaluation.mean_interval(values * 2)
    assert found.low <= found.mean <= found.high
    assert (moved.low, moved.high) == (pytest.approx(found.low + shift), pytest.approx(found.high + shift))
    assert doubled.high - doubled.low <= (found.high - found.low) * (1 + 1e-9) + 1e-12
    turned = evaluation.mean_interval(values[::-1])
    assert (turned.mean, turned.low, turned.n) == (pytest.approx(found.mean), pytest.approx(found.low), found.n)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(2, 40))
def test_a_difference_turned_around_is_its_negative_and_of_nothing_is_nothing(draw, seeds, images):
    rng = np.random.default_rng(draw)

    def some():
        return [
            SimpleNamespace(
                record={"seed": seed},
                outputs={
                    "test_ids": np.arange(images),
                    "test_labels": np.zeros(images, int),
                    "test_logits": rng.normal(size=(images, 3)),
                },
            )
            for seed in range(seeds)
        ]

    ours, theirs = some(), some()
    there, back = evaluation.paired_difference(ours, theirs), evaluation.paired_difference(theirs, ours)
    assert (there.mean, there.low, there.high) == tuple(pytest.approx(-x) for x in (back.mean, back.high, back.low))
    nothing = evaluation.paired_difference(ours, ours)
    assert (nothing.low, nothing.mean, nothing.high) == (0, 0, 0)


def test_ranks_are_places_in_a_sorted_list():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 6, (50, 9)).astype("float32"), rng.integers(0, 9, 50)
    found = evaluation.ranks(labels, scores)
    for row, label, rank in zip(scores, labels, found, strict=True):
        best_first = sorted(range(9), key=lambda place: (-row[place], place))
        assert best_first.index(label) == rank
    np.testing.assert_array_equal(found == 0, scores.argmax(axis=1) == labels)
    assert evaluation.top(9, found).mean == 1.0


def test_few_images_make_no_certain_difference(make_run):
    def paired(gained, lost, of):
        ours = np.ones(of, bool)
        theirs = ours.copy()
        theirs[:gained] = False
        ours[gained : gained + lost] = False
        sides = {"zeng-aug": ours, "int305-cnn": theirs}
        return evaluation.few_paired(*(make_run(name, right, 10 * gained + of) for name, right in sides.items()))

    assert paired(5, 0, 60).side == 0  # as the exact test says: p = 0.0625
    assert paired(6, 0, 60).side == 1  # p = 0.031
    same = paired(0, 0, 15)
    assert same.low == pytest.approx(-same.high)
    assert same.high > 0.1
    many = paired(300, 200, 10_000)
    assert many.mean == pytest.approx(0.01)
    usual = evaluation.gain_interval(np.repeat([1.0, -1.0, 0.0], [300, 200, 9500]))
    assert (many.low, many.high) == pytest.approx((usual.low, usual.high), abs=2e-4)


def test_the_first_of_a_rank_is_in_top_one():
    assert [evaluation.top(count, np.arange(10)).mean for count in (1, 5)] == [0.1, 0.5]


def test_the_best_epoch_is_each_runs_own(make_run):
    group = [make_run("cifar10-bn64", [True, False], seed=seed) for seed in range(2)]
    for run, curve in zip(group, ([0.5, 0.7, 0.6], [0.8, 0.4, 0.3]), strict=True):
        run.record["history"] = [{"val_accuracy": rate} for rate in curve]
    assert evaluation.accuracy_interval(group, best=True).mean == pytest.approx(0.75)


def test_overfitting_over_two_seeds_knows_how_far_they_lie_apart(make_run):
    ours, theirs = [], []
    for seed, known in enumerate((900, 860)):
        for group, name, rate in (ours, "grid-dropout-0", known), (theirs, "grid-base", 750):
            run = make_run(name, np.arange(1000) < 700, seed=seed)
            (run.path / "measurements").mkdir()
            right = np.packbits(np.arange(1000) < rate)
            np.savez(run.path / "measurements" / "training.npz", inputs=np.array("x"), right=right)
            group.append(run)
    found = evaluation.overfitting(ours, theirs)
    assert found.high - found.mean > 12.7 * 0.02  # Student's t with one degree of freedom, of 0.15 and 0.11
    ours[1].outputs["test_ids"] += 1
    with pytest.raises(LabError, match="tested on different images"):
        evaluation.overfitting(ours, theirs)

"""Each rule of the scorecard, at its edges, and that it is computed from what lies on disk."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from alexnet_tf import pictures, plots, recipes, runs, verdicts
from alexnet_tf.claims import CLAIMS, Claim
from alexnet_tf.intervals import Interval

LEVEL = Claim("x/accuracy", "C", "1", "scores 70 %", "lab-base", 0.70, seeds=1)
GAIN = Claim("x/gain", "C", "1", "beats the base", "lab-bce", 0.10, "difference", "lab-base", 1, seeds=1)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.72, 0.74, "exceeded"),
        (0.70, 0.74, "reproduced"),
        (0.69, 0.70, "reproduced"),
        (0.60, 0.68, "not reproduced"),
        (0.60, 0.70, "inconclusive"),
        (0.68, 0.80, "inconclusive"),
    ],
)
def test_levels(low, high, verdict):
    assert verdicts.judge_level(Interval((low + high) / 2, low, high, 3), 0.70, 0.01)[0] == verdict


@pytest.mark.parametrize(
    ("low", "high", "sign", "verdict"),
    [
        (0.001, 0.2, 1, "reproduced"),
        (0.001, 0.2, -1, "contradicted"),
        (-0.2, -0.001, -1, "reproduced"),
        (-0.2, -0.001, 1, "contradicted"),
        (-0.009, 0.009, 1, "no effect"),
        (-0.02, 0.03, 1, "inconclusive"),
    ],
)
def test_differences(low, high, sign, verdict):
    found, why = verdicts.judge_difference(Interval((low + high) / 2, low, high, 3), sign, 0.01)
    assert found == verdict
    assert ("seeds might decide" in why) == (verdict == "inconclusive")


def test_a_claim_follows_its_runs(make_run, tmp_path):
    def row(claim):
        return verdicts.scorecard(tmp_path, [claim])[0]

    assert row(LEVEL).verdict == "not run"
    assert "cifar10" in row(LEVEL).why
    base = make_run("lab-base", np.arange(1000) < 700)
    assert (row(LEVEL).measured, row(LEVEL).budget) == (0.7, "paper")
    assert row(LEVEL).verdict == "inconclusive"
    assert row(GAIN).verdict == "not run"
    make_run("lab-bce", np.arange(1000) < 800)
    assert row(GAIN).verdict == "reproduced"
    assert "lies outside" not in row(GAIN).why
    far = dataclasses.replace(GAIN, reported=0.3)
    assert "the source's +30.0 lies outside" in row(far).why
    (base.path / "record.json").unlink()
    assert row(LEVEL).verdict == row(GAIN).verdict == "not run"


def test_a_claim_is_judged_by_its_own_sign_margin_and_epoch(make_run, tmp_path):
    best = make_run("lab-base", np.arange(1000) < 700)
    make_run("lab-bce", np.arange(1000) < 800)
    best.record["history"].append({**best.record["history"][0], "epoch": 2, "val_accuracy": 0.9})
    (best.path / "record.json").write_text(json.dumps(best.record))

    def row(claim, **changes):
        return verdicts.scorecard(tmp_path, [dataclasses.replace(claim, **changes)])[0]

    assert row(GAIN, sign=-1).verdict == "contradicted"
    assert row(GAIN, recipe="lab-base", versus="lab-bce", sign=-1).verdict == "reproduced"
    found = Interval(0.02, -0.01, 0.05, 3)
    assert verdicts.decide(dataclasses.replace(GAIN, margin=0.06), found)[0] == "no effect"
    assert verdicts.decide(GAIN, found)[0] == "inconclusive"
    assert row(LEVEL, margin=0.05).verdict == "reproduced"
    assert row(LEVEL).verdict == "inconclusive"
    assert (row(LEVEL, best=True).measured, row(LEVEL).measured) == (0.9, 0.7)


def test_a_run_of_other_data_costs_its_own_row_alone(make_run, tmp_path, capsys):
    for seed in 0, 1:
        run = make_run("lab-base", np.arange(1000) < 700, seed=seed)
        run.record["provenance"]["dataset_fingerprint"] = f"data {seed}"
        (run.path / "record.json").write_text(json.dumps(run.record))
        make_run("cifar10-simple", np.arange(1000) < 700 + seed, seed=seed)
    other = dataclasses.replace(LEVEL, recipe="cifar10-simple")
    odd, well = verdicts.scorecard(tmp_path, [LEVEL, other])
    assert (odd.verdict, well.n) == ("not run", 2)
    assert "saw different data" in odd.why
    assert [result.recipe for result in verdicts.results(["lab-base", "cifar10-simple"], store=tmp_path)] == [
        "cifar10-simple"
    ]
    assert "The paper runs of lab-base saw different data" in capsys.readouterr().err
    make_run("lab-base", np.arange(1000) < 700, budget="laptop")
    (smaller,) = verdicts.scorecard(tmp_path, [LEVEL])
    assert (smaller.budget, smaller.measured) == ("laptop", 0.7)
    assert "saw different data" in smaller.why  # why it was not judged by what settles it


def test_the_committed_pictures_and_page_are_of_the_committed_runs():
    rows, reports = verdicts.scorecard(runs.store_for("paper")), runs.home() / "reports"
    with Image.open(reports / "scorecard.png") as drawn:
        assert drawn.text["Description"] == pictures.in_words(rows), "run 'make pictures'"
    page = (reports / "paper" / "08_scorecard.ipynb").read_text()
    stale = [row.claim for row in rows if row.verdict != "not run" and f"{row.claim}: {row.verdict} (" not in page]
    assert not stale, "run 'make reports BUDGET=paper ONLY=08_scorecard'"


def test_one_pair_of_trainings_is_said_to_be_one_pair(make_run, tmp_path):
    claim = dataclasses.replace(GAIN, seeds=3)
    make_run("lab-base", np.arange(1000) < 700), make_run("lab-bce", np.arange(1000) < 800)
    (row,) = verdicts.scorecard(tmp_path, [claim])
    assert row.verdict == "inconclusive"  # one pair must not say what three may not
    assert row.why.endswith("1 of 3 seeds, so of single trainings and not yet of recipes")
    assert "single run" in plots.scorecard([row]).axes[0].texts[0].get_text()


def test_the_budget_that_settles_a_claim_comes_before_a_larger_one(make_run, tmp_path):
    claim = dataclasses.replace(GAIN, budget="laptop", seeds=2)
    for seed in 0, 1:
        make_run("lab-bce", np.arange(1000) < 650 + seed, seed=seed, budget="laptop")
        make_run("lab-base", np.arange(1000) < 700, seed=seed, budget="laptop")
    make_run("lab-bce", np.arange(1000) < 800), make_run("lab-base", np.arange(1000) < 700)
    small, large = verdicts.scorecard(tmp_path, [claim, GAIN])
    assert (small.budget, small.n, small.verdict) == ("laptop", 2, "contradicted")
    assert (large.budget, large.n, large.verdict) == ("paper", 1, "reproduced")


def test_a_race_is_a_level_of_its_ratio_and_needs_two_seeds(make_run, tmp_path):
    claim = next(claim for claim in CLAIMS if claim.rule == "race")
    for seed in 0, 1, 2:
        for name, epochs in (claim.recipe, 4), (claim.versus, 26 + seed):
            run = make_run(name, [True], seed=seed, budget="laptop")
            history = [{"epoch": e, "accuracy": 0.5 if e < epochs else 0.75} for e in range(1, epochs + 1)]
            run.record["history"] = history
            (run.path / "record.json").write_text(json.dumps(run.record))
        if seed == 0:
            assert verdicts.scorecard(tmp_path, [claim])[0].verdict == "not run"
    row = verdicts.scorecard(tmp_path, [claim])[0]
    assert (row.measured, row.n, row.verdict) == (pytest.approx(27 / 4), 3, "reproduced")
    assert "6.0 ± 1.0" in row.why


@pytest.mark.parametrize(
    ("low", "high", "verdict", "direction"),
    [(1.4, 1.8, "not reproduced", True), (0.9, 1.8, "not reproduced", False), (5.5, 6.5, "reproduced", False)],
)
def test_a_race_won_by_less_than_claimed_is_won_all_the_same(low, high, verdict, direction):
    claim = next(claim for claim in CLAIMS if claim.rule == "race")
    found, why = verdicts.decide(claim, Interval((low + high) / 2, low, high, 3))
    assert (found, why.endswith("faster all the same")) == (verdict, direction)


def test_a_race_that_one_side_never_ends_is_not_lost(make_run, tmp_path):
    claim = next(claim for claim in CLAIMS if claim.rule == "race")
    for seed in 0, 1:
        for name, accuracy in (claim.recipe, 0.75), (claim.versus, 0.7):
            run = make_run(name, [True], seed=seed, budget="laptop")
            run.record["history"] = [{"epoch": e, "accuracy": accuracy if e == 20 else 0.5} for e in range(1, 21)]
            (run.path / "record.json").write_text(json.dumps(run.record))
    row = verdicts.scorecard(tmp_path, [claim])[0]
    assert (row.measured, row.high, row.verdict) == (1.0, None, "inconclusive")
    assert "no end" in plots.scorecard([row]).axes[0].texts[0].get_text()
    assert "Infinity" not in json.dumps(verdicts.as_rows([row]))


def test_overfitting_is_the_distance_from_training_to_test_images(make_run, tmp_path):
    claim = next(claim for claim in CLAIMS if claim.rule == "overfitting")
    for seed in range(2):
        for name, known, unknown in (claim.recipe, 900, 700 - seed), (claim.versus, 750, 710):
            run = make_run(name, np.arange(1000) < unknown, seed=seed, budget="laptop")
            (run.path / "measurements").mkdir()
            right = np.packbits(np.arange(1000) < known)
            np.savez_compressed(run.path / "measurements" / "training.npz", inputs=np.array("x"), right=right)
        row = verdicts.scorecard(tmp_path, [claim])[0]
        assert (row.n, row.verdict) == (seed + 1, "reproduced" if seed else "inconclusive")
    assert row.measured == pytest.approx(0.16 + 0.0005)
    assert row.low > 0.13


def test_ten_crops_are_judged_where_they_were_measured(make_run, tmp_path):
    claim = next(claim for claim in CLAIMS if claim.rule == "ten crops")
    for seed in range(3):
        run = make_run(claim.recipe, np.arange(1000) < 700, seed=seed, budget="laptop")
        if seed == 0:
            (row,) = verdicts.scorecard(tmp_path, [claim])
            assert row.verdict == "not run"
            assert "reports --budget laptop --only 04_paper_claims" in row.why
        (run.path / "measurements").mkdir()
        ranks = (np.arange(1000) >= 720 + seed).astype("uint8")
        np.savez_compressed(run.path / "measurements" / "ten_crops.npz", inputs=np.array("x"), ten_crops=ranks)
    row = verdicts.scorecard(tmp_path, [claim])[0]
    assert (row.measured, row.n, row.verdict) == (pytest.approx(0.021), 3, "reproduced")


@pytest.mark.parametrize(
    ("better", "stands"), [((20, 21, 22), True), ((20, -15, 5), False), ((20,), True), ((3,), False)]
)
def test_the_chance_of_a_claim_is_below_a_twentieth_where_its_interval_leaves_zero_out(make_run, better, stands):
    claim = next(claim for claim in CLAIMS if claim.rule == "ten crops")
    ours = [make_run(claim.recipe, np.arange(1000) < 700, seed=seed) for seed, _ in enumerate(better)]
    assert verdicts.chance_of(claim, ours, []) == 1  # nothing was measured
    for run, gain in zip(ours, better, strict=True):
        (run.path / "measurements").mkdir()
        ranks = (np.arange(1000) >= 700 + gain).astype("uint8")
        np.savez_compressed(run.path / "measurements" / "ten_crops.npz", inputs=np.array("x"), ten_crops=ranks)
    assert (verdicts.chance_of(claim, ours, []) < 0.05) == stands == bool(verdicts.measure(claim, ours, []).side)


def test_runs_that_share_no_seed_show_no_difference(make_run):
    ours, theirs = make_run("lab-bce", [True, False], seed=0), make_run("lab-base", [True, False], seed=1)
    assert verdicts.chance_of(GAIN, [ours], [theirs]) == 1


def test_a_line_of_a_chapter_compares_only_what_can_be_compared(make_run):
    pair = {
        "lab-bce": [make_run("lab-bce", np.arange(1000) < 800)],
        "lab-base": [make_run("lab-base", [True] * 700 + [False] * 300)],
    }
    assert verdicts.beside(GAIN, pair, "laptop").endswith("the source: +10.0")
    assert verdicts.beside(GAIN, pair, "quick").endswith("]")
    assert "not tried at quick" in verdicts.beside(GAIN, {}, "quick")


def test_what_a_claim_still_needs_counts_the_trunk_too(tmp_path):
    claim = next(claim for claim in CLAIMS if claim.name == "few-labels/turned-1-percent")
    minutes = [
        recipes.get(name).budgets["laptop"].minutes for name in ("few-turned", "few-turned-tuned-1", "few-scratch-1")
    ]
    (row,) = verdicts.scorecard(tmp_path, [claim])
    assert f"about {sum(minutes) * 3 / 60:.1f} hours" in row.why


def test_a_question_without_a_figure_gets_numbers_and_no_verdict(make_run, tmp_path):
    question = dataclasses.replace(LEVEL, reported=None)
    make_run("lab-base", np.arange(1000) < 700)
    row = verdicts.scorecard(tmp_path, [question])[0]
    assert (row.measured, row.verdict) == (0.7, "no figure")


def test_a_smaller_budget_counts_only_while_there_is_none_larger(make_run, tmp_path):
    make_run("lab-base", np.arange(1000) < 600, budget="laptop")
    assert verdicts.scorecard(tmp_path, [LEVEL])[0].budget == "laptop"
    make_run("lab-base", np.arange(1000) < 800)
    found = verdicts.scorecard(tmp_path, [LEVEL])[0]
    assert (found.budget, found.verdict) == ("paper", "exceeded")


def test_quick_overridden_honest_and_outdated_runs_do_not_count(make_run, tmp_path):
    right = np.arange(1000) < 700
    make_run("lab-base", right, budget="quick")
    make_run("lab-base", right, overrides={"epochs": 1})
    make_run("lab-base", right, protocol="honest")
    old = make_run("lab-base", right)
    text = (old.path / "record.json").read_text()
    (old.path / "record.json").write_text(
        text.replace('"learning_rate": {"value": 0.0001', '"learning_rate": {"value": 0.5')
    )
    assert runs.Run(old.path, old.scratch).outdated() == ["learning_rate was 0.5 and is now 0.0001"]
    assert verdicts.scorecard(tmp_path, [LEVEL])[0].verdict == "not run"


def test_missing_seeds_are_said(make_run, tmp_path):
    make_run("lab-base", np.arange(1000) < 700)
    claim = Claim("x/accuracy", "C", "1", "scores 70 %", "lab-base", 0.70, seeds=3)
    assert "1 of 3 seeds" in verdicts.scorecard(tmp_path, [claim])[0].why


def test_every_claim_has_a_row_with_the_contracts_keys(tmp_path):
    rows = verdicts.as_rows(verdicts.scorecard(tmp_path))
    assert [row["claim"] for row in rows] == [claim.name for claim in CLAIMS]
    assert list(rows[0]) == ["claim", "source", "reported", "measured", "low", "high", "n", "budget", "verdict", "why"]


def test_results_stand_beside_their_sources(make_run, tmp_path):
    for seed in range(3):
        make_run("cifar10-simple", np.arange(1000) < 790 + seed, seed=seed)
    make_run("cifar10-simple", np.arange(1000) < 780, protocol="honest")
    make_run("cifar10-simple", np.arange(1000) < 500, overrides={"epochs": 1})
    rows = verdicts.results(["cifar10-simple", "zeng-aug"], store=tmp_path)
    assert [(row.protocol, row.found.n, row.budget) for row in rows] == [("source", 3, "paper"), ("honest", 1, "paper")]
    assert rows[0].found.mean == pytest.approx(0.791)
    table = verdicts.results_table(rows).splitlines()
    assert len(table) == 3
    assert "79.13%" in table[1]
    assert "78.00%" in table[2]
    long = max(recipes.RECIPES, key=len)
    make_run(long, np.arange(1000) < 600)
    _, row = verdicts.results_table(verdicts.results([long], store=tmp_path)).splitlines()
    assert row.split()[:2] == [long, "paper"]


def hundredths(low, high):
    """Numbers that meet each other and their margins exactly, now and then."""
    return st.integers(low, high).map(lambda x: x / 64)


INTERVALS = st.tuples(hundredths(-64, 64), hundredths(-64, 64)).map(sorted)


@given(INTERVALS, hundredths(0, 64), hundredths(0, 16), st.integers(1, 64))
def test_levels_are_the_contracts_words_and_rise_with_the_interval(bounds, claimed, margin, step):
    def verdict(low, high):
        return verdicts.judge_level(Interval((low + high) / 2, low, high, 3), claimed, margin)[0]

    low, high = bounds
    words = {
        "exceeded": low > claimed + margin,
        "reproduced": claimed - margin <= low <= claimed + margin,
        "not reproduced": low < claimed - margin and high < claimed - margin,
        "inconclusive": low < claimed - margin <= high,
    }
    assert [word for word, holds in words.items() if holds] == [verdict(low, high)]
    order = ["not reproduced", "inconclusive", "reproduced", "exceeded"]
    assert order.index(verdict(low, high)) <= order.index(verdict(low + step / 64, high + step / 64))


@given(INTERVALS, hundredths(0, 16), st.sampled_from([1, -1]))
def test_differences_are_the_contracts_words_and_turn_with_the_claim(bounds, margin, sign):
    def verdict(sign):
        return verdicts.judge_difference(Interval(sum(bounds) / 2, *bounds, 1), sign, margin)[0]

    claimed, other = ("above", "below") if sign > 0 else ("below", "above")
    lies = {"above": bounds[0] > 0, "below": bounds[1] < 0}
    small = -margin <= bounds[0] and bounds[1] <= margin
    expected = "no effect" if small else "inconclusive"
    expected = "reproduced" if lies[claimed] else "contradicted" if lies[other] else expected
    assert verdict(sign) == expected
    assert verdict(-sign) == {"reproduced": "contradicted", "contradicted": "reproduced"}.get(expected, expected)

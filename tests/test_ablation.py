"""The grid read: effects against the base, interactions, and curves along what grows."""

import dataclasses
import json
import re

import numpy as np
import pytest
from scipy import stats

from alexnet_tf import ablation, costs, evaluation, literature, plots, recipes
from alexnet_tf.intervals import Interval
from alexnet_tf.luck import Luck
from alexnet_tf.recipes import grid
from alexnet_tf.runs import locate

HARD = np.random.default_rng(0).random(4000)  # how good a network must be to get each test image right


@pytest.fixture
def trained(make_run):
    """Make runs of some accuracy each, three seeds; `images` are told to have trained each."""

    def make(rates, images=None):
        found = {}
        for name, rate in rates.items():
            group = [make_run(name, rate + seed / 500 > HARD, seed=seed, budget="laptop") for seed in range(3)]
            for run in group:
                run.record["images"]["train"] = (images or {}).get(name, 50_000)
                (run.path / "record.json").write_text(json.dumps(run.record))
            found[name] = group
        return found

    return make


def test_effects_are_paired_sorted_and_carry_their_cost(trained, monkeypatch):
    pace = {"grid/grid-base": 500.0, "grid/grid-gelu": 1.2, "grid/grid-half-width": 0.5}
    monkeypatch.setattr(costs, "median", lambda name, file="costs": pace.get(name))
    runs = trained({"grid-base": 0.7, "grid-gelu": 0.75, "grid-half-width": 0.6})
    best, worst = ablation.effects(runs)
    assert (best.variant, best.knob, worst.variant, worst.knob) == ("gelu", "activation", "half-width", "width")
    gelu = [run.record["metrics"]["test_accuracy"] for run in runs["grid-gelu"]]
    base = [run.record["metrics"]["test_accuracy"] for run in runs["grid-base"]]
    assert best.gain.mean == pytest.approx(np.mean(gelu) - np.mean(base))
    assert best.clear
    assert worst.parameters < best.parameters
    assert worst.flop < best.flop / 1.9
    lines = ablation.table([best, worst], runs["grid-base"]).splitlines()
    assert len(lines) == 4
    assert f"{100 * best.gain.mean:+.1f}" in lines[1]
    assert f"{worst.parameters:,}" in lines[2]
    assert lines[3].startswith("base ")
    assert len({len(line) for line in lines}) == 1
    assert str(evaluation.accuracy_interval(runs["grid-base"])) in lines[3]
    assert [line[-23:-16] for line in lines[1:]] == [f"{each.flop / 1e6:7.0f}" for each in (best, worst, best)]
    assert [line[-16:-9].strip() for line in lines[1:]] == [*map(ablation.times, (best.time, worst.time)), "× 1.0"]
    of_base = 500e-6 * 50_000 * len(runs["grid-base"][0].history)
    assert (best.seconds, worst.seconds) == (pytest.approx(1.2 * of_base), pytest.approx(0.5 * of_base))
    assert [line[-9:].strip() for line in lines[1:]] == [best.lasts, worst.lasts, ablation.told(of_base)]
    monkeypatch.delitem(pace, "grid/grid-base")
    assert ablation.effects(runs)[0].lasts == "–"
    two = [dataclasses.replace(worst, p=0.0004), dataclasses.replace(worst, p=0.0006)]
    told = ablation.table(two, runs["grid-base"]).splitlines()
    assert "<0.001" in told[1]
    assert " 0.001" in told[2]


def test_what_did_not_learn_spoils_no_others_p_and_no_scale(trained):
    runs = trained({"grid-base": 0.7, "grid-gelu": 0.72, "grid-elu": 0.71, "grid-adam": 0.5})
    whole = ablation.effects(runs)
    spoilt = {**runs, "grid-adam": [*runs["grid-adam"][:2], trained({"grid-muon": 0.1})["grid-muon"][2]]}
    best, *_, worst = ablation.effects(spoilt)
    assert (worst.variant, worst.p) == ("adam", None)
    assert best.p == pytest.approx(ablation.effects({key: runs[key] for key in runs if key != "grid-adam"})[0].p)
    assert " none " in ablation.table([worst], runs["grid-base"])
    scales = [plots.worth(found, "x").axes[0].get_xlim()[0] for found in (whole, [best, worst])]
    assert scales[0] < -0.1 < scales[1]
    assert "at chance" in [text.get_text() for text in plots.worth([best, worst], "x").axes[0].texts]


@pytest.mark.parametrize("gain", [0.07, 0.078, 0.09])
def test_no_interval_is_cut_at_the_edge_of_the_scale(trained, gain):
    (one,) = ablation.effects(trained({"grid-base": 0.7, "grid-elu": 0.71}))
    gains = [*np.linspace(-0.04, 0.035, 20), -gain]
    found = [dataclasses.replace(one, gain=Interval(mean, mean - 0.007, mean + 0.007, 3)) for mean in gains]
    axes = plots.worth(found, "x").axes[0]
    drawn = [line for line in axes.lines if line.get_linewidth() == 2]
    assert all(np.abs(line.get_xdata()).max() <= axes.get_xlim()[1] for line in drawn)
    assert len(drawn) == len(found) - (gain > 0.08), "what is beyond is an arrow"


def test_what_lies_far_off_is_an_arrow_with_its_points(trained):
    names = ["base", "gelu", "elu", "leaky", "tanh", "l1", "pca", "crop", "flip", "color", "mixup", "adam"]
    runs = trained({f"grid-{name}": 0.7 + place / 500 for place, name in enumerate(names)} | {"grid-adam": 0.4})
    found = ablation.effects(runs)
    axes = plots.worth(found, "x").axes[0]
    assert axes.get_xlim()[0] > -0.2
    assert "−30" in [text.get_text() for text in axes.texts]
    lower = trained({"grid-adamw": 0.66})  # farther off than most, and yet no arrow for what lies farther still
    axes = plots.worth(ablation.effects(runs | lower), "x").axes[0]
    assert {"−30"} <= {text.get_text() for text in axes.texts}
    assert "−4" not in [text.get_text() for text in axes.texts]


def test_all_tell_together_how_large_luck_is(trained):
    """Three variants: two whose trainings happen to lie close to the base's, and one whose do not."""
    runs = trained({f"grid-{name}": 0.7 for name in ("base", "gelu", "elu", "leaky")})
    seeds = 0.01, 0.0, -0.01  # which all recipes have
    for name, apart in {"base": 0.0, "gelu": 0.0005, "elu": 0.0005, "leaky": 0.004}.items():
        for run, seed, own in zip(runs[f"grid-{name}"], seeds, (1, -2, 1), strict=True):
            run.record["metrics"]["test_accuracy"] = 0.7 + seed + apart * own
    luck = evaluation.luck_of([*runs.values()])
    rates = np.array([[evaluation.accuracy_of(run) for run in group] for group in runs.values()])
    left = rates - rates.mean(axis=0) - rates.mean(axis=1, keepdims=True) + rates.mean()
    each = np.array([[evaluation.correct(run) for run in group] for group in runs.values()], float)
    own = each - each.mean(axis=0) - each.mean(axis=1, keepdims=True) + each.mean(axis=(0, 1))
    wavering = (own**2).sum(axis=(0, 1)).mean() / 6
    assert luck == Luck(pytest.approx(np.sqrt((left**2).sum() / 6)), 6, pytest.approx(wavering))
    half = stats.t.ppf(0.975, 6) * luck.apart * np.sqrt(2 / 3)
    assert [effect.gain.high - effect.gain.mean for effect in ablation.effects(runs)] == pytest.approx([half] * 3)
    gain = ablation.difference(runs, "grid-elu", "grid-gelu")
    assert gain.mean - gain.low == pytest.approx(half)


def test_a_single_training_has_the_luck_that_the_others_have_told(trained):
    runs = trained({f"grid-{name}": 0.7 for name in ("base", "gelu", "elu", "leaky")})
    for place, group in enumerate(runs.values()):
        tell(group, 0.7 + place / 1000, 0.002 * (place + 1))
    whole = {effect.variant: effect for effect in ablation.effects(runs)}
    luck = evaluation.luck_of([*runs.values()])
    runs |= {name: group[1:2] for name, group in trained({"grid-l1": 0.75}).items()}
    found = {effect.variant: effect for effect in ablation.effects(runs)}
    first = found.pop("l1")
    assert (first.whole, first.gain.n, whole["elu"].whole) == (False, 1, True)
    assert {name: effect.gain for name, effect in found.items()} == {name: each.gain for name, each in whole.items()}
    gains = evaluation.correct(runs["grid-l1"][0]).astype(float) - evaluation.correct(runs["grid-base"][1])
    assert first.gain.mean == pytest.approx(gains.mean())
    tested = stats.norm.ppf(0.975) * np.sqrt(max(gains.var(ddof=1) - 2 * luck.wavering, 0) / len(gains))
    half = np.hypot(stats.t.ppf(0.975, luck.freedom) * luck.apart * np.sqrt(2), tested)
    assert first.gain.high - first.gain.mean == pytest.approx(half)
    assert first.p < 0.05
    rows = ablation.table([first, whole["elu"]], runs["grid-base"]).splitlines()[1:3]
    assert [row[65:69].split() for row in rows] == [["1"], ["3"]]
    axes = plots.worth([first, whole["elu"]], "x").axes[0]
    marks = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert marks[0] == "w" != marks[1]
    assert "hollow" in axes.get_xlabel()
    assert "hollow" not in plots.worth([whole["elu"]], "x").axes[0].get_xlabel()
    assert f"ours {first.gain.points} (n = 1): other sign" in ablation.beside(runs, first)[0]
    assert ablation.difference(runs, "grid-l1", "grid-elu").n == 1


def test_a_single_training_is_left_out_where_nothing_tells_its_luck(trained):
    runs = trained({"grid-base": 0.7, "grid-gelu": 0.7, "grid-lrn-a": 0.7, "grid-l1": 0.75})
    few = {name: group[: 3 if name == "grid-base" else 1] for name, group in runs.items()}
    assert ablation.effects(few) == []
    assert len(ablation.effects({name: group[:1] for name, group in runs.items()})) == 3  # by the images, all of them
    assert ablation.difference(few, "grid-l1", "grid-base") is None
    few["grid-gelu"] = runs["grid-gelu"]
    assert sorted(effect.variant for effect in ablation.effects(few)) == ["gelu", "l1", "lrn-a"]
    few["grid-l1"] = trained({"grid-bce": 0.1})["grid-bce"][:1]  # it did not learn: its luck is not the others'
    assert ablation.difference(few, "grid-l1", "grid-base") is None
    assert sorted(effect.variant for effect in ablation.effects(few)) == ["gelu", "lrn-a"]


def test_luck_is_told_by_as_many_trainings_as_tell_most(trained):
    names = [f"grid-{name}" for name in ("base", "gelu", "l1", "leaky", "elu")]
    runs = trained(dict.fromkeys(names, 0.7))
    for place, group in enumerate(runs.values()):
        tell(group, 0.7, 0.001 * (place + 1))
    groups = [group[: 3 if place < 2 else 2] for place, group in enumerate(runs.values())]
    assert evaluation.luck_of(groups) == evaluation.luck_of([group[:2] for group in runs.values()])
    assert evaluation.luck_of(groups).freedom == 4
    groups = [group[: 1 if place > 2 else 3] for place, group in enumerate(runs.values())]
    assert evaluation.luck_of(groups) == evaluation.luck_of([*runs.values()][:3])


def test_first_looks_are_those_that_lack_a_seed(trained, monkeypatch, tmp_path):
    runs = trained(dict.fromkeys([f"grid-{name}" for name in ("base", "gelu", "l1", "epochs-4", "elu", "bce")], 0.7))
    monkeypatch.setattr(ablation, "locate", lambda name, budget, seed: locate(name, budget, seed, store=tmp_path))
    assert ablation.first_looks("laptop", 3) == {}
    for name in ("gelu", "l1", "epochs-4", "elu"):
        (runs[f"grid-{name}"][1].path / "record.json").unlink()
    recipe = runs["grid-elu"][0].record
    (runs["grid-elu"][1]).keep_divergence(
        "no number", {key: recipe[key] for key in ("name", "budget", "overrides", "recipe")}
    )
    for run in runs["grid-l1"]:
        run.record["recipe"]["momentum"]["value"] = 0.5  # as an older recipe had it
    for seed in 0, 2:
        (runs["grid-l1"][seed].path / "record.json").write_text(json.dumps(runs["grid-l1"][seed].record))
    found = ablation.first_looks("laptop", 3)
    assert {name: [run.record["seed"] for run in group] for name, group in found.items()} == {
        "grid-gelu": [0],
        "grid-epochs-4": [0],
    }
    assert list(ablation.first_looks("laptop", 3, ["grid-gelu"])) == ["grid-epochs-4"]
    assert ablation.first_looks("laptop", 1) == {}


def test_a_curve_has_the_seeds_that_all_its_sizes_have(trained):
    sizes = dict(zip(grid.along("training images"), (500, 1250, 5000, 12_500, 50_000), strict=True))
    runs = trained({name: 1 - 4.0 * count**-0.3 for name, count in sizes.items()}, sizes)
    first = {name: group[:1] for name, group in runs.items()}
    mixed = {**runs, "grid-images-1250": first["grid-images-1250"]}
    for told in ablation.curve, ablation.promised, ablation.law, ablation.fit:
        assert told(mixed, "training images") == told(first, "training images") != told(runs, "training images")


def test_a_pair_that_lacks_a_seed_and_has_a_luck_of_its_own_is_not_told(trained):
    names = (
        "base",
        "no-augment",
        "epochs-32",
        "no-augment-epochs-32",
        "dropout-0",
        "batch-after",
        "batch-after-dropout-0",
    )
    runs = trained(dict.fromkeys([f"grid-{name}" for name in names], 0.7))
    assert len(ablation.interactions(runs)) == 2
    for name in "grid-epochs-32", "grid-batch-after-dropout-0":
        runs[name] = runs[name][:1]
    (pair,) = ablation.interactions(runs)
    assert (pair.one, pair.extra.n) == ("batch-after", 1)


def test_the_luck_of_two_recipes_is_that_of_their_pairs(trained):
    runs = trained({"grid-base": 0.7, "grid-l1": 0.71})
    one, other = ablation.effects(runs)[0].gain, evaluation.paired_difference(runs["grid-l1"], runs["grid-base"])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def tell(group, middle, apart):
    """Let the records of three runs tell accuracies that lie so far apart."""
    for run, away in zip(group, (-apart, 0, apart), strict=True):
        run.record["metrics"]["test_accuracy"] = middle + away


def test_what_is_unsteady_spoils_no_others_p(trained):
    runs = trained(dict.fromkeys([f"grid-{name}" for name in ("base", "gelu", "l1", "adam", "leaky", "elu")], 0.7))
    for place, group in enumerate(runs.values()):
        tell(group, 0.7 + place / 100, 0.002)
    tell(runs["grid-leaky"], 0.7, 3.5 * 0.002)
    tell(runs["grid-elu"], 0.7, 4.5 * 0.002)
    found = {effect.variant: effect for effect in ablation.effects(runs)}
    without = ablation.effects({name: group for name, group in runs.items() if name != "grid-elu"})
    assert found["elu"].p is None
    assert found["elu"].learned
    assert {each.variant: found[each.variant].p for each in without} == pytest.approx({e.variant: e.p for e in without})
    two = ablation.effects({name: group[:2] for name, group in runs.items()})
    assert all(effect.p is not None for effect in two)  # of two, who is far is luck
    tell(runs["grid-base"], 0.7, 0.1)
    assert all(effect.p is None for effect in ablation.effects(runs))


def test_an_unsteady_variant_is_drawn_whole(trained):
    runs = trained({"grid-base": 0.7, "grid-gelu": 0.71, "grid-elu": 0.9})
    for found in (ablation.effects(runs), [dataclasses.replace(each, p=None) for each in ablation.effects(runs)]):
        assert plots.worth(found, "x").axes[0].get_xlim()[1] > 0.2


def by_hand(extra, luck):
    """Of an interaction over three seeds: by the luck of all trainings, and by that of the test images."""
    half = stats.t.ppf(0.975, luck.freedom) * 2 * luck.apart / np.sqrt(3)
    error = np.hypot(half, extra.tested) / stats.t.ppf(0.975, luck.freedom)
    return 2 * stats.t.sf(abs(extra.mean) / error, luck.freedom)


def test_what_adds_up_does_not_interact(trained):
    rates = {"grid-base": 0.5, "grid-batch-after": 0.6, "grid-dropout-0": 0.55, "grid-batch-after-dropout-0": 0.65}
    runs = trained(rates)
    (found,) = ablation.interactions(runs)
    assert found.name == "batch-after and dropout-0"
    assert found.extra.mean == pytest.approx(0, abs=0.01)
    assert found.learned
    alone = by_hand(found.extra, evaluation.luck_of([*runs.values()]))
    assert found.p == pytest.approx(min(1, len(ablation._of_one_size()) * alone))
    worse = {**runs, "grid-batch-after-dropout-0": trained({"grid-gelu": 0.4})["grid-gelu"]}
    assert ablation.interactions(worse)[0].extra.mean == pytest.approx(-0.25, abs=0.02)
    chance = {**runs, "grid-dropout-0": trained({"grid-elu": 0.1})["grid-elu"]}
    assert [(each.learned, each.p) for each in ablation.interactions(chance)] == [(False, None)]


def test_pairs_are_corrected_for_their_number_and_one_pair_is_a_variant_already(trained):
    names = ["base", "dropout-0", "sgd-tuned", "dropout-0-sgd-tuned", "tanh-he", "glorot", "tanh"]
    runs = trained({f"grid-{name}": 0.5 + place / 50 for place, name in enumerate(names)})
    both = {each.name: each for each in ablation.interactions(runs)}
    assert list(both) == ["dropout-0 and sgd-tuned", "tanh-he and glorot"]
    luck = evaluation.luck_of([*runs.values()])
    lone = [by_hand(each.extra, luck) for each in both.values()]
    assert [each.p for each in both.values()] == pytest.approx(evaluation.holm(lone, len(ablation._of_one_size())))
    assert evaluation.holm(lone) != lone


def test_curves_run_from_small_to_large_and_a_promise_has_not_seen_the_end(trained):
    names, sizes = grid.along("training images"), (500, 1250, 5000, 12_500, 50_000)
    images = dict(zip(names, sizes, strict=True))
    runs = trained({name: 1 - 4.0 * count**-0.3 for name, count in images.items()}, images)
    curve = ablation.curve(runs, "training images")
    assert list(curve) == list(sizes)
    promise = ablation.promised(runs, "training images")[50_000]
    assert promise.mean == pytest.approx(curve[50_000].mean, abs=0.02)
    spoilt = {**runs, "grid-base": trained({"grid-gelu": 0.1})["grid-gelu"]}
    assert ablation.promised(spoilt, "training images")[50_000] == promise


def test_gaps_compare_a_variant_with_the_base_of_its_own_size(trained):
    ours, base = (grid.along("epochs", variant) for variant in ("no-augment", None))
    runs = trained(dict.fromkeys(base, 0.7) | dict.fromkeys(ours, 0.6))
    for number, name in enumerate((*ours, *base)):
        for run in runs[name]:
            run.record["history"] = [{"epoch": 1}] * (4 * 2 ** (number % 4))
    gaps = ablation.gaps(runs, "epochs", "no-augment")
    assert list(gaps) == [4, 8, 16, 32]
    for group in runs["grid-base"], runs["grid-no-augment"]:
        for run in group:
            run.record["history"] = [{"epoch": 1}] * 40  # as many as the base has at paper
    assert list(ablation.curve(runs, "epochs")) == list(ablation.gaps(runs, "epochs", "no-augment")) == [4, 16, 32, 40]
    assert all(gap.mean == pytest.approx(-0.1, abs=0.02) for gap in gaps.values())


def along(trained, ours, base):
    """Trainings along the images of batch-after and the base, of such errors."""
    sizes = (500, 1250, 5000, 12_500, 50_000)
    names = [grid.along("training images", variant) for variant in ("batch-after", None)]
    images = {name: size for side in names for name, size in zip(side, sizes, strict=True)}
    errors = {name: law(images[name]) for side, law in zip(names, (ours, base), strict=True) for name in side}
    return trained({name: 1 - error for name, error in errors.items()}, images)


def test_a_ratio_of_errors_that_grows_along_a_curve_has_drifted(trained):
    def base(size):
        return 4.0 * size**-0.3

    steeper = along(trained, lambda size: 3.0 * size**-0.25, base)
    drift = ablation.drift(steeper, "training images", "batch-after")
    assert drift.mean == pytest.approx(2**0.05, abs=0.02)
    assert drift.low > 1
    assert drift.n == 3
    fewer = {**steeper, "grid-base": steeper["grid-base"][:0:-1]}  # seeds 2 and 1
    assert ablation.drift(fewer, "training images", "batch-after").n == 2
    single = {name: group[:1] for name, group in steeper.items()}
    assert ablation.drift(single, "training images", "batch-after") is None
    assert ablation.drift({"grid-base": steeper["grid-base"]}, "training images", "batch-after") is None


def test_a_ratio_of_errors_that_stays_has_not_though_in_points_a_gain_shrinks(trained):
    runs = along(trained, lambda size: 3.6 * size**-0.3, lambda size: 4.0 * size**-0.3)
    gaps = ablation.gaps(runs, "training images", "batch-after")
    assert gaps[50_000].mean < 0.5 * gaps[500].mean
    assert ablation.drift(runs, "training images", "batch-after").mean == pytest.approx(1, abs=0.01)


def test_an_error_that_rises_is_not_said_to_fall(trained):
    rising = along(trained, lambda size: 0.1 * size**0.1, lambda size: 0.1 * size**0.1)
    assert ablation.law(rising, "training images") == "error does not fall with more training images"


def test_what_a_line_promised_is_compared_seed_by_seed(trained):
    straight = along(trained, lambda size: 4.0 * size**-0.3, lambda size: 4.0 * size**-0.3)
    missed = ablation.kept(straight, "training images")
    assert missed.mean == pytest.approx(0, abs=0.01)
    told = ablation.law(straight, "training images")
    assert "to the power of -0.30 up to 12,500; up to 50,000 to that of -0.3" in told
    assert f"at 50,000, measured minus promised: {missed.points}" in told
    twice = float(told.partition("leave ")[2].partition("%")[0]) / 100
    assert twice == pytest.approx(1 - 4.0 * 100_000**-0.3, abs=0.01)
    bent = {**straight, "grid-base": trained({"grid-gelu": 0.7})["grid-gelu"]}
    assert "-0.30 up to 12,500; up to 50,000 to that of -0.1" in ablation.law(bent, "training images")
    assert ablation.kept(bent, "training images").mean == pytest.approx(0.7 - (1 - 4.0 * 50_000**-0.3), abs=0.02)
    single = {name: group[:1] for name, group in straight.items()}
    assert ablation.kept(single, "training images") is None
    assert "measured minus" not in ablation.law(single, "training images")
    assert ablation.law({"grid-base": straight["grid-base"]}, "training images") is None


def test_what_is_not_trained_yet_is_left_out(trained, monkeypatch, tmp_path):
    runs = trained({"grid-base": 0.7, "grid-gelu": 0.75})
    assert ablation.effects({"grid-gelu": runs["grid-gelu"]}) == []
    assert list(ablation.curve(runs, "training images")) == [50_000]
    assert ablation.gaps(runs, "epochs", "no-augment") == {}
    monkeypatch.setattr(ablation, "locate", lambda name, budget, seed: locate(name, budget, seed, store=tmp_path))
    assert ablation.finished("laptop", 3) == ["grid-base", "grid-gelu"]
    assert ablation.finished("laptop", 4) == ablation.finished("paper", 1) == []
    runs["grid-gelu"][1].record["recipe"]["momentum"]["value"] = 0.5  # as an older recipe had it
    (runs["grid-gelu"][1].path / "record.json").write_text(json.dumps(runs["grid-gelu"][1].record))
    assert ablation.finished("laptop", 3) == ["grid-base"]
    assert ablation.finished("laptop", 1) == ["grid-base", "grid-gelu"]
    recipe = {field: {"value": value} for field, value in recipes.get("grid-elu").at("laptop").fields().items()}
    known = {"name": "grid-elu", "budget": "laptop", "overrides": {}, "recipe": recipe}
    for seed in range(3):
        locate("grid-elu", "laptop", seed, store=tmp_path).keep_divergence("no number", known)
    assert ablation.finished("laptop", 3) == ["grid-base", "grid-elu"]


@pytest.mark.parametrize("budget", ["quick", "laptop"])
def test_every_step_of_a_curve_is_a_recipe_and_they_grow(budget):
    for knob, variants in grid.ALONG.items():
        for variant in (None, *variants):
            steps = [recipes.get(name).at(budget) for name in grid.along(knob, variant)]
            sizes = [step.train_images or 50_000 if knob == "training images" else step.epochs for step in steps]
            assert sizes == sorted(set(sizes))
            others = {step.fields()["options.norm"] for step in steps}
            assert len(others) == 1
            if knob == "training images":
                pairs = zip(steps, sizes, strict=True)
                updates = [step.epochs * step.passes * -(-seen // step.batch_size) for step, seen in pairs]
                assert updates == pytest.approx([updates[-1]] * len(updates), rel=0.03)


def test_at_quick_a_knob_turns_as_far_as_at_full_size():
    base, quick = (recipes.get("grid-base").at(budget) for budget in ("paper", "quick"))
    for name in "grid-batch-32", "grid-batch-512", "grid-half-width", "grid-double-width":
        whole, small = (recipes.get(name).at(budget) for budget in ("paper", "quick"))
        assert small.batch_size / quick.batch_size == whole.batch_size / base.batch_size
        assert small.learning_rate / quick.learning_rate == whole.learning_rate / base.learning_rate
        assert small.options["width"] / quick.options["width"] == whole.options["width"] / base.options["width"]


def test_minutes_are_told_where_a_variant_takes_other_time_than_the_base():
    base, told = recipes.get("grid-base").budgets["laptop"].minutes, {}
    for name in (name for variants in grid.KNOBS.values() for name, _, _ in variants):
        if measured := costs.ratio(f"grid/grid-{name}"):
            told[name] = recipes.get(f"grid-{name}").budgets["laptop"].minutes / base
            assert told[name] == pytest.approx(measured, rel=0.4), name
    assert len(told) > 50


def test_the_figures_show_every_variant(trained):
    found = ablation.effects(trained({"grid-base": 0.7, "grid-gelu": 0.75, "grid-elu": 0.7, "grid-l1": 0.6}))
    panels = plots.knobs(found, "x").axes
    assert [ax.get_title(loc="left") for ax in panels] == ["activation", "penalty"]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    figure = plots.worth(found, "x", {"gelu": [0.01, -0.02], "bce": [0.5]})
    marks = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "|"]
    assert [list(mark) for mark in marks] == [[0.01], [-0.02], []]  # and that of the legend
    assert figure.legends
    assert not plots.worth(found, "x", {}).legends
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count(f"{found[0].parameters:,}") == 3
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        f"{effect.knob}: {effect.variant}" for effect in found
    ]


def test_ten_crops_need_their_measurement(make_run):
    run = make_run("paper-lrn", HARD < 0.7, budget="laptop")
    assert evaluation.averaging_gain([run]) is None


def test_a_pair_of_longer_trainings_has_a_luck_of_its_own(trained):
    runs = trained(dict.fromkeys([f"grid-{name}" for name in ("base", "gelu", "no-augment", "epochs-32")], 0.7))
    before = ablation.effects(runs)
    runs |= trained({"grid-no-augment-epochs-32": 0.7})
    tell(runs["grid-no-augment-epochs-32"], 0.8, 0.003)
    assert ablation.effects(runs) == before
    (pair,) = ablation.interactions(runs)
    assert (pair.one, pair.other, pair.p) == ("no-augment", "epochs-32", None)
    terms = zip(("no-augment-epochs-32", "no-augment", "epochs-32", "base"), (1, -1, -1, 1), strict=True)
    assert pair.extra == evaluation.contrast([(runs[f"grid-{name}"], sign) for name, sign in terms])


def test_what_is_not_trained_is_told_knob_by_knob(trained):
    told = ablation.missing(trained({"grid-base": 0.7, "grid-gelu": 0.75}))
    lines = re.split(r"\n(?=\S)", told)
    (activation,) = (line for line in lines if line.startswith("activation:"))
    assert re.findall(r"[\w-]+", activation.partition(": ")[2]) == ["4", "of", "5", "leaky", "tanh", "tanh-he", "elu"]
    assert any(line.startswith("two at once:") and "no-augment-epochs-32" in line for line in lines)
    whole = {recipe.name: [] for recipe in grid.RECIPES}
    assert ablation.missing(whole).startswith("Every recipe")
    del whole["grid-base"]
    assert re.search(r"^base: +1 of 1: base$", ablation.missing(whole), re.M)


def test_published_figures_stand_beside_what_they_were_compared_with(trained):
    runs = trained({"grid-base": 0.7, "grid-no-norm": 0.66, "grid-lrn-scaled": 0.72, "grid-bfloat16": 0.7})
    by_name = {effect.variant: effect for effect in ablation.effects(runs)}
    imagenet, cifar = (line for line in ablation.beside(runs, by_name["lrn-scaled"]) if "against" in line)
    ours = ablation.difference(runs, "grid-lrn-scaled", "grid-no-norm").points
    assert imagenet.endswith(f"against no-norm, theirs +1.4; ours {ours}: same sign, theirs outside")
    assert "theirs +2.0" in cifar
    assert "no published figure was found" in ablation.beside(runs, by_name["bfloat16"])[0]
    del runs["grid-no-norm"]
    assert ablation.beside(runs, by_name["lrn-scaled"])[0].endswith("theirs +1.4; ours not trained")


def test_published_findings_are_about_variants_of_the_grid():
    variants = {name for variants in grid.KNOBS.values() for name, _, _ in variants}
    assert set(literature.FINDINGS) <= variants
    findings = [finding for findings in literature.FINDINGS.values() for finding in findings]
    assert {finding.against for finding in findings} <= {"base", *variants}
    assert all(0 < abs(finding.gain) < 0.14 for finding in findings)  # fractions, not points


def test_figures_of_the_sources_are_those_that_their_claims_have():
    (groups,) = literature.FINDINGS["two-groups"]
    assert (groups.gain, groups.against) == (0.017, "half-tower")
    assert [finding.gain for finding in literature.FINDINGS["leaky"] if finding.who == "Source C"] == [-0.0718]
    assert literature.FINDINGS["adam"][0].gain == pytest.approx(0.0231)
    assert literature.FINDINGS["plain-pooling"][0].gain == -0.004

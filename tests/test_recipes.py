"""Recipes and claims are whole, marked data that agree with each other."""

import functools
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_tf import claims, datasets, models, printed, recipe, recipes
from alexnet_tf.errors import UsageError
from alexnet_tf.recipe import BUDGETS, override_hash, parse_value
from alexnet_tf.recipes import RECIPES


@functools.cache  # many recipes share a network
def parameters_of(model, size, classes, options):
    return models.build(model, size, classes, **json.loads(options)).count_params()


@pytest.mark.parametrize("name", RECIPES)
def test_the_parameter_count_is_the_networks(name):
    recipe = RECIPES[name]
    classes = {"flowers": 5, "imagenet2012": 1000, "cifar10-turned": 4}.get(recipe.dataset, 10)
    parameters = parameters_of(recipe.model, recipe.image_size, classes, json.dumps(dict(recipe.options)))
    assert parameters - models.ARCHITECTURES[recipe.model].uncounted == recipe.parameters


@pytest.mark.parametrize("name", RECIPES)
def test_marks_name_fields_that_exist_and_none_twice(name):
    recipe = RECIPES[name]
    known = set(recipe.fields()) | {"augment"}
    given, inferred = recipe.given.split(), recipe.inferred.split()
    assert set(given) <= known
    assert set(inferred) <= known
    assert not set(given) & set(inferred)


def test_marks_say_who_chose():
    zeng, flowers = RECIPES["zeng-aug"], RECIPES["flowers-lrn"]
    marks = {field: zeng.mark(field) for field in ("dataset", "epochs", "learning_rate", "options.dropout", "l2")}
    assert marks == {
        "dataset": "given", "epochs": "ours", "learning_rate": "ours", "options.dropout": "ours", "l2": "inferred"
    }  # fmt: skip
    assert flowers.mark("options.depth_radius") == "given"
    assert flowers.mark("interpolation") == "inferred"


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_budget_resolves(name, budget):
    resolved = RECIPES[name].at(budget)
    assert resolved.budgets[budget].minutes > 0
    assert (budget == "quick") == resolved.dataset.startswith("paintbox")
    if budget == "paper":
        assert resolved == RECIPES[name]


@pytest.mark.parametrize("budget", BUDGETS)
def test_no_two_recipes_of_the_grid_are_the_same_at_any_budget(budget):
    resolved = {name: str(one.at(budget).fields()) for name, one in RECIPES.items() if name.startswith("grid-")}
    assert len(resolved) > 50
    assert len(set(resolved.values())) == len(resolved)


def test_every_recipe_has_a_source_and_every_claim_a_recipe():
    assert {recipe.source for recipe in RECIPES.values()} <= set(claims.SOURCES)
    assert {claim.recipe for claim in claims.CLAIMS} - {None} <= set(RECIPES)
    assert all(claim.needs for claim in claims.CLAIMS if claim.recipe is None)
    assert set("ABCDEF") <= {claim.source for claim in claims.CLAIMS} <= set(claims.SOURCES)
    assert {claim.versus for claim in claims.CLAIMS} - {None} <= set(RECIPES)
    assert len({claim.name for claim in claims.CLAIMS}) == len(claims.CLAIMS)


def test_source_a_and_b_are_what_they_print():
    flowers, cifar = RECIPES["flowers-lrn"], RECIPES["cifar10-bn64"]
    assert (flowers.epochs, flowers.batch_size, flowers.learning_rate, flowers.momentum) == (90, 128, 0.01, 0.9)
    assert (flowers.decay, RECIPES["flowers-lrn-decay"].decay) == (0.0, 0.0005)
    assert (cifar.epochs, cifar.batch_size, cifar.learning_rate, cifar.momentum) == (20, 32, 0.001, 0.0)
    assert claims.reported("flowers-lrn", "paper") == pytest.approx(282 / 364, abs=1e-4)
    assert claims.reported("cifar10-bn64", "quick") is None


def test_the_log_of_source_b_is_whole():
    tests = [row[3] for row in printed.SOURCE_B_LOG]
    assert len(tests) == 20
    assert max(tests) == tests[15] == 0.6179
    assert tests[-1] == claims.reported("cifar10-bn64", "paper")
    losses = [row[0] for row in printed.SOURCE_B_LOG]
    assert losses == sorted(losses, reverse=True)


def test_only_a_changed_recipe_gets_a_hash():
    assert override_hash({}) == ""
    assert override_hash({}, "honest") != ""
    assert override_hash({"a": 1, "b": 2}) == override_hash({"b": 2, "a": 1})
    assert override_hash({"a": 1}) != override_hash({"a": 2})


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ("None", None), ("adam", "adam"), ("[0.1, 5]", [0.1, 5])],
)
def test_values_of_the_command_line(text, value):
    assert parse_value(text) == value


def test_unknown_recipes_and_budgets_get_a_hint():
    with pytest.raises(UsageError, match="did you mean 'flowers-lrn'"):
        recipes.get("flower-lrn")
    with pytest.raises(UsageError, match="did you mean 'laptop'"):
        recipes.get("flowers-lrn").at("latpop")


def test_the_table_says_what_a_budget_changed():
    text = recipes.table("cifar10-bn64", "laptop")
    assert "changed by laptop; given: 20" in text
    assert text.count("changed by") == 1


def test_the_tables_of_d_and_e_are_whole():
    assert sum(printed.SOURCE_D_SGD) == 7199
    assert sum(printed.SOURCE_D_ADAM) == 7430
    shares = []
    for matrix, report in (
        (printed.SOURCE_E_MATRIX_1, printed.SOURCE_E_REPORT_1),
        (printed.SOURCE_E_MATRIX_2, printed.SOURCE_E_REPORT_2),
    ):
        counts = np.array(matrix)
        assert counts.shape == (10, 10)
        assert (counts.sum(axis=1) == 1000).all()
        recalls = np.array(report)[:, 1]
        np.testing.assert_allclose(counts.diagonal() / 1000, recalls, atol=0.0051)
        shares.append(counts.trace() / 10_000)
    assert shares == [0.7539, 0.7485]
    assert claims.reported("zeng-aug", "paper") == pytest.approx(np.mean(shares))


def test_contradictions_are_told():
    with pytest.raises(UsageError, match="plateau and steps both set the learning rate"):
        RECIPES["flowers-lrn"].change({"steps": [5, 0.1]})
    with pytest.raises(UsageError, match="steps and schedule both set the learning rate"):
        RECIPES["zeng-aug"].change({"schedule": "cosine"})
    with pytest.raises(UsageError, match="weight_decay is of adamw and muon: sgd has l2"):
        RECIPES["grid-base"].change({"weight_decay": 0.05})
    with pytest.raises(UsageError, match="warmup is the beginning of a schedule"):
        RECIPES["cifar10-bn64"].change({"warmup": 0.1})
    with pytest.raises(UsageError, match=r"crop_from must be a whole number from 224"):
        RECIPES["imagenet-2012"].change({"crop_from": 200})
    with pytest.raises(UsageError, match=r"did you mean 'flowers'\? A folder of your own needs a slash"):
        RECIPES["flowers-lrn"].change({"dataset": "flower"})
    with pytest.raises(UsageError, match="fold counts from 0: the last of 5 is 4; received 5"):
        RECIPES["flowers-lrn"].change({"fold": [5, 5]})
    assert RECIPES["flowers-lrn"].change({"dataset": "./photos"}).dataset == "./photos"


def test_every_dataset_can_be_loaded_and_every_loader_asked_for():
    assert set(recipe.DATASETS) == set(datasets.LOADERS)
    assert set(datasets.WANTED) | {"paintbox", "paintbox-flowers"} == set(map(datasets.untouched, datasets.LOADERS))
    assert datasets.found("cifar10-turned") == datasets.found("cifar10")


FIELDS = sorted({*RECIPES["zeng-aug"].fields(), "fold", "steps", "crop_from", "augment", "options", "options.width"})
VALUES = st.text(max_size=8) | st.sampled_from(
    ["NaN", "-Infinity", "1e999", "[]", "[1]", "[1,2]", "[true,3]", '["a",2]', "{}", "null", "true", "0", "-1", "0.5"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES | st.integers(1, 5).map(lambda depth: "[" * 10**depth))
def test_whatever_is_set_is_taken_or_one_sentence(key, text):
    """And what is taken can be written into a record and named by its hash."""
    value = parse_value(text)
    try:
        changed = RECIPES["zeng-aug"].at("quick").change({key: value})
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert json.dumps(changed.fields(), allow_nan=False)
        assert override_hash({key: value}) != override_hash({})


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), min_size=1, max_size=4), st.randoms())
def test_a_name_for_overrides_does_not_depend_on_their_order(overrides, random):
    items = list(overrides.items())
    random.shuffle(items)
    assert override_hash(dict(items)) == override_hash(overrides)
    assert override_hash(overrides, "honest") != override_hash(overrides) != override_hash({**overrides, "more": 1})


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000])
def test_numbers_and_brackets_without_end_are_words(text):
    assert parse_value(text) == text


def test_the_ladder_leads_from_source_b_to_today_one_change_at_a_time():
    rungs = [RECIPES[f"ladder-{number}"] for number in range(1, 9)]
    short = {"epochs": RECIPES["today-cifar"].at("laptop").epochs}
    assert rungs[0].fields() == RECIPES["cifar10-bn64"].change(short).fields()
    assert rungs[-1].fields() == RECIPES["today-cifar"].at("laptop").fields()
    assert "ladder-9" not in RECIPES
    for below, above in itertools.pairwise(rungs):
        assert below.fields() != above.fields()


def test_a_claim_says_which_way_its_figure_points():
    for claim in claims.CLAIMS:
        if claim.rule in ("difference", "ten crops") and claim.reported is not None:
            assert claim.sign == np.sign(claim.reported), claim.name


def test_levels_of_sources_c_and_d_are_those_that_they_print():
    printed_by_them = {
        "lab-base": 0.70,
        "lab-4conv": 0.73,
        "lab-3conv": 0.67,
        "lab-2fc": 0.6173,
        "lab-1fc": 0.5659,
        "lab-leaky": 0.6282,
        "lab-bce": 0.80,
        "lab-best": 0.8136,
        "int305-cnn": 0.67,
        "int305-sgd": 0.7199,
        "int305-adam": 0.743,
    }
    assert printed_by_them == {c.recipe: c.reported for c in claims.CLAIMS if c.source in "CD" and c.rule == "level"}


def test_what_sources_d_and_f_give_is_in_their_recipes():
    small, large = RECIPES["int305-cnn"], RECIPES["imagenet-2012"]
    assert (small.epochs, small.batch_size, small.optimizer) == (300, 10, "sgd")
    assert (small.learning_rate, small.momentum) == (1e-4, 0.9)
    assert (large.epochs, large.batch_size, large.learning_rate) == (90, 128, 0.01)
    assert (large.momentum, large.l2) == (0.9, 5e-4)

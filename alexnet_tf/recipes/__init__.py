"""What to run: one recipe per system of the sources and per experiment of ours. Data, no machinery.

`recipe.py` says what the fields mean; `claims.py` holds what the sources report, with lines.
"""

from __future__ import annotations

from alexnet_tf.errors import choose
from alexnet_tf.recipe import Recipe
from alexnet_tf.recipes import few, grid, source_a, source_b, source_c, source_d, source_e, source_f, today

SOURCES = (source_a, source_b, source_c, source_d, source_e, source_f, grid, today, few)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for source in SOURCES for recipe in source.RECIPES}


def get(name: str) -> Recipe:
    """A recipe by name; a wrong name gets the nearest one as a hint."""
    return RECIPES[choose("recipe", name, RECIPES)]


def table(name: str, budget: str) -> str:
    """Every field of a recipe at a budget, with its mark and what the budget changed.

    >>> print(table("cifar10-bn64", "laptop").splitlines()[1])
    batch_size            32                given
    """
    recipe = get(name)
    before, now = recipe.fields(), recipe.at(budget).fields()
    lines = [f"{'field':<22}{'value':<18}mark"]
    for field_name in sorted(now):
        mark = recipe.mark(field_name)
        if now[field_name] != before.get(field_name):
            mark = f"changed by {budget}" + (f"; {mark}: {before[field_name]}" if field_name in before else "")
        lines.append(f"{field_name:<22}{now[field_name]!s:<18}{mark}")
    return "\n".join(lines)

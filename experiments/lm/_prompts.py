"""Prompts prepared beforehand, so that a machine without reasoning-gym can run a preset.

    python -m experiments.lm --preset gpu --out OUT --prepare PROMPTS     here, with the gym
    python -m experiments.lm --preset gpu --out OUT --prompts PROMPTS     there, without it

A file holds the first prompts that the gym gives for a task and a seed, in their order: what is
drawn from it is what would have been drawn from the gym. Both rewards follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console

from experiments.lm import _small, tasks
from experiments.lm.demonstrations import POOL
from experiments.lm.recipes import Logged, Mu, Recipe, needs
from experiments.lm.workshop import HELD_OUT

# Of the prompts that are asked for, so many times as many are prepared, since some come twice.
MORE, ROOM = 4, 1_000


def wanted(recipes: Sequence[Recipe]) -> dict[tuple[str, int], int]:
    """Return how many prompts of which task and seed some recipes draw from, at most."""
    found: dict[tuple[str, int], int] = {}

    def ask(task: str, seed: int, count: int) -> None:
        found[task, seed] = max(count, found.get((task, seed), 0))

    for recipe in (one for whole in recipes for one in needs(whole)):
        if isinstance(recipe, Mu):
            for task in recipe.tasks:
                ask(task, recipe.seed, POOL)
        if isinstance(recipe, Logged):
            for task, count in zip(recipe.mu.tasks, recipe.prompts, strict=True):
                ask(task, recipe.seed, MORE * count + ROOM)
                # Those that are held out are drawn with a seed of their own.
                ask(task, recipe.seed + HELD_OUT, MORE * count + ROOM)
    return found


def prepare(
    folder: Path,
    recipes: Sequence[Recipe],
    out: Console,
    more: Sequence[Mapping[tuple[str, int], int]] = (),
) -> None:
    """Write the prompts that some recipes draw from, and `more`, a file a task and seed."""
    folder.mkdir(parents=True, exist_ok=True)
    found = wanted(recipes)
    for asked in more:
        for (task, seed), count in asked.items():
            # The small models' are already different from one another.
            most = count if task in _small.GYM else MORE * count + ROOM
            found[task, seed] = max(most, found.get((task, seed), 0))
    for (task, seed), count in found.items():
        path = tasks.prepared_path(folder, task, seed)
        tasks.prepare(path, drawn(task, seed, count))
        out.print(f"{path}: {count} prompts", markup=False)


def drawn(task: str, seed: int, count: int) -> Sequence[tasks.Example]:
    """Return the first prompts of a task, or of a kind that small models read."""
    if task in _small.GYM:
        return _small.examples(task, count, seed)
    return list(islice(tasks.stream(task, seed), count))

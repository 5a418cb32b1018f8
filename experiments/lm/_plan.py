"""What a run would do: what it would make, how large that is, and about how long it takes.

    training    6 FLOP a weight and token forward and back,   scoring and sampling 2

at the rates below, which were measured on one core of a Zen 4 server with small models, and for a
card are half of what its matrix products reach. Times of cells are the experiments' own.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import runs
from experiments.lm import tasks, workshop
from experiments.lm.recipes import Logged, Mu, Policies, Recipe, Scores, mu_of, name_of, needs

# FLOP a second that training gets, by device.
RATES = {"cpu": 4.0e10, "cuda": 2.0e14}
# A sampled token costs more than its FLOP: caches, and a step for each of few rows.
SAMPLING = 4
# Characters of a prompt and its answer, about, as drawn.
TYPICAL = {"chain_sum": 13, "spell_backward": 19, "caesar_cipher": 85}


def weights(mu: Mu) -> int:
    """Return about how many weights mu has."""
    return 12 * mu.layers * mu.width**2 + 50 * mu.width


def tokens(recipe: Recipe) -> int:
    """Return about how many tokens a recipe's making looks at, forward or back."""
    match recipe:
        case Mu():
            total = sum(recipe.shares)
            each = zip(recipe.tasks, recipe.shares, recipe.batches, strict=True)
            return round(recipe.steps * sum(TYPICAL[t] * s / total * b for t, s, b in each))
        case Logged():
            pairs = zip(recipe.mu.tasks, recipe.prompts, strict=True)
            return sum(TYPICAL[task] * n * recipe.each for task, n in pairs)
        case Policies():
            log = recipe.log
            row = tokens(log) / (sum(log.prompts) * log.each)
            # Each step is followed by a look at the probe, a third of its cost a sequence.
            return round(recipe.most_steps / 2 * row * (recipe.batch + recipe.probe / 3))
        case Scores():
            return tokens(recipe.log) * len(recipe.policies.distances)


def seconds(recipe: Recipe) -> float:
    """Return about how long the making of one thing takes, without what it starts from."""
    mu = mu_of(recipe)
    work = weights(mu) * tokens(recipe)
    match recipe:
        case Mu() | Policies():
            factor = 6
        case Logged():
            factor = 2 * SAMPLING
        case Scores():
            factor = 2
    return factor * work / RATES[mu.device]


def tell(chosen: Mapping[str, Any], where: Path | None, out: Console) -> None:
    """Print the plan of some experiments, by module, with their settings."""
    shop = workshop.at()
    total = 0.0
    recipes: dict[str, Recipe] = {}
    for module, settings in chosen.items():
        source = importlib.import_module(module)
        experiment: runs.Experiment = source.EXPERIMENT
        store = runs.Store(experiment, settings, where or runs.HERE)
        found, cells = runs.missing(store)
        own = source.seconds(settings) if hasattr(source, "seconds") else 0.0
        left = own * len(cells) / max(1, len(cells) + len(found))
        total += left
        out.print(f"{experiment.name}: {experiment.title}", markup=False)
        time = f", about {_time(left)}" if own else ""
        out.print(f"  {len(cells)} of {len(cells) + len(found)} cells to run{time}", markup=False)
        out.print(f"  results in {store.whole}", markup=False)
        if cells and hasattr(source, "needs"):
            for recipe in source.needs(settings):
                recipes.update({name_of(one): one for one in needs(recipe)})
    if recipes:
        out.print(f"needed from {shop.folder}:", markup=False)
    for name, recipe in recipes.items():
        there = shop.has(recipe)
        total += 0.0 if there else seconds(recipe)
        about = "there" if there else f"to make, about {_time(seconds(recipe))}"
        out.print(f"  {name}: {_size(recipe)}; {about}", markup=False)
    out.print(f"in all about {_time(total)} on one core or one card")


def _size(recipe: Recipe) -> str:
    mu = mu_of(recipe)
    match recipe:
        case Mu():
            model = f"{weights(mu) / 1e6:.3g} million weights"
            return f"{model}, {mu.steps} steps, {tokens(recipe) / 1e6:.3g} million tokens"
        case Logged():
            rows = sum(recipe.prompts) * recipe.each
            longest = max(tasks.TASKS[name].most_tokens for name in mu.tasks)
            return f"{rows} sequences of at most {longest} tokens"
        case Policies():
            return f"{len(recipe.distances)} policies, at most {recipe.most_steps} steps"
        case Scores():
            rows = sum(recipe.log.prompts) * recipe.log.each
            return f"{rows} sequences scored by {len(recipe.policies.distances)} policies"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

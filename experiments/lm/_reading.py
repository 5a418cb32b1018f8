"""What an experiment on a scored log reads: one of the policies, and the log as it scores it.

The log is one that the policies were not trained on: on the sequences that taught it a policy gives
more than it owes, E_mu[w] = 1 fails, and every law of log w with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from experiments.lm import presets
from experiments.lm._scored import Scored, scored
from experiments.lm.logs import Log
from experiments.lm.recipes import Recipe, Scores
from experiments.lm.workshop import Workshop, at
from experiments.runs import Cell, Json

LONGER = replace(
    presets.CPU, log=replace(presets.CPU.log, prompts=(125, 150, 400), each=24, seed=4)
)
"""Preset cpu's policies on a log with six times as many of the longest sequences: 3,000 sums, 3,600
words and 9,600 texts. Half of the preset's own 1,600 texts holds no batch of 1,024."""


def needs(settings: Any) -> list[Recipe]:
    """Return what is to be made before the cells run."""
    return [settings.scores]


def cells(settings: Any) -> list[Cell]:
    """One cell a distance from mu."""
    names = [f"kl {distance:g}" for distance in settings.scores.policies.distances]
    return [Cell(name, {"policy": name}) for name in names]


def lasting(each: float) -> Callable[[Any], float]:
    """Return what says how many seconds the cells take on one core, at so many for each of them."""
    return lambda settings: each * len(cells(settings))


def log_of(scores: Scores, shop: Workshop | None = None) -> Log:
    """Return the log that is scored."""
    return (shop or at()).log(scores.log)


def policy(scores: Scores, name: str) -> Scored | None:
    """Return the log as one policy scores it, None where training did not come that far."""
    shop = at()
    found = shop.scores(scores)
    return scored(log_of(scores, shop), found[name]) if name in found else None


def model(scores: Scores, name: str) -> Any:
    """Return a policy that training came to."""
    return {known: made for known, _, made in at().policies(scores.policies)}[name]


def reached(settings: Any, found: Any) -> list[tuple[str, Json]]:
    """Return the name and the result of each policy that there is, nearest first."""
    return [(c.key, found[c.key]) for c in cells(settings) if found[c.key]["reached"]]


def longest(scopes: Json) -> str:
    """Return the task with the longest responses."""
    return max(scopes, key=lambda name: float(scopes[name]["length"]))


def pooled(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over policies of what was found replicate by replicate, row by row."""
    return [sum(column) / len(column) for column in zip(*rows, strict=True)]

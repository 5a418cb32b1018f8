"""Committed results of a run, read against a prediction.

A prediction is judged from a small summary that ships with the package, so judging it trains
nothing. A summary holds numbers, and intervals as `[value, low, high]`; an interval that does not
decide is UNDECIDED. What these answers are worth is EMPIRICAL: they speak of the runs that were
made, and of those alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from isr_theory.claim import Answer, Outcome, Strength, Witness

Interval = Sequence[float]
"""(value, low, high)."""


@dataclass(frozen=True)
class Missing:
    """Stands for the results of a run that has not been made."""

    name: str


def summary(name: str, package: str = "isr_theory.results") -> Mapping[str, Any] | Missing:
    """Return the summary of a recorded run, or what stands for one that is not there."""
    path = files(package).joinpath(f"{name}.json")
    if not path.is_file():
        return Missing(name)
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["summary"]
    return found


def _answer(holds: bool | None, shows: str, at: Mapping[str, Any]) -> Answer:
    if holds is None:
        return Answer(Outcome.UNDECIDED, Strength.EMPIRICAL, detail=shows)
    outcome = Outcome.HOLDS if holds else Outcome.FAILS
    return Answer(outcome, Strength.EMPIRICAL, Witness.at(shows, **at), shows)


def near(value: float, expected: float, tolerance: float, **at: Any) -> Answer:
    """Say whether a recorded number without sampling noise is within a tolerance of its value."""
    shows = f"{value:.6g} against {expected:.6g}, tolerance {tolerance:.1g}"
    return _answer(abs(value - expected) <= tolerance, shows, at)


def true(condition: bool, shows: str, **at: Any) -> Answer:
    """Say whether a fact about recorded numbers holds; `shows` tells the numbers."""
    return _answer(bool(condition), shows, at)


def inside(interval: Interval, low: float, high: float, **at: Any) -> Answer:
    """Say whether a recorded interval lies in [low, high], or outside it, or cannot tell."""
    value, lower, upper = interval
    shows = f"{value:.4g} in [{lower:.4g}, {upper:.4g}], predicted [{low:.4g}, {high:.4g}]"
    if low <= lower and upper <= high:
        return _answer(True, shows, at)
    return _answer(False if upper < low or lower > high else None, shows, at)


def above(interval: Interval, bound: float, **at: Any) -> Answer:
    """Say whether a recorded interval lies above a bound, or below it, or cannot tell."""
    return inside(interval, bound, float("inf"), **at)


def below(interval: Interval, bound: float, **at: Any) -> Answer:
    """Say whether a recorded interval lies below a bound, or above it, or cannot tell."""
    return inside(interval, float("-inf"), bound, **at)

"""Look for a counterexample: minimise a claim's margin, then make what is found exact and small.

A margin is at least 0 where a statement holds and negative where it fails. It is written over an
arithmetic, so that the same line is minimised in floating point (differential evolution, from a
fixed seed), certified in balls and evaluated once more in exact algebra. What is found is rounded
to the simplest rationals at which the failure is still certain. Spaces are tried in their order,
the smallest support first.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Claim, Outcome
from isr_theory.engines import certified, symbolic
from isr_theory.spaces import Axis, Case, Space

BUDGET = 20_000
"""Evaluations of the margin in floating point, by space."""
# Rounding of a margin of order 1 in float64 is far below this; a failure this slight is not
# looked into, since rationals of moderate size would not show it.
NOTICEABLE = 1e-7
FINEST = 64
"""The finest grid, 1/FINEST, to which a point is rounded before it is simplified."""

GUESSES, SIMPLE = 4_000, 12
"""How many points of small numbers are tried, and how many values each number may have."""

Point = tuple[Fraction, ...]


@dataclass(frozen=True)
class Found:
    """A counterexample: the case, what each engine says of the margin there, and the effort."""

    space: str
    case: Case
    balls: Answer
    exact: Answer
    evaluations: int

    @property
    def confirmed(self) -> bool:
        """Whether both engines say that the margin is negative."""
        return self.balls.outcome is self.exact.outcome is Outcome.FAILS


@dataclass(frozen=True)
class Nothing:
    """No counterexample within the budget: the least margin met, which is no proof of anything."""

    space: str
    least: float
    evaluations: int


def search(
    claim: Claim,
    *,
    budget: int = BUDGET,
    seed: int = 0,
    progress: Callable[[str, int], None] = lambda space, evaluations: None,
) -> Iterator[Found | Nothing]:
    """Search the spaces of a claim's margin in their order, up to the first counterexample.

    Raises ValueError for a claim without a margin.
    """
    if claim.margin is None:
        raise ValueError(f"{claim.id} has no margin to search")
    for space in claim.margin.spaces:
        outcome = _searched(_Margin(claim, space, progress), budget, seed)
        yield outcome
        if isinstance(outcome, Found):
            return


class _Margin:
    """The margin of one claim over one space, in three arithmetics, with a count."""

    def __init__(self, claim: Claim, space: Space, progress: Callable[[str, int], None]) -> None:
        assert claim.margin is not None
        self.run, self.subject, self.space = claim.margin.run, claim.subject, space
        self.progress = progress
        self.evaluations = 0

    def real(self, point: Sequence[Fraction]) -> float:
        """Evaluate in floating point; where it is undefined or overflows, nothing is found."""
        self.evaluations += 1
        if self.evaluations % 500 == 0:
            self.progress(self.space.name, self.evaluations)
        try:
            value = float(self.run(self.subject, self.space.build(point), Real))
        except (ArithmeticError, ValueError):
            return math.inf
        return math.inf if math.isnan(value) else value

    def in_balls(self, point: Point) -> Answer:
        """Decide margin >= 0 in balls."""
        case = self.space.build(point)
        with certified.precision():
            value = self.run(self.subject, case, Ball)
            return certified.compare(value, ">=", Ball.number(0), witness=case.witness())

    def exactly(self, point: Point) -> Answer:
        """Decide margin >= 0 in exact algebra."""
        case = self.space.build(point)
        value = self.run(self.subject, case, Exact)
        return symbolic.compare(value, ">=", 0, witness=case.witness())

    def fails(self, point: Point) -> bool:
        """Say whether the statement certainly fails at a point; floating point is asked first."""
        if not self.real(point) < -NOTICEABLE:
            return False
        return self.in_balls(point).outcome is Outcome.FAILS


def _searched(margin: _Margin, budget: int, seed: int) -> Found | Nothing:
    least, place = _minimised(margin, budget, seed)
    if least < -NOTICEABLE:
        # Where failures are common some small numbers fail as well; else round what was found.
        for point in (*_guessed(margin, seed), *_rounded(place, margin.space.axes)):
            if margin.fails(point):
                simple = _simplified(point, margin)
                return Found(
                    margin.space.name,
                    margin.space.build(simple),
                    margin.in_balls(simple),
                    margin.exactly(simple),
                    margin.evaluations,
                )
    return Nothing(margin.space.name, least, margin.evaluations)


def _guessed(margin: _Margin, seed: int) -> list[Point]:
    """Return points of small numbers that seem to fail, the simplest first."""
    rng = random.Random(seed)
    choices = [_simple_values(axis)[:SIMPLE] for axis in margin.space.axes]
    guesses = {tuple(rng.choice(values) for values in choices) for _ in range(GUESSES)}
    failing = [point for point in guesses if margin.real(point) < -NOTICEABLE]
    # The point itself breaks ties, so that the order does not hang on that of a set.
    return sorted(failing, key=lambda point: (margin.space.build(point).complexity(), point))


def _minimised(margin: _Margin, budget: int, seed: int) -> tuple[float, list[float]]:
    """Return the least margin met and where, by differential evolution within a budget."""
    from scipy.optimize import differential_evolution

    axes = margin.space.axes
    # A mass of exactly 0 would lose an outcome, and with it the family.
    bounds = [
        (max(float(axis.low), 1 / FINEST) if axis.mass else float(axis.low), float(axis.high))
        for axis in axes
    ]

    def at(values: Any) -> float:
        value = margin.real([Fraction(float(x)) for x in values])
        # The optimiser squares what it gets, and an infinity has no variance.
        return min(value, 1e100)

    size = 12
    rounds = max(1, budget // (size * len(axes)) - 1)
    best = differential_evolution(
        at, bounds, maxiter=rounds, popsize=size, seed=seed, tol=0, atol=0, polish=False
    )
    return float(best.fun), [float(x) for x in best.x]


def _rounded(place: Sequence[float], axes: Sequence[Axis]) -> Iterator[Point]:
    """Yield a place on grids that get finer: where a failure has room, a coarse one shows it."""
    for q in range(1, FINEST + 1):
        yield tuple(_on_grid(x, axis, q) for x, axis in zip(place, axes, strict=True))


def _on_grid(x: float, axis: Axis, q: int) -> Fraction:
    value = Fraction(round(x * q), q)
    if axis.mass:
        return max(value, Fraction(1, q))
    return min(max(value, axis.low), axis.high)


def _simplified(point: Point, margin: _Margin) -> Point:
    """Replace one coordinate after the other by the simplest that still fails, to a fixed point."""
    best = point
    while True:
        for k, axis in enumerate(margin.space.axes):
            best = _simplest(best, k, axis, margin)
        if best == point:
            return best
        point = best


def _simplest(point: Point, k: int, axis: Axis, margin: _Margin) -> Point:
    size = margin.space.build(point).complexity()
    trials = []
    for value in _simple_values(axis):
        trial = (*point[:k], value, *point[k + 1 :])
        complexity = margin.space.build(trial).complexity()
        if complexity < size:
            trials.append((complexity, trial))
    for _, trial in sorted(trials):
        if margin.fails(trial):
            return trial
    return point


def _simple_values(axis: Axis) -> list[Fraction]:
    """Return simple rationals on an axis: masses 1/2 to 9, else denominators to 10."""
    if axis.mass:
        return [Fraction(n, d) for n, d in ((1, 2), *((n, 1) for n in range(1, 10)))]
    near = min(axis.high, axis.low + 20)
    values = {
        Fraction(n, d)
        for d in range(1, 11)
        for n in range(math.ceil(axis.low * d), int((axis.high if d == 1 else near) * d) + 1)
    }
    return sorted(values, key=lambda x: (x.denominator, abs(x.numerator)))

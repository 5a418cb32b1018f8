"""Monte Carlo that can be believed: bounded statistics, finite-sample bounds, both error rates.

A check asks a `Trial` for the mean of a statistic with known bounds. Hoeffding's inequality gives
an interval that misses the true mean with probability at most alpha, for every n, and n is derived
so that the interval is no wider than the check's resolution delta. Then

* a true value lies outside (a false alarm) with probability at most alpha;
* a value off by delta or more lies inside (a miss) with probability at most alpha as well, since
  an interval narrower than delta that contains the truth cannot contain it.

alpha is 1e-9 for every check of every claim, whatever else runs. A CLT test on raw importance
weights would be neither exact nor safe: their tails decide, not their variance. Statistics with
heavy tails are therefore drawn from a mixture that bounds them.

Streams come from the claim's id and the check's name, so no number depends on order, selection or
the number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from isr_theory.claim import Answer, Outcome, Strength, Witness

ALPHA = 1e-9
CHUNK = 1 << 18
MAX_SAMPLES = 50_000_000

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A closed interval and its arithmetic; division needs a divisor away from 0."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Return high - low."""
        return self.high - self.low

    def __add__(self, other: Interval | float) -> Interval:
        o = _interval(other)
        return Interval(self.low + o.low, self.high + o.high)

    def __sub__(self, other: Interval | float) -> Interval:
        o = _interval(other)
        return Interval(self.low - o.high, self.high - o.low)

    def __mul__(self, other: Interval | float) -> Interval:
        o = _interval(other)
        ends = [a * b for a in (self.low, self.high) for b in (o.low, o.high)]
        return Interval(min(ends), max(ends))

    def __truediv__(self, other: Interval | float) -> Interval:
        o = _interval(other)
        if o.low <= 0 <= o.high:
            return Interval(-math.inf, math.inf)
        return self * Interval(1 / o.high, 1 / o.low)


def _interval(value: Interval | float) -> Interval:
    return value if isinstance(value, Interval) else Interval(value, value)


def half_width(width: float, n: int, alpha: float) -> float:
    """Return Hoeffding's half-width, width sqrt(log(2/alpha) / (2n)), for n values in a range.

    P(|mean of n - E| > half-width) <= alpha, for independent values in an interval `width` wide.
    """
    return width * math.sqrt(math.log(2 / alpha) / (2 * n))


def sample_size(width: float, resolution: float, alpha: float) -> int:
    """Return the n that makes Hoeffding's interval `resolution` wide for a range `width`.

    Twice the half-width is `resolution` at n = 2 width^2 log(2/alpha) / resolution^2; rounded up.
    """
    return math.ceil(2 * width**2 * math.log(2 / alpha) / resolution**2)


def stream(root: int, *names: str) -> np.random.Generator:
    """Return the generator that belongs to these names under a root seed."""
    key = tuple("/".join(names).encode())
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(root, spawn_key=key)))


@dataclass
class Trial:
    """What a sampled check draws from. Estimates are kept, so variants meet the same numbers."""

    root: int
    claim: str
    check: str
    resolution: float
    looks: int = 1
    alpha: float = ALPHA
    _kept: dict[str, Interval] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def again(self) -> Trial:
        """Return a trial for another subject: the same numbers, its looks counted afresh."""
        return replace(self, _asked=set())

    def mean(
        self, label: str, draw: Draw, low: float, high: float, *, resolution: float | None = None
    ) -> Interval:
        """Return an interval for E[draw], whose values lie in [low, high].

        `resolution` is the interval's width, by default the check's. Raises ValueError where a
        value leaves its bounds, where the bounds leave no more than rounding to sample, where more
        than `looks` labels are asked for, or where n would pass 50 million.
        """
        self._asked.add(label)
        if len(self._asked) > self.looks:
            raise ValueError(f"looks={self.looks} means were declared; {label!r} is one more")
        if label in self._kept:
            return self._kept[label]
        width = high - low
        # An interval as narrow as rounding would let rounding decide.
        if not width > 1e-9 * max(1.0, abs(low), abs(high)):
            raise ValueError(f"{label!r} does not vary: its bounds are [{low}, {high}]")
        alpha = self.alpha / self.looks
        n = sample_size(width, resolution or self.resolution, alpha)
        if n > MAX_SAMPLES:
            raise ValueError(f"{label!r} needs n={n}: widen the resolution or narrow the bounds")
        rng = stream(self.root, self.claim, self.check, label)
        total = 0.0
        for start in range(0, n, CHUNK):
            values = draw(rng, min(CHUNK, n - start))
            # Rounding may carry a value a few ulps past an exact bound.
            slack = 1e-12 * max(1.0, abs(low), abs(high))
            if values.min() < low - slack or values.max() > high + slack:
                raise ValueError(f"{label!r} left its bounds [{low}, {high}]")
            total += float(values.sum())
        half = half_width(width, n, alpha)
        self._kept[label] = Interval(total / n - half, total / n + half)
        return self._kept[label]

    def agrees(self, interval: Interval, value: float, *, witness: Witness) -> Answer:
        """Say whether a value lies in an interval that is narrow enough to tell."""
        if interval.width > self.resolution * (1 + 1e-9):
            detail = f"interval wider than the resolution {self.resolution}"
            return Answer(Outcome.UNDECIDED, Strength.STATISTICAL, detail=detail)
        if interval.low <= value <= interval.high:
            return Answer(Outcome.HOLDS, Strength.STATISTICAL, detail=self._rates())
        shows = f"{value:.6g} outside [{interval.low:.6g}, {interval.high:.6g}]"
        return Answer(Outcome.FAILS, Strength.STATISTICAL, witness.showing(shows))

    def below(self, interval: Interval, bound: float, *, witness: Witness) -> Answer:
        """Say whether the true value lies below a bound: all of the interval, or none of it."""
        if interval.high < bound:
            return Answer(Outcome.HOLDS, Strength.STATISTICAL, detail=self._rates())
        if interval.low > bound:
            shows = f"at least {interval.low:.6g}, not below {bound:.6g}"
            return Answer(Outcome.FAILS, Strength.STATISTICAL, witness.showing(shows))
        detail = f"the interval does not separate from {bound:.6g}"
        return Answer(Outcome.UNDECIDED, Strength.STATISTICAL, detail=detail)

    def above(self, interval: Interval, bound: float, *, witness: Witness) -> Answer:
        """Say whether the true value lies above a bound."""
        if interval.low > bound:
            return Answer(Outcome.HOLDS, Strength.STATISTICAL, detail=self._rates())
        if interval.high < bound:
            shows = f"at most {interval.high:.6g}, not above {bound:.6g}"
            return Answer(Outcome.FAILS, Strength.STATISTICAL, witness.showing(shows))
        detail = f"the interval does not separate from {bound:.6g}"
        return Answer(Outcome.UNDECIDED, Strength.STATISTICAL, detail=detail)

    def _rates(self) -> str:
        return f"resolution {self.resolution:g}, error rates at most {self.alpha:g}"

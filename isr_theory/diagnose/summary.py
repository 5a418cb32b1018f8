"""Log-weights summed up so that sums can be merged: constant memory, any partition, any order.

A `Summary` holds counts, mean and central moments of log w to order four, the largest log-weights
themselves, and a histogram of log w whose bins know their count and the first two moments about
their centre. A sum of w^a is then

    sum over bins of e^(a c) (count + a sum d + a^2 sum d^2 / 2),     d = log w - c

for every exponent a at once, with a relative error of at most e^u u^3 / 6, u = a h/2, for bins of
width h. They are narrow near the largest weight and widen with the distance from it (`Grid`), which
bounds their number whatever the range. Central moments merge by Pebay's formulas (Sandia report
SAND2008-6212), histograms because edges are multiples of powers of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.bins import WHOLE, Bins, Counter, Grid, merge_bins
from isr_theory.moments import Central, deficit

Array = NDArray[np.float64]

# Numbers that are worked on at once: their temporaries stay in the cache.
CHUNK = 1 << 15
# The Pareto tail of n weights has 3 sqrt(n) of them: this keeps it whole up to 470 million.
KEEP = 1 << 16


@dataclass(frozen=True, eq=False)
class Summary:
    """Sums over log-weights, and over values beside them; `Summary()` is of none.

    See `summarise` and `merge`.
    """

    keep: int = KEEP
    """How many of the largest log-weights are kept."""
    n: int = 0
    positive: int = 0
    mean: float = 0.0
    """Mean of the finite log-weights."""
    powers: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Sums of the second, third and fourth power of their deviations from it."""
    bins: Bins | None = None
    top: Array = field(default_factory=lambda: np.empty(0), repr=False)
    """The largest log-weights in rising order."""

    @cached_property
    def central(self) -> Central:
        """Mean, variance, skewness and kurtosis of the finite log-weights."""
        second, third, fourth = (power / max(self.positive, 1) for power in self.powers)
        if second == 0:
            return Central(self.mean, 0.0, 0.0, 0.0)
        return Central(self.mean, second, third / second**1.5, fourth / second**2 - 3)

    @cached_property
    def _filled(self) -> tuple[float, Array, Array]:
        """The highest centre, centres from it down, and sums."""
        if self.bins is None:
            raise ValueError("no weight is above 0: there is nothing to sum")
        centres, _ = self.bins.centres()
        return float(centres[-1]), centres - centres[-1], self.bins.sums

    def _log_sum(self, order: float) -> float:
        """Return log sum w^a."""
        highest, centres, sums = self._filled
        count, first, second = sums[0]
        inside = count + order * (first + order / 2 * second)
        return math.log(float(np.exp(order * centres) @ inside)) + order * highest

    def tilted_means(self, order: float) -> Array:
        """Return the means of the values of each layer under weights w^order; 1 in layer 0."""
        _, centres, sums = self._filled
        inside = sums[:, 0] + order * (sums[:, 1] + order / 2 * sums[:, 2])
        totals: Array = inside @ np.exp(order * centres)
        totals /= totals[0]
        return totals

    def log_mean(self, orders: Array) -> Array:
        """Return K at orders."""
        return np.array([self._log_sum(float(a)) for a in orders]) - math.log(self.n)

    def slope(self, order: float) -> float:
        """Return K' at an order."""
        highest, centres, sums = self._filled
        count, first, second = sums[0]
        scale = np.exp(order * centres)
        inside = count + order * (first + order / 2 * second)
        total = float(scale @ inside)
        return float(scale @ (centres * inside + first + order * second)) / total + highest

    def exact_gamma(self, rho_min: float, gamma_max: float) -> float:
        """Return the root of the ESS at the target, 0 where none is feasible."""
        from scipy.optimize import brentq

        target = -math.log(rho_min)

        def excess(gamma: float) -> float:
            return deficit(self, gamma) - target

        if excess(gamma_max) <= 0:
            return gamma_max
        if excess(0.0) > 0:
            return 0.0
        return float(brentq(excess, 0.0, gamma_max, xtol=1e-13))


def summarise(
    log_w: Array,
    values: Sequence[Array] = (),
    *,
    keep: int = KEEP,
    floor: float = -math.inf,
    grid: Grid = WHOLE,
) -> Summary:
    """Return the summary of log-weights, finite or -inf, and of finite values beside them.

    `floor` is known to be below the largest `keep` of some larger batch, so that what is not above
    it need not be kept.
    """
    with np.errstate(invalid="ignore"):
        all_finite = math.isfinite(log_w.sum())
    candidates = log_w if floor == -math.inf else log_w[log_w > floor]
    counted = Summary(keep, n=len(log_w), top=_largest(candidates, keep))
    if not all_finite:
        present = np.isfinite(log_w)
        log_w, values = log_w[present], [value[present] for value in values]
    if not len(log_w):
        return counted
    mean = float(log_w.mean())
    counter = Counter.over(grid, float(log_w.min()), float(log_w.max()), layers=1 + len(values))
    powers = np.zeros(3)
    for start in range(0, len(log_w), CHUNK):
        part = slice(start, start + CHUNK)
        counter.count(log_w[part], [value[part] for value in values])
        powers += _powers(log_w[part] - mean)
    second, third, fourth = (float(power) for power in powers)
    return replace(
        counted,
        positive=len(log_w),
        mean=mean,
        powers=(second, third, fourth),
        bins=counter.filled(),
    )


def _largest(values: Array, keep: int) -> Array:
    if len(values) > keep:
        values = np.partition(values, len(values) - keep)[len(values) - keep :]
    return np.sort(values)


def _powers(centred: Array) -> tuple[float, float, float]:
    square = centred * centred
    second = float(square.sum())
    # Not by `@`: BLAS adds in an order that depends on the threads it has, and a worker has fewer.
    third = float((square * centred).sum())
    square *= square
    return second, third, float(square.sum())


def merge(one: Summary, other: Summary) -> Summary:
    """Return the summary of both; of the largest it keeps as many as the one that keeps fewer."""
    keep = min(one.keep, other.keep)
    counted = Summary(
        keep, n=one.n + other.n, top=_largest(np.concatenate([one.top, other.top]), keep)
    )
    if one.bins is None or other.bins is None:
        filled = other if one.bins is None else one
        return replace(filled, keep=keep, n=counted.n, top=counted.top)
    mean, powers = _merged_powers(one, other)
    return replace(
        counted,
        positive=one.positive + other.positive,
        mean=mean,
        powers=powers,
        bins=merge_bins(one.bins, other.bins),
    )


def _merged_powers(one: Summary, other: Summary) -> tuple[float, tuple[float, float, float]]:
    a, b = one.positive, other.positive
    (a2, a3, a4), (b2, b3, b4) = one.powers, other.powers
    gap = other.mean - one.mean
    share = gap / (a + b)
    second = a2 + b2 + gap * share * a * b
    third = a3 + b3 + gap * share**2 * a * b * (a - b) + 3 * share * (a * b2 - b * a2)
    fourth = (
        a4
        + b4
        + gap * share**3 * a * b * (a * a - a * b + b * b)
        + 6 * share**2 * (a * a * b2 + b * b * a2)
        + 4 * share * (a * b3 - b * a3)
    )
    return one.mean + share * b, (second, third, fourth)


def merge_all(summaries: Iterable[Summary], keep: int = KEEP) -> Summary:
    """Return the summary of all."""
    return reduce(merge, summaries, Summary(keep))

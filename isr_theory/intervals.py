"""How far the population may be from a batch: intervals for gamma, bands for Renyi divergences.

The variance of log w has a chi-square interval where log w is normal. Otherwise the delta method
speaks: with a and b the batch's means of w^g and w^2g, -log ESS = log b - 2 log a has to first
order

    variance  (E w^4g / b^2 - 1 - 4 (E w^3g / (a b) - 1) + 4 (b / a^2 - 1)) / n
    bias      ((b / a^2 - 1) - (E w^4g / b^2 - 1) / 2) / n

Both are estimated from the same batch, so that a tail which it has not shown is in neither: for
weights with a Pareto tail an interval at 95% may hold the population's gamma one time in five. The
error is taken on the scale of log(-log ESS), which is a line in log gamma for log-normal weights,
with Student's t for small batches. A small batch cannot tell a normal law from others, and one that
looks normal has a delta method that is too sure: `either_interval` then covers both.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from isr_theory.moments import LogMoments

Array = NDArray[np.float64]

# Steps of the grid on which an interval's ends are looked for: far finer than the interval is wide.
STEPS = 128
# A relative standard error of a third: about nine weights carry the moment.
SEEN = 1 / 3


def variance_interval(
    m: LogMoments, rho_min: float, level: float, gamma_min: float, gamma_max: float
) -> tuple[float, float]:
    """Return the interval of the closed form's gamma, exact for a normal log w."""
    from scipy.special import chdtri

    if m.positive < 2:
        return gamma_min, gamma_max
    target, squares = -math.log(rho_min), m.positive * m.central.variance
    ends = []
    for above in (1 - (1 - level) / 2, (1 - level) / 2):
        # chdtri returns the point that chi-square exceeds with this chance.
        point = float(chdtri(m.positive - 1, above))
        ends.append(math.sqrt(target * point / squares) if squares > 0 else math.inf)
    return _clipped(ends[0], gamma_min, gamma_max), _clipped(ends[1], gamma_min, gamma_max)


def gamma_interval(
    m: LogMoments, rho_min: float, level: float, gamma_min: float, gamma_max: float
) -> tuple[float, float]:
    """Return the gammas that the batch does not rule out: where -log ESS is near the target."""
    if m.positive < 2:
        return gamma_min, gamma_max
    target = -math.log(rho_min)
    # Where the batch has no feasible gamma, the population may have one anywhere.
    reach = min(gamma_max, 8 * m.exact_gamma(rho_min, gamma_max)) or gamma_max
    if reach == 0:
        return gamma_min, gamma_max
    gammas = reach * np.arange(STEPS + 1) / STEPS
    deficit, error = _deficit_and_error(m, reach / STEPS)
    factor = np.exp((student_point(level, m.positive) * error).clip(None, 700.0))
    low = _first_at(gammas, deficit * factor, target, gamma_max)
    high = _first_at(gammas, deficit / factor, target, gamma_max)
    return _clipped(low, gamma_min, gamma_max), _clipped(high, gamma_min, gamma_max)


def either_interval(
    m: LogMoments, rho_min: float, level: float, gamma_min: float, gamma_max: float
) -> tuple[float, float]:
    """Return the smallest interval with both in it: for a batch that looks normal, and may be."""
    found = [
        interval(m, rho_min, level, gamma_min, gamma_max)
        for interval in (variance_interval, gamma_interval)
    ]
    return min(low for low, _ in found), max(high for _, high in found)


def unseen(m: LogMoments, gamma: float) -> bool:
    """Return whether a few weights carry the batch's second moment of w^gamma, and so its ESS."""
    twice, four = m.log_mean(np.array([2 * gamma, 4 * gamma]))
    return bool(four - 2 * twice > math.log1p(SEEN**2 * m.n))


def _clipped(gamma: float, gamma_min: float, gamma_max: float) -> float:
    return min(max(gamma, gamma_min), gamma_max)


def _deficit_and_error(m: LogMoments, step: float) -> tuple[Array, Array]:
    """Return -log ESS, its bias taken off, and its relative error, on an even grid of gammas."""
    k = m.log_mean(step * np.arange(4.0 * STEPS + 1))
    grid = np.arange(STEPS + 1)
    one, two, three, four = (k[j * grid] for j in (1, 2, 3, 4))
    of_first, of_second = np.expm1(two - 2 * one), np.expm1(four - 2 * two)
    variance = of_second - 4 * np.expm1(three - two - one) + 4 * of_first
    bias = (of_first - of_second / 2) / m.n
    deficit = two - 2 * one
    error = np.sqrt(variance.clip(0.0) / m.n) / np.where(deficit > 0, deficit, 1.0)
    return deficit - bias, error


def _first_at(gammas: Array, level: Array, target: float, otherwise: float) -> float:
    """Return where `level` first comes up to the target, between two points of the grid."""
    above = np.flatnonzero(level >= target)
    if not above.size:
        return otherwise
    j = int(above[0])
    if j == 0:
        return float(gammas[0])
    share = (target - level[j - 1]) / (level[j] - level[j - 1])
    return float(gammas[j - 1] + share * (gammas[j] - gammas[j - 1]))


def renyi_error(m: LogMoments, order: float, level: float) -> float:
    """Return half the width of the band of D_order(pi||mu), by the delta method."""
    if order == math.inf:
        return math.inf
    if abs(order - 1) < 1 / 16:
        # 0/0 at 1: the error is smooth in the order, and a chord between two neighbours as good.
        share = 8 * (order - 15 / 16)
        below, beyond = (renyi_error(m, k / 16, level) for k in (15, 17))
        return (1 - share) * below + share * beyond
    k = m.log_mean(np.array([order, 2 * order, order + 1, 1.0, 2.0]))
    own = np.expm1(k[1] - 2 * k[0])
    shared = np.expm1(k[2] - k[0] - k[3])
    unit = np.expm1(k[4] - 2 * k[3])
    variance = max(0.0, float(own - 2 * order * shared + order**2 * unit))
    return normal_point(level) * math.sqrt(variance / m.n) / abs(order - 1)


def order_seen(m: LogMoments) -> float:
    """Return the largest order in [0, 2] whose moment has a relative standard error of a third."""
    if m.n == 1:
        return 0.0
    orders = np.arange(129) / 64
    k = m.log_mean(np.arange(257) / 64)
    # The variance of w^a over its squared mean rises in a, since K is convex.
    relative = np.expm1(k[::2] - 2 * k[:129])
    seen = np.flatnonzero(relative <= SEEN**2 * m.n)
    return float(orders[seen[-1]]) if seen.size else 0.0


def normal_point(level: float) -> float:
    """Return the point that a normal number exceeds in absolute value with chance 1 - level."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def student_point(level: float, n: int) -> float:
    """Return the same point for Student's t with n - 1 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2))

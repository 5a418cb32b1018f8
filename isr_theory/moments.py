"""What a diagnosis asks of a batch of log-weights, whether it is in memory or was summed up.

    K(a) = log mean w^a,     -log(ESS/n) at gamma = K(2 gamma) - 2 K(gamma)

`LogMoments` is the question; `Sample` answers it from an array in memory, the summary of a log
(`isr_theory.diagnose`) from sums that can be merged. The functions below it are the same for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isr_theory.logspace import checked_rows, shifted
from isr_theory.pareto import LEAST_TAIL, khat_of_top, quartile, tail_size
from isr_theory.sweep import log_mean_powers
from isr_theory.weights import gamma_star

Array = NDArray[np.float64]

# So close to order 1 the quotient of a Renyi divergence has lost half its digits.
NEAR_1 = 1e-5


class LogMoments(Protocol):
    """n weights, of which `positive` are not 0, by their moments and their largest.

    `top`, `log_mean` and `slope` may leave out a level common to all log-weights, all three the
    same: nothing that is made of them depends on it. `central` has it.
    """

    @property
    def n(self) -> int:
        """How many weights, zeros included."""

    @property
    def positive(self) -> int:
        """How many of them are above 0."""

    @property
    def central(self) -> Central:
        """Mean, variance, skewness and kurtosis of the finite log-weights."""

    @property
    def top(self) -> Array:
        """The largest log-weights in rising order: a Pareto tail and, where there is, one below."""

    def log_mean(self, orders: Array) -> Array:
        """Return K at orders >= 0."""

    def slope(self, order: float) -> float:
        """Return K'(order), the mean of log w under the law tilted by w^order."""

    def exact_gamma(self, rho_min: float, gamma_max: float) -> float:
        """Return the root of the sample's ESS at the target, 0 where none is feasible."""


@dataclass(frozen=True)
class Central:
    """Central moments of log w, with ddof = 0; a law that does not vary has no skewness: 0."""

    mean: float
    variance: float
    skewness: float
    kurtosis: float
    """Excess kurtosis: 0 for a normal law."""


@dataclass(frozen=True)
class Sample:
    """One batch of log-weights in memory, less their largest; see `sample`.

    A level common to all, carried along, would cost the digits that it has before the point.
    """

    log_w: Array = field(repr=False)
    finite: Array = field(repr=False)
    central: Central

    @property
    def n(self) -> int:
        """How many weights, zeros included."""
        return len(self.log_w)

    @property
    def positive(self) -> int:
        """How many of them are above 0."""
        return len(self.finite)

    @property
    def top(self) -> Array:
        """The largest log-weights in rising order."""
        kept = min(tail_size(self.n) + 1, self.n)
        return np.sort(np.partition(self.log_w, self.n - kept)[self.n - kept :])

    def log_mean(self, orders: Array) -> Array:
        """Return K at orders >= 0; a sweep where they are an even grid from 0."""
        step = orders[1] - orders[0] if len(orders) > 2 else 0.0
        # An even grid is made by one multiplication each, so that equality is exact.
        if step > 0 and np.array_equal(orders, step * np.arange(len(orders))):
            return log_mean_powers(self.log_w, step, len(orders))
        return np.array([self._log_mean(a) for a in orders])

    def _log_mean(self, order: float) -> float:
        top = self.finite.max()
        return float(np.log(np.exp(order * (self.finite - top)).sum() / self.n) + order * top)

    def slope(self, order: float) -> float:
        """Return K'(order)."""
        tilt = np.exp(order * (self.finite - self.finite.max()))
        return float(tilt @ self.finite / tilt.sum())

    def exact_gamma(self, rho_min: float, gamma_max: float) -> float:
        """Return the root of the sample's ESS at the target."""
        return float(gamma_star(self.log_w, rho_min, method="exact", gamma_max=gamma_max))


def sample(log_w: Any) -> Sample:
    """Return a batch of log-weights, ready to be asked; a tensor is copied to the host.

    Raises ValueError for NaN or +inf (with its index), no weights, no positive weight, and for
    more than one axis; TypeError for what is not real numbers.
    """
    rows = checked_rows(log_w)
    if rows.ndim != 1:
        raise ValueError(f"log_w must have one axis, not {rows.ndim}")
    values = np.asarray(rows if isinstance(rows, np.ndarray) else rows.cpu(), dtype=np.float64)
    level = float(values.max())
    below = shifted(values)
    finite = below[np.isfinite(below)]
    central = central_moments(finite)
    return Sample(below, finite, replace(central, mean=level + central.mean))


def central_moments(values: Array) -> Central:
    """Return the central moments of finite numbers, of any size that their squares may not have."""
    mean = float((values / len(values)).sum())
    centred = values - mean
    scale = float(np.abs(centred).max())
    if scale == 0:
        return Central(mean, 0.0, 0.0, 0.0)
    unit = centred / scale
    square = unit * unit
    second, third = float(square.mean()), float((square * unit).mean())
    fourth = float((square * square).mean())
    return Central(
        mean, scale * scale * second, third / second**1.5, fourth / (second * second) - 3
    )


def deficit(m: LogMoments, gamma: float) -> float:
    """Return -log(ESS/n) of w^gamma."""
    once, twice = m.log_mean(np.array([gamma, 2 * gamma]))
    # Convexity makes it at least 0; rounding may not.
    return max(0.0, float(twice - 2 * once))


def ess(m: LogMoments, gamma: float) -> float:
    """Return ESS/n of w^gamma."""
    return math.exp(-deficit(m, gamma))


def tilted_kl(m: LogMoments, gamma: float) -> float:
    """Return KL(nu_gamma || mu) = gamma K'(gamma) - K(gamma), nu_gamma ~ mu w^gamma."""
    return max(0.0, gamma * m.slope(gamma) - float(m.log_mean(np.array([gamma]))[0]))


def kl_mu_pi(m: LogMoments) -> float:
    """Return KL(mu || pi) = -mean log w, for normalised pi and mu; +inf where some weight is 0."""
    return -m.central.mean if m.positive == m.n else math.inf


def kl_pi_mu(m: LogMoments) -> float:
    """Return KL(pi || mu) = K'(1) - K(1), the Renyi divergence at order 1."""
    return tilted_kl(m, 1.0)


def renyi(m: LogMoments, order: float) -> float:
    """Return D_order(pi||mu) = (K(order) - order K(1)) / (order - 1), weights normalised."""
    t = order - 1
    at_one = float(m.log_mean(np.array([1.0]))[0])
    if order == math.inf:
        return max(0.0, float(m.top[-1]) - at_one)
    if abs(t) < NEAR_1:
        # The quotient (K(order) - K(1)) / t is the mean of K' between them: Gauss's two points
        # have it to t^4, and lose no digits.
        points = (1 + t * (1 - 3**-0.5) / 2, 1 + t * (1 + 3**-0.5) / 2)
        return max(0.0, sum(m.slope(point) for point in points) / 2 - at_one)
    return max(0.0, float(m.log_mean(np.array([order]))[0] - order * at_one) / t)


def khat(m: LogMoments, gamma: float = 1.0) -> float:
    """Return the Pareto index of w^gamma, estimated anew, not scaled from that of w.

    +inf where the tail is too short to tell, or has no scale, -inf where its weights are all equal.
    """
    return khat_of_top(_tail(m, gamma))


def scale_lost(m: LogMoments, gamma: float = 1.0) -> bool:
    """Return whether the tail of w^gamma has no index since it underflows beside the largest."""
    tail = _tail(m, gamma)
    if khat_of_top(tail) != math.inf or len(tail) <= LEAST_TAIL:
        return False
    # What is equal is tied, not lost.
    return bool(tail[quartile(len(tail) - 1) + 1] > tail[0])


def _tail(m: LogMoments, gamma: float) -> Array:
    """Return the log-weights of the tail of w^gamma, which is that of w, and one below it."""
    size = min(tail_size(m.n), len(m.top) - 1)
    tail = m.top[-size - 1 :]
    return np.where(tail == -math.inf, tail, gamma * np.where(tail == -math.inf, 0.0, tail))

"""The Pareto index of a sample of weights, and weights whose tail is smoothed by it.

Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling, JMLR 25(72):
a generalised Pareto law is fitted to the largest weights (Zhang and Stephens 2009, a posterior
mean over a grid), with a weak prior that pulls its shape k to 1/2. Everything here takes log
*weights*, large where a weight is large; some packages take log likelihoods and negate them.

k says how many moments there are: below 1/2 the variance of the weights is finite, below 1 their
mean. The estimate of k is not that of w^gamma divided by gamma in a finite sample, since the prior
pulls both to 1/2: estimate it again after flattening.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isr_theory.logspace import checked_rows, plain, shifted

Array = NDArray[np.float64]

LEAST_TAIL = 5
"""Fewer tail weights than this fit nothing."""
LEAST_SCALE = 1e-290
"""An exceedance this small beside the largest, which is at most 1, is lost: 1/x would overflow."""
PRIOR_WEIGHT, PRIOR_SHAPE, PRIOR_SCALE = 10, 0.5, 3
CHUNK = 1 << 22
"""Grid cells (rows x grid x tail) that are evaluated at once."""


class Smoothed(NamedTuple):
    """Pareto smoothed log-weights, normalised to sum 1 in weight, and the index of their tail."""

    log_weights: Any
    khat: Any


def tail_size(n: int, r_eff: float = 1.0) -> int:
    """Return how many of n weights make the tail: 3 sqrt(n / r_eff), or n / 5 where n is small."""
    if n * r_eff > 225:
        return int(3 * (n / r_eff) ** 0.5)
    return n // 5


def pareto_khat(log_w: Any, *, r_eff: float = 1.0, axis: int = -1) -> Any:
    """Estimate the Pareto index k of the upper tail of weights.

    `r_eff` is the relative efficiency of dependent draws, 1 for independent ones. Where the tail
    has fewer than five weights, or a quarter of them has no scale, nothing can be said and the
    result is +inf; where its weights are all equal there is no tail, and it is -inf. A tensor is
    copied to the host. Raises as `ess_ratio`, and for r_eff <= 0.
    """
    rows = _flat(_checked(log_w, axis))
    size = _size(rows, r_eff)
    khat = np.full(len(rows), np.inf)
    if size >= LEAST_TAIL:
        below = shifted(rows)
        # Only the tail and the weight below it matter: a full sort of all n would be wasted.
        top = np.partition(below, -size - 1, axis=-1)[:, -size - 1 :]
        khat = _fit_tails(np.sort(np.exp(top), axis=-1))[0]
    return plain(khat.reshape(_outer(log_w, axis)))


def khat_of_top(top: Array) -> float:
    """Estimate k from sorted log-weights, of which the first is the largest one below the tail.

    For a tail that was kept while the rest was not. Edge values as for `pareto_khat`.
    """
    if len(top) <= LEAST_TAIL:
        return float("inf")
    return float(_fit_tails(np.exp(top - top[-1])[None, :])[0][0])


def psis_log_weights(log_w: Any, *, r_eff: float = 1.0, axis: int = -1) -> Smoothed:
    """Return log-weights whose largest are replaced by quantiles of the fitted tail.

    Smoothed weights are never above the largest raw one, and are normalised: exp sums to 1. Where
    no tail can be fitted (see `pareto_khat`) the weights are only normalised. A tensor is copied to
    the host, and numpy arrays come back.
    """
    checked = _checked(log_w, axis)
    rows = shifted(_flat(checked))
    size = _size(rows, r_eff)
    khat = np.full(len(rows), np.inf)
    if size >= LEAST_TAIL:
        top = np.argpartition(rows, -size - 1, axis=-1)[:, -size - 1 :]
        by_level = np.argsort(np.take_along_axis(rows, top, axis=-1), axis=-1)
        order = np.take_along_axis(top, by_level, axis=-1)
        tail = np.exp(np.take_along_axis(rows, order, axis=-1))
        khat, sigma = _fit_tails(tail)
        smooth = _quantiles(size, khat, sigma) + tail[:, :1]
        fitted = np.isfinite(khat)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            levels = np.minimum(np.log(smooth), 0.0)
        levels = np.where(fitted, levels, np.take_along_axis(rows, order[:, 1:], axis=-1))
        np.put_along_axis(rows, order[:, 1:], levels, axis=-1)
    # The largest may now be below 0, but not by much: one shift keeps the sum from underflowing.
    rows -= rows.max(axis=-1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=-1, keepdims=True))
    return Smoothed(
        np.moveaxis(rows.reshape(checked.shape), -1, axis),
        plain(khat.reshape(_outer(log_w, axis))),
    )


def khat_threshold(n: int) -> float:
    """Return the k up to which n weights give a reliable mean: min(1 - 1/log10 n, 0.7)."""
    return float(min(1 - 1 / np.log10(_count(n)), 0.7))


def min_sample_size(khat: float) -> float:
    """Return how many weights a tail of index k needs: 10^(1 / (1 - max(0, k))), inf for k >= 1."""
    if np.isnan(khat):
        raise ValueError("khat must be a number, not nan")
    # Past 1 - 1/308 the count leaves float64.
    return float(10 ** (1 / (1 - max(0.0, khat)))) if khat < 1 - 1 / 308 else float("inf")


def convergence_rate(khat: float, n: int) -> float:
    """Return how the error of a mean of n weights falls, 1 for n^(-1/2), 0 for not at all.

    Appendix B of the paper: 1 for k <= 0, 0 for k >= 1, and between them
    (2 (k-1) n^(2k+1) + (1-2k) n^(2k) + n^2) / ((n-1) (n - n^(2k))), at least 0. At 1/2 it is 0/0
    and this is its limit, (n (log n - 1) + 1) / ((n - 1) log n); elsewhere one finds 1 - 1/log n,
    which is that for large n.
    """
    size = float(_count(n))
    if np.isnan(khat):
        raise ValueError("khat must be a number, not nan")
    if khat <= 0:
        return 1.0
    if khat >= 1:
        return 0.0
    # At 1/2 the quotient is 0/0; so close to it, it has lost all its digits.
    if abs(khat - 0.5) < 1e-7:
        log_n = np.log(size)
        return float((size * (log_n - 1) + 1) / ((size - 1) * log_n))
    power = size ** (2 * khat)
    above = 2 * (khat - 1) * power * size + (1 - 2 * khat) * power + size**2
    return float(max(0.0, above / ((size - 1) * (size - power))))


def _checked(log_w: Any, axis: int) -> Array:
    rows = checked_rows(log_w, axis)
    return np.asarray(rows if isinstance(rows, np.ndarray) else rows.cpu(), dtype=np.float64)


def _count(n: int) -> int:
    if not n >= 2:
        raise ValueError(f"n must be at least 2, not {n}")
    return n


def _size(rows: Array, r_eff: float) -> int:
    if not 0 < r_eff < np.inf:
        raise ValueError(f"r_eff must be a positive number, not {r_eff}")
    n: int = rows.shape[-1]
    return min(tail_size(n, r_eff), n - 1)


def _flat(rows: Array) -> Array:
    return rows.reshape(-1, rows.shape[-1])


def _outer(log_w: Any, axis: int) -> tuple[int, ...]:
    shape: tuple[int, ...] = np.shape(log_w)
    kept = axis % len(shape)
    return shape[:kept] + shape[kept + 1 :]


def _fit_tails(top: Array) -> tuple[Array, Array]:
    """Fit each row: sorted weights, of which the first is the largest one below the tail."""
    excess = top[:, 1:] - top[:, :1]
    size = excess.shape[-1]
    khat, sigma = np.where(excess[:, -1] > 0, np.inf, -np.inf), np.zeros(len(top))
    # A quarter of the tail equal to the weight below it, or lost in the shadow of the largest,
    # leaves the grid without a scale.
    usable = np.flatnonzero(
        (excess[:, 0] < excess[:, -1]) & (excess[:, quartile(size)] > LEAST_SCALE)
    )
    step = max(1, CHUNK // (size * _grid_size(size)))
    for start in range(0, len(usable), step):
        part = usable[start : start + step]
        khat[part], sigma[part] = _fit(excess[part])
    return khat, sigma


def quartile(size: int) -> int:
    """Return the place of the lower quartile among sorted exceedances, which gives the scale."""
    return int(size / 4 + 0.5) - 1


def _grid_size(size: int) -> int:
    return 30 + int(size**0.5)


def _fit(excess: Array) -> tuple[Array, Array]:
    """Return shape and scale of the generalised Pareto law of sorted exceedances, row by row."""
    size = excess.shape[-1]
    m = _grid_size(size)
    spread = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
    grid = spread / (PRIOR_SCALE * excess[:, [quartile(size)]]) + 1 / excess[:, -1:]
    shapes = np.log1p(-grid[:, :, None] * excess[:, None, :]).sum(axis=-1) / size
    log_likelihood = size * (np.log(-grid / shapes) - shapes - 1)
    posterior = np.exp(log_likelihood - log_likelihood.max(axis=-1, keepdims=True))
    posterior /= posterior.sum(axis=-1, keepdims=True)
    # What is below rounding is left out, as the reference implementations do.
    posterior[posterior < 10 * np.finfo(np.float64).eps] = 0.0
    posterior /= posterior.sum(axis=-1, keepdims=True)
    rate = np.vecdot(grid, posterior)
    shape = np.log1p(-rate[:, None] * excess).sum(axis=-1) / size
    weighted = (size * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (size + PRIOR_WEIGHT)
    return weighted, -shape / rate


def _quantiles(size: int, khat: Array, sigma: Array) -> Array:
    """Return the quantiles at (i - 1/2)/size of each fitted law, 0 where none was fitted."""
    level = -np.log1p(-(np.arange(size) + 0.5) / size)
    shape = np.where(np.isfinite(khat) & (khat != 0), khat, 1.0)[:, None]
    bent = sigma[:, None] * np.expm1(shape * level) / shape
    return np.where((khat == 0)[:, None], sigma[:, None] * level, bent)

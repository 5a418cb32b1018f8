"""A log's cumulants, moments and ESS with intervals: prompts are resampled, not sequences.

    K(a) = log mean w^a,     log(ESS/n) at gamma = 2 K(gamma) - K(2 gamma)

Responses to one prompt hang together, so that the prompt is the unit of replication. A replicate is
a vector of counts, how often each sequence's prompt was drawn; row 0 of every table is the log
itself, every count 1. What is measured is then a few matrix products, and an interval is
`[value, low, high]`, the ends percentiles of the other rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
LEVEL = 0.95


def counts(prompt: ArrayLike, replicates: int, seed: int) -> Array:
    """Return (replicates + 1, n) counts of sequences: those of the log, then of resampled prompts.

    Raises ValueError for fewer than two prompts, of which nothing can be resampled.
    """
    groups, of = np.unique(np.asarray(prompt), return_inverse=True)
    if len(groups) < 2:
        raise ValueError(f"prompt must name at least two prompts, not {len(groups)}")
    drawn = np.random.default_rng(seed).multinomial(
        len(groups), np.full(len(groups), 1 / len(groups)), size=replicates
    )
    table: Array = np.concatenate([np.ones((1, len(groups))), drawn])[:, of]
    return table


def cumulants(log_w: ArrayLike, weights: Array) -> Array:
    """Return (rows, 4): mean, variance, third and fourth cumulant of log w, row by row of counts.

    With divisor n, as the closed form takes them (Theorem 8.3).
    """
    x = np.asarray(log_w, dtype=np.float64)
    total = weights.sum(-1)
    # About the log's own mean, so that raw moments keep their digits.
    level = float(x.mean())
    raw = [weights @ (x - level) ** k / total for k in (1, 2, 3, 4)]
    m, second = raw[0], raw[1] - raw[0] ** 2
    third = raw[2] - 3 * m * raw[1] + 2 * m**3
    fourth = raw[3] - 4 * m * raw[2] + 6 * m**2 * raw[1] - 3 * m**4
    return np.stack([level + m, second, third, fourth - 3 * second**2], axis=-1)


def shape(found: Array) -> tuple[Array, Array]:
    """Return skewness and excess kurtosis from a table of cumulants."""
    return found[:, 2] / found[:, 1] ** 1.5, found[:, 3] / found[:, 1] ** 2


def divergence(log_w: ArrayLike, weights: Array) -> Array:
    """Return KL(mu || pi) of each row: -mean log w, what E_mu[w] = 1 tells of its error taken off.

    -mean log w + c (mean w - 1), unbiased for every c; the log's own least-squares c, near 1 for
    policies near mu, leaves an error of the order of sigma^2 there in place of sigma.
    """
    x = np.asarray(log_w, dtype=np.float64)
    w = np.exp(x)
    c = float(np.cov(x, w)[0, 1] / w.var(ddof=1)) if w.std() > 0 else 0.0
    found: Array = weights @ (c * (w - 1) - x) / weights.sum(-1)
    return found


def log_means(log_w: ArrayLike, weights: Array, orders: Sequence[float]) -> Array:
    """Return (rows, orders): K at each order."""
    x = np.asarray(log_w, dtype=np.float64)
    top = float(x.max())
    powers = np.exp(np.multiply.outer(x - top, np.asarray(orders)))
    means: Array = np.log(weights @ powers / weights.sum(-1, keepdims=True))
    return means + top * np.asarray(orders)


def log_ess(log_w: ArrayLike, weights: Array, gammas: Sequence[float]) -> Array:
    """Return (rows, gammas): log(ESS/n) of w^gamma."""
    grid = np.asarray(gammas, dtype=np.float64)
    found = log_means(log_w, weights, [*grid, *(2 * grid)])
    return 2 * found[:, : len(grid)] - found[:, len(grid) :]


def interval(rows: ArrayLike, level: float = LEVEL) -> list[float]:
    """Return [value, low, high]: of row 0, and the percentiles of the others."""
    table = np.asarray(rows, dtype=np.float64)
    low, high = np.quantile(table[1:], [(1 - level) / 2, (1 + level) / 2])
    return [float(table[0]), float(low), float(high)]


def slope(x: ArrayLike, y: ArrayLike) -> Array:
    """Return the least-squares slope of each row of y against x."""
    grid = np.asarray(x, dtype=np.float64)
    away = grid - grid.mean()
    found: Array = np.asarray(y, dtype=np.float64) @ away / (away @ away)
    return found

"""Log-weights to ask with, the ESS they have by definition, and what rounding may do to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from isr_theory.testing.relations import Array, Function, Relation, Sides

# Added to log-weights. A shift that no sum of theirs hides; a lead e^100 to 1, so that what the
# others still have in the ESS is far below the rounding of any arithmetic.
SHIFT, LEAD = 7.25, 100.0


def log_weights() -> list[Array]:
    """Return asymmetric log-weights: skewed both ways, tiny, huge, with zeros, one, equal."""
    rng = np.random.default_rng(20260109)
    skewed = rng.exponential(1.5, 40)
    return [
        np.array([0.5, -1.0, 1.5, -0.5, 2.75]),
        skewed,
        -skewed,
        2 * rng.standard_normal(64) - 2,
        np.array([-np.inf, 0.0, 1.0, -np.inf, 3.0]),
        np.array([9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        np.array([1e4, 9.99e3, -1e4, 0.0]),
        np.array([5e-310, 0.0, -1e-12]),
        np.array([3.0]),
        np.full(7, -2.5),
    ]


def rows_of(batches: Iterable[ArrayLike] | None) -> list[Array]:
    """Return the samples given as arrays, `log_weights` where none are."""
    if batches is None:
        return log_weights()
    return [np.array(row, dtype=np.float64) for row in batches]


def defined_ess(log_w: Array, gamma: float) -> float:
    """Return ESS/n from its definition, (sum w^gamma)^2 / (n sum w^(2 gamma)), largest weight 1."""
    positive = np.isfinite(log_w)
    # A solver under test may come here with a gamma far below 0: infinities, then a NaN, are right.
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(gamma * (log_w[positive] - log_w[positive].max()))
        return float(powers.sum() ** 2 / (len(log_w) * (powers * powers).sum()))


def positive_share(log_w: Array) -> float:
    """Return the share of weights above 0: ESS/n at gamma = 0, which no gamma exceeds."""
    return float(np.isfinite(log_w).mean())


def ess_slack(precision: float, log_w: Array, gamma: float = 1.0) -> float:
    """Return how far rounding may carry an ESS/n.

    Moving every log-weight by d moves log ESS by at most 4 gamma d. Rounding moves it by precision
    times its size, once each for reading, shifting and multiplying it and for what a log-sum-exp
    subtracts and adds back; a sum of n terms adds n roundings. All of it, on both sides of a
    relation, is less than 64 roundings of size + n, the size counted after the largest shift.
    """
    size = LEAD + float(np.abs(log_w[np.isfinite(log_w)]).max())
    return 64 * precision * (size + len(log_w))


def _refused(left: Any, right: Any, slack: float) -> bool:
    return bool(np.isnan(left))


def _on_nan(function: Function, log_w: Array, number: float) -> Sides:
    """Return what a function makes of a NaN among the log-weights; NaN also where it raises."""
    try:
        answer = function(np.append(log_w, np.nan), number)
    except Exception:
        answer = np.nan
    return answer, np.nan


def _after(function: Function, log_w: Array, number: float) -> Sides:
    given = log_w.copy()
    function(given, number)
    return given, log_w


# Of whatever takes log-weights and a number.
NOT_SILENT = Relation("NaN", "a NaN among the log-weights is not passed over", _on_nan, _refused)
UNTOUCHED = Relation("input", "the caller's array stays as it was", _after)

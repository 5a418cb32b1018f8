"""Flattened importance weights w^gamma, in the log domain: ESS, moments, Renyi, choosing gamma.

Everything takes log-weights, log w = log pi - log mu, along one axis, and never leaves the log
domain, so |log w| of 10,000 is as good as 1. A weight of exactly 0, log w = -inf, is legal: w^gamma
is 0 there for every gamma, 0 included, so the ESS at gamma = 0 is the share of positive weights.
NaN and +inf are errors that name where they stand.

    ESS/n at gamma = (sum w^gamma)^2 / (n sum w^(2 gamma))        (sections 8.1 and 8.2)
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Method = Literal["lognormal", "exact"]

# Newton on a bracket halves it at worst; 1,100 halvings would exhaust the exponents of float64, and
# Newton needs fewer than ten near the root. Past this count the bracket is already at rounding.
MAX_STEPS = 1100


def checked_rows(log_w: ArrayLike, axis: int) -> Array:
    """Return log-weights as float64 with the working axis last, or say what is wrong with them."""
    values = np.asarray(log_w)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"log_w must be real numbers, not {values.dtype}")
    if values.ndim == 0:
        raise ValueError("log_w must have at least one axis, not a single number")
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be in [-{values.ndim}, {values.ndim}), not {axis}")
    values = values.astype(np.float64)
    bad = np.isnan(values) | (values == np.inf)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = place[0] if len(place) == 1 else place
        raise ValueError(f"log_w[{where}] is {values[place]}: finite numbers or -inf are allowed")
    rows = np.moveaxis(values, axis, -1)
    if rows.shape[-1] == 0:
        raise ValueError("log_w is empty along its axis: at least one weight is needed")
    if (rows == -np.inf).all(axis=-1).any():
        raise ValueError("log_w is -inf everywhere along its axis: some weight must be positive")
    return rows


def _exponent(name: str, value: float) -> float:
    if not np.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value}")
    return float(value)


def _scaled(rows: Array, exponent: float | Array) -> Array:
    """Return exponent * log w, with log 0 = -inf kept at every exponent of either sign or 0."""
    finite = np.isfinite(rows)
    return np.where(finite, exponent * np.where(finite, rows, 0.0), -np.inf)


def _log_sum_exp(terms: Array) -> Array:
    top = terms.max(axis=-1, keepdims=True)
    total: Array = np.log(np.exp(terms - top).sum(axis=-1)) + top[..., 0]
    return total


def plain(values: Array) -> Any:
    """Return a float for a single number and an array otherwise."""
    return float(values) if values.ndim == 0 else values


def normalized_weights(log_w: ArrayLike, gamma: float = 1.0, *, axis: int = -1) -> Array:
    """Return w^gamma / sum w^gamma along an axis, in the shape of the input.

    Raises ValueError for NaN or +inf (with its index), an empty axis, or no positive weight, and
    for a gamma that is not finite; TypeError for what is not real numbers.
    """
    terms = _scaled(checked_rows(log_w, axis), _exponent("gamma", gamma))
    weights = np.exp(terms - terms.max(axis=-1, keepdims=True))
    return np.moveaxis(weights / weights.sum(axis=-1, keepdims=True), -1, axis)


def log_moment(log_w: ArrayLike, alpha: float, *, axis: int = -1) -> Any:
    """Return log of the sample mean of w^alpha, an estimate of log E_mu[w^alpha].

    At alpha = 0 it is the log of the share of positive weights. A float for one axis, an array for
    a batch. Raises as `normalized_weights`.
    """
    rows = checked_rows(log_w, axis)
    return plain(_log_mean_power(rows, _exponent("alpha", alpha)))


def _log_mean_power(rows: Array, alpha: float) -> Array:
    if alpha < 0 and (rows == -np.inf).any():
        raise ValueError(f"alpha={alpha} is negative and some weight is 0: the moment is infinite")
    mean: Array = _log_sum_exp(_scaled(rows, alpha)) - np.log(rows.shape[-1])
    return mean


def ess_ratio(log_w: ArrayLike, gamma: float = 1.0, *, axis: int = -1) -> Any:
    """Return Kish's ESS/n of w^gamma, in [1/n, 1] (Definition 8.1).

    Exactly 1 for equal weights, and non-increasing in gamma >= 0 for every sample. Raises as
    `normalized_weights`, and for gamma < 0.
    """
    if _exponent("gamma", gamma) < 0:
        raise ValueError(f"gamma must be at least 0, not {gamma}")
    rows = _shifted(checked_rows(log_w, axis))
    return plain(np.exp(_log_ess(rows, np.float64(gamma))[0]))


def renyi_divergence(log_w: ArrayLike, alpha: float, *, axis: int = -1) -> Any:
    """Estimate D_alpha(pi || mu) in nats from log-weights drawn under mu (Definition 6.1).

    The weights are first normalised to mean 1, so that the estimate is 0 for equal weights and
    non-decreasing in alpha. alpha = 1 is the limit, mean(w log w); alpha = 0 is -log of the share
    of positive weights; alpha = inf is the log of the largest weight. Raises ValueError for
    alpha < 0 or NaN, and as `normalized_weights`.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must be at least 0, not {alpha}")
    rows = checked_rows(log_w, axis)
    rows = rows - _log_mean_power(rows, 1.0)[..., None]
    if alpha == np.inf:
        return plain(rows.max(axis=-1))
    if alpha == 1.0:
        finite = np.where(np.isfinite(rows), rows, 0.0)
        return plain((np.exp(rows) * finite).mean(axis=-1))
    return plain(_log_mean_power(rows, float(alpha)) / (alpha - 1))


def gamma_star(
    log_w: ArrayLike, rho_min: float = 0.3, *, method: Method = "exact", axis: int = -1
) -> Any:
    """Return the largest gamma in [0, 1] that keeps ESS/n at rho_min.

    `lognormal` is Theorem 8.3, min(1, sqrt(-log rho_min / Var log w)), with the population
    variance (ddof = 0) of the finite entries: right for the population if log w is normal, and no
    guarantee otherwise. `exact` is the root of the sample's own ESS, by Newton's method on log ESS
    inside a bracket; the sample meets the target, up to rounding. Neither speaks for the
    population: in small batches the sample's ESS is optimistic.

    One weight, or equal weights, give 1. Where even gamma = 0 falls short, because the share of
    positive weights is below rho_min, no gamma is feasible and `exact` returns 0. Raises
    ValueError for rho_min outside (0, 1), an unknown method, and as `normalized_weights`.
    """
    if not 0 < rho_min < 1:
        raise ValueError(f"rho_min must be in (0, 1), not {rho_min}")
    if method not in ("lognormal", "exact"):
        raise ValueError(f"method must be 'lognormal' or 'exact', not {method!r}")
    rows = checked_rows(log_w, axis)
    start = _lognormal_gamma(rows, rho_min)
    return plain(start if method == "lognormal" else _exact_gamma(rows, np.log(rho_min), start))


def _lognormal_gamma(rows: Array, rho_min: float) -> Array:
    finite = np.isfinite(rows)
    # Scaling by the largest deviation keeps the square of 1e200 from overflowing.
    centred = np.where(finite, rows, 0.0)
    count = finite.sum(axis=-1, keepdims=True)
    centred = np.where(finite, rows - centred.sum(axis=-1, keepdims=True) / count, 0.0)
    scale = np.abs(centred).max(axis=-1, keepdims=True)
    unit = centred / np.where(scale > 0, scale, 1.0)
    spread = scale[..., 0] * np.sqrt((unit * unit).sum(axis=-1) / count[..., 0])
    cap = np.sqrt(-np.log(rho_min))
    rule: Array = cap / np.maximum(spread, cap)
    return rule


def _shifted(rows: Array) -> Array:
    """Return log-weights whose largest is 0: the ESS is the same, its rounding smaller."""
    shifted: Array = rows - rows.max(axis=-1, keepdims=True)
    return shifted


def _log_ess(rows: Array, gamma: Array | np.float64) -> tuple[Array, Array]:
    """Return log ESS/n and its derivative, 2 (E_gamma[log w] - E_2gamma[log w]), by rows."""
    exponent = np.asarray(gamma)[..., None]
    once, twice = _scaled(rows, exponent), _scaled(rows, 2 * exponent)
    log_first, log_second = _log_sum_exp(once), _log_sum_exp(twice)
    level = np.where(np.isfinite(rows), rows, 0.0)
    mean = (np.exp(once - log_first[..., None]) * level).sum(axis=-1)
    mean_twice = (np.exp(twice - log_second[..., None]) * level).sum(axis=-1)
    # Equal weights give exactly n; rounding may otherwise carry the ratio an ulp past 1.
    log_ess = np.minimum(2 * log_first - log_second - np.log(rows.shape[-1]), 0.0)
    return log_ess, 2 * (mean - mean_twice)


def _exact_gamma(rows: Array, log_rho: float, start: Array) -> Array:
    rows = _shifted(rows)
    shape = rows.shape[:-1]
    low, high = np.zeros(shape), np.ones(shape)
    feasible = np.log(np.isfinite(rows).mean(axis=-1)) >= log_rho
    settled = ~feasible | (_log_ess(rows, high)[0] >= log_rho)
    answer = np.where(feasible, 1.0, 0.0)
    gamma = start
    for _ in range(MAX_STEPS):
        if settled.all():
            break
        value, slope = _log_ess(rows, gamma)
        above = value >= log_rho
        low, high = np.where(above, gamma, low), np.where(above, high, gamma)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = gamma - (value - log_rho) / slope
        step = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        answer = np.where(settled, answer, step)
        settled |= np.abs(step - gamma) <= 2e-16 * gamma
        gamma = step
    return answer

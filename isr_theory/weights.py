"""Flattened importance weights w^gamma, in the log domain: ESS, moments, Renyi, choosing gamma.

Everything takes log-weights, log w = log pi - log mu, along one axis, as numpy arrays or torch
tensors on any device, and never leaves the log domain, so |log w| of 10,000 is as good as 1. A
weight of exactly 0, log w = -inf, is legal: w^gamma is 0 there for every gamma, 0 included, so the
ESS at gamma = 0 is the share of positive weights.

    ESS/n at gamma = (sum w^gamma)^2 / (n sum w^(2 gamma))        (sections 8.1 and 8.2)

numpy: computed in float64; a float comes back for one axis, an array for a batch. torch: float32
and float64 keep their precision, narrower floats are computed in float32, integers in float64; a
tensor on the same device comes back, without a gradient. `validate=True` raises for NaN and +inf,
naming where, which makes the host wait for a device; `validate=False` does not look: nothing
waits, `torch.compile(fullgraph=True)` works, and what a bad row gives is NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isr_theory import solver
from isr_theory.logspace import (
    checked_rows,
    log_mean_power,
    log_sum_exp,
    namespace,
    plain,
    quiet,
    scaled,
    shifted,
)
from isr_theory.rule import METHODS, Method, check_rule
from isr_theory.sweep import log_mean_powers
from isr_theory.vector import as_vector, vector_gamma

# So close to order 1 a Renyi divergence is a quotient of two small numbers.
NEAR_1 = 0.125

__all__ = [
    "METHODS",
    "Method",
    "ess_ratio",
    "gamma_star",
    "log_moment",
    "log_moments",
    "max_weight_ratio",
    "normalized_weights",
    "perplexity_ratio",
    "renyi_divergence",
]


def normalized_weights(
    log_w: Any, gamma: Any = 1.0, *, axis: int = -1, validate: bool = True
) -> Any:
    """Return w^gamma / sum w^gamma along an axis, in the shape of the input.

    Raises ValueError for NaN or +inf (with its index), an empty axis, or no positive weight, and
    for a gamma that is not finite; TypeError for what is not real numbers.
    """
    rows = checked_rows(log_w, axis, validate=validate)
    xp = namespace(rows)
    own = xp.exp(_log_normalized(rows, _gamma(gamma, rows, -math.inf, validate=validate)))
    return xp.moveaxis(own, -1, axis)


def _log_normalized(rows: Any, gamma: Any) -> Any:
    terms = scaled(shifted(rows), gamma)
    return terms - log_sum_exp(terms)[..., None]


def log_moment(log_w: Any, alpha: float, *, axis: int = -1, validate: bool = True) -> Any:
    """Return log of the sample mean of w^alpha, an estimate of log E_mu[w^alpha].

    At alpha = 0 it is the log of the share of positive weights. Raises as `normalized_weights`,
    and for alpha < 0 where some weight is 0 (unless not validating: then it is +inf).
    """
    rows = checked_rows(log_w, axis, validate=validate)
    moment = log_mean_power(rows, _finite("alpha", alpha))
    if validate and alpha < 0 and bool((rows == -math.inf).any()):
        raise ValueError(f"alpha={alpha} is negative and some weight is 0: the moment is infinite")
    return plain(moment)


def log_moments(log_w: Any, step: float, count: int) -> Any:
    """Return log of the sample means of w^0, w^step, ..., w^((count - 1) step) of one numpy vector.

    A sweep over an even grid of exponents costs two multiplications a power instead of an
    exponential; accurate to about `count` roundings. Raises as `log_moment`, ValueError for a step
    that is not positive and a count below 1.
    """
    if not 0 < step < math.inf:
        raise ValueError(f"step must be a positive number, not {step}")
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    rows = checked_rows(log_w)
    if not isinstance(rows, np.ndarray) or rows.ndim != 1:
        raise ValueError("log_w must be one vector of numpy numbers")
    return log_mean_powers(rows, step, count)


def ess_ratio(log_w: Any, gamma: Any = 1.0, *, axis: int = -1, validate: bool = True) -> Any:
    """Return Kish's ESS/n of w^gamma, in [1/n, 1] (Definition 8.1).

    Exactly 1 for equal weights, and non-increasing in gamma >= 0 for every sample. Raises as
    `normalized_weights`, and for gamma < 0.
    """
    rows = checked_rows(log_w, axis, validate=validate)
    own = namespace(rows).exp(scaled(shifted(rows), _gamma(gamma, rows, 0.0, validate=validate)))
    total = own.sum(-1)
    # Equal weights give exactly 1; rounding may otherwise carry the quotient an ulp past it.
    ratio = total * total / ((own * own).sum(-1) * rows.shape[-1])
    return plain(ratio.clip(None, 1.0))


def max_weight_ratio(log_w: Any, gamma: Any = 1.0, *, axis: int = -1, validate: bool = True) -> Any:
    """Return sum w^gamma / (n max w^gamma): the ESS/n that the largest weight alone would allow.

    Never above Kish's. Raises as `ess_ratio`.
    """
    rows = checked_rows(log_w, axis, validate=validate)
    own = namespace(rows).exp(scaled(shifted(rows), _gamma(gamma, rows, 0.0, validate=validate)))
    return plain(own.sum(-1) / rows.shape[-1])


def perplexity_ratio(log_w: Any, gamma: Any = 1.0, *, axis: int = -1, validate: bool = True) -> Any:
    """Return exp(entropy of the normalised w^gamma) / n: never below Kish's ESS/n.

    Raises as `ess_ratio`.
    """
    rows = checked_rows(log_w, axis, validate=validate)
    xp = namespace(rows)
    log_own = _log_normalized(rows, _gamma(gamma, rows, 0.0, validate=validate))
    # 0 log 0 is 0.
    entropy = -(xp.exp(log_own) * xp.where(log_own == -math.inf, 0.0, log_own)).sum(-1)
    return plain((xp.exp(entropy) / rows.shape[-1]).clip(None, 1.0))


def renyi_divergence(log_w: Any, alpha: float, *, axis: int = -1, validate: bool = True) -> Any:
    """Estimate D_alpha(pi || mu) in nats from log-weights drawn under mu (Definition 6.1).

    The weights are first normalised to mean 1, so that the estimate is 0 for equal weights and
    non-decreasing in alpha. alpha = 1 is the limit, mean(w log w); alpha = 0 is -log of the share
    of positive weights; alpha = inf is the log of the largest weight. Raises ValueError for
    alpha < 0 or NaN, and as `normalized_weights`.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must be at least 0, not {alpha}")
    rows = shifted(checked_rows(log_w, axis, validate=validate))
    rows = rows - log_mean_power(rows, 1.0)[..., None]
    with quiet(rows):
        return plain(_renyi(rows, float(alpha)))


def _renyi(log_v: Any, alpha: float) -> Any:
    """Return the divergence for weights v of mean 1."""
    xp = namespace(log_v)
    if math.isinf(alpha):
        return xp.amax(log_v, -1)
    t = alpha - 1
    if abs(t) >= NEAR_1:
        # Adding 0 makes -0 of it 0.
        return log_mean_power(log_v, alpha) / t + 0.0
    finite = xp.where(log_v == -math.inf, 0.0, log_v)
    v = xp.exp(log_v)
    if t == 0:
        return (v * finite).mean(-1)
    # mean v^alpha = 1 + mean v (v^t - 1), where v^t - 1 keeps its digits however small t is.
    small = xp.abs(t * finite) < 1
    change = xp.where(
        small, v * xp.expm1(xp.where(small, t * finite, 0.0)), xp.exp(alpha * log_v) - v
    )
    return xp.log1p(change.mean(-1)) / t


def gamma_star(
    log_w: Any,
    rho_min: float = 0.3,
    *,
    method: Method = "auto",
    gamma_min: float = 0.0,
    gamma_max: float = 1.0,
    axis: int = -1,
    validate: bool = True,
) -> Any:
    """Return the largest gamma in [gamma_min, gamma_max] that keeps ESS/n at rho_min.

    `lognormal` is Theorem 8.3, sqrt(-log rho_min / Var log w), with the population variance
    (ddof = 0) of the finite entries: right for the population if log w is normal, and no guarantee
    otherwise. `cumulant` adds the third and fourth cumulants of log w, where the series rises up to
    its root, and is the closed form elsewhere. `exact` is the root of the sample's own ESS: the
    sample meets the target, up to rounding. `auto` takes the closed form where skewness and
    kurtosis do not speak against normality (Jarque and Bera's statistic below its 95% point), the
    cumulants where the sample's ESS there is within 5% of the target on the log scale, and the
    root otherwise. None of them speaks for the population: in small batches the sample's ESS is
    optimistic. `diagnostics.choose_gamma` says which was used, and what it can be trusted with.

    One weight, or equal weights, give gamma_max. Where even gamma = 0 falls short, because the
    share of positive weights is below rho_min, no gamma is feasible and the result is gamma_min;
    the closed forms do not look at that share, `exact` and `auto` do. Raises ValueError for
    rho_min outside (0, 1), for bounds outside 0 <= gamma_min <= gamma_max <= 1, an unknown
    method, and as `normalized_weights`.
    """
    check_rule(rho_min, method, gamma_min, gamma_max)
    vector = as_vector(log_w, method) if axis in (-1, 0) else None
    if vector is not None:
        gamma = vector_gamma(vector, rho_min, method, gamma_max)
        return float(min(max(gamma, gamma_min), gamma_max))
    rows = checked_rows(log_w, axis, validate=validate)
    gamma = solver.batch_gamma(rows, rho_min, method, gamma_max, watch=validate)
    return plain(gamma.clip(gamma_min, gamma_max))


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value}")
    return float(value)


def _gamma(gamma: Any, rows: Any, lowest: float, *, validate: bool) -> Any:
    """Return gamma to multiply rows with: a number, or one for each row with an axis added."""
    xp = namespace(rows)
    if isinstance(gamma, (int, float, np.number)):
        number = _finite("gamma", float(gamma))
        if number < lowest:
            raise ValueError(f"gamma must be at least {lowest:g}, not {gamma}")
        return number
    if xp is np:
        gammas = np.asarray(gamma if namespace(gamma) is np else gamma.detach().cpu(), np.float64)
    else:
        gammas = xp.as_tensor(gamma).detach().to(rows)
    if gammas.ndim and gammas.shape != rows.shape[:-1]:
        raise ValueError(
            f"gamma must be one number or have the shape {tuple(rows.shape[:-1])},"
            f" not {tuple(gammas.shape)}"
        )
    if validate and not bool((xp.isfinite(gammas) & (gammas >= lowest)).all()):
        raise ValueError("gamma must be finite numbers" + ("" if lowest else ", at least 0"))
    return gammas[..., None]

"""One gamma for a batch, and whether to trust it: `choose_gamma` and `renyi_spectrum`.

The rule asks for an ESS (section 8). What it finds is a property of the batch; this module says how
it was found, how far the population's gamma may be from it, and what else a user may want to bound:
KL(nu_gamma||mu), the Pareto index of w^gamma, the spread that a reward adds. Each bound is a cap on
gamma, and the smallest wins. Every number here can also be had from a log of any size, since only
`moments.LogMoments` is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isr_theory import moments, rule
from isr_theory.caps import Cap, above, allows, index_cap, kl_cap, reward_cap
from isr_theory.choice import GammaChoice
from isr_theory.intervals import (
    either_interval,
    gamma_interval,
    order_seen,
    renyi_error,
    unseen,
    variance_interval,
)
from isr_theory.moments import LogMoments, deficit
from isr_theory.pareto import LEAST_TAIL, khat_threshold, tail_size

Array = NDArray[np.float64]

LEVEL = 0.95
# log w counts as normal where 2 KL / Var(log w), which is 1 for log-normal weights of mean 1, is
# within a quarter of it.
RATIO_RANGE = (0.75, 1.25)


def choose_gamma(
    log_w: Any,
    rho_min: float = 0.3,
    *,
    method: rule.Method = "auto",
    gamma_min: float = 0.0,
    gamma_max: float = 1.0,
    kl_max: float | None = None,
    khat_max: float | None = None,
    reward: Any = None,
    tau: float = 1.0,
    level: float = LEVEL,
) -> GammaChoice:
    """Choose gamma for one batch of log-weights and report on the choice.

    `kl_max` (nats) allows KL(nu_gamma||mu) = gamma K'(gamma) - K(gamma) up to it; for log-normal
    weights that is the rule at rho = exp(-2 kl_max). `khat_max` allows a Pareto index of w^gamma up
    to it (Theorem 11.1), estimated anew at each gamma. `reward`, one number a weight, asks the
    target of w^gamma e^(reward/tau) too, for normal log w and reward: Theorem 9.1 with the
    covariance that it leaves out. A cap that allows no gamma leaves the lowest, `feasible` false
    and a note. The interval holds the population's gamma about as often as it says for normal and
    for bounded log w, and far less often for weights with a Pareto tail. Raises ValueError as
    `weights.gamma_star`, for caps that are not positive, a `level` outside (0, 1), and a reward of
    another length or not finite; TypeError for a reward that is not numbers.
    """
    batch = moments.sample(log_w)
    rewarded = None if reward is None else {"reward": reward_cap(batch, reward, tau, rho_min)}
    return choose(
        batch,
        rho_min,
        method=method,
        gamma_min=gamma_min,
        gamma_max=gamma_max,
        kl_max=kl_max,
        khat_max=khat_max,
        further=rewarded,
        level=level,
    )


def choose(
    m: LogMoments,
    rho_min: float = 0.3,
    *,
    method: rule.Method = "auto",
    gamma_min: float = 0.0,
    gamma_max: float = 1.0,
    kl_max: float | None = None,
    khat_max: float | None = None,
    further: dict[str, Cap] | None = None,
    level: float = LEVEL,
) -> GammaChoice:
    """Choose gamma from moments, as `choose_gamma` does; `further` are caps found elsewhere."""
    rule.check_rule(rho_min, method, gamma_min, gamma_max)
    check_caps(kl_max, khat_max)
    _check_level(level)
    by_method = gamma_by_method(m, rho_min, gamma_min, gamma_max)
    used, why = ladder(m, rho_min, by_method) if method == "auto" else (method, "as asked")
    gamma, binding = by_method[used], "the rule" if by_method[used] < gamma_max else "gamma_max"
    caps = dict(further or {})
    if kl_max is not None:
        caps["kl_max"] = kl_cap(m, kl_max, gamma_max)
    if khat_max is not None:
        caps["khat_max"] = index_cap(m, khat_max, gamma_max)
    for name, cap in caps.items():
        if above(cap) < gamma:
            gamma, binding = above(cap), name
    if gamma < gamma_min or gamma == gamma_min > 0:
        gamma, binding = gamma_min, "gamma_min"
    broken = [name for name, cap in caps.items() if not allows(cap, gamma)]
    facts = _facts(m, gamma, rho_min) | {
        "method": used,
        "why": why,
        "binding": binding,
        "feasible": deficit(m, gamma_min) <= _target(rho_min) and not broken,
        "interval": _interval(m, method)(m, rho_min, level, gamma_min, gamma_max),
        "level": level,
        "by_method": by_method,
        "caps": {name: above(cap) for name, cap in caps.items()},
    }
    notes = _cannot(facts, broken, gamma_min) + _notes(facts, unseen(m, gamma))
    if khat_max is not None and tail_size(m.n) < LEAST_TAIL:
        notes.append(f"khat_max was not applied: n = {m.n} shows no Pareto index")
    return GammaChoice(**facts, notes=tuple(notes))


def _interval(m: LogMoments, method: str) -> Callable[..., tuple[float, float]]:
    """Return how the interval is found: by both methods where log w looks normal."""
    if method == "lognormal":
        return variance_interval
    shape = {"n": m.n, "skewness": m.central.skewness, "kurtosis": m.central.kurtosis}
    normal = m.positive == m.n and _against_normal(shape) <= rule.NORMAL
    return either_interval if normal else gamma_interval


def _cannot(facts: dict[str, Any], broken: list[str], gamma_min: float) -> list[str]:
    """Say why no gamma is feasible."""
    rho_min, notes = facts["rho_min"], []
    if facts["positive"] < rho_min * facts["n"]:
        notes.append(f"no gamma keeps ESS/n at {rho_min:g}: too few weights are above 0")
    elif not facts["feasible"] and not broken:
        notes.append(f"gamma_min = {gamma_min:g} is too large to keep ESS/n at {rho_min:g}")
    return notes + [f"{name} cannot be met at gamma = {facts['gamma']:.4g}" for name in broken]


def _target(rho_min: float) -> float:
    return -math.log(rho_min)


def gamma_by_method(
    m: LogMoments, rho_min: float, gamma_min: float = 0.0, gamma_max: float = 1.0
) -> dict[str, float]:
    """Return gamma by closed form, cumulants and root, each in [gamma_min, gamma_max]."""
    second = m.central.variance
    closed = series = math.inf
    if second > 0:
        closed = math.sqrt(_target(rho_min) / second)
        # Scaled to unit variance, so that no power of it overflows.
        spread = math.sqrt(second)
        skewness, kurtosis = m.central.skewness, m.central.kurtosis
        one = np.float64(1.0)
        series = float(rule.cumulant_gamma(one, skewness, kurtosis, _target(rho_min))) / spread
    exact = m.exact_gamma(rho_min, gamma_max)
    found = {"lognormal": closed, "cumulant": series, "exact": exact}
    return {name: min(max(gamma, gamma_min), gamma_max) for name, gamma in found.items()}


def ladder(m: LogMoments, rho_min: float, by_method: dict[str, float]) -> tuple[str, str]:
    """Return the simplest method that the batch does not speak against, and why it is that one."""
    if m.positive < m.n:
        return "exact", f"{m.n - m.positive} weights are 0, which no moment of log w shows"
    shape = {"n": m.n, "skewness": m.central.skewness, "kurtosis": m.central.kurtosis}
    if _against_normal(shape) <= rule.NORMAL:
        return "lognormal", "skewness and kurtosis do not speak against a normal log w"
    off = abs(deficit(m, by_method["cumulant"]) / _target(rho_min) - 1)
    if off <= rule.NEAR:
        return "cumulant", f"log w is not normal, and its cumulants reach the target to {off:.1%}"
    return "exact", "log w is not normal, and its first four cumulants miss the target"


def _facts(m: LogMoments, gamma: float, rho_min: float) -> dict[str, Any]:
    central = m.central
    kl = moments.kl_mu_pi(m)
    defined = central.variance > 0 and math.isfinite(kl)
    return {
        "gamma": gamma,
        "rho_min": rho_min,
        "ess": moments.ess(m, gamma),
        "n": m.n,
        "positive": m.positive,
        "mean": central.mean,
        "sigma2": central.variance,
        "skewness": central.skewness,
        "kurtosis": central.kurtosis,
        "kl": kl,
        "kl_reverse": moments.kl_pi_mu(m),
        "kl_flat": moments.tilted_kl(m, gamma),
        "activation": _target(rho_min) / 2,
        "two_scalar": 2 * kl / central.variance if defined else None,
        "khat": moments.khat(m),
        "khat_flat": moments.khat(m, gamma),
        "khat_threshold": khat_threshold(m.n) if m.n > 1 else None,
    }


def _notes(facts: dict[str, Any], few: bool) -> list[str]:
    """Say what a reader would otherwise have to remember to check."""
    n, zeros, ratio = facts["n"], facts["n"] - facts["positive"], facts["two_scalar"]
    notes = []
    if facts["feasible"] and facts["ess"] < facts["rho_min"] * 0.95:
        notes.append("the batch falls short of the target at this gamma: method='exact' meets it")
    if zeros:
        notes.append(f"weights of 0: {zeros} of {n}; moments of log w are of the others")
    if facts["method"] == "lognormal" and _against_normal(facts) > rule.NORMAL:
        notes.append("log w is not normal, and the closed form and its interval take it to be")
    if ratio is not None and not RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1]:
        notes.append(
            f"2 KL/Var(log w) is {ratio:.2f}, and 1 for log-normal weights of mean 1: the law is"
            " another, or pi and mu are not normalised"
        )
    if facts["kl"] < 0:
        notes.append("mean log w is above 0; that of two normalised laws is not, in the long run")
    if n < 100:
        notes.append(f"n = {n} is small: the batch's ESS overstates that of the population")
    if few:
        notes.append(
            "few weights carry the ESS of w^gamma: gamma may be too large, and by more"
            " than the interval says"
        )
    return notes + _tail_notes(facts)


def _tail_notes(facts: dict[str, Any]) -> list[str]:
    flat, raw, threshold = facts["khat_flat"], facts["khat"], facts["khat_threshold"]
    notes = []
    if flat == math.inf and tail_size(facts["n"]) < LEAST_TAIL:
        notes.append(f"n = {facts['n']} is too small to estimate a Pareto index: it takes 25")
    elif flat == math.inf:
        notes.append(
            "the largest weights have no Pareto index: a quarter of them are equal, or"
            " vanish beside the largest"
        )
    elif flat >= 0.5:
        notes.append(f"the Pareto index of w^gamma is {flat:.2f}: from 1/2 on its ESS has no limit")
    elif flat > 0.25 and facts["method"] != "lognormal":
        notes.append(
            f"the Pareto index of w^gamma is {flat:.2f}: above 1/4 the interval is far too short"
        )
    if threshold is not None and math.isfinite(raw) and raw <= threshold and facts["ess"] < 0.01:
        notes.append("the Pareto index is good and the ESS is not: believe the ESS")
    return notes


def _against_normal(facts: dict[str, Any]) -> float:
    """Return Jarque and Bera's statistic, chi-square with two degrees of freedom if normal."""
    return float(facts["n"] * (facts["skewness"] ** 2 / 6 + facts["kurtosis"] ** 2 / 24))


def check_caps(kl_max: float | None, khat_max: float | None) -> None:
    """Raise ValueError for a cap that is not positive."""
    for name, cap in (("kl_max", kl_max), ("khat_max", khat_max)):
        if cap is not None and not 0 < cap < math.inf:
            raise ValueError(f"{name} must be a positive number, not {cap}")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), not {level}")


@dataclass(frozen=True)
class RenyiSpectrum:
    """D_alpha(pi||mu) over orders, with bands, and the order up to which the batch can see."""

    orders: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float
    seen: float
    """The largest order, of those up to 2, whose moment of w has a relative standard error of at
    most a third; 0 for a single weight, which shows no error."""


ORDERS = tuple(k / 8 for k in range(0, 17))


def renyi_spectrum(
    log_w: Any, orders: Sequence[float] = ORDERS, *, level: float = LEVEL
) -> RenyiSpectrum:
    """Estimate D_alpha(pi||mu) at orders in [0, inf], with pointwise bands from the delta method.

    A band is worth what its moments are: beyond the order `seen` the batch's largest weights
    stand for a tail that it has not shown, and the estimate is too small. At order inf it is the
    log of the largest weight, which no batch bounds from above. Raises ValueError for an order
    below 0, a level outside (0, 1), and as `moments.sample`.
    """
    return spectrum(moments.sample(log_w), orders, level=level)


def spectrum(
    m: LogMoments, orders: Sequence[float] = ORDERS, *, level: float = LEVEL
) -> RenyiSpectrum:
    """Return the Renyi spectrum from moments, as `renyi_spectrum` from a batch."""
    _check_level(level)
    for order in orders:
        if not order >= 0:
            raise ValueError(f"orders must be at least 0, not {order}")
    values = [moments.renyi(m, order) for order in orders]
    errors = [renyi_error(m, order, level) for order in orders]
    return RenyiSpectrum(
        orders=tuple(float(order) for order in orders),
        values=tuple(values),
        low=tuple(
            max(0.0, value - (error if math.isfinite(error) else value))
            for value, error in zip(values, errors, strict=True)
        ),
        high=tuple(value + error for value, error in zip(values, errors, strict=True)),
        level=level,
        seen=order_seen(m),
    )

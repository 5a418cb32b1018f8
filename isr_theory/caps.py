"""What else a user may bound beside the ESS: each bound is an interval of gammas, or none at all.

kl_max     KL(nu_gamma||mu) = gamma K'(gamma) - K(gamma) <= kl_max,  nu_gamma ~ mu w^gamma
khat_max   the Pareto index of w^gamma, estimated anew, is at most khat_max (Theorem 11.1)
reward     gamma^2 sigma2 + 2 gamma cov + reward2 <= -log rho_min (Theorem 9.1 with covariance)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isr_theory import moments
from isr_theory.moments import LogMoments
from isr_theory.rule import check_rule

Cap = tuple[float, float] | None
"""The lowest and the highest gamma that a bound allows; None where it allows none."""
INDEX_STEPS = 256


def above(cap: Cap) -> float:
    """Return the highest gamma that a bound allows, 0 where it allows none."""
    return 0.0 if cap is None else cap[1]


def allows(cap: Cap, gamma: float) -> bool:
    """Return whether a gamma is within a bound."""
    return cap is not None and cap[0] <= gamma <= cap[1]


def kl_cap(m: LogMoments, kl_max: float, gamma_max: float) -> Cap:
    """Return the gammas with KL(nu_gamma||mu), which rises in gamma, at most kl_max."""
    if moments.tilted_kl(m, gamma_max) <= kl_max:
        return 0.0, gamma_max
    # At gamma = 0 it is -log of the share of positive weights.
    low, high = 0.0, gamma_max
    if moments.tilted_kl(m, low) > kl_max:
        return None
    # Halving on a scale of logarithms as soon as it can: a spread of 1e300 has a gamma of 1e-300.
    # The low end is always within the bound.
    while high - low > 4e-16 * high and high > 1e-307:
        middle = math.sqrt(low) * math.sqrt(high) if low > 0 else high * 1e-3
        if high < 2 * low:
            middle = low + (high - low) / 2
        if not low < middle < high:
            break
        if moments.tilted_kl(m, middle) <= kl_max:
            low = middle
        else:
            high = middle
    return 0.0, low


def index_cap(m: LogMoments, khat_max: float, gamma_max: float) -> Cap:
    """Return 0 and the largest of 256 gammas whose w^gamma has an index of at most khat_max.

    Where the tail is too short to have an index, or tied, nothing is bounded; where all but the
    largest weights of it underflow, the tail is as heavy as can be, and gamma has to fall.
    """
    for gamma in np.linspace(gamma_max, 0.0, INDEX_STEPS, endpoint=False):
        index = moments.khat(m, float(gamma))
        if index <= khat_max or (index == math.inf and not moments.scale_lost(m, float(gamma))):
            return 0.0, float(gamma)
    return 0.0, 0.0


def reward_cap(batch: moments.Sample, reward: Any, tau: float, rho_min: float) -> Cap:
    """Return the gammas >= 0 with gamma^2 sigma2 + 2 gamma cov + reward2 <= -log rho_min."""
    values = _reward(batch, reward)
    if not 0 < tau < math.inf:
        raise ValueError(f"tau must be a positive number, not {tau}")
    check_rule(rho_min, "auto", 0.0, 1.0)
    kept = values[np.isfinite(batch.log_w)] / tau
    scale = float(np.abs(kept - kept.mean()).max()) or 1.0
    unit = (kept - kept.mean()) / scale
    slack = -math.log(rho_min) - scale * scale * float((unit * unit).mean())
    sigma = math.sqrt(batch.central.variance)
    if sigma == 0:
        return (0.0, math.inf) if slack >= 0 else None
    # In units of 1/sigma, so that no square overflows.
    cov = scale * float(np.mean((batch.finite - batch.finite.mean()) / sigma * unit))
    inside = cov * cov + slack
    if not inside >= 0:
        return None
    low, high = -cov - math.sqrt(inside), -cov + math.sqrt(inside)
    return None if high < 0 else (max(0.0, low / sigma), high / sigma)


def _reward(batch: moments.Sample, reward: Any) -> Any:
    detached = reward.detach().cpu() if hasattr(reward, "detach") else reward
    values = np.asarray(detached)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"reward must be real numbers, not {values.dtype}")
    values = values.astype(np.float64)
    if values.shape != batch.log_w.shape:
        raise ValueError(f"reward must have the shape {batch.log_w.shape}, not {values.shape}")
    # The reward of a weight of 0 is never used.
    bad = ~np.isfinite(values) & np.isfinite(batch.log_w)
    if bad.any():
        place = int(np.argmax(bad))
        raise ValueError(f"reward[{place}] is {values[place]}: finite numbers are allowed")
    return values

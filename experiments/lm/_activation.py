"""When the rule acts: gamma < 1 only past KL(mu || pi) = -log(rho_min)/2 (DYN.activation).

The smallest target at which a law makes the rule act is ESS/n at gamma = 1; log-normal weights have

    rho_act = ESS/n = e^(-sigma^2) = e^(-2 KL(mu || pi))

so that the KL of a policy says which target it takes.
"""

from __future__ import annotations

import numpy as np

from experiments.lm import _resample as resample
from experiments.lm._scored import Scored
from experiments.runs import Json
from isr_theory.weights import gamma_star


def measure(
    log: Scored, counts: resample.Array, size: int, batches: int, rho_min: float, seed: int
) -> Json:
    """Return KL, the target that makes the rule act, and in how many batches it does at rho_min."""
    log_w = log.log_w
    found = resample.cumulants(log_w, counts)
    deficit = -resample.log_ess(log_w, counts, [1.0])[:, 0]
    kl, sigma2 = resample.divergence(log_w, counts), found[:, 1]
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.choice(log_w, size, replace=False) for _ in range(batches)])
    acts = {
        name: float((np.asarray(gamma_star(rows, rho_min, method=name)) < 1).mean())
        for name in ("lognormal", "exact")
    }
    return {
        "kl": resample.interval(kl),
        "sigma2": resample.interval(sigma2),
        "rho_closed": resample.interval(np.exp(-sigma2)),
        "rho_exact": resample.interval(np.exp(-deficit)),
        "rho_kl": resample.interval(np.exp(-2 * kl)),
        # -log rho_act over 2 KL, 1 for log-normal weights.
        "over_closed": resample.interval(sigma2 / (2 * kl)),
        "over_exact": resample.interval(deficit / (2 * kl)),
        "acts": acts,
    }

"""The variance of w^gamma r grad log pi over gamma, from inner products of per-sample scores.

    plain             n tr Cov = E[w^(2g) r^2 |s|^2] - |E[w^g r s]|^2                  (T6.3.fix)
    self-normalised   n tr Cov = E[w^(2g) |r s - G|^2] / E[w^g]^2,  G = E[w^g r s]/E[w^g]
                                                                            (VAR.selfnormalised)

All of it is made of the Gram matrix of the scores s_i, whatever gamma, reward and replicate are.
Where each least variance should be: to first order in log w the slopes at gamma = 0 are

    plain             2 Cov-like  E[log w (r^2 |s|^2 - <r s, E r s>)]
    self-normalised   2 Cov(log w, |r s - G|^2)

the bend at 0 of the order of sigma^2. Where log w and |r s|^2 are correlated near mu the slopes are
of the order of sigma, and the variance is least at an end. Where each prompt is nearly a shifted
Gaussian of many dimensions they are not: log w goes with |s|^2 through its mean alone, -KL, of the
order of sigma^2, and the least is near (d + 2)/(4 d + 6) for the plain estimator (C7.5.c.fix) and,
with one KL for all prompts, at 0 for the other (VAR.sngaussian).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.lm import _resample as resample
from experiments.runs import Json
from isr_theory import formulas
from isr_theory.arithmetic import Real

GAMMAS = tuple(round(0.05 * k, 2) for k in range(21))


def variances(
    gram: resample.Array, log_w: resample.Array, reward: resample.Array, counts: resample.Array
) -> Mapping[str, resample.Array]:
    """Return n tr Cov of both estimators by gamma, (rows, gammas) each, row by row of counts."""
    norms, total = np.diag(gram), counts.sum(-1)
    plain, own = [], []
    for gamma in GAMMAS:
        w = np.exp(gamma * log_w)
        a = w * reward
        # E[w^g r s] of each replicate, by its products with all scores.
        pulled = (counts * a) @ gram
        mean2 = (pulled * (counts * a)).sum(-1) / total**2
        plain.append((counts @ (a * a * norms)) / total - mean2)
        mass = counts @ w
        along, size2 = pulled / mass[:, None], mean2 * (total / mass) ** 2
        second = counts @ (a * a * norms) + (counts @ (w * w)) * size2
        cross = ((counts * (w * a)) * along).sum(-1)
        own.append((second - 2 * cross) * total / mass**2)
    return {"plain": np.stack(plain, axis=-1), "self": np.stack(own, axis=-1)}


def slopes(
    gram: resample.Array, log_w: resample.Array, reward: resample.Array, counts: resample.Array
) -> Mapping[str, resample.Array]:
    """Return d/dgamma of log n tr Cov at gamma = 0, of both estimators, by their first order."""
    norms, total = np.diag(gram), counts.sum(-1)
    pulled = (counts * reward) @ gram / total[:, None]
    size2 = (pulled * counts * reward).sum(-1) / total
    away2 = reward**2 * norms - 2 * reward * pulled + size2[:, None]
    variance = (counts * away2).sum(-1) / total
    along = (counts * log_w * (reward**2 * norms - reward * pulled)).sum(-1) / total
    level = (counts @ log_w) / total
    with_level = (counts * (log_w - level[:, None]) * away2).sum(-1) / total
    return {"plain": 2 * along / variance, "self": 2 * with_level / variance}


def least(table: resample.Array) -> list[float]:
    """Return the gamma of least variance with its interval."""
    return resample.interval(np.asarray(GAMMAS)[table.argmin(-1)])


def gaussian(gram: resample.Array, sigma2: float) -> Json:
    """Return the shifted Gaussian that has this sigma2 and these scores, and its least variances.

    Its scores have E|s|^2 = tr F + |F theta|^2 and E s = -F theta, so that its variance is that of
    C7.5.c.fix with d = sigma2 tr F / |F theta|^2, at least 1. The square of the mean is estimated
    without the squares of single scores, which would be all of it near mu.
    """
    n = len(gram)
    norms = float(np.diag(gram).mean())
    mean2 = float(gram.sum() - np.trace(gram)) / (n * (n - 1))
    d = max(1.0, sigma2 * (norms / mean2 - 1)) if mean2 > 0 else 1e9
    curve = [float(formulas.gradient_variance_gaussian(sigma2, g, d, Real)) for g in GAMMAS]
    at = [float(np.exp(g * g * sigma2) * (d + g * g * sigma2)) for g in GAMMAS]
    return {
        "d": d,
        "plain": {"least": GAMMAS[int(np.argmin(curve))], "curve": [x / curve[0] for x in curve]},
        "self": {"least": GAMMAS[int(np.argmin(at))], "curve": [x / at[0] for x in at]},
    }


def measure(
    gram: resample.Array, log_w: resample.Array, rewards: Mapping[str, Any], counts: resample.Array
) -> Json:
    """Return, by reward and estimator, the variance over that at gamma = 0 and where it is least.

    `gain` is log of the least variance over that at 1/4; `quarter` is log of the variance at 1/4
    over the lower of those at 0 and 1, below 0 only where the middle is better than both ends.
    """
    quarter = GAMMAS.index(0.25)
    shown: Json = {}
    for name, reward in rewards.items():
        slope = slopes(gram, log_w, reward, counts)
        for kind, table in variances(gram, log_w, reward, counts).items():
            logs = np.log(table)
            ends = np.minimum(logs[:, 0], logs[:, -1])
            shown[f"{kind}, {name}"] = {
                "curve": [resample.interval(row) for row in (table / table[:, :1]).T],
                "least": least(table),
                "slope": resample.interval(slope[kind]),
                "gain": resample.interval(logs.min(-1) - logs[:, quarter]),
                "quarter": resample.interval(logs[:, quarter] - ends),
            }
    return shown

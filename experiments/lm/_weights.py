"""What is read off the log-weights of one log: normality, ESS over gamma, gamma by every method.

Responses to one prompt hang together, so that intervals resample whole prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.runs import Json
from isr_theory.diagnostics import choose_gamma
from isr_theory.weights import ess_ratio

Array = NDArray[np.float64]
GAMMAS = (0.25, 0.5, 0.75, 1.0)
METHODS = ("lognormal", "cumulant", "exact")
REPLICATES = 1000
LEVEL = 0.95


def two_scalar(log_w: Array, kl: Array) -> float:
    """Return 2 KL(mu || pi) / Var(log w), KL the mean of `kl`: 1 for log-normal weights."""
    return float(2 * kl.mean() / log_w.var())


def skewness(log_w: Array) -> float:
    """Return the third standardised moment."""
    return float(((log_w - log_w.mean()) ** 3).mean() / log_w.std() ** 3)


def kurtosis(log_w: Array) -> float:
    """Return the excess of the fourth standardised moment."""
    return float(((log_w - log_w.mean()) ** 4).mean() / log_w.var() ** 2 - 3)


def ess_gap(log_w: Array, gamma: float) -> float:
    """Return ESS/n at gamma less exp(-sigma^2 gamma^2)."""
    return _ess(log_w, gamma) - float(np.exp(-log_w.var() * gamma**2))


def over_prompts(
    prompts: NDArray[np.int64], statistic: Callable[[NDArray[np.int64]], float], seed: int
) -> list[float]:
    """Return [value, low, high] of a statistic of rows, resampling prompts with all their rows."""
    rng = np.random.default_rng(seed)
    parts = [np.flatnonzero(prompts == prompt) for prompt in np.unique(prompts)]
    found = [
        statistic(np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))]))
        for _ in range(REPLICATES)
    ]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [statistic(np.arange(len(prompts))), float(low), float(high)]


def out_of_sample(
    log_w: Array, prompts: NDArray[np.int64], rho_min: float, splits: int, seed: int
) -> Json:
    """Return, by method, gamma on all rows and the ESS/n that gamma of half the prompts reaches.

    Each split chooses gamma on half of the prompts and looks at the other half; `reached` is the
    mean over splits with the middle 95% of them.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(prompts)
    chosen: dict[str, list[float]] = {name: [] for name in METHODS}
    reached: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(splits):
        half = np.isin(prompts, rng.permutation(names)[: len(names) // 2])
        by_method = choose_gamma(log_w[half], rho_min).by_method
        for name in METHODS:
            chosen[name].append(by_method[name])
            reached[name].append(float(ess_ratio(log_w[~half], by_method[name])))
    whole = choose_gamma(log_w, rho_min).by_method
    return {
        name: {
            "gamma": whole[name],
            "gamma_splits": _middle(chosen[name]),
            "reached": _middle(reached[name]),
        }
        for name in METHODS
    }


def _middle(found: list[float]) -> list[float]:
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(np.mean(found)), float(low), float(high)]


def measured(
    log_w: Array, kl: Array, prompts: NDArray[np.int64], rho_min: float, splits: int, seed: int
) -> Json:
    """Return all of it for one log; `kl` is -log w of each row, or better with the same mean."""

    def interval(statistic: Callable[[Array], float]) -> list[float]:
        return over_prompts(prompts, lambda rows: statistic(log_w[rows]), seed)

    return {
        "kl": over_prompts(prompts, lambda rows: float(kl[rows].mean()), seed),
        "kl_by_log_w": interval(lambda x: float(-x.mean())),
        "sigma2": interval(lambda x: float(x.var())),
        "two_scalar": over_prompts(prompts, lambda rows: two_scalar(log_w[rows], kl[rows]), seed),
        "skewness": interval(skewness),
        "kurtosis": interval(kurtosis),
        "mean_weight": interval(lambda x: float(np.exp(x).mean())),
        "ess": [
            {
                "gamma": gamma,
                "ess": interval(partial(_ess, gamma=gamma)),
                "lognormal": float(np.exp(-log_w.var() * gamma**2)),
                "gap": interval(partial(ess_gap, gamma=gamma)),
            }
            for gamma in GAMMAS
        ],
        "methods": out_of_sample(log_w, prompts, rho_min, splits, seed),
    }


def _ess(log_w: Array, gamma: float) -> float:
    return float(ess_ratio(log_w, gamma))

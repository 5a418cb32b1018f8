"""Off-policy evaluation: the value of pi from a log of mu, by weight functions of the atlas.

    V = mean h(w) r,     or     V = sum w^gamma r / sum w^gamma,     w = pi/mu

Rows of a log fill the last axis; axes before it are logs of their own, such as the replicates of a
bootstrap, and whatever a method fits - gamma, a threshold - is fitted in each of them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from isr_theory.training.atlas import ATLAS, View
from isr_theory.weights import Method, gamma_star

Array = NDArray[np.float64]
CHUNK = 1 << 18
"""Entries of a chunk of replicates: 2 MB, so that the work on it stays in the cache."""


@dataclass(frozen=True)
class Estimate:
    """Values, one a log, and what was fitted for each, None where nothing was."""

    value: Array
    fitted: Array | None = None


Estimator = Callable[[Array, Array], Estimate]
"""From log w and rewards, rows on the last axis, to the estimates of the logs."""


def contributions(key: str, log_w: Array, reward: Array, **changes: float) -> Array:
    """Return h(w) r of each row, for a weight function that is a function of w, r and the batch.

    h is what the method differentiates where that is an objective and not the weight: logarithmic
    smoothing sums M log(1 + w r/M).
    """
    entry = ATLAS[key]
    x, r = torch.as_tensor(log_w), torch.as_tensor(reward)
    view = View(x, torch.zeros_like(x), r, torch.ones_like(x))
    function = entry.surrogate or entry.weight
    rows: Array = (function(view, entry.settings(**changes)) * r).numpy()
    return rows


def mean(key: str, **changes: float) -> Estimator:
    """Return the estimator mean h(w) r."""

    def estimate(log_w: Array, reward: Array) -> Estimate:
        return Estimate(contributions(key, log_w, reward, **changes).mean(-1))

    return estimate


def self_normalised(gamma: float) -> Estimator:
    """Return the estimator sum w^gamma r / sum w^gamma: the value of mu^(1-gamma) pi^gamma."""

    def estimate(log_w: Array, reward: Array) -> Estimate:
        return Estimate(flattened(log_w, reward, np.full(log_w.shape[:-1], gamma)))

    return estimate


def at_target(method: Method, rho_min: float) -> Estimator:
    """Return the same with the gamma that a method finds for an ESS/n of rho_min."""

    def estimate(log_w: Array, reward: Array) -> Estimate:
        gamma = np.asarray(gamma_star(log_w, rho_min, method=method))
        return Estimate(flattened(log_w, reward, gamma), gamma)

    return estimate


def tuned(key: str, parameter: str, grid: Sequence[float]) -> Estimator:
    """Return mean h(w) r at the parameter of least estimated error, no truth needed.

        (mean (h(w) - w) r)^2 + Var(h(w) r)/n

    The first term is the squared distance from the unbiased estimate, as Su et al. 2020 choose the
    shrinkage of DRos.
    """

    def estimate(log_w: Array, reward: Array) -> Estimate:
        plain = contributions("is", log_w, reward).mean(-1)
        values, errors = [], []
        for setting in grid:
            rows = contributions(key, log_w, reward, **{parameter: setting})
            values.append(rows.mean(-1))
            errors.append((values[-1] - plain) ** 2 + rows.var(-1) / rows.shape[-1])
        best = np.argmin(errors, axis=0)
        value = np.take_along_axis(np.stack(values), best[None], axis=0)[0]
        return Estimate(value, np.asarray(grid)[best])

    return estimate


def flattened(log_w: Array, reward: Array, gamma: Array) -> Array:
    """Return sum w^gamma r / sum w^gamma of each log, at its own gamma."""
    own = powers(log_w, gamma)
    value: Array = (own * reward).sum(-1) / own.sum(-1)
    return value


def flattened_error(log_w: Array, reward: Array, gamma: float) -> float:
    """Return the standard error of that estimate by the delta method (VAR.selfnormalised).

    sqrt(sum w^(2 gamma) (r - V)^2) / sum w^gamma
    """
    own = powers(log_w, np.asarray(gamma))
    away = own * (reward - (own * reward).sum() / own.sum())
    return float(np.sqrt((away * away).sum()) / own.sum())


def reached(log_w: Array, gamma: Array) -> Array:
    """Return ESS/n of w^gamma for each log at its own gamma."""
    own = powers(log_w, gamma)
    ess: Array = own.sum(-1) ** 2 / (own * own).sum(-1) / own.shape[-1]
    return ess


def powers(log_w: Array, gamma: Array) -> Array:
    """Return w^gamma over its largest, gamma one number a log."""
    scaled = gamma[..., None] * log_w
    own: Array = np.exp(scaled - scaled.max(-1, keepdims=True))
    return own


def estimators(rho_min: float) -> Mapping[str, Estimator]:
    """Return the methods that are compared, by name."""
    grid = {
        "tis": ("C", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)),
        "sub_gaussian": ("l", (1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)),
        "dros": ("l", (1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e6)),
    }
    found: dict[str, Estimator] = {"ips": mean("is"), "snips": self_normalised(1.0)}
    found |= {f"gamma {g:g}": self_normalised(g) for g in (0.0, 0.25, 0.5, 0.75)}
    for method in ("lognormal", "cumulant", "exact", "auto"):
        found[f"gamma* {method}"] = at_target(method, rho_min)
    for key in ("tis", "sub_gaussian", "dros", "log_smoothing", "ionides"):
        found[key] = mean(key)
    return found | {f"{key} tuned": tuned(key, *at) for key, at in grid.items()}


def resampled(n: int, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield chunks of bootstrap replicates: rows of indices, drawn with replacement."""
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // n)
    for start in range(0, replicates, step):
        yield rng.integers(n, size=(min(step, replicates - start), n))


def bootstrap(
    methods: Mapping[str, Estimator], log_w: Array, reward: Array, replicates: int, seed: int
) -> dict[str, Estimate]:
    """Return each method's estimates on the same replicates, rows of the log resampled."""
    parts: dict[str, list[Estimate]] = {name: [] for name in methods}
    for rows in resampled(len(log_w), replicates, seed):
        own, clicks = log_w[rows], reward[rows]
        for name, method in methods.items():
            parts[name].append(method(own, clicks))
    return {name: _joined(found) for name, found in parts.items()}


def _joined(parts: Sequence[Estimate]) -> Estimate:
    fitted = [part.fitted for part in parts if part.fitted is not None]
    value = np.concatenate([part.value for part in parts])
    return Estimate(value, np.concatenate(fitted) if fitted else None)


def interval(value: float, replicates: Array, level: float = 0.95) -> list[float]:
    """Return [value, low, high], the ends percentiles of the replicates."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return [float(value), float(low), float(high)]


def bootstrap_mean(reward: Array, replicates: int, seed: int) -> Array:
    """Return the mean of each replicate of a log whose rows are resampled."""
    return np.concatenate(
        [reward[rows].mean(-1) for rows in resampled(len(reward), replicates, seed)]
    )

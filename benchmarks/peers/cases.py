"""Weights that are hard to find a gamma for, and the root to fifty digits."""

from __future__ import annotations

import flint
import numpy as np

# Bits: fifty digits, and what sums of a hundred thousand terms and a flat ESS may cost.
PRECISION = 240


def far_clusters(rng: np.random.Generator, n: int) -> np.ndarray:
    """Three levels so far apart that the ESS is flat between them, and flat at gamma = 1."""
    levels = np.array([0.0, -(10 ** rng.uniform(2.9, 3.4)), -(10 ** rng.uniform(4.6, 5))])
    return np.repeat(levels, [1, 1 + n // 4, n])


def hard_case(seed: int, stream: int = 2026) -> tuple[np.ndarray, float]:
    """Return a vector that is hard in one of ten ways, and a target that some gamma meets."""
    rng = np.random.default_rng([seed, stream])
    n = int(rng.integers(2, 60))
    kinds = [
        lambda: rng.standard_normal(n) * 10 ** rng.uniform(-3, 4),
        lambda: np.r_[np.zeros(n - 1), 10 ** rng.uniform(-2, 4)],
        lambda: np.r_[np.zeros(n // 2 + 1), np.full(n - n // 2, -(10 ** rng.uniform(-2, 4)))],
        lambda: -np.cumsum(np.full(n, 10 ** rng.uniform(-2, 3))),
        lambda: np.where(rng.random(n) < 0.3, -np.inf, rng.standard_normal(n) * 5),
        lambda: rng.standard_cauchy(n) * 10,
        lambda: rng.uniform(-1e4, 1e4, n),
        lambda: 1e3 + 1e-7 * rng.standard_normal(n),
        lambda: rng.standard_exponential(n) ** 3,
        lambda: far_clusters(rng, n),
    ]
    log_w = kinds[seed % len(kinds)]()
    if not np.isfinite(log_w).any():
        log_w[0] = 0.0
    return log_w, float(rng.uniform(0.05, 0.95) * np.isfinite(log_w).mean())


def log_ess_share(log_w: np.ndarray, gamma: flint.arb) -> flint.arb:
    """Return log(ESS/n) of w^gamma in balls."""
    finite = log_w[np.isfinite(log_w)]
    top = finite.max()
    first = second = flint.arb(0)
    for level in finite.tolist():
        power = (gamma * (flint.arb(level) - flint.arb(float(top)))).exp()
        first, second = first + power, second + power * power
    return 2 * first.log() - second.log() - flint.arb(len(log_w)).log()


def root(log_w: np.ndarray, rho_min: float, near: float | None = None) -> float:
    """Return the root of log(ESS/n) = log rho_min in (0, 1], 1 if there is none, by halving.

    `near` is a guess that is right to a relative 1e-6, which saves most of the steps.
    """
    before, flint.ctx.prec = flint.ctx.prec, PRECISION
    try:
        goal = flint.arb(rho_min).log()
        low, high = flint.arb(0), flint.arb(1)
        if log_ess_share(log_w, high) >= goal:
            return 1.0
        if near is not None:
            low, high = flint.arb(near) * (1 - 1e-6), flint.arb(near) * (1 + 1e-6)
            if not (log_ess_share(log_w, low) >= goal > log_ess_share(log_w, high)):
                raise ValueError(f"the root is not near {near}")
        # Sixty halvings of that and a hundred and seventy of the whole end below 1e-24.
        for _ in range(60 if near is not None else 170):
            middle = flint.arb(((low + high) / 2).mid())
            if log_ess_share(log_w, middle) >= goal:
                low = middle
            else:
                high = middle
        return float(low.mid())
    finally:
        flint.ctx.prec = before

"""The gamma of one finite float64 vector, with the least overhead: a batch asks for it by step.

The same answers as `solver`'s for a batch of one row, to rounding. Halley's method on log D, with
D = -log(ESS/n), finds the root.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from isr_theory.quick import CONFIRMED, SMALL_TARGET
from isr_theory.rule import MAX_STEPS, Method, cumulant_gamma, safe_gamma

# Up to here BLAS works a dot product off on the core that asks.
SHORT = 1 << 13
# Up to here fourth powers are finite; past it the batch code, which scales first, does the work.
LARGEST_SPREAD = 1e75
# Up to here sums are finite, of as many numbers as there may be.
LARGEST_LEVEL = 1e290


class Vector(NamedTuple):
    """A float64 vector of finite numbers, near enough for their squares to be finite too."""

    levels: Any
    top: float
    spread: float


def as_vector(log_w: Any, method: Method) -> Vector | None:
    """Return what `vector_gamma` asks of log-weights, None where they go as a batch of one row."""
    if type(log_w) is not np.ndarray or log_w.dtype != np.float64 or log_w.ndim != 1:
        return None
    if method == "auto" or not log_w.size:
        return None
    # A NaN is the largest and the smallest; subtracting plain floats warns of nothing.
    top, bottom = float(log_w.max()), float(log_w.min())
    spread = top - bottom
    near = spread < LARGEST_SPREAD and abs(top) < LARGEST_LEVEL
    return Vector(log_w, top, spread) if near else None


def vector_gamma(vector: Vector, rho_min: float, method: Method, gamma_max: float) -> float:
    """Return gamma for one finite vector, as `batch_gamma` does, with the least overhead."""
    target = -math.log(rho_min)
    n = vector.levels.size
    if method == "exact":
        below = vector.levels - vector.top
        mean = float(below.sum()) / n
        # Only a start: it need not be right to the last digit.
        variance = _product(below, below) / n - mean * mean
        start = math.sqrt(target / variance) if variance > 0 else math.inf
        return _root(below, vector.spread, target, min(start, gamma_max), gamma_max)
    centred = vector.levels - float(vector.levels.sum()) / n
    variance = _product(centred, centred) / n
    if not variance > 0:
        return math.inf
    if method == "lognormal":
        return math.sqrt(target / variance)
    square = centred * centred
    third, fourth = _product(square, centred), _product(square, square)
    second = np.float64(variance)
    return float(cumulant_gamma(second, third / n, fourth / n - 3 * second**2, target))


def _root(shifted: Any, spread: float, target: float, start: float, gamma_max: float) -> float:
    """Solve D = -log ESS = target on one finite vector whose largest entry is 0.

    Halley's method on log D as a function of log gamma, which is a line of slope 2 for log-normal
    weights, kept inside a bracket whose low end Kantorovich's inequality gives. A step that leaves
    the bracket, or is more than half of the one before the last, is replaced: by the end of the
    range, which is often the answer, while nothing is known to be too large, and by halving then.
    """
    low = min(gamma_max, float(safe_gamma(max(spread, 1e-300), target))) if spread else gamma_max
    # No gamma is known to be too large yet, not even the end of the range.
    high, gamma = math.inf, max(start, low)
    before = last = math.inf
    room = np.empty_like(shifted), np.empty_like(shifted)
    for _ in range(MAX_STEPS):
        deficit, step = _step(shifted, room, gamma, target)
        if deficit <= target:
            if gamma >= gamma_max:
                return gamma_max
            low = gamma
        else:
            high = gamma
        # exp overflows past 700; any step past 50 leaves the bracket anyway.
        proposed = min(gamma * math.exp(min(step, 50.0)), gamma_max)
        if abs(step) <= CONFIRMED:
            return proposed
        if low >= high * (1 - 4e-16):
            return low
        # Between clusters of levels the ESS is flat, and there a step leaves the bracket or creeps.
        if not (low < proposed < high and abs(step) <= before / 2):
            proposed = gamma_max if high > gamma_max else math.sqrt(low) * math.sqrt(high)
        before, last = last, abs(math.log(proposed / gamma))
        gamma = proposed
    return low


def _step(shifted: Any, room: tuple[Any, Any], gamma: float, target: float) -> tuple[float, float]:
    """Return D, and Halley's step for log D = log target in log gamma: +inf where D has no slope.

    `room` is written to: w^gamma, and w^gamma log w.
    """
    powers, products = room
    np.multiply(shifted, gamma, out=powers)
    np.exp(powers, out=powers)
    np.multiply(powers, shifted, out=products)
    n, first, second = shifted.size, float(powers.sum()), _product(powers, powers)
    mean, mean_twice = _product(powers, shifted) / first, _product(powers, products) / second
    deficit = math.log(n * second / (first * first))
    if target <= SMALL_TARGET:
        # n second / first^2 is 1 + CV^2; near 1 it has lost what the variance still has.
        powers -= first / n
        deficit = math.log1p(n * _product(powers, powers) / (first * first))
    slope = 2 * gamma * (mean_twice - mean)
    if not min(slope, deficit) > 0:
        return deficit, math.inf
    newton = deficit * math.log(target / deficit) / slope
    variance = _product(products, shifted) / first - mean * mean
    variance_twice = _product(products, products) / second - mean_twice * mean_twice
    bend = slope + 2 * gamma * gamma * (2 * variance_twice - variance)
    # With f = log D: f' = D'/D and f'' = D''/D - f'^2; far from the root it may say nothing.
    damping = 1 + newton * (bend / slope - slope / deficit) / 2
    return deficit, newton / damping if 0.5 < damping < 2 else newton


def _product(left: Any, right: Any) -> float:
    """Return the dot product of two vectors, by one core.

    BLAS calls in its threads for a long one, which where the other cores are busy, as in training,
    takes many times what it saves; a short one it does at once.
    """
    whole = left.size // SHORT * SHORT
    if whole <= SHORT:
        return float(left @ right)
    rows = np.vecdot(left[:whole].reshape(-1, SHORT), right[:whole].reshape(-1, SHORT))
    return float(rows.sum() + left[whole:] @ right[whole:])

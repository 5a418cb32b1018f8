"""The gamma at which a sample's ESS meets its target: closed form, cumulants, root.

    -log(ESS/n) = log n + log sum w^(2 gamma) - 2 log sum w^gamma = -log rho_min

The left side never falls in gamma >= 0, starts at 0 where no weight is 0, and is sigma2 gamma^2 for
log-normal weights, so that its logarithm is a line of slope 2 in log gamma. Newton's method is run
in those coordinates, on all rows of a batch at once, inside a bracket whose low end is the gamma
that Kantorovich's inequality allows every sample of its range.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from isr_theory.logspace import WHOLE, Array, Shards, namespace, on_host, quiet, row_max, shifted
from isr_theory.quick import CONFIRMED, LONGEST, SMALL_TARGET, quick_roots

Method = Literal["auto", "lognormal", "cumulant", "exact"]
METHODS = ("auto", "lognormal", "cumulant", "exact")

# Three to six Newton steps are typical. On a bracket of ratio 1e4 plain halving needs 60 to exhaust
# float64, which bounds what can happen.
MAX_STEPS = 64
# A Newton step this small is followed by one far below rounding, since steps square.
SMALL_STEP = 1e-9
SMALL_STEP_SINGLE = 1e-4
# Steps where nobody may look whether they are needed. Of a thousand vectors made to be hard, with
# outliers, levels and tails of up to 1e4, 8 steps leave 5 further than 1e-9 from the root and 12
# none; of eight thousand with clusters of levels up to 1e5 these steps leave none.
FIXED_STEPS = 32
# Up to here BLAS works a dot product off on the core that asks.
SHORT = 1 << 13
# Entries of one block of rows, which is worked on until all its rows have settled: it should stay
# in the cache.
BLOCK = 1 << 14
# Up to here fourth powers are finite; past it the batch code, which scales first, does the work.
LARGEST_SPREAD = 1e75
# Up to here sums are finite, of as many numbers as there may be.
LARGEST_LEVEL = 1e290
# The 95% point of chi-square with two degrees of freedom: the limit of Jarque and Bera's statistic.
NORMAL = 5.991464547107979
# How far the sample's -log ESS may be from its target for the cumulants to be believed.
NEAR = 0.05


def check_rule(rho_min: float, method: str, gamma_min: float, gamma_max: float) -> None:
    """Raise ValueError for a target, a method or a range of gamma that means nothing."""
    if not 0 < rho_min < 1:
        raise ValueError(f"rho_min must be in (0, 1), not {rho_min}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if not 0 <= gamma_min <= gamma_max <= 1:
        raise ValueError(
            f"bounds must satisfy 0 <= gamma_min <= gamma_max <= 1, not {gamma_min} and {gamma_max}"
        )


class Quick(NamedTuple):
    """A float64 vector of finite numbers, near enough for their squares to be finite too."""

    levels: Any
    top: float
    spread: float


def quick_vector(log_w: Any, method: Method) -> Quick | None:
    """Return what the quick way for one batch asks of it, None where it may not be taken."""
    if type(log_w) is not np.ndarray or log_w.dtype != np.float64 or log_w.ndim != 1:
        return None
    if method == "auto" or not log_w.size:
        return None
    # A NaN is the largest and the smallest; subtracting plain floats warns of nothing.
    top, bottom = float(log_w.max()), float(log_w.min())
    spread = top - bottom
    near = spread < LARGEST_SPREAD and abs(top) < LARGEST_LEVEL
    return Quick(log_w, top, spread) if near else None


def vector_gamma(quick: Quick, rho_min: float, method: Method, gamma_max: float) -> float:
    """Return gamma for one finite vector, as `batch_gamma` does, with the least overhead."""
    target = -math.log(rho_min)
    n = quick.levels.size
    if method == "exact":
        below = quick.levels - quick.top
        mean = float(below.sum()) / n
        # Only a start: it need not be right to the last digit.
        variance = _product(below, below) / n - mean * mean
        start = math.sqrt(target / variance) if variance > 0 else math.inf
        return _vector_root(below, quick.spread, target, min(start, gamma_max), gamma_max)
    centred = quick.levels - float(quick.levels.sum()) / n
    variance = _product(centred, centred) / n
    if not variance > 0:
        return math.inf
    if method == "lognormal":
        return math.sqrt(target / variance)
    square = centred * centred
    third, fourth = _product(square, centred), _product(square, square)
    second = np.float64(variance)
    return float(cumulant_gamma(second, third / n, fourth / n - 3 * second**2, target))


def _vector_root(
    shifted: Any, spread: float, target: float, start: float, gamma_max: float
) -> float:
    """Solve D = -log ESS = target on one finite vector whose largest entry is 0.

    Halley's method on log D as a function of log gamma, which is a line of slope 2 for log-normal
    weights, kept inside a bracket whose low end Kantorovich's inequality gives. A step that leaves
    the bracket, or is more than half of the one before the last, is replaced: by the end of the
    range, which is often the answer, while nothing is known to be too large, and by halving then.
    """
    low = min(gamma_max, float(_safe_gamma(max(spread, 1e-300), target))) if spread else gamma_max
    # No gamma is known to be too large yet, not even the end of the range.
    high, gamma = math.inf, max(start, low)
    before = last = math.inf
    room = np.empty_like(shifted), np.empty_like(shifted)
    for _ in range(MAX_STEPS):
        deficit, step = _vector_step(shifted, room, gamma, target)
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


def _vector_step(
    shifted: Any, room: tuple[Any, Any], gamma: float, target: float
) -> tuple[float, float]:
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


def _safe_gamma(spread: Any, target: Any) -> Any:
    """Return (2/R) arcosh(rho^(-1/2)): the gamma that is feasible for every sample of range R."""
    # arcosh(e^(L/2)) = log(e^(L/2) + sqrt(e^L - 1)), written for small L.
    root = np.sqrt(np.expm1(target))
    return 2 * np.log1p(np.expm1(target / 2) + root) / spread


def batch_gamma(
    rows: Array,
    rho_min: float,
    method: Method,
    gamma_max: float,
    *,
    watch: bool,
    over: Shards = WHOLE,
) -> Array:
    """Return gamma for each row, at most `gamma_max` for a root and unclipped for a closed form.

    With `watch` a batch stops when all its rows have settled; without it nothing is asked of the
    device, and the number of steps is fixed. Where a process holds a part of each row, `over` adds
    up the parts, and `watch` must be off, so that every process takes the same steps.
    """
    choose = partial(_gamma_by_row, rho_min=rho_min, method=method, gamma_max=gamma_max, over=over)
    if isinstance(rows, np.ndarray) and rows.ndim > 1:
        flat = rows.reshape(-1, rows.shape[-1])
        if method == "exact" and rows.shape[-1] <= LONGEST:
            return _roots(flat, -math.log(rho_min), gamma_max, choose).reshape(rows.shape[:-1])
        return _on_all_cores(flat, partial(choose, watch=True), BLOCK).reshape(rows.shape[:-1])
    if watch and method == "exact" and rows.ndim > 1 and on_host(rows):
        # Numbers that numpy can see are worked on there, without a copy.
        return namespace(rows).from_numpy(
            batch_gamma(rows.numpy(force=True), rho_min, method, gamma_max, watch=True)
        )
    return choose(rows, watch=watch)


def _roots(rows: Any, target: float, gamma_max: float, choose: Callable[..., Any]) -> Any:
    """Return the exact gammas of rows: the quick way, and with a bracket where that is not sure."""
    quick = partial(quick_roots, target=target, gamma_max=gamma_max)
    # It makes its own blocks, in memory that it takes but once.
    gammas = _on_all_cores(rows, quick, max(BLOCK, rows.size // _cores() + 1))
    rest = np.flatnonzero(np.isnan(gammas))
    gammas[rest] = _on_all_cores(rows[rest], partial(choose, watch=True), BLOCK)
    return gammas


def _on_all_cores(rows: Any, choose: Callable[..., Any], size: int) -> Any:
    """Work on blocks of rows with about `size` entries each, on all cores."""
    step = -(-size // rows.shape[-1])
    edges = range(0, len(rows), step)

    def block(start: int) -> Any:
        return choose(rows[start : start + step])

    workers = min(_cores(), len(edges))
    if workers < 2:
        parts = [block(start) for start in edges]
    else:
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(block, edges))
    return np.concatenate(parts) if parts else np.empty(0)


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gamma_by_row(
    rows: Array, *, rho_min: float, method: Method, gamma_max: float, watch: bool, over: Shards
) -> Array:
    xp = namespace(rows)
    target = -math.log(rho_min)
    small = target <= SMALL_TARGET
    with quiet(rows):
        levels, ones = _levels(shifted(rows, over), watch=watch)
        scale, unit, count = _centred(levels, ones, over)
        second = over.added((unit * unit).sum(-1))[0] / count
        varies = second > 0
        second = xp.where(varies, second, 1.0)
        closed = math.sqrt(target) / (scale * xp.sqrt(second))
        closed = xp.where(varies, closed, xp.where(xp.isnan(scale), math.nan, math.inf))
        if method == "lognormal":
            return closed
        share = count / _length(rows, over)
        if method == "exact":
            goal = target + xp.log(share)
            solve = partial(_solve, gamma_max=gamma_max, over=over, small=small, watch=watch)
            return solve(levels, ones, count, goal, closed)
        third, fourth = _higher(unit, second, count, over)
        series = cumulant_gamma(second, third, fourth, target) / scale
        series = xp.where(varies, series, closed)
        if method == "cumulant":
            return series
        gamma = series.clip(0.0, gamma_max)
        reached = _deficit(levels, ones, count, gamma, over, small=small)[0]
        against = count * (third**2 / second**3 / 6 + (fourth / second**2) ** 2 / 24)
        # The same way as for `exact` alone, so that it is the same to the last bit.
        root = batch_gamma(rows, rho_min, "exact", gamma_max, watch=watch, over=over)
        # What has a weight of 0, or a NaN, is neither normal nor near.
        chosen = xp.where(xp.abs(reached - target) <= NEAR * target, series, root)
        chosen = xp.where(against <= NORMAL, closed, chosen)
        return xp.where((share == 1) & ~xp.isnan(root), chosen, root)


def _levels(below: Array, *, watch: bool) -> tuple[Array, Array | None]:
    """Return log-weights, 0 for those of weight 0, and whether each counts: None where all do."""
    xp = namespace(below)
    zero = below == -math.inf
    # Where nothing may be asked of the device, zeros are expected everywhere.
    if watch and not bool(zero.any()):
        return below, None
    return xp.where(zero, 0.0, below), xp.where(zero, 0.0, xp.ones_like(below))


def _length(rows: Array, over: Shards) -> Any:
    """Return how many entries a row has, weights of 0 included."""
    if over is WHOLE:
        return rows.shape[-1]
    return over.added(namespace(rows).ones_like(rows).sum(-1))[0]


def _higher(unit: Array, second: Array, count: Array, over: Shards) -> tuple[Array, Array]:
    """Return the third and fourth cumulants of centred entries."""
    square = unit * unit
    cubes, fourths = over.added((square * unit).sum(-1), (square * square).sum(-1))
    return cubes / count, fourths / count - 3 * second**2


def _centred(levels: Array, ones: Array | None, over: Shards) -> tuple[Array, Array, Array]:
    """Return a scale, log w about its mean in units of it, and how many entries count.

    Scaling by the largest deviation keeps the square of 1e200 from overflowing; equal entries have
    scale 1. `ones` has 0 where a weight is 0, which does not count; None where none is.
    """
    xp = namespace(levels)
    if ones is None:
        count = xp.ones_like(levels[..., 0]) * levels.shape[-1]
        centred = levels - levels.mean(-1)[..., None]
    else:
        (count,) = over.added(ones.sum(-1))
        # Dividing first keeps the sum of numbers near the largest float from overflowing.
        (mean,) = over.added((levels / count[..., None]).sum(-1))
        centred = (levels - mean[..., None]) * ones
    scale = xp.maximum(row_max(centred, over), row_max(-centred, over))
    scale = xp.where(scale == 0, 1.0, scale)
    return scale, centred / scale[..., None], count


def cumulant_gamma(second: Any, third: Any, fourth: Any, target: float) -> Any:
    """Solve k2 g^2 + k3 g^3 + 7/12 k4 g^4 = target for its first root; without one, drop k3, k4.

    log(ESS/n) = 2K(g) - K(2g) in cumulants of log w. In x = g / g0, g0 the closed form's gamma,
    the series is x^2 + b x^3 + c x^4 = 1. It must rise on (0, x], or the root is of the cut series
    and not of the ESS.
    """
    xp = namespace(second)
    start = math.sqrt(target) / xp.sqrt(second)
    # Standardised first: cumulants of a law of spread 1e-155 are below the least float.
    b, c = third / second * start, 7 / 12 * (fourth / second * start) * start
    x = xp.ones_like(start)
    for _ in range(12):
        value = x * x * (1 + x * (b + c * x)) - 1
        slope = x * (2 + x * (3 * b + 4 * c * x))
        # A step may at most halve or double x, which keeps it from leaving for another root; where
        # the series falls, the part that rises from 0 is further down.
        step = (x - value / xp.where(slope > 0, slope, 1.0)).clip(x / 2, 2 * x)
        x = xp.where(slope > 0, step, x / 2)
    solved = xp.abs(x * x * (1 + x * (b + c * x)) - 1) < 1e-6
    # The slope over x, a quadratic, is positive at 0: it stays so if it is at x and at its bottom.
    bottom = (-3 * b / xp.where(c != 0, 8 * c, 1.0)).clip(0.0 * x, x)
    rising = (2 + x * (3 * b + 4 * c * x) > 0) & (2 + bottom * (3 * b + 4 * c * bottom) > 0)
    return start * xp.where(solved & rising, x, 1.0)


def _deficit(
    levels: Array, positive: Any, count: Array, gamma: Array, over: Shards, *, small: bool
) -> tuple[Array, Array]:
    """Return -log(ESS/n) of the positive weights, and gamma times its slope, by rows.

    `levels` are at most 0, and 0 where a weight is 0; `positive` is None where none is. `small`
    takes -log(ESS/n) from the variance of w^gamma, which is what a difference of logarithms loses.
    """
    xp = namespace(levels)
    powers = xp.exp(gamma[..., None] * levels)
    if positive is not None:
        powers = powers * positive
    first, once = powers.sum(-1), _dot(powers, levels)
    squares = powers * powers
    second, twice = squares.sum(-1), _dot(squares, levels)
    first, once, second, twice = over.added(first, once, second, twice)
    deficit = xp.log(second) - 2 * xp.log(first) + xp.log(count)
    if small:
        centred = powers - (first / count)[..., None]
        centred = centred if positive is None else centred * positive
        (spread,) = over.added((centred * centred).sum(-1))
        deficit = xp.log1p(count * spread / (first * first))
    return deficit, 2 * gamma * (twice / second - once / first)


def _dot(left: Array, right: Array) -> Array:
    """Return the dot product of rows."""
    return np.vecdot(left, right) if isinstance(left, np.ndarray) else (left * right).sum(-1)


def _solve(
    levels: Array,
    ones: Array | None,
    count: Array,
    goal: Array,
    closed: Array,
    gamma_max: float,
    over: Shards,
    *,
    small: bool,
    watch: bool,
) -> Array:
    """Solve every row at once, as `_vector_root` does one; `watch` stops when all have settled.

    0 where even gamma = 0 falls short of the goal.
    """
    xp = namespace(levels)
    spread = row_max(-levels, over)
    low = _safe_gamma_by_row(spread, goal).clip(None, gamma_max)
    # No gamma is known to be too large yet, not even the end of the range.
    high = xp.full_like(spread, math.inf)
    gamma = xp.where(spread > 0, xp.maximum(closed.clip(None, gamma_max), low), gamma_max)
    # Infeasible rows, and rows with a NaN, are settled before they begin.
    answer = xp.where((goal >= 0) & (spread == 0), gamma, xp.zeros_like(low))
    answer = xp.where(xp.isnan(spread), math.nan, answer)
    settled = ~((goal > 0) & (spread > 0))
    tiny = SMALL_STEP if levels.dtype.itemsize == 8 else SMALL_STEP_SINGLE
    before = last = high
    for _ in range(MAX_STEPS if watch else FIXED_STEPS):
        if watch and bool(settled.all()):
            break
        deficit, slope = _deficit(levels, ones, count, gamma, over, small=small)
        below = deficit <= goal
        at_end = below & (gamma >= gamma_max)
        low, high = xp.where(below, gamma, low), xp.where(below, high, gamma)
        sound = (slope > 0) & (deficit > 0)
        step = xp.where(sound, deficit * xp.log(goal / deficit) / slope, math.inf)
        proposed = (gamma * xp.exp(step.clip(-50.0, 50.0))).clip(None, gamma_max)
        done = sound & (xp.abs(step) <= tiny)
        result = xp.where(at_end, gamma_max, xp.where(done, proposed, low))
        answer = xp.where(settled, answer, result)
        settled = settled | at_end | done | (low >= high * (1 - 4e-16))
        # Between clusters of levels the ESS is flat, and there Newton leaves the bracket or creeps.
        newton = (low < proposed) & (proposed < high) & (xp.abs(step) <= before / 2)
        split = xp.where(high > gamma_max, gamma_max, xp.sqrt(low) * xp.sqrt(high))
        proposed = xp.where(newton, proposed, split)
        before, last = last, xp.abs(xp.log(proposed / gamma))
        gamma = proposed
    return answer


def _safe_gamma_by_row(spread: Array, goal: Array) -> Array:
    """Return `_safe_gamma` for every row, and +inf where all weights are equal."""
    xp = namespace(spread)
    sound = xp.where(goal > 0, goal, 1.0)
    root = xp.sqrt(xp.expm1(sound))
    safe = 2 * xp.log1p(xp.expm1(sound / 2) + root) / xp.where(spread > 0, spread, 1.0)
    return xp.where(spread > 0, safe, math.inf)

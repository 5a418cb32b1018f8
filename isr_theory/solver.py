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
from typing import Any

import numpy as np

from isr_theory.logspace import WHOLE, Array, Shards, namespace, on_host, quiet, row_max, shifted
from isr_theory.quick import LONGEST, SMALL_TARGET, quick_roots
from isr_theory.rule import MAX_STEPS, NEAR, NORMAL, Method, cumulant_gamma

# A Newton step this small is followed by one far below rounding, since steps square.
SMALL_STEP = 1e-9
SMALL_STEP_SINGLE = 1e-4
# Steps where nobody may look whether they are needed. Of a thousand vectors made to be hard, with
# outliers, levels and tails of up to 1e4, 8 steps leave 5 further than 1e-9 from the root and 12
# none; of eight thousand with clusters of levels up to 1e5 these steps leave none.
FIXED_STEPS = 32
# Entries of one block of rows, which is worked on until all its rows have settled: it should stay
# in the cache.
BLOCK = 1 << 14


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
    """Solve every row at once, as `vector` does one; `watch` stops when all have settled.

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
    """Return `safe_gamma` for every row, and +inf where all weights are equal."""
    xp = namespace(spread)
    sound = xp.where(goal > 0, goal, 1.0)
    root = xp.sqrt(xp.expm1(sound))
    safe = 2 * xp.log1p(xp.expm1(sound / 2) + root) / xp.where(spread > 0, spread, 1.0)
    return xp.where(spread > 0, safe, math.inf)

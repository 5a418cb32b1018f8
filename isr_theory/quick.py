"""The root for many short rows of numpy numbers: single precision finds it, double confirms it.

With x = log gamma and D = -log(ESS/n), Newton's method is run on log D as a function of x, which is
a line of slope 2 for log-normal weights: three steps in single precision, where numbers are worked
on at twice the speed, and one of Halley's in double. A row for which that last step is small has
its root; any other (a weight of 0, clusters far apart, no root below the end of the range) is left
to `solver`, which has brackets. Everything is done in place, in memory that stays in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Entries of one block of rows. Five arrays of it, two of them in double, are 0.9 MB.
BLOCK = 1 << 15
# Dot products of longer rows round too much: they are not summed pairwise.
LONGEST = 1 << 12
# Newton squares its error: 0.3, which is what a closed form is off by, becomes 1e-2, 1e-4 and less
# than single precision has.
STEPS = 3
# Halley's step cubes its error. The third derivative is at most about (gamma log w)^2, and only
# terms with |gamma log w| < 40 are seen, so that what is left is below 1e-14.
CONFIRMED = 2e-6
# Single precision ends at 3e38; a level this low has no weight at any gamma that is found here.
LOWEST = -1e30
# Below this target -log ESS is too near 0 for a difference of logarithms.
SMALL_TARGET = 0.1


class Sums(NamedTuple):
    """Sums over each row, with p = w^gamma and L = log w: p, p L, p^2, p^2 L."""

    first: Any
    once: Any
    second: Any
    twice: Any


class Space(NamedTuple):
    """Room for levels, and for what is made of them, in one precision."""

    levels: Any
    powers: Any
    products: Any
    ones: Any


def quick_roots(rows: Array, target: float, gamma_max: float) -> Array:
    """Return the root of D = target for each row, gamma_max above it, NaN where this is not sure.

    `rows` has two axes; nothing is asked of its numbers.
    """
    n = rows.shape[-1]
    step = max(1, min(BLOCK // n, len(rows)))
    found, room = np.empty(len(rows)), (step, n)
    spaces = [
        Space(np.empty(room, kind), np.empty(room, kind), np.empty(room, kind), np.ones(n, kind))
        for kind in (np.float32, np.float64)
    ]
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            single, double = (_cut(space, len(block)) for space in spaces)
            found[start : start + step] = _roots_of_block(block, target, gamma_max, single, double)
    return found


def _cut(space: Space, rows: int) -> Space:
    return Space(space.levels[:rows], space.powers[:rows], space.products[:rows], space.ones)


def _roots_of_block(
    rows: Array, target: float, gamma_max: float, single: Space, double: Space
) -> Array:
    levels, ones, n = double.levels, double.ones, rows.shape[-1]
    np.subtract(rows, rows.max(-1)[:, None], out=levels)
    # A guess need not be right to the last digit.
    variance = np.vecdot(levels, levels) / n - (np.vecdot(levels, ones) / n) ** 2
    gamma = np.minimum(np.sqrt(target / variance), gamma_max)
    np.maximum(levels, LOWEST, out=single.levels, casting="same_kind")
    for _ in range(STEPS):
        sums = _sums(single, gamma)
        step = _newton(_deficit(sums, single, target), _slope(sums, gamma), target)
        # A guess may at most be halved or doubled, and one without a slope stays.
        factor = np.exp(np.where(np.isfinite(step), step, 0.0).clip(-0.7, 0.7))
        gamma = np.minimum(gamma * factor, gamma_max)
    sums = _sums(double, gamma)
    deficit = _deficit(sums, double, target)
    step = _halley(sums, double, gamma, deficit, target)
    root = np.where(abs(step) <= CONFIRMED, np.minimum(gamma * np.exp(step), gamma_max), np.nan)
    return np.where((deficit <= target) & (gamma == gamma_max), gamma_max, root)


def _sums(space: Space, gamma: Array) -> Sums:
    levels, powers, products, ones = space
    np.multiply(levels, gamma[:, None].astype(levels.dtype), out=powers)
    np.exp(powers, out=powers)
    np.multiply(powers, levels, out=products)
    return Sums(
        np.vecdot(powers, ones),
        np.vecdot(products, ones),
        np.vecdot(powers, powers),
        np.vecdot(powers, products),
    )


def _deficit(sums: Sums, space: Space, target: float) -> Array:
    """Return D, near a small target from the variance of w^gamma: n sum p^2/(sum p)^2 is 1 + CV^2.

    That writes over the powers.
    """
    powers, n = space.powers, space.powers.shape[-1]
    if target > SMALL_TARGET:
        deficit: Array = np.log(sums.second / (sums.first * sums.first) * n)
        return deficit
    mean = sums.first / n
    np.subtract(powers, mean[:, None], out=powers)
    deficit = np.log1p(np.vecdot(powers, powers) / (n * mean * mean))
    return deficit


def _slope(sums: Sums, gamma: Array) -> Array:
    """Return dD/dx: 2 gamma times the difference of the means of L under w^(2 gamma), w^gamma."""
    slope: Array = 2 * gamma * (sums.twice / sums.second - sums.once / sums.first)
    return slope


def _newton(deficit: Array, slope: Array, target: float) -> Array:
    step: Array = deficit * np.log(target / deficit) / slope
    return step


def _halley(sums: Sums, space: Space, gamma: Array, deficit: Array, target: float) -> Array:
    """Return Halley's step for log D - log target in x: Newton's, bent by the second derivative."""
    slope = _slope(sums, gamma)
    square = np.vecdot(space.products, space.levels)
    square_twice = np.vecdot(space.products, space.products)
    variance = square / sums.first - (sums.once / sums.first) ** 2
    variance_twice = square_twice / sums.second - (sums.twice / sums.second) ** 2
    bend = slope + 2 * gamma * gamma * (2 * variance_twice - variance)
    newton = _newton(deficit, slope, target)
    # With f = log D: f' = D'/D and f'' = D''/D - f'^2; the step is newton / (1 + newton f''/2f').
    step: Array = newton / (1 + newton * (bend / slope - slope / deficit) / 2)
    return step

"""Sums of w^0, w^h, w^(2h), ..., w^((m-1)h): a whole grid of exponents for the price of a few.

With r = w^h the power j = a i + k is r^k (r^a)^i, so that all sums over a chunk are one product of
a matrix of small powers with a matrix of giant ones: about 2 sqrt(m) multiplications and m fused
ones a weight, and a single exponential. The chunk is small enough to stay in the cache.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHUNK = 1 << 13


def power_sums(
    log_w: Array, top: float, step: float, count: int, values: Array | None = None
) -> Array:
    """Return sum of v (w e^-top)^(j step) for j = 0..count-1; v is 1 unless `values` are given.

    `top` is at least the largest log-weight. A weight of 0 counts at no power, 0 included.
    """
    small = math.isqrt(count - 1) + 1
    giant = -(-count // small)
    low, high = np.empty((small, CHUNK)), np.empty((giant, CHUNK))
    sums = np.zeros((giant, small))
    for start in range(0, len(log_w), CHUNK):
        chunk = log_w[start : start + CHUNK]
        size = len(chunk)
        first, last = low[:, :size], high[:, :size]
        with np.errstate(over="ignore"):
            ratio = np.exp(step * (chunk - top))
        present = (chunk != -math.inf).astype(np.float64)
        first[0] = 1.0
        for k in range(1, small):
            np.multiply(first[k - 1], ratio, out=first[k])
        leap = first[small - 1] * ratio
        # One factor of w^0 carries what is missing, so that every product has it.
        last[0] = present if values is None else present * values[start : start + size]
        for i in range(1, giant):
            np.multiply(last[i - 1], leap, out=last[i])
        sums += last @ first.T
    return sums.reshape(-1)[:count]


def log_mean_powers(log_w: Array, step: float, count: int) -> Array:
    """Return log of the means of w^(j step) for j = 0..count-1."""
    top = float(log_w.max())
    sums = power_sums(log_w, top, step, count)
    with np.errstate(over="ignore"):
        means: Array = np.log(sums / len(log_w)) + top * (step * np.arange(count))
    return means

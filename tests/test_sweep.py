"""A grid of moments by powers of powers, against one exponential a term."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isr_theory import log_moment, log_moments
from isr_theory.sweep import CHUNK, power_sums
from isr_theory.testing import DOUBLE


def some(n, seed=0):
    log_w = 2 * np.random.default_rng(seed).standard_normal(n)
    log_w[::7] = -np.inf
    log_w[-1] = 1.0
    return log_w


@pytest.mark.parametrize("n", [1, 2, 8, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize(("step", "count"), [(0.05, 41), (0.5, 1), (0.5, 2), (1.0, 7)])
def test_every_moment_is_that_of_one_exponent(n, step, count):
    log_w = some(n)
    found = log_moments(log_w, step, count)
    truth = [log_moment(log_w, k * step) for k in range(count)]
    # A power is a product of at most `count` factors, each rounded; the exponent of the first and
    # the sum of n terms add a few times the log of n and the size of an exponent.
    rounding = (count + 8 * (1 + math.log2(n)) + 40 * count * step) * DOUBLE
    np.testing.assert_allclose(found, truth, rtol=0, atol=4 * rounding)


def test_values_are_summed_with_the_powers():
    rng = np.random.default_rng(1)
    log_w, values = some(CHUNK + 100), rng.standard_normal(CHUNK + 100)
    top = log_w.max()
    found = power_sums(log_w, top, 0.25, 9, values)
    present = np.isfinite(log_w)
    for k, total in enumerate(found):
        terms = values[present] * np.exp(0.25 * k * (log_w[present] - top))
        assert total == pytest.approx(terms.sum(), abs=1e-12 * np.abs(terms).sum())


def test_huge_levels_neither_overflow_nor_lose_their_size():
    log_w = np.array([1e4, 1e4 - 1, -1e4])
    found = log_moments(log_w, 0.5, 5)
    expected = [0.5 * k * 1e4 + math.log1p(math.exp(-0.5 * k)) - math.log(3) for k in range(1, 5)]
    np.testing.assert_allclose(found[1:], expected, rtol=1e-14)


def test_bad_grids_and_weights_are_named():
    for step in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="step must be a positive number"):
            log_moments([0.0], step, 3)
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        log_moments([0.0], 0.1, 0)
    with pytest.raises(ValueError, match="one vector"):
        log_moments([[0.0]], 0.1, 3)
    with pytest.raises(ValueError, match=r"log_w\[1\] is nan"):
        log_moments([0.0, math.nan], 0.1, 3)


def test_levels_near_the_largest_float_do_not_warn():
    # The range is past the largest float, and so is the second moment.
    found = log_moments([1e308, -1e308], 1.0, 3)
    np.testing.assert_allclose(found, [0.0, 1e308, math.inf], rtol=1e-15)

"""Every function of the weights against its definition: on any axis, order and kind of gamma."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from isr_theory import solver, weights
from isr_theory.testing import DOUBLE
from isr_theory.weights import (
    gamma_star,
    log_moment,
    max_weight_ratio,
    perplexity_ratio,
    renyi_divergence,
)

SMALL = np.array([0.5, -1.0, 1.5, -0.5, -math.inf])
MEASURES = (
    weights.ess_ratio,
    weights.max_weight_ratio,
    weights.perplexity_ratio,
    weights.normalized_weights,
)
BLOCK = np.random.default_rng(3).standard_normal((2, 3, 7))


@pytest.mark.parametrize("gamma", [0.0, 0.4, 1.0])
def test_the_measures_are_their_definitions(gamma):
    own = np.where(np.isfinite(SMALL), np.exp(gamma * np.nan_to_num(SMALL, neginf=0)), 0)
    law = own[own > 0] / own.sum()
    entropy = -(law * np.log(law)).sum()
    assert max_weight_ratio(SMALL, gamma) == pytest.approx(1 / (5 * law.max()), rel=1e-14)
    assert perplexity_ratio(SMALL, gamma) == pytest.approx(math.exp(entropy) / 5, rel=1e-14)
    if gamma == 1:
        assert max_weight_ratio(SMALL) == max_weight_ratio(SMALL, gamma)
        assert perplexity_ratio(SMALL) == perplexity_ratio(SMALL, gamma)


def test_rounding_never_carries_a_perplexity_past_1():
    for n in range(1, 200):
        found = perplexity_ratio(np.full(n, 0.1 * n))
        # The entropy is of order log n, summed over n equal terms.
        assert 1 - 4 * (n + math.log(n)) * DOUBLE <= found <= 1


@pytest.mark.parametrize(
    "function",
    [
        *MEASURES[:3],
        *(lambda rows, axis=-1, a=a: log_moment(rows, a, axis=axis) for a in (0.5, 2)),
        *(lambda rows, axis=-1, a=a: renyi_divergence(rows, a, axis=axis) for a in (0.5, 1.01, 1)),
        *(
            lambda rows, axis=-1, m=m: gamma_star(3 * rows, method=m, axis=axis)
            for m in weights.METHODS
        ),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, 2, -3])
def test_an_axis_is_one_of_the_shape(function, axis):
    found = function(BLOCK, axis=axis)
    # The order of seven additions may differ.
    np.testing.assert_allclose(found, function(np.moveaxis(BLOCK, axis, -1).copy()), rtol=1e-12)


def exact_renyi(log_w, alpha):
    """The divergence in 50 digits."""
    with mpmath.workdps(50):
        levels = [mpmath.mpf(float(x)) for x in log_w if x > -math.inf]
        n = len(log_w)
        unit = sum(mpmath.exp(x) for x in levels) / n
        total = sum(mpmath.exp(x * mpmath.mpf(alpha)) for x in levels) / n
        return float(mpmath.log(total / unit ** mpmath.mpf(alpha)) / (mpmath.mpf(alpha) - 1))


LAWS = {
    "small": SMALL,
    "wide": 4 * np.random.default_rng(0).standard_normal(60),
    # w^t of the lowest level overflows where w itself is 0.
    "very low": np.array([0.0, 1.0, -9e3, -400.0, 2.0]),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("t", [0.13, 0.125, 0.1, 1e-3, 1e-6, 1e-10, 1e-13])
@pytest.mark.parametrize("sign", [-1, 1])
def test_renyi_close_to_order_1_keeps_its_digits(name, t, sign):
    alpha = 1 + sign * t
    found = renyi_divergence(LAWS[name], alpha)
    # Weights of mean 1 are made by a shift whose rounding, at its size of up to 11, is a factor on
    # each weight, and on the divergence.
    assert found == pytest.approx(exact_renyi(LAWS[name], alpha), rel=200 * DOUBLE)
    # In a batch every row keeps its own.
    together = renyi_divergence(np.array([LAWS[name], LAWS[name] / 2 - 7]), alpha)
    other = exact_renyi(LAWS[name] / 2 - 7, alpha)
    np.testing.assert_allclose(together, [found, other], rtol=200 * DOUBLE)


def test_no_divergence_is_a_zero_without_a_sign():
    for alpha in (0.0, 0.5, 1.0, 1.05, 2.0, math.inf):
        found = renyi_divergence(np.zeros(4), alpha)
        assert (found, math.copysign(1, found)) == (0.0, 1.0)


@pytest.mark.parametrize("alpha", [0.9, 1.0, 1.1, 2.0])
def test_a_level_near_the_largest_float_does_not_warn(alpha):
    assert renyi_divergence([0.0, -1.7e308], alpha) == pytest.approx(math.log(2), rel=1e-13)


@pytest.mark.parametrize("method", ["lognormal", "cumulant", "exact"])
def test_one_vector_does_without_the_code_for_batches(method, monkeypatch):
    log_w = 3 * BLOCK[0, 0]
    expected = gamma_star([log_w], method=method)[0]
    monkeypatch.setattr(solver, "batch_gamma", None)
    for axis in (-1, 0):
        # The order of seven additions differs; the closed form is better conditioned than a root.
        assert gamma_star(log_w, method=method, axis=axis) == pytest.approx(expected, rel=1e-13)


def test_a_vector_has_one_axis():
    for axis in (-2, 1):
        with pytest.raises(ValueError, match=r"axis must be in \[-1, 1\)"):
            gamma_star(np.arange(4.0), method="exact", axis=axis)


@pytest.mark.parametrize("method", weights.METHODS)
def test_a_batch_stays_in_its_range(method):
    rows = 9 * BLOCK[0]
    free = gamma_star(rows, method=method)
    middle = np.sort(free)[1]
    low = gamma_star(rows, method=method, gamma_min=middle)
    np.testing.assert_array_equal(low, np.maximum(free, middle))
    high = gamma_star(rows, method=method, gamma_max=middle)
    np.testing.assert_allclose(high, np.minimum(free, middle), rtol=1e-13)


@pytest.mark.parametrize("function", MEASURES)
def test_gammas_are_numbers_of_any_kind_one_for_each_row(function):
    gammas = [[Fraction(1, 2), 0, 1], [0.25, 2, 0.5]]
    found = function(BLOCK, gammas)
    for place in np.ndindex(2, 3):
        alone = function(BLOCK[place], float(gammas[place[0]][place[1]]))
        np.testing.assert_allclose(found[place], alone, rtol=1e-14)
    with pytest.raises(ValueError, match=r"have the shape \(2, 3\), not \(2, 1\)"):
        function(BLOCK, [[0.5], [0.5]])
    for wrong in (math.inf, math.nan):
        with pytest.raises(ValueError, match="gamma must be finite numbers"):
            function(BLOCK, [[0.5, 0.5, 0.5], [0.5, wrong, 0.5]])


def test_no_measure_takes_a_negative_gamma_but_the_weights_do():
    gammas = [[0.5, 0.5, 0.5], [0.5, -0.5, 0.5]]
    for function in MEASURES[:3]:
        with pytest.raises(ValueError, match=r"finite numbers, at least 0"):
            function(BLOCK, gammas)
    own = np.exp(-0.5 * BLOCK[1, 1])
    found = weights.normalized_weights(BLOCK, gammas)[1, 1]
    np.testing.assert_allclose(found, own / own.sum(), rtol=1e-14)


@pytest.mark.parametrize("function", MEASURES)
def test_gammas_and_weights_may_be_arrays_or_tensors(function):
    gammas = np.array([[0.5, 0.0, 1.0], [0.25, 2.0, 0.5]])
    expected = function(BLOCK, gammas)
    leaf = torch.tensor(gammas, requires_grad=True)
    np.testing.assert_array_equal(function(BLOCK, leaf), expected)
    for given in (gammas, leaf):
        found = function(torch.tensor(BLOCK), given)
        assert not found.requires_grad
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    single = torch.tensor(BLOCK, dtype=torch.float32)
    # The gammas are in binary, so that single precision has them; the weights' rounding is 2^-24.
    assert function(single, leaf).dtype == torch.float32
    np.testing.assert_allclose(function(single, leaf), expected, rtol=64 * 2.0**-24)

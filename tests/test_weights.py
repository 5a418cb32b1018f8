"""Properties of the weights, and what happens on bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp

import isr_theory
from isr_theory import weights

levels = st.floats(-1e4, 1e4) | st.just(-math.inf) | st.floats(-1e-300, 1e-300) | st.just(0.0)
batches = (
    st.lists(levels, min_size=1, max_size=40)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)
gammas = st.floats(0, 1)
targets = st.floats(0.001, 0.999)


@given(batches, gammas)
def test_ess_lies_between_one_over_n_and_one(log_w, gamma):
    # log-sum-exp of n <= 40 terms is good to a few ulps, so ESS/n is good to 1e-12.
    assert 1 / len(log_w) - 1e-12 <= isr_theory.ess_ratio(log_w, gamma) <= 1


@given(st.integers(1, 50), st.floats(-1e4, 1e4), gammas)
def test_equal_weights_have_all_of_the_sample(n, level, gamma):
    assert isr_theory.ess_ratio(np.full(n, level), gamma) == pytest.approx(1, abs=1e-12)


@given(batches, gammas, gammas)
def test_ess_never_increases_with_gamma(log_w, one, other):
    low, high = sorted((one, other))
    assert isr_theory.ess_ratio(log_w, high) <= isr_theory.ess_ratio(log_w, low) + 1e-12


@given(batches, gammas, st.floats(-1e3, 1e3), st.randoms())
def test_ess_ignores_scale_order_and_copies(log_w, gamma, shift, random):
    ess = isr_theory.ess_ratio(log_w, gamma)
    shuffled = log_w.copy()
    random.shuffle(shuffled)
    # A shift by 1e3 of levels up to 1e4 rounds them by 1e-12 at most; ESS has slope at most 2.
    assert isr_theory.ess_ratio(log_w + shift, gamma) == pytest.approx(ess, abs=1e-10)
    assert isr_theory.ess_ratio(shuffled, gamma) == pytest.approx(ess, abs=1e-12)
    assert isr_theory.ess_ratio(np.tile(log_w, 3), gamma) == pytest.approx(ess, abs=1e-12)


@given(batches)
def test_at_gamma_zero_the_ess_is_the_share_of_positive_weights(log_w):
    share = np.isfinite(log_w).mean()
    assert isr_theory.ess_ratio(log_w, 0.0) == pytest.approx(share, abs=1e-12)


@given(batches, gammas)
def test_normalized_weights_are_a_law(log_w, gamma):
    own = isr_theory.normalized_weights(log_w, gamma)
    assert own.shape == log_w.shape
    assert own.sum() == pytest.approx(1, abs=1e-12)
    assert (own[~np.isfinite(log_w)] == 0).all()


@given(batches, st.floats(0, 30), st.floats(0, 30))
def test_renyi_is_nonnegative_and_never_falls_in_its_order(log_w, one, other):
    low, high = sorted((one, other))
    # Near order 1 the difference quotient log M / (alpha - 1) loses digits to the division.
    slack = 1e-9 * (1 + np.abs(log_w[np.isfinite(log_w)]).max())
    if min(abs(low - 1), abs(high - 1)) < 1e-3:
        slack *= 1e4
    first = isr_theory.renyi_divergence(log_w, low)
    assert first >= -slack
    assert isr_theory.renyi_divergence(log_w, high) >= first - slack
    assert isr_theory.renyi_divergence(log_w, math.inf) >= first - slack


@given(batches, targets)
def test_the_exact_gamma_is_the_largest_feasible_one(log_w, rho_min):
    gamma = isr_theory.gamma_star(log_w, rho_min)
    assert 0 <= gamma <= 1
    if np.isfinite(log_w).mean() < rho_min:
        assert gamma == 0
        return
    assert isr_theory.ess_ratio(log_w, gamma) >= rho_min - 1e-9
    if gamma < 1:
        assert isr_theory.ess_ratio(log_w, min(1.0, gamma * (1 + 1e-6))) <= rho_min + 1e-9


@given(batches, targets, targets, st.sampled_from(["lognormal", "exact"]))
def test_a_higher_target_never_raises_gamma(log_w, one, other, method):
    low, high = sorted((one, other))
    smaller = isr_theory.gamma_star(log_w, high, method=method)
    assert smaller <= isr_theory.gamma_star(log_w, low, method=method) + 1e-9


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 64, 500]), st.floats(0.1, 6))
def test_the_exact_gamma_is_brentqs(seed, n, sigma):
    log_w = sigma * np.random.default_rng(seed).standard_normal(n)

    def excess(gamma):
        return 2 * logsumexp(gamma * log_w) - logsumexp(2 * gamma * log_w) - math.log(0.3 * n)

    expected = 1.0 if excess(1.0) >= 0 else brentq(excess, 0, 1, xtol=1e-15)
    assert isr_theory.gamma_star(log_w) == pytest.approx(expected, abs=1e-12)


def test_the_closed_form_is_the_papers():
    log_w = np.array([0.5, -1.0, 1.5, -0.5]) * 3
    expected = math.sqrt(-math.log(0.3) / log_w.var())
    assert isr_theory.gamma_star(log_w, method="lognormal") == pytest.approx(expected, rel=1e-14)


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((7, 30)) * rng.uniform(0.1, 20, (7, 1))
    for function in (isr_theory.ess_ratio, isr_theory.gamma_star):
        along_last = function(rows)
        along_first = function(rows.T, axis=0)
        assert along_last.shape == (7,)
        np.testing.assert_allclose(along_last, [function(row) for row in rows], rtol=1e-13)
        np.testing.assert_allclose(along_first, along_last, rtol=1e-13)
    flat = isr_theory.normalized_weights(rows.T, 0.5, axis=0)
    np.testing.assert_allclose(flat.T, isr_theory.normalized_weights(rows, 0.5), rtol=1e-13)


def test_reference_values_of_a_small_batch():
    log_w = [0.5, -1.0, 1.5, -0.5]
    assert 4 * isr_theory.ess_ratio(log_w, 0.5) == pytest.approx(3.2244603973471648, rel=1e-14)
    assert 4 * isr_theory.ess_ratio(log_w) == pytest.approx(2.1658043081208610, rel=1e-14)


def test_input_is_not_written_to():
    log_w = np.array([0.0, -np.inf, 3.0])
    before = log_w.copy()
    for function in (isr_theory.ess_ratio, isr_theory.gamma_star, isr_theory.normalized_weights):
        function(log_w)
    np.testing.assert_array_equal(log_w, before)


BAD = [
    ([0.0, math.nan], ValueError, r"log_w\[1\] is nan"),
    ([[0.0, 1.0], [math.inf, 0.0]], ValueError, r"log_w\[\(1, 0\)\] is inf"),
    ([], ValueError, "empty"),
    ([-math.inf, -math.inf], ValueError, "some weight must be positive"),
    (3.0, ValueError, "at least one axis"),
    (["a"], TypeError, "real numbers"),
    ([1j], TypeError, "real numbers"),
]


@pytest.mark.parametrize(("log_w", "error", "message"), BAD)
@pytest.mark.parametrize(
    "function",
    [
        weights.ess_ratio,
        weights.gamma_star,
        weights.normalized_weights,
        lambda log_w: weights.log_moment(log_w, 0.5),
        lambda log_w: weights.renyi_divergence(log_w, 0.5),
    ],
)
def test_bad_weights_are_named(function, log_w, error, message):
    with pytest.raises(error, match=message):
        function(log_w)


def test_bad_parameters_are_named():
    for rho_min in (0, 1, -1, math.nan, 2):
        with pytest.raises(ValueError, match=r"rho_min must be in \(0, 1\)"):
            isr_theory.gamma_star([0.0, 1.0], rho_min)
    with pytest.raises(ValueError, match="method must be"):
        isr_theory.gamma_star([0.0, 1.0], method="guess")
    with pytest.raises(ValueError, match="gamma must be at least 0"):
        isr_theory.ess_ratio([0.0, 1.0], -0.5)
    with pytest.raises(ValueError, match="gamma must be a finite number"):
        isr_theory.normalized_weights([0.0, 1.0], math.nan)
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        isr_theory.renyi_divergence([0.0, 1.0], math.nan)
    with pytest.raises(ValueError, match="axis must be in"):
        isr_theory.ess_ratio([0.0, 1.0], axis=1)
    with pytest.raises(ValueError, match="the moment is infinite"):
        isr_theory.log_moment([0.0, -math.inf], -1.0)


def test_integers_and_half_precision_are_computed_in_double():
    whole = np.array([0, 1, 3])
    assert isr_theory.ess_ratio(whole) == isr_theory.ess_ratio(whole.astype(float))
    assert isr_theory.ess_ratio(whole.astype(np.float16)) == isr_theory.ess_ratio(whole)


def test_one_weight_keeps_gamma_at_one():
    for method in ("lognormal", "exact"):
        assert isr_theory.gamma_star([7.0], method=method) == 1.0


def test_huge_levels_neither_overflow_nor_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_w = np.array([1e4, -1e4, 0.0, -math.inf])
        assert 0 < isr_theory.gamma_star(log_w, 0.3) < 1e-3
        assert isr_theory.ess_ratio(log_w) == 0.25

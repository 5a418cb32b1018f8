"""Properties of the weights, and what happens on bad input; test_testing.py has the relations."""

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
from isr_theory import testing, weights
from isr_theory.testing import DOUBLE

levels = st.floats(-1e4, 1e4) | st.just(-math.inf) | st.floats(-1e-300, 1e-300) | st.just(0.0)
batches = (
    st.lists(levels, min_size=1, max_size=40)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)
gammas = st.floats(0, 1)
targets = st.floats(0.001, 0.999)


@given(st.integers(1, 50), st.floats(-1e4, 1e4), gammas)
def test_equal_weights_have_exactly_all_of_the_sample(n, level, gamma):
    assert isr_theory.ess_ratio(np.full(n, level), gamma) == 1


@given(batches, gammas)
def test_no_rounding_carries_an_ess_past_1(log_w, gamma):
    assert 0 < isr_theory.ess_ratio(log_w, gamma) <= 1


@given(batches, gammas)
def test_normalized_weights_are_a_law(log_w, gamma):
    own = isr_theory.normalized_weights(log_w, gamma)
    assert own.shape == log_w.shape
    # Every weight is rounded by its division, and so are the at most 40 additions.
    assert own.sum() == pytest.approx(1, rel=0, abs=2 * 40 * DOUBLE)
    assert (own[~np.isfinite(log_w)] == 0).all()
    # A larger log-weight has no smaller a weight.
    assert (np.diff(own[np.argsort(log_w)]) >= 0).all()


def renyi_rounding(log_w, alpha):
    """The rounding of log M(alpha), as for an ESS, in the quotient log M / (alpha - 1)."""
    size = max(alpha, 1.0) if math.isfinite(alpha) else 1.0
    # At order 1 there is no division, and at infinity the largest log-weight is the answer.
    quotient = abs(alpha - 1) if alpha != 1 and math.isfinite(alpha) else 1.0
    return size * testing.ess_slack(DOUBLE, log_w) / quotient


@given(batches, st.floats(0, 30), st.floats(0, 30) | st.sampled_from([0.0, 1.0, math.inf]))
def test_renyi_is_nonnegative_and_never_falls_in_its_order(log_w, one, other):
    low, high = sorted((one, other))
    rounding = renyi_rounding(log_w, low)
    first = isr_theory.renyi_divergence(log_w, low)
    assert first >= -rounding
    second = isr_theory.renyi_divergence(log_w, high)
    assert second >= first - rounding - renyi_rounding(log_w, high)


@given(batches, gammas)
def test_moments_are_those_behind_the_ess(log_w, gamma):
    first, second = (isr_theory.log_moment(log_w, k * gamma) for k in (1, 2))
    log_ess = math.log(isr_theory.ess_ratio(log_w, gamma))
    assert 2 * first - second == pytest.approx(log_ess, rel=0, abs=testing.ess_slack(DOUBLE, log_w))


@given(batches, targets, targets)
def test_a_higher_target_never_raises_gamma(log_w, one, other):
    low, high = sorted((one, other))
    rule = [isr_theory.gamma_star(log_w, rho, method="lognormal") for rho in (high, low)]
    # The logarithm of the target is rounded, and so are a square root and a quotient.
    assert rule[0] <= rule[1] * (1 + 8 * DOUBLE)
    root = [isr_theory.gamma_star(log_w, rho, method="exact") for rho in (high, low)]
    # Where the ESS is flat in gamma, rounding may place the root anywhere.
    higher, lower = (testing.defined_ess(log_w, gamma) for gamma in root)
    assert higher >= lower - testing.gamma_slack(DOUBLE, log_w, low)


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 64, 500]), st.floats(0.1, 6))
def test_the_exact_gamma_is_brentqs(seed, n, sigma):
    log_w = sigma * np.random.default_rng(seed).standard_normal(n)

    def excess(gamma):
        return 2 * logsumexp(gamma * log_w) - logsumexp(2 * gamma * log_w) - math.log(0.3 * n)

    expected = 1.0 if excess(1.0) >= 0 else brentq(excess, 0, 1, xtol=1e-15)
    # Here log ESS falls by about 2 where gamma doubles, and is rounded by less than 1e-13.
    root = isr_theory.gamma_star(log_w, method="exact")
    assert root == pytest.approx(expected, rel=0, abs=1e-12)


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

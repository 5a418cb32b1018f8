"""Properties of the closed forms on arbitrary laws, and of every arithmetic and precision.

What an ESS, a gamma and a KL must keep stands in test_testing.py, the weights in test_weights.py.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import isr_theory
from isr_theory import formulas, testing
from isr_theory.arithmetic import Ball, Real, Tensor
from isr_theory.engines import certified
from isr_theory.models import Finite

# Masses are at least 1e-3 / 6, so every |log p/q| is below 9 and a power p^(1-t) q^t, |t| <= 6, is
# off by at most 60 roundings; a dozen terms and one division make it less than 1,000: 1.2e-13.
CLOSE = 1000 * testing.DOUBLE


@st.composite
def pairs(draw, least=2, most=6):
    """Two laws on the same outcomes, all masses positive."""
    arms = draw(st.integers(least, most))
    rows = [draw(st.lists(st.floats(1e-3, 1), min_size=arms, max_size=arms)) for _ in range(2)]
    return tuple([mass / math.fsum(row) for mass in row] for row in rows)


orders = st.floats(0.01, 0.99) | st.floats(1.01, 6)
gammas = st.floats(0, 1)
targets = st.floats(0.001, 0.999)
sigma2s = st.floats(1e-6, 1e4)


def divergence(p, q, alpha):
    """D_alpha(p || q): the moment of p/q under q."""
    return formulas.renyi(formulas.moment(q, p, alpha, Real), alpha, Real)


def slack(*alphas):
    """The rounding of log M, divided by alpha - 1."""
    return CLOSE * sum(1 / abs(alpha - 1) for alpha in alphas)


@given(pairs(), st.floats(0.01, 0.99))
def test_renyi_is_skew_symmetric(laws, alpha):
    p, q = laws
    # (1 - a) D_a(p || q) = a D_{1-a}(q || p): the factors undo the divisions.
    left, right = (1 - alpha) * divergence(p, q, alpha), alpha * divergence(q, p, 1 - alpha)
    assert left == pytest.approx(right, rel=0, abs=2 * CLOSE)


@given(pairs(), orders, orders)
def test_renyi_never_falls_in_its_order(laws, one, other):
    low, high = sorted((one, other))
    assert divergence(*laws, low) <= divergence(*laws, high) + slack(low, high)


@given(pairs(), orders)
def test_renyi_lies_between_0_and_the_log_of_the_largest_weight(laws, alpha):
    top = max(math.log(a / b) for a, b in zip(*laws, strict=True))
    assert -slack(alpha) <= divergence(*laws, alpha) <= top + slack(alpha)


@given(pairs(), st.integers(1, 9))
def test_renyi_passes_through_kl_at_order_1(laws, digit):
    near = digit * 1e-4
    middle = (divergence(*laws, 1 - near) + divergence(*laws, 1 + near)) / 2
    # log M is 0 at order 1, with slope KL; its curvature cancels in the middle, and its third
    # derivative is a third central moment of log p/q, which is never 18 away from its mean.
    room = near**2 * 18**3 / 6 + slack(1 - near)
    assert middle == pytest.approx(formulas.kl(*laws, Real), rel=0, abs=room)


@given(pairs(), st.lists(st.integers(0, 2), min_size=6, max_size=6), orders)
def test_renaming_outcomes_never_raises_a_divergence(laws, labels, alpha):
    def renamed(law):
        named = list(zip(labels, law, strict=False))
        return [math.fsum(a for name, a in named if name == k) for k in {n for n, _ in named}]

    fewer = divergence(*map(renamed, laws), alpha)
    assert fewer <= divergence(*laws, alpha) + 2 * slack(alpha)


@given(pairs(), st.lists(gammas, min_size=6, max_size=6), orders)
def test_noise_never_raises_a_divergence(laws, rates, alpha):
    def noisy(law):
        # Outcome k becomes 1 with probability between 1/2 and 1, and 0 otherwise; 0 stays.
        rest = list(zip(law[1:], rates, strict=False))
        stays = [a * (1 + rate) / 2 for a, rate in rest]
        leaves = [a * (1 - rate) / 2 for a, rate in rest]
        return [math.fsum([law[0], *leaves]), math.fsum(stays)]

    fewer = divergence(*map(noisy, laws), alpha)
    assert fewer <= divergence(*laws, alpha) + 2 * slack(alpha)


@given(pairs(most=4), orders)
def test_divergences_of_independent_draws_add(laws, alpha):
    twice = [[a * b for a in row for b in row] for row in laws]
    room = 3 * slack(alpha)
    assert abs(divergence(*twice, alpha) - 2 * divergence(*laws, alpha)) <= room


@given(pairs())
def test_the_geometric_path_runs_from_mu_to_the_target(laws):
    mu, target = laws
    assert formulas.geometric_path(mu, target, 0.0, Real) == pytest.approx(mu, rel=0, abs=CLOSE)
    assert formulas.geometric_path(mu, target, 1.0, Real) == pytest.approx(target, rel=0, abs=CLOSE)


@given(pairs(), gammas)
def test_the_geometric_path_ends_where_the_reversed_one_begins(laws, gamma):
    mu, target = laws
    there = formulas.geometric_path(mu, target, gamma, Real)
    back = formulas.geometric_path(target, mu, 1 - gamma, Real)
    assert there == pytest.approx(back, rel=0, abs=2 * CLOSE)


@given(pairs(), gammas, gammas, gammas)
def test_the_bias_falls_to_0_and_is_convex(laws, one, other, share):
    low, high = sorted((one, other))
    early, late = (formulas.bias(*laws, g, Real) for g in (low, high))
    between = formulas.bias(*laws, share * low + (1 - share) * high, Real)
    assert late <= early + CLOSE
    assert between <= share * early + (1 - share) * late + CLOSE
    assert formulas.bias(*laws, 1.0, Real) == pytest.approx(0, rel=0, abs=CLOSE)


@given(pairs(), gammas)
def test_the_bias_is_the_divergence_of_the_path_from_its_end(laws, gamma):
    mu, target = laws
    path = formulas.geometric_path(mu, target, gamma, Real)
    expected = formulas.kl(target, path, Real)
    assert formulas.bias(mu, target, gamma, Real) == pytest.approx(expected, rel=0, abs=CLOSE)


@given(pairs(), gammas)
def test_normalised_laws_sum_to_1(laws, gamma):
    mu, pi = laws
    for law in (
        formulas.effective_target(mu, pi, [1 + k for k in range(len(mu))], gamma, Real),
        formulas.geometric_path(mu, pi, gamma, Real),
        formulas.fixed_point(mu, [1 + x for x in pi], min(gamma, 0.9), Real),
    ):
        # At most six terms, each divided by their sum: a dozen roundings.
        assert math.fsum(law) == pytest.approx(1, rel=0, abs=12 * testing.DOUBLE)


@given(sigma2s, sigma2s, targets, targets)
def test_the_closed_form_falls_in_the_variance_and_in_the_target(one, other, rho, another):
    (small, large), (low, high) = sorted((one, other)), sorted((rho, another))
    rule = formulas.gamma_lognormal
    # Rounded division and square root keep the order; the logarithm may miss it by an ulp.
    assert rule(large, low, Real) <= rule(small, low, Real)
    assert rule(small, high, Real) <= rule(small, low, Real) * (1 + 4 * testing.DOUBLE)
    assert 0 < rule(large, high, Real) <= 1


@given(sigma2s, targets)
def test_the_closed_form_spends_its_target(sigma2, rho_min):
    gamma = formulas.gamma_lognormal(sigma2, rho_min, Real)
    ess = formulas.ess_lognormal(sigma2, gamma, Real)
    # The exponent, log rho_min, is below 7 and is rounded a few times.
    room = 64 * testing.DOUBLE
    assert (
        ess == pytest.approx(rho_min, rel=room, abs=0) if gamma < 1 else ess >= rho_min * (1 - room)
    )


def exact(law):
    masses = [Fraction(mass).limit_denominator(1000) + Fraction(1, 1000) for mass in law]
    return tuple(mass / sum(masses) for mass in masses)


@given(pairs(), gammas)
def test_every_arithmetic_gives_the_same_numbers(laws, gamma):
    mu, pi = map(exact, laws)
    law = Finite(mu, pi, tuple(Fraction(k + 1) for k in range(len(mu))))
    share = Fraction(gamma).limit_denominator(100)
    values = {}
    with certified.precision():
        for m in (Real, Ball, Tensor):
            a, b, r = law.numbers(m)
            g = m.number(share)
            found = [
                formulas.moment(a, b, g, m),
                formulas.bias(a, b, g, m),
                *formulas.reshaped_gradient(a, b, r, g, m),
                *formulas.geometric_path(a, b, g, m),
                formulas.gamma_lognormal(g + r[-1], m.number(Fraction(3, 10)), m),
            ]
            values[m] = [float(x) for x in found]
    # Rewards of at most 6 multiply the rounding.
    assert values[Real] == pytest.approx(values[Ball], rel=0, abs=6 * CLOSE)
    assert values[Tensor] == pytest.approx(values[Ball], rel=0, abs=6 * CLOSE)


levels = st.floats(-1e4, 1e4) | st.floats(-5, 5) | st.just(-math.inf)
batches = (
    st.lists(levels, min_size=1, max_size=30)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)


@given(batches, gammas)
def test_float32_input_moves_the_ess_by_its_rounding_only(log_w, gamma):
    narrow = log_w.astype(np.float32)
    finite = np.isfinite(log_w)
    off = np.abs(log_w[finite] - narrow[finite]).max()
    # d log ESS / d log w_i = 2 gamma (p_i - q_i), p and q the laws of w^gamma and w^(2 gamma), so
    # moving every entry by at most `off` moves log ESS by at most 4 gamma off.
    wide, from_narrow = isr_theory.ess_ratio(log_w, gamma), isr_theory.ess_ratio(narrow, gamma)
    assert abs(math.log(wide / from_narrow)) <= 4 * gamma * off + testing.ess_slack(
        testing.DOUBLE, log_w
    )


@given(batches, targets)
def test_float32_input_moves_the_target_met_by_its_rounding_only(log_w, share):
    rho_min = share * testing.positive_share(log_w)
    narrow = log_w.astype(np.float32)
    finite = np.isfinite(log_w)
    off = np.abs(log_w[finite] - narrow[finite]).max()
    gamma = isr_theory.gamma_star(narrow, rho_min, method="exact")
    missed = math.log(rho_min / isr_theory.ess_ratio(log_w, gamma))
    rounding = testing.gamma_slack(testing.DOUBLE, log_w, rho_min)
    assert missed <= 4 * gamma * off + rounding


@given(batches, st.floats(0.001, 0.9), st.floats(1, 100))
def test_more_spread_never_raises_gamma(log_w, rho_min, factor):
    assume(testing.positive_share(log_w) >= rho_min)
    wide = factor * log_w
    rounding = testing.gamma_slack(testing.DOUBLE, wide, rho_min)
    # The rule divides by a spread that is at least sqrt(-log 0.9) > 0.3 where gamma is below 1, so
    # the relative rounding of the spread is about three times that of the log-weights.
    rule = [isr_theory.gamma_star(row, rho_min, method="lognormal") for row in (log_w, wide)]
    assert rule[1] <= rule[0] * (1 + rounding)
    # Where the ESS is flat, a gamma is as good as any other that reaches the same ESS.
    exact_ones = [isr_theory.gamma_star(row, rho_min, method="exact") for row in (log_w, wide)]
    reached = [testing.defined_ess(log_w, gamma) for gamma in exact_ones]
    assert reached[1] >= reached[0] - rounding

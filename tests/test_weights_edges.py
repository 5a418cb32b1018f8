"""Weights where a formula changes its branch, and batches whose rows have nothing in common."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from isr_theory import rule, solver, vector, weights
from isr_theory.weights import (
    ess_ratio,
    gamma_star,
    log_moment,
    normalized_weights,
    renyi_divergence,
)

SMALL = np.array([0.5, -1.0, 1.5, -0.5, -math.inf])
# Rows that differ in level, spread and zeros: what one row needs is wrong for another.
ROWS = np.array(
    [
        [0.0, 1.0, 3.0, -2.0],
        [-1e4, -1e4 + 1, -1e4 - 2, -1e4 + 5],
        [7.0, 7.0, 7.0, 7.0],
        [0.0, 9.0, -math.inf, -math.inf],
        [0.0, 0.0, -math.inf, -math.inf],
        [-20.0, -math.inf, -math.inf, -math.inf],
    ]
)


def w_to_the(alpha):
    """w^alpha of SMALL by the definition, 0 for w = 0."""
    return np.where(np.isfinite(SMALL), np.exp(alpha * np.nan_to_num(SMALL, neginf=0)), 0)


@pytest.mark.parametrize(
    "function",
    [
        ess_ratio,
        normalized_weights,
        lambda log_w: log_moment(log_w, 0.5),
        *(lambda log_w, a=a: renyi_divergence(log_w, a) for a in (0, 0.5, 1, 2, math.inf)),
        *(
            lambda log_w, rho=rho, method=method: gamma_star(log_w, rho, method=method)
            for rho in (0.2, 0.3, 0.5, 0.9)
            for method in weights.METHODS
        ),
    ],
)
def test_a_batch_is_its_rows_however_different(function):
    alone = [function(row) for row in ROWS]
    # The rows do not meet, so that nothing but the order of a sum may differ.
    np.testing.assert_allclose(function(ROWS), alone, rtol=1e-13)
    block = function(ROWS.reshape(2, 3, -1))
    np.testing.assert_allclose(block.reshape(np.shape(alone)), alone, rtol=1e-13)


def test_a_row_without_a_positive_weight_is_refused_among_others():
    with pytest.raises(ValueError, match="some weight must be positive"):
        ess_ratio([[0.0, 1.0], [-math.inf, -math.inf]])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_moments_are_means_of_powers(alpha):
    expected = math.log(w_to_the(alpha).mean())
    assert log_moment(SMALL, alpha) == pytest.approx(expected, rel=1e-14)


def test_moments_of_negative_order_need_positive_weights():
    assert log_moment(SMALL[:4], -0.5) == pytest.approx(math.log(np.exp(-0.5 * SMALL[:4]).mean()))
    with pytest.raises(ValueError, match="the moment is infinite"):
        log_moment(SMALL, -0.5)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0, 3.0])
def test_renyi_is_its_definition(alpha):
    unit = math.log(w_to_the(1).mean())
    expected = (math.log(w_to_the(alpha).mean()) - alpha * unit) / (alpha - 1)
    assert renyi_divergence(SMALL, alpha) == pytest.approx(expected, rel=1e-13)


def test_renyi_at_one_and_at_infinity_are_their_limits():
    own = w_to_the(1) / w_to_the(1).mean()
    kl = (own[:4] * np.log(own[:4])).sum() / 5
    assert renyi_divergence(SMALL, 1.0) == pytest.approx(kl, rel=1e-14)
    assert renyi_divergence(SMALL, math.inf) == pytest.approx(math.log(own.max()), rel=1e-14)


@pytest.mark.parametrize("function", [ess_ratio, gamma_star, lambda log_w: log_moment(log_w, 2)])
def test_one_sample_gives_a_python_float(function):
    assert type(function(SMALL)) is float
    assert isinstance(function([SMALL, SMALL]), np.ndarray)


def test_weights_are_taken_to_the_power_one_unless_asked():
    np.testing.assert_array_equal(normalized_weights(SMALL), normalized_weights(SMALL, 1.0))
    own = w_to_the(0.5)
    np.testing.assert_allclose(normalized_weights(SMALL, 0.5), own / own.sum(), rtol=1e-14)
    assert ess_ratio(SMALL) == ess_ratio(SMALL, 1.0)
    assert ess_ratio(SMALL, 0.0) == pytest.approx(4 / 5, rel=1e-14)


@pytest.mark.parametrize(
    ("function", "name"),
    [(ess_ratio, "gamma"), (normalized_weights, "gamma"), (log_moment, "alpha")],
)
def test_an_exponent_that_is_not_finite_is_named(function, name):
    for exponent in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"{name} must be a finite number"):
            function(SMALL, exponent)


def test_the_closed_form_uses_the_finite_entries():
    for scale in (0.05, 0.3, 1.0, 20.0, 1e200):
        log_w = SMALL * scale
        cap = math.sqrt(-math.log(0.99))
        expected = min(1.0, cap / (SMALL[:4].std() * scale))
        assert gamma_star(log_w, 0.99, method="lognormal") == pytest.approx(expected, rel=1e-13)
    assert gamma_star(SMALL * 0.05, 0.5, method="lognormal") == 1.0
    apart = gamma_star([SMALL * 1e200, SMALL * 20], method="lognormal")
    assert apart[1] == gamma_star(SMALL * 20, method="lognormal") < 1


def test_a_common_level_costs_no_digits():
    # Whole numbers up to 2^53 are exact, so the two samples differ by a factor alone.
    assert ess_ratio(1e15 + np.array([0, 1, 3])) == pytest.approx(ess_ratio([0, 1, 3]), rel=1e-14)
    apart = np.array([[0.0, 1, 3], [-1e15, 1 - 1e15, 3 - 1e15]])
    assert ess_ratio(apart)[0] == pytest.approx(ess_ratio(apart)[1], rel=1e-14)


def test_rounding_never_carries_the_ess_past_one():
    rng = np.random.default_rng(0)
    for n in range(2, 60):
        rows = 1e-8 * rng.standard_normal((40, n))
        assert (ess_ratio(rows, 0.7) <= 1).all()
        assert (ess_ratio(np.full((3, n), 0.1 * n)) == 1).all()


def test_a_target_that_is_met_exactly_is_met():
    assert gamma_star([0.0, 0.0, -math.inf, -math.inf], 0.5) == 1.0
    # The ESS is 1/2 - O(gamma^2), and 1/2 up to rounding where gamma is the root of an ulp.
    assert gamma_star([0.0, 9.0, -math.inf, -math.inf], 0.5) < 1e-8
    assert gamma_star([0.0, 1.0, -math.inf, -math.inf], 0.6) == 0.0


HARD = {
    "normal": np.random.default_rng(1).standard_normal(200) * 3,
    "heavy": np.random.default_rng(2).standard_cauchy(200) * 5,
    "one outlier": np.r_[np.zeros(99), 50.0],
    "two levels": np.r_[np.zeros(50), np.full(50, 1e4)],
    "with zeros": np.r_[np.arange(20.0), np.full(9, -np.inf)],
}


def counted(monkeypatch):
    """Count the evaluations of the sample's ESS, of one vector or of a batch."""
    calls = []
    for module, name in ((solver, "_deficit"), (vector, "_step")):
        true = getattr(module, name)
        count = lambda *given, true=true, **how: calls.append(1) or true(*given, **how)  # noqa: E731
        monkeypatch.setattr(module, name, count)
    return calls


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("rho_min", [0.3, 0.6])
@pytest.mark.parametrize("rows", [1, 2])
def test_newton_meets_the_target_in_few_steps(monkeypatch, name, rho_min, rows):
    calls = counted(monkeypatch)
    log_w = HARD[name] if rows == 1 else np.array([HARD[name]] * rows)
    gamma = gamma_star(log_w, rho_min, method="exact")
    # Halving alone would need more than fifty to reach the last digit.
    assert len(calls) <= 16
    for found in np.atleast_1d(gamma):
        reached = ess_ratio(HARD[name], found)
        assert found == 1.0 or reached == pytest.approx(rho_min, abs=1e-14)


@pytest.mark.parametrize("name", HARD)
def test_a_bracket_at_rounding_ends_the_search(monkeypatch, name):
    calls = counted(monkeypatch)
    gamma_star(HARD[name], 0.05, method="exact")
    assert len(calls) <= rule.MAX_STEPS


@pytest.mark.parametrize("rho_min", [0.3, 0.6])
def test_gamma_scales_with_the_level_of_the_weights(rho_min):
    gamma = gamma_star(HARD["normal"], rho_min, method="exact")
    # Rounding log_w moves the root by a few ulps.
    far = gamma_star(HARD["normal"] * 1e10, rho_min, method="exact") * 1e10
    assert far == pytest.approx(gamma, rel=1e-13)


def test_a_row_without_a_feasible_gamma_does_not_hold_up_the_others(monkeypatch):
    calls = counted(monkeypatch)
    rows = [[0.0, -math.inf, -math.inf, -math.inf], [0.0, 9.0, 4.0, 1.0]]
    some = gamma_star(rows, 0.5, method="exact")
    assert len(calls) <= 16
    assert some[0] == 0 < some[1]


def test_a_slope_below_the_smallest_normal_number_does_not_warn():
    # At the start of the first row, w^gamma of its one low weight is about e^-725 = 1e-315.
    rows = np.zeros((2, 100_000))
    rows[0, 0] = -1000
    rows[1] = 9 * np.random.default_rng(3).standard_normal(100_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gamma_star(rows, math.exp(-5.2566), method="exact")[0] == 1.0


def test_a_settled_row_is_left_alone_while_others_go_on():
    flat, tiny, wide = [0.0, 0, -math.inf, -math.inf], [0.0, 1e-155, 0, 0], [0.0, 9, 4, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = gamma_star([flat, tiny, wide], 0.5, method="exact")
    alone = [gamma_star(row, 0.5, method="exact") for row in (flat, tiny, wide)]
    # The sums of three terms may be rounded in another order.
    np.testing.assert_allclose(together, alone, rtol=1e-15)
    assert together[0] == together[1] == 1.0


MEASURES = (
    weights.ess_ratio,
    weights.normalized_weights,
    weights.max_weight_ratio,
    weights.perplexity_ratio,
)
# The first row's range is past the largest float, the second's powers are.
FAR = np.array([[1e308, -1e308, 1e308], [0.0, 1.0, 2.0]])


@pytest.mark.parametrize("function", MEASURES)
@pytest.mark.parametrize("gamma", [0.5, 1e308])
def test_what_leaves_the_range_of_floats_is_a_weight_of_0(function, gamma):
    found = function(FAR, gamma)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0], function([0.0, -math.inf, 0.0], gamma))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0, 1e308])
def test_moments_past_the_range_of_floats_are_infinite_and_not_nan(alpha):
    moments, divergences = log_moment(FAR, alpha), renyi_divergence(FAR, alpha)
    assert not np.isnan(moments).any()
    assert not np.isnan(divergences).any()
    assert moments[0] == (math.inf if alpha > 1.7 else pytest.approx(alpha * 1e308, abs=1.1))


@pytest.mark.parametrize("function", [*MEASURES, lambda x, g, **k: renyi_divergence(x, g, **k)])
def test_arrays_that_nobody_looks_at_give_nan_and_no_warning(function):
    rows = np.array([[0.0, math.inf], [-math.inf, -math.inf], [math.nan, 0.0], [0.0, 1.0]])
    found = function(rows, 0.5, validate=False).reshape(4, -1)
    np.testing.assert_array_equal(np.isnan(found).any(-1), [True, True, True, False])


@pytest.mark.parametrize("function", MEASURES)
def test_every_row_may_have_a_gamma_of_its_own(function):
    gammas = gamma_star(ROWS, 0.5)
    alone = [function(row, gamma) for row, gamma in zip(ROWS, gammas, strict=True)]
    np.testing.assert_allclose(function(ROWS, gammas), alone, rtol=1e-14)
    np.testing.assert_allclose(function(ROWS.T, gammas, axis=0).T, alone, rtol=1e-14)
    np.testing.assert_array_equal(function(ROWS, np.float64(0.5)), function(ROWS, 0.5))
    with pytest.raises(ValueError, match=r"gamma must be one number or have the shape \(6,\)"):
        function(ROWS, np.ones(3))
    with pytest.raises(ValueError, match="gamma must be finite numbers"):
        function(ROWS, np.full(6, math.nan))


def test_an_axis_that_is_not_there_is_named_on_every_way():
    for method in weights.METHODS:
        with pytest.raises(ValueError, match="axis must be in"):
            gamma_star(np.arange(4.0), method=method, axis=7)


def test_a_masked_array_is_refused():
    hidden = np.ma.masked_array([0.0, 99.0], [False, True])
    for function in (ess_ratio, lambda x: gamma_star(x, method="exact")):
        with pytest.raises(TypeError, match="must not be a masked array"):
            function(hidden)


def test_one_vector_gives_a_python_float_on_every_way():
    log_w = np.r_[np.zeros(7), np.full(5, -1517.0), -1651.0]
    for method in weights.METHODS:
        assert type(gamma_star(log_w, 0.08, method=method)) is float

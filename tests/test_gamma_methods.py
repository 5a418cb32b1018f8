"""How gamma is found: the root on adversarial weights, the ladder of auto, cumulants, bounds."""

from __future__ import annotations

import math
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import jarque_bera, norm

from benchmarks.peers.cases import hard_case
from isr_theory import ess_ratio, gamma_star, weights
from isr_theory.quick import quick_roots
from isr_theory.testing import DOUBLE

# The vectors that the peers are asked too, drawn anew.
adversarial = partial(hard_case, stream=77)


def slack(log_w):
    """The rounding of log ESS: exponents at their size below the top, and sums of n terms."""
    return 64 * DOUBLE * (len(log_w) + 40)


def every_way(log_w, rho_min):
    """The exact gamma of a vector, of a batch, of a tensor, and of one that nobody looks at."""
    tensor = torch.tensor(log_w)
    return (
        gamma_star(log_w, rho_min, method="exact"),
        *gamma_star(np.array([log_w, log_w]), rho_min, method="exact"),
        float(gamma_star(tensor, rho_min, method="exact")),
        float(gamma_star(tensor, rho_min, method="exact", validate=False)),
    )


def test_where_the_ess_is_flat_at_the_end_the_root_is_still_found():
    # ESS/n is 1/2 on a plateau around gamma = 2e-4 and falls past the root to 1/16, flat there to
    # the last bit from gamma = 0.83 on.
    log_w = np.r_[0.0, np.full(7, -900.0), np.full(8, -95000.0)]
    root = 0.00229582256174791  # by halving in balls of 240 bits
    for gamma in every_way(log_w, 0.2):
        # log ESS has slope -1.5 in log gamma there, so its rounding is gamma's.
        assert gamma == pytest.approx(root, rel=1e-13, abs=0)


@pytest.mark.parametrize("block", range(10))
def test_a_thousand_adversarial_vectors_have_their_root(block):
    for seed in range(100 * block, 100 * block + 100):
        log_w, rho_min = adversarial(seed)
        gamma, *others = every_way(log_w, rho_min)
        assert 0 < gamma <= 1, seed
        # At the root the target is met, and a little above it no longer.
        assert ess_ratio(log_w, gamma) >= rho_min * (1 - slack(log_w)), seed
        if gamma < 1:
            above = ess_ratio(log_w, min(1.0, gamma * (1 + 1e-9)))
            assert above <= rho_min * (1 + slack(log_w)), seed
        for other in others:
            # Where the ESS is flat, any gamma that reaches the same ESS is as good.
            same = ess_ratio(log_w, other) == pytest.approx(rho_min, rel=4 * slack(log_w))
            assert same or other == pytest.approx(gamma, rel=1e-12, abs=0), seed


def precise_root(log_w, rho_min):
    """The root to 50 digits, by halving."""
    with mpmath.workdps(60):
        levels = [mpmath.mpf(float(x)) for x in log_w if math.isfinite(x)]
        top, n = max(levels), len(log_w)

        def ess(gamma):
            powers = [mpmath.exp(gamma * (x - top)) for x in levels]
            return sum(powers) ** 2 / (n * sum(p * p for p in powers))

        low, high = mpmath.mpf(0), mpmath.mpf(1)
        if ess(high) >= rho_min:
            return 1.0
        for _ in range(170):
            middle = (low + high) / 2
            low, high = (middle, high) if ess(middle) >= rho_min else (low, middle)
        return float(low)


@pytest.mark.parametrize("seed", range(40))
def test_the_root_is_that_of_fifty_digits(seed):
    rng = np.random.default_rng(seed)
    log_w = 10 ** rng.uniform(-0.5, 2) * rng.standard_normal(int(rng.integers(3, 40)))
    gamma = gamma_star(log_w, 0.4, method="exact")
    # log ESS falls by about 2 log(1/rho) where gamma doubles, so its rounding is gamma's.
    assert gamma == pytest.approx(precise_root(log_w, 0.4), rel=1e-12, abs=0)


@pytest.mark.parametrize("rho_min", [0.9, 0.99, 0.999, 0.99999])
def test_a_target_near_1_costs_no_digits(rho_min):
    # -log ESS is 1e-5 in the last of them, which a difference of logarithms knows to 1e-10 only.
    for seed in range(3):
        log_w = 2 * np.random.default_rng(seed).standard_normal(100)
        root = precise_root(log_w, rho_min)
        for gamma in every_way(log_w, rho_min):
            # The logarithm of rho_min and the variance of w^gamma are as good as sums of n terms.
            assert gamma == pytest.approx(root, rel=len(log_w) * DOUBLE, abs=0)


def test_auto_is_one_of_the_three_row_by_row():
    rng = np.random.default_rng(5)
    rows = np.stack(
        [rng.standard_normal(300) * s for s in np.linspace(0.5, 5, 50)]
        + [rng.standard_exponential(300) * s for s in np.linspace(0.5, 3, 50)]
        + [np.sign(rng.standard_normal(300)) * rng.random(300) * s for s in np.linspace(1, 9, 50)]
    )
    auto = gamma_star(rows)
    three = np.array([gamma_star(rows, method=m) for m in ("lognormal", "cumulant", "exact")])
    assert (auto == three).any(axis=0).all()
    assert (auto == three[0])[:50].sum() >= 40
    assert (auto == three[2])[50:100].sum() >= 25


def test_auto_asks_for_normality_and_then_for_the_series_to_be_near():
    rng = np.random.default_rng(9)
    # Gamma laws of many shapes, so that every choice is made, near its limit too.
    rows = np.stack([rng.gamma(k, 6 / k**0.5, 80) for k in np.geomspace(0.5, 90, 400)])
    for rho_min in (0.5, 0.7):
        target, auto = -math.log(rho_min), gamma_star(rows, rho_min)
        closed, series, root = (
            gamma_star(rows, rho_min, method=m) for m in ("lognormal", "cumulant", "exact")
        )
        normal = np.array([jarque_bera(row).statistic for row in rows]) <= 5.991464547107979
        off = np.array(
            [abs(-math.log(ess_ratio(r, g)) - target) for r, g in zip(rows, series, strict=True)]
        )
        near = off <= 0.05 * target
        np.testing.assert_array_equal(auto, np.where(normal, closed, np.where(near, series, root)))
        assert min(normal.sum(), (near & ~normal).sum(), (~near & ~normal).sum()) >= 20


@pytest.mark.parametrize("bent", [np.sinh, np.expm1])
def test_normality_ends_where_the_statistic_of_jarque_and_bera_says(bent):
    # Normal quantiles, bent so that kurtosis alone speaks against them, or skewness first.
    z = norm.ppf((np.arange(300) + 0.5) / 300)

    def sample(bend):
        return 3 * bent(bend * z) / bend

    def beyond(bend, share):
        return jarque_bera(sample(bend)).statistic - share * 5.991464547107979

    for share, believed in ((0.999, True), (1.001, False)):
        row = sample(brentq(beyond, 0.01, 1, args=(share,)))
        auto, closed = (gamma_star(row[None], method=m)[0] for m in ("auto", "lognormal"))
        assert bool(auto == closed) is believed


def test_the_series_is_believed_where_the_gamma_that_is_used_comes_near():
    # The series of this one misses its target by far, but not at the end of a range that is there.
    log_w = np.random.default_rng(12).standard_cauchy(80)
    root, series = (gamma_star(log_w, method=m) for m in ("exact", "cumulant"))
    assert series > 1.08 * root
    assert gamma_star(log_w) == pytest.approx(root, rel=1e-12, abs=0)
    assert gamma_star(log_w, gamma_max=1.001 * root) == 1.001 * root


def test_auto_believes_a_normal_sample_nineteen_times_in_twenty():
    rows = 2 * np.random.default_rng(0).standard_normal((1000, 2000))
    closed = gamma_star(rows) == gamma_star(rows, method="lognormal")
    # The statistic's 95% point is that of its limit; in a thousand samples 950 +- 42 (six sigma),
    # and a point more for n = 2000.
    assert 895 <= closed.sum() <= 1000


def test_the_cumulants_come_closer_than_the_closed_form_where_log_w_is_skewed():
    # log w = -Gamma(100) scaled to variance 4: K(t) = -100 log(1 + s t).
    scale = 0.2
    truth = 0.0

    def excess(gamma):
        k_once, k_twice = (-100 * math.log1p(a * scale * gamma) for a in (1, 2))
        return k_twice - 2 * k_once + math.log(0.3)

    low, high = 0.0, 1.0
    for _ in range(60):
        truth = (low + high) / 2
        low, high = (truth, high) if excess(truth) < 0 else (low, truth)
    log_w = -scale * np.random.default_rng(1).standard_gamma(100, 200_000)
    closed, series = (gamma_star(log_w, method=m) for m in ("lognormal", "cumulant"))
    assert abs(series - truth) < abs(closed - truth) / 3


def test_where_the_series_does_not_rise_to_its_root_it_is_the_closed_form():
    # Two far levels: the fourth cumulant is -2 in units of the variance, and the series turns down.
    log_w = np.r_[np.full(50, -1.0), np.full(50, 1.0)] * 5
    closed, series = (gamma_star(log_w, 0.05, method=m) for m in ("lognormal", "cumulant"))
    assert series == pytest.approx(closed, rel=1e-14, abs=0)
    assert gamma_star(log_w, 0.05, method="exact") > 1.1 * closed


def test_gamma_stays_in_its_range():
    log_w = 3 * np.random.default_rng(2).standard_normal(100)
    for method in weights.METHODS:
        free = gamma_star(log_w, method=method)
        assert 0.2 < free < 0.6
        assert gamma_star(log_w, method=method, gamma_min=0.7) == 0.7
        assert gamma_star(log_w, method=method, gamma_max=0.1) == 0.1
        assert gamma_star([3.0, 3.0], method=method, gamma_max=0.8) == 0.8
        assert gamma_star([7.0], method=method) == 1.0
    assert gamma_star(log_w, gamma_min=0.4, gamma_max=0.4) == 0.4
    # Whose variance is below 1, where most targets ask for no search.
    assert gamma_star(log_w / 5, 0.9, method="lognormal") == pytest.approx(
        math.sqrt(-math.log(0.9) / np.var(log_w / 5)), rel=1e-13
    )
    for bounds in ((-0.1, 1), (0, 1.1), (0.5, 0.4), (math.nan, 1)):
        with pytest.raises(ValueError, match="bounds must satisfy"):
            gamma_star(log_w, gamma_min=bounds[0], gamma_max=bounds[1])


def test_large_batches_are_worked_on_in_blocks():
    rows = 2 * np.random.default_rng(4).standard_normal((700, 129))
    together = gamma_star(rows, method="exact")
    alone = [gamma_star(row, method="exact") for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert gamma_star(np.empty((0, 5)), method="exact").shape == (0,)


@pytest.mark.parametrize("rho_min", [0.3, 0.6, 0.9, 0.999])
def test_normal_rows_seldom_need_a_bracket(rho_min):
    rows = 3 * np.random.default_rng(6).standard_normal((200, 64))
    found = quick_roots(rows, -math.log(rho_min), 1.0)
    sure = ~np.isnan(found)
    # Those that do have one weight far above all others.
    assert sure.sum() >= 190
    for row, gamma in zip(rows[sure], found[sure], strict=True):
        assert gamma == pytest.approx(gamma_star(row, rho_min, method="exact"), rel=1e-12, abs=0)


def test_a_row_of_which_the_quick_way_is_not_sure_says_so():
    rows = np.array([[0.0, 1.0, -math.inf], [0.0, math.nan, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 3.0]])
    found = quick_roots(rows, -math.log(0.3), 0.9)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False])
    assert found[2] == 0.9


def test_the_quick_way_is_right_where_it_is_sure():
    sure = 0
    for seed in range(1000):
        log_w, rho_min = adversarial(seed)
        gamma = quick_roots(log_w[None], -math.log(rho_min), 1.0)[0]
        if not math.isnan(gamma):
            sure += 1
            reached = ess_ratio(log_w, gamma)
            assert reached >= rho_min * (1 - 4 * slack(log_w)), seed
            assert gamma == 1 or reached <= rho_min * (1 + 4 * slack(log_w)), seed
    assert sure >= 500


def test_the_measures_of_what_is_left_are_ordered():
    rng = np.random.default_rng(8)
    for scale in (0.1, 1, 5):
        log_w = scale * rng.standard_normal(200)
        largest, kish, perplexity = (
            function(log_w, 0.7)
            for function in (weights.max_weight_ratio, ess_ratio, weights.perplexity_ratio)
        )
        assert largest < kish < perplexity <= 1
    own = weights.normalized_weights(log_w, 0.7)
    assert perplexity == pytest.approx(math.exp(-(own @ np.log(own))) / 200, rel=1e-12, abs=0)
    assert largest == pytest.approx(1 / own.max() / 200, rel=1e-12, abs=0)

"""One gamma and its report: what the numbers are, what caps do, what is said of bad input."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import isr_theory
from isr_theory import choose_gamma, ess_ratio, gamma_star, renyi_spectrum, weights
from isr_theory.diagnose import verdict
from isr_theory.testing import DOUBLE

levels = st.floats(-1e3, 1e3) | st.just(-math.inf) | st.just(0.0)
batches = (
    st.lists(levels, min_size=1, max_size=40)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)
RNG = np.random.default_rng(11)
NORMAL = 2 * RNG.standard_normal(2000) - 2
SKEWED = -2 * RNG.standard_exponential(2000)
HEAVY = 1.5 * RNG.standard_exponential(2000)


@given(batches, st.floats(0.01, 0.99), st.sampled_from(weights.METHODS))
def test_the_choice_is_gamma_star_and_says_no_nan(log_w, rho_min, method):
    choice = choose_gamma(log_w, rho_min, method=method)
    direct = gamma_star(log_w, rho_min, method=method)
    # Skewness and kurtosis are summed in another order there: the cumulants' root is as smooth as
    # its coefficients, which cancel to a share of 1/eps of log w's fourth powers at most.
    assert choice.gamma == pytest.approx(direct, rel=1e-9)
    assert choice.ess == pytest.approx(ess_ratio(log_w, choice.gamma), rel=1e-9)
    numbers = [value for value in dataclasses.astuple(choice) if isinstance(value, float)]
    assert not any(math.isnan(value) for value in numbers)
    low, high = choice.interval
    assert 0 <= low <= high <= 1
    assert str(choice)


@pytest.mark.parametrize(
    ("log_w", "method"), [(NORMAL, "lognormal"), (HEAVY, "exact"), (SKEWED * 0.3, "exact")]
)
def test_auto_takes_the_simplest_method_that_nothing_speaks_against(log_w, method):
    choice = choose_gamma(log_w)
    assert choice.method == method
    assert choice.gamma == choice.by_method[method]


def test_the_facts_are_those_of_the_batch():
    choice = choose_gamma(NORMAL, 0.3)
    assert (choice.n, choice.positive) == (2000, 2000)
    assert choice.sigma2 == pytest.approx(NORMAL.var(), rel=1e-12)
    centred = NORMAL - NORMAL.mean()
    assert choice.skewness == pytest.approx((centred**3).mean() / NORMAL.std() ** 3, rel=1e-9)
    assert choice.kurtosis == pytest.approx((centred**4).mean() / NORMAL.var() ** 2 - 3, rel=1e-9)
    assert choice.kl == pytest.approx(-NORMAL.mean(), rel=1e-12)
    assert choice.kl_reverse == pytest.approx(weights.renyi_divergence(NORMAL, 1.0), rel=1e-9)
    assert choice.two_scalar == pytest.approx(-2 * NORMAL.mean() / NORMAL.var(), rel=1e-9)
    assert choice.activation == pytest.approx(-math.log(0.3) / 2, rel=1e-15)
    assert choice.khat == pytest.approx(isr_theory.pareto_khat(NORMAL), rel=1e-9)
    flat = isr_theory.pareto_khat(choice.gamma * NORMAL)
    assert choice.khat_flat == pytest.approx(flat, rel=1e-9)
    assert choice.khat_flat != pytest.approx(choice.gamma * choice.khat, rel=0.02)


def test_a_kl_cap_is_met_and_is_the_rule_at_another_target_for_lognormal_weights():
    for cap in (0.02, 0.3):
        choice = choose_gamma(NORMAL, 0.05, kl_max=cap)
        assert choice.binding == "kl_max"
        assert choice.kl_flat == pytest.approx(cap, rel=1e-9)
    rng = np.random.default_rng(2)
    large = 1.5 * rng.standard_normal(400_000)
    by_kl = choose_gamma(large, 1e-6, kl_max=0.25).gamma
    by_rule = gamma_star(large, math.exp(-0.5), method="lognormal")
    # KL = gamma^2 sigma2 / 2 for the population; here K' at gamma = 0.47 has a standard error of
    # about 0.003 in 0.7.
    assert by_kl == pytest.approx(by_rule, rel=0.02)


def test_an_index_cap_is_met_by_an_index_estimated_anew():
    choice = choose_gamma(HEAVY, 0.01, method="exact", khat_max=0.4)
    assert choice.binding == "khat_max"
    assert choice.khat_flat <= 0.4
    above = isr_theory.pareto_khat((choice.gamma + 1 / 128) * HEAVY)
    assert above > 0.4


def test_a_reward_cap_is_the_larger_root_with_the_covariance():
    rng = np.random.default_rng(4)
    log_w = 2 * rng.standard_normal(1000)
    for sign in (1, -1):
        reward = sign * 0.3 * log_w + 0.4 * rng.standard_normal(1000)
        tau = 2.0
        choice = choose_gamma(log_w, reward=reward, tau=tau)
        (sigma2, cov), (_, reward2) = np.cov(log_w, reward / tau, ddof=0)
        gamma = choice.caps["reward"]
        total = gamma**2 * sigma2 + 2 * gamma * cov + reward2
        assert total == pytest.approx(-math.log(0.3), rel=1e-9)
        # A reward that rises with log w costs gamma; one that falls gives some back.
        assert (choice.binding == "reward") == (sign > 0)
    assert choose_gamma(log_w, reward=10 * rng.standard_normal(1000)).gamma == 0


def test_a_bound_that_cannot_be_met_is_named():
    rng = np.random.default_rng(4)
    log_w = 2 * rng.standard_normal(1000)
    loud = choose_gamma(log_w, reward=10 * rng.standard_normal(1000))
    assert (loud.feasible, loud.gamma, loud.binding) == (False, 0.0, "reward")
    assert "reward cannot be met at gamma = 0" in loud.notes
    # g^2 4 - 2 g 2.5 + 2 <= 1.2 holds from 0.19 to 1.06: a KL cap below that leaves nothing.
    reward = -2.5 / 4 * log_w
    reward += math.sqrt(2 - np.var(reward)) * rng.permutation(log_w) / log_w.std()
    alone = choose_gamma(log_w, reward=reward, gamma_max=0.8)
    both = choose_gamma(log_w, reward=reward, kl_max=0.01)
    assert alone.feasible
    assert not both.feasible
    assert any(note.startswith("reward cannot be met") for note in both.notes)
    few = np.append(log_w, np.full(1000, -np.inf))
    zeros = choose_gamma(few, 0.3, kl_max=0.1)
    # KL(nu_gamma||mu) is log 2 at gamma = 0 already.
    assert (zeros.feasible, zeros.gamma, zeros.binding) == (False, 0.0, "kl_max")
    assert any(note.startswith("kl_max cannot be met") for note in zeros.notes)


def test_a_gamma_min_that_is_too_large_is_not_blamed_on_zeros():
    notes = choose_gamma(NORMAL, 0.3, gamma_min=0.9).notes
    assert any("gamma_min = 0.9 is too large" in note for note in notes)
    assert not any("too few weights" in note for note in notes)
    words = verdict._use(choose_gamma(NORMAL, 0.3, gamma_min=0.9))
    assert "gamma_min = 0.9 is too large" in words
    assert "weights are above 0" not in words
    few = choose_gamma(np.append(NORMAL[:40], np.full(100, -np.inf)), 0.3)
    assert "only 40 of 140 weights are above 0" in verdict._use(few)


def test_an_index_that_underflows_binds_and_one_that_no_tail_has_does_not():
    # Its largest weights are 700 apart: a quarter of the tail is lost beside the largest.
    worst = choose_gamma(700 * np.arange(100.0), 0.001, khat_max=0.7)
    assert worst.khat == math.inf
    assert worst.khat_flat <= 0.7
    tied = choose_gamma(np.append(np.zeros(99), 1.0), khat_max=0.7)
    assert (tied.gamma, tied.khat) == (1.0, math.inf)
    short = choose_gamma(np.arange(20.0) / 20, khat_max=0.1)
    assert short.gamma == 1.0
    assert any("khat_max was not applied" in note for note in short.notes)


def test_an_infeasible_batch_says_nothing_of_the_population():
    low, high = choose_gamma(np.append(NORMAL[:40], np.full(100, -np.inf)), 0.3).interval
    assert low == 0.0 < high


@pytest.mark.parametrize("method", ["auto", "exact", "lognormal"])
@pytest.mark.parametrize("n", [16, 256])
def test_the_interval_holds_the_gamma_of_a_normal_population(method, n):
    rng = np.random.default_rng(12)
    held = 0
    for _ in range(300):
        low, high = choose_gamma(2 * rng.standard_normal(n), method=method).interval
        held += low <= math.sqrt(-math.log(0.3)) / 2 <= high
    # A chance of 93%, since one batch in twenty is taken for another law, would be below 255 of
    # 300 with one below 1e-6; of the delta method alone a third to a half hold it.
    assert held >= 255


def test_the_interval_holds_the_gamma_of_a_uniform_population():
    rng = np.random.default_rng(13)
    # log E w^t = log(sinh(5 t) / 5 t); by halving of the ESS at 0.3.
    held = 0
    for _ in range(300):
        low, high = choose_gamma(rng.uniform(-5, 5, 64)).interval
        held += low <= 0.66494 <= high
    # 90% would be below 240 with a chance below 1e-6; the chi-square interval alone holds 5%.
    assert held >= 240


def test_a_moment_that_few_weights_carry_is_said():
    heavy = choose_gamma(2 * HEAVY[:300], 0.05, method="exact")
    assert any("few weights carry the ESS" in note for note in heavy.notes)
    assert not any("few weights carry" in note for note in choose_gamma(NORMAL).notes)


def test_bounds_hold_and_are_named():
    assert choose_gamma(NORMAL, gamma_min=0.9).binding == "gamma_min"
    assert choose_gamma(NORMAL, gamma_min=0.9).gamma == 0.9
    assert choose_gamma(NORMAL, gamma_max=0.1).binding == "gamma_max"
    assert choose_gamma(np.zeros(5)).gamma == 1.0


def test_where_no_gamma_is_feasible_it_says_so():
    log_w = np.array([0.0, 0.5, -np.inf, -np.inf, -np.inf])
    choice = choose_gamma(log_w, 0.5)
    assert not choice.feasible
    assert choice.gamma == 0
    assert "no gamma keeps" in choice.notes[0]
    assert choose_gamma(log_w, 0.3).feasible
    assert not choose_gamma(NORMAL, 0.3, gamma_min=0.9).feasible


def test_zero_weights_leave_kl_infinite_and_the_ratio_undefined():
    choice = choose_gamma(np.append(NORMAL, -np.inf))
    assert choice.kl == math.inf
    assert choice.two_scalar is None
    assert choice.method == "exact"
    assert any("weights of 0: 1 of 2001" in note for note in choice.notes)


@pytest.mark.parametrize(
    ("log_w", "note"),
    [
        (SKEWED / 2, "2 KL/Var"),
        (HEAVY, "Pareto index of"),
        (HEAVY, "mean log w is above 0"),
        (NORMAL[:50], "overstates"),
        (NORMAL[:10], "it takes 25"),
    ],
)
def test_what_not_to_trust_is_said(log_w, note):
    assert any(note in words for words in choose_gamma(log_w).notes)


def test_a_forced_closed_form_is_told_that_its_law_is_another():
    notes = choose_gamma(HEAVY, method="lognormal").notes
    assert any("log w is not normal" in note for note in notes)
    assert any("falls short of the target" in note for note in notes)
    assert not any("not normal" in note for note in choose_gamma(NORMAL, method="lognormal").notes)


def test_it_prints_in_a_terminal_and_a_notebook():
    choice = choose_gamma(NORMAL, kl_max=0.1)
    text = str(choice)
    assert "set by kl_max" in text
    assert all(len(line) < 160 for line in text.splitlines())
    html = choice._repr_html_()
    assert html.startswith("<div><table>")
    assert "&lt;" not in html


def test_a_tensor_is_as_good_as_an_array():
    one, other = choose_gamma(NORMAL), choose_gamma(torch.tensor(NORMAL))
    assert one == other


BAD = [
    ({"rho_min": 1.0}, r"rho_min must be in \(0, 1\)"),
    ({"method": "guess"}, "method must be one of"),
    ({"gamma_min": 0.5, "gamma_max": 0.2}, "bounds must satisfy"),
    ({"kl_max": 0.0}, "kl_max must be a positive number, not 0.0"),
    ({"khat_max": math.nan}, "khat_max must be a positive number, not nan"),
    ({"level": 1.0}, r"level must be in \(0, 1\)"),
    ({"reward": [1.0]}, r"reward must have the shape \(2000,\), not \(1,\)"),
    ({"reward": np.full(2000, math.inf)}, r"reward\[0\] is inf"),
    ({"reward": np.zeros(2000), "tau": 0.0}, "tau must be a positive number"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_parameters_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        choose_gamma(NORMAL, **given)


def test_bad_weights_are_named():
    with pytest.raises(ValueError, match=r"log_w\[1\] is nan"):
        choose_gamma([0.0, math.nan])
    with pytest.raises(ValueError, match="one axis, not 2"):
        choose_gamma([[0.0, 1.0]])
    with pytest.raises(ValueError, match="some weight must be positive"):
        choose_gamma([-math.inf])


@given(batches)
def test_the_spectrum_is_the_divergences_within_its_band(log_w):
    found = renyi_spectrum(log_w, (0.0, 0.5, 1.0, 2.0))
    for order, value, low, high in zip(
        found.orders, found.values, found.low, found.high, strict=True
    ):
        truth = weights.renyi_divergence(log_w, order)
        # Sums of at most 40 terms at levels of 1e3, times an order of at most 2 over 1/2.
        assert value == pytest.approx(truth, rel=0, abs=1e3 * 40 * 8 * DOUBLE)
        assert low <= value <= high
        assert low >= 0


@pytest.mark.parametrize("gap", [1e-14, -1e-12, 1e-9, 1e-7, -1e-6, 9e-6, 1.1e-5])
def test_a_divergence_beside_order_1_keeps_its_digits(gap):
    own = np.exp(NORMAL - NORMAL.max())
    own /= own.mean()
    kl = (own * np.log(own)).mean()
    # D_1+t = KL + t/2 Var under pi of log w + O(t^2), where Var is about 4 and its slope below 30.
    slope = ((own * np.log(own) ** 2).mean() - kl**2) / 2
    expected = kl + gap * slope
    assert weights.renyi_divergence(NORMAL, 1 + gap) == pytest.approx(expected, rel=1e-9)
    # Just outside 1e-5 the quotient of K has lost five digits of sixteen.
    (found,) = renyi_spectrum(NORMAL, (1 + gap,)).values
    assert found == pytest.approx(expected, rel=1e-9)


def test_orders_beyond_2_and_the_largest_weight():
    found = renyi_spectrum(NORMAL, (3.0, math.inf))
    assert found.values[0] == pytest.approx(weights.renyi_divergence(NORMAL, 3.0), rel=1e-12)
    assert found.values[1] == pytest.approx(weights.renyi_divergence(NORMAL, math.inf), rel=1e-12)
    assert (found.low[1], found.high[1]) == (0.0, math.inf)
    assert renyi_spectrum([3.0]).seen == 0.0
    assert str(weights.renyi_divergence(NORMAL, 0.0)) == "0.0"


def test_a_common_level_costs_a_choice_no_digits():
    # Whole numbers up to 2^53 are exact.
    steps = np.random.default_rng(3).integers(-6, 6, 500).astype(float)
    near, far = choose_gamma(steps, kl_max=0.2), choose_gamma(1e15 + steps, kl_max=0.2)
    assert far.mean == pytest.approx(1e15, rel=1e-15)
    for name in ("gamma", "ess", "sigma2", "skewness", "kl_flat", "kl_reverse", "khat"):
        assert getattr(far, name) == pytest.approx(getattr(near, name), rel=1e-12), name
    assert far.interval == pytest.approx(near.interval, rel=1e-12)


def test_a_kl_cap_is_not_exceeded_where_gamma_is_tiny():
    choice = choose_gamma(1e12 * NORMAL, 0.01, kl_max=0.1)
    assert choice.binding == "kl_max"
    # gamma is found to its last bit, KL to the rounding of two sums.
    assert choice.kl_flat == pytest.approx(0.1, rel=1e-12)


def test_rewards_are_numbers_or_named():
    zero = np.append(NORMAL, -np.inf)
    tensor = torch.tensor(NORMAL, requires_grad=True)
    by_tensor = choose_gamma(NORMAL, reward=tensor).caps["reward"]
    assert by_tensor == choose_gamma(NORMAL, reward=NORMAL).caps["reward"]
    unused = choose_gamma(zero, reward=np.append(NORMAL, np.nan)).caps["reward"]
    assert math.isfinite(unused)
    with pytest.raises(TypeError, match="reward must be real numbers"):
        choose_gamma(NORMAL, reward=["high"] * len(NORMAL))


def test_integers_and_half_precision_are_as_good():
    whole = np.random.default_rng(1).integers(-9, 9, 300)
    alike = choose_gamma(whole.astype(float))
    for kind in (np.int8, np.int64, np.float16, np.float32):
        assert choose_gamma(whole.astype(kind)) == alike
    assert choose_gamma(torch.tensor(whole, dtype=torch.bfloat16)) == alike
    assert len({alike, choose_gamma(whole)}) == 1


def test_the_order_seen_falls_where_the_weights_spread():
    rng = np.random.default_rng(5)
    seen = [renyi_spectrum(s * rng.standard_normal(2000)).seen for s in (0.5, 1, 2, 4)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == 2.0
    assert 0 < seen[-1] < 1
    assert renyi_spectrum(np.zeros(20)).seen == 2.0


def test_the_band_holds_the_population_where_the_order_is_seen():
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        found = renyi_spectrum(0.5 * rng.standard_normal(500), (1.5,))
        held += found.low[0] <= 1.5 * 0.25 / 2 <= found.high[0]
    # D_alpha = alpha sigma2 / 2. 95% of 400 is 380, and fewer than 352 of them have a chance below
    # 1e-6 (binomial); half the width would hold about 67%.
    assert held >= 352


def test_bad_orders_are_named():
    with pytest.raises(ValueError, match="orders must be at least 0, not -1"):
        renyi_spectrum(NORMAL, (-1,))
    with pytest.raises(ValueError, match="level must be in"):
        renyi_spectrum(NORMAL, level=0.0)

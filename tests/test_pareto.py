"""The Pareto index: known laws, what it must not depend on, its edges, and smoothed weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from isr_theory import (
    convergence_rate,
    khat_threshold,
    min_sample_size,
    pareto_khat,
    psis_log_weights,
)
from isr_theory.pareto import khat_of_top, tail_size
from isr_theory.testing import DOUBLE

GOLDEN = json.loads((Path(__file__).parent / "golden" / "psis.json").read_text(encoding="utf-8"))
LAWS = {
    "normal": lambda rng, n: 2 * rng.standard_normal(n),
    "Pareto": lambda rng, n: 1.3 * rng.standard_exponential(n),
    "bounded": lambda rng, n: np.log(rng.random(n)),
    "narrow": lambda rng, n: 0.01 * rng.standard_normal(n),
}


def case(name, n, seed):
    return LAWS[name](np.random.default_rng(seed), n)


@pytest.mark.parametrize("golden", GOLDEN["cases"], ids=lambda c: f"{c['law']}-{c['n']}")
def test_it_agrees_with_arviz_stats(golden):
    log_w = case(golden["law"], golden["n"], golden["seed"])
    found = psis_log_weights(log_w)
    assert found.khat == pytest.approx(golden["khat"], abs=1e-10)
    assert pareto_khat(log_w) == pytest.approx(golden["khat"], abs=1e-10)
    largest = np.sort(found.log_weights)[-len(golden["largest"]) :]
    np.testing.assert_allclose(largest, golden["largest"], atol=1e-10)


def test_the_golden_values_say_where_they_come_from():
    assert {"package", "version", "python", "date", "command", "note"} <= set(GOLDEN["provenance"])
    assert len(GOLDEN["cases"]) >= 12


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9, 1.5])
def test_the_index_of_a_pareto_law_is_found(k):
    rng = np.random.default_rng(3)
    found = np.array([pareto_khat(k * rng.standard_exponential(20_000)) for _ in range(40)])
    size = tail_size(20_000)
    # The asymptotic error of the shape is (1 + k) / sqrt(tail); the prior is worth ten weights.
    pulled = (size * k + 5) / (size + 10)
    assert found.mean() == pytest.approx(pulled, abs=6 * (1 + k) / math.sqrt(size * 40))


@pytest.mark.parametrize("name", LAWS)
def test_it_depends_on_neither_level_nor_order(name):
    log_w = case(name, 500, 1)
    found = pareto_khat(log_w)
    shuffled = np.random.default_rng(2).permutation(log_w)
    assert pareto_khat(shuffled) == found
    # A level of 100 costs a log-weight seven bits; the narrow law's spread of 0.01 some ten more.
    assert pareto_khat(log_w + 100) == pytest.approx(found, abs=1e-9)
    # Below the tail and the weight under it nothing is looked at.
    lowest = np.argsort(log_w)[: 500 - tail_size(500) - 1]
    lower = log_w.copy()
    lower[lowest] = -np.inf
    assert pareto_khat(lower) == found


def test_a_batch_is_its_rows_and_a_tensor_is_an_array():
    rows = np.array([case(name, 300, 5) for name in LAWS])
    alone = [pareto_khat(row) for row in rows]
    np.testing.assert_allclose(pareto_khat(rows), alone, rtol=1e-12)
    np.testing.assert_allclose(pareto_khat(rows.T, axis=0), alone, rtol=1e-12)
    np.testing.assert_allclose(pareto_khat(torch.tensor(rows)), alone, rtol=1e-12)
    smoothed = psis_log_weights(rows.T, axis=0)
    assert smoothed.log_weights.shape == rows.T.shape
    np.testing.assert_allclose(smoothed.khat, alone, rtol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_smoothed_weights_are_a_law_in_the_order_of_the_raw_ones(name):
    log_w = case(name, 400, 8)
    before = log_w.copy()
    smoothed = psis_log_weights(log_w).log_weights
    np.testing.assert_array_equal(log_w, before)
    assert np.exp(smoothed).sum() == pytest.approx(1, abs=1e-12)
    order = np.argsort(log_w)
    assert (np.diff(smoothed[order]) >= 0).all()
    # Below the tail nothing changes but the normaliser.
    body = order[: -tail_size(400)]
    shift = smoothed[body] - log_w[body]
    assert np.ptp(shift) < 1e-12
    raw = log_w - log_w.max()
    assert (smoothed - shift[0] <= log_w.max() + 1e-12).all()
    assert raw.max() == 0


def test_a_tail_that_tells_nothing():
    assert pareto_khat(np.arange(24.0)) == math.inf
    assert math.isfinite(pareto_khat(np.arange(25.0)))
    assert pareto_khat(np.zeros(100)) == -math.inf
    assert pareto_khat(np.append(np.zeros(99), 1.0)) == math.inf
    assert pareto_khat(1000 * np.arange(100.0)) == math.inf
    assert khat_of_top(np.zeros(5)) == math.inf
    for log_w in (np.arange(10.0), np.zeros(100)):
        smoothed = psis_log_weights(log_w).log_weights
        np.testing.assert_allclose(smoothed, log_w - np.log(np.exp(log_w).sum()), rtol=1e-12)


@pytest.mark.parametrize("top", [700.0, 705.0, 712.0, 720.0, 735.0, 744.0, 760.0])
def test_a_tail_that_underflows_beside_its_largest_weight(top):
    # e^-710 and less are below the smallest normal number, and their reciprocals overflow.
    log_w = np.append(np.random.default_rng(0).standard_normal(200), top)
    assert pareto_khat(log_w) == math.inf or top < 703
    smoothed = psis_log_weights(log_w)
    assert not np.isnan(smoothed.log_weights).any()
    assert not math.isnan(smoothed.khat)


def test_a_scale_below_the_smallest_normal_number_is_none():
    levels = [np.linspace(-2000, -730, 76), np.linspace(-722, -715, 18), np.arange(-5.0, 1)]
    assert pareto_khat(np.concatenate(levels)) == math.inf


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float16, np.float32])
def test_integers_and_half_precision_are_computed_in_double(kind):
    whole = np.random.default_rng(1).integers(-99, 99, 300).astype(kind)
    assert math.isfinite(pareto_khat(whole))
    assert pareto_khat(whole) == pareto_khat(whole.astype(float))
    assert psis_log_weights(torch.tensor(whole)).khat == pareto_khat(whole)


def test_the_kept_tail_is_enough():
    log_w = case("normal", 1000, 4)
    kept = np.sort(log_w)[-tail_size(1000) - 1 :]
    assert khat_of_top(kept) == pytest.approx(pareto_khat(log_w), rel=1e-12)


def test_the_threshold_the_sample_size_and_the_rate():
    # Values of the formulas of Vehtari et al. (2024), worked by hand.
    assert khat_threshold(100) == pytest.approx(0.5)
    assert khat_threshold(10**6) == 0.7
    assert khat_threshold(2000) == pytest.approx(1 - 1 / math.log10(2000))
    assert min_sample_size(0.5) == pytest.approx(100)
    assert min_sample_size(0.7) == pytest.approx(10 ** (1 / 0.3))
    assert min_sample_size(-1.0) == 10
    assert min_sample_size(1.0) == math.inf
    assert convergence_rate(-0.2, 100) == 1
    assert convergence_rate(1.2, 100) == 0
    assert convergence_rate(0.5, 10**9) == pytest.approx(1 - 1 / math.log(10**9), abs=1e-8)
    assert convergence_rate(0.25, 100) == pytest.approx(
        (-1.5 * 100**1.5 + 0.5 * 100**0.5 + 100**2) / (99 * 90), rel=1e-12
    )


@pytest.mark.parametrize("n", [10, 1000, 10**6])
def test_the_rate_falls_without_a_jump(n):
    at = np.linspace(0.01, 0.99, 197)
    rates = np.array([convergence_rate(k, n) for k in at])
    assert (np.diff(rates) <= 1e-9).all()
    assert (rates >= 0).all()
    assert (rates <= 1).all()
    # Over the whole range it falls by 1, and so it does at 1/2 per unit of k; twice that is
    # allowed. The quotient has lost a factor 1e6 of its digits here.
    for near in (0.5 - 1e-6, 0.5 + 1e-6):
        room = 2e-6 + 64 * DOUBLE / 1e-6
        assert convergence_rate(near, n) == pytest.approx(convergence_rate(0.5, n), abs=room)


def test_what_means_nothing_is_named():
    with pytest.raises(ValueError, match="n must be at least 2, not 1"):
        khat_threshold(1)
    with pytest.raises(ValueError, match="khat must be a number"):
        min_sample_size(math.nan)
    with pytest.raises(ValueError, match="khat must be a number"):
        convergence_rate(math.nan, 10)
    with pytest.raises(ValueError, match="r_eff must be a positive number, not 0"):
        pareto_khat(np.arange(30.0), r_eff=0)
    with pytest.raises(ValueError, match=r"log_w\[0\] is nan"):
        pareto_khat([math.nan])

"""The Pareto index where tails tie, overflow or end, and batches whose rows have nothing alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isr_theory import (
    convergence_rate,
    khat_threshold,
    min_sample_size,
    pareto,
    pareto_khat,
    psis_log_weights,
)
from isr_theory.pareto import khat_of_top, tail_size

# Rows of scales so different that the likelihoods of their fits are e^1000 apart.
ROWS = np.stack(
    [
        np.random.default_rng(0).standard_normal(300) * 3,
        np.random.default_rng(1).standard_normal(300) * 1e-9,
        np.random.default_rng(2).standard_exponential(300) * 1.2 + 50,
        np.zeros(300),
        np.append(np.zeros(299), 1.0),
    ]
)


def test_the_tail_is_the_smaller_of_a_fifth_and_three_roots():
    for n in (1, 4, 10, 224, 226, 1000, 10_000, 10**6):
        for r_eff in (0.01, 0.0226, 0.5, 1.0, 2.0):
            expected = min(n // 5, int(3 * math.sqrt(n / r_eff)))
            assert tail_size(n, r_eff) == expected, (n, r_eff)
        assert tail_size(n) == tail_size(n, 1.0)


@pytest.mark.parametrize("r_eff", [0.05, 0.5, 3.0])
def test_dependent_draws_have_a_tail_of_another_size(r_eff):
    log_w = ROWS[0]
    expected = khat_of_top(np.sort(log_w)[-tail_size(300, r_eff) - 1 :])
    assert pareto_khat(log_w, r_eff=r_eff) == pytest.approx(expected, rel=1e-12)
    assert psis_log_weights(log_w, r_eff=r_eff).khat == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="r_eff must be a positive number, not inf"):
        pareto_khat(log_w, r_eff=math.inf)


@pytest.mark.parametrize("chunk", [pareto.CHUNK, 1])
def test_a_batch_is_its_rows_however_different(chunk, monkeypatch):
    monkeypatch.setattr(pareto, "CHUNK", chunk)
    alone = [psis_log_weights(row) for row in ROWS]
    together = psis_log_weights(ROWS)
    np.testing.assert_allclose(together.khat, [one.khat for one in alone], rtol=1e-12)
    np.testing.assert_allclose(pareto_khat(ROWS), together.khat, rtol=1e-12)
    for found, one in zip(together.log_weights, alone, strict=True):
        np.testing.assert_allclose(found, one.log_weights, rtol=1e-12)
        assert np.exp(found).sum() == pytest.approx(1, abs=1e-12)


def test_five_weights_are_a_tail_and_four_are_none():
    for n, known in ((24, False), (25, True)):
        smoothed = psis_log_weights(np.arange(float(n)))
        assert math.isfinite(smoothed.khat) == known
        raw = np.arange(float(n)) - np.log(np.exp(np.arange(float(n))).sum())
        assert np.allclose(smoothed.log_weights, raw) != known


@pytest.mark.parametrize(
    ("tail", "known"),
    [
        ([2.0] * 20, False),
        ([1.0] + [2.0] * 19, True),
        ([1.0] * 19 + [2.0], True),
        ([1.0] * 2 + [2.0] * 18, True),
    ],
)
def test_ties_in_a_tail_are_a_scale_unless_all_are_equal(tail, known):
    log_w = np.append(np.zeros(80), tail)
    assert math.isfinite(pareto_khat(log_w)) == known
    # All equal above the rest: not a tail that ends, but one of which nothing is known.
    assert known or pareto_khat(log_w) == math.inf


@pytest.mark.parametrize("level", [-800.0, 800.0])
def test_a_kept_tail_may_stand_at_any_level(level):
    kept = np.sort(ROWS[0])[-50:]
    assert khat_of_top(kept + level) == pytest.approx(khat_of_top(kept), rel=1e-9)
    # Its largest weight may be out of reach of all others.
    assert khat_of_top(np.append(kept[:-1], 800.0)) == math.inf
    assert math.isfinite(khat_of_top(np.append(kept[0] - 800.0, kept[1:])))


def test_a_shape_of_zero_is_the_limit_of_small_ones():
    size, sigma = 20, np.array([1.5, 1.5, 0.7, 0.0])
    exponential, small, one, none = pareto._quantiles(
        size, np.array([0.0, 1e-9, 1.0, math.inf]), sigma
    )
    level = -np.log1p(-(np.arange(size) + 0.5) / size)
    np.testing.assert_allclose(exponential, 1.5 * level, rtol=1e-14)
    np.testing.assert_allclose(small, exponential, rtol=1e-8)
    # Shape 1: the quantile at p is sigma (1/(1-p) - 1).
    np.testing.assert_allclose(one, 0.7 * np.expm1(level), rtol=1e-14)
    np.testing.assert_array_equal(none, 0)


def test_sample_sizes_end_where_floats_do():
    assert min_sample_size(1 - 1.5 / 308) == pytest.approx(10 ** (308 / 1.5), rel=1e-10)
    for end in (308, 308.9, 309, 400):
        assert min_sample_size(1 - 1 / end) == math.inf
    assert min_sample_size(0.0) == min_sample_size(-3.0) == 10


def test_two_weights_are_enough_for_a_threshold_and_a_rate():
    assert khat_threshold(2) == pytest.approx(1 - 1 / math.log10(2))
    assert convergence_rate(0.25, 2) == pytest.approx(
        (-1.5 * 2**1.5 + 0.5 * 2**0.5 + 4) / (2 - 2**0.5), rel=1e-12
    )
    for k, rate in ((0.0, 1), (1e-12, 1), (1.0, 0), (1 - 1e-12, 0)):
        assert convergence_rate(k, 100) == pytest.approx(rate, abs=1e-9)

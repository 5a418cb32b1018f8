"""Interquartile means, their intervals and the probability of improvement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.statistics import (
    difference_interval,
    improvement,
    iqm,
    iqm_interval,
    mean_interval,
)


def test_the_interquartile_mean_is_a_trimmed_mean():
    scores = np.random.default_rng(0).standard_cauchy((37, 5))
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None), rel=1e-12)
    assert iqm([1.0, 2.0, 3.0, 1e9]) == 2.5


def test_intervals_cover_at_their_level():
    # 400 tables of 40 normal scores. A percentile interval of a mean of 40 covers 94% (its width
    # has a factor sqrt(39/40)): 376, and four sigma of the binomial are 19 either way.
    rng = np.random.default_rng(1)
    held = 0
    for run in range(400):
        value, low, high = mean_interval(rng.standard_normal(40), seed=run)
        assert low <= value <= high
        held += low <= 0 <= high
    assert 357 <= held <= 395


def test_differences_are_paired_by_seed():
    rng = np.random.default_rng(2)
    shared = 100 * rng.standard_normal(20)
    value, low, high = difference_interval(shared + 1 + 0.1 * rng.standard_normal(20), shared)
    assert 0.9 < low < value < high < 1.1


def test_improvement_counts_pairs_and_halves_ties():
    assert improvement([1.0, 2.0], [1.0, 0.0])[0] == (1 + 1 + 1 + 0.5) / 4
    value, low, high = improvement(np.arange(20) + 100.0, np.arange(20))
    assert (value, low, high) == (1.0, 1.0, 1.0)
    first, second = np.random.default_rng(3).standard_normal((2, 30))
    u = stats.mannwhitneyu(first, second).statistic / 900
    assert improvement(first, second)[0] == pytest.approx(u, rel=1e-12)


def test_strata_are_kept():
    # One setting is near 0 and one near 100: a resampling that mixed them would be far wider.
    rng = np.random.default_rng(4)
    scores = np.stack([rng.standard_normal(10), 100 + rng.standard_normal(10)], axis=1)
    _, low, high = mean_interval(scores)
    assert high - low < 2


def test_what_cannot_be_summed_up_is_an_error():
    with pytest.raises(ValueError, match="finite"):
        iqm_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="two seeds"):
        iqm_interval([1.0])
    with pytest.raises(ValueError, match="level"):
        iqm_interval([1.0, 2.0], level=1.0)
    with pytest.raises(ValueError, match="settings"):
        improvement([[1.0, 2.0]], [[1.0]])

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
    paired_improvement,
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


def test_settings_that_share_their_seeds_are_resampled_by_whole_rows():
    # A column repeated has no more to say than once: the joint interval is that of one column,
    # and the other is narrower by the square root of the columns.
    once = np.random.default_rng(5).standard_normal(40)
    table = np.repeat(once[:, None], 9, axis=1)
    plain, joint = mean_interval(once), mean_interval(table, joint=True)
    assert joint == pytest.approx(plain, rel=1e-12)
    _, low, high = mean_interval(table)
    # Percentile ends of 2,000 replicates: each width is off by 4% (one sigma) or so.
    assert (plain[2] - plain[1]) / (high - low) == pytest.approx(3, rel=0.2)
    assert difference_interval(table, 0 * table, joint=True) == iqm_interval(table, joint=True)


def test_unpaired_improvement_can_resample_whole_rows_of_each():
    first, second = np.random.default_rng(6).standard_normal((2, 30))
    one = improvement(first, second)
    many = [np.repeat(x[:, None], 4, axis=1) for x in (first, second)]
    # Wins are counts over 900 pairs: the means of equal columns are equal up to rounding.
    assert improvement(*many, joint=True) == pytest.approx(one, rel=1e-12)


def test_paired_improvement_compares_a_seed_with_itself():
    rng = np.random.default_rng(7)
    problem = 100 * rng.standard_normal((40, 2))
    # Better by a little on the same problem, every time: sure by pairs, unseen without them.
    assert paired_improvement(problem + 1, problem) == [1.0, 1.0, 1.0]
    assert improvement(problem + 1, problem)[1] < 0.5
    assert paired_improvement([1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 1.0, 1.0])[0] == 2.5 / 4
    ours, theirs = rng.standard_normal((2, 40))
    value, low, high = paired_improvement(ours, theirs)
    # 40 fair coins: the ends are those of the binomial over 40, to within a coin.
    assert value == np.mean(ours > theirs)
    assert low == pytest.approx(stats.binom.ppf(0.025, 40, value) / 40, abs=1 / 40)
    assert high == pytest.approx(stats.binom.ppf(0.975, 40, value) / 40, abs=1 / 40)


def test_what_cannot_be_summed_up_is_an_error():
    with pytest.raises(ValueError, match="finite"):
        iqm_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="two seeds"):
        iqm_interval([1.0])
    with pytest.raises(ValueError, match="level"):
        iqm_interval([1.0, 2.0], level=1.0)
    with pytest.raises(ValueError, match="settings"):
        improvement([[1.0, 2.0]], [[1.0]])
    with pytest.raises(ValueError, match="shape of ours"):
        paired_improvement([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="finite"):
        paired_improvement([1.0, float("inf")], [1.0, 2.0])

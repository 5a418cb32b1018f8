"""The Monte Carlo engine alarms falsely, and misses, no more often than it says.

The same code as in a run, at alpha = 0.05 and 0.01 in place of 1e-9, so that the rates can be
counted: 4,000 seeded runs in which the statement is true, and 4,000 in which it is off by exactly
the stated resolution. Counts are held against binomial quantiles at 1e-6, so that each comparison
has that chance of failing for no reason under other seeds; with these seeds it is fixed.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from scipy.stats import binom

from isr_theory.claim import Outcome, Witness
from isr_theory.engines import montecarlo
from isr_theory.engines.montecarlo import Trial

ROOT = Path(__file__).parent.parent
RUNS = 4_000
LUCK = 1e-6
HERE = Witness.at(x=1)
ALPHAS = pytest.mark.parametrize("alpha", [0.05, 0.01])


class Coin(NamedTuple):
    """Two values: for a given mean no law on [low, high] strays further."""

    p: float
    low: float = 0.0
    high: float = 1.0

    @property
    def mean(self):
        return self.low + self.p * (self.high - self.low)

    def __call__(self, rng, n):
        return self.low + (self.high - self.low) * (rng.random(n) < self.p)

    def estimated(self, trial, label="coin", resolution=None):
        return trial.mean(label, self, self.low, self.high, resolution=resolution)


def at_most(rate):
    """The largest count of RUNS that a rate explains."""
    return binom.ppf(1 - LUCK, RUNS, rate)


def at_least(rate):
    return binom.ppf(LUCK, RUNS, rate)


def outcomes(statistic, alpha, off_by, resolution):
    """Run a statistic RUNS times against a value that is off by so much; return the outcomes."""
    return [
        statistic(Trial(seed, "calibration", "run", resolution, 2, alpha), off_by).outcome
        for seed in range(RUNS)
    ]


def a_mean(trial, off_by):
    law = Coin(0.5, -2.0, 3.0)
    return trial.agrees(law.estimated(trial), law.mean + off_by, witness=HERE)


def a_skewed_mean(trial, off_by):
    law = Coin(0.02)
    return trial.agrees(law.estimated(trial), law.mean - off_by, witness=HERE)


def a_difference(trial, off_by):
    one, other = Coin(0.4), Coin(0.7)
    half = trial.resolution / 2
    first = one.estimated(trial, "one", half)
    gap = other.estimated(trial, "other", half) - first
    return trial.agrees(gap, other.mean - one.mean + off_by, witness=HERE)


def a_ratio(trial, off_by):
    """E[a]^2 / E[b], the shape of an ESS, for a in [1, 2] and b in [2, 3]."""
    one, other = Coin(0.5, 1.0, 2.0), Coin(0.5, 2.0, 3.0)
    # The ratio moves by at most 2 in E[a] and 1 in E[b], so its width is at most 3 of theirs.
    part = trial.resolution / 3
    first, second = one.estimated(trial, "a", part), other.estimated(trial, "b", part)
    return trial.agrees(first * first / second, one.mean**2 / other.mean + off_by, witness=HERE)


def a_bound_above(trial, off_by):
    """The true value is the bound: neither answer may come often. Off, it lies past the bound."""
    law = Coin(0.5)
    return trial.below(law.estimated(trial), law.mean - off_by, witness=HERE)


def a_bound_below(trial, off_by):
    law = Coin(0.5)
    return trial.above(law.estimated(trial), law.mean + off_by, witness=HERE)


STATISTICS = {
    a_mean: 0.4,
    a_skewed_mean: 0.2,
    a_difference: 0.4,
    a_ratio: 0.6,
    a_bound_above: 0.2,
    a_bound_below: 0.2,
}
EACH = pytest.mark.parametrize(
    ("statistic", "resolution"), STATISTICS.items(), ids=lambda x: getattr(x, "__name__", None)
)


@ALPHAS
@EACH
def test_false_alarms_stay_within_alpha(statistic, resolution, alpha):
    found = outcomes(statistic, alpha, 0.0, resolution)
    assert found.count(Outcome.FAILS) <= at_most(alpha)


@ALPHAS
@EACH
def test_what_is_off_by_the_resolution_is_missed_within_alpha(statistic, resolution, alpha):
    found = outcomes(statistic, alpha, resolution, resolution)
    assert found.count(Outcome.HOLDS) <= at_most(alpha)
    assert found.count(Outcome.FAILS) > 0


def alarm_rate(p, n, half):
    """The exact chance that the mean of n flips of a p-coin strays from p by more than half."""
    return sum(binom.pmf(k, n, p) for k in range(n + 1) if abs(k / n - p) > half)


# The laws that alarm most often: no coin and no n up to 400 brings Hoeffding's bound closer to
# alpha than 21% at alpha = 0.05 and 15% at alpha = 0.01. Columns: alpha, p, resolution, n, share.
EXTREMAL = [(0.05, 0.32, 1.4, 4, 0.20), (0.01, 0.5, 0.665, 24, 0.15)]


@pytest.mark.parametrize(("alpha", "p", "resolution", "n", "share"), EXTREMAL)
def test_the_most_trying_laws_alarm_exactly_as_often_as_they_should(alpha, p, resolution, n, share):
    assert montecarlo.sample_size(1.0, resolution, alpha) == n
    rate = alarm_rate(p, n, math.sqrt(math.log(2 / alpha) / (2 * n)))
    assert share * alpha < rate <= alpha
    law = Coin(p)

    def statistic(trial, off_by):
        interval = law.estimated(trial)
        return trial.agrees(interval, law.mean, witness=HERE)

    alarms = outcomes(statistic, alpha, 0.0, resolution).count(Outcome.FAILS)
    assert at_least(rate) <= alarms <= at_most(rate)


@ALPHAS
def test_an_interval_narrowed_on_purpose_is_caught(monkeypatch, alpha):
    true_half = montecarlo.half_width
    monkeypatch.setattr(montecarlo, "half_width", lambda *given: 0.5 * true_half(*given))
    for statistic in (a_mean, a_bound_above, a_bound_below):
        found = outcomes(statistic, alpha, 0.0, STATISTICS[statistic])
        assert found.count(Outcome.FAILS) > at_most(alpha)


def calibrate(*arguments):
    command = [sys.executable, "scripts/calibrate.py", "--seeds", "12", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_ledger_keeps_its_family_rate():
    run = calibrate()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "of 12 seeds" in run.stdout


def test_the_ledger_with_narrowed_intervals_does_not():
    run = calibrate("--narrow", "0.3")
    assert run.returncode == 1
    assert "more than" in run.stdout

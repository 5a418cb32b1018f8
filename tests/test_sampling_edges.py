"""Where the Monte Carlo engine refuses, and where an interval changes its mind."""

from __future__ import annotations

import numpy as np
import pytest
from saying import HERE, says

from isr_theory.claim import Outcome, Strength
from isr_theory.engines import montecarlo
from isr_theory.engines.montecarlo import Interval

HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED


def trial(**changes):
    settings = {"root": 1, "claim": "X.1", "check": "a check", "resolution": 0.1, **changes}
    return montecarlo.Trial(**settings)


def test_quotients_of_intervals():
    assert Interval(1, 2) / Interval(4, 8) == Interval(1 / 8, 1 / 2)
    assert Interval(1, 2) / -2 == Interval(-1, -1 / 2)
    for divisor in (Interval(0, 1), Interval(-1, 0), Interval(-1, 1)):
        assert (Interval(1, 2) / divisor).width == np.inf


@pytest.mark.parametrize("width", [0.5, 1, 3])
@pytest.mark.parametrize("alpha", [1e-9, 0.05])
def test_the_sample_size_is_the_smallest_that_reaches_the_resolution(width, alpha):
    n = montecarlo.sample_size(width, 0.1, alpha)
    assert 2 * montecarlo.half_width(width, n, alpha) <= 0.1
    assert 2 * montecarlo.half_width(width, n - 1, alpha) > 0.1


@pytest.mark.parametrize("looks", [1, 2])
def test_a_mean_uses_every_value_that_it_draws_and_no_other(monkeypatch, looks):
    monkeypatch.setattr(montecarlo, "CHUNK", 1000)
    drawn = []

    def draw(rng, n):
        drawn.append(rng.uniform(-2, 3, n))
        return drawn[-1]

    interval = trial(looks=looks, resolution=0.5).mean("a", draw, -2, 3)
    values = np.concatenate(drawn)
    assert len(values) == montecarlo.sample_size(5, 0.5, montecarlo.ALPHA / looks)
    assert max(map(len, drawn)) == 1000
    # Sums of a few thousand float64 of order 1.
    assert (interval.low + interval.high) / 2 == pytest.approx(values.mean(), abs=1e-12)
    assert interval.width == pytest.approx(0.5, rel=1e-3)


def test_other_claims_and_other_labels_have_other_numbers():
    def uniform(rng, n):
        return rng.random(n)

    one = trial(looks=2)
    first = one.mean("a", uniform, 0, 1)
    assert one.mean("b", uniform, 0, 1) != first
    assert trial(looks=2, claim="X.2").mean("a", uniform, 0, 1) != first
    assert trial(looks=2, check="another").mean("a", uniform, 0, 1) != first


def test_the_largest_sample_is_allowed_and_one_more_is_not(monkeypatch):
    n = montecarlo.sample_size(1, 0.1, montecarlo.ALPHA)
    monkeypatch.setattr(montecarlo, "MAX_SAMPLES", n)
    assert trial().mean("a", lambda rng, n: rng.random(n), 0, 1).width > 0
    monkeypatch.setattr(montecarlo, "MAX_SAMPLES", n - 1)
    with pytest.raises(ValueError, match="widen the resolution"):
        trial().mean("a", lambda rng, n: rng.random(n), 0, 1)


@pytest.mark.parametrize(
    ("low", "high", "varies"),
    [(0, 1e-9, False), (0, 5e-10, False), (0, 1.5e-9, True), (1e9, 1e9 + 0.5, False)],
)
def test_bounds_must_leave_more_than_rounding(low, high, varies):
    mine = trial(resolution=high - low)
    if varies:
        assert mine.mean("a", lambda rng, n: np.full(n, low), low, high).low < high
    else:
        with pytest.raises(ValueError, match="does not vary"):
            mine.mean("a", lambda rng, n: np.full(n, low), low, high)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1e-3), (-1e6, 1), (-1, 1e6)])
def test_a_value_may_pass_its_bound_by_rounding_alone(low, high):
    slack = 1e-12 * max(1, abs(low), abs(high))
    mine = trial(resolution=high - low, looks=9)
    for far in (0, 0.5, 1):
        for value in (low - far * slack, high + far * slack):
            mine.mean(f"{far} {value}", lambda rng, n, v=value: np.full(n, v), low, high)
    for value in (low - 1.5 * slack, high + 1.5 * slack):
        with pytest.raises(ValueError, match="left its bounds"):
            mine.mean(f"{value}", lambda rng, n, v=value: np.full(n, v), low, high)


UNIT = Interval(0.0, 1.0)
OF_A_TRIAL = [
    ("agrees", UNIT, 0.0, HOLDS),
    ("agrees", UNIT, 1.0, HOLDS),
    ("agrees", UNIT, 1.01, FAILS),
    ("agrees", UNIT, -0.01, FAILS),
    # As wide as the resolution up to rounding, and wider.
    ("agrees", Interval(0.0, 1 + 5e-10), 0.5, HOLDS),
    ("agrees", Interval(0.0, 1 + 1e-9), 0.5, HOLDS),
    ("agrees", Interval(0.0, 1 + 2e-9), 0.5, UNDECIDED),
    ("agrees", Interval(0.0, 1.5), 0.5, UNDECIDED),
    ("below", UNIT, 1.01, HOLDS),
    ("below", UNIT, 1.0, UNDECIDED),
    ("below", UNIT, 0.0, UNDECIDED),
    ("below", UNIT, -0.01, FAILS),
    ("above", UNIT, -0.01, HOLDS),
    ("above", UNIT, 0.0, UNDECIDED),
    ("above", UNIT, 1.0, UNDECIDED),
    ("above", UNIT, 1.01, FAILS),
]


@pytest.mark.parametrize(("question", "interval", "value", "outcome"), OF_A_TRIAL)
def test_what_an_interval_decides(question, interval, value, outcome):
    said = getattr(trial(resolution=1.0), question)(interval, value, witness=HERE)
    assert says(said, outcome, Strength.STATISTICAL, at=HERE if outcome is FAILS else None)

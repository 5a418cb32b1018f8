"""Estimators and statistics against the peers' own numbers, which `make peers` writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from experiments import evaluation, statistics

GOLDEN = Path(__file__).parent / "golden"
OBP = json.loads((GOLDEN / "obp.json").read_text(encoding="utf-8"))
RLIABLE = json.loads((GOLDEN / "rliable.json").read_text(encoding="utf-8"))


def logged(seed, n, spread):
    """Return log w and rewards of the log that `benchmarks/golden_obp.py` draws."""
    rng = np.random.default_rng(seed)
    mu = np.exp(spread * rng.standard_normal((n, 5)))
    mu /= mu.sum(axis=1, keepdims=True)
    pi = np.exp(rng.standard_normal((n, 5)))
    pi /= pi.sum(axis=1, keepdims=True)
    action = np.minimum((mu.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), 4)
    reward = rng.standard_exponential(n) * (rng.random(n) < 0.4)
    rows = np.arange(n)
    return np.log(pi[rows, action] / mu[rows, action]), reward


def ours(name, log_w, reward):
    if name == "ipw":
        return evaluation.mean("is")(log_w, reward).value
    if name == "snipw":
        return evaluation.self_normalised(1.0)(log_w, reward).value
    key, parameter = name.split()
    entry = {"clipped": ("tis", "C"), "sub_gaussian": ("sub_gaussian", "l"), "dros": ("dros", "l")}
    weights, called = entry[key]
    return evaluation.mean(weights, **{called: float(parameter)})(log_w, reward).value


@pytest.mark.parametrize("case", OBP["cases"], ids=lambda c: f"{c['n']}-{c['spread']:g}")
def test_estimators_agree_with_obp(case):
    log_w, reward = logged(case["seed"], case["n"], case["spread"])
    assert len(case["values"]) == 12
    for name, value in case["values"].items():
        # Logarithms and sums of 10,000 terms: rounding is a thousand times smaller.
        assert ours(name, log_w, reward) == pytest.approx(value, rel=1e-10), name


def tables(seed, shape):
    """Return the two score tables that `benchmarks/golden_rliable.py` draws."""
    rng = np.random.default_rng(seed)
    first = np.arange(shape[1]) + rng.standard_normal(shape)
    second = np.arange(shape[1]) - 0.4 + rng.standard_exponential(shape)
    return first, second


def end_tolerance(ends, grain=0.0):
    """Return by how much the ends of two bootstrap intervals may differ by their own noise.

    A quantile at p of R resamplings of spread s has the error sqrt(p (1 - p)/R) s/phi(z_p), 2.67 s
    over sqrt(R) at p = 0.025, and s is the width over 2 * 1.96. Five of them, joined over both
    bootstraps, are exceeded once in two million; `grain` is the step of a statistic that counts.
    """
    both = 1 / RLIABLE["provenance"]["replicates"] + 1 / statistics.REPLICATES
    return 5 * 2.67 * (ends[1] - ends[0]) / 3.92 * math.sqrt(both) + grain


@pytest.mark.parametrize("case", RLIABLE["cases"], ids=lambda c: "x".join(map(str, c["shape"])))
def test_statistics_agree_with_rliable(case):
    first, second = tables(case["seed"], case["shape"])
    value, *ends = statistics.iqm_interval(first)
    assert value == pytest.approx(case["iqm"], abs=1e-12)
    assert ends == pytest.approx(case["iqm_ends"], abs=end_tolerance(case["iqm_ends"]))
    value, *ends = statistics.improvement(first, second)
    assert value == pytest.approx(case["improvement"], abs=1e-12)
    theirs = case["improvement_ends"]
    grain = 1 / first.size
    assert ends == pytest.approx(theirs, abs=end_tolerance(theirs, grain))
    # The allowance is a fraction of the width: another level of confidence would not pass.
    assert end_tolerance(case["iqm_ends"]) < 0.15 * (case["iqm_ends"][1] - case["iqm_ends"][0])


@pytest.mark.parametrize("golden", [OBP, RLIABLE], ids=["obp", "rliable"])
def test_the_golden_values_say_where_they_come_from(golden):
    assert {"package", "version", "python", "date", "command"} <= set(golden["provenance"])
    assert len(golden["cases"]) >= 3

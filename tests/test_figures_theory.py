"""The figures of the theory: each table against a value from a second way, or an invariant."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from figures import (
    bias,
    chernoff_skew,
    ess_law,
    gamma_methods,
    renyi_identity,
    simplex_paths,
    three_variances,
    true_minimiser,
    two_ends,
)
from figures.tables import column, where
from isr_theory.models import RARE_ARM


def test_the_two_ends():
    data = two_ends.data()
    density = {
        name: np.array(column(where(data["ends"], name=name), "density"))
        for name in ("target", "forward", "reverse")
    }
    y, step = two_ends.GRID, two_ends.STEP
    mean = {name: float(y @ d) * step for name, d in density.items()}
    variance = {name: float((y - mean[name]) ** 2 @ d) * step for name, d in density.items()}
    # Of the mixture, by hand: 0.6 (-2.5) + 0.4 (2.5), and 0.8^2 + 0.6 0.4 5^2; the grid ends at 8
    # deviations of the modes and 3.3 of the broad law.
    assert mean["target"] == pytest.approx(-0.5, abs=1e-6)
    assert variance["target"] == pytest.approx(0.64 + 6, abs=1e-5)
    assert mean["forward"] == pytest.approx(-0.5, abs=0.03)
    assert variance["forward"] == pytest.approx(6.64, abs=0.15)
    # The other mode, 6 deviations away, widens it a little.
    assert mean["reverse"] == pytest.approx(-2.5, abs=0.01)
    assert variance["reverse"] == pytest.approx(0.64, rel=0.04)


def test_the_rests_go_beyond_the_target():
    data = two_ends.data()
    mu = np.array(column(where(data["path"], name="0"), "density"))
    target = np.array(column(where(data["ends"], name="target"), "density"))
    rest = np.array(column(where(data["rests"], name="0.5"), "density"))
    # p_2, where there is mass enough to divide.
    inside = (mu > 1e-3) & (target > 1e-6)
    squared = np.where(inside, target**2 / np.where(inside, mu, 1), 0)
    squared /= squared.sum() * two_ends.STEP
    assert rest == pytest.approx(squared, abs=1e-4)
    assert np.array(column(where(data["rests"], name="0"), "density")) == pytest.approx(
        target, abs=1e-8
    )


def test_the_three_paths():
    rows = simplex_paths.data()["paths"]
    law = {
        (row["path"], round(row["t"], 6)): np.array([row["p1"], row["p2"], row["p3"]])
        for row in rows
    }
    start, middle, end = (law["exponential", t] for t in (0.0, 0.5, 1.0))
    logs = np.log(middle) - (np.log(start) + np.log(end)) / 2
    assert np.ptp(logs) == pytest.approx(0, abs=1e-12)
    quarter, half = (np.sqrt(law["Fisher-Rao", t]) for t in (0.25, 0.5))
    angles = [math.acos(a @ b) for a, b in ((np.sqrt(start), quarter), (quarter, half))]
    # An angle of order 1 from its cosine, to a few roundings.
    assert angles[0] == pytest.approx(angles[1], rel=1e-12)
    assert law["mixture", 0.5] == pytest.approx((start + end) / 2)
    # None of the exponential's points is near the great circle's.
    others = [p for (name, _), p in law.items() if name == "Fisher-Rao"]
    assert min(np.abs(p - middle).max() for p in others) > 0.1


def test_the_identity_at_whole_orders():
    data = renyi_identity.data()
    mu, pi = RARE_ARM.mu, RARE_ARM.pi
    for order in (0, 1, 2, 3):
        exact = sum(a * (b / a) ** order for a, b in zip(mu, pi, strict=True))
        (row,) = where(data["identity"], law="four arms", alpha=float(order))
        assert row["log_moment"] == pytest.approx(math.log(exact), abs=1e-12)
        (row,) = where(data["identity"], law="log-normal", alpha=float(order))
        assert row["log_moment"] == pytest.approx(2 * order * (order - 1), abs=1e-12)
    (row,) = (
        row
        for row in where(data["samples"], law="four arms", n=1e6)
        if row["alpha"] == pytest.approx(2)
    )
    second, fourth = (
        float(sum(a * (b / a) ** k for a, b in zip(mu, pi, strict=True))) for k in (2, 4)
    )
    # Seven deviations of a mean of w^2.
    assert abs(math.exp(row["log_moment"]) - second) < 7 * math.sqrt(fourth / 1e6)
    # The sample of a hundred misses most of the third moment of log-normal weights, e^12.
    (last,) = (row for row in where(data["samples"], law="log-normal", n=1e2) if row["alpha"] > 2.9)
    assert last["log_moment"] < 9


def test_each_minimiser_is_where_its_curve_is_least():
    data = three_variances.data()
    for row in data["least"]:
        curve = where(data["curves"], case=row["case"])
        assert row["value"] <= min(column(curve, row["which"])) + 1e-12
    found = {(row["case"], row["which"]): row["gamma"] for row in data["least"]}
    assert [found["two arms", which] for which in ("moment", "weights", "gradient")] == (
        pytest.approx([0.25, 0, 0.5], abs=1e-5)
    )
    # A cubic's root by hand would do as well: here the recorded run's, for sigma = 1 and d = 1.
    assert found["log-normal", "moment"] == pytest.approx(0.25, abs=1e-5)
    assert 0.28 < found["log-normal", "gradient"] < 0.3


def test_the_true_minimiser_and_its_jumps():
    data = true_minimiser.data()
    rows = data["least"]
    for d in (1.0, 2.0, 3.0, 10.0):
        first = where(rows, d=d)[0]
        # sigma^2 = 0.01 moves it by the same order.
        assert first["gamma"] == pytest.approx((d + 2) / (4 * d + 6), abs=3e-4)
    for jump in data["jumps"]:
        line = where(rows, d=jump["d"])
        steps = [(b["gamma"] - a["gamma"], b["sigma"]) for a, b in itertools.pairwise(line)]
        step, sigma = max(steps)
        assert step > 0.1
        assert sigma**2 == pytest.approx(jump["sigma2"], abs=2e-3)
        # On both sides of it the two minima are equally low.
        gammas = np.linspace(0, 0.5, 500_001)
        variance = _trace(jump["sigma2"], int(jump["d"]), gammas)
        parted = gammas < 0.17
        one, other = variance[parted].min(), variance[~parted].min()
        # The place is known to 1e-4, and the two move apart at about an eighth of themselves.
        assert one == pytest.approx(other, rel=1e-4)
    for d in (3.0, 10.0):
        line = where(rows, d=d)
        assert max(abs(b["gamma"] - a["gamma"]) for a, b in itertools.pairwise(line)) < 0.04


def _trace(sigma2: float, d: int, gamma: np.ndarray) -> np.ndarray:
    """n tr Cov of w^gamma s, by completing squares: along theta the score is z + (t-1) sigma."""
    second = np.exp(gamma * (2 * gamma - 1) * sigma2) * (d + (2 * gamma - 1) ** 2 * sigma2)
    mean = (gamma - 1) * math.sqrt(sigma2) * np.exp(gamma * (gamma - 1) * sigma2 / 2)
    return second - mean**2


def test_the_chernoff_points():
    data = chernoff_skew.data()
    assert data["witness"][0]["gamma"] == pytest.approx(0.25, abs=1e-10)
    for row in data["pairs"]:
        assert 0 < row["gamma"] < 0.5
    # By golden section on the second moment itself.
    mu, pi = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    gammas = np.linspace(0, 0.5, 500_001)
    moments = sum(a * (b / a) ** (2 * gammas) for a, b in zip(mu, pi, strict=True))
    own = chernoff_skew.point(mu.tolist(), pi.tolist())
    assert own["gamma"] == pytest.approx(gammas[moments.argmin()], abs=1e-6)
    assert np.corrcoef(column(data["pairs"], "skew"), column(data["pairs"], "gamma"))[0, 1] > 0.99


def test_bias_is_a_divergence_that_bends_upwards():
    rows = bias.data()["bias"]
    for name, law in bias.LAWS.items():
        line = where(rows, law=name)
        mu, target = (np.array([float(x) for x in p]) for p in (law.mu, law.pi))
        for row in line:
            path = mu ** (1 - row["gamma"]) * target ** row["gamma"]
            path /= path.sum()
            direct = float(target @ np.log(target / path))
            assert row["bias"] == pytest.approx(direct, abs=1e-12)
            assert row["bend"] > 0
        assert line[-1]["slope"] == 0
        assert all(row["slope"] < 0 for row in line[:-1])
        # Central differences over steps of 0.02: the third derivative over 6, times 4e-4.
        for before, here, after in zip(line, line[1:], line[2:], strict=False):
            assert (after["bias"] - before["bias"]) / 0.04 == pytest.approx(here["slope"], abs=1e-2)
            assert (after["slope"] - before["slope"]) / 0.04 == pytest.approx(
                here["bend"], abs=1e-2
            )


def test_batches_overstate_the_ess():
    data = ess_law.data()
    law = {row["gamma"]: row["ess"] for row in data["population"]}
    for row in data["batches"]:
        # Six errors of the mean; at gamma = 0 both are 1.
        assert row["ess"] >= law[row["gamma"]] - 6 * row["error"] - 1e-12
    for gamma in law:
        by_n = [row["ess"] for row in data["batches"] if row["gamma"] == gamma]
        assert by_n == sorted(by_n, reverse=True)
    (near,) = (row for row in where(data["batches"], n=1024.0) if abs(row["v"] - 0.25) < 1e-9)
    expected = 1 - 2 * math.exp(0.25) + math.exp(0.75)
    assert near["excess"] == pytest.approx(expected, abs=6 * 1024 * near["error"] + 0.2)
    (limit,) = (row for row in data["limit"] if abs(row["v"] - 0.25) < 1e-9)
    assert limit["limit"] == pytest.approx(expected)


def test_the_exact_root_reaches_its_target_and_the_range_bound_is_safe():
    rows = gamma_methods.data()["methods"]
    assert len({row["law"] for row in rows}) == 10
    for row in where(rows, method="exact"):
        assert row["gamma"] == 1 or row["ess"] == pytest.approx(0.3, rel=1e-9)
        assert row["ess"] >= 0.3 - 1e-9
    assert min(column(where(rows, method="range"), "ess")) >= 0.3
    closed = {row["law"]: row["ess"] for row in where(rows, method="lognormal")}
    assert closed["right-skewed"] < 0.01
    assert closed["left-skewed"] > 0.6
    # The quantiles cut the tails, so that the variance is 0.2% below 9.
    assert closed["normal"] == pytest.approx(0.3, abs=0.01)
    # By hand: two values with share 0.02 of e^4, at the closed form's gamma of 1.
    w = math.exp(4)
    share = Fraction(80, 4001)
    direct = (1 - share + share * w) ** 2 / (1 - share + share * w * w)
    assert closed["rare arm"] == pytest.approx(float(direct), rel=1e-9)

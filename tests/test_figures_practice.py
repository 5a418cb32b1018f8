"""The figures of choosing gamma and of recorded runs: their tables from a second way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from figures import (
    amended_gamma,
    dead_zone,
    estimators,
    fixed_point,
    length_aggregation,
    open_bandit,
    plugin_coverage,
    small_batch,
    stall,
)
from figures.tables import column, where


def test_the_plug_in_meets_its_target_in_fewer_than_half_of_all_batches():
    data = plugin_coverage.data()
    exact = {row["n"]: row for row in data["lines"]}
    # P(chi^2_1 >= 1), twice the normal tail past 1.
    assert exact[2.0]["plain"] == pytest.approx(math.erfc(math.sqrt(0.5)))
    for row in data["lines"]:
        assert row["plain"] < 0.5
        assert row["bound"] == pytest.approx(0.95)
        assert row["low"] < row["median"] < 0.3 < row["high"]
    for row in where(data["drawn"], method="closed form"):
        nearest = min(exact.values(), key=lambda line, n=row["n"]: abs(line["n"] - n))
        # Five deviations of a share of 2,000, and the step to the nearest size of the line.
        assert row["share"] == pytest.approx(nearest["plain"], abs=5 * 0.5 / 2000**0.5 + 0.01)
    for row in where(data["drawn"], method="exact root"):
        assert row["share"] < 0.4


def test_the_amended_rule_meets_its_target():
    rows = amended_gamma.data()["rules"]
    for row in where(rows, rule="amended"):
        assert row["gamma"] == 1 or row["ess"] == pytest.approx(0.3, rel=1e-9)
        assert -1e-9 <= row["gamma"] <= 1
    missed = [
        row for row in where(rows, rule="printed", correlation=0.0) if float(row["reward2"]) > 0
    ]
    assert max(column(missed, "ess")) < 0.3
    # The ESS by quadrature over two normal variables: no formula of a moment.
    nodes, mass = np.polynomial.hermite_e.hermegauss(80)
    u, v = np.meshgrid(nodes, nodes)
    both = np.outer(mass, mass) / mass.sum() ** 2
    (row,) = (row for row in where(rows, rule="printed", correlation=0.6) if row["reward2"] == 1.0)
    log = row["gamma"] * 2 * u + 0.6 * u + 0.8 * v
    ess = (both * np.exp(log)).sum() ** 2 / (both * np.exp(2 * log)).sum()
    assert row["ess"] == pytest.approx(ess, rel=1e-6)


def test_training_ends_on_the_curves():
    data = fixed_point.data()
    for row in data["rests"]:
        masses = [a * r ** (1 / (1 - row["gamma"])) for a, r in ((0.6, 1), (0.3, 2), (0.1, 4))]
        expected = [x / sum(masses) for x in masses]
        # Six digits of a committed run.
        assert [row["p1"], row["p2"], row["p3"]] == pytest.approx(expected, abs=1e-6)
    for row in data["slopes"]:
        assert row["slope"] == pytest.approx(1 / (row["tau"] * (1 - row["gamma"])), rel=1e-5)
    for row in data["rates"]:
        curve = min(data["theory"], key=lambda x, gamma=row["gamma"]: abs(x["gamma"] - gamma))
        assert row["rate"] == pytest.approx(curve["rate"], rel=1e-4)


def test_the_rule_projects_onto_its_ball():
    data = dead_zone.data()
    edge = data["edge"][0]["sigma"]
    assert edge == pytest.approx(1.0972569454443828)
    basis = dead_zone.plane()
    assert (basis * dead_zone.MU) @ basis.T == pytest.approx(np.eye(2))
    for row in data["points"]:
        length = math.hypot(row["x"], row["y"])
        assert math.hypot(row["to_x"], row["to_y"]) == pytest.approx(min(length, edge))
        assert (row["gamma"] == 1) == (length <= edge)
    for row in data["pulls"]:
        if abs(row["theta"]) <= edge:
            # gamma = 1 but for rounding on the edge.
            assert row["rule"] == pytest.approx(0, abs=1e-14)
        else:
            assert row["rule"] * row["theta"] < 0
    asleep = [row["kl"] for row in data["gammas"] if row["gamma"] == 1]
    assert max(asleep) == pytest.approx(0.602, abs=1e-3)


def test_lengths_and_aggregation():
    data = length_aggregation.data()
    last = {row["law"]: row["ess"] for row in where(data["lengths"], length=3000.0)}
    assert last["right-skewed"] < 0.3 < last["left-skewed"]
    assert last["symmetric"] == pytest.approx(0.3, abs=1e-3)
    assert last["right-skewed"] == pytest.approx(0.3, abs=0.03)
    # 100 tokens: E[w^2] = (13/9)^100, and e^(100 Var) by the formula.
    variance = 0.09 * math.log((0.3 / 0.1) / (0.7 / 0.9)) ** 2
    (row,) = where(data["moments"], law="right-skewed", length=100.0)
    expected = 100 * (math.log10(13 / 9) - variance / math.log(10))
    assert row["off"] == pytest.approx(expected)
    (row,) = where(data["others"], gamma=0.5, length=4.0)
    affinity = math.sqrt(0.9 * 0.7) + math.sqrt(0.1 * 0.3)
    assert row["factor"] == pytest.approx(affinity**3)
    # Variances 4 and 16: 3/8 sqrt(L) on average, the union sqrt(L/10).
    root = math.sqrt(-math.log(0.3))
    at_two = min(data["pooled"], key=lambda x: abs(x["ratio"] - 2))
    assert at_two["mean"] == pytest.approx(3 / 8 * root, rel=0.02)
    assert at_two["union"] == pytest.approx(math.sqrt(0.1) * root, rel=0.05)
    for row in data["pooled"]:
        assert row["mean"] >= row["union"] - 1e-12


def test_the_recorded_minimisers():
    data = estimators.data()
    for which in estimators.WHICH:
        shares = column(where(data["shares"], which=which), "share")
        assert shares == sorted(shares)
        assert shares[-1] == 1
    moments = {row["gamma"]: row["share"] for row in where(data["shares"], which="moment")}
    assert moments[0.3] - moments[0.2] > 0.98
    for sigma2 in estimators.SHIFTS:
        gammas = column(where(data["errors"], sigma2=sigma2), "gamma")
        assert gammas == sorted(gammas)
    plain = where(data["drawn"], which="trace")
    assert len(plain) == 4
    assert all(row["low"] < row["ratio"] < row["high"] for row in plain)


def test_the_stall_is_on_the_edge():
    data = stall.data()
    edge = data["edge"][0]["edge"]
    assert edge == pytest.approx(math.sqrt(-math.log(0.3)))
    for start in (-2.0, -0.6, 0.3, 0.9, 1.5, 2.0, 3.0):
        path = column(where(data["exact"], start=start), "theta")
        assert path[0] == start
        inside = abs(start) <= edge
        assert path[-1] == pytest.approx(start if inside else math.copysign(edge, start), abs=1e-9)
    ends = {
        (row["way"], row["n"]): row["theta"] for row in data["batches"] if row["step"] == 5900.0
    }
    assert ends["plain", 32.0] < ends["plain", 512.0] < ends["plain", 4096.0] < edge
    assert ends["self-normalised", 32.0] < ends["plain", 32.0]
    assert ends["gamma 0", 32.0] < 0.05


def test_the_small_batches():
    data = small_batch.data()
    for row in data["values"]:
        assert row["low"] <= row["value"] <= row["high"]
    assert len(data["values"]) == 2 * 3 * 9
    # In large batches a fixed gamma ends at theta = 2/(2 - gamma).
    for gamma in (0.0, 0.25, 0.5, 0.75, 1.0):
        (row,) = where(data["values"], problem="Gaussian", n=256.0, method=f"gamma {gamma:g}")
        theta = 2 / (2 - gamma)
        assert row["value"] == pytest.approx(math.exp(-((theta - 2) ** 2) / 4) / 2**0.5, abs=3e-3)
    kept = {
        row["n"]: row["share"]
        for row in where(data["kept"], problem="Gaussian", method="chi-square")
    }
    assert all(share == pytest.approx(0.95, abs=0.01) for share in kept.values())


def test_the_real_logs():
    data = open_bandit.data()
    # 38, 46 and 46 clicks in 10,000 looks of the uniform policy.
    assert column(data["truth"], "value") == pytest.approx([0.0038, 0.0046, 0.0046])
    assert column(where(data["reached"], method="gamma* exact"), "value") == pytest.approx(
        [0.3] * 3
    )
    assert max(column(where(data["reached"], method="gamma* lognormal"), "value")) < 0.13
    assert {key for key, _ in open_bandit.SHOWN} <= {row["method"] for row in data["estimates"]}
    for campaign in open_bandit.CAMPAIGNS:
        lost = where(data["sharper"], campaign=campaign)
        assert column(lost, "gamma") == [0.25, 0.5, 0.75, 1.0]
        assert min(column(lost, "low")) > 0

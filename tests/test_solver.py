"""The pieces that gamma is found with: the series, the bound, dot products, blocks and parts."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from parts import in_parts

from isr_theory import ess_ratio, gamma_star, rule, solver, vector
from isr_theory.logspace import scaled, shifted
from isr_theory.testing import DOUBLE


def first_root(b, c):
    """The first root of x^2 + b x^3 + c x^4 = 1 if the left side rises up to it, else 1.

    None where that is too close to call.
    """
    # np.roots leaves the root itself unless it is a double one, where the slope is 0.
    at = [z.real for z in np.roots([c, b, 1, 0, -1]) if abs(z.imag) < 1e-9 and z.real > 0]
    if not at:
        x = np.linspace(0, 20, 20_001)
        # A crest that just touches 1 is a double root, which rounding may hide.
        return None if np.abs(x**2 + b * x**3 + c * x**4 - 1).min() < 1e-3 else 1.0
    x = np.linspace(0, min(at), 2001)
    least = (2 + 3 * b * x + 4 * c * x * x).min()
    if abs(least) < 0.01:
        return None
    return min(at) if least > 0 else 1.0


def test_the_cumulants_solve_their_series_where_it_rises_to_its_root():
    # Coefficients of which one or none is 0, and some that put the root far below the start.
    grid = [(b, c) for b in np.linspace(-3, 3, 25) for c in np.linspace(-3, 3, 25)]
    grid += [(b, c) for b in (-3.0, 0.0, 40.0) for c in (50.0, 3000.0)]
    # Those whose crest is past their root, and those that all but have none: 9 b^2 = 32 c.
    grid += [(b, c) for b in np.linspace(-0.6, 0.6, 13) for c in np.linspace(-0.06, 0.06, 7)]
    grid += [(b, b * b * 9 / 32 * share) for b in (-2.0, -1.5, -1.0) for share in (0.991, 1.009)]
    known = [(b, c, first_root(b, c)) for b, c in grid]
    b, c, x = np.array([case for case in known if case[2] is not None]).T
    assert len(x) > 650
    assert 250 < (x == 1).sum() < 400
    target, second = 0.7, np.linspace(0.5, 9, len(x))
    closed = np.sqrt(target / second)
    third, fourth = b * second / closed, 12 / 7 * c * second / closed**2
    found = rule.cumulant_gamma(second, third, fourth, target)
    # Newton's last step squares an error below 1e-6; a slope near 0 multiplies its square by fifty.
    np.testing.assert_allclose(found, closed * x, rtol=1e-9)
    for k in range(0, len(x), 29):
        alone = rule.cumulant_gamma(second[k], third[k], fourth[k], target)
        assert alone == pytest.approx(found[k], rel=1e-14, abs=0)


def test_the_cumulants_are_those_of_the_sample():
    log_w = np.random.default_rng(0).gamma(9.0, 0.4, 500)
    k2, k3, k4 = (np.mean((log_w - log_w.mean()) ** k) for k in (2, 3, 4))
    gamma = gamma_star(log_w, 0.3, method="cumulant")
    series = k2 * gamma**2 + k3 * gamma**3 + 7 / 12 * (k4 - 3 * k2**2) * gamma**4
    assert series == pytest.approx(-math.log(0.3), rel=1e-12, abs=0)
    assert gamma != pytest.approx(gamma_star(log_w, 0.3, method="lognormal"), rel=1e-3)
    batch = gamma_star(np.array([log_w, 2 * log_w, log_w + 5]), 0.3, method="cumulant")
    np.testing.assert_allclose(batch, [gamma, gamma / 2, gamma], rtol=1e-12)


@pytest.mark.parametrize("rho_min", [0.05, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("spread", [0.3, 7.0, 1e4])
def test_no_sample_of_its_range_falls_short_at_the_safe_gamma(rho_min, spread):
    with mpmath.workdps(30):
        expected = float(2 * mpmath.acosh(mpmath.mpf(rho_min) ** -0.5) / spread)
    target = -math.log(rho_min)
    # The target is rounded, and is 1e-4 of the numbers that it is the difference of.
    close = 8 * DOUBLE * (1 + 1 / (1 - rho_min))
    assert rule.safe_gamma(spread, target) == pytest.approx(expected, rel=close, abs=0)
    by_row = solver._safe_gamma_by_row(np.array([spread, 0.0, 1.0]), np.array([target, 1.0, -1.0]))
    assert by_row[0] == pytest.approx(expected, rel=close, abs=0)
    assert by_row[1] == math.inf
    # Kantorovich's worst case has sums of w^2g that are alike at both ends of the range.
    share = 1 / (1 + math.exp(expected * spread))
    high = round(10**5 * share)
    if high:
        worst = np.r_[np.full(high, spread), np.zeros(10**5 - high)]
        assert ess_ratio(worst, expected) == pytest.approx(rho_min, rel=1e-4)
    for seed in range(5):
        log_w = np.random.default_rng(seed).uniform(0, spread, 50)
        assert ess_ratio(log_w, expected) >= rho_min


@pytest.mark.parametrize("n", [1, 7, 1 << 13, (1 << 14) - 1, 1 << 14, 3 * (1 << 13) + 5])
def test_a_long_dot_product_is_the_sum_of_its_products(n):
    left, right = np.random.default_rng(1).standard_normal((2, n))
    expected = math.fsum((left * right).tolist())
    # In blocks of 8,192 sums of n terms of order 1 lose some sqrt(n) roundings.
    assert vector._product(left, right) == pytest.approx(expected, abs=64 * math.sqrt(n) * DOUBLE)


@pytest.mark.parametrize("cores", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 12, 40, 1000])
def test_every_row_is_worked_on_once_in_its_place(cores, size, monkeypatch):
    monkeypatch.setattr(solver, "_cores", lambda: cores)
    rows = np.arange(60.0).reshape(15, 4)
    blocks = []

    def total(block):
        blocks.append(len(block))
        return block.sum(-1)

    found = solver._on_all_cores(rows, total, size)
    np.testing.assert_array_equal(found, rows.sum(-1))
    assert sum(blocks) == 15
    assert max(blocks) == min(15, -(-size // 4))
    assert len(solver._on_all_cores(rows[:0], total, size)) == 0


def test_cores_are_at_least_one(monkeypatch):
    assert solver._cores() >= 1
    monkeypatch.setattr(solver.os, "sched_getaffinity", lambda process: {0, 3, 8}, raising=False)
    assert solver._cores() == 3
    monkeypatch.delattr(solver.os, "sched_getaffinity", raising=False)
    for counted, cores in ((3, 3), (1, 1), (None, 1)):
        monkeypatch.setattr(solver.os, "cpu_count", lambda counted=counted: counted)
        assert solver._cores() == cores


def test_a_row_in_which_the_quick_way_is_not_sure_is_found_with_a_bracket(monkeypatch):
    rows = 3 * np.random.default_rng(2).standard_normal((40, 30))
    rows[::3, 0] = -math.inf
    expected = [gamma_star(row, method="exact") for row in rows]
    for cores in (1, 3):
        monkeypatch.setattr(solver, "_cores", lambda cores=cores: cores)
        np.testing.assert_allclose(gamma_star(rows, method="exact"), expected, rtol=1e-12)


def test_short_rows_go_the_quick_way(monkeypatch):
    # So many that they are more than two blocks of `quick`, in a batch of two axes.
    rows = 2 * np.random.default_rng(5).standard_normal((2, 20, 4000))
    expected = [[gamma_star(row, method="exact") for row in part] for part in rows]
    slow, true = [], solver._gamma_by_row

    def counted(rows, **how):
        slow.extend(rows)
        return true(rows, **how)

    monkeypatch.setattr(solver, "_gamma_by_row", counted)
    monkeypatch.setattr(solver, "_cores", lambda: 1)
    as_tensor = torch.tensor(rows, requires_grad=True)
    for given in (rows, as_tensor):
        found = gamma_star(given, method="exact")
        assert found.shape == (2, 20)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert slow == []
    found = gamma_star(rows, method="lognormal")
    assert found.shape == (2, 20)
    assert len(slow) == 40
    longer = np.concatenate([rows, rows], axis=-1)
    np.testing.assert_allclose(gamma_star(longer, method="exact"), expected, rtol=1e-12)
    assert len(slow) == 80


def test_which_vectors_may_go_the_quick_way():
    good = np.array([1.0, -2.0, 5.0])
    quick = vector.as_vector(good, "exact")
    assert quick.levels is good
    assert (quick.top, quick.spread) == (5.0, 7.0)
    assert vector.as_vector(good, "auto") is None
    for other in (
        [1.0, -2.0, 5.0],
        good.astype(np.float32),
        good[None],
        good[:0],
        np.ma.masked_array(good),
        torch.tensor(good),
        np.array([0.0, math.nan]),
        np.array([0.0, -math.inf]),
        np.array([0.0, math.inf]),
        np.array([0.0, 1e75]),
        np.array([1e290, 1e290]),
        np.array([-1e290, -1e290]),
    ):
        assert vector.as_vector(other, "exact") is None
    assert vector.as_vector(np.array([1e289, 1e289]), "exact").spread == 0
    assert vector.as_vector(np.array([0.0, 1e74]), "exact").spread == 1e74


@pytest.mark.parametrize("rho_min", [0.3, 0.95])
@pytest.mark.parametrize("method", rule.METHODS)
def test_rows_in_parts_have_the_gamma_of_the_whole(method, rho_min):
    rng = np.random.default_rng(3)
    rows = torch.tensor(rng.standard_normal((6, 21)) * rng.uniform(0.5, 4, (6, 1)))
    rows[1] = rows[1].abs() ** 1.5
    rows[2, [3, 17]] = -math.inf
    rows[3] = 2.0
    whole = solver.batch_gamma(rows, rho_min, method, 1.0, watch=False)

    def part(mine, over):
        return solver.batch_gamma(mine, rho_min, method, 1.0, watch=False, over=over)

    for edges in ((0, 8, 21), (0, 5, 5, 21)):
        for found in in_parts(part, rows, edges):
            # The order of 21 additions differs.
            np.testing.assert_allclose(found, whole, rtol=1e-12)
    alone = solver.batch_gamma(rows[2], rho_min, method, 1.0, watch=False)
    assert [float(found) for found in in_parts(part, rows[2], (0, 8, 21))] == [
        pytest.approx(float(alone), rel=1e-12, abs=0)
    ] * 2
    looked_at = solver.batch_gamma(rows, rho_min, method, 1.0, watch=True)
    np.testing.assert_allclose(looked_at, whole, rtol=1e-12)


@pytest.mark.parametrize("small", [False, True])
def test_the_deficit_and_its_slope_are_those_of_the_ess(small):
    rows = np.random.default_rng(4).standard_normal((3, 9)) * 2
    rows[1, 2:5] = -math.inf
    gamma = np.array([0.3, 0.7, 1.0])
    below = shifted(rows)
    zero = below == -math.inf
    levels, ones = np.where(zero, 0.0, below), np.where(zero, 0.0, 1.0)
    count = ones.sum(-1)

    def deficit(gamma):
        return solver._deficit(levels, ones, count, gamma, solver.WHOLE, small=small)

    found, slope = deficit(gamma)
    own = np.exp(scaled(rows, gamma[:, None]))
    ess = own.sum(-1) ** 2 / (own**2).sum(-1) / count
    np.testing.assert_allclose(found, -np.log(ess), rtol=1e-12)
    step = 1e-5
    rise = (deficit(gamma * math.exp(step))[0] - deficit(gamma * math.exp(-step))[0]) / (2 * step)
    # Central differences leave the square of the step.
    np.testing.assert_allclose(slope, rise, rtol=1e-8)

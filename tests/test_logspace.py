"""The few operations that all weights rest on: checked rows, sums in the log domain, parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from parts import in_parts
from scipy.special import logsumexp

from isr_theory import log_moment
from isr_theory.logspace import (
    checked_rows,
    log_sum_exp,
    on_host,
    plain,
    row_max,
    scaled,
    shifted,
)

BLOCK = np.random.default_rng(0).standard_normal((2, 3, 4))


@pytest.mark.parametrize("axis", [-3, -2, -1, 0, 1, 2])
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_any_axis_is_put_last(axis, kind):
    rows = checked_rows(kind(BLOCK), axis)
    np.testing.assert_array_equal(rows, np.moveaxis(BLOCK, axis, -1))


def test_weights_are_looked_at_unless_told_otherwise():
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="log_w"):
            checked_rows([bad])
        assert len(checked_rows([bad], validate=False)) == 1


def test_doubles_are_not_copied():
    for own in (BLOCK, torch.tensor(BLOCK)):
        assert np.shares_memory(checked_rows(own), own)


def test_only_a_tensor_of_doubles_in_memory_is_for_numpy():
    assert on_host(torch.zeros(2, dtype=torch.float64))
    assert not on_host(torch.zeros(2, dtype=torch.float32))
    assert not on_host(torch.zeros(2, dtype=torch.float64, device="meta"))
    assert not on_host(np.zeros(2))


def test_a_single_number_is_a_float_of_numpy_and_stays_a_tensor_of_torch():
    assert type(plain(np.float64(2))) is float
    assert type(plain(np.array(2.0))) is float
    assert isinstance(plain(torch.tensor(2.0)), torch.Tensor)
    assert isinstance(plain(np.zeros(1)), np.ndarray)


@pytest.mark.parametrize("level", [-2000.0, 0.0, 2000.0])
def test_a_sum_of_exponentials_at_any_level(level):
    terms = BLOCK + level
    np.testing.assert_allclose(log_sum_exp(terms), logsumexp(terms, axis=-1), rtol=1e-14)
    # Terms further apart than the largest float do not warn.
    assert log_sum_exp(np.array([1e308, -1e308])) == 1e308


def test_zero_stays_zero_at_every_exponent_and_what_is_no_weight_is_flagged():
    rows = np.array([2.0, -math.inf, math.inf, math.nan])
    for exponent in (-1.0, 0.0, 0.5, 1e308):
        expected = [2.0 * exponent, -math.inf, math.nan, math.nan]
        np.testing.assert_array_equal(scaled(rows, exponent), expected)


@pytest.mark.parametrize("alpha", [-3.0, -0.5, 0.0, 0.5, 3.0])
def test_a_batch_of_moments_is_that_of_its_rows(alpha):
    # What is smallest in one row is far from what is in another.
    rows = np.array([[0.0, 1.0, 3.0], [-900.0, -901.0, -905.0], [800.0, 800.0, 1e4]])
    expected = [logsumexp(alpha * row) - math.log(3) for row in rows]
    np.testing.assert_allclose(log_moment(rows, alpha), expected, rtol=1e-14, atol=1e-14)


def test_a_moment_of_negative_order_is_infinite_where_a_weight_is_zero_and_there_alone():
    rows = np.array([[0.0, -math.inf, 1.0], [0.0, 1.0, 2.0]])
    found = log_moment(rows, -1.0, validate=False)
    expected = logsumexp([0.0, -1.0, -2.0]) - math.log(3)
    np.testing.assert_allclose(found, [math.inf, expected], rtol=1e-14)
    # The largest weight to a negative power is the smallest: it must not set the scale.
    assert log_moment([1e308, 0.0], -2.0) == pytest.approx(-math.log(2), rel=1e-14)
    # 2e308 is past the largest float.
    assert log_moment([-1e308, 0.0], -2.0) == math.inf


@pytest.mark.parametrize("edges", [(0, 4, 9), (0, 0, 9), (0, 3, 3, 9)])
def test_rows_in_parts_are_shifted_by_what_is_largest_in_all_of_them(edges):
    rows = torch.tensor(np.random.default_rng(1).standard_normal((5, 9)))
    for largest in in_parts(row_max, rows, edges):
        assert torch.equal(largest, rows.amax(-1))
    assert torch.equal(torch.cat(in_parts(shifted, rows, edges), -1), shifted(rows))
    vector = rows[0]
    assert torch.equal(torch.cat(in_parts(shifted, vector, edges), -1), shifted(vector))

"""Summaries: the merge law, and that they answer as the sample itself does."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isr_theory import moments
from isr_theory.diagnose.bins import PART, WHOLE
from isr_theory.diagnose.cells import MISSING
from isr_theory.diagnose.records import Names
from isr_theory.diagnose.strata import (
    MOST_CELLS,
    MOST_NAMES,
    TooManyNamesError,
    merge_strata,
    stratify,
)
from isr_theory.diagnose.summary import Summary, merge, merge_all, summarise
from isr_theory.diagnostics import choose

DOUBLE = 2.0**-53
levels = st.floats(-1e4, 1e4) | st.floats(-30, 30) | st.just(-math.inf) | st.just(0.0)
batches = st.lists(levels, min_size=1, max_size=60).map(np.array)


def parts_of(log_w, cuts):
    return np.split(log_w, sorted(cut % (len(log_w) + 1) for cut in cuts))


def bin_error(found, order):
    """The relative error of a sum of w^order that the bins allow, as derived there."""
    return found.bins.grid.error(order, found.n)


def assert_same(one, other, log_w):
    """The same counts and largest weights; the same sums up to the rounding of their terms."""
    assert (one.n, one.positive) == (other.n, other.positive)
    np.testing.assert_array_equal(one.top, other.top)
    if one.bins is None:
        assert other.bins is None
        return
    assert one.bins.anchor == other.bins.anchor
    np.testing.assert_array_equal(one.bins.numbers, other.bins.numbers)
    np.testing.assert_array_equal(one.bins.sums[0, 0], other.bins.sums[0, 0])
    finite = log_w[np.isfinite(log_w)]
    # Offsets are rounded as log-weights are, then added, at most as often as a bin is widened.
    _, widths = one.bins.centres()
    unit = 20 * len(finite) * DOUBLE * (np.abs(finite).max() + widths.max())
    for power in (1, 2):
        off = np.abs(one.bins.sums[0, power] - other.bins.sums[0, power])
        assert (off <= unit * len(finite) * widths ** (power - 1)).all()
    reach = np.ptp(finite) + unit
    assert one.mean == pytest.approx(other.mean, rel=0, abs=unit)
    for power, (a, b) in enumerate(zip(one.powers, other.powers, strict=True), start=2):
        # A mean that is off by `unit` moves a sum of powers by power * n * reach^(power-1) * unit;
        # the rounding of the terms themselves is n^2 reach^power eps.
        slack = (
            len(finite) * reach ** (power - 1) * (power * unit + 8 * len(finite) * DOUBLE * reach)
        )
        assert a == pytest.approx(b, rel=0, abs=4 * slack)


@given(batches, st.lists(st.integers(0, 60), max_size=6), st.randoms(use_true_random=False))
def test_any_partition_in_any_order_is_the_whole(log_w, cuts, random):
    parts = [summarise(part, keep=5) for part in parts_of(log_w, cuts)]
    random.shuffle(parts)
    assert_same(merge_all(parts, keep=5), merge(summarise(log_w, keep=5), Summary(5)), log_w)


@given(batches, st.floats(0, 4))
def test_a_summary_knows_the_moments_of_its_sample(log_w, order):
    if not np.isfinite(log_w).any():
        return
    found, exact = summarise(log_w), moments.sample(log_w)
    # A sample leaves out a level common to all log-weights, and with it K that times the order.
    value = found.log_mean(np.array([order]))[0] - order * log_w.max()
    truth = exact.log_mean(np.array([order]))[0]
    # Beside the bins' error: levels of 1e4 times the order, rounded.
    rounding = 16 * DOUBLE * (1 + order * 1e4)
    assert value == pytest.approx(truth, rel=0, abs=2 * bin_error(found, order) + rounding)


def laws():
    rng = np.random.default_rng(7)
    n = 40_000
    return {
        "normal": 2 * rng.standard_normal(n) - 2,
        "wide": 40 * rng.standard_normal(n),
        "Pareto tail": 1.5 * rng.standard_exponential(n),
        "left": -3 * rng.standard_exponential(n),
        "zeros": np.where(rng.random(n) < 0.1, -np.inf, 3 * rng.standard_normal(n)),
        "low outlier": np.append(2 * rng.standard_normal(n), -9e3),
        "masked logits": np.append(2 * rng.standard_normal(n), [-1e9, -1e9]),
        "uniform": rng.uniform(-1500, 1500, n),
        "high outlier": np.append(rng.standard_normal(n), 1e5),
        "narrow": 1e-4 * rng.standard_normal(n) + 17,
    }


@pytest.mark.parametrize("name", laws())
def test_a_summary_answers_as_the_sample_does(name):
    log_w = laws()[name]
    found = merge_all(summarise(part) for part in np.array_split(log_w, 9))
    exact = moments.sample(log_w)
    for rho_min in (0.05, 0.3, 0.9):
        # Near its root log ESS falls by about twice the target where gamma doubles, so that the
        # error of gamma is that of the sums over the target, which is at least 0.1 here.
        error = 4 * bin_error(found, 2 * exact.exact_gamma(rho_min, 1.0)) / 0.1
        assert found.exact_gamma(rho_min, 1.0) == pytest.approx(
            exact.exact_gamma(rho_min, 1.0), rel=error + 1e-11
        )
    # A sample leaves out a level common to all log-weights.
    level = log_w.max()
    assert found.slope(1.0) - level == pytest.approx(exact.slope(1.0), rel=1e-4, abs=1e-6)
    for name in ("mean", "variance", "skewness", "kurtosis"):
        truth = getattr(exact.central, name)
        assert getattr(found.central, name) == pytest.approx(truth, rel=1e-9, abs=1e-9)
    kept = exact.top
    np.testing.assert_array_equal(found.top[-len(kept) :] - level, kept)
    assert choose(found).method == choose(exact).method


def test_values_beside_the_weights_are_averaged_with_them():
    rng = np.random.default_rng(3)
    log_w, reward = 2 * rng.standard_normal(5000), rng.standard_normal(5000)
    log_w[::50] = -np.inf
    parts = np.array_split(np.arange(5000), 4)
    found = merge_all(summarise(log_w[part], (reward[part], reward[part] ** 2)) for part in parts)
    for order in (0.0, 0.5, 1.0, 2.0):
        tilt = np.where(np.isfinite(log_w), np.exp(order * np.maximum(log_w, -1e3)), 0)
        truth = [1.0, tilt @ reward / tilt.sum(), tilt @ reward**2 / tilt.sum()]
        # Within a bin a weight changes by at most order * width, and is taken to the third power of
        # it; rewards are of order 1.
        np.testing.assert_allclose(found.tilted_means(order), truth, atol=1e-6)


@pytest.mark.parametrize("name", laws())
@pytest.mark.parametrize("order", [0.0, 1e-3, 0.1, 1.0, 2.0])
def test_the_bins_of_a_part_are_as_good_as_they_say(name, order):
    log_w = laws()[name]
    parts = (summarise(part, grid=PART) for part in np.array_split(log_w, 9))
    found, exact = merge_all(parts), moments.sample(log_w)
    value = found.log_mean(np.array([order]))[0]
    # A sample leaves out the level common to all its weights.
    level, deepest = log_w.max(), np.abs(log_w[np.isfinite(log_w)]).max()
    truth = exact.log_mean(np.array([order]))[0] + order * level
    rounding = 16 * DOUBLE * (1 + order * deepest)
    assert PART.error(order, len(log_w)) < 1e-4
    assert value == pytest.approx(truth, rel=0, abs=PART.error(order, len(log_w)) + rounding)


def test_bins_stay_few_and_fine_near_the_largest_whatever_the_range():
    log_w = -np.geomspace(1e-6, 1e12, 1_000_000)
    # 2,048 nats of 1/128, and thirty octaves of 4,096.
    assert len(summarise(log_w).bins.numbers) < 2**19
    # Forty octaves of 256.
    assert len(summarise(log_w, grid=PART).bins.numbers) < 12_000
    far = summarise(np.array([-1e12, 0.0, 3.0]))
    both = merge(far, summarise(np.array([1e-3, 1e9])))
    assert both.bins.sums[0, 0].sum() == 5
    _, widths = both.bins.centres()
    assert widths[-1] == WHOLE.width
    with pytest.raises(ValueError, match="beyond 1e"):
        summarise(np.array([0.0, 1e80]))


@given(batches, st.sampled_from([PART, WHOLE]))
def test_every_number_is_in_its_bin(log_w, grid):
    finite = log_w[np.isfinite(log_w)]
    if not len(finite):
        return
    found = summarise(finite, grid=grid).bins
    centres, widths = found.centres()
    assert (centres[:-1] + widths[:-1] / 2 <= centres[1:] - widths[1:] / 2).all()
    assert (finite < centres[-1] + widths[-1] / 2).all()
    place = np.searchsorted(centres - widths / 2, finite, side="right") - 1
    np.testing.assert_array_equal(np.bincount(place, minlength=len(centres)), found.sums[0, 0])
    near = 2 * (finite.max() - finite) / grid.octave
    assert (widths[place] <= np.maximum(grid.width, near)).all()


def test_a_number_falls_into_the_same_bin_whatever_the_others_are():
    # Far from the first bin a number just below a border must not be rounded across it.
    just_below = np.nextafter(0.0, -1.0)
    alone, among = summarise(np.array([just_below])), summarise(np.array([just_below, 2000.0]))
    below, _ = alone.bins.centres()
    assert below[0] == -WHOLE.width / 2
    assert among.bins.sums[0, 0, 0] == 1


def test_of_nothing_and_of_zeros_alone():
    assert merge(Summary(), Summary()).n == 0
    zeros = summarise(np.full(3, -np.inf))
    assert (zeros.n, zeros.positive, zeros.bins) == (3, 0, None)
    with pytest.raises(ValueError, match="nothing to sum"):
        zeros.slope(1.0)
    assert merge(zeros, summarise(np.array([1.0]))).positive == 1


def test_the_floor_leaves_out_only_what_is_not_among_the_largest():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal(100), rng.standard_normal(100)
    first = summarise(one, keep=20)
    spared = merge(first, summarise(other, keep=20, floor=first.top[0]))
    np.testing.assert_array_equal(spared.top, np.sort(np.concatenate([one, other]))[-20:])


def test_a_summary_can_be_sent_to_another_process():
    found = summarise(np.arange(10.0))
    found.log_mean(np.array([1.0]))
    again = pickle.loads(pickle.dumps(found))
    assert again.log_mean(np.array([0.5])) == found.log_mean(np.array([0.5]))


numbers = st.lists(st.floats(-1e3, 1e3) | st.integers(0, 40).map(float), min_size=1, max_size=80)


@given(numbers, st.lists(st.integers(0, 80), max_size=4), st.randoms(use_true_random=False))
def test_even_strata_are_the_same_by_any_way(steps, cuts, random):
    column = np.array(steps)
    log_w = np.linspace(-3, 3, len(column))
    pieces = [p for p in parts_of(np.arange(len(column)), cuts) if len(p)]
    random.shuffle(pieces)
    found = [stratify(log_w[p], column[p], octaves=False) for p in pieces]
    merged = found[0]
    for other in found[1:]:
        merged = merge_strata(merged, other)
    whole = stratify(log_w, column, octaves=False)
    assert merged.width == whole.width
    counts = [(label, cell.n) for label, cell in whole.labelled()]
    assert [(label, cell.n) for label, cell in merged.labelled()] == counts
    assert len(counts) <= MOST_CELLS
    assert sum(n for _, n in counts) == len(column)


def test_lengths_fall_into_octaves():
    length = np.array([1.0, 2, 3, 4, 7, 8, 1000])
    found = stratify(np.zeros(7), length, octaves=True)
    labels = [(label, cell.n) for label, cell in found.labelled()]
    assert labels == [
        ("1 to 2", 1),
        ("2 to 4", 2),
        ("4 to 8", 2),
        ("8 to 16", 1),
        ("512 to 1024", 1),
    ]


def test_what_is_missing_is_a_stratum_of_its_own():
    found = stratify(np.zeros(3), np.array([1.0, np.nan, 2.0]), octaves=False)
    assert [label for label, _ in found.labelled()] == ["1", "2", MISSING]


def test_names_are_kept_apart_and_too_many_are_an_error():
    names = Names(("b", "a", "not here"), np.array([0, 1, 0]))
    found = stratify(np.zeros(3), names, octaves=False)
    assert [(label, cell.n) for label, cell in found.labelled()] == [("a", 1), ("b", 2)]
    count = MOST_NAMES + 1
    many = Names(tuple(f"p{k}" for k in range(count)), np.arange(count))
    with pytest.raises(TooManyNamesError, match="different names"):
        stratify(np.zeros(count), many, octaves=False)
    halves = (many[: count // 2], many[count // 2 :])
    one, other = (stratify(np.zeros(len(half.place)), half, octaves=False) for half in halves)
    with pytest.raises(TooManyNamesError, match="different names"):
        merge_strata(one, other)


def test_a_column_is_of_one_kind():
    one = stratify(np.zeros(1), np.array([1.0]), octaves=False)
    other = stratify(np.zeros(1), Names(("x",), np.zeros(1, int)), octaves=False)
    with pytest.raises(ValueError, match="even in one file and name in another"):
        merge_strata(one, other)

"""Where algebra, differentiation and the joining of answers change their mind."""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction

import pytest
import sympy
from saying import HERE, says

from isr_theory.claim import Answer, Outcome, Strength, Witness
from isr_theory.engines import answers, neural, symbolic

X, Y = sympy.symbols("x y", positive=True)
HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED
PROOF, AGREEMENT, STATISTICAL = Strength.PROOF, Strength.AGREEMENT, Strength.STATISTICAL
IN_ORDER = (PROOF, AGREEMENT, STATISTICAL, Strength.EMPIRICAL)


@pytest.mark.parametrize(("strong", "weak"), list(itertools.combinations(IN_ORDER, 2)))
def test_a_conjunction_is_worth_its_weakest_part(strong, weak):
    parts = [Answer(HOLDS, weak, detail="a"), Answer(HOLDS, strong, detail="b")]
    for order in (parts, parts[::-1]):
        assert says(answers.all_of(order), HOLDS, weak)


def test_a_conjunction_says_each_thing_once():
    said = answers.all_of([Answer(HOLDS, PROOF, detail=words) for words in ("a", "b", "", "a")])
    assert said.detail.replace("b", "").count("a") == 1
    assert said.detail.startswith("a")
    assert said.detail.endswith("b")


@pytest.mark.parametrize(("worse", "better"), list(itertools.combinations(answers.WORST, 2)))
def test_a_conjunction_is_its_worst_part(worse, better):
    parts = [Answer(better, PROOF), Answer(worse, AGREEMENT, detail="1"), Answer(worse, PROOF)]
    assert answers.all_of(parts) is parts[1]


def test_nothing_follows_from_what_does_not_hold():
    nothing = answers.given(Answer(UNDECIDED, PROOF), Answer(HOLDS, STATISTICAL))
    assert says(nothing, UNDECIDED, STATISTICAL)


def test_the_generic_points_are_rational_distinct_and_in_the_unit_interval():
    symbols = sympy.symbols("s0:12")
    first, second = symbolic._generic_points(symbols)
    for point in (first, second):
        assert all(value.is_Rational and 0 < value < 1 for value in point.values())
        assert len(set(point.values())) == 12
    assert all(first[symbol] != second[symbol] for symbol in symbols)


def test_what_differs_fails_at_the_given_witness_or_at_the_point_found():
    assert says(symbolic.equal(X, -X), FAILS, PROOF, at=Witness.at(x="3/7"))
    assert says(symbolic.equal(X * Y, X + Y), FAILS, PROOF, at=Witness.at(x="3/7", y="5/13"))
    assert says(symbolic.equal(X, 2, witness=HERE), FAILS, PROOF, at=HERE)
    assert says(symbolic.limit(X, X, 0, 1, witness=HERE), FAILS, PROOF, at=HERE)
    assert says(symbolic.positive(-X), FAILS, PROOF, at=Witness.at(x="3/7"))
    assert says(symbolic.positive(X - 2 * Y - 5, witness=HERE), FAILS, PROOF, at=HERE)
    at_a_third = symbolic.equal(X, 1, points=[{X: Fraction(1, 3)}])
    assert says(at_a_third, FAILS, PROOF, at=Witness.at(x="1/3"))


@pytest.mark.parametrize("swap", [False, True])
def test_a_pole_is_passed_over(swap):
    sides = (1 / (X - 1), sympy.Integer(2))
    left, right = sides[::-1] if swap else sides
    failed = symbolic.equal(left, right, points=[{X: 1}, {X: 3}])
    assert says(failed, FAILS, PROOF, at=Witness.at(x=3))


def test_what_is_no_more_than_noise_is_no_counterexample():
    assert says(symbolic.equal(symbolic.NOISE, 0), UNDECIDED, PROOF)
    assert says(symbolic.positive(-symbolic.NOISE), UNDECIDED, PROOF)
    assert says(symbolic.compare(sympy.sqrt(2) / 10**30, ">", 0, witness=HERE), UNDECIDED, PROOF)
    small = sympy.Rational(1, 10**20)
    assert says(symbolic.equal(1 + small * X, 1), FAILS, PROOF)
    assert says(symbolic.equal(1 + small * sympy.sqrt(2), 1), FAILS, PROOF)
    assert says(symbolic.compare(small * sympy.sqrt(2), ">", 0, witness=HERE), HOLDS, PROOF)
    # More than noise, by less than 15 digits show.
    more = sympy.Rational(symbolic.NOISE) + sympy.sqrt(2) / 10**60
    assert says(symbolic.compare(more, ">", 0, witness=HERE), HOLDS, PROOF)


def test_equality_is_found_by_expanding_before_reducing():
    square = X**2 + 2 * X + 1
    assert says(symbolic.equal((X + 1) ** 2, square, reduce=lambda d: d), HOLDS, PROOF)
    assert says(symbolic.equal((X + 1) ** 2, square + 0 * Y, reduce=lambda d: d), HOLDS, PROOF)


def test_signs_that_algebra_sees_and_does_not_see():
    assert says(symbolic.positive(X + 1), HOLDS, PROOF)
    assert says(symbolic.positive(sympy.exp(X) - 1 - X), UNDECIDED, PROOF)


def test_limits_come_from_their_side():
    z = sympy.symbols("z", real=True)
    for side, value in {"+": 1, "-": -1}.items():
        assert symbolic.limit(sympy.Abs(z) / z, z, 0, value, direction=side).outcome is HOLDS
    assert symbolic.limit(sympy.Abs(z) / z, z, 0, 1).outcome is HOLDS


@pytest.mark.parametrize(
    ("relation", "outcome"), [("==", HOLDS), ("<=", HOLDS), (">=", HOLDS), ("<", FAILS)]
)
def test_a_constant_that_only_reduces_to_zero_is_zero(relation, outcome):
    one = sympy.cos(1) ** 2 + sympy.sin(1) ** 2
    assert says(symbolic.compare(one, relation, 1, witness=HERE), outcome, PROOF, at=HERE)


def test_a_complex_number_has_no_sign():
    assert says(symbolic.compare(sympy.I, "<", 1, witness=HERE), UNDECIDED, PROOF)


def test_short_fractions_are_shown_exactly_and_long_ones_to_twelve_digits():
    twelve, thirteen = sympy.Rational("12345/678901"), sympy.Rational("12345/6789011")
    for value in (twelve, sympy.Rational(1, 3)):
        assert str(value) in symbolic.compare(value, "<", 0, witness=HERE).witness.shows
    for value in (thirteen, sympy.sqrt(3)):
        shown = symbolic.compare(value, "<", 0, witness=HERE).witness.shows
        assert str(sympy.N(value, 12)) in shown
        assert str(sympy.N(value, 13)) not in shown
        assert "/" not in shown


def test_torch_is_found_without_being_imported(monkeypatch):
    assert neural.available()
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not neural.available()


def test_tensors_are_double_without_gradient_unless_asked():
    assert neural.torch().get_num_threads() == 1
    one = neural.tensor([Fraction(1, 3), (1, 2)][0])
    assert one.dtype == neural.torch().float64
    assert float(one) == 1 / 3
    assert not one.requires_grad
    assert neural.tensor([1, 2], requires_grad=True).requires_grad


@pytest.mark.parametrize(
    ("actual", "expected", "outcome"),
    [
        (1e-10, 0, HOLDS),
        (1.5e-10, 0, FAILS),
        # Relative to 1 + 1e6.
        (1e6 + 5e-5, 1e6, HOLDS),
        (1e6 + 2e-4, 1e6, FAILS),
        (float("nan"), 0, UNDECIDED),
    ],
)
def test_vectors_agree_to_ten_digits(actual, expected, outcome):
    for pair in (([actual], [expected]), ([0, actual], [0, expected])):
        tensors = [neural.tensor(values) for values in pair]
        for left, right in (pair, tensors):
            said = neural.close(left, right, witness=HERE)
            assert says(said, outcome, AGREEMENT, at=HERE if outcome is FAILS else None)
            if outcome is FAILS:
                assert ("(" in said.witness.shows) is (len(left) > 1)
                assert f"{float(expected):.8g}" in said.witness.shows


@pytest.mark.parametrize(
    ("left", "relation", "right", "outcome"),
    [
        (1e-10, ">", 0, UNDECIDED),
        (1.5e-10, ">", 0, HOLDS),
        (1e6 + 5e-5, ">", 1e6, UNDECIDED),
        (1e6 + 2e-4, ">", 1e6, HOLDS),
        (1, ">", 2, FAILS),
        (1, "<", 2, HOLDS),
        (2, "<", 1, FAILS),
        (1, "!=", 2, HOLDS),
    ],
)
def test_numbers_compare_outside_the_tolerance(left, relation, right, outcome):
    said = neural.compare(left, relation, right, witness=HERE)
    assert says(said, outcome, AGREEMENT, at=None if outcome is UNDECIDED else HERE)

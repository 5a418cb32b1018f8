"""Where the arithmetics meet their ends, and balls change their mind."""

from __future__ import annotations

import math
from fractions import Fraction

import flint
import pytest
from saying import HERE, says

from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Outcome, Strength, Witness
from isr_theory.engines import certified, neural

HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED
PROOF, AGREEMENT = Strength.PROOF, Strength.AGREEMENT
HALF, THREE = Fraction(1, 2), Fraction(3)
VALUES = {
    "exp": ((HALF,), math.exp(0.5)),
    "log": ((THREE,), math.log(3)),
    "sqrt": ((THREE,), math.sqrt(3)),
    "power": ((THREE, HALF), math.sqrt(3)),
    "sin": ((HALF,), math.sin(0.5)),
    "arccos": ((HALF,), math.pi / 3),
    "minimum": ((THREE, HALF), 0.5),
}


def as_float(value):
    return float(value[0] if isinstance(value, flint.arb_series) else value)


@pytest.mark.parametrize("m", [Exact, Ball, Jet, Real, Tensor], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("name", VALUES)
def test_every_arithmetic_computes_every_function(name, m):
    if (m, name) == (Jet, "minimum"):
        return
    arguments, expected = VALUES[name]
    # A few roundings of float64.
    lifted = getattr(m, name)(*map(m.number, arguments))
    assert as_float(lifted) == pytest.approx(expected, rel=1e-14)
    if name != "arccos":
        ones = getattr(m, name)(*[1] * len(arguments))
        assert as_float(ones) == pytest.approx(as_float(getattr(Real, name)(*[1] * len(arguments))))
    assert as_float(getattr(m, name)(*map(m.number, arguments[::-1]))) >= 0


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: Jet.exp(2 * x), lambda x: 2 * math.exp(2 * x)),
        (Jet.log, lambda x: 1 / x),
        (Jet.sqrt, lambda x: 0.5 / math.sqrt(x)),
        (lambda x: Jet.power(x, 3), lambda x: 3 * x * x),
        (lambda x: Jet.power(Jet.number("1/2"), x), lambda x: -math.log(2) * 0.5**x),
        (Jet.sin, math.cos),
        (Jet.arccos, lambda x: -1 / math.sqrt(1 - x * x)),
    ],
)
def test_jets_enclose_slopes(function, slope):
    with certified.precision():
        values = certified.derivatives(function, Ball.number("3/4"), 1)
    assert float(values[1]) == pytest.approx(slope(0.75), rel=1e-14)


def test_tensors_are_double_and_carry_gradients():
    assert Tensor.exp(1).dtype == neural.torch().float64
    assert neural.gradient(Tensor.exp, neural.tensor(0.5)) == pytest.approx(math.exp(0.5))


def test_a_power_of_zero_with_an_exponent_that_reaches_zero_is_unknown():
    assert Ball.power(0, flint.arb(0, 1).nonnegative_part()).is_nan()
    assert Ball.power(0, flint.arb(0.5, 0.25)) == 0


def test_digits_are_twelve_unless_asked_and_show_no_radius():
    with certified.precision():
        third = certified.ball("1/3")
    assert certified.digits(third) == "0." + 12 * "3"
    assert certified.digits(third, 5) == "0." + 5 * "3"


TINY = flint.arb(10) ** -30


@pytest.mark.parametrize(
    ("middle", "radius", "outcome"),
    [
        # Two such balls are 0.8 and 1.5 times 1e-30 wide together.
        (0, TINY * 0.4, HOLDS),
        (0, TINY * 0.75, UNDECIDED),
        # The tolerance grows with the values: 2e40 * 1e-30 = 2e10.
        (10**40, flint.arb(5e9), HOLDS),
        (10**40, flint.arb(2e10), UNDECIDED),
    ],
)
def test_agreement_is_to_thirty_digits(middle, radius, outcome):
    with certified.precision():
        one = flint.arb(middle, radius)
        assert says(certified.agree([one], [one], witnesses=[HERE]), outcome, AGREEMENT)
        exact = flint.arb(middle)
        both = certified.agree([one, exact], [one, exact], witnesses=[HERE, HERE])
    assert both.outcome is outcome


def test_agreement_says_at_how_many_points():
    one = flint.arb(1)
    for count in (1, 2, 3):
        said = certified.agree([one] * count, [one] * count, witnesses=[HERE] * count)
        assert f"{count} point" in said.detail
        assert ("points" in said.detail) is (count > 1)


def test_disjoint_balls_fail_at_the_witness_of_their_pair():
    one, there = flint.arb(1), Witness.at(u=2)
    failed = certified.agree([one, one], [one, one + 1], witnesses=[HERE, there])
    assert says(failed, FAILS, PROOF, at=there)
    with pytest.raises(ValueError, match="zip"):
        certified.agree([one], [one, one], witnesses=[HERE])


@pytest.mark.parametrize(
    ("relation", "outcome"),
    [("<", UNDECIDED), (">", UNDECIDED), ("!=", UNDECIDED), ("==", UNDECIDED), ("<=", HOLDS)],
)
def test_equal_exact_balls_decide_only_what_includes_equality(relation, outcome):
    one = flint.arb(1)
    assert says(certified.compare(one, relation, one, witness=HERE), outcome, PROOF)


def test_decided_comparisons_show_both_balls():
    for relation, outcome in {"<": HOLDS, ">": FAILS}.items():
        assert says(certified.compare(1, relation, 2, witness=HERE), outcome, PROOF, at=HERE)


def at(x):
    return Witness.at(x=x)


def sign(function, box, positive, max_boxes=64):
    """Prove a sign, or break where more is evaluated than the budget can explain."""
    calls = []

    def counted(x):
        calls.append(x)
        assert len(calls) <= 2 * max_boxes + 6
        return flint.arb(function(x))

    with certified.precision():
        return certified.sign_on(counted, box, positive=positive, witness=at, max_boxes=max_boxes)


SIGNS = [
    (lambda x: x * x + 1, (-3, 3), True, HOLDS, None),
    (lambda x: -x * x - 1, (-3, 3), False, HOLDS, None),
    (lambda x: x, (0, 1), True, UNDECIDED, None),
    (lambda x: x, (-2, 1), True, FAILS, at(Fraction(-1, 2))),
    (lambda x: x, (-1, 2), False, FAILS, at(Fraction(1, 2))),
    # Zero has neither sign, and no midpoint has the other one.
    (lambda x: 0, (0, 1), True, UNDECIDED, None),
    (lambda x: 0, (0, 1), False, UNDECIDED, None),
    (lambda x: 1 - x, (0, 1), True, UNDECIDED, None),
    # Negative below 3/10 alone, so the other half must not make it forgotten.
    (lambda x: x * x - x * Ball.number("3/10"), (0, 1), True, FAILS, at(Fraction(1, 4))),
]


@pytest.mark.parametrize(("function", "box", "positive", "outcome", "witness"), SIGNS)
def test_signs_on_boxes(function, box, positive, outcome, witness):
    said = sign(function, box, positive)
    assert says(said, outcome, PROOF, at=witness)
    if outcome is HOLDS:
        assert ("positive" in said.detail, "negative" in said.detail) == (positive, not positive)


def test_a_split_needs_a_budget():
    def halves(x):
        return x * x - x + 1  # its ball over [0, 1] reaches 0, those over both halves do not

    assert sign(halves, (0, 1), True, max_boxes=0).outcome is UNDECIDED
    assert sign(halves, (0, 1), True, max_boxes=1).outcome is HOLDS


def test_the_derivatives_of_a_constant_are_zero_and_the_cap_is_given_back():
    before = flint.ctx.cap
    with certified.precision():
        assert certified.derivatives(lambda x: Ball.number(5), Ball.number(1), 2) == [5, 0, 0]
        assert certified.derivatives(lambda x: 5, Ball.number(1), 0) == [5]
    with pytest.raises(ValueError, match="not differentiable"):
        certified.derivatives(lambda x: Jet.minimum(x, x), Ball.number(1), 3)
    assert flint.ctx.cap == before


@pytest.mark.parametrize("direction", [1, -1])
def test_roots_need_a_strict_change_of_sign(direction):
    def found(function):
        with certified.precision():
            tenth = Ball.number(Fraction(direction, 10))
            return certified.root(lambda x: tenth * function(x), Fraction(0), Fraction(2))

    root = found(lambda x: x * x - 2)
    assert root.overlaps(flint.arb(2).sqrt())
    # 110 halvings of an interval of length 2.
    assert 2 * float(root.rad()) == pytest.approx(2.0**-109, rel=1e-6, abs=0)
    for same_sign in (lambda x: x * x + 1, lambda x: x, lambda x: x - 2):
        assert found(same_sign) is None
    # Where the balls do not tell the sign, no root may be cut off.
    for wide in (found(lambda x: x - 1), found(lambda x: x - 1 + flint.arb(0, 0.25))):
        assert wide.contains(flint.arb(1))
    assert found(lambda x: x - 1 + flint.arb(0, 0.25)).contains(flint.arb(1, 0.2))


@pytest.mark.parametrize(("growth", "edge"), [(1, 40), (10, 40), (11, 44), (12, 48)])
@pytest.mark.parametrize("constant", [1, 3])
def test_what_the_integral_leaves_out_is_added_as_a_radius(growth, edge, constant):
    with certified.precision():
        given = {} if constant == 1 else {"constant": constant}
        zero = certified.gaussian_expectation(lambda z: 0 * z, growth=growth, **given)
    left_out = 2 * constant * 2 / edge * math.exp(-edge * edge / 4) / math.sqrt(2 * math.pi)
    assert zero.mid() == 0
    # Radii keep 30 bits and are rounded up.
    assert 1 <= float(zero.rad()) / left_out <= 1 + 1e-8

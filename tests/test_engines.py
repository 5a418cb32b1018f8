"""Each engine says HOLDS, FAILS and UNDECIDED where it should, and nothing else."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy

from isr_theory.arithmetic import Ball, Jet
from isr_theory.claim import Answer, Outcome, Strength, Witness
from isr_theory.engines import certified, montecarlo, neural, symbolic
from isr_theory.engines.answers import all_of, given

X = sympy.symbols("x", positive=True)
HERE = Witness.at(x=Fraction(1, 3))
HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED


def test_symbolic_equality():
    assert symbolic.equal(sympy.sin(X) ** 2 + sympy.cos(X) ** 2, 1).outcome is HOLDS
    failed = symbolic.equal(sympy.exp(X), 1 + X)
    assert failed.outcome is FAILS
    assert failed.witness is not None
    assert failed.witness.point == (("x", "3/7"),)
    # Equal as functions, but `expand` alone cannot see it: no verdict rather than a wrong one.
    stuck = symbolic.equal(sympy.sin(X) ** 2 + sympy.cos(X) ** 2, 1, reduce=sympy.expand)
    assert stuck.outcome is UNDECIDED


def test_a_tiny_positive_number_is_not_a_counterexample():
    assert symbolic.positive(sympy.exp(-100) * X).outcome is HOLDS
    assert symbolic.positive(X - X).outcome is FAILS


def test_symbolic_sign_limit_and_comparison():
    assert symbolic.positive(X + 1 / X).outcome is HOLDS
    assert symbolic.positive(X - 1).outcome is FAILS
    assert symbolic.limit(sympy.sin(X) / X, X, 0, 1).outcome is HOLDS
    assert symbolic.limit(sympy.sin(X) / X, X, 0, 2).outcome is FAILS
    assert symbolic.compare(sympy.sqrt(2), "<", sympy.Rational(3, 2), witness=HERE).outcome is HOLDS
    assert symbolic.compare(sympy.sqrt(2), ">=", 2, witness=HERE).outcome is FAILS
    assert symbolic.compare(sympy.sqrt(8), "==", 2 * sympy.sqrt(2), witness=HERE).outcome is HOLDS
    assert symbolic.compare(sympy.oo, "<", 1, witness=HERE).outcome is FAILS


@pytest.mark.parametrize("relation", ["==", "!=", "<", ">", "<=", ">="])
@pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 1), (1, 1)])
def test_comparisons_agree_with_integers(relation, a, b):
    truth = {"==": a == b, "!=": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}
    exact = symbolic.compare(a, relation, b, witness=HERE)
    assert exact.outcome is (HOLDS if truth[relation] else FAILS)
    balls = certified.compare(flint.arb(a), relation, flint.arb(b), witness=HERE)
    # Balls never prove equality, and equal exact balls never prove a difference.
    decided = relation in ("<", ">", "<=", ">=", "!=") or a != b
    if decided and not (relation in ("<", ">", "!=") and a == b):
        assert balls.outcome is (HOLDS if truth[relation] else FAILS)


def test_balls_agree_differ_or_are_too_wide():
    third = Ball.number("1/3")
    with certified.precision():
        third = Ball.number("1/3")
        assert certified.agree([third], [1 - 2 * third], witnesses=[HERE]).outcome is HOLDS
        assert certified.agree([third], [third + 1], witnesses=[HERE]).outcome is FAILS
        wide = flint.arb(0.5, 0.4)
        assert certified.agree([third], [wide], witnesses=[HERE]).outcome is UNDECIDED
        assert certified.compare(third, "<", wide, witness=HERE).outcome is UNDECIDED


def test_signs_on_boxes():
    def at(x):
        return Witness.at(x=x)

    with certified.precision():
        proved = certified.sign_on(lambda x: x * x + 1, (-3, 3), positive=True, witness=at)
        assert (proved.outcome, proved.strength) == (HOLDS, Strength.PROOF)
        failed = certified.sign_on(lambda x: x, (-1, 2), positive=True, witness=at)
        assert failed.outcome is FAILS
        # Zero on the box: neither sign is strict there, and bisection must give up, not guess.
        touching = certified.sign_on(lambda x: x, (0, 1), positive=True, witness=at, max_boxes=64)
        assert touching.outcome is UNDECIDED


def test_derivatives_are_enclosed():
    with certified.precision():
        values = certified.derivatives(lambda x: Jet.exp(3 * x), Ball.number("1/2"), 3)
        truth = Ball.exp(Ball.number("3/2"))
        for order, value in enumerate(values):
            assert value.overlaps(truth * 3**order)
            assert value.rad() < 1e-40
        assert certified.derivatives(lambda x: Ball.number(5), Ball.number(1), 2)[1].is_zero()


def test_what_a_division_made_unknown_is_not_zero():
    with certified.precision():
        # x e^x / x = e^x, but the quotient of series that vanish at 0 has lost its last term.
        values = certified.derivatives(lambda x: x * Jet.exp(x) / x, Ball.number(0), 2)
    assert values[0].overlaps(flint.arb(1))
    assert values[2].is_nan()


def test_powers_of_a_zero_ball_do_not_reach_past_their_jump():
    assert Ball.power(flint.arb(0), flint.arb(2)).is_zero()
    assert Ball.power(flint.arb(0), flint.arb(-1)).is_nan()
    assert Ball.power(flint.arb(0), flint.arb(0, 1)).is_nan()


def test_nothing_compared_is_not_an_agreement():
    with pytest.raises(ValueError, match="nothing compared"):
        certified.agree([], [], witnesses=[])


def test_a_conclusion_needs_its_premise():
    assert given(answer(HOLDS), answer(FAILS)).outcome is FAILS
    assert given(answer(FAILS), answer(FAILS)).outcome is UNDECIDED


def test_roots_are_isolated():
    with certified.precision():
        root = certified.root(lambda x: x * x - 2, Fraction(1), Fraction(2))
        assert root is not None
        assert root.overlaps(flint.arb(2).sqrt())
        assert root.rad() < 1e-30
        assert certified.root(lambda x: x * x + 1, Fraction(0), Fraction(1)) is None
        # A root that bisection hits exactly is that point, and not the bracket around it.
        assert certified.root(lambda x: x - 1, Fraction(0), Fraction(2)) == 1


def test_gaussian_expectations_contain_the_truth():
    with certified.precision():
        second = certified.gaussian_expectation(lambda z: z * z, growth=1, constant=2)
        assert second.overlaps(flint.arb(1))
        tilted = certified.gaussian_expectation(lambda z: (3 * z).exp(), growth=3)
        assert tilted.overlaps((flint.arb(9) / 2).exp())
        assert tilted.rad() < 1e-20


def answer(outcome, strength=Strength.PROOF):
    return Answer(outcome, strength)


def test_a_conjunction_is_its_worst_part_and_its_weakest_strength():
    weak = answer(HOLDS, Strength.STATISTICAL)
    assert all_of([answer(HOLDS), weak]).strength is Strength.STATISTICAL
    assert all_of([answer(HOLDS), answer(UNDECIDED), answer(FAILS)]).outcome is FAILS
    assert all_of([answer(FAILS), answer(Outcome.ERROR)]).outcome is Outcome.ERROR
    with pytest.raises(ValueError, match="nothing checked is not a pass"):
        all_of([])


def trial(**changes):
    settings = {"root": 1, "claim": "X.1", "check": "a check", "resolution": 0.1, **changes}
    return montecarlo.Trial(**settings)


def uniform(rng, n):
    return rng.random(n)


def test_an_interval_is_as_wide_as_the_resolution():
    interval = trial(resolution=0.02).mean("uniform", uniform, 0, 1)
    assert interval.width == pytest.approx(0.02, rel=1e-4)
    assert interval.low < 0.5 < interval.high


def test_streams_depend_on_names_alone():
    first = trial().mean("uniform", uniform, 0, 1)
    assert trial().mean("uniform", uniform, 0, 1) == first
    assert trial(check="another").mean("uniform", uniform, 0, 1) != first
    assert trial(root=2).mean("uniform", uniform, 0, 1) != first
    both = trial(looks=2)
    both.mean("something else", uniform, 0, 1)
    # With two looks each has half of alpha and so another n: compare like with like.
    alone = trial(looks=2)
    assert both.mean("uniform", uniform, 0, 1) == alone.mean("uniform", uniform, 0, 1)


def test_variants_meet_the_same_numbers_and_count_their_own_looks():
    one = trial()
    kept = one.mean("uniform", uniform, 0, 1)
    with pytest.raises(ValueError, match="looks=1"):
        one.mean("a second", uniform, 0, 1)
    again = one.again()
    assert again.mean("uniform", lambda rng, n: 1 / 0, 0, 1) == kept


def test_what_leaves_its_bounds_or_needs_too_much_is_refused():
    with pytest.raises(ValueError, match="left its bounds"):
        trial().mean("uniform", uniform, 0, 0.5)
    with pytest.raises(ValueError, match="widen the resolution"):
        trial(resolution=1e-5).mean("uniform", uniform, 0, 1)


def test_agreement_needs_a_narrow_interval():
    mine = trial()
    interval = mine.mean("uniform", uniform, 0, 1)
    assert mine.agrees(interval, 0.5, witness=HERE).outcome is HOLDS
    assert mine.agrees(interval, 0.7, witness=HERE).outcome is FAILS
    assert mine.agrees(interval * 3, 1.5, witness=HERE).outcome is UNDECIDED
    assert mine.below(interval, 0.9, witness=HERE).outcome is HOLDS
    assert mine.below(interval, 0.1, witness=HERE).outcome is FAILS
    assert mine.below(interval, 0.5, witness=HERE).outcome is UNDECIDED
    assert mine.above(interval, 0.1, witness=HERE).outcome is HOLDS


def test_hoeffding_covers_at_its_rate_and_a_narrowed_bound_is_caught():
    # 4,000 null runs on the extremal law, a fair coin, at alpha = 0.05: Hoeffding's misses are at
    # most alpha, and a bound at half the width must miss far more often.
    runs, alpha, n = 4000, 0.05, 64
    half = np.sqrt(np.log(2 / alpha) / (2 * n))
    means = np.random.default_rng(3).integers(0, 2, (runs, n)).mean(axis=1)
    # Binomial(4000, 0.05) exceeds 200 + 6 sd, 283, with probability below 1e-8.
    assert (np.abs(means - 0.5) > half).sum() <= 283
    assert (np.abs(means - 0.5) > half / 2).sum() > 283


def test_intervals_contain_every_result_of_their_points():
    a, b = montecarlo.Interval(1, 2), montecarlo.Interval(-1, 3)
    assert a + b == montecarlo.Interval(0, 5)
    assert a - b == montecarlo.Interval(-2, 3)
    assert a * b == montecarlo.Interval(-2, 6)
    assert b / a == montecarlo.Interval(-1, 3)
    assert (a / b).width == np.inf


def test_gradients_and_their_comparison():
    at = neural.tensor([1, 2])
    slope = neural.gradient(lambda v: (v**3).sum(), at)
    assert neural.close(slope, [3, 12], witness=HERE).outcome is HOLDS
    assert neural.close(slope, [3, 12.001], witness=HERE).outcome is FAILS
    for odd in ("nan", "inf"):
        assert neural.close([float(odd)], [0], witness=HERE).outcome is UNDECIDED
        assert neural.close([1, 2], [float(odd), 7], witness=HERE).outcome is UNDECIDED
    assert neural.hessian(lambda v: (v**3).sum(), at)[1, 1] == pytest.approx(12)
    assert neural.compare(1, "<", 2, witness=HERE).outcome is HOLDS
    assert neural.compare(2, "<", 1, witness=HERE).outcome is FAILS
    assert neural.compare(1, "<", 1 + 1e-14, witness=HERE).outcome is UNDECIDED
    with pytest.raises(ValueError, match="compares"):
        neural.close([1, 2], [1], witness=HERE)

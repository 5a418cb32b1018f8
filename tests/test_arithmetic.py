"""One formula means the same in every arithmetic."""

from __future__ import annotations

from fractions import Fraction

import flint
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from isr_theory import formulas, models
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.engines import certified

LAWS = [models.TWO_ARMS, models.THREE_ARMS, models.RARE_ARM, models.UNIFORM_POLICY]
FINITE = {
    "bias": lambda mu, pi, r, g, m: formulas.bias(mu, pi, g, m),
    "kl": lambda mu, pi, r, g, m: formulas.kl(mu, pi, m),
    "fixed point": lambda mu, pi, r, g, m: formulas.fixed_point(mu, r, g, m)[0],
    "gradient": lambda mu, pi, r, g, m: formulas.reshaped_gradient(mu, pi, r, g, m)[1],
    "Fisher-Rao": lambda mu, pi, r, g, m: formulas.fisher_rao_path(mu, pi, g, m)[0],
    "rule": lambda mu, pi, r, g, m: formulas.gamma_lognormal(2 + g, g, m),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", FINITE)
def test_arithmetics_agree(name, law):
    gamma = Fraction(2, 5)
    values = {}
    with certified.precision():
        for m in (Exact, Ball, Real, Tensor):
            values[m] = FINITE[name](*law.numbers(m), m.number(gamma), m)
        exact = float(sympy.N(values[Exact], 25))
        assert abs(values[Ball] - flint.arb(str(sympy.N(values[Exact], 40)))) < 1e-35
    assert values[Real] == pytest.approx(exact, rel=1e-12)
    assert float(values[Tensor]) == pytest.approx(exact, rel=1e-12)


def test_powers_of_zero():
    for m in (Exact, Ball, Real, Tensor):
        assert float(m.power(m.number(0), m.number(0))) == 1
        assert float(m.power(m.number(0), m.number("1/2"))) == 0


def test_jets_have_no_minimum():
    with pytest.raises(ValueError, match="not differentiable"):
        Jet.minimum(1, 2)


@given(st.fractions(min_value=Fraction(1, 50), max_value=50), st.fractions(0, 1))
def test_balls_contain_floats(x, y):
    with certified.precision():
        ball = Ball.power(Ball.number(x), Ball.number(y))
    # A float64 power is within two ulps of the truth.
    assert abs(float(ball.mid()) - float(x) ** float(y)) <= 1e-13 * (1 + float(ball.mid()))

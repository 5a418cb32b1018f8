"""A ledger of one's own: one true and one false claim about means, judged by the same engines.

python -m isr_theory.verify all --ledger docs/own_claims.py
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory.arithmetic import Ball, Exact
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.spaces import plain

X, Y = sympy.symbols("x y", positive=True)


def gap(a: Any, b: Any, m: Any) -> Any:
    """Arithmetic mean less geometric mean."""
    return (a + b) / 2 - m.sqrt(a * b)


AM_GM = Draft(
    "MEANS.1",
    section="example",
    kind=Kind.IDENTITY,
    title=Text("AM less GM is half a squared difference of roots", "算术平均减几何平均的恒等式"),
    finding=Text(
        "True, so the arithmetic mean is never the smaller.", "成立，故算术平均不小于几何平均。"
    ),
    statement=r"\tfrac{a+b}{2} - \sqrt{ab} = \tfrac12(\sqrt a - \sqrt b)^2",
    subject=gap,
    expect=Verdict.VERIFIED,
)


@AM_GM.symbolic(Scope("all a, b > 0, written as squares", whole=True))
def _(gap: Any) -> Answer:
    """Expansion of the square, with a = x^2 and b = y^2."""
    return symbolic.equal(gap(X**2, Y**2, Exact), (X - Y) ** 2 / 2)


@AM_GM.certified(Scope("two points"))
def _(gap: Any) -> Answer:
    """Balls at (2, 3) and (1, 1/5)."""
    points = [(Fraction(2), Fraction(3)), (Fraction(1), Fraction(1, 5))]
    pairs = [(Ball.number(a), Ball.number(b)) for a, b in points]
    squares = [(Ball.sqrt(a) - Ball.sqrt(b)) * (Ball.sqrt(a) - Ball.sqrt(b)) / 2 for a, b in pairs]
    return certified.agree(
        [gap(a, b, Ball) for a, b in pairs],
        squares,
        witnesses=[Witness.at(a=a, b=b) for a, b in points],
    )


@AM_GM.wrong("no half")
def _(a: Any, b: Any, m: Any) -> Any:
    return a + b - m.sqrt(a * b)


@AM_GM.wrong("no root")
def _(a: Any, b: Any, m: Any) -> Any:
    return (a + b) / 2 - a * b


@AM_GM.wrong("plus for minus")
def _(a: Any, b: Any, m: Any) -> Any:
    return (a + b) / 2 + m.sqrt(a * b)


def harmonic_gap(a: Any, b: Any, m: Any) -> Any:
    """Harmonic mean less geometric mean."""
    return 2 * a * b / (a + b) - m.sqrt(a * b)


HM_GM = Draft(
    "MEANS.2",
    section="example",
    kind=Kind.INEQUALITY,
    title=Text("HM is at least GM", "调和平均不小于几何平均"),
    finding=Text("False: at (1, 4) it is 8/5 against 2.", "不成立：在 (1, 4) 处为 8/5 对 2。"),
    statement=r"\tfrac{2ab}{a+b} \ge \sqrt{ab}",
    subject=harmonic_gap,
    expect=Verdict.REFUTED,
)
ONE_FOUR = Witness.at(a=1, b=4)


@HM_GM.symbolic(Scope("the witness"))
def _(harmonic_gap: Any) -> Answer:
    """Exact rationals."""
    difference = harmonic_gap(sympy.Integer(1), sympy.Integer(4), Exact)
    return symbolic.compare(difference, ">=", 0, witness=ONE_FOUR)


@HM_GM.certified(Scope("the witness"))
def _(harmonic_gap: Any) -> Answer:
    """Balls."""
    difference = harmonic_gap(Ball.number(1), Ball.number(4), Ball)
    return certified.compare(difference, ">=", Ball.number(0), witness=ONE_FOUR)


@HM_GM.margin(plain(a=("1/4", "4"), b=("1/4", "4")))
def _(harmonic_gap: Any, case: Any, m: Any) -> Any:
    return harmonic_gap(m.number(case["a"]), m.number(case["b"]), m)


CLAIMS = frozen(AM_GM, HM_GM)

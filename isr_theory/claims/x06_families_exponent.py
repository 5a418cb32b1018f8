"""Past section 4: the local exponent of a reshaping function, and why w^gamma stands apart.

The local exponent of f at w is d log f / d log w: the gamma that f has there. It is constant for
w^gamma alone, up to scale, and that is to say that f(a b) f(1) = f(a) f(b).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.moving import W
from isr_theory.claims.x06_families import power_mean
from isr_theory.claims.x06_families_named import MATCHED, VESPO_NAMES, shrunk
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

A, B, P, Q = sympy.symbols("a b p q", positive=True)

Member = Callable[[Number, Number, Number, Arithmetic], Number]
"""A function of w and two parameters p and q, over an arithmetic."""

# In each p and q are the family's own: gamma; the share and s; the share; lambda; c; k and lambda.
WEIGHTS: dict[str, Member] = {
    "power": lambda w, p, q, m: m.power(w, p),
    "power mean": power_mean,
    "sub-Gaussian": lambda w, p, q, m: w / (1 - p + p * w),
    "DRos": lambda w, p, q, m: shrunk(w, p, m),
    "LUFFY": lambda w, p, q, m: MATCHED.weight(w, p),
    "VESPO": lambda w, p, q, m: VESPO_NAMES.weight(w, p, q, m),
}
EXPONENTS: dict[str, Member] = {
    "power": lambda w, p, q, m: p,
    "power mean": lambda w, p, q, m: (1 - p) * m.power(w, q) / ((1 - p) * m.power(w, q) + p),
    "sub-Gaussian": lambda w, p, q, m: (1 - p) / (1 - p + p * w),
    "DRos": lambda w, p, q, m: (1 - p * w * w) / (1 + p * w * w),
    "LUFFY": lambda w, p, q, m: (p - w) / (p + w),
    "VESPO": lambda w, p, q, m: p - q * w,
}

EXPONENT = Draft(
    "FAM.exponent",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The local exponent, constant for w^gamma alone", "局部指数：仅 w^γ 为常数"),
    finding=Text(
        "Each rival is w^gamma with a gamma that varies with w, and changes sign for DRos, LUFFY "
        "and VESPO; for w^gamma alone a constant factor on w is only a step size.",
        "各竞争形式等价于 γ 随 w 变化的 w^γ，DRos、LUFFY 与 VESPO 的 γ 甚至变号；"
        "唯有 w^γ 中 w 的常数因子只改变步长。",
    ),
    statement=r"\frac{d\log f}{d\log w} \equiv \gamma \iff f(w) = f(1) w^\gamma"
    r" \iff f(ab) f(1) = f(a) f(b);\quad \gamma(w) = \tfrac{1-l}{1-l+lw},"
    r"\ \tfrac{1 - l w^2}{1 + l w^2},\ \tfrac{c - w}{c + w},\ k - l w",
    subject=EXPONENTS,
    expect=Verdict.VERIFIED,
    uses=("FAM.power", "FAM.luffy.fix", "FAM.dros", "FAM.vespo"),
    sharpens=("D4.1", "D1.1"),
    source="new here; the functional equation is Cauchy's",
    reading="f positive and differentiable on w > 0; the exponents listed are those of the "
    "sub-Gaussian weight, DRos, LUFFY's gradient weight and VESPO, and of the power mean "
    "(1-l) w^s/((1-l) w^s + l)",
)
# A share that is in (0, 1) for every p > 0; elsewhere any positive p.
SHARED = ("power mean", "sub-Gaussian")


@cache
def exact_exponents() -> dict[str, Any]:
    """Return w f'(w)/f(w) of every member, by calculus."""
    first = {name: 1 / (1 + P) if name in SHARED else P for name in WEIGHTS}
    weights = {name: f(W, first[name], Q, Exact) for name, f in WEIGHTS.items()}
    return {name: W * sympy.diff(f, W) / f for name, f in weights.items()}


@cache
def constant_alone() -> tuple[Answer, ...]:
    """Prove that a constant exponent, w^gamma and the functional equation are one.

    In x = log w and F = log f, the functional equation is F(x + y) + F(0) = F(x) + F(y): its slope
    in y at 0 says that F' is constant. What has a constant exponent solves w f' = gamma f, whose
    solutions are C w^gamma; and C w^gamma satisfies the equation.
    """
    y, p = sympy.symbols("y p", real=True)
    f, line = sympy.Function("f"), sympy.symbols("F0 F1", real=True)
    solved = sympy.dsolve(W * f(W).diff(W) - p * f(W), f(W)).rhs
    scale = sympy.Symbol("C1")
    # F is known about x by its value and slope, and about 0: a first derivative sees no more.
    value, rise = sympy.symbols("Fx dFx", real=True)
    defect = (value + rise * y + line[0]) - (value + line[0] + line[1] * y)
    at = {A: 2, B: 3, W: 5, p: sympy.Rational(1, 3), scale: 2}
    multiplied = solved.subs(W, A * B) * solved.subs(W, 1)
    return (
        symbolic.equal(solved, scale * W**p, points=[at]),
        symbolic.equal(
            multiplied, solved.subs(W, A) * solved.subs(W, B), points=[at], reduce=sympy.powsimp
        ),
        symbolic.equal(sympy.diff(defect, y), rise - line[1]),
    )


@EXPONENT.symbolic(Scope("every w and every parameter of each; every f that is smooth", whole=True))
def _(exponents: Any) -> Answer:
    """Each derivative by calculus; the equation of a constant exponent, solved."""
    answers = [*constant_alone()]
    for name, found in exact_exponents().items():
        first = 1 / (1 + P) if name in SHARED else P
        answers.append(symbolic.equal(found, exponents[name](W, first, Q, Exact)))
    # Only of the power is the exponent flat: of the others it has a slope in w, here negative.
    own = exponents["power"](W, P, Q, Exact)
    slopes = [
        -sympy.diff(exponents[name](W, 1 / (1 + P) if name in SHARED else P, Q, Exact), W)
        for name in ("sub-Gaussian", "DRos", "LUFFY", "VESPO")
    ]
    return all_of(
        [
            *answers,
            symbolic.equal(sympy.diff(own, W), 0),
            *(symbolic.positive(sympy.factor(slope)) for slope in slopes),
        ]
    )


PLACES = [(Fraction(w), Fraction(2, 5), Fraction(-3, 2)) for w in ("1/7", "1", "5")]


@EXPONENT.certified(Scope("six functions at w = 1/7, 1 and 5; f(6) f(1) against f(2) f(3)"))
def _(exponents: Any) -> Answer:
    """The slope of log f in log w as a power series; the functional equation for each."""
    answers = []
    for name, weight in WEIGHTS.items():
        found, stated, witnesses = [], [], []
        for place in PLACES:
            w, p, q = map(Ball.number, place)

            def log_weight(t: Any, w: Any = w, p: Any = p, q: Any = q, f: Any = weight) -> Any:
                return Jet.log(f(w * Jet.exp(t), p, q, Jet))

            found.append(certified.derivatives(log_weight, Ball.number(0), 1)[1])
            stated.append(exponents[name](w, p, q, Ball))
            witnesses.append(Witness.at(w=place[0], p=place[1], q=place[2]))
        one, two, three, six = (weight(Ball.number(x), p, q, Ball) for x in (1, 2, 3, 6))
        at = Witness.at(a=2, b=3, p=PLACES[0][1], q=PLACES[0][2])
        # Balls prove that two numbers differ, and never that they are equal.
        if name == "power":
            answers.append(certified.agree([six * one], [two * three], witnesses=[at]))
        else:
            answers.append(certified.compare(six * one, "!=", two * three, witness=at))
        answers.append(certified.agree(found, stated, witnesses=witnesses))
    return all_of(answers)


@EXPONENT.neural(Scope("six functions at w = 1/7, 1 and 5"))
def _(exponents: Any) -> Answer:
    """The slope of log f in log w, by autograd."""
    answers = []
    for name, weight in WEIGHTS.items():
        for place in PLACES:
            w, p, q = map(float, place)

            def log_weight(x: Any, p: float = p, q: float = q, f: Any = weight) -> Any:
                return f(x.exp(), p, q, Tensor).log()

            found = neural.gradient(log_weight, neural.tensor(w).log())
            stated = exponents[name](neural.tensor(w), p, q, Tensor)
            witness = Witness.at(w=place[0], p=place[1], q=place[2])
            answers.append(neural.close([found], [stated], witness=witness))
    return all_of(answers)


def planted(name: str, member: Member) -> dict[str, Member]:
    """Return the exponents with one of them wrong."""
    return {**EXPONENTS, name: member}


EXPONENT.wrong_value("the power's less 1", planted("power", lambda w, p, q, m: p - 1))
EXPONENT.wrong_value("DRos as its square root", planted("DRos", lambda w, p, q, m: 1 / (1 + p * w)))
EXPONENT.wrong_value(
    "LUFFY's ratio for its weight", planted("LUFFY", lambda w, p, q, m: p / (p + w))
)
EXPONENT.wrong_value("VESPO's at w = 1", planted("VESPO", lambda w, p, q, m: p - q))
EXPONENT.wrong_value(
    "the power mean's s times too large",
    planted("power mean", lambda w, p, q, m: q * EXPONENTS["power mean"](w, p, q, m)),
)

CLAIMS = frozen(EXPONENT)

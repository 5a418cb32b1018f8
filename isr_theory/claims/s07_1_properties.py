"""Section 7.1, the two properties listed after Theorem 7.2: what happens at gamma = 0 and 1.

They hold for p_gamma, which starts at mu and ends at p*.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    LEVEL,
    MU,
    SUMS,
    TARGET,
    D,
    U,
    gibbs,
    total,
    total_mass,
)
from isr_theory.claims.s07_1_bias import HALF, LAWS, along, at, ends, infinite_bias
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, UNIFORM_POLICY, Finite

ONE_LAW = Scope("four arms")


def reversed_path(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    """The path that starts at p*."""
    return formulas.geometric_path(target, mu, gamma, m)


def halved_path(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    """The path that gets half as far."""
    return formulas.geometric_path(mu, target, gamma / m.number(2), m)


def doubled_path(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    """The path that gets twice as far."""
    return formulas.geometric_path(mu, target, 2 * gamma, m)


WRONG_PATHS = (
    ("the path from p* to mu", reversed_path),
    ("half the exponent", halved_path),
    ("twice the exponent", doubled_path),
)


def divergence_along(path: Any, law: Finite, m: Any) -> Callable[[Number], Number]:
    """KL of p* from a path, as a function of gamma."""
    mu, target = ends(law, m)

    def divergence(gamma: Number) -> Number:
        rows = zip(target, path(mu, target, gamma, m), strict=True)
        return sum(p * m.log(p / q) for p, q in rows)

    return divergence


def slope(function: Callable[[Number], Number]) -> Callable[[Any], Any]:
    """Return the derivative of a function over Jet, as a function of a ball."""
    return lambda place: certified.derivatives(function, place, 1)[1]


PROP7_2_A = Draft(
    "PROP7.2.a",
    section="7.1",
    kind=Kind.REMARK,
    title=Text("At gamma = 0 the bias is largest", "γ = 0 时 Bias 最大"),
    finding=Text(
        "True of p_gamma: p_0 is mu, and the bias of any later gamma is smaller.",
        "对 p_γ 成立：p_0 = μ，此后 Bias 均更小。",
    ),
    statement=r"p_0 = \mu,\quad"
    r" \mathrm{Bias}(0) = D_{KL}(p^*\|\mu) > \mathrm{Bias}(\gamma)\quad (0 < \gamma \le 1)",
    subject=formulas.geometric_path,
    expect=Verdict.VERIFIED,
    assumes=(TARGET_DIFFERS,),
    uses=("D7.1",),
    reading="of p_gamma, as the section defines the target; p* is positive wherever mu is",
)


@PROP7_2_A.symbolic(EVERY_LAW)
def _(path: Any) -> Answer:
    """The bias drops by gamma KL(p* || mu) - log Z, and Z, convex with ends 1, is at most 1."""
    (first,) = path(MU, TARGET, sympy.S.Zero, SUMS)
    (later,) = path(MU, TARGET, GAMMA, SUMS)
    # KL(p* || mu) is the sum of p* l; log p_gamma = u + gamma l - log Z.
    start = total(sympy.exp(U + LEVEL) * LEVEL)
    log_later = sympy.expand_log(sympy.log(later.entry), force=True)
    after = total(sympy.exp(U + LEVEL) * (U + LEVEL - log_later))
    mass = sympy.exp(U + GAMMA * LEVEL)
    return all_of(
        [
            symbolic.equal(first.entry, sympy.exp(U)),
            symbolic.equal(start - after, GAMMA * start - sympy.log(total_mass())),
            symbolic.equal(total(mass.subs(GAMMA, 0)), 1),
            symbolic.equal(total(mass.subs(GAMMA, 1)), 1),
            *(symbolic.positive(sympy.diff(mass.subs(LEVEL, x), GAMMA, 2)) for x in (D, -D)),
            *gibbs(),
        ]
    )


@PROP7_2_A.certified(Scope("two laws, every gamma in (0, 1]"))
def _(path: Any) -> Answer:
    """p_0 is mu; the divergence falls on [0, 1/10], and lies below its start on [1/10, 1]."""

    def one(law: Finite) -> list[Answer]:
        mu, target = ends(law, Ball)
        after = divergence_along(path, law, Ball)
        first = path(mu, target, Ball.number(0), Ball)
        start = sum(p * Ball.log(p / a) for a, p in zip(mu, target, strict=True))
        tenth = Fraction(1, 10)
        return [
            certified.agree(first, mu, witnesses=[at(law, 0)] * len(mu)),
            certified.sign_on(
                slope(divergence_along(path, law, Jet)),
                (Fraction(0), tenth),
                positive=False,
                witness=along(law),
            ),
            certified.sign_on(
                lambda gamma: start - after(gamma),
                (tenth, Fraction(1)),
                positive=True,
                witness=along(law),
            ),
        ]

    return all_of(answer for law in LAWS for answer in one(law))


@PROP7_2_A.neural(ONE_LAW)
def _(path: Any) -> Answer:
    """p_0 is mu; in float64, the divergence at eleven gammas is largest at the first."""
    mu, target = ends(UNIFORM_POLICY, Tensor)
    after = divergence_along(path, UNIFORM_POLICY, Tensor)
    first = neural.torch().stack(path(mu, target, Tensor.number(0), Tensor))
    gammas = [Fraction(k, 10) for k in range(1, 11)]
    start = after(Tensor.number(0))
    return all_of(
        [
            neural.close(first, neural.tensor(UNIFORM_POLICY.mu), witness=at(UNIFORM_POLICY, 0)),
            *(
                neural.compare(start, ">", after(Tensor.number(g)), witness=at(UNIFORM_POLICY, g))
                for g in gammas
            ),
        ]
    )


@PROP7_2_A.without(TARGET_DIFFERS)
def _(path: Any, law: Finite) -> Answer:
    if infinite := infinite_bias(law):
        return infinite
    witness, (mu, target) = at(law, HALF), ends(law, Exact)
    first = path(mu, target, sympy.S.Zero, Exact)
    start = sum(p * sympy.log(p / a) for a, p in zip(mu, target, strict=True))
    later = divergence_along(path, law, Exact)(sympy.S.Half)
    return all_of(
        [
            *(
                symbolic.compare(q, "==", a, witness=at(law, 0))
                for q, a in zip(first, mu, strict=True)
            ),
            symbolic.compare(start, ">", later, witness=witness),
        ]
    )


for _name, _path in WRONG_PATHS:
    PROP7_2_A.wrong_value(_name, _path)


@PROP7_2_A.number("Bias at gamma = 0, mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2)")
def _() -> str:
    mu, target = ends(THREE_ARMS, Ball)
    return certified.digits(formulas.kl(target, mu, Ball))


PROP7_2_B = Draft(
    "PROP7.2.b",
    section="7.1",
    kind=Kind.REMARK,
    title=Text("At gamma = 1 the bias is 0", "γ = 1 时 Bias = 0"),
    finding=Text("True of p_gamma: p_1 is p*.", "对 p_γ 成立：p_1 = p*。"),
    statement=r"p_1 = p^*,\quad \mathrm{Bias}(1) = 0",
    subject=formulas.geometric_path,
    expect=Verdict.VERIFIED,
    uses=("D7.1",),
    reading="of p_gamma, as the section defines the target; mu is positive wherever p* is",
)


@PROP7_2_B.symbolic(EVERY_LAW)
def _(path: Any) -> Answer:
    """The mass of a general outcome at gamma = 1, and the divergence of p* from it."""
    (last,) = path(MU, TARGET, sympy.S.One, SUMS)
    log_last = sympy.expand_log(sympy.log(last.entry), force=True)
    return all_of(
        [
            symbolic.equal(last.entry, sympy.exp(U + LEVEL)),
            symbolic.equal(total(sympy.exp(U + LEVEL) * (U + LEVEL - log_last)), 0),
        ]
    )


@PROP7_2_B.certified(Scope("two laws"))
def _(path: Any) -> Answer:
    """p_1 against p*, and the divergence, in balls."""

    def one(law: Finite) -> Answer:
        mu, target = ends(law, Ball)
        last = Ball.number(1)
        left = [*path(mu, target, last, Ball), divergence_along(path, law, Ball)(last)]
        return certified.agree(left, [*target, 0], witnesses=[at(law, 1)] * len(left))

    return all_of(one(law) for law in LAWS)


@PROP7_2_B.neural(ONE_LAW)
def _(path: Any) -> Answer:
    """p_1 and the divergence in float64."""
    mu, target = ends(UNIFORM_POLICY, Tensor)
    last = Tensor.number(1)
    divergence = divergence_along(path, UNIFORM_POLICY, Tensor)(last)
    return neural.close(
        [*path(mu, target, last, Tensor), divergence],
        [*UNIFORM_POLICY.pi, 0],
        witness=at(UNIFORM_POLICY, 1),
    )


for _name, _path in WRONG_PATHS:
    PROP7_2_B.wrong_value(_name, _path)


CLAIMS = frozen(PROP7_2_A, PROP7_2_B)

"""Past section 7: where E[w^(2 gamma)] is least, whatever the law.

At half the Chernoff point, at which the geometric mean of mu and pi is as far from the one as from
the other.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.general_law import LEVEL, MU, SUMS, TARGET, D, U, V, total
from isr_theory.claims.instances import moment, named
from isr_theory.claims.s10_2_second_moment import smallest_second_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite

S, GAMMA = sympy.symbols("s gamma", positive=True)


def equidistance(mu: Law, pi: Law, s: Number, m: Arithmetic) -> Number:
    """KL(nu_s || mu) - KL(nu_s || pi), nu_s ~ mu^(1-s) pi^s: 0 at the Chernoff point s*."""
    between = formulas.geometric_path(mu, pi, s, m)
    return formulas.kl(between, mu, m) - formulas.kl(between, pi, m)


def information(mu: Law, pi: Law, s: Number, m: Arithmetic) -> Number:
    """KL(nu_s || mu): at s* the Chernoff information C."""
    return formulas.kl(formulas.geometric_path(mu, pi, s, m), mu, m)


class Chernoff(NamedTuple):
    """What is 0 at s*, which gamma belongs to s*, and how large V is there."""

    condition: Any
    minimiser: Any
    least: Any


def half(chernoff: Number) -> Number:
    """s*/2."""
    return chernoff / 2


def least(mu: Law, pi: Law, s: Number, m: Arithmetic) -> Number:
    """e^(-C)."""
    return m.exp(-information(mu, pi, s, m))


TRUE = Chernoff(equidistance, half, least)

CHERNOFF = Draft(
    "VAR.chernoff",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("E[w^(2 gamma)] and Chernoff information", "E[w^{2γ}] 的最小值与 Chernoff 信息"),
    finding=Text(
        "Whatever the law, E[w^(2 gamma)] is least at half the Chernoff point, the one s at which"
        " nu_s is equally far from mu and pi, and it is e^(-C) there, C that common distance.",
        "对任意分布，E[w^{2γ}] 在 Chernoff 点 s* 的一半处最小：s* 是 ν_s 与 μ、π 的 KL"
        " 距离相等的唯一点，最小值为 e^{−C}，C 即该距离。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = s^*/2,\quad"
    r" \min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = e^{-C},\quad"
    r" D_{KL}(\nu_{s^*}\|\mu) = D_{KL}(\nu_{s^*}\|\pi) = C,\ \nu_s \propto \mu^{1-s}\pi^s,"
    r"\ s^* \in (0, 1)",
    subject=TRUE,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("T6.2", "TAB10.1.2.fix"),
    sharpens=("TAB10.1.2.fix", "C7.5.a"),
    source="Chernoff 1952 for C and s*, Nielsen 2013 for the equal distances; as what least E[w^("
    "2 gamma)] is, new here",
)


@CHERNOFF.symbolic(
    Scope(
        "every law, by sums over a general outcome: log E[w^s] is strictly convex, and 0 at s = 0 "
        "and s = 1",
        whole=True,
    )
)
def _(chernoff: Any) -> Answer:
    """The condition is K'(s); where it is 0 the least value is M(s); K'' is a sum over pairs."""
    mass = total(sympy.exp(U + S * LEVEL))
    slope = total(LEVEL * sympy.exp(U + S * LEVEL))
    value = chernoff.least(MU, TARGET, S, SUMS_WITH_EXP)
    # V(gamma) = M(2 gamma), so V' at the minimiser is 2 M'(s).
    term = sympy.exp(U + 2 * GAMMA * LEVEL)
    rise = total(sympy.diff(term, GAMMA).subs(GAMMA, chernoff.minimiser(S)))
    # M M'' - M'^2 is the sum over pairs of outcomes of this share: masses e^u, e^v at order s.
    other = LEVEL + D
    share = sympy.exp(U + V) * (LEVEL**2 + other**2 - 2 * LEVEL * other) / 2
    return all_of(
        [
            same(chernoff.condition(MU, TARGET, S, SUMS), slope / mass),
            same(value.subs(slope, 0), mass),
            same(rise, 2 * slope),
            symbolic.equal(share, sympy.exp(U + V) * D**2 / 2),
            symbolic.positive(sympy.exp(U + V) * D**2 / 2),
            symbolic.equal(total(sympy.exp(U)), 1),
            symbolic.equal(total(sympy.exp(U + LEVEL)), 1),
        ]
    )


class _SumsWithExp:
    """The arithmetic of general outcomes, and the exponential of a sum over all of them."""

    number = staticmethod(SUMS.number)
    log = staticmethod(SUMS.log)
    power = staticmethod(SUMS.power)
    exp = staticmethod(sympy.exp)


SUMS_WITH_EXP: Any = _SumsWithExp()


def same(left: Any, right: Any) -> Answer:
    """Compare two expressions in sums over outcomes, whatever positive numbers those are."""
    sums = sorted((left - right).free_symbols - {S}, key=str)
    names = dict(zip(sums, sympy.symbols(f"q0:{len(sums)}", positive=True), strict=True))
    return symbolic.equal(left.subs(names), sympy.sympify(right).subs(names))


LAWS = (TWO_ARMS, THREE_ARMS, RARE_ARM)


@cache
def chernoff_root(condition: Any, law: Finite) -> Any:
    """The s in (0, 1) at which a condition changes sign, None where it does not."""
    mu, pi, _ = law.numbers(Ball)
    # Near the ends every one of these laws is on its own side.
    ends = Fraction(1, 100), Fraction(99, 100)
    return certified.root(lambda s: condition(mu, pi, s, Ball), *ends)


@CHERNOFF.certified(Scope("three laws on two to four arms"))
def _(chernoff: Any) -> Answer:
    """The isolated root of V' and V there, against the equidistant point and e^(-C)."""
    answers = []
    for law in LAWS:
        mu, pi, _ = law.numbers(Ball)
        point = chernoff_root(chernoff.condition, law)
        if point is None:
            return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
        best = smallest_second_moment(law)
        stated = [chernoff.minimiser(point), chernoff.least(mu, pi, point, Ball)]
        found = [best, moment(law, 2 * best)]
        answers.append(certified.agree(found, stated, witnesses=[witness_of(law)] * 2))
    return all_of(answers)


@CHERNOFF.neural(Scope("three laws"))
def _(chernoff: Any) -> Answer:
    """Newton's method on log E[w^s] by autograd: the condition is 0, and the value e^(-C)."""
    answers = []
    for law in LAWS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def cumulant(s: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu.log() + s * (pi / mu).log()).logsumexp(0)

        s = neural.tensor(0.5)
        # K is smooth with curvature of order 1 here: eight steps pass the last float64 digit.
        for _ in range(8):
            s = s - neural.gradient(cumulant, s) / neural.hessian(cumulant, s)

        def second(gamma: Any, k: Any = cumulant) -> Any:
            return k(2 * gamma).exp()

        flat = neural.gradient(second, chernoff.minimiser(s))
        found = [
            chernoff.condition(mu, pi, s, Tensor),
            chernoff.least(mu, pi, s, Tensor),
            flat,
        ]
        expected = [0, cumulant(s).exp(), 0]
        answers.append(neural.close(found, expected, witness=witness_of(law)))
    return all_of(answers)


@CHERNOFF.sampled(Scope("four outcomes"), resolution=0.02)
def _(chernoff: Any, trial: Trial) -> Answer:
    """The mean of w^(2 gamma) over draws from mu, at the stated gamma."""
    law = RARE_ARM
    point = float(chernoff_root(equidistance, law).mid())
    gamma = chernoff.minimiser(point)
    table = np.exp(2 * gamma * law.log_w())
    found = trial.mean(
        f"E[w^(2 gamma)] at {gamma}",
        lambda rng, n: table[law.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    value = chernoff.least(*law.numbers(Real)[:2], point, Real)
    return trial.agrees(found, value, witness=witness_of(law))


def equally_far(chernoff: Any, law: Finite) -> Answer:
    """Try whether log E[w^s] falls from s = 0, rises to s = 1, and is least where it should be.

    A law with an outcome of its own has log E[w^s] below 0 at one of the ends.
    """
    witness = named(law)
    rows = [(a, b) for a, b in zip(*law.numbers(Exact)[:2], strict=True) if a > 0 and b > 0]
    ends = [sum(row[k] * sympy.log(row[1] / row[0]) for row in rows) for k in (0, 1)]
    sides = [symbolic.compare(ends[0], "<", 0, witness=witness)]
    sides.append(symbolic.compare(ends[1], ">", 0, witness=witness))
    for side in sides:
        if side.outcome is not Outcome.HOLDS:
            return side
    point = chernoff_root(chernoff.condition, law)
    mu, pi, _ = law.numbers(Ball)
    stated = [chernoff.minimiser(point), chernoff.least(mu, pi, point, Ball)]
    best = smallest_second_moment(law)
    return certified.agree([best, moment(law, 2 * best)], stated, witnesses=[witness] * 2)


CHERNOFF.without(MUTUAL_SUPPORT)(equally_far)
CHERNOFF.without(POLICIES_DIFFER)(equally_far)
CHERNOFF.wrong_value("the Chernoff point itself", TRUE._replace(minimiser=lambda s: s))
CHERNOFF.wrong_value("mu and pi exchanged", TRUE._replace(minimiser=lambda s: (1 - s) / 2))

CHERNOFF.wrong_value(
    "twice the information", TRUE._replace(least=lambda mu, pi, s, m: least(mu, pi, s, m) ** 2)
)
CHERNOFF.wrong_value(
    "the distances to nu_s reversed",
    TRUE._replace(
        condition=lambda mu, pi, s, m: (
            formulas.kl(mu, formulas.geometric_path(mu, pi, s, m), m)
            - formulas.kl(pi, formulas.geometric_path(mu, pi, s, m), m)
        )
    ),
)
CHERNOFF.wrong_value(
    "the information at 1/2, Bhattacharyya's",
    TRUE._replace(least=lambda mu, pi, s, m: formulas.moment(mu, pi, m.number("1/2"), m)),
)


@CHERNOFF.number("the Chernoff information of three arms")
def _() -> str:
    mu, pi, _ = THREE_ARMS.numbers(Ball)
    return certified.digits(information(mu, pi, chernoff_root(equidistance, THREE_ARMS), Ball))


@CHERNOFF.number("the minimiser of E[w^(2 gamma)], mu = (1/2, 1/2), pi = (9/10, 1/10)")
def _() -> str:
    return certified.digits(smallest_second_moment(TWO_ARMS))


CLAIMS = frozen(CHERNOFF)

"""Past section 7: when 1/4 is the gamma of least E[w^(2 gamma)], whatever the law.

Where sqrt(w) log w has mean 0, which symmetry brings about but is not needed for.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.general_law import LEVEL, MU, SUMS, TARGET, U, X, total
from isr_theory.claims.instances import named
from isr_theory.claims.s10_2_second_moment import smallest_second_moment
from isr_theory.claims.x02_chernoff import GAMMA, S, equidistance, same
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, UNIFORM_POLICY, Finite

QUARTER = Fraction(1, 4)


def lopsidedness(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """E_mu[w^(3/4)] - E_mu[w^(1/4)], which is 0 where E_mu[w^s] = E_mu[w^(1-s)]."""
    return formulas.moment(mu, pi, 3 * m.number("1/4"), m) - formulas.moment(
        mu, pi, m.number("1/4"), m
    )


def root_slope(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """E_mu[sqrt(w) log w]."""
    return sum(m.sqrt(a * b) * m.log(b / a) for a, b in zip(mu, pi, strict=True))


@cache
def best_gamma(law: Finite) -> Any:
    """The root of the slope of E[w^(2 gamma)], by halves that do not fall on 1/4."""
    mu, pi, _ = law.numbers(Jet)

    def slope(gamma: Any) -> Any:
        return certified.derivatives(lambda g: formulas.moment(mu, pi, 2 * g, Jet), gamma, 1)[1]

    return certified.root(slope, Fraction(1, 100), Fraction(2, 5))


SYMMETRIC = Draft(
    "VAR.symmetric",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("A minimum at 1/4 needs symmetry", "最小点为 1/4 必须对称"),
    finding=Text(
        "False: mu = (24, 1, 144)/169 and pi = (96, 64, 9)/169 have their minimum exactly at 1/4,"
        " and E[w^s] is not E[w^(1-s)].",
        "不成立：μ = (24, 1, 144)/169、π = (96, 64, 9)/169 的最小点恰为 1/4，但 E[w^s] ≠"
        " E[w^{1−s}]。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = \tfrac14 \Rightarrow"
    r" \mathbb{E}_\mu[w^s] = \mathbb{E}_\mu[w^{1-s}]\ \text{for every } s",
    subject=lopsidedness,
    expect=Verdict.REFUTED,
    uses=("VAR.chernoff",),
    sharpens=("C7.5.a",),
    source="the reason that log-normal weights suggest for their 1/4, read as a condition",
    reading="what must be 0 where the minimum is at 1/4, here tried at s = 3/4",
)
# w = (4, 64, 1/16) and sqrt(mu pi) = (48, 8, 36)/169: sqrt(w) log w is 48 + 3 * 8 - 2 * 36 times
# log(4)/169 in the mean.
LOPSIDED = Finite.of("24/169 1/169 144/169", "96/169 64/169 9/169")
AT_QUARTER = witness_of(LOPSIDED)


@SYMMETRIC.symbolic(Scope("the witness"))
def _(condition: Any) -> Answer:
    """V'(1/4) by calculus is 0; the condition in surds."""
    mu, pi, _ = LOPSIDED.numbers(Exact)
    second = sum(a * (b / a) ** (2 * GAMMA) for a, b in zip(mu, pi, strict=True))
    slope = sympy.simplify(
        sympy.expand_log(sympy.diff(second, GAMMA).subs(GAMMA, Exact.number(QUARTER)), force=True)
    )
    # The powers of 2 under the roots come out.
    value = sympy.simplify(sympy.expand_log(condition(mu, pi, Exact), force=True))
    return given(
        symbolic.compare(slope, "==", 0, witness=AT_QUARTER),
        symbolic.compare(value, "==", 0, witness=AT_QUARTER),
    )


@SYMMETRIC.certified(Scope("the witness"))
def _(condition: Any) -> Answer:
    """The isolated root of V' is 1/4 to 30 digits; the condition in balls."""
    mu, pi, _ = LOPSIDED.numbers(Ball)
    best = certified.agree([best_gamma(LOPSIDED)], [Ball.number(QUARTER)], witnesses=[AT_QUARTER])
    return given(best, certified.compare(condition(mu, pi, Ball), "==", 0, witness=AT_QUARTER))


@SYMMETRIC.neural(Scope("the witness"))
def _(condition: Any) -> Answer:
    """The autograd slope of V at 1/4 is 0; the condition in float64."""
    mu, pi = neural.tensor(LOPSIDED.mu), neural.tensor(LOPSIDED.pi)
    slope = neural.gradient(
        lambda gamma: (mu * (pi / mu) ** (2 * gamma)).sum(), neural.tensor(QUARTER)
    )
    return given(
        neural.close([slope], [0], witness=AT_QUARTER),
        neural.close([condition(mu, pi, Tensor)], [0], witness=AT_QUARTER),
    )


SYMMETRIC.right_value("the mean of sqrt(w) log w", root_slope)


@SYMMETRIC.number("E[w^(3/4)] - E[w^(1/4)] at the witness")
def _() -> str:
    mu, pi, _ = LOPSIDED.numbers(Ball)
    return certified.digits(lopsidedness(mu, pi, Ball))


QUARTER_IFF = Draft(
    "VAR.quarter",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("When 1/4 is the minimiser, and on which side it lies", "何时最小点为 1/4"),
    finding=Text(
        "The minimiser of E[w^(2 gamma)] is below, at or above 1/4 as the mean of sqrt(w) log w is"
        " positive, 0 or negative; it is 0 for every shift of a symmetric density.",
        "E_μ[√w log w] 为正、零、负时，E[w^{2γ}] 的最小点分别小于、等于、大于 1/4；"
        "对称密度的任意平移使其为零。",
    ),
    statement=r"\operatorname{sign}\bigl(\tfrac14 - \arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}]"
    r"\bigr) = \operatorname{sign}\mathbb{E}_\mu[\sqrt w\log w] ="
    r" \operatorname{sign}\bigl(D_{KL}(\nu_{1/2}\|\mu) - D_{KL}(\nu_{1/2}\|\pi)\bigr);\quad"
    r" K(s) \equiv K(1-s) \Rightarrow \mathbb{E}_\mu[\sqrt w\log w] = 0",
    subject=root_slope,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("VAR.chernoff",),
    sharpens=("C7.5.a", "TAB10.1.2.fix"),
    amends=("VAR.symmetric",),
    source="new here",
    reading="a shift of a symmetric density: pi(y) = mu(a - y) for some a, so that normal, Laplace"
    " and Student laws a shift apart, and any pair that an involution exchanges, have their"
    " minimum at 1/4",
)


@QUARTER_IFF.symbolic(
    Scope(
        "every law, outcome by outcome: V is strictly convex, so that V'(1/4) has the sign of the"
        " way from the minimiser to 1/4",
        whole=True,
    )
)
def _(slope: Any) -> Answer:
    """V'(1/4) of an outcome is twice its term; a mirrored pair of outcomes cancels; the KLs."""
    a, b = sympy.symbols("a b", positive=True)
    second = a * (b / a) ** (2 * GAMMA)
    found = sympy.diff(second, GAMMA).subs(GAMMA, sympy.Rational(1, 4))
    own = slope([a], [b], Exact)
    mirrored = slope([a, b], [b, a], Exact)
    half_point = sympy.Rational(1, 2)
    mass = total(sympy.exp(U + LEVEL / 2))
    far = total(slope([sympy.exp(U)], [sympy.exp(U + LEVEL)], PLAIN)) / mass
    bend = sympy.diff(a * sympy.exp(2 * GAMMA * X), GAMMA, 2)
    # Where E[w^s] = E[w^(1-s)], their difference is flat at s = 1/2.
    even = sympy.diff(a * (b / a) ** S - a * (b / a) ** (1 - S), S).subs(S, half_point)
    return all_of(
        [
            symbolic.equal(found, 2 * own, reduce=_in_logs),
            symbolic.equal(mirrored, 0, reduce=_in_logs),
            same(equidistance(MU, TARGET, half_point, SUMS), far),
            symbolic.equal(bend, 4 * a * X**2 * sympy.exp(2 * GAMMA * X)),
            symbolic.equal(even, 2 * own, reduce=_in_logs),
        ]
    )


class _Plain:
    """Exact algebra in which roots and logarithms of exponentials open up."""

    def log(self, x: Any) -> Any:
        return sympy.expand_log(sympy.log(x), force=True)

    def sqrt(self, x: Any) -> Any:
        return sympy.exp(sympy.expand(self.log(x) / 2))


PLAIN: Any = _Plain()


def _in_logs(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(sympy.powsimp(difference), force=True))


SIDES = (TWO_ARMS, THREE_ARMS, RARE_ARM)


def on_its_side(slope: Any, law: Finite) -> Answer:
    """Say whether the isolated minimiser lies on the stated side of 1/4."""
    mu, pi, _ = law.numbers(Ball)
    off = slope(mu, pi, Ball) * (smallest_second_moment(law) - Ball.number(QUARTER))
    return certified.compare(off, "<", 0, witness=witness_of(law))


@QUARTER_IFF.certified(Scope("three laws off 1/4; one symmetric law and one that is not at 1/4"))
def _(slope: Any) -> Answer:
    """The isolated root of V' against 1/4, and twice the stated mean against V'(1/4)."""
    answers = [on_its_side(slope, law) for law in SIDES]
    for law in (UNIFORM_POLICY, LOPSIDED):
        mu, pi, _ = law.numbers(Ball)
        at = witness_of(law)
        found = [best_gamma(law), slope(mu, pi, Ball)]
        answers.append(certified.agree(found, [Ball.number(QUARTER), 0], witnesses=[at] * 2))
    return all_of(answers)


@QUARTER_IFF.neural(Scope("four laws"))
def _(slope: Any) -> Answer:
    """The autograd slope of V at 1/4 is twice the stated mean."""
    answers = []
    for law in (*SIDES, LOPSIDED):
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def second(gamma: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** (2 * gamma)).sum()

        found = neural.gradient(second, neural.tensor(QUARTER))
        stated = 2 * slope(mu, pi, Tensor)
        answers.append(neural.close([found], [stated], witness=witness_of(law)))
    return all_of(answers)


@QUARTER_IFF.sampled(Scope("the three outcomes of the counterexample to symmetry"), resolution=0.1)
def _(slope: Any, trial: Trial) -> Answer:
    """The mean of sqrt(w) log w over draws from mu."""
    level = LOPSIDED.log_w()
    table = np.exp(level / 2) * level
    found = trial.mean(
        "sqrt(w) log w",
        lambda rng, n: table[LOPSIDED.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    value = slope(*LOPSIDED.numbers(Real)[:2], Real)
    return trial.agrees(found, value, witness=AT_QUARTER)


NOTHING_SHARED = Finite.of("1/2 1/2 0", "1/2 0 1/2")


def decides(slope: Any, law: Finite) -> Answer:
    """Try whether 1/4 is the one minimiser where the mean is 0, by two exponents beside it."""
    rows = [(a, b) for a, b in zip(*law.numbers(Exact)[:2], strict=True) if a > 0 and b > 0]
    mean = slope(*zip(*rows, strict=True), Exact)
    at = named(law)
    if mean == 0:
        here, before, after = (
            sum(a * (b / a) ** sympy.Rational(k, 10) for a, b in rows) for k in (5, 4, 6)
        )
        return all_of(symbolic.compare(here, "<", near, witness=at) for near in (before, after))
    return on_its_side(slope, law) if smallest_second_moment(law) is not None else NO_MINIMISER


NO_MINIMISER = Answer(Outcome.UNDECIDED, Strength.PROOF, detail="V has no minimiser in (0, 1/2)")
QUARTER_IFF.without(MUTUAL_SUPPORT, on=(NOTHING_SHARED,))(decides)
QUARTER_IFF.without(POLICIES_DIFFER)(decides)


@QUARTER_IFF.wrong("the mean of log w")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return sum(a * m.log(b / a) for a, b in zip(mu, pi, strict=True))


@QUARTER_IFF.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return root_slope(pi, mu, m)


@QUARTER_IFF.wrong("the mean of w log w")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return sum(b * m.log(b / a) for a, b in zip(mu, pi, strict=True))


QUARTER_IFF.wrong_value("what symmetry makes 0", lopsidedness)


@QUARTER_IFF.number("E[sqrt(w) log w] of three arms")
def _() -> str:
    mu, pi, _ = THREE_ARMS.numbers(Ball)
    return certified.digits(root_slope(mu, pi, Ball))


CLAIMS = frozen(SYMMETRIC, QUARTER_IFF)

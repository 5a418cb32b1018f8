"""Section 11.2, part 2: what a bound of 7/10 on the Pareto index buys.

Between 1/(2k) and 7/(10 k) the index of w^gamma is below 7/10 and its second moment infinite, so
the bound protects no population ESS. With the ESS constraint it combines as the smaller cap.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PARETO, VALID_RULE, Rule
from isr_theory.claims.instances import ess, named
from isr_theory.claims.s11_1_literature import khat_cap
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import THREE_ARMS, ExponentialRate, ParetoTail

K, T, D, CAP = sympy.symbols("k t d cap", positive=True)


def smaller_cap(first: Number, second: Number, m: Arithmetic) -> Number:
    """The largest gamma that two upper bounds allow."""
    return m.minimum(first, second)


T11_1_C = Draft(
    "T11.1.c",
    section="11.2",
    kind=Kind.INEQUALITY,
    title=Text("gamma <= 0.7/k as a guarantee", "γ ≤ 0.7/k 的可靠性保证"),
    finding=Text(
        "Not in the paper's own measure: at gamma = 0.7/k the population ESS is 0.",
        "按本文自身的度量不成立：在 γ = 0.7/k 处总体 ESS 为 0。",
    ),
    statement=r"\gamma \le 0.7/k(w) \Rightarrow \mathrm{ESS}_\gamma/n > 0",
    subject=khat_cap,
    expect=Verdict.REFUTED,
    assumes=(PARETO,),
    uses=("T11.1.a", "D8.1"),
    reading="reliable in the sense of section 8: a population ESS above 0, E[w^(2 gamma)] finite; "
    "in the sense of the printed parenthesis, an index below 0.7, it is TAB11.1.3 and true",
)
# w = (1/5) e^(4x/5), x standard exponential, has index k = 4/5, so 0.7/k = 7/8.
HEAVY = ExponentialRate(Fraction(1, 5))
AT_THE_CAP = Witness.at(mu="Exp(1)", pi="Exp(1/5)", k=1 - HEAVY.rate, gamma=Fraction(7, 8))


def block_ratio(law: ExponentialRate, gamma: Number) -> Number:
    """The integral of w^(2 gamma) over [10, 20] by that over [0, 10], by rigorous quadrature.

    The integrand is a multiple of e^(c x), so every block of ten has this ratio to the one before:
    the whole integral is finite exactly where the ratio is below 1.
    """
    rate = Ball.number(law.rate)

    def integrand(x: Any, _: Any) -> Any:
        return (2 * gamma * (Ball.log(rate) + (1 - rate) * x) - x).exp()

    first, second = (flint.acb.integral(integrand, *ends).real for ends in ((0, 10), (10, 20)))
    return second / first


@T11_1_C.symbolic(Scope("the one law of the witness"))
def _(cap: Any) -> Answer:
    """The second moment is a divergent integral, so the ratio of moments is 0."""
    gamma = cap(sympy.Rational(4, 5), Exact)
    log_w = sympy.Rational(4, 5) * T - sympy.log(5)
    first, second = (
        sympy.integrate(sympy.powsimp(sympy.exp(power * log_w - T)), (T, 0, sympy.oo))
        for power in (gamma, 2 * gamma)
    )
    return symbolic.compare(first**2 / second, ">", 0, witness=AT_THE_CAP)


@T11_1_C.certified(Scope("the one law of the witness"))
def _(cap: Any) -> Answer:
    """Blocks of the integral of w^(2 gamma) grow geometrically."""
    gamma = cap(Ball.number("4/5"), Ball)
    return certified.compare(block_ratio(HEAVY, gamma), "<", 1, witness=AT_THE_CAP)


@T11_1_C.right("half of the finite-variance limit")
def _(k: Any, m: Any) -> Any:
    return m.number("1/4") / k


T11_1_C_FIX = Draft(
    "T11.1.c.fix",
    section="11.2",
    kind=Kind.INEQUALITY,
    title=Text("Finite variance exactly below 1/(2k)", "方差有限当且仅当 γ < 1/(2k)"),
    finding=Text(
        "For a Pareto tail the second moment of w^gamma is finite exactly for gamma < 1/(2k).",
        "对 Pareto 尾，w^γ 的二阶矩有限当且仅当 γ < 1/(2k)。",
    ),
    statement=r"\mathbb{E}_\mu[w^{2\gamma}] < \infty \iff \gamma < \frac{1}{2k}",
    subject=formulas.finite_variance_limit,
    expect=Verdict.VERIFIED,
    assumes=(PARETO,),
    uses=("T11.1.a",),
    amends=("T11.1.c",),
)


@T11_1_C_FIX.symbolic(
    Scope("every k > 0: a tail C t^(-1/k) is that of a multiple of u^(-k), u uniform", whole=True)
)
def _(limit: Any) -> Answer:
    """The integral of u^(-2 gamma k) over (0, 1) has exponent 1 at the limit, where it diverges."""
    u, cut = sympy.symbols("u cut", positive=True)

    def until_cut(power: Any) -> Any:
        return sympy.integrate(u**-power, (u, cut, 1))

    return all_of(
        [
            symbolic.equal(2 * K * limit(K), 1),
            symbolic.limit(until_cut(1 - D), cut, 0, 1 / D),
            *(symbolic.limit(1 / until_cut(p), cut, 0, 0) for p in (sympy.Integer(1), 1 + D)),
        ]
    )


@T11_1_C_FIX.certified(Scope("three exponential ratios, 1/100 to either side of the limit"))
def _(limit: Any) -> Answer:
    """Blocks of the integral of w^(2 gamma) shrink below the limit and grow above it."""
    answers = []
    for rate in (Fraction(1, 5), Fraction(1, 2), Fraction(2, 3)):
        law, k = ExponentialRate(rate), 1 - rate
        for relation, side in (("<", Fraction(-1, 100)), (">", Fraction(1, 100))):
            ratio = block_ratio(law, limit(Ball.number(k)) + Ball.number(side))
            witness = Witness.at(k=k, side=side)
            answers.append(certified.compare(ratio, relation, 1, witness=witness))
    return all_of(answers)


@T11_1_C_FIX.sampled(Scope("k = 4/5, at the limit"), resolution=0.2)
def _(limit: Any, trial: Trial) -> Answer:
    """At the limit w^(2 gamma) is 1/u, whose mean up to a cut of 20 is 1 + log 20."""
    law = ParetoTail(Fraction(4, 5))
    gamma = limit(float(law.k))
    cut = trial.mean(
        f"min(w^(2 {gamma}), 20)",
        lambda rng, n: np.minimum(law.sample(rng, n) ** (2 * gamma), 20.0),
        0.0,
        20.0,
    )
    return trial.agrees(cut, 1 + float(np.log(20)), witness=Witness.at(k=law.k))


@T11_1_C_FIX.without(PARETO)
def _(limit: Any, model: ParetoTail) -> Answer:
    most = limit(Ball.number(model.k))
    # A gamma to either side of 1/(2|k|); a negative limit lets neither pass.
    middle = abs(1 / (2 * model.k))
    answers = []
    for gamma in (middle * Fraction(99, 100), middle * Fraction(101, 100)):
        g, witness = Ball.number(gamma), named(model, gamma=gamma)
        # The ESS is 0 exactly where the second moment is infinite.
        relation = ">" if g < most else "<="
        answers.append(certified.compare(ess(model, g), relation, 0, witness=witness))
    return all_of(answers)


@T11_1_C_FIX.wrong("0.7/k, as printed")
def _(k: Any) -> Any:
    return 7 / (10 * k)


@T11_1_C_FIX.wrong("a finite mean instead of a finite variance")
def _(k: Any) -> Any:
    return 1 / k


@T11_1_C_FIX.wrong("half of k")
def _(k: Any) -> Any:
    return k / 2


REM11_2 = Draft(
    "REM11.2",
    section="11.2",
    kind=Kind.REMARK,
    title=Text("Combining the k-hat and the ESS constraint", "k̂ 约束与 ESS 约束的结合"),
    finding=Text(
        "The smaller cap is the largest gamma that meets both; for a population with a Pareto tail "
        "the ESS cap is always the smaller.",
        "两个上界中较小者即同时满足两约束的最大 γ；对 Pareto 尾的总体，ESS 上界总是较小者。",
    ),
    statement=r"\{\gamma : \mathrm{ESS}_\gamma/n \ge \rho_{\min},\ \gamma k \le 0.7\} "
    r"= [0, \min(\gamma_{\mathrm{ESS}}, 0.7/k)]",
    subject=smaller_cap,
    expect=Verdict.VERIFIED,
    assumes=(PARETO, VALID_RULE),
    uses=("TAB10.1.3", "TAB11.1.3", "T11.1.c.fix"),
    reading="each constraint alone allows an interval from 0, as ESS and -gamma k fall in gamma",
)


@REM11_2.symbolic(Scope("all pairs of caps in either order, and every k > 0", whole=True))
def _(both: Any) -> Answer:
    """Two intervals from 0 meet in the shorter one, and 1/(2k), where ESS is 0, is below 0.7/k."""
    return all_of(
        [
            *(
                symbolic.equal(both(*caps, Exact), CAP)
                for caps in ((CAP, CAP + D), (CAP + D, CAP), (CAP, CAP))
            ),
            symbolic.positive(khat_cap(K, Exact) - formulas.finite_variance_limit(K)),
        ]
    )


@REM11_2.certified(Scope("three arms with two pairs of constraints, one binding in each"))
def _(both: Any) -> Answer:
    """Just below the cap both constraints hold, just above it one is broken."""
    mu, pi, _ = THREE_ARMS.numbers(Ball)

    def slack_of_ess(rho_min: Number, gamma: Number) -> Number:
        weights = [(a, Ball.power(b / a, gamma)) for a, b in zip(mu, pi, strict=True)]
        first, second = sum(a * x for a, x in weights), sum(a * x * x for a, x in weights)
        return first * first / second - rho_min

    answers = []
    for rho, index in (("1/2", "1/2"), ("2/5", "1")):
        rho_min, k = Ball.number(rho), Ball.number(index)
        cap = certified.root(partial(slack_of_ess, rho_min), Fraction(0), Fraction(1))
        gamma = both(cap, Ball.number("7/10") / k, Ball)
        for relation, side in ((">", "-1/1000"), ("<", "1/1000")):
            at = gamma + Ball.number(side)
            slack = Ball.minimum(slack_of_ess(rho_min, at), Ball.number("7/10") - k * at)
            witness = Witness.at(rho_min=Fraction(rho), k=Fraction(index), side=Fraction(side))
            answers.append(certified.compare(slack, relation, 0, witness=witness))
    return all_of(answers)


def either_side(both: Any, model: ParetoTail, rho_min: Fraction) -> Answer:
    """Say whether a gamma next to a cap meets both constraints exactly where it is allowed."""
    least, bound, k = Ball.number(rho_min), Ball.number("7/10"), Ball.number(model.k)
    met = certified.compare(
        ess(model, flint.arb(0)), ">=", least, witness=named(model, rho_min=rho_min, gamma=0)
    )
    # With k > 0 the ESS is 0 from 1/(2k) on; with k = -1 it is 0.3 at 5.1.
    crossing = certified.root(lambda gamma: ess(model, gamma) - least, Fraction(0), Fraction(100))
    if crossing is None:
        return met
    caps = (crossing, bound / k)
    most = both(*caps, Ball)
    answers = [met]
    for cap in caps:
        for side in ("99/100", "101/100"):
            gamma = cap * Ball.number(side)
            if gamma > 0:
                slack = Ball.minimum(ess(model, gamma) - least, bound - k * gamma)
                relation = ">" if gamma < most else "<"
                at = named(model, rho_min=rho_min, gamma=f"{certified.digits(gamma)}...")
                answers.append(certified.compare(slack, relation, 0, witness=at))
    return all_of(answers)


@REM11_2.without(PARETO)
def _(both: Any, model: ParetoTail) -> Answer:
    return either_side(both, model, Fraction(3, 10))


@REM11_2.without(VALID_RULE, on=(Rule(Fraction(4), Fraction(3, 2)),))
def _(both: Any, given: Rule) -> Answer:
    return either_side(both, ParetoTail(Fraction(1, 2)), given.rho_min)


@REM11_2.wrong("the larger cap")
def _(first: Any, second: Any, m: Any) -> Any:
    return first + second - m.minimum(first, second)


@REM11_2.wrong("the ESS cap alone")
def _(first: Any, second: Any, m: Any) -> Any:
    return first


@REM11_2.wrong("the product of the caps")
def _(first: Any, second: Any, m: Any) -> Any:
    return first * second


CLAIMS = frozen(T11_1_C, T11_1_C_FIX, REM11_2)

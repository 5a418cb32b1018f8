"""Section 7.2, Corollary 7.5: where V(gamma) = E[w^(2 gamma)] and a variance are least.

V is least at gamma = 1/4, as the corollary computes; but V is no variance. That of w^gamma is 0 at
gamma = 0 and positive everywhere else.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL
from isr_theory.claims.instances import log_variance, moment, named
from isr_theory.claims.s07_2_lognormal import (
    ALL_LOGNORMAL,
    GAMMA,
    POINTS,
    SIGMA,
    TRIED,
    WEIGHTS_VARY,
    D,
    X,
    enclosed,
    gauss_moment,
    integrated,
    witnesses,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift

QUARTER = Fraction(1, 4)

C7_5_A = Draft(
    "C7.5.a",
    section="7.2",
    kind=Kind.OPTIMUM,
    title=Text("E[w^(2 gamma)] is least at 1/4", "E[w^{2γ}] 在 γ = 1/4 处最小"),
    finding=Text(
        "True of the second moment of log-normal weights, for every sigma2.",
        "对对数正态权重的二阶矩成立，且与 σ² 无关。",
    ),
    statement=r"\arg\min_\gamma\,\mathbb{E}_\mu[w^{2\gamma}] = \tfrac14",
    subject=QUARTER,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL, WEIGHTS_VARY),
    uses=("T7.4",),
    reading="the paper's V is taken as it is defined in 7.4, not as a variance",
)


@C7_5_A.symbolic(ALL_LOGNORMAL)
def _(minimiser: Any) -> Answer:
    """Log V is that at the minimiser plus 2 sigma2 x^2, x the distance."""
    level = sympy.log(integrated(2 * GAMMA))
    best = Exact.number(minimiser)
    rise = level.subs(GAMMA, best + X) - level.subs(GAMMA, best)
    return all_of(
        [
            symbolic.equal(rise, 2 * SIGMA**2 * X**2, reduce=sympy.expand_log),
            symbolic.positive(2 * SIGMA**2 * D**2),
        ]
    )


@cache
def enclosed_slope(sigma2: Fraction, gamma: Fraction) -> Any:
    """V'(gamma) = E[2 l w^(2 gamma)] by rigorous quadrature, gamma >= -1/100, sigma2 <= 4."""
    s, t = Ball.number(sigma2), 2 * Ball.number(gamma)
    sigma = Ball.sqrt(s)

    def integrand(z: Any) -> Any:
        level = sigma * z - s / 2
        return 2 * level * (t * level).exp()

    # |2 l| <= 2 (1 + sigma2) e^|z|; e^(t l) <= e^(2 (1 + sigma2) |z|) for t >= 0, and at most twice
    # that for t >= -1/50.
    return certified.gaussian_expectation(
        integrand, growth=2 * (1 + sigma2) + 1, constant=4 * (1 + sigma2)
    )


@C7_5_A.margin(spaces.shifted_gaussian(gamma=("0", "1")))
def _(minimiser: Any, case: Any, m: Any) -> Any:
    claimed, other = (
        formulas.second_moment_lognormal(m.number(case.model.sigma2), m.number(gamma), m)
        for gamma in (minimiser, case["gamma"])
    )
    return other - claimed


@C7_5_A.certified(Scope("three values of sigma2"))
def _(minimiser: Any) -> Answer:
    """The slope by rigorous quadrature is 0 there, negative before and positive after."""
    near = Fraction(1, 100)

    def one(sigma2: Fraction) -> list[Answer]:
        witness = Witness.at(sigma2=sigma2, gamma=minimiser)
        before, after = (enclosed_slope(sigma2, minimiser + x) for x in (-near, near))
        return [
            certified.agree([enclosed_slope(sigma2, minimiser)], [0], witnesses=[witness]),
            certified.compare(before, "<", 0, witness=witness),
            certified.compare(after, ">", 0, witness=witness),
        ]

    return all_of(answer for s in ("1/4", "1", "4") for answer in one(Fraction(s)))


@C7_5_A.neural(Scope("two values of sigma"))
def _(minimiser: Any) -> Answer:
    """E[w^(2 gamma)] by Gauss's rule, differentiated once and twice."""
    answers = []
    for sigma in (Fraction(1, 2), Fraction(1)):
        witness = Witness.at(sigma2=sigma * sigma, gamma=minimiser)
        here = neural.tensor(minimiser)

        def second_moment(gamma: Any, sigma: float = float(sigma)) -> Any:
            return gauss_moment(sigma, 2 * gamma)

        answers += [
            neural.close([neural.gradient(second_moment, here)], [0], witness=witness),
            neural.compare(neural.hessian(second_moment, here), ">", 0, witness=witness),
        ]
    return all_of(answers)


@C7_5_A.without(LOGNORMAL)
def _(minimiser: Any, model: Any) -> Answer:
    least, witness = moment(model, 2 * Ball.number(minimiser)), named(model, gamma=minimiser)
    near = (minimiser + Fraction(sign, 100) for sign in (-1, 1))
    return all_of(
        certified.compare(least, "<=", moment(model, 2 * Ball.number(g)), witness=witness)
        for g in near
    )


@C7_5_A.without(WEIGHTS_VARY)
def _(minimiser: Any, model: GaussianShift) -> Answer:
    second = integrated(2 * GAMMA).subs(SIGMA, sympy.sqrt(Exact.number(model.sigma2)))
    least, before, after = (
        second.subs(GAMMA, Exact.number(minimiser + Fraction(k, 100))) for k in (0, -1, 1)
    )
    witness = named(model, gamma=minimiser)
    return all_of(symbolic.compare(least, "<", near, witness=witness) for near in (before, after))


C7_5_A.wrong_value("gamma = 0", Fraction(0))
C7_5_A.wrong_value("the Chernoff point itself", Fraction(1, 2))
C7_5_A.wrong_value("half of it", Fraction(1, 8))
C7_5_A.wrong_value("the gradient's minimiser, d = 1 and small sigma", Fraction(3, 10))

C7_5_B = Draft(
    "C7.5.b",
    section="7.2",
    kind=Kind.OPTIMUM,
    title=Text("The variance of w^gamma is least at 1/4", "w^γ 的方差在 γ = 1/4 处最小"),
    finding=Text(
        "False: at gamma = 0 the weights are all 1 and their variance is 0.",
        "不成立：γ = 0 时权重恒为 1，方差为 0。",
    ),
    statement=r"\mathrm{Var}_\mu(w^{1/4}) \le \mathrm{Var}_\mu(w^\gamma)"
    r" \quad (0 \le \gamma \le 1)",
    subject=QUARTER,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    proof_remark=Text(
        "It minimises E[w^(2 gamma)] and calls that the variance: the squared mean is missing.",
        "最小化的是 E[w^{2γ}]，却称之为方差：缺了均值的平方。",
    ),
    assumes=(LOGNORMAL,),
    uses=("C7.5.a",),
    reading="'variance' is read as the word says, of the weights; 'rather than gamma = 0' is "
    "printed beside it",
)
AT_ZERO = Witness.at(sigma2=1, gamma=0)
ONE_POINT = Scope("sigma2 = 1 and gamma = 0")


@C7_5_B.symbolic(ONE_POINT)
def _(minimiser: Any) -> Answer:
    """Both variances from integrated moments."""

    def variance(gamma: Any) -> Any:
        t = Exact.number(gamma)
        return (integrated(2 * t) - integrated(t) ** 2).subs(SIGMA, 1)

    return symbolic.compare(variance(minimiser), "<=", variance(0), witness=AT_ZERO)


@C7_5_B.certified(ONE_POINT)
def _(minimiser: Any) -> Answer:
    """Both variances by rigorous quadrature."""

    def variance(gamma: Fraction) -> Any:
        first = enclosed(Fraction(1), gamma)
        return enclosed(Fraction(1), 2 * gamma) - first * first

    return certified.compare(variance(minimiser), "<=", variance(Fraction(0)), witness=AT_ZERO)


@C7_5_B.margin(spaces.shifted_gaussian(gamma=("0", "1")))
def _(minimiser: Any, case: Any, m: Any) -> Any:
    claimed, other = (
        formulas.weight_variance_lognormal(m.number(case.model.sigma2), m.number(gamma), m)
        for gamma in (minimiser, case["gamma"])
    )
    return other - claimed


C7_5_B.right_value("gamma = 0", Fraction(0))

C7_5_B_FIX = Draft(
    "C7.5.b.fix",
    section="7.2",
    kind=Kind.IDENTITY,
    title=Text("The variance of w^gamma, log-normal weights", "对数正态下 w^γ 的方差"),
    finding=Text(
        "It is 0 at gamma = 0 and positive for every other gamma, so 0 is its only minimiser.",
        "γ = 0 时为 0，其余 γ 处为正，故 γ = 0 是唯一最小点。",
    ),
    statement=r"\mathrm{Var}_\mu(w^\gamma)"
    r" = e^{\sigma^2\gamma(\gamma-1)}\bigl(e^{\sigma^2\gamma^2} - 1\bigr),"
    r"\quad = 0 \iff \gamma = 0",
    subject=formulas.weight_variance_lognormal,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, WEIGHTS_VARY),
    uses=("A7.3", "T7.4"),
    amends=("C7.5.b",),
    reading="not that it rises throughout: for large sigma2 it has a second, local minimum",
)


@C7_5_B_FIX.symbolic(ALL_LOGNORMAL)
def _(variance: Any) -> Answer:
    """From two integrated moments; off 0 it is twice an exponential times a hyperbolic sine."""
    tilt = sympy.exp(SIGMA**2 * GAMMA * (GAMMA - 1) + SIGMA**2 * GAMMA**2 / 2)
    size = 2 * tilt * sympy.sinh(SIGMA**2 * GAMMA**2 / 2)
    closed = variance(SIGMA**2, GAMMA, Exact)
    return all_of(
        [
            symbolic.equal(integrated(2 * GAMMA) - integrated(GAMMA) ** 2, closed),
            symbolic.positive(size),
            symbolic.equal(closed, size, reduce=lambda d: sympy.expand(d.rewrite(sympy.exp))),
            symbolic.equal(variance(SIGMA**2, sympy.S.Zero, Exact), 0),
        ]
    )


@cache
def enclosed_variance(sigma2: Fraction, gamma: Fraction) -> Any:
    """E[(w^gamma - E[w^gamma])^2] by rigorous quadrature, 0 <= gamma <= 1."""
    s, power, mean = Ball.number(sigma2), Ball.number(gamma), enclosed(sigma2, gamma)
    sigma = Ball.sqrt(s)

    def integrand(z: Any) -> Any:
        excess = (power * (sigma * z - s / 2)).exp() - mean
        return excess * excess

    # w^gamma <= e^((1 + sigma2) |z|) and E[w^gamma] <= 1, so the square is at most 4 of its square.
    return certified.gaussian_expectation(integrand, growth=2 * (1 + sigma2), constant=4)


@C7_5_B_FIX.certified(Scope("four points of (sigma2, gamma), and gamma = 0"))
def _(variance: Any) -> Answer:
    """The mean squared excess by rigorous quadrature: positive, and 0 at gamma = 0."""
    points = [*POINTS, (Fraction(1), Fraction(0))]
    closed = [variance(Ball.number(s), Ball.number(g), Ball) for s, g in points]
    signs = [
        certified.compare(value, ">", 0, witness=witness)
        for value, witness in zip(closed, witnesses(POINTS), strict=False)
    ]
    defined = [enclosed_variance(s, g) for s, g in points]
    return all_of([certified.agree(defined, closed, witnesses=witnesses(points)), *signs])


@C7_5_B_FIX.sampled(Scope("sigma2 = 1, gamma = 3/4"), resolution=0.1, looks=2)
def _(variance: Any, trial: Trial) -> Answer:
    """Both moments of a Gaussian shift, drawn from a mixture that bounds the weights."""
    law = GaussianShift(Fraction(1))
    first = trial.mean("first moment", *law.power(0.75), resolution=0.02)
    second = trial.mean("second moment", *law.power(1.5), resolution=0.05)
    witness = Witness.at(sigma2=1, gamma=Fraction(3, 4))
    return trial.agrees(second - first * first, variance(1.0, 0.75, Real), witness=witness)


@C7_5_B_FIX.without(LOGNORMAL)
def _(variance: Any, model: Any) -> Answer:
    gamma = Ball.number(TRIED)
    first = moment(model, gamma)
    return certified.agree(
        [moment(model, 2 * gamma) - first * first],
        [variance(log_variance(model), gamma, Ball)],
        witnesses=[named(model, gamma=TRIED)],
    )


@C7_5_B_FIX.without(WEIGHTS_VARY)
def _(variance: Any, model: GaussianShift) -> Answer:
    value = variance(Exact.number(model.sigma2), Exact.number(TRIED), Exact)
    return symbolic.compare(value, ">", 0, witness=named(model, gamma=TRIED))


@C7_5_B_FIX.wrong("the second moment, as printed")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (2 * gamma - 1))


@C7_5_B_FIX.wrong("the squared coefficient of variation")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * gamma) - 1


@C7_5_B_FIX.wrong("the mean not squared")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (2 * gamma - 1)) - m.exp(sigma2 * gamma * (gamma - 1) / 2)


@C7_5_B_FIX.number("Var(w^gamma) at sigma2 = 1, gamma = 1/4")
def _() -> str:
    return certified.digits(enclosed_variance(Fraction(1), QUARTER))


CLAIMS = frozen(C7_5_A, C7_5_B, C7_5_B_FIX)

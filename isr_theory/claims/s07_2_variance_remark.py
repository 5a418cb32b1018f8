"""Section 7.2, the remark on Corollary 7.5: why E[w^(2 gamma)] falls below 1.

Not because contributions balance: E[w^(2 gamma)] = E[w^gamma]^2 (1 + CV^2), where the scale
E[w^gamma] is below 1 for gamma between 0 and 1, and the relative spread only rises.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory.arithmetic import Ball, Exact, Jet, Real
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
    enclosed,
    integrated,
    nodes,
    witnesses,
)
from isr_theory.claims.s07_2_variance import QUARTER
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift

ONE = Fraction(1)


def squared_variation(first: Any, second: Any) -> Any:
    """CV^2(w^gamma) = E[w^(2 gamma)]/E[w^gamma]^2 - 1, from the two moments."""
    return second / (first * first) - 1


REM7_5 = Draft(
    "REM7.5",
    section="7.2",
    kind=Kind.REMARK,
    title=Text("Slight correction balances contributions", "轻微校正平衡正负贡献"),
    finding=Text(
        "False: relative to their mean the weights at gamma = 1/4 vary, and those at gamma = 0 "
        "do not.",
        "不成立：相对于均值，γ = 1/4 的权重有波动，而 γ = 0 的权重没有。",
    ),
    statement=r"\mathrm{CV}^2_\mu(w^{1/4}) < \mathrm{CV}^2_\mu(w^0)",
    subject=squared_variation,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    proof_remark=Text(
        "Nothing cancels: a second moment has positive terms only, and this one falls because "
        "E[w^gamma] does.",
        "并无正负相消：二阶矩各项皆正，它下降只因 E[w^γ] 下降。",
    ),
    assumes=(LOGNORMAL,),
    uses=("C7.5.a",),
    reading="if V fell because contributions balance, the weights would vary less about their "
    "mean; CV is the standard deviation over the mean, which no change of scale touches",
)
SLIGHT = Witness.at(sigma2=1, gamma=QUARTER)


@REM7_5.symbolic(Scope("sigma2 = 1, gamma = 1/4"))
def _(unbalance: Any) -> Answer:
    """Both squared variations from integrated moments."""

    def at_gamma(gamma: Any) -> Any:
        t = Exact.number(gamma)
        return unbalance(*(integrated(power).subs(SIGMA, 1) for power in (t, 2 * t)))

    return symbolic.compare(at_gamma(QUARTER), "<", at_gamma(0), witness=SLIGHT)


@REM7_5.certified(Scope("sigma2 = 1, gamma = 1/4"))
def _(unbalance: Any) -> Answer:
    """Both squared variations by rigorous quadrature."""
    slight, none = (
        unbalance(enclosed(ONE, gamma), enclosed(ONE, 2 * gamma))
        for gamma in (QUARTER, Fraction(0))
    )
    return certified.compare(slight, "<", none, witness=SLIGHT)


@REM7_5.neural(Scope("sigma2 = 1, gamma = 1/4"))
def _(unbalance: Any) -> Answer:
    """The variance as half the mean squared difference of two weights, by Gauss's rule."""
    z, mass = nodes()

    def at_gamma(gamma: float) -> Any:
        w = (gamma * (z - 0.5)).exp()
        first = (mass * w).sum()
        differences = (w[:, None] - w[None, :]) ** 2
        variance = (mass[:, None] * mass[None, :] * differences).sum() / 2
        return unbalance(first, variance + first * first)

    return neural.compare(at_gamma(0.25), "<", at_gamma(0.0), witness=SLIGHT)


@REM7_5.right("the squared mean, which is what falls")
def _(first: Any, second: Any) -> Any:
    return first * first + 0 * second


class Factors(NamedTuple):
    """What E[w^(2 gamma)] is the product of: E[w^gamma]^2 and 1 + CV^2(w^gamma)."""

    scale: Any
    spread: Any


def squared_scale(sigma2: Any, gamma: Any, m: Any) -> Any:
    """E[w^gamma]^2 = exp(sigma2 gamma (gamma-1))."""
    return m.exp(sigma2 * gamma * (gamma - 1))


def relative_spread(sigma2: Any, gamma: Any, m: Any) -> Any:
    """1 + CV^2(w^gamma) = exp(sigma2 gamma^2)."""
    return m.exp(sigma2 * gamma * gamma)


BOTH = Factors(squared_scale, relative_spread)

REM7_5_FIX = Draft(
    "REM7.5.fix",
    section="7.2",
    kind=Kind.REMARK,
    title=Text("Why E[w^(2 gamma)] falls below 1", "E[w^{2γ}] 为何低于 1"),
    finding=Text(
        "Through the scale E[w^gamma] < 1 alone: the relative spread of the weights rises "
        "throughout.",
        "仅因尺度 E[w^γ] < 1：权重的相对离散度始终上升。",
    ),
    statement=r"\mathbb{E}[w^{2\gamma}] = \mathbb{E}[w^\gamma]^2 (1 + \mathrm{CV}^2(w^\gamma)),"
    r"\quad \mathbb{E}[w^\gamma]^2 = e^{\sigma^2\gamma(\gamma-1)} < 1 \ (0 < \gamma < 1),"
    r"\quad 1 + \mathrm{CV}^2(w^\gamma) = e^{\sigma^2\gamma^2} \text{ rises}",
    subject=BOTH,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, WEIGHTS_VARY),
    uses=("T7.4", "T8.2"),
    amends=("REM7.5",),
    reading="CV is the standard deviation over the mean, under mu",
)


@REM7_5_FIX.symbolic(ALL_LOGNORMAL)
def _(factors: Any) -> Answer:
    """Both factors from integrated moments; the signs of their logarithms' slope and value."""
    scale, spread = (factor(SIGMA**2, GAMMA, Exact) for factor in factors)
    first, second = integrated(GAMMA), integrated(2 * GAMMA)
    # gamma = 1/(1+d) runs through (0, 1).
    loss = -sympy.expand(sympy.log(first**2), force=True).subs(GAMMA, 1 / (1 + D))
    return all_of(
        [
            symbolic.equal(first**2, scale),
            symbolic.equal(second / first**2, spread, reduce=sympy.powsimp),
            symbolic.equal(second, scale * spread, reduce=sympy.powsimp),
            symbolic.positive(sympy.factor(loss)),
            symbolic.positive(sympy.diff(spread, GAMMA)),
        ]
    )


@REM7_5_FIX.certified(
    Scope("four points of (sigma2, gamma); all gamma in [1/10, 9/10], sigma2 = 1")
)
def _(factors: Any) -> Answer:
    """Both factors by rigorous quadrature; below 1 and rising, box by box."""
    found, expected = [], []
    for s, g in POINTS:
        first, second = enclosed(s, g), enclosed(s, 2 * g)
        found += [first * first, second / (first * first)]
        expected += [factor(Ball.number(s), Ball.number(g), Ball) for factor in factors]
    named = [witness for witness in witnesses(POINTS) for _ in factors]
    box = (Fraction(1, 10), Fraction(9, 10))

    def rise(gamma: Any) -> Any:
        return certified.derivatives(lambda g: factors.spread(Jet.number(1), g, Jet), gamma, 1)[1]

    def loss(gamma: Any) -> Any:
        return 1 - factors.scale(Ball.number(1), gamma, Ball)

    signs = [
        certified.sign_on(
            function, box, positive=True, witness=lambda g: Witness.at(sigma2=1, gamma=g)
        )
        for function in (rise, loss)
    ]
    return all_of([certified.agree(found, expected, witnesses=named), *signs])


@REM7_5_FIX.sampled(Scope("sigma2 = 1, gamma = 3/4"), resolution=0.15, looks=2)
def _(factors: Any, trial: Trial) -> Answer:
    """Both moments of a Gaussian shift, drawn from a mixture that bounds the weights."""
    law = GaussianShift(ONE)
    first = trial.mean("first moment", *law.power(0.75), resolution=0.02)
    second = trial.mean("second moment", *law.power(1.5), resolution=0.02)
    witness = Witness.at(sigma2=1, gamma=Fraction(3, 4))
    found = (first * first, second / (first * first))
    return all_of(
        trial.agrees(interval, factor(1.0, 0.75, Real), witness=witness)
        for interval, factor in zip(found, factors, strict=True)
    )


@REM7_5_FIX.without(LOGNORMAL)
def _(factors: Any, model: Any) -> Answer:
    gamma, sigma2 = Ball.number(TRIED), log_variance(model)
    first, second = moment(model, gamma), moment(model, 2 * gamma)
    return certified.agree(
        [first * first, second / (first * first)],
        [factor(sigma2, gamma, Ball) for factor in factors],
        witnesses=[named(model, gamma=TRIED)] * 2,
    )


@REM7_5_FIX.without(WEIGHTS_VARY)
def _(factors: Any, model: GaussianShift) -> Answer:
    sigma2, early, late = (Exact.number(x) for x in (model.sigma2, "1/4", TRIED))
    witness = named(model, gamma=TRIED)
    below, rises = (
        symbolic.compare(factors.scale(sigma2, late, Exact), "<", 1, witness=witness),
        symbolic.compare(
            factors.spread(sigma2, late, Exact),
            ">",
            factors.spread(sigma2, early, Exact),
            witness=witness,
        ),
    )
    return all_of([below, rises])


def _constant(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(0 * sigma2 * gamma)


def _falling(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (gamma - 1) / 2)


def _balanced(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (2 * gamma - 1))


REM7_5_FIX.wrong_value("balance as printed: V is all spread", Factors(_constant, _balanced))
REM7_5_FIX.wrong_value("the scale not squared", BOTH._replace(scale=_falling))
REM7_5_FIX.wrong_value("the exponents exchanged", Factors(relative_spread, squared_scale))


CLAIMS = frozen(REM7_5, REM7_5_FIX)

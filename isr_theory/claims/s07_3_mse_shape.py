"""Section 7.3: the two terms of Bias^2 + V/n.

The first falls on [0, 1]. The second, for log-normal weights, falls until 1/4 and rises from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    MU,
    NUDGE,
    SUMS,
    TARGET,
    D,
    general_bias,
    gibbs,
    pairs_have_sign,
    slope_by_pairs,
    slope_of,
    total_mass,
)
from isr_theory.claims.instances import log_variance, moment, named
from isr_theory.claims.s07_1_bias import (
    HALF,
    LAWS,
    along,
    at,
    bias_along,
    ends,
    infinite_bias,
    on_balls,
)
from isr_theory.claims.s07_2_lognormal import (
    SIGMA,
    WEIGHTS_VARY,
    enclosed,
    gauss_moment,
    integrated,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import UNIFORM_POLICY, Finite, GaussianShift


def slope(function: Callable[[Number], Number]) -> Callable[[Any], Any]:
    """Return the derivative of a function over Jet, as a function of a ball."""
    return lambda place: certified.derivatives(function, place, 1)[1]


def squared_bias(mu: Sequence[Number], target: Sequence[Number], gamma: Number, m: Any) -> Number:
    """Bias^2(gamma), from the closed form of Bias."""
    bias = formulas.bias(mu, target, gamma, m)
    return bias * bias


T7_6_B = Draft(
    "T7.6.b",
    section="7.3",
    kind=Kind.INEQUALITY,
    title=Text("Bias^2 decreases in gamma", "Bias² 关于 γ 单调递减"),
    finding=Text(
        "True on [0, 1] for every p* other than mu, with slope 0 at gamma = 1.",
        "对任意 p* ≠ μ 在 [0, 1] 上成立，γ = 1 处斜率为 0。",
    ),
    statement=r"\frac{d}{d\gamma}\mathrm{Bias}^2(\gamma)"
    r" = 2\,\mathrm{Bias}(\gamma)\,\mathrm{Bias}'(\gamma) < 0 \quad (0 \le \gamma < 1)",
    subject=squared_bias,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It rests on the step that the proof of 7.2 leaves out, and on Bias >= 0, which it "
        "does not mention.",
        "依赖定理 7.2 证明中缺失的一步，并用到未提及的 Bias ≥ 0。",
    ),
    assumes=(TARGET_DIFFERS,),
    uses=("D7.1", "T7.2.a"),
    reading="p* = e^(r/tau)/Z is positive wherever mu is",
)


@T7_6_B.symbolic(EVERY_LAW)
def _(square: Any) -> Answer:
    """The slope is twice Bias, which Gibbs makes positive, times Bias', a sum over pairs."""
    bias, slope_of_bias = (slope_of(general_bias(), order) for order in (0, 1))
    squared = square(MU, TARGET, GAMMA + NUDGE, SUMS)
    return all_of(
        [
            symbolic.equal(slope_of(squared), 2 * bias * slope_of_bias),
            symbolic.equal(slope_of_bias * total_mass(), slope_by_pairs()),
            *pairs_have_sign(-1),
            *gibbs(),
        ]
    )


@T7_6_B.certified(Scope("two laws, every gamma in [0, 19/20]"))
def _(square: Any) -> Answer:
    """The square of the defined divergence at points; its slope is negative, box by box."""

    def one(law: Finite) -> list[Answer]:
        mu, target = ends(law, Jet)
        gammas = [Fraction(k, 4) for k in range(5)]
        defined = [bias_along(law, Ball)(Ball.number(g)) for g in gammas]
        closed = [square(*ends(law, Ball), Ball.number(g), Ball) for g in gammas]
        return [
            certified.agree(
                [bias * bias for bias in defined], closed, witnesses=[at(law, g) for g in gammas]
            ),
            certified.sign_on(
                slope(lambda gamma: square(mu, target, gamma, Jet)),
                (Fraction(0), Fraction(19, 20)),
                positive=False,
                witness=along(law),
            ),
        ]

    return all_of(answer for law in LAWS for answer in one(law))


@T7_6_B.neural(Scope("four arms at three gammas"))
def _(square: Any) -> Answer:
    """The defined divergence, squared and differentiated backwards."""
    mu, target = ends(UNIFORM_POLICY, Tensor)
    answers = []
    for gamma in (Fraction(0), Fraction(1, 3), Fraction(9, 10)):
        witness, here = at(UNIFORM_POLICY, gamma), neural.tensor(gamma)
        defined = neural.gradient(lambda g: bias_along(UNIFORM_POLICY, Tensor)(g) ** 2, here)
        closed = neural.gradient(lambda g: square(mu, target, g, Tensor), here)
        answers += [
            neural.close(closed, defined, witness=witness),
            neural.compare(closed, "<", 0, witness=witness),
        ]
    return all_of(answers)


@T7_6_B.without(TARGET_DIFFERS)
def _(square: Any, law: Finite) -> Answer:
    if infinite := infinite_bias(law):
        return infinite
    defined, closed = bias_along(law, Ball)(Ball.number(HALF)), on_balls(square, law)
    early, late = (square(*ends(law, Exact), Exact.number(g), Exact) for g in ("1/4", "3/4"))
    return all_of(
        [
            certified.agree(
                [closed(Ball.number(HALF))], [defined * defined], witnesses=[at(law, HALF)]
            ),
            symbolic.compare(late, "<", early, witness=at(law, ("1/4", "3/4"))),
        ]
    )


@T7_6_B.wrong("not squared")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return formulas.bias(mu, target, gamma, m)


@T7_6_B.wrong("the divergence of p_gamma from p*")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    path = formulas.geometric_path(mu, target, gamma, m)
    divergence = formulas.kl(path, target, m)
    return divergence * divergence


@T7_6_B.wrong("the path from p* to mu")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return squared_bias(mu, target, 1 - gamma, m)


T7_6_C = Draft(
    "T7.6.c",
    section="7.3",
    kind=Kind.INEQUALITY,
    title=Text("V increases above 1/4", "V(γ) 在 γ > 1/4 递增"),
    finding=Text(
        "True for log-normal weights, of the second moment that the paper calls V.",
        "对对数正态权重的二阶矩 V 成立。",
    ),
    statement=r"V'(\gamma) = \sigma^2(4\gamma-1)\,V(\gamma) > 0 \quad (\gamma > \tfrac14)",
    subject=formulas.second_moment_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL, WEIGHTS_VARY),
    uses=("T7.4", "C7.5.a"),
)


@T7_6_C.symbolic(Scope("every sigma2 > 0 and gamma > 1/4, log-normal model", whole=True))
def _(second_moment: Any) -> Answer:
    """V by completing the square, and its slope at 1/4 + d."""
    closed = second_moment(SIGMA**2, GAMMA, Exact)
    rise = sympy.diff(closed, GAMMA)
    return all_of(
        [
            symbolic.equal(integrated(2 * GAMMA), closed),
            symbolic.equal(rise, SIGMA**2 * (4 * GAMMA - 1) * integrated(2 * GAMMA)),
            symbolic.positive(rise.subs(GAMMA, sympy.Rational(1, 4) + D)),
        ]
    )


@T7_6_C.certified(Scope("two values of sigma2: two gammas, and every gamma in [13/50, 1]"))
def _(second_moment: Any) -> Answer:
    """V by rigorous quadrature; the slope is positive, box by box."""

    def one(sigma2: Fraction) -> list[Answer]:
        gammas, s = (Fraction(1, 2), Fraction(4, 5)), Ball.number(sigma2)
        named = [Witness.at(sigma2=sigma2, gamma=g) for g in gammas]
        closed = [second_moment(s, Ball.number(g), Ball) for g in gammas]
        defined = [enclosed(sigma2, 2 * g) for g in gammas]
        return [
            certified.agree(defined, closed, witnesses=named),
            certified.sign_on(
                slope(lambda gamma: second_moment(s, gamma, Jet)),
                (Fraction(13, 50), Fraction(1)),
                positive=True,
                witness=lambda gamma: Witness.at(sigma2=sigma2, gamma=gamma),
            ),
        ]

    return all_of(answer for s in (1, 4) for answer in one(Fraction(s)))


@T7_6_C.neural(Scope("sigma2 = 1 at three gammas"))
def _(second_moment: Any) -> Answer:
    """Both slopes by autograd, that of the definition through Gauss's rule."""
    answers = []
    for gamma in (Fraction(3, 10), Fraction(3, 5), Fraction(1)):
        witness, here = Witness.at(sigma2=1, gamma=gamma), neural.tensor(gamma)
        closed = neural.gradient(lambda g: second_moment(Tensor.number(1), g, Tensor), here)
        defined = neural.gradient(lambda g: gauss_moment(1.0, 2 * g), here)
        answers += [
            neural.close(closed, defined, witness=witness),
            neural.compare(closed, ">", 0, witness=witness),
        ]
    return all_of(answers)


@T7_6_C.without(LOGNORMAL)
def _(second_moment: Any, model: Any) -> Answer:
    low, high = Fraction(13, 50), Fraction(7, 25)
    first, later = (moment(model, 2 * Ball.number(g)) for g in (low, high))
    closed = second_moment(log_variance(model), Ball.number(low), Ball)
    return all_of(
        [
            certified.compare(first, "<", later, witness=named(model, gamma=(low, high))),
            certified.agree([first], [closed], witnesses=[named(model, gamma=low)]),
        ]
    )


@T7_6_C.without(WEIGHTS_VARY)
def _(second_moment: Any, model: GaussianShift) -> Answer:
    early, late = (
        second_moment(Exact.number(model.sigma2), Exact.number(g), Exact) for g in ("13/50", "1")
    )
    return symbolic.compare(early, "<", late, witness=named(model, gamma=("13/50", 1)))


@T7_6_C.wrong("E[w^gamma]^2 for E[w^(2 gamma)]")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (gamma - 1))


@T7_6_C.wrong("sign of the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(-1 * sigma2 * gamma * (2 * gamma - 1))


@T7_6_C.wrong("the relative spread, which rises from 0 on")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * gamma)


CLAIMS = frozen(T7_6_B, T7_6_C)

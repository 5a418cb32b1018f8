"""Past section 7: the bias of the estimator that the paper's loss codes.

A ratio of two means has a bias of order 1/n. With r = 1 that bias is a gradient of its own, which
climbs the effective sample size; at gamma = 1, where there is nothing to learn, it is all there is.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import flint
import sympy

from isr_theory.arithmetic import Ball, Number
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU, UNIT_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.instances import named
from isr_theory.claims.moving import along_logits
from isr_theory.claims.s07_2_lognormal import GAMMA
from isr_theory.claims.x02_selfnormalised import (
    CASES,
    CROSS,
    FIRST,
    M1,
    M2,
    MANY,
    QUARTER,
    A,
    averages,
    counted,
    two_armed,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, RARE_ARM, TWO_ARMS, Finite


def limit_bias(m1: Number, m2: Number, first: Number, cross: Number) -> Number:
    """A m2/m1^3 - B/m1^2, A = E[w^gamma r s], B = E[w^(2 gamma) r s]."""
    return (first * m2 / m1 - cross) / (m1 * m1)


BIAS = Draft(
    "VAR.snbias",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The bias of the coded estimator", "自归一化估计量的 O(1/n) 偏差"),
    finding=Text(
        "Self-normalised, n times the bias tends to A m2/m1^3 - B/m1^2, seen in exact enumeration.",
        "自归一化估计量的 n·偏差趋于 A m₂/m₁³ − B/m₁²，精确枚举所证。",
    ),
    statement=r"n\,(\mathbb{E}\hat G - G) \to \frac{A m_2}{m_1^3} - \frac{B}{m_1^2},\quad"
    r" m_k = \mathbb{E}_\mu[w^{k\gamma}],\ A = \mathbb{E}_\mu[w^\gamma r s],\ "
    r"B = \mathbb{E}_\mu[w^{2\gamma} r s]",
    subject=limit_bias,
    expect=Verdict.VERIFIED,
    uses=("VAR.selfnormalised",),
    sharpens=("LST12.1.loss", "T6.3.fix"),
    source="the delta method, classical for ratio estimators (Cochran 1977)",
    reading="finitely many outcomes with pi > 0, componentwise",
)


@BIAS.symbolic(
    Scope(
        "every law: weights are positive, so that the third-order rest of Taylor's formula has a"
        " mean of order 1/n^2",
        whole=True,
    )
)
def _(bias: Any) -> Answer:
    """Half the second derivatives of a ratio against the covariances of numerator and divisor."""
    a, b = sympy.symbols("ratio_a ratio_b", positive=True)
    covariance = CROSS - FIRST * M1
    variance = M2 - M1**2
    ratio = a / b
    mixed, bent, own = (
        sympy.diff(ratio, *by).subs({a: FIRST, b: M1}) for by in ((a, b), (b, b), (a, a))
    )
    return all_of(
        [
            symbolic.equal(mixed * covariance + bent * variance / 2, bias(M1, M2, FIRST, CROSS)),
            symbolic.equal(own, 0),
        ]
    )


@cache
def sequences(law: Finite, gamma: Fraction, n: int) -> Any:
    """Enclose the mean of the estimator over all sequences of n outcomes."""
    mu, weights, values = two_armed(law, gamma)
    mean = flint.arb(0)
    for drawn in product((0, 1), repeat=n):
        chance = math.prod((mu[k] for k in drawn), start=flint.arb(1))
        total = sum(weights[k] for k in drawn)
        mean += chance * sum(weights[k] * values[k] for k in drawn) / total
    return mean


@BIAS.certified(Scope("two arms with two rewards, three gammas: 2 to 4 samples, and 600"))
def _(bias: Any) -> Answer:
    """All sequences of 2 to 4 agree with counts; at 600 the bias is within 12/n of the limit."""
    answers = []
    for law, gamma in CASES:
        at = witness_of(law, gamma=gamma)
        few = (2, 3, 4)
        answers.append(
            certified.agree(
                [sequences(law, gamma, n) for n in few],
                [counted(law, gamma, n)[0] for n in few],
                witnesses=[at] * len(few),
            )
        )
        m1, m2, first, cross, _ = averages(*two_armed(law, gamma))
        found = MANY * (counted(law, gamma, MANY)[0] - first / m1)
        off = abs(found - bias(m1, m2, first, cross))
        answers.append(certified.compare(off, "<", Ball.number(Fraction(12, MANY)), witness=at))
    return all_of(answers)


@BIAS.neural(Scope("four arms with a reward, three gammas, every logit"))
def _(bias: Any) -> Answer:
    """Half the trace of the Hessian of the ratio in the empirical law, against its covariance."""
    torch, law, answers = neural.torch(), FOUR_ARMS, []
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    scores = torch.autograd.functional.jacobian(lambda z: z.log_softmax(0), logits(law))
    spread = torch.diag(mu) - torch.outer(mu, mu)
    for gamma in (Fraction(0), Fraction(1, 4), Fraction(1)):
        weights, at = (pi / mu) ** float(gamma), witness_of(law, gamma=gamma)
        for k in range(len(law.mu)):
            values = reward * scores[:, k]

            def ratio(p: Any, weights: Any = weights, values: Any = values) -> Any:
                return (p * weights * values).sum() / (p * weights).sum()

            found = (neural.hessian(ratio, mu) * spread).sum() / 2
            m1, m2, first, cross, _ = averages(mu, weights, values)
            answers.append(neural.close([found], [bias(m1, m2, first, cross)], witness=at))
    return all_of(answers)


@BIAS.wrong("the sign")
def _(m1: Any, m2: Any, first: Any, cross: Any) -> Any:
    return -limit_bias(m1, m2, first, cross)


@BIAS.wrong("the divisor's variance forgotten")
def _(m1: Any, m2: Any, first: Any, cross: Any) -> Any:
    return (first - cross / m1) / m1


@BIAS.wrong("half the divisor's variance")
def _(m1: Any, m2: Any, first: Any, cross: Any) -> Any:
    return (first * m2 / (2 * m1) - cross) / (m1 * m1)


@BIAS.number("E of the estimator from 4 samples, two arms, r = 1, gamma = 1/2")
def _() -> str:
    return certified.digits(sequences(TWO_ARMS, Fraction(1, 2), 4))


@BIAS.number("n times the bias in the limit, the same")
def _() -> str:
    m1, m2, first, cross, _ = averages(*two_armed(TWO_ARMS, Fraction(1, 2)))
    return certified.digits(limit_bias(m1, m2, first, cross))


def drift_scale(gamma: Number) -> Number:
    """What multiplies the gradient of n/ESS: -1/(2 gamma)."""
    return -1 / (2 * gamma)


DRIFT = Draft(
    "VAR.sndrift",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("With r = 1 the bias climbs the ESS", "r≡1 时偏差沿 ESS 上升"),
    finding=Text(
        "With r = 1 the bias of the coded estimator is a gradient: to first order in 1/n it"
        " descends n/ESS at the rate 1/(2 gamma n), and at gamma = 1 it is all of the signal.",
        "r≡1 时自归一化的偏差是梯度：首阶为 −(1/(2γn))∇(n/ESS)；γ = 1 时它就是全部信号。",
    ),
    statement=r"r \equiv 1:\quad \frac{A m_2}{m_1^3} - \frac{B}{m_1^2}"
    r" = -\frac{1}{2\gamma}\nabla_\theta\frac{m_2}{m_1^2},\quad \frac{m_2}{m_1^2}"
    r" = \frac{n}{\mathrm{ESS}_\gamma};\quad \gamma = 1:\ \mathbb{E}_\mu[w s] = 0",
    subject=drift_scale,
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD, PI_IN_MU),
    uses=("VAR.snbias", "D8.1", "VAR.control"),
    sharpens=("D8.1", "LST12.1.sft.fix"),
    source="new here",
    reading="gamma > 0; n/ESS is the population's, a function of the policy; pi << mu is needed for"
    " the last equation only, which says that nothing else is left at gamma = 1",
)


@DRIFT.symbolic(Scope("every law: the slopes of m1 and m2 are gamma A and 2 gamma B", whole=True))
def _(scale: Any) -> Answer:
    """The slope of m2/m1^2 by the quotient rule; the slopes of m1, m2 outcome by outcome."""
    theta = sympy.symbols("theta", real=True)
    score = sympy.symbols("score", real=True)
    weight = A * sympy.exp(theta * score)
    once, twice = sympy.Function("m1")(theta), sympy.Function("m2")(theta)
    slopes = {sympy.diff(once, theta): GAMMA * FIRST, sympy.diff(twice, theta): 2 * GAMMA * CROSS}
    ratio = sympy.diff(twice / once**2, theta).subs(slopes).subs({once: M1, twice: M2})
    own = [sympy.diff(weight ** (k * GAMMA), theta).subs(theta, 0) for k in (1, 2)]
    return all_of(
        [
            symbolic.equal(own[0], GAMMA * A**GAMMA * score),
            symbolic.equal(own[1], 2 * GAMMA * A ** (2 * GAMMA) * score),
            symbolic.equal(scale(GAMMA) * ratio, limit_bias(M1, M2, FIRST, CROSS)),
        ]
    )


def in_logits(law: Finite, gamma: Fraction) -> tuple[list[Any], list[Any]]:
    """Return the limits of n times the bias, and the slopes of m2/m1^2, in every logit."""
    mu, pi, reward = law.numbers(Ball)
    power = Ball.number(gamma)
    weights = [Ball.power(b / a, power) for a, b in zip(mu, pi, strict=True)]
    biases = []
    for k in range(len(mu)):
        values = [r * ((i == k) - pi[k]) for i, r in enumerate(reward)]
        m1, m2, first, cross, _ = averages(mu, weights, values)
        biases.append(limit_bias(m1, m2, first, cross))

    def inverse_ess(policy: list[Any]) -> Any:
        powers = [(power * (p / a).log()).exp() for a, p in zip(mu, policy, strict=True)]
        first = sum(a * v for a, v in zip(mu, powers, strict=True))
        return sum(a * v * v for a, v in zip(mu, powers, strict=True)) / (first * first)

    return biases, along_logits(inverse_ess, pi)


@DRIFT.certified(Scope("four arms, three gammas, every logit"))
def _(scale: Any) -> Answer:
    """The slope of n/ESS in every logit as a power series, against sums over outcomes."""
    answers = []
    for gamma in (QUARTER, Fraction(1, 2), Fraction(1)):
        biases, slopes = in_logits(RARE_ARM, gamma)
        stated = [scale(Ball.number(gamma)) * slope for slope in slopes]
        at = [witness_of(RARE_ARM, gamma=gamma)] * len(slopes)
        answers.append(certified.agree(biases, stated, witnesses=at))
    return all_of([*answers, no_signal(RARE_ARM)])


def no_signal(law: Finite) -> Answer:
    """Compare E_mu[w s] with 0 in every logit, summed over the outcomes of mu."""
    mu, pi, _ = law.numbers(Ball)
    places = [y for y, a in enumerate(law.mu) if a > 0]
    found = [
        sum(mu[y] * (pi[y] / mu[y]) * (int(y == k) - pi[k]) for y in places) for k in range(len(pi))
    ]
    return certified.agree(found, [0] * len(pi), witnesses=[named(law, gamma=1)] * len(pi))


@DRIFT.neural(Scope("four arms, three gammas, every logit"))
def _(scale: Any) -> Answer:
    """Autograd of n/ESS in the logits, against the Hessian of the ratio in the empirical law."""
    torch, law, answers = neural.torch(), RARE_ARM, []
    mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)
    scores = torch.autograd.functional.jacobian(lambda z: z.log_softmax(0), logits(law))
    spread = torch.diag(mu) - torch.outer(mu, mu)
    for gamma in (0.25, 0.5, 1.0):
        weights = (pi / mu) ** gamma

        def inverse_ess(z: Any, gamma: float = gamma) -> Any:
            powers = (z.softmax(0) / mu) ** gamma
            return (mu * powers**2).sum() / (mu * powers).sum() ** 2

        def ratio(p: Any, k: int, weights: Any = weights) -> Any:
            return (p * weights * scores[:, k]).sum() / (p * weights).sum()

        found = []
        for k in range(len(law.mu)):

            def one(p: Any, k: int = k, of: Any = ratio) -> Any:
                return of(p, k)

            found.append(float((neural.hessian(one, mu) * spread).sum() / 2))
        stated = scale(gamma) * neural.gradient(inverse_ess, logits(law))
        answers.append(neural.close(found, stated, witness=witness_of(law, gamma=Fraction(gamma))))
    return all_of(answers)


@DRIFT.without(UNIT_REWARD)
def _(scale: Any, law: Finite) -> Answer:
    gamma = Fraction(1, 2)
    biases, slopes = in_logits(law, gamma)
    stated = [scale(Ball.number(gamma)) * slope for slope in slopes]
    return certified.agree(biases, stated, witnesses=[named(law, gamma=gamma)] * len(slopes))


@DRIFT.without(PI_IN_MU)
def _(scale: Any, law: Finite) -> Answer:
    return no_signal(law)


@DRIFT.wrong("the sign: the ESS falls")
def _(gamma: Any) -> Any:
    return 1 / (2 * gamma)


@DRIFT.wrong("1/gamma")
def _(gamma: Any) -> Any:
    return -1 / gamma


@DRIFT.wrong("1/2 for every gamma")
def _(gamma: Any) -> Any:
    return -(gamma / gamma) / 2


CLAIMS = frozen(BIAS, DRIFT)

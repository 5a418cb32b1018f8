"""Section 5.2: what optimising w^gamma has to do with the path p_gamma, corrected.

The policy is drawn to q_gamma, proportional to mu r^(1/(1-gamma)): its effective target lies on the
geometric path from pi to q_gamma, at every policy. That is p_gamma for one reward only, up to a
factor, which is neither r nor e^(r/tau).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.instances import named
from isr_theory.claims.s04_3_target import weights
from isr_theory.claims.s05_3_direction import (
    HALF,
    ONE_POINT,
    autograd,
    autograd_descent,
    descent,
    enumerated,
    exact_descent,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

GAMMA, TAU = sympy.symbols("gamma tau", positive=True)
R = sympy.symbols("R", real=True)
# In these laws the field pi plays p*, and the reward is R.
POINTS = [(law, Fraction(g)) for law in (THREE_ARMS, FOUR_ARMS) for g in ("1/4", "3/5")]


class Correspondence(NamedTuple):
    """The reward under which w^gamma leads to p_gamma, and how far e^(R/tau) is sharpened."""

    reward: Any
    rate: Any


def sharpened_rate(tau: Any, gamma: Any) -> Any:
    """1/(tau (1-gamma)): with reward e^(R/tau), q_gamma is proportional to mu e^(rate R)."""
    return 1 / (tau * (1 - gamma))


EQUAL = Correspondence(formulas.equalising_reward, sharpened_rate)

P5_3_FIX = Draft(
    "P5.3.fix",
    section="5.2",
    kind=Kind.IDENTITY,
    title=Text("Where optimising w^gamma leads", "w^γ 的优化究竟走向何处"),
    finding=Text(
        "The target lies between pi and q_gamma, which is p_gamma only if r is proportional to "
        "(p*/mu)^(gamma(1-gamma)).",
        "目标位于 π 到 q_γ 的几何路径上；当且仅当 r ∝ (p*/μ)^{γ(1−γ)} 时 q_γ = p_γ。",
    ),
    statement=r"g_\gamma = 0 \iff \pi_\theta = q_\gamma \propto \mu\, r^{1/(1-\gamma)};\quad"
    r" \pi^{\mathrm{eff}}_\gamma \propto q_\gamma^{1-\gamma}\pi_\theta^\gamma;\quad"
    r" q_\gamma = p_\gamma \iff r \propto (p^*/\mu)^{\gamma(1-\gamma)};\quad"
    r" r = e^{R/\tau} \Rightarrow q_\gamma \propto \mu\, e^{R/(\tau(1-\gamma))}",
    subject=EQUAL,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD,),
    uses=("T4.2.a", "D5.1"),
    amends=("P5.3.a", "P5.3.b", "REM5.2.a"),
    reading="0 <= gamma < 1, finitely many outcomes and one free logit for each, where g_gamma is "
    "a positive multiple of pi_eff - pi; of the reward where mu = 0 nothing is asked",
)


@P5_3_FIX.symbolic(
    Scope(
        "every number of outcomes, 0 <= gamma < 1: equations at one outcome, in logs; q, p_gamma "
        "and pi_eff are 0 where mu = 0",
        whole=True,
    )
)
def _(correspondence: Any) -> Answer:
    """Solve mu w^gamma r = k pi at one outcome; k and the mass z of p_gamma are common to all."""
    mu, target, pi, reward, level, k, z = sympy.symbols("mu p pi r l k z", real=True)
    # Letters are logarithms. The equation is linear in l with slope 1 - gamma > 0.
    effective = mu + GAMMA * (pi - mu) + reward
    stationary = effective.subs(pi, level) - level - k
    (fixed,) = sympy.solve(stationary, level)
    path = (1 - GAMMA) * mu + GAMMA * target - z
    (required,) = sympy.solve(stationary.subs(level, path), reward)
    (fed,) = correspondence.reward([sympy.exp(mu)], [sympy.exp(target)], GAMMA, Exact)
    sharpened = mu + correspondence.rate(TAU, GAMMA) * R
    return all_of(
        [
            symbolic.equal(fixed, mu + (reward - k) / (1 - GAMMA)),
            symbolic.equal(effective - k, (1 - GAMMA) * fixed + GAMMA * pi),
            symbolic.equal(required, sympy.log(fed) + k - (1 - GAMMA) * z),
            symbolic.equal(fixed.subs({reward: R / TAU, k: 0}), sharpened),
        ]
    )


def optimum(correspondence: Any, law: Finite, gamma: Any, m: Any) -> tuple[Any, Any]:
    """Return mu e^(rate R), normalised, and the reward e^(R/tau), with tau = 2."""
    mu, _, raw = law.numbers(m)
    rate = correspondence.rate(m.number(2), gamma)
    q = formulas.normalised([a * m.exp(rate * r) for a, r in zip(mu, raw, strict=True)])
    return q, [m.exp(r / m.number(2)) for r in raw]


@P5_3_FIX.certified(Scope("two laws, two exponents each"))
def _(correspondence: Any) -> Answer:
    """g_gamma enumerated at p_gamma and at q_gamma is 0; elsewhere the target is in between."""

    def one(law: Finite, gamma: Fraction) -> Answer:
        mu, target, raw = law.numbers(Ball)
        exponent = Ball.number(gamma)
        path = formulas.geometric_path(mu, target, exponent, Ball)
        fed = correspondence.reward(mu, target, exponent, Ball)
        q, exponential = optimum(correspondence, law, exponent, Ball)
        elsewhere = formulas.normalised(raw)
        left = [
            *enumerated(mu, path, fed, exponent, Ball),
            *enumerated(mu, q, exponential, exponent, Ball),
            *formulas.normalised(weights(mu, elsewhere, fed, exponent, Ball)),
        ]
        zeros = [Ball.number(0)] * (2 * len(mu))
        right = zeros + formulas.geometric_path(path, elsewhere, exponent, Ball)
        witness = Witness.at(mu=law.mu, target=law.pi, gamma=gamma)
        return certified.agree(left, right, witnesses=[witness] * len(left))

    return all_of(one(law, gamma) for law, gamma in POINTS)


@P5_3_FIX.neural(Scope("two laws, two exponents each"))
def _(correspondence: Any) -> Answer:
    """The loss with detached weights has no slope at p_gamma and at q_gamma."""

    def one(law: Finite, gamma: Fraction) -> Answer:
        mu, target, _ = law.numbers(Real)
        exponent = float(gamma)
        path = formulas.geometric_path(mu, target, exponent, Real)
        fed = correspondence.reward(mu, target, exponent, Real)
        q, exponential = optimum(correspondence, law, exponent, Real)
        slopes = [autograd(mu, path, fed, exponent), autograd(mu, q, exponential, exponent)]
        witness = Witness.at(mu=law.mu, target=law.pi, gamma=gamma)
        zeros = [0] * (2 * len(mu))
        return neural.close(neural.torch().cat(slopes), zeros, witness=witness)

    return all_of(one(law, gamma) for law, gamma in POINTS)


@P5_3_FIX.without(POSITIVE_REWARD)
def _(correspondence: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Exact)
    half = Exact.number(HALF)
    # r^(1/(1-gamma)), the exponent being the rate at tau = 1: at gamma = 1/2 it is r^2, which is
    # not negative either where r is.
    sharpened = [Exact.power(r, correspondence.rate(1, half)) for r in reward]
    q = formulas.tilted(mu, sharpened, Exact)
    slopes = enumerated(mu, q, reward, half, Exact)
    return all_of(symbolic.equal(g, 0, witness=named(law, gamma=HALF)) for g in slopes)


def _printed_reward(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return list(target)


def _one_factor(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return [m.power(b / a, gamma) for a, b in zip(mu, target, strict=True)]


def _inverted(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return formulas.equalising_reward(target, mu, gamma, m)


P5_3_FIX.wrong_value("reward e^(R/tau), as printed", EQUAL._replace(reward=_printed_reward))
P5_3_FIX.wrong_value("gamma for gamma (1-gamma)", EQUAL._replace(reward=_one_factor))
P5_3_FIX.wrong_value("mu/p* for p*/mu", EQUAL._replace(reward=_inverted))
P5_3_FIX.wrong_value("temperature not rescaled", EQUAL._replace(rate=lambda tau, gamma: 1 / tau))
P5_3_FIX.wrong_value("gamma / tau", EQUAL._replace(rate=lambda tau, gamma: gamma / tau))


REM5_2_A = Draft(
    "REM5.2.a",
    section="5.2",
    kind=Kind.REMARK,
    title=Text("A correspondence of gradient directions", "梯度方向的对应"),
    finding=Text(
        "False, with the reward e^(R/tau) as well: the two directions can be opposite.",
        "不成立：即使奖励取 e^{R/τ}，两个方向仍可能相反。",
    ),
    statement=r"\langle g_\gamma,\, -\nabla_\theta D_{KL}(p_\gamma\|\pi_\theta)\rangle > 0"
    r"\quad\text{with } r = e^{R/\tau}",
    subject=formulas.geometric_path,
    expect=Verdict.REFUTED,
    assumes=(POSITIVE_REWARD,),
    uses=("P5.3.a",),
    reading="the directions of g_gamma and towards p_gamma form an acute angle, here in the case "
    "that the printed exception allows: the reward fed is e^(R/tau) and p* = e^(R/tau)/Z",
)
# p_gamma = (3/5, 2/5) asks for more of the first outcome, pi_eff = (3/7, 4/7) for less.
OPPOSED = Finite.of("9/10 1/10", "1/2 1/2", "1 4")
OPPOSED_AT = Witness.at(mu=OPPOSED.mu, pi=OPPOSED.pi, reward=OPPOSED.reward, gamma=HALF)


def _opposed(path: Any, m: Any) -> Any:
    """The printed p_gamma where p* is the reward e^(R/tau), normalised."""
    mu, _, reward = OPPOSED.numbers(m)
    return path(mu, formulas.normalised(reward), m.number(HALF), m)


@REM5_2_A.symbolic(ONE_POINT)
def _(path: Any) -> Answer:
    """The two derivatives in the one free logit, exactly."""
    mu, pi, reward = OPPOSED.numbers(Exact)
    g = enumerated(mu, pi, reward, Exact.number(HALF), Exact)[0]
    lowering = exact_descent(_opposed(path, Exact), pi)
    return symbolic.compare(g * lowering, ">", 0, witness=OPPOSED_AT)


@REM5_2_A.certified(ONE_POINT)
def _(path: Any) -> Answer:
    """The slope of the divergence as a power series in the logit."""
    mu, pi, reward = OPPOSED.numbers(Ball)
    g = enumerated(mu, pi, reward, Ball.number(HALF), Ball)[0]
    lowering = descent(_opposed(path, Ball), pi)
    return certified.compare(g * lowering, ">", Ball.number(0), witness=OPPOSED_AT)


@REM5_2_A.neural(ONE_POINT)
def _(path: Any) -> Answer:
    """The inner product of two gradients from losses differentiated backwards."""
    mu, pi, reward = OPPOSED.numbers(Real)
    inner = (autograd(mu, pi, reward, 0.5) * autograd_descent(_opposed(path, Real), pi)).sum()
    return neural.compare(inner, ">", 0, witness=OPPOSED_AT)


# p* is the reward, normalised, and the fixed point does not see a factor of the reward.
REM5_2_A.right_value("q_gamma, to which g_gamma leads", formulas.fixed_point)


REM5_2_B = Draft(
    "REM5.2.b",
    section="5.2",
    kind=Kind.REMARK,
    title=Text("Not an exact correspondence of optima", "并非最优解的精确对应"),
    finding=Text(
        "True: with the reward e^(R/tau) the stationary point q_gamma can differ from p_gamma.",
        "成立：即使奖励取 e^{R/τ}，驻点 q_γ 也可以不同于 p_γ。",
    ),
    statement=r"\exists\, \mu, R, \tau, \gamma:\quad q_\gamma \ne p_\gamma,\quad"
    r" q_\gamma \propto \mu\, r^{1/(1-\gamma)},\quad r = e^{R/\tau}",
    subject=formulas.fixed_point,
    expect=Verdict.VERIFIED,
    uses=("P5.3.fix",),
    reading="the remark denies a general rule, so one instance settles it: mu = (9/10, 1/10), "
    "e^(R/tau) = (1, 4) and gamma = 1/3",
)
# q_gamma is (9/17, 8/17).
THIRD = Fraction(1, 3)
APART_AT = Witness.at(mu=OPPOSED.mu, reward=OPPOSED.reward, gamma=THIRD)


@REM5_2_B.symbolic(Scope("the one instance that is asked for", whole=True))
def _(optimum_of: Any) -> Answer:
    """Stationarity, mu w^gamma r / q equal at both outcomes, and the distance from p_gamma."""
    mu, _, reward = OPPOSED.numbers(Exact)
    gamma = Exact.number(THIRD)
    q = optimum_of(mu, reward, gamma, Exact)
    first, second = (
        mass / p for mass, p in zip(weights(mu, q, reward, gamma, Exact), q, strict=True)
    )
    path = formulas.geometric_path(mu, formulas.normalised(reward), gamma, Exact)
    return all_of(
        [
            symbolic.equal(first, second, witness=APART_AT),
            symbolic.compare(q[0], "!=", path[0], witness=APART_AT),
        ]
    )


@REM5_2_B.certified(Scope("the one instance"))
def _(optimum_of: Any) -> Answer:
    """The mean of w^gamma r s at q_gamma is 0, and KL(q_gamma || p_gamma) is positive."""
    mu, _, reward = OPPOSED.numbers(Ball)
    gamma = Ball.number(THIRD)
    q = optimum_of(mu, reward, gamma, Ball)
    path = formulas.geometric_path(mu, formulas.normalised(reward), gamma, Ball)
    zeros = [Ball.number(0)] * 2
    return all_of(
        [
            certified.agree(
                enumerated(mu, q, reward, gamma, Ball), zeros, witnesses=[APART_AT] * 2
            ),
            certified.compare(formulas.kl(q, path, Ball), ">", Ball.number(0), witness=APART_AT),
        ]
    )


@REM5_2_B.neural(Scope("the one instance"))
def _(optimum_of: Any) -> Answer:
    """The loss has no slope at q_gamma, and the divergence from p_gamma has one there."""
    mu, _, reward = OPPOSED.numbers(Real)
    gamma = float(THIRD)
    q = optimum_of(mu, reward, gamma, Real)
    path = formulas.geometric_path(mu, formulas.normalised(reward), gamma, Real)
    return all_of(
        [
            neural.close(autograd(mu, q, reward, gamma), [0, 0], witness=APART_AT),
            neural.compare(autograd_descent(path, q).abs().max(), ">", 0, witness=APART_AT),
        ]
    )


@REM5_2_B.wrong("reward not sharpened")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.tilted(mu, reward, m)


@REM5_2_B.wrong("exponent 1 - gamma")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised([a * m.power(r, 1 - gamma) for a, r in zip(mu, reward, strict=True)])


@REM5_2_B.wrong("exponent 1/gamma")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.fixed_point(mu, reward, 1 - gamma, m)


@REM5_2_B.wrong("p_gamma itself")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.geometric_path(mu, formulas.normalised(reward), gamma, m)


@REM5_2_B.number("q_gamma at mu = (9/10, 1/10), r = (1, 4), gamma = 1/3")
def _() -> str:
    mu, _, reward = OPPOSED.numbers(Exact)
    q = formulas.fixed_point(mu, reward, Exact.number(THIRD), Exact)
    return ", ".join(str(p) for p in q)


CLAIMS = frozen(P5_3_FIX, REM5_2_A, REM5_2_B)

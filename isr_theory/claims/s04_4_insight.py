"""Section 4.2, key insight: the target is fixed at gamma = 0, moving at gamma = 1.

How far it moves has a number: the log-ratios of pi_eff between outcomes follow those of the policy
at the rate gamma.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, THETA, R, S, slope
from isr_theory.claims.s04_1_power import at
from isr_theory.claims.s04_3_target import INNER, is_law, weights
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, NEW_SUPPORT, THREE_ARMS, Finite


class Target(NamedTuple):
    """The effective target at one outcome, up to its mass, and as a law on finitely many."""

    density: Any
    law: Any


def effective_density(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    """mu^(1-gamma) pi^gamma r, of which pi_eff is the normalised form."""
    return m.power(mu, 1 - gamma) * m.power(pi, gamma) * reward


def wrong_target(density: Callable[..., Any]) -> Target:
    """Return a target whose law is the normalised form of a density."""

    def law(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
        rows = zip(mu, pi, reward, strict=True)
        return formulas.normalised([density(*row, gamma, m) for row in rows])

    return Target(density, law)


EFFECTIVE = Target(effective_density, formulas.effective_target)
EXCHANGED = wrong_target(lambda a, b, r, g, m: m.power(a, g) * m.power(b, 1 - g) * r)
UNREWARDED = wrong_target(lambda a, b, r, g, m: m.power(a, 1 - g) * m.power(b, g))
MIXED = wrong_target(lambda a, b, r, g, m: ((1 - g) * a + g * b) * r)


def jacobian(target: Any, law: Finite, gamma: float) -> list[Any]:
    """Differentiate every probability of the target in every logit of the policy."""
    mu, _, reward = law.numbers(Tensor)
    logits = neural.tensor(law.pi).log()

    def row(k: int) -> Any:
        return neural.gradient(
            lambda x: target.law(mu, list(x.softmax(0)), reward, gamma, Tensor)[k], logits
        )

    return [row(k) for k in range(len(law.pi))]


def follows(target: Any, law: Finite, gamma: Fraction, share: Fraction) -> Answer:
    """Say whether the logits of the target move by a fixed share of those of the policy.

    Then the derivative of pi_eff_i in logit k is share * pi_eff_i (1{i=k} - pi_eff_k).
    """
    masses = formulas.normalised(weights(*law.numbers(Real), float(gamma), Real))
    indices = range(len(masses))
    expected = [
        [float(share) * masses[i] * ((i == k) - masses[k]) for k in indices] for i in indices
    ]
    rows = jacobian(target, law, float(gamma))
    return all_of(
        neural.close(row, line, witness=at(law, gamma))
        for row, line in zip(rows, expected, strict=True)
    )


def at_end(target: Any, law: Finite, gamma: int) -> Answer:
    """Compare the law at an end with mu r or pi r, normalised in exact fractions."""
    base = law.pi if gamma else law.mu
    exact = formulas.normalised([a * r for a, r in zip(base, law.reward, strict=True)])
    return certified.agree(
        target.law(*law.numbers(Ball), Ball.number(gamma), Ball),
        [Ball.number(p) for p in exact],
        witnesses=[at(law, gamma)] * len(base),
    )


def carried(target: Any, law: Finite, gamma: Fraction) -> Answer:
    """Say whether the target is a law whose log-ratios follow the policy's at the rate gamma.

    Without the logarithms of what may be 0: where pi is multiplied by x and normalised, the target
    is multiplied by x^gamma and normalised.
    """
    mu, pi, reward = law.numbers(Ball)
    exponent, witness = Ball.number(gamma), at(law, gamma)
    factors = [Ball.number(k + 2) for k in range(len(pi))]
    other = formulas.normalised([p * x for p, x in zip(pi, factors, strict=True)])
    here, there = (target.law(mu, p, reward, exponent, Ball) for p in (pi, other))
    powers = [t * Ball.power(x, exponent) for t, x in zip(here, factors, strict=True)]
    agreement = certified.agree(
        there, formulas.normalised(powers), witnesses=[witness] * len(powers)
    )
    return all_of([is_law(here, witness), agreement])


KEY4_2_A = Draft(
    "KEY4.2.a",
    section="4.2",
    kind=Kind.REMARK,
    title=Text("gamma = 0: a fixed target", "γ = 0：固定目标"),
    finding=Text(
        "True: the target is mu r / E_mu[r] and does not contain the policy.",
        "成立：目标为 μ r / E_μ[r]，与策略无关。",
    ),
    statement=r"\pi^{\mathrm{eff}}_0 = \mu r/\mathbb{E}_\mu[r] = \tilde\pi",
    subject=EFFECTIVE,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T2.1.a", "T4.2.a"),
)


@KEY4_2_A.symbolic(Scope("every outcome of every outcome space", whole=True))
def _(target: Any) -> Answer:
    """The density at gamma = 0 is mu r, whose slope in the policy is 0."""
    density = target.density(MU, PI, R, 0, Exact)
    return all_of([symbolic.equal(density, MU * R), symbolic.equal(sympy.diff(density, PI), 0)])


@KEY4_2_A.certified(Scope("two laws"))
def _(target: Any) -> Answer:
    """The law is the exact mu r / E_mu[r]."""
    return all_of(at_end(target, law, 0) for law in (THREE_ARMS, FOUR_ARMS))


@KEY4_2_A.neural(Scope("two laws"))
def _(target: Any) -> Answer:
    """No probability of the target has a slope in any logit."""
    return all_of(follows(target, law, Fraction(0), Fraction(0)) for law in (THREE_ARMS, FOUR_ARMS))


@KEY4_2_A.without(NONNEGATIVE_REWARD)
def _(target: Any, law: Finite) -> Answer:
    masses = target.law(*law.numbers(Ball), Ball.number(0), Ball)
    return all_of([is_law(masses, at(law, 0)), at_end(target, law, 0)])


KEY4_2_A.wrong_value("exponents exchanged", EXCHANGED)
KEY4_2_A.wrong_value("reward dropped", UNREWARDED)
KEY4_2_A.wrong_value(
    "exponent off by one half",
    wrong_target(lambda a, b, r, g, m: effective_density(a, b, r, (1 + g) / m.number(2), m)),
)


KEY4_2_B = Draft(
    "KEY4.2.b",
    section="4.2",
    kind=Kind.REMARK,
    title=Text("gamma = 1: a moving target", "γ = 1：移动目标"),
    finding=Text(
        "True: the target is pi r / E_pi[r], does not contain mu, and moves as fast as the policy.",
        "成立：目标为 π r / E_π[r]，不含 μ，与策略同速移动。",
    ),
    statement=r"\pi^{\mathrm{eff}}_1 \propto \pi_\theta r,\quad"
    r" \nabla_\theta\log\frac{\pi^{\mathrm{eff}}_1(y)}{\pi^{\mathrm{eff}}_1(y')}"
    r" = \nabla_\theta\log\frac{\pi_\theta(y)}{\pi_\theta(y')}",
    subject=EFFECTIVE,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T4.2.a",),
    reading="'moving' is measured by the log-ratios between outcomes with pi r > 0; mu^0 is 1 also "
    "where mu = 0, as the printed pi_1 has it",
)


@KEY4_2_B.symbolic(Scope("every pair of outcomes with pi r > 0, every outcome space", whole=True))
def _(target: Any) -> Answer:
    """The density at gamma = 1 is pi r, and its logarithm has the policy's own slope."""
    density = target.density(MU, MOVING, R, 1, Exact)
    return all_of(
        [
            symbolic.equal(density.subs(THETA, 0), PI * R),
            symbolic.equal(target.density(0, PI, R, 1, Exact), PI * R),
            symbolic.equal(slope(sympy.log(density)), S),
        ]
    )


@KEY4_2_B.certified(Scope("two laws, and one with an outcome that mu misses"))
def _(target: Any) -> Answer:
    """The law is the exact pi r / E_pi[r]."""
    return all_of(at_end(target, law, 1) for law in (THREE_ARMS, FOUR_ARMS, NEW_SUPPORT))


@KEY4_2_B.neural(Scope("two laws"))
def _(target: Any) -> Answer:
    """The logits of the target move as those of the policy do."""
    return all_of(follows(target, law, Fraction(1), Fraction(1)) for law in (THREE_ARMS, FOUR_ARMS))


@KEY4_2_B.without(NONNEGATIVE_REWARD)
def _(target: Any, law: Finite) -> Answer:
    return all_of([at_end(target, law, 1), carried(target, law, Fraction(1))])


KEY4_2_B.wrong_value("exponents exchanged", EXCHANGED)
KEY4_2_B.wrong_value("reward dropped", UNREWARDED)
KEY4_2_B.wrong_value(
    "half the exponent",
    wrong_target(lambda a, b, r, g, m: effective_density(a, b, r, g / m.number(2), m)),
)


KEY4_2_C = Draft(
    "KEY4.2.c",
    section="4.2",
    kind=Kind.REMARK,
    title=Text(
        "In between the target depends on the policy in part", "0 < γ < 1：目标部分依赖策略"
    ),
    finding=Text(
        "True, and gamma is the part: log-ratios of the target move gamma times as fast as pi's.",
        "成立，且比例正是 γ：目标的对数比以策略的 γ 倍速度移动。",
    ),
    statement=r"\nabla_\theta\log\frac{\pi^{\mathrm{eff}}_\gamma(y)}{\pi^{\mathrm{eff}}_\gamma(y')}"
    r" = \gamma\,\nabla_\theta\log\frac{\pi_\theta(y)}{\pi_\theta(y')}",
    subject=EFFECTIVE,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T4.2.a",),
    reading="'in part' is measured by the log-ratios between outcomes to which pi_eff gives mass, "
    "mu and r held",
)


@KEY4_2_C.symbolic(
    Scope("every pair of outcomes to which pi_eff gives mass, every outcome space", whole=True)
)
def _(target: Any) -> Answer:
    """The logarithm of the density has gamma times the policy's slope at every outcome."""
    density = target.density(MU, MOVING, R, GAMMA, Exact)
    return symbolic.equal(slope(sympy.log(density)), GAMMA * S)


@KEY4_2_C.certified(Scope("two laws against another policy, two exponents each"))
def _(target: Any) -> Answer:
    """Log-ratios under two policies that are far apart."""

    def one(law: Finite, gamma: Fraction) -> Answer:
        mu, pi, reward = law.numbers(Ball)
        other = [Ball.number(p) for p in reversed(law.mu)]

        def ratios(p: list[Any]) -> list[Any]:
            return [Ball.log(x / p[0]) for x in p[1:]]

        exponent = Ball.number(gamma)
        here = ratios(target.law(mu, pi, reward, exponent, Ball))
        there = ratios(target.law(mu, other, reward, exponent, Ball))
        own = [exponent * (a - b) for a, b in zip(ratios(pi), ratios(other), strict=True)]
        change = [a - b for a, b in zip(here, there, strict=True)]
        return certified.agree(change, own, witnesses=[at(law, gamma)] * len(own))

    return all_of(one(law, gamma) for law, gamma in INNER)


@KEY4_2_C.neural(Scope("two laws, two exponents each"))
def _(target: Any) -> Answer:
    """The logits of the target move by gamma times those of the policy."""
    return all_of(follows(target, law, gamma, gamma) for law, gamma in INNER)


@KEY4_2_C.without(NONNEGATIVE_REWARD)
def _(target: Any, law: Finite) -> Answer:
    return carried(target, law, Fraction(1, 2))


KEY4_2_C.wrong_value("exponents exchanged", EXCHANGED)
KEY4_2_C.wrong_value("arithmetic mixture of the two ends", MIXED)
KEY4_2_C.wrong_value(
    "gamma squared",
    wrong_target(lambda a, b, r, g, m: effective_density(a, b, r, g * g, m)),
)

CLAIMS = frozen(KEY4_2_A, KEY4_2_B, KEY4_2_C)

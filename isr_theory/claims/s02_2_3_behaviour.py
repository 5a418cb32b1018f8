"""Section 2.2, the remark on mu: whether it is nothing but the sampling distribution.

That p* has no mu in it does not keep mu out of the gradient. For gamma < 1 the one policy at which
g_gamma vanishes is q_gamma, proportional to mu r^(1/(1-gamma)): other data, other policy.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, Outcome, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.s00_2_modes import rests_at_half
from isr_theory.claims.s04_1_power import enumerated, power_shape, reshaped_autograd
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import THREE_ARMS, Finite

A, B, RA, RB, REST, REST_R, X, GAP = sympy.symbols("a b r_a r_b c r_c x gap", positive=True)
HA, HB = sympy.symbols("h_a h_b", real=True)
HALF = Fraction(1, 2)

REM2_2 = Draft(
    "REM2.2",
    section="2.2",
    kind=Kind.REMARK,
    title=Text("mu is only the sampling distribution", "μ 仅作为采样分布"),
    finding=Text(
        "False for gamma < 1: with r = (1, 2) and gamma = 1/2 the gradient vanishes at (1/5, 4/5) "
        "for mu = (1/2, 1/2) and not for mu = (4/5, 1/5).",
        "γ<1 时不成立：r=(1,2)、γ=1/2 时，μ=(1/2,1/2) 的梯度在 (1/5,4/5) 处为零，而 μ=(4/5,1/5) "
        "的梯度在该处非零。",
    ),
    statement=r"g_\gamma(\pi; \mu) = 0 \iff g_\gamma(\pi; \mu') = 0"
    r"\quad \text{for all } \mu, \mu', \pi \text{ of one support}",
    subject=power_shape,
    expect=Verdict.REFUTED,
    uses=("D4.1",),
    reading="'in the whole framework mu is only the sampling distribution': which policies are "
    "stationary does not depend on mu, for any gamma in [0, 1]; that p* has no mu in it is true",
)
ONE_MU = Finite.of("1/2 1/2", "1/5 4/5", "1 2")
OTHER_MU = Finite.of("4/5 1/5", "1/5 4/5", "1 2")
TWO_DATA = Witness.at(
    mu=ONE_MU.mu, other=OTHER_MU.mu, pi=ONE_MU.pi, reward=ONE_MU.reward, gamma=HALF
)


def both_or_neither(one: Answer, other: Answer) -> Answer:
    """Join what is said of the gradient under two sets of data: 0 for both, or for neither."""
    if one.outcome is other.outcome is Outcome.FAILS:
        return Answer(Outcome.HOLDS, one.strength, detail="the gradient is 0 for neither")
    return given(one, other)


@REM2_2.symbolic(Scope("the witness"))
def _(shape: Any) -> Answer:
    """E_mu[f(w) r s] in the first logit from its two outcomes, in exact roots."""

    def slope(law: Finite) -> Any:
        mu, pi, reward = law.numbers(Exact)
        rows = zip(mu, pi, reward, (1 - pi[0], -pi[0]), strict=True)
        half = Exact.number(HALF)
        return sum(a * shape(p / a, half, Exact) * r * s for a, p, r, s in rows)

    return both_or_neither(
        *(symbolic.compare(slope(law), "==", 0, witness=TWO_DATA) for law in (ONE_MU, OTHER_MU))
    )


@REM2_2.certified(Scope("the witness"))
def _(shape: Any) -> Answer:
    """The gradient in both logits, summed in balls."""
    half, zeros = Ball.number(HALF), [flint.arb(0)] * 2
    slopes = [enumerated(shape, law, half) for law in (ONE_MU, OTHER_MU)]
    return both_or_neither(
        *(certified.agree(slope, zeros, witnesses=[TWO_DATA] * 2) for slope in slopes)
    )


@REM2_2.neural(Scope("the witness"))
def _(shape: Any) -> Answer:
    """Autograd of the loss with f(w) detached."""
    slopes = [reshaped_autograd(shape, law, 0.5) for law in (ONE_MU, OTHER_MU)]
    return both_or_neither(*(neural.close(slope, [0, 0], witness=TWO_DATA) for slope in slopes))


@REM2_2.right("f(w) = w, under which mu leaves the gradient")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return w


@REM2_2.number("the first logit's gradient for mu = (4/5, 1/5)")
def _() -> str:
    gradient = formulas.reshaped_gradient(*OTHER_MU.numbers(Exact), Exact.number(HALF), Exact)
    return str(sympy.simplify(gradient[0]))


REM2_2_FIX = Draft(
    "REM2.2.fix",
    section="2.2",
    kind=Kind.OPTIMUM,
    title=Text("The stationary policy, and mu in it", "驻定策略及其中的 μ"),
    finding=Text(
        "For gamma < 1 and r > 0 exactly one policy of full support is stationary, q_gamma "
        "proportional to mu r^(1/(1-gamma)), so mu shapes it as well as samples.",
        "γ<1 且 r>0 时恰有一个满支撑驻定策略 q_γ ∝ μ r^{1/(1−γ)}，故 μ 不仅用于采样，也决定结果。",
    ),
    statement=r"g_\gamma(\pi) = 0,\ \pi > 0 \iff \pi = q_\gamma \propto \mu\, r^{1/(1-\gamma)},"
    r"\quad 0 \le \gamma < 1",
    subject=formulas.fixed_point,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD,),
    uses=("D4.1",),
    amends=("REM2.2",),
    reading="finitely many outcomes, mu > 0 on all, one free logit per outcome: a policy of full "
    "support and no restriction",
)


@REM2_2_FIX.symbolic(
    Scope("every finite law and every policy: two outcomes against the rest", whole=True)
)
def _(policy: Any) -> Answer:
    """Any policy is q e^h, and mu^(1-gamma) pi^gamma r / pi is level only where h is."""
    gamma = 1 / (1 + X)

    def level(a: Any, p: Any, r: Any) -> Any:
        return sympy.log(a) * (1 - gamma) + sympy.log(p) * (gamma - 1) + sympy.log(r)

    # g_k = m_k - pi_k sum m for the masses m = mu^(1-gamma) pi^gamma r: it vanishes for every k
    # exactly if m / pi is the same at all outcomes, two at a time. x > 0 gives gamma in (0, 1).
    q = policy([A, B, REST], [RA, RB, REST_R], gamma, Exact)
    levels = level(A, q[0] * sympy.exp(HA), RA) - level(B, q[1] * sympy.exp(HB), RB)
    at_zero = policy([A, B, REST], [RA, RB, REST_R], sympy.Integer(0), Exact)
    more = policy([A * GAP, B, REST], [RA, RB, REST_R], gamma, Exact)
    rise = sympy.log(more[0] / more[1]) - sympy.log(q[0] / q[1])

    def unroll(d: Any) -> Any:
        return sympy.simplify(sympy.expand_log(d, force=True))

    return all_of(
        [
            symbolic.equal(levels, -(1 - gamma) * (HA - HB), reduce=unroll),
            symbolic.equal(at_zero[0] / at_zero[1], A * RA / (B * RB)),
            symbolic.equal(sum(q), 1, reduce=sympy.cancel),
            # More of an outcome in the data, by a factor, is more of it in the odds.
            symbolic.equal(rise, sympy.log(GAP), reduce=unroll),
        ]
    )


EXPONENTS = tuple(Fraction(g) for g in ("0", "1/4", "1/2", "4/5"))
TWO = Finite.of("7/10 3/10", "1/2 1/2", "1 2")
EQUAL = Finite.of("1/2 1/2", "1/2 1/2", "1 2")
THREE_OTHER = Finite.of("1/5 1/2 3/10", "1/3 1/3 1/3", "2 1 3/2")


def at_law(law: Finite, gamma: Fraction) -> Witness:
    """Name mu, the reward and the exponent: the policy is what is sought."""
    return Witness.at(mu=law.mu, reward=law.reward, gamma=gamma)


@cache
def only_root(law: Finite, gamma: Fraction) -> Any:
    """Enclose where the gradient of two outcomes, in the first logit, changes its sign."""
    mu, _, reward = law.numbers(Ball)
    exponent = Ball.number(gamma)

    def slope(p: Any) -> Any:
        pi = [p, 1 - p]
        w = [Ball.exp(exponent * Ball.log(b / a)) for a, b in zip(mu, pi, strict=True)]
        return mu[0] * w[0] * reward[0] * pi[1] - mu[1] * w[1] * reward[1] * pi[0]

    return certified.root(slope, Fraction(1, 10**6), 1 - Fraction(1, 10**6))


@REM2_2_FIX.certified(Scope("two pairs of arms, four exponents each"))
def _(policy: Any) -> Answer:
    """The root of the gradient, isolated by bisection over all policies on two outcomes."""
    points = [(law, gamma) for law in (TWO, EQUAL) for gamma in EXPONENTS]
    found = []
    for law, gamma in points:
        mu, _, reward = law.numbers(Ball)
        found.append(policy(mu, reward, Ball.number(gamma), Ball)[0])
    return certified.agree(
        found,
        [only_root(law, gamma) for law, gamma in points],
        witnesses=[at_law(law, gamma) for law, gamma in points],
    )


@cache
def ascended(law: Finite, gamma: Fraction, start: tuple[int, ...]) -> Any:
    """Where gradient ascent ends: autograd, w^gamma detached, from some logits."""
    mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)

    def loss(z: Any) -> Any:
        log_pi = z.log_softmax(0)
        return (mu * ((log_pi.exp() / mu) ** float(gamma)).detach() * reward * log_pi).sum()

    z = neural.tensor(start)
    for _ in range(200):
        z = z + 2 * neural.gradient(loss, z)
    return z.softmax(0)


@REM2_2_FIX.neural(Scope("two laws, gamma = 1/4 and 1/2, two starts each"))
def _(policy: Any) -> Answer:
    """Ascent along the autograd loss with w^gamma detached ends in q from different starts."""

    def reached(law: Finite, gamma: Fraction, start: tuple[int, ...]) -> Answer:
        q = policy(*law.numbers(Real)[::2], float(gamma), Real)
        return neural.close(ascended(law, gamma, start), q, witness=at_law(law, gamma))

    return all_of(
        reached(law, gamma, start)
        for law in (THREE_ARMS, THREE_OTHER)
        for gamma in (Fraction(1, 4), HALF)
        for start in ((0, 0, 0), (2, -1, 0))
    )


REM2_2_FIX.without(POSITIVE_REWARD)(rests_at_half)


@REM2_2_FIX.wrong("mu left out")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, reward, strict=True)
    return formulas.normalised([m.power(r, 1 / (1 - gamma)) + 0 * a for a, r in rows])


@REM2_2_FIX.wrong("the exponent of gamma = 0")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.tilted(mu, reward, m)


@REM2_2_FIX.wrong("exponent 1 - gamma")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised([a * m.power(r, 1 - gamma) for a, r in zip(mu, reward, strict=True)])


@REM2_2_FIX.wrong("mu to the power 1 - gamma too")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, reward, strict=True)
    return formulas.normalised(
        [m.power(a, 1 - gamma) * m.power(r, 1 / (1 - gamma)) for a, r in rows]
    )


@REM2_2_FIX.number("q at mu = (3/5, 3/10, 1/10), r = (1, 2, 4), gamma = 1/2")
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Exact)
    return ", ".join(map(str, formulas.fixed_point(mu, reward, Exact.number(HALF), Exact)))


CLAIMS = frozen(REM2_2, REM2_2_FIX)

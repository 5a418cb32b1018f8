"""Past section 5: how a gradient moves near q_gamma.

At the rate (1-gamma) Z^(1-gamma) times the Fisher matrix, which turns negative past gamma = 1.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MU, PI, THETA, C, R, S, along_logits, slope
from isr_theory.claims.s04_3_target import weights
from isr_theory.claims.x01_2_1_summit import partition, rate
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

Q, Z = sympy.symbols("q Z", positive=True)
HALF = Fraction(1, 2)

STABILITY = Draft(
    "OBJ.stability",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("How fast, and whether, q_gamma attracts", "q_γ 的稳定性与收敛速率"),
    finding=Text(
        "In the logits g falls from q_gamma as (1-gamma) Z^(1-gamma) times the Fisher matrix: it"
        " attracts below gamma = 1, repels above, and a natural gradient slows in proportion to"
        " (1-gamma) Z^(1-gamma) in every direction.",
        "在 q_γ 处 g 对 logit 的 Jacobian 为 −(1−γ)Z^{1−γ} 乘 Fisher 矩阵：γ<1 时吸引、γ>1 时排斥，"
        "自然梯度在各方向的速率均为 (1−γ)Z^{1−γ}。",
    ),
    statement=r"g_\gamma(q_\gamma) = 0,\quad \frac{\partial g_\gamma}{\partial z}\Big|_{q_\gamma}"
    r" = -(1-\gamma)\,Z^{1-\gamma}\,(\operatorname{diag} q_\gamma - q_\gamma q_\gamma^\top),\quad"
    r" Z = \mathbb{E}_\mu[r^{1/(1-\gamma)}],\ \gamma \ne 1",
    subject=rate,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD,),
    uses=("D4.1", "P5.3.fix", "OBJ.maximiser"),
    sharpens=("P5.3.fix",),
    source="new here",
    reading="gamma > 0 but 1, finitely many outcomes and one free logit for each; the matrix is "
    "Cov_q of the outcomes, positive but on constants, which move no policy; with r = 1 the rate is"
    " 1 - gamma, and with other rewards the matrix too shrinks as q_gamma concentrates",
)


@STABILITY.symbolic(
    Scope("every number of outcomes and gamma but 1: one outcome, along any score", whole=True)
)
def _(speed: Any) -> Answer:
    """The slope of c (q^(1-gamma) pi^gamma - pi S) along a score whose mean under q is 0."""
    exponent = sympy.Symbol("g", real=True)
    c = Z ** (1 - exponent)
    # q = mu r^(1/(1-gamma))/Z, of which the terms of g are made.
    q = MU * R ** (1 / (1 - exponent)) / Z
    own = MU * (PI / MU) ** exponent * R
    at = {exponent: sympy.Rational(5, 3), MU: 2, PI: 3, R: 5, Z: 7}
    made = sympy.log(c * PI**exponent * q ** (1 - exponent) / own)
    # pi = q e^(theta s), and S, the sum of q e^(gamma theta s), has the slope gamma E_q[s] = 0.
    moving = Q * sympy.exp(THETA * S)
    pull = c * (Q ** (1 - exponent) * moving**exponent - moving)
    stated = -speed(Z, exponent, Exact) * Q * S
    signs = [speed(Z, 1 / (1 + C), Exact), -speed(Z, 1 + C, Exact)]
    return all_of(
        [
            symbolic.equal(
                made,
                0,
                points=[at],
                reduce=lambda x: sympy.simplify(sympy.expand_log(x, force=True)),
            ),
            symbolic.equal(pull.subs(THETA, 0), 0),
            symbolic.equal(slope(pull), stated),
            *(symbolic.positive(sympy.simplify(sign)) for sign in signs),
        ]
    )


POINTS = [(law, Fraction(g)) for law in (THREE_ARMS, FOUR_ARMS) for g in ("1/4", "3/4", "3/2")]


def covariance(q: list[Any]) -> list[list[Any]]:
    """The matrix diag q - q q^T."""
    return [[q[i] * ((i == k) - q[k]) for k in range(len(q))] for i in range(len(q))]


@STABILITY.certified(Scope("two laws, gamma = 1/4, 3/4 and 3/2, every pair of logits"))
def _(speed: Any) -> Answer:
    """Every component of g, summed over outcomes, as a power series in every logit at q."""
    answers = []
    for law, exponent in POINTS:
        mu, _, reward = law.numbers(Ball)
        gamma, at = Ball.number(exponent), witness_of(law, gamma=exponent)
        q = formulas.fixed_point(mu, reward, gamma, Ball)
        factor = speed(partition(mu, reward, gamma, Ball), gamma, Ball)
        for k, row in enumerate(covariance(q)):

            def component(
                policy: list[Any], k: int = k, mu: Any = mu, reward: Any = reward, g: Any = gamma
            ) -> Any:
                masses = weights(mu, policy, reward, g, Jet)
                return masses[k] - policy[k] * sum(masses)

            expected = [-factor * x for x in row]
            answers.append(
                certified.agree(along_logits(component, q), expected, witnesses=[at] * len(q))
            )
    return all_of(answers)


@STABILITY.neural(Scope("two laws, gamma = 1/4, 3/4 and 3/2"))
def _(speed: Any) -> Answer:
    """The gradient and the Hessian of J in the logits at q, by autograd."""
    answers = []
    for law, exponent in POINTS:
        mu, _, reward = law.numbers(Real)
        gamma, at = float(exponent), witness_of(law, gamma=exponent)
        q = formulas.fixed_point(mu, reward, gamma, Real)
        factor = speed(partition(mu, reward, gamma, Real), gamma, Real)
        m, r = neural.tensor(mu), neural.tensor(reward)

        def climbed(z: Any, m: Any = m, r: Any = r, g: float = gamma) -> Any:
            return (m * r * (z.softmax(0) / m) ** g).sum() / g

        here = neural.tensor(q).log()
        found = neural.hessian(climbed, here)
        expected = -factor * neural.tensor(covariance(q))
        answers += [
            neural.close(neural.gradient(climbed, here), [0] * len(q), witness=at),
            neural.close(found, expected, witness=at),
        ]
    return all_of(answers)


@STABILITY.without(POSITIVE_REWARD)
def _(speed: Any, law: Finite) -> Answer:
    # At gamma = 1/2, q is mu r^2 whatever the sign of r, and g does not vanish there if r < 0.
    mu, _, reward = law.numbers(Exact)
    half = Exact.number(HALF)
    q = formulas.fixed_point(mu, reward, half, Exact)
    masses = weights(mu, q, reward, half, Exact)
    pulls = [mass - b * sum(masses) for mass, b in zip(masses, q, strict=True)]
    return all_of(symbolic.equal(x, 0, witness=witness_of(law, gamma=HALF)) for x in pulls)


@STABILITY.wrong("1 for 1 - gamma")
def _(mass: Any, gamma: Any, m: Any) -> Any:
    return m.power(mass, 1 - gamma)


@STABILITY.wrong("gamma for 1 - gamma")
def _(mass: Any, gamma: Any, m: Any) -> Any:
    return gamma * m.power(mass, 1 - gamma)


@STABILITY.wrong("Z left out")
def _(mass: Any, gamma: Any, m: Any) -> Any:
    return (1 - gamma) * m.power(mass, 0 * gamma)


@STABILITY.wrong("the size of 1 - gamma")
def _(mass: Any, gamma: Any, m: Any) -> Any:
    return m.sqrt((1 - gamma) * (1 - gamma)) * m.power(mass, 1 - gamma)


@STABILITY.number(
    "(1-gamma) Z^(1-gamma) at mu = (3/5, 3/10, 1/10), r = (1, 2, 4), gamma = 1/2, 3/4, 9/10"
)
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Ball)
    gammas = [Ball.number(g) for g in ("1/2", "3/4", "9/10")]
    return ", ".join(
        certified.digits(rate(partition(mu, reward, g, Ball), g, Ball)) for g in gammas
    )


CLAIMS = frozen(STABILITY)

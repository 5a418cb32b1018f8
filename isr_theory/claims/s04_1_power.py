"""Section 4.1: the shape f(w) = w^gamma.

The reshaped gradient g_gamma = E_mu[w^gamma r grad log pi] runs from f = 1 to f = w. In between,
w^gamma lies below the line 1 - gamma + gamma w, so nothing is asked of the laws that the two ends
do not ask.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.moving import C, W
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, UNIFORM_POLICY, Finite

POINTS = [
    (law, Fraction(gamma)) for law in (THREE_ARMS, FOUR_ARMS) for gamma in ("0", "3/10", "3/4", "1")
]


def power_shape(w: Any, gamma: Any, m: Any) -> Any:
    """f(w) = w^gamma of Definition 4.1."""
    return m.power(w, gamma)


def at(law: Finite, gamma: Any) -> Witness:
    """Name a finite law and an exponent."""
    return Witness.at(mu=law.mu, pi=law.pi, reward=law.reward, gamma=gamma)


def terms(shape: Any, law: Finite, gamma: Any) -> list[Any]:
    """The terms mu f(w) r of E_mu[f(w) r]; 0 where mu is, as what never occurs has no weight."""
    rows = zip(*law.numbers(Ball), strict=True)
    return [a * shape(b / a, gamma, Ball) * r if a > 0 else Ball.number(0) for a, b, r in rows]


def enumerated(shape: Any, law: Finite, gamma: Any) -> list[Any]:
    """E_mu[f(w) r s_k] for every logit k, outcome by outcome, with s_k(y) = 1{y=k} - pi_k."""
    _, pi, _ = law.numbers(Ball)
    masses = terms(shape, law, gamma)
    return [sum(mass * ((y == k) - pi[k]) for y, mass in enumerate(masses)) for k in range(len(pi))]


def reshaped_autograd(shape: Any, law: Finite, gamma: Any) -> Any:
    """g_gamma in the logits, from the loss whose factor f(w) carries no gradient."""
    mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)

    def objective(logits: Any) -> Any:
        log_pi = logits.log_softmax(0)
        ratio = log_pi.exp() / mu
        factors = neural.torch().stack([Tensor.number(1) * shape(w, gamma, Tensor) for w in ratio])
        return (mu * factors.detach() * reward * log_pi).sum()

    return neural.gradient(objective, neural.tensor(law.pi).log())


class Reshaping(NamedTuple):
    """A shape f(w, gamma, m), and g_gamma in closed form for one free logit per outcome."""

    shape: Any
    tabular: Any


PRINTED = Reshaping(power_shape, formulas.reshaped_gradient)

D4_1 = Draft(
    "D4.1",
    section="4.1",
    kind=Kind.DEFINITION,
    title=Text("The reshaped gradient", "IS Reshape 梯度"),
    finding=Text(
        "Coherent: its ends are f = 1 and f = w, and it exists wherever it does at both ends.",
        "自洽：两端为 f = 1 与 f = w，且只要两端存在，它就存在。",
    ),
    statement=r"g_\gamma(\theta) = \mathbb{E}_\mu[w^\gamma\, r\, \nabla_\theta\log\pi_\theta],"
    r"\quad \gamma\in[0,1]",
    subject=PRINTED,
    expect=Verdict.VERIFIED,
    uses=("D1.1",),
    reading="judged for coherence: f is 1 and w at the ends, and E_mu|f r s| is finite for every "
    "gamma in [0, 1] once it is for 0 and 1",
)


@D4_1.symbolic(
    Scope("every w >= 0 and gamma in [0, 1], so |f r s| <= (1-gamma) |r s| + gamma w |r s|", True)
)
def _(reshaping: Any) -> Answer:
    """The ends, and w^gamma below 1 - gamma + gamma w: their gap is convex and touches 0 at 1."""
    inner = 1 / (1 + C)
    gap = 1 - inner + inner * W - reshaping.shape(W, inner, Exact)
    return all_of(
        [
            symbolic.equal(reshaping.shape(W, 0, Exact), 1),
            symbolic.equal(reshaping.shape(W, 1, Exact), W),
            symbolic.equal(reshaping.shape(0, inner, Exact), 0),
            symbolic.equal(gap.subs(W, 1), 0),
            symbolic.equal(sympy.diff(gap, W).subs(W, 1), 0),
            symbolic.positive(sympy.diff(gap, W, 2)),
        ]
    )


@D4_1.certified(Scope("two laws, four exponents each"))
def _(reshaping: Any) -> Answer:
    """The mean over outcomes is the closed form for a softmax table."""
    answers = []
    for law, gamma in POINTS:
        exponent = Ball.number(gamma)
        mean = enumerated(reshaping.shape, law, exponent)
        closed = reshaping.tabular(*law.numbers(Ball), exponent, Ball)
        answers.append(certified.agree(mean, closed, witnesses=[at(law, gamma)] * len(mean)))
    return all_of(answers)


@D4_1.neural(Scope("two laws, four exponents each"))
def _(reshaping: Any) -> Answer:
    """Differentiating the loss with f(w) detached gives the closed form for a softmax table."""
    return all_of(
        neural.close(
            reshaped_autograd(reshaping.shape, law, float(gamma)),
            reshaping.tabular(*law.numbers(Real), float(gamma), Real),
            witness=at(law, gamma),
        )
        for law, gamma in POINTS
    )


@D4_1.sampled(Scope("the uniform policy on four outcomes, gamma = 3/4"), resolution=0.03)
def _(reshaping: Any, trial: Trial) -> Answer:
    """The mean of f(w) under mu is below 1."""
    law, gamma = UNIFORM_POLICY, Fraction(3, 4)
    table = np.array([reshaping.shape(float(w), 0.75, Real) for w in np.exp(law.log_w())])
    mean = trial.mean(
        f"mean of f(w) in {table.tolist()}",
        lambda rng, n: table[law.sample(rng, n)],
        0.0,
        float(table.max()),
    )
    return trial.below(mean, 1.0, witness=at(law, gamma))


def _off_centre(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    """Forget that the score of a softmax table is centred."""
    shapes = [a * m.power(b / a, gamma) for a, b in zip(mu, pi, strict=True)]
    return [shape * r for shape, r in zip(shapes, reward, strict=True)]


D4_1.wrong_value(
    "twice the exponent",
    PRINTED._replace(shape=lambda w, gamma, m: m.power(w, 2 * gamma)),
)
D4_1.wrong_value(
    "the line between the two ends",
    PRINTED._replace(shape=lambda w, gamma, m: 1 - gamma + gamma * w),
)
D4_1.wrong_value(
    "ends exchanged",
    PRINTED._replace(shape=lambda w, gamma, m: m.power(w, 1 - gamma)),
)
D4_1.wrong_value("score not centred", PRINTED._replace(tabular=_off_centre))


CLAIMS = frozen(D4_1)

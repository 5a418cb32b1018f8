"""The abstract, first promises: one gradient with two ends, and what controls its variance.

SFT and RL are the two ends of E_mu[f(w) r grad log pi]. Its variance is not a function of a Renyi
divergence: on two outcomes equal divergence terms go with variances 1/4 and 9/125.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, R, S, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, TWO_ARMS, Finite

LAST_ARM_LOST = Finite.of("1/2 3/10 1/5", "3/4 1/4 0", "1 2 4")


def power_weight(w: Any, gamma: Any, m: Any) -> Any:
    """f(w) = w^gamma: gamma = 0 and gamma = 1 are the two ends."""
    return m.power(w, gamma)


ABS_1 = Draft(
    "ABS.1",
    section="abstract",
    kind=Kind.IDENTITY,
    title=Text(
        "SFT and RL are two ends of one weighted gradient", "SFT 与 RL 是同一加权梯度的两端"
    ),
    finding=Text(
        "True where mu covers pi, with r = 1 at the SFT end: f = 1 gives maximum likelihood, "
        "f = w the policy gradient.",
        "当 μ 覆盖 π 且 SFT 端取 r≡1 时成立：f=1 即极大似然，f=w 即策略梯度。",
    ),
    statement=r"\mathbb{E}_\mu[w^0\,\nabla\log\pi] = \nabla\,\mathbb{E}_\mu[\log\pi],\quad"
    r"\mathbb{E}_\mu[w^1\,r\,\nabla\log\pi] = \mathbb{E}_\pi[r\,\nabla\log\pi]",
    subject=power_weight,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D1.1", "EQ2.2"),
    reading="SFT is plain maximum likelihood, so its end has r = 1, wherever the mean of log pi is "
    "finite; RL is REINFORCE",
)


@ABS_1.symbolic(
    Scope(
        "every outcome space on which the gradient passes under the integral: outcome by outcome, "
        "in RL also one that pi never takes, then by linearity",
        whole=True,
    )
)
def _(weight: Any) -> Answer:
    """Outcome by outcome: mu f s is the slope of mu log pi, and mu f r s is pi r s."""
    log_likelihood = slope(MU * sympy.log(MOVING))
    return all_of(
        [
            symbolic.equal(MU * weight(PI / MU, 0, Exact) * S, log_likelihood),
            symbolic.equal(MU * weight(PI / MU, 1, Exact) * R * S, PI * R * S),
            symbolic.equal(MU * weight(sympy.Integer(0), 1, Exact) * R * S, 0),
        ]
    )


@ABS_1.without(PI_IN_MU)
def both_ends(weight: Any, law: Finite) -> Answer:
    """Compare scores summed under mu, weighted, with mu - pi and with scores summed under pi."""
    mu, pi, reward = law.numbers(Ball)
    rows = list(zip(mu, pi, reward, strict=True))
    found, expected, witnesses = [], [], []
    for k, here in enumerate(pi):
        scores = [int(i == k) - here for i in range(len(pi))]
        for end in (0, 1):
            # What mu never takes is not seen under mu.
            terms = [
                a * weight(b / a, flint.arb(end), Ball) * (r if end else 1) * s
                for (a, b, r), s in zip(rows, scores, strict=True)
                if a > 0
            ]
            found.append(sum(terms, flint.arb(0)))
            witnesses.append(witness_of(law, gamma=end))
        policy = [b * r * s for (_, b, r), s in zip(rows, scores, strict=True)]
        expected += [mu[k] - here, sum(policy, flint.arb(0))]
    return certified.agree(found, expected, witnesses=witnesses)


@ABS_1.certified(Scope("three laws, one with an outcome that pi never takes"))
def _(weight: Any) -> Answer:
    """Scores summed over the outcomes of mu, weighted, and over those of pi."""
    return all_of(both_ends(weight, law) for law in (THREE_ARMS, FOUR_ARMS, LAST_ARM_LOST))


@ABS_1.neural(Scope("two laws"))
def _(weight: Any) -> Answer:
    """The loss with f(w) detached, against the log-likelihood and the expected reward."""

    def ends(law: Finite) -> list[Answer]:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)

        def weighted(gamma: int, factor: Any) -> Any:
            def loss(z: Any) -> Any:
                shape = weight(z.softmax(0) / mu, gamma, Tensor).detach()
                return (mu * shape * factor * z.log_softmax(0)).sum()

            return neural.gradient(loss, logits(law))

        sft = neural.gradient(lambda z: (mu * z.log_softmax(0)).sum(), logits(law))
        rl = neural.gradient(lambda z: (z.softmax(0) * reward).sum(), logits(law))
        return [
            neural.close(weighted(0, 1.0), sft, witness=witness_of(law, gamma=0)),
            neural.close(weighted(1, reward), rl, witness=witness_of(law, gamma=1)),
        ]

    return all_of([*ends(THREE_ARMS), *ends(FOUR_ARMS)])


@ABS_1.sampled(Scope("three arms, the last logit, gamma = 1"), resolution=0.2)
def _(weight: Any, trial: Trial) -> Answer:
    """Samples of mu, weighted, have the mean of r s under pi."""
    law = THREE_ARMS
    _, pi, reward = law.numbers(Real)
    rs = [r * (int(i == 2) - pi[2]) for i, r in enumerate(reward)]
    table = np.array([weight(w, 1, Real) for w in np.exp(law.log_w())]) * np.array(rs)
    mean = trial.mean(
        f"mean of {table.tolist()}",
        lambda rng, n: table[law.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    exact = sum(p * x for p, x in zip(pi, rs, strict=True))
    return trial.agrees(mean, exact, witness=witness_of(law, gamma=1))


@ABS_1.wrong("ends exchanged")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, 1 - gamma)


@ABS_1.wrong("the ratio squared")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, 2 * gamma)


@ABS_1.wrong("the root of the ratio")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma * m.number("1/2"))


def estimator_variance(gamma: Any, m: Any) -> Any:
    """Return n Var of the mean of w^gamma s on two arms, r = 1, one logit: (pi_2, -pi_1)."""
    mu, pi, _ = TWO_ARMS.numbers(m)
    weights = [m.power(b / a, gamma) for a, b in zip(mu, pi, strict=True)]
    values = [weights[0] * pi[1], -weights[1] * pi[0]]
    # On two outcomes the variance is mu_1 mu_2 times the squared difference.
    return mu[0] * mu[1] * (values[0] - values[1]) * (values[0] - values[1])


ABS_2 = Draft(
    "ABS.2",
    section="abstract",
    kind=Kind.IDENTITY,
    title=Text(
        "The variance is exactly controlled by a Renyi divergence", "方差由 Rényi 散度精确控制"
    ),
    finding=Text(
        "False: at gamma = 0 and 1/2 the right side is C for any laws, while on two arms the "
        "variance is 1/4 and 9/125.",
        "不成立：γ=0 与 1/2 时右端恒为 C，而两臂例中方差分别为 1/4 与 9/125。",
    ),
    statement=r"n\,\mathrm{Var}(\hat g_\gamma) = C\, e^{(2\gamma-1) D_{2\gamma}(\pi\|\mu)},"
    r"\quad C \text{ free of } \gamma",
    subject=formulas.second_moment_from_renyi,
    expect=Verdict.REFUTED,
    uses=("T6.2",),
    reading="'exactly controlled' is at least equality up to a factor that gamma does not change",
)
HALF = Fraction(1, 2)
SAME_MOMENT = witness_of(TWO_ARMS, gamma=(0, HALF))


def printed_ratio(right_side: Any, m: Any) -> Any:
    """The right side at gamma = 1/2 over that at gamma = 0, from D_1 = KL and D_0 = 0."""
    mu, pi, _ = TWO_ARMS.numbers(m)
    divergence = sum(b * m.log(b / a) for a, b in zip(mu, pi, strict=True))
    at_half = right_side(divergence, m.number(HALF), m)
    return at_half / right_side(m.number(0), m.number(0), m)


@ABS_2.symbolic(Scope("the witness"))
def _(right_side: Any) -> Answer:
    """Exact variances at gamma = 0 and 1/2."""
    at_zero, at_half = (estimator_variance(Exact.number(g), Exact) for g in (0, HALF))
    actual, printed = sympy.simplify(at_half / at_zero), printed_ratio(right_side, Exact)
    return symbolic.compare(actual, "==", printed, witness=SAME_MOMENT)


@ABS_2.certified(Scope("the witness"))
def _(right_side: Any) -> Answer:
    """The same two variances in balls."""
    at_zero, at_half = (estimator_variance(Ball.number(g), Ball) for g in (0, HALF))
    printed = printed_ratio(right_side, Ball)
    return certified.compare(at_half / at_zero, "==", printed, witness=SAME_MOMENT)


@ABS_2.neural(Scope("the witness"))
def _(right_side: Any) -> Answer:
    """Scores by autograd of log pi, one per arm, and their variance under mu."""
    mu, pi = neural.tensor(TWO_ARMS.mu), neural.tensor(TWO_ARMS.pi)
    jacobian = neural.torch().autograd.functional.jacobian(
        lambda z: z.log_softmax(0), logits(TWO_ARMS)
    )

    def variance(gamma: float) -> Any:
        values = (pi / mu) ** gamma * jacobian[:, 0]
        return (mu * (values - (mu * values).sum()) ** 2).sum()

    actual = variance(0.5) / variance(0.0)
    printed = printed_ratio(right_side, Real)
    return neural.close([actual], [printed], witness=SAME_MOMENT)


@ABS_2.right("the variance itself")
def _(divergence: Any, gamma: Any, m: Any) -> Any:
    return estimator_variance(gamma, m)


@ABS_2.number("n Var at gamma = 0 on two arms")
def _() -> str:
    return str(estimator_variance(sympy.Integer(0), Exact))


@ABS_2.number("n Var at gamma = 1/2 on two arms")
def _() -> str:
    return str(sympy.simplify(estimator_variance(Exact.number(HALF), Exact)))


CLAIMS = frozen(ABS_1, ABS_2)

"""Section 2.3, the table's last row: f(w) = 1 is SFT and f(w) = w is RL.

A method is named here by the objective that its gradient climbs: the log-likelihood of mu's
outcomes with r = 1, and the expected reward of the policy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Ball, Exact, Jet, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, THETA, R, S, along_logits
from isr_theory.claims.s02_3_1_sampling import scored
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

LAWS = (THREE_ARMS, FOUR_ARMS)


class Methods(NamedTuple):
    """The objectives that name the columns, each from mu, pi, the reward and `m`."""

    sft: Any
    rl: Any


def log_likelihood(mu: Any, pi: Any, reward: Any, m: Any) -> Any:
    """E_mu[log pi], what supervised fine-tuning maximises: no reward enters."""
    return sum(a * m.log(b) for a, b in zip(mu, pi, strict=True))


def expected_reward(mu: Any, pi: Any, reward: Any, m: Any) -> Any:
    """E_pi[r], what reinforcement learning maximises: mu does not enter."""
    return sum(b * r for b, r in zip(pi, reward, strict=True))


PRINTED_METHODS = Methods(log_likelihood, expected_reward)

ROW_6 = Draft(
    "TAB2.3.6",
    section="2.3",
    kind=Kind.REMARK,
    title=Text("The corresponding methods: SFT, RL", "对应方法：SFT，RL"),
    finding=Text(
        "True: f(w) = 1 with r = 1 ascends the log-likelihood, f(w) = w the expected reward.",
        "成立：f(w)=1 且 r≡1 时上升对数似然，f(w)=w 时上升期望奖励。",
    ),
    statement=r"\mathbb{E}_\mu[\nabla\log\pi] = \nabla\,\mathbb{E}_\mu[\log\pi],\quad"
    r"\mathbb{E}_\mu[w\,r\,\nabla\log\pi] = \nabla\,\mathbb{E}_\pi[r]",
    subject=PRINTED_METHODS,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D1.1", "EQ2.2"),
    reading="the setting of section 1.1 has r = 1 for SFT; a method is the objective that its "
    "gradient climbs",
)


@ROW_6.symbolic(
    Scope(
        "every outcome space on which both objectives are finite and their gradients pass under "
        "the integral: outcome by outcome, then by linearity of the mean",
        whole=True,
    )
)
def _(methods: Methods) -> Answer:
    """Outcome by outcome: the objective's slope is mu s, or mu w r s."""
    sft, rl = (objective([MU], [MOVING], [R], Exact) for objective in methods)
    return all_of(
        [
            symbolic.equal(sympy.diff(sft, THETA).subs(THETA, 0), MU * S),
            symbolic.equal(sympy.diff(rl, THETA).subs(THETA, 0), MU * (PI / MU) * R * S),
        ]
    )


@ROW_6.without(PI_IN_MU)
def climbed(methods: Methods, law: Finite) -> Answer:
    """Compare the slopes of both objectives in every logit with scores summed under mu."""
    mu, pi, reward = law.numbers(Ball)
    # What mu never takes is not seen under mu.
    weighted = [
        a * (b / a) * r if a > 0 else flint.arb(0) for a, b, r in zip(mu, pi, reward, strict=True)
    ]

    def slopes(objective: Any) -> list[Any]:
        return along_logits(lambda policy: objective(mu, policy, reward, Jet), pi)

    # Where pi = 0 < mu the likelihood is -infinity, and the balls say nothing of its slope.
    return certified.agree(
        slopes(methods.sft) + slopes(methods.rl),
        scored(mu, pi) + scored(weighted, pi),
        witnesses=[witness_of(law, f=f) for f in ("1", "w") for _ in pi],
    )


@ROW_6.certified(Scope("two laws, every logit"))
def _(methods: Methods) -> Answer:
    """Both objectives as power series in each logit, against scores summed under mu."""
    return all_of(climbed(methods, law) for law in LAWS)


@ROW_6.neural(Scope("two laws"))
def _(methods: Methods) -> Answer:
    """Autograd of the objectives, against the losses with 1 and with a detached w r."""

    def climbed(law: Finite) -> list[Answer]:
        mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))

        def objective(f: Any) -> Any:
            return neural.gradient(lambda z: f(mu, z.softmax(0), reward, Tensor), logits(law))

        def loss(factor: Any) -> Any:
            return neural.gradient(lambda z: (mu * factor * z.log_softmax(0)).sum(), logits(law))

        witness = witness_of(law)
        return [
            neural.close(objective(methods.sft), loss(1.0), witness=witness),
            neural.close(objective(methods.rl), loss(pi / mu * reward), witness=witness),
        ]

    return all_of([*climbed(THREE_ARMS), *climbed(FOUR_ARMS)])


ROW_6.wrong_value("the methods exchanged", Methods(expected_reward, log_likelihood))
ROW_6.wrong_value(
    "the likelihood weighted by the reward",
    PRINTED_METHODS._replace(
        sft=lambda mu, pi, reward, m: log_likelihood(
            [a * r for a, r in zip(mu, reward, strict=True)], pi, reward, m
        )
    ),
)
ROW_6.wrong_value(
    "the likelihood under pi",
    PRINTED_METHODS._replace(sft=lambda mu, pi, reward, m: log_likelihood(pi, pi, reward, m)),
)
ROW_6.wrong_value(
    "the expected reward with entropy",
    PRINTED_METHODS._replace(
        rl=lambda mu, pi, reward, m: (
            expected_reward(mu, pi, reward, m) - log_likelihood(pi, pi, reward, m)
        )
    ),
)


CLAIMS = frozen(ROW_6)

"""Left sides that several sections share: expectations summed outcome by outcome.

Nothing here calls a closed form of `isr_theory.formulas`; that is the point of it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint

from isr_theory.arithmetic import Ball
from isr_theory.claim import Witness
from isr_theory.engines import neural
from isr_theory.models import Finite


def logits(law: Finite) -> Any:
    """Logits whose softmax is the law's policy."""
    return neural.tensor(law.pi).log()


def witness_of(law: Finite, **more: Any) -> Witness:
    """The law as a witness."""
    return Witness.at(mu=law.mu, pi=law.pi, reward=law.reward, **more)


def enumerated_gradient(law: Finite, gamma: Fraction) -> Any:
    """E_mu[w^gamma r s] in all logits, s_k(y) = 1{y=k} - pi_k, by autograd of log softmax."""
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    weights = mu * (pi / mu) ** float(gamma) * reward
    return neural.gradient(
        lambda z: (weights * neural.torch().log_softmax(z, -1)).sum(), logits(law)
    )


def enumerated_balls(law: Finite, gamma: Fraction) -> list[Any]:
    """E_mu[w^gamma r s] in all logits, summed outcome by outcome in balls."""
    mu, pi, reward = law.numbers(Ball)
    masses = [
        a * Ball.exp(Ball.number(gamma) * Ball.log(b / a)) * r
        for a, b, r in zip(mu, pi, reward, strict=True)
    ]
    return [
        sum((mass * (int(i == k) - pi[k]) for i, mass in enumerate(masses)), flint.arb(0))
        for k in range(len(mu))
    ]


def one_logit_variance(law: Finite, gamma: int, m: Any) -> Any:
    """Return n Var of w^gamma s for r = 1 and one logit, s = (pi_2, -pi_1), by enumeration."""
    mu, pi, _ = law.numbers(m)
    values = [(pi[0] / mu[0]) ** gamma * pi[1], -((pi[1] / mu[1]) ** gamma) * pi[0]]
    mean = mu[0] * values[0] + mu[1] * values[1]
    return mu[0] * values[0] * values[0] + mu[1] * values[1] * values[1] - mean * mean

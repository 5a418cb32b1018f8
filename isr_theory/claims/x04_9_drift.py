"""Past section 9.2: what moves a policy inside the dead zone is not the objective.

It is the finite batch: the self-normalised gradient has a bias, which points to mu.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, UNIT_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, S, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite


def batch_drift(mu: Sequence[Number], pi: Sequence[Number], m: Arithmetic) -> list[Number]:
    """-E_mu[w^2 s_k] = pi_k (E_mu[w^2] - w_k): half the slope of -chi2(pi || mu) in the logits."""
    second = sum(b * b / a for a, b in zip(mu, pi, strict=True))
    return [b * (second - b / a) for a, b in zip(mu, pi, strict=True)]


DRIFT = Draft(
    "DYN.drift",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("What moves a policy in the dead zone", "死区内推动策略的是什么"),
    finding=Text(
        "At gamma = 1 and r = 1 the plain batch gradient has mean 0 for every n, while the"
        " self-normalised one drifts down chi2(pi || mu) at 1/(2n): its pull to mu is its bias.",
        "γ = 1、r ≡ 1 时普通批梯度对任意 n 均值为 0，而自归一化梯度以 1/(2n) 沿 χ²(π‖μ) 下降："
        "它向 μ 的拉力只是偏差。",
    ),
    statement=r"\mathbb{E}\Bigl[\frac1n\sum_i w_i s_i\Bigr] = 0,\qquad"
    r" n\,\mathbb{E}\biggl[\frac{\sum_i w_i s_i}{\sum_i w_i}\biggr] \to -\mathbb{E}_\mu[w^2 s]"
    r" = -\tfrac12 \nabla \chi^2(\pi \,\|\, \mu)",
    subject=batch_drift,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, UNIT_REWARD),
    uses=("DYN.deadzone",),
    sharpens=("LST12.1.loss", "GEN13.2.5", "S9.2.b"),
    source="new here; the first-order bias of self-normalised means is classical",
    reading="finitely many outcomes, so that the weights are bounded from both sides; n independent"
    " draws from mu",
)


@DRIFT.symbolic(
    Scope("every law: 1/B expanded to an exact rest, which Cauchy-Schwarz makes O(n^(-3/2))", True)
)
def _(drift: Any) -> Answer:
    """A/B = A - A (B - 1) + A (B - 1)^2/B; its means; the slope of chi2, outcome by outcome."""
    a, b, n, x, second = sympy.symbols("a b n x q", positive=True)
    rest = a * (b - 1) ** 2 / b
    # E[A B]: n terms of one draw, E[w^2 s] = x, and n (n - 1) of two, E[w s] E[w] = p e.
    p, e = sympy.symbols("p e", real=True)
    product = ((n * x + n * (n - 1) * p * e) / n**2 - p).subs({p: 0, e: 1})
    # The score is 1 - pi at the outcome and -pi at the others, whose E_mu[w^2] is second.
    other = [MU, 1], [PI, sympy.sqrt(second)]
    defined = -((PI**2 / MU) * (1 - PI) - second * PI)
    return all_of(
        [
            symbolic.equal(a / b, a - a * (b - 1) + rest),
            symbolic.equal(n * product, x),
            symbolic.equal(drift(*other, Exact)[0], defined),
            symbolic.equal(slope(MU * (MOVING / MU) ** 2), 2 * MU * (PI / MU) ** 2 * S),
            # A plain batch: E_mu[w s] is the slope of E_mu[w] = 1.
            symbolic.equal(slope(MU * (MOVING / MU)), MU * (PI / MU) * S),
        ]
    )


@cache
def self_normalised_mean(law: Finite, n: int) -> Any:
    """E of sum w s / sum w for the first of two logits, over the number of first outcomes."""
    mu, pi, _ = law.numbers(Ball)
    total = flint.arb(0)
    for k in range(n + 1):
        chance = math.comb(n, k) * mu[0] ** k * mu[1] ** (n - k)
        ones, twos = k * pi[0] / mu[0], (n - k) * pi[1] / mu[1]
        total += chance * (ones * pi[1] - twos * pi[0]) / (ones + twos)
    return total


SKEWED = Finite.of("3/5 2/5", "2/5 3/5")


@DRIFT.certified(Scope("two pairs of two outcomes; n = 1, 256 and 512"))
def _(drift: Any) -> Answer:
    """Every batch enumerated: what n times the mean tends to, its 1/n term cancelled."""
    answers = []
    for law in (TWO_ARMS, SKEWED):
        mu, pi, _ = law.numbers(Ball)
        means = [n * self_normalised_mean(law, n) for n in (256, 512)]
        # 2 f(2n) - f(n) is off the limit by O(1/n^2); 1/1000 is 65 times 1/256^2.
        off = 2 * means[1] - means[0] - drift(mu, pi, Ball)[0]
        at = witness_of(law)
        answers.append(certified.compare(abs(off), "<", Ball.number("1/1000"), witness=at))
        # One draw is weighed by 1, and imitates.
        answers.append(
            certified.agree([self_normalised_mean(law, 1)], [mu[0] - pi[0]], witnesses=[at])
        )
    return all_of(answers)


@DRIFT.neural(Scope("three and four outcomes"))
def _(drift: Any) -> Answer:
    """Half of -chi2 differentiated in the logits."""
    answers = []
    for law in (THREE_ARMS, RARE_ARM):
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def half(z: Any, mu: Any = mu) -> Any:
            return -(z.softmax(0) ** 2 / mu).sum() / 2

        found = neural.gradient(half, logits(law))
        said = neural.torch().stack(drift(mu, pi, Tensor))
        answers.append(neural.close(said, found, witness=witness_of(law)))
    return all_of(answers)


def drifts_as_said(drift: Any, law: Finite) -> Answer:
    """Compare 2 E[A (2 - B)] of two draws, all pairs enumerated, with the first logit's drift."""
    rows = [(a, b, r) for a, b, r in zip(law.mu, law.pi, law.reward, strict=True) if a > 0]
    draws = [(a, b / a, b / a * r * (int(i == 0) - law.pi[0])) for i, (a, b, r) in enumerate(rows)]
    found = sum(a * b * (x + y) * (2 - (v + w) / 2) for a, v, x in draws for b, w, y in draws)
    mu, pi = ([sympy.Rational(str(row[k])) for row in rows] for k in (0, 1))
    said = drift(mu, pi, Exact)[0]
    return symbolic.compare(said, "==", sympy.Rational(str(found)), witness=witness_of(law))


DRIFT.without(MUTUAL_SUPPORT)(drifts_as_said)
DRIFT.without(UNIT_REWARD)(drifts_as_said)


@DRIFT.wrong("the whole slope of chi2")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return [2 * x for x in batch_drift(mu, pi, m)]


@DRIFT.wrong("up chi2")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return [-x for x in batch_drift(mu, pi, m)]


@DRIFT.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return batch_drift(pi, mu, m)


@DRIFT.wrong("the slope of -KL(mu || pi)")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return [a - b for a, b in zip(mu, pi, strict=True)]


CLAIMS = frozen(DRIFT)

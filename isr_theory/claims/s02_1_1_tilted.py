"""Section 2.1, Theorem 2.1 for one prompt: f(w) = 1 and the forward KL.

E_mu[r log pi] is -Z (KL(pt || pi) + H(pt)), pt = mu r / Z the reward-tilted law, so that the best
policy of the one is the nearest of the other, in every family of policies.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, PrintedProof, Scope, Text, Verdict
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MU, PI, R
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

Z = sympy.symbols("Z", positive=True)
LAWS = (THREE_ARMS, FOUR_ARMS)

FINITE_TARGET_ENTROPY = Assumption(
    "finite_target_entropy",
    Text(
        "The law that the KL starts from has finite entropy.",
        "KL 第一个自变量所示分布的熵有限。",
    ),
    # A finite outcome set bounds the entropy by log n.
    lambda model: isinstance(model, Finite),
    examples=LAWS,
    violations=("mass proportional to 1/(n log^2 n) on the integers n > 1",),
)


class Forward(NamedTuple):
    """-Z (KL(pt || pi) + H(pt)), outcome by outcome: the tilted mass and the two integrands."""

    target: Any
    divergence: Any
    entropy: Any

    def total(self, mu: Any, pi: Any, reward: Any, m: Any) -> Any:
        """Sum over all outcomes."""
        z = sum(a * r for a, r in zip(mu, reward, strict=True))
        masses = [self.target(a, r, z) for a, r in zip(mu, reward, strict=True)]
        rows = zip(masses, pi, strict=True)
        return -z * sum(self.divergence(t, p, m) + self.entropy(t, m) for t, p in rows)


def tilted_mass(mu: Any, reward: Any, z: Any) -> Any:
    """The tilted mass mu r / Z."""
    return mu * reward / z


def forward_kl(target: Any, policy: Any, m: Any) -> Any:
    """The integrand of KL(target || policy)."""
    return target * m.log(target / policy)


def entropy_term(target: Any, m: Any) -> Any:
    """The integrand of H(target)."""
    return -target * m.log(target)


PRINTED = Forward(tilted_mass, forward_kl, entropy_term)

T2_1_A = Draft(
    "T2.1.a",
    section="2.1",
    kind=Kind.OPTIMUM,
    title=Text("f(w) = 1 is the forward KL, for one prompt", "单个提示下 f(w)=1 等价于 Forward KL"),
    finding=Text(
        "True: E_mu[r log pi] = -Z (KL(pt || pi) + H(pt)), Z > 0 and H(pt) free of pi; r >= 0 is "
        "enough.",
        "成立：E_μ[r log π] = −Z(KL(π̃‖π)+H(π̃))，Z>0 且 H(π̃) 与 π 无关；r ≥ 0 即可。",
    ),
    statement=r"\mathbb{E}_\mu[r\log\pi] = -Z\,\bigl(D_{KL}(\tilde\pi\|\pi) + H(\tilde\pi)\bigr),"
    r"\quad \tilde\pi = \mu r/Z,\quad Z = \mathbb{E}_\mu[r]",
    subject=PRINTED,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(NONNEGATIVE_REWARD, FINITE_TARGET_ENTROPY),
    reading="one prompt x, as Z depends on it; the equivalence is that one side is a falling "
    "affine function of the other, the same for every policy of any family",
)


@T2_1_A.symbolic(
    Scope(
        "every outcome space: outcome by outcome, also where r = 0, then by linearity", whole=True
    )
)
def _(forward: Any) -> Answer:
    """The integrands of the right side add up to mu r log pi, and to 0 where r tends to 0."""
    target = forward.target(MU, R, Z)
    divergence = forward.divergence(target, PI, Exact)
    entropy = forward.entropy(target, Exact)
    right = -Z * (divergence + entropy)
    return all_of(
        [
            symbolic.equal(MU * R * sympy.log(PI), sympy.expand_log(right, force=True)),
            symbolic.limit(divergence, R, 0, 0),
            symbolic.limit(entropy, R, 0, 0),
        ]
    )


def likelihood(law: Finite, m: Any) -> Any:
    """E_mu[r log pi], summed over the outcomes."""
    mu, pi, reward = law.numbers(m)
    return sum(a * r * m.log(p) for a, p, r in zip(mu, pi, reward, strict=True))


@T2_1_A.certified(Scope("three laws"))
def _(forward: Any) -> Answer:
    """Both sides summed over the outcomes."""
    laws = (*LAWS, Finite.of("1/10 9/10", "2/7 5/7", "5 1/3"))
    totals = []
    for law in laws:
        mu, pi, reward = law.numbers(Ball)
        totals.append(forward.total(mu, pi, reward, Ball))
    return certified.agree(
        totals, [likelihood(law, Ball) for law in laws], witnesses=[witness_of(law) for law in laws]
    )


@T2_1_A.neural(Scope("two laws, every logit"))
def _(forward: Any) -> Answer:
    """Value and autograd slopes of both sides in the logits of the policy."""
    answers = []
    for law in LAWS:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)

        def right(z: Any, mu: Any = mu, reward: Any = reward) -> Any:
            return forward.total(list(mu), list(z.softmax(0)), list(reward), Tensor)

        def left(z: Any, mu: Any = mu, reward: Any = reward) -> Any:
            return (mu * reward * z.log_softmax(0)).sum()

        at, witness = logits(law), witness_of(law)
        slopes = [neural.gradient(side, at) for side in (right, left)]
        answers.append(neural.close(*slopes, witness=witness))
        answers.append(neural.close([right(at)], [left(at)], witness=witness))
    return all_of(answers)


@T2_1_A.sampled(Scope("three arms"), resolution=0.02)
def _(forward: Any, trial: Trial) -> Answer:
    """The mean of r log pi over samples of mu."""
    law = THREE_ARMS
    mu, pi, reward = law.numbers(Real)
    table = np.array(reward) * np.log(pi)
    mean = trial.mean(
        "r log pi", lambda rng, n: table[law.sample(rng, n)], float(table.min()), float(table.max())
    )
    return trial.agrees(mean, forward.total(mu, pi, reward, Real), witness=witness_of(law))


def _squared_mass(mu: Any, reward: Any, z: Any) -> Any:
    return mu * reward * reward / z


def _reverse_kl(target: Any, policy: Any, m: Any) -> Any:
    return forward_kl(policy, target, m)


T2_1_A.wrong_value("reverse KL", PRINTED._replace(divergence=_reverse_kl))
T2_1_A.wrong_value("sign of the entropy", PRINTED._replace(entropy=lambda t, m: t * m.log(t)))
T2_1_A.wrong_value("entropy left out", PRINTED._replace(entropy=lambda t, m: 0 * t))
T2_1_A.wrong_value("target not normalised", PRINTED._replace(target=lambda mu, r, z: mu * r))
T2_1_A.wrong_value("the reward squared", PRINTED._replace(target=_squared_mass))


def tilted_balls() -> tuple[list[Any], list[Any]]:
    """Return pt and pi of the three arms."""
    mu, pi, reward = THREE_ARMS.numbers(Ball)
    return formulas.tilted(mu, reward, Ball), pi


AT = "at mu = (3/5, 3/10, 1/10), pi = (1/5, 3/10, 1/2), r = (1, 2, 4)"


@T2_1_A.number(f"E_mu[r log pi] {AT}")
def _() -> str:
    return certified.digits(likelihood(THREE_ARMS, Ball))


@T2_1_A.number(f"KL(pt || pi) {AT}")
def _() -> str:
    target, pi = tilted_balls()
    return certified.digits(formulas.kl(target, pi, Ball))


@T2_1_A.number(f"H(pt) {AT}")
def _() -> str:
    return certified.digits(formulas.entropy(tilted_balls()[0], Ball))


CLAIMS = frozen(T2_1_A)

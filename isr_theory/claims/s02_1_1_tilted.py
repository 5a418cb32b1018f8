"""Section 2.1, Theorem 2.1 for one prompt: f(w) = 1 and the forward KL.

E_mu[r log pi] is -Z (KL(pt || pi) + H(pt)), pt = mu r / Z the reward-tilted law, so that the best
policy of the one is the nearest of the other, in every family of policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MU, PI, R
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

Z, Y = sympy.symbols("Z y", positive=True)
LAWS = (THREE_ARMS, FOUR_ARMS)


@dataclass(frozen=True)
class SlowTail:
    """Masses in proportion to 1 / (n log^power n) on the integers n > 1, power > 1."""

    power: int

    def mass(self, log_n: Any) -> Any:
        """The mass of n, but for the factor that makes the sum 1."""
        return sympy.exp(-log_n) / log_n**self.power


FINITE_TARGET_ENTROPY = Assumption(
    "finite_target_entropy",
    Text(
        "The law that the KL starts from has finite entropy.",
        "KL 第一个自变量所示分布的熵有限。",
    ),
    # A finite outcome set bounds it by log n; for a slow tail it is of the order of a sum of
    # 1 / (n log^(power - 1) n).
    lambda model: isinstance(model, Finite) or model.power > 2,
    examples=(*LAWS, SlowTail(3)),
    violations=(SlowTail(2),),
    draw=Finite.drawn,
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


@T2_1_A.without(NONNEGATIVE_REWARD)
def both_sides(forward: Any, law: Finite) -> Answer:
    """Compare both sides, where pt is a law and -Z makes the one fall as the other rises."""
    # At r = 0 both integrands are 0.
    rewarded = [row for row in zip(law.mu, law.pi, law.reward, strict=True) if row[2] != 0]
    mu, pi, reward = ([Ball.number(x) for x in row] for row in zip(*rewarded, strict=True))
    z = sum((a * r for a, r in zip(mu, reward, strict=True)), flint.arb(0))
    masses = [forward.target(a, r, z) for a, r in zip(mu, reward, strict=True)]
    witness = witness_of(law)
    return all_of(
        [
            *(certified.compare(mass, ">", 0, witness=witness) for mass in (z, *masses)),
            certified.agree(
                [forward.total(mu, pi, reward, Ball)], [likelihood(law, Ball)], witnesses=[witness]
            ),
        ]
    )


def falls_with_distance(divergence: Any, entropy: Any, law: SlowTail) -> Answer:
    """Say whether a rival of the law is less likely by as much as it is further off, r = 1.

    The rival has the law's first two masses exchanged. A factor common to all masses changes
    neither the comparison nor whether H is finite, so it is left out.
    """
    two, three = (law.mass(sympy.log(n)) for n in (2, 3))
    further = divergence(two, three) + divergence(three, two)
    less_likely = (two - three) * sympy.log(two / three)
    # -H is the likelihood of the law itself, and no policy has a larger one. The sum over n is
    # finite where the integral is; with n = e^y its integrand is of the order y^(1 - power).
    spread = sympy.expand_log(entropy(law.mass(Y)), force=True) * sympy.exp(Y)
    if sympy.limit(sympy.expand(spread) * Y, Y, sympy.oo) != 0:
        # All policies have the likelihood -infinity: the rival is no less likely than the law.
        less_likely = sympy.Integer(0)
    witness = Witness.at(mu=f"1/(n log^{law.power} n), n > 1", reward=1)
    return symbolic.equal(less_likely, further, points=[{}], witness=witness)


@T2_1_A.without(FINITE_TARGET_ENTROPY)
def _(forward: Any, law: Any) -> Answer:
    if isinstance(law, Finite):
        return both_sides(forward, law)
    return falls_with_distance(
        lambda p, q: forward.divergence(forward.target(p, 1, 1), q, Exact),
        lambda p: forward.entropy(forward.target(p, 1, 1), Exact),
        law,
    )


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

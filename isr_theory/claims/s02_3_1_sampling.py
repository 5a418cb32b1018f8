"""Section 2.3, the table's first rows: where the gradient is sampled, and the forward KL.

A mean under mu weighted by w is a mean under pi, and f(w) = 1 descends the KL from the law mu r / Z
to the policy, both as printed.
"""

from __future__ import annotations

from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD, PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, R, along_logits, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

H, REST, REST_R = sympy.symbols("h mu_rest r_rest", positive=True)
LAWS = (THREE_ARMS, FOUR_ARMS)


def scored(terms: list[Any], pi: list[Any]) -> list[Any]:
    """Sum terms times s_k(y) = 1{y=k} - pi_k over the outcomes, for every logit k."""
    return [
        sum((term * (int(y == k) - here) for y, term in enumerate(terms)), flint.arb(0))
        for k, here in enumerate(pi)
    ]


def ratio(mu: Any, pi: Any) -> Any:
    """Return w = pi / mu, of two masses or densities."""
    return pi / mu


ROW_1 = Draft(
    "TAB2.3.1",
    section="2.3",
    kind=Kind.IDENTITY,
    title=Text("Gradient samples: from mu, equivalently from pi", "梯度采样：从 μ，等价于从 π"),
    finding=Text(
        "True where mu covers pi: weighting by w turns every mean under mu into one under pi.",
        "μ 覆盖 π 时成立：乘以 w 使 μ 下的任何期望变为 π 下的期望。",
    ),
    statement=r"\mathbb{E}_\mu[w\,h] = \mathbb{E}_\pi[h]\ \text{for every integrable } h",
    subject=ratio,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("EQ2.2",),
    reading="the left cell is the definition of the gradient; the right one is an equality of "
    "means, not of variances",
)


@ROW_1.symbolic(Scope("every outcome, also one that pi never takes; then by linearity", whole=True))
def _(weight: Any) -> Answer:
    """Outcome by outcome: mu w h is pi h, and 0 where pi is 0."""
    return all_of(
        [
            symbolic.equal(MU * weight(MU, PI) * H, PI * H),
            symbolic.equal(MU * weight(MU, sympy.Integer(0)) * H, 0),
        ]
    )


@ROW_1.without(PI_IN_MU)
def _(weight: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    rows = list(zip(mu, pi, reward, strict=True))
    # What mu never takes is not seen under mu.
    weighted = sum((a * weight(a, b) * h for a, b, h in rows if a > 0), flint.arb(0))
    plain = sum((b * h for _, b, h in rows), flint.arb(0))
    return certified.agree([weighted], [plain], witnesses=[witness_of(law, h="r")])


@ROW_1.certified(Scope("N(0, 1) and N(1/2, 1), h = z^2 e^(z/2)"))
def _(weight: Any) -> Answer:
    """Rigorous quadrature under mu, against the known moment of the normal pi."""
    half = Ball.number("1/2")

    def density(x: Any) -> Any:
        return (-x * x / 2).exp()

    def integrand(z: Any) -> Any:
        return weight(density(z), density(z - half)) * z * z * (z / 2).exp()

    # The square of the ratio grows no faster than e^|z|, and z^2 <= 2 e^|z|.
    mean = certified.gaussian_expectation(integrand, growth=4, constant=2)
    # e^(z/2) moves the normal pi from 1/2 to 1, where z^2 has mean 2, and costs e^(1/4 + 1/8).
    return certified.agree([mean], [2 * (3 * half / 4).exp()], witnesses=[Witness.at(shift="1/2")])


@ROW_1.neural(Scope("two laws, every logit"))
def _(weight: Any) -> Answer:
    """The weighted score r w s under mu, by autograd, is the gradient of E_pi[r]."""

    def weighted(law: Finite) -> Answer:
        mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
        terms = mu * weight(mu, pi) * reward
        found = neural.gradient(lambda z: (terms * z.log_softmax(0)).sum(), logits(law))
        expected = neural.gradient(lambda z: (z.softmax(0) * reward).sum(), logits(law))
        return neural.close(found, expected, witness=witness_of(law))

    return all_of(weighted(law) for law in LAWS)


@ROW_1.sampled(Scope("three arms, h = r"), resolution=0.5, looks=2)
def _(weight: Any, trial: Trial) -> Answer:
    """Weighted samples of mu and plain samples of pi have the same mean."""
    law = THREE_ARMS
    swapped = Finite(law.pi, law.mu, law.reward)
    mu, pi, reward = (np.array(row) for row in law.numbers(Real))
    table = weight(mu, pi) * reward
    high = float(table.max())
    weighted = trial.mean(
        f"{table.tolist()} under mu",
        lambda rng, n: table[law.sample(rng, n)],
        0.0,
        high,
        resolution=0.25,
    )
    plain = trial.mean(
        "r under pi", lambda rng, n: reward[swapped.sample(rng, n)], 1.0, 4.0, resolution=0.25
    )
    return trial.agrees(weighted - plain, 0.0, witness=witness_of(law))


@ROW_1.wrong("the ratio upside down")
def _(mu: Any, pi: Any) -> Any:
    return mu / pi


@ROW_1.wrong("no weight")
def _(mu: Any, pi: Any) -> Any:
    return 1 + 0 * mu * pi


@ROW_1.wrong("the ratio squared")
def _(mu: Any, pi: Any) -> Any:
    return pi * pi / (mu * mu)


@ROW_1.wrong("the ratio to the mixture of both")
def _(mu: Any, pi: Any) -> Any:
    return 2 * pi / (mu + pi)


ROW_2_A = Draft(
    "TAB2.3.2.a",
    section="2.3",
    kind=Kind.IDENTITY,
    title=Text("f(w) = 1 and the forward KL", "f(w)=1 与前向 KL"),
    finding=Text(
        "True: E_mu[r s] is -Z times the gradient of the KL from the reward-tilted law to pi.",
        "成立：E_μ[r s] 等于 −Z 乘以从奖励倾斜分布到 π 的 KL 的梯度。",
    ),
    statement=r"\mathbb{E}_\mu[r\,\nabla\log\pi] = -Z\,\nabla D_{KL}(\tilde\pi\|\pi),\quad"
    r" Z = \mathbb{E}_\mu[r]",
    subject=formulas.tilted,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T2.1.a",),
    reading="'equivalent' is descent in the same direction, with a factor Z free of pi",
)


@ROW_2_A.symbolic(
    Scope(
        "every outcome space on which the gradient passes under the integral: outcome by outcome, "
        "then by linearity of the mean",
        whole=True,
    )
)
def _(target: Any) -> Answer:
    """The integrand of -Z KL moves with theta as mu r log pi does, whatever the other outcomes."""
    # One outcome against the mass and the mean reward of all others gives Z any value.
    total = MU * R + REST * REST_R
    here = target([MU, REST], [R, REST_R], Exact)[0]
    divergence = here * (sympy.log(here) - sympy.log(MOVING))
    return symbolic.equal(-total * slope(divergence), slope(MU * R * sympy.log(MOVING)))


@ROW_2_A.without(NONNEGATIVE_REWARD)
def descends(target: Any, law: Finite) -> Answer:
    """Compare the slopes of -Z KL in every logit with E_mu[r s], pt a law and Z positive."""
    mu, pi, reward = law.numbers(Ball)
    masses = [a * r for a, r in zip(mu, reward, strict=True)]
    total, tilted, witness = sum(masses, flint.arb(0)), target(mu, reward, Ball), witness_of(law)

    def divergence(policy: list[Any]) -> Any:
        # 0 log 0 is 0.
        rows = [(t, p) for t, p in zip(tilted, policy, strict=True) if not t.is_zero()]
        return sum(t * Jet.log(t / p) for t, p in rows)

    found = [-total * x for x in along_logits(divergence, pi)]
    return all_of(
        [
            certified.compare(total, ">", 0, witness=witness),
            *(certified.compare(t, ">=", 0, witness=witness) for t in tilted),
            certified.agree(found, scored(masses, pi), witnesses=[witness] * len(pi)),
        ]
    )


@ROW_2_A.certified(Scope("two laws, every logit"))
def _(target: Any) -> Answer:
    """The forward KL as a power series in each logit, against scores summed under mu."""
    return all_of(descends(target, law) for law in LAWS)


@ROW_2_A.neural(Scope("two laws, one with an outcome of reward 0"))
def _(target: Any) -> Answer:
    """Autograd of the forward KL, against autograd of E_mu[r log pi]."""

    def both(law: Finite) -> Answer:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        tilted = neural.tensor(target(*law.numbers(Real)[::2], Real))

        def divergence(z: Any) -> Any:
            return neural.torch().nn.functional.kl_div(z.log_softmax(0), tilted, reduction="sum")

        found = -(mu * reward).sum() * neural.gradient(divergence, logits(law))
        likelihood = neural.gradient(lambda z: (mu * reward * z.log_softmax(0)).sum(), logits(law))
        return neural.close(found, likelihood, witness=witness_of(law))

    return all_of([both(FOUR_ARMS), both(Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "0 2 4"))])


@ROW_2_A.wrong("the reward squared")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return formulas.normalised([a * r * r for a, r in zip(mu, reward, strict=True)])


@ROW_2_A.wrong("the reward left out")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return formulas.normalised([a + 0 * r for a, r in zip(mu, reward, strict=True)])


@ROW_2_A.wrong("e^r for r")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return formulas.normalised([a * m.exp(r) for a, r in zip(mu, reward, strict=True)])


CLAIMS = frozen(ROW_1, ROW_2_A)

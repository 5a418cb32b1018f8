"""Past section 6: Renyi divergence of sequences, and as a minimum over laws.

It adds over independent tokens, and (1 - alpha) D_alpha is the least alpha KL(R || pi) +
(1 - alpha) KL(R || mu) at every order, which carries Theorem 5.2 past order 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import logits
from isr_theory.claims.general_law import (
    GAMMA,
    LEVEL,
    MU,
    SUMS,
    TARGET,
    U,
    gibbs,
    total_mass,
)
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_1_1_renyi import at, divergence_between, summed_moment
from isr_theory.claims.s06_3_1_at_one import (
    common_ends,
    ends,
    missed,
)
from isr_theory.claims.x07_renyi import SOURCE, logs_apart
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import (
    RARE_ARM,
    THREE_ARMS,
    TWO_ARMS,
    Finite,
    drawn_fraction,
    fractions,
)

A, B, P, Q, M, N, SHARE = sympy.symbols("a b p q M N S", positive=True)
K = sympy.symbols("K", real=True)


@dataclass(frozen=True)
class TwoTokens:
    """Two tokens of two values each: the masses of 00, 01, 10, 11 under mu and under pi."""

    mu: tuple[Fraction, ...]
    pi: tuple[Fraction, ...]

    @classmethod
    def independent(cls, *heads: Fraction) -> TwoTokens:
        """Build from four masses: of 0 as first and second token, under mu, then under pi."""
        rows = [
            tuple(a * b for a in (x, 1 - x) for b in (y, 1 - y)) for x, y in (heads[:2], heads[2:])
        ]
        return cls(*rows)


def _factors(law: tuple[Fraction, ...]) -> bool:
    return law[0] * law[3] == law[1] * law[2]


INDEPENDENT_TOKENS = Assumption(
    "independent_tokens",
    Text("Tokens are independent, under mu and under pi.", "在 μ 与 π 下各 token 相互独立。"),
    lambda tokens: _factors(tokens.mu) and _factors(tokens.pi),
    examples=(TwoTokens.independent(*fractions("1/2 1/3 9/10 1/5")),),
    violations=(TwoTokens(fractions("1/4 1/4 1/4 1/4"), fractions("2/5 1/10 1/10 2/5")),),
    draw=lambda rng: TwoTokens.independent(*(drawn_fraction(rng, "0", "1") for _ in range(4))),
)


def of_sequence(by_token: Sequence[Number]) -> Number:
    """D_alpha of a sequence of independent tokens: the sum of theirs."""
    return sum(by_token)


ADDITIVE = Draft(
    "REN.additive",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Independent tokens add", "独立 token 的可加性"),
    finding=Text(
        "True at every order: T tokens of one law have T times its divergence, so that the moments "
        "and the ESS of a sequence ratio are exponential in T.",
        "任意阶均成立：T 个同分布 token 的散度是单个的 T 倍，"
        "故序列比率的矩与 ESS 均为 T 的指数函数。",
    ),
    statement=r"D_\alpha\bigl(\textstyle\prod_t \pi_t \big\| \prod_t \mu_t\bigr)"
    r" = \sum_t D_\alpha(\pi_t\|\mu_t)",
    subject=of_sequence,
    expect=Verdict.VERIFIED,
    assumes=(INDEPENDENT_TOKENS,),
    uses=("D6.1",),
    sharpens=("D6.1", "T6.2"),
    source=SOURCE,
    reading="both sides may be infinite; a dependent sequence has the chain rule of REN.processing",
)
TOKENS, ORDERS = (TWO_ARMS, THREE_ARMS, RARE_ARM), (Fraction(1, 3), Fraction(2))


@ADDITIVE.symbolic(Scope("any two laws and their product, and so any number of laws", whole=True))
def _(joint: Any) -> Answer:
    """The integrand of the product factors; logarithms of two and of three moments add."""
    both = formulas.moment([A * B], [P * Q], GAMMA, Exact)
    each = formulas.moment([A], [P], GAMMA, Exact) * formulas.moment([B], [Q], GAMMA, Exact)

    def divergences(*moments: Any) -> list[Any]:
        return [formulas.renyi(x, GAMMA, Exact) for x in moments]

    (two,), (three,) = divergences(M * N), divergences(M * N * SHARE)
    return all_of(
        [
            symbolic.equal(both, each, reduce=sympy.expand_power_base),
            symbolic.equal(joint(divergences(M, N)), two, reduce=logs_apart),
            symbolic.equal(joint(divergences(M, N, SHARE)), three, reduce=logs_apart),
        ]
    )


@ADDITIVE.certified(Scope("three tokens of two, three and four values, orders 1/3 and 2"))
def _(joint: Any) -> Answer:
    """All 24 sequences summed, against each token's two KLs to the law between."""
    found, stated = [], []
    for order in ORDERS:
        alpha = Ball.number(order)
        mus, pis = ([[Ball.number(x) for x in law] for law in laws] for laws in _laws())
        sequences = zip(product(*mus), product(*pis), strict=True)
        total_of = sum(
            prod(a, start=flint.arb(1))
            * Ball.exp(alpha * sum(Ball.log(y / x) for x, y in zip(a, p, strict=True)))
            for a, p in sequences
        )
        found.append(formulas.renyi(total_of, alpha, Ball))
        stated.append(joint([divergence_between(law, order, Ball) for law in TOKENS]))
    return certified.agree(found, stated, witnesses=[Witness.at(alpha=a) for a in ORDERS])


def _laws() -> tuple[list[Any], list[Any]]:
    return [law.mu for law in TOKENS], [law.pi for law in TOKENS]


@ADDITIVE.neural(Scope("tokens of two and of three values, orders 1/3 and 2"))
def _(joint: Any) -> Answer:
    """The joint divergence has each token's own slope in that token's logits, by autograd."""
    first, second, answers = neural.tensor(TWO_ARMS.mu), neural.tensor(THREE_ARMS.mu), []
    for order in ORDERS:
        alpha = float(order)

        def divergence(mu: Any, pi: Any, alpha: float = alpha) -> Any:
            return (mu * (pi / mu) ** alpha).sum().log() / (alpha - 1)

        def enumerated(z: Any, divergence: Any = divergence) -> Any:
            pi = z[:2].softmax(0).outer(z[2:].softmax(0))
            return divergence(first.outer(second), pi)

        def summed(z: Any, divergence: Any = divergence) -> Any:
            pis = z[:2].softmax(0), z[2:].softmax(0)
            return joint([divergence(m, p) for m, p in zip((first, second), pis, strict=True)])

        place = neural.torch().cat([logits(TWO_ARMS), logits(THREE_ARMS)])
        slopes = [neural.gradient(side, place) for side in (enumerated, summed)]
        answers.append(neural.close(*slopes, witness=Witness.at(alpha=order)))
    return all_of(answers)


@ADDITIVE.sampled(Scope("two tokens at order 1/2"), resolution=0.05)
def _(joint: Any, trial: Trial) -> Answer:
    """The mean of w^(1/2) over sequences drawn token by token is e^(-D/2)."""
    roots = [np.exp(law.log_w() / 2) for law in (TWO_ARMS, THREE_ARMS)]
    high = float(roots[0].max() * roots[1].max())
    mean = trial.mean(
        "root of the sequence ratio",
        lambda rng, n: roots[0][TWO_ARMS.sample(rng, n)] * roots[1][THREE_ARMS.sample(rng, n)],
        0.0,
        high,
    )
    divergences = [
        formulas.renyi(summed_moment(law, 0.5, Real), 0.5, Real) for law in (TWO_ARMS, THREE_ARMS)
    ]
    witness = Witness.at(alpha=Fraction(1, 2))
    return trial.agrees(mean, Real.exp(-joint(divergences) / 2), witness=witness)


@ADDITIVE.without(INDEPENDENT_TOKENS)
def _(joint: Any, tokens: TwoTokens) -> Answer:
    alpha = Ball.number(2)

    def divergence(mu: Law, pi: Law) -> Any:
        return formulas.renyi(
            sum(Ball.number(p * p / a) for a, p in zip(mu, pi, strict=True)), alpha, Ball
        )

    def alone(law: Law, token: int) -> tuple[Number, Number]:
        first = law[0] + (law[2] if token else law[1])
        return first, 1 - first

    each = [divergence(alone(tokens.mu, k), alone(tokens.pi, k)) for k in (0, 1)]
    witness = Witness.at(mu=tokens.mu, pi=tokens.pi, alpha=2)
    return certified.agree([divergence(tokens.mu, tokens.pi)], [joint(each)], witnesses=[witness])


@ADDITIVE.wrong("the mean, as of a length-normalised ratio")
def _(by_token: Any) -> Any:
    return sum(by_token) / len(by_token)


@ADDITIVE.wrong("as of distances at right angles")
def _(by_token: Any) -> Any:
    return sum(d * d for d in by_token) / sum(by_token)


@ADDITIVE.wrong("the last token alone")
def _(by_token: Any) -> Any:
    return by_token[-1]


class Variational(NamedTuple):
    """What is minimised, from KL(R || pi) and KL(R || mu), and the law R at which it is least."""

    objective: Any
    minimiser: Any


def between_both(to_pi: Number, to_mu: Number, alpha: Number) -> Number:
    """Return alpha KL(R || pi) + (1 - alpha) KL(R || mu)."""
    return alpha * to_pi + (1 - alpha) * to_mu


VARIATIONAL = Draft(
    "REN.variational",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Renyi divergence as a minimum over laws", "Rényi 散度的变分表示"),
    finding=Text(
        "True at every order: T5.2 gives its value, and past order 1 it reads D_alpha = max over R "
        "of KL(R || mu) - alpha/(alpha - 1) KL(R || pi), at the same R.",
        "任意阶成立：T5.2 给出其最优值；阶 > 1 时即 D_α = max_R {KL(R‖μ) − α/(α−1)·KL(R‖π)}，"
        "最优 R 形式不变。",
    ),
    statement=r"(1-\alpha) D_\alpha(\pi\|\mu) = \min_R\, \alpha D_{KL}(R\|\pi)"
    r" + (1-\alpha) D_{KL}(R\|\mu),\quad R^* \propto \mu^{1-\alpha}\pi^\alpha,\quad \alpha > 0",
    subject=Variational(between_both, formulas.geometric_path),
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("T5.2", "D6.1"),
    sharpens=("T5.2",),
    source=SOURCE,
    reading="over laws R whose two divergences are finite, R* among them, as where the moment is "
    "finite about alpha; else what is stated is an infimum",
)
VARIED = [(law, Fraction(a)) for law in (THREE_ARMS, RARE_ARM) for a in ("1/4", "3")]


@VARIATIONAL.symbolic(
    Scope("every law and every R, outcome by outcome, every order; KL(R || R*) >= 0", whole=True)
)
def _(least: Any) -> Answer:
    """The objective's integrand is R log(R/R*) - R log Z; Gibbs's inequality; -log Z is D's."""
    law = sympy.symbols("R", positive=True)
    mass = total_mass()
    to_pi, to_mu = (law * sympy.log(law / sympy.exp(x)) for x in (U + LEVEL, U))
    best = least.minimiser(MU, TARGET, GAMMA, SUMS)[0].entry
    gap = law * sympy.log(law / best) - law * sympy.log(mass)
    return all_of(
        [
            symbolic.equal(least.objective(to_pi, to_mu, GAMMA), gap, reduce=logs_apart),
            symbolic.equal((1 - GAMMA) * formulas.renyi(M, GAMMA, Exact), -sympy.log(M)),
            *gibbs(),
        ]
    )


@VARIATIONAL.certified(Scope("two laws, orders 1/4 and 3, three other laws R each"))
def _(least: Any) -> Answer:
    """The value at R* is (1 - alpha) D from the moment, and elsewhere more by KL(R || R*)."""
    answers = []
    for law, order in VARIED:
        mu, pi = ends(law, Ball)
        alpha, witness = Ball.number(order), at(law, order)

        def value(r: Any, mu: Any = mu, pi: Any = pi, alpha: Any = alpha) -> Any:
            return least.objective(*(formulas.kl(r, x, Ball) for x in (pi, mu)), alpha)

        best = least.minimiser(mu, pi, alpha, Ball)
        level = -Ball.log(summed_moment(law, alpha, Ball))
        flat = formulas.normalised([Ball.number(k + 1) for k in range(len(mu))])
        excess = [value(r) - level for r in (mu, pi, flat)]
        from_best = [formulas.kl(r, best, Ball) for r in (mu, pi, flat)]
        answers += [
            certified.agree([value(best), *excess], [level, *from_best], witnesses=[witness] * 4),
            *(certified.compare(x, ">", 0, witness=witness) for x in excess),
        ]
    return all_of(answers)


@VARIATIONAL.neural(Scope("two laws, orders 1/4 and 3, softmax logits of R"))
def _(least: Any) -> Answer:
    """No slope in the logits of R at R*, and the curvature of a minimum, past order 1 too."""
    answers = []
    for law, order in VARIED:
        mu, pi = ends(law, Tensor)
        best = neural.tensor(least.minimiser(*ends(law, Real), float(order), Real)).log()

        def value(z: Any, mu: Any = mu, pi: Any = pi, alpha: float = float(order)) -> Any:
            r = list(z.softmax(0))
            return least.objective(*(formulas.kl(r, x, Tensor) for x in (pi, mu)), alpha)

        # A constant added to all logits changes nothing: the first curvature is 0.
        bends = neural.torch().linalg.eigvalsh(neural.hessian(value, best))[1]
        answers += [
            neural.close(neural.gradient(value, best), 0 * best, witness=at(law, order)),
            neural.compare(bends, ">", 0, witness=at(law, order)),
        ]
    return all_of(answers)


@VARIATIONAL.without(PI_IN_MU)
def _(least: Any, law: Finite) -> Answer:
    # R = pi at order 3, against what E_mu makes of the moment. Where mu misses an outcome of pi
    # KL(pi || mu) is infinite, and so there is no least value.
    mu, pi = common_ends(law, Ball)
    to_mu = formulas.kl(pi, mu, Ball) + missed(law.pi, law.mu)
    value = least.objective(flint.arb(0), to_mu, Ball.number(3))
    stated = -Ball.log(moment(law, Ball.number(3)))
    return certified.compare(value, ">=", stated, witness=at(law, 3))


VARIATIONAL.wrong_value(
    "the exponents of R* exchanged",
    Variational(between_both, lambda a, b, t, m: formulas.geometric_path(b, a, t, m)),
)
VARIATIONAL.wrong_value(
    "R* the mixture",
    Variational(
        between_both,
        lambda a, b, t, m: [(1 - t) * x + t * y for x, y in zip(a, b, strict=True)],
    ),
)
VARIATIONAL.wrong_value(
    "the divergences exchanged",
    Variational(lambda p, q, t: between_both(q, p, t), formulas.geometric_path),
)
VARIATIONAL.wrong_value(
    "alpha - 1 for 1 - alpha",
    Variational(lambda p, q, t: t * p + (t - 1) * q, formulas.geometric_path),
)

CLAIMS = frozen(ADDITIVE, VARIATIONAL)

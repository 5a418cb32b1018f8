"""Section 10.1, third row: ESS falls in gamma.

The slope of log ESS is minus a sum over pairs of outcomes of one kernel, which is positive for
each pair of different weights. So it falls for every law, the empirical law of a batch included.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.instances import named
from isr_theory.claims.s10_1_bias import along, in_exponentials, slope_at, slope_log
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

GAMMA, D = sympy.symbols("gamma d", positive=True)
LEVEL = sympy.symbols("l", real=True)


def flattened(w: Number, gamma: Number, m: Arithmetic) -> Number:
    """The flattened weight w^gamma of one outcome."""
    return m.power(w, gamma)


TAB10_1_3 = Draft(
    "TAB10.1.3",
    section="10.1",
    kind=Kind.INEQUALITY,
    title=Text("ESS decreases in gamma", "ESS(γ) 单调递减"),
    finding=Text(
        "True for every law whose weights are not all equal, not only for log-normal weights.",
        "对权重不全相等的任意分布都成立，不限于对数正态。",
    ),
    statement=r"\frac{d}{d\gamma}\log\mathrm{ESS}_\gamma "
    r"= 2\bigl(\mathbb{E}_{\nu_\gamma}[\log w] - \mathbb{E}_{\nu_{2\gamma}}[\log w]\bigr) < 0",
    subject=flattened,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It refers to Theorem 8.2, which is about log-normal weights; the statement holds for "
        "every law.",
        "引自定理 8.2，而后者只论对数正态权重；结论对任意分布成立。",
    ),
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("D8.1",),
    reading="nu_t is mu w^t normalised; gamma > 0 and E[w^(2 gamma)] finite, past which ESS is 0",
)


@TAB10_1_3.symbolic(
    Scope("every law: the slope is minus a sum of x x' times the kernel over pairs", whole=True)
)
def _(weight: Any) -> Answer:
    """A pair of outcomes with different weights lowers ESS for every gamma > 0."""
    masses, weights, slopes = (sympy.symbols(f"{name}1 {name}2") for name in "mxt")
    rows = list(zip(masses, weights, slopes, strict=True))
    # E[x]E[x^2]/2 times the slope of log ESS is E[x t] E[x^2] - E[x^2 t] E[x], t = d log x/d gamma.
    pairs = sum(
        m * n * (x * t * y * y - x * x * t * y) for (m, x, t), (n, y, _) in product(rows, repeat=2)
    )
    kernel = (weights[0] - weights[1]) * (slopes[0] - slopes[1])
    low, high = (weight(sympy.exp(level), GAMMA, Exact) for level in (LEVEL, LEVEL + D))
    at_pair = (high - low) * (slope_log(high) - slope_log(low))
    expected = 2 * D * sympy.exp(GAMMA * (LEVEL + D / 2)) * sympy.sinh(GAMMA * D / 2)
    return all_of(
        [
            # d log x / d gamma is log w, whose tilted means the statement compares.
            *(
                symbolic.equal(slope_log(x), log_w)
                for x, log_w in ((low, LEVEL), (high, LEVEL + D))
            ),
            symbolic.equal(pairs, -sympy.prod(masses) * sympy.prod(weights) * kernel),
            symbolic.positive(expected),
            symbolic.equal(at_pair, expected, reduce=in_exponentials),
        ]
    )


@TAB10_1_3.certified(Scope("two laws, every gamma in [1/20, 1]"))
def _(weight: Any) -> Answer:
    """The derivative of log ESS is negative, box by box."""

    def log_ess(law: Finite) -> Callable[[Number], Number]:
        mu, pi, _ = law.numbers(Jet)
        rows = list(zip(mu, pi, strict=True))

        def at(gamma: Number) -> Number:
            weights = [(a, weight(b / a, gamma, Jet)) for a, b in rows]
            first, second = sum(a * x for a, x in weights), sum(a * x * x for a, x in weights)
            return 2 * Jet.log(first) - Jet.log(second)

        return at

    return all_of(
        certified.sign_on(
            slope_at(log_ess(law)),
            (Fraction(1, 20), Fraction(1)),
            positive=False,
            witness=along(mu=law.mu, pi=law.pi),
        )
        for law in (THREE_ARMS, RARE_ARM)
    )


@TAB10_1_3.neural(Scope("four arms at three gammas"))
def _(weight: Any) -> Answer:
    """The autograd slope is twice the difference of two tilted means of log w."""
    mu, pi = neural.tensor(UNIFORM_POLICY.mu), neural.tensor(UNIFORM_POLICY.pi)
    level = (pi / mu).log()

    def tilted_mean(t: Any) -> Any:
        masses = mu * (t * level).exp()
        return (masses * level).sum() / masses.sum()

    def log_ess(gamma: Any) -> Any:
        weights = weight(pi / mu, gamma, Tensor)
        return 2 * (mu * weights).sum().log() - (mu * weights * weights).sum().log()

    gammas = [Fraction(1, 5), Fraction(1, 2), Fraction(1)]
    return all_of(
        neural.close(
            neural.gradient(log_ess, neural.tensor(gamma)),
            2 * (tilted_mean(float(gamma)) - tilted_mean(2 * float(gamma))),
            witness=Witness.at(mu=UNIFORM_POLICY.mu, pi=UNIFORM_POLICY.pi, gamma=gamma),
        )
        for gamma in gammas
    )


@TAB10_1_3.sampled(Scope("three arms, from gamma = 1/4 to 3/4"), resolution=0.1, looks=4)
def _(weight: Any, trial: Trial) -> Answer:
    """ESS at 3/4 lies below ESS at 1/4, from four bounded means."""

    def ess(gamma: float) -> Any:
        ratios = zip(THREE_ARMS.pi, THREE_ARMS.mu, strict=True)
        weights = np.array([weight(float(b / a), gamma, Real) for b, a in ratios])

        def mean(table: Any) -> Any:
            return trial.mean(
                f"{table.tolist()}",
                lambda rng, n: table[THREE_ARMS.sample(rng, n)],
                float(table.min()),
                float(table.max()),
            )

        first = mean(weights)
        return first * first / mean(weights * weights)

    witness = Witness.at(mu=THREE_ARMS.mu, pi=THREE_ARMS.pi, gamma=Fraction(3, 4))
    return trial.below(ess(0.75) - ess(0.25), 0, witness=witness)


def lowers(weight: Any, law: Finite) -> Answer:
    """Try at gamma = 1/2 whether the tilted mean of log w grows from w^gamma to w^(2 gamma)."""
    mu, pi, _ = law.numbers(Exact)
    half = Exact.number("1/2")
    # An outcome of weight 0 has no mass under either tilted law, whatever its log w.
    rows = [(a, b / a) for a, b in zip(mu, pi, strict=True) if a > 0 and b > 0]

    def mean_log(k: int) -> Any:
        masses = [a * weight(w, half, Exact) ** k for a, w in rows]
        levels = [sympy.log(w) for _, w in rows]
        return sum(p * x for p, x in zip(masses, levels, strict=True)) / sum(masses)

    witness = named(law, gamma=Fraction(1, 2))
    return symbolic.compare(mean_log(1), "<", mean_log(2), witness=witness)


TAB10_1_3.without(MUTUAL_SUPPORT)(lowers)
TAB10_1_3.without(POLICIES_DIFFER)(lowers)


@TAB10_1_3.wrong("exponent 1 - gamma")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, 1 - gamma)


@TAB10_1_3.wrong("exponent gamma (1 - gamma)")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma * (1 - gamma))


@TAB10_1_3.wrong("a mixture from w to 1")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return (1 - gamma) * w + gamma


CLAIMS = frozen(TAB10_1_3)

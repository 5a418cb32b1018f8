"""Section 6.2, what Theorem 6.3 may say: the variance as an identity, and a bound on it.

    n tr Cov = E_mu[w^(2 gamma)] E_nu[r^2 |s|^2] - |g_gamma|^2,

with the score s and nu proportional to mu^(1 - 2 gamma) pi^(2 gamma): the second moment of the
weights is one factor, and controls the variance from above where |r s| is bounded.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import BOUNDED_SCORE, FINITE_MOMENTS, PI_IN_MU
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.general_law import GAMMA, LEVEL, MU, SUMS, TARGET, C, General, U, total
from isr_theory.claims.s06_1_1_renyi import divergence_between, enclosed_divergence
from isr_theory.claims.s06_1_2_moments import gaussian_divergence
from isr_theory.claims.s06_2_1_second_moment import (
    GAMMAS,
    POINTS,
    centred_variance,
    one_logit_terms,
    scores,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, Finite, GaussianShift

BOUND = sympy.symbols("B", positive=True)
EVERY_LAW = Scope("every law and score: sums over a general outcome", whole=True)


def estimator_variance(
    mu: Law, pi: Law, score2: Law, gradient2: Number, gamma: Number, m: Arithmetic
) -> Number:
    """Return n tr Cov of the estimated g_gamma: E_mu[w^(2 gamma)] E_nu[r^2 |s|^2] - |g_gamma|^2.

    nu is proportional to mu^(1 - 2 gamma) pi^(2 gamma); `score2` is r^2 |s|^2 at every outcome and
    `gradient2` is |g_gamma|^2.
    """
    tilt = formulas.geometric_path(mu, pi, 2 * gamma, m)
    mean = sum(q * x for q, x in zip(tilt, score2, strict=True))
    return formulas.moment(mu, pi, 2 * gamma, m) * mean - gradient2


T6_3_FIX = Draft(
    "T6.3.fix",
    section="6.2",
    kind=Kind.IDENTITY,
    title=Text("What the variance is", "方差的精确表达式"),
    finding=Text(
        "The second moment of the weights is one factor; another is the mean squared score under "
        "mu^(1-2 gamma) pi^(2 gamma), and the squared mean comes off.",
        "E[w^{2γ}] 只是其中一个因子：得分需在 μ^{1−2γ}π^{2γ} 下取均值，并减去均值的平方。",
    ),
    statement=r"n\,\mathrm{tr\,Cov}(\hat g_\gamma) = \mathbb{E}_\mu[w^{2\gamma}]\,"
    r"\mathbb{E}_{\nu_{2\gamma}}\bigl[r^2|\nabla\log\pi|^2\bigr] - |g_\gamma|^2,\quad"
    r" \nu_t \propto \mu^{1-t}\pi^t",
    subject=estimator_variance,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU, FINITE_MOMENTS),
    uses=("D1.1", "T6.3.b"),
    amends=("T6.3.a", "ABS.2", "SUM13.1.2", "GEN13.2.4"),
    reading="the plain mean of n independent terms w^gamma r grad log pi, with a finite second "
    "moment; outcomes that pi has not add nothing",
)
# r s of a general outcome, in two coordinates: the trace adds them up, and more add up alike.
FIRST, SECOND = (sympy.Function(name, real=True)(U, LEVEL) for name in ("r1", "r2"))
LENGTH2 = FIRST**2 + SECOND**2


@cache
def general_variance() -> tuple[Any, Any]:
    """Tr Cov of w^gamma r s for a general law, by centred squares, and its squared mean."""
    trace, gradient2 = sympy.S.Zero, sympy.S.Zero
    for coordinate in (FIRST, SECOND):
        term = sympy.exp(GAMMA * LEVEL) * coordinate
        mean = total(sympy.exp(U) * term)
        trace += total(sympy.exp(U) * (term - mean) ** 2)
        gradient2 += mean**2
    return trace, gradient2


@T6_3_FIX.symbolic(EVERY_LAW)
def _(variance: Any) -> Answer:
    """The mean squared distance from the mean, summed over a general outcome."""
    trace, gradient2 = general_variance()
    closed = variance(MU, TARGET, [General(LENGTH2)], gradient2, GAMMA, SUMS)
    return symbolic.equal(trace, closed)


def score_lengths(law: Finite, m: Arithmetic) -> list[Number]:
    """r^2 |s|^2 of softmax: s is 1 - pi_i in its own logit and -pi_k in the others."""
    _, pi, reward = law.numbers(m)
    total_square = sum(p * p for p in pi)
    return [r * r * (1 - 2 * p + total_square) for p, r in zip(pi, reward, strict=True)]


@cache
def enclosed_gradient2(law: Finite, gamma: Fraction) -> Any:
    """|g_gamma|^2 in balls: g is c (pi_eff - pi), its masses summed outcome by outcome."""
    mu, pi, reward = law.numbers(Ball)
    g = Ball.number(gamma)
    # What mu has not never occurs.
    masses = [
        a * Ball.power(b / a, g) * r if a > 0 else a for a, b, r in zip(mu, pi, reward, strict=True)
    ]
    whole = sum(masses, flint.arb(0))
    parts = [mass - whole * b for mass, b in zip(masses, pi, strict=True)]
    return sum((x * x for x in parts), flint.arb(0))


def paired_variance(law: Finite, gamma: Fraction, m: Arithmetic) -> Number:
    """Tr Cov of w^gamma r s in all logits: half the mean squared distance of two draws."""
    mu, pi, reward = law.numbers(m)
    seen = [i for i, mass in enumerate(law.mu) if mass > 0]
    rows = {
        i: [
            m.power(pi[i] / mu[i], m.number(gamma)) * reward[i] * (int(i == k) - p)
            for k, p in enumerate(pi)
        ]
        for i in seen
    }
    pairs = [
        mu[i] * mu[j] * (x - y) * (x - y)
        for i in seen
        for j in seen
        for x, y in zip(rows[i], rows[j], strict=True)
    ]
    return sum(pairs) / 2


@cache
def enclosed_variance(law: Finite, gamma: Fraction) -> Any:
    """Tr Cov from pairs of draws, in balls."""
    return paired_variance(law, gamma, Ball)


@T6_3_FIX.certified(Scope("two laws at three gammas, all logits"))
def _(variance: Any) -> Answer:
    """Half the mean squared distance of two draws: no mean is subtracted."""
    closed = []
    for law, g in POINTS:
        mu, pi, _ = law.numbers(Ball)
        lengths, gradient2 = score_lengths(law, Ball), enclosed_gradient2(law, g)
        closed.append(variance(mu, pi, lengths, gradient2, Ball.number(g), Ball))
    return certified.agree(
        [enclosed_variance(law, g) for law, g in POINTS],
        closed,
        witnesses=[witness_of(law, gamma=g) for law, g in POINTS],
    )


@T6_3_FIX.neural(Scope("four arms at three gammas, all logits"))
def _(variance: Any) -> Answer:
    """Scores by autograd of log softmax, their centred squares, and their squared mean."""
    law = RARE_ARM
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    rows = scores(law)
    lengths = reward**2 * (rows**2).sum(1)
    answers = []
    for gamma in (Fraction(0), Fraction(1, 2), Fraction(1)):
        weights = mu * (pi / mu) ** float(gamma) * reward
        gradient2 = ((weights[:, None] * rows).sum(0) ** 2).sum()
        closed = variance(mu, pi, lengths, gradient2, float(gamma), Tensor)
        answers.append(
            neural.close(
                [closed],
                [centred_variance(law, float(gamma))],
                witness=witness_of(law, gamma=gamma),
            )
        )
    return all_of(answers)


def drawn_variance(trial: Trial, law: Finite, gamma: Fraction) -> Any:
    """Tr Cov from pairs of draws of mu: half their squared distance is bounded."""
    _, pi, reward = (np.array(row) for row in law.numbers(Real))
    rows = (np.exp(float(gamma) * law.log_w()) * reward)[:, None] * (np.eye(len(pi)) - pi)
    table = ((rows[:, None] - rows[None]) ** 2).sum(2) / 2
    return trial.mean(
        f"pairs at {gamma}",
        lambda rng, n: table[law.sample(rng, n), law.sample(rng, n)],
        0.0,
        float(table.max()),
    )


@T6_3_FIX.sampled(Scope("three arms, gamma = 1/2, all logits"), resolution=0.2)
def _(variance: Any, trial: Trial) -> Answer:
    """Half the squared distance of two draws of mu."""
    gamma = Fraction(1, 2)
    mu, pi, _ = THREE_ARMS.numbers(Real)
    gradient2 = float(enclosed_gradient2(THREE_ARMS, gamma).mid())
    closed = variance(mu, pi, score_lengths(THREE_ARMS, Real), gradient2, 0.5, Real)
    drawn = drawn_variance(trial, THREE_ARMS, gamma)
    return trial.agrees(drawn, closed, witness=witness_of(THREE_ARMS, gamma=gamma))


# Half of pi lies where mu has nothing, and its score there is longer than elsewhere.
UNSEEN = Finite.of("1/2 1/2 0", "1/4 1/4 1/2", "1 1 2")


@T6_3_FIX.without(PI_IN_MU, on=(UNSEEN,))
def _(variance: Any, law: Finite) -> Answer | None:
    # Where all scores are of one length, no mean of them tells one nu from another.
    if len(set(score_lengths(law, Exact))) == 1:
        return None
    # nu is pi at gamma = 1/2, so its mean is over outcomes that no sample shows.
    gamma = Fraction(1, 2)
    mu, pi, _ = law.numbers(Ball)
    lengths, gradient2 = score_lengths(law, Ball), enclosed_gradient2(law, gamma)
    closed = variance(mu, pi, lengths, gradient2, Ball.number(gamma), Ball)
    witness = witness_of(law, gamma=gamma)
    return certified.agree([enclosed_variance(law, gamma)], [closed], witnesses=[witness])


T6_3_FIX.meaningless_without(
    FINITE_MOMENTS,
    "where E_mu[w^(2 gamma)] is infinite nu cannot be normalised, so no mean under it exists",
)


@T6_3_FIX.wrong("the scores under mu")
def _(mu: Any, pi: Any, score2: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    mean = sum(a * x for a, x in zip(mu, score2, strict=True))
    return formulas.moment(mu, pi, 2 * gamma, m) * mean - gradient2


@T6_3_FIX.wrong("the scores under nu_gamma")
def _(mu: Any, pi: Any, score2: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    tilt = formulas.geometric_path(mu, pi, gamma, m)
    mean = sum(q * x for q, x in zip(tilt, score2, strict=True))
    return formulas.moment(mu, pi, 2 * gamma, m) * mean - gradient2


@T6_3_FIX.wrong("the squared mean left in")
def _(mu: Any, pi: Any, score2: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    return estimator_variance(mu, pi, score2, 0 * gradient2, gamma, m)


@T6_3_FIX.wrong("E[w^gamma] squared for E[w^(2 gamma)]")
def _(mu: Any, pi: Any, score2: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    tilt = formulas.geometric_path(mu, pi, 2 * gamma, m)
    mean = sum(q * x for q, x in zip(tilt, score2, strict=True))
    first = formulas.moment(mu, pi, gamma, m)
    return first * first * mean - gradient2


@T6_3_FIX.number("n tr Cov at gamma = 1/2, mu = (3/5, 3/10, 1/10), pi = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(enclosed_variance(THREE_ARMS, Fraction(1, 2)))


def variance_bound(
    bound: Number, divergence: Number, gradient2: Number, gamma: Number, m: Arithmetic
) -> Number:
    """Return B^2 exp((2 gamma - 1) D_{2 gamma}) - |g_gamma|^2, above n tr Cov if |r s| <= B."""
    return bound * bound * formulas.second_moment_from_renyi(divergence, gamma, m) - gradient2


T6_3_BOUND = Draft(
    "T6.3.bound",
    section="6.2",
    kind=Kind.INEQUALITY,
    title=Text("A bound by the Renyi divergence", "方差的 Rényi 上界"),
    finding=Text(
        "Bounded scores bound the variance by the second moment of the weights, with equality if "
        "and only if |r s| is B wherever mu and pi are positive.",
        "|r s| 有界时，方差受 E[w^{2γ}] 控制；等号成立当且仅当在 μ, π > 0 处 |r s| 恒为 B。",
    ),
    statement=r"|r\,\nabla\log\pi| \le B \;\Rightarrow\; n\,\mathrm{tr\,Cov}(\hat g_\gamma)"
    r" \le B^2 e^{(2\gamma-1) D_{2\gamma}(\pi\|\mu)} - |g_\gamma|^2",
    subject=variance_bound,
    expect=Verdict.VERIFIED,
    assumes=(BOUNDED_SCORE,),
    uses=("T6.3.b",),
    reading="the paper's 'dominant part, when r and grad log pi are bounded', as an inequality; "
    "0 < gamma <= 1, so that g_gamma exists; where the second moment is infinite so is the bound",
)


@T6_3_BOUND.symbolic(EVERY_LAW)
def _(bound: Any) -> Answer:
    """What the bound leaves over is the mean of w^(2 gamma) (B^2 - |r s|^2), never negative."""
    trace, gradient2 = general_variance()
    second = total(sympy.exp(U + 2 * GAMMA * LEVEL))
    above = bound(BOUND, sympy.log(second) / (2 * GAMMA - 1), gradient2, GAMMA, Exact)
    over = sympy.exp(U + 2 * GAMMA * LEVEL) * (BOUND**2 - LENGTH2)
    # An outcome whose |r s|^2 is B^2 - c, which may be 0, and one whose |r s| is B.
    below, tight = (
        over.subs(FIRST, length).subs(SECOND, 0) for length in (sympy.sqrt(BOUND**2 - C), BOUND)
    )
    return all_of(
        [
            symbolic.equal(above - trace, total(over)),
            symbolic.positive(sympy.simplify(below)),
            symbolic.equal(tight, 0),
        ]
    )


# One logit, s = (1/10, -9/10): r s is 2 on one arm and -2 on the other.
LEVELLED = Finite.of("1/2 1/2", "9/10 1/10", "20 20/9")
LEVELLED_BOUND = 2


@cache
def longest(law: Finite) -> Any:
    """The largest |r s| of a law's arms, in balls, over all logits."""
    lengths = score_lengths(law, Ball)
    return Ball.sqrt(max(lengths, key=lambda x: float(x.mid())))


@T6_3_BOUND.certified(Scope("two arms of equal |r s|, and two other laws, at three gammas"))
def _(bound: Any) -> Answer:
    """Pairs of draws: equal to the bound where |r s| is constant, below it elsewhere."""
    pairs, limits = [], []
    for g in GAMMAS:
        variance, gradient2 = one_logit_terms(LEVELLED, g, Ball)
        divergence = enclosed_divergence(LEVELLED, 2 * g)
        pairs.append(variance)
        limits.append(
            bound(Ball.number(LEVELLED_BOUND), divergence, gradient2, Ball.number(g), Ball)
        )
    equal = certified.agree(
        pairs, limits, witnesses=[witness_of(LEVELLED, gamma=g) for g in GAMMAS]
    )
    below = []
    for law, g in POINTS:
        divergence, gradient2 = enclosed_divergence(law, 2 * g), enclosed_gradient2(law, g)
        above = bound(longest(law), divergence, gradient2, Ball.number(g), Ball)
        witness = witness_of(law, gamma=g)
        below.append(certified.compare(enclosed_variance(law, g), "<", above, witness=witness))
    return all_of([equal, *below])


@T6_3_BOUND.neural(Scope("four arms of equal |r s| at two gammas, all logits"))
def _(bound: Any) -> Answer:
    """Autograd scores, rewarded by 3 over their length: the bound is attained."""
    mu, pi, rows = neural.tensor(RARE_ARM.mu), neural.tensor(RARE_ARM.pi), scores(RARE_ARM)
    terms = 3 * rows / (rows**2).sum(1).sqrt()[:, None]
    answers = []
    for g in (Fraction(1, 4), Fraction(3, 4)):
        weighted = ((pi / mu) ** float(g))[:, None] * terms
        mean = (mu[:, None] * weighted).sum(0)
        variance = (mu[:, None] * (weighted - mean) ** 2).sum()
        divergence = divergence_between(RARE_ARM, 2 * g, Tensor)
        witness = Witness.at(mu=RARE_ARM.mu, pi=RARE_ARM.pi, gamma=g)
        above = bound(3.0, divergence, (mean**2).sum(), float(g), Tensor)
        answers.append(neural.close([variance], [above], witness=witness))
    return all_of(answers)


@T6_3_BOUND.sampled(Scope("three arms, gamma = 3/4, all logits"), resolution=0.5)
def _(bound: Any, trial: Trial) -> Answer:
    """Half the squared distance of two draws of mu has a mean below the bound."""
    gamma = Fraction(3, 4)
    divergence = divergence_between(THREE_ARMS, 2 * gamma, Real)
    gradient2 = float(enclosed_gradient2(THREE_ARMS, gamma).mid())
    above = bound(float(longest(THREE_ARMS).mid()), divergence, gradient2, 0.75, Real)
    drawn = drawn_variance(trial, THREE_ARMS, gamma)
    return trial.below(drawn, above, witness=witness_of(THREE_ARMS, gamma=gamma))


@T6_3_BOUND.without(BOUNDED_SCORE)
def _(bound: Any, model: Finite | GaussianShift) -> Answer:
    gamma, one = Fraction(1), Ball.number(1)
    if isinstance(model, Finite):
        above = bound(
            longest(model),
            enclosed_divergence(model, 2 * gamma),
            enclosed_gradient2(model, gamma),
            one,
            Ball,
        )
        witness = witness_of(model, gamma=gamma)
        return certified.compare(enclosed_variance(model, gamma), "<=", above, witness=witness)
    # No B bounds y - |theta|: take its root mean square under pi, which is 1.
    mean, second = shifted_moments(model.sigma2, one)
    divergence = gaussian_divergence(Ball.number(model.sigma2), 2 * one)
    witness = Witness.at(mu="N(0, 1)", sigma2=model.sigma2, gamma=gamma, B=1)
    above = bound(one, divergence, mean * mean, one, Ball)
    return certified.compare(second - mean * mean, "<=", above, witness=witness)


def shifted_moments(sigma2: Fraction, gamma: Any) -> tuple[Any, Any]:
    """E_mu[w^gamma s] and E_mu[w^(2 gamma) s^2] by quadrature: s = y - sigma along theta, r = 1."""
    sigma, size = Ball.sqrt(Ball.number(sigma2)), math.ceil(sigma2) + 1

    def term(y: Any) -> Any:
        return (gamma * (sigma * y - sigma * sigma / 2)).exp() * (y - sigma)

    # As gamma <= 1, sigma <= size and x^2 <= 2 e^x, both stay below 2 3^size e^((2 size + 1) |y|).
    growth, constant = 2 * size + 1, 2 * 3**size
    return (
        certified.gaussian_expectation(term, growth=growth, constant=constant),
        certified.gaussian_expectation(lambda y: term(y) ** 2, growth=growth, constant=constant),
    )


@T6_3_BOUND.wrong("B for B squared")
def _(bound: Any, divergence: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    return bound * m.exp((2 * gamma - 1) * divergence) - gradient2


@T6_3_BOUND.wrong("gamma - 1 for 2 gamma - 1")
def _(bound: Any, divergence: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    return bound * bound * m.exp((gamma - 1) * divergence) - gradient2


@T6_3_BOUND.wrong("the squared mean added")
def _(bound: Any, divergence: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    return variance_bound(bound, divergence, -gradient2, gamma, m)


@T6_3_BOUND.wrong("sign of the exponent")
def _(bound: Any, divergence: Any, gradient2: Any, gamma: Any, m: Any) -> Any:
    return variance_bound(bound, -divergence, gradient2, gamma, m)


CLAIMS = frozen(T6_3_FIX, T6_3_BOUND)

"""Past section 7: which variance, and where that one is least.

The second moment of w^gamma, its variance and the variance of the gradient have minimisers of their
own, far apart already on two arms. For a shifted Gaussian that of the gradient's raw second moment
is the root of a cubic.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import sympy

from isr_theory.arithmetic import Ball, Exact, Jet, Number
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict, Witness
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.instances import log_variance, named
from isr_theory.claims.s02_3_4_variance import GAUSSIAN_LOCATION
from isr_theory.claims.s07_2_lognormal import GAMMA, SIGMA, integrated, nodes
from isr_theory.claims.s07_2_variance_of_gradient import DIM
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import Finite, GaussianShift

B, X, Z, U, S, L = sympy.symbols("b x z u s l", positive=True)
D = sympy.symbols("delta", positive=True)


class Minimisers(NamedTuple):
    """Where E[w^(2 gamma)], Var(w^gamma) and the variance of w^gamma s are least."""

    moment: Fraction
    weights: Fraction
    gradient: Fraction


APART = Minimisers(Fraction(1, 4), Fraction(0), Fraction(1, 2))

THREE = Draft(
    "VAR.three",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Three variances, three minimisers", "三种“方差”，三个最小点"),
    finding=Text(
        "On two arms that mu and pi exchange, the second moment of w^gamma is least at 1/4, its"
        " variance at 0, and the variance of the gradient at 1/2: exactly, for every such pair.",
        "对互换两臂概率的任意 μ、π 且 r≡1：E[w^{2γ}] 在 1/4、Var(w^γ) 在 0、梯度方差在 1/2 处最小，"
        "三者精确且互不相同。",
    ),
    statement=r"\mu = (1-p, p),\ \pi = (p, 1-p),\ p \ne \tfrac12,\ r \equiv 1:\quad"
    r" \arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = \tfrac14,\quad"
    r" \arg\min_\gamma \mathrm{Var}_\mu(w^\gamma) = 0,\quad"
    r" \arg\min_\gamma \mathrm{Var}_\mu(w^\gamma s) = \tfrac12",
    subject=APART,
    expect=Verdict.VERIFIED,
    uses=("VAR.quarter",),
    sharpens=("C7.5.a", "C7.5.b.fix", "C7.5.c.fix", "T6.3.fix"),
    source="new here",
    reading="one free logit, s = (pi_2, -pi_1); gamma is any real number",
)


def spread_out(values: Any, mu: Any) -> Any:
    """Var_mu of a statistic, from its two moments."""
    mean = sum(a * v for a, v in zip(mu, values, strict=True))
    return sum(a * v * v for a, v in zip(mu, values, strict=True)) - mean * mean


@THREE.symbolic(Scope("every p, and every gamma", whole=True))
def _(minimisers: Minimisers) -> Answer:
    """Each rises from its minimiser as a positive number times (z - 1/z)^2, z = w_1^x."""
    # w_1 = b^4, so that w_1^gamma is b z at gamma = 1/4 + x.
    mu = [1 / (1 + B**4), B**4 / (1 + B**4)]
    scores = [mu[0], -mu[1]]

    def of(gamma: Fraction, z: Any) -> tuple[Any, Any, Any]:
        first = B ** (4 * Exact.number(gamma)) * z
        weights = [first, 1 / first]
        moment = sum(a * v * v for a, v in zip(mu, weights, strict=True))
        gradient = [v * s for v, s in zip(weights, scores, strict=True)]
        return moment, spread_out(weights, mu), spread_out(gradient, mu)

    sizes = (B**2 / (1 + B**4), mu[0] * mu[1], mu[0] * mu[1] * B**4 / (1 + B**4) ** 2)
    answers = []
    for k, (gamma, size) in enumerate(zip(minimisers, sizes, strict=True)):
        rise = of(gamma, Z)[k] - of(gamma, sympy.S.One)[k]
        answers.append(symbolic.equal(rise, size * (Z - 1 / Z) ** 2))
        answers.append(symbolic.positive(size))
    return all_of(answers)


EXCHANGED = Finite.of("1/5 4/5", "4/5 1/5")
AT_FIFTH = witness_of(EXCHANGED)


@THREE.certified(Scope("mu = (1/5, 4/5), pi = (4/5, 1/5)"))
def _(minimisers: Minimisers) -> Answer:
    """The slopes as power series are 0 there, and negative before and positive after."""
    mu, pi, _ = EXCHANGED.numbers(Ball)

    def three(gamma: Any) -> tuple[Any, Any, Any]:
        weights = [Jet.exp(gamma * Ball.log(b / a)) for a, b in zip(mu, pi, strict=True)]
        moment = sum(a * v * v for a, v in zip(mu, weights, strict=True))
        gradient = [weights[0] * pi[1], -weights[1] * pi[0]]
        return moment, spread_out(weights, mu), spread_out(gradient, mu)

    near, answers = Fraction(1, 100), []
    for k, gamma in enumerate(minimisers):

        def one(g: Any, k: int = k) -> Any:
            return three(g)[k]

        before, here, after = (
            certified.derivatives(one, Ball.number(gamma + x), 1)[1] for x in (-near, 0, near)
        )
        answers += [
            certified.agree([here], [0], witnesses=[AT_FIFTH]),
            certified.compare(before, "<", 0, witness=AT_FIFTH),
            certified.compare(after, ">", 0, witness=AT_FIFTH),
        ]
    return all_of(answers)


@THREE.neural(Scope("mu = (1/5, 4/5), pi = (4/5, 1/5)"))
def _(minimisers: Minimisers) -> Answer:
    """Scores by autograd of log softmax; the slopes are 0 there and the bends positive."""
    mu, pi = neural.tensor(EXCHANGED.mu), neural.tensor(EXCHANGED.pi)
    scores = neural.torch().autograd.functional.jacobian(
        lambda z: z.log_softmax(0), logits(EXCHANGED)
    )[:, 0]

    def variance(values: Any) -> Any:
        return (mu * (values - (mu * values).sum()) ** 2).sum()

    statistics = (
        lambda gamma: (mu * (pi / mu) ** (2 * gamma)).sum(),
        lambda gamma: variance((pi / mu) ** gamma),
        lambda gamma: variance((pi / mu) ** gamma * scores),
    )
    answers = []
    for statistic, gamma in zip(statistics, minimisers, strict=True):
        here = neural.tensor(gamma)
        slope, bend = neural.gradient(statistic, here), neural.hessian(statistic, here)
        answers.append(neural.close([slope], [0], witness=AT_FIFTH))
        answers.append(neural.compare(bend, ">", 0, witness=AT_FIFTH))
    return all_of(answers)


THREE.wrong_value("a quarter for all three", Minimisers(*3 * (Fraction(1, 4),)))
THREE.wrong_value("the gradient with the weights", APART._replace(gradient=Fraction(0)))
THREE.wrong_value("the weights with their second moment", APART._replace(weights=Fraction(1, 4)))
THREE.wrong_value("the Chernoff point itself", APART._replace(moment=Fraction(1, 2)))


def stationarity(u: Number, sigma2: Number, d: Number) -> Number:
    """(1-2u)(d + u^2 sigma2) - 4u: 0 at u = 1 - 2 gamma where E[w^(2 gamma)|s|^2] is least."""
    return (1 - 2 * u) * (d + u * u * sigma2) - 4 * u


GAUSSIAN = Draft(
    "VAR.gaussian",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The gradient's raw second moment, shifted Gaussian", "高斯平移下梯度的原始二阶矩"),
    finding=Text(
        "It is least at (1-u)/2, u the one root in (0, 1/2) of a cubic: from (d+4)/(4d+8), 5/12 in"
        " one dimension, it falls with the shift towards 1/4, which it never reaches.",
        "最小点为 (1−u)/2，u 是一个三次方程在 (0, 1/2) 中的唯一根：随平移由 (d+4)/(4d+8)（d = 1"
        " 时为 5/12）降向 1/4 而永不到达。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}|s|^2] = \tfrac{1-u}{2},\quad"
    r" (1-2u)(d + u^2\sigma^2) = 4u,\ u \in (0, \tfrac12);\quad \tfrac{1-u}{2} \to"
    r" \tfrac{d+4}{4d+8}\ (\sigma \to 0),\quad \tfrac{1-u}{2} = \tfrac14 + \tfrac{2}{\sigma^2}"
    r" + o(\sigma^{-2})\ (\sigma \to \infty)",
    subject=stationarity,
    expect=Verdict.VERIFIED,
    assumes=(GAUSSIAN_LOCATION,),
    uses=("C7.5.c.fix",),
    sharpens=("C7.5.c.fix", "T6.3.fix"),
    source="new here",
    reading="what Theorem 6.3 calls the dominant term, with the score kept; the score is y - theta",
)


@GAUSSIAN.symbolic(
    Scope(
        "every theta and d: the second moment is strictly convex in gamma, as its integrand is, and"
        " the cubic rises with sigma2 between signs that do not depend on it",
        whole=True,
    )
)
def _(cubic: Any) -> Answer:
    """The slope from integrals; the cubic's signs and rise; small and large shifts."""
    raw = integrated(2 * GAMMA, 2) + (DIM - 1) * integrated(2 * GAMMA)
    stated = cubic(1 - 2 * GAMMA, SIGMA**2, DIM) * SIGMA**2 * integrated(2 * GAMMA)
    # u = 1/(2 (1 + x)) runs through (0, 1/2).
    inside = 1 / (2 * (1 + X))
    small = DIM / (2 * DIM + 4)
    far = cubic(sympy.Rational(1, 2) - D / S, S, DIM)
    level = sympy.symbols("k", real=True)
    bend = sympy.diff(sympy.exp(2 * GAMMA * level), GAMMA, 2)
    return all_of(
        [
            symbolic.equal(sympy.diff(raw, GAMMA), stated),
            symbolic.equal(bend, 4 * level**2 * sympy.exp(2 * GAMMA * level)),
            symbolic.equal(cubic(0, S, DIM), DIM),
            symbolic.equal(cubic(sympy.Rational(1, 2), S, DIM), -2),
            symbolic.positive(sympy.factor(sympy.diff(cubic(inside, S, DIM), S))),
            symbolic.equal(cubic(small, 0, DIM), 0),
            symbolic.equal((1 - small) / 2, (DIM + 4) / (4 * DIM + 8)),
            # Of opposite signs for delta below and above 4, and gamma = 1/4 + delta/(2 s).
            symbolic.equal(sympy.limit(far, S, sympy.oo), (D - 4) / 2),
        ]
    )


def raw_moment(sigma2: Fraction, d: int, gamma: Any) -> Any:
    """Enclose E[w^(2 gamma)|s|^2] by rigorous quadrature, 0 <= 2 gamma <= 1."""
    s = Ball.number(sigma2)
    sigma = Ball.sqrt(s)
    # |z - sigma|^2 <= 4 (1 + sigma2) e^|z|, and sigma <= 1 + sigma2.
    return certified.gaussian_expectation(
        lambda z: (2 * gamma * (sigma * z - s / 2)).exp() * ((z - sigma) ** 2 + (d - 1)),
        growth=2 + sigma2,
        constant=4 * (1 + sigma2) + d,
    )


@cache
def cubic_root(cubic: Any, sigma2: Fraction, d: int) -> Any:
    """The gamma that belongs to the root of a cubic in (0, 1/2), None without a change of sign."""
    found = certified.root(
        lambda u: cubic(u, Ball.number(sigma2), Ball.number(d)), Fraction(0), Fraction(1, 2)
    )
    return None if found is None else (1 - found) / 2


def least_at_root(cubic: Any, sigma2: Fraction, d: int, witness: Witness) -> Answer:
    """Compare the second moment by quadrature at the cubic's gamma and 1/50 to either side."""
    gamma = cubic_root(cubic, sigma2, d)
    if gamma is None:
        return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
    here, *beside = (raw_moment(sigma2, d, gamma + Ball.number(x)) for x in ("0", "-1/50", "1/50"))
    return all_of(certified.compare(here, "<", value, witness=witness) for value in beside)


SHIFTS = ((Fraction(1), 1), (Fraction(4), 1), (Fraction(1), 3), (Fraction(9), 2))


@GAUSSIAN.certified(Scope("four pairs of sigma2 and d, and sigma2 = 1/10^6 at d = 1"))
def _(cubic: Any) -> Answer:
    """By quadrature the second moment is larger 1/50 to either side; near 5/12 for a tiny shift."""
    answers = [least_at_root(cubic, s, d, Witness.at(sigma2=s, d=d)) for s, d in SHIFTS]
    tiny = cubic_root(cubic, Fraction(1, 10**6), 1)
    if tiny is None:
        return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
    off = abs(tiny - Ball.number("5/12"))
    bound, at = Ball.number("1/100000"), Witness.at(sigma2=Fraction(1, 10**6), d=1)
    answers.append(certified.compare(off, "<", bound, witness=at))
    return all_of(answers)


@GAUSSIAN.neural(Scope("four pairs of sigma2 and d"))
def _(cubic: Any) -> Answer:
    """The autograd slope in gamma of Gauss's rule is 0 at the cubic's root."""
    z, mass = nodes()
    answers = []
    for sigma2, d in SHIFTS:
        at, gamma = Witness.at(sigma2=sigma2, d=d), cubic_root(cubic, sigma2, d)
        if gamma is None:
            return Answer(Outcome.UNDECIDED, Strength.AGREEMENT, detail="no change of sign")
        sigma = float(sigma2) ** 0.5
        level, size = sigma * z - sigma * sigma / 2, (z - sigma) ** 2 + d - 1

        def raw(g: Any, level: Any = level, size: Any = size) -> Any:
            return (mass * (2 * g * level).exp() * size).sum()

        slope = neural.gradient(raw, neural.tensor(float(gamma.mid())))
        answers.append(neural.close([slope], [0], witness=at))
    return all_of(answers)


@GAUSSIAN.without(GAUSSIAN_LOCATION)
def _(cubic: Any, model: Any) -> Answer | None:
    if isinstance(model, GaussianShift):
        if model.sigma2 > 0:
            return least_at_root(cubic, model.sigma2, model.d, named(model))
        # The weights are all 1, and no gamma is better than another.
        here, beside = (integrated(t).subs(SIGMA, 0) * model.d for t in (1, 2))
        return symbolic.compare(here, "<", beside, witness=named(model))
    if not isinstance(model, Finite):
        return None
    mu, pi, _ = model.numbers(Ball)
    sigma2 = log_variance(model)
    u = certified.root(lambda x: cubic(x, sigma2, Ball.number(1)), Fraction(0), Fraction(1, 2))
    if u is None:
        return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
    scores = [pi[1], -pi[0]]
    slope = sum(
        a * s * s * Ball.power(b / a, 1 - u) * Ball.log(b / a)
        for a, b, s in zip(mu, pi, scores, strict=True)
    )
    return certified.agree([slope], [0], witnesses=[named(model)])


@GAUSSIAN.wrong("the score's centre forgotten")
def _(u: Any, sigma2: Any, d: Any) -> Any:
    return (1 - 2 * u) * d - 4 * u


@GAUSSIAN.wrong("2u for 4u")
def _(u: Any, sigma2: Any, d: Any) -> Any:
    return (1 - 2 * u) * (d + u * u * sigma2) - 2 * u


@GAUSSIAN.wrong("one dimension for all")
def _(u: Any, sigma2: Any, d: Any) -> Any:
    return (1 - 2 * u) * (1 + u * u * sigma2) - 4 * u


@GAUSSIAN.wrong("1 - u for 1 - 2u")
def _(u: Any, sigma2: Any, d: Any) -> Any:
    return (1 - u) * (d + u * u * sigma2) - 4 * u


@GAUSSIAN.number("the minimiser at sigma2 = 1, d = 1")
def _() -> str:
    return certified.digits(cubic_root(stationarity, Fraction(1), 1))


CLAIMS = frozen(THREE, GAUSSIAN)

"""The appendix: its table of symbols calls sigma^2 = Var(log w) a measure of the shift.

It is one, in that it vanishes just where pi = mu; and for log-normal weights it is twice either KL
divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import MUTUAL_SUPPORT
from isr_theory.claims.general_law import LEVEL, MASS, MU, SUMS, TARGET, D, U, X, total
from isr_theory.claims.s06_3_1_at_one import common_ends
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite

SIGMA2 = sympy.symbols("sigma2", positive=True)
CENTRE = sympy.symbols("m", real=True)


class Shift(NamedTuple):
    """sigma^2 as a function of mu and pi, and KL as one of sigma^2 for log-normal weights."""

    variance: Callable[[Law, Law, Arithmetic], Number]
    divergence: Callable[[Number], Number]


def log_ratio_variance(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """sigma^2 = Var_mu(log pi/mu)."""
    rows = [(a, m.log(b / a)) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * level for a, level in rows)
    return sum(a * level * level for a, level in rows) - mean * mean


def lognormal_divergence(sigma2: Number) -> Number:
    """KL(pi || mu) = KL(mu || pi) = sigma^2 / 2 for log-normal weights."""
    return sigma2 / 2


SHIFT = Shift(log_ratio_variance, lognormal_divergence)

APP_1 = Draft(
    "APP.1",
    section="appendix",
    kind=Kind.REMARK,
    title=Text("Var(log w) measures the shift", "Var(log w) 度量分布偏移"),
    finding=Text(
        "True: it is 0 for pi = mu alone, and for log-normal weights it is twice KL, either way "
        "round.",
        "成立：仅当 π = μ 时为 0；对数正态下等于任一方向 KL 的两倍。",
    ),
    statement=r"\sigma^2 = \mathrm{Var}_\mu(\log w) \ge 0,\quad \sigma^2 = 0 \iff \pi = \mu;\quad"
    r" \log w \sim \mathcal{N} \Rightarrow D_{KL}(\pi\|\mu) = D_{KL}(\mu\|\pi) = \sigma^2/2",
    subject=SHIFT,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT,),
    uses=("A7.3",),
    reading="a measure of the shift vanishes where there is none and nowhere else, and in the "
    "paper's own model grows with it; an infinite variance is not 0",
)


@APP_1.symbolic(Scope("every law: sums over a general outcome; every normal log w", whole=True))
def _(shift: Shift) -> Answer:
    """Centred squares, 0 only for a constant log w, which E[w] = 1 makes 0; completed squares."""
    mean = total(sympy.exp(U) * LEVEL)
    # Each outcome adds its mass times a square. A constant log w = x has E[w] = e^x, which rises
    # and so is 1 at x = 0 only.
    squares = total(sympy.exp(U) * (LEVEL - mean) ** 2)
    share = MASS * D**2
    # e^(t l) times the density of N(m, sigma2) is e^(m t + sigma2 t^2/2) times that of
    # N(m + sigma2 t, sigma2). At t = 1 the factor is E[w] = 1, and the density is that of pi.
    normal = -((LEVEL - CENTRE) ** 2) / (2 * SIGMA2)
    shifted = -((LEVEL - CENTRE - SIGMA2) ** 2) / (2 * SIGMA2)
    factor = CENTRE + SIGMA2 / 2
    (centre,) = sympy.solve(factor, CENTRE)
    return all_of(
        [
            symbolic.equal(squares, shift.variance(MU, TARGET, SUMS)),
            symbolic.equal(shift.variance(MU, MU, SUMS), 0),
            symbolic.positive(share),
            symbolic.positive(sympy.diff(sympy.exp(X), X)),
            symbolic.equal(sympy.exp(X).subs(X, 0), 1),
            symbolic.equal(LEVEL + normal, factor + shifted),
            symbolic.equal(-centre, shift.divergence(SIGMA2)),
            symbolic.equal(centre + SIGMA2, shift.divergence(SIGMA2)),
        ]
    )


LAWS = (TWO_ARMS, THREE_ARMS, RARE_ARM)


def at(law: Finite) -> Witness:
    """Name mu and pi."""
    return Witness.at(mu=law.mu, pi=law.pi)


@cache
def enclosed_divergences(sigma2: int) -> tuple[Any, Any]:
    """KL(pi || mu) = E[w log w] and KL(mu || pi) = -E[log w] by quadrature, sigma2 a square."""
    half, sigma = Ball.number(sigma2) / 2, Ball.sqrt(Ball.number(sigma2))
    # |l| <= e^|l| and |l| <= sigma |z| + sigma2/2 with sigma <= sigma2, so both integrands are at
    # most e^(2 |l|) <= 3^sigma2 e^(2 sigma2 |z|).
    return tuple(
        certified.gaussian_expectation(integrand, growth=2 * sigma2, constant=3**sigma2)
        for integrand in (
            lambda z: (sigma * z - half) * (sigma * z - half).exp(),
            lambda z: half - sigma * z,
        )
    )


@APP_1.certified(Scope("three finite laws; log-normal weights at sigma2 = 1 and 4"))
def _(shift: Shift) -> Answer:
    """Half the mean squared difference of two draws, positive; both KL by quadrature."""
    found, pairs, signs = [], [], []
    for law in LAWS:
        mu, pi, _ = law.numbers(Ball)
        rows = [(a, Ball.log(b / a)) for a, b in zip(mu, pi, strict=True)]
        pairs.append(sum(a * b * (x - y) * (x - y) for a, x in rows for b, y in rows) / 2)
        found.append(shift.variance(mu, pi, Ball))
        signs.append(certified.compare(found[-1], ">", 0, witness=at(law)))
    normal = [Witness.at(sigma2=s, direction=way) for s in (1, 4) for way in ("pi", "mu")]
    divergences = [value for s in (1, 4) for value in enclosed_divergences(s)]
    halves = [shift.divergence(Ball.number(s)) for s in (1, 1, 4, 4)]
    return all_of(
        [
            certified.agree(pairs, found, witnesses=[at(law) for law in LAWS]),
            certified.agree(divergences, halves, witnesses=normal),
            *signs,
        ]
    )


@APP_1.neural(Scope("four arms; log-normal weights at sigma2 = 3/2"))
def _(shift: Shift) -> Answer:
    """Cumulants by autograd: K''(0) is the variance; K'(1) is KL(pi || mu) and -K'(0) the other."""
    mu, pi = neural.tensor(RARE_ARM.mu), neural.tensor(RARE_ARM.pi)

    def cumulant(t: Any) -> Any:
        return (mu * (pi / mu) ** t).sum().log()

    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = neural.torch().from_numpy(nodes)
    mass = neural.torch().from_numpy(weights / weights.sum())
    level = 1.5**0.5 * z - 0.75

    def normal(t: Any) -> Any:
        return (mass * (t * level).exp()).sum().log()

    ends = [neural.gradient(normal, neural.tensor(1)), -neural.gradient(normal, neural.tensor(0))]
    return all_of(
        [
            neural.close(
                [neural.hessian(cumulant, neural.tensor(0))],
                [shift.variance(mu, pi, Tensor)],
                witness=at(RARE_ARM),
            ),
            neural.close(
                ends, [shift.divergence(1.5)] * 2, witness=Witness.at(sigma2=Fraction(3, 2))
            ),
        ]
    )


@APP_1.sampled(Scope("two arms"), resolution=0.05)
def _(shift: Shift, trial: Trial) -> Answer:
    """Half the squared difference of log w at two draws of mu."""
    level = TWO_ARMS.log_w()
    table = (level[:, None] - level[None]) ** 2 / 2
    mean = trial.mean(
        "pairs",
        lambda rng, n: table[TWO_ARMS.sample(rng, n), TWO_ARMS.sample(rng, n)],
        0.0,
        float(table.max()),
    )
    mu, pi, _ = TWO_ARMS.numbers(Real)
    return trial.agrees(mean, shift.variance(mu, pi, Real), witness=at(TWO_ARMS))


@APP_1.without(MUTUAL_SUPPORT)
def _(shift: Shift, law: Finite) -> Answer | None:
    if any(a > 0 == b for a, b in zip(law.mu, law.pi, strict=True)):
        # log w is minus infinity there, so it has no variance to try.
        return None
    # Exactly, since balls cannot tell 0 from more; no law tried here is its own mu.
    variance = shift.variance(*common_ends(law, Exact), Exact)
    return symbolic.compare(variance, ">", 0, witness=at(law))


def _second_moment(mu: Law, pi: Law, m: Arithmetic) -> Number:
    rows = [(a, m.log(b / a)) for a, b in zip(mu, pi, strict=True)]
    return sum(a * level * level for a, level in rows)


def _under_pi(mu: Law, pi: Law, m: Arithmetic) -> Number:
    return log_ratio_variance(pi, mu, m)


APP_1.wrong_value("the second moment of log w", SHIFT._replace(variance=_second_moment))
APP_1.wrong_value("the variance under pi", SHIFT._replace(variance=_under_pi))
APP_1.wrong_value("sigma2 for half of it", SHIFT._replace(divergence=lambda sigma2: 1 * sigma2))
APP_1.wrong_value(
    "sigma2 a standard deviation", SHIFT._replace(divergence=lambda sigma2: sigma2 * sigma2 / 2)
)


@APP_1.number("Var(log w), mu = (1/2, 1/2), pi = (9/10, 1/10)")
def _() -> str:
    mu, pi, _ = TWO_ARMS.numbers(Ball)
    return certified.digits(log_ratio_variance(mu, pi, Ball))


CLAIMS = frozen(APP_1)

"""Section 6.1, Theorem 6.2: E_mu[w^gamma] = e^((gamma-1) D_gamma), which the paper calls exact.

By Definition 6.1 it is that definition read backwards. It says more where D is come by in other
ways: through two KL divergences, Hellinger's distance, or chi squared.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims import instances
from isr_theory.claims.assumptions import FINITE_MOMENTS, PI_IN_MU
from isr_theory.claims.enumerated import logits
from isr_theory.claims.general_law import GAMMA, LEVEL, SUMS, C, General, U
from isr_theory.claims.s06_1_1_renyi import POINTS, at, between, enclosed_divergence, summed_moment
from isr_theory.claims.s08_1_ess import enclosed_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import RARE_ARM, ExponentialRate, Finite, GaussianShift

M, SHARE = sympy.symbols("M S", positive=True)
K = sympy.symbols("K", real=True)


def gives_every_moment_back(moment: Callable[[Any, Any], Any]) -> list[Answer]:
    """Show that a function of D_alpha and alpha is E[w^alpha], which is any number in [0, inf].

    Of order 1 it is the limit from the left, which the first line gives: w^alpha is at most 1 + w,
    so its mean tends to E[w]. With KL for D it is 1, and so is E[w] where pi << mu. An infinite
    moment is one of an order above 1 and makes D infinite. Where pi and mu share no outcome the
    moment is 0, and D is infinite below order 1 and minus infinity above.
    """
    return [
        symbolic.equal(moment(sympy.log(M) / (GAMMA - 1), GAMMA), M),
        symbolic.equal(moment(K, sympy.S.One), 1),
        symbolic.equal(moment(-sympy.log(SHARE), sympy.S.Zero), SHARE),
        symbolic.equal(1 / moment(sympy.oo, 1 + C), 0),
        symbolic.equal(moment(sympy.oo, 1 - C), 0),
        symbolic.equal(moment(-sympy.oo, 1 + C), 0),
    ]


T6_2 = Draft(
    "T6.2",
    section="6.1",
    kind=Kind.IDENTITY,
    title=Text("Moments of the weights are Renyi divergences", "IS 权重的矩与 Rényi 散度"),
    finding=Text(
        "True of any two laws: the definition read backwards; at gamma = 1 by continuity.",
        "对任意两分布成立：即定义的移项；γ = 1 处按连续性理解。",
    ),
    statement=r"\mathbb{E}_\mu[w^\gamma] = \exp\bigl((\gamma-1) D_\gamma(\pi\|\mu)\bigr)",
    subject=formulas.moment_from_renyi,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    uses=("D6.1",),
    reading="D_gamma is Definition 6.1, an expectation under mu, and both sides may be infinite; "
    "at gamma = 1 the right side is its limit from the left, 1 with D = KL(pi || mu) where that "
    "is finite; at gamma = 0, E_mu[w^0] is mu(pi > 0)",
)


@T6_2.symbolic(Scope("any two laws: E_mu[w^gamma] is any number in [0, inf]", whole=True))
def _(moment: Any) -> Answer:
    """D written out by its definition for a free moment; gamma = 1 and 0 by their limits."""
    return all_of(gives_every_moment_back(lambda d, alpha: moment(d, alpha, Exact)))


def gaussian_divergence(sigma2: Number, alpha: Number) -> Number:
    """D_alpha of N(theta, I) from N(0, I), |theta|^2 = sigma2.

    The law between them is N(alpha theta, I), and the KL of two unit normals is half the squared
    distance of their centres.
    """
    return between((1 - alpha) * (1 - alpha) * sigma2 / 2, alpha * alpha * sigma2 / 2, alpha)


@T6_2.certified(Scope("four points of (sigma2, gamma), Gaussian shift"))
def _(moment: Any) -> Answer:
    """The moment by rigorous quadrature; D from the normal law between mu and pi."""
    points = [
        (Fraction(s), Fraction(g)) for s, g in ((1, "1/4"), (4, "1/2"), (1, "3/2"), ("1/3", 2))
    ]
    closed = [
        moment(gaussian_divergence(Ball.number(s), Ball.number(g)), Ball.number(g), Ball)
        for s, g in points
    ]
    return certified.agree(
        [_quadrature(s, g) for s, g in points],
        closed,
        witnesses=[Witness.at(sigma2=s, gamma=g) for s, g in points],
    )


@cache
def _quadrature(sigma2: Fraction, t: Fraction) -> Any:
    return enclosed_moment(sigma2, Ball.number(t))


@T6_2.sampled(Scope("sigma2 = 1, gamma = 1/2, Gaussian shift"), resolution=0.02)
def _(moment: Any, trial: Trial) -> Answer:
    """The moment of a Gaussian shift, drawn from a mixture that bounds the weights."""
    mean = trial.mean("moment", *GaussianShift(Fraction(1)).power(0.5))
    closed = moment(gaussian_divergence(1.0, 0.5), 0.5, Real)
    return trial.agrees(mean, closed, witness=Witness.at(sigma2=1, gamma=Fraction(1, 2)))


@T6_2.wrong("gamma for gamma - 1")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return m.exp(alpha * divergence)


@T6_2.wrong("sign of the exponent")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return m.exp((1 - alpha) * divergence)


@T6_2.wrong("2 gamma - 1 for gamma - 1")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return m.exp((2 * alpha - 1) * divergence)


REM6_1 = Draft(
    "REM6.1",
    section="6.1",
    kind=Kind.REMARK,
    title=Text("The identity is exact", "恒等式精确成立"),
    finding=Text(
        "True: no term is left over, for any law, with D taken from divergences, from Hellinger's "
        "distance or from chi squared.",
        "成立：对任意分布均无余项，无论 D 由 KL 组合、Hellinger 距离还是 χ² 得到。",
    ),
    statement=r"\mathbb{E}_\mu[w^\gamma] = e^{(\gamma-1) D_\gamma},\quad (1-\gamma) D_\gamma"
    r" = \gamma D_{KL}(\rho\|\pi) + (1-\gamma) D_{KL}(\rho\|\mu),\quad"
    r" \rho \propto \mu^{1-\gamma}\pi^\gamma",
    subject=formulas.moment_from_renyi,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU, FINITE_MOMENTS),
    uses=("D6.1", "T6.2"),
    reading="'exactly' is without a remainder, whichever way D is come by; gamma > 0 is not 1, and "
    "the two divergences are finite; outcomes that pi has not add nothing",
)


@cache
def general_divergence() -> tuple[Any, Any]:
    """D_gamma of a general law from the two divergences, and its moment."""
    mass = General(sympy.exp(U + GAMMA * LEVEL))
    moment = 0 + mass
    middle = mass / moment
    to_pi, to_mu = (
        formulas.kl([middle], [General(sympy.exp(end))], SUMS) for end in (U + LEVEL, U)
    )
    return sympy.simplify(between(to_pi, to_mu, GAMMA)), moment


@REM6_1.symbolic(Scope("every law: sums over a general outcome", whole=True))
def _(moment: Any) -> Answer:
    """D of a general law from the two divergences: it is Definition 6.1, and gives the moment."""
    divergence, expected = general_divergence()
    return all_of(
        [
            symbolic.equal(divergence, sympy.log(expected) / (GAMMA - 1)),
            symbolic.equal(moment(divergence, GAMMA, Exact), expected),
        ]
    )


# w = 1/25 and 49/25 are squares, so that powers with half-integer exponents are fractions.
SQUARES = Finite.of("1/2 1/2", "1/50 49/50")


@REM6_1.symbolic(Scope("two arms whose weights are squares, gamma = 1/2 and 2"))
def _(moment: Any) -> Answer:
    """E[w^(1/2)] = 4/5 from Hellinger's distance, E[w^2] = 1201/625 from chi squared."""
    mu, pi, _ = SQUARES.numbers(Exact)
    half = sympy.Rational(1, 2)
    rows = list(zip(mu, pi, strict=True))
    hellinger2 = sum((sympy.sqrt(a) - sympy.sqrt(b)) ** 2 for a, b in rows) / 2
    chi2 = sum((b - a) ** 2 / a for a, b in rows)
    cases = (
        (half, -2 * sympy.log(sympy.expand(1 - hellinger2)), sympy.Rational(4, 5)),
        (sympy.Integer(2), sympy.log(1 + chi2), sympy.Rational(1201, 625)),
    )
    return all_of(
        symbolic.compare(moment(d, gamma, Exact), "==", value, witness=at(SQUARES, gamma))
        for gamma, d, value in cases
    )


def exponential_divergence(rate: Number, alpha: Number, m: Arithmetic) -> Number:
    """D_alpha of Exp(rate) from Exp(1): the law between them is Exp(1 - alpha + alpha rate)."""
    middle = 1 - alpha + alpha * rate

    def kl(a: Number, b: Number) -> Number:
        # E[log(a/b) + (b - a) x] with E[x] = 1/a.
        return m.log(a / b) + b / a - 1

    return between(kl(middle, rate), kl(middle, 1), alpha)


@REM6_1.certified(Scope("two finite laws at four gammas; two exponential laws at two gammas"))
def _(moment: Any) -> Answer:
    """Moments summed, or integrated over u = e^-x; D from the law between mu and pi."""
    sums = [summed_moment(law, Ball.number(g), Ball) for law, g in POINTS]
    closed = [moment(enclosed_divergence(law, g), Ball.number(g), Ball) for law, g in POINTS]
    rates = [(3, Fraction(1, 2)), (3, Fraction(3, 2)), (5, Fraction(1, 4)), (5, Fraction(3, 4))]
    integrals = [_over_the_unit_interval(rate, g) for rate, g in rates]
    exponential = [
        moment(
            exponential_divergence(Ball.number(rate), Ball.number(g), Ball), Ball.number(g), Ball
        )
        for rate, g in rates
    ]
    witnesses = [at(law, g) for law, g in POINTS]
    witnesses += [Witness.at(rate=rate, gamma=g) for rate, g in rates]
    return certified.agree(sums + integrals, closed + exponential, witnesses=witnesses)


@cache
def _over_the_unit_interval(rate: int, t: Fraction) -> Any:
    """E_mu[w^t] for mu = Exp(1): u = e^-x is uniform, and w = rate u^(rate-1)."""
    # An integer for the pairs used here, so that the integrand is analytic at 0 too.
    exponent = (t * (rate - 1)).numerator
    integral = flint.acb.integral(lambda u, _: u**exponent, flint.acb(0), flint.acb(1))
    return Ball.power(Ball.number(rate), Ball.number(t)) * integral.real


@REM6_1.neural(Scope("four arms at two gammas"))
def _(moment: Any) -> Answer:
    """Both sides differentiated in the logits of pi, D being the two divergences."""
    mu = neural.tensor(RARE_ARM.mu)
    answers = []
    for gamma in (0.25, 1.5):

        def right_side(z: Any, gamma: float = gamma) -> Any:
            ends = (z.log_softmax(0), mu.log())
            middle = (gamma * ends[0] + (1 - gamma) * ends[1]).log_softmax(0)
            to_pi, to_mu = ((middle.exp() * (middle - end)).sum() for end in ends)
            return moment(between(to_pi, to_mu, gamma), gamma, Tensor)

        def left_side(z: Any, gamma: float = gamma) -> Any:
            return (mu * (z.softmax(0) / mu) ** gamma).sum()

        z = logits(RARE_ARM)
        answers.append(
            neural.close(
                neural.gradient(right_side, z),
                neural.gradient(left_side, z),
                witness=at(RARE_ARM, Fraction(gamma)),
            )
        )
    return all_of(answers)


@REM6_1.sampled(Scope("pi = Exp(3), mu = Exp(1), gamma = 1/2"), resolution=0.03)
def _(moment: Any, trial: Trial) -> Answer:
    """Weights drawn from mu, which a rate above 1 keeps below the rate."""
    law = ExponentialRate(Fraction(3))
    mean = trial.mean(
        "moment", lambda rng, n: np.exp(law.log_w(law.sample(rng, n)) / 2), 0.0, 3**0.5
    )
    closed = moment(exponential_divergence(3.0, 0.5, Real), 0.5, Real)
    return trial.agrees(mean, closed, witness=Witness.at(rate=3, gamma=Fraction(1, 2)))


@REM6_1.without(PI_IN_MU)
def _(moment: Any, law: Finite) -> Answer:
    # D_2 is log(1 + chi^2), and chi^2 is infinite where pi has mass that mu has not.
    pairs = list(zip(law.mu, law.pi, strict=True))
    chi2 = sum((Ball.number((b - a) ** 2 / a) for a, b in pairs if a > 0), flint.arb(0))
    if any(a == 0 < b for a, b in pairs):
        chi2 = flint.arb("inf")
    two = Ball.number(2)
    return certified.agree(
        [instances.moment(law, two)],
        [moment(Ball.log(1 + chi2), two, Ball)],
        witnesses=[at(law, 2)],
    )


REM6_1.meaningless_without(
    FINITE_MOMENTS,
    "where E_mu[w^gamma] is infinite rho cannot be normalised, so there are no divergences to it",
)


@REM6_1.wrong("to first order in gamma - 1")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return 1 + (alpha - 1) * divergence


@REM6_1.wrong("KL for D_gamma, as if the weights were log-normal")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return m.exp(alpha * (alpha - 1) * divergence)


@REM6_1.wrong("the order 1 - gamma of exchanged laws")
def _(divergence: Any, alpha: Any, m: Any) -> Any:
    return m.exp(-alpha * divergence)


CLAIMS = frozen(T6_2, REM6_1)

"""Section 2.3, the table's row on variance: low for f(w) = 1, high for f(w) = w.

True of a shifted Gaussian with r = 1, where the trace of the covariance goes from d to
e^sigma2 (d + sigma2); false in general, already on two outcomes.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL
from isr_theory.claims.enumerated import logits, one_logit_variance, witness_of
from isr_theory.claims.instances import log_variance, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import TWO_ARMS, ExponentialRate, Finite, GaussianShift

X, SIGMA, D = sympy.symbols("x sigma d", positive=True)
T = sympy.symbols("t", real=True)


class Shapes(NamedTuple):
    """The two columns of the table: f as a function of w."""

    low: Any
    high: Any


COLUMNS = Shapes(low=lambda w: 1 + 0 * w, high=lambda w: w)

ROW_5 = Draft(
    "TAB2.3.5",
    section="2.3",
    kind=Kind.INEQUALITY,
    title=Text("Variance of the gradient: low, high", "梯度方差：低，高"),
    finding=Text(
        "False in general: on two arms it is 1/4 for f(w) = 1 and 81/2500 for f(w) = w.",
        "一般不成立：两臂例中 f(w)=1 为 1/4，f(w)=w 为 81/2500。",
    ),
    statement=r"n\,\mathrm{Var}(\hat g_{f=1}) < n\,\mathrm{Var}(\hat g_{f=w})",
    subject=COLUMNS,
    expect=Verdict.REFUTED,
    uses=("D1.1",),
    reading="the variance of f(w) r s for one sample of mu, claimed at every policy but mu",
)
BOTH_COLUMNS = witness_of(TWO_ARMS)


def enumerated_variance(shape: Any, m: Any) -> Any:
    """Var of f(w) s on two arms, r = 1, one logit: s = (pi_2, -pi_1)."""
    mu, pi, _ = TWO_ARMS.numbers(m)
    values = [shape(pi[0] / mu[0]) * pi[1], -shape(pi[1] / mu[1]) * pi[0]]
    mean = mu[0] * values[0] + mu[1] * values[1]
    return mu[0] * values[0] * values[0] + mu[1] * values[1] * values[1] - mean * mean


@ROW_5.symbolic(Scope("the witness"))
def _(shapes: Shapes) -> Answer:
    """Both variances enumerated, as fractions."""
    low, high = (enumerated_variance(shape, Exact) for shape in shapes)
    return symbolic.compare(low, "<", high, witness=BOTH_COLUMNS)


@ROW_5.certified(Scope("the witness"))
def _(shapes: Shapes) -> Answer:
    """Both variances enumerated, in balls."""
    low, high = (enumerated_variance(shape, Ball) for shape in shapes)
    return certified.compare(low, "<", high, witness=BOTH_COLUMNS)


@ROW_5.neural(Scope("the witness"))
def _(shapes: Shapes) -> Answer:
    """One gradient per arm by autograd of log softmax, and their variance under mu."""
    mu, pi = neural.tensor(TWO_ARMS.mu), neural.tensor(TWO_ARMS.pi)
    jacobian = neural.torch().autograd.functional.jacobian(
        lambda z: z.log_softmax(0), logits(TWO_ARMS)
    )

    def variance(shape: Any) -> Any:
        values = shape(pi / mu) * jacobian[:, 0]
        return (mu * (values - (mu * values).sum()) ** 2).sum()

    low, high = (variance(shape) for shape in shapes)
    return neural.compare(low, "<", high, witness=BOTH_COLUMNS)


@ROW_5.sampled(Scope("the witness"), resolution=0.2, looks=2)
def _(shapes: Shapes, trial: Trial) -> Answer:
    """Half the mean squared difference of two outcomes drawn from mu."""
    mu, pi, _ = (np.array(row) for row in TWO_ARMS.numbers(Real))

    def variance(shape: Any) -> Any:
        table = shape(pi / mu) * np.array([pi[1], -pi[0]])

        def draw(rng: np.random.Generator, n: int) -> Any:
            one, other = TWO_ARMS.sample(rng, n), TWO_ARMS.sample(rng, n)
            return (table[one] - table[other]) ** 2 / 2

        widest = float((table.max() - table.min()) ** 2) / 2
        return trial.mean(f"variance of {table.tolist()}", draw, 0.0, widest, resolution=0.03)

    difference = variance(shapes.low) - variance(shapes.high)
    return trial.below(difference, 0.0, witness=BOTH_COLUMNS)


ROW_5.right_value("the columns exchanged", Shapes(low=COLUMNS.high, high=COLUMNS.low))


@ROW_5.number("n Var for f(w) = 1 on two arms")
def _() -> str:
    return str(enumerated_variance(COLUMNS.low, Exact))


@ROW_5.number("n Var for f(w) = w on two arms")
def _() -> str:
    return str(enumerated_variance(COLUMNS.high, Exact))


GAUSSIAN_LOCATION = Assumption(
    "gaussian_location",
    Text(
        "mu = N(0, I_d), pi = N(theta, I_d) with theta not 0, and r = 1.",
        "μ = N(0, I_d)，π = N(θ, I_d)，θ ≠ 0，r ≡ 1。",
    ),
    lambda model: isinstance(model, GaussianShift) and model.sigma2 > 0,
    examples=(GaussianShift(Fraction(1)), GaussianShift(Fraction(4), d=2)),
    violations=(GaussianShift(Fraction(0)), TWO_ARMS, ExponentialRate(Fraction(3, 5))),
    draw=LOGNORMAL.draw,
)

ROW_5_FIX = Draft(
    "TAB2.3.5.fix",
    section="2.3",
    kind=Kind.INEQUALITY,
    title=Text("Low and high variance of a shifted Gaussian", "高斯平移模型中的方差高低"),
    finding=Text(
        "For a shifted Gaussian and r = 1 it is true: d for f(w) = 1 and e^sigma2 (d + sigma2) "
        "for f(w) = w.",
        "对高斯平移且 r≡1 成立：f(w)=1 为 d，f(w)=w 为 e^{σ²}(d+σ²)。",
    ),
    statement=r"n\,\mathrm{tr\,Cov}(\hat g_{f=1}) = d"
    r" < e^{\sigma^2}(d + \sigma^2) = n\,\mathrm{tr\,Cov}(\hat g_{f=w})",
    subject=formulas.gradient_variance_gaussian,
    expect=Verdict.VERIFIED,
    assumes=(GAUSSIAN_LOCATION,),
    amends=("TAB2.3.5", "GEN13.2.4"),
    reading="the score is y - theta, and sigma2 = |theta|^2",
)


@cache
def generated_covariance(gamma: int) -> Any:
    """Tr Cov of w^gamma (y - theta) in d dimensions, from E[e^(t y)] = e^(t^2/2) under mu."""

    def mean(score: int, power: int) -> Any:
        # E[(y - sigma)^score w^power], log w = sigma y - sigma2/2: d/dt brings down y - sigma.
        generated = sympy.exp(T**2 / 2 - T * SIGMA)
        slope = sympy.diff(generated, T, score).subs(T, power * SIGMA)
        return sympy.expand(slope * sympy.exp(power * SIGMA**2 / 2))

    # y runs along theta; the other d - 1 coordinates are independent of w, with variance 1.
    along, across = mean(2, 2 * gamma), (D - 1) * mean(0, 2 * gamma)
    return along + across - mean(1, gamma) ** 2


@ROW_5_FIX.symbolic(Scope("every theta and d", whole=True))
def _(variance: Any) -> Answer:
    """Both traces from the Gaussian generating function; their difference is a positive sum."""
    low, high = (variance(SIGMA**2, sympy.Integer(gamma), D, Exact) for gamma in (0, 1))
    # With e^sigma2 = 1 + x, x > 0.
    difference = sympy.expand((high - low).subs(sympy.exp(SIGMA**2), 1 + X))
    return all_of(
        [
            symbolic.equal(low, generated_covariance(0)),
            symbolic.equal(high, generated_covariance(1)),
            symbolic.equal(low, D),
            symbolic.positive(difference),
        ]
    )


@cache
def enclosed_covariance(sigma2: Fraction, d: int, gamma: int) -> Any:
    """Tr Cov of w^gamma (y - theta), each mean by rigorous quadrature."""
    s = Ball.number(sigma2)
    sigma = Ball.sqrt(s)

    def mean(power: int, score: int) -> Any:
        # |z - sigma|^2 <= 4 (1 + sigma2) e^|z|, and sigma <= 1 + sigma2.
        return certified.gaussian_expectation(
            lambda z: (power * (sigma * z - s / 2)).exp() * (z - sigma) ** score,
            growth=2 * (1 + sigma2) + 1,
            constant=4 * (1 + sigma2),
        )

    first = mean(gamma, 1)
    return mean(2 * gamma, 2) + (d - 1) * mean(2 * gamma, 0) - first * first


@ROW_5_FIX.certified(Scope("three pairs of sigma2 and d"))
def _(variance: Any) -> Answer:
    """Both traces by rigorous quadrature, and their order."""
    answers = []
    for sigma2, d in ((Fraction(1), 1), (Fraction(1, 4), 3), (Fraction(3), 2)):
        witness = Witness.at(sigma2=sigma2, d=d)
        low, high = (
            variance(Ball.number(sigma2), flint.arb(gamma), flint.arb(d), Ball) for gamma in (0, 1)
        )
        enclosed = [enclosed_covariance(sigma2, d, gamma) for gamma in (0, 1)]
        answers.append(certified.agree([low, high], enclosed, witnesses=[witness] * 2))
        answers.append(certified.compare(low, "<", high, witness=witness))
    return all_of(answers)


@ROW_5_FIX.without(GAUSSIAN_LOCATION)
def _(variance: Any, model: Any) -> Answer | None:
    if isinstance(model, Finite):
        # A policy of two outcomes has one free logit, so d = 1.
        found = [one_logit_variance(model, gamma, Ball) for gamma in (0, 1)]
        closed = [variance(log_variance(model), flint.arb(g), flint.arb(1), Ball) for g in (0, 1)]
        return certified.agree(found, closed, witnesses=[named(model)] * 2)
    if not isinstance(model, GaussianShift):
        return None
    sigma2, d = model.sigma2, model.d
    found = [enclosed_covariance(sigma2, d, gamma) for gamma in (0, 1)]
    closed = [variance(Ball.number(sigma2), flint.arb(g), flint.arb(d), Ball) for g in (0, 1)]
    # Exact, as at sigma2 = 0 the two are equal.
    low, high = (variance(Exact.number(sigma2), sympy.Integer(g), d, Exact) for g in (0, 1))
    return all_of(
        [
            certified.agree(found, closed, witnesses=[named(model)] * 2),
            symbolic.compare(low, "<", high, witness=named(model)),
        ]
    )


@cache
def autograd_covariances() -> tuple[Any, ...]:
    """Tr Cov for theta = (3/5, 4/5): scores by autograd at the nodes of a product Gauss rule."""
    module = neural.torch()
    nodes, weights = (module.from_numpy(x) for x in np.polynomial.hermite_e.hermegauss(50))
    y = module.cartesian_prod(nodes, nodes)
    mass = module.cartesian_prod(weights, weights).prod(1)
    mass = mass / mass.sum()
    theta = neural.tensor([Fraction(3, 5), Fraction(4, 5)])

    def log_pi(centres: Any) -> Any:
        return -((y - centres) ** 2).sum(1) / 2

    centres = theta.expand(len(y), 2)
    scores = neural.gradient(lambda c: log_pi(c).sum(), centres)
    w = (log_pi(centres) - log_pi(0 * centres)).exp()

    def trace(gamma: int) -> Any:
        values = (w**gamma)[:, None] * scores
        mean = (mass[:, None] * values).sum(0)
        return (mass[:, None] * (values - mean) ** 2).sum()

    return trace(0), trace(1)


@ROW_5_FIX.neural(Scope("theta = (3/5, 4/5)"))
def _(variance: Any) -> Answer:
    """Scores by autograd of log pi, their covariance by Gauss quadrature."""
    found = [variance(1.0, gamma, 2, Real) for gamma in (0, 1)]
    witness = Witness.at(sigma2=1, d=2)
    return neural.close(found, list(autograd_covariances()), witness=witness)


@ROW_5_FIX.sampled(Scope("sigma2 = 1, d = 1"), resolution=0.5, looks=4)
def _(variance: Any, trial: Trial) -> Answer:
    """Both variances from samples of twice the variance, which bounds score and weight."""
    answers = []
    for gamma in (0, 1):

        def statistic(power: int, gamma: int = gamma) -> Any:
            # y = c + z with z ~ N(0, 2), c the centre of w^(power gamma) mu, whose own variance is
            # 1; the statistic is w^(power gamma) (y - 1)^power mu / q for q = N(c, 2).
            centre = power * gamma

            def values(z: Any) -> Any:
                y = centre + z
                log_ratio = centre * (y - 0.5) - y * y / 2 + z * z / 4
                return np.sqrt(2) * np.exp(log_ratio) * (y - 1) ** power

            return lambda rng, n: values(np.sqrt(2) * rng.standard_normal(n))

        # sqrt(2) e^centre(centre-1)/2 (z + centre - 1)^power e^(-z^2/4): below 14 for power 2,
        # and between -3 and 3 for power 1.
        first = trial.mean(f"mean at {gamma}", statistic(1), -3.0, 3.0, resolution=0.1)
        second = trial.mean(f"square at {gamma}", statistic(2), 0.0, 14.0, resolution=0.2)
        answers.append(
            trial.agrees(
                second - first * first,
                variance(1.0, gamma, 1, Real),
                witness=Witness.at(sigma2=1, d=1, gamma=gamma),
            )
        )
    return all_of(answers)


@ROW_5_FIX.wrong("the weights' second moment alone")
def _(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    return d * m.exp(gamma * (2 * gamma - 1) * sigma2)


@ROW_5_FIX.wrong("the squared mean left in")
def _(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    slope = 2 * gamma - 1
    return m.exp(gamma * slope * sigma2) * (d + slope * slope * sigma2)


@ROW_5_FIX.wrong("gamma - 1 for 2 gamma - 1")
def _(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    slope = gamma - 1
    return m.exp(gamma * slope * sigma2) * (d + slope * slope * sigma2) - slope * slope * sigma2


@ROW_5_FIX.wrong("f(w) = 1 and f(w) = w exchanged")
def _(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    return formulas.gradient_variance_gaussian(sigma2, 1 - gamma, d, m)


@ROW_5_FIX.number("n tr Cov for f(w) = w at sigma2 = 1, d = 1")
def _() -> str:
    one = Ball.number(1)
    return certified.digits(formulas.gradient_variance_gaussian(one, one, one, Ball))


CLAIMS = frozen(ROW_5, ROW_5_FIX)

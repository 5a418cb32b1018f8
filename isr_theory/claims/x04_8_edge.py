"""Past section 9.2: from outside the dead zone training stops on its edge, where r = 1."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, UNIT_REWARD, VALID_RULE
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.x04_1_projection import RHO, RHOS, log_ratio, norm, radius
from isr_theory.claims.x04_2_rest import step
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, Finite

B, D, THETA = sympy.symbols("b d theta", positive=True)


class Landing(NamedTuple):
    """Where an exact step from outside the ball lands, and the speed of a shifted Gaussian."""

    sigma: Any
    speed: Any


def sigma_after(sigma: Number, bound: Number, m: Arithmetic) -> Number:
    """The sd of log w after one step from sigma >= bound: the bound, sqrt(-log rho_min)."""
    return bound + 0 * sigma


def speed_outside(theta: Number, bound: Number, m: Arithmetic) -> Number:
    """The gradient at the rule's gamma for mu = N(0, 1), pi = N(theta, 1), theta >= b, r = 1.

    It is -(theta - b) e^(-b (theta - b)/2).
    """
    return (bound - theta) * m.exp(bound * (bound - theta) / 2)


EDGE = Draft(
    "DYN.edge",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("From outside, training stops on the edge", "从外部出发，训练停在边界上"),
    finding=Text(
        "For r = 1 the first exact step lands on Var(log w) = -log rho_min and the next ones stay;"
        " small steps of a shifted Gaussian slow down towards theta = sqrt(-log rho_min).",
        "r ≡ 1 时第一个精确步恰落在 Var(log w) = −log ρ_min 上并停住；"
        "高斯平移族的小步训练则减速趋于 θ = √(−log ρ_min)。",
    ),
    statement=r"\|l\| \ge \sqrt L:\ \|T l\| = \sqrt L,\ T^2 l = T l;\qquad"
    r" \mathcal{N}(\theta, 1),\ \theta \ge \sqrt L:\ g_{\gamma^*}"
    r" = -(\theta - \sqrt L)\, e^{-\sqrt L (\theta - \sqrt L)/2}",
    subject=Landing(sigma_after, speed_outside),
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD, VALID_RULE),
    uses=("DYN.projection", "DYN.deadzone"),
    sharpens=("S9.2.b", "TAB13.3.2", "GEN13.2.1"),
    source="new here",
    reading="T is the step to the effective target; mu and pi have one support and Var(log w) is "
    "finite; by symmetry theta < 0 goes to -sqrt(L)",
)


@EDGE.symbolic(Scope("every law outside the ball; every theta >= sqrt(L)", whole=True))
def _(landing: Any) -> Answer:
    """The norm of a scaled vector, twice; the Gaussian gradient by integration."""
    y = sympy.Symbol("y", real=True)
    rho_min = sympy.exp(-(B**2))
    # Outside: sigma = b + d, or b itself.
    size = B + D
    gamma = formulas.gamma_lognormal(size**2, rho_min, Exact)
    first = gamma * size
    again = formulas.gamma_lognormal(landing.sigma(size, B, Exact) ** 2, rho_min, Exact)
    density = sympy.exp(-(y**2) / 2) / sympy.sqrt(2 * sympy.pi)
    # E[w^g (y - theta)] from the mean of e^(k y) and its slope in k, at k = g theta.
    k = sympy.Symbol("k", real=True)
    mean = sympy.integrate(sympy.exp(k * y) * density, (y, -sympy.oo, sympy.oo))
    g = B / THETA
    slope = (sympy.diff(mean, k) - THETA * mean).subs(k, g * THETA) * sympy.exp(-g * THETA**2 / 2)
    points = [{B: 2, D: 3}, {B: 1, D: 5}]
    return all_of(
        [
            symbolic.equal(gamma, sympy.Min(1, B / size), points=points),
            symbolic.equal(first, landing.sigma(size, B, Exact), points=points, reduce=_outside),
            symbolic.equal(again, 1, points=points, reduce=_outside),
            symbolic.equal(landing.speed(THETA, B, Exact), slope),
            # Beyond the edge it points inwards, and at the edge it is 0.
            symbolic.positive(-landing.speed(size, B, Exact)),
            symbolic.equal(landing.speed(B, B, Exact), 0),
        ]
    )


def _outside(difference: Any) -> Any:
    # b/(b + d) is the smaller one.
    return sympy.simplify(difference.subs(sympy.Min(1, B / (B + D)), B / (B + D)))


FAR = Finite.of("3/5 3/10 1/10", "1/100 1/100 49/50")


@EDGE.certified(Scope("three and four outcomes, at rho_min = 3/10 and 4/5"))
def _(landing: Any) -> Answer:
    """Two enumerated steps from afar."""
    answers = []
    for law in (FAR, RARE_ARM):
        mu, pi, reward = law.numbers(Ball)
        start = log_ratio(mu, pi, Ball)
        for rho in RHOS:
            at = witness_of(law, rho_min=rho)
            said = landing.sigma(norm(mu, start, Ball), radius(Ball.number(rho), Ball), Ball)
            once = step(mu, start, reward, Ball.number(rho), Ball)
            twice = step(mu, once, reward, Ball.number(rho), Ball)
            answers.append(
                certified.agree(
                    [norm(mu, once, Ball), *twice],
                    [said, *once],
                    witnesses=[at] * (1 + len(mu)),
                )
            )
    return all_of(answers)


@EDGE.certified(Scope("theta = 3/2 and 3, at rho_min = 3/10"))
def _(landing: Any) -> Answer:
    """E_mu[w^gamma (y - theta)] by quadrature, gamma the rule's."""
    bound = radius(Ball.number(RHO), Ball)
    answers = []
    for shift in (Fraction(3, 2), Fraction(3)):
        theta, at = Ball.number(shift), Witness.at(mu="N(0, 1)", theta=shift, rho_min=RHO)
        gamma = formulas.gamma_lognormal(theta * theta, Ball.number(RHO), Ball)

        def integrand(y: Any, theta: Any = theta, gamma: Any = gamma) -> Any:
            return (gamma * (theta * y - theta * theta / 2)).exp() * (y - theta)

        # gamma theta < 2 and |y - theta| < 4 e^|y|.
        found = certified.gaussian_expectation(integrand, growth=3, constant=4)
        said = landing.speed(theta, bound, Ball)
        answers.append(certified.agree([said], [found], witnesses=[at]))
    return all_of(answers)


@EDGE.neural(Scope("theta = 2 at rho_min = 3/10"))
def _(landing: Any) -> Answer:
    """The slope of the Gaussian objective E_mu[w^gamma]/gamma at the rule's gamma, by autograd."""
    bound = math.sqrt(-math.log(0.3))
    module, theta = neural.torch(), neural.tensor(2)
    gamma = bound / 2
    # E_mu[w^g] on a fine grid of y: the trapezoidal rule of an analytic integrand that dies like
    # e^(-y^2/2) is exact to rounding at this step.
    y = module.linspace(-14, 14, 1401, dtype=module.float64)
    density = (-(y**2) / 2).exp() / math.sqrt(2 * math.pi) * 0.02

    def objective(shift: Any) -> Any:
        return (density * (gamma * (shift * y - shift**2 / 2)).exp()).sum() / gamma

    at = Witness.at(mu="N(0, 1)", theta=2, rho_min=RHO)
    said = landing.speed(theta, neural.tensor(Fraction(bound)), Tensor)
    return neural.close([said], neural.gradient(objective, theta).reshape(1), witness=at)


@EDGE.without(UNIT_REWARD)
def _(landing: Any, law: Finite) -> Answer | None:
    mu, pi, reward = law.numbers(Ball)
    start, bound = log_ratio(mu, pi, Ball), radius(Ball.number("9/10"), Ball)
    if not norm(mu, start, Ball) > bound:
        return None
    once = step(mu, start, reward, Ball.number("9/10"), Ball)
    said = landing.sigma(norm(mu, start, Ball), bound, Ball)
    at = witness_of(law, rho_min=Fraction(9, 10))
    return certified.agree([norm(mu, once, Ball)], [said], witnesses=[at])


EDGE.meaningless_without(VALID_RULE, NO_RULE)


def full_speed(theta: Number, bound: Number, m: Arithmetic) -> Number:
    """The gradient at the rule's gamma without its clip's distance: towards mu itself."""
    return -theta * m.exp(bound * (bound - theta) / 2)


def flat_speed(theta: Number, bound: Number, m: Arithmetic) -> Number:
    """The distance from the edge alone."""
    return bound - theta


def shrunk(sigma: Number, bound: Number, m: Arithmetic) -> Number:
    """Return gamma, mistaken for the sd."""
    return bound / sigma


EDGE.wrong_value("towards mu itself", Landing(sigma_after, full_speed))
EDGE.wrong_value("the distance from the edge alone", Landing(sigma_after, flat_speed))
EDGE.wrong_value("gamma for the sd", Landing(shrunk, speed_outside))


@EDGE.number("the policy after one step from (1/100, 1/100, 98/100), mu = (3/5, 3/10, 1/10)")
def _() -> str:
    mu, pi, reward = FAR.numbers(Ball)
    level = step(mu, log_ratio(mu, pi, Ball), reward, Ball.number(RHO), Ball)
    law = formulas.normalised([a * Ball.exp(x) for a, x in zip(mu, level, strict=True)])
    return ", ".join(certified.digits(p) for p in law)


CLAIMS = frozen(EDGE)

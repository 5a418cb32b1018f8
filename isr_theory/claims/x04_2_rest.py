"""Past section 8: where training at the rule's gamma comes to rest.

A step to the effective target at the rule's gamma is l <- Proj(l) + log r on centred log-ratios,
Proj the projection on the ball of radius sqrt(-log rho_min). Exactly one policy is at rest.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, POSITIVE_REWARD, VALID_RULE
from isr_theory.claims.enumerated import enumerated_gradient, witness_of
from isr_theory.claims.x04_1_projection import (
    RHO,
    RHOS,
    B,
    Rows,
    S,
    centred,
    inner,
    norm,
    radius,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, TWO_ARMS, Finite

MU, R = sympy.symbols("mu r", positive=True)

REWARD_VARIES = Assumption(
    "reward_varies",
    Text("r is not constant under mu.", "r 在 μ 下不恒为常数。"),
    lambda law: len({r for a, r in zip(law.mu, law.reward, strict=True) if a > 0}) > 1,
    examples=(THREE_ARMS, FOUR_ARMS),
    violations=(TWO_ARMS,),
    draw=lambda rng: _varied(Finite.drawn(rng)),
)


def _varied(law: Finite) -> Finite:
    """The law with its last outcome paid more than the others."""
    return Finite(law.mu, law.pi, (*law.reward[:-1], max(law.reward) + 1))


class Rest(NamedTuple):
    """Where training at the rule's gamma comes to rest: gamma, sd of log w, exponent of r."""

    gamma: Number
    sigma: Number
    exponent: Number


def rest(spread: Number, bound: Number, m: Arithmetic) -> Rest:
    """Return gamma = b/(b + s), sigma = s + b, pi ~ mu r^(1 + b/s).

    `spread` is s, the standard deviation of log r under mu; `bound` is b = sqrt(-log rho_min).
    """
    return Rest(bound / (bound + spread), spread + bound, 1 + bound / spread)


def step(mu: Rows, level: Rows, reward: Rows, rho_min: Number, m: Arithmetic) -> list[Number]:
    """One exact step at the rule's gamma: log w of the effective target, centred."""
    sigma2 = inner(mu, level, level)
    bound = radius(rho_min, m)
    gamma = m.minimum(m.number(1), bound / m.sqrt(sigma2))
    rows = zip(level, reward, strict=True)
    return centred(mu, [gamma * x + m.log(r) for x, r in rows])


FIXED = Draft(
    "DYN.fixed",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The one policy at which the rule's training rests", "自适应规则的唯一不动点"),
    finding=Text(
        "It is mu r^(1 + sqrt(L)/s), s the standard deviation of log r, so that log w always ends"
        " with standard deviation s + sqrt(L), however small the reward's spread s is.",
        "不动点为 μ r^{1+√L/s}（s 为 log r 的标准差），故无论 s 多小，log w 的标准差终为 s + √L。",
    ),
    statement=r"\gamma_\infty = \frac{\sqrt L}{\sqrt L + s_r},\quad"
    r" \sigma_\infty = s_r + \sqrt L,\quad \pi_\infty \propto \mu\, r^{1 + \sqrt L / s_r},\qquad"
    r" s_r^2 = \mathrm{Var}_\mu(\log r),\ L = -\log\rho_{\min}",
    subject=rest,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD, REWARD_VARIES, VALID_RULE),
    uses=("T4.2.a", "T8.3.a", "DYN.projection"),
    sharpens=("T4.2.a", "T8.3.a", "KEY4.2.c", "GEN13.2.6"),
    source="new here",
    reading="at rest: a policy that is its own effective target at the rule's gamma, where the "
    "gradient g_gamma vanishes as well; on endless outcomes E_mu[r^(1 + sqrt(L)/s)] is finite",
)


@FIXED.symbolic(Scope("every mu, r > 0 not constant, and rho_min", whole=True))
def _(at_rest: Any) -> Answer:
    """One solution of l = k l + log r, k = min(1, b/|l|); its target, outcome by outcome."""
    k = sympy.Symbol("k")
    # l = log r/(1 - k), so |l| = s/(1 - k); k = 1 would need log r = 0, and k < 1 is b/|l|.
    roots = sympy.solve(k * S / (1 - k) - B, k)
    found = at_rest(S, B, Exact)
    # The target mu^(1-k) pi^k r of pi = mu r^e is pi again where k e + 1 = e.
    pi = MU * R**found.exponent
    target = MU ** (1 - found.gamma) * pi**found.gamma * R
    return all_of(
        [
            symbolic.equal(len(roots), 1),
            symbolic.equal(found.gamma, roots[0]),
            symbolic.equal(found.sigma, S / (1 - roots[0])),
            symbolic.equal(found.exponent, 1 / (1 - roots[0])),
            symbolic.positive(1 - found.gamma),
            symbolic.equal(sympy.expand_log(sympy.log(target / pi), force=True), 0),
        ]
    )


def resting(at_rest: Any, law: Finite, rho: Fraction) -> Answer:
    """Say whether a step from the policy at rest leads back to it, at the sd that is said."""
    mu, _, reward = law.numbers(Ball)
    logs = centred(mu, [Ball.log(r) for r in reward])
    found = at_rest(norm(mu, logs, Ball), radius(Ball.number(rho), Ball), Ball)
    level = [found.exponent * x for x in logs]
    after = step(mu, level, reward, Ball.number(rho), Ball)
    gamma = radius(Ball.number(rho), Ball) / norm(mu, level, Ball)
    at = witness_of(law, rho_min=rho)
    return certified.agree(
        [*after, found.sigma, found.gamma],
        [*level, norm(mu, level, Ball), gamma],
        witnesses=[at] * (len(level) + 2),
    )


@FIXED.certified(Scope("three and four outcomes, rho_min = 3/10 and 4/5"))
def _(at_rest: Any) -> Answer:
    """An enumerated step at the enumerated gamma leads back."""
    return all_of(resting(at_rest, law, rho) for law in (THREE_ARMS, FOUR_ARMS) for rho in RHOS)


@FIXED.certified(Scope("mu = N(0, 1), pi = N(theta, 1), r = e^(y/2), rho_min = 3/10"))
def _(at_rest: Any) -> Answer:
    """By quadrature the gradient in theta vanishes at theta = s + sqrt(L)."""
    slope, bound = Ball.number("1/2"), radius(Ball.number(RHO), Ball)
    found = at_rest(slope, bound, Ball)
    theta, gamma = found.sigma, found.gamma

    def integrand(y: Any) -> Any:
        return (gamma * (theta * y - theta * theta / 2) + slope * y).exp() * (y - theta)

    # gamma theta + b < 2, and |y - theta| < 3 e^|y|.
    found_slope = certified.gaussian_expectation(integrand, growth=4, constant=9)
    at = Witness.at(mu="N(0, 1)", b="1/2", rho_min=RHO)
    exponent = found.exponent * slope
    return certified.agree([found_slope, exponent], [flint.arb(0), theta], witnesses=[at, at])


@FIXED.neural(Scope("three outcomes, rho_min = 3/10 and 4/5"))
def _(at_rest: Any) -> Answer:
    """The loss at the stated gamma, differentiated in the logits, is flat at the stated policy."""
    answers = []
    for rho in RHOS:
        mu, _, reward = THREE_ARMS.numbers(Ball)
        logs = centred(mu, [Ball.log(r) for r in reward])
        found = at_rest(norm(mu, logs, Ball), radius(Ball.number(rho), Ball), Ball)
        pi = formulas.normalised(
            [a * Ball.power(r, found.exponent) for a, r in zip(mu, reward, strict=True)]
        )
        law = Finite(THREE_ARMS.mu, tuple(Fraction(float(p)) for p in pi), THREE_ARMS.reward)
        slopes = enumerated_gradient(law, Fraction(float(found.gamma)))
        sd = neural.tensor(law.log_w().tolist())
        weights = neural.tensor(law.mu)
        sigma = (weights * (sd - (weights * sd).sum()) ** 2).sum().sqrt()
        at = witness_of(THREE_ARMS, rho_min=rho)
        answers.append(neural.close(slopes, [0, 0, 0], witness=at))
        answers.append(neural.close([float(found.sigma)], [float(sigma)], witness=at))
    return all_of(answers)


@FIXED.without(REWARD_VARIES)
def _(at_rest: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Exact)
    logs = centred(mu, [sympy.log(r) for r in reward])
    if any(sympy.N(x, 30) != 0 for x in logs):
        return resting(at_rest, law, RHO)
    # mu itself stays where it is, at standard deviation 0.
    spread = sympy.Symbol("s", positive=True)
    said = sympy.limit(at_rest(spread, radius(Exact.number(RHO), Exact), Exact).sigma, spread, 0)
    return symbolic.compare(said, "==", 0, witness=witness_of(law, rho_min=RHO))


FIXED.meaningless_without(POSITIVE_REWARD, "log r is not finite where r is 0 or negative")
FIXED.meaningless_without(VALID_RULE, NO_RULE)


@FIXED.wrong("spread and bound exchanged")
def _(spread: Any, bound: Any, m: Any) -> Any:
    return rest(bound, spread, m)


@FIXED.wrong("spreads added as if independent")
def _(spread: Any, bound: Any, m: Any) -> Any:
    sigma = m.sqrt(spread * spread + bound * bound)
    return Rest(bound / sigma, sigma, sigma / spread)


@FIXED.wrong("the exponent of gamma = 1/2")
def _(spread: Any, bound: Any, m: Any) -> Any:
    return rest(spread, bound, m)._replace(exponent=m.number(2))


@FIXED.wrong("the edge of the ball")
def _(spread: Any, bound: Any, m: Any) -> Any:
    return rest(spread, bound, m)._replace(sigma=bound)


@cache
def rest_of_three_arms() -> tuple[Any, list[Any]]:
    """Where (3/5, 3/10, 1/10) with r = (1, 2, 4) comes to rest at rho_min = 3/10."""
    mu, _, reward = THREE_ARMS.numbers(Ball)
    logs = centred(mu, [Ball.log(r) for r in reward])
    found = rest(norm(mu, logs, Ball), radius(Ball.number(RHO), Ball), Ball)
    rows = zip(mu, reward, strict=True)
    return found, formulas.normalised([a * Ball.power(r, found.exponent) for a, r in rows])


@FIXED.number("gamma, mu = (3/5, 3/10, 1/10), r = (1, 2, 4), rho_min = 3/10")
def _() -> str:
    return certified.digits(rest_of_three_arms()[0].gamma)


@FIXED.number("the policy at rest there")
def _() -> str:
    return ", ".join(certified.digits(p) for p in rest_of_three_arms()[1])


@FIXED.number("theta at rest, mu = N(0, 1), r = e^(y/2), rho_min = 3/10")
def _() -> str:
    return certified.digits(rest(Ball.number("1/2"), radius(Ball.number(RHO), Ball), Ball).sigma)


CLAIMS = frozen(FIXED)

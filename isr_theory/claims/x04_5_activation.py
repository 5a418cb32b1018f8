"""Past section 8: when the rule acts at all.

For log-normal weights it is silent up to the divergence KL(mu || pi) = -log(rho_min)/2.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, NO_RULE, VALID_RULE
from isr_theory.claims.instances import log_variance, named
from isr_theory.claims.x04_1_projection import RHO, radius
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import (
    ExponentialRate,
    Finite,
    GaussianShift,
)

SIGMA2 = sympy.Symbol("sigma2", positive=True)
C = sympy.Symbol("c", positive=True)


def activation_kl(rho_min: Number, m: Arithmetic) -> Number:
    """KL(mu || pi) = -log(rho_min)/2, up to which the rule returns 1."""
    return -m.log(rho_min) / 2


def log_density_ratio(theta: Any, y: Any) -> Any:
    """Return log w at y for mu = N(0, 1) and pi = N(theta, 1)."""
    return theta * y - theta * theta / 2


def kl_from_behaviour(model: Any) -> Any:
    """Enclose KL(mu || pi) = -E_mu[log w]."""
    if isinstance(model, Finite):
        mu, pi, _ = model.numbers(Ball)
        return sum(a * Ball.log(a / b) for a, b in zip(mu, pi, strict=True))
    if isinstance(model, GaussianShift):
        sigma = Ball.sqrt(Ball.number(model.sigma2))
        return -certified.gaussian_expectation(
            partial(log_density_ratio, sigma), growth=1, constant=10
        )
    if isinstance(model, ExponentialRate):
        # E[x] = 1, so that E[log w] = log rate + 1 - rate.
        return -Ball.log(Ball.number(model.rate)) - Ball.number(1 - model.rate)
    raise TypeError(f"no divergence is known for {model!r}")


ACTIVATION = Draft(
    "DYN.activation",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("When the rule acts at all", "规则何时起作用"),
    finding=Text(
        "Only past KL(mu || pi) = -log(rho_min)/2, which is 0.602 nats at rho_min = 0.3; to act at"
        " a KL of 0.02 the target must be rho_min = 0.961.",
        "仅当 KL(μ‖π) > −log(ρ_min)/2 时起作用：ρ_min = 0.3 对应 0.602 奈特；"
        "若要在 KL = 0.02 时起作用，须取 ρ_min = 0.961。",
    ),
    statement=r"\gamma^* < 1 \iff \mathrm{KL}(\mu \,\|\, \pi) > -\tfrac12 \log\rho_{\min}",
    subject=activation_kl,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, VALID_RULE),
    uses=("T8.3.a", "TAB13.3.1"),
    sharpens=("T8.3.a", "TAB13.3.1", "S9.2.b"),
    source="the line's own notes state it; the proof is new here",
)


@ACTIVATION.symbolic(Scope("every sigma2 and rho_min, log-normal model", whole=True))
def _(threshold: Any) -> Answer:
    """KL by integrating log w; the rule is 1 at exactly the variances up to -log rho_min."""
    y = sympy.Symbol("y", real=True)
    density = sympy.exp(-(y**2) / 2) / sympy.sqrt(2 * sympy.pi)
    log_w = sympy.sqrt(SIGMA2) * y - SIGMA2 / 2
    kl = -sympy.integrate(sympy.expand(log_w * density), (y, -sympy.oo, sympy.oo))
    # The rule is min(1, c/sigma) at rho_min = e^(-c^2): below 1 where sigma2 is above c^2.
    edge = threshold(sympy.exp(-(C**2)), Exact)
    rule = formulas.gamma_lognormal(SIGMA2, sympy.exp(-(C**2)), Exact)
    points = [{SIGMA2: 9, C: 2}, {SIGMA2: 1, C: 2}]
    return all_of(
        [
            symbolic.equal(rule, sympy.Min(1, C / sympy.sqrt(SIGMA2)), points=points),
            symbolic.equal(kl.subs(SIGMA2, C**2), edge),
            symbolic.positive(sympy.diff(kl, SIGMA2)),
        ]
    )


@ACTIVATION.certified(Scope("rho_min = 3/10, 4/5 and 24/25"))
def _(threshold: Any) -> Answer:
    """By quadrature KL at the threshold's two sides is that of policies with gamma* = 1 and < 1."""
    answers = []
    for rho in (RHO, Fraction(4, 5), Fraction(24, 25)):
        rho_min = Ball.number(rho)
        for factor, acts in (("999/1000", False), ("1001/1000", True)):
            edge = threshold(rho_min, Ball) * Ball.number(factor)
            # KL = sigma2/2 is tried by quadrature at that very sigma2.
            sigma = Ball.sqrt(2 * edge)
            kl = -certified.gaussian_expectation(
                partial(log_density_ratio, sigma), growth=1, constant=10
            )
            gamma = formulas.gamma_lognormal(sigma * sigma, rho_min, Ball)
            at = Witness.at(rho_min=rho, kl=f"{factor} of the threshold")
            answers.append(certified.agree([kl], [edge], witnesses=[at]))
            if acts:
                answers.append(certified.compare(gamma, "<", flint.arb(1), witness=at))
            else:
                answers.append(certified.agree([gamma], [flint.arb(1)], witnesses=[at]))
    return all_of(answers)


@ACTIVATION.neural(Scope("rho_min = 3/10"))
def _(threshold: Any) -> Answer:
    """Torch's own divergence of two normal laws, at the shift where the rule leaves 1."""
    module = neural.torch()
    bound = float(radius(Ball.number(RHO), Ball).mid())
    laws = (module.distributions.Normal(neural.tensor(x), 1.0) for x in (0.0, bound))
    kl = module.distributions.kl_divergence(*laws)
    at = Witness.at(rho_min=RHO)
    return neural.close([threshold(float(RHO), Real)], [kl], witness=at)


@ACTIVATION.without(LOGNORMAL)
def _(threshold: Any, model: Any) -> Answer:
    # At rho_min = e^(-sigma2) the rule is about to leave 1.
    rho_min = Ball.exp(-log_variance(model))
    return certified.agree(
        [threshold(rho_min, Ball)], [kl_from_behaviour(model)], witnesses=[named(model)]
    )


ACTIVATION.meaningless_without(VALID_RULE, NO_RULE)
ACTIVATION.wrong_value("a standard deviation for a divergence", radius)


@ACTIVATION.wrong("no half")
def _(rho_min: Any, m: Any) -> Any:
    return -m.log(rho_min)


@ACTIVATION.wrong("1 - rho_min for -log rho_min")
def _(rho_min: Any, m: Any) -> Any:
    return (1 - rho_min) / 2


@ACTIVATION.number("the threshold at rho_min = 3/10, in nats")
def _() -> str:
    return certified.digits(activation_kl(Ball.number(RHO), Ball))


@ACTIVATION.number("the rho_min that acts at KL = 1/50")
def _() -> str:
    return certified.digits(Ball.exp(Ball.number("-1/25")))


CLAIMS = frozen(ACTIVATION)

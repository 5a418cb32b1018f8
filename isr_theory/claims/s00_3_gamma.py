"""The abstract, fourth promise: a closed form for an approximately optimal gamma.

Where log w is normal, the largest gamma that keeps the population ESS/n at rho_min is
min(1, sqrt(-log rho_min / sigma2)); this is the only sense in which it is optimal here.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, NO_RULE, VALID_RULE
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift

SIGMA2, L, GAMMA, T = sympy.symbols("sigma2 L gamma t", positive=True)
LEVEL, MEAN = sympy.symbols("l m", real=True)

ABS_4 = Draft(
    "ABS.4",
    section="abstract",
    kind=Kind.OPTIMUM,
    title=Text("A closed-form approximately optimal gamma exists", "最优 γ 存在闭式近似解"),
    finding=Text(
        "True in one sense: if log w is normal, the largest gamma that keeps ESS/n at rho_min has "
        "a closed form; 'approximately' is that normality.",
        "在一种意义下成立：若 log w 正态，使 ESS/n ≥ ρ_min 的最大 γ 有闭式；“近似”即指该正态性。",
    ),
    statement=r"\max\{\gamma\in[0,1]: \mathrm{ESS}_\gamma/n \ge \rho_{\min}\}"
    r" = \min\bigl(1, \sqrt{-\log\rho_{\min}/\sigma^2}\bigr)",
    subject=formulas.gamma_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL, VALID_RULE),
    uses=("T8.3.a",),
    reading="'approximately': under Assumption 7.3; 'optimal': the largest gamma whose population "
    "ESS/n is at least rho_min",
)


@ABS_4.symbolic(Scope("every normal log w, of any mean, and every rho_min = e^-L", whole=True))
def _(rule: Any) -> Answer:
    """Tilting shifts the normal mean to m + sigma2 t, so log ESS has slope -2 sigma2 gamma."""

    def log_density(mean: Any) -> Any:
        return -((LEVEL - mean) ** 2) / (2 * SIGMA2)

    def tilted_mean(t: Any) -> Any:
        return MEAN + SIGMA2 * t

    # The tilted law is that normal if the two log densities differ by a constant in the level.
    constant = T * LEVEL + log_density(MEAN) - log_density(tilted_mean(T))
    # log ESS = 2 K(g) - K(2 g), and K'(t) is the mean of the tilted law.
    slope = 2 * tilted_mean(GAMMA) - 2 * tilted_mean(2 * GAMMA)
    (root,) = sympy.solve(sympy.integrate(slope, (GAMMA, 0, GAMMA)) + L, GAMMA)
    sides = [{SIGMA2: 3, L: 1}, {SIGMA2: sympy.Rational(1, 3), L: 2}]
    found = rule(SIGMA2, sympy.exp(-L), Exact)
    return all_of(
        [
            symbolic.equal(sympy.diff(constant, LEVEL), 0),
            symbolic.positive(-sympy.expand(slope)),
            symbolic.equal(found, sympy.Min(1, root), points=sides),
        ]
    )


def enclosed_ess(sigma2: Fraction, gamma: Any) -> Any:
    """ESS/n by quadrature of the two moments of e^(sigma z - sigma2/2), 0 <= gamma <= 2."""
    s = Ball.number(sigma2)
    sigma = Ball.sqrt(s)

    def moment(t: Any) -> Any:
        # |t| sigma <= 4 (1 + sigma2) bounds the growth of the integrand by a rational.
        return certified.gaussian_expectation(
            lambda z: (t * (sigma * z - s / 2)).exp(), growth=4 * (1 + sigma2)
        )

    first = moment(gamma)
    return first * first / moment(2 * gamma)


@ABS_4.certified(Scope("two pairs of sigma2 and rho_min, and one where gamma is clipped at 1"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature is above rho_min just below the rule's gamma, and below just above it."""
    answers = []
    step = flint.arb(10) ** -25
    for sigma2, rho_min in ((Fraction(3), Fraction(1, 5)), (Fraction(10), Fraction(9, 10))):
        witness = Witness.at(sigma2=sigma2, rho_min=rho_min)
        rho = Ball.number(rho_min)
        gamma = rule(Ball.number(sigma2), rho, Ball)
        for side, relation in ((-step, ">"), (step, "<")):
            ess = enclosed_ess(sigma2, gamma + side)
            answers.append(certified.compare(ess, relation, rho, witness=witness))
    sigma2, rho_min = Fraction(1, 3), Fraction(1, 2)
    witness = Witness.at(sigma2=sigma2, rho_min=rho_min)
    clipped = rule(Ball.number(sigma2), Ball.number(rho_min), Ball)
    ess = enclosed_ess(sigma2, flint.arb(1))
    answers.append(certified.agree([clipped], [flint.arb(1)], witnesses=[witness]))
    answers.append(certified.compare(ess, ">", Ball.number(rho_min), witness=witness))
    return all_of(answers)


@cache
def hermite() -> tuple[Any, Any]:
    """Nodes and log weights of 90-point Gauss quadrature for the standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(90)
    module = neural.torch()
    return module.from_numpy(nodes), module.from_numpy(np.log(weights / weights.sum()))


@ABS_4.neural(Scope("two pairs of sigma2 and rho_min"))
def _(rule: Any) -> Answer:
    """ESS/n by Gauss quadrature is rho_min, and the rule's slope in rho_min is its inverse's."""
    nodes, log_weights = hermite()

    def inverse(sigma2: Fraction, rho_min: Fraction) -> Answer:
        s, rho = neural.tensor(sigma2), neural.tensor(rho_min)
        log_w = s.sqrt() * nodes - s / 2

        def ess(gamma: Any) -> Any:
            first = (log_weights + gamma * log_w).logsumexp(0)
            return (2 * first - (log_weights + 2 * gamma * log_w).logsumexp(0)).exp()

        gamma = rule(s, rho, Tensor)
        slope = neural.gradient(lambda x: rule(s, x, Tensor), rho)
        found = [ess(gamma), slope * neural.gradient(ess, gamma)]
        return neural.close(found, [rho, 1], witness=Witness.at(sigma2=sigma2, rho_min=rho_min))

    return all_of([inverse(Fraction(3), Fraction(1, 5)), inverse(Fraction(2), Fraction(4, 5))])


@ABS_4.sampled(Scope("sigma2 = 1, rho_min = 1/2"), resolution=0.06, looks=4)
def _(rule: Any, trial: Trial) -> Answer:
    """ESS/n of a Gaussian shift is above rho_min at 5/6 of the rule's gamma, below it at 7/6."""
    law, rho_min = GaussianShift(Fraction(1)), 0.5
    witness = Witness.at(sigma2=1, rho_min="1/2")
    gamma = rule(1.0, rho_min, Real)

    def ess(at: float) -> Any:
        first = trial.mean(f"first moment at {at}", *law.power(at), resolution=0.02)
        second = trial.mean(f"second moment at {at}", *law.power(2 * at))
        return first * first / second

    return all_of(
        [
            trial.above(ess(gamma * 5 / 6), rho_min, witness=witness),
            trial.below(ess(gamma * 7 / 6), rho_min, witness=witness),
        ]
    )


@ABS_4.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    rho_min = Ball.number("1/2")
    gamma = rule(log_variance(model), rho_min, Ball)
    witness = named(model, rho_min=Fraction(1, 2))
    # ESS/n never rises in gamma, so the largest gamma is the one at which it meets rho_min, or 1.
    if gamma == 1:
        return certified.compare(ess(model, gamma), ">=", rho_min, witness=witness)
    return certified.agree([ess(model, gamma)], [rho_min], witnesses=[witness])


ABS_4.meaningless_without(VALID_RULE, NO_RULE)


@ABS_4.wrong("the standard deviation for the variance")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / m.sqrt(sigma2)))


@ABS_4.wrong("twice the log-variance")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / (2 * sigma2)))


@ABS_4.wrong("no square root")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / sigma2)


CLAIMS = frozen(ABS_4)

"""Past section 8: what the rule's monitor shows where training rests.

There the weights that are used, w^gamma r, are proportional to w itself, so that their ESS is that
of plain importance sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, NONNEGATIVE_REWARD, VALID_RULE
from isr_theory.claims.enumerated import enumerated_gradient, witness_of
from isr_theory.claims.x04_1_projection import RHO, radius
from isr_theory.claims.x04_2_rest import rest_of_three_arms
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import (
    FOUR_ARMS,
    THREE_ARMS,
    Finite,
)

R, Z, C, D, V1, V2 = sympy.symbols("r Z c d v1 v2", positive=True)


def gamma_at_rest(slope: Number, rho_min: Number, m: Arithmetic) -> Number:
    """Return the rule's gamma at rest for mu = N(0, 1), r = e^(b y): sqrt(L)/(sqrt(L) + b)."""
    return radius(rho_min, m) / (radius(rho_min, m) + slope)


MONITOR = Draft(
    "DYN.monitor",
    section="beyond",
    kind=Kind.REMARK,
    title=Text("The trainer's ESS stays at rho_min", "训练器的 ESS 保持在 ρ_min"),
    finding=Text(
        "False even for log-normal weights: at rest, with r = e^(y/2) and rho_min = 3/10, the"
        " weights w^gamma r that are used have ESS/n = 0.078.",
        "即使对数正态也不成立：r = e^{y/2}、ρ_min = 3/10 时，静止时 w^γ r 的 ESS/n 仅 0.078。",
    ),
    statement=r"\mathrm{ESS}(w^{\gamma_\infty} r)/n \ge \rho_{\min}"
    r"\ \text{at the policy where training rests}",
    subject=gamma_at_rest,
    expect=Verdict.REFUTED,
    assumes=(LOGNORMAL, VALID_RULE),
    uses=("DYN.fixed", "T8.3.a"),
    sharpens=("T8.3.a", "LST12.1.ess"),
    source="new here",
    reading="the trainer of section 12.1 reports the ESS of w^gamma, which the rule holds at "
    "rho_min, while its loss weighs samples by w^gamma r; for mu = N(0, 1), pi = N(theta, 1) and r "
    "= e^(by) training at a gamma below 1 rests at theta = b/(1 - gamma)",
)
AT_REST = Witness.at(mu="N(0, 1)", b="1/2", rho_min=RHO)


@MONITOR.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Both moments of w^gamma r by integrating the Gaussian density."""
    slope, rho_min = sympy.Rational(1, 2), Exact.number(RHO)
    y, load = sympy.symbols("y k", real=True)
    density = sympy.exp(-(y**2) / 2) / sympy.sqrt(2 * sympy.pi)
    once = sympy.integrate(sympy.exp(load * y) * density, (y, -sympy.oo, sympy.oo))
    gamma = sympy.N(rule(slope, rho_min, Exact), 60)
    theta = slope / (1 - gamma)
    # w^gamma r = e^(theta y - gamma theta^2/2), as gamma theta + b = theta; the constant cancels.
    first, second = (once.subs(load, j * theta) for j in (1, 2))
    return symbolic.compare(first**2 / second, ">=", rho_min, witness=AT_REST)


@MONITOR.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Both moments of w^gamma r by quadrature."""
    slope, rho_min = Ball.number("1/2"), Ball.number(RHO)
    gamma = rule(slope, rho_min, Ball)
    theta = slope / (1 - gamma)

    def moment(j: int) -> Any:
        # gamma theta + b = theta is below 2.
        return certified.gaussian_expectation(
            lambda y: (j * (gamma * (theta * y - theta * theta / 2) + slope * y)).exp(), growth=4
        )

    first = moment(1)
    # What is left of rho_min where the two are equal is a rounding error.
    slack = Ball.number(Fraction(1, 10**30))
    return certified.compare(
        first * first / moment(2), ">=", rho_min * (1 - slack), witness=AT_REST
    )


@MONITOR.right("gamma = 1 - b/sqrt(L), which holds the ESS of w^gamma r")
def _(slope: Any, rho_min: Any, m: Any) -> Any:
    return 1 - slope / radius(rho_min, m)


def ess_at_rest(mu: Sequence[Number], reward: Sequence[Number], gamma: Number, m: Any) -> Number:
    """Return E_mu[r^e]^2 / E_mu[r^(2 e)], e = 1/(1-gamma): 1/E_mu[w^2] at the policy mu r^e."""
    first, second = (
        sum(a * m.power(r, k / (1 - gamma)) for a, r in zip(mu, reward, strict=True))
        for k in (1, 2)
    )
    return first * first / second


REPORTED = Draft(
    "DYN.reported",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The ESS that is really used, at rest", "静止点处真正使用的 ESS"),
    finding=Text(
        "At rest w^gamma r is a constant times w, whatever gamma < 1 is, so that the ESS really"
        " used is that of full importance sampling, 1/E_mu[w^2]: tempering saves nothing there.",
        "静止处 w^γ r ∝ w（任意 γ < 1），故实际 ESS 即完整重要性采样的 1/E_μ[w²]，退火毫无节省。",
    ),
    statement=r"\pi \propto \mu r^{1/(1-\gamma)}\ \Rightarrow\ w^\gamma r = Z^{1-\gamma} w,\quad"
    r" \frac{\mathrm{ESS}(w^\gamma r)}{n} = \frac{1}{\mathbb{E}_\mu[w^2]}"
    r" = \frac{\mathbb{E}_\mu[r^{1/(1-\gamma)}]^2}{\mathbb{E}_\mu[r^{2/(1-\gamma)}]}",
    subject=ess_at_rest,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T4.2.a", "DYN.fixed"),
    amends=("DYN.monitor",),
    sharpens=("T8.3.a", "LST12.1.ess", "TAB13.3.4.fix"),
    source="new here",
    reading="0 <= gamma < 1; the population ESS/n of the products w^gamma r, as in Definition 8.1;"
    " for the rule's own gamma and normal laws it is e^(-(b + sqrt(L))^2)",
)


@REPORTED.symbolic(Scope("every mu, r >= 0 and gamma < 1: outcome by outcome", whole=True))
def _(used: Any) -> Answer:
    """Both w^gamma r and w at a general outcome; the subject from two free moments."""
    gap = sympy.Symbol("g", positive=True)
    w = R ** (1 / gap) / Z
    flat = sympy.log(w ** (1 - gap) * R) - sympy.log(Z**gap * w)
    # Two outcomes with r^(1/g) = c and d: the subject is (E x)^2/E x^2 of x = r^(1/g).
    two = used([V1, V2], [C**gap, D**gap], 1 - gap, Exact)
    # Where r = 0 both sides are 0.
    none = used([V1, V2], [C**gap, sympy.Integer(0)], 1 - gap, Exact)
    return all_of(
        [
            symbolic.equal(sympy.expand_log(flat, force=True), 0),
            symbolic.equal(two, (V1 * C + V2 * D) ** 2 / (V1 * C**2 + V2 * D**2)),
            symbolic.equal(none, V1),
        ]
    )


GAMMAS = [Fraction(g) for g in ("0", "1/2", "9/10")]


def used_at_rest(used: Any, law: Finite, gamma: Fraction) -> Answer:
    """Compare the subject with the ESS of w^gamma r and with 1/E[w^2], by summing."""
    exponent = Fraction(1) / (1 - gamma)
    mu, _, reward = law.numbers(Ball)
    # r^e for an integer e needs no logarithm.
    power = [Ball.number(r ** int(exponent)) for r in law.reward]
    total = sum(a * p for a, p in zip(mu, power, strict=True))
    w = [p / total for p in power]
    weights = [Ball.power(x, Ball.number(gamma)) * r for x, r in zip(w, reward, strict=True)]
    first = sum(a * u for a, u in zip(mu, weights, strict=True))
    second = sum(a * u * u for a, u in zip(mu, weights, strict=True))
    plain = 1 / sum(a * x * x for a, x in zip(mu, w, strict=True))
    said = used(mu, reward, Ball.number(gamma), Ball)
    at = witness_of(law, gamma=gamma)
    return certified.agree([said, said], [first * first / second, plain], witnesses=[at, at])


@REPORTED.certified(Scope("three and four outcomes, one without reward, three gammas"))
def _(used: Any) -> Answer:
    """The weights w^gamma r summed at the fixed point, and those of w."""
    unpaid = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "0 2 4")
    return all_of(
        used_at_rest(used, law, gamma)
        for law in (THREE_ARMS, FOUR_ARMS, unpaid)
        for gamma in GAMMAS
    )


@REPORTED.neural(Scope("three and four outcomes, gamma = 1/2"))
def _(used: Any) -> Answer:
    """The trainer's softmax weights times the reward, where autograd finds the gradient flat."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, _, reward = law.numbers(Exact)
        pi = formulas.normalised([a * r**2 for a, r in zip(mu, reward, strict=True)])
        at = witness_of(law, gamma=Fraction(1, 2))
        here = Finite(law.mu, tuple(Fraction(str(p)) for p in pi), law.reward)
        weights = neural.tensor(law.mu), neural.tensor(law.reward)
        level = neural.tensor(here.log_w().tolist())
        # Every outcome occurs in the batch in proportion to mu.
        batch = (weights[0].log() + level / 2).softmax(0) / weights[0] * weights[1]
        first, second = ((weights[0] * batch**k).sum() for k in (1, 2))
        said = used(*weights, neural.tensor(Fraction(1, 2)), Tensor)
        answers.append(
            neural.close(enumerated_gradient(here, Fraction(1, 2)), [0] * len(mu), witness=at)
        )
        answers.append(neural.close([said], [first**2 / second], witness=at))
    return all_of(answers)


@REPORTED.without(NONNEGATIVE_REWARD)
def _(used: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Exact)
    # At gamma = 1/2 w is proportional to r^2, so w^gamma r to |r| r.
    weights = [abs(r) * r for r in reward]
    first, second = (sum(a * u**k for a, u in zip(mu, weights, strict=True)) for k in (1, 2))
    said = used(mu, reward, sympy.Rational(1, 2), Exact)
    at = witness_of(law, gamma=Fraction(1, 2))
    return symbolic.compare(said, "==", first**2 / second, witness=at)


@REPORTED.wrong("what the trainer reports: the ESS of w^gamma alone")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    first, second = (
        sum(a * m.power(r, k * gamma / (1 - gamma)) for a, r in zip(mu, reward, strict=True))
        for k in (1, 2)
    )
    return first * first / second


@REPORTED.wrong("the exponent 1/gamma")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return ess_at_rest(mu, reward, 1 - gamma, m) if gamma != 0 else ess_at_rest(mu, reward, 0, m)


@REPORTED.wrong("the ESS of the rewards")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return ess_at_rest(mu, reward, 0 * gamma, m)


@REPORTED.wrong("the first moment not squared")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = list(zip(mu, reward, strict=True))
    first, second = (sum(a * m.power(r, k / (1 - gamma)) for a, r in rows) for k in (1, 2))
    return first / second


@REPORTED.number("the ESS used at rest, mu = N(0, 1), r = e^(y/2), rho_min = 3/10")
def _() -> str:
    theta = Ball.number("1/2") + radius(Ball.number(RHO), Ball)
    return certified.digits(Ball.exp(-theta * theta))


@REPORTED.number("the ESS used at rest, mu = (3/5, 3/10, 1/10), r = (1, 2, 4), rho_min = 3/10")
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Ball)
    return certified.digits(ess_at_rest(mu, reward, rest_of_three_arms()[0].gamma, Ball))


CLAIMS = frozen(MONITOR, REPORTED)

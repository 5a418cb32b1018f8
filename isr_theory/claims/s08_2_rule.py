"""Section 8.2: the closed form for gamma, and what it promises.

If log w is normal, min(1, sqrt(-log rho_min / sigma2)) is the largest gamma that keeps the
population ESS/n above rho_min. Where it is not, the form gives no guarantee at all.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, NO_RULE, VALID_RULE
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.claims.s08_1_ess import GAMMA, SIGMA2, enclosed_ess, enclosed_ess_at, integrated_ess
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import ExponentialRate, GaussianShift

C = sympy.symbols("c", positive=True)

T8_3_A = Draft(
    "T8.3.a",
    section="8.2",
    kind=Kind.OPTIMUM,
    title=Text("The closed form for gamma, log-normal weights", "对数正态下 γ* 的闭式"),
    finding=Text(
        "It is the largest gamma in [0, 1] whose population ESS/n is at least rho_min.",
        "它是 [0, 1] 中使总体 ESS/n 不小于 ρ_min 的最大 γ。",
    ),
    statement=r"\gamma^* = \min\bigl(1, \sqrt{-\log\rho_{\min}/\sigma^2}\bigr)",
    subject=formulas.gamma_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL, VALID_RULE),
    uses=("T8.2",),
    reading="'optimal' is the printed proof's: the largest gamma with population ESS/n >= rho_min",
)


@T8_3_A.symbolic(Scope("every sigma2 > 0 and 0 < rho_min < 1, log-normal model", whole=True))
def _(rule: Any) -> Answer:
    """With rho_min = e^(-sigma2 c^2), ESS decreases in gamma and meets rho_min at c."""
    rho_min = sympy.exp(-SIGMA2 * C**2)
    both_sides_of_the_clip = [{SIGMA2: 2, C: 3}, {SIGMA2: 5, C: sympy.Rational(1, 3)}]
    return all_of(
        [
            symbolic.positive(-sympy.diff(sympy.log(integrated_ess()), GAMMA)),
            symbolic.equal(integrated_ess().subs(GAMMA, C), rho_min),
            symbolic.equal(
                rule(SIGMA2, rho_min, Exact), sympy.Min(1, C), points=both_sides_of_the_clip
            ),
        ]
    )


@T8_3_A.certified(Scope("two pairs of sigma2 and rho_min, and one where gamma is clipped at 1"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature at the rule's gamma is rho_min, or more where gamma is 1."""
    answers = []
    for sigma2, rho_min in ((Fraction(4), Fraction(3, 10)), (Fraction(9), Fraction(4, 5))):
        witness = Witness.at(sigma2=sigma2, rho_min=rho_min)
        gamma = rule(Ball.number(sigma2), Ball.number(rho_min), Ball)
        ess = enclosed_ess_at(sigma2, gamma)
        answers.append(certified.agree([ess], [Ball.number(rho_min)], witnesses=[witness]))
    small, rho_min = Fraction(1, 2), Fraction(3, 10)
    witness = Witness.at(sigma2=small, rho_min=rho_min)
    gamma = rule(Ball.number(small), Ball.number(rho_min), Ball)
    answers.append(certified.agree([gamma], [Ball.number(1)], witnesses=[witness]))
    enough = certified.compare(
        enclosed_ess(small, Fraction(1)), ">", Ball.number(rho_min), witness=witness
    )
    return all_of([*answers, enough])


@T8_3_A.sampled(Scope("sigma2 = 4, rho_min = 4/5"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """ESS/n of a Gaussian shift at the rule's gamma, from bounded statistics."""
    sigma2, rho_min = Fraction(4), Fraction(4, 5)
    gamma = rule(float(sigma2), float(rho_min), Real)
    law = GaussianShift(sigma2)
    # The label carries gamma: a wrong rule asks for other moments than the true one.
    first = trial.mean(f"first moment at {gamma}", *law.power(gamma), resolution=0.02)
    second = trial.mean(f"second moment at {gamma}", *law.power(2 * gamma), resolution=0.02)
    return trial.agrees(
        first * first / second, float(rho_min), witness=Witness.at(sigma2=4, rho_min=rho_min)
    )


@T8_3_A.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    rho_min = Ball.number("3/10")
    gamma = rule(log_variance(model), rho_min, Ball)
    reached, witness = ess(model, gamma), named(model, rho_min=Fraction(3, 10))
    if gamma == 1:
        return certified.compare(reached, ">=", rho_min, witness=witness)
    return certified.agree([reached], [rho_min], witnesses=[witness])


T8_3_A.meaningless_without(VALID_RULE, NO_RULE)


@T8_3_A.wrong("no square root")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / sigma2)


@T8_3_A.wrong("twice the target's logarithm")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-2 * m.log(rho_min) / sigma2))


@T8_3_A.wrong("no clip at 1")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / sigma2)


@T8_3_A.number("gamma* at sigma2 = 4, rho_min = 3/10")
def _() -> str:
    rule = formulas.gamma_lognormal(Ball.number(4), Ball.number("3/10"), Ball)
    return certified.digits(rule)


T8_3_B = Draft(
    "T8.3.b",
    section="8.2",
    kind=Kind.OPTIMUM,
    title=Text("The closed form as a guarantee for any weights", "闭式 γ* 对任意权重的保证"),
    finding=Text(
        "Without log-normality there is no guarantee: the population ESS at gamma* can be 0.",
        "若 log w 非正态则无任何保证：γ* 处的总体 ESS 可以为 0。",
    ),
    statement=r"\mathrm{ESS}_{\gamma^*}/n \ge \rho_{\min}\ \text{for every law of } w",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It starts from the ESS of log-normal weights, which neither the theorem nor the "
        "algorithm assumes.",
        "证明从对数正态权重的 ESS 出发，而定理与算法都未作此假设。",
    ),
    assumes=(VALID_RULE,),
    uses=("T8.2",),
    reading="8.3 says that the rule needs nothing but the batch, so it is read without A7.3",
)
# mu = Exp(1), pi = Exp(2/5): w = 2/5 e^(3x/5), so Var(log w) = 9/25 and E[w^2] is infinite.
HEAVY_TAIL = Witness.at(mu="Exp(1)", pi="Exp(2/5)", rho_min=Fraction(3, 10))


@T8_3_B.symbolic(Scope("the one law of the witness"))
def _(rule: Any) -> Answer:
    """The second moment is a divergent integral, so ESS/n at the rule's gamma is 0."""
    x = sympy.symbols("x", positive=True)
    w = sympy.Rational(2, 5) * sympy.exp(sympy.Rational(3, 5) * x)
    rho_min = sympy.Rational(3, 10)
    log_w, density = sympy.expand_log(sympy.log(w)), sympy.exp(-x)
    mean = sympy.integrate(log_w * density, (x, 0, sympy.oo))
    sigma2 = sympy.integrate((log_w - mean) ** 2 * density, (x, 0, sympy.oo))
    gamma = rule(sympy.nsimplify(sigma2), rho_min, Exact)
    first = sympy.integrate(sympy.powsimp(w**gamma * density), (x, 0, sympy.oo))
    second = sympy.integrate(sympy.powsimp(w ** (2 * gamma) * density), (x, 0, sympy.oo))
    return symbolic.compare(first**2 / second, ">=", rho_min, witness=HEAVY_TAIL)


@T8_3_B.certified(Scope("the one law of the witness"))
def _(rule: Any) -> Answer:
    """E[w^gamma]^2 / E[w^(2 gamma); x <= 20] is already below rho_min."""
    rho_min = Ball.number("3/10")
    gamma = rule(Ball.number("9/25"), rho_min, Ball)
    weight, slope = Ball.number("2/5"), Ball.number("3/5")

    def moment_until(edge: int, t: Any) -> Any:
        # integral of (2/5)^t e^((3t/5 - 1) x) over [0, edge], in closed form
        rate = slope * t - 1
        return Ball.power(weight, t) * (Ball.exp(rate * edge) - 1) / rate

    # By Jensen E[w^gamma] <= E[w]^gamma = 1, and cutting the second moment only raises the ratio.
    return certified.compare(1 / moment_until(20, 2 * gamma), ">=", rho_min, witness=HEAVY_TAIL)


@T8_3_B.margin(
    spaces.finite(2, rho_min=("1/20", "19/20")), spaces.exponential(rho_min=("1/20", "19/20"))
)
def _(rule: Any, case: Any, m: Any) -> Any:
    rho_min = m.number(case["rho_min"])
    if isinstance(case.model, ExponentialRate):
        gamma = rule(m.number(case.model.log_variance()), rho_min, m)
        if 2 * float(gamma) * float(1 - case.model.rate) >= 1:
            return -rho_min
        first, second = (case.model.moment(k * gamma, m) for k in (1, 2))
        return first * first / second - rho_min
    mu, pi, _ = case.model.numbers(m)
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    sigma2 = sum(a * (x - mean) * (x - mean) for a, x in zip(mu, level, strict=True))
    gamma = rule(sigma2, rho_min, m)
    first, second = (
        sum(a * m.power(b / a, k * gamma) for a, b in zip(mu, pi, strict=True)) for k in (1, 2)
    )
    return first * first / second - rho_min


@T8_3_B.right("the exact gamma of an exponential law")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    s = m.sqrt(1 - rho_min)
    # sigma2 = (1 - rate)^2: ESS/n is rho_min at s / ((1 + s) (1 - rate)).
    return m.minimum(m.number(1), s / ((1 + s) * m.sqrt(sigma2)))


CLAIMS = frozen(T8_3_A, T8_3_B)

"""Section 9.1: gamma where the reward is a factor, and where the printed rule is exact.

    ESS(w^gamma r)/n = ESS(w^gamma)/n / (1 + CV(r)^2),   r independent of w

so a raw reward costs its squared variation, with no temperature in it. The printed rule belongs to
(w e^(r/tau))^gamma, whose reward gamma flattens as well.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import (
    INDEPENDENT_REWARD,
    LOGNORMAL,
    NO_RULE,
    NONNEGATIVE_REWARD,
    VALID_RULE,
)
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.claims.jointly_normal import (
    GAMMA,
    JOINTLY_NORMAL,
    REWARD2,
    SIGMA2,
    C,
    Listed,
    Loads,
    Rewarded,
    drawn_ess,
    enclosed_ess,
    ess_at,
    integrated_ess,
    is_largest,
    loads,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import Finite, GaussianShift, drawn_fraction, fractions

RHO = Fraction(3, 10)
CV2 = sympy.symbols("k", nonnegative=True)
BINARY = (fractions("0 1"), fractions("1/2 1/2"))
"""A reward's values and their chances."""
GRADED = (fractions("1 2 3"), fractions("1/2 3/10 1/5"))

ROOM_FOR_FACTOR = Assumption(
    "room_for_factor",
    Text(
        "gamma = 0 meets the target with room: (1 + CV(r)^2) rho_min < 1.",
        "γ = 0 严格满足目标：(1 + CV(r)²) ρ_min < 1。",
    ),
    lambda pair: 0 < (1 + pair[0]) * pair[1] < 1,
    examples=((Fraction(1), RHO),),
    violations=((Fraction(3), RHO),),
    draw=lambda rng: (drawn_fraction(rng, "0", "2"), drawn_fraction(rng, "0", "1/3")),
)


def plain(gamma: Any, sigma2: Any, m: Any) -> Loads:
    """Return the loads of w^gamma alone."""
    return loads(gamma, sigma2, m.number(0), m.number(0), m)


def share_kept(reward: Any, m: Any) -> Any:
    """E[r]^2 / E[r^2], outcome by outcome: what is left of ESS where r is independent of w."""
    values, chances = ([m.number(x) for x in row] for row in reward)
    first = sum(p * r for r, p in zip(values, chances, strict=True))
    return first * first / sum(p * r * r for r, p in zip(values, chances, strict=True))


def drawn_share(trial: Trial, law: GaussianShift, gamma: float, reward: Any) -> Any:
    """ESS/n of w^gamma r from sampled means of both, w from a mixture that bounds it."""
    values, chances = (np.array([float(x) for x in row]) for row in reward)

    def mean(k: int) -> Any:
        power = law.power(k * gamma)
        high = power.high * float(values.max()) ** k
        return trial.mean(
            f"{k} of {gamma}",
            lambda rng, n: power.draw(rng, n) * rng.choice(values, size=n, p=chances) ** k,
            0.0,
            high,
            resolution=0.01 * high,
        )

    once = mean(1)
    return once * once / mean(2)


T9_1_B = Draft(
    "T9.1.b",
    section="9.1",
    kind=Kind.OPTIMUM,
    title=Text("The reward-adjusted gamma for weights w^γ r", "奖励调整的 γ：权重 w^γ r"),
    finding=Text(
        "It misses its target: for r = 0 or 1 with chance 1/2, independent of w, at σ² = 4 and"
        " τ = 1, ESS/n is 0.161, not 0.3.",
        "达不到目标：r 以 1/2 概率取 0 或 1 且与 w 独立，σ² = 4、τ = 1 时 ESS/n 为 0.161，"
        "不足 0.3。",
    ),
    statement=r"\gamma^*_r = \min\Bigl(1, \sqrt{\tfrac{-\log\rho_{\min}}"
    r"{\sigma^2+\sigma_r^2/\tau^2}}\Bigr)\ \Rightarrow\ "
    r"\mathrm{ESS}(w^{\gamma^*_r} r)/n \ge \rho_{\min}",
    subject=formulas.gamma_reward_printed,
    expect=Verdict.REFUTED,
    assumes=(LOGNORMAL, INDEPENDENT_REWARD, NONNEGATIVE_REWARD, VALID_RULE),
    uses=("D4.1", "T8.2"),
    reading="the weights of Definition 4.1, in which r is a factor and no temperature occurs",
)
HALF_ZERO = Witness.at(sigma2=4, reward=BINARY[0], chances=BINARY[1], tau=1, rho_min=RHO)


@T9_1_B.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Gaussian integrals for w, two outcomes for r."""
    rho_min = Exact.number(RHO)
    # Var(r) = 1/4 and tau = 1.
    gamma = rule(sympy.Integer(4), sympy.Rational(1, 4), rho_min, Exact)
    ess = integrated_ess(plain(gamma, sympy.Integer(4), Exact)) * share_kept(BINARY, Exact)
    return symbolic.compare(ess, ">=", rho_min, witness=HALF_ZERO)


@T9_1_B.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Rigorous quadrature for w, two outcomes for r."""
    sigma2, rho_min = Ball.number(4), Ball.number(RHO)
    gamma = rule(sigma2, Ball.number("1/4"), rho_min, Ball)
    ess = enclosed_ess(plain(gamma, sigma2, Ball)) * share_kept(BINARY, Ball)
    return certified.compare(ess, ">=", rho_min, witness=HALF_ZERO)


@T9_1_B.sampled(Scope("the witness"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments of the products, w and r drawn together."""
    gamma = rule(4.0, 0.25, float(RHO), Real)
    ess = drawn_share(trial, GaussianShift(Fraction(4)), gamma, BINARY)
    return trial.above(ess, float(RHO), witness=HALF_ZERO)


@T9_1_B.right("as amended, E[r] = 1/2")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_multiplicative(sigma2, 4 * reward2, rho_min, m)


@T9_1_B.right("gamma = 0")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.number(0)


T9_1_B_FIX = Draft(
    "T9.1.b.fix",
    section="9.1",
    kind=Kind.OPTIMUM,
    title=Text("The gamma that an independent factor r leaves", "独立乘性奖励下的正确 γ"),
    finding=Text(
        "ESS/n of w^γ r is that of w^γ over 1 + CV(r)², so log(1 + CV(r)²) comes off −log ρ_min;"
        " τ plays no part.",
        "w^γ r 的 ESS/n 为 w^γ 的 ESS/n 除以 1 + CV(r)²，故应从 −log ρ_min 中扣除 log(1 + CV(r)²)，"
        "与 τ 无关。",
    ),
    statement=r"\gamma^* = \min\Bigl(1, \sqrt{\tfrac{-\log\rho_{\min}"
    r" - \log(1+\mathrm{CV}(r)^2)}{\sigma^2}}\Bigr)",
    subject=formulas.gamma_multiplicative,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, INDEPENDENT_REWARD, VALID_RULE, ROOM_FOR_FACTOR),
    uses=("T8.2", "D4.1"),
    amends=("T9.1.b",),
    reading="CV(r)^2 = Var(r)/E[r]^2, E[r] is not 0, r of either sign; the largest gamma in [0, 1] "
    "with population ESS/n of w^gamma r, E[u]^2/E[u^2] for weights u, at least rho_min",
)


@T9_1_B_FIX.symbolic(
    Scope("every sigma2, every r by its mean and CV, every rho_min with room", whole=True)
)
def _(rule: Any) -> Answer:
    """Moments of independent factors multiply; ESS falls in gamma and meets rho_min at c."""
    mean = sympy.symbols("m", real=True, nonzero=True)
    ess = integrated_ess(plain(GAMMA, SIGMA2, Exact)) * mean**2 / (mean**2 + CV2 * mean**2)
    rho_min = sympy.exp(-SIGMA2 * C**2) / (1 + CV2)
    both_sides_of_the_clip = [
        {SIGMA2: 2, C: 3, CV2: 1},
        {SIGMA2: 5, C: sympy.Rational(1, 3), CV2: sympy.Rational(1, 2)},
    ]
    return all_of(
        [
            symbolic.positive(-sympy.simplify(sympy.diff(sympy.log(ess), GAMMA))),
            symbolic.equal(ess.subs(GAMMA, C), rho_min),
            symbolic.equal(
                rule(SIGMA2, CV2, rho_min, Exact),
                sympy.Min(1, C),
                points=both_sides_of_the_clip,
                reduce=lambda d: sympy.simplify(sympy.expand_log(d, force=True)),
            ),
        ]
    )


@T9_1_B_FIX.certified(Scope("two rewards at sigma2 = 4, and one clipped at sigma2 = 1/10"))
def _(rule: Any) -> Answer:
    """Quadrature for w, outcomes for r: ESS/n at the rule's gamma is rho_min, or more at 1."""
    target = Ball.number(RHO)
    answers = []
    for text, reward, clipped in (
        ("4", BINARY, False),
        ("4", GRADED, False),
        ("1/10", BINARY, True),
    ):
        at = Witness.at(sigma2=text, reward=reward[0], chances=reward[1], rho_min=RHO)
        sigma2, kept = Ball.number(text), share_kept(reward, Ball)
        # 1 + CV^2 = E[r^2]/E[r]^2.
        gamma = rule(sigma2, 1 / kept - 1, target, Ball)
        ess = enclosed_ess(plain(gamma, sigma2, Ball)) * kept
        if clipped:
            answers.append(certified.agree([gamma], [Ball.number(1)], witnesses=[at]))
            answers.append(certified.compare(ess, ">", target, witness=at))
        else:
            answers.append(certified.agree([ess], [target], witnesses=[at]))
    return all_of(answers)


@T9_1_B_FIX.sampled(Scope("sigma2 = 2, r = 1, 2 or 3"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments of the products at the rule's gamma, w and r drawn together."""
    # E[r] = 17/10 and E[r^2] = 35/10.
    gamma = rule(2.0, 3.5 / 2.89 - 1, float(RHO), Real)
    ess = drawn_share(trial, GaussianShift(Fraction(2)), gamma, GRADED)
    at = Witness.at(sigma2=2, reward=GRADED[0], chances=GRADED[1], rho_min=RHO)
    return trial.agrees(ess, float(RHO), witness=at)


@T9_1_B_FIX.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    rho_min, kept = Ball.number(RHO), share_kept(GRADED, Ball)
    gamma = rule(log_variance(model), 1 / kept - 1, rho_min, Ball)
    return is_largest(gamma, ess(model, gamma) * kept, rho_min, named(model, r=GRADED))


@T9_1_B_FIX.without(INDEPENDENT_REWARD)
def _(rule: Any, cov: Fraction) -> Answer:
    # r = e^R with R normal: a factor with CV^2 = e^Var(R) - 1.
    case = Rewarded(Fraction(4), cov, Fraction(1, 2), RHO)
    sigma2, _, reward2, rho_min = case.numbers(Ball)
    gamma = rule(sigma2, Ball.exp(reward2) - 1, rho_min, Ball)
    return is_largest(gamma, ess_at(case, gamma, Ball.number(1)), rho_min, case.witness())


T9_1_B_FIX.meaningless_without(VALID_RULE, NO_RULE)
T9_1_B_FIX.meaningless_without(
    ROOM_FOR_FACTOR,
    "even gamma = 0 misses the target, and the rule asks for the root of a negative number",
)


@T9_1_B_FIX.wrong("variation added to sigma2, as printed")
def _(sigma2: Any, cv2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward_printed(sigma2, cv2, rho_min, m)


@T9_1_B_FIX.wrong("CV^2 itself for log(1 + CV^2)")
def _(sigma2: Any, cv2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt((-m.log(rho_min) - cv2) / sigma2))


@T9_1_B_FIX.wrong("the reward left out")
def _(sigma2: Any, cv2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_lognormal(sigma2, rho_min, m)


@T9_1_B_FIX.wrong("half the logarithm")
def _(sigma2: Any, cv2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt((-m.log(rho_min) - m.log(1 + cv2) / 2) / sigma2))


@T9_1_B_FIX.number("gamma* at sigma2 = 4, r = 0 or 1 with chance 1/2, rho_min = 3/10")
def _() -> str:
    numbers = (Ball.number(4), Ball.number(1), Ball.number(RHO))
    return certified.digits(formulas.gamma_multiplicative(*numbers, Ball))


T9_1_C = Draft(
    "T9.1.c",
    section="9.1",
    kind=Kind.OPTIMUM,
    title=Text(
        "Where the printed rule is exact: (w e^(r/τ))^γ", "原文公式精确成立的情形：(w e^(r/τ))^γ"
    ),
    finding=Text(
        "It is the largest γ with ESS/n ≥ ρ_min for weights (w e^(r/τ))^γ, r normal and independent"
        " of w: the reward is flattened too.",
        "对权重 (w e^(r/τ))^γ（r 正态且与 w 独立），它正是使 ESS/n ≥ ρ_min 的最大 γ："
        "奖励也被整形。",
    ),
    statement=r"\gamma^*_r = \min\Bigl(1, \sqrt{\tfrac{-\log\rho_{\min}}"
    r"{\sigma^2+\sigma_r^2/\tau^2}}\Bigr)\ \text{for weights } (w e^{r/\tau})^\gamma",
    subject=formulas.gamma_reward_printed,
    expect=Verdict.VERIFIED,
    assumes=(JOINTLY_NORMAL, INDEPENDENT_REWARD, VALID_RULE),
    uses=("T8.2", "T8.3.a"),
    reading="the one reading found under which the printed formula is exact; with a covariance, "
    "Var(log w + R/tau) takes the place of the sum",
)


@T9_1_C.symbolic(Scope("every sigma2, reward2 and rho_min", whole=True))
def _(rule: Any) -> Answer:
    """ESS by Gaussian integrals falls in gamma and meets rho_min at c."""
    weight = loads(sympy.Integer(1), SIGMA2, sympy.Integer(0), REWARD2, Exact).times(GAMMA)
    ess = sympy.simplify(integrated_ess(weight))
    rho_min = sympy.exp(-(SIGMA2 + REWARD2) * C**2)
    both_sides_of_the_clip = [
        {SIGMA2: 2, REWARD2: 1, C: 3},
        {SIGMA2: 5, REWARD2: sympy.Rational(1, 4), C: sympy.Rational(1, 3)},
    ]
    return all_of(
        [
            symbolic.positive(-sympy.simplify(sympy.diff(sympy.log(ess), GAMMA))),
            symbolic.equal(ess.subs(GAMMA, C), rho_min),
            symbolic.equal(
                rule(SIGMA2, REWARD2, rho_min, Exact),
                sympy.Min(1, C),
                points=both_sides_of_the_clip,
            ),
        ]
    )


# The last is clipped at 1.
TEMPERED = [Rewarded.of(s, "0", r, "3/10") for s, r in (("4", "1"), ("2", "1/2"), ("1/2", "1/4"))]


@T9_1_C.certified(Scope("two pairs of variances, and one where gamma is 1"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature at the rule's gamma is rho_min, or more where gamma is 1."""
    answers = []
    for case in TEMPERED:
        sigma2, cov, reward2, rho_min = case.numbers(Ball)
        gamma = rule(sigma2, reward2, rho_min, Ball)
        ess = enclosed_ess(loads(Ball.number(1), sigma2, cov, reward2, Ball).times(gamma))
        if case is TEMPERED[-1]:
            answers.append(certified.agree([gamma], [Ball.number(1)], witnesses=[case.witness()]))
            answers.append(certified.compare(ess, ">", rho_min, witness=case.witness()))
        else:
            answers.append(certified.agree([ess], [rho_min], witnesses=[case.witness()]))
    return all_of(answers)


@T9_1_C.sampled(Scope("sigma2 = 4, reward2 = 1, rho_min = 3/10"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals, at the rule's gamma."""
    sigma2, cov, reward2, rho_min = TEMPERED[0].numbers(Real)
    weight = loads(1.0, sigma2, cov, reward2, Real).times(rule(sigma2, reward2, rho_min, Real))
    ess = drawn_ess(trial, weight, resolution=0.025)
    return trial.agrees(ess, rho_min, witness=TEMPERED[0].witness())


def largest(rule: Any, case: Any) -> Answer:
    """Try whether the rule's gamma is the largest that keeps the target of a tempered case."""
    sigma2, _, reward2, rho_min = case.numbers(Ball)
    gamma = rule(sigma2, reward2, rho_min, Ball)
    return is_largest(gamma, ess_at(case, gamma, gamma), rho_min, case.witness())


# Each of two values of w goes with R = 0 or 1 alike, so that the two are independent.
PAIRED = Listed(Finite.of("3/10 3/10 1/5 1/5", "1/10 1/10 2/5 2/5", "0 1 0 1"), Fraction(4, 5))


@T9_1_C.without(JOINTLY_NORMAL, on=(*TEMPERED, PAIRED))
def _(rule: Any, case: Any) -> Answer | None:
    # What is not independent says nothing of normality.
    return largest(rule, case) if case is PAIRED or case in TEMPERED else None


@T9_1_C.without(INDEPENDENT_REWARD)
def _(rule: Any, cov: Fraction) -> Answer:
    return largest(rule, Rewarded(Fraction(4), cov, Fraction(1), RHO))


T9_1_C.meaningless_without(VALID_RULE, NO_RULE)


@T9_1_C.wrong("as amended for w^gamma e^(r/tau)")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward(sigma2, m.number(0), reward2, rho_min, m)


@T9_1_C.wrong("the reward's deviation for its variance")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward_printed(sigma2, m.sqrt(reward2), rho_min, m)


@T9_1_C.wrong("no square root")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / (sigma2 + reward2))


@T9_1_C.wrong("no clip at 1")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / (sigma2 + reward2))


@T9_1_C.number("gamma* at sigma2 = 4, reward2 = 1, rho_min = 3/10")
def _() -> str:
    numbers = (Ball.number(4), Ball.number(1), Ball.number(RHO))
    return certified.digits(formulas.gamma_reward_printed(*numbers, Ball))


CLAIMS = frozen(T9_1_B, T9_1_B_FIX, T9_1_C)

"""Section 8.2, the remark that no bisection is needed.

What the closed form returns need not meet the batch's own target. From the range R of log w, a
formula as short always meets it, without search:

    gamma = min(1, log((1 + s)/(1 - s)) / R),   s = sqrt(1 - rho_min)
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas, listings
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.claims.s08_2_rule_pass import REAL_BATCH, RHO
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

C, RANGE = sympy.symbols("c R", positive=True)

REM8_2_B = Draft(
    "REM8.2.b",
    section="8.2",
    kind=Kind.REMARK,
    title=Text("No bisection is needed", "无需二分搜索"),
    finding=Text(
        "Not for the batch's own target: with one outlier among seven rows the rule returns 1 and"
        " ESS/n is 0.249, not 0.3.",
        "对批次自身的目标不成立：七个样本中有一个离群值时规则返回 1，而 ESS/n 为 0.249，不足 0.3。",
    ),
    statement=r"\mathrm{ESS}_{\gamma^*}/n \ge \rho_{\min}\ \text{for every batch}",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    assumes=(REAL_BATCH, VALID_RULE),
    uses=("D8.1", "T8.3.a"),
    reading="what a bisection would find is the largest gamma at which the batch's ESS of D8.1 "
    "meets rho_min; Var has divisor n, or n - 1 as in 8.4: both lead to gamma = 1 here",
)
# Var(log w) is 6 log(18)^2 / 49 = 1.02 with divisor 7 and 1.19 with divisor 6, below 1.20.
WEIGHTS = (1, 1, 1, 1, 1, 1, 18)
OUTLIER = Witness.at(w=WEIGHTS, rho_min=RHO)


@REM8_2_B.symbolic(Scope("the one batch of the witness"))
def _(rule: Any) -> Answer:
    """Exact logarithms, divisor n; then Kish's ratio in exact numbers."""
    log_w = [sympy.log(w) for w in WEIGHTS]
    mean = sum(log_w) / 7
    variance = sympy.expand(sum((level - mean) ** 2 for level in log_w) / 7)
    gamma = rule(variance, sympy.Rational(RHO), Exact)
    powered = [sympy.Integer(w) ** gamma for w in WEIGHTS]
    ratio = sum(powered) ** 2 / (7 * sum(v**2 for v in powered))
    return symbolic.compare(ratio, ">=", sympy.Rational(RHO), witness=OUTLIER)


@REM8_2_B.certified(Scope("the one batch of the witness"))
def _(rule: Any) -> Answer:
    """Balls, divisor n - 1, by pairs of rows; then n over 1 + the relative variance."""
    log_w = [Ball.log(Ball.number(w)) for w in WEIGHTS]
    pairs = sum(((a - b) * (a - b) for a in log_w for b in log_w), flint.arb(0))
    gamma = rule(pairs / (2 * 7 * 6), Ball.number(RHO), Ball)
    powered = [Ball.exp(gamma * level) for level in log_w]
    mean = sum(powered, flint.arb(0)) / 7
    spread = sum(((v / mean - 1) * (v / mean - 1) for v in powered), flint.arb(0)) / 7
    return certified.compare(1 / (1 + spread), ">=", Ball.number(RHO), witness=OUTLIER)


@REM8_2_B.neural(Scope("the one batch of the witness"))
def _(rule: Any) -> Answer:
    """The listing of 8.4 and the rule on tensors; the softmax weights' inverse sum of squares."""
    log_w = neural.tensor(WEIGHTS).log()
    printed = listings.compute_optimal_gamma(log_w, 0 * log_w, float(RHO))
    gamma = min(printed, rule(float(log_w.var(correction=0)), float(RHO), Real))
    share = 1 / (7 * ((gamma * log_w).softmax(0) ** 2).sum())
    return neural.compare(share, ">", float(RHO), witness=OUTLIER)


def gamma_range(spread: Number, rho_min: Number, m: Arithmetic) -> Number:
    """Return min(1, (2/R) arcosh(rho_min^(-1/2))) for log-weights within a range R.

    With s = sqrt(1 - rho_min) it is min(1, log((1 + s)/(1 - s)) / R).
    """
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), m.log((1 + s) / (1 - s)) / spread)


@REM8_2_B.right("the safe gamma of seven rows with this variance")
def _(variance: Any, rho_min: Any, m: Any) -> Any:
    # (a - b)^2 / 2 is at most the squares about the mean, 7 Var: the range is at most sqrt(14 Var).
    return gamma_range(m.sqrt(14 * variance), rho_min, m)


REM8_2_B_FIX = Draft(
    "REM8.2.b.fix",
    section="8.2",
    kind=Kind.OPTIMUM,
    title=Text("A gamma that is safe for every batch, without search", "无需搜索且总能达标的 γ"),
    finding=Text(
        "From the range R of log w: ESS/n ≥ 1/cosh²(γR/2), so this gamma always meets the target,"
        " and no larger one does for every law with that range.",
        "由 log w 的极差 R：ESS/n ≥ 1/cosh²(γR/2)，故此 γ 总能达标，"
        "且对具有该极差的所有分布而言不能再大。",
    ),
    statement=r"\gamma = \min\bigl(1, \tfrac2R\operatorname{arcosh}\rho_{\min}^{-1/2}\bigr)"
    r"\ \Rightarrow\ \mathrm{ESS}_\gamma/n \ge \cosh^{-2}(\gamma R/2) \ge \rho_{\min}",
    subject=gamma_range,
    expect=Verdict.VERIFIED,
    assumes=(REAL_BATCH, VALID_RULE),
    uses=("D8.1",),
    amends=("REM8.2.b",),
    reading="Kantorovich's inequality; for a batch the law is that of a row drawn at random",
)


@REM8_2_B_FIX.symbolic(Scope("every law whose log w has range R > 0, and every rho_min", True))
def _(rule: Any) -> Answer:
    """(v - a)(b - v) >= 0 row by row, a square for its mean, and the floor at the rule's gamma."""
    low, high, v, first = sympy.symbols("a b v m1", positive=True)
    floor = 4 * low * high / (low + high) ** 2
    # Between a and b, v^2 <= (a + b) v - a b; so E[v^2] <= (a + b) m1 - a b =: most.
    most = (low + high) * first - low * high
    # Two values a < b with chances b and a over a + b have the ESS of the floor.
    chances = (high / (low + high), low / (low + high))
    mean = chances[0] * low + chances[1] * high
    square = chances[0] * low**2 + chances[1] * high**2
    # rho_min = 1 - s^2, s = 1/(1 + c); at b = a e^(gamma R) the floor depends on gamma R only.
    s = 1 / (1 + C)
    unclipped = sympy.log((1 + s) / (1 - s)) / RANGE
    ratio = sympy.exp(unclipped * RANGE)
    return all_of(
        [
            symbolic.equal((low + high) * v - low * high - v**2, (v - low) * (high - v)),
            symbolic.equal(first**2 - floor * most, (first - 2 * low * high / (low + high)) ** 2),
            symbolic.equal(mean**2 / square, floor),
            symbolic.equal(
                floor.subs({low: 1, high: sympy.exp(2 * v)}),
                sympy.cosh(v) ** -2,
                reduce=lambda d: sympy.simplify(d.rewrite(sympy.exp)),
            ),
            symbolic.equal(
                rule(RANGE, 1 - s**2, Exact),
                sympy.Min(1, unclipped),
                points=[{C: 1, RANGE: 1}, {C: 1, RANGE: 5}],
            ),
            symbolic.equal(floor.subs({low: 1, high: ratio}), 1 - s**2),
            # A smaller gamma has a higher floor, so that the clip is safe as well.
            symbolic.positive(-sympy.diff(4 * v / (1 + v) ** 2, v).subs(v, 1 + C)),
        ]
    )


def two_point_ess(chance: Any, gap: Any) -> Any:
    """ESS/n of the values e^gap and 1, the first with the given chance."""
    v = Ball.exp(gap)
    first = 1 + chance * (v - 1)
    return first * first / (1 + chance * (v * v - 1))


@REM8_2_B_FIX.certified(Scope("two-point laws of range 2, where gamma is 1, and of range 5"))
def _(rule: Any) -> Answer:
    """Over every chance in [1/100, 99/100] the least ESS, where it is not 1, is rho_min."""
    target, near = Ball.number(RHO), Ball.number(RHO * Fraction(99, 100))
    at = [Witness.at(R=spread, rho_min=RHO) for spread in (2, 5)]
    gammas = [rule(Ball.number(spread), target, Ball) for spread in (2, 5)]
    gap = gammas[1] * 5
    # d log ESS / d chance is 0 where the chance of the larger value is 1/(1 + e^gap).
    least = two_point_ess(1 / (1 + Ball.exp(gap)), gap)

    def above(spread: int, gap: Any, floor: Any) -> Answer:
        return certified.sign_on(
            lambda chance: two_point_ess(chance, gap) - floor,
            (Fraction(1, 100), Fraction(99, 100)),
            positive=True,
            witness=lambda chance: Witness.at(R=spread, chance=chance),
        )

    return all_of(
        [
            certified.agree([gammas[0]], [Ball.number(1)], witnesses=[at[0]]),
            certified.agree([least], [target], witnesses=[at[1]]),
            above(2, gammas[0] * 2, target),
            above(5, gap, near),
        ]
    )


@REM8_2_B_FIX.neural(Scope("a two-point law of range 5, and the batch with an outlier"))
def _(rule: Any) -> Answer:
    """ESS is stationary at the worst chance and rho_min there; the batch is above it."""
    gap = 5 * rule(5.0, float(RHO), Real)

    def ess(logit: Any) -> Any:
        chance = logit.sigmoid()
        first = 1 - chance + chance * math.exp(gap)
        return first**2 / (1 - chance + chance * math.exp(2 * gap))

    worst = neural.tensor(-gap)
    at = Witness.at(R=5, rho_min=RHO)
    log_w = neural.tensor(WEIGHTS).log()
    powered = (rule(math.log(18), float(RHO), Real) * log_w).softmax(0)
    return all_of(
        [
            neural.close(neural.gradient(ess, worst), [0.0], witness=at),
            neural.compare(neural.hessian(ess, worst), ">", 0.0, witness=at),
            neural.close([ess(worst)], [float(RHO)], witness=at),
            neural.compare(1 / (7 * (powered**2).sum()), ">", float(RHO), witness=OUTLIER),
        ]
    )


REM8_2_B_FIX.meaningless_without(
    REAL_BATCH,
    "where all log-ratios are equal the rule divides by their range, which is 0, and with one of"
    " -inf the range is infinite and gamma R is 0 times infinity",
)
REM8_2_B_FIX.meaningless_without(VALID_RULE, NO_RULE)


@REM8_2_B_FIX.wrong("the variance bounded by a quarter of R squared")
def _(spread: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), 2 * m.sqrt(-m.log(rho_min)) / spread)


@REM8_2_B_FIX.wrong("R for half of R")
def _(spread: Any, rho_min: Any, m: Any) -> Any:
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), 2 * m.log((1 + s) / (1 - s)) / spread)


@REM8_2_B_FIX.wrong("s without its square root")
def _(spread: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.log((2 - rho_min) / rho_min) / spread)


@REM8_2_B_FIX.wrong("no clip at 1")
def _(spread: Any, rho_min: Any, m: Any) -> Any:
    s = m.sqrt(1 - rho_min)
    return m.log((1 + s) / (1 - s)) / spread


@REM8_2_B_FIX.number("gamma at R = 5, rho_min = 3/10")
def _() -> str:
    return certified.digits(gamma_range(Ball.number(5), Ball.number(RHO), Ball))


CLAIMS = frozen(REM8_2_B, REM8_2_B_FIX)

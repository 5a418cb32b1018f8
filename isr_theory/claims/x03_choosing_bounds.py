"""Past section 8: what the ESS is at least, from the range of log w or from its tilted variances.

    ESS/n >= 1/cosh^2(gamma R/2),   R = max log w - min log w
    ESS/n >= e^(-gamma^2 S^2),      S^2 >= K''(t) = Var_{nu_t}(log w) for t in [0, 2 gamma]

The first asks for nothing but R; the second turns the closed form into a guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.claims.instances import ess, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import (
    RARE_ARM,
    THREE_ARMS,
    ExponentialRate,
    Finite,
    drawn_fraction,
    fractions,
)

GAMMA, RANGE, S2, RHO, LOW, HIGH, FIRST = sympy.symbols("gamma R s2 rho a b m1", positive=True)
X, V = sympy.symbols("x v", positive=True)
T = sympy.symbols("t", positive=True)


class Floor(NamedTuple):
    """The least ESS/n at a range of log w, and the chance of the larger value that attains it."""

    least: Any
    chance: Any


def least_ess(gamma: Number, spread: Number, m: Arithmetic) -> Number:
    """1/cosh^2(gamma R/2) = 4 e^(gamma R) / (1 + e^(gamma R))^2."""
    ratio = m.exp(gamma * spread)
    return 4 * ratio / ((1 + ratio) * (1 + ratio))


FLOOR = Floor(least_ess, lambda gamma, spread, m: 1 / (1 + m.exp(gamma * spread)))

KANTOROVICH = Draft(
    "GAM.kantorovich",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("The least ESS at a given range of log w", "给定 log w 极差时 ESS 的下界"),
    finding=Text(
        "ESS/n is never below 1/cosh²(γR/2), and equals it only where w takes its two extremes, the"
        " larger one with chance 1/(1 + e^(γR)); a bound by the variance R²/4 is always weaker.",
        "ESS/n 不低于 1/cosh²(γR/2)，当且仅当 w 只取两个端值、且较大者概率为 1/(1+e^{γR}) 时取等；"
        "用方差上界 R²/4 得到的下界总是更弱。",
    ),
    statement=r"\frac{\mathrm{ESS}_\gamma}{n} \ge \cosh^{-2}\tfrac{\gamma R}{2}"
    r" \ge e^{-\gamma^2 R^2/4},\quad R = \operatorname{ess\,sup}\log w"
    r" - \operatorname{ess\,inf}\log w",
    subject=FLOOR,
    expect=Verdict.VERIFIED,
    uses=("D8.1",),
    sharpens=("REM8.2.b.fix", "T8.3.b.fix"),
    source="Kantorovich 1948, as an inequality between moments",
    reading="of every law, and of every batch as the law of a row drawn at random; with rewards R "
    "is the range of log(w^gamma r), at gamma = 1; where R is infinite the floor is 0",
)


@KANTOROVICH.symbolic(Scope("every law with a finite range: row by row, and a square", whole=True))
def _(floor: Any) -> Answer:
    """(v - a)(b - v) >= 0 in every row; the square that is left; the two-point law; log cosh."""
    # Between a and b, v^2 <= (a + b) v - a b, with equality at the ends: E[v^2] <= most.
    most = (LOW + HIGH) * FIRST - LOW * HIGH
    least = floor.least(GAMMA, RANGE, Exact)
    at_ends = least.subs(RANGE, sympy.log(HIGH / LOW) / GAMMA)
    # What is left is 0 only at m1 = 2 a b/(a + b), the mean of the law below.
    left = (FIRST - 2 * LOW * HIGH / (LOW + HIGH)) ** 2
    chance = floor.chance(GAMMA, RANGE, Exact).subs(RANGE, sympy.log(HIGH / LOW) / GAMMA)
    mean = chance * HIGH + (1 - chance) * LOW
    # y^2/2 - log cosh y is 0 and flat at 0 and has the second derivative tanh(y)^2.
    gap = V**2 / 2 - sympy.log(sympy.cosh(V))
    return all_of(
        [
            symbolic.equal((LOW + HIGH) * V - LOW * HIGH - V**2, (V - LOW) * (HIGH - V)),
            symbolic.equal(FIRST**2 - at_ends * most, left),
            symbolic.equal(mean, 2 * LOW * HIGH / (LOW + HIGH)),
            symbolic.equal(
                least.subs(RANGE, 2 * V / GAMMA),
                sympy.cosh(V) ** -2,
                reduce=lambda d: sympy.simplify(d.rewrite(sympy.exp)),
            ),
            symbolic.equal(sympy.diff(gap, V, 2), sympy.tanh(V) ** 2),
            symbolic.equal(sympy.diff(gap, V).subs(V, 0), 0),
            symbolic.equal(gap.subs(V, 0), 0),
        ]
    )


def spread_of(law: Finite, m: Arithmetic) -> Any:
    """The range of log w of a law with common support."""
    ratios = [p / a for a, p in zip(law.mu, law.pi, strict=True)]
    return m.log(m.number(max(ratios) / min(ratios)))


def two_point_ess(chance: Any, ratio: Any) -> Any:
    """ESS/n of the values `ratio` and 1, the first with the given chance, from the definition."""
    first = chance * ratio + (1 - chance)
    return first * first / (chance * ratio * ratio + (1 - chance))


@KANTOROVICH.certified(Scope("two laws, three gammas; two-point laws of ranges 1, 2 and 5"))
def _(floor: Any) -> Answer:
    """Enumerated ESS above the floor, the two-point law on it, and the weaker floor below it."""
    answers = []
    for law in (THREE_ARMS, RARE_ARM):
        for gamma in fractions("1/4 1/2 1"):
            g, at = Ball.number(gamma), named(law, gamma=gamma)
            least = floor.least(g, spread_of(law, Ball), Ball)
            answers.append(certified.compare(ess(law, g), ">", least, witness=at))
    gamma = Ball.number("2/3")
    for spread in (1, 2, 5):
        wide, at = Ball.number(spread), Witness.at(R=spread, gamma=Fraction(2, 3))
        least, chance = floor.least(gamma, wide, Ball), floor.chance(gamma, wide, Ball)
        attained = two_point_ess(chance, Ball.exp(gamma * wide))
        weaker = Ball.exp(-gamma * gamma * wide * wide / 4)
        answers += [
            certified.agree([attained], [least], witnesses=[at]),
            certified.compare(least, ">", weaker, witness=at),
        ]
    return all_of(answers)


@KANTOROVICH.neural(Scope("ranges 1 and 5 at gamma = 2/3, values of log w at every quarter"))
def _(floor: Any) -> Answer:
    """At the worst law autograd sees no slope between the ends, and any mass between them helps."""
    answers = []
    for spread in (1, 5):
        at = Witness.at(R=spread, gamma=Fraction(2, 3))
        values = (2 / 3 * spread * neural.tensor([0, 1, 2, 3, 4]) / 4).exp()
        chance = floor.chance(2 / 3, spread, Real)

        def ess_of(masses: Any, values: Any = values) -> Any:
            law = masses / masses.sum()
            return (law * values).sum() ** 2 / (law * values**2).sum()

        worst = neural.tensor([1 - chance, 0, 0, 0, chance])
        slope = neural.gradient(ess_of, worst)
        answers += [
            neural.close([ess_of(worst)], [floor.least(2 / 3, spread, Real)], witness=at),
            neural.close(slope[[0, 4]], [0, 0], witness=at),
            neural.compare(slope[1:4].min(), ">", 0.0, witness=at),
        ]
    return all_of(answers)


@KANTOROVICH.margin(*(spaces.finite(k, gamma=("0", "1")) for k in (2, 3)))
def _(floor: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    gamma = m.number(case["gamma"])
    first, second = (formulas.moment(mu, pi, k * gamma, m) for k in (1, 2))
    return first * first / second - floor.least(gamma, spread_of(case.model, m), m)


KANTOROVICH.wrong_value(
    "the whole range for its half",
    FLOOR._replace(least=lambda gamma, spread, m: least_ess(2 * gamma, spread, m)),
)
KANTOROVICH.wrong_value(
    "a quarter of the range for its half",
    FLOOR._replace(least=lambda gamma, spread, m: least_ess(gamma / 2, spread, m)),
)
KANTOROVICH.wrong_value(
    "the bound by the variance R^2/4",
    FLOOR._replace(least=lambda gamma, spread, m: m.exp(-gamma * gamma * spread * spread / 4)),
)
KANTOROVICH.wrong_value(
    "both extremes alike", FLOOR._replace(chance=lambda gamma, spread, m: m.number("1/2"))
)
KANTOROVICH.wrong_value(
    "the smaller extreme rare",
    FLOOR._replace(chance=lambda gamma, spread, m: 1 - 1 / (1 + m.exp(gamma * spread))),
)


@KANTOROVICH.number("the floor at gamma = 1/2, R = 5")
def _() -> str:
    return certified.digits(least_ess(Ball.number("1/2"), Ball.number(5), Ball))


@dataclass(frozen=True)
class Capped:
    """mu = Exp(1), pi = Exp(rate), a gamma, and a number that is to bound K'' on [0, 2 gamma].

    K''(t) = (a / (1 - t a))^2, a = 1 - rate, rises in t and is infinite from t = 1/a on.
    """

    rate: Fraction
    gamma: Fraction
    s2: Fraction

    @property
    def largest(self) -> Fraction:
        """The largest K'' on [0, 2 gamma], for 2 gamma (1 - rate) < 1."""
        slope = 1 - self.rate
        return (slope / (1 - 2 * self.gamma * slope)) ** 2


def _capped(rng: np.random.Generator) -> Capped:
    law = Capped(drawn_fraction(rng, "1/2", "1"), drawn_fraction(rng, "0", "1"), Fraction(0))
    return Capped(law.rate, law.gamma, law.largest * int(rng.integers(1, 4)))


TILTED_BOUND = Assumption(
    "tilted_bound",
    Text(
        "Var_{nu_t}(log w) <= S^2 for every t in [0, 2 gamma].",
        "对任意 t ∈ [0, 2γ]，Var_{ν_t}(log w) ≤ S²。",
    ),
    lambda law: 2 * law.gamma * (1 - law.rate) < 1 and law.largest <= law.s2,
    examples=(
        Capped(Fraction(1, 2), Fraction(1, 2), Fraction(1)),
        Capped(Fraction(3, 5), Fraction(1), Fraction(5)),
    ),
    # The variance under mu alone, as the closed form has it, and an infinite second moment.
    violations=(
        Capped(Fraction(1, 2), Fraction(1, 2), Fraction(1, 4)),
        Capped(Fraction(2, 5), Fraction(1), Fraction(9, 25)),
    ),
    draw=_capped,
)


class SafeForm(NamedTuple):
    """The least ESS from a bound S^2 on K'', and the gamma that it allows."""

    least: Any
    gamma: Any


SAFE_FORM = SafeForm(formulas.ess_lognormal, formulas.gamma_lognormal)

VARIANCE = Draft(
    "GAM.variance",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("What the closed form needs to be safe", "闭式何时安全"),
    finding=Text(
        "With a bound S² on the variances of log w under all tilted laws up to 2γ in the place of"
        " σ², ESS/n ≥ e^(−γ²S²): the closed form at S² is safe for every law.",
        "若以 [0, 2γ] 上所有倾斜分布下 log w 方差的上界 S² 代替 σ²，则 ESS/n ≥ e^(−γ²S²)："
        "以 S² 代入的闭式对任意分布都安全。",
    ),
    statement=r"\sup_{0 \le t \le 2\gamma}\mathrm{Var}_{\nu_t}(\log w) \le S^2 \Rightarrow"
    r" \mathrm{ESS}_\gamma/n \ge e^{-\gamma^2 S^2},\quad"
    r" \gamma = \min\bigl(1, \sqrt{-\log\rho_{\min}/S^2}\bigr) \Rightarrow"
    r" \mathrm{ESS}_\gamma/n \ge \rho_{\min}",
    subject=SAFE_FORM,
    expect=Verdict.VERIFIED,
    assumes=(TILTED_BOUND, VALID_RULE),
    uses=("GAM.d2", "T8.2"),
    sharpens=("T8.2", "T8.3.a", "T8.3.b.fix"),
    source="new here",
    reading="t = 0 included, so that w > 0 under mu; in the second half gamma is the rule's; a "
    "lower bound on the variances turns the first inequality around",
)


@VARIANCE.symbolic(
    Scope(
        "every law: by GAM.d2 the cost is an integral of K'' with a weight that is positive and "
        "has the mass gamma^2",
        whole=True,
    )
)
def _(form: Any) -> Answer:
    """The mass of the weight and its sign; the bound at the rule's gamma."""
    mass = sympy.integrate(T, (T, 0, GAMMA)) + sympy.integrate(2 * GAMMA - T, (T, GAMMA, 2 * GAMMA))
    # gamma + u and gamma - u, for u between 0 and gamma.
    share = 1 / (1 + X)
    weights = [(1 - share) * GAMMA, 2 * GAMMA - (1 + share) * GAMMA]
    # rho_min = e^(-s2 x^2): the unclipped gamma is x, and a smaller one costs less.
    target = sympy.exp(-S2 * X**2)
    points = [{S2: 2, X: 3}, {S2: 5, X: sympy.Rational(1, 3)}]
    return all_of(
        [
            symbolic.equal(form.least(S2, GAMMA, Exact), sympy.exp(-S2 * mass)),
            *(symbolic.positive(weight) for weight in weights),
            symbolic.equal(form.gamma(S2, target, Exact), sympy.Min(1, X), points=points),
            symbolic.equal(form.least(S2, X, Exact), target),
            symbolic.positive(-sympy.diff(form.least(S2, GAMMA, Exact), GAMMA)),
        ]
    )


def at_least(form: Any, law: Capped) -> Answer:
    """Try the bound on the ESS of an exponential law."""
    gamma = Ball.number(law.gamma)
    reached = ess(ExponentialRate(law.rate), gamma)
    stated = form.least(Ball.number(law.s2), gamma, Ball)
    at = Witness.at(pi=f"Exp({law.rate})", mu="Exp(1)", gamma=law.gamma, S2=law.s2)
    return certified.compare(reached, ">=", stated, witness=at)


@VARIANCE.certified(Scope("four exponential laws with the least S^2; two laws with S^2 = R^2/4"))
def _(form: Any) -> Answer:
    """Their ESS is above the bound, which small gammas attain; and so is it at the rule's gamma."""
    answers = []
    for rate in fractions("1/2 3/4 2 10"):
        model = ExponentialRate(rate)
        for gamma in fractions("1/1000 1/4"):
            # K'' is largest at 2 gamma for a rate below 1, and at 0 above it.
            slope = 1 - rate
            s2 = max(slope**2, (slope / (1 - 2 * gamma * slope)) ** 2)
            g, at = Ball.number(gamma), named(model, gamma=gamma)
            reached = ess(model, g)
            stated = form.least(Ball.number(s2), g, Ball)
            answers.append(certified.compare(reached, ">", stated, witness=at))
            if gamma < Fraction(1, 100):
                # Half as much again in the exponent, and the ESS would be below.
                more = form.least(Ball.number(s2) * 2 / 3, g, Ball)
                answers.append(certified.compare(reached, "<", more, witness=at))
    target = Ball.number("3/5")
    for law in (THREE_ARMS, RARE_ARM):
        # No law on a range R has a variance above R^2/4, so none of the tilted ones has.
        wide = spread_of(law, Ball)
        gamma = form.gamma(wide * wide / 4, target, Ball)
        at = named(law, rho_min=Fraction(3, 5))
        answers.append(certified.compare(ess(law, gamma), ">", target, witness=at))
    return all_of(answers)


VARIANCE.without(TILTED_BOUND)(at_least)
VARIANCE.meaningless_without(VALID_RULE, NO_RULE)


def planted(exponent: Any) -> SafeForm:
    """Return the form with another exponent of the bound."""
    return SAFE_FORM._replace(least=lambda s2, gamma, m: m.exp(-exponent(s2, gamma)))


VARIANCE.wrong_value("half of S^2", planted(lambda s2, gamma: gamma * gamma * s2 / 2))
VARIANCE.wrong_value("gamma for gamma squared", planted(lambda s2, gamma: gamma * s2))
VARIANCE.wrong_value("twice the exponent", planted(lambda s2, gamma: 2 * gamma * gamma * s2))
VARIANCE.wrong_value("S^4 for S^2", planted(lambda s2, gamma: (gamma * s2) * (gamma * s2)))


def twice_the_rule(s2: Any, rho_min: Any, m: Any) -> Any:
    """Return twice the gamma of the rule, at most 1."""
    return m.minimum(m.number(1), 2 * m.sqrt(-m.log(rho_min) / s2))


VARIANCE.wrong_value("a gamma twice as large", SAFE_FORM._replace(gamma=twice_the_rule))


CLAIMS = frozen(KANTOROVICH, VARIANCE)

"""Section 7.3: where Bias^2 + V/n is least.

One term falls on [0, 1], and the other falls until 1/4 and is flat there: the sum still falls at
1/4. At 1 the first is flat and the second rises. So the sum is least strictly between.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict
from isr_theory.claims.assumptions import LOGNORMAL, TARGET_DIFFERS
from isr_theory.claims.general_law import GAMMA, C
from isr_theory.claims.instances import moment, named
from isr_theory.claims.s07_1_bias import LAWS, along, at, bias_along, ends, infinite_bias
from isr_theory.claims.s07_2_lognormal import SIGMA, WEIGHTS_VARY, gauss_moment, integrated
from isr_theory.claims.s07_3_mse import printed_mse
from isr_theory.claims.s07_3_mse_shape import slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, TWO_ARMS, UNIFORM_POLICY, Finite, GaussianShift

N = sympy.symbols("n", positive=True)
QUARTER = Fraction(1, 4)

T7_6_D = Draft(
    "T7.6.d",
    section="7.3",
    kind=Kind.OPTIMUM,
    title=Text("A best gamma exists", "存在最优 γ"),
    finding=Text(
        "True of the sum as defined, by continuity, and strictly between 1/4 and 1; that one term "
        "falls and the other rises would not be enough.",
        "按所定义的和式成立：由连续性得存在性，且最小点严格位于 1/4 与 1 之间；"
        "仅凭一降一升并不足以推出。",
    ),
    statement=r"\min_{0\le\gamma\le1} \mathrm{Bias}^2(\gamma) + \tfrac1n V(\gamma)"
    r" \text{ is attained, and only in } (\tfrac14, 1)",
    subject=printed_mse,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "One falling and one rising term do not make a minimum; continuity on [0, 1] does.",
        "一项递减、一项递增并不推出最小值存在；靠的是 [0, 1] 上的连续性。",
    ),
    assumes=(TARGET_DIFFERS, LOGNORMAL, WEIGHTS_VARY),
    uses=("T7.2.a", "T7.2.b.fix", "T7.6.b", "T7.6.c"),
    reading="the sum as a function of its own, not as the error of an estimator; p* is positive "
    "wherever mu is; that the minimiser is one point is the matter of T10.1.a",
)


def rise(objective: Any, gamma: Any, height: Any, slope: Any) -> Any:
    """The slope of the sum at a gamma where Bias and its slope are known, for any n and sigma."""
    bias = sympy.Function("Bias")(GAMMA)
    general = sympy.diff(objective(bias, integrated(2 * GAMMA), N), GAMMA)
    known = general.subs(sympy.diff(bias, GAMMA), slope).subs(bias, height)
    return known.subs(GAMMA, gamma)


@T7_6_D.symbolic(
    Scope(
        "every n, sigma2 and p* other than mu: Bias and V are continuous on [0, 1], so a minimum "
        "is attained (Weierstrass); the slope keeps it off [0, 1/4] and off 1",
        whole=True,
    )
)
def _(objective: Any) -> Answer:
    """The sum falls on [0, 1/4], where Bias falls and V does not rise, and rises into 1."""
    height, fall = sympy.symbols("height fall", positive=True)
    quarter = sympy.Rational(1, 4)
    # gamma = 1/(4 (1+c)) runs through (0, 1/4); Bias(1) = Bias'(1) = 0.
    return all_of(
        [
            *(
                symbolic.positive(-sympy.factor(rise(objective, gamma, height, -fall)))
                for gamma in (sympy.S.Zero, quarter / (1 + C), quarter)
            ),
            symbolic.positive(
                sympy.factor(rise(objective, sympy.S.One, sympy.S.Zero, sympy.S.Zero))
            ),
        ]
    )


# Outcomes with two independent parts: p* differs from mu in one of three arms, and pi in a normal
# part, so that Bias is that of the arms and V is log-normal.
ROUNDS = 10


def on_product(objective: Any, law: Finite) -> Callable[[Number], Number]:
    """The sum over Jet, sigma2 = 1."""
    bias = bias_along(law, Jet)

    def value(gamma: Number) -> Number:
        second = formulas.second_moment_lognormal(Jet.number(1), gamma, Jet)
        return objective(bias(gamma), second, ROUNDS)

    return value


@T7_6_D.certified(Scope("two laws, n = 10, sigma2 = 1, every gamma in [0, 13/50]"))
def _(objective: Any) -> Answer:
    """The slope is negative until just past 1/4, box by box, and positive at 1."""

    def one(law: Finite) -> list[Answer]:
        steepness = slope(on_product(objective, law))
        return [
            certified.sign_on(
                steepness, (Fraction(0), Fraction(13, 50)), positive=False, witness=along(law)
            ),
            certified.compare(steepness(Ball.number(1)), ">", 0, witness=at(law, 1)),
        ]

    return all_of(answer for law in LAWS for answer in one(law))


@T7_6_D.neural(Scope("four arms, n = 10, sigma2 = 1: thirteen gammas"))
def _(objective: Any) -> Answer:
    """The sum by enumeration and Gauss's rule: its slope until just past 1/4, and at 1."""
    bias = bias_along(UNIFORM_POLICY, Tensor)

    def value(gamma: Any) -> Any:
        return objective(bias(gamma), gauss_moment(1.0, 2 * gamma), ROUNDS)

    places = [(Fraction(k, 40), "<") for k in range(12)] + [(Fraction(1), ">")]
    return all_of(
        neural.compare(
            neural.gradient(value, neural.tensor(gamma)),
            relation,
            0,
            witness=at(UNIFORM_POLICY, gamma),
        )
        for gamma, relation in places
    )


@T7_6_D.without(TARGET_DIFFERS)
def _(objective: Any, law: Finite) -> Answer:
    if infinite := infinite_bias(law):
        return infinite
    quarter, (mu, target) = Exact.number(QUARTER), ends(law, Exact)
    height, slope = (
        formula(mu, target, quarter, Exact) for formula in (formulas.bias, formulas.bias_slope)
    )
    # Bias is convex, and so are its square and V: with no fall at 1/4 none follows.
    here = rise(objective, quarter, height, slope).subs({N: ROUNDS, SIGMA: 1})
    return symbolic.compare(here, "<", 0, witness=at(law, QUARTER))


# p* lies near mu: what Bias^2 loses up to 1/4 does not make up for a V that rises.
NEAR = Finite.of("1/2 1/2", "11/20 9/20")


@T7_6_D.without(LOGNORMAL, on=(TWO_ARMS,))
def _(objective: Any, model: Any) -> Answer:
    bias = bias_along(NEAR, Ball)
    early, late, last, end = (
        objective(bias(gamma), moment(model, 2 * gamma), ROUNDS)
        for gamma in map(Ball.number, (Fraction(6, 25), QUARTER, Fraction(99, 100), Fraction(1)))
    )
    witness = named(model, n=ROUNDS, target_part=(NEAR.mu, NEAR.pi))
    # The sum is convex, so if it does not fall towards 1/4 its minimum is not past 1/4.
    return all_of(
        [
            certified.compare(early, ">", late, witness=witness),
            certified.compare(end, ">", last, witness=witness),
        ]
    )


@T7_6_D.without(WEIGHTS_VARY)
def _(objective: Any, model: GaussianShift) -> Answer:
    # Bias and its slope are 0 at 1, so that V alone keeps the minimum off it.
    into_one = rise(objective, sympy.S.One, sympy.S.Zero, sympy.S.Zero)
    at_model = {N: ROUNDS, SIGMA: sympy.sqrt(Exact.number(model.sigma2))}
    return symbolic.compare(into_one.subs(at_model), ">", 0, witness=named(model, gamma=1))


@T7_6_D.wrong("V alone")
def _(bias: Any, second_moment: Any, n: Any) -> Any:
    return 0 * bias + second_moment / n


@T7_6_D.wrong("V subtracted")
def _(bias: Any, second_moment: Any, n: Any) -> Any:
    return bias * bias - second_moment / n


@T7_6_D.wrong("Bias squared subtracted")
def _(bias: Any, second_moment: Any, n: Any) -> Any:
    return second_moment / n - bias * bias


@T7_6_D.number("minimiser at p* = (1/5, 3/10, 1/2), mu = (3/5, 3/10, 1/10), sigma2 = 1, n = 10")
def _() -> str:
    steepness = slope(on_product(printed_mse, THREE_ARMS))
    return certified.digits(certified.root(steepness, QUARTER, Fraction(1)))


CLAIMS = frozen(T7_6_D)

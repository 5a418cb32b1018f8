"""Section 7.3: the two terms of Bias^2 + V/n, and where their sum is least.

The first falls on [0, 1]. The second, for log-normal weights, falls until 1/4 and rises from there.
So the sum is least strictly between 1/4 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    MU,
    NUDGE,
    SUMS,
    TARGET,
    C,
    D,
    general_bias,
    gibbs,
    pairs_have_sign,
    slope_by_pairs,
    slope_of,
    total_mass,
)
from isr_theory.claims.s07_1_bias import LAWS, along, at, bias_along, ends
from isr_theory.claims.s07_2_lognormal import SIGMA, enclosed, gauss_moment, integrated
from isr_theory.claims.s07_3_mse import printed_mse
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, UNIFORM_POLICY, Finite

N = sympy.symbols("n", positive=True)
QUARTER = Fraction(1, 4)


def slope(function: Callable[[Number], Number]) -> Callable[[Any], Any]:
    """Return the derivative of a function over Jet, as a function of a ball."""
    return lambda place: certified.derivatives(function, place, 1)[1]


def squared_bias(mu: Sequence[Number], target: Sequence[Number], gamma: Number, m: Any) -> Number:
    """Bias^2(gamma), from the closed form of Bias."""
    bias = formulas.bias(mu, target, gamma, m)
    return bias * bias


T7_6_B = Draft(
    "T7.6.b",
    section="7.3",
    kind=Kind.INEQUALITY,
    title=Text("Bias^2 decreases in gamma", "Bias² 关于 γ 单调递减"),
    finding=Text(
        "True on [0, 1] for every p* other than mu, with slope 0 at gamma = 1.",
        "对任意 p* ≠ μ 在 [0, 1] 上成立，γ = 1 处斜率为 0。",
    ),
    statement=r"\frac{d}{d\gamma}\mathrm{Bias}^2(\gamma)"
    r" = 2\,\mathrm{Bias}(\gamma)\,\mathrm{Bias}'(\gamma) < 0 \quad (0 \le \gamma < 1)",
    subject=squared_bias,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    assumes=(TARGET_DIFFERS,),
    uses=("D7.1", "T7.2.a"),
    reading="p* = e^(r/tau)/Z is positive wherever mu is",
)


@T7_6_B.symbolic(EVERY_LAW)
def _(square: Any) -> Answer:
    """The slope is twice Bias, which Gibbs makes positive, times Bias', a sum over pairs."""
    bias, slope_of_bias = (slope_of(general_bias(), order) for order in (0, 1))
    squared = square(MU, TARGET, GAMMA + NUDGE, SUMS)
    return all_of(
        [
            symbolic.equal(slope_of(squared), 2 * bias * slope_of_bias),
            symbolic.equal(slope_of_bias * total_mass(), slope_by_pairs()),
            *pairs_have_sign(-1),
            *gibbs(),
        ]
    )


@T7_6_B.certified(Scope("two laws, every gamma in [0, 19/20]"))
def _(square: Any) -> Answer:
    """The square of the defined divergence at points; its slope is negative, box by box."""

    def one(law: Finite) -> list[Answer]:
        mu, target = ends(law, Jet)
        gammas = [Fraction(k, 4) for k in range(5)]
        defined = [bias_along(law, Ball)(Ball.number(g)) for g in gammas]
        closed = [square(*ends(law, Ball), Ball.number(g), Ball) for g in gammas]
        return [
            certified.agree(
                [bias * bias for bias in defined], closed, witnesses=[at(law, g) for g in gammas]
            ),
            certified.sign_on(
                slope(lambda gamma: square(mu, target, gamma, Jet)),
                (Fraction(0), Fraction(19, 20)),
                positive=False,
                witness=along(law),
            ),
        ]

    return all_of(answer for law in LAWS for answer in one(law))


@T7_6_B.neural(Scope("four arms at three gammas"))
def _(square: Any) -> Answer:
    """The defined divergence, squared and differentiated backwards."""
    mu, target = ends(UNIFORM_POLICY, Tensor)
    answers = []
    for gamma in (Fraction(0), Fraction(1, 3), Fraction(9, 10)):
        witness, here = at(UNIFORM_POLICY, gamma), neural.tensor(gamma)
        defined = neural.gradient(lambda g: bias_along(UNIFORM_POLICY, Tensor)(g) ** 2, here)
        closed = neural.gradient(lambda g: square(mu, target, g, Tensor), here)
        answers += [
            neural.close(closed, defined, witness=witness),
            neural.compare(closed, "<", 0, witness=witness),
        ]
    return all_of(answers)


@T7_6_B.wrong("not squared")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return formulas.bias(mu, target, gamma, m)


@T7_6_B.wrong("the divergence of p_gamma from p*")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    path = formulas.geometric_path(mu, target, gamma, m)
    divergence = formulas.kl(path, target, m)
    return divergence * divergence


@T7_6_B.wrong("the path from p* to mu")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return squared_bias(mu, target, 1 - gamma, m)


T7_6_C = Draft(
    "T7.6.c",
    section="7.3",
    kind=Kind.INEQUALITY,
    title=Text("V increases above 1/4", "V(γ) 在 γ > 1/4 递增"),
    finding=Text(
        "True for log-normal weights, of the second moment that the paper calls V.",
        "对对数正态权重的二阶矩 V 成立。",
    ),
    statement=r"V'(\gamma) = \sigma^2(4\gamma-1)\,V(\gamma) > 0 \quad (\gamma > \tfrac14)",
    subject=formulas.second_moment_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL,),
    uses=("T7.4", "C7.5.a"),
)


@T7_6_C.symbolic(Scope("every sigma2 > 0 and gamma > 1/4, log-normal model", whole=True))
def _(second_moment: Any) -> Answer:
    """V by completing the square, and its slope at 1/4 + d."""
    closed = second_moment(SIGMA**2, GAMMA, Exact)
    rise = sympy.diff(closed, GAMMA)
    return all_of(
        [
            symbolic.equal(integrated(2 * GAMMA), closed),
            symbolic.equal(rise, SIGMA**2 * (4 * GAMMA - 1) * integrated(2 * GAMMA)),
            symbolic.positive(rise.subs(GAMMA, sympy.Rational(1, 4) + D)),
        ]
    )


@T7_6_C.certified(Scope("two values of sigma2: two gammas, and every gamma in [13/50, 1]"))
def _(second_moment: Any) -> Answer:
    """V by rigorous quadrature; the slope is positive, box by box."""

    def one(sigma2: Fraction) -> list[Answer]:
        gammas, s = (Fraction(1, 2), Fraction(4, 5)), Ball.number(sigma2)
        named = [Witness.at(sigma2=sigma2, gamma=g) for g in gammas]
        closed = [second_moment(s, Ball.number(g), Ball) for g in gammas]
        defined = [enclosed(sigma2, 2 * g) for g in gammas]
        return [
            certified.agree(defined, closed, witnesses=named),
            certified.sign_on(
                slope(lambda gamma: second_moment(s, gamma, Jet)),
                (Fraction(13, 50), Fraction(1)),
                positive=True,
                witness=lambda gamma: Witness.at(sigma2=sigma2, gamma=gamma),
            ),
        ]

    return all_of(answer for s in (1, 4) for answer in one(Fraction(s)))


@T7_6_C.neural(Scope("sigma2 = 1 at three gammas"))
def _(second_moment: Any) -> Answer:
    """Both slopes by autograd, that of the definition through Gauss's rule."""
    answers = []
    for gamma in (Fraction(3, 10), Fraction(3, 5), Fraction(1)):
        witness, here = Witness.at(sigma2=1, gamma=gamma), neural.tensor(gamma)
        closed = neural.gradient(lambda g: second_moment(Tensor.number(1), g, Tensor), here)
        defined = neural.gradient(lambda g: gauss_moment(1.0, 2 * g), here)
        answers += [
            neural.close(closed, defined, witness=witness),
            neural.compare(closed, ">", 0, witness=witness),
        ]
    return all_of(answers)


@T7_6_C.wrong("E[w^gamma]^2 for E[w^(2 gamma)]")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (gamma - 1))


@T7_6_C.wrong("sign of the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(-1 * sigma2 * gamma * (2 * gamma - 1))


@T7_6_C.wrong("the relative spread, which rises from 0 on")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * gamma)


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
    assumes=(TARGET_DIFFERS, LOGNORMAL),
    uses=("T7.2.a", "T7.2.b.fix", "T7.6.b", "T7.6.c"),
    reading="the sum as a function of its own, not as the error of an estimator; p* is positive "
    "wherever mu is; that the minimiser is one point is the matter of T10.1.a",
)


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
    bias = sympy.Function("Bias")(GAMMA)
    slope = sympy.diff(objective(bias, integrated(2 * GAMMA), N), GAMMA)

    def at_gamma(gamma: Any, value: Any, descent: Any) -> Any:
        known = slope.subs(sympy.diff(bias, GAMMA), -descent).subs(bias, value)
        return sympy.factor(known.subs(GAMMA, gamma))

    quarter = sympy.Rational(1, 4)
    # gamma = 1/(4 (1+c)) runs through (0, 1/4); Bias(1) = Bias'(1) = 0.
    return all_of(
        [
            *(
                symbolic.positive(-at_gamma(gamma, height, fall))
                for gamma in (sympy.S.Zero, quarter / (1 + C), quarter)
            ),
            symbolic.positive(at_gamma(sympy.S.One, sympy.S.Zero, sympy.S.Zero)),
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


@T7_6_D.certified(Scope("two laws, n = 10, sigma2 = 1, every gamma in [0, 1/4]"))
def _(objective: Any) -> Answer:
    """The slope is negative on [0, 1/4], box by box, and positive at 1."""

    def one(law: Finite) -> list[Answer]:
        steepness = slope(on_product(objective, law))
        return [
            certified.sign_on(
                steepness, (Fraction(0), QUARTER), positive=False, witness=along(law)
            ),
            certified.compare(steepness(Ball.number(1)), ">", 0, witness=at(law, 1)),
        ]

    return all_of(answer for law in LAWS for answer in one(law))


@T7_6_D.neural(Scope("four arms, n = 10, sigma2 = 1: eleven gammas"))
def _(objective: Any) -> Answer:
    """The sum by enumeration and Gauss's rule: its slope at gammas up to 1/4, and at 1."""
    bias = bias_along(UNIFORM_POLICY, Tensor)

    def value(gamma: Any) -> Any:
        return objective(bias(gamma), gauss_moment(1.0, 2 * gamma), ROUNDS)

    places = [(Fraction(k, 40), "<") for k in range(11)] + [(Fraction(1), ">")]
    return all_of(
        neural.compare(
            neural.gradient(value, neural.tensor(gamma)),
            relation,
            0,
            witness=at(UNIFORM_POLICY, gamma),
        )
        for gamma, relation in places
    )


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


CLAIMS = frozen(T7_6_B, T7_6_C, T7_6_D)

"""The line's own later claims, I: an exponent for every sample, a kernel, an exponent above 1.

The authors of the paper went on. Version 3.1 gives every sample its own exponent, versions 4 to 6
put a kernel around w = 1, version 7 uses exponents between 1 and 2 where the advantage is negative.
What each says of its weight is read as sharply as its formula allows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.instances import moment, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, TWO_ARMS, Finite

LEVEL, BASE, SHARP, SIZE, TAU = sympy.symbols("l g T A tau", positive=True)
GAMMA, W = sympy.symbols("gamma w", positive=True)
LATER = "FloyedShen/VESPO, recipe/is_shape/theory, after the paper"


def sigmoid(x: Number, m: Arithmetic) -> Number:
    """1 / (1 + e^(-x))."""
    return 1 / (1 + m.exp(-x))


def own_exponent(
    level: Number, base: Number, sharp: Number, advantage: Number, m: Arithmetic
) -> Number:
    """gamma(w) = g + (sigmoid(-T log w) - g) sigmoid(A log w), version 3.1 with tau = 1."""
    return base + (sigmoid(-sharp * level, m) - base) * sigmoid(advantage * level, m)


V31 = Draft(
    "LINE.v31",
    section="beyond",
    kind=Kind.HEURISTIC,
    title=Text(
        "v3.1: an exponent of its own tames every large weight", "v3.1：逐样本指数抑制大权重"
    ),
    finding=Text(
        "False where the advantage is negative: at w = e^8, A = -1 and g = 1/2 the weight is above"
        " e^3.9 and grows like the square root of w.",
        "优势为负时不成立：w = e^8、A = −1、g = 1/2 时权重超过 e^3.9，且按 √w 增长。",
    ),
    statement=r"w^{\gamma(w)} \le e \ (w \ge 1),\quad \gamma(w) = g + (\sigma(-T\log w) - g)\,"
    r"\sigma(A\log w/\tau)",
    subject=own_exponent,
    expect=Verdict.REFUTED,
    source=LATER,
    sharpens=("D4.1",),
    uses=("D4.1",),
    reading="g = 1/2, T = tau = 1 and either sign of the advantage A; 'tames' is read as a bound"
    " by e, which the weight keeps where A = 1",
)
NEGATIVE = Witness.at(log_w=8, g=Fraction(1, 2), T=1, A=-1)


@V31.symbolic(Scope("the witness"))
def _(exponent: Any) -> Answer:
    """gamma(w) log w at log w = 8, exactly."""
    level, half = sympy.Integer(8), sympy.Rational(1, 2)
    size = exponent(level, half, sympy.Integer(1), sympy.Integer(-1), Exact) * level
    return symbolic.compare(size, "<=", 1, witness=NEGATIVE)


@V31.certified(Scope("the witness"))
def _(exponent: Any) -> Answer:
    """The weight itself in balls."""
    level = flint.arb(8)
    power = exponent(level, Ball.number("1/2"), flint.arb(1), flint.arb(-1), Ball)
    weight = Ball.power(Ball.exp(level), power)
    return certified.compare(weight, "<=", Ball.exp(flint.arb(1)), witness=NEGATIVE)


@V31.right("the advantage's size for the advantage")
def _(level: Any, base: Any, sharp: Any, advantage: Any, m: Any) -> Any:
    return own_exponent(level, base, sharp, m.sqrt(advantage * advantage), m)


V31_FIX = Draft(
    "LINE.v31.fix",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("v3.1: what becomes of large weights", "v3.1：大权重的去向"),
    finding=Text(
        "Where A > 0 the weight tends to 1, as in SFT; where A < 0 its exponent tends to g, so that"
        " a large weight is flattened by g alone.",
        "A > 0 时权重趋于 1，与 SFT 相同；A < 0 时指数趋于 g，大权重仅被 g 展平。",
    ),
    statement=r"w^{\gamma(w)} \to 1\ (A > 0),\quad \gamma(w) \to g\ (A < 0),\quad w \to \infty",
    subject=own_exponent,
    expect=Verdict.VERIFIED,
    source="new here",
    sharpens=("D4.1",),
    amends=("LINE.v31",),
    uses=("D4.1",),
    reading="T, tau > 0 and 0 <= g <= 1; tau is a unit of A",
)


@V31_FIX.symbolic(Scope("every g, T > 0 and A of either sign", whole=True))
def _(exponent: Any) -> Answer:
    """With x = e^(-l): both limits, term by term."""
    # gamma l = g l (1 - s(A l)) + l s(-T l) s(A l), s the sigmoid, 0 < s < 1: two terms to bound.
    up = exponent(LEVEL, BASE, SHARP, SIZE, Exact)
    down = exponent(LEVEL, BASE, SHARP, -SIZE, Exact)
    rest = BASE * (1 - sigmoid(SIZE * LEVEL, Exact))
    last = sigmoid(-SHARP * LEVEL, Exact) * sigmoid(SIZE * LEVEL, Exact)
    kept = BASE * (1 - sigmoid(-SIZE * LEVEL, Exact))
    fading = sigmoid(-SHARP * LEVEL, Exact) * sigmoid(-SIZE * LEVEL, Exact)
    # 1 - s(x) = s(-x) <= e^(-x), and l e^(-c l) tends to 0.
    return all_of(
        [
            symbolic.equal(up, rest + last),
            symbolic.equal(down, kept + fading),
            symbolic.equal(1 - sigmoid(LEVEL, Exact), sigmoid(-LEVEL, Exact)),
            symbolic.positive(sympy.simplify(sympy.exp(-LEVEL) - 1 / (1 + sympy.exp(LEVEL)))),
            symbolic.limit(LEVEL * sympy.exp(-SIZE * LEVEL), LEVEL, sympy.oo, 0, direction="-"),
        ]
    )


@V31_FIX.certified(Scope("g = 1/2, T = 1 and A = 1, -1 at log w = 60"))
def _(exponent: Any) -> Answer:
    """Balls far out: log of the weight is nearly 0, and the exponent nearly g."""
    level, half, one = flint.arb(60), Ball.number("1/2"), flint.arb(1)
    tiny = Ball.exp(flint.arb(-50))
    up = exponent(level, half, one, one, Ball) * level
    down = exponent(level, half, one, -one, Ball) - half
    at = Witness.at(log_w=60, g=Fraction(1, 2), T=1)
    return all_of(certified.compare(abs(x), "<", tiny, witness=at) for x in (up, down))


@V31_FIX.wrong("the two sigmoids exchanged")
def _(level: Any, base: Any, sharp: Any, advantage: Any, m: Any) -> Any:
    return base + (sigmoid(advantage * level, m) - base) * sigmoid(-sharp * level, m)


@V31_FIX.wrong("no minus before T")
def _(level: Any, base: Any, sharp: Any, advantage: Any, m: Any) -> Any:
    return base + (sigmoid(sharp * level, m) - base) * sigmoid(advantage * level, m)


@V31_FIX.wrong("the base left out of the difference")
def _(level: Any, base: Any, sharp: Any, advantage: Any, m: Any) -> Any:
    return base + sigmoid(-sharp * level, m) * sigmoid(advantage * level, m)


def kernel_weight(w: Number, gamma: Number, m: Arithmetic) -> Number:
    """f(w) = (1 - g) + g w K(w - 1), K(x) = sech(x)^2, versions 4 to 6."""
    return (1 - gamma) + gamma * w * sech2(w - 1, m)


def sech2(x: Number, m: Arithmetic) -> Number:
    """sech(x)^2 = 4 / (e^x + e^(-x))^2."""
    twice = m.exp(x) + m.exp(-x)
    return 4 / (twice * twice)


V4 = Draft(
    "LINE.v4",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v4 to v6: gamma = 1 is RL", "v4 至 v6：γ=1 即 RL"),
    finding=Text(
        "False: at w = 2 the weight of gamma = 1 is 2 sech(1)^2 = 0.84, not 2.",
        "不成立：w = 2 时 γ=1 的权重为 2 sech(1)² = 0.84，而非 2。",
    ),
    statement=r"f_1(w) = w,\quad f_\gamma(w) = (1-\gamma) + \gamma\,w\,K(w-1),"
    r"\ K = \mathrm{sech}^2",
    subject=kernel_weight,
    expect=Verdict.REFUTED,
    source=LATER,
    sharpens=("D4.1", "ABS.1"),
    uses=("ABS.1",),
    reading="the end of RL is f(w) = w, as in the paper's table 2.3",
)
AT_TWO = Witness.at(w=2, gamma=1)


@V4.symbolic(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Exactly at w = 2."""
    return symbolic.compare(
        weight(sympy.Integer(2), sympy.Integer(1), Exact), "==", 2, witness=AT_TWO
    )


@V4.certified(Scope("the witness"))
def _(weight: Any) -> Answer:
    """In balls at w = 2."""
    return certified.compare(
        weight(flint.arb(2), flint.arb(1), Ball), "==", flint.arb(2), witness=AT_TWO
    )


@V4.right("no kernel")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return (1 - gamma) + gamma * w


V4_FIX = Draft(
    "LINE.v4.fix",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("v4 to v6: w^gamma to first order at w = 1", "v4 至 v6：在 w=1 处与 w^γ 一阶相同"),
    finding=Text(
        "With any kernel K(0) = 1, K'(0) = 0 the weight agrees with w^gamma at w = 1 in value and "
        "slope, and not in curvature; far from 1 it is 1 - gamma.",
        "对任意满足 K(0)=1、K'(0)=0 的核，权重在 w=1 处与 w^γ 取值和一阶导数相同，"
        "二阶不同；远离 1 时为 1−γ。",
    ),
    statement=r"f_\gamma(1) = 1,\quad f_\gamma'(1) = \gamma,\quad"
    r" f_\gamma(w) \to 1-\gamma\ (w \to \infty)",
    subject=kernel_weight,
    expect=Verdict.VERIFIED,
    source="new here",
    sharpens=("D4.1",),
    amends=("LINE.v4",),
    uses=("D4.1",),
    reading="the subject is the kernel sech^2; the curvature differs where gamma is not 0",
)


@V4_FIX.symbolic(Scope("every gamma", whole=True))
def _(weight: Any) -> Answer:
    """Value, slope and curvature at 1 beside those of w^gamma, and the limit."""
    f = weight(W, GAMMA, Exact)
    at_one = [sympy.simplify(sympy.diff(f, W, k).subs(W, 1)) for k in range(3)]
    # f'' = -2 gamma there, and (w^gamma)'' = gamma (gamma - 1), which is larger by gamma^2 + gamma.
    return all_of(
        [
            symbolic.equal(at_one[0], 1),
            symbolic.equal(at_one[1], GAMMA),
            symbolic.positive(sympy.expand(GAMMA * (GAMMA - 1) - at_one[2])),
            symbolic.limit(f, W, sympy.oo, 1 - GAMMA, direction="-"),
        ]
    )


@V4_FIX.certified(Scope("gamma = 1/3 and 1"))
def _(weight: Any) -> Answer:
    """Value and slope at 1 as a power series in balls."""

    def at(gamma: Fraction) -> Answer:
        g, witness = Ball.number(gamma), Witness.at(w=1, gamma=gamma)
        found = certified.derivatives(lambda w: weight(w, g, Jet), flint.arb(1), 1)
        return certified.agree(found, [flint.arb(1), g], witnesses=[witness] * 2)

    return all_of(at(gamma) for gamma in (Fraction(1, 3), Fraction(1)))


@V4_FIX.neural(Scope("gamma = 1/3"))
def _(weight: Any) -> Answer:
    """The slope at 1 by autograd, beside that of w^gamma."""
    one, gamma = neural.tensor([1.0]), neural.tensor(Fraction(1, 3))
    slope = neural.gradient(lambda w: weight(w, gamma, Tensor).sum(), one)
    expected = neural.gradient(lambda w: (w**gamma).sum(), one)
    return neural.close(slope, expected, witness=Witness.at(w=1, gamma=Fraction(1, 3)))


@V4_FIX.wrong("the kernel about 0")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return (1 - gamma) + gamma * w * sech2(w, m)


@V4_FIX.wrong("the kernel on the whole weight")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return ((1 - gamma) + gamma * w * w) * sech2(w - 1, m)


@V4_FIX.wrong("gamma exchanged")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return kernel_weight(w, 1 - gamma, m)


def power_size(once: Number, more: Number) -> tuple[Number, str, Number]:
    """The relation of version 7: E[w^(2g)] at most E[w^2], for g in (1, 2)."""
    return more, "<=", once


V7 = Draft(
    "LINE.v7",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text(
        "v7: an exponent in (1, 2) costs no more variance than w", "v7：(1,2) 内的指数不增大方差"
    ),
    finding=Text(
        "False for every pair of policies that differ: on two arms, mu = (1/2, 1/2) and pi = (9/10,"
        " 1/10), E[w^3] is 2.92 against E[w^2] = 1.64.",
        "对任意不同的两策略都不成立：两臂例中 E[w³] = 2.92，而 E[w²] = 1.64。",
    ),
    statement=r"\mathbb{E}_\mu[w^{2\gamma}] \le \mathbb{E}_\mu[w^2]\quad (1 < \gamma < 2)",
    subject=power_size,
    expect=Verdict.REFUTED,
    source=LATER,
    sharpens=("T6.3.b", "C7.5.a"),
    uses=("D6.1",),
    reading="version 7 gives negative advantages the gradient weight w^g, g in (1, 2), 'for stable"
    " learning'; stability is read as the second moment of the weight, the paper's V, against that"
    " of plain importance sampling",
)
STEEP = witness_of(TWO_ARMS, gamma=Fraction(3, 2))


@V7.symbolic(Scope("the witness"))
def _(relation: Any) -> Answer:
    """Fractions on two arms."""
    mu, pi, _ = TWO_ARMS.numbers(Exact)
    once, more = (sum(a * (b / a) ** t for a, b in zip(mu, pi, strict=True)) for t in (2, 3))
    left, sign, right = relation(once, more)
    return symbolic.compare(left, sign, right, witness=STEEP)


@V7.certified(Scope("the witness"))
def _(relation: Any) -> Answer:
    """Balls on two arms."""
    left, sign, right = relation(*(moment(TWO_ARMS, flint.arb(t)) for t in (2, 3)))
    return certified.compare(left, sign, right, witness=STEEP)


@V7.margin(*(spaces.finite(arms, gamma=("11/10", "19/10")) for arms in (2, 3)))
def _(relation: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    exponents = (m.number(2), 2 * m.number(case["gamma"]))
    low, _, high = relation(*(formulas.moment(mu, pi, t, m) for t in exponents))
    return high - low


V7.right_value("the other order", lambda once, more: (once, "<=", more))


def moments_rise(smaller: Number, larger: Number) -> tuple[Number, str, Number]:
    """The relation between the moments of order s and t, 1 <= s <= t."""
    return smaller, "<=", larger


V7_FIX = Draft(
    "LINE.v7.fix",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Past gamma = 1 the second moment only grows", "γ > 1 时二阶矩只增不减"),
    finding=Text(
        "E_mu[w^t] never falls in t past 1 if pi is dominated by mu: so exponents above 1 cost more"
        " than importance sampling, for every law.",
        "当 π ≪ μ 时，E_μ[w^t] 在 t ≥ 1 上不减：故大于 1 的指数总比重要性采样代价更高。",
    ),
    statement=r"1 \le s \le t \Rightarrow \mathbb{E}_\mu[w^s] \le \mathbb{E}_\mu[w^t]",
    subject=moments_rise,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    source="new here",
    sharpens=("C7.5.a",),
    amends=("LINE.v7",),
    uses=("D6.1",),
    reading="both sides may be infinite",
)


@V7_FIX.symbolic(Scope("every law, outcome by outcome: E[w - 1] = 0 where pi << mu", whole=True))
def _(relation: Any) -> Answer:
    """w^t - w^s - (t - s)(w - 1) is 0 at w = 1, falls before it and rises after it."""
    gap, past = sympy.symbols("c b", positive=True)
    s, t = 1 + past, 1 + past + gap
    low, sign, high = relation(W**s, W**t)
    excess = (high - low if sign == "<=" else low - high) - gap * (W - 1)
    # Times w^(-b) the slope is t w^c - s - c w^(-b): 0 at w = 1, and rising in w.
    scaled = sympy.expand(sympy.powsimp(sympy.expand(sympy.diff(excess, W) * W**-past)))
    return all_of(
        [
            symbolic.equal(excess.subs(W, 1), 0),
            symbolic.equal(scaled, t * W**gap - s - gap * W**-past),
            symbolic.equal((t * W**gap - s - gap * W**-past).subs(W, 1), 0),
            symbolic.positive(sympy.diff(t * W**gap - s - gap * W**-past, W)),
        ]
    )


@V7_FIX.certified(Scope("three arms, exponents 2 and 3"))
def _(relation: Any) -> Answer:
    """Both moments in balls."""
    left, sign, right = relation(*(moment(THREE_ARMS, flint.arb(t)) for t in (2, 3)))
    at = witness_of(THREE_ARMS, gamma=Fraction(3, 2))
    return certified.compare(left, sign, right, witness=at)


@V7_FIX.without(PI_IN_MU)
def _(relation: Any, law: Finite) -> Answer:
    left, sign, right = relation(*(moment(law, flint.arb(t)) for t in (1, 2)))
    return certified.compare(left, sign, right, witness=named(law, s=1, t=2))


V7_FIX.wrong_value("the other order", lambda smaller, larger: (larger, "<=", smaller))
V7_FIX.wrong_value("twice the smaller", lambda smaller, larger: (2 * smaller, "<=", larger))
V7_FIX.wrong_value("at least", lambda smaller, larger: (smaller, ">=", larger))


CLAIMS = frozen(V31, V31_FIX, V4, V4_FIX, V7, V7_FIX)

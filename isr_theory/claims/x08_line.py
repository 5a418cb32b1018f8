"""The line's own later claims, I: an exponent for every sample, and a kernel.

The authors of the paper went on. Version 3.1 gives every sample its own exponent, versions 4 to 6
put a kernel around w = 1. What each says of its weight is read as sharply as its formula allows.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict, Witness
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

LEVEL, BASE, SHARP, SIZE, WIDTH = sympy.symbols("l g T A c", positive=True)
GAMMA, W = sympy.symbols("gamma w", positive=True)
LINE = "FloyedShen/VESPO, recipe/is_shape/theory"


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
        "False where the advantage is negative, where version 3.1 itself keeps the exponent g: at"
        " w = e^8, A = -1 and g = 1/2 the weight is above e^3.9 and grows like the root of w.",
        "优势为负时不成立（v3.1 自己的极限表在此保留 g）：w = e^8、A = −1、g = 1/2 时权重超过"
        " e^3.9，且按 √w 增长。",
    ),
    statement=r"w^{\gamma(w)} \le e \ (w \ge 1),\quad \gamma(w) = g + (\sigma(-T\log w) - g)\,"
    r"\sigma(A\log w/\tau)",
    subject=own_exponent,
    expect=Verdict.REFUTED,
    source=f"{LINE}: is_reshape_v3_renyi.md 7.2 for the exponent; that it bounds the weight is a"
    " reading of ours of its 'compresses where w > 1' (7.3), which its table 7.4 does not share",
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
        " a large weight is flattened by g alone: the corners of version 3.1's table, at any T.",
        "A > 0 时权重趋于 1，与 SFT 相同；A < 0 时指数趋于 g，大权重仅被 g 展平：即 v3.1 表中的"
        "极限，但对任意 T 成立。",
    ),
    statement=r"w^{\gamma(w)} \to 1\ (A > 0),\quad \gamma(w) \to g\ (A < 0),\quad w \to \infty",
    subject=own_exponent,
    expect=Verdict.VERIFIED,
    source=f"the exponents 0 and g are those of {LINE}: is_reshape_v3_renyi.md 7.4, as tau -> 0"
    " and T -> infinity; at fixed tau and T, and for the weight itself, new here",
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


def kernel_weight(w: Number, gamma: Number, width: Number, m: Arithmetic) -> Number:
    """f(w) = (1 - g) + g w K(w - 1), K(x) = sech(x/c)^2, versions 4 (c = 2/tau) and 6 (c = tau)."""
    return (1 - gamma) + gamma * w * sech2((w - 1) / width, m)


def sech2(x: Number, m: Arithmetic) -> Number:
    """sech(x)^2 = 4 / (e^x + e^(-x))^2."""
    twice = m.exp(x) + m.exp(-x)
    return 4 / (twice * twice)


V4 = Draft(
    "LINE.v4",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("v4 to v6: the weight peaks on policy", "v4 至 v6：权重在 w=1（on-policy）处最大"),
    finding=Text(
        "False: the kernel is largest at w = 1, but it is multiplied by w; with version 4's kernel"
        " at tau = 1 the weight of gamma = 1 is 2 sech(1/2)^2 = 1.57 at w = 2, and 1 at w = 1.",
        "不成立：核在 w = 1 处最大，但还要乘以 w；v4 的核取 τ = 1、γ = 1 时，"
        "w = 2 处权重为 2 sech(1/2)² = 1.57，而 w = 1 处为 1。",
    ),
    statement=r"f_\gamma(w) \le f_\gamma(1),\quad f_\gamma(w) = (1-\gamma) + \gamma\,w\,K(w-1),"
    r"\ K(x) = \mathrm{sech}^2(\tau x/2)",
    subject=kernel_weight,
    expect=Verdict.REFUTED,
    source=f"{LINE}: is_reshape_v4_reward_modulated.md 2.2, is_reshape_v6_fdivergence.md 3.1",
    sharpens=("D4.1", "ABS.1"),
    uses=("ABS.1",),
    reading="version 4 says it of sech^2, version 6 of a Gaussian kernel, where it is false too: "
    "w e^(-(w-1)^2/2) is largest at w (w - 1) = 1; that gamma = 1 is RL with a kernel, and not RL, "
    "both say themselves",
)
AT_TWO = Witness.at(w=2, gamma=1, tau=1)


@V4.symbolic(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Exactly at w = 2 and at w = 1."""
    one, two = sympy.Integer(1), sympy.Integer(2)
    far, here = (weight(w, one, two, Exact) for w in (two, one))
    return symbolic.compare(far, "<=", here, witness=AT_TWO)


@V4.certified(Scope("the witness"))
def _(weight: Any) -> Answer:
    """In balls at w = 2 and at w = 1."""
    one, two = flint.arb(1), flint.arb(2)
    far, here = (weight(w, one, two, Ball) for w in (two, one))
    return certified.compare(far, "<=", here, witness=AT_TWO)


@V4.margin(spaces.plain(w=("1/10", "5"), gamma=("1/10", "1"), width=("1/2", "4")))
def _(weight: Any, case: Any, m: Any) -> Any:
    gamma, width = m.number(case["gamma"]), m.number(case["width"])
    return weight(m.number(1), gamma, width, m) - weight(m.number(case["w"]), gamma, width, m)


@V4.right("the kernel alone, without w")
def _(w: Any, gamma: Any, width: Any, m: Any) -> Any:
    return (1 - gamma) + gamma * sech2((w - 1) / width, m)


class Hump(NamedTuple):
    """A weight of w, gamma and the kernel's width, and what is 0 where it is largest."""

    weight: Any
    stationary: Any


def past_one(w: Number, width: Number, m: Arithmetic) -> Number:
    """2 w tanh((w - 1)/c) - c, which has the sign of -f'(w)."""
    up, down = m.exp((w - 1) / width), m.exp((1 - w) / width)
    return 2 * w * (up - down) / (up + down) - width


HUMP = Hump(kernel_weight, past_one)

V4_FIX = Draft(
    "LINE.v4.fix",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("v4 to v6: the weight peaks past w = 1", "v4 至 v6：权重的峰在 w=1 之后"),
    finding=Text(
        "At w = 1 the weight has the slope gamma of w^gamma, so it peaks later: at tau = 1 at 2.06"
        " with version 4's kernel and at 1.38 with version 6's; far from 1 it is 1 - gamma.",
        "w = 1 处权重的斜率为 γ（与 w^γ 相同），故峰在其后：τ = 1 时 v4 的核在 2.06、v6 的在 1.38；"
        "远离 1 时权重为 1−γ。",
    ),
    statement=r"f_\gamma(1) = 1,\quad f_\gamma'(1) = \gamma,\quad"
    r" f_\gamma''(1) = -2\gamma/c^2,\quad \arg\max_w f_\gamma = w_c,\ "
    r"2 w_c\tanh\tfrac{w_c-1}{c} = c,\ w_c > 1,\quad f_\gamma(w) \to 1-\gamma\ (w \to \infty)",
    subject=HUMP,
    expect=Verdict.VERIFIED,
    source="new here",
    sharpens=("D4.1",),
    amends=("LINE.v4",),
    uses=("D4.1",),
    reading="gamma > 0 and K(x) = sech(x/c)^2, c = 2/tau in version 4 and c = tau in version 6; the"
    " curvature is that of w^gamma where c^2 (1 - gamma) = 2; the limit needs x K(x) -> 0",
)


@V4_FIX.symbolic(Scope("every gamma and width", whole=True))
def _(hump: Hump) -> Answer:
    """Value, slope, bend, limit; the slope's factor: positive up to w = 1, then falling past 0."""
    f = hump.weight(W, GAMMA, WIDTH, Exact)
    at_one = [sympy.simplify(sympy.diff(f, W, k).subs(W, 1)) for k in range(3)]
    gap = hump.stationary(W, WIDTH, Exact)
    turn = 2 * W * sympy.tanh((W - 1) / WIDTH) - WIDTH
    slope = -GAMMA * sympy.sech((W - 1) / WIDTH) ** 2 / WIDTH * turn
    # w = 1 + b, and w = 1/(1 + b) with 1 - w = b/(1 + b).
    past, before = 1 + SIZE, 1 / (1 + SIZE)
    rise = 2 * sympy.tanh(SIZE / WIDTH) + 2 * past * sympy.sech(SIZE / WIDTH) ** 2 / WIDTH
    early = 2 * before * sympy.tanh(SIZE * before / WIDTH) + WIDTH
    late = (4 * sympy.tanh(2) - 1) * WIDTH + 2 * sympy.tanh(2)
    return all_of(
        [
            symbolic.equal(at_one[0], 1),
            symbolic.equal(at_one[1], GAMMA),
            symbolic.equal(at_one[2], -2 * GAMMA / WIDTH**2),
            symbolic.equal(gap, turn, reduce=_by_exp),
            symbolic.equal(sympy.diff(f, W), slope, reduce=_by_exp),
            symbolic.equal(sympy.diff(turn, W).subs(W, past), rise, reduce=_by_exp),
            symbolic.equal(-turn.subs(W, before), early, reduce=_by_exp),
            symbolic.equal(turn.subs(W, 1 + 2 * WIDTH), late),
            symbolic.positive(rise),
            symbolic.positive(early),
            symbolic.positive(4 * sympy.tanh(2) - 1),
            # sech(x)^2 <= 4 e^(-2x), and with x = (w - 1)/c what is left of w K tends to 0.
            symbolic.limit((1 + WIDTH * LEVEL) * sympy.exp(-2 * LEVEL), LEVEL, sympy.oo, 0),
            symbolic.equal(f - (1 - GAMMA), GAMMA * W * sech2((W - 1) / WIDTH, Exact)),
        ]
    )


def _by_exp(difference: Any) -> Any:
    """Reduce hyperbolic functions to exponentials."""
    return sympy.simplify(difference.rewrite(sympy.exp))


WIDTHS = {
    Fraction(2): ("1/2", "1", "2", "17/8", "5/2", "3"),
    Fraction(1): ("1", "11/8", "7/5", "2"),
}
"""The kernel's width, and weights: the peak lies between the middle two."""


@V4_FIX.certified(Scope("gamma = 1/3, widths 1 and 2, w from 1/2 to 3"))
def _(hump: Hump) -> Answer:
    """A power series at 1; box by box the weight rises to just before the peak and then falls."""
    gamma, answers = Fraction(1, 3), []
    g = Ball.number(gamma)
    for width, places in WIDTHS.items():
        c = Ball.number(width)

        def slopes(w: Any, c: Any = c) -> list[Any]:
            return certified.derivatives(lambda x: hump.weight(x, g, c, Jet), w, 2)

        def slope(w: Any, of: Any = slopes) -> Any:
            return of(w)[1]

        def at(w: Any, width: Fraction = width) -> Witness:
            return Witness.at(w=w, gamma=gamma, c=width)

        stated = [flint.arb(1), g, -2 * g / c**2]
        answers.append(certified.agree(slopes(flint.arb(1)), stated, witnesses=[at(1)] * 3))
        middle = len(places) // 2
        for k, box in enumerate(pairwise(map(Fraction, places)), start=1):
            if k != middle:
                answers.append(certified.sign_on(slope, box, positive=k < middle, witness=at))
        for place, sign in zip(places[middle - 1 : middle + 1], "<>", strict=True):
            here = hump.stationary(Ball.number(place), c, Ball)
            answers.append(certified.compare(here, sign, flint.arb(0), witness=at(place)))
    return all_of(answers)


@V4_FIX.neural(Scope("gamma = 1/3, widths 1 and 2"))
def _(hump: Hump) -> Answer:
    """The slope at 1 by autograd, beside that of w^gamma, and at the peak, where it is 0."""
    gamma, answers = neural.tensor(Fraction(1, 3)), []
    for width in WIDTHS:
        c = neural.tensor(width)

        def weight(w: Any, c: Any = c) -> Any:
            return hump.weight(w, gamma, c, Tensor).sum()

        peak = peak_of(hump.stationary, width)
        if peak is None:
            return Answer(Outcome.UNDECIDED, Strength.AGREEMENT, detail="no change of sign")
        one = neural.tensor([1.0])
        slopes = [neural.gradient(weight, w) for w in (one, neural.tensor([float(peak.mid())]))]
        expected = neural.gradient(lambda w: (w**gamma).sum(), one)
        at = Witness.at(gamma=Fraction(1, 3), c=width)
        answers += [
            neural.close(slopes[0], expected, witness=at),
            neural.close(slopes[1], [0], witness=at),
        ]
    return all_of(answers)


def peak_of(stationary: Any, width: Fraction) -> Any:
    """Enclose where a kernel's weight is largest, None without a change of sign."""
    c = Ball.number(width)
    return certified.root(lambda w: stationary(w, c, Ball), Fraction(1), Fraction(3))


V4_FIX.wrong_value(
    "the kernel about 0",
    HUMP._replace(weight=lambda w, g, c, m: (1 - g) + g * w * sech2(w / c, m)),
)
V4_FIX.wrong_value(
    "the kernel on the whole weight",
    HUMP._replace(weight=lambda w, g, c, m: ((1 - g) + g * w) * sech2((w - 1) / c, m)),
)
V4_FIX.wrong_value(
    "gamma exchanged", HUMP._replace(weight=lambda w, g, c, m: kernel_weight(w, 1 - g, c, m))
)
V4_FIX.wrong_value(
    "the peak of w sech", HUMP._replace(stationary=lambda w, c, m: past_one(w, 2 * c, m))
)


@V4_FIX.number("the peak and its height, version 4 at tau = 1 and version 6's sech^2 at tau = 1")
def _() -> str:
    peaks = [(width, peak_of(past_one, width)) for width in WIDTHS]
    one = flint.arb(1)
    heights = [(w, kernel_weight(w, one, Ball.number(c), Ball)) for c, w in peaks]
    return ", ".join(certified.digits(x) for pair in heights for x in pair)


CLAIMS = frozen(V31, V31_FIX, V4, V4_FIX)

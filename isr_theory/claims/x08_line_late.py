"""The line's own later claims, III: a soft minimum of log w, and the relative density ratio.

Version 9 bends log w towards a cap before it differentiates e^(log w), one way for each sign of the
advantage. Version 10 weighs by pi over a mixture of pi and mu, and writes that weight in two forms.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.x08_line import LINE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS

LEVEL, CAP, X = sympy.symbols("l C x", real=True)
TAU, LAM, W, U, B = sympy.symbols("tau lambda w u b", positive=True)
V9_FILE = f"{LINE}: is_reshape_v9_information_bottleneck.md"
V10_FILE = f"{LINE}: is_reshape_v10_harmonic.md"


def soft_minimum(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """C - tau softplus((C - log w)/tau): what version 9 puts for log w where A > 0."""
    return cap - tau * m.log(1 + m.exp((cap - level) / tau))


def soft_maximum(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """-C + tau softplus((C + log w)/tau): what version 9 puts for log w where A < 0."""
    return -soft_minimum(-level, cap, tau, m)


def printed_slope(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """sigma((log w - C)/tau), as printed."""
    return 1 / (1 + m.exp((cap - level) / tau))


V9_SLOPE = Draft(
    "LINE.slope",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v9: the slope of the soft minimum", "v9：软最小值的斜率"),
    finding=Text(
        "A sign slip: the slope is sigma((C - log w)/tau), near 1 far below C, as version 9 says"
        " beside it; the printed one is near 0 there. At log w = 0, C = tau = 1: 0.731, not 0.269.",
        "符号笔误：斜率应为 σ((C−log w)/τ)，在远低于 C 处近 1（原文旁注亦如此），"
        "而原文公式在该处近 0。log w = 0、C = τ = 1 时为 0.731，而非 0.269。",
    ),
    statement=r"\frac{d}{d\log w}\bigl[C - \tau\log(1 + e^{(C-\log w)/\tau})\bigr]"
    r" = \sigma\bigl((\log w - C)/\tau\bigr)",
    subject=printed_slope,
    expect=Verdict.REFUTED,
    source=f"{V9_FILE} 9.2, 9.3 and B.2",
    sharpens=("D1.1",),
    uses=("D1.1",),
    reading="for A > 0; the slope printed for A < 0 is right",
)
AT_ZERO = Witness.at(log_w=0, C=1, tau=1)


@V9_SLOPE.symbolic(Scope("the witness"))
def _(slope: Any) -> Answer:
    """Differentiate the soft minimum."""
    one = sympy.Integer(1)
    true = sympy.diff(soft_minimum(LEVEL, one, one, Exact), LEVEL).subs(LEVEL, 0)
    return symbolic.compare(slope(sympy.S.Zero, one, one, Exact), "==", true, witness=AT_ZERO)


@V9_SLOPE.certified(Scope("the witness"))
def _(slope: Any) -> Answer:
    """The soft minimum as a power series in balls."""
    zero, one = flint.arb(0), flint.arb(1)
    true = certified.derivatives(lambda x: soft_minimum(x, one, one, Jet), zero, 1)[1]
    return certified.agree([slope(zero, one, one, Ball)], [true], witnesses=[AT_ZERO])


@V9_SLOPE.right("C - log w")
def _(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return 1 / (1 + m.exp((level - cap) / tau))


def gained(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """Return w (1 + (w/e^C)^(1/tau))^(-1-tau), version 9's gradient weight where A > 0."""
    return m.exp(level) * m.power(1 + m.exp((level - cap) / tau), -(1 + tau))


def lost(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """Return w (1 + (w e^C)^(-1/tau))^(tau-1), version 9's gradient weight where A < 0."""
    return m.exp(level) * m.power(1 + m.exp(-(level + cap) / tau), tau - 1)


V9_BOUND = Draft(
    "LINE.bound",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("v9: softplus bounds the weight", "v9：Softplus 截断保证权重有界"),
    finding=Text(
        "False where the advantage is negative, which bends log w from below only: at C = 1/2 and"
        " tau = 1, the defaults, the gradient weight is w itself.",
        "优势为负时不成立：此时只从下方截断 log w；默认 C = 1/2、τ = 1 时梯度权重恰为 w 本身。",
    ),
    statement=r"e^{\tilde\rho}\,\frac{d\tilde\rho}{d\log w} \le e^C,\quad"
    r" \tilde\rho = -C + \tau\log(1 + e^{(C+\log w)/\tau})\quad (A < 0)",
    subject=soft_maximum,
    expect=Verdict.REFUTED,
    source=f"{V9_FILE} 8.4 and 12",
    sharpens=("D1.1",),
    uses=("D1.1",),
    reading="that weights are bounded is read as a bound by e^C, the bandwidth, which they keep"
    " where A > 0; where A < 0 no bound holds",
)
AT_EIGHT = Witness.at(log_w=8, C=Fraction(1, 2), tau=1)


@V9_BOUND.symbolic(Scope("the witness"))
def _(bent: Any) -> Answer:
    """Differentiate e^(bent log w) at log w = 8."""
    half = sympy.Rational(1, 2)
    weight = sympy.diff(sympy.exp(bent(LEVEL, half, sympy.Integer(1), Exact)), LEVEL)
    return symbolic.compare(weight.subs(LEVEL, 8), "<=", sympy.exp(half), witness=AT_EIGHT)


@V9_BOUND.certified(Scope("the witness"))
def _(bent: Any) -> Answer:
    """The same as a power series in balls."""
    weight = slope_of_exp(bent, Fraction(8), Fraction(1, 2), Fraction(1))
    return certified.compare(weight, "<=", Ball.exp(Ball.number("1/2")), witness=AT_EIGHT)


V9_BOUND.right_value("the soft minimum for either sign", soft_minimum)


def slope_of_exp(bent: Any, level: Fraction, cap: Fraction, tau: Fraction) -> Any:
    """Enclose d e^(bent log w) / d log w, the gradient weight of version 9's objective."""
    c, t = Ball.number(cap), Ball.number(tau)
    return certified.derivatives(lambda x: Jet.exp(bent(x, c, t, Jet)), Ball.number(level), 1)[1]


class Soft(NamedTuple):
    """Gradient weights where A > 0 and where A < 0, and the log w at which the first is largest."""

    gained: Any
    lost: Any
    peak: Any


def soft_peak(cap: Number, tau: Number, m: Arithmetic) -> Number:
    """C + tau log tau."""
    return cap + tau * m.log(tau)


SOFT = Soft(gained, lost, soft_peak)

V9 = Draft(
    "LINE.v9",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v9: the gradient weights of the soft minimum", "v9：软最小值目标的梯度权重"),
    finding=Text(
        "Where A > 0 a hump, at tau = 1 LUFFY's: like w for small w, e^C/4 at its peak w = e^C, and"
        " fading beyond. Where A < 0 it rises without bound, and at tau = 1 it is w exactly.",
        "A > 0 时为驼峰（τ=1 时即 LUFFY 的）：w 小时同 w，峰在 w = e^C，高 e^C/4，其后衰减；"
        "A < 0 时随 w 无界上升，τ=1 时恰为 w。",
    ),
    statement=r"\frac{d e^{\tilde\rho}}{d\log w} ="
    r" w\,\bigl(1 + (w e^{-C})^{1/\tau}\bigr)^{-1-\tau}\ (A > 0),\quad"
    r" w\,\bigl(1 + (w e^C)^{-1/\tau}\bigr)^{\tau-1}\ (A < 0);\quad"
    r" \arg\max = \tau^\tau e^C\ (A > 0)",
    subject=SOFT,
    expect=Verdict.VERIFIED,
    source=f"the objective: {V9_FILE} 9.1; its weights in closed form, peak and growth: new here",
    sharpens=("D4.1", "ABS.1"),
    amends=("LINE.slope", "LINE.bound"),
    uses=("D1.1", "FAM.differentiated"),
    reading="the objective is E_mu[e^rho~ A] with rho~ a soft minimum of log w and C where A > 0,"
    " a soft maximum of log w and -C where A < 0; it is differentiated through e^rho~",
)


@V9.symbolic(Scope("every C, tau > 0 and w > 0", whole=True))
def _(soft: Soft) -> Answer:
    """Differentiate e^rho~; the logarithmic slopes; both weights at tau = 1, and beside w."""
    up, down = (f(LEVEL, CAP, TAU, Exact) for f in (soft.gained, soft.lost))
    objectives = [sympy.exp(bent(LEVEL, CAP, TAU, Exact)) for bent in (soft_minimum, soft_maximum)]
    # log w = C + tau log u for the one, and -C + tau log u for the other.
    places = [{LEVEL: sign * CAP + TAU * sympy.log(U)} for sign in (1, -1)]
    ratios = [
        (f / sympy.diff(own, LEVEL)).subs(at)
        for f, own, at in zip((up, down), objectives, places, strict=True)
    ]
    # From the peak on by tau x: minus a number with the sign of x.
    turn = sympy.diff(sympy.expand_log(sympy.log(up), force=True), LEVEL)
    turn = turn.subs(LEVEL, soft.peak(CAP, TAU, Exact) + TAU * X)
    falls = -2 * sympy.exp(-X / 2) * sympy.sinh(X / 2) / (TAU + sympy.exp(-X))
    rise = sympy.diff(sympy.expand_log(sympy.log(down), force=True), LEVEL).subs(places[1])
    top, own = sympy.exp(CAP), {TAU: 1, LEVEL: sympy.log(W)}
    return all_of(
        [
            *(symbolic.equal(ratio, 1, reduce=_to_one) for ratio in ratios),
            symbolic.equal(turn, falls, reduce=lambda d: sympy.simplify(d.rewrite(sympy.exp))),
            symbolic.positive(-falls.subs(X, B)),
            symbolic.positive(falls.subs(X, -B)),
            symbolic.positive(sympy.factor(rise)),
            symbolic.equal(up.subs(own), top**2 * W / (W + top) ** 2),
            symbolic.equal(up.subs(own).subs(W, top), top / 4),
            symbolic.equal(down.subs(own), W),
            symbolic.limit((up / sympy.exp(LEVEL)).subs(places[0]), U, 0, 1),
            symbolic.limit((down / sympy.exp(LEVEL)).subs(places[1]), U, sympy.oo, 1),
        ]
    )


def _to_one(excess: Any) -> Any:
    """Reduce a positive ratio less 1 through its logarithm."""
    return sympy.simplify(sympy.expand_log(sympy.log(sympy.factor(excess + 1)), force=True))


POINTS = [
    tuple(map(Fraction, words.split())) for words in ("-2 1 1/2", "3 1 2", "1/3 1/2 1", "4 -1 3/2")
]


@V9.certified(Scope("four points with log w from -2 to 4, and one peak"))
def _(soft: Soft) -> Answer:
    """The slopes of e^rho~ as power series in balls; the weight 1/10 beside its peak."""
    found, stated, witnesses = [], [], []
    for level, cap, tau in POINTS:
        numbers = [Ball.number(x) for x in (level, cap, tau)]
        found += [f(*numbers, Ball) for f in (soft.gained, soft.lost)]
        stated += [slope_of_exp(f, level, cap, tau) for f in (soft_minimum, soft_maximum)]
        witnesses += [Witness.at(log_w=level, C=cap, tau=tau)] * 2
    cap, tau = Ball.number("1/2"), Ball.number("3/2")
    top = soft.peak(cap, tau, Ball)
    here, *beside = (
        soft.gained(top + Ball.number(x), cap, tau, Ball) for x in ("0", "-1/10", "1/10")
    )
    at = Witness.at(C=Fraction(1, 2), tau=Fraction(3, 2))
    peak = [certified.compare(here, ">", value, witness=at) for value in beside]
    return all_of([certified.agree(found, stated, witnesses=witnesses), *peak])


@V9.neural(Scope("four points with log w from -2 to 4"))
def _(soft: Soft) -> Answer:
    """Autograd through the exponential of torch's own softplus."""
    softplus = neural.torch().nn.functional.softplus

    def at(level: Fraction, cap: Fraction, tau: Fraction) -> Answer:
        x, c, t = (neural.tensor([value]) for value in (level, cap, tau))
        slopes = [
            neural.gradient(lambda y: (c - t * softplus((c - y) / t)).exp().sum(), x),
            neural.gradient(lambda y: (-c + t * softplus((c + y) / t)).exp().sum(), x),
        ]
        weights = [f(x, c, t, Tensor) for f in (soft.gained, soft.lost)]
        witness = Witness.at(log_w=level, C=cap, tau=tau)
        return all_of(
            neural.close(*both, witness=witness) for both in zip(weights, slopes, strict=True)
        )

    return all_of(at(*point) for point in POINTS)


def _slope_alone(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return 1 / (1 + m.exp((level - cap) / tau))


def _as_printed(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return m.exp(soft_minimum(level, cap, tau, m)) * printed_slope(level, cap, tau, m)


V9.wrong_value("the slope of the soft minimum alone", SOFT._replace(gained=_slope_alone))
V9.wrong_value("with the slope as printed", SOFT._replace(gained=_as_printed))
V9.wrong_value(
    "a mirrored hump where A < 0",
    SOFT._replace(lost=lambda level, cap, tau, m: gained(-level, cap, tau, m)),
)
V9.wrong_value("the peak at C whatever tau", SOFT._replace(peak=lambda cap, tau, m: cap))
V9.wrong_value("w where A < 0, whatever tau", SOFT._replace(lost=lambda x, cap, tau, m: m.exp(x)))


def relative_ratio(w: Number, lam: Number, m: Arithmetic) -> Number:
    """(1 + l) w / (1 + l w), version 10."""
    return (1 + lam) * w / (1 + lam * w)


V10 = Draft(
    "LINE.v10",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v10: the relative density ratio", "v10：相对密度比"),
    finding=Text(
        "It is pi over the mixture a pi + (1 - a) mu with a = l/(1 + l): rising in w, bounded by"
        " 1/a, 1 at w = 1, with slope 1 - a there, like w^(1-a).",
        "即 π 与混合 aπ+(1−a)μ 之比，a = l/(1+l)：随 w 递增，上界 1/a，w=1 处为 1，"
        "斜率为 1−a，与 w^{1−a} 相同。",
    ),
    statement=r"\frac{(1+l)w}{1+lw} = \frac{\pi}{a\pi + (1-a)\mu},\quad a = \tfrac{l}{1+l}",
    subject=relative_ratio,
    expect=Verdict.VERIFIED,
    source="Yamada, Suzuki, Kanamori, Hachiya and Sugiyama 2011 (RuLSIF), for the ratio",
    sharpens=("D4.1",),
    uses=("D4.1",),
    reading="judged as a detached weight, as version 10 derives it (3.4); its code differentiates"
    " the ratio, which gives w times its slope instead, a hump (FAM.luffy.fix)",
)


@V10.symbolic(Scope("every l > 0 and w > 0", whole=True))
def _(ratio: Any) -> Answer:
    """The mixture's ratio, its value and slope at 1, its bound and its sign of slope."""
    f = ratio(W, LAM, Exact)
    a = LAM / (1 + LAM)
    return all_of(
        [
            symbolic.equal(f, W / (a * W + 1 - a)),
            symbolic.equal(f.subs(W, 1), 1),
            symbolic.equal(sympy.diff(f, W).subs(W, 1), 1 - a),
            symbolic.positive(sympy.factor(sympy.diff(f, W))),
            symbolic.positive(sympy.factor(1 / a - f)),
            symbolic.limit(f, W, sympy.oo, 1 / a, direction="-"),
        ]
    )


@V10.certified(Scope("four arms, l = 2/3"))
def _(ratio: Any) -> Answer:
    """Masses of the policy over those of the mixture, outcome by outcome, in balls."""
    mu, pi, _ = FOUR_ARMS.numbers(Ball)
    lam, share = Ball.number("2/3"), Ball.number("2/5")
    found = [ratio(b / a, lam, Ball) for a, b in zip(mu, pi, strict=True)]
    mixed = [b / (share * b + (1 - share) * a) for a, b in zip(mu, pi, strict=True)]
    at = witness_of(FOUR_ARMS, l=Fraction(2, 3))
    return certified.agree(found, mixed, witnesses=[at] * len(mu))


@V10.wrong("l for the share of pi")
def _(w: Any, lam: Any, m: Any) -> Any:
    return w / (lam * w + 1 - lam)


@V10.wrong("mu and pi exchanged in the mixture")
def _(w: Any, lam: Any, m: Any) -> Any:
    return (1 + lam) * w / (lam + w)


@V10.wrong("not normed at w = 1")
def _(w: Any, lam: Any, m: Any) -> Any:
    return w / (1 + lam * w)


def plain_form(w: Number, beta: Number, m: Arithmetic) -> Number:
    """w/(w + b), version 10's second form."""
    return w / (w + beta)


FORMS = Draft(
    "LINE.forms",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v10: its two forms differ by a constant", "v10：两种形式仅差常数因子"),
    finding=Text(
        "False unless b = 1: at b = 10 the ratio of (1+b)w/(1+bw) to w/(w+b) is 55.6 at w = 1/10,"
        " 11 at w = 1 and 2.18 at w = 10, which no learning rate absorbs.",
        "除 b = 1 外不成立：b = 10 时 (1+b)w/(1+bw) 与 w/(w+b) 之比在 w = 1/10、1、10 处为"
        " 55.6、11、2.18，学习率无法吸收。",
    ),
    statement=r"\frac{(1+b)w}{1+bw} \propto \frac{w}{w+b}",
    subject=plain_form,
    expect=Verdict.REFUTED,
    source=f"{V10_FILE} 3.4",
    sharpens=("D4.1",),
    uses=("D4.1", "LINE.v10"),
    reading="proportional with one factor for all w, for each b > 0",
)
AT_TEN = Witness.at(b=10, w=(Fraction(1, 10), 1))


@FORMS.symbolic(Scope("the witness"))
def _(form: Any) -> Answer:
    """Each form at one w times the other at the other, in rationals."""
    b, low, one = sympy.Integer(10), sympy.Rational(1, 10), sympy.Integer(1)
    left = relative_ratio(low, b, Exact) * form(one, b, Exact)
    return symbolic.compare(
        left, "==", relative_ratio(one, b, Exact) * form(low, b, Exact), witness=AT_TEN
    )


@FORMS.certified(Scope("the witness"))
def _(form: Any) -> Answer:
    """Masses over those of the mixture, outcome by outcome, in balls."""
    b, share = flint.arb(10), Ball.number("10/11")
    weights = [Ball.number("1/10"), flint.arb(1)]
    # mu = 1 and pi = w, relative to one another: pi over a pi + (1 - a) mu, a = b/(1 + b).
    first = [w / (share * w + 1 - share) for w in weights]
    other = [form(w, b, Ball) for w in weights]
    return certified.agree([first[0] * other[1]], [first[1] * other[0]], witnesses=[AT_TEN])


@FORMS.right("1/b for b")
def _(w: Any, beta: Any, m: Any) -> Any:
    return w / (w + 1 / beta)


class Forms(NamedTuple):
    """The b of the first form that a b of the second stands for, and the factor between them."""

    other: Any
    factor: Any


MATCH = Forms(lambda b: 1 / b, lambda b: 1 / (1 + b))

FORMS_FIX = Draft(
    "LINE.forms.fix",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v10: the second form has 1/b for b", "v10：第二种形式相当于以 1/b 代 b"),
    finding=Text(
        "w/(w+b) is up to scale the relative ratio of 1/b, so its ends are the other way round: b ="
        " 0 is SFT and large b is RL, while (1+b)w/(1+bw) is RL at b = 0; they agree iff b = 1.",
        "w/(w+b) 与参数 1/b 的相对密度比仅差常数，故两端互换：它在 b = 0 为 SFT、b 大时为 RL，"
        "而 (1+b)w/(1+bw) 在 b = 0 为 RL；当且仅当 b = 1 时一致。",
    ),
    statement=r"\frac{w}{w+b} = \frac{1}{1+b}\cdot\frac{(1+1/b)w}{1+w/b},\quad"
    r" \frac{(1+b)w}{1+bw} \propto \frac{w}{w+b} \iff b = 1",
    subject=MATCH,
    expect=Verdict.VERIFIED,
    source="new here",
    sharpens=("D4.1",),
    amends=("LINE.forms",),
    uses=("LINE.v10",),
    reading="b > 0; so too (1/b) log(1 + b w), which version 10 gives as the objective of w/(w+b)"
    " (5.1), is that of w/(1+bw), and log(w + b) is the other's",
)


@FORMS_FIX.symbolic(Scope("every b > 0 and w > 0", whole=True))
def _(match: Forms) -> Answer:
    """The two forms made equal; the slope of their ratio's logarithm at equal b; objectives."""
    second = plain_form(W, B, Exact)
    first = relative_ratio(W, match.other(B), Exact)
    apart = sympy.diff(sympy.log(relative_ratio(W, B, Exact) / second), W)
    return all_of(
        [
            symbolic.equal(second, match.factor(B) * first),
            # Of the sign of 1 - b^2, and so 0 at b = 1 only.
            symbolic.equal(apart, (1 - B**2) / ((W + B) * (1 + B * W))),
            symbolic.equal(W * sympy.diff(sympy.log(W + B), W), second),
            symbolic.equal(W * sympy.diff(sympy.log(1 + B * W) / B, W), W / (1 + B * W)),
        ]
    )


@FORMS_FIX.certified(Scope("four arms, b = 10"))
def _(match: Forms) -> Answer:
    """Masses of the policy over those of the matching mixture, outcome by outcome, in balls."""
    mu, pi, _ = FOUR_ARMS.numbers(Ball)
    b = flint.arb(10)
    share = match.other(b) / (1 + match.other(b))
    rows = list(zip(mu, pi, strict=True))
    found = [b_ / (b_ + b * a) for a, b_ in rows]
    mixed = [match.factor(b) * b_ / (share * b_ + (1 - share) * a) for a, b_ in rows]
    return certified.agree(found, mixed, witnesses=[witness_of(FOUR_ARMS, b=10)] * len(mu))


FORMS_FIX.wrong_value("the same b", MATCH._replace(other=lambda b: b))
FORMS_FIX.wrong_value("no factor", MATCH._replace(factor=lambda b: 1 + 0 * b))
FORMS_FIX.wrong_value("b/(1 + b) for the factor", MATCH._replace(factor=lambda b: b / (1 + b)))
FORMS_FIX.wrong_value("b squared", MATCH._replace(other=lambda b: 1 / (b * b)))


CLAIMS = frozen(V9_SLOPE, V9_BOUND, V9, V10, FORMS, FORMS_FIX)

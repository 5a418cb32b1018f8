"""Past section 4: the weight functions that others use, made equal where they are, and compared.

LUFFY's ratio, the sub-Gaussian weight and the relative density ratio are one function up to scale,
v11 of the line that this paper comes from is DRos, and VESPO without its exponential is w^gamma. Of
all of them w^gamma alone has a constant local exponent.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import W
from isr_theory.claims.x06_families import SHARE, gradient_weight
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS

A, B, C, G, L, N, Q = sympy.symbols("a b c g l n q", positive=True)
TENTH = Fraction(1, 10)


def saturating(w: Number, c: Number, m: Arithmetic) -> Number:
    """Return w / (w + c), LUFFY's ratio."""
    return w / (w + c)


LUFFY = Draft(
    "FAM.luffy",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("LUFFY weighs gradients by w/(w + c)", "LUFFY 的梯度权重为 w/(w+c)"),
    finding=Text(
        "False: the ratio is differentiated, and from w = 1/10 to 1 its gradient weight falls from "
        "1/4 to 10/121 while w/(w + c) rises from 1/2 to 10/11.",
        "不成立：该比率被求导；w 由 1/10 升至 1 时梯度权重由 1/4 降至 10/121，"
        "而 w/(w+c) 由 1/2 升至 10/11。",
    ),
    statement=r"\nabla_\theta \tfrac{w}{w + c}"
    r" \propto \tfrac{w}{w + c}\,\nabla_\theta\log\pi_\theta",
    subject=saturating,
    expect=Verdict.REFUTED,
    uses=("FAM.differentiated",),
    sharpens=("D1.1",),
    source="practice: Yan et al. 2025 (LUFFY), whose shaping function is read as a weight",
    reading="proportional with one factor for all w, at c = 1/10",
)
RISING = Witness.at(c=TENTH, w=(TENTH, 1))


@LUFFY.symbolic(Scope("the witness"))
def _(ratio: Any) -> Answer:
    """Both gradient weights by calculus, each times the other's w/(w + c), in rationals."""
    c = sympy.Rational(1, 10)
    weight = W * sympy.diff(ratio(W, c, Exact), W)
    shape = W / (W + c)
    one, other = (weight.subs(W, x) * shape.subs(W, y) for x, y in ((1, c), (c, 1)))
    return symbolic.compare(one, "==", other, witness=RISING)


def slope_in_log_w(ratio: Any, w: Any, c: Any) -> Any:
    """Enclose d h(w) / d log w, the gradient weight of a ratio that is differentiated."""
    return certified.derivatives(lambda t: ratio(w * Jet.exp(t), c, Jet), flint.arb(0), 1)[1]


@LUFFY.certified(Scope("the witness"))
def _(ratio: Any) -> Answer:
    """The same with slopes in log w from power series."""
    c = Ball.number(TENTH)
    places = [c, Ball.number(1)]
    weights = [slope_in_log_w(ratio, w, c) for w in places]
    shapes = [w / (w + c) for w in places]
    return certified.agree([weights[1] * shapes[0]], [weights[0] * shapes[1]], witnesses=[RISING])


@LUFFY.right("the logarithm, whose gradient weight it is")
def _(w: Any, c: Any, m: Any) -> Any:
    return m.log(w + c)


class Saturating(NamedTuple):
    """Parameters by which three weights agree, from the share l, and LUFFY's gradient weight."""

    c: Any
    relative: Any
    weight: Any


MATCHED = Saturating(
    c=lambda share: (1 - share) / share,
    relative=lambda share: share / (1 - share),
    weight=lambda w, c: c * w / ((w + c) * (w + c)),
)

LUFFY_FIX = Draft(
    "FAM.luffy.fix",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("One saturating weight under three names", "同一饱和权重的三个名字"),
    finding=Text(
        "Detached, the three are one function up to scale; differentiated, w/(w + c) has the hump "
        "c w/(w + c)^2, largest, 1/4, at w = c, so that weights far from c hardly count.",
        "不求导时三者仅差一个常数；求导时 w/(w+c) 的权重为驼峰 c w/(w+c)²，"
        "在 w=c 处最大（1/4），远离 c 者几乎不起作用。",
    ),
    statement=r"\tfrac{(1 + c) w}{w + c} = \tfrac{w}{1 - l + l w} = \tfrac{(1 + k) w}{1 + k w},"
    r"\ c = \tfrac{1-l}{l},\ k = \tfrac{l}{1-l};\quad w\,\tfrac{d}{dw}\tfrac{w}{w + c}"
    r" = \tfrac{c w}{(w + c)^2} \le \tfrac14",
    subject=MATCHED,
    expect=Verdict.VERIFIED,
    uses=("FAM.differentiated", "FAM.power"),
    sharpens=("D1.1",),
    amends=("FAM.luffy",),
    source="Yamada et al. 2011 for the relative ratio, Metelli et al. 2021 for the sub-Gaussian "
    "weight, which is the same; the match with LUFFY's, and the hump, new here",
    reading="0 < l < 1, w > 0; of the relative ratio the form that is 1 at w = 1",
)


@LUFFY_FIX.symbolic(Scope("every w, share and c, exactly", whole=True))
def _(named: Any) -> Answer:
    """Three fractions made equal; the derivative; 1/4 less it is a square; equality at w = c."""
    c, k = named.c(SHARE), named.relative(SHARE)
    sub_gaussian = W / (1 - SHARE + SHARE * W)
    weight = named.weight(W, C)
    short = (W - C) ** 2 / (4 * (W + C) ** 2)
    return all_of(
        [
            symbolic.equal((1 + c) * W / (W + c), sub_gaussian),
            symbolic.equal((1 + k) * W / (1 + k * W), sub_gaussian),
            symbolic.equal(weight, W * sympy.diff(saturating(W, C, Exact), W)),
            symbolic.equal(sympy.Rational(1, 4) - weight, short),
        ]
    )


@LUFFY_FIX.certified(Scope("l = 1/4, w = 1/5 and 3; c = 1/10"))
def _(named: Any) -> Answer:
    """Values in balls; slopes in log w from power series; rising before c and falling after."""
    share, c = Ball.number("1/4"), Ball.number(TENTH)
    found, stated, witnesses = [], [], []
    for weight in (Fraction(1, 5), Fraction(3)):
        w = Ball.number(weight)
        own, k = named.c(share), named.relative(share)
        found += [(1 + own) * w / (w + own), (1 + k) * w / (1 + k * w), named.weight(w, c)]
        stated += [w / (1 - share + share * w)] * 2 + [slope_in_log_w(saturating, w, c)]
        witnesses += [Witness.at(w=weight)] * 3

    def slope(w: Any) -> Any:
        return certified.derivatives(lambda x: named.weight(x, c), w, 1)[1]

    signs = [
        certified.sign_on(
            slope,
            (Fraction(low), Fraction(high)),
            positive=rising,
            witness=lambda w: Witness.at(w=w, c=TENTH),
        )
        for low, high, rising in (("1/100", "9/100", True), ("11/100", "1/4", False))
    ]
    return all_of([certified.agree(found, stated, witnesses=witnesses), *signs])


@LUFFY_FIX.neural(Scope("four outcomes with a reward, c = 1/10"))
def _(named: Any) -> Answer:
    """Autograd through the ratio, and of log softmax under detached weights."""
    law, c = FOUR_ARMS, float(TENTH)
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    detached = mu * named.weight(pi / mu, c) * reward
    through = neural.gradient(
        lambda z: (mu * saturating(z.softmax(-1) / mu, c, Tensor) * reward).sum(), logits(law)
    )
    beside = neural.gradient(
        lambda z: (detached * neural.torch().log_softmax(z, -1)).sum(), logits(law)
    )
    return neural.close(through, beside, witness=witness_of(law, c=TENTH))


LUFFY_FIX.wrong_value("c upside down", MATCHED._replace(c=lambda share: share / (1 - share)))
LUFFY_FIX.wrong_value("l for both", MATCHED._replace(relative=lambda share: share))
LUFFY_FIX.wrong_value("the ratio as weight", MATCHED._replace(weight=lambda w, c: w / (w + c)))
LUFFY_FIX.wrong_value("h' without w", MATCHED._replace(weight=lambda w, c: c / ((w + c) * (w + c))))


class Shrinkage(NamedTuple):
    """DRos's parameter from that of w/(1 + l w^2), where it is largest, and its height there."""

    match: Any
    peak: Any
    height: Any


DROS_NAMES = Shrinkage(
    match=lambda lam, m: 1 / lam,
    peak=lambda lam, m: 1 / m.sqrt(lam),
    height=lambda lam, m: 1 / (2 * m.sqrt(lam)),
)


def shrunk(w: Number, lam: Number, m: Arithmetic) -> Number:
    """Return w / (1 + lam w^2)."""
    return w / (1 + lam * w * w)


DROS = Draft(
    "FAM.dros",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("w/(1 + l w^2) is DRos", "w/(1+l w²) 即 DRos 收缩"),
    finding=Text(
        "True with l' = 1/l: it is the v that makes v^2 + l' (1 - v/w)^2 least, and is largest at "
        "w = 1/sqrt(l), past which a larger weight counts for less.",
        "成立，且 l' = 1/l：它是使 v² + l'(1−v/w)² 最小的 v，在 w = 1/√l 处最大，"
        "此后权重越大越不计入。",
    ),
    statement=r"\tfrac{w}{1 + l w^2} = \tfrac{l' w}{w^2 + l'}"
    r" = \arg\min_v\, v^2 + l' (1 - v/w)^2 \le \tfrac{1}{2\sqrt{l}},\quad l' = 1/l",
    subject=DROS_NAMES,
    expect=Verdict.VERIFIED,
    sharpens=("D1.1",),
    source="Su, Dimakopoulou, Krishnamurthy and Dudik 2020 for DRos; the match new here",
    reading="w > 0, l > 0",
)


@DROS.symbolic(Scope("every w and l, exactly", whole=True))
def _(named: Any) -> Answer:
    """The stationary v of the penalty, solved; its bend; the height less the weight, a square."""
    v = sympy.symbols("v", real=True)
    penalty = v**2 + named.match(L, Exact) * (1 - v / W) ** 2
    (least,) = sympy.solve(sympy.diff(penalty, v), v)
    peak = named.peak(L, Exact)
    short = (1 - sympy.sqrt(L) * W) ** 2 / (2 * sympy.sqrt(L) * (1 + L * W**2))
    return all_of(
        [
            symbolic.equal(least, shrunk(W, L, Exact)),
            symbolic.positive(sympy.diff(penalty, v, 2)),
            symbolic.equal(named.height(L, Exact) - shrunk(W, L, Exact), short),
            symbolic.equal(shrunk(peak, L, Exact), named.height(L, Exact)),
        ]
    )


@DROS.certified(Scope("l = 1/3 and 4, w = 1/5 and 3"))
def _(named: Any) -> Answer:
    """The penalty's slope at the weight is 0, and the weight's slope at its peak."""
    found, witnesses = [], []
    for lam in (Fraction(1, 3), Fraction(4)):
        at_lam = Ball.number(lam)
        k, peak = named.match(at_lam, Ball), named.peak(at_lam, Ball)
        for weight in (Fraction(1, 5), Fraction(3)):
            w = Ball.number(weight)

            def penalty(v: Any, w: Any = w, k: Any = k) -> Any:
                return v * v + k * (1 - v / w) * (1 - v / w)

            found.append(certified.derivatives(penalty, shrunk(w, at_lam, Ball), 1)[1])

        def weight_at(w: Any, lam: Any = at_lam) -> Any:
            return shrunk(w, lam, Jet)

        found.append(certified.derivatives(weight_at, peak, 1)[1])
        found.append(shrunk(peak, at_lam, Ball) - named.height(at_lam, Ball))
        witnesses += [Witness.at(l=lam)] * 4
    return certified.agree(found, [flint.arb(0)] * len(found), witnesses=witnesses)


DROS.wrong_value("l' = l", DROS_NAMES._replace(match=lambda lam, m: lam))
DROS.wrong_value("the peak at 1/l", DROS_NAMES._replace(peak=lambda lam, m: 1 / lam))
DROS.wrong_value("twice the height", DROS_NAMES._replace(height=lambda lam, m: 1 / m.sqrt(lam)))
DROS.wrong_value("l' a root", DROS_NAMES._replace(match=lambda lam, m: 1 / m.sqrt(lam)))


class Vespo(NamedTuple):
    """VESPO's weight, where it is largest, and the objective that it is the gradient weight of.

    The objective takes the upper incomplete gamma function of the arithmetic as its last argument.
    """

    weight: Any
    peak: Any
    potential: Any


def vespo_potential(w: Number, k: Number, lam: Number, m: Arithmetic, upper: Any) -> Number:
    """e^lam lam^-k (Gamma(k, lam) - Gamma(k, lam w))."""
    return m.exp(lam) * m.power(lam, -k) * (upper(k, lam) - upper(k, lam * w))


VESPO_NAMES = Vespo(
    weight=lambda w, k, lam, m: m.power(w, k) * m.exp(lam * (1 - w)),
    peak=lambda k, lam: k / lam,
    potential=vespo_potential,
)

VESPO = Draft(
    "FAM.vespo",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("VESPO's weight", "VESPO 的权重"),
    finding=Text(
        "At l = 0 it is w^k; else it is largest at w = k/l: the published (2, 3) for A >= 0 peaks"
        " at 2/3 and (3, 2) for A < 0 at 3/2, neither on policy. Its objective is an incomplete"
        " gamma function.",
        "l = 0 时即 w^k；否则在 w = k/l 处最大：公布的 (2, 3)（A ≥ 0）峰在 2/3，(3, 2)（A < 0）"
        "峰在 3/2，均不在 w = 1；其目标函数为不完全 Γ 函数。",
    ),
    statement=r"f(w) = w^k e^{l(1-w)}:\quad f|_{l=0} = w^k,\ \arg\max f = k/l,\ "
    r"\int_1^w \tfrac{f(u)}{u}\,du = e^l l^{-k}\bigl(\Gamma(k, l) - \Gamma(k, l w)\bigr)",
    subject=VESPO_NAMES,
    expect=Verdict.VERIFIED,
    uses=("FAM.differentiated",),
    sharpens=("D4.1",),
    source="VESPO, arXiv 2602.10693, for the weight; peak and objective derived here",
    reading="k > 0, and l > 0 where a peak or an objective is named",
)


@VESPO.symbolic(Scope("every w, k and l, exactly", whole=True))
def _(named: Any) -> Answer:
    """The derivative of the incomplete gamma function; log f is concave with its top at k/l."""
    weight = named.weight(W, N, L, Exact)
    potential = named.potential(W, N, L, Exact, sympy.uppergamma)
    log_weight = sympy.expand_log(sympy.log(weight), force=True)
    return all_of(
        [
            symbolic.equal(named.weight(W, N, sympy.S.Zero, Exact), W**N),
            symbolic.equal(weight.subs(W, 1), 1),
            symbolic.equal(sympy.diff(log_weight, W).subs(W, named.peak(N, L)), 0),
            symbolic.positive(-sympy.diff(log_weight, W, 2)),
            symbolic.equal(gradient_weight(sympy.diff(potential, W), W), weight),
            symbolic.equal(potential.subs(W, 1), 0),
        ]
    )


@VESPO.certified(Scope("(k, l) = (2, 3) and (3, 2), w = 1/3 and 5/2"))
def _(named: Any) -> Answer:
    """The objective against rigorous quadrature of f(u)/u; f rises before its peak, then falls."""
    found, stated, witnesses, signs = [], [], [], []
    for k, lam in ((2, 3), (3, 2)):
        order, rate = Ball.number(k), Ball.number(lam)
        for weight in (Fraction(1, 3), Fraction(5, 2)):
            w = Ball.number(weight)
            found.append(
                flint.acb.integral(
                    lambda u, _, k=k, rate=rate: u ** (k - 1) * (rate * (1 - u)).exp(),
                    flint.acb(1),
                    flint.acb(w),
                ).real
            )
            stated.append(
                named.potential(w, order, rate, Ball, lambda s, x: flint.arb(x).gamma_upper(s))
            )
            witnesses.append(Witness.at(k=k, l=lam, w=weight))

        def slope(w: Any, order: Any = order, rate: Any = rate) -> Any:
            return certified.derivatives(lambda x: named.weight(x, order, rate, Jet), w, 1)[1]

        def at(w: Fraction, k: int = k, lam: int = lam) -> Witness:
            return Witness.at(k=k, l=lam, w=w)

        top = Fraction(k, lam)
        for low, high, rising in ((top / 9, top * 8 / 9, True), (top * 10 / 9, 4 * top, False)):
            signs.append(certified.sign_on(slope, (low, high), positive=rising, witness=at))
        peak = slope(named.peak(order, rate))
        signs.append(certified.agree([peak], [flint.arb(0)], witnesses=[Witness.at(k=k, l=lam)]))
    return all_of([certified.agree(found, stated, witnesses=witnesses), *signs])


VESPO.wrong_value("the peak at l/k", VESPO_NAMES._replace(peak=lambda k, lam: lam / k))
VESPO.wrong_value("the peak at 1", VESPO_NAMES._replace(peak=lambda k, lam: k / k))
VESPO.wrong_value(
    "not 1 at w = 1",
    VESPO_NAMES._replace(weight=lambda w, k, lam, m: m.power(w, k) * m.exp(-lam * w)),
)
VESPO.wrong_value(
    "f integrated, not f/w",
    VESPO_NAMES._replace(potential=lambda w, k, lam, m, up: vespo_potential(w, k + 1, lam, m, up)),
)

CLAIMS = frozen(LUFFY, LUFFY_FIX, DROS, VESPO)

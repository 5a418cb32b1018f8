"""The line's own later claims, II: two bounded weights, the optimum, and a test of log-normality.

Version 9 replaces log w by a soft minimum, version 10 is a relative density ratio. The notes of
the line also correct the paper; where such a correction has an error of its own, it is judged too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.formulas import Law
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

LEVEL, CAP = sympy.symbols("l C", real=True)
TAU, LAM, W, MU, R, C = sympy.symbols("tau lambda w mu r c", positive=True)
GAMMA = sympy.symbols("gamma", positive=True)
LATER = "FloyedShen/VESPO, recipe/is_shape/theory, after the paper"


def soft_weight(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """Sigmoid((C - log w)/tau), the slope of the soft minimum in log w."""
    return 1 / (1 + m.exp((level - cap) / tau))


def soft_minimum(level: Number, cap: Number, tau: Number, m: Arithmetic) -> Number:
    """C - tau softplus((C - log w)/tau), the objective of version 9."""
    return cap - tau * m.log(1 + m.exp((cap - level) / tau))


V9 = Draft(
    "LINE.v9",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("v9: the gradient weight of the soft minimum", "v9：软最小值目标的梯度权重"),
    finding=Text(
        "It is a sigmoid of log w: below 1 and falling in w everywhere, 1/2 at w = e^C, and for"
        " tau = 1 it is e^C/(w + e^C); so it never corrects towards pi, not even for w < 1.",
        "为 log w 的 sigmoid：处处小于 1 且随 w 递减，w = e^C 处为 1/2；τ=1 时为 e^C/(w+e^C)；"
        "因此即使 w < 1 也从不朝 π 方向校正。",
    ),
    statement=r"\frac{d}{d\log w}\bigl[C - \tau\log(1 + e^{(C-\log w)/\tau})\bigr]"
    r" = \sigma\bigl((C - \log w)/\tau\bigr) \in (0, 1)",
    subject=soft_weight,
    expect=Verdict.VERIFIED,
    source="new here",
    sharpens=("D4.1", "ABS.1"),
    uses=("D1.1",),
    reading="the gradient weight of an objective h(log w) is h'(log w), for r = 1",
)


@V9.symbolic(Scope("every C, tau > 0 and w > 0", whole=True))
def _(weight: Any) -> Answer:
    """Differentiate the objective; sign, slope, and the form at tau = 1."""
    f = weight(LEVEL, CAP, TAU, Exact)
    slope = sympy.diff(soft_minimum(LEVEL, CAP, TAU, Exact), LEVEL)
    return all_of(
        [
            symbolic.equal(f, slope),
            symbolic.positive(f),
            symbolic.positive(sympy.simplify(1 / f - 1)),
            symbolic.positive(sympy.simplify(sympy.diff(1 / f, LEVEL))),
            symbolic.equal(f.subs(LEVEL, CAP), sympy.Rational(1, 2)),
            symbolic.equal(
                f.subs(TAU, 1).subs(LEVEL, sympy.log(W)), sympy.exp(CAP) / (W + sympy.exp(CAP))
            ),
        ]
    )


POINTS = [(Fraction(-2), Fraction(1), Fraction(1, 2)), (Fraction(3), Fraction(1), Fraction(2))]


@V9.certified(Scope("two points"))
def _(weight: Any) -> Answer:
    """The slope of the objective as a power series in balls."""

    def at(level: Fraction, cap: Fraction, tau: Fraction) -> Answer:
        c, t = Ball.number(cap), Ball.number(tau)
        slope = certified.derivatives(lambda x: soft_minimum(x, c, t, Jet), Ball.number(level), 1)[
            1
        ]
        found = weight(Ball.number(level), c, t, Ball)
        witness = Witness.at(log_w=level, C=cap, tau=tau)
        return certified.agree([found], [slope], witnesses=[witness])

    return all_of(at(*point) for point in POINTS)


@V9.neural(Scope("two points"))
def _(weight: Any) -> Answer:
    """Autograd of torch's own softplus."""
    softplus = neural.torch().nn.functional.softplus

    def at(level: Fraction, cap: Fraction, tau: Fraction) -> Answer:
        x, c, t = (neural.tensor([value]) for value in (level, cap, tau))
        slope = neural.gradient(lambda y: (c - t * softplus((c - y) / t)).sum(), x)
        witness = Witness.at(log_w=level, C=cap, tau=tau)
        return neural.close(weight(x, c, t, Tensor), slope, witness=witness)

    return all_of(at(*point) for point in POINTS)


@V9.wrong("mirrored")
def _(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return 1 / (1 + m.exp((cap - level) / tau))


@V9.wrong("divided by tau")
def _(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return soft_weight(level, cap, tau, m) / tau


@V9.wrong("tau left out")
def _(level: Any, cap: Any, tau: Any, m: Any) -> Any:
    return 1 / (1 + m.exp(level - cap))


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


def line_optimum(mu: Law, reward: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """The law proportional to mu r^(1/(gamma - 1)), as the line's notes have it."""
    rows = zip(mu, reward, strict=True)
    return formulas.normalised([a * m.power(r, 1 / (gamma - 1)) for a, r in rows])


def objective(policy: Any, law: Finite, gamma: Any, m: Arithmetic) -> Any:
    """E_mu[w^gamma r], summed over the outcomes."""
    mu, _, reward = law.numbers(m)
    rows = zip(mu, policy, reward, strict=True)
    return sum(a * m.power(b / a, gamma) * r for a, b, r in rows)


OPTIMUM = Draft(
    "LINE.optimum",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The line's optimum, mu r^(1/(gamma-1))", "后续修订的最优策略 μ r^{1/(γ−1)}"),
    finding=Text(
        "False: with r = (1, 2) it prefers the worse arm; at gamma = 1/2 mu itself does better.",
        "不成立：r = (1, 2) 时它偏好较差的臂；γ = 1/2 时 μ 本身更优。",
    ),
    statement=r"\arg\max_\pi\,\mathbb{E}_\mu[w^\gamma r] \propto \mu\,r^{1/(\gamma-1)}",
    subject=line_optimum,
    expect=Verdict.REFUTED,
    source=LATER,
    sharpens=("T4.2.a", "REM2.2"),
    uses=("D4.1",),
    reading="0 < gamma < 1, all policies allowed",
)
WORSE = Finite.of("1/2 1/2", "1/2 1/2", "1 2")
AT_HALF = witness_of(WORSE, gamma=Fraction(1, 2))


@OPTIMUM.symbolic(Scope("the witness"))
def _(optimum: Any) -> Answer:
    """E_mu[w^(1/2) r] at the printed law and at mu, exactly."""
    half = sympy.Rational(1, 2)
    mu, _, reward = WORSE.numbers(Exact)
    claimed, plain = (
        objective(p, WORSE, half, Exact) for p in (optimum(mu, reward, half, Exact), mu)
    )
    return symbolic.compare(claimed, ">=", plain, witness=AT_HALF)


@OPTIMUM.certified(Scope("the witness"))
def _(optimum: Any) -> Answer:
    """The same in balls."""
    half = Ball.number("1/2")
    mu, _, reward = WORSE.numbers(Ball)
    claimed, plain = (
        objective(p, WORSE, half, Ball) for p in (optimum(mu, reward, half, Ball), mu)
    )
    return certified.compare(claimed, ">=", plain, witness=AT_HALF)


OPTIMUM.right_value("mu r^(1/(1-gamma))", formulas.fixed_point)

OPTIMUM_FIX = Draft(
    "LINE.optimum.fix",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The optimum of E[w^gamma r] without limits", "无约束下 E[w^γ r] 的最优策略"),
    finding=Text(
        "It is mu r^(1/(1-gamma)): there every outcome gains equally from more mass, and the"
        " objective is strictly concave.",
        "为 μ r^{1/(1−γ)}：此处增加任一结果的概率收益相同，且目标严格凹。",
    ),
    statement=r"\arg\max_\pi\,\mathbb{E}_\mu[w^\gamma r] \propto \mu\,r^{1/(1-\gamma)}"
    r"\quad (0 < \gamma < 1)",
    subject=formulas.fixed_point,
    expect=Verdict.VERIFIED,
    source="the paper's fixed point, sought as a maximum: new here",
    sharpens=("REM2.2.fix",),
    amends=("LINE.optimum",),
    assumes=(POSITIVE_REWARD,),
    uses=("D4.1",),
)


@OPTIMUM_FIX.symbolic(Scope("every law, outcome by outcome: Lagrange on the simplex", whole=True))
def _(optimum: Any) -> Answer:
    """The gain of an outcome from more mass is free of the outcome, and falls in its mass."""
    share = GAMMA / (1 + GAMMA)
    p = sympy.symbols("p", positive=True)
    gain = sympy.diff(MU * (p / MU) ** share * R, p)
    # Two outcomes, each against the other: the common factor of both gains has to be equal.
    other_mu, other_r = sympy.symbols("nu s", positive=True)
    first, second = optimum([MU, other_mu], [R, other_r], share, Exact)
    at_other = {p: second, MU: other_mu, R: other_r}
    ratio = gain.subs(p, first) / gain.subs(at_other, simultaneous=True)
    logs = sympy.simplify(sympy.expand_log(sympy.log(sympy.powsimp(ratio)), force=True))
    return all_of(
        [
            symbolic.equal(logs, 0),
            symbolic.positive(sympy.simplify(-sympy.diff(gain, p))),
        ]
    )


@OPTIMUM_FIX.certified(Scope("two laws, gamma = 1/3 and 3/4, against nine policies near and far"))
def _(optimum: Any) -> Answer:
    """The objective at the optimum is above that at mixtures of it with each outcome."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, _, reward = law.numbers(Ball)
        for gamma in (Fraction(1, 3), Fraction(3, 4)):
            g = Ball.number(gamma)
            best = optimum(mu, reward, g, Ball)
            top = objective(best, law, g, Ball)
            for k in range(len(mu)):
                for step in (Ball.number("1/100"), Ball.number("1/2")):
                    near = [(1 - step) * q + (step if y == k else 0) for y, q in enumerate(best)]
                    below = objective(near, law, g, Ball)
                    at = witness_of(law, gamma=gamma)
                    answers.append(certified.compare(top, ">", below, witness=at))
    return all_of(answers)


@OPTIMUM_FIX.without(POSITIVE_REWARD)
def _(optimum: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Ball)
    half = Ball.number("1/2")
    # At gamma = 1/2 the printed law is mu r^2, which does not see the sign of a reward.
    best = formulas.normalised([a * r * r for a, r in zip(mu, reward, strict=True)])
    paid = [a if r > 0 else flint.arb(0) for a, r in zip(mu, reward, strict=True)]
    rival = formulas.normalised([a * r * r for a, r in zip(paid, reward, strict=True)])
    witness = witness_of(law, gamma=Fraction(1, 2))
    top, other = (objective(p, law, half, Ball) for p in (best, rival))
    if min(law.reward) > 0:
        claimed = optimum(mu, reward, half, Ball)
        return certified.agree(claimed, best, witnesses=[witness] * len(mu))
    return certified.compare(top, ">=", other, witness=witness)


OPTIMUM_FIX.wrong_value("mu r^(1/(gamma-1))", line_optimum)


@OPTIMUM_FIX.wrong("mu r")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.tilted(mu, reward, m)


@OPTIMUM_FIX.wrong("r^(1/gamma)")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, reward, strict=True)
    return formulas.normalised([a * m.power(r, 1 / gamma) for a, r in rows])


CLAIMS = frozen(V9, V10, OPTIMUM, OPTIMUM_FIX)

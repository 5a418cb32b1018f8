"""Section 11.2, part 1: the Pareto index of flattened weights.

A tail P(w > t) = C t^(-1/k) becomes one with index gamma k under w -> w^gamma, for k > 0. For k < 0
the weights are bounded, and a power, smooth at the end point, leaves the index alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PARETO
from isr_theory.claims.instances import named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import ParetoTail, drawn_fraction

K, GAMMA, T, H, CONSTANT = sympy.symbols("k gamma t h C", positive=True)
DEPTH, END = sympy.symbols("a e", positive=True)


@dataclass(frozen=True)
class EndPoint:
    """w = end - U^|k|, U uniform on (0, 1): P(w > end - h) = h^(-1/k), bounded, k < 0."""

    k: Fraction
    end: Fraction = Fraction(1)

    def sample(self, rng: np.random.Generator, n: int) -> Any:
        """Draw n weights."""
        return float(self.end) - rng.random(n) ** -float(self.k)


BOUNDED_TAIL = Assumption(
    "bounded_tail",
    Text(
        "w is bounded, with P(w > e - h) ~ C h^(-1/k) at its end point e > 0, k < 0.",
        "w 有界，且在上端点 e > 0 处 P(w > e - h) ~ C h^{-1/k}，k < 0。",
    ),
    lambda model: isinstance(model, EndPoint) and model.k < 0 and model.end > 0,
    examples=(EndPoint(Fraction(-1)), EndPoint(Fraction(-1, 2), Fraction(3))),
    violations=(ParetoTail(Fraction(1, 2)),),
    draw=lambda rng: EndPoint(drawn_fraction(rng, "-2", "0"), drawn_fraction(rng, "0", "4")),
)


def enclosed_index(model: EndPoint | ParetoTail, gamma: Fraction) -> Any:
    """Enclose the index of w^gamma from the law of w, at its end point or far out."""
    g, k = Ball.number(gamma), Ball.number(model.k)
    near = Ball.number(0).union(Ball.number(Fraction(1, 10**40)))
    if isinstance(model, EndPoint):
        rate = certified.derivatives(
            partial(depth_below, Ball.number(model.end), g, m=Jet), near, 1
        )[1]
        # P = depth^(-1/k), and depth(h)/h is a value of the rate between 0 and h.
        return k * rate / rate
    if model.k < 0:
        # w = U^(-k) ends at 1; P(w^gamma > 1 - h)/h is a value of the density between 0 and h.
        density = certified.derivatives(lambda h: 1 - Jet.power(1 - h, -1 / (k * g)), near, 1)
        return -density[1] / density[1]
    # w^gamma passes u^(-gamma k) with chance u.
    middle, far = (Ball.power(Ball.power(Ball.number(u), -k), g) for u in ("1/2", "1/8"))
    return Ball.log(far / middle) / Ball.log(4)


def endpoint_index(k: Number, gamma: Number) -> Number:
    """The index of w^gamma where that of w is k < 0: the same."""
    return k


def depth_below(end: Number, gamma: Number, h: Number, m: Arithmetic) -> Number:
    """How far below `end` w lies where w^gamma lies h below end^gamma."""
    return end - m.power(m.power(end, gamma) - h, 1 / gamma)


T11_1_A = Draft(
    "T11.1.a",
    section="11.2",
    kind=Kind.IDENTITY,
    title=Text("The Pareto index of w^gamma, k > 0", "w^γ 的 Pareto 指数（k > 0）"),
    finding=Text("True for the population index of a heavy tail.", "对重尾总体的尾指数成立。"),
    statement=r"k(w^\gamma) = \gamma\, k(w),\quad k > 0",
    subject=formulas.tail_index,
    expect=Verdict.VERIFIED,
    assumes=(PARETO,),
    reading="the tail is P(w > t) = C t^(-1/k) for large t",
)


@T11_1_A.symbolic(Scope("every k, gamma, C > 0: the whole tail, for large t", whole=True))
def _(index: Any) -> Answer:
    """P(w^gamma > t) = P(w > t^(1/gamma)), and the slope of its logarithm in log t."""
    survival = CONSTANT * (T ** (1 / GAMMA)) ** (-1 / K)
    slope = T * sympy.diff(sympy.expand_log(sympy.log(survival)), T)
    return symbolic.equal(slope, -1 / index(K, GAMMA))


@T11_1_A.certified(Scope("two exponential ratios and one Pareto law, three values of gamma each"))
def _(index: Any) -> Answer:
    """Two tail probabilities of w^gamma, from the law of the outcome, give its index."""

    def exponential(rate: Fraction) -> Callable[[Number], Number]:
        # w = rate e^((1-rate) x) exceeds t where x, standard exponential, exceeds this quantile.
        r = Ball.number(rate)
        return lambda t: Ball.exp(-Ball.log(t / r) / (1 - r))

    def pareto(t: Number) -> Number:
        # w = (1 - u)^(-3/2) exceeds t where 1 - u, uniform, is below this quantile.
        return Ball.exp(-2 * Ball.log(t) / 3)

    laws = [
        (Fraction(4, 5), exponential(Fraction(1, 5))),
        (Fraction(1, 3), exponential(Fraction(2, 3))),
        (Fraction(3, 2), pareto),
    ]
    found, expected, witnesses = [], [], []
    for k, survival in laws:
        for gamma in (Fraction(1, 4), Fraction(1, 2), Fraction(7, 8)):
            g = Ball.number(gamma)
            near, far = (survival(Ball.power(Ball.number(t), 1 / g)) for t in (2, 10))
            found.append(Ball.log(5) / Ball.log(near / far))
            expected.append(index(Ball.number(k), g))
            witnesses.append(Witness.at(k=k, gamma=gamma))
    return certified.agree(found, expected, witnesses=witnesses)


@T11_1_A.sampled(Scope("k = 1/2, gamma = 3/4"), resolution=0.02)
def _(index: Any, trial: Trial) -> Answer:
    """The chance that w^gamma passes 2."""
    law, gamma = ParetoTail(Fraction(1, 2)), Fraction(3, 4)
    chance = trial.mean(
        "w^(3/4) > 2", lambda rng, n: (law.sample(rng, n) ** 0.75 > 2).astype(float), 0.0, 1.0
    )
    expected = 2 ** (-1 / index(float(law.k), float(gamma)))
    return trial.agrees(chance, expected, witness=Witness.at(k=law.k, gamma=gamma))


@T11_1_A.without(PARETO)
def _(index: Any, model: ParetoTail) -> Answer:
    gamma = Fraction(1, 2)
    claimed = index(enclosed_index(model, Fraction(1)), Ball.number(gamma))
    found, witness = enclosed_index(model, gamma), named(model, gamma=gamma)
    return certified.agree([found], [claimed], witnesses=[witness])


@T11_1_A.wrong("unchanged")
def _(k: Any, gamma: Any) -> Any:
    return k


@T11_1_A.wrong("k over gamma")
def _(k: Any, gamma: Any) -> Any:
    return k / gamma


@T11_1_A.wrong("gamma squared")
def _(k: Any, gamma: Any) -> Any:
    return gamma * gamma * k


T11_1_B = Draft(
    "T11.1.b",
    section="11.2",
    kind=Kind.IDENTITY,
    title=Text("The Pareto index of w^gamma, k < 0", "w^γ 的 Pareto 指数（k < 0）"),
    finding=Text(
        "False: the square root of a uniform weight has index -1, as the weight has, not -1/2.",
        "不成立：均匀权重的平方根指数仍为 -1，而非 -1/2。",
    ),
    statement=r"k(w^\gamma) = \gamma\, k(w),\quad k < 0",
    subject=formulas.tail_index,
    expect=Verdict.REFUTED,
    uses=("T11.1.a",),
    reading="the theorem names no sign of k; at an end point e, k = -lim log h / log P(w > e - h)",
)
# w uniform on (0, 1): P(w > 1 - h) = h, so k = -1.
SQUARE_ROOT = Witness.at(law="uniform on (0, 1)", k=-1, gamma=Fraction(1, 2))


@T11_1_B.symbolic(Scope("the one law of the witness"))
def _(index: Any) -> Answer:
    """P(w^(1/2) > 1 - h) = 1 - (1-h)^2, whose logarithmic slope has a limit at h = 0."""
    gamma = sympy.Rational(1, 2)
    survival = 1 - (1 - H) ** (1 / gamma)
    slope = sympy.limit(sympy.cancel(H * sympy.diff(sympy.log(survival), H)), H, 0)
    return symbolic.compare(-1 / slope, "==", index(sympy.Integer(-1), gamma), witness=SQUARE_ROOT)


@T11_1_B.certified(Scope("the one law of the witness"))
def _(index: Any) -> Answer:
    """The mean value theorem encloses the logarithmic slope for all h up to 1/100."""
    gamma = Ball.number("1/2")
    near = Ball.number(0).union(Ball.number("1/100"))
    density = certified.derivatives(lambda h: 1 - Jet.power(1 - h, 1 / gamma), near, 1)[1]
    # P(h)/h is a value of the density between 0 and h.
    return certified.compare(
        -1 / (density / density), "==", index(Ball.number(-1), gamma), witness=SQUARE_ROOT
    )


@T11_1_B.neural(Scope("the one law of the witness"))
def _(index: Any) -> Answer:
    """The autograd slope of log P in log h, 1e-12 below the end point."""
    slope = neural.gradient(
        lambda log_h: (-(2 * (-log_h.exp()).log1p()).expm1()).log(), neural.tensor(1e-12).log()
    )
    return neural.close(-1 / slope, [index(-1.0, 0.5)], witness=SQUARE_ROOT)


T11_1_B.right_value("the index of the weight", endpoint_index)

T11_1_B_FIX = Draft(
    "T11.1.b.fix",
    section="11.2",
    kind=Kind.IDENTITY,
    title=Text("Bounded weights keep their index", "有界权重的指数不变"),
    finding=Text(
        "For k < 0 the index of w^gamma is k itself, for every gamma > 0.",
        "当 k < 0 时，对任意 γ > 0，w^γ 的指数仍为 k。",
    ),
    statement=r"k(w^\gamma) = k(w),\quad k < 0,\ \gamma > 0",
    subject=endpoint_index,
    expect=Verdict.VERIFIED,
    assumes=(BOUNDED_TAIL,),
    amends=("T11.1.b",),
    reading="k = -lim log h / log P(w > e - h) as h falls to 0, e the end point",
)


@T11_1_B_FIX.symbolic(Scope("every k < 0, end point and gamma > 0", whole=True))
def _(index: Any) -> Answer:
    """w^gamma lies h below its end point where w lies c h + o(h) below: log P keeps its slope."""
    depth = depth_below(END, GAMMA, H, Exact)
    rate = sympy.diff(depth, H).subs(H, 0)
    # depth(0) = 0 and depth'(0) = c > 0, so P = C depth^(1/a) ~ C (c h)^(1/a), a = -k.
    survival = CONSTANT * (rate * H) ** (1 / DEPTH)
    slope = H * sympy.diff(sympy.expand_log(sympy.log(survival)), H)
    return all_of(
        [
            symbolic.equal(depth.subs(H, 0), 0),
            symbolic.positive(rate),
            symbolic.equal(slope, -1 / index(-DEPTH, GAMMA)),
        ]
    )


CASES = (
    (EndPoint(Fraction(-1)), Fraction(1, 2)),
    (EndPoint(Fraction(-1, 2), Fraction(3)), Fraction(1, 3)),
    (EndPoint(Fraction(-2), Fraction(5, 2)), Fraction(3, 4)),
)


@T11_1_B_FIX.certified(Scope("three laws, h below 1e-40"))
def _(index: Any) -> Answer:
    """The mean value theorem encloses the slope of log P in log h next to the end point."""
    return certified.agree(
        [enclosed_index(law, gamma) for law, gamma in CASES],
        [index(Ball.number(law.k), Ball.number(gamma)) for law, gamma in CASES],
        witnesses=[Witness.at(k=law.k, end=law.end, gamma=gamma) for law, gamma in CASES],
    )


@T11_1_B_FIX.without(BOUNDED_TAIL)
def _(index: Any, model: EndPoint | ParetoTail) -> Answer:
    gamma = Fraction(1, 2)
    claimed = index(enclosed_index(model, Fraction(1)), Ball.number(gamma))
    witness = Witness.at(k=model.k, gamma=gamma)
    return certified.agree([enclosed_index(model, gamma)], [claimed], witnesses=[witness])


@T11_1_B_FIX.sampled(Scope("k = -1/2, gamma = 1/3, end point 1"), resolution=0.005)
def _(index: Any, trial: Trial) -> Answer:
    """The chance that w^gamma lies within 1/10 of 1."""
    law, gamma, h = EndPoint(Fraction(-1, 2)), Fraction(1, 3), 0.1
    chance = trial.mean(
        "w^(1/3) > 9/10",
        lambda rng, n: (law.sample(rng, n) > (1 - h) ** 3).astype(float),
        0.0,
        1.0,
    )
    depth = depth_below(1.0, float(gamma), h, Real)
    expected = depth ** (-1 / index(float(law.k), float(gamma)))
    return trial.agrees(chance, expected, witness=Witness.at(k=law.k, gamma=gamma))


@T11_1_B_FIX.wrong("gamma k, as printed")
def _(k: Any, gamma: Any) -> Any:
    return gamma * k


@T11_1_B_FIX.wrong("k over gamma")
def _(k: Any, gamma: Any) -> Any:
    return k / gamma


@T11_1_B_FIX.wrong("the mean of k and gamma k")
def _(k: Any, gamma: Any) -> Any:
    return (1 + gamma) * k / 2


CLAIMS = frozen(T11_1_A, T11_1_B, T11_1_B_FIX)

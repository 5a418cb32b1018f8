"""Past section 9: how the ESS of w^gamma r moves with gamma.

    -log(ESS/n) = K_u(2) - 2 K_u(1),   K_u(k) = log E_mu[(w^gamma r)^k]

Without rewards it grows with gamma. With a reward that does not fall as w rises it still does; with
any other it may fall, and what a target allows may even be two intervals of gamma.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import witness_of
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, RARE_ARM, THREE_ARMS, TWO_ARMS, Finite, fractions

GAMMA = sympy.symbols("gamma", positive=True)


def ess_of_law(law: Finite, gamma: Number, m: Arithmetic) -> Number:
    """ESS/n of w^gamma r under mu."""
    rows = zip(*law.numbers(m), strict=True)
    masses = [(a, m.power(b / a, gamma) * r) for a, b, r in rows]
    first = sum(a * u for a, u in masses)
    return first * first / sum(a * u * u for a, u in masses)


def ess_unrewarded(law: Finite, gamma: Number, m: Arithmetic) -> Number:
    """ESS/n of w^gamma."""
    return ess_of_law(replace(law, reward=(Fraction(1),) * len(law.mu)), gamma, m)


FALLING = Draft(
    "GAM.reward",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("ESS of w^γ r falls in γ for every reward", "任意奖励下 w^γ r 的 ESS 关于 γ 递减"),
    finding=Text(
        "False: where the reward is high on what the policy has left, ESS/n rises from 4/5 at γ = 0"
        " to 1 at γ = 1/2.",
        "不成立：奖励偏高处恰为策略所离开之处时，ESS/n 由 γ = 0 处的 4/5 升至 γ = 1/2 处的 1。",
    ),
    statement=r"\gamma < \gamma' \Rightarrow \mathrm{ESS}(w^{\gamma'} r)"
    r" \le \mathrm{ESS}(w^\gamma r)\quad\text{for every } r > 0",
    subject=ess_of_law,
    expect=Verdict.REFUTED,
    uses=("D8.1", "TAB10.1.3"),
    sharpens=("T9.1.a.fix", "TAB10.1.3"),
    source="the monotonicity of 10.1 carried over to the weights of section 9",
)
# w = (9/5, 1/5): w^(1/2) is as 3 to 1, and the reward as 1 to 3.
LEFT_BEHIND = Finite.of("1/2 1/2", "9/10 1/10", "1 3")
RISE = witness_of(LEFT_BEHIND, gammas=(0, Fraction(1, 2)))


@FALLING.symbolic(Scope("the witness"))
def _(ess: Any) -> Answer:
    """Both in exact fractions."""
    before, after = (ess(LEFT_BEHIND, Exact.number(g), Exact) for g in (0, Fraction(1, 2)))
    return symbolic.compare(sympy.simplify(after), "<=", before, witness=RISE)


@FALLING.certified(Scope("the witness"))
def _(ess: Any) -> Answer:
    """Both in balls."""
    before, after = (ess(LEFT_BEHIND, Ball.number(g), Ball) for g in (0, Fraction(1, 2)))
    return certified.compare(after, "<=", before, witness=RISE)


@FALLING.neural(Scope("the witness"))
def _(ess: Any) -> Answer:
    """The autograd slope in gamma, summed over twenty midpoints from 0 to 1/2."""
    slopes = [
        neural.gradient(
            lambda g: ess(LEFT_BEHIND, g, Tensor), neural.tensor(Fraction(2 * k + 1, 80))
        )
        for k in range(20)
    ]
    return neural.compare(0, ">", sum(slopes) / 40, witness=RISE)


FALLING.right_value("without the reward", ess_unrewarded)


@FALLING.margin(
    *(spaces.finite(k, reward=("1/10", "4"), low=("0", "1/2"), rise=("0", "1/2")) for k in (2, 3))
)
def _(ess: Any, case: Any, m: Any) -> Any:
    low = m.number(case["low"])
    return ess(case.model, low, m) - ess(case.model, low + m.number(case["rise"]), m)


GAPPED = Draft(
    "GAM.interval",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("The feasible gammas are an interval for every reward", "任意奖励下可行 γ 构成区间"),
    finding=Text(
        "False: with three arms ESS/n is 0.561 at γ = 0, 0.547 at 1/2 and 0.578 at 1, so a target"
        " of 0.55 leaves a gap that a bisection does not see.",
        "不成立：三臂例中 ESS/n 在 γ = 0、1/2、1 处为 0.561、0.547、0.578，"
        "故目标 0.55 的可行集中间有缺口，二分法无法察觉。",
    ),
    statement=r"\mathrm{ESS}(w^{1/2} r) \ge \min\bigl(\mathrm{ESS}(r), \mathrm{ESS}(w r)\bigr)"
    r"\quad\text{for every } r > 0",
    subject=ess_of_law,
    expect=Verdict.REFUTED,
    uses=("D8.1",),
    sharpens=("T9.1.a.fix", "T8.3.b.fix"),
    source="the feasible interval of the normal case, taken for every law",
    reading="what an interval of feasible gammas says at 0, 1/2 and 1, for the target that is the "
    "smaller of the two ends",
)
# w = (3/4, 3, 3/16): w^(1/2) is as 2 to 4 to 1.
TWO_PEAKS = Finite.of("1/3 2/9 4/9", "1/4 2/3 1/12", "6 1 1")
DIP = witness_of(TWO_PEAKS, gammas=(0, Fraction(1, 2), 1))


@GAPPED.symbolic(Scope("the witness"))
def _(ess: Any) -> Answer:
    """All three in exact fractions."""
    start, middle, end = (
        sympy.simplify(ess(TWO_PEAKS, Exact.number(g), Exact)) for g in (0, Fraction(1, 2), 1)
    )
    return symbolic.compare(middle, ">=", sympy.Min(start, end), witness=DIP)


@GAPPED.certified(Scope("the witness"))
def _(ess: Any) -> Answer:
    """All three in balls."""
    start, middle, end = (ess(TWO_PEAKS, Ball.number(g), Ball) for g in (0, Fraction(1, 2), 1))
    return certified.compare(middle, ">=", Ball.minimum(start, end), witness=DIP)


@GAPPED.neural(Scope("the witness"))
def _(ess: Any) -> Answer:
    """All three in float64."""
    start, middle, end = (ess(TWO_PEAKS, neural.tensor(g), Tensor) for g in (0, 0.5, 1))
    return neural.compare(middle, ">", min(start, end), witness=DIP)


GAPPED.right_value("without the reward", ess_unrewarded)
for _k, _gamma in enumerate(fractions("0 1/2 1")):

    def _digits(gamma: Fraction = _gamma) -> str:
        return certified.digits(ess_of_law(TWO_PEAKS, Ball.number(gamma), Ball))

    GAPPED.number(f"ESS/n at gamma = {_gamma}")(_digits)


def _ordered(law: Finite) -> bool:
    """Say whether the reward is not negative, not always 0, and does not fall as w rises."""
    rows = [(p / a, r) for a, p, r in zip(law.mu, law.pi, law.reward, strict=True) if a > 0]
    return (
        all(r >= 0 for _, r in rows)
        and any(r > 0 for _, r in rows)
        and all((w - v) * (r - q) >= 0 for w, r in rows for v, q in rows)
    )


def _drawn(rng: np.random.Generator) -> Finite:
    """Draw a law whose rewards are in the order of w."""
    law = Finite.drawn(rng)
    ratio = [p / a for a, p in zip(law.mu, law.pi, strict=True)]
    place = {w: k for k, w in enumerate(sorted(set(ratio)))}
    rewards = sorted(law.reward)
    return replace(law, reward=tuple(rewards[place[w]] for w in ratio))


IN_ORDER = Assumption(
    "reward_in_order",
    Text(
        "r >= 0, not always 0, and r does not fall as w rises.",
        "r ≥ 0 且不恒为 0，且 r 不随 w 增大而减小。",
    ),
    _ordered,
    examples=(THREE_ARMS, TWO_ARMS, RARE_ARM),
    violations=(LEFT_BEHIND, FOUR_ARMS),
    draw=_drawn,
)


class RewardedCost(NamedTuple):
    """-log(ESS/n) from K_u(1) and K_u(2), and its slope from the means of log w under u and u^2."""

    deficit: Any
    slope: Any


REWARDED_COST = RewardedCost(
    lambda once, twice: twice - 2 * once, lambda first, second: 2 * (second - first)
)

FALLING_FIX = Draft(
    "GAM.reward.fix",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Rewards under which ESS falls in γ", "使 ESS 关于 γ 递减的奖励"),
    finding=Text(
        "If the reward does not fall as w rises then ESS of w^γ r does fall in γ, so the feasible"
        " set is an interval from 0 and its end is the root of K_u(2) − 2K_u(1) = −log ρ_min.",
        "若奖励不随 w 增大而减小，则 w^γ r 的 ESS 关于 γ 递减，可行集是自 0 起的区间，"
        "其右端为 K_u(2) − 2K_u(1) = −log ρ_min 的根。",
    ),
    statement=r"r = h(w),\ h \text{ non-decreasing} \Rightarrow \frac{d}{d\gamma}"
    r"\bigl(K_u(2) - 2 K_u(1)\bigr) = 2\bigl(\mathbb{E}_{\propto\mu u^2}[\log w]"
    r" - \mathbb{E}_{\propto\mu u}[\log w]\bigr) \ge 0,\quad u = w^\gamma r",
    subject=REWARDED_COST,
    expect=Verdict.VERIFIED,
    assumes=(IN_ORDER,),
    uses=("D8.1", "T8.3.b.fix"),
    sharpens=("T9.1.a.fix", "T8.3.b.fix", "TAB10.1.3"),
    amends=("GAM.reward", "GAM.interval"),
    source="new here",
    reading="gamma >= 0 and the moments finite; empty if gamma = 0 misses the target, and all of "
    "[0, 1] if gamma = 1 meets it; for a reward that does not fall once w^g is multiplied to it, "
    "the same from gamma = g on",
)


@FALLING_FIX.symbolic(Scope("every law: a sum over pairs of outcomes of a term >= 0", whole=True))
def _(cost: Any) -> Answer:
    """The slope from two free moments; its numerator over two outcomes, which has one sign."""
    a, b = sympy.symbols("a b", positive=True)
    da, db = sympy.symbols("da db", real=True)
    first, second = sympy.Function("A")(GAMMA), sympy.Function("B")(GAMMA)
    # a = E[u], b = E[u^2], da = E[l u], db = E[l u^2], as u moves by l u, l = log w.
    slope = sympy.diff(cost.deficit(sympy.log(first), sympy.log(second)), GAMMA)
    slope = slope.subs({sympy.diff(first, GAMMA): da, sympy.diff(second, GAMMA): 2 * db})
    here = slope.subs({first: a, second: b})
    # Levels l and l + d, rewards r and r + e with d, e >= 0: of a db - b da the term of the pair.
    u, v = sympy.symbols("u v", positive=True)
    x, y = sympy.symbols("x y", real=True)
    pair = x * u**2 * v + y * v**2 * u - x * u * v**2 - y * v * u**2
    r, d, e = sympy.symbols("r d e", positive=True)
    gap = sympy.exp(GAMMA * d) * (r + e) - r
    apart = (sympy.exp(GAMMA * d) - 1) * (r + e) + e
    grown = 2 * sympy.exp(GAMMA * d / 2) * sympy.sinh(GAMMA * d / 2)
    return all_of(
        [
            symbolic.equal(sympy.exp(-cost.deficit(sympy.log(a), sympy.log(b))), a**2 / b),
            symbolic.equal(here, cost.slope(da / a, db / b)),
            symbolic.equal(here * a * b / 2, a * db - b * da),
            symbolic.equal(pair, u * v * (u - v) * (x - y)),
            # The outcome with the higher log w has the larger u, up to e^(gamma l).
            symbolic.equal(gap, apart),
            symbolic.equal(sympy.exp(GAMMA * d) - 1, grown, reduce=_in_exponentials),
            symbolic.positive(grown),
        ]
    )


def _in_exponentials(difference: Any) -> Any:
    return sympy.expand(difference.rewrite(sympy.exp))


@FALLING_FIX.certified(Scope("two laws with rewards in the order of w, gammas in [0, 1]"))
def _(cost: Any) -> Answer:
    """The enumerated ESS from the deficit, and the two tilted means in order, box by box."""
    answers = []
    for law in (THREE_ARMS, Finite(RARE_ARM.mu, RARE_ARM.pi, fractions("1 1 2 5"))):

        def means(gamma: Any, law: Finite = law) -> list[Any]:
            rows = [
                (a, Ball.log(b / a), Ball.exp(gamma * Ball.log(b / a)) * r)
                for a, b, r in zip(*law.numbers(Ball), strict=True)
            ]
            return [
                sum(a * x * u**k for a, x, u in rows) / sum(a * u**k for a, _, u in rows)
                for k in (1, 2)
            ]

        def rise(gamma: Any, means: Any = means) -> Any:
            return cost.slope(*means(gamma))

        answers.append(
            certified.sign_on(
                rise,
                (Fraction(0), Fraction(1)),
                positive=True,
                witness=partial(_at, law),
            )
        )
        for gamma in fractions("0 1/3 1"):
            g = Ball.number(gamma)
            masses = [
                (a, Ball.power(b / a, g) * r) for a, b, r in zip(*law.numbers(Ball), strict=True)
            ]
            once, twice = (Ball.log(sum(a * u**k for a, u in masses)) for k in (1, 2))
            stated = Ball.exp(-cost.deficit(once, twice))
            # Kish's ratio as 1 over 1 + the relative variance.
            mean = sum(a * u for a, u in masses)
            spread = sum(a * (u / mean - 1) * (u / mean - 1) for a, u in masses)
            at = _at(law, gamma)
            answers.append(certified.agree([1 / (1 + spread)], [stated], witnesses=[at]))
    return all_of(answers)


def _at(law: Finite, gamma: Fraction) -> Witness:
    return witness_of(law, gamma=gamma)


@FALLING_FIX.neural(Scope("two laws, one with its rewards out of order, at three gammas"))
def _(cost: Any) -> Answer:
    """Autograd of -log of Kish's ratio, against the difference of two tilted means."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        level = neural.tensor(law.log_w().tolist())

        def logits(k: int, gamma: Any, mu: Any = mu, r: Any = reward, x: Any = level) -> Any:
            return mu.log() + k * (gamma * x + r.log())

        def spent(gamma: Any, logits: Any = logits) -> Any:
            return logits(2, gamma).logsumexp(0) - 2 * logits(1, gamma).logsumexp(0)

        for gamma in fractions("1/5 1/2 1"):
            tilted = [(logits(k, float(gamma)).softmax(0) * level).sum() for k in (1, 2)]
            slope = neural.gradient(spent, neural.tensor(gamma))
            answers.append(neural.close(slope, cost.slope(*tilted), witness=_at(law, gamma)))
    return all_of(answers)


@FALLING_FIX.without(IN_ORDER)
def _(cost: Any, law: Finite) -> Answer:
    deficits = []
    for gamma in fractions("0 1/4 1/2 3/4 1"):
        g = Ball.number(gamma)
        masses = [(a, Ball.power(b / a, g) * r) for a, b, r in zip(*law.numbers(Ball), strict=True)]
        once, twice = (Ball.log(sum(a * u**k for a, u in masses)) for k in (1, 2))
        deficits.append(cost.deficit(once, twice))
    return all_of(
        certified.compare(low, "<=", high, witness=witness_of(law))
        for low, high in pairwise(deficits)
    )


FALLING_FIX.wrong_value(
    "K_u(1) once", REWARDED_COST._replace(deficit=lambda once, twice: twice - once)
)
FALLING_FIX.wrong_value(
    "log ESS for -log ESS", REWARDED_COST._replace(deficit=lambda once, twice: 2 * once - twice)
)
FALLING_FIX.wrong_value(
    "the slope without its 2", REWARDED_COST._replace(slope=lambda first, second: second - first)
)
FALLING_FIX.wrong_value(
    "the means exchanged", REWARDED_COST._replace(slope=lambda first, second: 2 * (first - second))
)

CLAIMS = frozen(FALLING, GAPPED, FALLING_FIX)

"""Past section 8: every start leads to the policy at rest.

The step l -> Proj(l) + log r is a projection plus a constant, so it is firmly nonexpansive, and its
orbits converge to its one fixed point; in the end by the factor gamma a step.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, POSITIVE_REWARD, VALID_RULE
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.x04_1_projection import (
    RHO,
    B,
    P,
    Q,
    S,
    X,
    Y,
    centred,
    inner,
    log_ratio,
    norm,
    radius,
)
from isr_theory.claims.x04_2_rest import REWARD_VARIES, rest, step
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite


class Multipliers(NamedTuple):
    """What one step multiplies a small distance from the policy at rest by."""

    along: Number
    across: Number


def multipliers(spread: Number, bound: Number, m: Arithmetic) -> Multipliers:
    """Return 0 along log r and gamma = b/(b + s) across it."""
    return Multipliers(0 * spread, bound / (bound + spread))


GLOBAL = Draft(
    "DYN.global",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("Every start leads to the policy at rest", "从任意初始策略均收敛到该不动点"),
    finding=Text(
        "Every exact step brings log w strictly nearer to that of the policy at rest, from wherever"
        " it starts, and in the end by the factor sqrt(L)/(s + sqrt(L)) across log r; from a start"
        " along log r it arrives in finitely many steps.",
        "无论从何处出发，每个精确步都使 log w 严格靠近不动点；垂直于 log r 的方向最终每步缩小到"
        " √L/(s + √L) 倍；若从 log r 方向上出发则有限步到达。",
    ),
    statement=r"l_{k+1} = P l_k + \log r:\quad"
    r" \|l_{k+1} - l_\infty\|^2 \le \|l_k - l_\infty\|^2"
    r" - \|(l_k - P l_k) - (l_\infty - P l_\infty)\|^2,\quad l_k \to l_\infty,\quad"
    r" \mathrm{D}T(l_\infty) = \gamma_\infty\,(I - uu^\top),\ u = \log r / s_r",
    subject=multipliers,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD, REWARD_VARIES, VALID_RULE),
    uses=("DYN.projection", "DYN.fixed"),
    sharpens=("T8.3.a", "KEY4.2.c", "OBJ.em"),
    source="new here; convergence of firmly nonexpansive maps: Opial 1967",
    reading="T is the exact step l -> Pl + log r of centred log-ratios; on two outcomes there is no"
    " direction across log r",
)


@GLOBAL.symbolic(
    Scope(
        "every mu, r and start: a projection plus a constant is firmly nonexpansive, its orbit lies"
        " in the plane of l_0 and log r, and such orbits converge to the fixed point (Opial)",
        whole=True,
    )
)
def _(factors: Any) -> Answer:
    """The inequality, outcome by outcome; the step's derivative in that plane where it rests."""
    # p = Px and q = Py; both products with x - p and y - q have mean <= 0.
    gain = (X - Y) ** 2 - (P - Q) ** 2 - ((X - P) - (Y - Q)) ** 2
    products = (X - P) * (Q - P) + (Y - Q) * (P - Q)
    size = sympy.sqrt(X**2 + Y**2)
    moved = (B * X / size + S, B * Y / size)
    here = {X: S + B, Y: 0}
    slopes = [[sympy.diff(f, v).subs(here) for v in (X, Y)] for f in moved]
    found = factors(S, B, Exact)
    return all_of(
        [
            symbolic.equal(gain, -2 * products),
            symbolic.equal(slopes[0][0], found.along),
            symbolic.equal(slopes[1][1], found.across),
            symbolic.equal(slopes[0][1], 0),
            symbolic.equal(slopes[1][0], 0),
            # Equality would need x - Px = log r, whose one solution is the fixed point.
            symbolic.positive(1 - found.across),
        ]
    )


def enclosed_start(law: Finite) -> tuple[list[Any], list[Any], list[Any], Any, Any]:
    """mu, the reward, log r centred, its norm, and sqrt(-log 3/10)."""
    mu, _, reward = law.numbers(Ball)
    logs = centred(mu, [Ball.log(r) for r in reward])
    return mu, reward, logs, norm(mu, logs, Ball), radius(Ball.number(RHO), Ball)


@GLOBAL.certified(Scope("four outcomes, rho_min = 3/10, three starts"))
def _(factors: Any) -> Answer:
    """Each of 60 steps comes nearer, the last by the factor across; one starts against log r."""
    mu, reward, logs, spread, bound = enclosed_start(FOUR_ARMS)
    end = [rest(spread, bound, Ball).exponent * x for x in logs]
    starts = [
        [-9 * x for x in logs],
        centred(mu, [Ball.number(x) for x in (40, -3, 7, 1)]),
        centred(mu, [Ball.number(Fraction(x, 50)) for x in (1, 2, -5, 9)]),
    ]
    answers = []
    across = factors(spread, bound, Ball).across
    for k, level in enumerate(starts):
        at = Witness.at(mu=FOUR_ARMS.mu, reward=FOUR_ARMS.reward, rho_min=RHO, start=k)
        gaps = []
        for _ in range(60):
            gap = [x - y for x, y in zip(level, end, strict=True)]
            gaps.append(inner(mu, gap, gap))
            level = step(mu, level, reward, Ball.number(RHO), Ball)
        if k == 0:
            # Against log r there is nothing across: the orbit arrives, up to the balls' width.
            answers.append(certified.compare(gaps[-1], "<", Ball.number(WIDTH), witness=at))
            continue
        worst = max((y / x for x, y in pairwise(gaps)), key=lambda ratio: ratio.upper())
        answers.append(certified.compare(worst, "<", flint.arb(1), witness=at))
        off = abs(gaps[-1] / gaps[-2] - across * across)
        answers.append(certified.compare(off, "<", Ball.number(Fraction(1, 10**5)), witness=at))
    return all_of(answers)


WIDTH = Fraction(1, 10**20)


@GLOBAL.neural(Scope("three outcomes, rho_min = 3/10"))
def _(factors: Any) -> Answer:
    """The Jacobian of the step by autograd, applied along log r and across it."""
    from_balls = enclosed_start(THREE_ARMS)
    spread, bound = (float(x.mid()) for x in from_balls[3:])
    mu, logs = neural.tensor(THREE_ARMS.mu), neural.tensor([x.mid() for x in from_balls[2]])

    def moved(level: Any) -> Any:
        level = level - (mu * level).sum()
        return bound * level / (mu * level**2).sum().sqrt() + logs

    end = (1 + bound / spread) * logs
    jacobian = neural.torch().autograd.functional.jacobian(moved, end)
    # In L2(mu): mean 0, and mean 0 against log r.
    across = neural.tensor([1, -1, 0])
    across = across - (mu * across).sum()
    across = across - (mu * across * logs).sum() / spread**2 * logs
    found = factors(spread, bound, Real)
    at = witness_of(THREE_ARMS, rho_min=RHO)
    return all_of(
        [
            neural.close(jacobian @ logs, found.along * logs, witness=at),
            neural.close(jacobian @ across, found.across * across, witness=at),
        ]
    )


@GLOBAL.without(REWARD_VARIES, on=(Finite.of("1/2 1/2", "2/3 1/3"),))
def _(factors: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    at = witness_of(law, rho_min=RHO)
    level, bound = log_ratio(mu, pi, Ball), radius(Ball.number(RHO), Ball)
    if len(set(law.reward)) == 1:
        # mu is at rest then; a policy comes nearer to it only from outside the ball.
        return certified.compare(norm(mu, level, Ball), ">", bound, witness=at)
    logs = centred(mu, [Ball.log(r) for r in reward])
    exponent = rest(norm(mu, logs, Ball), bound, Ball).exponent
    after = step(mu, level, reward, Ball.number(RHO), Ball)
    far, near = (
        norm(mu, [x - exponent * y for x, y in zip(row, logs, strict=True)], Ball)
        for row in (level, after)
    )
    return certified.compare(near, "<", far, witness=at)


GLOBAL.meaningless_without(POSITIVE_REWARD, "log r is not finite where r is 0 or negative")
GLOBAL.meaningless_without(VALID_RULE, NO_RULE)
GLOBAL.wrong_value(
    "the same factor everywhere",
    lambda spread, bound, m: Multipliers(bound / (bound + spread), bound / (bound + spread)),
)
GLOBAL.wrong_value(
    "along and across exchanged",
    lambda spread, bound, m: Multipliers(bound / (bound + spread), 0 * spread),
)
GLOBAL.wrong_value(
    "1 - gamma across",
    lambda spread, bound, m: Multipliers(0 * spread, spread / (bound + spread)),
)
GLOBAL.wrong_value(
    "gamma squared across",
    lambda spread, bound, m: Multipliers(0 * spread, (bound / (bound + spread)) ** 2),
)


CLAIMS = frozen(GLOBAL)

"""Section 2.3, the table's row on behaviour: mean-seeking and mode-seeking.

For an unrestricted policy f(w) = 1 covers all that mu r covers, and f(w) = w keeps nothing but the
outcomes of largest reward.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MU, R
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

GAP, X, REST, REST_R = sympy.symbols("gap x mu_rest r_rest", positive=True)


def best_rewarded(mu: Any, reward: Any, m: Any) -> list[Number]:
    """Return mu restricted to the outcomes of largest reward: one policy that f(w) = w ends in."""
    tops = [all((r - s) >= 0 for s in reward) for r in reward]
    return formulas.normalised([a if top else 0 * a for a, top in zip(mu, tops, strict=True)])


class Ends(NamedTuple):
    """Where f(w) = 1 and f(w) = w lead an unrestricted policy, each from mu, r and `m`."""

    cover: Any
    peak: Any


PRINTED_ENDS = Ends(formulas.tilted, best_rewarded)

ROW_4 = Draft(
    "TAB2.3.4",
    section="2.3",
    kind=Kind.OPTIMUM,
    title=Text("Behaviour: mean-seeking, mode-seeking", "优化行为：Mean-seeking，Mode-seeking"),
    finding=Text(
        "True of an unrestricted policy: f = 1 leads to mu r / Z, of full support, f = w to the "
        "policies on the outcomes of largest r.",
        "对无约束策略成立：f=1 的最优解为 μr/Z（满支撑），f=w 的最优解恰为支撑在 r 最大处的策略。",
    ),
    statement=r"\arg\max_\pi \mathbb{E}_\mu[r\log\pi] = \{\mu r/Z\},\ \mu r/Z > 0,\quad"
    r"\arg\max_\pi \mathbb{E}_\pi[r] = \{\pi : \pi(\arg\max r) = 1\}",
    subject=PRINTED_ENDS,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD,),
    uses=("T2.1.a", "EQ2.2"),
    reading="any policy on finitely many outcomes; 'mean-seeking': every outcome of mu keeps some "
    "mass; 'mode-seeking': only outcomes of largest reward are kept",
)


@ROW_4.symbolic(
    Scope("every finite law: Gibbs' inequality by outcome, and the reward's shortfall", whole=True)
)
def _(ends: Ends) -> Answer:
    """As log x <= x - 1, only the target is best; mass x off the top costs x times the gap."""
    # Z pt log(pt/pi) - Z (pt - pi) = Z pt (x - 1 - log x) for x = pi/pt, and it sums to Z KL.
    gap = X - 1 - sympy.log(X)
    total = MU * R + REST * REST_R
    here = ends.cover([MU, REST], [R, REST_R], Exact)[0]
    answers = [
        symbolic.equal(gap.subs(X, 1), 0),
        symbolic.equal(sympy.diff(gap, X).subs(X, 1), 0),
        symbolic.positive(sympy.diff(gap, X, 2)),
        symbolic.equal(total * here, MU * R),
        symbolic.positive(here),
    ]
    # R + GAP is the largest reward, R the mean reward of the policy's mass x off the top.
    for reward in ([R + GAP, R], [R, R + GAP]):
        policy = ends.peak([MU, REST], reward, Exact)
        value = sum(p * r for p, r in zip(policy, reward, strict=True))
        other = (1 - X) * (R + GAP) + X * R
        answers.append(symbolic.equal(value - other, X * GAP))
    return all_of(answers)


@cache
def simplex(arms: int, steps: int) -> tuple[tuple[int, ...], ...]:
    """Every policy of full support whose masses are multiples of 1/steps, in those units."""
    return tuple(
        (*ks, steps - sum(ks))
        for ks in product(range(1, steps), repeat=arms - 1)
        if sum(ks) < steps
    )


@ROW_4.certified(Scope("two laws, against every policy of full support on a grid"))
def _(ends: Ends) -> Answer:
    """Both objectives in balls: the two ends beat 120 and 165 other policies, strictly."""
    answers = []
    for law, steps in ((THREE_ARMS, 17), (FOUR_ARMS, 12)):
        mu, _, reward = law.numbers(Ball)
        tilted = [a * r for a, r in zip(mu, reward, strict=True)]
        logs = [Ball.log(p) for p in ends.cover(mu, reward, Ball)]
        best = sum((t * p for t, p in zip(tilted, logs, strict=True)), flint.arb(0))
        peak = ends.peak(mu, reward, Ball)
        highest = sum((p * r for p, r in zip(peak, reward, strict=True)), flint.arb(0))
        grid = [Ball.log(Ball.number(Fraction(k, steps))) for k in range(1, steps)]
        margin = flint.arb(1)
        for policy in simplex(len(mu), steps):
            rows = list(zip(policy, tilted, reward, strict=True))
            value = sum((t * grid[k - 1] for k, t, _ in rows), flint.arb(0))
            mean = sum((k * r for k, _, r in rows), flint.arb(0)) / steps
            margin = margin.min(best - value).min(highest - mean)
        witness = Witness.at(mu=law.mu, reward=law.reward, steps=steps)
        answers.append(certified.compare(margin, ">", 0, witness=witness))
    return all_of(answers)


@ROW_4.without(POSITIVE_REWARD)
def _(ends: Ends, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Exact)
    cover, peak = (end(mu, reward, Exact) for end in ends)

    def likelihood(policy: list[Any]) -> Any:
        rows = zip(*law.numbers(Ball)[::2], policy, strict=True)
        return sum((a * r * Ball.log(Ball.number(str(p))) for a, r, p in rows), flint.arb(0))

    def mean(policy: list[Any]) -> Any:
        return sum(p * r for p, r in zip(policy, reward, strict=True))

    witness = witness_of(law)
    return all_of(
        [
            *(symbolic.compare(p, ">", 0, witness=witness) for p in cover),
            certified.compare(likelihood(cover), ">=", likelihood(pi), witness=witness),
            symbolic.compare(mean(peak), ">=", mean(pi), witness=witness),
        ]
    )


@ROW_4.neural(Scope("two laws"))
def _(ends: Ends) -> Answer:
    """Both objectives are concave in pi; autograd meets the conditions for their maximum."""

    def maximal(law: Finite) -> list[Answer]:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        cover, peak = (neural.tensor(end(law.mu, law.reward, Real)) for end in ends)
        # Of full support: the slope in every mass is the same.
        inside = neural.gradient(lambda p: (mu * reward * p.log()).sum(), cover)
        # On part of it: the slope is the same there, and nowhere larger.
        outside = neural.gradient(lambda p: (p * reward).sum(), peak)
        level = (peak * outside).sum()
        pairs = [
            (inside, inside[:1].expand(len(mu))),
            (peak * outside, peak * level),
            (outside.clamp(min=level), level.expand(len(mu))),
        ]
        witness = Witness.at(mu=law.mu, reward=law.reward)
        return [neural.close(a, b, witness=witness) for a, b in pairs]

    return all_of([*maximal(THREE_ARMS), *maximal(FOUR_ARMS)])


def _worst_rewarded(mu: Any, reward: Any, m: Any) -> list[Number]:
    return best_rewarded(mu, [-r for r in reward], m)


ROW_4.wrong_value("both ends cover", PRINTED_ENDS._replace(peak=formulas.tilted))
ROW_4.wrong_value("the least reward", PRINTED_ENDS._replace(peak=_worst_rewarded))
ROW_4.wrong_value(
    "covering mu alone",
    PRINTED_ENDS._replace(
        cover=lambda mu, reward, m: [a + 0 * r for a, r in zip(mu, reward, strict=True)]
    ),
)
ROW_4.wrong_value(
    "the reward squared",
    PRINTED_ENDS._replace(
        cover=lambda mu, reward, m: formulas.tilted(mu, [r * r for r in reward], m)
    ),
)


CLAIMS = frozen(ROW_4)

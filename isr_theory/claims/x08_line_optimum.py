"""The line's own later claims, IV: the policy at which E_mu[w^gamma r] is largest.

The notes of the line also correct the paper; where such a correction has an error of its own, it is
judged too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.x01_2_1_summit import FINITE_POWER, NO_SUMMIT
from isr_theory.claims.x08_line import LINE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.formulas import Law
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

MU, R, GAMMA = sympy.symbols("mu r gamma", positive=True)


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
    source=f"{LINE}/.old/math_review_corrections.md section 4",
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
    source="OBJ.maximiser, of which this is the part that the notes ask for",
    sharpens=("REM2.2.fix",),
    amends=("LINE.optimum",),
    assumes=(POSITIVE_REWARD, FINITE_POWER),
    uses=("D4.1", "OBJ.maximiser"),
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


OPTIMUM_FIX.meaningless_without(FINITE_POWER, NO_SUMMIT)


OPTIMUM_FIX.wrong_value("mu r^(1/(gamma-1))", line_optimum)


@OPTIMUM_FIX.wrong("mu r")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.tilted(mu, reward, m)


@OPTIMUM_FIX.wrong("r^(1/gamma)")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, reward, strict=True)
    return formulas.normalised([a * m.power(r, 1 / gamma) for a, r in rows])


CLAIMS = frozen(OPTIMUM, OPTIMUM_FIX)

"""Past section 4: rewards below 0, which the effective target excludes and every advantage has.

Where some reward is positive, E_mu[r w^gamma] has its summit at mu r_+^(1/(1-gamma)): what earns
less than 0 is given no mass at all. Where none is, the stationary law is the bottom, and every
single outcome is a local summit.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import GAMMA, MU, PI, C, R
from isr_theory.claims.x01_2_1_summit import (
    FINITE_POWER,
    NO_SUMMIT,
    SHARE,
    height,
    objective,
    partition,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import SIGNED_REWARD, THREE_ARMS, TWO_ARMS, Finite

A, B, D, E = sympy.symbols("a b d e", positive=True)
HALF = Fraction(1, 2)


def positive_part(x: Number, m: Arithmetic) -> Number:
    """Return x where it is positive and 0 elsewhere."""
    return -m.minimum(-x, 0 * x)


def earning(mu: Any, reward: Any, gamma: Number, m: Arithmetic) -> list[Number]:
    """Mu r_+^(1/(1-gamma)), normalised: 0 wherever r <= 0."""
    return formulas.fixed_point(mu, [positive_part(r, m) for r in reward], gamma, m)


def mixtures(best: Any, mu: Any, pi: Any, m: Arithmetic) -> list[list[Any]]:
    """Policies near a law and far from it: towards mu, pi and every single outcome."""
    corners = [[m.number(int(k == y)) for k in range(len(mu))] for y in range(len(mu))]
    return [
        [(1 - step) * q + step * p for q, p in zip(best, other, strict=True)]
        for other in (mu, pi, *corners)
        for step in (m.number("1/100"), m.number("2/3"))
    ]


def _turned(rng: Any) -> Finite:
    law = Finite.drawn(rng)
    return replace(law, reward=(law.reward[0], *(-r for r in law.reward[1:])))


SOME_POSITIVE = Assumption(
    "some_positive",
    Text("Some outcome of mu has a positive reward.", "μ 的某个结果有正奖励。"),
    lambda law: any(a > 0 and r > 0 for a, r in zip(law.mu, law.reward, strict=True)),
    examples=(SIGNED_REWARD, THREE_ARMS),
    violations=(Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "-1 -2 -3/2"),),
    draw=_turned,
)

SIGNED = Draft(
    "OBJ.signed",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The summit where some rewards are negative", "奖励有正有负时的最大点"),
    finding=Text(
        "It is mu r_+^(1/(1-gamma)): there no outcome with a negative reward has any mass,"
        " however slightly negative and however much mu gives it.",
        "最大点为 μ r_+^{1/(1−γ)}：凡奖励为负的结果，无论多么轻微、μ 给它多大概率，"
        "在最大点处概率都为 0。",
    ),
    statement=r"\arg\max_\pi \mathbb{E}_\mu[r w^\gamma] = \mu\,r_+^{1/(1-\gamma)}/Z_+,\quad"
    r" \max J_\gamma = Z_+^{1-\gamma}/\gamma,\quad Z_+ = \mathbb{E}_\mu[r_+^{1/(1-\gamma)}]",
    subject=earning,
    expect=Verdict.VERIFIED,
    assumes=(SOME_POSITIVE, FINITE_POWER),
    uses=("OBJ.maximiser",),
    sharpens=("T4.2.a",),
    source="new here",
    reading="0 < gamma < 1, Z_+ finite; the maximiser is unique, and with rewards of both signs no "
    "policy of full support is stationary, as pi_eff would be one of two signs",
)


@SIGNED.symbolic(
    Scope(
        "every law: a negative term is at most 0, then the summit for r_+; one outcome of each "
        "sign against the rest",
        whole=True,
    )
)
def _(law: Any) -> Answer:
    """The law of three groups, one losing; J there; what a losing outcome adds to J anywhere."""
    mu, reward = [MU, A, B], [R, C, -D]
    best = law(mu, reward, SHARE, Exact)
    paid = formulas.fixed_point(mu[:2], reward[:2], SHARE, Exact)
    mass = partition(mu[:2], reward[:2], SHARE, Exact)
    # An outcome of the law gives J its share of the largest possible value.
    own = objective(mu[:1], best[:1], reward[:1], SHARE, Exact)
    due = height(mass, SHARE, Exact) * best[0]
    added = objective([MU], [PI], [-D], SHARE, Exact)
    return all_of(
        [
            *(symbolic.equal(x, y) for x, y in zip(best, [*paid, 0], strict=True)),
            symbolic.equal(sympy.log(sympy.powsimp(own / due)), 0, reduce=_logs),
            symbolic.equal(objective(mu[2:], best[2:], reward[2:], SHARE, Exact), 0),
            symbolic.positive(sympy.simplify(-added)),
        ]
    )


LOSING = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 -3 2")
LAWS = (LOSING, SIGNED_REWARD, Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "-1/9 2 1 3"))


@SIGNED.certified(Scope("three laws, two exponents, against ten policies or more"))
def _(law: Any) -> Answer:
    """J at the law is its bound, and larger than at mixtures with mu, pi and each outcome."""
    answers = []
    for model in LAWS:
        mu, pi, reward = model.numbers(Ball)
        for exponent in (HALF, Fraction(4, 5)):
            gamma, at = Ball.number(exponent), witness_of(model, gamma=exponent)
            best = law(mu, reward, gamma, Ball)
            there = objective(mu, best, reward, gamma, Ball)
            paid = [positive_part(r, Ball) for r in reward]
            top = height(partition(mu, paid, gamma, Ball), gamma, Ball)
            answers.append(certified.agree([there], [top], witnesses=[at]))
            for other in mixtures(best, mu, pi, Ball):
                below = objective(mu, other, reward, gamma, Ball)
                answers.append(certified.compare(below, "<", there, witness=at))
    return all_of(answers)


@SIGNED.neural(Scope("three laws, gamma = 1/2, the losing outcomes at mass e^-60"))
def _(law: Any) -> Answer:
    """The slope of the loss with weights held is 0, to e^-30, which their weights leave."""
    answers = []
    for model in LAWS:
        best = neural.tensor(law(*model.numbers(Real)[::2], 0.5, Real))
        answers.append(at_rest(model, best, model.reward))
    return all_of(answers)


def at_rest(model: Finite, best: Any, reward: Any) -> Answer:
    """Say whether the loss at gamma = 1/2 has no slope at a law, losing outcomes at mass e^-60."""
    mu, paid = neural.tensor(model.mu), neural.tensor(reward)

    def loss(z: Any) -> Any:
        log_pi = z.log_softmax(0)
        return (mu * (log_pi.exp() / mu).sqrt().detach() * paid * log_pi).sum()

    here = (best + neural.torch().exp(neural.tensor(-60))).log()
    slopes = neural.gradient(loss, here)
    return neural.close(slopes, [0] * len(best), witness=witness_of(model, gamma=HALF))


@SIGNED.margin(*(spaces.finite(k, reward=("-3", "3"), gamma=("1/10", "9/10")) for k in (2, 3)))
def _(law: Any, case: Any, m: Any) -> Any:
    mu, pi, reward = case.model.numbers(m)
    gamma = m.number(case["gamma"])
    if max(case.model.reward) <= 0:
        return m.number(1)  # The statement says nothing of it.
    best = law(mu, reward, gamma, m)
    tops = [objective(mu, policy, reward, gamma, m) for policy in (best, pi)]
    return tops[0] - tops[1]


SIGNED.meaningless_without(
    SOME_POSITIVE, "where no reward is positive Z_+ is 0 and no law is proportional to r_+"
)
SIGNED.meaningless_without(FINITE_POWER, NO_SUMMIT)


@SIGNED.wrong("the size of r")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.fixed_point(mu, [m.sqrt(r * r) for r in reward], gamma, m)


@SIGNED.wrong("mu r_+, not sharpened")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised([a * positive_part(r, m) for a, r in zip(mu, reward, strict=True)])


@SIGNED.wrong("mu on what earns")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised(
        [
            a * m.power(positive_part(r, m), 0 * gamma + 1) / (r * r)
            for a, r in zip(mu, reward, strict=True)
        ]
    )


@SIGNED.number("the summit at mu = (3/5, 3/10, 1/10), r = (1, -3, 2), gamma = 1/2")
def _() -> str:
    mu, _, reward = LOSING.numbers(Exact)
    return ", ".join(map(str, earning(mu, reward, Exact.number(HALF), Exact)))


def _all_turned(rng: Any) -> Finite:
    law = Finite.drawn(rng)
    return replace(law, reward=tuple(-r for r in law.reward))


FALLING = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "-1 -2 -3/2")
ALL_NEGATIVE = Assumption(
    "all_negative",
    Text("Every reward is negative.", "奖励处处为负。"),
    lambda law: max(law.reward) < 0,
    examples=(FALLING, Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "-3 -1 -2 -1/2")),
    violations=(SIGNED_REWARD, TWO_ARMS),
    draw=_all_turned,
)


class Bottom(NamedTuple):
    """What decides between single outcomes, a of mu, |r| and gamma; and the stationary law."""

    price: Any
    law: Any


def price(mu: Number, size: Number, gamma: Number, m: Arithmetic) -> Number:
    """Return a = mu^(1-gamma) |r|: J at that outcome alone is -a/gamma."""
    return m.power(mu, 1 - gamma) * size


BOTTOM = Bottom(price, formulas.fixed_point)

NEGATIVE = Draft(
    "OBJ.negative",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Where every reward is negative", "奖励全为负时"),
    finding=Text(
        "The stationary law is the bottom of J and every single outcome a local summit; the highest"
        " has the least mu^(1-gamma)|r|, so that a rare outcome can beat the least bad one.",
        "驻点是 J 的最小点，而每个单一结果都是局部最大点；最高者使 μ^{1−γ}|r| 最小，"
        "故稀有结果可胜过损失最小的结果。",
    ),
    statement=r"r < 0:\quad \max_\pi J_\gamma = -\tfrac1\gamma\min_y \mu(y)^{1-\gamma}|r(y)|"
    r"\ \text{at that outcome alone},\quad \arg\min_\pi J_\gamma \propto \mu\,|r|^{1/(1-\gamma)}",
    subject=BOTTOM,
    expect=Verdict.VERIFIED,
    assumes=(ALL_NEGATIVE,),
    uses=("OBJ.maximiser",),
    sharpens=("T4.2.a", "P5.3.fix"),
    source="new here",
    reading="0 < gamma < 1 and finitely many outcomes, each with mass in mu, as one without would "
    "be a summit at J = 0; a local summit among all policies near it",
)


@NEGATIVE.symbolic(Scope("every law: p^gamma > p inside (0, 1), outcome by outcome", whole=True))
def _(bottom: Any) -> Answer:
    """J of an outcome and of a single one; p^gamma over p; a step e off a single outcome."""
    # J = -sum a p^gamma/gamma <= -sum a p/gamma <= -min a/gamma, the first strict unless p is 0, 1.
    a, other = (bottom.price(x, y, SHARE, Exact) for x, y in ((MU, R), (A, D)))
    p = 1 / (1 + C)
    own = objective([MU], [p], [-R], SHARE, Exact)
    single = objective([MU], [sympy.Integer(1)], [-R], SHARE, Exact)
    above = sympy.expand_log(sympy.log(p**SHARE / p), force=True)
    # A mass x in all, moved to others, costs at least b x^gamma/gamma, b the least of their prices,
    # as a sum of powers is above the power of the sum; it saves at most a x/gamma, since
    # 1 - (1-x)^gamma <= x. The cost is the larger at every x below (b/a)^(1/(1-gamma)).
    step = (other / a) ** (1 / (1 - SHARE)) / (1 + E)
    ratio = sympy.log(other * step**SHARE / (a * step))
    stated = sympy.log(1 + E) / (1 + GAMMA)
    # J at -|r| is minus J at |r|, whose only summit is the stationary law.
    turned = own + objective([MU], [p], [R], SHARE, Exact)
    law = bottom.law([MU, A], [R, D], SHARE, Exact)
    even = [x * (q / x) ** SHARE * r / q for x, q, r in zip([MU, A], law, [R, D], strict=True)]
    return all_of(
        [
            symbolic.equal(own, -a * p**SHARE / SHARE, reduce=_powers),
            symbolic.equal(single, -a / SHARE, reduce=_powers),
            symbolic.equal(above, sympy.log(1 + C) / (1 + GAMMA)),
            symbolic.positive(sympy.log(1 + C) / (1 + GAMMA)),
            symbolic.equal(ratio, stated, reduce=_logs),
            symbolic.positive(stated),
            symbolic.equal(turned, 0),
            symbolic.equal(sympy.log(even[0] / even[1]), 0, reduce=_logs),
        ]
    )


def _powers(difference: Any) -> Any:
    return sympy.simplify(sympy.powsimp(sympy.expand_power_base(difference, force=True)))


def _logs(difference: Any) -> Any:
    flat = sympy.logcombine(difference, force=True)
    return sympy.simplify(sympy.expand_log(flat.replace(sympy.log, _flat_log), force=True))


def _flat_log(x: Any) -> Any:
    return sympy.log(sympy.powdenest(sympy.simplify(x), force=True))


@NEGATIVE.certified(Scope("two laws, two exponents, against ten policies or more"))
def _(bottom: Any) -> Answer:
    """J at single outcomes against their prices; mixtures, below those and above the bottom."""
    return all_of(
        between(bottom, model, exponent)
        for model in ALL_NEGATIVE.examples
        for exponent in (HALF, Fraction(1, 4))
    )


def between(bottom: Any, model: Finite, exponent: Fraction) -> Answer:
    """Say whether J lies between its value at the stationary law and -min a/gamma."""
    mu, pi, reward = model.numbers(Ball)
    gamma, at = Ball.number(exponent), witness_of(model, gamma=exponent)
    sizes = [Ball.number(abs(r)) for r in model.reward]
    prices = [bottom.price(a, r, gamma, Ball) for a, r in zip(mu, sizes, strict=True)]
    low = bottom.law(mu, sizes, gamma, Ball)
    corners = [[flint.arb(int(k == y)) for k in range(len(mu))] for y in range(len(mu))]
    heights = [objective(mu, corner, reward, gamma, Ball) for corner in corners]
    floor = objective(mu, low, reward, gamma, Ball)
    top = -min(prices, key=lambda x: float(x.mid())) / gamma
    answers = [
        certified.agree(heights, [-a / gamma for a in prices], witnesses=[at] * len(mu)),
    ]
    for corner, peak in zip(corners, heights, strict=True):
        # Far below (b/a)^(1/(1-gamma)) for all pairs of these prices, which are within 200.
        step = Ball.number(Fraction(1, 10**12))
        near = [(1 - step) * q + step * p for q, p in zip(corner, pi, strict=True)]
        answers.append(
            certified.compare(objective(mu, near, reward, gamma, Ball), "<", peak, witness=at)
        )
    for other in (pi, *mixtures(low, mu, pi, Ball)):
        value = objective(mu, other, reward, gamma, Ball)
        answers += [
            certified.compare(value, "<", top, witness=at),
            certified.compare(value, ">", floor, witness=at),
        ]
    return all_of(answers)


@NEGATIVE.neural(Scope("two laws, gamma = 1/2"))
def _(bottom: Any) -> Answer:
    """At the stationary law J has no slope, and rises in every direction, by its Hessian."""
    answers = []
    for model in ALL_NEGATIVE.examples:
        mu, reward = neural.tensor(model.mu), neural.tensor(model.reward)
        at = witness_of(model, gamma=HALF)
        sizes = [abs(float(r)) for r in model.reward]
        here = neural.tensor(bottom.law([float(a) for a in model.mu], sizes, 0.5, Real)).log()

        def climbed(z: Any, mu: Any = mu, reward: Any = reward) -> Any:
            return 2 * (mu * reward * (z.softmax(0) / mu).sqrt()).sum()

        # The smallest curvature is 0, along the constants.
        second = neural.torch().linalg.eigvalsh(neural.hessian(climbed, here))[1]
        answers += [
            neural.close(neural.gradient(climbed, here), [0] * len(mu), witness=at),
            neural.compare(second, ">", 0, witness=at),
        ]
    return all_of(answers)


@NEGATIVE.without(ALL_NEGATIVE)
def _(bottom: Any, model: Finite) -> Answer:
    mu, pi, reward = model.numbers(Ball)
    half, at = Ball.number(HALF), witness_of(model, gamma=HALF)
    sizes = [Ball.number(abs(r)) for r in model.reward]
    prices = [bottom.price(a, r, half, Ball) for a, r in zip(mu, sizes, strict=True)]
    top = -min(prices, key=lambda x: float(x.mid())) / half
    here = objective(mu, pi, reward, half, Ball)
    return certified.compare(here, "<", top, witness=at)


NEGATIVE.wrong_value("|r| alone", BOTTOM._replace(price=lambda mu, size, gamma, m: size + 0 * mu))
NEGATIVE.wrong_value("mu |r|", BOTTOM._replace(price=lambda mu, size, gamma, m: mu * size))
NEGATIVE.wrong_value(
    "gamma for 1 - gamma",
    BOTTOM._replace(price=lambda mu, size, gamma, m: price(mu, size, 1 - gamma, m) + 0 * gamma),
)
NEGATIVE.wrong_value(
    "the law of r^(1/(gamma-1))",
    BOTTOM._replace(
        law=lambda mu, r, gamma, m: formulas.fixed_point(mu, [1 / x for x in r], gamma, m)
    ),
)


@NEGATIVE.number("J at each outcome of mu = (3/5, 3/10, 1/10), r = (-1, -2, -3/2), gamma = 1/2")
def _() -> str:
    rows = zip(FALLING.mu, FALLING.reward, strict=True)
    half = Ball.number(HALF)
    prices = [price(Ball.number(a), Ball.number(-r), half, Ball) for a, r in rows]
    return ", ".join(certified.digits(-a / half) for a in prices)


CLAIMS = frozen(SIGNED, NEGATIVE)

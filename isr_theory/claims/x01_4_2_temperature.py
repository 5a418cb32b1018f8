"""Past section 2: gamma as a temperature.

With r = e^(R/tau) the summit is that of RL with a KL penalty tau (1-gamma), and with a reward of 0
or 1 gamma moves it not at all.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MU, PI, C
from isr_theory.claims.s04_3_target import weights
from isr_theory.claims.x01_2_1_summit import FINITE_POWER, SHARE, objective
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, Finite

A, B = sympy.symbols("a b", positive=True)
HALF = Fraction(1, 2)


class Tempered(NamedTuple):
    """The penalty of tau and gamma, and the optimum of mu, R and a penalty."""

    penalty: Any
    optimum: Any


def penalised_optimum(mu: Any, raw: Any, beta: Number, m: Any) -> list[Any]:
    """Mu e^(R/beta), normalised."""
    return formulas.normalised([a * m.exp(x / beta) for a, x in zip(mu, raw, strict=True)])


def _expanded(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(difference, force=True))


TEMPERED = Tempered(lambda tau, gamma: tau * (1 - gamma), penalised_optimum)
RAW, OTHER = sympy.symbols("R_1 R_2", real=True)
TAU, BETA = sympy.symbols("tau beta", positive=True)

TEMPERATURE = Draft(
    "OBJ.temperature",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("gamma is a temperature", "γ 即温度"),
    finding=Text(
        "With r = e^(R/tau) the summit is the optimum of E[R] - beta KL(pi || mu) at beta = tau"
        " (1-gamma): gamma only weakens the penalty, and gamma = 0 is RL already, at beta = tau.",
        "取 r = e^{R/τ} 时 q_γ 是 E[R] − β KL(π‖μ) 在 β = τ(1−γ) 处的最优策略："
        "γ 只减弱惩罚，而 γ=0 已是 β=τ 的 RL。",
    ),
    statement=r"r = e^{R/\tau} \Rightarrow q_\gamma = \tfrac1{Z}\mu\,e^{R/\beta}"
    r" = \arg\max_\pi\,\mathbb{E}_\pi[R] - \beta D_{KL}(\pi\|\mu),\ \beta = \tau(1-\gamma);\quad"
    r" \mathbb{E}_\pi[R] - \beta D_{KL}(\pi\|\mu) = \beta\log Z - \beta D_{KL}(\pi\|q_\gamma)",
    subject=TEMPERED,
    expect=Verdict.VERIFIED,
    assumes=(FINITE_POWER,),
    uses=("OBJ.maximiser", "P5.3.fix", "T2.2"),
    sharpens=("P5.3.fix", "T2.2", "REM2.2.fix"),
    source="the optimum is Gibbs' variational principle; its reading of gamma is new here",
    reading="0 <= gamma < 1, tau > 0, R of any sign; where pi takes what mu misses both sides are "
    "-infinity",
)


@TEMPERATURE.symbolic(Scope("every law: one outcome against the rest", whole=True))
def _(tempered: Any) -> Answer:
    """The two laws in one, and R - beta log(pi/mu) = beta log Z - beta log(pi/q)."""
    mu, raw = [MU, A], [RAW, OTHER]
    reward = [sympy.exp(x / TAU) for x in raw]
    beta = tempered.penalty(TAU, SHARE)
    summit = formulas.fixed_point(mu, reward, SHARE, Exact)
    optimum = tempered.optimum(mu, raw, beta, Exact)
    total = MU * sympy.exp(RAW / BETA) + A * sympy.exp(OTHER / BETA)
    q = tempered.optimum(mu, raw, BETA, Exact)[0]
    left = RAW - BETA * sympy.log(PI / MU)
    right = BETA * sympy.log(total) - BETA * sympy.log(PI / q)
    ratio = sympy.log(sympy.powsimp(sympy.simplify(summit[0] / summit[1]), force=True))
    apart = sympy.log(sympy.powsimp(sympy.simplify(optimum[0] / optimum[1]), force=True))
    return all_of(
        [
            symbolic.equal(ratio, apart, reduce=_expanded),
            symbolic.equal(left, right, reduce=_expanded),
        ]
    )


# The rewards R of these laws are in units of tau.
SIGNED = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 -2 3/2")
HOT = [
    (law, Fraction(g), Fraction(t))
    for law in (THREE_ARMS, SIGNED)
    for g, t in (("1/4", "2"), ("3/5", "3"))
]


def hot(law: Finite, gamma: Fraction, tau: Fraction) -> Witness:
    """Name a law, an exponent and a temperature."""
    return witness_of(law, gamma=gamma, tau=tau)


@TEMPERATURE.certified(Scope("two laws, one with R of both signs, two pairs of gamma and tau"))
def _(tempered: Any) -> Answer:
    """At the optimum g_gamma summed is 0; the penalised objective summed there and at pi."""
    answers = []
    for law, gamma, tau in HOT:
        mu, pi, raw = law.numbers(Ball)
        g, t, at = Ball.number(gamma), Ball.number(tau), hot(law, gamma, tau)
        beta = tempered.penalty(t, g)
        q = tempered.optimum(mu, raw, beta, Ball)
        masses = weights(mu, q, [Ball.exp(x / t) for x in raw], g, Ball)
        pulls = [x - b * sum(masses, flint.arb(0)) for x, b in zip(masses, q, strict=True)]

        def value(policy: Any, mu: Any = mu, raw: Any = raw, beta: Any = beta) -> Any:
            mean = sum((p * x for p, x in zip(policy, raw, strict=True)), flint.arb(0))
            return mean - beta * formulas.kl(policy, mu, Ball)

        lost = value(q) - beta * formulas.kl(pi, q, Ball)
        answers += [
            certified.agree(pulls, [flint.arb(0)] * len(mu), witnesses=[at] * len(mu)),
            certified.agree([value(pi)], [lost], witnesses=[at]),
        ]
    return all_of(answers)


@TEMPERATURE.neural(Scope("two laws, one with R of both signs, two pairs of gamma and tau"))
def _(tempered: Any) -> Answer:
    """Neither the loss with weights held nor E[R] - beta KL has a slope at the optimum."""
    answers = []
    for law, gamma, tau in HOT:
        mu, raw, at = neural.tensor(law.mu), neural.tensor(law.reward), hot(law, gamma, tau)
        g, t = float(gamma), float(tau)
        beta = tempered.penalty(t, g)
        q = tempered.optimum(list(mu), list(raw), beta, Tensor)
        here = neural.torch().stack(q).log()

        def penalised(z: Any, mu: Any = mu, raw: Any = raw, t: float = t, g: float = g) -> Any:
            policy = z.softmax(0)
            return (policy * (raw - t * (1 - g) * (z.log_softmax(0) - mu.log()))).sum()

        def loss(z: Any, mu: Any = mu, raw: Any = raw, t: float = t, g: float = g) -> Any:
            log_pi = z.log_softmax(0)
            held = (mu * (log_pi.exp() / mu) ** g * (raw / t).exp()).detach()
            return (held * log_pi).sum()

        answers += [
            neural.close(neural.gradient(side, here), [0] * len(mu), witness=at)
            for side in (penalised, loss)
        ]
    return all_of(answers)


TEMPERATURE.meaningless_without(
    FINITE_POWER, "where E_mu[e^(R/beta)] is infinite there is no q, and the maximum is +infinity"
)
TEMPERATURE.wrong_value("beta = tau", TEMPERED._replace(penalty=lambda tau, gamma: tau + 0 * gamma))
TEMPERATURE.wrong_value("beta = tau gamma", TEMPERED._replace(penalty=lambda tau, g: tau * g))
TEMPERATURE.wrong_value(
    "beta = tau/(1-gamma)", TEMPERED._replace(penalty=lambda tau, g: tau / (1 - g))
)
TEMPERATURE.wrong_value(
    "no mu in the optimum",
    TEMPERED._replace(
        optimum=lambda mu, raw, beta, m: formulas.normalised([m.exp(x / beta) for x in raw])
    ),
)


def _some(rng: Any) -> Finite:
    law = Finite.drawn(rng)
    paid = [Fraction(int(x)) for x in rng.integers(0, 2, len(law.mu))]
    return replace(law, reward=(Fraction(1), *paid[1:]))


TWO_REWARDS = Assumption(
    "two_rewards",
    Text("Every reward is 0 or one positive number c.", "奖励只取 0 或某个正数 c。"),
    lambda law: min(law.reward) >= 0 and len({r for r in law.reward if r != 0}) == 1,
    examples=(
        Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "0 1 1"),
        Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "2 0 0 2"),
    ),
    # The second has probabilities of success for rewards.
    violations=(THREE_ARMS, Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1/10 9/10 0")),
    draw=_some,
)


def successes(mu: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    """Mu on the outcomes that earn anything, normalised, whatever gamma is."""
    return formulas.normalised([a if r != 0 else 0 * a for a, r in zip(mu, reward, strict=True)])


BINARY = Draft(
    "OBJ.binary",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Right or wrong: gamma does not move the summit", "0/1 奖励：γ 不改变最优点"),
    finding=Text(
        "With a certain reward of 0 or 1 the summit is mu given success for every gamma, so that"
        " gamma changes only the way there; with chances of success it sharpens them again.",
        "确定的 0/1 奖励下，q_γ 恒为 μ 在成功条件下的分布，γ 只影响过程；"
        "若奖励是成功概率，γ 又会使其更尖锐。",
    ),
    statement=r"r \in \{0, c\} \Rightarrow q_\gamma = \mu(\cdot\mid r > 0)"
    r"\quad\text{for every } 0 \le \gamma < 1",
    subject=successes,
    expect=Verdict.VERIFIED,
    assumes=(TWO_REWARDS,),
    uses=("OBJ.maximiser",),
    sharpens=("P5.3.fix", "MOT4.1.3"),
    source="new here",
    reading="among all policies; the rewards of an outcome enter g by their mean, so a chance p of "
    "success counts as r = p",
)


@BINARY.symbolic(Scope("every law: two that succeed, one that fails", whole=True))
def _(law: Any) -> Answer:
    """The summit of three groups of outcomes, of which one earns nothing."""
    mu, reward = [MU, A, B], [C, C, sympy.Integer(0)]
    found = law(mu, reward, SHARE, Exact)
    summit = formulas.fixed_point(mu, reward, SHARE, Exact)
    return all_of(symbolic.equal(x, y) for x, y in zip(found, summit, strict=True))


@BINARY.certified(Scope("two laws, three exponents"))
def _(law: Any) -> Answer:
    """J is larger there than at mixtures with mu, with pi and with each success."""
    answers = []
    for model in TWO_REWARDS.examples:
        mu, pi, reward = model.numbers(Ball)
        for exponent in ("1/10", "1/2", "9/10"):
            gamma, at = Ball.number(exponent), witness_of(model, gamma=exponent)
            best = law(mu, reward, gamma, Ball)
            top = objective(mu, best, reward, gamma, Ball)
            corners = [[flint.arb(int(k == y)) for k in range(len(mu))] for y in range(len(mu))]
            for other in (mu, pi, *corners):
                for step in (Ball.number("1/100"), flint.arb(1)):
                    near = [(1 - step) * q + step * p for q, p in zip(best, other, strict=True)]
                    below = objective(mu, near, reward, gamma, Ball)
                    answers.append(certified.compare(top, ">", below, witness=at))
    return all_of(answers)


@BINARY.neural(Scope("two laws, gamma = 1/2, the failing outcomes at mass e^-60"))
def _(law: Any) -> Answer:
    """The slope of the loss with weights held is 0, to e^-30, which their weights leave."""
    answers = []
    for model in TWO_REWARDS.examples:
        mu, reward = neural.tensor(model.mu), neural.tensor(model.reward)
        best = neural.tensor(law(model.mu, model.reward, HALF, Exact))
        here = (best + neural.torch().exp(neural.tensor(-60))).log()

        def loss(z: Any, mu: Any = mu, reward: Any = reward) -> Any:
            log_pi = z.log_softmax(0)
            return (mu * (log_pi.exp() / mu).sqrt().detach() * reward * log_pi).sum()

        slopes = neural.gradient(loss, here)
        answers.append(neural.close(slopes, [0] * len(mu), witness=witness_of(model, gamma=HALF)))
    return all_of(answers)


@BINARY.without(TWO_REWARDS)
def _(law: Any, model: Finite) -> Answer:
    mu, _, reward = model.numbers(Exact)
    half, at = Exact.number(HALF), witness_of(model, gamma=HALF)
    found = law(mu, reward, half, Exact)
    summit = formulas.fixed_point(mu, reward, half, Exact)
    return all_of(
        symbolic.compare(x, "==", y, witness=at) for x, y in zip(found, summit, strict=True)
    )


@BINARY.wrong("all of mu")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    return formulas.normalised(list(mu))


@BINARY.wrong("uniform on the successes")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    return formulas.normalised(
        [a / a if r != 0 else 0 * a for a, r in zip(mu, reward, strict=True)]
    )


@BINARY.wrong("mu squared on the successes")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    return successes([a * a for a in mu], reward, gamma, m)


CLAIMS = frozen(TEMPERATURE, BINARY)

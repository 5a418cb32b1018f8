"""Section 5.2: does optimising w^gamma move the policy along the path p_gamma?

No: the gradient can point away from p_gamma, and the exception that the paper allows, a reward
r = e^(r/tau), is none. What holds instead is in the claims that follow.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.claims.s04_3_target import weights
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.models import Finite

HALF = Fraction(1, 2)
ONE_POINT = Scope("the one point of the witness")


def enumerated(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    """g_gamma for every softmax logit k, with s_k(y) = 1{y=k} - pi_k."""
    masses = weights(mu, pi, reward, gamma, m)
    return [mass - sum(masses) * p for mass, p in zip(masses, pi, strict=True)]


def autograd(mu: Any, pi: Any, reward: Any, gamma: float) -> Any:
    """g_gamma in the logits, from the loss whose weights carry no gradient."""
    behaviour, paid = neural.tensor(list(mu)), neural.tensor(list(reward))

    def objective(logits: Any) -> Any:
        log_pi = logits.log_softmax(0)
        factors = (log_pi.exp() / behaviour) ** gamma
        return (behaviour * factors.detach() * paid * log_pi).sum()

    return neural.gradient(objective, neural.tensor(list(pi)).log())


def descent(goal: Any, pi: Any) -> Any:
    """-d KL(goal || pi) in the first logit, as a power series."""

    def moved(t: Any) -> Any:
        masses = [p * Jet.exp(t) if y == 0 else p for y, p in enumerate(pi)]
        return -formulas.kl(goal, formulas.normalised(masses), Jet)

    return certified.derivatives(moved, Ball.number(0), 1)[1]


def exact_descent(goal: Any, pi: Any) -> Any:
    """-d KL(goal || pi) in the first logit, by differentiating the softmax."""
    t = sympy.symbols("t", real=True)
    masses = [p * sympy.exp(t) if y == 0 else p for y, p in enumerate(pi)]
    return -sympy.diff(formulas.kl(goal, formulas.normalised(masses), Exact), t).subs(t, 0)


def autograd_descent(goal: Any, pi: Any) -> Any:
    """-grad KL(goal || pi) in the logits."""
    fixed = neural.tensor(list(goal))

    def ascent(logits: Any) -> Any:
        return (fixed * (logits.log_softmax(0) - fixed.log())).sum()

    return neural.gradient(ascent, neural.tensor(list(pi)).log())


P5_3_A = Draft(
    "P5.3.a",
    section="5.2",
    kind=Kind.HEURISTIC,
    title=Text(
        "Optimising w^gamma moves the policy towards p_gamma", "w^γ 的优化沿 p_γ 方向移动策略"
    ),
    finding=Text(
        "False: with two outcomes the gradient can point exactly away from p_gamma.",
        "不成立：两个结果时梯度就可以恰好背离 p_γ。",
    ),
    statement=r"\langle g_\gamma,\, -\nabla_\theta D_{KL}(p_\gamma\|\pi_\theta)\rangle > 0,"
    r"\quad p_\gamma\propto\mu^{1-\gamma}(e^{r/\tau})^\gamma",
    subject=formulas.geometric_path,
    expect=Verdict.REFUTED,
    assumes=(POSITIVE_REWARD,),
    uses=("D4.1", "D5.1"),
    reading="'along the direction of p_gamma' asks at least for an acute angle with the step that "
    "brings the policy closer to p_gamma; the logits of two outcomes have one free direction",
)
AWAY = Finite.of("9/10 1/10", "1/2 1/2", "1 2")
TEMPERATURE = Fraction(1, 10)
AWAY_AT = Witness.at(mu=AWAY.mu, pi=AWAY.pi, reward=AWAY.reward, tau=TEMPERATURE, gamma=HALF)


def _toward(path: Any, m: Any) -> Any:
    """The printed p_gamma of this reward and temperature."""
    mu, _, reward = AWAY.numbers(m)
    target = formulas.soft_optimum(reward, m.number(TEMPERATURE), m)
    return path(mu, target, m.number(HALF), m)


@P5_3_A.symbolic(ONE_POINT)
def _(path: Any) -> Answer:
    """The two derivatives in the one free logit, exactly."""
    mu, pi, reward = AWAY.numbers(Exact)
    g = enumerated(mu, pi, reward, Exact.number(HALF), Exact)[0]
    lowering = exact_descent(_toward(path, Exact), pi)
    return symbolic.compare(g * lowering, ">", 0, witness=AWAY_AT)


@P5_3_A.certified(ONE_POINT)
def _(path: Any) -> Answer:
    """The slope of the divergence as a power series in the logit."""
    mu, pi, reward = AWAY.numbers(Ball)
    g = enumerated(mu, pi, reward, Ball.number(HALF), Ball)[0]
    lowering = descent(_toward(path, Ball), pi)
    return certified.compare(g * lowering, ">", Ball.number(0), witness=AWAY_AT)


@P5_3_A.neural(ONE_POINT)
def _(path: Any) -> Answer:
    """The inner product of two gradients from losses differentiated backwards."""
    mu, pi, reward = AWAY.numbers(Real)
    lowering = autograd_descent(_toward(path, Real), pi)
    inner = (autograd(mu, pi, reward, 0.5) * lowering).sum()
    return neural.compare(inner, ">", 0, witness=AWAY_AT)


@P5_3_A.margin(spaces.finite(2, reward=("1/2", "3"), tau=("1/10", "2"), gamma=("1/20", "19/20")))
def _(path: Any, case: Any, m: Any) -> Any:
    mu, pi, reward = case.model.numbers(m)
    gamma = m.number(case["gamma"])
    target = formulas.soft_optimum(reward, m.number(case["tau"]), m)
    ascent = formulas.reshaped_gradient(mu, pi, reward, gamma, m)
    # In one logit -grad KL(p || pi) is p - pi.
    return ascent[0] * (path(mu, target, gamma, m)[0] - pi[0])


@P5_3_A.right("q_gamma, to which g_gamma leads")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> list[Any]:
    _, _, reward = AWAY.numbers(m)
    return formulas.fixed_point(mu, reward, gamma, m)


@P5_3_A.number("g_gamma in the first logit")
def _() -> str:
    return certified.digits(enumerated(*AWAY.numbers(Ball), Ball.number(HALF), Ball)[0])


@P5_3_A.number("-grad KL(p_gamma || pi) in the first logit")
def _() -> str:
    _, pi, _ = AWAY.numbers(Ball)
    return certified.digits(descent(_toward(formulas.geometric_path, Ball), pi))


P5_3_B = Draft(
    "P5.3.b",
    section="5.2",
    kind=Kind.HEURISTIC,
    title=Text(
        "With r = e^(r/tau) the effective target is p_gamma", "r = e^{r/τ} 时有效目标即 p_γ"
    ),
    finding=Text(
        "False: there, at pi = p*, the target is p_gamma r up to its mass, so r must be constant.",
        "不成立：此时在 π = p* 处目标正比于 p_γ r，仅当 r 为常数才等于 p_γ。",
    ),
    statement=r"r = e^{R/\tau}\ \Rightarrow\ \pi^{\mathrm{eff}}_\gamma = p_\gamma",
    subject=formulas.effective_target,
    expect=Verdict.REFUTED,
    assumes=(POSITIVE_REWARD,),
    uses=("T4.2.a", "D5.1"),
    reading="the reward fed to w^gamma is e^(R/tau) exactly, where p* = e^(R/tau)/Z, so that the "
    "printed approximation costs nothing; equality is asked at every policy, p* among them",
)
# e^(R/tau) = (1, 4) gives p* = (1/5, 4/5); then p_gamma = (3/5, 2/5) and pi_eff = (3/11, 8/11).
FED = Finite.of("9/10 1/10", "1/5 4/5", "1 4")
FED_AT = Witness.at(mu=FED.mu, pi=FED.pi, reward=FED.reward, target=FED.pi, gamma=HALF)


@P5_3_B.symbolic(ONE_POINT)
def _(effective: Any) -> Answer:
    """The first probabilities of the printed target and of p_gamma, exactly."""
    mu, target, reward = FED.numbers(Exact)
    half = Exact.number(HALF)
    masses = [sympy.sqrt(a * b) for a, b in zip(mu, target, strict=True)]
    path = masses[0] / sum(masses)
    return symbolic.compare(
        effective(mu, target, reward, half, Exact)[0], "==", path, witness=FED_AT
    )


@P5_3_B.certified(ONE_POINT)
def _(effective: Any) -> Answer:
    """The divergence from the printed target to the law that minimises the two KLs."""
    mu, target, reward = FED.numbers(Ball)
    half = Ball.number(HALF)
    path = formulas.geometric_path(mu, target, half, Ball)
    divergence = formulas.kl(effective(mu, target, reward, half, Ball), path, Ball)
    return certified.compare(divergence, "==", Ball.number(0), witness=FED_AT)


@P5_3_B.neural(ONE_POINT)
def _(effective: Any) -> Answer:
    """The printed target against p_gamma as a softmax of mixed log-probabilities."""
    mu, target, reward = FED.numbers(Tensor)
    logs = (neural.tensor(FED.mu).log() + neural.tensor(FED.pi).log()) / 2
    printed = neural.torch().stack(effective(mu, target, reward, 0.5, Tensor))
    return neural.close(printed, logs.softmax(0), witness=FED_AT)


@P5_3_B.right("target without the reward")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    return formulas.effective_target(mu, pi, [1] * len(pi), gamma, m)


CLAIMS = frozen(P5_3_A, P5_3_B)

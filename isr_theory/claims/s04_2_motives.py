"""Section 4.1: the three motives for the shape w^gamma.

It interpolates between SFT and RL, its derivative is a power again, and one number, its elasticity
gamma, says how far along it is.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, R, S, W, along_logits, slope
from isr_theory.claims.s04_1_power import at, enumerated, power_shape, reshaped_autograd
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

LEVEL = sympy.symbols("l", real=True)
EVERY_W = Scope("every w > 0 and gamma", whole=True)
RATIOS = [(Fraction(w), Fraction(g)) for w in ("1/3", "5/2") for g in ("0", "1/4", "7/10", "1")]

MOT4_1_1 = Draft(
    "MOT4.1.1",
    section="4.1",
    kind=Kind.REMARK,
    title=Text("gamma = 0 gives SFT, gamma = 1 gives RL", "γ = 0 为 SFT，γ = 1 为 RL"),
    finding=Text(
        "True: the ends are the gradients of E_mu[r log pi] and, where mu covers pi, of E_pi[r].",
        "成立：两端分别是 E_μ[r log π] 与（μ 覆盖 π 时）E_π[r] 的梯度。",
    ),
    statement=r"g_0 = \nabla\,\mathbb{E}_\mu[r\log\pi_\theta],\quad"
    r" g_1 = \nabla\,\mathbb{E}_{\pi_\theta}[r]",
    subject=power_shape,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D4.1",),
    reading="SFT is reward-weighted log-likelihood, plain where r = 1; RL is the expected reward, "
    "whose gradient is 0 where r = 1",
)


@MOT4_1_1.symbolic(
    Scope(
        "every outcome space on which both objectives are finite and their gradients pass under "
        "the integral",
        whole=True,
    )
)
def _(shape: Any) -> Answer:
    """Outcome by outcome: mu f(w) r s is the slope of mu r log pi, or of pi r."""
    return all_of(
        [
            symbolic.equal(
                MU * shape(PI / MU, 0, Exact) * R * S, slope(MU * R * sympy.log(MOVING))
            ),
            symbolic.equal(MU * shape(PI / MU, 1, Exact) * R * S, slope(MOVING * R)),
        ]
    )


# Where pi = 0 < mu the objective of SFT is -infinity, and the balls say nothing of its slope.
@MOT4_1_1.without(PI_IN_MU)
def both_ends(shape: Any, law: Finite) -> Answer:
    """Compare g_0 and g_1, enumerated, with the slopes of their objectives in every logit."""
    mu, pi, reward = law.numbers(Ball)
    rows = list(zip(mu, reward, strict=True))

    def sft(policy: list[Any]) -> Any:
        return sum(a * r * Jet.log(p) for (a, r), p in zip(rows, policy, strict=True))

    def rl(policy: list[Any]) -> Any:
        return sum(r * p for (_, r), p in zip(rows, policy, strict=True))

    return certified.agree(
        enumerated(shape, law, Ball.number(0)) + enumerated(shape, law, Ball.number(1)),
        along_logits(sft, pi) + along_logits(rl, pi),
        witnesses=[at(law, 0)] * len(pi) + [at(law, 1)] * len(pi),
    )


@MOT4_1_1.certified(Scope("two laws, every logit"))
def _(shape: Any) -> Answer:
    """Both objectives enumerated as power series in one logit at a time."""
    return all_of(both_ends(shape, law) for law in (THREE_ARMS, FOUR_ARMS))


@MOT4_1_1.neural(Scope("two laws"))
def _(shape: Any) -> Answer:
    """Both objectives differentiated in the logits."""

    def ends(law: Finite) -> list[Answer]:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        logits = neural.tensor(law.pi).log()
        sft = neural.gradient(lambda x: (mu * reward * x.log_softmax(0)).sum(), logits)
        rl = neural.gradient(lambda x: (reward * x.softmax(0)).sum(), logits)
        return [
            neural.close(reshaped_autograd(shape, law, 0), sft, witness=at(law, 0)),
            neural.close(reshaped_autograd(shape, law, 1), rl, witness=at(law, 1)),
        ]

    return all_of([*ends(THREE_ARMS), *ends(FOUR_ARMS)])


@MOT4_1_1.wrong("ends exchanged")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, 1 - gamma)


@MOT4_1_1.wrong("half the exponent")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma / m.number(2))


@MOT4_1_1.wrong("inverse ratio")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, -gamma)


def power_slope(w: Any, gamma: Any, m: Any) -> Any:
    """d/dw w^gamma = gamma w^(gamma-1)."""
    return gamma * m.power(w, gamma - 1)


MOT4_1_2 = Draft(
    "MOT4.1.2",
    section="4.1",
    kind=Kind.REMARK,
    title=Text("The derivative of a power is a power", "幂函数的导数仍是幂函数"),
    finding=Text(
        "True up to the factor gamma, which makes it 0 at gamma = 0.",
        "成立，相差因子 γ（γ = 0 时导数为 0）。",
    ),
    statement=r"\frac{d}{dw}w^\gamma = \gamma\, w^{\gamma-1}",
    subject=power_slope,
    expect=Verdict.VERIFIED,
    uses=("D4.1",),
)


@MOT4_1_2.symbolic(EVERY_W)
def _(derivative: Any) -> Answer:
    """By the rule for differentiating w^gamma."""
    return symbolic.equal(sympy.diff(W**GAMMA, W), derivative(W, GAMMA, Exact))


@MOT4_1_2.certified(Scope("two ratios, four exponents each"))
def _(derivative: Any) -> Answer:
    """The second coefficient of the power series of w^gamma about w."""

    def enclosed(w: Fraction, gamma: Fraction) -> Answer:
        exponent = Ball.number(gamma)
        series = certified.derivatives(lambda x: Jet.power(x, exponent), Ball.number(w), 1)
        closed = derivative(Ball.number(w), exponent, Ball)
        return certified.agree([series[1]], [closed], witnesses=[Witness.at(w=w, gamma=gamma)])

    return all_of(enclosed(w, gamma) for w, gamma in RATIOS)


@MOT4_1_2.neural(Scope("two ratios, four exponents each"))
def _(derivative: Any) -> Answer:
    """w^gamma differentiated backwards."""

    def differentiated(w: Fraction, gamma: Fraction) -> Answer:
        backwards = neural.gradient(lambda x: x ** float(gamma), neural.tensor(w))
        closed = derivative(float(w), float(gamma), Real)
        return neural.close(backwards, [closed], witness=Witness.at(w=w, gamma=gamma))

    return all_of(differentiated(w, gamma) for w, gamma in RATIOS)


@MOT4_1_2.wrong("exponent not lowered")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return gamma * m.power(w, gamma)


@MOT4_1_2.wrong("factor gamma - 1")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return (gamma - 1) * m.power(w, gamma - 1)


@MOT4_1_2.wrong("factor dropped")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma - 1)


MOT4_1_3 = Draft(
    "MOT4.1.3",
    section="4.1",
    kind=Kind.REMARK,
    title=Text("One parameter sets the place between SFT and RL", "单参数 γ 调节 SFT-RL 谱系"),
    finding=Text(
        "True: gamma is the elasticity of f, the same at every w: 0 for SFT, 1 for RL.",
        "成立：γ 是 f 的弹性，处处相同：SFT 为 0，RL 为 1。",
    ),
    statement=r"\frac{d\log f(w)}{d\log w} = \gamma\ \text{for every } w,\quad f(1) = 1",
    subject=power_shape,
    expect=Verdict.VERIFIED,
    uses=("D4.1",),
    reading="one number fixes f at every w: its elasticity, which with f(1) = 1 determines f",
)


@MOT4_1_3.symbolic(EVERY_W)
def _(shape: Any) -> Answer:
    """The slope of log f in l = log w, and log f at l = 0."""
    log_f = sympy.log(shape(sympy.exp(LEVEL), GAMMA, Exact))
    return all_of(
        [
            symbolic.equal(sympy.diff(log_f, LEVEL), GAMMA),
            symbolic.equal(log_f.subs(LEVEL, 0), 0),
        ]
    )


@MOT4_1_3.certified(Scope("two ratios, four exponents each"))
def _(shape: Any) -> Answer:
    """The power series of log f in log w."""

    def enclosed(w: Fraction, gamma: Fraction) -> Answer:
        exponent = Ball.number(gamma)
        series = certified.derivatives(
            lambda x: Jet.log(shape(Jet.exp(x), exponent, Jet)), Ball.number(w).log(), 1
        )
        return certified.agree([series[1]], [exponent], witnesses=[Witness.at(w=w, gamma=gamma)])

    return all_of(enclosed(w, gamma) for w, gamma in RATIOS)


@MOT4_1_3.neural(Scope("two ratios, four exponents each"))
def _(shape: Any) -> Answer:
    """The logarithm of f differentiated backwards in log w."""

    def differentiated(w: Fraction, gamma: Fraction) -> Answer:
        backwards = neural.gradient(
            lambda x: Tensor.log(shape(x.exp(), float(gamma), Tensor)), neural.tensor(w).log()
        )
        return neural.close(backwards, [gamma], witness=Witness.at(w=w, gamma=gamma))

    return all_of(differentiated(w, gamma) for w, gamma in RATIOS)


@MOT4_1_3.wrong("the line between the two ends")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return 1 - gamma + gamma * w


@MOT4_1_3.wrong("the harmonic mean of the two ends")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return 1 / (1 - gamma + gamma / w)


@MOT4_1_3.wrong("gamma squared")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma * gamma)


CLAIMS = frozen(MOT4_1_1, MOT4_1_2, MOT4_1_3)

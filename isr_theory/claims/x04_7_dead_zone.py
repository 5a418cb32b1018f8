"""Past section 9.2: the rule's dead zone without a reward, r = 1.

Inside the ball Var_mu(log w) <= -log rho_min the rule's gamma is 1 and the gradient is exactly 0,
so that every policy of the ball is at rest.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, NO_RULE, UNIT_REWARD, VALID_RULE
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MU, PI
from isr_theory.claims.x04_1_projection import RHO, RHOS, centred, log_ratio, norm, radius
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

B, D, T, W = sympy.symbols("b d t w", positive=True)
STILL = Fraction(1, 10**9)
NEAR = Finite.of("1/2 1/2", "2/3 1/3")

IMITATION = Draft(
    "DYN.imitation",
    section="beyond",
    kind=Kind.REMARK,
    title=Text("For r = 1 the adaptive rule imitates mu", "r ≡ 1 时自适应规则模仿 μ"),
    finding=Text(
        "False: from pi = (2/3, 1/3) with mu = (1/2, 1/2) an exact step at the rule's gamma leads"
        " back to pi, and no nearer to mu.",
        "不成立：μ = (1/2, 1/2)、π = (2/3, 1/3) 时按规则的一个精确步仍回到 π，丝毫不靠近 μ。",
    ),
    statement=r"\pi \ne \mu,\ \pi' \propto \mu^{1-\gamma^*} \pi^{\gamma^*}"
    r"\ \Rightarrow\ \mathrm{KL}(\mu \,\|\, \pi') < \mathrm{KL}(\mu \,\|\, \pi)",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    assumes=(MUTUAL_SUPPORT, UNIT_REWARD, VALID_RULE),
    uses=("T4.2.a", "T8.3.a", "S9.2.b"),
    sharpens=("S9.2.b", "TAB13.3.3.b"),
    source="new here",
    reading="to imitate is that a full step to the effective target brings the policy nearer to mu;"
    " in balls and in floats a gain below 10^-9 is none",
)
BACK = Witness.at(mu=NEAR.mu, pi=NEAR.pi, reward=1, rho_min=RHO)


@IMITATION.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w), the target and both divergences in exact numbers."""
    mu, pi, _ = NEAR.numbers(Exact)
    level = log_ratio(mu, pi, Exact)
    gamma = rule(sum(a * x**2 for a, x in zip(mu, level, strict=True)), Exact.number(RHO), Exact)
    after = formulas.normalised([a * (b / a) ** gamma for a, b in zip(mu, pi, strict=True)])
    kl = [sum(a * sympy.log(a / b) for a, b in zip(mu, law, strict=True)) for law in (after, pi)]
    return symbolic.compare(kl[0], "<", kl[1], witness=BACK)


@IMITATION.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) over pairs of outcomes, the target and both divergences in balls."""
    mu, pi, _ = NEAR.numbers(Ball)
    gap = Ball.log(pi[0] / mu[0]) - Ball.log(pi[1] / mu[1])
    gamma = rule(mu[0] * mu[1] * gap * gap, Ball.number(RHO), Ball)
    masses = [Ball.power(a, 1 - gamma) * Ball.power(b, gamma) for a, b in zip(mu, pi, strict=True)]
    total = masses[0] + masses[1]
    gain = sum(a * Ball.log(mass / total / b) for a, b, mass in zip(mu, pi, masses, strict=True))
    return certified.compare(gain, ">", Ball.number(STILL), witness=BACK)


@IMITATION.neural(Scope("the witness"))
def _(rule: Any) -> Answer:
    """The target as a softmax of tensors."""
    mu, level = neural.tensor(NEAR.mu), neural.tensor(NEAR.log_w().tolist())
    sigma2 = float((mu * (level - (mu * level).sum()) ** 2).sum())
    after = (mu.log() + rule(sigma2, float(RHO), Real) * level).log_softmax(0)
    gain = (mu * (after - neural.tensor(NEAR.pi).log())).sum()
    return neural.compare(gain, ">", float(STILL), witness=BACK)


@IMITATION.right("gamma = 0 whatever the batch")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.number(0)


DEAD_ZONE = Draft(
    "DYN.deadzone",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The dead zone is the whole ball", "死区即整个球"),
    finding=Text(
        "For r = 1 the gradient at the rule's gamma is exactly 0 at every policy with Var(log w) at"
        " most -log rho_min, and at no other.",
        "r ≡ 1 时，规则 γ* 处的梯度在且仅在 Var(log w) ≤ −log ρ_min 的策略上恰为 0。",
    ),
    statement=r"r \equiv 1:\quad g_{\gamma^*} = 0"
    r" \iff \sqrt{\mathrm{Var}_\mu(\log w)} \le \sqrt{-\log\rho_{\min}}",
    subject=radius,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, UNIT_REWARD, VALID_RULE),
    uses=("S9.2.b.fix", "TAB13.3.1", "DYN.projection"),
    amends=("DYN.imitation",),
    sharpens=("S9.2.b", "S9.2.b.fix", "TAB13.3.3.b"),
    source="new here",
    reading="the subject is the largest standard deviation of log w at rest; one free logit per "
    "outcome for the converse; pi = mu, where the rule divides by 0, is at rest too",
)


@DEAD_ZONE.symbolic(Scope("every law: one outcome, the rest by its share of the sums", whole=True))
def _(edge: Any) -> Answer:
    """The rule within and beyond the edge; the gradient of one logit at gamma = 1 and below."""
    rho_min = sympy.exp(-(B**2))
    size, gap = edge(rho_min, Exact), sympy.Symbol("g", positive=True)
    within, beyond = (
        formulas.gamma_lognormal((size * x) ** 2, rho_min, Exact) for x in (1 / (1 + D), 1 + D)
    )

    def slope_of(gamma: Any, total: Any) -> Any:
        # The score is 1 - pi at the outcome and -pi at every other.
        mass = MU * (PI / MU) ** gamma
        return mass * (1 - PI) - (total - mass) * PI

    below = slope_of(1 - gap, T) - PI * ((PI / MU) ** -gap - T)
    return all_of(
        [
            symbolic.equal(within, 1, points=[{B: 2, D: 3}, {B: 1, D: 5}]),
            symbolic.equal(beyond, 1 / (1 + D), points=[{B: 2, D: 3}, {B: 1, D: 5}]),
            # E_mu[w] = 1.
            symbolic.equal(slope_of(1, 1), 0),
            # If all slopes are 0 then w^-g is constant, so w is, and pi = mu is inside.
            symbolic.equal(
                below, 0, reduce=lambda d: sympy.simplify(sympy.powsimp(sympy.expand(d)))
            ),
            symbolic.positive(-sympy.diff(W**-gap, W)),
        ]
    )


def slopes_at_rule(law: Finite, share: Any, rho: Fraction) -> list[Any]:
    """E_mu[w^gamma s] where log w is that of the law, centred and scaled to the sd `share`."""
    mu, pi, _ = law.numbers(Ball)
    level = log_ratio(mu, pi, Ball)
    size = norm(mu, level, Ball)
    masses = [a * Ball.exp(x * share / size) for a, x in zip(mu, level, strict=True)]
    moved = formulas.normalised(masses)
    gamma = formulas.gamma_lognormal(share * share, Ball.number(rho), Ball)
    rows = [a * Ball.power(b / a, gamma) for a, b in zip(mu, moved, strict=True)]
    return [
        sum((x * (int(i == k) - moved[k]) for i, x in enumerate(rows)), flint.arb(0))
        for k in range(len(mu))
    ]


@DEAD_ZONE.certified(Scope("along three and four outcomes, rho_min = 3/10 and 4/5"))
def _(edge: Any) -> Answer:
    """The gradient summed on the two sides of the edge."""
    answers = []
    for law in (THREE_ARMS, UNIFORM_POLICY):
        for rho in RHOS:
            size = edge(Ball.number(rho), Ball)
            for factor in ("1/4", "99/100", "101/100", "2"):
                at = Witness.at(mu=law.mu, towards=law.pi, rho_min=rho, share=factor)
                slopes = slopes_at_rule(law, size * Ball.number(factor), rho)
                if Fraction(factor) < 1:
                    zeros = [flint.arb(0)] * len(slopes)
                    answers.append(certified.agree(slopes, zeros, witnesses=[at] * len(slopes)))
                else:
                    moves = sum(x * x for x in slopes)
                    answers.append(certified.compare(moves, ">", Ball.number(STILL), witness=at))
    return all_of(answers)


@DEAD_ZONE.neural(Scope("four outcomes on both sides of the edge, rho_min = 3/10"))
def _(edge: Any) -> Answer:
    """The loss differentiated in the logits, at the rule's gamma of that batch."""
    module = neural.torch()
    mu, level = neural.tensor(RARE_ARM.mu), neural.tensor(RARE_ARM.log_w().tolist())
    level = level - (mu * level).sum()
    size = edge(float(RHO), Real) * level / (mu * level**2).sum().sqrt()
    answers = []
    for factor in (Fraction(9, 10), Fraction(11, 10)):
        at = Witness.at(mu=RARE_ARM.mu, rho_min=RHO, share=factor)
        start = mu.log() + float(factor) * size
        log_w = start.log_softmax(0) - mu.log()
        sigma2 = float((mu * (log_w - (mu * log_w).sum()) ** 2).sum())
        weights = mu * (formulas.gamma_lognormal(sigma2, float(RHO), Real) * log_w).exp()

        def loss(z: Any, u: Any = weights) -> Any:
            return (u * module.log_softmax(z, 0)).sum()

        slopes = neural.gradient(loss, start)
        if factor < 1:
            answers.append(neural.close(slopes, [0] * len(mu), witness=at))
        else:
            answers.append(neural.compare(slopes.abs().max(), ">", 1e-3, witness=at))
    return all_of(answers)


def rests_as_said(edge: Any, law: Finite) -> Answer | None:
    """Try whether the gradient is 0 just where the sd of log w is at most the edge."""
    rows = [(a, b, r) for a, b, r in zip(law.mu, law.pi, law.reward, strict=True) if a > 0]
    if any(b == 0 for _, b, _ in rows):
        return None
    mu, level = [Ball.number(a) for a, _, _ in rows], [Ball.number(b / a) for a, b, _ in rows]
    centre = centred(mu, [Ball.log(x) for x in level])
    at = witness_of(law, rho_min=RHO)
    sigma2 = sum(a * x * x for a, x in zip(mu, centre, strict=True))
    size = edge(Ball.number(RHO), Ball)
    if sigma2 <= size * size:
        # There gamma = 1, and everything is rational.
        gains = [
            sum(b * r * (int(i == k) - law.pi[k]) for i, (_, b, r) in enumerate(rows))
            for k in range(len(rows))
        ]
        return symbolic.compare(sympy.Rational(str(sum(x * x for x in gains))), "==", 0, witness=at)
    gamma = formulas.gamma_lognormal(sigma2, Ball.number(RHO), Ball)
    first = sum(
        a * Ball.power(x, gamma) * Ball.number(r) * (int(i == 0) - Ball.number(law.pi[0]))
        for i, (a, x, (_, _, r)) in enumerate(zip(mu, level, rows, strict=True))
    )
    return certified.compare(first, "!=", flint.arb(0), witness=at)


DEAD_ZONE.without(MUTUAL_SUPPORT, on=(NEAR,))(rests_as_said)
DEAD_ZONE.without(UNIT_REWARD)(rests_as_said)
DEAD_ZONE.meaningless_without(VALID_RULE, NO_RULE)


@DEAD_ZONE.wrong("no square root")
def _(rho_min: Any, m: Any) -> Any:
    return -m.log(rho_min)


@DEAD_ZONE.wrong("the divergence's threshold for the variance")
def _(rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / 2)


@DEAD_ZONE.wrong("the variance's threshold doubled")
def _(rho_min: Any, m: Any) -> Any:
    return m.sqrt(-2 * m.log(rho_min))


@DEAD_ZONE.number("the edge at rho_min = 3/10")
def _() -> str:
    return certified.digits(radius(Ball.number(RHO), Ball))


CLAIMS = frozen(IMITATION, DEAD_ZONE)

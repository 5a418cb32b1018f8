"""Past section 4: baselines, which w^gamma does not forgive.

At gamma = 1 a baseline b is free, since E_mu[w s] = 0. Below, it adds -b E_mu[w^gamma s], a push
away from mu. A multiple of w, not of w^gamma, can be taken off for nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT
from isr_theory.claims.enumerated import enumerated_gradient, logits, witness_of
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, C, R, S, along_logits, slope
from isr_theory.claims.x01_2_1_summit import amari
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

A, B, D = sympy.symbols("a b d", positive=True)
HALF = Fraction(1, 2)


def centred_term(w: Number, reward: Number, baseline: Number, gamma: Number, m: Arithmetic) -> Any:
    """w^gamma (r - b), what multiplies the score."""
    return m.power(w, gamma) * (reward - baseline)


UNBIASED = Draft(
    "OBJ.unbiased",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("A baseline leaves the gradient as it is", "减基线不改变梯度期望"),
    finding=Text(
        "False below gamma = 1: with mu = (1/5, 4/5), pi = (4/5, 1/5), gamma = 1/2 and b = 1 the"
        " gradient moves by 6/25.",
        "γ < 1 时不成立：μ=(1/5,4/5)、π=(4/5,1/5)、γ=1/2、b=1 时梯度改变 6/25。",
    ),
    statement=r"\mathbb{E}_\mu[w^\gamma (r - b)\,\nabla\log\pi] ="
    r" \mathbb{E}_\mu[w^\gamma r\,\nabla\log\pi]\quad\text{for every } b, \gamma",
    subject=centred_term,
    expect=Verdict.REFUTED,
    uses=("D4.1",),
    sharpens=("D4.1", "T4.2.a"),
    source="a belief carried over from the policy gradient, where it is true",
    reading="centred rewards and group-relative advantages subtract such a b; scaling by a "
    "standard deviation changes only the step size",
)
# The roots of the weights are 2 and 1/2.
PUSHED = Finite.of("1/5 4/5", "4/5 1/5", "2 1")
PUSHED_AT = witness_of(PUSHED, gamma=HALF, baseline=1)
ONE_POINT = Scope("the one point of the witness")


def moved(term: Any, m: Arithmetic) -> list[Any]:
    """E_mu[term s] in the first logit, with b = 1 and with b = 0."""
    mu, pi, reward = PUSHED.numbers(m)
    scores = [1 - pi[0], -pi[0]]
    rows = list(zip(mu, pi, reward, scores, strict=True))
    half = m.number(HALF)
    return [
        sum(a * term(p / a, r, m.number(b), half, m) * s for a, p, r, s in rows) for b in (1, 0)
    ]


@UNBIASED.symbolic(ONE_POINT)
def _(term: Any) -> Answer:
    """Both means, exactly."""
    with_baseline, without = moved(term, Exact)
    return symbolic.compare(with_baseline, "==", without, witness=PUSHED_AT)


@UNBIASED.certified(ONE_POINT)
def _(term: Any) -> Answer:
    """Both means in balls."""
    with_baseline, without = moved(term, Ball)
    return certified.compare(with_baseline, "==", without, witness=PUSHED_AT)


@UNBIASED.neural(ONE_POINT)
def _(term: Any) -> Answer:
    """Two losses, their factors detached, differentiated in the logits."""
    mu, reward = neural.tensor(PUSHED.mu), neural.tensor(PUSHED.reward)

    def loss(baseline: float) -> Any:
        def value(z: Any) -> Any:
            log_pi = z.log_softmax(0)
            factor = term(log_pi.exp() / mu, reward, baseline, 0.5, Tensor)
            return (mu * factor.detach() * log_pi).sum()

        return neural.gradient(value, logits(PUSHED))

    return neural.close(loss(1.0), loss(0.0), witness=PUSHED_AT)


@UNBIASED.right("b times w, not times w^gamma")
def _(w: Any, reward: Any, baseline: Any, gamma: Any, m: Any) -> Any:
    return m.power(w, gamma) * reward - baseline * w


class Push(NamedTuple):
    """What a baseline adds to an outcome's factor of the score, and what it is a multiple of.

    `term` is of mu, pi, b and gamma; `factor` of gamma: the part of grad A_gamma(pi || mu), per b.
    """

    term: Any
    factor: Any


def push_term(mu: Number, pi: Number, baseline: Number, gamma: Number, m: Arithmetic) -> Number:
    """-b mu w^gamma = -b mu^(1-gamma) pi^gamma."""
    return -baseline * m.power(mu, 1 - gamma) * m.power(pi, gamma)


PUSH = Push(push_term, lambda gamma: 1 - gamma)

BASELINE = Draft(
    "OBJ.baseline",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("What a baseline does to g_gamma", "基线对 g_γ 的作用"),
    finding=Text(
        "It adds b (1-gamma) grad A_gamma(pi || mu), below gamma = 1 a push away from mu if b > 0,"
        " and 0 only at gamma = 1 or pi = mu; b times w, not w^gamma, is without bias.",
        "它加上 b(1−γ)∇A_γ(π‖μ)，γ<1 且 b>0 时把策略推离 μ，仅在 γ=1 或 π=μ 时为零；"
        "若改减 b·w（而非 b·w^γ），则无偏。",
    ),
    statement=r"\mathbb{E}_\mu[w^\gamma(r-b)s] = g_\gamma - b\,\mathbb{E}_\mu[w^\gamma s]"
    r" = g_\gamma + b(1-\gamma)\nabla A_\gamma(\pi\|\mu),\quad"
    r" \mathbb{E}_\mu[w^\gamma s] = 0 \iff \gamma = 1 \text{ or } \pi = \mu,\quad"
    r" \mathbb{E}_\mu[(w^\gamma r - b w)s] = g_\gamma",
    subject=PUSH,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT,),
    uses=("D4.1", "OBJ.maximiser"),
    amends=("OBJ.unbiased",),
    sharpens=("D4.1", "T4.2.a"),
    source="new here; that E_mu[w s] = 0 is the policy gradient's own baseline identity",
    reading="0 < gamma, and at gamma = 1 the middle term is its limit, 0; one free logit for each "
    "outcome in 'only', as fewer parameters may not see "
    "the push; b does not depend on the outcome",
)


@BASELINE.symbolic(
    Scope("every law, outcome by outcome and, for 'only', every pair of outcomes", whole=True)
)
def _(push: Any) -> Answer:
    """The term against the slope of A_gamma; nu - pi, nu ~ mu^(1-gamma) pi^gamma, in log-ratios."""
    term = push.term(MU, PI, B, GAMMA, Exact)
    divergence = -(MOVING**GAMMA) * MU ** (1 - GAMMA) / (GAMMA * (1 - GAMMA))
    # E_mu[w^gamma s] is c (nu - pi) in the logits, and 0 if nu and pi have the same log-ratios.
    other = push.term(D, C, B, GAMMA, Exact)
    apart = sympy.log(term / other) - sympy.log(PI / C)
    stated = push.factor(GAMMA) * (sympy.log(MU / D) - sympy.log(PI / C))
    return all_of(
        [
            symbolic.equal(MU * (PI / MU) ** GAMMA * (R - B), MU * (PI / MU) ** GAMMA * R + term),
            symbolic.equal(term * S, B * push.factor(GAMMA) * slope(divergence)),
            symbolic.equal(apart, stated, reduce=_logs),
            symbolic.equal(push.factor(sympy.Integer(1)), 0),
            # b w s is b pi s outcome by outcome, and E_pi[s] = 0.
            symbolic.equal(MU * (PI / MU) * B * S, PI * B * S),
            symbolic.equal(push.term(MU, PI, B, sympy.Integer(1), Exact), -B * PI),
        ]
    )


def _logs(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(difference, force=True))


def pushed(push: Any, law: Finite, baseline: Any, gamma: Any, m: Arithmetic) -> list[Any]:
    """Return what the baseline adds to g in every logit."""
    mu, pi, _ = law.numbers(m)
    terms = [push.term(a, b, baseline, gamma, m) for a, b in zip(mu, pi, strict=True)]
    return [x - sum(terms) * b for x, b in zip(terms, pi, strict=True)]


def mean(law: Finite, shift: Fraction, gamma: Any, m: Arithmetic) -> list[Any]:
    """E_mu[w^gamma (r - shift) s] in every logit, over what mu takes."""
    mu, pi, reward = law.numbers(m)
    places = [y for y, a in enumerate(law.mu) if a > 0]
    pulls = [mu[y] * m.power(pi[y] / mu[y], gamma) * (reward[y] - m.number(shift)) for y in places]
    return [
        sum(x * (int(y == k) - pi[k]) for x, y in zip(pulls, places, strict=True))
        for k in range(len(pi))
    ]


POINTS = [(law, Fraction(g)) for law in (THREE_ARMS, FOUR_ARMS) for g in ("1/4", "1/2", "3/2")]
SHIFT = Fraction(7, 4)


@BASELINE.certified(Scope("two laws, three exponents, b = 7/4; gamma = 1; pi = mu"))
def _(push: Any) -> Answer:
    """Means with and without the baseline; the slope of A_gamma from mu; where nothing is added."""
    answers = []
    for law, exponent in POINTS:
        mu, pi, _ = law.numbers(Ball)
        gamma, at = Ball.number(exponent), witness_of(law, gamma=exponent, baseline=SHIFT)
        sides = (mean(law, shift, gamma, Ball) for shift in (SHIFT, Fraction(0)))
        added = [x - y for x, y in zip(*sides, strict=True)]

        def divergence(policy: list[Any], mu: Any = mu, gamma: Any = gamma) -> Any:
            rows = zip(policy, mu, strict=True)
            kept = sum(Jet.power(p, gamma) * Ball.power(q, 1 - gamma) for p, q in rows)
            return (1 - kept) / (gamma * (1 - gamma))

        scale = Ball.number(SHIFT) * push.factor(gamma)
        climbed = [scale * x for x in along_logits(divergence, pi)]
        found = pushed(push, law, Ball.number(SHIFT), gamma, Ball)
        answers += [
            certified.agree(found + climbed, added * 2, witnesses=[at] * 2 * len(mu)),
            certified.compare(added[0], "!=", flint.arb(0), witness=at),
        ]
    zero = flint.arb(0)
    still = Finite(THREE_ARMS.mu, THREE_ARMS.mu, THREE_ARMS.reward)
    for law, gamma in ((THREE_ARMS, Fraction(1)), (still, HALF)):
        at = witness_of(law, gamma=gamma, baseline=SHIFT)
        nothing = pushed(push, law, Ball.number(SHIFT), Ball.number(gamma), Ball)
        answers.append(certified.agree(nothing, [zero] * 3, witnesses=[at] * 3))
    return all_of(answers)


@BASELINE.neural(Scope("two laws, three exponents, b = 7/4"))
def _(push: Any) -> Answer:
    """The loss with w^gamma (r - b) detached, and with w^gamma r - b w; autograd of A_gamma."""
    answers = []
    for law, exponent in POINTS:
        gamma, b = float(exponent), float(SHIFT)
        at = witness_of(law, gamma=exponent, baseline=SHIFT)

        def slopes(power: float, law: Finite = law, g: float = gamma, b: float = b) -> Any:
            mu, r = neural.tensor(law.mu), neural.tensor(law.reward)

            def loss(z: Any) -> Any:
                w = z.softmax(0) / mu
                return (mu * (w**g * r - b * w**power).detach() * z.log_softmax(0)).sum()

            return neural.gradient(loss, logits(law))

        def divergence(z: Any, law: Finite = law, g: float = gamma) -> Any:
            return amari(list(z.softmax(0)), law.numbers(Tensor)[0], g, Tensor)

        plain = enumerated_gradient(law, exponent)
        climbed = b * push.factor(gamma) * neural.gradient(divergence, logits(law))
        stated = neural.tensor(pushed(push, law, b, gamma, Real))
        answers += [
            neural.close(slopes(gamma) - plain, climbed, witness=at),
            neural.close(slopes(gamma) - plain, stated, witness=at),
            neural.close(slopes(1.0), plain, witness=at),
        ]
    return all_of(answers)


@BASELINE.sampled(Scope("three arms, the last logit, gamma = 1/2, b = 7/4"), resolution=0.05)
def _(push: Any, trial: Trial) -> Answer:
    """Samples of mu: the mean of -b w^gamma s."""
    law, k = THREE_ARMS, 2
    scores = (np.arange(3) == k) - float(law.pi[k])
    table = -float(SHIFT) * np.exp(law.log_w() / 2) * scores
    found = trial.mean(
        "-b w^gamma s",
        lambda rng, n: table[law.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    stated = float(pushed(push, law, float(SHIFT), 0.5, Real)[k])
    return trial.agrees(found, stated, witness=witness_of(law, gamma=HALF, baseline=SHIFT))


@BASELINE.without(MUTUAL_SUPPORT)
def _(push: Any, law: Finite) -> Answer:
    # In these laws pi is not mu: something is added at 1/2, in some logit, and nothing at 1.
    at = witness_of(law, baseline=SHIFT)
    half, one, b = Exact.number(HALF), sympy.Integer(1), Exact.number(SHIFT)
    answers = []
    for gamma in (half, one):
        sides = (mean(law, shift, gamma, Exact) for shift in (SHIFT, Fraction(0)))
        added = [x - y for x, y in zip(*sides, strict=True)]
        size = sum(x * x for x in added)
        stated = pushed(push, law, b, gamma, Exact)
        answers += [
            *(symbolic.equal(x, y, witness=at) for x, y in zip(added, stated, strict=True)),
            symbolic.compare(size, "==" if gamma == 1 else ">", 0, witness=at),
        ]
    return all_of(answers)


BASELINE.wrong_value(
    "nothing added", Push(lambda mu, pi, b, gamma, m: 0 * mu * pi, lambda gamma: 0 * gamma)
)
BASELINE.wrong_value("the sign", Push(lambda *row: -push_term(*row), lambda gamma: gamma - 1))
BASELINE.wrong_value("gamma for 1 - gamma", PUSH._replace(factor=lambda gamma: gamma))
BASELINE.wrong_value(
    "b pi, as at gamma = 1", PUSH._replace(term=lambda mu, pi, b, gamma, m: -b * pi + 0 * mu)
)


@BASELINE.number("E_mu[w^(1/2) s] at mu = (3/5, 3/10, 1/10), logits (3/10, -1/5, 1/2)")
def _() -> str:
    mu = THREE_ARMS.numbers(Ball)[0]
    pi = formulas.normalised([Ball.exp(Ball.number(z)) for z in ("3/10", "-1/5", "1/2")])
    masses = [Ball.sqrt(a * b) for a, b in zip(mu, pi, strict=True)]
    total = sum(masses, flint.arb(0))
    return ", ".join(certified.digits(x - total * b) for x, b in zip(masses, pi, strict=True))


CLAIMS = frozen(UNBIASED, BASELINE)

"""Section 1.2: one gradient for every reshaping function f of the weight w = pi / mu.

E_mu[f(w) r grad log pi] is, whatever f is, the gradient of E_mu[r Phi(w)] with Phi' = f(w) / w, so
that it leads somewhere; and where it leads depends on f.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory.arithmetic import Ball
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MOVING, MU, THETA, C, R, S
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

U = sympy.symbols("u", positive=True)
F = sympy.symbols("f", real=True)
SHAPE = sympy.Function("f")


def potential_slope(shape: Any, w: Any) -> Any:
    """Phi'(w) = f(w) / w, the slope of the potential whose mean under mu has the gradient g."""
    return shape(w) / w


D1_1 = Draft(
    "D1.1",
    section="1.2",
    kind=Kind.DEFINITION,
    title=Text("The policy gradient with a reshaped weight", "带 IS 整形函数的策略梯度"),
    finding=Text(
        "Coherent: whatever f is, g is the gradient of an objective, E_mu[r Phi(w)] with "
        "Phi' = f(w)/w.",
        "自洽：无论 f 取何函数，g 都是某一目标 E_μ[r Φ(w)] 的梯度，其中 Φ' = f(w)/w。",
    ),
    statement=r"g(\theta) = \mathbb{E}_\mu[f(w)\, r\, \nabla_\theta\log\pi_\theta]"
    r" = \nabla_\theta\,\mathbb{E}_\mu[r\,\Phi(w)],\quad \Phi(w) = \int_1^w \frac{f(u)}{u}\,du",
    subject=potential_slope,
    expect=Verdict.VERIFIED,
    reading="judged for coherence: f is any continuous function on the positive numbers, and the "
    "gradient field that it defines is conservative, so ascent along it has an objective",
)


@D1_1.symbolic(
    Scope(
        "every continuous f and every outcome space on which the gradient passes under the "
        "integral: outcome by outcome, then by linearity of the mean",
        whole=True,
    )
)
def _(slope_of: Any) -> Answer:
    """Leibniz' rule on mu r times the integral of f(u)/u up to w, f left open."""
    potential = sympy.Integral(slope_of(SHAPE, U), (U, 1, MOVING / MU))
    moved = sympy.diff(MU * R * potential, THETA).subs(THETA, 0)
    # What f takes at the weight pi / mu is any number at all.
    found = moved.replace(SHAPE, lambda _: F)
    return symbolic.equal(found, MU * F * R * S)


def bent(t: Any) -> list[Any]:
    """Logits that lead from softmax(0, 1/2, 1) to softmax(1, 1/2, -1/2) on a bent path."""
    return [t * t, Ball.number("1/2") + t * (1 - t) * 3, 1 - t * t * t * 3 / 2]


def straight(t: Any) -> list[Any]:
    """Logits with the ends of `bent`, on the straight path."""
    return [t, Ball.number("1/2") + 0 * t, 1 - t * 3 / 2]


def bent_velocity(t: Any) -> list[Any]:
    """The derivative of `bent`."""
    return [2 * t, 3 - 6 * t, -t * t * 9 / 2]


def straight_velocity(t: Any) -> list[Any]:
    """The derivative of `straight`."""
    return [flint.acb(1), flint.acb(0), -flint.acb(3) / 2]


PATHS = ((straight, straight_velocity), (bent, bent_velocity))
# Meromorphic, as rigorous quadrature asks: no branch cut for a complex box to meet.
SMOOTH: tuple[tuple[str, Any], ...] = (
    ("1 - e^-w", lambda w: 1 - (-w).exp()),
    ("w / (1 + w)", lambda w: w / (1 + w)),
)


def softmax(z: list[Any]) -> list[Any]:
    """Return the policy of some logits, in balls."""
    masses = [x.exp() for x in z]
    return [mass / sum(masses[1:], masses[0]) for mass in masses]


@cache
def work(shape: int, path: int) -> Any:
    """Enclose the work that the reshaped gradient does along a path of logits."""
    mu, _, reward = THREE_ARMS.numbers(Ball)
    (position, velocity), (_, f) = PATHS[path], SMOOTH[shape]

    def power(t: Any, _: Any) -> Any:
        pi = softmax(position(t))
        moving = velocity(t)
        drift = sum((p * v for p, v in zip(pi, moving, strict=True)), flint.acb(0))
        rows = zip(mu, pi, reward, moving, strict=True)
        return sum((a * f(p / a) * r * (v - drift) for a, p, r, v in rows), flint.acb(0))

    return flint.acb.integral(power, 0, 1).real


@D1_1.certified(Scope("three arms, 1 - e^-w and w / (1 + w), two paths with the same ends"))
def _(slope_of: Any) -> Answer:
    """The work along a straight and a bent path is the gain of the potential, by quadrature."""
    mu, _, reward = THREE_ARMS.numbers(Ball)
    start, end = (softmax([flint.acb(x) for x in straight(flint.acb(t))]) for t in (0, 1))
    answers = []
    for index, (name, f) in enumerate(SMOOTH):
        gain = flint.arb(0)
        for a, r, before, after in zip(mu, reward, start, end, strict=True):
            rise = flint.acb.integral(lambda u, _, f=f: slope_of(f, u), before / a, after / a)
            gain += a * r * rise.real
        works = [work(index, path) for path in range(len(PATHS))]
        witness = Witness.at(f=name, mu=THREE_ARMS.mu, reward=THREE_ARMS.reward)
        answers.append(certified.agree(works, [gain] * 2, witnesses=[witness] * 2))
    return all_of(answers)


CLIP = Fraction(6, 5)
SHAPES = (
    ("w^(1/2)", lambda w: w**0.5),
    ("min(w, 6/5)", lambda w: w.clamp(max=float(CLIP))),
    ("-w log w", lambda w: -w * w.log()),
)


@cache
def legendre() -> tuple[Any, Any]:
    """Nodes and weights of 40-point Gauss quadrature on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    module = neural.torch()
    return module.from_numpy((nodes + 1) / 2), module.from_numpy(weights / 2)


@D1_1.neural(Scope("two laws; the root of w, a clipped w, and -w log w"))
def _(slope_of: Any) -> Answer:
    """Autograd of the potential by quadrature, against the loss with f(w) detached."""
    nodes, weights = legendre()

    def integral(f: Any, low: Any, high: Any) -> Any:
        u = low[:, None] + (high - low)[:, None] * nodes
        return (high - low) * (slope_of(f, u) * weights).sum(-1)

    def both(law: Finite, name: str, f: Any) -> Answer:
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)

        def potential(z: Any) -> Any:
            w = z.softmax(0) / mu
            # Split where the clipped shape has its kink: quadrature wants smooth pieces.
            knee = w.clamp(max=float(CLIP))
            pieces = integral(f, neural.torch().ones_like(w), knee) + integral(f, knee, w)
            return (mu * reward * pieces).sum()

        def loss(z: Any) -> Any:
            log_pi = z.log_softmax(0)
            return (mu * f(log_pi.exp() / mu).detach() * reward * log_pi).sum()

        at = neural.tensor(law.pi).log()
        slopes = [neural.gradient(objective, at) for objective in (potential, loss)]
        return neural.close(*slopes, witness=witness_of(law, f=name))

    return all_of(both(law, *shape) for law in (THREE_ARMS, FOUR_ARMS) for shape in SHAPES)


@D1_1.wrong("f itself, as if Phi were its integral")
def _(shape: Any, w: Any) -> Any:
    return shape(w)


@D1_1.wrong("times w")
def _(shape: Any, w: Any) -> Any:
    return shape(w) * w


@D1_1.wrong("over w squared")
def _(shape: Any, w: Any) -> Any:
    return shape(w) / (w * w)


@D1_1.wrong("sign of the potential")
def _(shape: Any, w: Any) -> Any:
    return -shape(w) / w


class Shapes(NamedTuple):
    """The two functions of w that are said to differ in effect."""

    first: Any
    second: Any


def constant(w: Any) -> Any:
    """f(w) = 1."""
    return 1 + 0 * w


def ratio(w: Any) -> Any:
    """f(w) = w."""
    return w


ONE_AND_W = Shapes(constant, ratio)

OBS1_2 = Draft(
    "OBS1.2",
    section="1.2",
    kind=Kind.REMARK,
    title=Text("Different f, different optimisation", "不同的 f 带来截然不同的优化行为"),
    finding=Text(
        "True: with mu = (1/2, 1/2) and r = (1, 2), f = 1 comes to rest at pi = (1/3, 2/3), while "
        "f = w has no resting point inside the simplex.",
        "成立：μ=(1/2,1/2)、r=(1,2) 时，f=1 停在 π=(1/3,2/3)，而 f=w 在单纯形内部没有驻点。",
    ),
    statement=r"\exists\, f_1, f_2, \mu, r:\quad g_{f_1}(\pi) = 0 \iff \pi = (\tfrac13,\tfrac23),"
    r"\quad g_{f_2}(\pi) \ne 0 \text{ for all } \pi > 0",
    subject=ONE_AND_W,
    expect=Verdict.VERIFIED,
    uses=("D1.1",),
    reading="'markedly different' is one case in which two choices of f, here 1 and w, lead the "
    "same data to different policies",
)
TWO_REWARDS = Finite.of("1/2 1/2", "1/3 2/3", "1 2")
AT_REST = witness_of(TWO_REWARDS)
INSTANCE = Scope("the one instance that is asked for: every policy on its two arms", whole=True)


def ascent(shape: Any, pi: Any) -> Any:
    """E_mu[f(w) r s] in the logit of the second arm, both terms written out."""
    return (2 * shape(2 * pi[1]) * pi[0] - shape(2 * pi[0]) * pi[1]) / 2


@OBS1_2.symbolic(INSTANCE)
def _(shapes: Any) -> Answer:
    """At odds c, f = 1 gives (2 - c) / (2 (1 + c)), and f = w what is positive everywhere."""
    policy = [1 / (1 + C), C / (1 + C)]
    first, second = (sympy.simplify(ascent(shape, policy)) for shape in shapes)
    return all_of(
        [
            symbolic.equal(first, (2 - C) / (2 * (1 + C))),
            symbolic.positive(second, points=[{C: sympy.Rational(1, 9)}, {C: 9}]),
        ]
    )


@OBS1_2.certified(Scope("every policy with both masses at least 1/1000"))
def _(shapes: Any) -> Answer:
    """One sign on each side of pi_2 = 2/3 for f = 1, one sign everywhere for f = w."""
    edge, rest = Fraction(1, 1000), Fraction(2, 3)

    def sign(shape: Any, low: Fraction, high: Fraction, *, positive: bool) -> Answer:
        return certified.sign_on(
            lambda p: ascent(shape, [1 - p, p]),
            (low, high),
            positive=positive,
            witness=lambda p: Witness.at(mu=TWO_REWARDS.mu, pi=(1 - p, p), reward=(1, 2)),
        )

    return all_of(
        [
            sign(shapes.first, edge, rest - edge, positive=True),
            sign(shapes.first, rest + edge, 1 - edge, positive=False),
            sign(shapes.second, edge, 1 - edge, positive=True),
        ]
    )


@OBS1_2.neural(Scope("a hundred steps of length 2 from the uniform policy"))
def _(shapes: Any) -> Answer:
    """Ascent along the autograd loss with f(w) detached ends at (1/3, 2/3), and at arm 2."""
    mu, reward = neural.tensor(TWO_REWARDS.mu), neural.tensor(TWO_REWARDS.reward)

    def trained(shape: Any) -> Any:
        def loss(z: Any) -> Any:
            log_pi = z.log_softmax(0)
            return (mu * shape(log_pi.exp() / mu).detach() * reward * log_pi).sum()

        z = neural.tensor([0, 0])
        for _ in range(100):
            z = z + 2 * neural.gradient(loss, z)
        return z.softmax(0)

    return all_of(
        [
            neural.close(trained(shapes.first), TWO_REWARDS.pi, witness=AT_REST),
            neural.compare(trained(shapes.second)[1], ">", 0.99, witness=AT_REST),
        ]
    )


@OBS1_2.sampled(Scope("pi = (1/3, 2/3)"), resolution=0.05, looks=2)
def _(shapes: Any, trial: Trial) -> Answer:
    """Samples of mu: f(w) r s has mean 0 for f = 1 and a positive mean for f = w."""

    def mean(shape: Any) -> Any:
        w, score = np.exp(TWO_REWARDS.log_w()), np.array([-2 / 3, 1 / 3])
        table = shape(w) * np.array([1, 2]) * score
        return trial.mean(
            f"mean of {table.tolist()}",
            lambda rng, n: table[TWO_REWARDS.sample(rng, n)],
            float(table.min()),
            float(table.max()),
        )

    return all_of(
        [
            trial.agrees(mean(shapes.first), 0.0, witness=AT_REST),
            trial.above(mean(shapes.second), 0.1, witness=AT_REST),
        ]
    )


OBS1_2.wrong_value("the two exchanged", Shapes(ratio, constant))
OBS1_2.wrong_value("1 and 2", ONE_AND_W._replace(second=lambda w: 2 + 0 * w))
OBS1_2.wrong_value("1 and the root of w", ONE_AND_W._replace(second=lambda w: w ** Fraction(1, 2)))
OBS1_2.wrong_value("w and w squared", Shapes(ratio, lambda w: w * w))

CLAIMS = frozen(D1_1, OBS1_2)

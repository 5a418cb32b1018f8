"""Section 2.2, what the reverse KL does in a family that cannot have two modes.

A binomial policy of two draws cannot put its mass on both ends and leave the middle. For a target
that does, the forward KL is least with half of the policy's mass in the valley between the modes,
and the reverse KL with more than four fifths of it on one of them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

# theta runs over (0, 1); the target has its modes at the two ends.
THETA = sympy.Symbol("theta", positive=True)
TARGET = fractions("49/100 1/50 49/100")
HALF, EDGE, NEAR = Fraction(1, 2), Fraction(9, 10), Fraction(19, 20)


def binomial(theta: Any) -> list[Any]:
    """The policy of two draws with chance theta: all of them, one of them, none."""
    return [theta * theta, 2 * theta * (1 - theta), (1 - theta) * (1 - theta)]


class Divergences(NamedTuple):
    """What is minimised over the policy, given the target: for the first end, for the second."""

    forward: Any
    reverse: Any


def forward_kl(target: Any, policy: Any, m: Any) -> Any:
    """KL(target || policy)."""
    return formulas.kl(target, policy, m)


def reverse_kl(target: Any, policy: Any, m: Any) -> Any:
    """KL(policy || target)."""
    return formulas.kl(policy, target, m)


def jeffreys(target: Any, policy: Any, m: Any) -> Any:
    """The sum of both."""
    return formulas.kl(target, policy, m) + formulas.kl(policy, target, m)


PRINTED = Divergences(forward_kl, reverse_kl)

PROP2_2 = Draft(
    "PROP2.2",
    section="2.2",
    kind=Kind.HEURISTIC,
    title=Text("The reverse KL is mode-seeking", "Reverse KL 是 mode-seeking 的"),
    finding=Text(
        "Sharpened, true in one family: near p* = (49/100, 1/50, 49/100) the best binomial policy "
        "has half its mass in the valley by the forward KL, over 4/5 on one mode by the reverse.",
        "精确化后对一个策略族成立：p*=(49/100,1/50,49/100) 时，最优二项策略按 Forward KL 有一半"
        "质量落在谷中，按 Reverse KL 则有超过 4/5 集中于一个模式。",
    ),
    statement=r"\exists\, p^*, (\pi_\theta):\quad"
    r" \arg\min_\theta D_{KL}(p^*\|\pi_\theta) = \{\tfrac12\},\quad"
    r" \arg\min_\theta D_{KL}(\pi_\theta\|p^*) \cap [\tfrac1{10}, \tfrac9{10}] = \emptyset,\quad"
    r" \pi_\theta = (\theta^2, 2\theta(1-\theta), (1-\theta)^2)",
    subject=PRINTED,
    expect=Verdict.VERIFIED,
    uses=("T2.2",),
    reading="an existence statement: in one family the two divergences part so; it belongs to the "
    "family, since over all policies both have the same minimiser, the target itself",
)


def at_theta(theta: Any) -> Witness:
    """Name the target and the policy's parameter."""
    return Witness.at(target=TARGET, theta=theta)


def along(divergence: Any, theta: Any, m: Any) -> Any:
    """A divergence between the target and the binomial policy."""
    return divergence([m.number(p) for p in TARGET], binomial(theta), m)


@PROP2_2.symbolic(Scope("the one instance that is asked for: every theta in (0, 1)", whole=True))
def _(divergences: Any) -> Answer:
    """Slopes and bends in theta: where each sign changes, and values at 1/2, 9/10 and 19/20."""
    forward, reverse = (along(d, THETA, Exact) for d in divergences)
    half, edge, near = (sympy.Rational(str(x)) for x in (HALF, EDGE, NEAR))
    slope = sympy.diff(reverse, THETA)
    bend = sympy.diff(slope, THETA)
    # By the mirror it is enough to look right of 1/2. There the bend has the sign of a rising
    # function, so the slope falls from 0 and then rises, and is still negative at 9/10: on
    # [1/2, 9/10] the least value is the one at 9/10. 19/20 is below that, and below the limit
    # log(100/49) at the ends of (0, 1), so that the least of all is taken, outside [1/10, 9/10].
    shape = 2 - 4 * sympy.log(49) * THETA * (1 - THETA)
    mirrored = reverse.subs(THETA, 1 - THETA)
    lowest, end = reverse.subs(THETA, near), sympy.Rational(100, 49)

    def unroll(d: Any) -> Any:
        return sympy.simplify(sympy.expand_log(d, force=True))

    return all_of(
        [
            symbolic.equal(
                sympy.diff(forward, THETA), (2 * THETA - 1) / (THETA * (1 - THETA)), reduce=unroll
            ),
            symbolic.equal(reverse, mirrored, reduce=unroll),
            symbolic.equal(slope.subs(THETA, half), 0, reduce=unroll),
            symbolic.equal(bend * THETA * (1 - THETA), shape, reduce=unroll),
            symbolic.equal(sympy.diff(shape, THETA), 4 * sympy.log(49) * (2 * THETA - 1)),
            symbolic.compare(slope.subs(THETA, edge), "<", 0, witness=at_theta(EDGE)),
            symbolic.compare(lowest, "<", reverse.subs(THETA, edge), witness=at_theta(NEAR)),
            symbolic.compare(lowest, "<", sympy.log(end), witness=at_theta(NEAR)),
        ]
    )


@PROP2_2.certified(Scope("theta from 1/100 to 99/100, but for 1/20 on each side of 1/2"))
def _(divergences: Any) -> Answer:
    """The forward KL is above its value at 1/2, the reverse one inside above that at 19/20."""
    step, gap = Fraction(1, 100), Fraction(1, 20)

    def above(divergence: Any, least: Fraction, low: Fraction, high: Fraction) -> Answer:
        lowest = along(divergence, Ball.number(least), Ball)
        return certified.sign_on(
            lambda theta: along(divergence, theta, Ball) - lowest,
            (low, high),
            positive=True,
            witness=at_theta,
        )

    return all_of(
        [
            above(divergences.forward, HALF, step, HALF - gap),
            above(divergences.forward, HALF, HALF + gap, 1 - step),
            above(divergences.reverse, NEAR, 1 - EDGE, EDGE),
        ]
    )


@PROP2_2.neural(Scope("theta = 1/2, and descent from both sides of it"))
def _(divergences: Any) -> Answer:
    """By autograd 1/2 is a minimum of one and a maximum of the other; where descent leads."""

    def loss(divergence: Any) -> Any:
        return lambda z: along(divergence, z.sigmoid()[0], Tensor)

    def descended(divergence: Any, start: float) -> Any:
        z = neural.tensor([start])
        for _ in range(60):
            z = z - neural.gradient(loss(divergence), z)
        return float(z.sigmoid()[0])

    middle, witness = neural.tensor([0]), at_theta(HALF)
    bends = [neural.hessian(loss(divergence), middle)[0, 0] for divergence in divergences]
    ends = [descended(divergences.reverse, start) for start in (-0.5, 0.5)]
    return all_of(
        [
            neural.close(neural.gradient(loss(divergences.forward), middle), [0], witness=witness),
            neural.compare(bends[0], ">", 0, witness=witness),
            neural.compare(bends[1], "<", 0, witness=witness),
            neural.close([descended(divergences.forward, 0.5)], [0.5], witness=witness),
            neural.compare(ends[0], "<", 0.1, witness=at_theta(1 - EDGE)),
            neural.compare(ends[1], ">", 0.9, witness=at_theta(EDGE)),
        ]
    )


PROP2_2.wrong_value("the two exchanged", Divergences(reverse_kl, forward_kl))
PROP2_2.wrong_value("forward for reverse", Divergences(forward_kl, forward_kl))
PROP2_2.wrong_value("reverse for forward", Divergences(reverse_kl, reverse_kl))
PROP2_2.wrong_value("the sum of both for reverse", PRINTED._replace(reverse=jeffreys))


def _number(divergence: Any, theta: Fraction) -> str:
    return certified.digits(along(divergence, Ball.number(theta), Ball))


@PROP2_2.number("KL(p* || pi) at theta = 1/2")
def _() -> str:
    return _number(forward_kl, HALF)


@PROP2_2.number("KL(pi || p*) at theta = 1/2")
def _() -> str:
    return _number(reverse_kl, HALF)


@PROP2_2.number("KL(pi || p*) at theta = 19/20")
def _() -> str:
    return _number(reverse_kl, NEAR)


CLAIMS = frozen(PROP2_2)

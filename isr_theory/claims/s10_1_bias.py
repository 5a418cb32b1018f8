"""Section 10.1, first row: the bias falls in gamma.

Z Bias'(gamma) is a sum over pairs of outcomes of one kernel. It is negative for each pair whose
log p*/mu differs, so the proof looks at one pair and holds for every law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import TARGET_DIFFERS
from isr_theory.claims.general_law import MU, NUDGE, SUMS, TARGET, slope_of, total
from isr_theory.claims.s07_1_bias import infinite_bias
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

GAMMA, C, D = sympy.symbols("gamma c d", positive=True)
LEVEL, U, V = sympy.symbols("l u v", real=True)


def tempered(mu: Number, target: Number, gamma: Number, m: Arithmetic) -> Number:
    """The mass mu^(1-gamma) p*^gamma that p_gamma gives to one outcome, before division by Z."""
    return m.power(mu, 1 - gamma) * m.power(target, gamma)


def slope_log(mass: Any) -> Any:
    """The logarithmic derivative in gamma."""
    return sympy.diff(sympy.log(mass), GAMMA)


def in_exponentials(difference: Any) -> Any:
    """Expand a difference of exponentials and hyperbolic sines."""
    return sympy.expand(difference.rewrite(sympy.exp))


def divergence(masses: Sequence[Number], target: Sequence[Number], m: Arithmetic) -> Number:
    """KL of the target from masses that are normalised here."""
    level = m.log(sum(masses))
    rows = zip(target, masses, strict=True)
    return sum(b * (m.log(b) + level - m.log(mass)) for b, mass in rows)


def general_slope(mass: Any) -> Answer:
    """Show that Z Bias' of a general law is (sum m t)(sum p*) - (sum p* t)(sum m), t = d log m.

    The sum of p* is 1, and Bias is that of the masses m after division by Z, their sum.
    """
    nudged = mass(MU[0], TARGET[0], GAMMA + NUDGE, SUMS)
    m, p = nudged.entry.subs(NUDGE, 0), TARGET[0].entry
    t = sympy.diff(nudged.entry, NUDGE).subs(NUDGE, 0) / m
    slope = slope_of(divergence([nudged], TARGET, SUMS))
    return symbolic.equal(slope * total(m), total(m * t) - total(p * t) * total(m))


def slope_at(function: Callable[[Number], Number], order: int = 1) -> Callable[[Any], Any]:
    """A derivative of a function over Jet, as a function of a ball."""
    return lambda at: certified.derivatives(function, at, order)[order]


def along(**point: Any) -> Callable[[Fraction], Witness]:
    """Return what makes a witness of a gamma, the rest of the point being fixed."""
    return lambda gamma: Witness.at(**point, gamma=gamma)


TAB10_1_1 = Draft(
    "TAB10.1.1",
    section="10.1",
    kind=Kind.INEQUALITY,
    title=Text("The bias decreases in gamma", "Bias(γ) 单调递减"),
    finding=Text(
        "Strictly decreasing on [0, 1] for every law, with slope 0 at gamma = 1.",
        "对任意分布在 [0, 1] 上严格递减，且在 γ = 1 处斜率为 0。",
    ),
    statement=r"0 \le \gamma < \gamma' \le 1 \Rightarrow "
    r"D_{KL}(p^*\|p_\gamma) > D_{KL}(p^*\|p_{\gamma'})",
    subject=tempered,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It refers to Theorem 7.2, whose proof leaves out the deciding step.",
        "引自定理 7.2，而其证明缺了关键一步。",
    ),
    assumes=(TARGET_DIFFERS,),
    uses=("D5.1", "D7.1"),
    reading="p* = e^(r/tau)/Z is positive wherever mu is, as the paper defines it",
)


@TAB10_1_1.symbolic(
    Scope("every law: Z Bias' is the sum of the kernel over pairs of outcomes", whole=True)
)
def _(mass: Any) -> Answer:
    """A pair of outcomes adds a negative term to Z Bias' for every gamma below 1, and 0 at 1."""
    masses, targets, slopes = (sympy.symbols(f"{name}1 {name}2") for name in "mpt")
    # (sum m t)(sum p) - (sum p t)(sum m) over two outcomes, the general double sum, paired up:
    pairs = sum(targets) * sum(m * t for m, t in zip(masses, slopes, strict=True)) - sum(
        p * t for p, t in zip(targets, slopes, strict=True)
    ) * sum(masses)
    paired = (masses[0] * targets[1] - masses[1] * targets[0]) * (slopes[0] - slopes[1])
    # Two outcomes with log-ratios l < l + d, at gamma = 1 - c.
    (mu1, first), (mu2, second) = (
        (sympy.exp(x), sympy.exp(x + level)) for x, level in ((U, LEVEL), (V, LEVEL + D))
    )
    one, two = mass(mu1, first, GAMMA, Exact), mass(mu2, second, GAMMA, Exact)
    kernel = (one * second - two * first) * (slope_log(one) - slope_log(two))
    tilt = sympy.exp(U + V + (2 - C) * LEVEL + D - C * D / 2)
    expected = 2 * D * tilt * sympy.sinh(C * D / 2)
    return all_of(
        [
            general_slope(mass),
            symbolic.equal(pairs, paired),
            symbolic.positive(expected),
            symbolic.equal(-kernel.subs(GAMMA, 1 - C), expected, reduce=in_exponentials),
            symbolic.equal(kernel.subs(GAMMA, 1), 0, reduce=in_exponentials),
        ]
    )


@TAB10_1_1.certified(Scope("two laws, every gamma in [0, 99/100]"))
def _(mass: Any) -> Answer:
    """The derivative of the divergence from the normalised path is negative, box by box."""

    def bias(law: Finite) -> Callable[[Number], Number]:
        mu, target, _ = law.numbers(Jet)
        rows = list(zip(mu, target, strict=True))
        return lambda gamma: divergence([mass(a, b, gamma, Jet) for a, b in rows], target, Jet)

    box = (Fraction(0), Fraction(99, 100))
    return all_of(
        certified.sign_on(
            slope_at(bias(law)),
            box,
            positive=False,
            witness=along(mu=law.mu, target=law.pi),
        )
        for law in (THREE_ARMS, RARE_ARM)
    )


@TAB10_1_1.neural(Scope("four arms at three gammas"))
def _(mass: Any) -> Answer:
    """The autograd slope is the difference of two tilted means of log p*/mu, and is negative."""
    mu, target = neural.tensor(UNIFORM_POLICY.mu), neural.tensor(UNIFORM_POLICY.pi)
    level = (target / mu).log()
    answers = []
    for at in (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)):
        witness = Witness.at(mu=UNIFORM_POLICY.mu, target=UNIFORM_POLICY.pi, gamma=at)

        def bias(gamma: Any) -> Any:
            masses = mass(mu, target, gamma, Tensor)
            return (target * (target * masses.sum() / masses).log()).sum()

        tilt = (float(at) * level).exp() * mu
        expected = (tilt * level).sum() / tilt.sum() - (target * level).sum()
        slope = neural.gradient(bias, neural.tensor(at))
        answers += [
            neural.close(slope, expected, witness=witness),
            neural.compare(slope, "<", 0, witness=witness),
        ]
    return all_of(answers)


@TAB10_1_1.without(TARGET_DIFFERS)
def _(mass: Any, law: Finite) -> Answer:
    if infinite := infinite_bias(law):
        return infinite
    mu, target, _ = law.numbers(Exact)
    gammas = (Fraction(1, 4), Fraction(1, 2))

    def bias(gamma: Fraction) -> Any:
        at = Exact.number(gamma)
        rows = zip(mu, target, strict=True)
        return divergence([mass(a, b, at, Exact) for a, b in rows], target, Exact)

    witness = Witness.at(mu=law.mu, target=law.pi, gamma=gammas)
    early, late = map(bias, gammas)
    return symbolic.compare(early, ">", late, witness=witness)


@TAB10_1_1.wrong("the path from p* to mu")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return m.power(mu, gamma) * m.power(target, 1 - gamma)


@TAB10_1_1.wrong("twice the exponent")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return m.power(mu, 1 - 2 * gamma) * m.power(target, 2 * gamma)


@TAB10_1_1.wrong("exponent gamma (1 - gamma)")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    exponent = gamma * (1 - gamma)
    return m.power(mu, 1 - exponent) * m.power(target, exponent)


@TAB10_1_1.number("Bias at gamma = 1/2, three arms")
def _() -> str:
    mu, target, _ = THREE_ARMS.numbers(Ball)
    half_way = [tempered(a, b, Ball.number("1/2"), Ball) for a, b in zip(mu, target, strict=True)]
    return certified.digits(divergence(half_way, target, Ball))


CLAIMS = frozen(TAB10_1_1)

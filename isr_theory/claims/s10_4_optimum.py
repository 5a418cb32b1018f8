"""Section 10.2: whether one gamma is best.

Theorem 10.1 is true for the paper's V(gamma) = E[w^(2 gamma)], because bias squared and V are
convex, which the printed argument does not use: a decreasing and an increasing function may well
add up to one with two minima.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import (
    Answer,
    Assumption,
    Kind,
    PrintedProof,
    Scope,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.assumptions import MUTUAL_SUPPORT
from isr_theory.claims.general_law import LEVEL, U, general_bias, slope_of, total, total_mass
from isr_theory.claims.instances import moment, named
from isr_theory.claims.s10_1_bias import along, divergence, slope_at, tempered
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import ExponentialRate, Finite, fractions

A, D, GAMMA, LAMBDA, STRICT = sympy.symbols("a d gamma lambda strict", positive=True)


def penalised(bias: Number, first: Number, second: Number, weight: Number) -> Number:
    """Bias^2 + lambda E[w^(2 gamma)]; `first` is E[w^gamma], which a true variance would need."""
    return bias * bias + weight * second


@dataclass(frozen=True)
class Triple:
    """Behaviour policy, target p* and policy on the same outcomes."""

    mu: tuple[Fraction, ...]
    target: tuple[Fraction, ...]
    pi: tuple[Fraction, ...]

    @classmethod
    def of(cls, mu: str, target: str, pi: str) -> Triple:
        """Build from text."""
        return cls(fractions(mu), fractions(target), fractions(pi))

    def curve(self, objective: Any, weight: Fraction, m: Arithmetic) -> Callable[[Number], Number]:
        """The objective as a function of gamma, its parts summed over the outcomes."""
        mu, target, pi = ([m.number(x) for x in row] for row in (self.mu, self.target, self.pi))

        def at(gamma: Number) -> Number:
            path = [tempered(a, b, gamma, m) for a, b in zip(mu, target, strict=True)]
            weights = [(a, m.power(c / a, gamma)) for a, c in zip(mu, pi, strict=True)]
            first, second = sum(a * x for a, x in weights), sum(a * x * x for a, x in weights)
            return objective(divergence(path, target, m), first, second, m.number(weight))

        return at

    def witness(self, weight: Fraction) -> Callable[[Fraction], Witness]:
        """Return what makes a witness of a gamma."""
        return along(mu=self.mu, target=self.target, pi=self.pi, weight=weight)


THREE_LAWS = Triple.of("3/5 3/10 1/10", "1/5 3/10 1/2", "3/10 2/5 3/10")
NEARLY_LOST = Triple.of("1/2 1/2", "3/5 2/5", "999999/1000000 1/1000000")


def _drawn(rng: np.random.Generator) -> Triple:
    law = Finite.drawn(rng)
    return Triple(law.mu, tuple(reversed(law.pi)), law.pi)


SOMETHING_MOVES = Assumption(
    "something_moves",
    Text(
        "mu, pi and p* are not all the same, and KL(p* || mu) is finite.",
        "μ、π、p* 不全相同，且 KL(p*‖μ) 有限。",
    ),
    lambda triple: (
        not triple.mu == triple.target == triple.pi
        and all(m > 0 or t == 0 for m, t in zip(triple.mu, triple.target, strict=True))
    ),
    examples=(THREE_LAWS, Triple.of("1/2 1/2", "1/2 1/2", "9/10 1/10")),
    violations=(Triple.of("1/2 1/2", "1/2 1/2", "1/2 1/2"),),
    draw=_drawn,
)

T10_1_A = Draft(
    "T10.1.a",
    section="10.2",
    kind=Kind.OPTIMUM,
    title=Text("One best gamma, with V = E[w^(2 gamma)]", "以 V = E[w^{2γ}] 计的唯一最优 γ"),
    finding=Text(
        "True, because bias squared and V are convex; the printed argument does not show it.",
        "结论成立，因为 Bias² 与 V 均为凸函数；原文的论证不足以推出唯一性。",
    ),
    statement=r"\forall \lambda > 0\ \exists!\,\gamma^* \in [0, 1]:\ "
    r"\gamma^* = \arg\min_\gamma \mathrm{Bias}^2(\gamma) + \lambda\,\mathbb{E}_\mu[w^{2\gamma}]",
    subject=penalised,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.WRONG,
    proof_remark=Text(
        "A falling and a rising term can have a sum with several minima, and V does not even "
        "rise below 1/4; convexity gives the one minimum.",
        "递减项与递增项之和可以有多个最小点，且 V 在 1/4 以下并不递增；唯一性来自凸性。",
    ),
    assumes=(MUTUAL_SUPPORT, SOMETHING_MOVES),
    uses=("TAB10.1.1", "TAB10.1.2.fix"),
    amends=("T10.1.b",),
    reading="Var is the paper's V(gamma) = E[w^(2 gamma)]; p* is positive wherever mu is; "
    "V is finite up to gamma = 1/2 and may be infinite past some later gamma",
)


def bend_of_bias() -> Answer:
    """Show that Bias'' of a general law is the variance of l = log p*/mu under p_gamma."""
    mass = sympy.exp(U + GAMMA * LEVEL)
    mean, square = (total(mass * LEVEL**k) / total_mass() for k in (1, 2))
    return symbolic.equal(slope_of(general_bias(), 2), square - mean**2, reduce=sympy.cancel)


@T10_1_A.symbolic(
    Scope(
        "every law: where V is finite the sum is strictly convex, so of its minimisers on [0, 1] "
        "there is one; one exists, as Bias is continuous and V lower semicontinuous (Fatou)",
        whole=True,
    )
)
def _(objective: Any) -> Answer:
    """The second derivative is 2 Bias'^2 + 2 Bias Bias'' + lambda V'', a positive sum."""
    value, rise, bend, arc = sympy.symbols("value rise bend arc", nonnegative=True)
    # Bias falls where p* is not mu, so its slope is -rise; the first moment is kept free.
    jets = {
        "Bias": (value, -rise, bend),
        "M": sympy.symbols("m0:3", positive=True),
        "V": (*sympy.symbols("v0:2", real=True), arc),
    }
    functions = {name: sympy.Function(name)(GAMMA) for name in jets}
    curvature = sympy.diff(objective(*functions.values(), LAMBDA), GAMMA, 2).doit()
    for order in (2, 1, 0):
        for name, jet in jets.items():
            curvature = curvature.subs(sympy.diff(functions[name], GAMMA, order), jet[order])
    x, y = sympy.symbols("x y", real=True)
    return all_of(
        [
            symbolic.equal(curvature, 2 * rise**2 + 2 * value * bend + LAMBDA * arc),
            # p* differs from mu: Bias' is not 0 below 1.
            symbolic.positive(curvature.subs(rise, STRICT)),
            # p* is mu: Bias is 0, and pi differs from both.
            symbolic.positive(curvature.subs({value: 0, rise: 0, bend: 0, arc: STRICT})),
            # Bias'' is a variance: half a double mean of squares.
            bend_of_bias(),
            symbolic.equal((x**2 + y**2) / 2 - x * y, (x - y) ** 2 / 2),
            *(
                symbolic.positive(sympy.diff(A * sympy.exp(2 * GAMMA * level), GAMMA, 2))
                for level in (D, -D)
            ),
        ]
    )


CURVES = (
    (THREE_LAWS, Fraction(1)),
    (THREE_LAWS, Fraction(1, 100)),
    (NEARLY_LOST, Fraction(1, 10)),
)


# mu = Exp(1), pi = Exp(2/5): V is infinite from gamma = 5/6 on.
HEAVY = ExponentialRate(Fraction(2, 5))


@T10_1_A.certified(
    Scope(
        "two triples of laws, two and one values of lambda, all gamma in [0, 1]; p* = mu and an "
        "exponential law whose V is infinite from 5/6 on, all gamma in [0, 4/5]"
    )
)
def _(objective: Any) -> Answer:
    """The second derivative is positive, box by box."""
    one = Jet.number(1)

    def heavy(gamma: Number) -> Number:
        return objective(0 * gamma, HEAVY.moment(gamma, Jet), HEAVY.moment(2 * gamma, Jet), one)

    curves = [
        (triple.curve(objective, weight, Jet), Fraction(1), triple.witness(weight))
        for triple, weight in CURVES
    ]
    curves.append((heavy, Fraction(4, 5), along(mu="Exp(1)", pi="Exp(2/5)", weight=1)))
    return all_of(
        certified.sign_on(
            slope_at(curve, order=2), (Fraction(0), end), positive=True, witness=witness
        )
        for curve, end, witness in curves
    )


@T10_1_A.neural(Scope("two triples of laws at three gammas"))
def _(objective: Any) -> Answer:
    """The second derivative by differentiating twice."""
    gammas = [Fraction(k, 10) for k in (1, 5, 9)]
    return all_of(
        neural.compare(
            neural.hessian(triple.curve(objective, weight, Tensor), neural.tensor(gamma)),
            ">",
            0,
            witness=triple.witness(weight)(gamma),
        )
        for triple, weight in CURVES
        for gamma in gammas
    )


@T10_1_A.without(MUTUAL_SUPPORT)
def _(objective: Any, law: Finite) -> Answer:
    # With p* = mu there is no bias. Past 0 an outcome without weight adds nothing, and the sum is
    # convex: the sign of its slope at the ends of (0, 1] says where alone it can be least.
    mu, pi, _ = law.numbers(Jet)
    rows = [(a, b / a) for a, b in zip(mu, pi, strict=True) if a > 0 and b > 0]
    one, ends = Ball.number(1), (Fraction(0), Fraction(1))

    def past_zero(gamma: Number) -> Number:
        first, second = (sum(a * Jet.power(w, k * gamma) for a, w in rows) for k in (1, 2))
        return objective(0, first, second, one)

    def value(gamma: Number) -> Number:
        return objective(0, moment(law, gamma), moment(law, 2 * gamma), one)

    slope = slope_at(past_zero)
    inner = certified.root(slope, *ends)
    if inner is None:
        inner = Ball.number(0 if slope(Ball.number(0)) > 0 else 1)
    return all_of(
        certified.compare(value(inner), "<", value(other), witness=named(law, target=law.mu))
        for other in map(Ball.number, ("0", "1/100", "1"))
        if other != inner
    )


@T10_1_A.without(SOMETHING_MOVES)
def _(objective: Any, triple: Triple) -> Answer:
    curve = triple.curve(objective, Fraction(1), Exact)
    start, middle, end = (curve(Exact.number(g)) for g in ("0", "1/2", "1"))
    # A convex sum that is not lower midway than at both ends has the same least value throughout.
    witness = triple.witness(Fraction(1))(Fraction(1, 2))
    return symbolic.compare(middle, "<", sympy.Max(start, end), witness=witness)


@T10_1_A.wrong("the weights' variance for their second moment")
def _(bias: Any, first: Any, second: Any, weight: Any) -> Any:
    return bias * bias + weight * (second - first * first)


@T10_1_A.wrong("V subtracted")
def _(bias: Any, first: Any, second: Any, weight: Any) -> Any:
    return bias * bias - weight * second


@T10_1_A.wrong("bias squared subtracted")
def _(bias: Any, first: Any, second: Any, weight: Any) -> Any:
    return weight * second - bias * bias


@T10_1_A.number("gamma* at lambda = 1, mu = (.6, .3, .1), p* = (.2, .3, .5), pi = (.3, .4, .3)")
def _() -> str:
    slope = slope_at(THREE_LAWS.curve(penalised, Fraction(1), Jet))
    return certified.digits(certified.root(slope, Fraction(0), Fraction(1)), 18)


CLAIMS = frozen(T10_1_A)

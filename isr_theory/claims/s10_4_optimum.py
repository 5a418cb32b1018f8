"""Section 10.2: whether one gamma is best.

Theorem 10.1 is true for the paper's V(gamma) = E[w^(2 gamma)], because bias squared and V are
convex, which the printed argument does not use: a decreasing and an increasing function may well
add up to one with two minima. With a variance in the place of V that is what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Jet, Number, Tensor
from isr_theory.claim import (
    Answer,
    Assumption,
    Kind,
    Outcome,
    PrintedProof,
    Scope,
    Strength,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.assumptions import FINITE_MOMENTS, MUTUAL_SUPPORT
from isr_theory.claims.s10_1_bias import along, divergence, slope_at, tempered
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

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
SOMETHING_MOVES = Assumption(
    "something_moves",
    Text(
        "mu, pi and p* are not all the same, and KL(p* || mu) is finite.",
        "μ、π、p* 不全相同，且 KL(p*‖μ) 有限。",
    ),
    lambda triple: not triple.mu == triple.target == triple.pi,
    examples=(THREE_LAWS, Triple.of("1/2 1/2", "1/2 1/2", "9/10 1/10")),
    violations=(Triple.of("1/2 1/2", "1/2 1/2", "1/2 1/2"),),
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
    assumes=(MUTUAL_SUPPORT, FINITE_MOMENTS, SOMETHING_MOVES),
    uses=("TAB10.1.1", "TAB10.1.2.fix"),
    amends=("T10.1.b",),
    reading="Var is the paper's V(gamma) = E[w^(2 gamma)]; p* is positive wherever mu is",
)


@T10_1_A.symbolic(
    Scope("every law: strictly convex, so Weierstrass's minimiser on [0, 1] is unique", whole=True)
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
            # Bias'' is the variance of log p*/mu under p_gamma: half a double mean of squares.
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


@T10_1_A.certified(Scope("two triples of laws, two and one values of lambda, all gamma in [0, 1]"))
def _(objective: Any) -> Answer:
    """The second derivative is positive, box by box."""
    return all_of(
        certified.sign_on(
            slope_at(triple.curve(objective, weight, Jet), order=2),
            (Fraction(0), Fraction(1)),
            positive=True,
            witness=triple.witness(weight),
        )
        for triple, weight in CURVES
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


def printed_objective(bias: Number, variance: Number, weight: Number) -> Number:
    """Bias^2 + lambda Var as printed."""
    return bias * bias + weight * variance


T10_1_B = Draft(
    "T10.1.b",
    section="10.2",
    kind=Kind.OPTIMUM,
    title=Text("One best gamma, with a true variance", "以真正的方差计的唯一最优 γ"),
    finding=Text(
        "False: with the variance of w^gamma two values of gamma can be best at once.",
        "不成立：若取 w^γ 的方差，可有两个 γ 同时达到最小值。",
    ),
    statement=r"\forall \lambda > 0\ \exists!\,\gamma^* \in [0, 1]:\ "
    r"\gamma^* = \arg\min_\gamma \mathrm{Bias}^2(\gamma) + \lambda\,\mathrm{Var}_\mu(w^\gamma)",
    subject=printed_objective,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    uses=("T10.1.a",),
    reading="Var as the word says, the variance of w^gamma, not V = E[w^(2 gamma)] of 7.5",
)
# pi = N(sqrt 50, 1), so log w has variance 50, and p* = N(1, 1), so Bias = (1 - gamma)^2 / 2.
SPREAD = 50
LAMBDAS = (92, 94)
CUT = Fraction(1, 20)
TWO_BEST = Witness.at(mu="N(0, 1)", target="N(1, 1)", sigma2=SPREAD, weight=LAMBDAS)


def against_uniqueness(parts: Sequence[Answer], strength: Strength, shows: str) -> Answer:
    """FAILS where every part of an argument for two minimisers holds, else UNDECIDED."""
    together = all_of(parts)
    if together.outcome is Outcome.HOLDS:
        return Answer(Outcome.FAILS, strength, TWO_BEST.showing(shows))
    return Answer(Outcome.UNDECIDED, strength, detail=together.detail or str(together.witness))


def gaussian_curve(objective: Any, weight: Number, m: Arithmetic) -> Callable[[Number], Number]:
    """The objective at the Gaussian laws of the witness, from closed forms."""

    def at(gamma: Number) -> Number:
        bias = (1 - gamma) * (1 - gamma) / 2
        variance = formulas.weight_variance_lognormal(m.number(SPREAD), gamma, m)
        return objective(bias, variance, weight)

    return at


@T10_1_B.certified(Scope("the Gaussian laws of the witness"))
def _(objective: Any) -> Answer:
    """The least values left and right of 1/20 change order between lambda = 92 and 94.

    They are continuous in lambda, so they are equal for some lambda between, and the point 1/20
    that the two regions share is never best: its value is above that at 0.
    """
    low, high = (gaussian_curve(objective, Ball.number(weight), Ball) for weight in LAMBDAS)
    # The value at 1/20 is affine in lambda: above 1/4 at both ends, it is so between them.
    zero, cut, quarter, level = (Ball.number(x) for x in ("0", CUT, "1/4", "249/1000"))

    def everywhere(curve: Any, floor: Any, box: Any) -> Answer:
        return certified.sign_on(
            lambda gamma: curve(gamma) - floor,
            box,
            positive=True,
            witness=lambda gamma: TWO_BEST,
        )

    parts = [
        certified.compare(low(quarter), "<", level, witness=TWO_BEST),
        everywhere(low, level, (Fraction(0), CUT)),
        certified.compare(high(zero), "<=", quarter, witness=TWO_BEST),
        everywhere(high, quarter, (CUT, Fraction(1))),
        *(certified.compare(f(cut), ">", f(zero), witness=TWO_BEST) for f in (low, high)),
    ]
    shows = "two global minimisers, one on each side of gamma = 1/20, for some lambda in (92, 94)"
    return against_uniqueness(parts, Strength.PROOF, shows)


@T10_1_B.neural(Scope("the Gaussian laws of the witness"))
def _(objective: Any) -> Answer:
    """Newton's method on both minima, with moments and divergence summed over a grid."""
    torch = neural.torch()
    # The densities that occur are normal with means in [0, 15] and variance 1: none of them leaves
    # the grid, and on a step of 1/4 the sum of such a density is exact to float64.
    z = torch.arange(-10, 26, 0.25, dtype=torch.float64)
    mu, target = ((-((z - mean) ** 2) / 2).softmax(0) for mean in (0, 1))
    log_w, log_target = SPREAD**0.5 * z - SPREAD / 2, z - 0.5

    def parts(gamma: Any) -> tuple[Any, Any]:
        power = (gamma[..., None] * log_w).exp()
        first, second = (mu * power).sum(-1), (mu * power * power).sum(-1)
        path = mu * (gamma[..., None] * log_target).exp()
        ratio = target * path.sum(-1, keepdim=True) / path
        return (target * ratio.log()).sum(-1), second - first * first

    def curve(gamma: Any) -> Any:
        return objective(*parts(gamma), weight)

    weight, left, right = (neural.tensor(x) for x in (93, "0.0001", "0.257"))
    # Both starts lie in basins of quadratic convergence: five steps pass the last float64 digit.
    for _ in range(5):
        left, right = (
            x - neural.gradient(curve, x) / neural.hessian(curve, x) for x in (left, right)
        )
        gap = curve(right) - curve(left)
        weight = weight - gap / (parts(right)[1] - parts(left)[1])
    best = curve(left)
    # No gamma on a grid of 1/1000 is better by more than rounding.
    lowest = curve(torch.linspace(0, 1, 1001, dtype=torch.float64)).min()
    checks = [
        neural.close([best], [curve(right)], witness=TWO_BEST),
        neural.compare(best, "<", lowest + 1e-9, witness=TWO_BEST),
        neural.compare(left, "<", right, witness=TWO_BEST),
        neural.compare(LAMBDAS[0], "<", weight, witness=TWO_BEST),
        neural.compare(weight, "<", LAMBDAS[1], witness=TWO_BEST),
    ]
    for x in (left, right):
        checks.append(neural.close(neural.gradient(curve, x), [0], witness=TWO_BEST))
        checks.append(neural.compare(neural.hessian(curve, x), ">", 0, witness=TWO_BEST))
    shows = f"gamma = {float(left):.6g} and {float(right):.6g} are both best at {float(weight):.8g}"
    return against_uniqueness(checks, Strength.AGREEMENT, shows)


@cache
def tie() -> tuple[Any, Any, Any]:
    """Enclose lambda and the two minimisers of the witness where their values are equal."""

    def minima(weight: Any) -> tuple[Any, Any]:
        slope = slope_at(gaussian_curve(printed_objective, weight, Jet))
        left = certified.root(slope, Fraction(0), Fraction(1, 100))
        return left, certified.root(slope, Fraction(1, 5), Fraction(3, 10))

    def gap(weight: Any) -> Any:
        curve = gaussian_curve(printed_objective, weight, Ball)
        left, right = minima(weight)
        return curve(right) - curve(left)

    weight = certified.root(gap, *(Fraction(x) for x in LAMBDAS), steps=60)
    return weight, *minima(weight)


@T10_1_B.number("lambda at which two values of gamma are best")
def _() -> str:
    return certified.digits(tie()[0])


@T10_1_B.number("the smaller gamma that is best there")
def _() -> str:
    return certified.digits(tie()[1])


@T10_1_B.number("the larger gamma that is best there")
def _() -> str:
    return certified.digits(tie()[2])


CLAIMS = frozen(T10_1_A, T10_1_B)

"""Section 10.2: whether one gamma is best, with a variance in the place of E[w^(2 gamma)].

Bias^2 falls and the variance of w^gamma rises, as the printed argument asks. But the variance is
flat at 0 and not convex, and their sum can have two least values at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Jet, Number
from isr_theory.claim import (
    Answer,
    Kind,
    Outcome,
    PrintedProof,
    Scope,
    Strength,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.s10_1_bias import slope_at
from isr_theory.claims.s10_4_optimum import penalised
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural
from isr_theory.engines.answers import all_of


def printed_objective(bias: Number, first: Number, variance: Number, weight: Number) -> Number:
    """Bias^2 + lambda Var as printed; `first` is E[w^gamma], which V would need."""
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
    proof_remark=Text(
        "A falling and a rising term can have a sum with two equal minima, as they have here.",
        "递减项与递增项之和可以有两个相等的最小值，此处正是如此。",
    ),
    uses=("T10.1.a",),
    reading="Var as the word says, the variance of w^gamma, not V = E[w^(2 gamma)] of 7.5",
)
# pi = N(sqrt 50, 1), so log w has variance 50, and p* = N(1, 1), so Bias = (1 - gamma)^2 / 2.
SPREAD = 50
LAMBDAS = (92, 94)
CUT = Fraction(1, 20)
TWO_BEST = Witness.at(mu="N(0, 1)", target="N(1, 1)", sigma2=SPREAD, weight=LAMBDAS)


@T10_1_B.margin(spaces.plain(sigma2=("1", "60"), low=("1/100", "1/2"), high=("1/100", "1/2")))
def _(objective: Any, case: Any, m: Any) -> Any:
    """Var(w^gamma) may not fall between two gammas, log w normal.

    If the best gamma is unique for every lambda it moves continuously from 1 at lambda = 0 to 0,
    where the variance is least, so every gamma is best for some lambda. A gamma at which both the
    bias and the variance are above those at a later one is best for none.
    """
    sigma2, nothing = m.number(case["sigma2"]), m.number(0)
    low = m.number(case["low"])

    def value(gamma: Any) -> Any:
        first = formulas.lognormal_moment(sigma2, gamma, m)
        variance = formulas.weight_variance_lognormal(sigma2, gamma, m)
        return objective(nothing, first, variance, m.number(1))

    early, late = value(low), value(low + m.number(case["high"]))
    return late - early


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
        first = formulas.lognormal_moment(m.number(SPREAD), gamma, m)
        variance = formulas.weight_variance_lognormal(m.number(SPREAD), gamma, m)
        return objective(bias, first, variance, weight)

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

    def parts(gamma: Any) -> tuple[Any, Any, Any]:
        power = (gamma[..., None] * log_w).exp()
        first, second = (mu * power).sum(-1), (mu * power * power).sum(-1)
        path = mu * (gamma[..., None] * log_target).exp()
        ratio = target * path.sum(-1, keepdim=True) / path
        return (target * ratio.log()).sum(-1), first, second - first * first

    def curve(gamma: Any) -> Any:
        return objective(*parts(gamma), weight)

    weight, left, right = (neural.tensor(x) for x in (93, "0.0001", "0.257"))
    # Both starts lie in basins of quadratic convergence: five steps pass the last float64 digit.
    for _ in range(5):
        left, right = (
            x - neural.gradient(curve, x) / neural.hessian(curve, x) for x in (left, right)
        )
        gap = curve(right) - curve(left)
        weight = weight - gap / (parts(right)[-1] - parts(left)[-1])
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


@T10_1_B.right("V = Var + E[w^gamma]^2 for Var")
def _(bias: Any, first: Any, variance: Any, weight: Any) -> Any:
    return penalised(bias, first, variance + first * first, weight)


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


CLAIMS = frozen(T10_1_B)

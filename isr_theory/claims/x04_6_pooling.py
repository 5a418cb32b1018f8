"""Past section 8: the rule on micro-batches.

A mean of its gammas over batches is not its gamma of their union, and errs towards too large a
gamma wherever the rule acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.claims.x04_1_projection import RHO, radius
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

V1, V2, L = sympy.symbols("v1 v2 L", positive=True)
M1, M2 = sympy.symbols("m1 m2", real=True)


def mean_of_gammas(variances: Sequence[Number], rho_min: Number, m: Arithmetic) -> Number:
    """The mean over batches of the rule's gamma."""
    gammas = [formulas.gamma_lognormal(v, rho_min, m) for v in variances]
    return sum(gammas[1:], gammas[0]) / len(gammas)


POOLING = Draft(
    "DYN.pooling",
    section="beyond",
    kind=Kind.ALGORITHM,
    title=Text("gamma may be averaged over micro-batches", "可对各微批次的 γ 取平均"),
    finding=Text(
        "False: batches with variances 4 and 16 give 3/8 sqrt(L) on average, their union"
        " sqrt(L/10).",
        "不成立：方差为 4 与 16 的两批平均得 3/8·√L，而合并后为 √(L/10)。",
    ),
    statement=r"\frac1K \sum_k \gamma^*(\sigma_k^2) = \gamma^*(\sigma_{\mathrm{pooled}}^2)",
    subject=mean_of_gammas,
    expect=Verdict.REFUTED,
    assumes=(VALID_RULE,),
    uses=("T8.3.a",),
    sharpens=("A8.4.a", "REM8.2.a"),
    source="the line's own notes report it; the witness is new here",
    reading="batches of equal size; the pooled variance is that of all log-ratios together, divisor"
    " n",
)
# Log-ratios (-2, 2) and (-4, 4).
BATCHES = ((-2, 2), (-4, 4))
UNION = Witness.at(batches=BATCHES, rho_min=RHO)


def spread(values: Sequence[Number]) -> Number:
    """The variance of the values, divisor n."""
    middle = sum(values) / len(values)
    return sum((x - middle) * (x - middle) for x in values) / len(values)


@POOLING.symbolic(Scope("the witness"))
def _(average: Any) -> Answer:
    """Exact variances of the two batches and of their union."""
    batches = [[sympy.Integer(x) for x in batch] for batch in BATCHES]
    rho_min = Exact.number(RHO)
    pooled = formulas.gamma_lognormal(spread([x for b in batches for x in b]), rho_min, Exact)
    found = average([spread(batch) for batch in batches], rho_min, Exact)
    return symbolic.compare(found, "==", pooled, witness=UNION)


@POOLING.neural(Scope("the witness"))
def _(average: Any) -> Answer:
    """Torch's variances of the two batches and of their union."""
    batches = [neural.tensor(batch) for batch in BATCHES]
    union = neural.torch().cat(batches)
    pooled = formulas.gamma_lognormal(union.var(correction=0), neural.tensor(RHO), Tensor)
    found = average([b.var(correction=0) for b in batches], neural.tensor(RHO), Tensor)
    return neural.close([found], [pooled], witness=UNION)


@POOLING.right("gamma of the mean variance, as the batches' means agree")
def _(variances: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_lognormal(sum(variances) / len(variances), rho_min, m)


@dataclass(frozen=True)
class Batches:
    """Log-ratios in batches of equal size, and the target."""

    rows: tuple[tuple[Fraction, ...], ...]
    rho_min: Fraction

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], rho_min: str) -> Batches:
        """Build from integers and text."""
        return cls(tuple(tuple(map(Fraction, row)) for row in rows), Fraction(rho_min))

    def witness(self) -> Witness:
        """Name the batches exactly."""
        return Witness.at(batches=self.rows, rho_min=self.rho_min)

    def acts(self) -> bool:
        """Whether the rule is below 1, or at 1 just so, on every batch."""
        bound = -Ball.log(Ball.number(self.rho_min))
        return all(bool(Ball.number(spread(row)) >= bound) for row in self.rows)


RULE_ACTS = Assumption(
    "rule_acts",
    Text("On every batch the variance is at least -log rho_min.", "各批方差均不小于 −log ρ_min。"),
    lambda given: given.acts(),
    examples=(Batches.of(BATCHES, "3/10"), Batches.of(((-3, 1, 2), (5, 9, 7)), "3/10")),
    # The first batch is below -log rho_min = 4.6, the second and the union are above.
    violations=(Batches.of(((-1, 1), (-3, 3)), "1/100"),),
    draw=lambda rng: Batches.of(
        [(7 * k - int(x), 7 * k + int(x)) for k, x in enumerate(rng.integers(1, 6, 3))], "9/10"
    ),
)


class Chain(NamedTuple):
    """Mean of the gammas, gamma of the mean variance, gamma of the pooled variance."""

    mean_of_gammas: Number
    of_mean_variance: Number
    pooled: Number


def gamma_chain(
    variances: Sequence[Number], means: Sequence[Number], rho_min: Number, m: Arithmetic
) -> Chain:
    """The three gammas of batches of equal size; pooling adds the variance of the means."""
    inside, between = sum(variances) / len(variances), spread(means)
    return Chain(
        mean_of_gammas(variances, rho_min, m),
        formulas.gamma_lognormal(inside, rho_min, m),
        formulas.gamma_lognormal(inside + between, rho_min, m),
    )


POOLING_FIX = Draft(
    "DYN.pooling.fix",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Averaging gamma errs towards too large a gamma", "对 γ 取平均会使 γ 偏大"),
    finding=Text(
        "Where the rule acts on every batch, the mean of its gammas is never below its gamma of the"
        " union, and equal only if all batches have one variance and one mean.",
        "当各批均触发规则时，γ 的平均不小于合并批次的 γ，当且仅当各批方差与均值相同时相等。",
    ),
    statement=r"\sigma_k^2 \ge L\ \forall k:\quad \frac1K \sum_k \gamma^*(\sigma_k^2)"
    r" \ge \gamma^*\Bigl(\frac1K \sum_k \sigma_k^2\Bigr)"
    r" \ge \gamma^*\Bigl(\frac1K \sum_k \sigma_k^2 + \mathrm{Var}_k(m_k)\Bigr)",
    subject=gamma_chain,
    expect=Verdict.VERIFIED,
    assumes=(RULE_ACTS, VALID_RULE),
    uses=("T8.3.a",),
    amends=("DYN.pooling",),
    sharpens=("A8.4.a", "REM8.2.a"),
    source="new here",
    reading="batches of equal size, variances with divisor n; one batch at gamma = 1 can "
    "turn it round",
)


@POOLING_FIX.symbolic(
    Scope("every number of batches: Jensen for the convex sqrt(L/v), and pooled variances", True)
)
def _(chain: Any) -> Answer:
    """Convexity and fall of the rule past L; the pooled variance; the gap of two batches."""
    v = sympy.Symbol("v", positive=True)
    rho_min = sympy.exp(-L)
    # Variances L + v1 and L + v2, so that no clip is met.
    variances = [L + V1, L + V2]
    found = chain(variances, [M1, M2], rho_min, Exact)
    # Batches of two values each, at the mean plus and minus the root of the variance.
    values = [
        m + k * sympy.sqrt(x) for m, x in zip((M1, M2), variances, strict=True) for k in (1, -1)
    ]
    pooled = spread(values)

    def unclipped(gamma: Any) -> Any:
        # Every variance is L or more here, so 1 is never the smaller one.
        return gamma.replace(sympy.Min, lambda *of: next(x for x in of if x != 1))

    # Gammas are positive, so equal squares mean equal gammas.
    squares = [unclipped(x) ** 2 for x in (found.of_mean_variance, found.pooled)]
    # One root stands for each variance: the mean of gammas takes them apart from one another.
    first, second = sympy.symbols("x1 x2", positive=True)
    apart = chain([first**2, second**2], [M1, M2], rho_min, Exact).mean_of_gammas
    rule = sympy.sqrt(L / v)
    return all_of(
        [
            symbolic.equal(unclipped(apart), sympy.sqrt(L) * (1 / first + 1 / second) / 2),
            symbolic.equal(squares[0], 2 * L / sum(variances)),
            symbolic.equal(
                sympy.expand(pooled), sympy.expand(sum(variances) / 2 + (M1 - M2) ** 2 / 4)
            ),
            symbolic.equal(squares[1], L / sympy.expand(pooled)),
            symbolic.positive(sympy.diff(rule, v, 2)),
            symbolic.positive(-sympy.diff(rule, v)),
        ]
    )


def ordered(chain: Any, given: Batches) -> Answer:
    """Compare the ends of the chain with the batches' own gammas, and say whether it falls."""
    rho_min, at = Ball.number(given.rho_min), given.witness()

    def gamma(values: Sequence[Fraction]) -> Any:
        return Ball.minimum(
            flint.arb(1), radius(rho_min, Ball) / Ball.sqrt(Ball.number(spread(values)))
        )

    average = sum((gamma(row) for row in given.rows), flint.arb(0)) / len(given.rows)
    union = gamma([x for row in given.rows for x in row])
    variances = [Ball.number(Fraction(spread(row))) for row in given.rows]
    means = [Ball.number(sum(row, Fraction(0)) / len(row)) for row in given.rows]
    found = chain(variances, means, rho_min, Ball)
    # Equal ends, as of equal batches, differ by rounding.
    slack = Ball.number(Fraction(1, 10**30))
    return all_of(
        [
            certified.agree(
                [found.mean_of_gammas, found.pooled], [average, union], witnesses=[at, at]
            ),
            certified.compare(
                found.mean_of_gammas + slack, ">", found.of_mean_variance, witness=at
            ),
            certified.compare(found.of_mean_variance + slack, ">", found.pooled, witness=at),
        ]
    )


@POOLING_FIX.certified(Scope("two pairs of batches, at rho_min = 3/10"))
def _(chain: Any) -> Answer:
    """The chain from the batches themselves."""
    return all_of(ordered(chain, given) for given in RULE_ACTS.examples)


@POOLING_FIX.neural(Scope("three batches of four, at rho_min = 9/10"))
def _(chain: Any) -> Answer:
    """Torch's variances of the batches and of all of them together."""
    module = neural.torch()
    rows = [neural.tensor(row) for row in ((-3, 1, 2, 4), (5, 9, 7, 0), (1, 1, -1, 6))]
    rho_min, at = neural.tensor(Fraction(9, 10)), Witness.at(batches=3, rho_min=Fraction(9, 10))
    bound = (-rho_min.log()).sqrt()
    average = module.stack([bound / row.std(correction=0) for row in rows]).mean()
    found = chain(
        [row.var(correction=0) for row in rows], [row.mean() for row in rows], rho_min, Tensor
    )
    union = bound / module.cat(rows).std(correction=0)
    inside = bound / module.stack([row.var(correction=0) for row in rows]).mean().sqrt()
    return all_of(
        [
            neural.close(list(found), [average, inside, union], witness=at),
            neural.compare(found.mean_of_gammas, ">", found.pooled, witness=at),
        ]
    )


@POOLING_FIX.without(RULE_ACTS)
def _(chain: Any, given: Batches) -> Answer:
    return ordered(chain, given)


POOLING_FIX.meaningless_without(VALID_RULE, NO_RULE)


@POOLING_FIX.margin(
    spaces.plain(rho_min=("1/20", "19/20"), over=("0", "9"), more=("0", "9"), apart=("0", "5"))
)
def _(chain: Any, case: Any, m: Any) -> Any:
    rho_min = m.number(case["rho_min"])
    least = -m.log(rho_min)
    variances = [least + m.number(case[name]) for name in ("over", "more")]
    found = chain(variances, [m.number(0), m.number(case["apart"])], rho_min, m)
    return found.mean_of_gammas - found.pooled


@POOLING_FIX.wrong("pooling without the variance of the means")
def _(variances: Any, means: Any, rho_min: Any, m: Any) -> Any:
    found = gamma_chain(variances, means, rho_min, m)
    return found._replace(pooled=found.of_mean_variance)


@POOLING_FIX.wrong("the order reversed")
def _(variances: Any, means: Any, rho_min: Any, m: Any) -> Any:
    return Chain(*reversed(gamma_chain(variances, means, rho_min, m)))


@POOLING_FIX.wrong("gamma of the mean standard deviation")
def _(variances: Any, means: Any, rho_min: Any, m: Any) -> Any:
    found = gamma_chain(variances, means, rho_min, m)
    roots = sum(m.sqrt(v) for v in variances) / len(variances)
    return found._replace(of_mean_variance=formulas.gamma_lognormal(roots, rho_min, m))


@POOLING.number("mean of the gammas over gamma of the union, batches (-2, 2) and (-4, 4)")
def _() -> str:
    return certified.digits(Ball.number("3/8") * Ball.sqrt(Ball.number(10)))


CLAIMS = frozen(POOLING, POOLING_FIX)

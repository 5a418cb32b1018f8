"""Section 8.2, the remark on cost: one pass for the variance, then a formula.

(n, sum l, sum l^2) -> Var = sum l^2 / n - (sum l / n)^2 -> gamma,   l = log w
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

SIZE, VARIANCE, C = sympy.symbols("n V c", positive=True)
MEAN, LEVEL = sympy.symbols("a l", real=True)
RHO = Fraction(3, 10)

REAL_BATCH = Assumption(
    "real_batch",
    Text("Finitely many finite log-ratios, not all equal.", "有限个有限的对数比，且不全相等。"),
    lambda log_w: all(map(math.isfinite, log_w)) and max(log_w) > min(log_w),
    examples=((0.5, -1.0, 1.5, -0.5), (0.0, 1.0)),
    violations=((0.0, -math.inf), (1.0, 1.0)),
    draw=lambda rng: (0.25, *(float(x) / 4 for x in rng.integers(2, 12, 4))),
)


class OnePass(NamedTuple):
    """The rule as a loop: where it starts, what a row adds, and gamma from what was kept."""

    start: Any
    step: Any
    finish: Any


def empty(m: Arithmetic) -> tuple[Number, ...]:
    """Return three zeros: the count, the sum of log w and the sum of its squares."""
    return (m.number(0),) * 3


def with_row(kept: tuple[Number, ...], level: Number) -> tuple[Number, ...]:
    """Add one row to the three sums."""
    n, first, second = kept
    return n + 1, first + level, second + level * level


def from_sums(kept: tuple[Number, ...], rho_min: Number, m: Arithmetic) -> Number:
    """Return the closed form at the variance of the rows."""
    n, first, second = kept
    mean = first / n
    return formulas.gamma_lognormal(second / n - mean * mean, rho_min, m)


@dataclass(frozen=True)
class Counted:
    """A number that only counts: every operation on it goes into the tally."""

    tally: list[int]

    def _count(self, *_: Any) -> Counted:
        self.tally[0] += 1
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __neg__ = _count


class Counting:
    """An arithmetic in which numbers count the operations done to them."""

    def __init__(self) -> None:
        self.tally = [0]

    def number(self, value: Fraction | int | str) -> Counted:
        """Return a number; making it costs nothing."""
        return Counted(self.tally)

    def __getattr__(self, name: str) -> Callable[..., Counted]:
        """Return any function of an arithmetic: one operation."""
        return Counted(self.tally)._count


REM8_2_A = Draft(
    "REM8.2.a",
    section="8.2",
    kind=Kind.REMARK,
    title=Text("One pass for the variance, then a formula", "O(n) 求方差，O(1) 求 γ*"),
    finding=Text(
        "True: the rule reads the batch through Var(log w) alone, which one pass over three running"
        " sums gives; what remains costs the same for every n.",
        "成立：规则仅通过 Var(log w) 依赖批次，一次遍历、三个累加量即可得到；其余开销与 n 无关。",
    ),
    statement=r"\gamma^*(l_1,\dots,l_n) = \gamma^*\Bigl(\tfrac1n\textstyle\sum l_i^2"
    r" - \bigl(\tfrac1n\sum l_i\bigr)^2\Bigr),\ O(n)\ \text{then}\ O(1)",
    subject=OnePass(empty, with_row, from_sums),
    expect=Verdict.VERIFIED,
    assumes=(REAL_BATCH, VALID_RULE),
    uses=("T8.3.a",),
    reading="cost is counted in operations on numbers; Var has divisor n",
)


def sums(n: Any, mean: Any, variance: Any) -> tuple[Any, ...]:
    """Return the three sums of n rows with this mean and variance."""
    return n, n * mean, n * (variance + mean**2)


@REM8_2_A.symbolic(
    Scope(
        "every batch, by induction on its rows, and every rho_min; three numbers are kept at any n,"
        " so a row costs the same after any others",
        whole=True,
    )
)
def _(rule: Any) -> Answer:
    """A row more moves mean and variance as defined; gamma is the rule at that variance."""
    kept = sums(SIZE, MEAN, VARIANCE)
    mean = (SIZE * MEAN + LEVEL) / (SIZE + 1)
    # The squares of the n rows about another point are n (V + (their mean - that point)^2).
    squares = SIZE * (VARIANCE + (MEAN - mean) ** 2) + (LEVEL - mean) ** 2
    both_sides_of_the_clip = [
        {VARIANCE: 2, C: 3, SIZE: 4, MEAN: sympy.Rational(1, 3)},
        {VARIANCE: 5, C: sympy.Rational(1, 2), SIZE: 7, MEAN: -1},
    ]
    first = rule.step(rule.start(Exact), LEVEL)
    later = rule.step(kept, LEVEL)
    pairs = [
        *zip(first, sums(1, LEVEL, 0), strict=False),
        *zip(later, sums(SIZE + 1, mean, squares / (SIZE + 1)), strict=False),
    ]
    at = Witness.at(n=1)
    gamma = rule.finish(kept, sympy.exp(-VARIANCE * C**2), Exact)
    return all_of(
        [
            *(symbolic.compare(len(row), "==", 3, witness=at) for row in (first, later)),
            *(symbolic.equal(*pair) for pair in pairs),
            symbolic.equal(gamma, sympy.Min(1, C), points=both_sides_of_the_clip),
        ]
    )


@REM8_2_A.symbolic(Scope("batches of 4 and of 64 rows"))
def _(rule: Any) -> Answer:
    """Operations counted: so many for each row, and as many at the end whatever n."""

    def cost(n: int) -> tuple[int, int]:
        m: Any = Counting()
        kept = reduce(rule.step, [m.number(0)] * n, rule.start(m))
        reading = m.tally[0]
        rule.finish(kept, m.number(RHO), m)
        return reading, m.tally[0] - reading

    (few, at_end), (many, at_later_end) = cost(4), cost(64)
    witness = Witness.at(n=64)
    return all_of(
        [
            symbolic.compare(many, "==", 16 * few, witness=witness),
            symbolic.compare(at_later_end, "==", at_end, witness=witness),
        ]
    )


REM8_2_A.meaningless_without(
    REAL_BATCH,
    "where all log-ratios are equal the rule divides by their variance, which is 0, and with one of"
    " -inf their variance is infinity less infinity",
)
REM8_2_A.meaningless_without(VALID_RULE, NO_RULE)


BATCHES = tuple(map(fractions, ("1/2 -1 3/2 -1/2", "2 -1 0 7/2 -1 1/3")))


def passed(rule: Any, log_w: Sequence[Any], m: Arithmetic) -> Any:
    """Run the loop over a batch of exact numbers."""
    kept = reduce(rule.step, map(m.number, log_w), rule.start(m))
    return rule.finish(kept, m.number(Fraction(1, 2)), m)


@REM8_2_A.certified(Scope("two batches at rho_min = 1/2, one clipped"))
def _(rule: Any) -> Answer:
    """With the variance from pairs of rows, e^(-variance gamma^2) is rho_min unless gamma is 1."""
    answers = []
    for log_w, clipped in zip((BATCHES[1], fractions("1/2 0 1/3")), (False, True), strict=True):
        pairs = sum(((a - b) ** 2 for a in log_w for b in log_w), Fraction(0))
        variance = Ball.number(pairs / 2 / len(log_w) / len(log_w))
        gamma = passed(rule, log_w, Ball)
        met = gamma if clipped else Ball.exp(-variance * gamma * gamma)
        expected = Ball.number(1 if clipped else Fraction(1, 2))
        at = Witness.at(log_w=log_w, rho_min=Fraction(1, 2))
        answers.append(certified.agree([met], [expected], witnesses=[at]))
    return all_of(answers)


@REM8_2_A.neural(Scope("a batch of 1000 rows, and two of few"))
def _(rule: Any) -> Answer:
    """The loop in floats against the variance of a tensor."""
    long = tuple(Fraction(k * k % 97, 25) for k in range(1000))
    answers = []
    for log_w in (*BATCHES, long):
        variance = float(neural.tensor(log_w).var(correction=0))
        expected = min(1.0, math.sqrt(math.log(2) / variance))
        at = Witness.at(n=len(log_w), rho_min=Fraction(1, 2))
        answers.append(neural.close([passed(rule, log_w, Real)], [expected], witness=at))
    return all_of(answers)


def unbiased(kept: tuple[Any, ...], rho_min: Any, m: Any) -> Any:
    """Divisor n - 1 for n."""
    n, first, second = kept
    mean = first / n
    return formulas.gamma_lognormal((second - n * mean * mean) / (n - 1), rho_min, m)


def uncentred(kept: tuple[Any, ...], rho_min: Any, m: Any) -> Any:
    """The mean square for the variance."""
    n, _, second = kept
    return formulas.gamma_lognormal(second / n, rho_min, m)


def overwriting(kept: tuple[Any, ...], level: Any) -> tuple[Any, ...]:
    """The sum of squares is overwritten, not added to."""
    n, first, _ = kept
    return n + 1, first + level, level * level


def over_rows(kept: tuple[Any, ...], rho_min: Any, m: Any) -> Any:
    """A second loop over all rows, which are all kept."""
    mean = sum(kept) / m.number(len(kept))
    squares = sum((level - mean) * (level - mean) for level in kept)
    return formulas.gamma_lognormal(squares / m.number(len(kept)), rho_min, m)


REM8_2_A.wrong_value("unbiased variance", OnePass(empty, with_row, unbiased))
REM8_2_A.wrong_value("mean square for variance", OnePass(empty, with_row, uncentred))
REM8_2_A.wrong_value("squares overwritten", OnePass(empty, overwriting, from_sums))
REM8_2_A.wrong_value(
    "every row kept for a second loop",
    OnePass(lambda m: (), lambda kept, level: (*kept, level), over_rows),
)

CLAIMS = frozen(REM8_2_A)

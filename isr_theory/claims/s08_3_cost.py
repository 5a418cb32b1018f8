"""Section 8.3, the cost of Algorithm 8.4.

    (n, mean, Q) of joined batches: Q = Q_1 + Q_2 + n_1 n_2 / (n_1 + n_2) (mean_1 - mean_2)^2

gamma needs S^2 = Q / (n - 1), which every log-ratio moves: one pass over n numbers, and not O(1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Outcome, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    Batch,
    Column,
    Row,
    batch,
)
from isr_theory.claims.s08_3_algorithm import (
    LOG_MU,
    LOG_PI,
    PLAIN_BATCH,
    RHO,
    TARGETS,
    Request,
    algorithm,
    asked,
    closed_form,
    listed,
    spread,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

SQUARES = tuple(i * i for i in range(1, 9))
GROWING = Witness.at(n=(4, 8), log_w=SQUARES, rho_min=RHO)
ONE_BATCH_TWICE = Scope("a batch, its first half, and every change of one entry by 1")


FINITE_BATCH = Assumption(
    "finite_batch",
    Text(
        "n >= 2 finite log-ratios, and 0 < rho_min <= 1.",
        "n ≥ 2 个有限的对数比，且 0 < ρ_min ≤ 1。",
    ),
    lambda request: (
        len(request.log_w) >= 2
        and all(map(math.isfinite, request.log_w))
        and 0 < request.rho_min <= 1
    ),
    examples=(Request((0.5, -1.0, 1.5, -0.5), RHO), Request((1.0, 1.0), RHO)),
    violations=(
        Request((1.0,), RHO),
        Request((0.0, -math.inf), RHO),
        Request((0.5, -1.0), Fraction(3, 2)),
    ),
    draw=PLAIN_BATCH.draw,
)
NO_GAMMA = (
    "S^2 of one log-ratio is 0/0, with one of -inf it is infinity less infinity, and at rho_min "
    "outside (0, 1] the root is not real"
)


def _neighbours(n: int) -> list[list[int]]:
    """The first n log-ratios, and with each entry in turn one higher."""
    base = list(SQUARES[:n])
    return [base, *([*base[:i], base[i] + 1, *base[i + 1 :]] for i in range(n))]


def entries_that_matter(rule: Any, n: int, m: Arithmetic, differs: Any) -> int:
    """How many of n log-ratios, each one higher in its turn, change gamma."""
    target = float(RHO) if m is Tensor else m.number(RHO)
    first, *others = (rule(batch(log_w, [0] * n, m), target, m) for log_w in _neighbours(n))
    answers = [differs(other, "!=", first, witness=GROWING) for other in others]
    return sum(answer.outcome is Outcome.HOLDS for answer in answers)


A8_4_C = Draft(
    "A8.4.c",
    section="8.3",
    kind=Kind.ALGORITHM,
    title=Text("The listing's docstring: an O(1) choice of gamma", "算法文档串：O(1) 闭式 γ 选择"),
    finding=Text(
        "Where γ < 1 every one of the n log-ratios moves it, so the choice takes at least n reads.",
        "当 γ < 1 时，n 个对数比的每一个都会改变它，因此至少须读 n 个数。",
    ),
    statement=r"\gamma\ \text{is found in } O(1)",
    subject=algorithm,
    expect=Verdict.REFUTED,
    assumes=(PLAIN_BATCH,),
    uses=("A8.4.a",),
    reading="of the whole function, log-probabilities in and gamma out, and literally: as many"
    " entries decide gamma whatever n is; its own comment says O(n) for the variance",
)


@A8_4_C.symbolic(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The count of entries whose change moves gamma, in exact numbers."""
    half, whole = (entries_that_matter(rule, n, Exact, symbolic.compare) for n in (4, 8))
    return symbolic.compare(whole, "<=", half, witness=GROWING)


@A8_4_C.neural(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The same count by running the listing."""
    half, whole = (entries_that_matter(rule, n, Tensor, neural.compare) for n in (4, 8))
    return neural.compare(whole, "<", half + 1, witness=GROWING)


def _first_two(values: Column) -> Column:
    return Row(values.values[:2]) if isinstance(values, Row) else values[:2]


def on_two_rows(given: Batch, rho_min: Number, m: Arithmetic) -> Number:
    """The algorithm on the first two rows: O(1), whatever n is."""
    return algorithm(Batch(_first_two(given.log_pi), _first_two(given.log_mu)), rho_min, m)


A8_4_C.right_value("the first two rows alone", on_two_rows)


class Running(NamedTuple):
    """What one pass keeps of the log-ratios it has seen: count, mean, sum of squared deviations."""

    count: Number
    mean: Number
    squares: Number


def merge(a: Running, b: Running) -> Running:
    """Join what two passes kept; a single log-ratio l is Running(1, l, 0)."""
    count = a.count + b.count
    gap = b.mean - a.mean
    mean = a.mean + gap * b.count / count
    return Running(count, mean, a.squares + b.squares + gap * gap * a.count * b.count / count)


def _one_pass(join: Any, log_w: Sequence[Any], m: Arithmetic) -> Running:
    singles = [Running(m.number(1), value, m.number(0)) for value in log_w]
    joined: Running = reduce(join, singles)
    return joined


A8_4_C_FIX = Draft(
    "A8.4.c.fix",
    section="8.3",
    kind=Kind.ALGORITHM,
    title=Text("The cost of choosing gamma", "选择 γ 的代价"),
    finding=Text(
        "One pass over the n log-ratios with three numbers of memory gives S², no entry can be"
        " left out, and γ then takes O(1).",
        "对 n 个对数比扫一遍、只记三个数即得 S²，且一个都不能少；随后求 γ 为 O(1)。",
    ),
    statement=r"(n, \bar l, Q)\ \text{of joined batches}: Q = Q_1 + Q_2 +"
    r" \tfrac{n_1 n_2}{n_1+n_2}(\bar l_1 - \bar l_2)^2,\quad S^2 = Q/(n-1)",
    subject=merge,
    expect=Verdict.VERIFIED,
    assumes=(FINITE_BATCH,),
    uses=("A8.4.a",),
    amends=("A8.4.c", "ADV8.3.3"),
)


@A8_4_C_FIX.symbolic(
    Scope("every two batches, so by induction every order of one pass", whole=True)
)
def _(join: Any) -> Answer:
    """Sums of l and l^2 add; and Q moves with every entry that is not the mean of the others."""
    n1, n2 = sympy.symbols("n1 n2", positive=True)
    a1, a2, q1, q2, x = sympy.symbols("a1 a2 q1 q2 x", real=True)
    count = n1 + n2
    total = n1 * a1 + n2 * a2
    squares = q1 + n1 * a1**2 + q2 + n2 * a2**2 - total**2 / count
    joined = join(Running(n1, a1, q1), Running(n2, a2, q2))
    one_more = join(Running(n1, a1, q1), Running(sympy.Integer(1), x, sympy.Integer(0)))
    return all_of(
        [
            symbolic.equal(joined.count, count),
            symbolic.equal(joined.mean, total / count),
            symbolic.equal(joined.squares, squares),
            symbolic.equal(sympy.diff(one_more.squares, x), 2 * n1 * (x - a1) / (n1 + 1)),
        ]
    )


@A8_4_C_FIX.certified(Scope("100 balls, sin 1 to sin 100"))
def _(join: Any) -> Answer:
    """One pass against S^2 from all pairs."""
    values = [Ball.sin(Ball.number(i)) for i in range(1, 101)]
    kept = _one_pass(join, values, Ball)
    witness = Witness.at(log_w="sin 1, ..., sin 100")
    return certified.agree([kept.squares / 99], [spread(values)], witnesses=[witness])


@A8_4_C_FIX.neural(Scope("one batch of four at two targets"))
def _(join: Any) -> Answer:
    """The gamma of one pass in plain floats against the listing."""
    kept = _one_pass(join, [float(a - b) for a, b in zip(LOG_PI, LOG_MU, strict=True)], Real)
    variance = kept.squares / (kept.count - 1)
    return all_of(
        neural.close(
            [closed_form(variance, float(rho_min), Real)],
            [listed(algorithm, Tensor, rho_min)],
            witness=asked(rho_min),
        )
        for rho_min in TARGETS
    )


A8_4_C_FIX.meaningless_without(FINITE_BATCH, NO_GAMMA)


@A8_4_C_FIX.wrong("no term for the gap of the means")
def _(a: Running, b: Running) -> Running:
    return merge(a, b)._replace(squares=a.squares + b.squares)


@A8_4_C_FIX.wrong("the mean of the two means")
def _(a: Running, b: Running) -> Running:
    return merge(a, b)._replace(mean=(a.mean + b.mean) / 2)


@A8_4_C_FIX.wrong("the gap not shared between the counts")
def _(a: Running, b: Running) -> Running:
    gap = b.mean - a.mean
    return merge(a, b)._replace(squares=a.squares + b.squares + gap * gap * b.count)


CLAIMS = frozen(A8_4_C, A8_4_C_FIX)

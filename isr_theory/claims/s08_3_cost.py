"""Section 8.3, the cost of Algorithm 8.4 and the advantages claimed for it.

    (n, mean, Q) of joined batches: Q = Q_1 + Q_2 + n_1 n_2 / (n_1 + n_2) (mean_1 - mean_2)^2

gamma depends on the batch through S^2 = Q / (n - 1) alone, so on no reward and no step of training;
but S^2 depends on every log-ratio, so the choice is one pass over n numbers and not O(1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, NamedTuple

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    VARIANCE,
    Batch,
    batch,
    column,
    each,
    equal_for_every_batch,
    length,
)
from isr_theory.claims.s08_3_algorithm import (
    EVERY_BATCH,
    LOG_MU,
    LOG_PI,
    PLAIN_BATCH,
    REWARDS,
    RHO,
    TARGETS,
    C,
    algorithm,
    any_batch,
    asked,
    closed_form,
    listed,
    spread,
    unbiased_variance,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

SHIFT = sympy.Symbol("h", positive=True)
SQUARES = tuple(i * i for i in range(1, 9))
GROWING = Witness.at(n=(4, 8), log_w=SQUARES, rho_min=RHO)
ONE_BATCH_TWICE = Scope("a batch, its first half, and every change of one entry by 1")


def _neighbours(n: int) -> list[list[int]]:
    """The first n log-ratios, and with each entry in turn one higher."""
    base = list(SQUARES[:n])
    return [base, *([*base[:i], base[i] + 1, *base[i + 1 :]] for i in range(n))]


def _entries_that_matter(rule: Any, n: int, m: Arithmetic, differs: Any) -> int:
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
    half, whole = (_entries_that_matter(rule, n, Exact, symbolic.compare) for n in (4, 8))
    return symbolic.compare(whole, "<=", half, witness=GROWING)


@A8_4_C.neural(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The same count by running the listing."""
    half, whole = (_entries_that_matter(rule, n, Tensor, neural.compare) for n in (4, 8))
    return neural.compare(whole, "<", half + 1, witness=GROWING)


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
    assumes=(PLAIN_BATCH,),
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


ADV8_3_1 = Draft(
    "ADV8.3.1",
    section="8.3",
    kind=Kind.REMARK,
    title=Text("gamma depends on the current batch only", "γ 与训练进程无关"),
    finding=Text(
        "It is a function of S² and ρ_min: no step, no earlier batch, no common shift of log π.",
        "它只是 S² 与 ρ_min 的函数：与步数、先前批次及 log π 的公共平移均无关。",
    ),
    statement=r"\gamma = \gamma(S^2, \rho_{\min})",
    subject=algorithm,
    expect=Verdict.VERIFIED,
    assumes=(PLAIN_BATCH,),
    uses=("A8.4.a",),
    reading="the same batch gives the same gamma, whatever came before",
)


@ADV8_3_1.symbolic(EVERY_BATCH)
def _(rule: Any) -> Answer:
    """With the step, log mu, the mean and a shift of log pi free, only S^2 is left."""
    rho_min = sympy.exp(-VARIANCE * C**2)
    given = any_batch()
    shifted = replace(given, log_pi=given.log_pi + SHIFT)
    return all_of(
        equal_for_every_batch(rule(each_batch, rho_min, Exact), sympy.Min(1, C))
        for each_batch in (given, shifted)
    )


@ADV8_3_1.certified(Scope("one batch of four at steps 0 and 1000, and with log pi shifted by 7"))
def _(rule: Any) -> Answer:
    """The same ball at another step and under a shift."""
    shifted = column([value + 7 for value in LOG_PI], Ball)
    values = [listed(rule, Ball, step=1000), listed(rule, Ball, log_pi=shifted)]
    return certified.agree(values, [listed(rule, Ball)] * 2, witnesses=[asked(RHO)] * 2)


@ADV8_3_1.neural(Scope("one batch of four, before and after another, shifted and reordered"))
def _(rule: Any) -> Answer:
    """The listing runs again: after another batch, at another step, shifted, and reordered."""
    before = float(listed(rule, Tensor))
    rule(batch(LOG_MU, LOG_PI[::-1], Tensor), float(RHO), Tensor)
    after = float(listed(rule, Tensor, step=1000))
    shifted = float(listed(rule, Tensor, log_pi=neural.tensor(LOG_PI) + 7))
    reordered = rule(batch(LOG_PI[::-1], LOG_MU[::-1], Tensor), float(RHO), Tensor)
    return neural.close([after, shifted, float(reordered)], [before] * 3, witness=asked(RHO))


@ADV8_3_1.wrong("annealed with the step")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    return algorithm(given, rho_min, m) / (1 + given.step)


@ADV8_3_1.wrong("log w not centred")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    log_w = given.log_pi - given.log_mu
    return closed_form((log_w * log_w).sum() / (length(log_w) - 1), rho_min, m)


@ADV8_3_1.wrong("the target relaxed with the step")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    variance = unbiased_variance(given.log_pi - given.log_mu)
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) * (1 + given.step) / variance))


ADV8_3_2 = Draft(
    "ADV8.3.2",
    section="8.3",
    kind=Kind.REMARK,
    title=Text("The choice of gamma needs no reward", "选择 γ 无需奖励"),
    finding=Text(
        "No reward enters; hence what it controls is the ESS of w^γ, and that of the weights w^γ r"
        " in use can fall below the target.",
        "奖励不参与计算；因此所控制的是 w^γ 的 ESS，而实际使用的 w^γ r 的 ESS 可低于目标。",
    ),
    statement=r"\gamma = \gamma(\log\pi_\theta, \log\mu, \rho_{\min})",
    subject=algorithm,
    expect=Verdict.VERIFIED,
    assumes=(PLAIN_BATCH,),
    uses=("A8.4.a",),
    reading="whatever the rewards of the batch are, gamma is the same",
)


@ADV8_3_2.symbolic(EVERY_BATCH)
def _(rule: Any) -> Answer:
    """With free rewards gamma has no sum with a reward; a sparse reward's ESS misses the target."""
    rho_min = sympy.exp(-VARIANCE * C**2)
    # Weights 1, 2, 1, 2 have gamma = 1; all rewards but one are 0.
    weights, rewards = (1, 2, 1, 2), (1, 0, 0, 0)
    log_w = each(sympy.log, column(weights, Exact))
    sparse = Batch(log_w, column([0] * 4, Exact), column(rewards, Exact))
    gamma = rule(sparse, sympy.Rational(RHO), Exact)
    used = [w**gamma * r for w, r in zip(weights, rewards, strict=True)]
    ess = sum(used) ** 2 / sum(u * u for u in used) / 4
    at = Witness.at(w=weights, reward=rewards, rho_min=RHO)
    return all_of(
        [
            equal_for_every_batch(rule(any_batch(), rho_min, Exact), sympy.Min(1, C)),
            symbolic.equal(gamma, 1, witness=at),
            symbolic.compare(ess, "<", sympy.Rational(RHO), witness=at),
        ]
    )


@ADV8_3_2.certified(Scope("one batch of four with three rewards"))
def _(rule: Any) -> Answer:
    """The same ball for other rewards."""
    others = [column(r, Ball) for r in (fractions("1 1 1 1"), fractions("5 1 3 8"))]
    values = [listed(rule, Ball, reward=reward) for reward in others]
    return certified.agree(values, [listed(rule, Ball)] * 2, witnesses=[asked(RHO)] * 2)


@ADV8_3_2.neural(Scope("one batch of four with three rewards"))
def _(rule: Any) -> Answer:
    """The listing runs beside other rewards, against S^2 from pairs."""
    variance = float(spread([a - b for a, b in zip(LOG_PI, LOG_MU, strict=True)]))
    others = [neural.tensor(r) for r in (fractions("1 1 1 1"), REWARDS, fractions("5 1 3 8"))]
    values = [float(listed(rule, Tensor, reward=reward)) for reward in others]
    expected = min(1.0, math.sqrt(-math.log(RHO) / variance))
    return neural.close(values, [expected] * 3, witness=asked(RHO))


@ADV8_3_2.wrong("reward variance added, as in Theorem 9.1")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    variance = unbiased_variance(given.log_pi - given.log_mu)
    return closed_form(variance + unbiased_variance(given.reward), rho_min, m)


@ADV8_3_2.wrong("the variance of log w + r")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    return closed_form(unbiased_variance(given.log_pi - given.log_mu + given.reward), rho_min, m)


@ADV8_3_2.wrong("the target scaled by the mean reward")
def _(given: Any, rho_min: Any, m: Any) -> Any:
    log_w = given.log_pi - given.log_mu
    mean = given.reward.sum() / length(log_w)
    return closed_form(unbiased_variance(log_w) / mean, rho_min, m)


ADV8_3_3 = Draft(
    "ADV8.3.3",
    section="8.3",
    kind=Kind.REMARK,
    title=Text("O(1) computation, no iteration", "O(1) 计算，无需迭代"),
    finding=Text(
        "Forming S² goes over all n log-ratios; only the last formula, given S², is O(1).",
        "求 S² 要遍历全部 n 个对数比；只有给定 S² 之后的公式是 O(1)。",
    ),
    statement=r"\text{choosing } \gamma \text{ takes } O(1)",
    subject=algorithm,
    expect=Verdict.REFUTED,
    assumes=(PLAIN_BATCH,),
    uses=("A8.4.a",),
    reading="the choice starts from log pi and log mu, as the advantage before it says; literally,"
    " as many entries decide gamma whatever n is; given the variance it is true",
)


@ADV8_3_3.certified(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The count of entries whose change moves gamma, by disjoint balls."""
    half, whole = (_entries_that_matter(rule, n, Ball, certified.compare) for n in (4, 8))
    return certified.compare(whole, "<=", half, witness=GROWING)


@ADV8_3_3.neural(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The same count by running the listing."""
    half, whole = (_entries_that_matter(rule, n, Tensor, neural.compare) for n in (4, 8))
    return neural.compare(whole, "<", half + 1, witness=GROWING)


CLAIMS = frozen(A8_4_C, A8_4_C_FIX, ADV8_3_1, ADV8_3_2, ADV8_3_3)

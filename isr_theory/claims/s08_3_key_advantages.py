"""Section 8.3, the three key advantages claimed for Algorithm 8.4.

gamma depends on the batch through S^2 alone, so on no reward and no step of training; but S^2 takes
every log-ratio, so the third advantage, O(1), is not one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import sympy

from isr_theory.arithmetic import Ball, Exact, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
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
    LEAST,
    LOG_MU,
    LOG_PI,
    PLAIN_BATCH,
    REWARDS,
    RHO,
    C,
    algorithm,
    any_batch,
    asked,
    closed_form,
    listed,
    spread,
    unbiased_variance,
)
from isr_theory.claims.s08_3_cost import (
    FINITE_BATCH,
    GROWING,
    NO_GAMMA,
    ONE_BATCH_TWICE,
    entries_that_matter,
    on_two_rows,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

SHIFT = sympy.Symbol("h", real=True)


def _threshold(value: Any) -> Any:
    return sympy.oo if value == LEAST else Exact.number(value)


BELOW: Any = SimpleNamespace(
    number=_threshold, log=Exact.log, sqrt=Exact.sqrt, minimum=Exact.minimum
)
"""Exact arithmetic in which every S^2 is below the 1e-8 at which the listing returns 1."""


def by_spread_alone(rule: Any, shift: Any = 0) -> list[Answer]:
    """Show gamma for every S^2: from 1e-8 on the formula, also at rho_min = 1; below it 1.

    log mu, the rewards and the step are free.
    """
    given = any_batch()
    moved = replace(given, log_pi=given.log_pi + shift)
    rho_min = sympy.exp(-VARIANCE * C**2)
    return [
        equal_for_every_batch(rule(moved, rho_min, Exact), sympy.Min(1, C)),
        equal_for_every_batch(rule(moved, sympy.S.One, Exact), 0),
        equal_for_every_batch(rule(moved, rho_min, BELOW), 1),
    ]


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
    assumes=(FINITE_BATCH,),
    uses=("A8.4.a",),
    reading="the same batch gives the same gamma, whatever came before",
)


@ADV8_3_1.symbolic(EVERY_BATCH)
def _(rule: Any) -> Answer:
    """With the step, log mu, the mean and a shift of log pi free, only S^2 is left."""
    return all_of([*by_spread_alone(rule), *by_spread_alone(rule, SHIFT)])


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


ADV8_3_1.meaningless_without(FINITE_BATCH, NO_GAMMA)


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
    assumes=(FINITE_BATCH,),
    uses=("A8.4.a",),
    reading="whatever the rewards of the batch are, gamma is the same",
)


@ADV8_3_2.symbolic(EVERY_BATCH)
def _(rule: Any) -> Answer:
    """With free rewards gamma has no sum with a reward; a sparse reward's ESS misses the target."""
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
            *by_spread_alone(rule),
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


ADV8_3_2.meaningless_without(FINITE_BATCH, NO_GAMMA)


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


ADV8_3_3.right_value("the first two rows alone", on_two_rows)


@ADV8_3_3.certified(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The count of entries whose change moves gamma, by disjoint balls."""
    half, whole = (entries_that_matter(rule, n, Ball, certified.compare) for n in (4, 8))
    return certified.compare(whole, "<=", half, witness=GROWING)


@ADV8_3_3.neural(ONE_BATCH_TWICE)
def _(rule: Any) -> Answer:
    """The same count by running the listing."""
    half, whole = (entries_that_matter(rule, n, Tensor, neural.compare) for n in (4, 8))
    return neural.compare(whole, "<", half + 1, witness=GROWING)


CLAIMS = frozen(ADV8_3_1, ADV8_3_2, ADV8_3_3)

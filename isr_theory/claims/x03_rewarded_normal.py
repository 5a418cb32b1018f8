"""Past section 9: which gammas a target allows where log w and the reward are jointly normal.

    -log(ESS/n) = gamma^2 sigma2 + 2 gamma c + s2,   c = Cov(log w, R/tau),   s2 = Var(R/tau)

is a parabola in gamma, so they are an interval about -c/sigma2, which need not reach down to 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.jointly_normal import (
    GAMMA,
    JOINTLY_NORMAL,
    REWARD2,
    SIGMA2,
    Rewarded,
    drawn_ess,
    ess_at,
    integrated_ess,
    loads,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial


class Window(NamedTuple):
    """Both ends from (sigma2, cov, reward2, rho_min, m); the best gamma, and -log of its ESS/n."""

    low: Any
    high: Any
    best: Any
    least: Any


def end(sign: int, sigma2: Number, cov: Number, reward2: Number, rho_min: Number, m: Any) -> Number:
    """Return (-c + sign sqrt(c^2 + sigma2 (-log rho_min - s2))) / sigma2."""
    root = m.sqrt(cov * cov + sigma2 * (-m.log(rho_min) - reward2))
    return (-cov + sign * root) / sigma2


def low_end(*numbers: Any) -> Number:
    """Return the smaller root."""
    return end(-1, *numbers)


def high_end(*numbers: Any) -> Number:
    """Return the larger root."""
    return end(1, *numbers)


WINDOW = Window(
    low_end,
    high_end,
    lambda sigma2, cov: -cov / sigma2,
    lambda sigma2, cov, reward2: reward2 - cov * cov / sigma2,
)

NORMAL_WINDOW = Draft(
    "GAM.window",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The window of feasible gammas, normal rewards", "正态奖励下可行 γ 的窗口"),
    finding=Text(
        "Feasible is the interval between two roots about −c/σ², where ESS/n is e^(−s²(1−ϱ²)), ϱ"
        " the correlation: against log w a reward can make γ = 0 miss and a γ between meet.",
        "可行集是以 −c/σ² 为中心、两根之间的区间，中心处 ESS/n = e^(−s²(1−ϱ²))（ϱ 为相关系数）："
        "奖励与 log w 负相关时，可能 γ = 0 不达标而中间的 γ 达标。",
    ),
    statement=r"\frac{\mathrm{ESS}(w^\gamma e^{R/\tau})}{n} \ge \rho_{\min} \iff"
    r" \Bigl|\gamma + \frac{c}{\sigma^2}\Bigr| \le"
    r" \frac{\sqrt{c^2 + \sigma^2(-\log\rho_{\min} - s^2)}}{\sigma^2};\quad"
    r" \max_\gamma \frac{\mathrm{ESS}}{n} = e^{-(s^2 - c^2/\sigma^2)}\text{ at } -c/\sigma^2",
    subject=WINDOW,
    expect=Verdict.VERIFIED,
    assumes=(JOINTLY_NORMAL,),
    uses=("T9.1.a.fix",),
    sharpens=("T9.1.a.fix", "INT9.1.fix"),
    amends=("GAM.reward",),
    source="new here",
    reading="every real gamma, of which the rule takes those in [0, 1]; no gamma is feasible where"
    " the root is not real",
)


@NORMAL_WINDOW.symbolic(Scope("every sigma2 > 0, covariance, reward2 and rho_min", whole=True))
def _(window: Any) -> Answer:
    """The cost from Gaussian integrals, less -log rho_min, has these two roots and this summit."""
    cov = sympy.Symbol("k", real=True)
    spent = sympy.symbols("L", positive=True)
    ess = integrated_ess(loads(GAMMA, SIGMA2, cov, REWARD2, Exact))
    cost = sympy.expand(sympy.expand_log(-sympy.log(ess), force=True))
    numbers = (SIGMA2, cov, REWARD2, sympy.exp(-spent), Exact)
    low, high = window.low(*numbers), window.high(*numbers)
    # SIGMA2 > 0, so below 0 between the roots and above it outside; without real roots above it.
    factored = SIGMA2 * (GAMMA - low) * (GAMMA - high)
    best = window.best(SIGMA2, cov)
    points = [{SIGMA2: 2, cov: -1, REWARD2: 1, spent: 3, GAMMA: 1}]
    return all_of(
        [
            symbolic.equal(factored, cost - spent, points=points),
            symbolic.equal(sympy.diff(cost, GAMMA).subs(GAMMA, best), 0),
            symbolic.equal(cost.subs(GAMMA, best), window.least(SIGMA2, cov, REWARD2)),
            symbolic.positive(sympy.diff(cost, GAMMA, 2)),
            symbolic.positive(
                (high - low).subs({cov: 0, REWARD2: 0}) * SIGMA2, points=[{SIGMA2: 2, spent: 1}]
            ),
        ]
    )


# gamma = 0 and gamma = 1 miss the target in the first.
CASES = (Rewarded.of("4", "-19/10", "1", "4/5"), Rewarded.of("3", "1/2", "1/4", "1/2"))


def on_the_edge(window: Any, case: Any) -> Answer:
    """Try whether ESS/n is rho_min at both ends of the window."""
    *spreads, rho_min = case.numbers(Ball)
    one = Ball.number(1)
    ends = [f(*spreads, rho_min, Ball) for f in (window.low, window.high)]
    found = [ess_at(case, gamma, one) for gamma in ends]
    return certified.agree(found, [rho_min] * 2, witnesses=[case.witness()] * 2)


@NORMAL_WINDOW.certified(Scope("two cases, in one of which gamma = 0 and 1 miss the target"))
def _(window: Any) -> Answer:
    """ESS/n by quadrature: rho_min at both ends, more between, most at the middle."""
    answers = []
    for case in CASES:
        sigma2, cov, reward2, rho_min = case.numbers(Ball)
        at, one = case.witness(), Ball.number(1)
        best = ess_at(case, window.best(sigma2, cov), one)
        summit = Ball.exp(-window.least(sigma2, cov, reward2))
        answers += [
            on_the_edge(window, case),
            certified.agree([best], [summit], witnesses=[at]),
            certified.compare(best, ">", rho_min, witness=at),
        ]
    for gamma in (0, 1):
        found, at = ess_at(CASES[0], Ball.number(gamma), one), CASES[0].witness()
        answers.append(certified.compare(found, "<", Ball.number(CASES[0].rho_min), witness=at))
    return all_of(answers)


@NORMAL_WINDOW.sampled(
    Scope("sigma2 = 4, cov = -19/10, reward2 = 1, rho_min = 4/5, the lower end"),
    resolution=0.2,
    looks=2,
)
def _(window: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals, at the lower end."""
    sigma2, cov, reward2, rho_min = CASES[0].numbers(Real)
    weight = loads(window.low(sigma2, cov, reward2, rho_min, Real), sigma2, cov, reward2, Real)
    ess = drawn_ess(trial, weight, resolution=0.03)
    return trial.agrees(ess, rho_min, witness=CASES[0].witness())


NORMAL_WINDOW.without(JOINTLY_NORMAL)(on_the_edge)


def mirrored(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    """The sign of the covariance."""
    return low_end(sigma2, -cov, reward2, rho_min, m)


def from_zero(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    """An interval from 0."""
    return 0 * sigma2


def added(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    """The reward's variance added to sigma2, as printed."""
    return formulas.gamma_reward_printed(sigma2, reward2, rho_min, m)


NORMAL_WINDOW.wrong_value("the sign of the covariance", WINDOW._replace(low=mirrored))
NORMAL_WINDOW.wrong_value("an interval from 0", WINDOW._replace(low=from_zero))
NORMAL_WINDOW.wrong_value("the printed rule as its end", WINDOW._replace(high=added))
NORMAL_WINDOW.wrong_value(
    "the best gamma at c/sigma2", WINDOW._replace(best=lambda sigma2, cov: cov / sigma2)
)
NORMAL_WINDOW.wrong_value(
    "the summit at s2 alone", WINDOW._replace(least=lambda sigma2, cov, reward2: reward2)
)


@NORMAL_WINDOW.number("the window at sigma2 = 4, c = -19/10, s2 = 1, rho_min = 4/5")
def _() -> str:
    numbers = (*CASES[0].numbers(Ball), Ball)
    return ", ".join(certified.digits(f(*numbers)) for f in (low_end, high_end))


CLAIMS = frozen(NORMAL_WINDOW)

"""Predictions about gamma as a temperature: slopes against the reward, and rewards of 0 and 1.

What `python -m experiments.bandit temperature` recorded, read against OBJ.temperature, OBJ.binary
and OBJ.maximiser. Nothing there is sampled but the problems. What had been seen before: problems of
other seeds, on which the runs were developed. The predictions were committed before the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED = recorded.summary("temperature")
PROBLEMS = Scope("200 random problems of 8 arms, three temperatures, five gammas, 3,000 steps")

TEMPERATURE = prediction(
    "BAN.temperature",
    title=Text("The slope against the reward is 1/(tau (1-gamma))", "对奖励的斜率是 1/(τ(1−γ))"),
    finding=Text(
        "It is, to rounding: no slope of 200 problems is off by more than 6e-15 of itself, "
        "at three temperatures and five gammas.",
        "成立，误差仅为舍入：200 个问题、三个温度、五个 γ，斜率的相对误差均不超过 6e-15。",
    ),
    statement=r"r = e^{R/\tau}:\quad \log\tfrac{\pi_\infty}{\mu} = \frac{R}{\tau(1-\gamma)} + c"
    r"\quad\text{in every problem, to } 10^{-6}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.temperature", "OBJ.stability"),
)
# At gamma = 0.9 a step leaves 98% of the distance: 3,000 of them leave e^-60 of it. Slopes are up
# to 20, so that rounding is far below this, absolute for residuals and relative for slopes.
CLOSE = 1e-6


@TEMPERATURE.recorded(PROBLEMS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The mean slope, the worst of all problems, and the largest residual of all arms."""
    answers = []
    for row in summary["hot"]:
        at = {"tau": row["tau"], "gamma": row["gamma"]}
        expected = 1 / (row["tau"] * (1 - row["gamma"]))
        answers += [
            # A summary keeps six digits.
            recorded.near(row["slope"] / expected, 1.0, 1e-5, **at),
            recorded.near(row["error"], 0.0, CLOSE, **at),
            recorded.near(row["residual"], 0.0, CLOSE, **at),
        ]
    return all_of(answers)


ONE = prediction(
    "BAN.binary",
    title=Text("Right or wrong: every gamma ends at one policy", "0/1 奖励：所有 γ 终于同一策略"),
    finding=Text(
        "They do, to rounding: from one start a problem every gamma ends within 3e-15 of mu given"
        " success.",
        "成立：每个问题一个起点，任一 γ 的终点与 μ(·|r=1) 的距离不超过 3e-15。",
    ),
    statement=r"r \in \{0, 1\}, \text{ tabular}:\quad \tfrac12\sum|\pi_\infty - \mu(\cdot\mid r=1)|"
    r" \le 10^{-9} \text{ at every } \gamma",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.binary",),
)


@ONE.recorded(PROBLEMS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The largest distance from mu given success, over all problems and gammas."""
    rows = [row for row in summary["binary"] if row["family"] == "tabular"]
    # What fails loses a factor e^(-0.2) a step, what succeeds 98% of its distance at the slowest.
    return all_of(
        recorded.near(row["from_best_most"], 0.0, 1e-9, gamma=row["gamma"]) for row in rows
    )


SHARED = prediction(
    "BAN.shared",
    title=Text(
        "With shared features gamma trades shape for success", "共享特征时 γ 以形状换成功率"
    ),
    finding=Text(
        "It does, in all 200 problems: success rises from 0.81 at gamma = 0 to 0.999 at 0.9, "
        "while the policy moves 0.22 in total variation in the median problem.",
        "200 个问题全部如此：平均成功率由 γ=0 的 0.81 升至 0.9 时的 "
        "0.999，策略的全变差移动中位数为 0.22。",
    ),
    statement=r"r \in \{0,1\},\ \pi = \mathrm{softmax}(\Phi\theta),\ 3 \text{ features}:\quad"
    r" \pi_\infty(r=1) \text{ at } \gamma = 0.9 \text{ above that at } 0 \text{ in } 95\%"
    r" \text{ of problems, by more than } 0.05 \text{ in the interquartile mean}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.binary", "OBJ.maximiser"),
    reading="where the family misses mu given success the climb is on log pi(r=1) - D_(1-gamma)"
    "(mu(.|r=1) || pi(.|r=1)), whose second term falls to 0 as gamma tends to 1",
)


@SHARED.recorded(PROBLEMS)
def _(summary: Mapping[str, Any]) -> Answer:
    """How many problems gained success from gamma = 0 to 0.9, and by how much."""
    row = next(r for r in summary["binary"] if r["family"] == "features" and r["gamma"] == 0.9)
    return all_of(
        [
            recorded.true(
                row["rose"] >= 0.95 * row["problems"],
                f"{row['rose']} of {row['problems']} rose",
                gamma=0.9,
            ),
            recorded.above(row["gained"], 0.05, gamma=0.9),
            # The ascent had ended: what is left of it is below what is compared.
            recorded.near(row["left"], 0.0, 1e-6, gamma=0.9),
        ]
    )


def _without_gamma(summary: Any) -> Any:
    """Return the results as they would be if gamma did nothing: those of gamma = 0 everywhere."""
    if isinstance(summary, recorded.Missing):
        return summary
    cold = {row["tau"]: row for row in summary["hot"] if row["gamma"] == 0}
    hot = [{**cold[row["tau"]], "gamma": row["gamma"]} for row in summary["hot"]]
    still = {"rose": 0, "fell": 0, "gained": [0.0, 0.0, 0.0]}
    return {"hot": hot, "binary": [{**row, **still} for row in summary["binary"]]}


def _without_tau(summary: Any) -> Any:
    """Return the results as they would be if the temperature did nothing."""
    if isinstance(summary, recorded.Missing):
        return summary
    one = {row["gamma"]: row for row in summary["hot"] if row["tau"] == 1}
    return {**summary, "hot": [{**one[row["gamma"]], "tau": row["tau"]} for row in summary["hot"]]}


def _sharpened(summary: Any) -> Any:
    """Return binary results as though gamma sharpened mu too: a distance at all gammas above 0."""
    if isinstance(summary, recorded.Missing):
        return summary
    binary = [{**row, "from_best_most": 0.1 * row["gamma"]} for row in summary["binary"]]
    return {**summary, "binary": binary}


def _exchanged(summary: Any) -> Any:
    """Return binary results with the gammas in reverse order."""
    if isinstance(summary, recorded.Missing):
        return summary
    binary = [
        {
            **row,
            "rose": row["fell"],
            "fell": row["rose"],
            "gained": [-x for x in (row["gained"][i] for i in (0, 2, 1))],
        }
        for row in summary["binary"]
    ]
    return {**summary, "binary": binary}


TEMPERATURE.wrong_value("gamma does nothing", _without_gamma(RECORDED))
TEMPERATURE.wrong_value("the temperature does nothing", _without_tau(RECORDED))
ONE.wrong_value("gamma sharpens mu", _sharpened(RECORDED))
SHARED.wrong_value("gamma does nothing", _without_gamma(RECORDED))
SHARED.wrong_value("gammas in reverse order", _exchanged(RECORDED))

CLAIMS = frozen(TEMPERATURE, ONE, SHARED)

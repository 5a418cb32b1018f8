"""Predictions about exact ascent: it ends at mu r^(1/(1-gamma)), at a speed of 1 - gamma.

What `python -m experiments.bandit fixed_point` recorded, read against OBJ.maximiser and
OBJ.stability. Nothing there is sampled, so numbers are compared and not intervals. What had been
seen before: the published ends of the two arms, .667 and 1; both laws are exact, so that the run
checks the code as much as the theory. The predictions were committed before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED = recorded.summary("fixed_point")
RUNS = Scope("three problems, five gammas, 20 starts each, 4,000 natural-gradient steps of 0.2")

BAN_FIXED = prediction(
    "BAN.fixed",
    title=Text("Ascent ends at mu r^(1/(1-gamma))", "上升的终点是 μ r^{1/(1−γ)}"),
    finding=Text(
        "It does, on three problems, at five gammas and from 20 starts each, to 1e-15.",
        "确实如此：三个问题、五个 γ、各 20 个起点，误差在 1e-15 之内。",
    ),
    statement=r"\pi_\infty \propto \mu\, r^{1/(1-\gamma)}\quad\text{from every start}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.maximiser", "OBJ.stability"),
)
# At the slowest, gamma = 0.9, a step leaves 98% of the distance: 4,000 of them leave less than
# 1e-35 of it, so that rounding is all there is.
CLOSE = 1e-9


@BAN_FIXED.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The farthest of all starts from the predicted policy, problem by problem."""
    rows = summary["rows"]
    return all_of(
        recorded.near(row["error"], 0.0, CLOSE, problem=row["problem"], gamma=row["gamma"])
        for row in rows
    )


BAN_RATE = prediction(
    "BAN.rate",
    title=Text("The approach slows down as 1 - gamma", "趋近速度按 1−γ 变慢"),
    finding=Text(
        "It does, to a relative 1e-5: at gamma = 0.9 a step closes a tenth of what it does at 0.",
        "确实如此，相对误差 1e-5：γ=0.9 时每步的进展约为 γ=0 时的十分之一。",
    ),
    statement=r"\log\pi/q_\gamma \text{ shrinks by } 1 - \eta(1-\gamma) \text{ a step}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.stability", "OBJ.em"),
)
# The law is exact in the limit; the window begins at a distance of 1e-4, and the next order is
# of that size.
RATE = 1e-3


@BAN_RATE.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The measured rate over the predicted one; every start has to have arrived."""
    answers = []
    for row in summary["rows"]:
        at = {"problem": row["problem"], "gamma": row["gamma"]}
        counts = f"{row['arrived']} of {row['starts']} starts arrived"
        answers.append(recorded.true(row["arrived"] == row["starts"], counts, **at))
        if row["rate"] is not None:
            answers.append(recorded.near(row["rate"] / row["predicted_rate"], 1.0, RATE, **at))
    return all_of(answers)


def _without_gamma(summary: Any) -> Any:
    """Return the results as they would be if gamma did nothing: those of gamma = 0 everywhere."""
    if isinstance(summary, recorded.Missing):
        return summary
    first = {row["problem"]: row for row in summary["rows"] if row["gamma"] == 0}
    return {"rows": [{**row, **_null(row, first[row["problem"]])} for row in summary["rows"]]}


def _null(row: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    away = max(abs(a - b) for a, b in zip(plain["policy"], row["target"], strict=True))
    return {"policy": plain["policy"], "error": away, "rate": plain["rate"]}


for _draft in (BAN_FIXED, BAN_RATE):
    _draft.wrong_value("gamma does nothing", _without_gamma(RECORDED))

CLAIMS = frozen(BAN_FIXED, BAN_RATE)

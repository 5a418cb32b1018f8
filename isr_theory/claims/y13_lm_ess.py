"""Predictions about the ESS of a language model's weights: the closed form, and its correction.

What `python -m experiments.lm ess_law` recorded, read against Theorem 8.2 and the series of
GAM.cumulant. Both series take their cumulants from the same log as the ESS. The predictions were
committed before the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_ess_law")
RUNS = Scope("one decoder of 1M weights, three tasks, six policies, 20 gammas, 16,200 sequences")
NOT_RUN = Text("Not run yet.", "尚未运行。")


def _prediction(id: str, title: Text, statement: str, uses: tuple[str, ...]) -> Draft:
    return Draft(
        id,
        section="experiments",
        kind=Kind.PREDICTION,
        title=title,
        finding=NOT_RUN,
        statement=statement,
        subject=RECORDED,
        expect=Verdict.OPEN,
        open_reason="the run has not been made",
        predicted=Verdict.SUPPORTED,
        uses=uses,
    )


LAW = _prediction(
    "LM.ess.law",
    Text("ESS/n follows exp(-sigma^2 gamma^2)", "ESS/n 服从 exp(−σ²γ²)"),
    r"\mathrm{rms}_\gamma\big[\sigma^2\gamma^2 / (-\log \mathrm{ESS}_\gamma/n) - 1\big] < 1/4"
    r"\ \text{over } e^{-\sigma^2\gamma^2} \ge 0.3,\ \text{longest task, every policy}",
    ("T8.2", "SEQ.exact", "GAM.d2"),
)


@LAW.recorded(RUNS)
def _(summary: Row) -> Answer:
    """How far the closed form is off, policy by policy, prompts resampled."""
    task = summary["task"]
    return all_of(
        recorded.below(row["scopes"][task]["off"]["closed"], 0.25, policy=row["policy"])
        for row in summary["policies"]
    )


CUMULANT = _prediction(
    "LM.ess.cumulant",
    Text("Two more cumulants take half the error away", "再加两个累积量可去掉一半误差"),
    r"\mathrm{rms}_\gamma \text{ with } \kappa_3\gamma^3 + \tfrac{7}{12}\kappa_4\gamma^4 <"
    r" \tfrac12\,\mathrm{rms}_\gamma \text{ without: geometric mean over policies and tasks where"
    r" the latter is above } 0.05",
    ("GAM.cumulant", "T8.2"),
)


@CUMULANT.recorded(RUNS)
def _(summary: Row) -> Answer:
    """What the cumulants leave of the closed form's error, prompts resampled."""
    return recorded.below(summary["left"], 0.5, settings=summary["settings"])


def _half(summary: Row | recorded.Missing) -> Any:
    """Return the law as if ESS/n were e^(-sigma^2 gamma): off by 1 - gamma, about a half."""
    if isinstance(summary, recorded.Missing):
        return summary
    rows = []
    for row in summary["policies"]:
        scopes = {
            name: {**found, "off": {**found["off"], "closed": _at(found["off"]["closed"], 0.5)}}
            for name, found in row["scopes"].items()
        }
        rows.append({**row, "scopes": scopes})
    return {**summary, "policies": rows}


def _nothing(summary: Row | recorded.Missing) -> Any:
    """Return the cumulants as if they said nothing: all of the error is left."""
    if isinstance(summary, recorded.Missing):
        return summary
    return {**summary, "left": _at(summary["left"], 1.0)}


def _at(interval: list[float], value: float) -> list[float]:
    return [end - interval[0] + value for end in interval]


LAW.wrong_value("gamma for gamma squared", _half(RECORDED))
CUMULANT.wrong_value("the cumulants say nothing", _nothing(RECORDED))

CLAIMS = frozen(LAW, CUMULANT)

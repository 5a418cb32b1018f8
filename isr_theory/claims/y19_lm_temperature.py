"""Predictions about gamma as a temperature, in a language model that has been trained to the end.

What `python -m experiments.lm temperature` recorded, read against OBJ.temperature. What had been
seen before: runs of a seed of their own on all answers, with slopes of 1.00 and 4.08 at gamma = 0
and 3/4 (tau = 1), and one on a drawn log with another mu, of 0.7 at gamma = 0. On a finite log the
best free policy has another slope than the law, by the same factor 1/(1-gamma): the log's noise is
amplified as the reward is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED: Any = recorded.summary("lm_temperature")
MODEL = (
    "a decoder of 26,000 weights, four prompts, 75/(1-gamma) steps of Adam, gamma to 3/4, 5 seeds"
)
WHOLE = Scope(f"{MODEL}; all answers by mu's own probabilities, tau = 1 and 2")
DRAWN = Scope(f"{MODEL}; logs of 8,192 that were drawn, tau = 1")
OPEN = "the run has not been made"
NOT_RUN = Text("Not run yet.", "尚未运行。")
# What a model of this size may leave undone: its weights are shared between answers and prompts.
MARGIN = 0.1
# A quarter more in gamma makes the slope 4/3, 3/2 and 2 times as steep; the least is asked for with
# half of its logarithm to spare, exp(log(4/3)/2) = 1.155.
STEEPER = 1.15


def _draft(name: str, title: Text, statement: str) -> Draft:
    return Draft(
        f"LM.temperature.{name}",
        section="experiments",
        kind=Kind.PREDICTION,
        title=title,
        finding=NOT_RUN,
        statement=statement,
        subject=RECORDED,
        expect=Verdict.OPEN,
        open_reason=OPEN,
        predicted=Verdict.SUPPORTED,
        uses=("OBJ.temperature", "OBJ.stability"),
        source="new here",
    )


SLOPE = _draft(
    "slope",
    Text(
        "The slope against the reward is 1/(tau (1-gamma)) in a language model",
        "语言模型中对奖励的斜率为 1/(τ(1−γ))",
    ),
    r"r = e^{R/\tau}: \text{ the slope of } \log(\pi/\mu) \text{ against } R \text{ within prompts"
    r" is } 1/(\tau(1-\gamma)) \text{ within 10\%, for a log of all answers}",
)
ORDER = _draft(
    "order",
    Text("On a finite log too gamma makes it steeper", "有限日志上 γ 同样使斜率变陡"),
    r"\text{on a drawn log each quarter of } \gamma \text{ makes the slope at least 1.15 times as"
    r" steep}",
)


@SLOPE.recorded(WHOLE)
def _(summary: Mapping[str, Any]) -> Answer:
    """The slope times tau (1-gamma), at each temperature and gamma."""
    return all_of(
        recorded.inside(row["ratio"], 1 - MARGIN, 1 + MARGIN, tau=row["tau"], gamma=row["gamma"])
        for row in summary["rows"]
        if row["log"] == "whole"
    )


@ORDER.recorded(DRAWN)
def _(summary: Mapping[str, Any]) -> Answer:
    """Each slope's interval over the value at the next lower gamma."""
    rows = [row for row in summary["rows"] if row["log"] == "drawn"]
    rows.sort(key=lambda row: (row["tau"], row["gamma"]))
    return all_of(
        recorded.above(after["slope"], STEEPER * before["slope"][0], gamma=after["gamma"])
        for before, after in pairwise(rows)
        if before["tau"] == after["tau"]
    )


def _null(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return the results as they would be had there been no effect."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {"rows": [change(row) for row in RECORDED["rows"]]}


def _without_gamma(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as if gamma did nothing: the slope of gamma = 0."""
    (plain,) = (
        other
        for other in RECORDED["rows"]
        if (other["log"], other["tau"], other["gamma"]) == (row["log"], row["tau"], 0)
    )
    ratio = [x * (1 - row["gamma"]) for x in plain["ratio"]]
    return {**row, "slope": plain["slope"], "ratio": ratio}


def _without_tau(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as if the temperature did nothing: the slope of tau = 1."""
    return {**row, "ratio": [x * row["tau"] for x in row["ratio"]]}


SLOPE.wrong_value("gamma does nothing", _null(_without_gamma))
SLOPE.wrong_value("the temperature does nothing", _null(_without_tau))
ORDER.wrong_value("gamma does nothing", _null(_without_gamma))

CLAIMS = frozen(SLOPE, ORDER)

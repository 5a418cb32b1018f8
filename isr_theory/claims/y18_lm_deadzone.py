"""Predictions about the dead zone in a language model, where there is no reward.

What `python -m experiments.lm deadzone` recorded, read against DYN.deadzone, DYN.edge,
DYN.activation and OBJ.reverse. What had been seen before: runs of a seed of their own. On a drawn
log gamma = 1 ran away; on all answers the rule stopped near Var log w = 1.25 and, since log w of a
policy that imitates better answers is skewed to the left and not normal as in the paper, near 0.3
nats. LM.deadzone.nats is what the paper's law says all the same; the other three are theorems, and
ask whether a model's training shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED: Any = recorded.summary("lm_deadzone")
MODEL = "a decoder of 26,000 weights, four prompts, 60 steps of SGD with momentum, 5 seeds"
WHOLE = Scope(f"{MODEL}; all answers by mu's own probabilities")
BOTH = Scope(f"{MODEL}; all answers, and logs of 8,192 that were drawn")
DRAWN = Scope(f"{MODEL}; logs of 8,192 that were drawn")
OPEN = "the run has not been made"
NOT_RUN = Text("Not run yet.", "尚未运行。")
# -log 0.3 is 1.204. Momentum carries a policy some way past the edge, where nothing brings it back:
# a quarter is allowed below, an eighth above.
EDGE = (0.9, 1.36)
# Half of that variance is 0.602, with the same allowances.
NATS = (0.45, 0.68)
INSIDE, BEYOND = (0.2,), (0.8, 1.6)
ARRIVED = 0.1


def _draft(name: str, title: Text, finding: Text, statement: str, uses: tuple[str, ...]) -> Draft:
    return Draft(
        f"LM.deadzone{name}",
        section="experiments",
        kind=Kind.PREDICTION,
        title=title,
        finding=finding,
        statement=statement,
        subject=RECORDED,
        expect=Verdict.OPEN,
        open_reason=OPEN,
        predicted=Verdict.SUPPORTED,
        uses=uses,
        source="new here",
    )


DEADZONE = _draft(
    "",
    Text(
        "A language model stops on the edge of the dead zone",
        "语言模型停在死区边界",
    ),
    NOT_RUN,
    r"r \equiv 1: \text{ from beyond, } \mathrm{Var}\log w \text{ ends in } [0.9, 1.36]"
    r"\ (-\log 0.3 = 1.204); \text{ from within, and at } \gamma = 1 \text{ from anywhere, KL ends"
    r" within 10\% of its start; at } \gamma = 1/2 \text{ below } 0.1",
    ("DYN.deadzone", "DYN.edge", "OBJ.maximiser"),
)
RATIO = _draft(
    ".nats",
    Text("The edge is at 0.6 nats", "边界在 0.6 奈特处"),
    NOT_RUN,
    r"r \equiv 1, \text{ from beyond:}\quad \mathrm{KL}(\mu\|\pi) \text{ ends in } [0.45, 0.68],"
    r"\quad -\tfrac12\log 0.3 = 0.602",
    ("DYN.activation", "DYN.deadzone"),
)
RESCALE = _draft(
    ".rescale",
    Text("The gradient over 1 - gamma does not stop", "除以 1 − γ 的梯度不会停下"),
    NOT_RUN,
    r"r \equiv 1, \text{ the rule's gradient over } 1 - \gamma: \mathrm{KL}(\mu\|\pi)"
    r" \text{ ends below } 0.1 \text{ from every start, on either log}",
    ("OBJ.reverse", "DYN.deadzone"),
)
FINITE = _draft(
    ".finite",
    Text("On a finite log gamma = 1 runs away", "有限日志上 γ = 1 会跑飞"),
    NOT_RUN,
    r"r \equiv 1,\ \gamma = 1 \text{ on a log of } n: \mathrm{KL}(\mu\|\pi) \text{ ends above 1.5"
    r" times its start; the mean of } w \text{ over the log has no maximum}",
    ("DYN.deadzone", "OBJ.maximiser"),
)


def _rows(summary: Mapping[str, Any], way: str, log: str = "whole") -> list[Mapping[str, Any]]:
    return [row for row in summary["rows"] if (row["way"], row["log"]) == (way, log)]


@DEADZONE.recorded(WHOLE)
def _(summary: Mapping[str, Any]) -> Answer:
    """Where the rule leaves each start: on the edge from beyond, in its place from within."""
    answers = []
    for row in _rows(summary, "rule"):
        if row["start"] in BEYOND:
            answers.append(recorded.inside(row["sigma2_end"], *EDGE, start=row["start"]))
        elif row["start"] in INSIDE:
            answers.append(recorded.inside(row["kl_left"], 0.9, 1.1, start=row["start"]))
    return all_of(answers)


@DEADZONE.recorded(WHOLE)
def _(summary: Mapping[str, Any]) -> Answer:
    """Fixed exponents: 1 does nothing, 1/2 goes to mu."""
    still = [
        recorded.inside(row["kl_left"], 0.9, 1.1, start=row["start"])
        for row in _rows(summary, "gamma 1")
    ]
    home = [
        recorded.below(row["kl_end"], ARRIVED, start=row["start"])
        for row in _rows(summary, "gamma 0.5")
    ]
    return all_of([*still, *home])


@RATIO.recorded(WHOLE)
def _(summary: Mapping[str, Any]) -> Answer:
    """KL where the rule has stopped, from beyond."""
    return all_of(
        recorded.inside(row["kl_end"], *NATS, start=row["start"])
        for row in _rows(summary, "rule")
        if row["start"] in BEYOND
    )


@RESCALE.recorded(BOTH)
def _(summary: Mapping[str, Any]) -> Answer:
    """KL at the end from every start."""
    return all_of(
        recorded.below(row["kl_end"], ARRIVED, start=row["start"], log=log)
        for log in ("whole", "drawn")
        for row in _rows(summary, "rescale", log)
    )


@FINITE.recorded(DRAWN)
def _(summary: Mapping[str, Any]) -> Answer:
    """KL at the end over KL at the start."""
    return all_of(
        recorded.above(row["kl_left"], 1.5, start=row["start"])
        for row in _rows(summary, "gamma 1", "drawn")
    )


def _null(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return the results as they would be had there been no effect."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {"rows": [change(row) for row in RECORDED["rows"]]}


def _as_way(row: Mapping[str, Any], way: str, instead: str) -> Mapping[str, Any]:
    """Return a row, with the measures of another way's where it is of `way`."""
    if row["way"] != way:
        return row
    twin = next(
        other
        for other in RECORDED["rows"]
        if (other["way"], other["log"], other["start"]) == (instead, row["log"], row["start"])
    )
    return {**twin, "way": way}


def _unmoved(row: Mapping[str, Any], ways: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a row as if its way had done nothing."""
    if row["way"] not in ways:
        return row
    ends = {f"{name}_end": row[f"{name}_start"] for name in ("kl", "sigma2")}
    return {**row, **ends, "kl_left": [1.0, 1.0, 1.0], "sigma2_left": [1.0, 1.0, 1.0]}


DEADZONE.wrong_value("the rule goes to mu", _null(lambda row: _as_way(row, "rule", "gamma 0.5")))
DEADZONE.wrong_value("no gamma moves a policy", _null(lambda row: _unmoved(row, ("gamma 0.5",))))
RATIO.wrong_value("the rule goes to mu", _null(lambda row: _as_way(row, "rule", "gamma 0.5")))
RESCALE.wrong_value("the division does nothing", _null(lambda row: _unmoved(row, ("rescale",))))
FINITE.wrong_value("gamma = 1 does nothing", _null(lambda row: _unmoved(row, ("gamma 1",))))

CLAIMS = frozen(DEADZONE, RATIO, RESCALE, FINITE)

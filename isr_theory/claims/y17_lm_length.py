"""Predictions about length: gamma* ~ T^(-1/2), and what sum, mean and gamma* make of one log.

What `python -m experiments.lm lengths` recorded, read against SEQ.length and SEQ.gspo. The value of
the reward under the policy is estimated from mu's log with self-normalised powers of the sequence's
ratio: gamma = 1 (sum), 1/T (mean), the root of the ESS (rule). To first order each goes the share
gamma of the way from mu's value to the policy's. The predictions were committed before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_lengths")
RUNS = Scope("one decoder of 1M weights, its longest task, six policies, prefixes of 4 tokens on")
FAR = Scope("its longest task, policies past 1 nat there, sequences of 24 to 64 tokens, rho 0.3")
NOT_RUN = Text("Not run yet.", "尚未运行。")
PAST = 1.0


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


RATE = _prediction(
    "LM.length.rate",
    Text("gamma* falls like T^(-1/2)", "γ* 按 T^{-1/2} 下降"),
    r"\gamma^*(T) \propto T^{b},\ b \in [-0.65, -0.35],\ \text{closed and exact, unclipped,}"
    r"\ \rho_{\min} = 0.3\ \text{(longest task, prefixes of at least 4 tokens,"
    r" mean over policies)}",
    ("SEQ.length", "SEQ.exact"),
)


@RATE.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The fitted exponents of both gammas, prompts resampled."""
    return all_of(
        recorded.inside(summary["exponents"][kind], -0.65, -0.35, gamma=kind)
        for kind in ("closed", "exact")
    )


AGGREGATION = _prediction(
    "LM.length.aggregation",
    Text(
        "Mean corrects nearly nothing, sum is all variance, gamma* is between",
        "求均几乎不校正，求和方差过大，γ* 居中",
    ),
    r"\mathrm{KL} > 1:\ \mathrm{ESS}/n < 0.3 \text{ for } w,\ > 0.95 \text{ for } w^{1/T};"
    r"\ \text{way from } V_\mu \text{ to } V_\pi < 0.2 \text{ for } w^{1/T},\ > 0.4"
    r"\text{ for } w^{\gamma^*},\ \rho_{\min} = 0.3",
    ("SEQ.gspo", "SEQ.length", "T8.2"),
)


@AGGREGATION.recorded(FAR)
def _(summary: Row) -> Answer:
    """ESS by sum and mean, and how far mean and rule go, by policy, prompts resampled."""
    answers = []
    for row in summary["policies"]:
        found = row["scopes"][summary["task"]]
        if found["kl"][0] <= PAST:
            continue
        methods, at = found["methods"], {"policy": row["policy"]}
        answers.append(recorded.below(methods["sum"]["ess"], 0.3, method="sum", **at))
        answers.append(recorded.above(methods["mean"]["ess"], 0.95, method="mean", **at))
        answers.append(_way(methods["mean"], lambda way: recorded.below(way, 0.2), at))
        answers.append(_way(methods["rule"], lambda way: recorded.above(way, 0.4), at))
    return all_of(answers)


def _way(method: Row, judged: Callable[[recorded.Interval], Answer], at: Row) -> Answer:
    """Judge how far a method goes; where the reward hardly moves nobody can tell."""
    if method["way"] is None:
        where = ", ".join(f"{key}={value}" for key, value in at.items())
        shows = f"the reward moves by less than two standard errors at {where}"
        return Answer(Outcome.UNDECIDED, Strength.EMPIRICAL, detail=shows)
    return judged(method["way"])


def _exponents(value: float) -> Any:
    """Return the results with another exponent, as precise as the found one."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    moved = {
        kind: [end - RECORDED["exponents"][kind][0] + value for end in RECORDED["exponents"][kind]]
        for kind in ("closed", "exact")
    }
    return {**RECORDED, "exponents": {**RECORDED["exponents"], **moved}}


def _alike(ours: str, theirs: str) -> Any:
    """Return the results as if one method were another."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    rows = []
    for row in RECORDED["policies"]:
        scopes = {
            name: {**found, "methods": {**found["methods"], ours: found["methods"][theirs]}}
            for name, found in row["scopes"].items()
        }
        rows.append({**row, "scopes": scopes})
    return {**RECORDED, "policies": rows}


RATE.wrong_value("length does nothing", _exponents(0.0))
RATE.wrong_value("like 1/T, as a mean over tokens has it", _exponents(-1.0))
AGGREGATION.wrong_value("the mean is the sum", _alike("mean", "sum"))
AGGREGATION.wrong_value("the rule is the mean", _alike("rule", "mean"))

CLAIMS = frozen(RATE, AGGREGATION)

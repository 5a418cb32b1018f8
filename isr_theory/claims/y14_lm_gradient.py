"""Predictions about the variance of a language model's gradient over gamma: where it is least.

What `python -m experiments.lm gradients` recorded, from 2,048 per-sample gradients a policy. The
paper says 1/4. The Gaussian laws (C7.5.c.fix, VAR.sngaussian) need scores whose size does not go
with log w; where it does, the variance has near mu a slope of the order of sigma and a bend of the
order of sigma^2 (the derivatives of T6.3.fix and VAR.selfnormalised at gamma = 0), so that it is
least at an end of [0, 1]. Which end is the sign of a covariance, and not predicted. The predictions
were committed before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_gradients")
RUNS = Scope("one decoder of 1M weights, six policies, 2,048 sequences of another log, 21 gammas")
NEAR = Scope("the policies at 0.005 and 0.02 nats, 2,048 sequences of another log, 21 gammas")
NEAREST = ("kl 0.005", "kl 0.02")
REWARDS = ("one", "graded")
NOT_RUN = Text("Not run yet.", "尚未运行。")


def _prediction(
    id: str, title: Text, statement: str, predicted: Verdict, uses: tuple[str, ...]
) -> Draft:
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
        predicted=predicted,
        uses=uses,
    )


def _least(summary: Row, kind: str) -> Iterator[tuple[dict[str, Any], recorded.Interval]]:
    """Yield where, and the gamma of least variance, by policy and reward."""
    for row in summary["policies"]:
        for reward in REWARDS:
            at = {"policy": row["policy"], "reward": reward}
            yield at, row["measured"][f"{kind}, {reward}"]["least"]


QUARTER = _prediction(
    "LM.gradient.quarter",
    Text("The gradient's variance is least at 1/4", "梯度方差在 γ=1/4 最小"),
    r"\arg\min_\gamma\, n\,\mathrm{tr\,Cov}(\hat g_\gamma) \in [0.2, 0.3]"
    r"\ \text{for every policy, } r = 1 \text{ and } r \text{ graded}",
    Verdict.REFUTED,
    ("C7.5.c", "C7.5.c.fix", "T6.3.fix"),
)


@QUARTER.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The gamma of least variance of the plain estimator, prompts resampled."""
    return all_of(recorded.inside(found, 0.2, 0.3, **at) for at, found in _least(summary, "plain"))


def _at_an_end(summary: Row, kind: str) -> Answer:
    """Say whether the least is at an end of [0, 1] under each of the nearest policies."""
    answers = []
    for at, found in _least(summary, kind):
        if at["policy"] not in NEAREST:
            continue
        right = found[0] > 0.5
        answers.append(
            recorded.above(found, 0.9, **at) if right else recorded.below(found, 0.1, **at)
        )
    return all_of(answers)


PLAIN = _prediction(
    "LM.gradient.plain",
    Text("Near mu it is least at an end, not at 1/4", "在 μ 附近方差最小处在端点，而非 1/4"),
    r"\mathrm{KL}(\mu\|\pi) \le 0.02 \Rightarrow \arg\min_\gamma n\,\mathrm{tr\,Cov}(\hat g_\gamma)"
    r"\in [0, 0.1] \cup [0.9, 1],\ r = 1 \text{ and } r \text{ graded}",
    Verdict.SUPPORTED,
    ("T6.3.fix", "C7.5.c.fix"),
)


@PLAIN.recorded(NEAR)
def _(summary: Row) -> Answer:
    """The gamma of least variance of the plain estimator, near mu."""
    return _at_an_end(summary, "plain")


SELF = _prediction(
    "LM.gradient.self",
    Text("Self-normalised, near mu: least at an end too", "自归一化、μ 附近：最小处也在端点"),
    r"\mathrm{KL}(\mu\|\pi) \le 0.02 \Rightarrow \arg\min_\gamma"
    r"\mathrm{E}_\mu[w^{2\gamma}|rs - G_\gamma|^2]/\mathrm{E}_\mu[w^\gamma]^2"
    r"\in [0, 0.1] \cup [0.9, 1],\ r = 1 \text{ and } r \text{ graded}",
    Verdict.SUPPORTED,
    ("VAR.selfnormalised", "VAR.sngaussian"),
)


@SELF.recorded(NEAR)
def _(summary: Row) -> Answer:
    """The gamma of least variance of the self-normalised estimator, near mu."""
    return _at_an_end(summary, "self")


def _moved(to: Callable[[Row], float]) -> Any:
    """Return the results with every least variance where `to` puts it, without any doubt."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    rows = []
    for row in RECORDED["policies"]:
        measured = {
            name: {**found, "least": [to(row)] * 3} for name, found in row["measured"].items()
        }
        rows.append({**row, "measured": measured})
    return {**RECORDED, "policies": rows}


def _gaussian(row: Row) -> float:
    return float(row["gaussian"]["plain"])


QUARTER.right_value("the paper's 1/4", _moved(lambda row: 0.25))
PLAIN.wrong_value("the shifted Gaussian of these scores", _moved(_gaussian))
PLAIN.wrong_value("the paper's 1/4", _moved(lambda row: 0.25))
SELF.wrong_value("the paper's 1/4", _moved(lambda row: 0.25))


CLAIMS = frozen(QUARTER, PLAIN, SELF)

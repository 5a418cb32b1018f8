"""Predictions about log w of a language model's sequences: how near to normal it is, and why.

What `python -m experiments.lm normality` recorded: a small decoder's log on three tasks, scored by
policies at growing distance that were not trained on it. The exponents are those of independent,
equal tokens (SEQ.exact); a model's tokens are neither, and a log mixes easy prompts and hard ones,
whose mixture has a kurtosis that no length takes away: what speaks against the prediction was known
before the run, the numbers were not. The predictions were committed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_normality")
RUNS = Scope(
    "one decoder of 1M weights, three tasks, six policies, 16,200 sequences, 200 resamples"
)
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


SKEW = _prediction(
    "LM.normal.skew",
    Text("Skewness of log w falls like T^(-1/2)", "log w 的偏度按 T^{-1/2} 下降"),
    r"|\mathrm{skew}(\log w_T)| \propto T^{b},\ b \in [-3/4, -1/4]\ \text{(longest task, prefixes"
    r" of at least 4 tokens, mean over policies)}",
    ("SEQ.exact", "SEQ.martingale"),
)


@SKEW.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The fitted exponent of the skewness, prompts resampled."""
    return recorded.inside(summary["exponents"]["skewness"], -0.75, -0.25)


KURTOSIS = _prediction(
    "LM.normal.kurtosis",
    Text("Excess kurtosis of log w falls like 1/T", "log w 的超额峰度按 1/T 下降"),
    r"|\mathrm{kurt}(\log w_T)| \propto T^{b},\ b \in [-3/2, -1/2]\ \text{(longest task, prefixes"
    r" of at least 4 tokens, mean over policies)}",
    ("SEQ.exact", "SEQ.martingale"),
)


@KURTOSIS.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The fitted exponent of the kurtosis, prompts resampled."""
    return recorded.inside(summary["exponents"]["kurtosis"], -1.5, -0.5)


RATIO = _prediction(
    "LM.normal.kl",
    Text("2 KL(mu || pi)/Var(log w) is near 1", "2 KL(μ‖π)/Var(log w) 接近 1"),
    r"2\,\mathrm{KL}(\mu\|\pi)/\mathrm{Var}_\mu(\log w) \in [0.8, 1.25]"
    r"\ \text{in each task, for every policy with } \mathrm{KL}(\mu\|\pi) < 1 \text{ there}",
    ("SEQ.normality", "A7.3", "SEQ.lognormal"),
)


@RATIO.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The ratio under every policy, by task, prompts resampled."""
    return all_of(
        recorded.inside(found["ratio"], 0.8, 1.25, policy=row["policy"], task=scope)
        for row in summary["policies"]
        for scope, found in row["scopes"].items()
        # Tasks together are a mixture, whose means vary too.
        if scope != "all" and found["kl"][0] < 1
    )


def _changed(change: Callable[[Row], Row]) -> Any:
    """Return the results with a part as it would be had there been nothing to see."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {**RECORDED, **change(RECORDED)}


def _at(interval: list[float], value: float) -> list[float]:
    """Return an interval as precise as another, about another value."""
    return [end - interval[0] + value for end in interval]


def _exponents(value: float) -> Callable[[Row], Row]:
    return lambda summary: {
        "exponents": {
            name: _at(summary["exponents"][name], value) for name in ("skewness", "kurtosis")
        }
    }


def _ratios(value: float) -> Callable[[Row], Row]:
    def changed(scopes: Row) -> Row:
        return {name: {**row, "ratio": _at(row["ratio"], value)} for name, row in scopes.items()}

    return lambda summary: {
        "policies": [{**row, "scopes": changed(row["scopes"])} for row in summary["policies"]]
    }


SKEW.wrong_value("length does nothing", _changed(_exponents(0.0)))
KURTOSIS.wrong_value("length does nothing", _changed(_exponents(0.0)))
# A published run of 4 billion weights logged 0.28 to 0.59.
RATIO.wrong_value("skewed to the left, as one published run", _changed(_ratios(0.45)))

CLAIMS = frozen(SKEW, KURTOSIS, RATIO)

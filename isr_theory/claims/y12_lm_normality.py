"""Predictions about log w of a language model's sequences: how near to normal it is, and why.

What `python -m experiments.lm normality` recorded: a small decoder's log on three tasks, scored by
policies at growing distance that were not trained on it. The exponents are those of independent,
equal tokens (SEQ.exact); a model's tokens are neither, and a log mixes easy prompts and hard ones,
whose mixture has a kurtosis that no length takes away: what speaks against the prediction was known
before the run, the numbers were not. The predictions were committed before it.

What is read here is a second run, on another and longer log: the first, on 1,600 sequences of the
longest task, left some predictions undecided. No statement was changed in between. Intervals are of
95% each, not corrected for the second look; LM.normal.kurtosis was decided by it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_normality")
RUNS = Scope(
    "one decoder of 1M weights, three tasks, six policies, 16,200 sequences, 200 resamples"
)


SKEW = prediction(
    "LM.normal.skew",
    title=Text("Skewness of log w falls like T^(-1/2)", "log w 的偏度按 T^{-1/2} 下降"),
    statement=r"|\mathrm{skew}(\log w_T)| \propto T^{b},\ b \in [-3/4, -1/4]\ \text{(longest"
    r" task, prefixes of at least 4 tokens, mean over policies)}",
    uses=("SEQ.exact", "SEQ.martingale"),
    finding=Text(
        "Not decided: the exponent is -0.67 (-1.10 to -0.42). Near mu the skewness is all but 0"
        " from the start, and has no exponent; under the three farther policies it is -0.72,"
        " -0.61 and -0.58, within 0.23, as predicted, from -0.7 to -0.9 at four tokens to -0.2"
        " to -0.3 at 24: to the left, since KL pulls down what varies most.",
        "未定：指数 −0.67（−1.10 至 −0.42）。靠近 μ 时偏度一开始就接近 0，谈不上指数；较远的三个"
        "策略为 −0.72、−0.61、−0.58（误差 0.23 以内），与预测相符：四个 token 时 −0.7 至 −0.9，"
        "24 个时 −0.2 至 −0.3，均左偏。",
    ),
    expect=Verdict.OPEN,
    open_reason="the policies nearest to mu have no skewness, whose exponent is then noise",
    subject=RECORDED,
)


@SKEW.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The fitted exponent of the skewness, prompts resampled."""
    return recorded.inside(summary["exponents"]["skewness"], -0.75, -0.25)


KURTOSIS = prediction(
    "LM.normal.kurtosis",
    title=Text("Excess kurtosis of log w falls like 1/T", "log w 的超额峰度按 1/T 下降"),
    statement=r"|\mathrm{kurt}(\log w_T)| \propto T^{b},\ b \in [-3/2, -1/2]\ \text{(longest"
    r" task, prefixes of at least 4 tokens, mean over policies)}",
    uses=("SEQ.exact", "SEQ.martingale"),
    finding=Text(
        "It does: the exponent is -1.24 (-1.44 to -1.10), from 2.5 to 3.5 at four tokens to"
        " about 0.3 at 24. Of whole sequences 0.5 to 0.6 is left, of which the mixture of"
        " prompts explains 0.1; all tasks together, a mixture of short and long, keep 1.0 to 2.4.",
        "确实如此：指数 −1.24（−1.44 至 −1.10），四个 token 时 2.5 至 3.5，24 个时约 0.3。整条序"
        "列剩 0.5 至 0.6，其中提示混合约占 0.1；各任务合在一起是长短混合，留有 1.0 至 2.4。",
    ),
    subject=RECORDED,
)


@KURTOSIS.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The fitted exponent of the kurtosis, prompts resampled."""
    return recorded.inside(summary["exponents"]["kurtosis"], -1.5, -0.5)


RATIO = prediction(
    "LM.normal.kl",
    title=Text("2 KL(mu || pi)/Var(log w) is near 1", "2 KL(μ‖π)/Var(log w) 接近 1"),
    statement=r"2\,\mathrm{KL}(\mu\|\pi)/\mathrm{Var}_\mu(\log w) \in [0.8, 1.25]"
    r"\ \text{in each task, for every policy with } \mathrm{KL}(\mu\|\pi) < 1 \text{ there}",
    uses=("SEQ.normality", "A7.3"),
    finding=Text(
        "Not decided by a little: it falls from 1.00 near mu to 0.83 in the words and 0.89 in"
        " the sums, in all 16 cases within the margin, but two intervals of the words reach down"
        " to 0.776 and 0.773. Past 1 nat the long task has 0.91 and 0.77. All tasks together"
        " have 0.68 at 1.2 nats and 0.48 at 2.6, as one published run had 0.28 to 0.59: a"
        " mixture of short and long sequences has a lower ratio than any task in it. Normal in"
        " shape is the long task alone; the short ones have an excess kurtosis of 3 to 13.",
        "差一点未定：由 μ 附近的 1.00 降到词任务 0.83、算式任务 0.89，16 种情形的值都在界内，但"
        "词任务有两个区间低至 0.776 与 0.773。超过 1 奈特时长任务为 0.91、0.77。各任务合在一起"
        " 1.2 奈特处 0.68、2.6 奈特处 0.48，与某公开运行的 0.28–0.59 相似：长短混合的比值低于其中"
        "每个任务。形状近于正态的只有长任务；短任务的超额峰度为 3 至 13。",
    ),
    expect=Verdict.OPEN,
    open_reason="two of sixteen intervals reach just below the margin",
    subject=RECORDED,
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


def _exponents(value: float, *, sure: bool = False) -> Callable[[Row], Row]:
    def changed(interval: list[float]) -> list[float]:
        return [value] * 3 if sure else _at(interval, value)

    return lambda summary: {
        "exponents": {
            name: changed(summary["exponents"][name]) for name in ("skewness", "kurtosis")
        }
    }


def _ratios(value: float) -> Callable[[Row], Row]:
    def changed(scopes: Row) -> Row:
        return {name: {**row, "ratio": [value] * 3} for name, row in scopes.items()}

    return lambda summary: {
        "policies": [{**row, "scopes": changed(row["scopes"])} for row in summary["policies"]]
    }


KURTOSIS.wrong_value("length does nothing", _changed(_exponents(0.0)))
SKEW.right_value("independent tokens", _changed(_exponents(-0.5, sure=True)))
RATIO.right_value("log-normal weights", _changed(_ratios(1.0)))

CLAIMS = frozen(SKEW, KURTOSIS, RATIO)

"""Predictions about a language model's gamma out of sample: which rules keep their ESS target.

What `python -m experiments.lm targets` recorded: gamma from batches of one half of the prompts,
the ESS of the other half, on the task with the longest responses, where log w is nearest to normal.
GAM.coverage and GAM.upper are theorems about normal log w; GAM.kantorovich about the batch itself,
and here asked of the other half. The predictions were committed before the run.

What is read here is a second run, on another and longer log: the first, on 1,600 sequences of the
longest task, left some predictions undecided, and was too short to ask for LM.target.closed at all.
No statement was changed in between. Intervals are of 95% each, not corrected for the second look;
LM.target.cumulant was decided by it alone. They are intervals over random halves of this one log,
and grow no wider for what another log would have said; LM.target.cumulant has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

Row = Mapping[str, Any]
RECORDED = recorded.summary("lm_targets")
RUNS = Scope(
    "one decoder of 1M weights, its longest task, policies and targets of 0.3, 0.5 and 0.7 that"
    " gamma = 1 misses, 40 random halves of the prompts, 40 batches each"
)


def _rows(summary: Row, rule: str, sizes: Sequence[int]) -> list[tuple[Row, dict[str, Any]]]:
    """Return one rule's rows at some sizes, each with where it is."""
    return [
        (row, {key: row[key] for key in ("policy", "n", "rho_min")})
        for row in summary["rows"]
        if row["rule"] == rule and row["n"] in sizes
    ]


CLOSED = prediction(
    "LM.target.closed",
    title=Text("The closed form of 1,024 sequences meets its target", "1024 条序列的闭式达到目标"),
    statement=r"\text{median of } \log\mathrm{ESS}/\log\rho_{\min} \in [0.7, 1.3]"
    r"\ \text{elsewhere, at the closed form of } n = 1024,\ \text{every policy and target}",
    uses=("T8.3.a", "SEQ.exact"),
    finding=Text(
        "Not decided at the farthest policy and 0.3 alone, where it is 0.69 (0.68 to 0.70);"
        " else 0.73 to 1.04: 0.93 to 1.04 up to 0.9 nats, 0.86 at 2.0, where it errs to the"
        " careful side, since log w is skewed to the left.",
        "仅最远策略、目标 0.3 处未定，为 0.69（0.68 至 0.70）；其余为 0.73 至 1.04：至 0.9 奈特"
        "为 0.93 至 1.04，2.0 奈特处 0.86，偏于保守，因 log w 左偏。",
    ),
    expect=Verdict.OPEN,
    open_reason="one interval of ten contains the margin",
    subject=RECORDED,
)


# The other half, some 1,400 sequences, knows its own log ESS to about a fifth at v = -log rho_min:
# the second moment of log-normal w^gamma has a relative error of e^v / sqrt(n).
NEAR = (0.7, 1.3)


@CLOSED.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The other half's log ESS over its target at the closed form, by policy and target."""
    return all_of(
        recorded.inside(row["middle"], *NEAR, **at)
        for row, at in _rows(summary, "lognormal", [1024])
    )


SAFE = prediction(
    "LM.target.safe",
    title=Text(
        "The upper bound of the variance meets it in most batches", "方差上界在绝大多数批次达标"
    ),
    statement=r"\Pr(\mathrm{ESS}/n \ge \rho_{\min}\ \text{elsewhere}) > 0.9 \text{ at } n ="
    r" 16,\ > 0.8"
    r"\text{ at } n = 64,\ \gamma = \sqrt{L/S_{95\%}^2},\ \text{every policy and target}",
    uses=("GAM.upper",),
    finding=Text(
        "It does: in 92% to 99% of the batches at n = 16 and in 89% to 100% at 64, at a cost:"
        " 0.39 to 0.50 of the target is used at 16, 0.52 to 0.73 at 64.",
        "确实如此：n = 16 时 92% 至 99%、64 时 89% 至 100% 的批次达标，代价是 16 条只用去目标的"
        " 0.39 至 0.50，64 条用去 0.52 至 0.73。",
    ),
    subject=RECORDED,
)


@SAFE.recorded(RUNS)
def _(summary: Row) -> Answer:
    """How often the rule with the chi-square bound meets its target, over random halves."""
    # 0.95 for normal log w and a judge without noise: the larger n is, the more that of the other
    # half counts.
    least = {16: 0.9, 64: 0.8}
    return all_of(
        recorded.above(row["met"], least[at["n"]], **at)
        for row, at in _rows(summary, "safe", [16, 64])
    )


EXACT = prediction(
    "LM.target.exact",
    title=Text(
        "Exact ESS of 16 sequences misses more often than the closed form",
        "16 条时精确规则更常失手",
    ),
    statement=r"n = 16:\ \Pr(\text{met by the exact rule}) < \Pr(\text{met by the closed"
    r" form}) < 1/2,\ \text{mean over policies and targets}",
    uses=("GAM.coverage", "GAM.jensen"),
    finding=Text(
        "Not decided: the exact rule meets its target in 20% of the batches, as predicted far"
        " fewer than the closed form, but that does in 52% (49% to 55%), since log w is skewed"
        " to the left under the far policies: 37% to 45% up to 0.9 nats, 51% to 74% beyond.",
        "未定：精确规则仅 20% 的批次达标，如预测远少于闭式；但闭式达标 52%（49% 至 55%），因远处"
        "策略 log w 左偏：至 0.9 奈特为 37% 至 45%，更远为 51% 至 74%。",
    ),
    expect=Verdict.OPEN,
    open_reason="the closed form meets its target in a share whose interval contains a half",
    subject=RECORDED,
)


@EXACT.recorded(RUNS)
def _(summary: Row) -> Answer:
    """How often both rules meet their target at n = 16, over random halves."""
    exact, closed = (_mean_met(summary, rule, 16) for rule in ("exact", "lognormal"))
    return all_of([recorded.below(closed, 0.5), recorded.below(exact, closed[1])])


def _mean_met(summary: Row, rule: str, n: int) -> list[float]:
    """Return the share of batches that meet their target, mean over policies and targets.

    Its ends are the means of the ends: halves are drawn alike everywhere.
    """
    shares = [row["met"] for row, _ in _rows(summary, rule, [n])]
    return [sum(column) / len(column) for column in zip(*shares, strict=True)]


RANGE = prediction(
    "LM.target.kantorovich",
    title=Text("The range of the batch is safe, and costs half", "批次极差安全，代价过半"),
    statement=r"\gamma = \tfrac{2}{R}\,\mathrm{arcosh}\,\rho_{\min}^{-1/2}:\ \Pr(\text{met}) > 0.95"
    r"\ \text{at } n = 64, 256;\ \log\mathrm{ESS}/\log\rho_{\min} < 1/2 \text{ at } n = 256",
    uses=("GAM.kantorovich",),
    finding=Text(
        "It is: at n = 64 and 256 every batch meets its target, with 0.17 to 0.19 and 0.11 to"
        " 0.12 of it used.",
        "确实如此：n = 64 与 256 时每个批次都达标，分别只用去目标的 0.17 至 0.19 与 0.11 至 0.12。",
    ),
    subject=RECORDED,
)


@RANGE.recorded(RUNS)
def _(summary: Row) -> Answer:
    """How often the range's gamma meets its target, and how much of the target it uses."""
    rows = _rows(summary, "kantorovich", [64, 256])
    met = [recorded.above(row["met"], 0.95, **at) for row, at in rows]
    used = [recorded.below(row["middle"], 0.5, **at) for row, at in rows if at["n"] == 256]
    return all_of([*met, *used])


CUMULANT = prediction(
    "LM.target.cumulant",
    title=Text(
        "The cumulants help a batch of 1,024 and hurt one of 16", "累积量对大批次有益、对小批次有害"
    ),
    statement=r"\text{mean over policies and targets of rms }"
    r" \log(\log\mathrm{ESS}/\log\rho_{\min}):"
    r"\ \text{cumulant} < \text{closed at } n = 1024,\ > \text{ at } n = 16",
    uses=("GAM.cumulant",),
    finding=Text(
        "So it is: at n = 1,024 an error of 0.148 against 0.180 on the log scale, at n = 16"
        " 0.475 against 0.417; they are level with exact ESS at 1,024. These are numbers of one"
        " log, compared without an interval.",
        "确实如此：n = 1024 时对数尺度误差 0.148 对 0.180，n = 16 时 0.475 对 0.417；1024 条时与"
        "精确 ESS 持平。这些是同一份日志上的数值，比较时没有区间。",
    ),
    subject=RECORDED,
)


@CUMULANT.recorded(RUNS)
def _(summary: Row) -> Answer:
    """The two rules' errors at both sizes, means over policies and targets."""
    answers = []
    for n, better in ((1024, "cumulant"), (16, "lognormal")):
        worse = {"cumulant": "lognormal", "lognormal": "cumulant"}[better]
        errors = [_error(summary, rule, n) for rule in (better, worse)]
        shows = f"{better} {errors[0]:.3g}, {worse} {errors[1]:.3g}"
        answers.append(recorded.true(errors[0] < errors[1], shows, n=n))
    return all_of(answers)


def _error(summary: Row, rule: str, n: int) -> float:
    errors = [float(row["error"]) for row, _ in _rows(summary, rule, [n])]
    return sum(errors) / len(errors)


def _exchanged(first: str, second: str) -> Any:
    """Return the results with two rules' numbers exchanged."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    rows = RECORDED["rows"]
    at = {(row["policy"], row["n"], row["rho_min"], row["rule"]): row for row in rows}
    other = {first: second, second: first}

    def own(row: Row) -> Row:
        rule = other.get(row["rule"], row["rule"])
        return {**at[row["policy"], row["n"], row["rho_min"], rule], "rule": row["rule"]}

    return {**RECORDED, "rows": [own(row) for row in rows]}


def _without(change: Callable[[Row], Row]) -> Any:
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {**RECORDED, "rows": [{**row, **change(row)} for row in RECORDED["rows"]]}


def _normal(row: Row) -> Row:
    """Return what 16 normal rows meet: P(chi^2_15 >= 16) of the time, exact ESS half as often."""
    return {"met": [0.38 if row["rule"] == "lognormal" else 0.19] * 3}


CLOSED.right_value("every target is just met", _without(lambda row: {"middle": [1.0, 1.0, 1.0]}))
SAFE.wrong_value("the closed form in its place", _exchanged("safe", "lognormal"))
EXACT.right_value("normal log w, as GAM.coverage has it", _without(_normal))
RANGE.wrong_value("the closed form in its place", _exchanged("kantorovich", "lognormal"))
CUMULANT.wrong_value("the two rules exchanged", _exchanged("cumulant", "lognormal"))

CLAIMS = frozen(CLOSED, SAFE, EXACT, RANGE, CUMULANT)

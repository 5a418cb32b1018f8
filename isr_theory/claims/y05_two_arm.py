"""Predictions about the two-arm curve: fixed points, repeated fits, small batches, one data set.

What `python -m experiments.bandit two_arm` recorded, read against OBJ.maximiser, OBJ.em and
OBJ.limits. Ascent and fits are exact; batches and data sets have intervals over seeds. What had
been seen before: the curve as it was published, the exact numbers, by formula, and batches and data
sets at the smallest size. The predictions were committed before the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED: Any = recorded.summary("two_arm")
EXACT = Scope("mu = (1/2, 1/2), r = (1, 2); exact ascent and exact fits from mu")
NOISY = Scope("64 seeds, batches of 4 and 16, four gammas, 6,000 steps of 0.1")
KEPT = Scope("4,000 data sets each of 8, 32 and 128 rows, five gammas")
SLOWEST = 0.9

# The curve as it was published or follows to three digits: the better arm's share.
CURVE = {0.0: 0.667, 0.25: 0.716, 0.5: 0.8, 0.75: 0.941, 0.9: 0.999}
# Half of the last digit, and the 3e-5 of the start that 100 fits at gamma = 0.9 leave.
DIGITS = 6e-4


def ways(summary: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """Return the rows of these ways."""
    return [row for row in summary["rows"] if row["way"] in names]


BAN_CURVE = prediction(
    "BAN.curve",
    title=Text("The two-arm curve is one family of fixed points", "双臂曲线是一族不动点"),
    finding=Text(
        "Exact ascent and 100 exact fits both end at .667, .716, .800, .941 and .999 for gamma ="
        " 0, .25, .5, .75 and .9.",
        "精确上升与 100 次精确拟合都止于 .667、.716、.800、.941、.999（γ = 0、.25、.5、.75、.9）。",
    ),
    statement=r"\mu = (\tfrac12, \tfrac12),\ r = (1, 2):\ \pi_\infty(2) ="
    r" .667, .716, .800, .941, .999 \text{ at } \gamma = 0, .25, .5, .75, .9"
    r"\text{, by ascent and by repeated fits}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.maximiser", "OBJ.em", "OBJ.limits"),
)


@BAN_CURVE.recorded(EXACT)
def _(summary: Mapping[str, Any]) -> Answer:
    """The end of ascent and of 100 fits at each gamma."""
    return all_of(
        recorded.near(
            row["better"], CURVE[row["gamma"]], DIGITS, way=row["way"], gamma=row["gamma"]
        )
        for row in ways(summary, "ascent", "fits")
    )


BAN_FITS = prediction(
    "BAN.fits",
    title=Text(
        "k fits with whole weights are gamma = 1 - 1/k", "以完整权重拟合 k 次等于 γ = 1 − 1/k"
    ),
    finding=Text(
        "After k fits with whole weights the better arm has odds of 2^k, .667 at k = 1 and .999"
        " at 10, and rounds to 0/100 from the eighth fit on: the curve is a count of fits.",
        "以完整权重拟合 k 次后较优臂的赔率为 2^k，k = 1 时 .667，k = 10 时 .999，自第八次起四舍五入"
        "为 0/100：曲线即拟合次数。",
    ),
    statement=r"\gamma = 1,\ \pi_0 = \mu:\ \pi_k \propto \mu\,r^k = q_{1 - 1/k}"
    r"\quad (k = 1, \dots, 10)",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.em", "OBJ.maximiser"),
)
# A fit is 400 halvings of its distance: rounding is all that is left. The summary has 6 digits.
ROUNDED = 2e-6


@BAN_FITS.recorded(EXACT)
def _(summary: Mapping[str, Any]) -> Answer:
    """The odds after each fit against 2^k."""
    (row,) = ways(summary, "whole")
    return all_of(
        recorded.near(share, 2**k / (1 + 2**k), ROUNDED, fits=k)
        for k, share in enumerate(row["shares"], start=1)
    )


BAN_NOISE = prediction(
    "BAN.noise",
    title=Text("Small batches do not move the curve", "小批量不移动该曲线"),
    finding=Text(
        "With batches of 4 and 16 the mean share stays within 0.001 of the curve at all four"
        " gammas.",
        "批量为 4 与 16 时，四个 γ 处的平均占比与曲线相差均在 0.001 以内。",
    ),
    statement=r"n = 4, 16:\ \bigl|\overline{\pi_t(2)} - q_\gamma(2)\bigr| \le 0.02"
    r"\quad (\gamma = 0, .25, .5, .75)",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.maximiser", "OBJ.stability"),
    reading="the mean over the second half of the steps",
)
# The policy's mean is curved in the logit, whose variance is of order step/n: a hundredth.
MARGIN = 0.02


@BAN_NOISE.recorded(NOISY)
def _(summary: Mapping[str, Any]) -> Answer:
    """The interval of the mean share over seeds, inside a band round the curve."""
    return all_of(
        recorded.inside(
            row["better"],
            row["curve"] - MARGIN,
            row["curve"] + MARGIN,
            n=row["n"],
            gamma=row["gamma"],
        )
        for row in ways(summary, "batches")
    )


def chance_of_wrong(n: int) -> float:
    """Return P(Bin(n, 1/2) < n/3): the better arm, of twice the reward, has under half the rows."""
    return sum(math.comb(n, k) for k in range(n + 1) if 3 * k < n) / 2.0**n


BAN_ROWS = prediction(
    "BAN.rows",
    title=Text("One data set misleads as often at every gamma", "单一数据集误导的概率与 γ 无关"),
    finding=Text(
        "14.7% of data sets of 8 rows, 2.5% of 32 and none of 4,000 of 128 lead to the worse arm,"
        " as many at every gamma: no exponent makes up for the rows.",
        "8 行的数据集有 14.7%、32 行的有 2.5% 引向较差臂，128 行的 4,000 个中无一；各 γ 下数目"
        "相同：任何指数都补不回样本。",
    ),
    statement=r"\Pr(\text{the worse arm ends above } \tfrac12)"
    r" = \Pr(\mathrm{Bin}(n, \tfrac12) < n/3)\quad\text{for every } \gamma,\ n = 8, 32, 128",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.em", "OBJ.maximiser"),
    reading="to within 0.02; fits are exact, so that only the rows are random",
)


@BAN_ROWS.recorded(KEPT)
def _(summary: Mapping[str, Any]) -> Answer:
    """The interval of the share of data sets, inside a band round the binomial chance."""
    answers = []
    for row in ways(summary, "data"):
        chance = chance_of_wrong(row["n"])
        low, high = chance - MARGIN, chance + MARGIN
        answers.append(recorded.inside(row["wrong"], low, high, n=row["n"], gamma=row["gamma"]))
    return all_of(answers)


def changed(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return the results with some fields of each row changed, or what stands for none."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {"rows": [{**row, **change(row)} for row in RECORDED["rows"]]}


def _plain(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the same way recorded at gamma = 0."""
    if "better" not in row:
        return {}
    same = (r for r in ways(RECORDED, row["way"]) if r["n"] == row["n"] and r["gamma"] == 0)
    return {"better": next(same)["better"]}


def _one_fit(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"shares": [row["shares"][0]] * len(row["shares"])} if "shares" in row else {}


def _flattened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whole weights that act as gamma = 0.9: the power is 1 + .9 + ..., not k."""
    powers = [(1 - SLOWEST**k) / (1 - SLOWEST) for k in range(1, 11)]
    return {"shares": [1 / (1 + 2**-x) for x in powers]} if "shares" in row else {}


def _never_wrong(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"wrong": [0.0, 0.0, 0.0]} if row["way"] == "data" else {}


def _by_exponent(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Errors that gamma makes rarer: by 1 - gamma."""
    if row["way"] != "data":
        return {}
    return {"wrong": [x * (1 - row["gamma"]) for x in row["wrong"]]}


for _draft in (BAN_CURVE, BAN_NOISE):
    _draft.wrong_value("gamma does nothing", changed(_plain))
BAN_FITS.wrong_value("fits after the first do nothing", changed(_one_fit))
BAN_FITS.wrong_value("flattened weights", changed(_flattened))
BAN_ROWS.wrong_value("a data set is as good as mu", changed(_never_wrong))
BAN_ROWS.wrong_value("gamma makes errors rarer", changed(_by_exponent))

CLAIMS = frozen(BAN_CURVE, BAN_FITS, BAN_NOISE, BAN_ROWS)

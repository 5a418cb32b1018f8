"""Predictions about a baseline off-policy: where AsymRE collapses, and that w^gamma does not.

What `python -m experiments.bandit asymre` recorded, read against OBJ.signed, OBJ.baseline and
OBJ.centred. Nothing there is sampled but the starts, so numbers are compared and not intervals.
What had been seen before: runs at the smallest size, and the limits and the place of the collapse,
by formula, so that the run checks the code as much. The predictions were committed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isr_theory.claim import Answer, Scope, Text, Verdict
from isr_theory.draft import frozen, prediction
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED: Any = recorded.summary("asymre")
RUNS = Scope("five arms, V^mu = 2.3, baselines from V^mu - 2.3 to V^mu + 2, 40 starts, time 8,000")


def rows_of(
    summary: Mapping[str, Any], keep: Callable[[float, float], bool]
) -> list[Mapping[str, Any]]:
    """Return the rows whose shift V - V^mu and gamma are to be kept."""
    return [row for row in summary["rows"] if keep(row["shift"], row["gamma"])]


BAN_SIMPLEX = prediction(
    "BAN.simplex",
    title=Text("Below V^mu AsymRE has one limit", "V < V^μ 时 AsymRE 有唯一极限"),
    finding=Text(
        "For each V below V^mu 40 starts end within 2e-12 of the nearest point of the simplex; it"
        " has all five arms for V < min r only, and then fewer, down to one.",
        "对每个 V < V^μ，40 个起点都止于单纯形上的最近点（误差 2e-12 以内）；仅当 V < min r 时五"
        "臂俱全，之后逐臂减少，直至一臂。",
    ),
    statement=r"\gamma = 0,\ V < V^\mu:\ \pi_\infty = \arg\min_{p \in \Delta}"
    r" \Bigl\|p - \frac{\mu\,(r - V)}{V^\mu - V}\Bigr\|_2\quad\text{from every start}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.signed", "OBJ.baseline"),
    source="that there is a limit for V < V^mu: Arnal et al. 2025, arXiv 2506.20520; its form is"
    " derived here",
    reading="plain gradient flow of a tabular softmax; it has the support of mu for V < min r only",
)
# The slowest arm to die falls by 0.009 in a unit of time, just below the collapse: 8,000 units
# leave e^-70 of it.
CLOSE = 1e-6


@BAN_SIMPLEX.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The farthest of all starts from the nearest point of the simplex."""
    return all_of(
        recorded.near(row["error"], 0.0, CLOSE, shift=row["shift"])
        for row in rows_of(summary, lambda shift, gamma: gamma == 0 and shift < 0)
    )


BAN_COLLAPSE = prediction(
    "BAN.collapse",
    title=Text("The collapse comes before V^mu", "塌缩先于 V^μ"),
    finding=Text(
        "At V = V^mu - 0.12 the top arm has .954 and another is alive, at V^mu - 0.10 it has all,"
        " and so at every larger V: the collapse comes before V^mu.",
        "V = V^μ − 0.12 时首臂占 .954，另有一臂存活；V^μ − 0.10 及以上时首臂独占：塌缩先于 V^μ。",
    ),
    statement=r"\gamma = 0:\ \max\pi_\infty = 1 \iff V \ge V^\mu - 0.1095"
    r"\quad\bigl(\text{where } a_{(1)} - a_{(2)} = V^\mu - V,\ a = \mu(r - V)\bigr)",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.signed", "OBJ.baseline"),
    source="a change of phase at V^mu: Arnal et al. 2025, arXiv 2506.20520; the place is derived"
    " here",
    reading="1 is above 0.999, and less than 1 is at most 0.96 just before",
)
BEFORE, AFTER = -0.12, -0.1
WHOLE, MIXED = 0.999, 0.96


@BAN_COLLAPSE.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The largest and the least top arm of all starts, on both sides of the place."""
    answers = []
    for row in rows_of(summary, lambda shift, gamma: gamma == 0):
        shift = row["shift"]
        if shift <= BEFORE:
            shows = f"a top arm of {row['most_top']}"
            answers.append(recorded.true(row["most_top"] <= MIXED, shows, shift=shift))
        elif shift >= AFTER:
            shows = f"a top arm of {row['least_top']}"
            answers.append(recorded.true(row["least_top"] >= WHOLE, shows, shift=shift))
    return all_of(answers)


BAN_START = prediction(
    "BAN.start",
    title=Text("Above V^mu the start decides", "V > V^μ 时由起点决定"),
    finding=Text(
        "At V^mu + 0.5 starts end at four different arms and at V^mu + 2 at all five, the worst"
        " of reward 1 among them; from mu itself the end is arm 4, of reward 4, not the best.",
        "V^μ + 0.5 时各起点止于四个不同的臂，V^μ + 2 时五个臂都有，包括奖励为 1 的最差臂；从 μ"
        " 出发则止于奖励为 4 的第四臂，并非最优。",
    ),
    statement=r"\gamma = 0,\ V > V^\mu:\ \pi_\infty = \delta_k \text{ with }"
    r" a_k - a_j > V^\mu - V\ \forall j \ne k;\quad"
    r" \text{at } V = V^\mu + 2 \text{ three arms or more are ends of some start}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.signed", "OBJ.negative", "OBJ.baseline"),
    source="new here",
)


@BAN_START.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The arms that single starts end at, against those that can be ends."""
    answers = []
    for row in rows_of(summary, lambda shift, gamma: gamma == 0 and shift > 0):
        allowed = {k for k, can in enumerate(row["can_end"]) if can}
        shows = f"ends at arms {row['ends']}, possible are {sorted(allowed)}"
        fine = set(row["ends"]) <= allowed and row["least_top"] >= WHOLE
        answers.append(recorded.true(fine, shows, shift=row["shift"]))
        if row["shift"] == 2.0:
            answers.append(recorded.true(len(row["ends"]) >= 3, shows, shift=row["shift"]))
    return all_of(answers)


BAN_SHIFTED = prediction(
    "BAN.shifted",
    title=Text("w^gamma does not see V^mu", "w^γ 看不见 V^μ"),
    finding=Text(
        "For gamma = .25, .5 and .75 all 40 starts end within 7e-4 of mu (r - V)_+^(1/(1-gamma))"
        " up to V = V^mu + 0.1; farther up starts are caught, at V^mu + 2 at every gamma, by"
        " single arms that are no ends.",
        "γ = .25、.5、.75 且 V ≤ V^μ + 0.1 时，40 个起点都止于 μ (r−V)_+^{1/(1−γ)}（误差 "
        "7e-4 以内）；V 更大时部分起点滞留在并非终点的单臂，V^μ + 2 时每个 γ 皆如此。",
    ),
    statement=r"\gamma = .25, .5, .75,\ V \le V^\mu + 0.1:\ "
    r"\pi_\infty \propto \mu\,(r - V)_+^{1/(1-\gamma)}\quad\text{from every start}",
    subject=RECORDED,
    expect=Verdict.SUPPORTED,
    predicted=Verdict.SUPPORTED,
    uses=("OBJ.signed", "OBJ.baseline", "OBJ.centred"),
    source="new here",
    reading="to within 0.01; V = V^mu is group-relative centring; the limit is the same for every V"
    " < max r, but a start that the larger baselines throw at one arm leaves it in a time that"
    " grows without bound",
)
# Where the reward is below V an arm dies as a power of time, t^(-1/gamma), not exponentially.
SLOW = 0.01


@BAN_SHIFTED.recorded(RUNS)
def _(summary: Mapping[str, Any]) -> Answer:
    """The farthest of all starts from the law of the positive part."""
    return all_of(
        recorded.near(row["error"], 0.0, SLOW, shift=row["shift"], gamma=row["gamma"])
        for row in rows_of(summary, lambda shift, gamma: gamma > 0 and shift <= 0.1)
    )


def changed(change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return the results with some fields of each row changed, or what stands for none."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {**RECORDED, "rows": [{**row, **change(row)} for row in RECORDED["rows"]]}


def row_at(shift: float, gamma: float) -> Mapping[str, Any]:
    """Return one row of the results."""
    (row,) = rows_of(RECORDED, lambda s, g: (s, g) == (shift, gamma))
    return row


def _as(other: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a row would hold had the other's policies been found there."""
    taken = {key: other[key] for key in ("from_mu", "least_top", "most_top", "ends")}
    if row["limit"] is None:
        return taken
    away = max(abs(a - b) for a, b in zip(other["from_mu"], row["limit"], strict=True))
    return {**taken, "error": away}


def _no_baseline(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return _as(row_at(-2.3, row["gamma"]), row)


def _no_gamma(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return _as(row_at(row["shift"], 0.0), row)


def _at_the_mean(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as if the policy stayed mixed up to V^mu itself."""
    return {"least_top": 0.9, "most_top": 0.95} if AFTER <= row["shift"] < 0 else {}


def _best_arm(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as if whatever the start the best-paid arm won."""
    return {"ends": [4]}


def _positive_part(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row as if the limit were mu (r - V)_+, as natural gradients have it."""
    if row["limit"] is None:
        return {}
    level = RECORDED["mean"] + row["shift"]
    pairs = zip(RECORDED["mu"], RECORDED["reward"], strict=True)
    masses = [m * max(r - level, 0.0) for m, r in pairs]
    return _as({**row, "from_mu": [x / sum(masses) for x in masses]}, row)


for _draft in (BAN_SIMPLEX, BAN_COLLAPSE, BAN_SHIFTED):
    _draft.wrong_value("the baseline does nothing", changed(_no_baseline))
BAN_SIMPLEX.wrong_value("the positive part, mu (r - V)_+", changed(_positive_part))
BAN_COLLAPSE.wrong_value("a collapse at V^mu and not before", changed(_at_the_mean))
BAN_START.wrong_value("the best-paid arm wins", changed(_best_arm))
BAN_START.wrong_value("the start does nothing", changed(lambda row: {"ends": row["ends"][:1]}))
BAN_SHIFTED.wrong_value("gamma does nothing", changed(_no_gamma))

CLAIMS = frozen(BAN_SIMPLEX, BAN_COLLAPSE, BAN_START, BAN_SHIFTED)

"""Predictions about stale logs: which powers of w bear how many epochs on one log.

What `python -m experiments.lm staleness` recorded, read against OBJ.signed, OBJ.baseline,
DYN.activation and FAM.exponent. What had been seen before: single runs of other seeds, at this size
and at one with twice as many steps of half the rate. At 64 epochs with centred rewards SFT ended
far below its start, the rule between it and gamma = 1, which stood at its start here and far above
there; version 3.1 and TOPR ended above theirs. With plain rewards PPO and VESPO ended above gamma =
1. The order of the methods was therefore not unknown; that it holds over seeds was.

The line's version 3.1 collapsed in its authors' hands, trained with the factor gamma(w) in its
gradient (LINE.forms). Whether w^gamma collapses with the right gradient is what LM.stale.collapse
and LM.stale.v31 ask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.draft import Draft, frozen
from isr_theory.engines import recorded
from isr_theory.engines.answers import all_of

RECORDED: Any = recorded.summary("lm_staleness")
RUNS = (
    "a decoder of 26,000 weights on words of three or four letters, 64 steps of Adam at 0.002,"
    " logs of 192, 5 seeds"
)
CENTRED = Scope(f"{RUNS}, centred rewards, N = 1, 4, 16 and 64 epochs a log")
STALE = Scope(f"{RUNS}, centred rewards, N = 64")
PLAIN = Scope(f"{RUNS}, plain rewards, N = 64")
OPEN = "the run has not been made"
NOT_RUN = Text("Not run yet.", "尚未运行。")
POWERS = ("w^0", "w^0.25", "w^0.5", "w^1")
RULES = ("w^g*", "w^g*, KL")


def _draft(name: str, title: Text, statement: str, uses: tuple[str, ...]) -> Draft:
    return Draft(
        f"LM.stale.{name}",
        section="experiments",
        kind=Kind.PREDICTION,
        title=title,
        finding=NOT_RUN,
        statement=statement,
        subject=RECORDED,
        expect=Verdict.OPEN,
        open_reason=OPEN,
        predicted=Verdict.SUPPORTED,
        uses=uses,
        source="new here",
    )


LETGO = _draft(
    "letgo",
    Text(
        "Centred and stale: the smaller gamma, the farther the drift",
        "居中且陈旧：γ 越小漂移越远",
    ),
    r"N = 64: \mathrm{KL}_{\gamma=0} > 1.5\,\mathrm{KL}_{\gamma=1},\quad"
    r" \mathrm{KL}_{\gamma=1/4} > 1.2\,\mathrm{KL}_{\gamma=1}",
    ("OBJ.signed", "OBJ.baseline", "BAN.drift.letgo"),
)
BACKFIRE = _draft(
    "backfire",
    Text(
        "Centred and stale: lowering gamma makes it worse",
        "居中且陈旧：降低 γ 适得其反",
    ),
    r"N = 64: \text{ the rule, and the rule under a controller of KL, drift over 1.2 times as far"
    r" as } \gamma = 1 \text{ and end below it in reward}",
    ("OBJ.signed", "OBJ.baseline", "BAN.drift.backfire"),
)
ASLEEP = _draft(
    "asleep",
    Text("Up to four epochs the rule sleeps", "四个周期以内规则沉睡"),
    r"N \le 4: \gamma^* < 1 \text{ in under 10\% of steps, and the reward is that of } \gamma = 1"
    r" \text{ within } 0.01",
    ("DYN.activation", "T8.3.a"),
)
COLLAPSE = _draft(
    "collapse",
    Text(
        "With the right gradient it is imitation that collapses, not w^gamma",
        "梯度正确时，崩溃的是模仿而非 w^γ",
    ),
    r"\text{centred: at } N = 64\ \gamma = 0 \text{ ends over } 0.05 \text{ below mu's own reward"
    r" in at least 80\% of runs; } \gamma = 1/2 \text{ and } \gamma = 1 \text{ in at most 20\% at"
    r" every } N",
    ("OBJ.signed", "OBJ.baseline", "LINE.forms"),
)
V31 = _draft(
    "v31",
    Text(
        "Version 3.1's exponent does not collapse, with either gradient",
        "v3.1 的指数用哪种梯度都不崩溃",
    ),
    r"\text{centred: } w^{\gamma(w)} \text{ and } \gamma(w) w^{\gamma(w)} \text{ as gradient"
    r" weights collapse in at most 20\% of runs at every } N, \text{ and end within } 0.05"
    r" \text{ of each other}",
    ("LINE.v31", "LINE.v31.fix", "LINE.forms", "OBJ.signed"),
)
ORDER = _draft(
    "order",
    Text(
        "Centred and stale: what fades where w falls ends above imitation",
        "居中且陈旧：随 w 下降而减弱者终值高于模仿",
    ),
    r"N = 64: \text{ each of } w, w^{1/2}, \text{ PPO, CISPO, TOPR and VESPO ends above } \gamma ="
    r" 0 \text{ in reward by over } 0.05",
    ("OBJ.signed", "FAM.exponent", "FAM.vespo", "BAN.drift.letgo"),
)
TOP = _draft(
    "top",
    Text(
        "Plain and stale: what stops where w rises ends above every power of w",
        "未居中且陈旧：w 上升即停者高于一切 w 的幂",
    ),
    r"N = 64, r \ge 0: \text{ PPO, GSPO and VESPO end above } w^\gamma, \gamma = 0, 1/4, 1/2, 1,"
    r" \text{ and above the rule}",
    ("FAM.exponent", "FAM.vespo", "OBJ.maximiser"),
)
OLD = _draft(
    "old",
    Text("No weight makes a stale log as good as fresh ones", "没有权重能让陈旧日志抵得上新日志"),
    r"\text{centred: every method ends at } N = 64 \text{ over } 0.02 \text{ below its own reward"
    r" at } N = 1",
    ("OBJ.maximiser", "T8.2"),
)


def _row(summary: Mapping[str, Any], part: str, kind: str, n: int, method: str) -> Any:
    (found,) = (
        row
        for row in summary[part]
        if (row["rewards"], row["epochs"], row["method"]) == (kind, n, method)
    )
    return found


def _drifts_over(summary: Mapping[str, Any], method: str, times: float) -> Answer:
    row = _row(summary, "pairs", "centred", 64, method)
    return recorded.above(row["log_drift"], math.log(times), method=method)


@LETGO.recorded(STALE)
def _(summary: Mapping[str, Any]) -> Answer:
    """The drift over that of gamma = 1, seed by seed."""
    return all_of([_drifts_over(summary, "w^0", 1.5), _drifts_over(summary, "w^0.25", 1.2)])


@BACKFIRE.recorded(STALE)
def _(summary: Mapping[str, Any]) -> Answer:
    """The drift over that of gamma = 1, and the reward less its, seed by seed."""
    gains = [
        recorded.below(_row(summary, "pairs", "centred", 64, rule)["gain"], 0.0, method=rule)
        for rule in RULES
    ]
    return all_of([*gains, *(_drifts_over(summary, rule, 1.2) for rule in RULES)])


@ASLEEP.recorded(CENTRED)
def _(summary: Mapping[str, Any]) -> Answer:
    """The share of steps with gamma* < 1, and the reward less that of gamma = 1."""
    answers = []
    for n in (1, 4):
        acts = _row(summary, "table", "centred", n, "w^g*")["acts"]
        gain = _row(summary, "pairs", "centred", n, "w^g*")["gain"]
        answers += [recorded.below(acts, 0.1, epochs=n), recorded.inside(gain, -0.01, 0.01)]
    return all_of(answers)


def _collapses(summary: Mapping[str, Any], method: str) -> dict[int, float]:
    """Return the share of runs that collapsed, by epochs."""
    return {
        row["epochs"]: row["collapsed"]
        for row in summary["table"]
        if (row["rewards"], row["method"]) == ("centred", method)
    }


def _stands(summary: Mapping[str, Any], method: str) -> Answer:
    shares = _collapses(summary, method)
    shows = f"{method} collapses in at most {max(shares.values()):.0%} of runs"
    return recorded.true(max(shares.values()) <= 0.2, shows, method=method)


@COLLAPSE.recorded(CENTRED)
def _(summary: Mapping[str, Any]) -> Answer:
    """Counts of runs that ended below mu's own reward by more than 0.05."""
    falls = _collapses(summary, "w^0")[64]
    fallen = recorded.true(falls >= 0.8, f"w^0 collapses in {falls:.0%} of runs", method="w^0")
    return all_of([fallen, _stands(summary, "w^0.5"), _stands(summary, "w^1")])


@V31.recorded(CENTRED)
def _(summary: Mapping[str, Any]) -> Answer:
    """Counts of runs that collapsed, and the two gains over gamma = 1 against each other."""
    right, as_run = (
        _row(summary, "pairs", "centred", 64, method)["gain"] for method in ("v3.1", "v3.1 as run")
    )
    # Two intervals against one bound: the ends that are farthest apart.
    apart = [
        right[0] - as_run[0],
        min(right[1] - as_run[2], right[2] - as_run[1]),
        max(right[1] - as_run[2], right[2] - as_run[1]),
    ]
    near = recorded.inside(apart, -0.05, 0.05)
    return all_of([_stands(summary, "v3.1"), _stands(summary, "v3.1 as run"), near])


FADING = ("w^1", "w^0.5", "ppo", "cispo", "topr", "vespo")


def _over(summary: Mapping[str, Any], kind: str, method: str, other: str, by: float) -> Answer:
    """Say whether a reward's interval lies above the upper end of another's by so much."""
    ours, theirs = (_row(summary, "table", kind, 64, x)["reward"] for x in (method, other))
    difference = [ours[0] - theirs[0], ours[1] - theirs[2], ours[2] - theirs[1]]
    return recorded.above(difference, by, method=method, other=other)


@ORDER.recorded(STALE)
def _(summary: Mapping[str, Any]) -> Answer:
    """The reward of each against that of SFT."""
    return all_of(_over(summary, "centred", method, "w^0", 0.05) for method in FADING)


@TOP.recorded(PLAIN)
def _(summary: Mapping[str, Any]) -> Answer:
    """The reward of each against that of each power and of the rule."""
    return all_of(
        _over(summary, "plain", method, power, 0.0)
        for method in ("ppo", "gspo", "vespo")
        for power in (*POWERS, "w^g*")
    )


@OLD.recorded(CENTRED)
def _(summary: Mapping[str, Any]) -> Answer:
    """The reward on one stale log against that on fresh ones, interval against interval."""
    answers = []
    for method in sorted({row["method"] for row in summary["table"]}):
        fresh, old = (_row(summary, "table", "centred", n, method)["reward"] for n in (1, 64))
        loss = [fresh[0] - old[0], fresh[1] - old[2], fresh[2] - old[1]]
        answers.append(recorded.above(loss, 0.02, method=method))
    return all_of(answers)


Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _null(change: Change) -> Any:
    """Return the results as they would be had there been no effect."""
    if isinstance(RECORDED, recorded.Missing):
        return RECORDED
    return {**RECORDED, **change(RECORDED)}


def _moved(interval: Sequence[float], value: float) -> list[float]:
    return [end - interval[0] + value for end in interval]


def _one_method(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the results as if every weight did what gamma = 1 does, each as precise as it is."""
    pairs = [
        {**row, "gain": _moved(row["gain"], 0.0), "log_drift": _moved(row["log_drift"], 0.0)}
        for row in summary["pairs"]
    ]
    table = []
    for row in summary["table"]:
        plain = _row(summary, "table", row["rewards"], row["epochs"], "w^1")
        reward = _moved(row["reward"], plain["reward"][0])
        table.append({**row, "reward": reward, "collapsed": plain["collapsed"]})
    return {"table": table, "pairs": pairs}


def _awake(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the results as if the rule acted as often at every number of epochs."""
    stale = _row(summary, "table", "centred", 64, "w^g*")["acts"]
    rows = [{**row, "acts": stale} if row["method"] == "w^g*" else row for row in summary["table"]]
    return {"table": rows}


def _ageless(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the results as if a stale log were as good as a fresh one."""
    rows = []
    for row in summary["table"]:
        fresh = _row(summary, "table", "centred", 1, row["method"])
        rows.append({**row, "reward": _moved(row["reward"], fresh["reward"][0])})
    return {"table": rows}


def _all_fall(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the results as if every weight collapsed as imitation does."""
    rows = []
    for row in summary["table"]:
        plain = _row(summary, "table", row["rewards"], row["epochs"], "w^0")
        rows.append({**row, "collapsed": plain["collapsed"]})
    return {"table": rows}


def _exchanged(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the plain results with what stops above w = 1 and the powers in each other's place.

    With no difference at all the check, whose bound is 0, could not tell.
    """
    stops, powers = ("ppo", "gspo", "vespo"), (*POWERS, "w^g*")
    instead = {**dict.fromkeys(stops, "w^1"), **dict.fromkeys(powers, "ppo")}
    rows = []
    for row in summary["table"]:
        if row["rewards"] == "plain" and row["method"] in instead:
            twin = _row(summary, "table", "plain", row["epochs"], instead[row["method"]])
            rows.append({**row, "reward": twin["reward"]})
        else:
            rows.append(row)
    return {"table": rows}


LETGO.wrong_value("the weight does nothing", _null(_one_method))
BACKFIRE.wrong_value("the weight does nothing", _null(_one_method))
ASLEEP.wrong_value("the rule acts as in a stale log", _null(_awake))
COLLAPSE.wrong_value("all powers do what gamma = 1 does", _null(_one_method))
COLLAPSE.wrong_value("all powers fall as imitation does", _null(_all_fall))
V31.wrong_value("version 3.1 falls as imitation does", _null(_all_fall))
ORDER.wrong_value("the weight does nothing", _null(_one_method))
TOP.wrong_value("a stop above w = 1 costs what it gains", _null(_exchanged))
OLD.wrong_value("a log does not age", _null(_ageless))

CLAIMS = frozen(LETGO, BACKFIRE, ASLEEP, COLLAPSE, V31, ORDER, TOP, OLD)

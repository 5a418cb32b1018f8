"""The verdict in words: which gamma to use, which weights not to trust, and why."""

from __future__ import annotations

import math
from typing import Any

from isr_theory.choice import GammaChoice
from isr_theory.diagnose.diagnosis import Effective, Stratum
from isr_theory.diagnose.reading import Remark
from isr_theory.diagnose.words import counted, place, shown

# Below this share of its target the ESS of a stratum is called out; fewer rows tell too little.
SHORT = 0.5
FEW = 50
# An aggregation that moves the sampling law by less than this share of KL(pi||mu) corrects nothing.
LITTLE = 0.05
# Files that were not read which a sentence names.
LISTED = 5


def verdict(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the sentences of a verdict from the facts of a `Diagnosis`, the first what to do."""
    choice: GammaChoice = facts["choice"]
    # Where no gamma is feasible the first note says why, and so does the first sentence.
    notes = choice.notes if choice.feasible else choice.notes[1:]
    return (
        _use(choice),
        *_plain(choice, facts["effective"]),
        *_tail(choice),
        *_mean(facts["effective"]),
        *(
            sentence
            for name, strata in facts["strata"].items()
            for sentence in _strata(name, strata, facts)
        ),
        *_groups(choice, facts["group_interval"]),
        *_rows(facts["read"], facts["bad_count"]),
        *map(_remark, facts["remarks"]),
        *_skipped(facts["skipped"]),
        *map(_sentence, (*notes, *facts["layout_notes"])),
    )


def _sentence(note: str) -> str:
    """Return a note as a sentence; what begins with a symbol, as n = 52 does, stays as it is."""
    first = note.split()[0]
    return f"{note[0].upper()}{note[1:]}." if first.isalpha() and len(first) > 1 else f"{note}."


def _use(choice: GammaChoice) -> str:
    if not choice.feasible and choice.positive >= choice.rho_min * choice.n:
        return f"No gamma meets all that was asked: {choice.notes[0]}. Lower what is asked for."
    if not choice.feasible:
        return _infeasible(choice)
    return (
        f"Use gamma = {choice.gamma:.3g}, set by {choice.binding} ({choice.method}): it leaves"
        f" ESS/n = {choice.ess:.3g}, {choice.ess * choice.n:,.0f} of {counted(choice.n, 'row')};"
        f" {_reach(choice)}."
    )


def _infeasible(choice: GammaChoice) -> str:
    return (
        f"No gamma reaches ESS/n = {choice.rho_min:g}: only {choice.positive:,} of"
        f" {counted(choice.n, 'weight')} are above 0. Widen the behaviour policy or lower the"
        " target."
    )


def _reach(choice: GammaChoice) -> str:
    """Return the interval, and which gamma it is of: the rule's, whatever caps there are."""
    low, high = choice.interval
    where = f"in {low:.3g} to {high:.3g} at {choice.level:.0%}"
    if choice.binding not in choice.caps:
        return f"the population's gamma is {where}"
    rule = choice.by_method[choice.method]
    return f"without that cap the rule gives {rule:.3g}, and the population's is {where}"


def _plain(choice: GammaChoice, effective: tuple[Effective, ...]) -> list[str]:
    plain = effective[0]
    if plain.kish >= choice.rho_min:
        met = "The plain weights meet the target: nothing needs to be flattened."
        return [met] if choice.gamma == 1 else []
    return [
        f"Do not use the plain weights: they leave ESS/n = {plain.kish:.3g},"
        f" {plain.kish * choice.n:,.0f} rows, and the largest alone allows"
        f" {plain.max_weight * choice.n:,.0f}."
    ]


def _tail(choice: GammaChoice) -> list[str]:
    threshold = choice.khat_threshold
    if threshold is None or not threshold < choice.khat < math.inf:
        return []
    return [
        f"The Pareto index of the plain weights is {choice.khat:.2g}, above {threshold:.2g}, up to"
        f" which {counted(choice.n, 'weight')} give a reliable mean: believe no mean under them,"
        " nor their ESS."
    ]


def _mean(effective: tuple[Effective, ...]) -> list[str]:
    found = [row for row in effective if row.gamma is None]
    if not found:
        return [
            "What the mean of token log-ratios (GSPO) would leave is not known, since lengths are"
            " not: --length names their column."
        ]
    if found[0].perplexity < 1 - LITTLE:
        return []
    return [
        "The mean of token log-ratios (GSPO) corrects next to nothing: its weights leave"
        f" {found[0].perplexity:.1%} of the sample by perplexity, as if pi were mu."
    ]


def _strata(name: str, strata: tuple[Stratum, ...], facts: dict[str, Any]) -> list[str]:
    choice: GammaChoice = facts["choice"]
    known = [stratum for stratum in strata if stratum.n >= FEW]
    if len(known) < 2:
        return []
    which = "" if len(known) == len(strata) else f" of {FEW} rows or more"
    sentences = _short(name, known, choice, which)
    if facts["strata_differ"][name]:
        sentences.insert(0, _differing(name, known, choice, facts["strata_method"], which))
    return sentences


def _differing(
    name: str, known: list[Stratum], choice: GammaChoice, method: str, which: str
) -> str:
    lowest = min(known, key=lambda stratum: stratum.gamma)
    highest = max(known, key=lambda stratum: stratum.gamma)
    # The bins of a part are good to 1e-4.
    keeps = all(stratum.ess_own >= choice.rho_min * (1 - 1e-3) for stratum in known)
    return (
        f"gamma depends on {shown(name)}: {lowest.gamma:.3g} for {shown(lowest.label)},"
        f" {highest.gamma:.3g} for {shown(highest.label)} (by the {method} method in each part"
        f"{which}, further apart than noise). Give each part its own gamma, or all of them"
        f" {lowest.gamma:.3g}"
        + (f", which keeps the target in each{which}." if method == "exact" and keeps else ".")
    )


def _short(name: str, known: list[Stratum], choice: GammaChoice, which: str) -> list[str]:
    short = [stratum for stratum in known if stratum.ess_shared < SHORT * choice.rho_min]
    if not short:
        return []
    worst = min(short, key=lambda stratum: stratum.ess_shared)
    return [
        f"At the common gamma {len(short)} of the {len(known):,} parts by {shown(name)}{which}"
        f" {'falls' if len(short) == 1 else 'fall'} below half the target; the worst,"
        f" {shown(worst.label)}, keeps ESS/n = {worst.ess_shared:.3g}."
    ]


def _groups(choice: GammaChoice, interval: tuple[float, float] | None) -> list[str]:
    if interval is None:
        return []
    low, high = interval
    wider = high - low > 1.5 * (choice.interval[1] - choice.interval[0])
    return [
        f"Leaving out whole groups, the rule's gamma ({choice.method}) is in {low:.3g} to"
        f" {high:.3g}"
        + (": rows of a group are not independent, so prefer this interval." if wider else ".")
    ]


def _rows(read: int, bad: int) -> list[str]:
    if not bad:
        return []
    return [f"{bad:,} of {counted(read, 'row')} could not be used: no number has them."]


def _remark(remark: Remark) -> str:
    first = remark.first
    example = f"{place(first.where)}:{first.line}: {first.reason}"
    return f"{counted(remark.count, 'row')} {remark.what} (first {example})."


def _skipped(skipped: tuple[str, ...]) -> list[str]:
    if not skipped:
        return []
    names = ", ".join(map(place, skipped[:LISTED])) + (", ..." if len(skipped) > LISTED else "")
    return [f"Not read, by name or ending: {counted(len(skipped), 'file')} ({names})."]

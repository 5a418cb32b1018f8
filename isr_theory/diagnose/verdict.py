"""The verdict in words: which gamma to use, which weights not to trust, and why."""

from __future__ import annotations

from typing import Any

from isr_theory.choice import GammaChoice
from isr_theory.diagnose.diagnosis import Effective, Stratum
from isr_theory.diagnose.reading import Remark
from isr_theory.diagnose.words import counted, place

# Below this share of its target the ESS of a stratum is called out; fewer rows tell too little.
SHORT = 0.5
FEW = 100
# An aggregation that moves the sampling law by less than this share of KL(pi||mu) corrects nothing.
LITTLE = 0.05


def verdict(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the sentences of a verdict from the facts of a `Diagnosis`, the first what to do."""
    choice: GammaChoice = facts["choice"]
    return (
        _use(choice),
        *_plain(choice, facts["effective"]),
        *_mean(facts["effective"]),
        *(
            sentence
            for name, strata in facts["strata"].items()
            for sentence in _strata(name, strata, choice)
        ),
        *_groups(choice, facts["group_interval"]),
        *_rows(facts["read"], facts["bad_count"]),
        *map(_remark, facts["remarks"]),
        *(f"{note[0].upper()}{note[1:]}." for note in (*choice.notes, *facts["layout_notes"])),
    )


def _use(choice: GammaChoice) -> str:
    if not choice.feasible:
        return (
            f"No gamma reaches ESS/n = {choice.rho_min:g}: too many weights are 0. Widen the"
            " behaviour policy or lower the target."
        )
    low, high = choice.interval
    return (
        f"Use gamma = {choice.gamma:.3g}, set by {choice.binding} ({choice.method}): it leaves"
        f" ESS/n = {choice.ess:.3g}, {choice.ess * choice.n:,.0f} of {choice.n:,} rows; the"
        f" population's gamma is in {low:.3g} to {high:.3g} at {choice.level:.0%}."
    )


def _plain(choice: GammaChoice, effective: tuple[Effective, ...]) -> list[str]:
    plain = effective[0]
    if choice.gamma == 1:
        return ["The plain weights meet the target: nothing needs to be flattened."]
    if plain.kish >= choice.rho_min:
        return []
    return [
        f"Do not use the plain weights: they leave ESS/n = {plain.kish:.3g},"
        f" {plain.kish * choice.n:,.0f} rows, and the largest alone allows"
        f" {plain.max_weight * choice.n:,.0f}."
    ]


def _mean(effective: tuple[Effective, ...]) -> list[str]:
    found = [row for row in effective if row.gamma is None]
    if not found or found[0].perplexity < 1 - LITTLE:
        return []
    return [
        "The mean of token log-ratios corrects next to nothing: its weights leave"
        f" {found[0].perplexity:.1%} of the sample by perplexity, as if pi were mu."
    ]


def _strata(name: str, strata: tuple[Stratum, ...], choice: GammaChoice) -> list[str]:
    known = [stratum for stratum in strata if stratum.n >= FEW]
    if len(known) < 2:
        return []
    lowest = min(known, key=lambda stratum: stratum.gamma)
    highest = max(known, key=lambda stratum: stratum.gamma)
    short = [stratum for stratum in known if stratum.ess_shared < SHORT * choice.rho_min]
    sentences = []
    # Intervals that do not meet: the difference is more than the noise of the two.
    if lowest.interval[1] < highest.interval[0]:
        sentences.append(
            f"gamma depends on {name}: {lowest.gamma:.3g} for {lowest.label},"
            f" {highest.gamma:.3g} for {highest.label}."
        )
    if short:
        worst = min(short, key=lambda stratum: stratum.ess_shared)
        sentences.append(
            f"At the common gamma {len(short)} of {len(known)} strata by {name} fall below half"
            f" the target; the worst, {worst.label}, keeps ESS/n = {worst.ess_shared:.3g}."
        )
    return sentences


def _groups(choice: GammaChoice, interval: tuple[float, float] | None) -> list[str]:
    if interval is None:
        return []
    low, high = interval
    wider = high - low > 1.5 * (choice.interval[1] - choice.interval[0])
    return [
        f"Leaving out whole groups, gamma is in {low:.3g} to {high:.3g}"
        + (": rows of a group are not independent, so prefer this interval." if wider else ".")
    ]


def _remark(remark: Remark) -> str:
    first = remark.first
    example = f"{place(first.where)}:{first.line}: {first.reason}"
    return f"{counted(remark.count, 'row')} {remark.what} (first {example})."


def _rows(read: int, bad: int) -> list[str]:
    return [f"{bad:,} of {read:,} rows could not be used and are not in any number."] if bad else []

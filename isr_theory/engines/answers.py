"""Joining answers: a check that looks at several things gives one answer."""

from __future__ import annotations

from collections.abc import Iterable

from isr_theory.claim import Answer, Outcome, Strength

# From strongest to weakest: a conjunction is worth its weakest part.
ORDER = (Strength.PROOF, Strength.AGREEMENT, Strength.STATISTICAL, Strength.EMPIRICAL)
# The first of these that occurs is what the conjunction comes to.
WORST = (Outcome.ERROR, Outcome.FAILS, Outcome.VACUOUS, Outcome.SKIPPED, Outcome.UNDECIDED)


def given(premise: Answer, conclusion: Answer) -> Answer:
    """Return the conclusion where its premise holds; where it does not, nothing follows."""
    if premise.outcome is Outcome.HOLDS:
        return conclusion
    return Answer(Outcome.UNDECIDED, conclusion.strength, detail="the premise does not hold")


def all_of(answers: Iterable[Answer]) -> Answer:
    """Return HOLDS only if every part holds, at the weakest part's strength.

    The parts are all evaluated; where one is not HOLDS, the first of the worst kind is the answer.
    Raises ValueError for no parts, since nothing checked is not a pass.
    """
    parts = list(answers)
    if not parts:
        raise ValueError("all_of() needs at least one answer: nothing checked is not a pass")
    for outcome in WORST:
        for part in parts:
            if part.outcome is outcome:
                return part
    weakest = max((part.strength for part in parts), key=ORDER.index)
    detail = "; ".join(dict.fromkeys(part.detail for part in parts if part.detail))
    return Answer(Outcome.HOLDS, weakest, detail=detail)

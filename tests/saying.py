"""What the tests of every engine ask of an answer."""

from __future__ import annotations

from fractions import Fraction

from isr_theory.claim import Outcome, Witness

HERE = Witness.at(u=Fraction(1, 3))


def says(answer, outcome, strength, *, at=None):
    """Check an answer, and that it is of use to a reader.

    At its witness it shows what was seen, and what does not fail says in words what was found.
    """
    assert (answer.outcome, answer.strength) == (outcome, strength)
    if at is not None:
        assert answer.witness == at
        assert answer.witness.shows
    if outcome is not Outcome.FAILS:
        assert answer.detail
    return True

"""What tests ask of an answer, and of a command that was interrupted."""

from __future__ import annotations

import signal
from fractions import Fraction

from isr_theory.claim import Outcome, Witness

HERE = Witness.at(u=Fraction(1, 3))
# A shell shows both as 130. CPython ends itself by the signal, though the interrupt was answered,
# where it came while a string of code was executed, as dataclasses and sympy do.
INTERRUPTED = (130, -signal.SIGINT)


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

"""The search finds what is false, makes it small and exact, and finds nothing in what is true."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from isr_theory import spaces, verify
from isr_theory.arithmetic import Ball
from isr_theory.claim import Margin, Outcome, Verdict
from isr_theory.claims import ledger
from isr_theory.engines import certified
from isr_theory.models import Finite
from isr_theory.search import Found, Nothing, search

BUDGET = 3_000
SEARCHED = [claim for claim in ledger() if claim.margin]
FALSE = [claim for claim in SEARCHED if claim.expect is Verdict.REFUTED]
TRUE = [claim for claim in SEARCHED if claim.expect is not Verdict.REFUTED]
BY_ID = {claim.id: claim for claim in SEARCHED}


def each(claims):
    return pytest.mark.parametrize("claim", claims, ids=[claim.id for claim in claims])


def test_enough_is_searched():
    assert {"T8.3.b", "T6.3.a", "C7.5.b", "C7.5.c", "P5.3.a", "T9.1.a", "T10.1.b"} <= set(BY_ID)
    assert len(TRUE) >= 5


@each(FALSE)
def test_what_is_refuted_is_found_and_confirmed(claim):
    *before, found = search(claim, budget=BUDGET)
    assert isinstance(found, Found)
    assert all(isinstance(outcome, Nothing) for outcome in before)
    assert found.confirmed
    # Small enough to read: a few one- or two-digit fractions.
    assert found.case.complexity() <= 60


@each(TRUE)
def test_nothing_is_found_in_what_is_verified(claim):
    outcomes = list(search(claim, budget=BUDGET))
    assert len(outcomes) == len(claim.margin.spaces)
    for outcome in outcomes:
        assert isinstance(outcome, Nothing)
        assert outcome.evaluations > 100
        # Rounding alone: far above the margin at which a failure would be looked into.
        assert outcome.least > -1e-9


def test_the_printed_source_builds_the_failing_case():
    (found,) = search(BY_ID["T6.3.a"], budget=BUDGET)
    names = {"Finite": Finite, "Fraction": Fraction}
    exec(found.case.source(), names)
    rebuilt = replace(found.case, model=names["model"], numbers={"gamma": names["gamma"]})
    assert rebuilt == found.case
    claim = BY_ID["T6.3.a"]
    with certified.precision():
        value = claim.margin.run(claim.subject, rebuilt, Ball)
        assert value < 0


def with_margin(run, *over):
    return replace(BY_ID["T8.3.b"], margin=Margin(run, over))


def test_the_smallest_support_is_tried_first():
    # False from three outcomes on only.
    claim = with_margin(
        lambda subject, case, m: m.number(5) / 2 - len(case.model.mu),
        *(spaces.finite(arms) for arms in (2, 3, 4)),
    )
    first, found = search(claim, budget=BUDGET)
    assert isinstance(first, Nothing)
    assert found.space == "3 outcomes"


def test_a_thin_failure_is_found_and_stays_exact():
    # Fails only within 1/100 of x = 1/3, of which no coarse grid knows.
    def thin(subject, case, m):
        off = m.number(case["x"]) - m.number("1/3")
        return off * off * 100 - m.number("1/100")

    (found,) = search(with_margin(thin, spaces.plain(x=("0", "1"))), budget=BUDGET)
    assert found.case["x"] == Fraction(1, 3)
    assert found.exact.outcome is Outcome.FAILS


def test_what_is_undefined_somewhere_is_searched_elsewhere():
    def broken(subject, case, m):
        x = m.number(case["x"])
        return m.log(x) if case["x"] > Fraction(1, 2) else x / (x - x)

    (found,) = search(with_margin(broken, spaces.plain(x=("0", "2"))), budget=BUDGET)
    assert Fraction(1, 2) < found.case["x"] < 1


def test_the_same_seed_finds_the_same(capsys):
    outputs = []
    for _ in range(2):
        assert verify.main(["search", "C7.5.b", "--budget", str(BUDGET)]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "balls and exact algebra agree" in outputs[0]
    assert "model = GaussianShift(Fraction('1'), d=1)" in outputs[0]


def test_a_counterexample_to_what_should_hold_turns_the_exit_code(monkeypatch, capsys):
    true = replace(BY_ID["C7.5.b"], expect=Verdict.VERIFIED)
    monkeypatch.setattr(verify, "load_ledger", lambda path: (true,))
    assert verify.main(["search", "--budget", str(BUDGET)]) == 1
    capsys.readouterr()


def test_a_claim_without_a_margin_is_refused(capsys):
    assert verify.main(["search", "T8.2"]) == 2
    assert "no margin to search: T8.2; these have one: " in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"T8.2 has no margin"):
        list(search(next(claim for claim in ledger() if claim.id == "T8.2")))

"""The ledger is whole: ids, routes, wrong variants, amendments, references, words."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from isr_theory.claim import Kind, PrintedProof, Route, Verdict
from isr_theory.claims import ledger, listed_ids
from isr_theory.engines.montecarlo import ALPHA
from isr_theory.report.markdown import LABELLED

CLAIMS = ledger()
BY_ID = {claim.id: claim for claim in CLAIMS}
STANDS = (Verdict.VERIFIED, Verdict.SUPPORTED)

# The labels printed in the paper, in its order.
PRINTED_LABELS = [
    "D1.1",
    "T2.1",
    "T2.2",
    "D4.1",
    "T4.2",
    "D5.1",
    "T5.2",
    "P5.3",
    "D6.1",
    "T6.2",
    "T6.3",
    "C6.4",
    "D7.1",
    "T7.2",
    "A7.3",
    "T7.4",
    "C7.5",
    "T7.6",
    "D8.1",
    "T8.2",
    "T8.3",
    "A8.4",
    "T9.1",
    "T10.1",
    "T11.1",
]


def each(condition=lambda claim: True):
    chosen = [claim for claim in CLAIMS if condition(claim)]
    return pytest.mark.parametrize("claim", chosen, ids=[claim.id for claim in chosen])


def test_the_ledger_has_exactly_the_listed_ids_in_their_order():
    listed = listed_ids()
    assert len(set(listed)) == len(listed)
    assert sorted(BY_ID) == sorted(listed)
    assert [claim.id for claim in CLAIMS] == list(listed)


def test_every_printed_label_has_a_claim():
    labels = {".".join(claim.id.split(".")[:2]) for claim in CLAIMS if LABELLED.match(claim.id)}
    assert labels == set(PRINTED_LABELS)
    assert len(PRINTED_LABELS) == 25


@each()
def test_ids_are_safe_in_a_shell_a_file_name_and_tex(claim):
    assert re.fullmatch(r"[A-Z]+\d*(\.[A-Za-z0-9]+)*", claim.id)


@each()
def test_references_exist(claim):
    assert set(claim.uses) <= set(BY_ID) | {c.id.rsplit(".", 1)[0] for c in CLAIMS}
    assert claim.id not in claim.uses
    for amended in claim.amends:
        assert BY_ID[amended].expect is Verdict.REFUTED
    assert set(claim.sharpens) <= set(BY_ID)


@each(lambda claim: claim.section == "beyond")
def test_what_goes_past_the_paper_says_where_it_comes_from(claim):
    assert claim.source
    assert claim.amends or claim.sharpens
    assert claim.printed_proof is PrintedProof.NONE


@each(lambda claim: claim.kind is Kind.PREDICTION)
def test_a_prediction_is_judged_by_recorded_results_alone(claim):
    assert claim.predicted in (*STANDS, Verdict.REFUTED)
    assert claim.routes == (Route.RECORDED,)
    assert claim.section == "experiments"
    assert claim.uses
    # No recorded run proves anything.
    assert claim.expect in (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.OPEN)
    # What would have been recorded had nothing been there to see.
    assert claim.wrong or claim.right


@each(lambda claim: claim.kind is not Kind.PREDICTION)
def test_only_predictions_read_recorded_results(claim):
    assert claim.predicted is None
    assert Route.RECORDED not in claim.routes


@each(lambda claim: claim.kind is not Kind.PREDICTION)
def test_two_routes_or_a_reason(claim):
    assert len(claim.routes) >= 2 or claim.single_route or claim.open_reason


@each(lambda claim: claim.expect is Verdict.REFUTED and claim.predicted is None)
def test_what_is_refuted_is_amended_by_something_verified(claim):
    amendments = [other for other in CLAIMS if claim.id in other.amends]
    assert any(other.expect is Verdict.VERIFIED for other in amendments)


@each()
def test_wrong_variants(claim):
    names = [wrong.name for wrong in claim.wrong]
    assert len(set(names)) == len(names)
    if claim.expect is Verdict.VERIFIED:
        assert len(names) >= 3
    # A prediction has them before it is run; what is false as stated has none.
    if claim.expect not in STANDS and claim.predicted is None:
        assert not names


@each(lambda claim: claim.expect is Verdict.OPEN)
def test_what_is_open_says_why(claim):
    assert claim.open_reason


@each()
def test_a_printed_proof_that_falls_short_says_how(claim):
    short = claim.printed_proof in (PrintedProof.GAP, PrintedProof.WRONG)
    assert (claim.proof_remark is not None) is short
    if claim.proof_remark:
        assert claim.proof_remark.en.endswith(".")
        assert re.search(r"[\u4e00-\u9fff]", claim.proof_remark.zh)


@each()
def test_words(claim):
    assert claim.title.en
    assert claim.finding.en.endswith(".")
    assert re.search(r"[\u4e00-\u9fff]", claim.title.zh)
    assert re.search(r"[\u4e00-\u9fff]", claim.finding.zh)
    assert claim.statement.count("{") == claim.statement.count("}")
    assert claim.statement.isprintable()
    if claim.id.endswith(".fix") or claim.id.startswith("LIB."):
        assert claim.printed_proof is PrintedProof.NONE


@each(lambda claim: claim.assumes)
def test_assumptions_tell_their_instances_apart(claim):
    for assumption in claim.assumes:
        assert all(assumption.holds(example) for example in assumption.examples)
        assert not any(assumption.holds(violation) for violation in assumption.violations)
        assert assumption.examples
        assert assumption.violations
        rng = np.random.default_rng(0)
        assert all(assumption.holds(assumption.draw(rng)) for _ in range(100))


@each(lambda claim: claim.expect in STANDS)
def test_every_assumption_of_what_holds_is_accounted_for(claim):
    assert {need.assumption for need in claim.needs} == {a.key for a in claim.assumes}
    for need in claim.needs:
        assert (need.run is None) == bool(need.why)


@each(lambda claim: claim.expect is Verdict.REFUTED)
def test_what_is_refuted_has_something_right_in_its_place(claim):
    assert claim.right
    assert not claim.needs


def test_all_sampled_checks_together_alarm_falsely_at_most_once_in_a_million():
    sampled = [c for claim in CLAIMS for c in claim.checks if c.route is Route.SAMPLED]
    assert 0 < len(sampled) * ALPHA <= 1e-6


def test_most_of_what_is_open_is_settled():
    verdicts = Counter(claim.expect for claim in CLAIMS)
    stated = [claim for claim in CLAIMS if claim.predicted is None]
    assert [claim.id for claim in stated if claim.expect is Verdict.OPEN] == ["TAB11.1.2"]
    assert verdicts[Verdict.VERIFIED] > verdicts[Verdict.REFUTED] > 0

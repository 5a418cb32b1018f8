"""The rules that turn findings into a verdict, over all small multisets of findings."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isr_theory.claim import Finding, Outcome, Route, Scope, Strength, Verdict, Witness
from isr_theory.combine import combine

HERE = Witness.at(gamma=Fraction(1, 2))
THERE = Witness.at(gamma=Fraction(3, 2))
WHOLE = Scope("everything", whole=True)
UNIT = Scope("gamma in [0, 1]", within=(("gamma", 0, 1),))
STRENGTH_RANK = [Verdict.OPEN, Verdict.SUPPORTED, Verdict.VERIFIED]

findings = st.builds(
    Finding,
    route=st.sampled_from(Route),
    check=st.just("check"),
    outcome=st.sampled_from(Outcome),
    strength=st.sampled_from(Strength),
    scope=st.sampled_from([WHOLE, UNIT]),
    witness=st.sampled_from([None, HERE, THERE]),
)


def found(route=Route.SYMBOLIC, outcome=Outcome.HOLDS, strength=Strength.PROOF, **rest):
    rest = {"scope": WHOLE, "witness": None, **rest}
    return Finding(route, "check", outcome, strength, **rest)


def fails(route, witness=HERE, **rest):
    return found(route, Outcome.FAILS, witness=witness, **rest)


AGREES = found(Route.CERTIFIED, strength=Strength.AGREEMENT, scope=UNIT)
TABLE = [
    ([], Verdict.OPEN),
    ([found()], Verdict.SUPPORTED),
    ([found(), AGREES], Verdict.VERIFIED),
    ([found(scope=UNIT), AGREES], Verdict.SUPPORTED),
    ([found(), found()], Verdict.SUPPORTED),
    ([found(strength=Strength.AGREEMENT), AGREES], Verdict.SUPPORTED),
    ([fails(Route.SYMBOLIC)], Verdict.OPEN),
    ([fails(Route.SYMBOLIC), fails(Route.SYMBOLIC)], Verdict.OPEN),
    ([fails(Route.SYMBOLIC), fails(Route.CERTIFIED)], Verdict.REFUTED),
    ([fails(Route.SYMBOLIC), fails(Route.CERTIFIED, THERE)], Verdict.OPEN),
    ([fails(Route.SAMPLED, None), fails(Route.CERTIFIED, None)], Verdict.OPEN),
    ([fails(Route.RECORDED, None)], Verdict.REFUTED),
    ([found(), fails(Route.NEURAL)], Verdict.CONFLICT),
    ([found(), fails(Route.NEURAL, None)], Verdict.CONFLICT),
    ([found(scope=UNIT), fails(Route.NEURAL)], Verdict.CONFLICT),
    (
        [found(scope=UNIT), fails(Route.NEURAL, THERE), fails(Route.SAMPLED, THERE)],
        Verdict.REFUTED,
    ),
    ([found(), AGREES, found(outcome=Outcome.ERROR)], Verdict.ERROR),
    ([found(outcome=Outcome.SKIPPED), AGREES], Verdict.SUPPORTED),
    ([found(outcome=Outcome.VACUOUS)], Verdict.OPEN),
    ([found(outcome=Outcome.UNDECIDED)], Verdict.OPEN),
]


@pytest.mark.parametrize(("given_findings", "verdict"), TABLE)
def test_each_rule(given_findings, verdict):
    assert combine(given_findings) is verdict


@given(st.lists(findings, max_size=4))
def test_order_never_matters(some):
    assert len({combine(order) for order in itertools.permutations(some)}) == 1


@given(
    st.lists(findings, max_size=5),
    st.sampled_from([Outcome.SKIPPED, Outcome.VACUOUS, Outcome.UNDECIDED]),
)
def test_what_is_not_a_result_changes_nothing(some, outcome):
    assert combine([*some, found(outcome=outcome)]) is combine(some)


@given(st.lists(findings, max_size=5), findings)
def test_a_failure_never_strengthens(some, one):
    failure = found(one.route, Outcome.FAILS, one.strength, scope=one.scope, witness=one.witness)
    after = combine([*some, failure])
    assert after not in (Verdict.VERIFIED, Verdict.SUPPORTED)


@given(st.lists(findings, max_size=5), findings)
def test_holding_never_weakens_without_a_failure(some, one):
    some = [f for f in some if f.outcome not in (Outcome.FAILS, Outcome.ERROR)]
    more = [*some, found(one.route, Outcome.HOLDS, one.strength, scope=one.scope)]
    assert STRENGTH_RANK.index(combine(more)) >= STRENGTH_RANK.index(combine(some))


def test_a_scope_covers_what_lies_inside_all_its_bounds():
    arms = Scope("three arms", within=(("arms", 3, 3), ("gamma", 0, 1)))
    inside = Witness.at(mu=(Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)), gamma=1)
    assert arms.covers(inside)
    assert not arms.covers(Witness.at(mu=(Fraction(1, 2), Fraction(1, 2)), gamma=1))
    assert not arms.covers(Witness.at(gamma=1))
    assert not arms.covers(None)
    assert not Scope("somewhere").covers(inside)
    assert WHOLE.covers(None)


def test_witnesses_are_equal_by_their_point():
    assert HERE.showing("0.1 against 0.2") == HERE
    assert HERE != THERE
    assert str(HERE.showing("1 < 2")) == "gamma=1/2: 1 < 2"

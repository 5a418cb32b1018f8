"""The words that claims are made of, and how a draft puts them together."""

from __future__ import annotations

from fractions import Fraction

import pytest

from isr_theory.claim import (
    Answer,
    Assumption,
    Check,
    Kind,
    Margin,
    Need,
    Outcome,
    PrintedProof,
    Route,
    Scope,
    Strength,
    Text,
    Variant,
    Verdict,
    Witness,
)
from isr_theory.draft import Draft, frozen, prediction

WHOLE = Scope("everything", whole=True)
WORDS = Text("words", "zh")
HOLDS = Answer(Outcome.HOLDS, Strength.PROOF)


def test_a_witness_keeps_exact_values_as_text():
    point = Witness.at("1 < 2", mu=(Fraction(1, 2), [1, 2]), x=3).point
    assert point == (("mu", "(1/2, (1, 2))"), ("x", "3"))
    assert Witness.at("1 < 2", x=3).shows == "1 < 2"
    assert not Witness.at(x=3).shows
    assert str(Witness.at(x=3, y=4)) == "x=3, y=4"
    assert str(Witness.at("1 < 2", x=3)) == "x=3: 1 < 2"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("x", Fraction(1, 3)),
        ("arms", 3),
        ("mu", None),
        ("word", None),
        ("pole", None),
        ("absent", None),
    ],
)
def test_a_coordinate_is_a_number_or_nothing(name, number):
    assert Witness.at(x=Fraction(1, 3), mu=(1, 2, 3), word="w", pole="1/0").number(name) == number


def test_arms_are_counted_only_where_they_are_not_given():
    assert Witness.at(mu=(1, 2), arms=5).number("arms") == 5
    assert Witness.at(pi=(1, 2)).number("arms") is None


@pytest.mark.parametrize(("x", "covered"), [(-1, False), (0, True), (1, True), (2, False)])
def test_a_scope_is_closed(x, covered):
    assert Scope("unit", within=(("x", 0, 1),)).covers(Witness.at(x=x)) is covered


def positive(holds=lambda x: x > 0, examples=(-1, 2)):
    return Assumption("positive", WORDS, holds, examples, (-1,), lambda rng: 1)


def test_an_assumption_needs_an_example_that_satisfies_it():
    assert positive().satisfiable()
    assert not positive(examples=(-1, -2)).satisfiable()
    assert not positive(examples=()).satisfiable()


def test_an_assumption_says_nothing_of_other_kinds():
    assert positive().admits(3)
    assert not positive().admits(-3)
    assert positive().admits("a word, which is not above 0 and not below")


def draft(id="X.1", **changes):
    fields = {
        "section": "1",
        "kind": Kind.IDENTITY,
        "title": WORDS,
        "finding": WORDS,
        "statement": "1 = 1",
        "subject": abs,
        "expect": Verdict.VERIFIED,
    }
    return Draft(id, **{**fields, **changes})


FIELDS = {
    "printed_proof": PrintedProof.GAP,
    "assumes": (positive(),),
    "uses": ("X.2",),
    "amends": ("X.3",),
    "sharpens": ("X.4",),
    "source": "a book",
    "reading": "a reading",
    "single_route": "a reason",
    "open_reason": "another",
}


def test_a_claim_has_the_fields_of_its_draft():
    claim = draft(**FIELDS).freeze()
    assert {name: getattr(claim, name) for name in FIELDS} == FIELDS
    assert (claim.id, claim.section, claim.subject) == ("X.1", "1", abs)
    assert (claim.kind, claim.expect, claim.title) == (Kind.IDENTITY, Verdict.VERIFIED, WORDS)


def test_a_bare_draft_freezes_to_a_claim_without_evidence():
    claim = draft().freeze()
    assert claim.printed_proof is PrintedProof.NONE
    for name in FIELDS:
        assert name == "printed_proof" or not getattr(claim, name)
    for name in ("checks", "wrong", "right", "needs", "numbers", "routes"):
        assert getattr(claim, name) == ()
    assert claim.margin is None


def test_a_prediction_is_a_claim_of_an_experiment():
    given = {
        "id": "X.1",
        "title": WORDS,
        "finding": WORDS,
        "statement": "1 = 1",
        "subject": abs,
        "uses": ("X.2",),
        "expect": Verdict.REFUTED,
        "predicted": Verdict.OPEN,
        "reading": "a reading",
        "open_reason": "a reason",
        "source": "a book",
    }
    claim = prediction(**given).freeze()
    assert {name: getattr(claim, name) for name in given} == given
    assert (claim.section, claim.kind) == ("experiments", Kind.PREDICTION)
    for name in ("expect", "predicted", "reading", "open_reason", "source"):
        del given[name]
    claim = prediction(**given).freeze()
    assert claim.expect is claim.predicted is Verdict.SUPPORTED
    assert (claim.reading, claim.open_reason, claim.source) == ("", "", "")


def test_checks_carry_route_name_scope_and_what_sampling_needs():
    made = draft()

    @made.recorded(WHOLE)
    @made.neural(WHOLE)
    @made.certified(WHOLE)
    @made.symbolic(WHOLE)
    def one(subject):
        """By algebra.

        More about it.
        """
        return HOLDS

    @made.sampled(WHOLE, resolution=0.5)
    def two(subject, trial):
        """...and by sampling."""
        return HOLDS

    @made.sampled(WHOLE, resolution=0.25, looks=3)
    def three(subject, trial):
        """By more sampling."""
        return HOLDS

    claim = made.freeze()
    assert claim.checks == (
        Check(Route.SYMBOLIC, "By algebra", one, WHOLE),
        Check(Route.CERTIFIED, "By algebra", one, WHOLE),
        Check(Route.NEURAL, "By algebra", one, WHOLE),
        Check(Route.RECORDED, "By algebra", one, WHOLE),
        Check(Route.SAMPLED, "...and by sampling", two, WHOLE, 0.5, 1),
        Check(Route.SAMPLED, "By more sampling", three, WHOLE, 0.25, 3),
    )
    assert [(check.resolution, check.looks) for check in claim.checks[:2]] == [(0.0, 1)] * 2
    assert claim.routes == (
        Route.SYMBOLIC,
        Route.CERTIFIED,
        Route.SAMPLED,
        Route.NEURAL,
        Route.RECORDED,
    )


def test_routes_come_in_the_order_of_their_kind_and_only_once():
    made = draft()
    for number in range(2):
        for add in (made.neural, made.symbolic):

            def check(subject):
                return HOLDS

            check.__doc__ = f"Check {number}"
            add(WHOLE)(check)
    assert made.freeze().routes == (Route.SYMBOLIC, Route.NEURAL)


@pytest.mark.parametrize("words", [None, "", "  ", "."])
def test_a_check_needs_a_name(words):
    def check(subject):
        return HOLDS

    check.__doc__ = words
    with pytest.raises(ValueError, match=r"X\.1.*docstring"):
        draft().symbolic(WHOLE)(check)


def test_names_are_unique_within_a_route():
    made = draft()

    def check(subject):
        """The same name."""
        return HOLDS

    made.symbolic(WHOLE)(check)
    made.certified(WHOLE)(check)
    assert len(made.freeze().checks) == 2
    made.symbolic(WHOLE)(check)
    with pytest.raises(ValueError, match=r"X\.1.*share a name"):
        made.freeze()


def test_variants_keep_their_names_and_what_they_plant():
    made = draft()
    assert made.wrong("one")(min) is min
    made.wrong_value("two", 2)
    assert made.right("three")(max) is max
    made.right_value("four", 4)
    claim = made.freeze()
    assert claim.wrong == (Variant("one", min), Variant("two", 2))
    assert claim.right == (Variant("three", max), Variant("four", 4))


def test_needs_name_what_is_assumed_and_only_once():
    assumed, other = positive(), Assumption("other", WORDS, bool, (1,), (0,), lambda rng: 1)
    made = draft(assumes=(assumed, other))

    @made.without(assumed, on=(7, 8))
    def attempt(subject, instance):
        return HOLDS

    made.meaningless_without(other, "no meaning")
    assert made.freeze().needs == (
        Need("positive", attempt, (7, 8)),
        Need("other", None, (), "no meaning"),
    )
    made.meaningless_without(other, "again")
    with pytest.raises(ValueError, match=r"X\.1"):
        made.freeze()


def test_needs_of_what_is_not_assumed_are_refused():
    made = draft()
    made.without(positive())(lambda subject, instance: None)
    with pytest.raises(ValueError, match="positive"):
        made.freeze()


def test_an_assumption_may_go_without_a_need():
    made = draft(assumes=(positive(),))
    assert made.freeze().needs == ()
    made.without(positive())(min)
    assert made.freeze().needs == (Need("positive", min, ()),)


def test_margins_and_numbers():
    made = draft()
    assert made.margin("small", "large")(min) is min

    @made.number("pi")
    def digits():
        return "3.14"

    assert digits() == "3.14"
    claim = made.freeze()
    assert claim.margin == Margin(min, ("small", "large"))
    assert claim.numbers == (("pi", digits),)


def test_freezing_keeps_the_order_of_drafts():
    assert [claim.id for claim in frozen(draft("X.2"), draft("X.1"))] == ["X.2", "X.1"]

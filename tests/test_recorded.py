"""The recorded route: what it says of numbers and intervals, and of runs that were not made."""

from __future__ import annotations

import json

import pytest
from saying import says

from isr_theory.claim import Kind, Outcome, Route, Scope, Strength, Text, Verdict, Witness
from isr_theory.draft import Draft
from isr_theory.engines import recorded
from isr_theory.judge import Options, judge

HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [([0.5, 0.4, 0.6], HOLDS), ([0.5, 0.1, 0.9], UNDECIDED), ([2.0, 1.5, 2.5], FAILS)],
)
def test_an_interval_holds_inside_fails_outside_and_else_cannot_tell(interval, outcome):
    said = recorded.inside(interval, 0.2, 0.8, n=3)
    assert said.outcome is outcome
    assert said.strength is Strength.EMPIRICAL
    assert (said.witness is None) == (outcome is UNDECIDED)


def test_bounds_are_one_sided():
    assert recorded.above([1.0, 0.5, 1.5], 0.4).outcome is HOLDS
    assert recorded.above([1.0, 0.5, 1.5], 2.0).outcome is FAILS
    assert recorded.below([1.0, 0.5, 1.5], 1.2).outcome is UNDECIDED
    assert recorded.below([1.0, 0.5, 1.5], 1.6).outcome is HOLDS


def test_numbers_without_noise_are_compared_to_a_tolerance():
    assert recorded.near(1.001, 1.0, 0.01).outcome is HOLDS
    assert recorded.near(1.02, 1.0, 0.01).outcome is FAILS
    assert recorded.true(False, "2 > 1").outcome is FAILS


AT = Witness.at(n=3)
EMPIRICAL = Strength.EMPIRICAL


def test_an_answer_names_its_point_and_tells_the_numbers():
    for said in (
        recorded.near(1.25, 1.0, 0.5, n=3),
        recorded.true(True, "1.25 > 1", n=3),
        recorded.inside([1.25, 1.1, 1.4], 1.0, 2.0, n=3),
        recorded.above([1.25, 1.1, 1.4], 1.0, n=3),
        recorded.below([1.25, 1.1, 1.4], 1.5, n=3),
    ):
        assert says(said, HOLDS, EMPIRICAL, at=AT)
        assert "1.25" in said.detail
        assert said.witness.shows == said.detail
    for said in (
        recorded.near(1.25, 1.0, 0.1, n=3),
        recorded.true(False, "1.25 > 1", n=3),
        recorded.inside([1.25, 1.1, 1.4], 2.0, 3.0, n=3),
        recorded.above([1.25, 1.1, 1.4], 2.0, n=3),
        recorded.below([1.25, 1.1, 1.4], 1.0, n=3),
    ):
        assert says(said, FAILS, EMPIRICAL, at=AT)
        assert "1.25" in said.detail
    undecided = recorded.inside([1.25, 1.1, 1.4], 1.2, 2.0, n=3)
    assert says(undecided, UNDECIDED, EMPIRICAL)
    assert "1.25" in undecided.detail


def test_what_is_allowed_includes_its_ends():
    assert recorded.near(1.5, 1.0, 0.5).outcome is HOLDS
    assert recorded.inside([0.5, 0.2, 0.8], 0.2, 0.8).outcome is HOLDS
    # An interval that touches a bound from outside has the bound in common with it.
    assert recorded.inside([0.1, 0.0, 0.2], 0.2, 0.8).outcome is UNDECIDED
    assert recorded.inside([0.9, 0.8, 1.0], 0.2, 0.8).outcome is UNDECIDED


def test_a_summary_is_found_by_name(tmp_path, monkeypatch):
    package = tmp_path / "some_results"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.json").write_text(json.dumps({"summary": {"x": 1}}))
    monkeypatch.syspath_prepend(tmp_path)
    assert recorded.summary("a", "some_results") == {"x": 1}
    assert recorded.summary("b", "some_results") == recorded.Missing("b")


def prediction(subject, expect):
    draft = Draft(
        "BAN.none",
        section="experiments",
        kind=Kind.PREDICTION,
        title=Text("x is above 0", "x 大于 0"),
        finding=Text("It is.", "是。"),
        statement="x > 0",
        subject=subject,
        expect=expect,
        predicted=Verdict.SUPPORTED,
    )

    @draft.recorded(Scope("one run"))
    def _(summary):
        """The interval of x."""
        return recorded.above(summary["x"], 0)

    draft.wrong_value("nothing there", {"x": [0.0, -1.0, 1.0]})
    draft.wrong_value("the other way", {"x": [-2.0, -3.0, -1.0]})
    return draft.freeze()


def test_a_prediction_that_was_not_run_is_open():
    result = judge(prediction(recorded.Missing("z"), Verdict.OPEN), Options())
    assert result.verdict is Verdict.OPEN
    assert result.findings[0].outcome is Outcome.SKIPPED
    assert "z" in result.findings[0].detail
    assert result.as_expected


@pytest.mark.parametrize(
    ("x", "verdict"),
    [
        ([1.0, 0.5, 1.5], Verdict.SUPPORTED),
        ([-1.0, -1.5, -0.5], Verdict.REFUTED),
        ([0.1, -0.5, 0.5], Verdict.OPEN),
    ],
)
def test_recorded_results_judge_it(x, verdict):
    result = judge(prediction({"x": x}, verdict), Options())
    assert result.verdict is verdict
    assert result.findings[0].route is Route.RECORDED


def test_a_data_set_without_the_effect_must_be_told_apart():
    # A null that merely leaves the check undecided has not been told apart.
    result = judge(prediction({"x": [1.0, 0.5, 1.5]}, Verdict.SUPPORTED), Options())
    assert result.survivors == ("nothing there",)

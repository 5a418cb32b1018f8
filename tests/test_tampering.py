"""The run refuses: a tampered ledger gives the exit code and the words that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from isr_theory import verify
from isr_theory.engines import neural

EXAMPLE = (Path(__file__).parent.parent / "docs" / "own_claims.py").read_text(encoding="utf-8")


def run(tmp_path, capsys, text, *arguments):
    path = tmp_path / "ledger.py"
    path.write_text(text, encoding="utf-8")
    code = verify.main(["all", "--ledger", str(path), "--jobs", "1", *arguments])
    return code, capsys.readouterr().out


def edited(*pairs):
    text = EXAMPLE
    for old, new in pairs:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def test_the_worked_example_gets_both_right(tmp_path, capsys):
    code, out = run(tmp_path, capsys, EXAMPLE)
    assert code == 0
    assert "MEANS.1            VERIFIED" in out
    assert "MEANS.2            REFUTED" in out
    assert "a=1, b=4: not -2/5 >= 0" in out


TRUE_LINE = "return (a + b) / 2 - m.sqrt(a * b)"
CHECK_BODY = "return symbolic.equal(gap(X**2, Y**2, Exact), (X - Y) ** 2 / 2)"
CASES = {
    "a flipped formula": ([(TRUE_LINE, "return (a + b) / 2 + m.sqrt(a * b)")], 1, "expected"),
    "a changed constant": ([(TRUE_LINE, "return (a + b) / 3 - m.sqrt(a * b)")], 1, "expected"),
    "a changed expectation": (
        [("expect=Verdict.VERIFIED", "expect=Verdict.REFUTED")],
        1,
        "expected REFUTED",
    ),
    "a swapped expectation": ([("expect=Verdict.REFUTED", "expect=Verdict.OPEN")], 1, "expected"),
    "a check that does not look": (
        [(CHECK_BODY, "return symbolic.equal(X, X)")],
        3,
        "kills no wrong variant",
    ),
    "a wrong variant that is true": (
        [("return a + b - m.sqrt(a * b)", TRUE_LINE)],
        3,
        "survives: no half",
    ),
    "a quoted number that breaks": (
        [
            (
                "@AM_GM.wrong(",
                "@AM_GM.number('x')\ndef _() -> str:\n    return 1 / 0\n\n\n@AM_GM.wrong(",
            )
        ],
        3,
        "ZeroDivisionError",
    ),
    "a check that breaks": ([(CHECK_BODY, "return 1 / 0")], 3, "ZeroDivisionError"),
    "a false proof beside a true failure": (
        [
            (
                "@HM_GM.certified",
                '@HM_GM.certified(Scope("all", whole=True))\ndef _(h: Any) -> Answer:\n'
                '    """A false proof."""\n    return symbolic.equal(X, X)\n\n\n@HM_GM.certified',
            )
        ],
        3,
        "CONFLICT",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tampering_is_named(tmp_path, capsys, name):
    edits, code, words = CASES[name]
    found, out = run(tmp_path, capsys, edited(*edits))
    assert found == code
    assert words in out


SWAPPED_KL = """
from dataclasses import replace
from isr_theory import formulas
from isr_theory.claims.s07_1_bias import CLAIMS as PRINTED


def swapped(mu, target, gamma, m):
    log_z = m.log(formulas.moment(mu, target, gamma, m))
    return (1 - gamma) * formulas.kl({first}, {second}, m) + log_z


CLAIMS = tuple(replace(c, subject=swapped) for c in PRINTED if c.subject is formulas.bias)
"""


def test_a_kl_in_the_other_direction_is_named(tmp_path, capsys):
    right = SWAPPED_KL.format(first="target", second="mu")
    assert run(tmp_path, capsys, right)[0] == 0
    code, out = run(tmp_path, capsys, SWAPPED_KL.format(first="mu", second="target"))
    assert code == 1
    assert "[expected VERIFIED]" in out


def test_a_missing_engine_leaves_the_run_incomplete(tmp_path, capsys):
    code, out = run(tmp_path, capsys, EXAMPLE, "--route", "certified")
    assert code == 4
    assert "incomplete: not asked for" in out


def test_an_engine_taken_away_leaves_the_run_incomplete(monkeypatch, capsys):
    monkeypatch.setattr(neural, "available", lambda: False)
    code = verify.main(["LST12.1.freeze", "--jobs", "1"])
    assert code == 4
    assert "incomplete: torch is not installed" in capsys.readouterr().out


def test_an_assumption_that_nothing_satisfies_is_vacuous(tmp_path, capsys):
    text = edited(
        ("import Answer, Kind", "import Answer, Assumption, Kind"),
        (
            "expect=Verdict.VERIFIED,",
            "expect=Verdict.VERIFIED,\n    assumes=(Assumption('none', Text('', ''), "
            "lambda x: False, examples=(1, 2), violations=(), draw=lambda rng: 1),),",
        ),
    )
    code, out = run(tmp_path, capsys, text)
    assert code == 3
    assert "vacuous: no example satisfies the assumption 'none'" in out


ASSUMING = """    expect=Verdict.VERIFIED,
    assumes=(Assumption("positive", Text("", ""), lambda p: p > 0, (1, 2), (-4,), draw),),
"""
DRAW = "def draw(rng: Any) -> int:\n    return int(rng.integers(1, 9))\n\n\n"
TRIED = """
@AM_GM.without(AM_GM._fields["assumes"][0])
def _(gap: Any, a: Any) -> Answer:
    {body}


@AM_GM.wrong("no half")"""
HELD = "return symbolic.compare(gap(sympy.Integer(a), 0, Exact), '>', 0, witness=Witness.at(a=a))"
NEEDS = {
    "an assumption that is needed": ((HELD,), 0, "MEANS.1            VERIFIED"),
    "an assumption of which nothing is shown": ((), 3, "nothing shows that it is needed"),
    "an assumption that is not needed": (
        (HELD.replace("gap(sympy.Integer(a)", "gap(sympy.Integer(a) ** 2"),),
        3,
        "the statement does not fail without it",
    ),
    "a statement that fails within its assumption": (
        (HELD.replace("'>', 0", "'>', 1"),),
        3,
        "the statement fails within it",
    ),
    "a trial that never holds": (
        ("return symbolic.compare(a, '<', 0, witness=Witness.at(a=a)) if a < 0 else None",),
        3,
        "was not seen to hold",
    ),
    "a trial that breaks": (("return 1 / 0",), 3, "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", NEEDS)
def test_an_assumption_must_be_needed(tmp_path, capsys, name):
    bodies, code, words = NEEDS[name]
    text = edited(
        ("import Answer, Kind", "import Answer, Assumption, Kind"),
        (
            "def gap(",
            "def draw(rng: Any) -> int:\n    return int(rng.integers(1, 9))\n\n\ndef gap(",
        ),
        ("    expect=Verdict.VERIFIED,\n", ASSUMING),
        *(('@AM_GM.wrong("no half")', TRIED.format(body=body).lstrip()) for body in bodies),
    )
    found, out = run(tmp_path, capsys, text)
    assert found == code
    assert words in out


RIGHT = """
@HM_GM.right("{name}")
def _(a: Any, b: Any, m: Any) -> Any:
    return {formula}


CLAIMS = frozen"""


@pytest.mark.parametrize(
    ("formula", "code", "words"),
    [
        ("(a + b) / 2 - m.sqrt(a * b)", 0, "as expected"),
        ("2 * a * b / (a + b) - m.sqrt(a * b)", 3, "fails on every right variant too: Balls"),
    ],
)
def test_a_refuting_check_must_be_able_to_stop(tmp_path, capsys, formula, code, words):
    right = RIGHT.format(name="AM for HM", formula=formula).lstrip()
    found, out = run(tmp_path, capsys, edited(("CLAIMS = frozen", right)))
    assert found == code
    assert words in out

"""The run refuses: a tampered ledger gives the exit code and the words that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from isr_theory import verify

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


def test_a_missing_engine_leaves_the_run_incomplete(tmp_path, capsys):
    code, out = run(tmp_path, capsys, EXAMPLE, "--route", "certified")
    assert code == 4
    assert "incomplete: not asked for" in out


def test_an_assumption_that_nothing_satisfies_is_vacuous(tmp_path, capsys):
    text = edited(
        ("import Answer, Kind", "import Answer, Assumption, Kind"),
        (
            "expect=Verdict.VERIFIED,",
            "expect=Verdict.VERIFIED,\n    assumes=(Assumption('none', Text('', ''), "
            "lambda x: False, examples=(1, 2)),),",
        ),
    )
    code, out = run(tmp_path, capsys, text)
    assert code == 3
    assert "vacuous: no example satisfies the assumption 'none'" in out

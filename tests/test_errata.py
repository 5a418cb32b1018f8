"""The errata: made of the committed verdicts, whole, and each in its own language."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest

from isr_theory.report import document, errata

ROOT = Path(__file__).parent.parent
COMMITTED = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
PAGES = errata.pages(COMMITTED)
PAPER = [row for row in COMMITTED["claims"] if row["section"] in errata.SECTIONS]
REFUTED = [row for row in PAPER if row["verdict"] == "REFUTED"]


def test_the_committed_pages_are_what_the_committed_verdicts_give():
    assert errata.stale(ROOT / "docs", COMMITTED) == []


def test_a_changed_finding_makes_both_pages_stale():
    changed = copy.deepcopy(COMMITTED)
    row = next(row for row in changed["claims"] if row["id"] == "C7.5.b")
    row["finding"] = {"en": "Otherwise.", "zh": "并非如此。"}
    assert errata.stale(ROOT / "docs", changed) == ["errata.md", "errata.zh.md"]


def test_every_section_of_the_ledger_has_a_name():
    sections = {row["section"] for row in COMMITTED["claims"]}
    assert sections - set(errata.SECTIONS) == {"beyond", "experiments", "library"}


@pytest.mark.parametrize("row", REFUTED, ids=lambda row: row["id"])
@pytest.mark.parametrize("name", PAGES)
def test_each_refuted_statement_stands_with_its_witness_and_its_amendment(name, row):
    page = PAGES[name]
    entry = re.search(rf"\n### {re.escape(row['id'])}[:：].*?(?=\n##|\Z)", page, re.S)
    assert entry, row["id"]
    assert row["statement"] in entry[0]
    witness = document.failing_witness(row)
    assert all(f"{key} = {value}" in entry[0] for key, value in witness["point"].items())
    amendments = [other for other in COMMITTED["claims"] if row["id"] in other["amends"]]
    assert amendments
    assert all(f"**{other['id']}**" in entry[0] for other in amendments)


def test_every_proof_that_falls_short_is_named():
    for row in PAPER:
        if row["proof_remark"]:
            assert all(row["id"] in page for page in PAGES.values())


def test_what_is_true_and_what_the_paper_does_not_print_has_no_entry():
    headings = re.findall(r"^### ([A-Z][\w.]*)", PAGES["errata.md"], re.M)
    assert sorted(headings) == sorted(row["id"] for row in REFUTED)


def test_the_chinese_page_is_chinese():
    for line in PAGES["errata.zh.md"].splitlines():
        mathematics = re.sub(r"`[^`]*`|\*\*[^*]*\*\*|\[[^]]*\]\([^)]*\)", "", line)
        words = re.findall(r"[a-z]{5,}", mathematics)
        if "\\" not in line and not line.startswith(("#", "```")):
            assert not words or re.search(r"[\u4e00-\u9fff]", line), line
    assert "statement" not in re.sub(r"```math.*?```", "", PAGES["errata.zh.md"], flags=re.S)


def test_no_escape_makes_a_link_or_loses_emphasis():
    for page in PAGES.values():
        bare = re.sub(r"```math.*?```|`[^`\n]*`", "", page, flags=re.S)
        assert bare.count("**") % 2 == 0
        assert not re.search(r"(?<!\\)\](?!\()", bare)


def test_contrast_says_what_does_hold():
    for shows, held in (
        ("not 1/4 == 0", "1/4 != 0"),
        ("not 0 >= 3/10", "0 < 3/10"),
        ("not 1 <= 1/2", "1 > 1/2"),
        ("not 2 < 1", "2 >= 1"),
        ("not 0 != 0", ""),
        ("not 0 < 0", ""),
        ("not 1/2 != 2/4", "1/2 == 2/4"),
        ("0.250000000000 against 0", "0.25 != 0"),
        ("not 1.00000000000 <= 0e-57", "1 > 0"),
        ("not 1.50e-10 > 100", "1.50e-10 <= 100"),
        ("the slope is 0", ""),
    ):
        assert document.contrast({"point": {}, "shows": shows}) == held
    assert document.contrast({"point": {}}) == ""

"""The paper: its numbers are macros, its ids are the ledger's, and nothing printed is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from figures.__main__ import catalogue
from isr_theory.report.markdown import LABELLED

ROOT = Path(__file__).parent.parent
PAPER = ROOT / "paper"
COMMITTED = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
CLAIMS = {row["id"]: row for row in COMMITTED["claims"]}
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in PAPER.glob("**/*.tex")
           if "out" not in path.relative_to(PAPER).parts}  # fmt: skip
SECTIONS = {name: text for name, text in SOURCES.items() if name != "preamble.tex"}
BY_ID = (
    r"\\(?:id|ids|verdict|claim|erratum|brief|prediction|gap"
    r"|isrid|isrverdict|isrwitness|isrfinding)"
)

# Versions of the paper are names and not numbers.
ALLOWED = {"3.0", "3.1"}


def ids(text):
    listed = re.findall(BY_ID + r"\{([A-Z][^}#]*)\}", text)
    quoted = re.findall(r"\\isrnumber\*?\{([^}]*)\}", text)
    return {id.strip() for names in listed for id in names.split(",")} | set(quoted)


def without_macros(text):
    """Return what is typed by hand: no comments, ids, quoted numbers or keys."""
    text = re.sub(r"(?<!\\)%.*", "", text)
    text = re.sub(r"\\isrnumber\*?\{[^}]*\}\s*\{[^}]*\}", "", text)
    text = re.sub(BY_ID + r"\{[^}]*\}", "", text)
    return re.sub(r"\\(?:label|ref|cite|input|seefigure|isrfigure)\{[^}]*\}", "", text)


def test_there_is_a_paper():
    assert {"main.tex", "preamble.tex", "abstract.tex", "closed_form.tex"} <= set(SOURCES)
    inputs = set(re.findall(r"\\input\{sections/(\w+)\}", SOURCES["main.tex"]))
    files = {path.stem for path in (PAPER / "sections").glob("*.tex")}
    assert inputs - {"lm"} == files - {"lm"}


@pytest.mark.parametrize("name", SECTIONS)
def test_no_decimal_number_is_typed(name):
    typed = re.findall(r"\d*\.\d+", without_macros(SECTIONS[name]))
    # Numbers of the original's sections and theorems are names too.
    names = set(
        re.findall(r"(?:Theorem|Algorithm|decomposition of|rule of)\s+(\d+\.\d)", SECTIONS[name])
    )
    assert set(typed) <= ALLOWED | names


def test_the_search_for_decimals_finds_one():
    assert re.findall(r"\d*\.\d+", without_macros(r"\id{T8.2} at $\sigma = 0.5$ % 0.7")) == ["0.5"]


@pytest.mark.parametrize("name", SECTIONS)
def test_every_id_and_number_is_in_the_ledger(name):
    assert ids(SECTIONS[name]) <= set(CLAIMS)
    for id, number in re.findall(r"\\isrnumber\*?\{([^}]*)\}\s*\{([^}]*)\}", SECTIONS[name]):
        assert " ".join(number.split()) in CLAIMS[id]["numbers"]


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_refuted_is_called_so_and_what_holds_is_not(name):
    text = SECTIONS[name]
    for id in re.findall(r"\\erratum\{([^}]*)\}", text):
        assert CLAIMS[id]["verdict"] == "REFUTED"
    for id in re.findall(r"\\claim\{([A-Z][^}]*)\}", text):
        assert CLAIMS[id]["verdict"] in ("VERIFIED", "SUPPORTED")
    for id in re.findall(r"\\brief\{([A-Z][^}]*)\}", text):
        assert not CLAIMS[id]["predicted"]
    for id in re.findall(r"\\prediction\{([A-Z][^}]*)\}", text):
        assert CLAIMS[id]["predicted"] in ("SUPPORTED", "REFUTED")
    for id in re.findall(r"\\gap\{([^}]*)\}", text):
        assert CLAIMS[id]["proof_remark"]


def test_every_statement_of_the_original_and_every_new_one_is_named():
    named = set().union(*(ids(text) for text in SECTIONS.values()))
    missing = {id for id, row in CLAIMS.items() if row["section"] != "experiments"} - named
    assert not missing
    assert {id for id in CLAIMS if id.startswith(("BAN.", "LM."))} <= named
    assert sum(bool(LABELLED.match(id)) for id in named) > 50


def test_every_figure_is_in_the_paper_and_is_referred_to():
    text = "".join(SECTIONS.values())
    placed = re.findall(r"\\isrfigure\{(\w+)\}", text)
    assert sorted(placed) == sorted(catalogue())
    assert set(re.findall(r"\\seefigure\{(\w+)\}", text)) == set(placed)


def test_every_printed_label_is_stated_in_full():
    stated = {
        id
        for text in SECTIONS.values()
        for id in re.findall(r"\\(?:claim|erratum)\{([A-Z][^}]*)\}", text)
    }
    labelled = {id for id in CLAIMS if LABELLED.match(id)}
    assert {".".join(id.split(".")[:2]) for id in labelled} == {
        ".".join(id.split(".")[:2]) for id in stated if LABELLED.match(id)
    }
    assert {id for id in labelled if CLAIMS[id]["verdict"] == "REFUTED"} <= stated

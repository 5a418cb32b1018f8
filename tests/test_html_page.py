"""The page as text: whole, escaped, self-contained, and the same for the same run."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sympy

from figures import captions
from isr_theory import verify
from isr_theory.claim import PrintedProof, Text, Verdict
from isr_theory.claims import ledger
from isr_theory.judge import Options, judge
from isr_theory.report import document, graph, html
from isr_theory.report.html import assets, claims, laws, page, pictures, relations, words

ROOT = Path(__file__).parent.parent
SOME = ("T8.2", "T8.3.a", "T8.3.b", "T8.3.b.fix", "C7.5.b", "C7.5.b.fix")


@pytest.fixture(scope="module")
def full():
    content = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
    return {**content, "assumptions": document.assumptions(ledger())}


@pytest.fixture(scope="module")
def text(full):
    return page.page(full)


def only(full, *ids):
    return {**full, "claims": [row for row in full["claims"] if row["id"] in ids]}


class Read(HTMLParser):
    """Every element with its attributes, and the words that stand outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.inside = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.words.append(data)


def test_every_claim_is_there_with_all_that_is_known_of_it(full, text):
    read = Read(text)
    shown = {a["id"] for tag, a in read.elements if a.get("class") == "claim"}
    assert shown == {row["id"] for row in full["claims"]} == {claim.id for claim in ledger()}
    words = set(read.words)
    for row in full["claims"]:
        assert set(row["title"].values()) | set(row["finding"].values()) <= words
        for finding in row["findings"]:
            assert {finding["check"], finding["scope"]} - {""} <= words
        assert {variant["name"] for variant in row["wrong"]} <= words
        assert set(row["right"]) <= words
        for text in (row["reading"], row["source"], row["reason"]):
            assert not text or text in words
        for key in row["assumes"]:
            assert set(full["assumptions"][key].values()) <= words
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(set(ids)) == len(ids)
    links = {a["href"][1:] for _, a in read.elements if "href" in a}
    assert links <= set(ids)


def test_what_a_printed_proof_lacks_stands_beside_its_verdict(full):
    rows = {row["id"]: row for row in full["claims"] if row["proof_remark"]}
    assert {row["printed_proof"] for row in rows.values()} == {"gap", "wrong"}
    for id, row in rows.items():
        heard = Read(page.page(only(full, id))).words
        # From the facts on: the filter above has the same words.
        at = heard.index("Printed proof", heard.index(row["finding"]["zh"]))
        assert heard[at : at + 8] == [
            *words.PROOF,
            *words.PROOFS[row["printed_proof"]],
            *words.LACKS,
            *(row["proof_remark"][language] for language in ("en", "zh")),
        ]
    (row,) = only(full, "T8.2")["claims"]
    assert row["proof_remark"] is None
    assert words.LACKS.en not in Read(page.page(only(full, "T8.2"))).words
    assert set(words.PROOFS) == {proof.value for proof in PrintedProof}


def test_a_failure_is_shown_at_its_exact_witness(full):
    heard = Read(page.page(only(full, "T8.3.b"))).words
    fails = heard[heard.index(words.FAILS_AT.zh) + 1]
    # The certified route has a bound of it, 0.023; the value itself is 0.
    assert fails == "mu = Exp(1), pi = Exp(2/5), rho_min = 3/10: not 0 >= 3/10"


def test_nothing_is_asked_of_anybody(text):
    for tag, attributes in Read(text).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    # %23 is a # inside a drawing that is in the style sheet itself.
    assert set(re.findall(r"url\(\"?([a-z]+:|[^d#])", assets.style())) == {"data:", "%"}
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_the_same_run_gives_the_same_page_of_a_moderate_size(full, text):
    assert text == page.page(full)
    assert len(text.encode()) < 3_000_000


def test_what_a_ledger_says_stays_text(full):
    evil = "</script><script>alert(1)</script><b>&amp;"
    (row,) = only(full, "T8.2")["claims"]
    row = {**row, "title": {"en": evil, "zh": evil}, "statement": evil, "section": evil}
    read = Read(page.page({**full, "claims": [row]}))
    assert sum(tag == "script" for tag, _ in read.elements) == len(assets.scripts(""))
    assert evil in read.words


def test_links_of_a_selection_lead_nowhere_else(full):
    read = Read(page.page(only(full, *SOME)))
    ids = {a["id"] for _, a in read.elements if "id" in a}
    assert {a["href"][1:] for _, a in read.elements if "href" in a} <= ids
    assert set(SOME) <= ids


def test_relations_are_read_both_ways(full):
    found = relations.relations(relations.as_found(full))
    assert "T8.3.b.fix" in found["amended by"]["T8.3.b"]
    assert "T8.3.b" in found["amends"]["T8.3.b.fix"]
    for claim in ledger():
        for name in claim.amends:
            assert claim.id in found["amended by"][name]
        for name in claim.sharpens:
            assert claim.id in found["sharpened by"][name]
    assert found["rests on refuted"] == {
        id: list(on) for id, on in graph.resting_on_refuted(ledger()).items()
    }
    for arrow in graph.arrows(ledger()):
        if not arrow.amends:
            assert arrow.end in found["used by"][arrow.start]


def test_the_graph_shows_what_the_run_found(full):
    (row,) = only(full, "T8.2")["claims"]
    (claim,) = relations.as_found({"claims": [{**row, "verdict": "CONFLICT"}]})
    assert claim.expect is Verdict.CONFLICT
    assert claim.title == Text(**row["title"])


def test_statements_are_cut_only_outside_braces():
    cut = claims.formulas
    assert cut(r"a = b,\quad c") == ["a = b,", "c"]
    assert cut(r"a\ \Rightarrow\ b \iff c") == ["a", r"\Rightarrow\ b", r"\iff c"]
    assert cut(r"\text{a \quad b}\qquad\left(c \quad d\right)") == [
        r"\text{a \quad b}",
        r"\left(c \quad d\right)",
    ]
    assert cut(r"\{a \quad b\}") == [r"\{a", r"b\}"]
    assert cut(r"a \quadratic") == [r"a \quadratic"]


def test_no_statement_loses_a_symbol_where_it_is_cut():
    def symbols(text):
        return re.sub(r"\\q?quad(?![a-zA-Z])|\\[ ,;]|\s", "", text)

    for claim in ledger():
        assert symbols("".join(claims.formulas(claim.statement))) == symbols(claim.statement)


def test_what_the_page_carries_is_what_was_published():
    vendor = ROOT / "isr_theory/report/html/assets/vendor"
    readme = (vendor / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \| .*? \| .*?, (\S+) \| ([0-9a-f]{64}) \|$", readme, re.M)
    licences = {licence for _, licence, _ in rows}
    assert {path.name for path in vendor.iterdir()} == {"README.md", *licences} | {
        name for name, _, _ in rows
    }
    for name, _, digest in rows:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    read = {*assets.STYLES, *assets.LIBRARIES, assets.FONT}
    assert {f"vendor/{name}" for name, _, _ in rows} <= read


@pytest.mark.parametrize("law", laws.laws(), ids=lambda law: law.key)
def test_a_law_is_one_of_weights_with_the_variance_that_it_names(law):
    cumulant = laws.cumulant(law)
    for sigma2 in (sympy.Rational(1, 50), sympy.Rational(2, 5), sympy.Rational(19, 20)):
        of = cumulant.subs(laws.SIGMA2, sigma2)
        for order in (0, 1):
            assert abs(of.subs(laws.ORDER, order).evalf(30)) < 1e-25
        variance = sympy.diff(of, laws.ORDER, 2).subs(laws.ORDER, 0).evalf(40)
        assert abs(variance - sigma2) < 1e-25


def test_figures_are_found_with_the_claims_of_their_captions(tmp_path, full):
    known = {row["id"]: row for row in full["claims"]}
    caption = captions.caption("Drawn for a test.", ("T8.2", "T8.3.b"), known)
    (tmp_path / "one.txt").write_text(caption, encoding="utf-8")
    (tmp_path / "one.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (picture,) = pictures.pictures(tmp_path)
    assert picture[:3] == ("one", "Drawn for a test.", ("T8.2", "T8.3.b"))
    assert picture == pictures.pictures(tmp_path)[0]
    assert pictures.pictures(tmp_path / "missing") == []
    assert page.belongs(picture, full)
    assert not page.belongs(picture, only(full, "C7.5.b"))
    text = page.page(only(full, "T8.2"), [picture])
    assert 'href="#figure-one"' in text
    assert 'id="figure-one"' in text
    assert "figure-one" not in page.page(only(full, "C7.5.b"), [picture])


def test_a_run_that_went_wrong_says_so():
    (claim,) = (claim for claim in ledger() if claim.id == "T8.2")
    claim = replace(claim, expect=Verdict.REFUTED)
    full = document.document([claim], [judge(claim, Options())], seed=0)
    words = Read(page.page(full)).words
    assert "expected REFUTED" in " ".join(words)
    assert "0 of them as isr_theory" in " ".join(words)


def test_the_command_writes_one_page(tmp_path, capsys):
    folder = tmp_path / "new" / "page"
    assert verify.main(["T8.2", "--html", str(folder), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{folder / 'index.html'}: 1 claims, " in said
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert 'id="T8.2"' in (folder / "index.html").read_text(encoding="utf-8")


def test_a_ledger_of_ones_own_has_a_page(tmp_path):
    own = str(ROOT / "docs" / "own_claims.py")
    assert verify.main(["all", "--ledger", own, "--html", str(tmp_path), "--jobs", "1"]) == 0
    assert 'class="claim"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_refused_before_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(verify, "_judge", lambda *_: pytest.fail("it ran"))
    taken = tmp_path / "file"
    taken.write_text("", encoding="utf-8")
    assert verify.main(["T8.2", "--html", str(taken)]) == 2
    (tmp_path / "folder" / "index.html").mkdir(parents=True)
    assert verify.main(["T8.2", "--html", str(tmp_path / "folder")]) == 2
    assert verify.main(["list", "--html", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "File exists" in said
    assert "is a directory" in said
    assert "'list' judges nothing" in said
    monkeypatch.setattr(html.importlib.util, "find_spec", lambda name: None)
    assert verify.main(["T8.2", "--html", str(tmp_path)]) == 2
    assert "pip install 'isr-theory[graph]'" in capsys.readouterr().err

"""The ledger for LaTeX: prose, statements in pieces, numbers, and what every field becomes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from isr_theory import verify
from isr_theory.report import latex
from isr_theory.report.prose import tex

ROOT = Path(__file__).parent.parent
COMMITTED = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
MACROS = latex.macros(COMMITTED)

# What amsmath and amssymb provide of what the ledger uses. A word that runs into the next one,
# such as \quadZ, is a command that does not exist and is not here.
KNOWN = set(
    re.findall(
        r"\w+",
        """
    Big Bigl Bigr bigl bigr big bigm biggl biggr left right Delta Gamma Phi Theta alpha beta chi
    delta epsilon eta gamma kappa lambda mu nu phi pi psi rho sigma tau theta varphi xi zeta Pr
    Rightarrow Vert arg bar binom cap cdot cos cosh cup dots downarrow emptyset equiv exists exp
    forall frac ge hat iff in inf infty int langle ldots le lim liminf limsup ln log mapsto mathbb
    mathbf mathcal mathrm max mid min nabla ne ni not operatorname overline partial perp pm prod
    propto qquad quad rangle sim sin sinh sqrt subset sum sup tan tanh text textstyle tfrac tilde
    times to top vee wedge
    """,
    )
)


@pytest.mark.parametrize("row", COMMITTED["claims"], ids=lambda row: row["id"])
def test_statements_use_commands_that_exist(row):
    assert set(re.findall(r"\\([A-Za-z]+)", row["statement"])) <= KNOWN


@pytest.mark.parametrize("row", COMMITTED["claims"], ids=lambda row: row["id"])
def test_every_text_is_balanced_tex(row):
    texts = [row["title"]["en"], row["finding"]["en"], row["source"], row["reading"]]
    if row["proof_remark"]:
        texts.append(row["proof_remark"]["en"])
    for made in (*map(tex, texts), latex.statement(row["statement"])):
        bare = re.sub(r"\\[{}]", "", made)
        depth = [0]
        for sign in re.findall(r"[{}]", bare):
            depth.append(depth[-1] + (1 if sign == "{" else -1))
        assert min(depth) == depth[-1] == 0, made
        assert made.isascii() or re.search("[áéö]", made), made
        assert "$" not in made
        # A bare special sign of text would be an error of TeX, and ^ is one outside \ensuremath.
        assert not re.search(r"(?<!\\)[#%&]", made), made


PROSE = [
    ("w^(2 gamma) <= 1", r"@w@@{}^{2\gamma}@ @\le@ 1"),
    ("E_mu[r s]", r"@\mathbb{E}@@{}_{\mu}@[@r@ @s@]"),
    ("a policy's gamma", r"a policy's @\gamma@"),
    ("sigma2 = 4 and kappa3 > 0", r"@\sigma^{2}@ @=@ 4 and @\kappa_{3}@ @>@ 0"),
    ("p* at -1/2, 5% - all", r"@p@@{}^{*}@ at @-@1/2, 5\% @-@ all"),
    ("γ²σ² ≥ −log ρ_min", r"@\gamma@@{}^2@@\sigma@@{}^2@ @\ge@ @-@log @\rho@@{}_{\min}@"),
    ("9.3e15 by T6.2", r"@9.3\cdot10^{15}@ by T6.2"),
    ("two gamma laws of Renyi", r"two gamma laws of R\'enyi"),
    ("Bias''(1) and A'", r"@\mathrm{Bias}''@(1) and @A'@"),
    ("r = e^(by) in pi_eff", r"@r@ @=@ @e@@{}^{by}@ in @\pi@@{}_{\mathrm{eff}}@"),
    ("sqrt(w) log w", r"@\sqrt{w}@ log @w@"),
    ("'it is' {x}_1", r"`it is' \{@x@\}@{}_{1}@"),
]


@pytest.mark.parametrize(("plain", "made"), PROSE)
def test_plain_text_becomes_the_mathematics_that_it_means(plain, made):
    assert tex(plain) == re.sub("@([^@]+)@", lambda m: rf"\ensuremath{{{m[1]}}}", made)


def test_a_statement_breaks_outside_brackets_only():
    made = latex.statement(r"f(a,\ b) = 1,\quad \text{if } \bigl(x,\quad y\bigr) \in [0, 1],\ c\,")
    pieces = made.split(r"\quad \ensuremath")
    assert len(pieces) == 3
    assert pieces[0] == r"\ensuremath{\displaystyle f(a,\ b) = 1},"
    assert pieces[2] == r"{\displaystyle c\,}"


NUMBERS = [
    ("0.636792249254269061", None, r"\ensuremath{0.636792249254269061}"),
    ("0.636792249254269061", 4, r"\ensuremath{0.6368}"),
    ("3/17, -0.0123456", 4, r"\ensuremath{3/17}, \ensuremath{-0.01235}"),
    ("9.33435441958e+15", 4, r"\ensuremath{9.334\cdot10^{15}}"),
    ("6.82e-5", None, r"\ensuremath{6.82\cdot10^{-5}}"),
    ("1024", 2, r"\ensuremath{1024}"),
]


@pytest.mark.parametrize(("value", "digits", "made"), NUMBERS)
def test_numbers(value, digits, made):
    assert latex.number(value, digits) == made


def test_every_claim_and_every_number_has_its_macro():
    for row in COMMITTED["claims"]:
        assert rf"\isrset{{verdict}}{{{row['id']}}}{{{row['verdict']}}}%" in MACROS
        assert rf"\isrlabel{{{row['id']}}} & " in MACROS
        for name in row["numbers"]:
            # Names are looked up with \csname: these signs would not survive in it.
            assert not set(name) & set("\\{}%#&~$")
            assert rf"\isrset{{number}}{{{row['id']}@{name}}}" in MACROS
    keys = re.findall(r"\\isrset\{(\w+)\}\{([^}]*)\}", MACROS)
    assert len(keys) == len(set(keys)) > 2000


def test_counts_agree_with_the_summary():
    counts = {what: int(n) for what, n in re.findall(r"\{count\}\{([^}]+)\}\{(\d+)\}", MACROS)}
    verdicts = COMMITTED["summary"]["verdicts"]
    assert {what: counts[what] for what in verdicts} == verdicts
    assert counts["refuted statements of the paper"] < counts["statements of the paper"]
    sections = [row["section"] for row in COMMITTED["claims"]]
    assert counts["beyond the paper"] == sections.count("beyond")
    predicted = [row for row in COMMITTED["claims"] if row["predicted"]]
    assert counts["predictions"] == len(predicted)
    # What was predicted to be refuted, and is, did not fail.
    as_predicted = [row for row in predicted if row["verdict"] == row["predicted"]]
    assert any(row["verdict"] == "REFUTED" for row in as_predicted)
    apart = counts["failed predictions"] + counts["undecided predictions"]
    assert counts["predictions"] == len(as_predicted) + apart


def test_the_command_writes_what_the_committed_document_gives(tmp_path, capsys):
    path = tmp_path / "ledger.tex"
    assert verify.main(["T7.4", "--latex", str(path), "--jobs", "1"]) == 0
    written = path.read_text(encoding="utf-8")
    mine = [line for line in written.splitlines() if "{T7.4" in line and "isrset" in line]
    committed = MACROS.splitlines()
    assert len(mine) == 9
    assert all(line in committed for line in mine)
    assert "VERIFIED" in capsys.readouterr().out


def test_the_paper_quotes_the_committed_verdicts(tmp_path):
    command = [sys.executable, "scripts/paper_macros.py", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert (tmp_path / "out" / "ledger.tex").read_text(encoding="utf-8") == MACROS
    captions = (tmp_path / "out" / "captions.tex").read_text(encoding="utf-8")
    drawn = {path.stem for path in (ROOT / "figures" / "out").glob("*.txt")}
    assert set(re.findall(r"\\isrset\{caption\}\{(\w+)\}", captions)) == drawn


def test_an_unwritable_file_is_refused_before_the_run(capsys):
    assert verify.main(["all", "--latex", "/no/such/folder/ledger.tex"]) == 2
    captured = capsys.readouterr()
    assert "No such file or directory" in captured.err
    assert "VERIFIED" not in captured.out


def test_two_outputs_in_one_file_are_refused(tmp_path, capsys):
    path = str(tmp_path / "one")
    assert verify.main(["T8.2", "--json", path, "--latex", path]) == 2
    assert "written twice" in capsys.readouterr().err


PAGE = r"\documentclass{article}\usepackage{amsmath,amssymb,array,longtable}\input{ledger}"
ERRORS = [
    (r"\isrverdict{T99.9}", "there is no claim 'T99.9'"),
    (r"\isrnumber{T99.9}{x}", "there is no claim 'T99.9'"),
    (r"\isrnumber{T7.4}{V at the moon}", "claim 'T7.4' has no number 'V at the moon'"),
    (r"\isrwitness{T7.4}", "claim 'T7.4' has no witness"),
    (r"\isrcount{sheep}", "nothing is counted as 'sheep'"),
    (r"\isrverdict{T7.4} \isrstatement{T7.4} \isrnumber*{T7.4}{V at sigma2 = 1, gamma = 1/4}", ""),
]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="TeX is not installed")
@pytest.mark.parametrize(("asked", "error"), ERRORS)
def test_tex_refuses_what_the_ledger_does_not_have(asked, error, tmp_path):
    (tmp_path / "ledger.tex").write_text(MACROS, encoding="utf-8")
    page = rf"{PAGE}\begin{{document}}{asked}\end{{document}}"
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", page]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert (done.returncode != 0) is bool(error)
    assert error in " ".join(done.stdout.split())


def test_captions_keep_the_verdicts_and_leave_the_findings():
    made = latex.captions(
        {"one": "What w is.\nT8.2, VERIFIED: Exact: yes.\nC7.5.b, REFUTED: No.\n"}
    )
    assert r"What \ensuremath{w} is. Claims shown: \isrlabelled{T8.2} VERIFIED, " in made
    assert r"\isrlabelled{C7.5.b} REFUTED.}%" in made
    assert "Exact" not in made

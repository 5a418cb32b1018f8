r"""The ledger for LaTeX: macros through which a paper quotes verdicts and numbers, and its table.

    \input{ledger}  Theorem T8.2 is \isrverdict{T8.2}; at 1/4 it is \isrnumber*{C7.5.c}{n Var ...}.

A name that the ledger does not have is an error of TeX, so that a paper cannot outlive what it
quotes. The text depends on the committed form of a run alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from isr_theory.claim import Outcome, Route
from isr_theory.claims import listed_ids
from isr_theory.report.document import Document, contrast, failing_witness
from isr_theory.report.prose import tex

DIGITS = 4
"""Significant digits of the starred form, \\isrnumber*."""

ACCESS = r"""% Made by isr_theory from its ledger: change a claim, not this file.
% \isrverdict{ID} \isrtitle{ID} \isrfinding{ID} \isrstatement{ID} \isrproof{ID} \isrremark{ID}
% \isrwitness{ID} \isrroutes{ID} \isrsource{ID} \isrpredicted{ID} \isrid{ID} \isrnumber{ID}{NAME}
% \isrnumber*{ID}{NAME} (rounded) \isrcount{WHAT} \isrtable (needs longtable and array).
% \isrstatement is for text and breaks into lines; \isrlabel may be redefined: an id in the table.
\def\isrset#1#2#3{\expandafter\gdef\csname isr@#1@#2\endcsname{#3}}
\protected\def\isrfetch#1#2#3{\ifcsname isr@#1@#2\endcsname\csname isr@#1@#2\endcsname
  \else\PackageError{isr}{#3}{The ledger was made by isr_theory; see its list of ids.}??\fi}
\protected\def\isrfield#1#2{\ifcsname isr@verdict@#2\endcsname
  \isrfetch{#1}{#2}{claim '#2' has no #1}\else\isrunknown{#2}\fi}
\protected\def\isrunknown#1{%
  \PackageError{isr}{there is no claim '#1'}{See the list of ids of isr_theory.}??}
\providecommand\isrlabel[1]{\texttt{#1}}
\NewDocumentCommand\isrid{m}{\isrfield{id}{#1}}
\NewDocumentCommand\isrroutes{m}{\isrfield{routes}{#1}}
\NewDocumentCommand\isrverdict{m}{\isrfield{verdict}{#1}}
\NewDocumentCommand\isrtitle{m}{\isrfield{title}{#1}}
\NewDocumentCommand\isrfinding{m}{\isrfield{finding}{#1}}
\NewDocumentCommand\isrstatement{m}{\isrfield{statement}{#1}}
\NewDocumentCommand\isrproof{m}{\isrfield{proof}{#1}}
\NewDocumentCommand\isrremark{m}{\isrfield{remark}{#1}}
\NewDocumentCommand\isrwitness{m}{\isrfield{witness}{#1}}
\NewDocumentCommand\isrsource{m}{\isrfield{source}{#1}}
\NewDocumentCommand\isrpredicted{m}{\isrfield{predicted}{#1}}
\NewDocumentCommand\isrnumber{s m m}{\ifcsname isr@verdict@#2\endcsname
  \isrfetch{\IfBooleanTF{#1}{round}{number}}{#2@#3}{claim '#2' has no number '#3'}%
  \else\isrunknown{#2}\fi}
\NewDocumentCommand\isrcount{m}{\isrfetch{count}{#1}{nothing is counted as '#1'}}
"""
TABLE = r"""\begin{longtable}{@{}l>{\raggedright\arraybackslash}p{0.52\linewidth}ll@{}}
claim & statement & verdict & proof \\\hline\noalign{\vskip2pt}\endhead
"""


def macros(full: Document) -> str:
    """Return the file of macros for a document, the whole run or its committed form."""
    order = {id: place for place, id in enumerate(listed_ids())}
    rows = sorted(full["claims"], key=lambda row: (order.get(row["id"], len(order)), row["id"]))
    lines = [line for row in rows for line in _settings(row)]
    lines += [_set("count", what, str(n)) for what, n in _counts(full).items()]
    table = "".join(
        rf"\isrlabel{{{row['id']}}} & {tex(row['title']['en'])} & \isrverdict{{{row['id']}}} & "
        rf"{'' if row['printed_proof'] == 'none' else row['printed_proof']} \\" + "\n"
        for row in rows
    )
    return (
        ACCESS
        + "\n".join(lines)
        + "\n\\NewDocumentCommand\\isrtable{}{%\n"
        + TABLE
        + table
        + "\\end{longtable}}\n"
    )


def _counts(full: Document) -> dict[str, int]:
    """Return how many claims there are, by verdict and by what the paper has to do with them."""
    rows = full["claims"]
    predictions = [row for row in rows if row["predicted"]]
    return {
        "claims": len(rows),
        **full["summary"]["verdicts"],
        "wrong variants": full["summary"]["wrong_variants"],
        "statements of the paper": sum(_of_paper(row) for row in rows),
        "refuted statements of the paper": sum(
            _of_paper(row) and row["verdict"] == "REFUTED" for row in rows
        ),
        "beyond the paper": sum(row["section"] == "beyond" for row in rows),
        "predictions": len(predictions),
        "failed predictions": sum(_failed(row) for row in predictions),
        "undecided predictions": sum(row["verdict"] == "OPEN" for row in predictions),
    }


def _failed(row: Document) -> bool:
    """Say whether the opposite of what was predicted came out; OPEN is neither."""
    return {row["verdict"], row["predicted"]} == {"SUPPORTED", "REFUTED"}


def _of_paper(row: Document) -> bool:
    """Say whether the paper prints it; an amendment stands in its section but is not printed."""
    apart = row["section"] in ("beyond", "experiments", "library")
    return not apart and not row["id"].endswith(".fix")


def _settings(row: Document) -> Iterator[str]:
    id = row["id"]
    witness = failing_witness(row)
    spoke = {f["route"] for f in row["findings"] if f["outcome"] in (Outcome.HOLDS, Outcome.FAILS)}
    yield _set("id", id, id)
    yield _set("verdict", id, row["verdict"])
    yield _set("routes", id, ", ".join(route for route in Route if route in spoke))
    yield _set("title", id, tex(row["title"]["en"]))
    yield _set("finding", id, tex(row["finding"]["en"]))
    yield _set("statement", id, statement(row["statement"]))
    yield _set("proof", id, row["printed_proof"])
    if row["proof_remark"]:
        yield _set("remark", id, tex(row["proof_remark"]["en"]))
    if row["source"]:
        yield _set("source", id, tex(row["source"]))
    if row["predicted"]:
        yield _set("predicted", id, row["predicted"])
    if witness is not None:
        yield _set("witness", id, _witness(witness))
    for name, value in row["numbers"].items():
        yield _set("number", f"{id}@{name}", number(value))
        yield _set("round", f"{id}@{name}", number(value, DIGITS))


def captions(texts: Mapping[str, str]) -> str:
    r"""Return captions of figures by name, for \isrfetch{caption}: what is drawn, and the verdicts.

    A text is a caption as `figures` writes it: a first line, then `ID, VERDICT: finding` a claim.
    """
    lines = []
    for name, text in texts.items():
        drawn, *claims = text.strip().split("\n")
        verdicts = [line.split(":")[0].split(", ") for line in claims]
        shown = ", ".join(rf"\isrlabelled{{{id}}} {verdict}" for id, verdict in verdicts)
        lines.append(_set("caption", name, f"{tex(drawn)} Claims shown: {shown}."))
    return r"\providecommand\isrlabelled[1]{\texttt{#1}}%" + "\n" + "\n".join(lines) + "\n"


def _set(field: str, key: str, value: str) -> str:
    # A letter after the last command of a value would become part of it; %% keeps lines apart.
    return rf"\isrset{{{field}}}{{{key}}}{{{value}}}%"


def _witness(witness: Document) -> str:
    names = {"log_w": "log w", "reward": "r"}
    point = ", ".join(
        tex(f"{names.get(name, name)} = {value}") for name, value in witness["point"].items()
    )
    shows = str(witness.get("shows", ""))
    held = contrast(witness) or ("" if shows.startswith("not ") else shows)
    return f"{point}: {tex(held)}" if held else point


def number(value: str, digits: int | None = None) -> str:
    """Return a named value of a claim for LaTeX: each part as mathematics, fractions as they are.

    `digits` rounds decimals to so many significant digits.
    """
    return ", ".join(rf"\ensuremath{{{_part(part, digits)}}}" for part in value.split(", "))


def _part(part: str, digits: int | None) -> str:
    try:
        exact = Decimal(part)
    except InvalidOperation:
        return part
    if digits is not None and not part.lstrip("-").isdigit():
        part = f"{exact:.{digits}g}"
    mantissa, _, exponent = part.lower().partition("e")
    return rf"{mantissa}\cdot10^{{{int(exponent)}}}" if exponent else mantissa


def statement(formula: str) -> str:
    r"""Return a formula for text, in pieces: a line may end at each \quad outside all brackets."""
    pieces = [piece.strip() for piece in _split(formula)]
    return r"\quad ".join(_inline(piece) for piece in pieces if piece)


def _inline(piece: str) -> str:
    body = piece.rstrip(",;: ")
    # `\,` and `\;` end in what looks like punctuation.
    if body.endswith("\\"):
        body = piece
    return rf"\ensuremath{{\displaystyle {body}}}{piece[len(body) :].strip()}"


_BREAK = re.compile(r"\\qquad(?![A-Za-z])|\\quad(?![A-Za-z])|(?<=[,;:])\\ ")
_BRACKET = re.compile(r"\\left(?![A-Za-z])|\\right(?![A-Za-z])|\\[{}]|\\.|[{}()\[\]]")


def _split(formula: str) -> Iterator[str]:
    start = 0
    for found in _BREAK.finditer(formula):
        if _depth(formula[: found.start()]) == 0:
            yield formula[start : found.start()]
            start = found.end()
    yield formula[start:]


def _depth(formula: str) -> int:
    depth = 0
    for found in _BRACKET.finditer(formula):
        bracket = found[0]
        depth += (bracket in ("{", "(", "[", r"\{")) - (bracket in ("}", ")", "]", r"\}"))
    return depth

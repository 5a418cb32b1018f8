"""The verdict table in Markdown, for the README and for `docs/verdicts.md`.

A file says with a comment which table it wants, and only what stands between the marks is written:

    <!-- verdicts: labelled -->
    <!-- verdicts: end -->
"""

from __future__ import annotations

import re

from isr_theory.report.document import Document

MARKED = re.compile(
    r"(<!-- verdicts: (labelled|all|summary) -->\n)(.*?)(<!-- verdicts: end -->)", re.S
)
# Theorem, definition, corollary, proposition, assumption or algorithm: what the paper numbers.
LABELLED = re.compile(r"^[TDCPA]\d+\.\d+(\.|$)")


def insert(text: str, full: Document) -> str:
    """Return a text with every marked table made anew from a document."""
    return MARKED.sub(lambda mark: mark[1] + _table(mark[2], full) + mark[4], text)


def _table(which: str, full: Document) -> str:
    if which == "summary":
        counts = ", ".join(f"{n} {verdict}" for verdict, n in full["summary"]["verdicts"].items())
        total = full["summary"]["claims"]
        return f"{total} claims: {counts}; {full['summary']['wrong_variants']} wrong variants.\n"
    rows = [row for row in full["claims"] if which == "all" or LABELLED.match(row["id"])]
    lines = ["| id | statement | verdict | printed proof | finding |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: _paper_order(row["id"])):
        cells = (row["id"], row["title"]["en"], row["verdict"], row["printed_proof"])
        lines.append(f"| {' | '.join(cells)} | {row['finding']['en']} |".replace("||", r"\|\|"))
    return "\n".join(lines) + "\n"


def _paper_order(id: str) -> tuple[list[int], str]:
    # The abstract has a number of its own only by its place before section 1.
    numbers = [int(digits) for digits in re.findall(r"\d+", id)]
    return ([0, *numbers] if id.startswith("ABS") else numbers or [99]), id

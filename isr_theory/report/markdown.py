"""The verdict table in Markdown, for the README and for `docs/verdicts.md`.

A file says with a comment which table it wants, and only what stands between the marks is written:

    <!-- verdicts: labelled -->
    <!-- verdicts: end -->
"""

from __future__ import annotations

import re

from isr_theory.claims import listed_ids
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
    order = {id: place for place, id in enumerate(listed_ids())}
    lines = ["| id | statement | verdict | printed proof | finding |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: order.get(row["id"], len(order))):
        cells = (row["id"], row["title"]["en"], row["verdict"], row["printed_proof"])
        escaped = (cell.replace("|", r"\|") for cell in (*cells, row["finding"]["en"]))
        lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines) + "\n"

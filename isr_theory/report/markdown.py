"""The verdict tables in Markdown, for the README and for `docs/verdicts.md`.

A file says with a comment which table it wants, and only what stands between the marks is written:

    <!-- verdicts: labelled -->
    <!-- verdicts: end -->

`predictions` is a table of all that is said of training, `predictions LM` of the ids that begin so.
"""

from __future__ import annotations

import re

from isr_theory.claims import listed_ids
from isr_theory.report.document import Document

TABLES = "labelled|paper|beyond|predictions(?: [A-Z]+)?|summary"
MARKED = re.compile(rf"(<!-- verdicts: ({TABLES}) -->\n)(.*?)(<!-- verdicts: end -->)", re.S)
# Theorem, definition, corollary, proposition, assumption or algorithm: what the paper numbers.
LABELLED = re.compile(r"^[TDCPA]\d+\.\d+(\.|$)")


Row = tuple[str, ...]


def insert(text: str, full: Document) -> str:
    """Return a text with every marked table made anew from a document."""
    return MARKED.sub(lambda mark: mark[1] + _table(mark[2], full) + mark[4], text)


def _table(which: str, full: Document) -> str:
    if which == "summary":
        counts = ", ".join(f"{n} {verdict}" for verdict, n in full["summary"]["verdicts"].items())
        total = full["summary"]["claims"]
        return f"{total} claims: {counts}; {full['summary']['wrong_variants']} wrong variants.\n"
    order = {id: place for place, id in enumerate(listed_ids())}
    rows = sorted(full["claims"], key=lambda row: order.get(row["id"], len(order)))
    if which == "beyond":
        head: Row = ("id", "statement", "verdict", "of the paper", "source", "finding")
        cells = [_beyond(row) for row in rows if row["section"] == "beyond"]
    elif which.startswith("predictions"):
        head = ("id", "prediction", "predicted", "what came of it", "finding")
        about = which.removeprefix("predictions").strip()
        own = [row for row in rows if row["predicted"]]
        cells = [_predicted(row) for row in own if not about or row["id"].startswith(f"{about}.")]
    else:
        head = ("id", "statement", "verdict", "printed proof", "finding")
        cells = [
            _printed(row)
            for row in rows
            if row["section"] != "beyond"
            and not row["predicted"]
            and (which == "paper" or LABELLED.match(row["id"]))
        ]
    lines = [_row(head), "|" + "---|" * len(head), *map(_row, cells)]
    return "\n".join(lines) + "\n"


def _row(cells: Row) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _printed(row: Document) -> Row:
    return row["id"], row["title"]["en"], row["verdict"], row["printed_proof"], row["finding"]["en"]


def _predicted(row: Document) -> Row:
    return row["id"], row["title"]["en"], row["predicted"], row["verdict"], row["finding"]["en"]


def _beyond(row: Document) -> Row:
    touched = [f"amends {', '.join(row['amends'])}"] if row["amends"] else []
    touched += [f"sharpens {', '.join(row['sharpens'])}"] if row["sharpens"] else []
    about = "; ".join(touched)
    return row["id"], row["title"]["en"], row["verdict"], about, row["source"], row["finding"]["en"]

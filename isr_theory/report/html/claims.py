"""One claim of the page: a line that opens into everything there is to say about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from isr_theory.claim import Outcome, Route, Text
from isr_theory.report.document import Document, failing_witness
from isr_theory.report.html import words
from isr_theory.report.html.elements import add, both, labelled

SPOKE = (Outcome.HOLDS, Outcome.FAILS)
SPACES = (r"\quad", r"\qquad")
BREAKS = (*SPACES, r"\Rightarrow", r"\iff")
# A space that TeX was told to keep, `\ `, is one command: half of it would break the formula.
TRIM = re.compile(r"^(?:\\[ ,;]|\s)+|(?:\\[ ,;]|\s)+$")
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[{}]")
Links = Mapping[str, Sequence[str]]
"""By relation, the ids that one claim leads to."""


def routes(row: Document) -> list[str]:
    """Return the routes with a finding for or against, in the order of `Route`."""
    spoke = {finding["route"] for finding in row["findings"] if finding["outcome"] in SPOKE}
    return [route.value for route in Route if route.value in spoke]


def formulas(statement: str) -> list[str]:
    r"""Cut a statement at each \quad, \Rightarrow and \iff outside all braces and delimiters.

    The parts are typeset one by one, so that a narrow page can break the line between them.
    """
    parts, depth, start = [], 0, 0
    for token in TOKEN.finditer(statement):
        word = token[0]
        depth += (word in ("{", r"\left")) - (word in ("}", r"\right"))
        if depth == 0 and word in BREAKS:
            parts.append(statement[start : token.start()])
            start = token.end() if word in SPACES else token.start()
    parts = [TRIM.sub("", part) for part in [*parts, statement[start:]]]
    return [part for part in parts if part]


def claim(parent: Element, row: Document, links: Links, full: Document) -> None:
    """Append one claim; `links` has what it leads to, `full` the words of its assumptions."""
    inside = add(
        parent,
        "details",
        id=row["id"],
        class_="claim",
        data_verdict=row["verdict"],
        data_routes=" ".join(routes(row)),
        data_proof=row["printed_proof"],
    )
    head = add(inside, "summary")
    name = add(head, "h4")
    add(name, "span", row["id"], class_="id")
    add(name, "span", row["verdict"], class_=f"verdict {row['verdict']}")
    labelled(name, "span", row["title"], class_="title")
    body = add(inside, "div", class_="body")
    labelled(body, "p", row["finding"], class_="finding")
    statement = add(body, "div", class_="statement", role="group", aria_label="Statement")
    for tex in formulas(row["statement"]):
        add(add(statement, "span", class_="formula", data_tex=tex), "code", tex)
    _facts(body, row, full)
    _relations(body, links, {other["id"] for other in full["claims"]})
    _evidence(body, row)
    _variants(body, row)


def _facts(body: Element, row: Document, full: Document) -> None:
    facts = add(body, "dl")
    _fact(facts, words.READ_AS, row["reading"])
    witness = failing_witness(row)
    if witness is not None:
        _fact(facts, words.FAILS_AT, _witness(witness))
    known = full.get("assumptions", {})
    if row["assumes"]:
        labelled(facts, "dt", words.ASSUMES)
    for key in row["assumes"]:
        said = labelled(facts, "dd", known.get(key, key))
        without = row["without"].get(key, "")
        if without:
            more = add(said, "div", class_="without")
            both(more, words.WITHOUT)
            add(more, "span", f": {without}")
    _fact(facts, words.PREDICTED, row["predicted"] or "")
    _fact(facts, words.PROOF, words.PROOFS[row["printed_proof"]])
    _fact(facts, words.LACKS, row["proof_remark"] or "")
    _fact(facts, words.ONE_ROUTE, row["reason"])
    _fact(facts, words.SOURCE, row["source"])
    numbers = "; ".join(f"{name} = {value}" for name, value in row["numbers"].items())
    _fact(facts, words.NUMBERS, numbers)
    problems = list(row.get("broken", ()))
    if row["verdict"] != row["expect"]:
        problems.append(f"expected {row['expect']}")
    if row.get("incomplete"):
        problems.append("incomplete")
    _fact(facts, words.PROBLEM, "; ".join(problems))


def _fact(facts: Element, name: Text, value: Text | Mapping[str, str] | str) -> None:
    if not value:
        return
    labelled(facts, "dt", name)
    if isinstance(value, str):
        add(facts, "dd", value)
    else:
        labelled(facts, "dd", value)


def _witness(witness: Document) -> str:
    point = ", ".join(f"{name} = {value}" for name, value in witness["point"].items())
    shows = witness.get("shows", "")
    return f"{point}: {shows}" if shows else point


def _relations(body: Element, links: Links, here: set[str]) -> None:
    shown = {relation: ids for relation, ids in links.items() if ids}
    if not shown:
        return
    facts = add(body, "dl", class_="relations")
    for relation, ids in shown.items():
        labelled(facts, "dt", words.RELATIONS[relation])
        said = add(facts, "dd")
        for id in ids:
            _link(said, relation, id, here)


def _link(said: Element, relation: str, id: str, here: set[str]) -> None:
    if relation == "figure":
        add(said, "a", id, href=f"#figure-{id}")
        return
    # A name such as C7.5 stands for all its parts; the first of them is the place to begin.
    parts = [name for name in sorted(here) if name == id or name.startswith(f"{id}.")]
    if parts:
        add(said, "a", id, href=f"#{parts[0]}")
    else:
        add(said, "span", id)


def _evidence(body: Element, row: Document) -> None:
    labelled(body, "h5", words.EVIDENCE)
    table = add(body, "table", class_="evidence")
    heads = add(table, "thead")
    for language, line in (
        ("en", add(heads, "tr", lang="en")),
        ("zh", add(heads, "tr", lang="zh-Hans")),
    ):
        for head in words.EVIDENCE_HEADS:
            add(line, "th", getattr(head, language), scope="col")
    inside = add(table, "tbody")
    for finding in row["findings"]:
        line = add(inside, "tr")
        add(line, "td", finding["route"])
        add(line, "td", finding["outcome"], class_=f"outcome {finding['outcome']}")
        add(line, "td", finding["strength"])
        add(line, "td", finding["check"])
        scope = add(line, "td", finding["scope"])
        if finding["whole"]:
            labelled(scope, "strong", words.WHOLE, class_="whole")
        shows = [_witness(finding["witness"])] if finding["witness"] else []
        detail = finding.get("detail", "")
        add(line, "td", "; ".join(shows + ([detail] if detail else [])))


def _variants(body: Element, row: Document) -> None:
    if row["wrong"]:
        labelled(body, "h5", words.WRONG)
        listed = add(body, "ul", class_="variants")
        for variant in row["wrong"]:
            item = add(listed, "li", variant["name"])
            # The committed form leaves out what sampling refuses; a run does not.
            nothing = "nothing" if "broken" in row else "nothing, or sampled alone"
            refused = ", ".join(variant["killed_by"]) or nothing
            add(item, "span", refused, class_="killed")
    if row["right"]:
        labelled(body, "h5", words.RIGHT)
        listed = add(body, "ul", class_="variants")
        for name in row["right"]:
            add(listed, "li", name)

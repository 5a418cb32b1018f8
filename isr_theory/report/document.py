"""One run as plain data: the JSON that `--json` writes, and its deterministic, committed form.

The committed form holds outcomes, strengths, scopes, exact witnesses and rounded certified digits,
and nothing that depends on a processor, a seed or a clock: no sampled number, no floating-point
digits of the neural route, no timings. So a difference in it is a difference in the mathematics.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from isr_theory.claim import Claim, Finding, Outcome, Route, Verdict
from isr_theory.judge import Result

SCHEMA = 1
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
EXACT_ROUTES = (Route.SYMBOLIC, Route.CERTIFIED)

Document = dict[str, Any]


def document(claims: Iterable[Claim], results: Iterable[Result], *, seed: int) -> Document:
    """Return the whole run: every claim with its findings, and a summary."""
    judged = {result.id: result for result in results}
    chosen = [claim for claim in claims if claim.id in judged]
    return {
        "schema": SCHEMA,
        "seed": seed,
        "claims": [_row(claim, judged[claim.id]) for claim in chosen],
        "assumptions": assumptions(chosen),
        "summary": summary(judged.values()),
    }


def assumptions(claims: Iterable[Claim]) -> Document:
    """Return the words of every assumption that some claim makes, by its key."""
    made = (assumption for claim in claims for assumption in claim.assumes)
    return {assumption.key: assumption.text._asdict() for assumption in made}


def _row(claim: Claim, result: Result) -> Document:
    return {
        "id": claim.id,
        "section": claim.section,
        "kind": claim.kind.value,
        "statement": claim.statement,
        "reading": claim.reading,
        "verdict": result.verdict.value,
        "expect": claim.expect.value,
        "predicted": claim.predicted.value if claim.predicted else None,
        "printed_proof": claim.printed_proof.value,
        "proof_remark": claim.proof_remark._asdict() if claim.proof_remark else None,
        "amends": list(claim.amends),
        "assumes": [assumption.key for assumption in claim.assumes],
        "without": {tried.assumption: tried.without for tried in result.tried},
        "sharpens": list(claim.sharpens),
        "source": claim.source,
        "uses": list(claim.uses),
        "numbers": dict(result.numbers),
        "title": claim.title._asdict(),
        "finding": claim.finding._asdict(),
        "incomplete": result.incomplete,
        "reason": claim.open_reason or claim.single_route,
        "findings": [_finding(finding) for finding in result.findings],
        "wrong": [
            {"name": kill.name, "killed_by": [route.value for route in kill.killed_by]}
            for kill in result.wrong
        ],
        "right": [variant.name for variant in claim.right],
        "broken": list(result.broken),
    }


def _finding(finding: Finding) -> Document:
    witness = finding.witness
    return {
        "route": finding.route.value,
        "check": finding.check,
        "outcome": finding.outcome.value,
        "strength": finding.strength.value,
        "scope": finding.scope.text,
        "whole": finding.scope.whole,
        "witness": None
        if witness is None
        else {"point": dict(witness.point), "shows": witness.shows},
        "detail": finding.detail,
    }


def summary(results: Iterable[Result]) -> Document:
    """Count verdicts, wrong variants and what is not as expected."""
    judged = list(results)
    verdicts = Counter(result.verdict for result in judged)
    kills = [kill for result in judged for kill in result.wrong]
    return {
        "claims": len(judged),
        "verdicts": {verdict.value: verdicts[verdict] for verdict in Verdict if verdicts[verdict]},
        "as_expected": sum(result.as_expected for result in judged),
        "incomplete": sum(result.incomplete for result in judged),
        "wrong_variants": len(kills),
        "killed": {
            route.value: sum(route in kill.killed_by for kill in kills)
            for route in Route
            if any(route in kill.killed_by for kill in kills)
        },
    }


def committed(full: Document) -> Document:
    """Return the deterministic form of a run: a difference in it is one in the mathematics."""
    rows = []
    for claim in sorted(full["claims"], key=lambda row: str(row["id"])):
        row = {key: value for key, value in claim.items() if key not in ("incomplete", "broken")}
        row["findings"] = sorted(
            (_without_floats(finding) for finding in claim["findings"]),
            key=lambda finding: (finding["route"], finding["check"]),
        )
        # Whether sampling sees a variant below its stated resolution is a matter of the seed.
        row["wrong"] = [
            {"name": w["name"], "killed_by": [r for r in w["killed_by"] if r != Route.SAMPLED]}
            for w in claim["wrong"]
        ]
        rows.append(row)
    counts = {key: full["summary"][key] for key in ("claims", "verdicts", "wrong_variants")}
    return {"schema": SCHEMA, "claims": rows, "summary": counts}


def _without_floats(finding: Document) -> Document:
    row = {key: value for key, value in finding.items() if key != "detail"}
    if finding["witness"] is not None and finding["route"] not in EXACT_ROUTES:
        row["witness"] = {"point": finding["witness"]["point"]}
    return row


def failing_witness(row: Document) -> Document | None:
    """Return the witness against a claim that says most: exact, and with the values found there."""
    against = [
        (not finding["witness"].get("shows"), place, finding["witness"])
        for place, finding in enumerate(sorted(row["findings"], key=_exactness))
        if finding["outcome"] == Outcome.FAILS and finding["witness"] is not None
    ]
    return min(against)[2] if against else None


def _exactness(finding: Document) -> int:
    return list(Route).index(Route(finding["route"]))


def contrast(witness: Document) -> str:
    """Return what was found at a witness, as the relation that does hold: `1/4 != 0`.

    It needs no words, so it serves in every language; empty where the witness says it otherwise,
    and where it would be no more than 0 == 0.
    """
    shows = str(witness.get("shows", ""))
    denied = re.fullmatch(r"not (\S+) (\S\S?) (\S+)", shows)
    if denied and denied[2] in OPPOSITE and denied[1] != denied[3]:
        return f"{_short(denied[1])} {OPPOSITE[denied[2]]} {_short(denied[3])}"
    apart = re.fullmatch(r"(\S+) against (\S+)", shows)
    return f"{_short(apart[1])} != {_short(apart[2])}" if apart else ""


def _short(number: str) -> str:
    """Return a decimal without the zeros at its end; a ball about 0 prints as 0e-57."""
    if re.fullmatch(r"0e-\d+", number):
        return "0"
    return re.sub(r"(\.\d*?)0+$", r"\1", number).rstrip(".") if "e" not in number else number


def text(content: Document) -> str:
    """Return the JSON text of a document, with a newline at its end."""
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def differences(old: Document, new: Document) -> list[str]:
    """Say in words where two committed documents differ, one line a claim."""
    before = {row["id"]: row for row in old.get("claims", [])}
    after = {row["id"]: row for row in new["claims"]}
    lines = [f"{id}: no longer there" for id in sorted(before.keys() - after.keys())]
    lines += [f"{id}: new" for id in sorted(after.keys() - before.keys())]
    for id in sorted(before.keys() & after.keys()):
        changed = [key for key in after[id] if before[id].get(key) != after[id][key]]
        if changed or before[id].keys() != after[id].keys():
            lines.append(f"{id}: {', '.join(changed) or 'fields'} differ")
    return lines

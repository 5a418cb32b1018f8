"""How the claims of a document hang together, read both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isr_theory.claim import Claim, Kind, PrintedProof, Text, Verdict
from isr_theory.report.document import Document
from isr_theory.report.graph import arrows, resting_on_refuted

Relations = Mapping[str, Mapping[str, list[str]]]
"""By relation, by claim: the ids that it leads to."""


def as_found(full: Document) -> list[Claim]:
    """Return the rows as claims without checks, expecting the verdict that the run came to."""
    return [
        Claim(
            id=row["id"],
            section=row["section"],
            kind=Kind(row["kind"]),
            title=Text(**row["title"]),
            finding=Text(**row["finding"]),
            statement=row["statement"],
            expect=Verdict(row["verdict"]),
            printed_proof=PrintedProof(row["printed_proof"]),
            subject=None,
            checks=(),
            uses=tuple(row["uses"]),
            amends=tuple(row["amends"]),
            sharpens=tuple(row["sharpens"]),
        )
        for row in full["claims"]
    ]


def relations(claims: Iterable[Claim]) -> Relations:
    """Return every relation of the claims; ids that are not on the page are kept as they stand."""
    ledger = list(claims)
    used: dict[str, list[str]] = {}
    for arrow in arrows(ledger):
        if not arrow.amends:
            used.setdefault(arrow.start, []).append(arrow.end)
    return {
        "uses": {claim.id: list(claim.uses) for claim in ledger},
        "used by": {id: list(dict.fromkeys(users)) for id, users in used.items()},
        "rests on refuted": {id: list(on) for id, on in resting_on_refuted(ledger).items()},
        "amends": {claim.id: list(claim.amends) for claim in ledger},
        "amended by": _turned((name, claim.id) for claim in ledger for name in claim.amends),
        "sharpens": {claim.id: list(claim.sharpens) for claim in ledger},
        "sharpened by": _turned((name, claim.id) for claim in ledger for name in claim.sharpens),
    }


def _turned(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, id in pairs:
        found.setdefault(name, []).append(id)
    return found

"""Captions that carry the verdicts of what they show, so that nothing refuted is drawn as true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

VERDICTS = Path(__file__).parent.parent / "docs" / "verdicts.json"


def verdicts(path: Path = VERDICTS) -> Mapping[str, Mapping[str, Any]]:
    """Return the committed verdicts by claim."""
    return {claim["id"]: claim for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]}


def foot(claims: Sequence[str], known: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the line under a figure: its claims, each with its verdict."""
    return "Claims shown: " + ", ".join(f"{name} {_of(name, known)['verdict']}" for name in claims)


def caption(text: str, claims: Sequence[str], known: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the caption: what is drawn, then each claim's verdict and finding.

    Raises ValueError for a claim without a verdict.
    """
    lines = [" ".join(text.split())]
    for name in claims:
        claim = _of(name, known)
        lines.append(f"{name}, {claim['verdict']}: {claim['finding']['en']}")
    return "\n".join(lines) + "\n"


def _of(name: str, known: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    if name not in known:
        raise ValueError(f"no verdict on {name} in {VERDICTS.name}: is it a claim of the ledger?")
    return known[name]

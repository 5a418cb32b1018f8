"""A `Diagnosis` as JSON: the fields of its dataclasses, numbers in full."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from isr_theory.diagnose.diagnosis import Diagnosis

SCHEMA = 1


def json_text(diagnosis: Diagnosis) -> str:
    """Return the report as JSON text; an infinity is the string "inf" or "-inf", NaN is null."""
    document = {"schema": SCHEMA, **dataclasses.asdict(diagnosis)}
    text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Half a character, as a path may have, is written as JSON writes it.
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has neither.
        return None if math.isnan(value) else str(float(value))
    return value

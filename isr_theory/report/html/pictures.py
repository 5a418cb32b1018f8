"""The figures that `python -m figures` has drawn, as images that a page can hold.

Beside each SVG stands its caption: what is drawn on the first line, then one line a claim. The page
takes the first line and the ids, and gives the verdicts of its own run. Drawings are long texts of
numbers, so they are packed; the page's script unpacks them where they are to be seen.
"""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path
from typing import NamedTuple

from isr_theory.claim import Verdict

CLAIM = re.compile(rf"^(\S+), (?:{'|'.join(Verdict)}): ", re.M)


class Picture(NamedTuple):
    """One figure: its name, what it draws, the claims that it shows, and its SVG, packed."""

    name: str
    caption: str
    claims: tuple[str, ...]
    packed: str


def pictures(folder: Path) -> list[Picture]:
    """Return the figures of a folder by name; none where there is no such folder."""
    return [_picture(path) for path in sorted(folder.glob("*.svg"))]


def _picture(path: Path) -> Picture:
    words = path.with_suffix(".txt").read_text(encoding="utf-8")
    caption, _, verdicts = words.partition("\n")
    # Without a time in it: the same drawing packs to the same bytes.
    packed = base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
    return Picture(path.stem, caption, tuple(CLAIM.findall(verdicts)), packed)

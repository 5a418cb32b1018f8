"""One run as a page that works from a file: text, mathematics, graph, figures and an explorer.

`page.page(document)` is a pure function from the plain data of a run to the text of the page. All
that the page needs is inside it: styles, scripts, the font of its formulas, figures. `verify` calls
`prepare` before the run and `write` after it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from isr_theory import files
from isr_theory.report.document import Document
from isr_theory.report.html import page, pictures

FIGURES = Path("figures/out")
"""Where `python -m figures` draws, seen from a clone."""


def prepare(folder: Path) -> None:
    """Make the folder and see that a page can be written into it, before a long run.

    Raises OSError where it cannot, and ModuleNotFoundError without igraph, which lays out the
    graph (`pip install "isr-theory[graph]"`).
    """
    if importlib.util.find_spec("igraph") is None:
        raise ModuleNotFoundError("igraph")
    folder.mkdir(parents=True, exist_ok=True)
    files.check_writable([folder / "index.html"])


def write(folder: Path, full: Document, figures: Path = FIGURES) -> str:
    """Write index.html into a folder, with what figures have been drawn; say what was written."""
    drawn = pictures.pictures(figures)
    text = page.page(full, drawn)
    path = folder / "index.html"
    files.write(path, text)
    shown = [picture for picture in drawn if page.belongs(picture, full)]
    words = f"{len(shown)} figures" if shown else f"no figures ({figures} has none of these claims)"
    size = len(text.encode()) / 1e6
    return f"{path}: {len(full['claims'])} claims, {words}, {size:.1f} MB."

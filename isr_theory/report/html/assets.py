"""The styles and scripts of the page, ours and the two libraries that it carries.

`assets/vendor` holds uPlot (the chart) and Temml (TeX to MathML) as their authors published them,
and the part of STIX Two Math that formulas use; `assets/vendor/README.md` says whence each comes
and under which licence. Nothing is fetched when a page is made or read.
"""

from __future__ import annotations

import base64
import re
from importlib.resources import files

ROOT = files("isr_theory.report.html").joinpath("assets")
FONT = "vendor/STIXTwoMath.subset.woff2"
STYLES = ("vendor/uPlot.min.css", "vendor/temml.css", "page.css")
LIBRARIES = ("vendor/temml.min.js", "vendor/uPlot.iife.min.js")
SCRIPTS = ("page.js", "explorer.js")
FACE = re.compile(r"@font-face \{.*?\}", re.S)


def read(name: str) -> str:
    """Return a text file of the assets."""
    return ROOT.joinpath(name).read_text(encoding="utf-8")


def style() -> str:
    """Return all styles; Temml's own font face gives way to one that is inside the page."""
    font = base64.b64encode(ROOT.joinpath(FONT).read_bytes()).decode()
    face = f"@font-face {{ font-family: STIX2; src: url(data:font/woff2;base64,{font}); }}"
    return "\n".join([face, *(FACE.sub("", read(name)) for name in STYLES)])


def scripts(printed: str) -> list[str]:
    """Return the scripts one by one, `printed` between the libraries and our own."""
    parts = [*map(read, LIBRARIES), printed, *map(read, SCRIPTS)]
    for part in parts:
        if "</script" in part.lower():
            raise ValueError("a script of the page would end its own element")
    return parts

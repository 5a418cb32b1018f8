"""What the site adds to the pages of docs/: typeset mathematics, and links from ids to verdicts.

mkdocs calls these hooks. The pages themselves are plain Markdown that reads well without them.
Mathematics becomes MathML, which browsers draw without a script and screen readers can speak.
"""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from latex2mathml import converter

VERDICTS = Path(__file__).resolve().parent.parent / "docs" / "verdicts.json"
# What pymdownx.arithmatex leaves of $...$ and $$...$$ in its generic form.
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
    re.S,
)
# What the converter does not know, or sets unlike TeX: `log pi` needs a space, and |x| has none.
ARG = re.compile(r"\\arg(?![a-zA-Z])")
NAKED = re.compile(r"\\log(?=\s*(?!\\left|\\big)\\?[a-zA-Z])")
BAR = re.compile('<mo((?: stretchy="[a-z]+")?)>&#x0007C;</mo>')
# Code keeps its ids as they are, and so do headings and links, whose text must stay plain.
PLAIN = re.compile(r"(```.*?```|`[^`\n]*`|\[[^\]]*\]\([^)]*\)|^#.*?$)", re.S | re.M)


@cache
def _ids() -> re.Pattern[str]:
    claims = json.loads(VERDICTS.read_text(encoding="utf-8"))["claims"]
    names = sorted((claim["id"] for claim in claims), key=len, reverse=True)
    return re.compile(rf"(?<![\w.\\$-])({'|'.join(map(re.escape, names))})(?![\w$-]|\.\w)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page with an anchor at each verdict, or on other pages a link to it."""
    source = page.file.src_uri
    if source == "verdicts.md":
        return re.sub(r"^\| ([\w.]+) \|", r'| <a id="\1"></a>\1 |', markdown, flags=re.M)
    up = "../" * source.count("/")
    parts = PLAIN.split(markdown)
    link = rf"[\1]({up}verdicts.md#\1)"
    parts[::2] = [_ids().sub(link, part) for part in parts[::2]]
    return "".join(parts)


def on_page_content(text: str, **_: Any) -> str:
    """Return the page with its formulas as MathML."""
    return FORMULA.sub(_mathml, text)


def _mathml(found: re.Match[str]) -> str:
    formula = ARG.sub(r"\\operatorname{arg}", html.unescape(found[2]).strip())
    formula = NAKED.sub(r"\g<0>\\,", formula)
    display = "block" if found[1] == "div" else "inline"
    drawn = str(converter.convert(formula, display=display))
    drawn = BAR.sub(r'<mo\1 lspace="0" rspace="0">&#x0007C;</mo>', drawn)
    # On a phone a long formula is moved under the finger, and not the page.
    return drawn if display == "inline" else f'<div style="overflow-x: auto">{drawn}</div>'

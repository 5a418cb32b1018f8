"""A `Diagnosis` as one HTML page without scripts: tables, and ESS against gamma as a drawing.

The page is built as a tree of elements, so that every text is escaped by whoever writes the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from isr_theory.diagnose import text
from isr_theory.diagnose.diagnosis import Diagnosis
from isr_theory.diagnose.words import LONGEST, shown

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: left;
  vertical-align: top; } thead th { border-bottom: 1px solid #999; font-weight: 600; }
.numbers th:not(:first-child), .numbers td:not(:first-child) { text-align: right; }
.numbers td:first-child { min-width: 7rem; overflow-wrap: anywhere; }
.note { color: #555; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; }
@media print { body { max-width: none; } }
"""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 60, 48, 16, 16


def html(diagnosis: Diagnosis, title: str) -> str:
    """Return the whole page."""
    page = Element("html", lang="en")
    head = SubElement(page, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = shown(title)
    SubElement(head, "style").text = STYLE
    body = SubElement(page, "body")
    SubElement(body, "h1").text = shown(title)
    SubElement(body, "p").text = f"{text.heading(diagnosis)}."
    _fill(body, diagnosis)
    return "<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n"


def _fill(body: Element, diagnosis: Diagnosis) -> None:
    _heading(body, "Verdict")
    sentences = SubElement(body, "ul")
    for sentence in diagnosis.verdict:
        SubElement(sentences, "li").text = shown(sentence, LONGEST)
    _heading(body, "ESS/n of w^gamma")
    body.append(_drawing(diagnosis))
    _heading(body, "Gamma")
    _table(body, (), text.gamma_rows(diagnosis.choice))
    _heading(body, "What is left of the sample, as a share of n")
    _table(body, text.EFFECTIVE, text.effective_rows(diagnosis))
    _heading(body, "Renyi divergence of pi from mu, nats")
    _table(body, text.SPECTRUM, text.spectrum_rows(diagnosis))
    SubElement(body, "p").text = text.spectrum_note(diagnosis)
    for name, strata in diagnosis.strata.items():
        _heading(body, f"By {shown(name)}")
        _table(body, text.STRATA, [text.stratum_row(stratum) for stratum in strata])
    if diagnosis.strata:
        SubElement(body, "p", {"class": "note"}).text = text.strata_note(diagnosis)
    if diagnosis.values:
        _heading(body, "Mean reward under pi, self-normalised")
        _table(body, text.VALUES, text.value_rows(diagnosis))
        SubElement(body, "p", {"class": "note"}).text = text.VALUES_NOTE
    if diagnosis.bad:
        _heading(body, text.bad_title(diagnosis))
        _table(body, text.BAD, text.bad_rows(diagnosis), numbers=False)


def _heading(body: Element, words: str) -> None:
    SubElement(body, "h2").text = words


def _table(
    body: Element, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True
) -> None:
    """Add a table; with heads its cells but the first of a row are numbers, or said not to be."""
    of = {"class": "numbers"} if heads and numbers else {}
    table = SubElement(SubElement(body, "div", {"class": "wide"}), "table", of)
    if heads:
        line = SubElement(SubElement(table, "thead"), "tr")
        for head in heads:
            SubElement(line, "th").text = head
    inside = SubElement(table, "tbody")
    for row in rows:
        line = SubElement(inside, "tr")
        for cell in row:
            SubElement(line, "td").text = cell


def _drawing(diagnosis: Diagnosis) -> Element:
    """Return ESS/n against gamma, with the target, the gamma chosen and its interval."""
    choice = diagnosis.choice
    label = f"ESS/n falls from gamma 0 to 1; gamma {choice.gamma:.3g} leaves {choice.ess:.3g}"
    size = {"width": str(WIDTH), "height": str(HEIGHT), "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    drawing = Element("svg", {**size, "role": "img", "aria-label": label})
    low, high = choice.interval
    band = {"x": _x(low), "width": f"{max(1.0, float(_x(high)) - float(_x(low))):.1f}"}
    SubElement(drawing, "rect", {**band, "y": _y(1), "height": f"{_DOWN:.1f}", "fill": "#dfe8f5"})
    _axes(drawing)
    target = _y(choice.rho_min)
    _line(drawing, _x(0), target, _x(1), target, **{"stroke": "#777", "stroke-dasharray": "6 4"})
    _line(drawing, _x(choice.gamma), _y(0), _x(choice.gamma), _y(1), stroke="#1f4e9c")
    points = " ".join(f"{_x(gamma)},{_y(ess)}" for gamma, ess in diagnosis.curve)
    SubElement(
        drawing,
        "polyline",
        {"points": points, "fill": "none", "stroke": "#b3261e", "stroke-width": "2.5"},
    )
    return drawing


_DOWN = HEIGHT - TOP - BOTTOM


def _x(gamma: float) -> str:
    return f"{LEFT + gamma * (WIDTH - LEFT - RIGHT):.1f}"


def _y(ess: float) -> str:
    return f"{TOP + (1 - ess) * _DOWN:.1f}"


def _line(drawing: Element, x1: str, y1: str, x2: str, y2: str, **style: str) -> None:
    SubElement(drawing, "line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, **style})


def _axes(drawing: Element) -> None:
    for k in range(6):
        share = k / 5
        _line(drawing, _x(share), _y(0), _x(share), f"{float(_y(0)) + 5:.1f}", stroke="#333")
        _line(drawing, f"{LEFT - 5}", _y(share), f"{LEFT}", _y(share), stroke="#333")
        _words(drawing, _x(share), f"{float(_y(0)) + 20:.1f}", f"{share:g}", "middle")
        _words(drawing, f"{LEFT - 9}", f"{float(_y(share)) + 5:.1f}", f"{share:g}", "end")
    _line(drawing, _x(0), _y(0), _x(1), _y(0), stroke="#333")
    _line(drawing, _x(0), _y(0), _x(0), _y(1), stroke="#333")
    _words(
        drawing,
        _x(0.5),
        f"{HEIGHT - 6}",
        "gamma (shaded: interval of the rule's; dashed: the target)",
        "middle",
    )
    _words(drawing, "14", _y(0.5), "ESS/n", "middle", transform=f"rotate(-90 14 {_y(0.5)})")


def _words(drawing: Element, x: str, y: str, words: str, anchor: str, **more: str) -> None:
    place = {"x": x, "y": y, "text-anchor": anchor, "font-size": "13", "fill": "#333"}
    SubElement(drawing, "text", {**place, **more}).text = words

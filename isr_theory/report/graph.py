"""The claims as a graph: what rests on what, what amends what; drawn as an SVG page.

An arrow runs from a claim to what uses it; a dashed one from a refuted claim to what amends it. The
border says the verdict on the statement, the fill what was found of the printed proof. igraph lays
the layers out; what is drawn is written here, so that every node carries its title and finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from isr_theory.claim import Claim, PrintedProof, Verdict

# Colours that stay apart for colour-blind readers, and by their dash where print is grey.
BORDERS = {
    Verdict.VERIFIED: ("#00734c", ""),
    Verdict.SUPPORTED: ("#0072b2", "7 2"),
    Verdict.REFUTED: ("#b3004b", "3 2"),
    Verdict.OPEN: ("#b36b00", "1 2"),
}
FILLS = {
    PrintedProof.COMPLETE: "#e3f3ea",
    PrintedProof.GAP: "#fff3d6",
    PrintedProof.WRONG: "#fbdde6",
    PrintedProof.NONE: "#ffffff",
}
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN, LEGEND = 112.0, 20.0, 124.0, 62.0, 30.0, 70.0
PER_ROW = 14
"""Claims of one layer beside each other; a longer layer is folded."""


class Arrow(NamedTuple):
    """From a claim to one that uses it, or to one that amends it."""

    start: str
    end: str
    amends: bool


def arrows(ledger: Sequence[Claim]) -> list[Arrow]:
    """Return every arrow of a ledger; a name such as T8.3 stands for all its parts."""
    found = []
    for claim in ledger:
        for name in claim.uses:
            named = [c.id for c in ledger if c.id == name or c.id.startswith(f"{name}.")]
            found += [Arrow(id, claim.id, amends=False) for id in named if id != claim.id]
        found += [Arrow(name, claim.id, amends=True) for name in claim.amends]
    return found


def resting_on_refuted(ledger: Sequence[Claim]) -> dict[str, tuple[str, ...]]:
    """Return the claims that rest, at any remove, on refuted ones, and on which."""
    refuted = {claim.id for claim in ledger if claim.expect is Verdict.REFUTED}
    above: dict[str, set[str]] = {claim.id: set() for claim in ledger}
    for arrow in arrows(ledger):
        if not arrow.amends:
            above[arrow.end].add(arrow.start)

    def reached(id: str) -> set[str]:
        seen: set[str] = set()
        todo = [id]
        while todo:
            for other in above[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        return seen - {id}

    resting = {claim.id: tuple(sorted(reached(claim.id) & refuted)) for claim in ledger}
    return {id: on for id, on in resting.items() if on}


def _places(ledger: Sequence[Claim], found: Sequence[Arrow]) -> dict[str, tuple[float, float]]:
    """Return where each claim stands: layered so that arrows run down, long layers folded."""
    import igraph

    index = {claim.id: k for k, claim in enumerate(ledger)}
    edges = [(index[a.start], index[a.end]) for a in found if a.start in index]
    graph = igraph.Graph(n=len(ledger), edges=edges, directed=True)
    layout = graph.layout_sugiyama(hgap=1, vgap=1, maxiter=200)
    layers: dict[float, list[tuple[float, str]]] = {}
    for claim, (x, y) in zip(ledger, layout.coords[: len(ledger)], strict=True):
        layers.setdefault(round(y), []).append((x, claim.id))
    places = {}
    row = 0
    for _, layer in sorted(layers.items()):
        ordered = [id for _, id in sorted(layer)]
        for start in range(0, len(ordered), PER_ROW):
            part = ordered[start : start + PER_ROW]
            shift = (PER_ROW - len(part)) / 2
            for k, id in enumerate(part):
                places[id] = (MARGIN + (k + shift) * ACROSS, MARGIN + LEGEND + row * DOWN)
            row += 1
    return places


def svg(ledger: Sequence[Claim]) -> str:
    """Return the graph of a ledger as the text of an SVG file.

    Needs igraph (`pip install "isr-theory[graph]"`), else ModuleNotFoundError.
    """
    root = drawing(ledger)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def drawing(ledger: Sequence[Claim], *, linked: bool = False) -> ElementTree.Element:
    """Return the graph as a tree; linked, each claim leads to the place on the page with its id."""
    found = arrows(ledger)
    places = _places(ledger, found)
    resting = resting_on_refuted(ledger)
    wide = 2 * MARGIN + PER_ROW * ACROSS
    high = max(y for _, y in places.values()) + HEIGHT + MARGIN
    root = _element(
        None,
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {wide:g} {high:g}",
        width=wide,
        # The links of an image would be hidden from a screen reader.
        role="group" if linked else "img",
    )
    _element(root, "title", text="Claims, and what rests on what")
    _element(root, "rect", width=wide, height=high, fill="#ffffff")
    _legend(root)
    lines = {False: _lines(root, "#a8a8a8", ""), True: _lines(root, "#b3004b", "4 3")}
    for arrow in found:
        if arrow.start in places:
            _line(lines[arrow.amends], places[arrow.start], places[arrow.end])
    for claim in ledger:
        # A page has that id already, where the link leads.
        group = (
            _element(root, "a", href=f"#{claim.id}") if linked else _element(root, "g", id=claim.id)
        )
        _box(group, claim, places[claim.id], resting)
    return root


def _element(
    parent: ElementTree.Element | None, tag: str, *, text: str = "", **attributes: str | float
) -> ElementTree.Element:
    named = {
        key.replace("_", "-"): value if isinstance(value, str) else f"{value:g}"
        for key, value in attributes.items()
    }
    made = ElementTree.Element(tag, named)
    if parent is not None:
        parent.append(made)
    if text:
        made.text = text
    return made


def _lines(root: ElementTree.Element, colour: str, dash: str) -> ElementTree.Element:
    """Return a group for lines of one look, which is said once: there are thousands."""
    return _element(
        root,
        "g",
        fill="none",
        stroke=colour,
        stroke_width=0.8,
        stroke_dasharray=dash or "none",
    )


def _line(group: ElementTree.Element, start: tuple[float, float], end: tuple[float, float]) -> None:
    down = 1 if end[1] >= start[1] else -1
    x, y = start[0] + WIDTH / 2, start[1] + (HEIGHT if down > 0 else 0)
    u, v = end[0] + WIDTH / 2, end[1] + (0 if down > 0 else HEIGHT)
    bend = 24 * down
    _element(group, "path", d=f"M{x:g} {y:g} C{x:g} {y + bend:g} {u:g} {v - bend:g} {u:g} {v:g}")


def _box(
    group: ElementTree.Element,
    claim: Claim,
    place: tuple[float, float],
    resting: Mapping[str, Sequence[str]],
) -> None:
    words = f"{claim.id} ({claim.expect}): {claim.title.en}. {claim.finding.en}"
    on = resting.get(claim.id, ())
    if on:
        words += f" Rests on what is refuted: {', '.join(on)}."
    _element(group, "title", text=words)
    colour, dash = BORDERS.get(claim.expect, ("#000000", ""))
    _rectangle(group, place, FILLS[claim.printed_proof], colour, dash)
    label = f"{claim.id} !" if on else claim.id
    _label(group, place[0] + WIDTH / 2, place[1] + 14, label, anchor="middle")


def _rectangle(
    parent: ElementTree.Element, place: tuple[float, float], fill: str, colour: str, dash: str
) -> None:
    _element(
        parent,
        "rect",
        x=place[0],
        y=place[1],
        width=WIDTH,
        height=HEIGHT,
        rx=4,
        fill=fill,
        stroke=colour,
        stroke_width=2,
        stroke_dasharray=dash or "none",
    )


def _label(
    parent: ElementTree.Element, x: float, y: float, text: str, *, anchor: str = "start"
) -> None:
    _element(
        parent,
        "text",
        x=x,
        y=y,
        text=text,
        font_family="sans-serif",
        font_size=11,
        text_anchor=anchor,
    )


def _legend(root: ElementTree.Element) -> None:
    x, y = MARGIN, MARGIN
    _label(root, x, y - 8, "border: verdict on the statement")
    for k, (verdict, (colour, dash)) in enumerate(BORDERS.items()):
        place = (x + k * ACROSS, y)
        _rectangle(root, place, "#ffffff", colour, dash)
        _label(root, place[0] + WIDTH / 2, y + 14, verdict.value, anchor="middle")
    x += 5 * ACROSS
    _label(root, x, y - 8, "fill: the printed proof")
    for k, (proof, fill) in enumerate(FILLS.items()):
        place = (x + k * ACROSS, y)
        _rectangle(root, place, fill, "#8a8a8a", "")
        _label(root, place[0] + WIDTH / 2, y + 14, proof.value, anchor="middle")
    words = "grey: rests on; dashed: amends; ! rests on a refuted claim"
    _label(root, x + 4.2 * ACROSS, y + 14, words)

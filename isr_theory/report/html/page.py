"""The page: summary, how to read it, claims with their filter, explorer, figures and graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, tostring

from isr_theory import __version__
from isr_theory.claim import PrintedProof, Route, Text, Verdict
from isr_theory.claims import listed_ids
from isr_theory.report import graph
from isr_theory.report.document import Document
from isr_theory.report.html import assets, claims, explorer, laws, words
from isr_theory.report.html.elements import add, both, labelled, option
from isr_theory.report.html.pictures import Picture
from isr_theory.report.html.relations import as_found, relations

# The page may neither fetch nor send anything, whatever a ledger puts into its texts.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; font-src data:"
)


def page(full: Document, drawn: Sequence[Picture] = ()) -> str:
    """Return the whole page of a run, or of its committed form.

    Needs igraph (`pip install "isr-theory[graph]"`), else ModuleNotFoundError.
    """
    shown = [picture for picture in drawn if belongs(picture, full)]
    root = Element("html", {"lang": "en", "data-language": "en"})
    _head(add(root, "head"))
    body = add(root, "body")
    _banner(add(body, "header"), full, shown)
    main = add(body, "main")
    _reading(main)
    _claims(_part(main, "claims", words.CLAIMS), full, shown)
    explorer.explorer(_part(main, "explore", words.EXPLORER))
    if shown:
        _figures(_part(main, "figures", words.FIGURES), full, shown)
    _graph(_part(main, "graph", words.GRAPH), full)
    for part in assets.scripts(laws.script()):
        add(body, "script").text = part
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def belongs(picture: Picture, full: Document) -> bool:
    """Say whether a figure shows a claim of the document."""
    return not {row["id"] for row in full["claims"]}.isdisjoint(picture.claims)


def _head(head: Element) -> None:
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "title", words.TITLE.en)
    add(head, "style").text = assets.style()


def _part(main: Element, id: str, name: Text) -> Element:
    part = add(main, "section", id=id)
    labelled(part, "h2", name)
    return part


def _banner(header: Element, full: Document, drawn: Sequence[Picture]) -> None:
    labelled(header, "h1", words.TITLE)
    counts = full["summary"]
    tally = add(header, "ul", class_="tally")
    for verdict, n in counts["verdicts"].items():
        item = add(tally, "li")
        add(item, "strong", str(n))
        add(item, "span", verdict, class_=f"verdict {verdict}")
    both(add(header, "p"), _summary(counts))
    contents = add(header, "nav")
    contents.set("aria-label", "Contents")
    parts = [("claims", words.CLAIMS), ("explore", words.EXPLORER)]
    parts += [("figures", words.FIGURES)] if drawn else []
    for id, name in [*parts, ("graph", words.GRAPH)]:
        labelled(contents, "a", name, href=f"#{id}")
    chooser = add(contents, "span", class_="languages", role="group", aria_label="Language")
    for language, code, own in (("en", "en", "English"), ("zh", "zh-Hans", "中文")):
        button = add(chooser, "button", type="button", data_language=language, aria_pressed="false")
        # Its own language, whatever the page's is: not one of the two spans that are exchanged.
        add(button, "bdi", own, lang=code)


def _summary(counts: Document) -> Text:
    total, wrong = counts["claims"], counts["wrong_variants"]
    killed = ", ".join(f"{route} {n}" for route, n in counts.get("killed", {}).items())
    en, zh = (f", refused by {killed}", f"，否定它们的途径：{killed}") if killed else ("", "")
    as_expected = counts.get("as_expected", total)
    return Text(
        f"{total} claims, {as_expected} of them as isr_theory {__version__} states;"
        f" {wrong} wrong variants planted{en}.",
        f"共 {total} 条命题，其中 {as_expected} 条与 isr_theory {__version__} 的结论一致；"
        f"植入 {wrong} 个错误变体{zh}。",
    )


def _reading(main: Element) -> None:
    inside = add(main, "details", id="reading")
    labelled(add(inside, "summary"), "span", words.READ)
    listed = add(inside, "ul")
    for line in words.READING:
        labelled(listed, "li", line)


def _claims(part: Element, full: Document, drawn: Sequence[Picture]) -> None:
    groups = _grouped(full)
    _filter(part, {key: name for key, (name, _) in groups.items()})
    found = relations(as_found(full))
    for key, (name, rows) in groups.items():
        group = add(part, "section", class_="group", data_section=key)
        labelled(group, "h3", name)
        for row in rows:
            links = {relation: ids.get(row["id"], []) for relation, ids in found.items()}
            links["figure"] = [picture.name for picture in drawn if row["id"] in picture.claims]
            claims.claim(group, row, links, full)


def _grouped(full: Document) -> Mapping[str, tuple[Text, list[Document]]]:
    """Return the claims by section, in the paper's order whatever the document's is."""
    order = {id: place for place, id in enumerate(listed_ids())}
    groups: dict[str, tuple[Text, list[Document]]] = {}
    for row in sorted(full["claims"], key=lambda row: order.get(row["id"], len(order))):
        key, name = words.section(row["section"], row["id"])
        groups.setdefault(key, (name, []))[1].append(row)
    return groups


def _filter(part: Element, sections: Mapping[str, Text]) -> None:
    form = add(part, "form", id="filter", class_="filter", role="search")
    field = add(form, "label", class_="wide")
    both(field, words.SEARCH)
    add(field, "input", type="search", id="search", autocomplete="off")
    _select(form, "section", words.SECTION, sections)
    _select(form, "verdict", words.VERDICT, {x.value: x.value for x in Verdict})
    _select(form, "route", words.ROUTE, {x.value: x.value for x in Route})
    _select(form, "proof", words.PROOF, {x.value: words.PROOFS[x.value] for x in PrintedProof})
    buttons = add(form, "div", class_="buttons")
    for id, name in (
        ("show-all", words.RESET),
        ("open-all", words.OPEN_ALL),
        ("close-all", words.CLOSE_ALL),
    ):
        labelled(buttons, "button", name, type="button", id=id)
    count = add(buttons, "output", id="count")
    count.set("aria-live", "polite")


def _select(form: Element, id: str, name: Text, options: Mapping[str, Text | str]) -> None:
    field = add(form, "label")
    both(field, name)
    choice = add(field, "select", id=id)
    add(choice, "option", "—", value="")
    for value, shown in options.items():
        option(choice, value, shown)


def _figures(part: Element, full: Document, drawn: Sequence[Picture]) -> None:
    verdicts = {row["id"]: row["verdict"] for row in full["claims"]}
    for picture in drawn:
        figure = add(part, "figure", id=f"figure-{picture.name}")
        drawing = add(figure, "div", class_="drawing")
        add(drawing, "img", data_packed=picture.packed, alt=picture.caption)
        caption = add(figure, "figcaption")
        add(caption, "p", picture.caption)
        listed = add(caption, "p")
        for id in picture.claims:
            shown = add(listed, "span", class_="shown")
            if id in verdicts:
                add(shown, "a", id, href=f"#{id}")
                add(shown, "span", verdicts[id], class_=f"verdict {verdicts[id]}")
            else:
                shown.text = id


def _graph(part: Element, full: Document) -> None:
    inside = add(part, "details", class_="graph")
    labelled(add(inside, "summary"), "span", words.SHOW_GRAPH)
    holder = add(inside, "div", class_="wide-drawing", tabindex="0", role="region")
    holder.set("aria-label", "Graph of claims")
    holder.append(graph.drawing(as_found(full), linked=True))

"""The graph of claims: every claim once, every arrow, and what rests on a refuted claim."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from isr_theory import verify
from isr_theory.claim import Verdict
from isr_theory.claims import ledger
from isr_theory.report import graph

SVG = "{http://www.w3.org/2000/svg}"


def test_every_claim_is_drawn_once_with_its_verdict_and_proof():
    root = ElementTree.fromstring(graph.svg(ledger()))
    boxes = {group.get("id"): group for group in root.iter(f"{SVG}g") if group.get("id")}
    assert set(boxes) == {claim.id for claim in ledger()}
    places = set()
    for claim in ledger():
        rectangle = boxes[claim.id].find(f"{SVG}rect")
        assert rectangle.get("stroke") == graph.BORDERS[claim.expect][0]
        assert rectangle.get("fill") == graph.FILLS[claim.printed_proof]
        assert claim.finding.en in boxes[claim.id].findtext(f"{SVG}title")
        places.add((rectangle.get("x"), rectangle.get("y")))
    assert len(places) == len(ledger())
    assert len(list(root.iter(f"{SVG}path"))) == len(graph.arrows(ledger()))


def test_a_name_stands_for_all_its_parts():
    claims = {claim.id: claim for claim in ledger()}
    user = replace(claims["T8.2"], uses=("C7.5",))
    starts = {arrow.start for arrow in graph.arrows([*claims.values(), user]) if not arrow.amends}
    assert {"C7.5.a", "C7.5.b", "C7.5.c"} <= starts


def test_what_rests_on_a_refuted_claim_at_any_remove_is_named():
    base, middle, top, other = (
        replace(claim, uses=(), amends=(), expect=Verdict.VERIFIED) for claim in ledger()[:4]
    )
    base = replace(base, expect=Verdict.REFUTED)
    middle, top = replace(middle, uses=(base.id,)), replace(top, uses=(middle.id,))
    resting = graph.resting_on_refuted([base, middle, top, other])
    assert resting == {middle.id: (base.id,), top.id: (base.id,)}


def test_nothing_that_stands_rests_on_a_refuted_claim():
    stands = {claim.id for claim in ledger() if claim.expect is not Verdict.REFUTED}
    assert not stands & set(graph.resting_on_refuted(ledger()))


def test_the_command_writes_the_file_and_names_it(tmp_path, capsys):
    path = tmp_path / "claims.svg"
    assert verify.main(["graph", "--svg", str(path)]) == 0
    assert f"{len(ledger())} claims" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8") == graph.svg(ledger())


def test_a_graph_needs_a_place_and_igraph(tmp_path, capsys, monkeypatch):
    assert verify.main(["graph"]) == 2
    assert "graph --svg FILE" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "igraph", None)
    assert verify.main(["graph", "--svg", str(tmp_path / "claims.svg")]) == 2
    assert "pip install 'isr-theory[graph]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

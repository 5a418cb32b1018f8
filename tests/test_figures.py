"""The figures: their tables are what the code computes, and their claims are judged."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Annotation

from figures import captions, coordinates, style, tables
from figures.__main__ import DATA, catalogue, draw, main, stale
from isr_theory.training.atlas import ATLAS, ENTRIES

ROOT = Path(__file__).parent.parent
FIGURES = catalogue()
IDS = [
    line for line in (ROOT / "isr_theory/claims/ids.txt").read_text(encoding="utf-8").split("\n")
    if line and not line.startswith("#")
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data():
    return {name: module.data() for name, module in FIGURES.items()}


def test_the_catalogue_finds_what_is_a_figure():
    assert {"gamma_atlas", "atlas_length"} <= set(FIGURES)
    assert not {"style", "tables", "captions", "coordinates"} & set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_committed_tables_are_what_the_code_computes(name, data):
    assert stale(name, data[name]) == []


@pytest.mark.parametrize("name", FIGURES)
def test_two_drawings_are_the_same_bytes(name, data, tmp_path):
    draw(FIGURES[name], data[name], tmp_path / "one" / name)
    # What another figure leaves behind must not matter.
    other = FIGURES[next(iter(FIGURES))]
    with style.applied():
        sheet = style.sheet(other.SIZE, "x")
        other.draw(data[next(iter(FIGURES))], sheet)
        FigureCanvasAgg(sheet).draw()
    draw(FIGURES[name], data[name], tmp_path / "two" / name)
    written = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert written == [f"{name}.{kind}" for kind in ("pdf", "png", "svg", "txt")]
    for file in written:
        one, two = ((tmp_path / folder / file).read_bytes() for folder in ("one", "two"))
        assert one == two
        assert len(one) > 200


@pytest.mark.parametrize("name", FIGURES)
def test_captions_carry_the_verdict_of_every_claim(name):
    module, known = FIGURES[name], captions.verdicts()
    assert module.CLAIMS
    assert set(module.CLAIMS) <= set(IDS)
    words, foot = captions.caption(module.CAPTION, module.CLAIMS, known), captions.foot(
        module.CLAIMS, known
    )  # fmt: skip
    for claim in module.CLAIMS:
        verdict = known[claim]["verdict"]
        assert f"{claim}, {verdict}: " in words
        assert f"{claim} {verdict}" in foot


def test_a_refuted_claim_is_called_refuted():
    known = captions.verdicts()
    assert known["FAM.luffy"]["verdict"] == "REFUTED"
    assert "FAM.luffy, REFUTED: False" in captions.caption("x", ["FAM.luffy"], known)
    assert captions.foot(["FAM.luffy"], known).endswith("FAM.luffy REFUTED")
    with pytest.raises(ValueError, match=r"no verdict on FAM\.other"):
        captions.caption("x", ["FAM.other"], known)


def test_the_foot_is_drawn(data, tmp_path, monkeypatch):
    changed = tmp_path / "verdicts.json"
    judged = {"claims": [dict(c, verdict="OPEN") for c in captions.verdicts().values()]}
    changed.write_text(json.dumps(judged), encoding="utf-8")
    monkeypatch.setattr("figures.captions.verdicts.__defaults__", (changed,))
    name = "atlas_length"
    words = draw(FIGURES[name], data[name], tmp_path / name)
    assert "SEQ.gspo, OPEN: " in words
    assert (tmp_path / f"{name}.txt").read_text(encoding="utf-8") == words


@pytest.mark.parametrize("name", FIGURES)
def test_labels_do_not_collide_and_stay_on_the_sheet(name, data):
    with style.applied():
        sheet = style.sheet(FIGURES[name].SIZE, "x")
        FIGURES[name].draw(data[name], sheet)
        canvas = FigureCanvasAgg(sheet)
        canvas.draw()
        words = [text for axes in sheet.axes for text in axes.texts]
        # The words alone: an annotation's own extent includes its line.
        boxes = [
            super(Annotation, text).get_window_extent(canvas.renderer)
            if isinstance(text, Annotation)
            else text.get_window_extent(canvas.renderer)
            for text in words
        ]
    for (one, a), (other, b) in itertools.combinations(zip(words, boxes, strict=True), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())
    for text, box in zip(words, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0
        assert inside, text.get_text()
        assert box.x1 <= sheet.bbox.x1, text.get_text()
        assert box.y1 <= sheet.bbox.y1, text.get_text()


def test_every_function_of_the_atlas_is_a_point(data):
    rows = data["gamma_atlas"]["points"]
    assert [key for key, _ in itertools.groupby(row["key"] for row in rows)] == list(ATLAS)
    named = " ".join(words for words, *_ in FIGURES["gamma_atlas"].NAMES)
    for short in ("SFT", "IS", "AsymRE", "TIS", "Ionides", "MIS", "TOPR", "CISPO", "P3O", "PPO",
                  "SAPO", "LUFFY", "GSPO", "P-GSPO", "GMPO", "iw-SFT", "DFT", "Beyond-LL", "CHORD",
                  "IX", "exponential\nsmoothing", "power mean", "sub-Gaussian", "DRos", "VESPO",
                  "log smoothing", "log-sum-exp", "self-normalised", "IS Reshape"):  # fmt: skip
        assert short in named


def test_points_stand_where_the_entries_say(data):
    for row in data["gamma_atlas"]["points"]:
        entry = ATLAS[row["key"]]
        sign = -1.0 if row["reward"] == "-1" else 1.0
        branch = entry.negative if sign < 0 and entry.negative else entry
        if branch.exponent is not None:
            sides = torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
            stated = branch.exponent(sides, entry.parameters).tolist()
            # Rounded to six places.
            assert row["exponent_low"] == pytest.approx(min(stated), abs=1e-6)
            assert row["exponent_high"] == pytest.approx(max(stated), abs=1e-6)
        # Where f is of w alone, or of w and the sign of r, the entry has the bound in closed form.
        if not {"batch", "length", "mu"} & set(entry.needs):
            at_one = entry.weight(coordinates.view([0.0], sign), entry.parameters)[0, 0].item()
            bound = branch.bound(entry.parameters) / at_one
            # Five zooms to a step of 8e-2/50^5 = 3e-10, and f has slope 1 in log w at a clip.
            assert row["truncation"] == pytest.approx(bound, rel=1e-9)


def test_the_points_that_look_at_more_than_w(data):
    found = {
        (row["key"], row["reward"]): (row["exponent_low"], row["truncation"])
        for row in data["gamma_atlas"]["points"]
    }
    # By hand: M = sqrt(64) = 8 of logarithmic smoothing, 1/L, e^(0.4/L), p (1 - p) at 1/10.
    by_hand = {
        ("log_smoothing", "any"): (8 / 9, 9),
        ("gspo", "+1"): (0.01, 1.0004),
        ("gmpo", "+1"): (0.01, math.exp(0.004)),
        ("p_gspo", "-1"): (0.1, math.inf),
        ("iw_sft", "any"): (0.01, 16),
        ("dft", "any"): (1, 10),
        ("ix", "any"): (1, 20),
        ("chord_phi", "any"): (8 / 9, 25 / 9),
        ("self_normalised", "any"): (1, 64),
        ("ionides", "any"): (1, math.inf),
        ("p3o", "any"): (0, 1),
    }
    for at, (exponent, truncation) in by_hand.items():
        assert found[at] == (
            pytest.approx(exponent, abs=1e-6),
            pytest.approx(truncation, rel=1e-8),
        )


def test_curves_lie_where_algebra_has_them(data):
    for row in data["gamma_atlas"]["curves"]:
        x = row["value"]
        expected = {
            "power": lambda x: (x, math.inf),
            "tis": lambda x: (1, x),
            "luffy": lambda x: ((x - 1) / (x + 1), (1 + x) ** 2 / (4 * x)),
            "dros": lambda x: ((x - 1) / (x + 1), (1 + x) / (2 * math.sqrt(x))),
            "sub_gaussian": lambda x: (1 - x, 1 / x),
            "power_mean": lambda x: (0.5, 0.5 ** (1 / x)),
            "beyond_ll": lambda x: (x, 10**x),
            "chord_phi": lambda x: ((1 - 2 * x) / (1 - x), 1 / (4 * x * (1 - x))),
            "iw_sft": lambda x: (1 / x, 16),
            "log_smoothing": lambda x: (64**x / (1 + 64**x), 1 + 64**x),
        }.get(row["key"])
        if expected is not None:
            exponent, truncation = expected(x)
            assert row["exponent"] == pytest.approx(exponent, abs=1e-6)
            assert row["truncation"] == pytest.approx(truncation, rel=1e-8)


def test_lengths_follow_the_claims(data):
    rows = {(r["name"], r["length"]): r for r in data["atlas_length"]["gamma"]}
    lengths = sorted({length for _, length in rows})
    for length in lengths:
        assert rows["gspo", length]["gamma"] == pytest.approx(1 / length)
        assert rows["p_gspo 0.5", length]["gamma"] == pytest.approx(length**-0.5)
        ess = 10 ** rows["rule", length]["log10_ess"]
        assert ess == pytest.approx(max(0.3, math.exp(-length * 0.01)))
    for row in data["atlas_length"]["one_over_length"]:
        assert row["gamma"] == pytest.approx(1 / row["length"])
    last = lengths[-1]
    # T^(-1/2): a hundred times the length, a tenth of gamma.
    hundredth = rows["rule", lengths[min(range(len(lengths)), key=lambda i: abs(lengths[i] - 1e3))]]
    assert rows["rule", last]["gamma"] == pytest.approx(hundredth["gamma"] / 10)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_the_formulas_can_be_drawn(entry):
    parser = MathTextParser("path")
    assert parser.parse(f"${entry.formula}$").width > 0
    assert FigureCanvasAgg(Figure()).get_renderer() is not None


def test_tables_agree_up_to_the_sixth_digit():
    rows = [{"name": "a, b", "x": 1.23456789, "y": math.inf}, {"name": "c", "x": -0.0, "y": 2e-7}]
    written = tables.text(rows)
    assert written == 'name,x,y\n"a, b",1.23457,inf\nc,0,2e-07\n'
    assert tables.differences(written, written.replace("1.23457", "1.23456")) == []
    assert tables.differences(written, written.replace("1.23457", "1.23459")) == [
        "line 2, x: 1.23457 is now 1.23459"
    ]
    assert tables.differences(written, written.replace("inf", "3")) != []
    assert tables.differences(written, written.replace("c,", "d,")) != []
    assert tables.differences(written, written + "e,1,1\n") != []
    assert tables.differences(written, written.replace("name", "other")) != []


def test_the_command_checks_and_draws(tmp_path, monkeypatch, capsys):
    name = "atlas_length"
    assert main([name, "--check"]) == 0
    folder = tmp_path / "data"
    monkeypatch.setattr("figures.__main__.DATA", folder)
    assert main([name, "--out", str(tmp_path / "out")]) == 0
    assert "SEQ.length, VERIFIED: " in capsys.readouterr().out
    for path in folder.iterdir():
        assert path.read_bytes() == (DATA / path.name).read_bytes()
    assert main(["no_such"]) == 2
    assert "no figure 'no_such'; there are: " in capsys.readouterr().err


def test_the_check_finds_what_is_stale(tmp_path, data):
    name = "atlas_length"
    found = stale(name, data[name], tmp_path)
    assert found == [f"{name}.{table}.csv is not there" for table in data[name]]
    for table, rows in data[name].items():
        changed = [dict(row, gamma=1.001 * row["gamma"]) for row in rows]
        (tmp_path / f"{name}.{table}.csv").write_text(tables.text(changed), encoding="utf-8")
    found = stale(name, data[name], tmp_path)
    assert len(found) == sum(len(rows) for rows in data[name].values())
    assert "gamma.csv, line 2, gamma: 1.001 is now 1" in found[0]

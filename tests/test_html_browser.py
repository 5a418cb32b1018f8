"""The page in a real browser: what a person who opens it from a disk can see and do.

Chromium comes from the system's packages and Playwright drives it; without it these tests fail.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from scipy.optimize import brentq
from scipy.stats import chi2

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Real
from isr_theory.claims import ledger
from isr_theory.claims.x03_finite import first_order
from isr_theory.claims.x04_5_activation import kl_from_behaviour
from isr_theory.models import ExponentialRate
from isr_theory.report import document
from isr_theory.report.html import page as report
from isr_theory.report.html import pictures

ROOT = Path(__file__).parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20">'
    '<rect width="30" height="20" fill="#f00"/></svg>'
)


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail("no Chromium to open the page in: apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found)
        yield started
        started.close()


@pytest.fixture(scope="module")
def full():
    content = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
    return {**content, "assumptions": document.assumptions(ledger())}


@pytest.fixture(scope="module")
def address(full, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "one.svg").write_text(DRAWING, encoding="utf-8")
    (folder / "one.txt").write_text("A figure.\nT8.2, VERIFIED: x\n", encoding="utf-8")
    path = folder / "index.html"
    path.write_text(report.page(full, pictures.pictures(folder)), encoding="utf-8")
    return path.as_uri()


def opened(browser, address, **settings):
    """Open a page, which keeps what it asked for and what went wrong."""
    sheet = browser.new_page(locale="en-GB", **settings)
    sheet.asked, sheet.wrong = [], []
    sheet.on("request", lambda request: sheet.asked.append(request.url))
    sheet.on("pageerror", lambda error: sheet.wrong.append(str(error)))
    sheet.on("console", lambda said: sheet.wrong.append(said.text) if said.type == "error" else 0)
    sheet.goto(address)
    return sheet


def typeset(sheet):
    """Wait until every formula of the page has had its turn."""
    sheet.wait_for_selector("html[data-typeset=all]", state="attached")


@pytest.fixture
def sheet(browser, address):
    made = opened(browser, address)
    yield made
    assert made.wrong == []
    assert [url[:60] for url in made.asked if not url.startswith("data:")] == [address[:60]]
    made.close()


def choice(sheet, name):
    """Return the list of choices that a screen reader calls by this name."""
    return sheet.get_by_role("combobox", name=name)


def shown(sheet):
    return sheet.evaluate("claims.filter((claim) => !claim.hidden).map((claim) => claim.id)")


def test_every_formula_of_the_ledger_is_typeset(sheet, full):
    typeset(sheet)
    counts = sheet.evaluate(
        "[...document.querySelectorAll('.formula')].map((x) => [x.querySelectorAll('math').length,"
        " x.querySelectorAll('code, merror, .temml-error').length])"
    )
    assert len(counts) >= len(full["claims"])
    assert {tuple(count) for count in counts} == {(1, 0)}


def test_the_font_of_the_formulas_comes_with_the_page(sheet):
    sheet.goto(sheet.url + "#T8.2")
    assert sheet.evaluate(
        "document.fonts.ready.then((all) => [...all].map((f) => [f.family, f.status]))"
    ) == [["STIX2", "loaded"]]


def test_a_statement_that_is_no_tex_keeps_its_words_and_is_reported(browser, full, tmp_path):
    row = next(row for row in full["claims"] if row["id"] == "T8.2")
    path = tmp_path / "index.html"
    broken = {**full, "claims": [{**row, "statement": r"\nosuchcommand{x}"}]}
    path.write_text(report.page(broken), encoding="utf-8")
    sheet = opened(browser, path.as_uri())
    typeset(sheet)
    assert sheet.text_content(".formula code") == r"\nosuchcommand{x}"
    assert len(sheet.wrong) == 1
    assert sheet.wrong[0].startswith("T8.2: ")
    sheet.close()


def test_filters_show_what_they_name(sheet, full):
    rows = full["claims"]
    assert set(shown(sheet)) == {row["id"] for row in rows}
    choice(sheet, "Verdict").select_option("REFUTED")
    refuted = {row["id"] for row in rows if row["verdict"] == "REFUTED"}
    assert set(shown(sheet)) == refuted
    assert sheet.text_content("#count") == f"{len(refuted)} / {len(rows)}"
    choice(sheet, "Section").select_option("8.2")
    assert set(shown(sheet)) == {row["id"] for row in rows if row["section"] == "8.2"} & refuted
    assert sheet.locator("section.group:visible h3").all_inner_texts() == ["Section 8.2"]
    sheet.get_by_role("button", name="Show all").click()
    choice(sheet, "Route").select_option("recorded")
    # A route that could not tell has not spoken.
    told = [(row["id"], f) for row in rows for f in row["findings"] if f["route"] == "recorded"]
    spoke = {id for id, finding in told if finding["outcome"] in ("holds", "fails")}
    assert set(shown(sheet)) == spoke
    sheet.get_by_role("button", name="Show all").click()
    choice(sheet, "Printed proof").select_option("wrong")
    assert set(shown(sheet)) == {row["id"] for row in rows if row["printed_proof"] == "wrong"}


def test_a_search_reads_words_of_both_languages_and_tex(sheet):
    search = sheet.get_by_role("searchbox", name="Search")
    for words, found in (
        ("poisson MINIMISER", "VAR.poisson"),
        ("尺度变化", "VAR.scale"),
        (r"\chi^2", None),
    ):
        search.fill(words)
        assert 0 < len(shown(sheet)) < 30
        assert found is None or found in shown(sheet)
    search.fill("no such words")
    assert shown(sheet) == []
    assert sheet.text_content("#count").startswith("0 / ")


def test_a_claim_opens_with_the_keyboard_and_shows_its_evidence(sheet):
    head = sheet.locator("[id='T9.1.a'] > summary")
    head.focus()
    sheet.keyboard.press("Enter")
    body = sheet.locator("[id='T9.1.a'] .body")
    assert body.is_visible()
    for words in ("Fails at", "sigma2 = 4", "certified", "jointly normal", "as amended"):
        assert words in body.inner_text()
    assert body.locator("math").first.is_visible()
    sheet.keyboard.press("Enter")
    assert not body.is_visible()


def test_links_lead_to_a_claim_that_a_filter_hides(sheet):
    choice(sheet, "Verdict").select_option("REFUTED")
    sheet.locator("[id='T9.1.a'] > summary").click()
    sheet.locator("[id='T9.1.a']").get_by_role("link", name="T9.1.a.fix").click()
    amendment = sheet.locator("[id='T9.1.a.fix']")
    amendment.locator(".body").wait_for(state="visible")
    assert sheet.evaluate("document.activeElement.parentElement.id") == "T9.1.a.fix"
    assert sheet.evaluate("document.getElementById('T9.1.a.fix').getBoundingClientRect().top") < 100
    amendment.get_by_role("link", name="T9.1.a", exact=True).click()
    sheet.wait_for_timeout(50)
    assert sheet.evaluate("document.activeElement.parentElement.id") == "T9.1.a"


def test_the_graph_leads_to_claims(sheet):
    sheet.get_by_text("Show the graph").click()
    body = sheet.locator("[id='T8.2'] .body")
    assert not body.is_visible()
    sheet.locator("svg a[href='#T8.2']").click()
    body.wait_for(state="visible")
    assert sheet.evaluate("document.activeElement.parentElement.id") == "T8.2"


def test_the_language_is_switched_everywhere(sheet, full):
    title = next(row["title"] for row in full["claims"] if row["id"] == "T8.2")
    name = sheet.locator("[id='T8.2'] .title")
    assert name.inner_text() == title["en"]
    sheet.get_by_role("button", name="中文").click()
    assert name.inner_text() == title["zh"]
    assert sheet.evaluate("document.documentElement.lang") == "zh-Hans"
    assert choice(sheet, "结论").is_visible()
    assert "闭式" in sheet.text_content("#explorer-said")
    assert "正态" in sheet.locator("#law option").first.text_content()
    assert sheet.locator("#section option").nth(1).text_content() == "摘要"
    assert sheet.locator("h2").all_inner_texts()[0] == "命题"
    sheet.get_by_role("button", name="English").click()
    assert name.inner_text() == title["en"]


def test_a_figure_is_unpacked(sheet):
    sheet.locator("#figure-one img").scroll_into_view_if_needed()
    sheet.wait_for_timeout(100)
    assert sheet.evaluate("document.querySelector('figure img').naturalWidth") == 30
    assert sheet.locator("[id='T8.2'] a[href='#figure-one']").count() == 1


def test_every_control_has_a_name(sheet):
    nameless = sheet.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter((x) =>"
        " !(x.labels?.length || x.textContent.trim())).map((x) => x.outerHTML)"
    )
    assert nameless == []
    assert sheet.evaluate("document.querySelectorAll('[aria-live]').length") == 2
    assert sheet.get_by_role("img", name="The closed form chooses").is_visible()


def test_it_fits_a_phone(browser, address):
    sheet = opened(browser, address, viewport={"width": 390, "height": 844})
    sheet.evaluate(
        "for (const details of document.querySelectorAll('details')) details.open = true"
    )
    assert sheet.evaluate("document.documentElement.scrollWidth") <= 390
    # A drawing of a page's width keeps it, and moves by itself.
    width = sheet.evaluate(
        "(async () => { const image = document.querySelector('figure img');"
        ' image.src = \'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" width="662"'
        ' height="200"/>\'; await image.decode(); return image.clientWidth; })()'
    )
    assert width >= 662
    assert sheet.evaluate("document.documentElement.scrollWidth") <= 390
    assert sheet.wrong == []
    sheet.close()


def test_dark_and_light_differ_and_can_be_read(browser, address):
    def contrast(scheme):
        sheet = opened(browser, address, color_scheme=scheme)
        ink, paper = sheet.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])"
            "(getComputedStyle(document.body))"
        )
        sheet.close()
        low, high = sorted(map(_luminance, (ink, paper)))
        return paper, (high + 0.05) / (low + 0.05)

    (light, one), (dark, other) = contrast("light"), contrast("dark")
    assert light != dark
    # WCAG 2 asks 7 to 1 of text at its strictest level.
    assert min(one, other) > 7


def _luminance(colour):
    """The relative luminance of WCAG 2 of a colour such as rgb(1, 2, 3)."""
    parts = [int(x) / 255 for x in colour[4:-1].split(",")]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(x * share for x, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def test_a_print_opens_what_is_shown_and_closes_it_again(sheet):
    choice(sheet, "Section").select_option("8.2")
    sheet.locator("[id='T8.3.a'] > summary").click()
    before = sheet.evaluate("document.querySelectorAll('details[open]').length")
    sheet.emulate_media(media="print")
    sheet.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert sheet.locator("[id='T8.3.b'] .evidence").is_visible()
    assert not sheet.locator("[id='T9.1.a'] .evidence").is_visible()
    assert not sheet.locator("#filter").is_visible()
    sheet.evaluate("dispatchEvent(new Event('afterprint'))")
    assert sheet.evaluate("document.querySelectorAll('details[open]').length") == before


def model(key, sigma2):
    """Return E_mu[w^t] of one token (infinite where it is) and both divergences, from Python."""
    sigma = math.sqrt(sigma2)
    if key == "normal":
        return lambda t: formulas.lognormal_moment(sigma2, t, Real), sigma2 / 2, sigma2 / 2
    if key in ("heavy", "light"):
        law = ExponentialRate(Fraction(1 - sigma if key == "heavy" else 1 + sigma))
        rate = float(law.rate)
        # KL(Exp(rate) || Exp(1)) = log rate + 1/rate - 1.
        back = math.log(rate) + 1 / rate - 1
        return (
            lambda t: law.moment(t, Real) if t * (1 - rate) < 1 else math.inf,
            float(kl_from_behaviour(law)),
            back,
        )
    mu = (0.1, 0.9)
    tilt = math.exp((sigma if key == "up" else -sigma) / 0.3)
    pi = formulas.normalised([mu[0] * tilt, mu[1]])
    return (
        lambda t: formulas.moment(mu, pi, t, Real),
        formulas.kl(mu, pi, Real),
        formulas.kl(pi, mu, Real),
    )


def in_python(key, sigma2, rho, length, n):
    moment, kl, back = model(key, sigma2)

    def log_ess(gamma):
        second = moment(2 * gamma)
        return length * (2 * math.log(moment(gamma)) - math.log(second))

    closed = formulas.gamma_lognormal(sigma2 * length, rho, Real)
    ess = math.exp(log_ess(closed)) if moment(2 * closed) < math.inf else 0.0
    # Short of where the second moment becomes infinite, and ESS 0.
    end = 1.0
    while moment(2 * end) == math.inf:
        end *= 0.999
    met = log_ess(end) >= math.log(rho)
    exact = 1.0 if met else brentq(lambda g: log_ess(g) - math.log(rho), 0, end, xtol=1e-14)
    finite = moment(4 * closed) < math.inf
    logs = [length * math.log(moment(k * closed)) for k in (1, 2, 3, 4)] if finite else []
    excess = float(first_order(*(Ball.exp(x) for x in logs))) / n if finite else math.inf
    return {
        "gammaClosed": closed,
        "essClosed": ess,
        "rowsClosed": n * ess,
        "gammaExact": exact,
        "kl": length * kl,
        "klReverse": length * back,
        "activation": -math.log(rho) / 2,
        "excess": excess,
        "coverage": float(chi2.sf(n - 1, n - 1)) if closed < 1 else 1.0,
    }


def test_the_explorers_numbers_are_pythons(sheet):
    keys = ("normal", "heavy", "light", "up", "down")
    grid = [
        [key, sigma2, rho, length, n]
        for key, sigma2, rho, length, n in product(
            keys, (0.01, 0.4, 0.95, 3.1, 6), (0.05, 0.3, 0.95), (1, 16, 1024), (2, 256, 4096)
        )
        if key != "heavy" or sigma2 < 1
    ]
    assert len(grid) > 500
    answers = sheet.evaluate(
        "(grid) => grid.map((point) => Object.entries(explore(...point)))", grid
    )
    for point, answer in zip(grid, answers, strict=True):
        # JSON has no infinity: the page's comes as one all the same.
        assert dict(answer) == pytest.approx(in_python(*point), rel=1e-9, abs=1e-9), point


def test_a_slider_moved_by_keyboard_changes_the_number(sheet):
    def answer(name):
        return float(sheet.get_attribute(f"#answer-{name}", "value"))

    for key, sigma2 in (("up", 2.01), ("heavy", 0.95)):
        choice(sheet, "Law of log w").select_option(key)
        sheet.get_by_role("slider", name="sigma²").focus()
        sheet.keyboard.press("ArrowRight")
        assert float(sheet.input_value("#sigma2")) == sigma2
        expected = in_python(key, sigma2, 0.3, 1, 256)
        for name in ("gammaClosed", "gammaExact", "essClosed", "kl"):
            assert answer(name) == pytest.approx(expected[name], rel=1e-9, abs=1e-9)
        assert f"{expected['gammaClosed']:.4g}" in sheet.text_content("#explorer-said")
    sheet.get_by_role("slider", name="T, tokens").focus()
    sheet.keyboard.press("ArrowRight")
    assert sheet.text_content("#value-length") == "2"
    assert answer("kl") == pytest.approx(in_python("heavy", 0.95, 0.3, 2, 256)["kl"], rel=1e-9)


def test_the_chart_is_drawn_through_the_curve_and_the_two_gammas(sheet):
    choice(sheet, "Law of log w").select_option("up")
    gammas, own, _, target, closed, exact = sheet.evaluate("chart.data")
    assert (gammas[0], gammas[-1], set(target)) == (0, 1, {0.3})
    expected = in_python("up", 2, 0.3, 1, 256)
    for marks, name in ((closed, "gammaClosed"), (exact, "gammaExact")):
        ((gamma, ess),) = [(g, y) for g, y in zip(gammas, marks, strict=True) if y is not None]
        assert gamma == pytest.approx(expected[name], abs=1e-9)
        assert ess == own[gammas.index(gamma)]
    painted = sheet.evaluate(
        "new Set(document.querySelector('#chart canvas').getContext('2d')"
        ".getImageData(0, 0, 600, 300).data).size"
    )
    assert painted > 10

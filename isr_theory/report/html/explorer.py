"""The explorer: what the rule chooses, what that reaches, and what it costs, law by law.

Only the form is made here; `laws` prints the formulas and `assets/explorer.js` connects the two.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element

from isr_theory.claim import Text
from isr_theory.report.html.elements import add, both, labelled, option
from isr_theory.report.html.laws import SIZES, laws

LEAD = Text(
    "How far can gamma go before too little of the sample is left? The closed form of Theorem 8.3"
    " is exact where log w is normal; choose another law to see what it reaches there.",
    "γ 可以取到多大而样本仍够用？定理 8.3 的闭式在 log w 正态时精确；"
    "换一个分布，看它实际达到多少。",
)
LAW = Text("Law of log w, one token", "单个 token 的 log w 分布")


class Slider(NamedTuple):
    """A number to set: its range and step as the page writes them, and where it begins."""

    name: str
    words: Text
    least: str
    largest: str
    step: str
    start: str


# Length and size are set by their logarithm to base 2.
SLIDERS = (
    Slider(
        "sigma2",
        Text("sigma², variance of log w, one token", "σ²：单 token 的 log w 方差"),
        *("0.01", "6", "0.01", "2"),
    ),
    Slider(
        "rho",
        Text("rho_min, the least ESS/n", "ρ_min：最低 ESS/n"),
        *("0.05", "0.95", "0.01", "0.3"),
    ),
    Slider("length", Text("T, tokens in a response", "T：回答长度"), "0", "10", "1", "0"),
    Slider("size", Text("n, rows in a batch", "n：批次大小"), "1", str(len(SIZES)), "1", "8"),
)
KEY = {
    "curve": Text("this law", "该分布"),
    "normal": Text("log-normal of the same variance", "同方差对数正态"),
    "target": Text("rho_min", "ρ_min"),
    "closed": Text("closed form", "闭式"),
    "exact": Text("exact", "精确"),
}
ANSWERS = {
    "gammaClosed": Text("gamma* of the closed form (T8.3)", "闭式 γ*（T8.3）"),
    "essClosed": Text("ESS/n that it reaches under this law", "该分布下实际达到的 ESS/n"),
    "rowsClosed": Text("effective rows of n", "n 行中的有效行数"),
    "gammaExact": Text("exact gamma: the largest with ESS/n ≥ rho_min", "精确 γ：满足目标的最大者"),
    "kl": Text("KL(mu ‖ pi), nats", "KL(μ ‖ π)，纳特"),
    "klReverse": Text("KL(pi ‖ mu), nats", "KL(π ‖ μ)，纳特"),
    "activation": Text(
        "log-normal: the rule acts where KL(mu ‖ pi) is above",
        "对数正态：KL(μ ‖ π) 高于此值规则才起作用",
    ),
    "excess": Text(
        "a batch overstates ESS/n by about (GAM.firstorder)", "批次 ESS/n 约偏高（GAM.firstorder）"
    ),
    "coverage": Text(
        "log-normal: share of batches whose own gamma meets rho_min (GAM.coverage)",
        "对数正态：批次自定 γ 达标的比例（GAM.coverage）",
    ),
}


def explorer(parent: Element) -> None:
    """Append the explorer."""
    labelled(parent, "p", LEAD, class_="lead")
    form = add(parent, "form", id="explorer", class_="explorer")
    controls = add(form, "div", class_="controls")
    _choice(controls)
    for slider in SLIDERS:
        _slider(controls, slider)
    said = add(form, "p", id="explorer-said", class_="said")
    said.set("aria-live", "polite")
    add(form, "div", id="chart", class_="chart", role="img")
    key = add(form, "p", class_="key")
    for name, label in KEY.items():
        labelled(key, "span", label, class_=f"key-{name}")
    answers = add(form, "dl", class_="answers")
    for name, label in ANSWERS.items():
        pair = add(answers, "div")
        labelled(pair, "dt", label)
        add(add(pair, "dd"), "data", id=f"answer-{name}")


def _choice(controls: Element) -> None:
    field = add(controls, "label")
    both(field, LAW)
    choice = add(field, "select", id="law")
    for law in laws():
        option(choice, law.key, law.title)


def _slider(controls: Element, slider: Slider) -> None:
    # Named, or the label would be that of the first thing in it, the output.
    field = add(controls, "label", for_=slider.name)
    both(field, slider.words)
    add(field, "output", id=f"value-{slider.name}", for_=slider.name)
    ends = {"min": slider.least, "max": slider.largest, "step": slider.step}
    add(field, "input", id=slider.name, type="range", value=slider.start, **ends)

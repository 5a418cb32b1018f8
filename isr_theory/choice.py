"""The answer of `diagnostics.choose_gamma`: its numbers, as text and as a table for a notebook."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

Row = tuple[str, str]


@dataclass(frozen=True)
class GammaChoice:
    """A gamma, why it is this one, and what speaks for and against it. Numbers are of the batch."""

    gamma: float
    method: str
    """The rule's method: lognormal, cumulant or exact; see `weights.gamma_star`."""
    why: str
    binding: str
    """What set gamma: the rule, a bound on the range, or the name of a cap."""
    rho_min: float
    ess: float
    """ESS/n of w^gamma in the batch."""
    feasible: bool
    """Whether the lowest gamma of the range keeps the target, and this one every cap."""
    interval: tuple[float, float]
    """Where the population's gamma for this target lies, at `level`, caps left aside.

    Held in 95% of batches and more where log w is normal or bounded; with a Pareto tail in far
    fewer, down to one in five, since the batch has not shown the tail: see the notes.
    """
    level: float
    by_method: dict[str, float]
    caps: dict[str, float]
    n: int
    positive: int
    mean: float
    """Mean of the finite log w."""
    sigma2: float
    """Variance of the finite log w, with ddof = 0."""
    skewness: float
    kurtosis: float
    """Excess kurtosis of the finite log w."""
    kl: float
    """KL(mu||pi) = -mean log w, for normalised pi and mu."""
    kl_reverse: float
    """KL(pi||mu), with weights normalised to mean 1."""
    kl_flat: float
    """KL(nu_gamma||mu), what gamma moves the sampling law by; nu_gamma ~ mu w^gamma."""
    activation: float
    """KL(mu||pi) from which the rule gives gamma < 1, for log-normal weights: -log(rho_min)/2."""
    two_scalar: float | None
    """2 KL(mu||pi) / Var(log w): 1 for log-normal weights of mean 1; None where it is undefined."""
    khat: float
    """Pareto index of w; +inf where the tail is too short to tell."""
    khat_flat: float
    """Pareto index of w^gamma, estimated anew."""
    khat_threshold: float | None
    """Up to which index n weights give a reliable mean; None for a single weight."""
    notes: tuple[str, ...]
    """What not to trust, in words."""

    def __hash__(self) -> int:
        # Two fields are dictionaries; equal choices have equal numbers beside them.
        return hash((self.gamma, self.method, self.n, self.interval))

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def rows(choice: GammaChoice) -> list[Row]:
    """Return what a choice says, label by label."""
    low, high = choice.interval
    ratio = "undefined" if choice.two_scalar is None else f"{choice.two_scalar:.3g}"
    cap = "".join(f", {name} allows {cap:.4g}" for name, cap in choice.caps.items())
    return [
        ("gamma", f"{choice.gamma:.4g}, set by {choice.binding}{cap}"),
        ("method", f"{choice.method}: {choice.why}"),
        ("by method", ", ".join(f"{name} {gamma:.4g}" for name, gamma in choice.by_method.items())),
        (f"{choice.level:.0%} interval", f"{low:.4g} to {high:.4g} for the population's gamma"),
        ("ESS/n", f"{choice.ess:.3g} in this batch, target {choice.rho_min:g}"),
        ("weights", f"{choice.n}, of which {choice.n - choice.positive} are 0"),
        (
            "log w",
            f"mean {choice.mean:.4g}, variance {choice.sigma2:.4g},"
            f" skewness {choice.skewness:.3g}, excess kurtosis {choice.kurtosis:.3g}",
        ),
        (
            "KL",
            f"(mu||pi) {choice.kl:.4g}, (pi||mu) {choice.kl_reverse:.4g},"
            f" (nu_gamma||mu) {choice.kl_flat:.4g}",
        ),
        (
            "activation",
            f"the rule acts from KL(mu||pi) = {choice.activation:.3g} on, if w is log-normal",
        ),
        ("2 KL/Var(log w)", f"{ratio}; it is 1 for log-normal weights of mean 1"),
        ("Pareto k", f"{_index(choice.khat)} for w, {_index(choice.khat_flat)} for w^gamma"),
    ]


def _index(khat: float) -> str:
    if khat == math.inf:
        return "unknown"
    return "no tail" if khat == -math.inf else f"{khat:.3g}"


def as_text(choice: GammaChoice) -> str:
    """Return a choice as aligned lines, its notes below."""
    table = rows(choice)
    width = max(len(label) for label, _ in table)
    lines = [f"{label:<{width}}  {text}" for label, text in table]
    return "\n".join(lines + [f"! {note}" for note in choice.notes])


def as_html(choice: GammaChoice) -> str:
    """Return a choice as an HTML table, its notes below; text is escaped."""
    box = ElementTree.Element("div")
    table = ElementTree.SubElement(box, "table")
    for label, text in rows(choice):
        row = ElementTree.SubElement(table, "tr")
        ElementTree.SubElement(row, "th", style="text-align: left").text = label
        ElementTree.SubElement(row, "td", style="text-align: left").text = text
    if choice.notes:
        notes = ElementTree.SubElement(box, "ul")
        for note in choice.notes:
            ElementTree.SubElement(notes, "li").text = note
    return ElementTree.tostring(box, encoding="unicode", method="html")

"""What a diagnosis says: `report` fills it in; `text`, `page` and `plain` show it."""

from __future__ import annotations

from dataclasses import dataclass

from isr_theory.choice import GammaChoice
from isr_theory.diagnose.reading import BadRow, Remark
from isr_theory.diagnostics import RenyiSpectrum


@dataclass(frozen=True)
class Effective:
    """How much of a sample weights w^gamma leave, by three measures, over n."""

    name: str
    gamma: float | None
    """None where rows have exponents of their own."""
    kish: float
    perplexity: float
    max_weight: float


@dataclass(frozen=True)
class Stratum:
    """The rule within one part of the log."""

    label: str
    n: int
    sigma2: float
    gamma: float
    """The rule's, caps left aside."""
    interval: tuple[float, float]
    ess_own: float
    """ESS/n at its own gamma."""
    ess_shared: float
    """ESS/n at the gamma of the whole log."""
    khat: float
    two_scalar: float | None


@dataclass(frozen=True)
class Value:
    """The self-normalised estimate of the mean reward under pi, and its standard error."""

    gamma: float
    estimate: float
    error: float


@dataclass(frozen=True)
class Diagnosis:
    """A log's report. ESS are shares of n; divergences are in nats."""

    files: int
    skipped: tuple[str, ...]
    """Files of the folders that were not read."""
    read: int
    bad_count: int
    bad: tuple[BadRow, ...]
    """The first of them."""
    remarks: tuple[Remark, ...]
    """Rows that are in gamma and not in some other number."""
    ratio: str
    """How log w came about, in words."""
    layout_notes: tuple[str, ...]
    """Choices among the columns that a reader should know of."""
    choice: GammaChoice
    chi_square: float
    """Of pi from mu, weights normalised to mean 1."""
    spectrum: RenyiSpectrum
    effective: tuple[Effective, ...]
    curve: tuple[tuple[float, float], ...]
    """(gamma, ESS/n)."""
    strata: dict[str, tuple[Stratum, ...]]
    strata_method: str
    """By which gamma is found in every part."""
    strata_differ: dict[str, bool]
    """Whether their gammas differ by more than noise, for the number of them there are."""
    group_interval: tuple[float, float] | None
    """Of the rule's gamma, caps left aside, by leaving out whole groups; None without a group."""
    values: tuple[Value, ...]
    verdict: tuple[str, ...]

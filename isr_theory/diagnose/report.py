"""From a tally to a `Diagnosis`: every number of the report, and its verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isr_theory import moments
from isr_theory.choice import GammaChoice
from isr_theory.diagnose.diagnosis import Diagnosis, Effective, Stratum, Value
from isr_theory.diagnose.reading import Layout
from isr_theory.diagnose.summary import Summary, merge_all
from isr_theory.diagnose.tally import Tally
from isr_theory.diagnose.verdict import FEW, verdict
from isr_theory.diagnostics import LEVEL, check_caps, choose, gamma_by_method, spectrum
from isr_theory.intervals import normal_point
from isr_theory.moments import LogMoments
from isr_theory.rule import check_rule

CURVE = tuple(k / 40 for k in range(41))


@dataclass(frozen=True)
class Settings:
    """What the user asked of the rule; see `diagnostics.choose_gamma`."""

    rho_min: float = 0.3
    method: Any = "auto"
    gamma_min: float = 0.0
    gamma_max: float = 1.0
    kl_max: float | None = None
    khat_max: float | None = None

    def check(self) -> None:
        """Raise ValueError for what means nothing."""
        check_rule(self.rho_min, self.method, self.gamma_min, self.gamma_max)
        check_caps(self.kl_max, self.khat_max)

    def for_parts(self) -> Settings:
        """Return the rule for parts of a log, whose gammas must be of one kind to be compared.

        It has one method, the exact one where none was asked for, and no cap, so that the interval
        is that of the gamma beside it.
        """
        method = "exact" if self.method == "auto" else self.method
        return replace(self, method=method, kl_max=None, khat_max=None)

    def choose(self, m: LogMoments, level: float = LEVEL) -> GammaChoice:
        """Return the rule's gamma for some weights, and its interval at a level."""
        return choose(
            m,
            self.rho_min,
            method=self.method,
            gamma_min=self.gamma_min,
            gamma_max=self.gamma_max,
            kl_max=self.kl_max,
            khat_max=self.khat_max,
            level=level,
        )


def diagnose(
    tally: Tally,
    settings: Settings,
    layout: Layout,
    *,
    files: int = 1,
    skipped: tuple[str, ...] = (),
) -> Diagnosis:
    """Return the report of a tally with at least one positive weight, read as `layout` says."""
    whole = tally.whole
    choice = settings.choose(whole)
    alike = settings.for_parts()
    cells = {name: strata.labelled() for name, strata in tally.strata.items()}
    strata = {
        name: tuple(_stratum(label, cell, choice.gamma, alike) for label, cell in found)
        for name, found in cells.items()
    }
    facts: dict[str, Any] = {
        "files": files,
        "skipped": skipped,
        "read": tally.read,
        "bad_count": tally.bad_count,
        "bad": tally.bad,
        "remarks": tuple(tally.remarks.values()),
        "ratio": layout.ratio,
        "layout_notes": layout.notes,
        "choice": choice,
        "chi_square": _chi_square(whole),
        "spectrum": spectrum(whole),
        "effective": _effective(tally, choice.gamma),
        "curve": tuple((gamma, moments.ess(whole, gamma)) for gamma in CURVE),
        "strata": strata,
        "strata_method": alike.method,
        "strata_differ": {
            name: _differ(strata[name], [cell for _, cell in found], alike, choice.kurtosis)
            for name, found in cells.items()
        },
        "group_interval": _group_interval(tally, settings, choice),
        "values": _values(whole, choice.gamma),
    }
    return Diagnosis(**facts, verdict=verdict(facts))


def _chi_square(m: LogMoments) -> float:
    once, twice = m.log_mean(np.array([1.0, 2.0]))
    return math.expm1(twice - 2 * once)


def effective(name: str, m: LogMoments, gamma: float, shown: float | None) -> Effective:
    """Return the three measures of what w^gamma leaves."""
    level = float(m.log_mean(np.array([gamma]))[0])
    return Effective(
        name,
        shown,
        kish=moments.ess(m, gamma),
        perplexity=min(1.0, math.exp(level - gamma * m.slope(gamma))),
        max_weight=math.exp(level - gamma * float(m.top[-1])),
    )


def _effective(tally: Tally, gamma: float) -> tuple[Effective, ...]:
    found = [
        effective("sum of token log-ratios", tally.whole, 1.0, 1.0),
        effective("flattened by gamma", tally.whole, gamma, gamma),
    ]
    if tally.mean is not None and tally.mean.positive:
        found.append(effective("mean of token log-ratios (GSPO)", tally.mean, 1.0, None))
    return tuple(found)


def _stratum(label: str, cell: Summary, shared: float, settings: Settings) -> Stratum:
    if not cell.positive:
        none = settings.gamma_min
        return Stratum(label, cell.n, 0.0, none, (none, none), 0.0, 0.0, math.inf, None)
    choice = settings.choose(cell)
    return Stratum(
        label=label,
        n=cell.n,
        sigma2=choice.sigma2,
        gamma=choice.gamma,
        interval=choice.interval,
        ess_own=choice.ess,
        ess_shared=moments.ess(cell, shared),
        khat=choice.khat,
        two_scalar=choice.two_scalar,
    )


def _differ(
    strata: tuple[Stratum, ...], cells: list[Summary], settings: Settings, kurtosis: float
) -> bool:
    """Return whether the least and the largest gamma of the parts differ by more than noise.

    They are picked from k parts, so that their intervals are at 1 - (1 - LEVEL) / k (Bonferroni):
    were all gammas the same, two would lie apart with a probability of at most 1 - LEVEL. That is
    so for intervals that hold, and so far out those of few rows are too short: the variances of
    log w have to differ as well, where log s^2 has the variance (2 + kurtosis) / n, with the excess
    kurtosis of the whole log.
    """
    found = [pair for pair in zip(strata, cells, strict=True) if pair[0].n >= FEW]
    known = [(stratum, cell) for stratum, cell in found if cell.positive]
    if len(known) < 2:
        return False
    level = 1 - (1 - LEVEL) / len(known)
    _, low = min(known, key=lambda pair: pair[0].gamma)
    _, high = max(known, key=lambda pair: pair[0].gamma)
    noise = math.sqrt((2 + max(0.0, kurtosis)) * (1 / low.positive + 1 / high.positive))
    wider = high.central.variance * math.exp(normal_point(level) * noise) < low.central.variance
    below, above = (settings.choose(cell, level).interval for cell in (low, high))
    return wider and below[1] < above[0]


def _group_interval(
    tally: Tally, settings: Settings, choice: GammaChoice
) -> tuple[float, float] | None:
    """Return the jackknife's interval for the rule's gamma, leaving out one block at a time."""
    from scipy.special import stdtrit

    blocks = [block for block in tally.blocks if block.positive]
    count = len(blocks)
    if count < 2:
        return None

    def gamma(kept: list[Summary]) -> float:
        of_all = merge_all(kept, keep=1)
        low, high = settings.gamma_min, settings.gamma_max
        return gamma_by_method(of_all, settings.rho_min, low, high)[choice.method]

    found = np.array([gamma(blocks[:k] + blocks[k + 1 :]) for k in range(count)])
    error = math.sqrt((count - 1) / count * float(((found - found.mean()) ** 2).sum()))
    width = float(stdtrit(count - 1, (1 + choice.level) / 2)) * error
    centre = gamma(blocks)
    return max(settings.gamma_min, centre - width), min(settings.gamma_max, centre + width)


def _values(whole: Summary, gamma: float) -> tuple[Value, ...]:
    if whole.bins is None or len(whole.bins.sums) < 3:
        return ()
    found = (_value(whole, at) for at in dict.fromkeys((0.0, gamma, 1.0)))
    return tuple(value for value in found if value is not None)


def _value(whole: Summary, gamma: float) -> Value | None:
    """Return sum w^gamma r / sum w^gamma over the rows whose reward is known, and its error.

    The error's square is sum w^2gamma (r - v)^2 / (sum w^gamma)^2, by the delta method. As w^0
    counts as 0 where w does, gamma = 0 is the mean over the rows whose weight is not 0.
    """
    _, total, _, known = _layers(whole, gamma)
    if known <= 0:
        return None
    estimate = total / known
    _, first, second, twice = _layers(whole, 2 * gamma)
    square = max(0.0, second - 2 * estimate * first + estimate**2 * twice)
    error = math.sqrt(square / (whole.n * moments.ess(whole, gamma))) / known
    return Value(gamma, estimate, error)


def _layers(whole: Summary, order: float) -> tuple[float, float, float, float]:
    """Return the means under w^order of 1, reward, its square, and whether it is known."""
    one, first, second, *unknown = (float(mean) for mean in whole.tilted_means(order))
    return one, first, second, max(0.0, one - sum(unknown))

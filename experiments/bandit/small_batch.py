"""gamma from a small batch: closed form, exact ESS and two safe rules, beside fixed gammas.

    theta <- theta + step * sum w^gamma r s / sum w^gamma,   a new batch of n from mu each step

The Gaussian problem has mu = N(0, 1), pi = N(theta, 1), so that log w is exactly normal, and
r = e^(-(y - 2)^2/2): at a fixed gamma exact training ends at theta = 2/(2 - gamma), under the rule
at 1 + sqrt(L)/2, so that here the best fixed gamma is 1 but for noise. The other problem is a
softmax over 16 arms, where log w is not normal. Every method gets every learning rate; its rate is
chosen on one half of the seeds and judged on the other. Values and ESS/n are the population's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy import stats

from experiments.runs import Cell, Experiment, Json
from experiments.statistics import improvement, iqm_interval
from isr_theory.weights import gamma_star

ROOT_SEED = 20260116
FIXED = {f"gamma {g:g}": g for g in (0.0, 0.25, 0.5, 0.75, 1.0)}
RULES = ("closed form", "exact ESS", "chi-square", "Kantorovich")
METHODS = (*FIXED, *RULES)
PROBLEMS = ("Gaussian", "softmax")
AIM = 2.0
"""Where the Gaussian problem's reward is highest."""
DELTA = 0.05
"""How often the chi-square rule may miss its target, for normal log w."""


@dataclass(frozen=True)
class Settings:
    """Batch sizes, learning rates alike for all, and seeds: half to choose, half to judge."""

    sizes: tuple[int, ...] = (8, 32, 256)
    rates: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    seeds: int = 48
    steps: int = 600
    rho_min: float = 0.3
    arms: int = 16
    softmax_scale: float = 10.0
    """The gradient of 16 logits is smaller than that of theta, its learning rate so much larger."""


@dataclass(frozen=True)
class Problem:
    """A start, how to draw log w, r and scores, and the population's value, variance and ESS."""

    start: Any
    batch: Callable[[Any, int, Any], tuple[Any, Any, Callable[[Any], Any]]]
    """(parameters, n, generator) -> log w, r, and what turns weights into a gradient."""
    value: Callable[[Any], Any]
    sigma2: Callable[[Any], Any]
    ess: Callable[[Any, Any], Any]


def cells(settings: Settings) -> list[Cell]:
    """One cell a problem, batch size and method, with all rates and seeds."""
    return [
        Cell(f"{problem}, n {n}, {method}", {"problem": problem, "n": n, "method": method})
        for problem in PROBLEMS
        for n in settings.sizes
        for method in METHODS
    ]


def gaussian(rows: int) -> Problem:
    """The shifted Gaussian with a bump of reward."""

    def batch(theta: Any, n: int, generator: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
        y = torch.randn((rows, n), generator=generator, dtype=torch.float64)
        score = y - theta
        return (
            theta * y - theta**2 / 2,
            (-((y - AIM) ** 2) / 2).exp(),
            lambda a: (a * score).sum(-1, keepdim=True),
        )

    return Problem(
        start=torch.zeros((rows, 1), dtype=torch.float64),
        batch=batch,
        # A bump of unit width under a normal of unit width.
        value=lambda theta: (-((theta - AIM) ** 2) / 4).exp()[:, 0] / math.sqrt(2),
        sigma2=lambda theta: theta[:, 0] ** 2,
        ess=lambda theta, gamma: (-((gamma * theta[:, 0]) ** 2)).exp(),
    )


def softmax(rows: int, arms: int) -> Problem:
    """Arms with an uneven mu, whose rewards do not go with it."""
    generator = torch.Generator().manual_seed(ROOT_SEED)
    log_mu = torch.randn(arms, generator=generator, dtype=torch.float64).log_softmax(0)
    mu, reward = log_mu.exp(), torch.rand(arms, generator=generator, dtype=torch.float64)

    def batch(logits: Any, n: int, generator: Any) -> tuple[Any, Any, Callable[[Any], Any]]:
        chosen = torch.multinomial(mu, rows * n, replacement=True, generator=generator)
        chosen = chosen.reshape(rows, n)
        level = logits.log_softmax(-1)
        log_w = level.gather(1, chosen) - log_mu[chosen]

        def gradient(weights: Any) -> Any:
            by_arm = torch.zeros_like(logits).scatter_add(1, chosen, weights)
            return by_arm - level.exp() * weights.sum(-1, keepdim=True)

        return log_w, reward[chosen], gradient

    def sigma2(logits: Any) -> Any:
        log_w = logits.log_softmax(-1) - log_mu
        mean = (mu * log_w).sum(-1, keepdim=True)
        return (mu * (log_w - mean) ** 2).sum(-1)

    def ess(logits: Any, gamma: Any) -> Any:
        own = (gamma[:, None] * (logits.log_softmax(-1) - log_mu)).exp()
        return (mu * own).sum(-1) ** 2 / (mu * own**2).sum(-1)

    start = log_mu.expand(rows, arms).clone()
    return Problem(start, batch, lambda z: z.softmax(-1) @ reward, sigma2, ess)


def choose(method: str, log_w: Any, rho_min: float) -> Any:
    """Return one gamma a row of log-weights."""
    rows, n = log_w.shape
    if method in FIXED:
        return torch.full((rows,), FIXED[method], dtype=log_w.dtype)
    if method == "exact ESS":
        return gamma_star(log_w, rho_min, method="exact")
    if method == "Kantorovich":
        spread = log_w.amax(-1) - log_w.amin(-1)
        return (2 * math.acosh(rho_min**-0.5) / spread.clamp_min(1e-12)).clamp_max(1)
    if method == "chi-square":
        # The closed form at the upper bound of the variance.
        wider = (n / float(stats.chi2.ppf(DELTA, n - 1))) ** 0.5
        sigma = log_w.std(-1, correction=0).clamp_min(1e-12)
        return (math.sqrt(-math.log(rho_min)) / (wider * sigma)).clamp_max(1)
    return gamma_star(log_w, rho_min, method="lognormal")


def run(settings: Settings, problem: str, n: int, method: str) -> Json:
    """Train all rates and seeds at once; a row is a rate and a seed."""
    rows = len(settings.rates) * settings.seeds
    own = gaussian(rows) if problem == "Gaussian" else softmax(rows, settings.arms)
    scale = 1.0 if problem == "Gaussian" else settings.softmax_scale
    rates = torch.tensor(settings.rates, dtype=torch.float64).repeat_interleave(settings.seeds)
    generator = torch.Generator().manual_seed(ROOT_SEED + 284 + n)
    state, limit = own.start, -math.log(settings.rho_min)
    active, kept, off = (torch.zeros(rows, dtype=torch.float64) for _ in range(3))
    late, values = torch.zeros(rows, dtype=torch.float64), []
    since = settings.steps - settings.steps // 10
    for t in range(settings.steps):
        log_w, reward, gradient = own.batch(state, n, generator)
        gamma = choose(method, log_w, settings.rho_min)
        # Only where the population's own rule is below 1: elsewhere every gamma is allowed.
        outside = (own.sigma2(state) > limit).double()
        reached = own.ess(state, gamma)
        active += outside
        kept += outside * (reached >= settings.rho_min).double()
        off += outside * (reached / settings.rho_min).log().abs()
        weights = (gamma[:, None] * log_w).softmax(-1) * reward
        state = state + scale * rates[:, None] * gradient(weights)
        value = own.value(state)
        values.append(value)
        if t >= since:
            late += value / (settings.steps - since)
    shape = (len(settings.rates), settings.seeds)
    return {
        "late": late.reshape(shape).tolist(),
        "start": float(own.value(own.start)[0]),
        "first": _first(torch.stack(values), own, shape),
        "active": active.reshape(shape).tolist(),
        "kept": kept.reshape(shape).tolist(),
        "off": off.reshape(shape).tolist(),
    }


def _first(values: Any, own: Problem, shape: tuple[int, int]) -> list[list[int]]:
    """Return the first step, from 1, at which half of the way to the greatest value is made."""
    start = float(own.value(own.start)[0])
    most = 1 / math.sqrt(2) if own.start.shape[-1] == 1 else _best_arm(own)
    reached = values >= (start + most) / 2
    steps = torch.where(reached.any(0), reached.double().argmax(0) + 1, len(values) + 1)
    found: list[list[int]] = steps.reshape(shape).tolist()
    return found


def _best_arm(own: Problem) -> float:
    """Return the largest reward, as the value of policies that are one arm."""
    one = 1e3 * torch.eye(own.start.shape[-1], dtype=torch.float64)
    return float(own.value(one).max())


def judged(settings: Settings, got: Json) -> Json:
    """Choose the rate on the first half of the seeds, and return what the second half did at it."""
    half = settings.seeds // 2
    means = [sum(row[:half]) / half for row in got["late"]]
    best = max(range(len(means)), key=means.__getitem__)
    return {"rate": settings.rates[best], "late": got["late"][best][half:], "row": best}


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Value with interval and steps at the chosen rate; coverage of the target over all rates."""
    rows = []
    for cell in cells(settings):
        got = found[cell.key]
        best = judged(settings, got)
        active = torch.tensor(got["active"], dtype=torch.float64)
        total = float(active.sum())
        first = sorted(got["first"][best["row"]])
        row = {
            **cell.arguments,
            "rate": best["rate"],
            "late": iqm_interval(best["late"]),
            "by_rate": [sum(x) / len(x) for x in got["late"]],
            "half_way": first[len(first) // 2],
            "active": total / (active.numel() * settings.steps),
            "kept": _over_seeds(got["kept"], active),
            "off": _over_seeds(got["off"], active),
        }
        if cell.arguments["method"] not in RULES[:1]:
            mine = judged(settings, found[_closed(cell.arguments)])["late"]
            row["closed_above"] = improvement(mine, best["late"])
        rows.append(row)
    return {"rows": rows}


def _closed(arguments: Json) -> str:
    return f"{arguments['problem']}, n {arguments['n']}, {RULES[0]}"


def _over_seeds(totals: list[list[float]], active: Any) -> list[float] | None:
    """Return the mean over active steps, seed by seed over all rates, with the interval."""
    counts = active.sum(0)
    if not bool((counts > 0).all()):
        return None
    return iqm_interval((torch.tensor(totals, dtype=torch.float64).sum(0) / counts).tolist())


EXPERIMENT = Experiment(
    name="small_batch",
    title="gamma chosen from small batches, beside fixed gammas",
    settings=Settings(),
    smoke=Settings(sizes=(8,), rates=(0.1, 1.0), seeds=4, steps=15),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
    least_seeds=3,
)

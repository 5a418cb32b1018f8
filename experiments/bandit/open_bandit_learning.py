"""Off-policy learning on real logs: a softmax policy from a sampler's log, by many weights.

    maximise mean f(w) r log pi(item | position, user),     w = pi/mu,     f detached

A linear softmax over one-hot user features and the position, trained on 70% of the bts log of each
campaign by Adam, from nearly uniform starts; rate and step are chosen alike for all weights, by the
self-normalised estimate on the other 30%. What was learned is worth its importance-sampled value on
the random log, whose propensities are known exactly. Some 30 clicks teach, some 13 choose and some
40 judge: the intervals over rows of the random log are what a difference has to exceed, and those
over seeds (starts and minibatches) only say how far training repeats itself.

Rows fall into a few hundred contexts (position and features), so that a step costs a softmax for
each context and seed, and not for each row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from experiments import data
from experiments.bandit.open_bandit import logs
from experiments.runs import Cell, Experiment, Json
from experiments.statistics import difference_interval, iqm_interval
from isr_theory.training.atlas import ATLAS, View
from isr_theory.weights import Method, ess_ratio, gamma_star

Tensor = Any
ROOT_SEED = 20260109
GAMMAS = {f"gamma {g:g}": g for g in (0.0, 0.25, 0.5, 0.75, 1.0)}
CHOSEN: dict[str, Method] = {"gamma* lognormal": "lognormal", "gamma* exact": "exact"}
RIVALS = ("tis", "sub_gaussian", "dros", "log_smoothing")
METHODS = (*GAMMAS, *CHOSEN, "snips", *RIVALS)
PLAIN = "gamma 0"
RESAMPLINGS = 20_000


@dataclass(frozen=True)
class Settings:
    """Campaigns, training and evaluation. `synthetic` rows, if any, stand for the logs."""

    campaigns: tuple[str, ...] = ("all", "men", "women")
    methods: tuple[str, ...] = METHODS
    """The first is gamma = 0, to which the others are compared."""
    rho_min: float = 0.3
    seeds: int = 20
    rates: tuple[float, ...] = (0.02, 0.1)
    steps: int = 100
    every: int = 5
    """Steps between two looks at the held-out rows."""
    batch: int = 2000
    synthetic: int = 0


@dataclass(frozen=True)
class Rows:
    """Rows of a log as a policy sees them: context and item, as one index into contexts x items."""

    at: Tensor
    log_mu: Tensor
    click: Tensor

    def part(self, chosen: Any) -> Rows:
        """Return some of the rows."""
        return Rows(self.at[chosen], self.log_mu[chosen], self.click[chosen])


@dataclass(frozen=True)
class Task:
    """A campaign to learn: one-hot contexts, and the rows that teach, choose and judge."""

    design: Tensor
    items: int
    teach: Rows
    choose: Rows
    judge: Rows
    weight: Tensor
    """Share of each context among the rows that teach."""


def task(campaign: data.Campaign, held: float = 0.3) -> Task:
    """Return a campaign's contexts and its rows, split the same way for every method."""
    described = [np.column_stack([x.position, x.features]) for x in (campaign.bts, campaign.random)]
    contexts, code = np.unique(np.concatenate(described), axis=0, return_inverse=True)
    sizes = (3, *campaign.levels)
    blocks = [np.eye(size)[contexts[:, j]] for j, size in enumerate(sizes)]
    first, second = np.split(code.ravel(), [len(described[0])])
    bts, random = _rows(campaign.bts, first, campaign), _rows(campaign.random, second, campaign)
    order = torch.as_tensor(np.random.default_rng(7).permutation(len(first)))
    cut = int(held * len(first))
    teach = bts.part(order[cut:])
    share = torch.bincount(teach.at // campaign.items, minlength=len(contexts)).double()
    return Task(
        design=torch.as_tensor(np.concatenate(blocks, axis=1)),
        items=campaign.items,
        teach=teach,
        choose=bts.part(order[:cut]),
        judge=random,
        weight=share / share.sum(),
    )


def _rows(log: data.Log, context: Any, campaign: data.Campaign) -> Rows:
    at = torch.as_tensor(context * campaign.items + log.item)
    return Rows(at, torch.as_tensor(np.log(log.propensity)), torch.as_tensor(log.click))


def objective(method: str, rho_min: float) -> Callable[[View], Tensor]:
    """Return what a method maximises, row by row, for a view of runs by rows."""
    if method == "snips":
        return _quotient
    if method in RIVALS:
        entry = ATLAS[method]
        return lambda view: entry.differentiated(view, entry.parameters) * view.reward
    entry = ATLAS["self_normalised"]

    def flattened(view: View) -> Tensor:
        gamma = GAMMAS.get(method)
        if gamma is None:
            log_w = view.log_w.detach()
            gamma = gamma_star(log_w, rho_min, method=CHOSEN[method])[:, None]
        return entry.differentiated(view, {"gamma": gamma}) * view.reward

    return flattened


def _quotient(view: View) -> Tensor:
    """Return sum w r / sum w of each run, differentiated: a baseline comes with it."""
    own = torch.softmax(view.log_w, dim=-1)
    return own * view.reward * own.shape[-1]


def cells(settings: Settings) -> list[Cell]:
    """One cell a campaign and method."""
    return [
        Cell(f"{campaign}, {method}", {"campaign": campaign, "method": method})
        for campaign in settings.campaigns
        for method in settings.methods
    ]


def run(settings: Settings, campaign: str, method: str) -> Json:
    """Train all seeds at all rates at once; look at them now and then; return the best looks."""
    problem = task(logs(settings, campaign))
    maximised = objective(method, settings.rho_min)
    seeds, rates = settings.seeds, len(settings.rates)
    generator = torch.Generator().manual_seed(ROOT_SEED)
    shape = (seeds, problem.design.shape[1], problem.items)
    start = 0.1 * torch.randn(shape, generator=generator, dtype=torch.float64)
    table = start.repeat(rates, 1, 1, 1).requires_grad_()
    # A learning rate for each run: the gradient step of Adam has the size of its rate.
    rate = torch.tensor(settings.rates, dtype=torch.float64)[:, None, None, None]
    adam = Adam(table, rate)
    looks = [look(problem, settings.rho_min, log_policy(problem, table.detach()))]
    for step in range(1, settings.steps + 1):
        rows = torch.randint(len(problem.teach.at), (seeds, settings.batch), generator=generator)
        batch = problem.teach.part(rows.repeat(rates, 1))
        log_pi = log_policy(problem, table).flatten(1).gather(1, batch.at)
        view = View(log_pi, batch.log_mu, batch.click, torch.ones_like(log_pi))
        (gradient,) = torch.autograd.grad(-maximised(view).mean(-1).sum(), table)
        adam.step(gradient)
        if step % settings.every == 0:
            looks.append(look(problem, settings.rho_min, log_policy(problem, table.detach())))
    return _best(settings, problem, looks)


def log_policy(problem: Task, table: Tensor) -> Tensor:
    """Return log pi of every item in every context, runs first."""
    logits = problem.design @ table.flatten(0, 1)
    return torch.log_softmax(logits, dim=-1)


class Adam:
    """Adam on one tensor whose runs have rates of their own, which torch's has not."""

    def __init__(self, table: Tensor, rate: Tensor) -> None:
        self.table, self.rate, self.count = table, rate, 0
        self.mean, self.square = torch.zeros_like(table), torch.zeros_like(table)

    def step(self, gradient: Tensor) -> None:
        """Take one step down the gradient, at torch's usual decay rates."""
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - 0.9**self.count)
        size = (self.square / (1 - 0.999**self.count)).sqrt()
        with torch.no_grad():
            self.table -= self.rate * mean / (size + 1e-8)


def look(problem: Task, rho_min: float, log_pi: Tensor) -> dict[str, Tensor]:
    """Return what all runs are worth at a step, and how their weights on held-out rows lie."""
    flat = log_pi.flatten(1)
    choose, judge = problem.choose, problem.judge
    log_w = flat[:, choose.at] - choose.log_mu
    own = torch.softmax(log_w, dim=-1)
    ratio = (flat[:, judge.at] - judge.log_mu).exp()
    away = log_w - log_w.mean(-1, keepdim=True)
    variance = (away**2).mean(-1)
    gamma = gamma_star(log_w, rho_min, method="lognormal")
    entropy = -(log_pi.exp() * log_pi).sum(-1) @ problem.weight
    return {
        "held": (own * choose.click).sum(-1),
        "clicked": ratio[:, judge.click > 0],
        "mean": ratio.mean(-1),
        "gamma": gamma,
        "ess": ess_ratio(gamma[:, None] * log_w),
        "skewness": (away**3).mean(-1) / variance**1.5,
        "kurtosis": (away**4).mean(-1) / variance**2 - 3,
        "plain": ess_ratio(log_w),
        "entropy": entropy,
    }


def _best(settings: Settings, problem: Task, looks: Sequence[dict[str, Tensor]]) -> Json:
    """Return, seed by seed, the look that the held-out rows prefer, and the last of all.

    `clicked` and `last` are what each clicked row of the random log adds to the value, mean over
    seeds; `last` is that of the last look at the largest rate, which nothing has chosen.
    """
    seeds, rates = settings.seeds, len(settings.rates)
    found = {key: torch.stack([x[key] for x in looks]) for key in looks[0]}
    # Looks and rates of a seed, side by side.
    held = found["held"].reshape(len(looks), rates, seeds).flatten(0, 1)
    best = held.argmax(0)
    mine = torch.arange(seeds)
    kept = found["clicked"].reshape(len(looks) * rates, seeds, -1)[best, mine]
    mean = found["mean"].reshape(len(looks) * rates, seeds)[best, mine]
    value = kept.sum(-1) / len(problem.judge.at)
    return {
        "value": value.tolist(),
        "snips": (value / mean).tolist(),
        "clicked": kept.mean(0).tolist(),
        "last": found["clicked"][-1].reshape(rates, seeds, -1)[-1].mean(0).tolist(),
        "rows": len(problem.judge.at),
        "step": (settings.every * (best // rates)).tolist(),
        "rate": [settings.rates[i] for i in (best % rates).tolist()],
        "entropy": found["entropy"][-1].reshape(rates, seeds).tolist(),
        "ess": found["plain"][-1].reshape(rates, seeds).tolist(),
        **_sides(settings.rho_min, found),
    }


def _sides(rho_min: float, found: Mapping[str, Tensor]) -> Json:
    """Count how often the ESS at the closed form misses its target to the predicted side.

    log(ESS/n) = -k2 gamma^2 - k3 gamma^3 - (7/12) k4 gamma^4 - ...

    Where the closed form is below 1 the first term is log rho_min, and gamma sigma is the same for
    all laws. Looks count where the next two terms are more than a half together.
    """
    width = math.sqrt(-math.log(rho_min))
    rest = found["skewness"] * width**3 + 7 / 12 * found["kurtosis"] * width**4
    counted = (found["gamma"] < 1) & (rest.abs() > 0.5)
    right = (found["ess"] < rho_min) == (rest > 0)
    middle = {key: found[key].median(-1).values for key in ("skewness", "ess", "gamma")}
    return {
        "counted": int(counted.sum()),
        "right": int((counted & right).sum()),
        "above": int((counted & (found["ess"] > rho_min)).sum()),
        "course": {key: [round(x, 4) for x in value.tolist()] for key, value in middle.items()},
    }


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return each method's value, and its difference to gamma = 0, by rows and by seeds."""
    return {
        "comparisons": len(settings.campaigns) * (len(settings.methods) - 1),
        "campaigns": {
            name: _campaign(settings, {m: found[f"{name}, {m}"] for m in settings.methods})
            for name in settings.campaigns
        },
    }


def _campaign(settings: Settings, methods: Mapping[str, Json]) -> Json:
    plain = methods[PLAIN]
    clicks, lasts = (
        np.array([row[key] for row in methods.values()]) for key in ("clicked", "last")
    )
    counts = _counts(clicks.shape[1], plain["rows"])
    # All differences together at 95%, by Bonferroni.
    level = 1 - 0.05 / (len(settings.campaigns) * (len(settings.methods) - 1))
    uniform = np.ones(clicks.shape[1])
    rows = {}
    for (name, row), own, last in zip(methods.items(), clicks, lasts, strict=True):
        rows[name] = {
            "value": _judged(own, counts, plain["rows"], 0.95),
            "over_uniform": _judged(own - uniform, counts, plain["rows"], 0.95),
            "over_plain": _judged(own - clicks[0], counts, plain["rows"], level),
            "last": _judged(last, counts, plain["rows"], 0.95),
            "last_over_plain": _judged(last - lasts[0], counts, plain["rows"], level),
            "seeds": iqm_interval(row["value"]),
            "snips": float(np.mean(row["snips"])),
            "step": float(np.mean(row["step"])),
            "rates": [row["rate"].count(rate) for rate in settings.rates],
            "entropy": [float(np.mean(runs)) for runs in row["entropy"]],
            "sharper": difference_interval(plain["entropy"][-1], row["entropy"][-1]),
            "ess": float(np.mean(row["ess"][-1])),
            "sides": [row["right"], row["counted"], row["above"]],
        }
    return {"clicks": clicks.shape[1], "course": plain["course"], "methods": rows}


def _counts(clicked: int, rows: int) -> Any:
    """Return how often each clicked row is in each resampling of all rows of a log."""
    share = [1 / rows] * clicked + [1 - clicked / rows]
    rng = np.random.default_rng(11)
    return rng.multinomial(rows, share, size=RESAMPLINGS)[:, :clicked]


def _judged(own: Any, counts: Any, rows: int, level: float) -> list[float]:
    """Return a mean over all rows, of which only the clicked ones count, with its interval."""
    low, high = np.quantile(counts @ own / rows, [(1 - level) / 2, (1 + level) / 2])
    return [float(own.sum() / rows), float(low), float(high)]


EXPERIMENT = Experiment(
    name="open_bandit_learning",
    title="Off-policy learning of a softmax policy on the Open Bandit logs",
    settings=Settings(),
    smoke=Settings(
        campaigns=("all",),
        methods=("gamma 0", "gamma* exact", "snips", "dros"),
        seeds=3,
        steps=10,
        batch=200,
        synthetic=400,
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    data=lambda settings: {} if settings.synthetic else data.SOURCE,
    root_seed=ROOT_SEED,
)

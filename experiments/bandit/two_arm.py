"""A published two-arm curve, 33/67 to 0/100, as one family of fixed points, four ways to it.

    pi_inf ~ mu r^(1/(1-gamma)),        k fits from mu: pi_k ~ mu r^(1 + gamma + ... + gamma^(k-1))

Importance-weighted SFT (iw-SFT, arXiv 2507.12856) repeats: weigh the data of mu by w = pi_k/mu, fit
pi_(k+1) to the weighted data. A fit that is exact is the step to the effective target (OBJ.em), so
k fits with whole weights end where training at gamma = 1 - 1/k would, and only endless ones at the
better arm alone. Ascent and fits are exact here. Small batches add noise that averages out, while
one data set of n rows, used again and again, is a wrong mu whose error is raised to the same power
as the reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json
from experiments.statistics import mean_interval

MU, REWARD = (0.5, 0.5), (1.0, 2.0)
ROOT_SEED = 20260110


@dataclass(frozen=True)
class Settings:
    """Exponents, batch sizes, and how long each way is followed."""

    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)
    noisy: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    batch_sizes: tuple[int, ...] = (4, 16)
    rows: tuple[int, ...] = (8, 32, 128)
    seeds: int = 64
    data_sets: int = 4000
    step: float = 0.2
    steps: int = 3000
    outer: int = 10
    """Fits with whole weights, gamma = 1."""
    inner: int = 400
    """Gradient steps of one fit."""
    fits: int = 100
    """Fits with flattened weights: at gamma = 0.9 they leave 3e-5 of the start."""
    noisy_step: float = 0.1
    noisy_steps: int = 6000


def cells(settings: Settings) -> list[Cell]:
    """One cell a way and exponent, and for what is sampled a number of rows."""
    exact = [
        Cell(f"{way}, gamma {gamma:g}", {"way": way, "gamma": gamma})
        for way in ("ascent", "fits")
        for gamma in settings.gammas
    ]
    noisy = [
        Cell(f"batches of {n}, gamma {gamma:g}", {"way": "batches", "gamma": gamma, "n": n})
        for n in settings.batch_sizes
        for gamma in settings.noisy
    ]
    kept = [
        Cell(f"data of {n} rows, gamma {gamma:g}", {"way": "data", "gamma": gamma, "n": n})
        for n in settings.rows
        for gamma in settings.gammas
    ]
    return [*exact, Cell("whole weights", {"way": "whole", "gamma": 1.0}), *noisy, *kept]


def better_share(exponent: float) -> float:
    """Return the better arm's share of mu r^exponent."""
    worse, better = (m * r**exponent for m, r in zip(MU, REWARD, strict=True))
    share: float = better / (worse + better)
    return share


def outer_exponent(gamma: float, fits: int) -> float:
    """Return 1 + gamma + ... + gamma^(fits - 1): the power of r after so many fits from mu."""
    return float(sum(gamma**k for k in range(fits)))


def ascent(settings: Settings, gamma: float) -> Json:
    """Natural gradient steps, exactly, from mu."""
    mu, reward = _problem()
    logits = mu.log()
    for _ in range(settings.steps):
        policy = logits.softmax(0)
        effective = mu * (policy / mu) ** gamma * reward
        logits = logits + settings.step * (effective / effective.sum() / policy - 1)
    return {"better": float(logits.softmax(0)[1])}


def outer_loop(settings: Settings, gamma: float, fits: int) -> Json:
    """Weigh by w^gamma r, fit by plain gradient steps with the weights held, and repeat."""
    mu, reward = _problem()
    logits, shares = mu.log(), []
    for _ in range(fits):
        target = mu * (logits.softmax(0) / mu) ** gamma * reward
        target = target / target.sum()
        for _ in range(settings.inner):
            policy = logits.softmax(0)
            # Fisher's information is p(1-p) in the one logit: a Newton step of half the length.
            logits = logits + 0.5 * (target - policy) / (4 * policy.prod()).clamp_min(1e-6)
        shares.append(float(logits.softmax(0)[1]))
    return {"better": shares[-1], "shares": shares[: settings.outer]}


def batches(settings: Settings, gamma: float, n: int) -> Json:
    """A new batch of mu each step, plain gradient of the logit, all seeds at once."""
    generator = torch.Generator().manual_seed(ROOT_SEED)
    logit = torch.zeros(settings.seeds, dtype=torch.float64)
    late, since = torch.zeros_like(logit), settings.noisy_steps // 2
    for t in range(settings.noisy_steps):
        policy = logit.sigmoid()
        drawn = torch.rand((settings.seeds, n), generator=generator, dtype=torch.float64)
        share = (drawn < MU[1]).to(logit.dtype).mean(-1)
        up = share * (policy / MU[1]) ** gamma * REWARD[1] * (1 - policy)
        down = (1 - share) * ((1 - policy) / MU[0]) ** gamma * REWARD[0] * policy
        logit = logit + settings.noisy_step * (up - down)
        if t >= since:
            late += policy / (settings.noisy_steps - since)
    return {"better": late.tolist()}


def data(settings: Settings, gamma: float, n: int) -> Json:
    """One data set a seed, and exact fits to it without end; the chance of mu stays in w."""
    generator = torch.Generator().manual_seed(ROOT_SEED + 1)
    drawn = torch.rand((settings.data_sets, n), generator=generator, dtype=torch.float64)
    share = (drawn < MU[1]).to(torch.float64).mean(-1)
    # Fits of (share, 1 - share) w^gamma r, in log-odds: log w is the log-odds, mu being even.
    odds = torch.zeros_like(share)
    # A data set of one arm alone has infinite log-odds: the eps keeps 0 times them defined.
    gain = torch.logit(share, eps=1e-12) + torch.log(torch.tensor(REWARD[1] / REWARD[0]))
    for _ in range(settings.fits):
        odds = gain + gamma * odds
    return {"wrong": (odds < 0).to(torch.float64).tolist()}


def _problem() -> tuple[Any, Any]:
    return torch.tensor(MU, dtype=torch.float64), torch.tensor(REWARD, dtype=torch.float64)


def run(settings: Settings, way: str, gamma: float, n: int = 0) -> Json:
    """Go one of the ways."""
    if way == "ascent":
        return ascent(settings, gamma)
    if way == "fits":
        return outer_loop(settings, gamma, settings.fits)
    if way == "whole":
        return outer_loop(settings, 1.0, settings.outer)
    return batches(settings, gamma, n) if way == "batches" else _counted(data(settings, gamma, n))


def _counted(found: Json) -> Json:
    # A data set that leads to the worse arm is one bit; the count is all there is to keep.
    return {"wrong": sum(found["wrong"]), "of": len(found["wrong"])}


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Put what was reached beside the curve; what is sampled has an interval."""
    rows = []
    for cell in cells(settings):
        got, way, gamma = found[cell.key], cell.arguments["way"], cell.arguments["gamma"]
        row: Json = {"way": way, "gamma": gamma, "n": cell.arguments.get("n")}
        if way == "data":
            flags = [1.0] * int(got["wrong"]) + [0.0] * int(got["of"] - got["wrong"])
            row |= {"wrong": mean_interval(flags)}
        elif way == "batches":
            row |= {"better": mean_interval(got["better"]), "curve": better_share(1 / (1 - gamma))}
        elif way == "whole":
            row |= {"shares": got["shares"]}
        else:
            row |= {"better": got["better"], "curve": better_share(1 / (1 - gamma))}
        rows.append(row)
    return {"rows": rows}


EXPERIMENT = Experiment(
    name="two_arm",
    title="The two-arm curve by ascent, by repeated fits, in batches and from one data set",
    settings=Settings(),
    smoke=Settings(
        gammas=(0.0, 0.5),
        noisy=(0.0, 0.5),
        batch_sizes=(4,),
        rows=(8,),
        seeds=4,
        data_sets=50,
        steps=100,
        outer=3,
        inner=20,
        fits=3,
        noisy_steps=50,
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)

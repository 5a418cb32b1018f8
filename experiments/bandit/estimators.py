"""Bias, variance and mean squared error of the estimators of g_gamma, over the whole gamma axis.

    plain: mean of w^gamma r s,                MSE = |g_gamma - g_1|^2 + tr Cov / n
    coded: sum w^gamma r s / sum w^gamma,      n tr Cov -> E[w^(2g) |r s - G|^2] / E[w^g]^2

g_1 = grad E_pi[r] is the exact gradient, and the coded estimator is self-normalised about its own
limit G, g short for gamma. Finitely many arms are enumerated; for mu = N(0, I_d), pi
= N(theta, I_d), r = 1 the expectations are Gauss-Hermite sums along theta, after completing the
square, which is exact for them. What is least where is then read off a grid and refined; a quarter
is only where E[w^(2 gamma)] is least. Batches drawn in torch say whether real estimators vary as
these sums have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from experiments.runs import Cell, Experiment, Json
from experiments.statistics import iqm_interval

Tensor = Any
Curves = dict[str, Tensor]

# (mu, pi, r), none a mirror or a permutation of another.
PROBLEMS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "two arms": ((0.5, 0.5), (0.9, 0.1), (1.0, 1.0)),
    "three arms": ((0.6, 0.3, 0.1), (0.2, 0.3, 0.5), (1.0, 2.0, 4.0)),
    "rare arm": ((0.7, 0.2, 0.09, 0.01), (0.1, 0.2, 0.3, 0.4), (3.0, 1.0, 2.0, 0.5)),
    "common arm": ((0.1, 0.2, 0.3, 0.4), (0.7, 0.2, 0.09, 0.01), (1.0, 0.0, 1.0, 0.0)),
}


@dataclass(frozen=True)
class Settings:
    """Shifts and dimensions, batch sizes, the random problems, and the batches that are drawn."""

    sigma2s: tuple[float, ...] = (0.01, 0.25, 1, 4, 9, 16, 25, 40, 60, 69.3, 69.4, 100, 400)
    dims: tuple[int, ...] = (1, 2, 10)
    ns: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 10_000)
    grid: int = 401
    random: int = 400
    arms: int = 6
    sampled_sigma2s: tuple[float, ...] = (0.25, 1.0)
    sampled_gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    batch: int = 128
    seeds: int = 100
    batches: int = 400
    """Batches of each seed: their variance is one seed's estimate."""
    seed: int = 20260109


def cells(settings: Settings) -> list[Cell]:
    """One cell a problem, a shift, a dimension; one of random problems; one of batches."""
    shifts = [
        Cell(f"shift {s:g}, d {d}", {"kind": "shift", "sigma2": s, "d": d})
        for s in settings.sigma2s
        for d in settings.dims
    ]
    named = [Cell(name, {"kind": "named", "problem": name}) for name in PROBLEMS]
    sampled = [
        Cell(f"drawn {s:g}, d {d}", {"kind": "drawn", "sigma2": s, "d": d})
        for s in settings.sampled_sigma2s
        for d in settings.dims
    ]
    return [*named, *shifts, Cell("random problems", {"kind": "random"}), *sampled]


def run(settings: Settings, kind: str, **asked: Any) -> Json:
    """Do one cell."""
    if kind == "drawn":
        return drawn(settings, **asked)
    if kind == "random":
        return _random(settings)
    if kind == "named":
        rows = PROBLEMS[asked["problem"]]
        mu, pi, reward = (torch.tensor(row, dtype=torch.float64) for row in rows)
        return _described(settings, lambda gamma: enumerated(mu, pi, reward, gamma))
    return _described(settings, lambda gamma: shifted(asked["sigma2"], asked["d"], gamma))


def enumerated(mu: Tensor, pi: Tensor, reward: Tensor, gamma: Tensor) -> Curves:
    """Return the curves of softmax policies with a logit an arm, by sums over the arms.

    mu, pi and reward are (..., arms), gamma is (gammas,); every curve is (..., gammas):
    `bias2` |g_gamma - g_1|^2, `trace` n tr Cov, `sn_bias2` and `sn_trace` for the self-normalised
    estimator in the limit of large n, `moment` E[w^(2 gamma)].
    """
    mu, pi, reward = (x[..., None, :] for x in (mu, pi, reward))
    power = (pi / mu) ** gamma[:, None]
    first, total = _sums(mu, pi, reward, power)
    exact, _ = _sums(mu, pi, reward, pi / mu)
    # |s|^2 = |e_y - pi|^2 for each arm y.
    score2 = 1 - 2 * pi + (pi**2).sum(-1, keepdim=True)
    second = (mu * (power * reward) ** 2 * score2).sum(-1)
    goal = first / total[..., None]
    # |r s - G|^2 = r^2 |s|^2 - 2 r s.G + |G|^2, with s.G = G_y - pi.G.
    along = goal - (pi * goal).sum(-1, keepdim=True)
    off = reward**2 * score2 - 2 * reward * along + (goal**2).sum(-1, keepdim=True)
    return {
        "bias2": ((first - exact) ** 2).sum(-1),
        "trace": second - (first**2).sum(-1),
        "sn_bias2": ((goal - exact) ** 2).sum(-1),
        "sn_trace": (mu * power**2 * off).sum(-1) / total**2,
        "moment": (mu * power**2).sum(-1),
    }


def _sums(mu: Tensor, pi: Tensor, reward: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Return E[power r s], an entry an arm, and E[power]."""
    masses = mu * power * reward
    return masses - pi * masses.sum(-1, keepdim=True), (mu * power).sum(-1)


def shifted(sigma2: float, d: int, gamma: Tensor) -> Curves:
    """Return the same curves for a shifted Gaussian and r = 1.

    w^t mu = e^(t (t-1) sigma2/2) N(t theta, I): what is left are means of polynomials in z under
    N(0, 1), which 20 nodes give exactly. The score is y - theta = z + (t-1) theta; across theta
    it is N(0, 1) in each of d - 1 directions.
    """
    nodes, mass = (torch.as_tensor(x) for x in np.polynomial.hermite_e.hermegauss(20))
    mass = mass / mass.sum()
    sigma = math.sqrt(sigma2)

    def mean(t: Tensor, degree: int) -> Tensor:
        """E[w^t s^degree], s along theta."""
        score = nodes + (t[:, None] - 1) * sigma
        return (t * (t - 1) * sigma2 / 2).exp() * (mass * score**degree).sum(-1)

    total, first = mean(gamma, 0), mean(gamma, 1)
    moment, second = mean(2 * gamma, 0), mean(2 * gamma, 2)
    goal = first / total
    off = second - 2 * goal * mean(2 * gamma, 1) + goal**2 * moment
    return {
        # g_1 = grad E_pi[1] = 0.
        "bias2": first**2,
        "trace": second + (d - 1) * moment - first**2,
        "sn_bias2": goal**2,
        "sn_trace": (off + (d - 1) * moment) / total**2,
        "moment": moment,
    }


def least(curve: Callable[[Tensor], Tensor], grid: int) -> float:
    """Return the gamma in [0, 1] at which a curve is least.

    Every local minimum of a grid is refined, since two of them can be all but equally good.
    """
    gammas = torch.linspace(0, 1, grid, dtype=torch.float64)
    values = torch.nn.functional.pad(curve(gammas), (1, 1), value=math.inf)
    lowest = (values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])
    found = [_refined(curve, float(gamma), 1 / (grid - 1)) for gamma in gammas[lowest]]
    return min(found, key=lambda gamma: float(curve(torch.tensor([gamma]).double())[0]))


def _refined(curve: Callable[[Tensor], Tensor], gamma: float, width: float) -> float:
    """Return the least point within a width, by ever finer grids down to 1e-8."""
    while width > 1e-8:
        low, high = max(gamma - width, 0.0), min(gamma + width, 1.0)
        near = torch.linspace(low, high, 41, dtype=torch.float64)
        gamma, width = float(near[curve(near).argmin()]), width / 10
    return gamma


def _described(settings: Settings, curves: Callable[[Tensor], Curves]) -> Json:
    """Return curves for a figure, and where each of them is least."""

    def of(name: str, n: int = 0) -> float:
        if not n:
            return least(lambda gamma: curves(gamma)[name], settings.grid)
        return least(lambda gamma: _error(curves(gamma), n, name), settings.grid)

    gammas = torch.linspace(0, 1, 41, dtype=torch.float64)
    return {
        "gammas": gammas.tolist(),
        "curves": {name: curve.tolist() for name, curve in curves(gammas).items()},
        "least": {name: of(name) for name in ("trace", "sn_trace", "moment")},
        "least_error": {str(n): of("", n) for n in settings.ns},
        "least_sn_error": {str(n): of("sn_", n) for n in settings.ns},
    }


def _error(curves: Curves, n: int, which: str = "") -> Tensor:
    """Return the mean squared error; of the self-normalised estimator to the first order in 1/n."""
    return curves[f"{which}bias2"] + curves[f"{which}trace"] / n


def _random(settings: Settings) -> Json:
    """Return where the variances of random problems are least, and what 1/4 costs on each."""
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (settings.random, settings.arms)
    logits = torch.randn((3, *shape), generator=generator, dtype=torch.float64)
    mu, pi = torch.softmax(logits[:2], -1)
    gammas = torch.linspace(0, 1, settings.grid, dtype=torch.float64)
    curves = enumerated(mu, pi, logits[2].exp(), gammas)
    quarter = enumerated(mu, pi, logits[2].exp(), torch.tensor([0.25], dtype=torch.float64))
    found: Json = {}
    for name in ("trace", "sn_trace", "moment"):
        bottom, where = curves[name].min(-1)
        found[name] = gammas[where].tolist()
        found[f"{name}_cost"] = (quarter[name][:, 0] / bottom - 1).tolist()
    found["least_error"] = {
        str(n): gammas[_error(curves, n).argmin(-1)].tolist() for n in settings.ns
    }
    return found


def drawn(settings: Settings, sigma2: float, d: int) -> Json:
    """Draw batches; return each seed's n tr Cov of both estimators, over what the sums have.

    Every gamma has the same draws, so that what differs between them is gamma's.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    shift = torch.zeros(d, dtype=torch.float64)
    shift[0] = math.sqrt(sigma2)
    gammas = torch.tensor(settings.sampled_gammas, dtype=torch.float64)
    estimates: dict[str, list[Tensor]] = {"trace": [], "sn_trace": []}
    for _ in range(settings.batches):
        shape = (settings.seeds, settings.batch, d)
        y = torch.randn(shape, generator=generator, dtype=torch.float64)
        power = (gammas[:, None, None] * (y @ shift - sigma2 / 2)).exp()
        # (gammas, seeds, d): the sums over the batch of w^gamma (y - theta).
        sums = torch.einsum("gsn,snd->gsd", power, y - shift)
        estimates["trace"].append(sums / settings.batch)
        estimates["sn_trace"].append(sums / power.sum(-1, keepdim=True))
    curves = shifted(sigma2, d, gammas)
    found = {}
    for name, rows in estimates.items():
        trace = torch.stack(rows).var(dim=0).sum(-1) * settings.batch
        found[name] = (trace / curves[name][:, None]).tolist()
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Collect where things are least, what 1/4 costs, and how drawn batches compare."""
    summary: Json = {"named": [], "shifts": [], "sampled": []}
    for cell in cells(settings):
        got, asked = found[cell.key], cell.arguments
        at = {key: value for key, value in asked.items() if key != "kind"}
        if asked["kind"] in ("named", "shift"):
            where = {**got["least"]}
            for name in ("error", "sn_error"):
                where[name] = [got[f"least_{name}"][str(n)] for n in settings.ns]
            summary["named" if asked["kind"] == "named" else "shifts"].append({**at, **where})
        elif asked["kind"] == "drawn":
            for k, gamma in enumerate(settings.sampled_gammas):
                ratios = {name: _mean_with_error(ratio[k]) for name, ratio in got.items()}
                summary["sampled"].append({**at, "gamma": gamma, **ratios})
        else:
            summary["random"] = _spread(got)
    summary["ns"] = list(settings.ns)
    return summary


def _mean_with_error(values: list[float]) -> list[float]:
    """Return the mean over seeds, and four standard errors either way."""
    rows = torch.tensor(values, dtype=torch.float64)
    error = 4 * float(rows.std()) / math.sqrt(len(rows))
    return [float(rows.mean()), float(rows.mean()) - error, float(rows.mean()) + error]


def _spread(got: Json) -> Json:
    """Sum up the random problems: how far from 1/4, and at what cost."""
    summary: Json = {"problems": len(got["trace"])}
    for name in ("trace", "sn_trace", "moment"):
        away = np.abs(np.array(got[name]) - 0.25)
        summary[name] = {
            "quantiles": np.quantile(got[name], [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(),
            "from_quarter": iqm_interval(away),
            "cost": iqm_interval(got[f"{name}_cost"]),
            "near_quarter": int((away < 0.05).sum()),
        }
    errors = np.array(list(got["least_error"].values()))
    summary["error_medians"] = np.median(errors, axis=1).tolist()
    return summary


EXPERIMENT = Experiment(
    name="estimators",
    title="Bias, variance and error of the estimators of g_gamma over the gamma axis",
    settings=Settings(),
    smoke=Settings(
        sigma2s=(1.0,),
        dims=(1, 2),
        ns=(1, 64),
        grid=41,
        random=20,
        sampled_sigma2s=(0.25,),
        sampled_gammas=(0.5,),
        seeds=4,
        batches=20,
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.seed,
)

"""A pretrained model: SmolLM2-135M-Instruct before and after a few steps with LoRA.

    log w = sum over tokens of log pi(y_t | x, y_<t) - log mu(y_t | x, y_<t),   mu as it comes

The model answers questions of the gym through its chat template at temperature 1; a low-rank
adapter learns from some of the answers by w^gamma r; the others, which it has not seen, are scored.
Then: is log w normal, does ESS/n follow exp(-sigma^2 gamma^2), which gamma does each method find,
and what does `isr_theory.diagnose` say of the very file. The adapter is also taken at multiples of
its strength, which gives larger distances for the price of a scoring.

`--model PATH` runs the same on any local model that has a chat template.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.lm import _weights, logs, models, workshop
from experiments.lm._pretrained import SMALL, OnCard, Settings, thing, unseen
from experiments.lm.logs import Floats, Log
from experiments.runs import Cell, Experiment, Json

# Tokens of a question in its template, and how many cores a card is worth at least.
PROMPT, CARD = 45, 50


def cells(settings: Settings) -> list[Cell]:
    """One cell: what takes long within it is kept by the workshop."""
    return [Cell("log", {})]


def prompts(settings: Settings) -> dict[tuple[str, int], int]:
    """Return how many prompts of which task and seed are drawn."""
    return {(name, settings.seed): settings.prompts for name in settings.tasks}


def check(settings: Settings) -> None:
    """Raise MissingData where the model that comes in a package is asked for and is not there."""
    if not settings.model:
        models.smollm2_file()


def seconds(settings: Settings) -> float:
    """Return about how long a run takes on one core, or on a card."""
    prompts = len(settings.tasks) * settings.prompts
    learned = settings.steps * settings.batch * (PROMPT + settings.most_tokens)
    # Prompts are read once for the log, and twice a strength with all answers to them.
    read = prompts * (PROMPT + settings.each * settings.most_tokens)
    # 70 tokens a second forward and back, 200 forward; and the loads.
    core = 60 + learned / 70 + read * (1 + 2 * len(settings.scales)) / 200
    return core / CARD if isinstance(settings, OnCard) else core


def run(settings: Settings) -> Json:
    """Sample, learn, score, and return log w of the answers that were not learned from."""
    shop = workshop.at()
    held = {"model": None, "words": None}
    log = logs.read(thing(shop, "log", settings, held) / "log.parquet")
    scored = log.take(unseen(log, settings))
    found = {}
    for scale in settings.scales:
        path = thing(shop, "scored", settings, held, scale=scale)
        log_pi = _log_pi(path / "log.parquet", scored)
        of_model = json.loads((path / "model.json").read_text())
        found[f"{scale:g}"] = {
            "kl": of_model["kl"],
            "log_w": logs.summed(log_pi - scored.log_mu, scored.mask).round(6).tolist(),
            "diagnosis": json.loads((path / "diagnosis.json").read_text()),
        }
    return {
        "scales": found,
        "prompt": scored.prompt.tolist(),
        "task": scored.task.tolist(),
        "names": list(scored.names),
        "length": scored.lengths.tolist(),
        "reward": scored.reward.round(4).tolist(),
        "exact": float(log.exact.mean()),
        "parameters": of_model["parameters"],
    }


def _log_pi(path: Path, scored: Log) -> Floats:
    table, _ = logs.read_table(path, ("log_pi",))
    found: Floats = logs.padded(table["log_pi"], np.float32, scored.mask.shape[1])
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return normality, ESS over gamma, and what each method's gamma reaches, at each scale."""
    cell = found["log"]
    prompts = np.array(cell["prompt"])
    scales = [
        {
            "scale": scale,
            **_weights.measured(
                np.array(cell["scales"][f"{scale:g}"]["log_w"]),
                np.array(cell["scales"][f"{scale:g}"]["kl"]),
                prompts,
                settings.rho_min,
                settings.splits,
                settings.seed,
            ),
            "diagnosis": _short(cell["scales"][f"{scale:g}"]["diagnosis"]),
        }
        for scale in settings.scales
    ]
    reward = np.array(cell["reward"])
    return {
        "sequences": len(prompts),
        "prompts": len(np.unique(prompts)),
        "tokens": float(np.mean(cell["length"])),
        "parameters": cell["parameters"],
        "exact": cell["exact"],
        "reward": {"mean": float(reward.mean()), "deviation": float(reward.std())},
        "rho_min": settings.rho_min,
        "scales": scales,
    }


def _short(diagnosis: Json) -> Json:
    """Return what the diagnosis chose and why; the same numbers as ours, by the command's path."""
    choice = diagnosis["choice"]
    names = ("gamma", "method", "why", "interval", "ess", "sigma2", "two_scalar")
    return {name: choice[name] for name in names} | {"group_interval": diagnosis["group_interval"]}


SMOKE = Settings(
    model=SMALL,
    prompts=6,
    each=6,
    learned=4,
    most_tokens=4,
    steps=2,
    batch=48,
    rank=2,
    splits=10,
)
GPU = OnCard(prompts=64, each=32, learned=8, batch=64, steps=30)
GPU_REDUCED = OnCard(**{**dataclasses.asdict(SMOKE), "prompts": 8, "device": "cpu"})

EXPERIMENT = Experiment(
    name="lm_smollm2",
    title="SmolLM2-135M before and after a few LoRA steps: log w, its ESS, and gamma",
    settings=Settings(),
    smoke=SMOKE,
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.seed,
)

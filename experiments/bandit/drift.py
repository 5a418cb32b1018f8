"""How far 16 epochs on one log carry a policy: w^gamma, its rules, and the rivals' weights.

    KL(mu || pi) at the end of each batch,   mu = the policy that drew it

625 sequences of four tokens make KL, value and entropy exact. Each method is run with SGD and with
Adam over the same learning rates, on rewards as they are (in (0, 1)) and with the log's mean taken
off; its best rate has the highest interquartile mean of the value after the last batch on seeds of
its own, and what is reported there comes from the others. The rate, the clip of each run's gradient
at norm 1, the draws and the order of the minibatches are the same for all; batch statistics of a
method (P3O's ESS) are those of a minibatch, but gamma* is that of the whole log.

The theory says where the adaptive rule sleeps, in what order the powers of w drift, what a
controller on gamma can hold, and what a baseline does below gamma = 1. It says nothing about which
method ends with the highest value: that is measured, not predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from experiments.bandit import _sequences as sequences
from experiments.bandit._drift_summary import summarise
from experiments.bandit._methods import BY_KEY, Controller
from experiments.bandit._sequences import Space
from experiments.bandit._steps import Stepper
from experiments.bandit._training import Schedule, train
from experiments.runs import Cell, Experiment, Json


@dataclass(frozen=True)
class Settings:
    """Sizes and constants; `seeds` are reported, `tuning` ones choose the learning rates."""

    methods: tuple[str, ...] = tuple(BY_KEY)
    rewards: tuple[str, ...] = ("plain", "centred")
    optimisers: tuple[str, ...] = ("SGD", "Adam")
    sgd: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    adam: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    seeds: int = 20
    tuning: int = 8
    symbols: int = 5
    length: int = 4
    batches: int = 8
    draws: int = 128
    epochs: int = 16
    minibatches: int = 4
    clip: float = 1.0
    rho_min: float = 0.3
    kappa: float = 0.1
    eta: float = 0.3
    root: int = 20260315

    def rates(self, optimiser: str) -> tuple[float, ...]:
        """Return the learning rates that are swept."""
        return self.sgd if optimiser == "SGD" else self.adam


def cells(settings: Settings) -> list[Cell]:
    """One cell a method, optimiser and kind of reward, with all rates and seeds in it."""
    return [
        Cell(
            f"{reward}, {optimiser}, {method}",
            {"reward": reward, "optimiser": optimiser, "method": method},
        )
        for reward in settings.rewards
        for optimiser in settings.optimisers
        for method in settings.methods
    ]


def run(settings: Settings, reward: str, optimiser: str, method: str) -> Json:
    """Train with every rate and seed at once; return what the ends and the batches look like.

    Lists of lists go by rate, then by seed, the tuning seeds first; `batches` and `ess` by rate,
    then by batch, over the reported seeds. `steps` and `largest_kl` are the rule's own.
    """
    space = Space(settings.symbols, settings.length)
    tasks = sequences.problems(space, settings.tuning + settings.seeds, settings.root)
    rates = torch.tensor(settings.rates(optimiser), dtype=torch.float64)[:, None, None, None]
    stepper = Stepper("SGD" if optimiser == "SGD" else "Adam", rates)
    plan = _plan(settings, reward)
    logits, trace = train(BY_KEY[method], stepper, len(rates), space, tasks, plan)
    kl, ess = torch.stack(trace.kl), torch.stack(trace.ess)
    table, start = sequences.log_table(logits), sequences.log_table(tasks.start)
    own = slice(settings.tuning, None)
    return {
        "start": _short(_value(start, tasks.reward, space)),
        "value": _short(_value(table, tasks.reward, space)),
        "entropy": _short(sequences.entropy(sequences.visits(table, space), table)),
        "first_kl": _short(kl[0]),
        "kl": _short(kl.mean(0)),
        "largest_kl": _short(trace.largest_kl) if trace.steps else None,
        "batches": _short(kl[:, :, own].median(-1).values.T),
        "ess": _short(ess[:, :, own].mean(-1).T),
        "steps": {name: _short(count.sum(0)[own]) for name, count in trace.steps.items()},
    }


def _plan(settings: Settings, reward: str) -> Schedule:
    return Schedule(
        batches=settings.batches,
        draws=settings.draws,
        epochs=settings.epochs,
        minibatches=settings.minibatches,
        centred=reward == "centred",
        clip=settings.clip,
        rho_min=settings.rho_min,
        controller=Controller(settings.kappa, settings.eta),
        root=settings.root,
    )


def _value(table: Any, reward: Any, space: Space) -> Any:
    chances = sequences.log_sequences(table, space.entries()).exp()
    return (chances * reward).sum(-1)


def _short(values: Any) -> Any:
    """Return nested lists of numbers with five digits."""
    if isinstance(values, float):
        return float(f"{values:.5g}")
    return [_short(value) for value in (values if isinstance(values, list) else values.tolist())]


EXPERIMENT = Experiment(
    name="drift",
    title="KL(mu || pi) after 16 epochs on a log: w^gamma, its rules and the rivals",
    settings=Settings(),
    smoke=Settings(
        methods=("sft", "is", "w^g*", "w^g*, exact KL"),
        optimisers=("Adam",),
        sgd=(0.3,),
        adam=(0.1,),
        seeds=2,
        tuning=1,
        batches=2,
        draws=16,
        epochs=3,
        minibatches=2,
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.root,
)

"""What the loss and its metrics add to a training step, beside plain cross-entropy: `make bench`.

One transformer of about ten million parameters, one batch, two steps taken in turn: the mean
cross-entropy of the answers, and `ISReshapeLoss` of the same log-probabilities with a log mu that
was kept from sampling, every metric included. What both need, forward and backward pass, is the
same; the ratio of their times is what the loss costs. Steps alternate, and which comes first too,
so that a machine that warms or is shared slows both alike; the ratio is also taken of processor
time, which others on the machine do not add to. A third number is finer: how long the loss takes
alone, forward and backward from a leaf of log-probabilities, less what the cross-entropy takes so.
A second table has what `UpdateGuard` adds to the step of the optimiser: a whole step of the loss
with the guard against one without it, by optimiser.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from isr_theory import files
from isr_theory.training import ISReshapeLoss, UpdateGuard

RESULTS = Path(__file__).parent / "results" / "loss_overhead.json"
TARGET = 0.03


@dataclass(frozen=True)
class Size:
    """A transformer and a batch."""

    vocabulary: int = 8192
    width: int = 320
    layers: int = 6
    heads: int = 5
    batch: int = 8
    length: int = 64


class Transformer(nn.Module):
    """A causal transformer with one table for tokens in and out."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.places = nn.Embedding(size.length, size.width)
        layer = nn.TransformerEncoderLayer(
            size.width,
            size.heads,
            4 * size.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.body = nn.TransformerEncoder(layer, size.layers, enable_nested_tensor=False)

    def forward(self, tokens: Any) -> Any:
        """Return log-probabilities of the tokens after the first, (rows, length - 1)."""
        seen = tokens[:, :-1]
        length = seen.shape[1]
        ahead = nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.tokens(seen) + self.places.weight[:length]
        hidden = self.body(hidden, mask=ahead, is_causal=True)
        logits = hidden @ self.tokens.weight.T
        return -nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        ).reshape(seen.shape)


@dataclass(frozen=True)
class Bench:
    """A model, one batch of tokens for it, and its optimiser."""

    model: Transformer
    optimizer: Any
    tokens: Any
    mask: Any
    log_mu: Any
    rewards: Any
    groups: Any

    def step(self, value: Callable[[Any], Any], update: Callable[[], Any]) -> None:
        """Make one training step."""
        self.optimizer.zero_grad()
        value(self.model(self.tokens)).backward()
        update()


def bench(size: Size, optimizer: Callable[[Any], Any]) -> Bench:
    """Return the same model and batch at every call."""
    torch.manual_seed(0)
    model = Transformer(size)
    tokens = torch.randint(0, size.vocabulary, (size.batch, size.length))
    mask = torch.arange(size.length - 1) < torch.randint(8, size.length, (size.batch, 1))
    rewards = torch.rand(size.batch)
    with torch.no_grad():
        log_mu = model(tokens) + 0.1 * torch.randn(size.batch, size.length - 1)
    groups = torch.arange(size.batch) // 4
    return Bench(model, optimizer(model.parameters()), tokens, mask, log_mu, rewards, groups)


def adamw(parameters: Any, **more: Any) -> Any:
    """Return AdamW with a step too small to change the model."""
    return torch.optim.AdamW(parameters, lr=1e-5, **more)


def loss_steps(size: Size, settings: dict[str, Any]) -> dict[str, Callable[[], None]]:
    """Return the two steps, on one model and one batch, and both losses alone."""
    on = bench(size, adamw)
    loss = ISReshapeLoss(**settings)

    def plain(log_pi: Any) -> Any:
        return -(log_pi * on.mask).sum() / on.mask.sum()

    def ours(log_pi: Any) -> Any:
        return loss(log_pi, on.log_mu, on.rewards, on.mask, on.groups)[0]

    leaf = (on.log_mu + 0.1).requires_grad_(True)
    return {
        "plain": lambda: on.step(plain, on.optimizer.step),
        "ours": lambda: on.step(ours, on.optimizer.step),
        "plain alone": lambda: plain(leaf).backward(),
        "ours alone": lambda: ours(leaf).backward(),
    }


def guard_steps(size: Size, optimizer: Callable[[Any], Any]) -> dict[str, Callable[[], None]]:
    """Return a step without and one with the guard, on one model and one batch."""
    on = bench(size, optimizer)
    guard = UpdateGuard(on.optimizer)
    loss = ISReshapeLoss()
    finite = torch.tensor(True)

    def ours(log_pi: Any) -> Any:
        return loss(log_pi, on.log_mu, on.rewards, on.mask, on.groups)[0]

    return {
        "plain": lambda: on.step(ours, on.optimizer.step),
        "ours": lambda: on.step(ours, lambda: guard.step(finite)),
        "plain alone": on.optimizer.step,
        "ours alone": lambda: guard.step(finite),
    }


def seconds(step: Callable[[], None]) -> tuple[float, float]:
    """Return how long one step takes, by the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - start, time.process_time() - busy


def measure(run: dict[str, Callable[[], None]], rounds: int, label: str) -> dict[str, float]:
    """Return medians of both steps in ms, of the ratio of their times, and of the part alone."""
    for name in ("plain", "ours") * 2 + ("plain alone", "ours alone") * 5:
        run[name]()
    names = ["plain", "plain alone", "ours alone", "ours"]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in track(range(rounds), description=label, console=Console(stderr=True)):
        names.reverse()
        for name in names:
            times[name].append(seconds(run[name]))
    clock, busy = (
        {name: np.array(taken)[:, kind] for name, taken in times.items()} for kind in (0, 1)
    )
    alone = float(np.median(busy["ours alone"]) - np.median(busy["plain alone"]))
    low, high = interval(busy["ours"] / busy["plain"])
    return {
        "plain_ms": 1e3 * float(np.median(busy["plain"])),
        "ratio_clock": float(np.median(clock["ours"] / clock["plain"])),
        "ratio": float(np.median(busy["ours"] / busy["plain"])),
        "low": low,
        "high": high,
        "alone_ms": 1e3 * alone,
        "alone_share": alone / float(np.median(busy["plain"])),
    }


def interval(ratios: Any) -> tuple[float, float]:
    """Return a 95% bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


SETTINGS = {
    "default": {},
    "default, not validating": {"validate": False},
    "exact gamma, control variate": {"method": "exact", "baseline": "control"},
}
GUARDED: dict[str, Callable[[Any], Any]] = {
    "AdamW": adamw,
    "AdamW, fused": lambda parameters: adamw(parameters, fused=True),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=1e-5),
}


def table(
    title: str, cases: dict[str, Callable[[], dict[str, Callable[[], None]]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Measure the cases, print them, and return the rounded numbers."""
    shown = Table(title=title)
    shown.add_column("settings")
    for name in ("plain step, ms", "ratio", "95% interval", "by the clock", "alone, ms", "share"):
        shown.add_column(name, justify="right")
    kept = {}
    for name, make in cases.items():
        found = measure(make(), rounds, name)
        kept[name] = {key: round(value, 5) for key, value in found.items()}
        shown.add_row(
            name,
            f"{found['plain_ms']:.0f}",
            f"{found['ratio']:.3f}",
            f"{found['low']:.3f} .. {found['high']:.3f}",
            f"{found['ratio_clock']:.3f}",
            f"{found['alone_ms']:.2f}",
            f"{found['alone_share']:.2%}",
        )
    Console(width=120).print(shown)
    return kept


def main() -> None:
    """Print the tables and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="pairs of steps (default 40)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    size = Size()
    parameters = sum(p.numel() for p in Transformer(size).parameters())
    kept, guarded = (
        table(
            f"{what}: one step, {parameters:,} parameters, {given.rounds} pairs of steps",
            {name: partial(make, size, of) for name, of in cases.items()},
            given.rounds,
        )
        for what, make, cases in (
            ("The loss", loss_steps, SETTINGS),
            ("The guard", guard_steps, GUARDED),
        )
    )
    document = {
        "target": 1 + TARGET,
        "parameters": parameters,
        "batch": size.batch,
        "length": size.length,
        "rounds": given.rounds,
        "threads": given.threads,
        "torch": torch.__version__,
        "settings": kept,
        "guarded": guarded,
    }
    files.write(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What off-policy training adds to a step of the Trainer: `python -m benchmarks.hf_step`.

One Llama from its configuration, one data set of prompts and responses, trained by the plain
Trainer, with the cross-entropy of the responses, and by `OffPolicyTrainer`, with log mu kept from
sampling. A step is all that lies between two ends of steps: batch, forward and backward pass,
clipping, AdamW, metrics. The trainers run in threads of which one at a time has the turn, for one
step, so that a machine that is shared slows all alike; the ratio is the median over rounds. On the
CPU it is of processor time, which others on the machine do not add to. Memory is measured in a
process for each trainer. Rows are all of one length, so that neither has padding to carry.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from isr_theory import files
from isr_theory.training import ISReshapeLoss
from isr_theory.training.hf import OffPolicyTrainer

RESULTS = Path(__file__).parent / "results" / "hf_step.json"
TARGET = 0.05
# Freed tensors stay with the process instead of being handed back and faulted in anew: worth 13%
# to 39% of a step, to both sides.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
# Rounds that are not counted, and steps that are enough to see the most memory.
WARM, FEW = 2, 4


@dataclass(frozen=True)
class Size:
    """A model and a batch."""

    width: int
    layers: int
    heads: int
    vocabulary: int
    rows: int = 16
    prompt: int = 16
    response: int = 48


SIZES = {"1M": Size(128, 4, 4, 64), "10M": Size(320, 6, 5, 1024)}
WAYS: dict[str, tuple[int, dict[str, Any] | None]] = {
    # Micro-batches, and the loss; None is the plain Trainer.
    "plain": (1, None),
    "default": (1, {}),
    "exact gamma, control variate": (1, {"method": "exact", "baseline": "control"}),
    "plain, 4 micro-batches": (4, None),
    "default, 4 micro-batches": (4, {}),
    "TIS, 4 micro-batches": (4, {"weight": "tis"}),
}


class Turns:
    """Whose turn it is: every way once a round, and backwards in every other round."""

    def __init__(self, ways: list[str], rounds: int) -> None:
        self._order = [way for i in range(rounds) for way in (ways if i % 2 else ways[::-1])]
        self._next = 0
        self._changed = threading.Condition()

    def wait(self, way: str) -> None:
        """Wait for this way's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._order[self._next] == way)

    def done(self) -> None:
        """End the turn."""
        with self._changed:
            self._next = min(self._next + 1, len(self._order) - 1)
            self._changed.notify_all()


class Clock(TrainerCallback):
    """How long steps take, by the clock and of the processor; the device is waited for."""

    def __init__(self, way: str, turns: Turns) -> None:
        self.way, self.turns = way, turns
        self.taken: list[tuple[float, float]] = []
        self._start = (0.0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Wait for the first turn."""
        self._begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Note how long the turn took, and wait for the next."""
        if args.device.type == "cuda":
            torch.cuda.synchronize()
        wall, busy = self._start
        self.taken.append((time.perf_counter() - wall, time.thread_time() - busy))
        self.turns.done()
        if state.global_step < args.max_steps:
            self._begin()

    def _begin(self) -> None:
        self.turns.wait(self.way)
        self._start = (time.perf_counter(), time.thread_time())


def rows_of(size: Size) -> list[dict[str, Any]]:
    """Return rows enough for a turn."""
    rng = np.random.default_rng(0)
    return [
        {
            "prompt_ids": rng.integers(0, size.vocabulary, size.prompt).tolist(),
            "response_ids": rng.integers(0, size.vocabulary, size.response).tolist(),
            "reward": float(rng.random()),
            "log_mu": (
                -np.log(size.vocabulary) + 0.1 * rng.standard_normal(size.response)
            ).tolist(),
        }
        for _ in range(4 * size.rows)
    ]


def plain_collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a batch for the cross-entropy of the responses."""
    ids = torch.tensor([row["prompt_ids"] + row["response_ids"] for row in rows])
    labels = torch.tensor([[-100] * len(r["prompt_ids"]) + r["response_ids"] for r in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def trainer_of(
    way: str, size: Size, folder: str, given: argparse.Namespace, steps: int, clock: Any = None
) -> Any:
    """Return a trainer of the same model, rows and settings."""
    parts, settings = WAYS[way]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=4 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.prompt + size.response,
    )
    args = TrainingArguments(
        folder,
        max_steps=steps,
        per_device_train_batch_size=size.rows // parts,
        gradient_accumulation_steps=parts,
        # Too small a step to change the model.
        learning_rate=1e-9,
        logging_steps=10,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=given.device == "cpu",
        bf16=given.bf16,
        dataloader_pin_memory=given.device == "cuda",
        logging_nan_inf_filter=False,
    )
    model, rows = LlamaForCausalLM(config), rows_of(size)
    common: dict[str, Any] = {"callbacks": [] if clock is None else [clock]}
    trainer: Any
    if settings is None:
        more = {"train_dataset": rows, "data_collator": plain_collate}
        trainer = Trainer(model, args, **more, **common)
    else:
        trainer = OffPolicyTrainer(model, args, rows, loss=ISReshapeLoss(**settings), **common)
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure(size: Size, given: argparse.Namespace, label: str) -> dict[str, dict[str, float]]:
    """Return medians over the rounds for each way."""
    rounds = given.rounds + WARM
    turns = Turns(list(WAYS), rounds)
    clocks = {way: Clock(way, turns) for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(WAYS)) as pool:
        made = [trainer_of(way, size, folder, given, rounds, clocks[way]) for way in WAYS]
        # torch counts threads for each thread by itself.
        runs = [pool.submit(_run, trainer, given.threads) for trainer in made]
        for run in runs:
            run.result()
    times = {way: np.array(clock.taken)[WARM:].T for way, clock in clocks.items()}
    kind = 1 if given.device == "cpu" else 0
    tokens = size.rows * (size.prompt + size.response)
    found = {}
    for way, taken in times.items():
        beside = times["plain" if WAYS[way][0] == 1 else "plain, 4 micro-batches"]
        ratios = taken[kind] / beside[kind]
        low, high = interval(ratios)
        found[way] = {
            "step_ms": 1e3 * float(np.median(taken[0])),
            "busy_ms": 1e3 * float(np.median(taken[1])),
            "tokens_per_s": tokens / float(np.median(taken[0])),
            "ratio": float(np.median(ratios)),
            "low": low,
            "high": high,
            "peak_mib": peak(way, label, given),
        }
    return found


def _run(trainer: Any, threads: int) -> None:
    torch.set_num_threads(threads)
    trainer.train()


def interval(ratios: Any) -> tuple[float, float]:
    """Return a 95% bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
    return float(low), float(high)


def peak(way: str, size: str, given: argparse.Namespace) -> float:
    """Return the memory of a few steps in a process of its own, MiB."""
    command = [sys.executable, "-m", "benchmarks.hf_step", "--device", given.device]
    command += ["--bf16"] * given.bf16 + ["--threads", str(given.threads), "--alone", way, size]
    # Memory that is handed back can be told from memory that is kept.
    plain = {name: value for name, value in os.environ.items() if name not in MALLOC}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)
    return float(done.stdout.splitlines()[-1])


def alone(way: str, size: str, given: argparse.Namespace) -> None:
    """Print the peak memory of a few steps: the card's, or what the process had on top."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(way, SIZES[size], folder, given, FEW)
        # Linux begins the peak anew.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resident("VmRSS")
        trainer.train()
        used = resident("VmHWM") - before
    if given.device == "cuda":
        used = torch.cuda.max_memory_allocated() / 2**20
    print(used)


def resident(name: str) -> float:
    """Return a line of this process's status, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name))) / 1024


def shown(title: str, found: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    table = Table(title=title)
    table.add_column("trainer")
    for name in ("step, ms", "tokens/s", "ratio", "95% interval", "peak, MiB"):
        table.add_column(name, justify="right")
    for way, n in found.items():
        speed = (f"{n['step_ms']:.1f}", f"{n['tokens_per_s']:.0f}")
        ratio = (f"{n['ratio']:.3f}", f"{n['low']:.3f} .. {n['high']:.3f}")
        table.add_row(way, *speed, *ratio, f"{n['peak_mib']:.0f}")
    Console(width=120).print(table)


def main() -> None:
    """Print the tables and keep them, beside those of other sizes and devices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="steps of each trainer (default 40)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--bf16", action="store_true", help="mixed precision")
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--alone", nargs=2, metavar=("WAY", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.alone and any(os.environ.get(name) != value for name, value in MALLOC.items()):
        again = [sys.executable, "-m", "benchmarks.hf_step", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, **MALLOC})
    torch.set_num_threads(given.threads)
    if given.alone:
        alone(*given.alone, given)
        return
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    device = platform.machine() if given.device == "cpu" else torch.cuda.get_device_name()
    before = kept.get(given.device, {})
    rows: dict[str, Any] = before.get("sizes", {})
    rounds: dict[str, int] = before.get("rounds", {})
    for name in given.sizes:
        found = measure(SIZES[name], given, name)
        shown(f"One step, {name} parameters, {given.device}", found)
        rounds[name] = given.rounds
        rows[name] = {
            way: {key: round(float(value), 4) for key, value in numbers.items()}
            for way, numbers in found.items()
        }
    kept[given.device] = {
        "target": 1 + TARGET,
        "device": device,
        "bf16": given.bf16,
        "threads": given.threads,
        "torch": torch.__version__,
        "rounds": rounds,
        "sizes": rows,
    }
    files.write(given.out, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()

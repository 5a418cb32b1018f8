"""How fast responses are drawn, beside transformers' `generate`: `-m benchmarks.lm_generate`.

One model, one batch of padded prompts, temperature 1, the same number of new tokens: `generate` of
transformers, which returns tokens, and our `draw`, which returns each token's log-probability too.
`no end` lets every row run to the last token, so that both do the same work; `ends` stops rows at
the end of a response, as sampling a log does, where ours also takes rows that have ended out of the
batch. Rounds alternate, and which comes first too; the ratio is of medians of processor time, which
others on the machine do not add to, and of wall time beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from experiments.lm import models, sampling, vocabulary
from isr_theory import files

RESULTS = Path(__file__).parent / "results" / "lm_generate.json"
# At least as fast as transformers' own.
TARGET = 1.0
NEVER = -1


@dataclass(frozen=True)
class Size:
    """A model and a batch."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    batch: int = 256
    prompt: int = 16
    tokens: int = 64


def prompts(size: Size, vocabulary_size: int) -> tuple[Any, Any]:
    """Return random prompts of half to full length, padded on the left, and their mask."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, vocabulary_size, (size.batch, size.prompt), generator=generator)
    lengths = torch.randint(size.prompt // 2, size.prompt + 1, (size.batch,), generator=generator)
    mask = torch.arange(size.prompt) >= size.prompt - lengths[:, None]
    return torch.where(mask, ids, 0), mask


def theirs(model: Any, ids: Any, mask: Any, size: Size, eos: int) -> int:
    """Draw by `generate`; return how many tokens were drawn before the ends."""
    from transformers import GenerationConfig

    config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=size.tokens,
        eos_token_id=None if eos == NEVER else eos,
        pad_token_id=0,
        use_cache=True,
    )
    with torch.no_grad():
        found = model.generate(ids, attention_mask=mask.long(), generation_config=config)
    new = found[:, ids.shape[1] :]
    if eos == NEVER:
        return int(new.numel())
    before = ((new == eos).cumsum(1) - (new == eos).long()) == 0
    return int(before.sum())


def ours(model: Any, ids: Any, mask: Any, size: Size, eos: int) -> int:
    """Draw by `sampling.draw`; return how many tokens were drawn."""
    allowed = torch.full((size.batch,), size.tokens)
    generator = torch.Generator(ids.device).manual_seed(int(time.monotonic_ns() % 2**31))
    with torch.no_grad():
        counts = sampling.draw(model, ids, mask, 1, allowed.to(ids.device), eos, generator)[2]
    return int(counts.sum())


def timed(draw: Callable[[], int], device: str) -> tuple[float, float, int]:
    """Return processor seconds, wall seconds and tokens of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    tokens = draw()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.process_time() - cpu, time.perf_counter() - wall, tokens


def measure(size: Size, rounds: int, eos: int, device: str) -> dict[str, float]:
    """Return medians of both and their ratios over so many rounds."""
    words = vocabulary.characters()
    model = models.small(size.width, size.layers, size.heads, words.size, 1).to(device)
    ids, mask = (x.to(device) for x in prompts(size, words.size))
    calls = {
        "transformers": lambda: theirs(model, ids, mask, size, eos),
        "ours": lambda: ours(model, ids, mask, size, eos),
    }
    taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for i in range(rounds):
        for name in sorted(calls, reverse=i % 2 == 1):
            taken[name].append(timed(calls[name], device))
    found: dict[str, float] = {}
    for name, rows in taken.items():
        cpu, wall, tokens = (np.array(column) for column in zip(*rows, strict=True))
        found[f"{name}_tokens_per_cpu_second"] = float(np.median(tokens / cpu))
        found[f"{name}_tokens_per_second"] = float(np.median(tokens / wall))
    for kind in ("cpu_second", "second"):
        pair = (found[f"{name}_tokens_per_{kind}"] for name in ("ours", "transformers"))
        mine, other = pair
        found[f"times_as_fast_by_{kind}"] = mine / other
    return found


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {"1M": Size(), "100k": Size(width=48, layers=3, heads=3)}
    if parsed.device == "cuda":
        sizes["60M"] = Size(width=640, layers=12, heads=10, batch=2048)
    eos = vocabulary.characters().eos
    console = Console()
    table = Table("model", "responses", "transformers, tokens/s", "ours", "times as fast")
    rows = {}
    for name, size in sizes.items():
        for kind, end in (("no end", NEVER), ("ends", eos)):
            found = measure(size, parsed.rounds, end, parsed.device)
            rows[f"{name}, {kind}"] = {**asdict(size), **found}
            cells = (f"{found[f'{x}_tokens_per_cpu_second']:.0f}" for x in ("transformers", "ours"))
            table.add_row(name, kind, *cells, f"{found['times_as_fast_by_cpu_second']:.2f}")
    console.print(table)
    content = {
        "target": TARGET,
        "device": parsed.device,
        "threads": 1,
        "rounds": parsed.rounds,
        "torch": torch.__version__,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "settings": rows,
    }
    files.write(parsed.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

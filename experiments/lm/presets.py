"""The sizes of the presets: smoke, cpu and gpu, as recipes that hold one another.

`SMOKE` shows that every line runs and says nothing about anything. `CPU` is what the committed
results were made with. `GPU` is for one card with 80 GB or more; `GPU_REDUCED` has all of its parts
at the size of smoke on a CPU, so that the preset can be tried where there is no card.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.lm.recipes import Logged, Mu, Policies, Scores

CPU = Scores()

SMOKE_MU = Mu(
    batches=(8, 8, 4), width=32, layers=2, heads=2, steps=8, warmup=2, save_every=4, corrupted=0.1
)
SMOKE_LOG = Logged(SMOKE_MU, prompts=(4, 4, 4), each=4, batch=32)
SMOKE_POLICIES = Policies(
    SMOKE_LOG,
    distances=(0.01, 0.1),
    batch=16,
    probe=24,
    learning_rate=3e-3,
    warmup=2,
    most_steps=40,
)
SMOKE = Scores(SMOKE_POLICIES, replace(SMOKE_LOG, seed=3), batch=32)

# 12 x 12 x 640^2 = 59 million weights.
GPU_MU = Mu(
    batches=(1024, 1024, 512),
    width=640,
    layers=12,
    heads=10,
    steps=4000,
    learning_rate=1e-3,
    warmup=200,
    save_every=500,
    device="cuda",
    bf16=True,
    compiled=True,
)
GPU_LOG = Logged(GPU_MU, prompts=(1024, 2048, 420), each=16, batch=8192)
GPU = Scores(
    Policies(
        replace(GPU_LOG, prompts=(512, 1024, 210)),
        batch=512,
        probe=1024,
        learning_rate=2e-5,
        warmup=20,
        most_steps=2000,
    ),
    replace(GPU_LOG, seed=3),
    batch=1024,
)


def reduced(scores: Scores) -> Scores:
    """Return a preset at smoke's size on a CPU, with its precision and all of its parts."""
    mu = replace(SMOKE_MU, bf16=scores.log.mu.bf16)
    policies = replace(SMOKE_POLICIES, log=replace(SMOKE_LOG, mu=mu))
    return replace(SMOKE, policies=policies, log=replace(SMOKE.log, mu=mu))


GPU_REDUCED = reduced(GPU)

"""How mu comes about: a new decoder learns from noisy demonstrations, by transformers' Trainer.

    loss = mean over the answer's tokens of -log pi(token | prompt, what came before)

A demonstration is a right answer some of whose characters are wrong, so that mu is right some of
the time, and partly right more often. Every item of the data is a whole batch of one task, drawn
from the seed and its number alone: a run that goes on from a checkpoint meets the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from experiments.lm import models, tasks
from experiments.lm.recipes import Mu
from experiments.lm.tasks import Example
from experiments.lm.vocabulary import Vocabulary

Tensor = Any
Model = Any
Say = Callable[[str], None]
# Demonstrations of a task that there are to draw from; of some tasks no more are there.
POOL = 20_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WRONG = {"chain_sum": "0123456789-", "caesar_cipher": LETTERS + " "}


def corrupted(text: str, share: float, wrong: str, rng: Generator) -> str:
    """Return a text where each character is wrong with probability `share`.

    Half of the wrong ones are drawn from `wrong`, a quarter are left out and a quarter come twice.
    """
    said = []
    for character, hit, kind in zip(
        text, rng.random(len(text)) < share, rng.integers(4, size=len(text)), strict=True
    ):
        if not hit:
            said.append(character)
        elif kind < 2:
            said.append(wrong[rng.integers(len(wrong))])
        elif kind == 3:
            said += [character, character]
    return "".join(said)


class Batches:
    """Item i is the batch of step i."""

    def __init__(self, mu: Mu, vocabulary: Vocabulary) -> None:
        self.mu, self.vocabulary = mu, vocabulary
        self.pools = {name: tasks.examples(name, POOL, seed=mu.seed) for name in mu.tasks}

    def __len__(self) -> int:
        return self.mu.steps

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        mu = self.mu
        rng = np.random.default_rng([mu.seed, i])
        shares = np.array(mu.shares) / sum(mu.shares)
        which = int(rng.choice(len(mu.tasks), p=shares))
        pool = self.pools[mu.tasks[which]]
        chosen = [pool[k] for k in rng.integers(len(pool), size=mu.batches[which])]
        return self._tensors([self._row(item, rng) for item in chosen])

    def _row(self, item: Example, rng: Generator) -> tuple[list[int], list[int]]:
        said = corrupted(item.answer, self.mu.corrupted, WRONG.get(item.task, LETTERS), rng)
        said = said[: tasks.TASKS[item.task].most_tokens - 1]
        words = self.vocabulary
        # The beginning is the prompt's alone.
        return words.encode(item.prompt), [*words.encode(said)[1:], words.eos]

    def _tensors(self, rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, Tensor]:
        width = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.full((len(rows), width), self.vocabulary.pad)
        labels = torch.full((len(rows), width), -100)
        for k, (prompt, answer) in enumerate(rows):
            end = len(prompt) + len(answer)
            ids[k, :end] = torch.tensor(prompt + answer)
            labels[k, len(prompt) : end] = torch.tensor(answer)
        # Causal attention never looks at the padding on the right.
        return {"input_ids": ids, "labels": labels}


def _alone(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return items[0]


def train(mu: Mu, vocabulary: Vocabulary, folder: Path, say: Say) -> Model:
    """Return mu, trained; go on from the newest whole checkpoint in the folder, if there is one."""
    from transformers import Trainer

    from isr_theory.training.hf import newest_whole

    model = models.small(
        mu.width, mu.layers, mu.heads, vocabulary.size, mu.seed, longest=LONGEST
    ).train()
    trainer = Trainer(
        model=model,
        args=arguments(mu, folder),
        train_dataset=Batches(mu, vocabulary),
        data_collator=_alone,
        callbacks=[_telling(say, mu.steps)],
    )
    models.without_console(trainer)
    checkpoint = newest_whole(folder) if folder.is_dir() else None
    if checkpoint is not None:
        say(f"mu goes on from {checkpoint.name}")
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return model.eval()


# Positions that a model can tell apart: the longest prompt and answer and room.
LONGEST = 256


def arguments(mu: Mu, folder: Path) -> Any:
    """Return the Trainer's arguments."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder),
        max_steps=mu.steps,
        per_device_train_batch_size=1,
        learning_rate=mu.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=mu.warmup,
        weight_decay=0.01,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        seed=mu.seed % 2**31,
        save_steps=mu.save_every,
        save_total_limit=2,
        logging_steps=max(1, mu.steps // 20),
        use_cpu=mu.device == "cpu",
        bf16=mu.bf16,
        torch_compile=mu.compiled,
        dataloader_pin_memory=mu.device != "cpu",
        report_to=[],
        disable_tqdm=True,
    )


def _telling(say: Say, steps: int) -> Any:
    """Return a callback that says how training goes, and about how long it will take."""
    import time

    from transformers import TrainerCallback

    class Telling(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.began: tuple[float, int] | None = None

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = self.began or (time.monotonic(), state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or "loss" not in logs or self.began is None:
                return
            since, first = self.began
            done = max(1, state.global_step - first)
            left = (time.monotonic() - since) / done * (steps - state.global_step)
            at = f"step {state.global_step} of {steps}, loss {float(logs['loss']):.3f}"
            say(f"mu: {at}, about {left:.0f} s left")

    return Telling()

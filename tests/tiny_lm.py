"""A tiny language model, rows for it, and a run of the trainer: `tiny_lm.py FOLDER [SETTINGS]`.

Tests import it, and start it as a process of its own where one has to be killed, or as several by
`accelerate launch`. SETTINGS is JSON: `args` of TrainingArguments, `loss` of ISReshapeLoss, `more`
of the trainer, `kill` at which step the process kills itself, `again` a checkpoint from which to go
on once more, `unscored` for rows without log mu, `evaluated` how many rows to evaluate at the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback, TrainingArguments

from isr_theory.training import ISReshapeLoss
from isr_theory.training.hf import OffPolicyTrainer

VOCABULARY, CONTEXT = 24, 16


def model(seed=0, **more):
    """About ten thousand parameters, in float64, so that tolerances are those of rounding."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    ends = {"vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}
    # Far from uniform, so that ratios are far from 1.
    config = LlamaConfig(**sizes, **heads, **ends, initializer_range=0.3, **more)
    return LlamaForCausalLM(config).double()


def rows(n=32, group=4, seed=0, unscored=False):
    """Rows of ragged lengths, `group` responses to one prompt; group ids are no small numbers."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        if i % group == 0:
            prompt = rng.integers(0, VOCABULARY, rng.integers(1, 5)).tolist()
        length = int(rng.integers(1, 8))
        row = {
            "prompt_ids": prompt,
            "response_ids": rng.integers(0, VOCABULARY, length).tolist(),
            "reward": float(rng.random()),
            "group": 1000 - i // group,
            "log_mu": (-3 - 0.5 * rng.random(length)).tolist(),
            "task": "not looked at",
        }
        if unscored:
            del row["log_mu"]
        found.append(row)
    return found


def arguments(folder, **more):
    """Plain SGD without clipping, whose steps show gradients as they are."""
    plain = {
        "optim": "sgd",
        "learning_rate": 0.05,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "per_device_train_batch_size": 8,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
    }
    return TrainingArguments(str(folder), **{**plain, **more})


class KillAt(TrainerCallback):
    """Kills the process as the power does, at the end of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **more):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    torch.set_num_threads(1)
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    calls = [KillAt(settings["kill"])] if "kill" in settings else []
    unscored = settings.get("unscored", False)

    def made():
        return OffPolicyTrainer(
            model(),
            arguments(folder, **settings.get("args", {})),
            rows(unscored=unscored),
            loss=ISReshapeLoss(**settings.get("loss", {})),
            reference=model(seed=1) if unscored else None,
            callbacks=calls,
            **settings.get("more", {}),
        )

    trainer = made()
    trainer.train()
    if "again" in settings:
        trainer = made()
        trainer.train(resume_from_checkpoint=str(folder / settings["again"]))
    if "evaluated" in settings:
        found = trainer.evaluate(rows(settings["evaluated"], seed=3))["eval_loss"]
        (folder / "eval.json").write_text(json.dumps(found), encoding="utf-8")
    if trainer.is_world_process_zero():
        torch.save(trainer.model.state_dict(), folder / "end.pt")
        history = [entry for entry in trainer.state.log_history if "gamma" in entry]
        (folder / "history.json").write_text(json.dumps(history), encoding="utf-8")


if __name__ == "__main__":
    main()

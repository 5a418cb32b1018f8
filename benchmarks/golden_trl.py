"""Write tests/golden/trl.json with TRL's own losses: run by `make peers` in their environment.

The losses are TRL's functions themselves, on a stand-in for the trainer that hands them leaves of
log-probabilities in the place of a model. A short GRPO run of a random model, on the CPU, then has
the callback that chooses gamma in it, and what TRL's weights came to is kept.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer, SFTTrainer

ROOT = Path(__file__).parent.parent
OUT = ROOT / "tests" / "golden" / "trl.json"
# Which loss, and the settings in which it is not TRL's default.
LOSSES: dict[str, dict[str, Any]] = {
    "grpo": {"loss_type": "grpo"},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "cispo, low cap": {"loss_type": "cispo", "epsilon_high": 1.2},
    "sapo": {"loss_type": "sapo"},
    "vespo": {"loss_type": "vespo"},
    "vespo as a power": {
        "loss_type": "vespo",
        "vespo_k_pos": 0.4,
        "vespo_k_neg": 0.4,
        "vespo_lambda_pos": 0.0,
        "vespo_lambda_neg": 0.0,
    },
    "sequence": {"loss_type": "grpo", "level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4},
    "sequence, wide clip": {"loss_type": "grpo", "level": "sequence"},
}
DEFAULTS = {
    "delta": None,
    "use_bias_correction_kl": False,
    "steps_per_generation": 1,
    "sapo_temperature_pos": 1.0,
    "sapo_temperature_neg": 1.05,
    "vespo_k_pos": 2.0,
    "vespo_lambda_pos": 3.0,
    "vespo_k_neg": 3.0,
    "vespo_lambda_neg": 2.0,
}


def batch(seed: int) -> dict[str, torch.Tensor]:
    """Return log-probabilities, ragged masks and advantages of both signs, in float32."""
    draw = torch.Generator().manual_seed(seed)
    n, width = 6, 9
    old = -0.2 - 2 * torch.rand(n, width, generator=draw)
    new = (old + 0.25 * torch.randn(n, width, generator=draw)).clamp(max=-0.01)
    lengths = torch.randint(1, width + 1, (n, 1), generator=draw)
    mask = (torch.arange(width) < lengths).long()
    return {"old": old, "new": new, "mask": mask, "advantages": torch.randn(n, generator=draw)}


def grpo_trainer(settings: dict[str, Any], log_pi: torch.Tensor) -> SimpleNamespace:
    """Return what TRL's loss asks of a trainer, with leaves for the model's log-probabilities."""
    args = SimpleNamespace(**{k: settings.get(k, v) for k, v in DEFAULTS.items()})
    low = settings.get("epsilon", 0.2)
    accelerator = SimpleNamespace(
        num_processes=1, reduce=lambda x, reduction: x, gather=lambda x: x, sync_gradients=True
    )
    return SimpleNamespace(
        args=args,
        accelerator=accelerator,
        model=SimpleNamespace(training=True),
        loss_type=settings["loss_type"],
        importance_sampling_level=settings.get("level", "token"),
        epsilon_low=low,
        epsilon_high=settings.get("epsilon_high", low),
        beta=0.0,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        aux_loss_enabled=False,
        use_adaptive_entropy=False,
        _entropy_bonus_enabled=False,
        current_gradient_accumulation_steps=1,
        _metrics={"train": defaultdict(list)},
        get_gamma_weights=GRPOTrainer.get_gamma_weights,
        _get_per_token_logps_and_entropies=lambda *_, **__: (
            log_pi,
            torch.zeros_like(log_pi),
            None,
        ),
    )


def grpo(settings: dict[str, Any], given: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return TRL's loss of a batch and its gradient in log pi."""
    log_pi = given["new"].clone().requires_grad_(True)
    ids = torch.zeros_like(given["mask"])
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": given["mask"],
        "advantages": given["advantages"],
        "old_per_token_logps": given["old"],
        "num_items_in_batch": given["mask"].sum(),
    }
    loss = GRPOTrainer._compute_loss(grpo_trainer(settings, log_pi), None, inputs)
    loss.backward()
    return {"loss": loss.item(), "gradient": log_pi.grad.tolist()}


def dft(given: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return TRL's DFT loss of a batch, which knows neither mu nor rewards, and its gradient."""
    log_pi = given["new"].clone().requires_grad_(True)
    mask = given["mask"].bool()
    outputs = SimpleNamespace(
        # Zero on ignored positions, as the model's own outputs are.
        log_probs=torch.where(mask, log_pi, 0.0),
        label_mask=mask,
        entropy=torch.zeros_like(log_pi),
        is_top1=mask,
    )
    accelerator = SimpleNamespace(
        num_processes=1, parallelism_config=None, gather_for_metrics=lambda x: x
    )
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(loss_type="dft", average_tokens_across_devices=False),
        accelerator=accelerator,
        aux_loss_enabled=False,
        compute_loss_func=None,
        label_smoother=None,
        get_tp_size=lambda: 1,
        _tp_size=1,
        _total_train_tokens=0,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {"labels": given["mask"], "attention_mask": given["mask"]}
    loss = SFTTrainer.compute_loss(trainer, lambda **_: outputs, inputs)
    loss.backward()
    return {"loss": loss.item(), "gradient": log_pi.grad.tolist()}


def recipe() -> list[dict[str, Any]]:
    """Return each step of a GRPO run with `VespoGamma`: log-ratios in, gamma and TRL's weights."""
    sys.path.insert(0, str(ROOT))
    from isr_theory.training.trl import VespoGamma

    torch.manual_seed(0)
    words = {f"w{i}": i for i in range(20)} | {"<pad>": 20, "<eos>": 21}
    plain = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>"
    )
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=22, **sizes, **heads, initializer_range=0.3)
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            folder,
            loss_type="vespo",
            num_generations=4,
            per_device_train_batch_size=8,
            num_iterations=3,
            max_steps=6,
            max_completion_length=8,
            learning_rate=0.02,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        )
        trainer = GRPOTrainer(
            LlamaForCausalLM(config),
            reward_funcs=lambda completions, **_: [float(len(set(c))) for c in completions],
            args=args,
            train_dataset=Dataset.from_list([{"prompt": f"w{i} w{i + 1}"} for i in range(8)]),
            processing_class=tokenizer,
        )
        callback = VespoGamma(rho_min=0.9, method="exact")
        callback.attach(trainer)
        steps: list[dict[str, Any]] = []
        weights = trainer.get_gamma_weights

        def seen(**given: Any) -> torch.Tensor:
            found = weights(**given)
            steps.append(
                {
                    "log_ratio": given["log_ratio_per_token"].tolist(),
                    "mask": given["mask"].tolist(),
                    "gamma": float(callback.gamma),
                    "weights": found[:, 0].tolist(),
                }
            )
            return found

        trainer.get_gamma_weights = seen
        trainer.train()
        logged = [entry["gamma"] for entry in trainer.state.log_history if "gamma" in entry]
    return [{**step, "logged": gamma} for step, gamma in zip(steps, logged, strict=True)]


def main() -> None:
    """Write losses, gradients and the run, and where they come from."""
    cases = []
    for seed in range(4):
        given = batch(seed)
        found = {name: grpo(settings, given) for name, settings in LOSSES.items()}
        found["dft"] = dft(given)
        kept = {name: value.tolist() for name, value in given.items()}
        cases.append({"seed": seed, **kept, "losses": found})
    provenance = {
        name: importlib.metadata.version(name) for name in ("trl", "transformers", "torch")
    }
    provenance |= {
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "make peers",
    }
    document = {"provenance": provenance, "cases": cases, "recipe": recipe()}
    OUT.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

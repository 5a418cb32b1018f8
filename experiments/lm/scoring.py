"""Log-probabilities that a model gives to responses which another may have drawn.

    log pi(y_t | x, y_<t) = log_softmax(logits_t)[y_t],   in float32

`token_log_probs` is differentiable; `score` goes through a whole log, sequences of like length side
by side. What a row is given does not depend on its padding, to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.lm.logs import Floats, Log, Unreadable
from experiments.lm.sampling import new_cache
from experiments.lm.vocabulary import Vocabulary

Tensor = Any
Model = Any


def token_log_probs(
    model: Model, prompt_ids: Tensor, prompt_mask: Tensor, response: Tensor, mask: Tensor
) -> Tensor:
    """Return log pi of each token (n, T), 0 where mask is; float32, and differentiable.

    Prompts (n, P) are padded on the left, responses (n, T) on the right.
    """
    logits = response_logits(model, prompt_ids, prompt_mask, response, mask)
    picked = logits.gather(-1, response[..., None])[..., 0]
    return torch.where(mask, picked - logits.logsumexp(-1), 0.0)


def response_logits(
    model: Model, prompt_ids: Tensor, prompt_mask: Tensor, response: Tensor, mask: Tensor
) -> Tensor:
    """Return the logits (n, T, vocabulary), in float32, that each token was or would be drawn by.

    Raises ValueError where a token is none that the model knows.
    """
    ids = torch.cat([prompt_ids, response], -1)
    seen = torch.cat([prompt_mask, mask], -1).long()
    found = model(
        input_ids=ids[:, :-1],
        attention_mask=seen[:, :-1],
        # Padding on the left has no place of its own: a prompt begins at 0 wherever it stands.
        position_ids=(seen.cumsum(-1) - 1).clamp(min=0)[:, :-1],
        use_cache=False,
        logits_to_keep=response.shape[1],
    )
    return found.logits.float()


def grouped_logits(
    model: Model, prompt_ids: Tensor, prompt_mask: Tensor, response: Tensor, mask: Tensor
) -> Tensor:
    """Return the logits of `response_logits`, each prompt read once for all of its responses.

    Prompts are (g, P); responses (g each, T), those to one prompt together.
    """
    cache, keeping = new_cache(model)
    seen = prompt_mask.long()
    positions = (seen.cumsum(-1) - 1).clamp(min=0)
    read = model(
        input_ids=prompt_ids,
        attention_mask=seen,
        position_ids=positions,
        logits_to_keep=1,
        **keeping,
    )
    each = len(response) // len(prompt_ids)
    cache.batch_repeat_interleave(each)
    first = read.logits[:, -1:].repeat_interleave(each, 0)
    own = mask[:, :-1].long()
    start = positions[:, -1:].repeat_interleave(each, 0)
    rest = model(
        input_ids=response[:, :-1],
        attention_mask=torch.cat([seen.repeat_interleave(each, 0), own], -1),
        position_ids=start + torch.arange(1, response.shape[1], device=start.device),
        **keeping,
    ).logits
    return torch.cat([first, rest], 1).float()


def score(model: Model, log: Log, batch: int = 256, vocabulary: Vocabulary | None = None) -> Floats:
    """Return log pi (n, T) of a log's tokens, 0 in padding.

    With `vocabulary`, raises Unreadable where the log's tokens are of another.
    """
    check_vocabulary(model, log, vocabulary)
    device = next(model.parameters()).device
    found = np.zeros(log.mask.shape, dtype=np.float32)
    prompts, lengths = log.prompt_mask.sum(1), log.lengths
    order = np.lexsort((prompts, lengths))
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        wide, long = int(prompts[rows].max()), int(lengths[rows].max())
        parts = (
            log.prompt_ids[rows, -wide:],
            log.prompt_mask[rows, -wide:],
            log.response[rows, :long],
            log.mask[rows, :long],
        )
        tensors = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts]
        with torch.no_grad():
            found[rows, :long] = token_log_probs(model, *tensors).cpu().numpy()
    return found


def check_vocabulary(model: Model, log: Log, vocabulary: Vocabulary | None = None) -> None:
    """Raise Unreadable where a model cannot read a log: its vocabulary is another."""
    if vocabulary is not None and log.vocabulary and vocabulary.digest != log.vocabulary:
        raise Unreadable(
            f"the log is of the vocabulary {log.vocabulary}, the model of {vocabulary.digest}:"
            " a model can score only what is in its own tokens"
        )
    size = int(model.config.vocab_size)
    largest = max(int(log.response.max()), int(log.prompt_ids.max()))
    if largest >= size:
        raise Unreadable(
            f"the log has the token {largest}, and the model's vocabulary only {size} tokens"
        )

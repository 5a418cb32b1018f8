"""A few prompts with short answers, so that whole laws of answers can be seen.

    sum over a log of n = sum over different responses, each by its count

Sums of two digits have answers of one or two characters. All such answers together have nearly all
of mu's mass, so that a log without end can stand beside one that was drawn; and of many thousand
sequences that are drawn some hundred differ, so that a step on the whole log costs as much as one
on these, and has no noise but the log's own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch

from experiments.lm import sampling
from experiments.lm._small import ALPHABET, MOST_TOKENS, Making, Rows, characters, examples, mu
from experiments.lm.tasks import reward

Tensor = Any
Model = Any
MAKING = Making("sums", examples=4, noise=0.25, steps=300, batch=64)
"""mu of these experiments: it knows four sums, and answers each with some noise."""


@dataclass(frozen=True)
class Law:
    """Different responses, and the share that each has of its prompt: shares of a prompt add to 1.

    Of a log that was drawn, `place` (n,) says which of them each sequence is.
    """

    rows: Rows
    share: Tensor
    place: Tensor | None = None

    @property
    def log_mu(self) -> Tensor:
        """Return log mu of the responses."""
        return self.rows.log_mu.sum(-1)

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return int(self.rows.prompt.max()) + 1

    def log_pi(self, model: Model) -> Tensor:
        """Return log pi of the responses, differentiable."""
        return self.rows.log_pi(model).sum(-1)

    def mean(self, values: Tensor) -> Tensor:
        """Return each prompt's mean of values, for each response."""
        total = values.new_zeros(self.prompts)
        means: Tensor = total.index_add(0, self.rows.prompt, self.share * values)
        return means[self.rows.prompt]


def drawn(making: Making, each: int, seed: int) -> Law:
    """Return a log of mu, `each` responses to each of its prompts; shares are frequencies."""
    prompts = examples(making.kind, making.examples, making.seed)
    most = MOST_TOKENS[making.kind]
    log = sampling.sample(mu(making), characters(), prompts, each, most, seed, batch=1 << 14)
    rows = Rows.of(log, making.device)
    keys = torch.cat([rows.prompt[:, None], rows.response, rows.mask.sum(-1, keepdim=True)], -1)
    _, place, count = torch.unique(keys, dim=0, return_inverse=True, return_counts=True)
    first = torch.full_like(count, len(place))
    first = first.scatter_reduce(0, place, torch.arange(len(place), device=place.device), "amin")
    return Law(rows.take(first), count / each, place)


def whole(making: Making) -> Law:
    """Return all responses of one or two characters of the alphabet that end, shares as mu's."""
    words, prompts = characters(), examples(making.kind, making.examples, making.seed)
    letters = ALPHABET[making.kind]
    texts = [*letters, *("".join(pair) for pair in itertools.product(letters, repeat=2))]
    tokens = [[*words.encode(text)[1:], words.eos] for text in texts]
    counts = torch.tensor([len(row) for row in tokens]).repeat(len(prompts))
    response = torch.tensor([[*row, 0][: MOST_TOKENS[making.kind]] for row in tokens])
    response = response.repeat(len(prompts), 1)
    mask = torch.arange(response.shape[1]) < counts[:, None]
    ids, prompt_mask = words.prompts([words.encode(item.prompt) for item in prompts])
    n = len(texts)
    columns = (
        ids.repeat_interleave(n, 0),
        prompt_mask.repeat_interleave(n, 0),
        response,
        mask,
        torch.zeros(mask.shape),
        torch.tensor([reward(item, text)[0] for item in prompts for text in texts]),
        torch.arange(len(prompts)).repeat_interleave(n),
    )
    rows = Rows(*(column.to(making.device) for column in columns))
    with torch.no_grad():
        rows.log_mu.add_(rows.log_pi(mu(making)))
    mass = rows.log_mu.sum(-1).exp()
    return Law(rows, mass / mass.view(len(prompts), n).sum(-1).repeat_interleave(n))

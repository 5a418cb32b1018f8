"""Inner products of per-sample scores s_i = grad log pi(y_i | x_i), without keeping the scores.

    <s_i, s_j>  is estimated by  <S s_i, S s_j>,   (S s)_b = sum of +-s_p over weights p of bucket b

A count sketch (Charikar, Chen and Farach-Colton 2002) with a random bucket and sign a weight:
unbiased, its standard deviation at most sqrt(2/buckets) |s_i| |s_j|; with 2^15 buckets 0.8%. The
squared norms, of which a variance is mostly made, are not sketched but exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.lm._resample import Array
from experiments.lm.logs import Log
from experiments.lm.scoring import token_log_probs

Tensor = Any


def gram(model: Any, log: Log, buckets: int, seed: int) -> Array:
    """Return (n, n) inner products of the sequences' scores in float64, exact on the diagonal."""
    weights = [p for p in model.parameters() if p.requires_grad]
    size, device = sum(p.numel() for p in weights), weights[0].device
    generator = torch.Generator().manual_seed(seed)
    bucket = torch.randint(buckets, (size,), generator=generator).to(device)
    sign = (2 * torch.randint(2, (size,), generator=generator) - 1).to(device).float()
    sketches = torch.zeros(len(log), buckets, device=device)
    norms = np.zeros(len(log))
    for row in range(len(log)):
        score = _score(model, weights, log.take([row]), device)
        norms[row] = float(score.double() @ score.double())
        sketches[row].index_add_(0, bucket, score * sign)
    table: Array = (sketches @ sketches.T).double().cpu().numpy()
    np.fill_diagonal(table, norms)
    return table


def _score(model: Any, weights: list[Any], one: Log, device: Any) -> Tensor:
    wide, long = int(one.prompt_mask.sum()), int(one.mask.sum())
    parts = (
        one.prompt_ids[:, -wide:],
        one.prompt_mask[:, -wide:],
        one.response[:, :long],
        one.mask[:, :long],
    )
    tensors = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts]
    total = token_log_probs(model, *tensors).sum()
    return torch.cat([g.reshape(-1).float() for g in torch.autograd.grad(total, weights)])

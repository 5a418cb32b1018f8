"""What the field's trainers maximise, written as plainly as they write it: no log domain, no care.

Each function takes a view of rows, sequences or tokens alike, with their rewards, and returns the
total of its objective; its gradient in `log_pi` is what an entry of the atlas says it is, times r.
"""

from __future__ import annotations

import torch


def clipped(ratio, r, low, high):
    return torch.min(ratio * r, ratio.clamp(1 - low, 1 + high) * r).sum()


def weighted(weight, v, r=None):
    return (weight.detach() * v.log_pi * (v.reward if r is None else r)).sum()


def gmpo(v, epsilon=0.4):
    sign = v.reward.sign()
    kept = sign * torch.min(sign * v.log_w, sign * v.log_w.clamp(-epsilon, epsilon))
    if v.mask is None:
        return ((kept / v.length).exp() * v.reward).sum()
    mean = (kept * v.mask).sum(-1, keepdim=True) / v.mask.sum(-1, keepdim=True)
    return (mean.exp() * v.reward).sum()


def vespo(v):
    w = v.log_w.exp()
    good, bad = w**2 * (3 * (1 - w)).exp(), w**3 * (2 * (1 - w)).exp()
    return weighted(torch.where(v.reward >= 0, good, bad), v)


def sapo(v):
    t = 1.05 - 0.05 * (v.reward > 0).double()
    return (torch.sigmoid(t * (v.log_w.exp() - 1)) * 4 / t * v.reward).sum()


def log_smoothing(v):
    scale = v.log_w.numel() ** 0.5
    product = v.log_w.exp() * v.reward
    return (product.sign() * scale * torch.log(1 + product.abs() / scale)).sum()


def log_sum_exp(v, rate=-0.1):
    product = v.log_w.exp() * v.reward
    return v.log_w.numel() / rate * (rate * product).exp().mean().log()


def p3o(v):
    w = v.log_w.exp()
    return weighted(w.clamp(max=(w.sum() ** 2 / (w**2).sum() / w.numel()).item()), v)


def ratio(v):
    return v.log_w.exp()


OBJECTIVES = {
    "sft": lambda v: (v.log_pi * v.reward).sum(),
    "is": lambda v: (ratio(v) * v.reward).sum(),
    "power": lambda v: (ratio(v) ** 0.5 / 0.5 * v.reward).sum(),
    "self_normalised": lambda v: weighted(ratio(v) / ratio(v).mean(), v),
    "asymre": lambda v: weighted(torch.ones_like(v.log_pi), v),
    "tis": lambda v: weighted(ratio(v).clamp(max=2), v),
    "ionides": lambda v: weighted(
        ratio(v).clamp(max=(v.log_w.numel() ** 0.5 * ratio(v).mean()).item()), v
    ),
    "mis": lambda v: weighted(ratio(v) * ((ratio(v) >= 0.5) & (ratio(v) <= 2)), v),
    "topr": lambda v: weighted(torch.where(v.reward >= 0, 1.0, ratio(v).clamp(0, 1)), v),
    "cispo": lambda v: weighted(ratio(v).clamp(max=5.0), v),
    "p3o": p3o,
    "ppo": lambda v: clipped(ratio(v), v.reward, 0.2, 0.2),
    "sapo": sapo,
    "luffy": lambda v: (ratio(v) / (ratio(v) + 0.1) * v.reward).sum(),
    "gspo": lambda v: clipped((v.log_w / v.length).exp(), v.reward, 3e-4, 4e-4),
    "p_gspo": lambda v: ((v.log_w / v.length.sqrt()).exp() * v.reward).sum(),
    "gmpo": gmpo,
    "iw_sft": lambda v: weighted((v.log_w / v.length).exp().clamp(0.0, 16.0), v),
    "dft": lambda v: weighted(v.log_pi.exp(), v),
    "beyond_ll": lambda v: (-(1 - v.log_pi.exp()) * v.reward).sum(),
    "chord_phi": lambda v: weighted(v.log_pi.exp() * (1 - v.log_pi.exp()), v),
    "ix": lambda v: (v.log_pi.exp() / (v.log_mu.exp() + 0.1) * v.reward).sum(),
    "exponential_smoothing": lambda v: (v.log_pi.exp() / v.log_mu.exp() ** 0.5 * v.reward).sum(),
    "power_mean": lambda v: weighted((0.5 / ratio(v) + 0.5) ** -1, v),
    "sub_gaussian": lambda v: weighted(ratio(v) / (0.5 + 0.5 * ratio(v)), v),
    "dros": lambda v: weighted(ratio(v) / (ratio(v) ** 2 + 1), v),
    "vespo": vespo,
    "log_smoothing": log_smoothing,
    "log_sum_exp": log_sum_exp,
}

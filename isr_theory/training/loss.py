"""The loss of flattened importance weights: `ISReshapeLoss`, tensors in, loss and metrics out.

    gradient of -loss = mean over prompts of E_mu[f(w) r grad log pi] / E_mu[f(w)],   f(w) = w^gamma

by default: section 12.1 with what was found wanting there made right. Nothing but validation waits
for the device, sums are in float32 at least, and where a batch is cut into micro-batches or lies on
several ranks, `plan` sees all of it first, so that the parts add up to the loss of the whole:

    plan = loss.plan(log_pi.detach(), log_mu, rewards, over=Ranks())
    for part in parts:
        value, metrics = loss(*part, plan=plan)
        value.backward()
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from isr_theory.logspace import WHOLE, Shards
from isr_theory.training.agreement import agreed
from isr_theory.training.batch import Batch, check_shapes, named, prepare
from isr_theory.training.paper import paper_loss
from isr_theory.training.plan import make_plan
from isr_theory.training.settings import Settings
from isr_theory.training.update import (
    Plan,
    advantages,
    cells_of,
    coefficients,
    parameters,
    penalty,
)
from isr_theory.training.weight_function import held

Tensor = Any


@dataclass(frozen=True)
class ISReshapeLoss(Settings):
    """The loss, a function of tensors with the settings of `Settings`.

    (n,) tensors are log-probabilities of sequences; (n, tokens) those of tokens, of which `mask`
    keeps some: summed to sequences, unless the weight function weighs tokens itself, for which
    there must be tokens (an action that is one token is (n, 1)). `lengths` (n,) say how many
    tokens a sequence had where a function goes by that (`needs`) and log-probabilities are (n,).
    `rewards` (n,) are 1 where there are none; `groups` (n,) number the prompts from 0, all one by
    default. A group of one has the weight 1 whatever its w: gamma does nothing there.

    The metrics are tensors without a dimension, detached and on the device, of the whole batch
    that was planned: gamma, which where f has none is only what the rule would choose; ess_ratio,
    the ESS/n of w^gamma, w of whole sequences, that rho_min is about; ess_update, that of the
    weights with rewards, baselines and groups; sigma2, Var(log w) with divisor n; kl, the estimate
    -mean log w of KL(mu || pi); max_weight, the largest share of the update that one weight has;
    negative_share, the share of weights that push a sequence down, so that the target is no
    distribution; baseline_biased and dead_zone, see below; n; loss, of this part; finite, False
    where a number that matters is NaN or infinite.

    Two of them speak of the population, by E_mu[w grad log pi] = 0. baseline_biased: a "mean"
    baseline is set and f is not w, so that the expected gradient is another one. Where f is w the
    mean of n rewards, which has the sequence's own in it, only makes it 1 - 1/n times as large;
    normalised by the batch's own mean, it is moved by O(1/n) more, as it is without any baseline.
    dead_zone: f is w, by gamma = 1 or its key, and there are no rewards, or the batch's are all
    the same, so that the gradient has the mean 0 (claim DYN.deadzone; `rescale` is the way out
    where there are none), up to the same O(1/n) where it is normalised.
    In mode "paper" they are gamma, ess_ratio, sigma_sq, max_weight and finite.
    """

    def __call__(
        self,
        log_pi: Tensor,
        log_mu: Tensor,
        rewards: Tensor | None = None,
        mask: Tensor | None = None,
        groups: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        plan: Plan | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the metrics; with a plan, this part's share of the global loss.

        Raises TypeError and ValueError naming the argument that is wrong: shapes, types and what
        the settings or the plan have no use for always, and with `validate` a mask that leaves a
        row empty, rewards that are not finite or are negative with `reward_normaliser`, and group
        ids outside [0, n_groups).
        """
        if self.mode == "paper":
            return self._paper(log_pi, log_mu, rewards, mask, groups, lengths, plan)
        n_groups = None
        if plan is not None:
            if not isinstance(plan, Plan):
                raise TypeError(f"plan must be a Plan or None, not {type(plan).__name__}")
            plan.check(self, named(rewards, groups))
            n_groups = plan.n_groups
        given = (log_pi, log_mu, rewards, mask, groups, n_groups)
        batch = prepare(self, *given, lengths=lengths, may_be_empty=plan is not None)
        if plan is None:
            plan = make_plan(self, batch, WHOLE)
        value = _value(self, batch, plan)
        whole = plan.metrics
        finite = whole["finite"] & torch.isfinite(value.detach())
        return value, {**whole, "loss": value.detach(), "finite": finite}

    def plan(
        self,
        log_pi: Tensor,
        log_mu: Tensor,
        rewards: Tensor | None = None,
        mask: Tensor | None = None,
        groups: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        n_groups: int | None = None,
        over: Shards = WHOLE,
    ) -> Plan:
        """Return what the parts of a global batch share, from all of this process's sequences.

        `over=Ranks()` takes in those of all ranks, which must all call this, some perhaps with no
        sequence; group ids then are global, and `n_groups` says how many there are. Raises as the
        call does, and ValueError in mode "paper" and for a weight function that looks at the
        whole batch, which know no parts. With `validate` all ranks raise where one has to, or
        where they differ in n_groups, in their working type or in having rewards or groups;
        without it that is the caller's word, and a rank that raises leaves the others waiting.
        """
        if self.mode == "paper":
            raise ValueError("mode='paper' has no plan: its softmax is over the batch it is given")
        if "batch" in self.entry.needs:
            raise ValueError(
                f"weight={self.entry.key!r} has no plan: it looks at the whole batch itself, which"
                " therefore cannot be cut into parts"
            )
        shared = over is not WHOLE
        if shared and groups is not None and n_groups is None:
            raise ValueError("n_groups must be given where groups lie on several processes")
        given = (log_pi, log_mu, rewards, mask, groups, n_groups)
        whole = partial(prepare, self, *given, lengths=lengths, may_be_empty=shared)
        with torch.no_grad():
            batch = agreed(whole, log_pi, over) if shared and self.validate else whole()
            return make_plan(self, batch, over)

    def _paper(
        self,
        log_pi: Tensor,
        log_mu: Tensor,
        rewards: Tensor | None,
        mask: Tensor | None,
        groups: Tensor | None,
        lengths: Tensor | None,
        plan: Plan | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        unknown = {"mask": mask, "groups": groups, "lengths": lengths, "plan": plan}
        for name, given in unknown.items():
            if given is not None:
                raise ValueError(f"{name} must be None with mode='paper', which has none")
        check_shapes(log_pi, log_mu, rewards, None, None)
        if log_pi.ndim != 1:
            raise ValueError(f"log_pi must be (n,) with mode='paper', not {tuple(log_pi.shape)}")
        return paper_loss(self, log_pi, log_mu, rewards)


def _value(settings: Settings, batch: Batch, plan: Plan) -> Tensor:
    """Return the loss, its gradient in log pi the weights of `coefficients` with a minus."""
    factor, own, taken = coefficients(settings, batch, plan)
    if settings.form != "detached":
        gain = (factor * _power_form(settings, batch, plan)).sum()
    elif settings.entry.surrogate is None and batch.tokens is None:
        gain = held(factor * own, batch.log_pi).sum()
    else:
        advantage = advantages(settings, batch, plan.baseline)
        surrogate = settings.entry.differentiated(
            batch.view(advantage), parameters(settings, plan.gamma)
        )
        if batch.tokens is not None:
            surrogate = (surrogate * batch.tokens[2]).sum(-1)
        gain = (factor * surrogate).sum()
    if settings.baseline == "control":
        gain = gain - held(taken, batch.log_pi).sum()
    added = penalty(settings, batch, plan)
    return -gain if added is None else added - gain


def _power_form(settings: Settings, batch: Batch, plan: Plan) -> Tensor:
    """Return (w^gamma - 1)/gamma, log w at gamma = 0; or w^gamma itself. w is relative to `top`.

    The gradient of the first is w^gamma s in units of the cell's largest, as its normaliser is.
    """
    cell, _ = cells_of(settings, batch)
    log_w = batch.log_pi - batch.log_mu - plan.top[cell]
    log_w = torch.where(log_w == -torch.inf, 0.0, log_w)
    # (w^g - 1)/g is log w (1 + O(g log w)); below this gamma itself is rounded, or g log w.
    least = torch.finfo(log_w.dtype)
    zero = plan.gamma.abs() < least.tiny / least.eps
    if settings.form == "differentiated":
        return torch.exp(plan.gamma * log_w)
    power = torch.expm1(plan.gamma * log_w) / torch.where(zero, 1.0, plan.gamma)
    return torch.where(zero, log_w, power)

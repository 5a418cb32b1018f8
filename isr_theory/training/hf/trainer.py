"""`OffPolicyTrainer`: transformers' Trainer with `ISReshapeLoss` in the place of cross-entropy.

    loss of a step = ISReshapeLoss of the global batch: micro-batches times processes

gamma, normalisers and baselines are those of the global batch. With one micro-batch on each process
its own forward pass says all that has to be known, and short sums over the processes join them:
fourteen by default, about fifty where gamma is a root. With several micro-batches whose weights
depend on the batch, the batch is first looked through without gradients: one forward pass more,
about a third of a step. Fixed weights (gamma fixed or none, nothing normalised, no control variate)
need no such pass.

No step waits for the device: metrics are added up there and read at `logging_steps`, and the
Trainer's own NaN filter, which would wait, is switched off; the metric "finite" says more.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import Trainer, TrainingArguments

from isr_theory.logspace import WHOLE, Shards
from isr_theory.training.distributed import Ranks
from isr_theory.training.hf import checkpoints, levels
from isr_theory.training.hf.levels import Ratio
from isr_theory.training.hf.logprobs import response_log_probs
from isr_theory.training.hf.meter import Meter
from isr_theory.training.hf.reference import scored
from isr_theory.training.hf.rows import Responses, collate
from isr_theory.training.hf.sampler import WholeGroups
from isr_theory.training.loss import ISReshapeLoss
from isr_theory.training.update import Plan

Tensor = Any
Batch = Mapping[str, Tensor]
Rows = Responses | Iterable[Mapping[str, Any]]
# What Trainer takes and would not call here, and why.
_NOT_CALLED = {
    "compute_loss_func": "`loss` says what is minimised",
    "compute_metrics": "an evaluation has a loss and no predictions",
    "preprocess_logits_for_metrics": "an evaluation has a loss and no predictions",
}


class OffPolicyTrainer(Trainer):
    """Trains a causal LM on responses that another policy wrote.

    `train_dataset` and `eval_dataset` are rows as `Responses.of` takes them, or `Responses`; with
    groups, rows of a group stay together; `eval_dataset` may also be several by name, as may what
    `evaluate` is given. `loss` is any `ISReshapeLoss`, and `ratio` what its weight is a function of
    (see `levels`). `reference` says log mu where rows have none: a model, or "base" for the model
    with its LoRA adapter off; its numbers are kept in the output folder. `peft_config` wraps the
    model in an adapter. Anything else goes on to `transformers.Trainer`; `args` are copied, and
    `remove_unused_columns` and `logging_nan_inf_filter` switched off.

    The logs have the metrics of the loss as means over the steps logged. A loss is a mean over
    sequences of sums over tokens, so that `max_grad_norm` and learning rates of optimisers that
    are not invariant to scale have another size than with a mean over tokens. Dropout is as the
    model has it: log pi, and w with it, is then that of the network as it was drawn.

    An evaluation has the loss of each of its batches by itself, without dropout, and no
    predictions. Raises ValueError and TypeError for rows that are no use, for a weight that looks
    at the whole batch where the batch is cut up, for an encoder-decoder, for what would change the
    loss or the order of rows behind its back (label smoothing, `compute_loss_func`, sampling by
    length) or would never be called (`compute_metrics`), and `CheckpointError` for a checkpoint
    that is not whole.
    """

    # The loss of a micro-batch is its share of the loss of the whole.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        train_dataset: Rows,
        eval_dataset: Rows | Mapping[str, Rows] | None = None,
        *,
        loss: ISReshapeLoss | None = None,
        ratio: Ratio = "sequence",
        reference: Any | Literal["base"] | None = None,
        peft_config: Any = None,
        **more: Any,
    ) -> None:
        self.ratio = ratio
        self.loss = _without_waiting(levels.at_level(loss or ISReshapeLoss(), ratio))
        if peft_config is not None:
            from peft import get_peft_model

            model = get_peft_model(model, peft_config)
        args = copy.copy(args)
        args.remove_unused_columns = args.logging_nan_inf_filter = False
        _check_used(args, more)
        more.setdefault("data_collator", collate)
        # Without one it would refuse an `eval_strategy`.
        super().__init__(model, args, eval_dataset=eval_dataset, **more)
        # Older releases (5.17) see by this alone that a loss is scaled; it is never called.
        self.compute_loss_func = self.loss
        self._check_cut()
        self._meter = Meter()
        self._plan: Plan | None = None
        self._unplanned: list[Batch] = []
        self._pieces: list[tuple[Tensor, Batch]] | None = None
        self._awaited = 0
        self._order: WholeGroups | None = None
        self.train_dataset = self._rows(train_dataset, reference, "train")
        self.eval_dataset: Any
        if isinstance(eval_dataset, Mapping):
            self.eval_dataset = {
                name: self._rows(rows, reference, f"eval_{name}")
                for name, rows in eval_dataset.items()
            }
        elif eval_dataset is not None:
            self.eval_dataset = self._rows(eval_dataset, reference, "eval")

    @property
    def _over(self) -> Shards:
        """All processes, whose gradients are averaged."""
        return Ranks(averaged=True) if self.args.world_size > 1 else WHOLE

    @property
    def _parts_differ(self) -> bool:
        """Whether what a sequence counts for depends on others' log-probabilities."""
        loss = self.loss
        chosen = loss.uses_gamma and loss.gamma is None
        return chosen or loss.normalised != "none" or loss.baseline == "control"

    def _check_cut(self) -> None:
        """Raise ValueError where the loss cannot be that of a batch in pieces."""
        if self.args.n_gpu > 1:
            raise ValueError(
                f"{self.args.n_gpu} GPUs in one process: start one process each, by `accelerate"
                " launch`, or show it one GPU"
            )
        if not (self.loss.mode == "paper" or "batch" in self.loss.entry.needs):
            return
        if levels.by_groups(self.loss):
            raise ValueError(
                f"weight={self.loss.entry.key!r} looks at the whole batch and knows no groups, as"
                f" normalisation={self.loss.normalised!r} and baseline={self.loss.baseline!r} do"
            )
        for name, parts in (
            ("gradient_accumulation_steps", self.args.gradient_accumulation_steps),
            ("processes", self.args.world_size),
        ):
            if parts > 1:
                raise ValueError(
                    f"{name} must be 1 with mode={self.loss.mode!r} and"
                    f" weight={self.loss.entry.key!r}, which look at the whole batch themselves,"
                    f" not {parts}"
                )

    def _rows(self, given: Any, reference: Any, name: str) -> Responses:
        """Return checked rows with log mu."""
        config = getattr(self.model, "config", None)
        if getattr(config, "is_encoder_decoder", False):
            raise ValueError(
                f"model must be a causal LM, not the encoder-decoder {type(self.model).__name__}"
            )
        fit: dict[str, Any] = {
            "vocabulary": _vocabulary(self.model),
            "context": getattr(config, "max_position_embeddings", None),
            "rewarded": not self.loss.rescale,
        }
        if isinstance(given, Responses):
            given.check_fit(**fit)
        rows = given if isinstance(given, Responses) else Responses.of(given, **fit)
        if self.loss.reward_normaliser and any((row.reward or 0.0) < 0 for row in rows.rows):
            raise ValueError("rewards must be at least 0 with reward_normaliser=True")
        if rows.scored:
            return rows
        if reference is None:
            raise ValueError(
                "rows have no column 'log_mu' and reference is None: give the log-probabilities of"
                " the policy that wrote the responses, or a model that stands for it (rows for"
                " `evaluate` and `predict` are filled in by `scored`)"
            )
        return self._scored(rows, reference, Path(self.args.output_dir) / f"log_mu_{name}")

    def _scored(self, rows: Responses, reference: Any, folder: Path) -> Responses:
        """Return rows with log mu by the reference, which goes back to where it was."""
        base = isinstance(reference, str)
        if base and (reference != "base" or not hasattr(self.model, "disable_adapter")):
            raise ValueError(
                "reference must be a model, or 'base' where the model has an adapter of peft, not"
                f" {reference!r}"
            )
        model = self.model if base else reference
        home = next(model.parameters()).device
        try:
            with model.disable_adapter() if base else contextlib.nullcontext():
                return scored(
                    rows,
                    model.to(self.args.device),
                    batch_size=self.args.per_device_eval_batch_size,
                    device=self.args.device,
                    autocast=self.accelerator.autocast,
                    folder=folder,
                    frozen_only=base,
                )
        finally:
            model.to(home)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if not self._grouped(rows) or self.args.train_sampling_strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self._order = WholeGroups([row.group or 0 for row in rows.rows], seed)
        return self._order

    def _grouped(self, rows: Any) -> bool:
        return levels.by_groups(self.loss) and rows.n_groups is not None

    def get_eval_dataloader(self, eval_dataset: str | Rows | None = None) -> Any:
        """Return batches of rows for an evaluation; rows are checked as those for training are."""
        checked = eval_dataset is None or eval_dataset is self.eval_dataset
        if not checked and not isinstance(eval_dataset, str):
            eval_dataset = self._rows(eval_dataset, None, "eval")
        return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Rows) -> Any:
        """Return batches of rows for `predict`, checked as those for training are."""
        return super().get_test_dataloader(self._rows(test_dataset, None, "test"))

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: Any
    ) -> tuple[list[Any], Any]:
        """Return the micro-batches of one step."""
        if self._order is not None:
            # accelerate tells of epochs too, but of none that is resumed on several processes. It
            # is the epoch's first batch that draws the order.
            self._order.set_epoch(int(self.state.epoch or 0))
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if batches:
            batches[-1] = self._without_repeats(batches[-1])
        self._plan, self._pieces = None, None
        self._unplanned = batches if len(batches) > 1 else []
        return batches, items

    def _without_repeats(self, batch: Batch) -> Batch:
        """Say how many rows are to count where accelerate has filled up the last batch.

        It does so on several processes with rows from the beginning of the epoch, and keeps no
        count of them in an epoch that was resumed.
        """
        state, n = self.accelerator.gradient_state, len(batch["input_ids"])
        filled = self.accelerator.even_batches and not self.args.dataloader_drop_last
        if self.args.world_size == 1 or not (filled and state.end_of_dataloader):
            return batch
        left = len(state.active_dataloader.dataset) % (n * self.args.world_size)
        if not left:
            return batch
        return {**batch, "own": min(max(left - n * self.args.process_index, 0), n)}

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> Tensor:
        """Train on one micro-batch; before the first of several, look through them all.

        It is here that a run which was resumed within an epoch has its random state back.
        """
        if self._unplanned:
            model.train()
            if callable(getattr(self.optimizer, "train", None)):
                self.optimizer.train()
            batches, self._unplanned = self._unplanned, []
            self._plan_ahead([self._prepare_inputs(batch) for batch in batches])
        return super().training_step(model, inputs, num_items_in_batch)

    def _plan_ahead(self, batches: Sequence[Batch]) -> None:
        """Plan a step of several micro-batches before the first of them."""
        if not self._parts_differ:
            # Nothing of log pi enters such a plan; its metrics have to wait for the last part.
            dtype = torch.promote_types(next(self.model.parameters()).dtype, torch.float32)
            plan = self._planned([_counted(batch["log_mu"].to(dtype), batch) for batch in batches])
            self._plan, self._pieces, self._awaited = plan, [], len(batches)
            return
        model = self.accelerator.unwrap_model(self.model_wrapped, keep_torch_compile=True)
        device = torch.device(self.args.device)
        # Whatever is random in the model, dropout, is to be the same when the parts are trained on.
        devices = [device] if device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices),
            torch.no_grad(),
            self.compute_loss_context_manager(),
        ):
            pieces = [_counted(response_log_probs(model, batch), batch) for batch in batches]
        self._plan = self._planned(pieces)
        self._meter.add(levels.logged(self._plan.metrics, self.ratio))

    def _planned(self, pieces: Sequence[tuple[Tensor, Batch]]) -> Plan:
        """Return the plan of all micro-batches on all processes."""
        width = max(log_pi.shape[1] for log_pi, _ in pieces)
        log_pi = torch.cat([_wide(part, width) for part, _ in pieces])
        whole = {
            name: torch.cat([_wide(batch[name], width) for _, batch in pieces])
            for name in ("log_mu", "mask", "reward", "group")
            if name in pieces[0][1]
        }
        given = levels.arguments(self.loss, self.ratio, log_pi.detach(), whole)
        n_groups = self.train_dataset.n_groups if self._grouped(self.train_dataset) else None
        over = self._over
        return self.loss.plan(**given, n_groups=n_groups, over=over)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return this micro-batch's share of the loss of the global batch."""
        log_pi, inputs = _counted(response_log_probs(model, inputs), inputs)
        plan = self._plan
        if plan is None and (self._over is not WHOLE or self._grouped(self.train_dataset)):
            plan = self._planned([(log_pi, inputs)])
        value, metrics = self._value(log_pi, inputs, plan)
        if self._pieces is not None:
            self._pieces.append((log_pi.detach(), inputs))
            if len(self._pieces) == self._awaited:
                metrics = self._planned(self._pieces).metrics
                self._meter.add(levels.logged(metrics, self.ratio))
                self._pieces = None
        elif self._plan is None:
            self._meter.add(levels.logged(metrics, self.ratio))
        return (value, {"log_pi": log_pi}) if return_outputs else value

    def _value(self, log_pi: Tensor, batch: Batch, plan: Plan | None) -> Any:
        given = levels.arguments(self.loss, self.ratio, log_pi, batch)
        return self.loss(**given, plan=plan)

    def prediction_step(
        self,
        model: Any,
        inputs: Batch,
        prediction_loss_only: bool,
        ignore_keys: Any = None,
    ) -> tuple[Any, None, None]:
        """Return the loss of one batch of the evaluation by itself."""
        batch = self._prepare_inputs(self._without_repeats(inputs))
        with torch.no_grad(), self.compute_loss_context_manager():
            log_pi = response_log_probs(model, batch)
            if batch.get("own") != 0:
                # The loss of a batch of repeats alone is left out by the Trainer.
                log_pi, batch = _counted(log_pi, batch)
            if "group" in batch:
                _, local = torch.unique(batch["group"], return_inverse=True)
                batch = {**batch, "group": local}
            value, _ = self._value(log_pi, batch, None)
        return value.detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, the metrics of the loss beside the training loss."""
        more = self._meter.read() if "loss" in logs else {}
        super().log({**logs, **more}, start_time)

    def train(self, resume_from_checkpoint: str | bool | None = None, **more: Any) -> Any:
        """Train; `resume_from_checkpoint=True` goes on from the newest checkpoint that is whole."""
        self._meter = Meter()
        if resume_from_checkpoint is True:
            found = checkpoints.newest_whole(Path(self.args.output_dir))
            if found is None:
                raise checkpoints.CheckpointError(
                    f"resume_from_checkpoint=True, but {self.args.output_dir} has no whole"
                    " checkpoint"
                )
            resume_from_checkpoint = str(found)
        elif resume_from_checkpoint:
            checkpoints.check(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint or None, **more)


def _without_waiting(loss: ISReshapeLoss) -> ISReshapeLoss:
    """Return the loss that does not look at values, which rows have been checked for."""
    return replace(loss, validate=False) if loss.validate else loss


def _check_used(args: TrainingArguments, more: Mapping[str, Any]) -> None:
    """Raise ValueError for what Trainer takes and this one would not heed."""
    for name, why in _NOT_CALLED.items():
        if more.get(name) is not None:
            raise ValueError(f"{name} must be None: {why}")
    if args.label_smoothing_factor:
        raise ValueError(
            f"label_smoothing_factor must be 0, not {args.label_smoothing_factor}: the loss is of"
            " the tokens that were sampled"
        )
    if args.train_sampling_strategy not in ("random", "sequential"):
        raise ValueError(
            "train_sampling_strategy must be 'random' or 'sequential', not"
            f" {args.train_sampling_strategy!r}: rows of one group stay together"
        )


def _counted(log_pi: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """Return log pi (n, k) and the batch without rows that are there a second time."""
    own = batch.get("own")
    if own is None:
        return log_pi, batch
    return log_pi[:own], {name: part[:own] for name, part in batch.items() if name != "own"}


def _vocabulary(model: Any) -> int | None:
    """Return how many ids a model takes."""
    table = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    rows = getattr(table, "num_embeddings", None)
    return None if rows is None else int(rows)


def _wide(part: Tensor, width: int) -> Tensor:
    """Return rows padded with 0 to a width; one number a row is left alone."""
    return part if part.ndim == 1 else torch.nn.functional.pad(part, (0, width - part.shape[1]))

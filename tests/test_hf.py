"""The trainer of language models: against the loss by hand, in pieces, on processes, killed."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_lm
import torch
from safetensors import SafetensorError
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import T5Config, T5ForConditionalGeneration

from isr_theory.training import ISReshapeLoss
from isr_theory.training.hf import (
    CheckpointError,
    OffPolicyTrainer,
    Responses,
    collate,
    levels,
    logprobs,
    newest_whole,
    reference,
    response_log_probs,
    token_log_probs,
)
from isr_theory.training.hf import trainer as trainer_module
from isr_theory.training.hf.sampler import WholeGroups

torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent

# Log-probabilities of order 3 from sums of some tens of terms, gradients of a few hundred of them,
# in float64, over at most four steps of SGD: a few thousand roundings of numbers of order 1.
TOLERANCE = 1e-12


def trained(folder, rows=None, model=None, loss=None, args=None, **more):
    """A trainer that has trained, and its model's parameters."""
    trainer = OffPolicyTrainer(
        model or tiny_lm.model(),
        tiny_lm.arguments(folder, **(args or {})),
        rows or tiny_lm.rows(),
        loss=loss,
        **more,
    )
    trainer.train()
    return trainer, parameters(trainer.model)


def parameters(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def history(trainer):
    return [entry for entry in trainer.state.log_history if "gamma" in entry]


def row_by_row(model, rows):
    """Token log-probabilities by a log-softmax of every row alone, unpadded."""
    found = []
    for row in rows:
        prompt, response = row["prompt_ids"], row["response_ids"]
        ids = torch.tensor([prompt + response])
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        found.append(logits.log_softmax(-1)[torch.arange(len(response)), torch.tensor(response)])
    return found


def padded(parts):
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


class TestLogProbs:
    def test_they_are_those_of_a_log_softmax_and_so_is_the_gradient(self):
        torch.manual_seed(0)
        logits = 3 * torch.randn(3, 5, 11, dtype=torch.float64)
        targets, weight = torch.randint(0, 11, (3, 5)), torch.randn(3, 5, dtype=torch.float64)
        ours, plain = (logits.clone().requires_grad_(True) for _ in range(2))
        value = token_log_probs(ours, targets)
        expected = plain.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
        (value * weight).sum().backward()
        (expected * weight).sum().backward()
        # Sums of eleven exponentials, once each.
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-14)
        torch.testing.assert_close(ours.grad, plain.grad, rtol=0, atol=1e-14)

    def test_narrow_logits_are_summed_in_float32(self):
        torch.manual_seed(0)
        narrow = torch.randn(2, 300, dtype=torch.bfloat16, requires_grad=True)
        value = token_log_probs(narrow, torch.tensor([0, 7]))
        wide = narrow.detach().float().log_softmax(-1)[[0, 1], [0, 7]]
        value.sum().backward()
        assert value.dtype == torch.float32
        assert narrow.grad.dtype == torch.bfloat16
        # Eight digits of float32 and the sum of 300 terms.
        torch.testing.assert_close(value, wide, rtol=0, atol=1e-5)

    def test_gradients_of_single_samples_by_vmap(self):
        torch.manual_seed(0)
        logits, targets = torch.randn(4, 3, 6), torch.randint(0, 6, (4, 3))

        def total(z, y):
            return token_log_probs(z, y).sum()

        each = torch.func.vmap(torch.func.grad(total))(logits, targets)
        expected = torch.nn.functional.one_hot(targets, 6) - logits.softmax(-1)
        torch.testing.assert_close(each, expected, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("keeps", [True, False])
    def test_a_padded_batch_is_its_rows_alone(self, keeps, monkeypatch):
        model, rows = tiny_lm.model(), tiny_lm.rows(6, group=2)
        if not keeps:
            monkeypatch.setattr(
                model, "forward", lambda input_ids: type(model).forward(model, input_ids)
            )
        batch = collate(Responses.of(rows).rows)
        found = response_log_probs(model, batch)
        for own, kept, expected in zip(found, batch["mask"], row_by_row(model, rows), strict=True):
            torch.testing.assert_close(own[kept], expected, rtol=0, atol=TOLERANCE)

    def test_wrappers_do_not_hide_that_logits_can_be_kept_back(self):
        model = tiny_lm.model()
        for wrapped in (torch.nn.DataParallel(model), torch.compile(model, backend="eager")):
            assert "logits_to_keep" in logprobs._arguments(wrapped)


BAD_ROWS = {
    "no prompt": ({"prompt_ids": None}, "no column 'prompt_ids': found"),
    "no reward": ({"reward": None}, "no column 'reward': found"),
    "empty response": ({"response_ids": [], "log_mu": []}, "response_ids is empty"),
    "empty prompt": ({"prompt_ids": []}, "prompt_ids is empty"),
    "length": ({"log_mu": [-1.0]}, "one number a token of the response, 2"),
    "nan": ({"log_mu": [-1.0, float("nan")]}, r"log_mu\[1\] is nan"),
    "minus infinity": ({"log_mu": [float("-inf"), -1.0]}, r"log_mu\[0\] is -inf"),
    "sign": ({"log_mu": [1.5, -1.0]}, r"log_mu\[0\] is 1.5: a log-probability is at most 0"),
    "vocabulary": ({"response_ids": [3, 24]}, "has the id 24, but the model's vocabulary has 24"),
    "negative id": ({"prompt_ids": [-100, 1]}, "has the id -100"),
    "nested": ({"response_ids": [[1, 2]]}, "must be one list of ids"),
    "reward": ({"reward": float("inf")}, "reward is inf"),
    "context": ({"prompt_ids": [1] * 15}, r"15 \+ 2 tokens of prompt and response"),
    "too large": ({"reward": 1e39}, "reward is 1e"),
    "too small": ({"log_mu": [-1.0, -1e39]}, r"log_mu\[1\] is -1e"),
    "ragged": ({"response_ids": [[1], [1, 2]]}, "response_ids must be one list of ids"),
    "some log_mu": ({"log_mu": None}, r"rows\[1\] has no log_mu, but rows\[0\] does"),
    "some group": ({"group": None}, r"rows\[1\] has no group"),
}
GOOD = {
    "prompt_ids": [1, 2],
    "response_ids": [3, 4],
    "reward": 1.0,
    "log_mu": [-1.0, -2.0],
    "group": 7,
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named(name, tmp_path):
    changed, said = BAD_ROWS[name]
    rows = [GOOD, {**GOOD, **changed}]
    with pytest.raises(ValueError, match=r"rows\[1\]") as raised:
        OffPolicyTrainer(tiny_lm.model(), tiny_lm.arguments(tmp_path), rows)
    assert raised.match(said)


def test_rows_that_were_read_for_another_model_are_refused(tmp_path):
    rows = Responses.of([{**GOOD, "response_ids": [3, 30]}])
    with pytest.raises(ValueError, match="the log was written with another vocabulary"):
        OffPolicyTrainer(tiny_lm.model(), tiny_lm.arguments(tmp_path), rows)


def test_kinds_that_are_wrong_are_type_errors():
    for changed, said in (
        ({"prompt_ids": [0.5]}, "must be integers"),
        ({"group": 0.5}, "must be an integer"),
        ({"group": float("nan")}, "must be an integer, not nan"),
        ({"group": "seven"}, "must be an integer, not 'seven'"),
        ({"reward": "much"}, "reward must be a number"),
        ({"reward": [1.0, 2.0]}, "reward must be a number"),
        ({"log_mu": ["a", "b"]}, "log_mu must be numbers"),
    ):
        with pytest.raises(TypeError, match=rf"rows\[0\]\..*{said}"):
            Responses.of([{**GOOD, **changed}])
    with pytest.raises(TypeError, match="mapping of columns, not list"):
        Responses.of([[1, 2]])
    with pytest.raises(ValueError, match="rows is empty"):
        Responses.of([])


LOSSES = {
    "default": ({}, {}),
    "exact, control": ({"method": "exact", "baseline": "control", "rho_min": 0.8}, {}),
    "reward normaliser": ({"rho_min": 0.8, "reward_normaliser": True}, {}),
    "batch": ({"rho_min": 0.8, "normalisation": "batch"}, {}),
    "fixed, mean": ({"gamma": 0.5, "baseline": "mean", "normalisation": "none"}, {}),
    "tokens": ({"weight": "tis"}, {}),
    "by length": ({"weight": "gspo"}, {}),
    "length": ({"rho_min": 0.95}, {"ratio": "length"}),
    "token": ({"gamma": 0.5}, {"ratio": "token"}),
}


def by_hand(model, rows, settings, ratio="sequence"):
    """Loss and gradient of one batch, from rows alone and the definition of the ratio."""
    loss = ISReshapeLoss(**settings)
    log_pi = row_by_row(model, rows)
    log_mu = [torch.tensor(row["log_mu"]).double() for row in rows]
    rewards = torch.tensor([row["reward"] for row in rows]).double()
    _, groups = torch.unique(torch.tensor([row["group"] for row in rows]), return_inverse=True)
    if ratio == "sequence":
        mask = padded([torch.ones_like(part) for part in log_pi])
        more = {"groups": groups} if loss.uses_groups else {}
        value, metrics = loss(padded(log_pi), padded(log_mu), rewards, mask, **more)
    elif ratio == "length":
        mean_w = torch.stack(
            [(pi.detach() - mu).mean() for pi, mu in zip(log_pi, log_mu, strict=True)]
        )
        # Normalised weights f, held, of the mean log-ratio.
        zeros = torch.zeros_like(mean_w).requires_grad_(True)
        own, metrics = loss(zeros + mean_w, torch.zeros_like(mean_w), rewards, groups=groups)
        (weight,) = torch.autograd.grad(own, zeros)
        value = (weight * torch.stack([part.sum() for part in log_pi])).sum()
    else:
        gain, totals = [], {}
        for i, (pi, mu) in enumerate(zip(log_pi, log_mu, strict=True)):
            weight = ((pi.detach() - mu) * loss.gamma).exp()
            gain.append((groups[i], rewards[i] * (weight * pi).sum(), weight))
            totals.setdefault(int(groups[i]), []).append(weight)
        value, metrics = 0.0, {}
        for group, each, _ in gain:
            mean = torch.cat(totals[int(group)]).mean()
            value = value - each / mean / len(totals[int(group)]) / len(totals)
    value.backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    model.zero_grad()
    return value.detach(), gradient, metrics


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_is_that_of_the_loss_by_hand(name, tmp_path):
    settings, more = LOSSES[name]
    rows = tiny_lm.rows(8)
    model = tiny_lm.model()
    before = parameters(model)
    value, gradient, metrics = by_hand(model, _rounded(rows), settings, **more)
    args = {"max_steps": 1, "learning_rate": 0.5}
    trainer, after = trained(tmp_path, rows, model, ISReshapeLoss(**settings), args, **more)
    torch.testing.assert_close(after, before - 0.5 * gradient, rtol=0, atol=TOLERANCE)
    (logged,) = history(trainer)
    # The Trainer adds losses up in float32, as the meter does the metrics.
    assert logged["loss"] == pytest.approx(float(value), rel=1e-6)
    assert not trainer.loss.validate
    for key, own in metrics.items():
        if key in logged and key != "loss":
            assert logged[key] == pytest.approx(float(own), rel=1e-6), key
    assert ("dead_zone" in logged) == (more.get("ratio") != "length")


def _rounded(rows):
    """Rows with log mu and rewards as float32 holds them, in which batches travel."""
    return [
        {
            **row,
            "log_mu": np.float32(row["log_mu"]).tolist(),
            "reward": float(np.float32(row["reward"])),
        }
        for row in rows
    ]


@pytest.mark.parametrize("pieces", [1, 4])
@pytest.mark.parametrize("ratio", ["sequence", "token", "length"])
def test_a_step_is_the_gradient_of_a_sum_over_all_responses(ratio, pieces, tmp_path):
    # mu w^g r grad log pi = grad (mu r w^g) / g, in which nothing is held; likewise for the tokens
    # of y, and with g/L in the place of g.
    gamma, rng = 0.4, np.random.default_rng(0)
    responses = [[a] for a in range(3)] + [[a, b] for a in range(3) for b in range(3)]
    rows = []
    for response in responses:
        log_mu = np.log(rng.uniform(0.05, 0.9, len(response)))
        mu_r = np.exp(log_mu.sum()) * rng.normal()
        rows.append(
            {
                "prompt_ids": [5, 7],
                "response_ids": response,
                "log_mu": log_mu.tolist(),
                "reward": len(responses) * mu_r,
            }
        )
    model = tiny_lm.model()
    before, total = parameters(model), 0.0
    for row, log_pi in zip(_rounded(rows), row_by_row(model, rows), strict=True):
        log_w = log_pi - torch.tensor(row["log_mu"], dtype=torch.float64)
        power = {
            "sequence": (gamma * log_w.sum()).exp() / gamma,
            "token": (gamma * log_w).exp().sum() / gamma,
            "length": (gamma * log_w.mean()).exp() / (gamma / len(log_w)),
        }
        total = total + row["reward"] / len(rows) * power[ratio]
    total.backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    model.zero_grad()
    loss = ISReshapeLoss(gamma=gamma, normalisation="none")
    args = {"max_steps": 1, "learning_rate": 0.5, "gradient_accumulation_steps": pieces}
    args["per_device_train_batch_size"] = len(rows) // pieces
    _, after = trained(tmp_path, rows, model, loss, args, ratio=ratio)
    torch.testing.assert_close(after, before + 0.5 * gradient, rtol=0, atol=TOLERANCE)


PIECES = {
    "looked through first": {"rho_min": 0.8, "method": "exact"},
    "fixed weights": {"weight": "tis"},
    "fixed gamma, mean": {"gamma": 0.5, "baseline": "mean", "normalisation": "none"},
}


@pytest.mark.parametrize("name", PIECES)
def test_micro_batches_make_the_step_of_the_whole_batch(name, tmp_path):
    loss = ISReshapeLoss(**PIECES[name])
    whole, expected = trained(tmp_path / "whole", loss=loss)
    cut = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    pieces, found = trained(tmp_path / "pieces", loss=loss, args=cut)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    for one, other in zip(history(pieces), history(whole), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_batch_is_looked_through_only_where_weights_depend_on_it(tmp_path, monkeypatch):
    calls = []
    plain = trainer_module.response_log_probs
    monkeypatch.setattr(
        trainer_module, "response_log_probs", lambda *given: calls.append(1) or plain(*given)
    )
    cut = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "max_steps": 1}
    for settings, passes in ((PIECES["looked through first"], 8), (PIECES["fixed weights"], 4)):
        calls.clear()
        trained(tmp_path, loss=ISReshapeLoss(**settings), args=cut)
        assert len(calls) == passes


def test_dropout_is_the_same_when_a_batch_is_looked_through_and_trained_on(tmp_path, monkeypatch):
    seen = []
    plain = trainer_module.response_log_probs

    def kept(model, batch):
        seen.append(plain(model, batch))
        return seen[-1]

    monkeypatch.setattr(trainer_module, "response_log_probs", kept)
    cut = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 1}
    trained(tmp_path, model=tiny_lm.model(attention_dropout=0.5), args=cut)
    ahead, later = seen[:2], seen[2:]
    for one, other in zip(ahead, later, strict=True):
        assert torch.equal(one, other.detach())
    # Dropout was on, or this would say nothing.
    silent = trained(tmp_path, model=tiny_lm.model(), args=cut)
    assert silent is not None
    assert not torch.equal(seen[0], seen[4])


@pytest.mark.parametrize("grouped", [True, False])
def test_dropout_is_the_same_in_a_run_that_was_resumed_within_an_epoch(grouped, tmp_path):
    rows = [{k: v for k, v in row.items() if grouped or k != "group"} for row in tiny_lm.rows()]
    args = {"save_strategy": "steps", "save_steps": 2, "max_steps": 5}
    args |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    whole, expected = trained(tmp_path, rows, tiny_lm.model(attention_dropout=0.5), args=args)
    again = OffPolicyTrainer(
        tiny_lm.model(attention_dropout=0.5), tiny_lm.arguments(tmp_path, **args), rows
    )
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert torch.equal(parameters(again.model), expected)
    assert history(again) == history(whole)


class TwoFaced(torch.optim.SGD):
    """An optimiser whose parameters are others in an evaluation, as those without schedules are."""

    training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False


def test_a_batch_is_looked_through_with_the_parameters_that_are_trained(tmp_path, monkeypatch):
    model = tiny_lm.model()
    optimizer = TwoFaced(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    seen, plain = [], trainer_module.response_log_probs

    def noted(model, batch):
        seen.append((model.training, optimizer.training))
        return plain(model, batch)

    monkeypatch.setattr(trainer_module, "response_log_probs", noted)
    args = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 2}
    args |= {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 8}
    more = {"eval_dataset": tiny_lm.rows(8, seed=3), "optimizers": (optimizer, schedule)}
    trained(tmp_path, model=model, args=args, **more)
    assert seen == 2 * (4 * [(True, True)] + [(False, False)])


def launched(folder, processes, settings):
    """A run by `accelerate launch` on several CPU processes, joined by gloo."""
    folder.mkdir()
    # With --cpu accelerate would start them by MPI; the devices are the script's own choice.
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    command += ["--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--num_cpu_threads_per_process", "1", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", str(ROOT / "tests" / "tiny_lm.py"), str(folder)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, json.dumps(settings)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    end = torch.load(folder / "end.pt", weights_only=True)
    return end, json.loads((folder / "history.json").read_text(encoding="utf-8"))


def test_two_processes_are_one(tmp_path):
    # Micro-batches of 3 rows, two a step on each of two processes: the same 12 rows as one batch.
    # The 32 of an epoch are no multiple of that, so that its last batch is filled up with rows
    # that are there already: on the first process one of three, on the second all three. accelerate
    # does not know how many in an epoch that is resumed, so that the run goes through it twice.
    settings = {
        "loss": {"rho_min": 0.8, "baseline": "control", "method": "exact"},
        "unscored": True,
        "evaluated": 10,
        "again": "checkpoint-1",
        "args": {
            "save_strategy": "steps",
            "save_steps": 1,
            "per_device_eval_batch_size": 4,
            "per_device_train_batch_size": 3,
            "gradient_accumulation_steps": 2,
            "ddp_backend": "gloo",
            "ddp_find_unused_parameters": False,
        },
    }
    end, logged = launched(tmp_path / "two", 2, settings)
    trainer, _ = trained(
        tmp_path / "one",
        tiny_lm.rows(unscored=True),
        loss=ISReshapeLoss(**settings["loss"]),
        args={"per_device_train_batch_size": 12, "per_device_eval_batch_size": 4},
        reference=tiny_lm.model(seed=1),
    )
    for name, expected in trainer.model.state_dict().items():
        torch.testing.assert_close(end[name], expected, rtol=0, atol=TOLERANCE)
    for one, other in zip(logged, history(trainer), strict=True):
        # The learning rate is the same; the meter, and the sum of the losses, are in float32.
        assert one == pytest.approx(other, abs=1e-5)
    found = json.loads((tmp_path / "two" / "eval.json").read_text(encoding="utf-8"))
    expected = trainer.evaluate(tiny_lm.rows(10, seed=3))["eval_loss"]
    # Gathered in float32.
    assert found == pytest.approx(expected, rel=1e-6)


# Four steps are an epoch.
SAVING = {"save_strategy": "steps", "save_steps": 2, "max_steps": 9, "optim": "adamw_torch"}


def test_after_a_kill_the_run_ends_as_if_there_had_been_none(tmp_path):
    _, expected = trained(tmp_path / "whole", args=SAVING)
    killed = tmp_path / "killed"
    killed.mkdir()
    settings = json.dumps({"args": SAVING, "kill": 7})
    command = [sys.executable, str(ROOT / "tests" / "tiny_lm.py"), str(killed), settings]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=300)
    assert done.returncode == -9, done.stderr
    # As if it had been killed while it wrote the next one.
    torn = killed / "checkpoint-8"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(
        (killed / "checkpoint-6" / "model.safetensors").read_bytes()[:1000]
    )
    assert newest_whole(killed) == killed / "checkpoint-6"
    trainer = OffPolicyTrainer(
        tiny_lm.model(seed=5), tiny_lm.arguments(killed, **SAVING), tiny_lm.rows()
    )
    trainer.train(resume_from_checkpoint=True)
    assert torch.equal(parameters(trainer.model), expected)
    assert history(trainer)[-1]["step"] == 9


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with checkpoints 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("saved")
    trained(folder, args={**SAVING, "max_steps": 6})
    return folder


DAMAGE = {
    "model.safetensors": "has a broken model.safetensors",
    "optimizer.pt": "has a broken optimizer.pt",
    "scheduler.pt": "has a broken scheduler.pt",
    "rng_state.pth": "has a broken rng_state.pth",
    "trainer_state.json": "has a broken trainer_state.json",
}


def resumed(folder, checkpoint):
    args = tiny_lm.arguments(folder, **SAVING)
    trainer = OffPolicyTrainer(tiny_lm.model(), args, tiny_lm.rows())
    trainer.train(resume_from_checkpoint=checkpoint)


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_corrupt_checkpoint_is_refused_and_left_alone(name, how, saved):
    path = saved / "checkpoint-4" / name
    content = path.read_bytes()
    try:
        if how == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.unlink()
        said = DAMAGE[name] if how == "cut" else "has no"
        with pytest.raises(CheckpointError, match=said) as raised:
            resumed(saved, str(path.parent))
        assert raised.match("whole are checkpoint-6, checkpoint-2")
        assert sorted(p.name for p in saved.glob("checkpoint-*")) == [
            "checkpoint-2",
            "checkpoint-4",
            "checkpoint-6",
        ]
    finally:
        path.write_bytes(content)


def test_a_flipped_bit_of_the_optimisers_state_is_seen(saved):
    path = saved / "checkpoint-4" / "optimizer.pt"
    content = path.read_bytes()
    try:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(CheckpointError, match=r"broken optimizer\.pt .*checksum"):
            resumed(saved, str(path.parent))
    finally:
        path.write_bytes(content)


def test_weights_in_several_files_have_to_be_all_there(saved, tmp_path):
    folder = tmp_path / "checkpoint-4"
    shutil.copytree(saved / "checkpoint-4", folder)
    (folder / "model.safetensors").unlink()
    tiny_lm.model().save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert newest_whole(tmp_path) == folder
    shards[1].unlink()
    with pytest.raises(CheckpointError, match=f"has no {shards[1].name}, which model"):
        resumed(tmp_path, str(folder))
    (folder / "model.safetensors.index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"has a broken model\.safetensors\.index"):
        resumed(tmp_path, str(folder))


def test_what_is_no_checkpoint_is_refused(saved, tmp_path):
    with pytest.raises(CheckpointError, match="is no folder; there is no other that is whole"):
        resumed(saved, str(tmp_path / "checkpoint-3"))
    with pytest.raises(CheckpointError, match="has no whole checkpoint"):
        resumed(tmp_path, True)


def test_a_checkpoint_cannot_run_code(saved, monkeypatch):
    asked = []
    plain = torch.load

    def load(*given, **more):
        asked.append(more.get("weights_only"))
        return plain(*given, **more)

    monkeypatch.setattr(torch, "load", load)
    resumed(saved, str(saved / "checkpoint-2"))
    # Optimiser, scheduler and random state.
    assert asked == [True] * len(asked)
    assert len(asked) >= 3

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(saved / "run"),)

    path = saved / "checkpoint-4" / "optimizer.pt"
    content = path.read_bytes()
    try:
        torch.save({"state": Evil()}, path)
        with pytest.raises(pickle.UnpicklingError, match=r"[Ww]eights"):
            resumed(saved, str(saved / "checkpoint-4"))
        assert not (saved / "run").exists()
    finally:
        path.write_bytes(content)


class TestReference:
    def test_it_says_log_mu_once(self, tmp_path, monkeypatch):
        rows, other = tiny_lm.rows(6, unscored=True), tiny_lm.model(seed=1)
        other.train()

        def make(rows=rows, other=other):
            return OffPolicyTrainer(
                tiny_lm.model(), tiny_lm.arguments(tmp_path), rows, reference=other
            ).train_dataset

        first = make()
        assert other.training
        for row, expected in zip(first.rows, row_by_row(other, rows), strict=True):
            torch.testing.assert_close(
                torch.tensor(row.log_mu), expected.detach(), rtol=0, atol=TOLERANCE
            )
        with monkeypatch.context() as patch:
            patch.setattr(reference, "response_log_probs", None)
            again = make()
            for one, two in zip(first.rows, again.rows, strict=True):
                assert np.array_equal(one.log_mu, two.log_mu)
            with pytest.raises(TypeError, match="not callable"):
                make(other=tiny_lm.model(seed=2))
            with pytest.raises(TypeError, match="not callable"):
                make(rows=rows[:4])

    def test_a_file_that_was_cut_off_is_made_anew(self, tmp_path):
        rows = Responses.of(tiny_lm.rows(4, unscored=True))
        first = reference.scored(rows, tiny_lm.model(), folder=tmp_path)
        path = tmp_path / reference.FILE
        path.write_bytes(path.read_bytes()[:50])
        again = reference.scored(rows, tiny_lm.model(), folder=tmp_path)
        assert np.array_equal(first.rows[3].log_mu, again.rows[3].log_mu)
        assert [p.name for p in tmp_path.iterdir()] == [reference.FILE]

    def test_another_precision_is_scored_anew(self, tmp_path):
        rows = Responses.of(tiny_lm.rows(4, unscored=True))
        model = tiny_lm.model().float()
        halved = functools.partial(torch.autocast, "cpu", torch.bfloat16)
        whole, half, again = (
            reference.scored(rows, model, folder=tmp_path, autocast=autocast).rows[0].log_mu
            for autocast in (contextlib.nullcontext, halved, contextlib.nullcontext)
        )
        # bfloat16 has 8 bits; float32 the same every time.
        assert np.abs(whole - half).max() > 1e-5
        np.testing.assert_array_equal(again, whole)

    def test_ranks_that_do_not_see_the_file_are_not_left_waiting(self, tmp_path, monkeypatch):
        rows = Responses.of(tiny_lm.rows(6, unscored=True))
        model = tiny_lm.model()
        first = reference.scored(rows, model, folder=tmp_path)
        asked = []

        def gathered(pieces, own):
            # The other rank has no file, and scores rows 1, 3 and 5.
            asked.append(own)
            pieces[0] = own
            odd = {i: first.rows[i].log_mu for i in (1, 3, 5)}
            pieces[1] = False if isinstance(own, bool) else odd

        monkeypatch.setattr(reference, "processes", lambda: 2)
        monkeypatch.setattr(reference.distributed, "get_rank", lambda: 0)
        monkeypatch.setattr(reference.distributed, "all_gather_object", gathered)
        again = reference.scored(rows, model, folder=tmp_path)
        assert asked[0] is True
        assert sorted(asked[1]) == [0, 2, 4]
        for one, two in zip(first.rows, again.rows, strict=True):
            np.testing.assert_allclose(one.log_mu, two.log_mu, rtol=0, atol=TOLERANCE)

    def test_a_disk_that_is_full_is_named(self, tmp_path, monkeypatch):
        def full(*given, **more):
            raise SafetensorError("no space")

        monkeypatch.setattr(reference, "save_file", full)
        rows = Responses.of(tiny_lm.rows(4, unscored=True))
        with pytest.raises(OSError, match=r"log_mu\.safetensors could not be written: no space"):
            reference.scored(rows, tiny_lm.model(), folder=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_without_one_there_have_to_be_log_probabilities(self, tmp_path):
        args, rows = tiny_lm.arguments(tmp_path), tiny_lm.rows(4, unscored=True)
        with pytest.raises(ValueError, match="no column 'log_mu' and reference is None"):
            OffPolicyTrainer(tiny_lm.model(), args, rows)
        with pytest.raises(ValueError, match="'base' where the model has an adapter"):
            OffPolicyTrainer(tiny_lm.model(), args, rows, reference="base")


def lora():
    from peft import LoraConfig

    return LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


# peft asks transformers by a name that goes away.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_learns_and_its_base_is_the_reference(tmp_path):
    rows = tiny_lm.rows(16, unscored=True)
    settings = {"args": {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}}
    more = {"peft_config": lora(), "reference": "base", "loss": ISReshapeLoss(weight="is")}
    trainer, _ = trained(tmp_path, rows, **settings, **more)
    # B is 0 at first, so that the policy is its base, and log w nothing but the rounding of seven
    # log_mu of order 3 to float32: a variance below (7 * 3 * 6e-8)^2 = 2e-12.
    first, *_, last = history(trainer)
    assert first["sigma2"] < 2e-12
    assert last["sigma2"] > 1e-6
    base = tiny_lm.model().state_dict()
    kept = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): value
        for name, value in trainer.model.state_dict().items()
        if "lora_" not in name
    }
    assert kept.keys() == base.keys()
    assert all(torch.equal(kept[name], value) for name, value in base.items())
    assert (tmp_path / "checkpoint-4" / "adapter_model.safetensors").exists()
    again = OffPolicyTrainer(
        tiny_lm.model(), tiny_lm.arguments(tmp_path, **settings["args"]), rows, **more
    )
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert torch.equal(parameters(again.model), parameters(trainer.model))


class Refusing(TorchDispatchMode):
    """Refuses every operation after which the host would have to wait for a device."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        if name.startswith(self.WAITS):
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))


SYNC_FREE = {
    "default": ({}, {}),
    "exact, control": ({"method": "exact", "baseline": "control"}, {}),
    "tokens": ({"weight": "tis"}, {}),
    "sequences": ({"weight": "vespo"}, {}),
    "length": ({}, {"ratio": "length"}),
    "batch": ({"weight": "p3o"}, {}),
}


@pytest.mark.parametrize("name", SYNC_FREE)
def test_no_step_waits_for_the_device(name, tmp_path):
    settings, more = SYNC_FREE[name]
    model = tiny_lm.model()
    trainer = OffPolicyTrainer(
        model, tiny_lm.arguments(tmp_path), tiny_lm.rows(8), loss=ISReshapeLoss(**settings), **more
    )
    batch = collate(trainer.train_dataset.rows)
    with pytest.raises(AssertionError, match="waits"), Refusing():
        bool(batch["reward"].sum() > 0)
    with Refusing():
        trainer.compute_loss(model, batch).backward()
        if name != "batch":
            trainer._plan_ahead([batch, batch])
            for _ in range(2):
                trainer.compute_loss(model, batch).backward()
    # A tensor without numbers can be asked for none, in whatever way.
    trainer._meter = trainer_module.Meter()
    trainer._plan = None
    model.to("meta")
    nothing = {key: value.to("meta") for key, value in batch.items()}
    trainer.compute_loss(model, nothing).backward()
    assert not trainer.args.logging_nan_inf_filter


def test_metrics_are_means_over_the_steps_that_are_logged(tmp_path):
    every, _ = trained(tmp_path / "every")
    second, _ = trained(tmp_path / "second", args={"logging_steps": 2})
    one, two = history(every)[:2]
    for name in ("gamma", "ess_ratio", "sigma2", "kl", "max_weight", "finite"):
        expected = (one[name] + two[name]) / 2
        # Two additions in float32.
        assert history(second)[0][name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({}, {}),
        ({}, {"ratio": "length"}),
        ({"gamma": 0.5}, {"ratio": "token"}),
        ({"mode": "paper"}, {}),
    ],
)
def test_tokens_that_are_impossible_may_stand_in_the_padding(settings, more, tmp_path):
    # A model may rule ids out, the one that pads among them.
    rows = [
        {**row, **{k: [max(i, 1) for i in row[k]] for k in ("prompt_ids", "response_ids")}}
        for row in tiny_lm.rows()
    ]
    model = tiny_lm.model()
    model.lm_head = torch.nn.Sequential(model.lm_head, RuledOut())
    args = {"max_steps": 1}
    trainer, _ = trained(tmp_path, rows, model, ISReshapeLoss(**settings), args, **more)
    (logged,) = history(trainer)
    assert logged["finite"] == 1.0
    assert np.isfinite(logged["loss"])


class RuledOut(torch.nn.Module):
    """Gives the id 0 no probability."""

    def forward(self, logits):
        return torch.where(torch.arange(logits.shape[-1]) == 0, -torch.inf, logits)


def test_a_loss_that_is_not_finite_is_in_the_logs(tmp_path):
    model = tiny_lm.model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    trainer, _ = trained(tmp_path, model=model, args={"max_steps": 1})
    assert history(trainer)[0]["finite"] == 0.0
    assert np.isnan(history(trainer)[0]["loss"])


def test_metrics_of_an_earlier_run_are_not_in_the_logs_of_the_next(tmp_path):
    args = {"max_steps": 3, "logging_steps": 2}
    trainer, _ = trained(tmp_path, args=args)
    again = OffPolicyTrainer(
        copy.deepcopy(trainer.model), tiny_lm.arguments(tmp_path, **args), tiny_lm.rows()
    )
    trainer.train()
    again.train()
    assert history(trainer)[0] == history(again)[0]


def test_groups_stay_together_and_change_their_order(tmp_path):
    groups = [3, 1, 3, 1, 2, 2]
    order = WholeGroups(groups, seed=0)
    seen = []
    for epoch in range(3):
        order.set_epoch(epoch)
        drawn = list(order)
        assert sorted(drawn) == list(range(6))
        assert all(groups[a] == groups[b] for a, b in zip(drawn[::2], drawn[1::2], strict=True))
        seen.append(drawn)
    order.set_epoch(0)
    assert list(order) == seen[0] == list(WholeGroups(groups, seed=0))
    assert len({tuple(drawn) for drawn in seen}) > 1
    trainer = OffPolicyTrainer(tiny_lm.model(), tiny_lm.arguments(tmp_path), tiny_lm.rows())
    for batch in trainer.get_train_dataloader():
        _, counts = torch.unique(batch["group"], return_counts=True)
        assert counts.tolist() == [4, 4]


def test_a_weight_that_looks_at_the_whole_batch_gets_it_whole(tmp_path):
    trained(tmp_path, loss=ISReshapeLoss(weight="p3o"), args={"max_steps": 1})
    trained(tmp_path, loss=ISReshapeLoss(mode="paper"), args={"max_steps": 1})
    cut = tiny_lm.arguments(tmp_path, gradient_accumulation_steps=2)
    for settings in ({"weight": "p3o"}, {"mode": "paper"}):
        with pytest.raises(ValueError, match="gradient_accumulation_steps must be 1"):
            OffPolicyTrainer(tiny_lm.model(), cut, tiny_lm.rows(), loss=ISReshapeLoss(**settings))
    with pytest.raises(ValueError, match="groups"):
        OffPolicyTrainer(
            tiny_lm.model(),
            tiny_lm.arguments(tmp_path),
            tiny_lm.rows(),
            loss=ISReshapeLoss(weight="p3o", baseline="mean"),
        )


def test_without_rewards(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "reward"} for row in tiny_lm.rows()]
    loss = ISReshapeLoss(rescale=True)
    trainer, _ = trained(tmp_path, rows, loss=loss, args={"max_steps": 1})
    assert history(trainer)[0]["finite"] == 1.0
    with pytest.raises(ValueError, match=r"rows\[0\] has a reward, and rescale=True"):
        trained(tmp_path, loss=loss)


def test_rewards_below_0_are_refused_where_they_normalise(tmp_path):
    rows = [{**row, "reward": -row["reward"]} for row in tiny_lm.rows()]
    with pytest.raises(ValueError, match="rewards must be at least 0"):
        trained(tmp_path, rows, loss=ISReshapeLoss(reward_normaliser=True))


def test_evaluation_is_the_loss_of_a_batch(tmp_path):
    rows = tiny_lm.rows(8, seed=3)
    model = tiny_lm.model()
    trainer = OffPolicyTrainer(
        model,
        tiny_lm.arguments(tmp_path, per_device_eval_batch_size=8),
        tiny_lm.rows(),
        eval_dataset=rows,
    )
    found = trainer.evaluate()["eval_loss"]
    value, _, _ = by_hand(model, _rounded(rows), {})
    # The evaluation loop gathers losses in float32.
    assert found == pytest.approx(float(value), rel=1e-6)


def test_evaluation_while_training_and_of_other_rows(tmp_path):
    rows = tiny_lm.rows(8, seed=3)
    args = {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 8}
    trainer, _ = trained(tmp_path, args=args, eval_dataset={"one": rows, "two": rows[:4]})
    logged = [entry for entry in trainer.state.log_history if "eval_one_loss" in entry]
    assert [entry["step"] for entry in logged] == [2, 4]
    last = logged[-1]["eval_one_loss"]
    assert trainer.evaluate()["eval_one_loss"] == last
    assert trainer.evaluate(rows)["eval_loss"] == last
    assert trainer.evaluate({"other": rows})["eval_other_loss"] == last
    assert trainer.predict(rows).metrics["test_loss"] == last
    with pytest.raises(ValueError, match=r"rows\[0\]\.response_ids is empty"):
        trainer.evaluate([{**rows[0], "response_ids": []}])
    with pytest.raises(ValueError, match="filled in by `scored`"):
        trainer.predict(tiny_lm.rows(4, unscored=True))


IGNORED = {
    "label smoothing": ({"label_smoothing_factor": 0.1}, {}, "label_smoothing_factor must be 0"),
    "by length": ({"train_sampling_strategy": "group_by_length"}, {}, "train_sampling_strategy"),
    "another loss": ({}, {"compute_loss_func": len}, "compute_loss_func must be None: `loss`"),
    "metrics": ({}, {"compute_metrics": len}, "compute_metrics must be None"),
}


@pytest.mark.parametrize("name", IGNORED)
def test_what_would_be_ignored_is_refused(name, tmp_path):
    args, more, said = IGNORED[name]
    with pytest.raises(ValueError, match=said):
        OffPolicyTrainer(
            tiny_lm.model(), tiny_lm.arguments(tmp_path, **args), tiny_lm.rows(), **more
        )


def test_an_encoder_decoder_is_refused(tmp_path):
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(T5Config(vocab_size=24, **sizes))
    with pytest.raises(ValueError, match="causal LM, not the encoder-decoder T5"):
        OffPolicyTrainer(model, tiny_lm.arguments(tmp_path), tiny_lm.rows())


def test_arguments_are_the_callers_own(tmp_path):
    args = tiny_lm.arguments(tmp_path)
    before = copy.deepcopy(args.to_dict())
    OffPolicyTrainer(tiny_lm.model(), args, tiny_lm.rows())
    assert args.to_dict() == before


REFUSED = {
    "none": ({}, "other", "one of sequence, token, length"),
    "tokens": ({"weight": "tis"}, "length", "weighs tokens by itself"),
    "own ratio": ({"weight": "gspo"}, "token", "differentiates a ratio"),
    "mu": ({"weight": "ix"}, "length", "looks at mu"),
    "length": ({"weight": "iw_sft"}, "length", "goes by the length"),
    "paper": ({"mode": "paper"}, "token", "the listing as it stands"),
    "form": ({"form": "boxcox"}, "length", "differentiates w"),
    "rescale": ({"rescale": True}, "length", "holds of w itself"),
    "control": ({"baseline": "control"}, "length", "holds of w itself"),
    "gamma": ({}, "token", "gamma must be given"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_ratio_that_has_no_meaning_is_refused(name):
    settings, ratio, said = REFUSED[name]
    with pytest.raises(ValueError, match=said):
        levels.at_level(ISReshapeLoss(**settings), ratio)

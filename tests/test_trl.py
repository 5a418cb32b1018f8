"""Our losses against TRL's own on masked batches, and the callback that chooses gamma in TRL."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from isr_theory import ess_ratio, gamma_star
from isr_theory.training import ISReshapeLoss
from isr_theory.training.trl import VespoGamma

torch.set_num_threads(1)
GOLDEN = json.loads((Path(__file__).parent / "golden" / "trl.json").read_text(encoding="utf-8"))
CASES = {case["seed"]: case for case in GOLDEN["cases"]}

# Losses and gradients of order 1 in float32, on both sides: sums of at most 54 terms, each a few
# roundings of 6e-8 from what it is.
TOLERANCE = 1e-6

# TRL takes l for 1e-4 where it is less.
POWER = {"k_positive": 0.4, "l_positive": 1e-4, "k_negative": 0.4, "l_negative": 1e-4}
# How ours is set, and by what TRL divides: the tokens of each sequence and then the sequences
# ("sequence"), all tokens of the batch ("tokens"), or the sequences alone. Ours is a mean over
# sequences of sums over tokens, so that the rest of it goes into the rewards.
SAME = {
    "grpo": ({"weight": "ppo"}, "sequence"),
    "dapo": ({"weight": "ppo", "parameters": {"high": 0.28}}, "tokens"),
    # TRL's epsilon_high is the cap itself, and there is no low end.
    "cispo": ({"weight": "cispo", "parameters": {"low": 1.0, "high": 4.0}}, "tokens"),
    "cispo, low cap": ({"weight": "cispo", "parameters": {"low": 1.0, "high": 0.2}}, "tokens"),
    "sapo": ({"weight": "sapo"}, "sequence"),
    "vespo": ({"weight": "vespo"}, "tokens"),
    "vespo as a power": ({"weight": "vespo", "parameters": POWER}, "tokens"),
    "sequence": ({"weight": "gspo"}, "rows"),
    "sequence, wide clip": ({"weight": "gspo", "parameters": {"low": 0.2, "high": 0.2}}, "rows"),
    # No rewards: the mean over the tokens of the batch.
    "dft": ({"weight": "dft"}, "tokens"),
}


def test_all_of_trls_losses_are_compared():
    for case in CASES.values():
        assert set(case["losses"]) == set(SAME)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("seed", CASES)
def test_loss_and_gradient_are_trls(name, seed):
    settings, divided = SAME[name]
    case = CASES[seed]
    log_pi, log_mu = (torch.tensor(case[key]) for key in ("new", "old"))
    log_pi.requires_grad_(True)
    mask, rewards = torch.tensor(case["mask"]), torch.tensor(case["advantages"])
    lengths = mask.sum(-1).float()
    if name == "dft":
        rewards = torch.ones_like(rewards)
    scale = {
        "sequence": 1 / lengths,
        "tokens": len(lengths) / lengths.sum(),
        "rows": torch.ones(()),
    }
    loss, _ = ISReshapeLoss(**settings)(log_pi, log_mu, rewards * scale[divided], mask)
    loss.backward()
    theirs = case["losses"][name]
    assert loss.item() == pytest.approx(theirs["loss"], abs=TOLERANCE)
    expected = torch.tensor(theirs["gradient"])
    torch.testing.assert_close(log_pi.grad, expected, rtol=0, atol=TOLERANCE)
    assert expected.abs().max() > 1e-3


def test_the_cases_have_clipped_tokens_and_padding():
    # Else clips and masks would not have been compared.
    ratios = [np.exp(np.subtract(c["new"], c["old"])) for c in CASES.values()]
    masks = [np.array(c["mask"]) for c in CASES.values()]
    beyond = [((r > 1.28) | (r < 0.8)) & (m == 1) for r, m in zip(ratios, masks, strict=True)]
    assert all(part.any() for part in beyond)
    assert all((m == 0).any() for m in masks)


def test_vespo_with_k_gamma_is_the_power():
    case = CASES[0]
    log_pi, log_mu = (torch.tensor(case[key]) for key in ("new", "old"))
    log_pi.requires_grad_(True)
    mask, rewards = torch.tensor(case["mask"]), torch.tensor(case["advantages"])
    scale = len(mask) / mask.sum()
    loss, _ = ISReshapeLoss(gamma=0.4, normalisation="none")(log_pi, log_mu, rewards * scale, mask)
    loss.backward()
    theirs = torch.tensor(case["losses"]["vespo as a power"]["gradient"])
    w = ((log_pi - log_mu).detach() * mask).sum(-1, keepdim=True).exp()
    # TRL's l of 1e-4, and nothing else, is between the two.
    torch.testing.assert_close(log_pi.grad * (1e-4 * (1 - w)).exp(), theirs, rtol=0, atol=TOLERANCE)


class TestCallback:
    def test_trl_ran_with_it(self):
        steps = GOLDEN["recipe"]
        chosen = []
        for step in steps:
            mask = np.array(step["mask"])
            log_w = (np.array(step["log_ratio"]) * mask).sum(-1)
            gamma = gamma_star(log_w, 0.9, method="exact")
            # The loss works in float32, to whose digits its root is found.
            assert step["gamma"] == pytest.approx(float(gamma), abs=1e-5)
            assert step["logged"] == pytest.approx(step["gamma"], abs=1e-7)
            w = np.exp(log_w)
            expected = w ** step["gamma"] * np.exp(1e-4 * (1 - w))
            np.testing.assert_allclose(step["weights"], expected, rtol=1e-5)
            chosen.append(step["gamma"])
            if step["gamma"] < 1:
                assert ess_ratio(log_w, step["gamma"]) == pytest.approx(0.9, abs=1e-4)
        # Fresh samples have w = 1; later passes over them do not, and there it acts.
        assert chosen[0] == 1.0
        assert min(chosen) < 1.0

    def trainer(self, **changed):
        args = {"loss_type": "vespo", "gradient_accumulation_steps": 1, **changed}
        added = []
        return SimpleNamespace(
            args=SimpleNamespace(**args),
            get_gamma_weights=lambda **given: given,
            add_callback=added.append,
            added=added,
        )

    def test_it_stands_before_trls_weights(self):
        trainer, callback = self.trainer(), VespoGamma(rho_min=0.5)
        callback.attach(trainer)
        assert trainer.added == [callback]
        log_ratio, mask = torch.randn(6, 4) * 2, torch.ones(6, 4)
        mask[2, 1:] = 0
        log_ratio[2, 2] = torch.nan
        given = trainer.get_gamma_weights(
            log_ratio_per_token=log_ratio, mask=mask, k_pos=2.0, k_neg=3.0, advantages=None
        )
        log_w = torch.where(mask != 0, log_ratio, 0).sum(-1).double().numpy()
        gamma = float(gamma_star(log_w, 0.5, method="lognormal"))
        assert 0 < gamma < 1
        # Float32 in, and sums of six terms.
        assert float(given["k_pos"]) == float(given["k_neg"]) == pytest.approx(gamma, abs=1e-6)
        assert given["lambda_pos"] == given["lambda_neg"] == 0.0
        assert given["advantages"] is None

    def test_gamma_is_that_of_the_weights_which_trl_forms(self):
        # TRL's w has the correction for another engine in it, and ends at 1e-8 and e^20.
        torch.manual_seed(0)
        mask = torch.ones(8, 3)
        mask[1, 2] = 0
        log_ratio, correction = torch.randn(8, 3), torch.randn(8, 3) * mask
        callback = VespoGamma(rho_min=0.5)
        log_w = (log_ratio * mask + correction).sum(-1)
        expected = gamma_star(log_w.double().numpy(), 0.5, method="lognormal")
        assert 0 < float(expected) < 1
        # Float32 in, and sums of six terms.
        for factor in (correction.exp(), correction.sum(-1, keepdim=True).exp()):
            found = callback.gamma_of(log_ratio, mask, factor)
            assert float(found) == pytest.approx(float(expected), abs=1e-6)
        trainer = self.trainer()
        callback.attach(trainer)
        given = trainer.get_gamma_weights(
            log_ratio_per_token=log_ratio, mask=mask, importance_sampling_ratio=correction.exp()
        )
        assert float(given["k_pos"]) == pytest.approx(float(expected), abs=1e-6)
        log_ratio[0], log_ratio[3] = -40.0, 40.0
        log_w = torch.where(mask != 0, log_ratio, 0.0).sum(-1)
        log_w[0], log_w[3] = np.log(1e-8), 20.0
        expected = gamma_star(log_w.double().numpy(), 0.5, method="lognormal")
        found = callback.gamma_of(log_ratio, mask)
        assert float(found) == pytest.approx(float(expected), abs=1e-6)

    def test_sequences_without_tokens_are_not_asked(self):
        torch.manual_seed(0)
        log_ratio, mask = torch.randn(8, 3), torch.ones(8, 3)
        mask[[1, 4, 6]] = 0
        callback = VespoGamma(rho_min=0.7)
        found = callback.gamma_of(log_ratio, mask)
        assert torch.equal(found, callback.gamma_of(log_ratio[mask[:, 0] != 0], torch.ones(5, 3)))
        assert 0 < float(found) < 1
        assert float(VespoGamma(gamma_max=0.5).gamma_of(log_ratio, torch.zeros(8, 3))) == 0.5

    def test_it_logs_gamma_with_the_loss(self):
        callback, state = VespoGamma(), SimpleNamespace(log_history=[{"loss": 1.0}])
        callback.on_log(None, state, None, {"loss": 1.0})
        assert state.log_history == [{"loss": 1.0}]
        callback.gamma = torch.tensor(0.25)
        logs = {"loss": 1.0}
        callback.on_log(None, state, None, logs)
        assert logs["gamma"] == state.log_history[0]["gamma"] == 0.25
        other = {"eval_loss": 1.0}
        callback.on_log(None, state, None, other)
        assert "gamma" not in other

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"loss_type": "dapo"}, "loss_type='vespo', not 'dapo'"),
            ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps=1, not 2"),
            ({"use_liger_kernel": True}, "use_liger_kernel=False"),
            (
                {
                    "use_vllm": True,
                    "vllm_importance_sampling_correction": True,
                    "vllm_importance_sampling_mode": "token_mask",
                },
                "'token_truncate', not 'token_mask'",
            ),
        ],
    )
    def test_what_it_cannot_do_it_refuses(self, changed, said):
        with pytest.raises(ValueError, match=said):
            VespoGamma().attach(self.trainer(**changed))

    def test_trl_is_not_needed_to_import_it(self):
        code = "import sys, isr_theory.training.trl; assert 'trl' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

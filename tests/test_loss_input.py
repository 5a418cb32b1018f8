"""What the loss refuses, by name and before anything is computed, and what its settings refuse."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from isr_theory.training import ATLAS, ISReshapeLoss

torch.set_num_threads(1)

LIKE_POWER = dataclasses.replace(ATLAS["sft"], key="power")
OF_TOKENS = dataclasses.replace(ATLAS["power"], key="token power", level="token")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"log_pi": [1.0]}, TypeError, "log_pi must be a tensor of floats, not list"),
        ({"log_mu": torch.ones(6, dtype=torch.long)}, TypeError, "log_mu must be a tensor of fl"),
        ({"log_mu": torch.zeros(5)}, ValueError, r"log_mu must have the shape \(6,\), not \(5,\)"),
        ({"log_pi": torch.zeros(0)}, ValueError, "log_pi is empty"),
        ({"log_pi": torch.zeros(2, 3, 4)}, ValueError, r"log_pi must be \(n,\) or \(n, tokens\)"),
        ({"rewards": torch.zeros(6, 1)}, ValueError, r"rewards must have the shape \(6,\)"),
        ({"rewards": [1.0] * 6}, TypeError, "rewards must be a tensor of real numbers or None"),
        ({"rewards": torch.full((6,), math.nan)}, ValueError, r"rewards\[0\] is nan: finite"),
        ({"rewards": torch.arange(6) - 2.0}, ValueError, r"rewards\[0\] is -2.0: with reward_nor"),
        ({"rewards": torch.ones(6, requires_grad=True)}, ValueError, "rewards requires a gradient"),
        ({"log_mu": torch.ones(6, requires_grad=True)}, ValueError, "log_mu requires a gradient"),
        ({"mask": torch.ones(6)}, ValueError, "mask goes with tokens"),
        ({"groups": torch.zeros(5, dtype=torch.long)}, ValueError, "groups must have the shape"),
        ({"groups": torch.zeros(6)}, TypeError, "groups must be integers, not torch.float32"),
        ({"groups": torch.arange(6) + 1}, ValueError, r"groups\[5\] is 6: 0 to 5 are allowed"),
        ({"groups": torch.arange(6) - 1}, ValueError, r"groups\[0\] is -1: 0 to 5 are allowed"),
    ],
)
def test_bad_input_is_refused_by_name(change, error, message):
    given = {"log_pi": torch.zeros(6), "log_mu": torch.zeros(6), **change}
    with pytest.raises(error, match=message):
        ISReshapeLoss(reward_normaliser=True)(**given)
    with pytest.raises(error, match=message):
        ISReshapeLoss(reward_normaliser=True).plan(**given)


def test_bad_masks_are_refused_by_name():
    zeros = torch.zeros(3, 4)
    for mask, message in (
        (torch.ones(3, 3), r"mask must have the shape \(3, 4\), not \(3, 3\)"),
        (torch.full((3, 4), 0.5), r"mask\[0, 0\] is 0.5: 0 and 1 are allowed"),
        (torch.tensor([[1] * 4, [0] * 4, [1] * 4]), r"mask\[1\] leaves its row without a token"),
    ):
        with pytest.raises(ValueError, match=message):
            ISReshapeLoss()(zeros, zeros, mask=mask)


@pytest.mark.parametrize(
    ("weight", "shape", "lengths", "message"),
    [
        ("gspo", (3,), None, "lengths must be given with weight='gspo'"),
        ("p_gspo", (3,), None, "lengths must be given with weight='p_gspo'"),
        ("iw_sft", (3,), None, "lengths must be given with weight='iw_sft'"),
        ("gmpo", (3,), None, r"log_pi must be \(n, tokens\) with weight='gmpo'"),
        ("tis", (3,), None, r"one token are log_pi\[:, None\]"),
        ("tis", (3,), [1.0, 1.0, 1.0], r"log_pi must be \(n, tokens\) with weight='tis'"),
        ("gspo", (3, 2), [2.0, 2.0, 2.0], "lengths must be None where log_pi is"),
        ("power", (3,), [2.0, 2.0, 2.0], "lengths must be None with weight='power'"),
        ("gspo", (3,), [2.0, 2.0], r"lengths must have the shape \(3,\)"),
        ("gspo", (3,), [2.0, 0.0, 2.0], r"lengths\[1\] is 0.0: at least one token is needed"),
        ("gspo", (3,), [2.0, 3.0, math.nan], r"lengths\[2\] is nan: at least one"),
    ],
)
def test_a_function_of_lengths_is_told_them(weight, shape, lengths, message):
    zeros = torch.zeros(shape)
    lengths = None if lengths is None else torch.tensor(lengths)
    loss = ISReshapeLoss(weight=weight)
    for call in (loss, loss.plan):
        if call == loss.plan and "batch" in loss.entry.needs:
            continue
        with pytest.raises(ValueError, match=message):
            call(zeros, zeros, lengths=lengths)


def test_an_action_of_one_token_is_a_row_of_one():
    log_pi, log_mu = torch.tensor([[0.5], [-1.0]]), torch.zeros(2, 1)
    value, _ = ISReshapeLoss(weight="tis", parameters={"C": 1.0})(log_pi, log_mu)
    assert float(value) == pytest.approx(-(0.5 - torch.tensor(-1.0).exp().item()) / 2)
    with pytest.raises(TypeError, match="lengths must be a tensor of real numbers or None"):
        ISReshapeLoss(weight="gspo")(log_pi[:, 0], log_mu[:, 0], lengths=[1, 1])


def test_a_batch_has_a_group_at_least():
    with pytest.raises(ValueError, match="n_groups must be at least 1, not 0"):
        ISReshapeLoss().plan(torch.zeros(2), torch.zeros(2), n_groups=0)


def test_rewards_with_rescaling_are_refused():
    with pytest.raises(ValueError, match="rewards must be None with rescale=True"):
        ISReshapeLoss(rescale=True)(torch.zeros(2), torch.zeros(2), torch.ones(2))


@pytest.mark.parametrize(
    "settings", [{"normalisation": "none"}, {"normalisation": "batch"}, {"weight": "sft"}], ids=str
)
def test_groups_that_do_nothing_are_refused(settings):
    zeros, groups = torch.zeros(4), torch.tensor([0, 0, 1, 1])
    for call in (ISReshapeLoss(**settings), ISReshapeLoss(**settings).plan):
        with pytest.raises(ValueError, match="groups must be None with normalisation="):
            call(zeros, zeros, groups=groups)
    ISReshapeLoss(baseline="mean", **settings)(zeros, zeros, groups=groups)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rho_min": 1.5}, r"rho_min must be in \(0, 1\), not 1.5"),
        ({"method": "bisect"}, "method must be one of"),
        ({"gamma_min": 0.9, "gamma_max": 0.5}, "bounds must satisfy"),
        ({"gamma": 1.5}, r"gamma must be None or in \[0, 1\], not 1.5"),
        ({"gamma": math.nan}, r"gamma must be None or in \[0, 1\], not nan"),
        ({"control": math.inf}, "control must be None or a finite number"),
        ({"mode": "fast"}, "mode must be one of default, paper, not 'fast'"),
        ({"form": "power"}, "form must be one of detached"),
        ({"normalisation": "token"}, "normalisation must be one of group"),
        ({"baseline": "value"}, "baseline must be one of none"),
        ({"weight": "ppo9"}, "weight must be one of sft"),
        ({"parameters": {"cap": 1}}, "'cap' is not"),
        ({"parameters": {"gamma": 1}}, "gamma is an argument of its own"),
        ({"form": "boxcox", "weight": "sft"}, "form='boxcox' needs weight='power'"),
        ({"rescale": True, "weight": "sft"}, "rescale=True needs weight='power'"),
        ({"rescale": True, "form": "boxcox"}, "rescale=True needs form='detached'"),
        ({"rescale": True, "baseline": "mean"}, "rescale=True takes no baseline"),
        ({"reward_normaliser": True, "baseline": "mean"}, "baseline='mean' makes some negative"),
        ({"reward_normaliser": True, "weight": "asymre"}, "needs the rewards themselves"),
        ({"reward_normaliser": True, "normalisation": "none"}, "needs a normalisation"),
        ({"weight": OF_TOKENS, "baseline": "control"}, "needs a weight function of whole seq"),
        ({"control": 0.5}, "control=0.5 needs baseline='control'"),
        ({"weight": "ppo", "gamma": 0.5}, "gamma=0.5 does nothing: weight='ppo' has no gamma"),
        ({"weight": "sft", "rho_min": 0.5}, "rho_min=0.5 does nothing: weight='sft'"),
        ({"weight": "sft", "method": "exact"}, "method='exact' does nothing: weight='sft'"),
        ({"weight": "sft", "gamma_min": 0.1}, "gamma_min=0.1 does nothing: weight='sft'"),
        ({"weight": "sft", "gamma_max": 0.5}, "gamma_max=0.5 does nothing: weight='sft'"),
        ({"gamma": 0.5, "rho_min": 0.5}, "rho_min=0.5 does nothing: gamma=0.5 is fixed"),
        ({"gamma": 0.5, "method": "exact"}, "method='exact' does nothing: gamma=0.5 is fixed"),
        ({"gamma": 0.9, "gamma_max": 0.5}, r"gamma=0.9 is not in \[gamma_min, gam"),
        ({"weight": LIKE_POWER, "form": "boxcox"}, "form='boxcox' needs weight='power'"),
        ({"weight": LIKE_POWER, "rescale": True}, "rescale=True needs weight='power'"),
        ({"mode": "paper", "baseline": "mean"}, "baseline='mean' is no setting of mode='paper'"),
        ({"mode": "paper", "normalisation": "none"}, "normalisation='none' is no setting"),
        ({"mode": "paper", "gamma": 0.5}, "gamma=0.5 is no setting of mode='paper'"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        ISReshapeLoss(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": None}, "weight must be a key of ATLAS or a WeightFunction, not NoneType"),
        ({"gamma": "auto"}, "gamma must be a number or None, not str"),
        ({"control": "fit"}, "control must be a number or None, not str"),
        ({"rho_min": "a"}, "rho_min must be a number, not str"),
        ({"gamma_min": None}, "gamma_min must be a number, not NoneType"),
        ({"gamma_max": "1"}, "gamma_max must be a number, not str"),
        ({"parameters": 3}, "parameters must be a mapping, not int"),
        ({"validate": 1}, "validate must be True or False, not int"),
        ({"weight": "tis", "parameters": {"C": "2"}}, "tis: C must be a number, not str"),
    ],
)
def test_settings_of_another_kind_are_refused_by_name(settings, message):
    with pytest.raises(TypeError, match=message):
        ISReshapeLoss(**settings)


@pytest.mark.parametrize(
    ("key", "parameters", "message"),
    [
        ("tis", {"C": -1.0}, r"tis: C must be in \[0, inf\], not -1.0"),
        ("tis", {"C": math.nan}, r"tis: C must be in \[0, inf\], not nan"),
        ("ppo", {"low": 1.5}, r"ppo: low must be in \[0, 1\], not 1.5"),
        ("sapo", {"t_positive": 0.0}, r"sapo: t_positive must be in \(0, inf\], not 0.0"),
        ("dros", {"l": 0.0}, r"dros: l must be in \(0, inf\], not 0.0"),
        ("log_sum_exp", {"l": 0.5}, r"log_sum_exp: l must be in \[-inf, 0\], not 0.5"),
    ],
)
def test_parameters_out_of_their_range_are_refused_by_name(key, parameters, message):
    with pytest.raises(ValueError, match=message):
        ISReshapeLoss(weight=key, parameters=parameters)


def test_a_plan_and_devices_are_refused_by_name():
    zeros = torch.zeros(3)
    with pytest.raises(TypeError, match="plan must be a Plan or None, not int"):
        ISReshapeLoss()(zeros, zeros, plan=3)
    for name in ("log_mu", "rewards", "groups"):
        given = {"log_mu": zeros, name: torch.zeros(3, device="meta", dtype=KINDS.get(name))}
        with pytest.raises(ValueError, match=f"{name} must be on cpu as log_pi is, not meta"):
            ISReshapeLoss()(zeros, **given)


KINDS = {"groups": torch.long}


def test_settings_can_be_hashed():
    one, other = ISReshapeLoss(weight="tis", parameters={"C": 2.0}), ISReshapeLoss()
    assert hash(one) == hash(dataclasses.replace(one))
    assert {one: 1, other: 2}[ISReshapeLoss()] == 2
    assert hash(ISReshapeLoss(weight=LIKE_POWER)) is not None


def test_settings_cannot_be_changed():
    loss = ISReshapeLoss()
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.gamma = 0.5
    assert dataclasses.replace(loss, gamma=0.5).gamma == 0.5

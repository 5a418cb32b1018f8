"""A NaN in a run: masked on the device, told at the next check, and nothing poisoned."""

from __future__ import annotations

import copy

import pytest
import torch

from isr_theory.training import ISReshapeLoss, NonFiniteUpdateError, UpdateGuard
from isr_theory.training.first_state import FIRST

torch.set_num_threads(1)

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "adamw one by one": lambda p: torch.optim.AdamW(p, lr=0.1, foreach=False),
    "amsgrad": lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True, fused=True),
    "fused sgd": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
    "fused momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    "fused nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True, fused=True
    ),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, initial_accumulator_value=0.1),
    "fused adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, lr_decay=0.1, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.1, weight_decay=0.1),
    "nadam together": lambda p: torch.optim.NAdam(p, lr=0.1, foreach=True),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.1),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=0.1),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.1),
    "rprop together": lambda p: torch.optim.Rprop(p, lr=0.1, foreach=True),
    "asgd": lambda p: torch.optim.ASGD(p, lr=0.1, t0=2, alpha=0.5),
    "asgd together": lambda p: torch.optim.ASGD(p, lr=0.1, t0=2, foreach=True),
    "adafactor": lambda p: torch.optim.Adafactor(p, lr=0.1),
}


def model_at_start():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def state_of(optimizer):
    """Every tensor of an optimiser's state, by parameter and name."""
    return {
        (index, name): value.clone()
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def run(optimizer_name, poisoned, guarded=True):
    """Seven updates, of which some have a NaN log-probability; weights, state and the guard."""
    model = model_at_start()
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    guard = UpdateGuard(optimizer)
    torch.manual_seed(2)
    for step in range(7):
        x, y = torch.randn(6, 3), torch.randint(0, 2, (6,))
        bad = step in poisoned
        if bad and not guarded:
            continue
        log_pi = torch.log_softmax(model(x), -1)[torch.arange(6), y]
        if bad:
            log_pi = log_pi * torch.tensor([1.0, 1, torch.nan, 1, 1, 1])
        value, metrics = ISReshapeLoss()(log_pi, torch.full((6,), -0.7))
        optimizer.zero_grad()
        value.backward()
        if guarded:
            guard.step(metrics["finite"])
        else:
            optimizer.step()
    return model, optimizer, guard


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("poisoned", [(), (0,), (3,), (0, 1, 4, 6)], ids=str)
def test_a_run_with_a_nan_is_the_run_without_that_batch(name, poisoned):
    model, optimizer, guard = run(name, poisoned)
    expected, other, _ = run(name, poisoned, guarded=False)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    ours, theirs = state_of(optimizer), state_of(other)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key
    if not poisoned:
        guard.check()
        return
    message = f"{len(poisoned)} of 7 updates were not finite, the first at step {poisoned[0] + 1}"
    with pytest.raises(NonFiniteUpdateError, match=message):
        guard.check()
    # The count starts anew.
    guard.check()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_the_guard_the_same_run_is_poisoned(name):
    model = model_at_start()
    optimizer = OPTIMIZERS[name](model.parameters())
    value, _ = ISReshapeLoss()(model(torch.randn(6, 3))[:, 0] * torch.nan, torch.zeros(6))
    value.backward()
    optimizer.step()
    # Rprop goes by the sign of the gradient, of which a NaN has none: it is poisoned in its memory.
    held = optimizer.state[next(model.parameters())]["prev"] if "rprop" in name else None
    assert bool(torch.isnan(next(model.parameters()) if held is None else held).all())


def test_a_gradient_that_overflows_is_masked_though_the_loss_is_finite():
    weight = torch.nn.Parameter(torch.ones(2))
    guard = UpdateGuard(torch.optim.SGD([weight], lr=1.0))
    for gradient in ([0.0, torch.inf], [torch.nan, 0.0]):
        weight.grad = torch.tensor(gradient)
        assert not bool(guard.step(torch.tensor(True)))
        assert weight.tolist() == [1.0, 1.0]
    weight.grad = torch.tensor([0.5, 0.0])
    assert bool(guard.step(torch.tensor(True)))
    assert weight.tolist() == [0.5, 1.0]
    with pytest.raises(NonFiniteUpdateError, match="2 of 3 updates were not finite, the first at"):
        guard.check()


def test_the_loss_s_own_flag_is_enough():
    weight = torch.nn.Parameter(torch.ones(2))
    guard = UpdateGuard(torch.optim.SGD([weight], lr=1.0))
    weight.grad = torch.ones(2)
    guard.step(torch.tensor(False))
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if "fused" in name])
def test_a_fused_optimiser_is_told_to_skip_and_nothing_is_copied(name, monkeypatch):
    parameters = list(model_at_start().parameters())
    optimizer = OPTIMIZERS[name](parameters)
    guard = UpdateGuard(optimizer)
    copies = []
    clone = torch.Tensor.clone
    monkeypatch.setattr(torch.Tensor, "clone", lambda self, **k: copies.append(1) or clone(self))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    guard.step(torch.tensor(True))
    held = {key: value + 0 for key, value in state_of(optimizer).items()}
    copies.clear()
    before = [parameter + 0 for parameter in parameters]
    for parameter in parameters:
        parameter.grad.fill_(torch.nan)
    guard.step(torch.tensor(True))
    assert not copies
    assert not hasattr(optimizer, "found_inf")
    for parameter, value in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value)
    after = state_of(optimizer)
    assert all(torch.equal(after[key], value) for key, value in held.items())


def test_the_flag_may_be_a_bool_and_nothing_else():
    weight = torch.nn.Parameter(torch.ones(2))
    guard = UpdateGuard(torch.optim.SGD([weight], lr=1.0))
    weight.grad = torch.ones(2)
    assert not bool(guard.step(False))
    assert bool(guard.step(True))
    assert weight.tolist() == [0.0, 0.0]
    with pytest.raises(TypeError, match="finite must be a tensor or a bool, not float"):
        guard.step(1.0)
    with pytest.raises(ValueError, match=r"finite must be one number, not of shape \(2,\)"):
        guard.step(torch.tensor([True, True]))
    assert weight.tolist() == [0.0, 0.0]


class Failing(torch.optim.SGD):
    """Fails half way through its parameters."""

    def step(self, closure=None):
        with torch.no_grad():
            self.param_groups[0]["params"][0].add_(1.0)
        raise MemoryError("no room")


def test_a_step_that_raises_leaves_nothing_half_done():
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    guard = UpdateGuard(Failing(weights, lr=1.0))
    for weight in weights:
        weight.grad = torch.ones(2)
    with pytest.raises(MemoryError):
        guard.step(torch.tensor(True))
    assert [weight.tolist() for weight in weights] == [[1.0, 1.0]] * 2
    guard.check()


class Counting(torch.optim.SGD):
    """Keeps a number that is no tensor."""

    def step(self, closure=None):
        self.state[self.param_groups[0]["params"][0]]["count"] = 1
        super().step()


def test_state_that_cannot_be_put_back_is_refused():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    guard = UpdateGuard(Counting([weight], lr=1.0))
    with pytest.raises(TypeError, match="keeps 'count' as int"):
        guard.step(torch.tensor(True))
    assert weight.tolist() == [1.0, 1.0]
    assert not guard.optimizer.state
    dampened = torch.optim.SGD([weight], lr=1.0, momentum=0.9, dampening=0.1)
    with pytest.raises(ValueError, match=r"dampening=0.1 with momentum: only 0 is allowed"):
        UpdateGuard(dampened)


class Foreign(torch.optim.SGD):
    """Makes a tensor of which nobody knows what it was before."""

    def step(self, closure=None):
        self.state[self.param_groups[0]["params"][0]].setdefault("scale", torch.ones(2)).mul_(2)
        super().step()


def test_state_made_from_what_is_not_known_is_refused_by_name():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = Foreign([weight], lr=1.0)
    with pytest.raises(TypeError, match="optimizer is Foreign, whose first step makes 'scale'"):
        UpdateGuard(optimizer).step(torch.tensor(True))
    assert weight.tolist() == [1.0, 1.0]
    assert not optimizer.state
    # With its state there beforehand it can be taken back as any other.
    optimizer.state[weight]["scale"] = torch.ones(2)
    UpdateGuard(optimizer).step(torch.tensor(False))
    assert optimizer.state[weight]["scale"].tolist() == [1.0, 1.0]


def test_every_optimiser_of_torch_is_known_or_refused():
    known = {kind for kind in FIRST if kind.__module__.startswith("torch.optim")}
    tried = {type(make([torch.nn.Parameter(torch.ones(2, 2))])) for make in OPTIMIZERS.values()}
    assert {kind for kind in known if not any(issubclass(each, kind) for each in tried)} == set()


def test_the_guard_waits_for_nothing_until_it_is_asked(monkeypatch):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    guard = UpdateGuard(torch.optim.SGD([weight], lr=1.0, momentum=0.5))
    waited = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, lambda self, name=name: waited.append(name))
    guard.step(torch.tensor(True))
    guard.step(torch.tensor(False))
    assert not waited
    with pytest.raises(TypeError):
        guard.check()
    assert waited == ["tolist"]


def test_what_was_kept_is_a_copy():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    guard = UpdateGuard(optimizer)
    weight.grad = torch.ones(2)
    guard.step(torch.tensor(True))
    before = copy.deepcopy(optimizer.state_dict()["state"])
    weight.grad = torch.full((2,), torch.nan)
    guard.step(torch.tensor(True))
    after = optimizer.state_dict()["state"]
    for name, value in before[0].items():
        assert torch.equal(after[0][name], value)

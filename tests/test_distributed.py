"""Two and four processes against one: gamma, weights, loss and gradient of the global batch."""

from __future__ import annotations

import os
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from isr_theory.logspace import WHOLE
from isr_theory.training import ISReshapeLoss, NonFiniteUpdateError, Ranks, UpdateGuard
from isr_theory.weights import METHODS

torch.set_num_threads(1)

N, GROUPS, WIDTH = 90, 11, 5
# Unequal shards, one of them empty.
EDGES = {2: (0, 23, N), 4: (0, 31, 31, 80, N)}
# Sums of 90 terms of order 1 in another order, and a root as well conditioned as they are.
TOLERANCE = 1e-12

SETTINGS = {
    **{method: {"method": method} for method in METHODS},
    "fixed": {"gamma": 0.3},
    "batch": {"normalisation": "batch"},
    "none": {"normalisation": "none"},
    "boxcox": {"form": "boxcox"},
    "reward": {"reward_normaliser": True, "method": "exact"},
    "mean": {"baseline": "mean"},
    "control": {"baseline": "control"},
    "sft": {"weight": "sft"},
}


def data(name):
    """Features, log mu, rewards and groups; weights of 0 where gamma's methods must expect them."""
    rng = np.random.default_rng(7)
    features = torch.tensor(rng.standard_normal((N, WIDTH)))
    # Cubes, so that log w is not normal and `auto` has something to decide.
    log_mu = torch.tensor(-4 + rng.standard_normal(N) ** 3)
    if name in ("exact", "auto"):
        log_mu[[3, 50]] = torch.inf
    return features, log_mu, torch.tensor(rng.random(N)), torch.tensor(rng.integers(0, GROUPS, N))


def log_pi_of(model, features, log_mu):
    """Log pi from a model; -inf where the weight is to be 0."""
    log_pi = model(features)[:, 0] - 4
    zero = log_mu == torch.inf
    return torch.where(zero, -torch.inf, log_pi), torch.where(zero, -4.0, log_mu)


def model_at_start():
    torch.manual_seed(3)
    return torch.nn.Linear(WIDTH, 1).double()


def run_parts(loss, name, mine, cuts, **plan_arguments):
    """One rank's loss and gradients, in micro-batches cut at `cuts`."""
    model = model_at_start()
    features, log_mu, rewards, groups = (part[mine] for part in data(name))
    log_pi, log_mu = log_pi_of(model, features, log_mu)
    if not loss.uses_groups:
        groups = None
    plan = loss.plan(log_pi, log_mu, rewards, groups=groups, n_groups=GROUPS, **plan_arguments)
    leaf = log_pi.detach().requires_grad_(True)
    total = torch.zeros((), dtype=torch.float64)
    for part in np.split(np.arange(len(leaf)), cuts):
        value, metrics = loss(
            *(each[part] for each in (leaf, log_mu, rewards)),
            groups=None if groups is None else groups[part],
            plan=plan,
        )
        value.backward()
        total += value.detach()
    log_pi.backward(leaf.grad)
    gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    return {
        "loss": total,
        "gradient": gradient,
        "weights": leaf.grad,
        "metrics": {k: v for k, v in metrics.items() if k != "loss"},
    }


def joined(pieces, world):
    """The pieces of all ranks in one, in order."""
    out = [None] * world
    distributed.all_gather_object(out, pieces)
    return out


def with_ddp(rank, world):
    """The gradient where DistributedDataParallel averages it, and the loss is scaled for that."""
    loss = ISReshapeLoss(method="exact")
    mine = slice(*EDGES[world][rank : rank + 2])
    features, log_mu, rewards, groups = (part[mine] for part in data("ddp"))
    model = DistributedDataParallel(model_at_start())
    log_pi = model(features)[:, 0] - 4
    over = Ranks(averaged=True)
    plan = loss.plan(log_pi, log_mu, rewards, groups=groups, n_groups=GROUPS, over=over)
    loss(log_pi, log_mu, rewards, groups=groups, plan=plan)[0].backward()
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()])


def with_a_nan_on_the_last_rank(rank, world):
    """Whether the metric tells every rank, and whether a guard keeps every rank from the step."""
    log_pi = torch.zeros(3, requires_grad=True)
    poison = torch.tensor([0.0, torch.nan if rank == world - 1 else 0.0, 0.0])
    plan = ISReshapeLoss().plan(log_pi + poison, torch.zeros(3), over=Ranks())
    optimizer = torch.optim.SGD([log_pi], lr=1.0)
    guard = UpdateGuard(optimizer, over=Ranks())
    log_pi.grad = torch.ones(3)
    stepped = guard.step(torch.tensor(rank != world - 1))
    try:
        guard.check()
        raised = False
    except NonFiniteUpdateError:
        raised = True
    kept = bool((log_pi == 0).all())
    return bool(plan.metrics["finite"]), bool(stepped), kept, raised


def refusals(rank, world):
    """What each rank says of a batch that the last rank has something else of."""
    last, size = rank == world - 1, 4
    zeros, plain = torch.zeros(size), {"n_groups": 3, "groups": torch.zeros(size).long()}
    ones = torch.ones(size)
    cases = {
        "bad value": ((zeros, zeros, ones * (torch.nan if last else 1)), plain),
        "bad shape": ((zeros, zeros[: size - last]), plain),
        "bad type": ((zeros, [0.0] if last else zeros), plain),
        "n_groups": ((zeros, zeros), {**plain, "n_groups": 3 + last}),
        "bits": ((zeros.double() if last else zeros, zeros), plain),
        "rewards": ((zeros, zeros, ones if last else None), plain),
        "groups": ((zeros, zeros), {} if last else {**plain, "n_groups": 1}),
    }
    said = {}
    for name, (given, named) in cases.items():
        try:
            ISReshapeLoss().plan(*given, **named, over=Ranks())
            said[name] = ""
        except (TypeError, ValueError) as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


def with_tokens(rank, world):
    """The gradient of tokens where one rank has none, joined; without ranks, of all of them."""
    log_pi, log_mu, mask, rewards = token_data()
    edges = EDGES[world] if world > 1 else (0, N)
    mine = slice(*edges[rank : rank + 2])
    if world == 2 and rank == 0:
        mine = slice(0, 0)
    if world == 2 and rank == 1:
        mine = slice(0, N)
    leaf = log_pi[mine].requires_grad_(True)
    loss = ISReshapeLoss(weight="gmpo", normalisation="group")
    given = (leaf, log_mu[mine], rewards[mine], mask[mine])
    plan = loss.plan(*given, over=Ranks() if world > 1 else WHOLE)
    loss(*given, plan=plan)[0].backward()
    return leaf.grad


def token_data():
    rng = np.random.default_rng(8)
    log_mu = torch.tensor(-2 + 0.1 * rng.standard_normal((N, 6)))
    log_pi = log_mu + torch.tensor(0.3 * rng.standard_normal((N, 6)))
    mask = torch.arange(6) < torch.tensor(rng.integers(1, 7, N))[:, None]
    return log_pi, log_mu, mask, torch.tensor(rng.random(N))


def worker(rank, world, folder):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # The processes are all here, whatever this machine's name leads to.
    os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    mine = slice(*EDGES[world][rank : rank + 2])
    size = mine.stop - mine.start
    found = {}
    for name, settings in SETTINGS.items():
        loss = ISReshapeLoss(**settings)
        pieces = run_parts(loss, name, mine, (size // 3, size // 2), over=Ranks())
        found[name] = joined(pieces, world)
    found["ddp"] = joined(with_ddp(rank, world), world)
    found["nan"] = joined(with_a_nan_on_the_last_rank(rank, world), world)
    found["refusals"] = joined(refusals(rank, world), world)
    found["tokens"] = joined(with_tokens(rank, world), world)
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")
    # Nobody leaves while another still listens.
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module", params=sorted(EDGES), ids="{} processes".format)
def found(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(worker, (request.param, str(folder)), nprocs=request.param)
    return torch.load(folder / "found.pt", weights_only=True)


@pytest.fixture(scope="module")
def alone():
    return {
        name: run_parts(ISReshapeLoss(**settings), name, slice(0, N), ())
        for name, settings in SETTINGS.items()
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_any_sharding_gives_the_global_batch(found, alone, name):
    ranks, whole = found[name], alone[name]
    for pieces in ranks:
        assert pieces["metrics"].keys() == whole["metrics"].keys()
        for key, metric in whole["metrics"].items():
            # Every rank has the same numbers, to the last bit.
            assert torch.equal(pieces["metrics"][key], ranks[0]["metrics"][key]), key
            torch.testing.assert_close(pieces["metrics"][key], metric, rtol=TOLERANCE, atol=0)
    close = {"rtol": TOLERANCE, "atol": TOLERANCE}
    torch.testing.assert_close(sum(pieces["loss"] for pieces in ranks), whole["loss"], **close)
    weights = torch.cat([pieces["weights"] for pieces in ranks])
    torch.testing.assert_close(weights, whole["weights"], **close)
    gradient = sum(pieces["gradient"] for pieces in ranks)
    torch.testing.assert_close(gradient, whole["gradient"], **close)
    assert float(gradient.abs().max()) > 1e-2


def test_gamma_is_not_that_of_a_shard(found, alone):
    for name in METHODS:
        gamma = float(alone[name]["metrics"]["gamma"])
        part = run_parts(ISReshapeLoss(method=name), name, slice(0, 23), ())
        assert abs(float(part["metrics"]["gamma"]) - gamma) > 1e-3
        assert float(found[name][0]["metrics"]["gamma"]) == pytest.approx(gamma, rel=TOLERANCE)


def test_averaging_by_ddp_gives_the_gradient_of_the_global_batch(found):
    loss = ISReshapeLoss(method="exact")
    model = model_at_start()
    features, log_mu, rewards, groups = data("ddp")
    loss(model(features)[:, 0] - 4, log_mu, rewards, groups=groups)[0].backward()
    expected = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    for gradient in found["ddp"]:
        torch.testing.assert_close(gradient, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_nan_on_one_rank_stops_all(found):
    assert found["nan"] == [(False, False, True, True)] * len(found["nan"])


def test_all_ranks_raise_where_one_has_to(found):
    *others, last = found["refusals"]
    assert last["bad value"] == "ValueError: rewards[0] is nan: finite numbers are allowed"
    assert "log_mu must have the shape (4,), not (3,)" in last["bad shape"]
    assert "TypeError: log_mu must be a tensor of floats, not list" in last["bad type"]
    for rank in others:
        for name in ("bad value", "bad shape", "bad type"):
            assert "another rank refused its part" in rank[name]
    for rank in found["refusals"]:
        assert "n_groups must be the same on all ranks, not 3 on one and 4 on" in rank["n_groups"]
        assert "must be the same on all ranks, not 32 on one and 64 on" in rank["bits"]
        assert "rewards must be the same on all ranks, not None on one and given" in rank["rewards"]
        assert "groups must be the same on all ranks, not None on one and given" in rank["groups"]


def test_a_rank_may_have_no_rows_of_tokens(found):
    whole = with_tokens(0, 1)
    shards = torch.cat(found["tokens"])
    torch.testing.assert_close(shards, whole, rtol=TOLERANCE, atol=TOLERANCE)


def test_ranks_need_a_process_group():
    with pytest.raises(RuntimeError, match="init_process_group first"):
        Ranks()


class Pretended:
    """Shards that are not whole, as far as the loss can tell."""

    def added(self, *parts):
        return parts

    def largest(self, part):
        return part


def test_shared_groups_need_their_number():
    log_pi, groups = torch.zeros(3), torch.tensor([0, 1, 1])
    with pytest.raises(ValueError, match="n_groups must be given"):
        ISReshapeLoss().plan(log_pi, log_pi, groups=groups, over=Pretended())
    with pytest.raises(ValueError, match=r"groups\[1\] is 1: 0 to 0 are allowed"):
        ISReshapeLoss().plan(log_pi, log_pi, groups=groups, n_groups=1, over=Pretended())
    with pytest.raises(ValueError, match="mode='paper' has no plan"):
        ISReshapeLoss(mode="paper").plan(log_pi, log_pi)

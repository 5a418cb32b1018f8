"""Real bandit logs: reading, estimators against their lines, what intervals cover, learning."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pytest
import torch

from experiments import command, data, evaluation
from experiments.bandit import open_bandit_learning as learning
from isr_theory.training.atlas import View
from isr_theory.weights import gamma_star

RNG = np.random.default_rng(20)
LOG_W = RNG.standard_normal(400)
REWARD = (RNG.random(400) < 0.2) * RNG.random(400)
W = np.exp(LOG_W)
N = len(W)
# Each line is the estimator written out.
LINES = {
    "ips": np.mean(W * REWARD),
    "snips": np.sum(W * REWARD) / np.sum(W),
    "gamma 0": np.mean(REWARD),
    "gamma 0.25": np.sum(W**0.25 * REWARD) / np.sum(W**0.25),
    "gamma 0.5": np.sum(np.sqrt(W) * REWARD) / np.sum(np.sqrt(W)),
    "gamma 0.75": np.sum(W**0.75 * REWARD) / np.sum(W**0.75),
    "tis": np.mean(np.minimum(W, 2) * REWARD),
    "ionides": np.mean(np.minimum(W, np.sqrt(N) * W.mean()) * REWARD),
    "sub_gaussian": np.mean(W / (0.5 + 0.5 * W) * REWARD),
    "dros": np.mean(W / (W**2 + 1) * REWARD),
    "log_smoothing": np.mean(np.sqrt(N) * np.log(1 + W * REWARD / np.sqrt(N))),
}


@pytest.mark.parametrize("name", LINES)
def test_an_estimator_is_its_line(name):
    found = evaluation.estimators(0.3)[name](LOG_W, REWARD)
    assert found.value == pytest.approx(LINES[name], rel=1e-12)
    assert found.fitted is None


def test_rows_of_a_batch_are_logs_of_their_own():
    rows = np.stack([LOG_W, LOG_W[::-1] - 1, 2 * LOG_W])
    rewards = np.stack([REWARD, REWARD, REWARD[::-1]])
    for name, method in evaluation.estimators(0.3).items():
        batch = method(rows, rewards)
        for i in range(3):
            alone = method(rows[i][None], rewards[i][None])
            assert batch.value[i] == pytest.approx(alone.value[0], rel=1e-12), name
            if batch.fitted is not None:
                assert batch.fitted[i] == pytest.approx(alone.fitted[0], rel=1e-9), name


def test_gamma_is_fitted_to_its_target():
    wide = 2 * LOG_W
    closed = evaluation.at_target("lognormal", 0.3)(wide, REWARD)
    assert closed.fitted == pytest.approx(np.sqrt(-np.log(0.3)) / wide.std(), rel=1e-12)
    exact = evaluation.at_target("exact", 0.3)(wide, REWARD)
    assert evaluation.reached(wide, exact.fitted) == pytest.approx(0.3, rel=1e-9)
    own = np.exp(float(exact.fitted) * wide)
    assert exact.value == pytest.approx(np.sum(own * REWARD) / np.sum(own), rel=1e-12)


def test_a_tuned_parameter_has_the_least_estimated_error():
    grid = (0.5, 2.0, 8.0, 1e6)
    errors = []
    for top in grid:
        rows = np.minimum(W, top) * REWARD
        errors.append((rows.mean() - LINES["ips"]) ** 2 + rows.var() / N)
    found = evaluation.tuned("tis", "C", grid)(LOG_W, REWARD)
    assert found.fitted == grid[int(np.argmin(errors))]
    assert found.value == pytest.approx(np.mean(np.minimum(W, found.fitted) * REWARD), rel=1e-12)


def test_the_error_by_the_delta_method_is_that_of_many_logs():
    # 2,000 logs of 400 rows. A standard deviation of 2,000 is known to 1.6%, and the formula,
    # whose own spread from log to log is averaged out, is a limit: 1/400 times a few from it.
    rng = np.random.default_rng(3)
    log_w = 0.7 * rng.standard_normal((2000, 400))
    reward = (rng.random(log_w.shape) < 0.3).astype(float)
    values = evaluation.flattened(log_w, reward, np.full(2000, 0.5))
    predicted = [
        evaluation.flattened_error(a, b, 0.5) for a, b in zip(log_w[:200], reward, strict=False)
    ]
    assert np.mean(predicted) == pytest.approx(values.std(), rel=0.08)


def test_bootstrap_intervals_cover_the_truth():
    # 200 synthetic logs whose truth is 0.1 exactly. A 95% percentile interval of 50 or so clicks
    # covers a little less: with 92% to 96% of them 184 to 192 hold, and four sigma are 16 below.
    method = {"snips": evaluation.self_normalised(1.0)}
    held = {"snips": 0, "logger": 0}
    for seed in range(200):
        logged = data.synthetic(600, seed=seed, rate=0.1)
        log_w, reward = logged.log_w, logged.bts.click
        found = evaluation.bootstrap(method, log_w, reward, 300, seed=seed)["snips"]
        whole = method["snips"](log_w, reward).value
        _, low, high = evaluation.interval(float(whole), found.value)
        held["snips"] += low <= 0.1 <= high
        clicks = evaluation.bootstrap_mean(reward, 300, seed)
        held["logger"] += bool(np.quantile(clicks, 0.025) <= 0.1 <= np.quantile(clicks, 0.975))
    assert 168 <= held["snips"] <= 200
    # The logger's own click rate is another policy's value, and its interval shows it.
    assert held["logger"] < 120


def test_replicates_are_drawn_in_chunks_of_the_same_stream():
    chunks = list(evaluation.resampled(evaluation.CHUNK // 4, 10, seed=5))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]
    whole = np.random.default_rng(5).integers(evaluation.CHUNK // 4, size=(10, chunks[0].shape[1]))
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_a_synthetic_campaign_is_what_it_says():
    logged = data.synthetic(20_000, seed=1, rate=0.2)
    assert logged.bts.propensity.min() > 0
    # Weights have mean 1 where mu reaches every item: five errors of the mean.
    w = np.exp(logged.log_w)
    assert w.mean() == pytest.approx(1.0, abs=5 * w.std() / np.sqrt(len(w)))
    error = np.sqrt(0.2 * 0.8 / 20_000)
    assert logged.random.click.mean() == pytest.approx(0.2, abs=5 * error)
    assert logged.bts.click.mean() > 0.2 + 5 * error
    assert (logged.random.propensity == 1 / 6).all()
    for log in (logged.bts, logged.random):
        assert set(np.unique(log.position)) == {0, 1, 2}
        assert (log.features.max(axis=0) < logged.levels).all()


def test_missing_data_stop_the_run_and_say_how_to_get_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "FOLDER", tmp_path / "nothing")
    arguments = ["open_bandit", "--jobs", "1", "--fresh", "--out", str(tmp_path / "out")]
    assert command.main("experiments.bandit", arguments) == 2
    assert "python -m experiments.data open-bandit" in capsys.readouterr().err
    assert not (tmp_path / "out" / "open_bandit.json").exists()


COLUMNS = ("position", "item_id", "click", "propensity_score", *data.FEATURES)


def wheel_of(folder, campaigns):
    """Write a wheel with tables of the published form, and return their digests."""
    digests = {}
    with zipfile.ZipFile(folder / "obp-0.4.1-py3-none-any.whl", "w") as wheel:
        for (policy, campaign), rows in campaigns.items():
            lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]
            content = "\n".join(lines).encode() + b"\n"
            wheel.writestr(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv", content)
            digests[policy, campaign] = hashlib.sha256(content).hexdigest()
    return digests


def test_a_published_log_is_read_and_checked(tmp_path, monkeypatch):
    bts = [(1, 3, 0, 0.5, "aa", "x", "p", "q"), (3, 33, 1, 0.25, "bb", "x", "p", "q")]
    random = [(2, 0, 1, 1 / 34, "cc", "x", "p", "q"), (2, 1, 0, 1 / 34, "aa", "y", "p", "q")]
    digests = wheel_of(tmp_path, {("bts", "men"): bts, ("random", "men"): random})
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    with pytest.raises(data.MissingData, match="holds another bts/men"):
        data.open_bandit("men")
    monkeypatch.setattr(data, "DIGESTS", digests)
    logged = data.open_bandit("men")
    assert logged.items == 34
    assert logged.levels == (3, 2, 1, 1)
    assert logged.bts.position.tolist() == [0, 2]
    assert logged.bts.item.tolist() == [3, 33]
    assert logged.bts.click.tolist() == [0.0, 1.0]
    # Features are coded alike in both logs.
    assert logged.bts.features[:, 0].tolist() == [0, 1]
    assert logged.random.features[:, 0].tolist() == [2, 0]
    np.testing.assert_allclose(logged.log_w, np.log([2 / 34, 4 / 34]), rtol=1e-12)


def small_task():
    return learning.task(data.synthetic(400, seed=2))


def test_rows_are_split_and_their_contexts_described():
    logged = data.synthetic(400, seed=2)
    task = learning.task(logged)
    assert len(task.teach.at) == 280
    assert len(task.choose.at) == 120
    assert len(task.judge.at) == 400
    assert float(task.weight.sum()) == pytest.approx(1.0, abs=1e-12)
    clicks = float(task.teach.click.sum() + task.choose.click.sum())
    assert clicks == logged.bts.click.sum()
    # A row's context is its own position and features, one-hot.
    i = 5
    row = task.design[task.judge.at[i] // task.items]
    expected = [0.0] * 8
    expected[logged.random.position[i]] = 1.0
    expected[3 + logged.random.features[i, 0]] = 1.0
    expected[5 + logged.random.features[i, 1]] = 1.0
    assert row.tolist() == expected
    assert int(task.judge.at[i] % task.items) == logged.random.item[i]


def gradient_of(value, table):
    (found,) = torch.autograd.grad(value, table)
    return found


def viewed(task, table):
    log_pi = learning.log_policy(task, table).flatten(1)[:, task.teach.at]
    shape = log_pi.shape
    return View(
        log_pi, task.teach.log_mu.expand(shape), task.teach.click.expand(shape), log_pi.detach()
    )


# The weight on r grad log pi of each row, over n, written out.
WEIGHTS = {
    "gamma 0": lambda w, r: torch.ones_like(w),
    "gamma 0.5": lambda w, r: w.sqrt() / w.sqrt().mean(-1, keepdim=True),
    "gamma 1": lambda w, r: w / w.mean(-1, keepdim=True),
    "tis": lambda w, r: w.clamp(max=2.0),
    "sub_gaussian": lambda w, r: w / (0.5 + 0.5 * w),
    "dros": lambda w, r: w / (w**2 + 1),
    "log_smoothing": lambda w, r: w / (1 + w * r / w.shape[-1] ** 0.5),
}


@pytest.mark.parametrize("method", WEIGHTS)
def test_what_is_learned_follows_the_stated_weight(method):
    task = small_task()
    table = torch.randn((1, 2, 8, 6), dtype=torch.float64, generator=seeded(4)).requires_grad_()
    view = viewed(task, table)
    got = gradient_of(learning.objective(method, 0.3)(view).mean(-1).sum(), table)
    weight = WEIGHTS[method](view.log_w.exp().detach(), view.reward)
    expected = gradient_of(
        (weight * view.reward * viewed(task, table).log_pi).mean(-1).sum(), table
    )
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-14)


def test_an_adaptive_gamma_is_each_runs_own():
    task = small_task()
    table = 2 * torch.randn((1, 2, 8, 6), dtype=torch.float64, generator=seeded(5))
    table.requires_grad_()
    view = viewed(task, table)
    got = gradient_of(learning.objective("gamma* exact", 0.3)(view).mean(-1).sum(), table)
    log_w = view.log_w.detach()
    gamma = torch.as_tensor(np.array([gamma_star(x.numpy(), 0.3, method="exact") for x in log_w]))
    assert float(gamma.min()) < 1
    own = torch.softmax(gamma[:, None] * log_w, dim=-1)
    expected = gradient_of((own * view.reward * viewed(task, table).log_pi).sum(), table)
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-14)


def test_the_quotient_is_differentiated_whole():
    task = small_task()
    table = torch.randn((1, 1, 8, 6), dtype=torch.float64, generator=seeded(6)).requires_grad_()
    got = gradient_of(learning.objective("snips", 0.3)(viewed(task, table)).mean(-1).sum(), table)
    view = viewed(task, table)
    w = view.log_w.exp()
    expected = gradient_of((w * view.reward).sum() / w.sum(), table)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-14)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_adam_is_torchs_with_a_rate_for_each_run():
    start = torch.randn((2, 3, 1, 1), dtype=torch.float64, generator=seeded(7))
    rates = torch.tensor([0.02, 0.1], dtype=torch.float64)[:, None, None, None]
    table = start.clone().requires_grad_()
    ours = learning.Adam(table, rates)
    each = [start[i].clone().requires_grad_() for i in range(2)]
    theirs = [torch.optim.Adam([x], lr=float(rate)) for x, rate in zip(each, rates, strict=True)]
    for _ in range(20):
        ours.step(gradient_of((table - 1).pow(4).sum(), table))
        for x, optimiser in zip(each, theirs, strict=True):
            optimiser.zero_grad()
            (x - 1).pow(4).sum().backward()
            optimiser.step()
    torch.testing.assert_close(table, torch.stack(each), rtol=1e-12, atol=1e-14)


def test_rows_without_a_click_count_in_the_resampling():
    # 5 clicked rows of 50, worth 1 to 5: the mean of a resampling has variance Var(x)/50.
    own = np.arange(1.0, 6.0)
    counts = learning._counts(5, 50)
    means = counts @ own / 50
    whole = np.concatenate([own, np.zeros(45)])
    # 20,000 resamplings give a standard deviation to 0.5%; five of that.
    assert means.std() == pytest.approx(whole.std() / np.sqrt(50), rel=0.025)
    value, low, high = learning._judged(own, counts, 50, 0.95)
    assert value == pytest.approx(0.3, abs=1e-15)
    assert low == np.quantile(means, 0.025)
    assert high == np.quantile(means, 0.975)


def test_sides_are_counted_as_the_series_says():
    # A skewed law below its target, the same above, and one whose cumulants are small.
    found = {
        "gamma": torch.tensor([[0.5, 0.5, 0.5, 1.0]]),
        "ess": torch.tensor([[0.1, 0.5, 0.1, 0.1]]),
        "skewness": torch.tensor([[2.0, 2.0, 0.01, 2.0]]),
        "kurtosis": torch.zeros(1, 4),
    }
    sides = learning._sides(0.3, found)
    assert (sides["counted"], sides["right"], sides["above"]) == (2, 1, 1)

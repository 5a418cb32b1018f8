"""Real bandit logs: reading them, each estimator against its line, and what intervals cover."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pytest

from experiments import command, data, evaluation

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

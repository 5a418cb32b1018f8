"""A log on a real Dask cluster: worker processes, one of which is killed, and the same answer."""

from __future__ import annotations

import os
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster

from isr_theory.diagnose.cluster import tally_log
from isr_theory.diagnose.reading import Columns, LogError, pieces, resolve

FILES, ROWS = 24, 150_000


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    for k in range(FILES):
        rng = np.random.default_rng(k)
        columns = {
            "log_w": (1 + k / 10) * rng.standard_normal(ROWS),
            "reward": rng.random(ROWS),
            "step": np.full(ROWS, k),
        }
        pq.write_table(pa.table(columns), folder / f"{k:02}.parquet")
    found = pieces([str(folder)])
    return found, resolve(found, Columns(by=("step",)))


def assert_same(one, other):
    """Bit for bit, whoever made the tallies: they are merged in the order of the pieces."""
    for a, b in ((one.whole, other.whole), *_cells(one, other)):
        assert (a.n, a.mean, a.powers) == (b.n, b.mean, b.powers)
        np.testing.assert_array_equal(a.bins.sums, b.bins.sums)
        np.testing.assert_array_equal(a.top, b.top)
    assert (one.read, one.bad_count) == (other.read, other.bad_count)


def _cells(one, other):
    left, right = one.strata["step"].labelled(), other.strata["step"].labelled()
    assert [label for label, _ in left] == [label for label, _ in right]
    return [(a, b) for (_, a), (_, b) in zip(left, right, strict=True)]


def test_a_killed_worker_changes_nothing(log):
    found, layout = log
    alone = tally_log(found, layout)
    assert alone.whole.n == FILES * ROWS
    killed = []
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        workers = client.run(os.getpid)

        def kill_one(piece, done):
            if not killed:
                killed.append(next(iter(workers.values())))
                os.kill(killed[0], signal.SIGKILL)

        among = tally_log(found, layout, scheduler=cluster.scheduler_address, progress=kill_one)
        after = set(client.run(os.getpid).values())
    assert killed
    assert killed[0] not in after
    assert_same(alone, among)


def test_processes_of_its_own_give_the_same(log):
    found, layout = log
    assert_same(tally_log(found, layout), tally_log(found, layout, jobs=2))


def test_a_scheduler_that_is_not_there_is_named(log, monkeypatch):
    found, layout = log
    monkeypatch.setattr("isr_theory.diagnose.cluster.PATIENCE", "500ms")
    with pytest.raises(LogError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        tally_log(found, layout, scheduler="tcp://127.0.0.1:9")

"""Runs of experiments: kept cell by cell, resumed, refused where settings differ, written whole."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from saying import INTERRUPTED

from experiments import command, kept, runs, workers
from experiments.runs import Cell, Experiment, OtherSettings, Store

ROOT = Path(__file__).parent.parent
ALL = command.experiments_of("experiments.bandit")


@dataclass(frozen=True)
class Settings:
    count: int = 4
    scale: float = 2.0


def cells(settings):
    return [Cell(f"cell {i}", {"i": i}) for i in range(settings.count)]


def run(settings, i):
    return {"value": settings.scale * i}


def summarise(settings, found):
    return {"total": sum(cell["value"] for cell in found.values())}


EXPERIMENT = Experiment("sample", "a sample", Settings(), Settings(2), cells, run, summarise)


def complete(store):
    found, missing = runs.missing(store)
    found |= dict(workers.run_cells(store, missing, module=__name__))
    return store.finish(found)


def test_a_run_goes_on_where_it_stopped(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    going = workers.run_cells(store, cells(Settings()), module=__name__)
    next(going), next(going)
    going.close()
    found, missing = runs.missing(store)
    assert list(found) == ["cell 0", "cell 1"]
    assert [cell.key for cell in missing] == ["cell 2", "cell 3"]
    document = complete(store)
    assert document["summary"] == {"total": 12.0}
    assert json.loads(store.whole.read_text()) == document
    assert not store.parts.exists()
    # A finished run has nothing left to do, and the same is written again.
    assert runs.missing(store)[1] == []
    assert complete(store) == document


def test_a_line_that_was_cut_short_is_run_again(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    store.keep("cell 0", {"value": 0.0})
    with store.parts.open("a") as file:
        file.write('{"key": "cell 1", "resu')
    assert list(runs.missing(store)[0]) == ["cell 0"]
    assert complete(store)["summary"] == {"total": 12.0}


def test_a_head_that_was_cut_short_is_begun_anew(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    store.parts.write_text('{"experiment": "sam')
    assert runs.missing(store)[0] == {}
    assert complete(store)["summary"] == {"total": 12.0}


@pytest.mark.parametrize("finished", [False, True])
def test_results_of_other_settings_are_refused_by_name(tmp_path, finished):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    if finished:
        complete(store)
    else:
        store.keep("cell 0", {"value": 0.0})
    other = Store(EXPERIMENT, Settings(scale=3.0), tmp_path)
    with pytest.raises(OtherSettings, match=r"sample\..*scale is 2\.0 there and 3\.0 here"):
        runs.missing(other)
    other.begin_anew()
    assert complete(other)["summary"] == {"total": 18.0}


HEAD = '{"experiment": "fixed_point", "settings": {}}'


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("fixed_point.json", '{"experiment": "fixed_p', "is not JSON"),
        ("fixed_point.json", "\x00\xff", "is not JSON"),
        ("fixed_point.json", "[1, 2]", "holds list, not an object"),
        ("fixed_point.json", "{}", "is of None, not of this run"),
        ("fixed_point.json", '{"experiment": "fixed_point"}', "has no settings"),
        ("fixed_point.json", "CELLS", "has no cells"),
        ("fixed_point.cells.jsonl", HEAD + "\n{{}\n{}\n", "line 2 is not JSON"),
        ("fixed_point.cells.jsonl", "HEAD\nHEAD\n", "line 2 is not a cell"),
        ("fixed_point.cells.jsonl", '7\n{"key": "a", "result": {}}\n', "line 1 holds int"),
        ("fixed_point.cells.jsonl", 'HEAD\n{"key": "a", "result": 1}\n', "has no cells"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name, content, why, tmp_path, capsys):
    experiment = importlib.import_module(ALL["fixed_point"]).EXPERIMENT
    head = Store(experiment, experiment.smoke, tmp_path).head()
    content = content.replace("HEAD", json.dumps(head))
    content = content.replace("CELLS", json.dumps({**head, "cells": [1]}))
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    arguments = ["fixed_point", "--smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert command.main("experiments.bandit", arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(str(tmp_path / name))
    assert why in error
    assert command.main("experiments.bandit", [*arguments, "--fresh"]) == 0


def test_two_runs_do_not_write_in_one_place(tmp_path, capsys):
    arguments = ["fixed_point", "--smoke", "--jobs", "1", "--out", str(tmp_path)]
    experiment = importlib.import_module(ALL["fixed_point"]).EXPERIMENT
    lock = Store(experiment, experiment.smoke, tmp_path).lock
    with kept.alone(lock):
        assert command.main("experiments.bandit", arguments) == 2
        error = capsys.readouterr().err
        assert error == f"another run is writing here: it holds {lock}\n"
        # Nor has --fresh taken anything away, and the lock is still there for its holder.
        assert command.main("experiments.bandit", [*arguments, "--fresh"]) == 2
        assert list(tmp_path.iterdir()) == [lock]
    assert command.main("experiments.bandit", arguments) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["fixed_point.json"]


def test_a_lock_that_a_killed_run_left_is_free(tmp_path):
    lock = tmp_path / "a.lock"
    lock.touch()
    with kept.alone(lock):
        # Whoever opened the file that its holder removes must not take it for the lock.
        waiting = os.open(lock, os.O_RDWR)
    with kept.alone(lock), pytest.raises(kept.Unusable, match="another run"), kept.alone(lock):
        raise AssertionError("held twice")
    os.close(waiting)
    assert not lock.exists()


def test_a_cell_is_not_added_to_those_of_other_settings(tmp_path):
    Store(EXPERIMENT, Settings(), tmp_path).keep("cell 0", {"value": 0.0})
    other = Store(EXPERIMENT, Settings(scale=3.0), tmp_path)
    before = other.parts.read_text()
    with pytest.raises(OtherSettings, match=r"scale is 2\.0 there and 3\.0 here"):
        other.keep("cell 1", {"value": 3.0})
    assert other.parts.read_text() == before


def test_a_place_that_cannot_be_written_to_is_an_error_before_the_first_cell(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(workers, "run_cells", None)
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "fixed_point.json").mkdir(parents=True)
    for out in ("file", "file/below", "folder"):
        arguments = ["fixed_point", "--smoke", "--out", str(tmp_path / out)]
        assert command.main("experiments.bandit", arguments) == 2
        assert str(tmp_path / out) in capsys.readouterr().err


def test_a_full_disk_is_an_error_and_what_was_kept_stays(tmp_path, capsys):
    arguments = ["fixed_point", "--smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert command.main("experiments.bandit", arguments) == 0
    whole = (tmp_path / "fixed_point.json").read_text()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        code = command.main("experiments.bandit", [*arguments, "--fresh"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    parts = tmp_path / "fixed_point.cells.jsonl"
    assert code == 2
    assert str(parts) in capsys.readouterr().err
    assert parts.read_text().count("\n") >= 3
    assert command.main("experiments.bandit", arguments) == 0
    assert (tmp_path / "fixed_point.json").read_text() == whole


def test_a_fresh_run_keeps_the_finished_one_until_it_has_finished_itself(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    complete(store)
    before = store.whole.read_text()
    store.begin_anew()
    assert store.found() == {}
    store.keep("cell 0", {"value": 50.0})
    # Stopped here, the next call goes on with the new cells, not with those of the old file.
    assert store.whole.read_text() == before
    assert store.found() == {"cell 0": {"value": 50.0}}
    assert complete(store)["summary"] == {"total": 62.0}
    assert json.loads(store.whole.read_text())["summary"] == {"total": 62.0}
    assert store.found()["cell 0"] == {"value": 50.0}


def test_cells_that_a_finished_run_lacks_are_added_to_it(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    document = complete(store)
    del document["cells"]["cell 1"], document["cells"]["cell 2"]
    store.whole.write_text(json.dumps(document))
    assert [cell.key for cell in runs.missing(store)[1]] == ["cell 1", "cell 2"]
    store.keep("cell 2", {"value": 4.0})
    assert [cell.key for cell in runs.missing(store)[1]] == ["cell 1"]
    assert complete(store)["summary"] == {"total": 12.0}


def test_versions_are_those_of_the_run_that_made_the_cells(tmp_path, monkeypatch):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    made = complete(store)["versions"]
    assert made == runs.versions()
    other = {**made, "torch": "0.0"}
    monkeypatch.setattr(runs, "versions", lambda: other)
    # Nothing is run: nothing is of the other version.
    assert complete(store)["versions"] == made
    store.begin_anew()
    store.keep("cell 0", {"value": 0.0})
    store.keep("cell 1", {"value": 2.0})
    monkeypatch.setattr(runs, "versions", lambda: made)
    document = complete(store)
    assert document["versions"] == [other, made]
    assert complete(store) == document


def test_cells_of_another_root_seed_are_refused(tmp_path):
    complete(Store(EXPERIMENT, Settings(), tmp_path))
    other = dataclasses.replace(EXPERIMENT, root_seed=5)
    with pytest.raises(OtherSettings, match="root_seed is None there and 5 here"):
        Store(other, Settings(), tmp_path).found()


def test_a_summary_has_no_nan_and_its_floats_are_cut():
    assert runs.rounded({"a": [1 / 3, (2,)], "b": None}) == {"a": [0.333333, [2]], "b": None}
    with pytest.raises(ValueError, match="nan"):
        runs.rounded({"a": float("nan")})


def test_two_cells_of_one_key_are_an_error(tmp_path):
    twice = Experiment(
        "twice",
        "",
        Settings(),
        Settings(),
        lambda s: [Cell("a", {}), Cell("a", {})],
        run,
        summarise,
    )
    with pytest.raises(ValueError, match="two cells of one key"):
        runs.missing(Store(twice, Settings(), tmp_path))


def test_what_the_ledger_reads_has_no_cells_but_their_digest(tmp_path):
    document = complete(Store(EXPERIMENT, Settings(), tmp_path))
    path = runs.publish(document, tmp_path)
    short = json.loads(path.read_text())
    assert "cells" not in short
    assert re.fullmatch("[0-9a-f]{64}", short["cells_sha256"])
    assert short["settings"] == {"count": 4, "scale": 2.0}


@pytest.mark.parametrize("name", ALL)
def test_every_experiment_runs_at_its_smallest(name, tmp_path, capsys):
    arguments = [name, "--smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert command.main("experiments.bandit", arguments) == 0
    document = json.loads((tmp_path / f"{name}.json").read_text())
    assert document["summary"]
    assert document["versions"]["torch"]
    assert str(tmp_path / f"{name}.json") in capsys.readouterr().out
    # Again: nothing is run, the same is written.
    before = (tmp_path / f"{name}.json").read_text()
    assert command.main("experiments.bandit", arguments) == 0
    assert (tmp_path / f"{name}.json").read_text() == before


@pytest.mark.parametrize("name", ALL)
def test_committed_results_are_those_of_the_code_and_name_its_seed(name):
    experiment = importlib.import_module(ALL[name]).EXPERIMENT
    store = Store(experiment, experiment.settings)
    # Other settings or another root seed would be refused here.
    assert runs.missing(store)[1] == []
    document = json.loads(store.whole.read_text())
    short = json.loads((runs.LEDGER / f"{name}.json").read_text())
    for found in (document, short):
        assert found["root_seed"] == experiment.root_seed
        assert (found["root_seed"] is None) == (name == "bimodal")
    cells = json.dumps(document["cells"], sort_keys=True).encode()
    assert short["cells_sha256"] == hashlib.sha256(cells).hexdigest()


def test_unknown_names_and_unusual_settings_are_refused(capsys):
    assert command.main("experiments.bandit", ["nothing"]) == 2
    assert "known are" in capsys.readouterr().err
    assert command.main("experiments.bandit", ["fixed_point", "--seeds", "2"]) == 2
    assert "--out" in capsys.readouterr().err


SEEDED = [
    name for name in ALL if hasattr(importlib.import_module(ALL[name]).EXPERIMENT.settings, "seeds")
]


@pytest.mark.parametrize("name", SEEDED)
def test_the_least_seeds_are_enough_and_fewer_are_refused(name, tmp_path, capsys):
    least = importlib.import_module(ALL[name]).EXPERIMENT.least_seeds
    arguments = [name, "--smoke", "--jobs", "1", "--out", str(tmp_path), "--seeds"]
    assert command.main("experiments.bandit", [*arguments, str(least - 1)]) == 2
    assert f"{name} needs at least {least}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert command.main("experiments.bandit", [*arguments, str(least)]) == 0


def test_seeds_are_refused_for_an_experiment_that_has_none(tmp_path, capsys):
    for names in (["bimodal"], ["fixed_point", "bimodal"], []):
        arguments = [*names, "--smoke", "--seeds", "3", "--out", str(tmp_path / "out")]
        assert command.main("experiments.bandit", arguments) == 2
        assert "bimodal has no seeds" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_progress_without_a_terminal_says_how_long_it_takes(tmp_path, capsys, monkeypatch):
    # 100 s have gone at every look: the clock is started once, and looked at once a cell.
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    package = "experiments.bandit"
    arguments = ["fixed_point", "--smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert command.main(package, arguments) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "fixed_point: 1 of 6, 1:40 gone, about 8:20 left"
    assert lines[-1] == "fixed_point: 6 of 6, 10:00 gone, about 0:00 left"
    # Cells that were there took none of this time: the two that are left will take 200 s.
    path = tmp_path / "fixed_point.json"
    document = json.loads(path.read_text())
    document["cells"] = dict(list(document["cells"].items())[:3])
    path.write_text(json.dumps(document))
    assert command.main(package, arguments) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fixed_point: 4 of 6, 1:40 gone, about 3:20 left"


def started(tmp_path, *more):
    words = [sys.executable, "-m", "experiments.bandit", "fixed_point", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [*words, "--jobs", "1", *more], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    parts = tmp_path / "fixed_point.cells.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if parts.exists() and parts.read_text().count("\n") >= 4:
            return process, parts
        time.sleep(0.02)
    raise AssertionError(f"no cell was kept; the process says {process.poll()}")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_loses_at_most_the_cell_in_hand(how, tmp_path):
    process, parts = started(tmp_path, "--seeds", "2")
    os.kill(process.pid, how)
    error = process.communicate(timeout=60)[1]
    if how is signal.SIGINT:
        assert process.returncode in INTERRUPTED
        assert "goes on" in error
    kept = parts.read_text()
    lines = kept[: kept.rfind("\n") + 1].splitlines()
    assert len(lines) >= 4
    arguments = ["fixed_point", "--seeds", "2", "--jobs", "1", "--out", str(tmp_path)]
    assert command.main("experiments.bandit", arguments) == 0
    resumed = json.loads((tmp_path / "fixed_point.json").read_text())
    assert list(resumed["cells"])[:2] == [json.loads(line)["key"] for line in lines[2:4]]
    assert resumed["cells"][json.loads(lines[2])["key"]] == json.loads(lines[2])["result"]


SLOW = """
import dataclasses, os, sys, time
from pathlib import Path
from experiments import command
from experiments.runs import Cell, Experiment

@dataclasses.dataclass(frozen=True)
class Settings:
    seeds: int = 2

def run(settings, i):
    mark = Path(sys.argv[-1], f"started {i}")
    mark.with_suffix(".new").write_text(str(os.getpid()))
    mark.with_suffix(".new").rename(mark)
    time.sleep(3600 * (i > 0))
    return {"i": i}

EXPERIMENT = Experiment(
    "slow", "", Settings(), Settings(),
    lambda settings: [Cell(f"cell {i}", {"i": i}) for i in range(5)], run, lambda s, found: {},
)
"""


def slow_run(tmp_path):
    """Start two workers; every cell but the first sleeps for an hour, until two of them do."""
    package, out = tmp_path / "slow_cells", tmp_path / "out"
    package.mkdir()
    out.mkdir()
    (package / "__init__.py").touch()
    (package / "slow.py").write_text(SLOW)
    (package / "__main__.py").write_text(
        "import sys\nfrom experiments.command import main\n"
        "if __name__ == '__main__':\n    sys.exit(main('slow_cells'))\n"
    )
    words = [sys.executable, "-m", "slow_cells", "slow", "--jobs", "2", "--out", str(out)]
    process = subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    marks = [out / f"started {i}" for i in range(3)]
    parts = out / "slow.cells.jsonl"
    while process.poll() is None and not all(mark.exists() for mark in marks):
        time.sleep(0.02)
    # The head, the versions and a cell: kill -9 may else come in the middle of a line.
    while process.poll() is None and len(kept.lines(parts)) < 3:
        time.sleep(0.02)
    return process, out


def ended(process):
    """Return what it said; whatever still runs holds the pipe open, and then this raises."""
    try:
        return process.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_helps_a_run_ends_with_it(how, tmp_path):
    process, out = slow_run(tmp_path)
    # Ctrl-C reaches every process of the group, kill -9 the run alone.
    (os.killpg if how is signal.SIGINT else os.kill)(process.pid, how)
    error = ended(process)
    assert "Traceback" not in error
    lines = kept.lines(out / "slow.cells.jsonl")
    assert [line["key"] for line in lines[2:]] == ["cell 0"]
    if how is signal.SIGINT:
        assert process.returncode in INTERRUPTED
        assert "goes on" in error


def test_what_was_ready_when_a_run_was_stopped_is_kept_once(tmp_path):
    store = Store(EXPERIMENT, Settings(), tmp_path)
    written, ready, running, failed = (Future() for _ in range(4))
    written.set_result({"value": 0.0})
    ready.set_result({"value": 2.0})
    failed.set_exception(ValueError())
    store.keep("cell 0", {"value": 0.0})
    pending = dict(zip([written, ready, running, failed], cells(Settings()), strict=True))
    workers._keep_finished(store, pending)
    assert [line["key"] for line in kept.lines(store.parts)[2:]] == ["cell 0", "cell 1"]


def test_a_worker_that_dies_is_an_error_and_the_rest_ends(tmp_path):
    process, out = slow_run(tmp_path)
    os.kill(int((out / "started 1").read_text()), signal.SIGKILL)
    error = ended(process)
    assert process.returncode == 1
    assert "Traceback" not in error
    assert "has died" in error
    assert (out / "slow.cells.jsonl").exists()

"""The command of the language-model experiments: presets, a plan, kills, and plain errors."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments import command
from experiments.lm import (
    _command,
    _plan,
    _pretrained,
    _prompts,
    _weights,
    presets,
    recipes,
    smollm2,
    tasks,
    workshop,
)

ROOT = Path(__file__).parent.parent
ALL = command.experiments_of("experiments.lm")
# Raised by peft itself, of a property that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setenv(workshop.VARIABLE, "")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Where everything has run once at smoke's size, in one process."""
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(workshop.VARIABLE, "")
        assert run("--preset", "smoke", "--out", str(folder)) == 0
    return folder


def run(*arguments):
    return _command.main(["--jobs", "1", *arguments])


@pytest.mark.parametrize("name", ALL)
def test_smoke_runs_everything(name, out):
    experiment = importlib.import_module(ALL[name]).EXPERIMENT
    document = json.loads((out / f"{experiment.name}.json").read_text())
    assert document["summary"]
    assert not (out / f"{experiment.name}.cells.jsonl").exists()


@pytest.mark.parametrize("name", ALL)
def test_every_experiment_has_all_presets(name):
    source = importlib.import_module(ALL[name])
    experiment = source.EXPERIMENT
    assert experiment.name == f"lm_{name}"
    assert type(experiment.smoke) is type(experiment.settings)
    assert isinstance(source.GPU, type(experiment.settings))
    assert type(source.GPU) is type(source.GPU_REDUCED)


def test_the_gpu_preset_runs_reduced_on_a_cpu(tmp_path, capsys):
    assert run("--preset", "gpu", "--reduced", "--out", str(tmp_path)) == 0
    assert len(list(tmp_path.glob("lm_*.json"))) == len(ALL)
    shop = workshop.Workshop(tmp_path / "work")
    assert shop.scores(presets.GPU_REDUCED)
    assert recipes.mu_of(presets.GPU_REDUCED).bf16
    assert presets.reduced(presets.GPU) == presets.GPU_REDUCED


def test_a_model_that_is_not_there_is_said_before_anything_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("experiments.lm.models.SMOLLM2", "no-such-package")
    for found, said in (
        (True, "SmolLM2 needs the package no-such-package"),
        (None, "package gguf"),
    ):
        monkeypatch.setattr("experiments.lm.models.find_spec", lambda name, found=found: found)
        assert run("--out", str(tmp_path / "out")) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_said(tmp_path, capsys):
    assert run("smollm2", "--preset", "gpu", "--out", str(tmp_path)) == 2
    assert "--preset gpu needs a CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "smoke"], "need --out DIR"),
        (["chess", "--preset", "smoke"], "unknown: chess; known are"),
        (["--reduced", "--preset", "smoke"], "--reduced is for --preset gpu, not smoke"),
        (["smollm2", "--seeds", "3"], "lm_smollm2 has no seeds"),
        (["smollm2", "--model", "nowhere", "--out", "OUT"], "nowhere holds no model"),
    ],
)
def test_what_makes_no_run_is_refused_in_one_line(arguments, said, tmp_path, capsys):
    given = [str(tmp_path) if word == "OUT" else word for word in arguments]
    assert run(*given) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_dry_run_says_what_it_would_do_and_does_nothing(tmp_path, capsys):
    assert run("--preset", "smoke", "--out", str(tmp_path), "--dry-run") == 0
    said = capsys.readouterr().out
    assert "lm_smollm2: SmolLM2-135M" in said
    assert "1 of 1 cells to run" in said
    assert "in all about" in said
    assert list(tmp_path.iterdir()) == []


def test_a_plan_knows_what_is_there_and_how_large_it_is(tmp_path):
    mu = presets.SMOKE_MU
    model = workshop.models.small(mu.width, mu.layers, mu.heads, 50, 1)
    # Norms are not counted, and the MLP's width is rounded: within 2% of the weights there are.
    counted = sum(p.numel() for p in model.parameters())
    assert _plan.weights(mu) == pytest.approx(counted, rel=0.02)
    assert _plan.weights(presets.SMOKE_MU) <= 30_000
    assert 25e6 <= _plan.weights(presets.GPU_MU) <= 100e6
    assert 0.7e6 <= _plan.weights(presets.CPU.log.mu) <= 1.3e6
    for scores in (presets.SMOKE, presets.CPU, presets.GPU):
        assert all(_plan.seconds(one) > 0 for one in recipes.needs(scores))
    assert all(_plan.seconds(one) < 480 for one in recipes.needs(presets.GPU))


KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from experiments.lm import _command, scoring

def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

scoring.grouped_logits = end
_command.main(["smollm2", "--preset", "smoke", "--jobs", "1", "--out", sys.argv[1]])
"""


def test_a_killed_run_goes_on_to_the_same_results(out, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    kept = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "work").glob("pretrained-*")}
    assert kept == {"pretrained-log", "pretrained-adapter"}
    assert run("smollm2", "--preset", "smoke", "--out", str(tmp_path)) == 0
    mine, theirs = (
        json.loads((folder / "lm_smollm2.json").read_text()) for folder in (tmp_path, out)
    )
    assert mine == theirs


def test_a_corrupt_log_is_named_and_what_was_there_stays(out, tmp_path, capsys):
    shutil.copytree(out / "work", tmp_path / "work")
    (path,) = (tmp_path / "work").glob("pretrained-log-*/log.parquet")
    path.write_bytes(path.read_bytes()[:100])
    before = sorted(tmp_path.rglob("*"))
    assert run("smollm2", "--preset", "smoke", "--out", str(tmp_path)) == 2
    assert "log.parquet is not what was made" in capsys.readouterr().err
    assert [path for path in before if not path.exists()] == []


def test_another_process_starts_with_room_for_tensors():
    code = "from experiments.lm import _command; _command.with_room(); import os; print(os.environ)"
    kept = {k: v for k, v in os.environ.items() if k not in _command.MALLOC}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    )
    assert all(f"'{k}': '{v}'" in done.stdout for k, v in _command.MALLOC.items())


def test_normal_weights_measure_as_the_theory_has_them():
    import numpy as np

    rng = np.random.default_rng(3)
    prompts = np.arange(8_000) // 8
    log_w = rng.normal(-0.5, 1.0, 8_000)
    found = _weights.measured(log_w, -log_w, prompts, 0.7, 20, seed=1)
    assert found["two_scalar"][1] < 1 < found["two_scalar"][2]
    assert found["skewness"][1] < 0 < found["skewness"][2]
    assert all(cell["gap"][1] < 0.02 and cell["gap"][2] > -0.02 for cell in found["ess"])
    # gamma* = sqrt(-log 0.7) = 0.597 for a variance of 1; four deviations of a variance of 8,000.
    assert found["methods"]["lognormal"]["gamma"] == pytest.approx(0.597, abs=0.02)
    assert found["methods"]["exact"]["reached"][0] == pytest.approx(0.7, abs=0.02)


def test_the_settings_of_smollm2_that_a_log_goes_by():
    log = _pretrained.LOGGED
    assert set(log) | set(_pretrained.LEARNED) <= set(smollm2.Settings.__dataclass_fields__)
    assert replace(smollm2.SMOKE, splits=11) != smollm2.SMOKE


def test_prompts_prepared_beforehand_make_the_same_without_the_gym(out, tmp_path, monkeypatch):
    shop = workshop.Workshop(tmp_path / "work")
    _prompts.prepare(tmp_path / "prompts", [presets.SMOKE_LOG], command.Console(quiet=True))
    theirs = workshop.prompts_of(presets.SMOKE_LOG)
    held_out = workshop.prompts_of(presets.SMOKE_LOG, held_out=3)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(command.MissingData, match="chain_sum needs reasoning-gym or prepared"):
        workshop.prompts_of(presets.SMOKE_LOG)
    monkeypatch.setenv(tasks.VARIABLE, str(tmp_path / "prompts"))
    assert workshop.prompts_of(presets.SMOKE_LOG) == theirs
    assert workshop.prompts_of(presets.SMOKE_LOG, held_out=3) == held_out
    # And a whole log, rewards and all.
    log = shop.log(presets.SMOKE_LOG)
    monkeypatch.undo()
    again = workshop.Workshop(tmp_path / "other").log(presets.SMOKE_LOG)
    for name in ("response", "log_mu", "reward", "exact"):
        assert (getattr(log, name) == getattr(again, name)).all()
    monkeypatch.setenv(tasks.VARIABLE, str(tmp_path / "prompts"))
    with pytest.raises(command.MissingData, match="holds too few prompts"):
        tasks.examples("chain_sum", 10**6, seed=presets.SMOKE_LOG.seed)


def test_the_command_prepares_prompts_and_runs_with_them(out, tmp_path, monkeypatch):
    prompts = tmp_path / "prompts"
    monkeypatch.delenv(tasks.VARIABLE, raising=False)
    given = ["smollm2", "--preset", "smoke", "--out", str(tmp_path)]
    assert run(*given, "--prepare", str(prompts)) == 0
    assert not list(tmp_path.glob("lm_*"))
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setenv(tasks.VARIABLE, "")
    assert run(*given, "--prompts", str(prompts)) == 0
    mine, theirs = (
        json.loads((folder / "lm_smollm2.json").read_text()) for folder in (tmp_path, out)
    )
    assert mine["summary"] == theirs["summary"]

"""The workshop: things made once, whole or not at all, and the same after a kill as without one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.kept import Unusable
from experiments.lm import demonstrations, presets, recipes, scoring, vocabulary, workshop
from experiments.lm.logs import summed
from experiments.lm.recipes import name_of
from experiments.lm.workshop import Workshop

ROOT = Path(__file__).parent.parent
MU, LOG, POLICIES = presets.SMOKE_MU, presets.SMOKE_LOG, presets.SMOKE_POLICIES


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    torch.set_num_threads(1)
    made = Workshop(tmp_path_factory.mktemp("work"))
    made.make(presets.SMOKE)
    return made


def test_everything_is_there_and_fits_together(shop):
    log, scores = shop.log(presets.SMOKE.log), shop.scores(presets.SMOKE)
    assert len(log) == sum(LOG.prompts) * LOG.each
    assert log.names == MU.tasks
    assert [name for name, _ in shop.distances(POLICIES)] == ["kl 0.01", "kl 0.1"]
    for (name, _, model), wanted in zip(shop.policies(POLICIES), (0.01, 0.1), strict=True):
        # Scores are of the policy that bears the name.
        np.testing.assert_array_equal(
            scores[name], scoring.score(model, log, presets.SMOKE.batch), err_msg=name
        )
        log_w = summed(scores[name] - log.log_mu, log.mask)
        # -mean log w estimates the same KL with 48 draws of deviation sqrt(2 KL): within 5 of them.
        assert abs(-log_w.mean() - wanted) < 5 * (2 * wanted / 48) ** 0.5
    for name, distance in shop.distances(POLICIES):
        wanted = float(name.split()[1])
        assert abs(distance - wanted) <= 0.02 * wanted


def test_what_is_there_is_not_made_again(shop):
    before = {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*") if path.is_file()}
    said = []
    again = Workshop(shop.folder, said.append)
    again.scores(presets.SMOKE)
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_name_is_of_all_that_a_thing_depends_on():
    deep = replace(presets.SMOKE, policies=replace(POLICIES, log=replace(LOG, seed=9)))
    assert name_of(deep) != name_of(presets.SMOKE)
    assert recipes.needs(presets.SMOKE) == [
        MU,
        LOG,
        POLICIES,
        presets.SMOKE.log,
        presets.SMOKE,
    ]
    assert recipes.mu_of(presets.SMOKE) == MU


def test_a_file_that_has_changed_is_named_and_nothing_is_lost(shop, tmp_path):
    copy = Workshop(tmp_path / "work")
    shutil.copytree(shop.folder, copy.folder)
    place = copy.folder / name_of(LOG)
    path = place / "log.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-9] + b"x" + content[-8:])
    with pytest.raises(Unusable, match=r"log\.parquet is not what was made.*remove its folder"):
        copy.log(LOG)
    path.unlink()
    with pytest.raises(Unusable, match=r"log\.parquet is missing"):
        copy.log(LOG)
    shutil.rmtree(place)
    assert np.array_equal(copy.log(LOG).log_mu, shop.log(LOG).log_mu)
    (place / "made.json").write_text("{")
    with pytest.raises(Unusable, match=r"made\.json cannot be read"):
        copy.log(LOG)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from experiments.lm import presets
from experiments.lm.workshop import Workshop

def say(said):
    if {when!r} in said:
        os.kill(os.getpid(), signal.SIGKILL)

Workshop(Path(sys.argv[1]), say).make({what})
"""


@pytest.mark.parametrize(
    ("what", "when", "recipe"),
    [
        ("presets.SMOKE_MU", "step 6 of 8", MU),
        ("presets.SMOKE_POLICIES", "of 0.1 after", POLICIES),
    ],
)
def test_killed_and_begun_again_it_makes_the_same_bytes(shop, tmp_path, what, when, recipe):
    folder = tmp_path / "work"
    folder.mkdir()
    for earlier in recipes.needs(recipe)[:-1]:
        shutil.copytree(shop.folder / name_of(earlier), folder / name_of(earlier))
    code = KILLED.format(when=when, what=what)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / name_of(recipe)).exists()
    said = []
    made = Workshop(folder, said.append).make(recipe)
    # It did not begin at the beginning.
    assert not any("step 1 of" in line or "of 0.01 after" in line for line in said)
    mine, theirs = (_content(path) for path in (made, shop.folder / name_of(recipe)))
    assert mine.keys() == theirs.keys()
    assert all(mine[name] == theirs[name] for name in mine)


def _content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_checkpoint_that_is_not_whole_is_passed_over(shop, tmp_path):
    words = vocabulary.characters()
    folder = tmp_path / "steps"
    whole = demonstrations.train(MU, words, folder, workshop.quietly)
    newest = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert newest.name == "checkpoint-8"
    content = (newest / "optimizer.pt").read_bytes()
    (newest / "optimizer.pt").write_bytes(content[: len(content) // 2])
    said = []
    again = demonstrations.train(MU, words, folder, said.append)
    assert said[0] == "mu goes on from checkpoint-4"
    for (name, mine), theirs in zip(
        again.state_dict().items(), whole.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name


def test_a_disk_that_is_full_is_said_and_leaves_what_there_was(shop, tmp_path, monkeypatch):
    copy = Workshop(tmp_path / "work")
    shutil.copytree(shop.folder / name_of(MU), copy.folder / name_of(MU))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device.*log\.parquet"):
        copy.log(LOG)
    monkeypatch.undo()
    assert sorted(p.name for p in copy.folder.iterdir() if not p.name.startswith(".")) == [
        name_of(MU)
    ]
    assert len(copy.log(LOG)) == len(shop.log(LOG))


def test_demonstrations_are_wrong_at_the_stated_share():
    rng = np.random.default_rng(0)
    text = "x" * 100_000
    said = demonstrations.corrupted(text, 0.08, "y", rng)
    # Of 100,000 characters 4% are another one, 2% left out, 2% twice: deviations of
    # sqrt(1e5 x .04) = 62 and sqrt(1e5 x .02 x 2) = 63, times 5.
    assert abs(said.count("y") - 4_000) < 310
    assert abs(len(said) - 100_000) < 320
    assert demonstrations.corrupted(text, 0.0, "y", rng) == text


def test_a_recipe_is_written_beside_what_it_made(shop):
    made = json.loads((shop.folder / name_of(MU) / "made.json").read_text())
    assert made["recipe"] == recipes.plain(MU)
    assert any(name.endswith("model.safetensors") for name in made["sha256"])
    assert not any(name.endswith((".pt", ".bin", ".pkl", ".pth")) for name in made["sha256"])


def test_held_out_prompts_are_not_in_the_log():
    logged = {item.prompt for item in workshop.prompts_of(LOG)}
    held_out = workshop.prompts_of(LOG, held_out=5)
    assert len(held_out) == 15
    assert not logged & {item.prompt for item in held_out}

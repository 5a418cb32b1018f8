"""A wheel built from the tree, installed elsewhere, runs the main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_an_installed_wheel_judges_the_whole_paper(tmp_path):
    # Without isolation the build backend is the installed one: nothing is downloaded.
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path),
        cwd=ROOT,
    )
    (wheel,) = tmp_path.glob("*.whl")
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-index", "--target", site, wheel)
    # The target stands before the editable install on the path.
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = run(
        *(sys.executable, "-c", "import isr_theory; print(isr_theory.__file__)"),
        cwd=elsewhere,
        env=environment,
    )
    assert where.stdout.startswith(str(site))
    command = (sys.executable, "-m", "isr_theory.verify", "all", "--json", "run.json")
    done = run(*command, cwd=elsewhere, env=environment)
    written = json.loads((elsewhere / "run.json").read_text(encoding="utf-8"))
    assert written["summary"]["as_expected"] == written["summary"]["claims"] > 140
    # What the README shows is what the command prints.
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split("<!-- output: begin -->")[1].split("<!-- output: end -->")[0]
    lines = [line for line in shown.strip().strip("`").splitlines()[1:] if line.strip()]
    assert len(lines) >= 20
    printed = set(done.stdout.splitlines())
    assert [line for line in lines if line not in printed and not line.endswith(" s.")] == []
    assert (site / "isr_theory" / "py.typed").exists()

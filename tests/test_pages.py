"""What the README and the pages of the site tell a reader to type runs as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
# What would take long, or fetch: the same command at its smallest.
SMALLER = {
    "verify all --json": "verify T8.2 --json",
    "verify all --html": "verify T8.2 --html",
    "verify all --latex": "verify T8.2 --latex",
    "bandit fixed_point --out": "bandit fixed_point --smoke --out",
    "experiments.data open-bandit": "experiments.data --help",
    "--preset smoke --out": "--preset smoke --dry-run --out",
    "lm normality --out": "lm normality --preset smoke --dry-run --out",
    "smollm2 --model PATH --out": "smollm2 --preset smoke --dry-run --out",
    "--preset gpu --out": "--preset gpu --dry-run --out",
    "work/pretrained-scored-*/log.parquet --group prompt": "docs/example_run.csv",
}
WRITTEN = (".json", ".svg", ".html", ".tex", "mine", "report", "look", "card")


def blocks(language, page):
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.S)


def commands(start):
    found = {}
    for page in PAGES:
        for block in blocks("bash", page):
            for line in block.splitlines():
                command = line.split("#")[0].strip()
                if command.startswith(start):
                    found.setdefault(command, page)
    return list(found)


@pytest.mark.parametrize("command", commands("python -m"))
def test_commands_succeed(command, tmp_path):
    for long, small in SMALLER.items():
        command = command.replace(long, small)
    words = [str(tmp_path / w) if w.endswith(WRITTEN) else w for w in shlex.split(command)]
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_commands_to_try():
    assert len(commands("python -m")) >= 10
    # Every line of a bash block is a command of a kind that some test knows.
    known = [*commands("python -m"), *commands("make"), *commands("pip install")]
    assert sorted(known) == sorted(filter(None, commands("")))


@pytest.mark.parametrize("command", commands("make"))
def test_make_knows_what_it_is_asked_for(command):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in command.split()[1:]:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("command", commands("pip install"))
def test_extras_are_there(command):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"(?:isr-theory|\.)\[([\w,]+)\]", command)
    assert extras, command
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", [page for page in PAGES if blocks("python", page)])
def test_code_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    names = {"__name__": "page"}
    for block in blocks("python", page):
        included = re.match(r'--8<-- "(.*)"', block)
        source = (ROOT / included[1]).read_text(encoding="utf-8") if included else block
        exec(compile(source, page, "exec"), names)
    assert len(names) > 2, "nothing was defined"


def test_the_readmes_code_says_what_it_promises(capsys):
    for block in blocks("python", "README.md"):
        exec(compile(block, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "gamma 0.5100 keeps ESS/n at 0.8000" in out
    assert "the paper's closed form says 0.4920" in out
    # The population variance of these four is 3/4 of what section 12.1 takes: sqrt(4/3) * .426076.
    assert "gamma 0.4920, ESS/n" in out


def test_the_guides_code_says_what_it_promises(capsys):
    names = {}
    for block in blocks("python", "docs/choosing-gamma.md"):
        exec(compile(block, "choosing-gamma.md", "exec"), names)
    assert "set by the rule" in capsys.readouterr().out
    assert len(names["gammas"]) == 8


def test_the_page_on_logs_shows_what_is_printed():
    (command,) = (c for c in commands("python -m isr_theory.diagnose docs/") if "--html" not in c)
    words = shlex.split(command)[1:]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    said = [line.rstrip() for line in done.stdout.splitlines()]
    (shown,) = blocks("text", "docs/diagnose.md")
    assert said[: len(shown.splitlines())] == shown.splitlines()


def test_the_page_on_verdicts_shows_what_is_printed():
    command = [sys.executable, "-m", "isr_theory.verify", "T8.3", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=_wide())
    (shown,) = blocks("text", "docs/reading-verdicts.md")
    assert done.stdout.startswith(shown), done.stdout


def _wide():
    return {**os.environ, "COLUMNS": "240"}


def test_the_page_of_benchmarks_is_made_of_what_was_measured():
    command = [sys.executable, "-m", "benchmarks.page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES[page]):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_the_site_builds_with_every_link_and_page_in_place(tmp_path):
    # --strict makes an error of a link, an anchor or a page of the contents that is not there.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**_wide(), "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert "<math" in pages["theory.html"]
    assert 'href="verdicts.html#T8.3.b"' in pages["theory.html"]
    # A long formula must not widen the page of a phone: it is moved on its own.
    assert '<div style="overflow-x: auto"><math' in pages["errata.zh.html"]
    for name, text in pages.items():
        formulas = "".join(re.findall(r"<math.*?</math>", text, re.S))
        assert "\\" not in formulas, (name, "a command of TeX that was not understood")
        assert "arithmatex" not in text, name
        asked = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]+)"', text)
        assert not asked, (name, asked)

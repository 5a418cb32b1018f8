"""The command: selection, options, files, interruption, and what it imports."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from saying import INTERRUPTED

from isr_theory import files, verify
from isr_theory.claim import Route, Verdict
from isr_theory.claims import ledger
from isr_theory.judge import Options, judge
from isr_theory.report import document, markdown

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "isr_theory.verify"]


def call(capsys, *arguments):
    code = verify.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_shows_every_claim(capsys):
    code, out, _ = call(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [claim.id for claim in ledger()]


def test_an_id_means_all_its_parts(capsys):
    code, out, _ = call(capsys, "T8.3", "--jobs", "1")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["T8.3.a", "T8.3.b", "T8.3.b.fix"]


def test_an_unknown_id_names_the_nearest(capsys):
    code, out, err = call(capsys, "T8.9")
    assert (code, out) == (2, "")
    assert "unknown id 'T8.9'; nearest: " in err
    assert "T8.2" in err


USAGE = [
    (["all", "T8.2"], "'all' stands alone"),
    (["explain"], "explain needs an id"),
    (["T8.2", "--check"], "--check and --update go with 'all'"),
    (["all", "--ledger", "missing.py"], "not a Python file"),
    (["T8.2", "--json", "/no/such/folder/run.json"], "No such file or directory"),
    (["T8.2", "--json", "/"], "is a directory"),
    (["T8.2", "--json", os.devnull], "is not a regular file"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE)
def test_usage_errors_say_what_is_wrong(capsys, arguments, words):
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert words in err


def test_a_ledger_without_claims_is_refused(capsys, tmp_path):
    for text, words in (
        ("x = 1\n", "must end in a tuple CLAIMS"),
        ("1/0\n", "ZeroDivisionError"),
        ("CLAIMS = (3,)\n", "must end in a tuple CLAIMS"),
    ):
        path = tmp_path / "ledger.py"
        path.write_text(text)
        code, _, err = call(capsys, "all", "--ledger", str(path))
        assert code == 2
        assert words in err


def test_jobs_must_be_a_positive_number(capsys):
    for text in ("0", "-1", "two"):
        with pytest.raises(SystemExit) as stopped:
            verify.main(["list", "--jobs", text])
        assert stopped.value.code == 2
        assert "whole number from 1" in capsys.readouterr().err


def test_json_holds_the_whole_run(capsys, tmp_path):
    path = tmp_path / "run.json"
    assert call(capsys, "T8.2", "--json", str(path))[0] == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["schema"] == 1
    (claim,) = written["claims"]
    assert {"id", "section", "kind", "statement", "verdict", "expect", "printed_proof"} <= set(
        claim
    )
    assert {"amends", "assumes", "uses", "numbers", "title", "finding"} <= set(claim)
    assert {"incomplete", "findings", "wrong"} <= set(claim)
    assert set(claim["title"]) == {"en", "zh"}
    for finding in claim["findings"]:
        assert {"route", "outcome", "strength", "scope", "witness"} <= set(finding)
    assert written["summary"]["verdicts"] == {"VERIFIED": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_only_files_are_replaced(tmp_path):
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_text("before", encoding="utf-8")
    link.symlink_to(file)
    with pytest.raises(OSError, match="not a regular file"):
        files.write(pipe, "after")
    files.write(link, "after")
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == "after"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]


def test_seed_and_jobs_and_selection_do_not_change_findings(capsys, tmp_path):
    def findings(name, *arguments):
        path = tmp_path / name
        assert call(capsys, *arguments, "--json", str(path))[0] == 0
        claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
        return next(claim for claim in claims if claim["id"] == "T8.2")

    alone = findings("alone", "T8.2", "--jobs", "1")
    together = findings("together", "T8.3.a", "T8.2", "T7.4", "--jobs", "2")
    reseeded = findings("reseeded", "T8.2", "--seed", "7")
    assert alone == together
    assert alone["verdict"] == reseeded["verdict"]


def test_explain_tells_everything(capsys):
    code, out, _ = call(capsys, "explain", "T8.3.b")
    assert code == 0
    for words in (
        "statement",
        "REFUTED",
        "evidence",
        "scope",
        "witness",
        "printed proof",
        "amended",
    ):
        assert words in out


def test_a_terminal_without_chinese_still_gets_the_explanation():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, "explain", "T8.3.b"]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert b"\\u95ed" in done.stdout


def test_falsify_prints_the_matrix(capsys):
    code, out, _ = call(capsys, "falsify", "T8.2")
    assert code == 0
    assert "gamma for gamma squared" in out
    assert "0 survive" in out


def test_a_run_without_torch_names_what_was_skipped(tmp_path):
    # A finder that refuses torch stands for a machine without it.
    program = (
        "import sys, importlib.abc\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "import importlib.util\n"
        "true = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'torch' else true(n, *a)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from isr_theory import verify\n"
        "sys.exit(verify.main(['T4.2.a', '--json', sys.argv[1]]))\n"
    )
    path = tmp_path / "run.json"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    claim = json.loads(path.read_text(encoding="utf-8"))["claims"][0]
    skipped = [finding for finding in claim["findings"] if finding["outcome"] == "skipped"]
    assert done.returncode in (0, 4), done.stderr
    assert skipped
    assert all(finding["detail"] == "torch is not installed" for finding in skipped)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_clear_line_and_no_file(tmp_path, jobs):
    path = tmp_path / "run.json"
    command = [*COMMAND, "all", "--jobs", jobs, "--json", path]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode in INTERRUPTED
    assert err.strip().endswith("verify: interrupted; no file was written")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_helps_a_run_ends_with_it_whatever_it_does(how, tmp_path):
    # Each of the two claims says that it is being judged, by a file, and then takes its time.
    judged = "__import__('pathlib').Path({!r}, str(__import__('os').getpid())).touch()"
    ledger, busy = tmp_path / "slow.py", tmp_path / "busy"
    busy.mkdir()
    own = (ROOT / "docs" / "own_claims.py").read_text(encoding="utf-8")
    asleep = f"    {judged.format(str(busy))}\n    __import__('time').sleep(600)\n"
    ledger.write_text(own.replace("    return symbolic.", f"{asleep}    return symbolic."))
    command = [*COMMAND, "all", "--jobs", "2", "--ledger", ledger]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        while len(list(busy.iterdir())) < 2:
            assert run.poll() is None
            time.sleep(0.05)
        parent = psutil.Process(run.pid)
        helpers = parent.children()
        run.send_signal(how)
        run.wait(timeout=60)
        _, alive = psutil.wait_procs(helpers, timeout=60)
    assert alive == []
    assert run.returncode in (INTERRUPTED if how is signal.SIGINT else (-how,))


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


LIGHT = {
    "import isr_theory": ("torch", "scipy", "matplotlib", "sympy", "flint", "rich"),
    "from isr_theory import verify; verify.main(['list'])": ("torch", "scipy", "matplotlib"),
    "from isr_theory import verify; verify.main(['T7.4', '--no-neural'])": ("torch", "scipy"),
}


@pytest.mark.parametrize("program", LIGHT)
def test_nothing_heavy_is_imported(program):
    heavy = [f"'{name}' in sys.modules" for name in LIGHT[program]]
    text = f"import sys\n{program}\nsys.exit({' or '.join(heavy)})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_version():
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("isr_theory 0.")


def test_the_committed_verdicts_are_what_the_ledger_expects():
    committed = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
    assert {c["id"]: c["verdict"] for c in committed["claims"]} == {
        claim.id: claim.expect.value for claim in ledger()
    }


@pytest.mark.parametrize("page", ["README.md", "docs/verdicts.md", "docs/bandits.md", "docs/lm.md"])
def test_the_tables_are_made_from_the_committed_verdicts(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    committed = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
    assert "<!-- verdicts:" in text
    assert markdown.insert(text, committed) == text


def test_a_changed_document_is_told_apart():
    old = {"claims": [{"id": "A", "verdict": "OPEN"}, {"id": "B", "verdict": "OPEN"}]}
    new = {"claims": [{"id": "B", "verdict": "REFUTED"}, {"id": "C", "verdict": "OPEN"}]}
    assert document.differences(old, new) == ["A: no longer there", "C: new", "B: verdict differ"]


def test_any_other_expectation_turns_the_exit_code():
    (claim,) = verify.select(ledger(), ["T8.2"])
    result = judge(claim, Options())
    assert verify.exit_code([result], [], False) == 0
    for other in set(Verdict) - {claim.expect}:
        assert verify.exit_code([dataclasses.replace(result, expect=other)], [], False) == 1


def test_the_gravest_exit_code_applies():
    (claim,) = verify.select(ledger(), ["T8.2"])
    options = Options(routes=frozenset({Route.CERTIFIED}))
    partial = judge(claim, options)
    assert verify.exit_code([partial], [], False) == 4
    assert verify.exit_code([partial], [], True) == 1
    assert verify.exit_code([partial], ["T9.9"], True) == 3


def test_a_page_may_have_the_predictions_about_one_subject_only():
    committed = json.loads((ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8"))
    page = "<!-- verdicts: predictions{} -->\n<!-- verdicts: end -->\n"
    whole = markdown.insert(page.format(""), committed)
    bandits = markdown.insert(page.format(" BAN"), committed)
    assert "| BAN.fixed |" in bandits
    assert len(bandits.splitlines()) <= len(whole.splitlines())
    none = markdown.insert(page.format(" NONE"), committed)
    # A head and the line under it, between the marks.
    assert len(none.splitlines()) == 4

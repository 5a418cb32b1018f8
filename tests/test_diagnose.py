"""The command `diagnose`: real files in, reports out, and what it says where that cannot be."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from saying import INTERRUPTED

from isr_theory import choose_gamma, weights
from isr_theory.diagnose import cluster, plain, reading
from isr_theory.diagnose.__main__ import main
from isr_theory.diagnose.reading import Columns, Layout, Piece
from isr_theory.diagnose.tally import Tally

N, SIGMA, TOKENS = 20_000, 2.0, 8


def gaussian_log(seed=1, n=N):
    """Log-normal sequence weights with KL(mu||pi) = SIGMA^2 / 2, and columns beside them."""
    rng = np.random.default_rng(seed)
    log_mu = -30 + 5 * rng.standard_normal(n)
    log_w = SIGMA * rng.standard_normal(n) - SIGMA**2 / 2
    return {
        "log_pi": log_mu + log_w,
        "log_mu": log_mu,
        "reward": rng.random(n),
        "length": rng.integers(4, 64, n),
        "step": np.repeat(np.arange(40), n // 40),
        "prompt_id": rng.integers(0, 500, n),
    }


def parquet(path, columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def report(capsys, *given):
    assert main([*given, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_log_whose_truth_is_known(tmp_path, capsys):
    columns = gaussian_log()
    found = report(capsys, parquet(tmp_path / "run.parquet", columns))
    choice = found["choice"]
    truth = math.sqrt(-math.log(0.3)) / SIGMA
    assert choice["method"] == "lognormal"
    # The standard error of a standard deviation is sigma / sqrt(2n): six of them.
    assert choice["gamma"] == pytest.approx(truth, rel=6 / math.sqrt(2 * N))
    assert choice["interval"][0] < truth < choice["interval"][1]
    assert choice["kl"] == pytest.approx(SIGMA**2 / 2, abs=6 * SIGMA / math.sqrt(N))
    assert choice["two_scalar"] == pytest.approx(1, abs=0.15)
    assert found["verdict"][0].startswith("Use gamma = 0.5")
    assert any("Do not use the plain weights" in words for words in found["verdict"])


def test_the_report_is_that_of_the_weights_in_memory(tmp_path, capsys):
    columns = gaussian_log()
    log_w = columns["log_pi"] - columns["log_mu"]
    path = parquet(tmp_path / "run.parquet", columns)
    found = report(capsys, path, "--method", "exact", "--kl-max", "0.5", "--khat-max", "0.6")
    here = choose_gamma(log_w, method="exact", kl_max=0.5, khat_max=0.6)
    there = found["choice"]
    # The sums of a summary are right to 1e-7 of themselves.
    for name in ("gamma", "ess", "sigma2", "skewness", "kurtosis", "kl", "kl_reverse", "khat"):
        assert there[name] == pytest.approx(getattr(here, name), rel=1e-6), name
    assert there["caps"] == pytest.approx(here.caps, rel=1e-6)
    assert there["binding"] == here.binding
    for row in found["effective"]:
        values = log_w if row["gamma"] is not None else log_w / columns["length"]
        gamma = 1.0 if row["gamma"] is None else row["gamma"]
        assert row["kish"] == pytest.approx(weights.ess_ratio(values, gamma), rel=1e-6)
        assert row["perplexity"] == pytest.approx(weights.perplexity_ratio(values, gamma), rel=1e-6)
        assert row["max_weight"] == pytest.approx(weights.max_weight_ratio(values, gamma), rel=1e-6)
    once, twice = np.exp(log_w).mean(), np.exp(2 * log_w).mean()
    assert found["chi_square"] == pytest.approx(twice / once**2 - 1, rel=1e-6)


def test_the_reward_is_estimated_at_three_gammas(tmp_path, capsys):
    columns = gaussian_log()
    log_w = columns["log_pi"] - columns["log_mu"]
    found = report(capsys, parquet(tmp_path / "run.parquet", columns))
    for value in found["values"]:
        own = weights.normalized_weights(log_w, value["gamma"])
        estimate = own @ columns["reward"]
        error = math.sqrt((own**2) @ (columns["reward"] - estimate) ** 2)
        assert value["estimate"] == pytest.approx(estimate, rel=1e-5)
        assert value["error"] == pytest.approx(error, rel=1e-5)


def test_strata_and_groups_are_reported(tmp_path, capsys):
    columns = gaussian_log()
    # Long sequences are further off: their gamma is less than half.
    long = columns["length"] >= 32
    columns["log_pi"] = np.where(long, 3, 1) * (columns["log_pi"] - columns["log_mu"])
    columns["log_pi"] = columns["log_pi"] + columns["log_mu"]
    # Rows of one prompt share most of what they are off by.
    shared = np.random.default_rng(9).standard_normal(500)[columns["prompt_id"]]
    columns["log_pi"] = columns["log_pi"] + 3 * shared
    path = parquet(tmp_path / "run.parquet", columns)
    found = report(capsys, path, "--by", "length", "--by", "step", "--group", "prompt_id")
    lengths = {row["label"]: row for row in found["strata"]["length"]}
    assert list(lengths) == ["4 to 8", "8 to 16", "16 to 32", "32 to 64"]
    assert lengths["32 to 64"]["gamma"] < lengths["4 to 8"]["gamma"] / 1.5
    assert sum(row["n"] for row in lengths.values()) == N
    assert 8 <= len(found["strata"]["step"]) <= 16
    assert any(words.startswith("gamma depends on length") for words in found["verdict"])
    low, high = found["group_interval"]
    assert high - low > 1.5 * (found["choice"]["interval"][1] - found["choice"]["interval"][0])
    assert any("prefer this interval" in words for words in found["verdict"])


def test_token_lists_add_up_and_their_mean_corrects_next_to_nothing(tmp_path, capsys):
    rng = np.random.default_rng(3)
    log_mu = -2 + rng.standard_normal((3000, TOKENS))
    log_pi = log_mu + 0.5 * rng.standard_normal((3000, TOKENS)) - 0.125
    path = tmp_path / "run.jsonl"
    with path.open("w") as file:
        for pi, mu in zip(log_pi.tolist(), log_mu.tolist(), strict=True):
            file.write(json.dumps({"log_pi": pi, "log_mu": mu}) + "\n")
    found = report(capsys, str(path))
    exact = choose_gamma((log_pi - log_mu).sum(axis=1))
    assert found["choice"]["gamma"] == pytest.approx(exact.gamma, rel=1e-6)
    mean = found["effective"][-1]
    assert mean["gamma"] is None
    assert mean["kish"] == pytest.approx(
        weights.ess_ratio((log_pi - log_mu).mean(axis=1)), rel=1e-6
    )
    assert any("corrects next to nothing" in words for words in found["verdict"])


def test_the_formats_agree_and_a_folder_is_all_of_its_files(tmp_path, capsys):
    columns = gaussian_log(n=2000)
    table = pa.table(columns)
    single = report(capsys, parquet(tmp_path / "run.parquet", columns))
    names = list(columns)
    lines = [",".join(names)]
    lines += [",".join(repr(v) for v in row.values()) for row in table.to_pylist()]
    (tmp_path / "run.csv").write_text("\n".join(lines) + "\n")
    by_csv = report(capsys, str(tmp_path / "run.csv"))
    folder = tmp_path / "parts"
    folder.mkdir()
    for k in range(4):
        pq.write_table(table.slice(500 * k, 500), folder / f"{k}.parquet")
    by_folder = report(capsys, str(folder))
    assert by_folder["files"] == 4
    for other in (by_csv, by_folder):
        assert other["choice"]["gamma"] == pytest.approx(single["choice"]["gamma"], rel=1e-9)
        assert other["choice"]["kl"] == pytest.approx(single["choice"]["kl"], rel=1e-9)


class Texts(HTMLParser):
    """The tags and the visible text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "line", "rect", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


HOSTILE = "<script>alert(1)</script>[red]\x1b[31mx & y"


def test_strings_of_a_log_are_shown_as_data(tmp_path, capsys):
    columns = gaussian_log(n=400)
    columns["who"] = [HOSTILE, "plain"] * 200
    path = parquet(tmp_path / "run.parquet", columns)
    out = tmp_path / "report.html"
    assert main([path, "--by", "who", "--html", str(out), "--no-color"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]" in printed
    page = out.read_text()
    parser = Texts()
    parser.feed(page)
    assert "script" not in parser.tags
    assert parser.open == []
    assert any("<script>alert(1)</script>" in text for text in parser.text)
    assert {"svg", "table", "polyline"} <= set(parser.tags)
    assert "\x1b" not in page


def test_the_text_has_every_part(tmp_path, capsys):
    path = parquet(tmp_path / "run.parquet", gaussian_log())
    assert main([path, "--by", "step", "--no-color"]) == 0
    printed = capsys.readouterr().out
    for part in ("Verdict", "gamma", "Kish", "perplexity", "Renyi", "By step", "Mean reward"):
        assert part in printed


def test_rows_that_cannot_be_used_are_counted_and_shown(tmp_path, capsys):
    path = tmp_path / "run.csv"
    rows = [f"{-1 - 0.01 * k},{-1.5}" for k in range(200)]
    rows[3], rows[10] = "nan,-1.5", "-1.0,oops"
    path.write_text("log_pi,log_mu\n" + "\n".join(rows) + "\n")
    assert main([str(path), "--no-color"]) == 0
    printed = capsys.readouterr().out
    assert "2 of 200 rows could not be used" in printed
    assert re.search(r"run\.csv\s+5\b", printed)
    assert re.search(r"run\.csv\s+12\b.*oops", printed)
    assert "198 log-weights" in printed


def test_where_nothing_can_be_used_it_says_why(tmp_path, capsys):
    path = tmp_path / "run.jsonl"
    path.write_text('{"log_pi": null, "log_mu": 1}\n' * 3)
    assert main([str(path)]) == 1
    printed = capsys.readouterr().err
    assert "none of 3 rows could be used" in printed
    assert "run.jsonl:1" in printed
    zeros = parquet(tmp_path / "zeros.parquet", {"log_w": [-math.inf, -math.inf]})
    assert main([zeros]) == 1
    assert "all 2 weights are 0" in capsys.readouterr().err


BAD = [
    (["--rho-min", "1.5"], "rho_min must be in (0, 1)"),
    (["--gamma-min", "0.9", "--gamma-max", "0.1"], "bounds must satisfy"),
    (["--kl-max", "-1"], "kl_max must be a positive number"),
    (["--by", "nothing"], "nothing"),
    (["--group", "who"], "who"),
    (["--log-pi", "logp"], "logp"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_what_means_nothing_is_named_before_anything_is_read(tmp_path, capsys, given, message):
    path = parquet(tmp_path / "run.parquet", gaussian_log(n=40))
    assert main([path, *given]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_column_lists_those_found(tmp_path, capsys):
    path = parquet(tmp_path / "run.parquet", {"logpi": [1.0], "log_mu": [1.0]})
    assert main([path]) == 2
    printed = capsys.readouterr().err
    assert "log_pi" in printed
    assert "logpi" in printed
    assert main([str(tmp_path / "nowhere.parquet")]) == 2
    assert "nowhere.parquet" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_found_out_before_the_log_is_read(tmp_path, capsys):
    path = parquet(tmp_path / "run.parquet", gaussian_log(n=40))
    assert main([path, "--html", str(tmp_path)]) == 2
    assert main([path, "--json", str(tmp_path / "no" / "folder.json")]) == 2
    assert main([path, "--html", "/dev/full"]) == 2
    assert "not a regular file" in capsys.readouterr().err


def test_json_goes_to_a_file_too(tmp_path, capsys):
    path = parquet(tmp_path / "run.parquet", gaussian_log(n=400))
    out = tmp_path / "report.json"
    assert main([path, "--json", str(out)]) == 0
    assert "Verdict" in capsys.readouterr().out
    kept = json.loads(out.read_text())
    assert kept["schema"] == 1
    assert kept["choice"]["n"] == 400


def wait_until_read(process, ending):
    """Wait until a process, or one that it started, has a file open."""
    found = psutil.Process(process.pid)
    while process.poll() is None:
        for each in (found, *found.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                if any(file.path.endswith(ending) for file in each.open_files()):
                    return
        time.sleep(0.05)


def test_an_interrupted_run_writes_nothing(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    table = pa.table({"log_w": np.zeros(1_000_000)})
    pq.write_table(table, folder / "0.parquet")
    for k in range(1, 200):
        os.link(folder / "0.parquet", folder / f"{k}.parquet")
    out = tmp_path / "report.json"
    command = [sys.executable, "-m", "isr_theory.diagnose", str(folder), "--json", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_until_read(process, "parquet")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in INTERRUPTED
    assert "nothing was written" in errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("value", ["1e71", "-1e71", "-3.4028235e38"])
def test_a_log_weight_that_cannot_be_one_costs_its_own_row(tmp_path, capsys, value):
    path = tmp_path / "run.csv"
    rows = [f"{0.01 * k}" for k in range(100)]
    rows[7] = value
    path.write_text("log_w\n" + "\n".join(rows) + "\n")
    found = report(capsys, str(path))
    assert found["choice"]["n"] == 99
    assert [row["line"] for row in found["bad"]] == [9]
    assert "a weight of 0 is -inf" in found["bad"][0]["reason"]


def csv_log(path, columns):
    lines = [",".join(columns)]
    lines += [",".join(str(cell) for cell in row) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def levels(n=400, seed=5):
    return np.random.default_rng(seed).standard_normal(n) - 0.5


@pytest.mark.parametrize("step", ["2024-05-01T10:00", "warm up", ""])
def test_a_column_that_was_not_asked_for_is_not_looked_at(tmp_path, capsys, step):
    path = csv_log(tmp_path / "run.csv", {"log_w": levels(), "step": [step] * 400})
    found = report(capsys, path)
    assert (found["choice"]["n"], found["bad_count"]) == (400, 0)
    by = report(capsys, path, "--by", "step")["strata"]["step"]
    assert [(row["label"], row["n"]) for row in by] == [(step or "(missing)", 400)]


def test_only_log_w_decides_whether_a_row_counts(tmp_path, capsys):
    log_w, reward = levels(), np.random.default_rng(8).random(400)
    known = np.arange(400) % 7 > 0
    cells = {
        "log_w": log_w,
        "reward": ["" if not k else r for k, r in zip(known, reward, strict=True)],
        "length": ["oops" if k == 3 else 10 for k in range(400)],
    }
    path = csv_log(tmp_path / "run.csv", cells)
    found = report(capsys, path)
    assert (found["choice"]["n"], found["bad_count"]) == (400, 0)
    for value in found["values"]:
        own = weights.normalized_weights(log_w[known], value["gamma"])
        estimate = own @ reward[known]
        error = math.sqrt((own**2) @ (reward[known] - estimate) ** 2)
        assert value["estimate"] == pytest.approx(estimate, rel=1e-5)
        assert value["error"] == pytest.approx(error, rel=1e-5)
    assert [(r["count"], r["first"]["line"]) for r in found["remarks"]] == [(58, 2), (1, 5)]
    assert any("58 rows have no reward that can be used" in words for words in found["verdict"])


def test_what_is_no_number_in_a_column_of_numbers_is_missing_there(tmp_path, capsys):
    turn = [0, 1] * 600
    turn[1100] = "odd"
    path = csv_log(tmp_path / "run.csv", {"log_w": levels(1200), "turn": turn})
    found = report(capsys, path, "--by", "turn")
    by = [(row["label"], row["n"]) for row in found["strata"]["turn"]]
    assert by == [("0", 599), ("1", 600), ("(missing)", 1)]
    assert "turn is not a number: 'odd'" in found["remarks"][0]["first"]["reason"]


def test_a_reward_of_lists_is_an_error_only_where_it_was_named(tmp_path, capsys):
    path = tmp_path / "run.jsonl"
    path.write_text('{"log_w": -0.5, "reward": [1, 2], "r": [1]}\n{"log_w": 0.1, "reward": [1]}\n')
    found = report(capsys, str(path))
    assert "the column 'reward' holds lists and is not read" in found["layout_notes"][0]
    assert main([str(path), "--reward", "r"]) == 2
    assert "holds lists" in capsys.readouterr().err


def test_names_of_any_length_and_any_characters_are_kept_apart(tmp_path, capsys):
    long = "x" * 2_000_000
    who = ["a", "a\0", long, long + "y", "\ud800", "\ud801", "3", 3]
    path = tmp_path / "run.jsonl"
    with path.open("w") as file:
        for k, name in enumerate(who * 3):
            file.write(json.dumps({"log_w": -0.1 * k, "who": name}) + "\n")
    found = report(capsys, str(path), "--by", "who", "--group", "who")
    labels = {row["label"]: row["n"] for row in found["strata"]["who"]}
    assert {"a", "a\0", r"\ud800", r"\ud801"} < set(labels)
    assert labels["3"] == 6
    assert len(labels) == 7
    assert max(map(len, labels)) == 60
    out = tmp_path / "report.html"
    assert main([str(path), "--by", "who", "--html", str(out), "--json", str(out) + ".json"]) == 0


def test_too_many_names_say_of_which_column_and_file(tmp_path, capsys):
    path = csv_log(
        tmp_path / "run.csv", {"log_w": levels(1200), "who": [f"p{k}" for k in range(1200)]}
    )
    assert main([path, "--by", "who"]) == 2
    printed = capsys.readouterr().err
    assert "run.csv: the column 'who' has more than 1,000 different names" in printed


def test_length_is_in_octaves_whatever_it_is_called(tmp_path, capsys):
    columns = {"log_w": levels(), "n_tokens": [4, 9, 17, 70] * 100}
    path = csv_log(tmp_path / "run.csv", columns)
    for name in ("length", "n_tokens"):
        strata = report(capsys, path, "--length", "n_tokens", "--by", name)["strata"]["n_tokens"]
        assert [row["label"] for row in strata] == ["4 to 8", "8 to 16", "16 to 32", "64 to 128"]
    even = report(capsys, path, "--by", "n_tokens")["strata"]["n_tokens"]
    assert [row["label"] for row in even] == ["4", "9", "17", "70"]


def test_a_reward_that_comes_late_is_not_passed_over_in_silence(tmp_path, capsys):
    path = tmp_path / "run.jsonl"
    rows = [{"log_w": float(x)} for x in levels(1500)]
    for row in rows[1200:]:
        row["reward"] = 1.0
    path.write_text("\n".join(map(json.dumps, rows)))
    found = report(capsys, str(path))
    assert found["values"] == []
    assert [(r["count"], r["first"]["line"]) for r in found["remarks"]] == [(300, 1201)]
    assert "have a reward, which is not read" in found["remarks"][0]["what"]


def test_processes_leave_an_interrupt_to_the_one_that_started_them(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    pq.write_table(pa.table({"log_w": np.zeros(1_000_000)}), folder / "0.parquet")
    for k in range(1, 200):
        os.link(folder / "0.parquet", folder / f"{k}.parquet")
    command = [sys.executable, "-m", "isr_theory.diagnose", str(folder), "--jobs", "2"]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **pipes)
    wait_until_read(process, "parquet")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in INTERRUPTED
    assert errors.strip() == "interrupted: nothing was written"


def test_an_interrupt_does_not_wait_for_the_end_of_a_file(monkeypatch):
    piece = Piece("endless.csv", "csv")
    batches = itertools.count(1)

    def endless(piece, layout):
        while True:
            yield Tally(), next(batches)

    def interrupt(piece, done):
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(cluster, "tally_rows", endless)
    with pytest.raises(KeyboardInterrupt):
        cluster.tally_log([piece], Layout(None), progress=interrupt)


@pytest.mark.parametrize("name", ["run.jsonl", "run.jsonl.gz", "run.csv", "run.parquet"])
def test_progress_is_told_within_a_file(tmp_path, monkeypatch, name):
    log_w = np.random.default_rng(0).standard_normal(60_000).round(6)
    path = tmp_path / name
    if name == "run.parquet":
        pq.write_table(pa.table({"log_w": log_w}), path)
        monkeypatch.setattr(reading, "batches", partial(reading.batches, rows=9_000))
        monkeypatch.setattr("isr_theory.diagnose.tally.batches", reading.batches)
    else:
        lines = [f"{x}" if "csv" in name else json.dumps({"log_w": x}) for x in log_w]
        text = "\n".join(["log_w", *lines] if "csv" in name else lines)
        packed = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
        path.write_bytes(packed)
        monkeypatch.setattr("isr_theory.diagnose.blocks.BLOCK", 1 << 17)
    found = reading.pieces([path])
    told = []
    cluster.tally_log(
        found,
        reading.resolve(found, Columns()),
        progress=lambda piece, done: told.append(done / piece.size),
    )
    assert len(told) > 4
    assert told == sorted(told)
    assert told[0] < 0.5
    assert told[-1] == 1


def test_a_report_never_replaces_its_log_or_itself(tmp_path, capsys):
    path = csv_log(tmp_path / "run.csv", {"log_w": levels()})
    before = (tmp_path / "run.csv").read_bytes()
    os.link(path, tmp_path / "same.csv")
    out = str(tmp_path / "out")
    for given in (["--html", path], ["--json", str(tmp_path / "same.csv")]):
        assert main([path, *given]) == 2
        assert "is part of what is read" in capsys.readouterr().err
    assert main([path, "--html", out, "--json", out]) == 2
    assert "out: is written twice" in capsys.readouterr().err
    assert (tmp_path / "run.csv").read_bytes() == before


def test_an_error_names_the_file_that_was_asked_for(tmp_path, capsys):
    path = csv_log(tmp_path / "run.csv", {"log_w": levels()})
    assert main([path, "--json", str(tmp_path / "no" / "folder.json")]) == 2
    assert "folder.json: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "log_w\n"])
def test_a_log_without_rows_is_said_to_have_none(tmp_path, capsys, text):
    path = tmp_path / "run.csv"
    path.write_text(text)
    assert main([str(path)]) == 1
    assert "the log has no rows" in capsys.readouterr().err


def test_files_that_are_not_read_are_listed(tmp_path, capsys):
    csv_log(tmp_path / "run.csv", {"log_w": levels()})
    for name in ("notes.txt", "_SUCCESS"):
        (tmp_path / name).write_text("x")
    found = report(capsys, str(tmp_path))
    assert [os.path.basename(name) for name in found["skipped"]] == ["_SUCCESS", "notes.txt"]
    assert any("Not read, by name or ending: 2 files" in words for words in found["verdict"])


def test_numbers_that_json_does_not_have():
    assert plain._plain({"a": [math.nan, math.inf, np.float64(-math.inf), 1.5]}) == {
        "a": [None, "inf", "-inf", 1.5]
    }


def test_any_terminal_will_do(tmp_path):
    path = csv_log(tmp_path / "run.csv", {"log_w": levels(), "who": ["\u00e9"] * 400})
    command = [sys.executable, "-m", "isr_theory.diagnose", path, "--by", "who"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, check=True)
    assert b"\\xe9" in done.stdout


def test_the_verdict_names_the_cause(tmp_path, capsys):
    path = csv_log(tmp_path / "run.csv", {"log_w": 3 * levels()})
    least = report(capsys, path, "--gamma-min", "0.9")["verdict"]
    assert "gamma_min = 0.9 is too large" in least[0]
    zeros = np.where(np.arange(400) % 5 > 0, -np.inf, levels())
    few = report(capsys, csv_log(tmp_path / "zeros.csv", {"log_w": zeros}))["verdict"]
    assert "only 80 of 400 weights are above 0" in few[0]
    for words in (least, few):
        assert sum("gamma_min" in each or "weights are above 0" in each for each in words) == 1


def test_parts_are_compared_by_one_method(capsys):
    found = report(capsys, "docs/example_run.csv", "--by", "step")
    assert found["strata_method"] == "exact"
    rows = {row["label"]: row for row in found["strata"]["step"]}
    lowest = min(rows.values(), key=lambda row: row["gamma"])
    words = next(words for words in found["verdict"] if words.startswith("gamma depends on step"))
    assert f"{lowest['gamma']:.3g} for {lowest['label']}" in words
    assert "Give each part its own gamma" in words


def test_an_interval_says_which_gamma_it_is_of(tmp_path, capsys):
    columns = gaussian_log(n=4000)
    path = parquet(tmp_path / "run.parquet", columns)
    free = report(capsys, path, "--group", "prompt_id")
    found = report(capsys, path, "--group", "prompt_id", "--kl-max", "0.1", "--by", "step")
    assert found["choice"]["binding"] == "kl_max"
    assert "without that cap the rule gives 0.5" in found["verdict"][0]
    assert found["group_interval"] == free["group_interval"]
    low, high = free["group_interval"]
    # The closed form's gamma, in the middle of it: the bins of a block are good to 1e-4.
    assert (low + high) / 2 == pytest.approx(free["choice"]["by_method"]["lognormal"], rel=1e-3)
    for row in found["strata"]["step"]:
        assert row["interval"][0] <= row["gamma"] <= row["interval"][1]


def test_what_cannot_be_believed_is_marked(tmp_path, capsys):
    tail = 1.2 * np.random.default_rng(4).standard_exponential(2000)
    path = csv_log(tmp_path / "run.csv", {"log_w": tail})
    assert main([path, "--no-color"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Pareto threshold 0.697 for 2,000 weights" in printed
    assert "The Pareto index of the plain weights is" in printed
    assert "mean of token log-ratios (GSPO) would leave is not known" in printed
    for order in ("0.125", "1.5", "1.875"):
        assert re.search(rf" {order} [0-9.]+ [0-9.]+ [0-9.]+ (yes|no) ", printed)
    assert re.search(r" 2 [0-9.]+ [0-9.]+ [0-9.]+ no ", printed)
    assert "chi-square, of order 2, which is beyond that" in printed


def test_a_sentence_begins_as_it_should(tmp_path, capsys):
    path = csv_log(tmp_path / "run.csv", {"log_w": levels(52)})
    words = report(capsys, path)["verdict"]
    assert any(each.startswith("n = 52") for each in words)


def test_many_parts_of_one_law_do_not_differ(tmp_path, capsys):
    rng = np.random.default_rng(6)
    who = [f"p{k}" for k in range(300)] * 100
    log_w = 2 * rng.standard_normal(30_000) - 2
    path = csv_log(tmp_path / "run.csv", {"log_w": log_w, "who": who})
    found = report(capsys, path, "--by", "who")
    gammas = [row["gamma"] for row in found["strata"]["who"]]
    # Picked as the least and the largest of 300 they look apart, and are not.
    assert max(gammas) > 1.5 * min(gammas)
    assert not found["strata_differ"]["who"]
    assert not any("gamma depends on" in words for words in found["verdict"])

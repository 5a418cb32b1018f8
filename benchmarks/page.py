"""Make docs/benchmarks.md of the results that are kept: `python -m benchmarks.page`.

Every number on the page comes from a file under benchmarks/results/, losses included; nothing is
typed. `--check` fails where the page is not what the results say.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from isr_theory import files

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = (
    "# Benchmarks\n\nMade by `python -m benchmarks.page` of the files in `benchmarks/results/`;"
    " `make bench` measures them anew, after `make peers` has put every peer into an environment of"
    " its own. Machines are noisy, so what counts is the ratio of medians of runs that alternated."
    " A bar is what this project set itself; where it is missed, the table says so.\n"
)


def load(name: str) -> dict[str, Any]:
    """Return one file of results."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, all columns but the first aligned to the right."""
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, rule, *rows])


def duration(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def speed(kept: dict[str, Any]) -> str:
    """Return the side-by-side table and what it was measured on."""
    m, versions = kept["machine"], kept["versions"]
    rows = []
    for row in kept["rows"]:
        bar = "" if row["bar"] is None else f"{row['bar']:.3g}"
        verdict = {None: "", True: "met", False: "**missed**"}[row["met"]]
        errors = [f"{row[k]:.0e}" for k in ("our error", "their error", "apart") if k in row]
        cells = [duration(row["ours"]), row["rival"], duration(row["theirs"])]
        rows.append([row["what"], *cells, f"{row['ratio']:.3g}", bar, verdict, " / ".join(errors)])
    heads = [
        "what",
        "ours",
        "rival",
        "theirs",
        "ratio",
        "bar",
        "",
        "error: ours / theirs, or apart",
    ]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    missing = f" Not installed and so not asked: {', '.join(kept['missing'])}." * bool(
        kept["missing"]
    )
    where = f"{m['processor']}, {m['cores']} cores, Python {m['python']}, numpy {m['numpy']}"
    return f"## Speed\n\n{where}, {m['date']}; {listed}.{missing}\n\n{table(heads, rows)}\n"


def hard(kept: dict[str, Any]) -> str:
    """Return how many hard vectors each package gets right."""
    counts = kept["hard"]
    kinds = list(next(iter(counts.values())))
    rows = [[name, *(str(found[kind]) for kind in kinds)] for name, found in counts.items()]
    text = (
        "## A thousand hard vectors\n\nOutliers, levels, gaps, ties, heavy tails, zeros, spreads up"
        " to 1e4. The root is known to fifty digits; an answer is right if it is that root, or"
        " reaches the target, to 1e-9. BlackJAX works in single precision, and PyMC stops at a"
        " whole number of samples: they were not made for this.\n\n"
    )
    return text + table(["package", *kinds], rows) + "\n"


def logs(kept: dict[str, Any]) -> str:
    """Return what `diagnose` costs beside a scan."""
    rows = []
    for run in kept["runs"]:
        cells = [f"{run[k]:.2f}" for k in ("scan, s", "scan without start, s", "diagnose, s")]
        rows.append([run["state"], *cells, f"{run['ratio']:.2f}", f"{run['peak MiB']:.0f}"])
    heads = ["file", "scan, s", "scan without start, s", "diagnose, s", "ratio", "peak MiB"]
    title = f"## diagnose, {kept['rows']:,} rows of Parquet\n\n"
    text = (
        "Whole processes, one process each: one that scans the two columns and throws them away,"
        " and `python -m isr_theory.diagnose`. Bars: a ratio of 1.5 cold, where the file has been"
        " dropped from the page cache, and 6 warm; 1,024 MiB.\n\n"
    )
    return title + text + table(heads, rows) + "\n"


def intervals(kept: dict[str, Any]) -> str:
    """Return how often intervals hold."""
    heads = ["log w", *kept["columns"]]
    rows = [[name, *cells] for name, cells in kept["cells"].items()]
    text = (
        f"## Intervals\n\nHow often the 95% interval of `choose_gamma` holds the population's gamma"
        f" (and its median width), {kept['runs']} batches a cell. Where the tail is heavier than"
        " the interval's theory allows it is too short, and the notes of the choice say so.\n\n"
    )
    return text + table(heads, rows) + "\n"


def bandit(kept: dict[str, Any]) -> str:
    """Return what `diagnose` says of real propensities."""
    heads = ["campaign", *next(iter(kept.values()))]
    rows = [[name, *found.values()] for name, found in kept.items()]
    text = (
        "## Real propensities\n\nThe Open Bandit logs (Saito et al. 2021), the uniform policy from"
        " the Thompson sampler's log. The closed form misses the target of 0.3 by far, since log w"
        " is not normal; the estimates `v` are of the click rate, with their standard errors.\n\n"
    )
    return text + table(heads, rows) + "\n"


def steps(kept: dict[str, Any]) -> str:
    """Return what a step of the trainer for language models costs."""
    text = (
        "## A step of the trainer for language models\n\nThe same model, rows and settings: the"
        " plain Trainer's cross-entropy, and `OffPolicyTrainer`. Ratios are to the plain step with"
        " as many micro-batches; the bar is {bar:.2f} with one. With several, weights that depend"
        " on the batch need a forward pass more. On a CPU the ratio is of processor time, and the"
        " memory what a few steps added to the process.\n"
    )
    parts = []
    for kind, run in kept.items():
        for size, ways in run["sizes"].items():
            where = f"{size} parameters, {kind}: {run['device']}, torch {run['torch']}"
            where += f", {run['threads']} thread(s)" if kind == "cpu" else ""
            rows = [
                [
                    name,
                    f"{n['step_ms']:.1f}",
                    f"{n['tokens_per_s']:,.0f}",
                    f"{n['ratio']:.3f}",
                    f"{n['low']:.3f} .. {n['high']:.3f}",
                    f"{n['peak_mib']:.0f}",
                    _verdict(name, n["ratio"], run["target"]),
                ]
                for name, n in ways.items()
            ]
            heads = ["trainer", "step, ms", "tokens/s", "ratio", "95% interval", "peak, MiB", ""]
            parts.append(f"{where}\n\n{table(heads, rows)}\n")
    bar = next(iter(kept.values()))["target"]
    return "\n".join([text.format(bar=bar), *parts])


def _verdict(name: str, ratio: float, target: float) -> str:
    if "micro" in name or name == "plain":
        return ""
    return "met" if ratio <= target else "**missed**"


def drawing(kept: dict[str, Any]) -> str:
    """Return how fast responses are drawn, beside transformers' own `generate`."""
    where = f"{kept['device']}, torch {kept['torch']}, {kept['threads']} thread(s)"
    text = (
        "## Drawing responses\n\nThe same model and batch: transformers' `generate`, and the"
        " `draw` of `experiments.lm`, which returns log-probabilities too. `no end`: every row runs"
        " to its last token; `ends`: rows stop. Tokens for a second of processor time; the bar is"
        f" {kept['target']:.0f} ({where}; {kept['peak_memory_mb']} MB at most).\n\n"
    )
    rows = [
        [
            name,
            f"{n['transformers_tokens_per_cpu_second']:,.0f}",
            f"{n['ours_tokens_per_cpu_second']:,.0f}",
            f"{n['times_as_fast_by_cpu_second']:.2f}",
            "met" if n["times_as_fast_by_cpu_second"] >= kept["target"] else "**missed**",
        ]
        for name, n in kept["settings"].items()
    ]
    return text + table(["model", "generate", "draw", "times as fast", ""], rows) + "\n"


def page() -> str:
    """Return the whole page."""
    beside = load("side_by_side")
    parts = [speed(beside), hard(beside), logs(load("diagnose")), intervals(load("coverage"))]
    parts += [bandit(load("open_bandit")), steps(load("hf_step")), drawing(load("lm_generate"))]
    return "\n".join([INTRODUCTION, *parts])


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where the page is stale")
    if parser.parse_args().check:
        stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page()
        print(f"{PAGE.name} is {'stale: run python -m benchmarks.page' if stale else 'current'}")
        return int(stale)
    files.write(PAGE, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The errata of the paper, in English and in Chinese, made from the ledger.

By section: each refuted statement as it is read, the exact point at which it fails, what is wrong,
the statement that amends it, and what its printed proof lacks; then the proofs that fall short
though their statements hold. GitHub's Markdown; formulas stand in fences, which no renderer of
Markdown takes apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from isr_theory.claims import listed_ids
from isr_theory.report.document import Document, contrast, failing_witness

SECTIONS = {
    "abstract": ("Abstract", "摘要"),
    "1.2": ("1.2 The unified policy gradient", "1.2 统一策略梯度"),
    "2.1": ("2.1 f(w) = 1: supervised fine-tuning", "2.1 f(w) = 1：监督微调"),
    "2.2": ("2.2 f(w) = w: reinforcement learning", "2.2 f(w) = w：强化学习"),
    "2.3": ("2.3 The two ends compared", "2.3 两极对比"),
    "4.1": ("4.1 Definition and motives", "4.1 定义与动机"),
    "4.2": ("4.2 The effective target", "4.2 有效目标分布"),
    "5.1": ("5.1 A path of distributions", "5.1 分布空间的路径"),
    "5.2": ("5.2 What it has to do with IS Reshape", "5.2 与 IS Reshape 的关系"),
    "6.1": ("6.1 The identity", "6.1 核心等式"),
    "6.2": ("6.2 The variance as a Renyi divergence", "6.2 方差的 Rényi 散度表示"),
    "6.3": ("6.3 Border cases", "6.3 边界情况"),
    "7.1": ("7.1 Bias", "7.1 偏差分析"),
    "7.2": ("7.2 Variance, log-normal weights", "7.2 方差分析（Log-Normal 假设）"),
    "7.3": ("7.3 Mean squared error", "7.3 MSE 分解"),
    "8.1": ("8.1 ESS and gamma", "8.1 ESS 与 γ 的关系"),
    "8.2": ("8.2 The closed form for gamma", "8.2 基于 ESS 的 γ 闭式解"),
    "8.3": ("8.3 The formula in practice", "8.3 实用公式"),
    "9.1": ("9.1 gamma with rewards", "9.1 奖励加权 γ 选择"),
    "9.2": ("9.2 Without rewards", "9.2 无奖励情况"),
    "10.1": ("10.1 Monotonicity", "10.1 单调性定理汇总"),
    "10.2": ("10.2 Existence of a best gamma", "10.2 最优 γ 存在性"),
    "11.1": ("11.1 The literature", "11.1 文献定位"),
    "11.2": ("11.2 The bound by Pareto k", "11.2 PSIS k̂ 约束"),
    "12.1": ("12.1 The trainer", "12.1 IS Reshape 训练器"),
    "12.2": ("12.2 An example of use", "12.2 使用示例"),
    "13.1": ("13.1 Contributions", "13.1 核心贡献"),
    "13.2": ("13.2 The family of methods", "13.2 方法谱系"),
    "13.3": ("13.3 Practical advice", "13.3 实践建议"),
    "appendix": ("Appendix: notation", "附录：符号表"),
}
"""The paper's sections in its order, under the names that a ledger gives them."""


@dataclass(frozen=True)
class _Words:
    """The fixed words of a page in one language; `key` is the field of a bilingual text."""

    key: str
    title: str
    intro: str
    counts: str
    printed: str
    witness: str
    right: str
    proof: Mapping[str, str]
    stop: str
    comma: str
    colon: str
    other_proofs: str
    other_intro: str


_ENGLISH = _Words(
    key="en",
    title='Errata to "IS Reshape" (v3.0)',
    intro=(
        "Made by `make verdicts` from the ledger; do not edit. [Chinese](errata.zh.md). Each entry "
        "gives a statement as it is read here, an exact point at which it fails, what is wrong, "
        "and the statement that holds. `python -m isr_theory.verify explain ID` shows the "
        "evidence computed anew, and the reading in words. A statement with several readings may "
        "be false in one and true in another: [verdicts.md](verdicts.md) has them all."
    ),
    counts="{refuted} of the {printed} statements judged are false in the reading given; "
    "{proofs} more hold though their printed proof falls short.",
    printed="The statement:",
    witness="Fails at ",
    right="What holds instead, ",
    proof={"wrong": "The printed proof is wrong. ", "gap": "The printed proof has a gap. "},
    stop=".",
    comma=", ",
    colon=": ",
    other_proofs="Proofs that fall short of what is true",
    other_intro="The statement holds; its printed proof does not show it.",
)
_CHINESE = _Words(
    key="zh",
    title="《IS Reshape》（v3.0）勘误",
    intro=(
        "本页由 `make verdicts` 从论断库自动生成，请勿手改。[英文版](errata.md)。每条依次给出："
        "按此处读法的原文陈述、使其失效的精确反例点、错在何处，以及成立的修正陈述。"
        "`python -m isr_theory.verify explain ID` 会重新计算并列出证据与读法。"
        "同一句话若有多种读法，可能一种为假而另一种为真：全部读法见 [verdicts.md](verdicts.md)。"
        "公式与反例坐标照录自论断库，其中的英文词不译。"
    ),
    counts="共判定 {printed} 条陈述，其中 {refuted} 条按所给读法为假；"
    "另有 {proofs} 条陈述成立，但原文证明不完备。",
    printed="原文陈述：",
    witness="反例点",
    right="应改为",
    proof={"wrong": "原文证明有误：", "gap": "原文证明有缺口："},
    stop="。",
    comma="，",
    colon="：",
    other_proofs="结论成立而证明不完备者",
    other_intro="下列结论成立，但原文的证明不足以推出。",
)
PAGES = {"errata.md": _ENGLISH, "errata.zh.md": _CHINESE}


def pages(full: Document) -> dict[str, str]:
    """Return the pages of errata of a document, by file name."""
    return {name: _page(full, words) for name, words in PAGES.items()}


def stale(folder: Path, full: Document) -> list[str]:
    """Return the names of the pages in a folder that are not what a document makes of them."""
    return [
        name
        for name, text in pages(full).items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def _page(full: Document, words: _Words) -> str:
    order = {id: place for place, id in enumerate(listed_ids())}
    rows = sorted(full["claims"], key=lambda row: order.get(row["id"], len(order)))
    paper = [row for row in rows if row["section"] in SECTIONS and not row["id"].endswith(".fix")]
    refuted = [row for row in paper if row["verdict"] == "REFUTED"]
    proofs = [row for row in paper if row["proof_remark"] and row["verdict"] != "REFUTED"]
    lines = [f"# {words.title}", "", words.intro, ""]
    lines += [words.counts.format(printed=len(paper), refuted=len(refuted), proofs=len(proofs)), ""]
    for section, names in SECTIONS.items():
        entries = [row for row in refuted if row["section"] == section]
        if entries:
            lines += [f"## {names[words.key == 'zh']}", ""]
        for row in entries:
            lines += _entry(row, rows, words)
    lines += [f"## {words.other_proofs}", "", words.other_intro, ""]
    for row in proofs:
        section = SECTIONS[row["section"]][words.key == "zh"]
        lines.append(f"- **{row['id']}** ({_plain(section)}){words.colon}{_proof(row, words)}")
    return "\n".join(lines) + "\n"


def _entry(row: Document, rows: list[Document], words: _Words) -> Iterator[str]:
    yield from (f"### {row['id']}{words.colon}{_plain(row['title'][words.key])}", "")
    yield from (words.printed, "", *_formula(row["statement"]), "")
    witness = failing_witness(row)
    if witness is not None:
        point = ", ".join(f"{name} = {value}" for name, value in witness["point"].items())
        found = contrast(witness)
        at = f"- {words.witness}`{point}`"
        yield at + (f"{words.colon}`{found}`" if found else "") + words.stop
    yield f"- {_plain(row['finding'][words.key])}"
    if row["proof_remark"]:
        yield f"- {_proof(row, words)}"
    yield ""
    for right in (other for other in rows if row["id"] in other["amends"]):
        title = _plain(right["title"][words.key])
        yield from (f"{words.right}**{right['id']}**{words.comma}{title}{words.colon}", "")
        yield from (*_formula(right["statement"]), "", _plain(right["finding"][words.key]), "")


def _proof(row: Document, words: _Words) -> str:
    return words.proof[row["printed_proof"]] + _plain(row["proof_remark"][words.key])


def _formula(statement: str) -> tuple[str, ...]:
    return "```math", statement, "```"


def _plain(text: str) -> str:
    """Return plain text such that Markdown shows it as it is."""
    return re.sub(r"([\\*_\[\]<`~])", r"\\\1", text)

"""What the page says itself, in English and Chinese, and how its sections are named."""

from __future__ import annotations

from isr_theory.claim import Text

TITLE = Text("IS Reshape, statement by statement", "IS Reshape：逐条验证")
READ = Text("How to read this page", "如何阅读本页")
CLAIMS = Text("Claims", "命题")
EXPLORER = Text("Choosing gamma", "选取 γ")
FIGURES = Text("Figures", "图")
GRAPH = Text("What rests on what", "依赖关系")
SHOW_GRAPH = Text("Show the graph", "显示依赖图")

READING = (
    Text(
        "VERIFIED: a proof covers the whole statement, and an independent route agrees.",
        "VERIFIED：有证明覆盖整个命题，且另一独立途径与之一致。",
    ),
    Text(
        "SUPPORTED: something speaks for it and nothing against it, but no proof covers the whole.",
        "SUPPORTED：有支持而无反对的证据，但没有覆盖整体的证明。",
    ),
    Text(
        "REFUTED: false as printed, at an exact witness that a second route re-evaluated.",
        "REFUTED：按原文不成立；反例是精确的，并经另一途径复核。",
    ),
    Text("OPEN: not settled; the claim says why.", "OPEN：尚无定论，原因见该命题。"),
    Text(
        "The printed proof is judged apart from the statement: a true statement can have a gap.",
        "原文证明与命题分别评判：命题成立，证明仍可能有缺口。",
    ),
    Text(
        "Wrong variants are mistakes planted on purpose: each must be refused by some route.",
        "“错误变体”是有意植入的错误，每个都必须被某一途径否定。",
    ),
    Text(
        "Routes: symbolic (algebra), certified (rigorous balls), sampled (Monte Carlo with stated"
        " error rates), neural (automatic differentiation), recorded (committed results of runs).",
        "途径：symbolic（代数）、certified（严格区间）、sampled（给定错误率的蒙特卡洛）、"
        "neural（自动微分）、recorded（已存档的实验结果）。",
    ),
)

SEARCH = Text("Search", "搜索")
SECTION = Text("Section", "章节")
VERDICT = Text("Verdict", "结论")
ROUTE = Text("Route", "途径")
PROOF = Text("Printed proof", "原文证明")
PROOFS = {
    "complete": Text("complete", "完整"),
    "gap": Text("gap", "有缺口"),
    "wrong": Text("wrong", "有误"),
    "none": Text("none", "未给出"),
}
LACKS = Text("What the proof lacks", "证明所缺")
RESET = Text("Show all", "全部显示")
OPEN_ALL = Text("Open these", "展开所列")
CLOSE_ALL = Text("Close all", "全部收起")

READ_AS = Text("Read as", "读法")
ASSUMES = Text("Assumes", "假设")
WITHOUT = Text("Without it", "去掉此假设")
PREDICTED = Text("Predicted", "事先预测")
FAILS_AT = Text("Fails at", "反例")
PROBLEM = Text("Problem", "问题")
ONE_ROUTE = Text("One route, or open, because", "仅一条途径（或未决）的原因")
SOURCE = Text("Source", "来源")
NUMBERS = Text("Numbers", "数值")
EVIDENCE = Text("Evidence", "证据")
WRONG = Text("Wrong variants and the routes that refuse them", "错误变体及否定它们的途径")
RIGHT = Text("Right variants, which nothing refuses", "正确变体（无途径否定）")
WHOLE = Text("the whole statement", "整个命题")
RELATIONS = {
    "uses": Text("Uses", "依赖"),
    "used by": Text("Used by", "被依赖于"),
    "rests on refuted": Text("Rests on refuted", "依赖于已被否定的"),
    "amends": Text("Amends", "修正"),
    "amended by": Text("Amended by", "被修正为"),
    "sharpens": Text("Sharpens", "加强"),
    "sharpened by": Text("Sharpened by", "被加强为"),
    "figure": Text("Figure", "图"),
}
EVIDENCE_HEADS = (
    Text("Route", "途径"),
    Text("Outcome", "结果"),
    Text("Strength", "强度"),
    Text("What was checked", "检验内容"),
    Text("Scope", "范围"),
    Text("Shows", "所得"),
)

# What goes past the paper is grouped by the first word of its ids.
BEYOND = {
    "OBJ": Text("Beyond the paper: the objective", "论文之外：目标函数"),
    "VAR": Text("Beyond the paper: variance", "论文之外：方差"),
    "GAM": Text("Beyond the paper: choosing gamma", "论文之外：选取 γ"),
    "DYN": Text("Beyond the paper: the rule in training", "论文之外：训练中的规则"),
    "SEQ": Text("Beyond the paper: sequences", "论文之外：序列"),
    "FAM": Text("Beyond the paper: other weights", "论文之外：其他权重"),
    "REN": Text("Beyond the paper: Renyi divergence", "论文之外：Rényi 散度"),
    "LINE": Text("Beyond the paper: its authors' later claims", "论文之外：作者后续论断"),
}
SECTIONS = {
    "abstract": Text("Abstract", "摘要"),
    "appendix": Text("Appendix", "附录"),
    "beyond": Text("Beyond the paper", "论文之外"),
    "experiments": Text("Predictions about training", "关于训练的预测"),
    "library": Text("This library", "本程序库"),
}


def section(row_section: str, id: str) -> tuple[str, Text]:
    """Return the key and the name of the group to which a claim belongs."""
    family = id.split(".")[0]
    if row_section == "beyond" and family in BEYOND:
        return f"beyond {family}", BEYOND[family]
    if row_section in SECTIONS:
        return row_section, SECTIONS[row_section]
    return row_section, Text(f"Section {row_section}", f"{row_section} 节")

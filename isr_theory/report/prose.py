"""Findings are written in plain text, as a terminal shows them; here they become LaTeX.

`E_mu[w^(2 gamma)] <= 1` turns into the mathematics that it means, word by word: Greek names and
single letters, sub- and superscripts, relations. What is not recognised stays text, escaped.
"""

from __future__ import annotations

import re

_GREEK = (
    "alpha|beta|gamma|delta|epsilon|eta|theta|kappa|lambda|mu|nu|pi|rho|sigma|tau|phi|chi|Phi"
    "|Delta|Gamma|Theta"
)
_GREEK_LETTERS = {
    "γ": r"\gamma",
    "ρ": r"\rho",
    "ϱ": r"\varrho",
    "σ": r"\sigma",
    "τ": r"\tau",
    "μ": r"\mu",
    "π": r"\pi",
    "κ": r"\kappa",
    "ν": r"\nu",
    "δ": r"\delta",
    "η": r"\eta",
    "χ": r"\chi",
    "θ": r"\theta",
    "λ": r"\lambda",
    "φ": r"\varphi",
    "Σ": r"\textstyle\sum",
}
_SIGNS = {
    "||": r"\|",
    "‖": r"\|",
    "<=": r"\le",
    ">=": r"\ge",
    "!=": r"\ne",
    "==": "=",
    "+-": r"\pm",
    "<<": r"\ll",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "→": r"\to",
    "−": "-",
    "²": "^2",
    "³": "^3",
    "½": r"\tfrac12",
    "<": "<",
    ">": ">",
    "=": "=",
    "|": "|",
    "~": r"\sim",
    "*": r"\cdot",
    "+": "+",
}
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    '"': "''",
    "_": r"\_",
    "^": r"\^{}",
}
_NAMED = {"E": r"\mathbb{E}", "pt": r"\tilde\pi", "log": r"\log", "min": r"\min", "max": r"\max"}
_TOKEN = re.compile(
    r"(?P<id>\b[A-Z]+\d+(?:\.\w+)+)"
    r"|(?P<accent>Renyi)|(?P<plain>gamma (?:laws?|function))"
    r"|(?P<primed>\b(?:[A-Za-z]|Bias))(?P<primes>'+)(?![A-Za-z'])"
    r"|(?<![\w.])(?P<mantissa>-?\d+(?:\.\d+)?)e(?P<exponent>-?\d+)\b"
    r"|sqrt(?:\((?P<root>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)| (?P<bare>\d+))"
    r"|(?P<script>[\^_])(?:\((?P<group>(?:[^()]|\([^()]*\))*)\)|\{(?P<braced>[^{}]*)\}"
    r"|(?P<one>-?\w+|[*+]))"
    r"|(?P<star>(?<=\w)\*(?=\W|$))"
    r"|(?P<minus>(?<![\w)\]])-(?=[\w(])|(?<=\d)-(?=(?:gamma|alpha|[a-z])\b))|(?P<spaced> - )"
    r"|(?P<quote>(?<![\w)'])'(?=\w))"
    r"|(?P<word>[A-Za-z]\d(?=[A-Za-z])|[A-Za-z]+\d*)"
    r"|(?P<sign>\|\||<=|>=|!=|==|\+-|<<|.)",
    re.DOTALL,
)
_SYMBOL = re.compile(rf"({_GREEK}|[b-zB-Z])(\d*)")
_LETTER_A = re.compile(r"\s*[=<>^/_]")


def tex(text: str) -> str:
    r"""Return plain text as LaTeX for text mode: `w^(2 gamma) <= 1` as `$w$${}^{2\gamma}$ ...`."""
    out = []
    for found in _TOKEN.finditer(text):
        inner = _in_text(found)
        out.append(inner if inner is not None else _piece(found, text))
    return "".join(out)


def _in_text(found: re.Match[str]) -> str | None:
    """Return what stays text, None for mathematics."""
    if found["accent"]:
        return r"R\'enyi"
    if found["quote"] or found["id"] or found["plain"]:
        return found["id"] or found["plain"] or "`"
    sign = found["sign"]
    if sign is not None and sign not in _SIGNS and sign not in _GREEK_LETTERS:
        return _ESCAPED.get(sign, sign)
    return None


def _piece(found: re.Match[str], text: str) -> str:
    word = found["word"]
    if word is not None:
        letter_a = word in ("a", "A") and _LETTER_A.match(text, found.end())
        possessive = word == "s" and text[: found.start()].endswith("'")
        if (_SYMBOL.fullmatch(word) or word == "pt" or letter_a) and not possessive:
            return rf"\ensuremath{{{_symbol(word)}}}"
        return word
    if found["spaced"]:
        return r" \ensuremath{-} "
    return rf"\ensuremath{{{_mathematics(found)}}}"


def _symbol(word: str) -> str:
    if word in _NAMED:
        return _NAMED[word]
    symbol = _SYMBOL.fullmatch(word)
    if symbol is None:
        # Two letters are a product, as in e^(by); more are a name.
        return word if len(word) <= 2 else rf"\mathrm{{{word}}}"
    name, digits = symbol[1], symbol[2]
    base = name if len(name) == 1 else f"\\{name}"
    # sigma2 and chi2 are squares; other digits count.
    raised = name in ("sigma", "chi") and digits == "2"
    return f"{base}{'^' if raised else '_'}{{{digits}}}" if digits else base


def _mathematics(found: re.Match[str]) -> str:
    if found["primed"]:
        return _symbol(found["primed"]) + found["primes"]
    if found["mantissa"]:
        return rf"{found['mantissa']}\cdot10^{{{int(found['exponent'])}}}"
    if found["root"] or found["bare"]:
        return rf"\sqrt{{{_inside(found['root'] or found['bare'])}}}"
    if found["script"]:
        body = found["group"] or found["braced"] or found["one"]
        return f"{{}}{found['script']}{{{_inside(body)}}}"
    if found["star"]:
        return "{}^{*}"
    if found["minus"]:
        return "-"
    sign = found["sign"]
    raised = "{}" if sign in "²³" else ""
    return raised + _SIGNS.get(sign, _GREEK_LETTERS.get(sign, sign))


def _inside(text: str) -> str:
    """Return the text of a sub- or superscript or of a root, for mathematics mode."""
    out = []
    for found in _TOKEN.finditer(text):
        word = found["word"]
        if word is not None:
            out.append(_symbol(word) + " ")
        elif found["spaced"]:
            out.append("-")
        elif found["sign"] and found["sign"] not in _SIGNS | _GREEK_LETTERS:
            out.append("" if found["sign"] == " " else _ESCAPED.get(found["sign"], found["sign"]))
        elif found["sign"] == "*":
            out.append("*")
        else:
            out.append(_mathematics(found) + " ")
    return "".join(out).strip()

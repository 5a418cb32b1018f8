"""The few ways in which the page is put together: a tree of elements, escaped when it is written.

A text in two languages becomes two spans; the style sheet shows the one that the reader chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

from isr_theory.claim import Text


def add(parent: Element, tag: str, text: str = "", /, **attributes: str) -> Element:
    """Append an element; `class_` is the attribute class, and `data_tex` is data-tex."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    made = SubElement(parent, tag, named)
    if text:
        made.text = text
    return made


def both(parent: Element, words: Text | Mapping[str, str] | str) -> Element:
    """Append words in both languages, or plain words that need no translation."""
    if isinstance(words, str):
        return add(parent, "span", words)
    en, zh = (words.en, words.zh) if isinstance(words, Text) else (words["en"], words["zh"])
    add(parent, "span", en, lang="en")
    return add(parent, "span", zh, lang="zh-Hans")


def labelled(
    parent: Element, tag: str, words: Text | Mapping[str, str] | str, /, **attributes: str
) -> Element:
    """Append an element that holds words in both languages."""
    made = add(parent, tag, **attributes)
    both(made, words)
    return made


def option(choice: Element, value: str, words: Text | str) -> None:
    """Append an option. It holds text only: the page's script puts the reader's language in."""
    if isinstance(words, str):
        add(choice, "option", words, value=value)
    else:
        both_words = {"data-en": words.en, "data-zh": words.zh}
        add(choice, "option", words.en, value=value, **both_words)

"""Tasks with verifiers: short, middling and long answers, each with two rewards.

    graded = share of the characters in place, over the longer of answer and text,   in [0, 1]
    exact  = 1 where the task's own verifier gives full marks, else 0

Questions, answers and verifiers are reasoning-gym's. A model of our own reads a compact form in
small letters, whose last character says which task it is; a pretrained one reads the question as
the gym words it. A table of prepared prompts holds all that both rewards need, so that where the
gym is not installed it is not missed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from experiments.data import MissingData

Json = dict[str, Any]
# The folder of prepared prompts, for machines that have no gym.
VARIABLE = "ISR_LM_PROMPTS"
# Draws in a row that may all be refused before there is taken to be nothing more to find.
MOST_REFUSED = 20_000


@dataclass(frozen=True)
class Task:
    """A task of the gym, `gym` its name there and `config` its settings.

    `compact` makes of an entry's metadata what a small model reads. `said` makes of a model's text
    what the gym's verifier is given, `same` says without the gym whether a text is right. Answers
    have `shortest` to `longest` characters; a response has at most `most_tokens` of them, the end
    among them. `graded` says whether a text can be partly right in more than one or two characters.
    """

    name: str
    gym: str
    config: Mapping[str, Any]
    most_tokens: int
    graded: bool
    compact: Callable[[Json], str]
    said: Callable[[str], str]
    same: Callable[[str, str], bool]
    shortest: int = 1
    longest: int = 1_000


@dataclass(frozen=True)
class Example:
    """A prompt in compact form, with its answer; `entry` is the gym's own, None if prepared."""

    task: str
    prompt: str
    answer: str
    question: str = field(default="", repr=False)
    """As the gym words it."""
    entry: Json | None = field(default=None, repr=False, compare=False)


def _same_number(text: str, answer: str) -> bool:
    try:
        return Decimal(text.replace(",", "")) == Decimal(answer)
    except InvalidOperation:
        return False


def _same_letters(text: str, answer: str) -> bool:
    return text.lower() == answer


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(
                "chain_sum",
                "chain_sum",
                {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1},
                most_tokens=6,
                graded=False,
                compact=lambda entry: f"{entry['expression']} =",
                said=str,
                same=_same_number,
            ),
            Task(
                "spell_backward",
                "spell_backward",
                {"min_word_len": 4, "max_word_len": 9},
                most_tokens=13,
                graded=True,
                compact=lambda entry: f"{entry['word'].lower()} <",
                said=str,
                same=_same_letters,
                shortest=5,
                longest=12,
            ),
            Task(
                "caesar_cipher",
                "caesar_cipher",
                {"min_words": 5, "max_words": 9, "min_rotation": 1, "max_rotation": 5},
                most_tokens=64,
                graded=True,
                # Backwards, so that where to look is the same skill as in spelling.
                compact=lambda entry: f"{entry['rotation']} {entry['cipher_text'][::-1].lower()} >",
                said=str.upper,
                # Small and capital letters are the same to a model that knows one kind of them.
                same=_same_letters,
                shortest=24,
                longest=60,
            ),
        )
    }
)


def named(name: str) -> Task:
    """Return a task; raise ValueError where there is none of that name."""
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {name!r}")
    return TASKS[name]


def examples(
    task: str, n: int, seed: int, *, without: Collection[str] = (), distinct: bool = False
) -> list[Example]:
    """Return n examples of a task; none whose prompt is in `without`.

    With `distinct` no prompt comes twice. Raises ValueError where the task has not that many.
    """
    source = stream(task, seed)
    found: list[Example] = []
    taken = set(without)
    refused = 0
    while len(found) < n:
        example = next(source)
        if example.prompt in taken:
            refused += 1
            if refused > MOST_REFUSED:
                raise ValueError(f"n is {n}: {task} has only {len(found)} such prompts")
            continue
        refused = 0
        if distinct:
            taken.add(example.prompt)
        found.append(example)
    return found


def stream(task: str, seed: int) -> Iterator[Example]:
    """Yield a task's examples without end, or as many as were prepared for this seed.

    Prepared ones are those that the gym gives, so that results do not depend on who has it. Raises
    MissingData where neither is there.
    """
    made = named(task)
    folder = os.environ.get(VARIABLE)
    path = prepared_path(Path(folder), task, seed) if folder else None
    if path is not None and path.exists():
        yield from read(path)
        raise MissingData(f"{path} holds too few prompts: prepare them for this run")
    for entry in _entries(made, seed, path):
        example = _example(made, entry)
        if made.shortest <= len(example.answer) <= made.longest:
            yield example


def _entries(task: Task, seed: int, path: Path | None) -> Iterator[Json]:
    try:
        import reasoning_gym
    except ImportError as error:
        where = f"{path} is not there" if path else f"{VARIABLE} is not set"
        raise MissingData(
            f"{task.name} needs reasoning-gym or prepared prompts, and {where}"
        ) from error
    # The gym seeds entry i with seed + i: neighbouring seeds would share all entries but one.
    state = np.random.SeedSequence([seed, *task.name.encode()]).generate_state(1, np.uint64)
    source = reasoning_gym.create_dataset(
        task.gym, seed=int(state[0] >> np.uint64(2)), size=1, **task.config
    )
    yield from map(source.__getitem__, itertools.count())


def prepared_path(folder: Path, task: str, seed: int) -> Path:
    """Return where the prompts of a task and seed lie, once they are prepared."""
    return folder / f"{task}-{seed}.parquet"


def _example(task: Task, entry: Json) -> Example:
    prompt = task.compact(entry["metadata"])
    return Example(task.name, prompt, entry["answer"].lower(), entry["question"], entry)


def reward(example: Example, text: str) -> tuple[float, float]:
    """Return (graded, exact) for what a model said."""
    text = text.strip()
    longer = max(len(text), len(example.answer))
    in_place = sum(a == b for a, b in zip(text.lower(), example.answer, strict=False))
    return in_place / longer, float(_exact(example, text))


def said(example: Example, text: str) -> float:
    """Return 1 where the answer is a word of the text, else the share of characters in place.

    For a model that answers in sentences.
    """
    found = re.search(rf"(?<![\w-]){re.escape(example.answer)}(?!\w)", text.lower())
    return 1.0 if found else reward(example, text)[0]


def _exact(example: Example, text: str) -> bool:
    task = named(example.task)
    if example.entry is None:
        return task.same(text, example.answer)
    try:
        score = _verifier(task.name)(task.said(text), example.entry)
    except Exception:
        # A verifier may raise, anything at all, on what it cannot parse: that is no right answer.
        return False
    # Spelling adds up shares of 1/n, which may come to 1 + 2e-16 for a right word and more.
    return float(score) == 1.0


_VERIFIERS: dict[str, Callable[[str, Json], float]] = {}


def _verifier(name: str) -> Callable[[str, Json], float]:
    if name not in _VERIFIERS:
        import reasoning_gym

        task = TASKS[name]
        source = reasoning_gym.create_dataset(task.gym, seed=1, size=1, **task.config)
        _VERIFIERS[name] = source.score_answer
    return _VERIFIERS[name]


def prepare(path: Path, items: Sequence[Example]) -> None:
    """Write examples as Parquet: prompt, answer and question, from which both rewards follow."""
    from experiments.lm import logs

    columns = {name: [getattr(item, name) for item in items] for name in PREPARED}
    logs.write_table(path, columns, {"kind": "prompts", "tasks": json.dumps(sorted(TASKS))})


PREPARED = ("task", "prompt", "answer", "question")


def read(path: Path) -> list[Example]:
    """Return prepared examples; raise Unreadable, naming the file, where it holds none."""
    from experiments.lm import logs

    table, _ = logs.read_table(path, PREPARED)
    rows = zip(*(table[name] for name in PREPARED), strict=True)
    return [Example(*row) for row in rows]

"""What a text is to a model: numbers of tokens, and whole batches of them, padded on the left.

Small models read characters, by a tokenizer that is built here and saved beside the model as any
other; a pretrained model brings its own. Prompts are padded on the left, so that every response of
a batch begins in the same column.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Tensor = Any
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
CHARACTERS = " +-=<>.,:'0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer of transformers with the numbers of its padding, beginning and end."""

    tokenizer: Any
    size: int
    pad: int
    bos: int | None
    eos: int

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, the beginning first if there is one.

        Raises ValueError for a text with a character that the vocabulary has not.
        """
        found = list(self.tokenizer.encode(text, add_special_tokens=False))
        unknown = self.tokenizer.unk_token_id
        if unknown is not None and unknown in found:
            raise ValueError(f"text holds characters outside the vocabulary: {text!r}")
        return found if self.bos is None else [self.bos, *found]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of some tokens, without what marks beginning, end and padding."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def prompts(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return rows of tokens (n, P) padded on the left, and where they are no padding."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.pad, dtype=torch.int64)
        mask = torch.zeros((len(rows), width), dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, width - len(row) :] = torch.tensor(row, dtype=torch.int64)
            mask[i, width - len(row) :] = True
        return ids, mask

    @property
    def digest(self) -> str:
        """What tells this vocabulary from another: a log and a model of two cannot meet."""
        text = json.dumps(sorted(self.tokenizer.get_vocab().items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def characters() -> Vocabulary:
    """Return the vocabulary of single characters: three marks, digits, small letters and signs."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    marks = [PAD, BOS, EOS, "<unk>"]
    numbers = {token: i for i, token in enumerate([*marks, *CHARACTERS])}
    own = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    own.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    own.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token=PAD, bos_token=BOS, eos_token=EOS, unk_token="<unk>"
    )
    return of(tokenizer)


def of(tokenizer: Any) -> Vocabulary:
    """Return the vocabulary of a tokenizer; raise ValueError for one that marks no end."""
    if tokenizer.eos_token_id is None:
        raise ValueError("tokenizer must have an end-of-sequence token, or no response would end")
    pad = tokenizer.pad_token_id
    return Vocabulary(
        tokenizer,
        len(tokenizer),
        # What padding is does not matter where everything is masked.
        tokenizer.eos_token_id if pad is None else pad,
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
    )


def folder(path: Path) -> Vocabulary:
    """Return the vocabulary that is saved beside a model."""
    from transformers import AutoTokenizer

    return of(AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False))

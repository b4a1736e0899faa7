"""Corpora, tokenizers and batching."""

from rondeau.data.corpus import NAMES, Text, load_text, read, strip_licence
from rondeau.data.ragged import Batch, RaggedBatches, padded
from rondeau.data.streams import Streams, Window, hold_out
from rondeau.data.tokenizers import KINDS, Bytes, Characters, Tokenizer, Words, split_words, tokenizer

__all__ = [
    "KINDS",
    "NAMES",
    "Batch",
    "Bytes",
    "Characters",
    "RaggedBatches",
    "Streams",
    "Text",
    "Tokenizer",
    "Window",
    "Words",
    "hold_out",
    "load_text",
    "padded",
    "read",
    "split_words",
    "strip_licence",
    "tokenizer",
]

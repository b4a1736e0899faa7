"""Corpora, tokenizers and batching."""

from rondeau.data.corpus import NAMES, Text, load_text, read, strip_licence
from rondeau.data.streams import Streams, Window, hold_out
from rondeau.data.tokenizers import KINDS, Bytes, Characters, Tokenizer, Words, split_words, tokenizer

__all__ = [
    "KINDS",
    "NAMES",
    "Bytes",
    "Characters",
    "Streams",
    "Text",
    "Tokenizer",
    "Window",
    "Words",
    "hold_out",
    "load_text",
    "read",
    "split_words",
    "strip_licence",
    "tokenizer",
]

"""Corpora, tokenizers and batching; sequences and series from files, frames and arrays, checked."""

from rondeau.data.arrays import sequences_of, series_of
from rondeau.data.bio import EntityScores, Follows, bio_follows, entities, entity_scores, is_bio
from rondeau.data.columns import Columns
from rondeau.data.corpus import NAMES, Text, load_text, read, strip_licence
from rondeau.data.frames import sequences_of_frame, series_of_frame
from rondeau.data.pairs import Pairs, pairs_of, read_pairs
from rondeau.data.ragged import Batch, RaggedBatches, padded
from rondeau.data.reading import read_parts, read_sequences, read_series
from rondeau.data.sequences import Labels, Sequences, StepLabels, StepTargets, Targets
from rondeau.data.series import Series, SeriesSet
from rondeau.data.spelled import spelling
from rondeau.data.splits import Split, split_groups, split_sequences
from rondeau.data.streams import Streams, Window, hold_out
from rondeau.data.symbols import Symbols
from rondeau.data.times import Frequency
from rondeau.data.tokenizers import KINDS, Bytes, Characters, Tokenizer, Words, split_words, tokenizer

__all__ = [
    "KINDS",
    "NAMES",
    "Batch",
    "Bytes",
    "Characters",
    "Columns",
    "EntityScores",
    "Follows",
    "Frequency",
    "Labels",
    "Pairs",
    "RaggedBatches",
    "Sequences",
    "Series",
    "SeriesSet",
    "Split",
    "StepLabels",
    "StepTargets",
    "Streams",
    "Symbols",
    "Targets",
    "Text",
    "Tokenizer",
    "Window",
    "Words",
    "bio_follows",
    "entities",
    "entity_scores",
    "hold_out",
    "is_bio",
    "load_text",
    "padded",
    "pairs_of",
    "read",
    "read_pairs",
    "read_parts",
    "read_sequences",
    "read_series",
    "sequences_of",
    "sequences_of_frame",
    "series_of",
    "series_of_frame",
    "spelling",
    "split_groups",
    "split_sequences",
    "split_words",
    "strip_licence",
    "tokenizer",
]

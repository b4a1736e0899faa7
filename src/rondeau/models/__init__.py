"""Models, one file a sequence-task shape, and the baselines they are compared with."""

from rondeau.models.crf import CRF
from rondeau.models.encoder import Numbers, Reader, SequenceEncoder, Tokens
from rondeau.models.generation import Choice, beginning, generate
from rondeau.models.language_model import LanguageModel, detached, parameter_count
from rondeau.models.layers import recurrent_layers
from rondeau.models.many_to_one import ManyToOne, Members, Pooling
from rondeau.models.ngram import NGram, Score, compare
from rondeau.models.one_to_one import OneToOne
from rondeau.models.scorer import Scorer

__all__ = [
    "CRF",
    "Choice",
    "LanguageModel",
    "ManyToOne",
    "Members",
    "NGram",
    "Numbers",
    "OneToOne",
    "Pooling",
    "Reader",
    "Score",
    "Scorer",
    "SequenceEncoder",
    "Tokens",
    "beginning",
    "compare",
    "detached",
    "generate",
    "parameter_count",
    "recurrent_layers",
]

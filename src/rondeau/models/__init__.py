"""Models, one file a sequence-task shape, and the baselines they are compared with."""

from rondeau.models.crf import CRF
from rondeau.models.decoding import decode
from rondeau.models.encoder import Numbers, Reader, SequenceEncoder, Tokens
from rondeau.models.encoder_decoder import EncoderDecoder
from rondeau.models.forecaster import ForecastNetwork
from rondeau.models.generation import Choice, beginning, generate
from rondeau.models.hashed import HashedNGrams
from rondeau.models.language_model import LanguageModel, detached, parameter_count
from rondeau.models.layers import recurrent_layers
from rondeau.models.many_to_many import ManyToMany, chosen_steps
from rondeau.models.many_to_one import Companioned, ManyToOne, Members, Pooling
from rondeau.models.ngram import NGram, Score, compare
from rondeau.models.one_to_one import OneToOne
from rondeau.models.scorer import Scorer
from rondeau.models.search import Beam, Sampling
from rondeau.models.words import Words
from rondeau.models.written import Hypothesis

__all__ = [
    "CRF",
    "Beam",
    "Choice",
    "Companioned",
    "EncoderDecoder",
    "ForecastNetwork",
    "HashedNGrams",
    "Hypothesis",
    "LanguageModel",
    "ManyToMany",
    "ManyToOne",
    "Members",
    "NGram",
    "Numbers",
    "OneToOne",
    "Pooling",
    "Reader",
    "Sampling",
    "Score",
    "Scorer",
    "SequenceEncoder",
    "Tokens",
    "Words",
    "beginning",
    "chosen_steps",
    "compare",
    "decode",
    "detached",
    "generate",
    "parameter_count",
    "recurrent_layers",
]

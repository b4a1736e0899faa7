"""Models, one file a sequence-task shape, and the baselines they are held against."""

from rondeau.models.language_model import LanguageModel, choose, detached, generate
from rondeau.models.ngram import NGram, Score, compare

__all__ = ["LanguageModel", "NGram", "Score", "choose", "compare", "detached", "generate"]

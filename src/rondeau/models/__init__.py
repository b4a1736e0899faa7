"""Models, one file a sequence-task shape, and the baselines they are held against."""

from rondeau.models.language_model import LanguageModel, beginning, choose, detached, generate
from rondeau.models.ngram import NGram, Score, compare

__all__ = ["LanguageModel", "NGram", "Score", "beginning", "choose", "compare", "detached", "generate"]

"""Models, one file a sequence-task shape, and the baselines they are held against."""

from rondeau.models.generation import Choice, beginning, generate
from rondeau.models.language_model import LanguageModel, detached, parameter_count
from rondeau.models.ngram import NGram, Score, compare

__all__ = ["Choice", "LanguageModel", "NGram", "Score", "beginning", "compare", "detached", "generate", "parameter_count"]

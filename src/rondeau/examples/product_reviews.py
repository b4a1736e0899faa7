"""Do customers like it: the sign of the rating of snippets of product reviews, read word by word.

Counting words is a strong floor here: most snippets say "great" or "disappointed". The last lines show what a network makes of
an order of words: of a sentence, and of one with the same words that says the opposite.

The snippets are those that VADER was measured on (Hutto & Gilbert 2014), from the source package of vaderSentiment; whole
reviews are held out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rondeau.estimators import SequenceClassifier
from rondeau.examples.classified import classified
from rondeau.examples.labelled import snippets
from rondeau.examples.outcome import Outcome

ASKED = ("this phone is very fast", "this phone is not fast", "it is bad, not good at all", "it is good, not bad at all")


def recipe(out: Path, seed: int = 1, effort: float = 1.0, data: Path = Path()) -> Outcome:
    """Learns from four fifths of the reviews."""
    model = SequenceClassifier(random_state=seed)
    model, found = classified(model, snippets(data), out, "product_reviews", effort, "macro F1")
    chances = model.predict_proba(list(ASKED))[:, list(model.classes_).index("positive")]
    return replace(found, lines=tuple(f"{chance:.2f} positive: {text}" for text, chance in zip(ASKED, chances)))

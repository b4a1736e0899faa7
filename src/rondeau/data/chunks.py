"""Chunks of sequences of like length, to run a model over any number of them in memory that does not grow."""

from __future__ import annotations

import numpy as np


def length_chunks(lengths: np.ndarray, most: int = 256, steps: int = 1 << 15) -> list[np.ndarray]:
    """Places of sequences from the shortest to the longest, so many at a time that neither they nor their steps, padding
    counted, are too many.

    Args:
        lengths: of each sequence (sequences,).
        most: sequences at a time.
        steps: sequences times steps at a time, unless a single one has more.

    Example:
        >>> [chunk.tolist() for chunk in length_chunks(np.array([5, 1, 9, 2]), steps=10)]
        [[1, 3], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable")
    chunks, start = [], 0
    ascending = np.asarray(lengths)[order]
    while start < len(order):
        stop = min(start + most, len(order))
        over = np.arange(1, stop - start + 1) * ascending[start:stop] > steps
        stop = start + max(1, int(over.argmax())) if over.any() else stop
        chunks.append(order[start:stop])
        start = stop
    return chunks

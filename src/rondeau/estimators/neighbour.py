"""The label of the nearest known sequence, by dynamic time warping: what a recurrent network has to beat on short series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 4e9
"""Distances between two steps that are computed at most, about a minute; beyond, sequences are thinned out first."""
AT_ONCE = 1 << 22
"""Elements of a table of distances at a time."""


def nearest(known: Sequence[np.ndarray], asked: Sequence[np.ndarray]) -> np.ndarray:
    """The place among ``known`` of the sequence that is nearest to each of ``asked`` (sequences,).

    Features are first brought to the same spread; a value that is missing is its feature's mean. Where there is too much to
    compare, every second step or fewer are taken.

    Args:
        known: arrays (steps, features).
        asked: arrays (steps, features).

    Example:
        >>> up, down = np.arange(4.0)[:, None], np.arange(4.0)[::-1, None]
        >>> nearest([up, down], [np.array([[0.0], [0.0], [1.0], [2.0], [3.0]])])
        array([0])
    """
    mean, deviation = _spread(known)
    keep = _thinning(known, asked)
    padded, lengths = _padded([((item - mean) / deviation)[::keep] for item in known])
    found = np.empty(len(asked), np.int64)
    size = max(1, AT_ONCE // (padded.shape[0] * padded.shape[1]))
    order = np.argsort(list(map(len, asked)), kind="stable")
    for begin in range(0, len(asked), size):
        places = order[begin : begin + size]
        others, other_lengths = _padded([((asked[place] - mean) / deviation)[::keep] for place in places])
        found[places] = _distances(others, other_lengths, padded, lengths).argmin(1)
    return found


def _spread(items: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each feature (features,)."""
    rows = np.concatenate(items)
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, rows, 0).sum(0) / count
    deviation = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(0) / count)
    return mean, np.where(deviation > 0, deviation, 1.0)


def _thinning(known: Sequence[np.ndarray], asked: Sequence[np.ndarray]) -> int:
    """Every how many-th step is taken."""
    cost = float(sum(map(len, known))) * float(sum(map(len, asked)))
    return int(np.ceil(np.sqrt(max(cost / MOST, 1.0))))


def _padded(items: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as (sequences, steps, features), zeros behind each and for what is missing, and their lengths (sequences,)."""
    lengths = np.array(list(map(len, items)))
    whole = np.zeros((len(items), int(lengths.max()), items[0].shape[1]), np.float32)
    for place, item in enumerate(items):
        whole[place, : len(item)] = np.nan_to_num(item)
    return whole, lengths


def _distances(one: np.ndarray, one_lengths: np.ndarray, other: np.ndarray, other_lengths: np.ndarray) -> np.ndarray:
    """The squared distance of each of ``one`` to each of ``other`` (one, other) along the best alignment of their steps."""
    pairs, steps = (len(one), len(other)), other.shape[1]
    found = np.full(pairs, np.inf, np.float32)
    row = np.full((steps + 1, *pairs), np.inf, np.float32)  # the best until the step before, by the other's step
    row[0] = 0.0
    norms = (other**2).sum(2)
    columns = np.arange(len(other))
    for at in range(one.shape[1]):
        cost = (one[:, at] ** 2).sum(1)[:, None, None] + norms - 2 * np.einsum("if,jsf->ijs", one[:, at], other, optimize=True)
        best, before = np.full_like(row, np.inf), np.minimum(row[1:], row[:-1])
        for step in range(steps):
            best[step + 1] = cost[:, :, step] + np.minimum(before[step], best[step])
        row = best
        ended = one_lengths == at + 1
        if ended.any():
            found[ended] = row[other_lengths, :, columns].T[ended]
    return found

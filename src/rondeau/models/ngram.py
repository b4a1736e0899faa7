"""N-gram language models: the baseline beside every network.

Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999, "An empirical study of smoothing techniques for language
modeling", Computer Speech and Language 13, section 3). With the history ``h``, the shorter history ``h'``, the counts ``a``
(how often at the highest order, below it after how many different tokens) and the discounts ``D1, D2, D3+``::

    P(w | h) = max(a(h w) - D(a(h w)), 0) / a(h .) + gamma(h) P(w | h')
    gamma(h) = (D1 N1(h .) + D2 N2(h .) + D3+ N3+(h .)) / a(h .)

The last resort is the uniform distribution, so no token ever has probability zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from rondeau.errors import InputError

Array = np.ndarray


@dataclass(frozen=True)
class Level:
    """All n-grams of one length. ``keys`` is sorted: the number of the n-gram's prefix in the level below times the
    vocabulary, plus its last token. ``raw`` and ``continued`` are the two kinds of smoothed counts."""

    keys: Array
    suffix: Array
    raw: Smoothed
    continued: Smoothed


@dataclass(frozen=True)
class Smoothed:
    """Discounted counts per n-gram, and per prefix the total and the weight of the shorter history."""

    discounted: Array
    total: Array
    weight: Array


@dataclass(frozen=True)
class Score:
    """One order scored on the same text: nats per token and the number of n-grams stored."""

    order: int
    nats: float
    entries: int


class NGram:
    """An n-gram model of tokens 0 to ``size - 1``.

    Args:
        order: the longest n-gram, 1 for single tokens.
        size: the number of different tokens.

    Raises:
        InputError: an order or a size below 1.

    Example:
        >>> import torch
        >>> model = NGram(2, 3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
        >>> bool(abs(model.probabilities([0]).sum() - 1) < 1e-12)
        True
    """

    def __init__(self, order: int, size: int) -> None:
        for name, value in (("order", order), ("size", size)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is a positive whole number, not {value!r}")
        self.order, self.size = order, size
        self.levels: list[Level] = []

    def fit(self, tokens: Tensor | Array) -> NGram:
        """Counts the n-grams of ``tokens`` (tokens,); the model itself.

        Raises:
            InputError: no tokens, or one outside the vocabulary.
        """
        text = self._checked(tokens)
        if not len(text):
            raise InputError("an n-gram model learns from at least one token, got none")
        place = np.zeros(len(text), dtype=np.int64)
        raw: list[tuple[Array, Array, Array]] = []
        for length in range(1, min(self.order, len(text)) + 1):
            keys = (place[length - 2 : -1] if length > 1 else place) * self.size + text[length - 1 :]
            unique, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            suffix = place[first + length - 1] if length > 1 else np.zeros(len(unique), dtype=np.int64)
            raw.append((unique, suffix, counts))
            place = np.full(len(text), -1, dtype=np.int64)
            place[length - 1 :] = inverse
        self.levels = [self._level(raw, i) for i in range(len(raw))]
        return self

    def _level(self, raw: list[tuple[Array, Array, Array]], i: int) -> Level:
        keys, suffix, counts = raw[i]
        prefixes = len(raw[i - 1][0]) if i else 1
        prefix = keys // self.size
        continued = np.bincount(raw[i + 1][1], minlength=len(keys)) if i + 1 < len(raw) else counts
        return Level(keys, suffix, _smooth(counts, prefix, prefixes), _smooth(continued, prefix, prefixes))

    def log_probability(self, tokens: Tensor | Array, order: int | None = None) -> Array:
        """The natural logarithm of each token's probability given those before it, (tokens,), float64."""
        text = self._checked(tokens)
        return np.log(self._probability(text, order or self.order))

    def nats(self, tokens: Tensor | Array, order: int | None = None) -> float:
        """Mean nats per token of ``tokens``, the first of which only serves as history.

        Raises:
            InputError: fewer than two tokens.
        """
        if len(tokens) < 2:
            raise InputError(f"scoring needs at least two tokens, got {len(tokens)}")
        return float(-self.log_probability(tokens, order)[1:].mean())

    def probabilities(self, history: Iterable[int]) -> Array:
        """The distribution of the next token after ``history``, (size,)."""
        past = (
            self._checked(np.array(list(history), dtype=np.int64))[-(self.order - 1) :]
            if self.order > 1
            else np.zeros(0, np.int64)
        )
        rows = [np.append(past, token) for token in range(self.size)]
        return np.array([self._probability(row, self.order)[-1] for row in rows])

    @property
    def entries(self) -> int:
        """The number of n-grams stored, of all lengths."""
        return sum(len(level.keys) for level in self.levels)

    def _probability(self, text: Array, order: int) -> Array:
        if not self.levels:
            raise InputError("this model has learned nothing yet; call fit(tokens) first")
        p = np.full(len(text), 1 / self.size)
        place = np.zeros(len(text), dtype=np.int64)
        top = min(order, len(self.levels))
        for length, level in enumerate(self.levels[:top], 1):
            history = np.concatenate([[-1], place])[: len(text)] if length > 1 else place
            smoothed = level.raw if length == top else level.continued
            found = _find(level.keys, np.where(history >= 0, history * self.size + text, -1))
            known = history >= 0
            known[known] = smoothed.total[history[known]] > 0
            hit = known & (found >= 0)
            mass = np.zeros(len(text))
            mass[hit] = smoothed.discounted[found[hit]]
            at = history[known]
            p[known] = mass[known] / smoothed.total[at] + smoothed.weight[at] * p[known]
            place = found
        return p

    def _checked(self, tokens: Tensor | Array) -> Array:
        text = np.asarray(tokens, dtype=np.int64)
        if len(text) and (text.min() < 0 or text.max() >= self.size):
            raise InputError(f"tokens lie between 0 and {self.size - 1}, got {text.min()} to {text.max()}")
        return text


def _smooth(counts: Array, prefix: Array, prefixes: int) -> Smoothed:
    """Modified Kneser-Ney discounts, from how many n-grams occur once to four times (Chen & Goodman 1999, equation 17)."""
    n = [int((counts == k).sum()) for k in range(1, 5)]
    y = n[0] / (n[0] + 2 * n[1]) if n[0] + 2 * n[1] else 0.5
    d = [k - (k + 1) * y * n[k] / n[k - 1] if n[k - 1] else 0.5 for k in (1, 2, 3)]
    d = [min(max(value, 0.05), 0.95 * k) for k, value in zip((1, 2, 3), d)]
    discount = np.array([0.0, *d])[np.minimum(counts, 3)]
    total = np.bincount(prefix, weights=counts, minlength=prefixes)
    spared = np.bincount(prefix, weights=discount, minlength=prefixes)
    return Smoothed(counts - discount, total, np.divide(spared, total, out=np.ones(prefixes), where=total > 0))


def _find(keys: Array, wanted: Array) -> Array:
    """The places of ``wanted`` among the sorted ``keys``, -1 where there is none."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def compare(train: Tensor | Array, held: Tensor | Array, size: int, orders: Iterable[int] = range(1, 11)) -> list[Score]:
    """Models of several orders, learned from ``train`` and scored on ``held``."""
    chosen = sorted(set(orders))
    model = NGram(chosen[-1], size).fit(train)
    stored = np.cumsum([len(level.keys) for level in model.levels])
    return [Score(n, model.nats(held, n), int(stored[min(n, len(stored)) - 1])) for n in chosen]

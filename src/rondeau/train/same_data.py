"""The fingerprint of a run's data, so that a resumed run learns the same, and nothing that was held out is ever learned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from rondeau.errors import InputError, RunError
from rondeau.train.manifest import Fingerprint

Item = Any
"""A tensor, an array, a text, a number, None, or a sequence of such."""


class Digest(Protocol):
    """What takes bytes, such as those of `hashlib`."""

    def update(self, data: bytes, /) -> None:
        """Takes more."""


def fingerprint(learned: Sequence[Item], held: Sequence[Item] = ()) -> Fingerprint:
    """What tells data apart: how many items there are, how many of them are learned, and a hash of them all.

    Args:
        learned: items to learn from: tensors, arrays, texts, numbers, None, or lists and tuples of such.
        held: items held out.

    Raises:
        InputError: something else is among them.

    Example:
        >>> made = fingerprint(["to be", "or not"], ["to be"])
        >>> made.tokens, made.learned, made == fingerprint(["to be"], ["or not", "to be"])
        (3, 2, False)
    """
    digest = hashlib.sha256()
    _add(digest, learned)
    _add(digest, held)
    return Fingerprint(len(learned) + len(held), len(learned), digest.hexdigest())


def _add(digest: Digest, item: Item) -> None:
    """Adds an item with its type and its extent, so that no two different items give the same bytes."""
    if isinstance(item, Tensor):
        item = item.detach().cpu().numpy()
    if isinstance(item, (str, bytes)):
        data = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item
        digest.update(f"{type(item).__name__} {len(data)} ".encode())
        digest.update(data)
    elif isinstance(item, np.ndarray) and item.dtype != object:
        digest.update(f"{item.dtype.str} {item.shape} ".encode())
        digest.update(np.ascontiguousarray(item).tobytes())
    elif isinstance(item, (list, tuple, np.ndarray)):
        digest.update(f"list {len(item)} ".encode())
        _add_all(digest, item)
    elif item is None or isinstance(item, (bool, int, float, np.generic)):
        digest.update(f"number {item!r} ".encode())
    else:
        raise InputError(f"a fingerprint is of tensors, arrays, texts, numbers and lists of such, not of {type(item).__name__}")


def _add_all(digest: Digest, items: Iterable[Item]) -> None:
    for item in items:
        _add(digest, item)


def check_same(kept: Fingerprint | None, given: Fingerprint | None, where: Path) -> None:
    """Refuses other data than a run has learned.

    Raises:
        RunError: they are others, or only one of the two is known.
    """
    if kept is None and given is None:
        return
    if kept is None:
        raise RunError(f"{where} was kept without a fingerprint of its data; leave out data, and make sure they are the same")
    if given is None:
        raise RunError(f"{where} was kept with a fingerprint of its data; give data, the fingerprint of those to go on with")
    if given != kept:
        what = "they were changed since"
        for name, now, before in (("items", given.tokens, kept.tokens), ("items to learn from", given.learned, kept.learned)):
            if now != before:
                what = f"there are {now:,} {name}, not {before:,}"
                break
        raise RunError(f"the data are not those that {where} has learned: {what}; give those that it learned, or train anew")

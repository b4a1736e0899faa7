"""Entities in sequences of BIO tags: ``B-PER I-PER O`` is one entity of the kind PER over two steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rondeau.errors import InputError


class Entity(NamedTuple):
    """An entity of a kind, from the step ``start`` up to but not including ``stop``."""

    start: int
    stop: int
    kind: str


def is_bio(tags: Iterable[str]) -> bool:
    """Whether all tags are ``O``, ``B-`` or ``I-`` and a kind, with an entity among them.

    Example:
        >>> is_bio(["O", "B-LOC", "I-LOC"]), is_bio(["NN", "O"])
        (True, False)
    """
    listed = list(map(str, tags))
    sound = all(tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2) for tag in listed)
    return sound and any(tag != "O" for tag in listed)


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sequence of BIO tags, in order; an ``I-`` that continues nothing of its kind begins one.

    Example:
        >>> entities(["B-PER", "I-PER", "O", "B-LOC"])
        [Entity(start=0, stop=2, kind='PER'), Entity(start=3, stop=4, kind='LOC')]
    """
    found: list[Entity] = []
    start = None
    for step, tag in enumerate([*map(str, tags), "O"]):
        kind = tag[2:]
        if start is not None and (tag[:2] != "I-" or kind != tags[start][2:]):
            found.append(Entity(start, step, str(tags[start])[2:]))
            start = None
        if start is None and tag != "O":
            start = step
    return found


class EntityScores(NamedTuple):
    """How well entities were found: an entity counts if start, stop and kind are all right."""

    precision: float
    recall: float
    f1: float


def entity_scores(true: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> EntityScores:
    """Precision, recall and F1 over the entities of all sequences; of nothing found, or nothing to find, they are zero.

    Args:
        true: the BIO tags of each sequence.
        found: those that a model gave.

    Raises:
        InputError: there are not as many sequences, or a sequence has not as many tags.

    Example:
        >>> entity_scores([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "O"]]).recall
        0.5
    """
    if list(map(len, true)) != list(map(len, found)):
        raise InputError("the true and the found tags differ in number; give one found tag for each true one")
    pairs = [(set(entities(a)), set(entities(b))) for a, b in zip(true, found)]
    right = sum(len(a & b) for a, b in pairs)
    wanted, given = (sum(map(len, side)) for side in zip(*pairs)) if pairs else (0, 0)
    return EntityScores(right / max(given, 1), right / max(wanted, 1), 2 * right / max(given + wanted, 1))


class Follows(NamedTuple):
    """Which tags may stand first, (tags,), and which may follow which, (tags, next tags); booleans."""

    first: np.ndarray
    after: np.ndarray


def bio_follows(tags: Sequence[str] | np.ndarray) -> Follows:
    """What BIO allows: ``I-`` of a kind only behind ``B-`` or ``I-`` of the same kind, all else anywhere.

    Raises:
        InputError: a tag is none of BIO.

    Example:
        >>> bio_follows(["B-LOC", "I-LOC", "O"]).after.astype(int)
        array([[1, 1, 1],
               [1, 1, 1],
               [1, 0, 1]])
    """
    if not is_bio(tags):
        raise InputError(f"BIO tags are O, B-KIND and I-KIND, but the tags are {', '.join(map(str, tags))}; leave BIO out")
    inside = np.array([tag[:2] == "I-" for tag in tags])
    kinds = np.array([tag[2:] for tag in tags])
    return Follows(~inside, ~inside[None, :] | (kinds[:, None] == kinds[None, :]))

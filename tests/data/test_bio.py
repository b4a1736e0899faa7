"""BIO tags: their entities, their scores."""

from __future__ import annotations

import pytest

from rondeau.data import entities, entity_scores, is_bio
from rondeau.errors import InputError


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", []),
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("B-A B-A", [(0, 1, "A"), (1, 2, "A")]),
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("I-A I-A O", [(0, 2, "A")]),
        ("O B-A I-A", [(1, 3, "A")]),
    ],
)
def test_entities_of_tags(tags: str, found: list[tuple[int, int, str]]) -> None:
    assert [tuple(each) for each in entities(tags.split())] == found


def test_scores_count_whole_entities() -> None:
    true, found = [["B-A", "I-A", "O", "B-B"], ["O", "B-A"]], [["B-A", "O", "O", "B-B"], ["O", "B-A"]]
    scores = entity_scores(true, found)
    assert scores.precision == scores.recall == scores.f1 == 2 / 3
    assert entity_scores([["O"]], [["O"]]).f1 == 0
    assert entity_scores([], []).f1 == 0


def test_scores_of_differing_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="one found tag for each"):
        entity_scores([["O", "O"]], [["O"]])


def test_what_is_bio() -> None:
    assert is_bio(["O", "B-A"]) and is_bio(["B-A", "I-A"])
    assert not is_bio(["O"]) and not is_bio(["B-", "O"]) and not is_bio(["B-A", "NN"])

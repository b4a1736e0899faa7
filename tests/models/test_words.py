"""Words by themselves and by how they are written."""

from __future__ import annotations

import pytest
import torch

from rondeau.data import spelling
from rondeau.data.spelled import BUCKETS, PIECES
from rondeau.errors import InputError
from rondeau.models import Words


def encoded(*words: str, number: int = 0) -> torch.Tensor:
    return torch.tensor([[[number, *spelling(word)] for word in words]])


def test_pieces_are_shared_by_words_that_begin_or_end_alike() -> None:
    def shared(a: str, b: str) -> int:
        return len(set(spelling(a)) & set(spelling(b)))

    assert min(shared("walking", "talking"), shared("walking", "walked")) > shared("walking", "cat")
    assert spelling("Paris") != spelling("paris") and spelling("A1") != spelling("AA")
    assert spelling("") and spelling("\ud800") and all(len(spelling(word)) == PIECES for word in ("", "a", "house" * 9))
    assert all(0 <= number < BUCKETS for number in spelling("žluťoučký"))
    assert spelling("the") == spelling("the")


def test_hashes_never_change() -> None:
    assert spelling("Ada")[:3] == (2920, 5421, 23715)  # other numbers would make saved networks useless


def test_an_unknown_word_is_told_by_its_spelling() -> None:
    torch.manual_seed(0)
    reader = Words(10, 8)
    known, other = reader(encoded("walking", number=3)), reader(encoded("walking"))
    assert known[..., 8:].equal(other[..., 8:]) and not known[..., :8].equal(other[..., :8])
    mean = reader.spelling.weight[torch.tensor(spelling("walking"))].mean(0)
    torch.testing.assert_close(other[0, 0, 8:], mean)


def test_words_are_forgotten_at_the_rate_while_training_alone() -> None:
    reader = Words(10, 4, unknown=0.3)
    x = encoded(*["word"] * 2000, number=5)
    forgotten = (reader(x)[0, :, :4] == reader.embedding.weight[0]).all(1).double().mean()
    assert 0.25 < forgotten < 0.35
    assert (reader.eval()(x)[0, :, :4] == reader.embedding.weight[5]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Words(0, 4), "positive"),
        (lambda: Words(4, 4, unknown=1.0), "rate"),
        (lambda: Words(4, 4)(torch.zeros(1, 2, 3, dtype=torch.int64)), rf"\(batch, time, {1 + PIECES}\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

"""An answer at every step: what a step reads, which steps a loss counts."""

from __future__ import annotations

import pytest
import torch

from rondeau.data import bio_follows
from rondeau.errors import InputError
from rondeau.models import CRF, ManyToMany, SequenceEncoder, Tokens, chosen_steps, recurrent_layers

LENGTHS = [6, 2, 4]


def made(bidirectional: bool = True, crf: CRF | None = None) -> ManyToMany:
    torch.manual_seed(0)
    body = recurrent_layers("gru", 4, 6, bidirectional=bidirectional)
    return ManyToMany(SequenceEncoder(Tokens(9, 4), body), 3, crf=crf)


@pytest.mark.parametrize(
    ("first", "last", "chosen"),
    [
        (0, -1, [range(6), range(2), range(4)]),
        (1, 2, [[1, 2], [1], [1, 2]]),
        (-1, -1, [[5], [1], [3]]),
        (-3, -2, [[3, 4], [0], [1, 2]]),
        (3, -1, [[3, 4, 5], [], [3]]),
    ],
)
def test_steps_are_chosen_from_either_end(first: int, last: int, chosen: list[list[int]]) -> None:
    mask = chosen_steps(torch.tensor(LENGTHS), 6, first, last)
    assert [row.nonzero().flatten().tolist() for row in mask] == list(map(list, chosen))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_reads_what_lies_before_it_and_both_ways_all(bidirectional: bool) -> None:
    model, x = made(bidirectional), torch.randint(1, 9, (1, 5))
    other = x.clone()
    other[0, 3] = (x[0, 3] % 8) + 1
    differs = (model(x) != model(other)).any(-1)[0].tolist()
    assert differs == [bidirectional] * 3 + [True, True]


def test_padding_changes_no_step() -> None:
    model, x = made(), torch.randint(1, 9, (3, 6))
    whole = model(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(model(x[row : row + 1, :length])[0], whole[row, :length])


def test_a_chain_decides_for_the_whole_sequence() -> None:
    follows = bio_follows(["B-X", "I-X", "O"])
    free, chained = made(), made(crf=CRF(3, follows))
    scores = torch.randn(20, 8, 3)
    assert free.decode(scores).equal(scores.argmax(-1))
    torch.testing.assert_close(free.probabilities(scores), scores.softmax(-1))
    found = chained.decode(scores)
    assert follows.first[found[:, 0]].all() and follows.after[found[:, :-1], found[:, 1:]].all()
    torch.testing.assert_close(chained.probabilities(scores).sum(-1), torch.ones(20, 8))


def test_a_chain_of_other_tags_is_refused() -> None:
    with pytest.raises(InputError, match="chain is of 4 tags and the head gives 3"):
        made(crf=CRF(4))

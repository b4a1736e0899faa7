"""Ragged batches: every sequence once an epoch, little padding, and a place to go back to."""

import numpy as np
import pytest
import torch

from rondeau.data import RaggedBatches, padded
from rondeau.errors import DataError, InputError

VOWELS = np.random.default_rng(0).integers(7, 30, 270)  # lengths like those of JapaneseVowels


def sequences(lengths: object) -> list[torch.Tensor]:
    return [torch.full((int(n), 2), float(place)) for place, n in enumerate(lengths)]  # type: ignore[arg-type]


def epoch(batches: RaggedBatches) -> list[list[int]]:
    return [batches.next().places.tolist() for _ in range(batches.count)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch", [1, 16, 64, 300])
def test_every_sequence_comes_once_an_epoch_in_batches_that_fit(batch: int, shuffle: bool) -> None:
    batches = RaggedBatches(sequences(VOWELS), batch, shuffle=shuffle)
    for _ in range(3):
        seen = epoch(batches)
        assert sorted(place for places in seen for place in places) == list(range(270)) and max(map(len, seen)) <= batch


@pytest.mark.parametrize("batch", [8, 16, 32, 64])
@pytest.mark.parametrize("seed", range(3))
def test_at_most_a_tenth_is_padding(batch: int, seed: int) -> None:
    batches = RaggedBatches(sequences(VOWELS), batch, seed=seed)
    for _ in range(2 * batches.count):
        some = batches.next()
        elements = some.inputs.shape[0] * some.inputs.shape[1]
        assert elements - int(some.lengths.sum()) <= 0.1 * elements
    assert batches.count <= 1.5 * 270 / batch + 13  # and the batches are not small for it


def test_a_batch_holds_its_sequences_with_zeros_behind() -> None:
    some = RaggedBatches(sequences(VOWELS), 16).next()
    for row, length, place in zip(some.inputs, some.lengths.tolist(), some.places.tolist()):
        assert length == VOWELS[place] and (row[:length] == place).all() and not row[length:].any()


def test_the_order_hangs_on_the_seed_and_the_epoch_alone() -> None:
    one, other, third = (RaggedBatches(sequences(VOWELS), 16, seed=seed) for seed in (5, 5, 6))
    first = epoch(one)
    assert first == epoch(other) != epoch(third) and first != epoch(one)
    assert epoch(RaggedBatches(sequences([5] * 40), 40, seed=-1)) != [list(range(40))]


def test_a_saved_place_is_gone_on_from() -> None:
    one = RaggedBatches(sequences(VOWELS), 16)
    for _ in range(one.count + 3):
        one.next()
    other = RaggedBatches(sequences(VOWELS), 16)
    other.load_state_dict(one.state_dict())
    assert [one.next().places.tolist() for _ in range(60)] == [other.next().places.tolist() for _ in range(60)]
    with pytest.raises(InputError, match="an epoch has batches"):
        other.load_state_dict({"epoch": 0, "position": 10_000})


def test_lengths_far_apart_and_empty_sequences() -> None:
    lengths = [0, 1, 10, 100, 1000, 0]
    seen = epoch(RaggedBatches(sequences(lengths), 6))
    assert sorted(map(sorted, seen)) in ([[0, 5], [1], [2], [3], [4]], [[0], [1], [2], [3], [4], [5]])
    assert padded([torch.zeros(0, 3), torch.zeros(0, 3)])[0].shape == (2, 0, 3)
    assert padded([torch.tensor([1, 2]), torch.tensor([3])])[0].tolist() == [[1, 2], [3, 0]]


def test_what_cannot_be_batched() -> None:
    for options, message in (({"batch": 0}, "batch is a positive"), ({"batch": 2, "padding": 1.0}, "padding is a part")):
        with pytest.raises(InputError, match=message):
            RaggedBatches(sequences([2]), **options)
    with pytest.raises(DataError, match="no sequences"):
        RaggedBatches([], 2)
    with pytest.raises(DataError, match="number 1 is"):
        RaggedBatches([torch.zeros(3, 2), torch.zeros(3, 4)], 2)


@pytest.mark.parametrize("shuffle", [True, False])
def test_steps_count_the_batches_of_epochs_to_come(shuffle: bool) -> None:
    batches = RaggedBatches(sequences(VOWELS), 100, padding=0.9, shuffle=shuffle)
    foretold, counts = [batches.steps(float(n)) for n in range(6)], []
    half = batches.steps(2.5)
    for _ in range(5):
        counts.append(batches.count)
        epoch(batches)
    assert foretold == [sum(counts[:n]) for n in range(6)] and batches.passed == 5.0
    assert half == sum(counts[:2]) + -(-counts[2] // 2)
    assert shuffle is (len(set(counts)) > 1)  # the cuts fall elsewhere in each epoch, so counts differ
    batches.next()
    assert batches.passed == 5 + 1 / batches.count
    with pytest.raises(InputError, match="epochs of batches of many lengths are 0 to 1,000,000, not 1000000000000000.0"):
        batches.steps(1e15)

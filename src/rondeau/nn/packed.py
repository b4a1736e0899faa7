"""Packed sequences as padded ones with their lengths, and back."""

from __future__ import annotations

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def padded(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """``(x, lengths)``: (batch, time, features) in the batch's own order, and (batch,) on the CPU."""
    return pad_packed_sequence(packed, batch_first=True)


def packed_like(packed: PackedSequence, y: Tensor, lengths: Tensor) -> PackedSequence:
    """y (batch, time, features) in the order in which ``packed`` lies."""
    order = packed.sorted_indices
    flat = y if order is None else y.index_select(0, order)
    sizes = lengths if order is None else lengths[order.cpu()]
    data = pack_padded_sequence(flat, sizes, batch_first=True).data
    return PackedSequence(data, packed.batch_sizes, order, packed.unsorted_indices)


__all__ = ["packed_like", "padded"]

"""`decode`: what an `EncoderDecoder` writes for its sources, by beam search or by drawing."""

from __future__ import annotations

from typing import Union

import torch
from torch import Tensor

from rondeau.errors import InputError
from rondeau.models.encoder_decoder import EncoderDecoder
from rondeau.models.search import Beam, BeamRun, Run, Sampling, SamplingRun
from rondeau.models.written import Hypothesis
from rondeau.nn.layer import Lengths

LARGEST = 1 << 25  # logits of one step; sources are read so many at a time, and a larger beam is refused

Search = Union[Beam, Sampling]


@torch.no_grad()
def decode(
    model: EncoderDecoder,
    source: Tensor,
    lengths: Lengths = None,
    search: Search = Beam(),  # noqa: B008  # a frozen value
    *,
    end: int,
    longest: int,
    attention: bool = False,
) -> list[list[Hypothesis]]:
    """What a model writes for sources: for each its hypotheses, the best first.

    Args:
        model: left in the mode in which it was.
        source: (batch, time, ...), as the model's encoder takes it.
        lengths: the number of steps of each source (batch,); all if not given.
        search: how to search; with `Sampling` the hypotheses of a source come in no order.
        end: the token that ends a sequence, and begins it.
        longest: steps at most, the end counted.
        attention: whether hypotheses say where they looked.

    Raises:
        InputError: an argument does not fit, or a step of the search would take too much memory.

    Example:
        >>> from rondeau.models import SequenceEncoder, Tokens, recurrent_layers
        >>> model = EncoderDecoder(SequenceEncoder(Tokens(9, 4), recurrent_layers("gru", 4, 8)), 7, hidden=8)
        >>> found = decode(model, torch.zeros(2, 5, dtype=torch.int64), search=Beam(3), end=1, longest=6)
        >>> [len(hypotheses) for hypotheses in found]
        [3, 3]
    """
    if not isinstance(longest, int) or longest < 1 or not 0 <= end < model.vocabulary:
        raise InputError(f"longest is at least 1 and end one of {model.vocabulary} tokens, not {longest!r} and {end!r}")
    each = search.width if isinstance(search, Beam) else search.count
    if each * model.vocabulary > LARGEST:
        raise InputError(
            f"{each:,} hypotheses of a source over {model.vocabulary:,} tokens do not fit into memory; take at most "
            f"{LARGEST // model.vocabulary:,}"
        )
    training = model.training
    if training:  # asking every module takes as long as a step
        model.eval()
    try:
        most = max(1, LARGEST // (each * model.vocabulary))
        counts = None if lengths is None else torch.as_tensor(lengths)
        found: list[list[Hypothesis]] = []
        for start in range(0, len(source), most):
            part = slice(start, start + most)
            run = _run(model, source[part], None if counts is None else counts[part], search, end, attention)
            found += run.finished(longest)
        return found
    finally:
        if training:
            model.train()


def _run(model: EncoderDecoder, source: Tensor, counts: Tensor | None, search: Search, end: int, attention: bool) -> Run:
    encoded = model.encode(source, counts)
    lengths = [source.shape[1]] * len(source) if counts is None else counts.tolist()
    if isinstance(search, Beam):
        return BeamRun(model, encoded, lengths, search, end, attention)
    return SamplingRun(model, encoded, lengths, search, end, attention)

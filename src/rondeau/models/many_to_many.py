"""`ManyToMany`: an answer at every step of a sequence. Taggers, and regressors of every step, are such, by their loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.models.crf import CRF
from rondeau.models.encoder import SequenceEncoder
from rondeau.nn.layer import Lengths


class ManyToMany(nn.Module):
    """An encoder, and a linear head at every step; with a linear chain the answers of neighbouring steps hang together.

    Args:
        encoder: what makes outputs at every step.
        outputs: how many the head gives at each, such as one a tag.
        dropout: the rate on what the head reads, while training.
        crf: the linear chain over tags, which its outputs are scores for; None where every step is decided by itself.

    Raises:
        InputError: the chain is of another number of tags.

    Example:
        >>> from rondeau.models import SequenceEncoder, Tokens, recurrent_layers
        >>> encoder = SequenceEncoder(Tokens(50, 8), recurrent_layers("gru", 8, 16, bidirectional=True))
        >>> tagger = ManyToMany(encoder, 5, crf=CRF(5))
        >>> scores = tagger(torch.zeros(2, 7, dtype=torch.int64), lengths=[7, 3])
        >>> scores.shape, tagger.decode(scores, lengths=[7, 3]).shape
        (torch.Size([2, 7, 5]), torch.Size([2, 7]))
    """

    def __init__(self, encoder: SequenceEncoder, outputs: int, dropout: float = 0.0, crf: CRF | None = None) -> None:
        super().__init__()
        if crf is not None and crf.tags != outputs:
            raise InputError(f"the chain is of {crf.tags} tags and the head gives {outputs} outputs; give both the same")
        self.encoder, self.dropout, self.crf = encoder, nn.Dropout(dropout), crf
        self.head = nn.Linear(encoder.output_size, outputs)

    def forward(self, x: Tensor, *, lengths: Lengths = None) -> Tensor:
        """Outputs (batch, time, outputs) of sequences (batch, time, ...).

        Args:
            x: what the encoder reads.
            lengths: the number of steps of each sequence (batch,); all steps if not given. Past it outputs mean nothing.
        """
        y, _ = self.encoder(x, lengths=lengths)
        return self.head(self.dropout(y))

    def decode(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The best tag at every step (batch, time), or with a chain the best path; past a length anything."""
        return scores.argmax(-1) if self.crf is None else self.crf.decode(scores, lengths)

    def probabilities(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The probability of each tag at each step (batch, time, tags); past a length anything."""
        return scores.softmax(-1) if self.crf is None else self.crf.marginals(scores, lengths)


def chosen_steps(lengths: Tensor, time: int, first: int = 0, last: int = -1) -> Tensor:
    """Whether each step is one from ``first`` to ``last`` of its sequence, bool (batch, time).

    Args:
        lengths: the number of steps of each sequence (batch,).
        time: steps of the longest.
        first: the first step that is chosen, from 0 on; negative: counted from the end of each sequence.
        last: the last one, which is chosen too; counted alike.

    Example:
        >>> chosen_steps(torch.tensor([4, 2]), 4, first=1, last=-1).int()
        tensor([[0, 1, 1, 1],
                [0, 1, 0, 0]], dtype=torch.int32)
    """
    steps = torch.arange(time, device=lengths.device)
    begin, end = (lengths + bound if bound < 0 else torch.full_like(lengths, bound) for bound in (first, last))
    return (steps >= begin[:, None]) & (steps <= end[:, None]) & (steps < lengths[:, None])

"""`Words`: a word by itself and by how it is written, so that one that was never seen has features too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rondeau.data.spelled import BUCKETS, PIECES
from rondeau.errors import InputError
from rondeau.models.encoder import Reader


class Words(Reader):
    """Words through an embedding of their own, beside the mean of embeddings of how they are written.

    It reads (batch, time, 1 + pieces): the number of a word, 0 if it is unknown, and of its `rondeau.data.spelling`.

    Args:
        vocabulary: the number of different words; those of 0 are unknown ones.
        features: of a word's embedding, and as many of its spelling's.
        unknown: the rate at which a word is taken for an unknown one while training, its spelling left.
        buckets: how many numbers the pieces of spellings have.

    Raises:
        InputError: a number is out of range.

    Source:
        The mean of what a word is made of as in Bojanowski et al. 2017, arXiv:1607.04606.

    Example:
        >>> from rondeau.data import spelling
        >>> words = torch.tensor([[[1, *spelling("the")], [0, *spelling("xylographer")]]])
        >>> Words(2, 8)(words).shape
        torch.Size([1, 2, 16])
    """

    def __init__(self, vocabulary: int, features: int, *, unknown: float = 0.0, buckets: int = BUCKETS) -> None:
        super().__init__()
        if min(vocabulary, features, buckets) < 1 or not 0 <= unknown < 1:
            raise InputError(
                "vocabulary, features and buckets are positive whole numbers and unknown is a rate from 0 up to but not "
                f"including 1; got {vocabulary}, {features}, {buckets}, {unknown}"
            )
        self.embedding, self.unknown = nn.Embedding(vocabulary, features), unknown
        self.spelling = nn.EmbeddingBag(buckets, features, mode="mean")
        for table in (self.embedding, self.spelling):
            nn.init.normal_(table.weight, std=START)

    @property
    def size(self) -> int:
        """The number of different words."""
        return self.embedding.num_embeddings

    @property
    def width(self) -> int:
        """The features of an embedding, twice."""
        return 2 * self.embedding.embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Words (batch, time, 1 + pieces) as (batch, time, width)."""
        if x.dim() != 3 or x.shape[2] != 1 + PIECES:
            raise InputError(f"words are (batch, time, {1 + PIECES}), a number and a spelling each, not {tuple(x.shape)}")
        words, pieces = x[:, :, 0], x[:, :, 1:]
        if self.training and self.unknown:
            words = words.masked_fill(torch.rand(words.shape, device=words.device) < self.unknown, 0)
        written = self.spelling(pieces.flatten(0, 1)).unflatten(0, x.shape[:2])
        return torch.cat([self.embedding(words), written], -1)


START = 0.3
"""The standard deviation of embeddings at the start."""

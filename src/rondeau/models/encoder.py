"""`SequenceEncoder`: whatever a sequence is, to outputs at every step and a state; the beginning of every model of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rondeau.errors import InputError
from rondeau.nn import Composed, Given, Layer
from rondeau.nn.layer import Lengths, Traces

FARTHEST = 1e4  # deviations from the mean that make a difference


class Reader(nn.Module, ABC):
    """What a network reads, as features (batch, time, width): numbers, tokens, or what a reader of one's own makes of them."""

    @property
    @abstractmethod
    def size(self) -> int:
        """What it reads: so many features, or so many different tokens."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The features that it gives."""


class Numbers(Reader):
    """Numbers (batch, time, features): each less its mean, over its standard deviation, and a channel for what is missing.

    Args:
        mean: of each feature (features,).
        deviation: of each feature (features,); a feature that never changes has 1.
        masked: whether each feature has a second channel that is 1 where it is known. A missing value (NaN) is taken for the
            mean in either case.
        change: the deviation of each feature's change from step to step (features,); with it each feature has a channel with
            its change since the step before, over this.

    Raises:
        InputError: mean, deviation and change are no finite numbers, not equally many, or a deviation is not positive.

    Example:
        >>> reader = Numbers.of([np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[5.0, float("nan")]])])
        >>> reader(torch.tensor([[[5.0, float("nan")]]])).numpy().round(2)
        array([[[1.22, 0.  , 1.  , 0.  ]]], dtype=float32)
    """

    mean: Tensor
    deviation: Tensor
    change: Tensor | None

    def __init__(self, mean: Any, deviation: Any, *, masked: bool = False, change: Any = None) -> None:
        super().__init__()
        means, *deviations = (np.array(each, np.float64) for each in (mean, deviation, change) if each is not None)
        fits = all(each.shape == means.shape and np.isfinite(each).all() and (each > 0).all() for each in deviations)
        if means.ndim != 1 or not np.isfinite(means).all() or not fits:
            raise InputError("mean and deviation are a finite number a feature, deviations above zero; give both (features,)")
        self.register_buffer("mean", torch.from_numpy(means))  # float64, or times since 1970 would all be one
        self.register_buffer("deviation", torch.from_numpy(deviations[0]))
        self.register_buffer("change", torch.from_numpy(deviations[1]) if change is not None else None)
        self.masked = masked

    @staticmethod
    def of(arrays: Sequence[np.ndarray], *, changes: bool = False) -> Numbers:
        """The reader whose means and deviations are those of all steps of arrays (steps, features); masked if any value is
        missing.

        Raises:
            InputError: they differ in their features.
        """
        found = moments(arrays)
        return Numbers(found.mean, found.deviation, masked=found.masked, change=found.change if changes else None)

    @property
    def size(self) -> int:
        """The features that it reads."""
        return len(self.mean)

    @property
    def width(self) -> int:
        """The features that it gives: as many, twice or three times as many."""
        return self.size * (1 + self.masked + (self.change is not None))

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, time, features) of any floating type as (batch, time, width) of PyTorch's default type."""
        if x.shape[-1] != self.size:
            raise InputError(f"the model reads {self.size} features, and the sequences have {x.shape[-1]}; give it the same")
        scaled = _bounded((x - self.mean) / self.deviation)
        parts = [scaled.nan_to_num(0.0)]
        if self.masked:
            parts.append((~scaled.isnan()).to(scaled.dtype))
        if self.change is not None:
            parts.append(functional.pad(_bounded((x[:, 1:] - x[:, :-1]) / self.change).nan_to_num(0.0), (0, 0, 1, 0)))
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]

    def extra_repr(self) -> str:
        """Features, and which channels there are beside them."""
        return f"{self.size}, masked={self.masked}, changes={self.change is not None}"


def _bounded(x: Tensor) -> Tensor:
    return x.clamp(-FARTHEST, FARTHEST).to(torch.get_default_dtype())


class Moments(NamedTuple):
    """Of each feature (features,) the mean, the standard deviation, and that of its change from step to step, 1 for what never
    changes; and whether any value is missing."""

    mean: np.ndarray
    deviation: np.ndarray
    change: np.ndarray
    masked: bool


def moments(arrays: Sequence[np.ndarray]) -> Moments:
    """The moments of all steps of arrays (steps, features), NaN where a value is missing.

    Raises:
        InputError: they differ in their features.
    """
    features = arrays[0].shape[1]
    values, changes = _Moments(features), _Moments(features)
    for start in range(0, len(arrays), 1024):
        part = arrays[start : start + 1024]
        if any(each.shape[1] != features for each in part):
            raise InputError(f"the first sequence has {features} features, and others have another number; give all the same")
        rows = np.concatenate(part)
        values.add(rows)
        changes.add(np.delete(np.diff(rows, axis=0), np.cumsum([len(each) for each in part])[:-1] - 1, axis=0))
    mean, deviation = values.found()
    return Moments(mean, deviation, changes.found()[1], values.missing)


class _Moments:
    """Means and deviations of features, found a part of the data at a time, whatever their magnitude."""

    def __init__(self, features: int) -> None:
        self.counts = np.zeros(features)
        self.means = np.zeros(features)
        self.deviations = np.zeros(features)
        self.missing = False

    def add(self, rows: np.ndarray) -> None:
        """Takes rows (steps, features) into account."""
        unknown = np.isnan(rows)
        self.missing = self.missing or bool(unknown.any())
        counts = len(rows) - unknown.sum(0)
        largest = np.maximum(np.abs(np.where(unknown, 0.0, rows)).max(0, initial=0.0), 1.0)
        small = np.where(unknown, 0.0, rows / largest)
        means = small.sum(0) / np.maximum(counts, 1)
        deviations = np.sqrt((np.where(unknown, 0.0, small - means) ** 2).sum(0) / np.maximum(counts, 1)) * largest
        means, total = means * largest, self.counts + counts
        share = counts / np.maximum(total, 1)
        apart = np.sqrt(share * (1 - share)) * np.abs(means - self.means)
        self.deviations = np.hypot(np.hypot(np.sqrt(share) * deviations, np.sqrt(1 - share) * self.deviations), apart)
        self.means, self.counts = self.means * (1 - share) + means * share, total

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations (features,); 1 for a feature that never changes."""
        least = 1e-12 * np.abs(self.means)  # the rounding of a feature that never changes
        return self.means, np.where(self.deviations > least, self.deviations, 1.0)


class Tokens(Reader):
    """Token numbers (batch, time) through an embedding.

    Args:
        vocabulary: the number of different tokens; those of 0 are unknown ones.
        features: of each token's embedding.
        unknown: the rate at which a token is taken for an unknown one while training, so that unknown ones mean something.

    Example:
        >>> Tokens(50, 8)(torch.zeros(2, 7, dtype=torch.int64)).shape
        torch.Size([2, 7, 8])
    """

    def __init__(self, vocabulary: int, features: int, *, unknown: float = 0.0) -> None:
        super().__init__()
        if vocabulary < 1 or features < 1 or not 0 <= unknown < 1:
            raise InputError(
                "vocabulary and features are positive whole numbers and unknown is a rate from 0 up to but not including 1; "
                f"got {vocabulary}, {features}, {unknown}"
            )
        self.embedding, self.unknown = nn.Embedding(vocabulary, features), unknown

    @property
    def size(self) -> int:
        """The number of different tokens."""
        return self.embedding.num_embeddings

    @property
    def width(self) -> int:
        """The features of an embedding."""
        return self.embedding.embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, time) as (batch, time, width)."""
        if self.training and self.unknown:
            tokens = tokens.masked_fill(torch.rand(tokens.shape, device=tokens.device) < self.unknown, 0)
        return self.embedding(tokens)


class SequenceEncoder(Composed[tuple[Any, ...]]):
    """A reader and the recurrent layers above it: outputs at every step, and the last state.

    It is called as any `rondeau.nn.Layer`, on whatever its reader reads: numbers (batch, time, features) or tokens (batch,
    time).

    Args:
        reader: what makes features of the sequences.
        body: the recurrent layers, such as `recurrent_layers` makes.
        dropout: the rate on the reader's features, while training.
        frame: how many steps the layers read at once, side by side, which makes long sequences short; there are then outputs
            for every frame, as many as `frames` says, and the layers read as many features as a frame has.

    Raises:
        InputError: the layers read another number of features than a frame has.

    Example:
        >>> from rondeau.models.layers import recurrent_layers
        >>> reader = Tokens(50, 8)
        >>> encoder = SequenceEncoder(reader, recurrent_layers("gru", reader.width, 16, bidirectional=True))
        >>> y, state = encoder(torch.zeros(2, 7, dtype=torch.int64), lengths=[7, 3])
        >>> y.shape
        torch.Size([2, 7, 32])
    """

    def __init__(self, reader: Reader, body: Layer[Any], dropout: float = 0.0, frame: int = 1) -> None:
        super().__init__()
        if body.input_size != reader.width * frame:
            given = f"{reader.width} features" + (f" of each of {frame} steps" if frame > 1 else "")
            raise InputError(f"the reader gives {given}, and the layers read {body.input_size}; give the same")
        self.reader, self.body, self.dropout, self.frame = reader, body, nn.Dropout(dropout), frame

    @property
    def input_size(self) -> int:
        """What its reader reads: features, or different tokens."""
        return self.reader.size

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.body.output_size

    def initial_state(self, batch: int) -> Any:
        """The state that ``batch`` sequences start with."""
        return self.body.initial_state(batch)

    def frames(self, lengths: Lengths) -> Lengths:
        """The number of outputs for sequences of so many steps (batch,)."""
        return lengths if lengths is None or self.frame == 1 else -(-torch.as_tensor(lengths) // self.frame)

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, Any, Traces]:
        features = self.reader(x)
        if self.frame > 1:
            features = _framed(features, given.lengths, self.frame)
        return self._run("body", self.dropout(features), state, given._replace(lengths=self.frames(given.lengths)))


def _framed(x: Tensor, lengths: Lengths, frame: int) -> Tensor:
    """x (batch, time, features) as frames of steps side by side (batch, frames, frame * features), zeros past each length."""
    if lengths is not None:
        counts = torch.as_tensor(lengths, device=x.device)
        x = x.masked_fill((torch.arange(x.shape[1], device=x.device) >= counts[:, None])[..., None], 0.0)
    x = functional.pad(x, (0, 0, 0, -x.shape[1] % frame))
    return x.reshape(len(x), x.shape[1] // frame, frame * x.shape[2])

"""Transduction as a task: a sequence for each sequence, of another length, by `rondeau.models.EncoderDecoder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rondeau.data import Batch, RaggedBatches, padded
from rondeau.data.chunks import length_chunks
from rondeau.data.edits import error_rate
from rondeau.data.symbols import END
from rondeau.errors import InputError
from rondeau.models import Beam, EncoderDecoder, Hypothesis, decode
from rondeau.models.decoding import Search
from rondeau.train.task import Metric

MOST = 1_000  # held-out pairs that are written at an evaluation
RISING = 5.0  # epochs in which scheduled sampling comes to its rate


@dataclass(frozen=True, eq=False)
class Paired:
    """Sources, each with its target.

    Args:
        sources: tensors (steps, ...) as the model's encoder reads them.
        targets: tokens (steps,), without the end.
        weights: how much each pair counts in learning (pairs,); all alike if not given.
    """

    sources: Sequence[Tensor]
    targets: Sequence[Tensor]
    weights: Tensor | None = None

    @property
    def longest(self) -> int:
        """Steps of the longest target, with its end."""
        return 1 + max(map(len, self.targets))


class Transduction:
    """Targets of sources: the next token of each target, given its source and the true tokens before it.

    Args:
        train: to learn from.
        held: to evaluate on, or None.
        batch: pairs in a batch at most.
        sampling: the rate at which the model reads, in training, a token that it drew itself for the true one before it; from 0
            it rises over the first epochs. All steps draw at once, from a run that read true tokens.
        smoothing: the part of each target's probability that is spread over all tokens.
        seed: decides the order of pairs.
        device: where the model is.

    Raises:
        InputError: a number is out of range.

    Source:
        Scheduled sampling: Bengio et al. 2015, arXiv:1506.03099; in two runs as in Duckworth et al. 2019, arXiv:1906.04331.
    """

    unit, in_nats, carries_state = "tokens", True, False

    def __init__(
        self,
        train: Paired,
        held: Paired | None,
        *,
        batch: int,
        sampling: float = 0.0,
        smoothing: float = 0.0,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        for name, value in (("sampling", sampling), ("smoothing", smoothing)):
            if not 0 <= value < 1:
                raise InputError(f"{name} is a rate from 0 up to but not including 1, not {value!r}")
        self.train, self.held, self.device = train, held, device
        self.sampling, self.smoothing = sampling, smoothing
        self.batches = RaggedBatches(train.sources, batch, seed=seed)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The part of tokens written wrong, the part of targets written exactly, and nats per token, on held-out pairs."""
        if self.held is None:
            return ()
        exact = Metric("exact", higher_is_better=True, wording="exact {:.4f}")
        return (Metric("token_error", wording="token error {:.4f}"), exact, Metric("held_out", wording="held-out {:.4f} nats"))

    def loss(self, model: EncoderDecoder, batch: Batch, state: Any) -> tuple[Tensor, float, None]:
        """See `Task.loss`."""
        shifted = Shifted.of([self.train.targets[place] for place in batch.places.tolist()], self.device)
        source = batch.inputs.to(self.device)
        inputs = self._mixed(model, source, batch.lengths, shifted)
        logits = model(source, inputs, lengths=batch.lengths, target_lengths=shifted.lengths)
        smoothing = self.smoothing if model.training else 0.0
        weights = None if self.train.weights is None else self.train.weights[batch.places]
        count = shifted.lengths if weights is None else shifted.lengths * weights
        return _nats(logits, shifted, smoothing, weights), float(count.sum()), None

    def _mixed(self, model: EncoderDecoder, source: Tensor, lengths: Tensor, shifted: Shifted) -> Tensor:
        """The tokens to read, some of them drawn by the model itself."""
        rate = self.sampling * min(1.0, self.batches.passed / RISING)
        if not rate:
            return shifted.inputs
        with torch.no_grad():
            logits = model(source, shifted.inputs, lengths=lengths, target_lengths=shifted.lengths)
            drawn = torch.distributions.Categorical(logits=logits[:, :-1]).sample()
        own = torch.rand(drawn.shape, device=drawn.device) < rate
        return torch.cat([shifted.inputs[:, :1], torch.where(own, drawn, shifted.inputs[:, 1:])], 1)

    def evaluate(self, model: EncoderDecoder) -> dict[str, float]:
        """See `Task.evaluate`; of many pairs only the first thousand are written."""
        assert self.held is not None
        held = self.held
        found = written(model, held.sources[:MOST], longest=held.longest + held.longest // 2, device=self.device)
        texts = [hypotheses[0].tokens.tolist() for hypotheses in found]
        wanted = [target.tolist() for target in held.targets[:MOST]]
        return {
            "token_error": error_rate(texts, wanted),
            "exact": float(np.mean([left == right for left, right in zip(texts, wanted)])),
            "held_out": nats(model, held, self.device),
        }

    def example(self, model: EncoderDecoder) -> str:
        """What the model writes for the first source, as numbers of tokens."""
        ((best, *_),) = written(model, self.train.sources[:1], longest=self.train.longest, device=self.device)
        return " ".join(map(str, best.tokens.tolist()))


@dataclass(frozen=True, eq=False)
class Shifted:
    """Targets as a decoder learns them: it reads inputs, which begin with the end, and is to say outputs, which close with it.

    Args:
        inputs: (batch, steps).
        outputs: (batch, steps).
        lengths: the steps of each, its end counted (batch,).
    """

    inputs: Tensor
    outputs: Tensor
    lengths: Tensor

    @staticmethod
    def of(targets: Sequence[Tensor], device: str = "cpu") -> Shifted:
        """Of targets (steps,) without an end.

        Example:
            >>> shifted = Shifted.of([torch.tensor([5, 6]), torch.tensor([7])])
            >>> shifted.inputs.tolist(), shifted.outputs.tolist(), shifted.lengths.tolist()
            ([[1, 5, 6], [1, 7, 0]], [[5, 6, 1], [7, 1, 0]], [3, 2])
        """
        end = torch.tensor([END])
        inputs, lengths = padded([torch.cat([end, target]) for target in targets])
        outputs, _ = padded([torch.cat([target, end]) for target in targets])
        return Shifted(inputs.to(device), outputs.to(device), lengths)


def _nats(logits: Tensor, shifted: Shifted, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """The sum of the cross entropies of all true steps, each times the weight of its pair."""
    true = torch.arange(logits.shape[1], device=logits.device) < shifted.lengths.to(logits.device)[:, None]
    losses = functional.cross_entropy(logits[true], shifted.outputs[true], reduction="none", label_smoothing=smoothing)
    if weights is not None:
        losses = losses * weights.to(losses.device).repeat_interleave(shifted.lengths.to(losses.device))
    return losses.sum()


@torch.inference_mode()
def nats(model: EncoderDecoder, pairs: Paired, device: str = "cpu") -> float:
    """Mean nats per token of targets, their ends counted, given their sources; the model is left in the mode it was in."""
    training, total, count = model.training, 0.0, 0
    model.eval()
    lengths = np.array([max(len(source), len(target)) for source, target in zip(pairs.sources, pairs.targets)])
    for places in length_chunks(lengths):
        source, steps = padded([pairs.sources[place] for place in places])
        shifted = Shifted.of([pairs.targets[place] for place in places], device)
        logits = model(source.to(device), shifted.inputs, lengths=steps, target_lengths=shifted.lengths)
        total += float(_nats(logits, shifted))
        count += int(shifted.lengths.sum())
    model.train(training)
    return total / count


def written(
    model: EncoderDecoder,
    sources: Sequence[Tensor],
    search: Search = Beam(),  # noqa: B008  # a frozen value
    *,
    longest: int,
    device: str = "cpu",
    attention: bool = False,
) -> list[list[Hypothesis]]:
    """What a model writes for any number of sources, those of like length side by side: the hypotheses of each, as from
    `rondeau.models.decode`.

    Raises:
        InputError: as `rondeau.models.decode`.
    """
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for places in length_chunks(np.fromiter(map(len, sources), np.int64, len(sources))):
        inputs, lengths = padded([sources[place] for place in places])
        own = decode(model, inputs.to(device), lengths, search, end=END, longest=longest, attention=attention)
        for place, hypotheses in zip(places, own):
            found[place] = hypotheses
    return found

"""Labelling whole sequences as a task: a class or numbers for each, by `rondeau.models.ManyToOne` or what is called like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.data import Batch, RaggedBatches, padded
from rondeau.data.chunks import length_chunks
from rondeau.models.losses import Loss
from rondeau.train.task import Metric


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences, each with what is to be said of it.

    Args:
        sequences: tensors (steps, ...) as the model reads them.
        targets: classes (sequences,) or numbers (sequences, targets).
        weights: how much each counts (sequences,).
    """

    sequences: Sequence[Tensor]
    targets: Tensor
    weights: Tensor


class Labelling:
    """The labels of sequences, by a model that gives outputs (members, batch, outputs) of (batch, time, ...) and lengths.

    Args:
        train: to learn from.
        held: to evaluate on, or None.
        loss: what is learned.
        batch: sequences in a batch at most.
        seed: decides their order.
        device: where the model is.
    """

    unit, carries_state = "sequences", False

    def __init__(
        self, train: Labelled, held: Labelled | None, loss: Loss, *, batch: int, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.train, self.held, self.criterion, self.device = train, held, loss, device
        self.batches = RaggedBatches(train.sequences, batch, seed=seed)
        self.in_nats = loss.in_nats

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The held-out loss, and the accuracy where there are classes."""
        if self.held is None:
            return ()
        loss = Metric("held_out", wording="held-out loss {:.4f}")
        return (loss, Metric("accuracy", higher_is_better=True, wording="accuracy {:.4f}")) if self.in_nats else (loss,)

    def loss(self, model: nn.Module, batch: Batch, state: Any) -> tuple[Tensor, float, None]:
        """See `Task.loss`; a mean over the members."""
        targets, weights = self.train.targets[batch.places], self.train.weights[batch.places]
        outputs = model(batch.inputs.to(self.device), lengths=batch.lengths)
        losses = self.criterion.measure(outputs, targets.to(self.device).expand(len(outputs), *targets.shape))
        return (losses.mean(0) * weights.to(self.device)).sum(), float(weights.sum()), None

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """See `Task.evaluate`."""
        assert self.held is not None
        held = self.held
        outputs = outputs_of(model, held.sequences, self.device)
        said = self.criterion.say(outputs).mean(0)
        weights = held.weights / held.weights.sum()
        if not self.in_nats:
            losses = self.criterion.measure(outputs, held.targets.expand(len(outputs), *held.targets.shape)).mean(0)
            return {"held_out": float((losses * weights).sum())}
        right = (said.argmax(-1) == held.targets).to(weights.dtype)
        nats = -said.gather(-1, held.targets[:, None])[:, 0].clamp_min(1e-12).log()
        return {"held_out": float((nats * weights).sum()), "accuracy": float((right * weights).sum())}

    def example(self, model: nn.Module) -> str:
        """What the model says of the first sequence."""
        said = self.criterion.say(outputs_of(model, self.train.sequences[:1], self.device)).mean(0)[0]
        return ", ".join(f"{float(value):.4g}" for value in said.flatten())


@torch.inference_mode()
def outputs_of(
    model: nn.Module, items: Sequence[Any], device: str = "cpu", tensor: Callable[[Any], Tensor] = torch.as_tensor
) -> Tensor:
    """The outputs (members, sequences, outputs) of a model that is not training, on the processor; the model is left in the
    mode in which it was.

    Args:
        model: gives (members, batch, outputs) of (batch, time, ...) and lengths.
        items: the sequences; some at a time become tensors, so that memory does not grow with their number.
        device: where the model is.
        tensor: makes a tensor (steps, ...) of a sequence.
    """
    training = model.training
    if training:
        model.eval()
    try:
        if len(items) == 1:
            return model(tensor(items[0])[None].to(device)).cpu()
        found = torch.empty(0)
        for places in length_chunks(np.fromiter(map(len, items), np.int64, len(items))):
            inputs, lengths = padded([tensor(items[place]) for place in places])
            said = model(inputs.to(device), lengths=lengths).cpu()
            if not found.numel():  # made once, or small tensors between large ones would keep those from being given back
                found = said.new_empty(said.shape[0], len(items), *said.shape[2:])
            found[:, torch.from_numpy(places)] = said
        return found
    finally:
        if training:
            model.train()

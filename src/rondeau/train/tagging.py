"""Labelling every step of sequences as a task: a tag or numbers at each, by `rondeau.models.ManyToMany`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rondeau.data import Batch, RaggedBatches, entity_scores, is_bio, padded
from rondeau.data.chunks import length_chunks
from rondeau.errors import DataError
from rondeau.models import ManyToMany
from rondeau.models.losses import Loss
from rondeau.models.many_to_many import chosen_steps
from rondeau.train.task import Metric


@dataclass(frozen=True, eq=False)
class Tagged:
    """Sequences, each with what is to be said of its steps.

    Args:
        sequences: tensors (steps, ...) as the model reads them.
        targets: for each the tags of its steps (steps,), negative where one is not known, or numbers (steps, targets), NaN
            where one is not known.
        weights: how much each sequence counts (sequences,).
    """

    sequences: Sequence[Tensor]
    targets: Sequence[Tensor]
    weights: Tensor


class Tagging:
    """Tags or numbers at every step of sequences.

    Args:
        train: to learn from; a sequence of which no chosen step is known is left out.
        held: to evaluate on, or None.
        loss: what is learned, where the model has no linear chain; of tags it is a cross entropy.
        classes: the names of the tags, (tags,); None for numbers.
        steps: the first and the last step of a sequence that count, as for `rondeau.models.chosen_steps`.
        class_weight: how much a step counts by its tag, (tags,), or None; a linear chain leaves it out of account.
        batch: sequences in a batch at most.
        seed: decides their order.
        device: where the model is.

    Raises:
        DataError: no step to learn from is chosen and known.
    """

    unit, carries_state = "steps", False

    def __init__(
        self,
        train: Tagged,
        held: Tagged | None,
        loss: Loss,
        *,
        classes: np.ndarray | None,
        batch: int,
        steps: tuple[int, int] = (0, -1),
        class_weight: Tensor | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.steps = steps
        self.train, self.held = self._useful(train), None if held is None else self._useful(held)
        if not self.train.sequences:
            raise DataError(f"no step from {steps[0]} to {steps[1]} has a label to learn from; choose other steps")
        self.criterion, self.classes, self.class_weight, self.device = loss, classes, class_weight, device
        self.batches = RaggedBatches(self.train.sequences, batch, seed=seed)
        self.in_nats = loss.in_nats

    def _useful(self, part: Tagged) -> Tagged:
        """The sequences of a part that have something to learn or to find."""
        places = [place for place, values in enumerate(part.targets) if bool(self._counts(values).any())]
        return Tagged([part.sequences[i] for i in places], [part.targets[i] for i in places], part.weights[places])

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The held-out loss; of tags the accuracy over steps, and of BIO tags the F1 of entities."""
        if self.held is None or not self.held.sequences:
            return ()
        found = [Metric("held_out", wording="held-out loss {:.4f}")]
        if self.classes is not None:
            found.append(Metric("accuracy", higher_is_better=True, wording="accuracy {:.4f}"))
            if is_bio(self.classes):
                found.append(Metric("entity_f1", higher_is_better=True, wording="F1 of entities {:.4f}"))
        return tuple(found)

    def loss(self, model: ManyToMany, batch: Batch, state: Any) -> tuple[Tensor, float, None]:
        """See `Task.loss`."""
        outputs = model(batch.inputs.to(self.device), lengths=batch.lengths)
        total, count = self._loss(model, outputs, batch.lengths, self.train, batch.places.tolist())
        return total, count, None

    def _loss(
        self, model: ManyToMany, outputs: Tensor, lengths: Tensor, part: Tagged, places: list[int]
    ) -> tuple[Tensor, float]:
        """The weighted sum of the losses of steps, and the sum of their weights."""
        targets, weights = padded([part.targets[i] for i in places])[0].to(self.device), part.weights[places].to(self.device)
        counts = chosen_steps(lengths, targets.shape[1], *self.steps).to(self.device) & known(targets)
        if model.crf is not None:
            likelihood = model.crf.log_likelihood(outputs, torch.where(counts, targets, -1), lengths)
            return -(likelihood * weights).sum(), float((counts.sum(1) * weights).sum())
        each = weights[:, None] * counts
        if self.class_weight is not None:
            each = each * self.class_weight.to(self.device)[targets.clamp(min=0)]
        sound = targets.clamp(min=0) if self.classes is not None else targets.nan_to_num(0.0)
        losses = self.criterion.measure(outputs, sound)
        return torch.where(counts, losses * each, 0.0).sum(), float(each.sum())

    @torch.inference_mode()
    def evaluate(self, model: ManyToMany) -> dict[str, float]:
        """See `Task.evaluate`."""
        assert self.held is not None
        held, total, count, found = self.held, 0.0, 0.0, [torch.empty(0)] * len(self.held.sequences)
        for places, outputs, lengths in outputs_of(model, held.sequences, self.device):
            loss, weight = self._loss(model, outputs, lengths, held, places.tolist())
            total, count = total + float(loss), count + weight
            if self.classes is not None:
                for place, tags, length in zip(places.tolist(), model.decode(outputs, lengths), lengths.tolist()):
                    found[place] = tags[:length].cpu()
        scores = {"held_out": total / max(count, 1e-9)}
        return scores if self.classes is None else scores | self._scores(found)

    def _scores(self, found: list[Tensor]) -> dict[str, float]:
        """Accuracy over the steps that count, and the F1 of entities, which other steps are outside of."""
        assert self.held is not None and self.classes is not None
        true = [torch.where(self._counts(tags), tags, -1) for tags in self.held.targets]
        every, given = torch.cat(true), torch.cat(found)
        scores = {"accuracy": float((every == given)[every >= 0].double().mean())}
        if is_bio(self.classes):
            outside = [torch.where(tags >= 0, own, -1) for tags, own in zip(true, found)]
            scores["entity_f1"] = entity_scores(self._named(true), self._named(outside)).f1
        return scores

    def _named(self, sequences: Sequence[Tensor]) -> list[list[str]]:
        """Tags by their names; O where there is none."""
        assert self.classes is not None
        names = [*map(str, self.classes), "O"]
        return [[names[tag] for tag in tags.tolist()] for tags in sequences]

    def _counts(self, values: Tensor) -> Tensor:
        """Which steps of a sequence are known and chosen, (steps,)."""
        return known(values) & chosen_steps(torch.tensor([len(values)]), len(values), *self.steps)[0]

    def example(self, model: ManyToMany) -> str:
        """What the model says of the first sequence."""
        _, outputs, lengths = next(outputs_of(model, self.train.sequences[:1], self.device))
        if self.classes is None:
            return ", ".join(f"{float(value):.4g}" for value in outputs.flatten())
        return " ".join(map(str, self.classes[model.decode(outputs, lengths)[0].cpu().numpy()]))


def known(targets: Tensor) -> Tensor:
    """Whether each step has a tag, (...) of tags (...), or all of its numbers, (...) of numbers (..., targets)."""
    return ~targets.isnan().any(-1) if targets.is_floating_point() else targets >= 0


def outputs_of(
    model: ManyToMany, items: Sequence[Any], device: str = "cpu", tensor: Callable[[Any], Tensor] = torch.as_tensor
) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
    """Places (batch,), outputs (batch, time, outputs) and lengths (batch,) of some sequences after others, those of like length
    together; the model is left in the mode in which it was.

    Args:
        model: gives outputs of (batch, time, ...) and lengths.
        items: the sequences; some at a time become tensors, so that memory does not grow with their number.
        device: where the model is.
        tensor: makes a tensor (steps, ...) of a sequence.
    """
    training = model.training
    model.eval()
    try:
        for places in length_chunks(np.fromiter(map(len, items), np.int64, len(items))):
            with torch.no_grad():
                inputs, lengths = padded([tensor(items[place]) for place in places])
                alike = int(lengths.min()) == inputs.shape[1]
                outputs = model(inputs.to(device), lengths=None if alike else lengths)
            yield places, outputs, lengths
    finally:
        model.train(training)

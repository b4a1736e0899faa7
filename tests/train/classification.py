"""A toy task beside language modelling: sequences of many lengths, each of a class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rondeau.data import Batch, RaggedBatches
from rondeau.nn import Recurrent
from rondeau.train import Metric, Training, TrainingSettings, optimizer


class Centred(nn.Module):
    """Features without their running mean, which a checkpoint must keep though it is no parameter."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return x - self.mean


class Classifier(nn.Module):
    """A layer, and a softmax over the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = Recurrent("gru", 2, 6), nn.Linear(6, 2)
        self.norm, self.dropout = Centred(6), nn.Dropout(0.2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        _, state = self.layer(x, lengths=lengths)
        return self.head(self.dropout(self.norm(state[0])))


class Classification:
    """Which of two classes a sequence has: whether its first feature or its second is larger on average."""

    unit, in_nats, carries_state = "sequences", True, False
    metrics = (Metric("accuracy", higher_is_better=True), Metric("held_out"))

    def __init__(self, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1, 9, (160,), generator=draw).tolist()
        self.sequences = [torch.randn(n, 2, generator=draw) for n in lengths]
        self.labels = torch.tensor([int(s[:, 1].mean() > s[:, 0].mean()) for s in self.sequences])
        self.batches = RaggedBatches(self.sequences[:120], 16, seed=seed)
        self.held = RaggedBatches(self.sequences[120:], 40, shuffle=False)

    def loss(self, model: Classifier, batch: Batch, state: Any) -> tuple[Tensor, float, Any]:
        assert state is None
        logits = model(batch.inputs, batch.lengths)
        return nn.functional.cross_entropy(logits, self.labels[batch.places], reduction="sum"), len(batch.lengths), None

    @torch.inference_mode()
    def evaluate(self, model: Classifier) -> dict[str, float]:
        batch, labels = self.held.next(), self.labels[120:]
        mode = model.training
        logits = model.eval()(batch.inputs, batch.lengths)
        model.train(mode)
        right = (logits.argmax(1) == labels).double().mean()
        return {"accuracy": float(right), "held_out": float(nn.functional.cross_entropy(logits, labels))}

    def example(self, model: Classifier) -> str:
        first, mode = self.sequences[120], model.training
        found = int(model.eval()(first[None], torch.tensor([len(first)])).argmax())
        model.train(mode)
        return f"class {found}"


def training(**changed: Any) -> Training:
    """A classification, ready to run."""
    torch.manual_seed(3)
    settings = TrainingSettings(**{"steps": 60, "learning_rate": 0.05, "seed": 3, **changed})
    model = Classifier()
    return Training(model, Classification(), optimizer(model, settings), settings=settings)

"""Language modelling as a task: windows along contiguous streams, truncated backpropagation through time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rondeau.data import Streams, Tokenizer, Window
from rondeau.errors import InputError
from rondeau.models import LanguageModel, generate
from rondeau.train.record import bits
from rondeau.train.task import Metric

SAMPLE = 160  # tokens of an example
METRICS = (Metric("held_out", wording="held-out {:.4f} nats"), Metric("held_out_bits", wording="{:.4f} bits"))


class LanguageModelling:
    """The next token of a text, given those before it.

    Args:
        train: tokens to learn from, (tokens,).
        held: tokens to evaluate on, (tokens,), or None.
        batch: streams that are read side by side.
        window: steps of a window.
        tokenizer: what makes a text of tokens, for `example`; without one it shows their numbers.

    Raises:
        DataError: the text is too short for batch and window.
    """

    unit, in_nats, carries_state = "tokens", True, True

    def __init__(self, train: Tensor, held: Tensor | None, batch: int, window: int, tokenizer: Tokenizer | None = None) -> None:
        self.batches = Streams(train, batch, window)
        self.train, self.held, self.tokenizer = train, held, tokenizer

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Nats per held-out token, and bits."""
        return () if self.held is None else METRICS

    def initial_state(self, model: LanguageModel) -> Any:
        """See `CarryingTask.initial_state`."""
        return model.initial_state(self.batches.batch)

    def loss(self, model: LanguageModel, batch: Window, state: Any) -> tuple[Tensor, float, Any]:
        """See `Task.loss`; the streams begin without a state."""
        logits, after = model(batch.inputs, None if batch.start else state)
        total = nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum")
        return total, batch.targets.numel(), after

    def evaluate(self, model: LanguageModel) -> dict[str, float]:
        """See `Task.evaluate`."""
        assert self.held is not None
        nats = evaluate(model, self.held)
        return {"held_out": nats, "held_out_bits": bits(nats)}

    def example(self, model: LanguageModel) -> str:
        """A few words of the model, after the first token of the text."""
        draw = torch.Generator().manual_seed(0)
        tokens = list(generate(model, self.train[:1], SAMPLE, temperature=0.8, generator=draw))
        return self.tokenizer.decode(torch.tensor(tokens)).strip() if self.tokenizer else str(tokens)


@torch.inference_mode()
def evaluate(model: LanguageModel, tokens: Tensor, streams: int = 16, window: int = 256) -> float:
    """Mean nats per token of a text, with the state carried along it.

    The text is read as a few parallel streams; every token is scored but the first of each stream.

    Raises:
        InputError: fewer than two tokens.
    """
    if len(tokens) < 2:
        raise InputError(f"evaluation needs at least two tokens, got {len(tokens)}")
    training = model.training
    model.eval()
    count = max(1, min(streams, len(tokens) // (4 * window)))
    length = len(tokens) // count
    part = tokens[: count * length].view(count, length).to(next(model.parameters()).device)
    total, scored, state = 0.0, 0, None
    for start in range(0, length - 1, window):
        stop = min(start + window, length - 1)
        logits, state = model(part[:, start:stop], state)
        targets = part[:, start + 1 : stop + 1]
        total += nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        scored += targets.numel()
    model.train(training)
    return total / scored

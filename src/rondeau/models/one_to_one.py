"""`OneToOne`: one step in, one answer out: the shape of sequences of length one, and of a network without recurrence."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.models.encoder import Reader


class OneToOne(nn.Module):
    """A reader, hidden layers with tanh between, and a linear head, over single steps.

    Args:
        reader: what makes features of a step.
        outputs: how many the head gives.
        hidden: units of each hidden layer; none: a linear model.
        dropout: the rate after each hidden layer, while training.

    Raises:
        InputError: a number of units is not positive.

    Example:
        >>> import torch
        >>> from rondeau.models import Numbers
        >>> OneToOne(Numbers([0.0, 0.0], [1.0, 1.0]), 3)(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, reader: Reader, outputs: int, hidden: Sequence[int] = (32,), dropout: float = 0.0) -> None:
        super().__init__()
        if outputs < 1 or any(units < 1 for units in hidden):
            raise InputError(f"outputs and hidden are positive whole numbers; got {outputs} and {tuple(hidden)}")
        self.reader = reader
        widths, layers = [reader.width, *hidden], nn.Sequential()
        for below, above in zip(widths, widths[1:]):
            layers.extend([nn.Linear(below, above), nn.Tanh(), nn.Dropout(dropout)])
        self.layers, self.head = layers, nn.Linear(widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (batch, outputs) of steps: (batch, features), or tokens (batch,)."""
        return self.head(self.layers(self.reader(x[:, None])[:, 0]))

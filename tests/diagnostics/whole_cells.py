"""Any cell of the zoo as a model that is watched, with parameters in double precision and sequences of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rondeau.cells import ALL
from rondeau.engine import scan, step
from rondeau.nn.watching import Watched

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}
LENGTHS = (6, 3, 1)


class Whole(Watched):
    """A scan of a cell as a module: random parameters, states to start with, contexts and masks that stay the same."""

    num_layers, bidirectional = 1, False

    def __init__(self, name: str, reverse: bool = False, backend: str = "auto") -> None:
        super().__init__()
        dtype, self.backend = torch.float64, backend
        self.cell, self.reverse, draw = ALL[name], reverse, torch.Generator().manual_seed(3)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=dtype, generator=draw)

        sizes = {size: SIZES[size] for size in self.cell.sizes}
        self.weights = nn.ParameterDict({p.name: 0.5 * normal(*p.shape(sizes)) for p in self.cell.parameters})
        batch, time = len(LENGTHS), max(LENGTHS)
        self.x = normal(batch, time, sizes["input"])
        self.state = tuple(
            torch.full((batch, 1), 2.0, dtype=dtype) if s.role == "time" else normal(batch, s.width.bind(sizes))
            for s in self.cell.states
        )
        lead = {"step": (batch, time), "sequence": (batch,)}
        self.context = {c.name: normal(*lead[c.per], c.width.bind(sizes)).abs() for c in self.cell.contexts}
        self.masks = {
            m.name: torch.bernoulli(torch.full((*lead[m.per], m.width.bind(sizes)), 0.5, dtype=dtype), generator=draw)
            for m in self.cell.masks
        }

    @property
    def params(self) -> dict[str, Tensor]:
        """The parameters as the scan takes them."""
        return {p.name: self.weights[p.name] for p in self.cell.parameters}

    def forward(self) -> Tensor:
        """The outputs (batch, time, width)."""
        given = {"context": self.context, "masks": self.masks, "lengths": list(LENGTHS), "reverse": self.reverse}
        given["backend"] = self.backend
        y: Tensor = self._scan_of(0, self.reverse)(self.cell, self.params, self.x, self.state, **given)[0]
        return y


def alone(model: Whole, **changed: object) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The same run by the reference."""
    given = {"context": model.context, "masks": model.masks, "lengths": list(LENGTHS), "reverse": model.reverse, **changed}
    y, last = scan(model.cell, model.params, model.x, model.state, backend="reference", **given)  # type: ignore[call-overload]
    return y, last


def extras_at(model: Whole, t: int) -> dict[str, dict[str, Tensor]]:
    """Contexts and masks of one step of the first sequence."""
    per = {item.name: item.per for item in model.cell.inputs}
    return {
        kind: {name: value[:1, t] if per[name] == "step" else value[:1] for name, value in values.items()}
        for kind, values in (("context", model.context), ("masks", model.masks))
    }


def unrolled(model: Whole) -> tuple[list[dict[str, Tensor]], list[tuple[Tensor, ...]], list[Tensor]]:
    """The same run step by step by the reference, in the order in which it reads, its longest sequence alone: the weights of
    each step (a copy of their own), the states after each, and the outputs."""
    cell, order = model.cell, range(max(LENGTHS))[:: -1 if model.reverse else 1]
    state, weights, states, outputs = tuple(value[:1] for value in model.state), [], [], []
    for t in order:
        own = {name: value.detach().clone().requires_grad_() for name, value in model.params.items()}
        y, state = step(cell, own, model.x[:1, t], state, backend="reference", **extras_at(model, t))
        for value in state:
            if value.requires_grad:
                value.retain_grad()
        weights.append(own)
        states.append(state)
        outputs.append(y)
    return weights, states, outputs

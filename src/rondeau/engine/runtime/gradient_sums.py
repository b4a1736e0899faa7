"""`GradientSums`: the gradients of what went into a run, as they add up."""

from __future__ import annotations

import torch
from torch import Tensor

from rondeau.engine.compile.layout import Layout
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.ir.expressions import Expr


class GradientSums:
    """The gradients of x, parameters, contexts and masks, each the sum of what was added; None where nothing was."""

    def __init__(self, layout: Layout, inputs: ScanInputs) -> None:
        self.layout, self.inputs = layout, inputs
        self.x: Tensor | None = None
        self.params: dict[str, Tensor] = {}
        self.extras: dict[str, Tensor] = {}

    def in_order(self, states: list[Tensor]) -> list[Tensor | None]:
        """As `ScanInputs.tensors`; those of the states are given."""
        return [self.x, *states, *map(self.params.get, self.inputs.params), *map(self.extras.get, self.inputs.extras)]

    def add_x(self, gradient: Tensor) -> None:
        """Adds to the gradient of x, (batch, time, input)."""
        self.x = gradient if self.x is None else self.x + gradient

    def add_extra(self, name: str, gradient: Tensor) -> None:
        """Adds to the gradient of a context or a mask."""
        self.extras[name] = self.extras[name] + gradient if name in self.extras else gradient

    def add_whole(self, name: str, gradient: Tensor) -> None:
        """Adds to the gradient of a whole parameter a tensor that nothing else refers to."""
        if name in self.params:
            self.params[name].add_(gradient)
        else:
            self.params[name] = gradient

    def parameter(self, name: str) -> Tensor:
        """The gradient of a parameter, to be added to in place."""
        if name not in self.params:
            self.params[name] = torch.zeros_like(self.inputs.params[name], memory_format=torch.contiguous_format)
        return self.params[name]

    def block(self, matrix: Expr) -> Tensor:
        """The part of its parameter's gradient that belongs to a matrix."""
        at = self.layout.block(matrix)
        rows, columns = self.layout.step.width(matrix), matrix.attrs[3].bind(self.layout.step.named_sizes)
        return self.parameter(matrix.attrs[0])[at.row : at.row + rows, at.column : at.column + columns]

    def vector(self, expr: Expr) -> Tensor:
        """The part of its parameter's gradient that belongs to a vector."""
        item = self.inputs.cell.parameter(expr.attrs[0])
        width = self.layout.step.width(expr)
        first = item.gates.index(expr.attrs[1]) * width
        return self.parameter(item.name)[first : first + width]

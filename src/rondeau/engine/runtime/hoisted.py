"""What leaves the loop: values below the level of the state, computed for all steps at once."""

from __future__ import annotations

import torch
from torch import Tensor

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.layout import Column, Layout
from rondeau.engine.eager.evaluation import evaluated, leaf, sum_of
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.engine.products.multiply import multiply
from rondeau.engine.runtime.batch_rows import BatchRows


def project(layout: Layout, inputs: ScanInputs, rows: BatchRows, out: Tensor) -> None:
    """The linear columns side by side, in ``out`` (rows, features)."""
    W, bias, x = stacked_matrices(layout, inputs), _bias(layout, inputs), rows.to_rows(inputs.x)
    multiply(x, W.t(), out, bias)


def hoisted_values(layout: Layout, inputs: ScanInputs, rows: BatchRows) -> dict[Buffer, Tensor]:
    """The buffers of the other hoisted values."""
    moving = [(expr, place) for expr, place in layout.other if expr.op != "vector"]
    if not moving:
        return {}
    values = evaluated([expr for expr, _ in moving], inputs)
    return {place.buffer: rows.place(values[expr], place.level, place.row_size) for expr, place in moving}


def stacked_matrices(layout: Layout, inputs: ScanInputs) -> Tensor:
    """The matrices of all columns one below another; the parameter itself where it is just that."""
    if layout.matrix is not None:
        return inputs.params[layout.matrix].detach()
    with torch.no_grad():
        return torch.cat([sum_of([leaf(m, inputs) for m in c.matrices]) for c in layout.columns])


def _bias(layout: Layout, inputs: ScanInputs) -> Tensor | None:
    if layout.bias is not None:
        return inputs.params[layout.bias].detach()
    if not any(column.constants for column in layout.columns):
        return None
    with torch.no_grad():
        return torch.cat([_constant_sum(column, inputs, layout.step.width(column.expr)) for column in layout.columns])


def _constant_sum(column: Column, inputs: ScanInputs, width: int) -> Tensor:
    """The constant terms of a column, (width,)."""
    total = inputs.x.new_zeros(width)
    values = evaluated([term for _, term in column.constants], inputs)
    for plus, term in column.constants:
        total = total + values[term] if plus else total - values[term]
    return total

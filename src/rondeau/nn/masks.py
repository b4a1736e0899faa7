"""Masks as a cell declares them, drawn for a run."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rondeau.ir import Cell, Input


def drawn(cell: Cell, sizes: Mapping[str, int], x: Tensor) -> dict[str, Tensor] | None:
    """Every mask of a cell by name, for x (batch, time, input), or (batch, input) for a step; None where there is none.

    What is no such ``x`` has no masks either: the run itself says what is wrong with it.
    """
    if not cell.masks or not isinstance(x, Tensor) or x.dim() not in (2, 3):
        return None
    return {item.name: _mask(item, sizes, x) for item in cell.masks}


def _mask(item: Input, sizes: Mapping[str, int], x: Tensor) -> Tensor:
    lead = x.shape[:-1] if item.per == "step" else x.shape[:1]
    return x.new_empty((*lead, item.width.bind(sizes))).bernoulli_(item.probability) * item.scale

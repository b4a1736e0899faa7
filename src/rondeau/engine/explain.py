"""`explain`: which backend runs a cell, and why not another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.scan import BACKENDS, choose
from rondeau.ir.cell import Cell


@dataclass(frozen=True)
class Explanation:
    """The backend that ``auto`` takes, and for each one that cannot run this the reason why not."""

    backend: str
    refusals: Mapping[str, str]

    def __str__(self) -> str:
        reasons = [f"  not {name}: {reason}" for name, reason in self.refusals.items()]
        return "\n".join([f"runs on {self.backend}", *reasons])


def explain(cell: Cell, x: Tensor, params: Mapping[str, Tensor] | None = None, **options: Any) -> Explanation:
    """Which backend `rondeau.engine.scan` takes for this cell and input.

    Args:
        cell: the equations.
        x: (batch, time, input), of the type and device in question.
        params: the parameters; stand-ins with a hidden size of 64 if not given.
        options: the other arguments of ``scan``.

    Raises:
        InputError: as for ``scan``.

    Example:
        >>> import torch
        >>> from rondeau import cells, explain
        >>> print(explain(cells.lstm(), torch.zeros(1, 2, 3), clip=1.0).refusals["torch"])
        PyTorch's kernels do not clip gradients step by step
    """
    if params is None:
        sizes = dict.fromkeys(cell.sizes, 64) | dict.fromkeys(cell.input.width.names, x.shape[-1])
        params = {item.name: x.new_zeros(1).expand(item.shape(sizes)) for item in cell.parameters}
    inputs = check_inputs(cell, params, x, **options)
    reasons = {backend.name: backend.refusal(inputs) for backend in BACKENDS}
    return Explanation(choose(inputs).name, {name: reason for name, reason in reasons.items() if reason is not None})

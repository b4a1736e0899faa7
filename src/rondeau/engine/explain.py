"""`explain`: which backend runs a cell, and why not another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from rondeau.engine.backends.backend import BackendChoice, BackendName
from rondeau.engine.backends.registry import BACKENDS, choose
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import Extras, States
from rondeau.ir.cell import Cell


@dataclass(frozen=True)
class Explanation:
    """The backend that runs, and for each one that cannot run this the reason why not."""

    backend: BackendName
    refusals: Mapping[str, str]

    def __str__(self) -> str:
        reasons = [f"  not {name}: {reason}" for name, reason in self.refusals.items()]
        return "\n".join([f"runs on {self.backend}", *reasons])


def explain(
    cell: Cell,
    x: Tensor,
    params: Mapping[str, Tensor] | None = None,
    state: States | Tensor | None = None,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    reverse: bool = False,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    clip: float | None = None,
    trace: Sequence[str] = (),
    backend: BackendChoice = "auto",
) -> Explanation:
    """Which backend `rondeau.engine.scan` takes for this cell and input, recorded by ``torch.compile`` or not.

    Args:
        cell: the equations.
        x: (batch, time, input), of the type and device in question.
        params: the parameters; stand-ins with a hidden size of 64 if not given.
        state: as for ``scan``, like all that follow.
        lengths: the number of steps of each sequence.
        reverse: whether each sequence is read from its last step to its first.
        context: the cell's contexts.
        masks: the cell's masks.
        clip: the bound on gradients at every step.
        trace: names of values to return at every step.
        backend: ``auto``, or a name.

    Raises:
        InputError: as for ``scan``.

    Example:
        >>> import torch
        >>> from rondeau import cells, explain
        >>> print(explain(cells.lstm(), torch.zeros(1, 2, 3), clip=1.0).refusals["torch"])
        PyTorch's kernels do not clip gradients step by step
    """
    given = _stand_ins(cell, x) if params is None else params
    inputs = check_inputs(
        cell, given, x, state, lengths=lengths, reverse=reverse, context=context, masks=masks, clip=clip, trace=trace
    )
    reasons = {name: item.refusal(inputs) for name, item in BACKENDS.items()}
    chosen = choose(inputs, backend)
    return Explanation(chosen, {name: reason for name, reason in reasons.items() if reason is not None})


def _stand_ins(cell: Cell, x: Tensor) -> dict[str, Tensor]:
    """Parameters that take no memory."""
    sizes = dict.fromkeys(cell.sizes, 64) | dict.fromkeys(cell.input.width.names, x.shape[-1])
    return {item.name: x.new_zeros(1).expand(item.shape(sizes)) for item in cell.parameters}

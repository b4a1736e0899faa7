"""`scan` and `step`: running a cell over sequences, on the backend that suits best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rondeau.engine import fallback, operator
from rondeau.engine.backends import compiled, reference
from rondeau.engine.backends import torch_kernels as fused
from rondeau.engine.checkpointing import in_segments
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import Extras, Result, ScanInputs, States
from rondeau.errors import InputError
from rondeau.ir.cell import Cell


@dataclass(frozen=True)
class Backend:
    """A way to run a cell. ``refusal`` says in a sentence why it cannot, or None when it can."""

    name: str
    refusal: Callable[[ScanInputs], str | None]
    run: Callable[[ScanInputs], Result]


BACKENDS = (
    Backend("compiled", compiled.refusal, compiled.run),
    Backend("torch", fused.refusal, fused.run),
    Backend("reference", lambda inputs: None, reference.run),
)
"""In the order in which ``auto`` prefers them, but for what `rondeau.engine.backends.torch_kernels.fastest` names."""


def scan(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    reverse: bool = False,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    clip: float | None = None,
    trace: Sequence[str] = (),
    segment: int | str | None = None,
    backend: str = "auto",
) -> Any:
    """Runs a cell over a batch of sequences.

    Past its length a sequence emits zeros and keeps its state, so the state returned is always the true last one, and
    ``reverse`` (from each sequence's last step to its first) is safe on padded data.

    Args:
        cell: the equations.
        params: each parameter by name, packed by gate: (gates * rows[, columns]).
        x: (batch, time, input); any strides.
        state: the states before the first step, each (batch, width), in the cell's order; zeros if not given.
        lengths: the number of steps of each sequence, (batch,); all steps if not given.
        reverse: whether time runs backward.
        context: the cell's context inputs by name (a lone one as a plain tensor): (batch, width), or (batch, time, width)
            for those declared per step.
        masks: values of the cell's masks by name, in the same shapes; a mask that is not given stands for its mean.
        clip: bounds each element of the gradient that flows back through the states, at every step.
        trace: names of values to hand out at every step. They lie beside ``y`` and not on the way to it: a loss may use
            them, but dL/dh_t with all that flows through later steps is the gradient of the ``shift_h`` of
            `rondeau.cells.perturbed`.
        segment: keeps for the backward pass only the states every so many steps, and computes the rest again; with ``auto``
            memory grows with the square root of the length. Recorded programs (``torch.compile``) leave it out of account.
        backend: ``auto``, or the name of one of `BACKENDS`.

    Returns:
        ``(y, state)``: the outputs (batch, time, width) and a tuple of the last states. With ``trace`` a third value: the
        traced values by name, each (batch, time, width).

    Raises:
        InputError: an argument does not fit, or the backend asked for cannot run this.

    Example:
        >>> import torch
        >>> from rondeau import cells, scan
        >>> params = {"W": torch.zeros(8, 3), "U": torch.zeros(8, 2), "b": torch.ones(8)}
        >>> y, (h, c), gates = scan(cells.lstm(), params, torch.zeros(1, 4, 3), trace=("f",))
        >>> y.shape, gates["f"].shape
        (torch.Size([1, 4, 2]), torch.Size([1, 4, 2]))
    """
    if isinstance(x, Tensor) and operator.recording(x):
        return _recorded(cell, params, x, state, lengths, context, masks, clip, trace, reverse)
    inputs = check_inputs(
        cell, params, x, state, lengths=lengths, reverse=reverse, context=context, masks=masks, clip=clip, trace=trace
    )
    chosen = choose(inputs, backend)
    if backend == "auto" and chosen.run is reference.run:
        fallback.tell(inputs)
    run = chosen.run
    y, last, traces = run(inputs) if segment is None else in_segments(run, segment)(inputs)
    return (y, last, traces) if inputs.trace else (y, last)


def _recorded(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None,
    lengths: Tensor | Sequence[int] | None,
    context: Tensor | Extras | None,
    masks: Extras | None,
    clip: float | None,
    trace: Sequence[str],
    reverse: bool,
) -> Any:
    """The run as one operator; its arguments are checked when it runs, or when its fake kernel does."""
    given = (state,) if isinstance(state, Tensor) else state
    extras = {cell.contexts[0].name: context} if isinstance(context, Tensor) else dict(context or {})
    extras.update(masks or {})
    names = (trace,) if isinstance(trace, str) else tuple(trace)
    y, last, traces = operator.run(cell, params, x, given, lengths, extras, (clip, names, reverse))
    return (y, last, traces) if names else (y, last)


def step(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    *,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    trace: Sequence[str] = (),
    backend: str = "auto",
) -> Any:
    """One step of a cell: like `scan`, with x (batch, input) and without the time dimension everywhere.

    Returns:
        ``(y, state)`` with y (batch, width); with ``trace`` a third value, each (batch, width).

    Raises:
        InputError: as for `scan`.
    """
    if not isinstance(x, Tensor) or x.dim() != 2:
        raise InputError(
            f"x of a step has the shape (batch, input), not {tuple(getattr(x, 'shape', ()))}; use scan for sequences"
        )
    if context is not None or masks:
        context, masks = _one_step(cell, context), _one_step(cell, masks)
    y, *rest = scan(cell, params, x.unsqueeze(1), state, context=context, masks=masks, trace=trace, backend=backend)
    if trace:
        rest[1] = {name: value.squeeze(1) for name, value in rest[1].items()}
    return (y.squeeze(1), *rest)


def _one_step(cell: Cell, given: Tensor | Extras | None) -> Any:
    """Contexts or masks per step with a time dimension of one."""
    moving = [item.name for item in cell.inputs[1:] if item.per == "step"]
    if isinstance(given, Tensor):
        return given.unsqueeze(1) if [item.name for item in cell.contexts] == moving[:1] else given
    return given and {name: value.unsqueeze(1) if name in moving else value for name, value in given.items()}


def choose(inputs: ScanInputs, name: str = "auto") -> Backend:
    """The backend of a run: the one named, or for ``auto`` the first that does not refuse.

    Raises:
        InputError: no such backend, or it refuses.
    """
    if name == "auto":
        ranked = sorted(BACKENDS, key=lambda item: item.run is not fused.run) if fused.fastest(inputs) else BACKENDS
        return next(item for item in ranked if item.refusal(inputs) is None)
    chosen = next((item for item in BACKENDS if item.name == name), None)
    if chosen is None:
        raise InputError(f"there is no backend {name!r}; choose auto, {', '.join(item.name for item in BACKENDS)}")
    refusal = chosen.refusal(inputs)
    if refusal is not None:
        raise InputError(f"the backend {name} cannot run this: {refusal}; use backend='auto'")
    return chosen

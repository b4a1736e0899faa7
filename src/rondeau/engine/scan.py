"""`scan` and `step`: running a cell over sequences, on the backend that suits best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, overload

from torch import Tensor

from rondeau.engine import operator
from rondeau.engine.backends.backend import BackendChoice
from rondeau.engine.backends.registry import BACKENDS, choose
from rondeau.engine.checkpointing import in_segments
from rondeau.engine.fallback import warn_once
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import Extras, Result, States
from rondeau.errors import InputError
from rondeau.ir.cell import Cell


@overload
def scan(  # type: ignore[overload-overlap]  # an empty list of names gives two values too
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
    trace: tuple[()] = (),
    segment: int | Literal["auto"] | None = None,
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States]: ...


@overload
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
    trace: Sequence[str],
    segment: int | Literal["auto"] | None = None,
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States, dict[str, Tensor]]: ...


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
    segment: int | Literal["auto"] | None = None,
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States] | tuple[Tensor, States, dict[str, Tensor]]:
    """Runs a cell over a batch of sequences.

    Past its length a sequence emits zeros and keeps its state, so the state returned is always the true last one, and
    ``reverse`` (from each sequence's last step to its first) is safe on padded data.

    Args:
        cell: the equations.
        params: each parameter by name, packed by gate: (gates * rows[, columns]).
        x: (batch, time, input); any strides.
        state: the states before the first step, each (batch, width), in the cell's order; zeros if not given.
        lengths: the number of steps of each sequence, (batch,); all steps if not given.
        reverse: whether each sequence is read from its last step to its first.
        context: the cell's context inputs by name (a lone one as a plain tensor): (batch, width), or (batch, time, width)
            for those declared per step.
        masks: values of the cell's masks by name, in the same shapes; a mask that is not given stands for its mean.
        clip: bounds each element of the gradient that flows back through the states, at every step.
        trace: names of values to return at every step. They lie beside ``y`` and not on the way to it: a loss may use
            them, but dL/dh_t with all that flows through later steps is the gradient of the ``shift_h`` of
            `rondeau.cells.perturbed`.
        segment: saves for the backward pass only the states every so many steps, and computes the rest again; with ``auto``
            memory grows with the square root of the length. Recorded programs (``torch.compile``) leave it out of account.
        backend: ``auto``, or the name of one of `rondeau.engine.BACKENDS`; also under ``torch.compile`` and ``torch.export``.

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
    y, last, traces = run_scan(cell, params, x, state, lengths, reverse, context, masks, clip, trace, segment, backend)
    return (y, last, traces) if traces else (y, last)


def run_scan(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    reverse: bool = False,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    clip: float | None = None,
    trace: Sequence[str] = (),
    segment: int | Literal["auto"] | None = None,
    backend: BackendChoice = "auto",
) -> Result:
    """As `scan`, but what it returns has always three parts."""
    if isinstance(x, Tensor) and operator.recording(x):  # what records operators sees one; it checks its arguments when it runs
        names = (trace,) if isinstance(trace, str) else tuple(trace)
        options = operator.Options(names, clip, reverse, backend)
        return operator.run(cell, params, x, state, lengths, _extras(cell, context, masks), options)
    inputs = check_inputs(
        cell, params, x, state, lengths=lengths, reverse=reverse, context=context, masks=masks, clip=clip, trace=trace
    )
    chosen = choose(inputs, backend)
    if chosen == "reference":
        warn_once(inputs, backend, chosen)
    run = BACKENDS[chosen].run
    return run(inputs) if segment is None else in_segments(run, segment)(inputs)


def _extras(cell: Cell, context: Tensor | Extras | None, masks: Extras | None) -> dict[str, Tensor]:
    """Contexts and masks by name."""
    extras = {cell.contexts[0].name: context} if isinstance(context, Tensor) else dict(context or {})
    return {**extras, **(masks or {})}


@overload
def step(  # type: ignore[overload-overlap]
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    *,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    trace: tuple[()] = (),
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States]: ...


@overload
def step(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    *,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    trace: Sequence[str],
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States, dict[str, Tensor]]: ...


def step(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None = None,
    *,
    context: Tensor | Extras | None = None,
    masks: Extras | None = None,
    trace: Sequence[str] = (),
    backend: BackendChoice = "auto",
) -> tuple[Tensor, States] | tuple[Tensor, States, dict[str, Tensor]]:
    """One step of a cell: like `scan`, with x (batch, input) and without the time dimension everywhere.

    Returns:
        ``(y, state)`` with y (batch, width); with ``trace`` a third value, each (batch, width).

    Raises:
        InputError: as for `scan`.
    """
    if not isinstance(x, Tensor) or x.dim() != 2:
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x of a step has the shape (batch, input), not {found}; use scan for sequences")
    extras, drawn = _one_step(cell, context), _one_step(cell, masks)
    y, last, traces = run_scan(cell, params, x.unsqueeze(1), state, context=extras, masks=drawn, trace=trace, backend=backend)
    if not traces:
        return y.squeeze(1), last
    return y.squeeze(1), last, {name: value.squeeze(1) for name, value in traces.items()}


@overload
def _one_step(cell: Cell, given: Extras | None) -> Extras | None: ...


@overload
def _one_step(cell: Cell, given: Tensor | Extras | None) -> Tensor | Extras | None: ...


def _one_step(cell: Cell, given: Tensor | Extras | None) -> Tensor | Extras | None:
    """Contexts or masks per step with a time dimension of one."""
    if given is None:
        return None
    moving = [item.name for item in cell.inputs[1:] if item.per == "step"]
    if isinstance(given, Tensor):
        return given.unsqueeze(1) if [item.name for item in cell.contexts] == moving[:1] else given
    return {name: value.unsqueeze(1) if name in moving else value for name, value in given.items()}

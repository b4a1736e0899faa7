"""Long sequences in segments: only the states between them are kept, and each segment is run again in the backward pass.

With segments of the square root of the length, what is saved for the backward pass grows with that root (Chen and others
2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174), for the price of a second forward run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.inputs.scan_inputs import Result, ScanInputs
from rondeau.errors import InputError

Run = Callable[[ScanInputs], Result]


def segment_size(segment: int | str, time: int) -> int:
    """The steps of a segment: ``segment`` itself, or for ``auto`` the root of the number of steps.

    Raises:
        InputError: it is neither ``auto`` nor a positive whole number.
    """
    if segment == "auto":
        return isqrt(max(time - 1, 0)) + 1
    if not isinstance(segment, int) or isinstance(segment, bool) or segment < 1:
        raise InputError(f"segment is 'auto' or the number of steps between kept states, at least 1; got {segment!r}")
    return segment


def in_segments(run: Run, segment: int | str) -> Run:
    """``run``, segment by segment, saving little for the backward pass."""

    def whole(inputs: ScanInputs) -> Result:
        size = segment_size(segment, inputs.time)
        if inputs.time <= size or not inputs.needs_grad:
            return run(inputs)
        state, parts = inputs.state, []
        for part in _segments(inputs, size):
            y, state, traces = _recomputed(run, part._replace(state=state))
            parts.append((y, *traces.values()))
        ordered = reversed(parts) if inputs.reverse else parts
        y, *traces_ = (torch.cat(values, 1) for values in zip(*ordered))
        return y, state, dict(zip(inputs.trace, traces_))

    return whole


def _segments(inputs: ScanInputs, size: int) -> Iterator[ScanInputs]:
    """The segments in the order in which they run."""
    moving = {item.name for item in inputs.cell.inputs[1:] if item.per == "step"}
    starts = range(0, inputs.time, size)
    for start in reversed(starts) if inputs.reverse else starts:
        span = slice(start, start + size)
        x = inputs.x[:, span]
        extras = {name: value[:, span] if name in moving else value for name, value in inputs.extras.items()}
        lengths = inputs.lengths
        left = None if lengths is None else (lengths - start).clamp(0, x.shape[1])
        yield inputs._replace(x=x, extras=extras, lengths=left)


def _recomputed(run: Run, inputs: ScanInputs) -> Result:
    """A run that saves its arguments alone, and runs again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    def once(*tensors: Tensor) -> Any:
        y, state, traces = run(inputs.with_tensors(tensors))
        return (y, *state, *traces.values())

    y, *rest = checkpoint(once, *inputs.tensors, use_reentrant=False, preserve_rng_state=False)
    n = len(inputs.state)
    return y, tuple(rest[:n]), dict(zip(inputs.trace, rest[n:]))

"""Long sequences in segments: only the states between them are kept, and each segment is run again on the way back.

With segments of the square root of the length, what is kept for the backward pass grows with that root (Chen and others
2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174), for the price of a second forward run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.backends.double_backward import with_tensors
from rondeau.engine.backends.reference import Result
from rondeau.engine.scan_inputs import Problem
from rondeau.errors import InputError

Run = Callable[[Problem], Result]


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
    """``run``, segment by segment, keeping little for the backward pass."""

    def whole(problem: Problem) -> Result:
        size = segment_size(segment, problem.time)
        differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in problem.tensors)
        if problem.time <= size or not differentiated:
            return run(problem)
        state, parts = problem.state, []
        for part in _cut(problem, size):
            y, state, traces = _again(run, replace(part, state=state))
            parts.append((y, *traces.values()))
        ordered = reversed(parts) if problem.reverse else parts
        y, *traces_ = (torch.cat(values, 1) for values in zip(*ordered))
        return y, state, dict(zip(problem.trace, traces_))

    return whole


def _cut(problem: Problem, size: int) -> Iterator[Problem]:
    """The segments in the order in which they run."""
    moving = {item.name for item in problem.cell.inputs[1:] if item.per == "step"}
    starts = range(0, problem.time, size)
    for start in reversed(starts) if problem.reverse else starts:
        span = slice(start, start + size)
        x = problem.x[:, span]
        extras = {name: value[:, span] if name in moving else value for name, value in problem.extras.items()}
        lengths = problem.lengths
        left = None if lengths is None else (lengths - start).clamp(0, x.shape[1])
        yield replace(problem, x=x, extras=extras, lengths=left)


def _again(run: Run, problem: Problem) -> Result:
    """A run that keeps its arguments alone, and runs again when its derivative is asked for."""
    from torch.utils.checkpoint import checkpoint

    def once(*tensors: Tensor) -> Any:
        y, state, traces = run(with_tensors(problem, tensors))
        return (y, *state, *traces.values())

    y, *rest = checkpoint(once, *problem.tensors, use_reentrant=False, preserve_rng_state=False)
    n = len(problem.state)
    return y, tuple(rest[:n]), dict(zip(problem.trace, rest[n:]))

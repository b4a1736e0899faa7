"""The scan as an operator of PyTorch, ``rondeau::scan``, for whatever records operators: ``torch.compile``, ``torch.export``,
``torch.jit.trace``, fake tensors, dispatch modes. A plain call does not go through it: dispatch costs more than a short run.

Its first argument is the case as JSON: the cell and the options, so that an exported program says all that it needs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rondeau.engine.backends import compiled
from rondeau.engine.backends.backend import Backend, BackendChoice
from rondeau.engine.backends.registry import BACKENDS, choose, runs_compiled
from rondeau.engine.eager.autograd import gradients_of, with_autograd
from rondeau.engine.fallback import warn_once
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import Extras, Result, ScanInputs, States
from rondeau.engine.runtime.buffers import Frame
from rondeau.engine.runtime.hoisted import hoisted_values
from rondeau.engine.runtime.program import SavedForBackward
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.serialise import from_json, to_json

EXPORTING = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # PyTorch 2.6 does not tell them apart
INPUTS = "str case, Tensor x, Tensor[] state, Tensor[] params, Tensor[]? extras, Tensor? lengths"
"""Extras are None where there are none, for AOTInductor loses an empty list."""


class Options(NamedTuple):
    """What `rondeau.engine.scan` is given besides tensors."""

    trace: tuple[str, ...] = ()
    clip: float | None = None
    reverse: bool = False
    backend: BackendChoice = "auto"


class Case(NamedTuple):
    """What a run is but for its tensors; ``extras`` names those of its contexts and masks that are given."""

    cell: Cell
    extras: tuple[str, ...]
    options: Options


def recording(x: Tensor) -> bool:
    """Whether something records or watches operators, and must see ours."""
    kind = type(x)
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack() > 0
        or (kind is not Tensor and kind.__torch_dispatch__ is not Tensor.__torch_dispatch__)
    )


def run(
    cell: Cell,
    params: Extras,
    x: Tensor,
    state: States | Tensor | None,
    lengths: Tensor | Sequence[int] | None,
    extras: Extras,
    options: Options,
) -> Result:
    """As a backend's ``run``, through the operator; ``extras`` are contexts and masks by name."""
    _check_target(cell)
    names = [item.name for item in cell.inputs[1:] if item.name in extras]
    weights = [params[item.name] for item in cell.parameters]
    more = [extras[name] for name in names]
    given = _zeros(cell, weights, x, more) if state is None else [state] if isinstance(state, Tensor) else list(state)
    differentiable = torch.is_grad_enabled() or torch.jit.is_tracing()  # a trace is made once, for both
    keep = differentiable and any(t.requires_grad for t in (x, *given, *weights, *more))
    counts = lengths if lengths is None or isinstance(lengths, Tensor) else torch.tensor(list(lengths))
    case = _written(cell, tuple(names), *options)
    outputs = torch.ops.rondeau.scan(case, x, given, weights, more or None, counts, keep)
    n = len(given)
    return outputs[0], tuple(outputs[1 : 1 + n]), dict(zip(options.trace, outputs[1 + n :]))


def _check_target(cell: Cell) -> None:
    """Raises InputError where a model is recorded for ONNX, which does not know our operator."""
    if for_onnx():
        raise InputError(
            f"ONNX has no operator that runs the cell {cell.name}; where torch.nn has such a layer, export layer.to_torch()"
        )


def for_onnx() -> bool:
    """Whether a model is being recorded for ONNX."""
    return (torch.jit.is_tracing() or EXPORTING()) and _for_onnx()


def _zeros(cell: Cell, weights: list[Tensor], x: Tensor, extras: list[Tensor]) -> list[Tensor]:
    shapes = tuple(tuple(w.shape) for w in weights), tuple(e.shape[-1] for e in extras)
    return [x.new_zeros(x.shape[0], width) for width in _widths(cell, x.shape[-1], *shapes)]


def _constant(function: Any) -> Any:
    """Lets torch.compile take what a function of constants returns for a constant, as torch.compiler.assume_constant_result
    does, but without importing the compiler."""
    function._dynamo_marked_constant = True
    return function


@_constant
def _for_onnx() -> bool:
    return torch.onnx.is_in_onnx_export()


@_constant
def _written(
    cell: Cell,
    extras: tuple[str, ...],
    trace: tuple[str, ...],
    clip: float | None,
    reverse: bool,
    backend: BackendChoice,
) -> str:
    """A case as JSON; constants alone, for which torch.compile can call it."""
    options = {"trace": trace, "clip": clip, "reverse": reverse, "backend": backend}
    return json.dumps({"cell": to_json(cell), "extras": extras, **options})


@_constant
def _widths(cell: Cell, input: int, weights: tuple[tuple[int, ...], ...], extras: tuple[int, ...]) -> tuple[int, ...]:
    """The widths of the states, from the shapes of the parameters."""
    params = {p.name: torch.empty(shape, device="meta") for p, shape in zip(cell.parameters, weights)}
    names = [item.name for item in cell.contexts]
    context = {name: torch.empty(0, width, device="meta") for name, width in zip(names, extras)}
    moving = {item.name for item in cell.contexts if item.per == "step"}
    context = {name: value.unsqueeze(1) if name in moving else value for name, value in context.items()}
    inputs = check_inputs(cell, params, torch.empty(0, 1, input, device="meta"), context=context)
    return tuple(value.shape[-1] for value in inputs.state)


@lru_cache(maxsize=256)
def _read(case: str) -> Case:
    found = json.loads(case)
    backend = found.get("backend", "auto")  # older programs do not name one
    options = Options(tuple(found["trace"]), found["clip"], bool(found["reverse"]), backend)
    return Case(from_json(found["cell"]), tuple(found["extras"]), options)


def _inputs(
    case: str, x: Tensor, state: list[Tensor], params: list[Tensor], extras: list[Tensor] | None, lengths: Tensor | None
) -> ScanInputs:
    """The checked arguments of an operator."""
    cell, names, options = _read(case)
    given = dict(zip(names, extras or []))
    masks = {item.name: given[item.name] for item in cell.masks if item.name in given}
    context = {name: value for name, value in given.items() if name not in masks}
    weights = {item.name: value for item, value in zip(cell.parameters, params)}
    return check_inputs(
        cell, weights, x, tuple(state), lengths=lengths, context=context, masks=masks,
        clip=options.clip, reverse=options.reverse, trace=options.trace,
    )  # fmt: skip


@torch.library.custom_op("rondeau::scan", mutates_args=(), schema=f"({INPUTS}, bool keep) -> Tensor[]")
def _scan(case: str, x: Tensor, state: Any, params: Any, extras: Any, lengths: Any, keep: bool) -> list[Tensor]:
    inputs, asked = _inputs(case, x, state, params, extras, lengths), _read(case).options.backend
    chosen = choose(inputs, asked)
    memory = x.new_empty(_saved_size(inputs) if keep and chosen == "compiled" else 0)
    if chosen == "compiled":
        outputs, _ = compiled.PROGRAMS.of(inputs, keeps=keep).forward(inputs, memory if keep else None, keep)
        if keep:
            _saved_frame(inputs).clear(memory)  # an operator's results are the same each time, in every element
    else:
        warn_once(inputs, asked, chosen)
        y, last, traces = BACKENDS[chosen].run(inputs)
        outputs = [y, *(value.clone() for value in last), *traces.values()]
    return [*(value.contiguous() for value in outputs), memory]


def _saved_frame(inputs: ScanInputs) -> Frame:
    program = compiled.PROGRAMS.of(inputs)
    rows = program.rows(inputs)
    return program.frames("train", rows).saved


def _saved_size(inputs: ScanInputs) -> int:
    """Elements that suffice for what a training run saves for its backward run."""
    # the same for single sequences; a fake batch is not to be compared with the number of threads
    return compiled.PROGRAMS.of(inputs, False).bound(inputs.batch, inputs.time)


@torch.library.register_fake("rondeau::scan")
def _fake(case: str, x: Tensor, state: Any, params: Any, extras: Any, lengths: Any, keep: bool) -> list[Tensor]:
    inputs, asked = _inputs(case, x, state, params, extras, None), _read(case).options.backend
    if asked != "auto":
        choose(inputs, asked)  # refuses while the program is recorded
    lead, width = (x.shape[0], x.shape[1]), inputs.sizes
    cell = inputs.cell
    y = x.new_empty(*lead, cell.output.width.bind(width))
    last = [x.new_empty(value.shape) for value in state]
    traces = [x.new_empty(*lead, cell.value(name).width.bind(width)) for name in inputs.trace]
    saves = keep and runs_compiled(inputs._replace(lengths=lengths), asked)
    return [y, *last, *traces, x.new_empty(_saved_size(inputs) if saves else 0)]


@torch.library.custom_op(
    "rondeau::scan_backward", mutates_args=(), schema=f"({INPUTS}, Tensor memory, Tensor?[] gradients) -> Tensor[]"
)
def _scan_backward(
    case: str, x: Tensor, state: Any, params: Any, extras: Any, lengths: Any, memory: Tensor, gradients: Any
) -> list[Tensor]:
    inputs = _inputs(case, x, state, params, extras, lengths)
    chosen = choose(inputs, _read(case).options.backend)
    inputs = inputs.with_tensors(tuple(t.detach().requires_grad_() for t in inputs.tensors))
    if chosen == "compiled":
        program = compiled.PROGRAMS.of(inputs)
        found = program.backward(
            inputs, SavedForBackward(memory, hoisted_values(program.layout, inputs, program.rows(inputs))), gradients
        )
    else:
        found = with_autograd(partial(_by_autograd, BACKENDS[chosen], inputs, gradients))
    return [torch.zeros_like(t) if g is None else g.contiguous() for g, t in zip(found, inputs.tensors)]


def _by_autograd(backend: Backend, inputs: ScanInputs, gradients: list[Tensor | None]) -> list[Tensor | None]:
    with torch.enable_grad():
        y, last, traces = backend.run(inputs)
        outputs = (y, *last, *traces.values())
        given = tuple(torch.zeros_like(v) if g is None else g for v, g in zip(outputs, gradients))
        return gradients_of(outputs, inputs.tensors, given)


@torch.library.register_fake("rondeau::scan_backward")
def _fake_backward(
    case: str, x: Tensor, state: Any, params: Any, extras: Any, lengths: Any, memory: Tensor, gradients: Any
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in (x, *state, *params, *(extras or []))]


def _save(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    case, x, state, params, extras, lengths, _ = inputs
    ctx.case, ctx.counts = case, (len(state), len(params))
    ctx.save_for_backward(x, *state, *params, *(extras or []), lengths, output[-1])


def _differentiate(ctx: Any, gradients: list[Tensor | None]) -> Any:
    x, *rest, lengths, memory = ctx.saved_tensors
    n, m = ctx.counts
    state, params, extras = rest[:n], rest[n : n + m], rest[n + m :] or None
    found = torch.ops.rondeau.scan_backward(ctx.case, x, state, params, extras, lengths, memory, gradients[:-1])
    return None, found[0], found[1 : 1 + n], found[1 + n : 1 + n + m], found[1 + n + m :] or None, None, None


torch.library.register_autograd("rondeau::scan", _differentiate, setup_context=_save)

"""`check_inputs`: the arguments of a run, checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from rondeau.cells import get
from rondeau.engine.inputs.scan_inputs import Extras, ScanInputs, States
from rondeau.engine.inputs.sizes import sizes_of
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input

REMEMBERED = 1024  # sets of shapes that were found to fit together
MOST = 1 << 40  # elements of one value at all steps; more than any machine's memory, and far from the end of 64 bits


def check_inputs(
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
) -> ScanInputs:
    """The checked arguments of `rondeau.engine.scan`, with every size known.

    What a run without contexts and masks needs of its shapes is found once, and remembered.

    Raises:
        InputError: an argument is missing, or has a wrong shape, type or device.
    """
    key = None if context is not None or masks is not None else _shapes(cell, params, x, state)
    found = _sound.get(key) if key is not None else None
    if found is None:
        inputs = _checked(cell, params, x, state, lengths, reverse, context, masks, clip, trace)
        if key is not None and tuple(params) == tuple(inputs.params):
            _remember(key, Sound(inputs.sizes, tuple(value.shape[1] for value in inputs.state)))
        return inputs
    full = (state,) if isinstance(state, Tensor) else state or tuple([x.new_zeros(len(x), width) for width in found.states])
    counts = None if lengths is None else _lengths(lengths, x)
    names = _trace(cell, trace) if trace else ()
    return ScanInputs(cell, found.sizes, dict(params), x, full, {}, counts, reverse, _clip(clip), names)


class Sound(NamedTuple):
    """What is known of arguments that fit together: the sizes, and the widths of the states."""

    sizes: Mapping[str, int]
    states: tuple[int, ...]


_sound: dict[Hashable, Sound] = {}


def _remember(key: Hashable, found: Sound) -> None:
    if len(_sound) >= REMEMBERED:
        _sound.clear()
    _sound[key] = found


def _shapes(cell: Cell, params: Mapping[str, Tensor], x: Tensor, state: States | Tensor | None) -> Hashable:
    """All on which the checks of a plain run depend: cell, names, shapes; None where x is no plain tensor on the CPU, or
    another argument differs from it in kind."""
    if type(x) is not Tensor or not isinstance(params, dict):
        return None
    given = () if state is None else state if isinstance(state, tuple) else (state,)
    dtype, tensors = x.dtype, (x, *params.values(), *given)
    for value in tensors:
        if not isinstance(value, Tensor) or value.dtype is not dtype or not value.is_cpu:
            return None
    return (cell, tuple(params), state is None, len(given), dtype, *[value.shape for value in tensors])


def _checked(
    cell: Cell,
    params: Mapping[str, Tensor],
    x: Tensor,
    state: States | Tensor | None,
    lengths: Tensor | Sequence[int] | None,
    reverse: bool,
    context: Tensor | Extras | None,
    masks: Extras | None,
    clip: float | None,
    trace: Sequence[str],
) -> ScanInputs:
    _check_cell(cell)
    _check_x(x)
    extras = {**_contexts(cell, context), **_masks(cell, masks)}
    weights, given = _parameters(cell, params), _states(cell, state)
    sizes, fault = sizes_of(cell, weights, x, given, extras)
    _check_room(cell, sizes, x)
    full = given or tuple(_zeros(x, item.width.bind(sizes), fault is None) for item in cell.states)
    options = reverse, _clip(clip), _trace(cell, trace)
    inputs = ScanInputs(cell, sizes, weights, x, full, extras, _lengths(lengths, x), *options)
    _check_shapes(inputs)
    if fault is not None:
        raise InputError(fault)
    return inputs


def _zeros(x: Tensor, width: int, sound: bool) -> Tensor:
    """An initial state; one that only its shape will be asked of takes no memory."""
    return x.new_zeros(x.shape[0], width) if sound else x.new_zeros(1).expand(x.shape[0], width)


def _check_cell(cell: Cell) -> None:
    if not isinstance(cell, Cell):
        get(cell)  # says what to write instead
        raise InputError(f"the first argument is a cell, not a name; write cells.get({cell!r})")


def _parameters(cell: Cell, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters in the cell's order."""
    names = tuple(item.name for item in cell.parameters)
    if set(params) != set(names):
        raise InputError(
            f"{cell.name} takes the parameters {', '.join(names) or 'none'}, but got {', '.join(params) or 'none'}"
        )
    return {name: params[name] for name in names}


def _check_x(x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise InputError(f"x is a tensor (batch, time, input), not {type(x).__name__}")
    if x.dim() != 3:
        raise InputError(
            f"x has the shape (batch, time, input), not {tuple(x.shape)}; add the missing dimension with unsqueeze"
        )
    if not x.is_floating_point():
        raise InputError(f"x holds real numbers, not {x.dtype}; convert it, or embed it first when it holds tokens")


def _check_room(cell: Cell, sizes: Mapping[str, int], x: Tensor) -> None:
    """Before anything is allocated."""
    batch, time = x.shape[:2]
    if type(batch) is not int or type(time) is not int or batch * time << 24 <= MOST:  # no vector is wider: `rondeau.ir.fit`
        return
    widest = max(width.bind(sizes) for width in (cell.input.width, *(item.width for item in cell.states)))
    count = batch * max(time, 1) * widest
    if count > MOST:
        raise InputError(
            f"{batch:,} sequences of {time:,} steps with {widest:,} features are {count:,} elements, "
            f"of which a run takes at most {MOST:,}; run shorter pieces, and hand the state on"
        )


def _contexts(cell: Cell, context: Tensor | Extras | None) -> dict[str, Tensor]:
    names = [item.name for item in cell.contexts]
    if isinstance(context, Tensor):
        if len(names) != 1:
            raise InputError(
                f"{cell.name} takes {len(names)} contexts ({', '.join(names) or 'none'}); give them by name in a dict"
            )
        return {names[0]: context}
    given = dict(context or {})
    if set(given) != set(names):
        raise InputError(f"{cell.name} takes the contexts {', '.join(names) or 'none'}, but got {', '.join(given) or 'none'}")
    return {name: given[name] for name in names}


def _masks(cell: Cell, masks: Extras | None) -> dict[str, Tensor]:
    names = [item.name for item in cell.masks]
    unknown = sorted(set(masks or {}) - set(names))
    if unknown:
        raise InputError(f"{cell.name} has no mask {unknown[0]!r}; it has {', '.join(names) or 'none'}")
    return {name: masks[name] for name in names if masks and name in masks}


def _states(cell: Cell, state: States | Tensor | None) -> States:
    if state is None:
        return ()
    given = (state,) if isinstance(state, Tensor) else tuple(state)
    names = ", ".join(item.name for item in cell.states)
    if len(given) != len(cell.states) or not all(isinstance(item, Tensor) for item in given):
        raise InputError(
            f"{cell.name} has {len(cell.states)} states ({names}); give a tuple of as many tensors, got {len(given)} values"
        )
    return given


def _check_shapes(inputs: ScanInputs) -> None:
    cell, x = inputs.cell, inputs.x
    widths, params = _expected(cell, tuple(inputs.sizes.items()))
    found: list[tuple[Tensor, tuple[int, ...]]] = [(x, (inputs.batch, inputs.time, widths[0]))]
    found += [(inputs.params[item.name], shape) for item, shape in zip(cell.parameters, params)]
    found += [(value, (inputs.batch, width)) for value, width in zip(inputs.state, widths[1:])]
    found += [(inputs.extras[i.name], _extra_shape(inputs, i)) for i in cell.inputs[1:] if i.name in inputs.extras]
    for index, (value, shape) in enumerate(found):
        if value.shape != shape or value.dtype != x.dtype or value.device != x.device:
            _refuse(inputs, _names(inputs)[index], value, shape)


@lru_cache(maxsize=1024)
def _expected(cell: Cell, sizes: tuple[tuple[str, int], ...]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The widths of x and of the states, and the shapes of the parameters."""
    known = dict(sizes)
    widths = (cell.input.width, *(item.width for item in cell.states))
    return tuple(width.bind(known) for width in widths), tuple(item.shape(known) for item in cell.parameters)


def _names(inputs: ScanInputs) -> list[str]:
    cell = inputs.cell
    names = ["x", *(f"the parameter {p.name}" for p in cell.parameters), *(f"the state {s.name}" for s in cell.states)]
    return names + [f"the {item.role} {item.name}" for item in cell.inputs[1:] if item.name in inputs.extras]


def _refuse(inputs: ScanInputs, what: str, value: Tensor, shape: tuple[int, ...]) -> None:
    x = inputs.x
    if tuple(value.shape) != shape:
        known = ", ".join(f"{name}={size}" for name, size in inputs.sizes.items())
        found, expected = f"the shape {tuple(value.shape)}", str(shape)
        if what == "x":  # a step has given it a time of its own
            found, expected = f"{value.shape[-1]} features", str(shape[-1])
        raise InputError(f"{what} of {inputs.cell.name} has {found}, expected {expected} (with {known}, as its parameters say)")
    raise InputError(
        f"{what} is {value.dtype} on {value.device}, but x is {x.dtype} on {x.device}; bring both together with .to"
    )


def _extra_shape(inputs: ScanInputs, item: Input) -> tuple[int, ...]:
    width = item.width.bind(inputs.sizes)
    return (inputs.batch, inputs.time, width) if item.per == "step" else (inputs.batch, width)


def _lengths(lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
    if lengths is None:
        return None
    value = torch.as_tensor(lengths)
    if not value.numel() and not isinstance(lengths, Tensor):
        value = value.to(torch.int64)  # an empty list has no type
    if value.dim() != 1 or len(value) != x.shape[0] or value.is_floating_point() or value.dtype == torch.bool:
        raise InputError(
            f"lengths holds one whole number per sequence ({x.shape[0]}), got {value.dtype} of shape {tuple(value.shape)}"
        )
    value = value.detach().to("cpu", torch.int64)
    if len(value) and (int(value.min()) < 0 or int(value.max()) > x.shape[1]):
        raise InputError(
            f"lengths lie between 0 and the number of steps, {x.shape[1]}; got {int(value.min())} to {int(value.max())}"
        )
    return value


def _clip(clip: float | None) -> float | None:
    if clip is not None and not clip > 0:
        raise InputError(f"clip is a positive bound on each element of the gradient, or None for no clipping; got {clip!r}")
    return None if clip is None else float(clip)


def _trace(cell: Cell, trace: Sequence[str]) -> tuple[str, ...]:
    names = (trace,) if isinstance(trace, str) else tuple(trace)
    for name in names:
        cell.value(name)
    return names

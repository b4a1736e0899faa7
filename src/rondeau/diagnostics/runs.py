"""What a model's cells did: every scan inside it, with all that it was given and all that came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.cells import perturbed_states
from rondeau.engine import BackendChoice
from rondeau.engine.scan import run_scan
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn.watching import Scan, Watched, watched

States = tuple[Tensor, ...]
Forward = Callable[[], Any]
"""A function that runs the model, such as ``lambda: model(x)``."""
perturbed_once = lru_cache(maxsize=256)(perturbed_states)


@dataclass(frozen=True, eq=False)
class Run:
    """One scan of a cell inside a model.

    ``name`` is the path of the layer in the model, with ``.l1`` and ``.reverse`` behind it where a layer has several runs, and
    ``#2`` where it ran a second time. ``shifts`` are the zeros that were added to the states, each (batch, time, width).
    """

    name: str
    cell: Cell
    params: Mapping[str, Tensor]
    x: Tensor  # (batch, time, input)
    state: States  # each (batch, width)
    lengths: Tensor  # (batch,)
    reverse: bool
    context: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    y: Tensor
    last: States
    traced: Mapping[str, Tensor]
    shifts: Mapping[str, Tensor]


class Capture:
    """Watches the scans of a model and keeps each as a `Run`.

    Args:
        model: whose scans.
        shifted: whether zeros are added to every state at every step, for their gradient.
        trace: the names of values to hand out, of those that a cell has; None for none, an empty tuple for all equations.
        fresh: whether inputs that no gradient flows to become ones to which it does.
    """

    def __init__(self, model: nn.Module, shifted: bool = False, trace: Sequence[str] | None = None, fresh: bool = False):
        self.names = {module: path for path, module in model.named_modules() if isinstance(module, Watched)}
        self.shifted, self.trace, self.fresh = shifted, trace, fresh
        self.runs: list[Run] = []
        self._inputs: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, module: Watched, layer: int, reverse: bool) -> Scan:
        """What runs in place of the scan."""
        name = self.names[module]
        if _several(module):
            name += f".l{layer}" + ".reverse" * reverse
        name = name.removeprefix(".") or "layer"
        count = sum(run.name.partition("#")[0] == name for run in self.runs)
        return partial(self._run, f"{name}#{count + 1}" if count else name)

    def _run(
        self,
        name: str,
        cell: Cell,
        params: Mapping[str, Tensor],
        x: Tensor,
        state: Any,
        *,
        trace: Sequence[str] = (),
        context: Any = None,
        backend: BackendChoice = "auto",
        **given: Any,
    ) -> Any:
        x, own = self._input(x), _by_name(cell, context)
        used, shifts = _shifted(cell, x, state) if self.shifted else (cell, {})
        asked = _traced(cell, self.trace)
        more = {**own, **{f"shift_{key}": value for key, value in shifts.items()}}
        choice: BackendChoice = "auto" if shifts and backend == "torch" else backend
        y, last, traces = run_scan(
            used, params, x, state, context=more, trace=tuple(dict.fromkeys((*trace, *asked))), backend=choice, **given
        )
        start, masks = _started(state, last), given.get("masks") or {}
        lengths, reverse = _counts(given.get("lengths"), x), bool(given.get("reverse"))
        of_run = {key: traces[key] for key in asked}
        self.runs.append(Run(name, cell, params, x, start, lengths, reverse, own, masks, y, last, of_run, shifts))
        return (y, last, {key: traces[key] for key in trace}) if trace else (y, last)

    def _input(self, x: Tensor) -> Tensor:
        """The input, or a copy of it that a gradient flows to; both directions of a layer are given the same."""
        if not self.fresh or x.requires_grad:
            return x
        if id(x) not in self._inputs:
            self._inputs[id(x)] = (x, x.detach().requires_grad_())
        return self._inputs[id(x)][1]


def _several(module: nn.Module) -> bool:
    """Whether a layer is more than one run: what PyTorch's own layers and ours say in the same words."""
    assert isinstance(module.num_layers, int)
    return module.num_layers > 1 or bool(module.bidirectional)


def _counts(lengths: Any, x: Tensor) -> Tensor:
    return torch.full((len(x),), x.shape[1]) if lengths is None else torch.as_tensor(lengths).cpu()


def _started(state: Any, last: States) -> States:
    if state is None:
        return tuple(torch.zeros_like(value) for value in last)
    return (state,) if isinstance(state, Tensor) else tuple(state)


def _by_name(cell: Cell, context: Any) -> dict[str, Tensor]:
    return {cell.contexts[0].name: context} if isinstance(context, Tensor) else dict(context or {})


def _traced(cell: Cell, names: Sequence[str] | None) -> tuple[str, ...]:
    """Those of the names that a cell has, all of its equations for an empty list."""
    if names is None:
        return ()
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    own = [equation.name for equation in cell.equations if equation.name not in auxiliary]
    return tuple(name for name in own if name in names or not names)


def _shifted(cell: Cell, x: Tensor, state: Any) -> tuple[Cell, dict[str, Tensor]]:
    """The cell with a zero added to each state at every step, and the zeros."""
    if state is None:
        return cell, {}  # what is no sequence has no state to start with, and the scan says what is wrong
    used = perturbed_once(cell)
    given = (state,) if isinstance(state, Tensor) else state
    widths = {item.name: value.shape[-1] for item, value in zip(cell.states, given)}
    names = [item.name.removeprefix("shift_") for item in used.contexts[len(cell.contexts) :]]
    return used, {name: x.new_zeros(*x.shape[:2], widths[name], requires_grad=True) for name in names}


def captured(model: nn.Module, forward: Forward, **how: Any) -> tuple[Any, list[Run]]:
    """What ``forward`` returns, and every scan that ran inside ``model`` meanwhile; ``how`` as for `Capture`.

    Raises:
        InputError: nothing recurrent ran.
    """
    capture = Capture(model, **how)
    with watched(model, capture):
        result = forward()
    if not capture.runs:
        raise InputError(
            f"no recurrent layer of this {type(model).__name__} ran; give a function that calls it, as lambda: model(x)"
        )
    return result, capture.runs


def scalar(loss: Any) -> Tensor:
    """A loss that a gradient can be had of.

    Raises:
        InputError: it is not one number, or does not depend on anything that is learned.
    """
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        got = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(
            f"the function should return the loss, one number with a gradient, but returned {got}; sum or pick one"
        )
    return loss.reshape(())


def detached(run: Run) -> Run:
    """The run without its graph."""

    def free(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in values.items()}

    state = tuple(value.detach() for value in run.state)
    context, masks = free(run.context), free(run.masks)
    return replace(run, params=free(run.params), x=run.x.detach(), state=state, context=context, masks=masks)

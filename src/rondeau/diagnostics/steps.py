"""The steps of a run side by side: every step as a row of its own, so that each can be asked for its own derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rondeau.diagnostics.runs import Run, States, detached
from rondeau.engine import step
from rondeau.engine.eager.evaluation import evaluate, leaf
from rondeau.engine.eager.padding import reversed_within
from rondeau.engine.inputs.check import check_inputs
from rondeau.ir import Expr, Input
from rondeau.ir.nodes import postorder
from rondeau.ir.rewrite import primitive


class Steps:
    """The steps of a run in the order in which it took them, the states before each known.

    Each step is a row: the whole of them is one step of the cell over batch * time rows, whose derivative at every row the
    engine gives at once. Steps past a sequence's length stand still.
    """

    def __init__(self, run: Run) -> None:
        self.run = run = detached(run)
        self.cell, self.batch, self.time = run.cell, *run.x.shape[:2]
        self.alive = torch.arange(self.time, device=run.x.device) < run.lengths.to(run.x.device)[:, None]  # (batch, time)
        self.x = self._ordered(run.x)
        self.extras = {name: self._extra(name, value) for name, value in {**run.context, **run.masks}.items()}
        self.before = self._states()

    def _ordered(self, value: Tensor) -> Tensor:
        """A value of every step, from the first that is read to the last, zero past the end; both ways."""
        known = torch.where(self.alive[..., None], value, torch.zeros_like(value))
        return reversed_within(known, self.run.lengths) if self.run.reverse else known

    def in_time(self, value: Tensor) -> Tensor:
        """A value of every step, (batch, time, ...), in the order of time again."""
        flat = value.reshape(self.batch, self.time, -1)
        return self._ordered(flat).reshape(value.shape)

    def _input(self, name: str) -> Input:
        return next(item for item in self.cell.inputs if item.name == name)

    def _extra(self, name: str, value: Tensor) -> Tensor:
        if self._input(name).per == "step":
            return self._ordered(value)
        return value.unsqueeze(1).expand(-1, self.time, -1)

    def _given(self, at: int | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Contexts and masks of a step, or of all steps as rows."""
        found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for name, value in self.extras.items():
            of_step = value.reshape(-1, value.shape[-1]) if at is None else value[:, at]
            found[self._input(name).role == "mask"][name] = of_step
        return found

    @torch.no_grad()
    def _states(self) -> list[Tensor]:
        """Each state before every step, (batch, time, width)."""
        state, found = self.run.state, []
        for t in range(self.time):
            found.append(state)
            context, masks = self._given(t)
            _, after = step(self.cell, self.run.params, self.x[:, t], state, context=context, masks=masks)
            state = tuple(torch.where(self.alive[:, t, None], new, old) for new, old in zip(after, state))
        if not found:
            return [value.unsqueeze(1)[:, :0] for value in state]
        return [torch.stack(values, 1) for values in zip(*found)]

    @torch.no_grad()
    def values(self, exprs: Sequence[Expr]) -> list[Tensor]:
        """What expressions of the cell are at every step, each (batch, time, width), in the order of the steps."""
        whole = {name: value if self._input(name).per == "step" else value[:, 0] for name, value in self.extras.items()}
        masks = {name: value for name, value in whole.items() if name in self.run.masks}
        context = {name: value for name, value in whole.items() if name not in masks}
        inputs = check_inputs(self.cell, self.run.params, self.x, self.run.state, context=context, masks=masks)
        program = primitive(exprs)
        known = {item.symbol: value for item, value in zip(self.cell.states, self.before)}
        for expr in postorder([program[expr] for expr in exprs]):
            if expr not in known:
                args = [known[arg] for arg in expr.args]
                known[expr] = evaluate(expr, args, inputs.sizes) if args else leaf(expr, inputs)
        widths = [expr.width.bind(inputs.sizes) for expr in exprs]
        return [known[program[e]].expand(self.batch, self.time, width) for e, width in zip(exprs, widths)]

    def rows(self) -> Rows:
        """All steps as rows, with what their derivatives are had from."""
        count = self.batch * self.time
        before = tuple(value.reshape(count, -1).requires_grad_() for value in self.before)
        params = {name: value.clone().requires_grad_() for name, value in self.run.params.items()}
        x = self.x.reshape(count, -1).clone().requires_grad_()
        context, masks = self._given(None)
        y, after = step(self.cell, params, x, before, context=context, masks=masks)
        return Rows(x, before, params, y, after)


class Rows:
    """One step of a cell over rows, and its derivative."""

    def __init__(self, x: Tensor, before: States, params: Mapping[str, Tensor], y: Tensor, after: States) -> None:
        self.x, self.before, self.params, self.y, self.after = x, before, params, y, after

    def pull(self, y: Tensor | None, after: Sequence[Tensor | None], params: bool = True) -> tuple[States, dict[str, Tensor]]:
        """The gradients of the states before and of the parameters, summed over rows, for those of what a step hands out.

        Args:
            y: of the output, (rows, width), or None for zero.
            after: of each state after the step.
            params: whether those of the parameters are wanted.
        """
        pairs = [(out, g) for out, g in zip((self.y, *self.after), (y, *after)) if g is not None and out.requires_grad]
        wanted = [*self.before, *(self.params.values() if params else ())]
        if not pairs:
            return tuple(map(torch.zeros_like, self.before)), {name: torch.zeros_like(p) for name, p in self.params.items()}
        outputs, cotangents = [out for out, _ in pairs], [g for _, g in pairs]
        found = torch.autograd.grad(outputs, wanted, cotangents, retain_graph=True, allow_unused=True)
        full = [torch.zeros_like(tensor) if g is None else g for tensor, g in zip(wanted, found)]
        n = len(self.before)
        return tuple(full[:n]), dict(zip(self.params, full[n:]))

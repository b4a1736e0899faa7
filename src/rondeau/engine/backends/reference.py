"""The reference backend: the equations step by step in plain torch. It is the truth that the others are compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rondeau.engine.eager.evaluation import evaluate, leaf
from rondeau.engine.eager.padding import alive, reversed_within
from rondeau.engine.inputs.scan_inputs import Result, ScanInputs, States
from rondeau.ir.analysis import depends_on
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.rewrite import primitive


def refusal(inputs: ScanInputs) -> str | None:
    """None: the reference runs everything."""
    return None


def run(inputs: ScanInputs) -> Result:
    """The output (batch, time, width), the last states, and the traced values by name."""
    cell = inputs.cell
    traced = {name: cell.value(name) for name in inputs.trace}
    program = primitive([*cell.roots, *traced.values()])
    wanted = [program[expr] for expr in (cell.output, *traced.values())]
    following = [program[expr] for expr in cell.next]
    frame = _Frame(inputs, [*wanted, *following])
    rows, state = frame.walk(wanted, following)
    columns = [_stacked(inputs, expr, [row[i] for row in rows]) for i, expr in enumerate(wanted)]
    # copies: the last states may be what a derivative needs, or the states given, and their owner may change them in place
    return columns[0], tuple(value.clone() for value in state), dict(zip(traced, columns[1:]))


def _stacked(inputs: ScanInputs, expr: Expr, steps: list[Tensor]) -> Tensor:
    if not steps:
        return inputs.x.new_zeros(inputs.batch, 0, expr.width.bind(inputs.sizes))
    value = torch.stack(steps, 1)
    if inputs.lengths is None:
        return value.flip(1) if inputs.reverse else value
    return reversed_within(value, inputs.lengths) if inputs.reverse else value


class _Frame:
    """The values of one run. What does not depend on a state is computed once, for all steps together."""

    def __init__(self, inputs: ScanInputs, roots: list[Expr]) -> None:
        self.inputs = inputs
        self.moving = depends_on(roots, "state")
        order = postorder(roots)
        self.still = dict(self._leaves(order))
        for expr in order:
            if expr not in self.moving and expr not in self.still:
                self.still[expr] = evaluate(expr, [self.still[arg] for arg in expr.args], inputs.sizes)
        self.steps = [expr for expr in order if expr in self.moving and expr.op != "state"]

    def _leaves(self, order: list[Expr]) -> list[tuple[Expr, Tensor]]:
        return [(expr, leaf(expr, self.inputs)) for expr in order if not expr.args and expr.op != "state"]

    def walk(self, wanted: list[Expr], following: list[Expr]) -> tuple[list[list[Tensor]], States]:
        inputs = self.inputs
        state, rows = inputs.state, []
        used = {arg for expr in self.steps for arg in expr.args} | {*wanted, *following}
        fixed = {expr: value for expr, value in self.still.items() if expr in used and value.dim() < 3}
        fixed |= {e: v[:, 0] for e, v in self.still.items() if e in used and v.dim() == 3 and v.shape[1] == 1 != inputs.time}
        sliced = {e: v.unbind(1) for e, v in self.still.items() if e in used and e not in fixed}
        live = None if inputs.lengths is None else alive(inputs.lengths, inputs.time, inputs.x)
        for t in range(inputs.time):
            before = state if inputs.clip is None else tuple(_Clipped.apply(value, inputs.clip) for value in state)
            values = {item.symbol: value for item, value in zip(inputs.cell.states, before)}
            values |= fixed | {expr: steps[t] for expr, steps in sliced.items()}
            for expr in self.steps:
                values[expr] = evaluate(expr, [values[arg] for arg in expr.args], inputs.sizes)
            row = [self._wide(values[expr], expr.width.bind(inputs.sizes)) for expr in wanted]
            new = [self._wide(values[expr], old.shape[-1]) for expr, old in zip(following, state)]
            if live is not None:
                row = [torch.where(live[t], value, torch.zeros_like(value)) for value in row]
                new = [torch.where(live[t], value, old) for value, old in zip(new, state)]  # past its end nothing is clipped
            state = tuple(new)
            rows.append(row)
        return rows, state

    def _wide(self, value: Tensor, width: int) -> Tensor:
        return value.expand(self.inputs.batch, width)


class _Clipped(torch.autograd.Function):
    """The identity, whose gradient is bounded element by element."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, bound: float) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.bound = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.clamp(-ctx.bound, ctx.bound), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return tangent.view_as(tangent)

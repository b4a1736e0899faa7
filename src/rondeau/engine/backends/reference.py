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
    outputs = [program[expr] for expr in (cell.output, *traced.values())]
    steps, state = _Unrolled(inputs, outputs, [program[expr] for expr in cell.next]).run()
    y, *traces = (_stacked(inputs, expr, [step[i] for step in steps]) for i, expr in enumerate(outputs))
    # copies: the last states may be what a derivative needs, or the states given, and their owner may change them in place
    return y, tuple(value.clone() for value in state), dict(zip(traced, traces))


def _stacked(inputs: ScanInputs, expr: Expr, steps: list[Tensor]) -> Tensor:
    if not steps:
        return inputs.x.new_zeros(inputs.batch, 0, expr.width.bind(inputs.sizes))
    value = torch.stack(steps, 1)
    if inputs.lengths is None:
        return value.flip(1) if inputs.reverse else value
    return reversed_within(value, inputs.lengths) if inputs.reverse else value


class _Unrolled:
    """A run, step after step. What does not depend on a state is computed once, for all steps together."""

    def __init__(self, inputs: ScanInputs, outputs: list[Expr], following: list[Expr]) -> None:
        self.inputs, self.outputs, self.following = inputs, outputs, following
        order = postorder([*outputs, *following])
        recurrent = depends_on([*outputs, *following], "state")
        self.once = {expr: leaf(expr, inputs) for expr in order if not expr.args and expr.op != "state"}
        for expr in order:
            if expr not in recurrent and expr not in self.once:
                self.once[expr] = evaluate(expr, [self.once[arg] for arg in expr.args], inputs.sizes)
        self.each = [expr for expr in order if expr in recurrent and expr.op != "state"]

    def run(self) -> tuple[list[list[Tensor]], States]:
        """The outputs of every step, each (batch, width), and the last states."""
        inputs, state, steps = self.inputs, self.inputs.state, []
        fixed, sliced = self._given()
        running = None if inputs.lengths is None else alive(inputs.lengths, inputs.time, inputs.x)
        for t in range(inputs.time):
            before = state if inputs.clip is None else tuple(_Clipped.apply(value, inputs.clip) for value in state)
            outputs, after = self._step({**fixed, **{expr: values[t] for expr, values in sliced.items()}}, before)
            if running is not None:
                outputs = [torch.where(running[t], value, torch.zeros_like(value)) for value in outputs]
                after = [torch.where(running[t], value, old) for value, old in zip(after, state)]  # past its end: not clipped
            state = tuple(after)
            steps.append(outputs)
        return steps, state

    def _given(self) -> tuple[dict[Expr, Tensor], dict[Expr, tuple[Tensor, ...]]]:
        """What a step reads of the values computed once: those that stay the same, and those of each step."""
        used = {arg for expr in self.each for arg in expr.args} | {*self.outputs, *self.following}
        known = {expr: value for expr, value in self.once.items() if expr in used}
        fixed = {expr: value for expr, value in known.items() if value.dim() < 3}
        fixed |= {e: v[:, 0] for e, v in known.items() if v.dim() == 3 and v.shape[1] == 1 != self.inputs.time}
        return fixed, {expr: value.unbind(1) for expr, value in known.items() if expr not in fixed}

    def _step(self, values: dict[Expr, Tensor], state: States) -> tuple[list[Tensor], list[Tensor]]:
        sizes, batch = self.inputs.sizes, self.inputs.batch
        values |= {item.symbol: value for item, value in zip(self.inputs.cell.states, state)}
        for expr in self.each:
            values[expr] = evaluate(expr, [values[arg] for arg in expr.args], sizes)
        outputs = [values[expr].expand(batch, expr.width.bind(sizes)) for expr in self.outputs]
        return outputs, [values[expr].expand(batch, old.shape[-1]) for expr, old in zip(self.following, state)]


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

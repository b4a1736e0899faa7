"""The reference backend: the equations step by step in plain torch. It is the truth that the others are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.eager.padding import alive, reversed_within
from rondeau.engine.scan_inputs import Problem, States
from rondeau.ir.expressions import Expr, postorder
from rondeau.ir.ops import OPS
from rondeau.ir.rewrite import primitive

Result = tuple[Tensor, States, dict[str, Tensor]]


def run(problem: Problem) -> Result:
    """The output (batch, time, width), the last states, and the traced values by name."""
    cell = problem.cell
    traced = {name: cell.value(name) for name in problem.trace}
    program = primitive([*cell.roots, *traced.values()])
    wanted = [program[expr] for expr in (cell.output, *traced.values())]
    following = [program[expr] for expr in cell.next]
    frame = _Frame(problem, [*wanted, *following])
    rows, state = frame.walk(wanted, following)
    columns = [_stacked(problem, expr, [row[i] for row in rows]) for i, expr in enumerate(wanted)]
    # copies: the last states may be what a derivative needs, or the states given, and their owner may change them in place
    return columns[0], tuple(value.clone() for value in state), dict(zip(traced, columns[1:]))


def _stacked(problem: Problem, expr: Expr, steps: list[Tensor]) -> Tensor:
    if not steps:
        return problem.x.new_zeros(problem.batch, 0, expr.width.bind(problem.sizes))
    value = torch.stack(steps, 1)
    if problem.lengths is None:
        return value.flip(1) if problem.reverse else value
    return reversed_within(value, problem.lengths) if problem.reverse else value


class _Frame:
    """The values of one run. What does not depend on a state is computed once, for all steps together."""

    def __init__(self, problem: Problem, roots: list[Expr]) -> None:
        self.problem = problem
        self.moving = _depends_on(roots, "state")
        order = postorder(roots)
        self.still = dict(self._leaves(order))
        for expr in order:
            if expr not in self.moving and expr not in self.still:
                self.still[expr] = evaluate(expr, [self.still[arg] for arg in expr.args], problem.sizes)
        self.steps = [expr for expr in order if expr in self.moving and expr.op != "state"]

    def _leaves(self, order: list[Expr]) -> list[tuple[Expr, Tensor]]:
        return [(expr, leaf(expr, self.problem)) for expr in order if not expr.args and expr.op != "state"]

    def walk(self, wanted: list[Expr], following: list[Expr]) -> tuple[list[list[Tensor]], States]:
        problem = self.problem
        state, rows = problem.state, []
        used = {arg for expr in self.steps for arg in expr.args} | {*wanted, *following}
        fixed = {expr: value for expr, value in self.still.items() if expr in used and value.dim() < 3}
        fixed |= {e: v[:, 0] for e, v in self.still.items() if e in used and v.dim() == 3 and v.shape[1] == 1 != problem.time}
        sliced = {e: v.unbind(1) for e, v in self.still.items() if e in used and e not in fixed}
        live = None if problem.lengths is None else alive(problem.lengths, problem.time, problem.x)
        for t in range(problem.time):
            before = state if problem.clip is None else tuple(_Clipped.apply(value, problem.clip) for value in state)
            values = {item.symbol: value for item, value in zip(problem.cell.states, before)}
            values |= fixed | {expr: steps[t] for expr, steps in sliced.items()}
            for expr in self.steps:
                values[expr] = evaluate(expr, [values[arg] for arg in expr.args], problem.sizes)
            row = [self._wide(values[expr], expr.width.bind(problem.sizes)) for expr in wanted]
            new = [self._wide(values[expr], old.shape[-1]) for expr, old in zip(following, state)]
            if live is not None:
                row = [torch.where(live[t], value, torch.zeros_like(value)) for value in row]
                new = [torch.where(live[t], value, old) for value, old in zip(new, state)]  # past its end nothing is clipped
            state = tuple(new)
            rows.append(row)
        return rows, state

    def _wide(self, value: Tensor, width: int) -> Tensor:
        return value.expand(self.problem.batch, width)


def leaf(expr: Expr, problem: Problem) -> Tensor:
    """The value of a leaf that is not a state: parameters (rows[, columns]), inputs (batch, time or 1, width), numbers (1,)."""
    if expr.op == "input":
        return _input(expr, problem)
    if expr.op in ("constant", "size"):
        number = expr.attrs[0] if expr.op == "constant" else expr.attrs[0].bind(problem.sizes)
        return problem.x.new_full((1,), float(number))
    item = problem.cell.parameter(expr.attrs[0])
    rows = item.rows.bind(problem.sizes)
    first = item.gates.index(expr.attrs[1]) * rows
    block = problem.params[item.name][first : first + rows]
    if expr.op == "vector":
        return block
    start = expr.attrs[2].bind(problem.sizes)
    return block[:, start : start + expr.attrs[3].bind(problem.sizes)]


def _input(expr: Expr, problem: Problem) -> Tensor:
    item = next(item for item in problem.cell.inputs if item.symbol is expr)
    if item.role == "mask" and item.name not in problem.extras:
        return problem.x.new_full((1,), item.expected).expand(item.width.bind(problem.sizes))
    value = problem.x if item.role == "input" else problem.extras[item.name]
    if item.per == "sequence":
        return value.unsqueeze(1)
    if not problem.reverse:
        return value
    return value.flip(1) if problem.lengths is None else reversed_within(value, problem.lengths)


def evaluate(expr: Expr, args: list[Tensor], sizes: Mapping[str, int]) -> Tensor:
    """The value of a primitive node from the values of its arguments."""
    bound = tuple(width.bind(sizes) for width in expr.attrs)
    return _function(expr.op, len(args), bound)(*args)


@lru_cache(maxsize=1024)
def _function(op: str, arity: int, bound: tuple[int, ...]) -> Callable[..., Any]:
    """The torch spelling of a row of the op table as a function of its arguments."""
    names = [f"a{i}" for i in range(arity)] if op == "concat" else ["a", "b", "c"][:arity]
    settings = dict(zip({"spread": ("width",), "slice": ("start", "stop")}.get(op, ()), bound))
    text = OPS[op].torch.format(args=f"joined({', '.join(names)})", **settings)
    return eval(f"lambda {', '.join(names)}: {text}", {"torch": torch, "joined": _joined})


def _joined(*values: Tensor) -> list[Tensor]:
    """The values with their leading dimensions made equal, as torch.cat needs them."""
    lead = torch.broadcast_shapes(*(value.shape[:-1] for value in values))
    return [value.expand(*lead, value.shape[-1]) for value in values]


def _depends_on(roots: list[Expr], op: str) -> set[Expr]:
    found: set[Expr] = set()
    for expr in postorder(roots):
        if expr.op == op or any(arg in found for arg in expr.args):
            found.add(expr)
    return found


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

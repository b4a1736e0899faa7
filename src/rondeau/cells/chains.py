"""`chain`: layers one above another as one cell, so that the step of a whole network is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rondeau.ir import Cell, Expr, Parameter, State, Width, filled, glorot, verify
from rondeau.ir.expressions import apply, constant, node
from rondeau.ir.rewrite import rewrite
from rondeau.ir.step import Equation


def chain(layers: Sequence[tuple[Cell, Mapping[str, int]]], outputs: int | None = None) -> Cell:
    """The cells one above another, each reading the output of the one below; masks stand at their means.

    Args:
        layers: each cell with its sizes; numbers take the place of its named sizes.
        outputs: the width of a linear map ``V y + v`` on top, if there is to be one.

    Returns:
        A cell whose states and parameters are those of the layers in order, layer ``i``'s with ``i`` behind the name.

    Example:
        >>> from rondeau.cells import gru, lstm
        >>> sizes = {"input": 3, "hidden": 4}
        >>> two = chain([(lstm(), sizes), (gru(), {**sizes, "input": 4})], outputs=2)
        >>> [s.name for s in two.states], two.output.width
        (['h0', 'c0', 'h1'], Width(terms=(('', Fraction(2, 1)),)))
    """
    whole = _bound(*layers[0], 0, None)
    for i, (cell, sizes) in enumerate(layers[1:], 1):
        upper = _bound(cell, sizes, i, whole.output)
        whole = replace(
            whole,
            name=f"{whole.name}, {cell.name}",
            states=(*whole.states, *upper.states),
            parameters=(*whole.parameters, *upper.parameters),
            equations=(*whole.equations, *upper.equations),
            output=upper.output,
            next=(*whole.next, *upper.next),
        )
    if outputs is not None:
        V = Parameter("V", ("",), Width.of(outputs), whole.output.width, glorot(), "weight")
        v = Parameter("v", ("",), V.rows, None, filled(0.0), "bias")
        mapped = apply("matmul", V.block(), whole.output) + v.block()
        whole = replace(whole, parameters=(*whole.parameters, V, v), output=mapped)
    return verify(whole)


def _bound(cell: Cell, sizes: Mapping[str, int], index: int, x: Expr | None) -> Cell:
    """The cell with numbers for widths, ``index`` behind its names, and ``x`` for what it reads."""

    def number(width: Width) -> Width:
        return Width.of(width.bind(sizes))

    lines = {s.name: _line(s, index) for s in cell.states if s.role == "past"}

    def rule(expr: Expr) -> Expr | None:
        if expr.op == "size":
            return constant(expr.attrs[0].bind(sizes))
        if expr.op == "input":
            item = next(item for item in cell.inputs if item.name == expr.attrs[0])
            if item.role == "mask":
                return constant(item.expected)
            if item is cell.input and x is not None:
                return x
        attrs = tuple(number(a) if isinstance(a, Width) else a for a in expr.attrs)
        if expr.op in ("state", "vector", "matrix"):
            attrs = (lines.get(str(attrs[0]), f"{attrs[0]}{index}"), *attrs[1:])
        return node(expr.op, expr.args, attrs, number(expr.width))

    new = rewrite([*(e.expr for e in cell.equations), *cell.roots], rule)
    columns = [None if p.columns is None else number(p.columns) for p in cell.parameters]
    return replace(
        cell,
        inputs=tuple(replace(item, width=number(item.width)) for item in cell.inputs if item.role != "mask"),
        states=tuple(replace(s, name=lines.get(s.name, f"{s.name}{index}"), width=number(s.width)) for s in cell.states),
        parameters=tuple(
            replace(p, name=f"{p.name}{index}", rows=number(p.rows), columns=c) for p, c in zip(cell.parameters, columns)
        ),
        equations=tuple(Equation(f"{e.name}{index}", new[e.expr]) for e in cell.equations),
        output=new[cell.output],
        next=tuple(new[expr] for expr in cell.next),
    )


def _line(state: State, index: int) -> str:
    """The name of a delay line: that of its state in the chain, and the lag."""
    owner, _, lag = state.name.rpartition("_past")
    return f"{owner}{index}_past{lag}"

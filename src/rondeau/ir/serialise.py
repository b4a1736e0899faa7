"""A cell as JSON: the graph as a list of nodes, the declarations beside it. No pickle, so reading one runs no code."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from rondeau.errors import CellError
from rondeau.ir.cell import Cell, Equation
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import Expr, node, postorder
from rondeau.ir.initial import Initial
from rondeau.ir.source import Source
from rondeau.ir.verify import verify
from rondeau.ir.widths import Width

FORMAT = 1


def to_json(cell: Cell) -> str:
    """The cell as JSON text; equal cells give equal text."""
    order = postorder([*(equation.expr for equation in cell.equations), *cell.roots])
    place = {expr: index for index, expr in enumerate(order)}
    body = {
        "format": FORMAT,
        "name": cell.name,
        "inputs": [[i.name, _width(i.width), i.role, i.per, i.probability, i.scale] for i in cell.inputs],
        "states": [[s.name, _width(s.width), s.role] for s in cell.states],
        "parameters": [_parameter(p) for p in cell.parameters],
        "nodes": [[e.op, [place[a] for a in e.args], [_attr(a) for a in e.attrs], _width(e.width)] for e in order],
        "equations": [[equation.name, place[equation.expr]] for equation in cell.equations],
        "output": place[cell.output],
        "next": [place[expr] for expr in cell.next],
        "source": {k: v for k, v in vars(cell.source).items() if v},
        "doc": cell.doc,
    }
    return json.dumps(body, ensure_ascii=False)


def from_json(text: str) -> Cell:
    """The cell that `to_json` wrote, verified.

    Raises:
        CellError: the text is not a cell, or one of a newer format.
    """
    try:
        body = json.loads(text)
        version = body["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise CellError("this text is not a cell in JSON; write one with cell.to_json()") from error
    if version != FORMAT:
        raise CellError(f"this cell has format {version}, but this version reads format {FORMAT}; update rondeau")
    try:
        return verify(_cell(body))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CellError(f"this JSON of a cell is damaged ({error}); write it again with cell.to_json()") from error


def _cell(body: dict[str, Any]) -> Cell:
    nodes: list[Expr] = []
    for op, args, attrs, width in body["nodes"]:
        nodes.append(node(op, tuple(nodes[i] for i in args), tuple(_read_attr(a) for a in attrs), _read_width(width)))
    return Cell(
        name=body["name"],
        inputs=tuple(Input(n, _read_width(w), role, per, p, s) for n, w, role, per, p, s in body["inputs"]),
        states=tuple(State(n, _read_width(w), role) for n, w, role in body["states"]),
        parameters=tuple(_read_parameter(item) for item in body["parameters"]),
        equations=tuple(Equation(name, nodes[index]) for name, index in body["equations"]),
        output=nodes[body["output"]],
        next=tuple(nodes[index] for index in body["next"]),
        source=Source(**body["source"]),
        doc=body["doc"],
    )


def _width(width: Width) -> list[list[Any]]:
    return [[name, str(factor)] for name, factor in width.terms]


def _read_width(terms: list[list[str]]) -> Width:
    return Width(tuple((name, Fraction(factor)) for name, factor in terms))


def _attr(value: Any) -> Any:
    return {"width": _width(value)} if isinstance(value, Width) else value


def _read_attr(value: Any) -> Any:
    return _read_width(value["width"]) if isinstance(value, dict) else value


def _initial(init: Initial) -> list[Any]:
    return [init.kind, list(init.numbers), [[gate, _initial(value)] for gate, value in init.gates]]


def _read_initial(item: list[Any]) -> Initial:
    return Initial(item[0], tuple(item[1]), tuple((gate, _read_initial(value)) for gate, value in item[2]))


def _parameter(p: Parameter) -> list[Any]:
    columns = None if p.columns is None else _width(p.columns)
    return [p.name, list(p.gates), _width(p.rows), columns, _initial(p.init), p.role]


def _read_parameter(item: list[Any]) -> Parameter:
    name, gates, rows, columns, init, role = item
    read = None if columns is None else _read_width(columns)
    return Parameter(name, tuple(gates), _read_width(rows), read, _read_initial(init), role)

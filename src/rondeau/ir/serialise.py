"""A cell as JSON: the graph as a list of nodes, the declarations beside it. No pickle, so reading one runs no code.

What is read may come from anybody: every node is built by the constructors that check an author's own equations, and the cell
that comes of it must be the very one that the text describes.
"""

from __future__ import annotations

import json
from dataclasses import fields as fields_of
from typing import Any, get_args

from rondeau.errors import CellError
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input, InputRole, Parameter, ParameterRole, Period, State, StateRole
from rondeau.ir.expressions import Expr, build, constant, node
from rondeau.ir.initial import MOST_VALUES, Initial
from rondeau.ir.nodes import postorder
from rondeau.ir.reading import MOST_TEXT, damaged, fields, index, items, name, number, one_of, parsed, row, string, width
from rondeau.ir.source import Source
from rondeau.ir.step import Equation
from rondeau.ir.verification import MOST_DECLARED, MOST_GATES, MOST_NODES, verify
from rondeau.ir.widths import ONE, Width

FORMAT = 1
NAMES = ("format", "name", "inputs", "states", "parameters", "nodes", "equations", "output", "next", "source", "doc")


def to_json(cell: Cell) -> str:
    """The cell as JSON text; equal cells give equal text.

    Raises:
        CellError: the cell is too large to be stored, or holds text that cannot be written.
    """
    text = json.dumps(_body(cell), ensure_ascii=False)
    if len(text) > MOST_TEXT:
        raise CellError(f"the cell {cell.name} takes {len(text):,} characters in JSON; {MOST_TEXT:,} are the most")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise CellError(f"the cell {cell.name} holds a letter that cannot be written; change its name, source or documentation")
    return text


def from_json(text: str) -> Cell:
    """The cell that `to_json` wrote, verified.

    Raises:
        CellError: the text is not a cell, or one of a newer format.
    """
    body = parsed(text)
    version = body.get("format") if isinstance(body, dict) else None
    if version is None:
        raise CellError("this text is not a cell in JSON; write one with rondeau.ir.to_json(cell)")
    if version is not True and version != FORMAT:
        raise CellError(f"this cell has the format {str(version)[:20]}, but this version reads format {FORMAT}; update rondeau")
    cell = verify(_cell(fields(body, "the cell", NAMES)))
    written = json.loads(to_json(cell))
    for part in NAMES:
        if not _same_text(body[part], written[part]):
            damaged(part, body[part], "what a cell of these equations has there")
    return cell


def _same_text(first: object, second: object) -> bool:
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


# writing


def _body(cell: Cell) -> dict[str, Any]:
    order = postorder([*(equation.expr for equation in cell.equations), *cell.roots])
    place = {expr: index for index, expr in enumerate(order)}
    return {
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


def _width(value: Width) -> list[list[Any]]:
    return [[size, str(factor)] for size, factor in value.terms]


def _attr(value: Any) -> Any:
    return {"width": _width(value)} if isinstance(value, Width) else value


def _initial(init: Initial) -> list[Any]:
    gates = [[gate, _initial(value)] for gate, value in init.gates]
    return [init.kind, list(init.numbers), gates, *([list(init.shape)] if init.shape else [])]


def _parameter(p: Parameter) -> list[Any]:
    columns = None if p.columns is None else _width(p.columns)
    return [p.name, list(p.gates), _width(p.rows), columns, _initial(p.init), p.role]


# reading


def _cell(body: dict[str, Any]) -> Cell:
    inputs = tuple(map(_read_input, items(body["inputs"], "inputs", MOST_DECLARED)))
    states = tuple(map(_read_state, items(body["states"], "states", MOST_DECLARED)))
    parameters = tuple(map(_read_parameter, items(body["parameters"], "parameters", MOST_DECLARED)))
    nodes = _read_nodes(body["nodes"], inputs, states, parameters)
    equations = [row(item, "an equation", 2) for item in items(body["equations"], "equations", MOST_NODES)]
    return Cell(
        name=string(body["name"], "the name"),
        inputs=inputs,
        states=states,
        parameters=parameters,
        equations=tuple(Equation(name(label, "an equation"), nodes[index(at, label, len(nodes))]) for label, at in equations),
        output=nodes[index(body["output"], "the output", len(nodes))],
        next=tuple(nodes[index(at, "a next state", len(nodes))] for at in items(body["next"], "next", MOST_DECLARED)),
        source=_read_source(body["source"]),
        doc=string(body["doc"], "the documentation"),
    )


def _read_input(item: object) -> Input:
    label, wide, role, per, probability, scale = row(item, "an input", 6)
    numbers = number(probability, "a probability"), number(scale, "a scale")
    kind, period = one_of(role, "a role", get_args(InputRole)), one_of(per, "a period", get_args(Period))
    return Input(name(label, "an input"), width(wide, label), kind, period, *numbers)


def _read_state(item: object) -> State:
    label, wide, role = row(item, "a state", 3)
    return State(name(label, "a state"), width(wide, label), one_of(role, "a role", get_args(StateRole)))


def _read_parameter(item: object) -> Parameter:
    label, gates, rows, columns, init, role = row(item, "a parameter", 6)
    named = tuple(name(gate, "a gate") for gate in items(gates, "gates", MOST_GATES))
    wide = None if columns is None else width(columns, "columns")
    start, kind = _read_initial(init), one_of(role, "a role", get_args(ParameterRole))
    return Parameter(name(label, "a parameter"), named, width(rows, "rows"), wide, start, kind)


def _read_initial(item: object, inner: bool = False) -> Initial:
    kind, numbers, gates, *shape = row(item, "a start", 4 if isinstance(item, list) and len(item) == 4 else 3)
    values = tuple(number(value, "a start") for value in items(numbers, "a start", MOST_VALUES))
    sizes = tuple(index(size, "a shape", 1 << 31) for size in items(shape[0], "a shape", 2)) if shape else ()
    pairs = [row(pair, "a start", 2) for pair in items(gates, "a start", 0 if inner else MOST_GATES)]
    others = tuple((name(gate, "a gate"), _read_initial(value, inner=True)) for gate, value in pairs)
    return Initial(string(kind, "a start"), values, others, sizes)


def _read_source(value: object) -> Source:
    known = [field.name for field in fields_of(Source)]
    given = fields(value, "the source", [key for key in known if isinstance(value, dict) and key in value])
    texts = {key: string(text, key) for key, text in given.items() if key != "year"}
    return Source(**texts, year=index(given.get("year", 0), "year", 10_000))


def _read_nodes(
    value: object, inputs: tuple[Input, ...], states: tuple[State, ...], parameters: tuple[Parameter, ...]
) -> list[Expr]:
    leaves: dict[tuple[str, str], Expr] = {("input", item.name): item.symbol for item in inputs}
    leaves |= {("state", item.name): item.symbol for item in states}
    packed = {item.name: item for item in parameters}
    nodes: list[Expr] = []
    for place, entry in enumerate(items(value, "nodes", MOST_NODES)):
        op, args, attrs, wide = row(entry, f"node {place}", 4)
        given = tuple(nodes[index(at, f"an argument of node {place}", place)] for at in items(args, "arguments", MOST_NODES))
        settings = items(attrs, "settings", 4)
        made = _leaf(string(op, "an op"), settings, leaves, packed) if not given else _branch(op, given, settings)
        if made.op != op or made.width != width(wide, f"the width of node {place}"):
            damaged(f"node {place}", entry, f"{made.op}, {made.width} wide, as it follows from what it is made of")
        nodes.append(made)
    return nodes


def _branch(op: object, given: tuple[Expr, ...], settings: list[Any]) -> Expr:
    widths = (fields(setting, "a setting", ("width",))["width"] for setting in settings)
    return build(string(op, "an op"), given, tuple(width(value, "a setting") for value in widths))


def _leaf(op: str, settings: list[Any], leaves: dict[tuple[str, str], Expr], packed: dict[str, Parameter]) -> Expr:
    first = settings[0] if settings else None
    if op == "constant":
        return constant(number(first, "a constant"))
    if op == "size":
        return node("size", (), (width(fields(first, "a size", ("width",))["width"], "a size"),), ONE)
    if op in ("vector", "matrix") and isinstance(first, str) and first in packed and len(settings) > 1:
        return packed[first].block(name(settings[1], "a gate"))
    if isinstance(first, str) and (op, first) in leaves:
        return leaves[op, first]
    damaged("a node", [op, settings], "something that the cell declares, or an operation on earlier nodes")

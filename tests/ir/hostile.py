"""Cells in JSON as a stranger might write them: hostile ones by hand, and random changes of a sound one.

`DOCUMENTS` are texts that are no sound cells; `changed` makes one of many changes of a sound text, of its letters or its tree.
`verdict` says what came of reading a text. Used by the tests and, at a larger count, by ``benchmarks/hostile_cells.py``.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from rondeau.cells import ALL
from rondeau.errors import CellError
from rondeau.ir import from_json, to_json

BODY: dict[str, Any] = json.loads(to_json(ALL["lstm"]))
LAGGED: dict[str, Any] = json.loads(to_json(ALL["lagged_rnn"]))
CLOCK: dict[str, Any] = json.loads(to_json(ALL["clockwork"]))
DROPOUT: dict[str, Any] = json.loads(to_json(ALL["dropout_lstm"]))


def edited(path: str, value: Any, body: dict[str, Any] = BODY) -> str:
    """A sound text with one part replaced; ``path`` is names and places with dots between."""
    whole = copy.deepcopy(body)
    part: Any = whole
    *way, last = [int(step) if step.lstrip("-").isdigit() else step for step in path.split(".")]
    for step in way:
        part = part[step]
    part[last] = value
    return json.dumps(whole)


def without(name: str) -> str:
    """A sound text that lacks a part."""
    return json.dumps({key: value for key, value in BODY.items() if key != name})


def first(op: str, body: dict[str, Any] = BODY) -> int:
    """The place of the first node of an op."""
    return next(place for place, node in enumerate(body["nodes"]) if node[0] == op)


def raw(old: str, new: str) -> str:
    """A sound text with one piece of its letters replaced."""
    text = json.dumps(BODY)
    assert old in text
    return text.replace(old, new, 1)


def elements(count: int, entry: str) -> str:
    """A list of so many entries."""
    return "[" + ",".join([entry] * count) + "]"


def ladder(count: int, named: bool = False) -> str:
    """A cell whose step doubles its state so many times; written out it would be two to that power long."""
    h = [["hidden", "1"]]
    nodes = [["state", [], ["h"], h], *(["add", [i, i], [], h] for i in range(count))]
    equations = [[f"h{i}", i] for i in range(1, count)] if named else []
    body = {
        "format": 1, "name": "ladder", "inputs": [["x", h, "input", "step", 1.0, 1.0]], "states": [["h", h, "state"]],
        "parameters": [], "nodes": nodes, "equations": [*equations, ["h", count]], "output": count, "next": [count],
        "source": {}, "doc": "",
    }  # fmt: skip
    return json.dumps(body)


def _documents() -> dict[str, str]:
    mul, matmul, matrix, state = first("mul"), first("matmul"), first("matrix"), first("state")
    inputs = BODY["inputs"][0]
    wide = BODY["nodes"][matmul]
    huge = "9" * 5000
    found = {
        # no JSON
        "nothing": "",
        "blank": "   ",
        "words": "not a cell",
        "half": json.dumps(BODY)[: len(json.dumps(BODY)) // 2],
        "two": json.dumps(BODY) * 2,
        "a list": "[]",
        "a number": "1",
        "nothing known": "{}",
        "null": "null",
        "true": "true",
        "only a format": '{"format": 1}',
        "later format": edited("format", 99),
        "no format": without("format"),
        "format as text": edited("format", "1"),
        "format as truth": edited("format", True),
        "format as part": edited("format", 1.5),
        "format huge": raw('"format": 1', f'"format": {huge}'),
        "a byte mark": "\ufeff" + json.dumps(BODY),
        "zero byte": "\0",
        "comments": "// a cell\n" + json.dumps(BODY),
        "single quotes": json.dumps(BODY).replace('"', "'"),
        "python": repr(BODY),
        "a name twice": raw('"format": 1', '"format": 1, "format": 1'),
        "a source twice": raw('"source": {', '"source": {"note": "", "note": "", '),
        "an unknown name": raw('"format": 1', '"format": 1, "more": 1'),
        # too much
        "deep lists": "[" * 100_000,
        "deep and closed": "[" * 100_000 + "]" * 100_000,
        "deep objects": '{"a":' * 100_000,
        "deep in a part": raw('"doc": ', '"doc": ' + "[" * 5000 + "]" * 5000 + ", "),
        "many lists": elements(600_000, "[]"),
        "many objects": elements(600_000, "{}"),
        "many numbers": elements(900_000, "1"),
        "long text": '"' + "a" * 3_000_000 + '"',
        "long documentation": edited("doc", "a" * 3_000_000),
        "long name": edited("states.0.0", "h" * 100_000),
        "a million gates": edited("parameters.0.1", [f"g{i}" for i in range(10**6)]),
        "many gates": edited("parameters.0.1", [f"g{i}" for i in range(5000)]),
        "many states": edited("states", [[f"h{i}", [["hidden", "1"]], "state"] for i in range(5000)]),
        "many nodes": edited("nodes", BODY["nodes"] + [BODY["nodes"][state]] * 50_000),
        "many terms": edited("states.0.1", [[f"s{i:05}", "1"] for i in range(20_000)]),
        "an equation of 2 to the 60": ladder(60),
        "an equation of 2 to the 5000": ladder(5000),
        "a cell of 9,999 steps": ladder(9_990),
        "10,001 operations": ladder(10_001, named=True),
        # numbers
        "infinite constant": raw('"step", 1.0', '"step", Infinity'),
        "NaN scale": edited("inputs.0.5", float("nan")),
        "minus infinity": edited("inputs.0.4", float("-inf")),
        "a float too large": raw('"step", 1.0', '"step", 1e999'),
        "a float too long": raw('"step", 1.0', '"step", 1.' + "0" * 10**6),
        "a whole number too long": raw('"output": ', f'"output": {huge}'),
        "a million digits": raw('"output": ', '"output": ' + "9" * 10**6),
        "a probability of 2": edited("inputs.1.4", 2.0, DROPOUT),
        "a probability below 0": edited("inputs.1.4", -0.5, DROPOUT),
        "an infinite mask": raw('"step", 1.0, 1.0', '"step", 1.0, 1e400'),
        "a truth as probability": edited("inputs.0.4", True),
        "a text as probability": edited("inputs.0.4", "1.0"),
        "a sequence that is scaled": edited("inputs.0.5", 2.0),
        # widths
        "a width of 1e999999999": edited("states.0.1", [["hidden", "1e999999999"]]),
        "a width of 1/0": edited("states.0.1", [["hidden", "1/0"]]),
        "a width below zero": edited("states.0.1", [["", "-4"]]),
        "a width of zero": edited("states.0.1", [["", "0"]]),
        "no width": edited("states.0.1", []),
        "half a feature": edited("states.0.1", [["", "1/2"]]),
        "a width of many digits": edited("states.0.1", [["", huge]]),
        "a width with a dot": edited("states.0.1", [["hidden", "1.5"]]),
        "a width as number": edited("states.0.1", [["hidden", 1]]),
        "a width as text": edited("states.0.1", "hidden"),
        "a width twice": edited("states.0.1", [["hidden", "1"], ["hidden", "1"]]),
        "a width out of order": edited("states.0.1", [["input", "1"], ["hidden", "1"]]),
        "a width that is no fraction": edited("states.0.1", [["hidden", "__import__('os')"]]),
        "a width with spaces": edited("states.0.1", [["hidden", " 1"]]),
        "a width with underscores": edited("states.0.1", [["", "1_0"]]),
        "a width in other digits": edited("states.0.1", [["", "\u0664"]]),
        "a reducible width": edited("states.0.1", [["hidden", "2/2"]]),
        "a size with a bad name": edited("states.0.1", [["a b", "1"]]),
        "null for a width": edited("states.0.1", None),
        "a product of a million rows": edited(f"nodes.{matmul}", [wide[0], wide[1], wide[2], [["", "1000000"]]]),
        "a product of 17 rows": edited(f"nodes.{matmul}", [wide[0], wide[1], wide[2], [["", "17"]]]),
        "a sum that is wider": edited(f"nodes.{mul}.3", [["hidden", "2"]]),
        "a matrix that is wider": edited(f"nodes.{matrix}.3", [["", "9"]]),
        "a matrix of more columns": edited(f"nodes.{matrix}.2.3", {"width": [["", "999"]]}),
        "a matrix that starts later": edited(f"nodes.{matrix}.2.2", {"width": [["", "3"]]}),
        "a state that is wider than declared": edited(f"nodes.{state}.3", [["hidden", "2"]]),
        "a size of nothing": edited(f"nodes.{state}.3", [["nothing", "1"]]),
        # nodes
        "an unknown op": edited(f"nodes.{mul}.0", "explode"),
        "an internal op": edited(f"nodes.{mul}.0", "products"),
        "a cotangent": edited(f"nodes.{state}", ["cotangent", [], [0], [["hidden", "1"]]]),
        "an op as number": edited(f"nodes.{mul}.0", 3),
        "an op as list": edited(f"nodes.{mul}.0", ["mul"]),
        "another op": edited(f"nodes.{matmul}.0", "mul"),
        "too few arguments": edited(f"nodes.{mul}.1", [0]),
        "too many arguments": edited(f"nodes.{mul}.1", BODY["nodes"][mul][1] * 2),
        "no arguments": edited(f"nodes.{mul}.1", []),
        "itself as argument": edited(f"nodes.{mul}.1", [mul, mul]),
        "a later node": edited(f"nodes.{mul}.1", [mul + 1, mul + 1]),
        "a circle": edited("nodes.0.1", [1]),
        "from the end": edited(f"nodes.{mul}.1", [-1, -1]),
        "a truth as argument": edited(f"nodes.{mul}.1", [True, False]),
        "a part as argument": edited(f"nodes.{mul}.1", [0.0, 1.0]),
        "a text as argument": edited(f"nodes.{mul}.1", ["0", "1"]),
        "a node as text": edited(f"nodes.{mul}", "mul"),
        "a node as object": edited(f"nodes.{mul}", {"op": "mul"}),
        "a short node": edited(f"nodes.{mul}", ["mul"]),
        "nodes as object": edited("nodes", {}),
        "no nodes": edited("nodes", []),
        "a node twice": edited("nodes", [*BODY["nodes"], BODY["nodes"][0]]),
        "nodes backward": edited("nodes", BODY["nodes"][::-1]),
        "settings of a sum": edited(f"nodes.{mul}.2", [{"width": []}]),
        "a state of another name": edited(f"nodes.{state}.2", ["q"]),
        "a state as number": edited(f"nodes.{state}.2", [7]),
        "a state with a lag": edited(f"nodes.{state}.2", ["h", "h", 2]),
        "a gate that is not": edited(f"nodes.{matrix}.2.1", "q"),
        "a product of vectors": edited(f"nodes.{matmul}.1", [state, state]),
        "a product the wrong way": edited(f"nodes.{matmul}.1", wide[1][::-1]),
        # declarations
        "no sequence": edited("inputs", []),
        "two sequences": edited("inputs", [inputs, ["z", *inputs[1:]]]),
        "a sequence once": edited("inputs.0.3", "sequence"),
        "an unknown period": edited("inputs.0.3", "day"),
        "an unknown role": edited("inputs.0.2", "output"),
        "a state's unknown role": edited("states.0.2", "exit"),
        "a counter that does not count": edited("states.0.2", "time"),
        "a delay line of nothing": edited("states.0.2", "past"),
        "a delay line of itself": edited("states.1.0", "h_past3", LAGGED),
        "a wrong role": edited("parameters.0.5", "bias"),
        "an unknown kind": edited("parameters.0.5", "secret"),
        "no columns": edited("parameters.0.3", None),
        "no gates": edited("parameters.0.1", []),
        "a gate twice": edited("parameters.0.1", ["i", "i", "g", "o"]),
        "a gate as number": edited("parameters.0.1", [1, 2, 3, 4]),
        "gates as text": edited("parameters.0.1", "ifgo"),
        "an idle parameter": edited(
            "parameters", [*BODY["parameters"], ["Q", [""], [["hidden", "1"]], None, ["zeros", [], []], "bias"]]
        ),
        "no parameters": edited("parameters", []),
        "a parameter too short": edited("parameters.0", ["W"]),
        "names twice": edited("parameters.0.0", "U"),
        "a state called as a weight": edited("states.0.0", "W"),
        "a name with a dot": edited("parameters.0.0", "a.b"),
        "a path as name": edited("parameters.0.0", "../../etc/passwd"),
        "an empty name": edited("states.0.0", ""),
        "a name with a line": edited("name", "a\nb"),
        "a name of nothing": edited("name", ""),
        "half a letter": raw('"name": "lstm"', '"name": "\\ud800"'),
        "a number as name": edited("name", 5),
        "null as name": edited("name", None),
        "a counter of two": edited(f"nodes.{first('constant', CLOCK)}.2", [2.5], CLOCK),
        # starts
        "an unknown start": edited("parameters.0.4", ["magic", [], []]),
        "a start without numbers": edited("parameters.0.4", ["uniform", [], []]),
        "a start with NaN": raw('"glorot", [1.0]', '"glorot", [NaN]'),
        "a start of many numbers": edited("parameters.0.4", ["values", [0.0] * 100_000, [], [100_000]]),
        "a start of a shape": edited("parameters.0.4", ["values", [0.0], [], [7]]),
        "a start deep within": edited("parameters.0.4", ["zeros", [], [["i", ["zeros", [], [["i", ["zeros", [], []]]]]]]]),
        "a start upside down": edited("parameters.0.4", ["uniform", [1.0, -1.0], []]),
        "a start below zero": edited("parameters.0.4", ["normal", [-1.0], []]),
        "a start of another gate": edited("parameters.0.4", ["zeros", [], [["q", ["zeros", [], []]]]]),
        "a start as text": edited("parameters.0.4", "zeros"),
        "a truth as start": edited("parameters.0.4", ["filled", [True], []]),
        "a start as object": edited("parameters.0.4", {}),
        # the rest
        "no output": without("output"),
        "no next": without("next"),
        "no equations": without("equations"),
        "no source": without("source"),
        "no documentation": without("doc"),
        "no nodes named": without("nodes"),
        "no inputs": without("inputs"),
        "an output beyond": edited("output", 10**6),
        "an output from the end": edited("output", -1),
        "a truth as output": edited("output", True),
        "an output as list": edited("output", [0]),
        "a weight as output": edited("output", matrix),
        "a weight as next": edited("next.0", matrix),
        "one next too few": edited("next", BODY["next"][:1]),
        "one next too many": edited("next", BODY["next"] * 2),
        "a next of another width": edited("next.0", first("input")),
        "next as number": edited("next", 1),
        "an equation twice": edited("equations", BODY["equations"] * 2),
        "an equation without place": edited("equations.0", ["i"]),
        "an equation beyond": edited("equations.0.1", 10**9),
        "an equation with spaces": edited("equations.0.0", "a b"),
        "a source as text": edited("source", "a paper"),
        "a source as list": edited("source", []),
        "a source with more": edited("source", {"note": "", "price": 3}),
        "a year as text": edited("source", {"year": "2014"}),
        "a year too late": edited("source", {"year": 10**9}),
        "an empty note": edited("source", {"note": ""}),
        "a note as number": edited("source", {"note": 3}),
        "documentation as list": edited("doc", []),
        "half a letter in the documentation": raw('"doc": "', '"doc": "\\udfff'),
        "half a letter in the source": edited("source", {"note": "\ud800"}),
    }
    return found


DOCUMENTS = _documents()


def verdict(text: str) -> str:
    """``refused``, ``same`` (what it says is what it is), or what went wrong."""
    try:
        cell = from_json(text)
    except CellError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 600 else f"a message of {len(str(error))} letters"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:200]
    written, given = json.loads(to_json(cell)), json.loads(text)
    exact = json.dumps(written, sort_keys=True) == json.dumps(given, sort_keys=True)
    return "same" if exact and from_json(to_json(cell)) == cell else "changed silently"


Tree = Any


def changed(text: str, pick: random.Random) -> str:
    """``text`` with a random change."""
    return pick.choice((_letters, _tree, _tree))(text, pick)


def _letters(text: str, pick: random.Random) -> str:
    data = bytearray(text.encode())
    at = pick.randrange(len(data))
    way = pick.randrange(5)
    if way == 0:
        data[at] = pick.randrange(256)
    elif way == 1:
        del data[at : at + pick.choice((1, 1, 2, 5, 30))]
    elif way == 2:
        data[at:at] = bytes(pick.choice((b'"', b"0", b",", b"[", b"]", b"{", b"e9", b"-", b"\\", b"\0", b"\xff", b"null")))
    elif way == 3:
        other = pick.randrange(len(data))
        data[at], data[other] = data[other], data[at]
    else:
        data = data[:at]
    return data.decode("utf-8", "surrogateescape")


def _tree(text: str, pick: random.Random) -> str:
    tree = json.loads(text)
    parts = list(_parts(tree))
    holder, key = pick.choice(parts)
    change: Callable[[Tree], Tree] = pick.choice(
        (
            lambda v: pick.choice((None, True, False, 0, 1, -1, 2, 10**9, 1.5, 1e300, "", "h", "x", "hidden", [], {}, [[]])),
            lambda v: v + pick.choice((-1, 1)) if isinstance(v, (int, float)) and not isinstance(v, bool) else v,
            lambda v: v[::-1] if isinstance(v, (list, str)) else v,
            lambda v: v[:-1] if isinstance(v, (list, str)) else v,
            lambda v: v + v if isinstance(v, (list, str)) else v,
            lambda v: copy.deepcopy(_at(pick.choice(parts))),
            lambda v: pick.choice(
                ("add", "sub", "mul", "tanh", "sigmoid", "where", "slice", "concat", "sum", "matmul_t", "input", "i", "f")
            ),
            lambda v: str(v) if not isinstance(v, (list, dict)) else v,
        )
    )
    holder[key] = change(holder[key])
    return json.dumps(tree)


def _at(part: tuple[Any, Any]) -> Tree:
    return part[0][part[1]]


def _parts(tree: Tree) -> list[tuple[Any, Any]]:
    """Every place in a tree, as what holds it and the name or number there."""
    found: list[tuple[Any, Any]] = []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found.append((tree, key))
        found += _parts(value)
    return found

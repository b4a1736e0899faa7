"""Expressions as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rondeau.ir.nodes import Node, postorder
from rondeau.ir.ops import OPS, Op

Names = Mapping[Any, str]
"""What nodes are called."""
ATOM, PART, COMPARISON = 9, 8, 1
BRIEF = 30
"""The operations of a part from which on a message leaves it out."""


def spell(expr: Node, names: Names | None = None, whole: bool = False) -> str:
    """One expression as text; those in ``names`` by name, with ``whole`` all but itself. Brackets stand only where needed.

    Example:
        >>> from rondeau.ir import State, Width
        >>> h = State("h", Width.of("hidden")).symbol
        >>> spell(h * (1 - h))
        'h[t-1] * (1 - h[t-1])'
    """
    return _spell(expr, names or {}, whole)[0]


def brief(expr: Node) -> str:
    """One expression as a line of bounded length, for messages: what is long in it is left out."""
    lengths: dict[Any, int] = {}
    for part in postorder([expr]):
        lengths[part] = min(1 + sum(lengths[arg] for arg in part.args), BRIEF)
    line = spell(expr, {part: "..." for part in lengths if lengths[part] >= BRIEF and part is not expr})
    return line if len(line) <= 8 * BRIEF else f"{line[: 4 * BRIEF]} ... {line[-2 * BRIEF :]}"


def _spell(expr: Node, names: Names, whole: bool = False) -> tuple[str, int]:
    """An expression as text, and how strongly that binds; the ``whole`` of it even where it has a name."""
    if expr in names and not whole:
        return names[expr], ATOM
    leaf = _leaf(expr)
    if leaf is not None:
        return leaf, ATOM
    if expr.op not in OPS:
        return " + ".join(_bracket(_spell(arg, names), 5) for arg in expr.args), 4
    row = OPS[expr.op]
    parts = [_spell(arg, names) for arg in expr.args]
    if expr.op == "slice":
        return f"{_bracket(parts[0], PART)}[{expr.attrs[0]}:{expr.attrs[1]}]", row.rank
    if row.rank == ATOM:
        texts = [text for text, _ in parts]
        return row.text.format(*texts, args=", ".join(texts)), ATOM
    return row.text.format(*map(_bracket, parts, needed(row))), row.rank


def needed(row: Op) -> tuple[int, ...]:
    """How strongly each operand of an op must bind to stand without brackets."""
    if row.kind == "product":
        return PART, PART
    chains = row.name in ("add", "mul", "and", "or")
    compares = row.rank == COMPARISON
    return row.rank + compares, row.rank + (not chains)


def _bracket(part: tuple[str, int], rank: int) -> str:
    text, own = part
    return text if own >= rank else f"({text})"


def _leaf(expr: Node) -> str | None:
    if expr.op == "cotangent":
        return f"d{expr.attrs[0]}"
    if expr.op == "input":
        return str(expr.attrs[0])
    if expr.op == "state":
        return f"{expr.attrs[0]}[t-1]"
    if expr.op in ("vector", "matrix"):
        return ".".join(filter(None, expr.attrs[:2]))
    if expr.op == "constant":
        return f"{expr.attrs[0]:g}" if expr.attrs[0] == float(f"{expr.attrs[0]:g}") else repr(expr.attrs[0])
    return f"size({expr.attrs[0]})" if expr.op == "size" else None

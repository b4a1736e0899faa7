"""A cell's parameters as a table, and its sources as BibTeX."""

from __future__ import annotations

from math import prod

from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Parameter
from rondeau.ir.initial import Initial
from rondeau.ir.printing import equations


def text(cell: Cell) -> str:
    """The cell's name, source and equations as plain text."""
    return equations(cell)


def bibtex(cell: Cell) -> str:
    """The BibTeX entry of the cell's source; a comment that says so when there is no publication."""
    return cell.source.bibtex or f"% {cell.name}: {cell.source.note or 'no publication'}"


def count(cell: Cell, **sizes: int) -> int:
    """How many elements the parameters have at the given sizes.

    Example:
        >>> from rondeau.cells import lstm
        >>> count(lstm(), input=3, hidden=5)
        180
    """
    return sum(prod(p.shape(sizes)) for p in cell.parameters)


def table(cell: Cell, **sizes: int) -> str:
    """The parameters: name, gates, role, shape, how many elements, how they start. Without sizes the shapes are in symbols.

    Example:
        >>> from rondeau.cells import elman
        >>> print(table(elman(), input=3, hidden=5))
        parameter  gates  role    shape  elements  starts
        W          -      weight  5 x 3        15  glorot 1
        U          -      weight  5 x 5        25  orthogonal 1
        b          -      bias    5             5  zeros
        total                                  45
    """
    rows: list[tuple[str, ...]] = [("parameter", "gates", "role", "shape", "elements", "starts")]
    rows += [_row(p, sizes) for p in cell.parameters]
    rows.append(("total", "", "", "", f"{count(cell, **sizes):,}" if sizes else "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = ("  ".join(f"{field:{'>' if i == 4 else '<'}{widths[i]}}" for i, field in enumerate(row)) for row in rows)
    return "\n".join(line.rstrip() for line in aligned)


def _row(p: Parameter, sizes: dict[str, int]) -> tuple[str, ...]:
    gates = " ".join(p.gates) or "-"
    rows = p.rows.scaled(len(p.gates))
    symbolic = [str(rows)] + ([] if p.columns is None else [str(p.columns)])
    shape = " x ".join(map(str, p.shape(sizes))) if sizes else " x ".join(symbolic)
    return p.name, gates, p.role, shape, f"{prod(p.shape(sizes)):,}" if sizes else "", _start(p.init)


def _start(init: Initial) -> str:
    base = "values" if init.shape else " ".join([init.kind, *(f"{number:g}" for number in init.numbers)])
    return base + "".join(f", {gate}: {_start(other)}" for gate, other in init.gates)

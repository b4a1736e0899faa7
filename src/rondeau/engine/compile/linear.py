"""Sums taken apart: their terms with signs, and whether a sum is linear in the sequence that the cell reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rondeau.ir.expressions import Expr

Term = tuple[bool, Expr]
"""Whether it is added (else subtracted), and what."""

SIGNS = {"add": (True, True), "sub": (True, False), "neg": (False,)}
"""The sums among the ops, with the sign of each argument."""


@dataclass(frozen=True, eq=False)
class Linear:
    """``matrices`` that each multiply the sequence, and ``constants``: one sum, all of whose terms are equally wide."""

    matrices: tuple[Expr, ...]
    constants: tuple[Term, ...]


def terms(expr: Expr, whole: Callable[[Expr], bool], plus: bool = True) -> Iterator[Term]:
    """The terms of a sum, those of the sums inside it too, but for inner sums that are to stay ``whole``."""
    if expr.op not in SIGNS:
        yield plus, expr
        return
    for arg, sign in zip(expr.args, SIGNS[expr.op]):
        if arg.op not in SIGNS or whole(arg):
            yield plus is sign, arg
        else:
            yield from terms(arg, whole, plus is sign)


def linear(expr: Expr, x: Expr, levels: Mapping[Expr, str]) -> Linear | None:
    """A sum of products of matrices with ``x`` and of constants, taken apart; None when there is anything else in it."""

    def whole(part: Expr) -> bool:
        return levels[part] == "constant" and any(term.width != expr.width for _, term in terms(part, lambda _: False))

    matrices: list[Expr] = []
    constants: list[Term] = []
    for plus, term in terms(expr, whole):
        if term.width != expr.width:
            return None
        if term.op == "matmul" and term.args[1] is x and plus:
            matrices.append(term.args[0])
        elif term is not expr and levels[term] == "constant":
            constants.append((plus, term))
        else:
            return None
    return Linear(tuple(matrices), tuple(constants)) if matrices else None

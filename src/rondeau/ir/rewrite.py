"""Rebuilding expressions: substitution, and expansion into primitive ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rondeau.ir.expressions import Expr, node
from rondeau.ir.nodes import postorder, same
from rondeau.ir.ops import OPS

Rule = Callable[[Expr], "Expr | None"]


def rewrite(roots: Iterable[Expr], rule: Rule, known: Iterable[Expr] = ()) -> dict[Expr, Expr]:
    """Every expression below ``roots`` mapped to its new form, from the leaves up; what is ``known`` stays, with all below it.

    ``rule`` sees each node with its arguments already rewritten and answers with a replacement, or None to keep it.
    """
    new: dict[Expr, Expr] = {expr: expr for expr in known}
    for expr in postorder(roots, new):
        args = tuple(new[arg] for arg in expr.args)
        kept = expr if same(args, expr.args) else node(expr.op, args, expr.attrs, expr.width)
        changed = rule(kept)
        new[expr] = kept if changed is None else changed
    return new


def primitive(roots: Iterable[Expr]) -> dict[Expr, Expr]:
    """Every expression below ``roots`` mapped to one of the same value that holds primitive ops only."""
    return rewrite(roots, _expand)


def _expand(expr: Expr) -> Expr | None:
    row = OPS.get(expr.op)
    if row is None or row.expand is None:
        return None
    return rewrite([result := row.expand(*expr.args)], _expand, expr.args)[result]  # its arguments are primitive already

"""`regroup`: the terms of sums in another order, so that what can leave the loop over time does, and products come together.

The internal op ``products`` is a sum of products that share an accumulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rondeau.engine.compile.levels import Level
from rondeau.engine.compile.linear import Term, terms
from rondeau.ir.expressions import Expr, node
from rondeau.ir.nodes import postorder, same
from rondeau.ir.widths import Width


def regroup(roots: Iterable[Expr], levels: Mapping[Expr, Level]) -> dict[Expr, Expr]:
    """Every expression below ``roots`` with its sums regrouped: per level, products together."""
    roots = list(roots)
    order = postorder(roots)
    uses: dict[Expr, int] = dict.fromkeys(roots, 1)
    for expr in order:
        for arg in expr.args:
            uses[arg] = uses.get(arg, 0) + 1
    new: dict[Expr, Expr] = {}
    for expr in order:
        if levels[expr] != "state":
            new[expr] = expr
        elif expr.op in ("add", "sub", "neg"):
            new[expr] = _sum(list(terms(expr, lambda e: uses[e] > 1 and levels[e] == "state")), expr.width, levels, new)
        elif expr.op in ("matmul", "matmul_t"):
            new[expr] = products([node(expr.op, (expr.args[0], new[expr.args[1]]), (), expr.width)])
        else:
            args = tuple(new[arg] for arg in expr.args)
            new[expr] = expr if same(args, expr.args) else node(expr.op, args, expr.attrs, expr.width)
    return new


def products(terms: list[Expr]) -> Expr:
    """The sum of products as one accumulator."""
    return node("products", tuple(terms), (), terms[0].width)


def _sum(terms: list[Term], width: Width, levels: Mapping[Expr, Level], new: Mapping[Expr, Expr]) -> Expr:
    """What leaves the loop, level by level; the products of each sign and width as one accumulator; then the rest."""
    pieces = _hoistable(terms, width, levels)
    moving = [(sign, expr) for sign, expr in terms if levels[expr] == "state"]
    groups: dict[tuple[bool, Width], list[Expr]] = {}
    for sign, e in moving:
        if e.op in ("matmul", "matmul_t"):
            groups.setdefault((sign, e.width), []).append(node(e.op, (e.args[0], new[e.args[1]]), (), e.width))
    pieces += [(sign, products(group)) for (sign, _), group in groups.items()]
    pieces += [(sign, new[e]) for sign, e in moving if e.op not in ("matmul", "matmul_t")]
    return _plain_sum(pieces)


def _hoistable(terms: list[Term], width: Width, levels: Mapping[Expr, Level]) -> list[Term]:
    """The terms below level ``state`` as one sum a level; constants go with the steps or sequences where they are as wide."""
    found: dict[tuple[Level, bool], list[Term]] = {}
    for sign, expr in terms:
        if levels[expr] != "state":
            apart = levels[expr] == "step" and (not sign or expr.op == "input")  # a column is a sum of products
            found.setdefault((levels[expr], apart), []).append((sign, expr))
    fixed, narrow = _parted(found.get(("constant", False), []), width)
    homes: list[tuple[Level, bool]] = [("step", False), ("sequence", False)]
    home = next((key for key in homes if key in found), None)
    if home is not None and fixed:
        found[home] += fixed
        found["constant", False] = narrow
    pieces: list[Term] = []
    for (_, apart), kin in found.items():
        pieces += kin if apart else [(True, _plain_sum(kin))] if kin else []
    return pieces


def _parted(terms: list[Term], width: Width) -> tuple[list[Term], list[Term]]:
    """The terms of this width, and the others."""
    return [t for t in terms if t[1].width == width], [t for t in terms if t[1].width != width]


def _plain_sum(terms: list[Term]) -> Expr:
    terms = sorted(terms, key=lambda term: not term[0])
    total = terms[0][1] if terms[0][0] else -terms[0][1]
    for sign, expr in terms[1:]:
        total = total + expr if sign else total - expr
    return total

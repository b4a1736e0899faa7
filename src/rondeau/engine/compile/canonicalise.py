"""`canonicalise`: a cell's step in primitive ops with numbers for widths, sums regrouped so that what can leave the loop does.

Every expression has a level (`rondeau.engine.compile.levels`); below ``state`` everything leaves the loop over time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rondeau.engine.compile.levels import Level, Levels
from rondeau.engine.compile.regroup import regroup
from rondeau.engine.compile.step import Step
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr, apply, constant, node, spread
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS
from rondeau.ir.rewrite import primitive, rewrite


def canonicalise(
    cell: Cell, sizes: Mapping[str, int], given: Iterable[str] = (), trace: Iterable[str] = (), inside: bool = False
) -> Step:
    """The step of ``cell`` at ``sizes``. ``given`` names the contexts and masks that a run supplies; other masks become
    their means. ``trace`` names the values to hand out. ``inside``: products with the sequence stay in the loop."""
    known = dict(sizes)
    supplied = frozenset(given)
    missing = {item.symbol: spread(constant(item.expected), item.width) for item in cell.masks if item.name not in supplied}
    roots = [*cell.roots, *(cell.value(name) for name in trace)]
    bare = rewrite(roots, missing.get)
    expanded = primitive(bare[root] for root in roots)
    bound = rewrite([expanded[bare[root]] for root in roots], lambda e: _bound(e, known))
    settled = [bound[expanded[bare[root]]] for root in roots]
    flat = rewrite(settled, lambda e: _split_product(e, known))
    placed = [flat[root] for root in settled]
    levels = Levels(cell, placed, inside)
    new = regroup(placed, levels)
    output, *others = (new[root] for root in placed)
    levels.learn([output, *others])
    hoisted = frontier([output, *others], levels)
    n = len(cell.states)
    return Step(cell, tuple(sorted(known.items())), supplied, output, tuple(others[:n]), tuple(others[n:]), hoisted, levels)


def _bound(expr: Expr, sizes: Mapping[str, int]) -> Expr:
    """Sizes become numbers, and a number that was spread over the features stays one through pointwise ops and ranges."""
    if expr.op == "size":
        return constant(expr.attrs[0].bind(sizes))
    if expr.op == "slice" and expr.args[0].op == "spread":
        return spread(expr.args[0].args[0], expr.width)
    if expr.op in OPS and OPS[expr.op].kind == "pointwise" and any(_is_number(arg) for arg in expr.args):
        plain = apply(expr.op, *(arg.args[0] if _is_number(arg) else arg for arg in expr.args))
        return plain if plain.width == expr.width else spread(plain, expr.width)
    return expr


def _is_number(expr: Expr) -> bool:
    return expr.op == "spread" and expr.args[0].op == "constant"


def frontier(roots: Iterable[Expr], levels: Mapping[Expr, Level]) -> tuple[Expr, ...]:
    """The expressions below level ``state`` that are read by one at that level, or are roots themselves; no numbers, no
    matrices."""
    roots = list(roots)
    read = [arg for expr in postorder(roots) if levels[expr] == "state" for arg in expr.args]
    candidates = dict.fromkeys([*read, *roots])
    return tuple(e for e in candidates if levels[e] != "state" and e.op not in ("constant", "matrix"))


def _split_product(expr: Expr, sizes: Mapping[str, int]) -> Expr | None:
    """A product with a concatenation as a sum of products with its parts."""
    if expr.op != "matmul" or expr.args[1].op != "concat":
        return None
    matrix, joined = expr.args
    name, gate, start, _ = matrix.attrs
    total: Expr | None = None
    for part in joined.args:
        block = node("matrix", (), (name, gate, start, part.width), matrix.width)
        product = apply("matmul", block, part)
        total = product if total is None else total + product
        start = start + part.width
    return total

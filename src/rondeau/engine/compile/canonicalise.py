"""`canonicalise`: a cell's step in primitive ops with numbers for widths, sums regrouped so that what can leave the loop does.

Every expression has a level (`rondeau.engine.compile.levels`); below ``state`` everything leaves the loop over time. The
internal op ``products`` is a sum of products that share an accumulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rondeau.engine.compile.levels import Level, Levels
from rondeau.engine.compile.linear import Term, terms
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr, apply, constant, node, spread
from rondeau.ir.nodes import postorder, same
from rondeau.ir.ops import OPS
from rondeau.ir.rewrite import primitive, rewrite
from rondeau.ir.widths import Width


@dataclass(frozen=True, eq=False)
class Step:
    """A cell's step, ready for `differentiate` and `schedule`.

    ``hoisted`` are the largest expressions below level ``state`` that the loop reads, parameters among them; ``levels`` has
    the level of every expression.
    """

    cell: Cell
    sizes: tuple[tuple[str, int], ...]
    given: frozenset[str]
    output: Expr
    next: tuple[Expr, ...]
    traced: tuple[Expr, ...]
    hoisted: tuple[Expr, ...]
    levels: Levels

    @property
    def roots(self) -> tuple[Expr, ...]:
        """What a step computes: output, next states, traced values."""
        return (self.output, *self.next, *self.traced)

    def width(self, expr: Expr) -> int:
        """The number of features of an expression."""
        return expr.width.bind(self.numbers)

    def rank(self, matrix: Expr) -> tuple[int, int]:
        """The place of a matrix among all: its parameter's, and its gate's in that."""
        names = [item.name for item in self.cell.parameters]
        return names.index(matrix.attrs[0]), self.cell.parameter(matrix.attrs[0]).gates.index(matrix.attrs[1])

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The sizes by name."""
        return dict(self.sizes)


def canonicalise(cell: Cell, sizes: Mapping[str, int], given: Iterable[str] = (), trace: Iterable[str] = ()) -> Step:
    """The step of ``cell`` at ``sizes``. ``given`` names the contexts and masks that a run supplies; other masks become
    their means. ``trace`` names the values to hand out."""
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
    levels = Levels(cell, placed)
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

"""`normalise`: a cell's step in primitive ops with numbers for widths, sums regrouped so that what can leave the loop does.

Each expression has a level: ``const`` (parameters and numbers), ``sequence`` (fixed for a sequence), ``step`` (inputs, and sums
of products of matrices with the sequence, all steps of which are one large product) and ``state``, the rest. Below ``state``
everything leaves the loop. What changes with time but is no such sum stays in it, where it costs no pass over memory. The
internal op ``products`` is a sum of products that share an accumulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input
from rondeau.ir.expressions import Expr, constant, node, postorder, same
from rondeau.ir.ops import OPS, apply, features, spread
from rondeau.ir.rewrite import primitive, rewrite
from rondeau.ir.widths import Width

LEVELS = ("const", "sequence", "step", "state")
Term = tuple[bool, Expr]  # whether it is added (else subtracted), and what


@dataclass(frozen=True, eq=False)
class Step:
    """A cell's step, ready for `differentiate` and `schedule`.

    ``hoisted`` are the largest expressions below level ``state`` that the loop reads, parameters among them.
    """

    cell: Cell
    sizes: tuple[tuple[str, int], ...]
    given: frozenset[str]
    output: Expr
    next: tuple[Expr, ...]
    traced: tuple[Expr, ...]
    hoisted: tuple[Expr, ...]

    @property
    def roots(self) -> tuple[Expr, ...]:
        """What a step computes: output, next states, traced values."""
        return (self.output, *self.next, *self.traced)

    def width(self, expr: Expr) -> int:
        """The number of features of an expression."""
        return expr.width.bind(self.numbers)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The sizes by name."""
        return dict(self.sizes)


def normalise(cell: Cell, sizes: Mapping[str, int], given: Iterable[str] = (), trace: Iterable[str] = ()) -> Step:
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
    levels = levels_of(placed, cell)
    new = regroup(placed, levels)
    results = [new[root] for root in placed]
    hoisted = frontier(results, levels_of(results, cell))
    count = 1 + len(cell.states)
    return Step(
        cell, tuple(sorted(known.items())), supplied, results[0], tuple(results[1:count]), tuple(results[count:]), hoisted
    )


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


def levels_of(roots: Iterable[Expr], cell: Cell) -> dict[Expr, str]:
    """The level of every expression below ``roots``."""
    inputs: dict[Expr, Input] = {item.symbol: item for item in cell.inputs}
    found: dict[Expr, str] = {}
    for expr in postorder(roots):
        if expr.op in ("state", "products") or (expr.op == "spread" and expr.args[0].op != "constant"):
            found[expr] = "state"  # of a spread number only the number leaves the loop
        elif expr in inputs:
            found[expr] = "step" if inputs[expr].per == "step" else "sequence"
        else:
            highest = max((found[arg] for arg in expr.args), key=LEVELS.index, default="const")
            found[expr] = "state" if highest == "step" and not _linear(expr, cell.input.symbol, found) else highest
    return found


def _linear(expr: Expr, x: Expr, levels: Mapping[Expr, str]) -> bool:
    """Whether a value that changes with time is a sum of products of matrices with ``x`` and of constants."""
    if expr.op == "matmul":
        return expr.args[1] is x
    if expr.op not in ("add", "sub") or (expr.op == "sub" and levels[expr.args[1]] != "const"):
        return False
    wide = all(levels[arg] == "step" or arg.width == expr.width for arg in expr.args)
    return wide and all(levels[arg] == "const" or (levels[arg] == "step" and arg.op != "input") for arg in expr.args)


def frontier(roots: Iterable[Expr], levels: Mapping[Expr, str]) -> tuple[Expr, ...]:
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


def regroup(roots: Iterable[Expr], levels: Mapping[Expr, str]) -> dict[Expr, Expr]:
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
            new[expr] = _sum(list(_terms(expr, True, uses, levels, root=True)), expr.width, levels, new)
        elif expr.op in ("matmul", "matmul_t"):
            new[expr] = products([node(expr.op, (expr.args[0], new[expr.args[1]]), (), expr.width)])
        else:
            args = tuple(new[arg] for arg in expr.args)
            new[expr] = expr if same(args, expr.args) else node(expr.op, args, expr.attrs, expr.width)
    return new


def products(terms: list[Expr]) -> Expr:
    """The sum of products as one accumulator."""
    return node("products", tuple(terms), (), terms[0].width)


def _terms(expr: Expr, plus: bool, uses: Mapping[Expr, int], levels: Mapping[Expr, str], root: bool = False) -> Iterable[Term]:
    shared = uses[expr] > 1 and levels[expr] == "state"
    if expr.op not in ("add", "sub", "neg") or (shared and not root):
        yield plus, expr
        return
    signs = {"add": (plus, plus), "sub": (plus, not plus), "neg": (not plus,)}[expr.op]
    for arg, sign in zip(expr.args, signs):
        yield from _terms(arg, sign, uses, levels)


def _sum(terms: list[Term], width: Width, levels: Mapping[Expr, str], new: Mapping[Expr, Expr]) -> Expr:
    pieces: list[Term] = []
    still: dict[tuple[str, bool], list[Term]] = {}
    for sign, expr in terms:
        if levels[expr] != "state":
            apart = levels[expr] == "step" and (not sign or expr.op == "input")  # a column is a sum of products
            still.setdefault((levels[expr], apart), []).append((sign, expr))
    fixed, narrow = _parted(still.get(("const", False), []), width)
    home = next((key for key in (("step", False), ("sequence", False)) if key in still), None)
    if home is not None and fixed:
        still[home] += fixed
        still["const", False] = narrow
    for (_, apart), kin in still.items():
        pieces += kin if apart else [(True, _plain_sum(kin))] if kin else []
    moving = [(sign, expr) for sign, expr in terms if levels[expr] == "state"]
    groups: dict[tuple[bool, Width], list[Expr]] = {}
    for sign, e in moving:
        if e.op in ("matmul", "matmul_t"):
            groups.setdefault((sign, e.width), []).append(node(e.op, (e.args[0], new[e.args[1]]), (), e.width))
    pieces += [(sign, products(group)) for (sign, _), group in groups.items()]
    pieces += [(sign, new[e]) for sign, e in moving if e.op not in ("matmul", "matmul_t")]
    return _plain_sum(pieces)


def _parted(terms: list[Term], width: Width) -> tuple[list[Term], list[Term]]:
    """The terms of this width, and the others."""
    return [t for t in terms if t[1].width == width], [t for t in terms if t[1].width != width]


def _plain_sum(terms: list[Term]) -> Expr:
    terms = sorted(terms, key=lambda term: not term[0])
    total = terms[0][1] if terms[0][0] else -terms[0][1]
    for sign, expr in terms[1:]:
        total = total + expr if sign else total - expr
    return total


__all__ = ["Step", "features", "frontier", "levels_of", "normalise", "products", "regroup"]

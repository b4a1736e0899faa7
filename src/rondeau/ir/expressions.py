"""Expressions: frozen, shared nodes. Two expressions that say the same are the same object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Union
from weakref import WeakValueDictionary

from rondeau.errors import CellError
from rondeau.ir.widths import ONE, Width

Number = Union[int, float]


class Expr:
    """One value of a cell's equations: a vector of ``width`` features (or a matrix, which only ``@`` accepts).

    ``op`` names a row of the op table or a leaf; ``args`` are expressions; ``attrs`` hold what is not an expression.
    Build them with operators and the functions of `rondeau.ir`, never by hand. Equal expressions are identical objects.
    """

    __slots__ = ("__weakref__", "args", "attrs", "op", "width")
    op: str
    args: tuple[Expr, ...]
    attrs: tuple[Any, ...]
    width: Width

    def __init__(self, op: str, args: tuple[Expr, ...], attrs: tuple[Any, ...], width: Width) -> None:
        for name, value in (("op", op), ("args", args), ("attrs", attrs), ("width", width)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an expression is a value and cannot be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return node, (self.op, self.args, self.attrs, self.width)

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: object) -> Expr:
        return self

    def __repr__(self) -> str:
        from rondeau.ir.text import spell

        return spell(self)

    def __bool__(self) -> bool:
        raise CellError(
            "a value of an equation is not known while the cell is written; use where(condition, a, b) instead of if"
        )

    def __iter__(self) -> Iterator[Expr]:
        raise CellError("a vector of an equation cannot be unpacked; take parts of it with split(v, n) or v[a:b]")

    def __matmul__(self, other: object) -> Expr:
        return _apply("matmul", self, other)

    def __rmatmul__(self, other: object) -> Expr:
        return _apply("matmul", other, self)

    def __add__(self, other: object) -> Expr:
        return _apply("add", self, other)

    def __radd__(self, other: object) -> Expr:
        return _apply("add", other, self)

    def __sub__(self, other: object) -> Expr:
        return _apply("sub", self, other)

    def __rsub__(self, other: object) -> Expr:
        return _apply("sub", other, self)

    def __mul__(self, other: object) -> Expr:
        return _apply("mul", self, other)

    def __rmul__(self, other: object) -> Expr:
        return _apply("mul", other, self)

    def __truediv__(self, other: object) -> Expr:
        return _apply("div", self, other)

    def __rtruediv__(self, other: object) -> Expr:
        return _apply("div", other, self)

    def __mod__(self, other: object) -> Expr:
        return _apply("mod", self, other)

    def __pow__(self, other: object) -> Expr:
        if other == 2:
            return _apply("mul", self, self)
        raise CellError(f"only the power 2 is in the language, not {other!r}; write powers with exp(p * log(v)) or products")

    def __neg__(self) -> Expr:
        return _apply("neg", self)

    def __abs__(self) -> Expr:
        return _apply("abs", self)

    def __lt__(self, other: object) -> Expr:
        return _apply("lt", self, other)

    def __le__(self, other: object) -> Expr:
        return _apply("le", self, other)

    def __gt__(self, other: object) -> Expr:
        return _apply("lt", other, self)

    def __ge__(self, other: object) -> Expr:
        return _apply("le", other, self)

    def __getitem__(self, part: object) -> Expr:
        from rondeau.ir.ops import features

        return features(self, part)


_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()


def node(op: str, args: tuple[Expr, ...], attrs: tuple[Any, ...], width: Width) -> Expr:
    """The one expression with this content. No checks: `rondeau.ir.ops.apply` checks."""
    key = (op, args, attrs, tuple(map(repr, attrs)), width)
    found = _interned.get(key)
    if found is None:
        found = _interned.setdefault(key, Expr(op, args, attrs, width))
    return found


def constant(value: Number) -> Expr:
    """A number as an expression.

    Raises:
        CellError: the number is not finite.
    """
    if not math.isfinite(value):
        raise CellError(f"a constant of an equation must be finite, not {value!r}")
    return node("constant", (), (float(value),), ONE)


def _apply(op: str, *args: object) -> Expr:
    from rondeau.ir.ops import apply

    return apply(op, *args)


def postorder(roots: Iterable[Expr]) -> list[Expr]:
    """Every expression below ``roots``, each once, arguments before what uses them."""
    seen: set[Expr] = set()
    order: list[Expr] = []
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        expr, done = stack.pop()
        if done:
            order.append(expr)
        elif expr not in seen:
            seen.add(expr)
            stack.append((expr, True))
            stack.extend((arg, False) for arg in reversed(expr.args) if arg not in seen)
    return order

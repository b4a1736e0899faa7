"""Expressions: frozen, shared nodes. Two expressions that say the same are the same object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Union
from weakref import WeakValueDictionary

from rondeau.errors import CellError
from rondeau.ir.refusals import Refusals
from rondeau.ir.widths import ONE, Width

Number = Union[int, float]
LARGEST = 3.4e38
"""The largest number in an equation, within the range of float32."""


class Expr(Refusals):
    """One value of a cell's equations: a vector of ``width`` features (or a matrix, which only ``@`` accepts).

    ``op`` names a row of the op table or a leaf; ``args`` are expressions; ``attrs`` hold what is not an expression.
    Build them with operators and the functions of `rondeau.ir`, never by hand. Equal expressions are identical objects:
    ``is`` compares them, since ``==`` is a comparison of the language; as keys and in sets they are themselves.
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
        from rondeau.ir.text import brief

        return brief(self)

    @classmethod
    def _vocabulary(cls) -> tuple[str, ...]:
        from rondeau.ir.ops import FUNCTIONS

        return FUNCTIONS

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
        if not isinstance(other, Expr) and other == 2:
            return _apply("mul", self, self)
        raise CellError(
            f"only the power 2 is in the language, not {other!r}; write sqrt(v), a product, or exp(p * log(v)) for other powers"
        )

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

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return _apply("eq", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return _apply("ne", self, other)

    __hash__ = object.__hash__

    def __and__(self, other: object) -> Expr:
        return _apply("and", self, other)

    def __rand__(self, other: object) -> Expr:
        return _apply("and", other, self)

    def __or__(self, other: object) -> Expr:
        return _apply("or", self, other)

    def __ror__(self, other: object) -> Expr:
        return _apply("or", other, self)

    def __invert__(self) -> Expr:
        return _apply("not", self)

    @property
    def T(self) -> Transposed:
        """A weight as its transpose, which multiplies a vector: ``W.T @ v``."""
        if self.op != "matrix":
            raise CellError(f"only a weight has a transpose, as in W.T @ v; {self!r} is a vector")
        return Transposed(self)

    def __getitem__(self, part: object) -> Expr:
        from rondeau.ir.ops import features

        return features(self, part)


class Transposed(Refusals):
    """The transpose of a weight, which only multiplies a vector."""

    __slots__ = ("matrix",)

    def __init__(self, matrix: Expr) -> None:
        self.matrix = matrix

    @property
    def T(self) -> Expr:
        """The weight itself."""
        return self.matrix

    def __repr__(self) -> str:
        return f"{self.matrix!r}.T"

    def __matmul__(self, other: object) -> Expr:
        return _apply("matmul_t", self.matrix, other)

    def _refused(self, *others: object) -> Expr:
        raise CellError(f"{self!r} only multiplies a vector, as in {self!r} @ v")

    __rmatmul__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refused
    __neg__ = __pow__ = __mod__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __invert__ = __getitem__ = _refused


def same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether two sequences hold the very same expressions in the same order."""
    return len(first) == len(second) and all(a is b for a, b in zip(first, second))


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
        CellError: the number is not finite, or beyond the range of float32.
    """
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise CellError(f"a constant of an equation must be finite and within {LARGEST:g}, not {value!r}")
    return node("constant", (), (float(value),), ONE)


def _apply(op: str, *args: object) -> Expr:
    from rondeau.ir.ops import apply

    return apply(op, *args)


def postorder(roots: Iterable[Expr], known: Iterable[Expr] = ()) -> list[Expr]:
    """Every expression below ``roots``, each once, arguments before what uses them; but for what is ``known`` and below."""
    seen = set(known)
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

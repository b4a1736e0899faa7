"""Expressions: frozen, shared nodes. Two expressions that say the same are the same object."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Union
from weakref import WeakValueDictionary

from rondeau.errors import CellError
from rondeau.ir.arrays import Array
from rondeau.ir.ops import OPS
from rondeau.ir.refusals import Refusals, scalar
from rondeau.ir.spelling import brief
from rondeau.ir.widths import ONE, Width

Number = Union[int, float]
LARGEST = 3.4e38
"""The largest number in an equation, within the range of float32."""


Operator = Callable[["Expr", object], "Expr"]


def _operator(op: str) -> tuple[Operator, Operator]:
    """A binary operator of the class below: what it does with the expression on its left, and on its right."""

    def left(self: Expr, other: object) -> Expr:
        return apply(op, self, other)

    def right(self: Expr, other: object) -> Expr:
        return apply(op, other, self)

    return left, right


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
        return brief(self)

    def apply(self, op: str, *others: object) -> Expr:
        """The op ``op`` of this expression and ``others``, as `apply`."""
        return apply(op, self, *others)

    __matmul__, __rmatmul__ = _operator("matmul")
    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("sub")
    __mul__, __rmul__ = _operator("mul")
    __truediv__, __rtruediv__ = _operator("div")
    __lt__, __gt__ = _operator("lt")
    __le__, __ge__ = _operator("le")
    __and__, __rand__ = _operator("and")
    __or__, __ror__ = _operator("or")
    __mod__ = _operator("mod")[0]
    __eq__ = _operator("eq")[0]  # type: ignore[assignment]
    __ne__ = _operator("ne")[0]  # type: ignore[assignment]
    __hash__ = object.__hash__

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __abs__(self) -> Expr:
        return apply("abs", self)

    def __invert__(self) -> Expr:
        return apply("not", self)

    def __pow__(self, other: object) -> Expr:
        if not isinstance(other, Expr) and other == 2:
            return apply("mul", self, self)
        raise CellError(
            f"only the power 2 is in the language, not {other!r}; write sqrt(v), a product, or exp(p * log(v)) for other powers"
        )

    @property
    def T(self) -> Transposed:
        """A weight as its transpose, which multiplies a vector: ``W.T @ v``."""
        if self.op != "matrix":
            raise CellError(f"only a weight has a transpose, as in W.T @ v; {self!r} is a vector")
        return Transposed(self)

    @property
    def feature_count(self) -> Expr:
        """How many features it has, as an expression."""
        return node("size", (), (self.width,), ONE)

    def spread(self, width: Width) -> Expr:
        """A scalar stretched to ``width`` features."""
        return spread(self, width)

    def __getitem__(self, part: object) -> Expr:
        return features(self, part)

    if TYPE_CHECKING:

        def __getattr__(self, gate: str) -> Expr:
            """In a cell function ``W.r`` is a gate of a weight, which is declared as an expression too."""


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
        return apply("matmul_t", self.matrix, other)

    def _refused(self, *others: object) -> Expr:
        raise CellError(f"{self!r} only multiplies a vector, as in {self!r} @ v")

    __rmatmul__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refused
    __neg__ = __pow__ = __mod__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __invert__ = __getitem__ = _refused


_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()


def node(op: str, args: tuple[Expr, ...], attrs: tuple[Any, ...], width: Width) -> Expr:
    """The one expression with this content. No checks: `apply` checks."""
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


def apply(op: str, *args: object) -> Expr:
    """The op ``op`` of ``args``, checked; plain numbers become constants, and what needs no computing is not computed.

    Raises:
        CellError: a wrong number or kind of arguments, or widths that do not fit.
    """
    values = tuple(lifted(arg, op) for arg in args)
    _check_operands(op, values)
    folded = _fold(op, values)
    return build(op, values) if folded is None else folded


def build(op: str, values: tuple[Expr, ...], attrs: tuple[Width, ...] = ()) -> Expr:
    """The node of ``op`` over expressions as they are: checked as in `apply`, but nothing is folded.

    Raises:
        CellError: there is no such op, or it cannot be had of these arguments.
    """
    if op not in OPS:
        raise CellError(f"{op!r} is not in the op table")
    row = OPS[op]
    if len(attrs) != {"slice": 2, "spread": 1}.get(op, 0):
        raise CellError(f"{op} cannot have the settings {', '.join(map(str, attrs)) or 'none'}")
    _check_operands(op, values)
    if row.kind == "product":
        return _product(op, *values)
    if op == "concat":
        return node(op, values, (), sum((v.width for v in values[1:]), values[0].width))
    if op == "slice":
        return _range(values[0], *attrs)
    if op == "spread":
        return _spread(values[0], attrs[0])
    if row.kind == "reduction":
        return node(op, values, (), ONE)
    return node(op, values, (), _joint_width(op, values))


def _check_operands(op: str, values: tuple[Expr, ...]) -> None:
    row = OPS[op]
    if len(values) != row.arity and not (row.arity < 0 and len(values) > 1):
        raise CellError(f"{op} takes {'at least 2' if row.arity < 0 else row.arity} arguments, got {len(values)}")
    for value in values[row.kind == "product" :]:
        if value.op == "matrix":
            raise CellError(
                f"{'@' if row.kind == 'product' else op} got the matrix {value!r}; a matrix only multiplies a vector, from the "
                "left, as in W @ x, or W.T @ x with its transpose"
            )


def lifted(value: object, op: str) -> Expr:
    """``value`` as an argument of ``op``: an expression as it is, a number as a constant.

    Raises:
        CellError: it is neither.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, Real):
        return constant(float(value))
    if isinstance(value, Refusals):
        raise CellError(f"{op} takes expressions and numbers, not {value!r}, which only multiplies a vector from the left")
    if isinstance(value, Array):
        return constant(scalar(value))
    raise CellError(f"{op} takes expressions and numbers, not {value!r}")


def _joint_width(op: str, values: tuple[Expr, ...]) -> Width:
    wide = [value for value in values if not value.width.is_one]
    for value in wide[1:]:
        if value.width != wide[0].width:
            raise CellError(
                f"{op} needs equal widths, but {wide[0]!r} is {wide[0].width} wide and {value!r} is {value.width} wide"
            )
    return wide[0].width if wide else ONE


def _product(op: str, matrix: Expr, vector: Expr) -> Expr:
    if matrix.op != "matrix":
        raise CellError(f"the left side of @ must be a weight, not {matrix!r}; multiply vectors feature by feature with *")
    rows, columns = (matrix.width, matrix.attrs[3]) if op == "matmul" else (matrix.attrs[3], matrix.width)
    if columns != vector.width:
        shown = f"{matrix!r} @ {vector!r}" if op == "matmul" else f"{matrix!r}.T @ {vector!r}"
        raise CellError(f"{shown}: the weight takes {columns} features, the vector has {vector.width}")
    return node(op, (matrix, vector), (), rows)


def is_product(value: Expr) -> bool:
    """Whether ``value`` is a weight, or the transpose of one, times a vector."""
    return value.op in OPS and OPS[value.op].kind == "product"


def _is(value: Expr, number: float) -> bool:
    return value.op == "constant" and value.attrs[0] == number


def _computed(fold: Callable[..., float], numbers: list[float]) -> Expr | None:
    try:
        return constant(float(fold(*numbers)))
    except ZeroDivisionError:
        return None


def _fold(op: str, values: tuple[Expr, ...]) -> Expr | None:
    """What needs no computing: arithmetic of constants, and sums with 0 and products with 1 where the width stays."""
    fold = OPS[op].fold
    if fold is not None and all(value.op == "constant" for value in values):
        return _computed(fold, [value.attrs[0] for value in values])
    if op == "neg" and values[0].op == "neg":
        return values[0].args[0]
    if op == "mul" and (_is(values[0], 1) or _is(values[1], 1)):
        return values[1] if _is(values[0], 1) else values[0]
    if op == "add" and (_is(values[0], 0) or _is(values[1], 0)):
        return values[1] if _is(values[0], 0) else values[0]
    if (op == "sub" and _is(values[1], 0)) or (op == "div" and _is(values[1], 1)):
        return values[0]
    return None


def spread(value: Expr, width: Width) -> Expr:
    """A scalar stretched to ``width`` features."""
    return value if width.is_one else _spread(value, width)


def _spread(value: Expr, width: Width) -> Expr:
    if not value.width.is_one:
        raise CellError(f"only a scalar can be spread, but {value!r} is {value.width} wide")
    return node("spread", (value,), (width,), width)


def features(value: Expr, part: object) -> Expr:
    """A range of the features of ``value``: ``v[a:b]``, with widths such as ``"hidden/2"`` or numbers as bounds; a negative
    number counts from the end."""
    if value.op == "matrix":
        raise CellError("a weight has no features to take a range of; take the range of the vector")
    if not isinstance(part, slice):
        example = f"v[{part}:{part + 1}]" if isinstance(part, int) and part >= 0 else "v[a:b]"
        raise CellError(f"take a range of features, as {example}, not v[{part!r}]")
    if part.step not in (None, 1):
        raise CellError(f"a range of features has no step, but this one has {part.step!r}; take v[a:b]")
    start, stop = _bound(value, part.start, Width.of(0)), _bound(value, part.stop, value.width)
    if start == Width.of(0) and stop == value.width:
        return value
    if value.op == "spread":
        return spread(value.args[0], _range(value, start, stop).width)
    return _range(value, start, stop)


def _bound(value: Expr, given: Any, default: Width) -> Width:
    if given is None:
        return default
    if not isinstance(given, (int, str, Width)) or isinstance(given, bool):
        raise CellError(f"the bounds of a range are whole numbers or sizes, as in v['hidden/2':], not {given!r}")
    bound = Width.of(given)
    return value.width + bound if isinstance(given, int) and given < 0 else bound


def _range(value: Expr, start: Width, stop: Width) -> Expr:
    """The range as a node. What its sizes decide is left to `rondeau.ir.fit`; what is plain now is checked now."""
    for number, fault in ((start.number, "begins before"), ((value.width - stop).number, "reaches beyond")):
        if number is not None and number < 0:
            raise CellError(f"the range [{start}:{stop}] {fault} the features of {value!r}, which is {value.width} wide")
    length = (stop - start).number
    if length is not None and length < 1:
        raise CellError(f"the range [{start}:{stop}] of {value!r} is empty; its end lies above its start")
    return node("slice", (value,), (start, stop), stop - start)

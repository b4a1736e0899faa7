"""What Python, NumPy or torch may ask of an expression that it cannot answer, each with what to write instead."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from rondeau.errors import CellError
from rondeau.ir.arrays import Array

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "sub": operator.sub,
    "rsub": lambda a, b: b - a,
    "multiply": operator.mul,
    "mul": operator.mul,
    "divide": operator.truediv,
    "true_divide": operator.truediv,
    "div": operator.truediv,
    "rdiv": lambda a, b: b / a,
    "less": operator.lt,
    "lt": operator.lt,
    "less_equal": operator.le,
    "le": operator.le,
    "greater": operator.gt,
    "gt": operator.gt,
    "greater_equal": operator.ge,
    "ge": operator.ge,
    "equal": operator.eq,
    "eq": operator.eq,
    "not_equal": operator.ne,
    "ne": operator.ne,
}
"""The operators under the names by which NumPy and torch ask for them."""
RENAMED = {
    "absolute": "abs(v)",
    "fabs": "abs(v)",
    "power": "v * v, rd.sqrt(v) or rd.exp(p * rd.log(v))",
    "pow": "v * v, rd.sqrt(v) or rd.exp(p * rd.log(v))",
    "matmul": "W @ v with a weight, W=rd.weight(...)",
    "mm": "W @ v with a weight, W=rd.weight(...)",
    "cat": "rd.concat(a, b)",
    "concatenate": "rd.concat(a, b)",
    "sum": "rd.total(v)",
    "max": "rd.largest(v), or rd.maximum(a, b)",
    "min": "-rd.largest(-v), or rd.minimum(a, b)",
    "clip": "rd.clamp(v, low, high)",
    "hardtanh": "rd.hard_tanh(v)",
    "hardsigmoid": "rd.hard_sigmoid(v)",
    "chunk": "rd.split(v, n)",
    "square": "v * v",
}


FUNCTIONS = (
    "clamp", "concat", "cos", "equal", "erf", "exp", "floor", "gelu", "hard_sigmoid", "hard_tanh", "largest", "log",
    "maximum", "mean", "minimum", "normalise", "relu", "sigmoid", "silu", "sin", "softmax", "softplus", "softsign",
    "split", "sqrt", "tanh", "total", "where",
)  # fmt: skip
"""The names of the functions that a cell may use."""


class NoAttribute(CellError, AttributeError):
    """An attribute that an expression does not have."""


def _no_truth() -> NoReturn:
    raise CellError(
        "a value of an equation is not known while the cell is written, so Python cannot decide on it: "
        "write where(condition, a, b) instead of if, & | ~ instead of and or not, "
        "(a < b) & (b < c) instead of a < b < c, and minimum, maximum instead of min, max"
    )


def _no_number(what: str) -> NoReturn:
    raise CellError(
        f"a value of an equation is not known while the cell is written, so it is no {what}; write functions of rondeau for "
        "those of Python and its math module, as rd.exp(v) or rd.floor(v)"
    )


class Refusals:
    """The base of what stands for a value inside a cell function."""

    __slots__ = ()

    def __bool__(self) -> bool:
        _no_truth()

    def __len__(self) -> int:
        raise CellError(
            "the width of a vector is not known while the cell is written; rd.mean(v) is its sum over its width, "
            "rd.split(v, n) cuts it into n parts, and v['hidden/2':] takes a part"
        )

    def __iter__(self) -> Iterator[Any]:
        raise CellError("a vector of an equation cannot be unpacked; take parts of it with split(v, n) or v[a:b]")

    def __float__(self) -> float:
        _no_number("number of Python")

    def __int__(self) -> int:
        _no_number("number of Python")

    def __complex__(self) -> complex:
        _no_number("number of Python")

    def __index__(self) -> int:
        _no_number("index")

    def __round__(self, digits: int | None = None) -> Any:
        raise CellError("round is not in the language; write floor(v + 0.5)")

    def __floordiv__(self, other: object) -> Any:
        raise CellError("// is not in the language; write floor(a / b)")

    __rfloordiv__ = __floordiv__

    def __rpow__(self, other: object) -> Any:
        own = "exp(p * v) with the logarithm of the base as p"
        if isinstance(other, (int, float)) and other > 0:
            own = f"exp({math.log(other):.6g} * v)"
        raise CellError(f"a power of {other!r} is not in the language; write {own}")

    def __xor__(self, other: object) -> Any:
        raise CellError("^ is not in the language; for a square write v * v, for one or the other of two comparisons a != b")

    __rxor__ = __xor__

    def __call__(self, *args: object, **options: object) -> Any:
        raise CellError("a value of an equation is no function; write * to multiply feature by feature, @ for a weight")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NoAttribute(
            f"a value of an equation has no attribute {name!r}; what can be done with it are operators and the functions of "
            f"rondeau, as {RENAMED.get(name, 'rd.tanh(v)')}"
        )

    # arrays and tensors

    def __array__(self, *args: object, **options: object) -> Any:
        _no_number("array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = str(ufunc.__name__)
        return _applied(name, inputs) if name in ARITHMETIC and len(inputs) == 2 else self._foreign("numpy", name)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        self._foreign("numpy", str(function.__name__))

    @classmethod
    def _foreign(cls, library: str, name: str) -> NoReturn:
        known = name in FUNCTIONS
        own = RENAMED.get(name) or (f"rd.{name}(v)" if known else f"one of {', '.join(FUNCTIONS)}")
        raise CellError(
            f"{library}.{name} computes with numbers, and a value of an equation is not known while the cell is written; write "
            f"a function of rondeau, {own}"
        )

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), options: Any = None) -> Any:
        name = str(getattr(function, "__name__", "function")).strip("_")
        return _applied(name, args) if name in ARITHMETIC and len(args) == 2 else cls._foreign("torch", name)


def _applied(name: str, values: tuple[Any, Any]) -> Any:
    return ARITHMETIC[name](*(value if isinstance(value, Refusals) else scalar(value) for value in values))


def scalar(value: Any) -> float:
    """The number that a NumPy or torch value of no dimensions is.

    Raises:
        CellError: it is an array.
    """
    if isinstance(value, Array) and tuple(value.shape) == ():
        return float(value.tolist())
    raise CellError(
        f"an array of numbers ({type(value).__name__}) is no part of an equation; declare it as a parameter that starts with "
        "it, a=rd.vector('hidden', init=array), or as an input that a run is given, a=rd.context('hidden')"
    )

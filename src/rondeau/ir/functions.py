"""The functions that the equations of a cell may use, as an author writes them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Union

from rondeau.errors import CellError
from rondeau.ir.expressions import Expr, apply, features, lifted
from rondeau.ir.ops import OPS

Value = Union[Expr, float]
OfOne = Callable[[Value], Expr]
OfTwo = Callable[[Value, Value], Expr]
OfThree = Callable[[Value, Value, Value], Expr]


def _caller(op: str) -> Callable[..., Expr]:
    def call(*args: object) -> Expr:
        return apply(op, *args)

    call.__name__ = call.__qualname__ = op
    over = "over the features, one value" if OPS[op].kind == "reduction" else "feature by feature"
    call.__doc__ = f"``{OPS[op].text.format('a', 'b', 'c')}``, {over}."
    return call


sigmoid: OfOne = _caller("sigmoid")
tanh: OfOne = _caller("tanh")
relu: OfOne = _caller("relu")
softplus: OfOne = _caller("softplus")
exp: OfOne = _caller("exp")
log: OfOne = _caller("log")
sqrt: OfOne = _caller("sqrt")
sin: OfOne = _caller("sin")
cos: OfOne = _caller("cos")
erf: OfOne = _caller("erf")
floor: OfOne = _caller("floor")
silu: OfOne = _caller("silu")
gelu: OfOne = _caller("gelu")
softsign: OfOne = _caller("softsign")
hard_sigmoid: OfOne = _caller("hard_sigmoid")
hard_tanh: OfOne = _caller("hard_tanh")
minimum: OfTwo = _caller("minimum")
maximum: OfTwo = _caller("maximum")
clamp: OfThree = _caller("clamp")
where: OfThree = _caller("where")
equal: OfTwo = _caller("eq")
total: OfOne = _caller("sum")
mean: OfOne = _caller("mean")
largest: OfOne = _caller("max")


def concat(*values: Expr) -> Expr:
    """The features of all ``values`` behind one another."""
    if not values:
        raise CellError("concat needs at least one vector")
    return apply("concat", *values) if len(values) > 1 else lifted(values[0], "concat")


def split(value: Expr, parts: int) -> tuple[Expr, ...]:
    """``value`` cut into ``parts`` ranges of equal width."""
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise CellError(f"split takes a whole number of parts from 1, not {parts!r}")
    bounds = [value.width.scaled(Fraction(i, parts)) for i in range(parts + 1)]
    return tuple(features(value, slice(a, b)) for a, b in zip(bounds, bounds[1:]))


def normalise(value: Expr, epsilon: float = 1e-5) -> Expr:
    """``value`` shifted and scaled to mean 0 and variance 1 over its features; ``epsilon`` is added to the variance."""
    return apply("normalise", value, epsilon)


def softmax(value: Expr) -> Expr:
    """Positive values in the proportion of ``exp(value)`` that sum to one over the features."""
    e = exp(value - largest(value))
    return e / total(e)

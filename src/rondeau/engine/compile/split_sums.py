"""`split_sums`: sums over the features taken apart, so that fewer of them wait for one another.

The reverse of a normalisation sums what depends on an earlier sum only through a common factor: ``sum(g / s + k * c)`` is
``sum(g) / s + k * sum(c)``, where ``c`` has mean zero by construction. All sums that are left can be taken at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rondeau.ir.expressions import Expr, constant, node
from rondeau.ir.functions import total
from rondeau.ir.nodes import postorder, same


def split_sums(roots: Iterable[Expr], width: Callable[[Expr], int]) -> dict[Expr, Expr]:
    """Every expression below ``roots`` with the sums of cotangents taken apart; forward values stay as they are."""
    new: dict[Expr, Expr] = {}
    backward: set[Expr] = set()
    for expr in postorder(roots):
        if expr.op == "cotangent" or any(arg in backward for arg in expr.args):
            backward.add(expr)
        args = tuple(new[arg] for arg in expr.args)
        kept = expr if same(args, expr.args) else node(expr.op, args, expr.attrs, expr.width)
        apart = expr.op == "sum" and expr in backward and _factored(kept.args[0])
        new[expr] = _sum(kept.args[0], width) if apart else kept
    return new


def _factored(value: Expr) -> bool:
    """Whether some term is a number times a vector, so that taking the sum apart frees it from a factor."""
    if value.op in ("add", "sub", "neg"):
        return any(map(_factored, value.args))
    return value.op in ("mul", "div", "spread") and any(_number(arg) is not None for arg in (value, *value.args))


def _number(value: Expr) -> Expr | None:
    """The number that a value is in every feature, if it is one."""
    return value if value.width.is_one else value.args[0] if value.op == "spread" else None


def _sum(value: Expr, width: Callable[[Expr], int]) -> Expr:
    if value.width.is_one:
        return total(value)
    if _centred(value):
        return constant(0)
    if value.op == "spread":
        return value.args[0] * width(value)
    if value.op == "neg":
        return -_sum(value.args[0], width)
    if value.op in ("add", "sub") and not any(arg.width.is_one for arg in value.args):
        first, second = (_sum(arg, width) for arg in value.args)
        return first + second if value.op == "add" else first - second
    if value.op in ("mul", "div"):
        (a, b), (x, y) = value.args, map(_number, value.args)
        if y is not None:
            return _sum(a, width) * y if value.op == "mul" else _sum(a, width) / y
        if value.op == "mul" and x is not None:
            return x * _sum(b, width)
    return total(value)


def _centred(value: Expr) -> bool:
    """Whether this is a vector less its mean."""
    if value.op != "sub":
        return False
    vector, mean = value.args[0], _number(value.args[1])
    return mean is not None and mean.op == "div" and mean.args[0].op == "sum" and mean.args[0].args[0] is vector

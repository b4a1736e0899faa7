"""The op table: the only place where an op is known.

A row gives an op's number of arguments, its width, its derivative, its spelling in torch, its routine in LLVM, and how it
is written as text and as LaTeX. A row either is primitive (it has a torch and an LLVM spelling) or expands into others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any

from rondeau.errors import CellError
from rondeau.ir.expressions import Expr, constant, node
from rondeau.ir.refusals import Refusals, scalar
from rondeau.ir.widths import ONE, Width

Derivative = Callable[..., tuple["Expr | None", ...]]
Function = Callable[..., Expr]
LEAVES = frozenset({"input", "state", "vector", "matrix", "constant", "size"})


@dataclass(frozen=True)
class Op:
    """One row of the table.

    ``derivative(g, y, *args)`` gives, for the cotangent ``g`` of the result ``y``, the cotangent of each argument (None: no
    derivative flows), at the width of the result; what was stretched is summed by the caller. ``torch`` is an expression
    in ``a``, ``b``, ``c``. ``text`` and ``latex`` are templates over the spelled arguments; ``rank`` is the binding strength
    of the text form (atoms 9, parts 8, unary 7, products of features 6, matrix products 5, sums 4, comparisons 3).
    """

    name: str
    arity: int
    derivative: Derivative | None = None
    torch: str = ""
    llvm: str = ""
    text: str = ""
    latex: str = ""
    rank: int = 9
    expand: Callable[..., Expr] | None = None
    kind: str = "pointwise"


def _truth(value: Expr) -> Expr:
    """One where ``value`` is not zero, else zero."""
    return value if value.op in ("lt", "le", "eq", "ne") else apply("ne", value, 0)


def _sign(x: Expr) -> Expr:
    return (x > 0) - (x < 0)


def _tied(g: Expr, wins: Expr, a: Expr, b: Expr) -> Expr:
    return g * (wins + apply("eq", a, b) * 0.5)


def _expand_gelu(x: Expr) -> Expr:
    return 0.5 * x * (1 + apply("erf", x * math.sqrt(0.5)))


def _expand_normalise(x: Expr, epsilon: Expr) -> Expr:
    centred = x - mean(x)
    return centred / sqrt(mean(centred * centred) + epsilon)


def _function(name: str, derivative: Derivative, torch: str, latex: str = "", llvm: str = "") -> Op:
    return Op(name, 1, derivative, torch, llvm or name, f"{name}({{0}})", latex or rf"\{name}\left({{0}}\right)")


def _named(name: str, expand: Callable[..., Expr], arity: int = 1) -> Op:
    slots = ", ".join(f"{{{i}}}" for i in range(arity))
    spelled = name.replace("_", r"\_")
    return Op(name, arity, text=f"{name}({slots})", latex=rf"\operatorname{{{{{spelled}}}}}\left({slots}\right)", expand=expand)


_ROWS = (
    # arithmetic
    Op("add", 2, lambda g, y, a, b: (g, g), "a + b", "fadd", "{0} + {1}", "{0} + {1}", 4),
    Op("sub", 2, lambda g, y, a, b: (g, -g), "a - b", "fsub", "{0} - {1}", "{0} - {1}", 4),
    Op("mul", 2, lambda g, y, a, b: (g * b, g * a), "a * b", "fmul", "{0} * {1}", r"{0} \odot {1}", 6),
    Op("div", 2, lambda g, y, a, b: (g / b, -(g * y / b)), "a / b", "fdiv", "{0} / {1}", r"\frac{{{0}}}{{{1}}}", 6),
    Op("neg", 1, lambda g, y, a: (-g,), "-a", "fneg", "-{0}", "-{0}", 7),
    # functions of one value
    _function("sigmoid", lambda g, y, a: (g * (y * (1 - y)),), "torch.sigmoid(a)", r"\sigma\left({0}\right)"),
    _function("tanh", lambda g, y, a: (g * (1 - y * y),), "torch.tanh(a)"),
    _function("relu", lambda g, y, a: (g * (a > 0),), "torch.relu(a)", r"\operatorname{{relu}}\left({0}\right)"),
    _function("softplus", lambda g, y, a: (g * sigmoid(a),), "torch.logaddexp(a, torch.zeros_like(a))",
              r"\operatorname{{softplus}}\left({0}\right)"),
    _function("exp", lambda g, y, a: (g * y,), "torch.exp(a)"),
    _function("log", lambda g, y, a: (g / a,), "torch.log(a)"),
    _function("sqrt", lambda g, y, a: (g * 0.5 / y,), "torch.sqrt(a)", r"\sqrt{{{0}}}"),
    _function("sin", lambda g, y, a: (g * cos(a),), "torch.sin(a)"),
    _function("cos", lambda g, y, a: (-(g * sin(a)),), "torch.cos(a)"),
    _function("erf", lambda g, y, a: (g * (exp(-(a * a)) * (2 / math.sqrt(math.pi))),), "torch.erf(a)",
              r"\operatorname{{erf}}\left({0}\right)"),
    _function("abs", lambda g, y, a: (g * _sign(a),), "torch.abs(a)", r"\left|{0}\right|"),
    _function("floor", lambda g, y, a: (None,), "torch.floor(a)", r"\left\lfloor {0} \right\rfloor"),
    _named("silu", lambda a: a * sigmoid(a)),
    _named("gelu", _expand_gelu),
    _named("softsign", lambda a: a / (1 + abs(a))),
    _named("hard_sigmoid", lambda a: clamp(a / 6 + 0.5, 0, 1)),
    _named("hard_tanh", lambda a: clamp(a, -1, 1)),
    # choices
    Op("minimum", 2, lambda g, y, a, b: (_tied(g, a < b, a, b), _tied(g, b < a, a, b)), "torch.minimum(a, b)", "minimum",
       "minimum({0}, {1})", r"\min\left({0}, {1}\right)"),
    Op("maximum", 2, lambda g, y, a, b: (_tied(g, a > b, a, b), _tied(g, b > a, a, b)), "torch.maximum(a, b)", "maximum",
       "maximum({0}, {1})", r"\max\left({0}, {1}\right)"),
    _named("clamp", lambda a, low, high: minimum(maximum(a, low), high), 3),
    _named("mod", lambda a, b: a - b * floor(a / b), 2),
    Op("where", 3, lambda g, y, c, a, b: (None, where(c, g, 0), where(c, 0, g)), "torch.where(a != 0, b, c)", "where",
       "where({0}, {1}, {2})", r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}"),
    Op("lt", 2, lambda g, y, a, b: (None, None), "(a < b).to(a.dtype)", "lt", "{0} < {1}", r"\left[{0} < {1}\right]", 1),
    Op("le", 2, lambda g, y, a, b: (None, None), "(a <= b).to(a.dtype)", "le", "{0} <= {1}", r"\left[{0} \le {1}\right]", 1),
    Op("eq", 2, lambda g, y, a, b: (None, None), "(a == b).to(a.dtype)", "eq", "{0} == {1}", r"\left[{0} = {1}\right]", 1),
    Op("ne", 2, lambda g, y, a, b: (None, None), "(a != b).to(a.dtype)", "ne", "{0} != {1}", r"\left[{0} \ne {1}\right]", 1),
    Op("and", 2, text="{0} & {1}", latex=r"{0} \land {1}", rank=3, expand=lambda a, b: _truth(a) * _truth(b)),
    Op("or", 2, text="{0} | {1}", latex=r"{0} \lor {1}", rank=2, expand=lambda a, b: maximum(_truth(a), _truth(b))),
    Op("not", 1, text="~{0}", latex=r"\lnot {0}", rank=7, expand=lambda a: apply("eq", a, 0)),
    # over the features
    Op("sum", 1, lambda g, y, a: (spread(g, a.width),), "a.sum(-1, keepdim=True)", "sum", "sum({0})", r"\textstyle\sum {0}",
       kind="reduction"),
    Op("max", 1, lambda g, y, a: (g / total(apply("eq", a, y)) * apply("eq", a, y),), "a.amax(-1, keepdim=True)", "max",
       "max({0})", r"\max\left({0}\right)", kind="reduction"),
    _named("mean", lambda a: total(a) / node("size", (), (a.width,), ONE)),
    _named("normalise", _expand_normalise, 2),
    Op("spread", 1, lambda g, y, a: (g,), "a.expand(*a.shape[:-1], {width})", "spread", "spread({0})", "{0}", kind="structure"),
    Op("concat", -1, None, "torch.cat({args}, -1)", "concat", "concat({args})", r"\left[{args}\right]", kind="structure"),
    Op("slice", 1, None, "a[..., {start}:{stop}]", "slice", "{0}[{start}:{stop}]",
       r"{0}\left[{start} : {stop}\right]", 8, kind="structure"),
    # products
    Op("matmul", 2, None, "b @ a.mT", "matmul", "{0} @ {1}", r"{0} {1}", 5, kind="product"),
    Op("matmul_t", 2, None, "b @ a", "matmul_t", "{0}.T @ {1}", r"{0}^\top {1}", 5, kind="product"),
)  # fmt: skip

OPS: dict[str, Op] = {row.name: row for row in _ROWS}


def apply(op: str, *args: object) -> Expr:
    """The op ``op`` of ``args``, checked; plain numbers become constants, and what needs no computing is not computed.

    Raises:
        CellError: a wrong number or kind of arguments, or widths that do not fit.
    """
    values = tuple(_lift(arg, op) for arg in args)
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
    if row.kind == "reduction" or op == "mean":
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


def _lift(value: object, op: str) -> Expr:
    if isinstance(value, Expr):
        return value
    if isinstance(value, Real):
        return constant(float(value))
    if isinstance(value, Refusals):
        raise CellError(f"{op} takes expressions and numbers, not {value!r}, which only multiplies a vector from the left")
    if hasattr(value, "shape"):
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


def _fold(op: str, values: tuple[Expr, ...]) -> Expr | None:
    """What needs no computing: arithmetic of constants, and sums with 0 and products with 1 where the width stays."""
    if op in _ARITHMETIC and all(value.op == "constant" for value in values):
        numbers = [value.attrs[0] for value in values]
        return None if op == "div" and numbers[1] == 0 else constant(_ARITHMETIC[op](*numbers))
    if op == "neg" and values[0].op == "neg":
        return values[0].args[0]
    if op == "mul" and (_is(values[0], 1) or _is(values[1], 1)):
        return values[1] if _is(values[0], 1) else values[0]
    if op == "add" and (_is(values[0], 0) or _is(values[1], 0)):
        return values[1] if _is(values[0], 0) else values[0]
    if (op == "sub" and _is(values[1], 0)) or (op == "div" and _is(values[1], 1)):
        return values[0]
    return None


_ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "lt": lambda a, b: float(a < b),
    "le": lambda a, b: float(a <= b),
    "eq": lambda a, b: float(a == b),
    "ne": lambda a, b: float(a != b),
    "and": lambda a, b: float(a != 0 and b != 0),
    "or": lambda a, b: float(a != 0 or b != 0),
    "not": lambda a: float(a == 0),
}


def _caller(op: str) -> Callable[..., Expr]:
    def call(*args: object) -> Expr:
        return apply(op, *args)

    call.__name__ = call.__qualname__ = op
    over = "over the features, one number" if OPS[op].kind == "reduction" or op == "mean" else "feature by feature"
    call.__doc__ = f"``{OPS[op].text.format('a', 'b', 'c')}``, {over}."
    return call


sigmoid: Function = _caller("sigmoid")
tanh: Function = _caller("tanh")
relu: Function = _caller("relu")
softplus: Function = _caller("softplus")
exp: Function = _caller("exp")
log: Function = _caller("log")
sqrt: Function = _caller("sqrt")
sin: Function = _caller("sin")
cos: Function = _caller("cos")
erf: Function = _caller("erf")
floor: Function = _caller("floor")
silu: Function = _caller("silu")
gelu: Function = _caller("gelu")
softsign: Function = _caller("softsign")
hard_sigmoid: Function = _caller("hard_sigmoid")
hard_tanh: Function = _caller("hard_tanh")
minimum: Function = _caller("minimum")
maximum: Function = _caller("maximum")
clamp: Function = _caller("clamp")
where: Function = _caller("where")
equal: Function = _caller("eq")
total: Function = _caller("sum")
mean: Function = _caller("mean")
largest: Function = _caller("max")


def concat(*values: Expr) -> Expr:
    """The features of all ``values`` behind one another."""
    if not values:
        raise CellError("concat needs at least one vector")
    return (
        apply("concat", *values)
        if len(values) > 1
        else values[0]
        if isinstance(values[0], Expr)
        else _lift(values[0], "concat")
    )


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
    """Positive numbers in the proportion of ``exp(value)`` that sum to one over the features."""
    e = exp(value - largest(value))
    return e / total(e)


FUNCTIONS = (
    "clamp", "concat", "cos", "equal", "erf", "exp", "floor", "gelu", "hard_sigmoid", "hard_tanh", "largest", "log",
    "maximum", "mean", "minimum", "normalise", "relu", "sigmoid", "silu", "sin", "softmax", "softplus", "softsign",
    "split", "sqrt", "tanh", "total", "where",
)  # fmt: skip
"""The names of the functions that a cell may use."""

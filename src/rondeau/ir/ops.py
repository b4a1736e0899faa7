"""The op table: the only place where an op is known.

A row gives an op's number of arguments, its width, its derivative, its spelling in torch, its routine in LLVM, and how it
is written as text and as LaTeX. A row either is primitive (it has a torch and an LLVM spelling) or expands into others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from rondeau.errors import CellError
from rondeau.ir.expressions import Expr, constant, node
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
    Op("lt", 2, lambda g, y, a, b: (None, None), "(a < b).to(a.dtype)", "lt", "{0} < {1}", r"\left[{0} < {1}\right]", 3),
    Op("le", 2, lambda g, y, a, b: (None, None), "(a <= b).to(a.dtype)", "le", "{0} <= {1}", r"\left[{0} \le {1}\right]", 3),
    Op("eq", 2, lambda g, y, a, b: (None, None), "(a == b).to(a.dtype)", "eq", "equal({0}, {1})", r"\left[{0} = {1}\right]"),
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
    """The op ``op`` of ``args``, checked; plain numbers become constants.

    Raises:
        CellError: a wrong number or kind of arguments, or widths that do not fit.
    """
    values = tuple(_lift(arg, op) for arg in args)
    row = OPS[op]
    if row.kind == "product":
        return _product(op, *values)
    for value in values:
        if value.op == "matrix":
            raise CellError(f"{op} got the matrix {value!r}; a matrix only multiplies a vector, as in W @ x")
    folded = _fold(op, values)
    if folded is not None:
        return folded
    if op == "concat":
        return node(op, values, (), sum((v.width for v in values[1:]), values[0].width))
    if row.kind == "reduction" or op == "mean":
        return node(op, values, (), ONE)
    return node(op, values, (), _joint_width(op, values))


def _lift(value: object, op: str) -> Expr:
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, float)):
        return constant(value)
    hint = "; name a gate of it, as in W.r" if hasattr(value, "gates") else ""
    raise CellError(f"{op} takes expressions and numbers, not {value!r}{hint}")


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
    if vector.op == "matrix":
        raise CellError(f"the right side of @ must be a vector, not the weight {vector!r}")
    rows, columns = (matrix.width, matrix.attrs[3]) if op == "matmul" else (matrix.attrs[3], matrix.width)
    if columns != vector.width:
        raise CellError(f"{matrix!r} @ {vector!r}: the weight takes {columns} features, the vector has {vector.width}")
    return node(op, (matrix, vector), (), rows)


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
}


def _caller(op: str) -> Callable[..., Expr]:
    def call(*args: object) -> Expr:
        if len(args) != OPS[op].arity:
            raise CellError(f"{op} takes {OPS[op].arity} arguments, got {len(args)}")
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
    return values[0] if len(values) == 1 else apply("concat", *values)


def spread(value: Expr, width: Width) -> Expr:
    """A scalar stretched to ``width`` features."""
    if width.is_one:
        return value
    if not value.width.is_one:
        raise CellError(f"only a scalar can be spread, but {value!r} is {value.width} wide")
    return node("spread", (value,), (width,), width)


def features(value: Expr, part: object) -> Expr:
    """A range of the features of ``value``: ``v[a:b]``, with widths such as ``"hidden/2"`` or numbers as bounds."""
    if not isinstance(part, slice) or part.step is not None:
        raise CellError(f"take a range of features as v[a:b], not v[{part!r}]")
    start = Width.of(part.start if part.start is not None else 0)
    stop = Width.of(part.stop) if part.stop is not None else value.width
    if value.op == "matrix":
        raise CellError("a weight has no features to take a range of; take the range of the vector")
    if start == Width.of(0) and stop == value.width:
        return value
    if value.op == "spread":
        return spread(value.args[0], stop - start)
    return node("slice", (value,), (start, stop), stop - start)


def split(value: Expr, parts: int) -> tuple[Expr, ...]:
    """``value`` cut into ``parts`` ranges of equal width."""
    bounds = [value.width.scaled(Fraction(i, parts)) for i in range(parts + 1)]
    return tuple(features(value, slice(a, b)) for a, b in zip(bounds, bounds[1:]))


def normalise(value: Expr, epsilon: float = 1e-5) -> Expr:
    """``value`` shifted and scaled to mean 0 and variance 1 over its features; ``epsilon`` is added to the variance."""
    return apply("normalise", value, epsilon)


def softmax(value: Expr) -> Expr:
    """Positive numbers in the proportion of ``exp(value)`` that sum to one over the features."""
    e = exp(value - largest(value))
    return e / total(e)

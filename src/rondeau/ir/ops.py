"""The op table: the only place where an op is known.

A row gives an op's number of arguments, its width, its derivative, its spelling in torch, its routine in LLVM, and how it
is written as text and as LaTeX. A row either is primitive (it has a torch and an LLVM spelling) or expands into others.

Derivatives and expansions compute with expressions, of which the table knows only that they have operators and build what is
above them themselves: ``a.apply("exp")`` is the op ``exp`` of ``a``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Derivative = Callable[..., tuple[Any, ...]]
Expansion = Callable[..., Any]
Folding = Callable[..., float]
Kind = Literal["pointwise", "reduction", "structure", "product"]
LEAVES = frozenset({"input", "state", "vector", "matrix", "constant", "size"})


@dataclass(frozen=True)
class Op:
    """One row of the table.

    ``derivative(g, y, *args)`` gives, for the cotangent ``g`` of the result ``y``, the cotangent of each argument (None: no
    derivative flows), at the width of the result; what was stretched is summed by the caller. ``torch`` is an expression
    in ``a``, ``b``, ``c``. ``llvm`` is a routine that the LLVM emitter knows, or an intrinsic by its name, as ``llvm.fma``.
    ``text`` and ``latex`` are templates over the spelled arguments; ``rank`` is the binding strength of the text form (atoms 9,
    parts 8, unary 7, products of features 6, matrix products 5, sums 4, comparisons 1). ``fold`` computes the op of plain
    numbers, for those that are computed while a cell is written. What is ``cheap`` costs no more than an addition, so that the
    compiler computes it again rather than keep its value in memory.
    """

    name: str
    arity: int
    derivative: Derivative | None = None
    torch: str = ""
    llvm: str = ""
    text: str = ""
    latex: str = ""
    rank: int = 9
    expand: Expansion | None = None
    kind: Kind = "pointwise"
    fold: Folding | None = None
    cheap: bool = False


def _truth(value: Any) -> Any:
    """One where ``value`` is not zero, else zero."""
    return value if value.op in ("lt", "le", "eq", "ne") else value.apply("ne", 0)


def _sign(x: Any) -> Any:
    return (x > 0) - (x < 0)


def _tied(g: Any, wins: Any, a: Any, b: Any) -> Any:
    return g * (wins + (a == b) * 0.5)


def _expand_gelu(x: Any) -> Any:
    return 0.5 * x * (1 + (x * math.sqrt(0.5)).apply("erf"))


def _expand_normalise(x: Any, epsilon: Any) -> Any:
    centred = x - x.apply("mean")
    return centred / ((centred * centred).apply("mean") + epsilon).apply("sqrt")


def _both(a: float, b: float) -> bool:
    return a != 0 and b != 0


def _either(a: float, b: float) -> bool:
    return a != 0 or b != 0


def _function(name: str, derivative: Derivative, torch: str, latex: str = "", cheap: bool = False) -> Op:
    spelled = latex or rf"\{name}\left({{0}}\right)"
    return Op(name, 1, derivative, torch, name, f"{name}({{0}})", spelled, cheap=cheap)


def _named(name: str, expand: Expansion, arity: int = 1, kind: Kind = "pointwise") -> Op:
    places = ", ".join(f"{{{i}}}" for i in range(arity))
    spelled = name.replace("_", r"\_")
    latex = rf"\operatorname{{{{{spelled}}}}}\left({places}\right)"
    return Op(name, arity, text=f"{name}({places})", latex=latex, expand=expand, kind=kind)


_ROWS = (
    # arithmetic
    Op("add", 2, lambda g, y, a, b: (g, g), "a + b", "fadd", "{0} + {1}", "{0} + {1}", 4, fold=operator.add,
       cheap=True),
    Op("sub", 2, lambda g, y, a, b: (g, -g), "a - b", "fsub", "{0} - {1}", "{0} - {1}", 4, fold=operator.sub,
       cheap=True),
    Op("mul", 2, lambda g, y, a, b: (g * b, g * a), "a * b", "fmul", "{0} * {1}", r"{0} \odot {1}", 6,
       fold=operator.mul, cheap=True),
    Op("div", 2, lambda g, y, a, b: (g / b, -(g * y / b)), "a / b", "fdiv", "{0} / {1}", r"\frac{{{0}}}{{{1}}}", 6,
       fold=operator.truediv),
    Op("neg", 1, lambda g, y, a: (-g,), "-a", "fneg", "-{0}", "-{0}", 7, fold=operator.neg, cheap=True),
    # functions of one value
    _function("sigmoid", lambda g, y, a: (g * (y * (1 - y)),), "torch.sigmoid(a)", r"\sigma\left({0}\right)"),
    _function("tanh", lambda g, y, a: (g * (1 - y * y),), "torch.tanh(a)"),
    _function("relu", lambda g, y, a: (g * (a > 0),), "torch.relu(a)", r"\operatorname{{relu}}\left({0}\right)",
              cheap=True),
    _function("softplus", lambda g, y, a: (g * a.apply("sigmoid"),), "torch.logaddexp(a, torch.zeros_like(a))",
              r"\operatorname{{softplus}}\left({0}\right)"),
    _function("exp", lambda g, y, a: (g * y,), "torch.exp(a)"),
    _function("log", lambda g, y, a: (g / a,), "torch.log(a)"),
    _function("sqrt", lambda g, y, a: (g * 0.5 / y,), "torch.sqrt(a)", r"\sqrt{{{0}}}"),
    _function("sin", lambda g, y, a: (g * a.apply("cos"),), "torch.sin(a)"),
    _function("cos", lambda g, y, a: (-(g * a.apply("sin")),), "torch.cos(a)"),
    _function("erf", lambda g, y, a: (g * ((-(a * a)).apply("exp") * (2 / math.sqrt(math.pi))),), "torch.erf(a)",
              r"\operatorname{{erf}}\left({0}\right)"),
    _function("abs", lambda g, y, a: (g * _sign(a),), "torch.abs(a)", r"\left|{0}\right|", cheap=True),
    _function("floor", lambda g, y, a: (None,), "torch.floor(a)", r"\left\lfloor {0} \right\rfloor", cheap=True),
    _named("silu", lambda a: a * a.apply("sigmoid")),
    _named("gelu", _expand_gelu),
    _named("softsign", lambda a: a / (1 + abs(a))),
    _named("hard_sigmoid", lambda a: (a / 6 + 0.5).apply("clamp", 0, 1)),
    _named("hard_tanh", lambda a: a.apply("clamp", -1, 1)),
    # choices
    Op("minimum", 2, lambda g, y, a, b: (_tied(g, a < b, a, b), _tied(g, b < a, a, b)), "torch.minimum(a, b)", "minimum",
       "minimum({0}, {1})", r"\min\left({0}, {1}\right)", cheap=True),
    Op("maximum", 2, lambda g, y, a, b: (_tied(g, a > b, a, b), _tied(g, b > a, a, b)), "torch.maximum(a, b)", "maximum",
       "maximum({0}, {1})", r"\max\left({0}, {1}\right)", cheap=True),
    _named("clamp", lambda a, low, high: a.apply("maximum", low).apply("minimum", high), 3),
    _named("mod", lambda a, b: a - b * (a / b).apply("floor"), 2),
    Op("where", 3, lambda g, y, c, a, b: (None, c.apply("where", g, 0), c.apply("where", 0, g)), "torch.where(a != 0, b, c)",
       "where", "where({0}, {1}, {2})", r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
       cheap=True),
    Op("lt", 2, lambda g, y, a, b: (None, None), "(a < b).to(a.dtype)", "lt", "{0} < {1}", r"\left[{0} < {1}\right]", 1,
       fold=operator.lt, cheap=True),
    Op("le", 2, lambda g, y, a, b: (None, None), "(a <= b).to(a.dtype)", "le", "{0} <= {1}", r"\left[{0} \le {1}\right]", 1,
       fold=operator.le, cheap=True),
    Op("eq", 2, lambda g, y, a, b: (None, None), "(a == b).to(a.dtype)", "eq", "{0} == {1}", r"\left[{0} = {1}\right]", 1,
       fold=operator.eq, cheap=True),
    Op("ne", 2, lambda g, y, a, b: (None, None), "(a != b).to(a.dtype)", "ne", "{0} != {1}", r"\left[{0} \ne {1}\right]", 1,
       fold=operator.ne, cheap=True),
    Op("and", 2, text="{0} & {1}", latex=r"{0} \land {1}", rank=3, expand=lambda a, b: _truth(a) * _truth(b), fold=_both),
    Op("or", 2, text="{0} | {1}", latex=r"{0} \lor {1}", rank=2, expand=lambda a, b: _truth(a).apply("maximum", _truth(b)),
       fold=_either),
    Op("not", 1, text="~{0}", latex=r"\lnot {0}", rank=7, expand=lambda a: a == 0, fold=operator.not_),
    # over the features
    Op("sum", 1, lambda g, y, a: (g.spread(a.width),), "a.sum(-1, keepdim=True)", "sum", "sum({0})", r"\textstyle\sum {0}",
       kind="reduction"),
    Op("max", 1, lambda g, y, a: (g / (a == y).apply("sum") * (a == y),), "a.amax(-1, keepdim=True)", "max",
       "max({0})", r"\max\left({0}\right)", kind="reduction"),
    _named("mean", lambda a: a.apply("sum") / a.feature_count, kind="reduction"),
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

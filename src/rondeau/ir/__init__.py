"""Cells as values: expressions, the op table, tracing, verification and printing. Knows neither torch nor numpy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rondeau.ir.arguments import bias, context, input, mask, past, state, time, vector, weight
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import Expr
from rondeau.ir.functions import (
    clamp,
    concat,
    cos,
    equal,
    erf,
    exp,
    floor,
    gelu,
    hard_sigmoid,
    hard_tanh,
    largest,
    log,
    maximum,
    mean,
    minimum,
    normalise,
    relu,
    sigmoid,
    silu,
    sin,
    softmax,
    softplus,
    softsign,
    split,
    sqrt,
    tanh,
    total,
    where,
)
from rondeau.ir.initial import Initial, filled, glorot, hidden_uniform, identity, normal, orthogonal, uniform, zeros
from rondeau.ir.source import Source
from rondeau.ir.step import Equation
from rondeau.ir.tables import bibtex, count, table, text
from rondeau.ir.tracing import cell
from rondeau.ir.typesetting import latex
from rondeau.ir.verification import verify
from rondeau.ir.widths import Width

if TYPE_CHECKING:
    from rondeau.ir.serialise import from_json, to_json
else:

    def __getattr__(name: str) -> Any:  # reading and writing take as long to import as half of the rest, and few need them
        if name not in ("from_json", "to_json"):
            raise AttributeError(f"module 'rondeau.ir' has no attribute {name!r}")
        return getattr(import_module("rondeau.ir.serialise"), name)


__all__ = [
    "Cell",
    "Equation",
    "Expr",
    "Initial",
    "Input",
    "Parameter",
    "Source",
    "State",
    "Width",
    "bias",
    "bibtex",
    "cell",
    "clamp",
    "concat",
    "context",
    "cos",
    "count",
    "equal",
    "erf",
    "exp",
    "filled",
    "floor",
    "from_json",
    "gelu",
    "glorot",
    "hard_sigmoid",
    "hard_tanh",
    "hidden_uniform",
    "identity",
    "input",
    "largest",
    "latex",
    "log",
    "mask",
    "maximum",
    "mean",
    "minimum",
    "normal",
    "normalise",
    "orthogonal",
    "past",
    "relu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "sqrt",
    "state",
    "table",
    "tanh",
    "text",
    "time",
    "to_json",
    "total",
    "uniform",
    "vector",
    "verify",
    "weight",
    "where",
    "zeros",
]

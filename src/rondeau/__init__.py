"""Recurrent networks from their equations: write a cell, run it, train it, look inside it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rondeau import cells
from rondeau.errors import CellError, DataError, FallbackWarning, InputError, RondeauError, RondeauWarning, RunError
from rondeau.ir import (
    Cell,
    Expr,
    Source,
    bias,
    cell,
    clamp,
    concat,
    context,
    cos,
    equal,
    erf,
    exp,
    filled,
    floor,
    gelu,
    glorot,
    hard_sigmoid,
    hard_tanh,
    hidden_uniform,
    identity,
    input,
    largest,
    log,
    mask,
    maximum,
    mean,
    minimum,
    normal,
    normalise,
    orthogonal,
    past,
    relu,
    sigmoid,
    silu,
    sin,
    softmax,
    softplus,
    softsign,
    split,
    sqrt,
    state,
    tanh,
    time,
    total,
    uniform,
    vector,
    weight,
    where,
    zeros,
)

if TYPE_CHECKING:
    from rondeau import nn
    from rondeau.engine import explain, scan, step

__version__ = "0.1.0"

_LATE = {"nn": "rondeau.nn", "explain": "rondeau.engine", "scan": "rondeau.engine", "step": "rondeau.engine"}
"""What needs torch, which takes a second to import: it comes when it is first asked for."""


if not TYPE_CHECKING:  # or a type checker would take any name

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise AttributeError(f"module 'rondeau' has no attribute {name!r}")
        module = import_module(_LATE[name])
        return module if name == "nn" else getattr(module, name)


__all__ = [
    "Cell",
    "CellError",
    "DataError",
    "Expr",
    "FallbackWarning",
    "InputError",
    "RondeauError",
    "RondeauWarning",
    "RunError",
    "Source",
    "__version__",
    "bias",
    "cell",
    "cells",
    "clamp",
    "concat",
    "context",
    "cos",
    "equal",
    "erf",
    "exp",
    "explain",
    "filled",
    "floor",
    "gelu",
    "glorot",
    "hard_sigmoid",
    "hard_tanh",
    "hidden_uniform",
    "identity",
    "input",
    "largest",
    "log",
    "mask",
    "maximum",
    "mean",
    "minimum",
    "nn",
    "normal",
    "normalise",
    "orthogonal",
    "past",
    "relu",
    "scan",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "sqrt",
    "state",
    "step",
    "tanh",
    "time",
    "total",
    "uniform",
    "vector",
    "weight",
    "where",
    "zeros",
]

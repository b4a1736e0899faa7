"""Simple recurrent cells: Elman, Jordan, independently recurrent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rondeau.cells import sources
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr, bias, cell, input, orthogonal, state, uniform, vector, weight
from rondeau.ir.expressions import apply
from rondeau.ir.ops import OPS

Activation = Callable[[Expr], Expr]
ACTIVATIONS = tuple(name for name, row in OPS.items() if row.arity == 1 and row.kind == "pointwise")
"""The functions of one value in the op table."""


def activation_of(activation: str | Activation) -> Activation:
    """The function that a name of `ACTIVATIONS`, the op table's functions of one value, stands for, or the function itself.

    Raises:
        InputError: no such name.
    """
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise InputError(f"activation is one of {', '.join(ACTIVATIONS)}, or a function of an expression; got {activation!r}")
    return partial(apply, activation)


def elman(activation: str | Activation = "tanh", output: bool = False) -> Cell:
    """The simple recurrent cell: ``h = f(W x + U h + b)``, PyTorch's ``nn.RNN`` for tanh and relu.

    Args:
        activation: the name of any function of one value, as ``tanh``, ``relu``, ``gelu``, ``sin``, or a function of an
            expression.
        output: whether the cell has an output layer of its own, ``y = V h + d``, and so a size ``output``; else it outputs
            its state.

    Raises:
        InputError: no such activation.
    """
    f = activation_of(activation)
    if output:
        return _elman_output(f)

    @cell(source=sources.ELMAN.noting("any activation; the output layer is left to what comes after"))
    def elman(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden"), b=bias("hidden")):
        h = f(W @ x + U @ h + b)
        return h

    return elman


def _elman_output(f: Activation) -> Cell:
    @cell(source=sources.ELMAN.noting("any activation; the output layer is linear"))
    def elman_output(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        V=weight("output", "hidden"),
        d=bias("output"),
    ):
        h = f(W @ x + U @ h + b)
        y = V @ h + d
        return y, h

    return elman_output


def jordan(activation: str | Activation = "tanh") -> Cell:
    """Recurrence from the output alone: the hidden layer reads the previous output ``y``, not the previous hidden layer.

    Sizes: ``input``, ``hidden``, ``output``. The only state is the output.
    """
    f = activation_of(activation)

    @cell(source=sources.JORDAN.noting("the output has the same activation; no decay of the fed-back output"))
    def jordan(
        x=input(),
        y=state("output"),
        W=weight("hidden", "input"),
        U=weight("hidden", "output", init=orthogonal()),
        b=bias("hidden"),
        V=weight("output", "hidden"),
        c=bias("output"),
    ):
        h = f(W @ x + U @ y + b)
        y = f(V @ h + c)
        return y

    return jordan


def ind_rnn(activation: str | Activation = "relu") -> Cell:
    """Each unit sees only its own past: ``h = f(W x + u * h + b)``."""
    f = activation_of(activation)

    @cell(source=sources.INDRNN.noting("one layer, without batch normalisation"))
    def ind_rnn(x=input(), h=state(), W=weight("hidden", "input"), u=vector("hidden", init=uniform(0, 1)), b=bias("hidden")):
        h = f(W @ x + u * h + b)
        return h

    return ind_rnn

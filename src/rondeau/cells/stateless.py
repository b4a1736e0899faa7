"""Maps without a memory as cells, so that they step like one: a cell needs a state, and theirs is what they read last."""

from __future__ import annotations

from collections.abc import Callable

from rondeau.ir import Cell, Expr, bias, cell, input, normalise, state, vector, weight


def linear() -> Cell:
    """``y = W x + b``."""

    @cell
    def linear(x=input(), last=state("input"), W=weight("output", "input"), b=bias("output")):
        y = W @ x + b
        last = x
        return y, last

    return linear


def layer_norm(epsilon: float) -> Cell:
    """``x`` with mean 0 and variance 1 over its features, scaled by ``g`` and shifted by ``b``."""

    @cell
    def layer_norm(x=input(), last=state("input"), g=vector("input"), b=bias("input")):
        y = g * normalise(x, epsilon) + b
        last = x
        return y, last

    return layer_norm


def scaled() -> Cell:
    """``y = g x + b``, feature by feature."""

    @cell
    def scaled(x=input(), last=state("input"), g=vector("input"), b=bias("input")):
        y = g * x + b
        last = x
        return y, last

    return scaled


def pointwise(f: Callable[[Expr], Expr]) -> Cell:
    """``y = f(x)``."""

    @cell
    def pointwise(x=input(), last=state("input")):
        y = f(x)
        last = x
        return y, last

    return pointwise

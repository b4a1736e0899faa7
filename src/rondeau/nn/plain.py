"""PyTorch's modules without a state, as cells: what may stand between the layers of a stack that is stepped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from rondeau.cells.stateless import layer_norm, linear, pointwise
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr, gelu, relu, sigmoid, silu, softsign, tanh
from rondeau.nn.dropout import SequenceDropout
from rondeau.nn.linear import Linear
from rondeau.nn.stepper import Calls

NOTHING = (nn.Identity, nn.Dropout, nn.AlphaDropout, SequenceDropout)
"""Modules that change nothing after ``eval()``."""
FUNCTIONS: dict[type[nn.Module], Callable[[Expr], Expr]] = {
    nn.Tanh: tanh, nn.ReLU: relu, nn.Sigmoid: sigmoid, nn.SiLU: silu, nn.Softsign: softsign, nn.GELU: gelu,
}  # fmt: skip


def plain_step(module: nn.Module, x: Tensor, calls: Calls) -> Tensor:
    """Adds the step of a module without a state that reads ``x`` (batch, features): its output.

    Raises:
        InputError: it is of a kind for which there are no equations here.
    """
    if type(module) in NOTHING:
        return x
    if type(module) is nn.Sequential:
        for part in module:
            x = plain_step(part, x, calls)
        return x
    return calls.cell(_cell(module), partial(_params, module), x, (torch.zeros_like(x),))


def _cell(module: nn.Module) -> Cell:
    kind = type(module)
    if isinstance(module, nn.Linear) and kind in (nn.Linear, Linear):
        return linear()
    if isinstance(module, nn.LayerNorm) and kind is nn.LayerNorm and len(module.normalized_shape) == 1:
        return layer_norm(module.eps)
    if kind in FUNCTIONS and getattr(module, "approximate", "none") == "none":
        return pointwise(FUNCTIONS[kind])
    names = ", ".join(each.__name__ for each in (nn.Linear, nn.LayerNorm, *FUNCTIONS, *NOTHING))
    raise InputError(
        f"{module} cannot be stepped; a stepper takes layers and {names}: step what is below and above it, and call it between"
    )


def _params(module: nn.Module) -> dict[str, Tensor]:
    """The parameters of the module's cell; those that it does without at the values that change nothing."""
    if isinstance(module, nn.Linear):
        W, b = module.weight, module.bias
        return {"W": W, "b": W.new_zeros(len(W)) if b is None else b}
    if isinstance(module, nn.LayerNorm):
        scale, shift = module.weight, module.bias
        one = torch.ones(module.normalized_shape) if scale is None else scale
        return {"g": one, "b": torch.zeros_like(one) if shift is None else shift}
    return {}

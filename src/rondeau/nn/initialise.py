"""Drawing the initial values that a cell describes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rondeau.ir import Initial, Parameter

DRAW: dict[str, Callable[..., Tensor]] = {
    "zeros": lambda block, sizes: block.zero_(),
    "filled": lambda block, sizes, value: block.fill_(value),
    "orthogonal": lambda block, sizes, gain: torch.nn.init.orthogonal_(block, gain) if block.numel() else block,
    "glorot": lambda block, sizes, gain: torch.nn.init.xavier_uniform_(block, gain) if block.numel() else block,
    "uniform": lambda block, sizes, low, high: block.uniform_(low, high),
    "normal": lambda block, sizes, deviation: block.normal_(0.0, deviation),
    "identity": lambda block, sizes, scale: block.copy_(scale * torch.eye(*block.shape, out=torch.empty_like(block))),
    "values": lambda block, sizes, *numbers: block.copy_(_array(numbers, block)),
    "hidden_uniform": lambda block, sizes: block.uniform_(-_reach(sizes), _reach(sizes)),
}


def draw(parameter: Parameter, sizes: Mapping[str, int], *, dtype: torch.dtype | None = None) -> Tensor:
    """The initial value of a packed parameter (gates * rows[, columns]), each gate's block drawn by itself, on the CPU."""
    wanted = dtype or torch.get_default_dtype()
    drawn = torch.promote_types(wanted, torch.float32)  # half has no QR
    value = torch.empty(parameter.shape(sizes), dtype=drawn, device="cpu")
    if parameter.init.shape:
        return value.copy_(_array(parameter.init.numbers, value)).to(wanted)
    rows = parameter.rows.bind(sizes)
    for index, gate in enumerate(parameter.gates):
        _fill(value[index * rows : (index + 1) * rows], parameter.init.gate(gate), sizes)
    return value.to(wanted)


def _fill(block: Tensor, init: Initial, sizes: Mapping[str, int]) -> None:
    with torch.no_grad():
        DRAW[init.kind](block, sizes, *init.numbers)


def _array(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device="cpu").reshape(like.shape)


def _reach(sizes: Mapping[str, int]) -> float:
    hidden = sizes.get("hidden", 0)
    return 1 / math.sqrt(hidden) if hidden else 0.0

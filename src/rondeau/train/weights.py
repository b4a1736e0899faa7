"""The weights of a model by name: taken, copied, put back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rondeau.errors import InputError


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters of a model and the buffers that it saves, such as running means, by name; one that is used twice once."""
    return {name: value.detach() for name, value in _own(model).items()}


def _own(model: nn.Module) -> dict[str, Tensor]:
    kept = set(model.state_dict())
    buffers = {name: value for name, value in model.named_buffers() if name in kept}
    return {**dict(model.named_parameters()), **buffers}


@torch.no_grad()
def put_weights(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Sets the parameters and buffers of a model to values that `weights` gave.

    Raises:
        InputError: others are given than it has, or of another shape or type.
    """
    own = _own(model)
    if {n: (v.shape, v.dtype) for n, v in own.items()} != {n: (v.shape, v.dtype) for n, v in values.items()}:
        raise InputError("the weights do not fit the model: give it those of a model of the same sizes")
    for name, value in values.items():
        own[name].copy_(value)


def copied(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that nothing changes."""
    return {name: value.detach().clone() for name, value in values.items()}

"""Optimizers by name: made from settings, and the tensors that each keeps for a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn, optim

from rondeau.errors import InputError
from rondeau.train.methods import OPTIMIZERS, options
from rondeau.train.settings import TrainingSettings

Groups = list[dict[str, Any]]


def _adamw(groups: Groups, lr: float, beta1: float, beta2: float, eps: float) -> optim.Optimizer:
    return optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def _adam(groups: Groups, lr: float, beta1: float, beta2: float, eps: float) -> optim.Optimizer:
    return optim.Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


MAKERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": optim.SGD,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
}
TENSORS: dict[str, tuple[str, ...]] = {
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
    "rmsprop": ("step", "square_avg", "momentum_buffer"),
    "adagrad": ("step", "sum"),
}
"""The tensors that each keeps for a parameter; that of the momentum only where there is any, and ``step`` is one number."""
KEEPING = ("amsgrad", "centered", "momentum")
"""The options of PyTorch's optimizers that decide which tensors are kept."""


def optimizer(model: nn.Module, settings: TrainingSettings) -> optim.Optimizer:
    """The optimizer that settings name, over all parameters that learn; weight decay is for matrices alone.

    Raises:
        InputError: a setting is out of range, or the optimizer has none of a name that is given.

    Example:
        >>> made = optimizer(nn.Linear(2, 3), TrainingSettings(optimizer="sgd", optimizer_options={"momentum": 0.5}))
        >>> type(made).__name__, made.param_groups[0]["momentum"]
        ('SGD', 0.5)
    """
    settings = settings.checked()
    own = options(settings.optimizer, OPTIMIZERS, settings.optimizer_options)
    return MAKERS[settings.optimizer](_groups(model, settings.weight_decay), lr=settings.learning_rate, **own)


def check(made: optim.Optimizer, settings: TrainingSettings) -> None:
    """Refuses an optimizer that is another one than the settings name, or keeps other tensors, as a checkpoint of it could not
    be read again.

    Raises:
        InputError: it is, or does.
    """
    some = nn.ParameterList([nn.Parameter(torch.zeros(1, 1))])  # which, unlike those of a layer, draws no random numbers
    wanted, advice = optimizer(some, settings), "make it with rondeau.train.optimizer(model, settings)"
    if type(made) is not type(wanted):
        raise InputError(
            f"the settings name {settings.optimizer}, but the optimizer is of the class {type(made).__name__}, which a run "
            f"folder cannot go on with; {advice}"
        )
    for group, name in product(made.param_groups, KEEPING):
        value, other = group.get(name), wanted.param_groups[0].get(name)
        if bool(value) != bool(other):
            raise InputError(
                f"the optimizer has {name}={value}, the {settings.optimizer} of the settings {name}={other}; they keep other "
                f"tensors, so a run folder could not go on; {advice}"
            )


def _groups(model: nn.Module, decay: float) -> Groups:
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def tensors(made: optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of an optimizer, as ``0.exp_avg`` for those of its first parameter."""
    parts = made.state_dict()["state"].items()
    tensors = ((f"{i}.{name}", value) for i, part in parts for name, value in part.items())
    return {name: value for name, value in tensors if isinstance(value, Tensor)}


def expected(made: optim.Optimizer, settings: TrainingSettings) -> Iterator[tuple[str, torch.dtype, tuple[int, ...]]]:
    """The name, type and shape of every tensor that `tensors` gives after a step."""
    momentum = options(settings.optimizer, OPTIMIZERS, settings.optimizer_options).get("momentum")
    for i, parameter in enumerate(p for group in made.param_groups for p in group["params"]):
        for name in TENSORS[settings.optimizer]:
            if name == "step":
                yield f"{i}.{name}", torch.float32, ()
            elif momentum or name != "momentum_buffer":
                yield f"{i}.{name}", parameter.dtype, tuple(parameter.shape)


def put(made: optim.Optimizer, found: dict[str, Tensor]) -> None:
    """Sets the tensors of an optimizer to those that `tensors` gave."""
    parts: dict[int, dict[str, Tensor]] = {}
    for name, value in found.items():
        index, _, field = name.partition(".")
        parts.setdefault(int(index), {})[field] = value
    made.load_state_dict({"state": parts, "param_groups": made.state_dict()["param_groups"]})

"""Losses by name: what a head gives for each target, how far that is from the truth, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rondeau.errors import InputError

Measure = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """How far outputs (..., outputs) are from targets, one number (...) for each.

    Args:
        name: as it is asked for.
        outputs: how many a head gives.
        measure: from outputs (..., outputs) and targets to losses (...); targets are classes (...) or numbers (..., targets).
        say: from outputs (..., outputs) to probabilities (..., classes) or numbers (..., targets[, quantiles]).
        in_nats: whether it is a cross entropy in nats.
    """

    name: str
    outputs: int
    measure: Measure
    say: Callable[[Tensor], Tensor]
    in_nats: bool = False


def cross_entropy(classes: int) -> Loss:
    """Softmax over classes, and the cross entropy in nats.

    Example:
        >>> loss = cross_entropy(4)
        >>> loss.measure(torch.zeros(1, 4), torch.tensor([2])), loss.say(torch.zeros(1, 4))
        (tensor([1.3863]), tensor([[0.2500, 0.2500, 0.2500, 0.2500]]))
    """

    def measure(outputs: Tensor, codes: Tensor) -> Tensor:
        return -outputs.log_softmax(-1).gather(-1, codes[..., None])[..., 0]

    return Loss("cross_entropy", classes, measure, lambda outputs: outputs.softmax(-1), in_nats=True)


def log_loss() -> Loss:
    """The logistic function of one output, the probability of the second of two classes, and the cross entropy in nats."""

    def measure(outputs: Tensor, codes: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs[..., 0], codes.to(outputs.dtype), reduction="none")

    return Loss("log_loss", 1, measure, lambda outputs: torch.cat([-outputs, outputs], -1).sigmoid(), in_nats=True)


def squared(targets: int) -> Loss:
    """The squared error, a mean over targets; what is said is the mean."""
    return Loss("squared", targets, lambda outputs, values: ((outputs - values) ** 2).mean(-1), lambda outputs: outputs)


def absolute(targets: int) -> Loss:
    """The absolute error, a mean over targets; what is said is the median."""
    return Loss("absolute", targets, lambda outputs, values: (outputs - values).abs().mean(-1), lambda outputs: outputs)


def quantile(targets: int, quantiles: Sequence[float]) -> Loss:
    """The pinball loss, a mean over targets and quantiles; what is said are the quantiles in ascending order (..., targets,
    quantiles). Source: Koenker & Bassett 1978.

    Raises:
        InputError: quantiles do not ascend between 0 and 1.

    Example:
        >>> quantile(1, (0.1, 0.5)).measure(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0]]))
        tensor([0.3000])
    """
    levels = tuple(quantiles)
    if not levels or list(levels) != sorted(set(levels)) or not all(0 < level < 1 for level in levels):
        raise InputError(f"quantiles ascend between 0 and 1, as (0.1, 0.5, 0.9); got {quantiles!r}")

    def apart(outputs: Tensor) -> Tensor:
        return outputs.unflatten(-1, (targets, len(levels)))

    def measure(outputs: Tensor, values: Tensor) -> Tensor:
        error = values[..., None] - apart(outputs)
        level = error.new_tensor(levels)
        return torch.maximum(level * error, (level - 1) * error).mean((-2, -1))

    return Loss("quantile", targets * len(levels), measure, lambda outputs: apart(outputs).sort(-1).values)


def classification(name: str, classes: int) -> Loss:
    """The loss of that name for so many classes: "cross_entropy", or "log_loss" for two; "auto" takes the one that fits.

    Raises:
        InputError: there is none of that name, or not for so many classes.
    """
    if name not in ("auto", "cross_entropy", "log_loss"):
        raise InputError(f"the loss of a classifier is auto, cross_entropy or log_loss, not {name!r}")
    if name == "log_loss" and classes != 2:
        raise InputError(f"log_loss is for two classes, and there are {classes}; take cross_entropy")
    return log_loss() if classes == 2 and name != "cross_entropy" else cross_entropy(classes)


def regression(name: str, targets: int, quantiles: Sequence[float]) -> Loss:
    """The loss of that name for so many targets: "squared", "absolute" or "quantile".

    Raises:
        InputError: there is none of that name, or quantiles do not ascend between 0 and 1.
    """
    if name == "quantile":
        return quantile(targets, quantiles)
    if name not in ("squared", "absolute"):
        raise InputError(f"the loss of a regressor is squared, absolute or quantile, not {name!r}")
    return squared(targets) if name == "squared" else absolute(targets)


__all__ = ["Loss", "absolute", "classification", "cross_entropy", "log_loss", "quantile", "regression", "squared"]

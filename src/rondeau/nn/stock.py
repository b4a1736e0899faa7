"""PyTorch's own recurrent layers from a cell and its parameters, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rondeau.cells import elman, gru, lstm, projected_lstm
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn.convert import from_convention, known, to_convention

Params = Mapping[str, Tensor]
KINDS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass(frozen=True)
class Found:
    """What a layer of PyTorch's is: the cell, the arguments of a layer of ours, and the parameters of each run in order."""

    cell: Cell
    options: dict[str, Any]
    params: list[dict[str, Tensor]]


def read(module: nn.RNNBase) -> Found:
    """What a layer of PyTorch's is.

    Raises:
        InputError: it is no LSTM, GRU or RNN of PyTorch's.
    """
    if not isinstance(module, (nn.LSTM, nn.GRU, nn.RNN)):
        raise InputError(f"the weights of a torch.nn.LSTM, GRU or RNN can be taken, not those of {type(module).__name__}")
    cell = _cell(module)
    names = ("input_size", "hidden_size", "num_layers", "bidirectional", "dropout")
    options = {name: getattr(module, name) for name in names}
    options |= {"projection": module.proj_size} if module.proj_size else {}
    endings = [f"_l{k}{way}" for k in range(module.num_layers) for way in ("", "_reverse")[: 1 + module.bidirectional]]
    return Found(cell, options, [from_convention(cell, weights(module, ending), "torch") for ending in endings])


def _cell(module: nn.RNNBase) -> Cell:
    if isinstance(module, nn.RNN):
        return elman(module.nonlinearity)
    if isinstance(module, nn.GRU):
        return gru()
    return projected_lstm() if module.proj_size else lstm()


def weights(module: nn.RNNBase, ending: str) -> dict[str, Tensor]:
    """The weights of one layer and direction, whose names end so, without that ending."""
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    names += ["weight_hr"] if module.proj_size else []
    return {name: getattr(module, name + ending) for name in names}


def write(cell: Cell, params: Sequence[Params], input_size: int, hidden_size: int, options: dict[str, Any]) -> nn.RNNBase:
    """The layer of PyTorch's with these parameters, copied, run by run.

    Raises:
        InputError: PyTorch has no such layer.
    """
    packed = [to_convention(cell, own, "torch") for own in params]
    _, form = known(cell)
    settings = options | {"batch_first": True, "bias": "bias_ih" in packed[0]}
    settings |= {"nonlinearity": form.activation} if form.kind == "rnn" else {}
    settings |= {"proj_size": packed[0]["weight_hr"].shape[0]} if form.projected else {}
    module = KINDS[form.kind](input_size, hidden_size, **settings, device="meta")
    ways = ("", "_reverse")[: 1 + module.bidirectional]
    endings = (f"_l{k}{way}" for k in range(module.num_layers) for way in ways)
    values = {name + ending: value for ending, own in zip(endings, packed) for name, value in own.items()}
    return filled(module, values)


def filled(module: Any, values: Mapping[str, Tensor]) -> Any:
    """A module made on the device ``meta`` with copies of these values for parameters."""
    module.load_state_dict({name: value.detach().clone() for name, value in values.items()}, assign=True)
    return module


__all__ = ["Found", "filled", "read", "weights", "write"]

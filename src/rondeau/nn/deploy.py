"""Models with PyTorch's own layers in place of ours, for what knows those alone."""

from __future__ import annotations

import copy

from torch import nn

from rondeau.nn.dropin import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

DROP_INS = (LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell)


def to_torch(model: nn.Module) -> nn.Module:
    """A copy of a model with PyTorch's own module in place of every drop-in, for ONNX, TorchScript or quantisation.

    A `Recurrent` has a method of that name; here it stays, since PyTorch's layers return another state than it does.

    Args:
        model: a module, or one of the drop-ins itself; it is left as it is.

    Example:
        >>> type(to_torch(nn.ModuleDict({"rnn": LSTM(3, 4)}))["rnn"])
        <class 'torch.nn.modules.rnn.LSTM'>
    """
    return _swapped(copy.deepcopy(model), {})


def _swapped(module: nn.Module, done: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in done:
        done[module] = module.to_torch() if isinstance(module, DROP_INS) else module
        for name, child in module._modules.items():
            if child is not None and done[module] is module:
                setattr(module, name, _swapped(child, done))
    return done[module]


__all__ = ["to_torch"]

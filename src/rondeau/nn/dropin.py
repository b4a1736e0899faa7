"""Drop-ins for ``torch.nn``: `RNN`, `LSTM`, `GRU` and their cells, with PyTorch's own constructors, parameters and errors.

They are subclasses, so constructor, state-dict keys, initial weights and checks are PyTorch's; the run itself is ours, on
`rondeau.scan`. TorchScript is not supported: ``torch.export`` and ``torch.compile`` are its successors.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rondeau import cells
from rondeau.engine import scan
from rondeau.ir import Cell

States = tuple[Tensor, ...]
CELLS: dict[str, Cell] = {
    "RNN_TANH": cells.elman(),
    "RNN_RELU": cells.elman("relu"),
    "LSTM": cells.lstm(),
    "GRU": cells.gru(),
    "PROJECTED": cells.projected_lstm(),
}


class _DropIn(nn.RNNBase):
    """What the three layers share: layers, directions, dropout between layers, packed and unbatched input."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As PyTorch's: input (time, batch, features), (batch, time, features) with batch_first, unbatched, or packed."""
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        if not batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
        x = input if self.batch_first else input.transpose(0, 1)
        state = self._given(hx, x, batched)
        self._check(input, state)
        y, last = self._layers(x, state, None)
        y = y if self.batch_first else y.transpose(0, 1).contiguous()
        if batched:
            return y, self._public(last)
        return y.squeeze(0 if self.batch_first else 1), self._public(tuple(value.squeeze(1) for value in last))

    def _packed(self, packed: PackedSequence, hx: Any) -> Any:
        x, lengths = pad_packed_sequence(packed, batch_first=True)
        state = self._given(hx, x, True)
        self.check_forward_args(packed.data, self._public(state), packed.batch_sizes)
        y, last = self._layers(x, state, lengths)
        order = packed.sorted_indices
        flat = y if order is None else y.index_select(0, order)
        sizes = lengths if order is None else lengths[order.cpu()]
        data = pack_padded_sequence(flat, sizes, batch_first=True)
        return PackedSequence(data.data, packed.batch_sizes, order, packed.unsorted_indices), self._public(last)

    def _given(self, hx: Any, x: Tensor, batched: bool) -> States:
        """The states given, (layers * directions, batch, width), or zeros."""
        names = ("h", "c") if self.mode == "LSTM" else ("h",)
        directions = self.num_layers * (2 if self.bidirectional else 1)
        if hx is None:
            widths = {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}
            return tuple(x.new_zeros(directions, x.shape[0], widths[name]) for name in names)
        given = tuple(hx) if self.mode == "LSTM" and isinstance(hx, (tuple, list)) else (hx,)
        if len(given) != len(names) or not all(isinstance(value, Tensor) for value in given):
            raise RuntimeError(
                f"{self._get_name()}: the initial state is {'a tuple (h, c) of tensors' if len(names) == 2 else 'a tensor'}"
            )
        wanted = 3 if batched else 2
        if any(value.dim() != wanted for value in given):
            kind = "batched 3-D input, hx should be 3-D" if batched else "unbatched 2-D input, hx should be 2-D"
            raise RuntimeError(f"For {kind} but got {[value.dim() for value in given]}-D")
        return given if batched else tuple(value.unsqueeze(1) for value in given)

    def _check(self, input: Tensor, state: States) -> None:
        self.check_forward_args(input, self._public(state), None)

    def _public(self, state: States) -> Any:
        return state if self.mode == "LSTM" else state[0]

    def _layers(self, x: Tensor, state: States, lengths: Tensor | None) -> tuple[Tensor, States]:
        directions = 2 if self.bidirectional else 1
        last: list[States] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                index = layer * directions + direction
                y, after = self._direction(x, tuple(v[index] for v in state), lengths, layer, direction == 1)
                outputs.append(y)
                last.append(after)
            x = outputs[0] if directions == 1 else torch.cat([y.transpose(0, 1) for y in outputs], -1).transpose(0, 1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = self._dropped(x, lengths)
        return x, tuple(torch.stack(values) for values in zip(*last))

    def _dropped(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Dropout on the same elements in the same order as PyTorch draws for: steps first, packed when packed."""
        if lengths is None:
            return nn.functional.dropout(x.transpose(0, 1).contiguous(), self.dropout).transpose(0, 1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        dropped = packed._replace(data=nn.functional.dropout(packed.data, self.dropout))
        return pad_packed_sequence(dropped, batch_first=True, total_length=x.shape[1])[0]

    def _direction(self, x: Tensor, state: States, lengths: Tensor | None, layer: int, reverse: bool) -> tuple[Tensor, States]:
        suffix = f"_l{layer}" + ("_reverse" if reverse else "")
        names = [
            "weight_ih",
            "weight_hh",
            *(["bias_ih", "bias_hh"] if self.bias else []),
            *(["weight_hr"] if self.proj_size else []),
        ]
        own = {name: getattr(self, name + suffix) for name in names}
        cell = CELLS["PROJECTED" if self.proj_size else self.mode]
        y, last = scan(cell, _params(self.mode, own), x, state, lengths=lengths, reverse=reverse)
        return y, last

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy, also after weight norm, whose computed weights a plain copy trips over."""
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = _copied(value, memo) if name != "_flat_weights" else []
        twin.__dict__["_flat_weights"] = [getattr(twin, name, None) for name in self._flat_weights_names]
        return twin


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    computed = isinstance(value, Tensor) and not value.is_leaf
    return value.detach().clone() if computed else copy.deepcopy(value, memo)


def _params(mode: str, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """PyTorch's parameters as the cell's, by name."""
    W, U = own["weight_ih"], own["weight_hh"]
    zero = W.new_zeros(W.shape[0]) if "bias_ih" not in own else None
    first, second = own.get("bias_ih", zero), own.get("bias_hh", zero)
    assert first is not None and second is not None
    if mode == "GRU":
        n = U.shape[1]
        gates = first[: 2 * n] + second[: 2 * n]
        return {"W": W, "U": U, "b": torch.cat([gates, first[2 * n :]]), "c": second[2 * n :]}
    params = {"W": W, "U": U, "b": first + second}
    return params | {"P": own["weight_hr"]} if "weight_hr" in own else params


class RNN(_DropIn, nn.RNN):
    """`torch.nn.RNN`, run by Rondeau.

    Example:
        >>> y, h = RNN(3, 4, batch_first=True)(torch.zeros(2, 5, 3))
        >>> y.shape, h.shape
        (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """


class LSTM(_DropIn, nn.LSTM):
    """`torch.nn.LSTM`, run by Rondeau; projections too."""


class GRU(_DropIn, nn.GRU):
    """`torch.nn.GRU`, run by Rondeau."""


class _CellDropIn(nn.Module):
    """Checks before PyTorch's own single step, which a malformed state can crash."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """As PyTorch's: input (batch, features) or (features,)."""
        wanted: Any = self
        pair = isinstance(self, nn.LSTMCell)
        given = (hx if isinstance(hx, (tuple, list)) else None) if pair else (hx,)
        shape = (*input.shape[:-1], wanted.hidden_size)
        if hx is not None:
            good = given is not None and len(given) == (2 if pair else 1) and all(isinstance(v, Tensor) for v in given)
            if not good:
                wanted_type = "a tuple (h, c) of tensors" if pair else "a tensor"
                raise RuntimeError(f"{self._get_name()}: the state is {wanted_type}, got {type(hx).__name__}")
            for value in given or ():
                if value.dim() == input.dim() and tuple(value.shape) != shape:
                    raise RuntimeError(f"{self._get_name()}: a state has the shape {tuple(value.shape)}, expected {shape}")
                if value.dtype != input.dtype:
                    raise RuntimeError(f"{self._get_name()}: the input is {input.dtype} but a state is {value.dtype}")
            hx = tuple(given or ()) if pair else hx
        return super().forward(input, hx)


class RNNCell(_CellDropIn, nn.RNNCell):
    """`torch.nn.RNNCell`; a malformed state is an error."""


class LSTMCell(_CellDropIn, nn.LSTMCell):
    """`torch.nn.LSTMCell`; a malformed state is an error."""


class GRUCell(_CellDropIn, nn.GRUCell):
    """`torch.nn.GRUCell`; a malformed state is an error."""

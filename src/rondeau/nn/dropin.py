"""Drop-ins for ``torch.nn``: `RNN`, `LSTM`, `GRU` and their cells, with PyTorch's own constructors, parameters and errors.

They are subclasses, so constructor, state-dict keys, initial weights and checks are PyTorch's; the run itself is ours, on
`rondeau.scan`. A single step is PyTorch's own kernel, a tenth of the cost of a scan, except inside function transforms, where
it is `rondeau.step`. Where a program is recorded that must run without Rondeau (ONNX, TorchScript), PyTorch's own layer is what
is recorded; ``torch.export`` records ours, which follows any number of steps.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rondeau import cells
from rondeau.engine import step
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.operator import for_onnx, recording
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn import stock
from rondeau.nn.packed import packed_like, padded
from rondeau.nn.precision import autocasting
from rondeau.nn.watching import Watched

States = tuple[Tensor, ...]
CELLS: dict[str, Cell] = {
    "RNN_TANH": cells.elman(),
    "RNN_RELU": cells.elman("relu"),
    "LSTM": cells.lstm(),
    "GRU": cells.gru(),
    "PROJECTED": cells.projected_lstm(),
}


def _for_others(layer: nn.Module) -> bool:
    """Whether PyTorch's own operators must run: a program is recorded that runs without us, by ``torch.jit.trace`` or for ONNX,
    or a weight is of a kind that acts on functions of PyTorch itself, as for gradients by sample."""
    kinds = set(map(type, layer._parameters.values()))
    return torch.jit.is_tracing() or for_onnx() or (kinds != _PLAIN and any(map(_acts_itself, kinds)))


_PLAIN = {nn.Parameter}


@cache
def _acts_itself(kind: type) -> bool:
    """Whether a class of weights has a ``__torch_function__`` of its own."""
    own = (vars(base).get("__torch_function__") for base in kind.__mro__ if base not in (Tensor, torch._C.TensorBase))
    return any(isinstance(function, classmethod) for function in own)


class _Swapped(nn.Module):
    """What layers and single steps share as stand-ins for PyTorch's.

    They can be copied also after weight norm or pruning, whose computed weights a plain copy trips over.
    """

    def to_torch(self) -> Any:
        """The module of `torch.nn` of the same kind with the same weights, copied; computed ones, as of weight norm, as they
        stand now."""
        kind: Any = next(kind for kind in _SETTINGS if isinstance(self, kind))
        names = ("input_size", "hidden_size", "bias", *_SETTINGS[kind])
        if isinstance(self, nn.RNNBase):
            names += ("num_layers", "batch_first", "dropout", "bidirectional")
        weight: Any = next(value for name, value in _weights(self).items() if "weight_hh" in name)
        twin = kind(**{name: getattr(self, name) for name in names}, device="meta", dtype=weight.dtype)
        stock.filled(twin, _weights(self))
        for name, parameter in twin.named_parameters():
            parameter.requires_grad_(getattr(self, name).requires_grad)
        return twin.train(self.training)

    def __prepare_scriptable__(self) -> Any:
        return self.to_torch()

    @property
    def qconfig(self) -> None:
        """None: PyTorch's quantisation looks layers up by their class, and would leave this one as it is without a word.

        Raises:
            InputError: it is set.
        """
        return None

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        raise InputError(
            f"torch.ao.quantization knows the layers of torch.nn alone, not rondeau.nn.{self._get_name()}; "
            "give it rondeau.nn.to_torch(model)"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = _copied(value, memo) if name != "_flat_weights" else []
        if isinstance(self, nn.RNNBase):
            twin.__dict__["_flat_weights"] = [getattr(twin, name, None) for name in self._flat_weights_names]
        return twin


_SETTINGS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.LSTM: ("proj_size",), nn.GRU: (), nn.RNN: ("nonlinearity",),
    nn.LSTMCell: (), nn.GRUCell: (), nn.RNNCell: ("nonlinearity",),
}  # fmt: skip
"""PyTorch's modules that have a drop-in, and the arguments that are its own."""


def _weights(module: Any) -> dict[str, Tensor]:
    """The weights as they run, by their names in `torch.nn`."""
    if isinstance(module, nn.RNNBase):
        return {name: getattr(module, name) for name in module._flat_weights_names}
    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ()))
    return {name: getattr(module, name) for name in names}


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    computed = isinstance(value, Tensor) and not value.is_leaf
    return value.detach().clone() if computed else copy.deepcopy(value, memo)


class _DropIn(_Swapped, Watched, nn.RNNBase):
    """What the three layers share: layers, directions, dropout between layers, packed and unbatched input."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As PyTorch's: input (time, batch, features), (batch, time, features) with batch_first, unbatched, or packed."""
        if _for_others(self) or self._left_to_pytorch(input):
            return super().forward(input, hx)
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
        if not x.shape[1]:
            raise RuntimeError(
                f"{self._get_name()}: Expected sequence length to be larger than 0 in RNN; nn.Recurrent takes empty sequences"
            )
        y, last = self._layers(x, state, None)
        y = y if self.batch_first else y.transpose(0, 1).contiguous()
        if batched:
            return y, self._public(last)
        return y.squeeze(0 if self.batch_first else 1), self._public(tuple(value.squeeze(1) for value in last))

    def _left_to_pytorch(self, input: Any) -> bool:
        """Whether this is inference with an LSTM on the CPU, where PyTorch's own kernel is the faster one."""
        if (
            self.mode != "LSTM"
            or self.proj_size
            or torch.is_grad_enabled()
            or not isinstance(input, Tensor)
            or input.device.type != "cpu"
        ):
            return False
        return transforming((input, *self._parameters.values())) is None and not recording(input)  # type: ignore[arg-type]

    def _packed(self, packed: PackedSequence, hx: Any) -> Any:
        x, lengths = padded(packed)
        state = self._given(hx, x, True)
        self._check(packed.data, state, packed.batch_sizes)
        y, last = self._layers(x, state, lengths)
        return packed_like(packed, y, lengths), self._public(last)

    def _given(self, hx: Any, x: Tensor, batched: bool) -> States:
        """The states given, (layers * directions, batch, width), or zeros."""
        names = ("h", "c") if self.mode == "LSTM" else ("h",)
        directions = self.num_layers * (2 if self.bidirectional else 1)
        if hx is None:
            widths = {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}
            return tuple(x.new_zeros(directions, x.shape[0], widths[name]) for name in names)
        given = _tensors(hx, len(names), self._get_name(), RuntimeError)
        wanted = 3 if batched else 2
        if any(value.dim() != wanted for value in given):
            kind = "batched 3-D input, hx should be 3-D" if batched else "unbatched 2-D input, hx should be 2-D"
            raise RuntimeError(f"For {kind} but got {[value.dim() for value in given]}-D")
        return given if batched else tuple(value.unsqueeze(1) for value in given)

    def _check(self, input: Tensor, state: States, batch_sizes: Tensor | None = None) -> None:
        self.check_forward_args(input, self._public(state), batch_sizes)
        _check_types(input, state, self._get_name())

    def _public(self, state: States) -> Any:
        return state if self.mode == "LSTM" else state[0]

    def _layers(self, x: Tensor, state: States, lengths: Tensor | None) -> tuple[Tensor, States]:
        directions = 2 if self.bidirectional else 1
        last: list[States] = []
        lower = self._autocast_type(x)
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
        states = tuple(torch.stack(values) if len(values) > 1 else values[0].unsqueeze(0) for values in zip(*last))
        if lower is None or x.dtype != torch.float32:
            return x, states
        return x.to(lower), tuple(value.to(lower) for value in states)

    def _autocast_type(self, x: Tensor) -> torch.dtype | None:
        """What PyTorch returns under autocast: its type, but from a GRU the input's."""
        if not autocasting(x):
            return None
        return x.dtype if self.mode == "GRU" else torch.get_autocast_dtype(x.device.type)

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
        if x.dtype != own["weight_ih"].dtype or state[0].dtype != x.dtype:  # autocast: a kernel casts what it wants itself
            x, state = x.to(own["weight_ih"].dtype), tuple(value.to(own["weight_ih"].dtype) for value in state)
        run = self._scan_of(layer, reverse)
        y, last = run(cell, _params(self.mode, own), x, state, lengths=lengths, reverse=reverse)
        return y, last


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


def _tensors(hx: Any, count: int, name: str, lone: type[Exception]) -> States:
    """A state as a tuple of tensors.

    Raises:
        TypeError: it is something else; for a tensor in place of a pair ``lone``, as PyTorch's layers and cells differ there.
        RuntimeError: there are not as many as the layer has states.
    """
    given = tuple(hx) if count == 2 and isinstance(hx, (tuple, list)) else (hx,)
    kind = "a tuple (h, c) of tensors" if count == 2 else "a tensor"
    if count == 2 and isinstance(hx, Tensor):
        raise lone(f"{name}: the state is {kind}, not one tensor; give both")
    if not all(isinstance(value, Tensor) for value in given):
        raise TypeError(f"{name}: the state is {kind}, not {_spelled(hx)}")
    if len(given) != count:
        raise RuntimeError(f"{name}: the state is {kind}, got {len(given)} tensors")
    return given


def _spelled(hx: Any) -> str:
    inside = ", ".join(type(value).__name__ for value in hx) if isinstance(hx, (tuple, list)) else ""
    return f"{type(hx).__name__} ({inside})" if inside else type(hx).__name__


def _check_types(input: Tensor, state: States, name: str) -> None:
    """Raises RuntimeError when a state has another type than the input, unless autocast sees to it."""
    for value in state:
        if value.dtype != input.dtype and not autocasting(input):
            raise RuntimeError(f"{name}: the input is {input.dtype} but a state is {value.dtype}; convert it with .to")


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


class _CellDropIn(_Swapped, nn.RNNCellBase):
    """One step: checked, then PyTorch's kernel, or `rondeau.step` inside function transforms, which that kernel refuses."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """As PyTorch's: input (batch, features) or (features,)."""
        if _for_others(self):
            return super().forward(input, hx)
        state = () if hx is None else self._checked(input, hx)
        weights = (weight for weight in self._parameters.values() if weight is not None)
        if transforming((input, *state, *weights)) is None:
            return super().forward(input, hx)
        return self._stepped(input, state)

    def _checked(self, input: Tensor, hx: Any) -> States:
        name = self._get_name()
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        state = _tensors(hx, 2 if isinstance(self, nn.LSTMCell) else 1, name, TypeError)
        shape = (*input.shape[:-1], self.hidden_size)
        for index, value in enumerate(state):
            if value.shape != shape:
                raise _misfit(name, input, value, index, shape)
        _check_types(input, state, name)
        return state

    def _stepped(self, input: Tensor, state: States) -> Any:
        if input.dim() not in (1, 2) or input.shape[-1] != self.weight_ih.shape[1]:
            return super().forward(input, state or None)  # which raises PyTorch's own error
        single = input.dim() == 1
        rows = (value.unsqueeze(0) if single else value for value in (input, *state))
        names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        x, *before = rows
        params = _params(self._mode, {name: getattr(self, name) for name in names})
        _, last = step(CELLS[self._mode], params, x, tuple(before) or None)
        last = tuple(value.squeeze(0) for value in last) if single else last
        return last if len(last) == 2 else last[0]

    @property
    def _mode(self) -> str:
        if isinstance(self, nn.RNNCell):
            return f"RNN_{self.nonlinearity.upper()}"
        return "LSTM" if isinstance(self, nn.LSTMCell) else "GRU"


def _misfit(name: str, input: Tensor, value: Tensor, index: int, shape: tuple[int, ...]) -> Exception:
    """The error for a state of the wrong shape, in PyTorch's words."""
    if value.dim() not in (1, 2):
        what = f"hx[{index}]" if name == "LSTMCell" else "hidden"
        return ValueError(f"{name}: Expected {what} to be 1D or 2D, got {value.dim()}D instead")
    if value.dim() != input.dim():
        return RuntimeError(f"{name}: a state has the shape {tuple(value.shape)}, expected {shape}")
    if value.dim() == 2 and len(value) != len(input):
        return RuntimeError(f"{name}: Input batch size {len(input)} doesn't match hidden{index} batch size {len(value)}")
    got = value.shape[-1]
    return RuntimeError(f"{name}: hidden{index} has inconsistent hidden_size: got {got}, expected {shape[-1]}")


class RNNCell(_CellDropIn, nn.RNNCell):
    """`torch.nn.RNNCell`; a malformed state is an error."""


class LSTMCell(_CellDropIn, nn.LSTMCell):
    """`torch.nn.LSTMCell`; a malformed state is an error."""


class GRUCell(_CellDropIn, nn.GRUCell):
    """`torch.nn.GRUCell`; a malformed state is an error."""

"""Weights between conventions, by gate name and without loss.

A convention is a table: how it names and orders the gates, whether its matrices are transposed, how many biases it has, and
which way its update gate points. Sources: torch.nn.LSTM and torch.nn.GRU; Keras 3 LSTM and GRU layers; the ONNX operators RNN,
LSTM and GRU; the lectures' ``W [h, x]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from rondeau.cells import gru
from rondeau.engine.fused import signature
from rondeau.errors import InputError
from rondeau.ir import Cell

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Gates:
    """One parameter set by gate: input weights, recurrent weights, biases beside the input and beside the state."""

    W: Mapping[str, Tensor]
    U: Mapping[str, Tensor]
    b: Mapping[str, Tensor]
    c: Mapping[str, Tensor]
    P: Mapping[str, Tensor]


@dataclass(frozen=True)
class Convention:
    """How a library packs a cell's gates; ``read`` gives the gates in its order, ``write`` packs them."""

    orders: Mapping[str, str]
    write: Callable[[Gates, tuple[str, ...], str], Weights]
    read: Callable[[Weights, tuple[str, ...], str], Gates]


def _kind(cell: Cell) -> str:
    """Which of the families that other libraries know a cell belongs to."""
    gates = tuple(cell.parameters[0].gates)
    for kind, wanted in (("lstm", ("i", "f", "g", "o")), ("gru", ("r", "z", "n")), ("rnn", ("",))):
        if gates == wanted and {p.name for p in cell.parameters} <= {"W", "U", "b", "c", "P"}:
            return kind
    raise InputError(f"{cell.name} is no LSTM, GRU or simple cell, so other libraries have no form for it")


def to_convention(cell: Cell, params: Mapping[str, Tensor], convention: str) -> Weights:
    """The parameters of ``cell`` as ``torch``, ``keras``, ``onnx`` or ``lecture`` packs them.

    Raises:
        InputError: the convention cannot say this cell, such as a reset gate on the other side of the product.

    Example:
        >>> from rondeau import cells, nn
        >>> layer = nn.Recurrent("lstm", 3, 4)
        >>> sorted(to_convention(layer.cell, layer.params, "keras"))
        ['bias', 'kernel', 'recurrent_kernel']
    """
    kind, form = _kind(cell), _convention(convention)
    _compatible(cell, kind, convention)
    order = tuple(form.orders[kind].split()) or ("",)
    return form.write(_split(cell, params, kind), order, kind)


def from_convention(cell: Cell, weights: Mapping[str, Tensor], convention: str) -> Weights:
    """The parameters of ``cell`` from weights packed as ``torch``, ``keras``, ``onnx`` or ``lecture`` does.

    Raises:
        InputError: a weight is missing, or the cell's equations differ from the convention's.
    """
    kind, form = _kind(cell), _convention(convention)
    _compatible(cell, kind, convention)
    order = tuple(form.orders[kind].split()) or ("",)
    try:
        gates = form.read(dict(weights), order, kind)
    except KeyError as missing:
        raise InputError(f"the {convention} weights of {cell.name} lack {missing}; got {', '.join(weights)}") from None
    return _joined(cell, gates)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise InputError(f"convention is one of {', '.join(CONVENTIONS)}, not {name!r}")
    return CONVENTIONS[name]


def _compatible(cell: Cell, kind: str, convention: str) -> None:
    names = {p.name for p in cell.parameters}
    if kind == "gru":
        after = _gru_form(cell)[0]
        if (convention == "torch" and not after) or (convention == "lecture" and after):
            side = "after" if convention == "torch" else "before"
            raise InputError(
                f"{convention} applies the reset gate {side} the product, {cell.name} does not; no weights make them equal"
            )
    if kind == "lstm" and "P" in names and convention != "onnx":
        raise InputError(f"the {convention} LSTM has no peepholes; use the onnx convention for diagonal ones")
    if "P" in names and cell.parameter("P").columns is not None:
        raise InputError("ONNX has diagonal peepholes only; a full matrix has no form there")


def _split(cell: Cell, params: Mapping[str, Tensor], kind: str) -> Gates:
    """By gate; the update gate of a cell where z = 1 takes the candidate is negated, since sigmoid(-a) = 1 - sigmoid(a)."""
    found = {p.name: dict(zip(p.gates, params[p.name].chunk(len(p.gates)))) for p in cell.parameters}
    gates = Gates(found["W"], found["U"], found.get("b", {}), found.get("c", {}), found.get("P", {}))
    return _negated(gates) if _inverted(cell, kind) else gates


def _inverted(cell: Cell, kind: str) -> bool:
    return kind == "gru" and not _gru_form(cell)[1]


def _gru_form(cell: Cell) -> tuple[bool, bool]:
    """Whether a GRU resets after the product, and whether its update gate at one keeps the old state."""
    for after, keeps, biased in product((True, False), repeat=3):
        if signature(gru(after, keeps, biased)) == signature(cell):
            return after, keeps
    raise InputError(f"{cell.name} has a GRU's gates but other equations, so other libraries have no form for it")


def _negated(gates: Gates) -> Gates:
    flip = {"z": -1.0}

    def part(group: Mapping[str, Tensor]) -> Weights:
        return {g: v * flip[g] if g in flip else v for g, v in group.items()}

    return Gates(part(gates.W), part(gates.U), part(gates.b), part(gates.c), gates.P)


def _joined(cell: Cell, gates: Gates) -> Weights:
    kind = _kind(cell)
    if _inverted(cell, kind):
        gates = _negated(gates)
    names = {p.name: p for p in cell.parameters}
    b, c = dict(gates.b), dict(gates.c)
    separate = set(names["c"].gates) if "c" in names else set()
    for gate, value in c.items():
        if gate not in separate:
            b[gate] = b[gate] + value if gate in b else value
    if "b" not in names and any(bool(value.any()) for value in b.values()):
        raise InputError(f"{cell.name} has no biases, but the weights have some that are not zero")
    groups: dict[str, Mapping[str, Tensor]] = {"W": gates.W, "U": gates.U, "b": b, "c": c, "P": gates.P}
    return {name: torch.cat([groups[name][gate] for gate in p.gates]) for name, p in names.items()}


def _cat(group: Mapping[str, Tensor], order: tuple[str, ...], like: Mapping[str, Tensor]) -> Tensor:
    """The gates in order; those that are missing as zeros."""
    return torch.cat([group[gate] if gate in group else like[gate].new_zeros(like[gate].shape[0]) for gate in order])


def _blocks(value: Tensor, order: tuple[str, ...]) -> dict[str, Tensor]:
    return dict(zip(order, value.chunk(len(order))))


def _write_torch(gates: Gates, order: tuple[str, ...], kind: str) -> Weights:
    return {
        "weight_ih": torch.cat([gates.W[g] for g in order]),
        "weight_hh": torch.cat([gates.U[g] for g in order]),
        "bias_ih": _cat(gates.b, order, gates.W),
        "bias_hh": _cat(gates.c, order, gates.W),
    }


def _read_torch(w: Weights, order: tuple[str, ...], kind: str) -> Gates:
    first, second = w.get("bias_ih"), w.get("bias_hh")
    b = {} if first is None else _blocks(first, order)
    c = {} if second is None else _blocks(second, order)
    return Gates(_blocks(w["weight_ih"], order), _blocks(w["weight_hh"], order), b, c, {})


def _write_keras(gates: Gates, order: tuple[str, ...], kind: str) -> Weights:
    bias = _cat(gates.b, order, gates.W)
    if kind == "gru" and gates.c:
        bias = torch.stack([bias, _cat(gates.c, order, gates.W)])
    return {
        "kernel": torch.cat([gates.W[g] for g in order]).T.contiguous(),
        "recurrent_kernel": torch.cat([gates.U[g] for g in order]).T.contiguous(),
        "bias": bias,
    }


def _read_keras(w: Weights, order: tuple[str, ...], kind: str) -> Gates:
    bias = w["bias"]
    first, second = (bias[0], _blocks(bias[1], order)) if bias.dim() == 2 else (bias, {})
    return Gates(_blocks(w["kernel"].T, order), _blocks(w["recurrent_kernel"].T, order), _blocks(first, order), second, {})


def _write_onnx(gates: Gates, order: tuple[str, ...], kind: str) -> Weights:
    weights = {
        "W": torch.cat([gates.W[g] for g in order])[None],
        "R": torch.cat([gates.U[g] for g in order])[None],
        "B": torch.cat([_cat(gates.b, order, gates.W), _cat(gates.c, order, gates.W)])[None],
    }
    return weights | ({"P": _cat(gates.P, ("i", "o", "f"), gates.W)[None]} if gates.P else {})


def _read_onnx(w: Weights, order: tuple[str, ...], kind: str) -> Gates:
    first, second = w["B"][0].chunk(2)
    P = _blocks(w["P"][0], ("i", "o", "f")) if "P" in w else {}
    return Gates(_blocks(w["W"][0], order), _blocks(w["R"][0], order), _blocks(first, order), _blocks(second, order), P)


def _write_lecture(gates: Gates, order: tuple[str, ...], kind: str) -> Weights:
    sign = {"z": -1.0} if kind == "gru" else {}
    joined = {f"W_{g or 'h'}": sign.get(g, 1.0) * torch.cat([gates.U[g], gates.W[g]], 1) for g in order}
    return joined | {f"b_{g or 'h'}": sign.get(g, 1.0) * (gates.b[g]) for g in order if g in gates.b}


def _read_lecture(w: Weights, order: tuple[str, ...], kind: str) -> Gates:
    sign = {"z": -1.0} if kind == "gru" else {}
    joined = {g: sign.get(g, 1.0) * w[f"W_{g or 'h'}"] for g in order}
    n = next(iter(joined.values())).shape[0]
    b = {g: sign.get(g, 1.0) * w[f"b_{g or 'h'}"] for g in order if f"b_{g or 'h'}" in w}
    return Gates({g: v[:, n:] for g, v in joined.items()}, {g: v[:, :n] for g, v in joined.items()}, b, {}, {})


CONVENTIONS: dict[str, Convention] = {
    "torch": Convention({"lstm": "i f g o", "gru": "r z n", "rnn": ""}, _write_torch, _read_torch),
    "keras": Convention({"lstm": "i f g o", "gru": "z r n", "rnn": ""}, _write_keras, _read_keras),
    "onnx": Convention({"lstm": "i o f g", "gru": "z r n", "rnn": ""}, _write_onnx, _read_onnx),
    "lecture": Convention({"lstm": "f i g o", "gru": "z r n", "rnn": ""}, _write_lecture, _read_lecture),
}
"""The conventions by name."""

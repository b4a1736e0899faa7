"""How other libraries pack the weights of an LSTM, a GRU and a simple cell: one table, `CONVENTIONS`.

Sources: torch.nn.LSTM, GRU and RNN; the Keras 3 layers LSTM, GRU and SimpleRNN; the ONNX operators LSTM, GRU and RNN; the
textbooks' ``W [h, x]`` and, with peepholes, ``W [c, h, x]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rondeau.errors import InputError

Weights = dict[str, Tensor]
Order = tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """What a cell is to other libraries. ``looking`` names the gates with peepholes; ``full``: through matrices."""

    kind: str
    looking: Order = ()
    full: bool = False
    projected: bool = False
    reset_after: bool = True
    update_keeps: bool = True
    activation: str = "tanh"


@dataclass(frozen=True)
class Gates:
    """The weights by gate: input, recurrent, biases beside the input and beside the state, peepholes; and the projection.

    At one the update gate of a GRU keeps the old state. A peephole is a vector or a matrix.
    """

    W: Mapping[str, Tensor]
    U: Mapping[str, Tensor]
    b: Mapping[str, Tensor]
    c: Mapping[str, Tensor]
    P: Mapping[str, Tensor]
    projection: Tensor | None = None


@dataclass(frozen=True)
class Convention:
    """How a library packs gates: the order for each kind of cell, why it cannot say a form, the writer and the reader."""

    orders: Mapping[str, str]
    refusal: Callable[[Form], str | None]
    write: Callable[[Gates, Order, Form], Weights]
    read: Callable[[Weights, Order, Form], Gates]

    def order(self, form: Form) -> Order:
        """The gates of a form in this library's order."""
        return tuple(self.orders[form.kind].split()) or ("",)


def blocks(weights: Weights, name: str, order: Order, dim: int) -> dict[str, Tensor]:
    """The weight ``name`` of ``dim`` dimensions cut into gates along its first.

    Raises:
        InputError: it is missing, or cannot be cut so.
    """
    value = _get(weights, name, dim)
    if value.shape[0] % len(order):
        raise InputError(f"{name} holds {len(order)} gates, but its {value.shape[0]} rows do not divide by {len(order)}")
    return dict(zip(order, value.chunk(len(order))))


def diagonal(matrix: Tensor, what: str) -> Tensor:
    """The diagonal of a matrix that has nothing else.

    Raises:
        InputError: it has.
    """
    vector = matrix.diagonal()
    if not torch.equal(matrix, torch.diag(vector)):
        raise InputError(f"{what} is a full matrix, not a diagonal one; there is no exact form with diagonal peepholes")
    return vector


def _get(weights: Weights, name: str, dim: int) -> Tensor:
    if name not in weights:
        raise InputError(f"the weights lack {name}; got {', '.join(weights) or 'none'}")
    if weights[name].dim() != dim:
        raise InputError(f"{name} has {dim} dimensions, but got the shape {tuple(weights[name].shape)}")
    return weights[name]


def _only(weights: Weights, *names: str) -> None:
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise InputError(f"the weights have {', '.join(unknown)}, which has no place here; known are {', '.join(names)}")


def _stacked(group: Mapping[str, Tensor], order: Order, like: Mapping[str, Tensor]) -> Tensor:
    """The gates in order; those that are missing as zeros."""
    return torch.cat([group[gate] if gate in group else like[gate].new_zeros(like[gate].shape[0]) for gate in order])


def _plain(form: Form, library: str, projection: bool = False) -> str | None:
    """Why a library without peepholes, and perhaps without projections, cannot say a form."""
    if form.looking:
        return f"{library} has no peepholes; diagonal ones fit onnx, all fit textbook"
    return f"{library} has no projected LSTM; use torch" if form.projected and not projection else None


def _refuse_torch(form: Form) -> str | None:
    if not form.reset_after:
        return "torch applies the reset gate after the product; no weights make them equal"
    if form.activation not in ("tanh", "relu"):
        return f"torch.nn.RNN knows tanh and relu, not {form.activation}"
    return _plain(form, "torch", projection=True)


def _refuse_textbook(form: Form) -> str | None:
    if form.kind == "gru" and form.reset_after:
        return "the textbook form applies the reset gate before the product; no weights make them equal"
    return "textbooks have no projected LSTM; use torch" if form.projected else None


def _write_torch(gates: Gates, order: Order, form: Form) -> Weights:
    found = {"weight_ih": torch.cat([gates.W[g] for g in order]), "weight_hh": torch.cat([gates.U[g] for g in order])}
    if gates.b:
        found |= {"bias_ih": _stacked(gates.b, order, gates.W), "bias_hh": _stacked(gates.c, order, gates.W)}
    return found if gates.projection is None else found | {"weight_hr": gates.projection.clone()}


def _read_torch(weights: Weights, order: Order, form: Form) -> Gates:
    _only(weights, "weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_hr"] if form.projected else []))
    first, second = (blocks(weights, n, order, 1) if n in weights else {} for n in ("bias_ih", "bias_hh"))
    projection = _get(weights, "weight_hr", 2) if form.projected else None
    return Gates(blocks(weights, "weight_ih", order, 2), blocks(weights, "weight_hh", order, 2), first, second, {}, projection)


def _write_keras(gates: Gates, order: Order, form: Form) -> Weights:
    found = {
        "kernel": torch.cat([gates.W[g] for g in order]).T.contiguous(),
        "recurrent_kernel": torch.cat([gates.U[g] for g in order]).T.contiguous(),
    }
    if not gates.b:
        return found
    bias = _stacked(gates.b, order, gates.W)
    after = form.kind == "gru" and form.reset_after
    return found | {"bias": torch.stack([bias, _stacked(gates.c, order, gates.W)]) if after else bias}


def _read_keras(weights: Weights, order: Order, form: Form) -> Gates:
    _only(weights, "kernel", "recurrent_kernel", "bias")
    after = form.kind == "gru" and form.reset_after
    if "bias" in weights and form.kind == "gru" and (weights["bias"].dim() == 2) != after:
        side, shape = ("before", "one bias") if after else ("after", "two biases")
        raise InputError(
            f"a Keras GRU with {shape} resets {side} the product, but this cell does not; no weights make them equal"
        )
    turned = {name: value.T if name != "bias" else value for name, value in weights.items()}
    rows = dict(zip(("first", "second"), _get(weights, "bias", 2) if after else [weights["bias"]])) if "bias" in weights else {}
    first, second = (blocks(rows, name, order, 1) if name in rows else {} for name in ("first", "second"))
    return Gates(blocks(turned, "kernel", order, 2), blocks(turned, "recurrent_kernel", order, 2), first, second, {})


def _write_onnx(gates: Gates, order: Order, form: Form) -> Weights:
    found = {"W": torch.cat([gates.W[g] for g in order])[None], "R": torch.cat([gates.U[g] for g in order])[None]}
    if gates.b:
        found["B"] = torch.cat([_stacked(gates.b, order, gates.W), _stacked(gates.c, order, gates.W)])[None]
    if gates.P:
        vectors = {g: diagonal(p, f"the peephole of gate {g}") if p.dim() == 2 else p for g, p in gates.P.items()}
        found["P"] = _stacked(vectors, ("i", "o", "f"), gates.W)[None]
    return found


def _read_onnx(weights: Weights, order: Order, form: Form) -> Gates:
    _only(weights, "W", "R", "B", *(["P"] if form.kind == "lstm" else []))
    both = [name for name, value in weights.items() if value.dim() and value.shape[0] != 1]
    if both:
        raise InputError(f"{both[0]} holds {weights[both[0]].shape[0]} directions; give one at a time, as value[:1]")
    one = {name: value[0] if value.dim() else value for name, value in weights.items()}
    biases = blocks(one, "B", tuple(f"{side}{gate}" for side in "WR" for gate in order), 1) if "B" in one else {}
    first, second = ({g: biases[f"{side}{g}"] for g in order if biases} for side in "WR")
    peepholes = blocks(one, "P", ("i", "o", "f"), 1) if "P" in one else {}
    return Gates(blocks(one, "W", order, 2), blocks(one, "R", order, 2), first, second, peepholes)


def _turned(form: Form, gate: str, value: Tensor) -> Tensor:
    """The textbooks' update gate takes the candidate at one, so its weights are the negative: sigmoid(-a) = 1 - sigmoid(a)."""
    return -value if form.kind == "gru" and gate == "z" else value


def _write_textbook(gates: Gates, order: Order, form: Form) -> Weights:
    found: Weights = {}
    for gate in order:
        seen = [torch.diag(p) if p.dim() == 1 else p for p in (gates.P[gate],)] if gate in gates.P else []
        found[f"W_{gate or 'h'}"] = _turned(form, gate, torch.cat([*seen, gates.U[gate], gates.W[gate]], 1))
    return found | {f"b_{gate or 'h'}": _turned(form, gate, gates.b[gate]).clone() for gate in order if gate in gates.b}


def _read_textbook(weights: Weights, order: Order, form: Form) -> Gates:
    _only(weights, *(f"{kind}_{gate or 'h'}" for kind in "Wb" for gate in order))
    joined = {gate: _turned(form, gate, _get(weights, f"W_{gate or 'h'}", 2)) for gate in order}
    b = {g: _turned(form, g, _get(weights, f"b_{g or 'h'}", 1)) for g in order if f"b_{g or 'h'}" in weights}
    n = next(iter(joined.values())).shape[0]
    inputs = min(value.shape[1] for value in joined.values()) - n  # the candidate never looks at the cell
    P = {gate: value[:, :n] for gate, value in joined.items() if value.shape[1] == 2 * n + inputs}
    odd = [gate for gate, value in joined.items() if value.shape[1] not in (n + inputs, 2 * n + inputs)]
    if odd or inputs < 0:
        raise InputError(f"W_{(odd or order)[0] or 'h'} reads [h, x] or [c, h, x] and has {n} rows, so its width does not fit")
    rest = {gate: value[:, n:] if gate in P else value for gate, value in joined.items()}
    return Gates({g: v[:, n:] for g, v in rest.items()}, {g: v[:, :n] for g, v in rest.items()}, b, {}, P)


CONVENTIONS: dict[str, Convention] = {
    "torch": Convention({"lstm": "i f g o", "gru": "r z n", "rnn": ""}, _refuse_torch, _write_torch, _read_torch),
    "keras": Convention(
        {"lstm": "i f g o", "gru": "z r n", "rnn": ""}, lambda form: _plain(form, "keras"), _write_keras, _read_keras
    ),
    "onnx": Convention(
        {"lstm": "i o f g", "gru": "z r n", "rnn": ""},
        lambda form: "ONNX has no projected LSTM; use torch" if form.projected else None,
        _write_onnx,
        _read_onnx,
    ),
    "textbook": Convention({"lstm": "f i g o", "gru": "z r n", "rnn": ""}, _refuse_textbook, _write_textbook, _read_textbook),
}
"""The conventions by name."""

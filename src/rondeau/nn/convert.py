"""Weights between conventions, by gate name and without loss.

What a convention cannot say exactly is refused. Two biases that act as one are added, which is the only rounding. The
results are values, cut off from any graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

from rondeau.cells import elman, gru, lstm, peephole_lstm, projected_lstm
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.ir.analysis import signature
from rondeau.nn.conventions import CONVENTIONS, Convention, Form, Gates, Weights, diagonal

FORMER_NAMES = {"lecture": "textbook"}
"""What conventions were called before."""


@torch.no_grad()
def to_convention(cell: Cell, params: Mapping[str, Tensor], convention: str) -> Weights:
    """The parameters of ``cell`` as ``torch``, ``keras``, ``onnx`` or ``textbook`` packs them.

    Names, of one layer and direction: ``weight_ih weight_hh bias_ih bias_hh weight_hr``; ``kernel recurrent_kernel bias``;
    ``W R B P``; ``W_f b_f ...`` by gate, ``W_h b_h`` of a simple cell. Settings that are not weights must be made to agree:
    ``reset_after`` of Keras and ``linear_before_reset`` of ONNX, and the activation of a simple cell.

    Args:
        cell: an LSTM (peepholes and projection too), GRU or simple cell; others have no form elsewhere.
        params: its parameters by name, packed by gate.
        convention: a name of `CONVENTIONS`.

    Raises:
        InputError: the convention cannot say this cell, such as a reset gate on the other side of the product.

    Example:
        >>> from rondeau import cells, nn
        >>> layer = nn.Recurrent("lstm", 3, 4)
        >>> sorted(to_convention(layer.cell, layer.params, "keras"))
        ['bias', 'kernel', 'recurrent_kernel']
    """
    plain, form = known(cell)
    rules = _convention(convention, cell, form)
    _check(cell, params)
    own = {p.name: params[mine.name] for p, mine in zip(plain.parameters, cell.parameters)}
    found = {p.name: dict(zip(p.gates, own[p.name].chunk(len(p.gates)))) for p in plain.parameters}
    peepholes, projection = ({}, own["P"]) if form.projected else (found.get("P", {}), None)
    gates = Gates(found["W"], found["U"], found.get("b", {}), found.get("c", {}), peepholes, projection)
    return rules.write(gates if form.update_keeps else _negated(gates), rules.order(form), form)


@torch.no_grad()
def from_convention(cell: Cell, weights: Mapping[str, Any], convention: str, *, reset_after: bool | None = None) -> Weights:
    """The parameters of ``cell`` from weights packed as ``torch``, ``keras``, ``onnx`` or ``textbook`` does.

    Args:
        cell: an LSTM, GRU or simple cell.
        weights: tensors or arrays of one layer and direction, under the names that `to_convention` gives.
        convention: a name of `CONVENTIONS`.
        reset_after: on which side of the product the weights' GRU resets, where they do not say so themselves: the
            ``linear_before_reset`` of ONNX. If not given, the cell is taken to be right.

    Raises:
        InputError: a weight is missing, unknown or misshapen, or the cell's equations differ from those of the weights.
    """
    plain, form = known(cell)
    rules = _convention(convention, cell, form)
    if form.kind == "gru" and reset_after is not None and reset_after != form.reset_after:
        side = "after" if reset_after else "before"
        raise InputError(
            f"the weights are of a reset gate {side} the product, {cell.name} is not of that form; no weights make them equal"
        )
    gates = rules.read({name: torch.as_tensor(value) for name, value in weights.items()}, rules.order(form), form)
    groups = _groups(cell, plain, form, gates if form.update_keeps else _negated(gates))
    joined = {
        mine.name: torch.cat([groups[p.name][gate] for gate in p.gates]) for p, mine in zip(plain.parameters, cell.parameters)
    }
    _check(cell, joined)
    return joined


def _convention(name: str, cell: Cell, form: Form) -> Convention:
    name = FORMER_NAMES.get(name, name)
    if name not in CONVENTIONS:
        raise InputError(f"convention is one of {', '.join(CONVENTIONS)}, not {name!r}")
    reason = CONVENTIONS[name].refusal(form)
    if reason is not None:
        raise InputError(f"{cell.name} has no form in the convention {name}: {reason}")
    return CONVENTIONS[name]


def _forms() -> Iterator[tuple[Cell, Form]]:
    """The cells that other libraries know."""
    yield lstm(), Form("lstm")
    yield projected_lstm(), Form("lstm", projected=True)
    for count, full in product((1, 2, 3), (False, True)):
        for looking in combinations(("i", "f", "o"), count):
            yield peephole_lstm(" ".join(looking), full), Form("lstm", looking, full)
    for after, keeps, biased in product((True, False), repeat=3):
        yield gru(after, keeps, biased), Form("gru", reset_after=after, update_keeps=keeps)
    for activation in ("tanh", "relu", "sigmoid"):
        yield elman(activation), Form("rnn", activation=activation)


@cache
def _by_equations() -> dict[str, tuple[Cell, Form]]:
    return {signature(cell): (cell, form) for cell, form in _forms()}


def known(cell: Cell) -> tuple[Cell, Form]:
    """The cell of the zoo with the same equations, whatever its names, and its form."""
    found = _by_equations().get(signature(cell))
    if found is None:
        raise InputError(
            f"{cell.name} is no LSTM, GRU or simple cell, so other libraries have no form for it; "
            "for one with masks or another mechanism around it, give the plain cell"
        )
    return found


def _check(cell: Cell, params: Mapping[str, Tensor]) -> None:
    """Whether the parameters are the cell's, by name and shape."""
    names = [p.name for p in cell.parameters]
    if set(params) != set(names):
        raise InputError(f"{cell.name} has the parameters {', '.join(names)}, but got {', '.join(params) or 'none'}")
    first, second = cell.parameters[:2]  # the input and the recurrent weights, in every form
    W, U = params[first.name], params[second.name]
    if W.dim() != 2 or U.dim() != 2:
        raise InputError(f"{first.name} and {second.name} are matrices, but got {tuple(W.shape)} and {tuple(U.shape)}")
    sizes = {"input": W.shape[1], "hidden": W.shape[0] // len(first.gates), "projection": U.shape[1]}
    for p in cell.parameters:
        if tuple(params[p.name].shape) != p.shape(sizes):
            raise InputError(f"{p.name} of {cell.name} has the shape {tuple(params[p.name].shape)}, expected {p.shape(sizes)}")


def _negated(gates: Gates) -> Gates:
    """The update gate turned round: sigmoid(-a) = 1 - sigmoid(a)."""

    def part(group: Mapping[str, Tensor]) -> Weights:
        return {gate: -value if gate == "z" else value for gate, value in group.items()}

    return Gates(part(gates.W), part(gates.U), part(gates.b), part(gates.c), gates.P)


def _groups(cell: Cell, known: Cell, form: Form, gates: Gates) -> dict[str, Mapping[str, Tensor]]:
    """Every parameter of the known cell by gate."""
    named = {p.name: p for p in known.parameters}
    own = set(named["c"].gates) if "c" in named else set()
    zero = {gate: value.new_zeros(value.shape[0]) for gate, value in gates.W.items()}
    first, second = zero | dict(gates.b), zero | dict(gates.c)
    b = {gate: first[gate] if gate in own else _sum(first[gate], second[gate]) for gate in first}
    if "b" not in named and any(bool(value.any()) for value in (*b.values(), *second.values())):
        raise InputError(f"{cell.name} has no biases, but the weights have some that are not zero; take a cell with biases")
    if form.projected:
        assert gates.projection is not None
        return {"W": gates.W, "U": gates.U, "b": b, "P": {"": gates.projection}}
    return {"W": gates.W, "U": gates.U, "b": b, "c": second, "P": _peepholes(cell, form, gates, zero)}


def _sum(first: Tensor, second: Tensor) -> Tensor:
    """``first + second``, and the very bits of ``first`` where ``second`` is zero."""
    if first.shape != second.shape:
        raise InputError(f"the two biases have the shapes {tuple(first.shape)} and {tuple(second.shape)}, which differ")
    return torch.where(second == 0, first, first + second)


def _peepholes(cell: Cell, form: Form, gates: Gates, zero: Mapping[str, Tensor]) -> Weights:
    """The peepholes that the cell has, diagonal or full. Those that it lacks must be zero."""
    for gate, value in gates.P.items():
        if gate not in form.looking and bool(value.any()):
            raise InputError(
                f"the weights have a peephole of gate {gate}, {cell.name} has none; take peephole_lstm with that gate"
            )
    found = {gate: gates.P.get(gate, zero[gate]) for gate in form.looking}
    if form.full:
        return {gate: torch.diag(value) if value.dim() == 1 else value for gate, value in found.items()}
    return {gate: diagonal(v, f"the peephole of gate {gate}") if v.dim() == 2 else v for gate, v in found.items()}


__all__ = ["CONVENTIONS", "from_convention", "known", "to_convention"]

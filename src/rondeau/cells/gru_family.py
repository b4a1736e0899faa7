"""The GRU and its relatives. Gates in PyTorch's order: reset, update, candidate."""

from __future__ import annotations

from rondeau.cells import sources
from rondeau.ir import Cell, Source, bias, cell, input, relu, sigmoid, state, tanh, weight, zeros


def gru(reset_after: bool = True, update_keeps: bool = True, biased: bool = True) -> Cell:
    """The gated recurrent unit.

    Args:
        reset_after: the reset gate acts on ``U h + c`` (PyTorch, cuDNN), or on ``h`` before the product (the paper, the
            textbooks).
        update_keeps: at ``z = 1`` the old state is kept (PyTorch, Keras), or the candidate is taken (the textbooks).
        biased: whether the gates have biases; textbooks leave them out.
    """
    note = (
        "reset after the product, as in cuDNN and torch.nn.GRU" if reset_after else "reset before the product, as in the paper"
    )
    note += "; z = 1 keeps the old state" if update_keeps else "; z = 1 takes the candidate"
    source = sources.GRU.noting(note)
    if reset_after and biased:
        return _after_biased(source, update_keeps).renamed("gru" if update_keeps else "gru_inverted")
    name = (
        "gru"
        + ("" if reset_after else "_reset_before")
        + ("" if update_keeps else "_inverted")
        + ("" if biased else "_unbiased")
    )

    return _before_biased(source, name, update_keeps) if biased else _unbiased(source, name, reset_after, update_keeps)


def _before_biased(source: Source, name: str, update_keeps: bool) -> Cell:
    @cell(source=source, name=name)
    def biased_before(
        x=input(),
        h=state(),
        W=weight("r z n", "hidden", "input"),
        U=weight("r z n", "hidden", "hidden"),
        b=bias("r z n", "hidden"),
    ):
        r = sigmoid(W.r @ x + U.r @ h + b.r)
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        n = tanh(W.n @ x + U.n @ (r * h) + b.n)
        h = (1 - z) * n + z * h if update_keeps else (1 - z) * h + z * n
        return h

    return biased_before


def _unbiased(source: Source, name: str, reset_after: bool, update_keeps: bool) -> Cell:
    @cell(source=source, name=name)
    def unbiased(x=input(), h=state(), W=weight("r z n", "hidden", "input"), U=weight("r z n", "hidden", "hidden")):
        r = sigmoid(W.r @ x + U.r @ h)
        z = sigmoid(W.z @ x + U.z @ h)
        n = tanh(W.n @ x + r * (U.n @ h)) if reset_after else tanh(W.n @ x + U.n @ (r * h))
        h = (1 - z) * n + z * h if update_keeps else (1 - z) * h + z * n
        return h

    return unbiased


def _after_biased(source: Source, update_keeps: bool) -> Cell:
    @cell(source=source)
    def gru(
        x=input(),
        h=state(),
        W=weight("r z n", "hidden", "input"),
        U=weight("r z n", "hidden", "hidden"),
        b=bias("r z n", "hidden"),
        c=bias("n", "hidden"),
    ):
        r = sigmoid(W.r @ x + U.r @ h + b.r)
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        n = tanh(W.n @ x + b.n + r * (U.n @ h + c.n))
        h = (1 - z) * n + z * h if update_keeps else (1 - z) * h + z * n
        return h

    return gru


def gru_textbook() -> Cell:
    """The GRU as textbooks write it: reset before the product, ``z = 1`` takes the candidate, no biases."""
    return gru(reset_after=False, update_keeps=False, biased=False).renamed("gru_textbook")


def forget_update() -> Cell:
    """A memory as plain as can be: ``h = forget * h + update``, a forget gate and no input gate."""

    @cell(source=sources.ADDITIVE_MEMORY)
    def forget_update(
        x=input(),
        h=state(),
        W=weight("forget update", "hidden", "input"),
        U=weight("forget update", "hidden", "hidden"),
        b=bias("forget update", "hidden"),
    ):
        update = tanh(U.update @ h + W.update @ x + b.update)
        forget = sigmoid(U.forget @ h + W.forget @ x + b.forget)
        h = forget * h + update
        return h

    return forget_update


def minimal_gated_unit() -> Cell:
    """One gate that both forgets and resets: ``h = (1 - f) * h + f * tanh(W x + U (f * h) + b)``."""

    @cell(source=sources.MGU)
    def minimal_gated_unit(
        x=input(),
        h=state(),
        W=weight("f n", "hidden", "input"),
        U=weight("f n", "hidden", "hidden"),
        b=bias("f n", "hidden"),
    ):
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        n = tanh(W.n @ x + U.n @ (f * h) + b.n)
        h = (1 - f) * h + f * n
        return h

    return minimal_gated_unit


def update_gate_rnn() -> Cell:
    """A simple cell with one update gate: ``h = g * h + (1 - g) * tanh(W x + U h + b)``."""

    @cell(source=sources.CAPACITY.noting("the UGRNN"))
    def update_gate_rnn(
        x=input(),
        h=state(),
        W=weight("g n", "hidden", "input"),
        U=weight("g n", "hidden", "hidden"),
        b=bias("g n", "hidden", init=zeros(g=1.0)),
    ):
        g = sigmoid(W.g @ x + U.g @ h + b.g)
        n = tanh(W.n @ x + U.n @ h + b.n)
        h = g * h + (1 - g) * n
        return h

    return update_gate_rnn


def li_gru() -> Cell:
    """A GRU without reset gate and with a relu candidate."""

    @cell(source=sources.LIGRU.noting("without the batch normalisation of W x, which spans sequences and steps"))
    def li_gru(
        x=input(),
        h=state(),
        W=weight("z n", "hidden", "input"),
        U=weight("z n", "hidden", "hidden"),
        b=bias("z n", "hidden"),
    ):
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        n = relu(W.n @ x + U.n @ h + b.n)
        h = z * h + (1 - z) * n
        return h

    return li_gru


def min_gru() -> Cell:
    """Gate and candidate of the input alone: ``h = (1 - z) * h + z * n``. No product with ``h``."""

    @cell(source=sources.MIN_RNN)
    def min_gru(x=input(), h=state(), W=weight("z n", "hidden", "input"), b=bias("z n", "hidden")):
        z = sigmoid(W.z @ x + b.z)
        n = W.n @ x + b.n
        h = (1 - z) * h + z * n
        return h

    return min_gru

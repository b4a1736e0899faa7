"""The LSTM and its variants. Gates in PyTorch's order: input, forget, candidate, output."""

from __future__ import annotations

from rondeau.cells import sources
from rondeau.cells.settings import number
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr, bias, cell, filled, input, normalise, orthogonal, sigmoid, state, tanh, vector, weight, zeros


def lstm(forget_bias: float = 1.0) -> Cell:
    """Two states, the output ``h`` and the cell ``c``; ``c = f * c + i * g``, ``h = o * tanh(c)``. PyTorch's ``nn.LSTM``.

    Args:
        forget_bias: where the forget gate's bias starts.

    Raises:
        InputError: the forget bias is not a finite number.
    """
    start = number("forget_bias", forget_bias)

    @cell(source=sources.FORGET.noting("no peepholes; the form of torch.nn.LSTM with its two biases as one"))
    def lstm(
        x=input(),
        h=state(),
        c=state(),
        W=weight("i f g o", "hidden", "input"),
        U=weight("i f g o", "hidden", "hidden"),
        b=bias("i f g o", "hidden", init=zeros(f=start)),
    ):
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c

    return lstm


def lstm_coupled() -> Cell:
    """The input gate is what the forget gate leaves: ``c = f * c + (1 - f) * g``."""

    @cell(source=sources.ODYSSEY.noting("the CIFG variant, without peepholes"))
    def lstm_coupled(
        x=input(),
        h=state(),
        c=state(),
        W=weight("f g o", "hidden", "input"),
        U=weight("f g o", "hidden", "hidden"),
        b=bias("f g o", "hidden", init=zeros(f=1.0)),
    ):
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + (1 - f) * g
        h = o * tanh(c)
        return h, c

    return lstm_coupled


def peephole_lstm(gates: str = "i f o", full: bool = False) -> Cell:
    """Gates that look at the cell: input and forget at the previous one, output at the new one.

    Args:
        gates: which gates look, a choice of ``i f o``.
        full: whether each sees all of the cell through a matrix (the concatenated form of textbooks) or its own unit only.

    Raises:
        InputError: ``gates`` names another gate, or none.
    """
    chosen = _looking(gates)
    peepholes = weight(" ".join(chosen), "hidden", "hidden") if full else vector(" ".join(chosen), "hidden")
    note = "full-matrix peepholes, as in textbooks; the paper's are diagonal" if full else "diagonal peepholes"

    @cell(source=sources.PEEPHOLE.noting(note), name="peephole_lstm_full" if full else "peephole_lstm")
    def peephole_lstm(
        x=input(),
        h=state(),
        c=state(),
        W=weight("i f g o", "hidden", "input"),
        U=weight("i f g o", "hidden", "hidden"),
        P=peepholes,
        b=bias("i f g o", "hidden", init=zeros(f=1.0)),
    ):
        def look(gate: str, at: Expr) -> Expr | float:
            if gate not in chosen:
                return 0
            return P[gate] @ at if full else P[gate] * at

        i = sigmoid(W.i @ x + U.i @ h + look("i", c) + b.i)
        f = sigmoid(W.f @ x + U.f @ h + look("f", c) + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = sigmoid(W.o @ x + U.o @ h + look("o", c) + b.o)
        h = o * tanh(c)
        return h, c

    return peephole_lstm


def _looking(gates: str) -> tuple[str, ...]:
    chosen = tuple(gates.split()) if isinstance(gates, str) else ()
    if not chosen or set(chosen) - set("ifo") or len(set(chosen)) < len(chosen):
        raise InputError(f"gates is a choice of 'i f o' with spaces between, not {gates!r}")
    return tuple(gate for gate in "ifo" if gate in chosen)


def projected_lstm() -> Cell:
    """The output is a projection of the LSTM's: ``h = P (o * tanh(c))``. Sizes: ``input``, ``hidden``, ``projection``."""

    @cell(source=sources.PROJECTED.noting("the form of torch.nn.LSTM with proj_size: no peepholes"))
    def projected_lstm(
        x=input(),
        h=state("projection"),
        c=state(),
        W=weight("i f g o", "hidden", "input"),
        U=weight("i f g o", "hidden", "projection", init=orthogonal()),
        b=bias("i f g o", "hidden", init=zeros(f=1.0)),
        P=weight("projection", "hidden"),
    ):
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + i * g
        m = o * tanh(c)
        h = P @ m
        return h, c

    return projected_lstm


def layer_norm_lstm() -> Cell:
    """Each gate's two products are normalised over the units, and so is the cell state before the output."""

    @cell(source=sources.LAYER_NORM.noting("equations 20 to 22; statistics per gate, not over all four together; one shift b"))
    def layer_norm_lstm(
        x=input(),
        h=state(),
        c=state(),
        W=weight("i f g o", "hidden", "input"),
        U=weight("i f g o", "hidden", "hidden"),
        b=bias("i f g o", "hidden", init=zeros(f=1.0)),
        alpha=vector("i f g o", "hidden", init=filled(1.0)),
        beta=vector("i f g o", "hidden", init=filled(1.0)),
        gamma=vector("hidden", init=filled(1.0)),
        d=bias("hidden"),
    ):
        i = sigmoid(beta.i * normalise(W.i @ x) + alpha.i * normalise(U.i @ h) + b.i)
        f = sigmoid(beta.f * normalise(W.f @ x) + alpha.f * normalise(U.f @ h) + b.f)
        g = tanh(beta.g * normalise(W.g @ x) + alpha.g * normalise(U.g @ h) + b.g)
        o = sigmoid(beta.o * normalise(W.o @ x) + alpha.o * normalise(U.o @ h) + b.o)
        c = f * c + i * g
        h = o * tanh(gamma * normalise(c) + d)
        return h, c

    return layer_norm_lstm


def multiplicative_lstm() -> Cell:
    """The gates read ``m = (A x) * (B h)`` instead of ``h``: the input chooses the transition."""

    @cell(source=sources.MULTIPLICATIVE.noting("with biases"))
    def multiplicative_lstm(
        x=input(),
        h=state(),
        c=state(),
        A=weight("hidden", "input"),
        B=weight("hidden", "hidden"),
        W=weight("i f g o", "hidden", "input"),
        U=weight("i f g o", "hidden", "hidden"),
        b=bias("i f g o", "hidden", init=zeros(f=1.0)),
    ):
        m = (A @ x) * (B @ h)
        i = sigmoid(W.i @ x + U.i @ m + b.i)
        f = sigmoid(W.f @ x + U.f @ m + b.f)
        g = tanh(W.g @ x + U.g @ m + b.g)
        o = sigmoid(W.o @ x + U.o @ m + b.o)
        c = f * c + i * g
        h = o * tanh(c)
        return h, c

    return multiplicative_lstm


def janet(beta: float = 1.0) -> Cell:
    """Only a forget gate; one state: ``h = sigmoid(s) * h + (1 - sigmoid(s - beta)) * g``.

    Args:
        beta: how much more of the candidate is let in than the forget gate leaves room for.

    Raises:
        InputError: beta is not a finite number.
    """
    shift = number("beta", beta)

    @cell(source=sources.JANET.noting(f"beta = {shift:g}; constant forget bias instead of chrono initialisation"))
    def janet(
        x=input(),
        h=state(),
        W=weight("f g", "hidden", "input"),
        U=weight("f g", "hidden", "hidden"),
        b=bias("f g", "hidden", init=zeros(f=1.0)),
    ):
        s = W.f @ x + U.f @ h + b.f
        g = tanh(W.g @ x + U.g @ h + b.g)
        h = sigmoid(s) * h + (1 - sigmoid(s - shift)) * g
        return h

    return janet


def min_lstm() -> Cell:
    """Gates of the input alone, normalised to sum to one: ``h = f / (f + i) * h + i / (f + i) * g``. No product with ``h``."""

    @cell(source=sources.MIN_RNN)
    def min_lstm(
        x=input(),
        h=state(),
        W=weight("i f g", "hidden", "input"),
        b=bias("i f g", "hidden", init=zeros(f=1.0)),
    ):
        i = sigmoid(W.i @ x + b.i)
        f = sigmoid(W.f @ x + b.f)
        g = W.g @ x + b.g
        h = f / (f + i) * h + i / (f + i) * g
        return h

    return min_lstm

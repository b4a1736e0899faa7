"""Cells with depth inside a step."""

from __future__ import annotations

from rondeau.cells import sources
from rondeau.cells.settings import whole
from rondeau.cells.simple import Activation, activation_of
from rondeau.ir import Cell, bias, cell, input, sigmoid, state, tanh, weight, zeros


def deep_input_rnn(activation: str | Activation = "tanh") -> Cell:
    """A layer between input and hidden state: ``h = f(V f(W x + a) + U h + b)``."""
    f = activation_of(activation)

    @cell(source=sources.DEEP.noting("deep input-to-hidden"))
    def deep_input_rnn(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        a=bias("hidden"),
        V=weight("hidden", "hidden"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
    ):
        e = f(W @ x + a)
        h = f(V @ e + U @ h + b)
        return h

    return deep_input_rnn


def deep_transition_rnn(depth: int = 2, shortcut: bool = True, activation: str | Activation = "tanh") -> Cell:
    """Layers between one hidden state and the next, with (``shortcut``) the state added past them.

    Raises:
        InputError: fewer than two layers.
    """
    f = activation_of(activation)
    whole("depth", depth, 2, "the number of layers in the transition")
    layers = " ".join(f"l{i}" for i in range(1, depth))

    return _with_shortcut(f, depth, layers) if shortcut else _without_shortcut(f, depth, layers)


def _without_shortcut(f: Activation, depth: int, layers: str) -> Cell:
    @cell(source=sources.DEEP.noting("DT-RNN: deep hidden-to-hidden"), name="deep_transition_rnn_plain")
    def plain(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        V=weight(layers, "hidden", "hidden"),
        a=bias(layers, "hidden"),
    ):
        s = f(W @ x + U @ h + b)
        for i in range(1, depth):
            s = f(V[f"l{i}"] @ s + a[f"l{i}"])
        return s

    return plain


def _with_shortcut(f: Activation, depth: int, layers: str) -> Cell:
    @cell(source=sources.DEEP.noting("DT(S)-RNN: deep hidden-to-hidden with a shortcut"))
    def deep_transition_rnn(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        V=weight(layers, "hidden", "hidden"),
        a=bias(layers, "hidden"),
        S=weight("hidden", "hidden"),
    ):
        s = f(W @ x + U @ h + b)
        for i in range(1, depth):
            beside = S @ h if i == depth - 1 else 0
            s = f(V[f"l{i}"] @ s + beside + a[f"l{i}"])
        return s

    return deep_transition_rnn


def deep_output_rnn(activation: str | Activation = "tanh") -> Cell:
    """A layer between hidden state and output: ``y = f(V h + a)``; the output is not a state."""
    f = activation_of(activation)

    @cell(source=sources.DEEP.noting("deep hidden-to-output"))
    def deep_output_rnn(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        V=weight("hidden", "hidden"),
        a=bias("hidden"),
    ):
        h = f(W @ x + U @ h + b)
        y = f(V @ h + a)
        return y, h

    return deep_output_rnn


def highway_rnn(depth: int = 3) -> Cell:
    """A recurrent highway: ``depth`` gated layers a step, ``s = (1 - t) * s + t * n``; the first reads the input.

    Raises:
        InputError: fewer than one layer.
    """
    whole("depth", depth, 1, "the number of layers a step")
    gates = " ".join(f"{kind}{i}" for i in range(depth) for kind in "nt")

    @cell(source=sources.HIGHWAY.noting("carry gate coupled to the transform gate"))
    def highway_rnn(
        x=input(),
        s=state(),
        W=weight("n t", "hidden", "input"),
        R=weight(gates, "hidden", "hidden"),
        b=bias(gates, "hidden", init=zeros(**{f"t{i}": -2.0 for i in range(depth)})),
    ):
        for i in range(depth):
            drive_n, drive_t = (W.n @ x, W.t @ x) if i == 0 else (0, 0)
            n = tanh(R[f"n{i}"] @ s + b[f"n{i}"] + drive_n)
            t = sigmoid(R[f"t{i}"] @ s + b[f"t{i}"] + drive_t)
            s = (1 - t) * s + t * n
        return s

    return highway_rnn

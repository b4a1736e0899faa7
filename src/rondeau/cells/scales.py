"""Cells with several time scales: leaky units, connections through time, clockwork, continuous time."""

from __future__ import annotations

from rondeau.cells import sources
from rondeau.cells.settings import part, whole
from rondeau.cells.simple import Activation, activation_of
from rondeau.errors import InputError
from rondeau.ir import (
    Cell,
    bias,
    cell,
    concat,
    context,
    exp,
    input,
    orthogonal,
    past,
    sigmoid,
    softplus,
    split,
    state,
    tanh,
    time,
    uniform,
    vector,
    weight,
    where,
)


def leaky_rnn(rate: float = 0.1, activation: str | Activation = "tanh") -> Cell:
    """Units with a linear self-connection near one: ``h = (1 - rate) * h + rate * f(W x + U h + b)``.

    Raises:
        InputError: the rate does not lie in (0, 1].
    """
    f = activation_of(activation)
    part("rate", rate)

    @cell(source=sources.LEAKY.noting("one rate for decay and drive; all weights are trained"))
    def leaky_rnn(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden"), b=bias("hidden")):
        n = f(W @ x + U @ h + b)
        h = (1 - rate) * h + rate * n
        return h

    return leaky_rnn


def leaky_rnn_learned(activation: str | Activation = "tanh", per_unit: bool = True) -> Cell:
    """Leaky units whose rate is learned: ``rate = sigmoid(a)``.

    Args:
        activation: a name or a function of an expression.
        per_unit: whether each unit has a rate of its own, or all share one.
    """
    f = activation_of(activation)
    note = "the rates are learned, each through a sigmoid" if per_unit else "one learned rate, through a sigmoid"

    @cell(source=sources.LEAKY.noting(note))
    def leaky_rnn_learned(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        a=vector("hidden" if per_unit else 1, init=uniform(-3, 0)),
    ):
        rate = sigmoid(a)
        n = f(W @ x + U @ h + b)
        h = (1 - rate) * h + rate * n
        return h

    return leaky_rnn_learned


def lagged_rnn(lag: int = 3, nearest: bool = True, activation: str | Activation = "tanh") -> Cell:
    """Direct connections from ``lag`` steps ago, beside the connection of length one or (``nearest=False``) in its place.

    Raises:
        InputError: the lag is not a whole number from 1.
    """
    f = activation_of(activation)
    whole("lag", lag, 1, "the number of steps back")
    source = sources.LAGS.noting("connections between hidden states" + ("" if nearest else "; those of length one removed"))
    if not nearest:

        @cell(source=source, name="lagged_rnn_only")
        def only(x=input(), h=state(), W=weight("hidden", "input"), V=weight("hidden", "hidden"), b=bias("hidden")):
            h = f(W @ x + V @ past(h, lag) + b)
            return h

        return only

    @cell(source=source)
    def lagged_rnn(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        V=weight("hidden", "hidden"),
        b=bias("hidden"),
    ):
        h = f(W @ x + U @ h + V @ past(h, lag) + b)
        return h

    return lagged_rnn


def clockwork(periods: tuple[int, ...] = (1, 2, 4, 8)) -> Cell:
    """Groups of units with clocks: a group moves only at steps that its period divides, and reads itself and slower groups.

    ``hidden`` must divide by the number of groups; the groups stand in the order of their periods.

    Raises:
        InputError: the periods are not rising positive whole numbers.
    """
    known = periods if isinstance(periods, (tuple, list)) else ()
    if not known or any(type(p) is not int or p < 1 for p in known) or list(known) != sorted(set(known)):
        raise InputError(f"periods are rising positive whole numbers, such as (1, 2, 4, 8), not {periods!r}")
    count = len(known)
    gates = " ".join(f"g{i}_{j}" for i in range(count) for j in range(i, count))

    @cell(source=sources.CLOCKWORK.noting("any rising periods; tanh"))
    def clockwork(
        x=input(),
        h=state(),
        W=weight("hidden", "input"),
        U=weight(gates, f"hidden/{count}", f"hidden/{count}", init=orthogonal()),
        b=bias("hidden"),
    ):
        drive = W @ x + b
        groups, inputs = split(h, count), split(drive, count)
        moved = []
        for i, period in enumerate(known):
            n = tanh(sum((U[f"g{i}_{j}"] @ groups[j] for j in range(i, count)), inputs[i]))
            moved.append(where(time() % period < 0.5, n, groups[i]))
        h = concat(*moved)
        return h

    return clockwork


def hierarchical_rnn(levels: int = 3, slowest: float = 0.05) -> Cell:
    """A hidden state in groups from fine to coarse: each leaks more slowly than the one before, and reads it and itself.

    Args:
        levels: the number of groups; ``hidden`` must divide by it.
        slowest: the rate of the last group; the first has rate 1.

    Raises:
        InputError: fewer than two levels, or a rate outside (0, 1].
    """
    whole("levels", levels, 2, "the number of groups")
    part("slowest", slowest)
    rates = [slowest ** (i / (levels - 1)) for i in range(levels)]
    gates = " ".join(f"g{i}_{j}" for i in range(levels) for j in (i - 1, i) if j >= 0)

    @cell(source=sources.HIERARCHY.noting("fixed leak rates, geometric from 1 to the slowest"))
    def hierarchical_rnn(
        x=input(),
        h=state(),
        W=weight(f"hidden/{levels}", "input"),
        U=weight(gates, f"hidden/{levels}", f"hidden/{levels}", init=orthogonal()),
        b=bias("hidden"),
    ):
        groups, offsets = split(h, levels), split(b, levels)
        moved = []
        for i, rate in enumerate(rates):
            below = W @ x if i == 0 else U[f"g{i}_{i - 1}"] @ groups[i - 1]
            n = tanh(below + U[f"g{i}_{i}"] @ groups[i] + offsets[i])
            moved.append(n if rate == 1 else (1 - rate) * groups[i] + rate * n)
        h = concat(*moved)
        return h

    return hierarchical_rnn


def rate_rnn(activation: str | Activation = "tanh") -> Cell:
    """Continuous-time rate units, stepped exactly over a time gap: ``h = k * h + (1 - k) * f(W x + U h + b)``,
    ``k = exp(-gap / tau)``.

    The context ``gap`` (batch, time, 1) is the time since the step before, in the unit of ``tau``; ``tau`` is learned per
    unit, kept positive by softplus.
    """
    f = activation_of(activation)

    @cell(source=sources.RATE.noting("tau dh/dt = -h + f(W x + U h + b), with the drive held constant over the gap"))
    def rate_rnn(
        x=input(),
        h=state(),
        gap=context(1, per="step"),
        W=weight("hidden", "input"),
        U=weight("hidden", "hidden"),
        b=bias("hidden"),
        s=vector("hidden", init=uniform(0, 3)),
    ):
        tau = softplus(s)
        k = exp(-gap / tau)
        n = f(W @ x + U @ h + b)
        h = k * h + (1 - k) * n
        return h

    return rate_rnn

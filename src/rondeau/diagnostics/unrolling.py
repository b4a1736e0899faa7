"""A cell over several steps, as equations: its own, and those of its gradient, with numbers beside them."""

from __future__ import annotations

from rondeau.diagnostics.lags import ByLag
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr, State
from rondeau.ir.analysis import depends_on
from rondeau.ir.ops import LEAVES
from rondeau.ir.spelling import spell


def unrolled_equations(cell: Cell, steps: int = 3) -> str:
    """The equations of a cell written out for every step, all with the same weights.

    Raises:
        InputError: the number of steps is not positive.

    Example:
        >>> from rondeau.cells import elman
        >>> print(unrolled_equations(elman(), 2))
        h[1] = tanh(W @ x[1] + U @ h[0] + b)
        h[2] = tanh(W @ x[2] + U @ h[1] + b)
    """
    if not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps is a positive whole number, not {steps!r}")
    found: list[str] = []
    for step in range(1, steps + 1):
        names = _names(cell, step)
        lines = [expr for expr in _lines(cell) if step == 1 or names[expr].endswith("]")]
        found += [f"{names[expr]} = {spell(expr, names, whole=True)}" for expr in lines]
    return "\n".join(found)


def _lines(cell: Cell) -> list[Expr]:
    """What has a line of its own: the equations, and next states that have none."""
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    found = [equation.expr for equation in cell.equations if equation.name not in auxiliary]
    rest = [expr for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    return list(dict.fromkeys([*found, *(expr for expr in rest if expr.op not in LEAVES)]))


def _names(cell: Cell, step: int) -> dict[Expr, str]:
    """The names of all that has one, at a step."""
    moving = depends_on(cell.roots, "state") | depends_on(cell.roots, "input")
    names = {e.expr: f"{e.name}[{step}]" if e.expr in moving else e.name for e in cell.equations}
    own = [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    names |= {expr: f"{state.name}[{step}]" for state, expr in reversed(own)}
    names |= {item.symbol: f"{item.name}[{step}]" if item.per == "step" else item.name for item in cell.inputs}
    return names | {state.symbol: _before(state, step) for state in cell.states}


def _before(state: State, step: int) -> str:
    if state.role == "time":
        return str(step - 1)
    name, _, lag = state.name.rpartition("_past") if state.role == "past" else (state.name, "", "1")
    return f"{name}[{step - int(lag)}]"


def expansion(found: ByLag, name: str, last: int) -> str:
    """The gradient of one parameter or gate as the chain rule writes it, with the norm and share of every term.

    ``s[t]`` are the states after step t, and ``d+s[t]/dW`` is their derivative by what W does in that step alone.

    Args:
        found: the terms of a loss at one step alone.
        name: the parameter, as ``layer.U``.
        last: the number of the step with the loss, counted from 1.

    Raises:
        InputError: the record has no such parameter.

    Example:
        >>> import torch
        >>> from rondeau import nn
        >>> from rondeau.diagnostics import by_lag
        >>> layer = nn.Recurrent("elman", 1, 1, dtype=torch.float64)
        >>> start = layer.W.data.fill_(0.1), layer.U.data.fill_(0.5)
        >>> terms = by_lag(layer, lambda: layer(torch.ones(1, 2, 1, dtype=torch.float64))[0][:, -1].sum())
        >>> print(expansion(terms, "layer.W", 2))
        dL[2]/dW = term(2) + term(1)
        term(2) = dL[2]/ds[2] d+s[2]/dW               norm 0.9779   share 66.9 %
        term(1) = dL[2]/ds[2] ds[2]/ds[1] d+s[1]/dW   norm 0.4841   share 33.1 %
    """
    if name not in found.terms:
        raise InputError(f"the record has no parameter {name!r}; it has {', '.join(found.terms)}")
    weight = name.removeprefix("layer.")
    terms = [last - int(lag) for lag in found.lags]
    chains = [_chain(last, step, weight) for step in terms]
    width = max(map(len, chains))
    numbers = zip(terms, chains, found.norms(name), found.shares(name))
    lines = [f"term({t}) = {chain:<{width}}   norm {norm:<8.4g} share {100 * share:.1f} %" for t, chain, norm, share in numbers]
    return "\n".join([f"dL[{last}]/d{weight} = " + " + ".join(f"term({step})" for step in terms), *lines])


def _chain(last: int, step: int, weight: str) -> str:
    steps = [f"ds[{t}]/ds[{t - 1}]" for t in range(last, step, -1)]
    return " ".join([f"dL[{last}]/ds[{last}]", *steps, f"d+s[{step}]/d{weight}"])

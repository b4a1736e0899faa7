"""`cell`: a Python function of symbols, called once, becomes a `Cell`."""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, overload

from rondeau.errors import CellError
from rondeau.ir.arguments import COUNTER, Declaration, Packed, time
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import Expr, node
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import LEAVES
from rondeau.ir.rewrite import rewrite
from rondeau.ir.source import Source
from rondeau.ir.step import Equation
from rondeau.ir.verification import verify
from rondeau.ir.widths import ONE


@overload
def cell(function: Callable[..., object], /) -> Cell: ...


@overload
def cell(*, source: Source | str = "", name: str | None = None) -> Callable[[Callable[..., object]], Cell]: ...


@overload
def cell(function: Callable[..., object], /, *, source: Source | str = "", name: str | None = None) -> Cell: ...


def cell(function: Callable[..., Any] | None = None, /, *, source: Source | str = "", name: str | None = None) -> Any:
    """Makes a `Cell` of a function that writes its equations.

    The arguments' defaults declare inputs, states and parameters; the function's local names become the names of its
    equations; it returns the next states in the order declared, the first of which is the output. When it returns one value
    more than there are states, the first is the output and the others are the states.

    Args:
        source: where the equations come from.
        name: the cell's name; the function's own if not given.

    Raises:
        CellError: the function does not write a cell; the message shows the author's own line.

    Example:
        >>> import rondeau as rd
        >>> @rd.cell(source="Elman 1990")
        ... def simple(x=rd.input(), h=rd.state(), W=rd.weight("hidden", "input"), U=rd.weight("hidden", "hidden")):
        ...     h = rd.tanh(W @ x + U @ h)
        ...     return h
        >>> print(simple)
        simple: Elman 1990
        h[t] = tanh(W @ x + U @ h[t-1])
    """
    if function is None:
        return lambda target: cell(target, source=source, name=name)
    if not isinstance(source, (Source, str)):
        raise CellError(f"the source of a cell is a text or a Source, not {source!r}")
    if not inspect.isfunction(function):
        raise CellError(f"cell makes a cell of a function that writes its equations, not of {function!r}")
    given = source if isinstance(source, Source) else Source(note=source)
    with _author_lines(function.__code__) as line:
        return _trace(function, name or function.__name__, given, line)


def _trace(function: Callable[..., Any], name: str, source: Source, line: list[int]) -> Cell:
    declared = [_declared(argument) for argument in inspect.signature(function).parameters.values()]
    inputs = sorted((item for item in declared if isinstance(item, Input)), key=lambda item: item.role != "input")
    states = [item for item in declared if isinstance(item, State)]
    parameters = tuple(item for item in declared if isinstance(item, Parameter))
    arguments = {item.name: _symbol(item) for item in declared}
    bound, returned, last = _run(function, arguments, line)
    results = returned if isinstance(returned, tuple) else (returned,)
    _check_results(results, states)
    _check_order(results[len(results) - len(states) :], [item.name for item in states], last)
    line.clear()
    output, following = results[0], list(results[len(results) - len(states) :])
    states, following, mapping = _auxiliary([output, *following, *(expr for _, expr in bound)], states, following)
    place = rewrite([output, *following, *(expr for _, expr in bound)], mapping.get)
    following, output = [place[expr] for expr in following], place[output]
    equations = _equations([(n, place[expr]) for n, expr in bound], states, following, output)
    doc = inspect.getdoc(function) or ""
    return verify(Cell(name, tuple(inputs), tuple(states), parameters, equations, output, tuple(following), source, doc))


def _declared(argument: inspect.Parameter) -> Input | State | Parameter:
    if not isinstance(argument.default, Declaration):
        raise CellError(
            f"the argument {argument.name!r} needs a declaration, such as {argument.name}=input(), state() or weight(...)"
        )
    return argument.default.named(argument.name)


def _symbol(item: Input | State | Parameter) -> Expr | Packed:
    if not isinstance(item, Parameter):
        return item.symbol
    return item.block() if item.gates == ("",) else Packed(item)


def _check_results(results: tuple[Any, ...], states: list[State]) -> None:
    wanted = ", ".join(item.name for item in states)
    if not states:
        raise CellError("a recurrent cell has at least one state; declare it as h=state()")
    for value in results:
        if not isinstance(value, Expr) or value.op == "matrix":
            raise CellError(f"a cell returns its next states ({wanted}) as vectors, not {value!r}")
    if len(results) not in (len(states), len(states) + 1):
        raise CellError(
            f"the cell returns {len(results)} values; return its next states ({wanted}), or an output and then those"
        )


def _check_order(results: tuple[Expr, ...], states: list[str], last: dict[str, Any]) -> None:
    """Refuses a state's value in another's place, going by the local names at the end of the function."""
    for place, value in enumerate(results):
        if value is last.get(states[place]) or (value.op == "state" and not _turn(place, results, states, last)):
            continue
        for other, name in enumerate(states):
            if value is last.get(name) and results[other] is not value:
                raise CellError(
                    f"the next value of the state {states[place]} is here what the function calls {name}, a state of its own; "
                    f"return the next states in the order declared, {', '.join(states)}, or give that value another name"
                )


def _turn(place: int, results: tuple[Expr, ...], states: list[str], last: dict[str, Any]) -> bool:
    """Whether the states from ``place`` on only change places, in a circle of their names."""
    seen: list[int] = []
    while place not in seen:
        seen.append(place)
        found = [other for other, name in enumerate(states) if results[place] is last.get(name)]
        if not found:
            return False
        place = found[0]
    return place == seen[0] and len(seen) > 1


def _run(
    function: Callable[..., Any], arguments: dict[str, Expr | Packed], line: list[int]
) -> tuple[list[tuple[str, Expr]], Any, dict[str, Any]]:
    """Calls ``function``; every local name as it is bound to an expression, in order, the result, and the names at the end.

    ``line`` gets the line that returned.
    """
    bound: list[tuple[str, Expr]] = []
    last: dict[str, Any] = dict(arguments)
    outer = sys.gettrace()

    def note(frame: FrameType) -> None:
        for name, value in frame.f_locals.items():
            if isinstance(value, Expr) and last.get(name) is not value and value.op not in LEAVES:
                bound.append((name, value))
            last[name] = value

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event in ("line", "return"):
            note(frame)
        if event == "return":
            line[:] = [frame.f_lineno]
        return local

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code is function.__code__ else None

    sys.settrace(watch)
    try:
        returned = function(**arguments)
    finally:
        sys.settrace(outer)
    return bound, returned, last


def _auxiliary(
    roots: list[Expr], states: list[State], following: list[Expr]
) -> tuple[list[State], list[Expr], dict[Expr, Expr]]:
    """The states with delay lines for ``past`` and a counter for ``time``, their next values, and what replaces what."""
    leaves = [expr for expr in postorder(roots) if expr.op == "state"]
    lags: dict[str, int] = {}
    for expr in leaves:
        if len(expr.attrs) == 3 and expr.attrs[2]:
            lags[expr.attrs[1]] = max(lags.get(expr.attrs[1], 1), expr.attrs[2])
    states, following = list(states), list(following)
    for owner in [item for item in states if item.name in lags]:
        before = owner.symbol
        for lag in range(2, lags[owner.name] + 1):
            line = State(f"{owner.name}_past{lag}", owner.width, "past")
            states.append(line)
            following.append(before)
            before = line.symbol
    if any(expr is time() for expr in leaves):
        states.append(State(COUNTER, ONE, "time"))
        following.append(states[-1].symbol + 1)
    plain = {expr: node("state", (), expr.attrs[:1], expr.width) for expr in leaves if len(expr.attrs) == 3}
    return states, following, plain


def _equations(bound: list[tuple[str, Expr]], states: list[State], following: list[Expr], output: Expr) -> tuple[Equation, ...]:
    """The bound names as unique equation names; a state's own name is kept for its next value."""
    names: dict[Expr, list[str]] = {}
    for name, expr in bound:
        names.setdefault(expr, []).append(name)
    reserved = {state.name: expr for state, expr in zip(states, following)}
    for name, expr in (*reserved.items(), ("y", output)):
        if expr.op not in LEAVES and expr not in names:
            names[expr] = [name]
    last = {name: expr for expr, candidates in names.items() for name in candidates[:1]}
    chosen: dict[Expr, str] = {}
    taken = set(reserved)
    for expr, candidates in names.items():
        own = next((name for name in candidates if reserved.get(name) is expr), None)
        name = own or candidates[0]
        if not own and (name in taken or last[name] is not expr):
            numbered = (f"{name}_{i}" for i in range(1, len(names) + 2))
            name = next(other for other in numbered if other not in taken and other not in last)
        taken.add(name)
        chosen[expr] = name
    live = set(postorder([output, *following]))
    return tuple(Equation(chosen[expr], expr) for expr in postorder(names) if expr in chosen and expr in live)


@contextmanager
def _author_lines(code: CodeType) -> Iterator[list[int]]:
    """Adds the author's own line to an error of a cell: that of the call that failed, else the one noted in what it yields,
    else the function's first."""
    noted: list[int] = []
    try:
        yield noted
    except CellError as error:
        frame, line = error.__traceback__, (noted or [code.co_firstlineno])[0]
        while frame is not None:
            if frame.tb_frame.f_code is code:
                line = frame.tb_lineno
            frame = frame.tb_next
        text = linecache.getline(code.co_filename, line).strip()
        where = f"{code.co_filename}, line {line}" + (f": {text}" if text else "")
        raise CellError(f"{error}\n  in {code.co_name}, {where}") from None
